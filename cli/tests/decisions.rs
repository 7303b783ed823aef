//! The commands about decisions as a user meets them: consents and requests in, words and exit codes out.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use custos_proof::cbor::{Bytes, List, Wire as _};
use custos_proof::disclosure::Disclosure;
use custos_proof::ids::Random16;
use custos_proof::sealed_values::{
    Action, ActionKind, Agent, Agents, Answer, Coding, Concept, Decision, Effect, InnerKind, Outcome,
    OutcomeKind, Party, Provision, Purpose, Purposes, Resource, Resources, Rule, RuleBody, Stated, Token,
};
use custos_proof::trail::TrailName;
use serde_json::{Value, json};
use support::{Chain, hospital, own, run, write};

mod support;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn sample(id: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../testnet/data/ihe/pcf/Consent-ex-{id}.json"))
}

fn clinician(purpose: &str, item: &Value) -> Value {
    json!({
        "custodian": "hospital-a.example",
        "actor": {
            "standing": "clinician",
            "participant": "hospital-a.example",
            "members": ["Practitioner/17", "Organization/a"],
        },
        "purpose": purpose,
        "action": "read",
        "relationship": "encounter",
        "items": [item],
    })
}

#[test]
fn a_consent_in_a_file_decides_a_request_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let consent = sample("consent-advanced-normal");
    let request = |name: &str, request: &Value| write(folder.path(), name, request.to_string().as_bytes());
    let normal = request("normal", &clinician("TREAT", &json!({"id": "Observation/1", "labels": ["N"]})));
    let restricted =
        request("restricted", &clinician("TREAT", &json!({"id": "Observation/1", "labels": ["PSY"]})));
    let decide = |request: &Path, more: &[&str]| {
        let base = ["decide", "--consent", text(&consent), "--request", text(request), "--at", "2022-07-01"];
        run(&[&base, more].concat())
    };

    let (code, out, _) = decide(&normal, &[]);
    assert_eq!(code, 0, "{out}");
    for words in
        ["permit: rule-permits", "@1, root", "custodian-attested", "would change if", "deny-overrides"]
    {
        assert!(out.contains(words), "{words:?} is not in:\n{out}");
    }
    let (code, out, _) = decide(&restricted, &[]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("deny: uncovered") && out.contains("an emergency is declared"), "{out}");

    // A provider's system learns what may be served, or that nothing is available.
    assert_eq!(decide(&restricted, &["--provider"]).1, "nothing available\n");
    let (_, out, _) = decide(&normal, &["--provider", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), json!({ "available": true, "items": [0] }));

    let (_, out, _) = decide(&normal, &["--json"]);
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(answer["outcome"], "permit");
    assert_eq!(answer["policy_version"], 1);
    assert_eq!(answer["time"], "2022-07-01T00:00:00.000Z");
    assert_eq!(answer["items"][0]["basis"][0]["path"], "root");
    // The same question, the same bytes.
    assert_eq!(decide(&normal, &["--json"]).1, out);
}

