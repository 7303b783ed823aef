//! R14: the answer, with everything that a later reader needs to repeat and to contest it.
//!
//! The whole answer is for the subject and for auditors with a mandate. A provider gets
//! [`Answer::for_provider`]: what may be served, or one uniform refusal, so that nobody sees that a
//! person has restricted access (EHDS Art. 8), nor whether an emergency overrode anything.

use custos_proof::cbor::View;
use custos_proof::hash::{Digest, ItemHash};
use custos_proof::ids::{Height, Random16, TimeMs};
use custos_proof::policy::{Assurance, Combining};
use custos_proof::sealed_values::Answer as Outcome;

use crate::facts::ListedRule;
use crate::residual::Residual;

/// A rule, its version, and the place in it that spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleReference {
    /// The rule.
    pub rule: Random16,
    /// Its version.
    pub version: u32,
    /// The item that put it.
    pub item: ItemHash,
    /// Absent for the root, else the nested rule's position.
    pub nested: Option<u8>,
}

impl RuleReference {
    pub(crate) fn of(listed: &ListedRule, nested: Option<u8>) -> Self {
        Self { rule: listed.rule, version: listed.version, item: listed.item, nested }
    }

    fn view(&self) -> View {
        let path = self.nested.map_or_else(|| "root".into(), |nested| format!("nested[{nested}]"));
        View::Fields(vec![
            ("rule", View::Text(format!("{}@{}", self.rule, self.version))),
            ("path", View::Text(path)),
            ("item", View::Text(self.item.to_string())),
        ])
    }
}

macro_rules! grounds {
    ($( $(#[$meta:meta])* $variant:ident = $word:literal; )*) => {
        /// Why an answer is as it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Ground { $( $(#[$meta])* $variant, )* }

        impl Ground {
            /// Every ground.
            pub const ALL: &'static [Ground] = &[$( Ground::$variant, )*];

            /// The stable name.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $( Ground::$variant => $word, )* }
            }
        }
    };
}

grounds! {
    /// R1: the author's key is not valid.
    KeyNotValid = "not-eligible: key";
    /// R1: the acting participant is unknown or suspended.
    ParticipantNotActive = "not-eligible: participant";
    /// R1: the practitioner is not on the roster, or not for this purpose.
    NotOnRoster = "not-eligible: roster";
    /// R2: the purpose is prohibited.
    ProhibitedPurpose = "prohibited-purpose";
    /// R3: the subject asks.
    Subject = "subject";
    /// R3: the view is suspended by an authority. For auditors only.
    ViewSuspended = "view-suspended";
    /// R3: a representative within scope and period asks.
    Representative = "representative";
    /// R3: nobody of this name may act for the subject now.
    NotRepresentative = "not-a-representative";
    /// R3: the data is outside what the representative was given.
    OutsideDelegation = "outside-delegation";
    /// R3: the custodian flagged access by this representative as unsafe.
    UnsafeRepresentative = "unsafe-representative";
    /// R4: a permit names holder, user, purpose and category.
    Permit = "permit";
    /// R4: no permit is cited, or none of this id is known.
    NoPermit = "no-permit";
    /// R4: the permit is not in force.
    PermitNotInForce = "permit-not-in-force";
    /// R4: the permit names another user, holder or purpose.
    PermitOfOther = "permit-of-other";
    /// R4: the permit does not name the category.
    OutsidePermit = "outside-permit";
    /// R4: the subject had opted out of secondary use when the permit was issued.
    SecondaryOptOut = "secondary-opt-out";
    /// R5: the subject opted out of primary use by others.
    PrimaryOptOut = "primary-opt-out";
    /// R10: a rule permits.
    RulePermits = "rule-permits";
    /// R10: a rule denies.
    RuleDenies = "rule-denies";
    /// R9 and R10: rules speak of such requests, and none covers this data.
    Uncovered = "uncovered";
    /// R10: no rule speaks; the implicit policy, or the combining algorithm, permits.
    ImplicitPermit = "implicit-permit";
    /// R10: no rule speaks; the implicit policy, or the combining algorithm, denies.
    ImplicitDeny = "implicit-deny";
    /// R12: something that could deny is not at hand or cannot be decided.
    Unknown = "unknown";
    /// R11: a declared emergency overrides.
    Emergency = "emergency";
    /// R13: the request is unscoped; the list answers per item.
    PerItem = "per-item";
}

/// What comes with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obligation {
    /// The subject is told of the emergency access (EHDS Art. 8).
    Notify,
    /// Somebody independent reviews the emergency, within these hours.
    Review {
        /// Hours.
        within_hours: u16,
    },
    /// A reason and sealed words are due, within these hours.
    Justify {
        /// Hours.
        within_hours: u16,
    },
    /// The review says that the practitioner was on no roster.
    UnlistedPractitioner,
    /// There was no roster to hold the practitioner to.
    NoRoster,
    /// What the roster says of the practitioner was not at hand; whoever serves has to see it.
    RosterNotSeen,
    /// No care relationship is known: it goes on the auditor's worklist.
    Unrelated,
}

