//! Pruning on disk: old testimony goes, and nothing that anybody proves or computes changes.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Network, id};
use custos_proof::cbor::Wire as _;
use custos_proof::hash::sha256;
use custos_proof::ids::{Height, LogIndex, Random16};
use custos_proof::item::Item;
use custos_proof::kinds::hold::{Lift, Set};
use custos_proof::kinds::{Class, Fields, Kind};
use custos_proof::merkle;
use custos_proof::record::Record;
use custos_proof::seal::Seal;
use custos_state::changes::Placed;
use custos_store::{Checks, Store, StoreError, fsck, rebuild};

const A: &str = "hospital-a";
const CHECKS: Checks = Checks { signatures: true, deep: false };

#[test]
fn a_pruned_store_and_a_whole_one_compute_the_same_blocks_and_proofs() {
    let mut network = Network::new();
    let dir = tempfile::tempdir().unwrap();
    let (whole, pruned) = (dir.path().join("whole"), dir.path().join("pruned"));
    let whole = Store::create(&whole, &network.genesis, &network.start).unwrap();
    let store = Store::create(&pruned, &network.genesis, &network.start).unwrap();
    let step = |decided: common::Decided| {
        for store in [&whole, &store] {
            // Each computes the changes for itself.
            let snapshot = store.snapshot().unwrap();
            let submissions: Vec<_> = decided
                .block
                .body
                .iter()
                .map(|bytes| {
                    let submission = custos_proof::submission::Submission::decode(bytes).unwrap();
                    let key = submission.envelope().key_id();
                    let entry = custos_state::view::View::key(&snapshot, &key).unwrap().unwrap();
                    submission.verify(&entry.key).unwrap()
                })
                .collect();
            let changes = custos_state::apply::check(&snapshot, &decided.block, &submissions).unwrap();
            assert_eq!(changes.header, decided.changes.header);
            store.commit(&changes, &decided.certificate).unwrap();
        }
    };
    for _ in 0..20 {
        step(network.varied(&whole.snapshot().unwrap()));
    }
    // Two days later the nonces of all envelopes so far are over.
    network.pace_ms = 2 * 86_400_000;
    step(network.decide(&whole.snapshot().unwrap(), vec![]));
    network.pace_ms = 1000;
    let gone = store.prune(Height(12), true, &mut |_| {}).unwrap();
    assert!(gone.items > 20 && gone.envelopes > 10, "{gone:?}");
    assert_eq!(gone.whole_from, Height(12));
    // Repeated, there is nothing left to take.
    let again = store.prune(Height(12), true, &mut |_| {}).unwrap();
    assert_eq!((again.items, again.envelopes, again.whole_from), (0, 0, Height(12)));
    for _ in 0..8 {
        step(network.varied(&whole.snapshot().unwrap()));
    }
    {
        let (whole, pruned) = (whole.snapshot().unwrap(), store.snapshot().unwrap());
        assert_eq!(whole.head(), pruned.head());
        let header = whole.header(whole.head().height).unwrap().unwrap();
        for index in (0..header.log_size.0).map(LogIndex) {
            let bytes = pruned.record(index).unwrap().unwrap();
            assert_eq!(whole.record(index).unwrap().as_ref(), Some(&bytes));
            let path = pruned.prove_record(index, header.log_size).unwrap();
            let leaf = merkle::leaf_hash(&bytes);
            assert!(merkle::verify_inclusion(&leaf, index.0, header.log_size.0, &path, &header.log_root));
            let Some(item) = whole.item(index).unwrap() else { continue };
            let old = Record::from_bytes(&bytes).unwrap().height < Height(12);
            let testimony = Item::from_bytes(&item).unwrap().kind().class() == Class::Testimony;
            let expected = (!(old && testimony)).then_some(item);
            assert_eq!(pruned.item(index).unwrap(), expected, "record {index}");
        }
        assert!(matches!(pruned.block(Height(5)), Err(StoreError::Pruned(Height(5)))));
        assert_eq!(pruned.block(Height(20)).unwrap(), whole.block(Height(20)).unwrap());
    }
    drop(store);
    let report = fsck(&pruned, &CHECKS, &mut |_| {}).unwrap();
    assert_eq!((report.items_pruned, report.envelopes_pruned), (gone.items, gone.envelopes));
    rebuild(&pruned, &mut |_| {}).unwrap();
    assert_eq!(fsck(&pruned, &CHECKS, &mut |_| {}).unwrap().items_pruned, gone.items);
}

