//! What people ask a store for: blocks byte for byte, items, trails, and proofs that verify against the header.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::{HOSPITALS, Network, REGISTRY, id, items_of};
use custos_proof::cbor::Wire;
use custos_proof::hash::{Digest, ItemHash, StateKey, SubmissionId, TrailKey, sha256};
use custos_proof::header::Header;
use custos_proof::ids::{Height, LogIndex, LogSize};
use custos_proof::keys::{Signer, key_id};
use custos_proof::kinds::key::Revoke;
use custos_proof::kinds::participant::{Reason, Suspend};
use custos_proof::kinds::{Fields, Kind};
use custos_proof::merkle;
use custos_proof::record::Record;
use custos_proof::registry::{self, Policy};
use custos_proof::state_map;
use custos_proof::submission::{Author, Submission};
use custos_proof::trail::TrailName;
use custos_state::admission;
use custos_state::apply::NONCE_BUCKET_MS;
use custos_state::error::{AdmitError, RefusalCode};
use custos_state::view::View;
use custos_store::{Checks, Snapshot, Store, StoreError};

fn create(network: &Network) -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path(), &network.genesis, &network.start).unwrap();
    (dir, store)
}

#[test]
fn blocks_items_and_submissions_come_back_byte_for_byte() {
    let mut network = Network::new();
    let (_dir, store) = create(&network);
    let mut decided = Vec::new();
    for _ in 0..12 {
        let block = network.varied(&store.snapshot().unwrap());
        store.commit(&block.changes, &block.certificate).unwrap();
        decided.push(block);
    }
    let snapshot = store.snapshot().unwrap();
    let mut first = 0;
    for block in &decided {
        let height = block.block.header.height;
        assert_eq!(snapshot.block(height).unwrap().unwrap().to_bytes(), block.block.to_bytes());
        assert_eq!(snapshot.header_bytes(height).unwrap().unwrap(), block.block.header.to_bytes());
        assert_eq!(snapshot.certificate(height).unwrap().unwrap(), block.certificate);
        let summary = snapshot.block_summary(height).unwrap().unwrap();
        let ids: Vec<SubmissionId> = block.changes.submissions.iter().map(|s| s.id).collect();
        assert_eq!((summary.first, &summary.submissions), (LogIndex(first), &ids));
        for (position, submission) in (0..).zip(&block.changes.submissions) {
            assert_eq!(snapshot.envelope(&submission.id).unwrap().as_ref(), Some(&submission.envelope));
            let status = snapshot.submission(&submission.id).unwrap().unwrap();
            assert_eq!(
                (status.height, status.position, &status.placed),
                (height, position, &submission.items)
            );
        }
        for (index, record) in (first..).map(LogIndex).zip(&block.changes.records) {
            assert_eq!(snapshot.record(index).unwrap().as_ref(), Some(&record.bytes));
            assert_eq!(snapshot.item(index).unwrap(), record.item.as_ref().map(|(_, bytes)| bytes.clone()));
        }
        for (hash, bytes) in items_of(&block.block) {
            let index = snapshot.find_item(&hash).unwrap().unwrap();
            assert_eq!(snapshot.item(index).unwrap().unwrap(), bytes);
        }
        first = block.block.header.log_size.0;
    }
    assert_eq!(snapshot.block(Height(13)).unwrap(), None);
    assert_eq!(snapshot.record(LogIndex(first)).unwrap(), None);
    assert_eq!(snapshot.find_item(&ItemHash([1; 32])).unwrap(), None);
    assert_eq!(snapshot.submission(&SubmissionId([1; 32])).unwrap(), None);

    let mut names: Vec<_> = HOSPITALS.iter().chain([&REGISTRY, &"clinic"]).map(|name| id(name)).collect();
    names.sort();
    assert_eq!(snapshot.participants().unwrap(), names);
    assert_eq!(snapshot.keys(&id("clinic")).unwrap(), [key_id(&common::key("clinic sign").public_key())]);
    assert_eq!(snapshot.keys(&id("hospital-d")).unwrap().len(), 3);
    assert_eq!(snapshot.keys(&id("hospital")).unwrap(), []);
}

