//! The 69 published IHE examples: what each becomes, and that nothing of it is lost in silence.
//!
//! The tables below are written by hand from the files; the walk over the JSON uses `serde_json`
//! and knows nothing of the importer.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use custos_custodian::draft::{AccessEventDraft, AccessValues, Intent, RuleDraft};
use custos_custodian::fhir::{self, Options, Outcome, RefusalCode};
use custos_proof::cbor::{View, Wire};
use custos_proof::ids::{FAR, TimeMs};
use custos_proof::kinds::Kind;
use custos_proof::kinds::access::Basis;
use custos_proof::kinds::rule::Collected;
use custos_proof::sealed_values::{ActionKind, Answer, InnerKind, OutcomeKind, Reason, Stated, describe};
use serde_json::Value;

/// 2026-03-12T10:00:00Z
const NOW: TimeMs = TimeMs(1_773_309_600_000);

fn samples(folder: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testnet/data/ihe").join(folder)
}

fn options(base: &str) -> Options {
    Options { base: base.into(), now: NOW, collected: Collected::Paper }
}

/// Each sample by its id, with the references that its guide needs.
fn read(folder: &str) -> BTreeMap<String, Outcome> {
    let references = std::fs::read_dir(samples("refs")).unwrap().map(|entry| entry.unwrap().path());
    let mine = references
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&format!("{folder}-")));
    let mut paths = vec![samples(folder)];
    paths.extend(mine.filter(|path| !path.to_str().unwrap().contains("-Consent-")));
    let readings = fhir::read_paths(&paths, &options(&format!("https://{folder}.example")));
    readings
        .into_iter()
        .filter(|reading| !matches!(reading.outcome, Outcome::NotApplicable(_)))
        .map(|reading| {
            (reading.resource.unwrap().split('/').next_back().unwrap().to_string(), reading.outcome)
        })
        .collect()
}

fn event(outcome: &Outcome) -> &AccessEventDraft {
    match outcome {
        Outcome::Event(draft) => draft,
        other => panic!("not an event: {other:?}"),
    }
}

fn rule(outcome: &Outcome) -> &RuleDraft {
    match outcome {
        Outcome::Rule(draft) => draft,
        other => panic!("not a rule: {other:?}"),
    }
}

