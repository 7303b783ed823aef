//! System calls of one node that write to the disk fail, from some moment on or once: strace injects it.
//!
//! A failed write leaves unknown what is on the disk. The node has to stop taking part, say why, and open
//! afterwards, or say why not. It may never go on as if nothing had happened.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use custos_testnet::{Network, binary, plain};
use rustix::process::{Pid, Signal, kill_process};

use super::{FOUR, PATIENCE, brief, health, line_with};
use crate::clients::{Load, Pace};
use crate::privileges::can_inject;
use crate::{Plan, Seen, Skipped, Story, Told, checks};

pub(super) const STORY: Story = Story {
    name: "syscalls",
    fault: "fsync, fdatasync and write fail with EIO or ENOSPC under a node's store and votes",
    is_short: false,
    tell,
};

/// What fails: the call, how, and in which part of the data directory (all of it when empty).
const FAULTS: [(&str, &str, Part); 7] = [
    ("fdatasync", "error=EIO:when=25+", Part::Anywhere),
    ("fdatasync", "error=ENOSPC:when=40+", Part::Anywhere),
    ("fdatasync", "error=EIO:when=30", Part::Anywhere),
    ("fsync", "error=EIO:when=20+", Part::Anywhere),
    ("write", "error=EIO:when=30+", Part::DatabaseLogs),
    ("write", "error=ENOSPC:when=30+", Part::DatabaseLogs),
    ("write", "error=ENOSPC:when=12+", Part::Votes),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Anywhere,
    DatabaseLogs,
    Votes,
}

/// How long a node may go on under strace until the fault has struck.
const STRIKES: Duration = Duration::from_secs(120);

fn tell(plan: &Plan) -> Result<Told, Skipped> {
    can_inject()?;
    let mut network = Network::up(4);
    let load = Load::start(&network, &Pace { nodes: vec![1, 2, 3], ..Pace::gentle() });
    let mut seen = Vec::new();
    for (call, fault, part) in FAULTS.into_iter().take(plan.times(2, FAULTS.len())) {
        load.wait_for(4, PATIENCE);
        network.stop(4);
        let mut traced = Traced::start(&network, call, fault, part);
        let began = Instant::now();
        let what = format!("{call}, {fault}, {part:?}");
        let (outcome, shown) = loop {
            if let Some(code) = traced.ended() {
                break (format!("the process ended with exit code {code}"), "no process".to_owned());
            }
            let shown = health(&network, 4);
            if shown.starts_with("halted") || shown.starts_with("safety-hang") {
                break ("it stopped taking part and says so".to_owned(), shown);
            }
            if began.elapsed() > STRIKES {
                break ("the call was not made, or its failure mattered to nobody".to_owned(), shown);
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        // A node that halts ends by itself soon; one in a safety hang stays until it is ended.
        let halted = Instant::now();
        while traced.ended().is_none()
            && halted.elapsed() < Duration::from_secs(15)
            && !shown.starts_with("safety")
        {
            std::thread::sleep(Duration::from_millis(100));
        }
        let words = traced.end();
        assert!(!words.contains("panicked at"), "{what}: {}", checks::last_lines(&words));
        let line = ["halt", "safety", "ERROR", "write-ahead"].iter().find_map(|word| line_with(&words, word));
        load.wait_for(4, PATIENCE);

        // And afterwards, on a disk that works: it opens, or says why not.
        network.start_without_waiting(4);
        let opens = Instant::now();
        let after = loop {
            if network.client(4).ready().is_ok_and(|answer| answer.ready) {
                break "it opened and caught up".to_owned();
            }
            if !network.runs(4) {
                let log = network.log(4);
                let reason = log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
                assert!(!reason.is_empty(), "{what}: it does not open and does not say why");
                fs::remove_dir_all(network.data(4).join("ledger")).expect("because it is ours");
                network.start(4);
                break format!("it did not open ({}); with an empty ledger it synced", brief(reason));
            }
            assert!(
                opens.elapsed() < checks::READY,
                "{what}: it neither opens nor ends: {}",
                health(&network, 4)
            );
            std::thread::sleep(Duration::from_millis(100));
        };
        seen.push(Seen::new(
            format!("{call} fails: {}", fault.replace("error=", "").replace(":when=", ", from call ")),
            format!("{outcome}; on a working disk {after}"),
            format!("`/healthz`: {}; log: {}", brief(&shown), line.unwrap_or_else(|| "(no line)".into())),
        ));
    }
    let kept = load.finish();
    Ok(Told { seen, checked: checks::whole(&mut network, &FOUR, &kept) })
}

/// Node 4 under strace.
struct Traced {
    strace: Child,
    log: PathBuf,
    code: Option<i32>,
}

impl Traced {
    fn start(network: &Network, call: &str, fault: &str, part: Part) -> Self {
        let log = network.folder().join("node-4.traced.log");
        let file = fs::File::create(&log).expect("because the folder is ours");
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")]);
        command.args(["-e", &format!("inject={call}:{fault}")]);
        let data = network.data(4);
        match part {
            Part::Anywhere => {}
            // strace knows paths and no patterns; RocksDB numbers its files.
            Part::DatabaseLogs => {
                for number in 0..1_000 {
                    command.arg("-P").arg(data.join(format!("ledger/{number:06}.log")));
                }
            }
            Part::Votes => {
                command.arg("-P").arg(data.join("consensus/engine/votes.wal"));
            }
        }
        let strace = command
            .arg(binary())
            .args(["node", "run", "--config"])
            .arg(network.config(4))
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("because a file can be opened twice"))
            .stderr(file)
            .spawn()
            .expect("because strace is there");
        Self { strace, log, code: None }
    }

    fn ended(&mut self) -> Option<i32> {
        if self.code.is_none() {
            self.code = self.strace.try_wait().ok().flatten().map(|status| status.code().unwrap_or(-1));
        }
        self.code
    }

    /// Ends node and strace if they have not ended; what the node wrote.
    fn end(&mut self) -> String {
        if self.ended().is_none() {
            let pid = self.strace.id();
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            for child in
                children.split_whitespace().filter_map(|child| child.parse().ok()).filter_map(Pid::from_raw)
            {
                let _ = kill_process(child, Signal::KILL);
            }
            let _ = self.strace.wait();
        }
        plain(&fs::read_to_string(&self.log).unwrap_or_default())
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        self.end();
    }
}
