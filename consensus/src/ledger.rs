//! What consensus asks of the ledger: build a block, check a block, keep a decided one.
//!
//! The node implements [`Ledger`] over its state and store. Consensus calls it on one dedicated
//! blocking thread, one call at a time, never from an async task; an implementation may therefore
//! block on a disk, and needs no locking of its own for what only consensus touches.
//!
//! Deliberately absent: clocks and proposers. Whether a block's *time* agrees with this node's
//! clock, and whether its proposer had the turn, is judged by [`crate::host`], because those two
//! rules hold for live proposals only and never for blocks that a quorum has already decided.

use custos_proof::certificate::{Certificate, ValidatorSet};
use custos_proof::hash::{BlockId, ChainId};
use custos_proof::header::Block;
use custos_proof::ids::{Height, ParticipantId, Round, TimeMs};
use custos_proof::keys::PublicKey;
use thiserror::Error;

/// The ledger under consensus.
///
/// # Correctness
/// [`Ledger::check`] and [`Ledger::commit`] MUST be deterministic in the block and the head: four
/// nodes that disagree on a verdict are four nodes that stop.
pub trait Ledger: Send + 'static {
    /// The last committed block and what follows from it. Cheap; called at start and after commits.
    fn head(&self) -> Head;

    /// Whether a submission waits to be put into a block. Asked when
    /// [`crate::ConsensusHandle::wake`] is called and before a height is held. Facts that fall due are
    /// no answer of this: [`Head::next_due`] says when.
    fn has_work(&self) -> bool;

    /// Builds and executes a block on the head. The block MUST carry the request's height, round,
    /// time and proposer, and its wire form MUST NOT exceed `max_bytes`. An empty body is a valid
    /// answer: consensus asks only when a block is due. What `apply` refuses is left out.
    ///
    /// The result of the execution is kept by block id until the height is committed, so that
    /// committing it does not execute again.
    ///
    /// # Errors
    /// [`LedgerFault`] only when this node cannot go on; consensus then stops and says so.
    fn build(&mut self, request: BuildRequest) -> Result<Block, LedgerFault>;

    /// Executes a block on the head and compares every recomputed field of the header. Does not
    /// judge time against a clock, nor the proposer's turn. Keeps the result of the execution by
    /// block id (a few of them: bounded), as [`Ledger::build`] does.
    ///
    /// # Errors
    /// [`LedgerFault`] only when this node cannot go on. A bad block is a verdict, not a fault.
    fn check(&mut self, block: &Block) -> Result<Verdict, LedgerFault>;

    /// Commits a decided block with its certificate, in one synced batch, and returns the new head.
    /// MUST work for a block that this process has never checked (after a restart): it then
    /// executes first. Committing the block that is already the head again MUST return the head
    /// and change nothing.
    ///
    /// # Errors
    /// [`LedgerFault`] when the block cannot be committed. The node then stops: a decided block
    /// that cannot be kept leaves nothing else to do.
    fn commit(&mut self, block: &Block, certificate: &Certificate) -> Result<Head, LedgerFault>;

    /// A decided block with what a peer needs to verify it, or nothing if it is not kept here.
    ///
    /// # Errors
    /// [`LedgerFault`] when the store cannot be read.
    fn decided(&self, height: Height) -> Result<Option<Decided>, LedgerFault>;

    /// The lowest height that [`Ledger::decided`] can answer for; [`Height`] 1 when nothing was pruned.
    fn earliest(&self) -> Height;
}

/// Where the ledger stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The chain.
    pub chain: ChainId,
    /// The height of the last committed block; 0 is the genesis.
    pub height: Height,
    /// The id of that block; at height 0 the genesis.
    pub block_id: BlockId,
    /// The time of that block; at height 0 the genesis time.
    pub time: TimeMs,
    /// When the ledger has something to say by itself: the earliest deadline of what falls due, if anything does.
    pub next_due: Option<TimeMs>,
    /// The validators that decide height + 1.
    pub validators: ValidatorSet,
    /// Who may connect: every participant with a transport key in the registry at this head. MUST
    /// include the members of [`Head::validators`].
    pub peers: Vec<AllowedPeer>,
}

/// A participant whose node may connect to ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedPeer {
    /// Who.
    pub participant: ParticipantId,
    /// The key its node proves possession of when a connection is made.
    pub transport: PublicKey,
}

/// What a block that is to be built must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildRequest {
    /// The block's height: the head's plus one.
    pub height: Height,
    /// The round in which it is built.
    pub round: Round,
    /// The block's time, strictly after the head's.
    pub time: TimeMs,
    /// The participant that goes into the header: this node's.
    pub proposer: ParticipantId,
    /// The most bytes of the block's wire form.
    pub max_bytes: usize,
}

/// What executing a proposed block showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every recomputed field equals the header's.
    Valid,
    /// The header commits to something that execution does not confirm, or to inadmissible content.
    /// A proposer that sends this is wrong, whoever relays it.
    Invalid(String),
    /// The *bytes* are not what the header commits to: another body root, or submission bytes that
    /// the submission ids do not cover (a signature, an unprotected byte) and that do not verify.
    /// The same block id may well be good with other bytes, so the body is dropped and the sender
    /// charged; nobody votes against the id because of it.
    WrongBody(String),
}

/// A decided block as it is served to a peer that catches up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The block's wire form, byte for byte.
    pub block: Vec<u8>,
    /// The certificate that was stored with it.
    pub certificate: Certificate,
    /// The set that decided it (the header's `validators_hash`), to which the certificate's signer
    /// positions refer.
    pub validators: ValidatorSet,
}

/// The ledger cannot go on: a disk, a corrupt store, a bug. Consensus stops and shows the text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct LedgerFault(pub String);
