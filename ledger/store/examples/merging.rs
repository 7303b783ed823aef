//! How often rows of random keys are written again, by the way in which RocksDB merges its files.
//!
//! Three tables as a ledger has them, filled as a node fills them: `item_index`, `events` and `trails`, all of random
//! keys, flushed every 85,000 records, each flush merged before the next. For each way of merging, on standard output:
//! processor time of merging per record, how often a row was written, and a look for what is not there.
//!
//!     target/debug/examples/merging [records = 1000000]
//!
//! Deliberately absent: the store. `ledger/store/src/options.rs` says which way it goes.

#![allow(clippy::expect_used)]

use std::thread::sleep;
use std::time::Duration;

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamilyDescriptor, DB, DBCompactionStyle,
    DBCompressionType, Options, WriteBatch, WriteOptions,
};

/// Records between two flushes: what a node's write-ahead log holds of batches.
const FLUSH: u64 = 85_000;
/// Trails that records are divided among.
const TRAILS: u64 = 5_000;
const AUTHOR: &[u8; 15] = b"hospital-1.exam";
const TABLES: [&str; 3] = ["item_index", "events", "trails"];
/// Looks for what is not there.
const LOOKS: u32 = 100_000;

/// A way of merging.
struct Way {
    name: &'static str,
    set: fn(&mut Options),
}

const WAYS: [Way; 4] = [
    Way { name: "levels, the first of 256 MB", set: |_| {} },
    Way {
        name: "levels, the first of 32 MB",
        set: |options| {
            options.set_max_bytes_for_level_base(32 << 20);
            options.set_target_file_size_base(8 << 20);
        },
    },
    Way { name: "by size, from 4 runs", set: |options| by_size(options, 4) },
    Way { name: "by size, from 8 runs", set: |options| by_size(options, 8) },
];

fn by_size(options: &mut Options, runs: i32) {
    options.set_compaction_style(DBCompactionStyle::Universal);
    options.set_level_zero_file_num_compaction_trigger(runs);
    options.set_target_file_size_base(8 << 20);
}

fn main() {
    let records: u64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    println!("{records} records in tables {}", TABLES.join(", "));
    for way in &WAYS {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fill(way, records, dir.path());
    }
}

fn fill(way: &Way, records: u64, dir: &std::path::Path) {
    let cache = Cache::new_lru_cache(32 << 20);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_max_background_jobs(2);
    let families = TABLES.map(|table| ColumnFamilyDescriptor::new(table, family(way, table, &cache)));
    let db = DB::open_cf_descriptors(&options, dir, families).expect("a database");
    let family = |table: &str| db.cf_handle(table).expect("because it was opened with this table");
    let mut unlogged = WriteOptions::default();
    unlogged.disable_wal(true);

    let mut random = Random(7);
    for index in 0..records {
        let mut batch = WriteBatch::default();
        let at = index.to_be_bytes();
        batch.put_cf(family("item_index"), [&random.bytes::<8>()[..], &at].concat(), []);
        batch.put_cf(family("events"), [&AUTHOR[..], &random.bytes::<16>()].concat(), &at[3..]);
        let trail = Random(random.next() % TRAILS).bytes::<32>();
        batch.put_cf(family("trails"), [&trail[..], &at].concat(), &at[3..]);
        db.write_opt(batch, &unlogged).expect("a write");
        if index % FLUSH == FLUSH - 1 {
            TABLES.iter().for_each(|table| db.flush_cf(family(table)).expect("a flush"));
            let busy = |table: &str| {
                let running = db.property_int_value_cf(family(table), "rocksdb.num-running-compactions");
                running.expect("a property").unwrap_or(0) > 0
            };
            loop {
                sleep(Duration::from_millis(20));
                if !TABLES.iter().any(|table| busy(table)) {
                    break;
                }
            }
        }
    }
    let sums = TABLES.map(|table| {
        let stats = db.property_value_cf(family(table), "rocksdb.cfstats-no-file-histogram");
        sums(&stats.expect("a property").unwrap_or_default()).expect("because RocksDB counts its merges")
    });
    let seconds: f64 = sums.iter().map(|(_, seconds)| seconds).sum();
    let written: Vec<String> =
        TABLES.iter().zip(&sums).map(|(table, (times, _))| format!("{table} {times:.1}")).collect();
    let before = processor_seconds();
    for _ in 0..LOOKS {
        let absent = [&AUTHOR[..], &random.bytes::<16>()].concat();
        assert!(db.get_pinned_cf(family("events"), absent).expect("a read").is_none());
    }
    let look = (processor_seconds() - before) / f64::from(LOOKS);
    println!(
        "{:28} flushing and merging {:5.1} us per record; rows written: {} times; what is not there: {:.1} us",
        way.name,
        seconds * 1e6 / records as f64,
        written.join(", "),
        look * 1e6
    );
}

/// The table's options that decide what a row costs, as `options.rs` has them.
fn family(way: &Way, table: &str, cache: &Cache) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    blocks.set_partition_filters(true);
    blocks.set_pin_top_level_index_and_filter(true);
    blocks.set_format_version(5);
    blocks.set_block_size(8 << 10);
    if table == "events" {
        blocks.set_bloom_filter(10.0, false);
    }
    let mut options = Options::default();
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_block_based_table_factory(&blocks);
    (way.set)(&mut options);
    options
}

/// From RocksDB's table of a family's merges, its line of sums: how often a row was written, and seconds of processor
/// time. The columns are found by their names.
fn sums(stats: &str) -> Option<(f64, f64)> {
    let mut lines = stats.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let names = lines.find(|words| words.first() == Some(&"Level"))?;
    let sum = lines.find(|words| words.first() == Some(&"Sum"))?;
    // A size has its unit as a word of its own.
    let shift = sum.len().checked_sub(names.len())?;
    let value = |name: &str| {
        let at = names.iter().position(|word| *word == name)?;
        sum.get(at + shift)?.parse::<f64>().ok()
    };
    Some((value("W-Amp")?, value("CompMergeCPU(sec)")?))
}

fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let words: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| words.get(at).and_then(|word| word.parse::<f64>().ok()).unwrap_or(f64::NAN);
    (ticks(11) + ticks(12)) / 100.0
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for piece in bytes.chunks_mut(8) {
            let next = self.next().to_le_bytes();
            piece.copy_from_slice(&next[..piece.len()]);
        }
        bytes
    }
}
