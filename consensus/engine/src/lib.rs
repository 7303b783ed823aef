//! The only crate that names the Malachite engine.
//!
//! It gives the engine its types, codec, signing scheme and network, starts it, and shows what it
//! wants as [`EngineEvent`]s: plain types with a [`Reply`] each. Nothing generic and nothing of the
//! engine's leaves this crate, so that the engine is compiled once and not again whenever the host
//! above changes.
//!
//! The engine's network actor is replaced by our own (`mesh`), because the engine's admits
//! strangers until they identify themselves; ours stands on a swarm that admits nobody it does not
//! know. See `docs/adr/0007-network.md`.
//!
//! Deliberately absent: every decision. When to propose, what is valid, when to go on: the host's.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod codec;
mod context;
pub mod core;
#[doc(hidden)]
pub mod fuzz;
mod mesh;
mod signing;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_malachitebft_app_channel::app::config::{ConsensusConfig, NodeConfig, ValuePayload, ValueSyncConfig};
use arc_malachitebft_app_channel::app::engine::host::{HeightParams, Next, SyncedValueOutcome};
use arc_malachitebft_app_channel::app::engine::util::events::Event as Trace;
use arc_malachitebft_app_channel::app::types::core::{
    CommitCertificate, ExtendedCommitCertificate, ExtendedCommitSignature, LinearTimeouts, NilOrVal, Round,
    Validity, VoteType,
};
use arc_malachitebft_app_channel::app::types::sync::RawDecidedValue;
use arc_malachitebft_app_channel::app::types::{LocallyProposedValue, MisbehaviorEvidence, ProposedValue};
use arc_malachitebft_app_channel::{
    AppMsg, Channels, ConsensusContext, EngineBuilder, EngineHandle, RequestContext, SyncContext, WalContext,
};
use bytes::Bytes;
use bytesize::ByteSize;
use custos_network::{
    Frame, Inbound, MAX_PART_BYTES, MAX_RESPONSE_BYTES, MAX_VOTE_BYTES, Network, PeerKey, SyncEvent,
};
use custos_proof::cbor::List;
use custos_proof::certificate::{Certificate, CommitSignature, ValidatorSet};
use custos_proof::hash::{BlockId, ChainId};
use custos_proof::header::MAX_BLOCK_BYTES;
use custos_proof::ids::{Height, Round as RoundNumber};
use custos_proof::keys::{PublicKey, Signature, Signer};
use ractor::Actor;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{error, warn};

pub use context::{Part, select_proposer};
pub use signing::{Checked, proposal_preimage};

use codec::Wire;
use context::{Address, Custos, Validators, Value};
use mesh::{Arguments, MeshActor};
use signing::{Verifier, VoteSigner};

/// The piece of a block in one part.
pub const PART_BYTES: usize = 512 * 1024;

/// Decided blocks in one answer to a peer that catches up.
pub const MAX_SYNC_BATCH: usize = 16;

/// The certified block id in front of a synced block's bytes.
pub(crate) const BLOCK_ID_BYTES: usize = 32;

// A part or certificate that is larger than a frame is never sent and never heard of again; a block
// larger than a response can be decided and never synced. Neither may compile.
const _: () = assert!(PART_BYTES + codec::PART_OVERHEAD_BYTES < MAX_PART_BYTES);
const _: () = assert!(codec::certificate_bytes() < MAX_VOTE_BYTES);
const _: () = assert!(codec::response_bytes(MAX_BLOCK_BYTES) < MAX_RESPONSE_BYTES);
const _: () = assert!(MAX_BLOCK_BYTES < u32::MAX as usize);

/// How many events may wait for the host.
const EVENTS_WAITING: usize = 64;

/// How long the engine's supervisor may take to end after its actors have, before we conclude that
/// it deliberately stays.
const SUPERVISOR_GRACE: Duration = Duration::from_secs(3);

/// How long a shutdown may take before it is forced.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// How many parts a block of so many bytes has.
#[must_use]
pub fn part_count(total_bytes: u32) -> u32 {
    total_bytes.div_ceil(u32::try_from(PART_BYTES).unwrap_or(u32::MAX))
}

