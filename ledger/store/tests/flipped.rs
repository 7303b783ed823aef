//! One flipped bit in any file of a database: an error that names damage, or the same rows as before.
//!
//! Small stores, so that every file can be gone over: small files byte by byte, large ones in strides that share no
//! factor with the sizes of blocks, and another bit each time; of the lengths in the log every bit. The same bits are
//! flipped in every run. A store that opens and passes fsck is then compared with the whole one, row by row, in every
//! table, by plain RocksDB.
//!
//! ```text
//! CUSTOS_FLIP_STRIDE=1    every byte of every file
//! ```
//!
//! # Correctness
//! The write-ahead log has one hole: a length in it that points behind the end of the file looks like a write that was
//! torn by a crash, and RocksDB cuts it off with what follows. Whatever is left MUST be, row by row, what the store was
//! after an earlier block. A validator whose ledger lost blocks stands aside (`consensus/src/aside.rs`).
//!
//! Deliberately absent: RocksDB's diary (`LOG`) and the two locks, which are empty.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use common::Network;
use custos_store::{Checks, Store, StoreError, Table, fsck};
use rocksdb::{DB, IteratorMode, Options};
use tempfile::TempDir;

const BLOCKS: u64 = 3;
/// Of a file up to this size every byte is flipped.
const SMALL: usize = 64;

/// Between the flipped bytes of a file, unless the environment says otherwise.
fn stride(name: &str, len: usize) -> usize {
    match name {
        _ if len <= SMALL => 1,
        // Large, and RocksDB does not read its copy of the options back.
        _ if name.starts_with("OPTIONS") => 10_007,
        _ if name.ends_with(".log") => 307,
        _ => 149,
    }
}

type Row = (Box<[u8]>, Box<[u8]>);
/// All rows of all tables, in order.
type Rows = Vec<Vec<Row>>;

/// A folder in memory where there is one: a store is made anew for every flipped bit.
fn folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("custos-flipped")
        .tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// The files of a closed store, by name: those that hold anything.
fn files(dir: &Path) -> BTreeMap<String, PathBuf> {
    let paths = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    paths
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path))
        .filter(|(name, path)| !name.starts_with("LOG") && path.metadata().unwrap().len() > 0)
        .collect()
}

/// The same store, with other bytes in one of its files.
fn copy(files: &BTreeMap<String, PathBuf>, spoiled: Option<(&str, &[u8])>) -> TempDir {
    let copy = folder();
    for (name, from) in files {
        let to = copy.path().join(name);
        match spoiled {
            Some((file, bytes)) if file == name => std::fs::write(to, bytes).unwrap(),
            // Table files are never written to again.
            _ if name.ends_with(".sst") => std::fs::hard_link(from, to).unwrap(),
            _ => drop(std::fs::copy(from, to).unwrap()),
        }
    }
    copy
}

/// Everything that is in a database, read without any code of ours.
fn rows(dir: &Path) -> Rows {
    let names = Table::ALL.iter().map(|table| table.name());
    let db = DB::open_cf_for_read_only(&Options::default(), dir, names, false).unwrap();
    let rows = |table: &Table| db.iterator_cf(db.cf_handle(table.name()).unwrap(), IteratorMode::Start);
    Table::ALL.iter().map(|table| rows(table).map(Result::unwrap).collect()).collect()
}

/// A store in table files or all in the write-ahead log, closed; and its rows after every block, the last ones last.
fn store(in_tables: bool) -> (TempDir, Vec<Rows>) {
    let dir = folder();
    let mut network = Network::new();
    let store = Store::create(dir.path(), &network.genesis, &network.start).unwrap();
    let mut after = Vec::new();
    for height in 0..=BLOCKS {
        if height > 0 {
            let block = network.varied(&store.snapshot().unwrap());
            store.commit(&block.changes, &block.certificate).unwrap();
        }
        // What a crash would leave now.
        after.push(rows(copy(&files(dir.path()), None).path()));
    }
    if in_tables {
        store.compact().unwrap();
    }
    (dir, after)
}

/// What became of the flipped bits of one kind of file.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    refused: usize,
    named: usize,
    without_effect: usize,
    shortened: usize,
}

/// A message that says which table and key, or which part of the database.
fn names_damage(error: &StoreError) -> bool {
    matches!(error, StoreError::Damaged(_) | StoreError::Marked(..))
}

