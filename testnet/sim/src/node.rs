//! A simulated validator: the real core, the real host and the real rules, with the scheduler for a world.
//!
//! Two things run in a node and wait for each other, as in a real one: the engine's core, and the driver
//! that performs the host's effects (`consensus/src/driver.rs`) in their order, one input at a time. An
//! effect that a real disk would take time for takes virtual time here, and a crash in between finds it
//! half done. All else happens at once.
//!
//! ```text
//!   frames --> core --CoreEffect--> driver --Input--> host --Effect--> disk, peers, core
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::mempool::{Limits, Mempool};
use bytes::Bytes;
use custos_consensus::host::{Answer, Effect, Host, HostConfig, Input, Now, Ticket};
use custos_consensus::{Evidence, StoredBody};
use custos_engine::core::{
    Checked, Core, CoreConfig, CoreEffect, CoreInput, CoreTimer, Spoken, read_consensus, read_liveness,
    votes_in,
};
use custos_engine::{DecidedBlock, EngineTimeouts, Part, Signs, SyncOutcome};
use custos_network::PeerKey;
use custos_proof::certificate::Certificate;
use custos_proof::hash::{BlockId, ChainId, SubmissionId};
use custos_proof::header::Block;
use custos_proof::ids::{Height, Round, TimeMs};
use custos_proof::keys::Signer as _;
use custos_state::changes::Changes;

use crate::byzantine::Byzantine;
use crate::disk::{Disk, Scratch, Verifications};
use crate::plant::Plant;
use crate::rng::Rng;
use crate::world::Hospital;

/// How far a block's time may be from a clock.
pub(crate) const CLOCK_BOUND_MS: u64 = 2_000;
/// The longest time without a block.
pub(crate) const HEARTBEAT_MS: u64 = 4_000;
/// How often a node says how far it is; the engine's interval.
pub(crate) const STATUS_EVERY_MS: u64 = 1_000;
/// How long a node waits for the blocks that it asked for.
pub(crate) const SYNC_TIMEOUT_MS: u64 = 3_000;
/// The largest block.
const MAX_BLOCK_BYTES: usize = 1024 * 1024;
/// Parts that arrive before the first height are kept up to this many.
const MAX_EARLY_PARTS: usize = 1024;

/// What travels between nodes.
#[derive(Debug, Clone)]
pub(crate) enum Frame {
    Consensus(Bytes),
    Liveness(Bytes),
    Part(Part),
    Status(Height),
    Submission(Bytes),
    Request(u64, Height, Height),
    Response(u64, Vec<DecidedBlock>),
}

/// What a node wants of the world.
#[derive(Debug)]
pub(crate) enum Out {
    /// To one peer, or to all that are connected.
    Send(Option<PeerKey>, Frame),
    /// To be woken.
    Later(u64, Wake),
    /// It signed this and is about to send it.
    Said(Spoken),
    /// A block is on its disk.
    Committed(Box<Block>, Certificate),
    /// A client may be told that a submission is recorded.
    Acked(SubmissionId, Height),
    /// It saw misbehaviour.
    Reported(Vec<Evidence>),
    /// A peer broke the protocol.
    Charged(PeerKey, &'static str),
    /// Who may connect has changed.
    Allow,
    /// It stopped for good.
    Stopped(String),
}

/// Why a node is woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    Core,
    Host,
    Timer(CoreTimer, u64),
    Tick(u64),
    Status,
    SyncTimeout(u64),
}

/// What a node is given to act with.
pub(crate) struct World<'a> {
    pub(crate) now: u64,
    pub(crate) rng: &'a mut Rng,
    pub(crate) verifications: &'a mut Verifications,
    pub(crate) out: &'a mut Vec<Out>,
}

/// What does not change in a simulation.
#[derive(Clone)]
pub(crate) struct Setting {
    pub(crate) chain: ChainId,
    pub(crate) begin: TimeMs,
    pub(crate) checked: Checked,
    pub(crate) plant: Option<Plant>,
}

/// A validator.
pub(crate) struct Node {
    pub(crate) hospital: Hospital,
    pub(crate) byzantine: Option<Byzantine>,
    pub(crate) disk: Disk,
    /// How far its clock is ahead.
    pub(crate) skew_ms: i64,
    /// How many times slower than usual its disk is.
    pub(crate) slow: u64,
    pub(crate) bootstrap: BTreeSet<PeerKey>,
    pub(crate) run: Option<Run>,
    /// Counts its lives.
    pub(crate) epoch: u64,
    pub(crate) stopped: Option<String>,
    pub(crate) setting: Setting,
}

