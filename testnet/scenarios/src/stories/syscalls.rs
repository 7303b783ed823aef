//! System calls of one node that write to the disk fail, from some moment on or once: strace injects it.
//!
//! A failed write leaves unknown what is on the disk. The node has to stop taking part, say why, and open
//! afterwards, or say why not. It may never go on as if nothing had happened: strace tells how many calls it let
//! fail, and a node that outlasts one of them without exit code 2 or a safety hang fails the story.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
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
/// How long a node that has halted may take to end.
const ENDS: Duration = Duration::from_secs(60);

fn tell(plan: &Plan) -> Result<Told, Skipped> {
    can_inject()?;
    let mut network = Network::up(4);
    let load = Load::start(&network, &Pace { nodes: vec![1, 2, 3], ..Pace::gentle() });
    let (mut seen, mut struck) = (Vec::new(), 0);
    for (call, fault, part) in FAULTS.into_iter().take(plan.times(2, FAULTS.len())) {
        load.wait_for(4, PATIENCE);
        network.stop(4);
        let mut traced = Traced::start(&network, call, fault, part);
        let what = format!("{call}, {fault}, {part:?}");
        let (shown, code) = traced.outlast(&network);
        let words = traced.end();
        let failed = traced.failed();
        assert!(!words.contains("panicked at"), "{what}: {}", checks::last_lines(&words));
        let outcome = judged(failed, code, &shown)
            .unwrap_or_else(|wrong| panic!("{what}: {wrong}\n{}", checks::last_lines(&words)));
        struck += usize::from(failed > 0);
        let line = ["halt", "safety", "ERROR", "write-ahead"].iter().find_map(|word| line_with(&words, word));
        let line = line.or_else(|| words.lines().rev().find(|line| !line.trim().is_empty()).map(brief));
        assert!(failed == 0 || line.is_some(), "{what}: it does not say why");
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
            sleep(Duration::from_millis(100));
        };
        seen.push(Seen::new(
            format!("{call} fails: {}", fault.replace("error=", "").replace(":when=", ", from call ")),
            format!("{outcome}; on a working disk {after}"),
            format!("`/healthz`: {}; log: {}", brief(&shown), line.unwrap_or_else(|| "(no line)".into())),
        ));
    }
    assert!(struck > 0, "no call was made that was to fail: nothing was shown");
    let kept = load.finish();
    Ok(Told { seen, checked: checks::whole(&mut network, &FOUR, &kept) })
}

/// What became of a node of which so many calls failed: it ended with exit code 2, or it stands still for safety
/// and says why. Anything else is wrong.
fn judged(failed: usize, code: Option<i32>, shown: &str) -> Result<String, String> {
    match (failed, code) {
        (0, None) if !takes_no_part(shown) => Ok("the call was not made".into()),
        (0, _) => Err(format!("no call failed, and it ended with {code:?}, or says {shown}")),
        (_, Some(2)) => Ok(format!("{failed} calls failed; the process ended with exit code 2")),
        (_, Some(code)) => Err(format!("{failed} calls failed, and it ended with exit code {code}")),
        (_, None) if shown.starts_with("safety-hang: ") => {
            Ok(format!("{failed} calls failed; it stands still for safety, says so and stays up"))
        }
        (_, None) => {
            Err(format!("{failed} calls failed, and it goes on as if nothing had happened: {shown}"))
        }
    }
}

/// Whether this is what `/healthz` says of a node that has stopped taking part.
fn takes_no_part(shown: &str) -> bool {
    shown.starts_with("halted") || shown.starts_with("safety-hang")
}

/// Node 4 under strace.
struct Traced {
    strace: Child,
    log: PathBuf,
    /// The traced calls, as strace writes them.
    calls: PathBuf,
    code: Option<i32>,
}

impl Traced {
    fn start(network: &Network, call: &str, fault: &str, part: Part) -> Self {
        let log = network.folder().join("node-4.traced.log");
        let file = fs::File::create(&log).expect("because the folder is ours");
        let calls = network.folder().join("node-4.strace");
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-e", &format!("trace={call}"), "-o"]).arg(&calls);
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
        Self { strace, log, calls, code: None }
    }

    fn ended(&mut self) -> Option<i32> {
        if self.code.is_none() {
            self.code = self.strace.try_wait().ok().flatten().map(|status| status.code().unwrap_or(-1));
        }
        self.code
    }

    /// Waits until the node has ended, or stands for safety, or has had its time; what `/healthz` said last, and the
    /// exit code of a node that ended.
    fn outlast(&mut self, network: &Network) -> (String, Option<i32>) {
        let began = Instant::now();
        let shown = loop {
            if self.ended().is_some() {
                break "no process".to_owned();
            }
            let shown = health(network, 4);
            if takes_no_part(&shown) || began.elapsed() > STRIKES {
                break shown;
            }
            sleep(Duration::from_millis(100));
        };
        // A node that halts ends by itself soon; one in a safety hang stays until it is ended.
        let halted = Instant::now();
        while shown.starts_with("halted") && self.ended().is_none() && halted.elapsed() < ENDS {
            sleep(Duration::from_millis(100));
        }
        (shown, self.ended())
    }

    /// How many calls strace let fail; complete once it has ended.
    fn failed(&self) -> usize {
        let calls = fs::read(&self.calls).unwrap_or_default();
        String::from_utf8_lossy(&calls).matches("(INJECTED)").count()
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
