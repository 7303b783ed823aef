//! The load itself: clients that send, one follower that reads blocks, and what they saw.
//!
//! ```text
//!   closed loop   a client sends its next when its last is recorded: as fast as the network takes them
//!   open loop     a timetable says when each is due, whatever the network does: as the world does it
//! ```
//!
//! A latency runs from the instant at which a submission was *due* to the one at which a block with
//! it was seen. In the open loop that is its place in the timetable, so that a network which stalls
//! is charged for all who would have come meanwhile, sent or not (what is else called coordinated
//! omission). In the closed loop it is the instant of sending.
//!
//! Only what a block recorded before the end of the measured time counts as reached.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use custos_api::client::{Client, ClientError, Submitted};
use custos_proof::anchor::TrustAnchor;
use custos_proof::hash::SubmissionId;
use custos_proof::ids::Height;
use indicatif::ProgressBar;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::PATIENCE;
use super::histogram::Histogram;
use super::make::Prepared;
use super::verify_file;
use crate::exit::{Failed, Outcome};
use crate::network::refused;

/// How often a node is asked for its next block.
const BLOCK_POLL: Duration = Duration::from_millis(5);
/// How long the open loop waits for what was taken and not yet recorded.
const DRAIN: Duration = Duration::from_secs(20);
/// How long a client rests after a refusal or an error, in the closed loop.
const AFTER_REFUSAL: Duration = Duration::from_millis(20);

/// When submissions are due.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pace {
    /// The next when the last is recorded, after a rest.
    Closed { pause: Duration },
    /// So many per second.
    Open { per_second: f64 },
}

/// How the load is made.
#[derive(Clone)]
pub(super) struct Load {
    pub(super) clients: usize,
    pub(super) pace: Pace,
    /// How many submissions one request carries.
    pub(super) together: usize,
    /// How many reads follow each hundred submissions.
    pub(super) reads: usize,
    pub(super) seconds: Duration,
    /// With an anchor, receipts are waited for and verified.
    pub(super) anchor: Option<TrustAnchor>,
}

/// A node, as one who hands in and as a member who reads.
#[derive(Clone)]
pub(super) struct Nodes {
    pub(super) writers: Vec<Client>,
    /// By author, then by node.
    pub(super) readers: Vec<Vec<Client>>,
}

/// What was seen.
#[derive(Default)]
pub(super) struct Tally {
    /// From due to recorded.
    pub(super) recorded: Histogram,
    /// From due to the node's answer.
    pub(super) answered: Histogram,
    /// How long reads took.
    pub(super) reads: Histogram,
    /// How many were sent.
    pub(super) sent: usize,
    /// How many submissions, items and bytes were recorded within the measured time.
    pub(super) submissions: usize,
    pub(super) items: usize,
    /// How many of those that were broken on purpose were refused for it.
    pub(super) spoiled_refused: usize,
    /// What was refused or failed, by the stable word.
    pub(super) refused: BTreeMap<String, usize>,
    /// Taken and never seen in a block.
    pub(super) lost: usize,
    /// Some of the recorded ones, by place.
    pub(super) sample: Vec<usize>,
    /// The measured time.
    pub(super) seconds: f64,
}

/// A submission that is on its way.
struct Waits {
    due: Instant,
    place: usize,
    items: usize,
    tell: Option<oneshot::Sender<()>>,
}

/// # Correctness
/// Whoever holds `tally` may lock `waiting`, never the other way round.
struct Run {
    nodes: Nodes,
    load: Load,
    prepared: Arc<Vec<Prepared>>,
    next: AtomicUsize,
    start: Instant,
    until: Instant,
    last_recorded: Mutex<Instant>,
    waiting: Mutex<HashMap<SubmissionId, Waits>>,
    tally: Mutex<Tally>,
    bar: ProgressBar,
}

