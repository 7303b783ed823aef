//! FHIR that is wrong, absurd or hostile: a refusal that names the element, bounded memory, no panic.

#![allow(clippy::unwrap_used)]

use custos_custodian::draft::{AccessEventDraft, Intent, RuleDraft};
use custos_custodian::fhir::{self, MAX_FILE, Options, Outcome, Reading, RefusalCode};
use custos_decide::optout::OptOutKind;
use custos_proof::ids::TimeMs;
use custos_proof::kinds::rule::Collected;
use custos_proof::sealed_values::{InnerKind, OutcomeKind, RuleBody};
use proptest::prelude::*;
use serde_json::{Value, json};

/// 2026-03-12T10:00:00Z
const NOW: TimeMs = TimeMs(1_773_309_600_000);

fn options() -> Options {
    Options { base: "https://a.example/fhir/".into(), now: NOW, collected: Collected::Paper }
}

fn read(value: &Value) -> Vec<Reading> {
    fhir::read_bytes("test.json", value.to_string().as_bytes(), &options())
}

fn refusal(value: &Value) -> (RefusalCode, String) {
    match read(value).remove(0).outcome {
        Outcome::Refused(refusal) => (refusal.code, refusal.element),
        other => panic!("{value}: {other:?}"),
    }
}

fn event(value: &Value) -> AccessEventDraft {
    match read(value).remove(0).outcome {
        Outcome::Event(draft) => *draft,
        other => panic!("{value}: {other:?}"),
    }
}

fn rule(value: &Value) -> RuleDraft {
    match read(value).remove(0).outcome {
        Outcome::Rule(draft) => *draft,
        other => panic!("{value}: {other:?}"),
    }
}

fn audit_event() -> Value {
    json!({
        "resourceType": "AuditEvent", "id": "e1",
        "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"},
        "action": "R", "recorded": "2026-03-12T09:00:00Z", "outcome": "0",
        "agent": [{"requestor": true, "who": {"display": "Dr X"}}],
        "source": {"observer": {"display": "server"}},
        "entity": [{"what": {"reference": "Patient/1"}, "role": {"system": "http://terminology.hl7.org/CodeSystem/object-role", "code": "1"}}]
    })
}

fn consent() -> Value {
    json!({
        "resourceType": "Consent", "id": "c1", "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": "Patient/1"},
        "provision": {
            "type": "permit",
            "purpose": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}],
            "provision": [{"type": "deny"}]
        }
    })
}

/// The document with the value at a JSON pointer set, or taken away.
fn with(mut document: Value, pointer: &str, value: Option<Value>) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap();
    match (parent, value) {
        (Value::Object(members), Some(value)) => drop(members.insert(name.into(), value)),
        (Value::Object(members), None) => drop(members.shift_remove(name).unwrap()),
        (Value::Array(values), Some(value)) => values[name.parse::<usize>().unwrap()] = value,
        (other, _) => panic!("{other}"),
    }
    document
}

#[test]
fn the_plain_documents_are_taken() {
    assert_eq!(event(&audit_event()).values.outcome.value().unwrap().kind, Some(OutcomeKind::Served));
    assert_eq!(rule(&consent()).inner, InnerKind::Grant);
}

