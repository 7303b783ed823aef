//! One chain on disk: beginning it, opening it, and committing a block to it.
//!
//! ```text
//! create   genesis, start state, format version           one synced batch
//! open     format -> head -> header, certificate, roots   or an error that says what is wrong
//! commit   check that it extends the head                 nothing written if not
//!          rows for every table                           one synced batch
//!          pages, entries, head                           in memory, after the batch
//! ```
//!
//! If we die before the batch is synced, the block was never acknowledged; if we die after it, opening
//! finds it. There is no third case, because nothing else is ever written.
//!
//! A failed write leaves unknown what reached the disk. The store then refuses everything further:
//! the node has to stop, and opening finds out.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use custos_proof::cbor::Wire;
use custos_proof::certificate::Certificate;
use custos_proof::genesis::Genesis;
use custos_proof::header::body_root;
use custos_proof::ids::{Height, LogSize};
use custos_proof::merkle::Frontier;
use custos_state::apply::Start;
use custos_state::changes::Changes;
use custos_state::view::Head;
use rocksdb::{ColumnFamily, DB};

use crate::batch::Batch;
use crate::codec;
use crate::damage;
use crate::database::Database;
use crate::entries::EntryCache;
use crate::error::{Damage, StoreError};
use crate::options::{Compactions, Limits};
use crate::pages::PageCache;
use crate::rows::HeadRow;
use crate::snapshot::Snapshot;
use crate::tables::{FORMAT, Table, meta};
use crate::tile_cache::TileCache;
use crate::tiles::{Edge, Written};

/// The head of a store in memory; shared, never changed.
pub(crate) type Tip = Arc<Head>;

/// A chain on disk.
#[derive(Debug)]
pub struct Store {
    db: Database,
    dir: PathBuf,
    genesis: Genesis,
    genesis_bytes: Vec<u8>,
    tip: RwLock<Tip>,
    pages: PageCache,
    tiles: TileCache,
    entries: EntryCache,
    writer: Mutex<Writer>,
    counters: Counters,
    damage: OnceLock<String>,
}

/// What only the one who commits needs.
#[derive(Debug)]
pub(crate) struct Writer {
    /// The log's partial tiles.
    edge: Edge,
    /// A write failed: see the module's text.
    failed: bool,
}

#[derive(Debug, Default)]
struct Counters {
    commits: AtomicU64,
    synced_writes: AtomicU64,
    bytes_written: AtomicU64,
}

/// What a store holds and did since it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// The head's height.
    pub height: Height,
    /// The log's size.
    pub log_size: LogSize,
    /// Blocks committed since opening.
    pub commits: u64,
    /// Synced writes since opening: one for each commit.
    pub synced_writes: u64,
    /// Bytes of the batches written since opening.
    pub bytes_written: u64,
    /// By table.
    pub tables: Vec<TableStats>,
    /// Bytes of memory in the shared block cache.
    pub cache_bytes: u64,
    /// Bytes of memory in rows that are not yet in table files.
    pub write_buffer_bytes: u64,
}

/// What one table takes up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableStats {
    /// Which table.
    pub table: Table,
    /// Bytes of its files on disk.
    pub disk_bytes: u64,
    /// About how many rows it has, those in memory included.
    pub rows: u64,
}

impl Store {
    /// Begins a chain in `dir`, which is made if need be.
    ///
    /// `start` is the state at height 0 that `custos-state` computed from `genesis`.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when there is a store, [`StoreError::NotExtending`] when `start` is not the beginning of
    /// this genesis' chain, and when the disk fails.
    pub fn create(dir: &Path, genesis: &Genesis, start: &Start) -> Result<Store, StoreError> {
        Self::create_with(dir, genesis, start, &Limits::default())
    }

    /// As [`Store::create`], with other limits.
    ///
    /// # Errors
    /// As [`Store::create`].
    pub fn create_with(
        dir: &Path,
        genesis: &Genesis,
        start: &Start,
        limits: &Limits,
    ) -> Result<Store, StoreError> {
        let head = &start.head;
        if head.chain != genesis.chain() || head.block_id != genesis.block_id() || head.height != Height(0) {
            return Err(StoreError::NotExtending("the start state is not that of the genesis".into()));
        }
        let db = Database::create(dir, limits)?;
        // A creation that died before its batch left a database without a format: begin again.
        if read(&db, Table::Meta, meta::FORMAT)?.is_some() {
            return Err(StoreError::Exists(dir.to_owned()));
        }
        let mut batch = Batch::new(&db);
        batch.put(Table::Meta, meta::FORMAT, codec::encode(&FORMAT));
        batch.put(Table::Meta, meta::GENESIS, genesis.to_bytes());
        batch.head(head);
        batch.validators(head);
        batch.entries(start.entries.iter().map(|(key, value)| (key, Some(value))));
        batch.pages(start.pages.iter().map(|(path, page)| (path, Some(page))));
        batch.registry(&start.participants, &start.keys);
        batch.write()?;
        Self::check_and_assemble(db, dir, limits)
    }