/// What the engine must know.
pub struct EngineConfig {
    /// A name for logs and metrics, unique in the process.
    pub name: String,
    /// The chain; part of everything signed.
    pub chain: ChainId,
    /// The engine's write-ahead log.
    pub wal: PathBuf,
    /// Signs votes and proposals; without it the engine follows and never votes.
    pub signer: Option<Arc<dyn Signer>>,
    /// The largest block this node accepts.
    pub max_block_bytes: usize,
    /// Answers of signature checks, shared with the host.
    pub checked: Checked,
}

/// The classes of frames that the engine reads.
#[derive(Debug)]
pub struct EngineInbound {
    /// Votes, proposals, certificates, status.
    pub votes: mpsc::Receiver<Frame>,
    /// Parts of blocks.
    pub parts: mpsc::Receiver<Frame>,
    /// Requests and responses.
    pub sync: mpsc::Receiver<SyncEvent>,
}

impl EngineInbound {
    /// Takes the engine's share of what the network receives; the submissions remain.
    #[must_use]
    pub fn split(inbound: Inbound) -> (Self, mpsc::Receiver<Frame>) {
        let Inbound { votes, parts, submissions, sync } = inbound;
        (Self { votes, parts, sync }, submissions)
    }
}

/// Why the engine could not be started.
#[derive(Debug, Error)]
pub enum EngineError {
    /// A size in the configuration cannot work.
    #[error("blocks of {configured} bytes: the protocol allows {MAX_BLOCK_BYTES} at most and 1024 at least")]
    BlockBytes {
        /// As configured.
        configured: usize,
    },
    /// The engine's actors did not start.
    #[error("the consensus engine did not start: {0}; is another process using its write-ahead log?")]
    Start(String),
}

/// The running engine.
pub struct Engine {
    /// What it wants, one thing at a time.
    pub events: mpsc::Receiver<EngineEvent>,
    /// What peers are seen to do: pacing and lag.
    pub signs: watch::Receiver<Signs>,
    /// Set once the engine is no longer running.
    pub stopped: watch::Receiver<Option<Stopped>>,
    /// Engine events that were lost because nobody read them in time.
    pub lost: watch::Receiver<u64>,
    network: Network,
    supervisor: arc_malachitebft_app_channel::app::engine::node::NodeRef,
    ending: watch::Sender<bool>,
    monitor: JoinHandle<()>,
}

/// What is known about others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signs {
    /// The highest height for which a current validator has sent a signed vote or proposal.
    pub voted: Height,
    /// The last committed height that each connected peer claims.
    pub tips: BTreeMap<PeerKey, Height>,
}

/// Why the engine is no longer running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    /// It was asked to.
    Shutdown,
    /// An actor failed; a restart is safe.
    Failed(String),
    /// It refuses to go on because it might sign twice. A restart may not be safe.
    SafetyHang(String),
}

/// What the engine wants of the host. Every [`Reply`] MUST be used, promptly unless it says otherwise.
#[derive(Debug)]
pub enum EngineEvent {
    /// The engine is ready; the reply starts the first height. May be answered late.
    Ready {
        /// The height to start with.
        reply: Reply<StartHeight>,
    },
    /// A round began; the reply names the bodies for this height that the host holds.
    StartedRound {
        /// The height.
        height: Height,
        /// The round.
        round: RoundNumber,
        /// What is known.
        reply: Reply<Vec<Proposed>>,
    },
    /// It is our turn: propose a block. While this waits the engine hands over nothing else.
    BuildValue {
        /// The height.
        height: Height,
        /// The round.
        round: RoundNumber,
        /// When the others stop waiting.
        timeout: Duration,
        /// The block's id, after its body is durable and its parts are on their way.
        reply: Reply<BlockId>,
    },
    /// A part arrived.
    Part {
        /// Who sent it.
        from: PeerKey,
        /// The part.
        part: Part,
        /// The block, once whole, durable and judged; otherwise nothing.
        reply: Reply<Option<Proposed>>,
    },
    /// Send the parts of a known block again.
    Restream {
        /// The height.
        height: Height,
        /// The round in which they are sent.
        round: RoundNumber,
        /// The block.
        block_id: BlockId,
    },
    /// A quorum decided. The reply says that the block is committed.
    Decided {
        /// The precommits.
        certificate: Certificate,
        /// Sent when committed.
        reply: Reply<()>,
    },
    /// The height is over. The reply starts the next one, whenever the host sees fit.
    Finalized {
        /// The height that is over.
        height: Height,
        /// Validators that signed two different things, verified.
        evidence: Vec<Evidence>,
        /// The next height.
        reply: Reply<StartHeight>,
    },
    /// A peer wants decided blocks; the range is as the peer sent it.
    DecidedRange {
        /// Heights, at most [`MAX_SYNC_BATCH`] of which can be answered.
        heights: RangeInclusive<Height>,
        /// The blocks from the start of the range, without gaps.
        reply: Reply<Vec<DecidedBlock>>,
    },
    /// Which height is the first that can be served?
    Earliest {
        /// That height.
        reply: Reply<Height>,
    },
    /// A peer sent a decided block; its certificate is verified, its bytes are not.
    Synced {
        /// The height.
        height: Height,
        /// The round of the certificate.
        round: RoundNumber,
        /// What the certificate certifies.
        block_id: BlockId,
        /// What the peer says are the block's bytes.
        bytes: Bytes,
        /// What became of it.
        reply: Reply<SyncOutcome>,
    },
}

