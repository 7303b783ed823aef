//! What a FHIR client posts, and what a vault gives back: bounds, all or nothing, and the catalogue.

#![allow(clippy::unwrap_used)]

use custos_custodian::draft::{Origin, RuleDraft, SubjectKey};
use custos_custodian::fhir::catalogue::Catalogue;
use custos_custodian::fhir::request::{
    MAX_REQUEST, MAX_REQUEST_ENTRIES, ResourceType, read_bundle, read_one,
};
use custos_custodian::fhir::search::Search;
use custos_custodian::fhir::{Options, Outcome, RefusalCode, Release};
use custos_custodian::import::{self, Draft, Input, Planning, Settings, document_of, refusals, rule_source};
use custos_custodian::vault::{Scope, Vault, VaultKey};
use custos_proof::hash::{ChainId, Digest};
use custos_proof::ids::TimeMs;
use custos_proof::kinds::rule::Collected;
use custos_proof::sealed_values::InnerKind;
use proptest::prelude::*;
use serde_json::{Value, json};

fn options() -> Options {
    Options {
        base: "https://a.example/fhir".into(),
        now: TimeMs(1_773_309_600_000),
        collected: Collected::Paper,
    }
}

fn vault() -> (tempfile::TempDir, Vault) {
    let directory = tempfile::tempdir().unwrap();
    let scope = Scope { chain: ChainId([3; 32]), custodian: "hospital".parse().unwrap() };
    let vault = Vault::create(&directory.path().join("vault"), &VaultKey::new([9; 32]), &scope).unwrap();
    (directory, vault)
}

fn settings() -> Settings {
    let mut settings = Settings::history(2026);
    settings.organisations.add("Organization/2", "clinic".parse().unwrap());
    settings
}

fn event(id: &str, patients: &[&str], recorded: &str) -> Value {
    let entity = |patient: &&str| json!({"what": {"reference": format!("Patient/{patient}")}, "role": {"system": "http://terminology.hl7.org/CodeSystem/object-role", "code": "1"}});
    json!({
        "resourceType": "AuditEvent", "id": id, "type": {"code": "rest"}, "action": "R", "recorded": recorded,
        "agent": [{"requestor": true, "who": {"reference": "Practitioner/1"}}], "source": {"observer": {"display": "x"}},
        "entity": patients.iter().map(entity).collect::<Vec<_>>()
    })
}

fn consent(id: &str, patient: &str) -> Value {
    json!({
        "resourceType": "Consent", "id": id, "status": "active", "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"text": "x"}], "patient": {"reference": format!("Patient/{patient}")},
        "provision": {"type": "permit"}
    })
}

fn inputs(resource: &Value) -> Vec<Input> {
    let of = ResourceType::from_word(resource["resourceType"].as_str().unwrap()).unwrap();
    let outcomes = read_one(resource.to_string().as_bytes(), of, None, &options()).unwrap();
    let draft = |outcome| match outcome {
        Outcome::Event(draft) => Draft::Event(draft),
        Outcome::Rule(draft) => Draft::Rule(draft),
        other => panic!("{other:?}"),
    };
    outcomes.into_iter().map(|outcome| Input { location: "x".into(), draft: draft(outcome) }).collect()
}

