//! The naive ledger can fail: with one thing planted at a time, it names it.

#![allow(clippy::unwrap_used, clippy::result_large_err)]

#[path = "../../../ledger/state/tests/common/mod.rs"]
mod common;

use common::*;
use custos_proof::cbor::{Set, Wire};
use custos_proof::hash::{Digest, StateKey, TrailKey};
use custos_proof::header::{Block, Header};
use custos_proof::ids::{Height, TimeMs};
use custos_proof::kinds::access::{Basis, Event};
use custos_proof::kinds::rule::Put;
use custos_proof::kinds::{Class, Fields, emergency};
use custos_proof::record::{DueEntry, Entry, Finding as Found, ItemEntry, Listing, Record};
use custos_proof::registry;
use custos_proof::submission::Submission;
use custos_proof::trail::TrailName;
use custos_sim::oracle::{Naive, Shown, What};

const A: &str = "hospital-a";
const B: &str = "hospital-b";

/// The chains of this file are judged where a test asks for it.
mod second {
    use custos_proof::{genesis::Genesis, header::Block};
    use custos_state::{changes::Changes, error::Refusal};

    pub(crate) fn decided(_: &Genesis, _: &Block, _: &Changes) {}
    pub(crate) fn refused(_: &Genesis, _: &Block, _: &Refusal) {}
}

/// A block as a node shows it, and the ledger before it.
struct Told {
    before: Naive,
    block: Block,
    records: Vec<Vec<u8>>,
    entries: Vec<(StateKey, Option<Vec<u8>>)>,
}

impl Told {
    fn verdict(&self) -> Result<(), What> {
        let shown = Shown { records: &self.records, entries: &self.entries };
        self.before.clone().block_shown(&self.block, &shown).map_err(|finding| finding.what)
    }

    fn found(&self) -> What {
        self.verdict().expect_err("nothing is found")
    }

    /// The number of the first record that `is_it`.
    fn place(&self, is_it: impl Fn(&Record) -> bool) -> usize {
        self.records.iter().position(|bytes| is_it(&Record::from_bytes(bytes).unwrap())).unwrap()
    }

    /// Changes a record.
    fn spoil(&mut self, place: usize, change: impl FnOnce(&mut Record)) {
        let mut record = Record::from_bytes(&self.records[place]).unwrap();
        change(&mut record);
        self.records[place] = record.to_bytes();
    }
}

/// A history with a fact in its last block: an emergency that nobody reviewed; an access, a rule that ends another,
/// and a second emergency.
fn told() -> Told {
    let mut chain = Chain::new();
    let (own, for_b) = (chain.open(A, "p", None), chain.open(A, "p", Some(B)));
    let b_id = local_id_of(&for_b);
    chain.act(A, vec![own]);
    chain.act(A, vec![for_b]);
    let put = chain.rule(A, b_id);
    chain.act(A, vec![Fields::RulePut(put.clone())]);
    let declaration = chain.random16();
    let declared = emergency::Declare { declaration, custodian: id(A), acting: id(B), seal: NO_SEAL };
    chain.states(A, Fields::EmergencyDeclare(declared.clone()));
    chain.pace_ms = 8 * 24 * 3_600_000;
    let event = chain.event(A, Some(b_id), B);
    let event = Event { basis: Basis::Consent, cited: Some(put.rule), ..event };
    let read = chain.testimony(A, vec![event]);
    let ending = chain.rule(A, b_id);
    let ending = Put { ends: Set::new(vec![put.rule]).unwrap(), ..ending };
    let ends = chain.acts(A, vec![Fields::RulePut(ending)]);
    let declaration = chain.random16();
    let again = Fields::EmergencyDeclare(emergency::Declare { declaration, ..declared });
    let again = chain.say(A, Class::Testimony, vec![again]);
    chain.block(vec![read, ends, again]);

    let mut before = Naive::new(&chain.genesis.to_bytes()).unwrap();
    let (last, others) = chain.blocks.split_last().unwrap();
    for decided in others {
        before.block(&decided.block).unwrap();
    }
    Told {
        before,
        block: last.block.clone(),
        records: last.changes.records.iter().map(|new| new.bytes.clone()).collect(),
        entries: last.changes.entries.clone(),
    }
}

