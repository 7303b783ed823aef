//! Mutations: how one input is made of others.
//!
//! Deterministic: the same numbers give the same input. Besides what suits any bytes (flipped bits,
//! cuts, splices) there is what suits these formats: heads and lengths that claim another size, pieces
//! repeated until a nesting or a count is beyond its bound, and words that a grammar reacts to.

use crate::target::Text;

/// The longest input that a mutation makes: what no decoder is asked to take.
pub const MAX_INPUT_BYTES: usize = 1024 * 1024;

/// The longest input that is mutated further; a run of large inputs would be a slow one.
const MAX_USUAL_BYTES: usize = 96 * 1024;

/// Numbers at which readers differ.
const NUMBERS: [u64; 20] = [
    0,
    1,
    23,
    24,
    127,
    128,
    250,
    251,
    252,
    253,
    255,
    256,
    65_535,
    65_536,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    1 << 32,
    (1 << 63) - 1,
    u64::MAX,
];

const JSON: &[&str] = &[
    "null",
    "true",
    "-1",
    "1e999",
    "0.1",
    "18446744073709551616",
    "\"\"",
    "[]",
    "{}",
    "[[[[",
    "{\"a\":",
    ",",
    ":",
    "\\u0000",
    "\\ud800",
    "\u{feff}",
    "\"\\u202e\"",
    "9999-12-31T23:59:60Z",
    "0000",
    "-0",
    "urn:uuid:",
    "#a",
    "Bundle",
    "Patient",
    "Consent",
    "AuditEvent",
    "http://",
    "//",
    "\"resourceType\":\"Bundle\",",
];
const XML: &[&str] = &[
    "<",
    ">",
    "/>",
    "<!DOCTYPE a [<!ENTITY b \"c\">]>",
    "&b;",
    "&#0;",
    "&#x110000;",
    "<![CDATA[",
    "]]>",
    "<!--",
    "<?xml version=\"1.0\"?>",
    "\u{feff}",
    "<AuditMessage>",
    "</AuditMessage>",
    "=\"\"",
    " xmlns:a=\"b\"",
    "<a>",
    "<13>1 - - - - - - ",
    "99999999 ",
    "0 ",
    "[a b=\"\\\"]\"]",
    "^^^&&ISO",
];
const TOML: &[&str] = &[
    "[a]",
    "[[a]]",
    "a.b.c = 1",
    "= ",
    "\"\"\"",
    "'''",
    "inf",
    "nan",
    "0x",
    "1979-05-27",
    "true",
    "[[[[",
    "{",
    "\\u0000",
    "-1",
    "9223372036854775808",
    "[custodian]",
    "[spool]",
    "[[participants]]",
    "power = 0",
    "#",
];
const WORDS: &[&str] = &[
    "\"",
    "\\",
    ";",
    "=",
    "(",
    ")",
    ":",
    ",",
    " ",
    "custos=",
    "created=",
    "nonce=\"",
    "keyid=\"",
    "alg=\"ed25519\"",
    "@query",
    "content-digest",
    "\"@path\"",
    "\n",
    "sha-256=:",
    "18446744073709551616",
];

const QUERY: &[&str] = &[
    "&",
    "=",
    "+",
    "%",
    "%2",
    "%zz",
    "%00",
    "%ff",
    "%C3%BC",
    "%26",
    "%3D",
    "%25",
    "%5C,",
    ",",
    "|",
    "\\",
    "_count=",
    "_cursor=",
    "_id=",
    "_format=json",
    "patient=",
    "patient.identifier=",
    "date=ge2026",
    "date=",
    "status=",
    "actor:identifier=",
    ":missing",
];

/// A source of numbers: SplitMix64.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// The numbers of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        match bound {
            0 => 0,
            bound => (self.draw() % bound as u64) as usize,
        }
    }

    fn byte(&mut self) -> u8 {
        (self.draw() & 0xff) as u8
    }
}

/// An input made of those in `corpus`, which MUST not be empty.
#[must_use]
pub fn input(corpus: &[Vec<u8>], text: Text, rng: &mut Rng) -> Vec<u8> {
    let mut bytes = corpus[rng.below(corpus.len())].clone();
    bytes.truncate(MAX_USUAL_BYTES);
    let steps = 1 << rng.below(4);
    for _ in 0..steps {
        let other = &corpus[rng.below(corpus.len())];
        mutate(&mut bytes, other, text, rng);
    }
    bytes.truncate(MAX_INPUT_BYTES);
    bytes
}

