//! Permits, emergencies, transfers, records, jobs, corrections, holds and erasures: each admission,
//! each refusal, each finding; and the facts that the chain makes of what nobody did in time.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use custos_proof::cbor::{Ascii, List, Set};
use custos_proof::hash::{Digest, ItemHash};
use custos_proof::ids::{FAR, ParticipantId, Random16, TimeMs};
use custos_proof::item::item_hash;
use custos_proof::kinds::access::{Basis, Event, Retention};
use custos_proof::kinds::permit::{self, Category, Form, Override, Purpose, Terms};
use custos_proof::kinds::{Class, Fields, audit, correct, disclosure, emergency, hold, job, record};
use custos_proof::record::{Code, DueRule, Finding};
use custos_proof::registry::{Policy, Role};
use custos_proof::submission::Verified;
use custos_proof::trail::TrailName;
use custos_proof::verify;
use custos_state::apply::MAX_DUE_PER_BLOCK;
use custos_state::changes::Placed;
use custos_state::error::RefusalCode;
use custos_state::rules::hold::MIN_AGE_MS;
use custos_state::view::View;

const A: &str = "hospital-a";
const B: &str = "hospital-b";
const C: &str = "hospital-c";
const BODY: &str = "access-body";
const OTHER_BODY: &str = "other-body";
const USER: &str = "institute";
const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

use Finding::{Consistent, Contradicted};

fn chain() -> Chain {
    let others: [(&str, &[Role]); 3] =
        [(BODY, &[Role::AccessBody]), (OTHER_BODY, &[Role::AccessBody]), (USER, &[Role::DataUser])];
    let mut genesis = genesis_with("lives", BEGIN, &others);
    genesis.policy = policy();
    Chain::from_genesis(genesis)
}

/// Short-lived bodies are kept for twenty days, so that a trust period outlives them.
fn policy() -> Policy {
    let mut policy = Policy::initial();
    policy.retention_days = List::new(vec![20, 3_650, 10_950]).unwrap();
    policy.decision.emergency.review_hours = 72;
    policy
}

/// Within which time an emergency has to be reviewed.
fn review_ms() -> u64 {
    u64::from(policy().decision.emergency.review_hours) * HOUR
}

fn good() -> (Finding, Vec<Code>) {
    (Consistent, vec![])
}

fn bad(code: Code) -> (Finding, Vec<Code>) {
    (Contradicted, vec![code])
}

fn marked(code: Code) -> (Finding, Vec<Code>) {
    (Consistent, vec![code])
}

/// A trail at A for a grantee, or the subject's own.
fn trail(chain: &mut Chain, subject: &str, grantee: Option<&str>) -> Digest {
    let open = chain.open(A, subject, grantee);
    chain.act(A, vec![open.clone()]);
    local_id_of(&open)
}

fn facts(chain: &Chain) -> Vec<(u64, TimeMs)> {
    chain.facts().iter().map(|due| (u64::from(due.rule), due.deadline)).collect()
}

fn institution(chain: &Chain, name: &str) -> usize {
    chain.trail_records(&TrailName::institution(&id(name)).key()).len()
}

/// The item that a placed statement recorded.
fn item(submission: &Verified) -> ItemHash {
    item_hash(&submission.items()[0])
}

// Emergencies.

fn declare(chain: &mut Chain, custodian: &str, acting: &str) -> emergency::Declare {
    emergency::Declare {
        declaration: chain.random16(),
        custodian: id(custodian),
        acting: id(acting),
        seal: NO_SEAL,
    }
}

fn review(chain: &mut Chain, declarer: &str, declaration: Random16) -> Fields {
    let review = chain.random16();
    Fields::EmergencyReview(emergency::Review { review, declarer: id(declarer), declaration, seal: NO_SEAL })
}

fn in_emergency(chain: &mut Chain, local_id: Digest, acting: &str, cited: Random16) -> Fields {
    let event = chain.event(A, Some(local_id), acting);
    Fields::AccessEvent(Event { basis: Basis::Emergency, cited: Some(cited), ..event })
}

#[test]
fn an_access_cites_an_emergency_that_was_declared_for_it() {
    let mut chain = chain();
    let for_b = trail(&mut chain, "p", Some(B));
    let declared = declare(&mut chain, A, B);
    let listed = [institution(&chain, A), institution(&chain, B)];
    assert_eq!(chain.states(B, Fields::EmergencyDeclare(declared.clone())), good());
    assert_eq!([institution(&chain, A), institution(&chain, B)], listed.map(|n| n + 1));
    let event = in_emergency(&mut chain, for_b, B, declared.declaration);
    assert_eq!(chain.states(B, event), good());

    let unknown = chain.random16();
    let event = in_emergency(&mut chain, for_b, B, unknown);
    assert_eq!(chain.states(B, event), bad(Code::UnknownEmergency));

    let for_others = declare(&mut chain, C, B);
    assert_eq!(chain.states(B, Fields::EmergencyDeclare(for_others.clone())), good());
    let event = in_emergency(&mut chain, for_b, B, for_others.declaration);
    assert_eq!(chain.states(B, event), bad(Code::OtherEmergency));

    chain.wait(Policy::initial().decision.emergency.window_ms);
    chain.block(vec![]);
    let event = in_emergency(&mut chain, for_b, B, declared.declaration);
    assert_eq!(chain.states(B, event), bad(Code::EmergencyOver));
}

#[test]
fn a_declaration_may_follow_the_access_that_it_is_about() {
    let mut chain = chain();
    let for_b = trail(&mut chain, "p", Some(B));
    let declared = declare(&mut chain, A, B);
    let event = in_emergency(&mut chain, for_b, B, declared.declaration);
    chain.block(vec![]);
    let both = chain.say(B, Class::Testimony, vec![Fields::EmergencyDeclare(declared), event]);
    let placed = chain.record(both);
    let [_, Placed::Here(index)] = placed[..] else { panic!("{placed:?}") };
    assert_eq!(said(&chain.decoded(index.0).as_item().unwrap().verdict), good());
}

