//! A simulated validator's disk, and the ledger on it: the real rules over a store in memory.
//!
//! What is in a [`Disk`] survives a crash. A block enters it whole or not at all; a body from the moment that the
//! write of its file has ended. Between, a crash may keep or lose it, and the scheduler tosses the coin. What it
//! remembers of votes is [`Memory`].
//!
//! [`Disk`]'s functions are what `custos-node` does with the same rules (`node/src/ledger.rs`), without
//! its threads. Deliberately absent: RocksDB; its faults are provoked in real processes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use custos_consensus::{AllowedPeer, BuildRequest, Head, LedgerFault, StoredBody, Verdict};
use custos_engine::DecidedBlock;
use custos_proof::cbor::Wire as _;
use custos_proof::certificate::Certificate;
use custos_proof::hash::{BlockId, Digest, ItemHash, KeyId, StateKey, SubmissionId, TrailKey, sha256};
use custos_proof::header::{Block, body_root};
use custos_proof::ids::{Height, LogIndex, ParticipantId, Random16, TimeMs};
use custos_proof::keys::{KeyPurpose, PublicKey};
use custos_proof::record::{Entry, Record};
use custos_proof::registry::{self, DuePlace};
use custos_proof::state_map::{NibblePath, Page};
use custos_proof::submission::{Author, Submission, Verified};
use custos_state::apply::{self, Limits, Proposal, Start};
use custos_state::changes::Changes;
use custos_state::error::ApplyError;
use custos_state::memory::MemoryStore;
use custos_state::view::{self, View, ViewError};

use crate::byzantine::Twist;
use crate::memory::Memory;
use crate::plant::Plant;

/// What survives a crash.
pub(crate) struct Disk {
    pub(crate) store: MemoryStore,
    decided: Vec<DecidedBlock>,
    submissions: BTreeMap<SubmissionId, Height>,
    participants: BTreeSet<ParticipantId>,
    keys: BTreeMap<ParticipantId, BTreeSet<KeyId>>,
    pub(crate) bodies: BTreeMap<(Height, BlockId), StoredBody>,
    pub(crate) memory: Memory,
    plant: Option<Plant>,
    /// Trails as they were before their last growth; for [`Plant::TrailOmitted`] only.
    before: BTreeMap<StateKey, Vec<u8>>,
    frontiers_before: BTreeMap<TrailKey, Vec<Digest>>,
}

/// A block that was executed on the head.
pub(crate) struct Executed {
    block_id: BlockId,
    body: Digest,
    pub(crate) changes: Changes,
}

/// Blocks executed on this head; lost with the process.
#[derive(Default)]
pub(crate) struct Scratch(VecDeque<Executed>);

/// As many as a node keeps.
const MAX_EXECUTED: usize = 8;

/// Signature checks of submissions that were made before in this simulation: one check is a pure function.
#[derive(Default)]
pub(crate) struct Verifications {
    verified: BTreeMap<(Digest, PublicKey), Option<Arc<Verified>>>,
    strict: BTreeMap<(Digest, PublicKey), bool>,
}

impl Verifications {
    pub(crate) fn verify(&mut self, submission: Submission, key: PublicKey) -> Option<Arc<Verified>> {
        let name = (sha256(submission.bytes()), key);
        let checked = self.verified.entry(name);
        checked.or_insert_with(|| submission.verify(&key).ok().map(Arc::new)).clone()
    }

    /// What the first node asks besides.
    pub(crate) fn is_strict(&mut self, submission: &Submission, key: PublicKey) -> bool {
        let checked = self.strict.entry((sha256(submission.bytes()), key));
        *checked.or_insert_with(|| custos_state::admission::first_node(submission, &key).is_ok())
    }
}

impl Disk {
    pub(crate) fn new(start: &Start, plant: Option<Plant>) -> Self {
        let mut keys: BTreeMap<ParticipantId, BTreeSet<KeyId>> = BTreeMap::new();
        for (owner, key) in &start.keys {
            keys.entry(owner.clone()).or_default().insert(*key);
        }
        Self {
            store: MemoryStore::new(start),
            decided: Vec::new(),
            submissions: BTreeMap::new(),
            participants: start.participants.iter().cloned().collect(),
            keys,
            bodies: BTreeMap::new(),
            memory: Memory::default(),
            plant,
            before: BTreeMap::new(),
            frontiers_before: BTreeMap::new(),
        }
    }

    pub(crate) fn height(&self) -> Height {
        Height(u64::try_from(self.decided.len()).unwrap_or(u64::MAX))
    }

