//! Holds the channels and performs the effects; the only file of this crate that touches anything.
//!
//! One task owns the [`Host`] and feeds it one input at a time: from the engine, from the network's
//! watches, from the clock, and from the ledger's thread, on whose answers it waits in line. While
//! the ledger executes a block nothing else is decided, which is what the engine expects of a host.
//!
//! When the host halts, or the engine stops, this task stays and shows why until it is shut down.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use custos_engine::{
    DecidedBlock, Engine, EngineEvent, Evidence, Proposed, Reply, StartHeight, Stopped, SyncOutcome,
};
use custos_network::{Network, PeerKey};
use custos_proof::hash::BlockId;
use custos_proof::ids::{Height, TimeMs};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::{error, info, warn};

use crate::aside;
use crate::bodies::Bodies;
use crate::health::{Health, State};
use crate::host::{Answer, Effect, Host, Input, Now, Ticket};
use crate::ledger::{Ledger, LedgerFault};

/// How often counts are refreshed in the health.
const HEALTH_EVERY: Duration = Duration::from_millis(500);

/// A peer that broke the protocol this often since it was last cut is cut.
const VIOLATIONS_PER_CUT: u64 = 16;

pub(crate) struct Driver {
    pub(crate) host: Host,
    pub(crate) engine: Engine,
    pub(crate) network: Network,
    pub(crate) ledger: LedgerThread,
    pub(crate) bodies: Arc<Bodies>,
    /// Consensus' own directory.
    pub(crate) directory: PathBuf,
    pub(crate) wake: Arc<Notify>,
    pub(crate) health: watch::Sender<Health>,
    pub(crate) evidence: mpsc::Sender<Evidence>,
    pub(crate) clock: fn() -> TimeMs,
    pub(crate) began: Instant,
    pub(crate) open: HashMap<Ticket, Question>,
    pub(crate) next_ticket: u64,
    pub(crate) wake_at: Option<Instant>,
    pub(crate) evidence_seen: u64,
    pub(crate) evidence_lost: u64,
}

/// An answer that the engine waits for.
pub(crate) enum Question {
    Start(Reply<StartHeight>),
    Held(Reply<Vec<Proposed>>),
    Build(Reply<BlockId>),
    Part(Reply<Option<Proposed>>),
    Committed(Reply<()>),
    Blocks(Reply<Vec<DecidedBlock>>),
    Earliest(Reply<Height>),
    Synced(Reply<SyncOutcome>),
}

impl Driver {
    /// Runs until `shutdown` fires (or its sender is gone), then stops everything in order.
    pub(crate) async fn run(mut self, mut shutdown: oneshot::Receiver<()>) {
        let mut peers = self.network.peers();
        let mut signs = self.engine.signs.clone();
        let mut stopped = self.engine.stopped.clone();
        let mut refresh = interval(HEALTH_EVERY);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        peers.mark_changed();
        loop {
            let wake_at = self.wake_at;
            let timer = async {
                match wake_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let input = tokio::select! {
                _ = &mut shutdown => break,
                Some(event) = self.engine.events.recv() => self.input(event),
                Ok(()) = peers.changed() => Input::Peers(peers.borrow_and_update().clone()),
                Ok(()) = signs.changed() => Input::Signs(signs.borrow_and_update().clone()),
                () = self.wake.notified() => Input::Wake,
                () = timer => {
                    self.wake_at = None;
                    Input::Tick
                }
                Ok(()) = stopped.changed() => {
                    self.show();
                    continue;
                }
                _ = refresh.tick() => {
                    self.show();
                    continue;
                }
            };
            self.feed(input).await;
            self.show();
        }
        self.engine.shutdown().await;
        self.network.shutdown().await;
        self.ledger.shutdown().await;
    }

    /// Gives the host an input and performs what follows from it, to the end.
    async fn feed(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let effects = self.host.on(self.now(), input);
            for effect in effects {
                match self.perform(effect).await {
                    Ok(returned) => inputs.extend(returned),
                    Err(reason) => {
                        inputs.push_back(Input::Failed(reason));
                        break;
                    }
                }
            }
        }
    }

