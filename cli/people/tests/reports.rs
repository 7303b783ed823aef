//! The statutory accountings and the worklist over trails made by hand: what is listed, what is left out and
//! counted, and that nothing a foreign document says can do anything in a spreadsheet or a page.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use custos_people::accounting::{self, Material, Trail};
use custos_people::catalogue::{Catalogue, Speaker};
use custos_people::names::{Name, Names};
use custos_people::report::{Cell, Report};
use custos_people::{csv, html, worklist};
use custos_proof::anchor::Trust;
use custos_proof::cbor::{List, Set, Wire};
use custos_proof::disclosure::Shown;
use custos_proof::hash::{Digest, ItemHash};
use custos_proof::header::Header;
use custos_proof::ids::{FAR, Height, ItemId, LogIndex, LogSize, ParticipantId, Random16, Round, TimeMs};
use custos_proof::item::Item;
use custos_proof::keys::{KeyPurpose, PublicKey, SignError, Signature, Signer};
use custos_proof::kinds::Fields;
use custos_proof::kinds::access::{Basis, Event, Late, Retention};
use custos_proof::kinds::disclosure::Export;
use custos_proof::kinds::emergency::{Declare, Review};
use custos_proof::record::{self, Check, Code, DueEntry, DueRule, Finding, ItemEntry, Record, verdict};
use custos_proof::registry::KeyEntry;
use custos_proof::seal::Seal;
use custos_proof::sealed_values::{
    Action, ActionKind, Agent, AgentKind, Agents, Coding, Concept, Concepts, Moment, Outcome, OutcomeKind,
    Parties, Party, Prose, Purpose, Purposes, Reason, Relationship, RelationshipKind, Source, Stated, Token,
    When,
};
use custos_proof::submission::{Author, Draft, Envelope, Submission};
use custos_proof::trail::TrailName;
use custos_proof::verify::{Content, ProvenEntry, ProvenHeader, ProvenItem, ProvenTrail};

/// 2026-03-12T10:00:00Z.
const HEAD: TimeMs = TimeMs(1_773_309_600_000);
const HOSPITAL: &str = "hospital-1.example";
const COURT: &str = "court.example";

fn id(text: &str) -> ParticipantId {
    text.parse().unwrap()
}

fn english() -> Speaker {
    Catalogue::default().speaker("en").unwrap()
}

/// An access, as its author states it; every part can be changed.
struct Stating {
    acting: &'static str,
    basis: Basis,
    late: Late,
    when: &'static str,
    action: ActionKind,
    outcome: Option<OutcomeKind>,
    purposes: Vec<&'static str>,
    category: &'static str,
    person: &'static str,
    relationship: Option<RelationshipKind>,
    missing: bool,
    codes: Vec<Code>,
    finding: Finding,
    sealed: bool,
}

impl Default for Stating {
    fn default() -> Self {
        Self {
            acting: COURT,
            basis: Basis::Law,
            late: Late::None,
            when: "2026-02-01T08:00:00Z",
            action: ActionKind::Read,
            outcome: Some(OutcomeKind::Served),
            purposes: vec!["HLEGAL"],
            category: "laboratory results",
            person: "Judge Roe",
            relationship: Some(RelationshipKind::Encounter),
            missing: false,
            codes: Vec::new(),
            finding: Finding::Consistent,
            sealed: false,
        }
    }
}

fn words(text: &str) -> Concept {
    Concept { codings: List::default(), text: Prose::new(text) }
}

fn stated<T: Wire>(value: Option<T>) -> Option<Vec<u8>> {
    Some(value.map_or(Stated::Unknown(Reason::NotStated), Stated::Value).to_bytes())
}