#[test]
fn a_bundle_is_read_entry_by_entry_within_bounds() {
    let bundle =
        |entries: Value| json!({"resourceType": "Bundle", "type": "batch", "entry": entries}).to_string();
    let read = |text: &str| read_bundle(text.as_bytes(), None, &options());
    let entry = |method: &str, url: &str, resource: Value| json!({"request": {"method": method, "url": url}, "resource": resource});
    let refused = |entry: Value| {
        let bundle = read(&bundle(json!([entry]))).unwrap();
        let refusal = bundle.entries[0].refusal().unwrap().clone();
        (refusal.code, refusal.element)
    };
    let at = |rest: &str| format!("Bundle.entry[0].{rest}");
    let good = consent("c", "1");
    use RefusalCode::*;
    for (entry, code, element) in [
        (json!(7), WrongType, "Bundle.entry[0]".to_owned()),
        (json!({"resource": good}), MissingElement, at("request")),
        (json!({"resource": good, "request": {"method": "POST"}}), MissingElement, at("request.url")),
        (json!({"request": {"method": "POST", "url": "Consent"}}), MissingElement, at("resource")),
        (entry("GET", "Consent", good.clone()), Unsupported, at("request.method")),
        (entry("DELETE", "Consent/c", good.clone()), NotARecord, at("request.method")),
        (entry("POST", "AuditEvent", good.clone()), WrongResource, at("request.url")),
        (entry("PUT", "Consent/d", good.clone()), Unsupported, at("resource.id")),
        (
            entry("PUT", "AuditEvent/c", event("c", &[], "2026-01-01T00:00:00Z")),
            Unsupported,
            at("request.url"),
        ),
        (entry("PUT", "Consent/../x", good.clone()), Unsupported, at("request.url")),
        (entry("POST", "Consent", json!({"resourceType": "Consent"})), MissingElement, at("resource.status")),
        (entry("POST", "Bundle", json!({"resourceType": "Bundle"})), NestedTooDeep, at("resource")),
    ] {
        assert_eq!(refused(entry.clone()), (code, element), "{entry}");
    }
    let many = vec![entry("POST", "Consent", json!({"resourceType": "Consent"})); MAX_REQUEST_ENTRIES + 1];
    assert_eq!(read(&bundle(json!(many))).unwrap_err().code, TooLarge);
    assert_eq!(read(&" ".repeat(MAX_REQUEST as usize + 1)).unwrap_err().code, TooLarge);
    assert_eq!(read("{}").unwrap_err().code, NotFhir);
    let as_r5 = read_one(good.to_string().as_bytes(), ResourceType::Consent, Some(Release::R5), &options());
    assert_eq!(as_r5.unwrap_err().code, MixedReleases);
}

#[test]
fn the_document_of_a_source_name_is_what_it_was_made_of() {
    let trail = Digest([7; 32]);
    for document in ["https://a.example/Consent/1", "x#y", "x ends", "x#own"] {
        for grantee in [None, Some("clinic".parse().unwrap())] {
            let source = rule_source(document, grantee.as_ref());
            assert_eq!(document_of(&source), Some(document));
            assert_eq!(document_of(&format!("{source} ends")), Some(document));
            assert_eq!(document_of(&format!("{source} ends in {trail}")), Some(document));
        }
    }
    assert_eq!(document_of(&format!("trail {trail} is listed")), None);
}

#[test]
fn a_document_does_not_wander_from_one_patient_to_another() {
    let (_directory, mut vault) = vault();
    let of_one = inputs(&consent("c", "1"));
    import::plan(&mut vault, of_one, &settings()).unwrap();
    let mut ended = consent("c", "2");
    ended["status"] = json!("inactive");
    for resource in [consent("c", "2"), ended] {
        let drafts = inputs(&resource);
        let told = refusals(&vault, &drafts, &settings());
        assert_eq!(told[0].as_ref().unwrap().code, RefusalCode::ConflictingIdentity);
        let plan = import::plan(&mut vault, drafts, &settings()).unwrap();
        assert_eq!(plan.dispositions[0].result, Planning::Refused(told[0].clone().unwrap()));
        assert!(plan.batches.is_empty());
    }
}