    async fn perform(&mut self, effect: Effect) -> Result<Option<Input>, String> {
        match effect {
            Effect::Answer(ticket, answer) => self.answer(ticket, answer),
            Effect::Build(ticket, request) => {
                let asked = request.clone();
                let built = self
                    .ledger
                    .call(move |ledger| ledger.build(request))
                    .await
                    .and_then(|built| built)
                    .map(Box::new);
                return Ok(Some(Input::Built(ticket, asked, built)));
            }
            Effect::Check(purpose, id, block) => {
                let verdict =
                    self.ledger.call(move |ledger| ledger.check(&block)).await.and_then(|verdict| verdict);
                return Ok(Some(Input::Checked(purpose, id, verdict)));
            }
            Effect::Commit(block, certificate) => {
                let committed = self.ledger.call(move |ledger| ledger.commit(&block, &certificate)).await;
                return Ok(Some(Input::Committed(committed.and_then(|head| head).map(Box::new))));
            }
            Effect::AskWork => {
                let work =
                    self.ledger.call(|ledger| ledger.has_work()).await.map_err(|fault| fault.to_string())?;
                return Ok(Some(Input::Work(work)));
            }
            Effect::Serve(ticket, heights) => {
                let blocks = self.ledger.call(move |ledger| serve(ledger, heights)).await;
                let blocks = blocks
                    .and_then(|blocks| blocks)
                    .map_err(|fault| format!("cannot read decided blocks: {fault}"))?;
                if let Some(Question::Blocks(reply)) = self.open.remove(&ticket) {
                    reply.send(blocks);
                }
            }
            Effect::ServeEarliest(ticket) => {
                let earliest =
                    self.ledger.call(|ledger| ledger.earliest()).await.map_err(|fault| fault.to_string())?;
                if let Some(Question::Earliest(reply)) = self.open.remove(&ticket) {
                    reply.send(earliest);
                }
            }
            Effect::Store(body) => self.on_disk(move |bodies| bodies.store(&body)).await?,
            Effect::Discard(height, id) => self.on_disk(move |bodies| bodies.remove(height, &id)).await?,
            Effect::Forget(up_to) => {
                let directory = self.directory.clone();
                self.on_disk(move |bodies| {
                    // The note first: without it, a log that decides asks for the body.
                    aside::decided(&directory, up_to).and_then(|()| bodies.forget(up_to))
                })
                .await?;
            }
            Effect::NoteDecided(height) => {
                let directory = self.directory.clone();
                self.on_disk(move |_| aside::decided(&directory, height)).await?;
            }
            Effect::Publish(parts) => parts.iter().for_each(|part| self.engine.publish(part)),
            Effect::Allow(allowed) => self.network.allow(allowed).await,
            Effect::Charge(peer, what) => self.charge(peer, what).await,
            Effect::Report(evidence) => self.report(evidence),
            Effect::WakeAt(steady_ms) => {
                self.wake_at = Some(self.began + Duration::from_millis(steady_ms));
            }
            Effect::Halt(reason) => {
                error!(reason, "consensus halts; nothing more is signed");
                self.engine.stop();
                self.open.clear();
            }
        }
        Ok(None)
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer) {
        match (self.open.remove(&ticket), answer) {
            (Some(Question::Start(reply)), Answer::Start(height)) => {
                reply.send(self.host.start_height(height))
            }
            (Some(Question::Held(reply)), Answer::Held(held)) => reply.send(held),
            (Some(Question::Build(reply)), Answer::Built(id)) => reply.send(id),
            (Some(Question::Part(reply)), Answer::Part(whole)) => reply.send(whole),
            (Some(Question::Committed(reply)), Answer::Committed) => reply.send(()),
            (Some(Question::Synced(reply)), Answer::Synced(outcome)) => reply.send(outcome),
            (_, answer) => warn!(?answer, "an answer without its question"),
        }
    }

    /// The engine's event as an input, its reply kept under a ticket.
    fn input(&mut self, event: EngineEvent) -> Input {
        match event {
            EngineEvent::Ready { reply } => Input::Ready(self.keep(Question::Start(reply))),
            EngineEvent::StartedRound { height, round, reply } => {
                Input::StartedRound(self.keep(Question::Held(reply)), height, round)
            }
            EngineEvent::BuildValue { height, round, reply, .. } => {
                Input::BuildValue(self.keep(Question::Build(reply)), height, round)
            }
            EngineEvent::Part { from, part, reply } => {
                Input::Part(self.keep(Question::Part(reply)), from, part)
            }
            EngineEvent::Restream { height, round, block_id } => Input::Restream(height, round, block_id),
            EngineEvent::Decided { certificate, reply } => {
                Input::Decided(self.keep(Question::Committed(reply)), certificate)
            }
            EngineEvent::Finalized { height, evidence, reply } => {
                Input::Finalized(self.keep(Question::Start(reply)), height, evidence)
            }
            EngineEvent::DecidedRange { heights, reply } => {
                Input::DecidedRange(self.keep(Question::Blocks(reply)), heights)
            }
            EngineEvent::Earliest { reply } => Input::Earliest(self.keep(Question::Earliest(reply))),
            EngineEvent::Synced { height, block_id, bytes, reply, .. } => {
                Input::Synced { ticket: self.keep(Question::Synced(reply)), height, block_id, bytes }
            }
        }
    }

    fn keep(&mut self, question: Question) -> Ticket {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.open.insert(ticket, question);
        ticket
    }