fn is_event(record: &Record) -> bool {
    record.as_item().is_some_and(|entry| entry.verdict.checks.len() > 2)
}

fn is_due(record: &Record) -> bool {
    matches!(record.entry, Entry::Due(_))
}

fn entry(record: &mut Record) -> &mut ItemEntry {
    match &mut record.entry {
        Entry::Item(entry) => entry,
        other => panic!("{other:?}"),
    }
}

fn due(record: &mut Record) -> &mut DueEntry {
    match &mut record.entry {
        Entry::Due(due) => due,
        other => panic!("{other:?}"),
    }
}

#[test]
fn with_nothing_planted_it_agrees() {
    let told = told();
    assert_eq!(told.verdict(), Ok(()));
    told.before.clone().block(&told.block).unwrap();
}

#[test]
fn a_flipped_verdict_is_named() {
    let mut told = told();
    let place = told.place(is_event);
    told.spoil(place, |record| entry(record).verdict.finding = Found::Contradicted);
    assert!(matches!(told.found(), What::Verdict { .. }), "{}", told.found());
    told.spoil(place, |record| {
        entry(record).verdict.finding = Found::Consistent;
        entry(record).verdict.checks = Set::default();
    });
    assert!(matches!(told.found(), What::Verdict { .. }), "{}", told.found());
}

#[test]
fn an_omitted_trail_is_named_and_one_too_many() {
    let mut told = told();
    let place = told.place(is_event);
    let mut trails = Vec::new();
    told.spoil(place, |record| {
        trails = entry(record).trails.to_vec();
        entry(record).trails = Set::new(trails[1..].to_vec()).unwrap();
    });
    let omitted = trails[0].trail;
    assert!(matches!(told.found(), What::TrailOmitted { trail, .. } if trail == omitted));
    let foreign = TrailKey([7; 32]);
    told.spoil(place, |record| {
        let more = [&trails[..], &[Listing { trail: foreign, position: 0 }]].concat();
        entry(record).trails = Set::new(more).unwrap();
    });
    assert!(matches!(told.found(), What::TrailAdded { trail, .. } if trail == foreign));
    told.spoil(place, |record| {
        let mut moved = trails.clone();
        moved[0].position += 1;
        entry(record).trails = Set::new(moved).unwrap();
    });
    assert!(matches!(told.found(), What::Record { .. }));
}

#[test]
fn a_dropped_fact_is_named_and_one_that_is_not_due() {
    let mut dropped = told();
    let place = dropped.place(is_due);
    dropped.records.remove(place);
    assert!(matches!(dropped.found(), What::DueDropped { rule: 1, .. }));
    let mut late = told();
    late.spoil(place, |record| due(record).deadline.0 += 1);
    assert!(matches!(late.found(), What::DueDropped { rule: 1, .. }));
    let mut invented = told();
    let fact = invented.records[place].clone();
    invented.records.push(fact);
    let last = invented.records.len() - 1;
    invented.spoil(last, |record| due(record).cause.0[0] ^= 1);
    assert!(matches!(invented.found(), What::DueInvented { rule: 1, .. }));
}

#[test]
fn an_item_that_is_recorded_twice_or_not_at_all_is_named() {
    let mut twice = told();
    let place = twice.place(is_event);
    let again = twice.records[place].clone();
    twice.records.push(again);
    let last = twice.records.len() - 1;
    twice.spoil(last, |record| record.index.0 += 10);
    assert!(matches!(twice.found(), What::ItemTwice { .. }));
    let mut missing = told();
    missing.records.remove(place);
    assert!(matches!(missing.found(), What::NotRecorded { position: 0, .. }));
    let mut elsewhere = told();
    elsewhere.spoil(place, |record| entry(record).position = 5);
    assert!(matches!(elsewhere.found(), What::Unfounded(_)));
    elsewhere.records[place] = vec![0];
    assert_eq!(elsewhere.found(), What::Unreadable(place));
}