#[test]
fn the_last_block_and_what_is_asked_for_by_time() {
    let mut network = Network::new();
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path(), &network.genesis, &network.start).unwrap();
    for _ in 0..6 {
        let decided = network.varied(&store.snapshot().unwrap());
        store.commit(&decided.changes, &decided.certificate).unwrap();
    }
    let time = |height| store.snapshot().unwrap().header(Height(height)).unwrap().unwrap().time;
    let at = |time| store.snapshot().unwrap().height_at(time).unwrap();
    assert_eq!(at(time(4)), Height(4));
    assert_eq!(at(time(3).plus(1)), Height(4));
    assert_eq!(at(custos_proof::ids::TimeMs(0)), Height(1));
    assert_eq!(at(time(6).plus(1)), Height(6));
    store.prune(Height(1000), true, &mut |_| {}).unwrap();
    assert!(store.snapshot().unwrap().block(Height(6)).unwrap().is_some(), "the head's block stays");
    assert!(matches!(store.snapshot().unwrap().block(Height(5)), Err(StoreError::Pruned(_))));
    // Nonces that may still be asked for keep their envelopes.
    drop(store);
    assert_eq!(fsck(dir.path(), &CHECKS, &mut |_| {}).unwrap().envelopes_pruned, 0);
}

#[test]
fn what_is_on_hold_stays_until_the_hold_is_lifted() {
    let mut network = Network::new();
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path(), &network.genesis, &network.start).unwrap();
    let subjects = [sha256(b"one"), sha256(b"two")];
    let decide = |network: &Network, submissions| {
        let decided = network.decide(&store.snapshot().unwrap(), submissions);
        store.commit(&decided.changes, &decided.certificate).unwrap();
    };
    let act = |network: &mut Network, kind, fields: &dyn Fn(Seal) -> Fields| {
        let item = network.item(kind, |_, seal| fields(seal));
        let act = network.acts(&store.snapshot().unwrap(), A, vec![item]);
        decide(network, vec![act]);
    };
    let opened = subjects.map(|local_id| network.open(local_id)).to_vec();
    let opened = network.acts(&store.snapshot().unwrap(), A, opened);
    decide(&network, vec![opened]);
    // One block for each subject, and one for the institution's own trail.
    let said = [Some(subjects[0]), Some(subjects[1]), None].map(|local_id| {
        let item = network.event(&store.snapshot().unwrap(), A, local_id);
        let event = network.submit(&store.snapshot().unwrap(), A, Class::Testimony, vec![item]);
        let id = event.id();
        decide(&network, vec![event]);
        let placed = store.snapshot().unwrap().submission(&id).unwrap().unwrap().placed;
        let [Placed::Here(index)] = placed[..] else { panic!("{placed:?}") };
        (id, index)
    });
    let holds = [Random16([1; 16]), Random16([2; 16])];
    let (custodian, before) = (id(A), Height(5));
    let set = |hold, local_id| {
        let custodian = custodian.clone();
        move |seal| Fields::HoldSet(Set { hold, custodian: custodian.clone(), local_id, seal })
    };
    let lift = |hold, local_id| {
        let custodian = custodian.clone();
        move |_| Fields::HoldLift(Lift { custodian: custodian.clone(), hold, local_id })
    };
    act(&mut network, Kind::HoldSet, &set(holds[0], Some(subjects[0])));
    act(&mut network, Kind::HoldSet, &set(holds[1], None));
    network.pace_ms = 2 * 86_400_000;
    decide(&network, vec![]);
    network.pace_ms = 1000;

    let kept = |what: &str, expected: [bool; 3]| {
        let snapshot = store.snapshot().unwrap();
        let items = said.map(|(_, index)| snapshot.item(index).unwrap().is_some());
        let envelopes = said.map(|(id, _)| snapshot.envelope(&id).unwrap().is_some());
        assert_eq!((items, envelopes), (expected, expected), "{what}");
    };
    // Everything of the custodian's is held: its subjects' trails, and its own.
    let pruned = store.prune(before, true, &mut |_| {}).unwrap();
    assert_eq!((pruned.items, pruned.envelopes, pruned.held), (0, 0, 3));
    assert_eq!(pruned.whole_from, Height(1), "every block can still be served");
    kept("held as a whole", [true; 3]);

    // All of them stand in the custodian's own trail too; what holds them now is the subject's.
    act(&mut network, Kind::HoldLift, &lift(holds[1], None));
    let pruned = store.prune(before, true, &mut |_| {}).unwrap();
    assert_eq!((pruned.items, pruned.envelopes, pruned.held), (2, 2, 1));
    kept("one subject's trail is held", [true, false, false]);

    act(&mut network, Kind::HoldLift, &lift(holds[0], Some(subjects[0])));
    let pruned = store.prune(before, true, &mut |_| {}).unwrap();
    assert_eq!((pruned.items, pruned.envelopes, pruned.held), (1, 1, 0));
    kept("lifted", [false; 3]);
    drop(store);
    let report = fsck(dir.path(), &CHECKS, &mut |_| {}).unwrap();
    assert_eq!((report.items_pruned, report.envelopes_pruned), (3, 3));
}
