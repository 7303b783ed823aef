//! The walk over everything primary, from the genesis to the head, checking as it goes.
//!
//! ```text
//! for every block    header -> parent, time, validators, certificate
//!                    envelopes -> ids -> body root; keys valid at that index -> signatures
//!                    records -> log root; each belongs to the submission and position it names
//!                    items -> hash in the record; hashes in the records -> items_root of the envelope
//! ```
//!
//! fsck and rebuild share it: both have to know that the primary tables hold before they say
//! anything about tables that follow from them. What follows is computed by whoever is told of each
//! envelope and record ([`Follow`]).
//!
//! Deliberately absent: the derived tables. None is read here, except to say which one of a block's
//! records is wrong when together they do not hash to the log root.

use std::collections::HashMap;

use custos_proof::batch::verify_batch;
use custos_proof::cbor::Wire;
use custos_proof::certificate::ValidatorSet;
use custos_proof::hash::{Digest, ItemHash, KeyId, SubmissionId};
use custos_proof::header::{Header, body_root};
use custos_proof::ids::{Height, LogIndex, TimeMs};
use custos_proof::item::item_hash;
use custos_proof::keys::{KeyPurpose, PublicKey, Signature};
use custos_proof::merkle::{self, Frontier, Node};
use custos_proof::record::{Entry, ItemEntry, Record};
use custos_proof::registry::{self, KeyEntry};
use custos_proof::submission::Envelope;
use custos_state::changes::Placed;

use crate::error::StoreError;
use crate::fsck::Report;
use crate::meter::Meter;
use crate::snapshot::{Row, Snapshot, decode_header, decode_row};
use crate::store::{damaged, hex};
use crate::tables::{self, Table};
use crate::trees::LogTree;

/// How many signatures are checked together.
const SIGNATURE_BATCH: usize = 512;

/// Who computes what follows from the primary tables.
pub(crate) trait Follow {
    /// An envelope of a block of this time, in body order; `None` if it was pruned.
    fn envelope(&mut self, block: TimeMs, envelope: Option<&Envelope>) -> Result<(), StoreError>;

    /// A record, in log order; `completed` are the subtrees of the log that it completes.
    fn record(
        &mut self,
        record: &Record,
        leaf: Digest,
        completed: &[Node],
        item: Option<&[u8]>,
    ) -> Result<(), StoreError>;
}

/// Walks over all blocks of the snapshot.
///
/// # Errors
/// The first thing that does not fit.
pub(crate) fn walk(
    snapshot: &Snapshot<'_>,
    signatures: bool,
    meter: &mut Meter<'_>,
    follow: &mut dyn Follow,
) -> Result<Report, StoreError> {
    let genesis = snapshot.genesis();
    let mut walk = Walk {
        snapshot,
        blocks: Cursor::new(snapshot, Table::Blocks)?,
        certificates: Cursor::new(snapshot, Table::Certificates)?,
        envelopes: Cursor::new(snapshot, Table::Envelopes)?,
        records: Cursor::new(snapshot, Table::Records)?,
        items: Cursor::new(snapshot, Table::Items)?,
        log: Frontier::new(),
        parent: (genesis.block_id(), genesis.time),
        validators: genesis.validator_set().map_err(|error| {
            damaged(Table::Meta, "genesis", "a genesis with validators", error.to_string())
        })?,
        keys: HashMap::new(),
        signed: signatures.then(Vec::new),
        submissions: 0,
        report: Report::default(),
    };
    for height in (1..=snapshot.head().height.0).map(Height) {
        walk.block(height, meter, follow)?;
    }
    walk.check_signatures()?;
    walk.blocks.end()?;
    walk.certificates.end()?;
    walk.envelopes.end()?;
    walk.records.end()?;
    walk.items.end()?;
    let found = snapshot.count(Table::Submissions)?;
    if found != walk.submissions {
        let expected = format!("{} rows: one for each submission", walk.submissions);
        return Err(damaged(Table::Submissions, "(all)", expected, format!("{found} rows")));
    }
    Ok(walk.report)
}

