//! What a block changes, as plain data: computed before the vote, committed at the decision.

use custos_proof::hash::{BlockId, Digest, ItemHash, KeyId, StateKey, SubmissionId, TrailKey};
use custos_proof::header::Header;
use custos_proof::ids::{LogIndex, ParticipantId, Random16, TimeMs};
use custos_proof::kinds::Fields;
use custos_proof::kinds::access::Retention;
use custos_proof::registry::DuePlace;
use custos_proof::state_map::{NibblePath, Page};
use custos_proof::submission::Author;

use crate::view::Head;

/// Everything that one block adds or replaces. Committed whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The block's header.
    pub header: Header,
    /// Its id.
    pub block_id: BlockId,
    /// Where the chain stands after it.
    pub head: Head,
    /// The new leaves of the log, from the old size on.
    pub records: Vec<NewRecord>,
    /// The submissions, in body order.
    pub submissions: Vec<NewSubmission>,
    /// Entries of the state map, ascending by key; `None` removes.
    pub entries: Vec<(StateKey, Option<Vec<u8>>)>,
    /// Pages of the state map, in any order; `None` removes.
    pub pages: Vec<(NibblePath, Option<Page>)>,
    /// Places in trails, ascending by (trail, position).
    pub listings: Vec<NewListing>,
    /// Trails that grew, with their new perfect subtrees from the left.
    pub trail_frontiers: Vec<(TrailKey, Vec<Digest>)>,
    /// Nonces that are now used.
    pub nonces: Vec<(Author, u64, Random16)>,
    /// Buckets of nonces whose time has passed: all their members go.
    pub dropped_nonces: Vec<(Author, u64)>,
    /// Event ids that are now used.
    pub events: Vec<(Author, Random16, LogIndex, ItemHash)>,
    /// Participants whose entries changed: for the index that the registry is listed from.
    pub participants: Vec<ParticipantId>,
    /// Keys whose entries changed, with their owners: for the same index.
    pub keys: Vec<(ParticipantId, KeyId)>,
    /// Obligations that are new (true) or settled (false), ascending: for the index that they fall due from.
    pub dues: Vec<(DuePlace, bool)>,
    /// Stretches of trails whose items need not be kept any longer.
    pub erasures: Vec<Erasure>,
}

/// Items that may go. Their records stay, and with them every root and every proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erasure {
    /// In which trail.
    pub trail: TrailKey,
    /// The first position.
    pub from: u64,
    /// The position behind the last.
    pub to: u64,
    /// Only items of this class: [`retention_of`].
    pub retention: Retention,
    /// Only what was recorded before this block time.
    pub before: TimeMs,
}

impl Erasure {
    /// Whether it frees a store from keeping an item that was recorded at `time`.
    #[must_use]
    pub fn covers(&self, time: TimeMs, item: &Fields) -> bool {
        time < self.before && retention_of(item) == self.retention
    }
}

/// The retention class of an item: what it says itself, else the longest.
#[must_use]
pub fn retention_of(item: &Fields) -> Retention {
    match item {
        Fields::AccessEvent(f) => f.retention,
        Fields::RecordEvent(f) => f.retention,
        _ => Retention::Long,
    }
}

/// A new leaf of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// The record's bytes.
    pub bytes: Vec<u8>,
    /// Its leaf hash.
    pub leaf: Digest,
    /// The item's hash and bytes, for the record of an item.
    pub item: Option<(ItemHash, Vec<u8>)>,
}

/// A submission of the block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSubmission {
    /// Its id.
    pub id: SubmissionId,
    /// The signed envelope's bytes.
    pub envelope: Vec<u8>,
    /// For each item in order: where it is recorded.
    pub items: Vec<Placed>,
}

/// Where an item of a submission is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// By this block.
    Here(LogIndex),
    /// The same event, byte for byte, was recorded earlier, at this index; no second record is made.
    Before(LogIndex),
}

/// A new place in a trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewListing {
    /// Which trail.
    pub trail: TrailKey,
    /// The position in it.
    pub position: u64,
    /// The record there.
    pub index: LogIndex,
    /// That record's leaf hash.
    pub leaf: Digest,
}
