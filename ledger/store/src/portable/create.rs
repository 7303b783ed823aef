//! Making a snapshot: one version of the store, read from its beginning to its end.
//!
//! What is read is checked as far as reading goes (rows decode, heights and indexes follow one on the
//! other); that it all fits together is for [`super::verify`] to say, of the copy and not of the disk
//! that it was read from.

use std::path::{Path, PathBuf};

use custos_proof::hash::StateKey;
use custos_proof::ids::{Height, LogIndex};

use super::container::Writing;
use super::format::{
    CHUNK_BYTES, CHUNK_HEIGHTS, Chunk, Manifest, PortableBlock, PortableEnvelope, PortableSubmission,
};
use super::{Progressed, SnapshotError};
use crate::codec;
use crate::cursor::Cursor;
use crate::error::StoreError;
use crate::snapshot::{Snapshot, StoredEnvelope, decode_row};
use crate::store::{damaged, hex};
use crate::tables::{self, Table};

/// Entries of the state map are cut behind one whose key ends in this byte, once a chunk is long enough: an entry that
/// comes or goes moves the cuts near it, and no others.
const CUT: u8 = 0;
/// From what length on.
const LEAST_STATE_BYTES: usize = CHUNK_BYTES / 4;

/// A snapshot that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// What it is of.
    pub manifest: Manifest,
    /// The file; in a folder of snapshots, its manifest.
    pub path: PathBuf,
    /// How many bytes were written: in a folder, only what was not there yet.
    pub new_bytes: u64,
}

/// Writes a snapshot to a file, or into a folder that holds others.
///
/// # Errors
/// [`SnapshotError`]; a file is then not there, and a folder has what it had.
pub fn create(
    snapshot: &Snapshot<'_>,
    to: &Path,
    progress: &mut dyn FnMut(Progressed),
) -> Result<Created, SnapshotError> {
    let head = snapshot.head();
    let mut writing = Writing::begin(to)?;
    if let Err(error) = fill(snapshot, &mut writing, progress) {
        writing.abandon();
        return Err(error);
    }
    let (manifest, path, new_bytes) = writing.finish(|chunks| Manifest {
        chain: head.chain,
        height: head.height,
        block_id: head.block_id,
        log_size: head.log_size,
        state_root: head.state_root,
        chunks,
    })?;
    Ok(Created { manifest, path, new_bytes })
}

fn fill(
    snapshot: &Snapshot<'_>,
    writing: &mut Writing,
    progress: &mut dyn FnMut(Progressed),
) -> Result<(), SnapshotError> {
    let validators = snapshot
        .rows(Table::Validators, &[], None)
        .map(|row| Ok(row?.1.into_vec()))
        .collect::<Result<_, StoreError>>()?;
    writing.add(&Chunk::Base { genesis: snapshot.genesis_bytes().to_vec(), validators })?;
    let pruned = blocks(snapshot, writing, progress)?;
    if pruned {
        events(snapshot, writing)?;
    }
    state(snapshot, writing)
}

/// All blocks; whether an item was missing.
fn blocks(
    snapshot: &Snapshot<'_>,
    writing: &mut Writing,
    progress: &mut dyn FnMut(Progressed),
) -> Result<bool, SnapshotError> {
    let total = snapshot.head().height.0;
    let mut records = Cursor::new(snapshot, Table::Records, &[])?;
    let mut items = Cursor::new(snapshot, Table::Items, &[])?;
    let (mut waiting, mut size, mut pruned, mut next) = (Vec::new(), 0, false, 0u64);
    for height in (1..=total).map(Height) {
        let block = block(snapshot, height, &mut next, &mut records, &mut items, &mut pruned)?;
        size += block.size();
        waiting.push(block);
        if size >= CHUNK_BYTES || height.0.is_multiple_of(CHUNK_HEIGHTS) || height.0 == total {
            writing.add(&Chunk::Blocks(std::mem::take(&mut waiting)))?;
            size = 0;
            progress(Progressed { stage: "copying blocks", done: height.0, total });
        }
    }
    Ok(pruned)
}

