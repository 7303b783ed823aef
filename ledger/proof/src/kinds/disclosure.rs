//! `disclosure.export` and `.import`: data leaves one institution and arrives at another.
//!
//! Testimony, by the source and by the recipient, in institutions' trails only. The two halves are
//! matched by the transfer's id; a half whose other half is missing after policy's period becomes a
//! fact of the chain. A recipient that is no participant (a court, a registry, a patient) owes no
//! import; its name is sealed. Whose data it was is a sealed pointer.

use crate::cbor::{Ascii, wire_struct};
use crate::hash::Digest;
use crate::ids::{ParticipantId, Random16};
use crate::seal::Seal;

/// Sealed fields of `disclosure.export` (45 CFR 164.528; BALP PrivacyDisclosure).
pub const EXPORT_SEALED: &[&str] =
    &["when", "recipient", "subject", "purpose", "categories", "accounting", "description"];

/// Sealed fields of `disclosure.import`.
pub const IMPORT_SEALED: &[&str] = &["when", "subject", "categories", "description"];

wire_struct! {
    /// Data was given to somebody.
    pub struct Export {
        /// The event's own id.
        pub event: Random16,
        /// The transfer: the same random bytes in both halves.
        pub transfer: Random16,
        /// Who receives it, if it is a participant.
        pub recipient: Option<ParticipantId>,
        /// SHA-256 of the agreement under which it is given.
        pub agreement: Option<Digest>,
        /// SHA-256 of the instrument by which the receiving country is recognised.
        pub recognition: Option<Digest>,
        /// From where: ISO 3166-1 alpha-2; empty if not stated.
        pub from_country: Ascii<2>,
        /// To where.
        pub to_country: Ascii<2>,
        /// The seal over [`EXPORT_SEALED`].
        pub seal: Seal,
    }
}

wire_struct! {
    /// Data was received from somebody.
    pub struct Import {
        /// The event's own id.
        pub event: Random16,
        /// The transfer: the same random bytes in both halves.
        pub transfer: Random16,
        /// Who gave it.
        pub source: ParticipantId,
        /// From where: ISO 3166-1 alpha-2; empty if not stated.
        pub from_country: Ascii<2>,
        /// To where.
        pub to_country: Ascii<2>,
        /// The seal over [`IMPORT_SEALED`].
        pub seal: Seal,
    }
}
