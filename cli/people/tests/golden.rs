//! What people read, word for word: the entries of the demonstration's trails, in every language.
//!
//! IHE's own examples are sealed as an import seals them, opened from the vault, and told; the entries that
//! no example has (withheld, pruned, contradicted, refused) are made by hand. The texts stand in
//! `tests/golden`; `CUSTOS_BLESS=1` writes them anew, and then a person has to read them.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use custos_custodian::fhir::{self, Options};
use custos_custodian::import::{self, Draft, Input, Organisations, Planning, Settings};
use custos_custodian::vault::{Scope, Vault, VaultKey};
use custos_people::catalogue::{Catalogue, Speaker};
use custos_people::event::{self, Listener, Manner, Telling};
use custos_people::names::{Name, Names};
use custos_people::rule::Rules;
use custos_people::value;
use custos_proof::cbor::{List, Set, Wire as _};
use custos_proof::disclosure::Shown;
use custos_proof::hash::{Digest, ItemHash};
use custos_proof::ids::{FAR, Height, ItemId, LogIndex, ParticipantId, Random16, TimeMs};
use custos_proof::item::Item;
use custos_proof::kinds::access::{Basis, Event, Late, Retention};
use custos_proof::kinds::rule::{Collected, Put};
use custos_proof::kinds::trail::Open;
use custos_proof::kinds::{Fields, Kind};
use custos_proof::record::{self, Check, Code, DueEntry, Finding, ItemEntry, Record, verdict};
use custos_proof::seal::Seal;
use custos_proof::sealed_values::{
    Action, ActionKind, Agent, AgentKind, Agents, Coding, Concept, Concepts, Effect, Group, InnerKind,
    Moment, Outcome, OutcomeKind, Prose, Provision, Purpose, Purposes, Reason, Rule, RuleBody, Stated, Token,
    When,
};
use custos_proof::submission::Author;
use custos_proof::verify::{Content, ProvenEntry};

/// 2026-03-12T10:15:00Z.
const RECORDED: TimeMs = TimeMs(1_773_310_500_000);

/// Compares with the committed text, or writes it.
fn golden(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("CUSTOS_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    for (line, (is, was)) in (1..).zip(text.lines().zip(committed.lines())) {
        assert_eq!(is, was, "{name}, line {line}; if it is meant: CUSTOS_BLESS=1");
    }
    assert_eq!(text.lines().count(), committed.lines().count(), "{name}: the number of lines");
}

fn speakers() -> Vec<Speaker> {
    let catalogue = Catalogue::default();
    ["en", "de"].map(|language| catalogue.speaker(language).unwrap()).into()
}

fn hospital() -> ParticipantId {
    "hospital-1.example".parse().unwrap()
}

fn names() -> Names {
    let mut names = Names::default();
    let name = |name: &str, german: &str| Name {
        name: Some(name.into()),
        by_language: vec![("de".into(), german.into())],
        jurisdiction: None,
    };
    names.add(hospital(), name("Example Hospital", "Beispielkrankenhaus"));
    names.add("lab.example".parse().unwrap(), name("Example Laboratory", "Beispiellabor"));
    names.add("research.example".parse().unwrap(), name("Institute of Research", "Forschungsinstitut"));
    names
}

#[test]
fn the_examples_of_ihe_are_told_as_a_person_would() {
    let folder = tempfile::tempdir().unwrap();
    let scope = Scope { chain: Digest([1; 32]).into(), custodian: hospital() };
    let mut vault =
        Vault::create(&folder.path().join("vault"), &VaultKey::generate().unwrap(), &scope).unwrap();
    for profile in ["balp", "pcf"] {
        let told = told_examples(profile, &mut vault);
        for speaker in speakers() {
            let text: String = told.iter().map(|tell| tell(&speaker) + "\n").collect();
            golden(&format!("{profile}.{}.txt", speaker.language()), &text);
        }
    }
}

type Teller = Box<dyn Fn(&Speaker) -> String>;