#[test]
fn one_declaration_is_about_one_subject() {
    let mut chain = chain();
    let (one, two) = (trail(&mut chain, "p", Some(B)), trail(&mut chain, "q", Some(B)));
    let declared = declare(&mut chain, A, B);
    assert_eq!(chain.states(B, Fields::EmergencyDeclare(declared.clone())), good());
    for (local_id, expected) in
        [(one, good()), (one, good()), (two, bad(Code::CitedElsewhere)), (one, good())]
    {
        let event = in_emergency(&mut chain, local_id, B, declared.declaration);
        assert_eq!(chain.states(B, event), expected);
    }
}

#[test]
fn who_is_not_concerned_declares_nothing_and_takes_no_declaration_for_a_trail() {
    let mut chain = chain();
    let for_b = trail(&mut chain, "p", Some(B));
    let declared = declare(&mut chain, A, B);
    assert_eq!(chain.states(C, Fields::EmergencyDeclare(declared.clone())), bad(Code::AuthorNotParty));
    assert_eq!(chain.store.next_due().unwrap(), None, "nothing falls due of what is contradicted");
    let event = in_emergency(&mut chain, for_b, B, declared.declaration);
    assert_eq!(chain.states(B, event), bad(Code::UnknownEmergency));

    // The same id, declared by those concerned: another's use of it takes nothing from them.
    assert_eq!(chain.states(B, Fields::EmergencyDeclare(declared.clone())), good());
    let foreign = trail(&mut chain, "q", Some(B));
    let event = in_emergency(&mut chain, foreign, B, declared.declaration);
    assert_eq!(chain.states(C, event).0, Contradicted);
    let event = in_emergency(&mut chain, for_b, B, declared.declaration);
    assert_eq!(chain.states(B, event), good(), "a stranger's citation does not bind the declaration");

    let nobody = emergency::Declare { custodian: "nobody".parse().unwrap(), ..declare(&mut chain, A, B) };
    assert_eq!(chain.states(B, Fields::EmergencyDeclare(nobody)), bad(Code::UnknownCustodian));
    let nobody = emergency::Declare { acting: "nobody".parse().unwrap(), ..declare(&mut chain, A, B) };
    assert_eq!(chain.states(A, Fields::EmergencyDeclare(nobody)), bad(Code::UnknownActing));
    let audits = declare(&mut chain, A, AUDITOR);
    assert_eq!(chain.states(AUDITOR, Fields::EmergencyDeclare(audits)), bad(Code::AuthorRole));
}

#[test]
fn a_review_in_time_settles_what_falls_due() {
    let mut chain = chain();
    let declared = declare(&mut chain, A, B);
    chain.states(B, Fields::EmergencyDeclare(declared.clone()));
    assert!(chain.store.next_due().unwrap().is_some());
    let stranger = review(&mut chain, B, declared.declaration);
    assert_eq!(chain.states(C, stranger), bad(Code::AuthorNotParty));
    assert!(chain.store.next_due().unwrap().is_some(), "a contradicted review settles nothing");
    let reviewed = review(&mut chain, B, declared.declaration);
    assert_eq!(chain.states(A, reviewed), good());
    assert_eq!(chain.store.next_due().unwrap(), None);
    let again = review(&mut chain, B, declared.declaration);
    assert_eq!(chain.states(AUDITOR, again), marked(Code::Again), "an auditor looks again");
    chain.wait(10 * DAY);
    chain.block(vec![]);
    assert!(chain.facts().is_empty());

    let unknown = review(&mut chain, A, declared.declaration);
    assert_eq!(chain.states(A, unknown), bad(Code::UnknownEmergency), "declared by B, not by A");
    let unknown = review(&mut chain, "nobody", declared.declaration);
    assert_eq!(chain.states(A, unknown), (Contradicted, vec![Code::UnknownEmergency, Code::UnknownParty]));
}

#[test]
fn a_review_that_is_missing_becomes_a_fact_and_a_late_one_says_so() {
    let mut chain = chain();
    let declared = declare(&mut chain, A, B);
    let submission = chain.say(B, Class::Testimony, vec![Fields::EmergencyDeclare(declared.clone())]);
    let cause = item(&submission);
    let time = chain.next_time();
    chain.record(submission);
    let deadline = time.plus(review_ms());
    assert_eq!(chain.store.next_due().unwrap(), Some(deadline));
    chain.wait_until(TimeMs(deadline.0 - 1));
    chain.block(vec![]);
    assert!(chain.facts().is_empty(), "not before the deadline");
    let listed = [institution(&chain, A), institution(&chain, B)];
    chain.wait_until(deadline);
    chain.block(vec![]);
    let [fact] = &chain.facts()[..] else { panic!("{:?}", chain.facts()) };
    assert_eq!((fact.cause, fact.deadline), (cause, deadline));
    assert_eq!(DueRule::from_number(fact.rule), Some(DueRule::ReviewMissing));
    assert_eq!([institution(&chain, A), institution(&chain, B)], listed.map(|n| n + 1));
    assert_eq!(chain.store.next_due().unwrap(), None);
    let late = review(&mut chain, B, declared.declaration);
    assert_eq!(chain.states(B, late), marked(Code::Overdue));
    chain.wait(DAY);
    chain.block(vec![]);
    assert!(chain.facts().is_empty(), "a fact is recorded once");
}

