//! The two rules for linkage, over generated networks.
//!
//! 1. *No clear value other than a registry, permit or policy id occurs in two subject trails.* The test
//!    takes the bytes of all items and records of subject trails apart by a CBOR reader of its own and looks
//!    at every string and number in them, so that a field that is added tomorrow is looked at, too.
//! 2. *Nothing clear differs between a permitting and a restricting rule, or between a served and a
//!    refused request.* The test writes pairs of histories that differ in nothing else.
//!
//! The rules are duties of whoever writes items as much as of the formats: the generator here writes as a
//! custodian has to, with fresh random ids, coarse expiries, and no two trails of one subject in one submission.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use common::*;
use custos_proof::cbor::{Set, Wire};
use custos_proof::hash::{Digest, TrailKey};
use custos_proof::ids::{FAR, ItemId, Random16, TimeMs};
use custos_proof::item::Item;
use custos_proof::kinds::access::{Basis, Event, Retention};
use custos_proof::kinds::rule::{Collected, Put};
use custos_proof::kinds::{Class, Fields, Kind, correct, emergency, hold, permit, record, trail};
use custos_proof::record::Record;
use custos_proof::registry::Role;
use custos_proof::seal::Place;
use custos_proof::sealed_values::{InnerKind, Outcome, OutcomeKind, Stated};
use custos_proof::trail::TrailName;

const CUSTODIANS: [&str; 3] = ["hospital-a", "hospital-b", "hospital-c"];
const BODY: &str = "access-body";
const USER: &str = "institute";

/// Numbers that follow from a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) % n as u64) as usize
    }
}

// Rule 1.

/// A trail as its custodian knows it.
struct Known {
    patient: usize,
    custodian: &'static str,
    grantee: Option<&'static str>,
    local_id: Digest,
    rules: Vec<Put>,
    events: Vec<Random16>,
    keys: usize,
}

