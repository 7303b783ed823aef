//! One consistent version of a chain, as of one block: what `apply` reads and what people ask for.
//!
//! A snapshot sees nothing of blocks that are committed after it was taken, however long it is held,
//! and hinders nobody. Bytes come out as they were hashed; whatever is decoded on the way is checked,
//! and a row that cannot be what was written is [`StoreError::Damaged`] with its table and key.
//!
//! `None` means that there is no such thing; for an item or a body whose record or header exists it
//! means that the bytes were pruned.

use std::sync::Arc;

use custos_proof::cbor::Wire;
use custos_proof::certificate::{Certificate, ValidatorSet};
use custos_proof::hash::{Digest, ItemHash, KeyId, StateKey, SubmissionId, TrailKey};
use custos_proof::header::{Block, Header};
use custos_proof::ids::{Height, LogIndex, LogSize, ParticipantId};
use custos_proof::merkle::{self, Frontier};
use custos_proof::record::{Listing, Record};
use custos_proof::registry::{self, TrailHead};
use custos_proof::state_map::{self, PageError};
use custos_proof::submission::frame;
use custos_state::changes::Placed;
use custos_state::view::Head;

use crate::error::StoreError;
use crate::store::{Store, damaged, decode_head, hex, io};
use crate::tables::{self, Table, meta};
use crate::tiles::HEIGHT;
use crate::trees::{LogTree, TrailTree, no_proof};

mod opening;
mod rows;
mod view;

pub(crate) use rows::{StoredEnvelope, decode_header, decode_row};
pub(crate) use view::nonce_owner;

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

    fn within_log(&self, size: LogSize) -> Result<(), StoreError> {
        if size <= self.head.log_size {
            Ok(())
        } else {
            Err(StoreError::OutOfRange(format!("the log has {} records, not {size}", self.head.log_size)))
        }
    }
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
