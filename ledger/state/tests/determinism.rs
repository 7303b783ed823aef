//! One history, computed again: the same blocks give the same changes, and have given them before.
//!
//! The constants below are what protocol version 1 makes of a fixed history with every kind in it. A change
//! of any of them changes what validators agree on and what was signed: it needs a new protocol version, not
//! new constants.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;

use common::*;
use custos_proof::batch::verify_batch;
use custos_proof::cbor::{Ascii, List, Set, Wire};
use custos_proof::header::Block;
use custos_proof::ids::{Height, TimeMs};
use custos_proof::item::Item;
use custos_proof::keys::KeyPurpose;
use custos_proof::kinds::access::{Basis, Event, Late, Retention};
use custos_proof::kinds::rule::{Collected, Put};
use custos_proof::kinds::{
    Fields, Kind, audit, correct, disclosure, emergency, hold, job, permit, record, trail,
};
use custos_proof::record::{Entry, Record};
use custos_proof::registry::Role;
use custos_proof::submission::{Author, Submission};
use custos_state::apply;
use custos_state::changes::Changes;
use custos_state::memory::MemoryStore;
use custos_state::view::View;

const A: &str = "hospital-a";
const B: &str = "hospital-b";
const BODY: &str = "access-body";
const USER: &str = "institute";
const OMBUDSMAN: &str = "ombudsman";
const DAY: u64 = 86_400_000;

/// The chain, then each block's id, log root and state root.
const GOLDEN: &[&str] = &[
    "87b867f1f01cfedc315d5d662778c1dfafafb359510b483ee40ad49123bc1c02",
    "aa47831ef71e864a49a08545f9b33d0f7a8eadb976b82557f067e39705e8ae0a \
     d7f6e307cd66e924b77d17384294fbb7fb6378e4506c740329a86951235f762b \
     31b904ab938a90b86d2c83fa54a6c6e0f2e1c40801b847226176a12a6d8245b0",
    "951c29e3c90f6ac932e68ee95aa75c4967a807dff56a0568dca610cbf0ae9acf \
     6ce3573b1c3fe475499bd09f74407477ded4bbb7eab2102aab446b19ecf75706 \
     c93acde37c06ea9ec1a8a5186e009cc86ce52b9b1ff89a103e7dd051eb86149c",
    "664e9b9e9f955bfeda091bda4bbd9ebdcdadd805c96394fb63f775905e0dbef9 \
     8db132948f22c7bd64e840d199a1b41e8988f235abb3967a5c7463ccf40d4667 \
     9bf1e815d75a86679d7d4ed8916eeb024293c7210465a916251ea997bc77b267",
    "c7fafab699beb451dc10a3148eff68e1c7202e07ee995fb727758925d58a9376 \
     205af7a296d5191ae74b07d1a82e6dc4f99670d514723cc89a1cf2348d15a0fb \
     11a1e43e587278a21814d94d0e6c24747c8a89c93c9803c7efc7d1953ca7f1ec",
    "6b25f3716ac4875dbb60682a74a88d56c81bc3b765ad3f92ee80ea4c818d5a76 \
     c0ec8b4d231ea489f55c1e2a7515eed7d3cccf84fbf5f41c4f9d4de8f1db8564 \
     1df18e363b3f52561ebc8a392720e473a542aa0d3c5f6faf758eea80f2b09dca",
    "73d9e57090bac5b414024464a259d6803c0c860655c37dd2fba91b1b15122d35 \
     5a3b00a66c4e39554f25d3404836fdf79fcbb008796d4c2f8d04217dfaf83586 \
     4bc73b18644517d49c2776ecf2399386462b349efb8565fb23fc46f53d7cc093",
    "97a9ece92813d99f4f11f0ed180d5758cc23ebfdc2e1b0a378c0a98eea49c86d \
     f3547b715261ed5e0defeb5992583d8d883ed662144bc5acc2e6ebbbd2afe55c \
     88ad950456720cb5e8d1fe9c1de863191ad79b1bc161aea0095bc04f7ef27fc4",
    "34b7f2ac26312c4643a12ad92070647400927f907ceaba46bb408ae029189a2c \
     23751bdff114945b59f5d2a23bb3b848ee36307344d76abf2453dd3c6f1040e9 \
     9177d849eeece43c21c0f4402b9f5745eeeabbcef345d89548f4322f380f0fa6",
    "5f286bf5ef0d19ac37cdd2cc824a76d9193458513586888eebf900d49db743d0 \
     01e3bb643832dff6d7328751aed9734f537c6f3feeb5ec4e65361a83bf7330e7 \
     69352e8e0cfcc6e08d45fc87a307f54e191111026204b7f5b7b16284663b5ec7",
    "11891dfa6d3e97dc4c67ffbbd3117d1938cc6a1fa9cdfa761b33437b53c59e41 \
     d07933d29fdeb19fe32cc4e80e9659b1e5809da53fa09c0619e55a1f3067dbf6 \
     b3f8a2ad599e1517ff529c4e6a282ee8838b389f49ecce807d7433b177ec92f0",
    "d436ac8a719447dc5b130c4e6ccebb7607cd0a705b123640c896b3101c37f07a \
     ade5ae5149fc1136e0196741cc07f8ac68e1907a817bb875f86c5df7824b7b70 \
     503913f59fa78f8d6edff0030b3dc50a18fe27f62b5a3d5a0c72e2906d1b6a55",
    "fc3366099df1c6ec386a45f90a7f17ace15a582dcb4782cf70f8c5e5b4166ccc \
     2bc8cbfcdce0a33ace27c5456d234a2bae642346a5767f13093d7460e1acd687 \
     87f00a98c28ed9cd2bf28093fcc48e8d65372e153be2be6654b5a42ef106af93",
    "f6f97c6f6327a04d8a6d49347ba1c961252a99bd2b29ee7f726176559dc68aab \
     38b36c04ecdf9b2b24836ff71337cf4f60a0d17e105e81aa4bdfe505596e4d1a \
     cbb7b4659f53dcc7cb26ce9f0b954593a2b2c88ac1380601ae96cbebde4d0056",
    "d7d853793ea372d6f9f2b5d92bcc5c2ec3e01f2215461b6684a1cbe430f9f0ee \
     9f280a2f3c89f3d26f775cf213b7e58af319ee54519646198e629529dd4134c2 \
     8e1f0ea4989909930485f6c3006a613791d45d81a0019d26961d9a67a379826a",
    "3dedfb7daf1164f3369a7484fd9e014ec52b8b2be50d3052d7bd465f86ddc53e \
     3c1a429c7269ff22ff7cfa86556c9c182ab9ca7d326be475ae9d42bdeefa1d64 \
     10adbdeac8060b0cbe28428798c0214ed92cb4d2201a73f7656c1d709d4344a0",
    "1414b414a8e95c2daa64207d88138630db1b708f995dc60246fa529e339fe7d5 \
     605e98d38e360d1650d9bfb4dc1fd6e15e103c7d8aba22336e3cad86f0cd77ec \
     594efcc250ae0ea07b9269470e1142d62304ed4072fe0b5824e5f033c4f5502c",
    "87caf95d3a3394f1eeb8915746ba108888bfd9b475d167a31529e3e158895e31 \
     cb5e7dc5aec9c5824f29bb4f0fbacdf89ae616eedeb676a511e3ce58cb1c019d \
     12954735bf49b2ff9a18f4990387fedceec4e5996de768b39c86c4356dc64776",
];

