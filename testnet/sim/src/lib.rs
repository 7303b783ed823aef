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
mod memory;
/// The node's mempool, the same file: `custos-node` itself would bring RocksDB and a runtime.
#[allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]
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
pub use node::Counts;
pub use plant::Plant;
pub use sim::{Options, PROGRESS_MS, Report};
pub use watch::Finding;

/// Simulates a seed, with all oracles. A panic of what is simulated is a finding, too.
#[must_use]
pub fn simulate(options: &Options) -> Report {
    let judge = |genesis: &[u8]| -> Box<dyn watch::Judge> {
        if !options.naive {
            return Box::new(watch::Nobody);
        }
        match oracle::Naive::new(genesis) {
            Ok(naive) => Box::new(naive),
            Err(finding) => panic!("the naive ledger refuses the genesis: {finding}"),
        }
    };
    std::panic::catch_unwind(|| sim::run(options, judge)).unwrap_or_else(|panic| {
        let what = panic.downcast_ref::<String>().cloned();
        let what = what.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Report::of_panic(options.seed, what.unwrap_or_default())
    })
}
