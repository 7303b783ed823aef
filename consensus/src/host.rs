//! What consensus asks of us, decided: a pure machine from [`Input`] to [`Effect`]s.
//!
//! Nothing here touches a clock, a disk, a network or a task; time enters with every input. The
//! driver performs effects in the order in which they stand and feeds back what they return, so the
//! same sequence of inputs gives the same sequence of effects, in a validator and in a simulator.
//!
//! One height, as a validator that is not the proposer sees it:
//!
//! ```text
//!   StartedRound --> Answer(Held)
//!   Part ... Part --> Check --> Checked(Valid) --> Store, Answer(valid)      the body is durable first
//!   Decided --> Commit --> Committed --> Answer, Allow, Forget               who may connect, from this head
//!   Finalized --> AskWork --> held until there is work, or others go on, or the heartbeat
//!   Wake --> AskWork --> Work(true) --> Answer(Start(height + 1))
//! ```
//!
//! The rules, each at the one place that applies it:
//! * A body counts only if it hashes to the id it came under. Otherwise the stream is dropped and the
//!   sender charged; the id is not called invalid, because somebody else may send the right body.
//! * `header.proposer` must have had the turn in `header.round`, which is at most the current round. Not
//!   *the* current round: a locked block is proposed again, unchanged, by others.
//! * Time: `start of the height - bound * 2^round <= time <= now + bound`, and after the parent. Judged
//!   again whenever the body is offered; once valid, always valid (and durably so); never applied to
//!   what a quorum decided.
//! * A synced block whose certificate is good and whose header this node does not recompute is our
//!   bug or a broken quorum: halt. It is not the sender's fault.
//!
//! Deliberately absent: votes, rounds' timers, certificates' gossip. Those are the engine's.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use custos_engine::{
    Checked, EngineTimeouts, Evidence, MAX_SYNC_BATCH, Part, Proposed, Signs, StartHeight, SyncOutcome,
    part_count, select_proposer,
};
use custos_network::PeerKey;
use custos_proof::cbor::Wire;
use custos_proof::certificate::Certificate;
use custos_proof::hash::BlockId;
use custos_proof::header::Block;
use custos_proof::ids::{Height, ParticipantId, Round, TimeMs};
use custos_proof::keys::{PublicKey, Signature};

use crate::assembly::{Assembly, parts};
use crate::bodies::StoredBody;
use crate::health::State;
use crate::ledger::{AllowedPeer, BuildRequest, Head, LedgerFault, Verdict};

/// Bodies of one height that are kept, and their bytes; beyond either the one least recently offered goes.
pub const MAX_BODIES: usize = 64;
/// See [`MAX_BODIES`].
pub const MAX_BODY_BYTES: usize = 128 * 1024 * 1024;

/// Different bytes that came under one block id and wait behind the first, which may be wrong.
pub const MAX_ALTERNATIVES: usize = 3;

/// Bodies for the next height that are kept, unjudged, while this one is being finished.
pub const MAX_EARLY_BODIES: usize = 8;

/// Of these, how many may be one peer's.
pub const MAX_EARLY_BODIES_PER_PEER: usize = 2;

/// After waiting this long for enough validators we start without them: votes are sent again, so
/// starting early costs a round and never safety.
pub const PEERS_WAIT_MS: u64 = 15_000;

/// How long a first round waits for a proposer that is not connected: as long as it may take to connect again.
pub const ABSENT_PROPOSE: Duration = Duration::from_millis(40);

/// The factor on the clock bound stops growing here; it is about twelve days by then.
const MAX_DOUBLINGS: u32 = 20;

/// How a peer that runs ahead is told from one that is merely first: by more than this.
const LAG_HEIGHTS: u64 = 2;

/// What does not change while the node runs.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// The consensus key; `None` for a follower.
    pub key: Option<PublicKey>,
    /// This node's own transport key.
    pub transport: PeerKey,
    /// Peers that may connect whatever the registry says.
    pub bootstrap: BTreeSet<PeerKey>,
    /// The engine's timeouts.
    pub timeouts: EngineTimeouts,
    /// The longest time without a block.
    pub heartbeat_ms: u64,
    /// The largest block.
    pub max_block_bytes: usize,
    /// The bound on a block's time.
    pub clock_bound_ms: u64,
    /// The engine's answers of signature checks: a certificate's votes were checked when they came.
    pub checked: Checked,
}

/// The time at which an input arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// What this node's clock shows; may jump.
    pub wall: TimeMs,
    /// Milliseconds since the node started; never jumps.
    pub steady_ms: u64,
}

