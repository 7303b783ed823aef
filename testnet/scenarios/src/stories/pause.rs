//! SIGSTOP and resume: processes that are there, hold their connections, and do nothing.
//!
//! The hard part is not the pause but the end of it: a node that resumes acts on what it knew before,
//! with timers that are long over.

use std::time::Duration;

use custos_testnet::{Network, ProcessSignal};

use super::{FOUR, PATIENCE, health, seconds};
use crate::clients::{Load, Pace};
use crate::{Plan, Seen, Skipped, Story, Told, checks};

pub(super) const STORY: Story =
    Story { name: "pause", fault: "SIGSTOP of one, two and all nodes, and resume", is_short: true, tell };

/// What was under way when the nodes stopped may still arrive for this long.
const SETTLING: Duration = Duration::from_secs(1);

fn tell(plan: &Plan) -> Result<Told, Skipped> {
    let mut network = Network::up(4);
    let load = Load::start(&network, &Pace::gentle());
    load.wait_for(4, PATIENCE);
    let mut seen = Vec::new();

    network.signal(4, ProcessSignal::STOP);
    load.wait_for(plan.times(10, 60) as u64, PATIENCE);
    let shown = health(&network, 4);
    network.signal(4, ProcessSignal::CONT);
    checks::ready(&network, 4, PATIENCE);
    seen.push(Seen::new(
        "one of four stopped while the others recorded on, then resumed",
        "the others went on; it caught up",
        format!("`/healthz` of the stopped node: {shown}; its requests time out"),
    ));

    network.signal(2, ProcessSignal::STOP);
    network.signal(3, ProcessSignal::STOP);
    let lasting = Duration::from_secs(plan.times(3, 15) as u64);
    let still = checks::stand_still(&network, &[1, 4], SETTLING, lasting);
    assert!(still, "two of four recorded something");
    let shown = health(&network, 1);
    network.signal(2, ProcessSignal::CONT);
    network.signal(3, ProcessSignal::CONT);
    let took = load.wait_for(1, PATIENCE);
    seen.push(Seen::new(
        format!("two of four stopped for {} s, then resumed", lasting.as_secs()),
        format!("nothing was acknowledged meanwhile; recorded again {} after the resume", seconds(took)),
        format!("`/healthz` of a running node: {shown}"),
    ));

    for node in FOUR {
        network.signal(node, ProcessSignal::STOP);
    }
    std::thread::sleep(Duration::from_secs(2));
    for node in FOUR {
        network.signal(node, ProcessSignal::CONT);
    }
    let took = load.wait_for(1, PATIENCE);
    seen.push(Seen::new(
        "all four stopped for 2 s, then resumed",
        format!("recorded again {} after the resume", seconds(took)),
        "nothing but the gap",
    ));
    let kept = load.finish();
    Ok(Told { seen, checked: checks::whole(&mut network, &FOUR, &kept) })
}
