//! Acts: for every kind, who may write it, what it changes, and every reason for which it is refused.
//!
//! A refused act leaves no trace, wherever it stands in its submission; [`Chain::refusal`] asks the
//! first node, the proposer and the follower, and all three have to say the same.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use custos_proof::cbor::{Set, Text, Wire};
use custos_proof::hash::Digest;
use custos_proof::ids::{FAR, LogIndex, TimeMs};
use custos_proof::keys::{KeyPurpose, PublicKey, Signature};
use custos_proof::kinds::key::Add;
use custos_proof::kinds::rule::{Collected, Put};
use custos_proof::kinds::validator::Remove;
use custos_proof::kinds::{Class, Fields};
use custos_proof::record::{Check, Finding};
use custos_proof::registry::{self, KeyEntry, Participant, Role, RuleStatus, SubjectTrail};
use custos_proof::submission::Author;
use custos_proof::trail::TrailName;
use custos_proof::verify;
use custos_state::error::RefusalCode;
use custos_state::view::View;

const A: &str = "hospital-a";
const B: &str = "hospital-b";

fn entry<T: Wire>(chain: &Chain, key: custos_proof::hash::StateKey) -> Option<T> {
    chain.store.entry(&key).unwrap().map(|bytes| T::from_bytes(&bytes).unwrap())
}

fn participant(chain: &Chain, name: &str) -> Participant {
    entry(chain, registry::participant_key(&id(name))).unwrap()
}

fn key_entry(chain: &Chain, key: &TestKey) -> Option<KeyEntry> {
    entry(chain, registry::key_key(&key.id()))
}

fn rule_status(chain: &Chain, put: &Put) -> RuleStatus {
    let trail = TrailName::subject(&put.custodian, put.local_id).key();
    entry(chain, registry::rule_key(&trail, &put.rule)).unwrap()
}

/// A chain on which hospital A has opened a subject's own trail and one for hospital B; the two local ids.
fn with_trails() -> (Chain, Digest, Digest) {
    let mut chain = Chain::new();
    let (own, for_b) = (chain.open(A, "p", None), chain.open(A, "p", Some(B)));
    chain.act(A, vec![own.clone()]);
    chain.act(A, vec![for_b.clone()]);
    (chain, local_id_of(&own), local_id_of(&for_b))
}

// Participants.

#[test]
fn validators_admit_a_lab_which_then_speaks_with_its_own_key() {
    let mut chain = Chain::new();
    let new = key("lab sign");
    let lab = Fields::ParticipantRegister(registration("lab", &[Role::Custodian]));
    let add = chain.add_key("lab", &new, KeyPurpose::Sign);
    chain.agreed(vec![lab, add]);
    assert_eq!(participant(&chain, "lab").roles, registry::Roles::new(&[Role::Custodian]));
    assert_eq!(key_entry(&chain, &new).unwrap().owner, Author::Participant(id("lab")));
    let open = chain.open("lab", "p", None);
    chain.act("lab", vec![open]);
}

#[test]
fn nobody_admits_participants_alone() {
    let mut chain = Chain::new();
    let lab = || Fields::ParticipantRegister(registration("lab", &[Role::Registrar]));
    for author in [A, REGISTRY, CLINIC] {
        assert_eq!(chain.refused(author, vec![lab()]), RefusalCode::ByVoteOnly);
        let updated = Fields::ParticipantUpdate(update(A, &[Role::Registrar, Role::Validator]));
        assert_eq!(chain.refused(author, vec![updated]), RefusalCode::ByVoteOnly);
        assert_eq!(chain.refused(author, vec![suspend(CLINIC)]), RefusalCode::ByVoteOnly);
    }
}

#[test]
fn an_id_is_given_once_and_only_those_who_have_one_are_updated_or_suspended() {
    let mut chain = Chain::new();
    let again = Fields::ParticipantRegister(registration(CLINIC, &[Role::Custodian]));
    assert_eq!(chain.not_proposed(vec![again]), RefusalCode::Exists);
    let nobody = Fields::ParticipantUpdate(update("nobody", &[Role::Custodian]));
    assert_eq!(chain.not_proposed(vec![nobody]), RefusalCode::NotFound);
    assert_eq!(chain.not_proposed(vec![suspend("nobody")]), RefusalCode::NotFound);
}

