//! The verifier, as a sceptic and as a forger would use it.
//!
//! Chains are made by hand, with real signatures, so that validators can change, be retired, and
//! certify what is false. Every refusal is asked for by name: a proof that fails for another reason
//! than the one the test is about would prove nothing.

#![allow(clippy::unwrap_used)]

mod common;

use base64ct::{Base64, Encoding};
use common::*;
use custos_proof::anchor::{Advance, Link, Recency, TRUST_PERIOD_MS, Trust, TrustAnchor, changing};
use custos_proof::cbor::{Bytes, List, Set, Wire};
use custos_proof::certificate::{
    Certificate, CertificateError, CommitSignature, ValidatorSet, VoteType, vote_preimage,
};
use custos_proof::disclosure::{show, show_all};
use custos_proof::hash::{BlockId, ChainId, Digest, ItemHash};
use custos_proof::header::Header;
use custos_proof::ids::{FAR, Height, ItemId, LogIndex, LogSize, Round, TimeMs};
use custos_proof::item::Item;
use custos_proof::keys::{KeyPurpose, PublicKey, key_id};
use custos_proof::kinds::Class;
use custos_proof::receipt::Receipt;
use custos_proof::record::{Entry as Recorded, Listing, Record};
use custos_proof::registry::{self, KeyEntry, TrailHead};
use custos_proof::seal::Opening;
use custos_proof::submission::{Author, Envelope};
use custos_proof::trail::TrailName;
use custos_proof::trail_proof::{Entry, TrailProof};
use custos_proof::verify::{self, Basis, Content, Failure};
use custos_proof::witness::{Cosignature, Witnessed};
use proptest::prelude::*;

const FOUR: [&str; 4] = ["v1", "v2", "v3", "v4"];

fn basis<'a>(anchor: &'a TrustAnchor, links: &'a [Link]) -> Basis<'a> {
    Basis { anchor, links, recency: Recency::default() }
}

fn receipt(receipt: &Receipt, anchor: &TrustAnchor, links: &[Link]) -> Result<Trust, Failure> {
    verify::receipt(receipt, &basis(anchor, links)).map(|proven| proven.header.trust)
}

fn trail(proof: &TrailProof, anchor: &TrustAnchor) -> Result<verify::ProvenTrail, Failure> {
    verify::trail(proof, &basis(anchor, &[]))
}

/// The trail that most tests are about.
fn subject() -> TrailName {
    TrailName::subject(&id("hospital-a"), Digest([3; 32]))
}

fn institution() -> TrailName {
    TrailName::institution(&id("hospital-a"))
}

/// A chain of four validators with one item.
fn one_item() -> World {
    let mut world = World::new("one item", set(&FOUR));
    let item = world.event();
    let said = world.said(vec![item], &[subject(), institution()]);
    world.block(vec![said]);
    world
}

// Certificates.

fn signed_by(set: &ValidatorSet, signers: &[usize]) -> Result<(), CertificateError> {
    let mut world = World::new("certificates", set.clone());
    let header = world.block(vec![]).clone();
    certificate(set, &header, Round(2), signers).verify(&world.chain, set)
}

#[test]
fn more_than_two_thirds_of_the_power_decide() {
    let four = set(&FOUR);
    for absent in 0..4 {
        let signers: Vec<_> = (0..4).filter(|i| *i != absent).collect();
        assert_eq!(signed_by(&four, &signers), Ok(()));
    }
    assert_eq!(signed_by(&four, &[0, 1, 2, 3]), Ok(()));
    assert_eq!(signed_by(&four, &[1, 3]), Err(CertificateError::NoQuorum { power: 2, total: 4 }));
    assert_eq!(signed_by(&four, &[]), Err(CertificateError::NoQuorum { power: 0, total: 4 }));
    // Exactly two thirds are not enough.
    assert_eq!(
        signed_by(&set(&["a", "b", "c"]), &[0, 2]),
        Err(CertificateError::NoQuorum { power: 2, total: 3 })
    );
    let uneven = powers(&[("a", 1), ("b", 1), ("c", 1), ("d", 3)]);
    let heavy = uneven.as_slice().iter().position(|v| v.power == 3).unwrap();
    let light: Vec<usize> = (0..4).filter(|i| *i != heavy).collect();
    let mut signers = vec![heavy, light[0]];
    signers.sort_unstable();
    assert_eq!(signed_by(&uneven, &signers), Err(CertificateError::NoQuorum { power: 4, total: 6 }));
    signers.push(light[1]);
    signers.sort_unstable();
    assert_eq!(signed_by(&uneven, &signers), Ok(()));
}

#[test]
fn signers_are_strictly_ascending_and_in_the_set() {
    let four = set(&FOUR);
    for signers in [&[0, 0, 1][..], &[0, 1, 1], &[1, 0, 2], &[3, 2, 1, 0], &[0, 1, 2, 2]] {
        assert_eq!(signed_by(&four, signers), Err(CertificateError::NotAscending), "{signers:?}");
    }
    let mut world = World::new("certificates", four.clone());
    let header = world.block(vec![]).clone();
    let five = set(&["v1", "v2", "v3", "v4", "v5"]);
    let stranger = certificate(&five, &header, Round(0), &[0, 1, 2, 3, 4]).verify(&world.chain, &four);
    assert!(matches!(
        stranger,
        Err(CertificateError::BadSignature { .. } | CertificateError::UnknownSigner { signer: 4 })
    ));
}

#[test]
fn one_bad_signature_among_enough_good_ones_is_one_too_many() {
    let mut world = World::new("certificates", set(&FOUR));
    let header = world.block(vec![]).clone();
    let all = certificate(&world.set, &header, Round(0), &[0, 1, 2, 3]);
    for bad in 0..4u16 {
        let mut signatures = all.signatures.to_vec();
        signatures[usize::from(bad)].signature.0[33] ^= 1;
        let certificate = Certificate { signatures: List::new(signatures).unwrap(), ..all.clone() };
        let expected = Err(CertificateError::BadSignature { signer: bad });
        assert_eq!(certificate.verify(&world.chain, &world.set), expected);
    }
}

#[test]
fn a_precommit_is_for_one_chain_height_round_block_and_validator() {
    let mut world = World::new("certificates", set(&FOUR));
    let header = world.block(vec![]).clone();
    let good = certificate(&world.set, &header, Round(3), &[0, 1, 2]);
    assert_eq!(good.verify(&world.chain, &world.set), Ok(()));
    let bad = Err(CertificateError::BadSignature { signer: 0 });
    assert_eq!(good.verify(&ChainId([1; 32]), &world.set), bad);
    let other = |change: fn(&mut Certificate)| {
        let mut certificate = good.clone();
        change(&mut certificate);
        certificate.verify(&world.chain, &world.set)
    };
    assert_eq!(other(|c| c.height = Height(2)), bad);
    assert_eq!(other(|c| c.round = Round(2)), bad);
    assert_eq!(other(|c| c.block_id = BlockId([0; 32])), bad);
    // Prevotes, and precommits for nothing, decide nothing.
    let voted = |vote, block| {
        let sign = |i: usize| {
            let validator = &world.set.as_slice()[i];
            let preimage = vote_preimage(&world.chain, header.height, Round(3), vote, block, &validator.key);
            let key = key(&format!("{} consensus", validator.participant));
            CommitSignature { signer: i as u16, signature: key.sign_bytes(&preimage) }
        };
        let signatures = List::new((0..4).map(sign).collect()).unwrap();
        Certificate { signatures, ..good.clone() }.verify(&world.chain, &world.set)
    };
    assert_eq!(voted(VoteType::Precommit, Some(header.block_id())), Ok(()));
    assert_eq!(voted(VoteType::Prevote, Some(header.block_id())), bad);
    assert_eq!(voted(VoteType::Precommit, None), bad);
    // Swapped between two validators, each signature is somebody else's.
    let mut signatures = good.signatures.to_vec();
    (signatures[0].signature, signatures[1].signature) = (signatures[1].signature, signatures[0].signature);
    let swapped = Certificate { signatures: List::new(signatures).unwrap(), ..good.clone() };
    assert_eq!(swapped.verify(&world.chain, &world.set), bad);
}