/// A history in which every kind occurs, in several ways.
fn history() -> Chain {
    let others: [(&str, &[Role]); 3] =
        [(BODY, &[Role::AccessBody]), (USER, &[Role::DataUser]), (OMBUDSMAN, &[Role::Agent])];
    let mut genesis = genesis_with("golden history", BEGIN, &others);
    // So short that what was recorded in the first block is erased in the last.
    genesis.policy.retention_days = List::new(vec![20, 3_650, 10_950]).unwrap();
    let mut chain = Chain::from_genesis(genesis);
    let (own, for_b) = (chain.open(A, "p", None), chain.open(A, "p", Some(B)));
    let (own_id, b_id) = (local_id_of(&own), local_id_of(&for_b));
    let lab_key = chain.add_key("lab", &key("lab sign"), KeyPurpose::Sign);
    let lab = Fields::ParticipantRegister(registration("lab", &[Role::Custodian]));
    let (lab, own) = (chain.acts(REGISTRY, vec![lab, lab_key]), chain.acts(A, vec![own]));
    chain.block(vec![lab, own]);

    let put = Put { expiry: QUARTER, ..chain.rule(A, b_id) };
    chain.act(A, vec![for_b, Fields::RulePut(put.clone())]);

    let under = Event { basis: Basis::Consent, cited: Some(put.rule), ..chain.event(A, Some(b_id), B) };
    let again = chain.item(Fields::AccessEvent(under.clone()));
    let numbered = Event { stream: 1, sequence: 2, ..chain.event(A, Some(own_id), A) };
    let imported =
        Event { at_height: Height(0), late: Late::ImportedHistory, ..chain.event(A, None, CLINIC) };
    let by_b = chain.draft(B, custos_proof::kinds::Class::Testimony, vec![again.clone(), again]).sign();
    let by_a = chain.testimony(A, vec![numbered, imported]);
    chain.block(vec![by_b, by_a]);

    let rotate = chain.rotate_key(B, &key("hospital-b sign"), &key("hospital-b second"), 3_600_000);
    let ending = Put { ends: Set::new(vec![put.rule]).unwrap(), ..chain.rule(A, b_id) };
    let (rotate, ending) =
        (chain.acts(B, vec![rotate]), chain.acts(A, vec![Fields::RulePut(ending), close(own_id)]));
    chain.block(vec![rotate, ending]);

    let update = Fields::ParticipantUpdate(update(CLINIC, &[Role::Recipient, Role::DataUser]));
    chain.act(REGISTRY, vec![update, suspend(CLINIC)]);

    let event = Event { basis: Basis::Consent, cited: Some(put.rule), ..chain.event(A, Some(b_id), B) };
    let marked = chain.event(A, Some(own_id), CLINIC);
    let (event, marked) = (chain.testimony(B, vec![event]), chain.testimony(CLINIC, vec![marked]));
    chain.block(vec![event, marked]);

    let now = chain.next_time();
    chain.act(REGISTRY, vec![revoke(&key("lab sign"), Some(TimeMs(now.0 - 1000)))]);
    chain.wait(2 * 3_600_000);
    chain.block(vec![]);
    permits(&mut chain);
    lives(&mut chain);
    chain
}

