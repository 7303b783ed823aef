//! The stories, one a file, and the few words that several of them need.

use std::thread::sleep;
use std::time::{Duration, Instant};

use custos_testnet::Network;

use crate::Story;

mod all_down;
mod below_tcp;
mod bit_flip;
mod flood;
mod full_disk;
mod gone;
mod kill_loop;
mod long_halt;
mod lost_votes;
mod lost_wal;
mod partition;
mod pause;
mod read_only;
mod replaced;
mod rogue;
mod rolling;
mod syscalls;
mod wrong_clock;

/// All of them, in the order in which they are told.
pub const ALL: [Story; 19] = [
    kill_loop::STORY,
    all_down::STORY,
    pause::STORY,
    gone::STORY,
    partition::STORY,
    below_tcp::STORY,
    long_halt::STORY,
    wrong_clock::STORY,
    rogue::STORY,
    flood::STORY,
    rolling::RESTART,
    rolling::UPGRADE,
    replaced::STORY,
    full_disk::STORY,
    read_only::STORY,
    bit_flip::STORY,
    lost_wal::STORY,
    lost_votes::STORY,
    syscalls::STORY,
];

/// The nodes of a network of four.
const FOUR: [usize; 4] = [1, 2, 3, 4];

/// How long the network may take to go on, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(180);

/// Waits for something.
///
/// # Panics
/// When it does not happen.
fn until(what: &str, patience: Duration, mut happened: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !happened() {
        assert!(began.elapsed() < patience, "{what}: not within {} s", patience.as_secs());
        sleep(Duration::from_millis(50));
    }
    began.elapsed()
}

/// What a node's `/healthz` says of consensus, with the reason; or that it does not answer.
fn health(network: &Network, node: usize) -> String {
    match network.client(node).health() {
        Ok(health) => match health.reason {
            Some(reason) => format!("{}: {reason}", health.consensus),
            None => health.consensus,
        },
        Err(_) if network.runs(node) => "no answer".into(),
        Err(_) => "no process".into(),
    }
}

/// Why a node's `/readyz` says that it takes no work; nothing when it does.
fn not_ready(network: &Network, node: usize) -> Option<String> {
    match network.client(node).ready() {
        Ok(answer) if answer.ready => None,
        Ok(answer) => Some(answer.reason.unwrap_or_default()),
        Err(_) => Some("no answer".into()),
    }
}

/// The last line of a log that contains these words, without its time; at most so long.
fn line_with(log: &str, words: &str) -> Option<String> {
    let line = log.lines().rev().find(|line| line.contains(words))?;
    let levels = [" ERROR ", " WARN ", " INFO "];
    let at = levels.iter().find_map(|level| line.find(level).map(|at| at + 1)).unwrap_or(0);
    Some(brief(&line[at..]))
}

/// A text of at most 240 characters.
fn brief(text: &str) -> String {
    const MOST: usize = 240;
    let text = text.trim();
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

/// Tenths of a second, for the table.
fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
