//! The state transition: from a head and a body to a header and its changes.
//!
//! Executed once per node: what is computed before the vote is what is committed at the decision.
//! A proposer [`build`]s and drops what is refused; a follower [`check`]s, and a block that holds
//! anything inadmissible is invalid. Both run the same code in the same order: the block record,
//! expired nonces, the facts that fell due, the submissions.

use std::borrow::Borrow;
use std::sync::Arc;

use custos_proof::cbor::{Set, Wire};
use custos_proof::genesis::{Genesis, GenesisError};
use custos_proof::hash::{Digest, ItemHash, KeyId, StateKey, SubmissionId, TrailKey, sha256};
use custos_proof::header::{Block, Header, MAX_BLOCK_BYTES, MAX_SUBMISSIONS, PROTOCOL_VERSION, body_root};
use custos_proof::ids::{FAR, Height, LogIndex, LogSize, ParticipantId, Random16, Round, TimeMs};
use custos_proof::item::{Item, kind_name};
use custos_proof::keys::{KeyPurpose, key_id};
use custos_proof::kinds::{Class, Kind};
use custos_proof::merkle::Frontier;
use custos_proof::record::{DueEntry, Entry, ItemEntry, Record};
use custos_proof::registry::{self, DuePlace, KeyEntry, Protocol};
use custos_proof::state_map::{NibblePath, Page};
use custos_proof::submission::{Author, Submission, Verified};
use thiserror::Error;

use crate::changes::{Changes, NewSubmission, Placed};
use crate::error::{AdmitError, ApplyError, Refusal, RefusalCode};
use crate::overlay::{Overlay, update_map};
use crate::rules::{self, Outcome, Saying};
use crate::view::{Head, View, ViewError};

/// Nonces are kept in buckets of ten minutes of expiry.
pub const NONCE_BUCKET_MS: u64 = 600_000;

/// The most chain-made facts of one block; what is left over is recorded by the next.
pub const MAX_DUE_PER_BLOCK: usize = 256;

/// What a proposer decides besides the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The block's height: the head's next.
    pub height: Height,
    /// The round in which it is built.
    pub round: Round,
    /// The block's time; strictly after the head's.
    pub time: TimeMs,
    /// Who builds it.
    pub proposer: ParticipantId,
}

/// How large a block may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of submissions.
    pub max_bytes: usize,
    /// The most submissions.
    pub max_submissions: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: MAX_BLOCK_BYTES - 64 * 1024, max_submissions: MAX_SUBMISSIONS }
    }
}

/// A block with what it changes and what was left out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The block.
    pub block: Block,
    /// What it changes.
    pub changes: Changes,
    /// Submissions that were refused, and why.
    pub refused: Vec<(SubmissionId, Refusal)>,
}

/// The state at height 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Where the chain begins.
    pub head: Head,
    /// The genesis' time: the block time of height 0.
    pub time: TimeMs,
    /// Entries of the state map, ascending by key.
    pub entries: Vec<(StateKey, Vec<u8>)>,
    /// Pages of the state map.
    pub pages: Vec<(NibblePath, Page)>,
    /// The participants.
    pub participants: Vec<ParticipantId>,
    /// The keys, with their owners.
    pub keys: Vec<(ParticipantId, KeyId)>,
}

/// Why a chain cannot start.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StartError {
    /// The genesis does not hold together.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// An entry of the genesis would be refused as an item.
    #[error("participant {0}: {1}")]
    Participant(ParticipantId, String),
    /// The state map could not be built.
    #[error(transparent)]
    View(#[from] ViewError),
}

