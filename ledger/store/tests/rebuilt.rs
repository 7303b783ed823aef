//! A derived table whose file is damaged: it is named, made anew without being read, and the chain goes on.
//!
//! The oracle is the store as it was before, row by row, read by plain RocksDB. Which file belongs to which table is
//! RocksDB's own account too.
//!
//! Deliberately absent: files that keep the database from opening. They are in `flipped.rs`, and nothing but a restore
//! mends them.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::Network;
use common::files::{Rows, copy, files, fill, folder, rows};
use custos_proof::ids::{Height, LogIndex};
use custos_store::{Checks, Damage, Mend, Store, StoreError, Table, fsck, rebuild};
use rocksdb::{DB, IteratorMode, Options};
use tempfile::TempDir;

const BLOCKS: u64 = 9;
/// A rebuild verifies signatures by itself.
const CHECKS: Checks = Checks { signatures: false, deep: false };
/// From this size on, the middle of a table file is rows; what is about the file itself stands at its end.
const LARGE: usize = 32 << 10;

/// A store of table files with rows in every table, closed, and the network that goes on with it.
fn store(prepare: impl FnOnce(&Store)) -> (TempDir, Network) {
    let dir = folder();
    let mut network = Network::new();
    let store = Store::create(dir.path(), &network.genesis, &network.start).unwrap();
    fill(&store, &mut network, BLOCKS);
    prepare(&store);
    store.compact().unwrap();
    drop(store);
    (dir, network)
}

fn derived() -> impl Iterator<Item = Table> {
    Table::ALL.iter().copied().filter(|table| table.mend() == Mend::Rebuild)
}

/// The files of a table.
fn table_files(dir: &Path, table: Table) -> Vec<String> {
    let names = Table::ALL.iter().map(|table| table.name());
    let db = DB::open_cf_for_read_only(&Options::default(), dir, names, false).unwrap();
    let files = db.live_files().unwrap().into_iter();
    files
        .filter(|file| file.column_family_name == table.name())
        .map(|file| file.name.trim_start_matches('/').to_owned())
        .collect()
}

/// A table file with one bit flipped among its rows.
fn flipped(bytes: &[u8]) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    let at = if bytes.len() < LARGE { 11 } else { bytes.len() / 2 };
    flipped[at] ^= 0x10;
    flipped
}

fn damage(result: Result<impl std::fmt::Debug, StoreError>) -> Damage {
    match result {
        Err(StoreError::Damaged(damage)) => *damage,
        other => panic!("{other:?}"),
    }
}

fn mended(dir: &Path) {
    rebuild(dir, &mut |_| {}).unwrap();
}

/// Every row is as it was, nothing is found, and the store takes the next block.
fn goes_on(dir: &Path, whole: &Rows, network: &mut Network, what: &str) {
    assert!(rows(dir) == *whole, "{what}: other rows");
    fsck(dir, &CHECKS, &mut |_| {}).unwrap();
    let store = Store::open(dir).unwrap();
    let block = network.varied(&store.snapshot().unwrap());
    store.commit(&block.changes, &block.certificate).unwrap();
    drop(store);
    assert_eq!(fsck(dir, &CHECKS, &mut |_| {}).unwrap().blocks, BLOCKS + 1, "{what}");
}

#[test]
fn the_damaged_file_of_any_derived_table_is_named_and_made_anew() {
    let (dir, mut network) = store(|_| {});
    let whole = rows(dir.path());
    let of_store = files(dir.path());
    for table in derived() {
        let names = table_files(dir.path(), table);
        assert!(!names.is_empty(), "{}: no file", table.name());
        for name in names {
            let bytes = flipped(&std::fs::read(&of_store[&name]).unwrap());
            let copy = copy(&of_store, Some((name.as_str(), &bytes[..])));
            let found = damage(fsck(copy.path(), &CHECKS, &mut |_| {}));
            assert_eq!((found.table, found.mend), (table.name(), Mend::Rebuild), "{name}: {found}");
            // A restart does not forget it.
            assert!(matches!(Store::open(copy.path()), Err(StoreError::Marked(..))), "{}", table.name());
            mended(copy.path());
            goes_on(copy.path(), &whole, &mut network, table.name());
        }
    }
}

