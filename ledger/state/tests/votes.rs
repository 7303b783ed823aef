//! Votes: what validators decide together, when it is carried out, and everything that can go wrong on the way.
//!
//! Each story is checked by the proposer, by a follower and by the oracle, block by block, so that a change
//! of the validator set is followed by the light client's links, too.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use custos_proof::cbor::{Ascii, List, Set, Text, Wire};
use custos_proof::ids::{Height, Random16, TimeMs};
use custos_proof::keys::{KeyPurpose, key_id};
use custos_proof::kinds::Fields;
use custos_proof::kinds::policy::{Set as PolicySet, Upgrade};
use custos_proof::kinds::proposal::Choice;
use custos_proof::kinds::validator::{Put, Remove};
use custos_proof::registry::{self, KeyEntry, Policy, Proposal, ProposalState, Protocol, Role, Threshold};
use custos_state::apply;
use custos_state::error::{ApplyError, RefusalCode};
use custos_state::view::View;

const A: &str = "hospital-a";
const B: &str = "hospital-b";
const C: &str = "hospital-c";
const D: &str = "hospital-d";

fn lab() -> Fields {
    Fields::ParticipantRegister(registration("lab", &[Role::Custodian]))
}

fn exists(chain: &Chain, name: &str) -> bool {
    chain.store.entry(&registry::participant_key(&id(name))).unwrap().is_some()
}

fn policy(chain: &Chain) -> Policy {
    Policy::from_bytes(&chain.store.entry(&registry::policy_key()).unwrap().unwrap()).unwrap()
}

fn open_by(chain: &mut Chain, author: &str, acts: Vec<Fields>) -> Random16 {
    let open = chain.proposal_of(acts);
    let proposal = open.proposal;
    chain.act(author, vec![Fields::ProposalOpen(open)]);
    proposal
}

fn said(chain: &mut Chain, validator: &str, proposal: Random16, vote: Choice) {
    let vote = chain.vote(validator, proposal, vote);
    chain.record(vote);
}

fn state(chain: &Chain, proposal: Random16) -> ProposalState {
    chain.proposal_entry(proposal).state
}

fn validators(chain: &Chain) -> Vec<String> {
    let head = chain.store.head().unwrap();
    let mut names: Vec<_> =
        head.next_validators.as_slice().iter().map(|v| v.participant.to_string()).collect();
    names.sort();
    names
}

fn put(chain: &Chain, name: &str, consensus: &TestKey, power: u64) -> Fields {
    Fields::ValidatorPut(Put {
        participant: id(name),
        key: consensus.public(),
        possession: consensus.possession(&chain.id, name, KeyPurpose::Consensus),
        power,
    })
}

fn remove(name: &str) -> Fields {
    Fields::ValidatorRemove(Remove { participant: id(name) })
}

#[test]
fn acts_are_carried_out_in_the_block_in_which_more_than_two_thirds_agree() {
    let mut chain = Chain::new();
    // A validator's proposal is its yes.
    let proposal = open_by(&mut chain, A, vec![lab()]);
    assert_eq!(chain.proposal_entry(proposal).yes[..], [id(A)]);
    said(&mut chain, B, proposal, Choice::Yes);
    assert_eq!((state(&chain, proposal), exists(&chain, "lab")), (ProposalState::Open, false));
    said(&mut chain, C, proposal, Choice::Yes);
    assert_eq!((state(&chain, proposal), exists(&chain, "lab")), (ProposalState::Executed, true));
    let entry = chain.proposal_entry(proposal);
    assert_eq!((entry.closed, entry.reason, entry.acts.len()), (Some(chain.height()), None, 0));
    assert!(chain.store.entry(&registry::open_proposals_key()).unwrap().is_none());
}

#[test]
fn who_has_no_vote_neither_votes_nor_counts() {
    let mut chain = Chain::new();
    let proposal = open_by(&mut chain, REGISTRY, vec![lab()]);
    assert_eq!(chain.proposal_entry(proposal).yes.len(), 0, "the registrar has no vote");
    for author in [REGISTRY, CLINIC, AUDITOR] {
        let vote = chain.vote(author, proposal, Choice::Yes);
        assert_eq!(chain.refusal(&vote).0, RefusalCode::NotAllowed);
    }
    let open = chain.proposal_of(vec![lab()]);
    assert_eq!(chain.refused(CLINIC, vec![Fields::ProposalOpen(open)]), RefusalCode::NotAllowed);
    let unknown = chain.vote(A, Random16([9; 16]), Choice::Yes);
    assert_eq!(chain.refusal(&unknown).0, RefusalCode::NotFound);
}

