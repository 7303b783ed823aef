//! Access bodies issue, amend and revoke permits; validators judge an access that cites one.
//!
//! Every version of a permit's terms stays in the state, so that an access is judged by what held
//! when it was decided, however the permit changed since.

use custos_proof::cbor::Set;
use custos_proof::hash::ItemHash;
use custos_proof::ids::{FAR, Height, ParticipantId, Random16};
use custos_proof::kinds::access::Event;
use custos_proof::kinds::permit::{Amend, Issue, MAX_AMENDMENTS, Revoke, Terms};
use custos_proof::record::{Code, DueRule};
use custos_proof::registry::{Due, DuePlace, Permit, PermitTerms, Role};
use custos_proof::trail::TrailName;

use super::{About, Saying, due_rule, refuse, time_at};
use crate::error::{AdmitError, RefusalCode};
use crate::overlay::Overlay;
use crate::view::ViewError;

pub(super) const ISSUE: About = About {
    says: "An access body permits a data user to use data for purposes of the public.",
    author: "an access body",
    listed: "the permit's trail, the body's, the data user's",
    refuses: &[
        (RefusalCode::NotAllowed, "the author has not the role access-body"),
        (RefusalCode::Exists, "a permit of this id was issued"),
        (RefusalCode::MalformedItem, "no purpose, no category, or no holder"),
        (RefusalCode::OutOfRange, "the period does not end after it begins, or not after t"),
        (RefusalCode::NotFound, "user, holder or environment is not registered"),
        (RefusalCode::NotAllowed, "the user has not the role data-user, or a holder not the role custodian"),
    ],
    notes: "The permit's trail is `[3, body, [SHA-256(permit id)]]`. Enters the permit and version 1 of its terms; at \
        its end a fact falls due, listed in the permit's trail and the body's.",
};

pub(super) const AMEND: About = About {
    says: "A permit's terms are replaced; what they add counts as issued now.",
    author: "the access body that issued it",
    listed: "the permit's trail, the body's, the data user's",
    refuses: &[
        (RefusalCode::NotFound, "no such permit was issued"),
        (RefusalCode::NotAllowed, "another body issued it"),
        (RefusalCode::Ended, "it was revoked, or its period is over at t"),
        (RefusalCode::MalformedItem, "as `permit.issue`"),
        (RefusalCode::OutOfRange, "as `permit.issue`"),
        (RefusalCode::NotFound, "as `permit.issue`"),
        (RefusalCode::NotAllowed, "as `permit.issue`, or the data user is another"),
        (RefusalCode::QuotaExceeded, "it was amended 255 times"),
    ],
    notes: "Enters the next version of the terms; earlier ones stay, for accesses that were decided under them.",
};

pub(super) const REVOKE: About = About {
    says: "A permit ends now.",
    author: "the access body that issued it",
    listed: "the permit's trail, the body's, the data user's",
    refuses: &[
        (RefusalCode::NotFound, "no such permit was issued"),
        (RefusalCode::NotAllowed, "another body issued it"),
        (RefusalCode::Ended, "it was revoked, or its period is over at t"),
    ],
    notes: "",
};

pub(super) fn issue(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Issue,
) -> Result<Vec<TrailName>, AdmitError> {
    saying.must_have(&[Role::AccessBody])?;
    if overlay.permit(&f.permit)?.is_some() {
        return refuse(RefusalCode::Exists, format!("permit {} exists: choose a fresh id", f.permit));
    }
    check_terms(overlay, &f.terms)?;
    let permit = Permit { body: saying.id.clone(), version: 1, revoked: None };
    begin_version(overlay, saying.item, &f.permit, &permit, &f.terms);
    Ok(listed(&f.permit, &permit, &f.terms))
}

pub(super) fn amend(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Amend,
) -> Result<Vec<TrailName>, AdmitError> {
    let (mut permit, before) = running(overlay, saying, &f.permit)?;
    check_terms(overlay, &f.terms)?;
    if before.terms.user != f.terms.user {
        return refuse(RefusalCode::NotAllowed, "another data user needs another permit");
    }
    if permit.version > MAX_AMENDMENTS {
        return refuse(
            RefusalCode::QuotaExceeded,
            format!("a permit is amended at most {MAX_AMENDMENTS} times: issue another"),
        );
    }
    overlay.settle(&expiry(&before))?;
    permit.version += 1;
    begin_version(overlay, saying.item, &f.permit, &permit, &f.terms);
    Ok(listed(&f.permit, &permit, &f.terms))
}

pub(super) fn revoke(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Revoke,
) -> Result<Vec<TrailName>, AdmitError> {
    let (mut permit, before) = running(overlay, saying, &f.permit)?;
    overlay.settle(&expiry(&before))?;
    permit.revoked = Some(overlay.height());
    overlay.put_permit(&f.permit, &permit);
    Ok(listed(&f.permit, &permit, &before.terms))
}

