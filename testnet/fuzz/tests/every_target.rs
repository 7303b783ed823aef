//! Every target with its seeds and a bounded number of mutations, the same ones each time.
//!
//! `make fuzz` looks further; this is what has to hold before anything is merged.

#![allow(clippy::unwrap_used)]

use custos_fuzz::drive::{Plan, drive};
use custos_fuzz::{corpus, targets};
use std::time::Duration;

/// Mutations of each target, and how long they may take on a slow machine: whichever ends first.
const RUNS: u64 = 4_000;
const TIME: Duration = Duration::from_secs(6);

#[test]
fn no_mutation_breaks_a_decoders_contract() {
    // On every core, each thread with the next target that nobody has taken.
    let queue = std::sync::Mutex::new(targets::all());
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let Some(target) = queue.lock().unwrap().pop() else { return };
                    let plan = Plan { seed: 1, runs: RUNS, time: Some(TIME), trace: None };
                    let report = drive(&target, corpus::of(&target), &plan).unwrap_or_else(|crash| {
                        panic!("{}: {}: {}", crash.target, crash.message, hex::encode(&crash.input))
                    });
                    // A target none of whose seeds is accepted fuzzes nothing but the first check.
                    assert!(report.accepted_seeds > 0, "{}: no seed is accepted", target.name);
                    assert!(report.outcomes.len() > 1, "{}: everything comes to the same", target.name);
                }
            });
        }
    });
}
