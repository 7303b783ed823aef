//! `finding.record`: an auditor states what it found, by which rule, on which evidence.
//!
//! An act, by an auditor with a mandate, in the institution's trail. Which subject it is about is
//! sealed.

use crate::cbor::{Ascii, Set, wire_struct};
use crate::hash::{Digest, ItemHash};
use crate::ids::{ParticipantId, Random16};
use crate::seal::Seal;

/// Sealed fields of `finding.record`.
pub const SEALED: &[&str] = &["pointer", "words"];

wire_struct! {
    /// A finding about an institution.
    pub struct Record {
        /// The finding's id, new for this institution.
        pub finding: Random16,
        /// About whom.
        pub institution: ParticipantId,
        /// The rule that was applied, by the auditor's own name for it.
        pub rule: Ascii<48>,
        /// SHA-256 of that rule's text, in the version that was applied.
        pub version: Digest,
        /// The items that it rests on.
        pub evidence: Set<ItemHash, 16>,
        /// The seal over [`SEALED`].
        pub seal: Seal,
    }
}
