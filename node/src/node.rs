//! A node from start to stop: the wiring, in the order in which things need each other.
//!
//! ```text
//! start   genesis, keys -> store (made from the genesis the first time) -> consensus -> intake -> gossip -> API
//! stop    API lets its last answers out -> gossip -> consensus finishes its commit -> intake -> store is closed
//! ```
//!
//! A node stops by itself when consensus halts or its database shows damage, and says why: a block that
//! was decided and cannot be kept leaves nothing else to do. In a safety hang it goes on reading and says
//! so in `/healthz`; it signs nothing until an operator has looked.
//!
//! It starts itself anew, in the same process, when it is to sign with another key than it began with:
//! when it need not stand aside any longer ([`custos_consensus::aside`]), or when a block put its next key into
//! the validator set.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use custos_consensus::{ConsensusConfig, ConsensusHandle, Gossiper, Health, State, Submissions, Timeouts};
use custos_proof::hash::{ChainId, KeyId};
use custos_proof::ids::ParticipantId;
use custos_proof::submission::Verified;
use custos_store::StoreError;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use crate::chain::{Chain, clock};
use crate::config::Checked;
use crate::custodian::{Custodian, CustodianError, Ready};
use crate::door;
use crate::http::{self, Api, ApiParts};
use crate::intake::{Intake, IntakeThread, Peers};
use crate::keys::KeyFileError;
use crate::ledger::NodeLedger;
use crate::metrics::Metrics;
use crate::opening::{Opened, Signing, open};
use crate::reports::Reporter;

/// How long peers' submissions wait when the intake is full.
const FULL_PAUSE: Duration = Duration::from_millis(5);
/// How often a start looks whether the store is free.
const LOOK_FOR_STORE: Duration = Duration::from_millis(250);
/// How often a node looks whether its database showed damage.
const LOOK_FOR_DAMAGE: Duration = Duration::from_millis(500);
/// How long they get when it starts anew: a pruning that is under way ends in between.
const LAST_READERS_ANEW: Duration = Duration::from_secs(600);
/// How long a start waits for a command that has the store open, such as one that looked whether a node runs.
const OTHERS_HAVE_IT: Duration = Duration::from_secs(10);
/// How long the last readers of the store get when the node stops.
const LAST_READERS: Duration = Duration::from_secs(5);

/// A running node.
pub struct Node {
    chain: Arc<Chain>,
    metrics: Metrics,
    api_address: SocketAddr,
    health: watch::Receiver<Health>,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
    gossip: JoinHandle<()>,
    reports: JoinHandle<()>,
    consensus: ConsensusHandle,
    intake: Intake,
    intake_thread: IntakeThread,
    custodian: Option<Custodian>,
    door: JoinHandle<()>,
    pruning: JoinHandle<()>,
    signing: Signing,
}

