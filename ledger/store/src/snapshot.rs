//! One consistent version of a chain, as of one block: what `apply` reads and what people ask for.
//!
//! A snapshot sees nothing of blocks that are committed after it was taken, however long it is held,
//! and hinders nobody. Bytes come out as they were hashed; whatever is decoded on the way is checked,
//! and a row that cannot be what was written is [`StoreError::Damaged`] with its table and key.
//!
//! `None` means that there is no such thing; for an item or a body whose record or header exists it
//! means that the bytes were pruned.

use std::sync::Arc;

use custos_proof::cbor::{Reader, Wire};
use custos_proof::certificate::{Certificate, ValidatorSet};
use custos_proof::hash::{Digest, ItemHash, KeyId, StateKey, SubmissionId, TrailKey};
use custos_proof::header::{Block, Header};
use custos_proof::ids::{Height, LogIndex, LogSize, ParticipantId, Random16, TimeMs};
use custos_proof::merkle::{self, Frontier};
use custos_proof::record::{Listing, Record};
use custos_proof::registry::{self, Bucket, DuePlace, KeyEntry, Participant, Policy, TrailHead};
use custos_proof::state_map::{self, NibblePath, Page, PageError, PageSource};
use custos_proof::submission::{Author, Envelope, frame};
use custos_state::changes::Placed;
use custos_state::view::{Head, View, ViewError, decode_entry};
use rocksdb::{DBPinnableSlice, DBRawIterator, Direction, IteratorMode, ReadOptions};

use crate::codec;
use crate::entries::EntryName;
use crate::error::StoreError;
use crate::rows::{BlockRow, SubmissionRow};
use crate::store::{Store, damaged, decode_head, failed, hex, io};
use crate::tables::{self, Table, meta};
use crate::tile_cache::TileCache;
use crate::tiles::{Edge, HEIGHT, Tile};
use crate::trees::{LogTree, TrailTree, bad_tile, no_proof};

/// The most records that [`Snapshot::trail`] returns at once.
pub const MAX_TRAIL_SLICE: usize = custos_proof::trail_proof::MAX_ENTRIES;

/// A chain as of one block.
pub struct Snapshot<'a> {
    store: &'a Store,
    at: rocksdb::Snapshot<'a>,
    head: Arc<Head>,
}

/// A committed submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmissionStatus {
    /// The block that it is in.
    pub height: Height,
    /// Its position in the body.
    pub position: u32,
    /// For each item in order: where it is recorded.
    pub placed: Vec<Placed>,
}

/// A block without its bodies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockSummary {
    /// The header.
    pub header: Header,
    /// The log index of its first record; the last one is before `header.log_size`.
    pub first: LogIndex,
    /// The ids of its submissions, in body order.
    pub submissions: Vec<SubmissionId>,
}

/// Key and value as they are stored.
pub(crate) type Row = (Box<[u8]>, Box<[u8]>);

/// One place of a trail with its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailEntry {
    /// The position in the trail.
    pub position: u64,
    /// The record's index in the log.
    pub index: LogIndex,
    /// The record's leaf hash.
    pub leaf: Digest,
    /// The record.
    pub record: Vec<u8>,
}

impl<'a> Snapshot<'a> {
    pub(crate) fn take(store: &'a Store) -> Result<Self, StoreError> {
        let at = store.database().snapshot();
        let row = at
            .get_pinned_cf(store.family(Table::Meta), meta::HEAD)
            .map_err(io)?
            .ok_or_else(|| damaged(Table::Meta, "head", "the head", "nothing"))?;
        // The head in memory may be a block behind or ahead of the version just taken.
        let cached = store.head();
        let head = if crate::rows::head_height(&row) == Some(cached.height.0) {
            cached
        } else {
            Arc::new(decode_head(&row)?)
        };
        drop(row);
        Ok(Self { store, at, head })
    }

    /// Where the chain stands in this version.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The log's size and root: what a checkpoint states.
    ///
    /// # Errors
    /// When the frontier does not fit the size.
    pub fn checkpoint(&self) -> Result<(LogSize, Digest), StoreError> {
        let size = self.head.log_size;
        let frontier = Frontier::from_parts(size.0, self.head.log_frontier.clone())
            .map_err(|error| damaged(Table::Meta, "head", "a frontier of the log", error.to_string()))?;
        Ok((size, frontier.root()))
    }

    // Records, items, submissions.

    /// A record's bytes: the leaf of the log.
    ///
    /// # Errors
    /// Here and below: [`StoreError::Io`] and [`StoreError::Damaged`].
    pub fn record(&self, index: LogIndex) -> Result<Option<Vec<u8>>, StoreError> {
        self.get(Table::Records, &tables::index_key(index))
    }

