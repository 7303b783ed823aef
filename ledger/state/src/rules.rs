//! The rules of protocol version 1: for every kind, who may write it and what it changes.
//!
//! An act is refused when it is invalid. Testimony is recorded whatever it says, and comes back with
//! a verdict: which checkable facts agree with it and which contradict it. One file for each group
//! of kinds, with what is said of them ([`About`]) beside the rule; `docs/spec/items.md` is made of that.

use custos_proof::hash::ItemHash;
use custos_proof::ids::{Height, LogIndex, ParticipantId, TimeMs};
use custos_proof::item::Item;
use custos_proof::kinds::participant::Register;
use custos_proof::kinds::{Fields, Kind};
use custos_proof::record::{Check, DueRule, Finding, Verdict, verdict};
use custos_proof::registry::{Participant, Role};
use custos_proof::submission::Author;
use custos_proof::trail::TrailName;

use crate::error::{AdmitError, Refusal, RefusalCode};
use crate::overlay::Overlay;
use crate::view::ViewError;

mod access;
mod disclosure;
mod dispute;
mod emergency;
mod finding;
mod findings;
pub mod hold;
mod key;
mod life;
mod mandate;
mod misbehaviour;
mod notarise;
mod participant;
mod permit;
mod policy;
mod proposal;
mod roster;
mod rule;
mod trail;
mod trail_agent;
mod validator;

pub(crate) use policy::begin;
pub(crate) use proposal::close_expired;

/// Who speaks, and where in the log.
pub(crate) struct Saying<'a> {
    /// The author as the submission names it.
    pub(crate) author: &'a Author,
    /// The author's id.
    pub(crate) id: &'a ParticipantId,
    /// The author's entry.
    pub(crate) participant: &'a Participant,
    /// The index that the record will have.
    pub(crate) index: LogIndex,
    /// The item.
    pub(crate) item: ItemHash,
    /// Whether the validators agreed on it: then the author is who proposed it, and its rights do not matter.
    pub(crate) by_vote: bool,
}

/// What becomes of an item.
pub(crate) enum Outcome {
    /// It is recorded.
    Recorded {
        /// What validators found.
        verdict: Verdict,
        /// Where it is listed.
        trails: Vec<TrailName>,
    },
    /// It was recorded before, byte for byte.
    Before(LogIndex),
}

/// What is said of a kind's rules to those who write items or a second implementation.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// One sentence: what the kind does or states.
    pub says: &'static str,
    /// Who may write it.
    pub author: &'static str,
    /// In which trails it is listed.
    pub listed: &'static str,
    /// What is refused, in the order of the checks.
    pub refuses: &'static [(RefusalCode, &'static str)],
    /// What it changes, and conventions; Markdown, may be empty.
    pub notes: &'static str,
}

/// The table of kinds: `Kind => rule, what is said of it`.
macro_rules! table {
    ($( $variant:ident => $rule:path, $about:path; )*) => {
        /// Applies the rules of an item's kind to the overlay.
        pub(crate) fn judge(
            overlay: &mut Overlay<'_>,
            saying: &Saying<'_>,
            item: &Item,
        ) -> Result<Outcome, AdmitError> {
            match &item.fields {
                $( Fields::$variant(f) => Ok($rule(overlay, saying, f)?.into()), )*
            }
        }

        /// What is said of a kind's rules.
        #[must_use]
        pub const fn about(kind: Kind) -> &'static About {
            match kind { $( Kind::$variant => &$about, )* }
        }
    };
}

table! {
    ParticipantRegister => participant::register, participant::REGISTER;
    ParticipantUpdate => participant::update, participant::UPDATE;
    ParticipantSuspend => participant::suspend, participant::SUSPEND;
    KeyAdd => key::add, key::ADD;
    KeyRotate => key::rotate, key::ROTATE;
    KeyRevoke => key::revoke, key::REVOKE;
    TrailOpen => trail::open, trail::OPEN;
    TrailClose => trail::close, trail::CLOSE;
    RulePut => rule::put, rule::PUT;
    AccessEvent => access::event, access::EVENT;
    AccessCorrect => life::correct, life::CORRECT;
    DisclosureExport => disclosure::export, disclosure::EXPORT;
    DisclosureImport => disclosure::import, disclosure::IMPORT;
    EmergencyDeclare => emergency::declare, emergency::DECLARE;
    EmergencyReview => emergency::review, emergency::REVIEW;
    PermitIssue => permit::issue, permit::ISSUE;
    PermitAmend => permit::amend, permit::AMEND;
    PermitRevoke => permit::revoke, permit::REVOKE;
    JobRecord => life::job_record, life::JOB;
    RecordEvent => life::record_event, life::RECORD;
    AuditRead => life::audit_read, life::AUDIT;
    HoldSet => hold::set, hold::SET;
    HoldLift => hold::lift, hold::LIFT;
    PayloadErase => hold::erase, hold::ERASE;
    TrailAgent => trail_agent::agent, trail_agent::AGENT;
    ProposalOpen => proposal::open, proposal::OPEN;
    ProposalVote => proposal::vote, proposal::VOTE;
    PolicySet => policy::set, policy::SET;
    ProtocolUpgrade => policy::upgrade, policy::UPGRADE;
    ValidatorPut => validator::put, validator::PUT;
    ValidatorRemove => validator::remove, validator::REMOVE;
    MisbehaviourReport => misbehaviour::report, misbehaviour::REPORT;
    RosterCommit => roster::commit, roster::COMMIT;
    MandateIssue => mandate::issue, mandate::ISSUE;
    MandateEnd => mandate::end, mandate::END;
    Notarise => notarise::notarise, notarise::NOTARISE;
    FindingRecord => finding::record, finding::RECORD;
    DisputeOpen => dispute::open, dispute::OPEN;
    DisputeAnswer => dispute::answer, dispute::ANSWER;
    DisputeResolve => dispute::resolve, dispute::RESOLVE;
}

