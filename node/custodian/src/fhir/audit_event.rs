//! FHIR AuditEvent to `access.event`: R4 here, R5 in [`r5`], one mapping for both.
//!
//! Testimony: an event is refused only when it cannot be read as one (no `recorded`, no `agent`, no
//! `source`, a malformed date, an element of the wrong type). What a recognised profile demands and
//! the event lacks is listed in the record, and so is every element that has no place in it.
//!
//! An event about several patients becomes one event per patient, each without the others' entities.
//!
//! Deliberately absent: guesses. Categories and justification have no element in AuditEvent, a care
//! relationship only in R5 (`encounter`); what is not there is stated as unknown.

use custos_proof::cbor::{Bytes, List};
use custos_proof::kinds::access::Basis;
use custos_proof::sealed_values::{
    Action, ActionKind, Agent, AgentKind, Agents, Answer, Coding, Codings, Concept, Decision, Detail, Format,
    Group, Identifier, Identifiers, LegalBasis, MAX_AGENTS, MAX_NOT_CARRIED, MAX_QUERY, MAX_RESOURCES,
    Moment, Outcome, OutcomeKind, Party, Prose, Purpose, Purposes, Reason, Relationship, Resource, Resources,
    Source, Stated, Token, When,
};

mod r5;

use super::balp;
use super::datatypes::{
    base64, child_coding, child_concept, child_moment, child_party, coding, concept, identifier, meta,
    moment, prose, token, words,
};
use super::element::{Carried, Element};
use super::json::Json;
use super::release::{self, Release};
use super::{Context, Refusal, RefusalCode, not_carried};
use crate::draft::{AccessEventDraft, AccessValues, SubjectKey};

const DICOM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const RESTFUL: &str = "http://hl7.org/fhir/restful-interaction";
const OBJECT_ROLE: &str = "http://terminology.hl7.org/CodeSystem/object-role";
const ENTITY_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const BALP_ENTITY_TYPE: &str = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType";
const RESOURCE_TYPES: &str = "http://hl7.org/fhir/resource-types";
const AUTHZ_SUBTYPE: &str = "https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType";
const ROLE_CLASS: &str = "http://terminology.hl7.org/CodeSystem/v3-RoleClass";
const OTHER_ID: &str = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/ihe-otherId";
const ASSURANCE: &str = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/ihe-assuranceLevel";