/// Patients of three custodians, seen by their staff and by others, for some blocks.
fn network(seed: u64) -> (Chain, Vec<Known>) {
    let mut dice = Dice(seed);
    let others: [(&str, &[Role]); 2] = [(BODY, &[Role::AccessBody]), (USER, &[Role::DataUser])];
    let mut chain = Chain::from_genesis(genesis_with(&format!("network {seed}"), BEGIN, &others));
    let permit = permit(&mut chain);
    let mut trails: Vec<Known> = Vec::new();
    for patient in 0..5 {
        for custodian in CUSTODIANS {
            let grantees = [None, Some("hospital-d"), Some(CLINIC)];
            for grantee in &grantees[..1 + dice.below(3)] {
                let open = chain.open(custodian, &format!("patient {patient}"), *grantee);
                trails.push(Known {
                    patient,
                    custodian,
                    grantee: *grantee,
                    local_id: local_id_of(&open),
                    rules: vec![],
                    events: vec![],
                    keys: 0,
                });
                // Openings of one patient's trails are spread over blocks: one each.
                chain.act(custodian, vec![open]);
            }
        }
    }
    let mut sequence = 0;
    for _ in 0..60 {
        let custodian = CUSTODIANS[dice.below(CUSTODIANS.len())];
        let (mut acts, mut events, mut others, mut patients) =
            (Vec::new(), Vec::new(), Vec::new(), BTreeSet::new());
        for _ in 0..4 {
            let mine: Vec<usize> = (0..trails.len()).filter(|i| trails[*i].custodian == custodian).collect();
            let trail = &mut trails[mine[dice.below(mine.len())]];
            // One trail of a patient per submission.
            if !patients.insert(trail.patient) {
                continue;
            }
            let event = chain.event(custodian, Some(trail.local_id), trail.grantee.unwrap_or(custodian));
            let put = chain.rule(custodian, trail.local_id);
            match dice.below(11) {
                0 => {
                    let ends = trail.rules.pop().map(|rule| rule.rule).into_iter().collect();
                    let expiry = [FAR, QUARTER][dice.below(2)];
                    let put = Put { expiry, ends: Set::new(ends).unwrap(), ..put };
                    trail.rules.push(put.clone());
                    acts.push(Fields::RulePut(put));
                }
                1 if trail.grantee.is_none() => {
                    acts.push(Fields::RulePut(Put { collected: Collected::Custodian, ..put }));
                }
                2 if !trail.rules.is_empty() => {
                    let cited = trail.rules.last().map(|rule| rule.rule);
                    events.push(Event { basis: Basis::Consent, cited, ..event });
                }
                3 if trail.grantee.is_none() => {
                    let (event, record) = (chain.random16(), chain.random16());
                    let (step, retention) = (record::Step::Ingest, event_retention(&mut dice));
                    let local_id = trail.local_id;
                    others.push(Fields::RecordEvent(record::Event {
                        event,
                        local_id,
                        record,
                        step,
                        retention,
                        seal: NO_SEAL,
                    }));
                }
                4 if !trail.events.is_empty() => {
                    let prior = trail.events[dice.below(trail.events.len())];
                    let reason = correct::Reason::ALL[dice.below(4)];
                    others.push(Fields::AccessCorrect(correct::Correct {
                        correction: chain.random16(),
                        prior,
                        custodian: event.custodian,
                        local_id: event.local_id,
                        acting: event.acting,
                        reason,
                        seal: NO_SEAL,
                    }));
                }
                5 => {
                    trail.keys += 1;
                    acts.push(named(&mut chain, custodian, trail));
                }
                6 => {
                    let hold = chain.random16();
                    let local_id = Some(trail.local_id);
                    acts.push(Fields::HoldSet(hold::Set {
                        hold,
                        custodian: id(custodian),
                        local_id,
                        seal: NO_SEAL,
                    }));
                    acts.push(Fields::HoldLift(hold::Lift { custodian: id(custodian), hold, local_id }));
                }
                7 => {
                    let declaration = chain.random16();
                    others.push(Fields::EmergencyDeclare(emergency::Declare {
                        declaration,
                        custodian: event.custodian.clone(),
                        acting: event.acting.clone(),
                        seal: NO_SEAL,
                    }));
                    events.push(Event { basis: Basis::Emergency, cited: Some(declaration), ..event });
                }
                8 => events.push(Event { basis: Basis::Permit, cited: Some(permit), ..event }),
                _ => {
                    sequence += 1;
                    trail.events.push(event.event);
                    events.push(Event { stream: 1, sequence, ..event });
                }
            }
        }
        let mut submissions = Vec::new();
        if !acts.is_empty() {
            submissions.push(chain.acts(custodian, acts));
        }
        if !events.is_empty() {
            submissions.push(chain.testimony(custodian, events));
        }
        if !others.is_empty() {
            submissions.push(chain.say(custodian, Class::Testimony, others));
        }
        // The grantee writes its half of somebody's, too.
        let foreign: Vec<_> = trails.iter().filter(|t| t.grantee == Some(CLINIC)).collect();
        if !foreign.is_empty() {
            let trail = foreign[dice.below(foreign.len())];
            let event = chain.event(trail.custodian, Some(trail.local_id), CLINIC);
            submissions.push(chain.testimony(CLINIC, vec![event]));
        }
        chain.block(submissions);
    }
    (chain, trails)
}

/// A permit that everybody's accesses may cite.
fn permit(chain: &mut Chain) -> Random16 {
    let permit = chain.random16();
    let terms = permit::Terms {
        user: id(USER),
        purposes: Set::new(vec![permit::Purpose::Research]).unwrap(),
        categories: Set::new(vec![permit::Category::HealthRecords]).unwrap(),
        holders: Set::new(CUSTODIANS.map(id).to_vec()).unwrap(),
        environment: None,
        begins: TimeMs(0),
        ends: FAR,
        form: permit::Form::Pseudonymised,
        over_opt_out: permit::Override::None,
        decision: None,
    };
    chain.act(BODY, vec![Fields::PermitIssue(permit::Issue { permit, terms })]);
    permit
}