#[test]
fn a_name_stands_in_clear_or_under_a_seal() {
    let mut chain = Chain::new();
    let mut nameless = registration("practice", &[Role::Custodian]);
    nameless.name = None;
    assert_eq!(
        chain.not_proposed(vec![Fields::ParticipantRegister(nameless.clone())]),
        RefusalCode::MalformedItem
    );
    nameless.sealed_name = Some(custos_proof::seal::Seal { root: Digest([7; 32]), ciphertext: None });
    chain.agreed(vec![Fields::ParticipantRegister(nameless.clone())]);
    nameless.id = id("practice-2");
    nameless.name = Text::new("Dr. X");
    assert_eq!(chain.not_proposed(vec![Fields::ParticipantRegister(nameless)]), RefusalCode::MalformedItem);
}

#[test]
fn an_update_replaces_the_entry_but_lifts_no_suspension() {
    let mut chain = Chain::new();
    chain.agreed(vec![suspend(CLINIC)]);
    let since = participant(&chain, CLINIC).suspended;
    assert!(since.is_some());
    chain.agreed(vec![Fields::ParticipantUpdate(update(CLINIC, &[Role::Custodian]))]);
    assert_eq!(participant(&chain, CLINIC).suspended, since);
    assert!(participant(&chain, CLINIC).roles.has(Role::Custodian));
    assert_eq!(chain.not_proposed(vec![suspend(CLINIC)]), RefusalCode::Exists);
}

#[test]
fn a_suspended_participant_writes_no_acts() {
    let mut chain = Chain::new();
    chain.agreed(vec![suspend(CLINIC)]);
    let another = chain.add_key(CLINIC, &key("another"), KeyPurpose::Sign);
    assert_eq!(chain.refused(CLINIC, vec![another]), RefusalCode::SuspendedAuthor);
}

#[test]
fn who_votes_on_blocks_leaves_the_set_before_it_loses_anything() {
    let mut chain = Chain::new();
    assert_eq!(chain.not_proposed(vec![suspend(A)]), RefusalCode::NotAllowed);
    let stripped = || Fields::ParticipantUpdate(update(A, &[Role::Custodian]));
    assert_eq!(chain.not_proposed(vec![stripped()]), RefusalCode::NotAllowed);
    let consensus = key("hospital-a consensus");
    assert_eq!(chain.not_proposed(vec![revoke(&consensus, None)]), RefusalCode::ByVoteOnly);
    assert_eq!(chain.refused(A, vec![revoke(&consensus, None)]), RefusalCode::ByVoteOnly);
    let rotated = chain.rotate_key(A, &consensus, &key("new consensus"), 0);
    assert_eq!(chain.refused(A, vec![rotated]), RefusalCode::ByVoteOnly);
    let remove = Fields::ValidatorRemove(Remove { participant: id(A) });
    chain.agreed(vec![remove, stripped(), suspend(A)]);
    assert!(participant(&chain, A).suspended.is_some());
}

// Keys.

#[test]
fn a_key_is_registered_only_by_whom_it_speaks_for_or_by_vote() {
    let mut chain = Chain::new();
    let new = key("new");
    let for_b = chain.add_key(B, &new, KeyPurpose::Sign);
    assert_eq!(chain.refused(A, vec![for_b.clone()]), RefusalCode::NotAllowed);
    chain.agreed(vec![for_b]);
    let own = chain.add_key(B, &key("newer"), KeyPurpose::Note);
    chain.act(B, vec![own]);
    let nobodys = chain.add_key("nobody", &key("newest"), KeyPurpose::Sign);
    assert_eq!(chain.not_proposed(vec![nobodys]), RefusalCode::NotFound);
}

