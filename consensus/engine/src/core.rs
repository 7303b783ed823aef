//! The engine's core without its actors: what a simulator drives.
//!
//! A validator runs the engine's actors, which wrap one pure state machine in tasks, timers, files
//! and sockets. [`Core`] is the same state machine with the same types, codec and signatures, and
//! does with its effects what the engine's consensus actor does, in the same order: flush the log
//! before anything signed leaves, hold back what arrives before the first height, replay the log
//! before anything else. What touches the world comes out as [`CoreEffect`]s.
//!
//! ```text
//!   CoreInput --> Core::on --> [CoreEffect]     in order; a crash between two of them loses the rest
//! ```
//!
//! Deliberately absent: time, files, peers, and the engine's sync protocol. Whoever drives this
//! keeps the timers, loses what was not flushed, and hands over decided blocks. A validator never
//! uses this module; [`crate::Engine`] is what it runs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use arc_malachitebft_app_channel::app::config::ConsensusConfig;
use arc_malachitebft_app_channel::app::consensus::{
    self, ConsensusMsg, Effect, Input, LivenessMsg, Params, Resumable as _, Resume, SignedConsensusMsg,
    State, ThresholdParams, ValuePayload,
};
use arc_malachitebft_app_channel::app::engine::wal::{decode_entry, encode_entry};
use arc_malachitebft_app_channel::app::metrics::Metrics;
use arc_malachitebft_app_channel::app::types::LocallyProposedValue;
use arc_malachitebft_app_channel::app::types::core::{
    NilOrVal, Round, SignedMessage, Timeout, TimeoutKind, ValueOrigin, ValueResponse, VoteExtensionPolicy,
    VoteType,
};
use arc_malachitebft_signing::VerifierExt as _;
use bytes::Bytes;
use custos_network::PeerKey;
use custos_proof::certificate::{Certificate, ValidatorSet};
use custos_proof::hash::{BlockId, ChainId};
use custos_proof::ids::{Height, Round as RoundNumber};
use custos_proof::keys::{PublicKey, Signature, Signer};

use crate::codec::{self, Message as _, Wire};
use crate::context::{self, Address, Custos, Proposal, Validators, Value, Vote};
use crate::signing::{self, Checked, Verifier};
use crate::{
    DecidedBlock, Evidence, EvidenceKind, Proposed, StartHeight, commit_certificate, number, proposed,
    raw_decided, verified_evidence,
};

/// What arrives before the first height is kept up to this many; the engine's own bound.
const MAX_WAITING: usize = 1024;

/// What a core must know.
#[derive(Clone)]
pub struct CoreConfig {
    /// The chain; part of everything signed.
    pub chain: ChainId,
    /// Signs votes and proposals; without it the core follows and never votes.
    pub signer: Option<Arc<dyn Signer>>,
    /// What counts as a quorum: more than this share of the power. Anything but 2/3 is a fault that a
    /// simulator plants to see it found.
    pub quorum: (u64, u64),
    /// Answers of signature checks, shared by the cores of one process: a check is a pure function.
    pub checked: Checked,
}

/// What happens to the core.
#[derive(Debug, Clone)]
pub enum CoreInput {
    /// Start a height, with what the log holds for it.
    Start(StartHeight, Vec<Bytes>),
    /// A vote or proposal of a peer.
    Consensus(Bytes),
    /// A vote or certificate that a peer sends again so that nobody is left behind.
    Liveness(Bytes),
    /// A timer ran out.
    Timer(CoreTimer),
    /// The host's block for this height and round.
    Propose(Height, RoundNumber, BlockId),
    /// The host holds a body.
    Body(Proposed),
    /// A peer sent a decided block.
    Decided(PeerKey, DecidedBlock),
    /// The host accepted a decided block; the round is its certificate's.
    Synced(Proposed, RoundNumber),
}

