//! The ledger under consensus: store, state rules and mempool behind the one trait it knows.
//!
//! Every block is executed once per node: what `build` or `check` computed is kept with block id *and*
//! the body's bytes, and committed as it is. Bytes matter, because the block id does not
//! cover signatures: the same id with other bytes is another body, and is judged anew.
//!
//! # Correctness
//! `check` verifies with the key that the registry at the head names and leaves every other question
//! to `apply::check`. Asking `admission` here too would make two rules of one: a submission that
//! becomes admissible within the block would be accepted by the builder and refused by followers.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use custos_consensus::{AllowedPeer, BuildRequest, Decided, Head, Ledger, LedgerFault, Verdict};
use custos_proof::cbor::Wire as _;
use custos_proof::certificate::Certificate;
use custos_proof::hash::{BlockId, SubmissionId};
use custos_proof::header::{Block, PROTOCOL_VERSION, body_root};
use custos_proof::ids::{Height, TimeMs};
use custos_proof::keys::KeyPurpose;
use custos_proof::kinds::Class;
use custos_proof::registry::{self, KeyEntry, Participant, Protocol};
use custos_proof::submission::{Author, Submission, Verified};
use custos_state::apply::{self, Limits, Proposal};
use custos_state::changes::Changes;
use custos_state::error::{ApplyError, Refusal, RefusalCode};
use custos_state::view::View as _;
use custos_store::{Snapshot, StoreError};
use tracing::{info, warn};

use crate::chain::{Candidate, Chain};
use crate::metrics::Metrics;
use crate::room::Room;

/// How many executed blocks are kept until their height is decided.
const MAX_EXECUTED: usize = 8;
/// Of how many blocks the signatures are remembered after they were recorded.
const BLOCKS_REMEMBERED: usize = 3;
/// What a block's wire form may need besides its submissions.
const HEADER_BYTES: usize = 4096;
/// What is wrong with a body that belongs to another header.
const OTHER_BODY: &str = "the submissions are not those of the header's body_root";
/// What each submission's length takes up in the wire form.
const LENGTH_BYTES: usize = 5;

/// The node's part of consensus.
#[derive(Debug)]
pub struct NodeLedger {
    chain: Arc<Chain>,
    executed: VecDeque<Executed>,
    peers: Vec<(AllowedPeer, TimeMs)>,
    /// The earliest deadline of what falls due by itself, at the head.
    next_due: Option<TimeMs>,
    room: Room,
    /// Met when serving: see [`Ledger::earliest`].
    whole_from: AtomicU64,
    metrics: Metrics,
    /// The submissions of the last blocks, whose signatures are still remembered.
    recorded: VecDeque<Vec<Arc<Verified>>>,
}

/// A block that was executed on the head.
#[derive(Debug)]
struct Executed {
    block_id: BlockId,
    /// Its body: submissions that others hold too.
    submissions: Vec<Arc<Verified>>,
    changes: Changes,
    /// Authors of acts in it: what they have waiting may no longer be admissible.
    acted: BTreeSet<Author>,
}

impl Executed {
    /// Whether this is what `block` does: its header and, to the byte, its body.
    fn is_of(&self, block_id: &BlockId, block: &Block) -> bool {
        let bytes = self.submissions.iter().map(|submission| submission.bytes());
        self.block_id == *block_id && bytes.eq(block.body.iter().map(Vec::as_slice))
    }
}

/// How executing a block went.
enum Execution {
    Done(Box<Executed>),
    Refused(Verdict),
}

/// A submission of a block that is being executed.
enum Taken {
    /// This node took it in before and found its signature to be good.
    Before(Arc<Verified>),
    /// It came with the block.
    Now(Box<Submission>),
}

impl Taken {
    fn submission(&self) -> &Submission {
        match self {
            Taken::Before(verified) => verified,
            Taken::Now(submission) => submission,
        }
    }
}

