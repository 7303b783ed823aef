//! Receipts and trail proofs, put together from one snapshot.
//!
//! Everything in a proof is of one header: the snapshot's head. The functions here read and copy;
//! what makes a proof a proof is checked by `custos_proof::verify`, which a test runs over what
//! comes out of here.

use std::collections::HashMap;

use custos_proof::anchor::{Link, MAX_LINKS};
use custos_proof::cbor::{Bytes, List, Wire as _};
use custos_proof::certificate::Certificate;
use custos_proof::file::Receipts;
use custos_proof::hash::{Digest, ItemHash, KeyId, SubmissionId, TrailKey};
use custos_proof::header::Header;
use custos_proof::ids::{Height, LogIndex, TimeMs};
use custos_proof::item::Item;
use custos_proof::kinds::Fields;
use custos_proof::merkle;
use custos_proof::receipt::{ProvenKey, Receipt};
use custos_proof::record::{ItemEntry, Path, Record};
use custos_proof::registry::{self, KeyEntry, TrailHead};
use custos_proof::submission::Envelope;
use custos_proof::trail::TrailName;
use custos_proof::trail_proof::{Entry, MAX_ENTRIES, TrailProof};
use custos_state::changes::Placed;
use custos_store::{Snapshot, StoreError};
use thiserror::Error;

/// The most bytes of records and items in one trail proof; longer trails are proven in parts.
pub const MAX_TRAIL_BYTES: usize = 64 * 1024 * 1024;

/// Why there is no proof.
#[derive(Debug, Error)]
pub enum ProofError {
    /// There is no block yet, so nothing is certified.
    #[error("no block has been decided yet")]
    NoBlock,
    /// There is no such thing.
    #[error("there is no such item, submission or trail")]
    NotFound,
    /// The bytes that the proof needs were pruned.
    #[error("the bytes were pruned or erased; what remains provable is the record")]
    Pruned,
    /// Too much for one proof.
    #[error("too long for one proof: ask for a part of at most {0} entries")]
    TooLong(u64),
    /// The positions or times asked for make no part of the trail.
    #[error("{0}")]
    Part(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which part of a trail to prove; neighbours come on top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// From one position to before another.
    Positions(u64, u64),
    /// What was recorded from one instant to another, both included.
    Times(TimeMs, TimeMs),
}

/// Makes proofs from one snapshot.
pub struct Prover<'a> {
    snapshot: &'a Snapshot<'a>,
    header: Header,
    certificate: Certificate,
    envelopes: HashMap<SubmissionId, Signed>,
    keys: HashMap<KeyId, ProvenKey>,
}

/// An envelope with the tree of the items that it signs.
struct Signed {
    bytes: Vec<u8>,
    key: KeyId,
    items: merkle::Tree,
}

impl<'a> Prover<'a> {
    /// Proofs at the snapshot's head.
    ///
    /// # Errors
    /// [`ProofError::NoBlock`]; when the store fails.
    pub fn new(snapshot: &'a Snapshot<'a>) -> Result<Self, ProofError> {
        let height = snapshot.head().height;
        let header = snapshot.header(height)?.ok_or(ProofError::NoBlock)?;
        let certificate = snapshot.certificate(height)?.ok_or(ProofError::NoBlock)?;
        Ok(Self { snapshot, header, certificate, envelopes: HashMap::new(), keys: HashMap::new() })
    }

