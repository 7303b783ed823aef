//! Starting consensus, and what the node holds of it while it runs.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use custos_engine::{Checked, Engine, EngineConfig, EngineError, EngineInbound, EngineTimeouts, Evidence};
use custos_network::{Channel, Frame, Network, NetworkError, PeerKey};
use custos_proof::keys::PublicKey;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::warn;

use crate::aside::{self, Aside};
use crate::bodies::Bodies;
use crate::config::{ConsensusConfig, Timeouts};
use crate::driver::{Driver, LedgerThread, allowed_at_start};
use crate::health::Health;
use crate::host::{Host, HostConfig, Now};
use crate::ledger::Ledger;

/// Pairs of conflicting messages that may wait to be fetched. Later ones are counted and lost:
/// misbehaviour is recorded if it is reported, and no promise is made that it is.
const EVIDENCE_WAITING: usize = 256;

/// Why consensus could not be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// An address is wrong or taken.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The engine refused its configuration or its log.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The data directory cannot be used.
    #[error("{path}: {error}")]
    DataDir {
        /// The directory.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// The ledger panicked, or there is no thread for it.
    #[error("the ledger's thread did not start: {0}")]
    Ledger(String),
    /// The runtime is shutting down.
    #[error("the runtime is shutting down")]
    Runtime,
}

/// Starts consensus on `runtime` and returns once it listens; peers connect and heights begin
/// afterwards. The ledger moves to a thread of its own and is dropped at shutdown.
///
/// # Errors
/// [`StartError`]; nothing is left running then.
pub async fn start(
    config: ConsensusConfig,
    ledger: Box<dyn Ledger>,
    runtime: &Handle,
) -> Result<ConsensusHandle, StartError> {
    runtime.spawn(launch(config, ledger)).await.map_err(|_| StartError::Runtime)?
}

/// The running consensus, as the node sees it. Dropping it stops everything, without waiting.
pub struct ConsensusHandle {
    network: Network,
    wake: Arc<Notify>,
    health: watch::Receiver<Health>,
    submissions: Option<Submissions>,
    evidence: Option<mpsc::Receiver<Evidence>>,
    aside: Option<Aside>,
    shutdown: oneshot::Sender<()>,
    driver: JoinHandle<()>,
}

impl ConsensusHandle {
    /// What this validator waits for before it votes, when its memory of votes was lost and it follows without
    /// voting until then. It votes again when consensus is started anew.
    #[must_use]
    pub fn aside(&self) -> Option<&Aside> {
        self.aside.as_ref()
    }

    /// Sends submissions' bytes to every connected peer, in as few frames as they need. Never waits; a
    /// peer that does not keep up does without (it will see the submissions in a block). Larger ones
    /// than the network carries are not sent.
    pub fn gossip_all<'a>(&self, submissions: impl IntoIterator<Item = &'a [u8]>) {
        gossip(&self.network, submissions);
    }

    /// Sends one submission's bytes; see [`ConsensusHandle::gossip_all`].
    pub fn gossip(&self, submission: &[u8]) {
        self.gossip_all([submission]);
    }

    /// A handle that gossips and wakes and can be cloned into the mempool and the HTTP server.
    #[must_use]
    pub fn gossiper(&self) -> Gossiper {
        Gossiper { network: self.network.clone(), wake: Arc::clone(&self.wake) }
    }

    /// The submissions that peers send; can be taken once. The bytes are not verified, the sender is.
    pub fn take_submissions(&mut self) -> Option<Submissions> {
        self.submissions.take()
    }

    /// The verified misbehaviour that this node saw; can be taken once.
    pub fn take_evidence(&mut self) -> Option<mpsc::Receiver<Evidence>> {
        self.evidence.take()
    }

    /// Says that work has arrived: a held height goes on. Cheap; call it for every submission.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// How consensus is doing, now and whenever that changes.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    /// The multiaddrs on which this node listens; with port 0 in the configuration, the real port.
    #[must_use]
    pub fn listening(&self) -> Vec<String> {
        self.network.listening()
    }

    /// The network's counters, for metrics.
    #[must_use]
    pub fn network_counters(&self) -> custos_network::Counters {
        self.network.counters()
    }

    /// Stops the engine, the network and the ledger's thread, in this order, and waits for them.
    pub async fn shutdown(self) {
        let _ = self.shutdown.send(());
        let _ = self.driver.await;
    }
}

/// Gossips and wakes; cheap to clone.
#[derive(Clone)]
pub struct Gossiper {
    network: Network,
    wake: Arc<Notify>,
}

impl Gossiper {
    /// See [`ConsensusHandle::gossip_all`].
    pub fn gossip_all<'a>(&self, submissions: impl IntoIterator<Item = &'a [u8]>) {
        gossip(&self.network, submissions);
    }

    /// See [`ConsensusHandle::wake`].
    pub fn wake(&self) {
        self.wake.notify_one();
    }
}

fn gossip<'a>(network: &Network, submissions: impl IntoIterator<Item = &'a [u8]>) {
    for bundle in custos_network::bundles(submissions) {
        network.broadcast(Channel::Submissions, &bundle);
    }
}

