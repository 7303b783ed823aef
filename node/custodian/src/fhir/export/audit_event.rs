//! `access.event` to FHIR R4 AuditEvent.

use custos_proof::sealed_values::{
    Action, ActionKind, Agent, Detail, Format, Identifier, Outcome, OutcomeKind, Party, Purpose, Resource,
    Source, Stated,
};
use serde_json::{Value, json};

use super::{
    About, GROUP_COUNT, Object, base64, coding, concept, identifier, moment, party, period, source_id,
};
use crate::draft::AccessValues;

const OTHER_ID: &str = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/ihe-otherId";
const ASSURANCE: &str = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/ihe-assuranceLevel";
const BALP_ENTITY_TYPE: &str = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType";
const RESOURCE_TYPES: &str = "http://hl7.org/fhir/resource-types";

/// The AuditEvent that these values are of.
#[must_use]
pub fn audit_event(values: &AccessValues, about: &About) -> Value {
    let unstated = Source::default();
    let source = values.source.value().unwrap_or(&unstated);
    // A profile of R5 says nothing about an R4 resource.
    let profiles =
        if source.format == Some(Format::FhirR5AuditEvent) { &[][..] } else { &source.profiles[..] };
    let mut event = Object::of_type("AuditEvent", about);
    event.put("meta", Some(about.meta(profiles, &source.labels, &source.missing)));
    let group = values.group.value().filter(|group| group.count.is_some_and(|count| count > 1));
    let count = group
        .and_then(|group| group.count)
        .map(|count| json!({ "url": GROUP_COUNT, "valueUnsignedInt": count.min(i32::MAX as u64) }));
    event.each("extension", source_id(source.own_id.as_ref()).into_iter().chain(count));
    let unnamed = Action::default();
    let action = values.action.value().unwrap_or(&unnamed);
    event.demanded("type", action.class.as_ref().map(coding));
    event.each("subtype", action.subtypes.iter().map(coding));
    event.text("action", letter(action));
    let when = values.when.value();
    let (start, end) = match (when, group) {
        (_, Some(group)) if group.start.is_some() || group.end.is_some() => {
            (group.start.as_ref(), group.end.as_ref())
        }
        (Some(when), _) => (when.start.as_ref(), when.end.as_ref()),
        (None, _) => (None, None),
    };
    event.put("period", Some(period(start, end)));
    let recorded = when.and_then(|when| when.recorded.as_ref()).filter(|recorded| recorded.has_time());
    event.demanded_primitive("recorded", recorded.map(moment));
    if let Some(outcome) = values.outcome.value() {
        event.text("outcome", outcome_code(outcome));
        event.text("outcomeDesc", outcome.description.as_deref());
    }
    let purposes: &[Purpose] = values.purpose.value().map_or(&[], |purposes| purposes);
    let purposes_of = |agent: Option<u8>| {
        purposes
            .iter()
            .filter(move |purpose| purpose.agent == agent)
            .filter_map(|purpose| purpose.concept.as_ref())
            .map(concept)
    };
    event.each("purposeOfEvent", purposes_of(None));
    let agents: &[Agent] = values.agents.value().map_or(&[], |agents| agents);
    let numbered = agents.iter().zip(0u8..);
    let mut agents: Vec<Value> =
        numbered.map(|(value, number)| agent(value, purposes_of(Some(number)).collect())).collect();
    if agents.is_empty() {
        agents.push(agent(&Agent::default(), Vec::new()));
    }
    event.each("agent", agents);
    event.put("source", Some(observer(source)));
    event.each("entity", entities(values));
    event.into()
}

/// R4 has five letters; the words of the vocabulary stand for one where the source gave none.
pub(crate) fn letter(action: &Action) -> Option<&str> {
    let stated = action.letter.as_deref().filter(|letter| ["C", "R", "U", "D", "E"].contains(letter));
    stated.or_else(|| {
        action.kind.map(|kind| match kind {
            ActionKind::Create | ActionKind::Import => "C",
            ActionKind::Read | ActionKind::Export => "R",
            ActionKind::Update => "U",
            ActionKind::Delete => "D",
            ActionKind::Query
            | ActionKind::Execute
            | ActionKind::StartBreakGlass
            | ActionKind::StopBreakGlass => "E",
        })
    })
}

