//! The state while a block is being applied: what was read, and what has changed since.
//!
//! Two layers lie over the view: the block so far, and the submission in progress. A submission that
//! is refused leaves no trace; one that is admitted is merged into the block. Reading sees the
//! submission first, then the block, then the view.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use custos_proof::cbor::Wire;
use custos_proof::certificate::ValidatorSet;
use custos_proof::hash::{Digest, ItemHash, KeyId, StateKey, TrailKey, sha256};
use custos_proof::ids::{Height, LogIndex, ParticipantId, Random16, TimeMs};
use custos_proof::merkle::Frontier;
use custos_proof::record::{Listing, Record};
use custos_proof::registry::{
    self, Bucket, DuePlace, KeyEntry, Participant, Policy, Protocol, RuleStatus, SubjectTrail, TrailHead,
};
use custos_proof::state_map::{self, NibblePath, Page, PageError, PageSource, Update};
use custos_proof::submission::Author;
use custos_proof::trail::TrailName;

use crate::changes::{Erasure, NewListing, NewRecord};
use crate::view::{Head, View, ViewError, decode_entry};

mod life;

/// The most keys of buckets that are remembered; more than this many would be found no faster than computed.
const MAX_BUCKETS_REMEMBERED: usize = 32;
/// The most keys of trails that are remembered. An item is listed in few, and the next one in some of them again.
const MAX_TRAILS_REMEMBERED: usize = 8;

/// What one layer changes.
#[derive(Debug, Default, Clone)]
struct Layer {
    entries: BTreeMap<StateKey, Option<Vec<u8>>>,
    records: Vec<NewRecord>,
    listings: Vec<NewListing>,
    trails: BTreeMap<TrailKey, Frontier>,
    nonces: BTreeSet<(u64, Author, Random16)>,
    events: BTreeMap<(Author, Random16), (LogIndex, ItemHash)>,
    participants: BTreeSet<ParticipantId>,
    keys: BTreeSet<(ParticipantId, KeyId)>,
    /// Obligations that are new (true) or settled.
    dues: BTreeMap<DuePlace, bool>,
    erasures: Vec<Erasure>,
    touched: Touched,
}

/// Whether a layer has entries of kinds that every submission asks for and hardly any changes: while it
/// has none, nobody needs their keys, and hashing keys is a good part of the work.
///
/// # Correctness
/// Whoever puts such an entry MUST set the flag; `Overlay::put` alone would hide it from readers.
#[derive(Debug, Default, Clone, Copy)]
struct Touched {
    participants: bool,
    keys: bool,
    policy: bool,
}

/// A view with the changes of a block and of the submission in progress.
pub struct Overlay<'v> {
    view: &'v dyn View,
    head: Arc<Head>,
    height: Height,
    time: TimeMs,
    block: Layer,
    submission: Layer,
    /// Keys of buckets that were computed before: a block is mostly a few authors'.
    buckets: RefCell<Vec<(Author, u64, BucketOf, StateKey)>>,
    /// Keys of trails that were computed last.
    trail_keys: VecDeque<(TrailName, TrailKey)>,
}

/// What a bucket counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BucketOf {
    Nonces,
    Events,
}

/// What a block changed, before roots are computed.
pub(crate) struct Changed {
    pub(crate) entries: Vec<(StateKey, Option<Vec<u8>>)>,
    pub(crate) records: Vec<NewRecord>,
    pub(crate) listings: Vec<NewListing>,
    pub(crate) trails: BTreeMap<TrailKey, Frontier>,
    pub(crate) nonces: Vec<(Author, u64, Random16)>,
    pub(crate) events: Vec<(Author, Random16, LogIndex, ItemHash)>,
    pub(crate) participants: Vec<ParticipantId>,
    pub(crate) keys: Vec<(ParticipantId, KeyId)>,
    pub(crate) dues: Vec<(DuePlace, bool)>,
    pub(crate) erasures: Vec<Erasure>,
    pub(crate) map: Update,
}

