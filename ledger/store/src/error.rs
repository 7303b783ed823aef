//! What can go wrong with a store, kept apart by who has to do what about it.

use std::fmt;
use std::path::PathBuf;

use custos_proof::ids::Height;
use custos_state::view::ViewError;
use thiserror::Error;

/// A store could not do what was asked of it.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The disk or the operating system failed.
    #[error("the store could not be read or written: {0}; check disk space, permissions and the disk itself")]
    Io(String),
    /// Something in the store cannot be what was written.
    #[error("{0}")]
    Damaged(Box<Damage>),
    /// Something in the store did not fit when it was open before, and nobody has looked since.
    #[error(
        "the store in {0} was found damaged: {1}; run `custos fsck`, which opens it again if nothing is found"
    )]
    Marked(PathBuf, String),
    /// There is no store.
    #[error("no store in {0}; begin one from a genesis, or name the right data directory")]
    NotFound(PathBuf),
    /// There is a store already.
    #[error("{0} already holds a store; open it, or choose an empty directory")]
    Exists(PathBuf),
    /// The store was written by another version of this program.
    #[error("the store has format version {found}, this program reads version {expected}; {}", migration(*.found, *.expected))]
    Format {
        /// The store's format version.
        found: u32,
        /// The one this program reads and writes.
        expected: u32,
    },
    /// A rebuild of derived tables did not come to its end.
    #[error("a rebuild of this store was interrupted; run `custos fsck --rebuild` again, nothing is lost")]
    RebuildInterrupted,
    /// Another process has the store open.
    #[error(
        "{0} is in use by another process; stop that node first, two nodes must never share a data directory"
    )]
    Locked(PathBuf),
    /// The block does not follow the head. Nothing was written.
    #[error("the block does not extend the head: {0}")]
    NotExtending(String),
    /// The bytes were pruned; proofs of them are still there.
    #[error("the body of block {0} was pruned")]
    Pruned(Height),
    /// There is no such leaf, range or prefix.
    #[error("{0}")]
    OutOfRange(String),
    /// An earlier write failed, so that nobody knows what is on disk.
    #[error(
        "an earlier write failed, and the store takes no more; restart the node, it then opens or says what is wrong"
    )]
    Failed,
}

fn migration(found: u32, expected: u32) -> &'static str {
    if found > expected {
        "use the newer program that wrote it"
    } else {
        "restore it from a snapshot or from blocks with this program, or open it with the older one"
    }
}

/// The first thing that does not fit: where it is, what was expected there, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The table.
    pub table: &'static str,
    /// The key, as people read it.
    pub key: String,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
    /// How to mend it.
    pub mend: Mend,
}

/// How damage is mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mend {
    /// The table follows from others.
    Rebuild,
    /// The bytes exist elsewhere only: on the other nodes.
    Restore,
}

impl Mend {
    /// What an operator types or does.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Mend::Rebuild => "this table follows from others: stop the node and run `custos fsck --rebuild`",
            Mend::Restore => {
                "this cannot be computed here: restore the data directory from a snapshot or let the node \
                              sync again into an empty one; do not let it vote until then"
            }
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "table `{}`, key {}: expected {}, found {}; {}",
            self.table,
            self.key,
            self.expected,
            self.found,
            self.mend.hint()
        )
    }
}

impl From<StoreError> for ViewError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Damaged(damage) => ViewError::Damaged { what: damage.to_string() },
            other => ViewError::Io(other.to_string()),
        }
    }
}
