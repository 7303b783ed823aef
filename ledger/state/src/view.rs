//! What `apply` may read, as a trait that storage implements.
//!
//! Everything consensus depends on is an entry of the state map, so the trait is small: an entry by
//! its key, the pages of the map itself, and the members of sets whose running hashes are entries.
//! The trail frontiers and block times are derived from the log and checked against its roots.

use std::sync::Arc;

use custos_proof::cbor::Wire;
use custos_proof::certificate::ValidatorSet;
use custos_proof::hash::{BlockId, ChainId, Digest, ItemHash, KeyId, StateKey, TrailKey};
use custos_proof::ids::{Height, LogIndex, LogSize, ParticipantId, Random16, TimeMs};
use custos_proof::registry::{self, Bucket, DuePlace, KeyEntry, Participant, Policy};
use custos_proof::state_map::{NibblePath, Page};
use custos_proof::submission::Author;
use thiserror::Error;

/// The state after some block.
pub trait View {
    /// The last block, or the genesis.
    ///
    /// # Errors
    /// All methods: [`ViewError`] when storage fails or holds what it must not.
    fn head(&self) -> Result<Arc<Head>, ViewError>;

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

    // Entries that every submission asks for. Storage may answer from memory; what it answers MUST be what
    // `entry` would.

    /// The policy.
    fn policy(&self) -> Result<Option<Arc<Policy>>, ViewError> {
        decoded(self, &registry::policy_key(), "policy")
    }

    /// A participant's entry.
    fn participant(&self, id: &ParticipantId) -> Result<Option<Arc<Participant>>, ViewError> {
        decoded(self, &registry::participant_key(id), "participant")
    }

    /// A key's entry.
    fn key(&self, id: &KeyId) -> Result<Option<Arc<KeyEntry>>, ViewError> {
        decoded(self, &registry::key_key(id), "key")
    }

    /// How many nonces an author uses in a bucket, and the hash over them.
    fn nonce_bucket(&self, author: &Author, bucket: u64) -> Result<Option<Arc<Bucket>>, ViewError> {
        decoded(self, &registry::nonce_key(author, bucket), "nonce bucket")
    }
}

fn decoded<T: Wire>(
    view: &(impl View + ?Sized),
    key: &StateKey,
    what: &str,
) -> Result<Option<Arc<T>>, ViewError> {
    view.entry(key)?.map(|bytes| decode_entry(&bytes, what).map(Arc::new)).transpose()
}

/// Reads an entry that the state must hold in its one spelling.
///
/// # Errors
/// [`ViewError::Damaged`] with `what` it should have been.
pub fn decode_entry<T: Wire>(bytes: &[u8], what: &str) -> Result<T, ViewError> {
    T::from_bytes(bytes)
        .map_err(|error| ViewError::Damaged { what: format!("a {what} entry of the state: {error}") })
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
