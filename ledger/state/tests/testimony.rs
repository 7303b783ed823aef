//! Testimony: it is never refused for its content, and the verdict says which clear facts agree.
//!
//! Facts are judged at the height at which the access was decided. Every code of a verdict has a
//! story here; the last test counts them.

#![allow(clippy::unwrap_used)]

mod common;

use std::cell::RefCell;
use std::collections::BTreeSet;

use common::*;
use custos_proof::cbor::Set;
use custos_proof::hash::Digest;
use custos_proof::ids::{Height, TimeMs};
use custos_proof::keys::KeyPurpose;
use custos_proof::kinds::access::{Basis, Event, Late};
use custos_proof::kinds::rule::Put;
use custos_proof::kinds::{Class, Fields};
use custos_proof::record::{Check, Code, Finding};
use custos_proof::trail::TrailName;
use custos_state::changes::Placed;
use custos_state::error::RefusalCode;

const A: &str = "hospital-a";
const B: &str = "hospital-b";
const C: &str = "hospital-c";
const HOUR: u64 = 3_600_000;

use Finding::{Consistent, Contradicted, NotEvaluated};

/// A chain on which hospital A holds a subject's own trail and one for hospital B.
struct Ward {
    chain: Chain,
    own: Digest,
    for_b: Digest,
}

impl Ward {
    fn new() -> Self {
        Self::begin(BEGIN)
    }

    fn begin(time: TimeMs) -> Self {
        let mut chain = Chain::begin("ward", time);
        let (own, for_b) = (chain.open(A, "p", None), chain.open(A, "p", Some(B)));
        let ids = (local_id_of(&own), local_id_of(&for_b));
        chain.act(A, vec![own]);
        chain.act(A, vec![for_b]);
        Self { chain, own: ids.0, for_b: ids.1 }
    }

    /// A rule in the trail for B, put by a block of its own.
    fn consent(&mut self) -> Put {
        let put = self.chain.rule(A, self.for_b);
        self.chain.act(A, vec![Fields::RulePut(put.clone())]);
        put
    }

    fn end(&mut self, rule: &Put) {
        let put = self.chain.rule(A, self.for_b);
        self.chain.act(A, vec![Fields::RulePut(Put { ends: Set::new(vec![rule.rule]).unwrap(), ..put })]);
    }

    /// B reads under a rule, as decided at the present head.
    fn read_under(&mut self, rule: &Put) -> Event {
        let event = self.chain.event(A, Some(self.for_b), B);
        Event { basis: Basis::Consent, cited: Some(rule.rule), ..event }
    }

    /// What is found about B's read.
    fn verdict(&mut self, event: Event) -> (Finding, Vec<Code>) {
        self.verdict_by(B, event)
    }

    fn verdict_by(&mut self, author: &str, event: Event) -> (Finding, Vec<Code>) {
        let verdict = self.chain.verdict(author, event);
        SEEN.with_borrow_mut(|seen| seen.extend(verdict.codes.iter().copied()));
        said(&verdict)
    }
}

thread_local! {
    static SEEN: RefCell<BTreeSet<Code>> = const { RefCell::new(BTreeSet::new()) };
}

fn a_read_under_a_consent_in_force_is_consistent() {
    let mut ward = Ward::new();
    let rule = ward.consent();
    let event = ward.read_under(&rule);
    let verdict = ward.chain.verdict(B, event);
    assert_eq!(said(&verdict), (Consistent, vec![]));
    assert_eq!(verdict.checks[..], [Check::Author, Check::Trail, Check::Rule, Check::Lag, Check::Event]);
}

fn served_under_a_consent_and_revoked_before_it_was_recorded_is_no_offence() {
    let mut ward = Ward::new();
    let rule = ward.consent();
    let served = ward.read_under(&rule);
    ward.end(&rule);
    assert_eq!(ward.verdict(served), (Consistent, vec![]));
    // The same block as the revocation: the proposer's order does not decide who is guilty.
    let rule = ward.consent();
    let served = ward.read_under(&rule);
    let put = ward.chain.rule(A, ward.for_b);
    let revocation =
        ward.chain.acts(A, vec![Fields::RulePut(Put { ends: Set::new(vec![rule.rule]).unwrap(), ..put })]);
    let event = ward.chain.testimony(B, vec![served]);
    let decided = ward.chain.block(vec![revocation, event]);
    let Placed::Here(index) = decided.changes.submissions[1].items[0] else { panic!() };
    let verdict = ward.chain.decoded(index.0).as_item().unwrap().verdict.clone();
    assert_eq!(said(&verdict), (Consistent, vec![]));
}