fn event_retention(dice: &mut Dice) -> Retention {
    Retention::ALL[dice.below(3)]
}

/// A key that begins to speak in a trail: the subject's, derived for this trail.
fn named(chain: &mut Chain, custodian: &str, known: &Known) -> Fields {
    let trail = TrailName::subject(&id(custodian), known.local_id).key();
    let key = key(&format!("{} {} {trail}", known.patient, known.keys));
    let preimage = trail::possession_preimage(&chain.id, &trail, &key.public());
    Fields::TrailAgent(trail::Agent {
        custodian: id(custodian),
        local_id: known.local_id,
        change: trail::Change::Add,
        key: Some(key.public()),
        possession: Some(key.sign_bytes(&preimage)),
        agent: None,
        collected: Collected::Portal,
        seal: NO_SEAL,
    })
}

/// Some networks, generated once.
fn networks() -> &'static [(Chain, Vec<Known>)] {
    static NETWORKS: OnceLock<Vec<(Chain, Vec<Known>)>> = OnceLock::new();
    NETWORKS.get_or_init(|| (0..3).map(network).collect())
}

/// A value that stands in clear.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Atom {
    Number(u64),
    Bytes(Vec<u8>),
    Text(String),
}

/// Every value in some CBOR, without asking what it means.
fn atoms(bytes: &[u8]) -> Vec<Atom> {
    fn one(bytes: &[u8], at: &mut usize, out: &mut Vec<Atom>) {
        let first = bytes[*at];
        *at += 1;
        let argument = match first & 0x1f {
            info @ 0..24 => u64::from(info),
            info @ 24..28 => {
                let begin = *at;
                *at += 1 << (info - 24);
                bytes[begin..*at].iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
            }
            _ => panic!("an indefinite length"),
        };
        let mut take = |n: u64| {
            let taken = bytes[*at..*at + n as usize].to_vec();
            *at += n as usize;
            taken
        };
        match first >> 5 {
            0 => out.push(Atom::Number(argument)),
            2 => out.push(Atom::Bytes(take(argument))),
            3 => out.push(Atom::Text(String::from_utf8(take(argument)).unwrap())),
            4 => (0..argument).for_each(|_| one(bytes, at, out)),
            other => panic!("no item or record holds major type {other}"),
        }
    }
    let (mut at, mut out) = (0, Vec::new());
    one(bytes, &mut at, &mut out);
    assert_eq!(at, bytes.len());
    out
}

/// What may occur in two subject trails, and why.
struct Exempt {
    /// Registry ids: custodian, acting organisation, grantee, author. And the names of kinds.
    words: BTreeSet<String>,
    /// Envelope metadata: the submission. It may carry items of several subjects, never two trails of one.
    submissions: BTreeSet<Vec<u8>>,
    /// Registry ids again: the keys of the institutions' trails in which the record is listed as well.
    institutions: BTreeSet<Vec<u8>>,
    /// Permits: their ids, and the keys of their trails.
    permits: BTreeSet<Vec<u8>>,
    /// Block times and quarter ends: everybody's in that block or quarter.
    times: BTreeSet<u64>,
}

/// Numbers below this are heights, indexes, positions, sequence numbers, years and members of closed
/// vocabularies: shared by all that happens at a time, or by too many to say whose. What identifies is longer.
const COUNTERS: u64 = 1 << 16;

impl Exempt {
    fn of(chain: &Chain) -> Self {
        let participants = chain.genesis.participants.iter().map(|p| p.id.as_str());
        let institutions =
            chain.genesis.participants.iter().map(|p| TrailName::institution(&p.id).key().0.to_vec());
        let issued = chain.store.records().iter().filter_map(|new| new.item.as_ref());
        let permits = issued.filter_map(|(_, item)| match Item::from_bytes(item).unwrap().fields {
            Fields::PermitIssue(issue) => Some(issue.permit),
            _ => None,
        });
        let permits = permits
            .flat_map(|permit| [permit.0.to_vec(), TrailName::permit(&id(BODY), &permit).key().0.to_vec()]);
        let times = chain.blocks.iter().map(|block| block.changes.header.time.0);
        Self {
            words: participants.chain(Kind::ALL.iter().map(|kind| kind.name())).map(String::from).collect(),
            submissions: chain.submissions.keys().map(|id| id.0.to_vec()).collect(),
            institutions: institutions.collect(),
            permits: permits.collect(),
            times: times.chain([FAR.0, QUARTER.0]).collect(),
        }
    }

