//! Trails: which record is listed where, and by whom a trail is owned.
//!
//! A trail is an RFC 6962 tree over the leaf hashes of its records, in the order of the log. Its
//! key is computed by validators from kind, owner and local id, so nobody can squat on another's.

use crate::cbor::{DecodeError, Reader, View, Wire, Writer, wire_enum};
use crate::hash::{Digest, Tag, TrailKey, tagged};
use crate::ids::{ParticipantId, Random16};

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

/// A trail by name: what its key is computed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailName {
    /// What it collects.
    pub kind: TrailKind,
    /// Whose it is; the registry's trail belongs to the registrar of the genesis.
    pub owner: ParticipantId,
    /// The subject's local id or the permit's; absent for institutions and the registry.
    pub local_id: Option<Digest>,
}

/// `[kind, owner, [local id] or []]`.
///
/// # Correctness
/// A name that no record can be listed under would make a proof of absence that says nothing and reads like one
/// that says much; so a local id is there exactly when the kind has one.
impl Wire for TrailName {
    fn write(&self, w: &mut Writer) {
        w.array(3);
        self.kind.write(w);
        self.owner.write(w);
        self.local_id.write(w);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.array(3)?;
        let (kind, owner) = (TrailKind::read(r)?, Wire::read(r)?);
        let at = r.position();
        let local_id: Option<Digest> = Wire::read(r)?;
        if local_id.is_some() == matches!(kind, TrailKind::Subject | TrailKind::Permit) {
            Ok(Self { kind, owner, local_id })
        } else {
            Err(DecodeError::OutOfBounds { at, what: "local id of a trail" })
        }
    }
    fn view(&self) -> View {
        View::Fields(alloc::vec![
            ("kind", self.kind.view()),
            ("owner", self.owner.view()),
            ("local_id", self.local_id.view()),
        ])
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

    /// A permit's trail.
    #[must_use]
    pub fn permit(body: &ParticipantId, permit: &Random16) -> Self {
        let local_id = Some(crate::kinds::permit::local_id(permit));
        Self { kind: TrailKind::Permit, owner: body.clone(), local_id }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_no_record_is_listed_under_is_no_name() {
        let owner: ParticipantId = "hospital-a".parse().unwrap();
        let read = |kind, local_id| {
            TrailName::from_bytes(&TrailName { kind, owner: owner.clone(), local_id }.to_bytes())
        };
        let id = Some(Digest([7; 32]));
        for kind in [TrailKind::Subject, TrailKind::Permit] {
            assert!(read(kind, id).is_ok());
            assert!(read(kind, None).is_err());
        }
        for kind in [TrailKind::Institution, TrailKind::Registry] {
            assert!(read(kind, None).is_ok());
            assert!(read(kind, id).is_err());
        }
    }
}
