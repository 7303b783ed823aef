//! The procedure as tables: at least five cases for every rule, written before the code was believed.

#![allow(clippy::unwrap_used)]

mod support;

use custos_decide::answer::{Obligation, ProviderAnswer, Step};
use custos_decide::facts::{Content, Permit, Representative, Roster};
use custos_decide::matching::Ruler;
use custos_decide::request::Item;
use custos_decide::terminology::Terminology;
use custos_proof::cbor::{Ascii, List};
use custos_proof::hash::{Digest, ItemHash};
use custos_proof::ids::{Height, LogIndex, Random16, TimeMs};
use custos_proof::policy::{
    Assurance, AssuranceFor, Code, Combining, ConsentBesides, Grade, GradeOf, ImplicitPolicy,
};
use custos_proof::sealed_values::{Answer as Outcome, InnerKind, Scope as DelegationScope};
use support::{ROLE_CODE, Scene, any_code, ask, concept, ms, participant, party, rule};

/// One table: each request with what the scene answers.
fn table(scene: &Scene, cases: &[(&str, &str)]) {
    for (request, expected) in cases {
        assert_eq!(scene.answer(&ask(request)), *expected, "{request}");
    }
}

fn code(text: &str) -> Code {
    Ascii::new(text).unwrap()
}

// R0 ----------------------------------------------------------------------------------------------

#[test]
fn r0_the_answer_names_policy_terminology_and_height() {
    let answer = Scene::default().says("permit for:TREAT").decide(&ask("TREAT"));
    assert_eq!(
        (answer.policy_version, answer.height, answer.time.0),
        (1, Height(1000), ms("2026-07-01T12:00:00Z"))
    );
    assert_eq!(answer.combining, Combining::DenyOverrides);
    assert_eq!(answer.terminology, Terminology::shipped().hash());
}

#[test]
fn r0_with_another_terminology_than_the_pinned_one_nothing_is_permitted() {
    let scene = Scene::default().says("permit for:TREAT").policy(|p| p.terminology = Digest([7; 32]));
    let answer = scene.decide(&ask("TREAT"));
    assert_eq!(scene.answer(&ask("TREAT")), "indeterminate: unknown");
    assert_eq!(answer.items[0].changes, [vec![Step::UseTerminology(Digest([7; 32]))]]);
}

// R1 ----------------------------------------------------------------------------------------------

#[test]
fn r1_no_consent_repairs_a_missing_standing() {
    let willing = || Scene::default().says("permit");
    table(&willing(), &[("TREAT", "permit: rule-permits")]);
    table(&willing().with(|s| s.eligibility.key_is_valid = false), &[("TREAT", "deny: not-eligible: key")]);
    table(
        &willing().with(|s| s.eligibility.participant_is_active = false),
        &[("TREAT", "deny: not-eligible: participant")],
    );
    table(
        &willing().with(|s| s.eligibility.roster = Roster::NotListed),
        &[("TREAT", "deny: not-eligible: roster"), ("TREAT as:staff", "deny: not-eligible: roster")],
    );
    // The subject is on no roster.
    table(
        &willing().with(|s| s.eligibility.roster = Roster::NotListed),
        &[("PATRQT as:subject", "permit: subject")],
    );
}

#[test]
fn r1_a_roster_entry_is_for_its_purposes() {
    let scene = Scene::default().says("permit").with(|s| {
        s.eligibility.roster = Roster::Listed { purposes: vec![any_code("TREAT")], roles: Vec::new() }
    });
    table(
        &scene,
        &[
            ("TREAT", "permit: rule-permits"),
            ("COC", "permit: rule-permits"),
            ("CLINTRL", "permit: rule-permits"),
            ("HPAYMT", "deny: not-eligible: roster"),
            ("HRESCH", "deny: not-eligible: roster"),
        ],
    );
}

#[test]
fn r1_a_roster_entry_is_for_its_roles() {
    let scene = Scene::default().says("permit").with(|s| {
        s.eligibility.roster =
            Roster::Listed { purposes: Vec::new(), roles: vec![concept(ROLE_CODE, "NURSE")] };
    });
    table(
        &scene,
        &[
            ("TREAT", "permit: rule-permits"),
            ("TREAT role:NURSE", "permit: rule-permits"),
            ("TREAT role:PHYS", "deny: not-eligible: roster"),
            ("TREAT role:PHYS,NURSE", "permit: rule-permits"),
            ("BTG role:PHYS attested", "permit: rule-permits"),
        ],
    );
    // How somebody takes part is of another system, and no claim to be something.
    let mut request = ask("TREAT");
    request.actor.roles = vec![concept("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP")];
    assert_eq!(scene.answer(&request), "permit: rule-permits");
}

#[test]
fn r1_a_roster_that_is_not_at_hand_is_no_reason_to_refuse_and_the_answer_says_so() {
    let scene = Scene::default().says("permit").with(|s| s.eligibility.roster = Roster::NotSeen);
    table(&scene, &[("TREAT", "permit: rule-permits"), ("TREAT as:staff", "permit: rule-permits")]);
    assert_eq!(scene.decide(&ask("TREAT")).obligations, [Obligation::RosterNotSeen]);
    // It opens nothing.
    table(
        &Scene::default().with(|s| s.eligibility.roster = Roster::NotSeen),
        &[("TREAT", "deny: implicit-deny")],
    );
}

#[test]
fn r1_in_an_emergency_the_custodian_vouches_for_the_locum_and_the_review_says_so() {
    let scene = Scene::default().with(|s| s.eligibility.roster = Roster::NotListed);
    table(
        &scene,
        &[
            ("BTG emergency", "deny: not-eligible: roster"),
            ("BTG attested", "permit: emergency"),
            ("TREAT attested", "deny: not-eligible: roster"),
        ],
    );
    assert!(scene.decide(&ask("BTG attested")).obligations.contains(&Obligation::UnlistedPractitioner));
    // A key that is not valid is another matter: nobody knows who asks.
    table(
        &scene.with(|s| s.eligibility.key_is_valid = false),
        &[("BTG attested", "deny: not-eligible: key")],
    );
}

#[test]
fn r1_an_organisation_without_a_roster_is_held_to_none_and_the_answer_says_so() {
    let scene = Scene::default().says("permit").with(|s| s.eligibility.roster = Roster::NoneCommitted);
    table(&scene, &[("TREAT", "permit: rule-permits")]);
    assert_eq!(scene.decide(&ask("TREAT")).obligations, [Obligation::NoRoster]);
}

// R2 ----------------------------------------------------------------------------------------------

