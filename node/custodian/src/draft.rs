//! What shall go on the ledger, before it is sealed: typed values, and what decides the trail.
//!
//! A FHIR import makes drafts, and so does a person at a command line; sealing and planning take
//! them from both. A draft holds personal data in clear and never leaves the custodian's process.
//!
//! Deliberately absent: trails, ids, seeds and keys, which planning adds.

use custos_proof::cbor::Wire;
use custos_proof::hash::Digest;
use custos_proof::ids::{Random16, TimeMs};
use custos_proof::kinds::access::Basis;
use custos_proof::kinds::rule::Collected;
use custos_proof::sealed_values::{
    Action, Agents, Codings, Concepts, Decision, Evidence, Format, Group, Identifiers, InnerKind,
    Justification, LegalBasis, ListedTrail, Moment, Outcome, OutcomeKind, Parties, Party, Provision,
    Purposes, Reason, Relationship, Resources, Rule, RuleBody, Source, Stated, When,
};

/// Where a draft comes from, so that a document read twice is recorded once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The document's own name in its system: an absolute address, or any unique text.
    pub name: String,
    /// SHA-256 over the content.
    pub digest: Digest,
}

/// A name by which the custodian knows a subject: an address or an identifier. Personal data.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectKey(String);

impl SubjectKey {
    /// An absolute address, such as `https://fhir.example.org/Patient/17`.
    #[must_use]
    pub fn address(url: &str) -> Self {
        Self(format!("address|{url}"))
    }

    /// An identifier within a system, such as a record number.
    #[must_use]
    pub fn identifier(system: &str, value: &str) -> Self {
        Self(format!("identifier|{system}|{value}"))
    }

    /// The text under which the vault looks it up.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A key that the vault kept.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }
}

/// An `access.event` to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessEventDraft {
    /// Where it comes from.
    pub origin: Origin,
    /// All names of the subject; none when the event has no subject.
    pub subject: Vec<SubjectKey>,
    /// The organisations that took part, the acting one first.
    pub organisations: Vec<Party>,
    /// On which ground it stood, as far as it can be said in clear.
    pub basis: Basis,
    /// The rule, permit or declaration that the ground cites, if its id is known already.
    pub cited: Option<Random16>,
    /// The source names of the rules that it cites: the origin names of their drafts.
    pub cites: Vec<String>,
    /// The sealed fields.
    pub values: AccessValues,
}

impl AccessEventDraft {
    /// Whether it stands in the subject's own trail whoever acted: refused and failed requests do, so
    /// that nothing clear tells them from the custodian's own staff's reads.
    #[must_use]
    pub fn is_for_own_trail(&self) -> bool {
        let outcome = self.values.outcome.value().and_then(|outcome| outcome.kind);
        matches!(outcome, Some(OutcomeKind::Denied | OutcomeKind::Failed))
    }
}

macro_rules! access_values {
    ($( $number:literal $field:ident: $type:ty, $doc:literal; )*) => {
        /// The sealed fields of an `access.event`, in the order of the seal.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct AccessValues {
            $( #[doc = $doc] pub $field: Stated<$type>, )*
        }

        impl Default for AccessValues {
            /// Nothing is stated.
            fn default() -> Self {
                Self { $( $field: Stated::Unknown(Reason::NotStated), )* }
            }
        }

        impl AccessValues {
            /// The values that the seal commits to.
            #[must_use]
            pub fn to_fields(&self) -> Vec<Vec<u8>> {
                vec![$( self.$field.to_bytes() ),*]
            }

            /// The values of a seal.
            ///
            /// # Errors
            /// Bytes that are not such values.
            pub fn from_fields(fields: &[Vec<u8>]) -> Result<Self, custos_proof::cbor::DecodeError> {
                let field = |number: usize| fields.get(number - 1).map_or(&[][..], Vec::as_slice);
                Ok(Self { $( $field: Wire::from_bytes(field($number))?, )* })
            }
        }
    };
}