/// The state that a genesis begins with.
///
/// # Errors
/// A genesis that does not hold together.
pub fn start(genesis: &Genesis) -> Result<Start, StartError> {
    genesis.check()?;
    let next_validators = genesis.validator_set()?;
    let mut entries: Vec<(StateKey, Vec<u8>)> = vec![
        (registry::policy_key(), genesis.policy.to_bytes()),
        (registry::validators_key(), next_validators.to_bytes()),
        (registry::protocol_key(), Protocol { version: genesis.protocol, upgrade: None }.to_bytes()),
    ];
    for participant in genesis.participants.iter() {
        let entry = rules::genesis_participant(participant)
            .map_err(|error| StartError::Participant(participant.id.clone(), error.to_string()))?;
        entries.push((registry::participant_key(&participant.id), entry.to_bytes()));
    }
    let mut keys = Vec::new();
    for key in genesis.keys.iter() {
        let entry = KeyEntry {
            owner: Author::Participant(key.owner.clone()),
            key: key.key,
            purpose: key.purpose,
            valid_from: LogIndex(0),
            revoked: None,
            not_after: FAR,
            compromised_from: None,
        };
        let id = key_id(&key.key);
        entries.push((registry::key_key(&id), entry.to_bytes()));
        keys.push((key.owner.clone(), id));
    }
    entries.sort();
    let hashes: Vec<_> = entries.iter().map(|(key, value)| (*key, Some(sha256(value)))).collect();
    let map = update_map(&Nothing, &hashes)?;
    Ok(Start {
        head: Head {
            chain: genesis.chain(),
            registrar: genesis.registrar.clone(),
            height: Height(0),
            block_id: genesis.block_id(),
            time: genesis.time,
            log_size: LogSize(0),
            log_frontier: Vec::new(),
            state_root: map.root,
            validators_hash: next_validators.hash(),
            next_validators,
        },
        time: genesis.time,
        entries,
        pages: map.pages.into_iter().filter_map(|(path, page)| Some((path, page?))).collect(),
        participants: genesis.participants.iter().map(|p| p.id.clone()).collect(),
        keys,
    })
}

/// Builds a block from as many of `submissions` as fit, in their order; what is refused is left out.
///
/// # Errors
/// [`ApplyError::Invalid`] for a proposal that does not follow the head; when the view cannot be read.
pub fn build(
    view: &dyn View,
    proposal: &Proposal,
    submissions: impl IntoIterator<Item = Verified>,
    limits: &Limits,
) -> Result<Built, ApplyError> {
    build_from(view, proposal, submissions, limits)
}

/// As [`build`], from submissions that somebody else holds too.
///
/// # Errors
/// As [`build`].
pub fn build_shared(
    view: &dyn View,
    proposal: &Proposal,
    submissions: impl IntoIterator<Item = Arc<Verified>>,
    limits: &Limits,
) -> Result<Built, ApplyError> {
    build_from(view, proposal, submissions, limits)
}

fn build_from<S: Borrow<Verified>>(
    view: &dyn View,
    proposal: &Proposal,
    submissions: impl IntoIterator<Item = S>,
    limits: &Limits,
) -> Result<Built, ApplyError> {
    let mut run = Run::begin(view, proposal)?;
    let (mut body, mut refused, mut bytes) = (Vec::new(), Vec::new(), 0usize);
    for submission in submissions {
        let submission: &Verified = submission.borrow();
        if body.len() >= limits.max_submissions || bytes + submission.bytes().len() > limits.max_bytes {
            break;
        }
        match run.submit(submission) {
            Ok(()) => {
                bytes += submission.bytes().len();
                body.push(submission.bytes().to_vec());
            }
            Err(AdmitError::Refused(refusal)) => refused.push((submission.id(), refusal)),
            Err(AdmitError::View(error)) => return Err(error.into()),
        }
    }
    let changes = run.finish(proposal)?;
    Ok(Built { block: Block { header: changes.header.clone(), body }, changes, refused })
}

/// Recomputes a block and compares.
///
/// `submissions` are the block's, verified, in body order.
///
/// # Errors
/// [`ApplyError::Invalid`] with the first thing that does not hold; when the view cannot be read.
pub fn check(view: &dyn View, block: &Block, submissions: &[Verified]) -> Result<Changes, ApplyError> {
    check_each(view, block, submissions)
}

/// As [`check`], of submissions that somebody else holds too.
///
/// # Errors
/// As [`check`].
pub fn check_shared(
    view: &dyn View,
    block: &Block,
    submissions: &[Arc<Verified>],
) -> Result<Changes, ApplyError> {
    check_each(view, block, submissions)
}