#[test]
fn possession_is_shown_for_this_owner_this_purpose_and_this_chain() {
    let mut chain = Chain::new();
    let other = Chain::begin("another network", BEGIN);
    let new = key("new");
    let good = new.possession(&chain.id, A, KeyPurpose::Sign);
    let mut flipped = good;
    flipped.0[5] ^= 1;
    let attempts: [(&str, KeyPurpose, Signature); 5] = [
        (B, KeyPurpose::Sign, good),
        (A, KeyPurpose::Note, good),
        (A, KeyPurpose::Sign, new.possession(&other.id, A, KeyPurpose::Sign)),
        (A, KeyPurpose::Sign, new.possession(&custos_proof::genesis::NO_CHAIN, A, KeyPurpose::Sign)),
        (A, KeyPurpose::Sign, flipped),
    ];
    for (owner, purpose, possession) in attempts {
        let add = Fields::KeyAdd(Add { owner: id(owner), key: new.public(), purpose, possession });
        assert_eq!(chain.not_proposed(vec![add]), RefusalCode::NoPossession, "{owner} {purpose}");
    }
    // Another's proof, copied from gossip, registers nothing for the thief.
    let stolen =
        Fields::KeyAdd(Add { owner: id(B), key: new.public(), purpose: KeyPurpose::Sign, possession: good });
    assert_eq!(chain.refused(B, vec![stolen]), RefusalCode::NoPossession);
}

#[test]
fn keys_that_would_sign_everything_or_have_two_spellings_are_refused() {
    let mut chain = Chain::new();
    // Small order: the identity, and points of order 2, 4 and 8. Not canonical: y = p + 1. Not on the curve: y = 2.
    let (mut identity, mut order_two, mut not_canonical, mut no_point) =
        ([0; 32], [0xff; 32], [0xff; 32], [0; 32]);
    identity[0] = 1;
    (order_two[0], order_two[31]) = (0xec, 0x7f);
    (not_canonical[0], not_canonical[31]) = (0xee, 0x7f);
    no_point[0] = 2;
    let order_four = [0; 32];
    let order_eight: [u8; 32] = [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ];
    // Under ZIP-215 this "signature" of a small-order key is valid for every message: R = identity, s = 0.
    let mut forged = [0; 64];
    forged[0] = 1;
    for bytes in [identity, order_two, order_four, order_eight, not_canonical, no_point] {
        let add = Fields::KeyAdd(Add {
            owner: id(A),
            key: PublicKey(bytes),
            purpose: KeyPurpose::Sign,
            possession: Signature(forged),
        });
        assert_eq!(chain.refused(A, vec![add]), RefusalCode::BadKey, "{bytes:02x?}");
    }
}

#[test]
fn a_key_has_one_owner_and_one_purpose_for_ever() {
    let mut chain = Chain::new();
    let new = key("new");
    let add = chain.add_key(A, &new, KeyPurpose::Transport);
    chain.act(A, vec![add]);
    for (owner, purpose) in [(A, KeyPurpose::Sign), (B, KeyPurpose::Transport), (A, KeyPurpose::Transport)] {
        let again = chain.add_key(owner, &new, purpose);
        assert_eq!(chain.not_proposed(vec![again]), RefusalCode::Exists);
    }
    chain.act(A, vec![revoke(&new, None)]);
    let after = chain.add_key(A, &new, KeyPurpose::Transport);
    assert_eq!(chain.refused(A, vec![after]), RefusalCode::Exists, "a revoked key does not come back");
    let rotated = chain.rotate_key(A, &key("hospital-a sign"), &key("clinic sign"), 0);
    assert_eq!(chain.refused(A, vec![rotated]), RefusalCode::Exists);
}

#[test]
fn a_new_key_speaks_from_the_next_block_on() {
    let mut chain = Chain::new();
    let new = key("new");
    let add = chain.add_key(A, &new, KeyPurpose::Sign);
    let add = chain.acts(A, vec![add]);
    let open = chain.open(A, "p", None);
    let item = chain.item(open);
    let mut letter = chain.draft(A, Class::Act, vec![item]);
    letter.key = new;
    let with_new_key = letter.sign();
    let built = chain.build(vec![add.clone(), with_new_key.clone()]).unwrap();
    let [(refused, refusal)] = &built.refused[..] else { panic!("{:?}", built.refused) };
    assert_eq!((*refused, refusal.code), (with_new_key.id(), RefusalCode::UnknownKey));
    chain.decide(built, vec![add]);
    chain.record(with_new_key);
}