fn a_revoked_consent_cited_afterwards_is_contradicted() {
    let mut ward = Ward::new();
    let rule = ward.consent();
    ward.end(&rule);
    let event = ward.read_under(&rule);
    assert_eq!(ward.verdict(event), (Contradicted, vec![Code::RuleEnded]));
}

fn a_consent_written_later_launders_nothing() {
    let mut ward = Ward::new();
    let decided = ward.chain.height();
    let rule = ward.consent();
    let event = ward.read_under(&rule);
    assert_eq!(
        ward.verdict(Event { at_height: decided, ..event.clone() }),
        (Contradicted, vec![Code::RuleNotYet])
    );
    // Nor in the block that records both, nor in the submission before.
    let put = ward.chain.rule(A, ward.for_b);
    let event = ward.read_under(&put);
    let (act, event) = (ward.chain.acts(A, vec![Fields::RulePut(put)]), ward.chain.testimony(B, vec![event]));
    let decided = ward.chain.block(vec![act, event]);
    let Placed::Here(index) = decided.changes.submissions[1].items[0] else { panic!() };
    let verdict = ward.chain.decoded(index.0).as_item().unwrap().verdict.clone();
    assert_eq!(said(&verdict), (Contradicted, vec![Code::RuleNotYet]));
}

fn a_consent_that_had_expired_when_it_was_used_is_contradicted() {
    let mut ward = Ward::new();
    let put = Put { expiry: QUARTER, ..ward.chain.rule(A, ward.for_b) };
    ward.chain.act(A, vec![Fields::RulePut(put.clone())]);
    // Decided in the last block before its end, recorded after it.
    ward.chain.wait_until(TimeMs(QUARTER.0 - 1));
    ward.chain.block(vec![]);
    let in_time = ward.read_under(&put);
    ward.chain.wait_until(QUARTER);
    ward.chain.block(vec![]);
    let too_late = ward.read_under(&put);
    assert_eq!(ward.verdict(in_time), (Consistent, vec![]));
    assert_eq!(ward.verdict(too_late), (Contradicted, vec![Code::RuleExpired]));
}

fn a_consent_is_cited_from_its_own_trail_only() {
    let mut ward = Ward::new();
    let rule = ward.consent();
    let event = ward.read_under(&rule);
    let elsewhere = Event { local_id: Some(ward.own), acting: id(A), ..event.clone() };
    assert_eq!(ward.verdict_by(A, elsewhere), (Contradicted, vec![Code::UnknownRule]));
    let event = Event { event: ward.chain.random16(), cited: Some(ward.chain.random16()), ..event };
    assert_eq!(ward.verdict(event.clone()), (Contradicted, vec![Code::UnknownRule]));
    let event = Event { event: ward.chain.random16(), local_id: None, ..event };
    assert_eq!(
        ward.verdict(event),
        (Contradicted, vec![Code::UnknownRule]),
        "without a trail there is no rule"
    );
}

fn a_ground_that_needs_a_citation_has_one_and_the_others_have_none() {
    let mut ward = Ward::new();
    let plain = ward.chain.event(A, Some(ward.for_b), B);
    for (basis, cites_nothing, cites_something) in [
        (Basis::Consent, (Contradicted, vec![Code::NothingCited]), (Contradicted, vec![Code::UnknownRule])),
        (Basis::Permit, (Contradicted, vec![Code::NothingCited]), (Contradicted, vec![Code::UnknownPermit])),
        (
            Basis::Emergency,
            (Contradicted, vec![Code::NothingCited]),
            (Contradicted, vec![Code::UnknownEmergency]),
        ),
        (Basis::Law, (Consistent, vec![]), (Consistent, vec![Code::CitedInVain])),
        (Basis::Subject, (Consistent, vec![]), (Consistent, vec![Code::CitedInVain])),
        (Basis::Unknown, (Consistent, vec![]), (Consistent, vec![Code::CitedInVain])),
    ] {
        let nothing = Event { event: ward.chain.random16(), basis, ..plain.clone() };
        assert_eq!(ward.verdict(nothing), cites_nothing, "{basis}");
        let something = Event {
            event: ward.chain.random16(),
            basis,
            cited: Some(ward.chain.random16()),
            ..plain.clone()
        };
        assert_eq!(ward.verdict(something), cites_something, "{basis}");
    }
}

