//! The door: what is refused before anybody asks what an item means, and what makes a block invalid.
//!
//! [`Chain::refusal`] asks the first node, the proposer and the follower about the same submission, and
//! compares a block that was offered it with one that was not.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use curve25519_dalek::scalar::Scalar;
use custos_proof::batch::verify_batch;
use custos_proof::cbor::{Ascii, List, Wire, Writer};
use custos_proof::genesis::{Genesis, GenesisError, GenesisKey, GenesisValidator, NO_CHAIN};
use custos_proof::hash::{ChainId, Digest, TrailKey};
use custos_proof::header::{Block, Header, MAX_BLOCK_BYTES};
use custos_proof::ids::{Height, ItemId, LogSize, Random16, TimeMs};
use custos_proof::keys::{KeyPurpose, PublicKey, Signature, verify_zip215};
use custos_proof::kinds::{Class, Fields};
use custos_proof::registry::{self, Bucket, Policy, Role, Roles};
use custos_proof::submission::{Author, MAX_SUBMISSION_BYTES, Submission, Verified};
use custos_state::admission;
use custos_state::apply::{self, Limits, NONCE_BUCKET_MS};
use custos_state::changes::Placed;
use custos_state::error::{ApplyError, Refusal, RefusalCode};
use custos_state::view::View;
use sha2::{Digest as _, Sha512};

const A: &str = "hospital-a";
const HOUR: u64 = 3_600_000;

/// One event of hospital A's, ready to be signed.
fn letter(chain: &mut Chain) -> Letter {
    let event = chain.event(A, None, A);
    let item = chain.item(Fields::AccessEvent(event));
    chain.draft(A, Class::Testimony, vec![item])
}

fn code(bytes: &[u8]) -> RefusalCode {
    Refusal::from(Submission::decode(bytes).unwrap_err()).code
}

// Form.