/// The height to start, and who decides it.
#[derive(Debug, Clone)]
pub struct StartHeight {
    /// The height.
    pub height: Height,
    /// Its validators.
    pub validators: ValidatorSet,
    /// How long to wait.
    pub timeouts: EngineTimeouts,
}

/// How long the engine waits in each step; every round adds `delta` to the first three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineTimeouts {
    /// For a proposal.
    pub propose: Duration,
    /// For more prevotes.
    pub prevote: Duration,
    /// For more precommits.
    pub precommit: Duration,
    /// Per round.
    pub delta: Duration,
    /// Before sending votes again.
    pub rebroadcast: Duration,
}

/// A body that the host holds, and what it thinks of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proposed {
    /// The height.
    pub height: Height,
    /// The round in which it was built.
    pub round: RoundNumber,
    /// Who built it.
    pub proposer: PublicKey,
    /// The block.
    pub block_id: BlockId,
    /// Whether this node may vote for it.
    pub valid: bool,
}

/// What became of a synced block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncOutcome {
    /// It is what the certificate says, and durable.
    Good(Proposed),
    /// The bytes are not what the certificate says.
    PeerFault,
    /// This node could not tell; nobody is to blame.
    Unclear,
}

/// A decided block for a peer that catches up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidedBlock {
    /// The block's wire form.
    pub block: Vec<u8>,
    /// Its certificate.
    pub certificate: Certificate,
    /// The set that the certificate's signers refer to.
    pub validators: ValidatorSet,
}

/// Two messages of one validator that cannot both be honest, each with a valid signature, in the
/// order of their preimages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Who signed both.
    pub validator: PublicKey,
    /// The height of both.
    pub height: Height,
    /// The round of both.
    pub round: RoundNumber,
    /// What both are.
    pub kind: EvidenceKind,
    /// One.
    pub first: SignedChoice,
    /// The other.
    pub second: SignedChoice,
}

/// What a validator signed twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EvidenceKind {
    /// Two prevotes.
    Prevote,
    /// Two precommits.
    Precommit,
    /// Two proposals.
    Proposal,
}

/// One of the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedChoice {
    /// The block, or none for a vote for nil.
    pub block: Option<BlockId>,
    /// The round of the proof of lock; proposals only.
    pub pol_round: Option<RoundNumber>,
    /// The signature.
    pub signature: Signature,
}

/// Where an answer goes. Dropping it unused leaves the engine waiting.
pub struct Reply<T>(Box<dyn FnOnce(T) + Send>);

impl<T> Reply<T> {
    /// A reply that calls `answer`; for the engine's side and for tests and simulators.
    pub fn new(answer: impl FnOnce(T) + Send + 'static) -> Self {
        Self(Box::new(answer))
    }

    /// Answers.
    pub fn send(self, answer: T) {
        (self.0)(answer);
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply")
    }
}