#[test]
fn no_bit_of_a_certificate_can_be_changed() {
    let mut world = World::new("certificates", set(&FOUR));
    let header = world.block(vec![]).clone();
    let bytes = certificate(&world.set, &header, Round(0), &[0, 1, 2, 3]).to_bytes();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            let verified = Certificate::from_bytes(&bytes).is_ok_and(|c| {
                c.verify(&world.chain, &world.set).is_ok()
                    && c.height == header.height
                    && c.block_id == header.block_id()
            });
            assert!(!verified, "bit {bit} of byte {at}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Counted in another way: the signers' power against all of it, in whole numbers.
    #[test]
    fn a_certificate_verifies_exactly_with_a_quorum(
        weights in prop::collection::vec(1u64..6, 1..8),
        chosen in any::<u8>(),
    ) {
        let names: Vec<String> = (0..weights.len()).map(|i| format!("v{i}")).collect();
        let set = powers(&names.iter().map(String::as_str).zip(weights).collect::<Vec<_>>());
        let signers: Vec<usize> = (0..set.as_slice().len()).filter(|i| chosen >> i & 1 == 1).collect();
        let signed: u64 = signers.iter().map(|i| set.as_slice()[*i].power).sum();
        let total: u64 = set.as_slice().iter().map(|v| v.power).sum();
        prop_assert_eq!(signed_by(&set, &signers).is_ok(), signed > total - signed + (total - signed));
    }
}

// Validator sets that change.

/// A chain whose validators change in the blocks 2 and 4, an item in every block, a day between blocks.
fn changing_world() -> World {
    let mut world = World::new("changing", set(&FOUR));
    for height in 1..=6u64 {
        let item = world.event();
        let said = world.said(vec![item], &[subject()]);
        let next = match height {
            2 => Some(set(&["v2", "v3", "v4", "v5"])),
            4 => Some(set(&["w1", "w2", "w3"])),
            _ => None,
        };
        world.block_at(BEGIN.plus(height * DAY), next, vec![said], |_| {});
    }
    world
}

#[test]
fn links_lead_from_the_first_validators_to_the_last() {
    let world = changing_world();
    let (anchor, links) = (world.anchor(), world.links());
    assert_eq!(links.len(), 2);
    let target = world.receipt(world.last());
    assert_eq!(receipt(&target, &anchor, &links), Ok(Trust::TrustPeriod));
    // What lies beyond the target, or before the anchor, is not needed and not looked at.
    let every: Vec<Link> = world
        .blocks
        .iter()
        .map(|b| Link { header: b.header.clone(), certificate: b.certificate.clone(), next: b.next.clone() })
        .collect();
    assert_eq!(changing(every.clone()), links);
    assert_eq!(receipt(&target, &anchor, &every), Ok(Trust::TrustPeriod));
}

#[test]
fn a_link_that_is_missing_leaves_it_open() {
    let world = changing_world();
    let (anchor, links) = (world.anchor(), world.links());
    let target = world.receipt(world.last());
    for kept in [&links[..0], &links[..1]] {
        let failure = receipt(&target, &anchor, kept).unwrap_err();
        assert_eq!(failure, Failure::Unlinked { height: Height(6) });
        assert!(!failure.is_evidence());
    }
    assert_eq!(receipt(&target, &anchor, &links[1..]), Err(Failure::Unlinked { height: Height(4) }));
}

#[test]
fn links_ascend_are_certified_and_say_who_follows() {
    let world = changing_world();
    let (anchor, links) = (world.anchor(), world.links());
    let target = world.receipt(world.last());
    let with = |change: &dyn Fn(&mut Vec<Link>)| {
        let mut links = links.clone();
        change(&mut links);
        receipt(&target, &anchor, &links).unwrap_err()
    };
    assert_eq!(with(&|l| l.reverse()), Failure::Unlinked { height: Height(4) });
    assert_eq!(with(&|l| l.push(l[0].clone())), Failure::BadLink { height: Height(2) });
    assert_eq!(with(&|l| l.insert(0, l[0].clone())), Failure::BadLink { height: Height(2) });
    assert_eq!(with(&|l| l[0].next = set(&FOUR)), Failure::BadLink { height: Height(2) });
    assert_eq!(
        with(&|l| l[0].certificate = l[1].certificate.clone()),
        Failure::BadLink { height: Height(2) }
    );
    assert_eq!(with(&|l| l[0].header.chain = ChainId([1; 32])), Failure::BadLink { height: Height(2) });
    assert_eq!(with(&|l| l[0].header.version = 2), Failure::Protocol { version: 2 });
    assert_eq!(with(&|l| l[1].header.time = BEGIN), Failure::BadLink { height: Height(4) });
    let unsigned = with(&|l| {
        let certificate = &mut l[1].certificate;
        certificate.signatures = List::new(certificate.signatures[..1].to_vec()).unwrap();
    });
    assert!(matches!(unsigned, Failure::Certificate(CertificateError::NoQuorum { .. })));
    // A set of one's own choice, certified by itself.
    let own = set(&["mallory"]);
    let forged = with(&|l| {
        l[0].header.next_validators_hash = own.hash();
        l[0].next = own.clone();
        l[0].certificate = certificate(&own, &l[0].header, Round(0), &[0]);
    });
    assert!(matches!(forged, Failure::Certificate(_)), "{forged:?}");
}

// Retired keys.

/// The true chain of this part: its first validators are retired in block 2, thirty days after the beginning.
fn true_chain() -> World {
    let mut world = World::new("retired", set(&FOUR));
    for (day, next) in [(1, None), (30, Some(set(&["w1", "w2", "w3", "w4"]))), (31, None), (200, None)] {
        let item = world.event();
        let said = world.said(vec![item], &[subject()]);
        world.block_at(BEGIN.plus(day * DAY), next, vec![said], |_| {});
    }
    world
}

/// What three of the four retired keys make of it: from block 2 on another history, in which they were never
/// retired and hospital A's item of the last day does not exist.
fn forged_chain(last_day: u64) -> World {
    let mut world = World::new("retired", set(&FOUR));
    for day in [1, last_day - 1, last_day] {
        let item = world.event();
        let said = world.said(vec![item], &[institution()]);
        world.block_at(BEGIN.plus(day * DAY), None, vec![said], |_| {});
    }
    assert_eq!(world.head().certificate.signatures.len(), 3);
    world
}

#[test]
fn a_history_forged_by_three_retired_keys_is_not_verified() {
    let (world, forged) = (true_chain(), forged_chain(200));
    let anchor = world.anchor();
    assert_eq!(anchor, forged.anchor());
    for failure in [
        receipt(&forged.receipt(forged.last()), &anchor, &[]).unwrap_err(),
        trail(&forged.whole_trail(&subject()), &anchor).unwrap_err(),
    ] {
        assert!(matches!(failure, Failure::RetiredKeys { .. }), "{failure:?}");
        assert!(!failure.is_evidence(), "it could not be told: the true chain looks just like it from here");
    }
    // Indeed the true chain is not verified from that far either; an anchor that moved on tells them apart.
    let links = world.links();
    assert!(matches!(
        receipt(&world.receipt(world.last()), &anchor, &links),
        Err(Failure::RetiredKeys { .. })
    ));
    let moved = advance(&world, 2, &anchor).unwrap();
    let moved = advance(&world, 3, &moved).unwrap();
    let recent = Recency { trust_period_ms: 365 * DAY, ..Recency::default() };
    let from_there = Basis { anchor: &moved, links: &[], recency: recent };
    assert!(verify::receipt(&world.receipt(world.last()), &from_there).is_ok());
    let failure = verify::receipt(&forged.receipt(forged.last()), &from_there).unwrap_err();
    assert_eq!(failure, Failure::Fork { height: Height(3) });
    assert!(failure.is_evidence());
}

#[test]
fn a_forgery_dated_into_the_trust_period_convinces_only_who_knows_nothing_newer() {
    // This is what the trust period means: whoever knows the first validators and nothing after believes them for
    // ninety days of header time. Every piece of newer knowledge undoes it.
    let (world, forged) = (true_chain(), forged_chain(60));
    let anchor = world.anchor();
    let target = forged.receipt(forged.last());
    assert_eq!(receipt(&target, &anchor, &[]), Ok(Trust::TrustPeriod));
    assert_eq!(receipt(&target, &anchor, &world.links()), Err(Failure::Unlinked { height: Height(3) }));
    let recency = Recency { not_older_than: Some(BEGIN.plus(190 * DAY)), ..Recency::default() };
    let asked = verify::receipt(&target, &Basis { anchor: &anchor, links: &[], recency });
    assert!(matches!(asked, Err(Failure::TooOld { .. })));
    let moved = advance(&world, 2, &anchor).unwrap();
    assert!(matches!(receipt(&target, &moved, &[]), Err(Failure::Unlinked { .. })));
}

#[test]
fn keys_that_came_to_power_after_the_trust_period_cannot_date_themselves_back_into_it() {
    let mut world = World::new("late change", set(&FOUR));
    let later = set(&["w1", "w2", "w3", "w4"]);
    world.block_at(BEGIN.plus(300 * DAY), Some(later.clone()), vec![], |_| {});
    let links = world.links();
    let item = world.event();
    let said = world.said(vec![item], &[subject()]);
    for day in [1, 89, 300] {
        let mut forged = world.clone();
        forged.block_at(BEGIN.plus(day * DAY), None, vec![said.clone()], |_| {});
        let failure = receipt(&forged.receipt(forged.last()), &world.anchor(), &links).unwrap_err();
        assert_eq!(failure, Failure::HeaderTime { height: Height(2) }, "day {day}");
    }
    world.block_at(BEGIN.plus(301 * DAY), None, vec![said], |_| {});
    let honest = receipt(&world.receipt(world.last()), &world.anchor(), &links);
    assert!(matches!(honest, Err(Failure::RetiredKeys { .. })));
}

// Witnesses.

/// A witness' signature over the checkpoint of `world`'s log, by the letter of C2SP tlog-checkpoint and
/// tlog-cosignature.
fn cosign(world: &World, witness: &str) -> Cosignature {
    let head = &world.head().header;
    let time = head.time.0 / 1000;
    let text = format!(
        "cosignature/v1\ntime {time}\ncustos/{}\n{}\n{}\n",
        world.chain,
        world.log.len(),
        Base64::encode_string(&naive::root(&world.leaves()).0),
    );
    Cosignature { key: key(witness).public(), time, signature: key(witness).sign_bytes(text.as_bytes()) }
}

/// What witnesses of `world`'s log say about the header at `height`, an earlier one.
fn witnessed(world: &World, height: usize, witnesses: &[&str]) -> Witnessed {
    let index = world.blocks[height - 1].header.log_size.0 as usize;
    let mut cosignatures: Vec<_> = witnesses.iter().map(|witness| cosign(world, witness)).collect();
    cosignatures.sort_by_key(|c| c.key);
    Witnessed {
        size: LogSize(world.log.len() as u64),
        root: naive::root(&world.leaves()),
        next: Bytes::new(world.log[index].clone()).unwrap(),
        path: List::new(naive::path(index, &world.leaves())).unwrap(),
        cosignatures: List::new(cosignatures).unwrap(),
    }
}

/// The first anchor, of somebody who believes two of three witnesses.
fn with_witnesses(world: &World) -> TrustAnchor {
    let keys = ["w-one", "w-two", "w-three"].map(|witness| key(witness).public());
    TrustAnchor { witnesses: Set::new(keys.to_vec()).unwrap(), threshold: 2, ..world.anchor() }
}

/// The true chain, one block longer, and the proofs under its header 4 as they stood then.
fn witnessed_chain() -> (World, World) {
    let then = true_chain();
    let mut now = then.clone();
    now.block_at(BEGIN.plus(201 * DAY), None, vec![], |_| {});
    (then, now)
}

#[test]
fn witnesses_tell_the_true_history_from_the_forged_one() {
    let (then, now) = witnessed_chain();
    let (anchor, links) = (with_witnesses(&now), now.links());
    let mut target = then.receipt(then.last());
    for (names, expected) in [
        (&["w-one", "w-two"][..], Ok(Trust::Witnesses(2))),
        (&["w-one", "w-two", "w-three"], Ok(Trust::Witnesses(3))),
        (&["w-one", "w-two", "stranger"], Ok(Trust::Witnesses(2))),
    ] {
        target.witnessed = Some(witnessed(&now, 4, names));
        assert_eq!(receipt(&target, &anchor, &links), expected);
    }
    for names in [&[][..], &["w-one"], &["w-one", "stranger", "stranger-2"]] {
        target.witnessed = Some(witnessed(&now, 4, names));
        assert!(matches!(receipt(&target, &anchor, &links), Err(Failure::RetiredKeys { .. })), "{names:?}");
    }
    // Whoever asks for no witnesses is not convinced by any.
    target.witnessed = Some(witnessed(&now, 4, &["w-one", "w-two", "w-three"]));
    let none = TrustAnchor { threshold: 0, ..anchor.clone() };
    assert!(matches!(receipt(&target, &none, &links), Err(Failure::RetiredKeys { .. })));

    // The forged history has nobody to cosign it.
    let mut forged = forged_chain(200);
    let mut lie = forged.receipt(forged.last());
    forged.block_at(BEGIN.plus(201 * DAY), None, vec![], |_| {});
    lie.witnessed = Some(witnessed(&forged, 3, &["mallory", "mallory-2"]));
    assert!(matches!(receipt(&lie, &anchor, &[]), Err(Failure::RetiredKeys { .. })));
    lie.witnessed = Some(witnessed(&now, 3, &["w-one", "w-two"]));
    assert_eq!(receipt(&lie, &anchor, &[]), Err(Failure::Witnesses));
}

#[test]
fn retired_keys_cannot_borrow_the_cosignatures_of_the_true_log() {
    let (then, now) = witnessed_chain();
    let anchor = with_witnesses(&now);
    let retired = set(&FOUR);
    let borrowed = witnessed(&now, 4, &["w-one", "w-two"]);
    // The true log root, and beside it a state in which the subject's trail does not exist.
    let mut forged = then.clone();
    forged.entries.remove(&registry::trail_key(&subject().key()));
    forged.trails.clear();
    let state_root = naive::state_root(&forged.entries);
    forged.forge(&retired, |header| header.state_root = state_root);
    let mut absence = forged.whole_trail(&subject());
    absence.witnessed = Some(borrowed.clone());
    assert_eq!(trail(&absence, &anchor), Err(Failure::Witnesses));
    // The empty log, of which every log is a continuation.
    forged.forge(&retired, |header| {
        header.log_size = LogSize(0);
        header.log_root = naive::root(&[]);
    });
    let mut absence = forged.whole_trail(&subject());
    for next in [0, 4, now.log.len() - 1] {
        let leaves = now.leaves();
        absence.witnessed = Some(Witnessed {
            next: Bytes::new(now.log[next].clone()).unwrap(),
            path: List::new(naive::path(next, &leaves)).unwrap(),
            ..borrowed.clone()
        });
        assert_eq!(trail(&absence, &anchor), Err(Failure::Witnesses));
    }
    // A record of the forger's own in place of the next block's.
    let own = Record {
        index: LogIndex(0),
        height: Height(5),
        time: FAR,
        entry: Recorded::Block { parent: forged.head().header.block_id() },
    };
    absence.witnessed = Some(Witnessed { next: Bytes::new(own.to_bytes()).unwrap(), ..borrowed });
    assert_eq!(trail(&absence, &anchor), Err(Failure::Witnesses));
}

#[test]
fn cosignatures_hold_one_and_all_even_where_they_are_not_needed() {
    let (then, now) = witnessed_chain();
    let (anchor, links) = (with_witnesses(&now), now.links());
    let early = Recency { trust_period_ms: 365 * DAY, ..Recency::default() };
    let mut target = then.receipt(then.last());
    let good = witnessed(&now, 4, &["w-one", "w-two", "stranger"]);
    let mut with = |change: &dyn Fn(&mut Witnessed)| {
        let mut witnessed = good.clone();
        change(&mut witnessed);
        target.witnessed = Some(witnessed);
        let near = verify::receipt(&target, &Basis { anchor: &anchor, links: &links, recency: early });
        let far = receipt(&target, &anchor, &links);
        (near.map(|proven| proven.header.trust), far)
    };
    assert_eq!(with(&|_| {}), (Ok(Trust::TrustPeriod), Ok(Trust::Witnesses(2))));
    let refused = (Err(Failure::Witnesses), Err(Failure::Witnesses));
    let cosignatures = |w: &mut Witnessed, change: &dyn Fn(&mut Vec<Cosignature>)| {
        let mut list = w.cosignatures.to_vec();
        change(&mut list);
        w.cosignatures = List::new(list).unwrap();
    };
    for i in 0..3 {
        assert_eq!(with(&|w| cosignatures(w, &|c| c[i].signature.0[9] ^= 1)), refused);
        assert_eq!(with(&|w| cosignatures(w, &|c| c[i].time += 1)), refused);
        assert_eq!(with(&|w| cosignatures(w, &|c| c[i].key = PublicKey([1; 32]))), refused);
        // The same witness twice is one witness.
        assert_eq!(with(&|w| cosignatures(w, &|c| c.insert(i, c[i].clone()))), refused);
    }
    assert_eq!(with(&|w| cosignatures(w, &|c| c.reverse())), refused);
    assert_eq!(with(&|w| w.size.0 += 1), refused);
    assert_eq!(with(&|w| w.root.0[0] ^= 1), refused);
    assert_eq!(with(&|w| w.path = List::default()), refused);
    assert_eq!(with(&|w| w.next = Bytes::default()), refused);
}

// Anchors.

/// The anchor moved to the header at `height`.
fn advance(world: &World, height: usize, anchor: &TrustAnchor) -> Result<TrustAnchor, Failure> {
    anchor.advance(&advance_to(world, height), &Recency::default())
}

fn advance_to(world: &World, height: usize) -> Advance {
    let block = &world.blocks[height - 1];
    Advance {
        links: List::new(world.links()).unwrap(),
        header: block.header.clone(),
        certificate: block.certificate.clone(),
        next: block.next.clone(),
        witnessed: None,
    }
}

#[test]
fn an_anchor_moves_forward_across_changes_and_never_back() {
    let world = changing_world();
    let first = world.anchor();
    let mut anchor = first.clone();
    for height in 1..=6 {
        anchor = advance(&world, height, &anchor).unwrap();
        assert_eq!(anchor.block_id, world.blocks[height - 1].header.block_id());
        assert_eq!(anchor.validators, world.blocks[height - 1].next);
        assert_eq!(advance(&world, height, &first).unwrap(), anchor, "in one step or in many");
        assert_eq!(anchor, TrustAnchor::from_bytes(&anchor.to_bytes()).unwrap());
    }
    assert_eq!(advance(&world, 6, &anchor), Ok(anchor.clone()), "where it is already");
    for height in 1..6 {
        let failure = advance(&world, height, &anchor).unwrap_err();
        assert!(matches!(failure, Failure::TooOld { .. }), "{height}");
        assert!(!failure.is_evidence());
    }
    assert_eq!(receipt(&world.receipt(world.last()), &anchor, &[]), Ok(Trust::TrustPeriod));
}

#[test]
fn an_advance_names_the_validators_that_follow() {
    let world = changing_world();
    let anchor = world.anchor();
    let mut advance = advance_to(&world, 4);
    advance.next = set(&["mallory"]);
    assert_eq!(anchor.advance(&advance, &Recency::default()), Err(Failure::BadLink { height: Height(4) }));
    // Nor does an advance go further than the trust period.
    let world = true_chain();
    let far = anchor_far(&world);
    assert!(matches!(far, Err(Failure::RetiredKeys { .. })), "{far:?}");
}

fn anchor_far(world: &World) -> Result<TrustAnchor, Failure> {
    advance(world, 4, &world.anchor())
}

#[test]
fn the_trust_period_ends_to_the_millisecond() {
    let mut world = World::new("period", set(&FOUR));
    let item = world.event();
    let said = world.said(vec![item], &[subject()]);
    world.block_at(BEGIN.plus(TRUST_PERIOD_MS), None, vec![said], |_| {});
    assert_eq!(receipt(&world.receipt(world.last()), &world.anchor(), &[]), Ok(Trust::TrustPeriod));
    world.block(vec![]);
    let failure = receipt(&world.receipt(world.last()), &world.anchor(), &[]).unwrap_err();
    assert_eq!(failure, Failure::RetiredKeys { anchor: BEGIN, target: BEGIN.plus(TRUST_PERIOD_MS + 1000) });
}

#[test]
fn a_header_is_of_this_chain_this_protocol_and_not_older_than_asked() {
    let world = one_item();
    let anchor = world.anchor();
    let target = world.receipt(world.last());
    let other = World::new("another", set(&FOUR));
    let failure = receipt(&target, &other.anchor(), &[]).unwrap_err();
    assert_eq!(failure, Failure::OtherChain { anchor: other.chain, found: world.chain });
    assert!(!failure.is_evidence());
    let mut newer = world.clone();
    let four = set(&FOUR);
    newer.forge(&four, |header| header.version = 2);
    let failure = receipt(&newer.receipt(newer.last()), &anchor, &[]).unwrap_err();
    assert_eq!(failure, Failure::Protocol { version: 2 });
    let at = world.time();
    let asked = |oldest| {
        let recency = Recency { not_older_than: Some(oldest), ..Recency::default() };
        verify::receipt(&target, &Basis { anchor: &anchor, links: &[], recency }).map(drop)
    };
    assert_eq!(asked(at), Ok(()));
    assert_eq!(asked(at.plus(1)), Err(Failure::TooOld { time: at }));
    // A stale head is how the newest entries are hidden: the same question holds for trails.
    let recency = Recency { not_older_than: Some(at.plus(1)), ..Recency::default() };
    let stale =
        verify::trail(&world.whole_trail(&subject()), &Basis { anchor: &anchor, links: &[], recency });
    assert_eq!(stale, Err(Failure::TooOld { time: at }));
}

#[test]
fn a_certificate_is_for_its_header() {
    let world = one_item();
    let mut target = world.receipt(world.last());
    let mut longer = world.clone();
    longer.block(vec![]);
    target.certificate = longer.head().certificate.clone();
    assert_eq!(receipt(&target, &world.anchor(), &[]), Err(Failure::CertificateOfAnother));
    target.certificate = world.head().certificate.clone();
    target.header.state_root = Digest([0; 32]);
    assert_eq!(receipt(&target, &world.anchor(), &[]), Err(Failure::CertificateOfAnother));
    target.certificate.block_id = target.header.block_id();
    assert!(matches!(receipt(&target, &world.anchor(), &[]), Err(Failure::Certificate(_))));
}

#[test]
fn at_the_anchors_height_there_is_one_block() {
    let world = one_item();
    let anchor = advance(&world, 1, &world.anchor()).unwrap();
    assert!(receipt(&world.receipt(world.last()), &anchor, &[]).is_ok());
    let mut fork = world.clone();
    let four = set(&FOUR);
    fork.forge(&four, |header| header.round = Round(9));
    let failure = receipt(&fork.receipt(fork.last()), &anchor, &[]).unwrap_err();
    assert_eq!(failure, Failure::Fork { height: Height(1) });
    assert!(failure.is_evidence());
}

// Receipts.

#[test]
fn a_receipt_shows_what_was_recorded_and_by_whom() {
    let mut world = World::new("receipts", set(&FOUR));
    let items: Vec<_> = (0..7).map(|_| world.event()).collect();
    let said = world.said(items.clone(), &[subject()]);
    world.block(vec![said]);
    world.block(vec![]);
    for (position, item) in items.iter().enumerate() {
        let index = 1 + position as u64;
        let proven = verify::receipt(&world.receipt(index), &basis(&world.anchor(), &[])).unwrap();
        assert_eq!(proven.item.item.to_bytes(), *item);
        assert_eq!(proven.item.hash, ItemHash(naive::leaf(item).0));
        assert_eq!(proven.item.key.owner, Author::Participant(id("hospital-a")));
        assert_eq!((proven.item.record.height, proven.item.entry.position), (Height(1), position as u32));
        assert_eq!(proven.header.header.height, Height(2), "under a later header than its own");
        assert_eq!(proven.header.signers, [0, 1, 2]);
        assert!(proven.item.is_strict());
    }
}

#[test]
fn no_bit_of_a_receipt_can_be_changed() {
    // One validator, so that a quarter of the signatures has to be checked: certificates have their own test.
    let mut world = World::new("flips", set(&["v1"]));
    let (one, two) = (world.event(), world.event());
    let said = world.said(vec![one, two], &[subject()]);
    world.block(vec![said]);
    let anchor = world.anchor();
    let target = world.receipt(world.last());
    assert!(receipt(&target, &anchor, &[]).is_ok());
    let bytes = target.to_bytes();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            let verified =
                Receipt::from_bytes(&bytes).is_ok_and(|flipped| receipt(&flipped, &anchor, &[]).is_ok());
            assert!(!verified, "bit {bit} of byte {at}");
        }
    }
    for end in 0..bytes.len() {
        assert!(Receipt::from_bytes(&bytes[..end]).is_err());
    }
}

