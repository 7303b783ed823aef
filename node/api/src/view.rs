//! The JSON view of formats: one conversion for every type of the formats crate.
//!
//! A view is for reading: what is verified are the bytes. The way back ([`given`]) is for JSON that a program wrote; what
//! people write is read by [`crate::written`].

use custos_proof::cbor::View;
use custos_proof::given::{Given, GivenError};
use custos_proof::ids::TimeMs;
use serde_json::{Map, Number, Value};

/// The JSON of a view. Instants become ISO 8601 text; numbers beyond 64 bits become text.
#[must_use]
pub fn json(view: &View) -> Value {
    match view {
        View::Absent => Value::Null,
        View::Number(n) => match (u64::try_from(*n), i64::try_from(*n)) {
            (Ok(n), _) => Value::Number(Number::from(n)),
            (_, Ok(n)) => Value::Number(Number::from(n)),
            _ => Value::String(n.to_string()),
        },
        View::Bool(b) => Value::Bool(*b),
        View::Text(text) => Value::String(text.clone()),
        View::Time(ms) => Value::String(TimeMs(*ms).to_string()),
        View::List(values) => Value::Array(values.iter().map(json).collect()),
        View::Fields(fields) => Value::Object(
            fields.iter().map(|(name, value)| ((*name).to_owned(), json(value))).collect::<Map<_, _>>(),
        ),
    }
}

/// JSON as values, to be read into a type of the formats crate.
///
/// # Errors
/// A number that is not whole: no format has one. The error names the place.
pub fn given(value: &Value) -> Result<Given, GivenError> {
    Ok(match value {
        Value::Null => Given::Nothing,
        Value::Bool(value) => Given::Bool(*value),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => Given::Number(number.into()),
            (_, Some(number)) => Given::Number(number.into()),
            _ => {
                return Err(GivenError {
                    path: Vec::new(),
                    expected: "a whole number".into(),
                    found: number.to_string(),
                });
            }
        },
        Value::String(text) => Given::Text(text.clone()),
        Value::Array(values) => Given::List(
            values
                .iter()
                .enumerate()
                .map(|(at, value)| given(value).map_err(|error| error.within(&at.to_string())))
                .collect::<Result<_, _>>()?,
        ),
        Value::Object(fields) => Given::Fields(
            fields
                .iter()
                .map(|(name, value)| match given(value) {
                    Ok(value) => Ok((name.clone(), value)),
                    Err(error) => Err(error.within(name)),
                })
                .collect::<Result<_, _>>()?,
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_has_its_json() {
        let view = View::Fields(vec![
            ("none", View::Absent),
            ("n", View::Number(-3)),
            ("big", View::Number(i128::from(u64::MAX) + 1)),
            ("t", View::Time(0)),
            ("l", View::List(vec![View::Bool(true), View::Text("x".into())])),
        ]);
        assert_eq!(
            json(&view).to_string(),
            r#"{"none":null,"n":-3,"big":"18446744073709551616","t":"1970-01-01T00:00:00.000Z","l":[true,"x"]}"#
        );
    }
}
