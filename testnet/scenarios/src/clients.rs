//! Real submitters: what they were promised is what the checks demand afterwards.
//!
//! Each client is an institution's system. It signs a submission once, hands it in with `wait=committed`,
//! and while it has no receipts tries the same bytes again, at the next node, until it has. Only receipts
//! count as acknowledged; what is still in flight when the story ends is tried until the network, whole
//! again, records it.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use custos_api::answers::SubmissionState;
use custos_api::blocking::Client;
use custos_api::client::{ClientError, Limits, Submitted};
use custos_proof::cbor::Wire as _;
use custos_proof::file::Receipts;
use custos_proof::hash::ChainId;
use custos_proof::ids::{ParticipantId, Random16, TimeMs};
use custos_proof::kinds::Class;
use custos_proof::submission::{Author, Draft, Submission};
use custos_testnet::{FileKey, Network, event};

/// How long a node is asked to wait for a commit.
const WAIT: Duration = Duration::from_secs(8);
/// How long a node may take to answer beyond that.
const ANSWER: Duration = Duration::from_secs(4);
/// For how long a submission can be recorded; longer than any story's halt, so that trying again ends well.
const LIFETIME_MS: u64 = 50 * 60 * 1000;
/// How long a client rests before it tries another node.
const REST: Duration = Duration::from_millis(100);
/// How long a network that is whole again may take to record what is in flight.
const LAST: Duration = Duration::from_secs(240);

/// A submission that a node acknowledged with receipts.
pub struct Kept {
    /// The submission.
    pub submission: Submission,
    /// The receipts, as the exact file.
    pub file: Vec<u8>,
    /// The receipts.
    pub receipts: Receipts,
}

/// Who hands in, where, and how fast.
#[derive(Debug, Clone)]
pub struct Pace {
    /// Which nodes' participants hand in, one client each; a client begins at its own node.
    pub clients: Vec<usize>,
    /// The nodes that are asked.
    pub nodes: Vec<usize>,
    /// The most items of a submission.
    pub items: usize,
    /// How long a client rests between two submissions.
    pub rest: Duration,
}

impl Pace {
    /// Enough that there is always something in flight, and little enough for one machine.
    #[must_use]
    pub fn gentle() -> Self {
        Self { clients: vec![1, 2, 3, 4], nodes: vec![1, 2, 3, 4], items: 4, rest: Duration::from_millis(60) }
    }
}

/// Clients at work.
pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<Vec<Kept>>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    abandoned: AtomicBool,
    acknowledged: AtomicU64,
    tried_again: AtomicU64,
}

impl Load {
    /// Starts the clients.
    ///
    /// # Panics
    /// When the system has no room for a thread.
    #[must_use]
    pub fn start(network: &Network, pace: &Pace) -> Self {
        let shared = Arc::new(Shared::default());
        let addresses: Vec<String> = pace.nodes.iter().map(|node| network.address(*node)).collect();
        let clients = pace
            .clients
            .iter()
            .enumerate()
            .map(|(position, index)| {
                let client = Submitter {
                    author: Signing::new(network, *index),
                    addresses: addresses.clone(),
                    turn: position,
                    shared: Arc::clone(&shared),
                };
                let pace = pace.clone();
                thread::Builder::new()
                    .name(format!("client-{index}"))
                    .spawn(move || client.run(&pace))
                    .expect("because the system has room for a thread")
            })
            .collect();
        Self { shared, clients }
    }

    /// How many submissions were acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    /// How often a client had to try again.
    #[must_use]
    pub fn tried_again(&self) -> u64 {
        self.shared.tried_again.load(Ordering::Relaxed)
    }

    /// Waits until `more` further submissions are acknowledged; returns how long that took.
    ///
    /// # Panics
    /// When that takes longer than `patience`, or a client was refused.
    pub fn wait_for(&self, more: u64, patience: Duration) -> Duration {
        let (began, goal) = (Instant::now(), self.acknowledged() + more);
        while self.acknowledged() < goal {
            assert!(
                began.elapsed() < patience,
                "{more} submissions are not recorded within {} s",
                patience.as_secs()
            );
            assert!(!self.clients.iter().any(JoinHandle::is_finished), "a client gave up: see above");
            sleep(Duration::from_millis(20));
        }
        began.elapsed()
    }

    /// Whether nothing is acknowledged for `lasting`, once what was on its way has arrived within `settling`.
    #[must_use]
    pub fn is_silent(&self, settling: Duration, lasting: Duration) -> bool {
        sleep(settling);
        let before = self.acknowledged();
        sleep(lasting);
        self.acknowledged() == before
    }