/// One teller per item of the examples of a profile, in the order of the files.
fn told_examples(profile: &str, vault: &mut Vault) -> Vec<Teller> {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testnet/data/ihe");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(data.join("refs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&format!("{profile}-")))
        .collect();
    paths.push(data.join(profile));
    let options =
        Options { base: format!("https://{profile}.example"), now: RECORDED, collected: Collected::Paper };
    let mut inputs: Vec<Input> = fhir::read_paths(&paths, &options)
        .into_iter()
        .filter_map(|reading| {
            let draft = match reading.outcome {
                fhir::Outcome::Event(event) => Draft::Event(event),
                fhir::Outcome::Rule(rule) => Draft::Rule(rule),
                _ => return None,
            };
            Some(Input { location: reading.resource.unwrap_or_default(), draft })
        })
        .collect();
    inputs.sort_by(|a, b| a.location.cmp(&b.location));
    let locations: Vec<String> = inputs.iter().map(|input| input.location.clone()).collect();
    let mut organisations = Organisations::default();
    organisations.add("Organization/ex-organization", hospital());
    organisations.add("Organization/ex-org-researcher", "research.example".parse().unwrap());
    let settings = Settings { organisations, ..Settings::history(2026) };
    let plan = import::plan(vault, inputs, &settings).unwrap();
    let mut tellers: Vec<Teller> = Vec::new();
    for (location, disposition) in locations.into_iter().zip(plan.dispositions) {
        let (Planning::Planned(items) | Planning::Recorded(items)) = disposition.result else { continue };
        for hash in items {
            let stored = vault.item(&hash).unwrap();
            let item = Item::from_bytes(&stored.bytes).unwrap();
            let values = stored.values.into_iter().zip(item.kind().sealed_fields()).zip(1..);
            let shown: Vec<Shown> =
                values.map(|((value, name), field)| Shown { field, name, value: Some(value) }).collect();
            let mut rules = Rules::default();
            rules.count(&record_of(item.kind(), &[]), &item, &shown);
            let location = location.clone();
            tellers.push(Box::new(move |speaker| {
                let sentence = tell(&item, &shown, &rules, Listener::Subject, speaker);
                format!("{location}\n    {sentence}")
            }));
        }
    }
    tellers
}

fn tell(item: &Item, shown: &[Shown], rules: &Rules, listener: Listener, speaker: &Speaker) -> String {
    let author = Author::Participant(hospital());
    let names = names();
    let manner = Manner { speaker, names: &names, rules, listener };
    Telling { author: &author, recorded: RECORDED, item, shown, manner }.sentence()
}

fn record_of(_: Kind, codes: &[Code]) -> Record {
    let finding = if codes.is_empty() { Finding::Consistent } else { Finding::Contradicted };
    Record {
        index: LogIndex(7),
        height: Height(3),
        time: RECORDED,
        entry: record::Entry::Item(ItemEntry {
            submission: Digest([2; 32]).into(),
            author: Author::Participant(hospital()),
            position: 0,
            item: ItemHash::from(Digest([3; 32])),
            verdict: verdict(&[Check::Rule], codes, finding),
            trails: Set::default(),
        }),
    }
}

// Cases by hand.

const RULE: Random16 = Random16([0xab; 16]);

fn seal() -> Seal {
    Seal { root: Digest([4; 32]), ciphertext: None }
}

fn event(acting: &str, basis: Basis, cited: Option<Random16>, late: Late) -> Item {
    let fields = Event {
        event: Random16([2; 16]),
        custodian: hospital(),
        local_id: Some(Digest([3; 32])),
        acting: acting.parse().unwrap(),
        basis,
        cited,
        at_height: Height(7),
        late,
        retention: Retention::Standard,
        stream: 0,
        sequence: 0,
        seal: seal(),
    };
    Item { item_id: ItemId([1; 16]), fields: Fields::AccessEvent(fields) }
}

fn put(rule: Random16, ends: &[Random16], expiry: TimeMs, collected: Collected) -> Item {
    let fields = Put {
        custodian: hospital(),
        local_id: Digest([3; 32]),
        rule,
        prior: Random16([9; 16]),
        expiry,
        ends: Set::new(ends.to_vec()).unwrap(),
        collected,
        seal: seal(),
    };
    Item { item_id: ItemId([1; 16]), fields: Fields::RulePut(fields) }
}

fn words(text: &str) -> Concept {
    Concept { codings: List::default(), text: Prose::new(text) }
}

fn code(system: &str, code: &str) -> Coding {
    Coding { system: Token::new(system), code: Token::new(code).unwrap(), display: None }
}

fn treatment() -> Concept {
    let treat = code("http://terminology.hl7.org/CodeSystem/v3-ActReason", "TREAT");
    Concept { codings: List::new(vec![treat]).unwrap(), text: None }
}

fn laboratory() -> Concept {
    Concept { codings: List::new(vec![code("http://loinc.org", "26436-6")]).unwrap(), text: None }
}

fn shown(field: u8, value: Vec<u8>) -> Shown {
    Shown { field, name: "", value: Some(value) }
}