#[test]
fn every_proof_verifies_against_the_header() {
    let mut network = Network::new();
    let (_dir, store) = create(&network);
    let mut headers = Vec::new();
    for _ in 0..10 {
        let block = network.varied(&store.snapshot().unwrap());
        store.commit(&block.changes, &block.certificate).unwrap();
        headers.push(block.block.header);
    }
    let snapshot = store.snapshot().unwrap();
    let head = headers.last().unwrap();
    assert_eq!(snapshot.checkpoint().unwrap(), (head.log_size, head.log_root));
    let mut trails: BTreeMap<TrailKey, Vec<Digest>> = BTreeMap::new();
    for index in (0..head.log_size.0).map(LogIndex) {
        let bytes = snapshot.record(index).unwrap().unwrap();
        let leaf = merkle::leaf_hash(&bytes);
        for header in headers.iter().filter(|header| header.log_size.0 > index.0) {
            let path = snapshot.prove_record(index, header.log_size).unwrap();
            assert!(merkle::verify_inclusion(&leaf, index.0, header.log_size.0, &path, &header.log_root));
        }
        for listing in Record::from_bytes(&bytes).unwrap().listings() {
            let trail = trails.entry(listing.trail).or_default();
            assert_eq!(trail.len() as u64, listing.position);
            trail.push(leaf);
        }
    }
    for (old, new) in headers.iter().flat_map(|old| headers.iter().map(move |new| (old, new))) {
        match snapshot.prove_consistency(old.log_size, new.log_size) {
            Ok(path) => {
                assert!(merkle::verify_consistency(
                    old.log_size.0,
                    &old.log_root,
                    new.log_size.0,
                    &new.log_root,
                    &path
                ));
            }
            Err(error) => assert!(old.log_size > new.log_size && matches!(error, StoreError::OutOfRange(_))),
        }
    }
    assert!(trails.len() > 5);
    for (trail, leaves) in &trails {
        check_trail(&snapshot, head, trail, leaves, &[(0, leaves.len()), (1, 2), (0, 1)]);
    }
    let absent = StateKey([9; 32]);
    let (value, proof) = snapshot.prove_entry(&absent).unwrap();
    assert_eq!(value, None);
    assert!(state_map::verify(&head.state_root, &absent, None, &proof));
    for error in [
        snapshot.prove_record(LogIndex(0), LogSize(head.log_size.0 + 1)).unwrap_err(),
        snapshot.prove_record(LogIndex(head.log_size.0), head.log_size).unwrap_err(),
        snapshot.log_root(LogSize(u64::MAX)).unwrap_err(),
        snapshot.prove_trail(&TrailKey([1; 32]), 0, 1, 1).unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::OutOfRange(_)), "{error}");
    }
}

fn check_trail(
    snapshot: &Snapshot<'_>,
    header: &Header,
    trail: &TrailKey,
    leaves: &[Digest],
    ranges: &[(usize, usize)],
) {
    let size = leaves.len() as u64;
    let key = registry::trail_key(trail);
    let (value, proof) = snapshot.prove_entry(&key).unwrap();
    assert!(state_map::verify(&header.state_root, &key, value.as_deref(), &proof));
    let head = snapshot.trail_head(trail).unwrap().unwrap();
    assert_eq!(head.size, size);
    for (begin, end) in ranges.iter().map(|(begin, end)| (*begin, (*end).min(leaves.len()))) {
        if begin >= end {
            continue;
        }
        let entries = snapshot.trail(trail, begin as u64, end as u64).unwrap();
        let found: Vec<Digest> = entries.iter().map(|entry| merkle::leaf_hash(&entry.record)).collect();
        assert_eq!(found, leaves[begin..end]);
        let path = snapshot.prove_trail(trail, begin as u64, end as u64, size).unwrap();
        assert!(
            merkle::verify_range(begin as u64, &found, size, &path, &head.root),
            "{begin}..{end} of {size}"
        );
    }
}

