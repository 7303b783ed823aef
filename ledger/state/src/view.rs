//! What `apply` may read, as a trait that storage implements.
//!
//! Everything consensus depends on is an entry of the state map, so the trait is small: an entry by
//! its key, the pages of the map itself, and the members of sets whose running hashes are entries.
//! The trail frontiers and block times are derived from the log and checked against its roots.

use custos_proof::certificate::ValidatorSet;
use custos_proof::hash::{BlockId, ChainId, Digest, ItemHash, StateKey, TrailKey};
use custos_proof::ids::{Height, LogIndex, LogSize, ParticipantId, Random16, TimeMs};
use custos_proof::registry::DuePlace;
use custos_proof::state_map::{NibblePath, Page};
use custos_proof::submission::Author;
use thiserror::Error;

/// The state after some block.
pub trait View {
    /// The last block, or the genesis.
    ///
    /// # Errors
    /// All methods: [`ViewError`] when storage fails or holds what it must not.
    fn head(&self) -> Result<Head, ViewError>;

    /// The value of an entry of the state map.
    fn entry(&self, key: &StateKey) -> Result<Option<Vec<u8>>, ViewError>;

    /// A page of the state map.
    fn page(&self, path: &NibblePath) -> Result<Option<Page>, ViewError>;

    /// The perfect subtrees of a trail's tree, from the left ([`custos_proof::merkle::Frontier`]); empty for a new trail.
    fn trail_frontier(&self, trail: &TrailKey) -> Result<Vec<Digest>, ViewError>;

    /// Whether an author used a nonce that expires in this bucket.
    fn has_nonce(&self, author: &Author, bucket: u64, nonce: &Random16) -> Result<bool, ViewError>;

    /// The (author, bucket) pairs with live nonces whose bucket is below `bucket`, in ascending order of (bucket, author).
    fn nonce_buckets_before(&self, bucket: u64) -> Result<Vec<(Author, u64)>, ViewError>;

    /// Where an author's event of this id was recorded first.
    fn event(&self, author: &Author, event: &Random16) -> Result<Option<(LogIndex, ItemHash)>, ViewError>;

    /// The time of a block up to the head; the genesis' time at height 0.
    fn block_time(&self, height: Height) -> Result<Option<TimeMs>, ViewError>;

    /// The first obligations whose deadline is not after `time`, in ascending order; at most `limit`.
    fn due_until(&self, time: TimeMs, limit: usize) -> Result<Vec<DuePlace>, ViewError>;

    /// The earliest deadline of all obligations: when the next block has something to say by itself.
    fn next_due(&self) -> Result<Option<TimeMs>, ViewError>;
}

/// Where a chain stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The chain.
    pub chain: ChainId,
    /// The registrar of the genesis.
    pub registrar: ParticipantId,
    /// The last block's height; 0 at the genesis.
    pub height: Height,
    /// The last block's id.
    pub block_id: BlockId,
    /// The last block's time.
    pub time: TimeMs,
    /// The log's size.
    pub log_size: LogSize,
    /// The perfect subtrees of the log's tree, from the left.
    pub log_frontier: Vec<Digest>,
    /// The state map's root.
    pub state_root: Digest,
    /// The validators that decided the last block; at the genesis those that decide the first.
    pub validators_hash: Digest,
    /// The validators that decide the next block.
    pub next_validators: ValidatorSet,
}

/// Storage could not answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ViewError {
    /// Reading failed.
    #[error("storage could not be read: {0}")]
    Io(String),
    /// What was read cannot be what was written.
    #[error("storage is damaged: {what}; run `custos fsck` on the data directory")]
    Damaged {
        /// What is damaged.
        what: String,
    },
}
