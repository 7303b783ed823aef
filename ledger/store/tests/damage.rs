//! A store with something wrong in it: fsck says where, nothing panics, and what follows is made anew.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::Network;
use common::files::fill;
use custos_store::{Checks, Damage, Mend, Store, StoreError, Table, fsck, rebuild};
use rocksdb::{DB, IteratorMode, Options};

const BLOCKS: u64 = 9;
const CHECKS: Checks = Checks { signatures: true, deep: false };

/// A store with an institution trail of more than 256 records, closed.
fn store() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut network = Network::new();
    let store = Store::create(dir.path(), &network.genesis, &network.start).unwrap();
    fill(&store, &mut network, BLOCKS);
    store.compact().unwrap();
    dir
}

fn raw(dir: &Path) -> DB {
    DB::open_cf(&Options::default(), dir, Table::ALL.iter().map(|table| table.name())).unwrap()
}

type Row = (Box<[u8]>, Box<[u8]>);

/// One row from the middle and the last row of a table.
fn some_rows(dir: &Path, table: Table) -> Vec<Row> {
    let db = raw(dir);
    let rows: Vec<Row> = db
        .iterator_cf(db.cf_handle(table.name()).unwrap(), IteratorMode::Start)
        .map(Result::unwrap)
        .collect();
    let mut picked = vec![rows.len() / 3, rows.len().saturating_sub(1)];
    picked.dedup();
    picked.into_iter().filter_map(|i| rows.get(i).cloned()).collect()
}

fn put(dir: &Path, table: Table, key: &[u8], value: Option<&[u8]>) {
    let db = raw(dir);
    let family = db.cf_handle(table.name()).unwrap();
    match value {
        Some(value) => db.put_cf(family, key, value).unwrap(),
        None => db.delete_cf(family, key).unwrap(),
    }
}

/// A key like this one that the table has not got.
fn key_beside(dir: &Path, table: Table, key: &[u8]) -> Vec<u8> {
    let db = raw(dir);
    let family = db.cf_handle(table.name()).unwrap();
    let flip = |bit: usize| {
        let mut key = key.to_vec();
        *key.last_mut().unwrap() ^= 1 << bit;
        key
    };
    (0..8).map(flip).find(|key| db.get_cf(family, key).unwrap().is_none()).unwrap()
}

fn damage(result: Result<impl std::fmt::Debug, StoreError>) -> Damage {
    match result {
        Err(StoreError::Damaged(damage)) => *damage,
        other => panic!("{other:?}"),
    }
}

/// Every way in which the store is read, none of which may panic.
fn read_everything(dir: &Path) {
    let Ok(store) = Store::open(dir) else { return };
    let snapshot = store.snapshot().unwrap();
    let head = snapshot.head().clone();
    for index in (0..head.log_size.0).step_by(7).map(custos_proof::ids::LogIndex) {
        let _ = snapshot.decoded_record(index);
        let _ = snapshot.item(index);
        let _ = snapshot.prove_record(index, head.log_size);
    }
    for height in (0..=head.height.0 + 1).map(custos_proof::ids::Height) {
        let _ = snapshot.block(height);
        let _ = snapshot.block_summary(height);
        let _ = snapshot.certificate(height);
        let _ = custos_state::view::View::block_time(&snapshot, height);
    }
    for participant in snapshot.participants().unwrap_or_default() {
        let trail = custos_proof::trail::TrailName::institution(&participant).key();
        let _ = snapshot.keys(&participant);
        let _ = snapshot.prove_entry(&custos_proof::registry::trail_key(&trail));
        if let Ok(Some(head)) = snapshot.trail_head(&trail) {
            let _ = snapshot.trail(&trail, 0, head.size);
            let _ = snapshot.prove_trail(&trail, head.size / 3, head.size / 2 + 1, head.size);
        }
    }
    let _ = custos_state::view::View::nonce_buckets_before(&snapshot, u64::MAX);
}

