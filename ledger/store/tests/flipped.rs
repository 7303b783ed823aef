//! One flipped bit in any file of a database: an error that names damage, or the same rows as before.
//!
//! Small stores, so that every file can be gone over: small files byte by byte, large ones in strides that share no
//! factor with the sizes of blocks, and another bit each time; of the headers in the log every bit, of those in the
//! manifest every eleventh. The same bits are flipped in every run. A store that opens and passes fsck is then compared
//! with the whole one, row by row, in every table, by plain RocksDB.
//!
//! ```text
//! CUSTOS_FLIP_STRIDE=1    every byte of every file
//! ```
//!
//! # Correctness
//! There is no hole. RocksDB by itself has three, in the headers of its logs: a length that points behind the end of the
//! file looks like a write that was torn by a crash, and is cut off with what follows; a type of recycled logs has a
//! whole log dropped, or never lets it come back. `src/logs.rs` looks before it does.
//!
//! Deliberately absent: RocksDB's diary (`LOG`) and the two locks, which are empty.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use common::Network;
use common::files::{Rows, copy, files, folder, headers, rows};
use custos_store::{Checks, Store, StoreError, fsck};
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

/// A store in table files or all in the write-ahead log, closed.
fn store(in_tables: bool) -> TempDir {
    let dir = folder();
    let mut network = Network::new();
    let store = Store::create(dir.path(), &network.genesis, &network.start).unwrap();
    for _ in 0..BLOCKS {
        let block = network.varied(&store.snapshot().unwrap());
        store.commit(&block.changes, &block.certificate).unwrap();
    }
    if in_tables {
        store.compact().unwrap();
    }
    dir
}

/// What became of the flipped bits of one kind of file.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    refused: usize,
    named: usize,
    without_effect: usize,
}

/// A message that says which table and key, or which part of the database.
fn names_damage(error: &StoreError) -> bool {
    matches!(error, StoreError::Damaged(_) | StoreError::Marked(..))
}

fn look(dir: &Path, whole: &Rows, seen: &mut Seen) {
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
            assert!(rows(dir) == *whole, "other rows that pass, {} blocks", report.blocks);
            seen.without_effect += 1;
        }
    }
}

/// Flips a bit of every so many bytes of every file.
fn go_over(in_tables: bool) -> BTreeMap<String, Seen> {
    let dir = store(in_tables);
    let files = files(dir.path());
    let rows = rows(copy(&files, None).path());
    // The whole one, by the way in which the others are looked at.
    let mut whole = Seen::default();
    look(copy(&files, None).path(), &rows, &mut whole);
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
        let is_log = name.ends_with(".log") || name.starts_with("MANIFEST");
        let headers = if is_log { headers(&bytes) } else { vec![] };
        let in_headers =
            headers.into_iter().flat_map(|at| (0..8 * 7).map(move |bit| (at + bit / 8, bit % 8)));
        // A manifest has many.
        let every = if name.ends_with(".log") { 1 } else { stride.min(11) };
        let in_headers: Vec<(usize, usize)> = in_headers.step_by(every).collect();
        places.extend(&in_headers);
        let kind = name.rsplit('.').next().unwrap().split('-').next().unwrap();
        let seen = seen.entry(kind.to_owned()).or_default();
        for (at, bit) in places {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            let copy = copy(&files, Some((name, &flipped)));
            let looked = catch_unwind(AssertUnwindSafe(|| look(copy.path(), &rows, seen)));
            assert!(looked.is_ok(), "{name}, byte {at} of {}, bit {bit}", bytes.len());
        }
        assert!(seen.refused >= in_headers.len(), "{name}: a header of {} in {seen:?}", in_headers.len());
    }
    println!("{seen:#?}");
    seen
}

#[test]
fn no_flipped_bit_passes_in_a_store_of_table_files() {
    let seen = go_over(true);
    for kind in ["CURRENT", "MANIFEST", "sst"] {
        assert!(seen[kind].refused > 0, "{kind}: {seen:?}");
    }
    assert!(seen["sst"].named > 0, "{seen:?}");
}

#[test]
fn no_flipped_bit_passes_in_a_store_that_is_all_in_its_write_ahead_log() {
    let seen = go_over(false);
    assert!(seen["log"].refused > 0, "{seen:?}");
}

/// The mark says that damage was met by being there: what its text has become is no matter.
#[test]
fn a_mark_holds_whatever_becomes_of_its_text() {
    let dir = store(true);
    let text = b"records, key 7: expected a record, found nothing";
    for at in 0..text.len() {
        let mut flipped = text.to_vec();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(dir.path().join("DAMAGED"), flipped).unwrap();
        assert!(matches!(Store::open(dir.path()), Err(StoreError::Marked(..))), "byte {at}");
    }
}
