//! From what a seal holds back to FHIR R4 (4.0.1): AuditEvents and Consents as any FHIR client reads them.
//!
//! Everything that the vocabulary carries and R4 has an element for goes back into that element, so
//! that importing what was exported gives the same values. Where R4 demands an element for which the
//! record has no value, it says so with `data-absent-reason`, as FHIR wants it. How the record stands
//! on the ledger is said in tags of the system [`STATE`], its completeness in [`COMPLETENESS`].
//!
//! Deliberately absent: narrative, R5, and what R4 has no element for (`docs/fhir.md` lists it).

mod audit_event;
mod consent;

use custos_proof::sealed_values::{Coding, Concept, Identifier, Moment, Party, Span, Token};
use serde_json::{Map, Value, json};

pub use audit_event::audit_event;
pub(crate) use audit_event::{letter, outcome_code};
pub use consent::{Version, consent};

/// How all systems and extensions of our own begin.
pub const OURS: &str = "urn:custos:fhir:";
/// Tags that say how a record stands on the ledger: `recorded` or `waiting`.
pub const STATE: &str = "urn:custos:fhir:state";
/// Tags that say whether a record has what its profiles demand: `incomplete`.
pub const COMPLETENESS: &str = "urn:custos:fhir:completeness";
/// The extension that holds the source's own name of a resource.
pub const SOURCE_ID: &str = "urn:custos:fhir:source-id";
/// The extension that says for how many like events one AuditEvent stands.
pub const GROUP_COUNT: &str = "urn:custos:fhir:group-count";

/// The system of R4's outcomes, as later releases name it.
pub(crate) const OUTCOME: &str = "http://terminology.hl7.org/CodeSystem/audit-event-outcome";

const ABSENT: &str = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";

/// What a resource says about itself that its values do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Its id on this server.
    pub id: String,
    /// Its version.
    pub version: u64,
    /// When this version was recorded, as an instant.
    pub last_updated: Option<String>,
    /// Whether the ledger has recorded it.
    pub recorded: bool,
}

impl About {
    fn meta(&self, profiles: &[Token], labels: &[Coding], missing: &[Token]) -> Value {
        let mut tags =
            vec![json!({ "system": STATE, "code": if self.recorded { "recorded" } else { "waiting" } })];
        if !missing.is_empty() {
            let lacking: Vec<&str> = missing.iter().map(|name| &**name).collect();
            tags.push(json!({
                "system": COMPLETENESS, "code": "incomplete", "display": format!("lacks {}", lacking.join(", ")),
            }));
        }
        let mut meta = Object::default();
        meta.put("versionId", Some(self.version.to_string()));
        meta.put("lastUpdated", self.last_updated.clone());
        meta.each("profile", profiles.iter().map(|profile| json!(&**profile)));
        meta.each("security", labels.iter().map(coding));
        meta.each("tag", tags);
        meta.into()
    }
}

/// An object whose empty members are left out, as FHIR demands.
#[derive(Default)]
struct Object(Map<String, Value>);

impl Object {
    fn of_type(resource_type: &str, about: &About) -> Self {
        let mut object = Self::default();
        object.put("resourceType", Some(resource_type));
        object.put("id", Some(about.id.clone()));
        object
    }

    fn put(&mut self, name: &str, value: Option<impl Into<Value>>) {
        let value = value.map(Into::into).filter(|value| !is_empty(value));
        if let Some(value) = value {
            self.0.insert(name.into(), value);
        }
    }

    fn text(&mut self, name: &str, value: Option<&str>) {
        self.put(name, value);
    }

    fn each(&mut self, name: &str, values: impl IntoIterator<Item = Value>) {
        self.put(name, Some(Value::Array(values.into_iter().filter(|value| !is_empty(value)).collect())));
    }

    /// A member that R4 demands and that is an object: its value, or the statement that there is none.
    fn demanded(&mut self, name: &str, value: Option<Value>) {
        let value = value.filter(|value| !is_empty(value)).unwrap_or_else(absent);
        self.0.insert(name.into(), value);
    }

    /// A member that R4 demands and that is a primitive.
    fn demanded_primitive(&mut self, name: &str, value: Option<Value>) {
        match value {
            Some(value) => self.0.insert(name.into(), value),
            None => self.0.insert(format!("_{name}"), absent()),
        };
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Value::Object(object.0)
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// The statement that a value is not known.
fn absent() -> Value {
    json!({ "extension": [{ "url": ABSENT, "valueCode": "unknown" }] })
}

fn coding(value: &Coding) -> Value {
    let mut object = Object::default();
    object.text("system", value.system.as_deref());
    object.text("code", Some(&value.code));
    object.text("display", value.display.as_deref());
    object.into()
}

fn concept(value: &Concept) -> Value {
    let mut object = Object::default();
    object.each("coding", value.codings.iter().map(coding));
    object.text("text", value.text.as_deref());
    object.into()
}

fn identifier(value: &Identifier) -> Value {
    let mut object = Object::default();
    let is_use = |usage: &&str| ["usual", "official", "temp", "secondary", "old"].contains(usage);
    object.text("use", value.usage.as_deref().filter(is_use));
    object.put("type", value.kind.as_ref().map(concept));
    object.text("system", value.system.as_deref());
    object.text("value", value.value.as_deref());
    object.into()
}

fn party(value: &Party) -> Value {
    let mut object = Object::default();
    object.text("reference", value.reference.as_deref());
    object.text("type", value.class.as_deref());
    object.put("identifier", value.identifier.as_ref().map(identifier));
    object.text("display", value.display.as_deref());
    object.into()
}

fn moment(value: &Moment) -> Value {
    Value::from(value.as_str())
}

fn period(start: Option<&Moment>, end: Option<&Moment>) -> Value {
    let mut object = Object::default();
    object.put("start", start.map(moment));
    object.put("end", end.map(moment));
    object.into()
}

fn span(value: &Span) -> Value {
    period(value.start.as_ref(), value.end.as_ref())
}

fn source_id(own_id: Option<&Token>) -> Option<Value> {
    own_id.map(|id| json!({ "url": SOURCE_ID, "valueString": &**id }))
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let symbol = (bits >> (18 - 6 * place)) as usize & 63;
            text.push(if place <= group.len() { char::from(ALPHABET[symbol]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_that_of_the_rfc() {
        // RFC 4648, section 10.
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }
}
