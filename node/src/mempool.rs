//! Submissions that wait for a block: bounded, fair to authors, and never the same one twice.
//!
//! A pure data structure: no clock, no lock, no I/O. Each author has a queue, in the order of
//! arrival, because later acts may rest on earlier ones; a block takes from the authors in turn, so
//! that one gateway under load does not keep a small practice waiting. An author may fill only its
//! share of the whole.
//!
//! Known bad bytes are remembered by the hash of *all* bytes: the submission id does not cover the
//! signature, and whoever sees an envelope could otherwise ban it by sending it first with a
//! broken one.
//!
//! Deliberately absent: whether a submission is admissible. What is in here is
//! [`Verified`] and was admissible when it came.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

use custos_proof::hash::{Digest, SubmissionId};
use custos_proof::ids::TimeMs;
use custos_proof::submission::{Author, Verified};
use custos_state::error::Refusal;

/// How much a mempool holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of all submissions.
    pub max_bytes: usize,
    /// The most submissions.
    pub max_count: usize,
    /// One author's share, as a divisor: 4 is a quarter of bytes and count each.
    pub author_share: usize,
    /// How many refused submissions are remembered for those who ask.
    pub max_rejected: usize,
    /// How many bad byte strings are remembered.
    pub max_bad: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 32 * 1024 * 1024,
            max_count: 32_768,
            author_share: 2,
            max_rejected: 8_192,
            max_bad: 16_384,
        }
    }
}

/// How many bytes an author may put into a block before it is the next one's turn; at least one submission.
const TURN_BYTES: usize = 64 * 1024;

/// Submissions that wait.
#[derive(Debug)]
pub struct Mempool {
    limits: Limits,
    pending: HashMap<SubmissionId, Arc<Verified>>,
    queues: BTreeMap<Author, Queue>,
    bytes: usize,
    /// Whose turn comes after this one's.
    begin: Begin,
    by_expiry: BTreeSet<(TimeMs, SubmissionId)>,
    rejected: Recent<SubmissionId, Rejected>,
    bad: Recent<Digest, Refusal>,
}

#[derive(Debug, Default)]
struct Queue {
    ids: VecDeque<SubmissionId>,
    bytes: usize,
}

/// A submission that waited and was then refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Whose it was.
    pub author: Author,
    /// Why.
    pub refusal: Refusal,
    /// Until when another node may still record it.
    pub not_after: TimeMs,
}

/// Whose turn it is first in the next block.
#[derive(Debug)]
enum Begin {
    Anywhere,
    /// Nobody was passed over last time: the one after whoever began.
    Behind(Author),
    /// The first one of whom nothing fitted.
    At(Author),
}

/// Why there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    /// For anybody.
    Full,
    /// For this author: it has its whole share.
    Share,
    /// For clients: what waits takes so many seconds to be recorded.
    Behind(u64),
}

/// Where a submission stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It waits now.
    Added,
    /// It waited already.
    Known,
}