#[test]
fn r2_a_prohibited_purpose_is_never_served() {
    let scene = Scene::default()
        .says("permit for:54-c")
        .says("permit")
        .policy(|p| p.implicit = ImplicitPolicy::AllNormal);
    table(
        &scene,
        &[
            ("54-a", "deny: prohibited-purpose"),
            ("54-b", "deny: prohibited-purpose"),
            ("54-c", "deny: prohibited-purpose"),
            ("54-d emergency", "deny: prohibited-purpose"),
            ("54-e as:subject", "deny: prohibited-purpose"),
            ("54-a permit:7", "deny: prohibited-purpose"),
            ("HMARKT", "permit: rule-permits"),
        ],
    );
    // A policy may prohibit more, with everything below.
    let scene = scene.policy(|p| {
        p.prohibited = custos_proof::cbor::Set::new(vec![code("HMARKT"), code("ETREAT")]).unwrap()
    });
    table(
        &scene,
        &[
            ("HMARKT", "deny: prohibited-purpose"),
            ("BTG emergency", "deny: prohibited-purpose"),
            ("54-a", "permit: rule-permits"),
        ],
    );
}

// R3 ----------------------------------------------------------------------------------------------

fn mother() -> Representative {
    Representative {
        party: party("RelatedPerson/mother"),
        from: TimeMs(ms("2020-01-01")),
        until: TimeMs(ms("2027-01-01")),
        scope: Vec::new(),
        categories: Vec::new(),
        granted: None,
        is_unsafe: false,
    }
}

#[test]
fn r3_the_subject_sees_everything_but_suspended_views() {
    let mut scene = Scene::default().says("deny");
    scene.put(InnerKind::ViewSuspend, rule("deny instance:Observation/2 valid:2026-06..2026-08"));
    table(
        &scene,
        &[
            ("PATRQT as:subject", "permit: subject"),
            ("PATRQT as:subject label:V,PSY", "permit: subject"),
            ("PATRQT as:subject item:Observation/2", "deny: view-suspended"),
            ("PATRQT as:subject do:export", "permit: subject"),
        ],
    );
    table(&scene.at("2026-09-01"), &[("PATRQT as:subject item:Observation/2", "permit: subject")]);
}

#[test]
fn r3_a_representative_acts_within_scope_and_period() {
    let scene = |who: Representative| Scene::default().with(|s| s.representatives = vec![who]);
    let asks = "FAMRQT as:representative by:RelatedPerson/mother";
    table(&scene(mother()), &[(asks, "permit: representative")]);
    table(
        &scene(mother()),
        &[("FAMRQT as:representative by:RelatedPerson/uncle", "deny: not-a-representative")],
    );
    table(&scene(mother()).at("2027-01-01"), &[(asks, "deny: not-a-representative")]);
    table(&scene(mother()).at("2019-12-31"), &[(asks, "deny: not-a-representative")]);
    let flagged = scene(Representative { is_unsafe: true, ..mother() });
    table(&flagged, &[(asks, "deny: unsafe-representative")]);
    assert_eq!(flagged.decide(&ask(asks)).items[0].changes, [vec![Step::ClearFlag]]);
    let labs = Representative { categories: vec![any_code("14-1-e")], ..mother() };
    table(
        &scene(labs),
        &[
            ("FAMRQT as:representative by:RelatedPerson/mother class:14-1-e", "permit: representative"),
            ("FAMRQT as:representative by:RelatedPerson/mother class:14-1-d", "deny: outside-delegation"),
        ],
    );
}

#[test]
fn r3_a_scope_is_for_seeing_correcting_or_deciding() {
    let scene = |scope: &[DelegationScope]| {
        Scene::default()
            .with(|s| s.representatives = vec![Representative { scope: scope.to_vec(), ..mother() }])
    };
    let reads = "FAMRQT as:representative by:RelatedPerson/mother";
    let writes = "FAMRQT as:representative by:RelatedPerson/mother do:update";
    use DelegationScope::{Read, Rules, Write};
    table(&scene(&[]), &[(reads, "permit: representative"), (writes, "permit: representative")]);
    table(&scene(&[Read]), &[(reads, "permit: representative"), (writes, "deny: outside-delegation")]);
    table(&scene(&[Write]), &[(reads, "deny: outside-delegation"), (writes, "permit: representative")]);
    table(&scene(&[Rules]), &[(reads, "deny: outside-delegation"), (writes, "deny: outside-delegation")]);
    table(&scene(&[Read, Write]), &[(reads, "permit: representative"), (writes, "permit: representative")]);
    // A second delegation of the same person may be for more.
    let two = scene(&[Rules]).with(|s| s.representatives.push(mother()));
    table(&two, &[(reads, "permit: representative")]);
    // One that is flagged closes what another would open.
    let flagged = two.with(|s| s.representatives[0].is_unsafe = true);
    table(&flagged, &[(reads, "deny: unsafe-representative")]);
}

#[test]
fn r3_rules_that_name_representatives_are_heard_first() {
    let scene = Scene::default()
        .says("deny label:SEX to:RelatedPerson/mother")
        .says("deny role:GUARD label:PSY")
        .says("permit for:TREAT / deny label:HIV to:RelatedPerson/mother")
        .says("deny")
        .with(|s| s.representatives = vec![mother()]);
    table(
        &scene,
        &[
            ("TREAT as:representative by:RelatedPerson/mother", "permit: representative"),
            ("TREAT as:representative by:RelatedPerson/mother label:SEX", "deny: rule-denies"),
            ("TREAT as:representative by:RelatedPerson/mother label:PSY role:GUARD", "deny: rule-denies"),
            ("TREAT as:representative by:RelatedPerson/mother label:PSY role:PRN", "permit: representative"),
            ("TREAT as:representative by:RelatedPerson/mother label:HIV", "deny: rule-denies"),
            // A representative is no clinician: an emergency of theirs overrides nothing.
            ("BTG as:representative by:RelatedPerson/mother label:SEX emergency", "deny: rule-denies"),
        ],
    );
}

// R4 ----------------------------------------------------------------------------------------------

/// Permit 7: research (53-1-e) by university.example on laboratory and registry data at hospital A; issued at
/// log index 1000, registry data added at 2000.
fn permit() -> Permit {
    Permit {
        id: Random16([7; 16]),
        item: ItemHash([7; 32]),
        user: participant("university.example"),
        environment: Some(participant("enclave.example")),
        holders: vec![(participant("hospital-a.example"), LogIndex(1000))],
        purposes: vec![(code("53-1-e"), LogIndex(1000))],
        categories: vec![(code("51-1-a"), LogIndex(1000)), (code("51-1-l"), LogIndex(2000))],
        from: TimeMs(ms("2026-01-01")),
        until: TimeMs(ms("2027-01-01")),
        since: LogIndex(1000),
        revoked: None,
        overrides_opt_out: false,
    }
}

const STUDY: &str = "53-1-e as:data-user from:university.example permit:7 class:14-1-e";

fn study(change: impl FnOnce(&mut Permit)) -> Scene {
    let mut permit = permit();
    change(&mut permit);
    Scene::default().with(|s| s.permits = vec![permit])
}

