//! A long halt in the middle of a height: two of four stop, for longer than a block's time may be off, and
//! come back.
//!
//! The block that was under way, and that some may be locked on, is older than the clock bound by then. The
//! time rule has to let it through all the same (it is valid for whom it was valid, and its lower end moves
//! back with every round), or the height could never be decided. Which halts hit such a block is seen
//! afterwards in the chain itself: a block that was built before the halt and decided after it.

use std::thread::sleep;
use std::time::Duration;

use custos_proof::ids::Height;
use custos_testnet::{Network, ProcessSignal};

use super::{FOUR, PATIENCE, health, seconds};
use crate::clients::{Load, Pace, now};
use crate::proxy::{Mesh, Mode};
use crate::{Plan, Seen, Skipped, Story, Told, checks};

pub(super) const STORY: Story = Story {
    name: "long-halt",
    fault: "two of four stopped or dead for longer than the clock bound, with a block under way",
    is_short: false,
    tell,
};

/// The bound on a block's time that the nodes are given: short, so that the halts need not be long.
const BOUND_MS: i64 = 1_000;
/// How late everything arrives.
const LINE_MS: u64 = 80;
/// How long a halt lasts.
const HALT: Duration = Duration::from_secs(6);
/// Halts, at most; the story ends with the first few that hit a block under way.
const TRIES: usize = 24;
/// How many are wanted.
const WANTED: usize = 2;

fn tell(plan: &Plan) -> Result<Told, Skipped> {
    let mut network = Network::up_with(4, &["--start", "0"]);
    let mesh = Mesh::between(&network, &FOUR);
    for node in FOUR {
        let path = network.config(node);
        let text = std::fs::read_to_string(&path).expect("because the node has a configuration");
        let mut config: toml::Table = text.parse().expect("because the command wrote it");
        let section = config["consensus"].as_table_mut().expect("because the command writes every section");
        section.insert("clock_bound_ms".into(), BOUND_MS.into());
        std::fs::write(&path, toml::to_string(&config).expect("because it was TOML"))
            .expect("because it is ours");
        network.start_without_waiting(node);
    }
    for node in FOUR {
        checks::ready(&network, node, PATIENCE);
    }
    // Long lines: between the votes that lock a block and those that decide it there is time to stop.
    mesh.set(&FOUR, &FOUR, Mode::Delay(LINE_MS));
    let load = Load::start(&network, &Pace { rest: Duration::ZERO, ..Pace::gentle() });
    load.wait_for(4, PATIENCE);
    let mut chance = plan.chance();
    let (mut halts, mut slowest, mut locked, mut shown) = (0, Duration::ZERO, Vec::new(), String::new());
    while halts < plan.times(3, TRIES) && locked.len() < WANTED {
        let dies = halts % 2 == 1;
        sleep(Duration::from_millis(chance.below(600)));
        let stopped_at = now();
        match dies {
            true => network.kill_together(&[3, 4]),
            false => {
                network.signal(3, ProcessSignal::STOP);
                network.signal(4, ProcessSignal::STOP);
            }
        }
        assert!(load.is_silent(Duration::from_secs(1), HALT), "two of four acknowledged something");
        shown = health(&network, 1);
        let looked = network.head(&[1, 2]);
        for node in [3, 4] {
            match dies {
                true => network.start_without_waiting(node),
                false => network.signal(node, ProcessSignal::CONT),
            }
        }
        slowest = slowest.max(load.wait_for(2, PATIENCE));
        halts += 1;
        let head = network.head(&[1, 2]);
        network.wait_for_height(&[1], head);
        let client = network.client(1);
        for height in looked + 1..=head {
            let header = client.header(Height(height)).expect("because the node is that far");
            let certificate = client.certificate(Height(height)).expect("because the node is that far");
            if header.time <= stopped_at {
                let round = certificate.round.0;
                locked.push((height, now().0.saturating_sub(header.time.0) / 1000, header.round.0, round));
            }
        }
    }
    mesh.heal();
    for node in FOUR {
        checks::ready(&network, node, checks::READY);
    }
    let kept = load.finish();
    let checked = checks::whole(&mut network, &FOUR, &kept);
    if !plan.short {
        assert!(!locked.is_empty(), "{halts} halts and none hit a block under way: nothing was shown");
    }
    let heights: Vec<String> = locked
        .iter()
        .map(|(height, age, built, decided)| {
            format!("height {height}, {age} s old, built in round {built}, decided in round {decided}")
        })
        .collect();
    let seen = Seen::new(
        format!(
            "{halts} halts of {} s (clock bound {} s), two of four stopped or killed",
            HALT.as_secs() + 1,
            BOUND_MS / 1000
        ),
        format!(
            "nothing acknowledged meanwhile; recorded again at the latest {} after the end; blocks from before a halt, decided after it: {}",
            seconds(slowest),
            if heights.is_empty() { "none hit".into() } else { heights.join(", ") }
        ),
        format!("`/healthz` during the halt: {shown}; `custos_height` does not rise"),
    );
    Ok(Told { seen: vec![seen], checked })
}