/// The name of a question that the driver keeps open until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What happens to the host.
#[derive(Debug, Clone)]
pub enum Input {
    /// The engine asks where to start.
    Ready(Ticket),
    /// A round began; the engine asks for the bodies we hold.
    StartedRound(Ticket, Height, Round),
    /// It is our turn to propose.
    BuildValue(Ticket, Height, Round),
    /// A part arrived.
    Part(Ticket, PeerKey, Part),
    /// The engine wants a known block sent again.
    Restream(Height, Round, BlockId),
    /// A quorum decided.
    Decided(Ticket, Certificate),
    /// The height is over, and this misbehaviour was seen in it.
    Finalized(Ticket, Height, Vec<Evidence>),
    /// A peer wants decided blocks.
    DecidedRange(Ticket, RangeInclusive<Height>),
    /// A peer wants to know how far back we can serve.
    Earliest(Ticket),
    /// A peer sent a decided block; `block_id` is what its verified certificate certifies.
    Synced {
        /// The open question.
        ticket: Ticket,
        /// The height asked for.
        height: Height,
        /// What the certificate certifies.
        block_id: BlockId,
        /// What the peer sent.
        bytes: Bytes,
    },
    /// The ledger built a block, or cannot go on.
    Built(Ticket, BuildRequest, Result<Box<Block>, LedgerFault>),
    /// The ledger checked a block, or cannot go on.
    Checked(Purpose, BlockId, Result<Verdict, LedgerFault>),
    /// The ledger committed the decided block, or cannot go on.
    Committed(Result<Box<Head>, LedgerFault>),
    /// The answer to [`Effect::AskWork`].
    Work(bool),
    /// Work has arrived at the mempool.
    Wake,
    /// The time named by [`Effect::WakeAt`] has come, or any time.
    Tick,
    /// The peers to which traffic flows.
    Peers(BTreeSet<PeerKey>),
    /// What peers are seen to do.
    Signs(Signs),
    /// An effect could not be performed.
    Failed(String),
}

/// What is to be done. Effects are performed in order; if one fails, those after it are not
/// performed and [`Input::Failed`] follows.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Answer the engine.
    Answer(Ticket, Answer),
    /// Have the ledger build; comes back as [`Input::Built`].
    Build(Ticket, BuildRequest),
    /// Have the ledger check; comes back as [`Input::Checked`].
    Check(Purpose, BlockId, Arc<Block>),
    /// Have the ledger commit; comes back as [`Input::Committed`].
    Commit(Arc<Block>, Certificate),
    /// Ask the ledger whether anything waits; comes back as [`Input::Work`].
    AskWork,
    /// Answer with decided blocks from the ledger.
    Serve(Ticket, RangeInclusive<Height>),
    /// Answer with the ledger's earliest height.
    ServeEarliest(Ticket),
    /// Make a body durable.
    Store(StoredBody),
    /// Remove one body.
    Discard(Height, BlockId),
    /// Remove the bodies of decided heights.
    Forget(Height),
    /// Note that this height was decided here, though its block is not.
    NoteDecided(Height),
    /// Send parts to every peer.
    Publish(Vec<Part>),
    /// Replace the allow list.
    Allow(BTreeSet<PeerKey>),
    /// A peer broke the protocol.
    Charge(PeerKey, &'static str),
    /// Report misbehaviour.
    Report(Vec<Evidence>),
    /// Send [`Input::Tick`] at this steady time, at the latest.
    WakeAt(u64),
    /// Stop the engine; nothing may be signed any more.
    Halt(String),
}

/// What the engine is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// To [`Input::Ready`] and [`Input::Finalized`].
    Start(Height),
    /// To [`Input::StartedRound`].
    Held(Vec<Proposed>),
    /// To [`Input::BuildValue`].
    Built(BlockId),
    /// To [`Input::Part`].
    Part(Option<Proposed>),
    /// To [`Input::Decided`].
    Committed,
    /// To [`Input::Synced`].
    Synced(SyncOutcome),
}

/// Why a block is being checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// A peer's parts completed it.
    Offered(Ticket),
    /// A round began and it waited for that.
    Round(Ticket),
    /// A quorum has decided it.
    Synced(Ticket),
}

/// The machine.
#[derive(Debug)]
pub struct Host {
    config: HostConfig,
    head: Head,
    stage: Stage,
    /// When the height after the head was started here; the anchor of the time rule.
    started_at: TimeMs,
    /// When the head was committed here; the anchor of the heartbeat.
    committed_ms: u64,
    bodies: BTreeMap<BlockId, Body>,
    offers: u64,
    early: Vec<(PeerKey, BlockId, Bytes, Arc<Block>)>,
    assembly: Assembly,
    /// The bodies that [`Input::StartedRound`] still waits for, and those judged already.
    round_query: Option<RoundQuery>,
    peers: BTreeSet<PeerKey>,
    signs: Signs,
}

#[derive(Debug, Clone, PartialEq)]
enum Stage {
    /// The engine has not asked yet.
    Starting,
    /// It has; we wait for validators to connect.
    Gathering { ticket: Ticket, since_ms: u64 },
    /// The height after the head is being decided.
    Deciding { round: Round },
    /// It is decided and being committed; the engine may have closed the height already.
    Committing { decided: Ticket, finalized: Option<Ticket> },
    /// The head is committed; the engine has not closed the height yet.
    Committed,
    /// The engine waits for us to start the next height, and we hold it.
    Holding { ticket: Ticket },
    /// The end.
    Halted { reason: String },
}

#[derive(Debug)]
struct Body {
    bytes: Bytes,
    block: Arc<Block>,
    own: bool,
    /// Who sent it first; nobody for our own and for those read from disk.
    from: Option<PeerKey>,
    /// What execution showed, once it was tried: valid, or why not.
    executed: Option<Result<(), String>>,
    /// Valid once, valid always.
    valid: bool,
    /// When it was last offered or sent, as a running number.
    touched: u64,
    /// Other bytes under the same id, by other peers, as long as nothing is known about these.
    others: Vec<(PeerKey, Bytes, Arc<Block>)>,
}

#[derive(Debug)]
struct RoundQuery {
    ticket: Ticket,
    round: Round,
    waiting: Vec<BlockId>,
    held: Vec<Proposed>,
}

