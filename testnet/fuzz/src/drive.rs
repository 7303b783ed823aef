//! Drives a target with mutations of a corpus, for so many runs or so long, and stops at the first crash.
//!
//! Deliberately absent: processes. A decoder that overflows its stack or asks for all memory ends the
//! process; the command runs each target in one of its own and finds the input by its trace.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::mutate::{self, Rng};
use crate::target::{Outcome, Target};

/// An input that takes longer than this is a crash: no decoder has a reason to.
const MAX_INPUT_TIME: Duration = Duration::from_secs(20);

/// How many inputs a run keeps for further mutation.
const MAX_KEPT: usize = 4096;

/// How many attempts go into making a crashing input smaller.
const SHRINKING: usize = 2_000;

/// How long, and from where.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The same seed gives the same inputs.
    pub seed: u64,
    /// At most so many mutations.
    pub runs: u64,
    /// At most so long.
    pub time: Option<Duration>,
    /// Where every input is written before it is run.
    pub trace: Option<PathBuf>,
}

/// What a run came to.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Inputs that were run, seeds included.
    pub runs: u64,
    /// How many were accepted.
    pub accepted: u64,
    /// How many of the inputs to begin with were accepted.
    pub accepted_seeds: usize,
    /// Outcomes that differ in more than numbers.
    pub outcomes: BTreeSet<String>,
    /// Mutations that showed something new.
    pub kept: Vec<Vec<u8>>,
    /// The longest that an input took.
    pub slowest: Duration,
}

/// An input with which a decoder breaks its contract.
#[derive(Debug, Clone)]
pub struct Crash {
    /// Of which target.
    pub target: &'static str,
    /// The input.
    pub input: Vec<u8>,
    /// What the panic said.
    pub message: String,
}

/// Runs every input of `corpus`, then mutations of them.
///
/// # Errors
/// The first crash.
pub fn drive(target: &Target, mut corpus: Vec<Vec<u8>>, plan: &Plan) -> Result<Report, Box<Crash>> {
    let mut report = Report::default();
    for input in &corpus {
        let outcome = run(target, input, plan, &mut report)?;
        report.accepted_seeds += usize::from(outcome == Outcome::Accepted);
    }
    if corpus.is_empty() {
        corpus.push(Vec::new());
    }
    let begun = Instant::now();
    let mut rng = Rng::new(plan.seed);
    for _ in 0..plan.runs {
        if plan.time.is_some_and(|time| begun.elapsed() >= time) {
            break;
        }
        let input = mutate::input(&corpus, target.text, &mut rng);
        let known = report.outcomes.len();
        run(target, &input, plan, &mut report)?;
        if report.outcomes.len() > known && report.kept.len() < MAX_KEPT {
            report.kept.push(input.clone());
            corpus.push(input);
        }
    }
    Ok(report)
}

fn run(target: &Target, input: &[u8], plan: &Plan, report: &mut Report) -> Result<Outcome, Box<Crash>> {
    if let Some(trace) = &plan.trace {
        // Without the trace there is nothing to find; a run that cannot write it says so at once.
        std::fs::write(trace, input).expect("because the trace is written where it was asked for");
    }
    let begun = Instant::now();
    let outcome = once(target, input);
    let took = begun.elapsed();
    report.slowest = report.slowest.max(took);
    report.runs += 1;
    let crash = |message| Box::new(Crash { target: target.name, input: input.to_vec(), message });
    let outcome = outcome.map_err(crash)?;
    if took > MAX_INPUT_TIME {
        return Err(crash(format!("took {} s", took.as_secs())));
    }
    report.accepted += u64::from(outcome == Outcome::Accepted);
    report.outcomes.insert(outcome.class());
    Ok(outcome)
}

/// Runs one input.
///
/// # Errors
/// What the panic said.
pub fn once(target: &Target, input: &[u8]) -> Result<Outcome, String> {
    catch_unwind(AssertUnwindSafe(|| (target.run)(input))).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without words".into())
    })
}

/// A smaller input that crashes too.
#[must_use]
pub fn shrink(target: &Target, input: &[u8]) -> Vec<u8> {
    let mut best = input.to_vec();
    let mut attempts = SHRINKING;
    let mut step = best.len().div_ceil(2);
    while step > 0 {
        let mut from = 0;
        while from < best.len() && attempts > 0 {
            attempts -= 1;
            let mut smaller = best.clone();
            smaller.drain(from..(from + step).min(best.len()));
            match once(target, &smaller) {
                Err(_) => best = smaller,
                Ok(_) => from += step,
            }
        }
        step /= 2;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Text;

    /// A decoder with an error that only a certain input shows.
    const PLANTED: Target = Target {
        name: "planted",
        reads: "a number and that many bytes",
        text: Text::Bytes,
        run: |bytes| match bytes {
            [length, rest @ ..] if usize::from(*length) == rest.len() => Outcome::Accepted,
            [200..=255, rest @ ..] => {
                assert!(rest.is_empty(), "planted");
                Outcome::Refused("large".into())
            }
            _ => Outcome::Refused("length".into()),
        },
        seeds: || vec![vec![3, 1, 2, 3]],
    };

    fn plan(runs: u64) -> Plan {
        Plan { seed: 1, runs, time: None, trace: None }
    }

    #[test]
    fn a_planted_error_is_found_and_made_small() {
        let crash = drive(&PLANTED, (PLANTED.seeds)(), &plan(10_000)).unwrap_err();
        assert_eq!(crash.message, "planted");
        let small = shrink(&PLANTED, &crash.input);
        assert_eq!(small.len(), 2, "{small:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_run() {
        let steady = Target { run: |bytes| Outcome::Refused(format!("{}", bytes.len() > 9)), ..PLANTED };
        let [one, two] = [(), ()].map(|()| drive(&steady, (PLANTED.seeds)(), &plan(500)).unwrap());
        assert_eq!((one.runs, one.kept), (two.runs, two.kept));
        assert_eq!(one.outcomes.len(), 2);
    }
}
