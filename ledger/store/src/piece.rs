//! Some blocks in a row, checked as far as that can be done without what came before them.
//!
//! ```text
//! for every block    certificate -> header; its signatures
//!                    envelopes -> ids -> body root; keys valid at that index -> signatures
//!                    records: each belongs to the submission and position it names
//!                    items -> hash in the record; hashes in the records -> items_root of the envelope
//! ```
//!
//! That is nearly everything that an audit decodes, hashes and verifies, so pieces are checked on every core
//! ([`crate::ahead`]) while [`crate::walk`] joins them: it knows the parent, the validators and the log before a block.
//! All signatures of a piece are checked together, which costs a fifth of checking them singly.
//!
//! A piece ends at the first thing in it that does not fit. Where in the block that was is kept, so that whoever joins
//! the pieces comes to the same first error as somebody who goes through the blocks one by one.

use std::collections::HashMap;
use std::sync::Arc;

use custos_proof::cbor::Wire;
use custos_proof::certificate::{Certificate, ValidatorSet};
use custos_proof::hash::{BlockId, Digest, ItemHash, KeyId, SubmissionId};
use custos_proof::header::{Header, body_root};
use custos_proof::ids::{Height, LogIndex, Random16};
use custos_proof::item::{Item, item_hash};
use custos_proof::keys::KeyPurpose;
use custos_proof::kinds::Fields;
use custos_proof::merkle;
use custos_proof::record::{Entry, ItemEntry, Record};
use custos_proof::registry::{self, KeyEntry};
use custos_proof::submission::Envelope;
use custos_state::changes::Placed;

use crate::error::StoreError;
use crate::fsck::Report;
use crate::pieces::{Behind, Cursors, Piece};
use crate::rows::BlockRow;
use crate::signatures::Signatures;
use crate::snapshot::{Snapshot, decode_header};
use crate::store::damaged;
use crate::tables::{self, Table};

/// A piece of which everything was checked that can be.
pub(crate) struct Checked {
    pub(crate) blocks: Vec<CheckedBlock>,
    /// What did not fit behind the last of these blocks.
    pub(crate) end: Result<(), StoreError>,
}

/// A block, as far as it was gone through.
pub(crate) struct CheckedBlock {
    pub(crate) header: Header,
    pub(crate) id: BlockId,
    /// The log index of the first record, as its row says.
    pub(crate) first: u64,
    /// In body order; `None` where it was pruned.
    pub(crate) envelopes: Vec<Option<Envelope>>,
    pub(crate) records: Vec<CheckedRecord>,
    pub(crate) stopped: Option<(Stage, StoreError)>,
    pub(crate) report: Report,
}

/// Where in a block something did not fit: behind everything that it hands over of the stages before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Certificate,
    Body,
    Records,
    Submissions,
}

pub(crate) struct CheckedRecord {
    pub(crate) record: Record,
    pub(crate) leaf: Digest,
    pub(crate) item: Option<Result<Facts, StoreError>>,
}

/// What other tables know of an item.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) event: Option<Random16>,
    /// Of acts that may enter somebody into the registry.
    pub(crate) registers: Option<Fields>,
}

/// Checks pieces; each thread has one.
pub(crate) struct Checker<'s> {
    snapshot: &'s Snapshot<'s>,
    /// Whether signatures are checked.
    signatures: bool,
    validators: Option<(Digest, Arc<ValidatorSet>)>,
    keys: HashMap<KeyId, KeyEntry>,
    waiting: Signatures,
}

/// Where a submission's items are recorded.
struct Carried {
    id: SubmissionId,
    placed: Vec<Placed>,
}

impl<'s> Checker<'s> {
    pub(crate) fn new(snapshot: &'s Snapshot<'s>, signatures: bool) -> Self {
        Self { snapshot, signatures, validators: None, keys: HashMap::new(), waiting: Signatures::default() }
    }

