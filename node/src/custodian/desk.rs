//! The desk: one task that seals what was posted, hands it in, and notes what became of it.
//!
//! Requests that arrive while a submission is under way are planned together and sent together, so
//! that throughput does not hang on the time of a block. What is sealed is in the vault, synced,
//! before anything is sent.
//!
//! ```text
//! requests --> plan: vault, synced --> waves of submissions --> settled: recorded or dropped --> answers
//!                                           |
//!                                           +-- no block in time --> "kept, waits"; the desk goes on asking
//! ```
//!
//! # Correctness
//! An act that is sent a second time while the first may still be recorded is refused, and its batch
//! with it. So nothing is sent while a submission of unknown fate can still be recorded, that is, until
//! block time has passed its `not_after`. What waits is sealed meanwhile, and answered as waiting.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use custos_custodian::fhir::Refusal;
use custos_custodian::fhir::catalogue::Catalogue;
use custos_custodian::import::{self, Batch, Input, Planning, Settings, Timing};
use custos_custodian::vault::{ItemState, Vault, VaultError};
use custos_proof::hash::{ItemHash, SubmissionId};
use custos_proof::ids::{Height, ParticipantId, Random16, TimeMs};
use custos_proof::keys::Signer;
use custos_proof::submission::{Author, Draft, Submission};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::chain::{Chain, Fate, clock};
use crate::intake::{Declined, Intake};

/// The most requests that wait for the desk.
pub(super) const QUEUE: usize = 256;
/// The most drafts that are planned together.
const MAX_TOGETHER: usize = 2_000;
/// For how long a submission can be recorded.
const LIFETIME_MS: u64 = 120_000;
/// How often an idle desk looks after what waits.
const TICK: Duration = Duration::from_secs(1);
/// After how many idle ticks what waits is handed in again.
const RETRY_TICKS: u32 = 5;
/// How many submissions of one wave are under way at a time.
const UNDER_WAY: usize = 8;

/// What the custodian holds, for readers and the desk.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) vault: Vault,
    pub(super) catalogue: Catalogue,
}

/// A request to record drafts.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) inputs: Vec<Input>,
    /// All or nothing, as far as this process can tell beforehand.
    pub(super) is_atomic: bool,
    pub(super) answer: oneshot::Sender<Result<Vec<Fared>, VaultFailed>>,
}

/// What became of a draft.
#[derive(Debug, Clone)]
pub(super) enum Fared {
    /// It is in the vault, as these items.
    Kept { items: Vec<ItemHash>, before: bool, standing: Standing },
    /// It was not taken; nothing is kept of it.
    Refused(Refusal),
    /// Another one of its request was refused; nothing is kept of it.
    NotTried,
}

/// Where kept items stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// On the ledger.
    Recorded,
    /// In the vault; the ledger gets it as soon as it can.
    Waiting,
    /// The ledger refuses it for good.
    Refused(String),
}

/// The vault failed: nothing can be promised.
#[derive(Debug, Clone)]
pub(super) struct VaultFailed(pub(super) String);

/// The desk, before it runs.
pub(super) struct Desk {
    pub(super) chain: Arc<Chain>,
    pub(super) intake: Intake,
    pub(super) kept: Arc<RwLock<Kept>>,
    pub(super) signer: Arc<dyn Signer>,
    pub(super) custodian: ParticipantId,
    pub(super) settings: Settings,
    pub(super) live_within_ms: u64,
    pub(super) patience: Duration,
}

/// A submission whose fate is not known.
struct Open {
    id: SubmissionId,
    not_after: TimeMs,
}

impl Desk {
    /// Works until told to stop, or until nobody can ask any more.
    pub(super) async fn run(self, mut jobs: mpsc::Receiver<Job>, mut stop: watch::Receiver<bool>) {
        let mut open: Vec<Open> = Vec::new();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut is_first, mut quiet) = (true, 0u32);
        loop {
            let job = tokio::select! {
                job = jobs.recv() => match job {
                    Some(job) => Some(job),
                    None => return,
                },
                _ = tick.tick() => None,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            let has_job = job.is_some();
            let (planned, failure) = match job {
                Some(job) => self.plan(job, &mut jobs).await,
                None => (Vec::new(), None),
            };
            if !open.is_empty() || is_first {
                self.settle_known().await;
                open.retain(|submission| !self.is_decided(submission));
            }
            // Without a job there is something to do only for what an earlier run or a silent ledger left.
            quiet = if has_job || is_first { 0 } else { quiet.saturating_add(1) };
            let waits = has_job || (quiet.is_multiple_of(RETRY_TICKS) && self.has_prepared());
            let mut refused = BTreeMap::new();
            if failure.is_none() && waits && open.is_empty() {
                if is_first && !has_job {
                    info!("handing in what an earlier run had sealed and not recorded");
                }
                open = self.hand_in(&mut refused).await;
            }
            is_first = false;
            for (answer, fared) in planned {
                let fared = fared
                    .map(|fared| fared.into_iter().map(|fared| self.standing(fared, &refused)).collect());
                // Whoever hung up reads it later: it is in the vault.
                let _ = answer.send(fared);
            }
        }
    }

