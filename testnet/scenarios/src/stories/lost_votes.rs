//! Consensus' own directory is lost: the node no longer knows what it voted for in the height that is open.
//!
//! This is how a validator signs twice without meaning to. Two others stand still, so that the height stays
//! open with this node's votes in it; it is killed, its log of votes deleted, and started again. It must not
//! vote in that height a second time.

use std::fs;
use std::time::Duration;

use custos_testnet::{Network, ProcessSignal};

use super::{FOUR, PATIENCE, line_with, seconds, until};
use crate::clients::{Load, Pace};
use crate::{Plan, Seen, Skipped, Story, Told, checks};

pub(super) const STORY: Story = Story {
    name: "lost-votes",
    fault: "consensus' log of votes deleted on a killed node, in an open height",
    is_short: false,
    tell,
};

/// How long the open height stays open after the start.
const FORGETS: Duration = Duration::from_secs(20);

fn tell(plan: &Plan) -> Result<Told, Skipped> {
    let mut network = Network::up(4);
    let load = Load::start(&network, &Pace::gentle());
    let times = plan.times(1, 6);
    let mut slowest = Duration::ZERO;
    for _ in 0..times {
        load.wait_for(8, PATIENCE);
        for node in [2, 3] {
            network.signal(node, ProcessSignal::STOP);
        }
        assert!(load.is_silent(Duration::from_secs(1), Duration::from_secs(2)), "two of four acknowledged");
        network.kill_together(&[4]);
        fs::remove_dir_all(network.data(4).join("consensus")).expect("because it is ours");
        network.start_without_waiting(4);
        until("it answers", PATIENCE, || network.client(4).health().is_ok());
        // A node that sees too few others waits for them before it starts a height; then come the timeouts of a
        // round. Whatever it would vote a second time it has voted by then.
        let still = checks::stand_still(&network, &[1], Duration::from_secs(2), FORGETS);
        assert!(still, "two of four recorded something");
        for node in [2, 3] {
            network.signal(node, ProcessSignal::CONT);
        }
        slowest = slowest.max(load.wait_for(2, PATIENCE));
        checks::ready(&network, 4, PATIENCE);
    }
    let log = network.log(4);
    let aside = line_with(&log, "stands aside").unwrap_or_else(|| "(no line)".into());
    let seen = Seen::new(
        format!("{times} times: two stopped, a third killed and its log of votes deleted, started again"),
        format!(
            "it did not vote in the open height again; recorded on at the latest {} after the two resumed",
            seconds(slowest)
        ),
        format!("log: {aside}"),
    );
    let kept = load.finish();
    Ok(Told { seen: vec![seen], checked: checks::whole(&mut network, &FOUR, &kept) })
}