    pub(crate) fn check(&mut self, piece: Piece) -> Checked {
        let mut blocks = Vec::with_capacity(piece.blocks.len());
        let end = self.blocks(piece, &mut blocks);
        let mut checked = Checked { blocks, end };
        self.check_signatures(&mut checked);
        checked
    }

    fn blocks(&mut self, piece: Piece, blocks: &mut Vec<CheckedBlock>) -> Result<(), StoreError> {
        let begin = piece.blocks.first().filter(|_| !piece.first);
        let mut cursors = Cursors::at(self.snapshot, begin)?;
        for (height, row) in &piece.blocks {
            let header = decode_header(*height, row)?;
            let mut block = CheckedBlock {
                id: header.block_id(),
                header,
                first: row.first,
                envelopes: vec![],
                records: vec![],
                stopped: None,
                report: Report { blocks: 1, ..Report::default() },
            };
            block.stopped = self.block(row, &mut cursors, &mut block, blocks.len()).err();
            let stopped = block.stopped.is_some();
            blocks.push(block);
            if stopped {
                return Ok(());
            }
        }
        match (&piece.behind, blocks.last()) {
            (Behind::Blocks, Some(last)) => cursors.end_before(&last.header),
            (Behind::Nothing, _) => cursors.end(),
            _ => piece.behind.end(),
        }
    }

    fn block(
        &mut self,
        row: &BlockRow,
        cursors: &mut Cursors<'_>,
        block: &mut CheckedBlock,
        number: usize,
    ) -> Result<(), (Stage, StoreError)> {
        self.certificate(cursors, block, number).map_err(|error| (Stage::Certificate, error))?;
        let carried = self.body(row.submissions, cursors, block).map_err(|error| (Stage::Body, error))?;
        let hashes = self.records(cursors, block, &carried).map_err(|error| (Stage::Records, error))?;
        self.submissions(block, number, &carried, &hashes).map_err(|error| (Stage::Submissions, error))
    }

    fn certificate(
        &mut self,
        cursors: &mut Cursors<'_>,
        block: &mut CheckedBlock,
        number: usize,
    ) -> Result<(), StoreError> {
        let (header, id) = (&block.header, block.id);
        let not = |found: String| no_certificate(header.height, &id, found);
        let bytes = cursors
            .certificates
            .take(&tables::height_key(header.height))?
            .ok_or_else(|| not("nothing".into()))?;
        let certificate = Certificate::from_bytes(&bytes).map_err(|error| not(error.to_string()))?;
        if certificate.block_id != id || certificate.height != header.height {
            return Err(not(format!(
                "one for block {} at height {}",
                certificate.block_id, certificate.height
            )));
        }
        if self.signatures {
            let set = self.validators(header.validators_hash, header.height)?;
            let votes =
                certificate.precommits(&header.chain, &set).map_err(|error| not(error.to_string()))?;
            block.report.signatures += votes.len() as u64;
            self.waiting.votes(number, votes);
        }
        if header.next_validators_hash != header.validators_hash {
            self.validators(header.next_validators_hash, header.height)?;
        }
        Ok(())
    }

    /// The set with this hash, which `height` is decided by or hands over to.
    fn validators(&mut self, hash: Digest, height: Height) -> Result<Arc<ValidatorSet>, StoreError> {
        if let Some((held, set)) = &self.validators
            && *held == hash
        {
            return Ok(Arc::clone(set));
        }
        let set = Arc::new(self.validator_set(hash, height)?);
        self.validators = Some((hash, Arc::clone(&set)));
        Ok(set)
    }

    fn validator_set(&self, hash: Digest, height: Height) -> Result<ValidatorSet, StoreError> {
        // The genesis has its own.
        if let Ok(set) = self.snapshot.genesis().validator_set()
            && set.hash() == hash
        {
            return Ok(set);
        }
        self.snapshot.validators(&hash)?.ok_or_else(|| {
            damaged(
                Table::Validators,
                hash.to_string(),
                format!("the validators after block {height}"),
                "nothing",
            )
        })
    }