/// What may be said of a body now.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Judgement {
    /// There is no such body.
    Unknown,
    Valid,
    /// Not now, or not ever; the text is for the log.
    Invalid(&'static str),
    /// Its round has not come here yet.
    Early,
    /// Everything but execution agrees.
    Unchecked,
}

impl Host {
    /// A host on a head, with the bodies that were durable when the node last ran.
    #[must_use]
    pub fn new(config: HostConfig, head: Head, durable: Vec<StoredBody>, now: Now) -> Self {
        let mut host = Self {
            config,
            head,
            stage: Stage::Starting,
            started_at: now.wall,
            committed_ms: now.steady_ms,
            bodies: BTreeMap::new(),
            offers: 0,
            early: Vec::new(),
            assembly: Assembly::default(),
            round_query: None,
            peers: BTreeSet::new(),
            signs: Signs::default(),
        };
        for StoredBody { height, block_id, own, block } in durable {
            // The checksum held, so this is what we wrote; what does not decode any more is from
            // another version of the format and cannot be served either.
            let Ok(parsed) = Block::from_bytes(&block) else { continue };
            if height == host.deciding() && parsed.header.block_id() == block_id {
                let body = Body { valid: true, own, ..Body::new(block, Arc::new(parsed), None) };
                host.bodies.insert(block_id, body);
            }
        }
        host
    }

    /// Takes an input and says what is to be done about it.
    pub fn on(&mut self, now: Now, input: Input) -> Vec<Effect> {
        if matches!(self.stage, Stage::Halted { .. }) {
            return Vec::new();
        }
        match input {
            // What the engine asks.
            Input::Ready(ticket) => {
                self.stage = Stage::Gathering { ticket, since_ms: now.steady_ms };
                let mut effects = vec![self.allow()];
                effects.extend(self.gather(now));
                effects
            }
            Input::StartedRound(ticket, height, round) => self.on_round(now, ticket, height, round),
            Input::BuildValue(ticket, height, round) => self.on_build(now, ticket, height, round),
            Input::Part(ticket, from, part) => self.on_part(now, ticket, from, &part),
            Input::Restream(height, round, id) => self.on_restream(height, round, id),
            Input::Synced { ticket, height, block_id, bytes } => {
                self.on_synced(ticket, height, block_id, bytes)
            }
            Input::Decided(ticket, certificate) => self.on_decided(ticket, certificate),
            Input::Finalized(ticket, height, evidence) => self.on_finalized(now, ticket, height, evidence),
            Input::DecidedRange(ticket, heights) => vec![Effect::Serve(ticket, self.servable(&heights))],
            Input::Earliest(ticket) => vec![Effect::ServeEarliest(ticket)],
            // What the ledger answers.
            Input::Built(ticket, request, Ok(block)) => self.on_built(ticket, &request, *block),
            Input::Checked(purpose, id, Ok(verdict)) => self.on_checked(now, purpose, id, verdict),
            Input::Committed(Ok(head)) => self.on_committed(now, *head),
            Input::Built(_, _, Err(fault))
            | Input::Checked(_, _, Err(fault))
            | Input::Committed(Err(fault)) => self.halt(format!("the ledger cannot go on: {fault}")),
            Input::Work(true) => self.release(now),
            Input::Work(false) => Vec::new(),
            // What happens around us.
            Input::Wake => match self.stage {
                Stage::Holding { .. } => vec![Effect::AskWork],
                _ => Vec::new(),
            },
            Input::Tick => match self.stage {
                Stage::Gathering { .. } => self.gather(now),
                Stage::Holding { .. } => self.hold(now),
                _ => Vec::new(),
            },
            Input::Peers(peers) => {
                self.peers = peers;
                self.gather(now)
            }
            Input::Signs(signs) => {
                self.signs = signs;
                if self.others_went_on() { self.release(now) } else { Vec::new() }
            }
            Input::Failed(what) => self.halt(what),
        }
    }

    /// What this node is doing, for its health.
    #[must_use]
    pub fn state(&self) -> State {
        match &self.stage {
            Stage::Starting => State::Starting,
            Stage::Gathering { .. } => State::WaitingForPeers,
            Stage::Halted { reason } => State::Halted(reason.clone()),
            _ if self.network_height().0 >= self.head.height.0.saturating_add(LAG_HEIGHTS) => State::Lagging,
            Stage::Deciding { .. } | Stage::Holding { .. } if !self.is_quorate() => State::WaitingForPeers,
            Stage::Deciding { .. } | Stage::Committing { .. } | Stage::Committed => State::Running,
            Stage::Holding { .. } => State::Idle,
        }
    }

    /// The head.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// What the engine is told when a height starts.
    ///
    /// Nothing is relayed here: a proposal comes from its proposer or not at all. When the first one
    /// whose turn it is has no connection to us, waiting for it is a formality; the next round gets the
    /// time that this one does not need. That is an opinion of this node about its own connections, and
    /// no more than a timeout: a proposer whom the others can hear is decided without our vote.
    #[must_use]
    pub fn start_height(&self, height: Height) -> StartHeight {
        let mut timeouts = self.config.timeouts;
        if self.is_first_absent(height) {
            timeouts.delta = timeouts.delta.max(timeouts.propose);
            timeouts.propose = timeouts.propose.min(ABSENT_PROPOSE);
        }
        StartHeight { height, validators: self.head.validators.clone(), timeouts }
    }