#[test]
fn a_conflict_is_named_by_the_element_of_the_release() {
    let (_directory, mut vault) = vault();
    let mut of = |resource: &Value| {
        import::plan(&mut vault, inputs(resource), &settings()).unwrap().dispositions.remove(0).result
    };
    let named = |id: &str, patient: &str, value: &str| {
        let mut event = event(id, &[patient], "2026-01-01T00:00:00Z");
        event["entity"][0]["what"]["identifier"] = json!({"value": value});
        event
    };
    assert!(matches!(of(&named("e1", "1", "A")), Planning::Planned(_)));
    assert!(matches!(of(&named("e2", "2", "B")), Planning::Planned(_)));
    let subject = json!({"reference": "Patient/1", "identifier": {"value": "B"}});
    let mut event = event("e3", &[], "2026-01-01T00:00:00Z");
    event.as_object_mut().unwrap().remove("type");
    event.as_object_mut().unwrap().remove("entity");
    event["code"] = json!({"text": "read"});
    event["patient"] = subject.clone();
    let rule = json!({
        "resourceType": "Consent", "id": "c3", "status": "active", "subject": subject, "decision": "deny"
    });
    for (resource, element) in [(event, "AuditEvent.patient"), (rule, "Consent.subject")] {
        match of(&resource) {
            Planning::Refused(refusal) => {
                assert_eq!(
                    (refusal.code, refusal.element.as_str()),
                    (RefusalCode::ConflictingIdentity, element)
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_catalogue_is_the_same_after_the_vault_was_closed() {
    let (directory, mut vault) = vault();
    let mut live = Catalogue::default();
    let mut keep = |vault: &mut Vault, resource: &Value| {
        let plan = import::plan(vault, inputs(resource), &settings()).unwrap();
        for disposition in plan.dispositions {
            if let Planning::Planned(items) = disposition.result {
                items.iter().for_each(|item| live.add(vault, item).unwrap());
            }
        }
    };
    keep(&mut vault, &event("e1", &["1", "2"], "2026-01-01T00:00:00Z"));
    keep(&mut vault, &event("e2", &[], "2026-01-02T00:00:00Z"));
    keep(&mut vault, &consent("c1", "1"));
    let mut changed = consent("c1", "1");
    changed["provision"]["type"] = json!("deny");
    keep(&mut vault, &changed);
    changed["status"] = json!("entered-in-error");
    keep(&mut vault, &changed);
    drop(vault);
    let vault = Vault::open(&directory.path().join("vault"), &VaultKey::new([9; 32])).unwrap();
    let anew = Catalogue::of(&vault).unwrap();
    for (of, query, expected) in [
        (ResourceType::AuditEvent, vec![], 3),
        // An event about two patients is two, each without the other.
        (ResourceType::AuditEvent, vec![("patient", "1")], 1),
        (ResourceType::Consent, vec![], 1),
        (ResourceType::Consent, vec![("status", "entered-in-error")], 1),
    ] {
        let query: Vec<_> = query.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let search = Search::parse(of, &query, &options().base).unwrap();
        let pages = [&live, &anew].map(|catalogue| catalogue.search(&vault, &search, &|_| None).unwrap());
        let resources = pages.map(|page| {
            assert_eq!(page.total, Some(expected));
            page.found.into_iter().map(|found| found.resource).collect::<Vec<_>>()
        });
        assert_eq!(resources[0], resources[1]);
    }
    let search = Search::parse(ResourceType::Consent, &[], &options().base).unwrap();
    let id = anew.search(&vault, &search, &|_| None).unwrap().found[0].id.clone();
    let history = anew.history(&vault, ResourceType::Consent, &id, &|_| None).unwrap();
    let said: Vec<_> = history
        .iter()
        .map(|found| {
            (
                found.version,
                found.resource["status"].as_str().unwrap(),
                found.resource["provision"]["type"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(said, [(1, "active", "permit"), (2, "active", "deny"), (3, "entered-in-error", "deny")]);
}

/// A draft of one of a few documents about one of a few patients under a few names.
fn any_input() -> impl Strategy<Value = Input> {
    let name = |n: usize| SubjectKey::identifier("mrn", &n.to_string());
    (0..3u8, 0..3usize, 0..2u8, proptest::collection::btree_set(0..4usize, 0..3)).prop_map(
        move |(kind, document, content, names)| {
            let subject: Vec<SubjectKey> = names.into_iter().map(name).collect();
            // The content stands for everything in the document, its patient among it.
            let digest = Digest([content + 2 * subject.len() as u8; 32]);
            let origin = Origin { name: format!("Consent/{document}"), digest };
            let draft = match kind {
                0 => Draft::Rule(Box::new(RuleDraft::entered(origin, subject))),
                _ => Draft::Rule(Box::new(RuleDraft::ending(
                    origin,
                    subject,
                    InnerKind::Revoke,
                    Collected::Paper,
                ))),
            };
            Input { location: "x".into(), draft }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// What is foretold is what planning does, on an empty vault and on one that knows something.
    #[test]
    fn what_planning_would_refuse_is_known_before(first in proptest::collection::vec(any_input(), 0..5), second in proptest::collection::vec(any_input(), 0..5)) {
        let (_directory, mut vault) = vault();
        for inputs in [first, second] {
            let told = refusals(&vault, &inputs, &settings());
            let plan = import::plan(&mut vault, inputs, &settings()).unwrap();
            let done: Vec<_> = plan
                .dispositions
                .into_iter()
                .map(|disposition| match disposition.result {
                    Planning::Refused(refusal) => Some(refusal.code),
                    Planning::Planned(_) | Planning::Recorded(_) => None,
                })
                .collect();
            let told: Vec<_> = told.into_iter().map(|refusal| refusal.map(|refusal| refusal.code)).collect();
            prop_assert_eq!(told, done);
        }
    }
}
