//! What validators find about an access: the clear facts that agree and those that contradict it.
//!
//! Nothing here refuses. Facts are judged at `at_height`, the head that the decider saw, so that a
//! revocation ordered later does not brand an honest hospital and a consent written later does not
//! launder an access. The chain never says that an access was permitted.

use custos_proof::hash::TrailKey;
use custos_proof::ids::{Height, Random16};
use custos_proof::kinds::access::{Basis, Event, Late};
use custos_proof::record::{Check, Code};
use custos_proof::registry::{Emergency, RuleStatus, SubjectTrail};
use custos_proof::trail::TrailName;

use super::findings::{Findings, STATING};
use super::life::Parties;
use super::{About, Outcome, Saying, permit, time_at};
use crate::overlay::Overlay;
use crate::view::ViewError;

pub(super) const EVENT: About = About {
    says: "Somebody accessed, or tried to access, a subject's data.",
    author: "any participant",
    listed: "see below",
    refuses: &[],
    notes: "",
};

pub(super) fn event(overlay: &mut Overlay<'_>, saying: &Saying<'_>, f: &Event) -> Result<Outcome, ViewError> {
    let mut found = match Findings::begin(overlay, saying, &f.event)? {
        Ok(found) => found,
        Err(before) => return Ok(before),
    };
    found.author(saying, &STATING);
    if *saying.id != f.custodian && *saying.id != f.acting {
        found.check(Check::Author, [Code::AuthorNotParty]);
    }
    found.known(overlay, &f.custodian, Code::UnknownCustodian)?;
    found.known(overlay, &f.acting, Code::UnknownActing)?;
    sequence(overlay, saying, f, &mut found)?;
    let decided = decided_at(overlay, f, &mut found)?;
    let name = f.local_id.map(|local_id| TrailName::subject(&f.custodian, local_id));
    let key = name.as_ref().map(|name| overlay.trail_key(name));
    let subject = key.as_ref().map(|key| overlay.subject(key)).transpose()?.flatten();
    if key.is_some() {
        found.check(Check::Trail, trail(overlay, f, subject.as_ref(), decided)?);
    }
    let parties = Parties {
        author: saying.id,
        custodian: &f.custodian,
        acting: &f.acting,
        grantee: subject.as_ref().and_then(|subject| subject.grantee.as_ref()),
    };
    let listed = key.filter(|_| parties.write_to_the_subject());
    ground(overlay, f, key.as_ref(), listed.as_ref(), decided, &mut found)?;
    let mut trails = parties.trails(name, found.is_contradicted());
    trails.extend(permit_trail(overlay, saying, f)?);
    Ok(found.recorded(trails))
}

/// The trail of the cited permit, if the author is somebody whom it names.
fn permit_trail(
    overlay: &Overlay<'_>,
    saying: &Saying<'_>,
    f: &Event,
) -> Result<Option<TrailName>, ViewError> {
    let (Basis::Permit, Some(cited)) = (f.basis, f.cited) else { return Ok(None) };
    let Some(entry) = overlay.permit(&cited)? else { return Ok(None) };
    let named = permit::names(overlay, &cited, &entry, saying.id)?;
    Ok(named.then(|| TrailName::permit(&entry.body, &cited)))
}

fn sequence(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Event,
    found: &mut Findings,
) -> Result<(), ViewError> {
    if f.stream == 0 {
        return Ok(());
    }
    let last = overlay.stream(saying.author, f.stream)?.unwrap_or(0);
    found.check(
        Check::Sequence,
        match f.sequence.checked_sub(last) {
            Some(1) => None,
            None | Some(0) => Some(Code::OutOfOrder),
            Some(_) => Some(Code::Gap),
        },
    );
    if f.sequence > last {
        overlay.put_stream(saying.author, f.stream, f.sequence);
    }
    Ok(())
}

/// The height at which the access was decided, when facts can be judged there.
fn decided_at(overlay: &Overlay<'_>, f: &Event, found: &mut Findings) -> Result<Option<Height>, ViewError> {
    if f.late == Late::ImportedHistory {
        found.mark(Code::Imported);
        return Ok(None);
    }
    if f.at_height > overlay.head().height {
        found.check(Check::Lag, [Code::FutureHeight]);
        return Ok(None);
    }
    let decided = time_at(overlay, f.at_height)?;
    let late = decided.plus(overlay.policy()?.lag_ms) < overlay.time();
    found.check(Check::Lag, late.then_some(Code::Late));
    Ok((!late).then_some(f.at_height))
}