    async fn on_disk(
        &mut self,
        work: impl FnOnce(&Bodies) -> io::Result<()> + Send + 'static,
    ) -> Result<(), String> {
        let bodies = Arc::clone(&self.bodies);
        let done = tokio::task::spawn_blocking(move || work(&bodies)).await;
        done.map_err(io::Error::other).and_then(|done| done).map_err(|error| {
            format!("the directory of undecided bodies cannot be written: {error}; is the disk full?")
        })
    }

    async fn charge(&mut self, peer: PeerKey, what: &str) {
        let violations = self.network.charge(peer);
        warn!(%peer, what, violations, "a peer broke the protocol");
        if violations.is_multiple_of(VIOLATIONS_PER_CUT) {
            self.network.cut(peer).await;
        }
    }

    fn report(&mut self, evidence: Vec<Evidence>) {
        for pair in evidence {
            warn!(validator = %pair.validator, height = %pair.height, kind = ?pair.kind, "a validator signed twice");
            self.evidence_seen += 1;
            if self.evidence.try_send(pair).is_err() {
                self.evidence_lost += 1;
            }
        }
    }

    fn now(&self) -> Now {
        let steady_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Now { wall: (self.clock)(), steady_ms }
    }

    /// Publishes the health if anything in it has changed.
    fn show(&self) {
        let state = match (self.host.state(), &*self.engine.stopped.borrow()) {
            (State::Halted(reason), _) => State::Halted(reason),
            (_, Some(Stopped::SafetyHang(reason))) => State::SafetyHang(reason.clone()),
            (_, Some(Stopped::Failed(reason))) => State::Halted(format!("the engine failed: {reason}")),
            (_, Some(Stopped::Shutdown)) => State::Halted("shut down".into()),
            (state, None) => state,
        };
        let counters = self.network.counters();
        let health = Health {
            state,
            height: self.host.head().height,
            round: self.host.round(),
            connected_peers: self.network.peers().borrow().len(),
            network_height: self.host.network_height(),
            dropped: counters.frames_dropped + *self.engine.lost.borrow() + self.evidence_lost,
            refused_connections: counters.refused,
            violations: counters.violations,
            evidence_seen: self.evidence_seen,
        };
        self.health.send_if_modified(|shown| {
            if shown.state != health.state {
                info!(state = ?health.state, height = %health.height, "consensus");
            }
            let changed = *shown != health;
            *shown = health;
            changed
        });
    }
}

/// Decided blocks from the start of the range, without gaps, up to what one answer may carry.
fn serve(
    ledger: &mut dyn Ledger,
    heights: std::ops::RangeInclusive<Height>,
) -> Result<Vec<DecidedBlock>, LedgerFault> {
    let mut blocks = Vec::new();
    let mut bytes = 0usize;
    for height in heights.start().0..=heights.end().0 {
        let Some(decided) = ledger.decided(Height(height))? else { break };
        bytes = bytes.saturating_add(decided.block.len());
        if bytes > custos_network::MAX_RESPONSE_BYTES && !blocks.is_empty() {
            break;
        }
        blocks.push(DecidedBlock {
            block: decided.block,
            certificate: decided.certificate,
            validators: decided.validators,
        });
    }
    Ok(blocks)
}

type Call = Box<dyn FnOnce(&mut dyn Ledger) + Send>;

/// The one thread on which the ledger lives.
pub(crate) struct LedgerThread {
    calls: mpsc::Sender<Call>,
    thread: thread::JoinHandle<()>,
}

impl LedgerThread {
    pub(crate) fn start(name: &str, ledger: Box<dyn Ledger>) -> io::Result<Self> {
        let (calls, mut called) = mpsc::channel::<Call>(1);
        let thread = thread::Builder::new().name(format!("{name}-ledger")).spawn(move || {
            let mut ledger = ledger;
            while let Some(call) = called.blocking_recv() {
                call(ledger.as_mut());
            }
        })?;
        Ok(Self { calls, thread })
    }

    /// Calls the ledger and waits for its answer. A ledger that panicked answers nothing any more.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut dyn Ledger) -> T + Send + 'static,
    ) -> Result<T, LedgerFault> {
        let gone = || LedgerFault("its thread panicked; the panic is in the log".into());
        let (answer, answered) = oneshot::channel();
        let call: Call = Box::new(move |ledger| {
            let _ = answer.send(call(ledger));
        });
        self.calls.send(call).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())
    }

    /// Lets the ledger finish what it is doing, and drops it.
    pub(crate) async fn shutdown(self) {
        drop(self.calls);
        let thread = self.thread;
        let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    }
}

/// The peers that may connect before the engine is ready.
pub(crate) fn allowed_at_start(
    peers: &[crate::AllowedPeer],
    bootstrap: &BTreeSet<PeerKey>,
    own: PeerKey,
) -> BTreeSet<PeerKey> {
    let listed = peers.iter().map(|peer| PeerKey(peer.transport.0));
    listed.chain(bootstrap.iter().copied()).filter(|peer| *peer != own).collect()
}