pub(crate) fn outcome_code(outcome: &Outcome) -> Option<&str> {
    let stated = outcome.code.as_deref().filter(|code| ["0", "4", "8", "12"].contains(code));
    stated.or_else(|| {
        outcome.kind.map(|kind| match kind {
            OutcomeKind::Served | OutcomeKind::Overridden => "0",
            OutcomeKind::Denied => "4",
            OutcomeKind::Failed => "8",
        })
    })
}

fn agent(agent: &Agent, purposes: Vec<Value>) -> Value {
    let mut object = Object::default();
    let other_ids =
        agent.other_ids.iter().map(|id| json!({ "url": OTHER_ID, "valueIdentifier": identifier(id) }));
    let assurance = agent
        .assurance
        .iter()
        .map(|level| json!({ "url": ASSURANCE, "valueCodeableConcept": concept(level) }));
    object.each("extension", assurance.chain(other_ids));
    object.put("type", agent.part.as_ref().map(concept));
    object.each("role", agent.roles.iter().map(concept));
    object.put("who", agent.who.as_ref().map(party));
    object.text("altId", agent.alternative_id.as_deref());
    object.text("name", agent.name.as_deref());
    object.demanded_primitive("requestor", agent.requestor.map(Value::from));
    object.put("location", agent.location.as_ref().map(party));
    object.each("policy", agent.policies.iter().map(|policy| json!(&**policy)));
    object.put("media", agent.media.as_ref().map(coding));
    let mut network = Object::default();
    network.text("address", agent.network_address.as_deref());
    let is_kind = |kind: &&str| ["1", "2", "3", "4", "5"].contains(kind);
    network.text("type", agent.network_kind.as_deref().filter(is_kind));
    object.put("network", Some(network));
    object.each("purposeOfUse", purposes);
    object.into()
}

fn observer(source: &Source) -> Value {
    let mut object = Object::default();
    object.text("site", source.site.as_deref());
    object.demanded("observer", source.observer.as_ref().map(party));
    object.each("type", source.observer_kinds.iter().map(coding));
    object.into()
}

/// What was accessed, the consents that were named besides, and the ids that tie records together.
fn entities(values: &AccessValues) -> Vec<Value> {
    let resources: &[Resource] = values.resources.value().map_or(&[], |resources| resources);
    let named = |consent: &&Party| resources.iter().any(|resource| resource.what.as_ref() == Some(*consent));
    let consents = values.legal_basis.value().into_iter().flat_map(|basis| basis.consents.iter());
    let consents = consents.filter(|consent| !named(consent)).map(
        |consent| json!({ "what": party(consent), "type": { "system": RESOURCE_TYPES, "code": "Consent" } }),
    );
    let correlations: &[Identifier] = match &values.correlation {
        Stated::Value(correlations) => correlations,
        Stated::Unknown(_) => &[],
    };
    let correlations = correlations.iter().map(|id| {
        json!({ "what": { "identifier": identifier(id) }, "type": { "system": BALP_ENTITY_TYPE, "code": "XrequestId" } })
    });
    resources.iter().map(entity).chain(consents).chain(correlations).collect()
}

fn entity(resource: &Resource) -> Value {
    let mut object = Object::default();
    object.put("what", resource.what.as_ref().map(party));
    object.put("type", resource.class.as_ref().map(coding));
    object.put("role", resource.role.as_ref().map(coding));
    object.put("lifecycle", resource.life_cycle.as_ref().map(coding));
    object.each("securityLabel", resource.labels.iter().map(coding));
    object.text("name", resource.name.as_deref());
    object.text("description", resource.description.as_deref());
    object.put("query", resource.query.as_ref().map(|query| base64(query)));
    object.each("detail", resource.details.iter().map(detail));
    object.into()
}

fn detail(detail: &Detail) -> Value {
    match core::str::from_utf8(&detail.value) {
        Ok(text) if !detail.binary => json!({ "type": &*detail.name, "valueString": text }),
        _ => json!({ "type": &*detail.name, "valueBase64Binary": base64(&detail.value) }),
    }
}