/// A COSE_Sign1 by hand, every part of which can be something else.
struct Cose {
    protected: Vec<u8>,
    unprotected: Vec<u8>,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl Cose {
    fn of(submission: &Submission) -> Self {
        let envelope = submission.envelope();
        let mut protected = Writer::new();
        protected.map(2);
        protected.u64(1);
        protected.i64(-19);
        protected.u64(4);
        envelope.key_id().write(&mut protected);
        Self {
            protected: protected.into_bytes(),
            unprotected: vec![0xa0],
            payload: envelope.payload().to_bytes(),
            signature: envelope.signature().0.to_vec(),
        }
    }

    fn frame(&self, items: &[Vec<u8>]) -> Vec<u8> {
        let mut w = Writer::new();
        w.tag(18);
        w.array(4);
        w.bytes(&self.protected);
        w.raw(&self.unprotected);
        w.bytes(&self.payload);
        w.bytes(&self.signature);
        custos_proof::submission::frame(&w.into_bytes(), items)
    }
}

#[test]
fn a_submission_has_one_spelling() {
    let mut chain = Chain::new();
    let good = letter(&mut chain).sign();
    let items = good.items().to_vec();
    let cose = || Cose::of(&good);
    assert_eq!(cose().frame(&items), good.bytes(), "the test writes what the crate writes");

    let altered = |change: fn(&mut Cose)| {
        let mut cose = cose();
        change(&mut cose);
        code(&cose.frame(&items))
    };
    // {1: -19}, {4: ..., 1: -19} and {1: -19, 4: ..., 5: 0}: the header is exactly {1: alg, 4: kid}.
    assert_eq!(altered(|c| c.protected = vec![0xa1, 0x01, 0x32]), RefusalCode::Malformed);
    assert_eq!(altered(|c| c.protected[1] = 0x04), RefusalCode::Malformed);
    assert_eq!(
        altered(|c| (c.protected[0], _) = (0xa3, c.protected.extend([0x05, 0x00]))),
        RefusalCode::Malformed
    );
    assert_eq!(altered(|c| c.protected.clear()), RefusalCode::Truncated);
    assert_eq!(altered(|c| c.protected.push(0)), RefusalCode::Truncated, "bytes left over");
    // ES256 and ESP256 are reserved, EdDSA is deprecated, and a text is no number.
    for alg in [0x26, 0x28, 0x27] {
        let mut cose = cose();
        cose.protected[2] = alg;
        assert_eq!(code(&cose.frame(&items)), RefusalCode::UnsupportedAlgorithm);
    }
    assert_eq!(altered(|c| c.protected[2] = 0x60), RefusalCode::Malformed);
    // Whatever is not signed must not be there: it would make a second spelling of the same statement.
    assert_eq!(altered(|c| c.unprotected = vec![0xa1, 0x01, 0x00]), RefusalCode::NotCanonical);
    assert_eq!(altered(|c| c.unprotected = vec![0xb8, 0x00]), RefusalCode::NotCanonical);
    assert_eq!(altered(|c| c.unprotected = vec![0x80]), RefusalCode::Malformed);
    assert_eq!(altered(|c| c.signature.truncate(63)), RefusalCode::Malformed);
    assert_eq!(altered(|c| c.payload[1] = 0x02), RefusalCode::UnsupportedVersion);
    assert_eq!(altered(|c| c.payload.push(0)), RefusalCode::Truncated, "bytes left over");

    // The tag is 18, and it is there.
    let envelope = good.envelope().bytes();
    let framed = |envelope: &[u8]| custos_proof::submission::frame(envelope, &items);
    assert_eq!(code(&framed(&envelope[1..])), RefusalCode::Malformed);
    assert_eq!(code(&framed(&[&[0xd1], &envelope[1..]].concat())), RefusalCode::Malformed);
    assert_eq!(code(&framed(&[&[0xd8, 18], &envelope[1..]].concat())), RefusalCode::NotCanonical);
    assert_eq!(code(&framed(&[envelope, &[0]].concat())), RefusalCode::Truncated);
    assert_eq!(code(&framed(&[0; 600])), RefusalCode::TooLarge);
    assert_eq!(code(&[good.bytes(), &[0]].concat()), RefusalCode::Truncated);
    assert_eq!(code(&[&[0x98, 0x02], &good.bytes()[1..]].concat()), RefusalCode::NotCanonical);
    assert_eq!(code(&vec![0x82; MAX_SUBMISSION_BYTES + 1]), RefusalCode::TooLarge);
}

#[test]
fn the_items_are_those_that_were_signed() {
    let mut chain = Chain::new();
    let (one, two) = (letter(&mut chain), letter(&mut chain));
    let both = Letter { items: [&one.items[..], &two.items[..]].concat(), ..one.clone() };
    let good = both.clone().sign();
    let cose = Cose::of(&good);
    let swapped: Vec<_> = both.items.iter().rev().cloned().collect();
    for items in [&swapped[..], &both.items[..1], &[both.items.clone(), one.items].concat()[..], &[]] {
        assert_eq!(code(&cose.frame(items)), RefusalCode::Malformed);
    }
    // A payload that states no items, or more than there may be.
    for count in [0u32, 1001, u32::MAX] {
        let mut payload = good.payload().clone();
        payload.items_count = count;
        payload.items_root = Digest(custos_proof::merkle::EMPTY_ROOT.0);
        let cose = Cose { payload: payload.to_bytes(), ..Cose::of(&good) };
        assert_eq!(code(&cose.frame(&[])), RefusalCode::Malformed);
    }
}

#[test]
fn every_shortened_submission_is_refused() {
    let mut chain = Chain::new();
    let good = letter(&mut chain).sign();
    for end in 0..good.bytes().len() {
        assert!(Submission::decode(&good.bytes()[..end]).is_err(), "{end}");
    }
}

#[test]
fn no_bit_of_a_submission_can_be_changed() {
    let mut chain = Chain::new();
    let good = letter(&mut chain).sign();
    let key = key("hospital-a sign").public();
    for at in 0..good.bytes().len() {
        for bit in 0..8 {
            let mut bytes = good.bytes().to_vec();
            bytes[at] ^= 1 << bit;
            let passed = Submission::decode(&bytes).is_ok_and(|submission| submission.verify(&key).is_ok());
            assert!(!passed, "bit {bit} of byte {at}");
        }
    }
}

// Who speaks, and with which key.

#[test]
fn the_author_is_in_the_registry_and_the_key_is_the_authors_signing_key() {
    let mut chain = Chain::new();
    let note = key("note");
    let add = chain.add_key(A, &note, KeyPurpose::Note);
    chain.act(A, vec![add]);
    let good = letter(&mut chain);
    let cases = [
        (Letter { author: Author::Participant(id("nobody")), ..good.clone() }, RefusalCode::UnknownAuthor),
        (Letter { author: Author::Subject(TrailKey([1; 32])), ..good.clone() }, RefusalCode::UnknownAuthor),
        (Letter { key: key("stranger"), ..good.clone() }, RefusalCode::UnknownKey),
        (Letter { key: key("hospital-b sign"), ..good.clone() }, RefusalCode::WrongKey),
        (Letter { key: key("hospital-a consensus"), ..good.clone() }, RefusalCode::WrongKey),
        (Letter { key: note, ..good.clone() }, RefusalCode::WrongKey),
        (Letter { author: Author::Participant(id(CLINIC)), ..good.clone() }, RefusalCode::WrongKey),
    ];
    for (letter, code) in cases {
        assert_eq!(chain.refusal(&letter.sign()), (code, None));
    }
    chain.record(good.sign());
}

#[test]
fn a_submission_is_for_one_chain() {
    let mut chain = Chain::new();
    let other = Chain::begin("another network", BEGIN);
    let good = letter(&mut chain);
    for id in [other.id, ChainId([0; 32])] {
        assert_eq!(chain.refusal(&Letter { chain: id, ..good.clone() }.sign()).0, RefusalCode::WrongChain);
    }
}

#[test]
fn a_signature_that_only_some_verifiers_accept_does_not_pass_the_first_node() {
    let mut chain = Chain::new();
    let good = letter(&mut chain).sign();
    let signer = key("hospital-a sign");
    // R = the identity, which has small order: s = k * a. Valid under ZIP-215, refused by strict verifiers.
    let mut r = [0; 32];
    r[0] = 1;
    let message = good.envelope().sig_structure();
    let challenge =
        Sha512::new().chain_update(r).chain_update(signer.public().0).chain_update(message).finalize();
    let s = Scalar::from_bytes_mod_order_wide(&challenge.into()) * signer.0.to_scalar();
    let signature = [r, s.to_bytes()].concat();
    let odd = Cose { signature, ..Cose::of(&good) };
    let odd = Submission::decode(&odd.frame(good.items())).unwrap();
    assert_eq!(odd.id(), good.id(), "the id does not depend on the signature");
    let admitted = admission::admit(&chain.store, chain.next_time(), &odd).unwrap();
    let refusal = admission::first_node(&odd, &admitted).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::BadSignature);
    assert!(admission::first_node(&good, &admitted).is_ok());
    // Consensus follows ZIP-215 alone: batch and single verification agree.
    let odd = odd.verify(&admitted).unwrap();
    let changes = chain.build(vec![odd.clone()]).unwrap();
    assert!(changes.refused.is_empty());
    chain.block(vec![good.clone()]);
    assert_eq!(chain.refusal(&odd).0, RefusalCode::Replayed, "signed again, it is the same submission");
}

