//! `access.correct`: an author takes back what it stated about an access.
//!
//! Testimony, by the author of the prior event, in the same trails. Nothing is removed: readers show
//! the prior struck out and, with the opening, what stands in its place. An event of the wrong
//! person is recorded anew in the right person's trail; the pointer to it is sealed, so that the two
//! trails have nothing in common.

use crate::cbor::{wire_enum, wire_struct};
use crate::hash::Digest;
use crate::ids::{ParticipantId, Random16};
use crate::seal::Seal;

/// Sealed fields of `access.correct`.
pub const SEALED: &[&str] = &["replacement", "note"];

wire_enum! {
    /// What was wrong.
    pub enum Reason {
        /// The content; the replacement says better.
        Content = 1, "content";
        /// The person.
        Subject = 2, "subject";
        /// It was stated twice.
        Duplicate = 3, "duplicate";
        /// It did not happen.
        NotHappened = 4, "not-happened";
    }
}

wire_struct! {
    /// An event is corrected.
    pub struct Correct {
        /// The correction's own id.
        pub correction: Random16,
        /// The event that is corrected: its event id, of the same author.
        pub prior: Random16,
        /// The prior's custodian.
        pub custodian: ParticipantId,
        /// The prior's trail.
        pub local_id: Option<Digest>,
        /// The prior's acting organisation.
        pub acting: ParticipantId,
        /// What was wrong.
        pub reason: Reason,
        /// The seal over [`SEALED`].
        pub seal: Seal,
    }
}
