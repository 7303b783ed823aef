//! Whether a recorded event's sealed decision follows from the rules that the trails listed then.
//!
//! From an event's openings the request is made again as far as the event states it, the rules are taken
//! as of the height that the decider saw, and [`crate::decide`] answers. What comes out is evidence about
//! the author's statement, in words that never say more than was shown.
//!
//! The time of the height that the decider saw is known only as lying between two records of the
//! trail; an answer is given when it is the same at both ends and no rule begins or ends between.
//!
//! Deliberately absent: the policy of that height, which the caller has, and care whether data was really served.

use custos_proof::ids::{Height, TimeMs};
use custos_proof::kinds::Fields;
use custos_proof::kinds::access::{Basis, Event, Late};
use custos_proof::sealed_values::{
    Action, Agent, AgentKind, Agents, Answer as Outcome, Coding, Codings, Concept, Concepts, Decision,
    Meaning, Outcome as Ending, OutcomeKind, Party, Provision, Purposes, Resource, Resources, Stated,
};

use crate::answer::Answer;
use crate::facts::{Content, Eligibility, Facts, ListedRule, Roster};
use crate::listing::{self, Listing, OpenTrail, field};
use crate::request::{ActorSet, Item, MAX_ITEMS, Request, Scope, Standing};
use crate::terminology::{ACT_CODE, ACT_REASON, CONFIDENTIALITY};

/// What a replay needs besides the trails.
#[derive(Debug, Clone)]
pub struct Ground<'a> {
    /// Everything that is not in the trails; `rules`, `missing_trails`, `height` and `time` are set by the replay.
    pub facts: Facts<'a>,
}

/// What the replay of one event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The sealed decision is what the rules say.
    Follows,
    /// The sealed decision is not what the rules say.
    Contradicts {
        /// What the event states.
        stated: Outcome,
    },
    /// No decision is sealed, and data was served although the rules deny it.
    ServedAgainstRules,
    /// No decision is sealed; what was done agrees with the rules.
    AgreesWithRules,
    /// It cannot be told, and why.
    CannotTell(Why),
}

/// Why an event cannot be replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Imported from an earlier system: decided without this ledger.
    ImportedHistory,
    /// The event's openings of action, purpose or agents are not shown.
    NotShown,
    /// The event states no purpose.
    NoPurpose,
    /// The event states no action of the vocabulary.
    NoAction,
    /// The trails shown do not reach back or on far enough.
    TrailsIncomplete,
    /// Openings of rules are missing, or rules cannot be decided.
    RulesUnknown,
    /// A rule begins or ends within the time in which the decision may have been made.
    TimeUncertain,
    /// The event rests on a permit, a representative or an emergency whose facts are not in the trails.
    OtherFacts,
    /// The event does not say enough about the data, and the rules treat data differently.
    DataNotNamed,
    /// The event does not say in which groups and roles somebody acted, and a rule names some.
    GroupsNotNamed,
}

impl Why {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Why::ImportedHistory => "imported from an earlier system, decided without this ledger",
            Why::NotShown => "its action, purpose or agents are sealed and not shown",
            Why::NoPurpose => "it states no purpose",
            Why::NoAction => "it states no action of the vocabulary",
            Why::TrailsIncomplete => "the trails shown do not reach far enough",
            Why::RulesUnknown => "openings of rules are missing, or rules cannot be decided",
            Why::TimeUncertain => "a rule begins or ends within the time in which it may have been decided",
            Why::OtherFacts => {
                "it rests on a permit, a representative or an emergency that these trails do not show"
            }
            Why::DataNotNamed => {
                "it does not say enough about the data, and the rules treat data differently"
            }
            Why::GroupsNotNamed => {
                "it does not say in which groups or roles somebody acted, and a rule names some"
            }
        }
    }
}

/// The replay of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// What it says.
    pub finding: Finding,
    /// What the rules answer, one answer for each purpose; empty when it cannot be told.
    pub answers: Vec<Answer>,
}

