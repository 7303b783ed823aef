//! What becomes of records, what is computed under permits, what is corrected, and who read the audit trail.

use custos_proof::ids::ParticipantId;
use custos_proof::kinds::audit::Read;
use custos_proof::kinds::correct::Correct;
use custos_proof::kinds::job;
use custos_proof::kinds::record;
use custos_proof::record::{Check, Code};
use custos_proof::registry::{Role, SubjectTrail};
use custos_proof::trail::TrailName;

use super::findings::{Findings, STATING};
use super::{About, Outcome, Saying, permit};
use crate::overlay::Overlay;
use crate::view::ViewError;

pub(super) const RECORD: About = About {
    says: "A step in the life of a subject's record at its custodian.",
    author: "the custodian",
    listed: "the subject's own trail",
    refuses: &[],
    notes: "Checks: 0 author (1; 2 not the role custodian), 1 trail (6 never opened by the author; 7 closed; 35 a \
        grantee's; 9 its epoch is neither the year of t nor of t - `lag_ms`), 6 event (19), 9 step (34). The first step \
        is ingest or resume; none follows destroy; after archive only rectify, distribute and destroy, and what was archived \
        stays so until it is destroyed: its entry in the state remains archive. A step that is contradicted does not count for the next. A record that lives on begins in the new year's trail with resume and \
        another random id; which record it was is sealed.",
};

pub(super) const JOB: About = About {
    says: "A step of a federated analysis, or of a session in a secure environment, under a permit.",
    author: "somebody whom the permit names",
    listed: "author's trail, the permit's if it names the author",
    refuses: &[],
    notes: "Checks: 0 author (1; 2 none of the roles custodian, recipient, data-user; 3 not named; 36 a node is not \
        registered), 3 permit (15 not issued; 26 not begun; 27 over, at t), 6 event (19), 9 step (34; made if the permit was \
        issued). An analysis goes register, then round and input, as often as there are, then result or fail; a session \
        open, then query, as often, then close. A step that is contradicted does not count for the next.",
};

pub(super) const CORRECT: About = About {
    says: "The author of an event takes back what it stated; readers show the prior struck out.",
    author: "the author of the prior",
    listed: "as the prior, but for a permit's trail",
    refuses: &[],
    notes: "It is listed by the rules 1 to 4 of `access.event`, from what it says itself of custodian, trail and acting \
        organisation. Checks: 0 author (1, 2), 6 event (19), 8 reference (33 nothing of this author's was recorded under the \
        prior's id). Readers strike out an event of the same author and id in the same trail, and no other.",
};

pub(super) const AUDIT: About = About {
    says: "Somebody read the audit trail itself.",
    author: "an auditor, or the institution itself",
    listed: "author's trail, the institution's",
    refuses: &[],
    notes: "Checks: 0 author (1; 2 not the institution itself and not the role auditor; 4 the institution is not \
        registered), 6 event (19).",
};

pub(super) fn record_event(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &record::Event,
) -> Result<Outcome, ViewError> {
    let mut found = match Findings::begin(overlay, saying, &f.event)? {
        Ok(found) => found,
        Err(before) => return Ok(before),
    };
    found.author(saying, &[Role::Custodian]);
    let name = TrailName::subject(saying.id, f.local_id);
    let key = name.key();
    found.check(Check::Trail, own_trail(overlay, overlay.subject(&key)?.as_ref())?);
    let last = overlay.record_step(&key, &f.record)?;
    found.check(Check::Step, (!f.step.follows(last)).then_some(Code::OtherStep));
    if !found.is_contradicted() {
        overlay.put_record_step(&key, &f.record, f.step.after(last));
    }
    Ok(found.recorded(vec![name]))
}

/// An own trail, open, of this year; what waited in a spool over the turn of the year counts for the old one.
fn own_trail(overlay: &Overlay<'_>, trail: Option<&SubjectTrail>) -> Result<Vec<Code>, ViewError> {
    let Some(trail) = trail else { return Ok(vec![Code::TrailNotOpen]) };
    let mut codes = Vec::new();
    if trail.closed.is_some() {
        codes.push(Code::TrailClosed);
    }
    if trail.grantee.is_some() {
        codes.push(Code::NotOwnTrail);
    }
    let now = overlay.time();
    let before = custos_proof::ids::TimeMs(now.0.saturating_sub(overlay.policy()?.lag_ms));
    if ![now.year(), before.year()].contains(&u64::from(trail.epoch)) {
        codes.push(Code::OtherEpoch);
    }
    Ok(codes)
}

