//! The Ed25519 rule, pinned: RFC 8032, Wycheproof, C2SP's CCTV, and every combination of crafted points.
//!
//! The crafted signatures cover the classes of the CCTV vectors (points of small order, with a
//! component of small order, not canonically encoded; residues that only a cofactor removes; a
//! re-encoded challenge). They are made here from their definition, so that the expectation is the
//! equation of ZIP-215 and not another implementation's answer.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use custos_proof::batch::{all_valid, verify_batch};
use custos_proof::keys::{
    KeyDefect, PublicKey, Signature, cose_key, is_registrable, is_strict, key_id, verify_zip215,
};
use sha2::{Digest as _, Sha512};

#[test]
fn the_vectors_of_rfc_8032_are_valid() {
    // Section 7.1, TEST 1 to 3.
    let vectors = [
        (
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ];
    for (key, message, signature) in vectors {
        let (key, message, signature) = (key.parse().unwrap(), unhex(message), signature.parse().unwrap());
        assert!(verify_zip215(&key, &message, &signature));
        assert!(is_strict(&key, &message, &signature));
        assert_eq!(is_registrable(&key), Ok(()));
        assert!(!verify_zip215(&key, b"another message", &signature));
    }
}

/// Wycheproof judges by RFC 8032, where R has one encoding. ZIP-215 does not require the canonical one, which
/// implementations read, as ours has to, to include the sign bit on x = 0. The strict check refuses it again.
const VALID_BY_ZIP_215_ONLY: [&str; 1] = ["151"];

#[test]
fn wycheproof_agrees_but_where_zip_215_says_otherwise() {
    let (mut valid, mut invalid) = (0, 0);
    for line in include_str!("data/wycheproof_ed25519.txt").lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.splitn(6, ' ').collect();
        let [id, result, key, message, signature, comment] = fields[..] else {
            panic!("a line without six fields")
        };
        let expected = result == "valid";
        if expected {
            valid += 1
        } else {
            invalid += 1
        }

        let key: PublicKey = key.parse().unwrap();
        let message = unhex(message.trim_start_matches('-'));
        let Ok(signature) = signature.parse::<Signature>() else {
            assert!(!expected, "test {id}: a signature of another length is valid: {comment}");
            continue;
        };
        let accepted = verify_zip215(&key, &message, &signature);
        assert_eq!(accepted, zip215(&key, &message, &signature), "test {id}: {comment}");
        assert_eq!(accepted, expected || VALID_BY_ZIP_215_ONLY.contains(&id), "test {id}: {comment}");
        let strict = is_strict(&key, &message, &signature);
        assert_eq!(strict, dalek_strict(&key, &message, &signature), "test {id}: {comment}");
        assert_eq!(strict, expected, "test {id}: {comment}");
    }
    assert_eq!((valid, invalid), (88, 63));
}

#[test]
fn cctv_agrees() {
    let (mut strict, mut all) = (0, 0);
    for line in include_str!("data/cctv_ed25519.txt").lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split(' ').collect();
        let [number, flags, key, message, signature] = fields[..] else {
            panic!("a line without five fields")
        };
        let flags: BTreeSet<&str> = flags.split(',').filter(|flag| *flag != "-").collect();
        let (key, signature): (PublicKey, Signature) = (key.parse().unwrap(), signature.parse().unwrap());
        let message = unhex(message);
        let valid = verify_zip215(&key, &message, &signature);
        assert_eq!(valid, zip215(&key, &message, &signature), "vector {number}");
        // The vectors' own test: all whose challenge is over the given encodings; of the others those whose key is
        // of low order, because then no challenge matters.
        let expected = !flags.contains("reencoded_k") || flags.contains("low_order_A");
        assert_eq!(valid, expected, "vector {number}: {flags:?}");
        let is_strict = is_strict(&key, &message, &signature);
        assert_eq!(is_strict, dalek_strict(&key, &message, &signature), "vector {number}");
        // verify_strict refuses "any low_order_A and low_order_R vectors", "and by extension all other flags
        // except low_order_component_A and low_order_component_R".
        let harmless = ["low_order_component_A", "low_order_component_R"];
        if is_strict {
            assert!(flags.iter().all(|flag| harmless.contains(flag)), "vector {number}: {flags:?}");
        }
        strict += u32::from(is_strict);
        all += 1;
    }
    assert!(all == 914 && strict > 0 && strict < all / 2, "{strict} of {all} vectors are strict");
}

