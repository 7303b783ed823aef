//! What goes wrong around the nodes, drawn from the seed: links, clocks, disks, power.
//!
//! Every fault heals by itself. The scheduler begins none after three quarters of the heights, so that
//! the last quarter shows whether the network finds back.

use crate::rng::Rng;

/// Clocks of honest nodes are off by less than this, unless one is far off; two of them by less than the bound.
pub(crate) const NEAR_SKEW_MS: u64 = 900;

/// A fault, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The nodes of this set cannot reach the others. Told: connections break; untold: messages vanish.
    Partition { side: u64, told: bool, ms: u64 },
    /// A process is killed and started again.
    Crash { node: usize, ms: u64 },
    /// All processes are killed and started again.
    Blackout { ms: u64 },
    /// A clock is off: within what the rules bear, or far.
    Clock { node: usize, skew_ms: i64, ms: u64 },
    /// A disk takes so many times longer.
    SlowDisk { node: usize, factor: u64, ms: u64 },
    /// Messages are lost, doubled and delayed, each so often in a thousand.
    BadLinks { loss: u64, twice: u64, late: u64, ms: u64 },
    /// A process is killed, and something is gone when it is started again.
    Loss { node: usize, loss: Loss, ms: u64 },
}

/// What is gone of what a validator needs to know what it has signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The log of votes.
    Log,
    /// All of consensus' directory: log, notes, bodies.
    Directory,
    /// So many of the ledger's last blocks.
    Blocks(u64),
    /// Everything: the ledger is a copy of another node's at a height, restored as from a snapshot.
    Copy { of: usize, height: u64 },
}

/// How the links are at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Links {
    pub(crate) loss: u64,
    pub(crate) twice: u64,
    pub(crate) late: u64,
}

/// Which faults a seed has, and how often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    pub(crate) every_ms: u64,
    pub(crate) crashes: bool,
    pub(crate) partitions: bool,
    pub(crate) clocks: bool,
    pub(crate) disks: bool,
    pub(crate) links: bool,
}

impl Weather {
    /// The weather of a seed: most have some of everything, some have one thing only, a few have none.
    pub(crate) fn of(rng: &mut Rng) -> Self {
        let all = rng.chance(500);
        let mut has = |per_mille| all || rng.chance(per_mille);
        let (crashes, partitions, clocks) = (has(400), has(400), has(300));
        let (disks, links) = (has(300), has(500));
        Self { every_ms: rng.within(500, 4_000), crashes, partitions, clocks, disks, links }
    }

    /// The next fault among so many nodes.
    pub(crate) fn next(&self, rng: &mut Rng, nodes: usize) -> Option<Fault> {
        let node = rng.index(nodes);
        let brief = rng.within(50, 1_500);
        let ms = if rng.chance(300) { rng.within(1_500, 8_000) } else { brief };
        let fault = match rng.below(12) {
            0..=3 if self.crashes => Fault::Crash { node, ms },
            4 if self.crashes => Fault::Blackout { ms: brief },
            5 | 6 if self.partitions => {
                let side = rng.within(1, (1 << nodes) - 2);
                Fault::Partition { side, told: rng.chance(500), ms }
            }
            7 if self.clocks => {
                let far = rng.chance(200);
                let off = rng.below(if far { 1_200_000 } else { NEAR_SKEW_MS });
                let skew_ms = i64::try_from(off).unwrap_or_default();
                Fault::Clock { node, skew_ms: if rng.chance(500) { skew_ms } else { -skew_ms }, ms }
            }
            8 if self.disks => Fault::SlowDisk { node, factor: rng.within(5, 80), ms },
            9..=11 if self.links => Fault::BadLinks {
                loss: rng.below(250),
                twice: rng.below(100),
                late: rng.below(300),
                ms: ms * 2,
            },
            _ => return None,
        };
        Some(fault)
    }
}