impl Mempool {
    /// An empty one.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            pending: HashMap::new(),
            queues: BTreeMap::new(),
            bytes: 0,
            begin: Begin::Anywhere,
            by_expiry: BTreeSet::new(),
            rejected: Recent::new(limits.max_rejected),
            bad: Recent::new(limits.max_bad),
            limits,
        }
    }

    /// How many submissions wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// How many bytes wait.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A waiting submission.
    #[must_use]
    pub fn pending(&self, id: &SubmissionId) -> Option<&Arc<Verified>> {
        self.pending.get(id)
    }

    /// Why a submission that waited was refused, as far as that is remembered.
    #[must_use]
    pub fn rejected(&self, id: &SubmissionId) -> Option<&Rejected> {
        self.rejected.value(id)
    }

    /// Whether any bytes are remembered as bad: mostly none are, and nothing has to be hashed.
    #[must_use]
    pub fn knows_bad(&self) -> bool {
        !self.bad.values.is_empty()
    }

    /// Why these bytes were found to be bad, as far as that is remembered. `bytes` is the hash of all of them.
    #[must_use]
    pub fn bad(&self, bytes: &Digest) -> Option<&Refusal> {
        self.bad.value(bytes)
    }

    /// Remembers that bytes are bad for ever: malformed, or wrongly signed.
    pub fn remember_bad(&mut self, bytes: Digest, refusal: Refusal) {
        self.bad.insert(bytes, refusal);
    }

    /// Adds a submission.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn insert(&mut self, submission: Arc<Verified>) -> Result<Place, NoRoom> {
        let (id, size) = (submission.id(), submission.bytes().len());
        if self.pending.contains_key(&id) {
            return Ok(Place::Known);
        }
        if self.pending.len() >= self.limits.max_count || self.bytes + size > self.limits.max_bytes {
            return Err(NoRoom::Full);
        }
        let author = submission.payload().author.clone();
        let share = self.limits.author_share.max(1);
        let queue = self.queues.entry(author.clone()).or_default();
        let over_count = queue.ids.len() + 1 > (self.limits.max_count / share).max(1);
        let over_bytes = queue.bytes + size > (self.limits.max_bytes / share).max(size);
        if over_count || over_bytes {
            if queue.ids.is_empty() {
                self.queues.remove(&author);
            }
            return Err(NoRoom::Share);
        }
        queue.ids.push_back(id);
        queue.bytes += size;
        self.bytes += size;
        self.by_expiry.insert((submission.payload().not_after, id));
        self.rejected.remove(&id);
        self.pending.insert(id, submission);
        Ok(Place::Added)
    }

    /// Submissions for a block of at most `max_bytes` and `max_count`, authors in turn; they stay here. The first one
    /// has room whatever its size, and whoever was passed over begins next time, so that none waits for ever.
    pub fn reap(&mut self, max_bytes: usize, max_count: usize) -> Vec<Arc<Verified>> {
        let mut turns: VecDeque<(&Author, std::collections::vec_deque::Iter<'_, SubmissionId>)> =
            self.queues.iter().map(|(author, queue)| (author, queue.ids.iter())).collect();
        let before = |author: &Author| match &self.begin {
            Begin::Anywhere => false,
            Begin::Behind(last) => author <= last,
            Begin::At(waiting) => author < waiting,
        };
        turns.rotate_left(turns.iter().take_while(|(author, _)| before(author)).count());
        let first = turns.front().map(|(author, _)| (*author).clone());
        let authors = turns.len();
        let (mut reaped, mut bytes, mut passed_over) = (Vec::new(), 0usize, None);
        let mut turn = 0;
        while let Some((author, mut ids)) = turns.pop_front() {
            turn += 1;
            let (mut turn_bytes, mut more) = (0usize, false);
            for id in ids.by_ref() {
                let Some(submission) = self.pending.get(id) else { continue };
                let size = submission.bytes().len();
                // What does not fit ends its author's part of this block: order within an author is kept.
                if reaped.len() >= max_count || (bytes + size > max_bytes && !reaped.is_empty()) {
                    if turn_bytes == 0 && turn <= authors {
                        passed_over.get_or_insert(author);
                    }
                    break;
                }
                reaped.push(Arc::clone(submission));
                bytes += size;
                turn_bytes += size;
                if turn_bytes >= TURN_BYTES {
                    more = true;
                    break;
                }
            }
            if more && reaped.len() < max_count {
                turns.push_back((author, ids));
            }
        }
        self.begin = match (passed_over.cloned(), first) {
            (Some(waiting), _) => Begin::At(waiting),
            (None, Some(first)) => Begin::Behind(first),
            (None, None) => Begin::Anywhere,
        };
        reaped
    }

    /// Removes submissions that a block recorded.
    pub fn committed<'a>(&mut self, ids: impl IntoIterator<Item = &'a SubmissionId>) {
        for id in ids {
            self.remove(id);
            self.rejected.remove(id);
        }
    }

    /// Removes a submission that is no longer admissible, and remembers why.
    pub fn reject(&mut self, id: &SubmissionId, refusal: Refusal) {
        if let Some(submission) = self.remove(id) {
            let (author, not_after) = (submission.payload().author.clone(), submission.payload().not_after);
            self.rejected.insert(*id, Rejected { author, refusal, not_after });
        }
    }

    /// Removes what may no longer be recorded at `time`, with `refusal` as the reason, and says what that was.
    pub fn expire(
        &mut self,
        time: TimeMs,
        refusal: impl Fn(TimeMs) -> Refusal,
    ) -> Vec<(SubmissionId, Refusal)> {
        let mut expired = Vec::new();
        while let Some((not_after, id)) =
            self.by_expiry.first().copied().filter(|(not_after, _)| *not_after < time)
        {
            let refusal = refusal(not_after);
            self.reject(&id, refusal.clone());
            // Removed above with the submission; removed here in any case, so that this loop ends.
            self.by_expiry.remove(&(not_after, id));
            expired.push((id, refusal));
        }
        expired
    }

    /// The waiting submissions of these authors, in their order: what a commit may have made inadmissible.
    #[must_use]
    pub fn of_authors(&self, authors: &BTreeSet<Author>) -> Vec<Arc<Verified>> {
        authors
            .iter()
            .filter_map(|author| self.queues.get(author))
            .flat_map(|queue| &queue.ids)
            .filter_map(|id| self.pending.get(id).cloned())
            .collect()
    }

    fn remove(&mut self, id: &SubmissionId) -> Option<Arc<Verified>> {
        let submission = self.pending.remove(id)?;
        let (author, size) = (&submission.payload().author, submission.bytes().len());
        self.bytes -= size;
        self.by_expiry.remove(&(submission.payload().not_after, *id));
        if let Some(queue) = self.queues.get_mut(author) {
            queue.bytes -= size;
            // What is recorded is mostly what came first.
            if let Some(position) = queue.ids.iter().position(|queued| queued == id) {
                queue.ids.remove(position);
            }
            if queue.ids.is_empty() {
                self.queues.remove(author);
            }
        }
        Some(submission)
    }
}

