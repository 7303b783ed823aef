//! FHIR R5 AuditEvent: where R5 keeps what R4 calls by other names.
//!
//! | R5 | R4 | carried as |
//! |---|---|---|
//! | `category` (its first code) | `type` | action, class |
//! | `code`, further codes of `category` | `subtype` | action, subtypes |
//! | `occurred[x]` | `period` | when |
//! | `outcome.code`, `outcome.detail` | `outcome`, `outcomeDesc` | outcome; severities become 0, 4, 8 or 12 |
//! | `authorization`, `agent.authorization` | `purposeOfEvent`, `agent.purposeOfUse` | purpose |
//! | `patient` | an entity of role "Patient" | resources, and the subject |
//! | `encounter` | none | resources, and the care relationship |
//! | `agent.network[x]` | `agent.network` | agents |
//! | `source.site` (its words, else its address) | `source.site` | source |
//!
//! Deliberately absent: `severity`, `basedOn`, `entity.agent` and values of details that are no text:
//! the vocabulary has no place for them, and the record names them.

use custos_proof::cbor::{Bytes, List};
use custos_proof::sealed_values::{
    Action, Agent, Coding, Detail, MAX_QUERY, MAX_RESOURCES, Outcome, Party, Prose, Relationship,
    RelationshipKind, Resource, Source, Token, When,
};

use super::{
    ENTITY_TYPE, Entity, OBJECT_ROLE, Parts, RESOURCE_TYPES, action_kind, agent_kind, agents_by, extensions,
    is_authorisation, outcome_kind, period, purposes_named, recorded,
};
use crate::fhir::datatypes::{
    base64, child_concept, child_moment, child_party, coding, concept, prose, token, words,
};
use crate::fhir::element::Element;
use crate::fhir::{Refusal, RefusalCode};

const OUTCOME: &str = "http://terminology.hl7.org/CodeSystem/audit-event-outcome";
const SEVERITY: &str = "http://hl7.org/fhir/issue-severity";

/// The parts of an R5 event.
pub(super) fn parts(event: &Element<'_>) -> Result<Parts, Refusal> {
    let action = action(event)?;
    let is_authorisation = is_authorisation(&action);
    let encounter = child_party(event, "encounter")?;
    Ok(Parts {
        is_authorisation,
        outcome: outcome(event, is_authorisation)?,
        when: when(event)?,
        agents: agents_by(event, agent)?,
        relationship: encounter
            .as_ref()
            .map(|_| Relationship { kind: Some(RelationshipKind::Encounter), evidence: None }),
        entities: entities(event, encounter)?,
        source: source(event)?,
        purposes: purposes_named(event, "authorization", "authorization")?,
        action,
    })
}

fn action(event: &Element<'_>) -> Result<Action, Refusal> {
    let mut categories = codings_of_each(event, "category")?.into_iter();
    let class = categories.next();
    let subtypes: Vec<Coding> = codings_of(event, "code")?.into_iter().chain(categories).collect();
    let subtypes = List::new(subtypes)
        .ok_or_else(|| event.refuse_child("code", RefusalCode::TooLarge, "more than 16 codes"))?;
    let letter = event.child_text("action", Token::new)?;
    let kind = action_kind(class.as_ref(), &subtypes, letter.as_deref());
    Ok(Action { kind, class, subtypes, letter })
}

/// The codes of a `CodeableConcept`; its words are left over.
fn codings_of(element: &Element<'_>, name: &str) -> Result<Vec<Coding>, Refusal> {
    element.child_object(name)?.map_or(Ok(Vec::new()), |concept| codings(&concept))
}

/// The codes of several `CodeableConcept`s.
fn codings_of_each(element: &Element<'_>, name: &str) -> Result<Vec<Coding>, Refusal> {
    let mut all = Vec::new();
    for concept in element.list(name, 16)? {
        all.extend(codings(&concept)?);
    }
    Ok(all)
}

fn codings(concept: &Element<'_>) -> Result<Vec<Coding>, Refusal> {
    Ok(concept.values::<Coding, 16>("coding", coding)?.to_vec())
}

/// The code of R4 where R5 has the same or a severity that means it.
fn outcome(event: &Element<'_>, is_authorisation: bool) -> Result<Option<Outcome>, Refusal> {
    let Some(element) = event.child_object("outcome")? else { return Ok(None) };
    let code = match element.child_object("code")? {
        None => None,
        Some(child) => {
            let known = match (child.peek_child("system"), child.peek_child("code")) {
                (Some(OUTCOME), Some(code @ ("0" | "4" | "8" | "12"))) => Some(code),
                (Some(SEVERITY), Some("success" | "information")) => Some("0"),
                (Some(SEVERITY), Some("warning")) => Some("4"),
                (Some(SEVERITY), Some("error")) => Some("8"),
                (Some(SEVERITY), Some("fatal")) => Some("12"),
                _ => None,
            };
            if known.is_some() {
                child.mark_all();
            }
            known.and_then(Token::new)
        }
    };
    let mut description = None;
    for detail in element.list("detail", 16)? {
        if description.is_none() {
            description = detail.child("text").map_or(Ok(None), |text| prose(&text))?;
        }
    }
    let outcome = Outcome { kind: outcome_kind(code.as_deref(), is_authorisation), code, description };
    Ok((outcome != Outcome::default()).then_some(outcome))
}

