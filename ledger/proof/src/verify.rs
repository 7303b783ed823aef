//! The verifier: what a receipt or a trail proof shows, given a trust anchor and nothing else.
//!
//! Every check is made here, in the order in which a sceptic would make it: was the header decided
//! by validators that follow from the anchor, is the record in its log, is the item what the record
//! names, did the author sign it with a key that was the author's at that point. What comes back is
//! what was proven; how to say it to people is the caller's business, with one rule: never "B read",
//! but "A states that B read".

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use thiserror::Error;

use crate::anchor::{Link, Recency, Trust, TrustAnchor};
use crate::batch::{self, all_valid};
use crate::cbor::{DecodeError, Wire};
use crate::certificate::CertificateError;
use crate::hash::{ChainId, Digest, ItemHash, KeyId, TrailKey};
use crate::header::Header;
use crate::ids::{Height, ItemId, TimeMs};
use crate::item::{Item, item_hash};
use crate::keys::{KeyPurpose, is_strict, key_id};
use crate::merkle;
use crate::receipt::{ProvenKey, Receipt};
use crate::record::{ItemEntry, Record};
use crate::registry::{self, KeyEntry, TrailHead};
use crate::state_map;
use crate::submission::{Envelope, FormError};
use crate::trail::TrailName;
use crate::trail_proof::{Entry, TrailProof};

/// Why something is not verified.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    /// The bytes are not in the format's one spelling.
    #[error("the {what} is not well formed: {error}")]
    Form {
        /// Which part.
        what: &'static str,
        /// What is wrong.
        error: DecodeError,
    },
    /// The envelope is not well formed.
    #[error("the envelope is not well formed: {0}")]
    Envelope(FormError),
    /// The file is of another chain than the anchor.
    #[error("the file is of chain {found}, the anchor of chain {anchor}; use the anchor of that network")]
    OtherChain {
        /// The anchor's.
        anchor: ChainId,
        /// The file's.
        found: ChainId,
    },
    /// The header is of a protocol version that this program lacks.
    #[error("the header is of protocol version {version}, which this program does not know; use a newer one")]
    Protocol {
        /// Which.
        version: u64,
    },
    /// Another block than the anchor's at its height. Judged before the certificate, which may be forged.
    #[error(
        "another block than the anchor's stands at height {height}: the file is forged, or the validators signed two histories"
    )]
    Fork {
        /// The height.
        height: Height,
    },
    /// The certificate is for another block.
    #[error("the certificate is for another block than the header")]
    CertificateOfAnother,
    /// The certificate does not verify.
    #[error("the header is not certified: {0}")]
    Certificate(CertificateError),
    /// A link does not follow.
    #[error("the link at height {height} does not hold")]
    BadLink {
        /// The height.
        height: Height,
    },
    /// Times that do not rise with heights.
    #[error(
        "the time of the header at height {height} does not follow from those of the anchor and the links before it"
    )]
    HeaderTime {
        /// The height.
        height: Height,
    },
    /// The validators do not follow from the anchor with the links given.
    #[error(
        "the validators at height {height} do not follow from the anchor; fetch the links with `custos anchor links`, or, for a block before the anchor, take the older anchor"
    )]
    Unlinked {
        /// The height.
        height: Height,
    },
    /// The header is older than asked for.
    #[error("the header is of {time}, older than asked for; fetch a newer proof")]
    TooOld {
        /// Its time.
        time: TimeMs,
    },
    /// The witnesses' signatures do not fit the header, or not all of them verify.
    #[error("the cosignatures of the witnesses do not hold for this header")]
    Witnesses,
    /// Past the trust period, without witnesses.
    #[error(
        "signed by validators that follow from the anchor of {anchor}, but at {target} that is too long ago: could not exclude a forgery by keys retired since; an anchor has to be moved before it is 90 days old: get a new one from somebody you trust"
    )]
    RetiredKeys {
        /// The anchor's time.
        anchor: TimeMs,
        /// The header's time.
        target: TimeMs,
    },
    /// The record is not in the header's log.
    #[error("the record is not in the log that the header commits to")]
    NotInLog,
    /// The record claims a block after the header, or a time that is not its block's.
    #[error("the record's height or time does not fit the header")]
    RecordTime,
    /// The record is not of this item.
    #[error("the record is of another item")]
    OtherItem,
    /// The record is not of this submission.
    #[error("the record is of another submission")]
    OtherSubmission,
    /// The item is not among those that the author signed.
    #[error("the item is not among those that the author signed")]
    NotSigned,
    /// The item's class is not the envelope's.
    #[error("the item is not of the class that the author signed for")]
    OtherClass,
    /// The key's entry is not in the header's state.
    #[error("the author's key is not in the state that the header commits to")]
    KeyProof,
    /// The key was not the author's, or not for signing, or not valid then.
    #[error("the key was not a valid signing key of the author when the item was recorded")]
    KeyNotValid,
    /// No key was given for an envelope.
    #[error("the proof lacks the key of an author")]
    KeyMissing,
    /// The author's signature does not verify.
    #[error("the author's signature does not verify")]
    AuthorSignature,
    /// The trail's size and root are not in the header's state.
    #[error("the trail's size and root are not in the state that the header commits to")]
    TrailHead,
    /// The entries are not those of the trail.
    #[error("the entries do not hash to the trail's root: something is missing, added or changed")]
    TrailRoot,
    /// An entry's record is not listed at its place in this trail.
    #[error("the record at position {position} is not listed there")]
    NotListed {
        /// Which.
        position: u64,
    },
    /// An absence proof that carries entries, or an entry that refers to nothing.
    #[error("the proof contradicts itself")]
    Contradiction,
    /// An opening does not fit its seal.
    #[error("the opening of field {field} of item {item_id} does not fit its seal")]
    Opening {
        /// Of which item.
        item_id: ItemId,
        /// Which field.
        field: u8,
    },
}

