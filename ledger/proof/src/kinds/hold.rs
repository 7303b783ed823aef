//! `hold.set`, `hold.lift` and `payload.erase`: what has to be kept, and what may go.
//!
//! Acts. A hold forbids erasing; who ordered it and what it is about is sealed. A hold on a subject's
//! trail stands in that trail, where the subject reads it; a hold whose subject must not learn of it
//! is set on the whole institution. An erasure names a stretch of a trail, and frees all nodes from
//! keeping the items there: records, roots and proofs stay what they are.

use crate::cbor::{wire_enum, wire_struct};
use crate::hash::Digest;
use crate::ids::{ParticipantId, Random16, TimeMs};
use crate::kinds::access::Retention;
use crate::seal::Seal;

/// Sealed fields of `hold.set`.
pub const SET_SEALED: &[&str] = &["authority", "range", "note"];

/// Sealed fields of `payload.erase`.
pub const ERASE_SEALED: &[&str] = &["order", "note"];

/// The most entries that one `payload.erase` covers.
pub const MAX_ERASED: u64 = 4096;

wire_struct! {
    /// Nothing is erased from here on.
    pub struct Set {
        /// The hold's id, new at this custodian.
        pub hold: Random16,
        /// Who has to keep.
        pub custodian: ParticipantId,
        /// Which subject's trail; absent: everything of the custodian's.
        pub local_id: Option<Digest>,
        /// The seal over [`SET_SEALED`].
        pub seal: Seal,
    }
}

wire_struct! {
    /// A hold ends.
    pub struct Lift {
        /// The custodian.
        pub custodian: ParticipantId,
        /// Which hold.
        pub hold: Random16,
        /// What it is on, as it was set.
        pub local_id: Option<Digest>,
    }
}

wire_enum! {
    /// By what right something is erased.
    pub enum Authority {
        /// The retention class has ended.
        RetentionEnded = 1, "retention-ended";
        /// A court orders it.
        Court = 2, "court";
        /// A supervisory authority orders it.
        Supervisor = 3, "supervisor";
    }
}

wire_struct! {
    /// Items of a stretch of a trail need not be kept any longer.
    pub struct Erase {
        /// The trail's local id; its owner is the author.
        pub local_id: Digest,
        /// The first position.
        pub from: u64,
        /// The position behind the last.
        pub to: u64,
        /// Which items: accesses and record events of this class; for everything else the class is `long`.
        pub retention: Retention,
        /// Only what was recorded before this time: a quarter's first instant; [`crate::ids::FAR`] for orders.
        pub before: TimeMs,
        /// By what right.
        pub authority: Authority,
        /// The seal over [`ERASE_SEALED`].
        pub seal: Seal,
    }
}
