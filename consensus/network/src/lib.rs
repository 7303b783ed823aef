//! The one libp2p swarm of a validator: admission at the connection, frames to every peer, requests.
//!
//! Validators are few and known, so this is a full mesh with one hop and no relaying: whoever says
//! something says it to everybody directly. A connection is admitted when the key that the other
//! side proved in the noise handshake is on the allow list, which the ledger's registry rules and
//! which may change while connected ([`Network::allow`]). See [`gate`](self#admission).
//!
//! # Admission
//! A stranger gets through TCP, noise and yamux, and no further: no stream of its connection is
//! polled, no frame of it decoded, no frame sent to it. libp2p's own negotiation is all that a
//! stranger's bytes ever reach.
//!
//! # Queues
//! Everything is bounded: per peer and class for what is sent (`Class::queue_frames`; a full queue
//! refuses and counts), per class for what was received (a slow consumer slows the peers' streams).
//!
//! Deliberately absent: discovery, relaying, NAT traversal, Identify, and any idea of what the
//! payloads mean.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bundle;
mod frame;
#[doc(hidden)]
pub mod fuzz;
mod gate;
mod hangup;
mod peer;
mod shared;
mod stream;
mod swarm;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use libp2p::core::Multiaddr;
use libp2p::core::transport::TransportError;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::swarm::StreamProtocol;
use libp2p::{SwarmBuilder, Transport as _, noise, tcp, yamux};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use bundle::{MAX_BUNDLED_BYTES, bundles, unbundle};
pub use frame::{
    Channel, MAX_PART_BYTES, MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES, MAX_STATUS_BYTES, MAX_SUBMISSION_BYTES,
    MAX_VOTE_BYTES,
};
pub use gate::{MAX_CONNECTIONS_PER_PEER, MAX_PENDING_INBOUND};
pub use peer::PeerKey;
pub use shared::{Counters, MAX_INBOUND_REQUESTS_PER_PEER};

use frame::{Class, REQUEST_ID_BYTES};
use gate::{Gate, Protocols};
use hangup::HangsUp;
use shared::Shared;
use stream::Sinks;
use swarm::{Command, Dial, Task};

/// Received frames that may wait for the consumer, per class.
const VOTES_WAITING: usize = 1024;
const PARTS_WAITING: usize = 16;
const SUBMISSIONS_WAITING: usize = 256;
const SYNC_WAITING: usize = 16;

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Streams that one connection may be negotiating at a time.
const MAX_NEGOTIATING_STREAMS: usize = 8;

/// How the network is set up.
#[derive(Clone)]
pub struct Config {
    /// The 32-byte Ed25519 seed of this node's transport key.
    pub seed: [u8; 32],
    /// The multiaddr to listen on.
    pub listen: String,
    /// The chain. It is part of every protocol name, so nodes of two chains never exchange a frame.
    pub chain: [u8; 32],
    /// Where peers are; each is dialed until connected, as long as it is allowed.
    pub addresses: Vec<(PeerKey, String)>,
    /// Who may connect at first.
    pub allowed: BTreeSet<PeerKey>,
}

/// Why the network could not be started.
#[derive(Debug, Error)]
pub enum NetworkError {
    /// A configured address is not a multiaddr over TCP.
    #[error("{address:?} is not a multiaddr like /ip4/127.0.0.1/tcp/7701: {reason}")]
    Address {
        /// The address as configured.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The listening address cannot be bound.
    #[error("cannot listen on {address}: {reason}; is another node running there?")]
    Listen {
        /// The address as configured.
        address: String,
        /// The system's answer.
        reason: String,
    },
    /// The transport cannot be built.
    #[error("cannot set up the transport: {0}")]
    Transport(String),
}

/// A frame from an admitted peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Who sent it.
    pub peer: PeerKey,
    /// What it is about.
    pub channel: Channel,
    /// What it says.
    pub payload: Bytes,
}

/// Requests and answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncEvent {
    /// A peer asks; answer with [`Network::respond`], or [`Network::ignore`] it.
    Request {
        /// Who asks.
        peer: PeerKey,
        /// The peer's name for the request.
        id: u64,
        /// What is asked.
        payload: Bytes,
    },
    /// A peer answered what [`Network::request`] asked.
    Response {
        /// Who answered.
        peer: PeerKey,
        /// What [`Network::request`] returned.
        id: u64,
        /// The answer.
        payload: Bytes,
    },
    /// A request of ours will not be answered.
    Failed {
        /// Who was asked.
        peer: PeerKey,
        /// What [`Network::request`] returned.
        id: u64,
    },
}

