//! Values as people write them: the way back from a [`View`] to a typed value, and what to write.
//!
//! Whoever writes an item by hand writes JSON. What comes in is a [`Given`], a bounded tree without
//! types; a format reads itself back from it ([`crate::cbor::Wire::from_given`]) by the same lines
//! that define its bytes, and names the place and what belongs there when it cannot. A [`Form`] says
//! the same beforehand: templates and the pages of `docs/spec/` are made from it.
//!
//! Deliberately absent: JSON itself (this crate has no parser for it), and defaults. What is optional
//! may be left out; everything else is written.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use thiserror::Error;

use crate::cbor::View;
use crate::ids::TimeMs;

/// A value as somebody wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// Nothing: JSON's `null`, or a name that is not there.
    Nothing,
    /// A whole number.
    Number(i128),
    /// `true` or `false`.
    Bool(bool),
    /// Text.
    Text(String),
    /// Several values.
    List(Vec<Given>),
    /// Named values. Names that begin with `//` are remarks, for people only.
    Fields(Vec<(String, Given)>),
}

/// What was written is not what belongs there.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}expected {expected}, found {found}", Place(path))]
pub struct GivenError {
    /// Where: names and positions from the outside in.
    pub path: Vec<String>,
    /// What belongs there.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

struct Place<'a>(&'a [String]);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => Ok(()),
            path => write!(f, "{}: ", path.join(".")),
        }
    }
}

/// How much of a text an error repeats, in characters.
const SHOWN: usize = 40;

impl GivenError {
    /// Something else stands where `expected` belongs.
    #[must_use]
    pub fn expected(expected: impl Into<String>, found: &Given) -> Self {
        let found = match found {
            Given::Nothing => "nothing".into(),
            Given::Number(number) => number.to_string(),
            Given::Bool(value) => value.to_string(),
            Given::Text(text) if text.chars().count() <= SHOWN => format!("{text:?}"),
            Given::Text(text) => format!("{:?}...", text.chars().take(SHOWN).collect::<String>()),
            Given::List(values) => format!("a list of {}", values.len()),
            Given::Fields(_) => "named values".into(),
        };
        Self { path: Vec::new(), expected: expected.into(), found }
    }

    /// The same, within the value called `name`.
    #[must_use]
    pub fn within(mut self, name: &str) -> Self {
        self.path.insert(0, name.into());
        self
    }
}

impl Given {
    /// The text.
    ///
    /// # Errors
    /// Anything else, with the words for what belongs here.
    pub fn text(&self, expected: &str) -> Result<&str, GivenError> {
        match self {
            Given::Text(text) => Ok(text),
            other => Err(GivenError::expected(expected, other)),
        }
    }

    /// A value that is written as text.
    ///
    /// # Errors
    /// Anything that `read` does not take.
    pub fn parse<T>(&self, expected: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<T, GivenError> {
        read(self.text(expected)?).ok_or_else(|| GivenError::expected(expected, self))
    }

    /// A number; numbers that JSON readers commonly cannot hold may be written as text.
    ///
    /// # Errors
    /// Anything else, and a number below `least` or above `most`.
    pub fn number(&self, least: i128, most: i128) -> Result<i128, GivenError> {
        let number = match self {
            Given::Number(number) => Some(*number),
            Given::Text(text) => text.parse().ok(),
            _ => None,
        };
        number
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| GivenError::expected(number_words(least, most), self))
    }

    /// An instant: ISO 8601 in UTC, to the second or the millisecond.
    ///
    /// # Errors
    /// Anything else.
    pub fn time(&self) -> Result<TimeMs, GivenError> {
        self.parse(TIME_WORDS, TimeMs::from_iso)
    }

    /// The values of a list of at most `max`.
    ///
    /// # Errors
    /// Anything else, or more.
    pub fn list(&self, max: usize) -> Result<&[Given], GivenError> {
        match self {
            Given::List(values) if values.len() <= max => Ok(values),
            other => Err(GivenError::expected(format!("a list of at most {max}"), other)),
        }
    }

    /// The named values, of which the names are among `names`; remarks are passed over.
    ///
    /// # Errors
    /// Anything else, a name that is not known, and a name that occurs twice.
    pub fn fields(&self, names: &[&str]) -> Result<Named<'_>, GivenError> {
        let Given::Fields(fields) = self else {
            return Err(GivenError::expected(format!("named values: {}", names.join(", ")), self));
        };
        let mut named: Vec<(&str, &Given)> = Vec::new();
        for (name, value) in fields.iter().filter(|(name, _)| !name.starts_with("//")) {
            if !names.contains(&name.as_str()) {
                let known = format!("one of the names {}", names.join(", "));
                return Err(GivenError::expected(known, &Given::Text(name.clone())));
            }
            if named.iter().any(|(other, _)| other == name) {
                return Err(GivenError::expected("each name once", &Given::Text(name.clone())));
            }
            named.push((name, value));
        }
        Ok(Named(named))
    }
}

/// Named values whose names were checked.
#[derive(Debug)]
pub struct Named<'a>(Vec<(&'a str, &'a Given)>);

impl Named<'_> {
    /// The value called `name`, read by `read`; what is not there is [`Given::Nothing`].
    ///
    /// # Errors
    /// What `read` says, with the place.
    pub fn field<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Given) -> Result<T, GivenError>,
    ) -> Result<T, GivenError> {
        let value = self.0.iter().find(|(other, _)| *other == name).map_or(&Given::Nothing, |(_, v)| v);
        read(value).map_err(|error| error.within(name))
    }

    /// Whether `name` is there with a value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(other, value)| *other == name && **value != Given::Nothing)
    }
}

