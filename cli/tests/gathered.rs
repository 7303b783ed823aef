//! Replay and the reverse question with what stands beside the subject's rules: permits, emergencies, representatives and
//! rosters, each from real proofs of a small chain.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use custos_proof::cbor::{Bytes, List, Set, Wire};
use custos_proof::disclosure::Disclosure;
use custos_proof::hash::{Digest, ItemHash};
use custos_proof::ids::{Random16, TimeMs};
use custos_proof::kinds::Fields;
use custos_proof::kinds::access::{Basis, Event};
use custos_proof::kinds::permit::{
    Amend, Category, Form, Issue, Override, Purpose as Use, Reason, Revoke, Terms,
};
use custos_proof::kinds::roster::{Commit, Count};
use custos_proof::merkle;
use custos_proof::sealed_values::{
    Action, ActionKind, Agent, Agents, Answer, Coding, Concept, Concepts, Decision, Delegation,
    DelegationKind, Effect, InnerKind, Moment, Outcome, OutcomeKind, Party, Provision, Purpose, Purposes,
    Resource, Resources, RosterEntry, RosterPlace, Rule, RuleBody, Stated, Token,
};
use custos_proof::trail::TrailName;
use serde_json::{Value, json};
use support::{BEGIN, Chain, body, for_university, hospital, own, run, university, write};

mod support;

const ACT_REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
const EHDS: &str = "urn:custos:ehds:2025-327";
const OPT_OUT: &str = "urn:custos:opt-out";
const PERMIT: Random16 = Random16([0x77; 16]);

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn concept(system: &str, code: &str) -> Concept {
    let coding = Coding { system: Token::new(system), code: Token::new(code).unwrap(), display: None };
    Concept { codings: List::new(vec![coding]).unwrap(), text: None }
}

fn party(address: &str) -> Party {
    Party { reference: Token::new(address), ..Party::default() }
}

/// A rule of one effect, for a purpose if one is named.
fn rule(effect: Effect, purpose: Option<&str>) -> RuleBody {
    let purposes = purpose.into_iter().map(|code| concept(ACT_REASON, code).codings[0].clone()).collect();
    let root =
        Provision { effect: Some(effect), purposes: List::new(purposes).unwrap(), ..Provision::default() };
    RuleBody::Rule(Rule { root: Some(root), ..Rule::default() })
}

fn opt_out() -> RuleBody {
    let RuleBody::Rule(rule) = rule(Effect::Deny, None) else { panic!("a rule") };
    RuleBody::Rule(Rule { categories: List::new(vec![concept(OPT_OUT, "secondary")]).unwrap(), ..rule })
}

/// What an event states: who, what for, with which category, and what was decided.
struct Says {
    agent: Agent,
    purpose: Concept,
    category: Option<Concept>,
    decided: Option<Answer>,
    outcome: OutcomeKind,
}

impl Says {
    fn new(who: &str, purpose: Concept, decided: Answer) -> Self {
        let outcome = if decided == Answer::Permit { OutcomeKind::Served } else { OutcomeKind::Denied };
        let agent = Agent { who: Some(party(who)), requestor: Some(true), ..Agent::default() };
        Self { agent, purpose, category: None, decided: Some(decided), outcome }
    }

    fn study(decided: Answer) -> Self {
        let says = Self::new("Practitioner/researcher", concept(EHDS, "53-1-e"), decided);
        Self { category: Some(concept(EHDS, "14-1-e")), ..says }
    }

    fn values(self) -> Vec<(usize, Vec<u8>)> {
        fn stated<T: Wire>(value: T) -> Vec<u8> {
            Stated::Value(value).to_bytes()
        }
        let purpose = Purpose { concept: Some(self.purpose), agent: None };
        let mut values = vec![
            (1, stated(Action { kind: Some(ActionKind::Read), ..Action::default() })),
            (2, stated(Outcome { kind: Some(self.outcome), ..Outcome::default() })),
            (4, stated(Purposes::new(vec![purpose]).unwrap())),
            (8, stated(Agents::new(vec![self.agent]).unwrap())),
        ];
        match self.category {
            Some(category) => values.push((6, stated(Concepts::new(vec![category]).unwrap()))),
            None => {
                let resource = Resource { what: Some(party("Observation/17")), ..Resource::default() };
                values.push((10, stated(Resources::new(vec![resource]).unwrap())));
            }
        }
        let decision = self.decided.map(|answer| Decision { answer: Some(answer), ..Decision::default() });
        values.extend(decision.map(|decision| (13, stated(decision))));
        values
    }
}

