//! `record.event`: what becomes of a subject's record, from its arrival to its destruction.
//!
//! Testimony, by the custodian, in the subject's own trail. The step is clear, because validators
//! check that it follows from the ones before; which data it is, where it comes from and the hash of
//! its content is sealed. A record is known by random bytes that occur in one trail only.

use crate::cbor::{wire_enum, wire_struct};
use crate::hash::Digest;
use crate::ids::Random16;
use crate::kinds::access::Retention;
use crate::seal::Seal;

/// Sealed fields of `record.event`.
pub const SEALED: &[&str] = &["categories", "origin", "content", "when", "agents"];

wire_enum! {
    /// A step in a record's life.
    pub enum Step {
        /// It comes into being here.
        Ingest = 1, "ingest";
        /// Something is added.
        Amend = 2, "amend";
        /// Something is put right (GDPR, Art. 16).
        Rectify = 3, "rectify";
        /// It is given to others.
        Distribute = 4, "distribute";
        /// It is put away.
        Archive = 5, "archive";
        /// It is destroyed.
        Destroy = 6, "destroy";
        /// It goes on from another year's trail; which record it was there is sealed, as its origin.
        Resume = 7, "resume";
    }
}

impl Step {
    /// Whether this step may follow `last`, the one before; `None` is the beginning.
    #[must_use]
    pub const fn follows(self, last: Option<Step>) -> bool {
        match (last, self) {
            (None, Step::Ingest | Step::Resume) => true,
            (None, _) | (Some(_), Step::Ingest | Step::Resume) | (Some(Step::Destroy), _) => false,
            // What was put away is not worked on; it can be put right, given out, and destroyed.
            (Some(Step::Archive), step) => matches!(step, Step::Rectify | Step::Distribute | Step::Destroy),
            (Some(_), _) => true,
        }
    }

    /// What the next step is judged by: an archived record stays archived when it is put right or given out.
    #[must_use]
    pub const fn after(self, last: Option<Step>) -> Step {
        match (last, self) {
            (Some(Step::Archive), Step::Rectify | Step::Distribute) => Step::Archive,
            (_, step) => step,
        }
    }
}

wire_struct! {
    /// A step in a record's life.
    pub struct Event {
        /// The event's own id.
        pub event: Random16,
        /// The subject's own trail at the author.
        pub local_id: Digest,
        /// The record: random bytes, the same in all its events and nowhere else.
        pub record: Random16,
        /// The step.
        pub step: Step,
        /// How long the event is kept.
        pub retention: Retention,
        /// The seal over [`SEALED`].
        pub seal: Seal,
    }
}
