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
use custos_proof::cbor::{Set, Wire};
use custos_proof::header::Block;
use custos_proof::ids::{Height, TimeMs};
use custos_proof::item::Item;
use custos_proof::keys::KeyPurpose;
use custos_proof::kinds::access::{Basis, Event, Late};
use custos_proof::kinds::rule::Put;
use custos_proof::kinds::{Fields, Kind};
use custos_proof::registry::Role;
use custos_proof::submission::Submission;
use custos_state::apply;
use custos_state::changes::Changes;
use custos_state::memory::MemoryStore;
use custos_state::view::View;

const A: &str = "hospital-a";
const B: &str = "hospital-b";

/// The chain, then each block's id, log root and state root.
const GOLDEN: &[&str] = &[
    "1e6e2f2b61d27b50a275faa88b69248381530686b21a1250afdbe0f419d71d4a",
    "fb5c66418aeed08bec3c50a195af42fb0b35049e14069353a10919200ca0d564 \
     7324d4ff72dfefc76d8f4c55f904d0a72a7b21008ee90d998046e05b248666dd \
     6c14c9e1683ac9b00f08b4349fe1fe05849babe5feb5618a53cc333ccaf9c109",
    "e45967416ee2164bb3496c0812ba51da7ce4ae4b9a5804e95da35f7aed1816de \
     70ca384809acdbd3aad5c32458998c9eda3dc2df2832e6bf1051c9f9a5d25a7c \
     9d4d30ff1ad5d622aad8e03bbc949d213603fbfe885ee30fa40b2748e86d7f2b",
    "37371351f92d6e61fb398d9baa2ad1b5f481a63b4c10b025768b7452202c0f0d \
     f456287f7a65df1d0723a82251905a2ae4e1e415f11f0d5f46d872d642600843 \
     99c772342b2e71afbb621f3c9c2dfcf6ea6043c85c73e389156ab3ac333ab43f",
    "a52422413a45c93872590c50a29642dab1183f4fd9a260fe16cbd75d6edcc8ed \
     443104d72f3431930cb49da59610cb1910906020c0279b34a93ceb2c424eeb23 \
     31bb650f1bf9bf89522a84327b8f5d64c4ba971e848e2ad3fa3b77c883fe03f4",
    "09764036279af188ec9e1876ede4705cd7289140a0fcee5bce51e53dca8b16fb \
     c2ece9e1d878ed59adb87d7ee5e079f295aae3c6139b1533908065fb296c877a \
     9614f4d20114c8cdbcc946297cb4e37b3ee552441441f6062158ce147a1a3851",
    "dd7fc9bff24b0255bdbfb709ab81bc05cc5f73c14cfbfed213475c0c4c87fd77 \
     c8684d46318f53674f631c298c4b4d70c4161344fb2d58964263c074d05a113c \
     3d02ddde30b2ca37c65357dcc9e2c4bf7bf3f3003886fdf582130ea2a4870028",
    "86d1de06bdbb164111dc2e956018206f97c78f5396124a3a0f08c3b5912becc7 \
     c0021c87849da4ead9e3f19c30cedb2084b0186153dac1f26c4f48fdd766aea8 \
     2fae7ebce970ae319096a8c1e3cf6a574b4126627cec7495387702a2b086bec4",
    "c37a8135a3b8f7de37b5784c717475e540493efa484d2ed0a59ecba2daddcd99 \
     24ac5fb5c22cf6a10e2097788583e7e286a0bbb967ee263c32581d3dc6a0ed61 \
     55f5dfa0fc71cc0a5128d96cde9b4e5f09e3d9fa074a390f8a07482af3383747",
];

/// A history in which every kind occurs, in several ways.
fn history() -> Chain {
    let mut chain = Chain::begin("golden history", BEGIN);
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
    chain
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
    let kinds: BTreeSet<Kind> = chain
        .store
        .records()
        .iter()
        .filter_map(|new| new.item.as_ref())
        .map(|(_, item)| Item::from_bytes(item).unwrap().kind())
        .collect();
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
    assert_eq!(chain.store.head().unwrap().height, Height(8));
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
