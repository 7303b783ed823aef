//! Many signatures at once: ZIP-215 batch verification that merges the terms of equal keys.
//!
//! A permissioned ledger has few signing keys, so a batch costs about a quarter of single checks.
//! Under ZIP-215 a batch is valid exactly if every member is, so this is a matter of speed only. The
//! batch's random coefficients are drawn from a generator seeded with the hash of everything that is
//! checked: nobody can choose a signature after knowing its coefficient, and nothing here depends on
//! an operating system.

use custos_proof::keys::{PublicKey, Signature, verify_zip215};
use ed25519_zebra::{VerificationKeyBytes, batch};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sha2::{Digest, Sha256};

/// Below this many signatures a batch is not worth its set-up.
const WORTHWHILE: usize = 4;

/// For each (key, message, signature) whether it is valid under ZIP-215.
///
/// A batch that fails is halved until the bad members are found.
#[must_use]
pub fn verify_batch(signed: &[(PublicKey, &[u8], Signature)]) -> Vec<bool> {
    let mut valid = vec![false; signed.len()];
    verify_into(signed, &mut valid);
    valid
}

fn verify_into(signed: &[(PublicKey, &[u8], Signature)], valid: &mut [bool]) {
    if signed.len() < WORTHWHILE {
        for ((key, message, signature), valid) in signed.iter().zip(valid) {
            *valid = verify_zip215(key, message, signature);
        }
    } else if all_valid(signed) {
        valid.fill(true);
    } else {
        let middle = signed.len() / 2;
        let (left, right) = valid.split_at_mut(middle);
        verify_into(&signed[..middle], left);
        verify_into(&signed[middle..], right);
    }
}

fn all_valid(signed: &[(PublicKey, &[u8], Signature)]) -> bool {
    let mut verifier = batch::Verifier::new();
    let mut seed = Sha256::new();
    for (key, message, signature) in signed {
        seed.update(key.0);
        seed.update(Sha256::digest(message));
        seed.update(signature.0);
        let signature = ed25519_zebra::Signature::from_bytes(&signature.0);
        verifier.queue((VerificationKeyBytes::from(key.0), signature, message));
    }
    verifier.verify(ChaCha20Rng::from_seed(seed.finalize().into())).is_ok()
}