    /// Opens the chain in `dir`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Locked`], [`StoreError::Format`], [`StoreError::RebuildInterrupted`],
    /// [`StoreError::Marked`], [`StoreError::Damaged`] when the head does not fit the stored roots, and when the disk fails.
    pub fn open(dir: &Path) -> Result<Store, StoreError> {
        Self::open_with(dir, &Limits::default())
    }

    /// As [`Store::open`], with other limits.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_with(dir: &Path, limits: &Limits) -> Result<Store, StoreError> {
        let db = Database::open(dir, limits, Compactions::Automatic)?;
        if read(&db, Table::Meta, meta::REBUILDING)?.is_some() {
            return Err(StoreError::RebuildInterrupted);
        }
        if let Some(damage) = damage::marked(dir)? {
            return Err(StoreError::Marked(dir.to_owned(), damage));
        }
        Self::check_and_assemble(db, dir, limits)
    }

    /// Opens without comparing the head with the roots: for fsck and rebuild, which say more about what is wrong.
    pub(crate) fn open_unchecked(dir: &Path, limits: &Limits) -> Result<Store, StoreError> {
        let db = Database::open(dir, limits, Compactions::Requested)?;
        Self::assemble(db, dir, limits, |_| Ok(Edge::default()))
    }

    fn check_and_assemble(db: Database, dir: &Path, limits: &Limits) -> Result<Store, StoreError> {
        Self::assemble(db, dir, limits, |snapshot| {
            snapshot.check_head()?;
            snapshot.log_edge()
        })
    }

    fn assemble(
        db: Database,
        dir: &Path,
        limits: &Limits,
        edge: impl FnOnce(&Snapshot<'_>) -> Result<Edge, StoreError>,
    ) -> Result<Store, StoreError> {
        let genesis_bytes =
            read(&db, Table::Meta, meta::GENESIS)?.ok_or_else(|| missing("genesis", "the genesis"))?;
        let genesis = Genesis::from_bytes(&genesis_bytes)
            .map_err(|error| damaged(Table::Meta, "genesis", "a genesis", error.to_string()))?;
        let row = read(&db, Table::Meta, meta::HEAD)?.ok_or_else(|| missing("head", "the head"))?;
        let head = decode_head(&row)?;
        if head.chain != genesis.chain() {
            let found = head.chain.to_string();
            return Err(damaged(Table::Meta, "head", format!("chain {}", genesis.chain()), found));
        }
        let store = Store {
            dir: dir.to_owned(),
            genesis,
            genesis_bytes,
            pages: PageCache::new(head.height, limits.pages),
            tiles: TileCache::new(limits.tiles),
            entries: EntryCache::new(head.height),
            tip: RwLock::new(Arc::new(head)),
            writer: Mutex::new(Writer { edge: Edge::default(), failed: false }),
            counters: Counters::default(),
            damage: OnceLock::new(),
            db,
        };
        let edge = edge(&store.snapshot()?)?;
        store.writer.lock().unwrap_or_else(PoisonError::into_inner).edge = edge;
        Ok(store)
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The chain's genesis.
    #[must_use]
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The genesis as it was hashed.
    #[must_use]
    pub fn genesis_bytes(&self) -> &[u8] {
        &self.genesis_bytes
    }

    /// The last committed block, from memory.
    #[must_use]
    pub fn head(&self) -> Arc<Head> {
        self.tip.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One consistent version of everything: the last committed block's. Readers do not hinder commits.
    ///
    /// # Errors
    /// When the head cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot<'_>, StoreError> {
        Snapshot::take(self)
    }

    /// Writes a decided block: one synced batch over all tables, and nothing is visible before it.
    ///
    /// That the validators decided the block is the caller's to know; here only that the certificate names it.
    ///
    /// # Errors
    /// [`StoreError::NotExtending`] when the block does not follow the head or its parts contradict each other: nothing
    /// is written then. [`StoreError::Io`] when the write failed, and [`StoreError::Failed`] ever after.
    pub fn commit(&self, changes: &Changes, certificate: &Certificate) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().map_err(|_| StoreError::Failed)?;
        if writer.failed {
            return Err(StoreError::Failed);
        }
        let head = self.head();
        check_extends(&head, changes, certificate)?;
        let (edge, tiles) = grow_log(&head, changes, &writer.edge)?;

        let mut batch = Batch::new(&self.db);
        batch.records(&head, changes);
        batch.log_tiles(&tiles);
        batch.submissions(&self.snapshot()?, changes)?;
        batch.block(&head, changes, certificate);
        batch.entries(changes.entries.iter().map(|(key, value)| (key, value.as_ref())));
        batch.pages(changes.pages.iter().map(|(path, page)| (path, page.as_ref())));
        for listings in changes.listings.chunk_by(|a, b| a.trail == b.trail) {
            batch.trail(&self.snapshot()?, listings)?;
        }
        batch.frontiers(&changes.trail_frontiers);
        batch.nonces_and_events(changes);
        batch.dues(changes);
        for erasure in &changes.erasures {
            batch.erase(&self.snapshot()?, erasure)?;
        }
        batch.registry(&changes.participants, &changes.keys);
        batch.head(&changes.head);
        if changes.head.next_validators != head.next_validators {
            batch.validators(&changes.head);
        }

        let bytes = batch.len();
        if let Err(error) = batch.write() {
            writer.failed = true;
            return Err(error);
        }
        writer.edge = edge;
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        self.counters.synced_writes.fetch_add(1, Ordering::Relaxed);
        self.counters.bytes_written.fetch_add(bytes as u64, Ordering::Relaxed);
        // Readers that come between the batch and these lines read the head, its pages and entries from disk.
        self.pages.advance(changes.head.height, &changes.pages);
        self.entries.advance(changes.head.height, &changes.entries);
        *self.tip.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(changes.head.clone());
        Ok(())
    }

    /// What the store holds and did.
    ///
    /// # Errors
    /// When RocksDB does not answer.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let head = self.head();
        let property = |table: Table, name: &str| {
            let value = self.db.property_int_value_cf(self.family(table), name).map_err(io)?;
            Ok::<u64, StoreError>(value.unwrap_or(0))
        };
        let tables = Table::ALL
            .iter()
            .map(|table| {
                Ok(TableStats {
                    table: *table,
                    disk_bytes: property(*table, "rocksdb.total-sst-files-size")?,
                    rows: property(*table, "rocksdb.estimate-num-keys")?,
                })
            })
            .collect::<Result<_, StoreError>>()?;
        let memory = |table: &Table| property(*table, "rocksdb.cur-size-all-mem-tables");
        Ok(Stats {
            height: head.height,
            log_size: head.log_size,
            commits: self.counters.commits.load(Ordering::Relaxed),
            synced_writes: self.counters.synced_writes.load(Ordering::Relaxed),
            bytes_written: self.counters.bytes_written.load(Ordering::Relaxed),
            tables,
            // One cache serves all tables.
            cache_bytes: property(Table::Meta, "rocksdb.block-cache-usage")?,
            write_buffer_bytes: Table::ALL.iter().map(memory).sum::<Result<u64, StoreError>>()?,
        })
    }

    /// The first damage that any reader met since the store was opened. Whoever sees some MUST NOT vote. It outlives
    /// the process: the store does not open again before [`crate::fsck`] found it whole.
    #[must_use]
    pub fn damage(&self) -> Option<&str> {
        self.damage.get().map(String::as_str)
    }

    /// Remembers damage, and gives it back.
    pub(crate) fn noticed(&self, error: StoreError) -> StoreError {
        if let StoreError::Damaged(damage) = &error {
            let words = damage.to_string();
            if self.damage.set(words.clone()).is_ok() {
                damage::mark(&self.dir, &words);
            }
        }
        error
    }

    /// Flushes and compacts every table: to measure, or before a copy is taken. Takes a while.
    ///
    /// # Errors
    /// When a flush fails.
    pub fn compact(&self) -> Result<(), StoreError> {
        for table in Table::ALL {
            self.db.flush_cf(self.family(*table)).map_err(io)?;
            self.db.compact_range_cf(self.family(*table), None::<&[u8]>, None::<&[u8]>);
        }
        Ok(())
    }

    pub(crate) fn database(&self) -> &DB {
        &self.db
    }

    pub(crate) fn database_mut(&mut self) -> &mut Database {
        &mut self.db
    }

    pub(crate) fn writer(&self) -> &Mutex<Writer> {
        &self.writer
    }

    pub(crate) fn estimated_rows(&self, table: Table) -> u64 {
        self.db
            .property_int_value_cf(self.family(table), "rocksdb.estimate-num-keys")
            .ok()
            .flatten()
            .unwrap_or(0)
    }

    pub(crate) fn tile_cache(&self) -> &TileCache {
        &self.tiles
    }

    pub(crate) fn page_cache(&self) -> &PageCache {
        &self.pages
    }

    pub(crate) fn entry_cache(&self) -> &EntryCache {
        &self.entries
    }

    pub(crate) fn family(&self, table: Table) -> &ColumnFamily {
        family(&self.db, table)
    }
}

