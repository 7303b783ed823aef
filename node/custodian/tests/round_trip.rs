//! What goes in comes out: every IHE sample as it was, R5 as the R4 that says the same.
//!
//! The JSON that is exported is compared with the JSON that was imported, member by member, by code
//! that knows nothing of the mapping. With `CUSTOS_FHIR_OUT` set, everything that was exported is
//! written there, for a validator that we did not write (`make fhir-validate`).

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::PathBuf;

use custos_custodian::draft::{AccessEventDraft, RuleDraft};
use custos_custodian::fhir::export::{self, About, Version};
use custos_custodian::fhir::{self, Options, Outcome};
use custos_proof::ids::TimeMs;
use custos_proof::kinds::rule::Collected;
use custos_proof::sealed_values::{Effect, Format, RelationshipKind, RuleBody};
use serde_json::{Value, json};

/// 2026-03-12T10:00:00Z
const NOW: TimeMs = TimeMs(1_773_309_600_000);

fn samples(folder: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testnet/data/ihe").join(folder)
}

fn options() -> Options {
    Options { base: "https://a.example/fhir".into(), now: NOW, collected: Collected::Paper }
}

fn about(id: &str) -> About {
    let last_updated = Some("2026-03-12T10:00:00.000Z".into());
    About { id: id.into(), version: 1, last_updated, recorded: true }
}

fn read(resource: &Value) -> Outcome {
    fhir::read_bytes("x.json", resource.to_string().as_bytes(), &options()).remove(0).outcome
}

fn event(resource: &Value) -> AccessEventDraft {
    match read(resource) {
        Outcome::Event(draft) => *draft,
        other => panic!("{other:?}"),
    }
}

fn rule(resource: &Value) -> RuleDraft {
    match read(resource) {
        Outcome::Rule(draft) => *draft,
        other => panic!("{other:?}"),
    }
}

fn export_event(draft: &AccessEventDraft, id: &str) -> Value {
    write(&format!("AuditEvent-{id}"), export::audit_event(&draft.values, &about(id)))
}

fn export_rule(draft: &RuleDraft, id: &str) -> Value {
    let rule = match &draft.body {
        RuleBody::Rule(rule) => Some(rule),
        _ => None,
    };
    let version = Version { inner: draft.inner, rule, evidence: &draft.evidence };
    write(&format!("Consent-{id}"), export::consent(&version, &about(id)))
}

/// Hands a resource to the foreign validator, if there is one.
fn write(name: &str, resource: Value) -> Value {
    if let Some(folder) = std::env::var_os("CUSTOS_FHIR_OUT") {
        let folder = PathBuf::from(folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("r4-{name}.json")), resource.to_string()).unwrap();
    }
    resource
}

fn write_r5(name: &str, resource: &Value) {
    if let Some(folder) = std::env::var_os("CUSTOS_FHIR_OUT") {
        let folder = PathBuf::from(folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("r5-{name}.json")), resource.to_string()).unwrap();
    }
}

/// Every leaf with its path, indices included.
fn leaves(json: &Value, path: String, out: &mut BTreeSet<(String, String)>) {
    match json {
        Value::Array(values) => {
            for (n, value) in values.iter().enumerate() {
                leaves(value, format!("{path}[{n}]"), out);
            }
        }
        Value::Object(members) => {
            for (name, value) in members {
                leaves(value, format!("{path}.{name}"), out);
            }
        }
        leaf => drop(out.insert((path, leaf.to_string()))),
    }
}

/// What R4 gives the record that the sample does not have: our own bookkeeping.
fn is_bookkeeping(path: &str) -> bool {
    [".meta.versionId", ".meta.lastUpdated", ".meta.tag", ".extension[0]"]
        .iter()
        .any(|ours| path.starts_with(ours))
}

