//! What is gathered from trails, as of heights: permits through their amendments, representatives through their
//! periods, rosters through their commitments. Each story is told in clear values; that the values come out of
//! verified trails is held where there are trails (`cli/tests/gathered.rs`).

#![allow(clippy::unwrap_used)]

mod support;

use custos_decide::facts::{Content, Permit, Representative, Roster};
use custos_decide::gather::{
    Commitment, Committed, PermitHistory, RosterHistory, Version, membership, representatives,
};
use custos_decide::matching::Ruler;
use custos_proof::cbor::{List, Set};
use custos_proof::hash::{Digest, ItemHash};
use custos_proof::ids::{FAR, Height, LogIndex, Random16, TimeMs};
use custos_proof::kinds::permit::{Category, Form, Override, Purpose, Terms};
use custos_proof::merkle;
use custos_proof::sealed_values::{
    Agent, Delegation, DelegationKind, Moment, Party, RosterEntry, RosterPlace, Scope, Span,
};
use support::{Scene, any_code, ask, ms, participant, party};

fn at(day: &str) -> TimeMs {
    TimeMs(ms(day))
}

// Permits -----------------------------------------------------------------------------------------

fn terms(holders: &[&str], purposes: &[Purpose], categories: &[Category], years: (u16, u16)) -> Terms {
    Terms {
        user: participant("university.example"),
        purposes: Set::new(purposes.to_vec()).unwrap(),
        categories: Set::new(categories.to_vec()).unwrap(),
        holders: Set::new(holders.iter().map(|holder| participant(holder)).collect()).unwrap(),
        environment: None,
        begins: at(&format!("{}-01-01", years.0)),
        ends: at(&format!("{}-01-01", years.1)),
        form: Form::Pseudonymised,
        over_opt_out: Override::None,
        decision: None,
    }
}

/// A permit whose versions were recorded at heights 10, 20, ... and places 100, 200, ...
fn history(versions: Vec<Terms>) -> PermitHistory {
    let version = |(number, terms): (u64, Terms)| Version {
        item: ItemHash([u8::try_from(number).unwrap(); 32]),
        position: LogIndex(number * 100),
        since: Height(number * 10),
        terms,
    };
    PermitHistory {
        id: Random16([7; 16]),
        body: participant("body.example"),
        versions: (1..).zip(versions).map(version).collect(),
        revoked: None,
        known: Height(1000),
    }
}

const A: &str = "hospital-a.example";
const B: &str = "hospital-b.example";
use Category::{Genomic, HealthRecords, MedicalRegistries};
use Purpose::{Research, Statistics};

fn story() -> PermitHistory {
    history(vec![
        terms(&[A], &[Research], &[HealthRecords], (2026, 2027)),
        terms(&[A, B], &[Research, Statistics], &[HealthRecords, Genomic], (2026, 2028)),
        terms(&[A, B], &[Research], &[HealthRecords, MedicalRegistries], (2026, 2028)),
        terms(&[B], &[Research, Statistics], &[HealthRecords, Genomic, MedicalRegistries], (2026, 2028)),
        terms(&[A, B], &[Research, Statistics], &[HealthRecords, Genomic], (2026, 2028)),
    ])
}

fn places<'a>(of: impl IntoIterator<Item = (&'a str, &'a LogIndex)>) -> Vec<(String, u64)> {
    let mut found: Vec<_> = of.into_iter().map(|(name, at)| (name.to_owned(), at.0)).collect();
    found.sort();
    found
}

fn holders(permit: &Permit) -> Vec<(String, u64)> {
    places(permit.holders.iter().map(|(id, at)| (id.as_str(), at)))
}

fn categories(permit: &Permit) -> Vec<(String, u64)> {
    places(permit.categories.iter().map(|(code, at)| (&**code, at)))
}

fn purposes(permit: &Permit) -> Vec<(String, u64)> {
    places(permit.purposes.iter().map(|(code, at)| (&**code, at)))
}

fn pairs(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected.iter().map(|(name, at)| ((*name).to_owned(), *at)).collect()
}