fn check_each(
    view: &dyn View,
    block: &Block,
    submissions: &[impl Borrow<Verified>],
) -> Result<Changes, ApplyError> {
    let header = &block.header;
    let bytes: usize = block.body.iter().map(Vec::len).sum();
    if bytes > MAX_BLOCK_BYTES || block.body.len() > MAX_SUBMISSIONS {
        return Err(ApplyError::Invalid(format!(
            "{} submissions of {bytes} bytes are too much",
            block.body.len()
        )));
    }
    let same = block.body.len() == submissions.len()
        && block.body.iter().zip(submissions).all(|(bytes, submission)| bytes == submission.borrow().bytes());
    if !same {
        return Err(ApplyError::Invalid("the verified submissions are not those of the body".into()));
    }
    let proposal = Proposal {
        height: header.height,
        round: header.round,
        time: header.time,
        proposer: header.proposer.clone(),
    };
    let mut run = Run::begin(view, &proposal)?;
    for submission in submissions {
        let submission: &Verified = submission.borrow();
        match run.submit(submission) {
            Ok(()) => {}
            Err(AdmitError::Refused(refusal)) => {
                return Err(ApplyError::Invalid(format!(
                    "submission {} is inadmissible ({}): {refusal}",
                    submission.id(),
                    refusal.code.word()
                )));
            }
            Err(AdmitError::View(error)) => return Err(error.into()),
        }
    }
    let changes = run.finish(&proposal)?;
    if changes.header == *header {
        Ok(changes)
    } else {
        Err(ApplyError::Invalid(difference(&changes.header, header)))
    }
}

/// Tries a submission whose envelope [`crate::admission::admit`] has let in, in a block of time `time`, and forgets it.
///
/// Acts are carried out on trial. Testimony is not: once its envelope and form are good, nothing it says can keep it
/// out of a block, so the work of judging it is left to the block that records it.
///
/// # Errors
/// [`AdmitError::Refused`] with what would keep it out of the next block; when the view cannot be read.
pub fn preview(view: &dyn View, time: TimeMs, submission: &Verified) -> Result<(), AdmitError> {
    match submission.payload().class {
        Class::Act => submit(&mut Overlay::new(view, time)?, submission, Timing::Ahead).map(drop),
        Class::Testimony => {
            for (position, bytes) in submission.items().iter().enumerate() {
                decode_item(bytes, submission).map_err(|refusal| refusal.at(position))?;
            }
            Ok(())
        }
    }
}

/// The first field in which a computed header differs from a given one.
fn difference(computed: &Header, given: &Header) -> String {
    if computed.version != given.version {
        return format!("version is {}, not {}", given.version, computed.version);
    }
    let fields: [(&str, Digest, Digest); 6] = [
        ("parent", computed.parent.into(), given.parent.into()),
        ("body_root", computed.body_root, given.body_root),
        ("log_root", computed.log_root, given.log_root),
        ("state_root", computed.state_root, given.state_root),
        ("validators_hash", computed.validators_hash, given.validators_hash),
        ("next_validators_hash", computed.next_validators_hash, given.next_validators_hash),
    ];
    match fields.iter().find(|(_, ours, theirs)| ours != theirs) {
        Some((name, ours, theirs)) => format!("{name} is {theirs}, computed {ours}"),
        None => "the header differs from the computed one".into(),
    }
}

/// A block being applied.
struct Run<'v> {
    overlay: Overlay<'v>,
    version: u64,
    submissions: Vec<NewSubmission>,
    dropped_nonces: Vec<(Author, u64)>,
}

impl<'v> Run<'v> {
    fn begin(view: &'v dyn View, proposal: &Proposal) -> Result<Self, ApplyError> {
        let mut overlay = Overlay::new(view, proposal.time)?;
        if proposal.height != overlay.height() {
            return Err(ApplyError::Invalid(format!(
                "height {} does not follow {}",
                proposal.height,
                overlay.head().height
            )));
        }
        if proposal.time <= overlay.head().time {
            return Err(ApplyError::Invalid(format!(
                "time {} is not after {}",
                proposal.time,
                overlay.head().time
            )));
        }
        let version = rules::begin(&mut overlay)?;
        let record = Record {
            index: overlay.next_index(),
            height: overlay.height(),
            time: overlay.time(),
            entry: Entry::Block { parent: overlay.head().block_id },
        };
        overlay.append(&record, None)?;
        let dropped_nonces = view.nonce_buckets_before(proposal.time.0 / NONCE_BUCKET_MS)?;
        for (author, bucket) in &dropped_nonces {
            overlay.remove(registry::nonce_key(author, *bucket));
        }
        for place in view.due_until(proposal.time, MAX_DUE_PER_BLOCK)? {
            fall_due(&mut overlay, &place)?;
        }
        rules::close_expired(&mut overlay)?;
        overlay.keep();
        Ok(Self { overlay, version, submissions: Vec::new(), dropped_nonces })
    }