#[test]
fn every_sample_comes_out_as_it_went_in() {
    let mut count = [0; 2];
    for folder in ["balp", "pcf"] {
        let mut files: Vec<_> =
            std::fs::read_dir(samples(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            let before: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            let id = before["id"].as_str().unwrap().to_owned();
            let after = match read(&before) {
                Outcome::Event(draft) => {
                    count[0] += 1;
                    let after = export_event(&draft, &id);
                    assert_eq!(event(&after).values, draft.values, "{id}");
                    after
                }
                Outcome::Rule(draft) => {
                    count[1] += 1;
                    let after = export_rule(&draft, &id);
                    let again = rule(&after);
                    assert_eq!(
                        (again.inner, again.body, again.evidence, again.collected),
                        (draft.inner, draft.body, draft.evidence, draft.collected),
                        "{id}"
                    );
                    after
                }
                // The consent of 2022 to 2023 can no longer enter into force.
                Outcome::Refused(refusal) => {
                    assert_eq!(
                        (id.as_str(), refusal.code),
                        ("ex-consent-expired-treat", fhir::RefusalCode::PeriodOver)
                    );
                    continue;
                }
                Outcome::NotApplicable(why) => panic!("{id}: {why}"),
            };
            let (mut wanted, mut found) = (BTreeSet::new(), BTreeSet::new());
            leaves(&before, String::new(), &mut wanted);
            leaves(&after, String::new(), &mut found);
            let lost: Vec<_> =
                wanted.difference(&found).filter(|(path, _)| !is_lost_knowingly(path)).collect();
            assert!(lost.is_empty(), "{id}: lost {lost:?}");
            let added: Vec<_> = found.difference(&wanted).filter(|(path, _)| !is_bookkeeping(path)).collect();
            assert!(added.is_empty(), "{id}: added {added:?}");
        }
    }
    assert_eq!(count, [46, 22]);
}

/// Elements of the samples that do not come out, each in the table of docs/fhir.md. There is one: the
/// content of an attachment is kept as its hash.
fn is_lost_knowingly(path: &str) -> bool {
    path == ".sourceAttachment.data"
}

fn r5_event() -> Value {
    json!({
        "resourceType": "AuditEvent", "id": "r5-read",
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest", "display": "RESTful Operation"}]}],
        "code": {"coding": [{"system": "http://hl7.org/fhir/restful-interaction", "code": "vread"}]},
        "action": "R", "severity": "informational",
        "occurredDateTime": "2026-03-12T08:59:58Z", "recorded": "2026-03-12T09:00:00Z",
        "outcome": {
            "code": {"system": "http://hl7.org/fhir/issue-severity", "code": "success"},
            "detail": [{"text": "all read"}]
        },
        "authorization": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}]}],
        "basedOn": [{"reference": "ServiceRequest/3"}],
        "patient": {"reference": "Patient/1"},
        "encounter": {"reference": "Encounter/2"},
        "agent": [
            {"type": {"coding": [{"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "110153"}]},
             "who": {"reference": "Device/7"}, "requestor": false, "networkUri": "https://server.example/fhir"},
            {"who": {"reference": "Practitioner/9", "display": "Dr X"}, "requestor": true,
             "role": [{"text": "ward physician"}],
             "authorization": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "ETREAT"}]}],
             "networkString": "10.0.0.17"}
        ],
        "source": {"site": {"reference": "Location/4", "display": "Ward 5"}, "observer": {"reference": "Device/7"},
                   "type": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/security-source-type", "code": "4"}]}]},
        "entity": [
            {"what": {"reference": "Observation/5/_history/2"},
             "role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/object-role", "code": "4"}]},
             "securityLabel": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}],
             "detail": [{"type": {"text": "trace"}, "valueString": "abc"},
                        {"type": {"coding": [{"code": "bytes"}]}, "valueBase64Binary": "Zm9v"},
                        {"type": {"text": "number"}, "valueInteger": 5}]},
            {"role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/object-role", "code": "24"}]}, "query": "P2E9Yg=="}
        ]
    })
}

