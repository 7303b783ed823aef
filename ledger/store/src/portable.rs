//! A chain as files that can be carried elsewhere: made while the node runs, verified before it is used.
//!
//! ```text
//! create    one version of the store -> chunks -> manifest                       a file, or a folder of many
//! verify    chunks -> a scratch store -> everything recomputed -> an anchor      and nothing is left behind
//! restore   the same beside the data directory, then one rename                  there whole, or not there
//! ```
//!
//! A snapshot carries what the ledger *is*, in the bytes that are hashed; tables that follow are made
//! anew, with the code of `fsck --rebuild`. So whoever restores has checked every header, certificate,
//! signature, record, trail and entry of the state map before the first block is added to it.
//!
//! Deliberately absent: votes. What a validator signed is not in a snapshot, and must not be: the node
//! that uses one has to stand aside until it can no longer contradict what it may have signed.

use std::path::PathBuf;

use custos_proof::hash::{BlockId, ChainId, Digest};
use custos_proof::ids::{Height, LogSize, TimeMs};
use custos_proof::verify::Failure;
use thiserror::Error;

mod container;
mod create;
pub(crate) mod format;
mod load;
mod restore;

pub use create::{Created, create};
pub use format::{ChunkRef, Manifest};
pub use restore::{restore, verify};

use crate::error::StoreError;
use crate::fsck::{Progress, Report};

pub(crate) type Progressed = Progress;

/// Keeps the newest snapshots of a folder and removes the others. Returns how many went.
///
/// # Errors
/// [`SnapshotError`]; nothing is removed when a manifest that is to stay does not read.
pub fn thin_out(folder: &std::path::Path, keep: usize) -> Result<usize, SnapshotError> {
    container::thin_out(folder, keep)
}

/// What a snapshot says of itself, before anything in it is believed.
///
/// # Errors
/// [`SnapshotError`] when it is none.
pub fn inspect(path: &std::path::Path) -> Result<Manifest, SnapshotError> {
    Ok(container::Reading::open(path)?.manifest().clone())
}

/// A snapshot of which everything was recomputed, and whose head follows from the anchor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The chain.
    pub chain: ChainId,
    /// The head's height.
    pub height: Height,
    /// The head's id.
    pub block_id: BlockId,
    /// The head's time.
    pub time: TimeMs,
    /// The log's size and root.
    pub log: (LogSize, Digest),
    /// The root of the state map.
    pub state_root: Digest,
    /// What was checked.
    pub report: Report,
}

/// A snapshot could not be made, or is not what it should be.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The disk or the operating system failed.
    #[error("{0}: {1}; check disk space, permissions and the disk itself")]
    Io(PathBuf, String),
    /// There is something already.
    #[error("{0} is there already; choose another place, or move the old one away")]
    Exists(PathBuf),
    /// It is no snapshot of this version, or its frame was changed.
    #[error("{0} is not a snapshot that this program reads: {1}; use another copy")]
    Form(PathBuf, String),
    /// A chunk is not what the manifest says.
    #[error("chunk {0} of the snapshot is damaged: {1}; use another copy")]
    Chunk(usize, String),
    /// The content does not hold together.
    #[error("the snapshot does not hold together: {0}; use another copy")]
    Content(String),
    /// Something recomputed differs.
    #[error("the snapshot does not hold together: {0}")]
    Store(#[from] StoreError),
    /// It does not follow from the anchor.
    #[error("{0}")]
    Anchor(Failure),
    /// The anchor is newer than the snapshot.
    #[error(
        "the anchor is of height {anchor}, the snapshot of height {snapshot}: use an older anchor (such as the genesis'), or a newer snapshot"
    )]
    AnchorAhead {
        /// The anchor's height.
        anchor: Height,
        /// The snapshot's.
        snapshot: Height,
    },
}

impl SnapshotError {
    /// Whether this speaks against the snapshot, rather than for something else being in the way.
    #[must_use]
    pub fn is_evidence(&self) -> bool {
        match self {
            Self::Io(..) | Self::Exists(_) | Self::AnchorAhead { .. } => false,
            Self::Form(..) | Self::Chunk(..) | Self::Content(_) => true,
            Self::Store(error) => matches!(error, StoreError::Damaged(_)),
            Self::Anchor(failure) => failure.is_evidence(),
        }
    }
}
