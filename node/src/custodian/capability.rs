//! `GET /fhir/metadata`: what this endpoint does, made of the same tables that do it.

use custos_custodian::fhir::balp;
use custos_custodian::fhir::request::ResourceType;
use custos_custodian::fhir::search::parameters;
use serde_json::{Value, json};

use super::Surface;

/// The CapabilityStatement.
pub(super) fn statement(surface: &Surface) -> Value {
    let resources: Vec<Value> = ResourceType::ALL.into_iter().map(resource).collect();
    json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": surface.started.to_string(),
        "kind": "instance",
        "software": { "name": "Custos", "version": env!("CARGO_PKG_VERSION") },
        "implementation": {
            "description": format!("The vault of {}", surface.custodian),
            "url": surface.address,
        },
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "rest": [{
            "mode": "server",
            "documentation": "Takes R4 and R5, gives R4. What is posted is sealed into the custodian's vault, and the seal is recorded on the ledger; see docs/fhir.md.",
            "security": {
                "description": "A bearer token of the custodian's own systems, or HTTP message signatures (RFC 9421) with the custodian's registered key. Not for patients and not for other institutions.",
            },
            "resource": resources,
            "interaction": [{ "code": "transaction" }, { "code": "batch" }],
        }],
    })
}

fn resource(of: ResourceType) -> Value {
    let update: &[&str] = match of {
        ResourceType::Consent => &["update"],
        ResourceType::AuditEvent => &[],
    };
    let interactions: Vec<Value> = ["create", "read", "vread", "history-instance", "search-type"]
        .iter()
        .chain(update)
        .map(|code| json!({ "code": code }))
        .collect();
    let searches: Vec<Value> =
        parameters(of).iter().map(|(name, kind)| json!({ "name": name, "type": kind })).collect();
    let mut resource = json!({
        "type": of.word(),
        "interaction": interactions,
        "versioning": "versioned",
        "readHistory": true,
        "updateCreate": false,
        "conditionalCreate": false,
        "conditionalUpdate": false,
        "conditionalDelete": "not-supported",
        "searchParam": searches,
    });
    if let (ResourceType::AuditEvent, Some(object)) = (of, resource.as_object_mut()) {
        let profiles: Vec<String> =
            balp::PROFILES.iter().map(|name| format!("{}{name}", balp::DEFINITIONS)).collect();
        object.insert("supportedProfile".into(), json!(profiles));
    }
    resource
}
