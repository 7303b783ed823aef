//! IHE PCF's 23 example consents, each with requests that PCF's own text decides.
//!
//! The consents are read by the FHIR import and judged by `decide`; what PCF says of each stands in its test, from
//! the notes that the guide publishes with the example (IHE ITI Privacy Consent on FHIR, "IUA Access Token" notes,
//! and the consent's own description). The domain's implicit policy is `deny` here, so that a permit is the consent's.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use custos_custodian::fhir::{self, Options, Outcome};
use custos_decide::answer::Answer;
use custos_decide::facts::{Content, Eligibility, Facts, ListedRule, Roster};
use custos_decide::request::{ActorSet, Item, Request, Scope, Standing};
use custos_decide::terminology::{ACT_REASON, Terminology};
use custos_proof::hash::ItemHash;
use custos_proof::ids::{FAR, Height, LogIndex, Random16, TimeMs};
use custos_proof::kinds::rule::Collected;
use custos_proof::policy::{Assurance, DecisionPolicy};
use custos_proof::sealed_values::{ActionKind, Coding, Moment, Party, RuleBody, Token};

const BASE: &str = "https://pcf.example";

fn coding(system: &str, code: &str) -> Coding {
    Coding { system: Token::new(system), code: Token::new(code).unwrap(), display: None }
}

fn party(reference: &str) -> Party {
    Party { reference: Token::new(reference), ..Party::default() }
}

/// The example as the import reads it; as of 14 June 2022, the day after it was agreed.
fn consent(id: &str) -> Content {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../../testnet/data/ihe/pcf/Consent-ex-{id}.json"));
    let now = TimeMs(u64::try_from(Moment::new("2022-06-14").unwrap().first_ms()).unwrap());
    let options = Options { base: BASE.into(), now, collected: Collected::Paper };
    let readings = fhir::read_paths(&[path], &options);
    match &readings[0].outcome {
        Outcome::Rule(draft) => match &draft.body {
            RuleBody::Rule(rule) => Content::rule(draft.inner, rule.clone(), Terminology::shipped()),
            other => panic!("{id}: {other:?}"),
        },
        other => panic!("{id}: {other:?}"),
    }
}

/// Words of a request: a purpose, then `by:` members, `item:` id, `label:`, `author:`, `dated:`, `encounter`.
fn ask(text: &str) -> Request {
    let terminology = Terminology::shipped();
    let any = |code: &str| match code {
        "FooBar" => coding("http://example.org/policies/purposeOfUse", code),
        code => coding(terminology.system_of(code).unwrap(), code),
    };
    let mut words = text.split_whitespace();
    let purpose = any(words.next().unwrap());
    let mut members = vec![party("Practitioner/somebody"), party("Organization/ex-organization")];
    let mut item = Item {
        id: "Observation/ex-other".into(),
        authors: Some(vec![party("Practitioner/somebody")]),
        date: Moment::new("2021-05-05"),
        ..Item::default()
    };
    for word in words {
        let (name, value) = word.split_once(':').unwrap_or((word, ""));
        match name {
            "by" => members = value.split(',').map(party).collect(),
            "item" => item.id = value.into(),
            "label" => item.labels = value.split(',').map(any).collect(),
            "author" => item.authors = Some(vec![party(value)]),
            "dated" => item.date = Moment::new(value),
            "related" => item.related = vec![party(value)],
            other => panic!("{other}"),
        }
    }
    Request {
        custodian: "hospital-a.example".parse().unwrap(),
        actor: ActorSet {
            standing: Standing::Clinician,
            participant: "hospital-a.example".parse().unwrap(),
            members,
            roles: Vec::new(),
        },
        purpose,
        action: ActionKind::Read,
        emergency: None,
        relationship: None,
        permit: None,
        scope: Scope::Items(vec![item]),
    }
}

