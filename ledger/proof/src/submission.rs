//! A submission: one signature over the root of one or many items.
//!
//! The envelope is a COSE_Sign1 (RFC 9052, tag 18) with protected header `{1: -19, 4: kid}`, an
//! *empty* unprotected header and the payload inside. `-19` is Ed25519 of RFC 9864, the only
//! algorithm accepted; ES256 is reserved. What is hashed and signed is the `Sig_structure`, so the
//! submission id does not depend on the signature: the same statement signed twice is one
//! submission.
//!
//! On the way through the network a submission is the array `[envelope, [item, ...]]` of byte
//! strings. Bytes travel, structures do not: [`Submission`] keeps the bytes it was read from.
//!
//! [`Submission::decode`] judges form only; [`Signed::verify`] makes a [`Verified`], the only way to
//! get one. Whether the author may say it is decided in `custos-state`.

use alloc::format;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;

use thiserror::Error;

use crate::cbor::{DecodeError, Reader, View, Wire, Writer, wire_struct};
use crate::given::{Form, Given, GivenError};
use crate::hash::{ChainId, Digest, ItemHash, KeyId, SubmissionId, Tag, TrailKey, tagged};
use crate::ids::{ParticipantId, Random16, TimeMs};
use crate::item::{MAX_ITEM_BYTES, items_root};
use crate::keys::{PublicKey, SignError, Signature, Signer, key_id, verify_zip215};
use crate::kinds::Class;

/// The version of the submission format.
pub const VERSION: u64 = 1;

/// The most items in one submission.
pub const MAX_ITEMS: usize = 1000;

/// The longest submission, in bytes.
pub const MAX_SUBMISSION_BYTES: usize = 1024 * 1024;

/// The longest envelope, in bytes.
pub const MAX_ENVELOPE_BYTES: usize = 512;

/// COSE algorithm Ed25519 (RFC 9864).
const ALG_ED25519: i64 = -19;
/// COSE algorithms that are reserved for later: ES256 (-7) and its fully specified form ESP256 (-9).
const ALG_RESERVED: [i64; 2] = [-7, -9];
const COSE_SIGN1: u64 = 18;

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Author {
    /// A participant of the registry.
    Participant(ParticipantId),
    /// The subject of a trail, with a key of its own for that trail alone.
    Subject(TrailKey),
}

impl Author {
    /// The participant, if it is one.
    #[must_use]
    pub const fn as_participant(&self) -> Option<&ParticipantId> {
        match self {
            Author::Participant(id) => Some(id),
            Author::Subject(_) => None,
        }
    }
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Author::Participant(id) => id.fmt(f),
            Author::Subject(trail) => write!(f, "the subject of trail {trail}"),
        }
    }
}

impl Wire for Author {
    fn write(&self, w: &mut Writer) {
        match self {
            Author::Participant(id) => id.write(w),
            Author::Subject(trail) => trail.write(w),
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut subject = r.clone();
        if let Ok(trail) = TrailKey::read(&mut subject) {
            *r = subject;
            return Ok(Author::Subject(trail));
        }
        ParticipantId::read(r).map(Author::Participant)
    }
    fn view(&self) -> View {
        match self {
            Author::Participant(id) => id.view(),
            Author::Subject(trail) => trail.view(),
        }
    }
    /// A participant's id has fewer characters than a trail's key has digits.
    fn from_given(given: &Given) -> Result<Self, GivenError> {
        let expected = Self::form().is;
        given.parse(&expected, |text| {
            let id = text.parse().map(Author::Participant).ok();
            id.or_else(|| text.parse().map(Author::Subject).ok())
        })
    }
    fn form() -> Form {
        let id = ParticipantId::form();
        Form { is: format!("{}, or {} for a subject", id.is, TrailKey::form().is), ..id }
    }
}

wire_struct! {
    /// What the author signs.
    pub struct Payload {
        /// [`VERSION`].
        pub version: u64,
        /// For this chain only.
        pub chain: ChainId,
        /// Who speaks.
        pub author: Author,
        /// Acts or testimony, never both.
        pub class: Class,
        /// Unique for this author until `not_after`.
        pub nonce: Random16,
        /// The last block time at which the submission may be recorded.
        pub not_after: TimeMs,
        /// The RFC 6962 root of the items.
        pub items_root: Digest,
        /// How many items there are.
        pub items_count: u32,
    }
}

/// A COSE_Sign1, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    bytes: Vec<u8>,
    payload: Payload,
    key_id: KeyId,
    signature: Signature,
    sig_structure: Vec<u8>,
}

