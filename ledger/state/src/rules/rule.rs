//! A subject's rule is put by the subject's key, an agent, or the custodian with evidence; never by the grantee.

use custos_proof::hash::{ItemHash, TrailKey};
use custos_proof::ids::Random16;
use custos_proof::kinds::rule::{Collected, Put};
use custos_proof::registry::{RuleStatus, SubjectTrail};
use custos_proof::submission::Author;
use custos_proof::trail::TrailName;

use super::{About, Saying, refuse, trail_agent};
use crate::error::{AdmitError, RefusalCode};
use crate::overlay::Overlay;

pub(super) const PUT: About = About {
    says: "A rule enters a subject's trail, whatever it says, and others may cease.",
    author: "the subject's key for the trail, an agent of the trail, or its custodian",
    listed: "the subject's trail",
    refuses: &[
        (
            RefusalCode::NotAllowed,
            "the author is not `custodian`, nor an agent that the trail names, nor a subject's key for this trail",
        ),
        (RefusalCode::NotFound, "the trail was not opened"),
        (RefusalCode::TrailClosed, "the trail is closed"),
        (RefusalCode::NotAllowed, "`collected` is signed and the author the custodian, or neither"),
        (RefusalCode::NotAllowed, "`collected` is custodian although the trail has a grantee"),
        (
            RefusalCode::WrongEpoch,
            "the trail's epoch is not the year of t; for an item that ends rules: nor the year before",
        ),
        (
            RefusalCode::BadExpiry,
            "the expiry is not the first millisecond of a January, April, July or October (UTC), nor the largest time",
        ),
        (RefusalCode::BadExpiry, "the expiry is not after t"),
        (RefusalCode::Exists, "the rule id was used in this trail"),
        (RefusalCode::NotFound, "one of `ends` is no rule of this trail"),
        (RefusalCode::Exists, "one of `ends` has ended"),
    ],
    notes: "Enters a rule-status and ends those of `ends`, at this block's height.\n\n\
        Clear fields do not tell what a rule says: permits, restrictions, revocations, delegations, renewed codes and \
        links look alike. By convention, an entry of the own trail that lists a grantee's trail has `collected` \
        custodian and the sealed inner kind `lists-trail`; it is not in one submission with items of that grantee's \
        trail, and no submission holds items of two trails of one subject.\n\n\
        A rule that lives on is restated in the new year's trail, with a fresh id and a random `prior`: which rule it \
        was is sealed. `delegation.grant` and `.revoke`, `subject.rekey`, `.link` and `.unlink` of the vocabulary are \
        inner kinds of this one (ADR 0014).",
};

pub(super) fn put(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Put,
) -> Result<Vec<TrailName>, AdmitError> {
    put_by(overlay, saying.author, saying.item, f)
}

/// The same, by a participant or by a subject.
pub(super) fn put_by(
    overlay: &mut Overlay<'_>,
    author: &Author,
    item: ItemHash,
    f: &Put,
) -> Result<Vec<TrailName>, AdmitError> {
    let name = TrailName::subject(&f.custodian, f.local_id);
    let key = name.key();
    let standing = trail_agent::standing(overlay, author, &f.custodian, &key)?;
    let trail = trail_agent::open(overlay, &key)?;
    standing.check(f.collected)?;
    check_trail(overlay, &trail, f)?;
    if !f.expiry.is_coarse() {
        return refuse(
            RefusalCode::BadExpiry,
            "an expiry is the first instant of a quarter (UTC), or the far end",
        );
    }
    if f.expiry <= overlay.time() {
        return refuse(RefusalCode::BadExpiry, format!("the rule would have ended at {}", f.expiry));
    }
    if overlay.rule(&key, &f.rule)?.is_some() {
        return refuse(RefusalCode::Exists, "a rule of this id stands in this trail");
    }
    for rule in f.ends.iter() {
        end(overlay, &key, rule)?;
    }
    let status = RuleStatus { item, put: overlay.height(), expiry: f.expiry, ended: None };
    overlay.put_rule(&key, &f.rule, &status);
    Ok(vec![name])
}

/// Rules stand in the trail of the year in which they are put; a living rule is restated in the next year's.
/// The trail of the year before takes what ends a rule, so that nobody restates what the subject has ended.
fn check_trail(overlay: &Overlay<'_>, trail: &SubjectTrail, f: &Put) -> Result<(), AdmitError> {
    if f.collected == Collected::Custodian && trail.grantee.is_some() {
        return refuse(
            RefusalCode::NotAllowed,
            "the custodian's own entries stand in the subject's own trail",
        );
    }
    let (year, epoch) = (overlay.time().year(), u64::from(trail.epoch));
    if epoch == year || (epoch + 1 == year && !f.ends.is_empty()) {
        return Ok(());
    }
    refuse(
        RefusalCode::WrongEpoch,
        format!("the trail is of {epoch}, it is {year}: open this year's trail and put the rule there"),
    )
}

fn end(overlay: &mut Overlay<'_>, trail: &TrailKey, rule: &Random16) -> Result<(), AdmitError> {
    match overlay.rule(trail, rule)? {
        Some(status) if status.ended.is_none() => {
            let ended = RuleStatus { ended: Some(overlay.height()), ..status };
            overlay.put_rule(trail, rule, &ended);
            Ok(())
        }
        Some(_) => refuse(RefusalCode::Exists, format!("rule {rule} was ended before")),
        None => refuse(RefusalCode::NotFound, format!("no rule {rule} stands in this trail")),
    }
}