/// A process.
pub(crate) struct Run {
    began: u64,
    pub(crate) core: Core,
    core_in: VecDeque<CoreInput>,
    core_todo: VecDeque<CoreEffect>,
    core_waits: CoreWaits,
    pub(crate) host: Host,
    host_in: VecDeque<Input>,
    host_back: VecDeque<Input>,
    host_todo: VecDeque<Effect>,
    host_work: Option<Work>,
    open: BTreeMap<Ticket, Question>,
    tickets: u64,
    timers: BTreeMap<CoreTimer, u64>,
    timers_begun: u64,
    wake_at: Option<u64>,
    early_parts: VecDeque<(PeerKey, Part)>,
    pub(crate) mempool: Mempool,
    pub(crate) scratch: Scratch,
    pub(crate) waiting: BTreeSet<SubmissionId>,
    signs: Signs,
    pub(crate) peers: BTreeSet<PeerKey>,
    pub(crate) allow: BTreeSet<PeerKey>,
    tip: Height,
    sync: Sync,
    pub(crate) mischief: crate::mischief::Memory,
}

enum CoreWaits {
    Nothing,
    Flush,
    Held(Ticket),
}

/// What a disk or a processor is busy with, and what the host is told afterwards.
enum Work {
    Store(StoredBody),
    Return(Box<Input>),
    Commit { changes: Option<Box<Changes>>, block: Arc<Block>, certificate: Certificate },
}

#[derive(Clone, Copy)]
enum Question {
    Start,
    Held,
    Build(Height, Round),
    Part,
    Committed,
    Blocks(PeerKey, u64),
    Synced(Round),
}

#[derive(Default)]
struct Sync {
    tips: BTreeMap<PeerKey, Height>,
    asked: Option<(u64, PeerKey)>,
    requests: u64,
    got: BTreeMap<Height, (PeerKey, DecidedBlock)>,
    fed: Option<(Height, u64)>,
    bad: BTreeSet<PeerKey>,
}

impl Node {
    /// Starts the process on what is on the disk.
    pub(crate) fn boot(&mut self, world: &mut World<'_>) {
        self.epoch += 1;
        let head = match self.disk.head() {
            Ok(head) => head,
            Err(fault) => return self.stop(world, format!("the ledger cannot be opened: {fault}")),
        };
        let next = head.height.next();
        self.disk.bodies.retain(|(height, _), _| *height == next);
        let durable = self.disk.bodies.values().cloned().collect();
        let config = HostConfig {
            key: Some(self.hospital.consensus.public_key()),
            transport: self.hospital.transport,
            bootstrap: self.bootstrap.clone(),
            timeouts: timeouts(),
            heartbeat_ms: HEARTBEAT_MS,
            max_block_bytes: MAX_BLOCK_BYTES,
            clock_bound_ms: CLOCK_BOUND_MS,
        };
        let quorum = if self.setting.plant == Some(Plant::QuorumOffByOne) { (1, 3) } else { (2, 3) };
        let core = Core::new(CoreConfig {
            chain: self.setting.chain,
            signer: Some(Arc::new(self.hospital.consensus.clone())),
            quorum,
            checked: self.setting.checked.clone(),
        });
        let now = Now { wall: self.wall(world.now), steady_ms: 0 };
        let allow = head
            .peers
            .iter()
            .map(|peer| PeerKey(peer.transport.0))
            .chain(self.bootstrap.iter().copied())
            .collect();
        let mut run = Run {
            began: world.now,
            core,
            core_in: VecDeque::new(),
            core_todo: VecDeque::new(),
            core_waits: CoreWaits::Nothing,
            tip: head.height,
            host: Host::new(config, head, durable, now),
            host_in: VecDeque::new(),
            host_back: VecDeque::new(),
            host_todo: VecDeque::new(),
            host_work: None,
            open: BTreeMap::new(),
            tickets: 0,
            timers: BTreeMap::new(),
            timers_begun: 0,
            wake_at: None,
            early_parts: VecDeque::new(),
            mempool: Mempool::new(Limits { max_bytes: 1 << 20, max_count: 512, ..Limits::default() }),
            scratch: Scratch::default(),
            waiting: BTreeSet::new(),
            signs: Signs::default(),
            peers: BTreeSet::new(),
            allow,
            sync: Sync::default(),
            mischief: crate::mischief::Memory::default(),
        };
        let ticket = run.keep(Question::Start);
        run.host_in.push_back(Input::Ready(ticket));
        self.run = Some(run);
        world.out.push(Out::Later(world.rng.within(1, STATUS_EVERY_MS), Wake::Status));
        self.pump(world);
    }