fn when(event: &Element<'_>) -> Result<When, Refusal> {
    let recorded = Some(recorded(event)?);
    if event.child("occurredPeriod").is_some() {
        let (start, end) = period(event, "occurredPeriod")?;
        return Ok(When { recorded, start, end });
    }
    let occurred = child_moment(event, "occurredDateTime")?;
    Ok(When { recorded, start: occurred.clone(), end: occurred })
}

fn agent(element: &Element<'_>) -> Result<Agent, Refusal> {
    let element = element.clone().object()?;
    let (other_ids, assurance) = extensions(&element)?;
    let uri = element.child("networkUri").map_or(Ok(None), |child| words(&child))?;
    let (network_address, network_kind) = match uri {
        Some(uri) => (Some(uri), Token::new("5")),
        None => (element.child("networkString").map_or(Ok(None), |child| words(&child))?, None),
    };
    let mut agent = Agent {
        part: child_concept(&element, "type")?,
        roles: element.values("role", concept)?,
        requestor: element.child_bool("requestor")?,
        who: child_party(&element, "who")?,
        other_ids,
        assurance,
        policies: element.values("policy", token)?,
        location: child_party(&element, "location")?,
        network_address,
        network_kind,
        ..Agent::default()
    };
    agent.kind = agent_kind(&agent);
    Ok(agent)
}

/// The entities, and before them the patient and the encounter, which R5 names apart.
fn entities(event: &Element<'_>, encounter: Option<Party>) -> Result<Vec<Entity>, Refusal> {
    let code = |system: &str, code: &str| {
        Token::new(code).map(|code| Coding { system: Token::new(system), code, display: None })
    };
    let patient = child_party(event, "patient")?.map(|patient| Entity {
        name: event.name_of("patient"),
        resource: Resource {
            what: Some(patient),
            class: code(ENTITY_TYPE, "1"),
            role: code(OBJECT_ROLE, "1"),
            ..Resource::default()
        },
    });
    let encounter = encounter.map(|encounter| Entity {
        name: event.name_of("encounter"),
        resource: Resource {
            what: Some(encounter),
            class: code(RESOURCE_TYPES, "Encounter"),
            ..Resource::default()
        },
    });
    let mut entities: Vec<Entity> = patient.into_iter().chain(encounter).collect();
    for element in event.list("entity", MAX_RESOURCES - entities.len())? {
        entities.push(entity(&element)?);
    }
    Ok(entities)
}

fn entity(element: &Element<'_>) -> Result<Entity, Refusal> {
    let element = element.clone().object()?;
    let role = match element.child_object("role")? {
        Some(role) => role.list("coding", 16)?.first().map_or(Ok(None), coding)?,
        None => None,
    };
    let labels = List::new(codings_of_each(&element, "securityLabel")?)
        .ok_or_else(|| element.refuse_child("securityLabel", RefusalCode::TooLarge, "more than 16 labels"))?;
    let resource = Resource {
        what: child_party(&element, "what")?,
        role,
        labels,
        query: element.child_text("query", |text| {
            base64(text, MAX_QUERY).filter(|query| !query.is_empty()).and_then(Bytes::new)
        })?,
        details: element.values("detail", detail)?,
        ..Resource::default()
    };
    Ok(Entity { name: element.name().into(), resource })
}

/// A detail whose value is text or bytes. Its name is the words of its type, else its first code.
fn detail(element: &Element<'_>) -> Result<Option<Detail>, Refusal> {
    let element = element.clone().object()?;
    let Some(kind) = element.child_object("type")? else { return Ok(None) };
    let first = kind.list("coding", 16)?.into_iter().next();
    let name = match (kind.child("text"), &first) {
        (Some(text), _) => Some(text),
        (None, Some(first)) => first.child("display").or_else(|| first.child("code")),
        (None, None) => None,
    };
    let Some(name) = name.map_or(Ok(None), |name| name.text(Prose::new))? else { return Ok(None) };
    for value in ["valueString", "valueTime", "valueDateTime"] {
        let text = element.child_text(value, |text| {
            Some(text).filter(|text| !text.is_empty()).and_then(|text| Bytes::new(text.as_bytes().to_vec()))
        })?;
        if let Some(text) = text {
            return Ok(Some(Detail { name, binary: false, value: text }));
        }
    }
    let bytes = element.child_text("valueBase64Binary", |text| base64(text, 4096).and_then(Bytes::new))?;
    Ok(bytes.map(|value| Detail { name, binary: true, value }))
}

fn source(event: &Element<'_>) -> Result<Source, Refusal> {
    let source = event.required("source")?.object()?;
    let site = match source.child_object("site")? {
        Some(site) => {
            let words = site.child("display").or_else(|| site.child("reference"));
            words.map_or(Ok(None), |words| prose(&words))?
        }
        None => None,
    };
    let observer_kinds = List::new(codings_of_each(&source, "type")?)
        .ok_or_else(|| source.refuse_child("type", RefusalCode::TooLarge, "more than 16 codes"))?;
    Ok(Source { observer: child_party(&source, "observer")?, site, observer_kinds, ..Source::default() })
}