#[test]
fn log_and_trails_beyond_65536_records_have_tiles_that_prove() {
    let mut network = Network::new();
    let (dir, store) = create(&network);
    let mut leaves = Vec::new();
    let mut headers = Vec::new();
    // 70 blocks of 950: no boundary of a tile is that of a block.
    for _ in 0..70 {
        let submission = network.accesses(&store.snapshot().unwrap(), "hospital-b", 950);
        let block = network.decide(&store.snapshot().unwrap(), vec![submission]);
        store.commit(&block.changes, &block.certificate).unwrap();
        leaves.extend(block.changes.records[1..].iter().map(|record| record.leaf));
        headers.push(block.block.header);
    }
    let head = headers.last().unwrap();
    assert!(head.log_size.0 > 65_536 && leaves.len() > 65_536);
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.log_root(head.log_size).unwrap(), head.log_root);
    for index in [0, 1, 255, 256, 257, 4_095, 65_535, 65_536, 65_537, head.log_size.0 - 1] {
        let leaf = merkle::leaf_hash(&snapshot.record(LogIndex(index)).unwrap().unwrap());
        for header in headers.iter().filter(|header| header.log_size.0 > index).step_by(9) {
            let path = snapshot.prove_record(LogIndex(index), header.log_size).unwrap();
            assert!(merkle::verify_inclusion(&leaf, index, header.log_size.0, &path, &header.log_root));
        }
    }
    let trail = TrailName::institution(&id("hospital-b")).key();
    let ranges = [(0, 1), (255, 257), (511, 2_000), (65_500, 65_600), (66_000, 66_500), (30_000, 31_000)];
    check_trail(&snapshot, head, &trail, &leaves, &ranges);
    // An earlier size of the trail is a prefix, with the same tiles.
    for size in [256, 300, 65_536, 65_537] {
        let root = merkle::root_of(&leaves[..size]);
        let path = snapshot.prove_trail(&trail, 100, 200, size as u64).unwrap();
        assert!(merkle::verify_range(100, &leaves[100..200], size as u64, &path, &root));
    }
    drop(snapshot);
    drop(store);
    let mut last = 0;
    let report =
        custos_store::fsck(dir.path(), &Checks { signatures: false, deep: false }, &mut |progress| {
            assert!(progress.done >= last && progress.done <= progress.total);
            last = progress.done;
        })
        .unwrap();
    assert_eq!((report.blocks, report.records), (70, head.log_size.0));
}

#[test]
fn a_snapshot_stays_what_it_was() {
    let mut network = Network::new();
    let (_dir, store) = create(&network);
    let first = network.varied(&store.snapshot().unwrap());
    store.commit(&first.changes, &first.certificate).unwrap();
    let old = store.snapshot().unwrap();
    let trail = TrailName::institution(&id("hospital-a")).key();
    let key = registry::trail_key(&trail);
    let before = (old.head().clone(), old.prove_entry(&key).unwrap(), old.trail(&trail, 0, 100).unwrap());
    for _ in 0..8 {
        let block = network.varied(&store.snapshot().unwrap());
        store.commit(&block.changes, &block.certificate).unwrap();
    }
    assert_eq!(
        (old.head().clone(), old.prove_entry(&key).unwrap(), old.trail(&trail, 0, 100).unwrap()),
        before
    );
    let (value, proof) = before.1;
    assert!(state_map::verify(&first.block.header.state_root, &key, value.as_deref(), &proof));
    assert_eq!(old.header(Height(2)).unwrap(), None);
    assert_eq!(old.log_root(first.block.header.log_size).unwrap(), first.block.header.log_root);
    assert_eq!(store.snapshot().unwrap().head().height, Height(9));
}

