//! `kill -9` in a loop, under load: one node, two, all four, at moments that nothing chose.
//!
//! A node is killed while it votes, while it commits, while it replays its logs, while it catches up. After
//! each round the network has to record something new; what it had acknowledged is counted at the end.

use std::thread::sleep;
use std::time::{Duration, Instant};

use custos_testnet::Network;

use super::{FOUR, PATIENCE, seconds};
use crate::clients::{Load, Pace};
use crate::{Plan, Seen, Skipped, Story, Told, checks};

pub(super) const STORY: Story = Story {
    name: "kill-loop",
    fault: "kill -9 in a loop under load, one, two or all of four at a time",
    is_short: true,
    tell,
};

/// The longest time between a node's start and its next death.
const MOMENT_MS: u64 = 900;

fn tell(plan: &Plan) -> Result<Told, Skipped> {
    let kills = plan.times(12, 200);
    let mut chance = plan.chance();
    let mut network = Network::up(4);
    let load = Load::start(&network, &Pace::gentle());
    load.wait_for(4, PATIENCE);
    let (mut killed, mut rounds, mut all_at_once, mut slowest) = (0, 0, 0, Duration::ZERO);
    while killed < kills {
        let count = match chance.below(10) {
            0 => 4,
            1..=3 => 2,
            _ => 1,
        };
        let victims = chance.some_of(&FOUR, count.min(kills - killed));
        sleep(Duration::from_millis(chance.below(MOMENT_MS)));
        network.kill_together(&victims);
        let at = Instant::now();
        for victim in &victims {
            network.start_without_waiting(*victim);
        }
        // Every third round the next victim falls while the last ones still start.
        if rounds % 3 != 2 {
            load.wait_for(3, PATIENCE);
            slowest = slowest.max(at.elapsed());
        }
        killed += victims.len();
        rounds += 1;
        all_at_once += usize::from(victims.len() == 4);
    }
    for node in FOUR {
        checks::ready(&network, node, checks::READY);
    }
    let tried_again = load.tried_again();
    let kept = load.finish();
    let checked = checks::whole(&mut network, &FOUR, &kept);
    let seen = Seen::new(
        format!("{killed} kills in {rounds} rounds, all four at once in {all_at_once} of them"),
        format!(
            "the network recorded on after every round, at the latest {} after the kill; clients tried again {tried_again} times",
            seconds(slowest)
        ),
        "the process is gone; after its start `/readyz` says `this node is catching up`, then 200",
    );
    Ok(Told { seen: vec![seen], checked })
}