fn block(
    snapshot: &Snapshot<'_>,
    height: Height,
    next: &mut u64,
    records: &mut Cursor<'_>,
    items: &mut Cursor<'_>,
    pruned: &mut bool,
) -> Result<PortableBlock, SnapshotError> {
    let missing = |table, what: &str| damaged(table, height.to_string(), what, "nothing");
    let row = snapshot.block_row(height)?.ok_or_else(|| missing(Table::Blocks, "a block"))?;
    let header = crate::snapshot::decode_header(height, &row)?;
    let certificate = snapshot
        .get(Table::Certificates, &tables::height_key(height))?
        .ok_or_else(|| missing(Table::Certificates, "a certificate"))?;
    let submissions = (0..row.submissions)
        .map(|position| {
            let stored = snapshot.stored_envelope(height, position)?;
            let id = stored.id(height, position)?;
            let row = snapshot.submission_row(&id)?.ok_or_else(|| {
                damaged(Table::Submissions, id.to_string(), "where its items are recorded", "nothing")
            })?;
            let (first, items, before) = row.parts();
            let envelope = match stored {
                StoredEnvelope::Kept(bytes) => PortableEnvelope::Kept(bytes),
                StoredEnvelope::Pruned(id) => PortableEnvelope::Pruned(id),
            };
            Ok(PortableSubmission { envelope, first, items, before: before.to_vec() })
        })
        .collect::<Result<_, StoreError>>()?;
    let mut of_block = Vec::new();
    while *next < header.log_size.0 {
        let index = LogIndex(*next);
        let key = tables::index_key(index);
        let record = records
            .take(&key)?
            .ok_or_else(|| damaged(Table::Records, index.to_string(), "a record", "nothing"))?;
        let item = items.take(&key)?.map(Vec::from);
        // A record of no item has none either; looking at more events than there are costs nothing.
        *pruned |= item.is_none();
        of_block.push((record.into_vec(), item));
        *next += 1;
    }
    Ok(PortableBlock { header: row.header, certificate, submissions, records: of_block })
}

/// The ids of events whose items are gone: the state map has their running hash, and nothing else has them.
fn events(snapshot: &Snapshot<'_>, writing: &mut Writing) -> Result<(), SnapshotError> {
    let mut waiting = Vec::new();
    for row in snapshot.rows(Table::Events, &[], None) {
        let (key, value) = row?;
        let index: u64 = decode_row(Table::Events, &key, &value)?;
        if snapshot.item(LogIndex(index))?.is_none() {
            waiting.push((key.into_vec(), index));
        }
        if waiting.len() * 64 >= CHUNK_BYTES {
            writing.add(&Chunk::Events(std::mem::take(&mut waiting)))?;
        }
    }
    if waiting.is_empty() { Ok(()) } else { writing.add(&Chunk::Events(waiting)) }
}

fn state(snapshot: &Snapshot<'_>, writing: &mut Writing) -> Result<(), SnapshotError> {
    let (mut waiting, mut size) = (Vec::new(), 0);
    for row in snapshot.rows(Table::State, &[], None) {
        let (key, value) = row?;
        let key = <[u8; 32]>::try_from(&*key).map_err(|_| {
            damaged(Table::State, hex(&key), "a key of 32 bytes", format!("{} bytes", key.len()))
        })?;
        size += key.len() + value.len() + 6;
        let cut = key[31] == CUT && size >= LEAST_STATE_BYTES || size >= 4 * CHUNK_BYTES;
        waiting.push((StateKey(key), value.into_vec()));
        if cut {
            writing.add(&Chunk::State(std::mem::take(&mut waiting)))?;
            size = 0;
        }
    }
    if waiting.is_empty() { Ok(()) } else { writing.add(&Chunk::State(waiting)) }
}

/// The row of an event: the log index of its record.
pub(super) fn event_row(index: u64) -> Vec<u8> {
    codec::encode(&index)
}
