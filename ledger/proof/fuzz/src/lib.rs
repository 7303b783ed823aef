//! What every fuzz target asserts: bytes are refused, or they are the one encoding of what was read.

use custos_proof::cbor::Wire;

/// Reads `data` and, if it is accepted, writes it again: it MUST come out as the same bytes.
pub fn one_encoding<T: Wire>(data: &[u8]) {
    if let Ok(value) = T::from_bytes(data) {
        value.view();
        assert_eq!(value.to_bytes(), data);
    }
}
