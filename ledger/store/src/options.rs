//! How RocksDB is told to keep the tables: durable, within a bounded amount of memory.
//!
//! Everything is written through the write-ahead log in one synced batch per block, which makes the
//! batch whole or absent over all tables; atomic flush would add nothing to that. A log that is torn
//! at its end lost a block that was never acknowledged and is cut there; a log damaged anywhere else
//! is refused rather than shortened in silence, where need be before RocksDB sees it (`logs.rs`, which relies
//! on logs that are not recycled, and on a sync after every batch).

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompactionStyle,
    DBCompressionType, DBRecoveryMode, Options, WriteOptions,
};

use crate::tables::{Table, Use};

/// How much memory and how many files a store may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For blocks, indexes and filters of the table files, in bytes.
    pub cache_bytes: usize,
    /// For rows that are not yet in table files, in bytes, over all tables.
    pub write_buffer_bytes: usize,
    /// For decoded pages of the state map, in pages of about a kilobyte.
    pub pages: usize,
    /// For the log's tiles that proofs go through, in tiles of at most 18 kilobytes.
    pub tiles: usize,
    /// How many table files are open at one time, at most; never more than half of what the process may open.
    ///
    /// A table file is some megabytes, and a row is looked for in several. One that has to be opened first costs many
    /// lookups, so this has to be above the number of files that a ledger comes to in years.
    pub open_files: i32,
}

impl Default for Limits {
    /// About 80 MB: a node is to stay below 200 MB.
    fn default() -> Self {
        Self {
            cache_bytes: 32 << 20,
            write_buffer_bytes: 32 << 20,
            pages: 4096,
            tiles: 512,
            open_files: 8192,
        }
    }
}

/// The most bytes of write-ahead log before tables are flushed.
const MAX_WAL_BYTES: u64 = 32 << 20;
/// The most bytes of unflushed rows of one table.
const TABLE_BUFFER_BYTES: usize = 8 << 20;
/// What a process may open where it cannot be asked: the usual limit of a shell.
const FILES_OF_A_PROCESS: u64 = 1024;
/// RocksDB wants twenty.
const LEAST_OPEN_FILES: i32 = 64;
/// Column families are many and mostly small: they begin with little memory each.
const ARENA_BYTES: usize = 64 << 10;
const TABLE_FILE_BYTES: u64 = 8 << 20;
/// How large the first level of a table is that new rows are merged into: a file of new rows of random keys meets all of it.
const FIRST_LEVEL_BYTES: u64 = 32 << 20;
/// The part of a table's unflushed bytes that a filter over their keys may take besides.
const MEMORY_FILTER_RATIO: f64 = 0.02;

pub(crate) fn database(limits: &Limits) -> Options {
    let mut options = Options::default();
    options.create_missing_column_families(true);
    options.set_paranoid_checks(true);
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_max_total_wal_size(MAX_WAL_BYTES);
    options.set_db_write_buffer_size(limits.write_buffer_bytes);
    options.set_max_open_files(open_files(limits.open_files, files_of_this_process()));
    options.set_max_background_jobs(2);
    options.set_bytes_per_sync(1 << 20);
    options.set_manifest_preallocation_size(256 << 10);
    // RocksDB's own diary, not ours.
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(1 << 20);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options
}

/// How many table files RocksDB may hold open. The other half is for connections and everything else.
fn open_files(most: i32, allowed: u64) -> i32 {
    let half = i32::try_from(allowed / 2).unwrap_or(i32::MAX);
    most.min(half).max(LEAST_OPEN_FILES)
}

fn files_of_this_process() -> u64 {
    let limits = std::fs::read_to_string("/proc/self/limits").ok();
    limits.and_then(|limits| files_of_a_process(&limits)).unwrap_or(FILES_OF_A_PROCESS)
}

/// The soft limit on open files in what Linux says of a process (`proc_pid_limits(5)`).
fn files_of_a_process(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// Synced: what is acknowledged has reached the disk.
pub(crate) fn synced() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    options
}