/// The events of items that are gone stand in `events` only. Everything else still follows.
#[test]
fn of_a_pruned_ledger_only_events_are_beyond_a_rebuild() {
    let (dir, mut network) = store(|store| {
        assert!(store.prune(Height(5), false, &mut |_| {}).unwrap().items > 0);
    });
    let whole = rows(dir.path());
    let of_store = files(dir.path());
    for table in derived() {
        for name in table_files(dir.path(), table) {
            let bytes = std::fs::read(&of_store[&name]).unwrap();
            let spoiled = flipped(&bytes);
            let copy = copy(&of_store, Some((name.as_str(), &spoiled[..])));
            let found = damage(fsck(copy.path(), &CHECKS, &mut |_| {}));
            let mend = if table == Table::Events { Mend::Restore } else { Mend::Rebuild };
            assert_eq!((found.table, found.mend), (table.name(), mend), "{name}: {found}");
            if mend == Mend::Rebuild {
                mended(copy.path());
            } else {
                let found = damage(rebuild(copy.path(), &mut |_| {}));
                assert_eq!((found.table, found.mend), (table.name(), mend), "{name}: {found}");
                // Nothing was begun: with the file as it was, the store is as it was.
                std::fs::write(copy.path().join(&name), &bytes).unwrap();
            }
            goes_on(copy.path(), &whole, &mut network, table.name());
        }
    }
}

/// A row too many in `events` goes, though the table is kept for the rows that cannot be made again.
#[test]
fn surplus_rows_of_events_go_from_a_pruned_ledger() {
    let (dir, mut network) = store(|store| {
        assert!(store.prune(Height(5), false, &mut |_| {}).unwrap().items > 0);
    });
    let whole = rows(dir.path());
    let of_block = {
        let store = Store::open(dir.path()).unwrap();
        let snapshot = store.snapshot().unwrap();
        let record = |index: &u8| snapshot.decoded_record(LogIndex(u64::from(*index))).unwrap().unwrap();
        (0..200).find(|index| record(index).as_item().is_none()).unwrap()
    };
    let names = Table::ALL.iter().map(|table| table.name());
    let db = DB::open_cf(&Options::default(), dir.path(), names).unwrap();
    let events = db.cf_handle(Table::Events.name()).unwrap();
    let (key, _) = db.iterator_cf(events, IteratorMode::Start).next().unwrap().unwrap();
    // No log index at all; that of a block's record, which has no item either; and one that the log has not reached.
    let values = [vec![0xff; 3], vec![of_block], vec![253, 0, 0, 0, 0, 1, 0, 0, 0]];
    for (number, value) in (0u8..).zip(values) {
        db.put_cf(events, [&key[..], &[number]].concat(), value).unwrap();
    }
    drop(db);
    assert_eq!(damage(fsck(dir.path(), &CHECKS, &mut |_| {})).mend, Mend::Rebuild);
    mended(dir.path());
    goes_on(dir.path(), &whole, &mut network, "events");
}

/// RocksDB would merge these files as soon as it has them open, and takes no write any more once it met the damage.
#[test]
fn a_damaged_file_that_waits_to_be_merged_hinders_no_rebuild() {
    let (dir, mut network) = store(|_| {});
    let whole = rows(dir.path());
    let table = Table::Tiles;
    written_again(dir.path(), table);
    let names = table_files(dir.path(), table);
    assert!(names.len() > 4, "{names:?}");
    let of_store = files(dir.path());
    for name in [names.first(), names.last()].into_iter().flatten() {
        let bytes = flipped(&std::fs::read(&of_store[name]).unwrap());
        let copy = copy(&of_store, Some((name.as_str(), &bytes[..])));
        let found = damage(fsck(copy.path(), &CHECKS, &mut |_| {}));
        assert_eq!((found.table, found.mend), (table.name(), Mend::Rebuild), "{name}: {found}");
        mended(copy.path());
        goes_on(copy.path(), &whole, &mut network, name);
    }
}

/// The same rows once more in several files, which are left as they are.
fn written_again(dir: &Path, table: Table) {
    let mut options = Options::default();
    options.set_disable_auto_compactions(true);
    let families = Table::ALL.iter().map(|table| (table.name(), options.clone()));
    let db = DB::open_cf_with_opts(&Options::default(), dir, families).unwrap();
    let family = db.cf_handle(table.name()).unwrap();
    let rows: Vec<_> = db.iterator_cf(family, IteratorMode::Start).map(Result::unwrap).collect();
    for _ in 0..6 {
        for (key, value) in &rows {
            db.put_cf(family, key, value).unwrap();
        }
        db.flush_cf(family).unwrap();
    }
}

#[test]
fn a_rebuild_that_died_after_it_took_a_table_away_is_repeated() {
    let (dir, mut network) = store(|_| {});
    let whole = rows(dir.path());
    let names = Table::ALL.iter().map(|table| table.name());
    let mut db = DB::open_cf(&Options::default(), dir.path(), names).unwrap();
    db.put_cf(db.cf_handle(Table::Meta.name()).unwrap(), b"rebuilding", [1u8]).unwrap();
    db.drop_cf(Table::Tiles.name()).unwrap();
    drop(db);
    assert!(matches!(Store::open(dir.path()), Err(StoreError::RebuildInterrupted)));
    assert!(matches!(fsck(dir.path(), &CHECKS, &mut |_| {}), Err(StoreError::RebuildInterrupted)));
    mended(dir.path());
    goes_on(dir.path(), &whole, &mut network, "tiles");
}