#[test]
fn a_permit_is_nothing_before_it_is_issued_and_its_last_terms_after() {
    let time = at("2026-06-01");
    assert_eq!(story().as_of(Height(9), time), None);
    let issued = story().as_of(Height(10), time).unwrap();
    assert_eq!(holders(&issued), pairs(&[(A, 100)]));
    assert_eq!(categories(&issued), pairs(&[("51-1-a", 100)]));
    assert_eq!(issued.until, at("2027-01-01"));
    assert_eq!(story().as_of(Height(19), time), Some(issued));
    assert_eq!(story().as_of(Height(20), time).unwrap().until, at("2028-01-01"));
}

#[test]
fn what_an_amendment_adds_counts_as_issued_with_it() {
    let time = at("2026-06-01");
    let second = story().as_of(Height(25), time).unwrap();
    assert_eq!(holders(&second), pairs(&[(A, 100), (B, 200)]));
    assert_eq!(purposes(&second), pairs(&[("53-1-c", 200), ("53-1-e", 100)]));
    assert_eq!(categories(&second), pairs(&[("51-1-a", 100), ("51-1-f", 200)]));
    // What stays has its first place; what was taken out is gone.
    let third = story().as_of(Height(30), time).unwrap();
    assert_eq!(purposes(&third), pairs(&[("53-1-e", 100)]));
    assert_eq!(categories(&third), pairs(&[("51-1-a", 100), ("51-1-l", 300)]));
    // What comes back is new: the subject may have opted out in between.
    let fourth = story().as_of(Height(40), time).unwrap();
    assert_eq!(purposes(&fourth), pairs(&[("53-1-c", 400), ("53-1-e", 100)]));
    assert_eq!(categories(&fourth), pairs(&[("51-1-a", 100), ("51-1-f", 400), ("51-1-l", 300)]));
    assert_eq!(holders(&fourth), pairs(&[(B, 200)]));
    assert_eq!(holders(&story().as_of(Height(50), time).unwrap()), pairs(&[(A, 500), (B, 200)]));
}

#[test]
fn a_longer_period_counts_as_issued_where_it_was_lengthened() {
    let since = |day: &str| story().as_of(Height(50), at(day)).unwrap().since;
    assert_eq!(since("2026-06-01"), LogIndex(100));
    assert_eq!(since("2027-06-01"), LogIndex(200));
    // An opt-out between issue and amendment: bound for the added year only.
    let decide = |day: &str| {
        let scene = Scene::default()
            .opts_out("secondary")
            .last(|rule| rule.position = LogIndex(150))
            .at(day)
            .with(|s| s.permits = vec![story().as_of(Height(30), s.time).unwrap()]);
        scene.answer(&ask("53-1-e as:data-user from:university.example permit:7 class:14-1-e"))
    };
    assert_eq!(decide("2026-06-01"), "permit: permit");
    assert_eq!(decide("2027-06-01"), "deny: secondary-opt-out");
}

#[test]
fn a_revocation_counts_from_its_height_and_an_override_as_last_stated() {
    let revoked = PermitHistory { revoked: Some(Height(60)), ..story() };
    let time = at("2026-06-01");
    assert_eq!(revoked.as_of(Height(59), time).unwrap().revoked, None);
    assert_eq!(revoked.as_of(Height(60), time).unwrap().revoked, Some(Height(60)));
    let mut overriding = story();
    overriding.versions[1].terms.over_opt_out = Override::PublicInterest;
    let overrides = |height| overriding.as_of(Height(height), time).unwrap().overrides_opt_out;
    assert_eq!([overrides(10), overrides(20), overrides(30)], [false, true, false]);
}

