//! JSON as people write it: into values that a format reads itself from, with nothing dropped in silence.
//!
//! General JSON readers keep the last of two equal names, so that a document says one thing to whoever reads it from the top
//! and another to the program. Here a name stands once; names that begin with `//` are remarks and may stand as often as
//! they like. What takes the most room, a list without end inside a short document, is bounded by the number of values.
//!
//! Deliberately absent: what belongs where, which the formats say ([`custos_proof::cbor::Wire::from_given`]), and JSON that
//! programs write ([`crate::view`]).

use core::fmt;

use custos_proof::given::{Given, GivenError};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Error as Unreadable;

/// The most values of one document, with everything that is inside others.
pub const MAX_VALUES: usize = 2_000_000;

/// Reads a document.
///
/// # Errors
/// What is not JSON, a name that stands twice, a number that is not whole, or more than [`MAX_VALUES`]; with the line.
pub fn read(bytes: &[u8]) -> Result<Given, Unreadable> {
    let mut left = MAX_VALUES;
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let given = One { left: &mut left }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(given)
}

/// How many a list may have.
#[derive(Debug, Clone, Copy)]
pub struct ListBounds {
    /// Members.
    pub members: usize,
    /// Values of one member, with everything that is inside others.
    pub values: usize,
}

/// Reads a document that is one list, and hands on its members one by one: only one of them is held at a time.
///
/// # Errors
/// As [`read`]; anything but a list; more than the bounds say; and what `take` refuses, with the member's place.
pub fn read_list(
    bytes: &[u8],
    bounds: ListBounds,
    take: impl FnMut(Given) -> Result<(), GivenError>,
) -> Result<(), Unreadable> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    reader.deserialize_any(Members { bounds, take })?;
    reader.end()
}

/// One value.
struct One<'a> {
    left: &'a mut usize,
}

impl<'de> DeserializeSeed<'de> for One<'_> {
    type Value = Given;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Given, D::Error> {
        *self.left = self.left.checked_sub(1).ok_or_else(|| D::Error::custom("too many values"))?;
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for One<'_> {
    type Value = Given;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Given, E> {
        Ok(Given::Nothing)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Given, E> {
        Ok(Given::Bool(value))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Given, E> {
        Ok(Given::Number(value.into()))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Given, E> {
        Ok(Given::Number(value.into()))
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Given, E> {
        Err(E::custom(format_args!("expected a whole number, found {value}")))
    }
    fn visit_str<E>(self, text: &str) -> Result<Given, E> {
        Ok(Given::Text(text.into()))
    }
    fn visit_string<E>(self, text: String) -> Result<Given, E> {
        Ok(Given::Text(text))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Given, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(One { left: self.left })? {
            values.push(value);
        }
        Ok(Given::List(values))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Given, A::Error> {
        let mut fields: Vec<(String, Given)> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(One { left: self.left })?;
            fields.push((name, value));
        }
        let mut names: Vec<&str> =
            fields.iter().map(|(name, _)| name.as_str()).filter(|name| !name.starts_with("//")).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            let twice: String = twice[0].chars().take(40).collect();
            return Err(A::Error::custom(format_args!("the name {twice:?} stands twice")));
        }
        Ok(Given::Fields(fields))
    }
}

/// The members of the outermost list.
struct Members<F> {
    bounds: ListBounds,
    take: F,
}

impl<'de, F: FnMut(Given) -> Result<(), GivenError>> Visitor<'de> for Members<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {}", self.bounds.members)
    }
    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let mut place = 0usize;
        loop {
            let mut left = self.bounds.values;
            let Some(member) = seq.next_element_seed(One { left: &mut left })? else { return Ok(()) };
            if place == self.bounds.members {
                return Err(A::Error::custom(format_args!("more than {} members", self.bounds.members)));
            }
            (self.take)(member).map_err(|error| A::Error::custom(error.within(&place.to_string())))?;
            place += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_is_read_is_what_a_general_reader_reads() {
        let text = r#"{"a":[1,-2,null,true,"x\u00e4"],"//":"remark","//":7,"b":{"a":18446744073709551615}}"#;
        let value: Value = serde_json::from_str(&text.replacen(r#""//":"remark","#, "", 1)).unwrap();
        let Given::Fields(mut fields) = read(text.as_bytes()).unwrap() else { panic!() };
        fields.remove(1);
        assert_eq!(Ok(Given::Fields(fields)), crate::view::given(&value));
        for bad in ["", "{", "[1] 2", "[1.5]", "[1e999]", "[18446744073709551616]", "{\"a\":1,}"] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(read("[".repeat(1 << 20).as_bytes()).is_err());
    }

    #[test]
    fn a_name_that_stands_twice_is_refused_however_it_is_spelled() {
        for text in [r#"{"a":1,"a":1}"#, r#"[{"x":{"a":1,"b":2,"\u0061":3}}]"#] {
            let error = read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("\"a\" stands twice"), "{error}");
        }
    }

    #[test]
    fn a_list_is_bounded_in_its_members_and_in_each_of_them() {
        let bounds = ListBounds { members: 2, values: 3 };
        let count = |text: &str| {
            let mut seen = 0;
            let read = read_list(text.as_bytes(), bounds, |member| {
                seen += 1;
                member.list(9).map(drop)
            });
            (seen, read.map_err(|error| error.to_string()))
        };
        assert_eq!(count("[]"), (0, Ok(())));
        assert_eq!(count("[[1, 2], []]"), (2, Ok(())));
        for (text, seen, why) in [
            ("[[1, 2, 3]]", 0, "too many values"),
            ("[[], [], []]", 2, "more than 2 members"),
            ("[[], 7]", 2, "1: expected a list of at most 9, found 7"),
            ("{}", 0, "a list of at most 2"),
            ("[[]] []", 1, "trailing"),
        ] {
            let (found, read) = count(text);
            let error = read.unwrap_err();
            assert!(found == seen && error.contains(why), "{text}: {found}, {error}");
        }
    }
}
