//! Intake: from bytes to a place in the mempool, each check once and in the order of its cost.
//!
//! ```text
//!   client --- bytes ---+                     decode, known?, admit     snapshot of the head
//!                       +--> one queue -->    signatures                one batch
//!   peers ---- bytes ---+                     trial, mempool            snapshot of the head
//!                                             answer, gossip, wake
//! ```
//!
//! One thread takes whatever has arrived, works it off as one batch, and goes back for more: alone, a
//! submission does not wait for company; under load, company comes by itself and the signature check
//! costs a quarter. The queue is bounded, and a full queue is answered, not waited for.
//!
//! Deliberately absent: what happens afterwards. Consensus takes from the mempool when it wants.

use std::collections::{BTreeSet, HashMap};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use custos_proof::hash::{ItemHash, SubmissionId, sha256};
use custos_proof::submission::{Author, FormError, Submission, Verified};
use custos_state::error::{AdmitError, Refusal, RefusalCode};
use custos_state::{admission, apply};
use custos_store::Snapshot;
use tokio::sync::oneshot;
use tracing::{debug, error};

use crate::chain::{Candidate, Chain, lock};
use crate::mempool::{NoRoom, Place};
use crate::metrics::Metrics;

/// How many submissions may wait for the intake.
const QUEUE: usize = 4096;
/// The most submissions of one batch.
const BATCH: usize = 512;
/// The most bytes of one batch: what the verifier's lock is held for stays short.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// The most submissions that one commit makes us look at again.
const MAX_RECHECKED: usize = 4096;

/// What the intake does.
#[derive(Debug)]
pub enum Job {
    /// Take this in.
    Submission(Incoming),
    /// Take these in, which one client handed in together.
    Together(Vec<Bytes>, oneshot::Sender<Vec<Answer>>),
    /// Take these in, which a peer passed on.
    Relayed(Vec<Bytes>, Arc<str>),
    /// Look again at what these authors have waiting: a block changed what they may do.
    Recheck(BTreeSet<Author>),
    /// End.
    Stop,
}

/// What a client is told.
pub type Answer = Result<Accepted, Declined>;

/// Bytes that say they are a submission.
#[derive(Debug)]
pub struct Incoming {
    /// The bytes.
    pub bytes: Bytes,
    /// Where they come from.
    pub origin: Origin,
}

/// Where a submission comes from.
#[derive(Debug)]
pub enum Origin {
    /// A client, who waits for the answer. This node is the first to take it.
    Client(oneshot::Sender<Answer>),
    /// A client, who handed in others with it and waits for all answers.
    Among(Arc<Together>, usize),
    /// A peer, by name.
    Peer(Arc<str>),
}

impl Origin {
    /// Whether this node is the first to take it.
    fn is_first(&self) -> bool {
        match self {
            Origin::Client(_) | Origin::Among(..) => true,
            Origin::Peer(_) => false,
        }
    }
}

/// The answers to submissions that came together; sent when the last is there.
#[derive(Debug)]
pub struct Together(Mutex<Collected>);

#[derive(Debug)]
struct Collected {
    answers: Vec<Option<Answer>>,
    missing: usize,
    client: Option<oneshot::Sender<Vec<Answer>>>,
}

impl Together {
    fn new(count: usize, client: oneshot::Sender<Vec<Answer>>) -> Arc<Self> {
        let answers = vec![None; count];
        Arc::new(Self(Mutex::new(Collected { answers, missing: count, client: Some(client) })))
    }

    fn answer(&self, place: usize, answer: Answer) {
        let mut collected = lock(&self.0);
        let slot = collected.answers.get_mut(place).filter(|slot| slot.is_none());
        let Some(slot) = slot else { return };
        *slot = Some(answer);
        collected.missing -= 1;
        if collected.missing == 0
            && let Some(client) = collected.client.take()
        {
            // A client that hung up meanwhile asks for the status.
            let _ = client.send(collected.answers.drain(..).flatten().collect());
        }
    }
}

/// A submission that is taken, or was taken before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Its id.
    pub id: SubmissionId,
    /// Its items, in order.
    pub items: Vec<ItemHash>,
    /// Where it stands.
    pub standing: Standing,
}

/// Where a submission stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It waits now.
    Added,
    /// It waited already.
    Pending,
    /// It was recorded already.
    Committed,
}

/// Why a submission is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Declined {
    /// It is not admissible.
    Refused(Refusal),
    /// There is no room now.
    NoRoom(NoRoom),
    /// This node cannot judge it.
    Failed(String),
}

