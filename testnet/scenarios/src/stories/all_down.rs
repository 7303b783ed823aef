//! All nodes down at once, under load: by a power failure, and in order.

use std::time::Instant;

use custos_testnet::Network;

use super::{FOUR, PATIENCE, seconds};
use crate::clients::{Load, Pace};
use crate::{Plan, Seen, Skipped, Story, Told, checks};

pub(super) const STORY: Story = Story {
    name: "all-down",
    fault: "all four down at once, by SIGKILL and by SIGTERM, under load",
    is_short: false,
    tell,
};

fn tell(plan: &Plan) -> Result<Told, Skipped> {
    let mut network = Network::up(4);
    let load = Load::start(&network, &Pace::gentle());
    let mut seen = Vec::new();
    for (fault, kills) in
        [("SIGKILL of all four", true), ("SIGTERM of all four, then a start in reverse order", false)]
    {
        let mut slowest = std::time::Duration::ZERO;
        let times = plan.times(1, 4);
        for _ in 0..times {
            load.wait_for(8, PATIENCE);
            match kills {
                true => network.kill_together(&FOUR),
                false => network.down(),
            }
            let at = Instant::now();
            for node in FOUR.iter().rev() {
                network.start_without_waiting(*node);
            }
            load.wait_for(1, PATIENCE);
            slowest = slowest.max(at.elapsed());
        }
        seen.push(Seen::new(
            format!("{fault}, {times} times"),
            format!("recorded again at the latest {} after the first start", seconds(slowest)),
            "`/readyz`: `too few validators are connected to decide anything` until three are back",
        ));
    }
    let kept = load.finish();
    Ok(Told { seen, checked: checks::whole(&mut network, &FOUR, &kept) })
}
