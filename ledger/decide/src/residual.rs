//! R13: an unscoped request is answered by a list that decides each item later.
//!
//! The list is read from the top; the first clause that holds for an item decides it, and an item
//! that no clause holds for is denied. For every item the list says what [`crate::decide`] says when
//! asked about the item: a property test holds the two apart, because IHE PCF's own examples read their
//! lists the other way (later clauses override), under which a denial could lose to another consent.
//!
//! Deliberately absent: reasons; an item's reasons come from asking about the item.

use custos_proof::cbor::{View, Wire};
use custos_proof::ids::{LogIndex, ParticipantId};
use custos_proof::policy::{Code, Combining, Grade};
use custos_proof::sealed_values::{Answer as Outcome, Coding, Effect, Provision};

use crate::combine::implicit_grade;
use crate::consent::Heard;
use crate::facts::{Facts, Permit};
use crate::matching::{Graded, Ruler};
use crate::request::{Item, Request};
use crate::secondary;
use crate::terminology::Reach;

/// A list that decides items.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Residual {
    /// From the top: the first that holds decides.
    pub clauses: Vec<Clause>,
}

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// What it says.
    pub outcome: Outcome,
    /// Whether it overrides another answer in an emergency.
    pub is_override: bool,
    /// When it holds: all of these.
    pub when: Vec<Condition>,
    /// And none of these.
    pub unless: Vec<Condition>,
}

/// Something that holds for an item or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The data constraint of a provision, as far as a rule of this effect reaches.
    Data(Effect, Box<Provision>),
    /// Graded at most so high.
    GradedAtMost(Grade),
    /// In one of these categories, or below.
    Within(Vec<Code>),
    /// In one of these categories of a delegation, or below.
    WithinCodings(Vec<Coding>),
    /// Not from this custodian, as far as is known.
    NotFrom(ParticipantId),
}

impl Condition {
    fn holds(&self, ruler: &Ruler<'_>, data: &Graded<'_>) -> bool {
        match self {
            Condition::Data(effect, provision) => ruler.data_matches(provision, *effect, data),
            Condition::GradedAtMost(grade) => data.grade <= *grade,
            Condition::Within(codes) => data
                .item
                .categories
                .iter()
                .any(|c| codes.iter().any(|code| ruler.terminology.code_reaches(code, c))),
            Condition::WithinCodings(wanted) => data
                .item
                .categories
                .iter()
                .any(|c| wanted.iter().any(|w| ruler.terminology.reaches(w, c, Reach::Full))),
            Condition::NotFrom(custodian) => data.item.origin.as_ref() != Some(custodian),
        }
    }

    fn view(&self) -> View {
        let codes = |codes: &[Code]| View::List(codes.iter().map(Wire::view).collect());
        match self {
            Condition::Data(effect, provision) => {
                View::Fields(vec![("reach", effect.view()), ("data", provision.view())])
            }
            Condition::GradedAtMost(grade) => View::Fields(vec![("graded_at_most", grade.view())]),
            Condition::Within(within) => View::Fields(vec![("within", codes(within))]),
            Condition::WithinCodings(wanted) => {
                View::Fields(vec![("within", View::List(wanted.iter().map(Wire::view).collect()))])
            }
            Condition::NotFrom(custodian) => View::Fields(vec![("not_from", custodian.view())]),
        }
    }
}

impl Clause {
    fn new(outcome: Outcome, when: Vec<Condition>) -> Self {
        Self { outcome, is_override: false, when, unless: Vec::new() }
    }
}

impl Residual {
    /// What the list says of an item: the outcome, and whether an emergency overrode another.
    #[must_use]
    pub fn answer(&self, ruler: &Ruler<'_>, item: &Item) -> (Outcome, bool) {
        let data = ruler.grade(item);
        let holds = |clause: &&Clause| {
            clause.when.iter().all(|condition| condition.holds(ruler, &data))
                && !clause.unless.iter().any(|condition| condition.holds(ruler, &data))
        };
        match self.clauses.iter().find(holds) {
            Some(clause) => (clause.outcome, clause.is_override),
            None => (Outcome::Deny, false),
        }
    }

