//! A fixed range of seeds and a few of the day's: every oracle is silent, and a seed shows the same again.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};

use custos_sim::{Byzantine, Options, Report, simulate};

/// Seeds that every build runs.
const FIXED: std::ops::Range<u64> = 1..61;
/// Seeds that nobody chose.
const OF_THE_DAY: u64 = 10;
const HEIGHTS: u64 = 30;

fn clean(options: &Options) -> Report {
    let report = simulate(options);
    let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    assert!(
        findings.is_empty(),
        "sim --seed {} --heights {} --trace\n{}\n{}",
        options.seed,
        options.heights,
        findings.join("\n"),
        report.recent.join("\n")
    );
    report
}

#[test]
fn a_fixed_range_of_seeds_runs_clean() {
    let reports: Vec<Report> = FIXED.map(|seed| clean(&Options::seed(seed, HEIGHTS))).collect();
    // What was to be attacked was there.
    let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
    assert!(sum(|report| report.crashes) > 100);
    assert!(sum(|report| report.items) > 5_000);
    assert!(sum(|report| report.acked) > 1_000);
    assert!(sum(|report| report.counts.synced) > 100, "blocks came from peers");
    assert!(sum(|report| report.counts.replayed) > 1_000, "logs were read after a crash");
    assert!(sum(|report| report.counts.refused) > 20, "bad proposals were refused");
    assert!(sum(|report| report.counts.log_lost) >= 3, "logs of votes were deleted");
    assert!(sum(|report| report.counts.directory_lost) >= 3, "consensus' directory was deleted");
    assert!(sum(|report| report.counts.blocks_lost) >= 3, "ledgers lost blocks");
    assert!(sum(|report| report.counts.restored) >= 3, "ledgers were replaced by copies");
    assert!(sum(|report| report.counts.stood_aside) >= 10, "validators stood aside");
    assert!(sum(|report| report.counts.voted_again) >= 5, "and voted again");
    assert!(
        sum(|report| report.counts.absent) > 100,
        "first rounds were cut short: their proposer was absent"
    );
    assert!(sum(|report| report.dues) > 100, "facts fell due");
    assert!(reports.iter().any(|report| report.rounds >= 3), "a height took several rounds");
    let kinds: BTreeSet<&str> = reports.iter().flat_map(|report| report.kinds.keys().copied()).collect();
    assert!(kinds.len() >= 25, "{kinds:?}");
    assert!(sum(|report| report.pairs_reported) > 0, "an equivocator was seen");
    assert!(sum(|report| report.reports_recorded) > 0, "and reported on the ledger");
    for course in ["one joins", "one joins, another leaves", "a version begins that nobody has"] {
        assert!(reports.iter().any(|report| report.plan == course), "no seed in which {course}");
    }
    // In 21 of these seeds one is to join, in 16 of them a founder is to leave afterwards. A run may end before.
    let joined = sum(|report| u64::from(report.newcomer_signed));
    let left = sum(|report| u64::from(report.founder_left));
    println!("newcomers signed a certificate in {joined} seeds, in {left} a founder no longer decided");
    assert!(joined >= 10, "newcomers signed a certificate in {joined} seeds only");
    assert!(left >= 6, "a founder no longer decided in {left} seeds only");
    let was_to = |report: &Report| report.plan == "one joins, another leaves";
    assert!(reports.iter().all(|report| was_to(report) || !report.founder_left), "nobody was to leave");
    for byzantine in Byzantine::ALL {
        assert!(reports.iter().any(|report| report.byzantine.contains(&byzantine.name())), "{byzantine:?}");
    }
}

#[test]
fn seeds_that_found_something_run_clean() {
    // A node stops at a version it has not, one block after the vote that decided it.
    let report = clean(&Options::seed(257, 50));
    assert_eq!(report.plan, "a version begins that nobody has");
    // A block reached a disk as its process died, and another node had a copy of it before anybody was told.
    clean(&Options::seed(112, 50));
    // A ledger lost blocks and the note of the last one that was decided: the log of votes then decides a block whose
    // body is gone. The node stops, and follows when it is started again.
    clean(&Options::seed(23_177_724_994_442, 30));
}

#[test]
fn seeds_of_the_day_run_clean() {
    let first = RandomState::new().hash_one(0u8) >> 16;
    println!("seeds {first} to {}", first + OF_THE_DAY - 1);
    for seed in first..first + OF_THE_DAY {
        clean(&Options::seed(seed, HEIGHTS));
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let options = |seed| Options::seed(seed, 20);
    let traces: Vec<String> = (100..104).map(|seed| simulate(&options(seed)).trace).collect();
    let again: Vec<String> = (100..104).map(|seed| simulate(&options(seed)).trace).collect();
    assert_eq!(traces, again);
    let mut different = traces.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), traces.len(), "and another seed gives another");
}

#[test]
fn every_faulty_validator_by_name_is_borne() {
    for (seed, byzantine) in (500..).zip(Byzantine::ALL) {
        clean(&Options { byzantine: Some(vec![byzantine]), ..Options::seed(seed, HEIGHTS) });
    }
}

#[test]
fn the_simulator_is_optimised_in_the_profile_that_tests_use() {
    let manifest = include_str!("../../../Cargo.toml");
    assert!(manifest.contains("[profile.dev.package.custos-sim]\nopt-level = 3\n"));
}