#[test]
fn a_batch_finds_exactly_the_bad_signatures() {
    let messages: Vec<Vec<u8>> = (0..40u8).map(|i| vec![i; usize::from(i)]).collect();
    let keys: Vec<TestKey> = (0..3).map(|i| key(&format!("batch {i}"))).collect();
    let mut signed: Vec<(PublicKey, &[u8], Signature)> = messages
        .iter()
        .enumerate()
        .map(|(i, message)| {
            let key = &keys[i % keys.len()];
            (key.public(), message.as_slice(), key.sign_bytes(message))
        })
        .collect();
    assert!(verify_batch(&signed).into_iter().all(|valid| valid));
    signed[7].2.0[40] ^= 1;
    signed[8].0 = keys[0].public();
    signed[21].1 = b"another message";
    signed[39].0 = PublicKey([2; 32]);
    let expected: Vec<bool> =
        signed.iter().map(|(key, message, sig)| verify_zip215(key, message, sig)).collect();
    assert_eq!(verify_batch(&signed), expected);
    assert_eq!(expected.iter().filter(|valid| !**valid).count(), 4);
    for few in 0..5 {
        assert_eq!(verify_batch(&signed[5..5 + few]), expected[5..5 + few]);
    }
}

#[test]
fn the_key_that_verifies_is_the_key_that_is_named() {
    let mut chain = Chain::new();
    let (one, two) = (letter(&mut chain).sign().into_inner(), letter(&mut chain).sign().into_inner());
    assert!(one.clone().verify(&key("hospital-b sign").public()).is_err());
    let own = key("hospital-a sign").public();
    let answers = Verified::all(
        vec![(one.clone(), own), (two.clone(), key("hospital-b sign").public()), (two, own)],
        verify_batch,
    );
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    assert!(Verified::all(vec![(one, own)], |_| vec![])[0].is_err(), "no answer is no yes");
}