/// Submissions from peers. A consumer that falls behind slows the peers' submission streams and
/// nothing else.
pub struct Submissions {
    frames: mpsc::Receiver<Frame>,
    network: Network,
}

/// Submissions' bytes and who sent them to us (not who wrote them).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gossiped {
    /// The transport key of the peer.
    pub from: PublicKey,
    /// The submissions' wire forms, as received; at least one.
    pub submissions: Vec<Bytes>,
}

impl Submissions {
    /// The next submissions that came together; `None` once the network has stopped.
    pub async fn recv(&mut self) -> Option<Gossiped> {
        loop {
            let Frame { peer, payload, .. } = self.frames.recv().await?;
            match custos_network::unbundle(&payload) {
                Some(submissions) => return Some(Gossiped { from: PublicKey(peer.0), submissions }),
                None => {
                    let violations = self.network.charge(peer);
                    warn!(%peer, violations, "a frame that is no bundle of submissions was dropped");
                }
            }
        }
    }
}

async fn launch(config: ConsensusConfig, ledger: Box<dyn Ledger>) -> Result<ConsensusHandle, StartError> {
    let ledger =
        LedgerThread::start(&config.name, ledger).map_err(|error| StartError::Ledger(error.to_string()))?;
    let head =
        ledger.call(|ledger| ledger.head()).await.map_err(|fault| StartError::Ledger(fault.to_string()))?;

    let directory = |error| StartError::DataDir { path: config.data_dir.display().to_string(), error };
    std::fs::create_dir_all(&config.data_dir).map_err(directory)?;
    let (bodies, durable) =
        Bodies::open(&config.data_dir.join("bodies"), head.height.next()).map_err(directory)?;

    let memory =
        aside::recall(&config.data_dir, head.height, head.time, config.clock_bound_ms, (config.clock)())
            .map_err(directory)?;
    let aside = memory.aside.filter(|_| config.signer.is_some());
    if let Some(Aside { from, since, reason }) = &aside {
        warn!(
            head = head.height.0,
            votes_from = from.0,
            since_ms = since.map(|since| since.0),
            reason,
            "this node stands aside: what it may have signed it does not remember, and voting again could sign \
             twice; it follows, and votes again when the others have decided that. If so many validators say \
             this that nothing is decided, nobody remembers: see `custos node vote-again --help`"
        );
    }
    let signer = config.signer.filter(|_| aside.is_none());

    let bootstrap: BTreeSet<PeerKey> =
        config.peers.iter().filter(|peer| peer.bootstrap).map(|peer| PeerKey(peer.transport.0)).collect();
    let own = custos_network::local_key(&config.transport_seed)?;
    let (network, inbound) = custos_network::start(custos_network::Config {
        seed: config.transport_seed,
        listen: config.listen.clone(),
        chain: head.chain.0,
        addresses: config
            .peers
            .iter()
            .map(|peer| (PeerKey(peer.transport.0), peer.address.clone()))
            .collect(),
        allowed: allowed_at_start(&head.peers, &bootstrap, own),
    })
    .await?;

    let (engine_inbound, submissions) = EngineInbound::split(inbound);
    let checked = Checked::default();
    let engine = EngineConfig {
        name: config.name.clone(),
        chain: head.chain,
        wal: memory.log,
        signer: signer.clone(),
        max_block_bytes: config.max_block_bytes,
        checked: checked.clone(),
    };
    let engine: Engine = match custos_engine::start(engine, network.clone(), engine_inbound).await {
        Ok(engine) => engine,
        Err(error) => {
            network.shutdown().await;
            return Err(error.into());
        }
    };

    let began = Instant::now();
    let now = Now { wall: (config.clock)(), steady_ms: 0 };
    let host = HostConfig {
        key: signer.as_ref().map(|signer| signer.public_key()),
        transport: own,
        bootstrap,
        timeouts: engine_timeouts(config.timeouts),
        heartbeat_ms: config.heartbeat_ms,
        max_block_bytes: config.max_block_bytes,
        clock_bound_ms: config.clock_bound_ms,
        checked,
    };
    let (health, health_seen) = watch::channel(Health::starting(head.height));
    let (evidence, evidence_out) = mpsc::channel(EVIDENCE_WAITING);
    let wake = Arc::new(Notify::new());
    let driver = Driver {
        host: Host::new(host, head, durable, now),
        engine,
        network: network.clone(),
        ledger,
        bodies: Arc::new(bodies),
        directory: config.data_dir,
        wake: Arc::clone(&wake),
        health,
        evidence,
        clock: config.clock,
        began,
        open: HashMap::new(),
        next_ticket: 0,
        wake_at: None,
        evidence_seen: 0,
        evidence_lost: 0,
    };
    let (shutdown, stop) = oneshot::channel();
    Ok(ConsensusHandle {
        submissions: Some(Submissions { frames: submissions, network: network.clone() }),
        network,
        wake,
        health: health_seen,
        evidence: Some(evidence_out),
        aside,
        shutdown,
        driver: tokio::spawn(driver.run(stop)),
    })
}

pub(crate) fn engine_timeouts(timeouts: Timeouts) -> EngineTimeouts {
    let Timeouts { propose, prevote, precommit, delta, rebroadcast } = timeouts;
    EngineTimeouts { propose, prevote, precommit, delta, rebroadcast }
}