/// What is to be done, in order.
#[derive(Debug, Clone)]
pub enum CoreEffect {
    /// Stop all timers.
    StopTimers,
    /// Stop one timer.
    StopTimer(CoreTimer),
    /// Start, or start anew, a timer.
    StartTimer(CoreTimer, Duration),
    /// Append an entry to the log of this height; it survives a crash only once it is flushed.
    WalAppend(Height, Bytes),
    /// Flush the log.
    WalFlush,
    /// A round began. Nothing else is done before the host has answered which bodies it holds, each
    /// of which comes back as [`CoreInput::Body`].
    StartedRound(Height, RoundNumber),
    /// Ask the host for a block.
    BuildValue(Height, RoundNumber),
    /// Ask the host to send a block's parts again.
    Restream(Height, RoundNumber, BlockId),
    /// Send a signed vote or proposal to every peer.
    Publish(Bytes),
    /// Send something that keeps others going to every peer.
    Encourage(Bytes),
    /// A quorum decided.
    Decided(Certificate),
    /// The height is over.
    Finalized(Height, Vec<Evidence>),
    /// Ask the host about a decided block whose certificate is good.
    Judge {
        /// The height.
        height: Height,
        /// The certificate's round.
        round: RoundNumber,
        /// What the certificate certifies.
        block_id: BlockId,
        /// What the peer says are the block's bytes.
        bytes: Bytes,
    },
    /// A decided block came with a certificate that is not good.
    BadCertificate(Height),
    /// The core cannot go on; a restart is safe.
    Failed(String),
    /// The core refuses to go on, because it might sign twice.
    SafetyHang(String),
}

/// A timer's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CoreTimer {
    /// The round.
    pub round: RoundNumber,
    /// For what.
    pub step: CoreStep,
}

/// What a timer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CoreStep {
    /// A proposal.
    Propose,
    /// More prevotes.
    Prevote,
    /// More precommits.
    Precommit,
    /// Sending again.
    Rebroadcast,
}

/// What a signed message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    /// Who says it.
    pub key: PublicKey,
    /// Of which height.
    pub height: Height,
    /// Of which round.
    pub round: RoundNumber,
    /// Whether it is a vote, and which, or a proposal.
    pub kind: EvidenceKind,
    /// The block, or none for a vote for nil.
    pub block: Option<BlockId>,
    /// The round of the proof of lock; proposals only.
    pub pol_round: Option<RoundNumber>,
    /// The signature.
    pub signature: Signature,
}

/// The machine.
pub struct Core {
    config: CoreConfig,
    address: Address,
    verifier: Verifier,
    metrics: Metrics,
    state: Option<State<Custos>>,
    started: Option<StartHeight>,
    is_validator: bool,
    is_replaying: bool,
    waiting: VecDeque<CoreInput>,
}

impl Core {
    /// A core before its first height.
    #[must_use]
    pub fn new(config: CoreConfig) -> Self {
        let key = config.signer.as_ref().map_or(PublicKey([0; 32]), |signer| signer.public_key());
        Self {
            address: Address(key),
            verifier: Verifier { chain: config.chain, checked: config.checked.clone() },
            config,
            metrics: Metrics::new(),
            state: None,
            started: None,
            is_validator: false,
            is_replaying: false,
            waiting: VecDeque::new(),
        }
    }

    /// Takes an input and says what is to be done about it.
    pub fn on(&mut self, input: CoreInput) -> Vec<CoreEffect> {
        let mut effects = Vec::new();
        match input {
            CoreInput::Start(start, log) => self.start(start, log, &mut effects),
            input if self.state.is_none() => {
                if self.waiting.len() < MAX_WAITING {
                    self.waiting.push_back(input);
                }
            }
            input => self.take(input, &mut effects),
        }
        effects
    }

    /// The height being decided; nothing before the first.
    #[must_use]
    pub fn height(&self) -> Option<Height> {
        self.state.as_ref().map(|state| Height(state.height().0))
    }

    /// The round being decided.
    #[must_use]
    pub fn round(&self) -> RoundNumber {
        self.state.as_ref().map_or(RoundNumber(0), |state| number(state.round()))
    }

    /// The height of a message if a current validator signed it: a sign that others have gone on.
    #[must_use]
    pub fn sign_of_life(&self, message: &Spoken) -> Option<Height> {
        let set = &self.started.as_ref()?.validators;
        set.by_key(&message.key)?;
        let preimage = preimage(&self.config.chain, message);
        self.verifier.checked.check(&message.key, &preimage, &message.signature).then_some(message.height)
    }

