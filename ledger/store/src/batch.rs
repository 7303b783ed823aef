//! The rows of a block on their way into one atomic write: every table's form, in one place.
//!
//! Deliberately absent: whether the block may be written. [`crate::store::Store::commit`] checks that first.

use std::collections::BTreeSet;

use custos_proof::cbor::Wire;
use custos_proof::certificate::Certificate;
use custos_proof::hash::{Digest, KeyId, StateKey, TrailKey};
use custos_proof::ids::{Height, ParticipantId};
use custos_proof::item::Item;
use custos_proof::merkle::Frontier;
use custos_proof::record::Record;
use custos_proof::state_map::{NibblePath, Page};
use custos_state::changes::{Changes, Erasure, NewListing};
use custos_state::view::Head;
use rocksdb::{DB, WriteBatch};

use crate::codec;
use crate::error::StoreError;
use crate::options;
use crate::rows::{BlockRow, HeadRow, SubmissionRow};
use crate::snapshot::Snapshot;
use crate::store::{damaged, family, io};
use crate::tables::{self, Table, meta};
use crate::tiles::{HEIGHT, WIDTH, Written};

/// Rows on their way into one atomic write.
pub(crate) struct Batch<'db> {
    db: &'db DB,
    batch: WriteBatch,
}

impl<'db> Batch<'db> {
    pub(crate) fn new(db: &'db DB) -> Self {
        Self { db, batch: WriteBatch::default() }
    }

    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// The size of the batch, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.batch.size_in_bytes()
    }

    /// Writes the batch and waits until it has reached the disk.
    pub(crate) fn write(self) -> Result<(), StoreError> {
        self.db.write_opt(self.batch, &options::synced()).map_err(io)
    }

    /// Writes the batch without waiting for the disk: for a database that nobody opens before it was synced.
    pub(crate) fn write_unsynced(self) -> Result<(), StoreError> {
        self.db.write(self.batch).map_err(io)
    }

    pub(crate) fn put(&mut self, table: Table, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.batch.put_cf(family(self.db, table), key, value);
    }

    pub(crate) fn delete(&mut self, table: Table, key: impl AsRef<[u8]>) {
        self.batch.delete_cf(family(self.db, table), key);
    }

    fn put_or_delete(&mut self, table: Table, key: impl AsRef<[u8]>, value: Option<impl AsRef<[u8]>>) {
        match value {
            Some(value) => self.put(table, key, value),
            None => self.delete(table, key),
        }
    }

    pub(crate) fn head(&mut self, head: &Head) {
        self.put(Table::Meta, meta::HEAD, codec::encode(&HeadRow::of(head)));
    }

    pub(crate) fn validators(&mut self, head: &Head) {
        self.put(Table::Validators, head.next_validators.hash(), head.next_validators.to_bytes());
    }

    pub(crate) fn records(&mut self, head: &Head, changes: &Changes) {
        for (index, record) in (head.log_size.0..).map(custos_proof::ids::LogIndex).zip(&changes.records) {
            self.put(Table::Records, tables::index_key(index), &record.bytes);
            if let Some((hash, item)) = &record.item {
                self.put(Table::Items, tables::index_key(index), item);
                self.put(Table::ItemIndex, tables::item_index_key(hash, index), []);
            }
        }
    }

    pub(crate) fn log_tiles(&mut self, tiles: &[Written]) {
        for (level, tile, content) in tiles {
            self.put(Table::Tiles, tables::tile_key(*level, *tile), content.to_bytes());
        }
    }

    pub(crate) fn submissions(&mut self, before: &Snapshot<'_>, changes: &Changes) -> Result<(), StoreError> {
        let height = changes.header.height;
        let mut taken = BTreeSet::new();
        for (position, submission) in (0u32..).zip(&changes.submissions) {
            let row = SubmissionRow::of(height, position, &submission.items).ok_or_else(|| {
                let id = submission.id;
                StoreError::NotExtending(format!(
                    "block {height}: the records of submission {id} are scattered"
                ))
            })?;
            let prefix = tables::submission_prefix(&submission.id);
            let is_free = taken.insert(prefix) && !before.has_submission_prefix(&submission.id)?;
            let key = if is_free { prefix } else { &submission.id.0[..] };
            self.put(Table::Submissions, key, codec::encode(&row));
            self.put(Table::Envelopes, tables::envelope_key(height, position), &submission.envelope);
        }
        Ok(())
    }

    pub(crate) fn block(&mut self, head: &Head, changes: &Changes, certificate: &Certificate) {
        let key = tables::height_key(changes.header.height);
        let row = BlockRow {
            first: head.log_size.0,
            submissions: u32::try_from(changes.submissions.len())
                .expect("because a block has at most 8192 submissions"),
            header: changes.header.to_bytes(),
        };
        self.put(Table::Blocks, key, codec::encode(&row));
        self.put(Table::Certificates, key, certificate.to_bytes());
    }

    pub(crate) fn entries<'a>(&mut self, entries: impl Iterator<Item = (&'a StateKey, Option<&'a Vec<u8>>)>) {
        entries.for_each(|(key, value)| self.put_or_delete(Table::State, key, value));
    }

    pub(crate) fn pages<'a>(&mut self, pages: impl Iterator<Item = (&'a NibblePath, Option<&'a Page>)>) {
        pages.for_each(|(path, page)| {
            self.put_or_delete(Table::StatePages, path.to_bytes(), page.map(Page::to_bytes))
        });
    }

    /// New places in one trail; `before` is the version that they extend.
    pub(crate) fn trail(&mut self, before: &Snapshot<'_>, listings: &[NewListing]) -> Result<(), StoreError> {
        let Some(NewListing { trail, position: from, .. }) = listings.first().copied() else { return Ok(()) };
        for (position, listing) in (from..).zip(listings) {
            if listing.position != position {
                return Err(StoreError::NotExtending(format!(
                    "trail {trail}: position {position} is left out"
                )));
            }
            self.put(
                Table::Trails,
                tables::trail_position_key(&trail, position),
                codec::encode(&listing.index.0),
            );
        }
        let to = from.saturating_add(listings.len() as u64);
        if from / WIDTH as u64 == to / WIDTH as u64 {
            return Ok(());
        }
        // A subtree of 256 records is complete: this trail has tiles.
        let hashes = before.frontier_of(&trail)?;
        let mut frontier = Frontier::from_parts(from, hashes)
            .map_err(|error| StoreError::NotExtending(format!("trail {trail}: {error}")))?;
        let mut edge = before.trail_edge(&trail, from)?;
        let earlier = edge.clone();
        let mut tiles = Vec::new();
        for listing in listings {
            for node in frontier.append(listing.leaf) {
                // Level 0 is the trail itself.
                if node.level >= HEIGHT {
                    edge.push(&node, &mut tiles);
                }
            }
        }
        tiles.extend(edge.changed_since(&earlier));
        self.trail_tiles(&trail, &tiles);
        Ok(())
    }

    pub(crate) fn trail_tiles(&mut self, trail: &TrailKey, tiles: &[Written]) {
        for (level, tile, content) in tiles {
            self.put(Table::TrailTiles, tables::trail_tile_key(trail, *level, *tile), content.to_bytes());
        }
    }

    pub(crate) fn frontiers(&mut self, frontiers: &[(TrailKey, Vec<Digest>)]) {
        for (trail, hashes) in frontiers {
            self.put(Table::TrailFrontiers, trail, tables::concatenated(hashes));
        }
    }

    pub(crate) fn nonces_and_events(&mut self, changes: &Changes) {
        for (author, bucket) in &changes.dropped_nonces {
            let prefix = tables::nonce_prefix(*bucket, author);
            if let Some(end) = tables::behind(&prefix) {
                self.batch.delete_range_cf(family(self.db, Table::Nonces), prefix, end);
            }
        }
        for (author, bucket, nonce) in &changes.nonces {
            self.put(Table::Nonces, tables::nonce_key(*bucket, author, nonce), []);
        }
        for (author, event, index, _) in &changes.events {
            self.put(Table::Events, tables::event_key(author, event), codec::encode(&index.0));
        }
    }

    pub(crate) fn dues(&mut self, changes: &Changes) {
        for (place, is_new) in &changes.dues {
            self.put_or_delete(Table::Dues, tables::due_row(place), is_new.then_some([]));
        }
    }

    /// Takes the items out that need not be kept any longer. `before` is enough to find them: what is erased is a month
    /// old at least. If we die before the batch, they are there, and the block is not; there is no third case.
    pub(crate) fn erase(&mut self, before: &Snapshot<'_>, erasure: &Erasure) -> Result<(), StoreError> {
        let mut whole_from = Height(1);
        for listed in before.trail(&erasure.trail, erasure.from, erasure.to)? {
            let Some(bytes) = before.item(listed.index)? else { continue };
            let place = || listed.index.to_string();
            let record = Record::from_bytes(&listed.record)
                .map_err(|error| damaged(Table::Records, place(), "a record", error.to_string()))?;
            let item = Item::from_bytes(&bytes).map_err(|error| {
                damaged(Table::Items, place(), "an item of a known kind", error.to_string())
            })?;
            if erasure.covers(record.time, &item.fields) {
                self.delete(Table::Items, tables::index_key(listed.index));
                whole_from = whole_from.max(record.height.next());
            }
        }
        if whole_from > before.whole_from()? {
            self.whole_from(whole_from);
        }
        Ok(())
    }

    pub(crate) fn registry(&mut self, participants: &[ParticipantId], keys: &[(ParticipantId, KeyId)]) {
        for id in participants {
            self.put(Table::Registry, tables::participant_row(id), []);
        }
        for (owner, id) in keys {
            self.put(Table::Registry, tables::key_row(owner, id), []);
        }
    }
}