impl Stating {
    fn shown(&self) -> Vec<Shown> {
        let purpose = |code: &&str| {
            let system = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
            let coding =
                Coding { system: Token::new(system), code: Token::new(code).unwrap(), display: None };
            Purpose {
                concept: Some(Concept { codings: List::new(vec![coding]).unwrap(), text: None }),
                agent: None,
            }
        };
        let agent = Agent {
            kind: Some(AgentKind::Person),
            requestor: Some(true),
            name: Prose::new(self.person),
            roles: List::new(vec![words("physician")]).unwrap(),
            ..Agent::default()
        };
        let source = Source {
            missing: List::new(if self.missing { vec![Token::new("entity.what").unwrap()] } else { vec![] })
                .unwrap(),
            ..Source::default()
        };
        let origin = Party { display: Prose::new("Ward 3"), ..Party::default() };
        let values = [
            (1, stated(Some(Action { kind: Some(self.action), ..Action::default() }))),
            (2, stated(self.outcome.map(|kind| Outcome { kind: Some(kind), ..Outcome::default() }))),
            (3, stated(Some(When { recorded: Moment::new(self.when), ..When::default() }))),
            (4, stated(Purposes::new(self.purposes.iter().map(purpose).collect()))),
            (6, stated(Concepts::new(vec![words(self.category)]))),
            (7, stated(Parties::new(vec![origin]))),
            (8, stated(Agents::new(vec![agent]))),
            (
                9,
                stated(
                    self.relationship
                        .map(|kind| Relationship { kind: Some(kind), ..Relationship::default() }),
                ),
            ),
            (16, stated(Some(source))),
        ];
        values
            .into_iter()
            .map(|(field, value)| Shown { field, name: "", value: value.filter(|_| !self.sealed) })
            .collect()
    }

    fn item(&self) -> Item {
        let fields = Event {
            event: Random16([2; 16]),
            custodian: id(HOSPITAL),
            local_id: Some(Digest([3; 32])),
            acting: id(self.acting),
            basis: self.basis,
            cited: None,
            at_height: Height(7),
            late: self.late,
            retention: Retention::Standard,
            stream: 0,
            sequence: 0,
            seal: Seal { root: Digest([4; 32]), ciphertext: None },
        };
        Item { item_id: ItemId([1; 16]), fields: Fields::AccessEvent(fields) }
    }
}

/// What the author signed. Nothing here verifies it.
fn envelope(item: &Item) -> Arc<Envelope> {
    struct Unsigned;
    impl Signer for Unsigned {
        fn public_key(&self) -> PublicKey {
            PublicKey([7; 32])
        }
        fn sign(&self, _: &[u8]) -> Result<Signature, SignError> {
            Ok(Signature([0; 64]))
        }
    }
    let draft = Draft {
        chain: &Digest([0; 32]).into(),
        author: Author::Participant(id(HOSPITAL)),
        class: item.kind().class(),
        nonce: Random16([1; 16]),
        not_after: HEAD,
    };
    let submission = Submission::sign(&draft, vec![item.to_bytes()], &Unsigned).unwrap();
    Arc::new(submission.envelope().clone())
}

fn record_at(number: usize, entry: record::Entry) -> Record {
    let number = number as u64;
    Record { index: LogIndex(number + 1), height: Height(1), time: TimeMs(HEAD.0 - 1_000 + number), entry }
}

fn hash_of(number: usize) -> ItemHash {
    ItemHash::from(Digest([u8::try_from(number + 1).unwrap(); 32]))
}

fn entry_of(number: usize, stating: &Stating) -> ProvenEntry {
    let entry = ItemEntry {
        submission: Digest([2; 32]).into(),
        author: Author::Participant(id(HOSPITAL)),
        position: 0,
        item: hash_of(number),
        verdict: verdict(&[Check::Author], &stating.codes, stating.finding),
        trails: Set::default(),
    };
    let record = record_at(number, record::Entry::Item(entry.clone()));
    let item = ProvenItem {
        hash: hash_of(number),
        item: stating.item(),
        record: record.clone(),
        entry,
        key: KeyEntry {
            owner: Author::Participant(id(HOSPITAL)),
            key: PublicKey([7; 32]),
            purpose: KeyPurpose::Sign,
            valid_from: LogIndex(0),
            revoked: None,
            not_after: FAR,
            compromised_from: None,
        },
        not_after: FAR,
        envelope: envelope(&stating.item()),
    };
    ProvenEntry { position: number as u64, record, content: Content::Item(item.into()) }
}

