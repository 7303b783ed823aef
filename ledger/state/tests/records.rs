//! What institutions, auditors and validators record besides: rosters, mandates, notarised documents, findings,
//! disputes and reports of misbehaviour. For each, that it is admitted, and every reason for which it is not.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use custos_proof::cbor::{Ascii, Set, Wire};
use custos_proof::certificate::{VoteType, vote_preimage};
use custos_proof::hash::{BlockId, Digest, ItemHash, StateKey};
use custos_proof::ids::{Height, Random16, Round, TimeMs};
use custos_proof::item::item_hash;
use custos_proof::keys::Signer as _;
use custos_proof::kinds::dispute::{Answer, Behalf, Open, Resolution, Resolve};
use custos_proof::kinds::finding::Record as RecordFinding;
use custos_proof::kinds::mandate::{End, Issue};
use custos_proof::kinds::misbehaviour::{Report, Seen, SignedVote};
use custos_proof::kinds::notarise::Notarise;
use custos_proof::kinds::roster::{Commit, Count};
use custos_proof::kinds::{Class, Fields};
use custos_proof::record::{Code, Finding};
use custos_proof::registry::{self, Dispute, Mandate, Notarised, Roster};
use custos_proof::trail::TrailName;
use custos_state::changes::Placed;
use custos_state::error::RefusalCode;
use custos_state::view::View;

const A: &str = "hospital-a";
const B: &str = "hospital-b";
const DAY: u64 = 86_400_000;

fn entry<T: Wire>(chain: &Chain, key: StateKey) -> Option<T> {
    chain.store.entry(&key).unwrap().map(|bytes| T::from_bytes(&bytes).unwrap())
}

fn listed(chain: &Chain, name: &str) -> usize {
    chain.trail_records(&TrailName::institution(&id(name)).key()).len()
}

fn in_registry(chain: &Chain) -> usize {
    chain.trail_records(&TrailName::registry(&id(REGISTRY)).key()).len()
}

// Rosters.

#[test]
fn an_organisation_binds_itself_to_the_roster_of_a_period() {
    let mut chain = Chain::new();
    let now = chain.next_time();
    let roster =
        |from: TimeMs, until: TimeMs| Commit { from, until, root: Digest([5; 32]), count: Count::Hundred };
    let put = |f: Commit| vec![Fields::RosterCommit(f)];
    for (from, until) in [
        (now, now),
        (now.plus(1), now),
        (now, now.plus(400 * DAY + 1)),
        (TimeMs(now.0 - DAY), now),
        (TimeMs(u64::MAX), TimeMs(u64::MAX)),
    ] {
        // Times beyond the format's largest have no spelling.
        if until <= custos_proof::ids::FAR {
            assert_eq!(chain.refused(A, put(roster(from, until))), RefusalCode::OutOfRange);
        }
    }
    for author in [AUDITOR, REGISTRY] {
        assert_eq!(chain.refused(author, put(roster(now, now.plus(DAY)))), RefusalCode::NotAllowed);
    }
    chain.act(A, put(roster(TimeMs(now.0 - DAY), now.plus(399 * DAY))));
    let kept: Roster = entry(&chain, registry::roster_key(&id(A))).unwrap();
    assert_eq!((kept.root, kept.committed), (Digest([5; 32]), chain.height()));
    assert_eq!((listed(&chain, A), listed(&chain, B)), (1, 0));
    // The last one counts.
    chain.act(A, put(Commit { root: Digest([6; 32]), ..roster(now, now.plus(DAY)) }));
    assert_eq!(entry::<Roster>(&chain, registry::roster_key(&id(A))).unwrap().root, Digest([6; 32]));
}

// Mandates.

fn mandate(custodian: &str) -> Issue {
    Issue {
        mandate: Random16([1; 16]),
        auditor: id(AUDITOR),
        custodian: id(custodian),
        from_year: 2030,
        to_year: 2031,
        seal: NO_SEAL,
    }
}

fn end(custodian: &str) -> Vec<Fields> {
    vec![Fields::MandateEnd(End { auditor: id(AUDITOR), custodian: id(custodian) })]
}