// Time and repetition.

#[test]
fn not_after_is_block_time_and_at_most_an_hour_ahead() {
    let mut chain = Chain::new();
    let good = letter(&mut chain);
    let time = chain.next_time();
    let nonce =
        |not_after: TimeMs| Random16(naive::sha(&[&not_after.0.to_be_bytes()]).0[..16].try_into().unwrap());
    let until = |not_after| Letter { not_after, nonce: nonce(not_after), ..good.clone() }.sign();
    assert_eq!(chain.refusal(&until(TimeMs(time.0 - 1))).0, RefusalCode::Expired);
    assert_eq!(chain.refusal(&until(TimeMs(0))).0, RefusalCode::Expired);
    assert_eq!(chain.refusal(&until(time.plus(HOUR + 10_001))).0, RefusalCode::TooFarAhead);
    assert_eq!(chain.refusal(&until(custos_proof::ids::FAR)).0, RefusalCode::TooFarAhead);
    // A clock that is a little ahead is waited for at the door, not in a block.
    let ahead = until(time.plus(HOUR + 1));
    assert!(chain.offer(&ahead).is_ok());
    assert_eq!(chain.build(vec![ahead.clone()]).unwrap().refused[0].1.code, RefusalCode::TooFarAhead);
    // Both bounds belong to what is allowed.
    chain.block(vec![until(time), until(time.plus(HOUR))]);
    chain.record(ahead);
}