/// Starts the engine on the current tokio runtime.
///
/// # Errors
/// [`EngineError`] when a size cannot work or an actor does not come up.
pub async fn start(
    config: EngineConfig,
    network: Network,
    inbound: EngineInbound,
) -> Result<Engine, EngineError> {
    if !(1024..=MAX_BLOCK_BYTES).contains(&config.max_block_bytes) {
        return Err(EngineError::BlockBytes { configured: config.max_block_bytes });
    }
    let failed = |reason: String| EngineError::Start(reason);
    let verifier = Verifier { chain: config.chain, checked: config.checked };
    let (signs, signs_seen) = watch::channel(Signs::default());
    let (actor_stopped, actor_has_stopped) = oneshot::channel();
    let (ending, is_ending) = watch::channel(false);
    let arguments = Arguments {
        network: network.clone(),
        inbound,
        verifier: verifier.clone(),
        signs,
        ending: is_ending.clone(),
        stopped: actor_stopped,
    };
    let (mesh, _) = Actor::spawn(None, MeshActor, arguments).await.map_err(|e| failed(e.to_string()))?;
    // The engine offers to forward parts to its network; the host sends them itself.
    let (parts_by_engine, _) = mpsc::channel(1);

    let consensus = match config.signer {
        Some(signer) => ConsensusContext::new_validator(
            Address(signer.public_key()),
            Box::new(verifier.clone()),
            Box::new(VoteSigner { chain: config.chain, signer }),
        ),
        None => ConsensusContext::new_full_node(Address(PublicKey([0; 32])), Box::new(verifier.clone())),
    };
    let built = EngineBuilder::new(Custos, Settings::new(config.name))
        .with_default_wal(WalContext::new(config.wal, Wire))
        .with_custom_network(mesh, parts_by_engine)
        .with_default_sync(SyncContext::new(Wire))
        .with_default_consensus(consensus)
        .with_default_request(RequestContext::new(1))
        .build()
        .await;
    let (channels, EngineHandle { actor: supervisor, handle }) = built.map_err(|e| failed(e.to_string()))?;

    let (events, events_out) = mpsc::channel(EVENTS_WAITING);
    let (stopped, has_stopped) = watch::channel(None);
    let (lost, lost_seen) = watch::channel(0);
    let trouble = Arc::new(Mutex::new(None));
    tokio::spawn(watch_trouble(channels.events.subscribe(), Arc::clone(&trouble), lost));
    tokio::spawn(translate(channels, verifier, events));
    let monitor = tokio::spawn(monitor(actor_has_stopped, handle, is_ending, trouble, stopped));
    Ok(Engine {
        events: events_out,
        signs: signs_seen,
        stopped: has_stopped,
        lost: lost_seen,
        network,
        supervisor,
        ending,
        monitor,
    })
}

impl Engine {
    /// Sends a part of a block to every peer.
    pub fn publish(&self, part: &Part) {
        self.network.broadcast(custos_network::Channel::Parts, &codec::Message::to_bytes(part));
    }

    /// Stops all actors and waits for them. Nothing is signed afterwards.
    pub async fn shutdown(self) {
        self.stop();
        let mut monitor = self.monitor;
        if timeout(SHUTDOWN_TIMEOUT, &mut monitor).await.is_err() {
            self.supervisor.kill();
            monitor.abort();
        }
    }

    /// Stops all actors, without waiting.
    pub fn stop(&self) {
        self.ending.send_replace(true);
        self.supervisor.get_cell().stop_children(Some("shutdown".into()));
        self.supervisor.stop(Some("shutdown".into()));
    }
}

/// What the builder reads. The engine's own peer-to-peer section stays unused.
struct Settings {
    name: String,
    consensus: ConsensusConfig,
    sync: ValueSyncConfig,
}

impl Settings {
    fn new(name: String) -> Self {
        let consensus = ConsensusConfig {
            enabled: true,
            value_payload: ValuePayload::ProposalAndParts,
            ..Default::default()
        };
        let sync = ValueSyncConfig {
            enabled: true,
            status_update_interval: Duration::from_secs(1),
            request_timeout: Duration::from_secs(10),
            max_response_size: ByteSize(u64::try_from(MAX_RESPONSE_BYTES).unwrap_or(u64::MAX)),
            batch_size: MAX_SYNC_BATCH,
            ..Default::default()
        };
        Self { name, consensus, sync }
    }
}

impl NodeConfig for Settings {
    fn moniker(&self) -> &str {
        &self.name
    }
    fn consensus(&self) -> &ConsensusConfig {
        &self.consensus
    }
    fn consensus_mut(&mut self) -> &mut ConsensusConfig {
        &mut self.consensus
    }
    fn value_sync(&self) -> &ValueSyncConfig {
        &self.sync
    }
    fn value_sync_mut(&mut self) -> &mut ValueSyncConfig {
        &mut self.sync
    }
}

