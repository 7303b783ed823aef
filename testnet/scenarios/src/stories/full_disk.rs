//! A full disk: one node's data is on a small file system, something else fills it, and later makes room.
//!
//! The node must stop rather than acknowledge what it cannot keep, say why, and come back by a mere start
//! once there is room.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use custos_testnet::Network;

use super::{FOUR, PATIENCE, brief, health, line_with, seconds, until};
use crate::clients::{Load, Pace};
use crate::privileges::SmallDisk;
use crate::{Plan, Seen, Skipped, Story, Told, checks};

pub(super) const STORY: Story = Story {
    name: "full-disk",
    fault: "one node's file system fills up under load, then has room again",
    is_short: false,
    tell,
};

const DISK_MB: u64 = 96;

fn tell(plan: &Plan) -> Result<Told, Skipped> {
    let mut network = Network::up_with(4, &["--start", "0"]);
    let data = network.data(4);
    let _disk = SmallDisk::mount(&data, DISK_MB)?;
    for node in FOUR {
        network.start_without_waiting(node);
    }
    for node in FOUR {
        checks::ready(&network, node, PATIENCE);
    }
    let load = Load::start(&network, &Pace { items: 32, ..Pace::gentle() });
    load.wait_for(8, PATIENCE);
    let mut seen = Vec::new();
    for _ in 0..plan.times(1, 3) {
        let ballast = fill(&data);
        let took = until("the node with the full disk stops", PATIENCE, || {
            !network.runs(4)
                || health(&network, 4).starts_with("halted")
                || health(&network, 4).starts_with("safety")
        });
        let shown = health(&network, 4);
        until("its process ends, or it says so", PATIENCE, || !network.runs(4) || shown.contains(':'));
        let log = network.log(4);
        let line = line_with(&log, "halt")
            .or_else(|| line_with(&log, "ERROR"))
            .unwrap_or_else(|| "(no line)".into());
        load.wait_for(8, PATIENCE);
        if network.runs(4) {
            network.kill_together(&[4]);
        }
        // Full, it does not start, and says so.
        let ended = network.run_until_end(4, Duration::from_secs(30));
        let start = match &ended {
            Some(ended) => {
                assert!(!ended.words.contains("panicked at"), "{}", ended.words);
                assert_eq!(ended.code, Some(2), "{}", ended.words);
                format!("exit code 2: {}", brief(ended.reason()))
            }
            None => "it starts, and follows what needs no room".into(),
        };
        std::fs::remove_file(&ballast).expect("because we made it");
        network.start(4);
        load.wait_for(8, PATIENCE);
        seen.push(Seen::new(
            "the disk of one node is full",
            format!(
                "it stopped {} later, the others recorded on; with room again it started and caught up",
                seconds(took)
            ),
            format!("`/healthz`: {}; log: {line}; a start on the full disk: {start}", brief(&shown)),
        ));
    }
    seen.truncate(1);
    let kept = load.finish();
    Ok(Told { seen, checked: checks::whole(&mut network, &FOUR, &kept) })
}

/// Fills the file system to the last byte.
fn fill(folder: &Path) -> PathBuf {
    let path = folder.join("ballast");
    let mut file = File::create(&path).expect("because there is room for a name");
    for piece in [vec![0x5a; 1 << 20], vec![0x5a; 4096], vec![0x5a; 1]] {
        while file.write_all(&piece).is_ok() {}
    }
    path
}