#[test]
fn a_nonce_is_used_once_until_its_submission_has_expired_and_then_forgotten() {
    let mut chain = Chain::new();
    let good = letter(&mut chain).sign();
    // Twice in one block.
    let built = chain.build(vec![good.clone(), good.clone()]).unwrap();
    assert_eq!(built.refused.iter().map(|(_, r)| r.code).collect::<Vec<_>>(), [RefusalCode::Replayed]);
    let mut doubled = built.block.clone();
    doubled.body.push(good.bytes().to_vec());
    let twice = [good.clone(), good.clone()];
    assert!(matches!(apply::check(&chain.follower, &doubled, &twice), Err(ApplyError::Invalid(_))));
    chain.decide(built, vec![good.clone()]);
    // Again, and another submission with the same nonce and expiry.
    assert_eq!(chain.refusal(&good).0, RefusalCode::Replayed);
    let (not_after, nonce) = (good.payload().not_after, good.payload().nonce);
    let other = Letter { not_after, nonce, ..letter(&mut chain) };
    assert_eq!(chain.refusal(&other.clone().sign()).0, RefusalCode::Replayed);
    // The nonce is this author's, in this bucket.
    let clinic = chain.event(A, None, CLINIC);
    let item = chain.item(Fields::AccessEvent(clinic));
    let clinics = Letter { not_after, nonce, ..chain.draft(CLINIC, Class::Testimony, vec![item]) };
    let next_bucket = Letter { not_after: not_after.plus(NONCE_BUCKET_MS), ..other };
    chain.block(vec![clinics.sign(), next_bucket.sign()]);

    // At the last instant it is still known; in the block after its bucket it is forgotten, and has expired.
    let author = Author::Participant(id(A));
    let bucket = not_after.0 / NONCE_BUCKET_MS;
    let entry = registry::nonce_key(&author, bucket);
    let count =
        |chain: &Chain| chain.store.entry(&entry).unwrap().map(|b| Bucket::from_bytes(&b).unwrap().count);
    assert_eq!(count(&chain), Some(1));
    chain.wait_until(not_after);
    assert_eq!(chain.refusal(&good).0, RefusalCode::Replayed);
    chain.wait_until(TimeMs((bucket + 1) * NONCE_BUCKET_MS - 1));
    chain.block(vec![]);
    assert_eq!(count(&chain), Some(1));
    chain.wait_until(TimeMs((bucket + 1) * NONCE_BUCKET_MS));
    let dropped = chain.block(vec![]).changes.dropped_nonces.clone();
    assert_eq!(dropped, [(Author::Participant(id(CLINIC)), bucket), (author.clone(), bucket)]);
    assert_eq!(count(&chain), None);
    assert!(!chain.store.has_nonce(&author, bucket, &nonce).unwrap());
    assert_eq!(chain.refusal(&good).0, RefusalCode::Expired);
}

#[test]
fn one_author_cannot_fill_a_bucket_for_the_others() {
    let policy = Policy { max_nonces: 3, ..Policy::initial() };
    let mut chain = Chain::from_genesis(Genesis { policy, ..genesis("small", BEGIN) });
    let not_after = TimeMs((BEGIN.0 / NONCE_BUCKET_MS + 2) * NONCE_BUCKET_MS);
    let mut together: Vec<Verified> =
        (0..5).map(|_| Letter { not_after, ..letter(&mut chain) }.sign()).collect();
    let built = chain.build(together.clone()).unwrap();
    assert_eq!(
        built.refused.iter().map(|(_, r)| r.code).collect::<Vec<_>>(),
        [RefusalCode::QuotaExceeded; 2]
    );
    let fifth = together.pop().unwrap();
    together.truncate(3);
    chain.decide(built, together);
    assert_eq!(chain.refusal(&fifth).0, RefusalCode::QuotaExceeded);
    let event = chain.event(A, None, CLINIC);
    let item = chain.item(Fields::AccessEvent(event));
    let clinics = Letter { not_after, ..chain.draft(CLINIC, Class::Testimony, vec![item]) };
    let later = Letter { not_after: not_after.plus(NONCE_BUCKET_MS), ..letter(&mut chain) };
    chain.block(vec![clinics.sign(), later.sign()]);
}

// Items.

#[test]
fn acts_and_testimony_never_travel_together() {
    let mut chain = Chain::new();
    let event = chain.event(A, None, A);
    let event = chain.item(Fields::AccessEvent(event));
    let open = chain.open(A, "p", None);
    let open = chain.item(open);
    for (class, items, at) in [
        (Class::Act, vec![open.clone(), event.clone()], 1),
        (Class::Testimony, vec![event.clone(), open.clone()], 1),
        (Class::Testimony, vec![open], 0),
        (Class::Act, vec![event], 0),
    ] {
        let mixed = chain.draft(A, class, items).sign();
        assert_eq!(chain.refusal(&mixed), (RefusalCode::MixedClasses, Some(at)));
    }
}