/// Remembers what the engine says about its log, and counts what it said too fast.
async fn watch_trouble(
    mut events: arc_malachitebft_app_channel::app::events::RxEvent<Custos>,
    trouble: Arc<Mutex<Option<String>>>,
    lost: watch::Sender<u64>,
) {
    use tokio::sync::broadcast::error::RecvError;
    loop {
        let what = match events.recv().await {
            Ok(Trace::WalCorrupted(e)) => format!("the write-ahead log is corrupt: {e}"),
            Ok(Trace::WalReplayError(e)) => format!("the write-ahead log does not replay: {e}"),
            Ok(Trace::WalResetError(e)) => format!("the write-ahead log could not be opened: {e}"),
            Ok(_) => continue,
            Err(RecvError::Lagged(count)) => {
                lost.send_modify(|lost| *lost += count);
                continue;
            }
            Err(RecvError::Closed) => return,
        };
        error!(what, "the engine is in trouble");
        *trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(what);
    }
}

/// Tells a crash from a safety hang. In both the supervisor stops our network actor; after a crash
/// it then ends itself, in a safety hang it deliberately stays.
async fn monitor(
    actor: oneshot::Receiver<()>,
    mut supervisor: JoinHandle<()>,
    ending: watch::Receiver<bool>,
    trouble: Arc<Mutex<Option<String>>>,
    stopped: watch::Sender<Option<Stopped>>,
) {
    let ended = tokio::select! {
        _ = actor => timeout(SUPERVISOR_GRACE, &mut supervisor).await.is_ok(),
        _ = &mut supervisor => true,
    };
    let trouble = trouble.lock().unwrap_or_else(PoisonError::into_inner).take();
    let why = match (*ending.borrow(), ended) {
        (true, _) => Stopped::Shutdown,
        (false, true) => {
            Stopped::Failed(trouble.unwrap_or_else(|| "an actor failed; its log lines say why".into()))
        }
        (false, false) => Stopped::SafetyHang(trouble.unwrap_or_else(|| {
            "the write-ahead log could not be written or flushed; its log lines say why".into()
        })),
    };
    if why != Stopped::Shutdown {
        error!(?why, "the consensus engine stopped");
    }
    stopped.send_replace(Some(why));
}

/// The validators of the height that the engine was last told to start.
type Started = Arc<Mutex<Option<ValidatorSet>>>;

/// Turns the engine's messages into events until either side is gone.
async fn translate(mut channels: Channels<Custos>, verifier: Verifier, events: mpsc::Sender<EngineEvent>) {
    let started: Started = Arc::default();
    while let Some(message) = channels.consensus.recv().await {
        let Some(event) = event(message, &verifier, &started) else { continue };
        if events.send(event).await.is_err() {
            return;
        }
    }
}