    fn start(&mut self, start: StartHeight, log: Vec<Bytes>, effects: &mut Vec<CoreEffect>) {
        let height = context::Height(start.height.0);
        let validators = Validators::new(start.validators.clone());
        self.is_validator = start.validators.by_key(&self.address.0).is_some();
        self.started = Some(start);
        if self.state.is_none() {
            let params = Params {
                address: self.address,
                threshold_params: self.thresholds(),
                value_payload: ValuePayload::ProposalAndParts,
                enabled: true,
            };
            let engine = ConsensusConfig::default();
            let (queue, per_height) = (engine.queue_capacity, engine.queue_per_height_capacity);
            self.state = Some(State::new(Custos, height, validators.clone(), params, queue, per_height));
        }
        let input = Input::StartHeight(height, validators, false, None, VoteExtensionPolicy::default());
        if let Err(error) = self.process(input, effects) {
            return effects.push(CoreEffect::Failed(format!("height {height} did not start: {error}")));
        }
        if self.is_validator && !log.is_empty() {
            self.replay(log, effects);
        }
        for input in std::mem::take(&mut self.waiting) {
            self.take(input, effects);
        }
    }

    /// Feeds back what this validator knew before it stopped; it signs nothing that it did not sign.
    fn replay(&mut self, log: Vec<Bytes>, effects: &mut Vec<CoreEffect>) {
        let mut entries = Vec::with_capacity(log.len());
        for bytes in log {
            match decode_entry::<Custos, _, _>(&Wire, bytes.as_ref()) {
                Ok(entry) => entries.push(entry),
                Err(error) => {
                    return effects
                        .push(CoreEffect::SafetyHang(format!("an entry of the log is damaged: {error}")));
                }
            }
        }
        if let Some(state) = &mut self.state {
            state.record_recovered_own_precommit_extensions(&entries);
            state.index_wal_entries(&entries);
        }
        self.is_replaying = true;
        for entry in entries {
            if let Err(error) = self.process(entry, effects) {
                effects.push(CoreEffect::SafetyHang(format!("the log does not replay: {error}")));
                break;
            }
        }
        self.is_replaying = false;
        if let Some(state) = &mut self.state {
            state.reset_entries_index();
        }
    }

    fn take(&mut self, input: CoreInput, effects: &mut Vec<CoreEffect>) {
        let Some(input) = translate(input) else { return };
        if let Err(error) = self.process(input, effects) {
            effects.push(CoreEffect::Failed(error));
        }
    }

    fn process(&mut self, input: Input<Custos>, effects: &mut Vec<CoreEffect>) -> Result<(), String> {
        let Self { state, metrics, config, verifier, started, is_validator, is_replaying, .. } = self;
        let Some(state) = state.as_mut() else { return Ok(()) };
        let Some(started) = started.as_ref() else { return Ok(()) };
        let logs = *is_validator && !*is_replaying;
        let mut world = World { config, verifier, started, logs, effects };
        let done: Result<(), consensus::Error<Custos>> = consensus::process!(
            input: input,
            state: state,
            metrics: metrics,
            with: effect => world.perform(effect)
        );
        done.map_err(|error| error.to_string())
    }

    fn thresholds(&self) -> ThresholdParams {
        let mut thresholds = ThresholdParams::default();
        (thresholds.quorum.numerator, thresholds.quorum.denominator) = self.config.quorum;
        thresholds
    }
}

fn translate(input: CoreInput) -> Option<Input<Custos>> {
    Some(match input {
        CoreInput::Start(..) => return None,
        CoreInput::Consensus(bytes) => match SignedConsensusMsg::from_bytes(&bytes).ok()? {
            SignedConsensusMsg::Vote(vote) => Input::Vote(vote),
            SignedConsensusMsg::Proposal(proposal) => Input::Proposal(proposal),
        },
        CoreInput::Liveness(bytes) => match LivenessMsg::from_bytes(&bytes).ok()? {
            LivenessMsg::Vote(vote) => Input::Vote(vote),
            LivenessMsg::PolkaCertificate(certificate) => Input::PolkaCertificate(certificate),
            LivenessMsg::SkipRoundCertificate(certificate) => Input::RoundCertificate(certificate),
        },
        CoreInput::Timer(timer) => Input::TimeoutElapsed(timer.into()),
        CoreInput::Propose(height, round, block) => Input::Propose(LocallyProposedValue::new(
            context::Height(height.0),
            Round::new(round.0),
            Value(block),
        )),
        CoreInput::Body(body) => Input::ProposedValue(proposed(body), ValueOrigin::Consensus),
        CoreInput::Decided(peer, decided) => {
            let raw = raw_decided(&decided)?;
            let response = ValueResponse::new(codec::peer_id(peer), raw.value_bytes, raw.certificate);
            Input::SyncValueResponse(response)
        }
        CoreInput::Synced(body, round) => {
            let mut value = proposed(body);
            value.round = Round::new(round.0);
            Input::ProposedValue(value, ValueOrigin::Sync)
        }
    })
}