#[test]
fn items_are_of_known_kinds_and_well_formed() {
    let mut chain = Chain::new();
    let event = chain.event(A, None, A);
    let good = chain.item(Fields::AccessEvent(event));
    let of_kind = |name: &str, fields: &[u8]| {
        let mut w = Writer::new();
        w.array(4);
        w.u64(1);
        w.text(name);
        ItemId([7; 16]).write(&mut w);
        w.raw(fields);
        w.into_bytes()
    };
    // The same head, one byte longer than needed.
    let long_head = [&[0x98, 0x04], &good[1..]].concat();
    let record = of_kind("access.event", &[0x80])
        .iter()
        .enumerate()
        .map(|(i, b)| if i == 1 { 2 } else { *b })
        .collect();
    let cases = [
        (of_kind("access.denied", &[0x80]), RefusalCode::UnknownKind),
        (of_kind("Access.event", &[0x80]), RefusalCode::UnknownKind),
        (of_kind("access.event", &[0x80]), RefusalCode::MalformedItem),
        (of_kind("access.event", &[0xa0]), RefusalCode::MalformedItem),
        (of_kind("access\u{e9}", &[0x80]), RefusalCode::MalformedItem),
        (good[..good.len() - 1].to_vec(), RefusalCode::MalformedItem),
        ([&good[..], &[0]].concat(), RefusalCode::MalformedItem),
        (long_head, RefusalCode::MalformedItem),
        (record, RefusalCode::MalformedItem),
        (vec![], RefusalCode::MalformedItem),
        (vec![0xff; 4096], RefusalCode::MalformedItem),
    ];
    for (item, code) in cases {
        let submission = chain.draft(A, Class::Testimony, vec![good.clone(), item.clone()]).sign();
        assert_eq!(chain.refusal(&submission), (code, Some(1)), "{item:02x?}");
    }
}

#[test]
fn the_largest_submission_is_recorded() {
    let mut chain = Chain::new();
    let items: Vec<Vec<u8>> = (0..1000)
        .map(|_| {
            let event = chain.event(A, None, A);
            chain.item(Fields::AccessEvent(event))
        })
        .collect();
    let letter = chain.draft(A, Class::Testimony, items);
    let submission = letter.clone().sign();
    let built = chain.build(vec![submission.clone()]).unwrap();
    let placed = &built.changes.submissions[0].items;
    assert_eq!(placed.len(), 1000);
    assert!(placed.iter().all(|placed| matches!(placed, Placed::Here(_))));
    let changes = apply::check(&chain.follower, &built.block, &[submission]).unwrap();
    assert_eq!(changes, built.changes);
    let too_many = [letter.items.clone(), letter.items[..1].to_vec()].concat();
    let draft = custos_proof::submission::Draft {
        chain: &letter.chain,
        author: letter.author,
        class: letter.class,
        nonce: letter.nonce,
        not_after: letter.not_after,
    };
    assert!(Submission::sign(&draft, too_many, &letter.key).is_err());
    assert!(Submission::sign(&draft, vec![vec![0; 4097]], &letter.key).is_err());
    assert!(Submission::sign(&draft, vec![], &letter.key).is_err());
}

// Blocks.