fn what_was_decided_longer_ago_than_the_lag_is_late_and_never_clean() {
    let mut ward = Ward::new();
    let rule = ward.consent();
    let on_time = ward.read_under(&rule);
    let decided = ward.chain.next_time().0 - ward.chain.pace_ms;
    let late = Event { event: ward.chain.random16(), late: Late::Spooled, ..on_time.clone() };
    ward.chain.wait_until(TimeMs(decided + HOUR));
    assert_eq!(ward.verdict(on_time), (Consistent, vec![]));
    assert_eq!(ward.verdict(late), (NotEvaluated, vec![Code::Late]));
}

fn a_late_statement_is_not_judged_by_what_happened_since() {
    let mut ward = Ward::new();
    let rule = ward.consent();
    let spooled = Event { late: Late::Spooled, ..ward.read_under(&rule) };
    ward.end(&rule);
    ward.chain.act(A, vec![close(ward.for_b)]);
    ward.chain.wait(2 * HOUR);
    assert_eq!(ward.verdict(spooled), (NotEvaluated, vec![Code::Late]));
}

fn an_event_cannot_have_been_decided_at_a_height_that_was_not_there() {
    let mut ward = Ward::new();
    let event = ward.chain.event(A, Some(ward.for_b), B);
    let this_block = Event { at_height: ward.chain.height().next(), ..event.clone() };
    assert_eq!(ward.verdict(this_block), (Contradicted, vec![Code::FutureHeight]));
    let never = Event { event: ward.chain.random16(), at_height: Height(u64::MAX), ..event };
    assert_eq!(ward.verdict(never), (Contradicted, vec![Code::FutureHeight]));
}

fn an_event_sent_again_is_answered_and_not_recorded_twice() {
    let mut ward = Ward::new();
    let event = ward.chain.event(A, Some(ward.for_b), B);
    let item = ward.chain.item(Fields::AccessEvent(event.clone()));
    let send = |ward: &mut Ward, author: &str, items: Vec<Vec<u8>>| {
        let submission = ward.chain.draft(author, Class::Testimony, items).sign();
        ward.chain.record(submission)
    };
    let [Placed::Here(first)] = send(&mut ward, B, vec![item.clone()])[..] else { panic!() };
    let before = ward.chain.leaves().len();
    ward.chain.wait(5 * HOUR);
    assert_eq!(send(&mut ward, B, vec![item.clone()]), [Placed::Before(first)]);
    assert_eq!(ward.chain.leaves().len(), before + 1, "only the block's own record");
    // Twice in one submission, too.
    let event = ward.chain.event(A, Some(ward.for_b), B);
    let twice = ward.chain.item(Fields::AccessEvent(event));
    let placed = send(&mut ward, B, vec![twice.clone(), twice, item.clone()]);
    let [Placed::Here(one), Placed::Before(two), Placed::Before(three)] = placed[..] else {
        panic!("{placed:?}")
    };
    assert_eq!((one, three), (two, first));
    // Another author's copy is another author's statement: nobody makes another's event disappear.
    assert!(matches!(send(&mut ward, A, vec![item])[..], [Placed::Here(_)]));
}

fn another_event_under_a_used_id_is_recorded_and_contradicted() {
    let mut ward = Ward::new();
    let event = ward.chain.event(A, Some(ward.for_b), B);
    assert_eq!(ward.verdict(event.clone()), (Consistent, vec![]));
    let other = Event { basis: Basis::Subject, ..event.clone() };
    assert_eq!(ward.verdict(other), (Contradicted, vec![Code::EventReused]));
    // The id is the author's: A's event of the same id has nothing to do with it.
    assert_eq!(ward.verdict_by(A, event), (Consistent, vec![]));
}