#[test]
fn a_vote_can_be_changed_and_is_not_said_twice() {
    let mut chain = Chain::new();
    let proposal = open_by(&mut chain, REGISTRY, vec![lab()]);
    said(&mut chain, A, proposal, Choice::Yes);
    let again = chain.vote(A, proposal, Choice::Yes);
    assert_eq!(chain.refusal(&again).0, RefusalCode::Exists);
    said(&mut chain, A, proposal, Choice::No);
    let entry = chain.proposal_entry(proposal);
    assert_eq!((entry.yes.len(), &entry.no[..]), (0, &[id(A)][..]));
    for validator in [B, C] {
        said(&mut chain, validator, proposal, Choice::Yes);
    }
    assert_eq!(state(&chain, proposal), ProposalState::Open, "two of four are not more than two thirds");
    said(&mut chain, A, proposal, Choice::Yes);
    assert_eq!(state(&chain, proposal), ProposalState::Executed);
}

#[test]
fn what_can_no_longer_be_agreed_on_is_rejected() {
    let mut chain = Chain::new();
    let proposal = open_by(&mut chain, REGISTRY, vec![lab()]);
    said(&mut chain, A, proposal, Choice::No);
    assert_eq!(state(&chain, proposal), ProposalState::Open);
    said(&mut chain, B, proposal, Choice::No);
    assert_eq!(state(&chain, proposal), ProposalState::Rejected);
    let late = chain.vote(C, proposal, Choice::Yes);
    assert_eq!(chain.refusal(&late).0, RefusalCode::ProposalClosed);
    assert!(!exists(&chain, "lab"));
}

#[test]
fn a_deadline_closes_a_proposal_at_the_beginning_of_the_next_block() {
    let mut chain = Chain::new();
    let open = chain.proposal_of(vec![lab()]);
    let (proposal, deadline) = (open.proposal, open.deadline);
    chain.act(A, vec![Fields::ProposalOpen(open)]);
    chain.wait_until(deadline);
    said(&mut chain, B, proposal, Choice::Yes);
    chain.wait_until(deadline.plus(1));
    let late = chain.vote(C, proposal, Choice::Yes);
    assert_eq!(chain.refusal(&late).0, RefusalCode::ProposalClosed);
    chain.wait_until(deadline.plus(1));
    chain.block(vec![]);
    let entry = chain.proposal_entry(proposal);
    assert_eq!((entry.state, entry.closed), (ProposalState::Expired, Some(chain.height())));
    assert!(chain.store.entry(&registry::open_proposals_key()).unwrap().is_none());
}

#[test]
fn deadlines_lie_ahead_and_within_ninety_days() {
    let mut chain = Chain::new();
    let mut at = |deadline: TimeMs| {
        let open = custos_proof::kinds::proposal::Open { deadline, ..chain.proposal_of(vec![lab()]) };
        let now = chain.next_time();
        (now, chain.acts(A, vec![Fields::ProposalOpen(open)]))
    };
    let (now, past) = at(TimeMs(0));
    let (_, at_once) = at(now);
    let (_, far) = at(now.plus(90 * 86_400_000 + 1));
    let (_, good) = at(now.plus(90 * 86_400_000));
    for refused in [past, at_once, far] {
        assert_eq!(chain.refusal(&refused).0, RefusalCode::OutOfRange);
    }
    chain.record(good);
}

#[test]
fn a_proposal_that_became_invalid_meanwhile_is_closed_with_the_reason_and_nothing_of_it_is_done() {
    let mut chain = Chain::new();
    let another = Fields::ParticipantRegister(registration("another", &[Role::Recipient]));
    let first = open_by(&mut chain, REGISTRY, vec![another, lab()]);
    let second = open_by(&mut chain, REGISTRY, vec![lab()]);
    for validator in [A, B, C] {
        said(&mut chain, validator, second, Choice::Yes);
    }
    assert_eq!(state(&chain, second), ProposalState::Executed);
    for validator in [A, B, C] {
        said(&mut chain, validator, first, Choice::Yes);
    }
    let entry = chain.proposal_entry(first);
    assert_eq!((entry.state, entry.reason.as_deref()), (ProposalState::Failed, Some("exists")));
    assert!(!exists(&chain, "another"), "the first act was good, and was not done either");
}