#[test]
fn a_policy_file_says_what_differs_from_the_first_policy() {
    let folder = tempfile::tempdir().unwrap();
    let request = write(
        folder.path(),
        "request",
        clinician("TREAT", &json!({"id": "Observation/1"})).to_string().as_bytes(),
    );
    let policy = |text: &str| write(folder.path(), "policy", text.as_bytes());
    let decide = |policy: &Path| run(&["decide", "--request", text(&request), "--policy", text(policy)]);
    assert_eq!(
        run(&["decide", "--request", text(&request)]).0,
        1,
        "the first policy permits nothing without a rule"
    );
    let (code, out, _) = decide(&policy(r#"{"implicit": "basic-normal"}"#));
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("implicit-permit"), "{out}");
    let (code, _, err) = decide(&policy(r#"{"implicit": "generous"}"#));
    assert_eq!(code, 2);
    assert!(err.contains("implicit") && err.contains("basic-normal"), "{err}");
    let (code, _, err) = decide(&policy(r#"{"explicit": "deny"}"#));
    assert_eq!(code, 2);
    assert!(err.contains("explicit"), "{err}");
}

#[test]
fn what_cannot_be_read_is_said_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let request = |name: &str, request: &Value| write(folder.path(), name, request.to_string().as_bytes());
    let mut unknown = clinician("TREAT", &json!({}));
    unknown["purpose"] = json!("TREATMENT");
    let mut extra = clinician("TREAT", &json!({"id": "x", "colour": "red"}));
    extra["items"][0]["id"] = json!("x");
    let mut standing = clinician("TREAT", &json!({}));
    standing["actor"]["standing"] = json!("doctor");
    for (name, document, words) in [
        ("unknown", &unknown, "purpose: expected a code of the terminology"),
        ("extra", &extra, "colour"),
        ("standing", &standing, "actor.standing"),
    ] {
        let path = request(name, document);
        let (code, _, err) = run(&["decide", "--request", text(&path)]);
        assert_eq!(code, 2, "{name}");
        assert!(err.contains(words) && err.contains("decision-request.md"), "{name}: {err}");
    }
    // An ambiguous consent is refused, not guessed.
    let mut consent: Value =
        serde_json::from_slice(&std::fs::read(sample("consent-basic-treat")).unwrap()).unwrap();
    consent["provision"].as_object_mut().unwrap().remove("type");
    let consent = request("consent", &consent);
    let asked = request("asked", &clinician("TREAT", &json!({})));
    let (code, _, err) = run(&["decide", "--consent", text(&consent), "--request", text(&asked)]);
    assert_eq!(code, 2);
    assert!(err.contains("provision.type") && err.contains("not guessed"), "{err}");
}

/// The examples of the request's page are requests, and their answers are those that the page gives.
#[test]
fn the_examples_of_the_documentation_hold() {
    let folder = tempfile::tempdir().unwrap();
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/spec/decision-request.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut held = 0;
    for example in page.split("```json request").skip(1) {
        let (request, rest) = example.split_once("```").unwrap();
        let answer = rest.split("Answer, under `").nth(1).unwrap();
        let (consent, answer) = answer.split_once("`: `").unwrap();
        let (expected, _) = answer.split_once('`').unwrap();
        let request = write(folder.path(), "request", request.as_bytes());
        let consent = sample(consent);
        let arguments = [
            "--json",
            "decide",
            "--consent",
            text(&consent),
            "--request",
            text(&request),
            "--at",
            "2022-07-01T12:00:00Z",
        ];
        let (_, out, err) = run(&arguments);
        let answer: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{err}"));
        let item = &answer["items"][0];
        let said = format!("{}: {}", item["outcome"].as_str().unwrap(), item["ground"].as_str().unwrap());
        assert_eq!(said, expected, "example {held}");
        held += 1;
    }
    assert!(held >= 4, "{held} examples");
}

const ACT_REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";

fn coding(system: &str, code: &str) -> Coding {
    Coding { system: Token::new(system), code: Token::new(code).unwrap(), display: None }
}

fn party(address: &str) -> Party {
    Party { reference: Token::new(address), ..Party::default() }
}

/// Permit treatment, except data labelled V.
fn treatment() -> RuleBody {
    let provision = |effect, purposes: Vec<Coding>, labels: Vec<Coding>| Provision {
        effect: Some(effect),
        purposes: List::new(purposes).unwrap(),
        labels: List::new(labels).unwrap(),
        ..Provision::default()
    };
    RuleBody::Rule(Rule {
        root: Some(provision(Effect::Permit, vec![coding(ACT_REASON, "TREAT")], Vec::new())),
        nested: List::new(vec![provision(Effect::Deny, Vec::new(), vec![coding(CONFIDENTIALITY, "V")])])
            .unwrap(),
        ..Rule::default()
    })
}

/// A physician reads one observation; the decision as the custodian states it.
fn reading(
    purpose: &str,
    label: &str,
    decision: Option<Answer>,
    outcome: OutcomeKind,
) -> Vec<(usize, Vec<u8>)> {
    let concept = |coding| Concept { codings: List::new(vec![coding]).unwrap(), text: None };
    let purpose = Purpose { concept: Some(concept(coding(ACT_REASON, purpose))), agent: None };
    let resource = Resource {
        what: Some(party("Observation/17")),
        labels: List::new(vec![coding(CONFIDENTIALITY, label)]).unwrap(),
        ..Resource::default()
    };
    let agent = Agent { who: Some(party("Practitioner/3")), requestor: Some(true), ..Agent::default() };
    let mut stated = vec![
        (1, Stated::Value(Action { kind: Some(ActionKind::Read), ..Action::default() }).to_bytes()),
        (2, Stated::Value(Outcome { kind: Some(outcome), ..Outcome::default() }).to_bytes()),
        (4, Stated::Value(Purposes::new(vec![purpose]).unwrap()).to_bytes()),
        (8, Stated::Value(Agents::new(vec![agent]).unwrap()).to_bytes()),
        (10, Stated::Value(Resources::new(vec![resource]).unwrap()).to_bytes()),
    ];
    if let Some(answer) = decision {
        stated.push((13, Stated::Value(Decision { answer: Some(answer), ..Decision::default() }).to_bytes()));
    }
    stated
}

/// A chain with the rule and one access, the disclosure of its trail, and the anchor.
fn story(folder: &Path, name: &str, accesses: &[Vec<(usize, Vec<u8>)>]) -> (PathBuf, PathBuf, Chain) {
    let mut chain = Chain::new(0);
    let open = chain.open();
    chain.record(&open);
    let rule = chain.rule(Random16([0xab; 16]), InnerKind::Grant, &treatment());
    chain.record(&rule);
    for access in accesses {
        let access = chain.access(access);
        chain.record(&access);
    }
    let proof = chain.trail(&TrailName::subject(&hospital(), own())).to_bytes();
    let disclosure =
        Disclosure { proof: Bytes::new(proof).unwrap(), openings: chain.all_openings().openings };
    let file = write(folder, name, &disclosure.to_bytes());
    let anchor = write(folder, "anchor", &chain.anchor().to_bytes());
    (file, anchor, chain)
}

fn replay(file: &Path, anchor: &Path) -> (i32, Vec<String>) {
    let (code, out, err) = run(&["--json", "replay", text(file), "--anchor", text(anchor)]);
    let answer: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{err}"));
    let findings = answer["accesses"].as_array().unwrap();
    (code, findings.iter().map(|access| access["finding"].as_str().unwrap().to_owned()).collect())
}

#[test]
fn a_disclosure_shows_whether_decisions_follow_from_the_rules_listed_then() {
    use Answer::{Deny, Permit};
    use OutcomeKind::{Denied, Served};
    let folder = tempfile::tempdir().unwrap();
    let honest = [
        reading("TREAT", "N", Some(Permit), Served),
        reading("TREAT", "V", Some(Deny), Denied),
        reading("HRESCH", "N", Some(Deny), Denied),
        reading("TREAT", "N", None, Served),
    ];
    let (file, anchor, _) = story(folder.path(), "honest", &honest);
    let follows = ["follows", "follows", "follows", "agrees-with-rules"];
    assert_eq!(replay(&file, &anchor), (0, follows.map(str::to_owned).to_vec()));

    let dishonest = [reading("TREAT", "V", Some(Permit), Served), reading("HRESCH", "N", None, Served)];
    let (file, anchor, _) = story(folder.path(), "dishonest", &dishonest);
    assert_eq!(
        replay(&file, &anchor),
        (1, vec!["contradicts".to_owned(), "served-against-rules".to_owned()])
    );
    let (_, out, _) = run(&["replay", text(&file), "--anchor", text(&anchor)]);
    assert!(out.contains("the sealed decision is permit; the rules listed then say otherwise"), "{out}");
    assert!(out.contains("deny: rule-denies") && out.contains("nested rule 0"), "{out}");
}

#[test]
fn what_is_not_shown_is_unknown_and_nobody_is_accused_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let accesses = [reading("TREAT", "N", Some(Answer::Permit), OutcomeKind::Served)];
    let (_, anchor, chain) = story(folder.path(), "all", &accesses);
    let proof = chain.trail(&TrailName::subject(&hospital(), own())).to_bytes();
    let closed = write(folder.path(), "closed", &proof);
    let (code, findings) = replay(&closed, &anchor);
    assert_eq!((code, findings), (2, vec!["cannot-tell".to_owned()]));
    // The event is opened and the rule is not.
    let openings: Vec<_> = chain
        .all_openings()
        .openings
        .iter()
        .filter(|opening| opening.item_id.0[0] != 3 || opening.field > 3)
        .cloned()
        .collect();
    let half = Disclosure { proof: Bytes::new(proof).unwrap(), openings: List::new(openings).unwrap() };
    let half = write(folder.path(), "half", &half.to_bytes());
    let (code, out, _) = run(&["replay", text(&half), "--anchor", text(&anchor)]);
    assert_eq!(code, 2, "{out}");
    assert!(out.contains("openings of rules are missing"), "{out}");
}

#[test]
fn the_reverse_question_says_who_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let (file, anchor, chain) = story(folder.path(), "story", &[]);
    let ask = |label: &str| {
        let (code, out, err) =
            run(&["--json", "who-can-see", text(&file), "--anchor", text(&anchor), "--label", label]);
        let answer: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{err}"));
        let rows: Vec<String> = answer["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                let word = |value: &Value| value.as_str().unwrap().to_owned();
                format!(
                    "{} {} {}",
                    word(&row["who"]),
                    word(&row["purpose"]["code"]),
                    word(&row["answer"]["ground"])
                )
            })
            .collect();
        (code, rows)
    };
    let (code, rows) = ask("N");
    assert_eq!(code, 0);
    assert!(rows.contains(&"any clinician TREAT rule-permits".to_owned()), "{rows:?}");
    assert!(rows.contains(&"the patient PATRQT subject".to_owned()), "{rows:?}");
    assert!(!rows.iter().any(|row| row.starts_with("any clinician HRESCH")), "{rows:?}");
    let (_, rows) = ask("V");
    assert!(!rows.contains(&"any clinician TREAT rule-permits".to_owned()), "{rows:?}");
    assert!(rows.contains(&"any clinician BTG emergency".to_owned()), "{rows:?}");

    // Without openings nothing is claimed.
    let closed =
        write(folder.path(), "closed", &chain.trail(&TrailName::subject(&hospital(), own())).to_bytes());
    let (code, out, err) = run(&["who-can-see", text(&closed), "--anchor", text(&anchor)]);
    assert_eq!(code, 2, "{out}");
    assert!(out.contains("indeterminate") && err.contains("Nothing sealed is opened"), "{out} {err}");

    // From consents in files.
    let consent = sample("consent-advanced-normal-focused-psy");
    let (code, out, _) = run(&[
        "who-can-see",
        "--consent",
        text(&consent),
        "--custodian",
        "hospital-a.example",
        "--label",
        "PSY",
        "--at",
        "2022-07-01",
    ]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("Practitioner/ex-practitioner, for TREAT\n    permit: rule-permits"), "{out}");
    assert!(!out.contains("any clinician, for TREAT"), "{out}");
}