    /// Whether whoever proposes first at this height is not connected.
    fn is_first_absent(&self, height: Height) -> bool {
        let first = select_proposer(&self.head.validators, height, Round(0));
        self.config.key != Some(first.key)
            && !self.peers.iter().any(|peer| self.participant(peer) == Some(&first.participant))
    }

    /// The round of the height being decided.
    #[must_use]
    pub fn round(&self) -> Round {
        match self.stage {
            Stage::Deciding { round } => round,
            _ => Round(0),
        }
    }

    /// The highest height that validators with more than a third of the power claim: at least one
    /// of them is honest.
    #[must_use]
    pub fn network_height(&self) -> Height {
        // One claim per validator, its highest: while it rotates its transport key it may speak twice.
        let mut claims: BTreeMap<&ParticipantId, (Height, u64)> = BTreeMap::new();
        for (peer, tip) in &self.signs.tips {
            if let Some((participant, power)) = self.validator(peer) {
                let claim = claims.entry(participant).or_insert((*tip, power));
                claim.0 = claim.0.max(*tip);
            }
        }
        let mut tips: Vec<(Height, u64)> = claims.into_values().collect();
        tips.sort_unstable_by_key(|(tip, _)| std::cmp::Reverse(*tip));
        let mut power = 0u64;
        for (tip, of_peer) in tips {
            power = power.saturating_add(of_peer);
            if u128::from(power) * 3 > u128::from(self.head.validators.total_power()) {
                return tip.max(self.head.height);
            }
        }
        self.head.height
    }

    // ---- starting -------------------------------------------------------------------------------

    /// Starts once enough validators are connected that a height can be decided, or after
    /// [`PEERS_WAIT_MS`]. A proposal made before that goes to nobody and costs a timeout.
    fn gather(&mut self, now: Now) -> Vec<Effect> {
        let Stage::Gathering { ticket, since_ms } = self.stage else { return Vec::new() };
        let deadline = since_ms.saturating_add(PEERS_WAIT_MS);
        if self.is_quorate() || now.steady_ms >= deadline {
            self.start(now, ticket)
        } else {
            vec![Effect::WakeAt(deadline)]
        }
    }

    fn start(&mut self, now: Now, ticket: Ticket) -> Vec<Effect> {
        self.stage = Stage::Deciding { round: Round(0) };
        self.started_at = now.wall;
        let height = self.deciding();
        let mut effects = Vec::new();
        for (from, id, bytes, block) in std::mem::take(&mut self.early) {
            if block.header.height == height {
                effects.extend(self.keep(from, id, bytes, block));
            }
        }
        effects.push(Effect::Answer(ticket, Answer::Start(height)));
        effects
    }

    /// Whether we and the validators we can talk to are more than two thirds; for a follower,
    /// whether there is anybody to follow.
    fn is_quorate(&self) -> bool {
        let own = self.config.key.and_then(|key| self.head.validators.by_key(&key)).map(|(_, own)| own);
        let others: BTreeMap<_, _> = self
            .peers
            .iter()
            .filter_map(|peer| self.validator(peer))
            .filter(|(participant, _)| own.is_none_or(|own| own.participant != **participant))
            .collect();
        let others = others.into_values().fold(0u64, u64::saturating_add);
        match own {
            Some(own) => self.head.validators.is_quorum(others.saturating_add(own.power)),
            None => others > 0,
        }
    }

    // ---- bodies ---------------------------------------------------------------------------------

    fn on_part(&mut self, now: Now, ticket: Ticket, from: PeerKey, part: &Part) -> Vec<Effect> {
        let nothing = |effects: Vec<Effect>| {
            let mut effects = effects;
            effects.push(Effect::Answer(ticket, Answer::Part(None)));
            effects
        };
        // Only validators propose, and only for the height being decided or the one after it. Who will
        // be a validator then is not known yet; whoever is listed may be.
        let next = self.deciding();
        let may_propose = self.validator(&from).is_some()
            || (part.height == next.next() && self.participant(&from).is_some());
        if !may_propose {
            return nothing(vec![Effect::Charge(from, "a part from a peer that is no validator")]);
        }
        if part.height != next && part.height != next.next() {
            return nothing(Vec::new());
        }
        if usize::try_from(part.total_bytes).unwrap_or(usize::MAX) > self.config.max_block_bytes {
            return nothing(vec![Effect::Charge(from, "a block above the size limit")]);
        }
        // Whoever sends parts of the next height has started it.
        let went_on = match self.stage {
            Stage::Holding { .. } if part.height == next => self.release(now),
            _ => Vec::new(),
        };
        let answered = self.add_part(now, ticket, from, part);
        went_on.into_iter().chain(answered).collect()
    }

    fn add_part(&mut self, now: Now, ticket: Ticket, from: PeerKey, part: &Part) -> Vec<Effect> {
        let nothing = Effect::Answer(ticket, Answer::Part(None));
        let settled = self.bodies.get(&part.block_id).is_some_and(Body::is_settled);
        if settled && part.height == self.deciding() {
            // Known already, so this is a restream; its last part stands for the whole.
            let is_last = part_count(part.total_bytes) == part.index.saturating_add(1);
            return if is_last { self.offer(now, ticket, part.block_id) } else { vec![nothing] };
        }
        let whole = match self.assembly.add(from, part) {
            Ok(None) => return vec![nothing],
            Ok(Some(whole)) => Bytes::from(whole),
            Err(_) => return vec![Effect::Charge(from, "parts that contradict each other"), nothing],
        };
        let block = match Block::from_bytes(&whole) {
            Ok(block) if block.header.block_id() == part.block_id && block.header.height == part.height => {
                Arc::new(block)
            }
            _ => return vec![Effect::Charge(from, "a body that is not what its id says"), nothing],
        };
        if part.height != self.deciding() || !matches!(self.stage, Stage::Deciding { .. }) {
            self.keep_early(from, part.block_id, whole, block);
            return vec![nothing];
        }
        let mut effects = self.keep(from, part.block_id, whole, block);
        effects.extend(self.offer(now, ticket, part.block_id));
        effects
    }