impl Envelope {
    /// Takes a COSE_Sign1 apart.
    ///
    /// # Errors
    /// [`FormError`] for anything but the one spelling of the profile.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormError> {
        if bytes.len() > MAX_ENVELOPE_BYTES {
            return Err(FormError::TooLong { what: "envelope", max: MAX_ENVELOPE_BYTES });
        }
        let mut r = Reader::new(bytes);
        r.tag(COSE_SIGN1)?;
        r.array(4)?;
        let protected = r.bytes(MAX_ENVELOPE_BYTES)?;
        let key_id = protected_header(protected)?;
        if r.map_up_to(usize::MAX)? != 0 {
            return Err(FormError::UnprotectedHeader);
        }
        let payload_bytes = r.bytes(MAX_ENVELOPE_BYTES)?;
        let payload = Payload::from_bytes(payload_bytes)?;
        let signature = Signature(r.bytes_fixed()?);
        r.finish()?;
        if payload.version != VERSION {
            return Err(FormError::Version { found: payload.version });
        }
        if payload.items_count == 0 || payload.items_count as usize > MAX_ITEMS {
            return Err(FormError::ItemCount { stated: payload.items_count });
        }
        Ok(Self {
            sig_structure: sig_structure(protected, payload_bytes),
            bytes: bytes.to_vec(),
            payload,
            key_id,
            signature,
        })
    }

    /// Signs a payload.
    ///
    /// # Errors
    /// What the signer reports.
    pub fn sign(payload: &Payload, signer: &dyn Signer) -> Result<Self, SignError> {
        let key_id = key_id(&signer.public_key());
        let protected = {
            let mut w = Writer::new();
            w.map(2);
            w.u64(1);
            w.i64(ALG_ED25519);
            w.u64(4);
            key_id.write(&mut w);
            w.into_bytes()
        };
        let payload_bytes = payload.to_bytes();
        let sig_structure = sig_structure(&protected, &payload_bytes);
        let signature = signer.sign(&sig_structure)?;
        let mut w = Writer::new();
        w.tag(COSE_SIGN1);
        w.array(4);
        w.bytes(&protected);
        w.map(0);
        w.bytes(&payload_bytes);
        w.bytes(&signature.0);
        Ok(Self { bytes: w.into_bytes(), payload: payload.clone(), key_id, signature, sig_structure })
    }

    /// The bytes it was read from.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What the author signed.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The id of the key that is said to have signed.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// What is signed: `["Signature1", protected, h'', payload]`.
    #[must_use]
    pub fn sig_structure(&self) -> &[u8] {
        &self.sig_structure
    }

    /// The tagged hash of what is signed.
    #[must_use]
    pub fn submission_id(&self) -> SubmissionId {
        tagged(Tag::Submission, &[&self.sig_structure]).into()
    }

    /// Whether `key` is the named key and its signature is valid (ZIP-215).
    #[must_use]
    pub fn verifies_under(&self, key: &PublicKey) -> bool {
        key_id(key) == self.key_id && verify_zip215(key, &self.sig_structure, &self.signature)
    }
}

fn protected_header(bytes: &[u8]) -> Result<KeyId, FormError> {
    let mut r = Reader::new(bytes);
    if r.map_up_to(usize::MAX)? != 2 || r.u64()? != 1 {
        return Err(FormError::ProtectedHeader);
    }
    match r.i64()? {
        ALG_ED25519 => {}
        alg => return Err(FormError::Algorithm { alg, reserved: ALG_RESERVED.contains(&alg) }),
    }
    if r.u64()? != 4 {
        return Err(FormError::ProtectedHeader);
    }
    let key_id = KeyId::read(&mut r)?;
    r.finish()?;
    Ok(key_id)
}