impl Obligation {
    /// The stable name, with its hours.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Obligation::Notify => "notify-subject".into(),
            Obligation::Review { within_hours } => format!("review within {within_hours} hours"),
            Obligation::Justify { within_hours } => format!("justify within {within_hours} hours"),
            Obligation::UnlistedPractitioner => "unlisted-practitioner".into(),
            Obligation::NoRoster => "no-roster".into(),
            Obligation::RosterNotSeen => "roster-not-seen".into(),
            Obligation::Unrelated => "unrelated".into(),
        }
    }
}

/// One step towards another answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The opening of this rule would have to be shown.
    ShowOpening(ItemHash),
    /// This rule would have to be replaced by one that can be decided.
    Restate(RuleReference),
    /// Trails that are listed would have to be shown.
    ShowTrails(usize),
    /// The terminology of this hash would have to be at hand.
    UseTerminology(Digest),
    /// This rule would have to end.
    EndRule(RuleReference),
    /// The subject would have to permit this actor, purpose, action and data.
    AddPermission,
    /// The subject would have to restrict it.
    AddRestriction,
    /// This rule would have to be attested more surely.
    RaiseAssurance(RuleReference, Assurance),
    /// An emergency would have to be declared.
    DeclareEmergency,
    /// A permit that names holder, user, purpose and category would have to be issued.
    IssuePermit,
    /// The permit would have to be revoked.
    RevokePermit(Random16),
    /// The key, the participant or the roster entry would have to be valid.
    BecomeEligible,
    /// The policy would have to be another.
    ChangePolicy,
    /// The custodian, a court or the subject would have to name a representative.
    Delegate,
    /// The custodian would have to hold access by this person to be safe.
    ClearFlag,
    /// The authority would have to lift the suspension.
    LiftSuspension(RuleReference),
    /// The delegation would have to end.
    EndDelegation,
    /// Time would have to pass this moment.
    Pass(TimeMs),
}

impl Step {
    /// In words for people.
    #[must_use]
    pub fn words(&self) -> String {
        let name = |rule: &RuleReference| format!("rule {}@{}", rule.rule, rule.version);
        match self {
            Step::ShowOpening(item) => format!("the opening of item {item} is shown"),
            Step::Restate(rule) => format!("{} is replaced by one that can be decided", name(rule)),
            Step::ShowTrails(count) => format!("{count} listed trails are shown"),
            Step::UseTerminology(hash) => format!("the terminology {hash} is at hand"),
            Step::EndRule(rule) => format!("{} ends", name(rule)),
            Step::AddPermission => "the subject permits it".into(),
            Step::AddRestriction => "the subject restricts it".into(),
            Step::RaiseAssurance(rule, assurance) => format!("{} becomes {assurance}", name(rule)),
            Step::DeclareEmergency => "an emergency is declared".into(),
            Step::IssuePermit => "a permit for it is issued".into(),
            Step::RevokePermit(id) => format!("permit {id} is revoked"),
            Step::BecomeEligible => "key, participant and roster entry become valid".into(),
            Step::ChangePolicy => "the policy changes".into(),
            Step::Delegate => "a delegation covers it".into(),
            Step::ClearFlag => "the custodian no longer flags this person's access as unsafe".into(),
            Step::LiftSuspension(rule) => format!("the suspension by {} is lifted", name(rule)),
            Step::EndDelegation => "the delegation ends".into(),
            Step::Pass(time) => format!("it becomes later than {time}"),
        }
    }
}

