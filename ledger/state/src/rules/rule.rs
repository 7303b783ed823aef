//! A custodian puts a subject's rule, with evidence; never the grantee.

use custos_proof::hash::TrailKey;
use custos_proof::ids::Random16;
use custos_proof::kinds::rule::{Collected, Put};
use custos_proof::registry::{RuleStatus, SubjectTrail};
use custos_proof::trail::TrailName;

use super::{About, Saying, refuse};
use crate::error::{AdmitError, RefusalCode};
use crate::overlay::Overlay;

pub(super) const PUT: About = About {
    says: "A rule enters a subject's trail, whatever it says, and others may cease.",
    author: "the trail's custodian",
    listed: "the subject's trail",
    refuses: &[
        (RefusalCode::NotAllowed, "`custodian` is not the author"),
        (RefusalCode::NotFound, "the trail was not opened"),
        (RefusalCode::TrailClosed, "the trail is closed"),
        (RefusalCode::NotAllowed, "`collected` is custodian although the trail has a grantee"),
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
        Clear fields do not tell what a rule says: permits, restrictions and revocations look alike. By convention, \
        an entry of the own trail that lists a grantee's trail has `collected` custodian and the sealed inner kind \
        `lists-trail`; it is not in one submission with items of that grantee's trail, and no submission holds items \
        of two trails of one subject.",
};

pub(super) fn put(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Put,
) -> Result<Vec<TrailName>, AdmitError> {
    if *saying.id != f.custodian {
        return refuse(
            RefusalCode::NotAllowed,
            format!("only {} may put rules into this trail", f.custodian),
        );
    }
    let name = TrailName::subject(&f.custodian, f.local_id);
    let key = name.key();
    check_trail(overlay.subject(&key)?, f.collected)?;
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
    let status = RuleStatus { item: saying.item, put: overlay.height(), expiry: f.expiry, ended: None };
    overlay.put_rule(&key, &f.rule, &status);
    Ok(vec![name])
}

fn check_trail(trail: Option<SubjectTrail>, collected: Collected) -> Result<(), AdmitError> {
    match trail {
        None => refuse(RefusalCode::NotFound, "this trail was never opened by its author"),
        Some(trail) if trail.closed.is_some() => refuse(RefusalCode::TrailClosed, "this trail is closed"),
        Some(trail) if collected == Collected::Custodian && trail.grantee.is_some() => {
            refuse(RefusalCode::NotAllowed, "the custodian's own entries stand in the subject's own trail")
        }
        Some(_) => Ok(()),
    }
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
