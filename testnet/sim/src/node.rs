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
use custos_consensus::aside::{Aside, Log};
use custos_consensus::host::{Effect, Host, HostConfig, Input, Now, Ticket};
use custos_consensus::{Evidence, StoredBody};
use custos_engine::core::{
    Core, CoreConfig, CoreEffect, CoreInput, CoreTimer, Spoken, read_consensus, read_liveness,
};
use custos_engine::{Checked, DecidedBlock, EngineTimeouts, Part, Signs};
use custos_network::PeerKey;
use custos_proof::certificate::Certificate;
use custos_proof::hash::{BlockId, ChainId, SubmissionId};
use custos_proof::header::Block;
use custos_proof::ids::{Height, Round, TimeMs};
use custos_proof::keys::Signer as _;
use custos_state::changes::Changes;

mod aside;
mod driver;
mod sync;

use sync::Sync;

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
    /// Its engine decided a height by this.
    Decided(Certificate),
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
    /// It starts again: it has stood aside for long enough, or has noted a decided height without its block.
    Anew,
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
    pub(crate) counts: Counts,
    /// Whether it stood aside when it was last started.
    pub(crate) was_aside: bool,
    /// Whether something was taken from it since.
    pub(crate) has_lost: bool,
}

/// What a node has been through: to see that a simulation attacks what it is meant to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Decided blocks that came from a peer.
    pub synced: u64,
    /// Entries of the engine's log that were read when a height began.
    pub replayed: u64,
    /// Proposed blocks that were found invalid, or were not what their header says.
    pub refused: u64,
    /// Times that the log of votes was deleted.
    pub log_lost: u64,
    /// Times that all of consensus' directory was deleted.
    pub directory_lost: u64,
    /// Times that the ledger lost blocks.
    pub blocks_lost: u64,
    /// Times that the ledger was replaced by a copy.
    pub restored: u64,
    /// Starts at which it stood aside.
    pub stood_aside: u64,
    /// Starts at which it did so no longer.
    pub voted_again: u64,
    /// First rounds that were cut short because their proposer was not connected.
    pub absent: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.synced += other.synced;
        self.replayed += other.replayed;
        self.refused += other.refused;
        self.log_lost += other.log_lost;
        self.directory_lost += other.directory_lost;
        self.blocks_lost += other.blocks_lost;
        self.restored += other.restored;
        self.stood_aside += other.stood_aside;
        self.voted_again += other.voted_again;
        self.absent += other.absent;
    }
}

/// A process.
pub(crate) struct Run {
    pub(crate) began: u64,
    /// What it waits for before it votes.
    pub(crate) aside: Option<Aside>,
    /// The log that its engine has.
    log: Log,
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
    /// A height was decided whose body is gone: it noted that and halts.
    has_noted: bool,
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

impl Node {
    /// Starts the process on what is on the disk.
    pub(crate) fn boot(&mut self, world: &mut World<'_>) {
        self.epoch += 1;
        let head = match self.disk.head() {
            Ok(head) => head,
            Err(fault) => return self.stop(world, format!("the ledger cannot be opened: {fault}")),
        };
        let next = head.height.next();
        self.disk.bodies.retain(|(height, _), _| *height >= next);
        let durable = self.disk.bodies.values().filter(|body| body.height == next).cloned().collect();
        let (aside, log) = self.recall(&head, self.wall(world.now));
        self.has_lost = false;
        let signer = aside.is_none().then(|| self.hospital.consensus.clone());
        let config = HostConfig {
            key: signer.as_ref().map(|signer| signer.public_key()),
            transport: self.hospital.transport,
            bootstrap: self.bootstrap.clone(),
            timeouts: timeouts(),
            heartbeat_ms: HEARTBEAT_MS,
            max_block_bytes: MAX_BLOCK_BYTES,
            clock_bound_ms: CLOCK_BOUND_MS,
            checked: self.setting.checked.clone(),
        };
        let quorum = if self.setting.plant == Some(Plant::QuorumOffByOne) { (1, 3) } else { (2, 3) };
        let core = Core::new(CoreConfig {
            chain: self.setting.chain,
            signer: signer.map(|signer| Arc::new(signer) as Arc<dyn custos_proof::keys::Signer>),
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
            aside,
            log,
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
            has_noted: false,
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
        let log = self.disk.memory.log(run.log);
        let survives = rng.index(log.tail.len() + 1);
        if self.setting.plant == Some(Plant::WalOff) {
            log.durable.clear();
        } else {
            log.tail.truncate(survives);
            log.flush();
        }
        log.tail.clear();
    }

    /// What its clock shows.
    pub(crate) fn wall(&self, now: u64) -> TimeMs {
        let travel = match self.byzantine {
            Some(Byzantine::TimeTraveller) if (now / 20_000).is_multiple_of(2) => 3_600_000,
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
                    self.disk.memory.log(run.log).flush();
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
            "{:?} at height {}, round {}, {} peers, {} submissions wait, {}",
            self.host.state(),
            self.deciding(),
            self.core.round(),
            self.peers.len(),
            self.mempool.len(),
            self.aside.as_ref().map_or("votes".into(), |aside| format!("{aside:?}"))
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
