//! What is asked: who wants to do what, what for, with which data.
//!
//! A gateway makes a request before an access, `custos replay` makes it again from an event's
//! openings, and `custos decide` reads it from a file (`docs/spec/decision-request.md`).
//!
//! Deliberately absent: what the ledger knows about the actor ([`crate::facts`]).

use custos_proof::ids::{ParticipantId, Random16};
use custos_proof::sealed_values::{ActionKind, Coding, Concept, Moment, Party, RelationshipKind};

/// The most items of one request.
pub const MAX_ITEMS: usize = 1000;

/// A question for [`crate::decide`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who holds the data.
    pub custodian: ParticipantId,
    /// Who asks.
    pub actor: ActorSet,
    /// What for.
    pub purpose: Coding,
    /// What shall be done.
    pub action: ActionKind,
    /// The declared emergency, if there is one.
    pub emergency: Option<Emergency>,
    /// The care relationship that the custodian sees; `None`: it does not know.
    pub relationship: Option<RelationshipKind>,
    /// The data permit that is cited.
    pub permit: Option<Random16>,
    /// Which data.
    pub scope: Scope,
}

/// Everybody that the asking person is, or acts for, at the height of the decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActorSet {
    /// In which standing they ask.
    pub standing: Standing,
    /// The acting organisation, as a participant.
    pub participant: ParticipantId,
    /// The practitioner, its organisations, its groups, its device: as rules may name them.
    pub members: Vec<Party>,
    /// Roles, as rules may name them without naming anybody.
    pub roles: Vec<Concept>,
}

/// In which standing somebody asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// A clinician: a health professional who treats.
    Clinician,
    /// Other staff of an organisation, or its systems.
    Staff,
    /// The subject.
    Subject,
    /// Somebody who acts for the subject.
    Representative,
    /// A data user under a permit.
    DataUser,
}

impl Standing {
    /// Every value.
    pub const ALL: [Standing; 5] = [
        Standing::Clinician,
        Standing::Staff,
        Standing::Subject,
        Standing::Representative,
        Standing::DataUser,
    ];

    /// The word that people and JSON use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Standing::Clinician => "clinician",
            Standing::Staff => "staff",
            Standing::Subject => "subject",
            Standing::Representative => "representative",
            Standing::DataUser => "data-user",
        }
    }

    /// The value that a word names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|standing| standing.word() == word)
    }
}

/// A declared emergency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Emergency {
    /// When it was declared: block time or the gateway's, in milliseconds since 1970.
    pub declared_ms: u64,
    /// Whether a justification (a code and sealed text) is given already.
    pub is_justified: bool,
    /// Whether the custodian attests the practitioner, whom no committed roster lists.
    pub is_attested: bool,
}

/// Which data is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// These items; each is answered.
    Items(Vec<Item>),
    /// Whatever there is: the answer carries a list to apply to each item later.
    Unscoped,
}

/// One piece of data, as far as rules can speak of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Item {
    /// Its address, such as `Observation/ex-weight`.
    pub id: String,
    /// Its categories and classes: EHDS categories, resource types.
    pub categories: Vec<Coding>,
    /// The codes in its content.
    pub codes: Vec<Coding>,
    /// Its labels: confidentiality and sensitivities.
    pub labels: Vec<Coding>,
    /// Who wrote it; `None`: not known, which no permission and every denial reaches.
    pub authors: Option<Vec<Party>>,
    /// Of which time it is; `None`: not known, which no permission and every denial reaches.
    pub date: Option<Moment>,
    /// What it relates to: an encounter, an order.
    pub related: Vec<Party>,
    /// What it depends on, where that is more than relating.
    pub depends_on: Vec<Party>,
    /// The custodian that it comes from; `None`: not known.
    pub origin: Option<ParticipantId>,
}