/// What the core's effects act on.
struct World<'a> {
    config: &'a CoreConfig,
    verifier: &'a Verifier,
    started: &'a StartHeight,
    /// Whether the log is written: not by followers, and not while it is read.
    logs: bool,
    effects: &'a mut Vec<CoreEffect>,
}

impl World<'_> {
    /// Does what the engine's consensus actor does.
    fn perform(&mut self, effect: Effect<Custos>) -> Result<Resume<Custos>, String> {
        Ok(match effect {
            Effect::CancelAllTimeouts(r) => {
                self.effects.push(CoreEffect::StopTimers);
                r.resume_with(())
            }
            Effect::CancelTimeout(timeout, r) => {
                self.effects.extend(CoreTimer::of(timeout).map(CoreEffect::StopTimer));
                r.resume_with(())
            }
            Effect::ScheduleTimeout(timeout, r) => {
                let wait = crate::linear(self.started.timeouts).duration_for(timeout);
                self.effects.extend(CoreTimer::of(timeout).map(|timer| CoreEffect::StartTimer(timer, wait)));
                r.resume_with(())
            }
            Effect::StartRound(height, round, _, _, r) => {
                self.flush();
                self.effects.push(CoreEffect::StartedRound(Height(height.0), number(round)));
                r.resume_with(())
            }
            Effect::SignProposal(proposal, r) => {
                let bytes = signing::proposal_bytes(&self.config.chain, &proposal);
                r.resume_with(SignedMessage::new(proposal, self.sign(bytes)?))
            }
            Effect::SignVote(vote, r) => {
                let bytes = signing::vote_bytes(&self.config.chain, &vote);
                r.resume_with(SignedMessage::new(vote, self.sign(bytes)?))
            }
            Effect::VerifySignature(message, key, r) => {
                let valid = match &message.message {
                    ConsensusMsg::Vote(vote) => self.verifier.vote(vote, &message.signature, &key),
                    ConsensusMsg::Proposal(proposal) => {
                        self.verifier.proposal(proposal, &message.signature, &key)
                    }
                };
                r.resume_with(valid)
            }
            Effect::VerifyCommitCertificate(certificate, set, thresholds, r) => {
                let verify = self.verifier.verify_commit_certificate(&Custos, &certificate, &set, thresholds);
                r.resume_with(now(verify)?)
            }
            Effect::VerifyExtendedCommitCertificate(certificate, set, thresholds, policy, r) => {
                let verify = self.verifier.verify_extended_commit_certificate(
                    &Custos,
                    &certificate,
                    &set,
                    thresholds,
                    policy,
                );
                r.resume_with(now(verify)?)
            }
            Effect::VerifyPolkaCertificate(certificate, set, thresholds, r) => {
                let verify = self.verifier.verify_polka_certificate(&Custos, &certificate, &set, thresholds);
                r.resume_with(now(verify)?)
            }
            Effect::VerifyRoundCertificate(certificate, set, thresholds, r) => {
                let verify = self.verifier.verify_round_certificate(&Custos, &certificate, &set, thresholds);
                r.resume_with(now(verify)?)
            }
            Effect::WalAppend(height, entry, r) => {
                if self.logs {
                    let mut bytes = Vec::new();
                    encode_entry(entry, &Wire, &mut bytes).map_err(|error| error.to_string())?;
                    self.effects.push(CoreEffect::WalAppend(Height(height.0), bytes.into()));
                }
                r.resume_with(())
            }
            Effect::PublishConsensusMsg(message, r) => {
                self.flush();
                self.effects.push(CoreEffect::Publish(message.to_bytes().into()));
                r.resume_with(())
            }
            Effect::PublishLivenessMsg(message, r) => {
                self.effects.push(CoreEffect::Encourage(message.to_bytes().into()));
                r.resume_with(())
            }
            Effect::RepublishVote(vote, r) => {
                self.effects.push(CoreEffect::Encourage(LivenessMsg::Vote(vote).to_bytes().into()));
                r.resume_with(())
            }
            Effect::RepublishRoundCertificate(certificate, r) => {
                let message = LivenessMsg::SkipRoundCertificate(certificate);
                self.effects.push(CoreEffect::Encourage(message.to_bytes().into()));
                r.resume_with(())
            }
            Effect::GetValue(height, round, _, r) => {
                self.effects.push(CoreEffect::BuildValue(Height(height.0), number(round)));
                r.resume_with(())
            }
            Effect::RestreamProposal(height, round, _, _, value, r) => {
                self.effects.push(CoreEffect::Restream(Height(height.0), number(round), value.0));
                r.resume_with(())
            }
            Effect::Decide(certificate, _, r) => {
                self.flush();
                let certificate = commit_certificate(&certificate, Some(&self.started.validators))
                    .ok_or("a certificate with more signers than a set has members")?;
                self.effects.push(CoreEffect::Decided(certificate));
                r.resume_with(())
            }
            Effect::Finalize(certificate, _, evidence, r) => {
                let set = Some(&self.started.validators);
                let evidence = verified_evidence(&evidence, self.verifier, set);
                self.effects.push(CoreEffect::Finalized(Height(certificate.height.0), evidence));
                r.resume_with(())
            }
            Effect::CertVerifiedSyncValue(response, _, r) => {
                let id = response.value_bytes.first_chunk::<{ crate::BLOCK_ID_BYTES }>().copied();
                if let Some(id) = id {
                    self.effects.push(CoreEffect::Judge {
                        height: Height(response.certificate.height.0),
                        round: number(response.certificate.round),
                        block_id: BlockId(id),
                        bytes: response.value_bytes.slice(crate::BLOCK_ID_BYTES..),
                    });
                }
                r.resume_with(())
            }
            Effect::CertRejectedSyncValue(_, height, _, r) => {
                self.effects.push(CoreEffect::BadCertificate(Height(height.0)));
                r.resume_with(())
            }
            // Vote extensions are disabled at every height.
            Effect::ExtendVote(_, _, _, _, r) => r.resume_with(None),
            Effect::VerifyVoteExtension(.., r) => {
                r.resume_with(Err(consensus::VoteExtensionError::InvalidVoteExtension))
            }
        })
    }

    fn flush(&mut self) {
        if self.logs {
            self.effects.push(CoreEffect::WalFlush);
        }
    }

    fn sign(&self, bytes: Option<Vec<u8>>) -> Result<Signature, String> {
        let bytes = bytes.ok_or("a message without a round is never signed")?;
        let signer = self.config.signer.as_ref().ok_or("a follower has nothing to sign with")?;
        signer.sign(&bytes).map_err(|error| error.to_string())
    }
}