    /// A record, decoded.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] also when the record says that it is another one.
    pub fn decoded_record(&self, index: LogIndex) -> Result<Option<Record>, StoreError> {
        let Some(bytes) = self.record(index)? else { return Ok(None) };
        let bad =
            |found: String| damaged(Table::Records, index.to_string(), "the record of this index", found);
        let record = Record::from_bytes(&bytes).map_err(|error| bad(error.to_string()))?;
        if record.index == index { Ok(Some(record)) } else { Err(bad(format!("that of {}", record.index))) }
    }

    /// An item's bytes by its record's index; `None` when pruned, or when the record is of no item.
    ///
    /// # Errors
    /// As [`Snapshot::record`].
    pub fn item(&self, index: LogIndex) -> Result<Option<Vec<u8>>, StoreError> {
        self.get(Table::Items, &tables::index_key(index))
    }

    /// Where an item was recorded first.
    ///
    /// # Errors
    /// As [`Snapshot::record`].
    pub fn find_item(&self, item: &ItemHash) -> Result<Option<LogIndex>, StoreError> {
        let prefix = tables::item_prefix(item);
        for row in self.rows_with(Table::ItemIndex, prefix) {
            let (key, _) = row?;
            let index = tables::number(&key[prefix.len()..]).map(LogIndex).ok_or_else(|| {
                damaged(Table::ItemIndex, hex(&key), "a log index at the end of the key", "less")
            })?;
            let record = self.decoded_record(index)?;
            if record.as_ref().and_then(Record::as_item).is_some_and(|entry| entry.item == *item) {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    /// The signed envelope of a committed submission; `None` also when it was pruned.
    ///
    /// # Errors
    /// As [`Snapshot::record`].
    pub fn envelope(&self, id: &SubmissionId) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(row) = self.submission_row(id)? else { return Ok(None) };
        Ok(self.stored_envelope(Height(row.height), row.position)?.bytes())
    }

    /// Where a submission was committed.
    ///
    /// # Errors
    /// As [`Snapshot::record`].
    pub fn submission(&self, id: &SubmissionId) -> Result<Option<SubmissionStatus>, StoreError> {
        self.submission_row(id)?
            .map(|row| {
                let placed = row.placed().ok_or_else(|| {
                    damaged(
                        Table::Submissions,
                        id.to_string(),
                        "a list of placings",
                        "one that contradicts itself",
                    )
                })?;
                Ok(SubmissionStatus { height: Height(row.height), position: row.position, placed })
            })
            .transpose()
    }

    // Blocks.

    /// A header's bytes: what the block id is the hash of.
    ///
    /// # Errors
    /// As [`Snapshot::record`].
    pub fn header_bytes(&self, height: Height) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.block_row(height)?.map(|row| row.header))
    }

    /// A header.
    ///
    /// # Errors
    /// As [`Snapshot::record`].
    pub fn header(&self, height: Height) -> Result<Option<Header>, StoreError> {
        self.block_row(height)?.map(|row| decode_header(height, &row)).transpose()
    }

    /// A block's certificate.
    ///
    /// # Errors
    /// As [`Snapshot::record`].
    pub fn certificate(&self, height: Height) -> Result<Option<Certificate>, StoreError> {
        let Some(bytes) = self.get(Table::Certificates, &tables::height_key(height))? else {
            return Ok(None);
        };
        Certificate::from_bytes(&bytes).map(Some).map_err(|error| {
            damaged(Table::Certificates, height.to_string(), "a certificate", error.to_string())
        })
    }

    /// A header with the ids of its submissions.
    ///
    /// # Errors
    /// As [`Snapshot::record`].
    pub fn block_summary(&self, height: Height) -> Result<Option<BlockSummary>, StoreError> {
        let Some(row) = self.block_row(height)? else { return Ok(None) };
        let submissions = (0..row.submissions)
            .map(|position| self.stored_envelope(height, position)?.id(height, position))
            .collect::<Result<_, _>>()?;
        Ok(Some(BlockSummary {
            header: decode_header(height, &row)?,
            first: LogIndex(row.first),
            submissions,
        }))
    }

    /// A block, rebuilt byte for byte as it was decided.
    ///
    /// # Errors
    /// [`StoreError::Pruned`] when an envelope or item of it was.
    pub fn block(&self, height: Height) -> Result<Option<Block>, StoreError> {
        let Some(row) = self.block_row(height)? else { return Ok(None) };
        let body = (0..row.submissions)
            .map(|position| {
                let stored = self.stored_envelope(height, position)?;
                let id = stored.id(height, position)?;
                let envelope = stored.bytes().ok_or(StoreError::Pruned(height))?;
                let status = self.submission(&id)?.ok_or_else(|| {
                    damaged(
                        Table::Submissions,
                        id.to_string(),
                        format!("a submission of block {height}"),
                        "nothing",
                    )
                })?;
                let items = status
                    .placed
                    .iter()
                    .map(|placed| {
                        let (Placed::Here(index) | Placed::Before(index)) = placed;
                        self.item(*index)?.ok_or(StoreError::Pruned(height))
                    })
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(frame(&envelope, &items))
            })
            .collect::<Result<_, StoreError>>()?;
        Ok(Some(Block { header: decode_header(height, &row)?, body }))
    }

