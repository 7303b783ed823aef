//! What a store is after it was killed, closed, opened twice, or opened by the wrong program.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Network, id};
use custos_proof::cbor::Wire;
use custos_proof::hash::{BlockId, Digest};
use custos_proof::ids::{Height, LogSize};
use custos_store::tables::FORMAT;
use custos_store::{Checks, Store, StoreError, Table, fsck};
use rocksdb::{DB, Options};

const DEEP: Checks = Checks { signatures: true, deep: true };

/// Where the child finds its store, and where it goes on counting.
const DIR: &str = "CUSTOS_STORE_TEST_DIR";
const SEED: &str = "CUSTOS_STORE_TEST_SEED";

fn extend(network: &mut Network, store: &Store, blocks: u64) {
    for _ in 0..blocks {
        let block = network.varied(&store.snapshot().unwrap());
        store.commit(&block.changes, &block.certificate).unwrap();
    }
}

/// Not a test by itself: the process that is killed.
#[test]
#[ignore = "the child of killed_at_any_moment_nothing_acknowledged_is_lost"]
fn child_that_commits_until_it_is_killed() {
    let (Ok(dir), Ok(seed)) = (std::env::var(DIR), std::env::var(SEED)) else { return };
    let mut network = Network::continued(seed.parse().unwrap());
    let store = Store::open(Path::new(&dir)).unwrap();
    loop {
        extend(&mut network, &store, 1);
        println!("committed {}", store.head().height);
    }
}

#[test]
fn killed_at_any_moment_nothing_acknowledged_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    drop(Store::create(dir.path(), &network.genesis, &network.start).unwrap());
    let mut acknowledged = 0;
    for life in 1..=8u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_commits_until_it_is_killed", "--ignored", "--nocapture"])
            .env(DIR, dir.path())
            .env(SEED, life.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut left = 1 + life * 3 % 7;
        while left > 0 {
            let line = lines.next().expect("the child ended by itself").unwrap();
            if let Some(height) = line.strip_prefix("committed ") {
                acknowledged = height.parse().unwrap();
                left -= 1;
            }
        }
        // Somewhere within the next commits.
        std::thread::sleep(std::time::Duration::from_micros(700 * life));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines.map_while(Result::ok) {
            if let Some(height) = line.strip_prefix("committed ") {
                acknowledged = height.parse().unwrap();
            }
        }
        let store = Store::open(dir.path()).unwrap();
        assert!(store.head().height.0 >= acknowledged, "block {acknowledged} is lost");
        acknowledged = store.head().height.0;
    }
    let report = fsck(dir.path(), &DEEP, &mut |_| {}).unwrap();
    assert_eq!((report.blocks, report.replayed), (acknowledged, acknowledged));
}

#[test]
fn a_closed_store_opens_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut network = Network::new();
    let store = Store::create(dir.path(), &network.genesis, &network.start).unwrap();
    for _ in 0..3 {
        extend(&mut network, &store, 4);
    }
    let head = store.head();
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.head(), head);
    assert_eq!(store.genesis_bytes(), network.genesis.to_bytes());
    extend(&mut network, &store, 3);
    drop(store);
    assert_eq!(fsck(dir.path(), &DEEP, &mut |_| {}).unwrap().blocks, 15);
}

#[test]
fn a_store_is_created_once_and_opened_by_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    assert!(matches!(Store::open(dir.path()), Err(StoreError::NotFound(_))));
    assert!(matches!(Store::open(&dir.path().join("nowhere")), Err(StoreError::NotFound(_))));
    let store = Store::create(dir.path(), &network.genesis, &network.start).unwrap();
    assert!(matches!(Store::open(dir.path()), Err(StoreError::Locked(_))));
    assert!(matches!(fsck(dir.path(), &DEEP, &mut |_| {}), Err(StoreError::Locked(_))));
    drop(store);
    let again = Store::create(dir.path(), &network.genesis, &network.start);
    assert!(matches!(again, Err(StoreError::Exists(_))));
    assert_eq!(Store::open(dir.path()).unwrap().head().height, Height(0));
}