/// Reads one AuditEvent: one draft for each patient that it is about, or one without a subject.
pub(super) fn read(json: &Json, context: &Context<'_>) -> Result<Vec<AccessEventDraft>, Refusal> {
    let carried = Carried::default();
    let event = Element::resource(json, "AuditEvent", &carried);
    let release = release::of_audit_event(&event, context.release())?;
    if let Some(resource_type) = event.child("resourceType") {
        resource_type.mark();
    }

    let (profiles, labels) = meta(&event)?;
    let Parts {
        action: action_read,
        is_authorisation,
        outcome,
        when,
        agents,
        entities,
        source,
        purposes,
        relationship,
    } = match release {
        Release::R4 => parts(&event)?,
        Release::R5 => r5::parts(&event)?,
    };
    let own_id = event.child_text("id", Token::new)?;

    let patients = patients(&entities, json, context);
    let missing = match release {
        Release::R4 => balp::missing(&event, &profiles),
        Release::R5 => balp::missing_r5(&event),
    };
    let format = match release {
        Release::R4 => Format::FhirR4AuditEvent,
        Release::R5 => Format::FhirR5AuditEvent,
    };
    let consents: Vec<Party> = entities
        .iter()
        .filter(|entity| entity.is_consent())
        .filter_map(|entity| entity.resource.what.clone())
        .collect();
    let origin = context.origin(json);

    let draft = |subject: &[SubjectKey], number: usize| {
        let others =
            |entity: &&Entity| entity.is_patient() && context_subject(entity, json, context) != subject;
        let left_out: Vec<&Entity> = entities.iter().filter(others).collect();
        let resources: Vec<Resource> = entities
            .iter()
            .filter(|entity| {
                !left_out.iter().any(|other| other.name == entity.name) && entity.correlation().is_none()
            })
            .map(|entity| entity.resource.clone())
            .collect();
        let correlation: Vec<Identifier> = entities.iter().filter_map(Entity::correlation).collect();
        let data_labels: Vec<Coding> =
            resources.iter().flat_map(|resource| resource.labels.iter().cloned()).collect();
        let mut left_over: Vec<Token> = left_out
            .iter()
            .filter_map(|entity| Token::new(&format!("{} (another patient)", entity.name)))
            .collect();
        left_over.extend(not_carried::<MAX_NOT_CARRIED>(&event).iter().cloned());
        left_over.truncate(MAX_NOT_CARRIED);
        let understood = |there: bool| if there { Reason::NotUnderstood } else { Reason::NotStated };
        let values = AccessValues {
            action: if action_read == Action::default() {
                let class = if release == Release::R4 { "type" } else { "code" };
                Stated::Unknown(understood(event.child(class).is_some()))
            } else {
                Stated::Value(action_read.clone())
            },
            outcome: Stated::from_option(outcome.clone()),
            when: Stated::Value(when.clone()),
            purpose: Stated::from_option(Purposes::new(purposes.clone())),
            legal_basis: Stated::from_option((!consents.is_empty()).then(|| LegalBasis {
                consents: List::new(consents.iter().take(16).cloned().collect()).unwrap_or_default(),
                ..LegalBasis::default()
            })),
            agents: Stated::from_option(Agents::new(agents.clone())),
            relationship: Stated::from_option(relationship.clone()),
            resources: Stated::from_option(Resources::new(resources)),
            labels: Stated::from_option(Codings::new(data_labels.into_iter().take(64).collect())),
            decision: Stated::from_option(decision(is_authorisation, outcome.as_ref())),
            correlation: Stated::from_option(Identifiers::new(correlation.into_iter().take(16).collect())),
            group: Stated::Value(Group { count: Some(1), ..Group::default() }),
            source: Stated::Value(Source {
                format: Some(format),
                own_id: own_id.clone(),
                profiles: profiles.clone(),
                missing: missing.clone(),
                not_carried: List::new(left_over).unwrap_or_default(),
                labels: labels.clone(),
                ..source.clone()
            }),
            ..AccessValues::default()
        };
        let mut origin = origin.clone();
        if number > 0 {
            origin.name = format!("{}#patient-{number}", origin.name);
        }
        AccessEventDraft {
            origin,
            subject: subject.to_vec(),
            organisations: organisations(&agents).iter().map(|party| context.located(party)).collect(),
            basis: basis(&agents, subject, json, context),
            cited: None,
            cites: consents
                .iter()
                .filter_map(|consent| consent.reference.as_deref())
                .map(|reference| context.absolute(reference))
                .collect(),
            values,
        }
    };
    let drafts: Vec<AccessEventDraft> = match &patients[..] {
        [] => vec![draft(&[], 0)],
        [only] => vec![draft(only, 0)],
        several => several.iter().zip(1..).map(|(subject, number)| draft(subject, number)).collect(),
    };
    check_sizes(&event, &drafts)?;
    Ok(drafts)
}

/// What both releases say, each in its own elements.
struct Parts {
    action: Action,
    /// The event is a decision about an access, not the access.
    is_authorisation: bool,
    outcome: Option<Outcome>,
    when: When,
    agents: Vec<Agent>,
    entities: Vec<Entity>,
    source: Source,
    purposes: Vec<Purpose>,
    relationship: Option<Relationship>,
}