/// The openings of a read of laboratory results for treatment.
fn opened(action: ActionKind, outcome: Option<OutcomeKind>, agent: Agent) -> Vec<Shown> {
    let outcome = match outcome {
        Some(kind) => Stated::Value(Outcome { kind: Some(kind), ..Outcome::default() }),
        None => Stated::Unknown(Reason::NotStated),
    };
    let when = When { recorded: Moment::new("2026-03-12T11:14:30+01:00"), ..When::default() };
    let purpose = Purpose { concept: Some(treatment()), agent: None };
    vec![
        shown(1, Stated::Value(Action { kind: Some(action), ..Action::default() }).to_bytes()),
        shown(2, outcome.to_bytes()),
        shown(3, Stated::Value(when).to_bytes()),
        shown(4, Stated::Value(Purposes::new(vec![purpose]).unwrap()).to_bytes()),
        shown(6, Stated::Value(Concepts::new(vec![laboratory()]).unwrap()).to_bytes()),
        shown(8, Stated::Value(Agents::new(vec![agent]).unwrap()).to_bytes()),
    ]
}

fn physician(name: Option<&str>) -> Agent {
    Agent {
        kind: Some(AgentKind::Person),
        requestor: Some(true),
        roles: List::new(vec![words("physician")]).unwrap(),
        name: name.and_then(Prose::new),
        ..Agent::default()
    }
}

fn rule_body(agreed: &str) -> Vec<Shown> {
    let root = Provision {
        effect: Some(Effect::Permit),
        purposes: List::new(vec![treatment().codings.first().unwrap().clone()]).unwrap(),
        ..Provision::default()
    };
    let rule = Rule { root: Some(root), agreed: Moment::new(agreed), ..Rule::default() };
    vec![shown(1, InnerKind::Grant.to_bytes()), shown(2, RuleBody::Rule(rule).to_bytes())]
}

/// A view in which `RULE` is the second rule, of 3 January.
fn two_rules() -> Rules {
    let mut rules = Rules::default();
    let record = record_of(Kind::RulePut, &[]);
    let lists = put(Random16([1; 16]), &[], FAR, Collected::Custodian);
    rules.count(&record, &lists, &[]);
    rules.count(&record, &put(Random16([2; 16]), &[], FAR, Collected::Paper), &[]);
    rules.count(&record, &put(RULE, &[], FAR, Collected::Paper), &rule_body("2026-01-03"));
    rules
}

#[test]
fn every_way_of_saying_an_entry_is_as_committed() {
    let rules = two_rules();
    let none = Rules::default();
    let own = || event("hospital-1.example", Basis::Consent, Some(RULE), Late::None);
    let by = |basis, cited| event("hospital-1.example", basis, cited, Late::None);
    let served = || opened(ActionKind::Read, Some(OutcomeKind::Served), physician(None));
    let sealed: Vec<Shown> = (1..=16).map(|field| Shown { field, name: "", value: None }).collect();
    let group = Group {
        count: Some(12),
        start: Moment::new("2026-03-12T10:00:00Z"),
        end: Moment::new("2026-03-12T10:15:00Z"),
    };
    let mut cases: Vec<(&str, Item, Vec<Shown>, &Rules)> = vec![
        ("the example of the brief", own(), served(), &rules),
        ("a rule whose number is not known", own(), served(), &none),
        ("nothing opened", own(), sealed, &rules),
        (
            "another organisation, with a name",
            event("lab.example", Basis::Consent, Some(RULE), Late::None),
            opened(ActionKind::Query, Some(OutcomeKind::Served), physician(Some("Dr. Adams"))),
            &rules,
        ),
        ("in an emergency", by(Basis::Emergency, Some(Random16([7; 16]))), served(), &rules),
        ("an emergency without a declaration", by(Basis::Emergency, None), served(), &rules),
        ("under a permit", by(Basis::Permit, Some(Random16([8; 16]))), served(), &rules),
        ("by law", by(Basis::Law, None), served(), &rules),
        ("the subject", by(Basis::Subject, None), served(), &rules),
        ("no ground", by(Basis::Unknown, None), served(), &rules),
        ("consent without a rule", by(Basis::Consent, None), served(), &rules),
        ("spooled", event("hospital-1.example", Basis::Law, None, Late::Spooled), served(), &rules),
        ("garbage in openings", own(), vec![shown(1, vec![0xff]), shown(8, Vec::new())], &rules),
        (
            "a name that would turn the line",
            own(),
            opened(
                ActionKind::Read,
                Some(OutcomeKind::Served),
                physician(Some("Dr.\u{202e}smadA\u{1b}[2J\n")),
            ),
            &rules,
        ),
        (
            "a rule",
            put(RULE, &[Random16([2; 16])], TimeMs(1_798_761_600_000), Collected::Paper),
            rule_body("2026-01-03"),
            &rules,
        ),
        ("a sealed rule", put(RULE, &[], FAR, Collected::Paper), Vec::new(), &rules),
    ];
    for kind in ActionKind::ALL {
        cases.push((kind.word(), own(), opened(*kind, Some(OutcomeKind::Served), physician(None)), &rules));
        cases.push((kind.word(), own(), opened(*kind, Some(OutcomeKind::Denied), physician(None)), &rules));
    }
    for outcome in [Some(OutcomeKind::Overridden), Some(OutcomeKind::Failed), None] {
        let name = outcome.map_or("outcome not stated", OutcomeKind::word);
        cases.push((name, own(), opened(ActionKind::Read, outcome, physician(None)), &rules));
    }
    let mut grouped = served();
    grouped.push(shown(15, Stated::Value(group).to_bytes()));
    cases.push(("a group", own(), grouped, &rules));
    for speaker in speakers() {
        let mut text = String::new();
        for (name, item, shown, rules) in &cases {
            for listener in [Listener::Subject, Listener::Other] {
                text.push_str(&format!("{name}\n    {}\n", tell(item, shown, rules, listener, &speaker)));
            }
        }
        text.push_str(&others(&speaker));
        golden(&format!("cases.{}.txt", speaker.language()), &text);
    }
}