fn decide(content: &Content, request: &Request, at: &str) -> Answer {
    let policy = DecisionPolicy::initial();
    let facts = Facts {
        height: Height(10),
        time: TimeMs(u64::try_from(Moment::new(at).unwrap().first_ms()).unwrap()),
        policy_version: 1,
        policy: &policy,
        terminology: Terminology::shipped(),
        jurisdiction: "US".into(),
        base: BASE.into(),
        eligibility: Eligibility {
            key_is_valid: true,
            participant_is_active: true,
            roster: Roster::Listed { purposes: Vec::new(), roles: Vec::new() },
        },
        rules: vec![ListedRule {
            rule: Random16([1; 16]),
            version: 1,
            item: ItemHash([1; 32]),
            position: LogIndex(1),
            put: Height(1),
            expiry: FAR,
            ended: None,
            assurance: Assurance::CustodianAttested,
            author_was_valid: true,
            content: content.clone(),
        }],
        missing_trails: 0,
        representatives: Vec::new(),
        permits: Vec::new(),
    };
    custos_decide::decide(&facts, request)
}

/// Holds each request to its answer, on 1 July 2022.
fn says(id: &str, cases: &[(&str, &str)]) {
    let content = consent(id);
    for (request, expected) in cases {
        let answer = decide(&content, &ask(request), "2022-07-01");
        let item = &answer.items[0];
        assert_eq!(format!("{}: {}", item.outcome, item.ground.word()), *expected, "{id}: {request}");
    }
}

const YES: &str = "permit: rule-permits";
const NO: &str = "deny: rule-denies";
const NOT_COVERED: &str = "deny: uncovered";
const SAYS_NOTHING: &str = "deny: implicit-deny";

#[test]
fn basic_treat_permits_treatment_payment_and_operations_and_nothing_beyond() {
    let cases = [
        ("TREAT", YES),
        ("HPAYMT", YES),
        ("HOPERAT", YES),
        ("TREAT label:R", YES),
        ("HRESCH", SAYS_NOTHING),
        ("HMARKT", SAYS_NOTHING),
        // Not PCF's words but decision.md's: agreeing to treatment is not agreeing to a trial.
        ("CLINTRL", SAYS_NOTHING),
    ];
    says("consent-basic-treat", &cases);
    // "The processing is exactly the same": a picture of ink, and a mother for her infant.
    says("consent-basic-ink", &cases);
    says("consent-basic-treat-infant", &cases);
}

#[test]
fn basic_reject_answers_with_an_error() {
    says(
        "consent-basic-reject",
        &[("TREAT", NO), ("HPAYMT", NO), ("HOPERAT", NO), ("TREAT label:U", NO), ("HRESCH", SAYS_NOTHING)],
    );
}

#[test]
fn basic_research_permits_research() {
    says(
        "consent-basic-research",
        &[
            ("HRESCH", YES),
            ("CLINTRCH", YES),
            ("TREAT", SAYS_NOTHING),
            ("HMARKT", SAYS_NOTHING),
            ("HPAYMT", SAYS_NOTHING),
        ],
    );
}

#[test]
fn expired_treat_permits_until_the_last_instant_of_2022() {
    let content = consent("consent-expired-treat");
    for (at, expected) in [
        ("2022-07-01", YES),
        ("2022-12-31T23:59:59.999Z", YES),
        ("2023-01-01T00:00:00.000Z", SAYS_NOTHING),
        ("2026-03-12", SAYS_NOTHING),
    ] {
        let item = &decide(&content, &ask("TREAT"), at).items[0];
        assert_eq!(format!("{}: {}", item.outcome, item.ground.word()), expected, "{at}");
    }
}

#[test]
fn intermediate_purpose_is_for_one_research_organisation_and_its_purpose() {
    says(
        "consent-intermediate-purpose",
        &[
            ("FooBar by:Practitioner/r,Organization/ex-org-researcher", YES),
            ("FooBar by:Practitioner/r,Organization/ex-organization", SAYS_NOTHING),
            ("HRESCH by:Practitioner/r,Organization/ex-org-researcher", SAYS_NOTHING),
            ("TREAT by:Practitioner/r,Organization/ex-org-researcher", SAYS_NOTHING),
            ("FooBar", SAYS_NOTHING),
        ],
    );
}