    /// Takes a whole body that hashes to its id, beside what else came under that id.
    fn keep(&mut self, from: PeerKey, id: BlockId, bytes: Bytes, block: Arc<Block>) -> Vec<Effect> {
        match self.bodies.get_mut(&id) {
            Some(body) => {
                body.also(from, bytes, block);
                Vec::new()
            }
            None => self.insert(id, Body::new(bytes, block, Some(from))),
        }
    }

    fn keep_early(&mut self, from: PeerKey, id: BlockId, bytes: Bytes, block: Arc<Block>) {
        let of_peer = self.early.iter().filter(|(peer, ..)| *peer == from).count();
        let known = self.early.iter().any(|(_, other, same, _)| *other == id && *same == bytes);
        if !known && of_peer < MAX_EARLY_BODIES_PER_PEER && self.early.len() < MAX_EARLY_BODIES {
            self.early.push((from, id, bytes, block));
        }
    }

    /// A peer offered a whole body: judge it, and tell the engine.
    fn offer(&mut self, now: Now, ticket: Ticket, id: BlockId) -> Vec<Effect> {
        self.touch(&id);
        let round = self.round();
        match self.judge(now, &id, round) {
            Judgement::Unknown => vec![Effect::Answer(ticket, Answer::Part(None))],
            Judgement::Valid => {
                self.vouch(&id, |proposed| Effect::Answer(ticket, Answer::Part(Some(proposed))))
            }
            Judgement::Early => vec![Effect::Answer(ticket, Answer::Part(None))],
            Judgement::Invalid(_) => vec![Effect::Answer(ticket, Answer::Part(self.proposed(&id, false)))],
            Judgement::Unchecked => self.check(Purpose::Offered(ticket), id),
        }
    }

    /// A round began: judge, or judge again, every body that may be voted for in it.
    fn on_round(&mut self, now: Now, ticket: Ticket, height: Height, round: Round) -> Vec<Effect> {
        if height != self.deciding() || !matches!(self.stage, Stage::Deciding { .. }) {
            return vec![Effect::Answer(ticket, Answer::Held(Vec::new()))];
        }
        self.stage = Stage::Deciding { round };
        let waiting = self.bodies.keys().copied().collect();
        self.round_query = Some(RoundQuery { ticket, round, waiting, held: Vec::new() });
        self.continue_round(now)
    }

    fn continue_round(&mut self, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some(query) = &mut self.round_query {
            let (ticket, round) = (query.ticket, query.round);
            let Some(id) = query.waiting.last().copied() else {
                let held = std::mem::take(&mut query.held);
                self.round_query = None;
                effects.push(Effect::Answer(ticket, Answer::Held(held)));
                break;
            };
            let judgement = self.judge(now, &id, round);
            if judgement == Judgement::Unchecked {
                effects.extend(self.check(Purpose::Round(ticket), id));
                break;
            }
            let mut proposed = None;
            if judgement == Judgement::Valid {
                effects.extend(self.store_if_new(&id));
                proposed = self.proposed(&id, true);
            }
            if let Some(query) = &mut self.round_query {
                query.waiting.pop();
                query.held.extend(proposed);
            }
        }
        effects
    }

    fn on_checked(&mut self, now: Now, purpose: Purpose, id: BlockId, verdict: Verdict) -> Vec<Effect> {
        if let Verdict::WrongBody(_) = verdict {
            return self.drop_wrong_body(now, purpose, id);
        }
        let Some(body) = self.bodies.get_mut(&id) else { return self.unanswerable(purpose) };
        let header_height = body.block.header.height;
        body.executed = Some(match &verdict {
            Verdict::Invalid(why) => Err(why.clone()),
            _ => Ok(()),
        });
        match (purpose, verdict) {
            (Purpose::Offered(ticket), _) => self.offer(now, ticket, id),
            (Purpose::Round(_), _) => self.continue_round(now),
            (Purpose::Synced(ticket), Verdict::Invalid(why)) => {
                let mut effects = vec![Effect::Answer(ticket, Answer::Synced(SyncOutcome::Unclear))];
                effects.extend(self.halt(format!(
                    "validators decided block {header_height} and this node computes another header: {why}. \
                     Either this node's software or data is wrong, or more than a third of the validators are; \
                     run fsck and compare versions before restarting"
                )));
                effects
            }
            (Purpose::Synced(ticket), _) => {
                // Decided by a quorum: neither the clock nor the turn is ours to judge.
                self.vouch(&id, |proposed| {
                    Effect::Answer(ticket, Answer::Synced(SyncOutcome::Good(proposed)))
                })
            }
        }
    }