#[test]
fn r4_secondary_use_needs_a_permit_for_holder_user_purpose_and_category() {
    table(
        &study(|_| {}),
        &[
            (STUDY, "permit: permit"),
            ("53-1-e as:data-user from:university.example class:14-1-e", "deny: no-permit"),
            ("53-1-e as:data-user from:university.example permit:8 class:14-1-e", "deny: no-permit"),
            ("53-1-e as:data-user from:pharma.example permit:7 class:14-1-e", "deny: permit-of-other"),
            ("53-1-c as:data-user from:university.example permit:7 class:14-1-e", "deny: permit-of-other"),
            ("53-1-e as:data-user from:university.example permit:7 class:51-1-f", "deny: outside-permit"),
            ("53-1-e as:data-user from:university.example permit:7", "deny: outside-permit"),
            ("53-1-e as:data-user from:university.example permit:7 class:14-1-e emergency", "permit: permit"),
        ],
    );
    table(
        &study(|p| p.holders[0].0 = participant("hospital-b.example")),
        &[(STUDY, "deny: permit-of-other")],
    );
    // Who operates the secure environment acts there for the user.
    table(
        &study(|_| {}),
        &[("53-1-e as:data-user from:enclave.example permit:7 class:14-1-e", "permit: permit")],
    );
    table(&study(|p| p.revoked = Some(Height(999))), &[(STUDY, "deny: permit-not-in-force")]);
    table(&study(|p| p.revoked = Some(Height(1001))), &[(STUDY, "permit: permit")]);
    table(&study(|_| {}).at("2027-01-01"), &[(STUDY, "deny: permit-not-in-force")]);
}

#[test]
fn r4_an_opt_out_binds_permits_issued_after_it_until_it_is_lifted() {
    let registry = "53-1-e as:data-user from:university.example permit:7 class:51-1-l";
    let opted = |at: u64| study(|_| {}).opts_out("secondary").last(|rule| rule.position = LogIndex(at));
    table(&opted(500), &[(STUDY, "deny: secondary-opt-out"), (registry, "deny: secondary-opt-out")]);
    // Later than the permit, earlier than what the amendment adds.
    table(&opted(1500), &[(STUDY, "permit: permit"), (registry, "deny: secondary-opt-out")]);
    table(&opted(2500), &[(STUDY, "permit: permit"), (registry, "permit: permit")]);
    // What an amendment adds counts as issued with it: a holder, a purpose, a longer period.
    let amended = |change: fn(&mut Permit)| {
        study(change).opts_out("secondary").last(|rule| rule.position = LogIndex(1500))
    };
    table(&amended(|p| p.holders[0].1 = LogIndex(2000)), &[(STUDY, "deny: secondary-opt-out")]);
    table(&amended(|p| p.purposes[0].1 = LogIndex(2000)), &[(STUDY, "deny: secondary-opt-out")]);
    table(&amended(|p| p.since = LogIndex(2000)), &[(STUDY, "deny: secondary-opt-out")]);
    table(&amended(|p| p.purposes.push((code("53-1-c"), LogIndex(2000)))), &[(STUDY, "permit: permit")]);
    // Opted out, permit issued, opt-out lifted: not denied for ever.
    let lifted = opted(500).last(|rule| rule.ended = Some((LogIndex(3000), Height(900))));
    table(&lifted, &[(STUDY, "permit: permit")]);
    let overriding =
        study(|p| p.overrides_opt_out = true).opts_out("secondary").last(|r| r.position = LogIndex(500));
    table(&overriding, &[(STUDY, "permit: permit")]);
    // An opt-out of primary use is another thing.
    table(&study(|_| {}).opts_out("primary"), &[(STUDY, "permit: permit")]);
}

#[test]
fn r4_where_the_law_demands_it_consent_comes_besides_the_permit() {
    let genetic = |scene: Scene| {
        scene.policy(|p| {
            p.consent_besides = List::new(vec![ConsentBesides {
                jurisdiction: Ascii::new("DE").unwrap(),
                category: code("51-1-f"),
            }])
            .unwrap();
            p.implicit = ImplicitPolicy::AllNormal;
        })
    };
    let genome = "53-1-e as:data-user from:university.example permit:7 class:51-1-f";
    let with_genomes = || study(|p| p.categories.push((code("51-1-f"), LogIndex(1000))));
    // The implicit policy is no consent.
    table(&genetic(with_genomes()), &[(genome, "deny: implicit-deny"), (STUDY, "permit: permit")]);
    table(&genetic(with_genomes().says("permit for:53-1-e")), &[(genome, "permit: rule-permits")]);
    table(
        &genetic(with_genomes().says("deny for:53-1-e")),
        &[(genome, "deny: rule-denies"), (STUDY, "permit: permit")],
    );
    table(&genetic(with_genomes()).with(|s| s.jurisdiction = "FR"), &[(genome, "permit: permit")]);
    table(&with_genomes(), &[(genome, "permit: permit")]);
}

#[test]
fn r4_research_on_consent_alone_goes_on_to_the_rules() {
    table(
        &Scene::default().says("permit for:HRESCH").opts_out("secondary"),
        &[("HRESCH as:data-user", "permit: rule-permits"), ("CLINTRCH as:data-user", "permit: rule-permits")],
    );
    table(&Scene::default(), &[("HRESCH as:data-user", "deny: implicit-deny")]);
}

// R5 ----------------------------------------------------------------------------------------------

#[test]
fn r5_an_opt_out_of_primary_use_leaves_the_data_to_where_it_comes_from() {
    let scene = Scene::default().says("permit").opts_out("primary");
    table(
        &scene,
        &[
            ("TREAT origin:hospital-a.example", "permit: rule-permits"),
            ("TREAT origin:hospital-b.example", "deny: primary-opt-out"),
            ("TREAT", "deny: primary-opt-out"),
            ("TREAT from:hospital-b.example origin:hospital-a.example", "deny: primary-opt-out"),
            ("TREAT from:hospital-b.example origin:hospital-b.example", "permit: rule-permits"),
            ("PATRQT as:subject origin:hospital-b.example", "permit: subject"),
            ("BTG emergency origin:hospital-b.example", "permit: emergency"),
        ],
    );
    // Lifted.
    table(
        &Scene::default()
            .says("permit")
            .opts_out("primary")
            .last(|r| r.ended = Some((LogIndex(900), Height(900)))),
        &[("TREAT", "permit: rule-permits")],
    );
}

#[test]
fn r5_an_absolute_opt_out_is_opened_by_no_emergency() {
    let scene = Scene::default().opts_out("primary-absolute");
    table(
        &scene,
        &[
            ("BTG emergency", "deny: primary-opt-out"),
            ("BTG emergency origin:hospital-b.example", "deny: primary-opt-out"),
            ("BTG emergency origin:hospital-a.example", "permit: emergency"),
            ("TREAT", "deny: primary-opt-out"),
            ("PATRQT as:subject", "permit: subject"),
        ],
    );
    let nobody_declares = |answer: custos_decide::answer::Answer| {
        !answer.items[0].changes.iter().flatten().any(|step| *step == Step::DeclareEmergency)
    };
    assert!(nobody_declares(scene.decide(&ask("TREAT"))));
    // Both in force: the absolute one counts.
    table(
        &Scene::default().opts_out("primary").opts_out("primary-absolute"),
        &[("BTG emergency", "deny: primary-opt-out")],
    );
}