    /// A validator set that decides or decided blocks, by the hash that headers name it by.
    ///
    /// # Errors
    /// As [`Snapshot::record`].
    pub fn validators(&self, hash: &Digest) -> Result<Option<ValidatorSet>, StoreError> {
        let Some(bytes) = self.get(Table::Validators, &hash.0)? else { return Ok(None) };
        let bad = |found: String| {
            damaged(Table::Validators, hash.to_string(), "the validator set with this hash", found)
        };
        let set = ValidatorSet::from_bytes(&bytes).map_err(|error| bad(error.to_string()))?;
        if set.hash() == *hash { Ok(Some(set)) } else { Err(bad(set.hash().to_string())) }
    }

    // The log's proofs.

    /// The log's root when it had `size` records.
    ///
    /// # Errors
    /// [`StoreError::OutOfRange`] for a size that the log has not reached.
    pub fn log_root(&self, size: LogSize) -> Result<Digest, StoreError> {
        self.within_log(size)?;
        merkle::root(&LogTree::new(self), size.0)
    }

    /// The path of record `index` in the log of `size` records.
    ///
    /// # Errors
    /// [`StoreError::OutOfRange`] when there is no such record or size.
    pub fn prove_record(&self, index: LogIndex, size: LogSize) -> Result<Vec<Digest>, StoreError> {
        self.within_log(size)?;
        merkle::prove_inclusion(&LogTree::new(self), index.0, size.0).map_err(no_proof)
    }

    /// The path from the log of `old` records to the log of `new` records.
    ///
    /// # Errors
    /// [`StoreError::OutOfRange`] when there is no such prefix or size.
    pub fn prove_consistency(&self, old: LogSize, new: LogSize) -> Result<Vec<Digest>, StoreError> {
        self.within_log(new)?;
        merkle::prove_consistency(&LogTree::new(self), old.0, new.0).map_err(no_proof)
    }

    // Trails.

    /// A trail's size and root; `None` for a trail without records.
    ///
    /// # Errors
    /// As [`Snapshot::record`].
    pub fn trail_head(&self, trail: &TrailKey) -> Result<Option<TrailHead>, StoreError> {
        let key = registry::trail_key(trail);
        let Some(bytes) = self.state_entry(&key)? else { return Ok(None) };
        TrailHead::from_bytes(&bytes).map(Some).map_err(|error| {
            damaged(Table::State, key.to_string(), format!("the head of trail {trail}"), error.to_string())
        })
    }

    /// The records of a trail at the positions `from..to`, as far as it reaches.
    ///
    /// # Errors
    /// [`StoreError::OutOfRange`] for more than [`MAX_TRAIL_SLICE`] at once.
    pub fn trail(&self, trail: &TrailKey, from: u64, to: u64) -> Result<Vec<TrailEntry>, StoreError> {
        let size = self.trail_head(trail)?.map_or(0, |head| head.size);
        let to = to.min(size);
        if from >= to {
            return Ok(vec![]);
        }
        (from..)
            .zip(self.trail_rows(trail, from, to)?)
            .map(|(position, index)| {
                let place = Listing { trail: *trail, position };
                let not = |found: String| {
                    damaged(
                        Table::Trails,
                        format!("{trail}, position {position}"),
                        "the index of a record listed there",
                        found,
                    )
                };
                let record =
                    self.record(index)?.ok_or_else(|| not(format!("{index}, which there is not")))?;
                match Record::from_bytes(&record) {
                    Ok(decoded) if decoded.index == index && decoded.listings().contains(&place) => {}
                    Ok(_) => return Err(not(format!("{index}, which is not"))),
                    Err(error) => {
                        return Err(damaged(
                            Table::Records,
                            index.to_string(),
                            "a record",
                            error.to_string(),
                        ));
                    }
                }
                Ok(TrailEntry { position, index, leaf: merkle::leaf_hash(&record), record })
            })
            .collect()
    }

