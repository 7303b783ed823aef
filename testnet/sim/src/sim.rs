//! One simulation: nodes, links, clients and faults under one scheduler with virtual time.
//!
//! Everything that happens is an event with a time and a number; the scheduler takes them in that order.
//! All chance comes from the seed, no map is iterated in an order of its own, and no clock is read: the
//! same seed gives the same events, which the trace's hash shows.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use custos_engine::core::{read_consensus, read_liveness};
use custos_network::PeerKey;
use custos_proof::cbor::{List, Wire as _};
use custos_proof::hash::SubmissionId;
use custos_proof::header::Block;
use custos_proof::ids::{Height, TimeMs};
use custos_proof::keys::Signer as _;
use custos_proof::registry::Policy;
use custos_proof::submission::Submission;
use custos_state::apply;
use sha2::{Digest as _, Sha256};

mod clients;
mod end;
mod losses;
mod report;
mod trace;
mod weather;

pub use report::{Options, Report};

use crate::byzantine::Byzantine;
use crate::disk::{Disk, Verifications};
use crate::faults::{Fault, Links, Weather};
use crate::govern::Plan;
use crate::intake::Taken;
use crate::node::{Counts, Frame, Node, Out, Setting, Wake, World as NodeWorld};
use crate::plant::Plant;
use crate::rng::Rng;
use crate::watch::{Judge, Watch};
use crate::workload::{Sight, Workload};
use crate::world::World;

/// After the last fault has healed, every node has a new block within this time.
pub const PROGRESS_MS: u64 = 60_000;
/// The most virtual time of a simulation: longer means that it does not end.
const MAX_MS: u64 = 3_600_000;
/// How long a client waits before it asks again; twice as long each time, up to a bound.
const RETRY_MS: u64 = 1_500;
const MAX_RETRY_MS: u64 = 12_000;
/// Events that are kept to be shown with a finding.
const RECENT: usize = 60;
/// Chance for losses is a stream of its own.
const LOSSES: u64 = 0x6c6f_7373_6573;
/// Fault conditions end at this share of the heights.
const CALM_AT: (u64, u64) = (3, 4);

enum Event {
    Frame { to: usize, life: u64, from: usize, frame: Frame },
    Wake { node: usize, life: u64, wake: Wake },
    Work,
    Retry(SubmissionId),
    Fault,
    Heal(Fault),
    Loss,
    Restart(usize),
}

/// A submission that a client wants recorded.
struct Errand {
    bytes: Bytes,
    not_after: TimeMs,
    /// Whether it is tried again after a refusal.
    insists: bool,
    /// How long the client waits before it asks again.
    patience_ms: u64,
}

pub(crate) struct Sim {
    options: Options,
    pub(crate) now: u64,
    number: u64,
    queue: BTreeMap<(u64, u64), Event>,
    pub(crate) nodes: Vec<Node>,
    by_key: BTreeMap<PeerKey, usize>,
    pub(crate) world: World,
    rng: Rng,
    fault_rng: Rng,
    verifications: Verifications,
    pub(crate) workload: Workload,
    errands: BTreeMap<SubmissionId, Errand>,
    pub(crate) watch: Watch,
    weather: Weather,
    /// The chain's beginning: a ledger that lost blocks is made anew from it.
    start: apply::Start,
    loss_rng: Rng,
    /// How often something is taken from a validator, if this seed has that.
    losses_every_ms: Option<u64>,
    links: Links,
    partitions: Vec<(u64, bool)>,
    faults_on: u64,
    calm_since: Option<u64>,
    progress: Vec<(u64, u64)>,
    pub(crate) plan: Plan,
    crashes: u64,
    hasher: Sha256,
    recent: VecDeque<String>,
    events: u64,
}

/// Simulates a seed.
#[must_use]
pub(crate) fn run(options: &Options, judge: impl FnOnce(&[u8]) -> Box<dyn Judge>) -> Report {
    let mut sim = Sim::new(options.clone(), judge);
    sim.run();
    sim.report()
}

/// The policy of simulated networks: what falls due does so within the simulation.
fn policy(rng: &mut Rng) -> Policy {
    let mut policy = Policy::initial();
    policy.transfer_ms = rng.within(500, 8_000);
    policy.decision.emergency.review_hours = u16::try_from(rng.below(2)).unwrap_or_default();
    policy.decision.emergency.window_ms = rng.within(1_000, 10_000);
    policy.retention_days = List::new(vec![365, 3_650, 10_950]).unwrap_or_default();
    policy
}