// R6 ----------------------------------------------------------------------------------------------

#[test]
fn r6_rules_count_while_they_are_in_force() {
    let permits = || Scene::default().says("permit for:TREAT");
    let none = "deny: implicit-deny";
    table(&permits().last(|r| r.put = Height(1000)), &[("TREAT", "permit: rule-permits")]);
    table(&permits().last(|r| r.put = Height(1001)), &[("TREAT", none)]);
    table(&permits().last(|r| r.ended = Some((LogIndex(1), Height(1000)))), &[("TREAT", none)]);
    table(
        &permits().last(|r| r.ended = Some((LogIndex(1), Height(1001)))),
        &[("TREAT", "permit: rule-permits")],
    );
    table(&permits().last(|r| r.expiry = TimeMs(ms("2026-07-01"))), &[("TREAT", none)]);
    table(&permits().last(|r| r.expiry = TimeMs(ms("2026-10-01"))), &[("TREAT", "permit: rule-permits")]);
    table(&permits().last(|r| r.author_was_valid = false), &[("TREAT", none)]);
}

#[test]
fn r6_partial_dates_run_from_their_first_instant_to_their_last_in_their_zone() {
    for (period, at, expected) in [
        ("2022..2022", "2022-01-01T00:00:00.000Z", "permit: rule-permits"),
        ("2022..2022", "2022-12-31T23:59:59.999Z", "permit: rule-permits"),
        ("2022..2022", "2023-01-01T00:00:00.000Z", "deny: implicit-deny"),
        ("2022..2022", "2021-12-31T23:59:59.999Z", "deny: implicit-deny"),
        ("2022-02..2022-02", "2022-02-28T23:59:59Z", "permit: rule-permits"),
        ("2022-06-13..2022-06-13", "2022-06-13T12:00:00Z", "permit: rule-permits"),
        (
            "2022-06-13T00:00:00+02:00..2022-06-13T23:59:59+02:00",
            "2022-06-12T22:00:00Z",
            "permit: rule-permits",
        ),
        (
            "2022-06-13T00:00:00+02:00..2022-06-13T23:59:59+02:00",
            "2022-06-13T22:00:00Z",
            "deny: implicit-deny",
        ),
        ("..2022-06", "1970-01-01T00:00:00Z", "permit: rule-permits"),
        ("2022-06..", "2099-01-01T00:00:00Z", "permit: rule-permits"),
    ] {
        let scene = Scene::default().says(&format!("permit for:TREAT valid:{period}")).at(at);
        assert_eq!(scene.answer(&ask("TREAT")), expected, "{period} at {at}");
    }
}

#[test]
fn r6_the_policy_may_demand_a_surer_permission_and_never_a_surer_denial() {
    let demanding = |assurance: Assurance, text: &str| {
        Scene::default().says(text).last(|r| r.assurance = assurance).policy(|p| {
            p.assurance = List::new(vec![AssuranceFor {
                purpose: code("HRESCH"),
                assurance: Assurance::SubjectSigned,
            }])
            .unwrap();
            p.implicit = ImplicitPolicy::AllNormal;
        })
    };
    use Assurance::{AgentSigned, CustodianAttested, SubjectSigned};
    table(&demanding(SubjectSigned, "permit for:HRESCH"), &[("HRESCH", "permit: rule-permits")]);
    table(
        &demanding(AgentSigned, "permit for:HRESCH"),
        &[("HRESCH", "permit: implicit-permit"), ("HRESCH label:R", "deny: implicit-deny")],
    );
    table(&demanding(CustodianAttested, "permit for:HRESCH"), &[("CLINTRCH label:R", "deny: implicit-deny")]);
    table(&demanding(CustodianAttested, "permit for:TREAT"), &[("TREAT label:R", "permit: rule-permits")]);
    table(&demanding(CustodianAttested, "deny for:HRESCH"), &[("HRESCH", "deny: rule-denies")]);
    let answer = demanding(CustodianAttested, "permit for:HRESCH").decide(&ask("HRESCH label:R"));
    assert!(
        answer.items[0]
            .changes
            .iter()
            .flatten()
            .any(|step| matches!(step, Step::RaiseAssurance(_, SubjectSigned)))
    );
    let answer = demanding(SubjectSigned, "permit for:HRESCH").decide(&ask("HRESCH"));
    assert_eq!(answer.items[0].assurance, Some(SubjectSigned));
}

#[test]
fn r6_a_refusal_permits_nothing_and_keeps_the_implicit_policy_from_permitting() {
    let mut scene = Scene::default().policy(|p| p.implicit = ImplicitPolicy::AllNormal);
    scene.put(InnerKind::Refuse, rule("permit for:HRESCH"));
    table(&scene, &[("HRESCH", "deny: uncovered"), ("TREAT", "permit: implicit-permit")]);
    // Asked again, the subject agreed.
    table(&scene.says("permit for:HRESCH"), &[("HRESCH", "permit: rule-permits")]);
}

// R7 ----------------------------------------------------------------------------------------------

#[test]
fn r7_elements_are_joined_by_and_their_members_by_or() {
    let scene = Scene::default()
        .says("permit for:TREAT,HPAYMT to:Practitioner/a,Practitioner/b do:access label:N class:14-1-e");
    table(
        &scene,
        &[
            ("TREAT class:14-1-e", "permit: rule-permits"),
            ("HPAYMT class:14-1-e", "permit: rule-permits"),
            ("TREAT class:14-1-e by:Practitioner/b", "permit: rule-permits"),
            ("TREAT class:14-1-e do:query", "permit: rule-permits"),
            ("HRESCH class:14-1-e", "deny: implicit-deny"),
            ("TREAT class:14-1-e by:Practitioner/c", "deny: implicit-deny"),
            ("TREAT class:14-1-e do:export", "deny: implicit-deny"),
            ("TREAT class:14-1-d", "deny: uncovered"),
            ("TREAT class:14-1-e label:R", "deny: uncovered"),
        ],
    );
}

#[test]
fn r7_an_actor_matches_any_member_of_the_actor_set() {
    let scene =
        Scene::default().says("permit to:Organization/a").says("permit to:https://a.example/fhir/Group/er");
    table(
        &scene,
        &[
            ("TREAT by:Practitioner/x,Organization/a", "permit: rule-permits"),
            ("TREAT by:Practitioner/x,https://a.example/fhir/Organization/a", "permit: rule-permits"),
            ("TREAT by:Practitioner/x,Organization/a/_history/3", "permit: rule-permits"),
            ("TREAT by:Practitioner/x,Group/er", "permit: rule-permits"),
            ("TREAT by:Practitioner/x,https://b.example/fhir/Organization/a", "deny: implicit-deny"),
            ("TREAT by:Practitioner/x", "deny: implicit-deny"),
        ],
    );
}