#[test]
fn no_byte_of_a_witnessed_receipt_can_be_changed() {
    let (then, now) = witnessed_chain();
    let (anchor, links) = (with_witnesses(&now), now.links());
    let mut target = then.receipt(then.last());
    target.witnessed = Some(witnessed(&now, 4, &["w-one", "w-two", "stranger"]));
    let bytes = target.to_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let mut bytes = bytes.clone();
        bytes[at] = byte ^ 1 << (at % 8);
        let verified =
            Receipt::from_bytes(&bytes).is_ok_and(|flipped| receipt(&flipped, &anchor, &links).is_ok());
        assert!(!verified, "byte {at}");
    }
}

#[test]
fn parts_of_two_receipts_do_not_make_a_third() {
    let mut world = World::new("parts", set(&FOUR));
    let (one, two, three) = (world.event(), world.event(), world.event());
    let (pair, single) = (world.said(vec![one, two], &[subject()]), world.said(vec![three], &[subject()]));
    world.block(vec![pair, single]);
    let anchor = world.anchor();
    let (a, b, c) = (world.receipt(1), world.receipt(2), world.receipt(3));
    let with = |change: &dyn Fn(&mut Receipt)| {
        let mut target = a.clone();
        change(&mut target);
        receipt(&target, &anchor, &[]).unwrap_err()
    };
    assert_eq!(with(&|r| r.item = b.item.clone()), Failure::OtherItem);
    assert_eq!(with(&|r| r.record = b.record.clone()), Failure::NotInLog);
    assert_eq!(with(&|r| r.record_path = b.record_path.clone()), Failure::NotInLog);
    let other_record = with(&|r| (r.record, r.record_path) = (b.record.clone(), b.record_path.clone()));
    assert_eq!(other_record, Failure::OtherItem);
    assert_eq!(with(&|r| r.item_path = b.item_path.clone()), Failure::NotSigned);
    assert_eq!(with(&|r| r.item_path = List::default()), Failure::NotSigned);
    assert_eq!(with(&|r| r.envelope = c.envelope.clone()), Failure::OtherSubmission);
    assert!(matches!(with(&|r| r.envelope = Bytes::default()), Failure::Envelope(_)));
    assert!(matches!(with(&|r| r.record = Bytes::default()), Failure::Form { what: "record", .. }));
    // A neighbour's record path and index: the record says its own index, and it is taken at its word.
    let block = Record::from_bytes(&world.log[0]).unwrap();
    let of_a_block = with(&|r| {
        r.record = Bytes::new(block.to_bytes()).unwrap();
        r.record_path = List::new(naive::path(0, &world.leaves())).unwrap();
    });
    assert_eq!(of_a_block, Failure::OtherItem);
}