/// What intake asks of consensus.
pub trait Peers: Send + Sync + 'static {
    /// Passes new submissions' bytes on to every peer.
    fn pass_on(&self, submissions: &[Arc<Verified>]);
    /// Says that there is work.
    fn wake(&self);
}

/// The way in.
#[derive(Debug, Clone)]
pub struct Intake {
    jobs: SyncSender<Job>,
    chain: Arc<Chain>,
}

impl Intake {
    /// Starts the thread. It ends with [`Intake::stop`].
    ///
    /// # Errors
    /// When the system has no thread.
    pub fn start(
        chain: Arc<Chain>,
        peers: impl Peers,
        metrics: Metrics,
    ) -> std::io::Result<(Self, IntakeThread)> {
        let (jobs, queue) = sync_channel(QUEUE);
        chain.set_intake(jobs.clone());
        let worker = Worker { chain: Arc::clone(&chain), peers, metrics };
        let thread = std::thread::Builder::new().name("intake".into()).spawn(move || worker.run(&queue))?;
        Ok((Self { jobs, chain }, IntakeThread(thread)))
    }

    /// Lets the thread end once it has worked off what waits.
    pub fn stop(&self) {
        // Disconnected: it has ended already.
        let _ = self.jobs.send(Job::Stop);
    }

    /// Hands in a client's bytes; the answer comes through the receiver.
    ///
    /// # Errors
    /// [`NoRoom::Full`] when too many wait.
    pub fn submit(&self, bytes: Bytes) -> Result<oneshot::Receiver<Answer>, NoRoom> {
        let (answer, receiver) = oneshot::channel();
        let incoming = Incoming { bytes, origin: Origin::Client(answer) };
        self.jobs.try_send(Job::Submission(incoming)).map_err(|_| NoRoom::Full)?;
        self.chain.comes_in(1);
        Ok(receiver)
    }

    /// Hands in what a client sent together, at least one; the answers come through the receiver, in the same order.
    ///
    /// # Errors
    /// [`NoRoom::Full`] when too many wait.
    pub fn submit_together(&self, all: Vec<Bytes>) -> Result<oneshot::Receiver<Vec<Answer>>, NoRoom> {
        let (answer, receiver) = oneshot::channel();
        let count = all.len();
        self.jobs.try_send(Job::Together(all, answer)).map_err(|_| NoRoom::Full)?;
        self.chain.comes_in(count);
        Ok(receiver)
    }

    /// Hands in what a peer passed on together.
    ///
    /// # Errors
    /// The same, when too many wait.
    pub fn relayed(&self, all: Vec<Bytes>, peer: &Arc<str>) -> Result<(), Vec<Bytes>> {
        self.jobs.try_send(Job::Relayed(all, Arc::clone(peer))).map_err(|error| match error {
            TrySendError::Full(Job::Relayed(all, _)) | TrySendError::Disconnected(Job::Relayed(all, _)) => {
                all
            }
            // What came back is what was sent.
            TrySendError::Full(_) | TrySendError::Disconnected(_) => Vec::new(),
        })
    }
}

/// The intake's thread.
#[derive(Debug)]
pub struct IntakeThread(std::thread::JoinHandle<()>);

impl IntakeThread {
    /// Waits for its end.
    pub fn join(self) {
        if self.0.join().is_err() {
            error!("the intake's thread panicked");
        }
    }
}

struct Worker<P> {
    chain: Arc<Chain>,
    peers: P,
    metrics: Metrics,
}

/// A submission on its way through a batch.
struct Step {
    origin: Origin,
    bytes: Bytes,
}

impl<P: Peers> Worker<P> {
    fn run(self, queue: &Receiver<Job>) {
        while let Ok(first) = queue.recv() {
            let (mut batch, mut authors, mut size) = (Vec::new(), BTreeSet::new(), 0);
            let (mut next, mut stop) = (Some(first), false);
            while let Some(job) = next {
                match job {
                    Job::Submission(incoming) => {
                        self.chain.came_in(1);
                        size += incoming.bytes.len();
                        batch.push(incoming);
                    }
                    Job::Together(all, client) => {
                        self.chain.came_in(all.len());
                        let together = Together::new(all.len(), client);
                        for (place, bytes) in all.into_iter().enumerate() {
                            size += bytes.len();
                            let origin = Origin::Among(Arc::clone(&together), place);
                            batch.push(Incoming { bytes, origin });
                        }
                    }
                    Job::Relayed(all, peer) => batch.extend(all.into_iter().map(|bytes| {
                        size += bytes.len();
                        Incoming { bytes, origin: Origin::Peer(Arc::clone(&peer)) }
                    })),
                    Job::Recheck(more) => authors.extend(more),
                    Job::Stop => stop = true,
                }
                next = if !stop && batch.len() < BATCH && size < BATCH_BYTES {
                    queue.try_recv().ok()
                } else {
                    None
                };
            }
            if !authors.is_empty() {
                self.recheck(&authors);
            }
            if !batch.is_empty() {
                self.take(batch);
            }
            if stop {
                return;
            }
        }
    }

