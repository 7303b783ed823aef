//! `trail.open` and `trail.close`: a custodian begins and ends a subject's trail.
//!
//! Acts, by the custodian, in the trail itself; the opening stands in the custodian's institution
//! trail too, so that an auditor can enumerate what was opened. Nothing here names a person: the
//! local id is a pseudorandom function of a secret that custodian and patient share.

use crate::cbor::wire_struct;
use crate::hash::Digest;
use crate::ids::ParticipantId;
use crate::seal::Seal;

/// Sealed fields of `trail.open`: the way back from a grantee's trail to the subject's own.
pub const SEALED: &[&str] = &["back pointer"];

wire_struct! {
    /// A trail for one subject at one custodian, for one calendar year.
    pub struct Open {
        /// The subject's pseudonym in this trail; see [`crate::subject`].
        pub local_id: Digest,
        /// Whose accesses the trail lists; absent for the subject's own trail.
        pub grantee: Option<ParticipantId>,
        /// The calendar year (UTC) of the block that records the opening.
        pub epoch: u16,
        /// SHA-256 of the reader's preimage: who shows the preimage may read the trail.
        pub reader: Digest,
        /// The seal over [`SEALED`].
        pub seal: Seal,
    }
}

wire_struct! {
    /// No further rule is put into this trail. Testimony is still recorded, and marked.
    pub struct Close {
        /// The trail's local id; its owner is the author.
        pub local_id: Digest,
    }
}