fn look(dir: &Path, after: &[Rows], seen: &mut Seen) {
    let opened = Store::open(dir).map(drop);
    let checked = fsck(dir, &Checks::default(), &mut |_| {});
    match (&opened, &checked) {
        (Err(error), Err(found)) => {
            assert!(names_damage(error), "opening: {error:?}");
            assert!(names_damage(found), "fsck: {found:?}");
            seen.refused += 1;
        }
        (Ok(()), Err(found)) => {
            assert!(names_damage(found), "fsck: {found:?}");
            seen.named += 1;
        }
        (Err(error), Ok(_)) => panic!("fsck finds nothing where opening does: {error:?}"),
        (Ok(()), Ok(report)) => {
            let found = rows(dir);
            if found == after[BLOCKS as usize] {
                seen.without_effect += 1;
            } else {
                let earlier = after.get(report.blocks as usize);
                assert!(earlier == Some(&found), "other rows that pass, {} blocks", report.blocks);
                seen.shortened += 1;
            }
        }
    }
}

/// Where the lengths of the records of a write-ahead log are: behind four bytes of checksum, before the type.
fn lengths(log: &[u8]) -> Vec<usize> {
    const BLOCK: usize = 32 << 10;
    let (mut at, mut found) = (0, vec![]);
    while at + 7 <= log.len() {
        let left = BLOCK - at % BLOCK;
        if left < 7 {
            at += left;
            continue;
        }
        found.extend([at + 4, at + 5]);
        at += 7 + usize::from(u16::from_le_bytes([log[at + 4], log[at + 5]]));
    }
    found
}

/// Flips a bit of every so many bytes of every file.
fn go_over(in_tables: bool) -> BTreeMap<String, Seen> {
    let (dir, after) = store(in_tables);
    let files = files(dir.path());
    // The whole one, by the way in which the others are looked at.
    let mut whole = Seen::default();
    look(copy(&files, None).path(), &after, &mut whole);
    assert_eq!(whole.without_effect, 1);
    let given = std::env::var("CUSTOS_FLIP_STRIDE").ok().map(|stride| stride.parse::<usize>().unwrap());
    let mut seen = BTreeMap::<String, Seen>::new();
    for (name, path) in &files {
        let bytes = std::fs::read(path).unwrap();
        let usual = stride(name, bytes.len());
        let stride = given.unwrap_or(usual).min(usual);
        // Zeros that RocksDB keeps free behind what it wrote are passed over, but for the first of them.
        let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 2).min(bytes.len());
        // The last byte too: files end in what finds everything else.
        let places = (0..written).step_by(stride).chain(written.checked_sub(1));
        let mut places: Vec<(usize, usize)> =
            places.enumerate().map(|(number, at)| (at, number % 8)).collect();
        if name.ends_with(".log") {
            places.extend(lengths(&bytes).into_iter().flat_map(|at| (0..8).map(move |bit| (at, bit))));
        }
        let kind = name.rsplit('.').next().unwrap().split('-').next().unwrap();
        let seen = seen.entry(kind.to_owned()).or_default();
        for (at, bit) in places {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            let copy = copy(&files, Some((name, &flipped)));
            let looked = catch_unwind(AssertUnwindSafe(|| look(copy.path(), &after, seen)));
            assert!(looked.is_ok(), "{name}, byte {at} of {}, bit {bit}", bytes.len());
        }
    }
    println!("{seen:#?}");
    seen
}

#[test]
fn no_flipped_bit_passes_in_a_store_of_table_files() {
    let seen = go_over(true);
    assert!(seen.values().all(|seen| seen.shortened == 0), "{seen:?}");
    for kind in ["CURRENT", "MANIFEST", "sst"] {
        assert!(seen[kind].refused > 0, "{kind}: {seen:?}");
    }
    assert!(seen["sst"].named > 0, "{seen:?}");
}

#[test]
fn no_flipped_bit_passes_in_a_store_that_is_all_in_its_write_ahead_log() {
    let seen = go_over(false);
    for (kind, seen) in &seen {
        assert!(seen.shortened == 0 || kind == "log", "{kind}: {seen:?}");
    }
    assert!(seen["log"].refused > seen["log"].shortened, "{seen:?}");
}

/// The mark says that damage was met by being there: what its text has become is no matter.
#[test]
fn a_mark_holds_whatever_becomes_of_its_text() {
    let (dir, _) = store(true);
    let text = b"records, key 7: expected a record, found nothing";
    for at in 0..text.len() {
        let mut flipped = text.to_vec();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(dir.path().join("DAMAGED"), flipped).unwrap();
        assert!(matches!(Store::open(dir.path()), Err(StoreError::Marked(..))), "byte {at}");
    }
}