struct Walk<'s> {
    snapshot: &'s Snapshot<'s>,
    blocks: Cursor<'s>,
    certificates: Cursor<'s>,
    envelopes: Cursor<'s>,
    records: Cursor<'s>,
    items: Cursor<'s>,
    log: Frontier,
    parent: (custos_proof::hash::BlockId, TimeMs),
    validators: ValidatorSet,
    keys: HashMap<KeyId, KeyEntry>,
    signed: Option<Vec<Signed>>,
    submissions: u64,
    report: Report,
}

/// A signature that waits for its batch.
struct Signed {
    key: PublicKey,
    message: Vec<u8>,
    signature: Signature,
    place: String,
}

/// A submission of the block at hand.
struct Carried {
    id: SubmissionId,
    envelope: Option<Envelope>,
    placed: Vec<Placed>,
    place: String,
}

impl Walk<'_> {
    fn block(
        &mut self,
        height: Height,
        meter: &mut Meter<'_>,
        follow: &mut dyn Follow,
    ) -> Result<(), StoreError> {
        let key = tables::height_key(height);
        let at = height.to_string();
        let bytes =
            self.blocks.take(&key)?.ok_or_else(|| damaged(Table::Blocks, &at, "a block", "nothing"))?;
        let row = decode_row(Table::Blocks, &key, &bytes)?;
        let header = decode_header(height, &row)?;
        self.header(&header)?;
        if row.first != self.log.size() {
            let expected = format!("first log index {}", self.log.size());
            return Err(damaged(Table::Blocks, at, expected, row.first.to_string()));
        }
        self.certificate(&header)?;
        let carried = self.body(&header, row.submissions, follow)?;
        self.log(&header, &carried, meter, follow)?;
        self.parent = (header.block_id(), header.time);
        self.report.blocks += 1;
        Ok(())
    }

    fn header(&mut self, header: &Header) -> Result<(), StoreError> {
        let at = header.height.to_string();
        let not = |expected: String, found: String| Err(damaged(Table::Blocks, &at, expected, found));
        let chain = self.snapshot.head().chain;
        match () {
            () if header.chain != chain => {
                not(format!("a header of chain {chain}"), format!("chain {}", header.chain))
            }
            () if header.parent != self.parent.0 => not(
                format!("a header whose parent is {}", self.parent.0),
                format!("parent {}", header.parent),
            ),
            () if header.time <= self.parent.1 => {
                not(format!("a time after {}", self.parent.1), header.time.to_string())
            }
            () if header.validators_hash != self.validators.hash() => not(
                format!("validators {}", self.validators.hash()),
                format!("validators {}", header.validators_hash),
            ),
            () => Ok(()),
        }
    }

    fn certificate(&mut self, header: &Header) -> Result<(), StoreError> {
        let at = header.height.to_string();
        let id = header.block_id();
        let not =
            |found: String| damaged(Table::Certificates, &at, format!("a certificate for block {id}"), found);
        let bytes = self
            .certificates
            .take(&tables::height_key(header.height))?
            .ok_or_else(|| not("nothing".into()))?;
        let certificate = custos_proof::certificate::Certificate::from_bytes(&bytes)
            .map_err(|error| not(error.to_string()))?;
        if certificate.block_id != id || certificate.height != header.height {
            return Err(not(format!(
                "one for block {} at height {}",
                certificate.block_id, certificate.height
            )));
        }
        if self.signed.is_some() {
            certificate.verify(&header.chain, &self.validators).map_err(|error| not(error.to_string()))?;
            self.report.signatures += certificate.signatures.len() as u64;
        }
        if header.next_validators_hash != header.validators_hash {
            let hash = header.next_validators_hash;
            self.validators = self.snapshot.validators(&hash)?.ok_or_else(|| {
                damaged(
                    Table::Validators,
                    hash.to_string(),
                    format!("the validators after block {at}"),
                    "nothing",
                )
            })?;
        }
        Ok(())
    }

    fn body(
        &mut self,
        header: &Header,
        count: u32,
        follow: &mut dyn Follow,
    ) -> Result<Vec<Carried>, StoreError> {
        let height = header.height;
        let mut carried = Vec::new();
        for position in 0..count {
            let place = format!("block {height}, position {position}");
            let not = |found: String| {
                damaged(Table::Envelopes, &place, "the signed envelope of a submission", found)
            };
            let bytes = self
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
            follow.envelope(header.time, envelope.as_ref())?;
            let placed = self.placed(id, height, position)?;
            self.report.envelopes_pruned += u64::from(envelope.is_none());
            carried.push(Carried { id, envelope, placed, place });
        }
        let ids: Vec<SubmissionId> = carried.iter().map(|carried| carried.id).collect();
        let root = body_root(&ids);
        if root != header.body_root {
            let expected = format!("submissions with body root {}", header.body_root);
            return Err(damaged(Table::Envelopes, format!("block {height}"), expected, root.to_string()));
        }
        self.submissions += u64::from(count);
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

    fn log(
        &mut self,
        header: &Header,
        carried: &[Carried],
        meter: &mut Meter<'_>,
        follow: &mut dyn Follow,
    ) -> Result<(), StoreError> {
        let first = self.log.size();
        let mut expected = expected_items(carried);
        // The items that this block records, by what is left of the log index when `first` is taken off.
        let mut hashes: HashMap<u64, ItemHash> = HashMap::new();
        let mut leaves = Vec::new();
        for index in first..header.log_size.0 {
            let index = LogIndex(index);
            let key = tables::index_key(index);
            let not =
                |expected: String, found: String| damaged(Table::Records, index.to_string(), expected, found);
            let bytes = self
                .records
                .take(&key)?
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
            let mut item = None;
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
                    item = self.item(index, entry)?;
                    hashes.insert(index.0, entry.item);
                }
            }
            let leaf = merkle::leaf_hash(&bytes);
            let completed = self.log.append(leaf);
            follow.record(&record, leaf, &completed, item.as_deref())?;
            leaves.push(leaf);
            self.report.records += 1;
            meter.tick();
        }
        if self.log.root() != header.log_root || self.log.size() != header.log_size.0 {
            return Err(self.blame(header, first, &leaves));
        }
        if let Some((id, item, index)) = expected.next() {
            let expected = format!("a record of item {item} of submission {id}");
            return Err(damaged(Table::Records, index.to_string(), expected, "the end of its block"));
        }
        let mut next = first + 1;
        for carried in carried {
            self.submission(header, carried, &hashes, &mut next)?;
        }
        Ok(())
    }

    fn item(&mut self, index: LogIndex, entry: &ItemEntry) -> Result<Option<Box<[u8]>>, StoreError> {
        let Some(bytes) = self.items.take(&tables::index_key(index))? else {
            self.report.items_pruned += 1;
            return Ok(None);
        };
        let found = item_hash(&bytes);
        if found != entry.item {
            return Err(damaged(
                Table::Items,
                index.to_string(),
                format!("item {}", entry.item),
                format!("item {found}"),
            ));
        }
        self.report.items += 1;
        Ok(Some(bytes))
    }

    /// Whether the recorded items are those that were signed, with a key that was valid when they were recorded.
    fn submission(
        &mut self,
        header: &Header,
        carried: &Carried,
        hashes: &HashMap<u64, ItemHash>,
        next: &mut u64,
    ) -> Result<(), StoreError> {
        let judged_at = LogIndex(*next);
        let mut leaves: Vec<Digest> = Vec::new();
        for placed in &carried.placed {
            let hash = match placed {
                Placed::Here(index) => {
                    *next = index.0 + 1;
                    hashes.get(&index.0).copied()
                }
                Placed::Before(index) => self
                    .snapshot
                    .decoded_record(*index)?
                    .as_ref()
                    .and_then(Record::as_item)
                    .map(|entry| entry.item),
            };
            leaves.push(
                hash.ok_or_else(|| {
                    damaged(
                        Table::Submissions,
                        carried.id.to_string(),
                        "places of items",
                        format!("{placed:?}"),
                    )
                })?
                .into(),
            );
        }
        let Some(envelope) = &carried.envelope else { return Ok(()) };
        let payload = envelope.payload();
        let root = merkle::root_of(&leaves);
        if payload.items_count as usize != leaves.len() || payload.items_root != root {
            let expected = format!("{} items with root {}", payload.items_count, payload.items_root);
            let found = format!("{} items with root {root}", leaves.len());
            return Err(damaged(Table::Submissions, carried.id.to_string(), expected, found));
        }
        let entry = self.key(&envelope.key_id())?;
        let speaks = payload.author == entry.owner;
        if !speaks || entry.purpose != KeyPurpose::Sign || !entry.is_valid_at(judged_at, header.time) {
            let expected =
                format!("an envelope of {} under a key valid at log index {judged_at}", payload.author);
            let found = format!("key {} of {}", envelope.key_id(), entry.owner);
            return Err(damaged(Table::Envelopes, &carried.place, expected, found));
        }
        let waiting = match &mut self.signed {
            None => return Ok(()),
            Some(signed) => {
                signed.push(Signed {
                    key: entry.key,
                    message: envelope.sig_structure().to_vec(),
                    signature: *envelope.signature(),
                    place: carried.place.clone(),
                });
                signed.len()
            }
        };
        if waiting >= SIGNATURE_BATCH { self.check_signatures() } else { Ok(()) }
    }

    fn key(&mut self, id: &KeyId) -> Result<KeyEntry, StoreError> {
        if let Some(entry) = self.keys.get(id) {
            return Ok(entry.clone());
        }
        let key = registry::key_key(id);
        let not =
            |found: String| damaged(Table::State, key.to_string(), format!("the entry of key {id}"), found);
        let bytes = self.snapshot.get(Table::State, &key.0)?.ok_or_else(|| not("nothing".into()))?;
        let entry = KeyEntry::from_bytes(&bytes).map_err(|error| not(error.to_string()))?;
        if custos_proof::keys::key_id(&entry.key) != *id {
            return Err(not("another key".into()));
        }
        self.keys.insert(*id, entry.clone());
        Ok(entry)
    }

    fn check_signatures(&mut self) -> Result<(), StoreError> {
        let Some(signed) = &mut self.signed else { return Ok(()) };
        let triples: Vec<_> = signed.iter().map(|s| (s.key, s.message.as_slice(), s.signature)).collect();
        let bad = verify_batch(&triples).iter().position(|valid| !valid);
        if let Some(bad) = bad.and_then(|bad| signed.get(bad)) {
            return Err(damaged(
                Table::Envelopes,
                &bad.place,
                "a valid signature",
                "one that does not verify",
            ));
        }
        self.report.signatures += signed.len() as u64;
        signed.clear();
        Ok(())
    }

    /// Which of a block's records is not the one that was recorded: the tiles know its leaf hash.
    fn blame(&self, header: &Header, first: u64, leaves: &[Digest]) -> StoreError {
        for (index, leaf) in (first..).map(LogIndex).zip(leaves) {
            if let Ok(recorded) = LogTree::leaf(self.snapshot, index)
                && recorded != *leaf
            {
                return damaged(
                    Table::Records,
                    index.to_string(),
                    format!("the record with leaf hash {recorded}"),
                    leaf.to_string(),
                );
            }
        }
        let found = format!("log root {} of {} records", self.log.root(), self.log.size());
        let expected = format!("log root {} of {} records", header.log_root, header.log_size);
        damaged(Table::Records, format!("block {}", header.height), expected, found)
    }
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