#[test]
fn opting_out_before_or_after_and_lifting() {
    // The permit was issued at place 100 and amended at 200: 53-1-c and hospital B came then.
    let study = "53-1-e as:data-user from:university.example permit:7 class:14-1-e";
    let added = "53-1-c as:data-user from:university.example permit:7 class:14-1-e";
    for (opted, lifted, first, second) in [
        (None, None, "permit: permit", "permit: permit"),
        (Some(50), None, "deny: secondary-opt-out", "deny: secondary-opt-out"),
        (Some(150), None, "permit: permit", "deny: secondary-opt-out"),
        (Some(250), None, "permit: permit", "permit: permit"),
        (Some(50), Some(900), "permit: permit", "permit: permit"),
        // Lifted after the height of the decision: still in force at it.
        (Some(50), Some(1001), "deny: secondary-opt-out", "deny: secondary-opt-out"),
    ] {
        let mut scene =
            Scene::default().with(|s| s.permits = vec![story().as_of(Height(20), s.time).unwrap()]);
        if let Some(place) = opted {
            scene = scene.opts_out("secondary").last(|rule| {
                rule.position = LogIndex(place);
                rule.ended = lifted.map(|height| (LogIndex(9000), Height(height)));
            });
        }
        assert_eq!(scene.answer(&ask(study)), first, "{opted:?} {lifted:?}");
        assert_eq!(scene.answer(&ask(added)), second, "{opted:?} {lifted:?}");
    }
}

// Representatives ---------------------------------------------------------------------------------

fn guardian() -> Delegation {
    Delegation {
        delegate: Some(party("RelatedPerson/mother")),
        kind: Some(DelegationKind::Guardian),
        ..Delegation::default()
    }
}

fn gathered(delegations: Vec<Delegation>) -> Scene {
    let mut scene = Scene::default();
    for delegation in delegations {
        scene.list(Content::Delegation(Box::new(delegation)));
    }
    scene
}

fn asked(mut scene: Scene) -> String {
    scene.representatives = representatives(&scene.rules, scene.height, scene.time);
    scene.answer(&ask("FAMRQT as:representative by:RelatedPerson/mother"))
}

#[test]
fn a_guardian_speaks_until_the_day_of_majority() {
    let minor = || gathered(vec![Delegation { ends_at: Moment::new("2034-05-01"), ..guardian() }]);
    assert_eq!(asked(minor()), "permit: representative");
    assert_eq!(asked(minor().at("2034-04-30T23:59:59Z")), "permit: representative");
    assert_eq!(asked(minor().at("2034-05-01T00:00:00Z")), "deny: not-a-representative");
    let scene = minor();
    let found = &representatives(&scene.rules, scene.height, scene.time)[0];
    assert_eq!((found.from, found.until), (TimeMs(0), at("2034-05-01")));
    // The answer names the rule by which they speak.
    let scene = scene.with(|s| s.representatives = representatives(&s.rules, s.height, s.time));
    let asks = ask("FAMRQT as:representative by:RelatedPerson/mother");
    assert_eq!(scene.basis(&asks), "1");
}

#[test]
fn a_period_runs_from_its_first_instant_to_its_last_in_its_zone() {
    let span = |start: &str, end: &str| {
        let period = Some(Span { start: Moment::new(start), end: Moment::new(end) });
        gathered(vec![Delegation { period, ..guardian() }])
    };
    let months = || span("2026-02", "2026-06");
    assert_eq!(asked(months().at("2026-01-31T23:59:59Z")), "deny: not-a-representative");
    assert_eq!(asked(months().at("2026-02-01T00:00:00Z")), "permit: representative");
    assert_eq!(asked(months().at("2026-06-30T23:59:59Z")), "permit: representative");
    assert_eq!(asked(months()), "deny: not-a-representative");
    let zoned = || span("2026-02-01T00:00:00+02:00", "2026-06-30T23:59:59+02:00");
    assert_eq!(asked(zoned().at("2026-01-31T22:00:00Z")), "permit: representative");
    assert_eq!(asked(zoned().at("2026-06-30T22:30:00Z")), "deny: not-a-representative");
    // Whichever is earlier.
    let both = gathered(vec![Delegation {
        period: Some(Span { start: None, end: Moment::new("2040") }),
        ends_at: Moment::new("2026-03-01"),
        ..guardian()
    }]);
    assert_eq!(asked(both), "deny: not-a-representative");
}

