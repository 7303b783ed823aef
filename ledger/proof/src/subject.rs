//! Pseudonyms of subjects: what a custodian and a patient derive from the secret they share.
//!
//! One custodian and one patient share `k`. Per calendar year `k_e = HKDF-SHA-256(k, epoch)`; the
//! trail of that year for one grantee has the local id `HMAC-SHA-256(k_e, CBOR [...])`. Without
//! `k_e`, local ids of one patient cannot be told from those of others; with it, all trails of that
//! year can be found, and no other year's. Auditors and guardians get `k_e`, never `k`.
//!
//! A subject that signs for itself has a key for each trail, from a second secret `s` that no custodian
//! ever sees.
//!
//! Who may read a trail without an account shows the reader's preimage, which only holders of `k_e`
//! can compute.

use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::cbor::{Wire, Writer};
use crate::hash::{ChainId, Digest, TrailKey, sha256};
use crate::ids::ParticipantId;

/// The secret of one year.
#[derive(Clone, PartialEq, Eq)]
pub struct EpochSecret(pub [u8; 32]);

/// `k_e = HKDF-SHA-256(salt = none, ikm = k, info = CBOR ["custos/1/epoch", epoch])`, 32 bytes.
#[must_use]
pub fn epoch_secret(k: &[u8; 32], epoch: u16) -> EpochSecret {
    let mut w = Writer::new();
    w.array(2);
    w.text("custos/1/epoch");
    w.u64(u64::from(epoch));
    let mut out = [0; 32];
    Hkdf::<Sha256>::new(None, k)
        .expand(&w.into_bytes(), &mut out)
        .expect("because 32 bytes is a valid HKDF-SHA-256 length");
    EpochSecret(out)
}

/// The local id of a trail: `HMAC-SHA-256(k_e, CBOR ["custos/1/local-id", chain, custodian, [grantee] or []])`.
#[must_use]
pub fn local_id(
    secret: &EpochSecret,
    chain: &ChainId,
    custodian: &ParticipantId,
    grantee: Option<&ParticipantId>,
) -> Digest {
    let mut w = Writer::new();
    w.array(4);
    w.text("custos/1/local-id");
    chain.write(&mut w);
    custodian.write(&mut w);
    grantee.cloned().write(&mut w);
    Digest(mac(secret, &[&w.into_bytes()]))
}

/// The seed (RFC 8032) of a subject's Ed25519 key for one trail:
/// `HKDF-SHA-256(salt = none, ikm = s, info = CBOR ["custos/1/subject-key", trail key])`, 32 bytes.
///
/// # Correctness
/// `s` is a second secret, drawn by the subject and never told to the custodian: whoever has it can speak as the
/// subject. It MUST NOT be derived from `k`, which the custodian has.
#[must_use]
pub fn subject_key_seed(s: &[u8; 32], trail: &TrailKey) -> [u8; 32] {
    let mut w = Writer::new();
    w.array(2);
    w.text("custos/1/subject-key");
    trail.write(&mut w);
    let mut out = [0; 32];
    Hkdf::<Sha256>::new(None, s)
        .expand(&w.into_bytes(), &mut out)
        .expect("because 32 bytes is a valid HKDF-SHA-256 length");
    out
}

/// What a reader shows: `HMAC-SHA-256(k_e, "read" || local id)`.
#[must_use]
pub fn reader_preimage(secret: &EpochSecret, local_id: &Digest) -> [u8; 32] {
    mac(secret, &[b"read", &local_id.0])
}

/// What `trail.open` carries: SHA-256 of the reader's preimage.
#[must_use]
pub fn reader(secret: &EpochSecret, local_id: &Digest) -> Digest {
    sha256(&reader_preimage(secret, local_id))
}

fn mac(secret: &EpochSecret, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac =
        <Hmac<Sha256> as Mac>::new_from_slice(&secret.0).expect("because HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}
