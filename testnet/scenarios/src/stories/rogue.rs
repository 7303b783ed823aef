//! A rogue peer beside running nodes: first a stranger, then somebody who holds a validator's transport key.
//!
//! The stranger speaks the protocol perfectly and is nobody: it must hear nothing. The insider is admitted,
//! has no consensus key, and sends what an attacker would: noise on every channel, what it heard again, what
//! it heard with bits turned, requests for anything, answers to nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use custos_network::{Channel, Config, PeerKey, SyncEvent};
use custos_testnet::Network;
use tokio::runtime::Builder;
use tokio::time::interval;

use super::{FOUR, PATIENCE, line_with, seconds};
use crate::clients::{Load, Pace};
use crate::{Chance, Plan, Seen, Skipped, Story, Told, checks};

pub(super) const STORY: Story = Story {
    name: "rogue",
    fault: "a stranger on the validators' ports, then an insider with a validator's transport key",
    is_short: false,
    tell,
};

/// What it heard and plays back, at most.
const HEARD: usize = 64;

fn tell(plan: &Plan) -> Result<Told, Skipped> {
    let mut network = Network::up(4);
    let three = [1, 2, 3];
    let load = Load::start(&network, &Pace { nodes: three.to_vec(), ..Pace::gentle() });
    load.wait_for(4, PATIENCE);
    let some = plan.times(10, 60) as u64;
    let mut seen = Vec::new();

    let stranger = Rogue::start(&network, [7; 32], &FOUR);
    let took = load.wait_for(some, PATIENCE);
    super::until("the stranger is refused", PATIENCE, || refused(&network) > 0.0);
    let heard = stranger.stop();
    assert_eq!(heard, 0, "a stranger heard {heard} frames");
    seen.push(Seen::new(
        "a stranger dials every validator and sends noise, all the time",
        format!("it heard nothing; {some} submissions recorded in {} meanwhile", seconds(took)),
        format!("`custos_refused_connections` rises: {} so far", refused(&network)),
    ));

    network.kill_together(&[4]);
    let key = network.folder().join("keys/hospital-4-transport.key");
    let insider = Rogue::start(&network, seed(&key), &three);
    super::until("the insider is heard", PATIENCE, || violations(&network, &three) > 0.0);
    let took = load.wait_for(some, PATIENCE);
    let sent = insider.sent.load(Ordering::Relaxed);
    let heard = insider.stop();
    let log = network.log(1);
    seen.push(Seen::new(
        "an insider with a validator's transport key sends noise, replays and turned bits on every channel",
        format!(
            "{sent} frames sent, {heard} heard; the other three recorded {some} submissions in {}",
            seconds(took)
        ),
        format!(
            "`custos_peer_violations`: {}; log: {}",
            violations(&network, &three),
            line_with(&log, "a peer broke the protocol").unwrap_or_else(|| "(no line)".into())
        ),
    ));
    network.start(4);
    let kept = load.finish();
    Ok(Told { seen, checked: checks::whole(&mut network, &FOUR, &kept) })
}

fn refused(network: &Network) -> f64 {
    FOUR.iter().map(|node| network.metric(*node, "custos_refused_connections ")).sum()
}

fn violations(network: &Network, nodes: &[usize]) -> f64 {
    nodes.iter().map(|node| network.metric(*node, "custos_peer_violations ")).sum()
}

fn seed(path: &std::path::Path) -> [u8; 32] {
    let text = std::fs::read_to_string(path).expect("because the network made the key");
    let seed = text.lines().find_map(|line| line.strip_prefix("seed = \"")?.strip_suffix('"'));
    let mut bytes = [0; 32];
    hex::decode_to_slice(seed.expect("because key files have a seed"), &mut bytes)
        .expect("because a seed is hexadecimal");
    bytes
}