/// Whether acts of this kind can be proposed: those that only validators together may write, and those that
/// they may write in another's name.
#[must_use]
pub const fn takes_votes(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::ParticipantRegister
            | Kind::ParticipantUpdate
            | Kind::ParticipantSuspend
            | Kind::KeyAdd
            | Kind::KeyRotate
            | Kind::KeyRevoke
            | Kind::PolicySet
            | Kind::ProtocolUpgrade
            | Kind::ValidatorPut
            | Kind::ValidatorRemove
            | Kind::MandateIssue
            | Kind::MandateEnd
    )
}

/// An act that was admitted is listed in these trails: its author's right was checked, and nothing else is stated.
impl From<Vec<TrailName>> for Outcome {
    fn from(trails: Vec<TrailName>) -> Self {
        Outcome::Recorded { verdict: verdict(&[Check::Author], &[], Finding::Consistent), trails }
    }
}

/// Applies the rules of an item that a subject signed with its key for one trail.
pub(crate) fn judge_subject(
    overlay: &mut Overlay<'_>,
    author: &Author,
    index: LogIndex,
    hash: ItemHash,
    item: &Item,
) -> Result<Outcome, AdmitError> {
    match &item.fields {
        Fields::RulePut(f) => Ok(rule::put_by(overlay, author, hash, f)?.into()),
        Fields::TrailAgent(f) => Ok(trail_agent::agent_by(overlay, author, index, f)?.into()),
        other => refuse(
            RefusalCode::NotAllowed,
            format!("a subject's key writes rule.put and trail.agent, not {}", other.kind().name()),
        ),
    }
}

/// The number of a chain-made fact's rule.
fn due_rule(rule: DueRule) -> u32 {
    u32::try_from(rule.number()).expect("because the rules are few")
}

/// Refuses.
fn refuse<T>(code: RefusalCode, detail: impl Into<String>) -> Result<T, AdmitError> {
    Err(Refusal::new(code, detail).into())
}

impl Saying<'_> {
    /// The validators agreed on it.
    fn must_be_voted(&self) -> Result<(), AdmitError> {
        match self.by_vote {
            true => Ok(()),
            false => refuse(RefusalCode::ByVoteOnly, "this takes a vote: put it into a proposal.open"),
        }
    }

    /// The author is `owner`, or the validators agreed on it.
    fn must_speak_for(&self, owner: &ParticipantId) -> Result<(), AdmitError> {
        match self.by_vote || self.id == owner {
            true => Ok(()),
            false => refuse(
                RefusalCode::NotAllowed,
                format!("{} may not write this for {owner}; {owner} may, or a vote", self.id),
            ),
        }
    }

    /// The author has one of these roles.
    fn must_have(&self, roles: &[Role]) -> Result<(), AdmitError> {
        if self.participant.roles.has_any(roles) {
            return Ok(());
        }
        let names: Vec<_> = roles.iter().map(|role| role.word()).collect();
        refuse(RefusalCode::NotAllowed, format!("{} needs one of the roles: {}", self.id, names.join(", ")))
    }
}

/// The entry of a participant of the genesis, by the rules of a registration.
pub(crate) fn genesis_participant(registration: &Register) -> Result<Participant, AdmitError> {
    participant::entry(registration, None)
}

/// Whether a participant votes on the next block, as far as it is known by now.
fn will_validate(overlay: &Overlay<'_>, id: &ParticipantId) -> Result<bool, ViewError> {
    Ok(overlay.validators()?.as_slice().iter().any(|v| v.participant == *id))
}

/// Whether a participant votes on this block.
fn validates(overlay: &Overlay<'_>, id: &ParticipantId) -> bool {
    overlay.head().next_validators.as_slice().iter().any(|v| v.participant == *id)
}

/// Registry kinds are listed in the registry's trail.
fn registry_trail(overlay: &Overlay<'_>) -> Vec<TrailName> {
    vec![TrailName::registry(&overlay.head().registrar)]
}

/// The block time at a height up to the head, which the view must know.
fn time_at(overlay: &Overlay<'_>, height: Height) -> Result<TimeMs, ViewError> {
    overlay
        .block_time(height)?
        .ok_or_else(|| ViewError::Damaged { what: format!("the time of block {height} is not known") })
}