/// Permits, jobs, emergencies and transfers, with what nobody did in time.
fn permits(chain: &mut Chain) {
    let permit = chain.random16();
    let terms = permit::Terms {
        user: id(USER),
        purposes: Set::new(vec![permit::Purpose::Research, permit::Purpose::Statistics]).unwrap(),
        categories: Set::new(vec![permit::Category::HealthRecords]).unwrap(),
        holders: Set::new(vec![id(A)]).unwrap(),
        environment: None,
        begins: BEGIN,
        ends: chain.next_time().plus(20 * DAY),
        form: permit::Form::Pseudonymised,
        over_opt_out: permit::Override::None,
        decision: Some(custos_proof::hash::Digest([3; 32])),
    };
    let running = permit::Issue { permit: chain.random16(), terms: terms.clone() };
    let issue = permit::Issue { permit, terms: terms.clone() };
    chain.act(BODY, vec![Fields::PermitIssue(issue), Fields::PermitIssue(running.clone())]);
    let more = permit::Terms { holders: Set::new(vec![id(A), id(B)]).unwrap(), ..terms };
    let amend = Fields::PermitAmend(permit::Amend { permit, terms: more });
    let (for_user, declaration, transfer) =
        (chain.open(A, "p", Some(USER)), chain.random16(), chain.random16());
    let (amend, opened) = (chain.acts(BODY, vec![amend]), chain.acts(A, vec![for_user.clone()]));
    chain.block(vec![amend, opened]);
    let under = Event {
        basis: Basis::Permit,
        cited: Some(permit),
        ..chain.event(A, Some(local_id_of(&for_user)), USER)
    };
    let job = job::Record {
        event: chain.random16(),
        permit,
        job: chain.random16(),
        step: job::Step::Register,
        code: Some(custos_proof::hash::Digest([4; 32])),
        parameters: None,
        nodes: Set::new(vec![id(A), id(B)]).unwrap(),
        cohort: job::Cohort::Below1000,
        opt_outs_removed: job::Precaution::Done,
        disclosure_checked: job::Precaution::Unknown,
        seal: NO_SEAL,
    };
    let by_user = vec![Fields::AccessEvent(under.clone()), Fields::JobRecord(job)];
    let declare = emergency::Declare { declaration, custodian: id(A), acting: id(A), seal: NO_SEAL };
    let unreviewed = emergency::Declare { declaration: chain.random16(), ..declare.clone() };
    let export = disclosure::Export {
        event: chain.random16(),
        transfer,
        recipient: Some(id("hospital-c")),
        agreement: None,
        recognition: None,
        from_country: Ascii::new("DE").unwrap(),
        to_country: Ascii::new("").unwrap(),
        seal: NO_SEAL,
    };
    let alone = disclosure::Export {
        event: chain.random16(),
        transfer: chain.random16(),
        recipient: Some(id("hospital-d")),
        ..export.clone()
    };
    let by_a = vec![
        Fields::EmergencyDeclare(declare),
        Fields::EmergencyDeclare(unreviewed),
        Fields::DisclosureExport(export),
        Fields::DisclosureExport(alone),
    ];
    let by_user = chain.say(USER, custos_proof::kinds::Class::Testimony, by_user);
    let by_a = chain.say(A, custos_proof::kinds::Class::Testimony, by_a);
    chain.block(vec![by_user, by_a]);
    let revoke = Fields::PermitRevoke(permit::Revoke { permit, reason: permit::Reason::Served });
    let revoke = chain.acts(BODY, vec![revoke]);
    let review = Fields::EmergencyReview(emergency::Review {
        review: chain.random16(),
        declarer: id(A),
        declaration,
        seal: NO_SEAL,
    });
    let import = Fields::DisclosureImport(disclosure::Import {
        event: chain.random16(),
        transfer,
        source: id(A),
        from_country: Ascii::new("DE").unwrap(),
        to_country: Ascii::new("FR").unwrap(),
        seal: NO_SEAL,
    });
    let correct = Fields::AccessCorrect(correct::Correct {
        correction: chain.random16(),
        prior: under.event,
        custodian: id(A),
        local_id: under.local_id,
        acting: id(USER),
        reason: correct::Reason::Content,
        seal: NO_SEAL,
    });
    let read = Fields::AuditRead(audit::Read {
        event: chain.random16(),
        custodian: id(A),
        mandate: None,
        count: 3,
        seal: NO_SEAL,
    });
    let testimony = |chain: &mut Chain, author: &str, said: Fields| {
        chain.say(author, custos_proof::kinds::Class::Testimony, vec![said])
    };
    let all = [(AUDITOR, review), ("hospital-c", import), (USER, correct), (AUDITOR, read)];
    let all = all.map(|(author, said)| testimony(chain, author, said));
    chain.block(std::iter::once(revoke).chain(all).collect());
}