impl Failure {
    /// Whether this speaks against what was shown, rather than for too little being known.
    #[must_use]
    pub const fn is_evidence(&self) -> bool {
        !matches!(
            self,
            Failure::OtherChain { .. }
                | Failure::Protocol { .. }
                | Failure::Unlinked { .. }
                | Failure::TooOld { .. }
                | Failure::RetiredKeys { .. }
        )
    }
}

/// What a verifier starts from.
#[derive(Debug, Clone, Copy)]
pub struct Basis<'a> {
    /// What is believed.
    pub anchor: &'a TrustAnchor,
    /// The way to later validators.
    pub links: &'a [Link],
    /// How strictly time is judged.
    pub recency: Recency,
}

/// A header that follows from the anchor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenHeader {
    /// The header.
    pub header: Header,
    /// The positions of the validators that signed.
    pub signers: Vec<u16>,
    /// How it came to be believed.
    pub trust: Trust,
}

/// An item that is proven to be recorded and signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenItem {
    /// How it is referred to.
    pub hash: ItemHash,
    /// The item.
    pub item: Item,
    /// Its record.
    pub record: Record,
    /// What the record says of it.
    pub entry: ItemEntry,
    /// The author's key.
    pub key: KeyEntry,
    /// When the envelope would have expired.
    pub not_after: TimeMs,
    /// What the author signed; shared by all items of the submission.
    pub envelope: Arc<Envelope>,
}

impl ProvenItem {
    /// Whether a verifier that follows RFC 8032 strictly accepts the author's signature too.
    ///
    /// Nothing proven depends on it, and the check costs as much as a signature's: it is made when asked for.
    #[must_use]
    pub fn is_strict(&self) -> bool {
        is_strict(&self.key.key, self.envelope.sig_structure(), self.envelope.signature())
    }
}

/// What a receipt shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenReceipt {
    /// The header that commits to it.
    pub header: ProvenHeader,
    /// The item.
    pub item: ProvenItem,
}

/// One entry of a proven trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenEntry {
    /// Its position in the trail.
    pub position: u64,
    /// Its record.
    pub record: Record,
    /// What is shown of it.
    pub content: Content,
}

/// What a trail proof shows of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The item.
    Item(alloc::boxed::Box<ProvenItem>),
    /// Held back on the order of another item.
    Withheld(ItemHash),
    /// The bytes are gone; that it was recorded, when and by whom is proven.
    Pruned,
}

/// What a trail proof shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenTrail {
    /// The header that commits to it.
    pub header: ProvenHeader,
    /// Which trail.
    pub name: TrailName,
    /// Its key.
    pub key: TrailKey,
    /// How many entries it has under that header; 0 also when it does not exist.
    pub size: u64,
    /// The entries shown, in order.
    pub entries: Vec<ProvenEntry>,
    /// The position of the first.
    pub begin: u64,
}

