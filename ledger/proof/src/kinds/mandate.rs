//! `mandate.issue` and `.end`: an auditor may read a custodian's trails of some years.
//!
//! Acts, in the registry's trail, so that everybody can see who may read whom. The keys of the years
//! ([`crate::subject::EpochSecret`]), wrapped for the auditor, are sealed.

use crate::cbor::wire_struct;
use crate::ids::{ParticipantId, Random16};
use crate::seal::Seal;

/// Sealed fields of `mandate.issue`.
pub const SEALED: &[&str] = &["wrapped keys"];

wire_struct! {
    /// An auditor gets the right to read.
    pub struct Issue {
        /// The mandate's id: random bytes.
        pub mandate: Random16,
        /// Who may read; it has the role auditor.
        pub auditor: ParticipantId,
        /// Whose trails.
        pub custodian: ParticipantId,
        /// The first calendar year.
        pub from_year: u16,
        /// The last calendar year.
        pub to_year: u16,
        /// The seal over [`SEALED`].
        pub seal: Seal,
    }
}

wire_struct! {
    /// The right ends.
    pub struct End {
        /// Who could read.
        pub auditor: ParticipantId,
        /// Whose trails.
        pub custodian: ParticipantId,
    }
}