    /// The outcome for the request as a whole: permit when the list may permit something.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let has = |outcome| self.clauses.iter().any(|clause| clause.outcome == outcome);
        match (has(Outcome::Permit), has(Outcome::Indeterminate)) {
            (true, _) => Outcome::Permit,
            (false, true) => Outcome::Indeterminate,
            (false, false) => Outcome::Deny,
        }
    }

    /// The list as a tree for JSON.
    #[must_use]
    pub fn view(&self) -> View {
        let clause = |clause: &Clause| {
            let conditions = |list: &[Condition]| View::List(list.iter().map(Condition::view).collect());
            let mut fields = vec![("outcome", View::Text(clause.outcome.word().into()))];
            if !clause.when.is_empty() {
                fields.push(("when", conditions(&clause.when)));
            }
            if !clause.unless.is_empty() {
                fields.push(("unless", conditions(&clause.unless)));
            }
            View::Fields(fields)
        };
        View::List(self.clauses.iter().map(clause).collect())
    }

    /// The list as a provider's system may see it: it does not show whether an emergency overrode anything.
    #[must_use]
    pub fn for_provider(&self) -> Self {
        let mut clauses: Vec<Clause> = Vec::new();
        for clause in &self.clauses {
            let clause = Clause { is_override: false, ..clause.clone() };
            // What an override stands before is never reached.
            let shadowed = |before: &Clause| before.when == clause.when && before.unless == clause.unless;
            if !clauses.iter().any(shadowed) {
                clauses.push(clause);
            }
        }
        let permits_all = clauses.iter().all(|clause| clause.outcome == Outcome::Permit)
            && clauses.last().is_some_and(|last| last.when.is_empty() && last.unless.is_empty());
        if permits_all { Self::always(Outcome::Permit) } else { Self { clauses } }
    }

    /// One clause that decides everything.
    pub(crate) fn always(outcome: Outcome) -> Self {
        Self { clauses: vec![Clause::new(outcome, Vec::new())] }
    }

    /// R12: with something unknown, nothing is permitted, and what is denied stays denied.
    pub(crate) fn with_unknowns(mut self) -> Self {
        for clause in self.clauses.iter_mut().filter(|clause| clause.outcome == Outcome::Permit) {
            clause.outcome = Outcome::Indeterminate;
        }
        self
    }

    /// R11: where an emergency opens, whatever does not permit is overridden.
    pub(crate) fn overridden(self, categories: &[Code]) -> Self {
        let mut clauses = Vec::with_capacity(self.clauses.len() * 2 + 1);
        let within = (!categories.is_empty()).then(|| Condition::Within(categories.to_vec()));
        for clause in self.clauses.into_iter().chain([Clause::new(Outcome::Deny, Vec::new())]) {
            if clause.outcome != Outcome::Permit {
                let mut opened = Clause { outcome: Outcome::Permit, is_override: true, ..clause.clone() };
                opened.when.extend(within.clone());
                clauses.push(opened);
            }
            clauses.push(clause);
        }
        Self { clauses }
    }
}