#[test]
fn crafted_signatures_are_valid_exactly_by_zip_215_and_strict_exactly_by_verify_strict() {
    let (mut valid, mut strict, mut disputed) = (0, 0, 0);
    for case in crafted() {
        let Crafted { key, message, signature } = &case;
        let expected = zip215(key, message, signature);
        let accepted = verify_zip215(key, message, signature);
        let is_strict = is_strict(key, message, signature);
        assert_eq!(accepted, expected, "{case:?}");
        assert_eq!(is_strict, dalek_strict(key, message, signature), "{case:?}");
        assert!(accepted || !is_strict, "strict but not valid: {case:?}");
        valid += u32::from(accepted);
        strict += u32::from(is_strict);
        disputed += u32::from(accepted && !is_strict);
    }
    // That there are many of each kind says that the cases are what they should be.
    assert!(
        valid > 1000 && strict > 20 && disputed > 1000,
        "{valid} valid, {strict} strict, {disputed} disputed"
    );
}

#[test]
fn a_batch_says_of_every_crafted_signature_what_is_said_of_it_alone() {
    let cases = crafted();
    let signed: Vec<(PublicKey, &[u8], Signature)> =
        cases.iter().map(|case| (case.key, case.message.as_slice(), case.signature)).collect();
    let single: Vec<bool> =
        signed.iter().map(|(key, message, signature)| verify_zip215(key, message, signature)).collect();
    assert_eq!(verify_batch(&signed), single);
    let of = |wanted: bool| -> Vec<_> {
        signed.iter().zip(&single).filter(|(_, valid)| **valid == wanted).map(|(s, _)| *s).collect()
    };
    let (good, bad) = (of(true), of(false));
    assert!(good.len() > 1000 && bad.len() > 1000, "{} good, {} bad", good.len(), bad.len());
    // With every component of small order that there is, and all at once: none is lost, none makes up for another.
    assert!(all_valid(&good));
    for (i, bad) in bad.iter().enumerate() {
        // Few enough that each has its own equation, many enough that there is one.
        let at = i % (good.len() - 7);
        let mut batch = good[at..at + 7].to_vec();
        batch.insert(i % 8, *bad);
        assert!(!all_valid(&batch), "{bad:?} among good ones");
    }
    for few in 0..6 {
        assert!(all_valid(&good[..few]));
        assert!(few == 0 || !all_valid(&[&bad[..1], &good[1..few]].concat()));
    }
}

#[test]
fn two_signatures_whose_errors_cancel_are_both_bad_in_a_batch() {
    // s + d and s - d under one key: any combination with equal coefficients would let them pass.
    let secret = scalar("cancel", 0);
    let a = (ED25519_BASEPOINT_POINT * secret).compress().0;
    let off = |number: u64, error: Scalar| {
        let (r, message) = (scalar("nonce", number), number.to_be_bytes());
        let r_bytes = (ED25519_BASEPOINT_POINT * r).compress().0;
        let s = r + challenge(&r_bytes, &a, &message) * secret + error;
        (message, joined(r_bytes, s.to_bytes()))
    };
    let errors = [Scalar::ZERO, Scalar::ONE, -Scalar::ONE, Scalar::ZERO, scalar("d", 0), -scalar("d", 0)];
    let made: Vec<_> = (0..).zip(errors).map(|(number, error)| off(number, error)).collect();
    let signed: Vec<_> = made.iter().map(|(message, s)| (PublicKey(a), &message[..], *s)).collect();
    assert_eq!(verify_batch(&signed), [true, false, false, true, false, false]);
    assert!(!all_valid(&signed));
}