fn begun() -> Chain {
    let mut chain = Chain::new(0);
    let open = chain.open();
    chain.record(&open);
    chain
}

/// Files of a chain's proofs, in a folder.
struct Files {
    folder: tempfile::TempDir,
    anchor: PathBuf,
}

impl Files {
    fn of(chain: &Chain) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let anchor = write(folder.path(), "anchor", &chain.anchor().to_bytes());
        Self { folder, anchor }
    }

    fn disclosed(&self, chain: &Chain, name: &str, trail: &TrailName) -> PathBuf {
        let proof = Bytes::new(chain.trail(trail).to_bytes()).unwrap();
        let disclosure = Disclosure { proof, openings: chain.all_openings().openings };
        write(self.folder.path(), name, &disclosure.to_bytes())
    }

    fn own(&self, chain: &Chain) -> PathBuf {
        self.disclosed(chain, "own", &TrailName::subject(&hospital(), own()))
    }

    fn grantee(&self, chain: &Chain) -> PathBuf {
        self.disclosed(chain, "grantee", &TrailName::subject(&hospital(), for_university()))
    }

    fn permit(&self, chain: &Chain) -> PathBuf {
        let proof = chain.trail(&TrailName::permit(&body(), &PERMIT)).to_bytes();
        write(self.folder.path(), "permit", &proof)
    }

    fn institution(&self, chain: &Chain) -> PathBuf {
        write(
            self.folder.path(),
            "institution",
            &chain.trail(&TrailName::institution(&hospital())).to_bytes(),
        )
    }

    fn receipt(&self, chain: &Chain, item: &ItemHash) -> PathBuf {
        write(self.folder.path(), "receipt", &chain.receipt(item).to_bytes())
    }

    /// Exit code, findings, and the first answer's ground and obligations of each.
    fn replay(&self, files: &[&Path]) -> (i32, Vec<String>, Vec<Value>) {
        let mut arguments = vec!["--json", "replay", "--anchor", text(&self.anchor)];
        arguments.extend(files.iter().map(|file| text(file)));
        let (code, out, err) = run(&arguments);
        let answer: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{err}"));
        let accesses = answer["accesses"].as_array().unwrap().clone();
        let said = |access: &Value| {
            let ground = access["answers"][0]["items"][0]["ground"].as_str().unwrap_or("-");
            format!("{} {ground}", access["finding"].as_str().unwrap())
        };
        (code, accesses.iter().map(said).collect(), accesses)
    }
}

// Permits -----------------------------------------------------------------------------------------

fn terms(categories: &[Category]) -> Terms {
    Terms {
        user: university(),
        purposes: Set::new(vec![Use::Research]).unwrap(),
        categories: Set::new(categories.to_vec()).unwrap(),
        holders: Set::new(vec![hospital()]).unwrap(),
        environment: None,
        begins: TimeMs(BEGIN.0 - 86_400_000),
        ends: TimeMs(BEGIN.0 + 300 * 86_400_000),
        form: Form::Pseudonymised,
        over_opt_out: Override::None,
        decision: None,
    }
}

fn under_the_permit(event: &mut Event) {
    event.basis = Basis::Permit;
    event.cited = Some(PERMIT);
    event.acting = university();
    event.local_id = Some(for_university());
}

fn issue(chain: &mut Chain, terms: Terms) {
    chain.act(&body(), Fields::PermitIssue(Issue { permit: PERMIT, terms }));
}

#[test]
fn an_access_under_a_permit_is_replayed_from_the_permits_own_trail() {
    let mut chain = begun();
    chain.open_for_university();
    let study = || Says::study(Answer::Permit).values();
    // Before it was issued: validators say so, and so does the replay.
    chain.access_on(&study(), under_the_permit);
    issue(&mut chain, terms(&[Category::MedicalRegistries]));
    // Not this category yet.
    chain.access_on(&study(), under_the_permit);
    chain.act(
        &body(),
        Fields::PermitAmend(Amend { permit: PERMIT, terms: terms(&[Category::HealthRecords]) }),
    );
    chain.access_on(&study(), under_the_permit);
    chain.act(&body(), Fields::PermitRevoke(Revoke { permit: PERMIT, reason: Reason::Served }));
    chain.access_on(&study(), under_the_permit);
    let files = Files::of(&chain);
    let (own, grantee) = (files.own(&chain), files.grantee(&chain));
    let (code, found, _) = files.replay(&[&own, &grantee, &files.permit(&chain)]);
    assert_eq!(code, 1);
    assert_eq!(
        found,
        [
            "contradicts no-permit",
            "contradicts outside-permit",
            "follows permit",
            "contradicts permit-not-in-force"
        ]
    );
    // Without the permit's trail nothing is said for or against anybody.
    let (code, found, _) = files.replay(&[&own, &grantee]);
    assert_eq!((code, found), (2, vec!["cannot-tell -".to_owned(); 4]));
    // And without the own trail, where an opt-out would stand, nothing is certain that would permit.
    let (code, found, _) = files.replay(&[&grantee, &files.permit(&chain)]);
    assert_eq!(code, 1);
    assert!(found[2].starts_with("cannot-tell"), "{found:?}");
}