#[test]
fn a_delegation_ends_with_its_rule_and_names_somebody() {
    let ended =
        |height| gathered(vec![guardian()]).last(|rule| rule.ended = Some((LogIndex(900), Height(height))));
    assert_eq!(asked(ended(1000)), "deny: not-a-representative");
    assert_eq!(asked(ended(1001)), "permit: representative");
    let expired = gathered(vec![guardian()]).last(|rule| rule.expiry = at("2026-07-01"));
    assert_eq!(asked(expired), "deny: not-a-representative");
    let stranger = gathered(vec![guardian()]).last(|rule| rule.author_was_valid = false);
    assert_eq!(asked(stranger), "deny: not-a-representative");
    assert_eq!(asked(gathered(vec![Delegation::default()])), "deny: not-a-representative");
    let later = gathered(vec![guardian()]).last(|rule| rule.put = Height(1001));
    assert_eq!(asked(later), "deny: not-a-representative");
}

#[test]
fn scope_and_the_custodians_flag_come_with_the_delegation() {
    let decides = Delegation { scope: List::new(vec![Scope::Rules]).unwrap(), ..guardian() };
    assert_eq!(asked(gathered(vec![decides.clone()])), "deny: outside-delegation");
    assert_eq!(asked(gathered(vec![decides, guardian()])), "permit: representative");
    let flagged = Delegation { is_unsafe: Some(true), ..guardian() };
    assert_eq!(asked(gathered(vec![guardian(), flagged])), "deny: unsafe-representative");
    // Sealed, it may be a restriction: nothing is permitted.
    let mut sealed = gathered(vec![guardian()]);
    sealed.list(Content::Sealed);
    assert_eq!(asked(sealed), "indeterminate: unknown");
    let found = representatives(&gathered(vec![guardian()]).rules, Height(1000), at("2026-07-01"));
    let expected = Representative {
        party: party("RelatedPerson/mother"),
        from: TimeMs(0),
        until: FAR,
        scope: Vec::new(),
        categories: Vec::new(),
        granted: found[0].granted,
        is_unsafe: false,
    };
    assert_eq!(found, [expected]);
}

// Rosters -----------------------------------------------------------------------------------------

fn entry(number: u8, purposes: &[&str]) -> RosterEntry {
    RosterEntry {
        salt: Digest([number; 32]),
        person: party(&format!("Practitioner/{}", char::from(b'a' + number))),
        roles: List::default(),
        purposes: List::new(purposes.iter().map(|code| any_code(code)).collect()).unwrap(),
        groups: List::default(),
    }
}

fn root(entries: &[RosterEntry]) -> Digest {
    merkle::root_of(&entries.iter().map(RosterEntry::leaf).collect::<Vec<_>>())
}

fn committed(height: u64, period: (&str, &str), root: Digest) -> Commitment {
    Commitment {
        position: LogIndex(height * 10),
        committed: Height(height),
        from: at(period.0),
        until: at(period.1),
        root,
    }
}

fn rosters(commitments: Vec<Commitment>) -> RosterHistory {
    RosterHistory { organisation: participant(A), commitments, from_the_beginning: true, known: Height(1000) }
}

#[test]
fn the_last_roster_whose_period_contains_the_time_counts() {
    let (one, two, three) = (Digest([1; 32]), Digest([2; 32]), Digest([3; 32]));
    let history = rosters(vec![
        committed(10, ("2026-01-01", "2026-07-01"), one),
        committed(20, ("2026-07-01", "2027-01-01"), two),
        committed(30, ("2026-07-01", "2027-01-01"), three),
    ]);
    let bound = |height, day| match history.as_of(Height(height), at(day)) {
        Committed::To(commitment) => Some(commitment.root),
        Committed::Nothing => None,
        Committed::Unknown => panic!("everything is shown"),
    };
    assert_eq!(bound(9, "2026-03-01"), None);
    assert_eq!(bound(10, "2026-03-01"), Some(one));
    // Committed in advance: the present one goes on.
    assert_eq!(bound(20, "2026-06-30"), Some(one));
    assert_eq!(bound(20, "2026-07-01"), Some(two));
    assert_eq!(bound(29, "2026-08-01"), Some(two));
    assert_eq!(bound(30, "2026-08-01"), Some(three));
    assert_eq!(bound(30, "2027-01-01"), None);
}