fn gaps_and_disorder_in_a_stream_are_visible() {
    let mut ward = Ward::new();
    let numbered = |ward: &mut Ward, stream, sequence| {
        let event = ward.chain.event(A, Some(ward.for_b), B);
        ward.verdict(Event { stream, sequence, ..event })
    };
    assert_eq!(numbered(&mut ward, 1, 1), (Consistent, vec![]));
    assert_eq!(numbered(&mut ward, 1, 2), (Consistent, vec![]));
    assert_eq!(numbered(&mut ward, 1, 5), (Consistent, vec![Code::Gap]));
    assert_eq!(numbered(&mut ward, 1, 6), (Consistent, vec![]));
    assert_eq!(numbered(&mut ward, 1, 6), (Consistent, vec![Code::OutOfOrder]));
    assert_eq!(numbered(&mut ward, 1, 3), (Consistent, vec![Code::OutOfOrder]));
    assert_eq!(
        numbered(&mut ward, 1, 7),
        (Consistent, vec![]),
        "what came late does not set the stream back"
    );
    assert_eq!(numbered(&mut ward, 2, 1), (Consistent, vec![]), "streams are independent");
    assert_eq!(numbered(&mut ward, 3, 2), (Consistent, vec![Code::Gap]));
    assert_eq!(numbered(&mut ward, 4, 0), (Consistent, vec![Code::OutOfOrder]));
    assert_eq!(numbered(&mut ward, 0, 9), (Consistent, vec![]), "stream 0 is not numbered");
    assert_eq!(numbered(&mut ward, 4, u64::MAX), (Consistent, vec![Code::Gap]));
    assert_eq!(numbered(&mut ward, 4, 1), (Consistent, vec![Code::OutOfOrder]));
}

fn a_trail_that_was_never_opened_is_no_way_to_hide_an_access() {
    let mut ward = Ward::new();
    let nowhere = Digest([9; 32]);
    let event = ward.chain.event(A, Some(nowhere), A);
    assert_eq!(ward.verdict_by(A, event), (Contradicted, vec![Code::TrailNotOpen]));
    let trail = TrailName::subject(&id(A), nowhere);
    assert_eq!(ward.chain.trail_records(&trail.key()).len(), 1, "whoever derives the id finds it");
    // A stranger's statement is kept as well, but cannot grow a trail that is not its own.
    let event = ward.chain.event(A, Some(nowhere), B);
    assert_eq!(ward.verdict(event), (Contradicted, vec![Code::TrailNotOpen]));
    assert_eq!(ward.chain.trail_records(&trail.key()).len(), 1);
    // Nor the institution's: what no opened trail binds to A stands in B's own.
    assert_eq!(ward.chain.trail_records(&TrailName::institution(&id(A)).key()).len(), 3);
    assert_eq!(ward.chain.trail_records(&TrailName::institution(&id(B)).key()).len(), 1);
}

fn a_closed_trail_still_takes_statements_and_marks_them() {
    let mut ward = Ward::new();
    let open = ward.chain.event(A, Some(ward.for_b), B);
    ward.chain.act(A, vec![close(ward.for_b)]);
    assert_eq!(ward.verdict(open), (Consistent, vec![]), "decided before it was closed");
    let after = ward.chain.event(A, Some(ward.for_b), B);
    assert_eq!(ward.verdict(after), (Contradicted, vec![Code::TrailClosed]));
}

fn the_acting_organisation_is_the_one_the_trail_is_for() {
    let mut ward = Ward::new();
    let by_c = ward.chain.event(A, Some(ward.for_b), C);
    assert_eq!(ward.verdict_by(A, by_c), (Contradicted, vec![Code::ActingNotGrantee]));
    let by_staff = ward.chain.event(A, Some(ward.for_b), A);
    assert_eq!(ward.verdict_by(A, by_staff), (Contradicted, vec![Code::ActingNotGrantee]));
    // In the own trail it is the custodian: a denial looks like any access of its staff.
    let denied = ward.chain.event(A, Some(ward.own), A);
    assert_eq!(ward.verdict_by(A, denied), (Consistent, vec![]));
    let named = ward.chain.event(A, Some(ward.own), B);
    assert_eq!(ward.verdict_by(A, named), (Contradicted, vec![Code::ActingNotGrantee]));
}

