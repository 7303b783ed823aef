//! `audit.read`: somebody read the audit trail itself.
//!
//! Testimony, by an auditor or by the institution's own operator, in the institution's trail. What
//! was read is sealed, how much is not: those who watch are watched, too.

use crate::cbor::wire_struct;
use crate::ids::{ParticipantId, Random16};
use crate::seal::Seal;

/// Sealed fields of `audit.read`.
pub const SEALED: &[&str] = &["what", "agents", "when"];

wire_struct! {
    /// Entries of an institution's trails were read.
    pub struct Read {
        /// The event's own id.
        pub event: Random16,
        /// Whose trails.
        pub custodian: ParticipantId,
        /// Under which mandate.
        pub mandate: Option<Random16>,
        /// How many entries.
        pub count: u32,
        /// The seal over [`SEALED`].
        pub seal: Seal,
    }
}