#[test]
fn a_wrong_block_record_is_named() {
    let mut told = told();
    told.spoil(0, |record| record.time.0 += 1);
    assert!(matches!(told.found(), What::Record { .. }));
}

/// One after the other: every entry that the block changed, with another value, removed, and left out.
#[test]
fn a_wrong_value_of_the_state_is_named() {
    let whole = told();
    let mut names = Vec::new();
    for place in 0..whole.entries.len() {
        let with = |entries: Vec<(StateKey, Option<Vec<u8>>)>| {
            let told = Told {
                before: whole.before.clone(),
                block: whole.block.clone(),
                records: whole.records.clone(),
                entries,
            };
            match told.found() {
                What::Value { name, .. } => name,
                other => panic!("{other}"),
            }
        };
        let (key, value) = &whole.entries[place];
        let mut others = whole.entries.clone();
        others.remove(place);
        let mut changed = value.clone().unwrap_or_default();
        changed.push(0);
        let stated = [Some(changed), value.is_none().then(Vec::new)];
        for stated in stated {
            names.push(with([&others[..], &[(*key, stated)]].concat()));
        }
        assert_eq!(names.last(), Some(&with(others)));
    }
    for namespace in ["trail", "rule", "nonce", "event", "emergency", "due"] {
        let begins = format!("[\"{namespace}\"");
        assert!(names.iter().any(|name| name.starts_with(&begins)), "{namespace}: {names:?}");
    }
}

#[test]
fn every_field_of_the_header_is_named() {
    type Spoil = fn(&mut Header);
    let fields: [(&str, Spoil); 10] = [
        ("version", |h| h.version += 1),
        ("chain", |h| h.chain.0[0] ^= 1),
        ("height", |h| h.height = Height(h.height.0 + 1)),
        ("parent", |h| h.parent.0[0] ^= 1),
        ("body_root", |h| h.body_root.0[0] ^= 1),
        ("log_size", |h| h.log_size.0 += 1),
        ("log_root", |h| h.log_root.0[0] ^= 1),
        ("state_root", |h| h.state_root.0[0] ^= 1),
        ("validators_hash", |h| h.validators_hash.0[0] ^= 1),
        ("next_validators_hash", |h| h.next_validators_hash.0[0] ^= 1),
    ];
    let whole = told();
    for (name, spoil) in fields {
        let mut block = whole.block.clone();
        spoil(&mut block.header);
        match whole.before.clone().block(&block).unwrap_err().what {
            What::Header { field, .. } => assert_eq!(field, name),
            other => panic!("{name}: {other}"),
        }
    }
    // Another time is another history: every record holds it.
    let mut told = whole;
    told.block.header.time.0 += 1;
    assert!(matches!(told.found(), What::Record { .. }));
    told.block.header.time = TimeMs(0);
    assert!(matches!(told.found(), What::Header { field: "time", .. }));
}

/// Nobody has to show records: what everybody computed wrong is in the roots.
#[test]
fn a_root_over_other_records_is_found_without_them() {
    let mut told = told();
    let place = told.place(is_event);
    told.spoil(place, |record| entry(record).verdict.finding = Found::Contradicted);
    let all = told.before.records().iter().chain(&told.records);
    let leaves: Vec<Digest> = all.map(|bytes| naive::leaf(bytes)).collect();
    told.block.header.log_root = naive::root(&leaves);
    let found = told.before.clone().block(&told.block).unwrap_err().what;
    assert!(matches!(found, What::Header { field: "log_root", .. }), "{found}");
    // And if they are shown, the record is named, although the root fits it.
    assert!(matches!(told.found(), What::Verdict { .. }));
}