#[test]
fn the_key_is_the_authors_for_signing_and_in_the_state() {
    let mut world = one_item();
    let another = key("another");
    world.put_key(KeyEntry {
        owner: Author::Participant(id("hospital-b")),
        key: another.public(),
        ..world.key_entry("hospital-b")
    });
    world.block(vec![]);
    let anchor = world.anchor();
    let good = world.receipt(world.last());
    let mut target = good.clone();
    target.author_key = world.proven_key(&another.public());
    assert_eq!(receipt(&target, &anchor, &[]), Err(Failure::KeyNotValid), "another owner's");
    let mut target = good.clone();
    target.author_key.entry.owner = Author::Participant(id("hospital-b"));
    assert_eq!(receipt(&target, &anchor, &[]), Err(Failure::KeyProof), "not as the state has it");
    let mut target = good.clone();
    target.author_key.proof = world.proven_key(&another.public()).proof;
    assert_eq!(receipt(&target, &anchor, &[]), Err(Failure::KeyProof));
    // Another key of the same author is not the one that signed.
    let mut two_keys = world.clone();
    two_keys.put_key(KeyEntry { key: key("second").public(), ..world.key_entry("hospital-a") });
    two_keys.block(vec![]);
    let mut target = two_keys.receipt(1);
    target.author_key = two_keys.proven_key(&key("second").public());
    assert_eq!(receipt(&target, &anchor, &[]), Err(Failure::AuthorSignature));
}