    fn covers(&self, atom: &Atom) -> bool {
        match atom {
            Atom::Text(word) => self.words.contains(word),
            Atom::Number(number) => *number < COUNTERS || self.times.contains(number),
            Atom::Bytes(bytes) => [&self.submissions, &self.institutions, &self.permits]
                .into_iter()
                .any(|exempt| exempt.contains(bytes)),
        }
    }
}

/// Every record of every subject trail: the trail's number, its record, and its item's bytes.
fn subject_records<'a>(chain: &'a Chain, trails: &[Known]) -> Vec<(usize, Record, &'a [u8], &'a [u8])> {
    let keys: BTreeMap<TrailKey, usize> = trails
        .iter()
        .enumerate()
        .map(|(i, trail)| (TrailName::subject(&id(trail.custodian), trail.local_id).key(), i))
        .collect();
    let mut found = Vec::new();
    for new in chain.store.records() {
        let record = Record::from_bytes(&new.bytes).unwrap();
        let listed: Vec<usize> =
            record.listings().iter().filter_map(|l| keys.get(&l.trail).copied()).collect();
        assert!(listed.len() <= 1, "a record stands in two subject trails");
        if let ([trail], Some((_, item))) = (&listed[..], &new.item) {
            found.push((*trail, record, &new.bytes[..], &item[..]));
        }
    }
    found
}

#[test]
fn no_clear_value_occurs_in_two_subject_trails() {
    for (chain, trails) in networks() {
        let exempt = Exempt::of(chain);
        let mut seen: BTreeMap<Atom, usize> = BTreeMap::new();
        let mut looked_at = 0;
        for (trail, record, record_bytes, item_bytes) in subject_records(chain, trails) {
            for atom in atoms(record_bytes).into_iter().chain(atoms(item_bytes)) {
                if exempt.covers(&atom) {
                    continue;
                }
                assert!(matches!(atom, Atom::Bytes(_)), "{atom:?} at {} is in no list", record.index);
                looked_at += 1;
                let first = *seen.entry(atom.clone()).or_insert(trail);
                assert_eq!(first, trail, "{atom:02x?} links two trails (record {})", record.index);
            }
        }
        assert!(looked_at > 200, "the network says too little to tell");
    }
}

#[test]
fn no_submission_holds_items_of_two_trails_of_one_subject() {
    for (chain, trails) in networks() {
        let mut by_submission: BTreeMap<_, BTreeMap<usize, usize>> = BTreeMap::new();
        let mut several = 0;
        for (trail, record, _, _) in subject_records(chain, trails) {
            let of = by_submission.entry(record.as_item().unwrap().submission).or_default();
            let first = *of.entry(trails[trail].patient).or_insert(trail);
            assert_eq!(first, trail, "one submission links two trails of a subject");
            several += usize::from(of.len() > 1);
        }
        assert!(several > 5, "the exemption of submissions is used: they hold items of several subjects");
    }
}

#[test]
fn local_ids_of_one_subject_have_nothing_in_common() {
    let (_, trails) = &networks()[0];
    let windows = |trail: &Known| -> BTreeSet<[u8; 4]> {
        trail.local_id.0.windows(4).map(|w| w.try_into().unwrap()).collect()
    };
    for (i, a) in trails.iter().enumerate() {
        for b in &trails[..i] {
            assert!(windows(a).is_disjoint(&windows(b)), "{} {}", a.patient, b.patient);
        }
    }
}

