//! `dispute.open`, `.answer` and `.resolve`: an entry is contested, in three steps.
//!
//! Acts, in the institution's trail. An auditor opens a dispute, or the institution itself on behalf
//! of a subject that complained; the institution answers; who opened it resolves it. What it is about is
//! sealed, so that a dispute tells nobody which subject complained.

use crate::cbor::{wire_enum, wire_struct};
use crate::ids::{ParticipantId, Random16};
use crate::seal::Seal;

/// Sealed fields of `dispute.open`.
pub const SEALED_OPEN: &[&str] = &["pointer", "words"];
/// Sealed fields of `dispute.answer` and `dispute.resolve`.
pub const SEALED_REPLY: &[&str] = &["words"];

wire_struct! {
    /// Something is contested.
    pub struct Open {
        /// The dispute's id, new for this institution.
        pub dispute: Random16,
        /// With whom.
        pub institution: ParticipantId,
        /// For whom it is opened.
        pub behalf: Behalf,
        /// The seal over [`SEALED_OPEN`].
        pub seal: Seal,
    }
}

wire_enum! {
    /// For whom a dispute is opened.
    pub enum Behalf {
        /// The author itself.
        Author = 1, "author";
        /// A subject that complained to the author.
        Subject = 2, "subject";
    }
}

wire_struct! {
    /// The institution says what it has to say.
    pub struct Answer {
        /// Which dispute.
        pub dispute: Random16,
        /// The seal over [`SEALED_REPLY`].
        pub seal: Seal,
    }
}

wire_struct! {
    /// The dispute ends.
    pub struct Resolve {
        /// Which dispute.
        pub dispute: Random16,
        /// With whom it was.
        pub institution: ParticipantId,
        /// How it ends.
        pub resolution: Resolution,
        /// The seal over [`SEALED_REPLY`].
        pub seal: Seal,
    }
}

wire_enum! {
    /// How a dispute ends.
    pub enum Resolution {
        /// The entry stands.
        Dismissed = 1, "dismissed";
        /// The entry was wrong; a correction was recorded.
        Corrected = 2, "corrected";
        /// The access was wrong.
        Upheld = 3, "upheld";
        /// Whoever opened it took it back.
        Withdrawn = 4, "withdrawn";
    }
}