/// What arrives, by class. A consumer that stops reading one class slows that class only.
#[derive(Debug)]
pub struct Inbound {
    /// Votes, proposals, certificates and status messages.
    pub votes: mpsc::Receiver<Frame>,
    /// Parts of proposed blocks.
    pub parts: mpsc::Receiver<Frame>,
    /// Submissions; each payload is a bundle, see [`unbundle`].
    pub submissions: mpsc::Receiver<Frame>,
    /// Requests and responses.
    pub sync: mpsc::Receiver<SyncEvent>,
}

/// The running network. Clones are handles to the same one.
#[derive(Clone)]
pub struct Network {
    local: PeerKey,
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
    listening: watch::Receiver<Vec<Multiaddr>>,
}

/// Starts the network on the current tokio runtime and returns once it listens.
///
/// # Errors
/// [`NetworkError`] when an address is wrong or taken.
pub async fn start(config: Config) -> Result<(Network, Inbound), NetworkError> {
    let transport = |reason: String| NetworkError::Transport(reason);
    let (keypair, local) = identity(&config.seed)?;
    let listen = parse(&config.listen)?;
    let dials = config
        .addresses
        .iter()
        .filter(|(peer, _)| *peer != local)
        .map(|(peer, address)| Ok((*peer, Dial::new(parse(address)?))))
        .collect::<Result<BTreeMap<_, _>, NetworkError>>()?;

    let shared = Arc::new(Shared::default());
    let gate = Gate::new(protocols(&config.chain)?, Arc::clone(&shared), config.allowed);
    let mut swarm = SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_other_transport(|keypair| {
            let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true));
            let secured = tcp.upgrade(Version::V1Lazy).authenticate(noise::Config::new(keypair)?);
            let connection = secured.multiplex(yamux::Config::default());
            Ok(connection.map(|(peer, muxer), _| (peer, HangsUp(muxer))))
        })
        .map_err(|e| transport(e.to_string()))?
        .with_dns()
        .map_err(|e| transport(e.to_string()))?
        .with_behaviour(|_| gate)
        .map_err(|e| transport(e.to_string()))?
        .with_swarm_config(|swarm| swarm.with_max_negotiating_inbound_streams(MAX_NEGOTIATING_STREAMS))
        .with_connection_timeout(HANDSHAKE_TIMEOUT)
        .build();
    let refused = |reason: String| NetworkError::Listen { address: config.listen.clone(), reason };
    swarm.listen_on(listen).map_err(|error| {
        refused(match error {
            TransportError::Other(system) => system.to_string(),
            unsupported => unsupported.to_string(),
        })
    })?;

    let (votes, votes_in) = mpsc::channel(VOTES_WAITING);
    let (parts, parts_in) = mpsc::channel(PARTS_WAITING);
    let (submissions, submissions_in) = mpsc::channel(SUBMISSIONS_WAITING);
    let (sync, sync_in) = mpsc::channel(SYNC_WAITING);
    let (commands, commands_in) = mpsc::channel(64);
    let (listening, mut listening_at) = watch::channel(Vec::new());
    let task = Task {
        swarm,
        shared: Arc::clone(&shared),
        sinks: Sinks { votes, parts, submissions, sync },
        commands: commands_in,
        listening,
        dials,
        connections: BTreeMap::new(),
        streams: JoinSet::new(),
        stream_tasks: HashMap::new(),
    };
    tokio::spawn(task.run());
    let bound = timeout(HANDSHAKE_TIMEOUT, listening_at.wait_for(|addresses| !addresses.is_empty()));
    if !bound.await.is_ok_and(|address| address.is_ok()) {
        return Err(refused("the listener did not come up".into()));
    }
    let inbound = Inbound { votes: votes_in, parts: parts_in, submissions: submissions_in, sync: sync_in };
    Ok((Network { local, shared, commands, listening: listening_at }, inbound))
}

impl Network {
    /// This node's own transport key.
    #[must_use]
    pub fn local(&self) -> PeerKey {
        self.local
    }

    /// The addresses that are listened on, as multiaddrs.
    #[must_use]
    pub fn listening(&self) -> Vec<String> {
        self.listening.borrow().iter().map(ToString::to_string).collect()
    }

    /// The peers to which everything can be sent, now and whenever that changes.
    #[must_use]
    pub fn peers(&self) -> watch::Receiver<BTreeSet<PeerKey>> {
        self.shared.watch_ready()
    }

    /// Sends a frame to every connected peer. Never waits: a peer whose queue is full does without.
    /// A payload above the channel's limit is not sent at all; the caller asserts its sizes at start.
    pub fn broadcast(&self, channel: Channel, payload: &[u8]) {
        match frame::encode(channel, &[], payload) {
            Some(frame) => self.shared.broadcast(channel.class(), &frame.into()),
            None => tracing::error!(
                ?channel,
                bytes = payload.len(),
                "a frame above its channel's limit was not sent"
            ),
        }
    }

