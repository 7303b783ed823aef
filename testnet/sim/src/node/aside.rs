//! Whether a simulated node votes when it starts: the node's own rule, over the simulated disk.

use custos_consensus::Head;
use custos_consensus::aside::{Aside, Decision, Log, Start, decide};

use super::*;

impl Node {
    /// What it waits for before it votes, and the log that its engine is given (`consensus/src/handle.rs`).
    pub(super) fn recall(&mut self, head: &Head, now: TimeMs) -> (Option<Aside>, Log) {
        if self.setting.plant == Some(Plant::VotesAtOnce) {
            return (None, Log::Votes);
        }
        let start = Start { head: head.height, time: head.time, clock_bound_ms: CLOCK_BOUND_MS, now };
        let Decision { steps, aside, log } = decide(&self.disk.memory.found(), &start);
        self.disk.memory.follow(steps);
        match &aside {
            Some(_) => self.counts.stood_aside += 1,
            None => self.counts.voted_again += u64::from(self.was_aside),
        }
        self.was_aside = aside.is_some();
        (aside, log)
    }

    /// Whether it has stood aside for long enough: it then starts again (`node/src/opening.rs`).
    pub(super) fn may_vote(&self, head: &Head) -> bool {
        let aside = self.run.as_ref().and_then(|run| run.aside.as_ref());
        aside.is_some_and(|aside| aside.ends_with(head.height, head.time, CLOCK_BOUND_MS))
    }

    /// Ends the process in order, so that the next one votes.
    pub(crate) fn shut_down(&mut self) {
        self.run = None;
        self.epoch += 1;
    }

    /// Whether it does not know what it has signed: it lost something and was not started since, or stands aside.
    pub(crate) fn is_forgetful(&self) -> bool {
        self.run.as_ref().map_or(self.has_lost || self.was_aside, |run| run.aside.is_some())
    }
}