/// id, action, outcome, has a subject, has a purpose, basis.
const EVENTS: &[(&str, ActionKind, OutcomeKind, bool, bool, Basis)] = {
    use ActionKind::{Create, Delete, Execute, Export, Import, Query, Read, Update};
    use OutcomeKind::{Denied, Served};
    const NO: Basis = Basis::Unknown;
    const SELF: Basis = Basis::Subject;
    &[
        ("ex-auditAuthZconsent", Execute, Served, true, true, NO),
        ("ex-auditAuthZconsent-deny", Execute, Denied, true, true, NO),
        ("ex-auditBasicCreate1", Create, Served, true, false, NO),
        ("ex-auditBasicCreate2", Create, Served, true, false, NO),
        ("ex-auditBasicCreateClient", Create, Served, true, false, NO),
        ("ex-auditBasicCreateNoPatient", Create, Served, false, false, NO),
        ("ex-auditBasicCreateNoUser", Create, Served, true, false, NO),
        ("ex-auditBasicCreateNoUserJob", Create, Served, true, false, NO),
        ("ex-auditBasicCreateNoUserReport", Create, Served, true, false, NO),
        ("ex-auditBasicCreateServer", Create, Served, true, false, NO),
        ("ex-auditBasicDelete2", Delete, Served, true, false, NO),
        ("ex-auditBasicDeleteClient", Delete, Served, true, false, NO),
        ("ex-auditBasicDeleteInformant", Delete, Served, true, false, NO),
        ("ex-auditBasicDeleteNoPatient", Delete, Served, false, false, NO),
        ("ex-auditBasicDeleteNoUser", Delete, Served, true, false, NO),
        ("ex-auditBasicDeleteNoUserJob", Delete, Served, true, false, NO),
        ("ex-auditBasicDeleteNoUserReport", Delete, Served, true, false, NO),
        ("ex-auditBasicDeleteServer", Delete, Served, true, false, NO),
        ("ex-auditBasicPatch", Update, Served, true, false, NO),
        ("ex-auditBasicQueryGetClient", Query, Served, true, false, NO),
        ("ex-auditBasicQueryGetNoPatient", Query, Served, false, false, NO),
        ("ex-auditBasicQueryGetServer", Query, Served, true, false, NO),
        ("ex-auditBasicQueryPost", Query, Served, true, false, NO),
        ("ex-auditBasicReadClient", Read, Served, true, false, NO),
        ("ex-auditBasicReadNoPatient", Read, Served, false, false, NO),
        ("ex-auditBasicReadNoUser", Read, Served, true, false, NO),
        ("ex-auditBasicReadOClient", Read, Served, true, false, NO),
        ("ex-auditBasicReadOServer", Read, Served, true, false, NO),
        ("ex-auditBasicReadOServerMin", Read, Served, true, false, NO),
        ("ex-auditBasicReadServer", Read, Served, true, false, NO),
        ("ex-auditBasicUpdate1", Update, Served, true, false, NO),
        ("ex-auditBasicUpdate2", Update, Served, true, false, NO),
        ("ex-auditBasicUpdateNoPatient", Update, Served, false, false, NO),
        ("ex-auditBasicUpdateNoUser", Update, Served, true, false, NO),
        ("ex-auditBasicUpdateNoUserJob", Update, Served, true, false, NO),
        ("ex-auditBasicUpdateNoUserReport", Update, Served, true, false, NO),
        ("ex-auditPoke-SAML-Comp", Read, Served, false, true, NO),
        ("ex-auditPoke-SAML-Min", Read, Served, false, false, NO),
        ("ex-auditPoke-SAML-Min2", Read, Served, false, true, NO),
        ("ex-auditPoke-SAML-QDI-Comp", Read, Served, false, true, NO),
        ("ex-auditPoke-SAML-QDI-Min", Read, Served, false, true, NO),
        ("ex-auditPrivacyDisclosure-measurereport", Export, Served, true, true, SELF),
        ("ex-auditPrivacyDisclosure-recipient", Import, Served, true, true, SELF),
        ("ex-auditPrivacyDisclosure-recipient-minCodes", Import, Served, true, true, SELF),
        ("ex-auditPrivacyDisclosure-source", Export, Served, true, true, SELF),
        ("ex-auditPrivacyDisclosure-source2", Export, Served, true, true, SELF),
    ]
};

#[test]
fn all_46_audit_events_become_events() {
    let read = read("balp");
    assert_eq!(read.len(), 46);
    assert_eq!(EVENTS.len(), 46);
    for (id, action, outcome, subject, purpose, basis) in EVENTS {
        let draft = event(&read[*id]);
        let values = &draft.values;
        assert_eq!(values.action.value().and_then(|value| value.kind), Some(*action), "{id}");
        assert_eq!(values.outcome.value().and_then(|value| value.kind), Some(*outcome), "{id}");
        assert_eq!(!draft.subject.is_empty(), *subject, "{id}");
        assert_eq!(values.purpose.value().is_some(), *purpose, "{id}");
        assert_eq!(draft.basis, *basis, "{id}");
        let source = values.source.value().unwrap();
        assert!(source.is_complete(), "{id}: {:?}", source.missing);
        assert!(source.profiles[0].contains("IHE.BasicAudit."));
    }
    let with_subject = read.values().filter(|outcome| !event(outcome).subject.is_empty()).count();
    let with_purpose =
        read.values().filter(|outcome| event(outcome).values.purpose.value().is_some()).count();
    assert_eq!((with_subject, with_purpose), (36, 46 - 35));
}

