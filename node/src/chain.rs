//! The chain as this node has it: store, mempool, who waits for what, and the one place where
//! signatures are checked.
//!
//! Consensus, intake and the API share it. Locks are held for memory only, never over the disk, with
//! one exception that is meant: whoever checks signatures holds the verifier's lock, so that two
//! threads that meet the same submission at the same moment check it once.

use std::borrow::Borrow;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use custos_proof::batch::verify_batch;
use custos_proof::hash::SubmissionId;
use custos_proof::ids::TimeMs;
use custos_proof::keys::{PublicKey, is_strict};
use custos_proof::submission::{Author, Submission, Verified};
use custos_state::error::{Refusal, RefusalCode};
use custos_store::Store;
use tokio::sync::{oneshot, watch};

use crate::intake::Job;
use crate::mempool::{Limits, Mempool, NoRoom};
use crate::pace::{LONGEST_MS, Pace};

/// How many bytes of verified submissions are remembered beside the mempool.
const REMEMBERED_BYTES: usize = 32 * 1024 * 1024;
/// How many places of the order in which submissions came may be empty before it is swept.
const MAX_HOLES: usize = 4096;
/// The most requests that wait for one submission.
const MAX_WAITERS_EACH: usize = 64;

/// The chain as this node has it.
#[derive(Debug)]
pub struct Chain {
    store: Store,
    mempool: Mutex<Mempool>,
    pace: Mutex<Pace>,
    /// Clients' submissions that the intake has not looked at.
    coming: AtomicI64,
    begun: Instant,
    verifier: Verifier,
    waiting: Mutex<HashMap<SubmissionId, Vec<oneshot::Sender<Fate>>>>,
    committed: watch::Sender<u64>,
    intake: OnceLock<SyncSender<Job>>,
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// A block recorded it.
    Committed,
    /// It was found inadmissible after all.
    Rejected(Refusal),
}

impl Chain {
    /// The chain in a store.
    #[must_use]
    pub fn new(store: Store, limits: Limits) -> Self {
        let height = store.head().height.0;
        Self {
            store,
            mempool: Mutex::new(Mempool::new(limits)),
            pace: Mutex::default(),
            coming: AtomicI64::new(0),
            begun: Instant::now(),
            verifier: Verifier::default(),
            waiting: Mutex::default(),
            committed: watch::Sender::new(height),
            intake: OnceLock::new(),
        }
    }

