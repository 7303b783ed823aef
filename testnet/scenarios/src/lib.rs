//! Stories of faults, on real nodes in real processes, and what every story is checked for.
//!
//! A [`Story`] starts a network as an operator would, breaks something while real clients hand in
//! submissions, and tells what was seen and what an operator sees of it. It can only end through
//! [`checks::whole`], which knows nothing of the fault: whatever was broken, every node is whole, all agree
//! at every height, and everything that was acknowledged is there, once. A story that sees something else
//! panics; the runner turns that into a verdict.
//!
//! Deliberately absent: any way into a node besides its files, its ports and its process; virtual time and
//! seeds that repeat a run to the message, which are the simulator's.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod checks;
pub mod clients;
pub mod clock;
pub mod privileges;
pub mod proxy;
pub mod report;
pub mod stories;
pub mod wires;

use checks::Checked;

/// How a story is told.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Few repetitions, for `make test`.
    pub short: bool,
    /// Chooses victims and moments. The same seed makes the same choices; what the processes make of them
    /// differs from run to run.
    pub seed: u64,
}

impl Plan {
    /// `short` repetitions in the short run, `full` in the full one.
    #[must_use]
    pub fn times(&self, short: usize, full: usize) -> usize {
        if self.short { short } else { full }
    }

    /// The source of a story's choices.
    #[must_use]
    pub fn chance(&self) -> Chance {
        Chance(self.seed | 1)
    }
}

/// A story.
#[derive(Clone, Copy)]
pub struct Story {
    /// Its name, as `--only` takes it.
    pub name: &'static str,
    /// The fault, in one line.
    pub fault: &'static str,
    /// Whether it is part of the short run.
    pub is_short: bool,
    /// Tells it.
    pub tell: fn(&Plan) -> Result<Told, Skipped>,
}

/// What a story told.
#[derive(Debug)]
pub struct Told {
    /// What was seen, in the order in which it was seen.
    pub seen: Vec<Seen>,
    /// What the common checks found whole.
    pub checked: Checked,
}

/// One fault and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What was done.
    pub fault: String,
    /// What the network did.
    pub seen: String,
    /// What an operator sees: health state, log line, exit code, metric.
    pub operator: String,
}

impl Seen {
    /// A row of the table.
    pub fn new(fault: impl Into<String>, seen: impl Into<String>, operator: impl Into<String>) -> Self {
        Self { fault: fault.into(), seen: seen.into(), operator: operator.into() }
    }
}

/// A story that this machine cannot tell, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped(pub String);

/// A source of choices: xorshift, from a seed.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// A number below `bound`, which is at least 1.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound.max(1)
    }

    /// One of these.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        let at = self.below(choices.len() as u64);
        choices.get(usize::try_from(at).unwrap_or_default()).copied()
    }

    /// So many different ones of these.
    pub fn some_of<T: Copy>(&mut self, choices: &[T], count: usize) -> Vec<T> {
        let mut left = choices.to_vec();
        let mut chosen = Vec::new();
        while chosen.len() < count && !left.is_empty() {
            let at = usize::try_from(self.below(left.len() as u64)).unwrap_or_default();
            chosen.push(left.swap_remove(at));
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_choices() {
        let plan = Plan { short: true, seed: 7 };
        let draw = || {
            let mut chance = plan.chance();
            (0..50).map(|_| chance.some_of(&[1, 2, 3, 4], 2)).collect::<Vec<_>>()
        };
        assert_eq!(draw(), draw());
        assert!(draw().iter().all(|pair| pair.len() == 2 && pair[0] != pair[1]));
        assert!((1..=4).all(|node| draw().iter().flatten().any(|drawn| *drawn == node)));
    }
}