#[test]
fn a_part_of_the_trail_says_nothing_about_what_it_does_not_show() {
    let part = RosterHistory {
        from_the_beginning: false,
        ..rosters(vec![committed(20, ("2026-01-01", "2027-01-01"), Digest([1; 32]))])
    };
    assert!(matches!(part.as_of(Height(20), at("2026-06-01")), Committed::To(_)));
    assert_eq!(part.as_of(Height(19), at("2026-06-01")), Committed::Unknown);
    assert_eq!(part.as_of(Height(20), at("2027-06-01")), Committed::Unknown);
    assert_eq!(part.as_of(Height(1001), at("2026-06-01")), Committed::Unknown);
}

#[test]
fn the_whole_list_shows_who_is_on_it_and_who_is_not() {
    let entries = [entry(0, &[]), entry(1, &["TREAT"]), entry(2, &[])];
    let to = Committed::To(committed(1, ("2026-01-01", "2027-01-01"), root(&entries)));
    let scene = Scene::default().says("permit");
    let facts = scene.facts();
    let ruler = Ruler { terminology: facts.terminology, policy: facts.policy, base: &facts.base };
    let says = |committed: &Committed, list: &[RosterEntry], who: &str| {
        committed.lists(list, &ask(&format!("TREAT by:{who}")).actor, &ruler)
    };
    let everything = Roster::Listed { purposes: Vec::new(), roles: Vec::new() };
    assert_eq!(says(&to, &entries, "Practitioner/a"), everything);
    assert_eq!(
        says(&to, &entries, "https://a.example/fhir/Practitioner/b"),
        Roster::Listed { purposes: vec![any_code("TREAT")], roles: Vec::new() }
    );
    assert_eq!(says(&to, &entries, "Practitioner/z"), Roster::NotListed);
    // A list that is not the committed one says nothing, for or against.
    assert_eq!(says(&to, &entries[..2], "Practitioner/a"), Roster::NotSeen);
    let mut forged = entries.clone();
    forged[0].person = party("Practitioner/z");
    assert_eq!(says(&to, &forged, "Practitioner/z"), Roster::NotSeen);
    assert_eq!(says(&Committed::Nothing, &[], "Practitioner/a"), Roster::NoneCommitted);
    assert_eq!(says(&Committed::Unknown, &entries, "Practitioner/a"), Roster::NotSeen);
}

#[test]
fn a_path_in_an_events_opening_shows_one_membership() {
    let entries = [entry(0, &[]), entry(1, &["TREAT"]), entry(2, &[])];
    let leaves: Vec<Digest> = entries.iter().map(RosterEntry::leaf).collect();
    let to = Committed::To(committed(1, ("2026-01-01", "2027-01-01"), root(&entries)));
    let agent = |who: Party, index: u32| Agent {
        who: Some(who),
        roster_path: List::new(merkle::path_of(&leaves, index.into()).unwrap()).unwrap(),
        roster: Some(RosterPlace { index, size: 3, entry: entries[index as usize].clone() }),
        ..Agent::default()
    };
    let good = agent(party("Practitioner/b"), 1);
    assert_eq!(membership(&good, &root(&entries)), Some(&entries[1]));
    assert_eq!(
        to.shown_by(std::slice::from_ref(&good)),
        Roster::Listed { purposes: vec![any_code("TREAT")], roles: Vec::new() }
    );
    // Another's entry, another's path, another roster.
    assert_eq!(to.shown_by(&[agent(party("Practitioner/z"), 1)]), Roster::NotListed);
    let swapped = Agent { roster_path: agent(party("Practitioner/b"), 2).roster_path, ..good.clone() };
    assert_eq!(to.shown_by(&[swapped]), Roster::NotListed);
    let other = Committed::To(committed(1, ("2026-01-01", "2027-01-01"), Digest([9; 32])));
    assert_eq!(other.shown_by(std::slice::from_ref(&good)), Roster::NotListed);
    // No claim is no lie.
    let silent = Agent { roster: None, ..good.clone() };
    assert_eq!(to.shown_by(&[silent]), Roster::NotSeen);
    assert_eq!(Committed::Nothing.shown_by(&[good]), Roster::NoneCommitted);
}