#[test]
fn a_refusal_by_consent_is_a_denied_event_for_the_own_trail() {
    let read = read("balp");
    let denied = event(&read["ex-auditAuthZconsent-deny"]);
    assert!(denied.is_for_own_trail());
    assert_eq!(denied.values.decision.value().unwrap().answer, Some(Answer::Deny));
    assert_eq!(denied.cites, ["https://balp.example/Consent/ex-consent"]);
    let served = event(&read["ex-auditAuthZconsent"]);
    assert!(!served.is_for_own_trail());
    assert_eq!(served.values.decision.value().unwrap().answer, Some(Answer::Permit));
    assert_eq!(
        served.organisations[0].reference.as_deref(),
        Some("https://balp.example/Organization/ex-organization")
    );
}

/// id, inner kind, nested rules, recipients.
const RULES: &[(&str, InnerKind, usize, usize)] = &[
    ("ex-consent-advanced-normal", InnerKind::Grant, 0, 0),
    ("ex-consent-advanced-normal-break-glass-restricted", InnerKind::Grant, 1, 0),
    ("ex-consent-advanced-normal-focused-psy", InnerKind::Grant, 1, 0),
    ("ex-consent-advanced-normal-focused-psy-or-sdv", InnerKind::Grant, 1, 0),
    ("ex-consent-advanced-normal-focused-restricted", InnerKind::Grant, 1, 0),
    ("ex-consent-advanced-normal-not-restricted", InnerKind::Grant, 1, 0),
    ("ex-consent-advanced-normal-restricted", InnerKind::Grant, 0, 0),
    ("ex-consent-basic-ink", InnerKind::Grant, 0, 0),
    ("ex-consent-basic-reject", InnerKind::Restriction, 0, 0),
    ("ex-consent-basic-research", InnerKind::Grant, 0, 0),
    ("ex-consent-basic-treat", InnerKind::Grant, 0, 0),
    ("ex-consent-basic-treat-infant", InnerKind::Grant, 0, 0),
    ("ex-consent-intermediate-authoredby", InnerKind::Grant, 0, 0),
    ("ex-consent-intermediate-data", InnerKind::Grant, 0, 0),
    ("ex-consent-intermediate-encounter", InnerKind::Grant, 0, 0),
    ("ex-consent-intermediate-not-authoredby", InnerKind::Grant, 1, 0),
    ("ex-consent-intermediate-not-data", InnerKind::Grant, 1, 0),
    ("ex-consent-intermediate-not-encounter", InnerKind::Grant, 1, 0),
    ("ex-consent-intermediate-not-timeframe", InnerKind::Grant, 1, 0),
    ("ex-consent-intermediate-purpose", InnerKind::Grant, 0, 1),
    ("ex-consent-intermediate-timeframe", InnerKind::Grant, 0, 0),
    ("ex-dissent-intermediate-break-glass", InnerKind::Restriction, 1, 0),
];

/// id, code, element.
const REFUSED: &[(&str, RefusalCode, &str)] =
    &[("ex-consent-expired-treat", RefusalCode::PeriodOver, "Consent.provision.period.end")];

#[test]
fn all_23_consents_become_rules_or_are_refused_with_the_element() {
    let read = read("pcf");
    assert_eq!(read.len(), 23);
    assert_eq!(RULES.len() + REFUSED.len(), 23);
    for (id, inner, nested, recipients) in RULES {
        let draft = rule(&read[*id]);
        let custos_proof::sealed_values::RuleBody::Rule(body) = &draft.body else { panic!("{id}") };
        assert_eq!(
            (draft.inner, body.nested.len(), draft.recipients.len()),
            (*inner, *nested, *recipients),
            "{id}"
        );
        assert_eq!((draft.intent, draft.expiry), (Intent::Put, FAR), "{id}");
        assert_eq!(draft.collected, Collected::Paper);
        // Only the picture says by itself that it is paper; for the others the custodian does.
        assert_eq!(draft.evidence.collected_by_element.is_some(), *id == "ex-consent-basic-ink", "{id}");
        assert_eq!(draft.evidence.source_hash.is_some(), *id != "ex-consent-basic-ink", "{id}");
    }
    for (id, code, element) in REFUSED {
        match &read[*id] {
            Outcome::Refused(refusal) => {
                assert_eq!((refusal.code, refusal.element.as_str()), (*code, *element))
            }
            other => panic!("{id}: {other:?}"),
        }
    }
}