/// The answer of a future that never waits.
fn now<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut TaskContext::from_waker(Waker::noop())) {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => Err("a check of signatures waited for something".into()),
    }
}

impl CoreTimer {
    fn of(timeout: Timeout) -> Option<Self> {
        let step = match timeout.kind {
            TimeoutKind::Propose => CoreStep::Propose,
            TimeoutKind::Prevote => CoreStep::Prevote,
            TimeoutKind::Precommit => CoreStep::Precommit,
            TimeoutKind::Rebroadcast => CoreStep::Rebroadcast,
            // Only with a target time, which is never set.
            TimeoutKind::FinalizeHeight(_) => return None,
        };
        Some(Self { round: number(timeout.round), step })
    }
}

impl From<CoreTimer> for Timeout {
    fn from(timer: CoreTimer) -> Self {
        let kind = match timer.step {
            CoreStep::Propose => TimeoutKind::Propose,
            CoreStep::Prevote => TimeoutKind::Prevote,
            CoreStep::Precommit => TimeoutKind::Precommit,
            CoreStep::Rebroadcast => TimeoutKind::Rebroadcast,
        };
        Timeout::new(Round::new(timer.round.0), kind)
    }
}

// ---- what signed messages say ---------------------------------------------------------------------

/// Reads a signed vote or proposal. Its signature is not checked.
#[must_use]
pub fn read_consensus(bytes: &Bytes) -> Option<Spoken> {
    Some(match SignedConsensusMsg::from_bytes(bytes).ok()? {
        SignedConsensusMsg::Vote(vote) => spoken_vote(&vote.message, vote.signature),
        SignedConsensusMsg::Proposal(proposal) => Spoken {
            key: proposal.address.0,
            height: Height(proposal.height.0),
            round: number(proposal.round),
            kind: EvidenceKind::Proposal,
            block: Some(proposal.value.0),
            pol_round: proposal.pol_round.as_u32().map(RoundNumber),
            signature: proposal.signature,
        },
    })
}