fn event(message: AppMsg<Custos>, verifier: &Verifier, started: &Started) -> Option<EngineEvent> {
    let validators = || started.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Some(match message {
        AppMsg::ConsensusReady { reply } => {
            let started = Arc::clone(started);
            EngineEvent::Ready {
                reply: Reply::new(move |start| {
                    let _ = reply.send(parameters(start, &started));
                }),
            }
        }
        AppMsg::StartedRound { height, round, reply_value, .. } => EngineEvent::StartedRound {
            height: Height(height.0),
            round: number(round),
            reply: Reply::new(move |held: Vec<Proposed>| {
                let _ = reply_value.send(held.into_iter().map(proposed).collect());
            }),
        },
        AppMsg::GetValue { height, round, timeout, reply } => EngineEvent::BuildValue {
            height: Height(height.0),
            round: number(round),
            timeout,
            reply: Reply::new(move |block| {
                let _ = reply.send(LocallyProposedValue::new(height, round, Value(block)));
            }),
        },
        AppMsg::ReceivedProposalPart { from, part, reply, .. } => {
            // Only what our own network actor made arrives here; a stranger's peer id cannot.
            let (Some(from), Some(part)) = (codec::peer_key(&from), part.content.into_data()) else {
                let _ = reply.send(None);
                return None;
            };
            EngineEvent::Part {
                from: PeerKey(from),
                part,
                reply: Reply::new(move |whole: Option<Proposed>| {
                    let _ = reply.send(whole.map(proposed));
                }),
            }
        }
        AppMsg::RestreamProposal { height, round, value_id, .. } => {
            EngineEvent::Restream { height: Height(height.0), round: number(round), block_id: value_id.0 }
        }
        AppMsg::Decided { certificate, reply, .. } => EngineEvent::Decided {
            certificate: commit_certificate(&certificate, validators().as_ref())?,
            reply: Reply::new(move |()| {
                let _ = reply.send(());
            }),
        },
        AppMsg::Finalized { certificate, evidence, reply, .. } => {
            let started = Arc::clone(started);
            EngineEvent::Finalized {
                height: Height(certificate.height.0),
                evidence: verified_evidence(&evidence, verifier, validators().as_ref()),
                reply: Reply::new(move |start| {
                    let (height, params) = parameters(start, &started);
                    let _ = reply.send(Next::Start(height, params));
                }),
            }
        }
        AppMsg::GetDecidedValues { range, reply } => EngineEvent::DecidedRange {
            heights: Height(range.start().0)..=Height(range.end().0),
            reply: Reply::new(move |blocks: Vec<DecidedBlock>| {
                let _ = reply.send(blocks.iter().map_while(raw_decided).collect());
            }),
        },
        AppMsg::GetHistoryMinHeight { reply } => EngineEvent::Earliest {
            reply: Reply::new(move |height: Height| {
                let _ = reply.send(context::Height(height.0));
            }),
        },
        AppMsg::ProcessSyncedValue { height, round, value_bytes, reply, .. } => {
            let Some(id) = value_bytes.first_chunk::<BLOCK_ID_BYTES>().copied() else {
                let _ = reply.send(SyncedValueOutcome::PeerFault);
                return None;
            };
            EngineEvent::Synced {
                height: Height(height.0),
                round: number(round),
                block_id: BlockId(id),
                bytes: value_bytes.slice(BLOCK_ID_BYTES..),
                reply: Reply::new(move |outcome| {
                    let _ = reply.send(match outcome {
                        SyncOutcome::Good(whole) => {
                            // The engine decides at the certificate's round, not at the round of building.
                            SyncedValueOutcome::Verdict(ProposedValue { round, ..proposed(whole) })
                        }
                        SyncOutcome::PeerFault => SyncedValueOutcome::PeerFault,
                        SyncOutcome::Unclear => SyncedValueOutcome::LocalTransientError,
                    });
                }),
            }
        }
        // Vote extensions are disabled at every height; asked nevertheless, we have none.
        AppMsg::ExtendVote { reply, .. } => {
            let _ = reply.send(None);
            return None;
        }
        AppMsg::VerifyVoteExtensions { reply, .. } => {
            let _ = reply.send(Vec::new());
            return None;
        }
    })
}

fn parameters(start: StartHeight, started: &Started) -> (context::Height, HeightParams<Custos>) {
    let StartHeight { height, validators, timeouts } = start;
    *started.lock().unwrap_or_else(PoisonError::into_inner) = Some(validators.clone());
    (context::Height(height.0), HeightParams::new(Validators::new(validators), linear(timeouts), None))
}

fn linear(timeouts: EngineTimeouts) -> LinearTimeouts {
    LinearTimeouts {
        propose: timeouts.propose,
        propose_delta: timeouts.delta,
        prevote: timeouts.prevote,
        prevote_delta: timeouts.delta,
        precommit: timeouts.precommit,
        precommit_delta: timeouts.delta,
        rebroadcast: timeouts.rebroadcast,
        ..Default::default()
    }
}

fn number(round: Round) -> RoundNumber {
    RoundNumber(round.as_u32().unwrap_or_default())
}

fn proposed(whole: Proposed) -> ProposedValue<Custos> {
    ProposedValue {
        height: context::Height(whole.height.0),
        round: Round::new(whole.round.0),
        valid_round: Round::Nil,
        proposer: Address(whole.proposer),
        value: Value(whole.block_id),
        validity: Validity::from_bool(whole.valid),
    }
}

/// The certificate in the ledger's form: signers by position, ascending.
fn commit_certificate(
    certificate: &CommitCertificate<Custos>,
    set: Option<&ValidatorSet>,
) -> Option<Certificate> {
    let position =
        |address: &Address| set?.by_key(&address.0).and_then(|(position, _)| u16::try_from(position).ok());
    let mut signatures = Vec::with_capacity(certificate.commit_signatures.len());
    for entry in &certificate.commit_signatures {
        match position(&entry.address) {
            Some(signer) => signatures.push(CommitSignature { signer, signature: entry.signature }),
            None => {
                warn!(signer = %entry.address, "a commit signature by somebody outside the set was left out")
            }
        }
    }
    signatures.sort_by_key(|entry| entry.signer);
    signatures.dedup_by_key(|entry| entry.signer);
    Some(Certificate {
        height: Height(certificate.height.0),
        round: number(certificate.round),
        block_id: certificate.value_id.0,
        signatures: List::new(signatures)?,
    })
}

