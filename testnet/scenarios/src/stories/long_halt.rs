//! A long halt in the middle of a height: two of four stop, for longer than a block's time may be off, and
//! come back.
//!
//! The block that was under way, and that some may be locked on, is older than the clock bound by then. The
//! time rule has to let it through all the same (it is valid for whom it was valid, and its lower end moves
//! back with every round), or the height could never be decided. Which halts hit such a block is seen
//! afterwards in the chain itself: a block that was built before the halt and decided after it. If it was
//! decided in a later round than its own, it was proposed again: some were locked on it, and the others judged
//! it at its age.
//!
//! Such locks are made often enough to be hit. Two nodes wait hardly for votes, one of them hardly for proposals,
//! and what the second says is long on its way to them:
//!
//! ```text
//! 4     prevotes nothing: the proposal comes too late
//! 1, 2  see three prevotes for the block, lock on it and precommit to it
//! 3, 4  have three prevotes, not all for the block, and precommit to nothing before the second's arrives
//! ```

use std::thread::sleep;
use std::time::Duration;

use custos_proof::ids::{Height, Round};
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
/// How late it arrives between the second node and the two that do not wait.
const LONG_LINE_MS: u64 = 200;
/// How long these two wait for votes, and one of them for proposals: the least that a configuration takes.
const VOTE_MS: i64 = 20;
const PROPOSE_MS: i64 = 50;
/// How long what is on its way when a halt begins may still be acknowledged.
const SETTLES: Duration = Duration::from_secs(2);
/// How long a halt lasts after that.
const HALT: Duration = Duration::from_secs(6);
/// Halts, at most; the story ends with the first few that hit a block that is proposed again afterwards.
const TRIES: usize = 40;
/// How many are wanted.
const WANTED: usize = 2;

/// A block from before a halt that was decided after it.
struct Hit {
    height: u64,
    age_s: u64,
    built: Round,
    decided: Round,
}

/// How many of these were proposed again in a later round than their own.
fn carried_on(hits: &[Hit]) -> usize {
    hits.iter().filter(|hit| hit.decided > hit.built).count()
}

fn tell(plan: &Plan) -> Result<Told, Skipped> {
    let mut network = Network::up_with(4, &["--start", "0"]);
    let mesh = Mesh::between(&network, &FOUR);
    for node in FOUR {
        let path = network.config(node);
        let text = std::fs::read_to_string(&path).expect("because the node has a configuration");
        let mut config: toml::Table = text.parse().expect("because the command wrote it");
        let section = config["consensus"].as_table_mut().expect("because the command writes every section");
        section.insert("clock_bound_ms".into(), BOUND_MS.into());
        if node > 2 {
            section.insert("vote_ms".into(), VOTE_MS.into());
        }
        if node > 3 {
            section.insert("propose_ms".into(), PROPOSE_MS.into());
        }
        std::fs::write(&path, toml::to_string(&config).expect("because it was TOML"))
            .expect("because it is ours");
        network.start_without_waiting(node);
    }
    for node in FOUR {
        checks::ready(&network, node, PATIENCE);
    }
    // Long lines: between the votes that lock a block and those that decide it there is time to stop.
    mesh.set(&FOUR, &FOUR, Mode::Delay(LINE_MS));
    mesh.set(&[2], &[3, 4], Mode::Delay(LONG_LINE_MS));
    let load = Load::start(&network, &Pace { rest: Duration::ZERO, ..Pace::gentle() });
    load.wait_for(4, PATIENCE);
    let mut chance = plan.chance();
    let (mut halts, mut slowest, mut shown) = (0, Duration::ZERO, String::new());
    let mut hits: Vec<Hit> = Vec::new();
    while halts < plan.times(3, TRIES) && carried_on(&hits) < WANTED {
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
        assert!(load.is_silent(SETTLES, HALT), "two of four acknowledged something");
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
                let age_s = now().0.saturating_sub(header.time.0) / 1000;
                hits.push(Hit { height, age_s, built: header.round, decided: certificate.round });
            }
        }
    }
    mesh.heal();
    for node in FOUR {
        checks::ready(&network, node, checks::READY);
    }
    let kept = load.finish();
    let checked = checks::whole(&mut network, &FOUR, &kept);
    let carried = carried_on(&hits);
    if !plan.short {
        let count = hits.len();
        assert!(
            carried > 0,
            "{halts} halts, {count} hit a block under way, none of them was decided in a later round than its own: \
             that a lock is got over was not shown"
        );
    }
    let heights: Vec<String> = hits
        .iter()
        .map(|Hit { height, age_s, built, decided }| {
            format!("height {height}, {age_s} s old, built in round {built}, decided in round {decided}")
        })
        .collect();
    let seen = Seen::new(
        format!(
            "{halts} halts of {} s (clock bound {} s), two of four stopped or killed",
            (SETTLES + HALT).as_secs(),
            BOUND_MS / 1000
        ),
        format!(
            "nothing acknowledged meanwhile; recorded again at the latest {} after the end; blocks from before a halt, decided after it, {carried} of them in a later round than their own: {}",
            seconds(slowest),
            if heights.is_empty() { "none hit".into() } else { heights.join(", ") }
        ),
        format!("`/healthz` during the halt: {shown}; `custos_height` does not rise"),
    );
    Ok(Told { seen: vec![seen], checked })
}