    /// The receipt of the item whose record is at `index`.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn receipt(&mut self, index: LogIndex) -> Result<Receipt, ProofError> {
        let (record_bytes, entry) = self.item_record(index)?;
        let item = self.snapshot.item(index)?.ok_or(ProofError::Pruned)?;
        let signed = self.signed(&entry.submission)?;
        let item_path = item_path(signed, entry.position)?;
        let (envelope, key) = (signed.bytes.clone(), signed.key);
        Ok(Receipt {
            item: bytes(item)?,
            envelope: bytes(envelope)?,
            item_path,
            record: bytes(record_bytes)?,
            record_path: path(self.snapshot.prove_record(index, self.header.log_size)?)?,
            author_key: self.key(&key)?,
            header: self.header.clone(),
            certificate: self.certificate.clone(),
            witnessed: None,
        })
    }

    /// The receipts of a submission's items, in their order.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn receipts(&mut self, id: &SubmissionId) -> Result<Receipts, ProofError> {
        let status = self.snapshot.submission(id)?.ok_or(ProofError::NotFound)?;
        let receipts = status
            .placed
            .iter()
            .map(|(Placed::Here(index) | Placed::Before(index))| self.receipt(*index))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Receipts { receipts: List::new(receipts).ok_or(ProofError::NotFound)? })
    }

    /// A part of a trail, with a neighbour on each side; of a trail without records, the proof that there are none.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn trail(&mut self, name: &TrailName, part: Part) -> Result<TrailProof, ProofError> {
        let trail = name.key();
        let (value, head_proof) = self.snapshot.prove_entry(&registry::trail_key(&trail))?;
        let head = value
            .map(|bytes| TrailHead::from_bytes(&bytes))
            .transpose()
            .map_err(|error| StoreError::Io(format!("the head of trail {trail}: {error}")))?;
        let size = head.as_ref().map_or(0, |head| head.size);
        let (begin, end) = self.bounds(&trail, part, size)?;
        if end - begin > MAX_ENTRIES as u64 {
            return Err(ProofError::TooLong(MAX_ENTRIES as u64));
        }
        let mut numbers: HashMap<SubmissionId, u32> = HashMap::new();
        let (mut entries, mut envelopes, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        let mut total = 0usize;
        for listed in self.snapshot.trail(&trail, begin, end)? {
            let record = decode_record(&listed.record)?;
            let item = self.snapshot.item(listed.index)?;
            total += listed.record.len() + item.as_ref().map_or(0, Vec::len);
            if total > MAX_TRAIL_BYTES {
                return Err(ProofError::TooLong(entries.len() as u64));
            }
            let shown = match (record.as_item(), item) {
                (Some(entry), Some(item)) => match self.signed(&entry.submission) {
                    Ok(signed) => Some((entry.clone(), item, item_path(signed, entry.position)?, signed.key)),
                    // Without its envelope, nothing shows who signed the item.
                    Err(ProofError::Pruned) => None,
                    Err(error) => return Err(error),
                },
                _ => None,
            };
            entries.push(match shown {
                None => Entry::Pruned { record: bytes(listed.record)? },
                Some((entry, item, item_path, key)) => {
                    let envelope = match numbers.get(&entry.submission) {
                        Some(number) => *number,
                        None => {
                            let number = u32::try_from(envelopes.len())
                                .map_err(|_| ProofError::TooLong(end - begin))?;
                            envelopes.push(bytes(self.signed(&entry.submission)?.bytes.clone())?);
                            numbers.insert(entry.submission, number);
                            let proven = self.key(&key)?;
                            if !keys.contains(&proven) {
                                keys.push(proven);
                            }
                            number
                        }
                    };
                    Entry::Full { record: bytes(listed.record)?, item: bytes(item)?, envelope, item_path }
                }
            });
        }
        let range_path =
            if size == 0 { Vec::new() } else { self.snapshot.prove_trail(&trail, begin, end, size)? };
        let too_long = || ProofError::TooLong(end - begin);
        Ok(TrailProof {
            name: name.clone(),
            header: self.header.clone(),
            certificate: self.certificate.clone(),
            head,
            head_proof,
            begin,
            entries: List::new(entries).ok_or_else(too_long)?,
            range_path: List::new(range_path).ok_or_else(too_long)?,
            envelopes: List::new(envelopes).ok_or_else(too_long)?,
            keys: List::new(keys).ok_or_else(too_long)?,
            witnessed: None,
        })
    }

    /// The positions of a part, neighbours included.
    fn bounds(&self, trail: &TrailKey, part: Part, size: u64) -> Result<(u64, u64), ProofError> {
        let (from, to) = match part {
            Part::Whole => (0, size),
            Part::Positions(from, to) if from <= to => (from.min(size), to.min(size)),
            Part::Times(from, to) if from <= to => {
                (self.first(trail, size, |time| time >= from)?, self.first(trail, size, |time| time > to)?)
            }
            Part::Positions(..) | Part::Times(..) => {
                return Err(ProofError::Part("the part ends before it begins".into()));
            }
        };
        Ok((from.saturating_sub(1), to.saturating_add(1).min(size)))
    }

    /// The first position of a trail whose record's time satisfies `reached`; times ascend along a trail.
    fn first(
        &self,
        trail: &TrailKey,
        size: u64,
        reached: impl Fn(TimeMs) -> bool,
    ) -> Result<u64, ProofError> {
        let (mut low, mut high) = (0, size);
        while low < high {
            let middle = low + (high - low) / 2;
            let listed = self.snapshot.trail(trail, middle, middle + 1)?;
            let record = listed.first().map(|entry| decode_record(&entry.record)).transpose()?;
            if record.is_some_and(|record| reached(record.time)) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(low)
    }

    fn item_record(&self, index: LogIndex) -> Result<(Vec<u8>, ItemEntry), ProofError> {
        let bytes = self.snapshot.record(index)?.ok_or(ProofError::NotFound)?;
        let entry = decode_record(&bytes)?.as_item().cloned().ok_or(ProofError::NotFound)?;
        Ok((bytes, entry))
    }

    fn signed(&mut self, id: &SubmissionId) -> Result<&Signed, ProofError> {
        if !self.envelopes.contains_key(id) {
            let bytes = self.snapshot.envelope(id)?.ok_or(ProofError::Pruned)?;
            let envelope = Envelope::decode(&bytes)
                .map_err(|error| StoreError::Io(format!("the envelope of submission {id}: {error}")))?;
            let status = self.snapshot.submission(id)?.ok_or(ProofError::NotFound)?;
            let hashes = status
                .placed
                .iter()
                .map(|(Placed::Here(index) | Placed::Before(index))| {
                    Ok(self.item_record(*index)?.1.item.into())
                })
                .collect::<Result<Vec<Digest>, ProofError>>()?;
            let items = merkle::Tree::of(hashes);
            self.envelopes.insert(*id, Signed { key: envelope.key_id(), bytes, items });
        }
        self.envelopes.get(id).ok_or(ProofError::NotFound)
    }

    fn key(&mut self, id: &KeyId) -> Result<ProvenKey, ProofError> {
        if let Some(key) = self.keys.get(id) {
            return Ok(key.clone());
        }
        let (value, proof) = self.snapshot.prove_entry(&registry::key_key(id))?;
        let entry = KeyEntry::from_bytes(&value.ok_or(ProofError::NotFound)?)
            .map_err(|error| StoreError::Io(format!("the entry of key {id}: {error}")))?;
        let key = ProvenKey { entry, proof };
        self.keys.insert(*id, key.clone());
        Ok(key)
    }
}