/// A peer of the network that means no good.
struct Rogue {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    heard: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Rogue {
    fn start(network: &Network, seed: [u8; 32], targets: &[usize]) -> Self {
        let mut addresses = Vec::new();
        for target in targets {
            let text = std::fs::read_to_string(network.config(*target)).expect("because nodes have one");
            let config: toml::Table = text.parse().expect("because the command wrote it");
            let listens = config["p2p"]["listen"].as_str().unwrap_or_default().to_owned();
            let key = network.folder().join(format!("keys/hospital-{target}-transport.key"));
            let peer = custos_network::local_key(&self::seed(&key)).expect("because it is a key");
            addresses.push((peer, listens));
        }
        let allowed: BTreeSet<PeerKey> = addresses.iter().map(|(peer, _)| *peer).collect();
        let config = Config {
            seed,
            listen: "/ip4/127.0.0.1/tcp/0".into(),
            chain: network.chain().0,
            addresses,
            allowed,
        };
        let rogue =
            (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (stop, sent, heard) = rogue.clone();
        let thread = thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("because there is room");
            runtime.block_on(misbehave(config, &stop, &sent, &heard));
        });
        Self { stop: rogue.0, sent: rogue.1, heard: rogue.2, thread }
    }

    /// Ends it; returns how many frames it heard.
    fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("because the rogue only sends and listens");
        self.heard.load(Ordering::Relaxed)
    }
}

async fn misbehave(config: Config, stop: &AtomicBool, sent: &AtomicU64, heard: &AtomicU64) {
    const CHANNELS: [Channel; 5] =
        [Channel::Consensus, Channel::Liveness, Channel::Status, Channel::Parts, Channel::Submissions];
    let targets: Vec<PeerKey> = config.allowed.iter().copied().collect();
    let (network, mut inbound) = custos_network::start(config).await.expect("because the port is free");
    let mut chance = Chance(11);
    let mut kept: Vec<(Channel, Vec<u8>)> = Vec::new();
    let mut tick = interval(Duration::from_millis(8));
    while !stop.load(Ordering::Relaxed) {
        tokio::select! {
            Some(frame) = inbound.votes.recv() => keep(&mut kept, &mut chance, heard, frame),
            Some(frame) = inbound.parts.recv() => keep(&mut kept, &mut chance, heard, frame),
            Some(frame) = inbound.submissions.recv() => keep(&mut kept, &mut chance, heard, frame),
            Some(event) = inbound.sync.recv() => {
                heard.fetch_add(1, Ordering::Relaxed);
                if let SyncEvent::Request { peer, id, .. } = event {
                    network.respond(peer, id, &noise(&mut chance, 4096));
                }
            }
            _ = tick.tick() => {
                sent.fetch_add(1, Ordering::Relaxed);
                let channel = chance.one_of(&CHANNELS).unwrap_or(Channel::Consensus);
                let again = (!kept.is_empty()).then(|| kept[chance.below(kept.len() as u64) as usize].clone());
                match (chance.below(4), again) {
                    (0, _) | (_, None) => network.broadcast(channel, &noise(&mut chance, 2048)),
                    (1, Some((channel, bytes))) => network.broadcast(channel, &bytes),
                    (2, Some((channel, mut bytes))) if !bytes.is_empty() => {
                        let bit = chance.below(bytes.len() as u64 * 8) as usize;
                        bytes[bit / 8] ^= 1 << (bit % 8);
                        network.broadcast(channel, &bytes);
                    }
                    _ => {
                        if let Some(peer) = chance.one_of(&targets) {
                            let _ = network.request(peer, &noise(&mut chance, 64));
                        }
                    }
                }
            }
        }
    }
    network.shutdown().await;
}

fn keep(
    kept: &mut Vec<(Channel, Vec<u8>)>,
    chance: &mut Chance,
    heard: &AtomicU64,
    frame: custos_network::Frame,
) {
    heard.fetch_add(1, Ordering::Relaxed);
    let one = (frame.channel, frame.payload.to_vec());
    match kept.len() < HEARD {
        true => kept.push(one),
        false => kept[chance.below(HEARD as u64) as usize] = one,
    }
}

fn noise(chance: &mut Chance, most: u64) -> Vec<u8> {
    (0..chance.below(most)).map(|_| chance.below(256) as u8).collect()
}
