//! Files: everything that is handed from hand to hand names its type in its first bytes.

use thiserror::Error;

use crate::anchor::{Advance, Links, TrustAnchor};
use crate::cbor::{DecodeError, List, Reader, Wire, wire_struct};
use crate::disclosure::{Disclosure, Openings};
use crate::genesis::Genesis;
use crate::receipt::Receipt;
use crate::submission::MAX_ITEMS;
use crate::trail_proof::TrailProof;

wire_struct! {
    /// The receipts of one submission, in the order of its items.
    pub struct Receipts = "custos.receipts.v1" {
        /// The receipts.
        pub receipts: List<Receipt, MAX_ITEMS>,
    }
}

macro_rules! files {
    ($( $(#[$meta:meta])* $variant:ident($type:ty) = $name:literal; )*) => {
        /// A file, by its type.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[allow(clippy::large_enum_variant)] // One per run of a command.
        pub enum File {
            $( $(#[$meta])* $variant($type), )*
        }

        /// Reads a file of any type.
        ///
        /// # Errors
        /// [`FileError`]: not a file of this project, or not well formed.
        pub fn decode(bytes: &[u8]) -> Result<File, FileError> {
            let name = type_name(bytes)?;
            match name {
                $( $name => <$type>::from_bytes(bytes).map(File::$variant)
                    .map_err(|error| FileError::Malformed { name: $name, error }), )*
                _ => Err(FileError::Unknown),
            }
        }
    };
}

files! {
    /// The beginning of a chain.
    Genesis(Genesis) = "custos.genesis.v1";
    /// What a verifier starts from.
    Anchor(TrustAnchor) = "custos.anchor.v1";
    /// The way from an anchor to later validators.
    Links(Links) = "custos.links.v1";
    /// What moves an anchor forward.
    Advance(Advance) = "custos.advance.v1";
    /// One receipt.
    Receipt(Receipt) = "custos.receipt.v1";
    /// Several receipts.
    Receipts(Receipts) = "custos.receipts.v1";
    /// A trail proof.
    Trail(TrailProof) = "custos.trail.v1";
    /// A proof with openings.
    Disclosure(Disclosure) = "custos.disclosure.v1";
    /// Openings alone.
    Openings(Openings) = "custos.openings.v1";
}

/// The type that a file names.
///
/// # Errors
/// [`FileError::Unknown`] when the bytes do not begin like a file of this project.
pub fn type_name(bytes: &[u8]) -> Result<&str, FileError> {
    let mut r = Reader::new(bytes);
    r.array_up_to(64).map_err(|_| FileError::Unknown)?;
    match r.ascii(64) {
        Ok(name) if name.starts_with("custos.") => Ok(name),
        _ => Err(FileError::Unknown),
    }
}

/// Why a file cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FileError {
    /// Not one of ours.
    #[error("not a Custos file, or of a newer type than this program knows")]
    Unknown,
    /// One of ours, damaged.
    #[error("says it is a {name} file, but is not well formed: {error}")]
    Malformed {
        /// The stated type.
        name: &'static str,
        /// What is wrong.
        error: DecodeError,
    },
}