    /// The path of the records `begin..end` in the trail when it had `size` records.
    ///
    /// # Errors
    /// [`StoreError::OutOfRange`] when there is no such range or size.
    pub fn prove_trail(
        &self,
        trail: &TrailKey,
        begin: u64,
        end: u64,
        size: u64,
    ) -> Result<Vec<Digest>, StoreError> {
        let now = self.trail_head(trail)?.map_or(0, |head| head.size);
        if size > now {
            return Err(StoreError::OutOfRange(format!("trail {trail} has {now} records, not {size}")));
        }
        merkle::prove_range(&TrailTree::new(self, trail, now)?, begin, end, size).map_err(no_proof)
    }

    // The state map.

    /// An entry of the state map with the proof of it, or of its absence, against the head's state root.
    ///
    /// # Errors
    /// As [`Snapshot::record`].
    pub fn prove_entry(&self, key: &StateKey) -> Result<(Option<Vec<u8>>, state_map::Proof), StoreError> {
        let value = self.state_entry(key)?;
        let proof = state_map::prove(self, key).map_err(page_error)?;
        Ok((value, proof))
    }

    /// The ids of all participants, ascending.
    ///
    /// # Errors
    /// As [`Snapshot::record`].
    pub fn participants(&self) -> Result<Vec<ParticipantId>, StoreError> {
        self.rows_with(Table::Registry, b"p")
            .map(|row| {
                let (key, _) = row?;
                std::str::from_utf8(&key[1..]).ok().and_then(|id| id.parse().ok()).ok_or_else(|| {
                    damaged(Table::Registry, hex(&key), "a participant's id", "something else")
                })
            })
            .collect()
    }

    /// The ids of all keys of a participant, revoked ones included.
    ///
    /// # Errors
    /// As [`Snapshot::record`].
    pub fn keys(&self, owner: &ParticipantId) -> Result<Vec<KeyId>, StoreError> {
        let prefix = tables::key_prefix(owner);
        self.rows_with(Table::Registry, &prefix)
            .map(|row| {
                let (key, _) = row?;
                key[prefix.len()..].try_into().map(KeyId).map_err(|_| {
                    damaged(Table::Registry, hex(&key), "a key's id of 32 bytes", "another length")
                })
            })
            .collect()
    }

    // What opening checks.

    /// Compares the head with everything that says where the chain stands.
    pub(crate) fn check_head(&self) -> Result<(), StoreError> {
        let head = &*self.head;
        let not = |expected: String, found: String| Err(damaged(Table::Meta, "head", expected, found));
        let (_, log_root) = self.checkpoint()?;
        let state_root = state_map::root(self).map_err(page_error)?;
        if state_root != head.state_root {
            return Err(damaged(
                Table::StatePages,
                "/",
                format!("root {}", head.state_root),
                state_root.to_string(),
            ));
        }
        if head.height == Height(0) {
            return if head.block_id == self.store.genesis().block_id() && head.log_size == LogSize(0) {
                Ok(())
            } else {
                not("the genesis at height 0".into(), format!("block {}", head.block_id))
            };
        }
        let header = self
            .header(head.height)?
            .ok_or_else(|| damaged(Table::Blocks, head.height.to_string(), "the head's header", "nothing"))?;
        if header.block_id() != head.block_id {
            let found = header.block_id().to_string();
            return Err(damaged(
                Table::Blocks,
                head.height.to_string(),
                format!("block {}", head.block_id),
                found,
            ));
        }
        let same = header.height == head.height
            && header.time == head.time
            && header.log_size == head.log_size
            && header.log_root == log_root
            && header.state_root == head.state_root
            && header.validators_hash == head.validators_hash
            && header.next_validators_hash == head.next_validators.hash();
        if !same {
            return not("what the head's header says".into(), "something else".into());
        }
        let tiles_root = self.log_root(head.log_size)?;
        let last = LogIndex(head.log_size.0 - 1);
        let leaf = LogTree::leaf(self, last)?;
        if tiles_root != log_root {
            return Err(damaged(
                Table::Tiles,
                "the right edge",
                format!("root {log_root}"),
                tiles_root.to_string(),
            ));
        }
        let record = self
            .record(last)?
            .ok_or_else(|| damaged(Table::Records, last.to_string(), "the last record", "nothing"))?;
        if merkle::leaf_hash(&record) != leaf {
            let found = merkle::leaf_hash(&record).to_string();
            return Err(damaged(
                Table::Records,
                last.to_string(),
                format!("the record with leaf hash {leaf}"),
                found,
            ));
        }
        match self.certificate(head.height)? {
            Some(certificate)
                if certificate.block_id == head.block_id && certificate.height == head.height =>
            {
                Ok(())
            }
            Some(other) => {
                let found = format!("one for block {}", other.block_id);
                Err(damaged(Table::Certificates, head.height.to_string(), "the head's certificate", found))
            }
            None => Err(damaged(
                Table::Certificates,
                head.height.to_string(),
                "the head's certificate",
                "nothing",
            )),
        }
    }

