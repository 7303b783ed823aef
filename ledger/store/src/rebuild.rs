//! Derived tables, made anew from the primary ones.
//!
//! ```text
//! walk everything primary, compute everything derived, write nothing    refuses if any root differs
//! mark the store as being rebuilt                                       synced
//! clear, walk again, write                                              in parts
//! check the whole store against what is now there
//! take the mark away                                                    synced
//! ```
//!
//! If we die while the mark is there, opening and fsck refuse the store and say so, and the rebuild
//! starts over: primary tables are only read. Rows that followed from items which have since been
//! pruned cannot be computed again; they are kept, and proven by or removed for what the state says.

use std::path::Path;

use custos_proof::cbor::Wire;
use custos_proof::hash::KeyId;
use custos_proof::ids::{LogIndex, ParticipantId};
use custos_proof::registry;

use crate::batch::Batch;
use crate::codec;
use crate::damage;
use crate::derive::{Derived, Deriver, Sink, derive_pages};
use crate::error::StoreError;
use crate::fsck::{Checks, DERIVED, Progress, Report, check};
use crate::meter::Meter;
use crate::options::Limits;
use crate::snapshot::Snapshot;
use crate::store::Store;
use crate::tables::{self, Table, meta};
use crate::walk::walk;

/// How large a part is written at a time, in bytes.
const PART_BYTES: usize = 4 << 20;

/// Makes the derived tables of the store in `dir` anew.
///
/// # Errors
/// [`StoreError::Damaged`] when the primary tables do not hold together: nothing is changed then. Otherwise as
/// [`Store::open`].
pub fn rebuild(dir: &Path, progress: &mut dyn FnMut(Progress)) -> Result<Report, StoreError> {
    let store = Store::open_unchecked(dir, &Limits::default())?;
    let report = rebuild_open(&store, progress)?;
    store.compact()?;
    damage::unmark(dir)?;
    Ok(report)
}

/// As [`rebuild`], of a store that nobody else has.
pub(crate) fn rebuild_open(store: &Store, progress: &mut dyn FnMut(Progress)) -> Result<Report, StoreError> {
    let (derived, signatures) = {
        let snapshot = store.snapshot()?;
        let mut meter = Meter::new(snapshot.work(), progress);
        meter.stage("checking what the tables are made from");
        let mut deriver = Deriver::new(&snapshot, Nowhere);
        let signatures = walk(&snapshot, true, &mut meter, &mut deriver)?.signatures;
        let derived = deriver.finish(&mut meter)?.0;
        derive_pages(&snapshot, &mut Nowhere)?;
        (derived, signatures)
    };
    let mut mark = Batch::new(store.database());
    mark.put(Table::Meta, meta::REBUILDING, codec::encode(&true));
    mark.write()?;
    {
        let snapshot = store.snapshot()?;
        clear(store, &snapshot, derived)?;
        let mut meter = Meter::new(snapshot.work(), progress);
        meter.stage("writing");
        let mut deriver = Deriver::new(&snapshot, Writing { store, batch: Batch::new(store.database()) });
        walk(&snapshot, false, &mut meter, &mut deriver)?;
        let (_, mut writing) = deriver.finish(&mut meter)?;
        derive_pages(&snapshot, &mut writing)?;
        writing.batch.write()?;
    }
    store.page_cache().forget();
    store.tile_cache().forget();
    let report = check(&store.snapshot()?, &Checks { signatures: false, deep: false }, progress)?;
    let mut unmark = Batch::new(store.database());
    unmark.delete(Table::Meta, meta::REBUILDING);
    unmark.write()?;
    Ok(Report { signatures, ..report })
}

/// Empties the derived tables, but for what can no longer be computed.
fn clear(store: &Store, snapshot: &Snapshot<'_>, derived: Derived) -> Result<(), StoreError> {
    let mut batch = Batch::new(store.database());
    for table in DERIVED {
        match table {
            Table::Events => {
                remove_unless(&mut batch, snapshot, table, |_, value| match codec::decode::<u64>(value) {
                    Ok(index) => {
                        let index = LogIndex(index);
                        Ok(snapshot.record(index)?.is_some() && snapshot.item(index)?.is_none())
                    }
                    Err(_) => Ok(false),
                })?;
            }
            Table::Registry => {
                remove_unless(&mut batch, snapshot, table, |key, _| is_registered(snapshot, key))?
            }
            Table::Nonces if derived.leaves_open(table) => {}
            _ => batch.clear(table),
        }
    }
    batch.write()
}

fn remove_unless(
    batch: &mut Batch<'_>,
    snapshot: &Snapshot<'_>,
    table: Table,
    keep: impl Fn(&[u8], &[u8]) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    for row in snapshot.rows(table, &[], None) {
        let (key, value) = row?;
        if !keep(&key, &value)? {
            batch.delete(table, &key);
        }
    }
    Ok(())
}

/// Whether a row of `registry` names somebody or a key with an entry in the state map.
fn is_registered(snapshot: &Snapshot<'_>, key: &[u8]) -> Result<bool, StoreError> {
    let participant =
        |bytes: &[u8]| std::str::from_utf8(bytes).ok().and_then(|id| id.parse::<ParticipantId>().ok());
    match key.split_first() {
        Some((b'p', id)) => match participant(id) {
            Some(id) => Ok(snapshot.get(Table::State, &registry::participant_key(&id).0)?.is_some()),
            None => Ok(false),
        },
        Some((b'k', rest)) => {
            let Some((owner, id)) = rest.split_last_chunk::<32>() else { return Ok(false) };
            let entry = snapshot.get(Table::State, &registry::key_key(&KeyId(*id)).0)?;
            let entry = entry.and_then(|bytes| registry::KeyEntry::from_bytes(&bytes).ok());
            Ok(entry.is_some_and(|entry| {
                let row = entry.owner.as_participant().map(|owner| tables::key_row(owner, &KeyId(*id)));
                row.is_some_and(|row| row == [b"k", owner, id].concat())
            }))
        }
        _ => Ok(false),
    }
}

/// For computing without writing.
struct Nowhere;

impl Sink for Nowhere {
    fn row(&mut self, _: Table, _: &[u8], _: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Writes rows in parts.
struct Writing<'s> {
    store: &'s Store,
    batch: Batch<'s>,
}

impl Sink for Writing<'_> {
    fn row(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.batch.put(table, key, value);
        if self.batch.len() < PART_BYTES {
            return Ok(());
        }
        std::mem::replace(&mut self.batch, Batch::new(self.store.database())).write()
    }
}