/// Reads a vote that is sent again. Nothing for certificates.
#[must_use]
pub fn read_liveness(bytes: &Bytes) -> Option<Spoken> {
    match LivenessMsg::from_bytes(bytes).ok()? {
        LivenessMsg::Vote(vote) => Some(spoken_vote(&vote.message, vote.signature)),
        LivenessMsg::PolkaCertificate(_) | LivenessMsg::SkipRoundCertificate(_) => None,
    }
}

/// Signs whatever is asked: what a faulty validator does. Nothing if the signer does not sign.
#[must_use]
pub fn forge(chain: &ChainId, signer: &dyn Signer, mut says: Spoken) -> Option<(Spoken, Bytes)> {
    says.key = signer.public_key();
    says.signature = signer.sign(&preimage(chain, &says)).ok()?;
    let height = context::Height(says.height.0);
    let (round, address) = (Round::new(says.round.0), Address(says.key));
    let kind = match says.kind {
        EvidenceKind::Prevote => Some(VoteType::Prevote),
        EvidenceKind::Precommit => Some(VoteType::Precommit),
        EvidenceKind::Proposal => None,
    };
    let message = match (kind, says.block) {
        (Some(kind), block) => {
            let value = block.map_or(NilOrVal::Nil, |block| NilOrVal::Val(Value(block)));
            let vote = Vote { height, round, value, kind, address };
            SignedConsensusMsg::Vote(SignedMessage::new(vote, says.signature))
        }
        (None, Some(block)) => {
            let pol_round = says.pol_round.map_or(Round::Nil, |round| Round::new(round.0));
            let proposal = Proposal { height, round, value: Value(block), pol_round, address };
            SignedConsensusMsg::Proposal(SignedMessage::new(proposal, says.signature))
        }
        (None, None) => return None,
    };
    Some((says, message.to_bytes().into()))
}

fn spoken_vote(vote: &Vote, signature: Signature) -> Spoken {
    Spoken {
        key: vote.address.0,
        height: Height(vote.height.0),
        round: number(vote.round),
        kind: match vote.kind {
            VoteType::Prevote => EvidenceKind::Prevote,
            VoteType::Precommit => EvidenceKind::Precommit,
        },
        block: match vote.value {
            NilOrVal::Nil => None,
            NilOrVal::Val(value) => Some(value.0),
        },
        pol_round: None,
        signature,
    }
}

fn preimage(chain: &ChainId, says: &Spoken) -> Vec<u8> {
    use custos_proof::certificate::{VoteType, vote_preimage};
    let vote = |kind| vote_preimage(chain, says.height, says.round, kind, says.block, &says.key);
    match (says.kind, says.block) {
        (EvidenceKind::Prevote, _) => vote(VoteType::Prevote),
        (EvidenceKind::Precommit, _) => vote(VoteType::Precommit),
        (EvidenceKind::Proposal, block) => signing::proposal_preimage(
            chain,
            says.height,
            says.round,
            block.unwrap_or(BlockId([0; 32])),
            says.pol_round,
            &says.key,
        ),
    }
}

/// The set of a started height, for whoever drives a core and has to tell validators from followers.
#[must_use]
pub fn votes_in(start: &StartHeight, key: &PublicKey) -> bool {
    let set: &ValidatorSet = &start.validators;
    set.by_key(key).is_some()
}