    fn body(
        &mut self,
        count: u32,
        cursors: &mut Cursors<'_>,
        block: &mut CheckedBlock,
    ) -> Result<Vec<Carried>, StoreError> {
        let (header, height) = (&block.header, block.header.height);
        let mut carried = Vec::new();
        for position in 0..count {
            let not = |found: String| {
                let place = envelope_place(height, position as usize);
                damaged(Table::Envelopes, place, "the signed envelope of a submission", found)
            };
            let bytes = cursors
                .envelopes
                .take(&tables::envelope_key(height, position))?
                .ok_or_else(|| not("nothing".into()))?;
            let (id, envelope) = match <[u8; 32]>::try_from(&*bytes) {
                Ok(id) => (SubmissionId(id), None),
                Err(_) => {
                    let envelope = Envelope::decode(&bytes).map_err(|error| not(error.to_string()))?;
                    if envelope.payload().chain != header.chain {
                        return Err(not(format!("one for chain {}", envelope.payload().chain)));
                    }
                    (envelope.submission_id(), Some(envelope))
                }
            };
            block.report.envelopes_pruned += u64::from(envelope.is_none());
            block.envelopes.push(envelope);
            carried.push(Carried { id, placed: self.placed(id, height, position)? });
        }
        let ids: Vec<SubmissionId> = carried.iter().map(|carried| carried.id).collect();
        let root = body_root(&ids);
        if root != header.body_root {
            let expected = format!("submissions with body root {}", header.body_root);
            return Err(damaged(Table::Envelopes, format!("block {height}"), expected, root.to_string()));
        }
        Ok(carried)
    }

    fn placed(&self, id: SubmissionId, height: Height, position: u32) -> Result<Vec<Placed>, StoreError> {
        let not = |found: String| {
            let expected = format!("where the items of block {height}, position {position} are recorded");
            damaged(Table::Submissions, id.to_string(), expected, found)
        };
        let row = self
            .snapshot
            .find_submission(&id, |row| Ok((row.height, row.position) == (height.0, position)))?
            .ok_or_else(|| not("nothing that names this place".into()))?;
        row.placed().ok_or_else(|| not("a list that contradicts itself".into()))
    }

    /// The hashes of the items of the block's records, in their order.
    fn records(
        &mut self,
        cursors: &mut Cursors<'_>,
        block: &mut CheckedBlock,
        carried: &[Carried],
    ) -> Result<Vec<Option<ItemHash>>, StoreError> {
        let (header, first) = (&block.header, block.first);
        let mut expected = expected_items(carried);
        let mut hashes = Vec::new();
        for index in first..header.log_size.0 {
            let index = LogIndex(index);
            let not =
                |expected: String, found: String| damaged(Table::Records, index.to_string(), expected, found);
            let bytes = cursors
                .records
                .take(&tables::index_key(index))?
                .ok_or_else(|| not(format!("a record of block {}", header.height), "nothing".into()))?;
            let record =
                Record::from_bytes(&bytes).map_err(|error| not("a record".into(), error.to_string()))?;
            if (record.index, record.height, record.time) != (index, header.height, header.time) {
                let found = format!("record {} of block {}, {}", record.index, record.height, record.time);
                return Err(not(
                    format!("record {index} of block {}, {}", header.height, header.time),
                    found,
                ));
            }
            let (mut item, mut hash) = (None, None);
            match &record.entry {
                Entry::Block { parent } if index.0 == first && *parent == header.parent => {}
                Entry::Block { parent } => {
                    let expected = format!("the block record first, with parent {}", header.parent);
                    return Err(not(expected, format!("one with parent {parent}")));
                }
                _ if index.0 == first => {
                    return Err(not("the block's own record first".into(), "another".into()));
                }
                Entry::Due(_) => {}
                Entry::Item(entry) => {
                    let next = expected.next();
                    if next != Some((entry.submission, entry.position, index)) {
                        let found = format!("submission {}, item {}", entry.submission, entry.position);
                        return Err(not("the record of the next item of the body".into(), found));
                    }
                    item = checked_item(cursors, index, entry, &mut block.report)?;
                    hash = Some(entry.item);
                }
            }
            hashes.push(hash);
            block.records.push(CheckedRecord { leaf: merkle::leaf_hash(&bytes), record, item });
        }
        Ok(hashes)
    }