    /// Kills the process. What it was writing is kept or lost, by a coin; what was not flushed is kept up to a point.
    pub(crate) fn crash(&mut self, rng: &mut Rng) {
        let Some(run) = self.run.take() else { return };
        self.epoch += 1;
        match run.host_work {
            Some(Work::Store(body)) if rng.chance(500) => {
                self.disk.bodies.insert((body.height, body.block_id), body);
            }
            Some(Work::Commit { changes: Some(changes), block, certificate }) if rng.chance(500) => {
                // The batch reached the disk; nobody was told.
                if let Err(fault) = self.disk.commit(&changes, &block, certificate) {
                    self.stopped = Some(fault.to_string());
                }
            }
            _ => {}
        }
        if self.setting.plant == Some(Plant::WalOff) {
            self.disk.wal.durable.clear();
        }
        let survives = rng.index(self.disk.wal.tail.len() + 1);
        if self.setting.plant != Some(Plant::WalOff) {
            self.disk.wal.tail.truncate(survives);
            self.disk.wal.flush();
        }
        self.disk.wal.tail.clear();
    }

    /// What its clock shows.
    pub(crate) fn wall(&self, now: u64) -> TimeMs {
        let travel = match self.byzantine {
            Some(Byzantine::TimeTraveller) if now / 20_000 % 2 == 0 => 3_600_000,
            Some(Byzantine::TimeTraveller) => -3_600_000,
            _ => 0,
        };
        TimeMs(self.setting.begin.plus(now).0.saturating_add_signed(self.skew_ms + travel))
    }

    /// The time by which it judges submissions.
    pub(crate) fn ledger_now(&self, now: u64) -> TimeMs {
        let wall = self.wall(now);
        self.run.as_ref().map_or(wall, |run| wall.max(run.host.head().time))
    }

    pub(crate) fn head_height(&self) -> Height {
        self.disk.height()
    }

    fn stop(&mut self, world: &mut World<'_>, reason: String) {
        self.run = None;
        self.epoch += 1;
        self.stopped = Some(reason.clone());
        world.out.push(Out::Stopped(reason));
    }

    // ---- what happens to it -------------------------------------------------------------------

    pub(crate) fn wake(&mut self, world: &mut World<'_>, wake: Wake) {
        let Some(run) = &mut self.run else { return };
        match wake {
            Wake::Core => {
                if matches!(run.core_waits, CoreWaits::Flush) {
                    run.core_waits = CoreWaits::Nothing;
                    self.disk.wal.flush();
                }
            }
            Wake::Host => self.finish_work(world),
            Wake::Timer(timer, begun) => {
                if run.timers.get(&timer) == Some(&begun) {
                    run.timers.remove(&timer);
                    run.core_in.push_back(CoreInput::Timer(timer));
                }
            }
            Wake::Tick(at) => {
                if run.wake_at == Some(at) {
                    run.wake_at = None;
                    run.host_in.push_back(Input::Tick);
                }
            }
            Wake::Status => {
                let tip = run.tip;
                world.out.push(Out::Send(None, Frame::Status(tip)));
                world.out.push(Out::Later(STATUS_EVERY_MS, Wake::Status));
                self.sync_step(world);
            }
            Wake::SyncTimeout(id) => {
                if let Some((asked, peer)) = run.sync.asked
                    && asked == id
                {
                    run.sync.asked = None;
                    run.sync.bad.insert(peer);
                    self.sync_step(world);
                }
            }
        }
        self.pump(world);
    }