    /// What is committed.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What waits.
    pub fn mempool(&self) -> MutexGuard<'_, Mempool> {
        lock(&self.mempool)
    }

    /// Whether what waits leaves room for what clients hand in.
    ///
    /// # Errors
    /// [`NoRoom::Behind`] when it takes longer than [`pace::LONGEST_MS`](crate::pace::LONGEST_MS) to record.
    pub fn room_for_clients(&self) -> Result<(), NoRoom> {
        let (count, bytes) = {
            let mempool = self.mempool();
            (mempool.len(), mempool.bytes())
        };
        let count = count.saturating_add(usize::try_from(self.coming.load(Ordering::Relaxed)).unwrap_or(0));
        match lock(&self.pace).wait_ms(self.steady_ms(), count, bytes) {
            Some(wait) if wait > LONGEST_MS => Err(NoRoom::Behind(wait.div_ceil(1_000))),
            _ => Ok(()),
        }
    }

    /// Takes what a block recorded out of the waiting room.
    pub(crate) fn recorded(&self, ids: &[SubmissionId]) {
        let mut mempool = self.mempool();
        let (count, bytes) = (mempool.len(), mempool.bytes());
        mempool.committed(ids);
        let (left, left_bytes) = (mempool.len(), mempool.bytes());
        drop(mempool);
        lock(&self.pace).recorded(self.steady_ms(), count - left, bytes - left_bytes, left);
    }

    /// Clients have handed these to the intake, which may be quicker than this call.
    pub(crate) fn comes_in(&self, count: usize) {
        self.coming.fetch_add(i64::try_from(count).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// The intake looks at these.
    pub(crate) fn came_in(&self, count: usize) {
        self.coming.fetch_sub(i64::try_from(count).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    fn steady_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Where signatures are checked.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The committed height, whenever it changes.
    #[must_use]
    pub fn heights(&self) -> watch::Receiver<u64> {
        self.committed.subscribe()
    }

    /// This node's clock, or the head's time when that is later.
    #[must_use]
    pub fn now(&self) -> TimeMs {
        clock().max(self.store.head().time)
    }

    /// Answers once the submission is committed or rejected. The caller MUST look again after this call
    /// whether it has been already.
    #[must_use]
    pub fn wait_for(&self, id: SubmissionId) -> Option<oneshot::Receiver<Fate>> {
        let mut waiting = lock(&self.waiting);
        let waiters = waiting.entry(id).or_default();
        waiters.retain(|waiter| !waiter.is_closed());
        if waiters.len() >= MAX_WAITERS_EACH {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        waiters.push(sender);
        Some(receiver)
    }

    /// Tells whoever waits for a submission that it was refused.
    pub(crate) fn tell_rejected(&self, id: &SubmissionId, refusal: &Refusal) {
        for waiter in lock(&self.waiting).remove(id).unwrap_or_default() {
            let _ = waiter.send(Fate::Rejected(refusal.clone()));
        }
    }

    /// Tells everybody that a block was committed.
    pub(crate) fn tell_committed(&self, height: u64, ids: &[SubmissionId]) {
        {
            let mut waiting = lock(&self.waiting);
            for waiter in ids.iter().filter_map(|id| waiting.remove(id)).flatten() {
                let _ = waiter.send(Fate::Committed);
            }
            // Those whose time was over are forgotten here.
            waiting.retain(|_, waiters| {
                waiters.retain(|waiter| !waiter.is_closed());
                !waiters.is_empty()
            });
        }
        self.committed.send_replace(height);
    }

    /// Where jobs for the intake go, once it runs.
    pub(crate) fn set_intake(&self, jobs: SyncSender<Job>) {
        // A second intake would be a mistake in the wiring; the first one stays.
        let _ = self.intake.set(jobs);
    }

    /// Asks the intake to look again at what these authors have waiting. When it is too busy, whoever
    /// builds the next block finds the same.
    pub(crate) fn recheck(&self, authors: BTreeSet<Author>) {
        if let Some(intake) = self.intake.get().filter(|_| !authors.is_empty()) {
            let _ = intake.try_send(Job::Recheck(authors));
        }
    }
}

/// Checks signatures, each once, and remembers what it found to be good.
#[derive(Debug, Default)]
pub struct Verifier {
    known: Mutex<Known>,
    checks: AtomicU64,
}

/// A submission whose signature has to be checked.
#[derive(Debug)]
pub struct Candidate {
    /// The submission.
    pub submission: Submission,
    /// The key that must have signed it.
    pub key: PublicKey,
    /// Whether this is the first node that takes it, which asks more than ZIP-215.
    pub strict: bool,
}

impl Candidate {
    /// A candidate from somewhere where it was taken before.
    #[must_use]
    pub fn relayed(submission: Submission, key: PublicKey) -> Self {
        Self { submission, key, strict: false }
    }
}

impl Verifier {
    /// How many signatures were checked so far.
    #[must_use]
    pub fn checks(&self) -> u64 {
        self.checks.load(Ordering::Relaxed)
    }

    /// The submissions with these bytes that were verified and are remembered, each in its place.
    #[must_use]
    pub fn known<'a>(&self, all: impl IntoIterator<Item = &'a [u8]>) -> Vec<Option<Arc<Verified>>> {
        let known = lock(&self.known);
        all.into_iter().map(|bytes| known.get(bytes)).collect()
    }

    /// Forgets submissions that a block recorded: nobody asks for their signatures again.
    pub fn forget(&self, recorded: &[Arc<Verified>]) {
        lock(&self.known).forget(recorded);
    }

    /// Checks the signatures of what is not known, all in one batch.
    ///
    /// The first node's question is the stricter one, and whatever is strict is valid by ZIP-215: it
    /// is asked instead, not besides, so that there is one check per submission and node.
    pub fn verify(&self, candidates: Vec<Candidate>) -> Vec<Result<Arc<Verified>, Refusal>> {
        let mut known = lock(&self.known);
        let mut results: Vec<Option<Result<Arc<Verified>, Refusal>>> = Vec::with_capacity(candidates.len());
        let (mut places, mut strict, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
        for candidate in candidates {
            match known.get(candidate.submission.bytes()) {
                Some(verified) => results.push(Some(Ok(verified))),
                None => {
                    places.push(results.len());
                    strict.push(candidate.strict);
                    unknown.push((candidate.submission, candidate.key));
                    results.push(None);
                }
            }
        }
        self.checks.fetch_add(unknown.len() as u64, Ordering::Relaxed);
        let answers = Verified::all(unknown, |signed| {
            let relayed: Vec<_> =
                signed.iter().zip(&strict).filter(|(_, strict)| !**strict).map(|(s, _)| *s).collect();
            let mut relayed = verify_batch(&relayed).into_iter();
            signed
                .iter()
                .zip(&strict)
                .map(|((key, message, signature), strict)| match strict {
                    true => is_strict(key, message, signature),
                    false => relayed.next().unwrap_or(false),
                })
                .collect()
        });
        for (place, answer) in places.into_iter().zip(answers) {
            results[place] = Some(match answer {
                Ok(verified) => {
                    let verified = Arc::new(verified);
                    known.remember(Arc::clone(&verified));
                    Ok(verified)
                }
                Err(bad) => Err(Refusal::new(RefusalCode::BadSignature, bad.to_string())),
            });
        }
        results.into_iter().flatten().collect()
    }
}

/// A verified submission, found by its bytes: all of them, signature included.
#[derive(Debug, Clone)]
struct ByBytes(Arc<Verified>);

impl Borrow<[u8]> for ByBytes {
    fn borrow(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl PartialEq for ByBytes {
    fn eq(&self, other: &Self) -> bool {
        self.0.bytes() == other.0.bytes()
    }
}

impl Eq for ByBytes {}

impl Hash for ByBytes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.bytes().hash(state);
    }
}

/// Verified submissions; the oldest are forgotten first.
#[derive(Debug, Default)]
struct Known {
    held: HashSet<ByBytes>,
    order: VecDeque<ByBytes>,
    size: usize,
}

impl Known {
    fn get(&self, bytes: &[u8]) -> Option<Arc<Verified>> {
        self.held.get(bytes).map(|known| Arc::clone(&known.0))
    }

    fn remember(&mut self, verified: Arc<Verified>) {
        let size = verified.bytes().len();
        if self.held.insert(ByBytes(Arc::clone(&verified))) {
            self.order.push_back(ByBytes(verified));
            self.size += size;
        }
        while self.size > REMEMBERED_BYTES {
            let Some(oldest) = self.order.pop_front() else { break };
            self.remove(oldest.0.bytes());
        }
    }

    fn forget(&mut self, recorded: &[Arc<Verified>]) {
        for submission in recorded {
            self.remove(submission.bytes());
        }
        // What is recorded is mostly what came first.
        while self.order.front().is_some_and(|oldest| !self.held.contains(oldest)) {
            self.order.pop_front();
        }
        if self.order.len() > 2 * self.held.len().max(MAX_HOLES) {
            let held = &self.held;
            self.order.retain(|known| held.contains(known));
        }
    }

    fn remove(&mut self, bytes: &[u8]) {
        if self.held.remove(bytes) {
            self.size -= bytes.len();
        }
    }
}

/// This node's clock.
#[must_use]
pub fn clock() -> TimeMs {
    custos_api::clock::now()
}

/// A lock that a panic elsewhere does not take from us: what it guards is changed in whole steps.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::FileSigner;
    use custos_proof::hash::ChainId;
    use custos_proof::ids::Random16;
    use custos_proof::keys::{KeyPurpose, Signer as _};
    use custos_proof::kinds::Class;
    use custos_proof::submission::Draft;

    fn signed(number: u8) -> (Submission, PublicKey) {
        let key = FileSigner::from_seed(KeyPurpose::Sign, &[number; 32]);
        let draft = Draft {
            chain: &ChainId([0; 32]),
            author: Author::Participant("a".parse().unwrap()),
            class: Class::Testimony,
            nonce: Random16([number; 16]),
            not_after: TimeMs(1),
        };
        (Submission::sign(&draft, vec![vec![number]], &key).unwrap(), key.public_key())
    }

    fn candidate(number: u8, strict: bool) -> Candidate {
        let (submission, key) = signed(number);
        Candidate { strict, ..Candidate::relayed(submission, key) }
    }

    #[test]
    fn a_signature_is_checked_once_however_often_it_comes() {
        let verifier = Verifier::default();
        for round in 0..3 {
            let results = verifier.verify((1..=6).map(|n| candidate(n, n % 2 == 0 && round == 0)).collect());
            assert!(results.iter().all(Result::is_ok));
        }
        assert_eq!(verifier.checks(), 6);
    }

    #[test]
    fn what_a_block_recorded_is_forgotten_and_the_rest_is_not() {
        let verifier = Verifier::default();
        let results = verifier.verify((1..=9).map(|n| candidate(n, false)).collect());
        let all: Vec<Arc<Verified>> = results.into_iter().map(Result::unwrap).collect();
        verifier.forget(&all[..4]);
        verifier.forget(&all[6..8]);
        let kept: Vec<bool> =
            verifier.known(all.iter().map(|one| one.bytes())).iter().map(Option::is_some).collect();
        assert_eq!(kept, [false, false, false, false, true, true, false, false, true]);
        let known = lock(&verifier.known);
        assert_eq!(known.size, known.held.iter().map(|held| held.0.bytes().len()).sum::<usize>());
        assert_eq!(known.order.front(), Some(&ByBytes(Arc::clone(&all[4]))));
        drop(known);
        // Asked again, a forgotten one is checked again.
        verifier.verify(vec![candidate(1, false), candidate(5, false)]);
        assert_eq!(verifier.checks(), 10);
    }

    #[test]
    fn a_bad_signature_among_good_ones_is_the_only_one_refused() {
        let verifier = Verifier::default();
        let (submission, _) = signed(3);
        let (_, other) = signed(4);
        let results = verifier.verify(vec![
            candidate(1, false),
            Candidate::relayed(submission, other),
            candidate(2, true),
        ]);
        assert!(results[0].is_ok() && results[2].is_ok());
        assert_eq!(results[1].as_ref().map_err(|r| r.code), Err(RefusalCode::BadSignature));
        assert_eq!(verifier.checks(), 3);
    }
}