#[test]
fn what_is_sent_again_is_recorded_once_and_an_id_is_used_for_one_thing() {
    let mut chain = chain();
    let declared = declare(&mut chain, A, B);
    let bytes = chain.item(Fields::EmergencyDeclare(declared.clone()));
    let first = chain.draft(B, Class::Testimony, vec![bytes.clone()]).sign();
    let placed = chain.record(first);
    let again = chain.draft(B, Class::Testimony, vec![bytes]).sign();
    let [Placed::Here(index)] = placed[..] else { panic!("{placed:?}") };
    assert_eq!(chain.record(again), [Placed::Before(index)]);
    let review = Fields::EmergencyReview(emergency::Review {
        review: declared.declaration,
        declarer: id(B),
        declaration: declared.declaration,
        seal: NO_SEAL,
    });
    assert_eq!(chain.states(B, review), bad(Code::EventReused));
    assert!(chain.store.next_due().unwrap().is_some());
}

// Permits.

fn terms(chain: &Chain) -> Terms {
    Terms {
        user: id(USER),
        purposes: Set::new(vec![Purpose::Research]).unwrap(),
        categories: Set::new(vec![Category::HealthRecords, Category::Genomic]).unwrap(),
        holders: Set::new(vec![id(A)]).unwrap(),
        environment: None,
        begins: chain.next_time(),
        ends: chain.next_time().plus(30 * DAY),
        form: Form::Pseudonymised,
        over_opt_out: Override::None,
        decision: None,
    }
}

fn issue(chain: &mut Chain) -> permit::Issue {
    let issue = permit::Issue { permit: chain.random16(), terms: terms(chain) };
    chain.act(BODY, vec![Fields::PermitIssue(issue.clone())]);
    issue
}

fn amend(permit: Random16, terms: Terms) -> Fields {
    Fields::PermitAmend(permit::Amend { permit, terms })
}

fn revoke_permit(permit: Random16) -> Fields {
    Fields::PermitRevoke(permit::Revoke { permit, reason: permit::Reason::Breach })
}

fn under_permit(
    chain: &mut Chain,
    local_id: Digest,
    custodian: &str,
    acting: &str,
    cited: Random16,
) -> Event {
    let event = chain.event(custodian, Some(local_id), acting);
    Event { basis: Basis::Permit, cited: Some(cited), ..event }
}

#[test]
fn an_access_body_issues_permits_and_nobody_else() {
    let mut chain = chain();
    let good = permit::Issue { permit: chain.random16(), terms: terms(&chain) };
    assert_eq!(chain.refused(A, vec![Fields::PermitIssue(good.clone())]), RefusalCode::NotAllowed);
    let with = |change: &dyn Fn(&mut Terms)| {
        let mut issue = good.clone();
        change(&mut issue.terms);
        Fields::PermitIssue(issue)
    };
    let nobody: ParticipantId = "nobody".parse().unwrap();
    for (fields, code) in [
        (with(&|t| t.purposes = Set::default()), RefusalCode::MalformedItem),
        (with(&|t| t.categories = Set::default()), RefusalCode::MalformedItem),
        (with(&|t| t.holders = Set::default()), RefusalCode::MalformedItem),
        (with(&|t| t.ends = t.begins), RefusalCode::OutOfRange),
        (with(&|t| (t.begins, t.ends) = (TimeMs(0), BEGIN)), RefusalCode::OutOfRange),
        (with(&|t| t.user = nobody.clone()), RefusalCode::NotFound),
        (with(&|t| t.user = id(A)), RefusalCode::NotAllowed),
        (with(&|t| t.holders = Set::new(vec![id(A), nobody.clone()]).unwrap()), RefusalCode::NotFound),
        (with(&|t| t.holders = Set::new(vec![id(USER)]).unwrap()), RefusalCode::NotAllowed),
        (with(&|t| t.environment = Some(nobody.clone())), RefusalCode::NotFound),
    ] {
        assert_eq!(chain.refused(BODY, vec![fields.clone()]), code, "{fields:?}");
    }
    chain.act(BODY, vec![Fields::PermitIssue(good.clone())]);
    for body in [BODY, OTHER_BODY] {
        assert_eq!(chain.refused(body, vec![Fields::PermitIssue(good.clone())]), RefusalCode::Exists);
    }
    let name = TrailName::permit(&id(BODY), &good.permit);
    assert_eq!(chain.trail_records(&name.key()).len(), 1);
}

#[test]
fn a_permit_is_amended_and_revoked_by_the_body_that_issued_it_while_it_runs() {
    let mut chain = chain();
    let issued = issue(&mut chain);
    let (permit, terms) = (issued.permit, issued.terms);
    let unknown = chain.random16();
    for (fields, code) in [
        (amend(unknown, terms.clone()), RefusalCode::NotFound),
        (amend(permit, Terms { holders: Set::default(), ..terms.clone() }), RefusalCode::MalformedItem),
        (amend(permit, Terms { ends: terms.begins, ..terms.clone() }), RefusalCode::OutOfRange),
        (revoke_permit(unknown), RefusalCode::NotFound),
    ] {
        assert_eq!(chain.refused(BODY, vec![fields]), code);
    }
    assert_eq!(chain.refused(OTHER_BODY, vec![amend(permit, terms.clone())]), RefusalCode::NotAllowed);
    assert_eq!(chain.refused(OTHER_BODY, vec![revoke_permit(permit)]), RefusalCode::NotAllowed);

    let longer = Terms { ends: terms.ends.plus(30 * DAY), ..terms.clone() };
    chain.act(BODY, vec![amend(permit, longer.clone())]);
    assert_eq!(chain.store.next_due().unwrap(), Some(longer.ends), "it falls due at its new end only");
    chain.act(BODY, vec![revoke_permit(permit)]);
    assert_eq!(chain.store.next_due().unwrap(), None);
    for fields in [amend(permit, terms.clone()), revoke_permit(permit)] {
        assert_eq!(chain.refused(BODY, vec![fields]), RefusalCode::Ended);
    }
    let name = TrailName::permit(&id(BODY), &permit);
    assert_eq!(chain.trail_records(&name.key()).len(), 3);

    let over = issue(&mut chain);
    chain.wait_until(over.terms.ends);
    chain.block(vec![]);
    for fields in [amend(over.permit, longer), revoke_permit(over.permit)] {
        assert_eq!(chain.refused(BODY, vec![fields]), RefusalCode::Ended);
    }
}