/// The code with which a submission is refused at the snapshot's head, if it is.
fn refused(snapshot: &Snapshot<'_>, submission: &Submission) -> Option<RefusalCode> {
    match admission::admit(snapshot, snapshot.head().time.plus(1), submission) {
        Ok(_) => None,
        Err(AdmitError::Refused(refusal)) => Some(refusal.code),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn what_a_block_takes_back_is_refused_from_the_next_one_on() {
    let mut network = Network::new();
    let (_dir, store) = create(&network);
    let commit = |decided: common::Decided| store.commit(&decided.changes, &decided.certificate).unwrap();
    let now = || store.snapshot().unwrap();
    // A clinic with two keys.
    let items = vec![network.register("clinic"), network.add_key("clinic", "clinic sign")];
    let block = network.acts(&now(), REGISTRY, items);
    commit(network.decide(&now(), vec![block]));
    let testimony = network.accesses(&now(), "clinic", 1);
    let letter = vec![network.open(sha256(b"a subject"))];
    let act = network.acts(&now(), "clinic", letter);
    let both = |snapshot: &Snapshot<'_>| (refused(snapshot, &testimony), refused(snapshot, &act));
    // Asked before, so that everything is at hand; twice, so that it comes from there.
    let good = now();
    assert_eq!((both(&good), both(&good)), ((None, None), (None, None)));

    let suspend = |_: &mut Network, _| {
        Fields::ParticipantSuspend(Suspend { id: id("clinic"), reason: Reason::Unspecified })
    };
    let suspend = network.item(Kind::ParticipantSuspend, suspend);
    let suspend = network.acts(&now(), REGISTRY, vec![suspend]);
    let decided = network.decide(&now(), vec![suspend]);
    assert_eq!(both(&now()), (None, None), "decided is not committed");
    commit(decided);
    let suspended = now();
    assert_eq!(both(&suspended), (None, Some(RefusalCode::SuspendedAuthor)));
    assert_eq!(both(&good), (None, None), "a reader at the earlier height is in its own time");
    assert_eq!(both(&suspended), (None, Some(RefusalCode::SuspendedAuthor)), "and has left no trace");

    let clinic = key_id(&common::key("clinic sign").public_key());
    let revoke = Revoke { key: clinic, reason: Reason::Unspecified, compromised_from: None };
    let revoke = network.item(Kind::KeyRevoke, |_, _| Fields::KeyRevoke(revoke));
    let revoke = network.acts(&now(), REGISTRY, vec![revoke]);
    commit(network.decide(&now(), vec![revoke]));
    let revoked = now();
    assert_eq!(refused(&revoked, &testimony), Some(RefusalCode::RevokedKey));
    assert_eq!(both(&suspended), (None, Some(RefusalCode::SuspendedAuthor)));
    assert_eq!(both(&good), (None, None));
    assert_eq!(refused(&revoked, &testimony), Some(RefusalCode::RevokedKey));
    for snapshot in [good, suspended, revoked] {
        for key in [registry::key_key(&clinic), registry::participant_key(&id("clinic"))] {
            let (value, proof) = snapshot.prove_entry(&key).unwrap();
            assert!(state_map::verify(&snapshot.head().state_root, &key, value.as_deref(), &proof));
        }
        let bytes = snapshot.entry(&registry::key_key(&clinic)).unwrap();
        assert_eq!(snapshot.key(&clinic).unwrap().map(|entry| entry.to_bytes()), bytes);
    }
}

#[test]
fn a_policy_holds_from_the_block_after_the_one_that_changes_it() {
    let mut network = Network::new();
    let (_dir, store) = create(&network);
    let soon = network.accesses(&store.snapshot().unwrap(), "hospital-a", 1);
    let before = store.snapshot().unwrap();
    assert_eq!((refused(&before, &soon), refused(&before, &soon)), (None, None));
    // The store takes what changes say: the rules of which kind may say it are elsewhere.
    let mut decided = network.decide(&before, vec![]);
    let policy = Policy { version: 2, max_lifetime_ms: 1000, ..network.genesis.policy.clone() };
    decided.changes.entries.push((registry::policy_key(), Some(policy.to_bytes())));
    store.commit(&decided.changes, &decided.certificate).unwrap();
    let after = store.snapshot().unwrap();
    assert_eq!(refused(&after, &soon), Some(RefusalCode::TooFarAhead));
    assert_eq!(*after.policy().unwrap().unwrap(), policy);
    assert_eq!(refused(&before, &soon), None);
    assert_eq!(*before.policy().unwrap().unwrap(), network.genesis.policy);
    assert_eq!(refused(&after, &soon), Some(RefusalCode::TooFarAhead));
}

/// Ends the reader, also when the writer panics.
struct Ended<'a>(&'a std::sync::atomic::AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

#[test]
fn a_reader_in_another_thread_sees_whole_blocks_only() {
    let mut network = Network::new();
    let (_dir, store) = create(&network);
    let done = std::sync::atomic::AtomicBool::new(false);
    let author = Author::Participant(id("hospital-a"));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let snapshot = store.snapshot().unwrap();
                let head = snapshot.head().clone();
                assert_eq!(state_map::root(&snapshot).unwrap(), head.state_root);
                // Each block changes this one; a reader that met another block's would see it here.
                let bucket = (head.time.0 + 1_801_000) / NONCE_BUCKET_MS;
                for bucket in [bucket - 1, bucket] {
                    let bytes = snapshot.entry(&registry::nonce_key(&author, bucket)).unwrap();
                    let decoded = snapshot.nonce_bucket(&author, bucket).unwrap();
                    assert_eq!(decoded.map(|entry| entry.to_bytes()), bytes, "at {}", head.height);
                }
                if head.height > Height(0) {
                    let header = snapshot.header(head.height).unwrap().unwrap();
                    assert_eq!(header.block_id(), head.block_id);
                    assert_eq!(snapshot.log_root(head.log_size).unwrap(), header.log_root);
                    assert_eq!(snapshot.record(LogIndex(head.log_size.0)).unwrap(), None);
                    assert_eq!(snapshot.header(head.height.next()).unwrap(), None);
                }
                seen = seen.max(head.height.0);
            }
            seen
        });
        let ended = Ended(&done);
        for _ in 0..40 {
            let block = network.varied(&store.snapshot().unwrap());
            store.commit(&block.changes, &block.certificate).unwrap();
        }
        drop(ended);
        assert!(reader.join().unwrap() <= 40);
    });
    let stats = store.stats().unwrap();
    assert_eq!((stats.commits, stats.synced_writes, stats.height), (40, 40, Height(40)));
}