    fn submit(&mut self, submission: &Verified) -> Result<(), AdmitError> {
        match submit(&mut self.overlay, submission, Timing::InBlock) {
            Ok(items) => {
                self.overlay.keep();
                self.submissions.push(NewSubmission {
                    id: submission.id(),
                    envelope: submission.envelope().bytes().to_vec(),
                    items,
                });
                Ok(())
            }
            Err(error) => {
                self.overlay.discard();
                Err(error)
            }
        }
    }

    fn finish(self, proposal: &Proposal) -> Result<Changes, ApplyError> {
        let before = Head::clone(self.overlay.head());
        let next_validators = self.overlay.validators()?;
        let changed = self.overlay.finish()?;
        let mut log = Frontier::from_parts(before.log_size.0, before.log_frontier)
            .map_err(|_| ViewError::Damaged { what: "the frontier of the log".into() })?;
        for record in &changed.records {
            log.append(record.leaf);
        }
        let ids: Vec<SubmissionId> = self.submissions.iter().map(|s| s.id).collect();
        let validators_hash = before.next_validators.hash();
        let header = Header {
            version: self.version,
            chain: before.chain,
            height: proposal.height,
            round: proposal.round,
            time: proposal.time,
            parent: before.block_id,
            body_root: body_root(&ids),
            log_size: LogSize(log.size()),
            log_root: log.root(),
            state_root: changed.map.root,
            validators_hash,
            next_validators_hash: next_validators.hash(),
            proposer: proposal.proposer.clone(),
        };
        let block_id = header.block_id();
        let head = Head {
            chain: before.chain,
            registrar: before.registrar,
            height: proposal.height,
            block_id,
            time: proposal.time,
            log_size: header.log_size,
            log_frontier: log.hashes().to_vec(),
            state_root: header.state_root,
            validators_hash,
            next_validators,
        };
        Ok(Changes {
            header,
            block_id,
            head,
            records: changed.records,
            submissions: self.submissions,
            entries: changed.entries,
            pages: changed.map.pages,
            listings: changed.listings,
            trail_frontiers: changed
                .trails
                .into_iter()
                .map(|(trail, frontier)| (trail, frontier.hashes().to_vec()))
                .collect(),
            nonces: changed.nonces,
            dropped_nonces: self.dropped_nonces,
            events: changed.events,
            participants: changed.participants,
            keys: changed.keys,
            dues: changed.dues,
            erasures: changed.erasures,
        })
    }
}

/// Records the fact that an obligation was not met.
fn fall_due(overlay: &mut Overlay<'_>, place: &DuePlace) -> Result<(), ViewError> {
    let due = overlay.due(place)?.ok_or_else(|| ViewError::Damaged {
        what: format!("an obligation of {} is in no entry of the state", place.deadline),
    })?;
    overlay.settle(place)?;
    let listings = overlay.places(&due.trails)?;
    let record = Record {
        index: overlay.next_index(),
        height: overlay.height(),
        time: overlay.time(),
        entry: Entry::Due(DueEntry {
            cause: place.cause,
            rule: place.rule,
            deadline: place.deadline,
            trails: Set::new(listings).expect("because a fact is listed in at most MAX_DUE_TRAILS trails"),
        }),
    };
    overlay.append(&record, None)
}