#[test]
fn a_follower_refuses_a_block_with_any_field_changed() {
    let mut chain = Chain::new();
    chain.block(vec![]);
    let submission = letter(&mut chain).sign();
    let built = chain.build(vec![submission.clone()]).unwrap();
    let refused = |change: &dyn Fn(&mut Header)| {
        let mut block = built.block.clone();
        change(&mut block.header);
        match apply::check(&chain.follower, &block, std::slice::from_ref(&submission)) {
            Err(ApplyError::Invalid(reason)) => reason,
            other => panic!("{other:?}"),
        }
    };
    let one = Digest([1; 32]);
    assert!(refused(&|h| h.version = 2).contains("version is 2, not 1"));
    assert!(refused(&|h| h.height = Height(3)).contains("height 3"));
    assert!(refused(&|h| h.height = Height(1)).contains("height 1"));
    assert!(refused(&|h| h.time = TimeMs(h.time.0 - 1000)).contains("is not after"));
    refused(&|h| h.chain = ChainId([1; 32]));
    assert!(refused(&|h| h.parent.0[0] ^= 1).contains("parent"));
    assert!(refused(&|h| h.body_root = one).contains("body_root"));
    refused(&|h| h.log_size = LogSize(h.log_size.0 + 1));
    assert!(refused(&|h| h.log_root = one).contains("log_root"));
    assert!(refused(&|h| h.state_root = one).contains("state_root"));
    assert!(refused(&|h| h.validators_hash = one).contains("validators_hash"));
    assert!(refused(&|h| h.next_validators_hash = one).contains("next_validators_hash"));
    // The time is in the records, and so in the roots.
    assert!(refused(&|h| h.time = h.time.plus(1)).contains("root"));
    // Body and verified submissions belong together.
    let mut block = built.block.clone();
    block.body.clear();
    assert!(apply::check(&chain.follower, &block, &[]).is_err());
    assert!(apply::check(&chain.follower, &block, std::slice::from_ref(&submission)).is_err());
    assert!(apply::check(&chain.follower, &built.block, &[]).is_err());
    let other = letter(&mut chain).sign();
    assert!(apply::check(&chain.follower, &built.block, &[other]).is_err());
    assert!(apply::check(&chain.follower, &built.block, &[submission]).is_ok());
}

#[test]
fn a_body_is_bounded() {
    let chain = Chain::new();
    let mut built = chain.build(vec![]).unwrap();
    built.block.body = vec![vec![0; MAX_SUBMISSION_BYTES]; MAX_BLOCK_BYTES / MAX_SUBMISSION_BYTES + 1];
    let Err(ApplyError::Invalid(reason)) = apply::check(&chain.follower, &built.block, &[]) else { panic!() };
    assert!(reason.contains("too much"), "{reason}");
    assert!(Block::from_bytes(&[&built.block.header.to_bytes()[..], &[0x9b, 0xff]].concat()).is_err());
}

#[test]
fn a_proposer_stops_at_its_limits_and_keeps_the_order() {
    let mut chain = Chain::new();
    let submissions: Vec<Verified> = (0..4).map(|_| letter(&mut chain).sign()).collect();
    let size = submissions[0].bytes().len();
    let with = |limits: &Limits| {
        let built = apply::build(&chain.store, &chain.proposal(), submissions.clone(), limits).unwrap();
        assert!(built.refused.is_empty());
        built.block.body
    };
    let all = || submissions.iter().map(|s| s.bytes().to_vec());
    assert_eq!(with(&Limits { max_submissions: 2, ..Limits::default() }), all().take(2).collect::<Vec<_>>());
    assert_eq!(with(&Limits { max_bytes: 3 * size, ..Limits::default() }), all().take(3).collect::<Vec<_>>());
    assert_eq!(with(&Limits::default()), all().collect::<Vec<_>>());
}

#[test]
fn a_proposal_follows_the_head() {
    let mut chain = Chain::new();
    chain.block(vec![]);
    let good = chain.proposal();
    for (height, time) in [(0, good.time), (1, good.time), (3, good.time), (2, TimeMs(good.time.0 - 1000))] {
        let proposal = apply::Proposal { height: Height(height), time, ..good.clone() };
        let built = apply::build(&chain.store, &proposal, vec![], &Limits::default());
        assert!(matches!(built, Err(ApplyError::Invalid(_))), "{height} {time}");
    }
}

// The beginning.

