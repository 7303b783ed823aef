//! A second copy of the whole database beside the first, made in a moment while blocks go on.
//!
//! Table files never change, so RocksDB links them instead of copying them; what is not yet in one is
//! written first. Commits wait meanwhile, so that the copy ends with a block.

use std::path::Path;
use std::sync::PoisonError;

use custos_proof::ids::Height;
use rocksdb::checkpoint::Checkpoint;

use crate::error::StoreError;
use crate::store::{Store, io};

impl Store {
    /// Makes a copy in `dir`, which MUST not exist and MUST lie on the same file system. Returns its height.
    ///
    /// # Errors
    /// [`StoreError::Io`]; what is in `dir` then is nothing that opens.
    pub fn checkpoint(&self, dir: &Path) -> Result<Height, StoreError> {
        let _no_commit = self.writer().lock().unwrap_or_else(PoisonError::into_inner);
        Checkpoint::new(self.database()).and_then(|copy| copy.create_checkpoint(dir)).map_err(io)?;
        Ok(self.head().height)
    }
}