/// Steps that together change the answer.
pub type Alternative = Vec<Step>;

/// The answer for one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemAnswer {
    /// Permit, deny or indeterminate; the last is enforced as deny.
    pub outcome: Outcome,
    /// Why.
    pub ground: Ground,
    /// The rules that decided, in the order of the log.
    pub basis: Vec<RuleReference>,
    /// The permit that decided.
    pub permit: Option<Random16>,
    /// How sure the least sure of the permitting rules is.
    pub assurance: Option<Assurance>,
    /// Whether an emergency overrode another answer.
    pub is_override: bool,
    /// What would change the answer: each alternative by itself.
    pub changes: Vec<Alternative>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// For the request as a whole: permit when anything may be served.
    pub outcome: Outcome,
    /// For each item, in the order of the request; for an unscoped request one answer for what does not depend on items.
    pub items: Vec<ItemAnswer>,
    /// For an unscoped request: what each item is asked later.
    pub residual: Option<Residual>,
    /// What comes with it.
    pub obligations: Vec<Obligation>,
    /// How rules were combined.
    pub combining: Combining,
    /// The policy's version.
    pub policy_version: u64,
    /// The terminology.
    pub terminology: Digest,
    /// As of which height.
    pub height: Height,
    /// And time.
    pub time: TimeMs,
}

/// What a provider learns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderAnswer {
    /// These items, by position in the request, may be served.
    Items(Vec<usize>),
    /// Whatever the list permits may be served.
    Listed(Residual),
    /// "Nothing available": nothing is there, or nothing may be served.
    NothingAvailable,
}

impl Answer {
    /// The answer as a provider's system sees it.
    #[must_use]
    pub fn for_provider(&self) -> ProviderAnswer {
        if self.outcome != Outcome::Permit {
            return ProviderAnswer::NothingAvailable;
        }
        match &self.residual {
            Some(residual) => ProviderAnswer::Listed(residual.for_provider()),
            None => {
                let permitted =
                    self.items.iter().enumerate().filter(|(_, item)| item.outcome == Outcome::Permit);
                ProviderAnswer::Items(permitted.map(|(position, _)| position).collect())
            }
        }
    }

    /// Whether an emergency overrode anything.
    #[must_use]
    pub fn is_override(&self) -> bool {
        self.items.iter().any(|item| item.is_override)
    }

    /// The answer as a tree for JSON and people; the same bytes whenever it is given.
    #[must_use]
    pub fn view(&self) -> View {
        View::Fields(vec![
            ("outcome", word(self.outcome)),
            ("items", View::List(self.items.iter().map(ItemAnswer::view).collect())),
            ("residual", self.residual.as_ref().map_or(View::Absent, Residual::view)),
            ("obligations", View::List(self.obligations.iter().map(|o| View::Text(o.words())).collect())),
            ("combining", View::Text(self.combining.word().into())),
            ("policy_version", View::Number(i128::from(self.policy_version))),
            ("terminology", View::Text(self.terminology.to_string())),
            ("height", View::Number(i128::from(self.height.0))),
            ("time", View::Time(self.time.0)),
            ("override", View::Bool(self.is_override())),
        ])
    }
}

impl ItemAnswer {
    /// The answer as a tree.
    #[must_use]
    pub fn view(&self) -> View {
        let steps =
            |steps: &Alternative| View::List(steps.iter().map(|step| View::Text(step.words())).collect());
        View::Fields(vec![
            ("outcome", word(self.outcome)),
            ("ground", View::Text(self.ground.word().into())),
            ("basis", View::List(self.basis.iter().map(RuleReference::view).collect())),
            ("permit", self.permit.map_or(View::Absent, |id| View::Text(id.to_string()))),
            ("assurance", self.assurance.map_or(View::Absent, |a| View::Text(a.word().into()))),
            ("override", View::Bool(self.is_override)),
            ("would_change", View::List(self.changes.iter().map(steps).collect())),
        ])
    }
}

fn word(outcome: Outcome) -> View {
    View::Text(outcome.word().into())
}