impl ProvenTrail {
    /// Whether the entries are all that were recorded on the trail.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.begin == 0 && self.entries.len() as u64 == self.size
    }

    /// Whether every entry *recorded* between two block times (both included) is shown: the entries reach
    /// beyond both, or to the trail's ends.
    #[must_use]
    pub fn covers(&self, from: TimeMs, to: TimeMs) -> bool {
        let reaches_back =
            self.begin == 0 || self.entries.first().is_some_and(|first| first.record.time < from);
        let end = self.begin.saturating_add(self.entries.len() as u64);
        let reaches_on = end == self.size || self.entries.last().is_some_and(|last| last.record.time > to);
        reaches_back && reaches_on && to <= self.header.header.time
    }

    /// How many entries are withheld, and how many pruned.
    #[must_use]
    pub fn not_shown(&self) -> (usize, usize) {
        let count = |wanted: fn(&Content) -> bool| self.entries.iter().filter(|e| wanted(&e.content)).count();
        (count(|c| matches!(c, Content::Withheld(_))), count(|c| matches!(c, Content::Pruned)))
    }
}

/// Verifies a receipt.
///
/// # Errors
/// [`Failure`].
pub fn receipt(receipt: &Receipt, basis: &Basis<'_>) -> Result<ProvenReceipt, Failure> {
    let header = &receipt.header;
    let trust = basis.anchor.believe(
        basis.links,
        header,
        &receipt.certificate,
        receipt.witnessed.as_ref(),
        &basis.recency,
    )?;
    let record = decode_record(&receipt.record, header)?;
    let leaf = merkle::leaf_hash(&receipt.record);
    if !merkle::verify_inclusion(
        &leaf,
        record.index.0,
        header.log_size.0,
        &receipt.record_path,
        &header.log_root,
    ) {
        return Err(Failure::NotInLog);
    }
    let envelope = Envelope::decode(&receipt.envelope).map_err(Failure::Envelope)?;
    receipt.author_key.check(header)?;
    let signed = check_author(envelope, &receipt.author_key.entry, &header.chain)?;
    if !signed.verifies() {
        return Err(Failure::AuthorSignature);
    }
    let item = check_item(&receipt.item, &receipt.item_path, record, &signed)?;
    Ok(ProvenReceipt { header: proven_header(header, &receipt.certificate, trust), item })
}

/// Verifies a trail proof.
///
/// # Errors
/// [`Failure`].
pub fn trail(proof: &TrailProof, basis: &Basis<'_>) -> Result<ProvenTrail, Failure> {
    let header = &proof.header;
    let trust = basis.anchor.believe(
        basis.links,
        header,
        &proof.certificate,
        proof.witnessed.as_ref(),
        &basis.recency,
    )?;
    let key = proof.name.key();
    check_head(proof, header, &key)?;
    proof.keys.iter().try_for_each(|key| key.check(header))?;
    let envelopes = check_envelopes(proof, &header.chain)?;
    let mut entries = Vec::with_capacity(proof.entries.len());
    let mut previous = None;
    for (position, entry) in (proof.begin..).zip(proof.entries.iter()) {
        let record = decode_record(entry.record(), header)?;
        let listed = record.listings().iter().any(|l| l.trail == key && l.position == position);
        if !listed || previous.is_some_and(|before| record.index <= before) {
            return Err(Failure::NotListed { position });
        }
        previous = Some(record.index);
        let content = match entry {
            Entry::Full { item, envelope, item_path, .. } => {
                let signed = envelopes.get(*envelope as usize).ok_or(Failure::Contradiction)?;
                Content::Item(check_item(item, item_path, record.clone(), signed)?.into())
            }
            Entry::Withheld { warrant, .. } => Content::Withheld(*warrant),
            Entry::Pruned { .. } => Content::Pruned,
        };
        entries.push(ProvenEntry { position, record, content });
    }
    Ok(ProvenTrail {
        header: proven_header(header, &proof.certificate, trust),
        name: proof.name.clone(),
        key,
        size: proof.head.as_ref().map_or(0, |head| head.size),
        entries,
        begin: proof.begin,
    })
}

fn proven_header(
    header: &Header,
    certificate: &crate::certificate::Certificate,
    trust: Trust,
) -> ProvenHeader {
    ProvenHeader {
        header: header.clone(),
        signers: certificate.signatures.iter().map(|s| s.signer).collect(),
        trust,
    }
}

fn decode_record(bytes: &[u8], header: &Header) -> Result<Record, Failure> {
    let record = Record::from_bytes(bytes).map_err(|error| Failure::Form { what: "record", error })?;
    let fits = if record.height == header.height {
        record.time == header.time
    } else {
        record.height < header.height && record.time < header.time
    };
    if fits && record.index.0 < header.log_size.0 { Ok(record) } else { Err(Failure::RecordTime) }
}

