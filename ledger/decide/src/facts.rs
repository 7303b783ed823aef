//! What the ledger says at height h: the policy, the subject's rules as listed, permits, rosters.
//!
//! Whoever decides gathers these from verified proofs: the policy from the state map, the rules from
//! the subject's own trail and the trails that it lists ([`crate::listing`]), permits and rosters
//! from theirs. A listed rule whose opening is missing stays in the list: it makes the answer
//! indeterminate, it is never left out (R12).
//!
//! Deliberately absent: any check of proofs or openings; those have been made, and left these types.

use custos_proof::hash::ItemHash;
use custos_proof::ids::{Height, LogIndex, ParticipantId, Random16, TimeMs};
use custos_proof::policy::{Assurance, Code, DecisionPolicy};
use custos_proof::sealed_values::{Coding, Concept, Delegation, InnerKind, Party, Rule, Scope};

use crate::answer::RuleReference;
use crate::intake::{self, IntakeError};
use crate::terminology::Terminology;

/// The most rules of one subject at one custodian that are judged together.
pub const MAX_RULES: usize = 4096;

/// The state at a height.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// The height h.
    pub height: Height,
    /// The time t of its header.
    pub time: TimeMs,
    /// The policy's version in force at h.
    pub policy_version: u64,
    /// What decisions read of it.
    pub policy: &'a DecisionPolicy,
    /// The terminology at hand.
    pub terminology: &'a Terminology,
    /// The custodian's jurisdiction.
    pub jurisdiction: String,
    /// The address that relative references belong to.
    pub base: String,
    /// What is known of the actor's standing.
    pub eligibility: Eligibility,
    /// Every rule that the subject's trails list, in any order.
    pub rules: Vec<ListedRule>,
    /// Trails that are listed, but not at hand: as good as a missing opening.
    pub missing_trails: usize,
    /// Who may act for the subject.
    pub representatives: Vec<Representative>,
    /// The data permits that name the acting participant.
    pub permits: Vec<Permit>,
}

/// What the registry and the rosters say of the actor (R1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eligibility {
    /// Whether the author's key is valid at h.
    pub key_is_valid: bool,
    /// Whether the acting participant is registered and not suspended.
    pub participant_is_active: bool,
    /// What the organisation's roster says of the practitioner.
    pub roster: Roster,
}

/// What a roster says of a practitioner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roster {
    /// The organisation has committed to no roster for t: there is nothing to hold it to.
    NoneCommitted,
    /// Whether it has, or whom it lists, is not at hand: the answer says so.
    NotSeen,
    /// Listed, for these purposes and in these roles; none means for every one.
    Listed {
        /// What for.
        purposes: Vec<Coding>,
        /// In which roles.
        roles: Vec<Concept>,
    },
    /// There is a roster, and the practitioner is not on it.
    NotListed,
}

/// One `rule.put` that a trail of the subject lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedRule {
    /// The rule's id.
    pub rule: Random16,
    /// Its version: 1, or one more than the rule that it follows.
    pub version: u32,
    /// The item that put it.
    pub item: ItemHash,
    /// Its record's place in the log: what "recent" means.
    pub position: LogIndex,
    /// The height of its record.
    pub put: Height,
    /// When it ends at the latest.
    pub expiry: TimeMs,
    /// The position of the record that ended it, and that record's height.
    pub ended: Option<(LogIndex, Height)>,
    /// How sure it is that this is the subject's will.
    pub assurance: Assurance,
    /// Whether its author could speak for the subject when it was recorded.
    pub author_was_valid: bool,
    /// What it says.
    pub content: Content,
}

impl ListedRule {
    /// Whether the rule is in force at a height and time, as far as the clear fields say.
    #[must_use]
    pub fn is_in_force(&self, height: Height, time: TimeMs) -> bool {
        self.put <= height && time < self.expiry && self.ended.is_none_or(|(_, ended)| ended > height)
    }
}

/// What is known of a rule's sealed fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The opening is missing, or does not fit its seal.
    Sealed,
    /// A rule that is judged.
    Rule(Box<Judged>),
    /// Somebody speaks for the subject.
    Delegation(Box<Delegation>),
    /// An entry that is no rule about access: an end, an acknowledgement, a listed trail.
    Other(InnerKind),
}

/// A rule whose opening is at hand, with what intake says of it; made by [`Content::rule`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    pub(crate) inner: InnerKind,
    pub(crate) rule: Rule,
    pub(crate) intake: Result<(), IntakeError>,
}

impl Judged {
    /// What kind of rule it is.
    #[must_use]
    pub const fn inner(&self) -> InnerKind {
        self.inner
    }

    /// The rule.
    #[must_use]
    pub const fn rule(&self) -> &Rule {
        &self.rule
    }

    /// What intake says of it.
    ///
    /// # Errors
    /// Why the rule cannot be decided; it then counts as indeterminate.
    pub fn intake(&self) -> Result<(), IntakeError> {
        self.intake
    }
}

impl Content {
    /// An opened rule; intake judges it once, here.
    #[must_use]
    pub fn rule(inner: InnerKind, rule: Rule, terminology: &Terminology) -> Self {
        match inner {
            InnerKind::Revoke
            | InnerKind::Invalidate
            | InnerKind::Lift
            | InnerKind::Acknowledge
            | InnerKind::ListsTrail
            | InnerKind::DelegationGrant
            | InnerKind::DelegationRevoke
            | InnerKind::Rekey
            | InnerKind::Link
            | InnerKind::Unlink => Content::Other(inner),
            InnerKind::Grant
            | InnerKind::Replace
            | InnerKind::Renew
            | InnerKind::Narrow
            | InnerKind::Refuse
            | InnerKind::Restriction
            | InnerKind::OptOut
            | InnerKind::ViewSuspend => {
                let intake = intake::intake(inner, &rule, terminology);
                Content::Rule(Box::new(Judged { inner, rule, intake }))
            }
        }
    }
}

/// Somebody who may act for the subject (R3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Representative {
    /// Who, as rules may name them.
    pub party: Party,
    /// From when.
    pub from: TimeMs,
    /// Until when, excluded: the end of the delegation, or the age of majority.
    pub until: TimeMs,
    /// What they may do; none means everything.
    pub scope: Vec<Scope>,
    /// For which categories of data; none means for all.
    pub categories: Vec<Coding>,
    /// The rule that names them, where one does.
    pub granted: Option<RuleReference>,
    /// Whether the custodian flagged access by this person as unsafe for the subject.
    pub is_unsafe: bool,
}

/// A data permit (R4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    /// Its id.
    pub id: Random16,
    /// The item that issued it.
    pub item: ItemHash,
    /// The data user.
    pub user: ParticipantId,
    /// Who operates the secure environment and acts for the user there.
    pub environment: Option<ParticipantId>,
    /// The custodians that it names, each with the place in the log where it was added.
    pub holders: Vec<(ParticipantId, LogIndex)>,
    /// The purposes (EHDS Art. 53), each with the place in the log where it was added.
    pub purposes: Vec<(Code, LogIndex)>,
    /// The categories (EHDS Art. 51), each with the place in the log where it was added.
    pub categories: Vec<(Code, LogIndex)>,
    /// From when.
    pub from: TimeMs,
    /// Until when, excluded.
    pub until: TimeMs,
    /// The place in the log since which its period has reached this far: that of the issue, or of an amendment
    /// that lengthened it.
    pub since: LogIndex,
    /// The height at which it was revoked.
    pub revoked: Option<Height>,
    /// Whether it carries a basis that overrides opt-outs (EHDS Art. 71(4)).
    pub overrides_opt_out: bool,
}