/// The name behind a trail's key, as far as the ledger knows it: the registry, an institution, or
/// what the trail's first records say. Nothing for a trail without records.
///
/// # Errors
/// When the store fails.
pub fn name_of(snapshot: &Snapshot<'_>, trail: &TrailKey) -> Result<Option<TrailName>, ProofError> {
    let registry = TrailName::registry(&snapshot.head().registrar);
    if registry.key() == *trail {
        return Ok(Some(registry));
    }
    let institution =
        |names: Vec<_>| names.iter().map(TrailName::institution).find(|name| name.key() == *trail);
    if let Some(name) = institution(snapshot.participants()?) {
        return Ok(Some(name));
    }
    let Some(first) = snapshot.trail(trail, 0, 1)?.into_iter().next() else { return Ok(None) };
    let record = decode_record(&first.record)?;
    let (Some(entry), Some(item)) = (record.as_item(), snapshot.item(first.index)?) else { return Ok(None) };
    let Ok(item) = Item::from_bytes(&item) else { return Ok(None) };
    let author = entry.author.as_participant();
    let name = match (&item.fields, author) {
        (Fields::PermitIssue(issue), Some(body)) => Some(TrailName::permit(body, &issue.permit)),
        (fields, author) => {
            let named = fields.subject_trail(author);
            named.map(|(custodian, local_id)| TrailName::subject(&custodian, local_id))
        }
    };
    // An institution that is not in the registry can still have a trail: somebody named it.
    let named = match &item.fields {
        Fields::AccessEvent(event) => institution(vec![event.custodian.clone(), event.acting.clone()]),
        _ => None,
    };
    Ok(name.filter(|name| name.key() == *trail).or(named))
}

/// The heights at which the validator set changes, each header looked at once.
#[derive(Debug, Default)]
pub struct ValidatorChanges {
    scanned: Height,
    heights: Vec<Height>,
}

impl ValidatorChanges {
    /// The links after `from`, up to the snapshot's head.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn links(&mut self, snapshot: &Snapshot<'_>, from: Height) -> Result<Vec<Link>, ProofError> {
        let head = snapshot.head().height;
        while self.scanned < head {
            let height = self.scanned.next();
            let header = snapshot.header(height)?.ok_or(ProofError::NotFound)?;
            if header.validators_hash != header.next_validators_hash {
                self.heights.push(height);
            }
            self.scanned = height;
        }
        self.heights
            .iter()
            .filter(|height| from < **height && **height <= head)
            .take(MAX_LINKS)
            .map(|height| {
                let header = snapshot.header(*height)?.ok_or(ProofError::NotFound)?;
                let certificate = snapshot.certificate(*height)?.ok_or(ProofError::NotFound)?;
                let next = snapshot.validators(&header.next_validators_hash)?.ok_or(ProofError::NotFound)?;
                Ok(Link { header, certificate, next })
            })
            .collect()
    }
}

pub(crate) fn decode_record(bytes: &[u8]) -> Result<Record, ProofError> {
    Record::from_bytes(bytes).map_err(|error| StoreError::Io(format!("a record of the log: {error}")).into())
}

/// The item's hash at `index`, if its record is of one.
///
/// # Errors
/// When the store fails.
pub fn item_at(snapshot: &Snapshot<'_>, index: LogIndex) -> Result<Option<ItemHash>, ProofError> {
    Ok(snapshot.decoded_record(index)?.as_ref().and_then(Record::as_item).map(|entry| entry.item))
}

fn item_path(signed: &Signed, position: u32) -> Result<Path, ProofError> {
    path(signed.items.path(u64::from(position)).ok_or(ProofError::NotFound)?)
}

fn path(hashes: Vec<Digest>) -> Result<Path, ProofError> {
    List::new(hashes).ok_or(ProofError::NotFound)
}

/// What the store gives back was within bounds when it was recorded.
fn bytes<const MAX: usize>(content: Vec<u8>) -> Result<Bytes<MAX>, ProofError> {
    let length = content.len();
    Bytes::new(content)
        .ok_or_else(|| StoreError::Io(format!("{length} bytes where at most {MAX} were recorded")).into())
}