    /// Seals this job's drafts and those of all jobs that wait behind it.
    async fn plan(&self, first: Job, jobs: &mut mpsc::Receiver<Job>) -> (Vec<PlannedJob>, Option<()>) {
        let mut together = vec![first];
        let mut drafts = together[0].inputs.len();
        while drafts < MAX_TOGETHER {
            let Ok(job) = jobs.try_recv() else { break };
            drafts += job.inputs.len();
            together.push(job);
        }
        let (kept, settings) = (Arc::clone(&self.kept), self.settings_now());
        let planned = tokio::task::spawn_blocking(move || {
            let mut kept = kept.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            together
                .into_iter()
                .map(|job| {
                    let fared = seal(&mut kept, job.inputs, job.is_atomic, &settings);
                    (job.answer, fared)
                })
                .collect::<Vec<_>>()
        })
        .await;
        match planned {
            Ok(planned) => {
                let failure = planned.iter().any(|(_, fared)| fared.is_err()).then_some(());
                (planned, failure)
            }
            Err(panic) => {
                error!(%panic, "planning failed");
                (Vec::new(), Some(()))
            }
        }
    }

    fn settings_now(&self) -> Settings {
        let now = self.chain.now();
        let since_ms = i64::try_from(now.0.saturating_sub(self.live_within_ms)).unwrap_or(i64::MAX);
        Settings {
            epoch: u16::try_from(now.year()).unwrap_or(u16::MAX),
            timing: Timing::LiveSince { at_height: self.chain.store().head().height, since_ms },
            ..self.settings.clone()
        }
    }