    /// The bytes do not belong to the id, however well the header hashes to it. Forget them, charge
    /// the sender, say nothing about the id, and try what others sent under it.
    fn drop_wrong_body(&mut self, now: Now, purpose: Purpose, id: BlockId) -> Vec<Effect> {
        let mut effects = Vec::new();
        let body = self.bodies.remove(&id);
        if let Some(from) = body.as_ref().and_then(|body| body.from) {
            effects.push(Effect::Charge(from, "a body that its header does not commit to"));
        }
        let mut others = body.map(|body| body.others).unwrap_or_default();
        if !others.is_empty() {
            let (from, bytes, block) = others.remove(0);
            let next = Body { others, ..Body::new(bytes, block, Some(from)) };
            effects.extend(self.insert(id, next));
        }
        match purpose {
            Purpose::Offered(ticket) => effects.extend(self.offer(now, ticket, id)),
            Purpose::Synced(ticket) => {
                effects.push(Effect::Answer(ticket, Answer::Synced(SyncOutcome::PeerFault)))
            }
            Purpose::Round(_) => effects.extend(self.continue_round(now)),
        }
        effects
    }

    fn unanswerable(&mut self, purpose: Purpose) -> Vec<Effect> {
        match purpose {
            Purpose::Offered(ticket) => vec![Effect::Answer(ticket, Answer::Part(None))],
            Purpose::Synced(ticket) => vec![Effect::Answer(ticket, Answer::Synced(SyncOutcome::Unclear))],
            Purpose::Round(ticket) => {
                self.round_query = None;
                vec![Effect::Answer(ticket, Answer::Held(Vec::new()))]
            }
        }
    }

    /// The rules for live proposals, in the order of their cost.
    fn judge(&self, now: Now, id: &BlockId, round: Round) -> Judgement {
        let Some(body) = self.bodies.get(id) else { return Judgement::Unknown };
        let header = &body.block.header;
        let turn = select_proposer(&self.head.validators, header.height, header.round);
        if body.valid {
            Judgement::Valid
        } else if header.round > round {
            Judgement::Early
        } else if header.proposer != turn.participant {
            Judgement::Invalid("built by somebody who did not have the turn")
        } else if header.time <= self.head.time {
            Judgement::Invalid("not after its parent")
        } else if header.time > now.wall.plus(self.config.clock_bound_ms) {
            Judgement::Invalid("from the future")
        } else if header.time < self.earliest_time(round) {
            Judgement::Invalid("from the past")
        } else {
            match &body.executed {
                None => Judgement::Unchecked,
                Some(Ok(())) => Judgement::Valid,
                Some(Err(_)) => Judgement::Invalid("execution disagrees"),
            }
        }
    }

    /// The lower end of the time rule. It moves back with every round, so that clocks which disagree,
    /// or a locked block from before a long outage, delay a decision and do not prevent it.
    fn earliest_time(&self, round: Round) -> TimeMs {
        let doublings = round.0.min(MAX_DOUBLINGS);
        let slack = self.config.clock_bound_ms.saturating_mul(1 << doublings);
        TimeMs(self.started_at.0.saturating_sub(slack))
    }

    fn check(&self, purpose: Purpose, id: BlockId) -> Vec<Effect> {
        self.bodies
            .get(&id)
            .map(|body| Effect::Check(purpose, id, Arc::clone(&body.block)))
            .into_iter()
            .collect()
    }

    /// Marks a body valid, makes it durable, and only then tells.
    fn vouch(&mut self, id: &BlockId, tell: impl FnOnce(Proposed) -> Effect) -> Vec<Effect> {
        let proposed = self.proposed(id, true);
        self.store_if_new(id).into_iter().chain(proposed.map(tell)).collect()
    }

    /// The effect that makes a body durable, the first time it is found valid.
    fn store_if_new(&mut self, id: &BlockId) -> Option<Effect> {
        let height = self.deciding();
        let body = self.bodies.get_mut(id)?;
        let is_good = matches!(body.executed, Some(Ok(())));
        if body.valid || !is_good {
            return None;
        }
        body.valid = true;
        Some(Effect::Store(StoredBody { height, block_id: *id, own: body.own, block: body.bytes.clone() }))
    }

    fn proposed(&self, id: &BlockId, valid: bool) -> Option<Proposed> {
        let header = &self.bodies.get(id)?.block.header;
        let proposer = select_proposer(&self.head.validators, header.height, header.round).key;
        Some(Proposed { height: header.height, round: header.round, proposer, block_id: *id, valid })
    }

    fn touch(&mut self, id: &BlockId) {
        self.offers += 1;
        if let Some(body) = self.bodies.get_mut(id) {
            body.touched = self.offers;
        }
    }

    /// Keeps a body, and lets go of those least recently offered if there are too many. A block that
    /// anybody is locked on is proposed again at their turn and so never the least recent.
    fn insert(&mut self, id: BlockId, body: Body) -> Vec<Effect> {
        let mut effects = Vec::new();
        let bytes =
            |body: &Body| body.bytes.len() + body.others.iter().map(|(_, b, _)| b.len()).sum::<usize>();
        let mut room = MAX_BODY_BYTES.saturating_sub(self.bodies.values().map(bytes).sum());
        while (self.bodies.len() >= MAX_BODIES || room < bytes(&body))
            && let Some(oldest) = self.bodies.iter().min_by_key(|(_, body)| body.touched).map(|(id, _)| *id)
        {
            room += self.bodies.remove(&oldest).as_ref().map(bytes).unwrap_or_default();
            effects.push(Effect::Discard(self.deciding(), oldest));
        }
        self.bodies.entry(id).or_insert(body);
        self.touch(&id);
        effects
    }

    // ---- proposing ------------------------------------------------------------------------------

