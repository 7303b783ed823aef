//! Just enough JSON to write vectors: values in the order they were put, two spaces of indentation.
//!
//! Deliberately absent: reading, floats, and a dependency.

use std::fmt::Write as _;

/// A JSON value.
#[derive(Debug, Clone)]
pub enum Json {
    /// A number.
    Number(u64),
    /// `true` or `false`.
    Bool(bool),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Json>),
    /// Named values.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The document, with a line break at its end.
    pub fn document(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, 0);
        out.push('\n');
        out
    }

    /// The object with one more member.
    pub fn with(mut self, name: &str, value: impl Into<Json>) -> Self {
        if let Json::Object(members) = &mut self {
            members.push((name.into(), value.into()));
        }
        self
    }

    fn write(&self, out: &mut String, depth: usize) {
        match self {
            Json::Number(number) => {
                let _ = write!(out, "{number}");
            }
            Json::Bool(value) => {
                let _ = write!(out, "{value}");
            }
            Json::Text(text) => quote(out, text),
            Json::List(values) if values.is_empty() => out.push_str("[]"),
            Json::List(values) => {
                out.push('[');
                for (i, value) in values.iter().enumerate() {
                    line(out, i, depth + 1);
                    value.write(out, depth + 1);
                }
                close(out, ']', depth);
            }
            Json::Object(members) => {
                out.push('{');
                for (i, (name, value)) in members.iter().enumerate() {
                    line(out, i, depth + 1);
                    quote(out, name);
                    out.push_str(": ");
                    value.write(out, depth + 1);
                }
                close(out, '}', depth);
            }
        }
    }
}

fn line(out: &mut String, i: usize, depth: usize) {
    out.push_str(if i == 0 { "\n" } else { ",\n" });
    (0..depth).for_each(|_| out.push_str("  "));
}

fn close(out: &mut String, bracket: char, depth: usize) {
    out.push('\n');
    (0..depth).for_each(|_| out.push_str("  "));
    out.push(bracket);
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_ascii() && !c.is_ascii_control() => out.push(c),
            c => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                let _ = write!(out, "\\u{unit:04x}");
            }),
        }
    }
    out.push('"');
}

/// An object without members.
pub fn object() -> Json {
    Json::Object(Vec::new())
}

/// A list.
pub fn list<T: Into<Json>>(values: impl IntoIterator<Item = T>) -> Json {
    Json::List(values.into_iter().map(Into::into).collect())
}

/// Bytes in hexadecimal.
pub fn hex(bytes: impl AsRef<[u8]>) -> Json {
    Json::Text(bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

impl From<u64> for Json {
    fn from(number: u64) -> Self {
        Json::Number(number)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Json::Bool(value)
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Json::Text(text.into())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Json::Text(text)
    }
}