#[test]
fn what_could_not_be_carried_out_is_not_put_to_the_vote() {
    let mut chain = Chain::new();
    let again = Fields::ParticipantRegister(registration(CLINIC, &[Role::Custodian]));
    assert_eq!(chain.not_proposed(vec![again]), RefusalCode::Exists);
    assert_eq!(chain.not_proposed(vec![]), RefusalCode::OutOfRange);
    let open = chain.open(A, "p", None);
    assert_eq!(chain.not_proposed(vec![open]), RefusalCode::NotAllowed);
    let (lab, twice) = (chain.proposal_of(vec![lab()]), chain.proposal_of(vec![suspend(CLINIC)]));
    let twice = custos_proof::kinds::proposal::Open { proposal: lab.proposal, ..twice };
    chain.act(A, vec![Fields::ProposalOpen(lab)]);
    assert_eq!(chain.refused(B, vec![Fields::ProposalOpen(twice)]), RefusalCode::Exists);
}

#[test]
fn nobody_keeps_the_others_from_proposing() {
    let mut chain = Chain::new();
    for _ in 0..4 {
        open_by(&mut chain, D, vec![lab()]);
    }
    let fifth = chain.proposal_of(vec![lab()]);
    assert_eq!(chain.refused(D, vec![Fields::ProposalOpen(fifth)]), RefusalCode::QuotaExceeded);
    open_by(&mut chain, A, vec![lab()]);
    // And the policy bounds them all.
    let few = Policy { version: 2, max_open_proposals: 5, ..policy(&chain) };
    chain.agreed(vec![Fields::PolicySet(PolicySet { policy: few, effective: Height(0) })]);
    chain.block(vec![]);
    let sixth = chain.proposal_of(vec![lab()]);
    assert_eq!(chain.refused(B, vec![Fields::ProposalOpen(sixth)]), RefusalCode::QuotaExceeded);
}

#[test]
fn votes_count_by_the_power_of_the_set_that_decides_the_block() {
    let mut chain = Chain::new();
    let consensus = key("hospital-a consensus");
    let heavy = put(&chain, A, &consensus, 7);
    chain.agreed(vec![heavy]);
    assert_eq!(chain.store.head().unwrap().next_validators.total_power(), 10);
    // Seven of ten are more than two thirds.
    let alone = open_by(&mut chain, A, vec![lab()]);
    assert_eq!((state(&chain, alone), exists(&chain, "lab")), (ProposalState::Executed, true));
    // A vote of somebody who left counts no more.
    let proposal = open_by(&mut chain, REGISTRY, vec![suspend(CLINIC)]);
    for validator in [B, C] {
        said(&mut chain, validator, proposal, Choice::Yes);
    }
    let light = put(&chain, A, &consensus, 1);
    let out = open_by(&mut chain, A, vec![remove(B), light]);
    assert_eq!(state(&chain, out), ProposalState::Executed);
    assert_eq!(validators(&chain), [A, C, D]);
    said(&mut chain, D, proposal, Choice::Yes);
    assert_eq!(state(&chain, proposal), ProposalState::Open, "C and D are two of three");
    said(&mut chain, A, proposal, Choice::Yes);
    assert_eq!(state(&chain, proposal), ProposalState::Executed);
}