impl<'v> Overlay<'v> {
    /// Begins a block of time `time` after the view's head.
    ///
    /// # Errors
    /// When the view cannot be read.
    pub fn new(view: &'v dyn View, time: TimeMs) -> Result<Self, ViewError> {
        let head = view.head()?;
        Ok(Self {
            height: head.height.next(),
            view,
            head,
            time,
            block: Layer::default(),
            submission: Layer::default(),
            buckets: RefCell::default(),
            trail_keys: VecDeque::new(),
        })
    }

    /// Where the chain stood before this block.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The height of this block.
    #[must_use]
    pub fn height(&self) -> Height {
        self.height
    }

    /// The time of this block.
    #[must_use]
    pub fn time(&self) -> TimeMs {
        self.time
    }

    /// The view below.
    #[must_use]
    pub fn view(&self) -> &'v dyn View {
        self.view
    }

    /// Keeps what the submission in progress changed.
    pub(crate) fn keep(&mut self) {
        let kept = std::mem::take(&mut self.submission);
        self.block.entries.extend(kept.entries);
        self.block.records.extend(kept.records);
        self.block.listings.extend(kept.listings);
        self.block.trails.extend(kept.trails);
        self.block.nonces.extend(kept.nonces);
        self.block.events.extend(kept.events);
        self.block.participants.extend(kept.participants);
        self.block.keys.extend(kept.keys);
        self.block.dues.extend(kept.dues);
        self.block.erasures.extend(kept.erasures);
        self.block.touched.participants |= kept.touched.participants;
        self.block.touched.keys |= kept.touched.keys;
        self.block.touched.policy |= kept.touched.policy;
    }

    /// Forgets what the submission in progress changed.
    pub(crate) fn discard(&mut self) {
        self.submission = Layer::default();
    }

    /// Does all of `attempt`, or nothing of it when it fails.
    ///
    /// # Errors
    /// What `attempt` says.
    pub(crate) fn whole<T, E>(&mut self, attempt: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        let before = self.submission.clone();
        let done = attempt(self);
        if done.is_err() {
            self.submission = before;
        }
        done
    }

    /// The index that the next record will have.
    #[must_use]
    pub fn next_index(&self) -> LogIndex {
        let new = self.block.records.len() + self.submission.records.len();
        LogIndex(self.head.log_size.0 + new as u64)
    }

    /// The time of an earlier block.
    ///
    /// # Errors
    /// When the view cannot be read.
    pub fn block_time(&self, height: Height) -> Result<Option<TimeMs>, ViewError> {
        self.view.block_time(height)
    }

    /// What this block made of an entry; `None` when it left it alone.
    fn changed(&self, key: &StateKey) -> Option<&Option<Vec<u8>>> {
        self.submission.entries.get(key).or_else(|| self.block.entries.get(key))
    }

    /// An entry of the state map.
    pub(crate) fn read<T: Wire>(&self, key: &StateKey, what: &str) -> Result<Option<T>, ViewError> {
        match self.changed(key) {
            Some(changed) => changed.as_deref().map(|bytes| decode_entry(bytes, what)).transpose(),
            None => self.view.entry(key)?.map(|bytes| decode_entry(&bytes, what)).transpose(),
        }
    }

    /// As `read`, of an entry that the view has a reader of its own for; `key` is asked for only when the block has
    /// touched entries of its kind.
    fn shared<T: Wire>(
        &self,
        is_touched: impl Fn(&Layer) -> bool,
        key: impl FnOnce() -> StateKey,
        what: &str,
        below: impl FnOnce(&dyn View) -> Result<Option<Arc<T>>, ViewError>,
    ) -> Result<Option<Arc<T>>, ViewError> {
        if !is_touched(&self.submission) && !is_touched(&self.block) {
            return below(self.view);
        }
        match self.changed(&key()) {
            Some(changed) => {
                changed.as_deref().map(|bytes| decode_entry(bytes, what).map(Arc::new)).transpose()
            }
            None => below(self.view),
        }
    }

    /// Replaces an entry of the state map.
    pub(crate) fn put<T: Wire>(&mut self, key: StateKey, value: &T) {
        self.submission.entries.insert(key, Some(value.to_bytes()));
    }

    /// Removes an entry.
    pub(crate) fn remove(&mut self, key: StateKey) {
        self.submission.entries.insert(key, None);
    }

    /// A participant's entry.
    ///
    /// # Errors
    /// As for all readers here: when the view cannot be read or holds what it must not.
    pub fn participant(&self, id: &ParticipantId) -> Result<Option<Arc<Participant>>, ViewError> {
        let is_touched = |layer: &Layer| layer.touched.participants;
        self.shared(is_touched, || registry::participant_key(id), "participant", |view| view.participant(id))
    }

    /// Replaces a participant's entry.
    pub(crate) fn put_participant(&mut self, id: &ParticipantId, participant: &Participant) {
        self.put(registry::participant_key(id), participant);
        self.submission.touched.participants = true;
        self.submission.participants.insert(id.clone());
    }

    /// A key's entry.
    pub fn key(&self, id: &KeyId) -> Result<Option<Arc<KeyEntry>>, ViewError> {
        self.shared(|layer| layer.touched.keys, || registry::key_key(id), "key", |view| view.key(id))
    }

    /// A key's entry as it stood before this block.
    pub fn key_before(&self, id: &KeyId) -> Result<Option<Arc<KeyEntry>>, ViewError> {
        self.view.key(id)
    }

    /// Replaces a key's entry.
    pub(crate) fn put_key(&mut self, id: &KeyId, entry: &KeyEntry) {
        self.put(registry::key_key(id), entry);
        self.submission.touched.keys = true;
        // A subject's key is in no list: whoever has its trail's key finds it.
        if let Author::Participant(owner) = &entry.owner {
            self.submission.keys.insert((owner.clone(), *id));
        }
    }

    /// The policy.
    pub fn policy(&self) -> Result<Arc<Policy>, ViewError> {
        self.shared(|layer| layer.touched.policy, registry::policy_key, "policy", |view| view.policy())?
            .ok_or_else(|| ViewError::Damaged { what: "the state has no policy".into() })
    }

    /// Replaces the policy.
    pub(crate) fn put_policy(&mut self, policy: &Policy) {
        self.put(registry::policy_key(), policy);
        self.submission.touched.policy = true;
    }

    /// The validators of the next block, as far as this one has changed them.
    pub fn validators(&self) -> Result<ValidatorSet, ViewError> {
        self.read(&registry::validators_key(), "validator set")?
            .ok_or_else(|| ViewError::Damaged { what: "the state has no validators".into() })
    }

    /// The protocol version, and the one to come.
    pub fn protocol(&self) -> Result<Protocol, ViewError> {
        self.read(&registry::protocol_key(), "protocol")?
            .ok_or_else(|| ViewError::Damaged { what: "the state has no protocol version".into() })
    }

    /// A subject's trail.
    pub fn subject(&self, trail: &TrailKey) -> Result<Option<SubjectTrail>, ViewError> {
        self.read(&registry::subject_key(trail), "subject trail")
    }

    /// Replaces a subject trail's entry.
    pub(crate) fn put_subject(&mut self, trail: &TrailKey, entry: &SubjectTrail) {
        self.put(registry::subject_key(trail), entry);
    }

    /// A rule's status.
    pub fn rule(&self, trail: &TrailKey, rule: &Random16) -> Result<Option<RuleStatus>, ViewError> {
        self.read(&registry::rule_key(trail, rule), "rule")
    }

    /// Replaces a rule's status.
    pub(crate) fn put_rule(&mut self, trail: &TrailKey, rule: &Random16, status: &RuleStatus) {
        self.put(registry::rule_key(trail, rule), status);
    }

    /// The last number of a stream.
    pub fn stream(&self, author: &Author, stream: u32) -> Result<Option<u64>, ViewError> {
        self.read(&registry::stream_key(author, stream), "stream")
    }

    /// Sets the last number of a stream.
    pub(crate) fn put_stream(&mut self, author: &Author, stream: u32, last: u64) {
        self.put(registry::stream_key(author, stream), &last);
    }

    /// Whether a nonce was used.
    pub fn has_nonce(&self, author: &Author, bucket: u64, nonce: &Random16) -> Result<bool, ViewError> {
        let member = (bucket, author.clone(), *nonce);
        if self.submission.nonces.contains(&member) || self.block.nonces.contains(&member) {
            return Ok(true);
        }
        self.view.has_nonce(author, bucket, nonce)
    }

    /// How many nonces an author uses in a bucket.
    pub fn nonce_bucket(&self, author: &Author, bucket: u64) -> Result<Bucket, ViewError> {
        let found = self.shared(
            |layer| !layer.entries.is_empty(),
            || self.bucket_key(author, bucket, BucketOf::Nonces),
            "nonce bucket",
            |view| view.nonce_bucket(author, bucket),
        )?;
        Ok(found.map_or(Bucket::EMPTY, |bucket| (*bucket).clone()))
    }

    /// Uses a nonce.
    pub(crate) fn use_nonce(
        &mut self,
        author: &Author,
        bucket: u64,
        nonce: &Random16,
    ) -> Result<(), ViewError> {
        let entry = self.nonce_bucket(author, bucket)?.with(&nonce.0);
        self.put(self.bucket_key(author, bucket, BucketOf::Nonces), &entry);
        self.submission.nonces.insert((bucket, author.clone(), *nonce));
        Ok(())
    }

    /// Where an author's event was recorded first.
    pub fn event(
        &self,
        author: &Author,
        event: &Random16,
    ) -> Result<Option<(LogIndex, ItemHash)>, ViewError> {
        let member = (author.clone(), *event);
        let changed = self.submission.events.get(&member).or_else(|| self.block.events.get(&member));
        match changed {
            Some(found) => Ok(Some(*found)),
            None => self.view.event(author, event),
        }
    }

    /// Uses an event id.
    pub(crate) fn use_event(
        &mut self,
        author: &Author,
        event: &Random16,
        index: LogIndex,
        item: ItemHash,
    ) -> Result<(), ViewError> {
        let key = self.bucket_key(author, self.time.year(), BucketOf::Events);
        let bucket: Bucket = self.read(&key, "event bucket")?.unwrap_or(Bucket::EMPTY);
        let mut member = event.0.to_vec();
        member.extend_from_slice(&item.0);
        self.put(key, &bucket.with(&member));
        self.submission.events.insert((author.clone(), *event), (index, item));
        Ok(())
    }

    /// The key of a bucket, computed once for each.
    fn bucket_key(&self, author: &Author, number: u64, of: BucketOf) -> StateKey {
        let mut buckets = self.buckets.borrow_mut();
        let known = buckets.iter().find(|(by, n, what, _)| (by, *n, *what) == (author, number, of));
        if let Some((.., key)) = known {
            return *key;
        }
        let key = match of {
            BucketOf::Nonces => registry::nonce_key(author, number),
            BucketOf::Events => registry::event_key(author, number),
        };
        if buckets.len() >= MAX_BUCKETS_REMEMBERED {
            buckets.clear();
        }
        buckets.push((author.clone(), number, of, key));
        key
    }

    /// The key of a trail.
    pub(crate) fn trail_key(&mut self, name: &TrailName) -> TrailKey {
        if let Some((_, key)) = self.trail_keys.iter().find(|(known, _)| known == name) {
            return *key;
        }
        let key = name.key();
        self.trail_keys.truncate(MAX_TRAILS_REMEMBERED - 1);
        self.trail_keys.push_front((name.clone(), key));
        key
    }

    /// The positions that a record will have in these trails; each trail once.
    pub(crate) fn places(&self, trails: &[TrailKey]) -> Result<Vec<Listing>, ViewError> {
        let unique: BTreeSet<_> = trails.iter().collect();
        unique
            .into_iter()
            .map(|trail| Ok(Listing { trail: *trail, position: self.frontier(trail)?.size() }))
            .collect()
    }

    /// Appends a record to the log and to the trails it is listed in.
    pub(crate) fn append(
        &mut self,
        record: &Record,
        item: Option<(ItemHash, Vec<u8>)>,
    ) -> Result<(), ViewError> {
        let bytes = record.to_bytes();
        let leaf = custos_proof::merkle::leaf_hash(&bytes);
        for Listing { trail, position } in record.listings() {
            let mut frontier = self.frontier(trail)?;
            frontier.append(leaf);
            self.submission.trails.insert(*trail, frontier);
            self.submission.listings.push(NewListing {
                trail: *trail,
                position: *position,
                index: record.index,
                leaf,
            });
        }
        self.submission.records.push(NewRecord { bytes, leaf, item });
        Ok(())
    }

    fn frontier(&self, trail: &TrailKey) -> Result<Frontier, ViewError> {
        if let Some(frontier) = self.submission.trails.get(trail).or_else(|| self.block.trails.get(trail)) {
            return Ok(frontier.clone());
        }
        let head: Option<TrailHead> = self.read(&registry::trail_key(trail), "trail head")?;
        let Some(head) = head else { return Ok(Frontier::new()) };
        let damaged = || ViewError::Damaged { what: format!("the frontier of trail {trail}") };
        let frontier =
            Frontier::from_parts(head.size, self.view.trail_frontier(trail)?).map_err(|_| damaged())?;
        if frontier.root() == head.root { Ok(frontier) } else { Err(damaged()) }
    }

    /// Ends the block: trail heads become entries, and the state map is brought up to date.
    pub(crate) fn finish(mut self) -> Result<Changed, ViewError> {
        let heads: Vec<_> = self
            .block
            .trails
            .iter()
            .map(|(trail, frontier)| (*trail, TrailHead { size: frontier.size(), root: frontier.root() }))
            .collect();
        for (trail, head) in heads {
            self.put(registry::trail_key(&trail), &head);
        }
        self.keep();
        let hashes: Vec<(StateKey, Option<Digest>)> =
            self.block.entries.iter().map(|(key, value)| (*key, value.as_deref().map(sha256))).collect();
        let map = update_map(self.view, &hashes)?;
        let mut listings = self.block.listings;
        listings.sort_by_key(|l| (l.trail, l.position));
        Ok(Changed {
            entries: self.block.entries.into_iter().collect(),
            records: self.block.records,
            listings,
            trails: self.block.trails,
            nonces: self
                .block
                .nonces
                .into_iter()
                .map(|(bucket, author, nonce)| (author, bucket, nonce))
                .collect(),
            events: self
                .block
                .events
                .into_iter()
                .map(|((author, event), (index, item))| (author, event, index, item))
                .collect(),
            participants: self.block.participants.into_iter().collect(),
            keys: self.block.keys.into_iter().collect(),
            dues: self.block.dues.into_iter().collect(),
            erasures: self.block.erasures,
            map,
        })
    }
}

struct Pages<'v>(&'v dyn View);

impl PageSource for Pages<'_> {
    type Error = ViewError;
    fn page(&self, path: &NibblePath) -> Result<Option<Page>, ViewError> {
        self.0.page(path)
    }
}

fn page_error(error: PageError<ViewError>) -> ViewError {
    match error {
        PageError::Source(error) => error,
        other => ViewError::Damaged { what: other.to_string() },
    }
}

/// The state map after these changes.
///
/// # Errors
/// When pages cannot be read or do not fit together.
pub fn update_map(view: &dyn View, changes: &[(StateKey, Option<Digest>)]) -> Result<Update, ViewError> {
    state_map::update(&Pages(view), changes).map_err(page_error)
}

/// The proof of an entry, or of its absence, in the view's state map.
///
/// # Errors
/// When pages cannot be read or do not fit together.
pub fn prove_entry(view: &dyn View, key: &StateKey) -> Result<state_map::Proof, ViewError> {
    state_map::prove(&Pages(view), key).map_err(page_error)
}