    /// The log's partial tiles.
    pub(crate) fn log_edge(&self) -> Result<Edge, StoreError> {
        Edge::load(self.head.log_size.0, |level, tile, len| {
            self.partial(Table::Tiles, &tables::tile_key(level, tile), len)
        })
    }

    /// The partial tiles of a trail of `size` records, from level 1 up; level 0 is the trail itself.
    pub(crate) fn trail_edge(&self, trail: &TrailKey, size: u64) -> Result<Edge, StoreError> {
        Edge::load(size, |level, tile, len| match level {
            0 => Ok(vec![]),
            _ => self.partial(Table::TrailTiles, &tables::trail_tile_key(trail, level, tile), len),
        })
    }

    fn partial(&self, table: Table, key: &[u8], len: usize) -> Result<Vec<Digest>, StoreError> {
        let found = self.tile(table, key)?.map(|tile| tile.hashes().to_vec()).unwrap_or_default();
        if found.len() == len {
            Ok(found)
        } else {
            Err(damaged(
                table,
                hex(key),
                format!("a tile of {len} hashes"),
                format!("{} hashes", found.len()),
            ))
        }
    }

    // Rows.

    pub(crate) fn genesis(&self) -> &'a custos_proof::genesis::Genesis {
        self.store.genesis()
    }

    pub(crate) fn genesis_bytes(&self) -> &'a [u8] {
        self.store.genesis_bytes()
    }

    /// How many rows a table has, counted.
    pub(crate) fn count(&self, table: Table) -> Result<u64, StoreError> {
        let mut rows = 0;
        self.each_row(table, |_, _| {
            rows += 1;
            Ok(())
        })?;
        Ok(rows)
    }

    /// About how many rows a check of everything has to go through.
    pub(crate) fn work(&self) -> u64 {
        let tables = [Table::State, Table::TrailFrontiers].iter().chain(&crate::fsck::DERIVED);
        tables.map(|table| self.store.estimated_rows(*table)).sum::<u64>() + self.head.log_size.0
    }

    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.pinned(table, key)?.map(|value| value.to_vec()))
    }

    fn pinned(&self, table: Table, key: &[u8]) -> Result<Option<DBPinnableSlice<'_>>, StoreError> {
        self.at
            .get_pinned_cf(self.store.family(table), key)
            .map_err(|error| self.store.noticed(failed(table, key, &error)))
    }

    /// Rows in the order of their keys, from `from` on and before `to`.
    pub(crate) fn rows(
        &self,
        table: Table,
        from: &[u8],
        to: Option<Vec<u8>>,
    ) -> impl Iterator<Item = Result<Row, StoreError>> {
        let mut options = ReadOptions::default();
        if let Some(to) = to {
            options.set_iterate_upper_bound(to);
        }
        self.at
            .iterator_cf_opt(self.store.family(table), options, IteratorMode::From(from, Direction::Forward))
            .map(move |row| row.map_err(|error| self.store.noticed(failed(table, b"", &error))))
    }

    /// The rows of a table, to go through without a copy of each. MUST be asked with [`Snapshot::read_well`] whether
    /// they were read whenever there are no more of them.
    pub(crate) fn raw_rows(&self, table: Table) -> DBRawIterator<'_> {
        let mut options = ReadOptions::default();
        // What is read once from end to end is not to displace what is looked up.
        options.fill_cache(false);
        self.at.raw_iterator_cf_opt(self.store.family(table), options)
    }

    /// Whether the place that `rows` has come to could be read.
    pub(crate) fn read_well(&self, table: Table, rows: &DBRawIterator<'_>) -> Result<(), StoreError> {
        if rows.valid() {
            return Ok(());
        }
        rows.status().map_err(|error| self.store.noticed(failed(table, b"", &error)))
    }

    /// Calls `each` with every row of a table, in the order of their keys.
    pub(crate) fn each_row(
        &self,
        table: Table,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut rows = self.raw_rows(table);
        rows.seek_to_first();
        while let Some((key, value)) = rows.item() {
            each(key, value)?;
            rows.next();
        }
        self.read_well(table, &rows)
    }

    pub(crate) fn rows_with(
        &self,
        table: Table,
        prefix: &[u8],
    ) -> impl Iterator<Item = Result<Row, StoreError>> {
        self.rows(table, prefix, tables::behind(prefix))
    }

    pub(crate) fn tile_cache(&self) -> &TileCache {
        self.store.tile_cache()
    }

    pub(crate) fn tile(&self, table: Table, key: &[u8]) -> Result<Option<Tile>, StoreError> {
        let Some(bytes) = self.pinned(table, key)? else { return Ok(None) };
        Tile::from_bytes(&bytes).map(Some).ok_or_else(|| bad_tile(table, key, bytes.len()))
    }

    /// The log indexes of a trail's records at `from..to`, all of which MUST be there.
    pub(crate) fn trail_rows(
        &self,
        trail: &TrailKey,
        from: u64,
        to: u64,
    ) -> Result<Vec<LogIndex>, StoreError> {
        let count = to.saturating_sub(from);
        if count > MAX_TRAIL_SLICE as u64 {
            return Err(StoreError::OutOfRange(format!(
                "{count} records of a trail at once; ask for parts of {MAX_TRAIL_SLICE}"
            )));
        }
        let key = |position| tables::trail_position_key(trail, position);
        let mut rows = Vec::new();
        for (position, row) in (from..to).zip(self.rows(Table::Trails, &key(from), Some(key(to).to_vec()))) {
            let (found, value) = row?;
            if *found != key(position) {
                break;
            }
            rows.push(LogIndex(decode_row(Table::Trails, &found, &value)?));
        }
        if rows.len() as u64 == count {
            Ok(rows)
        } else {
            let key = format!("{trail}, position {}", from + rows.len() as u64);
            Err(damaged(Table::Trails, key, "a place of the trail", "nothing"))
        }
    }

    pub(crate) fn frontier_of(&self, trail: &TrailKey) -> Result<Vec<Digest>, StoreError> {
        let Some(bytes) = self.pinned(Table::TrailFrontiers, &trail.0)? else { return Ok(vec![]) };
        tables::hashes(&bytes).filter(|hashes| hashes.len() <= 64).ok_or_else(|| {
            damaged(
                Table::TrailFrontiers,
                trail.to_string(),
                "at most 64 hashes",
                format!("{} bytes", bytes.len()),
            )
        })
    }

    pub(crate) fn block_row(&self, height: Height) -> Result<Option<BlockRow>, StoreError> {
        let key = tables::height_key(height);
        let Some(bytes) = self.pinned(Table::Blocks, &key)? else { return Ok(None) };
        let row: BlockRow = codec::decode(&bytes)
            .map_err(|error| damaged(Table::Blocks, height.to_string(), "a block", error.to_string()))?;
        if row.submissions as usize > custos_proof::header::MAX_SUBMISSIONS {
            let found = format!("{} submissions", row.submissions);
            return Err(damaged(
                Table::Blocks,
                height.to_string(),
                "a block of at most 8192 submissions",
                found,
            ));
        }
        Ok(Some(row))
    }

    pub(crate) fn stored_envelope(
        &self,
        height: Height,
        position: u32,
    ) -> Result<StoredEnvelope, StoreError> {
        let key = tables::envelope_key(height, position);
        let bytes = self.get(Table::Envelopes, &key)?.ok_or_else(|| {
            damaged(
                Table::Envelopes,
                format!("block {height}, position {position}"),
                "an envelope",
                "nothing",
            )
        })?;
        // An envelope is a COSE_Sign1 and never this short.
        Ok(match <[u8; 32]>::try_from(bytes.as_slice()) {
            Ok(id) => StoredEnvelope::Pruned(SubmissionId(id)),
            Err(_) => StoredEnvelope::Kept(bytes),
        })
    }

    pub(crate) fn submission_row(&self, id: &SubmissionId) -> Result<Option<SubmissionRow>, StoreError> {
        self.find_submission(id, |row| {
            let (height, position) = (Height(row.height), row.position);
            Ok(self.stored_envelope(height, position)?.id(height, position)? == *id)
        })
    }

    /// The row of a submission among those that its key may stand for: at most two.
    pub(crate) fn find_submission(
        &self,
        id: &SubmissionId,
        is_it: impl Fn(&SubmissionRow) -> Result<bool, StoreError>,
    ) -> Result<Option<SubmissionRow>, StoreError> {
        for key in [tables::submission_prefix(id), &id.0] {
            // Nobody has the whole id for a key while the prefix is free.
            let Some(bytes) = self.pinned(Table::Submissions, key)? else { return Ok(None) };
            let row = decode_row(Table::Submissions, key, &bytes)?;
            if is_it(&row)? {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// Whether a submission has the prefix of this id for its key.
    pub(crate) fn has_submission_prefix(&self, id: &SubmissionId) -> Result<bool, StoreError> {
        Ok(self.pinned(Table::Submissions, tables::submission_prefix(id))?.is_some())
    }

    pub(crate) fn state_entry(&self, key: &StateKey) -> Result<Option<Vec<u8>>, StoreError> {
        self.get(Table::State, &key.0)
    }

    fn state_page(&self, path: &NibblePath) -> Result<Option<Page>, StoreError> {
        let cache = self.store.page_cache();
        if let Some(page) = cache.page(self.head.height, path) {
            return Ok(Some(page));
        }
        let Some(bytes) = self.pinned(Table::StatePages, &path.to_bytes())? else { return Ok(None) };
        let page = Page::from_bytes(&bytes)
            .map_err(|error| damaged(Table::StatePages, path.to_string(), "a page", error.to_string()))?;
        cache.keep(self.head.height, path, &page);
        Ok(Some(page))
    }

    /// An entry of the state map, decoded, from memory if it is there.
    fn decoded_entry<T: Wire + Send + Sync + 'static>(
        &self,
        name: EntryName,
        what: &str,
    ) -> Result<Option<Arc<T>>, ViewError> {
        let (cache, height) = (self.store.entry_cache(), self.head.height);
        if let Some(entry) = cache.entry(height, &name) {
            return Ok(Some(entry));
        }
        let key = name.key();
        let Some(bytes) = self.pinned(Table::State, &key.0)? else { return Ok(None) };
        let entry = Arc::new(decode_entry(&bytes, what)?);
        cache.keep(height, name, key, &entry);
        Ok(Some(entry))
    }

    fn within_log(&self, size: LogSize) -> Result<(), StoreError> {
        if size <= self.head.log_size {
            Ok(())
        } else {
            Err(StoreError::OutOfRange(format!("the log has {} records, not {size}", self.head.log_size)))
        }
    }
}

/// An envelope, or what pruning left of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StoredEnvelope {
    Kept(Vec<u8>),
    Pruned(SubmissionId),
}