#[test]
fn a_new_validator_decides_from_the_next_block_on_and_the_links_follow() {
    let mut chain = Chain::new();
    let (sign, consensus) = (key("lab sign"), key("lab consensus"));
    let lab = Fields::ParticipantRegister(registration("lab", &[Role::Custodian, Role::Validator]));
    let add = chain.add_key("lab", &sign, KeyPurpose::Sign);
    let joins = put(&chain, "lab", &consensus, 1);
    chain.agreed(vec![lab, add, joins]);
    let header = &chain.blocks.last().unwrap().changes.header;
    assert_ne!(header.validators_hash, header.next_validators_hash);
    assert_eq!(validators(&chain), [A, B, C, D, "lab"]);
    // It votes at once, with its signing key; with five, four have to agree.
    let proposal = open_by(&mut chain, "lab", vec![suspend(CLINIC)]);
    for validator in [A, B] {
        said(&mut chain, validator, proposal, Choice::Yes);
    }
    assert_eq!(state(&chain, proposal), ProposalState::Open);
    said(&mut chain, C, proposal, Choice::Yes);
    assert_eq!(state(&chain, proposal), ProposalState::Executed);
    // And leaves again.
    let out = open_by(&mut chain, A, vec![remove("lab"), suspend("lab")]);
    for validator in [B, C, D] {
        said(&mut chain, validator, out, Choice::Yes);
    }
    assert_eq!(validators(&chain), [A, B, C, D]);
    let ended = KeyEntry::from_bytes(
        &chain.store.entry(&registry::key_key(&key_id(&consensus.public()))).unwrap().unwrap(),
    );
    assert!(ended.unwrap().revoked.is_some());
    assert_eq!(chain.links().len(), 2);
    chain.block(vec![]);
}

#[test]
fn a_validator_gets_a_new_key_and_the_old_one_ends() {
    let mut chain = Chain::new();
    let (old, new) = (key("hospital-d consensus"), key("hospital-d second consensus"));
    let replaced = put(&chain, D, &new, 1);
    chain.agreed(vec![replaced]);
    let set = chain.store.head().unwrap().next_validators.clone();
    assert!(set.by_key(&new.public()).is_some() && set.by_key(&old.public()).is_none());
    // The old one does not come back, and the new one cannot be rotated away without a vote.
    let back = put(&chain, D, &old, 1);
    assert_eq!(chain.not_proposed(vec![back]), RefusalCode::Exists);
    assert_eq!(chain.refused(D, vec![revoke(&new, None)]), RefusalCode::ByVoteOnly);
}

#[test]
fn a_set_of_validators_holds_together() {
    let mut chain = Chain::new();
    let fresh = key("fresh consensus");
    let with = |chain: &Chain, name: &str, key: &TestKey, power| put(chain, name, key, power);
    let act = with(&chain, "nobody", &fresh, 1);
    assert_eq!(chain.not_proposed(vec![act]), RefusalCode::NotFound);
    let act = with(&chain, CLINIC, &fresh, 1);
    assert_eq!(chain.not_proposed(vec![act]), RefusalCode::NotAllowed, "it has not the role");
    for power in [0, 1 << 63, u64::MAX] {
        let act = with(&chain, A, &fresh, power);
        assert_eq!(chain.not_proposed(vec![act]), RefusalCode::OutOfRange);
    }
    let mut stolen = with(&chain, A, &fresh, 1);
    if let Fields::ValidatorPut(put) = &mut stolen {
        put.possession = fresh.possession(&chain.id, B, KeyPurpose::Consensus);
    }
    assert_eq!(chain.not_proposed(vec![stolen]), RefusalCode::NoPossession);
    let act = with(&chain, A, &key("hospital-b consensus"), 1);
    assert_eq!(chain.not_proposed(vec![act]), RefusalCode::Exists);
    let act = with(&chain, A, &key("hospital-a sign"), 1);
    assert_eq!(chain.not_proposed(vec![act]), RefusalCode::Exists, "a key has one purpose");
    assert_eq!(chain.not_proposed(vec![remove(CLINIC)]), RefusalCode::NotFound);
    let all = vec![remove(A), remove(B), remove(C), remove(D)];
    assert_eq!(chain.not_proposed(all), RefusalCode::OutOfRange, "somebody has to stay");
    for author in [A, REGISTRY] {
        assert_eq!(chain.refused(author, vec![remove(B)]), RefusalCode::ByVoteOnly);
        let act = with(&chain, A, &fresh, 1);
        assert_eq!(chain.refused(author, vec![act]), RefusalCode::ByVoteOnly);
    }
}

#[test]
fn a_compromise_that_lies_far_back_takes_a_vote() {
    let mut chain = Chain::new();
    chain.wait(100 * 3_600_000);
    chain.block(vec![]);
    let from = TimeMs(chain.next_time().0 - 90 * 3_600_000);
    let back = revoke(&key("clinic sign"), Some(from));
    assert_eq!(chain.refused(CLINIC, vec![back.clone()]), RefusalCode::TooFarBack);
    chain.agreed(vec![back]);
    let entry = chain.store.entry(&registry::key_key(&key("clinic sign").id())).unwrap().unwrap();
    assert_eq!(KeyEntry::from_bytes(&entry).unwrap().compromised_from, Some(from));
}