/// A record's life, who speaks for its subject, holds, facts that fall due, and an erasure.
fn lives(chain: &mut Chain) {
    let open = chain.open(A, "q", None);
    let local_id = local_id_of(&open);
    let trail = custos_proof::trail::TrailName::subject(&id(A), local_id).key();
    let subject = key("the subject of the golden history");
    let named = trail::Agent {
        custodian: id(A),
        local_id,
        change: trail::Change::Add,
        key: Some(subject.public()),
        possession: Some(subject.sign_bytes(&trail::possession_preimage(
            &chain.id,
            &trail,
            &subject.public(),
        ))),
        agent: None,
        collected: Collected::InPerson,
        seal: NO_SEAL,
    };
    chain.act(A, vec![open, Fields::TrailAgent(named.clone())]);
    let agent = Fields::TrailAgent(trail::Agent {
        key: None,
        possession: None,
        agent: Some(id(OMBUDSMAN)),
        collected: Collected::Signed,
        ..named
    });
    let rule = Put { collected: Collected::Signed, ..chain.rule(A, local_id) };
    let items = vec![chain.item(agent), chain.item(Fields::RulePut(rule.clone()))];
    let mut by_subject = chain.draft(A, custos_proof::kinds::Class::Act, items);
    (by_subject.author, by_subject.key) = (Author::Subject(trail), subject);
    let ingest = record::Event {
        event: chain.random16(),
        local_id,
        record: chain.random16(),
        step: record::Step::Ingest,
        retention: Retention::Short,
        seal: NO_SEAL,
    };
    let hold =
        hold::Set { hold: chain.random16(), custodian: id(A), local_id: Some(local_id), seal: NO_SEAL };
    let held = chain.acts(AUDITOR, vec![Fields::HoldSet(hold.clone())]);
    let ingested = chain.say(A, custos_proof::kinds::Class::Testimony, vec![Fields::RecordEvent(ingest)]);
    chain.block(vec![by_subject.sign(), ingested, held]);
    let ends = Put { ends: Set::new(vec![rule.rule]).unwrap(), ..chain.rule(A, local_id) };
    let lift = hold::Lift { custodian: id(A), hold: hold.hold, local_id: hold.local_id };
    let ends = Fields::RulePut(Put { collected: Collected::Signed, ..ends });
    let (ends, lift) = (chain.acts(OMBUDSMAN, vec![ends]), chain.acts(AUDITOR, vec![Fields::HoldLift(lift)]));
    chain.block(vec![ends, lift]);
    chain.wait(8 * DAY);
    chain.block(vec![]);
    chain.wait_until(QUARTER.plus(20 * DAY));
    let erase = hold::Erase {
        local_id,
        from: 0,
        to: 5,
        retention: Retention::Short,
        before: QUARTER,
        authority: hold::Authority::RetentionEnded,
        seal: NO_SEAL,
    };
    chain.act(A, vec![Fields::PayloadErase(erase)]);
}

