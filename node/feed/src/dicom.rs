//! DICOM audit messages (PS3.15, section A.5) to FHIR R4 AuditEvents.
//!
//! The mapping is that of FHIR R4's AuditEvent ("DICOM Tag Mapping"):
//!
//! ```text
//! EventIdentification            EventID -> type, EventTypeCode -> subtype, EventActionCode -> action,
//!                                EventDateTime -> recorded, EventOutcomeIndicator -> outcome,
//!                                EventOutcomeDescription -> outcomeDesc, PurposeOfUse -> purposeOfEvent
//! ActiveParticipant              UserID -> who.identifier, AlternativeUserID -> altId, UserName -> name,
//!                                UserIsRequestor -> requestor, RoleIDCode -> type and role,
//!                                NetworkAccessPoint -> network, MediaIdentifier -> media
//! AuditSourceIdentification      AuditEnterpriseSiteID -> source.site, AuditSourceID -> source.observer,
//!                                AuditSourceTypeCode -> source.type
//! ParticipantObjectIdentification ParticipantObjectID and IDTypeCode -> what, TypeCode -> type,
//!                                TypeCodeRole -> role, DataLifeCycle -> lifecycle, Sensitivity -> securityLabel,
//!                                Name -> name, Query -> query, Detail -> detail, Description -> description
//! ```
//!
//! DICOM's own role codes (110150 to 110155) say how a participant took part and become `agent.type`;
//! all others become `agent.role`. A patient's id in HL7 CX form (`4711^^^&1.2.3&ISO`) becomes an
//! identifier with the system `urn:oid:1.2.3`, so that the patient is the same as in FHIR.
//!
//! The XML is hostile until it is read: a document type declaration is refused, no entity but XML's own
//! five is known, and depth, elements, attributes and text are bounded.
//!
//! Deliberately absent: RFC 3881 messages of before DICOM's schema, which have other attribute names
//! (those whose names are the same are read), and any guess about what a code means.

use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use serde_json::{Map, Value, json};
use thiserror::Error;

/// The deepest nesting.
const MAX_DEPTH: usize = 16;
/// The most elements.
const MAX_ELEMENTS: usize = 4_096;
/// The most attributes of one element.
const MAX_ATTRIBUTES: usize = 64;

const DICOM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const ENTITY_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const OBJECT_ROLE: &str = "http://terminology.hl7.org/CodeSystem/object-role";
const LIFE_CYCLE: &str = "http://terminology.hl7.org/CodeSystem/dicom-audit-lifecycle";
const SOURCE_TYPE: &str = "http://terminology.hl7.org/CodeSystem/security-source-type";
/// IHE's transactions have a code system of their own.
const IHE: &str = "urn:ihe:event-type-code";

/// Why a message is not read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DicomError {
    /// Not well-formed XML.
    #[error("not well-formed XML: {0}")]
    Xml(String),
    /// It declares a document type: entities could be defined there.
    #[error("it has a document type declaration, which audit messages have not")]
    DocumentType,
    /// It names an entity that XML does not define.
    #[error("it refers to the entity {0:?}; only XML's own five are known")]
    Entity(String),
    /// It exceeds a bound.
    #[error("it has more than {max} {what}")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// Another document.
    #[error("the root element is {0:?}, not AuditMessage")]
    OtherRoot(String),
    /// A part that every audit message has is not there.
    #[error("it has no {0}")]
    Missing(&'static str),
}

