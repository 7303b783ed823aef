//! The tree that formats show of themselves, as JSON.
//!
//! Hashes and ids are lower-case hexadecimal, times ISO 8601 in UTC, numbers that JSON readers
//! commonly cannot hold are text.

use custos_proof::cbor::{View, Wire};
use custos_proof::ids::TimeMs;
use serde_json::{Map, Value};

/// The largest integer that every JSON reader keeps exactly (2^53 - 1).
const MAX_EXACT: i128 = (1 << 53) - 1;

/// A value of the ledger's formats as JSON.
pub(crate) fn of<T: Wire>(value: &T) -> Value {
    tree(&value.view())
}

/// A tree as JSON.
pub(crate) fn tree(view: &View) -> Value {
    match view {
        View::Absent => Value::Null,
        View::Number(number) if number.abs() <= MAX_EXACT => Value::from(*number as i64),
        View::Number(number) => Value::String(number.to_string()),
        View::Bool(value) => Value::Bool(*value),
        View::Text(text) => Value::String(text.clone()),
        View::Time(ms) => Value::String(TimeMs(*ms).to_string()),
        View::List(values) => Value::Array(values.iter().map(tree).collect()),
        View::Fields(fields) => Value::Object(
            fields.iter().map(|(name, value)| ((*name).to_owned(), tree(value))).collect::<Map<_, _>>(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_become_text_and_times_iso_8601() {
        assert_eq!(tree(&View::Number(1 << 60)), Value::String("1152921504606846976".into()));
        assert_eq!(tree(&View::Number(-7)), Value::from(-7));
        assert_eq!(tree(&View::Time(0)), Value::String("1970-01-01T00:00:00.000Z".into()));
    }
}