#[test]
fn an_opt_out_binds_a_permit_that_is_issued_after_it() {
    let optional = |before: bool, lifted: bool| {
        let mut chain = begun();
        chain.open_for_university();
        if !before {
            issue(&mut chain, terms(&[Category::HealthRecords]));
        }
        let opted = Random16([0xab; 16]);
        let item = chain.rule(opted, InnerKind::OptOut, &opt_out());
        chain.record(&item);
        if before {
            issue(&mut chain, terms(&[Category::HealthRecords]));
        }
        if lifted {
            chain.end(Random16([0xac; 16]), opted, InnerKind::Lift);
        }
        chain.access_on(&Says::study(Answer::Deny).values(), under_the_permit);
        let files = Files::of(&chain);
        let (_, found, _) =
            files.replay(&[&files.own(&chain), &files.grantee(&chain), &files.permit(&chain)]);
        found[0].clone()
    };
    assert_eq!(optional(true, false), "follows secondary-opt-out");
    assert_eq!(optional(false, false), "contradicts permit");
    assert_eq!(optional(true, true), "contradicts permit");
}

#[test]
fn what_an_amendment_adds_is_bound_by_an_opt_out_before_it() {
    let mut chain = begun();
    chain.open_for_university();
    issue(&mut chain, terms(&[Category::MedicalRegistries]));
    let item = chain.rule(Random16([0xab; 16]), InnerKind::OptOut, &opt_out());
    chain.record(&item);
    let both = terms(&[Category::HealthRecords, Category::MedicalRegistries]);
    chain.act(&body(), Fields::PermitAmend(Amend { permit: PERMIT, terms: both }));
    let registry = || Says { category: Some(concept(EHDS, "51-1-l")), ..Says::study(Answer::Permit) };
    chain.access_on(&registry().values(), under_the_permit);
    chain.access_on(&Says::study(Answer::Deny).values(), under_the_permit);
    let over = Terms {
        over_opt_out: Override::PublicInterest,
        ..terms(&[Category::HealthRecords, Category::MedicalRegistries])
    };
    chain.act(&body(), Fields::PermitAmend(Amend { permit: PERMIT, terms: over }));
    chain.access_on(&Says::study(Answer::Permit).values(), under_the_permit);
    let files = Files::of(&chain);
    let (code, found, _) = files.replay(&[&files.own(&chain), &files.grantee(&chain), &files.permit(&chain)]);
    assert_eq!(code, 0);
    assert_eq!(found, ["follows permit", "follows secondary-opt-out", "follows permit"]);
}

// Emergencies -------------------------------------------------------------------------------------

#[test]
fn an_access_in_an_emergency_rests_on_what_validators_found() {
    let mut chain = begun();
    let item = chain.rule(Random16([0xab; 16]), InnerKind::Restriction, &rule(Effect::Deny, None));
    chain.record(&item);
    let btg = |decided| Says::new("Practitioner/3", concept(ACT_REASON, "BTG"), decided).values();
    let cites = |declaration| {
        move |event: &mut Event| {
            event.basis = Basis::Emergency;
            event.cited = Some(declaration);
        }
    };
    let (declaration, item) = chain.emergency();
    chain.access_on(&btg(Answer::Permit), cites(declaration));
    // Declared by nobody.
    chain.access_on(&btg(Answer::Permit), cites(Random16([0x66; 16])));
    // Treatment is no emergency, whatever was declared.
    let treats = Says::new("Practitioner/3", concept(ACT_REASON, "TREAT"), Answer::Deny).values();
    chain.access_on(&treats, cites(declaration));
    let files = Files::of(&chain);
    let own = files.own(&chain);
    let expected = ["follows emergency", "contradicts rule-denies", "follows rule-denies"];
    let (code, found, accesses) = files.replay(&[&own]);
    assert_eq!((code, found), (1, expected.map(str::to_owned).to_vec()));
    let obligations = accesses[0]["answers"][0]["obligations"].to_string();
    assert!(obligations.contains("notify-subject") && obligations.contains("review within"), "{obligations}");
    // The declaration's own receipt, or the institution's trail, changes nothing but what is known of its time.
    let (_, found, _) = files.replay(&[&own, &files.receipt(&chain, &item)]);
    assert_eq!(found, expected);
    let (_, found, _) = files.replay(&[&own, &files.institution(&chain)]);
    assert_eq!(found, expected);
}