    fn on_build(&mut self, now: Now, ticket: Ticket, height: Height, round: Round) -> Vec<Effect> {
        let own = self.config.key.and_then(|key| self.head.validators.by_key(&key));
        let (Some((_, own)), true) = (own, height == self.deciding()) else {
            return self.halt(format!(
                "the engine asked this node for a block at height {height}, which is not its turn"
            ));
        };
        // Asked again for the same round, after a restart for instance: the same block again.
        let built = self.bodies.iter().find(|(_, body)| {
            body.own && body.block.header.round == round && body.block.header.proposer == own.participant
        });
        if let Some((id, body)) = built {
            let sent = parts(height, round, *id, &body.bytes);
            return vec![Effect::Publish(sent), Effect::Answer(ticket, Answer::Built(*id))];
        }
        let request = BuildRequest {
            height,
            round,
            time: now.wall.max(self.head.time.plus(1)),
            proposer: own.participant.clone(),
            max_bytes: self.config.max_block_bytes,
        };
        vec![Effect::Build(ticket, request)]
    }

    fn on_built(&mut self, ticket: Ticket, request: &BuildRequest, block: Block) -> Vec<Effect> {
        let header = &block.header;
        let as_asked = (header.height, header.round, header.time, &header.proposer)
            == (request.height, request.round, request.time, &request.proposer);
        let bytes = Bytes::from(block.to_bytes());
        if !as_asked || bytes.len() > request.max_bytes {
            return self
                .halt(format!("the ledger built another block than asked for at height {}", request.height));
        }
        let id = header.block_id();
        let sent = parts(request.height, request.round, id, &bytes);
        let body = Body { own: true, executed: Some(Ok(())), ..Body::new(bytes, Arc::new(block), None) };
        let mut effects = self.insert(id, body);
        effects.extend(self.store_if_new(&id));
        effects.push(Effect::Publish(sent));
        effects.push(Effect::Answer(ticket, Answer::Built(id)));
        effects
    }

    fn on_restream(&mut self, height: Height, round: Round, id: BlockId) -> Vec<Effect> {
        self.touch(&id);
        match self.bodies.get(&id) {
            Some(body) if height == self.deciding() => {
                vec![Effect::Publish(parts(height, round, id, &body.bytes))]
            }
            _ => Vec::new(),
        }
    }

    // ---- catching up ----------------------------------------------------------------------------

    fn on_synced(&mut self, ticket: Ticket, height: Height, id: BlockId, bytes: Bytes) -> Vec<Effect> {
        let answer = |outcome| Effect::Answer(ticket, Answer::Synced(outcome));
        if height != self.deciding() || !matches!(self.stage, Stage::Deciding { .. }) {
            return vec![answer(SyncOutcome::Unclear)];
        }
        if self.bodies.get(&id).is_some_and(|body| body.valid)
            && let Some(proposed) = self.proposed(&id, true)
        {
            return vec![answer(SyncOutcome::Good(proposed))];
        }
        let block = match Block::from_bytes(&bytes) {
            Ok(block) if block.header.block_id() == id && block.header.height == height => Arc::new(block),
            _ => return vec![answer(SyncOutcome::PeerFault)],
        };
        // Whatever was thought of this id before, these bytes come with a certificate: look again.
        self.bodies.remove(&id);
        let mut effects = self.insert(id, Body::new(bytes, block, None));
        effects.extend(self.check(Purpose::Synced(ticket), id));
        effects
    }

    /// Peers' ranges are clamped to what exists and to one batch.
    fn servable(&self, heights: &RangeInclusive<Height>) -> RangeInclusive<Height> {
        let first = (*heights.start()).max(Height(1));
        let batch = u64::try_from(MAX_SYNC_BATCH).unwrap_or(u64::MAX);
        let last = (*heights.end()).min(self.head.height).min(Height(first.0.saturating_add(batch - 1)));
        first..=last
    }

    // ---- deciding -------------------------------------------------------------------------------

    fn on_decided(&mut self, ticket: Ticket, certificate: Certificate) -> Vec<Effect> {
        let height = self.deciding();
        if certificate.height != height {
            return self.halt(format!("the engine decided height {} while at {height}", certificate.height));
        }
        let checked = |key: &PublicKey, preimage: &[u8], signature: &Signature| {
            self.config.checked.check(key, preimage, signature)
        };
        if let Err(error) = certificate.verify_with(&self.head.chain, &self.head.validators, checked) {
            return self.halt(format!(
                "the engine decided height {height} by a certificate that does not verify: {error}"
            ));
        }
        let Some(body) = self.bodies.get(&certificate.block_id) else {
            // Whoever starts again with that noted follows until others have given it the block, and votes after it.
            let mut effects = vec![Effect::NoteDecided(height)];
            effects.extend(self.halt(format!(
                "block {height} is decided and its body is not here; \
                 was the consensus directory damaged, deleted or restored from elsewhere? \
                 start the node again: it then fetches the block, and votes after it"
            )));
            return effects;
        };
        let block = Arc::clone(&body.block);
        self.stage = Stage::Committing { decided: ticket, finalized: None };
        vec![Effect::Commit(block, certificate)]
    }

