//! Participants enter, change and are suspended by the registrar, until votes do it.
//!
//! A validator cannot be suspended or lose its role here: that would let one participant change the
//! quorum. It takes a vote.

use std::sync::Arc;

use custos_proof::ids::{LogIndex, ParticipantId};
use custos_proof::kinds::participant::{Register, Suspend, Update};
use custos_proof::registry::{Participant, Role};
use custos_proof::trail::TrailName;

use super::{About, Saying, is_validator, refuse, registry_trail};
use crate::error::{AdmitError, RefusalCode};
use crate::overlay::Overlay;

pub(super) const REGISTER: About = About {
    says: "A participant enters the registry.",
    author: "the registrar",
    listed: "registry",
    refuses: &[
        (RefusalCode::NotAllowed, "the author is not the registrar"),
        (RefusalCode::Exists, "the id is registered"),
        (RefusalCode::MalformedItem, "not exactly one of `name` and `sealed_name` is present"),
    ],
    notes: "",
};

pub(super) const UPDATE: About = About {
    says: "A participant's entry is replaced, suspension apart.",
    author: "the registrar",
    listed: "registry",
    refuses: &[
        (RefusalCode::NotAllowed, "the author is not the registrar"),
        (RefusalCode::NotFound, "the id is not registered"),
        (RefusalCode::ByVoteOnly, "a current validator would lose the role validator"),
        (RefusalCode::NotAllowed, "the registrar would lose its role"),
        (RefusalCode::MalformedItem, "not exactly one of `name` and `sealed_name` is present"),
    ],
    notes: "",
};

pub(super) const SUSPEND: About = About {
    says: "A participant loses the right to write acts; what it states is still recorded, and marked.",
    author: "the registrar",
    listed: "registry",
    refuses: &[
        (RefusalCode::NotAllowed, "the author is not the registrar"),
        (RefusalCode::NotFound, "the id is not registered"),
        (RefusalCode::ByVoteOnly, "it is a current validator"),
        (RefusalCode::NotAllowed, "it is the registrar itself"),
        (RefusalCode::Exists, "it is suspended already"),
    ],
    notes: "Writes the index of its record into the participant's entry.",
};

pub(super) fn register(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Register,
) -> Result<Vec<TrailName>, AdmitError> {
    saying.must_be_registrar(overlay)?;
    if overlay.participant(&f.id)?.is_some() {
        return refuse(
            RefusalCode::Exists,
            format!("participant {} is registered; use participant.update", f.id),
        );
    }
    let entry = entry(f, None)?;
    overlay.put_participant(&f.id, &entry);
    Ok(registry_trail(overlay))
}

pub(super) fn update(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Update,
) -> Result<Vec<TrailName>, AdmitError> {
    saying.must_be_registrar(overlay)?;
    let before = registered(overlay, &f.id)?;
    if is_validator(overlay, &f.id) && !f.roles.has(Role::Validator) {
        return refuse(
            RefusalCode::ByVoteOnly,
            format!("{} votes on blocks: its role ends by vote only", f.id),
        );
    }
    if f.id == overlay.head().registrar && !f.roles.has(Role::Registrar) {
        return refuse(
            RefusalCode::NotAllowed,
            "the registrar cannot give up its role before votes replace it",
        );
    }
    let entry = entry(f, before.suspended)?;
    overlay.put_participant(&f.id, &entry);
    Ok(registry_trail(overlay))
}

pub(super) fn suspend(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Suspend,
) -> Result<Vec<TrailName>, AdmitError> {
    saying.must_be_registrar(overlay)?;
    let mut entry = registered(overlay, &f.id)?;
    if is_validator(overlay, &f.id) {
        return refuse(
            RefusalCode::ByVoteOnly,
            format!("{} votes on blocks: it is suspended by vote only", f.id),
        );
    }
    if f.id == *saying.id {
        return refuse(RefusalCode::NotAllowed, "the registrar cannot suspend itself");
    }
    if entry.suspended.is_some() {
        return refuse(RefusalCode::Exists, format!("{} is suspended", f.id));
    }
    entry.suspended = Some(saying.index);
    overlay.put_participant(&f.id, &entry);
    Ok(registry_trail(overlay))
}

fn registered(overlay: &Overlay<'_>, id: &ParticipantId) -> Result<Participant, AdmitError> {
    match overlay.participant(id)? {
        Some(entry) => Ok(Arc::unwrap_or_clone(entry)),
        None => refuse(RefusalCode::NotFound, format!("participant {id} is not registered")),
    }
}

/// The entry of a registration; a name stands either in clear or under a seal.
pub(crate) fn entry(f: &Register, suspended: Option<LogIndex>) -> Result<Participant, AdmitError> {
    if f.name.is_some() == f.sealed_name.is_some() {
        return refuse(
            RefusalCode::MalformedItem,
            "a participant's name stands in clear or under a seal: give one",
        );
    }
    Ok(Participant {
        roles: f.roles,
        jurisdiction: f.jurisdiction.clone(),
        name: f.name.clone(),
        sealed_name: f.sealed_name,
        endpoint: f.endpoint.clone(),
        display_names: f.display_names.clone(),
        suspended,
    })
}
