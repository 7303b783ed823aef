//! `participant.register`, `.update`, `.suspend`: who takes part, in which roles.
//!
//! Acts, in the registry's trail. In protocol version 1 before votes exist, their author is the
//! registrar named by the genesis. A natural person's name (a single-doctor practice) is sealed.

use crate::cbor::{Ascii, List, Text, wire_enum, wire_struct};
use crate::ids::ParticipantId;
use crate::registry::Roles;
use crate::seal::Seal;

/// Sealed fields of a registration whose participant is a natural person.
pub const SEALED: &[&str] = &["name"];

wire_struct! {
    /// A name for display in one language.
    pub struct DisplayName {
        /// BCP 47 language tag.
        pub language: Ascii<16>,
        /// The name in that language.
        pub name: Text<128>,
    }
}

wire_struct! {
    /// A participant enters the registry.
    pub struct Register {
        /// Its id; never used for another participant again.
        pub id: ParticipantId,
        /// What it may do.
        pub roles: Roles,
        /// ISO 3166-1 alpha-2, or `EU`.
        pub jurisdiction: Ascii<8>,
        /// The organisation's name; absent for a natural person, whose name is sealed.
        pub name: Option<Text<128>>,
        /// The seal over the name of a natural person.
        pub sealed_name: Option<Seal>,
        /// Where its node or gateway is reached; empty when nowhere.
        pub endpoint: Ascii<255>,
        /// Names for display, by language.
        pub display_names: List<DisplayName, 8>,
    }
}

/// A participant's entry is replaced: the fields are those of a registration, under another kind.
pub type Update = Register;

wire_enum! {
    /// Why a participant is suspended or a key revoked.
    pub enum Reason {
        /// No reason is given.
        Unspecified = 0, "unspecified";
        /// A secret may be known to others.
        Compromised = 1, "compromised";
        /// Replaced by another.
        Superseded = 2, "superseded";
        /// No longer in operation.
        Ceased = 3, "ceased";
        /// An agreement was broken.
        Breach = 4, "breach";
        /// At the participant's own wish.
        Request = 5, "request";
    }
}

wire_struct! {
    /// A participant loses the right to write acts. What it states about accesses is still recorded, and marked.
    pub struct Suspend {
        /// Who.
        pub id: ParticipantId,
        /// Why.
        pub reason: Reason,
    }
}