#[test]
fn a_genesis_holds_together_or_begins_nothing() {
    let good = genesis("network", BEGIN);
    assert_eq!(good.check(), Ok(()));
    let with = |change: &dyn Fn(&mut Genesis)| {
        let mut genesis = good.clone();
        change(&mut genesis);
        assert!(apply::start(&genesis).is_err());
        assert!(custos_proof::anchor::TrustAnchor::from_genesis(&genesis).is_err());
        genesis.check().unwrap_err()
    };
    let keys = |genesis: &mut Genesis, change: &dyn Fn(&mut Vec<GenesisKey>)| {
        let mut keys = genesis.keys.to_vec();
        change(&mut keys);
        genesis.keys = List::new(keys).unwrap();
    };
    assert_eq!(with(&|g| g.protocol = 2), GenesisError::Protocol(2));
    assert_eq!(with(&|g| g.registrar = id("nobody")), GenesisError::UnknownParticipant(id("nobody")));
    assert_eq!(with(&|g| g.registrar = id(A)), GenesisError::NotRegistrar(id(A)));
    assert!(matches!(
        with(&|g| g.participants = List::new([&g.participants[..], &g.participants[..1]].concat()).unwrap()),
        GenesisError::ParticipantTwice(_)
    ));
    assert!(matches!(with(&|g| keys(g, &|k| k.push(k[0].clone()))), GenesisError::KeyTwice(_)));
    assert!(matches!(
        with(&|g| keys(g, &|k| k[0].owner = id("nobody"))),
        GenesisError::UnknownParticipant(_)
    ));
    assert!(matches!(with(&|g| keys(g, &|k| k[0].owner = id(CLINIC))), GenesisError::Possession(..)));
    assert!(matches!(with(&|g| keys(g, &|k| k[0].purpose = KeyPurpose::Note)), GenesisError::Possession(..)));
    assert!(matches!(with(&|g| keys(g, &|k| k[0].key = PublicKey([0; 32]))), GenesisError::Key(..)));
    // A validator votes with exactly one key.
    assert!(matches!(with(&|g| keys(g, &|k| k.truncate(k.len() - 1))), GenesisError::ValidatorKey(_)));
    let second = key("second");
    let extra = GenesisKey {
        owner: id(A),
        key: second.public(),
        purpose: KeyPurpose::Consensus,
        possession: second.possession(&NO_CHAIN, A, KeyPurpose::Consensus),
    };
    assert!(matches!(with(&|g| keys(g, &|k| k.push(extra.clone()))), GenesisError::ValidatorKey(_)));
    let validators = |powers: &[(&str, u64)]| {
        List::new(
            powers
                .iter()
                .map(|(name, power)| GenesisValidator { participant: id(name), power: *power })
                .collect(),
        )
        .unwrap()
    };
    assert!(matches!(with(&|g| g.validators = validators(&[])), GenesisError::Validators(_)));
    assert!(matches!(with(&|g| g.validators = validators(&[(A, 0)])), GenesisError::Validators(_)));
    assert!(matches!(with(&|g| g.validators = validators(&[(A, 1), (A, 1)])), GenesisError::Validators(_)));
    assert!(matches!(
        with(&|g| g.validators = validators(&[(A, 1 << 62), ("hospital-b", 1 << 62)])),
        GenesisError::Validators(_)
    ));
    assert!(matches!(with(&|g| g.validators = validators(&[(CLINIC, 1)])), GenesisError::ValidatorKey(_)));
    // The name is part of the chain's: two networks never share signatures.
    let renamed = Genesis { name: Ascii::new("network 2").unwrap(), ..good.clone() };
    assert_ne!(renamed.chain(), good.chain());
    // A participant without any name passes no registration, and no genesis either.
    let mut nameless = good;
    let mut participants = nameless.participants.to_vec();
    participants[1].name = None;
    participants[1].roles = Roles::new(&[Role::Observer]);
    nameless.participants = List::new(participants).unwrap();
    assert!(matches!(apply::start(&nameless), Err(apply::StartError::Participant(..))));
}