/// Makes a FHIR R4 AuditEvent of an audit message.
///
/// # Errors
/// [`DicomError`]. Values that FHIR does not allow are passed on, and refused by who reads the AuditEvent.
pub fn audit_event(xml: &str) -> Result<Value, DicomError> {
    let root = parse(xml)?;
    if root.name != "AuditMessage" {
        return Err(DicomError::OtherRoot(root.name));
    }
    let identification =
        root.child("EventIdentification").ok_or(DicomError::Missing("EventIdentification"))?;
    let mut event = Map::new();
    event.insert("resourceType".into(), "AuditEvent".into());
    put(&mut event, "type", identification.child("EventID").and_then(coding));
    put(&mut event, "subtype", list(identification.children("EventTypeCode").filter_map(coding)));
    put(&mut event, "action", identification.text_attribute("EventActionCode"));
    put(&mut event, "recorded", identification.attribute("EventDateTime").map(instant));
    put(&mut event, "outcome", identification.text_attribute("EventOutcomeIndicator"));
    let description = identification.child("EventOutcomeDescription").and_then(Element::content);
    put(&mut event, "outcomeDesc", description.map(Value::from));
    let purposes = identification.children("PurposeOfUse").filter_map(concept);
    put(&mut event, "purposeOfEvent", list(purposes));
    put(&mut event, "agent", list(root.children("ActiveParticipant").map(agent)));
    put(&mut event, "source", root.child("AuditSourceIdentification").map(source));
    put(&mut event, "entity", list(root.children("ParticipantObjectIdentification").map(entity)));
    Ok(Value::Object(event))
}

fn agent(participant: &Element) -> Value {
    let mut agent = Map::new();
    let is_part = |code: &&Element| {
        code.attribute("codeSystemName") == Some("DCM")
            && matches!(code_of(code), Some("110150" | "110151" | "110152" | "110153" | "110154" | "110155"))
    };
    let part = participant.children("RoleIDCode").find(is_part);
    put(&mut agent, "type", part.and_then(concept));
    let others =
        participant.children("RoleIDCode").filter(|code| !part.is_some_and(|part| std::ptr::eq(part, *code)));
    put(&mut agent, "role", list(others.filter_map(concept)));
    let user = participant.attribute("UserID").filter(|id| !id.is_empty());
    put(&mut agent, "who", user.map(|id| json!({ "identifier": { "value": id } })));
    put(&mut agent, "altId", participant.text_attribute("AlternativeUserID"));
    put(&mut agent, "name", participant.text_attribute("UserName"));
    let requestor = participant.attribute("UserIsRequestor").and_then(|text| match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    });
    // DICOM: "true" if the attribute is absent.
    let requestor = if participant.attribute("UserIsRequestor").is_none() { Some(true) } else { requestor };
    put(&mut agent, "requestor", requestor.map(Value::Bool));
    let media = participant.child("MediaIdentifier").and_then(|media| media.child("MediaType"));
    put(&mut agent, "media", media.and_then(coding));
    let mut network = Map::new();
    put(&mut network, "address", participant.text_attribute("NetworkAccessPointID"));
    put(&mut network, "type", participant.text_attribute("NetworkAccessPointTypeCode"));
    put(&mut agent, "network", (!network.is_empty()).then_some(Value::Object(network)));
    Value::Object(agent)
}

fn source(identification: &Element) -> Value {
    let mut source = Map::new();
    put(&mut source, "site", identification.text_attribute("AuditEnterpriseSiteID"));
    let id = identification.attribute("AuditSourceID").filter(|id| !id.is_empty());
    put(&mut source, "observer", id.map(|id| json!({ "identifier": { "value": id } })));
    let in_table = |code: &Element| match code.attribute("codeSystemName") {
        None => code_of(code).map(|code| json!({ "system": SOURCE_TYPE, "code": code })),
        Some(_) => coding(code),
    };
    put(&mut source, "type", list(identification.children("AuditSourceTypeCode").filter_map(in_table)));
    Value::Object(source)
}

