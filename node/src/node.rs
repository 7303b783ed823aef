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
use std::time::Duration;

use custos_consensus::aside::{self, Aside};
use custos_consensus::{
    CORRUPT_LOG, ConsensusConfig, ConsensusHandle, Gossiper, Health, State, Submissions, Timeouts,
};
use custos_proof::cbor::Wire as _;
use custos_proof::genesis::Genesis;
use custos_proof::hash::{ChainId, KeyId};
use custos_proof::ids::ParticipantId;
use custos_proof::keys::{KeyPurpose, PublicKey, Signer, key_id};
use custos_proof::registry::{self, Policy};
use custos_proof::submission::Verified;
use custos_state::apply;
use custos_state::view::{Head, View as _};
use custos_store::{Snapshot, Store, StoreError};
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
use crate::keys::{FileSigner, KeyFileError};
use crate::ledger::{NodeLedger, key_entry};
use crate::mempool::Limits;
use crate::metrics::Metrics;
use crate::reports::Reporter;

/// The longest genesis file, in bytes.
const MAX_GENESIS_BYTES: u64 = 16 * 1024 * 1024;
/// How long peers' submissions wait when the intake is full.
const FULL_PAUSE: Duration = Duration::from_millis(5);
/// How often a node looks whether its database showed damage.
const LOOK_FOR_DAMAGE: Duration = Duration::from_millis(500);
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