#[test]
fn r7_a_permission_for_treatment_does_not_reach_trials_and_a_denial_does() {
    table(
        &Scene::default().says("permit for:TREAT,HOPERAT"),
        &[
            ("TREAT", "permit: rule-permits"),
            ("ETREAT", "permit: rule-permits"),
            ("BTG", "permit: rule-permits"),
            ("HQUALIMP", "permit: rule-permits"),
            ("CLINTRL", "deny: implicit-deny"),
            ("POPHLTH", "deny: implicit-deny"),
            ("HLEGAL", "deny: implicit-deny"),
            ("FRAUD", "deny: implicit-deny"),
            ("MILCDM", "deny: implicit-deny"),
            ("DONAT", "deny: implicit-deny"),
            ("GOV", "deny: implicit-deny"),
            ("SYSDEV", "deny: implicit-deny"),
            ("HTEST", "deny: implicit-deny"),
        ],
    );
    table(
        &Scene::default().says("permit for:TREAT,CLINTRL"),
        &[("CLINTRL", "permit: rule-permits"), ("POPHLTH", "deny: implicit-deny")],
    );
    table(
        &Scene::default().says("permit").says("deny for:TREAT"),
        &[("CLINTRL", "deny: rule-denies"), ("BTG", "deny: rule-denies"), ("HLEGAL", "permit: rule-permits")],
    );
    // Named in a nested rule, inside the root's purpose by the full closure.
    table(
        &Scene::default().says("deny for:TREAT / permit for:CLINTRL"),
        &[
            ("CLINTRL", "permit: rule-permits"),
            ("TREAT", "deny: rule-denies"),
            ("POPHLTH", "deny: rule-denies"),
        ],
    );
}

#[test]
fn r7_a_nested_rule_inherits_actor_purpose_and_period() {
    let scene = Scene::default().says("permit for:TREAT to:Organization/a valid:2026..2026 / deny label:PSY");
    table(
        &scene,
        &[
            ("TREAT", "permit: rule-permits"),
            ("TREAT label:PSY", "deny: rule-denies"),
            ("HPAYMT label:PSY", "deny: implicit-deny"),
            ("TREAT label:PSY by:Organization/b", "deny: implicit-deny"),
            // A denial inherits TREAT with its full closure.
            ("CLINTRL label:PSY", "deny: rule-denies"),
        ],
    );
    table(&scene.at("2027-01-01"), &[("TREAT label:PSY", "deny: implicit-deny")]);
}

#[test]
fn r7_rules_that_cannot_be_decided_are_not_guessed() {
    for undecidable in [
        "permit for:TREAT / permit for:HRESCH",
        "permit valid:2026..2026 / deny valid:2025..2026",
        "permit do:frobnicate",
        "permit valid:2026..2025",
        "opposite for:TREAT",
    ] {
        let mut scene = Scene::default().says("permit");
        scene.put(InnerKind::Grant, rule(undecidable));
        assert_eq!(scene.answer(&ask("TREAT")), "indeterminate: unknown", "{undecidable}");
    }
}

// R8 ----------------------------------------------------------------------------------------------

#[test]
fn r8_permissions_reach_down_and_denials_up_the_grades() {
    for (rule, below, at, above) in [
        ("permit label:N", "permit: rule-permits", "permit: rule-permits", "deny: uncovered"),
        ("deny label:N", "deny: implicit-deny", "deny: rule-denies", "deny: rule-denies"),
    ] {
        let scene = Scene::default().says(rule);
        for (labels, expected) in
            [("U", below), ("L", below), ("M", below), ("N", at), ("R", above), ("V", above)]
        {
            assert_eq!(
                scene.answer(&ask(&format!("TREAT label:{labels}"))),
                expected,
                "{rule}, data {labels}"
            );
        }
    }
}

#[test]
fn r8_a_sensitivity_covers_itself_and_what_is_narrower() {
    table(
        &Scene::default().says("permit label:SUD"),
        &[
            ("TREAT label:SUD", "permit: rule-permits"),
            ("TREAT label:ETHUD", "permit: rule-permits"),
            ("TREAT label:OPIOIDUD", "permit: rule-permits"),
            ("TREAT label:SPI", "deny: uncovered"),
            ("TREAT label:PSY", "deny: uncovered"),
            ("TREAT", "deny: uncovered"),
        ],
    );
}

#[test]
fn r8_unlabelled_data_takes_the_floor_and_protected_data_is_restricted() {
    let scene = Scene::default().says("permit label:N");
    table(
        &scene,
        &[
            ("TREAT", "permit: rule-permits"),
            ("TREAT label:PSY", "deny: uncovered"),
            ("TREAT label:ETHUD", "deny: uncovered"),
            ("TREAT label:HIV", "deny: uncovered"),
            ("TREAT label:SDV", "deny: uncovered"),
            ("TREAT label:SEX", "deny: uncovered"),
            ("TREAT label:GDIS", "deny: uncovered"),
            ("TREAT label:N,HIV", "deny: uncovered"),
            ("TREAT label:DIA", "permit: rule-permits"),
        ],
    );
    let stricter = scene.policy(|p| {
        p.floor = Grade::Restricted;
        p.category_grades =
            List::new(vec![GradeOf { code: code("51-1-f"), grade: Grade::VeryRestricted }]).unwrap();
    });
    table(
        &stricter,
        &[
            ("TREAT", "deny: uncovered"),
            ("TREAT label:N", "permit: rule-permits"),
            ("TREAT label:N class:51-1-f", "deny: uncovered"),
        ],
    );
}

#[test]
fn r8_what_is_not_known_of_data_is_reached_by_denials_only() {
    let both = |data: &str| Scene::default().says("permit").says(&format!("deny {data}"));
    table(
        &both("dated:2022..2022"),
        &[
            ("TREAT dated:2022-05", "deny: rule-denies"),
            ("TREAT dated:2023", "permit: rule-permits"),
            ("TREAT dated:unknown", "deny: rule-denies"),
        ],
    );
    table(
        &both("authoredby:Practitioner/x"),
        &[("TREAT author:Practitioner/x", "deny: rule-denies"), ("TREAT nobody", "deny: rule-denies")],
    );
    table(
        &both("dependents:Encounter/1"),
        &[
            ("TREAT related:Encounter/1", "deny: rule-denies"),
            ("TREAT depends:Encounter/1", "deny: rule-denies"),
        ],
    );
    let only = |data: &str| Scene::default().says(&format!("permit {data}"));
    table(
        &only("dated:2022..2022"),
        &[("TREAT dated:2022-05", "permit: rule-permits"), ("TREAT dated:unknown", "deny: uncovered")],
    );
    // The year 2022 may lie outside a permission for its first half; it touches a denial of it.
    table(&only("dated:2022-01..2022-06"), &[("TREAT dated:2022", "deny: uncovered")]);
    table(&both("dated:2022-01..2022-06"), &[("TREAT dated:2022", "deny: rule-denies")]);
    table(&only("authoredby:Practitioner/x"), &[("TREAT nobody", "deny: uncovered")]);
    table(
        &only("dependents:Encounter/1"),
        &[
            ("TREAT related:Encounter/1", "deny: uncovered"),
            ("TREAT depends:Encounter/1", "permit: rule-permits"),
        ],
    );
    table(
        &only("related:Encounter/1"),
        &[
            ("TREAT related:Encounter/1", "permit: rule-permits"),
            ("TREAT item:Encounter/1", "permit: rule-permits"),
        ],
    );
}