// Representatives ---------------------------------------------------------------------------------

fn guardian() -> Delegation {
    Delegation {
        delegate: Some(party("RelatedPerson/mother")),
        kind: Some(DelegationKind::Guardian),
        // The chain of this test begins at ten o'clock on 12 March 2026, and makes a block a minute.
        ends_at: Moment::new("2026-03-12T10:05:30Z"),
        ..Delegation::default()
    }
}

#[test]
fn a_guardians_access_follows_from_the_delegation_in_the_subjects_trail() {
    let mut chain = begun();
    let body = RuleBody::Delegation(guardian());
    let granted = chain.rule(Random16([0xab; 16]), InnerKind::DelegationGrant, &body);
    chain.record(&granted);
    let subject = |event: &mut Event| event.basis = Basis::Subject;
    let asks = |who: &str, decided| Says::new(who, concept(ACT_REASON, "FAMRQT"), decided).values();
    chain.access_on(&asks("RelatedPerson/mother", Answer::Permit), subject);
    chain.access_on(&asks("RelatedPerson/uncle", Answer::Permit), subject);
    while chain.height() < 6 {
        let nothing =
            chain.put(Random16([u8::try_from(chain.height()).unwrap(); 16]), &[], InnerKind::Acknowledge);
        chain.record(&nothing);
    }
    // Of age by now.
    chain.access_on(&asks("RelatedPerson/mother", Answer::Permit), subject);
    let files = Files::of(&chain);
    let (code, found, accesses) = files.replay(&[&files.own(&chain)]);
    assert_eq!(code, 1);
    assert_eq!(
        found,
        ["follows representative", "contradicts not-a-representative", "contradicts not-a-representative"]
    );
    // The answer names the rule by which they speak.
    let basis = &accesses[0]["answers"][0]["items"][0]["basis"][0]["rule"];
    assert_eq!(basis, &json!(format!("{}@1", Random16([0xab; 16]))));
}

// Rosters -----------------------------------------------------------------------------------------

fn staff() -> Vec<RosterEntry> {
    let entry = |number: u8, purposes: &[&str]| RosterEntry {
        salt: Digest([number; 32]),
        person: party(&format!("Practitioner/{number}")),
        roles: List::default(),
        purposes: List::new(
            purposes.iter().map(|code| concept(ACT_REASON, code).codings[0].clone()).collect(),
        )
        .unwrap(),
        groups: List::default(),
    };
    vec![entry(1, &[]), entry(2, &["HPAYMT"]), entry(3, &["TREAT"])]
}

fn leaves() -> Vec<Digest> {
    staff().iter().map(RosterEntry::leaf).collect()
}

/// A physician who shows the entry at a place of the roster.
fn on_the_roster(who: &str, index: u32, decided: Answer) -> Vec<(usize, Vec<u8>)> {
    let says = Says::new(who, concept(ACT_REASON, "TREAT"), decided);
    let agent = Agent {
        roster_path: List::new(merkle::path_of(&leaves(), index.into()).unwrap()).unwrap(),
        roster: Some(RosterPlace { index, size: 3, entry: staff()[index as usize].clone() }),
        ..says.agent
    };
    Says { agent, ..says }.values()
}

fn with_a_roster(root: Digest) -> Chain {
    let mut chain = begun();
    let permits = rule(Effect::Permit, Some("TREAT"));
    let item = chain.rule(Random16([0xab; 16]), InnerKind::Grant, &permits);
    chain.record(&item);
    let commit = Commit { from: BEGIN, until: TimeMs(BEGIN.0 + 90 * 86_400_000), root, count: Count::Ten };
    chain.act(&hospital(), Fields::RosterCommit(commit));
    chain
}