    /// Whether the recorded items are those that were signed, with keys that were valid when they were recorded.
    fn submissions(
        &mut self,
        block: &mut CheckedBlock,
        number: usize,
        carried: &[Carried],
        hashes: &[Option<ItemHash>],
    ) -> Result<(), StoreError> {
        if let Some((id, item, index)) =
            expected_items(carried).nth(hashes.iter().filter(|hash| hash.is_some()).count())
        {
            let expected = format!("a record of item {item} of submission {id}");
            return Err(damaged(Table::Records, index.to_string(), expected, "the end of its block"));
        }
        let mut next = block.first + 1;
        for (position, carried) in carried.iter().enumerate() {
            let judged_at = LogIndex(next);
            let leaves = self.leaves(block.first, carried, hashes, &mut next)?;
            let Some(envelope) = &block.envelopes[position] else { continue };
            let payload = envelope.payload();
            let root = merkle::root_of(&leaves);
            if payload.items_count as usize != leaves.len() || payload.items_root != root {
                let expected = format!("{} items with root {}", payload.items_count, payload.items_root);
                let found = format!("{} items with root {root}", leaves.len());
                return Err(damaged(Table::Submissions, carried.id.to_string(), expected, found));
            }
            let (height, time) = (block.header.height, block.header.time);
            let entry = self.key(&envelope.key_id())?;
            let speaks = payload.author == entry.owner;
            if !speaks || entry.purpose != KeyPurpose::Sign || !entry.is_valid_at(judged_at, time) {
                let expected =
                    format!("an envelope of {} under a key valid at log index {judged_at}", payload.author);
                let found = format!("key {} of {}", envelope.key_id(), entry.owner);
                return Err(damaged(Table::Envelopes, envelope_place(height, position), expected, found));
            }
            let key = entry.key;
            if self.signatures {
                block.report.signatures += 1;
                self.waiting.envelope(number, position, key);
            }
        }
        Ok(())
    }

    /// The hashes of a submission's items; `next` moves behind those that are recorded here.
    fn leaves(
        &self,
        first: u64,
        carried: &Carried,
        hashes: &[Option<ItemHash>],
        next: &mut u64,
    ) -> Result<Vec<Digest>, StoreError> {
        let hash = |placed: &Placed, next: &mut u64| match placed {
            Placed::Here(index) => {
                *next = index.0 + 1;
                let at = index.0.checked_sub(first).and_then(|at| usize::try_from(at).ok());
                Ok(at.and_then(|at| hashes.get(at).copied().flatten()))
            }
            Placed::Before(index) => {
                let record = self.snapshot.decoded_record(*index)?;
                Ok(record.as_ref().and_then(Record::as_item).map(|entry| entry.item))
            }
        };
        let mut leaves = Vec::with_capacity(carried.placed.len());
        for placed in &carried.placed {
            let hash = hash(placed, next)?.ok_or_else(|| {
                damaged(Table::Submissions, carried.id.to_string(), "places of items", format!("{placed:?}"))
            })?;
            leaves.push(hash.into());
        }
        Ok(leaves)
    }

    fn key(&mut self, id: &KeyId) -> Result<&KeyEntry, StoreError> {
        if !self.keys.contains_key(id) {
            let entry = self.read_key(id)?;
            self.keys.insert(*id, entry);
        }
        Ok(&self.keys[id])
    }