#[test]
fn another_data_user_needs_another_permit() {
    let others: [(&str, &[Role]); 3] =
        [(BODY, &[Role::AccessBody]), (USER, &[Role::DataUser]), ("other-user", &[Role::DataUser])];
    let mut chain = Chain::from_genesis(genesis_with("users", BEGIN, &others));
    let issued = issue(&mut chain);
    let other = Terms { user: id("other-user"), ..issued.terms };
    assert_eq!(chain.refused(BODY, vec![amend(issued.permit, other)]), RefusalCode::NotAllowed);
}

#[test]
fn a_permit_is_amended_so_often_and_not_more() {
    let mut chain = chain();
    let issued = issue(&mut chain);
    let all = vec![amend(issued.permit, issued.terms.clone()); permit::MAX_AMENDMENTS as usize];
    chain.act(BODY, all);
    assert_eq!(chain.refused(BODY, vec![amend(issued.permit, issued.terms)]), RefusalCode::QuotaExceeded);
}

#[test]
fn an_access_under_a_permit_is_judged_by_what_held_when_it_was_decided() {
    let mut chain = chain();
    let for_user = trail(&mut chain, "p", Some(USER));
    let before = under_permit(&mut chain, for_user, A, USER, Random16([0; 16]));
    let issued = issue(&mut chain);
    let permit = issued.permit;
    let early = Event { cited: Some(permit), ..before };
    assert_eq!(chain.states(USER, Fields::AccessEvent(early)), bad(Code::PermitNotYet));
    let listed = |chain: &Chain| chain.trail_records(&TrailName::permit(&id(BODY), &permit).key()).len();
    let (count, event) = (listed(&chain), under_permit(&mut chain, for_user, A, USER, permit));
    assert_eq!(chain.states(USER, Fields::AccessEvent(event)), good());
    assert_eq!(listed(&chain), count + 1, "it stands in the permit's trail, too");

    let unknown = chain.random16();
    let event = under_permit(&mut chain, for_user, A, USER, unknown);
    assert_eq!(chain.states(USER, Fields::AccessEvent(event)), bad(Code::UnknownPermit));
    // B gives data and is not named.
    let open = chain.open(B, "p", Some(USER));
    chain.act(B, vec![open.clone()]);
    let at_b = local_id_of(&open);
    let event = under_permit(&mut chain, at_b, B, USER, permit);
    assert_eq!(chain.states(B, Fields::AccessEvent(event)), bad(Code::NotHolder));
    assert_eq!(listed(&chain), count + 1, "who is not named floods no permit's trail");
    // C uses data and is not named.
    let for_c = trail(&mut chain, "p", Some(C));
    let event = under_permit(&mut chain, for_c, A, C, permit);
    assert_eq!(chain.states(A, Fields::AccessEvent(event)), bad(Code::NotUser));

    // Decided before B was added: judged by the terms of then.
    let decided_before = under_permit(&mut chain, at_b, B, USER, permit);
    let both = Terms {
        holders: Set::new(vec![id(A), id(B)]).unwrap(),
        environment: Some(id(C)),
        ..issued.terms.clone()
    };
    chain.act(BODY, vec![amend(permit, both)]);
    assert_eq!(chain.states(B, Fields::AccessEvent(decided_before)), bad(Code::NotHolder));
    let event = under_permit(&mut chain, at_b, B, USER, permit);
    assert_eq!(chain.states(B, Fields::AccessEvent(event)), good());
    let event = under_permit(&mut chain, for_c, A, C, permit);
    assert_eq!(chain.states(C, Fields::AccessEvent(event)), good(), "C runs the secure environment now");

    // Decided before it was revoked, recorded after.
    let decided_before = under_permit(&mut chain, for_user, A, USER, permit);
    chain.act(BODY, vec![revoke_permit(permit)]);
    assert_eq!(chain.states(USER, Fields::AccessEvent(decided_before)), good());
    let event = under_permit(&mut chain, for_user, A, USER, permit);
    assert_eq!(chain.states(USER, Fields::AccessEvent(event)), bad(Code::PermitEnded));
}

#[test]
fn a_permit_holds_in_its_period_and_its_end_is_a_fact() {
    let mut chain = chain();
    let for_user = trail(&mut chain, "p", Some(USER));
    let begins = chain.next_time().plus(HOUR);
    let terms = Terms { begins, ends: begins.plus(HOUR), ..terms(&chain) };
    let issued = permit::Issue { permit: chain.random16(), terms };
    chain.act(BODY, vec![Fields::PermitIssue(issued.clone())]);
    let judged = |chain: &mut Chain| {
        let event = under_permit(chain, for_user, A, USER, issued.permit);
        chain.states(USER, Fields::AccessEvent(event))
    };
    assert_eq!(judged(&mut chain), bad(Code::PermitNotYet));
    chain.wait_until(begins);
    chain.block(vec![]);
    assert_eq!(judged(&mut chain), good());
    chain.wait_until(issued.terms.ends);
    chain.block(vec![]);
    assert_eq!(facts(&chain), [(DueRule::PermitExpired.number(), issued.terms.ends)]);
    assert_eq!(judged(&mut chain), bad(Code::PermitEnded));
}