impl StoredEnvelope {
    /// The envelope's bytes, unless it was pruned.
    pub(crate) fn bytes(self) -> Option<Vec<u8>> {
        match self {
            StoredEnvelope::Kept(bytes) => Some(bytes),
            StoredEnvelope::Pruned(_) => None,
        }
    }

    pub(crate) fn id(&self, height: Height, position: u32) -> Result<SubmissionId, StoreError> {
        match self {
            StoredEnvelope::Pruned(id) => Ok(*id),
            StoredEnvelope::Kept(bytes) => {
                Envelope::decode(bytes).map(|envelope| envelope.submission_id()).map_err(|error| {
                    let key = format!("block {height}, position {position}");
                    damaged(Table::Envelopes, key, "an envelope", error.to_string())
                })
            }
        }
    }
}

/// A row of ours, decoded.
pub(crate) fn decode_row<T: bincode::Decode<()>>(
    table: Table,
    key: &[u8],
    bytes: &[u8],
) -> Result<T, StoreError> {
    codec::decode(bytes).map_err(|error| damaged(table, hex(key), "a row of this table", error.to_string()))
}

pub(crate) fn decode_header(height: Height, row: &BlockRow) -> Result<Header, StoreError> {
    let bad = |found: String| damaged(Table::Blocks, height.to_string(), "the header of this height", found);
    let header = Header::from_bytes(&row.header).map_err(|error| bad(error.to_string()))?;
    if header.height == height { Ok(header) } else { Err(bad(format!("that of height {}", header.height))) }
}

