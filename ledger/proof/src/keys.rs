//! Ed25519 keys and signatures, and the one rule for when a signature is valid: ZIP-215.
//!
//! Implementations of Ed25519 disagree about crafted signatures, some even with themselves: alone
//! valid, invalid in a batch. A ledger whose validators disagree about a signature stops. ZIP-215
//! says for every input whether it is valid, and batch and single verification agree by
//! definition; it is the rule for submissions, votes and checkpoints alike.
//!
//! ZIP-215 accepts keys of small order, under which one signature fits every message. Such keys
//! never enter the registry ([`is_registrable`]), and the first node that takes a submission also
//! refuses what a careful verifier elsewhere would refuse ([`is_strict`]).
//!
//! Deliberately absent: secret keys. They are behind [`Signer`], in a file, an agent or an HSM.

use alloc::string::String;
use alloc::vec::Vec;

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use ed25519_zebra::VerificationKey;
use sha2::{Digest as _, Sha512};
use thiserror::Error;

use crate::cbor::{Writer, wire_enum};
use crate::hash::{KeyId, Tag, fixed_bytes, tagged};

fixed_bytes! {
    /// An Ed25519 public key as RFC 8032 encodes it. Any 32 bytes: whether they are a key shows when they are used.
    PublicKey[32];
    /// An Ed25519 signature as RFC 8032 encodes it.
    Signature[64];
}

wire_enum! {
    /// What a key may do. A key has one purpose and one owner, for ever.
    pub enum KeyPurpose {
        /// Signs submissions.
        Sign = 1, "sign";
        /// Signs votes and proposals.
        Consensus = 2, "consensus";
        /// Authenticates a node to its peers.
        Transport = 3, "transport";
        /// Signs checkpoints and witness cosignatures.
        Note = 4, "note";
        /// Encrypts to a custodian's vault.
        Vault = 5, "vault";
    }
}

/// Whether `signature` is valid for `message` under `key` by ZIP-215.
#[must_use]
pub fn verify_zip215(key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
    VerificationKey::try_from(key.0)
        .is_ok_and(|key| key.verify(&ed25519_zebra::Signature::from(signature.0), message).is_ok())
}

/// Whether the strictest verifiers in use would accept the signature too.
///
/// That is, beyond ZIP-215: neither the key nor R has small order, R is canonically encoded, and
/// the equation of RFC 8032 holds without the cofactor. Whatever is strict is valid by ZIP-215.
#[must_use]
pub fn is_strict(key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
    let (r_bytes, s_bytes) = halves(signature);
    let Some(a) = decompress(&key.0) else {
        return false;
    };
    let Some(s) = Option::<Scalar>::from(Scalar::from_canonical_bytes(s_bytes)) else {
        return false;
    };
    let challenge = Sha512::new().chain_update(r_bytes).chain_update(key.0).chain_update(message).finalize();
    let k = Scalar::from_bytes_mod_order_wide(&challenge.into());
    let r = EdwardsPoint::vartime_double_scalar_mul_basepoint(&k, &-a, &s);
    // Comparing encodings, not points, is what refuses an R that is not canonical, or none at all.
    r.compress().0 == r_bytes && !a.is_small_order() && !r.is_small_order()
}

/// Why a key must not enter the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyDefect {
    /// The bytes are no point on the curve.
    #[error("the key is not a point of the curve")]
    NotAPoint,
    /// The same key has another, canonical, encoding: it could be registered twice.
    #[error("the key is not canonically encoded")]
    NotCanonical,
    /// One signature fits every message.
    #[error("the key has small order")]
    SmallOrder,
    /// The key has a component of small order, which some verifiers see and others do not.
    #[error("the key is not of prime order")]
    MixedOrder,
}

/// Whether a key may enter the registry: canonically encoded and of prime order.
///
/// # Errors
/// What is wrong with it.
pub fn is_registrable(key: &PublicKey) -> Result<(), KeyDefect> {
    let point = decompress(&key.0).ok_or(KeyDefect::NotAPoint)?;
    if point.compress().0 != key.0 {
        Err(KeyDefect::NotCanonical)
    } else if point.is_small_order() {
        Err(KeyDefect::SmallOrder)
    } else if !point.is_torsion_free() {
        Err(KeyDefect::MixedOrder)
    } else {
        Ok(())
    }
}

/// The key as a COSE_Key (RFC 9053, section 7.2), deterministically encoded: `{1: 1, -1: 6, -2: x}`.
#[must_use]
pub fn cose_key(key: &PublicKey) -> Vec<u8> {
    let mut w = Writer::new();
    w.map(3);
    w.u64(1); // kty
    w.u64(1); // OKP
    w.i64(-1); // crv
    w.u64(6); // Ed25519
    w.i64(-2); // x
    w.bytes(&key.0);
    w.into_bytes()
}

/// The name of a key: the tagged hash of its COSE_Key.
#[must_use]
pub fn key_id(key: &PublicKey) -> KeyId {
    tagged(Tag::Key, &[&cose_key(key)]).into()
}

/// Something that signs: a key in a file, an agent, an HSM.
pub trait Signer: Send + Sync {
    /// The key under which the signatures verify.
    fn public_key(&self) -> PublicKey;

    /// Signs `message` as it is, without hashing it first (Ed25519, not Ed25519ph).
    ///
    /// # Errors
    /// When whatever holds the key does not answer, or refuses.
    fn sign(&self, message: &[u8]) -> Result<Signature, SignError>;
}

/// The holder of a key did not sign. The text is for the operator.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("could not sign: {0}")]
pub struct SignError(pub String);

fn decompress(bytes: &[u8; 32]) -> Option<EdwardsPoint> {
    CompressedEdwardsY(*bytes).decompress()
}

/// R and s.
fn halves(signature: &Signature) -> ([u8; 32], [u8; 32]) {
    let (mut r, mut s) = ([0; 32], [0; 32]);
    r.copy_from_slice(&signature.0[..32]);
    s.copy_from_slice(&signature.0[32..]);
    (r, s)
}