pub(super) fn job_record(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &job::Record,
) -> Result<Outcome, ViewError> {
    let mut found = match Findings::begin(overlay, saying, &f.event)? {
        Ok(found) => found,
        Err(before) => return Ok(before),
    };
    found.author(saying, &STATING);
    for node in f.nodes.iter() {
        found.known(overlay, node, Code::UnknownParty)?;
    }
    let mut trails = vec![TrailName::institution(saying.id)];
    let Some(entry) = overlay.permit(&f.permit)? else {
        found.check(Check::Permit, [Code::UnknownPermit]);
        return Ok(found.recorded(trails));
    };
    if permit::names(overlay, &f.permit, &entry, saying.id)? {
        trails.push(TrailName::permit(&entry.body, &f.permit));
    } else {
        found.check(Check::Author, [Code::AuthorNotParty]);
    }
    let terms = overlay.permit_terms(&f.permit, entry.version)?.terms;
    let ended = entry.revoked.is_some() || terms.ends <= overlay.time();
    let early = overlay.time() < terms.begins;
    found.check(
        Check::Permit,
        [ended.then_some(Code::PermitEnded), early.then_some(Code::PermitNotYet)].into_iter().flatten(),
    );
    let last = overlay.job_step(&f.permit, &f.job)?;
    found.check(Check::Step, (!f.step.follows(last)).then_some(Code::OtherStep));
    if !found.is_contradicted() {
        overlay.put_job_step(&f.permit, &f.job, f.step);
    }
    Ok(found.recorded(trails))
}

pub(super) fn correct(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Correct,
) -> Result<Outcome, ViewError> {
    // Asked first: a correction that carries its prior's id is no correction of it.
    let prior = overlay.event(saying.author, &f.prior)?;
    let mut found = match Findings::begin(overlay, saying, &f.correction)? {
        Ok(found) => found,
        Err(before) => return Ok(before),
    };
    found.author(saying, &STATING);
    found.check(Check::Reference, prior.is_none().then_some(Code::UnknownPrior));
    let name = f.local_id.map(|local_id| TrailName::subject(&f.custodian, local_id));
    let subject = name.as_ref().map(|name| overlay.subject(&name.key())).transpose()?.flatten();
    let parties = Parties {
        author: saying.id,
        custodian: &f.custodian,
        acting: &f.acting,
        grantee: subject.as_ref().and_then(|subject| subject.grantee.as_ref()),
    };
    let trails = parties.trails(name, found.is_contradicted());
    Ok(found.recorded(trails))
}

pub(super) fn audit_read(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Read,
) -> Result<Outcome, ViewError> {
    let mut found = match Findings::begin(overlay, saying, &f.event)? {
        Ok(found) => found,
        Err(before) => return Ok(before),
    };
    if *saying.id == f.custodian {
        found.is_active(saying);
    } else {
        found.author(saying, &[Role::Auditor]);
    }
    let known = found.known(overlay, &f.custodian, Code::UnknownCustodian)?;
    let mut trails = vec![TrailName::institution(saying.id)];
    trails.extend(known.then(|| TrailName::institution(&f.custodian)));
    Ok(found.recorded(trails))
}

/// Who is concerned by a statement about an access, and so where it is listed: what its author does not share with
/// others by an opened trail stands in its own only.
///
/// # Correctness
/// Nobody writes into another's trail by naming it. A subject's trail is written by its custodian and its grantee;
/// an institution's by itself, and by another only where the custodian opened a trail for that very pair: a
/// grantee into the custodian's, whatever was found, and a custodian into the grantee's, unless it is contradicted.
pub(super) struct Parties<'a> {
    pub(super) author: &'a ParticipantId,
    pub(super) custodian: &'a ParticipantId,
    pub(super) acting: &'a ParticipantId,
    /// The grantee of the subject's trail, if it was opened for one.
    pub(super) grantee: Option<&'a ParticipantId>,
}

impl Parties<'_> {
    /// Whether the author may write into the subject's trail.
    pub(super) fn write_to_the_subject(&self) -> bool {
        self.author == self.custodian || self.grantee == Some(self.author)
    }

    /// The trails; `name` is the subject's.
    pub(super) fn trails(&self, name: Option<TrailName>, is_contradicted: bool) -> Vec<TrailName> {
        let by_custodian = self.author == self.custodian;
        let mut trails: Vec<TrailName> = name.filter(|_| self.write_to_the_subject()).into_iter().collect();
        trails.push(TrailName::institution(self.author));
        if self.grantee == Some(self.author) && !by_custodian {
            trails.push(TrailName::institution(self.custodian));
        }
        if by_custodian && self.author != self.acting && self.grantee == Some(self.acting) && !is_contradicted
        {
            trails.push(TrailName::institution(self.acting));
        }
        trails
    }
}