/// Sends what is prepared until it is used up or the time is over.
pub(super) async fn run(
    nodes: &Nodes,
    prepared: Arc<Vec<Prepared>>,
    load: &Load,
    bar: ProgressBar,
) -> Outcome<Tally> {
    let (Some(first), false) = (nodes.writers.first(), prepared.is_empty()) else {
        return Ok(Tally::default());
    };
    let height = first.status().await.map_err(refused)?.height;
    let start = Instant::now();
    let run = Arc::new(Run {
        nodes: nodes.clone(),
        load: load.clone(),
        next: AtomicUsize::new(0),
        start,
        until: start + load.seconds,
        last_recorded: Mutex::new(start),
        waiting: Mutex::default(),
        tally: Mutex::default(),
        bar,
        prepared,
    });
    let follower = tokio::spawn(follow(Arc::clone(&run), first.clone(), height));
    let mut clients: JoinSet<Outcome<()>> = JoinSet::new();
    let count = load.clients.min(run.prepared.len().div_ceil(load.together));
    for number in 0..count {
        clients.spawn(Arc::clone(&run).client(number));
    }
    let ended = clients.join_all().await.into_iter().collect::<Outcome<Vec<()>>>();
    let deadline = Instant::now() + DRAIN;
    while ended.is_ok() && !lock(&run.waiting).is_empty() && Instant::now() < deadline {
        tokio::time::sleep(BLOCK_POLL).await;
    }
    follower.abort();
    ended?;
    run.bar.finish_and_clear();
    let mut tally = std::mem::take(&mut *lock(&run.tally));
    tally.lost = lock(&run.waiting).len();
    // A closed loop may be done before its time is over.
    let last = *lock(&run.last_recorded);
    tally.seconds = (last.min(run.until) - run.start).as_secs_f64().max(1e-3);
    if matches!(load.pace, Pace::Open { .. }) {
        tally.seconds = tally.seconds.max((run.until.min(Instant::now()) - run.start).as_secs_f64());
    }
    Ok(tally)
}

impl Run {
    async fn client(self: Arc<Self>, number: usize) -> Outcome<()> {
        let node = number % self.nodes.writers.len().max(1);
        let Some(writer) = self.nodes.writers.get(node).cloned() else { return Ok(()) };
        let mut owed = 0;
        while let Some((places, due)) = self.next_due().await {
            let told = self.expect(&places, due);
            match &self.load.anchor {
                Some(anchor) => self.with_receipts(&writer, places.clone(), due, anchor).await?,
                None => self.hand_in(&writer, places.clone(), due).await,
            }
            if let Pace::Closed { pause } = self.load.pace {
                self.all_recorded(told).await;
                tokio::time::sleep(pause).await;
            }
            owed += places.len() * self.load.reads;
            while owed >= 100 {
                owed -= 100;
                self.read(node, places.start).await;
            }
        }
        Ok(())
    }

    /// The next ones to send, once they are due; none when the time is over.
    async fn next_due(&self) -> Option<(std::ops::Range<usize>, Instant)> {
        let together = self.load.together;
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let from = turn * together;
        let to = (from + together).min(self.prepared.len());
        let due = match self.load.pace {
            Pace::Closed { .. } => Instant::now(),
            Pace::Open { per_second } => self.start + Duration::from_secs_f64(from as f64 / per_second),
        };
        if from >= to || due >= self.until {
            return None;
        }
        if due > Instant::now() {
            tokio::time::sleep_until(due.into()).await;
        }
        // A network that stalls does not get more time than was meant.
        (Instant::now() < self.until).then_some((from..to, due))
    }

    /// Notes that these are on their way. In the closed loop, somebody waits for them.
    fn expect(&self, places: &std::ops::Range<usize>, due: Instant) -> Vec<oneshot::Receiver<()>> {
        let closed = matches!(self.load.pace, Pace::Closed { .. }) && self.load.anchor.is_none();
        let mut told = Vec::new();
        {
            let mut waiting = lock(&self.waiting);
            for place in places.clone() {
                let Some(prepared) = self.prepared.get(place).filter(|prepared| !prepared.spoiled) else {
                    continue;
                };
                let tell = closed.then(|| {
                    let (tell, hears) = oneshot::channel();
                    told.push(hears);
                    tell
                });
                waiting.insert(prepared.id, Waits { due, place, items: prepared.items, tell });
            }
        }
        lock(&self.tally).sent += places.len();
        told
    }