#[test]
fn after_a_rotation_both_keys_speak_until_the_overlap_is_over() {
    let mut chain = Chain::new();
    let (old, new) = (key("hospital-a sign"), key("new"));
    let rotate = chain.rotate_key(A, &old, &new, 60_000);
    chain.act(A, vec![rotate]);
    let ends = key_entry(&chain, &old).unwrap().not_after;
    assert_eq!(ends, chain.store.head().unwrap().time.plus(60_000));
    let with = |chain: &mut Chain, key: &TestKey| {
        let event = chain.event(A, None, A);
        let item = chain.item(Fields::AccessEvent(event));
        let mut letter = chain.draft(A, Class::Testimony, vec![item]);
        letter.key = key.clone();
        letter.sign()
    };
    let (by_old, by_new) = (with(&mut chain, &old), with(&mut chain, &new));
    chain.block(vec![by_old, by_new]);
    // The last instant, and the first one after it.
    chain.wait_until(ends);
    let last = with(&mut chain, &old);
    let last = chain.record(last);
    let late = with(&mut chain, &old);
    assert_eq!(chain.refusal(&late).0, RefusalCode::RevokedKey);
    let fresh = with(&mut chain, &new);
    chain.record(fresh);
    // What the old key said while it spoke stays proven.
    let custos_state::changes::Placed::Here(index) = last[0] else { panic!() };
    verify::receipt(&chain.receipt(index.0), &ground(&chain.anchor())).unwrap();
}

#[test]
fn an_overlap_is_bounded_and_only_a_living_key_of_ones_own_is_rotated() {
    let mut chain = Chain::new();
    let (old, new) = (key("hospital-a sign"), key("new"));
    let long = chain.rotate_key(A, &old, &new, 30 * 86_400_000 + 1);
    assert_eq!(chain.refused(A, vec![long]), RefusalCode::OutOfRange);
    let unknown = chain.rotate_key(A, &key("unknown"), &new, 0);
    assert_eq!(chain.refused(A, vec![unknown]), RefusalCode::NotFound);
    let anothers = chain.rotate_key(B, &old, &new, 0);
    assert_eq!(chain.refused(B, vec![anothers]), RefusalCode::NotAllowed);
    // Possession is shown for the owner and purpose of the old key.
    let wrong = chain.rotate_key(B, &old, &new, 0);
    assert_eq!(chain.refused(A, vec![wrong]), RefusalCode::NoPossession);
    let second = key("second");
    let add = chain.add_key(A, &second, KeyPurpose::Sign);
    chain.act(A, vec![add]);
    chain.act(A, vec![revoke(&second, None)]);
    let dead = chain.rotate_key(A, &second, &new, 0);
    assert_eq!(chain.refused(A, vec![dead]), RefusalCode::RevokedKey);
}

#[test]
fn a_rotation_that_is_refused_ends_no_key() {
    let mut chain = Chain::new();
    let old = key("hospital-a sign");
    let taken = chain.rotate_key(A, &old, &key("clinic sign"), 0);
    assert_eq!(chain.refused(A, vec![taken]), RefusalCode::Exists);
    chain.wait(10_000);
    let open = chain.open(A, "p", None);
    chain.act(A, vec![open]);
    assert_eq!(key_entry(&chain, &old).unwrap().not_after, FAR);
}

