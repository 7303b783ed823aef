//! Derived tables, made anew from the primary ones.
//!
//! ```text
//! walk everything primary, compute everything derived, write nothing    refuses if any root differs
//! read the tables with rows that may not be computed again              refuses if one cannot be read
//! mark the store as being rebuilt                                       synced
//! put an empty table in the place of every other one                    none of their files is read
//! sift the tables that were read, walk again, write                     in parts
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
use custos_proof::record::Record;
use custos_proof::registry;

use crate::batch::Batch;
use crate::codec;
use crate::damage;
use crate::derive::{Derived, Deriver, Sink, derive_pages};
use crate::error::StoreError;
use crate::fsck::{Checks, DERIVED, Progress, Report, check};
use crate::meter::Meter;
use crate::options::{self, Limits};
use crate::snapshot::Snapshot;
use crate::store::{Store, beyond_rebuild};
use crate::tables::{self, Table, meta};
use crate::walk::walk;

/// How large a part is written at a time, in bytes.
const PART_BYTES: usize = 4 << 20;

/// Makes the derived tables of the store in `dir` anew.
///
/// # Errors
/// [`StoreError::Damaged`] when the primary tables do not hold together, or when a derived table with rows that nothing
/// else has cannot be read: nothing is changed then. Otherwise as [`Store::open`].
pub fn rebuild(dir: &Path, progress: &mut dyn FnMut(Progress)) -> Result<Report, StoreError> {
    let mut store = Store::open_unchecked(dir, &Limits::default())?;
    let report = rebuild_open(&mut store, progress)?;
    store.compact()?;
    damage::unmark(dir)?;
    Ok(report)
}

/// As [`rebuild`], of a store that nobody else has.
pub(crate) fn rebuild_open(
    store: &mut Store,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, StoreError> {
    let (kept, signatures) = {
        let snapshot = store.snapshot()?;
        let mut meter = Meter::new(snapshot.work(), progress);
        meter.stage("checking what the tables are made from");
        let mut deriver = Deriver::new(&snapshot, Nowhere);
        let signatures = walk(&snapshot, true, &mut meter, &mut deriver)?.signatures;
        let derived = deriver.finish(&mut meter)?.0;
        derive_pages(&snapshot, &mut Nowhere)?;
        (irreplaceable(&snapshot, derived)?, signatures)
    };
    let mut mark = Batch::new(store.database());
    mark.put(Table::Meta, meta::REBUILDING, codec::encode(&true));
    mark.write()?;
    renew(store, &kept)?;
    let store = &*store;
    {
        let snapshot = store.snapshot()?;
        sift(store, &snapshot, &kept)?;
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

/// The derived tables with rows that may not be computed again, each read from end to end: what cannot be read has to be
/// known while nothing is changed yet.
fn irreplaceable(snapshot: &Snapshot<'_>, derived: Derived) -> Result<Vec<Table>, StoreError> {
    let mut tables = Vec::new();
    if derived.incomplete {
        snapshot.count(Table::Events).map_err(beyond_rebuild)?;
        tables.push(Table::Events);
        match snapshot.count(Table::Registry) {
            Ok(_) => tables.push(Table::Registry),
            // Acts are not pruned, so that what they entered follows from them. If one was erased after all, a snapshot
            // would not bring its row back either: it carries no row of this table.
            Err(StoreError::Damaged(_)) => {}
            Err(error) => return Err(error),
        }
    }
    if derived.nonces_incomplete {
        snapshot.count(Table::Nonces).map_err(beyond_rebuild)?;
        tables.push(Table::Nonces);
    }
    Ok(tables)
}

/// Puts an empty table in the place of every derived one but the kept.
///
/// # Correctness
/// The mark MUST have reached the disk.
fn renew(store: &mut Store, kept: &[Table]) -> Result<(), StoreError> {
    let limits = Limits::default();
    let database = store.database_mut();
    for (table, of_table) in options::tables(&limits).filter(|(table, _)| DERIVED.contains(table)) {
        if kept.contains(&table) {
            // It was read: a compaction meets no damage in it.
            database.compact_automatically(table)?;
        } else {
            database.renew(table, &of_table)?;
        }
    }
    Ok(())
}

/// Removes from the kept tables what nothing speaks for. Rows that are to stay are never away: a crash loses none.
fn sift(store: &Store, snapshot: &Snapshot<'_>, kept: &[Table]) -> Result<(), StoreError> {
    for table in kept {
        match table {
            Table::Events => {
                let keep = |key: &[u8], value: &[u8]| is_of_gone_item(snapshot, key, value);
                remove_unless(store, snapshot, *table, keep)?;
            }
            Table::Registry => {
                let keep = |key: &[u8], _: &[u8]| is_registered(snapshot, key);
                remove_unless(store, snapshot, *table, keep)?;
            }
            // Nothing says which nonces of pruned envelopes are none.
            _ => {}
        }
    }
    Ok(())
}

fn remove_unless(
    store: &Store,
    snapshot: &Snapshot<'_>,
    table: Table,
    keep: impl Fn(&[u8], &[u8]) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    let mut removed = Batch::new(store.database());
    for row in snapshot.rows(table, &[], None) {
        let (key, value) = row?;
        if !keep(&key, &value)? {
            removed.delete(table, &key);
            write_part(store, &mut removed)?;
        }
    }
    removed.write()
}

/// Whether a row of `events` is of an item that is gone, and of its author.
fn is_of_gone_item(snapshot: &Snapshot<'_>, key: &[u8], value: &[u8]) -> Result<bool, StoreError> {
    let Ok(index) = codec::decode::<u64>(value).map(LogIndex) else { return Ok(false) };
    if snapshot.item(index)?.is_some() {
        return Ok(false);
    }
    let record = snapshot.decoded_record(index)?;
    let Some(entry) = record.as_ref().and_then(Record::as_item) else { return Ok(false) };
    let author = key.len().checked_sub(EVENT_ID_BYTES).and_then(|length| key.get(..length));
    Ok(author == Some(&entry.author.to_bytes()[..]))
}

/// The end of a key of `events`.
const EVENT_ID_BYTES: usize = 16;

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
        write_part(self.store, &mut self.batch)
    }
}

/// Writes what has come together, once it is a part.
fn write_part<'s>(store: &'s Store, batch: &mut Batch<'s>) -> Result<(), StoreError> {
    if batch.len() < PART_BYTES {
        return Ok(());
    }
    std::mem::replace(batch, Batch::new(store.database())).write()
}