#[test]
fn the_source_hash_is_that_of_the_signed_document() {
    // sha256sum over the decoded data of refs/pcf-DocumentReference-ex-documentreference.json.
    let read = read("pcf");
    let hash = rule(&read["ex-consent-basic-treat"]).evidence.source_hash.unwrap();
    assert_eq!(hash.to_string(), "2d8c2f6d978ca21712b5f6de36c9d31fa8e96a4fa5d8ff8b0188dfb9e7c171bb");
}

#[test]
fn the_consent_without_rules_that_balp_refers_to_is_refused() {
    let readings =
        fhir::read_paths(&[samples("refs/balp-Consent-ex-consent.json")], &options("https://balp.example"));
    let [reading] = &readings[..] else { panic!("{readings:?}") };
    match &reading.outcome {
        Outcome::Refused(refusal) => {
            assert_eq!(
                (refusal.code, refusal.element.as_str()),
                (RefusalCode::NoBaseEffect, "Consent.provision.type")
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_whole_folder_gives_a_reading_for_every_file() {
    let readings = fhir::read_paths(&[samples("")], &options("https://ihe.example"));
    let count =
        |wanted: fn(&Outcome) -> bool| readings.iter().filter(|reading| wanted(&reading.outcome)).count();
    assert_eq!(readings.len(), 94 + 1);
    assert_eq!(count(|outcome| matches!(outcome, Outcome::Event(_))), 46);
    assert_eq!(count(|outcome| matches!(outcome, Outcome::Rule(_))), 22);
    assert_eq!(count(|outcome| matches!(outcome, Outcome::Refused(_))), 2);
    assert_eq!(count(|outcome| matches!(outcome, Outcome::NotApplicable(_))), 24 + 1);
}

/// Elements whose value stands in no sealed field as it is, and why that loses nothing.
/// The second column is the value, if it is only so for one.
const CARRIED_OTHERWISE: &[(&str, &str, &str)] = &[
    ("resourceType", "", "field source says which form was read"),
    ("agent.extension.url", "", "BALP's two extensions have places of their own: other_ids and assurance"),
    ("entity.query", "", "carried as bytes, not as base64"),
    ("entity.type.code", "XrequestId", "the request id has a field of its own, correlation"),
    ("entity.type.system", "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "the same"),
];

/// Elements of the samples that are not carried, and why. There are none.
const NOT_CARRIED: &[(&str, &str, &str)] = &[];

#[test]
fn every_value_of_every_sample_stands_in_a_sealed_field() {
    let mut exceptions = BTreeSet::new();
    for folder in ["balp", "pcf"] {
        for (id, outcome) in read(folder) {
            let (fields, kind) = match &outcome {
                Outcome::Event(draft) => (draft.values.to_fields(), Kind::AccessEvent),
                Outcome::Rule(draft) => (draft.to_fields(), Kind::RulePut),
                Outcome::Refused(_) => continue,
                Outcome::NotApplicable(_) => unreachable!(),
            };
            let mut carried = BTreeMap::new();
            for (field, value) in (1..).zip(&fields) {
                texts(&custos_proof::sealed_values::view(kind, field, value).unwrap(), &mut carried);
            }
            let prefix = if kind == Kind::AccessEvent { "AuditEvent" } else { "Consent" };
            let json: Value = serde_json::from_slice(
                &std::fs::read(samples(folder).join(format!("{prefix}-{id}.json"))).unwrap(),
            )
            .unwrap();
            let mut wanted = Vec::new();
            leaves(&json, String::new(), &mut wanted);
            for (path, text) in wanted {
                let is_exception = |table: &[(&str, &str, &str)]| {
                    table
                        .iter()
                        .any(|(element, value, _)| *element == path && (value.is_empty() || *value == text))
                };
                if carried.contains_key(&text) {
                    continue;
                }
                assert!(
                    is_exception(CARRIED_OTHERWISE) || is_exception(NOT_CARRIED),
                    "{id}: {path} = {text} is lost"
                );
                exceptions.insert(path);
            }
            match &outcome {
                Outcome::Event(draft) => {
                    assert!(draft.values.source.value().unwrap().not_carried.is_empty(), "{id}")
                }
                Outcome::Rule(draft) => {
                    assert!(draft.evidence.record.as_ref().unwrap().not_carried.is_empty(), "{id}")
                }
                _ => unreachable!(),
            }
        }
    }
    // The tables say nothing that is not so.
    for (element, _, _) in CARRIED_OTHERWISE.iter().chain(NOT_CARRIED) {
        assert!(exceptions.contains(*element), "{element} is always carried as it is");
    }
}

fn texts(view: &View, into: &mut BTreeMap<String, usize>) {
    match view {
        View::Text(text) => *into.entry(text.clone()).or_default() += 1,
        View::Bool(value) => *into.entry(value.to_string()).or_default() += 1,
        View::Number(number) => *into.entry(number.to_string()).or_default() += 1,
        View::List(views) => views.iter().for_each(|view| texts(view, into)),
        View::Fields(fields) => fields.iter().for_each(|(_, view)| texts(view, into)),
        // Detail values are bytes; shown in hexadecimal.
        View::Absent | View::Time(_) => {}
    }
}

fn leaves(json: &Value, path: String, into: &mut Vec<(String, String)>) {
    match json {
        Value::Object(members) => {
            for (name, value) in members {
                leaves(value, if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, into);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| leaves(value, path.clone(), into)),
        Value::String(text) if path.ends_with("detail.valueString") => {
            into.push((path, text.bytes().map(|byte| format!("{byte:02x}")).collect()));
        }
        Value::String(text) => into.push((path, text.clone())),
        Value::Null => {}
        other => into.push((path, other.to_string())),
    }
}

#[test]
fn every_sealed_field_of_every_sample_reads_as_words_and_survives_its_bytes() {
    for outcome in read("balp").values().chain(read("pcf").values()) {
        match outcome {
            Outcome::Event(draft) => {
                let fields = draft.values.to_fields();
                assert_eq!(fields.len(), Kind::AccessEvent.sealed_fields().len());
                assert_eq!(AccessValues::from_fields(&fields).unwrap(), draft.values);
                for (field, value) in (1..).zip(&fields) {
                    assert!(!describe(Kind::AccessEvent, field, value).unwrap().is_empty());
                }
                assert_eq!(draft.values.categories, Stated::Unknown(Reason::NotStated));
            }
            Outcome::Rule(draft) => {
                let fields = draft.to_fields();
                assert_eq!(fields.len(), Kind::RulePut.sealed_fields().len());
                assert_eq!(
                    custos_proof::sealed_values::RuleBody::from_bytes(&fields[1]).unwrap(),
                    draft.body
                );
                for (field, value) in (1..).zip(&fields) {
                    assert!(!describe(Kind::RulePut, field, value).unwrap().is_empty());
                }
            }
            _ => {}
        }
    }
}

#[test]
fn a_trail_reads_as_a_person_would_say_it() {
    let read = read("balp");
    let fields = event(&read["ex-auditAuthZconsent-deny"]).values.to_fields();
    let words: Vec<String> =
        (1..).zip(&fields).map(|(field, value)| describe(Kind::AccessEvent, field, value).unwrap()).collect();
    assert_eq!(words[0], "execute (Security Alert, AuthZ-Consent)");
    assert_eq!(words[1], "denied (\"Consent denied access to this user\")");
    assert_eq!(words[3], "PATRQT");
    assert_eq!(words[4], "consent Consent/ex-consent");
    assert_eq!(words[8], "unknown (not stated by the source)");
    assert_eq!(words[12], "deny");
    assert_eq!(
        words[15],
        "FHIR R4 AuditEvent ex-auditAuthZconsent-deny; profile IHE.BasicAudit.AuthZconsent"
    );
}