fn sig_structure(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut w = Writer::new();
    w.array(4);
    w.text("Signature1");
    w.bytes(protected);
    w.bytes(&[]);
    w.bytes(payload);
    w.into_bytes()
}

/// An envelope with its items, whose form is good and whose items are those that the payload commits to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    bytes: Vec<u8>,
    id: SubmissionId,
    envelope: Envelope,
    items: Vec<Vec<u8>>,
    hashes: Vec<ItemHash>,
}

impl Submission {
    /// Reads a submission. Its signature is not checked here.
    ///
    /// # Errors
    /// [`FormError`], naming what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormError> {
        if bytes.len() > MAX_SUBMISSION_BYTES {
            return Err(FormError::TooLong { what: "submission", max: MAX_SUBMISSION_BYTES });
        }
        let mut r = Reader::new(bytes);
        r.array(2)?;
        let envelope = Envelope::decode(r.bytes(MAX_SUBMISSION_BYTES)?)?;
        let count = r.array_up_to(MAX_ITEMS)?;
        if count != envelope.payload.items_count as usize {
            return Err(FormError::ItemCount { stated: envelope.payload.items_count });
        }
        let items: Vec<Vec<u8>> =
            (0..count).map(|_| r.bytes(MAX_ITEM_BYTES).map(<[u8]>::to_vec)).collect::<Result<_, _>>()?;
        r.finish()?;
        let (root, hashes) = items_root(&items);
        if root != envelope.payload.items_root {
            return Err(FormError::ItemsRoot);
        }
        Ok(Self { bytes: bytes.to_vec(), id: envelope.submission_id(), envelope, items, hashes })
    }

    /// Signs items.
    ///
    /// # Errors
    /// What the signer reports, or [`FormError`] for items that are too many or too long.
    pub fn sign(draft: &Draft<'_>, items: Vec<Vec<u8>>, signer: &dyn Signer) -> Result<Self, SubmitError> {
        if items.is_empty() || items.len() > MAX_ITEMS {
            return Err(
                FormError::ItemCount { stated: u32::try_from(items.len()).unwrap_or(u32::MAX) }.into()
            );
        }
        if items.iter().any(|item| item.len() > MAX_ITEM_BYTES) {
            return Err(FormError::TooLong { what: "item", max: MAX_ITEM_BYTES }.into());
        }
        let (items_root, hashes) = items_root(&items);
        let payload = Payload {
            version: VERSION,
            chain: *draft.chain,
            author: draft.author.clone(),
            class: draft.class,
            nonce: draft.nonce,
            not_after: draft.not_after,
            items_root,
            items_count: u32::try_from(items.len()).expect("because MAX_ITEMS fits"),
        };
        let envelope = Envelope::sign(&payload, signer)?;
        let bytes = frame(envelope.bytes(), &items);
        if bytes.len() > MAX_SUBMISSION_BYTES {
            return Err(FormError::TooLong { what: "submission", max: MAX_SUBMISSION_BYTES }.into());
        }
        Ok(Self { bytes, id: envelope.submission_id(), envelope, items, hashes })
    }

    /// The bytes it was read from.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The submission id.
    #[must_use]
    pub fn id(&self) -> SubmissionId {
        self.id
    }

    /// The signed envelope.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// What the author signed.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.envelope.payload
    }

    /// The items' bytes, in order.
    #[must_use]
    pub fn items(&self) -> &[Vec<u8>] {
        &self.items
    }

    /// The items' hashes, in order.
    #[must_use]
    pub fn item_hashes(&self) -> &[ItemHash] {
        &self.hashes
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// Gives the submission back when `key` is not the named key or the signature is not valid.
    pub fn verify(self, key: &PublicKey) -> Result<Verified, BadSignature> {
        if self.envelope.verifies_under(key) { Ok(Verified(self)) } else { Err(BadSignature) }
    }
}