impl NodeLedger {
    /// The ledger over a chain.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn new(chain: Arc<Chain>, metrics: Metrics) -> Result<Self, StoreError> {
        let (peers, next_due) = {
            let snapshot = chain.store().snapshot()?;
            (allowed_peers(&snapshot)?, next_due(&snapshot)?)
        };
        let room = Room::new(Limits::default().max_bytes);
        let (executed, recorded) = (VecDeque::new(), VecDeque::new());
        let whole_from = AtomicU64::new(1);
        Ok(Self { chain, executed, peers, next_due, room, whole_from, metrics, recorded })
    }

    /// Decodes, verifies and applies a block.
    fn execute(&self, block: &Block) -> Result<Execution, LedgerFault> {
        let wrong_body = |reason: String| Ok(Execution::Refused(Verdict::WrongBody(reason)));
        let invalid = |reason: String| Ok(Execution::Refused(Verdict::Invalid(reason)));
        // What was taken in before is neither taken apart nor checked again.
        let mut submissions: Vec<Taken> = Vec::with_capacity(block.body.len());
        let known = self.chain.verifier().known(block.body.iter().map(Vec::as_slice));
        for (position, (bytes, known)) in block.body.iter().zip(known).enumerate() {
            submissions.push(match known {
                Some(verified) => Taken::Before(verified),
                None => match Submission::decode(bytes) {
                    Ok(submission) => Taken::Now(Box::new(submission)),
                    Err(error) => return wrong_body(format!("submission {position}: {error}")),
                },
            });
        }
        let ids: Vec<SubmissionId> = submissions.iter().map(|taken| taken.submission().id()).collect();
        let other_body = || body_root(&ids) != block.header.body_root;
        // Before anything is checked for it; where nothing is left to check, executing it asks the same.
        if submissions.iter().any(|taken| matches!(taken, Taken::Now(_))) && other_body() {
            return wrong_body(OTHER_BODY.into());
        }
        let acted = acted(submissions.iter().map(Taken::submission));
        let snapshot = self.chain.store().snapshot().map_err(fault)?;
        let (mut candidates, mut places) = (Vec::new(), Vec::new());
        let mut verified: Vec<Option<Arc<Verified>>> = Vec::with_capacity(submissions.len());
        for taken in submissions {
            let submission = match taken {
                Taken::Before(known) => {
                    verified.push(Some(known));
                    continue;
                }
                Taken::Now(submission) => *submission,
            };
            let id = submission.envelope().key_id();
            let Some(entry) = key_entry(&snapshot, &id).map_err(fault)? else {
                return invalid(format!("submission {}: key {id} is not in the registry", submission.id()));
            };
            places.push(verified.len());
            verified.push(None);
            candidates.push(Candidate::relayed(submission, entry.key));
        }
        for (place, result) in places.into_iter().zip(self.chain.verifier().verify(candidates)) {
            match result {
                Ok(submission) => verified[place] = Some(submission),
                Err(refusal) => return wrong_body(refusal.to_string()),
            }
        }
        let submissions: Vec<Arc<Verified>> = verified.into_iter().flatten().collect();
        match apply::check_shared(&snapshot, block, &submissions) {
            Ok(changes) => Ok(Execution::Done(Box::new(Executed {
                block_id: changes.block_id,
                submissions,
                changes,
                acted,
            }))),
            Err(ApplyError::Invalid(_)) if other_body() => wrong_body(OTHER_BODY.into()),
            Err(ApplyError::Invalid(reason)) => invalid(reason),
            Err(error @ ApplyError::UnknownVersion { .. }) => Err(LedgerFault(error.to_string())),
            Err(ApplyError::View(error)) => Err(fault(error)),
        }
    }

    fn keep(&mut self, executed: Executed) {
        self.executed.push_back(executed);
        while self.executed.len() > MAX_EXECUTED {
            self.executed.pop_front();
        }
    }

    /// Lets the verifier forget what was recorded, some blocks later: until then the intake may be looking at a
    /// head from before, and would check a submission again that a peer passed on late.
    fn forget_later(&mut self, recorded: Vec<Arc<Verified>>) {
        self.recorded.push_back(recorded);
        while self.recorded.len() > BLOCKS_REMEMBERED {
            let Some(oldest) = self.recorded.pop_front() else { break };
            self.chain.verifier().forget(&oldest);
        }
    }

    fn position(&self, block: &Block) -> Option<usize> {
        let block_id = block.header.block_id();
        self.executed.iter().position(|kept| kept.is_of(&block_id, block))
    }

    /// What has to be done once a block is on disk.
    fn after_commit(&mut self, executed: Executed) -> Result<(), LedgerFault> {
        let Executed { changes, mut acted, .. } = executed;
        self.room.decided(changes.head.height, changes.block_id, Limits::default().max_bytes);
        let ids: Vec<SubmissionId> = changes.submissions.iter().map(|submission| submission.id).collect();
        self.chain.recorded(&ids);
        let expired = self.chain.mempool().expire(changes.head.time, |not_after| {
            Refusal::new(RefusalCode::Expired, format!("expired at {not_after} before a block recorded it"))
        });
        for (id, refusal) in &expired {
            self.chain.tell_rejected(id, refusal);
        }
        self.chain.tell_committed(changes.head.height.0, &ids);
        let touched = changes.participants.iter().chain(changes.keys.iter().map(|(owner, _)| owner));
        acted.extend(touched.map(|id| Author::Participant(id.clone())));
        self.chain.recheck(acted);
        if !changes.dues.is_empty() {
            self.next_due = next_due(&self.chain.store().snapshot().map_err(fault)?).map_err(fault)?;
        }
        let validators_change = changes.header.validators_hash != changes.header.next_validators_hash;
        if validators_change || !changes.participants.is_empty() || !changes.keys.is_empty() {
            self.peers = allowed_peers(&self.chain.store().snapshot().map_err(fault)?).map_err(fault)?;
        }
        if changes.entries.iter().any(|(key, _)| *key == registry::protocol_key()) {
            self.tell_upgrade(&changes);
        }
        self.metrics.committed(changes.records.len(), ids.len());
        info!(
            height = changes.head.height.0,
            round = changes.header.round.0,
            submissions = ids.len(),
            records = changes.records.len(),
            proposer = %changes.header.proposer,
            "committed"
        );
        Ok(())
    }
}