    fn read_key(&self, id: &KeyId) -> Result<KeyEntry, StoreError> {
        let key = registry::key_key(id);
        let not =
            |found: String| damaged(Table::State, key.to_string(), format!("the entry of key {id}"), found);
        let bytes = self.snapshot.get(Table::State, &key.0)?.ok_or_else(|| not("nothing".into()))?;
        let entry = KeyEntry::from_bytes(&bytes).map_err(|error| not(error.to_string()))?;
        if custos_proof::keys::key_id(&entry.key) != *id {
            return Err(not("another key".into()));
        }
        Ok(entry)
    }

    /// Checks all signatures of a piece. The first block with one that does not verify is its last one then.
    fn check_signatures(&mut self, checked: &mut Checked) {
        let Some((number, stage, position)) = self.waiting.check(&checked.blocks) else { return };
        checked.blocks.truncate(number + 1);
        let Some(block) = checked.blocks.last_mut() else { return };
        // What was found without signatures comes first, but for what comes behind the certificate.
        if block.stopped.as_ref().is_some_and(|(earlier, _)| *earlier <= stage) {
            return;
        }
        let height = block.header.height;
        let error = if stage == Stage::Certificate {
            let found = self.bad_vote(&block.header).unwrap_or_else(|error| error.to_string());
            no_certificate(height, &block.id, found)
        } else {
            let place = envelope_place(height, position);
            damaged(Table::Envelopes, place, "a valid signature", "one that does not verify")
        };
        block.stopped = Some((stage, error));
    }

    /// What is wrong with a certificate that has a bad signature.
    fn bad_vote(&mut self, header: &Header) -> Result<String, StoreError> {
        let certificate = self.snapshot.certificate(header.height)?;
        let set = self.validators(header.validators_hash, header.height)?;
        let error = certificate.and_then(|certificate| certificate.verify(&header.chain, &set).err());
        Ok(error.map_or("a bad signature".into(), |error| error.to_string()))
    }
}

fn no_certificate(height: Height, id: &BlockId, found: String) -> StoreError {
    damaged(Table::Certificates, height.to_string(), format!("a certificate for block {id}"), found)
}

fn envelope_place(height: Height, position: usize) -> String {
    format!("block {height}, position {position}")
}

/// The items that a block's submissions have recorded here, in order: submission, position, log index.
fn expected_items(carried: &[Carried]) -> impl Iterator<Item = (SubmissionId, u32, LogIndex)> {
    carried.iter().flat_map(|carried| {
        (0u32..).zip(&carried.placed).filter_map(|(position, placed)| match placed {
            Placed::Here(index) => Some((carried.id, position, *index)),
            Placed::Before(_) => None,
        })
    })
}

/// What the item of a record says; `None` if it was pruned.
fn checked_item(
    cursors: &mut Cursors<'_>,
    index: LogIndex,
    entry: &ItemEntry,
    report: &mut Report,
) -> Result<Option<Result<Facts, StoreError>>, StoreError> {
    let Some(bytes) = cursors.items.take(&tables::index_key(index))? else {
        report.items_pruned += 1;
        return Ok(None);
    };
    let found = item_hash(&bytes);
    if found != entry.item {
        let (expected, found) = (format!("item {}", entry.item), format!("item {found}"));
        return Err(damaged(Table::Items, index.to_string(), expected, found));
    }
    report.items += 1;
    Ok(Some(
        Facts::of(&bytes)
            .map_err(|found| damaged(Table::Items, index.to_string(), "an item of a known kind", found)),
    ))
}

impl Facts {
    fn of(bytes: &[u8]) -> Result<Self, String> {
        let item = Item::from_bytes(bytes).map_err(|error| error.to_string())?;
        let event = item.fields.event_id().copied();
        let registers = matches!(
            item.fields,
            Fields::ParticipantRegister(_)
                | Fields::KeyAdd(_)
                | Fields::KeyRotate(_)
                | Fields::ProposalOpen(_)
        );
        Ok(Self { event, registers: registers.then_some(item.fields) })
    }
}
