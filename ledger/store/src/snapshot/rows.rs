//! Rows as they are stored, one or many at a time, for the parts of this crate that go through tables.
//!
//! Deliberately absent: what a row means beyond its form; and every write.

use custos_proof::cbor::Wire;
use custos_proof::hash::{Digest, StateKey, SubmissionId, TrailKey};
use custos_proof::header::Header;
use custos_proof::ids::{Height, LogIndex};
use custos_proof::submission::Envelope;
use rocksdb::{DBPinnableSlice, DBRawIterator, Direction, IteratorMode, ReadOptions};

use super::{MAX_TRAIL_SLICE, Row, Snapshot};
use crate::codec;
use crate::error::StoreError;
use crate::rows::{BlockRow, SubmissionRow};
use crate::store::{damaged, failed, hex};
use crate::tables::{self, Table};
use crate::tile_cache::TileCache;
use crate::tiles::Tile;
use crate::trees::bad_tile;

impl<'a> Snapshot<'a> {
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

    pub(super) fn pinned(&self, table: Table, key: &[u8]) -> Result<Option<DBPinnableSlice<'_>>, StoreError> {
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