    /// The peers to which traffic flows.
    pub(crate) fn connected(&mut self, world: &mut World<'_>, peers: BTreeSet<PeerKey>) {
        let Some(run) = &mut self.run else { return };
        if run.peers == peers {
            return;
        }
        for gone in run.peers.difference(&peers) {
            run.signs.tips.remove(gone);
            run.sync.tips.remove(gone);
            if run.sync.asked.is_some_and(|(_, peer)| peer == *gone) {
                run.sync.asked = None;
            }
        }
        for new in peers.difference(&run.peers) {
            world.out.push(Out::Send(Some(*new), Frame::Status(run.tip)));
        }
        run.peers.clone_from(&peers);
        run.host_in.push_back(Input::Peers(peers));
        self.pump(world);
    }

    /// A frame arrives.
    pub(crate) fn receive(&mut self, world: &mut World<'_>, from: PeerKey, frame: Frame) {
        let Some(run) = &mut self.run else { return };
        if self.byzantine.is_some() {
            run.mischief.hear(&frame);
        }
        match frame {
            Frame::Consensus(bytes) => {
                if let Some(says) = read_consensus(&bytes) {
                    run.notice(&says);
                    run.core_in.push_back(CoreInput::Consensus(bytes));
                }
            }
            Frame::Liveness(bytes) => {
                if let Some(says) = read_liveness(&bytes) {
                    run.notice(&says);
                }
                run.core_in.push_back(CoreInput::Liveness(bytes));
            }
            Frame::Part(part) => match run.core.height() {
                Some(_) => run.part(from, part),
                None if run.early_parts.len() < MAX_EARLY_PARTS => run.early_parts.push_back((from, part)),
                None => {}
            },
            Frame::Status(tip) => {
                run.sync.tips.insert(from, tip);
                if run.signs.tips.insert(from, tip) != Some(tip) {
                    let signs = run.signs.clone();
                    run.host_in.push_back(Input::Signs(signs));
                }
                self.sync_step(world);
            }
            Frame::Submission(bytes) => {
                self.intake(world, &bytes, false);
            }
            Frame::Request(id, first, last) => {
                let ticket = run.keep(Question::Blocks(from, id));
                run.host_in.push_back(Input::DecidedRange(ticket, first..=last));
            }
            Frame::Response(id, blocks) => {
                if run.sync.asked == Some((id, from)) {
                    run.sync.asked = None;
                    if blocks.is_empty() {
                        run.sync.bad.insert(from);
                    }
                    for block in blocks {
                        run.sync.got.insert(block.certificate.height, (from, block));
                    }
                    self.sync_step(world);
                }
            }
        }
        self.pump(world);
    }

    // ---- catching up --------------------------------------------------------------------------

    /// Hands the core the next decided block, or asks a peer that has it.
    fn sync_step(&mut self, world: &mut World<'_>) {
        let Some(run) = &mut self.run else { return };
        let want = run.host.head().height.next();
        run.sync.got.retain(|height, _| *height >= want);
        if run.core.height() != Some(want) {
            return;
        }
        if let Some((height, since)) = run.sync.fed
            && height == want
            && world.now < since + SYNC_TIMEOUT_MS
        {
            return;
        }
        if let Some((peer, block)) = run.sync.got.get(&want) {
            run.sync.fed = Some((want, world.now));
            run.core_in.push_back(CoreInput::Decided(*peer, block.clone()));
            return;
        }
        if run.sync.asked.is_some() {
            return;
        }
        let ahead = |run: &Run| -> Vec<PeerKey> {
            let ahead = run.sync.tips.iter().filter(|(peer, tip)| **tip >= want && run.peers.contains(*peer));
            ahead.map(|(peer, _)| *peer).collect()
        };
        let mut able = ahead(run);
        able.retain(|peer| !run.sync.bad.contains(peer));
        if able.is_empty() {
            run.sync.bad.clear();
            able = ahead(run);
        }
        let Some(peer) = world.rng.pick(&able).copied() else { return };
        run.sync.requests += 1;
        let (id, last) = (run.sync.requests, Height(want.0 + 15));
        run.sync.asked = Some((id, peer));
        world.out.push(Out::Send(Some(peer), Frame::Request(id, want, last)));
        world.out.push(Out::Later(SYNC_TIMEOUT_MS, Wake::SyncTimeout(id)));
    }

    /// What a peer sent was no good.
    fn sync_failed(&mut self, world: &mut World<'_>, height: Height, is_fault: bool) {
        let Some(run) = &mut self.run else { return };
        run.sync.fed = None;
        if let Some((peer, _)) = run.sync.got.remove(&height)
            && is_fault
        {
            run.sync.bad.insert(peer);
            // What else it sent is not trusted either.
            run.sync.got.retain(|_, (from, _)| *from != peer);
            self.sync_step(world);
        }
    }