#[test]
fn intermediate_authoredby_opens_nothing_but_what_the_practitioner_wrote() {
    says(
        "consent-intermediate-authoredby",
        &[
            ("TREAT author:Practitioner/ex-practitioner", YES),
            ("TREAT author:https://pcf.example/Practitioner/ex-practitioner", YES),
            ("TREAT author:Practitioner/other", NOT_COVERED),
            ("TREAT", NOT_COVERED),
            ("HRESCH author:Practitioner/ex-practitioner", SAYS_NOTHING),
        ],
    );
}

#[test]
fn intermediate_not_authoredby_carves_out_what_the_practitioner_wrote() {
    says(
        "consent-intermediate-not-authoredby",
        &[
            ("TREAT", YES),
            ("HPAYMT", YES),
            ("TREAT author:Practitioner/ex-practitioner", NO),
            ("HPAYMT author:Practitioner/ex-practitioner", NO),
            ("HRESCH author:Practitioner/ex-practitioner", SAYS_NOTHING),
        ],
    );
}

#[test]
fn intermediate_data_opens_the_named_instances_only() {
    says(
        "consent-intermediate-data",
        &[
            ("TREAT item:Encounter/ex-encounter", YES),
            ("TREAT item:Observation/ex-weight", YES),
            ("TREAT item:Observation/ex-alcoholUse", YES),
            ("TREAT item:Observation/ex-other", NOT_COVERED),
            // The instance is named, not what relates to it.
            ("TREAT related:Encounter/ex-encounter", NOT_COVERED),
        ],
    );
}

#[test]
fn intermediate_not_data_carves_out_one_observation() {
    says(
        "consent-intermediate-not-data",
        &[
            ("TREAT item:Observation/ex-weight", YES),
            ("TREAT item:Observation/ex-alcoholUse", NO),
            ("HPAYMT item:Observation/ex-alcoholUse", NO),
            ("TREAT item:https://pcf.example/Observation/ex-alcoholUse", NO),
            ("HRESCH item:Observation/ex-weight", SAYS_NOTHING),
        ],
    );
}

#[test]
fn intermediate_encounter_opens_nothing_but_what_relates_to_it() {
    says(
        "consent-intermediate-encounter",
        &[
            ("TREAT related:Encounter/ex-encounter", YES),
            ("TREAT item:Encounter/ex-encounter", YES),
            ("TREAT related:Encounter/other", NOT_COVERED),
            ("TREAT", NOT_COVERED),
            ("HRESCH related:Encounter/ex-encounter", SAYS_NOTHING),
        ],
    );
}

#[test]
fn intermediate_not_encounter_carves_out_what_relates_to_it() {
    says(
        "consent-intermediate-not-encounter",
        &[
            ("TREAT", YES),
            ("TREAT related:Encounter/other", YES),
            ("TREAT related:Encounter/ex-encounter", NO),
            ("TREAT item:Encounter/ex-encounter", NO),
            ("HRESCH related:Encounter/ex-encounter", SAYS_NOTHING),
        ],
    );
}

#[test]
fn intermediate_timeframe_opens_nothing_but_data_of_2022() {
    says(
        "consent-intermediate-timeframe",
        &[
            ("TREAT dated:2022-01-01", YES),
            ("TREAT dated:2022-12-31T23:00:00Z", YES),
            ("TREAT dated:2022", YES),
            ("TREAT dated:2021-12-31", NOT_COVERED),
            ("TREAT dated:2023-01-01", NOT_COVERED),
        ],
    );
}

#[test]
fn intermediate_not_timeframe_carves_out_data_of_2022() {
    says(
        "consent-intermediate-not-timeframe",
        &[
            ("TREAT dated:2022-06-01", NO),
            ("HOPERAT dated:2022-12-31", NO),
            ("TREAT dated:2021-12-31", YES),
            ("TREAT dated:2023-01-01", YES),
            ("HRESCH dated:2021", SAYS_NOTHING),
        ],
    );
}

#[test]
fn dissent_break_glass_denies_all_but_the_authorised_who_break_the_glass() {
    says(
        "dissent-intermediate-break-glass",
        &[
            ("TREAT", NO),
            ("TREAT by:Practitioner/er,Group/ex-privilegedUsers", NO),
            ("BTG by:Practitioner/er,Group/ex-privilegedUsers", YES),
            ("BTG by:Practitioner/er", NO),
            ("HRESCH", NO),
        ],
    );
}