fn entity(object: &Element) -> Value {
    let mut entity = Map::new();
    let kind = object.child("ParticipantObjectIDTypeCode");
    let id = object.attribute("ParticipantObjectID").filter(|id| !id.is_empty());
    put(&mut entity, "what", id.map(|id| what(id, kind)));
    let of = |name: &str, system: &str| {
        object.attribute(name).map(|code| json!({ "system": system, "code": code }))
    };
    put(&mut entity, "type", of("ParticipantObjectTypeCode", ENTITY_TYPE));
    put(&mut entity, "role", of("ParticipantObjectTypeCodeRole", OBJECT_ROLE));
    put(&mut entity, "lifecycle", of("ParticipantObjectDataLifeCycle", LIFE_CYCLE));
    let label = object.attribute("ParticipantObjectSensitivity").map(|code| json!({ "code": code }));
    put(&mut entity, "securityLabel", list(label.into_iter()));
    let content = |name| object.child(name).and_then(Element::content);
    let (name, query) = (content("ParticipantObjectName"), content("ParticipantObjectQuery"));
    // FHIR: an entity has a name or a query, not both (sev-1). The name then stands among the details.
    let apart = name.filter(|_| query.is_some());
    put(&mut entity, "name", name.filter(|_| query.is_none()).map(Value::from));
    let description = object.child("ParticipantObjectDescription");
    let description = description.and_then(|node| node.content().or_else(|| node.attribute("value")));
    put(&mut entity, "description", description.map(Value::from));
    put(&mut entity, "query", query.map(Value::from));
    let details = object.children("ParticipantObjectDetail").filter_map(|detail| {
        Some(json!({ "type": detail.attribute("type")?, "valueBase64Binary": detail.attribute("value")? }))
    });
    let apart = apart.map(|name| json!({ "type": "ParticipantObjectName", "valueString": name }));
    put(&mut entity, "detail", list(details.chain(apart)));
    Value::Object(entity)
}

/// A reference where the id is one; else an identifier, with the authority of a CX as its system.
fn what(id: &str, kind: Option<&Element>) -> Value {
    let is_address = ["http://", "https://"].iter().any(|scheme| id.starts_with(scheme));
    let is_relative = id.split_once('/').is_some_and(|(name, rest)| {
        name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.bytes().all(|b| b.is_ascii_alphabetic())
            && !rest.is_empty()
            && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-./_".contains(&b))
    });
    if is_address || is_relative {
        return json!({ "reference": id });
    }
    let mut identifier = Map::new();
    put(&mut identifier, "type", kind.and_then(concept));
    let mut parts = id.split('^');
    let (value, authority) = (parts.next().unwrap_or_default(), parts.nth(2).unwrap_or_default());
    let mut authority = authority.split('&');
    let (_, universal, scheme) = (authority.next(), authority.next(), authority.next());
    match (universal, scheme) {
        (Some(oid), Some("ISO")) if !oid.is_empty() && !value.is_empty() => {
            identifier.insert("system".into(), format!("urn:oid:{oid}").into());
            identifier.insert("value".into(), value.into());
        }
        _ => {
            identifier.insert("value".into(), id.into());
        }
    }
    json!({ "identifier": identifier })
}

fn code_of(element: &Element) -> Option<&str> {
    // PS3.15 says csd-code; many senders still write code, as its first edition did.
    element.attribute("csd-code").or_else(|| element.attribute("code")).filter(|code| !code.is_empty())
}

fn coding(element: &Element) -> Option<Value> {
    let code = code_of(element)?;
    let mut coding = Map::new();
    let system = match element.attribute("codeSystemName").unwrap_or_default() {
        "" => None,
        "DCM" | "1.2.840.10008.2.16.4" => Some(DICOM.to_owned()),
        "IHE Transactions" => Some(IHE.to_owned()),
        name if name.starts_with(|c: char| c.is_ascii_digit()) && name.contains('.') => {
            Some(format!("urn:oid:{name}"))
        }
        name if name.contains(':') => Some(name.to_owned()),
        // A name is no system, and it says more than nothing.
        name => Some(format!("urn:custos:dicom-code-system:{}", name.replace(' ', "-"))),
    };
    put(&mut coding, "system", system.map(Value::from));
    coding.insert("code".into(), code.into());
    let display = element.text_attribute("displayName").or_else(|| element.text_attribute("originalText"));
    put(&mut coding, "display", display);
    Some(Value::Object(coding))
}

fn concept(element: &Element) -> Option<Value> {
    coding(element).map(|coding| json!({ "coding": [coding] }))
}

/// `xs:dateTime` may have no zone; FHIR's `instant` must. Without one it is UTC, as DICOM demands of senders
/// that give none.
fn instant(text: &str) -> Value {
    let time = text.split_once('T').map_or("", |(_, time)| time);
    let has_zone = time.ends_with('Z') || time.contains('+') || time.contains('-');
    let is_plain = !time.is_empty() && !has_zone;
    if is_plain { format!("{text}Z").into() } else { text.into() }
}

fn put(object: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        object.insert(name.into(), value);
    }
}