/// R10 over a list: the clauses of several consents in the order that the algorithm gives them.
pub(crate) fn of_rules(
    facts: &Facts<'_>,
    request: &Request,
    heard: &[Heard<'_>],
    implicit: bool,
) -> Residual {
    let combining = facts.policy.combining;
    let mut clauses = Vec::new();
    let denials =
        |clauses: &mut Vec<Clause>| heard.iter().for_each(|consent| clauses.extend(denials_of(consent)));
    let permissions =
        |clauses: &mut Vec<Clause>| heard.iter().for_each(|consent| clauses.extend(permissions_of(consent)));
    match combining {
        Combining::DenyOverrides | Combining::PermitUnlessDeny => {
            denials(&mut clauses);
            permissions(&mut clauses);
        }
        Combining::PermitOverrides | Combining::DenyUnlessPermit => {
            permissions(&mut clauses);
            denials(&mut clauses);
        }
        Combining::MostRecent => {
            for consent in heard.iter().rev() {
                clauses.extend(denials_of(consent));
                clauses.extend(permissions_of(consent));
            }
        }
    }
    match combining {
        Combining::PermitUnlessDeny => clauses.push(Clause::new(Outcome::Permit, Vec::new())),
        Combining::DenyUnlessPermit => {}
        Combining::DenyOverrides | Combining::PermitOverrides | Combining::MostRecent => {
            clauses.extend(heard.iter().filter_map(uncovered_by));
            if implicit {
                clauses.extend(implicit_clause(facts, request));
            }
        }
    }
    Residual { clauses }
}

/// R4 over a list.
pub(crate) fn of_permit(
    facts: &Facts<'_>,
    permit: &Permit,
    holder: LogIndex,
    opted_out: impl Fn(LogIndex) -> bool,
    consents: Residual,
) -> Residual {
    let mut clauses = Vec::new();
    let besides = secondary::besides(facts);
    // An item is judged by the earliest of its categories, so categories stand in the order of their issue.
    let mut categories: Vec<(Code, LogIndex)> =
        permit.categories.iter().map(|(code, at)| (code.clone(), (*at).max(holder))).collect();
    categories.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
    for (code, issued) in categories {
        let within = || Condition::Within(vec![code.clone()]);
        if opted_out(issued) && !permit.overrides_opt_out {
            clauses.push(Clause::new(Outcome::Deny, vec![within()]));
            continue;
        }
        if !besides.is_empty() {
            for clause in &consents.clauses {
                let mut clause = clause.clone();
                clause.when.extend([within(), Condition::Within(besides.clone())]);
                clauses.push(clause);
            }
            clauses.push(Clause::new(Outcome::Deny, vec![within(), Condition::Within(besides.clone())]));
        }
        clauses.push(Clause::new(Outcome::Permit, vec![within()]));
    }
    Residual { clauses }
}

/// R3 over a list: rules that name the representative, denials first, then the delegation itself.
pub(crate) fn of_delegation(heard: &[Heard<'_>]) -> Residual {
    let mut clauses: Vec<Clause> = heard.iter().flat_map(denials_of).collect();
    clauses.extend(heard.iter().flat_map(permissions_of));
    clauses.extend(heard.iter().filter_map(uncovered_by));
    clauses.push(Clause::new(Outcome::Permit, Vec::new()));
    Residual { clauses }
}

/// R3 over a list: suspensions first.
pub(crate) fn suspended_first(suspensions: &[Heard<'_>], rest: Residual) -> Residual {
    let mut clauses: Vec<Clause> = suspensions.iter().flat_map(denials_of).collect();
    clauses.extend(rest.clauses);
    Residual { clauses }
}

/// A clause before all others.
pub(crate) fn deny_first(when: Condition, rest: Residual) -> Residual {
    let mut clauses = vec![Clause::new(Outcome::Deny, vec![when])];
    clauses.extend(rest.clauses);
    Residual { clauses }
}

/// A clause that denies whatever does not hold, before all others.
pub(crate) fn deny_unless(condition: Condition, rest: Residual) -> Residual {
    let mut clauses = vec![Clause {
        outcome: Outcome::Deny,
        is_override: false,
        when: Vec::new(),
        unless: vec![condition],
    }];
    clauses.extend(rest.clauses);
    Residual { clauses }
}

/// Only what is about data: the rest has been judged, and is nobody's business who reads the list.
fn data(effect: Effect, provision: &Provision) -> Condition {
    let data = Provision {
        labels: provision.labels.clone(),
        classes: provision.classes.clone(),
        codes: provision.codes.clone(),
        data_period: provision.data_period.clone(),
        data: provision.data.clone(),
        ..Provision::default()
    };
    Condition::Data(effect, Box::new(data))
}

fn nested_of(consent: &Heard<'_>, wanted: Effect) -> Vec<Condition> {
    consent.nested.iter().filter(|(_, effect, _)| *effect == wanted).map(|(_, e, p)| data(*e, p)).collect()
}

fn denials_of(consent: &Heard<'_>) -> Vec<Clause> {
    if consent.is_refusal {
        return Vec::new();
    }
    let nested =
        nested_of(consent, Effect::Deny).into_iter().map(|when| Clause::new(Outcome::Deny, vec![when]));
    let root = consent.root.filter(|(effect, _)| *effect == Effect::Deny).map(|(effect, root)| Clause {
        unless: nested_of(consent, Effect::Permit),
        ..Clause::new(Outcome::Deny, vec![data(effect, root)])
    });
    nested.chain(root).collect()
}

fn permissions_of(consent: &Heard<'_>) -> Vec<Clause> {
    if consent.is_refusal {
        return Vec::new();
    }
    let unless = nested_of(consent, Effect::Deny);
    let nested = nested_of(consent, Effect::Permit);
    let root =
        consent.root.filter(|(effect, _)| *effect == Effect::Permit).map(|(effect, root)| data(effect, root));
    nested
        .into_iter()
        .chain(root)
        .map(|when| Clause { unless: unless.clone(), ..Clause::new(Outcome::Permit, vec![when]) })
        .collect()
}

/// What is left when nothing permits or denies: the data of a permission that speaks and does not cover it.
fn uncovered_by(consent: &Heard<'_>) -> Option<Clause> {
    match consent.root {
        Some((Effect::Permit, root)) if consent.is_refusal => {
            Some(Clause::new(Outcome::Deny, vec![data(Effect::Permit, root)]))
        }
        Some((Effect::Permit, _)) => Some(Clause::new(Outcome::Deny, Vec::new())),
        _ => None,
    }
}

fn implicit_clause(facts: &Facts<'_>, request: &Request) -> Option<Clause> {
    let standing = request.actor.standing;
    let grade = implicit_grade(facts.policy.implicit, standing, &request.purpose, facts.terminology)?;
    Some(Clause::new(Outcome::Permit, vec![Condition::GradedAtMost(grade)]))
}
