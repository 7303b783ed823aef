//! The database's write-ahead log is lost: what RocksDB had not yet moved into table files is gone, blocks
//! that this node had acknowledged among it.
//!
//! The others have them, so the network loses nothing; the node must fetch them again, and must not vote
//! anew at heights at which it had voted.

use std::fs;

use custos_testnet::Network;

use super::{FOUR, PATIENCE, line_with, until};
use crate::clients::{Load, Pace};
use crate::{Plan, Seen, Skipped, Story, Told, checks};

pub(super) const STORY: Story = Story {
    name: "lost-wal",
    fault: "the database's write-ahead log deleted on a killed node, then on two",
    is_short: false,
    tell,
};

fn tell(plan: &Plan) -> Result<Told, Skipped> {
    let mut network = Network::up(4);
    let load = Load::start(&network, &Pace::gentle());
    let mut seen = Vec::new();
    for victims in [[4].as_slice(), &[3, 4]] {
        load.wait_for(plan.times(15, 60) as u64, PATIENCE);
        let before = network.head(victims);
        network.kill_together(victims);
        for victim in victims {
            let lost = remove_logs(&network, *victim);
            assert!(lost > 0, "node {victim} had no log to lose");
            network.start_without_waiting(*victim);
        }
        until("they come back or say why not", PATIENCE, || {
            victims.iter().all(|victim| !network.runs(*victim) || network.client(*victim).health().is_ok())
        });
        let log = network.log(victims[0]);
        let opened = line_with(&log, "the node listens").unwrap_or_default();
        for victim in victims {
            checks::ready(&network, *victim, PATIENCE);
        }
        load.wait_for(4, PATIENCE);
        let aside = line_with(&log, "stands aside").map(|line| format!("; log: {line}")).unwrap_or_default();
        seen.push(Seen::new(
            format!("{} of four lost the database's log, at height {before} or later", victims.len()),
            "opened at an earlier height, fetched the rest from the others, went on",
            format!("log: {opened}{aside}"),
        ));
    }
    let kept = load.finish();
    Ok(Told { seen, checked: checks::whole(&mut network, &FOUR, &kept) })
}

fn remove_logs(network: &Network, node: usize) -> usize {
    let files = fs::read_dir(network.data(node).join("ledger")).expect("because the node has a ledger");
    let logs =
        files.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "log"));
    logs.map(|path| fs::remove_file(path).expect("because the file is ours")).count()
}
