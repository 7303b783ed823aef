//! The files of a closed store: copied, spoiled, and read without any code of ours.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use custos_store::{Store, Table};
use rocksdb::{DB, IteratorMode, Options};
use tempfile::TempDir;

use super::Network;

type Row = (Box<[u8]>, Box<[u8]>);
/// All rows of all tables, in order.
pub type Rows = Vec<Vec<Row>>;

/// A folder in memory where there is one: a store is made anew for every flipped bit.
pub fn folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("custos-flipped")
        .tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// The files of a closed store, by name: those that hold anything.
pub fn files(dir: &Path) -> BTreeMap<String, PathBuf> {
    let paths = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    paths
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path))
        .filter(|(name, path)| !name.starts_with("LOG") && path.metadata().unwrap().len() > 0)
        .collect()
}

/// The same store, with other bytes in one of its files.
pub fn copy(files: &BTreeMap<String, PathBuf>, spoiled: Option<(&str, &[u8])>) -> TempDir {
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
pub fn rows(dir: &Path) -> Rows {
    let names = Table::ALL.iter().map(|table| table.name());
    let db = DB::open_cf_for_read_only(&Options::default(), dir, names, false).unwrap();
    let rows = |table: &Table| db.iterator_cf(db.cf_handle(table.name()).unwrap(), IteratorMode::Start);
    Table::ALL.iter().map(|table| rows(table).map(Result::unwrap).collect()).collect()
}

/// Where the headers are of the records of a log of RocksDB's: four bytes of checksum, two of length, one of type.
pub fn headers(log: &[u8]) -> Vec<usize> {
    const BLOCK: usize = 32 << 10;
    let (mut at, mut found) = (0, vec![]);
    while at + 7 <= log.len() {
        let left = BLOCK - at % BLOCK;
        if left < 7 {
            at += left;
            continue;
        }
        found.push(at);
        at += 7 + usize::from(u16::from_le_bytes([log[at + 4], log[at + 5]]));
    }
    found
}

/// Puts blocks with rows in every table into a store; the seventh has a trail of more than 256 records, which has tiles.
pub fn fill(store: &Store, network: &mut Network, blocks: u64) {
    for height in 0..blocks {
        let snapshot = store.snapshot().unwrap();
        let block = if height == 6 {
            let submission = network.accesses(&snapshot, "hospital-c", 600);
            network.decide(&snapshot, vec![submission])
        } else {
            network.varied(&snapshot)
        };
        drop(snapshot);
        store.commit(&block.changes, &block.certificate).unwrap();
    }
}