/// The parts of an R4 event.
fn parts(event: &Element<'_>) -> Result<Parts, Refusal> {
    let action = action(event)?;
    let is_authorisation = is_authorisation(&action);
    Ok(Parts {
        is_authorisation,
        outcome: outcome(event, is_authorisation)?,
        when: when(event)?,
        agents: agents(event)?,
        entities: entities(event)?,
        source: source(event)?,
        purposes: purposes(event)?,
        relationship: None,
        action,
    })
}

fn is_authorisation(action: &Action) -> bool {
    action.subtypes.iter().any(|subtype| subtype.is(AUTHZ_SUBTYPE, "AuthZ-Consent"))
}

fn action(event: &Element<'_>) -> Result<Action, Refusal> {
    let class = child_coding(event, "type")?;
    let subtypes: List<Coding, 16> = event.values("subtype", coding)?;
    let letter = event.child_text("action", Token::new)?;
    let kind = action_kind(class.as_ref(), &subtypes, letter.as_deref());
    Ok(Action { kind, class, subtypes, letter })
}

/// The word of the vocabulary. The family of events says more than the letter: an export is a read of letter R.
fn action_kind(class: Option<&Coding>, subtypes: &[Coding], letter: Option<&str>) -> Option<ActionKind> {
    let dicom = |code: &str| {
        class.is_some_and(|class| class.is(DICOM, code))
            || subtypes.iter().any(|subtype| subtype.is(DICOM, code))
    };
    let restful =
        |codes: &[&str]| subtypes.iter().any(|subtype| codes.iter().any(|code| subtype.is(RESTFUL, code)));
    let table = [
        (dicom("110106"), ActionKind::Export),
        (dicom("110107"), ActionKind::Import),
        (dicom("110127"), ActionKind::StartBreakGlass),
        (dicom("110138"), ActionKind::StopBreakGlass),
        (dicom("110112"), ActionKind::Query),
        (
            restful(&[
                "search",
                "search-type",
                "search-system",
                "history",
                "history-instance",
                "history-type",
                "history-system",
            ]),
            ActionKind::Query,
        ),
        (restful(&["read", "vread"]), ActionKind::Read),
        (restful(&["create"]), ActionKind::Create),
        (restful(&["update", "patch"]), ActionKind::Update),
        (restful(&["delete"]), ActionKind::Delete),
        (letter == Some("R"), ActionKind::Read),
        (letter == Some("C"), ActionKind::Create),
        (letter == Some("U"), ActionKind::Update),
        (letter == Some("D"), ActionKind::Delete),
        (letter == Some("E"), ActionKind::Execute),
    ];
    table.into_iter().find(|(applies, _)| *applies).map(|(_, kind)| kind)
}

/// 0 is success; an authorisation decision that is no success is a refusal, anything else a failure.
fn outcome(event: &Element<'_>, is_authorisation: bool) -> Result<Option<Outcome>, Refusal> {
    let code = event.child_text("outcome", Token::new)?;
    let outcome = Outcome {
        kind: outcome_kind(code.as_deref(), is_authorisation),
        code,
        description: event.child("outcomeDesc").map_or(Ok(None), |child| prose(&child))?,
    };
    Ok((outcome != Outcome::default()).then_some(outcome))
}

fn outcome_kind(code: Option<&str>, is_authorisation: bool) -> Option<OutcomeKind> {
    match code {
        Some("0") => Some(OutcomeKind::Served),
        Some("4" | "8") if is_authorisation => Some(OutcomeKind::Denied),
        Some("4" | "8" | "12") => Some(OutcomeKind::Failed),
        _ => None,
    }
}

fn decision(is_authorisation: bool, outcome: Option<&Outcome>) -> Option<Decision> {
    let answer = match outcome.and_then(|outcome| outcome.kind) {
        Some(OutcomeKind::Served) => Answer::Permit,
        Some(OutcomeKind::Denied) => Answer::Deny,
        _ => return None,
    };
    is_authorisation.then(|| Decision { answer: Some(answer), ..Decision::default() })
}