    /// Takes a batch through all checks.
    fn take(&self, batch: Vec<Incoming>) {
        // The same bytes twice in one batch: the second one gets the first one's answer.
        let mut first: HashMap<Bytes, usize> = HashMap::new();
        let (mut steps, mut followers) = (Vec::new(), Vec::new());
        let (mut candidates, mut outcomes) = (Vec::new(), Vec::new());
        let snapshot = self.snapshot();
        let knows_bad = self.chain.mempool().knows_bad();
        for Incoming { bytes, origin } in batch {
            if let Some(place) = first.get(&bytes) {
                followers.push((*place, origin));
                continue;
            }
            first.insert(bytes.clone(), steps.len());
            let strict = origin.is_first();
            let looked_at = snapshot.as_ref().map_err(Clone::clone);
            match looked_at.and_then(|s| self.before_signature(s, knows_bad, &bytes)) {
                Ok(Before::Check(submission, key)) => {
                    candidates.push((steps.len(), Candidate { submission: *submission, key, strict }));
                    outcomes.push(None);
                }
                Ok(Before::Known(accepted)) => outcomes.push(Some(Ok(accepted))),
                Err(declined) => outcomes.push(Some(Err(declined))),
            }
            steps.push(Step { origin, bytes });
        }
        let (places, candidates): (Vec<_>, Vec<_>) = candidates.into_iter().unzip();
        let looked_at = snapshot.as_ref().ok().map(|s| s.head().height);
        drop(snapshot);
        let verified = self.chain.verifier().verify(candidates);
        // A later one: what was recorded while signatures were checked shows here.
        let snapshot = self.snapshot();
        let (mut added, mut fresh) = (false, Vec::new());
        for (place, result) in places.into_iter().zip(verified) {
            let outcome = match result {
                Ok(verified) => snapshot.as_ref().map_err(Clone::clone).and_then(|s| {
                    let moved = looked_at != Some(s.head().height);
                    self.after_signature(s, moved, verified)
                }),
                Err(refusal) => {
                    let hash = sha256(&steps[place].bytes);
                    self.chain.mempool().remember_bad(hash, refusal.clone());
                    Err(Declined::Refused(refusal))
                }
            };
            if let Ok(Accepted { id, standing: Standing::Added, .. }) = &outcome {
                added = true;
                if steps[place].origin.is_first() {
                    fresh.extend(self.chain.mempool().pending(id).cloned());
                }
            }
            outcomes[place] = Some(outcome);
        }
        if !fresh.is_empty() {
            self.peers.pass_on(&fresh);
        }
        if added {
            self.peers.wake();
        }
        for (place, origin) in followers {
            if let Some(Some(outcome)) = outcomes.get(place) {
                self.answer(origin, outcome.clone().map(Accepted::again));
            }
        }
        for (step, outcome) in steps.into_iter().zip(outcomes) {
            if let Some(outcome) = outcome {
                self.answer(step.origin, outcome);
            }
        }
    }