    fn read<T>(&self, read: impl FnOnce(&Kept) -> T) -> T {
        read(&self.kept.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn has_prepared(&self) -> bool {
        self.read(|kept| kept.vault.prepared().next().is_some())
    }

    /// Whether a submission is recorded, or cannot be any more.
    fn is_decided(&self, submission: &Open) -> bool {
        let recorded = self.chain.store().snapshot().map(|snapshot| snapshot.submission(&submission.id));
        match recorded {
            Ok(Ok(Some(_))) => true,
            Ok(Ok(None)) => self.chain.store().head().time > submission.not_after,
            _ => false,
        }
    }

    /// Asks the ledger about everything of which it is not known what became.
    async fn settle_known(&self) {
        let (chain, kept) = (Arc::clone(&self.chain), Arc::clone(&self.kept));
        let settled = tokio::task::spawn_blocking(move || -> Result<(), String> {
            let open: Vec<ItemHash> = {
                let kept = kept.read().unwrap_or_else(std::sync::PoisonError::into_inner);
                kept.vault.prepared().map(|(_, item)| item.hash).collect()
            };
            let recorded = recorded_of(&chain, open)?;
            let mut kept = kept.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            kept.vault.settle(&recorded).map_err(|error| error.to_string())
        })
        .await;
        if let Ok(Err(cause)) = settled {
            error!(cause, "it could not be noted what was recorded");
        }
    }

    /// Hands in everything that is prepared, wave by wave. Gives back what is still open after the patience.
    async fn hand_in(&self, refused: &mut BTreeMap<ItemHash, String>) -> Vec<Open> {
        let deadline = tokio::time::Instant::now() + self.patience;
        // Every round settles or drops something, or ends.
        loop {
            let settings = self.settings_now();
            let batches = match self.read(|kept| import::resume(&kept.vault, &settings)) {
                Ok(plan) => plan.batches,
                Err(cause) => {
                    error!(%cause, "what is sealed could not be planned again");
                    return Vec::new();
                }
            };
            if batches.is_empty() {
                return Vec::new();
            }
            match self.send(&batches, deadline).await {
                Sent::All => return Vec::new(),
                Sent::Open(open) => return open,
                Sent::Refused(item, why) => {
                    // It may have been recorded by an earlier submission after all.
                    self.settle_known().await;
                    let is_open = self
                        .read(|kept| kept.vault.entry(&item).is_some_and(|e| e.state == ItemState::Prepared));
                    if is_open {
                        warn!(%item, why, "the ledger refuses an item: it is dropped");
                        self.settle(vec![(item, ItemState::Dropped)]).await;
                        refused.insert(item, why);
                    }
                }
                Sent::NotTaken(why) => {
                    warn!(why, "the node takes no submissions now: what is sealed waits");
                    return Vec::new();
                }
            }
        }
    }

    async fn send(&self, batches: &[Batch], deadline: tokio::time::Instant) -> Sent {
        let last = batches.iter().map(|batch| batch.wave).max().unwrap_or(0);
        for wave in 0..=last {
            let of_wave: Vec<&Batch> = batches.iter().filter(|batch| batch.wave == wave).collect();
            for group in of_wave.chunks(UNDER_WAY) {
                let mut tasks = JoinSet::new();
                for batch in group {
                    let submission = match self.sign(batch) {
                        Ok(submission) => submission,
                        Err(why) => return Sent::NotTaken(why),
                    };
                    let (chain, intake) = (Arc::clone(&self.chain), self.intake.clone());
                    let items: Vec<ItemHash> = batch.items.iter().map(|item| item.hash).collect();
                    tasks.spawn(
                        async move { hand_in_one(&chain, &intake, submission, items, deadline).await },
                    );
                }
                let (mut open, mut refusal, mut not_taken) = (Vec::new(), None, None);
                let mut recorded = Vec::new();
                for outcome in tasks.join_all().await {
                    match outcome {
                        One::Recorded(items) => recorded.extend(items),
                        One::Open(submission) => open.push(submission),
                        One::Refused(item, why) => refusal = Some((item, why)),
                        One::NotTaken(why) => not_taken = Some(why),
                    }
                }
                self.settle_recorded(recorded).await;
                // An open one first: nothing may be sent while it is.
                if !open.is_empty() {
                    return Sent::Open(open);
                }
                if let Some((item, why)) = refusal {
                    return Sent::Refused(item, why);
                }
                if let Some(why) = not_taken {
                    return Sent::NotTaken(why);
                }
            }
        }
        Sent::All
    }

    fn sign(&self, batch: &Batch) -> Result<Submission, String> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|error| format!("no randomness: {error}"))?;
        let chain = self.chain.store().head().chain;
        let draft = Draft {
            chain: &chain,
            author: Author::Participant(self.custodian.clone()),
            class: batch.class,
            nonce: Random16(nonce),
            not_after: clock().max(self.chain.store().head().time).plus(LIFETIME_MS),
        };
        let items = batch.items.iter().map(|item| item.bytes.clone()).collect();
        Submission::sign(&draft, items, &*self.signer).map_err(|error| error.to_string())
    }

    async fn settle_recorded(&self, items: Vec<ItemHash>) {
        let chain = Arc::clone(&self.chain);
        let found = tokio::task::spawn_blocking(move || recorded_of(&chain, items)).await;
        match found {
            Ok(Ok(states)) => self.settle(states).await,
            Ok(Err(cause)) => error!(cause, "the store could not be read"),
            Err(panic) => error!(%panic, "the store could not be read"),
        }
    }

    async fn settle(&self, states: Vec<(ItemHash, ItemState)>) {
        let kept = Arc::clone(&self.kept);
        let done = tokio::task::spawn_blocking(move || {
            kept.write().unwrap_or_else(std::sync::PoisonError::into_inner).vault.settle(&states)
        })
        .await;
        if let Ok(Err(cause)) = done {
            error!(%cause, "it could not be noted what became of items");
        }
    }

    /// Fills in where items stand now.
    fn standing(&self, fared: Fared, refused: &BTreeMap<ItemHash, String>) -> Fared {
        let Fared::Kept { items, before, .. } = fared else { return fared };
        let standing = match items.iter().find_map(|item| refused.get(item)) {
            Some(why) => Standing::Refused(why.clone()),
            None => {
                let is_recorded = |item: &ItemHash| {
                    self.read(|kept| {
                        kept.vault
                            .entry(item)
                            .is_some_and(|entry| matches!(entry.state, ItemState::Recorded(_)))
                    })
                };
                if items.iter().all(is_recorded) { Standing::Recorded } else { Standing::Waiting }
            }
        };
        Fared::Kept { items, before, standing }
    }
}