#[test]
fn a_flipped_bit_in_any_table_is_named_and_mended_by_putting_it_back() {
    let dir = store();
    let dir = dir.path();
    fsck(dir, &CHECKS, &mut |_| {}).unwrap();
    for table in Table::ALL.iter().filter(|table| **table != Table::Meta) {
        for (number, (key, value)) in some_rows(dir, *table).into_iter().enumerate() {
            let mut flipped = value.to_vec();
            let at = value.len() * (4 * number + 1) / 9;
            match flipped.get_mut(at) {
                Some(byte) => *byte ^= 1 << (number % 8),
                // A row that is all key.
                None => flipped.push(0),
            }
            put(dir, *table, &key, Some(&flipped));
            read_everything(dir);
            let found = damage(fsck(dir, &CHECKS, &mut |_| {}));
            check(*table, &found);
            put(dir, *table, &key, Some(&value));
        }
    }
    fsck(dir, &CHECKS, &mut |_| {}).unwrap();
}

#[test]
fn a_missing_and_a_surplus_row_in_any_table_are_named() {
    let dir = store();
    let dir = dir.path();
    for table in Table::ALL.iter().filter(|table| **table != Table::Meta) {
        let rows = some_rows(dir, *table);
        let (key, value) = rows[rows.len() / 2].clone();
        put(dir, *table, &key, None);
        read_everything(dir);
        // Only the sets in use are asked for; a pruned item is not damage; keys outlive nobody.
        let allowed = matches!(table, Table::Items);
        match fsck(dir, &CHECKS, &mut |_| {}) {
            Ok(report) => assert!(allowed && report.items_pruned == 1, "{}", table.name()),
            error => check(*table, &damage(error)),
        }
        put(dir, *table, &key, Some(&value));

        let surplus = key_beside(dir, *table, &rows[rows.len() - 1].0);
        put(dir, *table, &surplus, Some(&value));
        check(*table, &damage(fsck(dir, &CHECKS, &mut |_| {})));
        put(dir, *table, &surplus, None);
    }
    fsck(dir, &CHECKS, &mut |_| {}).unwrap();
}

/// Damage is found in the table it is in, or in one that says the same thing.
fn check(table: Table, found: &Damage) {
    let also: &[&str] = match table {
        // Which record is placed where is said by both.
        Table::Submissions => &["records", "envelopes"],
        Table::Envelopes => &["submissions", "state"],
        Table::Blocks => &["records", "certificates", "envelopes", "validators"],
        Table::State => &["envelopes"],
        Table::Certificates => &["blocks"],
        Table::Records => &["submissions", "items"],
        _ => &[],
    };
    assert!(found.table == table.name() || also.contains(&found.table), "in {}: {found}", table.name());
    assert!(!found.to_string().is_empty() && !found.expected.is_empty());
}

#[test]
fn a_flipped_bit_in_the_head_keeps_the_store_closed() {
    let dir = store();
    let dir = dir.path();
    let db = raw(dir);
    let value = db.get_cf(db.cf_handle("meta").unwrap(), b"head").unwrap().unwrap();
    drop(db);
    for at in 0..value.len() {
        let mut flipped = value.clone();
        flipped[at] ^= 1 << (at % 8);
        put(dir, Table::Meta, b"head", Some(&flipped));
        // The registrar's name is the one thing that nothing else in the head's block says.
        match Store::open(dir) {
            Err(error) => assert!(matches!(error, StoreError::Damaged(_)), "byte {at}: {error}"),
            Ok(store) => assert_ne!(store.head().registrar, store.genesis().registrar, "byte {at}"),
        }
    }
}

