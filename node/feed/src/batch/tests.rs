//! Batches: linkage, order and grouping.

use std::collections::BTreeMap;

use custos_custodian::draft::AccessValues;
use custos_custodian::draft::SubjectKey;
use custos_custodian::vault::{Scope, Vault, VaultKey};
use custos_proof::hash::ChainId;
use custos_proof::sealed_values::{Action, Agent, Agents, Prose};
use proptest::prelude::*;

use super::*;
use crate::spool::frame::tests::draft;

fn subjects(count: usize) -> (tempfile::TempDir, Vec<SubjectId>) {
    let folder = tempfile::tempdir().unwrap();
    let scope = Scope { chain: ChainId([7; 32]), custodian: "hospital.example".parse().unwrap() };
    let mut vault = Vault::create(folder.path(), &VaultKey::new([1; 32]), &scope).unwrap();
    let ids = (0..count).map(|n| vault.subject(&[SubjectKey::identifier("x", &n.to_string())]).unwrap());
    let ids = ids.collect();
    (folder, ids)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_submission_has_two_trails_of_a_subject(
        events in proptest::collection::vec((0usize..6, 0usize..3), 0..120),
        max_items in 1usize..20,
        seed: u64,
    ) {
        let (_folder, ids) = subjects(5);
        let acting = ["hospital.example", "lab.example", "gp.example"];
        let whose = |(subject, party): &(usize, usize)| Whose {
            subject: ids.get(*subject).copied(),
            in_conflict: false,
            acting: acting[*party].parse().unwrap(),
        };
        let all: Vec<_> = events.iter().enumerate().map(|(n, event)| ((n, whose(event)), whose(event))).collect();
        let mut state = seed;
        let packed = pack(all, max_items, || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 16
        });
        // Nothing is lost or doubled.
        let mut numbers: Vec<usize> = packed.iter().flatten().map(|(n, _)| *n).collect();
        let in_order = numbers.clone();
        numbers.sort_unstable();
        prop_assert_eq!(numbers, (0..events.len()).collect::<Vec<_>>());
        for submission in &packed {
            prop_assert!(submission.len() <= max_items && !submission.is_empty());
            let mut trails = BTreeMap::new();
            for (_, whose) in submission {
                if let Some(subject) = whose.subject {
                    let trail = trails.entry(subject).or_insert_with(|| whose.acting.clone());
                    prop_assert_eq!(&*trail, &whose.acting, "two trails of a subject in one submission");
                }
            }
        }
        // The events of each trail keep their order.
        let mut last: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for n in in_order.into_iter().filter(|n| events[*n].0 < 5) {
            let before = last.insert(events[n], n);
            prop_assert!(before.is_none_or(|before| before < n));
        }
    }
}

fn ready(number: u64, kind: ActionKind, who: &str, at: &str) -> Ready {
    let mut draft = draft(number);
    draft.subject = vec![SubjectKey::identifier("x", "1")];
    draft.values = AccessValues {
        action: Stated::Value(Action { kind: Some(kind), ..Action::default() }),
        when: Stated::Value(When { recorded: Moment::new(at), ..When::default() }),
        agents: Stated::from_option(Agents::new(vec![Agent { name: Prose::new(who), ..Agent::default() }])),
        group: Stated::Value(Group { count: Some(1), ..Group::default() }),
        source: Stated::Value(Source {
            own_id: custos_proof::sealed_values::Token::new(&number.to_string()),
            ..Source::default()
        }),
        ..AccessValues::default()
    };
    let recorded = Moment::new(at).unwrap().last_ms() as u64;
    Ready { member: (number, 0), at: TimeMs(recorded + 100), head: Height(number), head_age_ms: 10, draft }
}

#[test]
fn like_reads_become_one_event_and_nothing_else_does() {
    let ready = || {
        vec![
            ready(1, ActionKind::Read, "Dr. Adams", "2026-11-22T10:00:05Z"),
            ready(2, ActionKind::Read, "Dr. Brown", "2026-11-22T10:00:06Z"),
            ready(3, ActionKind::Read, "Dr. Adams", "2026-11-22T10:00:01Z"),
            ready(4, ActionKind::Export, "Dr. Adams", "2026-11-22T10:00:07Z"),
            ready(5, ActionKind::Export, "Dr. Adams", "2026-11-22T10:00:08Z"),
            ready(6, ActionKind::Read, "Dr. Adams", "2026-11-22T10:05:00Z"),
        ]
    };
    let now = TimeMs(Moment::new("2026-11-22T10:06:00Z").unwrap().last_ms() as u64);
    let single = events(ready(), false, 600_000, now);
    assert_eq!(single.len(), 6);
    assert_eq!(single[0].draft, ready()[0].draft, "without grouping nothing is touched");
    let grouped = events(ready(), true, 600_000, now);
    let members: Vec<Vec<u64>> =
        grouped.iter().map(|event| event.members.iter().map(|(position, _)| *position).collect()).collect();
    assert_eq!(members, [vec![1, 3, 6], vec![2], vec![4], vec![5]]);
    let group = grouped[0].draft.values.group.value().unwrap();
    assert_eq!(group.count, Some(3));
    assert_eq!(group.start.as_ref().unwrap().as_str(), "2026-11-22T10:00:01Z");
    assert_eq!(group.end.as_ref().unwrap().as_str(), "2026-11-22T10:05:00Z");
    assert_eq!(grouped[0].head, Height(6));
    // After a crash the members are drawn together to the same.
    let again = joined([0, 2, 5].iter().map(|at| &single[*at].draft)).unwrap();
    assert_eq!(again, grouped[0].draft);
}

#[test]
fn late_is_what_waited_anywhere() {
    let at = "2026-11-22T10:00:00Z";
    let accepted = Moment::new(at).unwrap().last_ms() as u64 + 100;
    let late = |one: Ready, now: u64| events(vec![one], false, 1_000, TimeMs(now))[0].late;
    let one = || ready(1, ActionKind::Read, "x", at);
    assert_eq!(late(one(), accepted + 500), Late::None);
    assert_eq!(late(one(), accepted + 1_500), Late::Spooled, "it waited here");
    assert_eq!(
        late(Ready { head_age_ms: 5_000, ..one() }, accepted),
        Late::Spooled,
        "the ledger was not heard of"
    );
    let kept_back = Ready { at: TimeMs(accepted + 60_000), ..one() };
    assert_eq!(late(kept_back, accepted + 60_000), Late::Spooled, "the source kept it back");
}