    pub(crate) fn view(&self) -> Seen<'_> {
        Seen { disk: self, lies: false }
    }

    pub(crate) fn recorded(&self, id: &SubmissionId) -> Option<Height> {
        match self.plant {
            Some(Plant::DedupOff) => None,
            _ => self.submissions.get(id).copied(),
        }
    }

    /// Where the ledger stands, as consensus wants to know it.
    pub(crate) fn head(&self) -> Result<Head, LedgerFault> {
        let head = self.store.head().map_err(fault)?;
        Ok(Head {
            chain: head.chain,
            height: head.height,
            block_id: head.block_id,
            time: head.time,
            next_due: self.store.next_due().map_err(fault)?,
            validators: head.next_validators.clone(),
            peers: self.allowed_peers(&head)?,
        })
    }

    /// Participants that are not suspended, or are validators, with a live transport key.
    fn allowed_peers(&self, head: &view::Head) -> Result<Vec<AllowedPeer>, LedgerFault> {
        let mut peers = Vec::new();
        for id in &self.participants {
            let entry = self.store.participant(id).map_err(fault)?;
            let suspended = entry.is_some_and(|participant| participant.suspended.is_some());
            let validates = head.next_validators.as_slice().iter().any(|v| v.participant == *id);
            if suspended && !validates {
                continue;
            }
            for key in self.keys.get(id).into_iter().flatten() {
                let Some(entry) = self.store.key(key).map_err(fault)? else { continue };
                let lives = entry.revoked.is_none() && entry.not_after >= head.time;
                if entry.purpose == KeyPurpose::Transport && lives {
                    peers.push(AllowedPeer { participant: id.clone(), transport: entry.key });
                }
            }
        }
        Ok(peers)
    }

    pub(crate) fn build(
        &self,
        scratch: &mut Scratch,
        request: &BuildRequest,
        submissions: Vec<Verified>,
        twist: Option<Twist>,
    ) -> Result<(Block, Vec<(SubmissionId, custos_state::error::Refusal)>), LedgerFault> {
        let proposal = Proposal {
            height: request.height,
            round: request.round,
            time: request.time,
            proposer: request.proposer.clone(),
        };
        let view = Seen { disk: self, lies: twist == Some(Twist::Verdict) };
        let honest = twist == Some(Twist::Verdict);
        let honest = honest.then(|| apply::build(&self.view(), &proposal, submissions.clone(), &LIMITS));
        let built = apply::build(&view, &proposal, submissions, &LIMITS)
            .map_err(|error| LedgerFault(error.to_string()))?;
        let (mut block, mut changes) = (built.block, built.changes);
        let same = honest.is_some_and(|honest| honest.is_ok_and(|honest| honest.block == block));
        match twist {
            Some(Twist::Root) => block.header.state_root.0[0] ^= 1,
            Some(Twist::Verdict) if same => block.header.log_root.0[0] ^= 1,
            Some(Twist::Twice) => {
                let again = block.body.first().cloned();
                block.body.extend(again);
                let ids: Vec<SubmissionId> = block
                    .body
                    .iter()
                    .filter_map(|bytes| Submission::decode(bytes).ok())
                    .map(|submission| submission.id())
                    .collect();
                block.header.body_root = body_root(&ids);
            }
            Some(Twist::Verdict) | None => {}
        }
        if block.header != changes.header {
            take_header(&mut changes, &block);
        }
        scratch.keep(Executed { block_id: changes.block_id, body: body_hash(&block), changes });
        Ok((block, built.refused))
    }

    pub(crate) fn check(
        &self,
        scratch: &mut Scratch,
        verifications: &mut Verifications,
        block: &Block,
    ) -> Result<Verdict, LedgerFault> {
        if scratch.position(&block.header.block_id(), &body_hash(block)).is_some() {
            return Ok(Verdict::Valid);
        }
        match self.execute(verifications, block)? {
            Ok(executed) => {
                scratch.keep(executed);
                Ok(Verdict::Valid)
            }
            Err(verdict) => Ok(verdict),
        }
    }

    fn execute(
        &self,
        verifications: &mut Verifications,
        block: &Block,
    ) -> Result<Result<Executed, Verdict>, LedgerFault> {
        let mut submissions = Vec::with_capacity(block.body.len());
        for (position, bytes) in block.body.iter().enumerate() {
            match Submission::decode(bytes) {
                Ok(submission) => submissions.push(submission),
                Err(error) => return Ok(Err(Verdict::WrongBody(format!("submission {position}: {error}")))),
            }
        }
        let ids: Vec<SubmissionId> = submissions.iter().map(Submission::id).collect();
        if body_root(&ids) != block.header.body_root {
            return Ok(Err(Verdict::WrongBody("the submissions are not those of the body_root".into())));
        }
        let view = self.view();
        let mut verified = Vec::with_capacity(submissions.len());
        for submission in submissions {
            let id = submission.envelope().key_id();
            let Some(entry) = view.key(&id).map_err(fault)? else {
                return Ok(Err(Verdict::Invalid(format!("key {id} is not in the registry"))));
            };
            match verifications.verify(submission, entry.key) {
                Some(submission) => verified.push(Verified::clone(&submission)),
                None => return Ok(Err(Verdict::WrongBody("a signature does not verify".into()))),
            }
        }
        match apply::check(&view, block, &verified) {
            Ok(changes) => Ok(Ok(Executed { block_id: changes.block_id, body: body_hash(block), changes })),
            Err(ApplyError::Invalid(_)) if self.plant == Some(Plant::RootNotCompared) => {
                self.believe(block, verified)
            }
            Err(ApplyError::Invalid(reason)) => Ok(Err(Verdict::Invalid(reason))),
            Err(error @ (ApplyError::UnknownVersion { .. } | ApplyError::View(_))) => {
                Err(LedgerFault(error.to_string()))
            }
        }
    }

    /// The planted fault: what was computed is not compared with what the header says.
    fn believe(
        &self,
        block: &Block,
        verified: Vec<Verified>,
    ) -> Result<Result<Executed, Verdict>, LedgerFault> {
        let header = &block.header;
        let proposal = Proposal {
            height: header.height,
            round: header.round,
            time: header.time,
            proposer: header.proposer.clone(),
        };
        let count = verified.len();
        match apply::build(&self.view(), &proposal, verified, &LIMITS) {
            Ok(built) if built.block.body.len() == count => {
                let mut changes = built.changes;
                take_header(&mut changes, block);
                Ok(Ok(Executed { block_id: changes.block_id, body: body_hash(block), changes }))
            }
            Ok(_) => Ok(Err(Verdict::Invalid("a submission is inadmissible".into()))),
            Err(error) => Ok(Err(Verdict::Invalid(error.to_string()))),
        }
    }

    /// What a decided block changes; nothing if it is the head already.
    pub(crate) fn prepare(
        &self,
        scratch: &mut Scratch,
        verifications: &mut Verifications,
        block: &Block,
    ) -> Result<Option<Changes>, LedgerFault> {
        let block_id = block.header.block_id();
        if self.store.head().map_err(fault)?.block_id == block_id {
            return Ok(None);
        }
        if let Some(executed) = scratch.take(&block_id, &body_hash(block)) {
            return Ok(Some(executed.changes));
        }
        match self.execute(verifications, block)? {
            Ok(executed) => Ok(Some(executed.changes)),
            Err(verdict) => Err(LedgerFault(format!(
                "the decided block {block_id} at height {} does not execute here: {verdict:?}",
                block.header.height
            ))),
        }
    }

    /// The one synced batch.
    pub(crate) fn commit(
        &mut self,
        changes: &Changes,
        block: &Block,
        certificate: Certificate,
    ) -> Result<(), LedgerFault> {
        let validators = self.store.head().map_err(fault)?.next_validators.clone();
        if self.plant == Some(Plant::TrailOmitted) {
            self.remember_trails(changes)?;
        }
        self.store.commit(changes).map_err(fault)?;
        let height = changes.header.height;
        self.submissions.extend(changes.submissions.iter().map(|submission| (submission.id, height)));
        self.participants.extend(changes.participants.iter().cloned());
        for (owner, key) in &changes.keys {
            self.keys.entry(owner.clone()).or_default().insert(*key);
        }
        self.decided.push(DecidedBlock { block: block.to_bytes(), certificate, validators });
        Ok(())
    }

    /// This ledger as it was at an earlier height, or a copy of it from then: its blocks, executed again.
    pub(crate) fn ledger_at(
        &self,
        start: &Start,
        height: Height,
        verifications: &mut Verifications,
    ) -> Result<Self, LedgerFault> {
        let mut ledger = Self::new(start, self.plant);
        for decided in self.decided.iter().take(usize::try_from(height.0).unwrap_or(usize::MAX)) {
            let block = Block::from_bytes(&decided.block).map_err(fault)?;
            if let Some(changes) = ledger.prepare(&mut Scratch::default(), verifications, &block)? {
                ledger.commit(&changes, &block, decided.certificate.clone())?;
            }
        }
        Ok(ledger)
    }

    /// Has another ledger from now on; what lies beside it stays.
    pub(crate) fn replace_ledger(&mut self, ledger: Self) {
        let (bodies, memory) = (std::mem::take(&mut self.bodies), std::mem::take(&mut self.memory));
        *self = Self { bodies, memory, ..ledger };
    }

    fn remember_trails(&mut self, changes: &Changes) -> Result<(), LedgerFault> {
        for (trail, _) in &changes.trail_frontiers {
            let key = registry::trail_key(trail);
            if let Some(before) = self.store.entry(&key).map_err(fault)? {
                self.before.insert(key, before);
                let frontier = self.store.trail_frontier(trail).map_err(fault)?;
                self.frontiers_before.insert(*trail, frontier);
            }
        }
        Ok(())
    }

    /// How many facts fell due.
    pub(crate) fn facts(&self) -> u64 {
        let records = self.store.records().iter().filter(|new| {
            Record::from_bytes(&new.bytes).is_ok_and(|record| matches!(record.entry, Entry::Due(_)))
        });
        u64::try_from(records.count()).unwrap_or(u64::MAX)
    }

    pub(crate) fn decided(&self, height: Height) -> Option<&DecidedBlock> {
        self.decided.get(usize::try_from(height.0.checked_sub(1)?).ok()?)
    }
}

