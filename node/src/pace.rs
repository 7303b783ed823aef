//! How fast what waits is recorded, and so how long a newcomer would wait.
//!
//! A waiting room that is bounded in bytes alone takes minutes of work before it is full. Under a load
//! that the validators cannot carry, every submission would then be checked and passed on at once and
//! recorded much later, by processors that the check has taken from the recording. So clients are
//! refused, before anything is checked, once what waits takes longer than [`LONGEST_MS`]; a little may
//! always wait, also while nothing is recorded at all.
//!
//! A pure data structure: no clock, no lock.
//!
//! Deliberately absent: any say over what peers pass on. Another node has promised to record it.

use std::collections::VecDeque;

/// How much work may wait, in ms of recording.
pub const LONGEST_MS: u64 = 3_000;
/// As many submissions may always wait.
const ALWAYS: usize = 1_024;
/// As many bytes may always wait.
const ALWAYS_BYTES: usize = 4 * 1024 * 1024;
/// How many blocks the pace is taken from.
const BLOCKS: usize = 16;

/// The last blocks that did not empty the waiting room, and the one before them.
#[derive(Debug, Default)]
pub struct Pace {
    blocks: VecDeque<Block>,
}

/// What one block took out of the waiting room.
#[derive(Debug, Clone, Copy)]
struct Block {
    at_ms: u64,
    submissions: usize,
    bytes: usize,
}

impl Pace {
    /// A block took `submissions` with `bytes` out of the waiting room at `at_ms` of a steady clock; `left` wait on.
    pub fn recorded(&mut self, at_ms: u64, submissions: usize, bytes: usize, left: usize) {
        if left == 0 {
            // It could have recorded more: nothing is known of how much.
            self.blocks.clear();
        }
        self.blocks.push_back(Block { at_ms, submissions, bytes });
        while self.blocks.len() > BLOCKS {
            self.blocks.pop_front();
        }
    }

    /// How long, in ms, `submissions` with `bytes` take to be recorded at `now_ms`; `None` while that is not known,
    /// or when there are so few that they may always wait.
    #[must_use]
    pub fn wait_ms(&self, now_ms: u64, submissions: usize, bytes: usize) -> Option<u64> {
        if submissions < ALWAYS && bytes < ALWAYS_BYTES {
            return None;
        }
        let first = self.blocks.front()?;
        let (mut of_submissions, mut of_bytes) = (0usize, 0usize);
        for block in self.blocks.iter().skip(1) {
            of_submissions += block.submissions;
            of_bytes += block.bytes;
        }
        let elapsed = now_ms.saturating_sub(first.at_ms).max(1);
        let takes = |waiting: usize, recorded: usize| {
            (waiting as u64).saturating_mul(elapsed) / (recorded as u64).max(1)
        };
        // Too little time to say anything.
        if of_submissions == 0 && elapsed < LONGEST_MS {
            return None;
        }
        Some(takes(submissions, of_submissions).max(takes(bytes, of_bytes)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// 200 submissions of 400 bytes each, every 100 ms.
    fn busy(blocks: u64) -> Pace {
        let mut pace = Pace::default();
        (0..blocks).for_each(|block| pace.recorded(1_000 + block * 100, 200, 80_000, 5_000));
        pace
    }

    #[test]
    fn what_waits_takes_as_long_as_the_last_blocks_say() {
        let pace = busy(20);
        assert_eq!(pace.wait_ms(2_900, 4_000, 1_600_000), Some(2_000));
        assert_eq!(pace.wait_ms(2_900, 8_000, 3_200_000), Some(4_000));
        // The same number, ten times as large each.
        assert_eq!(pace.wait_ms(2_900, 4_000, 16_000_000), Some(20_000));
    }

    #[test]
    fn a_little_may_always_wait() {
        let mut stuck = busy(3);
        stuck.recorded(1_300, 0, 0, 10);
        assert_eq!(stuck.wait_ms(1_000_000, ALWAYS - 1, ALWAYS_BYTES - 1), None);
        assert_eq!(Pace::default().wait_ms(10, 100_000, 1 << 30), None, "nothing is known before a block");
    }

    #[test]
    fn the_longer_no_block_comes_the_longer_the_wait() {
        let pace = busy(16);
        let soon = pace.wait_ms(2_500, 4_000, 1_600_000).unwrap();
        let later = pace.wait_ms(12_500, 4_000, 1_600_000).unwrap();
        assert!(soon <= LONGEST_MS && later > LONGEST_MS, "{soon} {later}");
    }

    #[test]
    fn a_block_that_takes_all_there_is_says_nothing_about_the_pace() {
        let mut pace = busy(16);
        pace.recorded(2_600, 5_000, 2_000_000, 0);
        assert_eq!(pace.wait_ms(2_700, 100_000, 40_000_000), None);
        // The next ones do.
        pace.recorded(2_800, 200, 80_000, 90_000);
        assert_eq!(pace.wait_ms(2_800, 4_000, 1_600_000), Some(4_000));
    }
}