fn list(values: impl Iterator<Item = Value>) -> Option<Value> {
    let values: Vec<Value> = values.collect();
    (!values.is_empty()).then_some(Value::Array(values))
}

/// An element with everything in it. Names are without their prefix.
#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Element>,
    text: String,
}

impl Element {
    fn children<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str())
    }

    fn text_attribute(&self, name: &str) -> Option<Value> {
        self.attribute(name).filter(|text| !text.is_empty()).map(Value::from)
    }

    fn content(&self) -> Option<&str> {
        Some(self.text.trim()).filter(|text| !text.is_empty())
    }
}

fn parse(xml: &str) -> Result<Element, DicomError> {
    let broken = |error: quick_xml::Error| DicomError::Xml(error.to_string());
    let mut reader = Reader::from_str(xml.trim_start_matches('\u{feff}'));
    let mut open: Vec<Element> = Vec::new();
    let mut root: Option<Element> = None;
    let mut elements = 0;
    loop {
        let closes =
            |open: &mut Vec<Element>, root: &mut Option<Element>, element: Element| match open.last_mut() {
                Some(parent) => parent.children.push(element),
                None => *root = Some(element),
            };
        match reader.read_event().map_err(broken)? {
            Event::Eof => break,
            Event::DocType(_) => return Err(DicomError::DocumentType),
            Event::Start(_) | Event::Empty(_) if root.is_some() => {
                return Err(DicomError::Xml("something follows the root element".into()));
            }
            event @ (Event::Start(_) | Event::Empty(_)) => {
                elements += 1;
                if elements > MAX_ELEMENTS {
                    return Err(DicomError::TooLarge { what: "elements", max: MAX_ELEMENTS });
                }
                if open.len() >= MAX_DEPTH {
                    return Err(DicomError::TooLarge { what: "levels", max: MAX_DEPTH });
                }
                match event {
                    Event::Start(tag) => open.push(element(&tag)?),
                    Event::Empty(tag) => closes(&mut open, &mut root, element(&tag)?),
                    _ => {}
                }
            }
            Event::End(_) => {
                let element =
                    open.pop().ok_or_else(|| DicomError::Xml("an end without a beginning".into()))?;
                closes(&mut open, &mut root, element);
            }
            Event::Text(text) => {
                let text = text.xml_content(XmlVersion::Implicit1_0);
                add_text(&mut open, &text)?;
            }
            Event::CData(text) => {
                let text = text.xml_content(XmlVersion::Implicit1_0);
                add_text(&mut open, &text)?;
            }
            Event::GeneralRef(reference) => match reference.resolve_char_ref().map_err(broken)? {
                Some(character) => add_text(&mut open, character.encode_utf8(&mut [0; 4]))?,
                None => {
                    let name: &str = &reference;
                    let text = resolve_xml_entity(name).ok_or_else(|| unknown_entity(name))?;
                    add_text(&mut open, text)?;
                }
            },
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
    if !open.is_empty() {
        return Err(DicomError::Xml("it ends early".into()));
    }
    root.ok_or(DicomError::Missing("root element"))
}

fn unknown_entity(name: &str) -> DicomError {
    DicomError::Entity(name.chars().take(64).collect())
}

fn add_text(open: &mut [Element], text: &str) -> Result<(), DicomError> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err(DicomError::Xml("text outside of the root element".into())),
    }
    Ok(())
}

fn element(tag: &BytesStart<'_>) -> Result<Element, DicomError> {
    let mut attributes = Vec::new();
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|error| DicomError::Xml(error.to_string()))?;
        if attributes.len() >= MAX_ATTRIBUTES {
            return Err(DicomError::TooLarge { what: "attributes in an element", max: MAX_ATTRIBUTES });
        }
        // Resolves character references and XML's own entities, and nothing else.
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        let value = value.map_err(|error| DicomError::Xml(error.to_string()))?;
        attributes.push((local(attribute.key.local_name().as_ref()), value.into_owned()));
    }
    Ok(Element { name: local(tag.local_name().as_ref()), attributes, ..Element::default() })
}

fn local(name: &str) -> String {
    name.to_owned()
}

#[cfg(test)]
mod tests;