/// The rule above can fail: a custodian that cites one rule id in two trails is found.
#[test]
fn a_shared_rule_id_would_be_found() {
    let mut chain = Chain::new();
    let (own, for_b) =
        (chain.open("hospital-a", "p", None), chain.open("hospital-a", "p", Some("hospital-b")));
    chain.act("hospital-a", vec![own.clone()]);
    chain.act("hospital-a", vec![for_b.clone()]);
    let put = chain.rule("hospital-a", local_id_of(&own));
    chain.act("hospital-a", vec![Fields::RulePut(put.clone())]);
    chain.act(
        "hospital-a",
        vec![Fields::RulePut(Put { local_id: local_id_of(&for_b), seal: NO_SEAL, ..put.clone() })],
    );
    let exempt = Exempt::of(&chain);
    let shared = Atom::Bytes(put.rule.0.to_vec());
    let holding = chain.store.records().iter().filter_map(|new| new.item.as_ref());
    assert_eq!(holding.filter(|(_, item)| atoms(item).contains(&shared)).count(), 2);
    assert!(!exempt.covers(&shared));
}

// Rule 2.

/// What one history says under its seals, and the other says otherwise.
struct Secrets {
    own_rule: InnerKind,
    listed_rule: InnerKind,
    following_rule: InnerKind,
    own_event: OutcomeKind,
    grantee_event: OutcomeKind,
    /// What people wrote about it; of another length in each history.
    prose: &'static str,
}

const PERMITTING: Secrets = Secrets {
    own_rule: InnerKind::Grant,
    listed_rule: InnerKind::Grant,
    following_rule: InnerKind::Replace,
    own_event: OutcomeKind::Served,
    grantee_event: OutcomeKind::Served,
    prose: "",
};

const RESTRICTING: Secrets = Secrets {
    own_rule: InnerKind::Restriction,
    listed_rule: InnerKind::Narrow,
    following_rule: InnerKind::Revoke,
    own_event: OutcomeKind::Denied,
    grantee_event: OutcomeKind::Failed,
    prose: "The patient does not want hospital B to see anything of this. A long explanation follows. And follows.",
};

/// The same events at the same times, with other secrets.
fn history(secrets: &Secrets) -> Chain {
    const A: &str = "hospital-a";
    let mut chain = Chain::new();
    let (own, for_b) = (chain.open(A, "p", None), chain.open(A, "p", Some("hospital-b")));
    let (own_id, b_id) = (local_id_of(&own), local_id_of(&for_b));
    chain.act(A, vec![own]);
    chain.act(A, vec![for_b]);
    let say = |chain: &mut Chain, author: &str, mut fields: Fields, inner: u8| {
        let (kind, item_id) = (fields.kind(), ItemId(chain.random16().0));
        let mut values = vec![[&[inner], secrets.prose.as_bytes()].concat(); kind.sealed_fields().len()];
        let outcomes =
            [OutcomeKind::Served, OutcomeKind::Denied, OutcomeKind::Overridden, OutcomeKind::Failed];
        if let Some(outcome) =
            outcomes.into_iter().find(|o| kind == Kind::AccessEvent && o.number() == inner.into())
        {
            values[1] =
                Stated::Value(Outcome { kind: Some(outcome), code: None, description: None }).to_bytes();
        }
        let seal = Place { chain: &chain.id.clone(), kind, item_id: &item_id }
            .seal(&chain.fresh(), &values)
            .unwrap();
        match &mut fields {
            Fields::RulePut(f) => f.seal = seal,
            Fields::AccessEvent(f) => f.seal = seal,
            other => panic!("{other:?}"),
        }
        let class = kind.class();
        let item = chain.item_of(item_id, fields).to_bytes();
        let submission = chain.draft(author, class, vec![item]).sign();
        chain.record(submission);
    };
    let number = |kind: InnerKind| kind.number() as u8;
    let outcome = |kind: OutcomeKind| kind.number() as u8;

    let put = chain.rule(A, own_id);
    say(&mut chain, A, Fields::RulePut(put), number(secrets.own_rule));
    let first = chain.rule(A, b_id);
    say(&mut chain, A, Fields::RulePut(first.clone()), number(secrets.listed_rule));
    // A's staff was served, or B was refused: both stand in the own trail, as the custodian's.
    let event = chain.event(A, Some(own_id), A);
    say(&mut chain, A, Fields::AccessEvent(event), outcome(secrets.own_event));
    let event = chain.event(A, Some(b_id), "hospital-b");
    say(&mut chain, "hospital-b", Fields::AccessEvent(event), outcome(secrets.grantee_event));
    // A rule that takes another's place, or only ends it.
    let second = chain.rule(A, b_id);
    let second = Put { prior: first.rule, ends: Set::new(vec![first.rule]).unwrap(), ..second };
    say(&mut chain, A, Fields::RulePut(second), number(secrets.following_rule));
    chain
}

