//! R7 and R8: whether a provision speaks of this request, and of this item.
//!
//! Elements are joined by AND, members of one element by OR, and an absent element is no
//! constraint. Codes match by the pinned terminology; a permission reaches less far than a denial:
//!
//! | element | a permission covers | a denial covers |
//! |---|---|---|
//! | purpose | the code and below, without the codes that have to be named | the code and everything below |
//! | confidentiality c | data graded c or lower | data graded c or higher |
//! | sensitivity | data with that label or a narrower one | the same |
//! | data period | data that lies in it for certain | data that may touch it, unknown dates included |
//! | author | data known to be by that author | data by that author or by nobody known |
//! | what depends on a thing | what is known to depend on it | that, and what relates to it |
//!
//! Deliberately absent: what follows from a match ([`crate::consent`]).

use custos_proof::policy::{DecisionPolicy, Grade};
use custos_proof::sealed_values::{
    ActionKind, Actor, Coding, Concept, DataReference, Effect, Identifier, Meaning, Party, Provision, Span,
};

use crate::request::{ActorSet, Item, Request};
use crate::terminology::{CONFIDENTIALITY, Reach, Terminology};

const CONSENT_ACTION: &str = "http://terminology.hl7.org/CodeSystem/consentaction";
const RESTFUL_INTERACTION: &str = "http://hl7.org/fhir/restful-interaction";
/// The system of the actions' own words.
pub const ACTION: &str = "urn:custos:action";

/// What comparisons need besides the two things compared.
#[derive(Debug, Clone, Copy)]
pub struct Ruler<'a> {
    /// The terminology.
    pub terminology: &'a Terminology,
    /// The policy's floors and grades.
    pub policy: &'a DecisionPolicy,
    /// The address that relative references belong to.
    pub base: &'a str,
}

/// An item with its grade, which several rules ask for.
#[derive(Debug, Clone, Copy)]
pub struct Graded<'a> {
    /// The item.
    pub item: &'a Item,
    /// How high it is graded.
    pub grade: Grade,
}

/// How far a rule of this effect reaches in the terminology.
const fn reach(effect: Effect) -> Reach {
    match effect {
        Effect::Permit => Reach::Permission,
        Effect::Deny => Reach::Full,
    }
}

impl Ruler<'_> {
    /// R7: whether a provision's purposes are none, or reach the request's.
    #[must_use]
    pub fn purpose_matches(&self, purposes: &[Coding], asked: &Coding, reach: Reach) -> bool {
        purposes.is_empty() || purposes.iter().any(|purpose| self.terminology.reaches(purpose, asked, reach))
    }

    /// R7: whether a provision's actors are none, or name a member of the actor set.
    #[must_use]
    pub fn actor_matches(&self, actors: &[Actor], asking: &ActorSet) -> bool {
        actors.is_empty() || actors.iter().any(|actor| self.names(actor, asking))
    }

    fn names(&self, actor: &Actor, asking: &ActorSet) -> bool {
        match (&actor.who, &actor.role) {
            (Some(who), _) => asking.members.iter().any(|member| self.is_same(who, member)),
            (None, Some(role)) => asking.roles.iter().any(|held| share_a_code(role, held)),
            (None, None) => false,
        }
    }

    /// R7 and R6: everything of a provision that is not about data: actor, purpose, action, period.
    #[must_use]
    pub fn speaks_of(&self, provision: &Provision, effect: Effect, request: &Request, time_ms: i64) -> bool {
        self.purpose_matches(&provision.purposes, &request.purpose, reach(effect))
            && self.applies(provision, request, time_ms)
    }

    /// As [`Ruler::speaks_of`], the purposes left aside.
    #[must_use]
    pub fn applies(&self, provision: &Provision, request: &Request, time_ms: i64) -> bool {
        self.actor_matches(&provision.actors, &request.actor)
            && action_matches(&provision.actions, request.action)
            && provision.period.as_ref().is_none_or(|period| contains(period, time_ms))
    }

    /// R7 and R8: the data constraint of a provision: labels, classes, codes, period, references.
    #[must_use]
    pub fn data_matches(&self, provision: &Provision, effect: Effect, data: &Graded<'_>) -> bool {
        let item = data.item;
        let label = |label: &Coding| self.label_matches(label, effect, data);
        let class =
            |class: &Coding| item.categories.iter().any(|c| self.terminology.reaches(class, c, Reach::Full));
        let code = |concept: &Concept| {
            concept
                .codings
                .iter()
                .any(|wanted| item.codes.iter().any(|c| wanted.system == c.system && wanted.code == c.code))
        };
        any_or_none(&provision.labels, label)
            && any_or_none(&provision.classes, class)
            && any_or_none(&provision.codes, code)
            && provision.data_period.as_ref().is_none_or(|period| date_matches(period, effect, item))
            && any_or_none(&provision.data, |reference| self.reference_matches(reference, effect, item))
    }

    /// R8: one label of a provision against an item.
    fn label_matches(&self, label: &Coding, effect: Effect, data: &Graded<'_>) -> bool {
        if label.system.as_deref() == Some(CONFIDENTIALITY)
            && let Some(grade) = Grade::from_word(&label.code)
        {
            return match effect {
                Effect::Permit => data.grade <= grade,
                Effect::Deny => data.grade >= grade,
            };
        }
        data.item.labels.iter().any(|held| self.terminology.reaches(label, held, Reach::Full))
    }

    /// R8: how high an item is graded: its own label, else the policy's floor; never below what the
    /// policy says of its sensitivities and categories.
    #[must_use]
    pub fn grade<'a>(&self, item: &'a Item) -> Graded<'a> {
        let own = item
            .labels
            .iter()
            .filter(|label| label.system.as_deref() == Some(CONFIDENTIALITY))
            .filter_map(|label| Grade::from_word(&label.code))
            .max();
        let least = |grades: &[custos_proof::policy::GradeOf], codes: &[Coding]| {
            let of = |code: &Coding| {
                grades.iter().filter(|g| self.terminology.code_reaches(&g.code, code)).map(|g| g.grade).max()
            };
            codes.iter().filter_map(of).max()
        };
        let sensitivity = least(&self.policy.label_floors, &item.labels);
        let category = least(&self.policy.category_grades, &item.categories);
        let grade =
            [Some(own.unwrap_or(self.policy.floor)), sensitivity, category].into_iter().flatten().max();
        Graded { item, grade: grade.unwrap_or(self.policy.floor) }
    }

    fn reference_matches(&self, reference: &DataReference, effect: Effect, item: &Item) -> bool {
        let what = &reference.what;
        let is_it = || what.reference.as_deref().is_some_and(|r| self.local(r) == self.local(&item.id));
        let among = |parties: &[Party]| parties.iter().any(|party| self.is_same(what, party));
        match (reference.meaning, effect) {
            (Meaning::Instance, _) => is_it(),
            (Meaning::Related, _) | (Meaning::Dependents, Effect::Deny) => {
                is_it() || among(&item.related) || among(&item.depends_on)
            }
            (Meaning::Dependents, Effect::Permit) => is_it() || among(&item.depends_on),
            (Meaning::AuthoredBy, _) => match &item.authors {
                Some(authors) => among(authors),
                None => effect == Effect::Deny,
            },
        }
    }

    /// Whether two names are of the same: the same address, or the same identifier.
    #[must_use]
    pub fn is_same(&self, one: &Party, other: &Party) -> bool {
        let address = match (&one.reference, &other.reference) {
            (Some(one), Some(other)) => self.local(one) == self.local(other),
            _ => false,
        };
        address
            || matches!((&one.identifier, &other.identifier), (Some(one), Some(other)) if same_identifier(one, other))
    }

    /// An address without the base and without a version.
    fn local<'a>(&self, address: &'a str) -> &'a str {
        // Few addresses have an underscore, and looking for one byte is cheap.
        let address = match address.contains('_') {
            true => address.split("/_history/").next().unwrap_or(address),
            false => address,
        };
        match address.strip_prefix(self.base) {
            Some(rest) if !self.base.is_empty() => rest.strip_prefix('/').unwrap_or(address),
            _ => address,
        }
    }
}