fn told(chain: &Chain) -> Vec<String> {
    let blocks = chain.blocks.iter().map(|block| {
        let header = &block.changes.header;
        format!("{} {} {}", block.changes.block_id, header.log_root, header.state_root)
    });
    std::iter::once(chain.id.to_string()).chain(blocks).collect()
}

#[test]
fn the_golden_history_has_not_changed() {
    let chain = history();
    // The blocks keep what the store erased.
    let submissions = chain.blocks.iter().flat_map(|block| &block.block.body);
    let kinds: BTreeSet<Kind> = submissions
        .flat_map(|bytes| Submission::decode(bytes).unwrap().items().to_vec())
        .map(|item| Item::from_bytes(&item).unwrap().kind())
        .collect();
    let facts: BTreeSet<u32> = chain
        .store
        .records()
        .iter()
        .filter_map(|new| match Record::from_bytes(&new.bytes).unwrap().entry {
            Entry::Due(due) => Some(due.rule),
            _ => None,
        })
        .collect();
    assert_eq!(facts, BTreeSet::from([1, 2, 4]), "facts of the chain have their place, too");
    let erased = chain
        .store
        .records()
        .iter()
        .filter(|new| new.item.is_none() && Record::from_bytes(&new.bytes).unwrap().as_item().is_some());
    assert_eq!(erased.count(), 1);
    assert_eq!(
        kinds.into_iter().collect::<Vec<_>>(),
        Kind::ALL,
        "every kind has its place in the golden history"
    );
    let told = told(&chain);
    assert_eq!(told, GOLDEN, "protocol version 1 has changed:\n{told:#?}");
}

#[test]
fn two_machines_compute_equal_changes_from_the_bytes_alone() {
    let chain = history();
    let start = apply::start(&chain.genesis).unwrap();
    let (mut one, mut two) = (MemoryStore::new(&start), MemoryStore::new(&start));
    for decided in &chain.blocks {
        let bytes = decided.block.to_bytes();
        let replay = |store: &mut MemoryStore| -> Changes {
            let block = Block::from_bytes(&bytes).unwrap();
            let submissions: Vec<_> = block
                .body
                .iter()
                .map(|bytes| {
                    let submission = Submission::decode(bytes).unwrap();
                    let entry = custos_proof::registry::key_key(&submission.envelope().key_id());
                    let entry = store.entry(&entry).unwrap().unwrap();
                    (submission, custos_proof::registry::KeyEntry::from_bytes(&entry).unwrap().key)
                })
                .collect();
            let verified: Vec<_> = custos_proof::submission::Verified::all(submissions, verify_batch)
                .into_iter()
                .collect::<Result<_, _>>()
                .unwrap();
            let changes = apply::check(store, &block, &verified).unwrap();
            store.commit(&changes).unwrap();
            changes
        };
        let changes = replay(&mut one);
        assert_eq!(changes, replay(&mut two));
        assert_eq!(changes, decided.changes);
    }
    assert!(one.entries().eq(two.entries()));
}

#[test]
fn applying_is_pure() {
    let mut chain = history();
    let event = chain.event(A, None, A);
    let event = chain.testimony(A, vec![event]);
    let before: Vec<_> = chain.store.entries().map(|(key, value)| (*key, value.to_vec())).collect();
    let one = chain.build(vec![event.clone()]).unwrap();
    let two = chain.build(vec![event.clone()]).unwrap();
    assert_eq!(one, two);
    assert_eq!(apply::check(&chain.store, &one.block, &[event]).unwrap(), one.changes);
    let after: Vec<_> = chain.store.entries().map(|(key, value)| (*key, value.to_vec())).collect();
    assert_eq!(before, after);
    assert_eq!(chain.store.head().unwrap().height, Height(17));
}

#[test]
fn changes_are_committed_where_they_follow_and_nowhere_else() {
    let chain = history();
    let start = apply::start(&chain.genesis).unwrap();
    let mut store = MemoryStore::new(&start);
    assert!(store.commit(&chain.blocks[1].changes).is_err());
    store.commit(&chain.blocks[0].changes).unwrap();
    assert!(store.commit(&chain.blocks[0].changes).is_err());
    let mut other = chain.blocks[1].changes.clone();
    other.header.parent.0[0] ^= 1;
    assert!(store.commit(&other).is_err());
    assert_eq!(*store.head().unwrap(), chain.blocks[0].changes.head);
}