    /// Asks a peer. The answer, or [`SyncEvent::Failed`], arrives in [`Inbound::sync`] under the
    /// returned id, unless it is cancelled first.
    #[must_use]
    pub fn request(&self, peer: PeerKey, payload: &[u8]) -> u64 {
        let id = self.shared.ask(peer);
        if let Some(frame) = frame::encode(Channel::Request, &id.to_be_bytes(), payload) {
            // A request that finds no queue expires like one that is never answered.
            self.shared.send(peer, Class::Sync, frame.into());
        }
        id
    }

    /// Forgets a request; a late answer is read past.
    pub fn cancel(&self, id: u64) {
        self.shared.cancel(id);
    }

    /// Answers a peer's request, once. False if the request is no longer open, the answer is larger
    /// than [`MAX_RESPONSE_BYTES`] or the peer's queue is full.
    pub fn respond(&self, peer: PeerKey, id: u64, payload: &[u8]) -> bool {
        if !self.shared.answer_to(peer, id) {
            return false;
        }
        match frame::encode(Channel::Response, &id.to_be_bytes(), payload) {
            Some(frame) => self.shared.send(peer, Class::Sync, frame.into()),
            None => false,
        }
    }

    /// Leaves a peer's request unanswered.
    pub fn ignore(&self, peer: PeerKey, id: u64) {
        self.shared.answer_to(peer, id);
    }

    /// Replaces the allow list. Whoever is no longer on it is disconnected at once.
    pub async fn allow(&self, allowed: BTreeSet<PeerKey>) {
        let _ = self.commands.send(Command::Allow(allowed)).await;
    }

    /// Charges a peer with a breach that only the receiver of its frames could see.
    pub fn charge(&self, peer: PeerKey) -> u64 {
        self.shared.charge(peer)
    }

    /// Closes all connections of a peer; it may connect again.
    pub async fn cut(&self, peer: PeerKey) {
        let _ = self.commands.send(Command::Cut(peer)).await;
    }

    /// How often a peer broke the protocol.
    #[must_use]
    pub fn violations_of(&self, peer: PeerKey) -> u64 {
        self.shared.violations_of(peer)
    }

    /// What has happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.counters()
    }

    /// Closes every connection and the listener, and returns when that is done.
    pub async fn shutdown(&self) {
        let (done, finished) = oneshot::channel();
        if self.commands.send(Command::Shutdown(done)).await.is_ok() {
            let _ = finished.await;
        }
    }
}

/// Room for a request id is not the caller's to plan.
const _: () = assert!(REQUEST_ID_BYTES == size_of::<u64>());

/// The transport key that belongs to a seed.
///
/// # Errors
/// [`NetworkError::Transport`] never in practice: every 32 bytes are a seed.
pub fn local_key(seed: &[u8; 32]) -> Result<PeerKey, NetworkError> {
    identity(seed).map(|(_, key)| key)
}

fn identity(seed: &[u8; 32]) -> Result<(Keypair, PeerKey), NetworkError> {
    let keypair = Keypair::ed25519_from_bytes(*seed).map_err(|e| NetworkError::Transport(e.to_string()))?;
    let key = PeerKey::of(&keypair.public().to_peer_id())
        .ok_or_else(|| NetworkError::Transport("the transport key is not an Ed25519 key".into()))?;
    Ok((keypair, key))
}

fn parse(address: &str) -> Result<Multiaddr, NetworkError> {
    use libp2p::multiaddr::Protocol;
    let wrong = |reason: &str| NetworkError::Address { address: address.into(), reason: reason.into() };
    let parsed: Multiaddr = address.parse().map_err(|e: libp2p::multiaddr::Error| wrong(&e.to_string()))?;
    match parsed.iter().any(|part| matches!(part, Protocol::Tcp(_))) {
        true => Ok(parsed),
        false => Err(wrong("no tcp port")),
    }
}

fn protocols(chain: &[u8; 32]) -> Result<Protocols, NetworkError> {
    let chain: String = chain.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let name = |class: Class| {
        StreamProtocol::try_from_owned(format!("/custos/1/{chain}/{}", class.name()))
            .map(|name| (class, name))
            .map_err(|e| NetworkError::Transport(e.to_string()))
    };
    let [votes, parts, submissions, sync] = Class::ALL;
    Ok(Arc::new([name(votes)?, name(parts)?, name(submissions)?, name(sync)?]))
}