#[test]
fn what_is_no_submission_or_was_recorded_before_is_named() {
    let mut told = told();
    let first = told.block.body[0].clone();
    told.block.body.push(first);
    assert!(matches!(told.found(), What::Inadmissible { word: "replayed", position: None, .. }));
    told.block.body[3] = vec![0x82, 0x40, 0x80];
    assert!(matches!(told.found(), What::NotASubmission { place: 3, .. }));
    let last = told.block.body[0].len() - 1;
    told.block.body[0][last] ^= 1;
    assert!(matches!(told.found(), What::NotASubmission { place: 0, .. }));
}

#[test]
fn a_signature_that_is_not_the_authors_is_named() {
    let mut told = told();
    let signature = Submission::decode(&told.block.body[0]).unwrap().envelope().signature().0;
    let at = told.block.body[0].windows(64).position(|window| window == signature).unwrap();
    told.block.body[0][at + 40] ^= 1;
    assert!(matches!(told.found(), What::Inadmissible { word: "bad-signature", position: None, .. }));
}

#[test]
fn what_was_acknowledged_is_there_and_trails_are_complete() {
    let told = told();
    let mut naive = told.before.clone();
    let submission = Submission::decode(&told.block.body[0]).unwrap();
    assert!(matches!(naive.acknowledged(&submission.id()).unwrap_err().what, What::Lost));
    naive.block(&told.block).unwrap();
    naive.acknowledged(&submission.id()).unwrap();
    let recorded = naive.recorded(&submission.item_hashes()[0]);
    assert_eq!(recorded.len(), 1);
    assert_eq!(recorded[0].height, naive.height());

    let trail = TrailName::institution(&id(A)).key();
    let shown: Vec<Vec<u8>> = naive.trail(&trail).into_iter().map(<[u8]>::to_vec).collect();
    assert!(shown.len() > 3 && naive.trails().contains(&trail));
    naive.is_complete(&trail, &shown).unwrap();
    for gap in 0..shown.len() {
        let mut less = shown.clone();
        less.remove(gap);
        let found = naive.is_complete(&trail, &less).unwrap_err().what;
        assert_eq!(found, What::Incomplete { trail, position: gap as u64 });
    }
    let more = [&shown[..], &shown[..1]].concat();
    assert!(naive.is_complete(&trail, &more).is_err());
    let head = naive.entries().find(|(key, _)| *key == registry::trail_key(&trail)).unwrap();
    assert_eq!(registry::TrailHead::from_bytes(head.1).unwrap().size, shown.len() as u64);
}

#[test]
fn a_rule_id_in_two_trails_is_named() {
    let mut chain = Chain::new();
    let (own, for_b) = (chain.open(A, "p", None), chain.open(A, "p", Some(B)));
    let b_id = local_id_of(&for_b);
    chain.act(A, vec![own.clone()]);
    chain.act(A, vec![for_b]);
    let put = chain.rule(A, local_id_of(&own));
    chain.act(A, vec![Fields::RulePut(put.clone())]);
    let judge = |chain: &Chain| {
        let mut naive = Naive::new(&chain.genesis.to_bytes()).unwrap();
        chain.blocks.iter().for_each(|decided| naive.block(&decided.block).unwrap());
        naive.linkage()
    };
    judge(&chain).unwrap();
    let shared = Put { local_id: b_id, prior: chain.random16(), seal: NO_SEAL, ..put.clone() };
    chain.act(A, vec![Fields::RulePut(shared)]);
    match judge(&chain).unwrap_err().what {
        What::Linked { value, .. } => assert_eq!(value, put.rule.to_string()),
        other => panic!("{other}"),
    }
}

#[test]
fn a_genesis_that_cannot_begin_is_named() {
    let good = genesis("test network", BEGIN);
    Naive::new(&good.to_bytes()).unwrap();
    let mut bad = good.clone();
    bad.protocol = 2;
    assert!(matches!(Naive::new(&bad.to_bytes()).unwrap_err().what, What::Genesis(_)));
    let mut bad = good.clone();
    bad.registrar = id(A);
    assert!(Naive::new(&bad.to_bytes()).is_err());
    let mut bad = good.to_bytes();
    bad.push(0);
    assert!(Naive::new(&bad).is_err());
}