#[test]
fn whether_somebody_was_on_the_roster_is_shown_by_the_events_opening() {
    let mut chain = with_a_roster(merkle::root_of(&leaves()));
    let plain = |event: &mut Event| event.basis = Basis::Law;
    chain.access_on(&on_the_roster("Practitioner/3", 2, Answer::Permit), plain);
    // Listed for payment only, somebody else's entry, and no claim at all.
    chain.access_on(&on_the_roster("Practitioner/2", 1, Answer::Permit), plain);
    chain.access_on(&on_the_roster("Practitioner/9", 2, Answer::Permit), plain);
    let silent = Says::new("Practitioner/9", concept(ACT_REASON, "TREAT"), Answer::Permit).values();
    chain.access_on(&silent, plain);
    let files = Files::of(&chain);
    let (own, institution) = (files.own(&chain), files.institution(&chain));
    let (code, found, accesses) = files.replay(&[&own, &institution]);
    assert_eq!(code, 1);
    assert_eq!(
        found,
        [
            "follows rule-permits",
            "contradicts not-eligible: roster",
            "contradicts not-eligible: roster",
            "follows rule-permits"
        ]
    );
    let obligations = |access: usize| accesses[access]["answers"][0]["obligations"].clone();
    assert_eq!(
        (obligations(0), obligations(3)),
        (json!(["unrelated"]), json!(["roster-not-seen", "unrelated"]))
    );
    // Without the institution's trail nobody is held to a roster, and each answer says so.
    let (code, found, accesses) = files.replay(&[&own]);
    assert_eq!((code, found), (0, vec!["follows rule-permits".to_owned(); 4]));
    assert_eq!(accesses[0]["answers"][0]["obligations"], json!(["roster-not-seen", "unrelated"]));
}

#[test]
fn the_reverse_question_names_representatives_permit_holders_and_the_roster() {
    let mut chain = with_a_roster(merkle::root_of(&leaves()));
    let body = RuleBody::Delegation(Delegation { ends_at: Moment::new("2034-05-01"), ..guardian() });
    let granted = chain.rule(Random16([0xad; 16]), InnerKind::DelegationGrant, &body);
    chain.record(&granted);
    issue(&mut chain, terms(&[Category::HealthRecords]));
    let files = Files::of(&chain);
    let list: Vec<Value> = staff()
        .iter()
        .map(|entry| {
            json!({
                "salt": entry.salt.to_string(),
                "person": entry.person.reference.as_deref(),
                "purposes": entry.purposes.iter().map(|code| code.code.to_string()).collect::<Vec<_>>(),
            })
        })
        .collect();
    let roster = write(files.folder.path(), "roster", Value::Array(list).to_string().as_bytes());
    let (own, institution, permit) = (files.own(&chain), files.institution(&chain), files.permit(&chain));
    let ask = |more: &[&str]| {
        let base = ["--json", "who-can-see", text(&own), text(&institution), text(&permit), "--anchor"];
        let base = [&base[..], &[text(&files.anchor), "--category", "14-1-e"], more].concat();
        let (code, out, err) = run(&base);
        let answer: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{err}"));
        let row = |row: &Value| {
            let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (who, code) = (word(&row["who"]), word(&row["purpose"]["code"]));
            format!("{who} {code} {}", word(&row["answer"]["ground"]))
        };
        (code, answer["rows"].as_array().unwrap().iter().map(row).collect::<Vec<_>>())
    };
    let (code, rows) = ask(&["--roster", text(&roster)]);
    assert_eq!(code, 0);
    for row in [
        "RelatedPerson/mother, for the patient TREAT representative",
        "university.example, under a permit 53-1-e permit",
        "Practitioner/1, on the roster TREAT rule-permits",
        "Practitioner/3, on the roster TREAT rule-permits",
        "any clinician TREAT rule-permits",
    ] {
        assert!(rows.contains(&row.to_owned()), "{row}: {rows:?}");
    }
    // Listed for payment only, and the patient permits treatment.
    assert!(!rows.iter().any(|row| row.starts_with("Practitioner/2,")), "{rows:?}");
    // After majority the guardian is gone; the permit is over in a year.
    let (_, rows) = ask(&["--at", "2034-06-01"]);
    assert!(
        !rows.iter().any(|row| row.contains("for the patient") || row.contains("under a permit")),
        "{rows:?}"
    );
    // A list that is not the committed one is evidence against it.
    let other = json!([{ "salt": Digest([1; 32]).to_string(), "person": "Practitioner/9" }]);
    let other = write(files.folder.path(), "other", other.to_string().as_bytes());
    let (code, _, err) = run(&[
        "who-can-see",
        text(&own),
        text(&institution),
        "--anchor",
        text(&files.anchor),
        "--roster",
        text(&other),
    ]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("is not the roster that"), "{err}");
}