/// What a node signs votes with, and what would change that.
#[derive(Clone)]
struct Signing {
    data_dir: PathBuf,
    clock_bound_ms: u64,
    /// What it waits for before it votes, if it stands aside.
    aside: Option<Aside>,
    participant: Option<ParticipantId>,
    /// The key in use.
    key: Option<PublicKey>,
    /// The other key that is configured.
    other: Option<PublicKey>,
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
    loop {
        let node = Node::start(checked.clone()).await?;
        let end = tokio::select! {
            _ = terminate.recv() => End::Asked,
            _ = interrupt.recv() => End::Asked,
            reason = node.halted() => End::Failed(NodeError::Halted(reason)),
            damage = node.damaged() => End::Failed(NodeError::Damaged(damage)),
            why = node.signs_otherwise() => End::Anew(why),
            // Does not end: the node goes on reading.
            never = node.remember_hang() => match never {},
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
            End::Anew(_) => {}
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

    /// Sees to it that a log of votes that is damaged is not trusted after a restart either.
    async fn remember_hang(&self) -> std::convert::Infallible {
        let mut health = self.health.clone();
        let corrupt =
            |health: &Health| matches!(&health.state, State::SafetyHang(why) if why.starts_with(CORRUPT_LOG));
        if health.wait_for(corrupt).await.is_ok() && self.signing.key.is_some() {
            let data_dir = &self.signing.data_dir;
            match aside::stand_aside(&consensus_dir(data_dir), clock(), "its log of votes was damaged") {
                Ok(_) => error!(
                    "the log of votes is damaged: restart this node, it then stands aside, follows, and votes once it is safe"
                ),
                Err(error) => {
                    error!(%error, "the log of votes is damaged, and that cannot be noted: run `custos node stand-aside` before a restart")
                }
            }
        }
        std::future::pending().await
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

struct Opened {
    chain: Arc<Chain>,
    keys: Keys,
    policy: Policy,
    signing: Signing,
}

impl Signing {
    /// Why it is over with this key, once the chain has this head.
    fn otherwise(&self, head: &Head) -> Option<&'static str> {
        if let Some(aside) = &self.aside {
            return aside
                .ends_with(head.height, head.time, self.clock_bound_ms)
                .then_some("what this node may have voted on is decided: it starts again and votes");
        }
        let validators = head.next_validators.as_slice();
        let own = validators.iter().find(|v| Some(&v.participant) == self.participant.as_ref())?;
        (self.key != Some(own.key) && self.other == Some(own.key))
            .then_some("a block put the other consensus key into the validator set: the node starts again and votes with it")
    }
}

struct Keys {
    transport: FileSigner,
    consensus: Option<Arc<dyn Signer>>,
    note: Option<Arc<dyn Signer>>,
    sign: Option<Arc<dyn Signer>>,
}

/// Genesis, keys and store.
fn open(checked: &Checked) -> Result<Opened, NodeError> {
    let config = &checked.config;
    let genesis = read_genesis(&config.genesis)?;
    let signer = |path: &Option<PathBuf>, purpose| {
        path.as_deref()
            .map(|path| FileSigner::read(path, purpose).map(|key| Arc::new(key) as Arc<dyn Signer>))
            .transpose()
    };
    let mut keys = Keys {
        transport: FileSigner::read(&config.keys.transport, KeyPurpose::Transport)?,
        consensus: signer(&config.keys.consensus, KeyPurpose::Consensus)?,
        note: signer(&config.keys.note, KeyPurpose::Note)?,
        sign: signer(&config.keys.sign, KeyPurpose::Sign)?,
    };
    let mut other = signer(&config.keys.consensus_next, KeyPurpose::Consensus)?;
    let store = open_store(&config.data_dir.join("ledger"), &genesis, &config.genesis)?;
    let head = store.head();
    let in_set = |key: &Option<Arc<dyn Signer>>| {
        key.as_ref().is_some_and(|key| head.next_validators.by_key(&key.public_key()).is_some())
    };
    if in_set(&other) && !in_set(&keys.consensus) {
        std::mem::swap(&mut keys.consensus, &mut other);
    }
    let policy = {
        let snapshot = store.snapshot()?;
        check_keys(&snapshot, &keys, checked.participant.as_ref())?;
        let bytes =
            snapshot.entry(&registry::policy_key()).map_err(|error| StoreError::Io(error.to_string()))?;
        bytes.and_then(|bytes| Policy::from_bytes(&bytes).ok()).ok_or_else(|| {
            StoreError::Io("the policy is missing or not well formed; run `custos fsck`".into())
        })?
    };
    let signing = Signing {
        data_dir: config.data_dir.clone(),
        clock_bound_ms: config.consensus.clock_bound_ms,
        aside: None,
        participant: checked.participant.clone(),
        key: keys.consensus.as_ref().map(|key| key.public_key()),
        other: other.as_ref().map(|key| key.public_key()),
    };
    let limits = Limits {
        max_bytes: config.mempool.max_bytes,
        max_count: config.mempool.max_count,
        author_share: config.mempool.author_share,
        ..Limits::default()
    };
    Ok(Opened { chain: Arc::new(Chain::new(store, limits)), keys, policy, signing })
}

/// Whether the registry knows the keys.
fn check_keys(
    snapshot: &Snapshot<'_>,
    keys: &Keys,
    participant: Option<&ParticipantId>,
) -> Result<(), NodeError> {
    let known = |signer: &dyn Signer| key_entry(snapshot, &key_id(&signer.public_key()));
    let live = |signer: &dyn Signer, purpose, owner: &ParticipantId| {
        let entry = known(signer)?;
        Ok::<_, StoreError>(entry.is_some_and(|e| {
            e.purpose == purpose && e.owner.as_participant() == Some(owner) && e.revoked.is_none()
        }))
    };
    let (Some(key), Some(participant)) = (&keys.consensus, participant) else { return Ok(()) };
    if known(key.as_ref())?.is_none() {
        // A validator that is to join, or to replace a lost one, follows the chain before the others vote it in.
        warn!(
            key = %key_id(&key.public_key()),
            "the consensus key is not in the registry yet: this node follows, and votes once validator.put names the key"
        );
    } else if !live(key.as_ref(), KeyPurpose::Consensus, participant)? {
        return Err(NodeError::NotRegistered {
            key: key_id(&key.public_key()),
            participant: participant.clone(),
        });
    }
    if !live(&keys.transport, KeyPurpose::Transport, participant)? {
        warn!(
            "the transport key is not in the registry: only peers that list this node as a bootstrap peer will speak to it"
        );
    }
    Ok(())
}

fn read_genesis(path: &Path) -> Result<Genesis, NodeError> {
    let refuse = |cause: String| NodeError::Genesis { path: path.to_owned(), cause };
    let length = std::fs::metadata(path).map_err(|error| refuse(error.to_string()))?.len();
    if length > MAX_GENESIS_BYTES {
        return Err(refuse(format!("longer than {MAX_GENESIS_BYTES} bytes")));
    }
    let bytes = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
    let genesis = Genesis::from_bytes(&bytes).map_err(|error| refuse(error.to_string()))?;
    genesis.check().map_err(|error| refuse(error.to_string()))?;
    Ok(genesis)
}

fn open_store(dir: &Path, genesis: &Genesis, genesis_path: &Path) -> Result<Store, NodeError> {
    let store = match Store::open(dir) {
        Ok(store) => store,
        Err(StoreError::NotFound(_)) => {
            let start = apply::start(genesis).map_err(|error| NodeError::Genesis {
                path: genesis_path.to_owned(),
                cause: error.to_string(),
            })?;
            Store::create(dir, genesis, &start)?
        }
        Err(error) => return Err(error.into()),
    };
    let (found, expected) = (store.head().chain, genesis.chain());
    if found == expected {
        Ok(store)
    } else {
        Err(NodeError::OtherChain { dir: dir.to_owned(), found, expected })
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