#[test]
fn a_permit_without_end_never_falls_due() {
    let mut chain = chain();
    let terms = Terms { ends: FAR, ..terms(&chain) };
    let issued = permit::Issue { permit: chain.random16(), terms };
    chain.act(BODY, vec![Fields::PermitIssue(issued.clone())]);
    assert_eq!(chain.store.next_due().unwrap(), None);
    chain.act(BODY, vec![revoke_permit(issued.permit)]);
}

// Jobs.

fn step(chain: &mut Chain, permit: Random16, job: Random16, step: job::Step) -> job::Record {
    job::Record {
        event: chain.random16(),
        permit,
        job,
        step,
        code: Some(Digest([7; 32])),
        parameters: None,
        nodes: Set::new(vec![id(A)]).unwrap(),
        cohort: job::Cohort::Below1000,
        opt_outs_removed: job::Precaution::Done,
        disclosure_checked: job::Precaution::Unknown,
        seal: NO_SEAL,
    }
}

#[test]
fn a_job_goes_its_way_under_its_permit() {
    use job::Step::{Close, Fail, Input, Open, Query, Register, Result, Round};
    let mut chain = chain();
    let permit = issue(&mut chain).permit;
    let ways: [&[(job::Step, bool)]; 3] = [
        &[(Register, true), (Round, true), (Input, true), (Round, true), (Result, true), (Round, false)],
        &[(Round, false), (Register, true), (Register, false), (Query, false), (Fail, true), (Result, false)],
        &[(Open, true), (Query, true), (Input, false), (Query, true), (Close, true), (Query, false)],
    ];
    for way in ways {
        let job = chain.random16();
        for (kind, follows) in way {
            let record = step(&mut chain, permit, job, *kind);
            let expected = if *follows { good() } else { bad(Code::OtherStep) };
            assert_eq!(chain.states(USER, Fields::JobRecord(record)), expected, "{kind} of {way:?}");
        }
    }
    let job = chain.random16();
    let listed = TrailName::permit(&id(BODY), &permit).key();
    let count = chain.trail_records(&listed).len();
    let foreign = step(&mut chain, permit, job, Register);
    assert_eq!(chain.states(C, Fields::JobRecord(foreign)), bad(Code::AuthorNotParty));
    assert_eq!(chain.trail_records(&listed).len(), count);
    let unknown = chain.random16();
    let unknown = step(&mut chain, unknown, job, Register);
    assert_eq!(chain.states(USER, Fields::JobRecord(unknown)), bad(Code::UnknownPermit));
    let nodes = Set::new(vec!["nobody".parse().unwrap()]).unwrap();
    let nodes = job::Record { nodes, ..step(&mut chain, permit, job, Register) };
    assert_eq!(chain.states(USER, Fields::JobRecord(nodes)), bad(Code::UnknownParty));
    let by_holder = step(&mut chain, permit, job, Register);
    assert_eq!(chain.states(A, Fields::JobRecord(by_holder)), good());
    chain.act(BODY, vec![revoke_permit(permit)]);
    let late = step(&mut chain, permit, job, Result);
    assert_eq!(chain.states(USER, Fields::JobRecord(late)), bad(Code::PermitEnded));
    let begins = chain.next_time().plus(HOUR);
    let early = permit::Issue { permit: chain.random16(), terms: Terms { begins, ..terms(&chain) } };
    chain.act(BODY, vec![Fields::PermitIssue(early.clone())]);
    let early = step(&mut chain, early.permit, job, Register);
    assert_eq!(chain.states(USER, Fields::JobRecord(early)), bad(Code::PermitNotYet));
}

// Transfers.

fn export(chain: &mut Chain, transfer: Random16, recipient: Option<&str>) -> Fields {
    Fields::DisclosureExport(disclosure::Export {
        event: chain.random16(),
        transfer,
        recipient: recipient.map(id),
        agreement: None,
        recognition: None,
        from_country: Ascii::new("DE").unwrap(),
        to_country: Ascii::new("FR").unwrap(),
        seal: NO_SEAL,
    })
}

fn import(chain: &mut Chain, transfer: Random16, source: &str) -> Fields {
    Fields::DisclosureImport(disclosure::Import {
        event: chain.random16(),
        transfer,
        source: id(source),
        from_country: Ascii::new("DE").unwrap(),
        to_country: Ascii::new("FR").unwrap(),
        seal: NO_SEAL,
    })
}

#[test]
fn the_halves_of_a_transfer_meet_in_either_order() {
    let mut chain = chain();
    for export_first in [true, false] {
        let transfer = chain.random16();
        let (out, into) = (export(&mut chain, transfer, Some(B)), import(&mut chain, transfer, A));
        let halves = if export_first { [(A, out), (B, into)] } else { [(B, into), (A, out)] };
        for (position, (author, half)) in halves.into_iter().enumerate() {
            assert_eq!(chain.states(author, half), good());
            assert_eq!(chain.store.next_due().unwrap().is_some(), position == 0);
        }
        let again = export(&mut chain, transfer, Some(B));
        assert_eq!(chain.states(A, again), marked(Code::Again));
    }
    chain.wait(30 * DAY);
    chain.block(vec![]);
    assert!(chain.facts().is_empty());
}

#[test]
fn a_half_that_stays_alone_becomes_a_fact_and_the_late_half_says_so() {
    let mut chain = chain();
    let transfer = chain.random16();
    let out = export(&mut chain, transfer, Some(B));
    let deadline = chain.next_time().plus(Policy::initial().transfer_ms);
    assert_eq!(chain.states(A, out), good());
    // Another's half of the same id is another transfer.
    let foreign = import(&mut chain, transfer, C);
    let other_deadline = chain.next_time().plus(Policy::initial().transfer_ms);
    assert_eq!(chain.states(B, foreign), good());
    let listed = [A, B, C].map(|name| institution(&chain, name));
    chain.wait_until(other_deadline);
    chain.block(vec![]);
    assert_eq!(
        facts(&chain),
        [(DueRule::ImportMissing.number(), deadline), (DueRule::ExportMissing.number(), other_deadline)]
    );
    let now = [A, B, C].map(|name| institution(&chain, name));
    assert_eq!(now, [listed[0] + 1, listed[1] + 2, listed[2] + 1]);
    let late = import(&mut chain, transfer, A);
    assert_eq!(chain.states(B, late), marked(Code::Overdue));
}

