//! `access.event`: somebody accessed, or tried to access, a subject's data.
//!
//! Testimony, by the custodian or the grantee: it is never refused for its content. Clear is only
//! what validators check (who holds, who acted, on which basis, at which height it was decided);
//! who, what, when, why and with which outcome is sealed.

use crate::cbor::{wire_enum, wire_struct};
use crate::hash::Digest;
use crate::ids::{Height, ParticipantId, Random16};
use crate::seal::Seal;

/// Sealed fields of `access.event` (EHDS Annex II 3.2; FHIR AuditEvent; IHE BALP).
pub const SEALED: &[&str] = &[
    "action",
    "outcome",
    "when",
    "purpose",
    "legal basis",
    "categories",
    "origins",
    "agents",
    "relationship",
    "resources",
    "labels",
    "justification",
    "decision",
    "correlation",
    "group",
    "source",
];

wire_enum! {
    /// On which ground the author says that the access stood.
    pub enum Basis {
        /// The author does not know.
        Unknown = 0, "unknown";
        /// A rule of the subject; cited.
        Consent = 1, "consent";
        /// A law.
        Law = 2, "law";
        /// A data permit; cited.
        Permit = 3, "permit";
        /// A declared emergency; cited.
        Emergency = 4, "emergency";
        /// The subject itself.
        Subject = 5, "subject";
    }
}

wire_enum! {
    /// Why an event is recorded later than policy's lag allows.
    pub enum Late {
        /// It is not late.
        None = 0, "none";
        /// It waited in a spool.
        Spooled = 1, "spooled";
        /// It comes from an earlier system and was never decided against this ledger.
        ImportedHistory = 2, "imported-history";
    }
}

wire_enum! {
    /// How long the bodies have to be kept; the periods stand in policy.
    pub enum Retention {
        /// The policy's ordinary period.
        Standard = 1, "standard";
        /// The shorter period.
        Short = 2, "short";
        /// The longer period.
        Long = 3, "long";
    }
}

wire_struct! {
    /// An access, or a group of like accesses.
    pub struct Event {
        /// The event's own id: one event sent twice is recorded once.
        pub event: Random16,
        /// Who holds the data.
        pub custodian: ParticipantId,
        /// The subject's trail at that custodian; absent when the event has no subject.
        pub local_id: Option<Digest>,
        /// The organisation that acted.
        pub acting: ParticipantId,
        /// On which ground.
        pub basis: Basis,
        /// The rule, permit or declaration that the ground cites.
        pub cited: Option<Random16>,
        /// The head that the decider saw; 0 for imported history.
        pub at_height: Height,
        /// Why it is late, if it is.
        pub late: Late,
        /// How long it is kept.
        pub retention: Retention,
        /// The author's stream; 0 when events are not numbered.
        pub stream: u32,
        /// The event's number in the stream, from 1 without gaps; 0 when not numbered.
        pub sequence: u64,
        /// The seal over [`SEALED`].
        pub seal: Seal,
    }
}