#[test]
fn flipped_bytes_in_table_files_are_found_by_their_checksums() {
    let dir = store();
    let is_table = |path: &Path| path.extension().is_some_and(|extension| extension == "sst");
    let files: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.iter().filter(|path| is_table(path)).count() > 10);
    let mut noticed = 0;
    for (number, file) in files.iter().filter(|path| is_table(path)).enumerate() {
        let copy = tempfile::tempdir().unwrap();
        for file in &files {
            std::fs::copy(file, copy.path().join(file.file_name().unwrap())).unwrap();
        }
        let mut spoiled = std::fs::read(file).unwrap();
        let at = spoiled.len() * (number % 7) / 7;
        spoiled[at] ^= 0x10;
        std::fs::write(copy.path().join(file.file_name().unwrap()), &spoiled).unwrap();
        read_everything(copy.path());
        // A byte that nothing reads, such as a file's own statistics, may go unnoticed. Then everything else fits.
        match fsck(copy.path(), &CHECKS, &mut |_| {}) {
            Ok(report) => assert_eq!(report.blocks, BLOCKS),
            Err(StoreError::Damaged(_) | StoreError::Io(_)) => noticed += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(noticed > 5, "only {noticed} of the files' checksums were looked at");
}

#[test]
fn derived_tables_are_made_anew() {
    let dir = store();
    let dir = dir.path();
    let derived: Vec<Table> =
        Table::ALL.iter().copied().filter(|table| table.mend() == Mend::Rebuild).collect();
    assert_eq!(derived.len(), 10);
    let dump = || -> Vec<Vec<Row>> {
        let db = raw(dir);
        let rows = |table: &Table| db.iterator_cf(db.cf_handle(table.name()).unwrap(), IteratorMode::Start);
        derived.iter().map(|table| rows(table).map(Result::unwrap).collect()).collect()
    };
    let before = dump();
    {
        let db = raw(dir);
        for (table, rows) in derived.iter().zip(&before) {
            let family = db.cf_handle(table.name()).unwrap();
            assert!(!rows.is_empty(), "{}", table.name());
            for (number, (key, value)) in rows.iter().enumerate() {
                match number % 3 {
                    0 => db.delete_cf(family, key).unwrap(),
                    1 => db.put_cf(family, key, [value, &[1][..]].concat()).unwrap(),
                    _ => db.put_cf(family, [key, &[1][..]].concat(), value).unwrap(),
                }
            }
        }
    }
    assert_eq!(damage(fsck(dir, &CHECKS, &mut |_| {})).mend, Mend::Rebuild);
    rebuild(dir, &mut |_| {}).unwrap();
    assert_eq!(dump(), before);
    fsck(dir, &Checks { signatures: true, deep: true }, &mut |_| {}).unwrap();
    Store::open(dir).unwrap();
}

#[test]
fn an_interrupted_rebuild_is_said_and_repeated() {
    let dir = store();
    let dir = dir.path();
    // As if we had died after the mark, with half of the tables empty.
    put(dir, Table::Meta, b"rebuilding", Some(&[1]));
    for (key, _) in some_rows(dir, Table::Tiles).into_iter().chain(some_rows(dir, Table::StatePages)) {
        put(dir, Table::Tiles, &key, None);
        put(dir, Table::StatePages, &key, None);
    }
    assert!(matches!(Store::open(dir), Err(StoreError::RebuildInterrupted)));
    assert!(matches!(fsck(dir, &CHECKS, &mut |_| {}), Err(StoreError::RebuildInterrupted)));
    rebuild(dir, &mut |_| {}).unwrap();
    fsck(dir, &CHECKS, &mut |_| {}).unwrap();
}

#[test]
fn a_rebuild_refuses_when_what_it_would_build_on_is_damaged() {
    let dir = store();
    let dir = dir.path();
    let (key, value) = some_rows(dir, Table::Records)[0].clone();
    let mut flipped = value.to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    put(dir, Table::Records, &key, Some(&flipped));
    let tiles = some_rows(dir, Table::Tiles);
    assert_eq!(damage(rebuild(dir, &mut |_| {})).mend, Mend::Restore);
    assert_eq!(some_rows(dir, Table::Tiles), tiles);
    put(dir, Table::Records, &key, Some(&value));
    fsck(dir, &CHECKS, &mut |_| {}).unwrap();
}

#[test]
fn pruned_bodies_leave_every_proof_as_it_was() {
    let dir = store();
    let dir = dir.path();
    // What pruning does: items go, envelopes become their ids.
    let (index, id, position) = {
        let store = Store::open(dir).unwrap();
        let snapshot = store.snapshot().unwrap();
        let summary = snapshot.block_summary(custos_proof::ids::Height(1)).unwrap().unwrap();
        let status = snapshot.submission(summary.submissions.last().unwrap()).unwrap().unwrap();
        let (custos_state::changes::Placed::Here(index) | custos_state::changes::Placed::Before(index)) =
            status.placed[0];
        (index, *summary.submissions.last().unwrap(), status.position)
    };
    put(dir, Table::Items, &index.0.to_be_bytes(), None);
    let key = [&1u64.to_be_bytes()[..], &position.to_be_bytes()[..]].concat();
    put(dir, Table::Envelopes, &key, Some(&id.0));
    let report = fsck(dir, &CHECKS, &mut |_| {}).unwrap();
    assert_eq!((report.items_pruned, report.envelopes_pruned), (1, 1));
    let store = Store::open(dir).unwrap();
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.item(index).unwrap(), None);
    assert_eq!(snapshot.envelope(&id).unwrap(), None);
    assert!(snapshot.submission(&id).unwrap().is_some());
    assert!(matches!(snapshot.block(custos_proof::ids::Height(1)), Err(StoreError::Pruned(_))));
    assert!(snapshot.prove_record(index, snapshot.head().log_size).is_ok());
    drop(snapshot);
    drop(store);
    rebuild(dir, &mut |_| {}).unwrap();
    assert_eq!(fsck(dir, &CHECKS, &mut |_| {}).unwrap().items_pruned, 1);
}