impl Replayed {
    const fn cannot(why: Why) -> Self {
        Self { finding: Finding::CannotTell(why), answers: Vec::new() }
    }
}

/// Replays every `access.event` of the trails, in their order: the place of the trail, of the entry, and what is found.
#[must_use]
pub fn replay(trails: &[OpenTrail<'_>], ground: &Ground<'_>) -> Vec<(usize, usize, Replayed)> {
    let mut replayed = Vec::new();
    for (place, open) in trails.iter().enumerate() {
        for (number, (record, item, shown)) in open.items().enumerate() {
            let Some(item) = item else { continue };
            if let Fields::AccessEvent(event) = &item.item.fields {
                replayed.push((place, number, replay_event(trails, event, record.time, shown, ground)));
            }
        }
    }
    replayed
}

fn replay_event(
    trails: &[OpenTrail<'_>],
    event: &Event,
    recorded: TimeMs,
    shown: &[custos_proof::disclosure::Shown],
    ground: &Ground<'_>,
) -> Replayed {
    if event.late == Late::ImportedHistory || event.at_height == Height(0) {
        return Replayed::cannot(Why::ImportedHistory);
    }
    if matches!(event.basis, Basis::Permit | Basis::Emergency) {
        return Replayed::cannot(Why::OtherFacts);
    }
    let requests = match requests(event, shown) {
        Ok(requests) => requests,
        Err(why) => return Replayed::cannot(why),
    };
    let listing =
        listing::rules(trails, &event.custodian, &event.acting, event.at_height, ground.facts.terminology);
    if !listing.is_complete {
        return Replayed::cannot(Why::TrailsIncomplete);
    }
    let (from, to) = bounds(trails, event.at_height, recorded);
    if listing.rules.iter().any(|rule| changes_between(rule, from, to)) {
        return Replayed::cannot(Why::TimeUncertain);
    }
    let answers: Vec<Answer> =
        requests.iter().map(|request| answer(ground, &listing, event.at_height, to, request)).collect();
    let finding = match judge(&answers, shown) {
        // Nothing is said against anybody for what an event has no place for.
        Finding::Contradicts { .. } | Finding::ServedAgainstRules if names_groups(&listing) => {
            Finding::CannotTell(Why::GroupsNotNamed)
        }
        _ if asks_for_more(&listing) => Finding::CannotTell(Why::DataNotNamed),
        finding => finding,
    };
    Replayed { finding, answers }
}

fn provisions(listing: &Listing) -> impl Iterator<Item = &Provision> {
    let rules = listing.rules.iter().filter(|rule| rule.ended.is_none_or(|(_, ended)| ended > rule.put));
    rules.flat_map(|rule| match &rule.content {
        Content::Rule(judged) => judged.rule.root.iter().chain(judged.rule.nested.iter()).collect::<Vec<_>>(),
        Content::Sealed | Content::Other(_) => Vec::new(),
    })
}

/// Whether a rule speaks of groups, teams or roles, to which an event's agents may belong unsaid.
fn names_groups(listing: &Listing) -> bool {
    provisions(listing).flat_map(|provision| provision.actors.iter()).any(|actor| {
        let named = actor.who.as_ref().map(Party::resource_type);
        !matches!(named, Some(Some("Practitioner" | "Patient" | "RelatedPerson" | "Device")))
    })
}

/// Whether a rule speaks of authors, dates, codes or relations of data, which an event does not state.
fn asks_for_more(listing: &Listing) -> bool {
    provisions(listing).any(|provision| {
        provision.data_period.is_some()
            || !provision.codes.is_empty()
            || provision.data.iter().any(|data| data.meaning != Meaning::Instance)
    })
}

fn answer(ground: &Ground<'_>, listing: &Listing, height: Height, time: TimeMs, request: &Request) -> Answer {
    let facts = Facts {
        height,
        time,
        rules: listing.rules.clone(),
        missing_trails: listing.missing_trails,
        // What an event does not say is not held against it: validators judged key and participant when they recorded it.
        eligibility: Eligibility {
            key_is_valid: true,
            participant_is_active: true,
            roster: Roster::NoneCommitted,
        },
        ..ground.facts.clone()
    };
    crate::decide(&facts, request)
}

/// Permit only when every purpose and every item is permitted; deny as soon as one is denied.
fn together(answers: &[Answer]) -> Result<Outcome, Why> {
    let items = || answers.iter().flat_map(|answer| answer.items.iter().map(|item| item.outcome));
    let varies = |answer: &Answer| {
        answer.residual.as_ref().is_some_and(|list| {
            let first = list.clauses.first();
            !first.is_none_or(|clause| clause.when.is_empty() && clause.unless.is_empty())
        })
    };
    match () {
        () if items().any(|outcome| outcome == Outcome::Indeterminate) => Err(Why::RulesUnknown),
        () if answers.iter().any(varies) => Err(Why::DataNotNamed),
        () if items().all(|outcome| outcome == Outcome::Permit) => Ok(Outcome::Permit),
        () => Ok(Outcome::Deny),
    }
}

fn judge(answers: &[Answer], shown: &[custos_proof::disclosure::Shown]) -> Finding {
    let said = match together(answers) {
        Ok(outcome) => outcome,
        Err(why) => return Finding::CannotTell(why),
    };
    let stated = field::<Stated<Decision>>(shown, 13).and_then(|d| d.value().and_then(|d| d.answer));
    let served = field::<Stated<Ending>>(shown, 2).and_then(|o| o.value().and_then(|o| o.kind));
    match (stated, served) {
        (Some(stated), _) if stated == said => Finding::Follows,
        // What could not be decided then was enforced as a denial.
        (Some(Outcome::Indeterminate), _) if said == Outcome::Deny => Finding::Follows,
        (Some(stated), _) => Finding::Contradicts { stated },
        (None, Some(OutcomeKind::Served)) if said == Outcome::Deny => Finding::ServedAgainstRules,
        (None, _) => Finding::AgreesWithRules,
    }
}

/// The time of a height, as far as the trails show it: not before the last record at or below it, before the first above it.
fn bounds(trails: &[OpenTrail<'_>], height: Height, recorded: TimeMs) -> (TimeMs, TimeMs) {
    let records = || trails.iter().flat_map(|open| open.trail.entries.iter().map(|entry| &entry.record));
    if let Some(exact) = records().find(|record| record.height == height) {
        return (exact.time, exact.time);
    }
    let from = records().filter(|record| record.height < height).map(|record| record.time).max();
    let to = records().filter(|record| record.height > height).map(|record| record.time).min();
    let to = to.unwrap_or(recorded).min(recorded);
    (from.unwrap_or(to).min(to), to)
}

/// Whether a rule begins or ends between two times.
fn changes_between(rule: &ListedRule, from: TimeMs, to: TimeMs) -> bool {
    let within = |ms: i64| u64::try_from(ms).is_ok_and(|ms| from.0 < ms && ms <= to.0);
    let expires = from < rule.expiry && rule.expiry <= to;
    let Content::Rule(judged) = &rule.content else { return expires };
    let provisions = judged.rule.root.iter().chain(judged.rule.nested.iter());
    expires
        || provisions.filter_map(|provision| provision.period.as_ref()).any(|period| {
            period.start.as_ref().is_some_and(|start| within(start.first_ms()))
                || period.end.as_ref().is_some_and(|end| within(end.last_ms().saturating_add(1)))
        })
}

/// The requests that an event stands for: one for each purpose that it states.
fn requests(event: &Event, shown: &[custos_proof::disclosure::Shown]) -> Result<Vec<Request>, Why> {
    let action: Stated<Action> = field(shown, 1).ok_or(Why::NotShown)?;
    let purposes: Stated<Purposes> = field(shown, 4).ok_or(Why::NotShown)?;
    let agents: Stated<Agents> = field(shown, 8).ok_or(Why::NotShown)?;
    let categories: Stated<Concepts> = field(shown, 6).ok_or(Why::NotShown)?;
    let resources: Stated<Resources> = field(shown, 10).ok_or(Why::NotShown)?;
    let labels: Stated<Codings> = field(shown, 11).ok_or(Why::NotShown)?;
    let action = action.value().and_then(|action| action.kind).ok_or(Why::NoAction)?;
    let agents: Vec<Agent> = agents.value().map(|agents| agents.to_vec()).unwrap_or_default();
    let scope = scope(
        resources.value().map(|resources| &**resources).unwrap_or_default(),
        categories.value().map(|concepts| &**concepts).unwrap_or_default(),
        labels.value().map(|labels| &**labels).unwrap_or_default(),
    );
    let actor = ActorSet {
        standing: standing(event, &agents),
        participant: event.acting.clone(),
        members: members(&agents),
        roles: agents.iter().flat_map(|agent| agent.roles.iter().chain(&agent.part).cloned()).collect(),
    };
    let stated = purposes.value().map(|purposes| &**purposes).unwrap_or_default();
    let mut codes: Vec<Coding> = Vec::new();
    for purpose in stated.iter().filter_map(|purpose| purpose.concept.as_ref()) {
        if let Some(code) = code_of(purpose)
            && !codes.contains(&code)
        {
            codes.push(code);
        }
    }
    if codes.is_empty() {
        return Err(Why::NoPurpose);
    }
    let request = |purpose| Request {
        custodian: event.custodian.clone(),
        actor: actor.clone(),
        purpose,
        action,
        emergency: None,
        relationship: None,
        permit: None,
        scope: scope.clone(),
    };
    Ok(codes.into_iter().map(request).collect())
}

/// The code of a purpose that decisions know, else its first.
fn code_of(concept: &Concept) -> Option<Coding> {
    let known = concept.codings.iter().find(|coding| coding.system.as_deref() == Some(ACT_REASON));
    known.or(concept.codings.first()).map(|coding| Coding { display: None, ..coding.clone() })
}

fn standing(event: &Event, agents: &[Agent]) -> Standing {
    let is_professional = |agent: &Agent| {
        let named = agent.who.as_ref().and_then(Party::resource_type);
        agent.kind != Some(AgentKind::Software) && matches!(named, Some("Practitioner" | "PractitionerRole"))
    };
    match event.basis {
        Basis::Subject => Standing::Subject,
        _ if agents.iter().any(is_professional) => Standing::Clinician,
        _ => Standing::Staff,
    }
}

fn members(agents: &[Agent]) -> Vec<Party> {
    agents.iter().flat_map(|agent| agent.who.iter().chain(&agent.on_behalf_of).cloned()).collect()
}

/// The data of an event: its resources, the subject itself and searches left out; nothing named is unscoped.
fn scope(resources: &[Resource], categories: &[Concept], labels: &[Coding]) -> Scope {
    let categories: Vec<Coding> =
        categories.iter().flat_map(|concept| concept.codings.iter().cloned()).collect();
    let is_data = |resource: &&Resource| {
        resource.query.is_none()
            && resource
                .what
                .as_ref()
                .is_some_and(|what| what.reference.is_some() && what.resource_type() != Some("Patient"))
    };
    let security = |label: &&Coding| matches!(label.system.as_deref(), Some(CONFIDENTIALITY | ACT_CODE));
    let items: Vec<Item> = resources
        .iter()
        .filter(is_data)
        .take(MAX_ITEMS)
        .map(|resource| Item {
            id: resource
                .what
                .as_ref()
                .and_then(|what| what.reference.as_deref())
                .unwrap_or_default()
                .to_owned(),
            categories: categories.iter().chain(&resource.class).cloned().collect(),
            labels: resource.labels.iter().chain(labels).filter(security).cloned().collect(),
            ..Item::default()
        })
        .collect();
    match (items.is_empty(), categories.is_empty()) {
        (false, _) => Scope::Items(items),
        (true, false) => Scope::Items(vec![Item { categories, labels: labels.to_vec(), ..Item::default() }]),
        (true, true) => Scope::Unscoped,
    }
}