access_values! {
    1 action: Action, "What was done.";
    2 outcome: Outcome, "How it ended.";
    3 when: When, "When.";
    4 purpose: Purposes, "What for.";
    5 legal_basis: LegalBasis, "On which ground.";
    6 categories: Concepts, "Categories of data.";
    7 origins: Parties, "Where the data came from.";
    8 agents: Agents, "Who took part.";
    9 relationship: Relationship, "The care relationship.";
    10 resources: Resources, "What was accessed.";
    11 labels: Codings, "Labels of the data.";
    12 justification: Justification, "Why an exception was needed.";
    13 decision: Decision, "What was decided.";
    14 correlation: Identifiers, "Ids that tie records of several systems together.";
    15 group: Group, "How many like events.";
    16 source: Source, "Where the testimony comes from.";
}

/// A `rule.put` to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleDraft {
    /// Where it comes from.
    pub origin: Origin,
    /// All names of the subject.
    pub subject: Vec<SubjectKey>,
    /// What it does.
    pub intent: Intent,
    /// What it is.
    pub inner: InnerKind,
    /// What it says.
    pub body: RuleBody,
    /// How the custodian knows.
    pub evidence: Evidence,
    /// How the custodian came to know.
    pub collected: Collected,
    /// When it ends at the latest, rounded up to a quarter.
    pub expiry: TimeMs,
    /// The recipients that a permission names; empty for everything that is not a permission.
    pub recipients: Vec<Party>,
    /// The organisations that manage it.
    pub organisations: Vec<Party>,
}

/// What a rule does to an earlier one from the same origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// It is put; an earlier one of the same origin name is replaced.
    Put,
    /// The earlier one of the same origin name ends.
    End,
}

impl RuleDraft {
    /// The sealed entry by which the own trail lists another trail of the subject.
    #[must_use]
    pub fn lists_trail(origin: Origin, subject: Vec<SubjectKey>, trail: ListedTrail) -> Self {
        Self {
            inner: InnerKind::ListsTrail,
            body: RuleBody::ListsTrail(trail),
            ..Self::entered(origin, subject)
        }
    }

    /// The end of the rule that was put from the document named `origin`.
    #[must_use]
    pub fn ending(origin: Origin, subject: Vec<SubjectKey>, inner: InnerKind, collected: Collected) -> Self {
        Self {
            intent: Intent::End,
            inner,
            body: RuleBody::Nothing,
            collected,
            ..Self::entered(origin, subject)
        }
    }

    /// A rule that the custodian enters directly; a grant of nothing until its fields are set.
    #[must_use]
    pub fn entered(origin: Origin, subject: Vec<SubjectKey>) -> Self {
        Self {
            origin,
            subject,
            intent: Intent::Put,
            inner: InnerKind::Grant,
            body: RuleBody::Nothing,
            evidence: Evidence {
                record: Some(Source { format: Some(Format::Direct), ..Source::default() }),
                ..Evidence::default()
            },
            collected: Collected::Custodian,
            expiry: custos_proof::ids::FAR,
            recipients: Vec::new(),
            organisations: Vec::new(),
        }
    }

    /// The values that the seal commits to.
    #[must_use]
    pub fn to_fields(&self) -> Vec<Vec<u8>> {
        vec![self.inner.to_bytes(), self.body.to_bytes(), self.evidence.to_bytes()]
    }
}

/// The rule's root, if the body is a rule.
#[must_use]
pub fn root(body: &RuleBody) -> Option<&Provision> {
    match body {
        RuleBody::Rule(Rule { root, .. }) => root.as_ref(),
        _ => None,
    }
}

/// The clear expiry of a rule that ends after `end`: the next quarter, so that it tells little.
#[must_use]
pub fn expiry_after(end: Option<&Moment>) -> TimeMs {
    match end.map(|end| u64::try_from(end.last_ms().saturating_add(1)).unwrap_or(0)) {
        Some(ms) => TimeMs(ms).coarse(),
        None => custos_proof::ids::FAR,
    }
}