impl From<&View> for Given {
    /// What a person would have written to say the same.
    fn from(view: &View) -> Self {
        match view {
            View::Absent => Given::Nothing,
            View::Number(number) => Given::Number(*number),
            View::Bool(value) => Given::Bool(*value),
            View::Text(text) => Given::Text(text.clone()),
            View::Time(ms) => Given::Text(TimeMs(*ms).to_string()),
            View::List(values) => Given::List(values.iter().map(Given::from).collect()),
            View::Fields(fields) => {
                Given::Fields(fields.iter().map(|(name, view)| ((*name).to_owned(), view.into())).collect())
            }
        }
    }
}

/// How a value is written.
#[derive(Debug, Clone)]
pub struct Form {
    /// In words: `a participant id`, `one of: paper, portal`.
    pub is: String,
    /// A value that is well formed. Whether the ledger admits it is another matter.
    pub sample: View,
    /// The parts of a structure, in order; empty for everything else.
    pub parts: Vec<Part>,
    /// Whether it may be left out.
    pub is_optional: bool,
}

/// A part of a structure.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// What it is: the lines of its documentation.
    pub doc: &'static [&'static str],
    /// How it is written.
    pub form: fn() -> Form,
}

impl Form {
    /// A value without parts.
    #[must_use]
    pub fn of(is: impl Into<String>, sample: View) -> Self {
        Self { is: is.into(), sample, parts: Vec::new(), is_optional: false }
    }

    /// A structure, whose sample has those parts that may not be left out.
    #[must_use]
    pub fn structure(parts: Vec<Part>) -> Self {
        let sample = parts.iter().map(|part| (part.name, (part.form)().sample)).collect();
        Self { is: "named values".into(), sample: View::Fields(sample), parts, is_optional: false }
    }

    /// The same, where it may be left out.
    #[must_use]
    pub fn optional(self) -> Self {
        Self { is: format!("nothing, or {}", self.is), sample: View::Absent, is_optional: true, ..self }
    }

    /// A format that programs write and people do not.
    #[must_use]
    pub fn unwritten() -> Self {
        Self::of("what programs write and people do not", View::Absent)
    }
}

impl Part {
    /// The documentation as one line.
    #[must_use]
    pub fn words(&self) -> String {
        joined_lines(self.doc)
    }
}

/// Lines of documentation as one line, with links to other items as plain names.
#[must_use]
pub fn joined_lines(doc: &[&str]) -> String {
    let lines: Vec<&str> = doc.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect();
    lines.join(" ").replace("[`", "`").replace("`]", "`")
}

/// The words for a number within bounds.
#[must_use]
pub fn number_words(least: i128, most: i128) -> String {
    match (least, most) {
        (0, most) if most == i128::from(u64::MAX) => "a whole number".into(),
        (least, most) => format!("a whole number from {least} to {most}"),
    }
}

/// The words for an instant.
pub const TIME_WORDS: &str = "a time such as 2030-01-01T00:00:00Z (UTC)";

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn text(text: &str) -> Given {
        Given::Text(text.into())
    }

    #[test]
    fn an_error_names_the_place_and_what_belongs_there() {
        let given = Given::Fields(vec![("inner".into(), Given::List(vec![text("x")]))]);
        let error = given
            .fields(&["inner"])
            .and_then(|named| {
                named.field("inner", |list| {
                    list.list(2)?[0].number(0, 9).map(drop).map_err(|error| error.within("0"))
                })
            })
            .unwrap_err();
        assert_eq!(error.to_string(), "inner.0: expected a whole number from 0 to 9, found \"x\"");
    }

    #[test]
    fn unknown_and_repeated_names_are_refused_and_remarks_are_not() {
        let given = |names: &[&str]| {
            Given::Fields(names.iter().map(|name| ((*name).to_owned(), Given::Bool(true))).collect())
        };
        assert!(given(&["a", "//a", "// anything"]).fields(&["a", "b"]).is_ok());
        assert!(given(&["a", "c"]).fields(&["a", "b"]).is_err());
        assert!(given(&["a", "a"]).fields(&["a", "b"]).is_err());
        assert!(text("a").fields(&["a"]).is_err());
    }

    #[test]
    fn long_text_is_not_repeated_whole() {
        let error = text(&"ä".repeat(10_000)).number(0, 1).unwrap_err();
        assert!(error.to_string().len() < 200);
    }

    #[test]
    fn times_are_iso_8601_and_nothing_else() {
        for (given, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:00.001Z", 1),
            ("2024-02-29T23:59:59.999Z", 1_709_251_199_999),
            ("9999-12-31T23:59:59.999Z", crate::ids::FAR.0),
        ] {
            assert_eq!(text(given).time(), Ok(TimeMs(ms)));
        }
        for refused in [
            "",
            "2024",
            "2023-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-00-01T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:60:00Z",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00:00+01:00",
            "1969-12-31T23:59:59Z",
            "2024-01-01T00:00:00.0001Z",
            "2024-01-01T00:00:0éZ",
            "+024-01-01T00:00:00Z",
        ] {
            assert!(text(refused).time().is_err(), "{refused}");
        }
    }
}