#[test]
fn the_key_was_valid_when_the_item_was_recorded() {
    // The item is recorded at index 1, a second after the beginning.
    let (index, time) = (LogIndex(1), BEGIN.plus(1000));
    let with = |change: &dyn Fn(&mut KeyEntry)| {
        let mut world = World::new("keys", set(&FOUR));
        let mut entry = world.key_entry("hospital-a");
        change(&mut entry);
        world.put_key(entry);
        let item = world.event();
        let said = world.said(vec![item], &[subject()]);
        world.block(vec![said]);
        let expected = world.receipt(1);
        let result = receipt(&expected, &world.anchor(), &[]).map(drop);
        assert_eq!(trail(&world.whole_trail(&subject()), &world.anchor()).map(drop), result);
        result
    };
    let refused = Err(Failure::KeyNotValid);
    assert_eq!(with(&|k| k.revoked = Some(index)), refused);
    assert_eq!(with(&|k| k.revoked = Some(LogIndex(0))), refused);
    assert_eq!(with(&|k| k.revoked = Some(LogIndex(2))), Ok(()));
    assert_eq!(with(&|k| k.valid_from = LogIndex(2)), refused);
    assert_eq!(with(&|k| k.valid_from = index), Ok(()));
    assert_eq!(with(&|k| k.not_after = TimeMs(time.0 - 1)), refused);
    assert_eq!(with(&|k| k.not_after = time), Ok(()));
    for purpose in [KeyPurpose::Consensus, KeyPurpose::Transport, KeyPurpose::Note, KeyPurpose::Vault] {
        assert_eq!(with(&|k| k.purpose = purpose), refused, "{purpose}");
    }
    // A mark of compromise unmakes nothing.
    assert_eq!(with(&|k| k.compromised_from = Some(BEGIN)), Ok(()));
}

#[test]
fn what_validators_should_never_certify_is_refused_all_the_same() {
    let certified = |tweak: &dyn Fn(&mut Record)| {
        let mut world = World::new("tweaked", set(&FOUR));
        let (one, two) = (world.event(), world.event());
        let said = world.said(vec![one, two], &[subject()]);
        world.block_at(BEGIN.plus(1000), None, vec![said], |record| {
            if record.index == LogIndex(1) {
                tweak(record);
            }
        });
        let trail = trail(&world.whole_trail(&subject()), &world.anchor()).map(drop);
        (receipt(&world.receipt(1), &world.anchor(), &[]).map(drop), trail)
    };
    let both = |failure: Failure| (Err(failure.clone()), Err(failure));
    let entry = |record: &mut Record, change: &dyn Fn(&mut custos_proof::record::ItemEntry)| match &mut record
        .entry
    {
        Recorded::Item(item) => change(item),
        other => panic!("{other:?}"),
    };
    assert_eq!(certified(&|_| {}), (Ok(()), Ok(())));
    assert_eq!(certified(&|r| r.time = r.time.plus(1)), both(Failure::RecordTime));
    assert_eq!(certified(&|r| r.time = BEGIN), both(Failure::RecordTime));
    assert_eq!(certified(&|r| r.height = Height(2)), both(Failure::RecordTime));
    assert_eq!(
        certified(&|r| r.height = Height(0)),
        both(Failure::RecordTime),
        "earlier, but at the same time"
    );
    assert_eq!(certified(&|r| r.index = LogIndex(99)), both(Failure::RecordTime));
    assert_eq!(certified(&|r| r.index = LogIndex(2)).0, Err(Failure::NotInLog));
    assert_eq!(certified(&|r| entry(r, &|e| e.position = 1)), both(Failure::NotSigned));
    assert_eq!(certified(&|r| entry(r, &|e| e.position = 7)), both(Failure::NotSigned));
    assert_eq!(certified(&|r| entry(r, &|e| e.item.0[0] ^= 1)), both(Failure::OtherItem));
    assert_eq!(certified(&|r| entry(r, &|e| e.submission.0[0] ^= 1)), both(Failure::OtherSubmission));
    let other_author =
        |e: &mut custos_proof::record::ItemEntry| e.author = Author::Participant(id("hospital-b"));
    assert_eq!(certified(&|r| entry(r, &other_author)), both(Failure::OtherSubmission));
}