/// A complete trail of these accesses, one entry that is withheld and one fact of the chain.
fn trail(name: TrailName, stating: &[Stating]) -> (ProvenTrail, Vec<Vec<Shown>>) {
    let mut entries: Vec<ProvenEntry> = (0..).zip(stating).map(|(n, one)| entry_of(n, one)).collect();
    let mut shown: Vec<Vec<Shown>> = stating.iter().map(Stating::shown).collect();
    let mut held = entry_of(entries.len(), &Stating::default());
    held.content = Content::Withheld(ItemHash::from(Digest([0xcd; 32])));
    entries.push(held);
    let due = DueEntry { cause: hash_of(0), rule: 1, deadline: HEAD, trails: Set::default() };
    let record = record_at(entries.len(), record::Entry::Due(due));
    entries.push(ProvenEntry { position: entries.len() as u64, record, content: Content::Pruned });
    shown.extend([Vec::new(), Vec::new()]);
    let zero = Digest([0; 32]);
    let header = Header {
        version: 1,
        chain: zero.into(),
        height: Height(2),
        round: Round(0),
        time: HEAD,
        parent: zero.into(),
        body_root: zero,
        log_size: LogSize(100),
        log_root: zero,
        state_root: zero,
        validators_hash: zero,
        next_validators_hash: zero,
        proposer: id(HOSPITAL),
    };
    let header = ProvenHeader { header, signers: vec![0], trust: Trust::TrustPeriod };
    let size = entries.len() as u64;
    (ProvenTrail { header, key: name.key(), name, size, entries, begin: 0 }, shown)
}

fn own(stating: &[Stating]) -> (ProvenTrail, Vec<Vec<Shown>>) {
    trail(TrailName::subject(&id(HOSPITAL), Digest([3; 32])), stating)
}