impl Sim {
    fn new(options: Options, judge: impl FnOnce(&[u8]) -> Box<dyn Judge>) -> Self {
        let mut rng = Rng::new(options.seed);
        let mut fault_rng = rng.fork();
        let validators = if rng.chance(850) { 4 } else { 7 };
        // Some begin shortly before a year or a bucket of nonces ends.
        let begin = match rng.below(4) {
            0 => TimeMs(1_956_528_000_000 - rng.within(1_000, 12_000)),
            1 => TimeMs(1_930_896_600_000 - rng.within(1_000, 12_000)),
            _ => TimeMs(1_930_896_000_000 + rng.below(600_000)),
        };
        let world = World::new(validators, begin, policy(&mut rng));
        let start = apply::start(&world.genesis).expect("because the genesis is well formed");
        let faulty = faulty(&options, &mut rng, validators);
        let setting = Setting {
            chain: world.chain,
            begin,
            checked: custos_engine::Checked::default(),
            plant: options.plant,
        };
        let founders: BTreeSet<PeerKey> =
            world.hospitals[..validators].iter().map(|hospital| hospital.transport).collect();
        let nodes: Vec<Node> = world
            .hospitals
            .iter()
            .enumerate()
            .map(|(index, hospital)| Node {
                hospital: hospital.clone(),
                byzantine: faulty.get(&index).copied(),
                disk: Disk::new(&start, options.plant),
                skew_ms: 0,
                slow: 1,
                bootstrap: if index < validators { BTreeSet::new() } else { founders.clone() },
                run: None,
                epoch: 0,
                stopped: None,
                setting: setting.clone(),
                counts: Counts::default(),
                was_aside: false,
                has_lost: false,
            })
            .collect();
        let key = |index: usize| world.hospitals[index].consensus.public_key();
        let names =
            (0..nodes.len()).map(|index| (key(index), world.hospitals[index].id.to_string())).collect();
        let watch = Watch::new(
            judge(&world.genesis.to_bytes()),
            names,
            faulty.keys().map(|index| key(*index)).collect(),
        );
        let workload = Workload::new(&world, validators, rng.fork());
        let weather = if options.plant.is_some() || rng.chance(950) {
            Weather::of(&mut fault_rng)
        } else {
            Weather { every_ms: u64::MAX, ..Weather::of(&mut fault_rng) }
        };
        let mut loss_rng = Rng::new(options.seed ^ LOSSES);
        let losses_every_ms = losses(&options, &mut loss_rng);
        let plan = Plan::of(&mut rng, options.heights, options.plant.is_some());
        let hasher = Sha256::new();
        let mut sim = Self {
            now: 0,
            number: 0,
            queue: BTreeMap::new(),
            by_key: nodes.iter().enumerate().map(|(index, node)| (node.hospital.transport, index)).collect(),
            progress: vec![(0, 0); nodes.len()],
            nodes,
            world,
            rng,
            fault_rng,
            verifications: Verifications::default(),
            workload,
            errands: BTreeMap::new(),
            watch,
            weather,
            start,
            loss_rng,
            losses_every_ms,
            links: Links::default(),
            partitions: Vec::new(),
            faults_on: 0,
            calm_since: None,
            plan,
            crashes: 0,
            hasher,
            recent: VecDeque::new(),
            events: 0,
            options,
        };
        for index in 0..validators {
            let at = sim.rng.below(300);
            sim.at(at, Event::Restart(index));
        }
        sim.at(200, Event::Work);
        if sim.weather.every_ms < u64::MAX {
            sim.at(1_000, Event::Fault);
        }
        if let Some(every_ms) = sim.losses_every_ms {
            sim.at(every_ms, Event::Loss);
        }
        sim
    }

    fn at(&mut self, wait: u64, event: Event) {
        self.number += 1;
        self.queue.insert((self.now.saturating_add(wait), self.number), event);
    }

    fn run(&mut self) {
        while self.watch.findings.is_empty() {
            let Some(((time, number), event)) = self.queue.pop_first() else {
                return self.watch.find("progress", "nothing happens any more");
            };
            self.now = time;
            self.events += 1;
            self.note(number, &event);
            self.happen(event);
            if self.is_over() {
                return self.at_the_end();
            }
        }
    }

    // ---- what happens -------------------------------------------------------------------------

