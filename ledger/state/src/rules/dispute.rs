//! A dispute is opened, answered and resolved.
//!
//! An institution opens disputes with itself, for subjects that complained; with others only an
//! auditor with a mandate does, so that nobody fills another's trail.

use custos_proof::ids::{ParticipantId, Random16};
use custos_proof::kinds::dispute::{Answer, Behalf, Open, Resolution, Resolve};
use custos_proof::registry::{self, Dispute, Role};
use custos_proof::trail::TrailName;

use super::{About, Saying, mandate, refuse};
use crate::error::{AdmitError, RefusalCode};
use crate::overlay::Overlay;

pub(super) const OPEN: About = About {
    says: "An entry is contested.",
    author: "an auditor with a mandate, or the institution itself on behalf of a subject",
    listed: "the institution's trail, the author's",
    refuses: &[
        (RefusalCode::NotAllowed, "the author is the institution, and `behalf` is not subject"),
        (RefusalCode::NotAllowed, "the author is another, without the role auditor"),
        (RefusalCode::NoMandate, "the auditor has no mandate for the institution that has not ended"),
        (RefusalCode::Exists, "the dispute id was used for this institution"),
    ],
    notes: "",
};

pub(super) const ANSWER: About = About {
    says: "The institution says what it has to say.",
    author: "the institution",
    listed: "the institution's trail",
    refuses: &[
        (RefusalCode::NotFound, "there is no such dispute with the author"),
        (RefusalCode::Exists, "it was answered, or resolved"),
    ],
    notes: "",
};

pub(super) const RESOLVE: About = About {
    says: "The dispute ends.",
    author: "who opened it",
    listed: "the institution's trail, the author's",
    refuses: &[
        (RefusalCode::NotFound, "there is no such dispute"),
        (RefusalCode::NotAllowed, "the author did not open it"),
        (RefusalCode::NotAllowed, "it was not answered, and is not withdrawn"),
        (RefusalCode::Exists, "it was resolved"),
    ],
    notes: "A dispute that was not answered can only be withdrawn.",
};

pub(super) fn open(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Open,
) -> Result<Vec<TrailName>, AdmitError> {
    if *saying.id == f.institution {
        if f.behalf != Behalf::Subject {
            return refuse(RefusalCode::NotAllowed, "an institution disputes with itself for subjects only");
        }
    } else {
        saying.must_have(&[Role::Auditor])?;
        if mandate::active(overlay, saying.id, &f.institution)?.is_none() {
            return refuse(
                RefusalCode::NoMandate,
                format!("{} has no mandate for {}", saying.id, f.institution),
            );
        }
    }
    if dispute(overlay, &f.institution, &f.dispute)?.is_some() {
        return refuse(RefusalCode::Exists, "a dispute of this id was opened before");
    }
    let entry = Dispute { opener: saying.id.clone(), answered: None, resolved: None };
    overlay.put(registry::dispute_key(&f.institution, &f.dispute), &entry);
    Ok(vec![TrailName::institution(&f.institution), TrailName::institution(saying.id)])
}

pub(super) fn answer(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Answer,
) -> Result<Vec<TrailName>, AdmitError> {
    let Some(entry) = dispute(overlay, saying.id, &f.dispute)? else {
        return refuse(RefusalCode::NotFound, "there is no such dispute with its author");
    };
    if entry.answered.is_some() || entry.resolved.is_some() {
        return refuse(RefusalCode::Exists, "the dispute was answered or resolved before");
    }
    let entry = Dispute { answered: Some(overlay.height()), ..entry };
    overlay.put(registry::dispute_key(saying.id, &f.dispute), &entry);
    Ok(vec![TrailName::institution(saying.id)])
}

pub(super) fn resolve(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Resolve,
) -> Result<Vec<TrailName>, AdmitError> {
    let Some(entry) = dispute(overlay, &f.institution, &f.dispute)? else {
        return refuse(RefusalCode::NotFound, "there is no such dispute");
    };
    if entry.opener != *saying.id {
        return refuse(RefusalCode::NotAllowed, format!("{} opened it, and ends it", entry.opener));
    }
    if entry.resolved.is_some() {
        return refuse(RefusalCode::Exists, "the dispute was resolved before");
    }
    if entry.answered.is_none() && f.resolution != Resolution::Withdrawn {
        return refuse(RefusalCode::NotAllowed, "without an answer a dispute can only be withdrawn");
    }
    let entry = Dispute { resolved: Some(overlay.height()), ..entry };
    overlay.put(registry::dispute_key(&f.institution, &f.dispute), &entry);
    Ok(vec![TrailName::institution(&f.institution), TrailName::institution(saying.id)])
}

fn dispute(
    overlay: &Overlay<'_>,
    institution: &ParticipantId,
    id: &Random16,
) -> Result<Option<Dispute>, AdmitError> {
    Ok(overlay.read(&registry::dispute_key(institution, id), "dispute")?)
}
