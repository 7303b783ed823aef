//! The database of a store, open in this process and in no other.
//!
//! RocksDB has a lock of its own, but takes it late: an attempt that is then refused has moved the
//! information log of the process that runs aside already, and one that is opening at that moment may fail
//! over a file that it was about to remove. So nobody calls RocksDB before this lock is held.
//!
//! Nor before its logs were looked at ([`logs`]): it shortens in silence what looks like the end of a crash.

use std::fs::{File, TryLockError, create_dir_all};
use std::ops::Deref;
use std::path::Path;

use rocksdb::{DB, Options};

use crate::codec;
use crate::error::StoreError;
use crate::logs;
use crate::options::{self, Compactions, Limits};
use crate::store::{damaged, family, io, read};
use crate::tables::{FORMAT, Table, meta};

/// The file that is locked; it stays empty.
const LOCK: &str = "IN-USE";

/// An open database.
#[derive(Debug)]
pub(crate) struct Database {
    db: DB,
    /// Behind the database: let go of when that is closed.
    _lock: File,
}

impl Deref for Database {
    type Target = DB;

    fn deref(&self) -> &DB {
        &self.db
    }
}

impl Database {
    /// Opens the database in `dir`; it is made if there is none.
    pub(crate) fn create(dir: &Path, limits: &Limits) -> Result<Self, StoreError> {
        create_dir_all(dir).map_err(|error| StoreError::Io(format!("{}: {error}", dir.display())))?;
        if !dir.join("CURRENT").exists()
            && let Some(damage) = remains(dir)
        {
            return Err(damage);
        }
        Self::open_as_it_is(dir, limits, Compactions::Automatic, true)
    }

    /// Opens the database of a store that was begun.
    pub(crate) fn open(dir: &Path, limits: &Limits, compactions: Compactions) -> Result<Self, StoreError> {
        if !dir.join("CURRENT").exists() {
            return Err(remains(dir).unwrap_or_else(|| StoreError::NotFound(dir.to_owned())));
        }
        let db = Self::open_as_it_is(dir, limits, compactions, false)?;
        // The only thing that a creation leaves behind which died before its batch.
        let format =
            read(&db, Table::Meta, meta::FORMAT)?.ok_or_else(|| StoreError::NotFound(dir.to_owned()))?;
        match codec::decode::<u32>(&format) {
            Ok(FORMAT) => Ok(db),
            Ok(found) => Err(StoreError::Format { found, expected: FORMAT }),
            Err(error) => Err(damaged(Table::Meta, "format", "a format version", error.to_string())),
        }
    }

    /// Puts an empty table in the place of one, whatever has become of its files: none of them is read.
    ///
    /// Deleting the rows would not do: a deleted row stands in its file until a compaction reads that.
    ///
    /// # Correctness
    /// The caller's mark that rows are missing MUST have reached the disk before. Taking the table away and making it
    /// again are two entries in the manifest, each synced by RocksDB; if we die between them, the next opening makes the
    /// table that is missing (`options.rs`). If we die later, what was written since may be there in part.
    pub(crate) fn renew(&mut self, table: Table, options: &Options) -> Result<(), StoreError> {
        self.db.drop_cf(table.name()).map_err(io)?;
        self.db.create_cf(table.name(), options).map_err(io)
    }

    /// Lets RocksDB begin compactions of a table that was opened with [`Compactions::Requested`].
    pub(crate) fn compact_automatically(&self, table: Table) -> Result<(), StoreError> {
        let option = [("disable_auto_compactions", "false")];
        self.db.set_options_cf(family(&self.db, table), &option).map_err(io)
    }

    fn open_as_it_is(
        dir: &Path,
        limits: &Limits,
        compactions: Compactions,
        create: bool,
    ) -> Result<Self, StoreError> {
        let lock = lock(dir)?;
        logs::check(dir)?;
        let mut options = options::database(limits);
        options.create_if_missing(create);
        let families = options::families(limits, compactions);
        let db = DB::open_cf_descriptors(&options, dir, families).map_err(|error| {
            let message = error.to_string();
            // RocksDB has no error kind of its own for this; a program that does not know our lock may hold its.
            if message.contains("lock") && message.contains("LOCK") {
                StoreError::Locked(dir.to_owned())
            } else if error.kind() == rocksdb::ErrorKind::Corruption || message.contains("No such file") {
                damaged(Table::Meta, "(the database itself)", "files that fit together", message)
            } else {
                StoreError::Io(message)
            }
        })?;
        Ok(Self { db, _lock: lock })
    }
}

fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join(LOCK);
    let failed = |error: std::io::Error| StoreError::Io(format!("{}: {error}", path.display()));
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// What is left of a database that lost the file by which it is found. Beginning one here would remove the rest.
fn remains(dir: &Path) -> Option<StoreError> {
    let left = std::fs::read_dir(dir).ok()?.filter_map(Result::ok).find(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // A creation that died has its first manifest and nothing else.
        name.starts_with("MANIFEST-") && name != "MANIFEST-000001" || name.ends_with(".sst")
    })?;
    let found = format!("none, and {} of a database", left.file_name().to_string_lossy());
    Some(damaged(Table::Meta, "(the database itself)", "the file CURRENT", found))
}