/// A table read in the order of its keys, each of which somebody has to ask for.
pub(crate) struct Cursor<'s> {
    table: Table,
    rows: Box<dyn Iterator<Item = Result<Row, StoreError>> + 's>,
    next: Option<Row>,
}

impl<'s> Cursor<'s> {
    pub(crate) fn new(snapshot: &'s Snapshot<'s>, table: Table) -> Result<Self, StoreError> {
        let mut rows = Box::new(snapshot.rows(table, &[], None));
        let next = rows.next().transpose()?;
        Ok(Self { table, rows, next })
    }

    /// The value of `key`, which MUST be behind all keys asked for before.
    pub(crate) fn take(&mut self, key: &[u8]) -> Result<Option<Box<[u8]>>, StoreError> {
        match &self.next {
            Some((found, _)) if **found == *key => {
                let taken = std::mem::replace(&mut self.next, self.rows.next().transpose()?);
                Ok(taken.map(|(_, value)| value))
            }
            Some((found, _)) if **found < *key => Err(self.extra(found)),
            _ => Ok(None),
        }
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), StoreError> {
        match &self.next {
            Some((found, _)) => Err(self.extra(found)),
            None => Ok(()),
        }
    }

    fn extra(&self, key: &[u8]) -> StoreError {
        damaged(self.table, hex(key), "no row: nothing refers to it", "one")
    }
}