/// A state map that does not hold together.
pub(crate) fn page_error(error: PageError<StoreError>) -> StoreError {
    match error {
        PageError::Source(error) => error,
        PageError::Missing(path) => damaged(Table::StatePages, path.to_string(), "a page", "nothing"),
        PageError::Corrupt(path) => {
            damaged(Table::StatePages, path.to_string(), "the page that the one above it names", "another")
        }
        PageError::NotSorted => damaged(Table::State, "(all)", "ascending keys", "another order"),
    }
}

impl PageSource for Snapshot<'_> {
    type Error = StoreError;

    fn page(&self, path: &NibblePath) -> Result<Option<Page>, StoreError> {
        self.state_page(path)
    }
}

impl View for Snapshot<'_> {
    fn head(&self) -> Result<Arc<Head>, ViewError> {
        Ok(Arc::clone(&self.head))
    }

    fn entry(&self, key: &StateKey) -> Result<Option<Vec<u8>>, ViewError> {
        Ok(self.state_entry(key)?)
    }

    fn page(&self, path: &NibblePath) -> Result<Option<Page>, ViewError> {
        Ok(self.state_page(path)?)
    }

    fn trail_frontier(&self, trail: &TrailKey) -> Result<Vec<Digest>, ViewError> {
        Ok(self.frontier_of(trail)?)
    }

    fn has_nonce(&self, author: &Author, bucket: u64, nonce: &Random16) -> Result<bool, ViewError> {
        Ok(self.pinned(Table::Nonces, &tables::nonce_key(bucket, author, nonce))?.is_some())
    }

    fn nonce_buckets_before(&self, bucket: u64) -> Result<Vec<(Author, u64)>, ViewError> {
        let mut found: Vec<(u64, Author)> = Vec::new();
        let mut from = vec![];
        // One seek for each bucket and author, however many nonces they have.
        loop {
            let first = self.rows(Table::Nonces, &from, Some(bucket.to_be_bytes().to_vec())).next();
            let Some((key, _)) = first.transpose()? else { break };
            let (expiry, author) = nonce_owner(&key).ok_or_else(|| {
                damaged(Table::Nonces, hex(&key), "bucket, author and nonce", "something else")
            })?;
            let Some(next) = tables::behind(&tables::nonce_prefix(expiry, &author)) else { break };
            from = next;
            found.push((expiry, author));
        }
        // The order of authors is that of their type, not that of their bytes.
        found.sort();
        Ok(found.into_iter().map(|(bucket, author)| (author, bucket)).collect())
    }

    fn event(&self, author: &Author, event: &Random16) -> Result<Option<(LogIndex, ItemHash)>, ViewError> {
        let key = tables::event_key(author, event);
        let Some(bytes) = self.pinned(Table::Events, &key)? else { return Ok(None) };
        let index = LogIndex(decode_row::<u64>(Table::Events, &key, &bytes)?);
        let record = self.decoded_record(index)?;
        match record.as_ref().and_then(Record::as_item) {
            Some(entry) => Ok(Some((index, entry.item))),
            None => {
                Err(damaged(Table::Events, hex(&key), "the index of an item's record", index.to_string())
                    .into())
            }
        }
    }

    fn block_time(&self, height: Height) -> Result<Option<TimeMs>, ViewError> {
        if height == Height(0) {
            return Ok(Some(self.store.genesis().time));
        }
        if height > self.head.height {
            return Ok(None);
        }
        match self.header(height)? {
            Some(header) => Ok(Some(header.time)),
            None => Err(damaged(Table::Blocks, height.to_string(), "a block", "nothing").into()),
        }
    }

    fn due_until(&self, time: TimeMs, limit: usize) -> Result<Vec<DuePlace>, ViewError> {
        let end = time.0.checked_add(1).map(|end| end.to_be_bytes().to_vec());
        let rows = self.rows(Table::Dues, &[], end).take(limit);
        Ok(rows.map(|row| due_place(&row?.0)).collect::<Result<_, StoreError>>()?)
    }

    fn next_due(&self) -> Result<Option<TimeMs>, ViewError> {
        let first = self.rows(Table::Dues, &[], None).next().transpose()?;
        Ok(first.map(|(key, _)| due_place(&key)).transpose()?.map(|place| place.deadline))
    }

    fn policy(&self) -> Result<Option<Arc<Policy>>, ViewError> {
        self.decoded_entry(EntryName::Policy, "policy")
    }

    fn participant(&self, id: &ParticipantId) -> Result<Option<Arc<Participant>>, ViewError> {
        self.decoded_entry(EntryName::Participant(id.clone()), "participant")
    }

    fn key(&self, id: &KeyId) -> Result<Option<Arc<KeyEntry>>, ViewError> {
        self.decoded_entry(EntryName::Key(*id), "key")
    }

    fn nonce_bucket(&self, author: &Author, bucket: u64) -> Result<Option<Arc<Bucket>>, ViewError> {
        self.decoded_entry(EntryName::Nonces(author.clone(), bucket), "nonce bucket")
    }
}

fn due_place(key: &[u8]) -> Result<DuePlace, StoreError> {
    tables::due_place(key)
        .ok_or_else(|| damaged(Table::Dues, hex(key), "deadline, cause and rule", "something else"))
}

/// Bucket and author of a key of `nonces`.
pub(crate) fn nonce_owner(key: &[u8]) -> Option<(u64, Author)> {
    let (bucket, rest) = key.split_at_checked(8)?;
    let mut reader = Reader::new(rest);
    let author = Author::read(&mut reader).ok()?;
    (rest.len() == reader.position() + 16).then_some((tables::number(bucket)?, author))
}

impl LogTree<'_> {
    /// The leaf hash that the tiles have for a record.
    pub(crate) fn leaf(snapshot: &Snapshot<'_>, index: LogIndex) -> Result<Digest, StoreError> {
        let key = tables::tile_key(0, index.0 >> HEIGHT);
        let tile = snapshot.tile(Table::Tiles, &key)?;
        tile.and_then(|tile| tile.root((index.0 & 0xff) as usize, 1)).ok_or_else(|| {
            damaged(Table::Tiles, hex(&key), format!("the leaf hash of record {index}"), "nothing")
        })
    }
}
