//! Faults planted on purpose: each must be found, by the oracle that is there for it, within a few seeds.

#![allow(clippy::unwrap_used)]

use custos_sim::{Byzantine, Finding, Options, Plant, simulate};

/// Within so many seeds.
const SEEDS: u64 = 40;

fn found(plant: Plant, byzantine: &[Byzantine]) -> Finding {
    for seed in 1..=SEEDS {
        let options =
            Options { plant: Some(plant), byzantine: Some(byzantine.to_vec()), ..Options::seed(seed, 50) };
        if let Some(finding) = simulate(&options).findings.into_iter().next() {
            println!("{}: seed {seed}: {finding}", plant.name());
            return finding;
        }
    }
    panic!("{} was not found in {SEEDS} seeds", plant.name());
}

#[test]
fn a_log_that_keeps_nothing_makes_an_honest_validator_sign_twice() {
    assert_eq!(found(Plant::WalOff, &[]).oracle, "no honest double sign");
}

#[test]
fn a_validator_that_votes_at_once_though_it_forgot_its_votes_signs_twice() {
    assert_eq!(found(Plant::VotesAtOnce, &[]).oracle, "no honest double sign");
}

#[test]
fn a_root_that_nobody_compares_is_found_by_computing_it_again() {
    assert_eq!(found(Plant::RootNotCompared, &[Byzantine::WrongRoot]).oracle, "naive ledger");
}

#[test]
fn what_is_not_deduplicated_is_recorded_twice() {
    assert_eq!(found(Plant::DedupOff, &[Byzantine::Replayer]).oracle, "no item twice");
}

#[test]
fn a_trail_that_forgets_a_record_is_found_by_computing_it_again() {
    assert_eq!(found(Plant::TrailOmitted, &[]).oracle, "naive ledger");
}

#[test]
fn a_quorum_that_is_one_too_small_decides_nothing() {
    let finding = found(Plant::QuorumOffByOne, &[]);
    assert_eq!(finding.oracle, "certificates hold");
    assert!(finding.what.contains("no-quorum"), "{finding}");
}
