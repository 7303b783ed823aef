//! A FHIR Consent that opts out, as a gateway meets it: `custos decide` with the file beside another consent.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use serde_json::{Value, json};
use support::{run, write};

mod support;

fn consent(provision: &str, codes: &[&str]) -> Value {
    let coding = |code: &&str| json!({"coding": [{"system": "urn:custos:opt-out", "code": code}]});
    let mut category = vec![json!({"coding": [{"system": "http://loinc.org", "code": "59284-0"}]})];
    category.extend(codes.iter().map(coding));
    json!({
        "resourceType": "Consent", "id": provision, "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": category, "patient": {"reference": "Patient/1"}, "provision": {"type": provision}
    })
}

fn request(purpose: &str, origin: &str) -> Value {
    json!({
        "custodian": "hospital-a.example",
        "actor": {"standing": "clinician", "participant": "hospital-a.example", "members": ["Practitioner/17"]},
        "purpose": purpose, "action": "read", "relationship": "encounter",
        "items": [{"id": "Observation/1", "labels": ["N"], "origin": origin}],
    })
}

#[test]
fn an_opt_out_from_fhir_closes_what_another_institution_recorded_whatever_else_was_permitted() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, value: &Value| write(folder.path(), name, value.to_string().as_bytes());
    let permit = file("permit.json", &consent("permit", &[]));
    let opt_out = file("opt-out.json", &consent("deny", &["primary"]));
    let theirs = file("theirs.json", &request("TREAT", "hospital-b.example"));
    let own = file("own.json", &request("TREAT", "hospital-a.example"));
    let decide = |request: &Path, consents: &[&Path]| {
        let mut arguments = vec!["decide", "--request", request.to_str().unwrap()];
        for consent in consents {
            arguments.extend(["--consent", consent.to_str().unwrap()]);
        }
        run(&arguments)
    };
    let (code, out, err) = decide(&theirs, &[&permit]);
    assert_eq!(code, 0, "{out}{err}");
    let (code, out, err) = decide(&theirs, &[&permit, &opt_out]);
    assert_eq!(code, 1, "{out}{err}");
    assert!(out.contains("deny: primary-opt-out"), "{out}");
    let (code, out, err) = decide(&own, &[&permit, &opt_out]);
    assert_eq!(code, 0, "the originating custodian's own data stay available to it: {out}{err}");

    // A code that nobody knows is no opt-out, and no restriction either.
    let strange = file("strange.json", &consent("deny", &["tertiary"]));
    let (code, _, err) = decide(&own, &[&strange]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("Consent.category[1]"), "{err}");
}