/// The trail's size and root are in the state, and the entries hash to them.
fn check_head(proof: &TrailProof, header: &Header, key: &TrailKey) -> Result<(), Failure> {
    let value = proof.head.as_ref().map(TrailHead::to_bytes);
    let state_key = registry::trail_key(key);
    if !state_map::verify(&header.state_root, &state_key, value.as_deref(), &proof.head_proof) {
        return Err(Failure::TrailHead);
    }
    let leaves: Vec<Digest> = proof.leaves();
    match &proof.head {
        None if proof.begin == 0 && leaves.is_empty() && proof.range_path.is_empty() => Ok(()),
        None => Err(Failure::Contradiction),
        Some(head) => {
            if merkle::verify_range(proof.begin, &leaves, head.size, &proof.range_path, &head.root) {
                Ok(())
            } else {
                Err(Failure::TrailRoot)
            }
        }
    }
}

/// An envelope and the key that speaks for its author. Its signature is checked once, however many items it carries.
struct Signed<'a> {
    envelope: Arc<Envelope>,
    key: &'a KeyEntry,
}

impl Signed<'_> {
    /// Whether the signature is valid; that the key is the one the envelope names included.
    fn verifies(&self) -> bool {
        self.envelope.verifies_under(&self.key.key)
    }

    fn triple(&self) -> batch::Signed<'_> {
        (self.key.key, self.envelope.sig_structure(), *self.envelope.signature())
    }
}

/// The proof's envelopes, each with the key that signed it.
///
/// The signatures come last and all at once. What is found is what one by one would have found: the first
/// envelope with a defect says what is wrong, and a bad signature before it comes before it.
fn check_envelopes<'a>(proof: &'a TrailProof, chain: &ChainId) -> Result<Vec<Signed<'a>>, Failure> {
    let by_id: BTreeMap<KeyId, &KeyEntry> =
        proof.keys.iter().rev().map(|k: &ProvenKey| (key_id(&k.entry.key), &k.entry)).collect();
    let mut signed = Vec::with_capacity(proof.envelopes.len());
    let mut defect = None;
    for bytes in proof.envelopes.iter() {
        let found = Envelope::decode(bytes).map_err(Failure::Envelope).and_then(|envelope| {
            // Found by the id that the envelope names: no other key is ever tried.
            let key = by_id.get(&envelope.key_id()).ok_or(Failure::KeyMissing)?;
            check_author(envelope, key, chain)
        });
        match found {
            Ok(found) => signed.push(found),
            Err(failure) => {
                defect = Some(failure);
                break;
            }
        }
    }
    let triples: Vec<_> = signed.iter().map(Signed::triple).collect();
    if !all_valid(&triples) {
        return Err(Failure::AuthorSignature);
    }
    defect.map_or(Ok(signed), Err)
}

/// The envelope is for this chain and names as its author the owner of a signing key. Its signature is not checked here.
fn check_author<'a>(envelope: Envelope, key: &'a KeyEntry, chain: &ChainId) -> Result<Signed<'a>, Failure> {
    let payload = envelope.payload();
    if payload.chain != *chain {
        return Err(Failure::AuthorSignature);
    }
    if key.purpose != KeyPurpose::Sign || payload.author != key.owner {
        return Err(Failure::KeyNotValid);
    }
    Ok(Signed { envelope: Arc::new(envelope), key })
}

/// The item is the record's, was signed in this envelope, and the key was valid when it was recorded.
fn check_item(
    bytes: &[u8],
    path: &[Digest],
    record: Record,
    signed: &Signed<'_>,
) -> Result<ProvenItem, Failure> {
    let Signed { envelope, key } = signed;
    let entry = record.as_item().ok_or(Failure::OtherItem)?.clone();
    let hash = item_hash(bytes);
    if entry.item != hash {
        return Err(Failure::OtherItem);
    }
    let payload = envelope.payload();
    if entry.submission != envelope.submission_id() || entry.author != payload.author {
        return Err(Failure::OtherSubmission);
    }
    if !merkle::verify_inclusion(
        &hash.into(),
        u64::from(entry.position),
        u64::from(payload.items_count),
        path,
        &payload.items_root,
    ) {
        return Err(Failure::NotSigned);
    }
    let item = Item::from_bytes(bytes).map_err(|error| Failure::Form { what: "item", error })?;
    if item.kind().class() != payload.class {
        return Err(Failure::OtherClass);
    }
    if record.time > payload.not_after || !key.is_valid_at(record.index, record.time) {
        return Err(Failure::KeyNotValid);
    }
    Ok(ProvenItem {
        hash,
        item,
        entry,
        record,
        key: (*key).clone(),
        not_after: payload.not_after,
        envelope: Arc::clone(envelope),
    })
}