// R9 ----------------------------------------------------------------------------------------------

#[test]
fn r9_nested_rules_decide_before_the_root() {
    let scene =
        Scene::default().says("permit for:TREAT / deny label:PSY / opposite label:HIV / permit label:ETHUD");
    table(
        &scene,
        &[
            ("TREAT", "permit: rule-permits"),
            ("TREAT label:PSY", "deny: rule-denies"),
            ("TREAT label:HIV", "deny: rule-denies"),
            ("TREAT label:ETHUD", "permit: rule-permits"),
            // In conflict: deny.
            ("TREAT label:PSY,ETHUD", "deny: rule-denies"),
        ],
    );
    assert_eq!(scene.basis(&ask("TREAT label:HIV")), "1.1");
    assert_eq!(scene.basis(&ask("TREAT label:ETHUD")), "1.2");
    assert_eq!(scene.basis(&ask("TREAT")), "1");
}

#[test]
fn r9_outside_a_permitting_root_is_uncovered_and_outside_a_denying_one_nothing_is_said() {
    let implicit =
        |text: &str| Scene::default().says(text).policy(|p| p.implicit = ImplicitPolicy::AllNormal);
    table(
        &implicit("permit for:TREAT class:14-1-e"),
        &[
            ("TREAT class:14-1-e", "permit: rule-permits"),
            ("TREAT class:14-1-d", "deny: uncovered"),
            ("HPAYMT class:14-1-d", "permit: implicit-permit"),
        ],
    );
    table(
        &implicit("deny for:TREAT class:14-1-e"),
        &[
            ("TREAT class:14-1-e", "deny: rule-denies"),
            ("TREAT class:14-1-d", "permit: implicit-permit"),
            ("HPAYMT class:14-1-e", "permit: implicit-permit"),
        ],
    );
}

#[test]
fn r9_a_nested_rule_may_leave_the_roots_data_only() {
    table(
        &Scene::default().says("permit for:TREAT label:N / permit label:R to:Practitioner/a"),
        &[
            ("TREAT label:R", "permit: rule-permits"),
            ("TREAT label:R by:Practitioner/b", "deny: uncovered"),
            ("HPAYMT label:R", "deny: implicit-deny"),
            ("TREAT label:V", "deny: uncovered"),
            ("TREAT label:N by:Practitioner/b", "permit: rule-permits"),
        ],
    );
}

// R10 ---------------------------------------------------------------------------------------------

#[test]
fn r10_algorithms() {
    use Combining::{DenyOverrides, DenyUnlessPermit, MostRecent, PermitOverrides, PermitUnlessDeny};
    let (permit, deny, labs) = ("permit", "deny", "permit class:14-1-e");
    for (rules, combining, implicit, expected) in [
        (&[permit, deny][..], DenyOverrides, false, "deny: rule-denies"),
        (&[permit, deny], PermitOverrides, false, "permit: rule-permits"),
        (&[permit, deny], MostRecent, false, "deny: rule-denies"),
        (&[deny, permit], MostRecent, false, "permit: rule-permits"),
        (&[permit, deny], DenyUnlessPermit, false, "permit: rule-permits"),
        (&[permit, deny], PermitUnlessDeny, false, "deny: rule-denies"),
        (&[labs], DenyOverrides, true, "deny: uncovered"),
        (&[labs], PermitOverrides, true, "deny: uncovered"),
        (&[labs], MostRecent, true, "deny: uncovered"),
        (&[labs], DenyUnlessPermit, true, "deny: implicit-deny"),
        (&[labs], PermitUnlessDeny, false, "permit: implicit-permit"),
        (&[permit, labs], DenyOverrides, false, "permit: rule-permits"),
        (&[permit, labs], MostRecent, false, "permit: rule-permits"),
        (&[labs, deny], DenyOverrides, true, "deny: rule-denies"),
        (&[], DenyOverrides, true, "permit: implicit-permit"),
        (&[], DenyOverrides, false, "deny: implicit-deny"),
        (&[], DenyUnlessPermit, true, "deny: implicit-deny"),
        (&[], PermitUnlessDeny, false, "permit: implicit-permit"),
    ] {
        let scene = Scene::default().says_all(rules.iter().copied()).policy(|p| {
            p.combining = combining;
            p.implicit = if implicit { ImplicitPolicy::AllNormal } else { ImplicitPolicy::Deny };
        });
        assert_eq!(scene.answer(&ask("TREAT class:14-1-d")), expected, "{rules:?} {combining} {implicit}");
    }
}

#[test]
fn r10_two_consents_for_different_data_do_not_deny_each_other() {
    table(
        &Scene::default().says("permit for:TREAT class:14-1-e").says("permit for:TREAT class:14-1-d"),
        &[
            ("TREAT class:14-1-e", "permit: rule-permits"),
            ("TREAT class:14-1-d", "permit: rule-permits"),
            ("TREAT class:14-1-f", "deny: uncovered"),
        ],
    );
}

#[test]
fn r10_most_recent_is_by_place_in_the_log() {
    let mut scene =
        Scene::default().says("permit").says("deny").policy(|p| p.combining = Combining::MostRecent);
    table(&scene, &[("TREAT", "deny: rule-denies")]);
    scene.rules[0].position = LogIndex(5000);
    table(&scene, &[("TREAT", "permit: rule-permits")]);
    // However they are listed.
    scene.rules.reverse();
    table(&scene, &[("TREAT", "permit: rule-permits")]);
}

#[test]
fn r10_implicit_policies() {
    use ImplicitPolicy::{AllNormal, BasicNormal, BreakGlassOnly, Deny};
    let (yes, no) = ("permit: implicit-permit", "deny: implicit-deny");
    for (implicit, cases) in [
        (
            BasicNormal,
            [("TREAT", yes), ("TREAT label:R", no), ("TREAT as:staff", no), ("HPAYMT", no), ("CLINTRL", no)],
        ),
        (
            AllNormal,
            [
                ("TREAT", yes),
                ("TREAT label:R", no),
                ("TREAT as:staff", yes),
                ("HPAYMT", yes),
                ("CLINTRL", yes),
            ],
        ),
        (
            BreakGlassOnly,
            [
                ("TREAT", no),
                ("TREAT label:U", no),
                ("HPAYMT", no),
                ("BTG", no),
                ("BTG emergency", "permit: emergency"),
            ],
        ),
        (
            Deny,
            [
                ("TREAT", no),
                ("TREAT label:U", no),
                ("HPAYMT", no),
                ("BTG", no),
                ("BTG emergency", "permit: emergency"),
            ],
        ),
    ] {
        table(&Scene::default().policy(|p| p.implicit = implicit), &cases);
    }
}

