//! A rolling restart and a rolling upgrade: one node after the other, in order, with traffic throughout.
//!
//! Nothing that was acknowledged may be lost, and no client may have to wait for longer than one node's turn.
//! The upgrade starts each node from another file of the program, as a package manager would leave it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use custos_testnet::{Network, binary};

use super::{FOUR, PATIENCE, seconds};
use crate::clients::{Load, Pace};
use crate::{Plan, Seen, Skipped, Story, Told, checks};

pub(super) const RESTART: Story = Story {
    name: "rolling-restart",
    fault: "every node restarted in order, one after the other, under load",
    is_short: false,
    tell: |plan| tell(plan, false),
};

pub(super) const UPGRADE: Story = Story {
    name: "rolling-upgrade",
    fault: "every node stopped and started by another copy of the program, under load",
    is_short: false,
    tell: |plan| tell(plan, true),
};

fn tell(plan: &Plan, upgrade: bool) -> Result<Told, Skipped> {
    let mut network = Network::up(4);
    let load = Load::start(&network, &Pace::gentle());
    load.wait_for(4, PATIENCE);
    let (mut stops, mut starts) = (Duration::ZERO, Duration::ZERO);
    let rounds = plan.times(1, 3);
    for round in 0..rounds {
        let program = match upgrade {
            true => copy(&network, round),
            false => binary(),
        };
        for node in FOUR {
            let at = Instant::now();
            network.stop(node);
            stops = stops.max(at.elapsed());
            let at = Instant::now();
            network.start_by(&program, node, &[], true);
            starts = starts.max(at.elapsed());
            let runs = network.pid(node).and_then(|pid| std::fs::read_link(format!("/proc/{pid}/exe")).ok());
            let wanted = program.canonicalize().ok();
            assert!(runs.is_some() && runs == wanted, "node {node} runs {runs:?} and not {wanted:?}");
            load.wait_for(4, PATIENCE);
        }
    }
    for node in FOUR {
        let log = network.log(node);
        assert!(log.contains("stopped"), "node {node} did not end in order");
    }
    let tried_again = load.tried_again();
    let kept = load.finish();
    let what = if upgrade { "stopped and started by a new file of the program" } else { "restarted" };
    let seen = Seen::new(
        format!("four nodes {what} one by one, {rounds} times"),
        format!(
            "recorded on throughout; stopping took at most {}, coming back at most {}; clients tried again {tried_again} times",
            seconds(stops),
            seconds(starts)
        ),
        "log: `stopping`, `stopped`, then `the node listens`; `/readyz` 503 until it has caught up; exit code 0",
    );
    Ok(Told { seen: vec![seen], checked: checks::whole(&mut network, &FOUR, &kept) })
}

/// Another file with the same program in it.
fn copy(network: &Network, round: usize) -> PathBuf {
    let path = network.folder().join(format!("custos-{}", round + 2));
    std::fs::copy(binary(), &path).expect("because the folder has room for a program");
    path
}