fn trail(
    overlay: &Overlay<'_>,
    f: &Event,
    subject: Option<&SubjectTrail>,
    decided: Option<Height>,
) -> Result<Vec<Code>, ViewError> {
    let Some(subject) = subject else {
        return Ok(vec![Code::TrailNotOpen]);
    };
    let mut codes = Vec::new();
    // In the subject's own trail stand the custodian's staff, and what was denied: both look the same.
    if f.acting != *subject.grantee.as_ref().unwrap_or(&f.custodian) {
        codes.push(Code::ActingNotGrantee);
    }
    if subject.closed.zip(decided).is_some_and(|(closed, at)| closed <= at) {
        codes.push(Code::TrailClosed);
    }
    if let Some(at) = decided {
        let years = [time_at(overlay, at)?.year(), overlay.time().year()];
        if !years.contains(&u64::from(subject.epoch)) {
            codes.push(Code::OtherEpoch);
        }
    }
    Ok(codes)
}

/// The ground that the event states, as far as it cites something checkable.
fn ground(
    overlay: &mut Overlay<'_>,
    f: &Event,
    trail: Option<&TrailKey>,
    listed: Option<&TrailKey>,
    decided: Option<Height>,
    found: &mut Findings,
) -> Result<(), ViewError> {
    match (f.basis, f.cited) {
        (Basis::Consent, None) => found.check(Check::Rule, [Code::NothingCited]),
        (Basis::Permit, None) => found.check(Check::Permit, [Code::NothingCited]),
        (Basis::Emergency, None) => found.check(Check::Emergency, [Code::NothingCited]),
        (Basis::Consent, Some(cited)) => {
            let status = match trail {
                Some(trail) => overlay.rule(trail, &cited)?,
                None => None,
            };
            match (status, decided) {
                (None, _) => found.check(Check::Rule, [Code::UnknownRule]),
                (Some(_), None) => {}
                (Some(status), Some(at)) => found.check(Check::Rule, rule(overlay, &status, at)?),
            }
        }
        (Basis::Permit, Some(cited)) => match (overlay.permit(&cited)?, decided) {
            (None, _) => found.check(Check::Permit, [Code::UnknownPermit]),
            (Some(_), None) => {}
            (Some(entry), Some(at)) => {
                found.check(Check::Permit, permit::judge(overlay, &cited, &entry, f, at)?);
            }
        },
        (Basis::Emergency, Some(cited)) => {
            let codes = emergency(overlay, f, &cited, listed, decided)?;
            found.check(Check::Emergency, codes);
        }
        (Basis::Unknown | Basis::Law | Basis::Subject, Some(_)) => {
            found.mark(Code::CitedInVain);
        }
        (Basis::Unknown | Basis::Law | Basis::Subject, None) => {}
    }
    Ok(())
}

/// Whether the emergency was declared for these two, covers the time of the decision, and was cited for nobody else.
/// A declaration may follow the access, but not its record: nobody fills in forms before a resuscitation.
fn emergency(
    overlay: &mut Overlay<'_>,
    f: &Event,
    cited: &Random16,
    listed: Option<&TrailKey>,
    decided: Option<Height>,
) -> Result<Vec<Code>, ViewError> {
    let (declarer, declared) = match overlay.emergency(&f.acting, cited)? {
        Some(declared) => (&f.acting, declared),
        None => match overlay.emergency(&f.custodian, cited)? {
            Some(declared) => (&f.custodian, declared),
            None => return Ok(vec![Code::UnknownEmergency]),
        },
    };
    let mut codes = Vec::new();
    if (&declared.custodian, &declared.acting) != (&f.custodian, &f.acting) {
        codes.push(Code::OtherEmergency);
    }
    if let Some(at) = decided {
        let over = declared.time.plus(overlay.policy()?.decision.emergency.window_ms);
        if over <= time_at(overlay, at)? {
            codes.push(Code::EmergencyOver);
        }
    }
    // One declaration is about one subject: cited in two trails, it would say that they are one person's.
    match (declared.cited, listed) {
        (Some(first), Some(here)) if first != *here => codes.push(Code::CitedElsewhere),
        (None, Some(here)) if codes.is_empty() => {
            let cited_here = Emergency { cited: Some(*here), ..declared };
            overlay.put_emergency(declarer, cited, &cited_here);
        }
        _ => {}
    }
    Ok(codes)
}

/// Whether the rule was in force at a height: put by then, not ended by then, not expired at that block's time.
fn rule(overlay: &Overlay<'_>, status: &RuleStatus, at: Height) -> Result<Option<Code>, ViewError> {
    Ok(if status.put > at {
        Some(Code::RuleNotYet)
    } else if status.ended.is_some_and(|ended| ended <= at) {
        Some(Code::RuleEnded)
    } else if status.expiry <= time_at(overlay, at)? {
        Some(Code::RuleExpired)
    } else {
        None
    })
}