fn who_writes_where() {
    let mut ward = Ward::new();
    let trails = |ward: &Ward| {
        [
            TrailName::subject(&id(A), ward.for_b),
            TrailName::institution(&id(A)),
            TrailName::institution(&id(B)),
            TrailName::institution(&id(C)),
        ]
        .map(|name| ward.chain.trail_records(&name.key()).len())
    };
    // Opening both trails is listed in A's institution trail.
    assert_eq!(trails(&ward), [1, 2, 0, 0]);
    let event = ward.chain.event(A, Some(ward.for_b), B);
    ward.verdict_by(A, event);
    assert_eq!(trails(&ward), [2, 3, 1, 0]);
    let event = ward.chain.event(A, Some(ward.for_b), B);
    ward.verdict_by(B, event);
    assert_eq!(trails(&ward), [3, 4, 2, 0]);
    // C states something about A and B: heard, contradicted, and kept out of everybody's trail but its own.
    let event = ward.chain.event(A, Some(ward.for_b), B);
    assert_eq!(ward.verdict_by(C, event), (Contradicted, vec![Code::AuthorNotParty]));
    assert_eq!(trails(&ward), [3, 4, 2, 1]);
    // Naming A as custodian, and itself as acting, with nothing that could be contradicted, does not help either.
    let event = ward.chain.event(A, None, C);
    assert_eq!(ward.verdict_by(C, event), (Consistent, vec![]));
    assert_eq!(trails(&ward), [3, 4, 2, 2]);
    // A grantee's bad news reaches the custodian; what a custodian says against a grantee stays its own word.
    ward.chain.act(A, vec![close(ward.for_b)]);
    assert_eq!(trails(&ward), [4, 4, 2, 2]);
    let closed = |ward: &mut Ward| ward.chain.event(A, Some(ward.for_b), B);
    let event = closed(&mut ward);
    assert_eq!(ward.verdict_by(B, event), (Contradicted, vec![Code::TrailClosed]));
    assert_eq!(trails(&ward), [5, 5, 3, 2]);
    let event = closed(&mut ward);
    assert_eq!(ward.verdict_by(A, event), (Contradicted, vec![Code::TrailClosed]));
    assert_eq!(trails(&ward), [6, 6, 3, 2]);
}

fn events_without_a_subject_stand_in_the_institutions_trails() {
    let mut ward = Ward::new();
    let event = ward.chain.event(A, None, B);
    let verdict = ward.chain.verdict(B, event);
    assert_eq!(said(&verdict), (Consistent, vec![]));
    assert!(!verdict.checks.contains(&Check::Trail));
}

fn around_new_year_a_trail_serves_what_was_decided_in_its_year() {
    let mut ward = Ward::begin(NEW_YEARS_EVE);
    let new_year = TimeMs(NEW_YEARS_EVE.0 + 600_000);
    ward.chain.wait_until(TimeMs(new_year.0 - 1));
    ward.chain.block(vec![]);
    let before_midnight = ward.chain.event(A, Some(ward.for_b), B);
    let spare = Event { event: ward.chain.random16(), ..before_midnight.clone() };
    ward.chain.wait_until(new_year);
    assert_eq!(ward.verdict(before_midnight), (Consistent, vec![]));
    // Decided in the old year, recorded in the new year's trail: both years fit.
    let next = ward.chain.open(A, "p", Some(B));
    ward.chain.act(A, vec![next.clone()]);
    assert_eq!(ward.verdict(Event { local_id: Some(local_id_of(&next)), ..spare }), (Consistent, vec![]));
    // Decided in the new year, in the old trail.
    let after_midnight = ward.chain.event(A, Some(ward.for_b), B);
    assert_eq!(ward.verdict(after_midnight), (Contradicted, vec![Code::OtherEpoch]));
}

fn a_suspended_author_is_heard_and_marked() {
    let mut ward = Ward::new();
    let open = ward.chain.open(A, "p", Some(CLINIC));
    ward.chain.act(A, vec![open.clone()]);
    ward.chain.agreed(vec![suspend(CLINIC)]);
    let event = ward.chain.event(A, Some(local_id_of(&open)), CLINIC);
    assert_eq!(ward.verdict_by(CLINIC, event), (Contradicted, vec![Code::AuthorSuspended]));
}

fn an_author_without_a_role_is_heard_and_marked() {
    let mut ward = Ward::new();
    let event = ward.chain.event(A, None, AUDITOR);
    assert_eq!(ward.verdict_by(AUDITOR, event), (Contradicted, vec![Code::AuthorRole]));
}

fn parties_that_are_not_registered_are_named() {
    let mut ward = Ward::new();
    let event = ward.chain.event("nobody", None, A);
    assert_eq!(ward.verdict_by(A, event), (Contradicted, vec![Code::UnknownCustodian]));
    let event = ward.chain.event(A, None, "nobody");
    assert_eq!(ward.verdict_by(A, event), (Contradicted, vec![Code::UnknownActing]));
    // As many things wrong at once as can be: still recorded, within the bounds of a record.
    let worst = Event {
        basis: Basis::Consent,
        stream: 1,
        sequence: 7,
        at_height: Height(99),
        ..ward.chain.event("nobody", Some(Digest([9; 32])), "nobody-else")
    };
    let (finding, codes) = ward.verdict_by(AUDITOR, worst);
    assert_eq!((finding, codes.len()), (Contradicted, 8), "{codes:?}");
}