/// Eight bytes alike are made with 2^32 hashes; here the row of one submission is put where another's would be.
#[test]
fn submissions_whose_ids_begin_alike_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut network = Network::new();
    let store = Store::create(dir, &network.genesis, &network.start).unwrap();
    let earlier = network.accesses(&store.snapshot().unwrap(), "hospital-a", 2);
    let first = network.decide(&store.snapshot().unwrap(), vec![earlier]);
    store.commit(&first.changes, &first.certificate).unwrap();
    let later = network.accesses(&store.snapshot().unwrap(), "hospital-b", 3);
    let second = network.decide(&store.snapshot().unwrap(), vec![later]);
    let (one, two) = (first.changes.submissions[0].id, second.changes.submissions[0].id);
    drop(store);

    let db = raw(dir);
    let row = db.get_cf(db.cf_handle("submissions").unwrap(), &one.0[..8]).unwrap().unwrap();
    drop(db);
    put(dir, Table::Submissions, &two.0[..8], Some(&row));
    let store = Store::open(dir).unwrap();
    assert_eq!(store.snapshot().unwrap().submission(&two).unwrap(), None, "that row is not its own");
    store.commit(&second.changes, &second.certificate).unwrap();
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.submission(&one).unwrap().unwrap().height.0, 1);
    assert_eq!(snapshot.submission(&two).unwrap().unwrap().height.0, 2);
    assert_eq!(snapshot.block(second.block.header.height).unwrap(), Some(second.block));
    drop(snapshot);
    drop(store);

    // Nothing but the row too many is wrong: both are found where they are.
    assert_eq!(damage(fsck(dir, &CHECKS, &mut |_| {})).key, "(all)");
    let db = raw(dir);
    assert!(db.get_cf(db.cf_handle("submissions").unwrap(), two.0).unwrap().is_some());
}

#[test]
fn a_surplus_row_in_a_store_without_blocks_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let network = Network::new();
    drop(Store::create(dir, &network.genesis, &network.start).unwrap());
    assert_eq!(fsck(dir, &CHECKS, &mut |_| {}).unwrap().blocks, 0);
    for table in [Table::Blocks, Table::Certificates, Table::Envelopes, Table::Records, Table::Items] {
        put(dir, table, &1u64.to_be_bytes(), Some(b"a row"));
        assert_eq!(damage(fsck(dir, &CHECKS, &mut |_| {})).table, table.name());
        put(dir, table, &1u64.to_be_bytes(), None);
    }
    fsck(dir, &CHECKS, &mut |_| {}).unwrap();
}