    fn happen(&mut self, event: Event) {
        match event {
            Event::Frame { to, life, from, frame } => {
                if self.nodes[to].epoch == life && self.can_talk(from, to) {
                    if self.nodes[to].byzantine.is_none() {
                        self.overhear(to, &frame);
                    }
                    let sender = self.nodes[from].hospital.transport;
                    self.with(to, |node, world| node.receive(world, sender, frame));
                }
            }
            Event::Wake { node, life, wake } => {
                if self.nodes[node].epoch == life {
                    self.with(node, |node, world| {
                        if wake == Wake::Status && node.byzantine.is_some() {
                            node.misbehave(world);
                        }
                        node.wake(world, wake);
                    });
                    if wake == Wake::Status && self.nodes[node].byzantine == Some(Byzantine::TrailSquatter) {
                        self.squat(node);
                    }
                }
            }
            Event::Work => self.work(),
            Event::Retry(id) => self.try_errand(id),
            Event::Fault => self.fault(),
            Event::Heal(fault) => self.heal(fault),
            Event::Loss => self.loss(),
            Event::Restart(node) => {
                if self.nodes[node].run.is_none() && self.nodes[node].stopped.is_none() {
                    self.with(node, |node, world| node.boot(world));
                    self.reconnect();
                }
            }
        }
    }

    fn overhear(&mut self, node: usize, frame: &Frame) {
        let says = match frame {
            Frame::Consensus(bytes) => read_consensus(bytes),
            Frame::Liveness(bytes) => read_liveness(bytes),
            _ => None,
        };
        if let Some(says) = says {
            self.watch.received(node, &says);
        }
    }

