//! The query of a search as text: `application/x-www-form-urlencoded`, from a request's address or its body.
//!
//! Reading stops at the first parameter too many, before anything is kept of it: a form of some mebibytes holds millions of
//! them. What is not UTF-8 becomes the replacement character and matches nothing; a percent sign without two digits is one.
//!
//! Deliberately absent: what the parameters mean, which is [`super::search`]'s.

use super::{Refusal, RefusalCode};

/// The most parameters of a search.
pub const MAX_PARAMETERS: usize = 64;

/// The names and values of a query, in their order. Pieces between separators that hold nothing are passed over.
///
/// # Errors
/// More than [`MAX_PARAMETERS`].
pub fn pairs(query: &[u8]) -> Result<Vec<(String, String)>, Refusal> {
    let mut found = Vec::new();
    for pair in query.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        if found.len() == MAX_PARAMETERS {
            return Err(too_many());
        }
        let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        found.push((decoded(&pair[..at]), decoded(pair.get(at + 1..).unwrap_or_default())));
    }
    Ok(found)
}

/// A query that reads as these names and values.
#[must_use]
pub fn written<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pair = |(name, value): (&str, &str)| format!("{}={}", encoded(name), encoded(value));
    pairs.into_iter().map(pair).collect::<Vec<_>>().join("&")
}

pub(super) fn too_many() -> Refusal {
    Refusal {
        code: RefusalCode::Unsupported,
        element: "query".into(),
        message: format!("more than {MAX_PARAMETERS} parameters"),
    }
}

fn decoded(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().copied();
    while let Some(byte) = rest.next() {
        let hex = |digit: u8| char::from(digit).to_digit(16);
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let mut ahead = rest.clone();
                match (ahead.next().and_then(hex), ahead.next().and_then(hex)) {
                    (Some(high), Some(low)) => {
                        out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                        rest = ahead;
                    }
                    _ => out.push(b'%'),
                }
            }
            byte => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Percent-encoding of everything that is not unreserved (RFC 3986, section 2.3).
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded_once() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            pairs(b"a=1&&b=x%7Cy+z&c&d=%25%2&e=%zz&=f&%ff=%c3").unwrap(),
            [
                pair("a", "1"),
                pair("b", "x|y z"),
                pair("c", ""),
                pair("d", "%%2"),
                pair("e", "%zz"),
                pair("", "f"),
                pair("\u{fffd}", "\u{fffd}"),
            ]
        );
        assert_eq!(pairs(b"&&&").unwrap(), []);
    }

    #[test]
    fn links_survive_what_identifiers_hold() {
        let (name, value) = ("patient.identifier", "urn:oid:1.2|A&B=ü%41+");
        let query = written([(name, value), ("", "")]);
        assert_eq!(query, "patient.identifier=urn%3Aoid%3A1.2%7CA%26B%3D%C3%BC%2541%2B&=");
        assert_eq!(pairs(query.as_bytes()).unwrap()[0], (name.to_owned(), value.to_owned()));
    }

    #[test]
    fn a_form_of_millions_of_parameters_is_refused_at_the_first_too_many() {
        let form = b"a&".repeat(4 * 1024 * 1024);
        assert_eq!(pairs(&form[..2 * MAX_PARAMETERS]).unwrap().len(), MAX_PARAMETERS);
        let refusal = pairs(&form).unwrap_err();
        assert_eq!((refusal.element.as_str(), refusal.code), ("query", RefusalCode::Unsupported));
        assert_eq!(refusal, pairs(&form[..=2 * MAX_PARAMETERS]).unwrap_err());
    }
}