#[test]
fn who_is_no_participant_owes_no_import() {
    let mut chain = chain();
    let transfer = chain.random16();
    let out = export(&mut chain, transfer, None);
    assert_eq!(chain.states(A, out), good());
    assert_eq!(chain.store.next_due().unwrap(), None);
    let out = export(&mut chain, transfer, Some("nobody"));
    assert_eq!(chain.states(A, out), bad(Code::UnknownParty));
    let into = import(&mut chain, transfer, "nobody");
    assert_eq!(chain.states(A, into), bad(Code::UnknownParty));
    assert_eq!(chain.store.next_due().unwrap(), None);
    let by_auditor = export(&mut chain, transfer, Some(B));
    assert_eq!(chain.states(AUDITOR, by_auditor), bad(Code::AuthorRole));
}

// Records.

fn record_step(chain: &mut Chain, local_id: Digest, record: Random16, step: record::Step) -> Fields {
    Fields::RecordEvent(record::Event {
        event: chain.random16(),
        local_id,
        record,
        step,
        retention: Retention::Standard,
        seal: NO_SEAL,
    })
}

#[test]
fn a_record_lives_from_its_arrival_to_its_destruction() {
    use record::Step::{Amend, Archive, Destroy, Distribute, Ingest, Rectify, Resume};
    let mut chain = chain();
    let own = trail(&mut chain, "p", None);
    let lives: [&[(record::Step, bool)]; 3] = [
        &[
            (Ingest, true),
            (Amend, true),
            (Distribute, true),
            (Rectify, true),
            (Destroy, true),
            (Amend, false),
        ],
        &[(Amend, false), (Resume, true), (Ingest, false), (Archive, true), (Amend, false), (Rectify, true)],
        &[
            (Ingest, true),
            (Archive, true),
            (Distribute, true),
            (Amend, false),
            (Destroy, true),
            (Destroy, false),
        ],
    ];
    for life in lives {
        let record = chain.random16();
        for (step, follows) in life {
            let event = record_step(&mut chain, own, record, *step);
            let expected = if *follows { good() } else { bad(Code::OtherStep) };
            assert_eq!(chain.states(A, event), expected, "{step} of {life:?}");
        }
    }
    let record = chain.random16();
    let mut judged = |author: &str, local_id| {
        let event = record_step(&mut chain, local_id, record, Ingest);
        chain.states(author, event)
    };
    assert_eq!(judged(A, Digest([9; 32])), bad(Code::TrailNotOpen));
    assert_eq!(judged(B, own), bad(Code::TrailNotOpen), "B's trail of that id was never opened");
    let for_b = trail(&mut chain, "p", Some(B));
    let event = record_step(&mut chain, for_b, record, Ingest);
    assert_eq!(chain.states(A, event), bad(Code::NotOwnTrail));
    chain.act(A, vec![close(own)]);
    let event = record_step(&mut chain, own, record, Ingest);
    assert_eq!(chain.states(A, event), bad(Code::TrailClosed));
    let event = record_step(&mut chain, own, record, Ingest);
    let verdict = chain.states(CLINIC, event);
    assert_eq!(verdict, (Contradicted, vec![Code::AuthorRole, Code::TrailNotOpen]));
}

/// The bytes of an export do not hold who gave the data. Somebody who sees them on their way and sends them as its own,
/// and a recipient that answers only the copy, do not make the first one's obligation disappear.
#[test]
fn a_copied_statement_takes_no_obligation_away() {
    let mut chain = chain();
    let transfer = chain.random16();
    let given = export(&mut chain, transfer, Some(B));
    let bytes = chain.item(given);
    let [mine, copied] =
        [A, C].map(|author| chain.draft(author, Class::Testimony, vec![bytes.clone()]).sign());
    chain.block(vec![copied, mine]);
    let (due, time) = (Policy::initial().transfer_ms, chain.store.head().unwrap().time);
    let answered = import(&mut chain, transfer, C);
    assert_eq!(chain.states(B, answered), good());
    chain.wait_until(time.plus(due + 1));
    chain.block(vec![]);
    let facts = chain.facts();
    assert_eq!(facts.len(), 1, "{facts:?}");
    let listed: Vec<_> = facts[0].trails.iter().map(|listing| listing.trail).collect();
    let mut expected = [A, B].map(|name| TrailName::institution(&id(name)).key());
    expected.sort();
    assert_eq!(listed, expected);

    // Both parties of an emergency may declare it in the same words; a review of the one is none of the other.
    let declared = declare(&mut chain, A, B);
    let bytes = chain.item(Fields::EmergencyDeclare(declared.clone()));
    let both = [A, B].map(|author| chain.draft(author, Class::Testimony, vec![bytes.clone()]).sign());
    chain.block(both.into());
    let time = chain.store.head().unwrap().time;
    let reviewed = review(&mut chain, A, declared.declaration);
    assert_eq!(chain.states(A, reviewed), good());
    chain.wait_until(time.plus(review_ms() + 1));
    chain.block(vec![]);
    assert_eq!(chain.facts().len(), 1, "B's declaration was not reviewed");
}

// Corrections and readers of the audit trail.