#[test]
fn a_policy_is_in_force_from_its_height_on() {
    let mut chain = Chain::new();
    let next = Policy { version: 2, lag_ms: 1234, ..policy(&chain) };
    let effective = Height(chain.height().0 + 4);
    chain.agreed(vec![Fields::PolicySet(PolicySet { policy: next.clone(), effective })]);
    while chain.height().next() < effective {
        chain.block(vec![]);
        assert_eq!(policy(&chain).version, 1);
    }
    chain.block(vec![]);
    assert_eq!((chain.height(), policy(&chain)), (effective, next.clone()));
    assert!(chain.store.entry(&registry::next_policy_key()).unwrap().is_none());
    // A height that has passed means the next block; and numbers follow each other.
    let set = |policy| vec![Fields::PolicySet(PolicySet { policy, effective: Height(0) })];
    assert_eq!(chain.not_proposed(set(next.clone())), RefusalCode::OutOfRange);
    let third = Policy { version: 3, ..next };
    chain.agreed(set(third.clone()));
    assert_eq!(policy(&chain).version, 2);
    chain.block(vec![]);
    assert_eq!(policy(&chain), third);
    assert_eq!(chain.refused(A, set(Policy { version: 4, ..third })), RefusalCode::ByVoteOnly);
}

#[test]
fn a_policy_out_of_bounds_is_not_put_to_the_vote() {
    let mut chain = Chain::new();
    let good = Policy { version: 2, ..policy(&chain) };
    let threshold = |kind: &str, numerator, denominator| Policy {
        thresholds: List::new(vec![Threshold { kind: Ascii::new(kind).unwrap(), numerator, denominator }])
            .unwrap(),
        ..good.clone()
    };
    let bad = [
        Policy { max_lifetime_ms: 0, ..good.clone() },
        Policy { max_nonces: 0, ..good.clone() },
        Policy { heartbeat_ms: 0, ..good.clone() },
        Policy { trust_period_ms: 0, ..good.clone() },
        Policy { lag_ms: u64::MAX, ..good.clone() },
        Policy { max_open_proposals: 0, ..good.clone() },
        // A deadline beyond the last time would be an entry of the state that nobody can read.
        Policy { transfer_ms: u64::MAX, ..good.clone() },
        Policy { transfer_ms: registry::MAX_TRANSFER_MS + 1, ..good.clone() },
        Policy { retention_days: List::default(), ..good.clone() },
        Policy { must_seal: Set::new(vec![Ascii::new("key.add/key").unwrap()]).unwrap(), ..good.clone() },
        threshold("participant.register", 1, 3),
        threshold("participant.register", 3, 3),
        threshold("participant.register", 0, 0),
        threshold("policy.set", 1, 2),
        threshold("validator.remove", 3, 5),
        threshold("circus.open", 2, 3),
    ];
    for policy in bad {
        let set = Fields::PolicySet(PolicySet { policy, effective: Height(0) });
        assert_eq!(chain.not_proposed(vec![set]), RefusalCode::OutOfRange);
    }
}

#[test]
fn a_threshold_of_the_policy_holds_for_its_kind() {
    let mut chain = Chain::new();
    let entry = |kind: &str, numerator, denominator| Threshold {
        kind: Ascii::new(kind).unwrap(),
        numerator,
        denominator,
    };
    let thresholds = vec![entry("participant.register", 3, 4), entry("participant.suspend", 1, 2)];
    let next = Policy { version: 2, thresholds: List::new(thresholds).unwrap(), ..policy(&chain) };
    chain.agreed(vec![Fields::PolicySet(PolicySet { policy: next, effective: Height(0) })]);
    chain.block(vec![]);
    // Three of four are not more than three quarters, and three of four are more than a half; together the highest counts.
    let (all, most) = (
        open_by(&mut chain, REGISTRY, vec![lab(), suspend(CLINIC)]),
        open_by(&mut chain, REGISTRY, vec![suspend(AUDITOR)]),
    );
    for validator in [A, B, C] {
        said(&mut chain, validator, all, Choice::Yes);
    }
    assert_eq!(state(&chain, all), ProposalState::Open);
    said(&mut chain, D, all, Choice::Yes);
    assert_eq!(state(&chain, all), ProposalState::Executed);
    for validator in [A, B] {
        said(&mut chain, validator, most, Choice::Yes);
    }
    assert_eq!(state(&chain, most), ProposalState::Open, "a half is not more than a half");
    said(&mut chain, C, most, Choice::Yes);
    assert_eq!(state(&chain, most), ProposalState::Executed);
}