fn any_or_none<T>(elements: &[T], matches: impl Fn(&T) -> bool) -> bool {
    elements.is_empty() || elements.iter().any(matches)
}

fn same_identifier(one: &Identifier, other: &Identifier) -> bool {
    one.value.is_some() && one.value == other.value && one.system == other.system
}

fn share_a_code(one: &Concept, other: &Concept) -> bool {
    one.codings.iter().any(|a| other.codings.iter().any(|b| a.system == b.system && a.code == b.code))
}

fn action_matches(actions: &[Concept], asked: ActionKind) -> bool {
    any_or_none(actions, |action| {
        action.codings.iter().filter_map(action_words).any(|kinds| kinds.contains(&asked))
    })
}

/// The actions of the vocabulary that a code means; `None` when it is not understood.
#[must_use]
pub fn action_words(coding: &Coding) -> Option<&'static [ActionKind]> {
    use ActionKind::{Create, Delete, Execute, Export, Import, Query, Read, Update};
    let own = |kind: ActionKind| {
        ActionKind::ALL.iter().position(|k| *k == kind).and_then(|i| ActionKind::ALL.get(i..=i))
    };
    match (coding.system.as_deref()?, &*coding.code) {
        (CONSENT_ACTION, "collect") => Some(&[Import, Create]),
        (CONSENT_ACTION, "access") => Some(&[Read, Query]),
        (CONSENT_ACTION, "use") => Some(&[Read, Query, Execute]),
        (CONSENT_ACTION, "disclose") => Some(&[Export]),
        (CONSENT_ACTION, "correct") => Some(&[Update]),
        (
            RESTFUL_INTERACTION,
            "read" | "vread" | "history" | "history-instance" | "history-type" | "history-system",
        ) => Some(&[Read]),
        (RESTFUL_INTERACTION, "search" | "search-type" | "search-system") => Some(&[Query]),
        (RESTFUL_INTERACTION, "create") => Some(&[Create]),
        (RESTFUL_INTERACTION, "update" | "patch") => Some(&[Update]),
        (RESTFUL_INTERACTION, "delete") => Some(&[Delete]),
        (RESTFUL_INTERACTION, "operation" | "batch" | "transaction") => Some(&[Execute]),
        (ACTION, word) => ActionKind::from_word(word).and_then(own),
        _ => None,
    }
}

/// R6: whether an instant lies in a period. Partial dates count from their first instant to their last.
#[must_use]
pub fn contains(span: &Span, time_ms: i64) -> bool {
    span.start.as_ref().is_none_or(|start| start.first_ms() <= time_ms)
        && span.end.as_ref().is_none_or(|end| time_ms <= end.last_ms())
}

/// A permission covers data that lies in the period for certain; a denial covers what may touch it.
fn date_matches(span: &Span, effect: Effect, item: &Item) -> bool {
    match (&item.date, effect) {
        (None, effect) => effect == Effect::Deny,
        (Some(date), Effect::Permit) => contains(span, date.first_ms()) && contains(span, date.last_ms()),
        (Some(date), Effect::Deny) => {
            span.start.as_ref().is_none_or(|start| start.first_ms() <= date.last_ms())
                && span.end.as_ref().is_none_or(|end| date.first_ms() <= end.last_ms())
        }
    }
}