#[test]
fn the_author_signed_for_this_chain_this_class_and_this_long() {
    let said = |change: &dyn Fn(&mut Said)| {
        let mut world = World::new("envelopes", set(&FOUR));
        let item = world.event();
        let mut said = world.said(vec![item], &[subject()]);
        change(&mut said);
        world.block(vec![said]);
        let trail = trail(&world.whole_trail(&subject()), &world.anchor()).map(drop);
        let receipt = receipt(&world.receipt(1), &world.anchor(), &[]).map(drop);
        assert_eq!(receipt, trail);
        receipt
    };
    assert_eq!(said(&|_| {}), Ok(()));
    assert_eq!(said(&|s| s.chain = ChainId([1; 32])), Err(Failure::AuthorSignature));
    assert_eq!(said(&|s| s.class = Class::Act), Err(Failure::OtherClass));
    assert_eq!(said(&|s| s.not_after = BEGIN.plus(1000)), Ok(()));
    assert_eq!(said(&|s| s.not_after = BEGIN.plus(999)), Err(Failure::KeyNotValid));
    assert_eq!(said(&|s| s.author = Author::Participant(id("hospital-b"))), Err(Failure::KeyNotValid));
    assert_eq!(said(&|s| s.author = Author::Subject(subject().key())), Err(Failure::KeyNotValid));
    assert!(matches!(
        said(&|s| s.items = vec![b"no item".to_vec()]),
        Err(Failure::Form { what: "item", .. })
    ));
}

// Trails.

/// A trail of nine entries in blocks of three, and another one beside it.
fn with_trail() -> World {
    let mut world = World::new("trail", set(&FOUR));
    for _ in 0..3 {
        let (one, two, three) = (world.event(), world.event(), world.event());
        let pair = world.said(vec![one, two], &[subject(), institution()]);
        let mut single = world.said(vec![three], &[subject()]);
        (single.author, single.key) = (Author::Participant(id("hospital-b")), key("hospital-b sign"));
        world.block(vec![pair, single]);
    }
    world
}

#[test]
fn a_trail_proof_shows_every_entry_in_order() {
    let world = with_trail();
    let proven = trail(&world.whole_trail(&subject()), &world.anchor()).unwrap();
    assert!(proven.is_complete());
    assert_eq!((proven.size, proven.begin, proven.not_shown()), (9, 0, (0, 0)));
    assert_eq!(proven.key, subject().key());
    let shown: Vec<u64> = proven.entries.iter().map(|entry| entry.record.index.0).collect();
    assert_eq!(shown, [1, 2, 3, 5, 6, 7, 9, 10, 11]);
    assert!(proven.entries.iter().enumerate().all(|(i, entry)| entry.position == i as u64));
    let beside = trail(&world.whole_trail(&institution()), &world.anchor()).unwrap();
    assert_eq!(beside.size, 6);
}

#[test]
fn nothing_is_left_out_added_or_moved() {
    let world = with_trail();
    let anchor = world.anchor();
    let good = world.whole_trail(&subject());
    let with = |change: &dyn Fn(&mut TrailProof, &mut Vec<Entry>)| {
        let (mut proof, mut entries) = (good.clone(), good.entries.to_vec());
        change(&mut proof, &mut entries);
        proof.entries = List::new(entries).unwrap();
        trail(&proof, &anchor).unwrap_err()
    };
    for i in 0..9 {
        assert_eq!(with(&|_, e| drop(e.remove(i))), Failure::TrailRoot, "{i} dropped");
        assert_eq!(with(&|_, e| e.insert(i, e[i].clone())), Failure::TrailRoot, "{i} doubled");
        assert_eq!(with(&|_, e| e.truncate(i)), Failure::TrailRoot, "cut at {i}");
        assert_eq!(with(&|_, e| e.swap(i, (i + 1) % 9)), Failure::TrailRoot, "{i} moved");
    }
    // Cut, and the size said to be smaller: the state knows the size.
    let smaller = with(&|p, e| {
        e.pop();
        let leaves: Vec<Digest> = e.iter().map(|entry| naive::leaf(entry.record())).collect();
        p.head = Some(TrailHead { size: 8, root: naive::root(&leaves) });
    });
    assert_eq!(smaller, Failure::TrailHead);
    assert_eq!(with(&|p, _| p.head = None), Failure::TrailHead);
    assert_eq!(with(&|p, _| p.begin = 1), Failure::TrailRoot);
    assert_eq!(with(&|p, _| p.begin = u64::MAX), Failure::TrailRoot);
    assert_eq!(with(&|p, _| p.range_path = List::new(vec![Digest([0; 32])]).unwrap()), Failure::TrailRoot);
    assert_eq!(with(&|p, _| p.name = institution()), Failure::TrailHead);
    // Another trail's head and entries under this one's name.
    let other = world.whole_trail(&institution());
    let renamed = TrailProof { name: subject(), ..other.clone() };
    assert_eq!(trail(&renamed, &anchor), Err(Failure::TrailHead));
    let mixed = with(&|_, e| *e = other.entries.to_vec());
    assert_eq!(mixed, Failure::TrailRoot);
    // Envelopes and keys that are missing, or another's.
    assert_eq!(with(&|p, _| p.envelopes = List::default()), Failure::Contradiction);
    assert_eq!(with(&|p, _| p.keys = List::default()), Failure::KeyMissing);
    assert_eq!(with(&|p, _| p.keys = List::new(p.keys[..1].to_vec()).unwrap()), Failure::KeyMissing);
    let full = |entry: &mut Entry, to: u32| match entry {
        Entry::Full { envelope, .. } => *envelope = to,
        other => panic!("{other:?}"),
    };
    assert_eq!(with(&|_, e| full(&mut e[0], 1)), Failure::OtherSubmission);
    assert_eq!(with(&|_, e| full(&mut e[0], u32::MAX)), Failure::Contradiction);
}

#[test]
fn the_first_bad_envelope_of_a_trail_says_what_is_wrong() {
    // Six envelopes, checked in one batch; whatever is wrong with several, one by one would have found the first.
    let world = with_trail();
    let good = world.whole_trail(&subject());
    assert_eq!(good.envelopes.len(), 6);
    let without_key = TrailProof { keys: List::new(good.keys[..1].to_vec()).unwrap(), ..good.clone() };
    let broken = |proof: &TrailProof, signatures: &[usize], forms: &[usize]| {
        let mut envelopes: Vec<Vec<u8>> = proof.envelopes.iter().map(|e| e.to_vec()).collect();
        for at in signatures {
            // The signature is what an envelope ends with.
            *envelopes[*at].last_mut().unwrap() ^= 1;
        }
        for at in forms {
            envelopes[*at].push(0);
        }
        let envelopes = envelopes.into_iter().map(|e| Bytes::new(e).unwrap()).collect();
        let proof = TrailProof { envelopes: List::new(envelopes).unwrap(), ..proof.clone() };
        trail(&proof, &world.anchor()).map(drop)
    };
    assert_eq!(broken(&good, &[], &[]), Ok(()));
    for at in 0..6 {
        assert_eq!(broken(&good, &[at], &[]), Err(Failure::AuthorSignature), "signature {at}");
        assert!(matches!(broken(&good, &[], &[at]), Err(Failure::Envelope(_))), "form {at}");
        for other in 0..6 {
            let both = broken(&good, &[at], &[other]);
            match at < other {
                true => assert_eq!(both, Err(Failure::AuthorSignature), "signature {at}, form {other}"),
                false => assert!(matches!(both, Err(Failure::Envelope(_))), "signature {at}, form {other}"),
            }
        }
    }
    // One of the two authors' keys is missing: the first envelope that needs it is the first or the second.
    let kept = key_id(&without_key.keys[0].entry.key);
    let missing = good.envelopes.iter().position(|e| Envelope::decode(e).unwrap().key_id() != kept).unwrap();
    for at in 0..6 {
        let expected = if at < missing { Failure::AuthorSignature } else { Failure::KeyMissing };
        assert_eq!(broken(&without_key, &[at], &[]), Err(expected), "signature {at}");
    }
}