#[test]
fn a_mandate_is_the_custodians_to_give_or_takes_a_vote() {
    let mut chain = Chain::new();
    let issue = |f: Issue| vec![Fields::MandateIssue(f)];
    for author in [B, AUDITOR, REGISTRY] {
        assert_eq!(chain.refused(author, issue(mandate(A))), RefusalCode::NotAllowed);
    }
    assert_eq!(chain.refused(A, issue(Issue { auditor: id("nobody"), ..mandate(A) })), RefusalCode::NotFound);
    assert_eq!(chain.refused(A, issue(Issue { auditor: id(B), ..mandate(A) })), RefusalCode::NotAllowed);
    assert_eq!(chain.refused(CLINIC, issue(mandate(CLINIC))), RefusalCode::NotAllowed, "no custodian");
    for (from_year, to_year) in [(2031, 2030), (2000, 2030), (0, u16::MAX)] {
        let odd = Issue { from_year, to_year, ..mandate(A) };
        assert_eq!(chain.refused(A, issue(odd)), RefusalCode::OutOfRange);
    }
    chain.act(A, issue(mandate(A)));
    chain.agreed(issue(mandate(B)));
    let kept = |chain: &Chain, custodian: &str| -> Mandate {
        entry(chain, registry::mandate_key(&id(AUDITOR), &id(custodian))).unwrap()
    };
    assert_eq!((kept(&chain, A).from_year, kept(&chain, B).ended), (2030, None));
    // One at a time; it ends once, by the custodian, the auditor or a vote.
    assert_eq!(chain.refused(A, issue(mandate(A))), RefusalCode::Exists);
    assert_eq!(chain.refused(B, end(A)), RefusalCode::NotAllowed);
    chain.act(A, end(A));
    assert_eq!(kept(&chain, A).ended, Some(chain.height()));
    assert_eq!(chain.refused(A, end(A)), RefusalCode::NotFound);
    chain.act(A, issue(Issue { mandate: Random16([2; 16]), ..mandate(A) }));
    chain.act(AUDITOR, end(A));
    chain.agreed(end(B));
    assert!(kept(&chain, B).ended.is_some());
    // A suspended auditor gets none.
    chain.agreed(vec![suspend(AUDITOR)]);
    assert_eq!(chain.refused(A, issue(mandate(A))), RefusalCode::NotAllowed);
}

// Notarised documents.

