//! Holds are set and lifted; what is past its retention, on no hold, may be erased.

use custos_proof::ids::{FAR, ParticipantId, TimeMs};
use custos_proof::kinds::hold::{Authority, Erase, Lift, MAX_ERASED, Set};
use custos_proof::registry::{Hold, Role};
use custos_proof::trail::TrailName;

use super::{About, Saying, refuse};
use crate::changes::Erasure;
use crate::error::{AdmitError, RefusalCode};
use crate::overlay::Overlay;

/// How old an item is at least when it is erased, whoever orders it: validators that were away for less
/// find every body when they come back. A month, as Art. 12(3) of the GDPR gives.
pub const MIN_AGE_MS: u64 = 30 * 86_400_000;

pub(super) const SET: About = About {
    says: "Nothing is erased: neither in a subject's trail, nor, without one, at a custodian at all.",
    author: "the custodian, or an auditor",
    listed: "the subject's trail if one is named, the custodian's, the author's",
    refuses: &[
        (RefusalCode::NotAllowed, "the author is neither the custodian nor has the role auditor"),
        (RefusalCode::NotFound, "the custodian is not registered"),
        (RefusalCode::NotFound, "the trail was not opened"),
        (RefusalCode::Exists, "a hold of this id was set at this custodian"),
    ],
    notes: "A hold on a subject's trail is read there by the subject; one that the subject must not learn of is set on \
        the institution.",
};

pub(super) const LIFT: About = About {
    says: "A hold ends.",
    author: "who set it",
    listed: "as the hold",
    refuses: &[
        (RefusalCode::NotFound, "no such hold was set there"),
        (RefusalCode::NotAllowed, "another set it"),
        (RefusalCode::Ended, "it was lifted"),
    ],
    notes: "",
};

pub(super) const ERASE: About = About {
    says: "Items of a stretch of a subject's trail need not be kept any longer.",
    author: "the trail's custodian",
    listed: "the subject's trail, the custodian's",
    refuses: &[
        (RefusalCode::NotFound, "the trail was not opened by the author"),
        (RefusalCode::OutOfRange, "not 1 to 4096 positions that the trail has"),
        (RefusalCode::OnHold, "a hold is on the trail or on the custodian"),
        (RefusalCode::OutOfRange, "retention-ended: `before` is not the first instant of a quarter (UTC)"),
        (RefusalCode::TooEarly, "retention-ended: `before` and the class's period lie after t"),
        (RefusalCode::OutOfRange, "court, supervisor: `before` is not the largest time"),
    ],
    notes: "Frees every node from keeping the items at those positions that are of the class, were recorded before \
        `before`, and more than 30 days before t. Items without a class of their own are of class long. Records, roots \
        and envelopes stay: an erased item reads as pruned, and every proof verifies as before.",
};

pub(super) fn set(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Set,
) -> Result<Vec<TrailName>, AdmitError> {
    if *saying.id != f.custodian && !saying.participant.roles.has(Role::Auditor) {
        return refuse(
            RefusalCode::NotAllowed,
            format!("a hold on {} is set by itself or by an auditor", f.custodian),
        );
    }
    if overlay.participant(&f.custodian)?.is_none() {
        return refuse(RefusalCode::NotFound, format!("participant {} is not registered", f.custodian));
    }
    let name = match f.local_id {
        None => TrailName::institution(&f.custodian),
        Some(local_id) => TrailName::subject(&f.custodian, local_id),
    };
    let key = name.key();
    if f.local_id.is_some() && overlay.subject(&key)?.is_none() {
        return refuse(RefusalCode::NotFound, "this trail was never opened by the custodian");
    }
    if overlay.hold(&f.custodian, &f.hold)?.is_some() {
        return refuse(RefusalCode::Exists, format!("hold {} exists: choose a fresh id", f.hold));
    }
    let hold = Hold { by: saying.id.clone(), trail: key, whole: f.local_id.is_none(), lifted: None };
    overlay.put_hold(&f.custodian, &f.hold, &hold);
    let holds = overlay.held(&key)?;
    overlay.put_held(&key, holds.saturating_add(1));
    Ok(listed(saying, &f.custodian, name))
}