    // ---- the core -----------------------------------------------------------------------------

    /// Lets core and driver go on until both wait for something.
    pub(crate) fn pump(&mut self, world: &mut World<'_>) {
        while self.run_core(world) || self.run_host(world) {}
    }

    fn run_core(&mut self, world: &mut World<'_>) -> bool {
        let Some(run) = &mut self.run else { return false };
        if !matches!(run.core_waits, CoreWaits::Nothing) {
            return false;
        }
        if let Some(effect) = run.core_todo.pop_front() {
            self.perform_core(world, effect);
            return true;
        }
        let Some(mut input) = run.core_in.pop_front() else { return false };
        let mut started = false;
        if let CoreInput::Start(start, log) = &mut input {
            started = true;
            let key = self.hospital.consensus.public_key();
            let entries = self.disk.wal.begin(start.height);
            if votes_in(start, &key) {
                *log = entries;
            } else {
                self.disk.wal = crate::disk::Wal { height: start.height, ..Default::default() };
            }
        }
        run.core_todo.extend(run.core.on(input));
        if started {
            for (from, part) in std::mem::take(&mut run.early_parts) {
                run.part(from, part);
            }
            self.sync_step(world);
        }
        true
    }

    fn perform_core(&mut self, world: &mut World<'_>, effect: CoreEffect) {
        let slow = self.slow;
        let Some(run) = &mut self.run else { return };
        match effect {
            CoreEffect::StopTimers => run.timers.clear(),
            CoreEffect::StopTimer(timer) => {
                run.timers.remove(&timer);
            }
            CoreEffect::StartTimer(timer, wait) => {
                run.timers_begun += 1;
                run.timers.insert(timer, run.timers_begun);
                let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                world.out.push(Out::Later(wait, Wake::Timer(timer, run.timers_begun)));
            }
            CoreEffect::WalAppend(height, entry) => self.disk.wal.append(height, entry),
            CoreEffect::WalFlush => {
                if !self.disk.wal.tail.is_empty() {
                    run.core_waits = CoreWaits::Flush;
                    world.out.push(Out::Later(world.rng.within(1, 3) * slow, Wake::Core));
                }
            }
            CoreEffect::StartedRound(height, round) => {
                let ticket = run.keep(Question::Held);
                run.core_waits = CoreWaits::Held(ticket);
                run.host_in.push_back(Input::StartedRound(ticket, height, round));
            }
            CoreEffect::BuildValue(height, round) => {
                if !self.proposes_anew(world, height, round)
                    && let Some(run) = &mut self.run
                {
                    let ticket = run.keep(Question::Build(height, round));
                    run.host_in.push_back(Input::BuildValue(ticket, height, round));
                }
            }
            CoreEffect::Restream(height, round, id) => {
                run.host_in.push_back(Input::Restream(height, round, id));
            }
            CoreEffect::Publish(bytes) => {
                let says = read_consensus(&bytes);
                match says {
                    Some(says) if self.byzantine == Some(Byzantine::Equivocator) => {
                        self.equivocate(world, &says, bytes);
                    }
                    says => {
                        world.out.extend(says.map(Out::Said));
                        world.out.push(Out::Send(None, Frame::Consensus(bytes)));
                    }
                }
            }
            CoreEffect::Encourage(bytes) => {
                world.out.extend(read_liveness(&bytes).map(Out::Said));
                world.out.push(Out::Send(None, Frame::Liveness(bytes)));
            }
            CoreEffect::Decided(certificate) => {
                let ticket = run.keep(Question::Committed);
                run.host_in.push_back(Input::Decided(ticket, certificate));
            }
            CoreEffect::Finalized(height, evidence) => {
                let ticket = run.keep(Question::Start);
                run.host_in.push_back(Input::Finalized(ticket, height, evidence));
            }
            CoreEffect::Judge { height, round, block_id, bytes } => {
                let ticket = run.keep(Question::Synced(round));
                run.host_in.push_back(Input::Synced { ticket, height, block_id, bytes });
            }
            CoreEffect::BadCertificate(height) => self.sync_failed(world, height, true),
            CoreEffect::Failed(reason) => self.stop(world, format!("the core failed: {reason}")),
            CoreEffect::SafetyHang(reason) => self.stop(world, format!("safety hang: {reason}")),
        }
    }