#[test]
fn an_audit_event_is_refused_only_when_it_cannot_be_read_as_one() {
    use RefusalCode::{MalformedDate, MissingElement, MixedReleases, WrongType};
    let none = || None;
    let cases: Vec<(&str, Option<Value>, RefusalCode, &str)> = vec![
        ("/recorded", none(), MissingElement, "AuditEvent.recorded"),
        ("/agent", none(), MissingElement, "AuditEvent.agent"),
        ("/agent", Some(json!([])), MissingElement, "AuditEvent.agent"),
        ("/source", none(), MissingElement, "AuditEvent.source"),
        ("/recorded", Some(json!("yesterday")), MalformedDate, "AuditEvent.recorded"),
        ("/recorded", Some(json!("2026-02-30T00:00:00Z")), MalformedDate, "AuditEvent.recorded"),
        ("/recorded", Some(json!("2026-03-12")), MalformedDate, "AuditEvent.recorded"),
        ("/recorded", Some(json!("99999-01-01T00:00:00Z")), MalformedDate, "AuditEvent.recorded"),
        ("/recorded", Some(json!(17)), WrongType, "AuditEvent.recorded"),
        ("/agent", Some(json!({"requestor": true})), WrongType, "AuditEvent.agent"),
        ("/agent/0", Some(json!("Dr X")), WrongType, "AuditEvent.agent[0]"),
        ("/agent/0/who", Some(json!([])), WrongType, "AuditEvent.agent[0].who"),
        ("/agent/0/who/display", Some(json!({})), WrongType, "AuditEvent.agent[0].who.display"),
        ("/agent/0/requestor", Some(json!("yes")), WrongType, "AuditEvent.agent[0].requestor"),
        ("/agent/0/policy", Some(json!("x")), WrongType, "AuditEvent.agent[0].policy"),
        ("/entity/0/what", Some(json!(null)), WrongType, "AuditEvent.entity[0].what"),
    ];
    for (pointer, value, code, element) in cases {
        assert_eq!(refusal(&with(audit_event(), pointer, value)), (code, element.into()), "{pointer}");
    }
    // A period that ends before it begins is judged where it changes what is permitted; testimony states what it states.
    let inverted = with(audit_event(), "/period", Some(json!({"start": "2026", "end": "2025"})));
    assert!(event(&inverted).values.when.value().unwrap().end.is_some());
    let both = with(audit_event(), "/code", Some(json!({"coding": [{"code": "x"}]})));
    assert_eq!(refusal(&both), (MixedReleases, "AuditEvent.code".into()));
}

#[test]
fn an_incomplete_audit_event_is_recorded_and_marked() {
    let profile = json!({"profile": ["https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientRead"]});
    let draft = event(&with(audit_event(), "/meta", Some(profile)));
    let missing: Vec<&str> =
        draft.values.source.value().unwrap().missing.iter().map(|token| &**token).collect();
    assert_eq!(
        missing,
        [
            "AuditEvent.subtype",
            "AuditEvent.agent of type 110153",
            "AuditEvent.agent of type 110152",
            "AuditEvent.entity of type 2",
            "AuditEvent.entity of type 1, role 1"
        ]
    );
    let bare = event(&with(with(audit_event(), "/type", None), "/outcome", None));
    assert_eq!(
        bare.values.source.value().unwrap().missing.iter().map(|token| &**token).collect::<Vec<_>>(),
        ["AuditEvent.type"]
    );
    assert!(bare.values.outcome.value().is_none());
}

#[test]
fn what_has_no_place_is_named() {
    let mut document = audit_event();
    document["text"] = json!({"status": "generated", "div": "<div/>"});
    document["modifierExtension"] = json!([{"url": "urn:x", "valueBoolean": true}]);
    document["agent"][0]["who"]["_display"] = json!({"extension": [{"url": "urn:y", "valueString": "z"}]});
    document["agent"][0]["altId"] = json!("");
    document["entity"][0]["name"] = json!("x".repeat(5000));
    document["nonsense\u{1b}[2J"] = json!(1);
    let draft = event(&document);
    let names: Vec<String> =
        draft.values.source.value().unwrap().not_carried.iter().map(|token| token.to_string()).collect();
    for name in [
        "AuditEvent.text",
        "AuditEvent.modifierExtension",
        "AuditEvent.agent[0].who._display",
        "AuditEvent.agent[0].altId",
        "AuditEvent.entity[0].name",
        "AuditEvent.nonsense?[2J",
    ] {
        assert!(names.iter().any(|found| found == name), "{name} in {names:?}");
    }
    let mut many = audit_event();
    for number in 0..1000 {
        many[format!("x{number}")] = json!(number);
    }
    let source = event(&many).values.source;
    let listed = &source.value().unwrap().not_carried;
    assert_eq!((listed.len(), &**listed.last().unwrap()), (64, "and 937 more"));
}

