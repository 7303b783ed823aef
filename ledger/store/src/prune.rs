//! Pruning: the bytes of old testimony go, and every proof stays what it was.
//!
//! ```text
//! what goes     items of testimony (accesses and the like) below a height; on request their envelopes
//! what stays    records, trails, roots, certificates; acts: who takes part, which rules, permits, trails;
//!               what is on hold when it is asked for, and the envelopes of its block
//! ```
//!
//! Acts stay because they say what is in force and what a trail's name is. An envelope stays by default
//! because it proves who signed; one whose nonce may still be asked for always stays. In proofs a pruned
//! entry reads `pruned`, and is counted. Blocks with a pruned item cannot be rebuilt, so they are not
//! served to nodes that catch up: those restore a snapshot, or ask a node that kept them.
//!
//! # Correctness
//! Nothing that `apply` reads may go: two validators with different retention MUST compute one header.

use std::sync::PoisonError;

use custos_proof::cbor::Wire as _;
use custos_proof::ids::{Height, LogIndex, TimeMs};
use custos_proof::item::Item;
use custos_proof::kinds::Class;
use custos_proof::record::Record;
use custos_proof::registry::MAX_LIFETIME_MS;
use custos_proof::submission::Envelope;
use custos_state::apply::NONCE_BUCKET_MS;

use crate::batch::Batch;
use crate::codec;
use crate::error::StoreError;
use crate::fsck::Progress;
use crate::holds::Holds;
use crate::snapshot::{Snapshot, StoredEnvelope};
use crate::store::{Store, damaged};
use crate::tables::{self, Table, meta};

/// How many blocks are pruned in one write.
const BLOCKS_AT_ONCE: u64 = 256;

/// What pruning took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Blocks that were looked at.
    pub blocks: u64,
    /// Items that went.
    pub items: u64,
    /// Envelopes that went.
    pub envelopes: u64,
    /// Items that would have gone and are on hold.
    pub held: u64,
    /// The lowest height from which on all blocks can be served.
    pub whole_from: Height,
}

impl Store {
    /// Takes the items of testimony out of the blocks below `before`, and their envelopes too if so asked. What is on
    /// hold stays, and goes the next time after the hold was lifted. May be interrupted and repeated; readers and
    /// commits go on meanwhile.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn prune(
        &self,
        before: Height,
        envelopes: bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Pruned, StoreError> {
        // The head's block stays: whoever follows asks for it first.
        let end = before.0.min(self.head().height.0);
        let mut pruned = Pruned::default();
        let (mut from, first) = (1, 1);
        while from < end {
            let to = end.min(from + BLOCKS_AT_ONCE);
            let snapshot = self.snapshot()?;
            let mut batch = Batch::new(self.database());
            let (mut missing, mut holds) = (None, Holds::new(&snapshot)?);
            for height in (from..to).map(Height) {
                if self.prune_block(&mut holds, height, envelopes, &mut batch, &mut pruned)? {
                    missing = Some(height);
                }
            }
            if let Some(height) = missing {
                let whole = snapshot.whole_from()?.max(height.next());
                batch.whole_from(whole);
            }
            if !batch.is_empty() {
                let _no_commit = self.writer().lock().unwrap_or_else(PoisonError::into_inner);
                batch.write()?;
            }
            pruned.blocks += to - from;
            from = to;
            progress(Progress { stage: "pruning", done: to - first, total: end - first });
        }
        let snapshot = self.snapshot()?;
        pruned.whole_from = snapshot.whole_from()?;
        if pruned.whole_from > Height(1) {
            // What was deleted is only hidden until its table file is written anew. Also when nothing was deleted this
            // time: an earlier pruning may have been interrupted here.
            let records =
                snapshot.header(Height(end.saturating_sub(1)))?.map_or(0, |header| header.log_size.0);
            let items = tables::index_key(LogIndex(records)).to_vec();
            let envelopes = tables::envelope_key(Height(end), 0).to_vec();
            drop(snapshot);
            for (table, to) in [(Table::Items, items), (Table::Envelopes, envelopes)] {
                let family = self.family(table);
                self.database().flush_cf(family).map_err(crate::store::io)?;
                self.database().compact_range_cf(family, None::<&[u8]>, Some(to));
            }
        }
        Ok(pruned)
    }