#[test]
fn a_key_revokes_itself_and_is_silent_from_then_on() {
    let mut chain = Chain::new();
    let old = key("hospital-a sign");
    let before = chain.event(A, None, A);
    let before = chain.testimony(A, vec![before]);
    let index = match chain.record(before)[0] {
        custos_state::changes::Placed::Here(index) => index,
        other => panic!("{other:?}"),
    };
    let now = chain.next_time();
    chain.act(A, vec![revoke(&old, Some(now))]);
    let after = chain.event(A, None, A);
    let after = chain.testimony(A, vec![after]);
    assert_eq!(chain.refusal(&after).0, RefusalCode::RevokedKey);
    assert_eq!(chain.not_proposed(vec![revoke(&old, None)]), RefusalCode::RevokedKey);
    // It marks and unmakes nothing: what was recorded before stays proven, and the reader sees the mark.
    let proven = verify::receipt(&chain.receipt(index.0), &ground(&chain.anchor())).unwrap();
    assert_eq!(proven.item.key.compromised_from, Some(now));
    assert!(proven.item.key.revoked > Some(index));
}

#[test]
fn nothing_follows_the_revocation_of_the_key_that_signed_it() {
    let mut chain = Chain::new();
    let own = key("hospital-a sign");
    let open = chain.open(A, "p", None);
    let items = chain.acts(A, vec![revoke(&own, None), open.clone()]);
    assert_eq!(chain.refusal(&items), (RefusalCode::RevokedKey, Some(1)));
    // The other way round it is fine, and in the same block nothing more is signed with it.
    let good = chain.acts(A, vec![open, revoke(&own, None)]);
    let another = chain.open(A, "q", None);
    let another = chain.acts(A, vec![another]);
    let built = chain.build(vec![good.clone(), another]).unwrap();
    assert_eq!(built.refused[0].1.code, RefusalCode::RevokedKey);
    chain.decide(built, vec![good]);
}

#[test]
fn a_compromise_is_dated_neither_in_the_future_nor_far_back() {
    let mut chain = Chain::new();
    chain.wait(100 * 3_600_000);
    let spare = key("spare");
    let add = chain.add_key(A, &spare, KeyPurpose::Sign);
    chain.act(A, vec![add]);
    let now = chain.next_time();
    let back = |ms: u64| TimeMs(now.0 - ms);
    assert_eq!(chain.refused(A, vec![revoke(&spare, Some(now.plus(1)))]), RefusalCode::OutOfRange);
    assert_eq!(
        chain.refused(A, vec![revoke(&spare, Some(back(72 * 3_600_000 + 1)))]),
        RefusalCode::TooFarBack
    );
    assert_eq!(chain.refused(B, vec![revoke(&spare, None)]), RefusalCode::NotAllowed);
    assert_eq!(chain.refused(A, vec![revoke(&key("unknown"), None)]), RefusalCode::NotFound);
    chain.act(A, vec![revoke(&spare, Some(back(72 * 3_600_000)))]);
}

// Trails.

#[test]
fn a_custodian_opens_a_trail_and_the_state_knows_it() {
    let (chain, own, for_b) = with_trails();
    let trail = |local_id| -> SubjectTrail {
        entry(&chain, registry::subject_key(&TrailName::subject(&id(A), local_id).key())).unwrap()
    };
    assert_eq!((trail(own).grantee, trail(own).epoch), (None, 2031));
    assert_eq!(trail(for_b).grantee, Some(id(B)));
    let record = chain.decoded(chain.blocks[0].changes.records.len() as u64 - 1);
    let item = record.as_item().unwrap();
    assert_eq!((item.verdict.finding, &item.verdict.checks[..]), (Finding::Consistent, &[Check::Author][..]));
    let mut expected = [TrailName::subject(&id(A), own).key(), TrailName::institution(&id(A)).key()];
    expected.sort();
    assert_eq!(item.trails.iter().map(|l| l.trail).collect::<Vec<_>>(), expected);
}

#[test]
fn trails_are_opened_once_by_custodians_for_others_that_exist() {
    let (mut chain, _, _) = with_trails();
    let again = chain.open(A, "p", None);
    assert_eq!(chain.refused(A, vec![again]), RefusalCode::Exists);
    let by_clinic = chain.open(CLINIC, "p", None);
    assert_eq!(chain.refused(CLINIC, vec![by_clinic]), RefusalCode::NotAllowed);
    let for_itself = chain.open(A, "q", Some(A));
    assert_eq!(chain.refused(A, vec![for_itself]), RefusalCode::NotAllowed);
    let for_nobody = chain.open(A, "q", Some("nobody"));
    assert_eq!(chain.refused(A, vec![for_nobody]), RefusalCode::NotFound);
}