fn when(event: &Element<'_>) -> Result<When, Refusal> {
    let recorded = Some(recorded(event)?);
    let (start, end) = period(event, "period")?;
    Ok(When { recorded, start, end })
}

fn recorded(event: &Element<'_>) -> Result<Moment, Refusal> {
    let recorded = event.required("recorded")?;
    let recorded_at = moment(&recorded)?;
    if !recorded_at.has_time() {
        return Err(recorded.refuse(RefusalCode::MalformedDate, "an instant has a time and a zone"));
    }
    Ok(recorded_at)
}

fn period(event: &Element<'_>, name: &str) -> Result<(Option<Moment>, Option<Moment>), Refusal> {
    let period = event.child_object(name)?;
    let part = |name| period.as_ref().map_or(Ok(None), |period| child_moment(period, name));
    Ok((part("start")?, part("end")?))
}

fn purposes(event: &Element<'_>) -> Result<Vec<Purpose>, Refusal> {
    purposes_named(event, "purposeOfEvent", "purposeOfUse")
}

/// The purposes of the event, and those that its agents state.
fn purposes_named(event: &Element<'_>, of_event: &str, of_agent: &str) -> Result<Vec<Purpose>, Refusal> {
    let mut purposes = Vec::new();
    for element in event.list(of_event, 32)? {
        purposes.extend(concept(&element)?.map(|concept| Purpose { concept: Some(concept), agent: None }));
    }
    for (agent, position) in event.list("agent", MAX_AGENTS)?.iter().zip(0u8..) {
        for element in agent.list(of_agent, 32)? {
            purposes.extend(
                concept(&element)?.map(|concept| Purpose { concept: Some(concept), agent: Some(position) }),
            );
        }
    }
    if purposes.len() > 64 {
        return Err(event.refuse(RefusalCode::TooLarge, "more than 64 purposes"));
    }
    Ok(purposes)
}

fn agents(event: &Element<'_>) -> Result<Vec<Agent>, Refusal> {
    agents_by(event, agent)
}