    /// Whether the block lacks something afterwards.
    fn prune_block(
        &self,
        holds: &mut Holds<'_, '_>,
        height: Height,
        envelopes: bool,
        batch: &mut Batch<'_>,
        pruned: &mut Pruned,
    ) -> Result<bool, StoreError> {
        let snapshot = holds.snapshot();
        let row = snapshot
            .block_row(height)?
            .ok_or_else(|| damaged(Table::Blocks, height.to_string(), "a block", "nothing"))?;
        let header = crate::snapshot::decode_header(height, &row)?;
        let (mut lacks, mut holds_some) = (false, false);
        for index in (row.first..header.log_size.0).map(LogIndex) {
            let Some(bytes) = snapshot.item(index)? else {
                lacks |=
                    snapshot.decoded_record(index)?.as_ref().is_some_and(|r: &Record| r.as_item().is_some());
                continue;
            };
            let item = Item::from_bytes(&bytes).map_err(|error| {
                damaged(Table::Items, index.to_string(), "an item of a known kind", error.to_string())
            })?;
            if item.kind().class() != Class::Testimony {
                continue;
            }
            let record = snapshot
                .decoded_record(index)?
                .ok_or_else(|| damaged(Table::Records, index.to_string(), "a record", "nothing"))?;
            if holds.keep(&record)? {
                pruned.held += 1;
                holds_some = true;
            } else {
                batch.delete(Table::Items, tables::index_key(index));
                pruned.items += 1;
                lacks = true;
            }
        }
        let latest = header.time.plus(MAX_LIFETIME_MS);
        let nonces_are_over = latest.0 / NONCE_BUCKET_MS < snapshot.head().time.0 / NONCE_BUCKET_MS;
        if !envelopes || !nonces_are_over || holds_some {
            return Ok(lacks);
        }
        for position in 0..row.submissions {
            let StoredEnvelope::Kept(bytes) = snapshot.stored_envelope(height, position)? else {
                lacks = true;
                continue;
            };
            let envelope = Envelope::decode(&bytes).map_err(|error| {
                let place = format!("block {height}, position {position}");
                damaged(Table::Envelopes, place, "an envelope", error.to_string())
            })?;
            if envelope.payload().class == Class::Testimony {
                let key = tables::envelope_key(height, position);
                batch.put(Table::Envelopes, key, envelope.submission_id());
                pruned.envelopes += 1;
                lacks = true;
            }
        }
        Ok(lacks)
    }
}

impl Snapshot<'_> {
    /// The lowest height from which on every block can be rebuilt, as far as pruning and erasing told.
    ///
    /// # Errors
    /// As [`Snapshot::record`].
    pub fn whole_from(&self) -> Result<Height, StoreError> {
        let Some(row) = self.get(Table::Meta, meta::WHOLE_FROM)? else { return Ok(Height(1)) };
        codec::decode::<u64>(&row)
            .map(Height)
            .map_err(|error| damaged(Table::Meta, "whole_from", "a height", error.to_string()))
    }

    /// The lowest height whose block is not before `time`; the head's when all are.
    ///
    /// # Errors
    /// As [`Snapshot::record`].
    pub fn height_at(&self, time: TimeMs) -> Result<Height, StoreError> {
        let (mut low, mut high) = (1, self.head().height.0);
        while low < high {
            let middle = low + (high - low) / 2;
            let header = self
                .header(Height(middle))?
                .ok_or_else(|| damaged(Table::Blocks, middle.to_string(), "a block", "nothing"))?;
            if header.time < time { low = middle + 1 } else { high = middle }
        }
        Ok(Height(low))
    }
}

impl Batch<'_> {
    /// Says from which height on all blocks are whole.
    pub(crate) fn whole_from(&mut self, height: Height) {
        self.put(Table::Meta, meta::WHOLE_FROM, codec::encode(&height.0));
    }
}