fn check_extends(head: &Head, changes: &Changes, certificate: &Certificate) -> Result<(), StoreError> {
    let Changes { header, head: next, .. } = changes;
    let ids: Vec<_> = changes.submissions.iter().map(|submission| submission.id).collect();
    let appended = changes.records.len() as u64;
    let refused = match () {
        () if header.chain != head.chain || next.chain != head.chain => "it belongs to another chain",
        () if header.height != head.height.next() => "its height is not the next one",
        () if header.parent != head.block_id => "its parent is another block",
        () if header.time <= head.time => "it is not later than its parent",
        () if header.block_id() != changes.block_id => "its id is not the hash of its header",
        () if certificate.height != header.height || certificate.block_id != changes.block_id => {
            "the certificate is for another block"
        }
        () if next.height != header.height
            || next.block_id != changes.block_id
            || next.time != header.time =>
        {
            "the new head is not this block"
        }
        () if next.log_size != header.log_size || next.state_root != header.state_root => {
            "the new head has other roots than the header"
        }
        () if next.validators_hash != header.validators_hash
            || next.next_validators.hash() != header.next_validators_hash =>
        {
            "the new head has other validators than the header"
        }
        () if next.registrar != head.registrar => "the registrar is another one",
        () if header.log_size.0.checked_sub(appended) != Some(head.log_size.0) => {
            "its records do not continue the log"
        }
        () if appended == 0 => "it has no record: the block's own record is always there",
        () if body_root(&ids) != header.body_root => "its body is not the one the header commits to",
        () => return Ok(()),
    };
    Err(StoreError::NotExtending(format!("block {}: {refused}", header.height)))
}