/// RocksDB moves files before it takes its lock: whoever is refused must not have come so far.
#[test]
fn whoever_is_refused_disturbs_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let names = || {
        let files = std::fs::read_dir(dir.path()).unwrap();
        files.map(|file| file.unwrap().file_name()).collect::<std::collections::BTreeSet<_>>()
    };
    let store = Store::create(dir.path(), &network.genesis, &network.start).unwrap();
    let before = names();
    assert!(matches!(Store::open(dir.path()), Err(StoreError::Locked(_))));
    assert!(matches!(
        Store::create(dir.path(), &network.genesis, &network.start),
        Err(StoreError::Locked(_))
    ));
    assert_eq!(names(), before);
    drop(store);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut opened = 0;
                while opened < 10 {
                    match Store::open(dir.path()) {
                        Ok(_) => opened += 1,
                        Err(StoreError::Locked(_)) => std::thread::yield_now(),
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
}

#[test]
fn a_creation_that_died_halfway_is_begun_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    drop(DB::open_cf(&options, dir.path(), Table::ALL.iter().map(|table| table.name())).unwrap());
    assert!(matches!(Store::open(dir.path()), Err(StoreError::NotFound(_))));
    let network = Network::new();
    assert!(Store::create(dir.path(), &network.genesis, &network.start).is_ok());
}

#[test]
fn another_format_is_refused_with_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    drop(Store::create(dir.path(), &network.genesis, &network.start).unwrap());
    {
        let db = DB::open_cf(&Options::default(), dir.path(), Table::ALL.iter().map(|table| table.name()))
            .unwrap();
        db.put_cf(db.cf_handle("meta").unwrap(), b"format", [FORMAT as u8 + 1]).unwrap();
    }
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Format { found, expected } if found == expected + 1));
    assert!(error.to_string().contains("newer program"), "{error}");
}

#[test]
fn a_block_that_does_not_extend_the_head_is_refused_and_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let mut network = Network::new();
    let store = Store::create(dir.path(), &network.genesis, &network.start).unwrap();
    extend(&mut network, &store, 2);
    let head = store.head();
    let good = network.varied(&store.snapshot().unwrap());
    let (changes, certificate) = (&good.changes, &good.certificate);
    let mut spoiled = Vec::new();
    let mut spoil = |spoil: &dyn Fn(&mut custos_state::changes::Changes)| {
        let mut changes = changes.clone();
        spoil(&mut changes);
        spoiled.push((changes, certificate.clone()));
    };
    spoil(&|c| c.header.parent = BlockId([1; 32]));
    spoil(&|c| c.header.height = Height(5));
    spoil(&|c| c.header.time = head.time);
    spoil(&|c| c.block_id = BlockId([1; 32]));
    spoil(&|c| c.head.block_id = BlockId([1; 32]));
    spoil(&|c| c.head.state_root = Digest([1; 32]));
    spoil(&|c| c.head.registrar = id("hospital-a"));
    spoil(&|c| c.head.log_frontier.clear());
    spoil(&|c| drop(c.records.pop()));
    spoil(&|c| c.records[1].leaf = Digest([1; 32]));
    spoil(&|c| drop(c.submissions.pop()));
    spoil(&|c| c.listings[0].position += 1);
    spoil(&|c| {
        c.header.log_size = LogSize(1);
        c.head.log_size = LogSize(1);
    });
    let mut other = certificate.clone();
    other.block_id = BlockId([1; 32]);
    spoiled.push((changes.clone(), other));
    for (number, (changes, certificate)) in spoiled.iter().enumerate() {
        let error = store.commit(changes, certificate).unwrap_err();
        assert!(matches!(error, StoreError::NotExtending(_)), "{number}: {error}");
    }
    assert_eq!(store.head(), head);
    store.commit(changes, certificate).unwrap();
    assert!(matches!(store.commit(changes, certificate), Err(StoreError::NotExtending(_))));
    drop(store);
    assert_eq!(fsck(dir.path(), &DEEP, &mut |_| {}).unwrap().blocks, 3);
}
