//! What a fuzz target is: a name, a function of bytes, and inputs that it accepts to begin with.

use std::fmt;

/// What a decoder said of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was read.
    Accepted,
    /// It was refused, for this reason.
    Refused(String),
}

impl Outcome {
    /// Of a decoder's result.
    pub fn of<T, E: fmt::Display>(result: Result<T, E>) -> Self {
        match result {
            Ok(_) => Outcome::Accepted,
            Err(error) => Outcome::Refused(error.to_string()),
        }
    }

    /// The outcome without its numbers and quoted parts, which differ from input to input and say nothing new.
    #[must_use]
    pub fn class(&self) -> String {
        let Outcome::Refused(reason) = self else { return "accepted".into() };
        let mut class = String::new();
        let mut quoted = None;
        let mut chars = reason.chars().take(400);
        while let Some(c) = chars.next() {
            match (quoted, c) {
                (None, '"' | '`') => quoted = Some(c),
                (Some(quote), c) if quote == c => quoted = None,
                // What is escaped, a quote perhaps, ends nothing.
                (Some('"'), '\\') => drop(chars.next()),
                (None, c) if !c.is_ascii_digit() && c.is_ascii() => class.push(c),
                _ => {}
            }
        }
        class
    }
}

/// How inputs are written, which says what mutations are promising.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// Not text: CBOR, fixed layouts.
    Bytes,
    /// JSON.
    Json,
    /// XML, and syslog around it.
    Xml,
    /// TOML.
    Toml,
    /// Headers and words.
    Words,
    /// Names and values in an address, percent-encoded.
    Query,
}

/// One decoder.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it reads, for people.
    pub reads: &'static str,
    /// How inputs are written.
    pub text: Text,
    /// Reads an input. Panics when the decoder breaks its contract; that is what fuzzing looks for.
    pub run: fn(&[u8]) -> Outcome,
    /// Inputs to begin with; the decoder accepts some of them.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_quotes_do_not_make_an_outcome_new() {
        let class = |text: &str| Outcome::Refused(text.into()).class();
        assert_eq!(class("ends early, at byte 7"), class("ends early, at byte 19"));
        assert_eq!(class("is \"a\", not this"), class("is \"bcd\", not this"));
        assert_eq!(class(r#"found "a\"b", not this"#), class(r#"found "\\", not this"#));
        assert_eq!(class("unknown field `a\"`, not this"), class("unknown field `\"b`, not this"));
        assert_ne!(class("ends early"), class("ends late"));
        assert_eq!(Outcome::of(Ok::<_, String>(1)).class(), "accepted");
    }
}
