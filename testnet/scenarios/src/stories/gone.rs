//! One and two of four gone: with one gone the network goes on, with two it stands, and says so.

use std::time::Duration;

use custos_testnet::Network;

use super::{FOUR, PATIENCE, health, not_ready, seconds, until};
use crate::clients::{Load, Pace};
use crate::{Plan, Seen, Skipped, Story, Told, checks};

pub(super) const STORY: Story =
    Story { name: "gone", fault: "one and two of four gone for a while", is_short: false, tell };

fn tell(plan: &Plan) -> Result<Told, Skipped> {
    let mut network = Network::up(4);
    let load = Load::start(&network, &Pace::gentle());
    load.wait_for(4, PATIENCE);
    network.kill_together(&[4]);
    let took = load.wait_for(plan.times(20, 100) as u64, PATIENCE);
    let mut seen = vec![Seen::new(
        "one of four gone",
        format!("the others recorded {} submissions in {}", plan.times(20, 100), seconds(took)),
        "`custos_peers` is 2 on the others; every fourth height takes a second round (`custos_consensus_round`)",
    )];

    network.kill_together(&[3]);
    assert!(
        load.is_silent(Duration::from_secs(1), Duration::from_secs(6)),
        "two of four acknowledged something"
    );
    until("node 1 says that it waits", PATIENCE, || not_ready(&network, 1).is_some());
    let (shown, reason) = (health(&network, 1), not_ready(&network, 1).unwrap_or_default());
    network.start_without_waiting(3);
    let took = load.wait_for(1, PATIENCE);
    seen.push(Seen::new(
        "two of four gone, then one back",
        format!("nothing was acknowledged meanwhile; recorded again {} after its start", seconds(took)),
        format!("`/healthz`: {shown}; `/readyz` 503: {reason}"),
    ));
    network.start(4);
    let kept = load.finish();
    Ok(Told { seen, checked: checks::whole(&mut network, &FOUR, &kept) })
}