/// Who begins compactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compactions {
    /// RocksDB, when it sees fit: as a node runs.
    Automatic,
    /// Only whoever asks for one: to look for damage, and to mend it. RocksDB takes no write any more after a compaction
    /// met a file whose checksums do not hold, and would begin that compaction again at every opening.
    Requested,
}

pub(crate) fn families(limits: &Limits, compactions: Compactions) -> Vec<ColumnFamilyDescriptor> {
    tables(limits)
        .map(|(table, mut options)| {
            options.set_disable_auto_compactions(compactions == Compactions::Requested);
            ColumnFamilyDescriptor::new(table.name(), options)
        })
        // RocksDB insists on this one; nothing is in it.
        .chain([ColumnFamilyDescriptor::new(rocksdb::DEFAULT_COLUMN_FAMILY_NAME, Options::default())])
        .collect()
}

/// How each table is kept, over one cache.
pub(crate) fn tables(limits: &Limits) -> impl Iterator<Item = (Table, Options)> {
    let cache = Cache::new_lru_cache(limits.cache_bytes);
    Table::ALL.iter().map(move |table| (*table, family(*table, &cache)))
}

fn family(table: Table, cache: &Cache) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_cache_index_and_filter_blocks(true);
    // Indexes and filters in pieces: a lookup that misses the cache reads a few kilobytes. In one piece
    // they are half a megabyte for each table file, and once they no longer fit beside each other in
    // the cache, every lookup of a random id reads and hashes that much.
    blocks.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    blocks.set_partition_filters(true);
    blocks.set_metadata_block_size(4 << 10);
    blocks.set_pin_top_level_index_and_filter(true);
    blocks.set_format_version(5);
    let mut options = Options::default();
    options.set_write_buffer_size(TABLE_BUFFER_BYTES);
    options.set_arena_block_size(ARENA_BYTES);
    options.set_target_file_size_base(TABLE_FILE_BYTES);
    options.set_max_bytes_for_level_base(FIRST_LEVEL_BYTES);
    let (block_bytes, compression) = match table.usage() {
        Use::Bytes => (16 << 10, DBCompressionType::Lz4),
        Use::Scan => (8 << 10, DBCompressionType::Lz4),
        Use::Hashes => (8 << 10, DBCompressionType::None),
        Use::Lookup => {
            blocks.set_bloom_filter(10.0, false);
            // The same for rows that are not yet in table files, where what is not there costs the most.
            options.set_memtable_whole_key_filtering(true);
            options.set_memtable_prefix_bloom_ratio(MEMORY_FILTER_RATIO);
            (8 << 10, DBCompressionType::Lz4)
        }
    };
    blocks.set_block_size(block_bytes);
    options.set_compression_type(compression);
    options.set_block_based_table_factory(&blocks);
    if table.is_scattered() {
        // In levels, each file of new rows is merged with all of the first one: a row is written the more often the
        // larger the table is. Merged by size, it is written as often as the logarithm of their number says. More
        // than RocksDB's four runs would save some of that again, and every lookup would ask more filters.
        options.set_compaction_style(DBCompactionStyle::Universal);
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "Limit                     Soft Limit           Hard Limit           Units     \n\
        Max file size             unlimited            unlimited            bytes     \n\
        Max open files            1024                 524288               files     \n\
        Max locked memory         8388608              8388608              bytes     \n";

    #[test]
    fn half_of_what_a_process_may_open_is_for_table_files() {
        assert_eq!(files_of_a_process(PAGE), Some(1024));
        assert_eq!(files_of_a_process(&PAGE.replace("1024   ", "unlimited")), Some(u64::MAX));
        assert_eq!(files_of_a_process("Max open files"), None);
        assert_eq!(files_of_a_process(""), None);
        assert_eq!(open_files(8192, 1024), 512);
        assert_eq!(open_files(100, 1024), 100, "a limit of ours that is lower");
        assert_eq!(open_files(1, 1024), LEAST_OPEN_FILES);
        assert_eq!(open_files(8192, 0), LEAST_OPEN_FILES);
        assert_eq!(open_files(i32::MAX, u64::MAX), i32::MAX);
    }
}
