//! Many signatures at once: ZIP-215 batch verification that merges the terms of equal keys.
//!
//! A permissioned ledger has few signing keys, so a batch costs about a quarter of single checks.
//! Under ZIP-215 a batch is valid exactly if every member is, so this is a matter of speed only:
//! whatever is said here of a signature is what [`verify_zip215`] says of it.
//!
//! The batch equation is a random combination of the members' equations. Its coefficients come from
//! a hash of everything that is checked, so that nothing here depends on an operating system:
//!
//! ```text
//! seed = SHA-256(label || for each member: key || SHA-256(message) || signature)
//! z_2i || z_2i+1 = SHA-256(seed || i)          128 bits each, i of 64 bits little-endian
//! ```
//!
//! # Correctness
//! Members are of fixed length, so different batches have different seeds. The seed covers *all* of
//! them: whoever changes one signature changes every coefficient, and neither lists of signatures
//! with known coefficients nor a combination of partial sums (Wagner's generalised birthday) helps.
//! Each attempt at a batch with an invalid member passes with probability 2^-128 and costs a
//! hash. Coefficients derived from single members, or a seed that leaves one out, would be broken.
//! In which order coefficients meet members does not matter, and depends on a hash map.
//!
//! Deliberately absent: the strict rule. Without the cofactor a batch and its members disagree.

use alloc::vec;
use alloc::vec::Vec;

use ed25519_zebra::{VerificationKeyBytes, batch};
use rand_core::{CryptoRng, RngCore, impls};
use sha2::{Digest as _, Sha256};

use crate::keys::{PublicKey, Signature, verify_zip215};

/// A key, a message, and what is said to be the key's signature of the message.
pub type Signed<'a> = (PublicKey, &'a [u8], Signature);

/// Below this many signatures a batch is not worth its set-up.
const WORTHWHILE: usize = 4;

/// The most signatures in one equation: more bring no speed and cost 400 bytes each.
const AT_ONCE: usize = 1024;

const LABEL: &[u8] = b"custos/1/batch\0";

/// For each signature whether it is valid under ZIP-215.
///
/// A batch that fails is halved until the bad members are found: one bad member makes the whole about three times
/// as dear, and where all are bad each costs a single check and one share in a batch for every halving.
#[must_use]
pub fn verify_batch(signed: &[Signed<'_>]) -> Vec<bool> {
    let mut valid = vec![false; signed.len()];
    for (signed, valid) in signed.chunks(AT_ONCE).zip(valid.chunks_mut(AT_ONCE)) {
        verify_into(signed, valid);
    }
    valid
}

/// Whether every one of the signatures is valid under ZIP-215. Which one is not is not looked for, so that bad
/// ones cost no more than good ones.
#[must_use]
pub fn all_valid(signed: &[Signed<'_>]) -> bool {
    signed.chunks(AT_ONCE).all(|signed| {
        if signed.len() < WORTHWHILE {
            signed.iter().all(|(key, message, signature)| verify_zip215(key, message, signature))
        } else {
            equation_holds(signed)
        }
    })
}

fn verify_into(signed: &[Signed<'_>], valid: &mut [bool]) {
    if signed.len() < WORTHWHILE {
        for ((key, message, signature), valid) in signed.iter().zip(valid) {
            *valid = verify_zip215(key, message, signature);
        }
    } else if equation_holds(signed) {
        valid.fill(true);
    } else {
        let middle = signed.len() / 2;
        let (left, right) = valid.split_at_mut(middle);
        verify_into(&signed[..middle], left);
        verify_into(&signed[middle..], right);
    }
}

fn equation_holds(signed: &[Signed<'_>]) -> bool {
    let mut verifier = batch::Verifier::new();
    let mut seed = Sha256::new_with_prefix(LABEL);
    for (key, message, signature) in signed {
        seed.update(key.0);
        seed.update(Sha256::digest(message));
        seed.update(signature.0);
        let signature = ed25519_zebra::Signature::from_bytes(&signature.0);
        verifier.queue((VerificationKeyBytes::from(key.0), signature, message));
    }
    verifier.verify(Coefficients::from_seed(seed)).is_ok()
}

/// The coefficients of one batch, in the form in which they are asked for.
struct Coefficients {
    seed: [u8; 32],
    next: u64,
    block: [u8; 32],
    used: usize,
}

impl Coefficients {
    fn from_seed(seed: Sha256) -> Self {
        Self { seed: seed.finalize().into(), next: 0, block: [0; 32], used: 32 }
    }
}

impl RngCore for Coefficients {
    fn fill_bytes(&mut self, dest: &mut [u8]) {
        for byte in dest {
            if self.used == self.block.len() {
                let block = Sha256::new_with_prefix(self.seed).chain_update(self.next.to_le_bytes());
                (self.block, self.used) = (block.finalize().into(), 0);
                self.next += 1;
            }
            *byte = self.block[self.used];
            self.used += 1;
        }
    }
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(dest);
        Ok(())
    }
    fn next_u32(&mut self) -> u32 {
        impls::next_u32_via_fill(self)
    }
    fn next_u64(&mut self) -> u64 {
        impls::next_u64_via_fill(self)
    }
}

// What the seed covers nobody can choose after knowing what follows from it: see the module's text.
impl CryptoRng for Coefficients {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficients_follow_from_the_seed_and_do_not_repeat() {
        let seed = || Sha256::new_with_prefix(b"seed");
        let drawn = |mut from: Coefficients| {
            let mut bytes = [0; 100];
            from.fill_bytes(&mut bytes);
            bytes
        };
        let bytes = drawn(Coefficients::from_seed(seed()));
        assert_eq!(bytes, drawn(Coefficients::from_seed(seed())));
        assert_ne!(bytes, drawn(Coefficients::from_seed(Sha256::new_with_prefix(b"seeds"))));
        for (i, block) in bytes.chunks(32).enumerate() {
            let expected = Sha256::digest([&Sha256::digest(b"seed")[..], &(i as u64).to_le_bytes()].concat());
            assert_eq!(*block, expected[..block.len()]);
        }
        let mut pieces = Coefficients::from_seed(seed());
        assert_eq!(pieces.next_u64().to_le_bytes(), bytes[..8]);
        assert_eq!(pieces.next_u32().to_le_bytes(), bytes[8..12]);
    }
}
