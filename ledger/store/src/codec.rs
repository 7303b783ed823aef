//! The one place where database rows of our own making become bytes and come back.
//!
//! Rows are `bincode`, exactly version 2.0.1 (3.0.0 is an empty last release). Nothing here is ever
//! hashed or signed: what is hashed stays the CBOR it was hashed as and does not pass through here.
//! Reading checks that all bytes were consumed and that no row asks for more memory than a row can
//! have, so that a flipped length is damage with a name and not an allocation.
//!
//! Deliberately absent: versions. The layout of every row belongs to the store's format version.

use bincode::config::{self, Configuration, Limit, LittleEndian, Varint};
use bincode::{Decode, Encode};
use thiserror::Error;

/// The longest row, in bytes: a validator set or a list of placings, with room to spare.
pub(crate) const MAX_ROW_BYTES: usize = 128 * 1024;

const CONFIG: Configuration<LittleEndian, Varint, Limit<MAX_ROW_BYTES>> = config::standard().with_limit();

/// Bytes that are not a row of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum BadRow {
    /// They do not decode.
    #[error("bytes that do not decode ({0})")]
    Form(String),
    /// They decode and something follows.
    #[error("{0} bytes behind the row")]
    Trailing(usize),
}

/// The bytes of a row.
pub(crate) fn encode<T: Encode>(row: &T) -> Vec<u8> {
    bincode::encode_to_vec(row, CONFIG).expect("because rows are plain data and memory takes every byte")
}

/// The row that fills `bytes` completely.
pub(crate) fn decode<T: Decode<()>>(bytes: &[u8]) -> Result<T, BadRow> {
    match bincode::decode_from_slice(bytes, CONFIG) {
        Ok((row, consumed)) if consumed == bytes.len() => Ok(row),
        Ok((_, consumed)) => Err(BadRow::Trailing(bytes.len() - consumed)),
        Err(error) => Err(BadRow::Form(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, PartialEq, Encode, Decode)]
    struct Row {
        index: u64,
        list: Vec<(u32, [u8; 32])>,
        text: String,
    }

    #[test]
    fn a_row_comes_back_and_nothing_else_does() {
        let row = Row { index: 70_000, list: vec![(1, [7; 32])], text: "hospital-a".into() };
        let bytes = encode(&row);
        assert_eq!(decode::<Row>(&bytes), Ok(row));
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(decode::<Row>(&longer), Err(BadRow::Trailing(1)));
        assert!(matches!(decode::<Row>(&bytes[..bytes.len() - 1]), Err(BadRow::Form(_))));
    }

    #[test]
    fn a_length_that_no_row_has_is_refused_before_memory_is_taken() {
        // The list claims 2^60 members.
        let mut bytes = vec![1, 253];
        bytes.extend((1u64 << 60).to_le_bytes());
        assert!(matches!(decode::<Row>(&bytes), Err(BadRow::Form(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_row_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = decode::<Row>(&bytes);
        }
    }
}