/// One step.
fn mutate(bytes: &mut Vec<u8>, other: &[u8], text: Text, rng: &mut Rng) {
    if bytes.is_empty() {
        bytes.extend_from_slice(&other[..rng.below(other.len() + 1)]);
        bytes.push(rng.byte());
        return;
    }
    let at = rng.below(bytes.len());
    match rng.below(if text == Text::Bytes { 12 } else { 15 }) {
        0 => bytes[at] ^= 1 << rng.below(8),
        1 => bytes[at] = rng.byte(),
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(piece(bytes.len(), 64, rng))),
        4 => {
            let noise: Vec<u8> = (0..=rng.below(8)).map(|_| rng.byte()).collect();
            insert(bytes, at, &noise);
        }
        // A piece of another input, or of this one, put here.
        5 => {
            let part = other[piece(other.len(), 256, rng)].to_vec();
            insert(bytes, at, &part);
        }
        6 => {
            let part = bytes[piece(bytes.len(), 256, rng)].to_vec();
            insert(bytes, at, &part);
        }
        // The beginning of this, the end of the other.
        7 => {
            bytes.truncate(at);
            bytes.extend_from_slice(&other[rng.below(other.len() + 1)..]);
        }
        // A piece again and again: nesting and counts.
        8 => {
            let part = bytes[piece(bytes.len(), 32, rng)].to_vec();
            let most = if rng.below(16) == 0 { 14 } else { 7 };
            let times = 1 << rng.below(most);
            insert(bytes, at, &part.repeat(times));
        }
        9 => length(bytes, at, rng),
        10 => head(bytes, rng),
        11 => {
            let end = (at + 1 + rng.below(8)).min(bytes.len());
            let value = [0x00, 0xff, 0x7f, 0x80, rng.byte()][rng.below(5)];
            bytes[at..end].fill(value);
        }
        12 | 13 => {
            let words = match text {
                Text::Json => JSON,
                Text::Xml => XML,
                Text::Toml => TOML,
                Text::Query => QUERY,
                Text::Words | Text::Bytes => WORDS,
            };
            let word = words[rng.below(words.len())].as_bytes();
            match rng.below(2) {
                0 => insert(bytes, at, word),
                _ => {
                    let range = token(bytes, at);
                    bytes.splice(range, word.iter().copied());
                }
            }
        }
        _ => {
            let number = NUMBERS[rng.below(NUMBERS.len())].to_string();
            let range = digits(bytes, at);
            bytes.splice(range, number.into_bytes());
        }
    }
}

/// Some bytes in a row, not empty unless there are none.
fn piece(len: usize, most: usize, rng: &mut Rng) -> std::ops::Range<usize> {
    let from = rng.below(len);
    from..(from + 1 + rng.below(most)).min(len)
}

fn insert(bytes: &mut Vec<u8>, at: usize, part: &[u8]) {
    let room = MAX_INPUT_BYTES.saturating_sub(bytes.len());
    bytes.splice(at..at, part[..part.len().min(room)].iter().copied());
}

/// Another length where one may stand: 1, 2, 4 or 8 bytes, big-endian or little-endian.
fn length(bytes: &mut [u8], at: usize, rng: &mut Rng) {
    let width = 1usize << rng.below(4);
    let Some(place) = bytes.get_mut(at..at + width) else { return };
    let mut was = [0; 8];
    was[8 - width..].copy_from_slice(place);
    let value = match rng.below(3) {
        0 => NUMBERS[rng.below(NUMBERS.len())],
        1 => u64::from_be_bytes(was).wrapping_add(1 + rng.below(4) as u64),
        _ => u64::from_be_bytes(was).wrapping_sub(1 + rng.below(4) as u64),
    };
    let mut value = value.to_be_bytes();
    if rng.below(4) == 0 {
        value.reverse();
        place.copy_from_slice(&value[..width]);
    } else {
        place.copy_from_slice(&value[8 - width..]);
    }
}

/// Another argument for a CBOR head: a count or length that is wrong, or not in its shortest form.
fn head(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let at = rng.below(bytes.len());
    let major = bytes[at] & 0xe0;
    let (width, number) = match bytes[at] & 0x1f {
        small @ 0..24 => (0, u64::from(small)),
        24 => (1, bytes.get(at + 1).copied().map_or(0, u64::from)),
        25 => (2, 0),
        26 => (4, 0),
        27 => (8, 0),
        _ => (0, 0),
    };
    let number = match rng.below(4) {
        0 => number,
        1 => number.wrapping_add(1),
        2 => number.wrapping_sub(1),
        _ => NUMBERS[rng.below(NUMBERS.len())],
    };
    let be = number.to_be_bytes();
    let new = match rng.below(6) {
        0 if number < 24 => vec![major | be[7]],
        0 | 1 => vec![major | 24, be[7]],
        2 => [&[major | 25], &be[6..]].concat(),
        3 => [&[major | 26], &be[4..]].concat(),
        4 => [&[major | 27], &be[..]].concat(),
        _ => vec![major | 31],
    };
    let end = (at + 1 + width).min(bytes.len());
    bytes.splice(at..end, new);
}

/// The word of letters and digits that stands here.
fn token(bytes: &[u8], at: usize) -> std::ops::Range<usize> {
    around(bytes, at, |byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn digits(bytes: &[u8], at: usize) -> std::ops::Range<usize> {
    let next = bytes[at..].iter().position(u8::is_ascii_digit).map_or(at, |skip| at + skip);
    around(bytes, next, |byte| byte.is_ascii_digit())
}

fn around(bytes: &[u8], at: usize, belongs: impl Fn(u8) -> bool) -> std::ops::Range<usize> {
    let from = bytes[..at].iter().rposition(|byte| !belongs(*byte)).map_or(0, |place| place + 1);
    let to = bytes[at..].iter().position(|byte| !belongs(*byte)).map_or(bytes.len(), |place| at + place);
    from..to.max(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_numbers_give_the_same_inputs_within_bounds() {
        let corpus =
            vec![b"{\"a\": [1, 22, 333]}".to_vec(), vec![0x83, 0x01, 0x42, 0x00, 0x00, 0x18, 0x20], vec![]];
        for text in [Text::Bytes, Text::Json, Text::Xml, Text::Toml, Text::Words, Text::Query] {
            let (mut one, mut two) = (Rng::new(7), Rng::new(7));
            let mut different = std::collections::BTreeSet::new();
            for _ in 0..5_000 {
                let made = input(&corpus, text, &mut one);
                assert_eq!(made, input(&corpus, text, &mut two));
                assert!(made.len() <= MAX_INPUT_BYTES);
                different.insert(made);
            }
            assert!(different.len() > 2_500, "{text:?}: {}", different.len());
        }
    }
}