/// The last so many of something: the oldest is forgotten first.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    max: usize,
    values: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K: Copy + Eq + Hash, V> Recent<K, V> {
    pub(crate) fn new(max: usize) -> Self {
        Self { max, values: HashMap::new(), order: VecDeque::new() }
    }

    pub(crate) fn value(&self, key: &K) -> Option<&V> {
        self.values.get(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.max == 0 {
            return;
        }
        if self.values.insert(key, value).is_none() {
            self.order.push_back(key);
        }
        while self.values.len() > self.max {
            let Some(oldest) = self.order.pop_front() else { break };
            self.values.remove(&oldest);
        }
        // Keys that were removed leave holes in the order; close them before they pile up.
        if self.order.len() > 2 * self.max.max(16) {
            let kept: HashSet<K> = self.values.keys().copied().collect();
            self.order.retain(|key| kept.contains(key));
        }
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.values.remove(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use custos_proof::hash::ChainId;
    use custos_proof::ids::Random16;
    use custos_proof::keys::{PublicKey, SignError, Signature, Signer};
    use custos_proof::kinds::Class;
    use custos_proof::submission::{Draft, Submission};
    use custos_state::error::RefusalCode;
    use ed25519_dalek::Signer as _;

    /// A key of its own: the simulator compiles this file too, and has no key files.
    struct Key(ed25519_dalek::SigningKey);

    impl Signer for Key {
        fn public_key(&self) -> PublicKey {
            PublicKey(self.0.verifying_key().to_bytes())
        }

        fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
            Ok(Signature(self.0.sign(message).to_bytes()))
        }
    }

    /// A signed submission of `author`, of about `size` bytes, unique by `number`.
    fn submission(author: &str, number: u8, size: usize, not_after: u64) -> Arc<Verified> {
        let key = Key(ed25519_dalek::SigningKey::from_bytes(&[1; 32]));
        let draft = Draft {
            chain: &ChainId([0; 32]),
            author: Author::Participant(author.parse().unwrap()),
            class: Class::Testimony,
            nonce: Random16([number; 16]),
            not_after: TimeMs(not_after),
        };
        let signed = Submission::sign(&draft, vec![vec![number; size]], &key).unwrap();
        Arc::new(signed.verify(&key.public_key()).unwrap())
    }

    fn authors_of(reaped: &[Arc<Verified>]) -> Vec<String> {
        reaped.iter().map(|s| s.payload().author.to_string()).collect()
    }

    fn limits(max_bytes: usize, max_count: usize, author_share: usize) -> Limits {
        Limits { max_bytes, max_count, author_share, max_rejected: 2, max_bad: 2 }
    }

    fn stale() -> Refusal {
        Refusal::new(RefusalCode::Expired, "over")
    }

    #[test]
    fn a_gateway_under_load_does_not_keep_a_small_practice_waiting() {
        let mut pool = Mempool::new(limits(10_000_000, 1000, 1));
        for number in 0..100 {
            pool.insert(submission("hospital", number, 4000, 9)).unwrap();
        }
        pool.insert(submission("practice", 0, 10, 9)).unwrap();
        let block = pool.reap(200_000, 1000);
        assert!(authors_of(&block).contains(&"practice".to_owned()));
        assert!(block.iter().map(|s| s.bytes().len()).sum::<usize>() <= 200_000);
        assert!(block.len() > 40, "the rest of the block is the hospital's: {}", block.len());
    }

    #[test]
    fn authors_take_turns_at_being_first() {
        let mut pool = Mempool::new(limits(10_000_000, 1000, 1));
        for author in ["a", "b", "c"] {
            pool.insert(submission(author, 0, 10, 9)).unwrap();
        }
        let firsts: Vec<String> = (0..4).map(|_| authors_of(&pool.reap(1_000_000, 1)).remove(0)).collect();
        assert_eq!(firsts, ["a", "b", "c", "a"]);
    }

    #[test]
    fn an_author_is_recorded_in_the_order_in_which_it_spoke() {
        let mut pool = Mempool::new(limits(10_000_000, 1000, 1));
        let sent: Vec<_> = (0..50).map(|number| submission("hospital", number, 3000, 9)).collect();
        for submission in &sent {
            pool.insert(submission.clone()).unwrap();
        }
        let reaped = pool.reap(10_000_000, 1000);
        assert_eq!(reaped, sent);
        // What does not fit is not overtaken by what would.
        let small = pool.reap(sent[0].bytes().len() * 3 + 10, 1000);
        assert_eq!(small, sent[..3]);
    }

    #[test]
    fn a_submission_larger_than_the_room_is_alone_in_a_block_when_it_is_its_authors_turn() {
        let mut pool = Mempool::new(limits(10_000_000, 1000, 1));
        let large = submission("hospital", 0, 4000, 9);
        pool.insert(large.clone()).unwrap();
        for number in 0..5 {
            pool.insert(submission("practice", number, 10, 9)).unwrap();
        }
        let blocks: Vec<_> = (0..2).map(|_| pool.reap(2000, 1000)).collect();
        assert_eq!(blocks[0], [large]);
        assert_eq!(authors_of(&blocks[1]), ["practice"; 5]);
    }

    #[test]
    fn whoever_was_passed_over_begins_next_time() {
        let mut pool = Mempool::new(limits(100_000_000, 1000, 1));
        let authors: Vec<String> = (0..20).map(|number| format!("author-{number:02}")).collect();
        for author in &authors {
            pool.insert(submission(author, 0, if author == "author-13" { 4000 } else { 1000 }, 9)).unwrap();
        }
        let mut seen = std::collections::BTreeSet::new();
        // Four small ones fit, and the large one alone.
        for _ in 0..10 {
            seen.extend(authors_of(&pool.reap(5200, 1000)));
        }
        assert_eq!(seen.len(), authors.len(), "not in the order of the alphabet only: {seen:?}");
    }

    #[test]
    fn nothing_is_queued_twice() {
        let mut pool = Mempool::new(limits(10_000, 10, 1));
        let one = submission("hospital", 1, 10, 9);
        assert_eq!(pool.insert(one.clone()), Ok(Place::Added));
        assert_eq!(pool.insert(one.clone()), Ok(Place::Known));
        assert_eq!(pool.len(), 1);
        assert_eq!(pool.bytes(), one.bytes().len());
    }

    #[test]
    fn a_full_pool_says_whose_fault_it_is() {
        let mut pool = Mempool::new(limits(1_000_000, 4, 2));
        pool.insert(submission("a", 1, 10, 9)).unwrap();
        pool.insert(submission("a", 2, 10, 9)).unwrap();
        assert_eq!(pool.insert(submission("a", 3, 10, 9)), Err(NoRoom::Share));
        pool.insert(submission("b", 1, 10, 9)).unwrap();
        pool.insert(submission("c", 1, 10, 9)).unwrap();
        assert_eq!(pool.insert(submission("d", 1, 10, 9)), Err(NoRoom::Full));
        let by_bytes = submission("a", 1, 2000, 9);
        let mut pool = Mempool::new(limits(by_bytes.bytes().len() * 3, 100, 2));
        pool.insert(by_bytes).unwrap();
        assert_eq!(pool.insert(submission("a", 2, 2000, 9)), Err(NoRoom::Share));
        pool.insert(submission("b", 1, 2000, 9)).unwrap();
        pool.insert(submission("c", 1, 2000, 9)).unwrap();
        assert_eq!(pool.insert(submission("d", 1, 2000, 9)), Err(NoRoom::Full));
    }

    #[test]
    fn a_commit_makes_room() {
        let mut pool = Mempool::new(limits(1_000_000, 2, 1));
        let (one, two) = (submission("a", 1, 10, 9), submission("a", 2, 10, 9));
        pool.insert(one.clone()).unwrap();
        pool.insert(two.clone()).unwrap();
        pool.committed([&one.id()]);
        assert_eq!(pool.len(), 1);
        assert_eq!(pool.bytes(), two.bytes().len());
        assert!(pool.pending(&one.id()).is_none());
        pool.committed([&two.id()]);
        assert!(pool.is_empty() && pool.bytes() == 0);
        assert!(pool.reap(1_000_000, 10).is_empty());
    }

    #[test]
    fn what_expires_is_rejected_and_remembered_for_a_while() {
        let mut pool = Mempool::new(limits(1_000_000, 10, 1));
        let sent: Vec<_> = (0..4u8).map(|n| submission("a", n, 10, 100 + u64::from(n))).collect();
        for submission in &sent {
            pool.insert(submission.clone()).unwrap();
        }
        assert_eq!(pool.expire(TimeMs(100), |_| stale()), []);
        let expired = pool.expire(TimeMs(103), |_| stale());
        assert_eq!(
            expired.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
            sent[..3].iter().map(|s| s.id()).collect::<Vec<_>>()
        );
        assert_eq!(pool.len(), 1);
        assert_eq!(pool.rejected(&sent[2].id()).map(|r| r.not_after), Some(TimeMs(102)));
        assert_eq!(pool.rejected(&sent[0].id()), None, "only two are remembered");
        // Sent again, it waits again: a rejection is an opinion, not a ban.
        pool.insert(sent[2].clone()).unwrap();
        assert_eq!(pool.rejected(&sent[2].id()), None);
    }

    #[test]
    fn bad_bytes_are_known_by_all_of_them() {
        let mut pool = Mempool::new(limits(1_000_000, 10, 1));
        for n in 0..3 {
            pool.remember_bad(Digest([n; 32]), stale());
        }
        assert_eq!(pool.bad(&Digest([0; 32])), None, "only two are remembered");
        assert!(pool.bad(&Digest([2; 32])).is_some());
    }

    #[test]
    fn a_commit_asks_again_only_about_the_authors_it_touched() {
        let mut pool = Mempool::new(limits(1_000_000, 10, 1));
        let (a, b) = (submission("a", 1, 10, 9), submission("b", 1, 10, 9));
        pool.insert(a.clone()).unwrap();
        pool.insert(b).unwrap();
        assert_eq!(pool.of_authors(&BTreeSet::from([a.payload().author.clone()])), [a]);
    }

    #[test]
    fn memory_of_the_past_is_bounded_however_often_things_come_and_go() {
        let mut recent = Recent::new(4);
        for n in 0..10_000u32 {
            recent.insert(n, ());
            recent.remove(&n);
        }
        assert!(recent.order.len() <= 32, "{}", recent.order.len());
        assert!(recent.values.is_empty());
    }
}
