//! An auditor's right to read a custodian's trails, given by the custodian or by vote.

use custos_proof::ids::ParticipantId;
use custos_proof::kinds::mandate::{End, Issue};
use custos_proof::registry::{self, Mandate, Role};
use custos_proof::trail::TrailName;

use super::{About, Saying, refuse, registry_trail};
use crate::error::{AdmitError, RefusalCode};
use crate::overlay::Overlay;
use crate::view::ViewError;

/// The most years of one mandate.
const MAX_YEARS: u16 = 30;

pub(super) const ISSUE: About = About {
    says: "An auditor gets the right to read a custodian's trails of some years.",
    author: "the custodian, or the validators by vote",
    listed: "registry",
    refuses: &[
        (RefusalCode::NotAllowed, "the author is not `custodian`, and there was no vote"),
        (RefusalCode::NotFound, "`auditor` or `custodian` is not registered"),
        (
            RefusalCode::NotAllowed,
            "`auditor` is suspended or has not the role auditor, or `custodian` not the role custodian",
        ),
        (RefusalCode::OutOfRange, "the last year is before the first, or more than 30 years are named"),
        (RefusalCode::Exists, "the auditor has a mandate for this custodian that has not ended"),
    ],
    notes: "Nodes serve the custodian's institution trail, and its subjects' trails of those years, to the auditor.",
};

pub(super) const END: About = About {
    says: "The right to read ends.",
    author: "the custodian, the auditor, or the validators by vote",
    listed: "registry",
    refuses: &[
        (RefusalCode::NotAllowed, "the author is neither of the two, and there was no vote"),
        (RefusalCode::NotFound, "there is no mandate that has not ended"),
    ],
    notes: "",
};

pub(super) fn issue(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Issue,
) -> Result<Vec<TrailName>, AdmitError> {
    saying.must_speak_for(&f.custodian)?;
    for (id, role) in [(&f.auditor, Role::Auditor), (&f.custodian, Role::Custodian)] {
        let Some(participant) = overlay.participant(id)? else {
            return refuse(RefusalCode::NotFound, format!("participant {id} is not registered"));
        };
        if !participant.roles.has(role) || (role == Role::Auditor && participant.suspended.is_some()) {
            return refuse(
                RefusalCode::NotAllowed,
                format!("{id} is suspended, or has not the role {}", role.word()),
            );
        }
    }
    if f.to_year.checked_sub(f.from_year).is_none_or(|years| years >= MAX_YEARS) {
        return refuse(RefusalCode::OutOfRange, format!("a mandate is for 1 to {MAX_YEARS} years"));
    }
    if active(overlay, &f.auditor, &f.custodian)?.is_some() {
        return refuse(RefusalCode::Exists, "there is a mandate between these two: end it first");
    }
    let mandate = Mandate {
        mandate: f.mandate,
        from_year: f.from_year,
        to_year: f.to_year,
        issued: overlay.height(),
        ended: None,
    };
    overlay.put(registry::mandate_key(&f.auditor, &f.custodian), &mandate);
    Ok(registry_trail(overlay))
}

pub(super) fn end(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &End,
) -> Result<Vec<TrailName>, AdmitError> {
    if *saying.id != f.auditor {
        saying.must_speak_for(&f.custodian)?;
    }
    let Some(mandate) = active(overlay, &f.auditor, &f.custodian)? else {
        return refuse(RefusalCode::NotFound, "there is no mandate between these two");
    };
    let ended = Mandate { ended: Some(overlay.height()), ..mandate };
    overlay.put::<Mandate>(registry::mandate_key(&f.auditor, &f.custodian), &ended);
    Ok(registry_trail(overlay))
}

/// The auditor's mandate for this custodian, unless it ended.
pub(super) fn active(
    overlay: &Overlay<'_>,
    auditor: &ParticipantId,
    custodian: &ParticipantId,
) -> Result<Option<Mandate>, ViewError> {
    let mandate: Option<Mandate> = overlay.read(&registry::mandate_key(auditor, custodian), "mandate")?;
    Ok(mandate.filter(|mandate| mandate.ended.is_none()))
}