    // ---- the driver ---------------------------------------------------------------------------

    fn run_host(&mut self, world: &mut World<'_>) -> bool {
        let now = Now { wall: self.wall(world.now), steady_ms: self.steady(world.now) };
        let Some(run) = &mut self.run else { return false };
        if run.host_work.is_some() {
            return false;
        }
        if let Some(effect) = run.host_todo.pop_front() {
            self.perform(world, effect);
            return true;
        }
        let Some(input) = run.host_back.pop_front().or_else(|| run.host_in.pop_front()) else { return false };
        run.host_todo.extend(run.host.on(now, input));
        true
    }

    fn steady(&self, now: u64) -> u64 {
        self.run.as_ref().map_or(0, |run| now - run.began)
    }

    fn perform(&mut self, world: &mut World<'_>, effect: Effect) {
        let slow = self.slow;
        let Some(run) = &mut self.run else { return };
        match effect {
            Effect::Answer(ticket, answer) => self.answer(world, ticket, answer),
            Effect::Build(ticket, request) => {
                let built = self.build(world, &request);
                let result = Input::Built(ticket, request, built.map(Box::new));
                self.works(world, 1, Work::Return(Box::new(result)));
            }
            Effect::Check(purpose, id, block) => {
                let verdict = self.disk.check(&mut run.scratch, world.verifications, &block);
                let wait = world.rng.within(0, 2);
                self.works(world, wait, Work::Return(Box::new(Input::Checked(purpose, id, verdict))));
            }
            Effect::Commit(block, certificate) => {
                match self.disk.prepare(&mut run.scratch, world.verifications, &block) {
                    Ok(changes) => {
                        let changes = changes.map(Box::new);
                        let wait = world.rng.within(1, 6) * slow;
                        self.works(world, wait, Work::Commit { changes, block, certificate });
                    }
                    Err(fault) => run.host_back.push_back(Input::Committed(Err(fault))),
                }
            }
            Effect::AskWork => {
                let work = !run.mempool.is_empty();
                run.host_back.push_back(Input::Work(work));
            }
            Effect::Serve(ticket, heights) => {
                let blocks = (heights.start().0..=heights.end().0)
                    .map_while(|height| self.disk.decided(Height(height)).cloned())
                    .collect();
                if let Some(Question::Blocks(peer, id)) = run.open.remove(&ticket) {
                    let blocks = self.spoil(world, blocks);
                    world.out.push(Out::Send(Some(peer), Frame::Response(id, blocks)));
                }
            }
            Effect::ServeEarliest(ticket) => {
                run.open.remove(&ticket);
            }
            Effect::Store(body) => {
                let wait = world.rng.within(1, 4) * slow;
                self.works(world, wait, Work::Store(body));
            }
            Effect::Discard(height, id) => {
                self.disk.bodies.remove(&(height, id));
            }
            Effect::Forget(up_to) => self.disk.bodies.retain(|(height, _), _| *height > up_to),
            Effect::Publish(parts) => self.publish(world, parts),
            Effect::Allow(allowed) => {
                run.allow = allowed;
                world.out.push(Out::Allow);
            }
            Effect::Charge(peer, what) => world.out.push(Out::Charged(peer, what)),
            Effect::Report(evidence) => {
                self.report(world, &evidence);
                world.out.push(Out::Reported(evidence));
            }
            Effect::WakeAt(steady_ms) => {
                run.wake_at = Some(steady_ms);
                let wait = (run.began + steady_ms).saturating_sub(world.now);
                world.out.push(Out::Later(wait, Wake::Tick(steady_ms)));
            }
            Effect::Halt(reason) => self.stop(world, reason),
        }
    }

    fn works(&mut self, world: &mut World<'_>, ms: u64, work: Work) {
        if let Some(run) = &mut self.run {
            run.host_work = Some(work);
        }
        if ms == 0 {
            self.finish_work(world);
        } else {
            world.out.push(Out::Later(ms, Wake::Host));
        }
    }