/// The log's edge after the block, and the tiles to write.
fn grow_log(head: &Head, changes: &Changes, edge: &Edge) -> Result<(Edge, Vec<Written>), StoreError> {
    let not = |what: &str| StoreError::NotExtending(format!("block {}: {what}", changes.header.height));
    let mut frontier = Frontier::from_parts(head.log_size.0, head.log_frontier.clone())
        .map_err(|error| not(&error.to_string()))?;
    let mut grown = edge.clone();
    let mut tiles = Vec::new();
    for record in &changes.records {
        for node in frontier.append(record.leaf) {
            grown.push(&node, &mut tiles);
        }
    }
    if frontier.root() != changes.header.log_root || frontier.hashes() != changes.head.log_frontier {
        return Err(not("its records do not hash to the header's log root"));
    }
    tiles.extend(grown.changed_since(edge));
    Ok((grown, tiles))
}

pub(crate) fn family(db: &DB, table: Table) -> &ColumnFamily {
    db.cf_handle(table.name()).expect("because a database is opened with every table")
}

pub(crate) fn read(db: &DB, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    db.get_cf(family(db, table), key).map_err(|error| failed(table, key, &error))
}

pub(crate) fn decode_head(row: &[u8]) -> Result<Head, StoreError> {
    codec::decode::<HeadRow>(row)
        .map_err(|error| error.to_string())
        .and_then(HeadRow::head)
        .map_err(|found| damaged(Table::Meta, "head", "a head", found))
}

/// A failed read: damage when RocksDB's own checksums say so.
pub(crate) fn failed(table: Table, key: &[u8], error: &rocksdb::Error) -> StoreError {
    match error.kind() {
        rocksdb::ErrorKind::Corruption => {
            damaged(table, hex(key), "a table file whose checksums hold", error.to_string())
        }
        // A table file is opened when it is first read.
        _ if error.as_ref().contains("No such file") => {
            damaged(table, hex(key), "the table file that holds it", error.to_string())
        }
        _ => io(error.clone()),
    }
}

pub(crate) fn io(error: rocksdb::Error) -> StoreError {
    StoreError::Io(error.into_string())
}

/// Damage in a table.
pub(crate) fn damaged(
    table: Table,
    key: impl Into<String>,
    expected: impl Into<String>,
    found: impl Into<String>,
) -> StoreError {
    StoreError::Damaged(Box::new(Damage {
        table: table.name(),
        key: key.into(),
        expected: expected.into(),
        found: found.into(),
        mend: table.mend(),
    }))
}

/// The same damage, where a rebuild has nothing to make the table from.
pub(crate) fn beyond_rebuild(error: StoreError) -> StoreError {
    match error {
        StoreError::Damaged(damage) => {
            StoreError::Damaged(Box::new(Damage { mend: crate::error::Mend::Restore, ..*damage }))
        }
        other => other,
    }
}

fn missing(key: &str, what: &str) -> StoreError {
    damaged(Table::Meta, key, what, "nothing")
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