type PlannedJob = (oneshot::Sender<Result<Vec<Fared>, VaultFailed>>, Result<Vec<Fared>, VaultFailed>);

enum Sent {
    All,
    Open(Vec<Open>),
    Refused(ItemHash, String),
    NotTaken(String),
}

enum One {
    Recorded(Vec<ItemHash>),
    Open(Open),
    Refused(ItemHash, String),
    NotTaken(String),
}

/// Seals the drafts of one request and enters them into the catalogue.
fn seal(
    kept: &mut Kept,
    inputs: Vec<Input>,
    is_atomic: bool,
    settings: &Settings,
) -> Result<Vec<Fared>, VaultFailed> {
    let failed = |cause: &dyn std::fmt::Display| {
        error!(%cause, "the vault failed");
        VaultFailed(cause.to_string())
    };
    let refusals = if is_atomic { import::refusals(&kept.vault, &inputs, settings) } else { Vec::new() };
    if refusals.iter().any(Option::is_some) {
        return Ok(refusals
            .into_iter()
            .map(|refusal| refusal.map_or(Fared::NotTried, Fared::Refused))
            .collect());
    }
    let plan = import::plan(&mut kept.vault, inputs, settings).map_err(|error| failed(&error))?;
    let mut fared = Vec::with_capacity(plan.dispositions.len());
    for disposition in plan.dispositions {
        fared.push(match disposition.result {
            Planning::Planned(items) => {
                let add = |item: &ItemHash| kept.catalogue.add(&kept.vault, item);
                items.iter().try_for_each(add).map_err(|error: VaultError| failed(&error))?;
                Fared::Kept { items, before: false, standing: Standing::Waiting }
            }
            Planning::Recorded(items) => Fared::Kept { items, before: true, standing: Standing::Recorded },
            Planning::Refused(refusal) => Fared::Refused(refusal),
        });
    }
    Ok(fared)
}

/// The items that the ledger has, and at which height.
fn recorded_of(chain: &Chain, items: Vec<ItemHash>) -> Result<Vec<(ItemHash, ItemState)>, String> {
    let snapshot = chain.store().snapshot().map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    for item in items {
        let height = |index| -> Result<Option<Height>, String> {
            let record = snapshot.decoded_record(index).map_err(|error| error.to_string())?;
            Ok(record.map(|record| record.height))
        };
        if let Some(index) = snapshot.find_item(&item).map_err(|error| error.to_string())?
            && let Some(height) = height(index)?
        {
            found.push((item, ItemState::Recorded(height)));
        }
    }
    Ok(found)
}

/// Hands in one submission and waits for a block, until the deadline.
async fn hand_in_one(
    chain: &Arc<Chain>,
    intake: &Intake,
    submission: Submission,
    items: Vec<ItemHash>,
    deadline: tokio::time::Instant,
) -> One {
    let (id, not_after) = (submission.id(), submission.payload().not_after);
    let by_index =
        |index: Option<usize>| index.and_then(|index| items.get(index)).or_else(|| items.first()).copied();
    let refused = |refusal: &custos_state::error::Refusal| match by_index(refusal.item) {
        // Only what names an item, or has just one, can be judged by itself.
        Some(item) if refusal.item.is_some() || items.len() == 1 => {
            One::Refused(item, format!("{} ({})", refusal.detail, refusal.code.word()))
        }
        _ => One::NotTaken(format!("{} ({})", refusal.detail, refusal.code.word())),
    };
    let Some(fate) = chain.wait_for(id) else { return One::NotTaken("too many wait".into()) };
    match intake.submit(submission.bytes().to_vec().into()) {
        Err(_) => return One::NotTaken("the node is busy".into()),
        Ok(answer) => match answer.await {
            Ok(Ok(_)) => {}
            Ok(Err(Declined::Refused(refusal))) => return refused(&refusal),
            Ok(Err(Declined::NoRoom(_))) => return One::NotTaken("the node is full".into()),
            Ok(Err(Declined::Failed(why))) => return One::NotTaken(why),
            Err(_) => return One::NotTaken("the node is stopping".into()),
        },
    }
    match tokio::time::timeout_at(deadline, fate).await {
        Ok(Ok(Fate::Committed)) => One::Recorded(items.clone()),
        Ok(Ok(Fate::Rejected(refusal))) => refused(&refusal),
        Ok(Err(_)) | Err(_) => One::Open(Open { id, not_after }),
    }
}