fn imported_history_is_marked_and_not_judged() {
    let mut ward = Ward::new();
    let event = ward.chain.event(A, Some(ward.for_b), B);
    let imported = Event { at_height: Height(0), late: Late::ImportedHistory, ..event };
    let verdict = ward.chain.verdict(B, imported.clone());
    SEEN.with_borrow_mut(|seen| seen.extend(verdict.codes.iter().copied()));
    assert_eq!(said(&verdict), (NotEvaluated, vec![Code::Imported]));
    assert!(!verdict.checks.contains(&Check::Lag));
    // Closed since: that says nothing about what happened before this ledger.
    ward.chain.act(A, vec![close(ward.for_b)]);
    let again = Event { event: ward.chain.random16(), ..imported };
    assert_eq!(ward.verdict(again), (NotEvaluated, vec![Code::Imported]));
}

fn a_compromised_key_is_silent_so_no_verdict_marks_it() {
    // `key-compromised` is reserved: a key is marked when it is revoked, and a revoked key is refused. What it
    // signed before is marked by its entry, which every receipt carries (see acts.rs).
    let mut ward = Ward::new();
    let second = key("second");
    let add = ward.chain.add_key(B, &second, KeyPurpose::Sign);
    ward.chain.act(B, vec![add]);
    let now = ward.chain.next_time();
    ward.chain.act(B, vec![revoke(&second, Some(TimeMs(now.0 - HOUR)))]);
    let event = ward.chain.event(A, Some(ward.for_b), B);
    let item = ward.chain.item(Fields::AccessEvent(event));
    let mut letter = ward.chain.draft(B, Class::Testimony, vec![item]);
    letter.key = second;
    assert_eq!(ward.chain.refusal(&letter.sign()).0, RefusalCode::RevokedKey);
}

macro_rules! stories {
    ($($story:ident,)*) => {
        mod stories {
            $( #[test] fn $story() { super::$story() } )*
        }

        /// Every code that an access can have is found in some story. Those of emergencies, permits, transfers and
        /// life cycles (24 and above) have theirs in `life.rs`.
        #[test]
        fn every_code_has_a_story() {
            $( $story(); )*
            let seen = SEEN.take();
            let missing: Vec<_> = Code::ALL
                .iter()
                .filter(|code| **code < Code::Overdue && !seen.contains(code))
                .collect();
            assert!(missing.is_empty(), "no story finds {missing:?}");
        }
    };
}

stories! {
    a_read_under_a_consent_in_force_is_consistent,
    served_under_a_consent_and_revoked_before_it_was_recorded_is_no_offence,
    a_revoked_consent_cited_afterwards_is_contradicted,
    a_consent_written_later_launders_nothing,
    a_consent_that_had_expired_when_it_was_used_is_contradicted,
    a_consent_is_cited_from_its_own_trail_only,
    a_ground_that_needs_a_citation_has_one_and_the_others_have_none,
    what_was_decided_longer_ago_than_the_lag_is_late_and_never_clean,
    a_late_statement_is_not_judged_by_what_happened_since,
    an_event_cannot_have_been_decided_at_a_height_that_was_not_there,
    an_event_sent_again_is_answered_and_not_recorded_twice,
    another_event_under_a_used_id_is_recorded_and_contradicted,
    gaps_and_disorder_in_a_stream_are_visible,
    a_trail_that_was_never_opened_is_no_way_to_hide_an_access,
    a_closed_trail_still_takes_statements_and_marks_them,
    the_acting_organisation_is_the_one_the_trail_is_for,
    who_writes_where,
    events_without_a_subject_stand_in_the_institutions_trails,
    around_new_year_a_trail_serves_what_was_decided_in_its_year,
    a_suspended_author_is_heard_and_marked,
    an_author_without_a_role_is_heard_and_marked,
    parties_that_are_not_registered_are_named,
    imported_history_is_marked_and_not_judged,
    a_compromised_key_is_silent_so_no_verdict_marks_it,
}
