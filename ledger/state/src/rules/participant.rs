//! Participants enter, change and are suspended by vote.
//!
//! A validator cannot be suspended or lose its role while it votes on blocks: `validator.remove` comes
//! first, in the same proposal.

use std::sync::Arc;

use custos_proof::ids::{LogIndex, ParticipantId};
use custos_proof::kinds::Kind;
use custos_proof::kinds::participant::{Register, Suspend, Update};
use custos_proof::registry::{Participant, Role};
use custos_proof::trail::TrailName;

use super::{About, Saying, refuse, registry_trail, will_validate};
use crate::error::{AdmitError, RefusalCode};
use crate::overlay::Overlay;

pub(super) const REGISTER: About = About {
    says: "A participant enters the registry.",
    author: "the validators, by vote",
    listed: "registry",
    refuses: &[
        (RefusalCode::ByVoteOnly, "it is not part of a proposal that was agreed on"),
        (RefusalCode::Exists, "the id is registered"),
        (RefusalCode::NotAllowed, "the name stands in clear although the policy says that it is sealed"),
        (RefusalCode::MalformedItem, "not exactly one of `name` and `sealed_name` is present"),
    ],
    notes: "",
};

pub(super) const UPDATE: About = About {
    says: "A participant's entry is replaced, suspension apart.",
    author: "the validators, by vote",
    listed: "registry",
    refuses: &[
        (RefusalCode::ByVoteOnly, "it is not part of a proposal that was agreed on"),
        (RefusalCode::NotFound, "the id is not registered"),
        (RefusalCode::NotAllowed, "a validator of the next block would lose the role validator"),
        (RefusalCode::NotAllowed, "the name stands in clear although the policy says that it is sealed"),
        (RefusalCode::MalformedItem, "not exactly one of `name` and `sealed_name` is present"),
    ],
    notes: "",
};

pub(super) const SUSPEND: About = About {
    says: "A participant loses the right to write acts; what it states is still recorded, and marked.",
    author: "the validators, by vote",
    listed: "registry",
    refuses: &[
        (RefusalCode::ByVoteOnly, "it is not part of a proposal that was agreed on"),
        (RefusalCode::NotFound, "the id is not registered"),
        (RefusalCode::NotAllowed, "it is a validator of the next block"),
        (RefusalCode::Exists, "it is suspended already"),
    ],
    notes: "Writes the index of its record into the participant's entry.",
};

pub(super) fn register(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Register,
) -> Result<Vec<TrailName>, AdmitError> {
    saying.must_be_voted()?;
    if overlay.participant(&f.id)?.is_some() {
        return refuse(
            RefusalCode::Exists,
            format!("participant {} is registered; use participant.update", f.id),
        );
    }
    name_is_sealed(overlay, f, Kind::ParticipantRegister)?;
    let entry = entry(f, None)?;
    overlay.put_participant(&f.id, &entry);
    Ok(registry_trail(overlay))
}

pub(super) fn update(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Update,
) -> Result<Vec<TrailName>, AdmitError> {
    saying.must_be_voted()?;
    let before = registered(overlay, &f.id)?;
    if will_validate(overlay, &f.id)? && !f.roles.has(Role::Validator) {
        return refuse(
            RefusalCode::NotAllowed,
            format!("{} votes on blocks: validator.remove comes first, in the same proposal", f.id),
        );
    }
    name_is_sealed(overlay, f, Kind::ParticipantUpdate)?;
    let entry = entry(f, before.suspended)?;
    overlay.put_participant(&f.id, &entry);
    Ok(registry_trail(overlay))
}

pub(super) fn suspend(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Suspend,
) -> Result<Vec<TrailName>, AdmitError> {
    saying.must_be_voted()?;
    let mut entry = registered(overlay, &f.id)?;
    if will_validate(overlay, &f.id)? {
        return refuse(
            RefusalCode::NotAllowed,
            format!("{} votes on blocks: validator.remove comes first, in the same proposal", f.id),
        );
    }
    if entry.suspended.is_some() {
        return refuse(RefusalCode::Exists, format!("{} is suspended", f.id));
    }
    entry.suspended = Some(saying.index);
    overlay.put_participant(&f.id, &entry);
    Ok(registry_trail(overlay))
}

/// The name stands under a seal where the policy says so.
fn name_is_sealed(overlay: &Overlay<'_>, f: &Register, kind: Kind) -> Result<(), AdmitError> {
    let field = format!("{}/name", kind.name());
    match f.name.is_some() && overlay.policy()?.must_seal.iter().any(|sealed| **sealed == *field) {
        true => refuse(RefusalCode::NotAllowed, format!("the policy says that {field} is sealed")),
        false => Ok(()),
    }
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