/// Entries without an item, openings of trails, and findings.
fn others(speaker: &Speaker) -> String {
    let (names, rules) = (names(), Rules::default());
    let manner = Manner { speaker, names: &names, rules: &rules, listener: Listener::Subject };
    let entry = |record, content| event::entry(&ProvenEntry { position: 0, record, content }, &[], manner);
    let due = DueEntry {
        cause: ItemHash::from(Digest([5; 32])),
        rule: 1,
        deadline: RECORDED,
        trails: Set::default(),
    };
    let due = Record { entry: record::Entry::Due(due), ..record_of(Kind::AccessEvent, &[]) };
    let open = |grantee: Option<&str>| Item {
        item_id: ItemId([1; 16]),
        fields: Fields::TrailOpen(Open {
            local_id: Digest([3; 32]),
            grantee: grantee.map(|id| id.parse().unwrap()),
            epoch: 2026,
            reader: Digest([8; 32]),
            seal: seal(),
        }),
    };
    let mut lines = vec![
        entry(record_of(Kind::AccessEvent, &[]), Content::Withheld(ItemHash::from(Digest([0xcd; 32])))),
        entry(record_of(Kind::AccessEvent, &[]), Content::Pruned),
        entry(due, Content::Pruned),
        tell(&open(None), &[], &rules, Listener::Subject, speaker),
        tell(&open(Some("lab.example")), &[], &rules, Listener::Subject, speaker),
    ];
    let mut found =
        |codes: &[Code], finding| lines.push(event::finding(&verdict(&[], codes, finding), speaker));
    found(&[], Finding::Consistent);
    found(&[Code::Gap], Finding::Consistent);
    found(&[Code::RuleEnded, Code::Gap], Finding::Contradicted);
    found(&[], Finding::NotEvaluated);
    found(&[Code::Imported], Finding::NotEvaluated);
    lines.join("\n") + "\n"
}

#[test]
fn no_sentence_says_that_somebody_did_something() {
    let rules = two_rules();
    let said: BTreeMap<&str, &str> = BTreeMap::from([("en", "states that"), ("de", "gibt an, dass")]);
    for speaker in speakers() {
        for kind in ActionKind::ALL {
            for outcome in OutcomeKind::ALL {
                let item = event("lab.example", Basis::Law, None, Late::None);
                let shown = opened(*kind, Some(*outcome), physician(Some("Dr. Adams")));
                let sentence = tell(&item, &shown, &rules, Listener::Other, &speaker);
                assert!(sentence.contains(said[speaker.language()]), "{sentence}");
            }
        }
    }
}

#[test]
fn a_value_that_cannot_be_read_is_said_to_be_so() {
    for speaker in speakers() {
        let said = value::field(Kind::AccessEvent, 1, &[0xff], &speaker, &names());
        assert_eq!(said, speaker.message("value-unreadable", &[]).unwrap());
    }
}
