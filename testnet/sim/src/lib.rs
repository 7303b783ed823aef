//! How it fails, deterministically: the real rules and the real consensus under one seeded scheduler, and oracles
//! that do not call the code they judge.
//!
//! A simulated network runs `custos-state`, `custos-consensus`'s host and the engine's core in every node,
//! with messages, disks, clocks, crashes and faulty validators drawn from a seed. What is seen is judged by
//! two sorts of oracles: [`watch`](self) for consensus, [`oracle`] for the ledger. The same seed gives the same
//! trace; a finding therefore names the command that shows it again.
//!
//! Deliberately absent: sockets, threads, RocksDB and the engine's actors. They are tested in real processes.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod byzantine;
mod disk;
mod faults;
mod govern;
mod intake;
/// The node's mempool, the same file: `custos-node` itself would bring RocksDB and a runtime.
#[allow(dead_code, unreachable_pub, missing_docs)]
#[path = "../../../node/src/mempool.rs"]
mod mempool;
mod mischief;
mod node;
pub mod oracle;
mod plant;
mod rng;
mod sim;
mod watch;
mod workload;
mod world;

pub use byzantine::Byzantine;
pub use plant::Plant;
pub use sim::{Options, PROGRESS_MS, Report};
pub use watch::Finding;

/// Simulates a seed, with all oracles.
#[must_use]
pub fn simulate(options: &Options) -> Report {
    sim::run(options, |genesis| match options.naive {
        true => naive(genesis),
        false => Box::new(|_| Ok(())),
    })
}

/// The naive ledger over a genesis, as the judge of every block.
fn naive(genesis: &[u8]) -> watch::Judge {
    let mut naive = match oracle::Naive::new(genesis) {
        Ok(naive) => naive,
        Err(finding) => {
            let what = finding.to_string();
            return Box::new(move |_| Err(what.clone()));
        }
    };
    Box::new(move |block| naive.block(block).map_err(|finding| finding.to_string()))
}