#[test]
fn advanced_normal_opens_nothing_but_normal_data() {
    says(
        "consent-advanced-normal",
        &[
            ("TREAT label:N", YES),
            ("TREAT", YES),
            ("TREAT label:L", YES),
            ("TREAT label:R", NOT_COVERED),
            ("TREAT label:PSY", NOT_COVERED),
            ("HRESCH label:N", SAYS_NOTHING),
        ],
    );
}

#[test]
fn advanced_normal_not_restricted_says_the_same_and_denies_in_words() {
    says(
        "consent-advanced-normal-not-restricted",
        &[
            ("TREAT label:N", YES),
            ("HPAYMT label:N", YES),
            ("TREAT label:R", NO),
            ("TREAT label:V", NO),
            ("HRESCH label:N", SAYS_NOTHING),
        ],
    );
}

#[test]
fn advanced_normal_restricted_opens_both() {
    says(
        "consent-advanced-normal-restricted",
        &[
            ("TREAT label:N", YES),
            ("TREAT label:R", YES),
            ("TREAT label:HIV", YES),
            ("TREAT label:V", NOT_COVERED),
            ("HRESCH label:R", SAYS_NOTHING),
        ],
    );
}

#[test]
fn advanced_focused_restricted_opens_restricted_data_to_one_practitioner() {
    says(
        "consent-advanced-normal-focused-restricted",
        &[
            ("TREAT label:N", YES),
            ("TREAT label:R", NOT_COVERED),
            ("TREAT label:R by:Practitioner/ex-practitioner", YES),
            ("TREAT label:N by:Practitioner/ex-practitioner", YES),
            ("TREAT label:V by:Practitioner/ex-practitioner", NOT_COVERED),
            ("HRESCH label:R by:Practitioner/ex-practitioner", SAYS_NOTHING),
        ],
    );
}

#[test]
fn advanced_focused_psy_opens_mental_health_data_to_one_practitioner() {
    says(
        "consent-advanced-normal-focused-psy",
        &[
            ("TREAT label:N", YES),
            ("TREAT label:PSY", NOT_COVERED),
            ("TREAT label:PSY by:Practitioner/ex-practitioner", YES),
            ("TREAT label:SDV by:Practitioner/ex-practitioner", NOT_COVERED),
            ("TREAT label:R by:Practitioner/ex-practitioner", NOT_COVERED),
        ],
    );
}

#[test]
fn advanced_focused_psy_or_sdv_opens_either_to_one_practitioner() {
    says(
        "consent-advanced-normal-focused-psy-or-sdv",
        &[
            ("TREAT label:PSY by:Practitioner/ex-practitioner", YES),
            ("TREAT label:SDV by:Practitioner/ex-practitioner", YES),
            ("TREAT label:HIV by:Practitioner/ex-practitioner", NOT_COVERED),
            ("TREAT label:SDV", NOT_COVERED),
            ("TREAT label:N", YES),
        ],
    );
}

#[test]
fn advanced_break_glass_opens_restricted_data_to_the_authorised_who_break_the_glass() {
    says(
        "consent-advanced-normal-break-glass-restricted",
        &[
            ("TREAT label:N", YES),
            ("TREAT label:R", NOT_COVERED),
            ("TREAT label:R by:Practitioner/er,Group/ex-privilegedUsers", NOT_COVERED),
            ("BTG label:R by:Practitioner/er,Group/ex-privilegedUsers", YES),
            ("BTG label:R by:Practitioner/er", NOT_COVERED),
            ("BTG label:N by:Practitioner/er", YES),
        ],
    );
}

#[test]
fn every_example_has_its_test() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testnet/data/ihe/pcf");
    let text = include_str!("pcf.rs");
    let mut seen = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let id = name.trim_start_matches("Consent-ex-").trim_end_matches(".json").to_owned();
        assert!(text.contains(&format!("\"{id}\"")), "{id}");
        seen += 1;
    }
    assert_eq!(seen, 23);
    assert_eq!(ACT_REASON, ask("TREAT").purpose.system.as_deref().unwrap());
}