/// The header that a block states instead of the one that was computed.
fn take_header(changes: &mut Changes, block: &Block) {
    changes.header = block.header.clone();
    changes.block_id = block.header.block_id();
    changes.head.block_id = changes.block_id;
}

impl Scratch {
    fn keep(&mut self, executed: Executed) {
        self.0.retain(|kept| (kept.block_id, kept.body) != (executed.block_id, executed.body));
        self.0.push_back(executed);
        while self.0.len() > MAX_EXECUTED {
            self.0.pop_front();
        }
    }

    fn position(&self, block_id: &BlockId, body: &Digest) -> Option<usize> {
        self.0.iter().position(|kept| kept.block_id == *block_id && kept.body == *body)
    }

    fn take(&mut self, block_id: &BlockId, body: &Digest) -> Option<Executed> {
        self.position(block_id, body).and_then(|at| self.0.remove(at))
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

const LIMITS: Limits = Limits { max_bytes: 512 * 1024, max_submissions: 256 };

/// The state as a node sees it: true, unless a fault is planted or the node lies.
pub(crate) struct Seen<'a> {
    disk: &'a Disk,
    /// What a proposer with wrong verdicts believes: that no event was stated before, and no trail opened.
    lies: bool,
}

impl View for Seen<'_> {
    fn head(&self) -> Result<Arc<view::Head>, ViewError> {
        self.disk.store.head()
    }
    fn entry(&self, key: &StateKey) -> Result<Option<Vec<u8>>, ViewError> {
        match (self.disk.plant, self.disk.before.get(key)) {
            (Some(Plant::TrailOmitted), Some(before)) => Ok(Some(before.clone())),
            _ => self.disk.store.entry(key),
        }
    }
    fn page(&self, path: &NibblePath) -> Result<Option<Page>, ViewError> {
        self.disk.store.page(path)
    }
    fn trail_frontier(&self, trail: &TrailKey) -> Result<Vec<Digest>, ViewError> {
        match (self.disk.plant, self.disk.frontiers_before.get(trail)) {
            (Some(Plant::TrailOmitted), Some(before)) => Ok(before.clone()),
            _ => self.disk.store.trail_frontier(trail),
        }
    }
    fn has_nonce(&self, author: &Author, bucket: u64, nonce: &Random16) -> Result<bool, ViewError> {
        match self.disk.plant {
            Some(Plant::DedupOff) => Ok(false),
            _ => self.disk.store.has_nonce(author, bucket, nonce),
        }
    }
    fn nonce_buckets_before(&self, bucket: u64) -> Result<Vec<(Author, u64)>, ViewError> {
        self.disk.store.nonce_buckets_before(bucket)
    }
    fn event(&self, author: &Author, event: &Random16) -> Result<Option<(LogIndex, ItemHash)>, ViewError> {
        if self.lies { Ok(None) } else { self.disk.store.event(author, event) }
    }
    fn block_time(&self, height: Height) -> Result<Option<TimeMs>, ViewError> {
        match self.lies {
            true => {
                Ok(self.disk.store.block_time(height)?.map(|time| TimeMs(time.0.saturating_sub(7_200_000))))
            }
            false => self.disk.store.block_time(height),
        }
    }
    fn due_until(&self, time: TimeMs, limit: usize) -> Result<Vec<DuePlace>, ViewError> {
        self.disk.store.due_until(time, limit)
    }
    fn next_due(&self) -> Result<Option<TimeMs>, ViewError> {
        self.disk.store.next_due()
    }
}

/// The hash of the body's bytes, each with its length: the block id does not cover signatures.
fn body_hash(block: &Block) -> Digest {
    let mut bytes = Vec::with_capacity(block.body.len() * 40);
    for submission in &block.body {
        bytes.extend_from_slice(&u64::try_from(submission.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(&sha256(submission).0);
    }
    sha256(&bytes)
}

fn fault(error: impl std::fmt::Display) -> LedgerFault {
    LedgerFault(error.to_string())
}