#[test]
fn an_r5_audit_event_comes_out_as_the_r4_that_says_the_same() {
    write_r5("AuditEvent-read", &r5_event());
    let draft = event(&r5_event());
    assert_eq!(draft.subject[0].as_str(), "address|https://a.example/fhir/Patient/1");
    let source = draft.values.source.value().unwrap();
    assert_eq!(source.format, Some(Format::FhirR5AuditEvent));
    assert!(source.is_complete(), "{:?}", source.missing);
    let left: Vec<&str> = source.not_carried.iter().map(|name| &**name).collect();
    assert_eq!(
        left,
        [
            "AuditEvent.severity",
            "AuditEvent.basedOn",
            "AuditEvent.source.site.reference",
            "AuditEvent.entity[0].detail[2].valueInteger"
        ]
    );
    assert_eq!(draft.values.relationship.value().unwrap().kind, Some(RelationshipKind::Encounter));

    let mut after = export_event(&draft, "r5-read");
    assert_eq!(after["meta"]["tag"][0]["code"], "recorded");
    after.as_object_mut().unwrap().remove("meta");
    let code = |system: &str, code: &str| json!({"system": format!("http://terminology.hl7.org/CodeSystem/{system}"), "code": code});
    assert_eq!(
        after,
        json!({
            "resourceType": "AuditEvent", "id": "r5-read",
            "extension": [{"url": "urn:custos:fhir:source-id", "valueString": "r5-read"}],
            "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest", "display": "RESTful Operation"},
            "subtype": [{"system": "http://hl7.org/fhir/restful-interaction", "code": "vread"}],
            "action": "R", "period": {"start": "2026-03-12T08:59:58Z", "end": "2026-03-12T08:59:58Z"},
            "recorded": "2026-03-12T09:00:00Z", "outcome": "0", "outcomeDesc": "all read",
            "purposeOfEvent": [{"coding": [code("v3-ActReason", "TREAT")]}],
            "agent": [
                {"type": {"coding": [{"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "110153"}]},
                 "who": {"reference": "Device/7"}, "requestor": false,
                 "network": {"address": "https://server.example/fhir", "type": "5"}},
                {"who": {"reference": "Practitioner/9", "display": "Dr X"}, "requestor": true,
                 "role": [{"text": "ward physician"}], "network": {"address": "10.0.0.17"},
                 "purposeOfUse": [{"coding": [code("v3-ActReason", "ETREAT")]}]}
            ],
            "source": {"site": "Ward 5", "observer": {"reference": "Device/7"}, "type": [code("security-source-type", "4")]},
            "entity": [
                {"what": {"reference": "Patient/1"}, "type": code("audit-entity-type", "1"), "role": code("object-role", "1")},
                {"what": {"reference": "Encounter/2"}, "type": {"system": "http://hl7.org/fhir/resource-types", "code": "Encounter"}},
                {"what": {"reference": "Observation/5/_history/2"}, "role": code("object-role", "4"),
                 "securityLabel": [code("v3-Confidentiality", "R")],
                 "detail": [{"type": "trace", "valueString": "abc"}, {"type": "bytes", "valueBase64Binary": "Zm9v"}]},
                {"role": code("object-role", "24"), "query": "P2E9Yg=="}
            ]
        })
    );
    // And the R4 says what the R5 said, but for the release and what R4 has no place for.
    let again = event(&after).values;
    for (number, (one, other)) in draft.values.to_fields().iter().zip(again.to_fields()).enumerate() {
        // 9 is the relationship, 16 the source with its release.
        assert!([8, 15].contains(&number) || *one == other, "field {}", number + 1);
    }
}

#[test]
fn an_incomplete_r5_audit_event_is_recorded_and_marked() {
    let mut resource = r5_event();
    resource.as_object_mut().unwrap().remove("code");
    resource["agent"][0].as_object_mut().unwrap().remove("who");
    resource["outcome"]["code"] = json!({"system": "urn:x", "code": "so-so"});
    write("AuditEvent-r5-incomplete", {
        let draft = event(&resource);
        let source = draft.values.source.value().unwrap();
        let missing: Vec<&str> = source.missing.iter().map(|name| &**name).collect();
        assert_eq!(missing, ["AuditEvent.code", "AuditEvent.agent.who"]);
        assert!(source.not_carried.iter().any(|name| &**name == "AuditEvent.outcome.code"));
        let after = export::audit_event(&draft.values, &about("incomplete"));
        assert_eq!(after["meta"]["tag"][1]["code"], "incomplete");
        assert_eq!(after.get("outcome"), None);
        after
    });
}

fn r5_consent() -> Value {
    json!({
        "resourceType": "Consent", "id": "r5-deny", "status": "active",
        "identifier": [{"system": "urn:x", "value": "17"}],
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "subject": {"reference": "Patient/1"}, "date": "2026-01-02",
        "period": {"start": "2026-01-02", "end": "2028"},
        "grantor": [{"reference": "Patient/1"}],
        "manager": [{"reference": "Organization/3"}],
        "sourceReference": [{"reference": "DocumentReference/4"}],
        "regulatoryBasis": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN"}]}],
        "policyBasis": {"url": "https://policy.example/1"},
        "verification": [{"verified": true, "verifiedWith": {"reference": "Patient/1"}, "verificationDate": ["2026-01-03", "2026-01-04"]}],
        "decision": "deny",
        "provision": [{
            "period": {"start": "2026-02-01", "end": "2027"},
            "actor": [{"role": {"text": "recipient"}, "reference": {"reference": "Organization/5"}}],
            "action": [{"coding": [{"code": "access"}]}],
            "securityLabel": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "N"}],
            "purpose": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}],
            "resourceType": [{"system": "http://hl7.org/fhir/resource-types", "code": "Observation"}],
            "code": [{"coding": [{"system": "http://loinc.org", "code": "85354-9"}]}],
            "dataPeriod": {"start": "2020"},
            "data": [{"meaning": "related", "reference": {"reference": "Encounter/6"}}]
        }]
    })
}