/// The engine's form again, for a peer. Nothing if a signer is not in the set.
fn raw_decided(decided: &DecidedBlock) -> Option<RawDecidedValue<Custos>> {
    let signature = |entry: &CommitSignature| {
        let signer = decided.validators.as_slice().get(usize::from(entry.signer))?;
        Some(ExtendedCommitSignature::new(Address(signer.key), entry.signature, None))
    };
    let certificate = ExtendedCommitCertificate {
        height: context::Height(decided.certificate.height.0),
        round: Round::new(decided.certificate.round.0),
        value_id: Value(decided.certificate.block_id),
        commit_signatures: decided.certificate.signatures.iter().map(signature).collect::<Option<_>>()?,
    };
    Some(RawDecidedValue::new(
        codec::with_block_id(decided.certificate.block_id, &decided.block),
        certificate,
    ))
}

/// The pairs that anyone can verify: one validator of the set, one height, round and kind, two
/// different messages, two valid signatures.
fn verified_evidence(
    evidence: &MisbehaviorEvidence<Custos>,
    verifier: &Verifier,
    set: Option<&ValidatorSet>,
) -> Vec<Evidence> {
    let member = |key: &PublicKey| set.is_some_and(|set| set.by_key(key).is_some());
    let mut found = Vec::new();
    for (a, b) in evidence.votes.iter().flat_map(|(_, pairs)| pairs) {
        let same = (a.height, a.round, a.kind, a.address) == (b.height, b.round, b.kind, b.address);
        let genuine = |vote: &arc_malachitebft_app_channel::app::types::core::SignedVote<Custos>| {
            verifier.vote(&vote.message, &vote.signature, &vote.address.0)
        };
        if !(same && a.value != b.value && member(&a.address.0) && genuine(a) && genuine(b)) {
            continue;
        }
        let choice =
            |vote: &arc_malachitebft_app_channel::app::types::core::SignedVote<Custos>| SignedChoice {
                block: match vote.value {
                    NilOrVal::Nil => None,
                    NilOrVal::Val(value) => Some(value.0),
                },
                pol_round: None,
                signature: vote.signature,
            };
        let preimages = [signing::vote_bytes(&verifier.chain, a), signing::vote_bytes(&verifier.chain, b)];
        let kind = match a.kind {
            VoteType::Prevote => EvidenceKind::Prevote,
            VoteType::Precommit => EvidenceKind::Precommit,
        };
        found.push(pair(a.address.0, a.height, a.round, kind, preimages, [choice(a), choice(b)]));
    }
    for (a, b) in evidence.proposals.iter().flat_map(|(_, pairs)| pairs) {
        let same = (a.height, a.round, a.address) == (b.height, b.round, b.address);
        let genuine = |p: &arc_malachitebft_app_channel::app::types::core::SignedProposal<Custos>| {
            verifier.proposal(&p.message, &p.signature, &p.address.0)
        };
        if !(same && a.message != b.message && member(&a.address.0) && genuine(a) && genuine(b)) {
            continue;
        }
        let choice =
            |p: &arc_malachitebft_app_channel::app::types::core::SignedProposal<Custos>| SignedChoice {
                block: Some(p.value.0),
                pol_round: p.pol_round.as_u32().map(RoundNumber),
                signature: p.signature,
            };
        let preimages =
            [signing::proposal_bytes(&verifier.chain, a), signing::proposal_bytes(&verifier.chain, b)];
        found.push(pair(
            a.address.0,
            a.height,
            a.round,
            EvidenceKind::Proposal,
            preimages,
            [choice(a), choice(b)],
        ));
    }
    found
}

fn pair(
    validator: PublicKey,
    height: context::Height,
    round: Round,
    kind: EvidenceKind,
    preimages: [Option<Vec<u8>>; 2],
    choices: [SignedChoice; 2],
) -> Evidence {
    let [a, b] = choices;
    let (first, second) = if preimages[0] <= preimages[1] { (a, b) } else { (b, a) };
    Evidence { validator, height: Height(height.0), round: number(round), kind, first, second }
}