#[test]
fn names_are_sealed_where_the_policy_says_so() {
    let mut chain = Chain::new();
    let must_seal = Set::new(vec![Ascii::new("participant.register/name").unwrap()]).unwrap();
    let next = Policy { version: 2, must_seal, ..policy(&chain) };
    chain.agreed(vec![Fields::PolicySet(PolicySet { policy: next, effective: Height(0) })]);
    chain.block(vec![]);
    assert_eq!(chain.not_proposed(vec![lab()]), RefusalCode::NotAllowed);
    let mut sealed = registration("practice", &[Role::Custodian]);
    sealed.name = None::<Text<128>>;
    sealed.sealed_name = Some(NO_SEAL);
    chain.agreed(vec![Fields::ParticipantRegister(sealed)]);
    chain.agreed(vec![Fields::ParticipantUpdate(update(CLINIC, &[Role::Recipient]))]);
}

#[test]
fn a_program_stops_before_the_height_of_a_version_that_it_lacks_and_says_so() {
    let mut chain = Chain::new();
    let height = Height(chain.height().0 + 3);
    let upgrade = |version, height| vec![Fields::ProtocolUpgrade(Upgrade { version, height })];
    assert_eq!(chain.refused(A, upgrade(2, height)), RefusalCode::ByVoteOnly);
    assert_eq!(chain.not_proposed(upgrade(0, height)), RefusalCode::OutOfRange);
    let now = chain.height().next();
    assert_eq!(chain.not_proposed(upgrade(2, now)), RefusalCode::OutOfRange);
    chain.agreed(upgrade(2, height));
    // It is taken back by naming the version in force, and agreed on again.
    chain.agreed(upgrade(1, Height(height.0 + 10)));
    let protocol = |chain: &Chain| {
        Protocol::from_bytes(&chain.store.entry(&registry::protocol_key()).unwrap().unwrap()).unwrap()
    };
    assert_eq!(protocol(&chain), Protocol { version: 1, upgrade: None });
    let height = Height(chain.height().0 + 3);
    chain.agreed(upgrade(2, height));
    chain.block(vec![]);
    assert_eq!(chain.height().next(), height);
    let Err(ApplyError::UnknownVersion { version, height: at, known }) = chain.build(vec![]) else {
        panic!("it goes on");
    };
    assert_eq!((version, at, known), (2, height, 1));
    // Neither does it follow somebody who has that version, nor somebody who has not.
    for version in [1, 2] {
        let mut block = chain.blocks.last().unwrap().block.clone();
        block.header.version = version;
        block.header.height = height;
        block.header.time = chain.next_time();
        let checked = apply::check(&chain.follower, &block, &[]);
        assert!(matches!(checked, Err(ApplyError::UnknownVersion { .. })), "{checked:?}");
    }
}

#[test]
fn a_header_of_another_version_than_was_agreed_on_is_invalid() {
    let chain = Chain::new();
    let mut block = chain.build(vec![]).unwrap().block;
    block.header.version = 2;
    let checked = apply::check(&chain.follower, &block, &[]);
    let Err(ApplyError::Invalid(reason)) = checked else { panic!("{checked:?}") };
    assert!(reason.contains("version"), "{reason}");
}

#[test]
fn an_entry_of_a_proposal_fits_however_many_voted() {
    let names: Vec<_> = (0..128).map(|i| id(&format!("{i:0>63}"))).collect();
    let entry = Proposal {
        item: custos_proof::hash::ItemHash([0; 32]),
        opener: names[0].clone(),
        acts: List::default(),
        opened: Height(1),
        deadline: TimeMs(1),
        yes: Set::new(names).unwrap(),
        no: Set::default(),
        state: ProposalState::Open,
        closed: None,
        reason: None,
    };
    assert_eq!(Proposal::from_bytes(&entry.to_bytes()), Ok(entry));
}