#[test]
fn r10_treatment_without_a_care_relationship_is_permitted_and_marked() {
    let scene = Scene::default().says("permit").policy(|p| p.treat_requires_relationship = true);
    for (request, marked) in [
        ("TREAT", true),
        ("COC", true),
        ("TREAT encounter", false),
        ("HPAYMT", false),
        ("PATRQT as:subject", false),
        ("BTG emergency", false),
    ] {
        let answer = scene.decide(&ask(request));
        assert_eq!(answer.outcome, Outcome::Permit, "{request}");
        assert_eq!(answer.obligations.contains(&Obligation::Unrelated), marked, "{request}");
    }
}

// R11 ---------------------------------------------------------------------------------------------

#[test]
fn r11_a_declared_emergency_overrides_within_window_and_categories() {
    let scene = || Scene::default().says("deny");
    table(
        &scene(),
        &[
            ("BTG emergency", "permit: emergency"),
            ("BTG", "deny: rule-denies"),
            ("TREAT emergency", "deny: rule-denies"),
            ("ETREAT emergency", "deny: rule-denies"),
            ("BTG emergency as:data-user", "deny: rule-denies"),
        ],
    );
    table(
        &scene().policy(|p| p.emergency.etreat = true),
        &[
            ("ETREAT emergency", "permit: emergency"),
            ("ERTREAT emergency", "permit: emergency"),
            ("TREAT emergency", "deny: rule-denies"),
        ],
    );
    table(&scene().policy(|p| p.emergency.allowed = false), &[("BTG emergency", "deny: rule-denies")]);
    table(&scene().at("2026-07-02T11:49:59Z"), &[("BTG emergency", "permit: emergency")]);
    table(&scene().at("2026-07-02T11:50:00Z"), &[("BTG emergency", "deny: rule-denies")]);
    let limited = scene()
        .policy(|p| p.emergency.categories = custos_proof::cbor::Set::new(vec![code("14-1-e")]).unwrap());
    table(
        &limited,
        &[
            ("BTG emergency class:14-1-e", "permit: emergency"),
            ("BTG emergency class:14-1-d", "deny: rule-denies"),
            ("BTG emergency", "deny: rule-denies"),
        ],
    );
    // Uncovered data and missing openings are opened too.
    table(
        &Scene::default().says("permit class:14-1-e"),
        &[("BTG emergency class:14-1-d", "permit: emergency")],
    );
    let mut sealed = Scene::default();
    sealed.list(Content::Sealed);
    table(
        &sealed.says("permit"),
        &[("BTG emergency", "permit: emergency"), ("BTG", "indeterminate: unknown")],
    );
}

#[test]
fn r11_declaring_brings_the_same_duties_whatever_the_outcome_would_have_been() {
    let duties = [
        Obligation::Notify,
        Obligation::Review { within_hours: 168 },
        Obligation::Justify { within_hours: 72 },
    ];
    for rules in [&["permit"][..], &["deny"], &[], &["permit / deny label:PSY"]] {
        let scene = Scene::default().says_all(rules.iter().copied());
        let answer = scene.decide(&ask("BTG emergency label:PSY"));
        assert_eq!(answer.outcome, Outcome::Permit, "{rules:?}");
        assert_eq!(answer.obligations, duties, "{rules:?}");
        // The provider cannot tell whether an override was needed.
        assert_eq!(answer.for_provider(), ProviderAnswer::Items(vec![0]), "{rules:?}");
    }
    let scene = Scene::default().says("deny").policy(|p| p.emergency.allowed = false);
    assert_eq!(scene.decide(&ask("BTG emergency")).obligations, duties);
    assert_eq!(scene.decide(&ask("BTG justified")).obligations, duties[..2]);
}

#[test]
fn r11_the_list_for_a_provider_does_not_show_an_override() {
    let lists: Vec<ProviderAnswer> = [&["permit"][..], &["deny"], &[], &["permit label:N / deny label:PSY"]]
        .iter()
        .map(|rules| Scene::default().says_all(rules.iter().copied()).decide(&ask("BTG emergency unscoped")))
        .inspect(|answer| assert_eq!(answer.outcome, Outcome::Permit))
        .map(|answer| answer.for_provider())
        .collect();
    assert!(lists.windows(2).all(|pair| pair[0] == pair[1]), "{lists:?}");
}

// R12 ---------------------------------------------------------------------------------------------

#[test]
fn r12_a_withheld_opening_never_permits() {
    let sealed = |text: &str| {
        let mut scene = Scene::default().says(text);
        scene.list(Content::Sealed);
        scene
    };
    table(
        &sealed("permit"),
        &[("TREAT", "indeterminate: unknown"), ("PATRQT as:subject", "indeterminate: unknown")],
    );
    table(&sealed("deny"), &[("TREAT", "deny: rule-denies")]);
    table(
        &sealed("permit").policy(|p| p.combining = Combining::PermitOverrides),
        &[("TREAT", "indeterminate: unknown")],
    );
    table(
        &sealed("permit").policy(|p| p.combining = Combining::PermitUnlessDeny),
        &[("TREAT", "indeterminate: unknown")],
    );
    // What is not in force, or by somebody who could not speak for the subject, withholds nothing.
    table(
        &sealed("permit").last(|r| r.ended = Some((LogIndex(9), Height(9)))),
        &[("TREAT", "permit: rule-permits")],
    );
    table(&sealed("permit").last(|r| r.author_was_valid = false), &[("TREAT", "permit: rule-permits")]);
    table(
        &Scene::default().says("permit").with(|s| s.missing_trails = 1),
        &[("TREAT", "indeterminate: unknown")],
    );
    let answer = sealed("permit").decide(&ask("TREAT"));
    assert_eq!(answer.items[0].changes, [vec![Step::ShowOpening(ItemHash([2; 32]))]]);
    assert_eq!(answer.for_provider(), ProviderAnswer::NothingAvailable);
}

#[test]
fn r12_an_opt_out_that_does_not_say_of_what_is_not_guessed() {
    table(&Scene::default().says("permit").opts_out("something"), &[("TREAT", "indeterminate: unknown")]);
}

// R13 ---------------------------------------------------------------------------------------------

/// Asks for everything, and then holds the list to the answers about each of these items.
fn residual_is_faithful(scene: &Scene, request: &str, items: &[&str]) -> Outcome {
    let unscoped = scene.decide(&ask(&format!("{request} unscoped")));
    let facts = scene.facts();
    let ruler = Ruler { terminology: facts.terminology, policy: facts.policy, base: &facts.base };
    for words in items {
        let scoped = ask(&format!("{request} {words}"));
        let custos_decide::request::Scope::Items(asked) = &scoped.scope else { panic!("{words}") };
        let item: &Item = &asked[0];
        let answer = scene.decide(&scoped);
        let listed =
            unscoped.residual.as_ref().map_or((Outcome::Deny, false), |list| list.answer(&ruler, item));
        assert_eq!(listed, (answer.items[0].outcome, answer.items[0].is_override), "{request} {words}");
    }
    unscoped.outcome
}