#[test]
fn an_author_corrects_what_it_stated_and_nobody_else_does() {
    let mut chain = chain();
    let for_b = trail(&mut chain, "p", Some(B));
    let event = chain.event(A, Some(for_b), B);
    chain.states(B, Fields::AccessEvent(event.clone()));
    let correct = |chain: &mut Chain| correct::Correct {
        correction: chain.random16(),
        prior: event.event,
        custodian: id(A),
        local_id: Some(for_b),
        acting: id(B),
        reason: correct::Reason::Subject,
        seal: NO_SEAL,
    };
    let listed = TrailName::subject(&id(A), for_b).key();
    let count = chain.trail_records(&listed).len();
    let mine = Fields::AccessCorrect(correct(&mut chain));
    assert_eq!(chain.states(B, mine), good());
    assert_eq!(chain.trail_records(&listed).len(), count + 1, "in the same trail");
    let anothers = Fields::AccessCorrect(correct(&mut chain));
    assert_eq!(chain.states(A, anothers), bad(Code::UnknownPrior));
    let strangers = Fields::AccessCorrect(correct(&mut chain));
    assert_eq!(chain.states(C, strangers), bad(Code::UnknownPrior));
    assert_eq!(chain.trail_records(&listed).len(), count + 2, "a stranger writes into no subject's trail");
    // A correction that takes its prior's id is a reused id, and corrects nothing.
    let itself = correct::Correct { correction: event.event, ..correct(&mut chain) };
    assert_eq!(chain.states(B, Fields::AccessCorrect(itself)), bad(Code::EventReused));
}

#[test]
fn who_reads_the_audit_trail_is_recorded() {
    let mut chain = chain();
    let read = |chain: &mut Chain, custodian: &str| {
        Fields::AuditRead(audit::Read {
            event: chain.random16(),
            custodian: id(custodian),
            mandate: None,
            count: 12,
            seal: NO_SEAL,
        })
    };
    for (author, custodian, expected) in [
        (AUDITOR, A, good()),
        (A, A, good()),
        (B, A, bad(Code::AuthorRole)),
        (AUDITOR, "nobody", bad(Code::UnknownCustodian)),
    ] {
        let count = institution(&chain, author);
        let statement = read(&mut chain, custodian);
        assert_eq!(chain.states(author, statement), expected, "{author} of {custodian}");
        assert_eq!(institution(&chain, author), count + 1);
    }
}

/// The second condition is about others: whoever reads its own trail needs no role for it.
#[test]
fn an_institution_without_any_role_reads_its_own_audit_trail() {
    let mut chain = Chain::from_genesis(genesis_with("roles", BEGIN, &[("former-member", &[])]));
    let event = chain.random16();
    let custodian = id("former-member");
    let read = audit::Read { event, custodian, mandate: None, count: 1, seal: NO_SEAL };
    assert_eq!(chain.states("former-member", Fields::AuditRead(read)), good());
}

#[test]
fn a_suspended_author_is_heard_and_believed_in_nothing() {
    let mut chain = chain();
    chain.agreed(vec![suspend(CLINIC)]);
    let declared = declare(&mut chain, A, CLINIC);
    assert_eq!(chain.states(CLINIC, Fields::EmergencyDeclare(declared)), bad(Code::AuthorSuspended));
    let transfer = chain.random16();
    let out = export(&mut chain, transfer, Some(B));
    assert_eq!(chain.states(CLINIC, out), bad(Code::AuthorSuspended));
    assert_eq!(chain.store.next_due().unwrap(), None);
}

// Holds and erasure.

fn hold_on(chain: &mut Chain, local_id: Option<Digest>) -> hold::Set {
    hold::Set { hold: chain.random16(), custodian: id(A), local_id, seal: NO_SEAL }
}

fn lift(hold: &hold::Set) -> Fields {
    Fields::HoldLift(hold::Lift {
        custodian: hold.custodian.clone(),
        hold: hold.hold,
        local_id: hold.local_id,
    })
}

fn erase(local_id: Digest, from: u64, to: u64, authority: hold::Authority, before: TimeMs) -> Fields {
    let retention = Retention::Short;
    Fields::PayloadErase(hold::Erase { local_id, from, to, retention, before, authority, seal: NO_SEAL })
}

#[test]
fn holds_are_set_by_those_concerned_and_lifted_by_those_who_set_them() {
    let mut chain = chain();
    let own = trail(&mut chain, "p", None);
    let on_trail = hold_on(&mut chain, Some(own));
    let set = |hold: &hold::Set| Fields::HoldSet(hold.clone());
    assert_eq!(chain.refused(B, vec![set(&on_trail)]), RefusalCode::NotAllowed);
    let unknown = hold_on(&mut chain, Some(Digest([9; 32])));
    assert_eq!(chain.refused(A, vec![set(&unknown)]), RefusalCode::NotFound);
    let nobody = hold::Set { custodian: "nobody".parse().unwrap(), ..hold_on(&mut chain, None) };
    assert_eq!(chain.refused(AUDITOR, vec![set(&nobody)]), RefusalCode::NotFound);
    chain.act(AUDITOR, vec![set(&on_trail)]);
    assert_eq!(chain.refused(A, vec![set(&on_trail)]), RefusalCode::Exists);
    assert_eq!(chain.refused(A, vec![lift(&on_trail)]), RefusalCode::NotAllowed);
    let elsewhere = hold::Set { local_id: None, ..on_trail.clone() };
    assert_eq!(chain.refused(AUDITOR, vec![lift(&elsewhere)]), RefusalCode::NotFound);
    chain.act(AUDITOR, vec![lift(&on_trail)]);
    assert_eq!(chain.refused(AUDITOR, vec![lift(&on_trail)]), RefusalCode::Ended);
}