#[test]
fn nobody_squats_on_anothers_trail() {
    let (mut chain, own, for_b) = with_trails();
    // B saw A's opening in gossip and opens the same local id: it becomes another trail, B's own.
    let Fields::TrailOpen(mut copied) = chain.open(A, "p", None) else { panic!() };
    copied.local_id = own;
    chain.act(B, vec![Fields::TrailOpen(copied)]);
    assert_ne!(TrailName::subject(&id(A), own).key(), TrailName::subject(&id(B), own).key());
    // And it neither puts rules into A's nor closes it.
    let put = chain.rule(A, for_b);
    assert_eq!(chain.refused(B, vec![Fields::RulePut(put)]), RefusalCode::NotAllowed);
    assert_eq!(chain.refused(B, vec![close(for_b)]), RefusalCode::NotFound);
}

#[test]
fn the_epoch_is_the_year_of_the_block() {
    let mut chain = Chain::begin("new year", NEW_YEARS_EVE);
    let old_year = chain.open(A, "p", None);
    chain.act(A, vec![old_year.clone()]);
    chain.wait(600_000);
    let Fields::TrailOpen(mut late) = old_year else { panic!() };
    late.local_id = Digest([1; 32]);
    assert_eq!(chain.refused(A, vec![Fields::TrailOpen(late)]), RefusalCode::WrongEpoch);
    let new_year = chain.open(A, "p", None);
    chain.act(A, vec![new_year]);
}

#[test]
fn a_closed_trail_takes_no_rules_and_is_closed_once() {
    let (mut chain, own, _) = with_trails();
    chain.act(A, vec![close(own)]);
    let put = chain.rule(A, own);
    assert_eq!(chain.refused(A, vec![Fields::RulePut(put)]), RefusalCode::TrailClosed);
    assert_eq!(chain.refused(A, vec![close(own)]), RefusalCode::TrailClosed);
    assert_eq!(chain.refused(A, vec![close(Digest([9; 32]))]), RefusalCode::NotFound);
    let again = chain.open(A, "p", None);
    assert_eq!(chain.refused(A, vec![again]), RefusalCode::Exists, "a trail does not begin anew");
}

// Rules.

#[test]
fn a_rule_ends_others_of_its_trail_once() {
    let (mut chain, own, for_b) = with_trails();
    let first = chain.rule(A, for_b);
    chain.act(A, vec![Fields::RulePut(first.clone())]);
    assert_eq!(rule_status(&chain, &first).ended, None);
    let ending = |chain: &mut Chain, local_id, ends: &[_]| {
        let put = chain.rule(A, local_id);
        Put { ends: Set::new(ends.to_vec()).unwrap(), ..put }
    };
    // Not from another trail, not one that is not there, and not itself.
    let elsewhere = ending(&mut chain, own, &[first.rule]);
    assert_eq!(chain.refused(A, vec![Fields::RulePut(elsewhere)]), RefusalCode::NotFound);
    let mut itself = ending(&mut chain, for_b, &[]);
    itself.ends = Set::new(vec![itself.rule]).unwrap();
    assert_eq!(chain.refused(A, vec![Fields::RulePut(itself)]), RefusalCode::NotFound);
    let second = ending(&mut chain, for_b, &[first.rule]);
    chain.act(A, vec![Fields::RulePut(second.clone())]);
    assert_eq!(rule_status(&chain, &first).ended, Some(chain.height()));
    assert_eq!(rule_status(&chain, &second).ended, None);
    let again = ending(&mut chain, for_b, &[first.rule]);
    assert_eq!(chain.refused(A, vec![Fields::RulePut(again)]), RefusalCode::Exists);
}