#[test]
fn r13_the_list_says_what_asking_would_say() {
    let items = [
        "",
        "label:R",
        "label:PSY",
        "label:U class:14-1-e",
        "class:14-1-d dated:2022-05",
        "author:Practitioner/x",
        "nobody",
        "dated:unknown",
        "related:Encounter/1",
        "origin:hospital-a.example",
        "item:Observation/9 code:718-7",
    ];
    let overrides_nothing =
        Scene::default().says("permit label:N / permit label:PSY to:Practitioner/a / deny code:718-7");
    assert_eq!(residual_is_faithful(&overrides_nothing, "TREAT", &items), Outcome::Permit);
    // attacks, number 16: a denial of one consent against a permission of another.
    let against =
        Scene::default().says("permit for:TREAT / deny label:R").says("permit authoredby:Practitioner/x");
    assert_eq!(residual_is_faithful(&against, "TREAT", &items), Outcome::Permit);
    assert_eq!(against.answer(&ask("TREAT label:R author:Practitioner/x")), "deny: rule-denies");
    assert_eq!(residual_is_faithful(&Scene::default().says("deny"), "TREAT", &items), Outcome::Deny);
    assert_eq!(
        residual_is_faithful(&Scene::default().says("deny"), "BTG emergency", &items),
        Outcome::Permit
    );
    let opted = Scene::default().says("permit").opts_out("primary-absolute");
    assert_eq!(residual_is_faithful(&opted, "BTG emergency", &items), Outcome::Permit);
    let mut sealed = Scene::default().says("permit / deny label:PSY");
    sealed.list(Content::Sealed);
    assert_eq!(residual_is_faithful(&sealed, "TREAT", &items), Outcome::Indeterminate);
    let basic = Scene::default().policy(|p| p.implicit = ImplicitPolicy::BasicNormal);
    assert_eq!(residual_is_faithful(&basic, "TREAT", &items), Outcome::Permit);
}

#[test]
fn r13_lists_for_subjects_representatives_and_permits() {
    let items = [
        "",
        "class:14-1-e",
        "class:51-1-l",
        "class:51-1-f",
        "label:SEX",
        "item:Observation/2",
        "class:14-1-e,51-1-l",
    ];
    let mut scene = Scene::default()
        .says("deny label:SEX to:RelatedPerson/mother")
        .with(|s| s.representatives = vec![mother()]);
    scene.put(InnerKind::ViewSuspend, rule("deny instance:Observation/2"));
    assert_eq!(residual_is_faithful(&scene, "PATRQT as:subject", &items), Outcome::Permit);
    assert_eq!(
        residual_is_faithful(&scene, "FAMRQT as:representative by:RelatedPerson/mother", &items),
        Outcome::Permit
    );
    scene.representatives[0].categories = vec![any_code("14-1-e")];
    assert_eq!(
        residual_is_faithful(&scene, "FAMRQT as:representative by:RelatedPerson/mother", &items),
        Outcome::Permit
    );
    let research = "53-1-e as:data-user from:university.example permit:7";
    for opted in [500, 1500, 2500] {
        let scene = study(|_| {}).opts_out("secondary").last(|r| r.position = LogIndex(opted));
        residual_is_faithful(&scene, research, &items);
    }
    let genetic = study(|p| p.categories.push((code("51-1-f"), LogIndex(1000))))
        .says("permit for:53 class:51-1-f label:N")
        .policy(|p| {
            p.consent_besides = List::new(vec![ConsentBesides {
                jurisdiction: Ascii::new("EU").unwrap(),
                category: code("51-1-f"),
            }])
            .unwrap();
        });
    assert_eq!(
        residual_is_faithful(
            &genetic,
            research,
            &["class:51-1-f", "class:51-1-f label:R", "class:14-1-e", ""]
        ),
        Outcome::Permit
    );
}

// R14 ---------------------------------------------------------------------------------------------

#[test]
fn r14_a_provider_sees_what_may_be_served_or_one_uniform_refusal() {
    let refused: Vec<ProviderAnswer> = [
        Scene::default(),
        Scene::default().says("deny"),
        Scene::default().says("permit class:14-1-e"),
        Scene::default().opts_out("primary"),
        Scene::default().with(|s| s.missing_trails = 1),
    ]
    .iter()
    .map(|scene| scene.decide(&ask("TREAT")).for_provider())
    .collect();
    assert!(refused.iter().all(|answer| *answer == ProviderAnswer::NothingAvailable));
    assert_eq!(
        Scene::default().says("permit").decide(&ask("TREAT")).for_provider(),
        ProviderAnswer::Items(vec![0])
    );
}

#[test]
fn r14_ending_the_rules_that_are_named_changes_the_answer() {
    for (rules, request) in [
        (&["permit", "deny label:PSY", "deny to:Practitioner/a"][..], "TREAT label:PSY"),
        (&["permit / deny label:PSY"], "TREAT"),
        (&["permit for:TREAT", "deny"], "TREAT"),
    ] {
        let scene = Scene::default().says_all(rules.iter().copied());
        let before = scene.decide(&ask(request));
        let ending: Vec<_> = before.items[0]
            .changes
            .iter()
            .find(|steps| steps.iter().all(|step| matches!(step, Step::EndRule(_))))
            .unwrap_or_else(|| panic!("{rules:?}: {:?}", before.items[0].changes))
            .clone();
        let mut after = Scene::default().says_all(rules.iter().copied());
        for step in ending {
            let Step::EndRule(gone) = step else { panic!("only ends") };
            after.rules.retain(|listed| listed.item != gone.item);
        }
        assert_ne!(after.decide(&ask(request)).outcome, before.outcome, "{rules:?}");
    }
}

#[test]
fn r14_an_answer_says_until_when_it_holds_by_itself() {
    let scene =
        Scene::default().says("permit valid:..2026-12-31").last(|r| r.expiry = TimeMs(ms("2027-01-01")));
    let answer = scene.decide(&ask("TREAT"));
    let end = TimeMs(ms("2027-01-01") - 1);
    assert!(answer.items[0].changes.contains(&vec![Step::Pass(end)]));
    let after = scene.with(|s| s.time = TimeMs(end.0 + 1));
    assert_eq!(after.answer(&ask("TREAT")), "deny: implicit-deny");
}

#[test]
fn r14_the_same_question_gives_the_same_tree() {
    let scene = Scene::default().says("permit for:TREAT / deny label:PSY").says("deny to:Practitioner/b");
    let mut shuffled =
        Scene::default().says("permit for:TREAT / deny label:PSY").says("deny to:Practitioner/b");
    shuffled.rules.reverse();
    for request in ["TREAT", "TREAT label:PSY", "TREAT unscoped", "BTG emergency by:Practitioner/b"] {
        assert_eq!(scene.decide(&ask(request)).view(), shuffled.decide(&ask(request)).view());
    }
}