#[test]
fn what_is_past_its_time_and_on_no_hold_is_erased_and_every_proof_still_verifies() {
    let mut chain = chain();
    let own = trail(&mut chain, "p", None);
    let short = Event { retention: Retention::Short, ..chain.event(A, Some(own), A) };
    let long = chain.event(A, Some(own), A);
    let both = chain.testimony(A, vec![short, long]);
    let placed = chain.record(both);
    let [Placed::Here(first), Placed::Here(second)] = placed[..] else { panic!("{placed:?}") };
    let quarter = QUARTER;
    let allowed_from = quarter.plus(policy().retention_ms(Retention::Short));

    let order = |to| erase(own, 0, to, hold::Authority::RetentionEnded, quarter);
    chain.wait_until(TimeMs(allowed_from.0 - 2000));
    chain.block(vec![]);
    assert_eq!(chain.refused(A, vec![order(3)]), RefusalCode::TooEarly);
    chain.wait_until(allowed_from);
    chain.block(vec![]);
    for (fields, code) in [
        (order(0), RefusalCode::OutOfRange),
        (order(4), RefusalCode::OutOfRange),
        (erase(own, 2, 1, hold::Authority::Court, FAR), RefusalCode::OutOfRange),
        (erase(own, 0, 3, hold::Authority::RetentionEnded, TimeMs(quarter.0 - 1)), RefusalCode::OutOfRange),
        (erase(own, 0, 3, hold::Authority::RetentionEnded, FAR), RefusalCode::OutOfRange),
        (erase(own, 0, 3, hold::Authority::Court, quarter), RefusalCode::OutOfRange),
        (erase(Digest([9; 32]), 0, 1, hold::Authority::Court, FAR), RefusalCode::NotFound),
    ] {
        assert_eq!(chain.refused(A, vec![fields.clone()]), code, "{fields:?}");
    }
    assert_eq!(chain.refused(B, vec![order(3)]), RefusalCode::NotFound, "B has no such trail");
    for hold in [hold_on(&mut chain, Some(own)), hold_on(&mut chain, None)] {
        chain.act(A, vec![Fields::HoldSet(hold.clone())]);
        assert_eq!(chain.refused(A, vec![order(3)]), RefusalCode::OnHold);
        chain.act(A, vec![lift(&hold)]);
    }

    let roots = chain.leaves();
    chain.act(A, vec![order(3)]);
    let body = |chain: &Chain, index: u64| chain.store.records()[index as usize].item.clone();
    assert_eq!(body(&chain, first.0), None, "the short-lived event is gone");
    assert!(body(&chain, second.0).is_some(), "the other is not: it is of another class");
    assert_eq!(&chain.leaves()[..roots.len()], roots, "no record changed");
    let name = TrailName::subject(&id(A), own);
    let anchor = chain.anchor();
    let proof = chain.whole_trail(&name);
    let proven = verify::trail(&proof, &ground(&anchor)).unwrap();
    assert!(proven.is_complete());
    assert_eq!(proven.not_shown(), (0, 1), "counted, and named as pruned");
}

#[test]
fn an_order_erases_whatever_its_class_asks_for_but_nothing_that_is_younger_than_a_month() {
    let mut chain = chain();
    let own = trail(&mut chain, "p", None);
    let event = Event { retention: Retention::Short, ..chain.event(A, Some(own), A) };
    let submission = chain.testimony(A, vec![event]);
    let recorded = chain.next_time();
    let placed = chain.record(submission);
    let [Placed::Here(index)] = placed[..] else { panic!("{placed:?}") };
    let is_there = |chain: &Chain| chain.store.records()[index.0 as usize].item.is_some();
    chain.wait_until(recorded.plus(MIN_AGE_MS));
    chain.act(A, vec![erase(own, 0, 2, hold::Authority::Court, FAR)]);
    assert!(is_there(&chain), "a month old to the millisecond is not older");
    chain.act(A, vec![erase(own, 0, 2, hold::Authority::Supervisor, FAR)]);
    assert!(!is_there(&chain));
}

// Facts of the chain.

#[test]
fn facts_come_in_the_order_of_their_deadlines_so_many_a_block() {
    let mut chain = chain();
    let halves = MAX_DUE_PER_BLOCK + 44;
    let mut later = Vec::new();
    for _ in 0..halves {
        let transfer = chain.random16();
        later.push(export(&mut chain, transfer, Some(B)));
    }
    let declared = declare(&mut chain, A, B);
    let first = chain.say(A, Class::Testimony, later);
    let second = chain.say(B, Class::Testimony, vec![Fields::EmergencyDeclare(declared)]);
    let time = chain.next_time();
    chain.block(vec![first, second]);
    let [review, transfer] = [review_ms(), Policy::initial().transfer_ms].map(|ms| time.plus(ms));
    chain.wait_until(transfer);
    let event = chain.event(A, None, A);
    let event = chain.testimony(A, vec![event]);
    chain.block(vec![event]);
    let now = facts(&chain);
    assert_eq!(now.len(), MAX_DUE_PER_BLOCK);
    assert_eq!(now[0], (DueRule::ReviewMissing.number(), review), "the earlier deadline first");
    assert!(now[1..].iter().all(|fact| *fact == (DueRule::ImportMissing.number(), transfer)));
    assert_eq!(chain.store.next_due().unwrap(), Some(transfer), "what is left is due at once");
    chain.block(vec![]);
    assert_eq!(chain.facts().len(), halves + 1 - MAX_DUE_PER_BLOCK);
    assert_eq!(chain.store.next_due().unwrap(), None);
}

#[test]
fn what_counts_is_the_deadline_and_not_whether_its_fact_is_recorded() {
    let mut chain = chain();
    let declared = declare(&mut chain, A, B);
    let time = chain.next_time();
    chain.states(B, Fields::EmergencyDeclare(declared.clone()));
    // No block was made until long after: fact and review come in one block, the fact first.
    chain.wait_until(time.plus(10 * DAY));
    let late = review(&mut chain, B, declared.declaration);
    assert_eq!(chain.states(B, late), marked(Code::Overdue));
    assert_eq!(chain.facts().len(), 1);
}