    fn snapshot(&self) -> Result<Snapshot<'_>, Declined> {
        self.chain.store().snapshot().map_err(|error| self.failed(&error))
    }

    /// `knows_bad`: whether any bytes are remembered as bad; these are hashed only then.
    fn before_signature(
        &self,
        snapshot: &Snapshot<'_>,
        knows_bad: bool,
        bytes: &[u8],
    ) -> Result<Before, Declined> {
        if knows_bad {
            // Hashed before the lock is taken.
            let hash = sha256(bytes);
            if let Some(refusal) = self.chain.mempool().bad(&hash) {
                return Err(Declined::Refused(refusal.clone()));
            }
        }
        let submission = Submission::decode(bytes).map_err(|error| Declined::Refused(refusal_of(error)))?;
        let id = submission.id();
        let known =
            |standing| Ok(Before::Known(Accepted { id, items: submission.item_hashes().to_vec(), standing }));
        if self.chain.mempool().pending(&id).is_some() {
            return known(Standing::Pending);
        }
        if snapshot.submission(&id).map_err(|error| self.failed(&error))?.is_some() {
            return known(Standing::Committed);
        }
        let key = admission::admit(snapshot, self.chain.now(), &submission)
            .map_err(|error| self.declined(error))?;
        Ok(Before::Check(Box::new(submission), key))
    }

    /// `moved`: whether blocks were committed since [`Worker::before_signature`] looked.
    fn after_signature(
        &self,
        snapshot: &Snapshot<'_>,
        moved: bool,
        verified: Arc<Verified>,
    ) -> Result<Accepted, Declined> {
        let id = verified.id();
        let items = verified.item_hashes().to_vec();
        if moved && snapshot.submission(&id).map_err(|error| self.failed(&error))?.is_some() {
            return Ok(Accepted { id, items, standing: Standing::Committed });
        }
        apply::preview(snapshot, self.chain.now(), &verified).map_err(|error| self.declined(error))?;
        match self.chain.mempool().insert(verified) {
            Ok(Place::Added) => Ok(Accepted { id, items, standing: Standing::Added }),
            Ok(Place::Known) => Ok(Accepted { id, items, standing: Standing::Pending }),
            Err(no_room) => Err(Declined::NoRoom(no_room)),
        }
    }

    fn answer(&self, origin: Origin, outcome: Result<Accepted, Declined>) {
        match origin {
            Origin::Client(answer) => {
                self.metrics.submission(outcome_word(&outcome));
                // A client that hung up meanwhile asks for the status.
                let _ = answer.send(outcome);
            }
            Origin::Among(together, place) => {
                self.metrics.submission(outcome_word(&outcome));
                together.answer(place, outcome);
            }
            Origin::Peer(peer) => {
                if let Err(Declined::Refused(refusal)) = &outcome {
                    // A peer that took it in good faith an hour ago may be refused by rules that changed
                    // since; one that sends malformed or wrongly signed bytes may not.
                    if is_senders_fault(refusal.code) {
                        self.metrics.bad_relay();
                        debug!(
                            peer = &*peer,
                            code = refusal.code.word(),
                            "a peer passed on a bad submission"
                        );
                    }
                }
                self.metrics.relayed(outcome_word(&outcome));
            }
        }
    }

    /// Tries again what a commit may have made inadmissible.
    fn recheck(&self, authors: &BTreeSet<Author>) {
        let waiting = self.chain.mempool().of_authors(authors);
        for submission in waiting.into_iter().take(MAX_RECHECKED) {
            let Ok(snapshot) = self.chain.store().snapshot() else { return };
            let id = submission.id();
            // A commit that came in between has taken it out of the pool, or is about to.
            if !matches!(snapshot.submission(&id), Ok(None)) {
                continue;
            }
            let now = self.chain.now();
            let verdict = admission::admit(&snapshot, now, &submission)
                .and_then(|_| apply::preview(&snapshot, now, &submission));
            if let Err(AdmitError::Refused(refusal)) = verdict {
                self.chain.mempool().reject(&id, refusal.clone());
                self.chain.tell_rejected(&id, &refusal);
            }
        }
    }

    fn declined(&self, error: AdmitError) -> Declined {
        match error {
            AdmitError::Refused(refusal) => Declined::Refused(refusal),
            AdmitError::View(error) => self.failed(&error),
        }
    }

    fn failed(&self, cause: &dyn std::fmt::Display) -> Declined {
        error!(%cause, "the store could not be read");
        Declined::Failed(cause.to_string())
    }
}

enum Before {
    Check(Box<Submission>, custos_proof::keys::PublicKey),
    Known(Accepted),
}

impl Accepted {
    /// The answer to the second of two equal ones.
    fn again(mut self) -> Self {
        if self.standing == Standing::Added {
            self.standing = Standing::Pending;
        }
        self
    }
}

fn refusal_of(error: FormError) -> Refusal {
    error.into()
}

fn is_senders_fault(code: RefusalCode) -> bool {
    matches!(
        code,
        RefusalCode::Malformed
            | RefusalCode::Truncated
            | RefusalCode::NotCanonical
            | RefusalCode::TooLarge
            | RefusalCode::UnsupportedAlgorithm
            | RefusalCode::UnsupportedVersion
            | RefusalCode::WrongChain
            | RefusalCode::BadSignature
            | RefusalCode::MixedClasses
            | RefusalCode::MalformedItem
    )
}

/// A short word for counting.
fn outcome_word(outcome: &Result<Accepted, Declined>) -> &'static str {
    match outcome {
        Ok(Accepted { standing: Standing::Added, .. }) => "accepted",
        Ok(_) => "duplicate",
        Err(Declined::Refused(refusal)) => refusal.code.word(),
        Err(Declined::NoRoom(NoRoom::Full)) => "mempool-full",
        Err(Declined::NoRoom(NoRoom::Share)) => "author-quota",
        Err(Declined::NoRoom(NoRoom::Behind(_))) => "behind",
        Err(Declined::Failed(_)) => "failed",
    }
}