/// Why a node does not start, or stopped.
#[derive(Debug, Error)]
pub enum NodeError {
    /// The genesis cannot be read.
    #[error("genesis {path}: {cause}; name the genesis file of the network under `genesis`")]
    Genesis {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// The data directory holds another chain.
    #[error(
        "{dir} holds chain {found}, the genesis begins chain {expected}; name another `data_dir` or the right genesis"
    )]
    OtherChain {
        /// Which directory.
        dir: PathBuf,
        /// What is there.
        found: ChainId,
        /// What the genesis says.
        expected: ChainId,
    },
    /// A key file cannot be used.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The consensus key is not the participant's.
    #[error(
        "key {key} is not a live consensus key of {participant} in the registry: votes with it would count for nothing; use the key that was registered, or register this one"
    )]
    NotRegistered {
        /// Which key.
        key: KeyId,
        /// Whose it should be.
        participant: ParticipantId,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The custodian's endpoint does not start.
    #[error(transparent)]
    Custodian(#[from] CustodianError),
    /// Consensus does not start.
    #[error(transparent)]
    Consensus(#[from] custos_consensus::StartError),
    /// The API's address is taken, or the system lacks something.
    #[error("{what}: {cause}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Consensus halted.
    #[error("consensus halted: {0}")]
    Halted(String),
    /// A reader of the database met damage.
    #[error("the database is damaged, and this node neither votes nor runs with it: {0}")]
    Damaged(String),
}

/// Runs a node until a signal or a halt.
///
/// # Errors
/// [`NodeError`].
pub async fn run(checked: Checked) -> Result<(), NodeError> {
    let system = |what: &str| {
        let what = what.to_owned();
        move |cause| NodeError::System { what, cause }
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(system("listening for SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system("listening for SIGINT"))?;
    let mut patience = OTHERS_HAVE_IT;
    let mut since = Instant::now();
    loop {
        let node = match Node::start(checked.clone()).await {
            Ok(node) => node,
            // A command has the store, or a last reader of the run before.
            Err(NodeError::Store(error @ StoreError::Locked(_))) if since.elapsed() < patience => {
                warn!(%error, "waiting for the store");
                tokio::select! {
                    _ = terminate.recv() => return Ok(()),
                    _ = interrupt.recv() => return Ok(()),
                    () = tokio::time::sleep(LOOK_FOR_STORE) => {}
                }
                continue;
            }
            Err(error) => return Err(error),
        };
        let end = tokio::select! {
            _ = terminate.recv() => End::Asked,
            _ = interrupt.recv() => End::Asked,
            reason = node.halted() => End::Failed(NodeError::Halted(reason)),
            damage = node.damaged() => End::Failed(NodeError::Damaged(damage)),
            why = node.signs_otherwise() => End::Anew(why),
        };
        match &end {
            End::Asked => info!("stopping"),
            End::Failed(error) => error!(%error, "the node stops"),
            End::Anew(why) => info!("{why}"),
        }
        node.stop().await;
        match end {
            End::Asked => return Ok(()),
            End::Failed(error) => return Err(error),
            End::Anew(_) => (patience, since) = (LAST_READERS_ANEW, Instant::now()),
        }
    }
}

/// Where consensus keeps its own files, what it remembers of votes among them.
#[must_use]
pub fn consensus_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("consensus")
}

/// How a run of a node ended.
enum End {
    Asked,
    Failed(NodeError),
    Anew(&'static str),
}

impl Node {
    /// Starts a node and returns once it listens. It is ready later: see `/readyz`.
    ///
    /// # Errors
    /// [`NodeError`]; nothing is left running then.
    pub async fn start(checked: Checked) -> Result<Self, NodeError> {
        let Opened { chain, keys, policy, mut signing } = {
            let checked = checked.clone();
            tokio::task::spawn_blocking(move || open(&checked)).await.map_err(|panic| {
                NodeError::System { what: "opening the store".into(), cause: std::io::Error::other(panic) }
            })??
        };
        let Checked { config, participant, api_listen, peers, custodian } = checked;
        // Bound before consensus starts: an address that is taken should not cost a vote.
        let listener = TcpListener::bind(api_listen).await.map_err(|cause| NodeError::System {
            what: format!("listening on {api_listen} (`api.listen`)"),
            cause,
        })?;
        let api_address = listener
            .local_addr()
            .map_err(|cause| NodeError::System { what: "the API's own address".into(), cause })?;

        let door = door::open(&config.data_dir);
        let custodian = match config.custodian.clone().zip(custodian) {
            Some((section, checked)) => {
                Some(Ready::open(section, checked, Arc::clone(&chain), participant.clone()).await?)
            }
            None => None,
        };

        let metrics = Metrics::default();
        let ledger = NodeLedger::new(Arc::clone(&chain), metrics.clone())?;
        let section = config.consensus;
        let ms = Duration::from_millis;
        let mut consensus = custos_consensus::start(
            ConsensusConfig {
                name: participant.as_ref().map_or_else(|| "follower".to_owned(), ToString::to_string),
                data_dir: consensus_dir(&config.data_dir),
                listen: config.p2p.listen.clone(),
                transport_seed: *keys.transport.seed(),
                signer: keys.consensus,
                peers,
                timeouts: Timeouts {
                    propose: ms(section.propose_ms),
                    prevote: ms(section.vote_ms),
                    precommit: ms(section.vote_ms),
                    delta: ms(section.delta_ms),
                    rebroadcast: ms(section.rebroadcast_ms),
                },
                heartbeat_ms: policy.heartbeat_ms,
                max_block_bytes: section.max_block_bytes,
                clock_bound_ms: section.clock_bound_ms,
                clock,
            },
            Box::new(ledger),
            &tokio::runtime::Handle::current(),
        )
        .await?;
        signing.aside = consensus.aside().cloned();
        let health = consensus.health();
        let submissions = consensus.take_submissions();

        let (intake, intake_thread) =
            Intake::start(Arc::clone(&chain), consensus.gossiper(), metrics.clone())
                .map_err(|cause| NodeError::System { what: "starting the intake's thread".into(), cause })?;
        let gossip = tokio::spawn(relay(submissions, intake.clone()));
        let reporter = Reporter::new(Arc::clone(&chain), intake.clone(), participant.clone(), keys.sign);
        let reports = tokio::spawn(reporter.run(consensus.take_evidence()));
        let (stop, stopping) = watch::channel(false);
        let api = Api::new(
            ApiParts {
                chain: Arc::clone(&chain),
                intake: intake.clone(),
                health: health.clone(),
                metrics: metrics.clone(),
                participant: participant.clone(),
                note: keys.note,
                aside: signing.aside.as_ref().map(|aside| aside.reason.clone()),
            },
            &config.api,
            names(&config.api.names, api_address),
        );
        let custodian = custodian
            .map(|ready| ready.run(intake.clone(), metrics.clone(), config.api.clone(), stopping.clone()));
        let door =
            tokio::spawn(door::answer(door, Arc::clone(&chain), config.data_dir.clone(), stopping.clone()));
        let pruning = tokio::spawn(crate::retention::keep(Arc::clone(&chain), config.retention));
        let router = http::router(Arc::new(api));
        let server = tokio::spawn(async move { http::serve(listener, router, &config.api, stopping).await });
        info!(
            api = %api_address,
            p2p = ?consensus.listening(),
            participant = participant.as_ref().map(tracing::field::display),
            chain = %chain.store().head().chain,
            height = chain.store().head().height.0,
            "the node listens"
        );
        Ok(Self {
            chain,
            metrics,
            api_address,
            health,
            stop,
            server,
            gossip,
            reports,
            consensus,
            intake,
            intake_thread,
            custodian,
            door,
            pruning,
            signing,
        })
    }

    /// Where the custodian's FHIR endpoint listens, if the node has one.
    #[must_use]
    pub fn fhir_address(&self) -> Option<SocketAddr> {
        self.custodian.as_ref().map(Custodian::address)
    }

    /// Where the API listens: with port 0 in the configuration, the real port.
    #[must_use]
    pub fn api_address(&self) -> SocketAddr {
        self.api_address
    }

    /// The multiaddrs on which peers reach this node.
    #[must_use]
    pub fn p2p_addresses(&self) -> Vec<String> {
        self.consensus.listening()
    }

    /// How consensus is doing, now and whenever that changes.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    /// The chain as this node has it.
    #[must_use]
    pub fn chain(&self) -> &Arc<Chain> {
        &self.chain
    }

    /// The node's counters.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The reason, once consensus has halted; does not end before.
    pub async fn halted(&self) -> String {
        let mut health = self.health.clone();
        match health
            .wait_for(|health| matches!(health.state, State::Halted(_)))
            .await
            .map(|health| health.state.clone())
        {
            Ok(State::Halted(reason)) => reason,
            Ok(_) | Err(_) => "consensus has ended".into(),
        }
    }

    /// What a reader of the database found damaged; does not end before.
    async fn damaged(&self) -> String {
        let mut look = tokio::time::interval(LOOK_FOR_DAMAGE);
        loop {
            look.tick().await;
            if let Some(damage) = self.chain.store().damage() {
                return damage.to_owned();
            }
        }
    }

    /// Why another key is to sign from the head on; does not end before.
    async fn signs_otherwise(&self) -> &'static str {
        let mut heights = self.chain.heights();
        loop {
            if let Some(why) = self.signing.otherwise(&self.chain.store().head()) {
                return why;
            }
            if heights.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Stops: lets the last answers out, lets the commit in flight finish, closes the store.
    pub async fn stop(self) {
        let Self {
            chain,
            stop,
            server,
            gossip,
            reports,
            consensus,
            intake,
            intake_thread,
            custodian,
            door,
            pruning,
            ..
        } = self;
        let _ = stop.send(true);
        let _ = server.await;
        if let Some(custodian) = custodian {
            custodian.stop().await;
        }
        for task in [gossip, reports, door, pruning] {
            task.abort();
            let _ = task.await;
        }
        consensus.shutdown().await;
        intake.stop();
        drop(intake);
        let ended = tokio::task::spawn_blocking(move || intake_thread.join()).await;
        if ended.is_err() {
            warn!("the intake did not end in order");
        }
        // The store closes with its last holder; a handler that was cut off may still be reading.
        let waited = tokio::time::timeout(LAST_READERS, async {
            while Arc::strong_count(&chain) > 1 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        if waited.await.is_err() {
            warn!("somebody still reads the store; it closes with the process");
        }
        let _ = tokio::task::spawn_blocking(move || drop(chain)).await;
        info!("stopped");
    }
}

impl Peers for Gossiper {
    fn pass_on(&self, submissions: &[Arc<Verified>]) {
        self.gossip_all(submissions.iter().map(|submission| submission.bytes()));
    }

    fn wake(&self) {
        Gossiper::wake(self);
    }
}

/// Hands peers' submissions to the intake. When it is full, peers wait: their streams are bounded.
async fn relay(submissions: Option<Submissions>, intake: Intake) {
    let Some(mut submissions) = submissions else { return };
    while let Some(gossiped) = submissions.recv().await {
        let peer: Arc<str> = gossiped.from.to_string().into();
        let mut submissions = gossiped.submissions;
        while let Err(back) = intake.relayed(submissions, &peer) {
            submissions = back;
            tokio::time::sleep(FULL_PAUSE).await;
        }
    }
}

/// The names by which members may address this node.
fn names(configured: &[String], address: SocketAddr) -> Vec<String> {
    let mut names = configured.to_vec();
    let port = address.port();
    if address.ip().is_unspecified() || address.ip().is_loopback() {
        names.extend([format!("127.0.0.1:{port}"), format!("[::1]:{port}"), format!("localhost:{port}")]);
    }
    if !address.ip().is_unspecified() {
        names.push(address.to_string());
    }
    names
}
