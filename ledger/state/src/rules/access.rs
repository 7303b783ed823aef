//! What validators find about an access: the clear facts that agree and those that contradict it.
//!
//! Nothing here refuses. Facts are judged at `at_height`, the head that the decider saw, so that a
//! revocation ordered later does not brand an honest hospital and a consent written later does not
//! launder an access. The chain never says that an access was permitted.

use std::collections::BTreeSet;

use custos_proof::hash::TrailKey;
use custos_proof::ids::Height;
use custos_proof::kinds::access::{Basis, Event, Late};
use custos_proof::record::{Check, Code, Finding, verdict};
use custos_proof::registry::{Role, RuleStatus, SubjectTrail};
use custos_proof::trail::TrailName;

use super::{About, Outcome, Saying, time_at};
use crate::overlay::Overlay;
use crate::view::ViewError;

/// Codes that mark an event without contradicting what it states.
const MARKS: [Code; 5] = [Code::Late, Code::Gap, Code::OutOfOrder, Code::CitedInVain, Code::Imported];

/// Roles that may state accesses.
const STATING: [Role; 3] = [Role::Custodian, Role::Recipient, Role::DataUser];

pub(super) const EVENT: About = About {
    says: "Somebody accessed, or tried to access, a subject's data.",
    author: "any participant",
    listed: "see below",
    refuses: &[],
    notes: "",
};

#[derive(Default)]
struct Findings {
    checks: BTreeSet<Check>,
    codes: BTreeSet<Code>,
}

impl Findings {
    fn check(&mut self, check: Check, codes: impl IntoIterator<Item = Code>) {
        self.checks.insert(check);
        self.codes.extend(codes);
    }

    fn finding(&self) -> Finding {
        let contradicted = self.codes.iter().any(|code| !MARKS.contains(code));
        let unjudged = self.codes.contains(&Code::Late) || self.codes.contains(&Code::Imported);
        match (contradicted, unjudged) {
            (true, _) => Finding::Contradicted,
            (false, true) => Finding::NotEvaluated,
            (false, false) => Finding::Consistent,
        }
    }
}

pub(super) fn event(overlay: &mut Overlay<'_>, saying: &Saying<'_>, f: &Event) -> Result<Outcome, ViewError> {
    let mut found = Findings::default();
    match overlay.event(saying.author, &f.event)? {
        Some((index, item)) if item == saying.item => return Ok(Outcome::Before(index)),
        Some(_) => found.check(Check::Event, [Code::EventReused]),
        None => {
            found.check(Check::Event, []);
            overlay.use_event(saying.author, &f.event, saying.index, saying.item)?;
        }
    }
    let custodian_known = overlay.participant(&f.custodian)?.is_some();
    let acting_known = overlay.participant(&f.acting)?.is_some();
    found.check(Check::Author, author(saying, f));
    found.check(
        Check::Author,
        [
            (!custodian_known).then_some(Code::UnknownCustodian),
            (!acting_known).then_some(Code::UnknownActing),
        ]
        .into_iter()
        .flatten(),
    );
    sequence(overlay, saying, f, &mut found)?;
    let decided = decided_at(overlay, f, &mut found)?;
    let name = f.local_id.map(|local_id| TrailName::subject(&f.custodian, local_id));
    let key = name.as_ref().map(TrailName::key);
    let subject = key.as_ref().map(|key| overlay.subject(key)).transpose()?.flatten();
    if key.is_some() {
        found.check(Check::Trail, trail(overlay, f, subject.as_ref(), decided)?);
    }
    ground(overlay, f, key.as_ref(), decided, &mut found)?;

    let finding = found.finding();
    let trails = trails(saying, f, name, subject.as_ref(), finding);
    let checks: Vec<_> = found.checks.iter().copied().collect();
    let codes: Vec<_> = found.codes.iter().copied().collect();
    Ok(Outcome::Recorded { verdict: verdict(&checks, &codes, finding), trails })
}

/// Where an event is listed: what its author does not share with others by an opened trail stands in its own only.
///
/// # Correctness
/// Nobody writes into another's trail by naming it. A subject's trail is written by its custodian and its grantee;
/// an institution's by itself, and by another only where the custodian opened a trail for that very pair: a
/// grantee into the custodian's, whatever was found, and a custodian into the grantee's, unless it is contradicted.
fn trails(
    saying: &Saying<'_>,
    f: &Event,
    name: Option<TrailName>,
    subject: Option<&SubjectTrail>,
    finding: Finding,
) -> Vec<TrailName> {
    let (by_custodian, by_acting) = (*saying.id == f.custodian, *saying.id == f.acting);
    let grantee = subject.and_then(|subject| subject.grantee.as_ref());
    let by_grantee = grantee == Some(saying.id);
    let mut trails: Vec<TrailName> = name.filter(|_| by_custodian || by_grantee).into_iter().collect();
    trails.push(TrailName::institution(saying.id));
    if by_grantee && !by_custodian {
        trails.push(TrailName::institution(&f.custodian));
    }
    let accuses = finding == Finding::Contradicted;
    if by_custodian && !by_acting && grantee == Some(&f.acting) && !accuses {
        trails.push(TrailName::institution(&f.acting));
    }
    trails
}

fn author(saying: &Saying<'_>, f: &Event) -> Vec<Code> {
    let mut codes = Vec::new();
    if saying.participant.suspended.is_some() {
        codes.push(Code::AuthorSuspended);
    }
    if !saying.participant.roles.has_any(&STATING) {
        codes.push(Code::AuthorRole);
    }
    if *saying.id != f.custodian && *saying.id != f.acting {
        codes.push(Code::AuthorNotParty);
    }
    codes
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
        found.codes.insert(Code::Imported);
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
    overlay: &Overlay<'_>,
    f: &Event,
    trail: Option<&TrailKey>,
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
        // No kind of this protocol table issues permits or declares emergencies yet, so nothing cited can exist.
        (Basis::Permit, Some(_)) => found.check(Check::Permit, [Code::UnknownPermit]),
        (Basis::Emergency, Some(_)) => found.check(Check::Emergency, [Code::UnknownEmergency]),
        (Basis::Unknown | Basis::Law | Basis::Subject, Some(_)) => {
            found.codes.insert(Code::CitedInVain);
        }
        (Basis::Unknown | Basis::Law | Basis::Subject, None) => {}
    }
    Ok(())
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