fn agents_by(
    event: &Element<'_>,
    read: impl Fn(&Element<'_>) -> Result<Agent, Refusal>,
) -> Result<Vec<Agent>, Refusal> {
    event.required("agent")?;
    let agents: Vec<Agent> = event.list("agent", MAX_AGENTS)?.iter().map(read).collect::<Result<_, _>>()?;
    if agents.is_empty() {
        return Err(event.refuse_child(
            "agent",
            RefusalCode::MissingElement,
            "FHIR demands at least one agent",
        ));
    }
    Ok(agents)
}

fn agent(element: &Element<'_>) -> Result<Agent, Refusal> {
    let element = element.clone().object()?;
    let network = element.child_object("network")?;
    let network_part = |name: &str| network.as_ref().and_then(|network| network.child(name));
    let (other_ids, assurance) = extensions(&element)?;
    let mut agent = Agent {
        kind: None,
        part: child_concept(&element, "type")?,
        roles: element.values("role", concept)?,
        requestor: element.child_bool("requestor")?,
        who: child_party(&element, "who")?,
        alternative_id: element.child("altId").map_or(Ok(None), |child| words(&child))?,
        name: element.child("name").map_or(Ok(None), |child| words(&child))?,
        on_behalf_of: None,
        other_ids,
        assurance,
        policies: element.values("policy", token)?,
        location: child_party(&element, "location")?,
        network_address: network_part("address").map_or(Ok(None), |child| words(&child))?,
        network_kind: network_part("type").map_or(Ok(None), |child| token(&child))?,
        media: child_coding(&element, "media")?,
        roster_path: List::default(),
        roster: None,
    };
    agent.kind = agent_kind(&agent);
    Ok(agent)
}

/// BALP's two extensions of an agent. Others are left over.
fn extensions(agent: &Element<'_>) -> Result<(List<Identifier, 16>, Option<Concept>), Refusal> {
    let mut other_ids = Vec::new();
    let mut assurance = None;
    for extension in agent.list("extension", 64)? {
        match extension.peek_child("url") {
            Some(OTHER_ID) if other_ids.len() < 16 => {
                if let Some(id) =
                    extension.child("valueIdentifier").map_or(Ok(None), |child| identifier(&child))?
                {
                    other_ids.push(id);
                    mark_url(&extension);
                }
            }
            Some(ASSURANCE) if assurance.is_none() => {
                assurance = child_concept(&extension, "valueCodeableConcept")?;
                if assurance.is_some() {
                    mark_url(&extension);
                }
            }
            _ => {}
        }
    }
    Ok((List::new(other_ids).unwrap_or_default(), assurance))
}

/// The url of a known extension is carried by the place of its value.
fn mark_url(extension: &Element<'_>) {
    if let Some(url) = extension.child("url") {
        url.mark();
    }
}

fn agent_kind(agent: &Agent) -> Option<AgentKind> {
    let part = |system: &str, code: &str| agent.part.as_ref().is_some_and(|part| part.has(system, code));
    match agent.who.as_ref().and_then(Party::resource_type) {
        Some("Practitioner" | "PractitionerRole" | "Patient" | "RelatedPerson" | "Person") => {
            Some(AgentKind::Person)
        }
        Some("Organization") => Some(AgentKind::Organisation),
        Some("Device") => Some(AgentKind::Device),
        _ if part(ROLE_CLASS, "PROV") => Some(AgentKind::Organisation),
        _ if part(DICOM, "110150") => Some(AgentKind::Software),
        _ => None,
    }
}

/// The organisations among the agents: those that asked first, then those named as provider.
fn organisations(agents: &[Agent]) -> Vec<Party> {
    let mut found: Vec<(bool, Party)> = agents
        .iter()
        .filter(|agent| agent.kind == Some(AgentKind::Organisation))
        .filter_map(|agent| agent.who.clone().map(|who| (agent.requestor != Some(true), who)))
        .collect();
    found.sort_by_key(|(later, _)| *later);
    found.into_iter().map(|(_, who)| who).collect()
}

/// The subject's own access is the only ground that the event itself can show in clear.
fn basis(agents: &[Agent], subject: &[SubjectKey], json: &Json, context: &Context<'_>) -> Basis {
    let is_subject = |agent: &Agent| {
        let named = agent.who.as_ref().filter(|who| who.resource_type() == Some("Patient"));
        agent.requestor == Some(true)
            && named.is_some_and(|who| context.subject(who, json).iter().any(|key| subject.contains(key)))
    };
    if agents.iter().any(is_subject) { Basis::Subject } else { Basis::Unknown }
}

/// An entity, and its name for the list of what was not carried.
struct Entity {
    name: String,
    resource: Resource,
}

impl Entity {
    fn class_is(&self, system: &str, code: &str) -> bool {
        self.resource.class.as_ref().is_some_and(|class| class.is(system, code))
    }

    /// Role "Patient"; or a person whose reference says so.
    fn is_patient(&self) -> bool {
        let role = self.resource.role.as_ref().is_some_and(|role| role.is(OBJECT_ROLE, "1"));
        let names_patient = self.resource.what.as_ref().and_then(Party::resource_type) == Some("Patient");
        role || (names_patient && self.class_is(ENTITY_TYPE, "1"))
    }

    fn is_consent(&self) -> bool {
        self.class_is(RESOURCE_TYPES, "Consent")
            || self.resource.what.as_ref().and_then(Party::resource_type) == Some("Consent")
    }

    /// BALP's request id, if the entity says nothing else.
    fn correlation(&self) -> Option<Identifier> {
        let what = self.resource.what.as_ref()?;
        let only_id = Resource {
            what: Some(Party { identifier: what.identifier.clone(), ..Party::default() }),
            class: self.resource.class.clone(),
            ..Resource::default()
        };
        let plain_class = self.resource.class.as_ref().is_some_and(|class| class.display.is_none());
        (self.class_is(BALP_ENTITY_TYPE, "XrequestId") && plain_class && self.resource == only_id)
            .then(|| what.identifier.clone())
            .flatten()
    }
}

fn entities(event: &Element<'_>) -> Result<Vec<Entity>, Refusal> {
    event.list("entity", MAX_RESOURCES)?.iter().map(entity).collect()
}

fn entity(element: &Element<'_>) -> Result<Entity, Refusal> {
    let element = element.clone().object()?;
    let resource = Resource {
        what: child_party(&element, "what")?,
        class: child_coding(&element, "type")?,
        role: child_coding(&element, "role")?,
        life_cycle: child_coding(&element, "lifecycle")?,
        labels: element.values("securityLabel", coding)?,
        name: element.child("name").map_or(Ok(None), |child| prose(&child))?,
        description: element.child("description").map_or(Ok(None), |child| prose(&child))?,
        query: element.child_text("query", |text| {
            base64(text, MAX_QUERY).filter(|query| !query.is_empty()).and_then(Bytes::new)
        })?,
        details: element.values("detail", detail)?,
    };
    Ok(Entity { name: element.name().into(), resource })
}

fn detail(element: &Element<'_>) -> Result<Option<Detail>, Refusal> {
    let element = element.clone().object()?;
    let text = element.child_text("valueString", |text| {
        Some(text).filter(|text| !text.is_empty()).and_then(|text| Bytes::new(text.as_bytes().to_vec()))
    })?;
    let (binary, value) = match text {
        Some(text) => (false, Some(text)),
        None => {
            (true, element.child_text("valueBase64Binary", |text| base64(text, 4096).and_then(Bytes::new))?)
        }
    };
    let name = element.child("type").map_or(Ok(None), |child| child.text(Prose::new))?;
    Ok(name.zip(value).map(|(name, value)| Detail { name, binary, value }))
}

/// The patients that the event is about, each once.
fn patients(entities: &[Entity], json: &Json, context: &Context<'_>) -> Vec<Vec<SubjectKey>> {
    let mut patients: Vec<Vec<SubjectKey>> = Vec::new();
    for entity in entities.iter().filter(|entity| entity.is_patient()) {
        let keys = context_subject(entity, json, context);
        if !keys.is_empty() && !patients.contains(&keys) {
            patients.push(keys);
        }
    }
    patients
}

fn context_subject(entity: &Entity, json: &Json, context: &Context<'_>) -> Vec<SubjectKey> {
    entity.resource.what.as_ref().map(|what| context.subject(what, json)).unwrap_or_default()
}

fn source(event: &Element<'_>) -> Result<Source, Refusal> {
    let source = event.required("source")?.object()?;
    Ok(Source {
        observer: child_party(&source, "observer")?,
        site: source.child("site").map_or(Ok(None), |child| prose(&child))?,
        observer_kinds: source.values("type", coding)?,
        ..Source::default()
    })
}

/// A sealed value has a bound; an event that exceeds it is refused by the field that does.
fn check_sizes(event: &Element<'_>, drafts: &[AccessEventDraft]) -> Result<(), Refusal> {
    let too_long = |draft: &AccessEventDraft| {
        draft.values.to_fields().iter().position(|value| value.len() > custos_proof::seal::MAX_SEALED_VALUE)
    };
    match drafts.iter().find_map(too_long).map(|index| index + 1) {
        Some(8) => Err(event.refuse_child("agent", RefusalCode::TooLarge, "the agents exceed 64 KiB")),
        Some(10) => Err(event.refuse_child("entity", RefusalCode::TooLarge, "the entities exceed 64 KiB")),
        Some(_) => Err(event.refuse(RefusalCode::TooLarge, "the event exceeds the bounds of one item")),
        None => Ok(()),
    }
}