fn make(law: fn(&Material<'_>) -> Report, stating: &[Stating], names: &Names, speaker: &Speaker) -> Report {
    let (proven, shown) = own(stating);
    let trails = [Trail { proven: &proven, shown: &shown, grantee: None }];
    law(&Material { trails: &trails, names, speaker, anchor: 0, from: None })
}

fn column(report: &Report, key: &str) -> Vec<String> {
    let at = report.columns.iter().position(|column| column.key == key).unwrap();
    report.rows.iter().map(|row| row[at].plain()).collect()
}

fn left_out(report: &Report) -> BTreeMap<&str, u64> {
    report.left_out.iter().map(|out| (out.key, out.count)).collect()
}

fn purposes(purposes: &[&'static str]) -> Stating {
    Stating { purposes: purposes.to_vec(), ..Stating::default() }
}

#[test]
fn hipaa_lists_disclosures_and_counts_what_it_exempts() {
    let stating = [
        purposes(&["TREAT"]),
        purposes(&["HPAYMT"]),
        purposes(&["HOPERAT", "TREAT"]),
        purposes(&["TREAT", "HRESCH"]),
        purposes(&["CLINTRL"]),
        purposes(&["FRAUD"]),
        purposes(&[]),
        Stating { basis: Basis::Subject, ..Stating::default() },
        Stating { acting: HOSPITAL, ..Stating::default() },
        Stating {
            acting: HOSPITAL,
            action: ActionKind::Export,
            purposes: vec!["PUBHLTH"],
            ..Stating::default()
        },
        Stating { outcome: Some(OutcomeKind::Denied), ..Stating::default() },
        Stating { when: "2020-03-12T09:59:59Z", ..Stating::default() },
        Stating { when: "2019-06-01", ..Stating::default() },
        Stating { when: "2020-03-12T10:00:00Z", purposes: vec!["HMARKT"], ..Stating::default() },
        Stating { sealed: true, ..Stating::default() },
    ];
    let report = make(accounting::hipaa::report, &stating, &Names::default(), &english());
    let counted = BTreeMap::from([
        ("treatment", 1),
        ("payment", 1),
        ("operations", 1),
        ("individual", 1),
        ("use", 1),
        ("refused", 1),
        // The period begins with the day, six years back.
        ("before-period", 1),
    ]);
    assert_eq!(left_out(&report), counted);
    let listed = column(&report, "purpose");
    assert_eq!(listed.len(), 8, "{listed:?}");
    for purpose in [
        "treatment in a clinical trial",
        "fraud",
        "marketing",
        "public health",
        "not stated",
        "sealed, not shown",
    ] {
        assert!(listed.iter().any(|is| is == purpose), "{purpose}: {listed:?}");
    }
    assert!(listed.iter().any(|is| is.contains("health research") && is.contains("treatment")));
    assert!(
        report.limits.iter().any(|limit| limit.contains("1 entry that is sealed")),
        "{:?}",
        report.limits
    );
}

#[test]
fn hipaa_tells_repeated_disclosures_for_one_purpose_together() {
    let at = |when| Stating { when, ..Stating::default() };
    let stating = [
        at("2026-02-03T08:00:00Z"),
        at("2026-02-01T08:00:00Z"),
        at("2026-02-02T08:00:00Z"),
        Stating { purposes: vec!["HLEGAL", "PUBHLTH"], ..Stating::default() },
        Stating { purposes: vec!["HLEGAL", "PUBHLTH"], ..Stating::default() },
        Stating { category: "images", ..Stating::default() },
        Stating { codes: vec![Code::RuleEnded], finding: Finding::Contradicted, ..Stating::default() },
    ];
    let report = make(accounting::hipaa::report, &stating, &Names::default(), &english());
    let rows: Vec<(String, String, String)> = column(&report, "date")
        .into_iter()
        .zip(column(&report, "number"))
        .zip(column(&report, "last"))
        .map(|((first, number), last)| (first, number, last))
        .collect();
    let together = ("2026-02-01T08:00:00Z".into(), "3".into(), "2026-02-03T08:00:00Z".into());
    assert!(rows.contains(&together), "{rows:?}");
    // Two purposes, other data and a contradiction are not "a single purpose" of the same disclosure.
    assert_eq!(rows.len(), 5, "{rows:?}");
}

#[test]
fn ehds_lists_every_access_of_three_years_with_origin() {
    let stating = [
        Stating { acting: HOSPITAL, purposes: vec!["TREAT"], ..Stating::default() },
        Stating { acting: HOSPITAL, basis: Basis::Emergency, ..Stating::default() },
        Stating { outcome: Some(OutcomeKind::Overridden), ..Stating::default() },
        Stating { outcome: Some(OutcomeKind::Failed), ..Stating::default() },
        Stating { when: "2023-03-11T23:00:00Z", ..Stating::default() },
        Stating { when: "2023-03-12T10:00:00Z", ..Stating::default() },
    ];
    let report = make(accounting::ehds::report, &stating, &Names::default(), &english());
    assert_eq!(left_out(&report), BTreeMap::from([("refused", 1), ("before-period", 1)]));
    assert_eq!(report.rows.len(), 4);
    assert!(column(&report, "origin").iter().all(|origin| origin == "Ward 3"));
    assert!(column(&report, "persons").iter().all(|person| person == "Judge Roe (physician)"));
    let emergencies =
        column(&report, "ground").iter().filter(|ground| ground.starts_with("emergency (")).count();
    assert_eq!(emergencies, 2);
    let times = column(&report, "time");
    assert!(times.is_sorted(), "{times:?}");
}

#[test]
fn what_is_withheld_is_named_and_sources_and_limits_are_said() {
    for law in [accounting::hipaa::report as fn(&Material<'_>) -> Report, accounting::ehds::report] {
        let report = make(law, &[Stating::default()], &Names::default(), &english());
        assert_eq!(report.withheld.len(), 2);
        assert!(
            report.withheld[0].contains("is withheld, on the order of item cdcdcdcd"),
            "{:?}",
            report.withheld
        );
        let (proven, _) = own(&[Stating::default()]);
        let source = report.sources.join("\n");
        assert!(source.contains(&proven.key.to_string()) && source.contains("block 2"), "{source}");
        assert!(source.contains("all 3 entries"), "{source}");
        assert!(report.limits.iter().any(|limit| limit.contains("never recorded")));
        // Page and table carry all of it.
        let speaker = english();
        let (page, table) = (html::page(&report, &speaker), csv::csv(&report, &speaker));
        for text in ["is withheld", "Completeness is proven of the trails", &proven.key.to_string()] {
            assert!(page.contains(text) && table.contains(text), "{text}");
        }
    }
}

/// Names as an attacker would choose them.
const HOSTILE: [&str; 6] = [
    "=HYPERLINK(\"http://evil.example\",\"click\")",
    "+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd",
    "-2+3\r\n=1+1",
    "<script>alert('x')</script><img src=//evil.example onerror=alert(1)>",
    "\u{202e}\u{1b}[2J\"quoted\", and a comma",
];

#[test]
fn hostile_names_do_nothing_in_a_spreadsheet_or_a_page() {
    for hostile in HOSTILE {
        let mut names = Names::default();
        let name =
            Name { name: Some(hostile.into()), by_language: Vec::new(), jurisdiction: Some(hostile.into()) };
        names.add(id(COURT), name.clone());
        names.add(id(HOSPITAL), name);
        let stating = || [Stating { person: hostile, category: hostile, ..Stating::default() }];
        for speaker in ["en", "de"].map(|language| Catalogue::default().speaker(language).unwrap()) {
            let mut reports = Vec::new();
            for law in [accounting::hipaa::report as fn(&Material<'_>) -> Report, accounting::ehds::report] {
                reports.push(make(law, &stating(), &names, &speaker));
            }
            reports.push(work(&stating(), &names, &speaker));
            for report in reports {
                check_table(&csv::csv(&report, &speaker), &report);
                check_page(&html::page(&report, &speaker));
            }
        }
    }
}

/// The table is read back by a reader that is not ours: rectangular, complete, and without a formula.
fn check_table(table: &str, report: &Report) {
    let mut reader = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .terminator(::csv::Terminator::CRLF)
        .from_reader(table.as_bytes());
    let lines: Vec<::csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let entries = lines.iter().filter(|line| &line[0] == "entry" || &line[0] == "Eintrag").count();
    assert_eq!(entries, report.rows.len());
    for line in &lines {
        assert_eq!(line.len(), report.columns.len() + 2, "{line:?}");
        for cell in line {
            let first = cell.trim_start().chars().next();
            assert!(!first.is_some_and(|c| "=+-@|%".contains(c)), "{cell:?}");
            assert!(!cell.chars().any(char::is_control), "{cell:?}");
        }
    }
}

/// Nothing but the page's own elements, no attribute beside theirs, nothing loaded.
fn check_page(page: &str) {
    let allowed = [
        "!DOCTYPE html",
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "h1",
        "h2",
        "p",
        "strong",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "ul",
        "li",
    ];
    for tag in page.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap().trim_start_matches('/');
        assert!(allowed.iter().any(|one| tag == *one || tag.starts_with(&format!("{one} "))), "<{tag}>");
        for attack in ["onerror", "src=", "href", "javascript:"] {
            assert!(!tag.contains(attack), "<{tag}>");
        }
    }
    assert!(page.contains("default-src 'none'"));
    assert!(!page.contains('\u{202e}') && !page.contains('\u{1b}'));
}

fn work(stating: &[Stating], names: &Names, speaker: &Speaker) -> Report {
    let (proven, shown) = trail(TrailName::institution(&id(HOSPITAL)), stating);
    let patients = BTreeMap::from([(hash_of(0), names.of(&id(HOSPITAL), speaker))]);
    let keys = worklist::ending_keys([("ab".repeat(32), Some(KeyPurpose::Sign), HEAD.plus(1), None)], HEAD);
    worklist::report(&worklist::Material {
        trail: &proven,
        shown: &shown,
        patients: &patients,
        keys: &keys,
        names,
        speaker,
        anchor: 0,
        from: TimeMs(0),
    })
}

#[test]
fn the_worklist_names_every_reason_and_nothing_else() {
    let treating = || Stating { acting: HOSPITAL, purposes: vec!["TREAT"], ..Stating::default() };
    let coded = |codes: Vec<Code>, finding| Stating { codes, finding, ..treating() };
    let cases: Vec<(Stating, &[&str])> = vec![
        (treating(), &[]),
        (coded(vec![Code::RuleEnded], Finding::Contradicted), &["contradicted"]),
        (coded(vec![Code::Late], Finding::NotEvaluated), &["late"]),
        (coded(vec![Code::Gap], Finding::Consistent), &["gap"]),
        (coded(vec![Code::OutOfOrder], Finding::Consistent), &["out-of-order"]),
        (coded(vec![Code::NothingCited], Finding::Contradicted), &["contradicted", "no-ground"]),
        (Stating { basis: Basis::Unknown, ..treating() }, &["no-ground"]),
        (Stating { basis: Basis::Emergency, ..treating() }, &["emergency"]),
        (Stating { outcome: Some(OutcomeKind::Overridden), ..treating() }, &["emergency"]),
        (Stating { action: ActionKind::StartBreakGlass, ..treating() }, &["emergency"]),
        (Stating { relationship: Some(RelationshipKind::None), ..treating() }, &["unrelated"]),
        (Stating { relationship: None, ..treating() }, &["unrelated"]),
        (Stating { relationship: None, purposes: vec!["HOPERAT"], ..treating() }, &[]),
        (Stating { relationship: None, outcome: Some(OutcomeKind::Denied), ..treating() }, &[]),
        (Stating { relationship: None, basis: Basis::Subject, ..treating() }, &[]),
        (
            Stating { relationship: None, late: Late::ImportedHistory, basis: Basis::Unknown, ..treating() },
            &[],
        ),
        (Stating { missing: true, ..treating() }, &["incomplete"]),
        (Stating { sealed: true, ..treating() }, &[]),
    ];
    for (stating, wanted) in cases {
        let report = work(&[stating], &Names::default(), &english());
        let why = column(&report, "why");
        // The trail's own fact and the key stand on every list.
        let found: Vec<&str> =
            why.iter().map(String::as_str).filter(|why| !["overdue", "key-ending"].contains(why)).collect();
        assert_eq!(found, wanted);
        assert_eq!(why.len(), wanted.len() + 2);
        assert_eq!(report.withheld.len(), 1);
    }
    let imported = [Stating { late: Late::ImportedHistory, ..treating() }];
    assert_eq!(left_out(&work(&imported, &Names::default(), &english())), BTreeMap::from([("imported", 1)]));
    let report = work(&[coded(vec![Code::RuleEnded], Finding::Contradicted)], &Names::default(), &english());
    assert_eq!(report.rows[0][2], Cell::Text(HOSPITAL.into()), "the vault's name for the patient");
}

/// A statement of another kind, by the hospital.
fn saying(number: usize, fields: Fields, codes: Vec<Code>) -> ProvenEntry {
    let mut entry = entry_of(number, &Stating { codes, ..Stating::default() });
    if let Content::Item(item) = &mut entry.content {
        item.item.fields = fields;
    }
    entry
}

fn due(number: usize, cause: usize, rule: DueRule) -> ProvenEntry {
    let rule = u32::try_from(rule.number()).unwrap();
    let due = DueEntry { cause: hash_of(cause), rule, deadline: HEAD, trails: Set::default() };
    let record = record_at(number, record::Entry::Due(due));
    ProvenEntry { position: number as u64, record, content: Content::Pruned }
}

#[test]
fn what_is_still_missing_stands_on_the_list_and_what_came_late_stands_there_as_late() {
    let seal = || Seal { root: Digest([4; 32]), ciphertext: None };
    let (declaration, transfer, other) = (Random16([8; 16]), Random16([9; 16]), Random16([10; 16]));
    let declare = Fields::EmergencyDeclare(Declare {
        declaration,
        custodian: id(HOSPITAL),
        acting: id(HOSPITAL),
        seal: seal(),
    });
    let review = Fields::EmergencyReview(Review {
        review: Random16([11; 16]),
        declarer: id(HOSPITAL),
        declaration,
        seal: seal(),
    });
    let export = |transfer, recipient| {
        Fields::DisclosureExport(Export {
            event: Random16([12; 16]),
            transfer,
            recipient,
            agreement: None,
            recognition: None,
            from_country: Default::default(),
            to_country: Default::default(),
            seal: seal(),
        })
    };
    let listed = |entries: Vec<ProvenEntry>| {
        let (mut proven, _) = trail(TrailName::institution(&id(HOSPITAL)), &[]);
        let shown: Vec<Vec<Shown>> = entries.iter().map(|_| Vec::new()).collect();
        proven.size = entries.len() as u64;
        proven.entries = entries;
        let (names, patients) = (Names::default(), BTreeMap::from([(hash_of(0), "Patient/17".to_owned())]));
        let report = worklist::report(&worklist::Material {
            trail: &proven,
            shown: &shown,
            patients: &patients,
            keys: &[],
            names: &names,
            speaker: &english(),
            anchor: 0,
            from: TimeMs(0),
        });
        let item = column(&report, "item");
        column(&report, "why").into_iter().zip(item).collect::<Vec<_>>()
    };
    let about = |why: &str, number: usize| (why.to_owned(), hash_of(number).to_string());
    let open = vec![
        saying(0, declare.clone(), vec![]),
        saying(1, export(transfer, Some(id(COURT))), vec![]),
        saying(2, export(other, None), vec![]),
    ];
    let (unreviewed, unmatched) = (about("unreviewed", 0), about("unmatched", 1));
    assert_eq!(
        listed(open.clone()),
        [unreviewed.clone(), unmatched.clone()],
        "whoever is outside owes no half"
    );

    let mut passed = open.clone();
    passed.extend([due(3, 0, DueRule::ReviewMissing), due(4, 1, DueRule::ImportMissing)]);
    let facts = [about("overdue", 0), about("overdue", 1)];
    assert_eq!(
        listed(passed.clone()),
        [vec![unreviewed.clone(), unmatched.clone()], facts.to_vec()].concat()
    );

    // A review that is contradicted answers nothing.
    let mut wrong = saying(5, review.clone(), vec![]);
    if let Content::Item(item) = &mut wrong.content {
        item.entry.verdict = verdict(&[Check::Author], &[Code::AuthorNotParty], Finding::Contradicted);
    }
    let contradicted = listed([passed.clone(), vec![wrong]].concat());
    assert_eq!(contradicted[..2], [about("contradicted", 5), unreviewed]);

    let late = saying(5, review, vec![Code::Overdue]);
    let done = listed([passed, vec![late]].concat());
    assert_eq!(done, [unmatched, about("overdue", 1), about("late", 5)]);
}