#[test]
fn a_rule_id_is_used_once_in_a_trail() {
    let (mut chain, own, for_b) = with_trails();
    let put = chain.rule(A, for_b);
    chain.act(A, vec![Fields::RulePut(put.clone())]);
    assert_eq!(chain.refused(A, vec![Fields::RulePut(put.clone())]), RefusalCode::Exists);
    // In another trail it is another rule; that a custodian does not reuse ids is the custodian's duty.
    chain.act(A, vec![Fields::RulePut(Put { local_id: own, ..put })]);
}

#[test]
fn an_expiry_is_coarse_and_lies_ahead() {
    let (mut chain, _, for_b) = with_trails();
    let put = chain.rule(A, for_b);
    let until = |expiry| vec![Fields::RulePut(Put { expiry, ..put.clone() })];
    assert_eq!(chain.refused(A, until(QUARTER.plus(1))), RefusalCode::BadExpiry);
    assert_eq!(chain.refused(A, until(TimeMs(0))), RefusalCode::BadExpiry);
    chain.wait_until(QUARTER);
    assert_eq!(chain.refused(A, until(QUARTER)), RefusalCode::BadExpiry, "over at the very instant");
    chain.wait_until(TimeMs(QUARTER.0 - 1));
    chain.act(A, until(QUARTER));
}

#[test]
fn rules_stand_in_trails_that_were_opened_and_the_custodians_own_entries_in_the_own_trail() {
    let (mut chain, own, for_b) = with_trails();
    let unopened = chain.rule(A, Digest([9; 32]));
    assert_eq!(chain.refused(A, vec![Fields::RulePut(unopened)]), RefusalCode::NotFound);
    let put = chain.rule(A, for_b);
    let listing = Put { collected: Collected::Custodian, ..put };
    assert_eq!(chain.refused(A, vec![Fields::RulePut(listing.clone())]), RefusalCode::NotAllowed);
    chain.act(A, vec![Fields::RulePut(Put { local_id: own, ..listing })]);
}

// Submissions are whole.

#[test]
fn a_refused_item_takes_its_whole_submission_with_it() {
    let (mut chain, own, for_b) = with_trails();
    // Everything that an act can touch stands before the refused one: participants, keys, trails, rules.
    let (put, opened) = (chain.rule(A, for_b), chain.open(A, "q", None));
    let new_key = chain.add_key(A, &key("new"), KeyPurpose::Sign);
    let refused = chain.acts(
        A,
        vec![
            opened.clone(),
            Fields::RulePut(put.clone()),
            new_key.clone(),
            close(own),
            close(own),
            close(for_b),
        ],
    );
    assert_eq!(chain.refusal(&refused), (RefusalCode::TrailClosed, Some(4)));
    // A block that was offered it equals one that was not, beside others that are kept.
    let good = chain.acts(A, vec![opened, Fields::RulePut(put), new_key, close(own)]);
    let with = chain.build(vec![refused.clone(), good.clone(), refused]).unwrap();
    let without = chain.build(vec![good.clone()]).unwrap();
    assert_eq!(with.changes, without.changes);
    assert_eq!(with.block, without.block);
    chain.decide(with, vec![good]);
}

#[test]
fn later_items_see_earlier_ones_and_later_submissions_too() {
    let mut chain = Chain::new();
    let opened = chain.open(A, "p", None);
    let (first, second) = (chain.rule(A, local_id_of(&opened)), chain.rule(A, local_id_of(&opened)));
    let second = Put { ends: Set::new(vec![first.rule]).unwrap(), ..second };
    let one = chain.acts(A, vec![opened, Fields::RulePut(first.clone())]);
    let two = chain.acts(A, vec![Fields::RulePut(second)]);
    chain.block(vec![one, two]);
    assert_eq!(rule_status(&chain, &first).ended, Some(chain.height()));
}

#[test]
fn a_key_that_the_genesis_lists_is_valid_from_the_first_record() {
    let chain = Chain::new();
    assert_eq!(key_entry(&chain, &key("clinic sign")).unwrap().valid_from, LogIndex(0));
}