#[test]
fn an_r5_consent_comes_out_as_the_r4_that_says_the_same() {
    write_r5("Consent-deny", &r5_consent());
    let draft = rule(&r5_consent());
    let record = draft.evidence.record.clone().unwrap();
    assert_eq!(record.format, Some(Format::FhirR5Consent));
    let left: Vec<&str> = record.not_carried.iter().map(|name| &**name).collect();
    assert_eq!(left, ["Consent.verification[0].verificationDate[1]"]);
    let RuleBody::Rule(body) = &draft.body else { panic!() };
    assert_eq!(body.root.as_ref().unwrap().effect, Some(Effect::Deny));
    assert_eq!(body.nested[0].effect, Some(Effect::Permit));
    // The root denies: nobody is named in clear.
    assert!(draft.recipients.is_empty());
    assert_eq!(draft.expiry.to_string(), "2029-01-01T00:00:00.000Z");

    let mut after = export_rule(&draft, "r5-deny");
    after.as_object_mut().unwrap().remove("meta");
    let unknown = json!({"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]});
    assert_eq!(
        after,
        json!({
            "resourceType": "Consent", "id": "r5-deny", "status": "active",
            "extension": [{"url": "urn:custos:fhir:source-id", "valueString": "r5-deny"}],
            "identifier": [{"system": "urn:x", "value": "17"}],
            "scope": unknown,
            "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
            "patient": {"reference": "Patient/1"}, "dateTime": "2026-01-02",
            "performer": [{"reference": "Patient/1"}], "organization": [{"reference": "Organization/3"}],
            "sourceReference": {"reference": "DocumentReference/4"},
            "policy": [{"uri": "https://policy.example/1"}],
            "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN"}]},
            "verification": [{"verified": true, "verifiedWith": {"reference": "Patient/1"}, "verificationDate": "2026-01-03"}],
            "provision": {
                "type": "deny", "period": {"start": "2026-01-02", "end": "2028"},
                "provision": [{
                    "type": "permit", "period": {"start": "2026-02-01", "end": "2027"},
                    "actor": [{"role": {"text": "recipient"}, "reference": {"reference": "Organization/5"}}],
                    "action": [{"coding": [{"code": "access"}]}],
                    "securityLabel": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "N"}],
                    "purpose": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}],
                    "class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Observation"}],
                    "code": [{"coding": [{"system": "http://loinc.org", "code": "85354-9"}]}],
                    "dataPeriod": {"start": "2020"},
                    "data": [{"meaning": "related", "reference": {"reference": "Encounter/6"}}]
                }]
            }
        })
    );
    // R5 has no scope, and nobody guesses what an R4 is about that says it does not know.
    let Outcome::Refused(refused) = read(&after) else { panic!("it was taken") };
    assert_eq!((refused.code, &*refused.element), (fhir::RefusalCode::ScopeNotCarried, "Consent.scope"));
    after["scope"] = json!({"coding": [{
        "system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"
    }]});
    let RuleBody::Rule(again) = rule(&after).body else { panic!() };
    let mut again = again;
    again.scope = None;
    assert_eq!(again, *body);
}

