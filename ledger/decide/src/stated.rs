//! The requests that a recorded event stands for, as far as its openings state them.
//!
//! One for each purpose that it states. What an event has no place for (dates, authors and codes of data,
//! groups that are not named) stays unknown in the request, and the replay says so.
//!
//! Deliberately absent: whether the request is permitted ([`crate::decide`]).

use custos_proof::disclosure::Shown;
use custos_proof::kinds::access::{Basis, Event};
use custos_proof::sealed_values::{
    Action, Agent, AgentKind, Agents, Coding, Codings, Concept, Concepts, Party, Purposes, Relationship,
    Resource, Resources, Stated,
};

use crate::facts::Representative;
use crate::gather::{Committed, membership};
use crate::listing::field;
use crate::matching::Ruler;
use crate::replay::Why;
use crate::request::{ActorSet, Emergency, Item, MAX_ITEMS, Request, Scope, Standing};
use crate::terminology::{ACT_CODE, ACT_REASON, CONFIDENTIALITY};

/// Who took part, as an event states it.
pub(crate) fn agents(shown: &[Shown]) -> Result<Vec<Agent>, Why> {
    let agents: Stated<Agents> = field(shown, 8).ok_or(Why::NotShown)?;
    Ok(agents.value().map(|agents| agents.to_vec()).unwrap_or_default())
}

/// What a request has beside what the event states.
pub(crate) struct Beside<'a> {
    /// Who speaks for the subject.
    pub(crate) representatives: &'a [Representative],
    /// The declared emergency.
    pub(crate) emergency: Option<Emergency>,
    /// The roster that the acting organisation had bound itself to.
    pub(crate) committed: &'a Committed,
    /// How names are compared.
    pub(crate) ruler: &'a Ruler<'a>,
}

/// The requests that an event stands for: one for each purpose that it states.
pub(crate) fn requests(event: &Event, shown: &[Shown], beside: &Beside<'_>) -> Result<Vec<Request>, Why> {
    let action: Stated<Action> = field(shown, 1).ok_or(Why::NotShown)?;
    let purposes: Stated<Purposes> = field(shown, 4).ok_or(Why::NotShown)?;
    let agents = agents(shown)?;
    let categories: Stated<Concepts> = field(shown, 6).ok_or(Why::NotShown)?;
    let resources: Stated<Resources> = field(shown, 10).ok_or(Why::NotShown)?;
    let labels: Stated<Codings> = field(shown, 11).ok_or(Why::NotShown)?;
    let action = action.value().and_then(|action| action.kind).ok_or(Why::NoAction)?;
    let scope = scope(
        resources.value().map(|resources| &**resources).unwrap_or_default(),
        categories.value().map(|concepts| &**concepts).unwrap_or_default(),
        labels.value().map(|labels| &**labels).unwrap_or_default(),
    );
    let actor = ActorSet {
        standing: standing(event, &agents, beside),
        participant: event.acting.clone(),
        members: members(&agents, beside.committed),
        roles: agents.iter().flat_map(|agent| agent.roles.iter().chain(&agent.part).cloned()).collect(),
    };
    let relationship = field::<Stated<Relationship>>(shown, 9)
        .and_then(|relationship| relationship.value().and_then(|relationship| relationship.kind));
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
        emergency: beside.emergency,
        relationship,
        permit: event.cited.filter(|_| event.basis == Basis::Permit),
        scope: scope.clone(),
    };
    Ok(codes.into_iter().map(request).collect())
}

/// The code of a purpose that decisions know, else its first.
fn code_of(concept: &Concept) -> Option<Coding> {
    let known = concept.codings.iter().find(|coding| coding.system.as_deref() == Some(ACT_REASON));
    known.or(concept.codings.first()).map(|coding| Coding { display: None, ..coding.clone() })
}

fn standing(event: &Event, agents: &[Agent], beside: &Beside<'_>) -> Standing {
    let named = |agent: &Agent| agent.who.as_ref().and_then(Party::resource_type).map(str::to_owned);
    let is_professional = |agent: &Agent| {
        agent.kind != Some(AgentKind::Software)
            && matches!(named(agent).as_deref(), Some("Practitioner" | "PractitionerRole"))
    };
    let represents = |agent: &Agent| {
        let is_named = agent.who.as_ref().is_some_and(|who| {
            beside.representatives.iter().any(|one| beside.ruler.is_same(&one.party, who))
        });
        is_named || named(agent).as_deref() == Some("RelatedPerson")
    };
    match event.basis {
        Basis::Permit => Standing::DataUser,
        // A practitioner who is somebody's guardian acts as a practitioner, unless it is the subject's own access.
        Basis::Subject if agents.iter().any(represents) => Standing::Representative,
        Basis::Subject => Standing::Subject,
        _ if agents.iter().any(is_professional) => Standing::Clinician,
        _ if agents.iter().any(represents) => Standing::Representative,
        _ => Standing::Staff,
    }
}

/// Everybody whom the event names as acting, and the groups to which their entry of the committed roster says that
/// they belong.
fn members(agents: &[Agent], committed: &Committed) -> Vec<Party> {
    let groups = |agent: &Agent| match committed {
        Committed::To(commitment) => {
            membership(agent, &commitment.root).map_or_else(Vec::new, |entry| entry.groups.to_vec())
        }
        Committed::Nothing | Committed::Unknown => Vec::new(),
    };
    agents
        .iter()
        .flat_map(|agent| agent.who.iter().chain(&agent.on_behalf_of).cloned().chain(groups(agent)))
        .collect()
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