/// Notarises, and gives back how the item is referred to.
fn notarised(chain: &mut Chain, author: &str, f: Notarise) -> ItemHash {
    let submission = chain.acts(author, vec![Fields::Notarise(f)]);
    match chain.record(submission)[..] {
        [Placed::Here(index)] => chain.decoded(index.0).as_item().unwrap().item,
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn parts_never_exceed_what_they_are_taken_from() {
    let mut chain = Chain::new();
    let fund = Notarise {
        schema: Ascii::new("fund-allocation").unwrap(),
        digest: Digest([1; 32]),
        parent: None,
        amount: Some(1000),
        holder: Some(id(B)),
    };
    let refused =
        |chain: &mut Chain, author: &str, f: Notarise| chain.refused(author, vec![Fields::Notarise(f)]);
    let other = Notarise { schema: Ascii::new("poem").unwrap(), ..fund.clone() };
    assert_eq!(refused(&mut chain, A, other), RefusalCode::NotAllowed);
    let held = Notarise { holder: Some(id("nobody")), ..fund.clone() };
    assert_eq!(refused(&mut chain, A, held), RefusalCode::NotFound);
    let parent = notarised(&mut chain, A, fund.clone());
    let part = |amount| Notarise { parent: Some(parent), amount, holder: None, ..fund.clone() };
    assert_eq!(refused(&mut chain, A, part(Some(1))), RefusalCode::NotAllowed, "B holds it");
    let lost = Notarise { parent: Some(ItemHash([9; 32])), ..fund.clone() };
    assert_eq!(refused(&mut chain, A, lost), RefusalCode::NotFound);
    assert_eq!(refused(&mut chain, B, part(Some(1001))), RefusalCode::ExceedsParent);
    let first = notarised(&mut chain, B, part(Some(600)));
    assert_eq!(refused(&mut chain, B, part(Some(401))), RefusalCode::ExceedsParent);
    assert_eq!(refused(&mut chain, B, part(Some(u64::MAX))), RefusalCode::ExceedsParent);
    notarised(&mut chain, B, part(Some(400)));
    assert_eq!(entry::<Notarised>(&chain, registry::notarised_key(&parent)).unwrap().taken, 1000);
    assert_eq!(refused(&mut chain, B, part(Some(1))), RefusalCode::ExceedsParent);
    // A part of a part, and a part without an amount.
    let deeper = Notarise { parent: Some(first), amount: Some(600), ..part(None) };
    let deepest = notarised(&mut chain, B, deeper);
    let silent = notarised(&mut chain, B, Notarise { parent: Some(deepest), ..part(None) });
    let of_silent = Notarise { parent: Some(silent), ..part(Some(1)) };
    assert_eq!(
        refused(&mut chain, B, of_silent),
        RefusalCode::ExceedsParent,
        "there is no amount to take from"
    );
    // Two parts in one submission see each other.
    let parent = notarised(&mut chain, B, Notarise { holder: None, ..fund.clone() });
    let half = Notarise { parent: Some(parent), amount: Some(501), holder: None, ..fund };
    let both = chain.acts(B, vec![Fields::Notarise(half.clone()), Fields::Notarise(half)]);
    assert_eq!(chain.refusal(&both), (RefusalCode::ExceedsParent, Some(1)));
    assert_eq!(entry::<Notarised>(&chain, registry::notarised_key(&parent)).unwrap().taken, 0);
}

/// Parts refer to their parent by its hash. Were the same bytes recorded again, by its author or by whoever saw them on
/// their way, its amount could be taken twice, or another would hold it.
#[test]
fn a_notarised_item_that_is_sent_again_gives_nothing_back_and_changes_no_hands() {
    let mut chain = Chain::new();
    let schema = Ascii::new("fund-allocation").unwrap();
    let fund = Notarise { schema, digest: Digest([1; 32]), parent: None, amount: Some(1000), holder: None };
    let bytes = chain.item(Fields::Notarise(fund.clone()));
    let first = chain.draft(A, Class::Act, vec![bytes.clone()]).sign();
    chain.record(first);
    let parent = item_hash(&bytes);
    let part = Notarise { parent: Some(parent), amount: Some(1000), ..fund };
    notarised(&mut chain, A, part.clone());
    for author in [A, B] {
        let again = chain.draft(author, Class::Act, vec![bytes.clone()]).sign();
        assert_eq!(chain.refusal(&again), (RefusalCode::Exists, Some(0)));
    }
    let kept: Notarised = entry(&chain, registry::notarised_key(&parent)).unwrap();
    assert_eq!((kept.holder, kept.taken), (id(A), 1000));
    let more = vec![Fields::Notarise(Notarise { amount: Some(1), ..part })];
    assert_eq!(chain.refused(A, more), RefusalCode::ExceedsParent);
}

// Findings and disputes.

#[test]
fn findings_are_recorded_by_auditors_with_a_mandate() {
    let mut chain = Chain::new();
    let finding = |institution: &str| {
        vec![Fields::FindingRecord(RecordFinding {
            finding: Random16([3; 16]),
            institution: id(institution),
            rule: Ascii::new("unrelated-treatment").unwrap(),
            version: Digest([4; 32]),
            evidence: Set::new(vec![ItemHash([5; 32])]).unwrap(),
            seal: NO_SEAL,
        })]
    };
    assert_eq!(chain.refused(AUDITOR, finding(A)), RefusalCode::NoMandate);
    chain.act(A, vec![Fields::MandateIssue(mandate(A))]);
    assert_eq!(chain.refused(AUDITOR, finding(B)), RefusalCode::NoMandate);
    assert_eq!(chain.refused(A, finding(A)), RefusalCode::NotAllowed);
    chain.act(AUDITOR, finding(A));
    assert_eq!((listed(&chain, A), listed(&chain, AUDITOR)), (1, 1));
    assert_eq!(chain.refused(AUDITOR, finding(A)), RefusalCode::Exists);
    chain.act(A, end(A));
    assert_eq!(chain.refused(AUDITOR, finding(A)), RefusalCode::NoMandate);
}

#[test]
fn a_dispute_is_opened_answered_and_resolved() {
    let mut chain = Chain::new();
    let open = |number, institution: &str, behalf| {
        let dispute = Random16([number; 16]);
        vec![Fields::DisputeOpen(Open { dispute, institution: id(institution), behalf, seal: NO_SEAL })]
    };
    let answer =
        |number| vec![Fields::DisputeAnswer(Answer { dispute: Random16([number; 16]), seal: NO_SEAL })];
    let resolve = |number, resolution| {
        let dispute = Random16([number; 16]);
        vec![Fields::DisputeResolve(Resolve { dispute, institution: id(A), resolution, seal: NO_SEAL })]
    };
    // By whom, with whom.
    assert_eq!(chain.refused(A, open(1, A, Behalf::Author)), RefusalCode::NotAllowed);
    assert_eq!(chain.refused(B, open(1, A, Behalf::Subject)), RefusalCode::NotAllowed);
    assert_eq!(chain.refused(AUDITOR, open(1, A, Behalf::Author)), RefusalCode::NoMandate);
    chain.act(A, vec![Fields::MandateIssue(mandate(A))]);
    chain.act(AUDITOR, open(1, A, Behalf::Author));
    assert_eq!((listed(&chain, A), listed(&chain, AUDITOR)), (1, 1));
    assert_eq!(chain.refused(AUDITOR, open(1, A, Behalf::Author)), RefusalCode::Exists);
    chain.act(A, open(2, A, Behalf::Subject));
    // Step by step.
    assert_eq!(chain.refused(AUDITOR, resolve(1, Resolution::Upheld)), RefusalCode::NotAllowed);
    assert_eq!(chain.refused(B, answer(1)), RefusalCode::NotFound, "it is not with B");
    assert_eq!(chain.refused(A, answer(9)), RefusalCode::NotFound);
    chain.act(A, answer(1));
    assert_eq!(chain.refused(A, answer(1)), RefusalCode::Exists);
    assert_eq!(
        chain.refused(A, resolve(1, Resolution::Dismissed)),
        RefusalCode::NotAllowed,
        "A did not open it"
    );
    assert_eq!(chain.refused(AUDITOR, resolve(9, Resolution::Upheld)), RefusalCode::NotFound);
    chain.act(AUDITOR, resolve(1, Resolution::Corrected));
    let kept: Dispute = entry(&chain, registry::dispute_key(&id(A), &Random16([1; 16]))).unwrap();
    assert_eq!((kept.opener, kept.resolved), (id(AUDITOR), Some(chain.height())));
    assert_eq!(chain.refused(AUDITOR, resolve(1, Resolution::Upheld)), RefusalCode::Exists);
    // Withdrawn without an answer; then there is nothing to answer.
    chain.act(A, resolve(2, Resolution::Withdrawn));
    assert_eq!(chain.refused(A, answer(2)), RefusalCode::Exists);
}

// Misbehaviour.

/// Two votes of a validator for different blocks.
fn votes(chain: &Chain, signer: &TestKey) -> Report {
    let (height, round, vote) = (Height(1), Round(0), VoteType::Precommit);
    let signed = |block: Option<BlockId>| {
        let preimage = vote_preimage(&chain.id, height, round, vote, block, &signer.public());
        SignedVote { block, signature: signer.sign(&preimage).unwrap() }
    };
    Report {
        key: signer.public(),
        height,
        round,
        vote,
        first: signed(None),
        second: signed(Some(BlockId([7; 32]))),
        seen: Seen::Consensus,
    }
}

/// One block with one report; what the validators found.
fn reported(chain: &mut Chain, author: &str, report: Report) -> (Finding, Vec<Code>) {
    let submission = chain.say(author, Class::Testimony, vec![Fields::MisbehaviourReport(report)]);
    match chain.record(submission)[..] {
        [Placed::Here(index)] => said(&chain.decoded(index.0).as_item().unwrap().verdict),
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn two_conflicting_votes_prove_themselves_and_stand_in_the_registry_once() {
    let mut chain = Chain::new();
    let report = votes(&chain, &key("hospital-d consensus"));
    assert_eq!(reported(&mut chain, A, report.clone()), (Finding::Consistent, vec![]));
    assert_eq!((in_registry(&chain), listed(&chain, A)), (1, 0));
    let again = reported(&mut chain, B, report.clone());
    assert_eq!(again, (Finding::Consistent, vec![Code::ReportedBefore]));
    assert_eq!((in_registry(&chain), listed(&chain, B)), (1, 1));
    // Another round is another matter.
    let other = votes(&chain, &key("hospital-c consensus"));
    assert_eq!(reported(&mut chain, A, other), (Finding::Consistent, vec![]));
    assert_eq!(in_registry(&chain), 2);
}

#[test]
fn what_does_not_prove_misbehaviour_is_contradicted_and_stays_the_authors_own_word() {
    let mut chain = Chain::new();
    let good = votes(&chain, &key("hospital-d consensus"));
    let tampered = SignedVote { block: Some(BlockId([8; 32])), ..good.second.clone() };
    let cases = [
        (Report { second: tampered, ..good.clone() }, Code::VoteNotSigned),
        (Report { round: Round(1), ..good.clone() }, Code::VoteNotSigned),
        (Report { vote: VoteType::Prevote, ..good.clone() }, Code::VoteNotSigned),
        (Report { second: good.first.clone(), ..good.clone() }, Code::VotesAgree),
        (Report { first: good.second.clone(), second: good.first.clone(), ..good.clone() }, Code::VotesAgree),
        (Report { height: Height(1_000_000), ..good.clone() }, Code::HeightAhead),
        (votes(&chain, &key("nobody")), Code::NoConsensusKey),
        (votes(&chain, &key("hospital-d sign")), Code::NoConsensusKey),
    ];
    for (number, (report, code)) in (1..).zip(cases) {
        assert_eq!(reported(&mut chain, A, report), (Finding::Contradicted, vec![code]));
        assert_eq!((in_registry(&chain), listed(&chain, A)), (0, number));
    }
    // Whoever has no vote is heard, and does not write into the registry's trail.
    let by_clinic = reported(&mut chain, CLINIC, good.clone());
    assert_eq!(by_clinic, (Finding::Contradicted, vec![Code::AuthorRole]));
    assert_eq!((in_registry(&chain), listed(&chain, CLINIC)), (0, 1));
    // And none of this keeps the good one out.
    assert_eq!(reported(&mut chain, B, good), (Finding::Consistent, vec![]));
}
