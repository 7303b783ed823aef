//! Deterministic CBOR, written and taken apart by hand from docs/spec/cbor.md.
//!
//! Values are put together as bytes, and parts of an item (a policy, a permit's terms, the acts of a proposal) are
//! cut out of its bytes and used as they stand: nothing here goes through the encoders of the crate whose formats
//! are judged.

use custos_proof::submission::Author;

/// The head of a value: major type and argument, in the shortest form.
fn head(major: u8, argument: u64) -> Vec<u8> {
    let bytes = argument.to_be_bytes();
    let (info, length) = match argument {
        0..24 => return vec![major << 5 | bytes[7]],
        24..0x100 => (24, 1),
        0x100..0x1_0000 => (25, 2),
        0x1_0000..0x1_0000_0000 => (26, 4),
        _ => (27, 8),
    };
    [&[major << 5 | info][..], &bytes[8 - length..]].concat()
}

pub(super) fn uint(value: u64) -> Vec<u8> {
    head(0, value)
}

pub(super) fn bytes(value: &[u8]) -> Vec<u8> {
    [head(2, value.len() as u64), value.to_vec()].concat()
}

pub(super) fn text(value: &str) -> Vec<u8> {
    [head(3, value.len() as u64), value.as_bytes().to_vec()].concat()
}

/// An array of values that are encoded already.
pub(super) fn array(values: &[Vec<u8>]) -> Vec<u8> {
    [head(4, values.len() as u64), values.concat()].concat()
}

/// `[value]` or `[]`.
pub(super) fn option(value: Option<Vec<u8>>) -> Vec<u8> {
    array(&value.into_iter().collect::<Vec<_>>())
}

pub(super) fn author(author: &Author) -> Vec<u8> {
    match author {
        Author::Participant(id) => text(id.as_str()),
        Author::Subject(trail) => bytes(&trail.0),
    }
}

/// Major type, argument and length of the head at the beginning.
fn read_head(input: &[u8]) -> Option<(u8, u64, usize)> {
    let first = *input.first()?;
    let length = match first & 0x1f {
        info @ 0..24 => return Some((first >> 5, u64::from(info), 1)),
        24 => 1,
        25 => 2,
        26 => 4,
        27 => 8,
        _ => return None,
    };
    let argument = input.get(1..=length)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
    Some((first >> 5, argument, 1 + length))
}

/// How many bytes the value at the beginning takes.
fn extent(input: &[u8]) -> Option<usize> {
    let (major, argument, mut at) = read_head(input)?;
    let within = match major {
        2 | 3 => return at.checked_add(usize::try_from(argument).ok()?).filter(|end| *end <= input.len()),
        4 => argument,
        5 => argument.checked_mul(2)?,
        6 => 1,
        _ => 0,
    };
    for _ in 0..within {
        at += extent(&input[at..])?;
    }
    Some(at)
}

/// The encoded elements of an encoded array.
pub(super) fn elements(input: &[u8]) -> Option<Vec<&[u8]>> {
    let (major, count, mut at) = read_head(input)?;
    let mut found = Vec::new();
    for _ in 0..count {
        let end = at + extent(&input[at..])?;
        found.push(&input[at..end]);
        at = end;
    }
    (major == 4 && at == input.len()).then_some(found)
}

/// The content of an encoded byte string.
pub(super) fn content(input: &[u8]) -> Option<&[u8]> {
    let (major, _, at) = read_head(input)?;
    (major == 2 && extent(input)? == input.len()).then(|| &input[at..])
}

/// A value that stands in clear.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Atom {
    Number(u64),
    Bytes(Vec<u8>),
    Text(String),
}

/// Every string and number in some CBOR, without asking what it means.
pub(super) fn atoms(input: &[u8]) -> Vec<Atom> {
    let mut found = Vec::new();
    let mut rest = input;
    while let Some((major, argument, begin)) = read_head(rest) {
        let end = if matches!(major, 2 | 3) { extent(rest).unwrap_or(rest.len()) } else { begin };
        match major {
            0 => found.push(Atom::Number(argument)),
            2 => found.push(Atom::Bytes(rest[begin..end].to_vec())),
            3 => found.push(Atom::Text(String::from_utf8_lossy(&rest[begin..end]).into_owned())),
            _ => {}
        }
        rest = &rest[end..];
    }
    found
}

/// The value in diagnostic notation, for findings.
pub(super) fn diagnostic(input: &[u8]) -> String {
    let Some((major, argument, at)) = read_head(input) else { return "nothing".into() };
    let body = input.get(at..).unwrap_or_default();
    match major {
        0 => argument.to_string(),
        1 => format!("-{}", argument.saturating_add(1)),
        2 => format!("h'{}'", hex(body)),
        3 => format!("{:?}", String::from_utf8_lossy(body)),
        4 => match elements(input) {
            Some(found) => {
                format!("[{}]", found.into_iter().map(diagnostic).collect::<Vec<_>>().join(", "))
            }
            None => format!("h'{}'", hex(input)),
        },
        _ => format!("h'{}'", hex(input)),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_as_short_as_they_can_be() {
        for (value, spelt) in [
            (23, vec![0x17]),
            (24, vec![0x18, 24]),
            (255, vec![0x18, 255]),
            (256, vec![0x19, 1, 0]),
            (65_536, vec![0x1a, 0, 1, 0, 0]),
            (1 << 32, vec![0x1b, 0, 0, 0, 1, 0, 0, 0, 0]),
        ] {
            assert_eq!(uint(value), spelt);
        }
    }

    #[test]
    fn what_is_put_together_is_taken_apart() {
        let inner = array(&[text("a"), option(None)]);
        let whole = array(&[uint(7), bytes(&[1, 2]), inner.clone()]);
        assert_eq!(elements(&whole), Some(vec![&uint(7)[..], &bytes(&[1, 2])[..], &inner[..]]));
        assert_eq!(content(&bytes(&[1, 2])), Some(&[1, 2][..]));
        assert_eq!(diagnostic(&whole), "[7, h'0102', [\"a\", []]]");
        assert_eq!(atoms(&whole).len(), 3);
        assert_eq!(elements(&whole[..4]), None);
    }
}