#[test]
fn the_same_record_twice_in_a_trail_is_refused_even_if_it_hashes() {
    // Validators that list one record under two positions of a trail: positions are in the record.
    let mut world = World::new("listed", set(&FOUR));
    let item = world.event();
    let said = world.said(vec![item], &[subject()]);
    world.block(vec![said]);
    let index = world.last();
    world.trails.get_mut(&subject().key()).unwrap().push(index);
    world.block(vec![]);
    let failure = trail(&world.whole_trail(&subject()), &world.anchor()).unwrap_err();
    assert_eq!(failure, Failure::NotListed { position: 1 });
    // A record of another trail, slipped in.
    let mut world = World::new("slipped", set(&FOUR));
    let (one, two) = (world.event(), world.event());
    let (mine, other) = (world.said(vec![one], &[subject()]), world.said(vec![two], &[institution()]));
    world.block(vec![mine, other]);
    world.trails.get_mut(&subject().key()).unwrap().push(2);
    world.block(vec![]);
    let failure = trail(&world.whole_trail(&subject()), &world.anchor()).unwrap_err();
    assert_eq!(failure, Failure::NotListed { position: 1 });
}

#[test]
fn a_trail_follows_the_order_of_the_log() {
    // Two records of one block that validators listed the wrong way round, in the records as in the tree.
    let mut world = World::new("order", set(&FOUR));
    let (one, two) = (world.event(), world.event());
    let said = world.said(vec![one, two], &[subject()]);
    let time = world.time().plus(1000);
    world.block_at(time, None, vec![said], |record| {
        if let Recorded::Item(entry) = &mut record.entry {
            let swapped = |listing: &Listing| Listing { position: 1 - listing.position, ..*listing };
            entry.trails = Set::new(entry.trails.iter().map(swapped).collect()).unwrap();
        }
    });
    world.trails.get_mut(&subject().key()).unwrap().reverse();
    world.block(vec![]);
    let failure = trail(&world.whole_trail(&subject()), &world.anchor()).unwrap_err();
    assert_eq!(failure, Failure::NotListed { position: 1 });
}

#[test]
fn a_part_is_proven_with_its_neighbours() {
    let world = with_trail();
    let anchor = world.anchor();
    let times: Vec<TimeMs> = world.blocks.iter().map(|block| block.header.time).collect();
    for begin in 0..9 {
        for end in begin + 1..=9 {
            let proven = trail(&world.trail_proof(&subject(), begin..end), &anchor).unwrap();
            assert_eq!(proven.entries.len(), end - begin);
            assert_eq!(proven.is_complete(), (begin, end) == (0, 9));
            // Entries 0..3 are of the first block, 3..6 of the second, 6..9 of the third. What was recorded in the
            // second block is covered if an entry before and one after it, or the trail's end, is shown too.
            assert_eq!(proven.covers(times[1], times[1]), begin < 3 && end > 6, "{begin}..{end}");
            assert_eq!(proven.covers(times[0], times[0]), begin == 0 && end > 3, "{begin}..{end}");
            assert_eq!(proven.covers(times[2], times[2]), begin < 6 && end == 9, "{begin}..{end}");
            assert_eq!(proven.covers(TimeMs(0), times[2]), (begin, end) == (0, 9));
            // Nothing is known about what comes after the header.
            assert!(!proven.covers(times[0], times[2].plus(1)));
        }
        // An empty part of a trail that is not empty says nothing.
        assert_eq!(trail(&world.trail_proof(&subject(), begin..begin), &anchor), Err(Failure::TrailRoot));
    }
    let part = world.trail_proof(&subject(), 2..5);
    for i in 0..part.range_path.len() {
        let mut path = part.range_path.to_vec();
        path[i].0[0] ^= 1;
        let bad = TrailProof { range_path: List::new(path).unwrap(), ..part.clone() };
        assert_eq!(trail(&bad, &anchor), Err(Failure::TrailRoot));
    }
}

#[test]
fn a_trail_that_does_not_exist_is_proven_to_be_empty() {
    let world = with_trail();
    let anchor = world.anchor();
    let nobody = TrailName::subject(&id("hospital-a"), Digest([9; 32]));
    let absence = world.whole_trail(&nobody);
    let proven = trail(&absence, &anchor).unwrap();
    assert!(proven.is_complete() && proven.entries.is_empty() && proven.size == 0);
    assert!(proven.covers(TimeMs(0), world.time()));
    assert!(!proven.covers(TimeMs(0), world.time().plus(1)));
    // An absence is of one trail, and of no trail that exists.
    for name in [subject(), institution(), TrailName::subject(&id("hospital-b"), Digest([9; 32]))] {
        let lifted = TrailProof { name: name.clone(), ..absence.clone() };
        let exists = world.trails.contains_key(&name.key());
        let truly_absent = world.whole_trail(&name).head_proof == lifted.head_proof;
        assert_eq!(trail(&lifted, &anchor).is_ok(), !exists && truly_absent);
    }
    let contradictory = TrailProof { begin: 1, ..absence.clone() };
    assert_eq!(trail(&contradictory, &anchor), Err(Failure::Contradiction));
    let contradictory =
        TrailProof { entries: world.trail_proof(&subject(), 0..1).entries, ..absence.clone() };
    assert_eq!(trail(&contradictory, &anchor), Err(Failure::Contradiction));
    let invented = TrailProof { head: Some(TrailHead { size: 0, root: naive::root(&[]) }), ..absence };
    assert_eq!(trail(&invented, &anchor), Err(Failure::TrailHead));
    // Before anything was recorded, nothing was.
    let mut empty = World::new("empty", set(&FOUR));
    empty.block(vec![]);
    assert!(trail(&empty.whole_trail(&subject()), &empty.anchor()).unwrap().is_complete());
}

#[test]
fn what_is_withheld_or_pruned_is_counted_and_still_in_its_place() {
    let world = with_trail();
    let anchor = world.anchor();
    let good = world.whole_trail(&subject());
    let mut entries = good.entries.to_vec();
    let record = |entry: &Entry| Bytes::new(entry.record().to_vec()).unwrap();
    let warrant = ItemHash([5; 32]);
    entries[1] = Entry::Withheld { record: record(&entries[1]), warrant };
    entries[4] = Entry::Pruned { record: record(&entries[4]) };
    entries[8] = Entry::Pruned { record: record(&entries[8]) };
    let proof = TrailProof { entries: List::new(entries.clone()).unwrap(), ..good.clone() };
    let proven = trail(&proof, &anchor).unwrap();
    assert!(proven.is_complete());
    assert_eq!(proven.not_shown(), (1, 2));
    assert_eq!(proven.entries[1].content, Content::Withheld(warrant));
    assert_eq!(proven.entries[4].content, Content::Pruned);
    assert!(matches!(proven.entries[0].content, Content::Item(_)));
    assert_eq!(
        proven.entries[4].record.index,
        LogIndex(6),
        "that it was recorded, when and by whom is proven"
    );
    // Held back or not, a record is one of this trail, and not another one's.
    let beside = world.whole_trail(&institution());
    entries[1] = Entry::Withheld { record: record(&beside.entries[1]), warrant };
    let proof = TrailProof { entries: List::new(entries.clone()).unwrap(), ..good.clone() };
    assert!(trail(&proof, &anchor).is_ok(), "the second record stands second in both trails");
    entries[1] = Entry::Withheld { record: record(&beside.entries[3]), warrant };
    let proof = TrailProof { entries: List::new(entries).unwrap(), ..good };
    assert_eq!(trail(&proof, &anchor), Err(Failure::TrailRoot));
}