impl NodeLedger {
    /// Says what version begins when, while there is time to install it.
    fn tell_upgrade(&self, changes: &Changes) {
        let entry = changes.entries.iter().find(|(key, _)| *key == registry::protocol_key());
        let protocol = entry.and_then(|(_, value)| Protocol::from_bytes(value.as_deref()?).ok());
        match protocol.and_then(|protocol| protocol.upgrade) {
            Some(upgrade) if upgrade.version != PROTOCOL_VERSION => warn!(
                version = upgrade.version,
                height = upgrade.height.0,
                known = PROTOCOL_VERSION,
                "the validators agreed on a protocol version that this program lacks: it stops before that height; \
                 install a program that has it"
            ),
            Some(upgrade) => {
                info!(version = upgrade.version, height = upgrade.height.0, "a protocol version begins")
            }
            None => info!("no protocol version is to come"),
        }
    }
}

impl Ledger for NodeLedger {
    fn head(&self) -> Head {
        let head = self.chain.store().head();
        let peers = self
            .peers
            .iter()
            .filter(|(_, not_after)| *not_after >= head.time)
            .map(|(peer, _)| peer.clone())
            .collect();
        Head {
            chain: head.chain,
            height: head.height,
            block_id: head.block_id,
            time: head.time,
            next_due: self.next_due,
            validators: head.next_validators.clone(),
            peers,
        }
    }

    fn has_work(&self) -> bool {
        !self.chain.mempool().is_empty()
    }

    fn build(&mut self, request: BuildRequest) -> Result<Block, LedgerFault> {
        let default = Limits::default();
        let most = request.max_bytes.saturating_sub(HEADER_BYTES).min(default.max_bytes);
        let room = self.room.at(request.height, most);
        let reaped = self.chain.mempool().reap(room.saturating_sub(room / 64), default.max_submissions);
        // A single submission goes in when there is less room than it needs.
        let first = reaped.first().map_or(0, |submission| submission.bytes().len() + LENGTH_BYTES);
        let is_bounded = first <= room;
        let room = room.max(first).min(most);
        // What each submission's length needs is a fixed sum; leave out what would burst the block by it.
        let mut left = room;
        let submissions: Vec<Arc<Verified>> = reaped
            .into_iter()
            .take_while(|submission| {
                let size = submission.bytes().len() + LENGTH_BYTES;
                let fits = size <= left;
                left = left.saturating_sub(size);
                fits
            })
            .collect();
        let proposal = Proposal {
            height: request.height,
            round: request.round,
            time: request.time,
            proposer: request.proposer,
        };
        let limits = Limits { max_bytes: room, ..default };
        let snapshot = self.chain.store().snapshot().map_err(fault)?;
        let acted = acted(submissions.iter().map(|submission| &***submission));
        let offered = submissions.clone();
        let built = apply::build_shared(&snapshot, &proposal, submissions, &limits)
            .map_err(|error| LedgerFault(error.to_string()))?;
        for (id, refusal) in &built.refused {
            // It was recorded while the intake was about to queue it.
            if snapshot.submission(id).map_err(fault)?.is_some() {
                self.chain.mempool().committed([id]);
                continue;
            }
            // The head's clock may lag behind ours: this one only has to wait.
            if refusal.code == RefusalCode::TooFarAhead {
                continue;
            }
            self.chain.mempool().reject(id, refusal.clone());
            self.chain.tell_rejected(id, refusal);
        }
        drop(snapshot);
        let block = built.block;
        // The body is what was offered without what was refused, in the same order.
        let mut body = block.body.iter().peekable();
        let submissions = offered
            .into_iter()
            .filter(|submission| body.next_if(|bytes| *bytes == submission.bytes()).is_some())
            .collect();
        let block_id = built.changes.block_id;
        // What had to go in whatever the room says nothing about the room.
        if is_bounded {
            self.room.proposed(request.height, block_id);
        }
        if self.position(&block).is_none() {
            self.keep(Executed { block_id, submissions, changes: built.changes, acted });
        }
        Ok(block)
    }