#[test]
fn points_of_small_order_have_fourteen_encodings_and_none_may_be_registered() {
    let encodings = small_order_encodings();
    assert_eq!(encodings.len(), 14);
    for encoding in &encodings {
        let canonical = decompress(*encoding).unwrap().compress().0 == *encoding;
        let defect = if canonical { KeyDefect::SmallOrder } else { KeyDefect::NotCanonical };
        assert_eq!(is_registrable(&PublicKey(*encoding)), Err(defect));
    }
    // The harm they would do: R = identity and s = 0 is a signature of this key for every message.
    let identity = EdwardsPoint::default().compress().0;
    let signature = joined(identity, Scalar::ZERO.to_bytes());
    assert!(verify_zip215(&PublicKey(identity), b"I consent", &signature));
    assert!(verify_zip215(&PublicKey(identity), b"I do not", &signature));
    assert!(!is_strict(&PublicKey(identity), b"I consent", &signature));
}

#[test]
fn keys_with_a_second_encoding_are_refused() {
    let mut on_curve = 0;
    for encoding in non_canonical_field_elements() {
        match decompress(encoding) {
            Some(_) => {
                on_curve += 1;
                assert_eq!(is_registrable(&PublicKey(encoding)), Err(KeyDefect::NotCanonical));
            }
            None => assert_eq!(is_registrable(&PublicKey(encoding)), Err(KeyDefect::NotAPoint)),
        }
    }
    assert!(on_curve >= 14);
}

#[test]
fn keys_of_mixed_order_are_refused() {
    for i in 0..20u64 {
        let prime = ED25519_BASEPOINT_POINT * scalar("key", i);
        assert_eq!(is_registrable(&PublicKey(prime.compress().0)), Ok(()));
        for torsion in &EIGHT_TORSION[1..] {
            assert_eq!(
                is_registrable(&PublicKey((prime + torsion).compress().0)),
                Err(KeyDefect::MixedOrder)
            );
        }
    }
}

#[test]
fn a_key_is_named_after_its_cose_key() {
    let key: PublicKey = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a".parse().unwrap();
    assert_eq!(cose_key(&key), [&unhex("a301012006215820")[..], &key.0].concat());
    assert_eq!(key_id(&key).to_string(), "80bd75e533411cd3681ce854a425e71d6e14557a02636ee50d20c85f5d288cf0");
}

/// A signature under a key that somebody made up to make verifiers disagree.
#[derive(Debug)]
struct Crafted {
    key: PublicKey,
    message: Vec<u8>,
    signature: Signature,
}

/// Every pair of A and R out of: all encodings of points of small order, and points of large order with every
/// component of small order; with the s that fits, one that does not, one beyond the group order, and one for the
/// challenge over canonical encodings.
fn crafted() -> Vec<Crafted> {
    let points = |label: &str| -> Vec<([u8; 32], Scalar)> {
        let secret = scalar(label, 0);
        let small = small_order_encodings().into_iter().map(|encoding| (encoding, Scalar::ZERO));
        let large = EIGHT_TORSION
            .iter()
            .map(move |torsion| ((ED25519_BASEPOINT_POINT * secret + torsion).compress().0, secret));
        small.chain(large).collect()
    };
    let mut cases = Vec::new();
    for (a_bytes, a) in points("a") {
        for (r_bytes, r) in points("r") {
            for message in [&b""[..], b"ed25519 vectors", b"ed25519 vectors 2", b"ed25519 vectors 3"] {
                let mut push = |s_bytes| {
                    let signature = joined(r_bytes, s_bytes);
                    cases.push(Crafted { key: PublicKey(a_bytes), message: message.to_vec(), signature });
                };
                let s = r + challenge(&r_bytes, &a_bytes, message) * a;
                push(s.to_bytes());
                push((s + Scalar::ONE).to_bytes());
                push(plus_group_order(s.to_bytes()));
                let canonical = |bytes| decompress(bytes).unwrap().compress().0;
                push((r + challenge(&canonical(r_bytes), &canonical(a_bytes), message) * a).to_bytes());
            }
        }
    }
    // What does not decode at all.
    let honest = (ED25519_BASEPOINT_POINT * scalar("a", 0)).compress().0;
    for bytes in non_canonical_field_elements().into_iter().filter(|bytes| decompress(*bytes).is_none()) {
        for (key, r) in [(honest, bytes), (bytes, honest)] {
            cases.push(Crafted { key: PublicKey(key), message: vec![], signature: joined(r, [0; 32]) });
        }
    }
    cases
}

