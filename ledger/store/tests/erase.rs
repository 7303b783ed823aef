//! `payload.erase` on disk: items go, and nothing else does.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Network, id};
use custos_proof::hash::{Digest, sha256};
use custos_proof::ids::{FAR, Height, LogIndex};
use custos_proof::kinds::access::{Basis, Event, Late, Retention};
use custos_proof::kinds::hold::{Authority, Erase};
use custos_proof::kinds::{Class, Fields, Kind};
use custos_proof::merkle;
use custos_proof::trail::TrailName;
use custos_state::changes::Placed;
use custos_store::{Checks, Store, StoreError, fsck, rebuild};

const A: &str = "hospital-a";
const MONTH: u64 = 31 * 86_400_000;
const CHECKS: Checks = Checks { signatures: true, deep: false };

fn event(network: &mut Network, local_id: Digest, retention: Retention) -> Vec<u8> {
    network.item(Kind::AccessEvent, |network, seal| {
        Fields::AccessEvent(Event {
            event: network.random16(),
            custodian: id(A),
            local_id: Some(local_id),
            acting: id(A),
            basis: Basis::Law,
            cited: None,
            at_height: Height(1),
            late: Late::None,
            retention,
            stream: 0,
            sequence: 0,
            seal,
        })
    })
}

#[test]
fn erased_items_are_gone_and_every_proof_fsck_and_rebuild_hold() {
    let mut network = Network::new();
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path(), &network.genesis, &network.start).unwrap();
    let local_id = sha256(b"subject");
    let commit = |store: &Store, decided: &common::Decided| {
        store.commit(&decided.changes, &decided.certificate).unwrap();
    };

    let opened = vec![network.open(local_id)];
    let opened = network.acts(&store.snapshot().unwrap(), A, opened);
    let decided = network.decide(&store.snapshot().unwrap(), vec![opened]);
    commit(&store, &decided);
    let short = event(&mut network, local_id, Retention::Short);
    let items = vec![short.clone(), event(&mut network, local_id, Retention::Long)];
    let both = network.submit(&store.snapshot().unwrap(), A, Class::Testimony, items);
    let id_of_both = both.id();
    let decided = network.decide(&store.snapshot().unwrap(), vec![both]);
    commit(&store, &decided);
    let placed = store.snapshot().unwrap().submission(&id_of_both).unwrap().unwrap().placed;
    let [Placed::Here(first), Placed::Here(second)] = placed[..] else { panic!("{placed:?}") };

    network.pace_ms = MONTH;
    let decided = network.decide(&store.snapshot().unwrap(), vec![]);
    commit(&store, &decided);
    network.pace_ms = 1000;
    let order = vec![network.item(Kind::PayloadErase, |_, seal| {
        let (retention, authority) = (Retention::Short, Authority::Court);
        Fields::PayloadErase(Erase { local_id, from: 0, to: 3, retention, before: FAR, authority, seal })
    })];
    let order = network.acts(&store.snapshot().unwrap(), A, order);
    let decided = network.decide(&store.snapshot().unwrap(), vec![order]);
    assert_eq!(decided.changes.erasures.len(), 1);
    let before = store.snapshot().unwrap().item(first).unwrap();
    assert_eq!(before.as_ref(), Some(&short));
    commit(&store, &decided);

    let judged = |store: &Store| {
        let snapshot = store.snapshot().unwrap();
        let head = snapshot.head().clone();
        assert_eq!(snapshot.item(first).unwrap(), None, "erased");
        assert!(snapshot.item(second).unwrap().is_some(), "of another class");
        assert!(snapshot.envelope(&id_of_both).unwrap().is_some(), "who signed what stays provable");
        assert!(matches!(snapshot.block(Height(2)), Err(StoreError::Pruned(_))));
        assert!(snapshot.block(Height(4)).unwrap().is_some());
        let header = snapshot.header(head.height).unwrap().unwrap();
        for index in 0..head.log_size.0 {
            let record = snapshot.record(LogIndex(index)).unwrap().unwrap();
            let path = snapshot.prove_record(LogIndex(index), head.log_size).unwrap();
            let leaf = merkle::leaf_hash(&record);
            assert!(merkle::verify_inclusion(&leaf, index, head.log_size.0, &path, &header.log_root));
        }
        let trail = TrailName::subject(&id(A), local_id).key();
        assert_eq!(snapshot.trail(&trail, 0, 10).unwrap().len(), 4, "every entry is counted");
    };
    judged(&store);
    // The erased event, sent again, is still answered by its record.
    let again = network.submit(&store.snapshot().unwrap(), A, Class::Testimony, vec![short]);
    let id_of_again = again.id();
    let decided = network.decide(&store.snapshot().unwrap(), vec![again]);
    commit(&store, &decided);
    let placed = store.snapshot().unwrap().submission(&id_of_again).unwrap().unwrap().placed;
    assert_eq!(placed, [Placed::Before(first)]);
    drop(store);
    assert_eq!(fsck(dir.path(), &CHECKS, &mut |_| {}).unwrap().items_pruned, 1);
    rebuild(dir.path(), &mut |_| {}).unwrap();
    assert_eq!(fsck(dir.path(), &CHECKS, &mut |_| {}).unwrap().items_pruned, 1);
    judged(&Store::open(dir.path()).unwrap());
}
