//! Values of sealed fields: written by custodians, read by patients. The first two bytes choose kind and field.

#![no_main]

use custos_proof::kinds::Kind;
use custos_proof::sealed_values::{describe, view};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [kind, field, value @ ..] = data else { return };
    let Some(kind) = Kind::ALL.get(usize::from(*kind)) else { return };
    let words = describe(*kind, *field, value);
    assert_eq!(view(*kind, *field, value).is_ok(), words.is_ok());
    assert!(words.is_ok_and(|words| !words.chars().any(char::is_control)) || view(*kind, *field, value).is_err());
});
