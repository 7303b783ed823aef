//! Trails: which record is listed where, and by whom a trail is owned.
//!
//! A trail is an RFC 6962 tree over the leaf hashes of its records, in the order of the log. Its
//! key is computed by validators from kind, owner and local id, so nobody can squat on another's.

use crate::cbor::{Wire, Writer, wire_enum, wire_struct};
use crate::hash::{Digest, Tag, TrailKey, tagged};
use crate::ids::ParticipantId;

wire_enum! {
    /// What a trail collects.
    pub enum TrailKind {
        /// A subject's items at one custodian.
        Subject = 1, "subject";
        /// What an institution did or holds.
        Institution = 2, "institution";
        /// What happened under a data permit.
        Permit = 3, "permit";
        /// Participants, keys, policy.
        Registry = 4, "registry";
    }
}

wire_struct! {
    /// A trail by name: what its key is computed from.
    pub struct TrailName {
        /// What it collects.
        pub kind: TrailKind,
        /// Whose it is; the registry's trail belongs to the registrar of the genesis.
        pub owner: ParticipantId,
        /// The subject's local id or the permit's; absent for institutions and the registry.
        pub local_id: Option<Digest>,
    }
}

impl TrailName {
    /// A subject's trail.
    #[must_use]
    pub fn subject(custodian: &ParticipantId, local_id: Digest) -> Self {
        Self { kind: TrailKind::Subject, owner: custodian.clone(), local_id: Some(local_id) }
    }

    /// An institution's trail.
    #[must_use]
    pub fn institution(owner: &ParticipantId) -> Self {
        Self { kind: TrailKind::Institution, owner: owner.clone(), local_id: None }
    }

    /// The registry's trail.
    #[must_use]
    pub fn registry(registrar: &ParticipantId) -> Self {
        Self { kind: TrailKind::Registry, owner: registrar.clone(), local_id: None }
    }

    /// `SHA-256(tag || CBOR [kind, owner, local id])`.
    #[must_use]
    pub fn key(&self) -> TrailKey {
        let mut w = Writer::new();
        self.write(&mut w);
        tagged(Tag::Trail, &[&w.into_bytes()]).into()
    }
}