#[test]
fn no_byte_of_a_trail_proof_can_be_changed() {
    let mut world = World::new("flips", set(&["v1"]));
    for _ in 0..2 {
        let (one, two) = (world.event(), world.event());
        let said = world.said(vec![one, two], &[subject(), institution()]);
        world.block(vec![said]);
    }
    let anchor = world.anchor();
    let absent = TrailName::subject(&id("hospital-a"), Digest([9; 32]));
    let mut pruned = world.whole_trail(&subject());
    let mut entries = pruned.entries.to_vec();
    entries[1] = Entry::Pruned { record: Bytes::new(entries[1].record().to_vec()).unwrap() };
    pruned.entries = List::new(entries).unwrap();
    for proof in [
        world.whole_trail(&subject()),
        world.trail_proof(&subject(), 1..3),
        world.whole_trail(&absent),
        pruned,
    ] {
        let expected = trail(&proof, &anchor).unwrap();
        let bytes = proof.to_bytes();
        for (at, byte) in bytes.iter().enumerate() {
            let mut bytes = bytes.clone();
            bytes[at] = byte ^ 1 << (at % 8);
            let verified =
                TrailProof::from_bytes(&bytes).ok().and_then(|flipped| trail(&flipped, &anchor).ok());
            // The name of an absent trail is what is asked about: with another name it is another true statement.
            let other_absence =
                |p: &verify::ProvenTrail| p.size == 0 && expected.size == 0 && p.name != expected.name;
            assert!(verified.as_ref().is_none_or(other_absence), "byte {at} of {}", bytes.len());
        }
    }
}

#[test]
fn no_bit_of_a_trail_proof_can_be_changed() {
    // One validator and one entry: every bit, and each costs a signature or two.
    let mut world = World::new("flips", set(&["v1"]));
    let event = world.event();
    let said = world.said(vec![event], &[subject()]);
    world.block(vec![said]);
    let anchor = world.anchor();
    let proof = world.whole_trail(&subject());
    assert!(trail(&proof, &anchor).is_ok());
    let bytes = proof.to_bytes();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            let verified =
                TrailProof::from_bytes(&bytes).is_ok_and(|flipped| trail(&flipped, &anchor).is_ok());
            assert!(!verified, "bit {bit} of byte {at}");
        }
    }
}

/// The one part of a trail proof that nothing vouches for: on whose order an entry is held back. No kind of this
/// protocol version gives such orders, so a reader can only be told which item is named.
#[test]
fn a_warrant_is_named_and_not_proven() {
    let world = one_item();
    let mut proof = world.whole_trail(&subject());
    for warrant in [ItemHash([1; 32]), ItemHash([2; 32])] {
        let record = Bytes::new(proof.entries[0].record().to_vec()).unwrap();
        proof.entries = List::new(vec![Entry::Withheld { record, warrant }]).unwrap();
        let proven = trail(&proof, &world.anchor()).unwrap();
        assert_eq!((&proven.entries[0].content, proven.not_shown()), (&Content::Withheld(warrant), (1, 0)));
    }
}

// Disclosures.

#[test]
fn an_opening_shows_one_field_and_the_others_stay_sealed() {
    let world = one_item();
    let item = verify::receipt(&world.receipt(1), &basis(&world.anchor(), &[])).unwrap().item.item;
    let fields = item.kind().sealed_fields().len();
    assert!(show(&world.chain, &item, &[]).unwrap().iter().all(|shown| shown.value.is_none()));
    for field in 1..=fields as u8 {
        let shown = show(&world.chain, &item, &[world.opening(&item.item_id, field)]).unwrap();
        for one in shown {
            assert_eq!(one.value, (one.field == field).then(|| vec![field]));
        }
    }
    let all: Vec<Opening> = (1..=fields as u8).map(|field| world.opening(&item.item_id, field)).collect();
    assert!(
        show(&world.chain, &item, &all).unwrap().iter().all(|shown| shown.value == Some(vec![shown.field]))
    );
}

#[test]
fn an_opening_lifted_into_another_place_is_evidence() {
    let mut world = one_item();
    let (a, b) = (ItemId([1; 16]), ItemId([2; 16]));
    let (one, two) = (world.event_of(a), world.event_of(b));
    let refused = |chain: &ChainId, item: &Item, opening: &Opening| {
        let expected = Failure::Opening { item_id: item.item_id, field: opening.field };
        assert_eq!(show(chain, item, std::slice::from_ref(opening)), Err(expected.clone()));
        assert_eq!(show_all(chain, &[item], std::slice::from_ref(opening)), Err(expected));
    };
    let opening = world.opening(&a, 2);
    assert!(show(&world.chain, &one, std::slice::from_ref(&opening)).is_ok());
    // Another item (with its id), another field, another chain, another value, another salt.
    refused(&world.chain, &two, &Opening { item_id: b, ..opening.clone() });
    refused(&world.chain, &one, &Opening { field: 3, ..opening.clone() });
    refused(&world.chain, &one, &Opening { field: 0, ..opening.clone() });
    refused(&world.chain, &one, &Opening { field: 200, ..opening.clone() });
    refused(&ChainId([1; 32]), &one, &opening);
    refused(&world.chain, &one, &Opening { value: Bytes::new(vec![9]).unwrap(), ..opening.clone() });
    refused(&world.chain, &one, &Opening { salt: Digest([0; 32]), ..opening.clone() });
    refused(&world.chain, &one, &Opening { path: List::default(), ..opening.clone() });
    // One that names an item that is not shown is nobody's business here.
    assert!(show(&world.chain, &two, &[opening]).unwrap().iter().all(|shown| shown.value.is_none()));
}

#[test]
fn an_item_that_copies_anothers_id_spoils_no_disclosure() {
    let mut world = one_item();
    let shared = ItemId([7; 16]);
    let honest = world.event_of(shared);
    let copy = {
        let mut copy = world.event_of(shared);
        let custos_proof::kinds::Fields::AccessEvent(event) = &mut copy.fields else { panic!() };
        event.seal.root = Digest([6; 32]);
        copy
    };
    let openings = [world.opening(&shared, 1), world.opening(&shared, 2)];
    for items in [[&honest, &copy], [&copy, &honest]] {
        let shown = show_all(&world.chain, &items, &openings).unwrap();
        for (item, shown) in items.iter().zip(shown) {
            let opened = shown.iter().filter(|field| field.value.is_some()).count();
            assert_eq!(opened, if **item == honest { 2 } else { 0 });
        }
    }
    // An opening that fits none of them is still evidence.
    let wrong = Opening { value: Bytes::new(vec![9]).unwrap(), ..openings[0].clone() };
    assert!(show_all(&world.chain, &[&honest, &copy], &[wrong]).is_err());
}

// Headers.

#[test]
fn no_bit_of_a_header_can_be_changed() {
    let world = one_item();
    let header = &world.head().header;
    let signed = certificate(&world.set, header, Round(0), &[0, 1, 2]);
    let anchor = world.anchor();
    let believed = |header: &Header| anchor.believe(&[], header, &signed, None, &Recency::default()).is_ok();
    assert!(believed(header));
    let bytes = header.to_bytes();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            let verified = Header::from_bytes(&bytes).is_ok_and(|flipped| believed(&flipped));
            assert!(!verified, "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn every_field_of_a_header_is_in_its_block_id() {
    let world = one_item();
    let header = &world.head().header;
    let changes: [fn(&mut Header); 13] = [
        |h| h.version += 1,
        |h| h.chain.0[0] ^= 1,
        |h| h.height.0 += 1,
        |h| h.round.0 += 1,
        |h| h.time.0 += 1,
        |h| h.parent.0[0] ^= 1,
        |h| h.body_root.0[0] ^= 1,
        |h| h.log_size.0 += 1,
        |h| h.log_root.0[0] ^= 1,
        |h| h.state_root.0[0] ^= 1,
        |h| h.validators_hash.0[0] ^= 1,
        |h| h.next_validators_hash.0[0] ^= 1,
        |h| h.proposer = id("another"),
    ];
    let mut ids = vec![header.block_id()];
    for change in changes {
        let mut other = header.clone();
        change(&mut other);
        ids.push(other.block_id());
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 14);
    assert_eq!(header.block_id().0, naive::sha(&[b"custos/1/block\0", &header.to_bytes()]).0);
}