/// Applies a submission to the overlay's submission layer.
fn submit(
    overlay: &mut Overlay<'_>,
    submission: &Verified,
    timing: Timing,
) -> Result<Vec<Placed>, AdmitError> {
    check_envelope(overlay, submission, timing)?;
    let payload = submission.payload();
    let author = &payload.author;
    overlay.use_nonce(author, payload.not_after.0 / NONCE_BUCKET_MS, &payload.nonce)?;
    let mut placed = Vec::with_capacity(submission.items().len());
    for (position, (bytes, hash)) in submission.items().iter().zip(submission.item_hashes()).enumerate() {
        let at = |error: AdmitError| match error {
            AdmitError::Refused(refusal) => AdmitError::Refused(refusal.at(position)),
            view @ AdmitError::View(_) => view,
        };
        let item = decode_item(bytes, submission).map_err(|refusal| at(refusal.into()))?;
        let index = overlay.next_index();
        still_valid(overlay, submission, index).map_err(at)?;
        let outcome = match author {
            Author::Participant(id) => {
                // Read for each item: an earlier item of the same submission may have changed it.
                let participant = overlay
                    .participant(id)?
                    .ok_or_else(|| ViewError::Damaged { what: format!("the entry of participant {id}") })?;
                let saying =
                    Saying { author, id, participant: &participant, index, item: *hash, by_vote: false };
                rules::judge(overlay, &saying, &item)
            }
            Author::Subject(_) => rules::judge_subject(overlay, author, index, *hash, &item),
        };
        match outcome.map_err(at)? {
            Outcome::Before(index) => placed.push(Placed::Before(index)),
            Outcome::Recorded { verdict, trails } => {
                let keys: Vec<TrailKey> = trails.iter().map(|name| overlay.trail_key(name)).collect();
                let listings = overlay.places(&keys)?;
                let record = Record {
                    index,
                    height: overlay.height(),
                    time: overlay.time(),
                    entry: Entry::Item(ItemEntry {
                        submission: submission.id(),
                        author: author.clone(),
                        position: u32::try_from(position)
                            .expect("because a submission has at most 1000 items"),
                        item: *hash,
                        verdict,
                        trails: Set::new(listings)
                            .expect("because no kind lists an item in more than MAX_TRAILS trails"),
                    }),
                };
                overlay.append(&record, Some((*hash, bytes.clone())))?;
                placed.push(Placed::Here(index));
            }
        }
    }
    Ok(placed)
}

/// The key speaks for the author at this item's index too: an earlier item of the same submission may have ended it,
/// and a verifier judges every item where it stands.
fn still_valid(overlay: &Overlay<'_>, submission: &Submission, index: LogIndex) -> Result<(), AdmitError> {
    // Testimony ends no keys.
    if submission.payload().class == Class::Testimony {
        return Ok(());
    }
    let id = submission.envelope().key_id();
    match overlay.key(&id)? {
        Some(key) if key.is_valid_at(index, overlay.time()) => Ok(()),
        _ => {
            Err(Refusal::new(RefusalCode::RevokedKey, format!("key {id} was ended by an earlier item"))
                .into())
        }
    }
}

/// An item of the submission's class and of a known kind.
fn decode_item(bytes: &[u8], submission: &Submission) -> Result<Item, Refusal> {
    let name =
        kind_name(bytes).map_err(|error| Refusal::new(RefusalCode::MalformedItem, error.to_string()))?;
    let Some(kind) = Kind::from_name(name) else {
        return Err(Refusal::new(
            RefusalCode::UnknownKind,
            format!("kind {name:?} is not known to protocol version {PROTOCOL_VERSION}"),
        ));
    };
    if kind.class() != submission.payload().class {
        return Err(Refusal::new(
            RefusalCode::MixedClasses,
            format!(
                "{name} is {}, the submission is signed as {}",
                kind.class().word(),
                submission.payload().class.word()
            ),
        ));
    }
    Item::from_bytes(bytes)
        .map_err(|error| Refusal::new(RefusalCode::MalformedItem, format!("{name}: {error}")))
}

/// Against which time an envelope is judged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timing {
    /// The block's.
    InBlock,
    /// That of a block that is still to come: what is not yet too late may become so.
    Ahead,
}