    fn check(&mut self, block: &Block) -> Result<Verdict, LedgerFault> {
        if self.position(block).is_some() {
            return Ok(Verdict::Valid);
        }
        match self.execute(block)? {
            Execution::Done(executed) => {
                self.keep(*executed);
                Ok(Verdict::Valid)
            }
            Execution::Refused(verdict) => {
                warn!(height = block.header.height.0, proposer = %block.header.proposer, ?verdict, "a proposed block is not valid");
                Ok(verdict)
            }
        }
    }

    fn commit(&mut self, block: &Block, certificate: &Certificate) -> Result<Head, LedgerFault> {
        let block_id = block.header.block_id();
        if self.chain.store().head().block_id == block_id {
            return Ok(self.head());
        }
        let mut executed = match self.position(block).and_then(|at| self.executed.remove(at)) {
            Some(executed) => executed,
            None => match self.execute(block)? {
                Execution::Done(executed) => *executed,
                // A quorum decided what this program computes otherwise: a bug here or a broken quorum. Not the
                // sender's fault, and nothing that goes away by asking somebody else.
                Execution::Refused(verdict) => {
                    return Err(LedgerFault(format!(
                        "the decided block {block_id} at height {} does not execute here: {verdict:?}; either this \
                         program has a bug or more than a third of the validators broke the rules; keep the data \
                         directory and compare with other operators",
                        block.header.height
                    )));
                }
            },
        };
        self.chain.store().commit(&executed.changes, certificate).map_err(fault)?;
        self.executed.clear();
        self.forget_later(std::mem::take(&mut executed.submissions));
        self.after_commit(executed)?;
        Ok(self.head())
    }

    fn decided(&self, height: Height) -> Result<Option<Decided>, LedgerFault> {
        let snapshot = self.chain.store().snapshot().map_err(fault)?;
        let block = match snapshot.block(height) {
            Ok(Some(block)) => block,
            Ok(None) => return Ok(None),
            // What was pruned here is served by others; so is an item that a later block repeats.
            Err(StoreError::Pruned(_)) => {
                self.whole_from.fetch_max(height.next().0, Ordering::Relaxed);
                return Ok(None);
            }
            Err(error) => return Err(fault(error)),
        };
        let Some(certificate) = snapshot.certificate(height).map_err(fault)? else { return Ok(None) };
        let validators = snapshot.validators(&block.header.validators_hash).map_err(fault)?;
        Ok(validators.map(|validators| Decided { block: block.to_bytes(), certificate, validators }))
    }

    fn earliest(&self) -> Height {
        let stored = self.chain.store().snapshot().and_then(|snapshot| snapshot.whole_from());
        Height(stored.unwrap_or(Height(1)).0.max(self.whole_from.load(Ordering::Relaxed)))
    }
}

/// Who may connect: participants that are not suspended, or are validators, with a live transport key.
fn allowed_peers(snapshot: &Snapshot<'_>) -> Result<Vec<(AllowedPeer, TimeMs)>, StoreError> {
    let mut peers = Vec::new();
    for id in snapshot.participants()? {
        let (value, _) = snapshot.prove_entry(&registry::participant_key(&id))?;
        let suspended = value
            .and_then(|bytes| Participant::from_bytes(&bytes).ok())
            .is_some_and(|participant| participant.suspended.is_some());
        let validates = snapshot.head().next_validators.as_slice().iter().any(|v| v.participant == id);
        if suspended && !validates {
            continue;
        }
        for key in snapshot.keys(&id)? {
            let Some(entry) = key_entry(snapshot, &key)? else { continue };
            if entry.purpose == KeyPurpose::Transport && entry.revoked.is_none() {
                let peer = AllowedPeer { participant: id.clone(), transport: entry.key };
                peers.push((peer, entry.not_after));
            }
        }
    }
    Ok(peers)
}

/// When the next fact falls due.
fn next_due(snapshot: &Snapshot<'_>) -> Result<Option<TimeMs>, StoreError> {
    snapshot.next_due().map_err(|error| StoreError::Io(error.to_string()))
}

/// A key's entry at the snapshot's head.
pub(crate) fn key_entry(
    snapshot: &Snapshot<'_>,
    id: &custos_proof::hash::KeyId,
) -> Result<Option<Arc<KeyEntry>>, StoreError> {
    snapshot.key(id).map_err(|error| StoreError::Io(format!("the entry of key {id}: {error}")))
}

/// The authors of acts.
fn acted<'a>(submissions: impl Iterator<Item = &'a Submission>) -> BTreeSet<Author> {
    submissions
        .map(Submission::payload)
        .filter(|payload| payload.class == Class::Act)
        .map(|payload| payload.author.clone())
        .collect()
}

fn fault(error: impl std::fmt::Display) -> LedgerFault {
    LedgerFault(error.to_string())
}