/// The bytes of a submission from its parts: `[envelope, [item, ...]]`.
#[must_use]
pub fn frame(envelope: &[u8], items: &[Vec<u8>]) -> Vec<u8> {
    let mut w = Writer::new();
    w.array(2);
    w.bytes(envelope);
    w.array(items.len());
    items.iter().for_each(|item| w.bytes(item));
    w.into_bytes()
}

/// A submission whose signature has been checked against the named key.
///
/// # Correctness
/// Made by [`Submission::verify`] and [`Verified::all`] only: holding one is the proof that the
/// check was made, so that nobody has to make it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified(Submission);

impl Verified {
    /// Checks many signatures at once; one bad signature is found and only that one is refused.
    ///
    /// `check` is given every (key, message, signature) and answers for each whether it is valid under
    /// ZIP-215, as [`crate::batch::verify_batch`] does, or by a stricter rule of the caller's.
    pub fn all(
        submissions: Vec<(Submission, PublicKey)>,
        check: impl FnOnce(&[(PublicKey, &[u8], Signature)]) -> Vec<bool>,
    ) -> Vec<Result<Verified, BadSignature>> {
        let triples: Vec<_> = submissions
            .iter()
            .map(|(s, key)| (*key, s.envelope.sig_structure(), *s.envelope.signature()))
            .collect();
        let answers = check(&triples);
        submissions
            .into_iter()
            .enumerate()
            .map(|(i, (submission, key))| {
                let named = key_id(&key) == submission.envelope.key_id;
                match answers.get(i) {
                    Some(true) if named => Ok(Verified(submission)),
                    _ => Err(BadSignature),
                }
            })
            .collect()
    }

    /// The submission.
    #[must_use]
    pub fn into_inner(self) -> Submission {
        self.0
    }
}

impl Deref for Verified {
    type Target = Submission;
    fn deref(&self) -> &Submission {
        &self.0
    }
}

/// What a submission is to say about itself.
#[derive(Debug, Clone)]
pub struct Draft<'a> {
    /// The chain.
    pub chain: &'a ChainId,
    /// Who speaks.
    pub author: Author,
    /// Acts or testimony.
    pub class: Class,
    /// 16 fresh random bytes.
    pub nonce: Random16,
    /// The last block time at which it may be recorded.
    pub not_after: TimeMs,
}

/// A signature that is not that of the named key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the signature is not valid under the named key")]
pub struct BadSignature;

/// Why bytes are not a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FormError {
    /// Not the profile's CBOR, or out of bounds.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Too many bytes.
    #[error("{what} longer than {max} bytes")]
    TooLong {
        /// Of what.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// The unprotected header is not the empty map.
    #[error("the unprotected header must be empty: it is not signed")]
    UnprotectedHeader,
    /// The protected header is not `{1: alg, 4: kid}`.
    #[error("the protected header must be exactly {{1: alg, 4: kid}}")]
    ProtectedHeader,
    /// Another algorithm.
    #[error("signature algorithm {alg} is not accepted{}", if *.reserved { " yet" } else { "" })]
    Algorithm {
        /// The COSE algorithm number.
        alg: i64,
        /// Whether it is reserved for a later version.
        reserved: bool,
    },
    /// Another version of the format.
    #[error("submission format version {found} is not known")]
    Version {
        /// The stated version.
        found: u64,
    },
    /// The number of items is out of bounds, or not what the payload states.
    #[error("the number of items is not between 1 and {MAX_ITEMS}, or not the stated {stated}")]
    ItemCount {
        /// What the payload states.
        stated: u32,
    },
    /// The items are not those that were signed.
    #[error("the items do not hash to the signed items_root")]
    ItemsRoot,
}

/// Why a submission could not be made.
#[derive(Debug, Error)]
pub enum SubmitError {
    /// The signer refused.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The items do not make a submission.
    #[error(transparent)]
    Form(#[from] FormError),
}