pub(super) fn lift(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Lift,
) -> Result<Vec<TrailName>, AdmitError> {
    let name = match f.local_id {
        None => TrailName::institution(&f.custodian),
        Some(local_id) => TrailName::subject(&f.custodian, local_id),
    };
    let key = name.key();
    let Some(hold) = overlay.hold(&f.custodian, &f.hold)?.filter(|hold| hold.trail == key) else {
        return refuse(RefusalCode::NotFound, format!("no hold {} was set there", f.hold));
    };
    if hold.by != *saying.id {
        return refuse(
            RefusalCode::NotAllowed,
            format!("{} set this hold, and only it may lift it", hold.by),
        );
    }
    if hold.lifted.is_some() {
        return refuse(RefusalCode::Ended, format!("hold {} was lifted before", f.hold));
    }
    let lifted = Hold { lifted: Some(overlay.height()), ..hold };
    overlay.put_hold(&f.custodian, &f.hold, &lifted);
    let holds = overlay.held(&key)?;
    overlay.put_held(&key, holds.saturating_sub(1));
    Ok(listed(saying, &f.custodian, name))
}

fn listed(saying: &Saying<'_>, custodian: &ParticipantId, name: TrailName) -> Vec<TrailName> {
    vec![name, TrailName::institution(custodian), TrailName::institution(saying.id)]
}

pub(super) fn erase(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Erase,
) -> Result<Vec<TrailName>, AdmitError> {
    let name = TrailName::subject(saying.id, f.local_id);
    let key = name.key();
    if overlay.subject(&key)?.is_none() {
        return refuse(RefusalCode::NotFound, "this trail was never opened by its author");
    }
    if f.from >= f.to || f.to - f.from > MAX_ERASED || f.to > overlay.trail_size(&key)? {
        return refuse(
            RefusalCode::OutOfRange,
            format!("a stretch of 1 to {MAX_ERASED} entries that the trail has"),
        );
    }
    if overlay.is_held(&key)? {
        return refuse(
            RefusalCode::OnHold,
            "a hold is on this trail or on its custodian: it has to be lifted first",
        );
    }
    match f.authority {
        Authority::RetentionEnded => retention_ended(overlay, f)?,
        Authority::Court | Authority::Supervisor if f.before == FAR => {}
        Authority::Court | Authority::Supervisor => {
            return refuse(
                RefusalCode::OutOfRange,
                "an order is not about age: leave the time at the far end",
            );
        }
    }
    overlay.erase(erasure(saying.id, f, overlay.time()));
    Ok(vec![name, TrailName::institution(saying.id)])
}

/// What an erasure by `custodian` that was recorded at `time` takes.
#[must_use]
pub fn erasure(custodian: &ParticipantId, f: &Erase, time: TimeMs) -> Erasure {
    let month_ago = TimeMs(time.0.saturating_sub(MIN_AGE_MS));
    Erasure {
        trail: TrailName::subject(custodian, f.local_id).key(),
        from: f.from,
        to: f.to,
        retention: f.retention,
        before: f.before.min(month_ago),
    }
}

/// What was recorded before this time has been kept for as long as its class asks for.
fn retention_ended(overlay: &Overlay<'_>, f: &Erase) -> Result<(), AdmitError> {
    if !f.before.is_coarse() || f.before == FAR {
        return refuse(RefusalCode::OutOfRange, "the time is the first instant of a quarter (UTC)");
    }
    let end = f.before.plus(overlay.policy()?.retention_ms(f.retention));
    if end > overlay.time() {
        return refuse(
            RefusalCode::TooEarly,
            format!("what was recorded until {} has to be kept until {end}", f.before),
        );
    }
    Ok(())
}