/// ZIP-215, in its words: A and R decode (canonically or not), s is canonical, and `[8][s]B = [8]R + [8][k]A`.
fn zip215(key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
    let r_bytes: [u8; 32] = signature.0[..32].try_into().unwrap();
    let s_bytes: [u8; 32] = signature.0[32..].try_into().unwrap();
    let (Some(a), Some(r)) = (decompress(key.0), decompress(r_bytes)) else { return false };
    let Some(s) = Option::<Scalar>::from(Scalar::from_canonical_bytes(s_bytes)) else { return false };
    let k = challenge(&r_bytes, &key.0, message);
    (ED25519_BASEPOINT_POINT * s - r - a * k).mul_by_cofactor().is_identity()
}

fn dalek_strict(key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
    ed25519_dalek::VerifyingKey::from_bytes(&key.0).is_ok_and(|key| {
        key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(&signature.0)).is_ok()
    })
}

fn small_order_encodings() -> BTreeSet<[u8; 32]> {
    let canonical = EIGHT_TORSION.iter().map(|point| point.compress().0);
    // -0: the sign bit set on points whose x is 0.
    let negated = canonical.clone().map(|mut bytes| {
        bytes[31] ^= 0x80;
        bytes
    });
    canonical
        .chain(negated)
        .chain(non_canonical_field_elements())
        .filter(|bytes| decompress(*bytes).is_some_and(|point| point.is_small_order()))
        .collect()
}

/// The 19 numbers from p to 2^255 - 1, which stand for y = 0 to 18, with either sign of x; and with x = -0.
fn non_canonical_field_elements() -> Vec<[u8; 32]> {
    let mut encodings = Vec::new();
    for sign in [0x00, 0x80] {
        for low in 0xed..=0xff {
            let mut bytes = [0xff; 32];
            (bytes[0], bytes[31]) = (low, 0x7f | sign);
            encodings.push(bytes);
        }
    }
    for y in [1u8, 0xec] {
        let mut bytes = [if y == 1 { 0 } else { 0xff }; 32];
        (bytes[0], bytes[31]) = (y, if y == 1 { 0x80 } else { 0xff });
        encodings.push(bytes);
    }
    encodings
}

fn challenge(r: &[u8; 32], a: &[u8; 32], message: &[u8]) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&Sha512::digest([r, &a[..], message].concat()).into())
}

/// A scalar that nobody chose.
fn scalar(label: &str, number: u64) -> Scalar {
    let seed = [label.as_bytes(), &number.to_be_bytes()].concat();
    Scalar::from_bytes_mod_order_wide(&Sha512::digest(seed).into())
}

/// s + l, without reduction: below 2^254, so nothing overflows.
fn plus_group_order(mut s: [u8; 32]) -> [u8; 32] {
    let order: [u8; 32] =
        unhex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").try_into().unwrap();
    let mut carry = 0;
    for (byte, add) in s.iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    s
}

fn joined(r: [u8; 32], s: [u8; 32]) -> Signature {
    Signature([r, s].concat().try_into().unwrap())
}

fn decompress(bytes: [u8; 32]) -> Option<EdwardsPoint> {
    CompressedEdwardsY(bytes).decompress()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}
