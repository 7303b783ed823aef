//! Snapshots: what comes back is the ledger that was copied, and nothing else ever comes back.
//!
//! The forger here knows the frame (he hashes anew what he changed), and nothing of the code that reads
//! it: he patches bytes in the file, by offsets that the frame's documentation gives.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::Network;
use custos_proof::anchor::{Recency, TrustAnchor};
use custos_proof::cbor::Wire as _;
use custos_proof::genesis::Genesis;
use custos_proof::hash::sha256;
use custos_proof::ids::{Height, LogIndex};
use custos_proof::trail::TrailName;
use custos_store::portable::{self, Proven, SnapshotError};
use custos_store::{Checks, Store, StoreError, fsck};

const BLOCKS: u64 = 24;
/// Where the child finds what it restores, and in which stage it dies.
const DIR: &str = "CUSTOS_PORTABLE_TEST_DIR";
const STAGE: &str = "CUSTOS_PORTABLE_TEST_STAGE";

struct World {
    dir: tempfile::TempDir,
    network: Network,
}

impl World {
    /// A store with blocks of everything.
    fn new() -> Self {
        let network = Network::new();
        let dir = tempfile::tempdir().unwrap();
        let mut world = Self { dir, network };
        let store =
            Store::create(&world.path("store"), &world.network.genesis, &world.network.start).unwrap();
        world.go_on(&store, BLOCKS);
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn go_on(&mut self, store: &Store, blocks: u64) {
        for _ in 0..blocks {
            let decided = self.network.varied(&store.snapshot().unwrap());
            store.commit(&decided.changes, &decided.certificate).unwrap();
        }
    }

    fn anchor(&self) -> TrustAnchor {
        TrustAnchor::from_genesis(&self.network.genesis).unwrap()
    }

    fn create(&self, store: &Store, to: &str) -> PathBuf {
        let to = self.path(to);
        let made = portable::create(&store.snapshot().unwrap(), &to, &mut |_| {}).unwrap();
        assert_eq!(made.manifest.height, store.head().height);
        made.path
    }

    fn verify(&self, from: &Path) -> Result<Proven, SnapshotError> {
        let scratch = self.path("scratch");
        let proven = portable::verify(from, &scratch, &self.anchor(), &Recency::default(), &mut |_| {});
        assert!(!scratch.exists(), "something was left behind");
        proven
    }

    fn restore(&self, from: &Path, to: &str) -> Result<Store, SnapshotError> {
        let to = self.path(to);
        portable::restore(from, &to, &self.anchor(), &Recency::default(), &mut |_| {})?;
        Ok(Store::open(&to)?)
    }
}

/// The two answer everything alike.
fn assert_same(one: &Store, other: &Store) {
    let (one, other) = (one.snapshot().unwrap(), other.snapshot().unwrap());
    assert_eq!(one.head(), other.head());
    for height in (1..=one.head().height.0).map(Height) {
        assert_eq!(one.header_bytes(height).unwrap(), other.header_bytes(height).unwrap());
        assert_eq!(one.certificate(height).unwrap(), other.certificate(height).unwrap());
        assert_eq!(one.block_summary(height).unwrap(), other.block_summary(height).unwrap());
        match (one.block(height), other.block(height)) {
            (Ok(one), Ok(other)) => assert_eq!(one, other),
            (Err(StoreError::Pruned(_)), Err(StoreError::Pruned(_))) => {}
            differ => panic!("{differ:?}"),
        }
    }
    for index in (0..one.head().log_size.0).map(LogIndex) {
        assert_eq!(one.record(index).unwrap(), other.record(index).unwrap());
        assert_eq!(one.item(index).unwrap(), other.item(index).unwrap());
    }
    for participant in one.participants().unwrap() {
        assert_eq!(one.keys(&participant).unwrap(), other.keys(&participant).unwrap());
        let trail = TrailName::institution(&participant).key();
        assert_eq!(one.trail(&trail, 0, 1000).unwrap(), other.trail(&trail, 0, 1000).unwrap());
    }
    assert_eq!(one.whole_from().unwrap(), other.whole_from().unwrap());
}

#[test]
fn a_restored_store_is_the_one_that_was_copied_and_goes_on() {
    let mut world = World::new();
    let store = Store::open(&world.path("store")).unwrap();
    let file = world.create(&store, "a.snapshot");
    // What is committed later is not in it.
    world.go_on(&store, 2);
    let proven = world.verify(&file).unwrap();
    assert_eq!(proven.height, Height(BLOCKS));
    assert_eq!((proven.report.blocks, proven.report.items_pruned), (BLOCKS, 0));
    assert!(proven.report.signatures > 2 * BLOCKS);

    let restored = world.restore(&file, "restored").unwrap();
    assert_eq!(restored.head().height, Height(BLOCKS));
    // It takes the blocks that it missed, and then both are alike.
    for height in (BLOCKS + 1..=BLOCKS + 2).map(Height) {
        let block = store.snapshot().unwrap().block(height).unwrap().unwrap();
        let certificate = store.snapshot().unwrap().certificate(height).unwrap().unwrap();
        let submissions: Vec<_> = block
            .body
            .iter()
            .map(|bytes| {
                let submission = custos_proof::submission::Submission::decode(bytes).unwrap();
                let key = submission.envelope().key_id();
                let entry =
                    custos_state::view::View::key(&restored.snapshot().unwrap(), &key).unwrap().unwrap();
                submission.verify(&entry.key).unwrap()
            })
            .collect();
        let changes =
            custos_state::apply::check(&restored.snapshot().unwrap(), &block, &submissions).unwrap();
        restored.commit(&changes, &certificate).unwrap();
    }
    assert_same(&store, &restored);
    drop(restored);
    let checks = Checks { signatures: true, deep: true };
    assert_eq!(fsck(&world.path("restored"), &checks, &mut |_| {}).unwrap().replayed, BLOCKS + 2);
}

#[test]
fn a_chain_without_blocks_and_one_whose_items_are_gone_come_back_too() {
    let mut world = World::new();
    let begun = Store::create(&world.path("begun"), &world.network.genesis, &world.network.start).unwrap();
    let file = world.create(&begun, "begun.snapshot");
    assert_same(&begun, &world.restore(&file, "begun again").unwrap());

    let store = Store::open(&world.path("store")).unwrap();
    let pruned = store.prune(Height(15), false, &mut |_| {}).unwrap();
    assert!(pruned.items > 20 && pruned.envelopes == 0, "{pruned:?}");
    let file = world.create(&store, "pruned.snapshot");
    let proven = world.verify(&file).unwrap();
    assert_eq!(proven.report.items_pruned, pruned.items);
    let restored = world.restore(&file, "pruned again").unwrap();
    assert_same(&store, &restored);
    assert_eq!(restored.snapshot().unwrap().whole_from().unwrap(), pruned.whole_from);
    world.go_on(&restored, 3);
    drop(restored);
    fsck(&world.path("pruned again"), &Checks::default(), &mut |_| {}).unwrap();
}

#[test]
fn a_second_backup_into_a_folder_writes_what_is_new() {
    let mut world = World::new();
    let store = Store::open(&world.path("store")).unwrap();
    let first = world.create(&store, "backups/");
    world.go_on(&store, 1);
    let second = world.create(&store, "backups/");
    assert_ne!(first, second);
    let made = portable::create(&store.snapshot().unwrap(), &world.path("backups/"), &mut |_| {}).unwrap();
    assert_eq!(made.new_bytes, 0, "all of it was there");
    assert_eq!(world.verify(&first).unwrap().height, Height(BLOCKS));
    assert_eq!(world.verify(&second).unwrap().height, Height(BLOCKS + 1));
    // The folder itself stands for its newest.
    assert_eq!(world.verify(&world.path("backups")).unwrap().height, Height(BLOCKS + 1));
    assert_eq!(portable::thin_out(&world.path("backups"), 1).unwrap(), 1);
    assert!(!first.exists());
    assert_same(&store, &world.restore(&second, "restored").unwrap());
    // Every chunk of it that goes or changes is missed.
    for entry in fs::read_dir(world.path("backups/chunks")).unwrap() {
        let path = entry.unwrap().path();
        let whole = fs::read(&path).unwrap();
        let mut changed = whole.clone();
        changed[whole.len() / 2] ^= 4;
        for content in [None, Some(&changed[..]), Some(&whole[..whole.len() - 1])] {
            match content {
                None => fs::remove_file(&path).unwrap(),
                Some(content) => fs::write(&path, content).unwrap(),
            }
            assert!(matches!(world.verify(&second), Err(SnapshotError::Chunk(..))));
        }
        fs::write(&path, whole).unwrap();
    }
    world.verify(&second).unwrap();
}

#[test]
fn any_flipped_bit_and_any_cut_is_found_and_nothing_is_put_in_place() {
    let world = World::new();
    let store = Store::open(&world.path("store")).unwrap();
    let whole = fs::read(world.create(&store, "a.snapshot")).unwrap();
    let bad = world.path("bad.snapshot");
    let judge = |bytes: &[u8], what: &str| {
        fs::write(&bad, bytes).unwrap();
        match world.restore(&bad, "never") {
            Err(error) => assert!(error.is_evidence(), "{what}: {error}"),
            Ok(_) => panic!("{what}: restored"),
        }
        assert!(!world.path("never").exists() && !world.path("never.restoring").exists(), "{what}");
    };
    // Everything is under a hash that is under the manifest's; so a sample finds what all would.
    let step = (whole.len() / 79).max(1);
    let ends = (0..64).chain(whole.len() - 200..whole.len());
    for at in (0..whole.len()).step_by(step).chain(ends) {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        judge(&changed, &format!("a bit of byte {at}"));
    }
    for length in (0..whole.len()).step_by(step * 5).chain([whole.len() - 1]) {
        judge(&whole[..length], &format!("cut to {length}"));
    }
    judge(&[&whole[..], b"x"].concat(), "a byte more");
}

/// Changes one byte of a chunk and makes the frame fit again.
fn forged(file: &[u8], at: usize) -> Vec<u8> {
    const MAGIC: usize = 20;
    let mut bytes = file.to_vec();
    let manifest_len =
        u64::from_be_bytes(bytes[bytes.len() - 40..bytes.len() - 32].try_into().unwrap()) as usize;
    let manifest_at = bytes.len() - 40 - manifest_len;
    // Chunks are found by their hashes: as long a stretch as has a hash that the manifest names.
    let mut begin = MAGIC;
    let (begin, end) = loop {
        let end = chunk_end(&bytes, begin, manifest_at);
        if (begin..end).contains(&at) {
            break (begin, end);
        }
        begin = end;
    };
    let old = sha256(&bytes[begin..end]).0;
    bytes[at] ^= 1;
    let new = sha256(&bytes[begin..end]).0;
    let place = (manifest_at..=bytes.len() - 72).find(|place| bytes[*place..*place + 32] == old).unwrap();
    bytes[place..place + 32].copy_from_slice(&new);
    let hash = sha256(&bytes[manifest_at..manifest_at + manifest_len]).0;
    let end = bytes.len();
    bytes[end - 32..].copy_from_slice(&hash);
    bytes
}

/// Where the CBOR array that begins at `begin` ends: heads only, as RFC 8949 has them.
fn chunk_end(bytes: &[u8], begin: usize, limit: usize) -> usize {
    fn item(bytes: &[u8], at: usize) -> usize {
        let (major, short) = (bytes[at] >> 5, bytes[at] & 31);
        let wide = match short {
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => 0,
        };
        let value = match wide {
            0 => u64::from(short),
            _ => bytes[at + 1..at + 1 + wide].iter().fold(0, |value, byte| value << 8 | u64::from(*byte)),
        } as usize;
        let after = at + 1 + wide;
        match major {
            0 => after,
            2 | 3 => after + value,
            4 => (0..value).fold(after, |at, _| item(bytes, at)),
            other => panic!("major type {other}"),
        }
    }
    let end = item(bytes, begin);
    assert!(end <= limit);
    end
}

#[test]
fn a_forger_who_hashes_anew_what_he_changed_is_found_by_recomputing() {
    let world = World::new();
    let store = Store::open(&world.path("store")).unwrap();
    store.prune(Height(9), false, &mut |_| {}).unwrap();
    let whole = fs::read(world.create(&store, "a.snapshot")).unwrap();
    let manifest_len =
        u64::from_be_bytes(whole[whole.len() - 40..whole.len() - 32].try_into().unwrap()) as usize;
    let end = whole.len() - 40 - manifest_len;
    let bad = world.path("forged.snapshot");
    for at in (20..end).step_by((end / 60).max(1)) {
        fs::write(&bad, forged(&whole, at)).unwrap();
        let error = world.verify(&bad).expect_err(&format!("byte {at} of {end}"));
        assert!(error.is_evidence(), "byte {at}: {error}");
        assert!(!matches!(error, SnapshotError::Chunk(_, ref why) if why.contains("hash")), "{error}");
    }
}

#[test]
fn another_chain_an_anchor_of_later_and_another_history_are_not_believed() {
    let mut world = World::new();
    let store = Store::open(&world.path("store")).unwrap();
    let file = world.create(&store, "a.snapshot");
    let header = store.snapshot().unwrap().header(Height(10)).unwrap().unwrap();
    let judge = |anchor: &TrustAnchor| {
        portable::verify(&file, &world.path("scratch"), anchor, &Recency::default(), &mut |_| {})
    };
    let mut later = world.anchor();
    (later.height, later.block_id, later.time) = (header.height, header.block_id(), header.time);
    assert_eq!(judge(&later).unwrap().height, Height(BLOCKS));
    let mut fork = later.clone();
    fork.block_id.0[0] ^= 1;
    let error = judge(&fork).unwrap_err();
    assert!(error.is_evidence(), "{error}");
    let mut other = world.anchor();
    other.chain.0[0] ^= 1;
    let error = judge(&other).unwrap_err();
    assert!(!error.is_evidence(), "{error}");
    let mut ahead = world.anchor();
    ahead.height = Height(BLOCKS + 1);
    assert!(matches!(judge(&ahead), Err(SnapshotError::AnchorAhead { .. })));
    // Long after the anchor, keys that were retired since could have signed it.
    let mut old = world.anchor();
    old.time.0 -= 91 * 86_400_000;
    let error = judge(&old).unwrap_err();
    assert!(!error.is_evidence() && error.to_string().contains("keys retired"), "{error}");
    world.go_on(&store, 1);
}

/// Not a test by itself: the process that dies.
#[test]
#[ignore = "the child of what_a_crash_leaves_behind_is_not_opened_and_does_not_hinder"]
fn child_that_dies_while_it_restores() {
    let (Ok(dir), Ok(stage)) = (std::env::var(DIR), std::env::var(STAGE)) else { return };
    let dir = Path::new(&dir);
    let genesis = Genesis::from_bytes(&fs::read(dir.join("genesis")).unwrap()).unwrap();
    let anchor = TrustAnchor::from_genesis(&genesis).unwrap();
    let (from, to) = (dir.join("a.snapshot"), dir.join("dead"));
    let _ = portable::restore(&from, &to, &anchor, &Recency::default(), &mut |progress| {
        if progress.stage == stage {
            std::process::abort();
        }
    });
}

#[test]
fn what_a_crash_leaves_behind_is_not_opened_and_does_not_hinder() {
    let world = World::new();
    let store = Store::open(&world.path("store")).unwrap();
    let file = world.create(&store, "a.snapshot");
    fs::write(world.path("genesis"), world.network.genesis.to_bytes()).unwrap();
    // As far as a restore comes in each of its stages: nothing removes what it leaves when the process dies.
    for stage in ["reading", "writing", "trails"] {
        let died = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_dies_while_it_restores", "--ignored"])
            .env(DIR, world.dir.path())
            .env(STAGE, stage)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(died.code(), None, "{stage} was not reached");
        let left = world.path("dead.restoring");
        assert!(left.exists());
        match Store::open(&left) {
            Err(StoreError::NotFound(_) | StoreError::RebuildInterrupted) => {}
            other => panic!("{stage}: {other:?}"),
        }
        let restored =
            portable::restore(&file, &world.path("dead"), &world.anchor(), &Recency::default(), &mut |_| {});
        assert_eq!(restored.unwrap().height, Height(BLOCKS));
        assert!(!left.exists());
        fs::remove_dir_all(world.path("dead")).unwrap();
    }
    // What is there is not touched.
    world.restore(&file, "restored").unwrap();
    assert!(matches!(world.restore(&file, "restored"), Err(SnapshotError::Exists(_))));
    let again = portable::create(&store.snapshot().unwrap(), &file, &mut |_| {});
    assert!(matches!(again, Err(SnapshotError::Exists(_))));
}