    /// Lets a node act, and does what it wants done.
    pub(crate) fn with<T>(&mut self, node: usize, act: impl FnOnce(&mut Node, &mut NodeWorld<'_>) -> T) -> T {
        let mut out = Vec::new();
        let mut world = NodeWorld {
            now: self.now,
            rng: &mut self.rng,
            verifications: &mut self.verifications,
            out: &mut out,
        };
        let result = act(&mut self.nodes[node], &mut world);
        let life = self.nodes[node].epoch;
        let is_honest = self.nodes[node].byzantine.is_none();
        let (mut reconnect, mut anew) = (false, false);
        for wish in out {
            match wish {
                Out::Send(to, frame) => self.send(node, to, &frame),
                Out::Later(wait, wake) => self.at(wait, Event::Wake { node, life, wake }),
                Out::Allow => reconnect = true,
                Out::Anew => anew = true,
                Out::Said(says) if is_honest => self.watch.said(&says),
                Out::Decided(certificate) if is_honest => {
                    let name = self.name(node);
                    self.watch.decided(&name, &certificate);
                }
                Out::Committed(block, certificate) if is_honest => {
                    let name = self.name(node);
                    self.hasher.update(block.header.block_id().0);
                    self.remember(|| {
                        format!("{name} commits {} ({} submissions)", block.header.height, block.body.len())
                    });
                    self.watch.committed(&name, &block, &certificate);
                }
                Out::Acked(id, height) if is_honest => {
                    let name = self.name(node);
                    self.watch.acked(&name, id, height);
                    self.done(id);
                }
                Out::Reported(evidence) if is_honest => {
                    let name = self.name(node);
                    self.watch.reported(&name, &evidence);
                }
                Out::Charged(peer, what) if is_honest => self.charged(node, peer, what),
                Out::Stopped(reason) => {
                    reconnect = true;
                    self.stopped(node, reason);
                }
                Out::Said(_) | Out::Decided(_) | Out::Committed(..) => {}
                Out::Acked(..) | Out::Reported(_) | Out::Charged(..) => {}
            }
        }
        if anew && self.nodes[node].run.is_some() {
            self.begin_anew(node);
            reconnect = true;
        }
        if reconnect {
            self.reconnect();
        }
        result
    }

    pub(crate) fn name(&self, node: usize) -> String {
        self.nodes[node].hospital.id.to_string()
    }

    fn stopped(&mut self, node: usize, reason: String) {
        let name = self.name(node);
        self.remember(|| format!("{name} stops: {reason}"));
        if self.nodes[node].byzantine.is_some() {
            // Its own fault; it comes back with what it has.
            self.nodes[node].stopped = None;
            self.at(2_000, Event::Restart(node));
        } else if !self.expects_stop(node, &reason) {
            self.watch.find("honest nodes go on", format!("{name} stops: {reason}"));
        }
    }

    /// An honest peer is never charged for what is wrong with a body.
    fn charged(&mut self, node: usize, peer: PeerKey, what: &'static str) {
        let Some(sender) = self.by_key.get(&peer).copied() else { return };
        let name = self.name(node);
        let of = self.name(sender);
        self.remember(|| format!("{name} charges {of}: {what}"));
        // Who is a validator may be news to the one and not yet to the other.
        let may_be = what == "a part from a peer that is no validator";
        if self.nodes[sender].byzantine.is_none() && !self.has_forger() && !may_be {
            self.watch.find("misbehaviour names the right one", format!("{name} charges {of}: {what}"));
        }
    }

    /// Whether somebody relays others' frames under its own name or feeds others wrong bytes: then an honest node
    /// may pass on what it could not judge yet.
    fn has_forger(&self) -> bool {
        self.nodes
            .iter()
            .any(|node| matches!(node.byzantine, Some(Byzantine::DoubleSubmitter | Byzantine::Equivocator)))
    }

    // ---- links --------------------------------------------------------------------------------

    fn send(&mut self, from: usize, to: Option<PeerKey>, frame: &Frame) {
        let Some(run) = &self.nodes[from].run else { return };
        let receivers: Vec<usize> = match to {
            Some(peer) => {
                run.peers.get(&peer).and_then(|peer| self.by_key.get(peer)).copied().into_iter().collect()
            }
            None => run.peers.iter().filter_map(|peer| self.by_key.get(peer)).copied().collect(),
        };
        for to in receivers {
            if self.rng.chance(self.links.loss) {
                continue;
            }
            let copies = if self.rng.chance(self.links.twice) { 2 } else { 1 };
            for _ in 0..copies {
                let mut wait = self.rng.within(1, 12);
                if self.rng.chance(self.links.late) {
                    wait += self.rng.below(700);
                }
                let life = self.nodes[to].epoch;
                self.at(wait, Event::Frame { to, life, from, frame: frame.clone() });
            }
        }
    }

    fn apart(&self, a: usize, b: usize, told: bool) -> bool {
        let side = |set: u64, node: usize| set >> node & 1;
        self.partitions.iter().any(|(set, is_told)| *is_told == told && side(*set, a) != side(*set, b))
    }

    fn can_talk(&self, a: usize, b: usize) -> bool {
        self.nodes[a].run.is_some()
            && self.nodes[b].run.is_some()
            && !self.apart(a, b, false)
            && !self.apart(a, b, true)
    }

    fn is_connected(&self, a: usize, b: usize) -> bool {
        let allows = |one: usize, other: usize| {
            let run = self.nodes[one].run.as_ref();
            run.is_some_and(|run| run.allow.contains(&self.nodes[other].hospital.transport))
        };
        a != b && allows(a, b) && allows(b, a) && !self.apart(a, b, true)
    }

    /// Tells every node who its peers are, if that has changed.
    fn reconnect(&mut self) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].run.is_none() {
                continue;
            }
            let peers: BTreeSet<PeerKey> = (0..self.nodes.len())
                .filter(|other| self.is_connected(node, *other))
                .map(|other| self.nodes[other].hospital.transport)
                .collect();
            self.with(node, |node, world| node.connected(world, peers));
        }
    }
}

/// How often something is taken from a validator in this simulation, if it is: in most, but for those that show another fault.
fn losses(options: &Options, rng: &mut Rng) -> Option<u64> {
    let has = rng.chance(600);
    let every_ms = rng.within(300, 2_500);
    match options.plant {
        None => has.then_some(every_ms),
        Some(Plant::VotesAtOnce) => Some(every_ms),
        Some(_) => None,
    }
}

/// Which validators misbehave, and how: fewer than a third.
fn faulty(options: &Options, rng: &mut Rng, validators: usize) -> BTreeMap<usize, Byzantine> {
    let most = (validators - 1) / 3;
    let mut faulty = BTreeMap::new();
    match &options.byzantine {
        Some(named) => {
            for how in named.iter().take(most) {
                let index = (0..validators).find(|index| !faulty.contains_key(index));
                faulty.extend(index.map(|index| (index, *how)));
            }
        }
        None => {
            let count = if rng.chance(600) { rng.within(1, most.try_into().unwrap_or(1)) } else { 0 };
            for _ in 0..count {
                let index = rng.index(validators);
                faulty.extend(rng.pick(&Byzantine::ALL).map(|how| (index, *how)));
            }
        }
    }
    faulty
}
