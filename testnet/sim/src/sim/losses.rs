//! How what a validator remembers is taken from it: while it is down, and never from so many that no quorum remembers.
//!
//! The draws come from a stream of their own, so that a seed without losses is what it was before there were any.

use super::*;
use crate::faults::{Loss, NEAR_SKEW_MS};

impl Sim {
    /// Takes something from a validator, if one can bear it.
    pub(super) fn loss(&mut self) {
        let Some(every_ms) = self.losses_every_ms else { return };
        if self.faults_are_over() {
            return;
        }
        let wait = self.loss_rng.within(every_ms / 2, every_ms * 3 / 2);
        self.at(wait, Event::Loss);
        let node = self.loss_rng.index(self.nodes.len());
        let kind = self.loss_rng.below(4);
        let (blocks, ms) = (self.loss_rng.within(1, 6), self.loss_rng.within(50, 2_000));
        let chosen = &self.nodes[node];
        let is_sound = chosen.byzantine.is_none() && chosen.run.is_some() && !self.is_far_off(node);
        if !is_sound || !self.can_bear(node) {
            return;
        }
        let height = chosen.head_height();
        let loss = match kind {
            // Before its first block it would look like a new node.
            0 | 1 if height == Height(0) => return,
            0 => Loss::Log,
            1 => Loss::Directory,
            2 if height > Height(0) => Loss::Blocks(blocks.min(height.0)),
            _ => match self.draw_copy(node) {
                Some(copy) => copy,
                None => return,
            },
        };
        let fault = Fault::Loss { node, loss, ms };
        self.remember(|| format!("{fault:?}"));
        self.faults_on += 1;
        self.kill_with(node, |sim| &mut sim.loss_rng);
        self.lose(node, loss);
        self.reconnect();
        self.at(ms, Event::Heal(fault));
    }

    /// Another honest node's ledger at some height.
    fn draw_copy(&mut self, node: usize) -> Option<Loss> {
        let others: Vec<usize> = self.honest().filter(|other| *other != node).collect();
        let of = self.loss_rng.pick(&others).copied()?;
        let height = self.nodes[of].head_height().0;
        (height > 0).then(|| Loss::Copy { of, height: self.loss_rng.within(1, height) })
    }

    fn lose(&mut self, node: usize, loss: Loss) {
        let now = self.nodes[node].wall(self.now);
        let ledger = match loss {
            Loss::Log | Loss::Directory => None,
            Loss::Blocks(count) => Some((node, self.nodes[node].head_height().0.saturating_sub(count))),
            Loss::Copy { of, height } => Some((of, height)),
        };
        if let Some((of, height)) = ledger {
            let disk = &self.nodes[of].disk;
            match disk.ledger_at(&self.start, Height(height), &mut self.verifications) {
                Ok(ledger) => self.nodes[node].disk.replace_ledger(ledger),
                Err(fault) => {
                    self.watch.find("honest nodes go on", format!("a ledger does not replay: {fault}"))
                }
            }
        }
        let Node { disk, counts, has_lost, .. } = &mut self.nodes[node];
        *has_lost = true;
        let count = match loss {
            Loss::Log => {
                disk.memory.lose_log();
                &mut counts.log_lost
            }
            Loss::Directory => {
                disk.memory = crate::memory::Memory::default();
                disk.bodies.clear();
                &mut counts.directory_lost
            }
            Loss::Blocks(_) => &mut counts.blocks_lost,
            Loss::Copy { .. } => {
                disk.memory.stand_aside(now);
                disk.bodies.clear();
                &mut counts.restored
            }
        };
        *count += 1;
    }

    /// Whether fewer than a third still misbehave, have a clock beyond the bound, or do not know what they signed, if this
    /// node does, too.
    pub(super) fn can_bear(&self, node: usize) -> bool {
        let bad = |other: &usize| {
            let is_faulty = self.nodes[*other].byzantine.is_some() || self.nodes[*other].is_forgetful();
            *other == node || is_faulty || self.is_far_off(*other)
        };
        let bearable = self.fewest_validators().saturating_sub(1) / 3;
        (0..self.nodes.len()).filter(bad).count() <= bearable
    }

    /// Whether a clock is wrong by more than what the rule of standing aside bears.
    fn is_far_off(&self, node: usize) -> bool {
        self.nodes[node].skew_ms.unsigned_abs() >= NEAR_SKEW_MS
    }

    /// What a clock may be off by now: in a simulation in which votes are forgotten, too many clocks beyond the bound would
    /// break what standing aside relies on.
    pub(super) fn bearable(&self, node: usize, skew_ms: i64) -> i64 {
        let near = i64::try_from(NEAR_SKEW_MS).unwrap_or(i64::MAX);
        let is_borne = !self.nodes[node].is_forgetful() && self.can_bear(node);
        if self.losses_every_ms.is_none() || is_borne { skew_ms } else { skew_ms % near }
    }

    /// A node that has stood aside for long enough starts again; so does one that has noted that it must.
    pub(super) fn begin_anew(&mut self, node: usize) {
        let name = self.name(node);
        self.remember(|| format!("{name} starts anew"));
        self.nodes[node].shut_down();
        let wait = self.loss_rng.within(50, 500);
        self.at(wait, Event::Restart(node));
    }
}