    /// Begins no further submission, waits until every begun one is acknowledged, and gives back all of them.
    ///
    /// # Panics
    /// When something is not recorded although the network has had time, or a client was refused.
    #[must_use]
    pub fn finish(mut self) -> Vec<Kept> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let joined = std::mem::take(&mut self.clients).into_iter().map(JoinHandle::join);
        joined.flat_map(|kept| kept.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    }
}

impl Drop for Load {
    /// A story that fails leaves its clients nothing to wait for.
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.abandoned.store(!self.clients.is_empty(), Ordering::Relaxed);
    }
}

/// One client.
struct Submitter {
    author: Signing,
    addresses: Vec<String>,
    turn: usize,
    shared: Arc<Shared>,
}

impl Submitter {
    fn run(mut self, pace: &Pace) -> Vec<Kept> {
        let limits = Limits { request: ANSWER, connect: ANSWER, retries: 0, ..Limits::default() };
        let client =
            |address: &String| Client::with_limits(address, limits).expect("because nodes have addresses");
        let clients: Vec<Client> = self.addresses.iter().map(client).collect();
        let mut kept = Vec::new();
        while !self.shared.stop.load(Ordering::Relaxed) {
            let items = 1 + kept.len() % pace.items.max(1);
            let submission = self.author.submission(items);
            let Some(one) = self.hand_in(&clients, submission) else { break };
            kept.push(one);
            self.shared.acknowledged.fetch_add(1, Ordering::Relaxed);
            sleep(pace.rest);
        }
        kept
    }

    /// Tries until there are receipts; nothing when nobody waits for them any more.
    fn hand_in(&mut self, clients: &[Client], submission: Submission) -> Option<Kept> {
        let mut last = None;
        while !self.shared.abandoned.load(Ordering::Relaxed) {
            let client = &clients[self.turn % clients.len()];
            match client.submit_and_wait(submission.bytes(), WAIT) {
                Ok(Submitted::Committed { file, receipts }) => {
                    return Some(Kept { submission, file, receipts });
                }
                Ok(Submitted::Pending(status)) if status.state != SubmissionState::Rejected => {}
                // Told by the node, or by what is between: it may be better elsewhere, or later.
                Err(ClientError::Problem(problem)) if problem.status == 429 || problem.status >= 500 => {}
                Err(ClientError::Unreachable { .. } | ClientError::NotOurs { .. }) => {}
                refused => {
                    let client = client.address();
                    panic!("{client} refused an honest submission {}: {refused:?}", submission.id());
                }
            }
            self.shared.tried_again.fetch_add(1, Ordering::Relaxed);
            self.turn += 1;
            if self.shared.stop.load(Ordering::Relaxed) {
                let since = *last.get_or_insert_with(Instant::now);
                assert!(
                    since.elapsed() < LAST,
                    "{} is not recorded although the network had {} s",
                    submission.id(),
                    LAST.as_secs()
                );
            }
            sleep(REST);
        }
        None
    }
}

/// A participant that signs submissions.
pub struct Signing {
    chain: ChainId,
    owner: ParticipantId,
    key: FileKey,
    space: u64,
    drawn: u64,
}

impl Signing {
    /// A node's participant. What the network itself signs for it has other ids.
    #[must_use]
    pub fn new(network: &Network, index: usize) -> Self {
        Self::apart(network, index, u64::try_from(index).unwrap_or_default())
    }

    /// The same, with ids and nonces that no other number gives. The nodes' own numbers are their clients'.
    #[must_use]
    pub fn apart(network: &Network, index: usize, space: u64) -> Self {
        Self {
            chain: network.chain(),
            owner: network.participant(index),
            key: network.key(index),
            space,
            drawn: 0,
        }
    }

    /// A submission of new events, which belong to no patient.
    ///
    /// # Panics
    /// When something cannot be sealed or signed.
    pub fn submission(&mut self, items: usize) -> Submission {
        let ids: Vec<[u8; 16]> = (0..items).map(|_| self.draw()).collect();
        let nonce = Random16(self.draw());
        let items = ids.into_iter().map(|id| event(&self.chain, &self.owner, id).to_bytes()).collect();
        let draft = Draft {
            chain: &self.chain,
            author: Author::Participant(self.owner.clone()),
            class: Class::Testimony,
            nonce,
            not_after: now().plus(LIFETIME_MS),
        };
        Submission::sign(&draft, items, &self.key).expect("because a few events fit into a submission")
    }

    fn draw(&mut self) -> [u8; 16] {
        self.drawn += 1;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.drawn.to_be_bytes());
        bytes[8..].copy_from_slice(&self.space.to_be_bytes());
        bytes
    }
}

/// What the clock shows.
#[must_use]
pub fn now() -> TimeMs {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    TimeMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
