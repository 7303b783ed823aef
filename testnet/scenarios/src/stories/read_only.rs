//! A read-only data directory: the whole of it, the ledger's part, consensus' part.
//!
//! As root it is mounted read-only, because root writes past permissions; otherwise its permissions go.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use custos_testnet::Network;

use super::{FOUR, PATIENCE, brief};
use crate::clients::{Load, Pace};
use crate::privileges::ReadOnly;
use crate::{Plan, Seen, Skipped, Story, Told, checks};

pub(super) const STORY: Story = Story {
    name: "read-only",
    fault: "a node started on a data directory that it cannot write to",
    is_short: false,
    tell,
};

fn tell(_: &Plan) -> Result<Told, Skipped> {
    let mut network = Network::up(4);
    let load = Load::start(&network, &Pace::gentle());
    load.wait_for(8, PATIENCE);
    let mut seen = Vec::new();
    for (what, part) in
        [("the data directory", ""), ("the ledger's part", "ledger"), ("consensus' part", "consensus")]
    {
        match network.runs(4) {
            true => network.stop(4),
            false => panic!("node 4 did not come back after the last one"),
        }
        let folder = network.data(4).join(part);
        let guard = Guard::put(&folder)?;
        let ended = network.run_until_end(4, Duration::from_secs(60));
        drop(guard);
        let Some(ended) = ended else { panic!("the node runs although {what} cannot be written") };
        assert!(!ended.words.contains("panicked at"), "{}", ended.words);
        assert_eq!(ended.code, Some(2), "{what}: {}", ended.words);
        load.wait_for(8, PATIENCE);
        network.start(4);
        seen.push(Seen::new(
            format!("{what} is read-only"),
            "the node does not start; the others recorded on; writable again, it started and caught up",
            format!("exit code 2: {}", brief(ended.reason())),
        ));
    }
    let kept = load.finish();
    Ok(Told { seen, checked: checks::whole(&mut network, &FOUR, &kept) })
}

/// Read-only while this lives.
enum Guard {
    Mounted(#[allow(dead_code)] ReadOnly),
    Permissions(Vec<(PathBuf, Permissions)>),
}

impl Guard {
    fn put(folder: &Path) -> Result<Self, Skipped> {
        if rustix::process::geteuid().is_root() {
            return ReadOnly::mount(folder).map(Self::Mounted);
        }
        let mut before = Vec::new();
        take_write(folder, &mut before);
        Ok(Self::Permissions(before))
    }
}

fn take_write(path: &Path, before: &mut Vec<(PathBuf, Permissions)>) {
    let Ok(metadata) = fs::symlink_metadata(path) else { return };
    if metadata.is_dir() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            take_write(&entry.path(), before);
        }
    }
    let mode = metadata.permissions().mode();
    before.push((path.to_owned(), metadata.permissions()));
    let _ = fs::set_permissions(path, Permissions::from_mode(mode & !0o222));
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Guard::Permissions(before) = self {
            for (path, permissions) in before.iter().rev() {
                let _ = fs::set_permissions(path, permissions.clone());
            }
        }
    }
}