/// Everything about a history that can be seen without openings, but for the random bytes themselves.
fn clear_projection(chain: &Chain) -> Vec<String> {
    let mut names: BTreeMap<TrailKey, usize> = BTreeMap::new();
    let mut projection = Vec::new();
    for new in chain.store.records() {
        let record = Record::from_bytes(&new.bytes).unwrap();
        let Some(entry) = record.as_item() else { continue };
        let (_, item) = new.item.as_ref().unwrap();
        let mut listed: Vec<(usize, u64)> = entry
            .trails
            .iter()
            .map(|listing| {
                let next = names.len();
                (*names.entry(listing.trail).or_insert(next), listing.position)
            })
            .collect();
        listed.sort_unstable();
        let plain: Vec<Atom> = atoms(item)
            .into_iter()
            .map(|atom| match atom {
                Atom::Bytes(bytes) => Atom::Bytes(vec![0; bytes.len()]),
                other => other,
            })
            .collect();
        let submission = &chain.submissions[&entry.submission];
        projection.push(format!(
            "{} {} {} {:?} item {} record {} envelope {} position {} in {listed:?}: {plain:?}",
            record.index,
            record.height,
            entry.author,
            entry.verdict,
            item.len(),
            new.bytes.len(),
            submission.envelope().bytes().len(),
            entry.position,
        ));
    }
    let mut sizes: Vec<usize> = chain.entries().values().map(Vec::len).collect();
    sizes.sort_unstable();
    projection.push(format!("entries of the state: {sizes:?}"));
    projection
}

#[test]
fn permitting_and_restricting_served_and_refused_look_the_same() {
    let (permitting, restricting) = (history(&PERMITTING), history(&RESTRICTING));
    assert_eq!(clear_projection(&permitting), clear_projection(&restricting));
    // And they are two histories, not one.
    let roots = [&permitting, &restricting].map(|chain| chain.blocks.last().unwrap().changes.header.log_root);
    assert_ne!(roots[0], roots[1]);
}

#[test]
fn subject_trails_know_outer_kinds_that_say_nothing_of_permission() {
    let mut seen = BTreeSet::new();
    for (chain, trails) in networks() {
        for (_, _, _, item) in subject_records(chain, trails) {
            let kind = Item::from_bytes(item).unwrap().kind();
            assert!(kind.in_subject_trails(), "{} stands in a subject's trail", kind.name());
            seen.insert(kind);
        }
    }
    // Closing and erasing are acts on the whole trail; the rest is in the networks.
    let told: BTreeSet<Kind> = [Kind::TrailClose, Kind::PayloadErase].into_iter().chain(seen).collect();
    let allowed: BTreeSet<Kind> = Kind::ALL.iter().copied().filter(|kind| kind.in_subject_trails()).collect();
    assert_eq!(told, allowed, "the networks leave no kind out");
    for kind in allowed {
        for word in ["deny", "denied", "restrict", "refus", "opt", "grant", "consent", "revoke"] {
            assert!(!kind.name().contains(word), "{} says too much", kind.name());
        }
    }
    assert_eq!(Kind::AccessEvent.class(), Class::Testimony);
}
