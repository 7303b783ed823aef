//! What a record costs on this machine: bytes on disk after compaction, time to commit, to prove, to open and to audit;
//! and beside the proofs, how many values of 32 bytes a plain RocksDB gives out.
//!
//! `cargo run -p custos-store --example measure -- [RECORDS] [ITEMS PER SUBMISSION] [SUBMISSIONS PER BLOCK] [TRAILS]`
//!
//! Accesses are spread over subject trails of four hospitals. Blocks are made by the real rules; the time for that is
//! not counted. Not a test: numbers differ from machine to machine. Quote ratios. Words go to standard error, one JSON
//! object to standard output.

#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use common::Network;
use custos_proof::hash::sha256;
use custos_proof::ids::LogIndex;
use custos_proof::kinds::Class;
use custos_proof::registry;
use custos_proof::trail::TrailName;
use custos_store::{Checks, Store, Table, fsck};

/// What was found, by name.
struct Found(Vec<(&'static str, f64)>);

impl Found {
    fn note(&mut self, name: &'static str, value: f64) {
        self.0.push((name, value));
    }

    fn json(&self) -> String {
        let pairs: Vec<String> =
            self.0.iter().map(|(name, value)| format!("\"{name}\":{value:.3}")).collect();
        format!("{{{}}}", pairs.join(","))
    }
}

fn main() {
    let mut found = Found(Vec::new());
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>().unwrap());
    let records = numbers.next().unwrap_or(20_000);
    let items = numbers.next().unwrap_or(1);
    let per_block = numbers.next().unwrap_or(100);
    let trails = numbers.next().unwrap_or(records / 20).max(1);

    let dir = tempfile::tempdir().unwrap();
    let mut network = Network::new();
    let store = Store::create(dir.path(), &network.genesis, &network.start).unwrap();
    let subject = |number: usize| sha256(format!("subject {number}").as_bytes());
    let (mut signed, mut written, mut blocks) = (0usize, 0usize, 0u32);
    let mut commits = Duration::ZERO;
    let commit = |network: &Network, submissions| {
        let decided = network.decide(&store.snapshot().unwrap(), submissions);
        let begun = Instant::now();
        store.commit(&decided.changes, &decided.certificate).unwrap();
        (begun.elapsed(), decided.block.body.iter().map(Vec::len).sum::<usize>())
    };
    let mut opened = 0;
    while opened < trails {
        let view = store.snapshot().unwrap();
        let acts: Vec<_> =
            (opened..trails.min(opened + 500)).map(|number| network.open(subject(number))).collect();
        opened += acts.len();
        let submission = network.acts(&view, "hospital-a", acts);
        drop(view);
        signed += commit(&network, vec![submission]).1;
    }
    while written < records {
        let view = store.snapshot().unwrap();
        let submissions = (0..per_block)
            .map(|_| {
                let events = (0..items)
                    .map(|_| {
                        written += 1;
                        network.event(&view, "hospital-a", Some(subject(written * 7919 % trails)))
                    })
                    .collect();
                network.submit(&view, "hospital-a", Class::Testimony, events)
            })
            .collect();
        drop(view);
        let (took, bytes) = commit(&network, submissions);
        commits += took;
        signed += bytes;
        blocks += 1;
    }
    let log = store.head().log_size.0;
    eprintln!(
        "{log} records in {} blocks; {signed} signed bytes, {} per record",
        store.head().height,
        signed as u64 / log
    );
    found.note("records", log as f64);
    found.note("signed_bytes_per_record", signed as f64 / log as f64);
    found.note("commit_us_per_record", 1e6 * commits.as_secs_f64() / written as f64);
    eprintln!(
        "commit: {:.2} ms per block of {} items, {:.1} us per record",
        1e3 * commits.as_secs_f64() / f64::from(blocks),
        per_block * items,
        1e6 * commits.as_secs_f64() / written as f64
    );
    store.compact().unwrap();
    let stats = store.stats().unwrap();
    let total: u64 = stats.tables.iter().map(|table| table.disk_bytes).sum();
    for table in &stats.tables {
        let per = table.disk_bytes as f64 / log as f64;
        eprintln!(
            "  {:<16} {:>10} bytes {per:>7.1} per record, {:>8} rows",
            table.table.name(),
            table.disk_bytes,
            table.rows
        );
    }
    found.note("disk_bytes_per_record", total as f64 / log as f64);
    found.note("disk_to_signed", total as f64 / signed as f64);
    found.note("written_to_signed", stats.bytes_written as f64 / signed as f64);
    eprintln!(
        "{total} bytes on disk, {:.1} per record: {:.2} of the signed bytes",
        total as f64 / log as f64,
        total as f64 / signed as f64
    );
    eprintln!(
        "written through the log: {:.2} of the signed bytes",
        stats.bytes_written as f64 / signed as f64
    );
    drop(store);

    let begun = Instant::now();
    let store = Store::open(dir.path()).unwrap();
    found.note("open_ms", 1e3 * begun.elapsed().as_secs_f64());
    eprintln!("open: {:.1} ms", 1e3 * begun.elapsed().as_secs_f64());
    let snapshot = store.snapshot().unwrap();
    let size = snapshot.head().log_size;
    let some = |n: u64| (0..n).map(|i| LogIndex(i * 7919 % log));
    let rate = |what: &str, n: u64, begun: Instant| {
        let per_second = n as f64 / begun.elapsed().as_secs_f64();
        eprintln!("{what}: {:.1} us, {per_second:.0} per second", 1e6 / per_second);
        per_second
    };
    let n = 20_000;
    for round in ["cold", "warm"] {
        let begun = Instant::now();
        some(n).for_each(|index| assert!(snapshot.record(index).unwrap().is_some()));
        let records = rate(&format!("record ({round})"), n, begun);
        let begun = Instant::now();
        some(n).for_each(|index| assert!(!snapshot.prove_record(index, size).unwrap().is_empty()));
        let proofs = rate(&format!("inclusion proof ({round})"), n, begun);
        found.note(if round == "cold" { "records_per_s_cold" } else { "records_per_s" }, records);
        found.note(if round == "cold" { "proofs_per_s_cold" } else { "proofs_per_s" }, proofs);
    }
    found.note("gets_per_s", plain_gets(log, n));
    let trail = TrailName::institution(&common::id("hospital-a")).key();
    let head = snapshot.trail_head(&trail).unwrap().unwrap();
    let (begin, end) = (head.size / 3, (head.size / 3 + 1000).min(head.size));
    let begun = Instant::now();
    let entries = snapshot.trail(&trail, begin, end).unwrap();
    snapshot.prove_trail(&trail, begin, end, head.size).unwrap();
    eprintln!(
        "{} records of a trail with their path: {:.2} ms",
        entries.len(),
        1e3 * begun.elapsed().as_secs_f64()
    );
    let begun = Instant::now();
    for number in 0..1000 {
        let subject = TrailName::subject(&common::id("hospital-a"), subject(number % trails)).key();
        snapshot.prove_entry(&registry::trail_key(&subject)).unwrap();
    }
    found.note("state_proofs_per_s", rate("state map proof", 1000, begun));
    drop(snapshot);
    eprintln!(
        "{} rows in {}",
        store.stats().unwrap().tables.iter().map(|table| table.rows).sum::<u64>(),
        Table::ALL.len()
    );
    drop(store);
    let begun = Instant::now();
    let report = fsck(dir.path(), &Checks::default(), &mut |_| {}).unwrap();
    found.note("audit_s", begun.elapsed().as_secs_f64());
    found.note("audit_signatures", report.signatures as f64);
    found.note("audit_records", report.records as f64);
    eprintln!(
        "fsck: {:.2} s for {} signatures and {} records",
        begun.elapsed().as_secs_f64(),
        report.signatures,
        report.records
    );
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
        eprintln!("peak memory of this process, block making and fsck included: {peak}");
    }
    println!("{}", found.json());
}

/// Random reads of 32 bytes from a plain RocksDB with as many values as there are records: what a proof of three
/// reads is held against.
fn plain_gets(values: u64, reads: u64) -> f64 {
    let dir = tempfile::tempdir().unwrap();
    let db = rocksdb::DB::open_default(dir.path()).unwrap();
    for from in (0..values).step_by(1000) {
        let mut batch = rocksdb::WriteBatch::default();
        for key in from..values.min(from + 1000) {
            batch.put(key.to_be_bytes(), sha256(&key.to_be_bytes()).0);
        }
        db.write(batch).unwrap();
    }
    db.flush().unwrap();
    db.compact_range(None::<&[u8]>, None::<&[u8]>);
    let begun = Instant::now();
    for read in 0..reads {
        assert!(db.get((read * 7919 % values).to_be_bytes()).unwrap().is_some());
    }
    let per_second = reads as f64 / begun.elapsed().as_secs_f64();
    eprintln!("plain RocksDB, 32 bytes: {per_second:.0} per second");
    per_second
}
