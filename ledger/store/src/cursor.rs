//! A table read in the order of its keys, each of which somebody has to ask for.
//!
//! So a row that nobody asks for is found as well as one that is not there.

use rocksdb::DBRawIterator;

use crate::error::StoreError;
use crate::snapshot::Snapshot;
use crate::store::{damaged, hex};
use crate::tables::Table;

/// A table and how far it was read.
pub(crate) struct Cursor<'s> {
    snapshot: &'s Snapshot<'s>,
    table: Table,
    rows: DBRawIterator<'s>,
}

impl<'s> Cursor<'s> {
    /// Before the first row whose key is not before `from`.
    pub(crate) fn new(snapshot: &'s Snapshot<'s>, table: Table, from: &[u8]) -> Result<Self, StoreError> {
        let mut rows = snapshot.raw_rows(table);
        rows.seek(from);
        snapshot.read_well(table, &rows)?;
        Ok(Self { snapshot, table, rows })
    }

    /// The value of `key`, which MUST be behind all keys asked for before.
    pub(crate) fn take(&mut self, key: &[u8]) -> Result<Option<Box<[u8]>>, StoreError> {
        match self.rows.item() {
            Some((found, value)) if found == key => {
                let value = value.into();
                self.rows.next();
                self.snapshot.read_well(self.table, &self.rows)?;
                Ok(Some(value))
            }
            Some((found, _)) if found < key => Err(self.extra(found)),
            _ => Ok(None),
        }
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), StoreError> {
        match self.rows.key() {
            Some(found) => Err(self.extra(found)),
            None => Ok(()),
        }
    }

    /// Nothing may be left before `key`.
    pub(crate) fn end_before(self, key: &[u8]) -> Result<(), StoreError> {
        match self.rows.key() {
            Some(found) if found < key => Err(self.extra(found)),
            _ => Ok(()),
        }
    }

    fn extra(&self, key: &[u8]) -> StoreError {
        damaged(self.table, hex(key), "no row: nothing refers to it", "one")
    }
}