    async fn all_recorded(&self, told: Vec<oneshot::Receiver<()>>) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        for hears in told {
            // What was refused drops its sender: there is nothing to wait for.
            let _ = tokio::time::timeout_at(deadline, hears).await;
        }
    }

    /// Hands in without waiting for the block.
    async fn hand_in(&self, node: &Client, places: std::ops::Range<usize>, due: Instant) {
        let prepared = self.prepared.get(places).unwrap_or_default();
        let outcomes: Vec<Result<(), String>> = match prepared {
            [one] => vec![node.submit(&one.bytes).await.map(|_| ()).map_err(|error| word(&error))],
            several => {
                let bytes: Vec<&[u8]> = several.iter().map(|one| &one.bytes[..]).collect();
                match node.submit_many(&bytes).await {
                    Ok(answers) => answers
                        .into_iter()
                        .map(|answer| answer.rejection.map_or(Ok(()), |rejection| Err(rejection.code)))
                        .collect(),
                    Err(error) => vec![Err(word(&error)); several.len()],
                }
            }
        };
        let mut failed = false;
        {
            let mut tally = lock(&self.tally);
            for (one, outcome) in prepared.iter().zip(outcomes) {
                match outcome {
                    Ok(()) if one.spoiled => {
                        *tally.refused.entry("taken-though-spoiled".into()).or_default() += 1
                    }
                    Ok(()) => tally.answered.record(due.elapsed()),
                    Err(_) if one.spoiled => tally.spoiled_refused += 1,
                    Err(code) => {
                        failed = true;
                        lock(&self.waiting).remove(&one.id);
                        *tally.refused.entry(code).or_default() += 1;
                    }
                }
            }
        }
        if failed && matches!(self.load.pace, Pace::Closed { .. }) {
            tokio::time::sleep(AFTER_REFUSAL).await;
        }
    }

    /// Hands in, waits for the receipts and verifies them: the latency ends there.
    async fn with_receipts(
        &self,
        node: &Client,
        places: std::ops::Range<usize>,
        due: Instant,
        anchor: &TrustAnchor,
    ) -> Outcome<()> {
        for place in places {
            let Some(prepared) = self.prepared.get(place) else { continue };
            match node.submit_and_wait(&prepared.bytes, PATIENCE).await.map_err(refused)? {
                Submitted::Committed { file, .. } => verify_file(&file, anchor, &mut Vec::new())?,
                Submitted::Pending(_) => {
                    return Err(Failed::unable("a submission was not recorded in time"));
                }
            };
            lock(&self.waiting).remove(&prepared.id);
            self.recorded(due, place, prepared.items);
        }
        Ok(())
    }

    fn recorded(&self, due: Instant, place: usize, items: usize) {
        let now = Instant::now();
        let mut tally = lock(&self.tally);
        tally.recorded.record(now - due);
        if now <= self.until {
            tally.submissions += 1;
            tally.items += items;
        }
        tally.sample.push(place);
        let mut last = lock(&self.last_recorded);
        *last = now.max(*last);
        self.bar.inc(1);
    }

    /// What members ask for: how far a submission is, and the receipt of one recorded before.
    async fn read(&self, node: usize, place: usize) {
        let recorded = {
            let tally = lock(&self.tally);
            tally.sample.get(place % tally.sample.len().max(1)).copied()
        };
        let Some(prepared) = recorded.and_then(|place| self.prepared.get(place)) else { return };
        let reader = self.nodes.readers.get(prepared.author).and_then(|nodes| nodes.get(node));
        let Some(node) = reader else { return };
        let begun = Instant::now();
        let answer = match place % 2 {
            0 => node.receipt(&prepared.first_item, None).await.map(|_| ()),
            _ => node.submission(&prepared.id).await.map(|_| ()),
        };
        let mut tally = lock(&self.tally);
        match answer {
            Ok(()) => tally.reads.record(begun.elapsed()),
            Err(error) => *tally.refused.entry(format!("read: {}", word(&error))).or_default() += 1,
        }
    }
}

/// Notes what each new block records, and tells those who wait.
async fn follow(run: Arc<Run>, node: Client, mut height: u64) {
    loop {
        match node.block(Height(height + 1)).await {
            Ok(block) => {
                height += 1;
                for id in block.submissions {
                    let waits = lock(&run.waiting).remove(&id);
                    if let Some(Waits { due, place, items, tell }) = waits {
                        run.recorded(due, place, items);
                        if let Some(tell) = tell {
                            let _ = tell.send(());
                        }
                    }
                }
            }
            // Not there yet, or the node is busy.
            Err(_) => tokio::time::sleep(BLOCK_POLL).await,
        }
    }
}

/// The stable word of an error.
fn word(error: &ClientError) -> String {
    match (error.code(), error) {
        (Some(code), _) => code.to_owned(),
        (None, ClientError::Unreachable { .. }) => "unreachable".to_owned(),
        (None, _) => "not-ours".to_owned(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