/// Everything about an envelope but its signature; the key that must have signed.
pub(crate) fn check_envelope(
    overlay: &Overlay<'_>,
    submission: &Submission,
    timing: Timing,
) -> Result<Arc<KeyEntry>, AdmitError> {
    let refuse = |code, detail: String| Err(AdmitError::Refused(Refusal::new(code, detail)));
    let (payload, time) = (submission.payload(), overlay.time());
    if payload.chain != overlay.head().chain {
        return refuse(
            RefusalCode::WrongChain,
            format!("signed for chain {}, this is chain {}", payload.chain, overlay.head().chain),
        );
    }
    let id = &payload.author;
    match id {
        Author::Participant(id) => {
            let Some(participant) = overlay.participant(id)? else {
                return refuse(RefusalCode::UnknownAuthor, format!("{id} is not in the registry"));
            };
            if participant.suspended.is_some() && payload.class == Class::Act {
                return refuse(
                    RefusalCode::SuspendedAuthor,
                    format!("{id} is suspended and may not write acts"),
                );
            }
        }
        Author::Subject(trail) => {
            if overlay.subject(trail)?.is_none() {
                return refuse(RefusalCode::UnknownAuthor, format!("trail {trail} was never opened"));
            }
            if payload.class == Class::Testimony {
                return refuse(RefusalCode::NotAllowed, "a subject's key signs acts only".into());
            }
        }
    }
    // Keys speak from the block after their registration on, so that followers know them beforehand.
    if overlay.key_before(&submission.envelope().key_id())?.is_none() {
        return refuse(
            RefusalCode::UnknownKey,
            format!("key {} is not in the registry", submission.envelope().key_id()),
        );
    }
    let key = overlay
        .key(&submission.envelope().key_id())?
        .ok_or_else(|| ViewError::Damaged { what: "a key that was registered".into() })?;
    if key.owner != *id || key.purpose != KeyPurpose::Sign {
        return refuse(
            RefusalCode::WrongKey,
            format!("key {} is not a signing key of {id}", submission.envelope().key_id()),
        );
    }
    if !key.is_valid_at(overlay.next_index(), time) {
        return refuse(
            RefusalCode::RevokedKey,
            format!("key {} is revoked or has ended", submission.envelope().key_id()),
        );
    }
    if payload.not_after < time {
        return refuse(RefusalCode::Expired, format!("expired at {}; it is {time}", payload.not_after));
    }
    let policy = overlay.policy()?;
    let slack = if timing == Timing::Ahead { CLOCK_SLACK_MS } else { 0 };
    if payload.not_after > time.plus(policy.max_lifetime_ms).plus(slack) {
        return refuse(
            RefusalCode::TooFarAhead,
            format!(
                "not_after is {}, at most {} ms ahead of {time} are allowed",
                payload.not_after, policy.max_lifetime_ms
            ),
        );
    }
    let bucket = payload.not_after.0 / NONCE_BUCKET_MS;
    if overlay.has_nonce(&payload.author, bucket, &payload.nonce)? {
        return refuse(RefusalCode::Replayed, "the author used this nonce before".into());
    }
    let quota = match id {
        Author::Participant(_) => policy.max_nonces,
        Author::Subject(_) => policy.max_subject_nonces,
    };
    if overlay.nonce_bucket(&payload.author, bucket)?.count >= quota {
        return refuse(
            RefusalCode::QuotaExceeded,
            format!("{id} has too many submissions that expire together"),
        );
    }
    Ok(key)
}

/// How far a submission may be ahead of the node's clock and still wait for a block.
const CLOCK_SLACK_MS: u64 = 10_000;

/// The view before there is anything.
struct Nothing;

impl View for Nothing {
    fn head(&self) -> Result<Arc<Head>, ViewError> {
        Err(ViewError::Damaged { what: "there is no head before the genesis".into() })
    }
    fn entry(&self, _: &StateKey) -> Result<Option<Vec<u8>>, ViewError> {
        Ok(None)
    }
    fn page(&self, _: &NibblePath) -> Result<Option<Page>, ViewError> {
        Ok(None)
    }
    fn trail_frontier(&self, _: &TrailKey) -> Result<Vec<Digest>, ViewError> {
        Ok(Vec::new())
    }
    fn has_nonce(&self, _: &Author, _: u64, _: &Random16) -> Result<bool, ViewError> {
        Ok(false)
    }
    fn nonce_buckets_before(&self, _: u64) -> Result<Vec<(Author, u64)>, ViewError> {
        Ok(Vec::new())
    }
    fn event(&self, _: &Author, _: &Random16) -> Result<Option<(LogIndex, ItemHash)>, ViewError> {
        Ok(None)
    }
    fn block_time(&self, _: Height) -> Result<Option<TimeMs>, ViewError> {
        Ok(None)
    }
    fn due_until(&self, _: TimeMs, _: usize) -> Result<Vec<DuePlace>, ViewError> {
        Ok(Vec::new())
    }
    fn next_due(&self) -> Result<Option<TimeMs>, ViewError> {
        Ok(None)
    }
}