#[test]
fn an_event_about_two_patients_is_two_events_without_each_other() {
    let mut document = audit_event();
    let second = json!({"what": {"reference": "Patient/2", "display": "Mrs B"}, "role": {"system": "http://terminology.hl7.org/CodeSystem/object-role", "code": "1"}});
    document["entity"].as_array_mut().unwrap().push(second);
    let readings = read(&document);
    assert_eq!(readings.len(), 2);
    let drafts: Vec<&AccessEventDraft> = readings
        .iter()
        .map(|reading| match &reading.outcome {
            Outcome::Event(draft) => &**draft,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_ne!(drafts[0].subject, drafts[1].subject);
    assert_ne!(drafts[0].origin.name, drafts[1].origin.name);
    let holds = |draft: &AccessEventDraft, text: &str| {
        draft.values.to_fields().concat().windows(text.len()).any(|window| window == text.as_bytes())
    };
    assert!(!holds(drafts[0], "Patient/2") && !holds(drafts[0], "Mrs B"));
    assert!(!holds(drafts[1], "Patient/1") && holds(drafts[1], "Mrs B"));
    assert_eq!(
        &*drafts[0].values.source.value().unwrap().not_carried[0],
        "AuditEvent.entity[1] (another patient)"
    );
}

#[test]
fn what_is_ambiguous_in_a_consent_is_refused_with_the_element() {
    use RefusalCode::*;
    let coding =
        |code: &str| json!([{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": code}]);
    let nested = "/provision/provision/0";
    let cases: Vec<(String, Option<Value>, RefusalCode, &str)> = vec![
        ("/provision".into(), None, NoBaseEffect, "Consent.provision.type"),
        ("/provision/type".into(), None, NoBaseEffect, "Consent.provision.type"),
        ("/provision/type".into(), Some(json!("allow")), UnknownCode, "Consent.provision.type"),
        ("/provision".into(), Some(json!([{"type": "permit"}])), MixedReleases, "Consent.provision"),
        ("/decision".into(), Some(json!("permit")), MixedReleases, "Consent.decision"),
        ("/status".into(), None, MissingElement, "Consent.status"),
        ("/status".into(), Some(json!("draft")), NotInForce, "Consent.status"),
        ("/status".into(), Some(json!("proposed")), NotInForce, "Consent.status"),
        ("/scope".into(), None, MissingElement, "Consent.scope"),
        ("/scope/coding/0/code".into(), Some(json!("treatment")), ScopeNotCarried, "Consent.scope"),
        ("/scope/coding/0/code".into(), Some(json!("adr")), ScopeNotCarried, "Consent.scope"),
        ("/scope/coding/0/code".into(), Some(json!("billing")), ScopeNotCarried, "Consent.scope"),
        ("/scope/coding/0/code".into(), None, ScopeNotCarried, "Consent.scope"),
        ("/scope/coding/0/system".into(), Some(json!("urn:oid:1.2.3")), ScopeNotCarried, "Consent.scope"),
        ("/scope/coding/0/system".into(), None, ScopeNotCarried, "Consent.scope"),
        ("/scope".into(), Some(json!({"text": "data protection"})), ScopeNotCarried, "Consent.scope"),
        ("/scope".into(), Some(json!({})), ScopeNotCarried, "Consent.scope"),
        ("/patient".into(), None, MissingPatient, "Consent.patient"),
        ("/patient".into(), Some(json!({"display": "Mr A"})), MissingPatient, "Consent.patient"),
        ("/implicitRules".into(), Some(json!("urn:x")), NotUnderstood, "Consent.implicitRules"),
        ("/modifierExtension".into(), Some(json!([])), NotUnderstood, "Consent.modifierExtension"),
        (
            format!("{nested}/provision"),
            Some(json!([{"type": "permit"}])),
            NestedTooDeep,
            "Consent.provision.provision[0].provision",
        ),
        (
            format!("{nested}/purpose"),
            Some(coding("HRESCH")),
            NestedWider,
            "Consent.provision.provision[0].purpose[0]",
        ),
        (
            format!("{nested}/expression"),
            Some(json!({"language": "text/cql"})),
            ExpressionUnsupported,
            "Consent.provision.provision[0].expression",
        ),
        (
            "/provision/expression".into(),
            Some(json!({"language": "text/cql"})),
            ExpressionUnsupported,
            "Consent.provision.expression",
        ),
        (
            "/provision/extension".into(),
            Some(json!([{"url": "urn:x", "valueString": "unless raining"}])),
            NotUnderstood,
            "Consent.provision.extension",
        ),
        (
            format!("{nested}/modifierExtension"),
            Some(json!([{"url": "urn:x", "valueBoolean": true}])),
            NotUnderstood,
            "Consent.provision.provision[0].modifierExtension",
        ),
        ("/provision/purpose/0/code".into(), None, NotUnderstood, "Consent.provision.purpose"),
        (
            "/provision/actor".into(),
            Some(json!([{"role": {"text": "doctor"}}])),
            MissingElement,
            "Consent.provision.actor[0].reference",
        ),
        (
            "/provision/data".into(),
            Some(json!([{"reference": {"reference": "Observation/1"}}])),
            MissingElement,
            "Consent.provision.data[0].meaning",
        ),
        (
            "/provision/data".into(),
            Some(json!([{"meaning": "some", "reference": {"reference": "Observation/1"}}])),
            UnknownCode,
            "Consent.provision.data[0].meaning",
        ),
        (
            "/provision/period".into(),
            Some(json!({"end": "2025-12-31"})),
            PeriodOver,
            "Consent.provision.period.end",
        ),
        (
            "/provision/period".into(),
            Some(json!({"start": "2028", "end": "2027"})),
            PeriodInverted,
            "Consent.provision.period.end",
        ),
        (
            "/provision/period".into(),
            Some(json!({"end": "soon"})),
            MalformedDate,
            "Consent.provision.period.end",
        ),
        (
            "/provision/dataPeriod".into(),
            Some(json!({"start": "0000-01-01"})),
            MalformedDate,
            "Consent.provision.dataPeriod.start",
        ),
        ("/dateTime".into(), Some(json!("2022-13-01")), MalformedDate, "Consent.dateTime"),
        ("/provision/purpose".into(), Some(json!("TREAT")), WrongType, "Consent.provision.purpose"),
    ];
    for (pointer, value, code, element) in cases {
        assert_eq!(refusal(&with(consent(), &pointer, value)), (code, element.into()), "{pointer}");
    }
}

const SCOPES: &str = "http://terminology.hl7.org/CodeSystem/consentscope";

#[test]
fn a_scope_that_nobody_knows_stands_beside_a_known_one_or_is_refused_by_its_name() {
    let with_scopes = |codings: &[(&str, &str)]| {
        let coding = |(system, code): &(&str, &str)| json!({"system": system, "code": code});
        with(consent(), "/scope/coding", Some(codings.iter().map(coding).collect()))
    };
    let unknown = ("urn:example:areas", "billing");
    for known in ["patient-privacy", "research"] {
        for codings in [[unknown, (SCOPES, known)], [(SCOPES, known), unknown]] {
            let RuleBody::Rule(body) = rule(&with_scopes(&codings)).body else { panic!("no rule") };
            // Both are carried, in their order.
            let scope = body.scope.unwrap();
            assert!(scope.codings.iter().zip(codings).all(|(one, (system, code))| one.is(system, code)));
            assert_eq!(scope.codings.len(), 2);
        }
    }
    for codings in [vec![unknown], vec![unknown, ("urn:example:areas", "patient-privacy")]] {
        let Outcome::Refused(refused) = read(&with_scopes(&codings)).remove(0).outcome else {
            panic!("{codings:?} was taken");
        };
        assert_eq!((refused.code, &*refused.element), (RefusalCode::ScopeNotCarried, "Consent.scope"));
        assert!(refused.message.starts_with("`billing` of urn:example:areas"), "{}", refused.message);
    }
    assert_eq!(refusal(&with_scopes(&[unknown, (SCOPES, "treatment")])).0, RefusalCode::ScopeNotCarried);
}

/// Whatever its scope is called: a patient says no to something that may not be data, or ends what is recorded.
#[test]
fn a_refusal_of_an_unknown_area_is_no_rule_and_an_ending_is_an_ending() {
    let unknown = with(consent(), "/scope/coding/0/code", Some(json!("billing")));
    let with_status = |status: &str| with(unknown.clone(), "/status", Some(json!(status)));
    let denied = with(unknown.clone(), "/provision/type", Some(json!("deny")));
    for document in [with_status("rejected"), denied] {
        assert_eq!(refusal(&document), (RefusalCode::ScopeNotCarried, "Consent.scope".into()));
    }
    for (status, inner) in [("inactive", InnerKind::Revoke), ("entered-in-error", InnerKind::Invalidate)] {
        let ending = rule(&with_status(status));
        assert_eq!((ending.intent, ending.inner), (Intent::End, inner));
    }
}

#[test]
fn a_nested_period_or_organisation_beyond_the_roots_is_refused() {
    let mut document = consent();
    document["provision"]["period"] = json!({"start": "2026", "end": "2027"});
    document["provision"]["provision"][0]["period"] = json!({"start": "2026", "end": "2028"});
    assert_eq!(
        refusal(&document),
        (RefusalCode::NestedWider, "Consent.provision.provision[0].period.end".into())
    );
    document["provision"]["provision"][0]["period"] = json!({"end": "2027"});
    assert_eq!(
        refusal(&document),
        (RefusalCode::NestedWider, "Consent.provision.provision[0].period.start".into())
    );
    let actor =
        |reference: &str| json!([{"role": {"text": "recipient"}, "reference": {"reference": reference}}]);
    let mut document = consent();
    document["provision"]["actor"] = actor("Organization/1");
    document["provision"]["provision"][0]["actor"] = actor("Organization/2");
    assert_eq!(
        refusal(&document),
        (RefusalCode::NestedWider, "Consent.provision.provision[0].actor[0]".into())
    );
    // A person may well belong to the organisation.
    document["provision"]["provision"][0]["actor"] = actor("Practitioner/2");
    assert_eq!(rule(&document).recipients.len(), 1);
}

#[test]
fn the_state_of_a_consent_decides_what_it_is() {
    let with_status = |status: &str| rule(&with(consent(), "/status", Some(json!(status)))).inner;
    assert_eq!(with_status("active"), InnerKind::Grant);
    assert_eq!(with_status("rejected"), InnerKind::Refuse);
    assert_eq!(with_status("inactive"), InnerKind::Revoke);
    assert_eq!(with_status("entered-in-error"), InnerKind::Invalidate);
    assert_eq!(rule(&with(consent(), "/provision/type", Some(json!("deny")))).inner, InnerKind::Restriction);
}

#[test]
fn an_opt_out_is_said_by_its_code_and_is_of_everything_or_it_is_refused() {
    let deny = with(consent(), "/provision", Some(json!({"type": "deny"})));
    let coded = |of: Value, codes: &[&str]| {
        let coding = |code: &&str| json!({"system": "urn:custos:opt-out", "code": code});
        let codings: Vec<Value> = codes.iter().map(coding).collect();
        let category =
            json!([{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}, {"coding": codings}]);
        with(of, "/category", Some(category))
    };
    for code in ["primary", "primary-absolute", "secondary"] {
        let draft = rule(&coded(deny.clone(), &[code]));
        assert_eq!(draft.inner, InnerKind::OptOut, "{code}");
        assert!(draft.recipients.is_empty(), "it stands in the own trail");
        let RuleBody::Rule(body) = &draft.body else { panic!("{draft:?}") };
        assert_eq!(OptOutKind::of(body).unwrap().code(), code);
    }
    let r5 = json!({
        "resourceType": "Consent", "id": "c5", "status": "active", "subject": {"reference": "Patient/1"},
        "decision": "deny", "category": [{"coding": [{"system": "urn:custos:opt-out", "code": "secondary"}]}]
    });
    assert_eq!(rule(&r5).inner, InnerKind::OptOut);
    // Without the code it is a restriction; what ends it is an ending like any other.
    assert_eq!(rule(&deny).inner, InnerKind::Restriction);
    let ended = with(coded(deny.clone(), &["secondary"]), "/status", Some(json!("inactive")));
    assert_eq!(rule(&ended).inner, InnerKind::Revoke);

    let category = || (RefusalCode::UnknownCode, "Consent.category[1]".to_owned());
    assert_eq!(refusal(&coded(deny.clone(), &["tertiary"])), category());
    assert_eq!(refusal(&coded(deny.clone(), &["primary", "secondary"])), category());
    let permit = with(deny.clone(), "/provision/type", Some(json!("permit")));
    let effect = (RefusalCode::NotUnderstood, "Consent.provision.type".to_owned());
    assert_eq!(refusal(&coded(permit, &["secondary"])), effect);
    for (name, value) in [
        ("period", json!({"end": "2027"})),
        (
            "purpose",
            json!([{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HRESCH"}]),
        ),
        ("actor", json!([{"role": {"text": "recipient"}, "reference": {"reference": "Organization/2"}}])),
        ("provision", json!([{"type": "permit"}])),
    ] {
        let narrower = with(deny.clone(), &format!("/provision/{name}"), Some(value));
        let whole = (RefusalCode::NotUnderstood, "Consent.provision".to_owned());
        assert_eq!(refusal(&coded(narrower, &["secondary"])), whole, "{name}");
    }
    let narrower = with(r5, "/period", Some(json!({"end": "2027"})));
    assert_eq!(refusal(&narrower), (RefusalCode::NotUnderstood, "Consent.provision".to_owned()));
}

#[test]
fn the_clear_expiry_is_the_end_of_a_quarter() {
    let expiry =
        |end: &str| rule(&with(consent(), "/provision/period", Some(json!({"end": end})))).expiry.to_string();
    assert_eq!(expiry("2026-03-12"), "2026-04-01T00:00:00.000Z");
    assert_eq!(expiry("2026-03-31"), "2026-04-01T00:00:00.000Z");
    assert_eq!(expiry("2026-04-01"), "2026-07-01T00:00:00.000Z");
    assert_eq!(expiry("2027"), "2028-01-01T00:00:00.000Z");
    assert_eq!(expiry("9999"), "9999-12-31T23:59:59.999Z");
    assert_eq!(rule(&consent()).expiry.to_string(), "9999-12-31T23:59:59.999Z");
}

#[test]
fn how_a_consent_was_collected_is_taken_from_its_source() {
    let collected = |attachment: Value| {
        let draft = rule(&with(consent(), "/sourceAttachment", Some(attachment)));
        (draft.collected, draft.evidence.source_hash.map(|hash| hash.to_string()))
    };
    // sha256sum of "foo".
    let foo = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
    assert_eq!(
        collected(json!({"contentType": "image/png", "data": "Zm9v"})),
        (Collected::Paper, Some(foo.into()))
    );
    assert_eq!(
        collected(json!({"contentType": "application/pkcs7-signature", "data": "Zm9v"})).0,
        Collected::ESignature
    );
    assert_eq!(collected(json!({"contentType": "text/plain", "data": "Zm9"})), (Collected::Paper, None));
    let questionnaire =
        with(consent(), "/sourceReference", Some(json!({"reference": "QuestionnaireResponse/1"})));
    assert_eq!(rule(&questionnaire).collected, Collected::Portal);
    let said =
        with(consent(), "/verification", Some(json!([{"verified": true, "verificationDate": "2026-01-01"}])));
    assert_eq!(rule(&said).collected, Collected::InPerson);
}

#[test]
fn a_bundle_with_one_bad_member_says_which_and_why() {
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Patient", "identifier": [{"system": "mrn", "value": "17"}]}},
        {"resource": with(consent(), "/patient", Some(json!({"reference": "urn:uuid:1"})))},
        {"resource": with(consent(), "/provision/type", None)},
        {"request": {"method": "DELETE", "url": "Consent/9"}},
        {"fullUrl": "urn:uuid:2"},
        {"resource": {"resourceType": "Bundle", "entry": []}},
        {"resource": {"noType": true}},
        {"resource": audit_event()},
    ]});
    let readings = read(&bundle);
    let short: Vec<String> = readings
        .iter()
        .map(|reading| match &reading.outcome {
            Outcome::Event(_) => "event".into(),
            Outcome::Rule(draft) => format!("rule of {}", draft.subject[0].as_str()),
            Outcome::NotApplicable(_) => "not applicable".into(),
            Outcome::Refused(refusal) => format!("{} {}", refusal.code, refusal.element),
        })
        .collect();
    assert_eq!(
        short,
        [
            "not applicable",
            "rule of identifier|mrn|17",
            "no-base-effect Consent.provision.type",
            "not-a-record Bundle.entry[3].request.method",
            "missing-element Bundle.entry[4].resource",
            "nested-too-deep Bundle",
            "not-fhir resourceType",
            "event",
        ]
    );
    assert_eq!(readings[2].location, "test.json: Bundle.entry[2].resource");
    assert_eq!(
        refusal(&json!({"resourceType": "Bundle", "entry": {}})),
        (RefusalCode::WrongType, "Bundle.entry".into())
    );
}

#[test]
fn a_patient_of_two_names_has_both_and_versions_do_not_matter() {
    let mut document = audit_event();
    document["entity"][0]["what"] = json!({"reference": "https://a.example/fhir/Patient/1/_history/3", "identifier": {"system": "mrn", "value": "17"}});
    let names: Vec<String> = event(&document).subject.iter().map(|key| key.as_str().to_string()).collect();
    assert_eq!(names, ["address|https://a.example/fhir/Patient/1", "identifier|mrn|17"]);
    assert_eq!(event(&audit_event()).subject[0].as_str(), "address|https://a.example/fhir/Patient/1");
    // A contained patient is known by its identifiers.
    document["entity"][0]["what"] = json!({"reference": "#p"});
    document["contained"] = json!([{"resourceType": "Patient", "id": "p", "identifier": [{"value": "18"}]}]);
    assert_eq!(event(&document).subject[0].as_str(), "identifier|https://a.example/fhir/|18");
}

/// Found by fuzzing: such a name was written into the vault, which then could not be opened any more.
#[test]
fn a_name_that_the_vault_could_not_read_again_is_refused() {
    let bundle = |value: &str| {
        json!({
            "resourceType": "Bundle", "type": "collection", "entry": [
                { "fullUrl": "https://a.example/Patient/1", "resource": {
                    "resourceType": "Patient", "id": "1", "identifier": [{ "system": "urn:oid:1.2", "value": value }] } },
                { "resource": with(consent(), "/patient", Some(json!({ "reference": "https://a.example/Patient/1" }))) },
            ],
        })
    };
    let outcomes = |value: &str| -> Vec<Outcome> {
        read(&bundle(value)).into_iter().map(|reading| reading.outcome).collect()
    };
    assert!(outcomes("MRN-1").iter().any(|outcome| matches!(outcome, Outcome::Rule(_))));
    let refusal = outcomes(&"9".repeat(9_000)).into_iter().find_map(|outcome| match outcome {
        Outcome::Refused(refusal) => Some((refusal.code, refusal.element)),
        _ => None,
    });
    assert_eq!(refusal, Some((RefusalCode::TooLarge, "Consent.patient".into())));
}

#[test]
fn bombs_are_refused_quickly() {
    let of = |bytes: &[u8]| match fhir::read_bytes("bomb.json", bytes, &options()).remove(0).outcome {
        Outcome::Refused(refusal) => refusal.code,
        other => panic!("{other:?}"),
    };
    assert_eq!(of(&vec![b' '; MAX_FILE as usize + 1]), RefusalCode::TooLarge);
    assert_eq!(of("[".repeat(1 << 20).as_bytes()), RefusalCode::NotJson);
    assert_eq!(
        of(format!("{{\"resourceType\":\"AuditEvent\",\"x\":{}", "{\"x\":".repeat(1 << 20)).as_bytes()),
        RefusalCode::NotJson
    );
    assert_eq!(of(format!("[{}1]", "1,".repeat(4 << 20)).as_bytes()), RefusalCode::NotJson);
    assert_eq!(of(b"\xff\xfe"), RefusalCode::NotJson);
    assert_eq!(of(b""), RefusalCode::NotJson);
    assert_eq!(of(b"{\"resourceType\":\"Consent\",\"resourceType\":\"AuditEvent\"}"), RefusalCode::NotJson);
    assert_eq!(of(b"{} {}"), RefusalCode::NotJson);
    assert_eq!(of(b"[]"), RefusalCode::NotFhir);
    assert_eq!(of(b"{\"resourceType\":\"consent\"}"), RefusalCode::NotFhir);
    let mut many = audit_event();
    many["agent"] = json!(vec![json!({"requestor": false}); 65]);
    assert_eq!(refusal(&many), (RefusalCode::TooLarge, "AuditEvent.agent".into()));
    let mut long = audit_event();
    let entity = json!({"description": "y".repeat(4000)});
    long["entity"] = json!(vec![entity; 200]);
    assert_eq!(refusal(&long), (RefusalCode::TooLarge, "AuditEvent.entity".into()));
}

#[test]
fn folders_are_walked_with_bounds() {
    let directory = tempfile::tempdir().unwrap();
    let deep = (0..20).fold(directory.path().to_path_buf(), |path, number| path.join(number.to_string()));
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::write(deep.join("a.json"), audit_event().to_string()).unwrap();
    std::fs::write(directory.path().join("b.json"), audit_event().to_string()).unwrap();
    std::fs::write(directory.path().join("c.txt"), "x").unwrap();
    std::os::unix::fs::symlink(directory.path(), directory.path().join("loop")).unwrap();
    let readings =
        fhir::read_paths(&[directory.path().to_path_buf(), "/no/such/file.json".into()], &options());
    let of =
        |wanted: fn(&Outcome) -> bool| readings.iter().filter(|reading| wanted(&reading.outcome)).count();
    assert_eq!(of(|outcome| matches!(outcome, Outcome::Event(_))), 1);
    assert_eq!(of(|outcome| matches!(outcome, Outcome::NotApplicable(_))), 2);
    assert_eq!(
        of(|outcome| matches!(outcome, Outcome::Refused(refusal) if refusal.code == RefusalCode::Unreadable)),
        2
    );
}

/// JSON of any shape, with the words that the reader looks for.
fn any_json() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("permit".to_string()),
        Just("deny".into()),
        Just("1".into()),
        Just("Patient/1".into()),
        Just("2026-01-01T00:00:00Z".into()),
        Just("active".into()),
        Just("2026".into()),
        "\\PC{0,8}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        word.prop_map(Value::from)
    ];
    let name = prop_oneof![
        Just("type"),
        Just("code"),
        Just("coding"),
        Just("system"),
        Just("agent"),
        Just("who"),
        Just("reference"),
        Just("entity"),
        Just("what"),
        Just("provision"),
        Just("period"),
        Just("start"),
        Just("end"),
        Just("data"),
        Just("meaning"),
        Just("actor"),
        Just("purpose"),
        Just("extension"),
        Just("identifier"),
        Just("value"),
        Just("query"),
        Just("detail"),
        Just("contained"),
        Just("id"),
        Just("role"),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((name.clone(), inner), 0..6).prop_map(|members| Value::Object(
                members.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
            )),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_document_panics_and_every_refusal_names_an_element(base in prop_oneof![Just(audit_event()), Just(consent())], at in any::<prop::sample::Index>(), value in any_json()) {
        let names: Vec<String> = base.as_object().unwrap().keys().filter(|name| *name != "resourceType").cloned().chain(["extra".into()]).collect();
        let document = with(base, &format!("/{}", at.get(&names)), Some(value));
        for reading in read(&document) {
            if let Outcome::Refused(refusal) = reading.outcome {
                let resource = document["resourceType"].as_str().unwrap();
                prop_assert!(refusal.element.starts_with(resource), "{}", refusal.element);
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = fhir::read_bytes("x", &bytes, &options());
    }
}