#[test]
fn what_is_ambiguous_in_an_r5_consent_is_refused_with_the_element() {
    use fhir::RefusalCode::*;
    let cases: Vec<(&str, Option<Value>, fhir::RefusalCode, &str)> = vec![
        ("decision", None, NoBaseEffect, "Consent.decision"),
        ("decision", Some(json!("maybe")), UnknownCode, "Consent.decision"),
        ("status", Some(json!("not-done")), NotInForce, "Consent.status"),
        ("subject", None, MissingPatient, "Consent.subject"),
        ("grantee", Some(json!([{"reference": "Organization/1"}])), NotUnderstood, "Consent.grantee"),
        ("period", Some(json!({"start": "2026-03"})), NestedWider, "Consent.provision[0].period.start"),
        ("scope", Some(json!({"text": "x"})), MixedReleases, "Consent.decision"),
        (
            "category",
            Some(json!([{"coding": [{"system": "http://loinc.org", "code": "75320-2"}]}])),
            ScopeNotCarried,
            "Consent.category[0]",
        ),
    ];
    let refusal = |resource: &Value| match read(resource) {
        Outcome::Refused(refusal) => (refusal.code, refusal.element),
        other => panic!("{resource}: {other:?}"),
    };
    for (name, value, code, element) in cases {
        let mut resource = r5_consent();
        match value {
            Some(value) => drop(resource.as_object_mut().unwrap().insert(name.into(), value)),
            None => drop(resource.as_object_mut().unwrap().remove(name)),
        }
        assert_eq!(refusal(&resource), (code, element.into()), "{name}");
    }
    let mut over = r5_consent();
    over.as_object_mut().unwrap().remove("provision");
    over["period"] = json!({"end": "2025"});
    assert_eq!(refusal(&over), (PeriodOver, "Consent.period.end".into()));
    let nested: Vec<(&str, Value, fhir::RefusalCode, &str)> = vec![
        ("provision", json!([{"purpose": []}]), NestedTooDeep, "Consent.provision[0].provision"),
        (
            "expression",
            json!({"language": "text/cql"}),
            ExpressionUnsupported,
            "Consent.provision[0].expression",
        ),
        ("documentType", json!([{"code": "x"}]), NotUnderstood, "Consent.provision[0].resourceType"),
        ("type", json!("permit"), NotUnderstood, "Consent.provision[0].type"),
        (
            "modifierExtension",
            json!([{"url": "urn:x"}]),
            NotUnderstood,
            "Consent.provision[0].modifierExtension",
        ),
    ];
    for (name, value, code, element) in nested {
        let mut resource = r5_consent();
        resource["provision"][0][name] = value;
        assert_eq!(refusal(&resource), (code, element.into()), "{name}");
    }
}
