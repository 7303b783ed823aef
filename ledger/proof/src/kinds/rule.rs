//! `rule.put`: a subject's rule, whatever it says.
//!
//! One outer kind for consent, refusal, restriction, opt-out, revocation and the rest, so that
//! nothing clear differs between a permitting and a restricting rule (EHDS, Art. 8: providers may
//! not see that a person has restricted access, and validators are providers). What the rule says
//! is sealed: also who is somebody's guardian, that a code was renewed, or that two trails are of one
//! person. An act, by the subject's key for the trail, an agent that the trail names, or the
//! custodian with evidence; never by the grantee.

use crate::cbor::{Set, wire_enum, wire_struct};
use crate::hash::Digest;
use crate::ids::{ParticipantId, Random16, TimeMs};
use crate::seal::Seal;

/// Sealed fields of `rule.put`.
pub const SEALED: &[&str] = &["inner kind", "body", "evidence"];

wire_enum! {
    /// How the custodian came to know the subject's will.
    pub enum Collected {
        /// A signed paper.
        Paper = 1, "paper";
        /// Said in person.
        InPerson = 2, "in-person";
        /// Through a portal.
        Portal = 3, "portal";
        /// With an electronic signature.
        ESignature = 4, "e-signature";
        /// By no subject's will: an entry that the custodian makes in the subject's own trail (the list of trails).
        Custodian = 5, "custodian";
        /// The author is the subject's own key or its agent: the signature is the evidence.
        Signed = 6, "signed";
    }
}

wire_struct! {
    /// A rule enters a subject's trail, and others may cease.
    pub struct Put {
        /// Whose trail.
        pub custodian: ParticipantId,
        /// The trail's local id.
        pub local_id: Digest,
        /// The rule's id, new in this trail.
        pub rule: Random16,
        /// The rule that this one follows, or random bytes.
        pub prior: Random16,
        /// When the rule ends at the latest: a quarter's first instant (UTC), or [`crate::ids::FAR`].
        pub expiry: TimeMs,
        /// The rules of this trail that cease to be in force.
        pub ends: Set<Random16, 16>,
        /// How the custodian knows.
        pub collected: Collected,
        /// The seal over [`SEALED`].
        pub seal: Seal,
    }
}