    fn finish_work(&mut self, world: &mut World<'_>) {
        let Some(run) = &mut self.run else { return };
        match run.host_work.take() {
            None => {}
            Some(Work::Store(body)) => {
                self.disk.bodies.insert((body.height, body.block_id), body);
            }
            Some(Work::Return(input)) => run.host_back.push_back(*input),
            Some(Work::Commit { changes, block, certificate }) => {
                let committed = match &changes {
                    Some(changes) => self.disk.commit(changes, &block, certificate.clone()),
                    None => Ok(()),
                };
                if committed.is_ok()
                    && let Some(changes) = &changes
                {
                    world.out.push(Out::Committed(Box::new(Block::clone(&block)), certificate));
                    self.after_commit(world, changes);
                }
                let head = committed.and_then(|()| self.disk.head()).map(Box::new);
                if let Some(run) = &mut self.run {
                    run.host_back.push_back(Input::Committed(head));
                }
            }
        }
    }

    fn answer(&mut self, world: &mut World<'_>, ticket: Ticket, answer: Answer) {
        let Some(run) = &mut self.run else { return };
        match (run.open.remove(&ticket), answer) {
            (Some(Question::Start), Answer::Start(height)) => {
                let start = run.host.start_height(height);
                run.core_in.push_back(CoreInput::Start(start, Vec::new()));
            }
            (Some(Question::Held), Answer::Held(held)) => {
                if matches!(run.core_waits, CoreWaits::Held(waits) if waits == ticket) {
                    run.core_waits = CoreWaits::Nothing;
                }
                run.core_in.extend(held.into_iter().map(CoreInput::Body));
            }
            (Some(Question::Build(height, round)), Answer::Built(id)) => {
                run.core_in.push_back(CoreInput::Propose(height, round, id));
            }
            (Some(Question::Part), Answer::Part(whole)) => {
                run.core_in.extend(whole.map(CoreInput::Body));
            }
            (Some(Question::Committed), Answer::Committed) => run.tip = run.host.head().height,
            (Some(Question::Synced(round)), Answer::Synced(outcome)) => {
                let height = run.host.head().height.next();
                match outcome {
                    SyncOutcome::Good(body) => run.core_in.push_back(CoreInput::Synced(body, round)),
                    SyncOutcome::PeerFault => self.sync_failed(world, height, true),
                    SyncOutcome::Unclear => self.sync_failed(world, height, false),
                }
            }
            // The driver warns of it and goes on.
            _ => {}
        }
    }
}

impl Run {
    fn keep(&mut self, question: Question) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.open.insert(ticket, question);
        ticket
    }

    fn part(&mut self, from: PeerKey, part: Part) {
        let ticket = self.keep(Question::Part);
        self.host_in.push_back(Input::Part(ticket, from, part));
    }

    /// A validator has begun a later height: the host may be holding ours.
    fn notice(&mut self, says: &Spoken) {
        if says.height > self.signs.voted
            && let Some(height) = self.core.sign_of_life(says)
        {
            self.signs.voted = height;
            let signs = self.signs.clone();
            self.host_in.push_back(Input::Signs(signs));
        }
    }

    pub(crate) fn wakes(&mut self) {
        self.host_in.push_back(Input::Wake);
    }

    /// What it is doing, for a finding.
    pub(crate) fn describe(&self) -> String {
        format!(
            "{:?} at height {}, round {}, {} peers, {} submissions wait",
            self.host.state(),
            self.deciding(),
            self.core.round(),
            self.peers.len(),
            self.mempool.len()
        )
    }

    /// The height being decided, or to be decided next.
    pub(crate) fn deciding(&self) -> Height {
        self.host.head().height.next()
    }
}

/// The node's defaults.
fn timeouts() -> EngineTimeouts {
    let custos_consensus::Timeouts { propose, prevote, precommit, delta, rebroadcast } =
        custos_consensus::Timeouts::default();
    EngineTimeouts { propose, prevote, precommit, delta, rebroadcast }
}

/// The parts of a block.
pub(crate) fn parts_of(height: Height, round: Round, block_id: BlockId, block: &Bytes) -> Vec<Part> {
    let total_bytes = u32::try_from(block.len()).unwrap_or(u32::MAX);
    (0..custos_engine::part_count(total_bytes))
        .zip(0usize..)
        .map(|(index, position)| {
            let begins = position * custos_engine::PART_BYTES;
            let ends = (begins + custos_engine::PART_BYTES).min(block.len());
            Part { height, round, block_id, total_bytes, index, bytes: block.slice(begins..ends) }
        })
        .collect()
}
