//! A JSON document with bounds: depth, number of values, and no name twice.
//!
//! General JSON readers keep the last of two equal names and accept any amount of nesting; an
//! importer that must drop nothing in silence can do neither.
//!
//! Deliberately absent: numbers as numbers. Nothing that is carried is one, and a decimal must not
//! change its digits on the way.

use core::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The deepest nesting that is read. A bundle, its entry, the resource and FHIR's own nesting need about 20.
pub(crate) const MAX_DEPTH: usize = 64;
/// The most values of one document.
pub(crate) const MAX_VALUES: usize = 2_000_000;

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    /// Its spelling.
    Number(String),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads a whole document.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Json, serde_json::Error> {
        // RFC 8259 lets a reader ignore a byte order mark; Windows tools write one.
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut left = MAX_VALUES;
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let json = Seed { depth: 0, left: &mut left }.deserialize(&mut reader)?;
        reader.end()?;
        Ok(json)
    }

    /// The member of this name, if this is an object that has it.
    pub(crate) fn member(&self, name: &str) -> Option<&Json> {
        match self {
            Json::Object(members) => members.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text, if this is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Json::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What this is, in JSON's words.
    pub(crate) const fn type_name(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "true or false",
            Json::Number(_) => "a number",
            Json::Text(_) => "a string",
            Json::Array(_) => "an array",
            Json::Object(_) => "an object",
        }
    }

    /// Feeds a spelling that does not depend on white space or the order of members to `sink`.
    pub(crate) fn canonical(&self, sink: &mut impl FnMut(&[u8])) {
        let mut sized = |kind: u8, bytes: &[u8]| {
            sink(&[kind]);
            sink(&(bytes.len() as u64).to_be_bytes());
            sink(bytes);
        };
        match self {
            Json::Null => sized(b'n', &[]),
            Json::Bool(value) => sized(b'b', &[u8::from(*value)]),
            Json::Number(digits) => sized(b'd', digits.as_bytes()),
            Json::Text(text) => sized(b't', text.as_bytes()),
            Json::Array(values) => {
                sized(b'a', &(values.len() as u64).to_be_bytes());
                values.iter().for_each(|value| value.canonical(sink));
            }
            Json::Object(members) => {
                sized(b'o', &(members.len() as u64).to_be_bytes());
                let mut sorted: Vec<_> = members.iter().collect();
                sorted.sort_by_key(|(name, _)| name);
                for (name, value) in sorted {
                    Json::Text(name.clone()).canonical(sink);
                    value.canonical(sink);
                }
            }
        }
    }
}

struct Seed<'a> {
    depth: usize,
    left: &'a mut usize,
}

impl Seed<'_> {
    fn below(&mut self) -> Seed<'_> {
        Seed { depth: self.depth + 1, left: self.left }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Json, D::Error> {
        if self.depth >= MAX_DEPTH {
            return Err(D::Error::custom(format_args!("nested deeper than {MAX_DEPTH}")));
        }
        *self.left = self
            .left
            .checked_sub(1)
            .ok_or_else(|| D::Error::custom(format_args!("more than {MAX_VALUES} values")))?;
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }
    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.into()))
    }
    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(Json::Text(text))
    }
    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(self.below())? {
            values.push(value);
        }
        Ok(Json::Array(values))
    }
    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Json, A::Error> {
        let mut members: Vec<(String, Json)> = Vec::new();
        let mut names = std::collections::BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format_args!("the name {name:?} occurs twice")));
            }
            let value = map.next_value_seed(self.below())?;
            members.push((name, value));
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bombs_are_refused() {
        for bomb in [
            "[".repeat(1 << 20),
            "{\"a\":".repeat(1 << 20),
            format!("{}1{}", "[".repeat(100), "]".repeat(100)),
        ] {
            assert!(Json::parse(bomb.as_bytes()).is_err());
        }
        let wide = format!("[{}1]", "1,".repeat(MAX_VALUES));
        assert!(Json::parse(wide.as_bytes()).unwrap_err().to_string().contains("more than"));
    }

    #[test]
    fn a_name_occurs_once() {
        assert!(Json::parse(br#"{"a":1,"a":2}"#).unwrap_err().to_string().contains("twice"));
        assert!(Json::parse(br#"{"a":1,"\u0061":2}"#).is_err());
    }

    #[test]
    fn the_canonical_spelling_ignores_order_and_space() {
        let spelling = |text: &str| {
            let mut out = Vec::new();
            Json::parse(text.as_bytes()).unwrap().canonical(&mut |bytes| out.extend_from_slice(bytes));
            out
        };
        assert_eq!(
            spelling(r#"{"a":[1,null],"b":"x"}"#),
            spelling("\u{feff}{ \"b\": \"x\", \"a\": [1, null] }")
        );
        assert_ne!(spelling(r#"["ab","c"]"#), spelling(r#"["a","bc"]"#));
        assert_ne!(spelling("[[],[]]"), spelling("[[[]]]"));
    }
}