/// A permit of the author's that has not ended, with its terms.
fn running(
    overlay: &Overlay<'_>,
    saying: &Saying<'_>,
    id: &Random16,
) -> Result<(Permit, PermitTerms), AdmitError> {
    let Some(permit) = overlay.permit(id)? else {
        return refuse(RefusalCode::NotFound, format!("no permit {id} was issued"));
    };
    if permit.body != *saying.id {
        return refuse(RefusalCode::NotAllowed, format!("permit {id} is {}'s", permit.body));
    }
    let terms = overlay.permit_terms(id, permit.version)?;
    if permit.revoked.is_some() || terms.terms.ends <= overlay.time() {
        return refuse(RefusalCode::Ended, format!("permit {id} has ended: issue another"));
    }
    Ok((permit, terms))
}

fn check_terms(overlay: &Overlay<'_>, terms: &Terms) -> Result<(), AdmitError> {
    if terms.purposes.is_empty() || terms.categories.is_empty() || terms.holders.is_empty() {
        return refuse(
            RefusalCode::MalformedItem,
            "a permit names at least one purpose, one category and one holder",
        );
    }
    if terms.begins >= terms.ends || terms.ends <= overlay.time() {
        return refuse(RefusalCode::OutOfRange, "a permit's period ends after it begins, and after now");
    }
    member(overlay, &terms.user, Some(Role::DataUser))?;
    for holder in terms.holders.iter() {
        member(overlay, holder, Some(Role::Custodian))?;
    }
    terms.environment.as_ref().map_or(Ok(()), |environment| member(overlay, environment, None))
}

fn member(overlay: &Overlay<'_>, id: &ParticipantId, role: Option<Role>) -> Result<(), AdmitError> {
    match (overlay.participant(id)?, role) {
        (None, _) => refuse(RefusalCode::NotFound, format!("participant {id} is not registered")),
        (Some(member), Some(role)) if !member.roles.has(role) => {
            refuse(RefusalCode::NotAllowed, format!("{id} has not the role {}", role.word()))
        }
        (Some(_), _) => Ok(()),
    }
}

fn begin_version(overlay: &mut Overlay<'_>, item: ItemHash, id: &Random16, permit: &Permit, terms: &Terms) {
    let terms = PermitTerms { item, since: overlay.height(), terms: terms.clone() };
    overlay.put_permit(id, permit);
    overlay.put_permit_terms(id, permit.version, &terms);
    if terms.terms.ends != FAR {
        let trails = [TrailName::permit(&permit.body, id).key(), TrailName::institution(&permit.body).key()];
        overlay
            .put_due(&Due { place: expiry(&terms), trails: Set::new(trails.to_vec()).unwrap_or_default() });
    }
}

fn expiry(terms: &PermitTerms) -> DuePlace {
    DuePlace { deadline: terms.terms.ends, cause: terms.item, rule: due_rule(DueRule::PermitExpired) }
}

/// A permit's items stand in its own trail, the body's and the data user's.
fn listed(id: &Random16, permit: &Permit, terms: &Terms) -> Vec<TrailName> {
    vec![
        TrailName::permit(&permit.body, id),
        TrailName::institution(&permit.body),
        TrailName::institution(&terms.user),
    ]
}

/// What a permit says about an access that was decided at a height.
pub(super) fn judge(
    overlay: &Overlay<'_>,
    id: &Random16,
    permit: &Permit,
    f: &Event,
    at: Height,
) -> Result<Vec<Code>, ViewError> {
    let Some(PermitTerms { terms, .. }) = terms_at(overlay, id, permit, at)? else {
        return Ok(vec![Code::PermitNotYet]);
    };
    let time = time_at(overlay, at)?;
    let mut codes = Vec::new();
    if permit.revoked.is_some_and(|revoked| revoked <= at) || terms.ends <= time {
        codes.push(Code::PermitEnded);
    }
    if time < terms.begins {
        codes.push(Code::PermitNotYet);
    }
    if !terms.holders.contains(&f.custodian) {
        codes.push(Code::NotHolder);
    }
    if f.acting != terms.user && terms.environment.as_ref() != Some(&f.acting) {
        codes.push(Code::NotUser);
    }
    Ok(codes)
}

/// The terms that held at a height: those of the last version recorded by then.
fn terms_at(
    overlay: &Overlay<'_>,
    id: &Random16,
    permit: &Permit,
    at: Height,
) -> Result<Option<PermitTerms>, ViewError> {
    for version in (1..=permit.version).rev() {
        let terms = overlay.permit_terms(id, version)?;
        if terms.since <= at {
            return Ok(Some(terms));
        }
    }
    Ok(None)
}

/// Whether somebody is named by a permit as it stands: only they are listed in its trail.
pub(super) fn names(
    overlay: &Overlay<'_>,
    id: &Random16,
    permit: &Permit,
    who: &ParticipantId,
) -> Result<bool, ViewError> {
    let terms = overlay.permit_terms(id, permit.version)?.terms;
    Ok(terms.user == *who || terms.holders.contains(who) || terms.environment.as_ref() == Some(who))
}