    fn on_committed(&mut self, now: Now, head: Head) -> Vec<Effect> {
        let Stage::Committing { decided, finalized } = self.stage else {
            return self.halt("the ledger committed what nobody decided".into());
        };
        if head.height != self.deciding() {
            return self.halt(format!(
                "the ledger committed height {} instead of {}",
                head.height,
                self.deciding()
            ));
        }
        let decided_height = head.height;
        let before = std::mem::replace(&mut self.head, head);
        self.keep_members(before.peers);
        self.committed_ms = now.steady_ms;
        self.bodies.clear();
        self.round_query = None;
        self.assembly.forget(decided_height);
        self.early.retain(|(.., block)| block.header.height > decided_height);
        self.stage = Stage::Committed;
        let mut effects =
            vec![Effect::Answer(decided, Answer::Committed), self.allow(), Effect::Forget(decided_height)];
        if let Some(ticket) = finalized {
            self.stage = Stage::Holding { ticket };
            effects.extend(self.hold(now));
        }
        effects
    }

    fn on_finalized(
        &mut self,
        now: Now,
        ticket: Ticket,
        height: Height,
        evidence: Vec<Evidence>,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        if !evidence.is_empty() {
            effects.push(Effect::Report(evidence));
        }
        match &mut self.stage {
            Stage::Committing { finalized, .. } => *finalized = Some(ticket),
            Stage::Committed if height == self.head.height => {
                self.stage = Stage::Holding { ticket };
                effects.extend(self.hold(now));
            }
            _ => {
                effects.extend(self.halt(format!("the engine closed height {height} before it was decided")))
            }
        }
        effects
    }

    // ---- pacing ---------------------------------------------------------------------------------

    /// The engine waits at the end of a height. Going on without reason would fill the log with
    /// empty blocks; not going on with reason would cost latency.
    fn hold(&mut self, now: Now) -> Vec<Effect> {
        let heartbeat = self.committed_ms.saturating_add(self.config.heartbeat_ms);
        // What falls due does so by block time: a block made now has this clock's, or the head's and a moment more.
        let due = self.head.next_due.map(|due| due.0.saturating_sub(now.wall.max(self.head.time).0));
        let wake = due.map_or(heartbeat, |wait| heartbeat.min(now.steady_ms.saturating_add(wait)));
        let others = self.others_went_on()
            || self.early.iter().any(|(.., block)| block.header.height == self.deciding());
        if others || now.steady_ms >= wake {
            self.release(now)
        } else {
            vec![Effect::AskWork, Effect::WakeAt(wake)]
        }
    }

    fn release(&mut self, now: Now) -> Vec<Effect> {
        match self.stage {
            Stage::Holding { ticket } => self.start(now, ticket),
            _ => Vec::new(),
        }
    }

    /// Whether a validator has voted beyond our head, or enough claim to have committed beyond it.
    fn others_went_on(&self) -> bool {
        self.signs.voted > self.head.height || self.network_height() > self.head.height
    }

    // ---- who is who -----------------------------------------------------------------------------

    /// The height being decided, or to be decided next.
    fn deciding(&self) -> Height {
        self.head.height.next()
    }

    /// The validator behind a connection, and its voting power. One validator may have several connections.
    fn validator(&self, peer: &PeerKey) -> Option<(&ParticipantId, u64)> {
        let participant = self.participant(peer)?;
        let validator = self.head.validators.as_slice().iter().find(|v| v.participant == *participant)?;
        Some((participant, validator.power))
    }

    fn participant(&self, peer: &PeerKey) -> Option<&ParticipantId> {
        self.head
            .peers
            .iter()
            .find(|allowed| allowed.transport.0 == peer.0)
            .map(|allowed| &allowed.participant)
    }

    /// Whoever the registry at this head lists, and the pinned bootstrap peers.
    fn allow(&self) -> Effect {
        let listed = self.head.peers.iter().map(|allowed| PeerKey(allowed.transport.0));
        let allowed = listed.chain(self.config.bootstrap.iter().copied());
        Effect::Allow(allowed.filter(|peer| *peer != self.config.transport).collect())
    }

    /// A member of the set that decides next is never dropped, even if the registry forgot its key:
    /// cutting validators off is how a chain stops.
    fn keep_members(&mut self, before: Vec<AllowedPeer>) {
        let forgotten = |peer: &AllowedPeer| {
            let same = |participant: &ParticipantId| *participant == peer.participant;
            self.head.validators.as_slice().iter().any(|validator| same(&validator.participant))
                && !self.head.peers.iter().any(|listed| same(&listed.participant))
        };
        let kept: Vec<_> = before.into_iter().filter(forgotten).collect();
        self.head.peers.extend(kept);
    }

    fn halt(&mut self, reason: String) -> Vec<Effect> {
        self.stage = Stage::Halted { reason: reason.clone() };
        vec![Effect::Halt(reason)]
    }
}

impl Body {
    fn new(bytes: Bytes, block: Arc<Block>, from: Option<PeerKey>) -> Self {
        Self { bytes, block, own: false, from, executed: None, valid: false, touched: 0, others: Vec::new() }
    }

    /// Whether anything is known about these bytes.
    fn is_settled(&self) -> bool {
        self.valid || self.executed.is_some()
    }

    /// Notes what else came under the id. The header is the same, so only the bytes can differ.
    fn also(&mut self, from: PeerKey, bytes: Bytes, block: Arc<Block>) {
        let known = self.bytes == bytes
            || self.others.iter().any(|(peer, other, _)| *peer == from || *other == bytes);
        if !known && self.others.len() < MAX_ALTERNATIVES {
            self.others.push((from, bytes, block));
        }
    }
}

#[cfg(test)]
#[path = "host_stories.rs"]
mod stories;
