//! Nodes as processes: signals, other programs and environments, a node that is expected to end.
//!
//! What an operator does with a process and not with `custos testnet`. A process is only ever signalled
//! when its command line still names the node's own configuration.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{Network, json, text};

/// A node that ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; nothing when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote, log and last words.
    pub words: String,
}

impl Ended {
    /// The line in which the process says why it ended: the last one that is not empty.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.words.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default()
    }
}

impl Network {
    /// A node's configuration file.
    #[must_use]
    pub fn config(&self, index: usize) -> PathBuf {
        PathBuf::from(text(&self.node(index)["config"]))
    }

    /// Everything a node has logged, over all its lives; without colours.
    #[must_use]
    pub fn log(&self, index: usize) -> String {
        let bytes = std::fs::read(text(&self.node(index)["log"])).unwrap_or_default();
        plain(&String::from_utf8_lossy(&bytes))
    }

    /// A node's process, as the network's state file has it, if it runs.
    #[must_use]
    pub fn pid(&self, index: usize) -> Option<i32> {
        let state = std::fs::read_to_string(self.folder().join("network.json")).ok()?;
        let state: Value = serde_json::from_str(&state).ok()?;
        let pid = i32::try_from(state["nodes"][index - 1]["pid"].as_i64()?).ok()?;
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let config = self.config(index);
        let config = config.as_os_str().as_encoded_bytes();
        command.split(|byte| *byte == 0).any(|argument| argument == config).then_some(pid)
    }

    /// Whether a node's process is there, stopped or not.
    #[must_use]
    pub fn runs(&self, index: usize) -> bool {
        self.pid(index).is_some()
    }

    /// Adds a node to the network that `testnet up` did not make, under the next number: its participant, its
    /// API's address, its configuration, its data directory and its signing key.
    ///
    /// # Panics
    /// When the network's state cannot be written.
    pub fn adopt(
        &mut self,
        participant: &str,
        api: &str,
        config: &Path,
        data: &Path,
        sign_key: &Path,
    ) -> usize {
        let path = self.folder().join("network.json");
        let state = std::fs::read(&path).expect("because the network has a state file");
        let mut state: Value = serde_json::from_slice(&state).expect("because the command wrote it");
        let index = self.size() + 1;
        let node = serde_json::json!({
            "index": index,
            "participant": participant,
            "api": api,
            "config": config,
            "data": data,
            "log": self.folder().join(format!("node-{index}.log")),
            "sign_key": sign_key,
            "pid": null,
        });
        for nodes in [&mut state["nodes"], &mut self.described["nodes"]] {
            nodes.as_array_mut().expect("because a network has nodes").push(node.clone());
        }
        std::fs::write(&path, format!("{state:#}")).expect("because the folder is ours");
        index
    }

    /// Notes that a node's API has another address: its configuration was changed.
    ///
    /// # Panics
    /// When the network's state cannot be written.
    pub fn move_api(&mut self, index: usize, api: &str) {
        let path = self.folder().join("network.json");
        let state = std::fs::read(&path).expect("because the network has a state file");
        let mut state: Value = serde_json::from_slice(&state).expect("because the command wrote it");
        for nodes in [&mut state["nodes"], &mut self.described["nodes"]] {
            nodes[index - 1]["api"] = api.into();
        }
        std::fs::write(&path, format!("{state:#}")).expect("because the folder is ours");
    }

    /// Sends a signal to a node's process.
    ///
    /// # Panics
    /// When it does not run.
    pub fn signal(&self, index: usize, signal: Signal) {
        let pid = self.pid(index).and_then(Pid::from_raw).expect("because the node runs");
        kill_process(pid, signal).expect("because the process is ours");
    }

    /// Resident memory of a node's process, in kilobytes; nothing when it does not run.
    #[must_use]
    pub fn resident_kb(&self, index: usize) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid(index)?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    }

    /// Kills nodes at one moment, as a power failure would, and waits until the last thread of each has let go of
    /// its files.
    ///
    /// # Panics
    /// When one does not run.
    pub fn kill_together(&self, nodes: &[usize]) {
        let pids: Vec<(usize, i32)> = nodes
            .iter()
            .map(|node| (*node, self.pid(*node).unwrap_or_else(|| panic!("node {node} does not run"))))
            .collect();
        for pid in pids.iter().filter_map(|(_, pid)| Pid::from_raw(*pid)) {
            kill_process(pid, Signal::KILL).expect("because the process is ours");
        }
        let deadline = Instant::now() + Duration::from_secs(60);
        for (node, pid) in pids {
            while holds_files(pid) {
                assert!(Instant::now() < deadline, "node {node} outlives SIGKILL");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    /// Starts a node as [`Network::start`] does, by another copy of the program and with more environment.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start_by(&self, program: &Path, index: usize, environment: &[(&str, &str)], wait: bool) {
        let mut command = Command::new(program);
        command.args(["--json", "testnet", "start", "--index", &index.to_string(), "--dir"]);
        command.arg(self.folder()).envs(environment.iter().copied());
        if !wait {
            command.arg("--no-wait");
        }
        json(&command.output().expect("because the program is there"));
    }

    /// Stops a node in order and waits until its process is gone.
    ///
    /// # Panics
    /// When it does not end.
    pub fn stop(&self, index: usize) {
        let pid = self.pid(index).expect("because the node runs");
        self.signal(index, Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(60);
        while holds_files(pid) {
            assert!(Instant::now() < deadline, "node {index} does not end after SIGTERM");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Runs a node that is expected to end by itself; nothing when it still ran after `patience`, and was killed.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn run_until_end(&self, index: usize, patience: Duration) -> Option<Ended> {
        let path = self.folder().join(format!("node-{index}.end.log"));
        let log = std::fs::File::create(&path).expect("because the folder is ours");
        let mut child = Command::new(crate::binary())
            .args(["node", "run", "--config"])
            .arg(self.config(index))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("because a file can be opened twice"))
            .stderr(log)
            .spawn()
            .expect("because the program is there");
        let deadline = Instant::now() + patience;
        let code = loop {
            match child.try_wait().expect("because the process is ours") {
                Some(status) => break Some(status.code()),
                None if Instant::now() > deadline => {
                    let _ = child.kill();
                    let _ = child.wait();
                    break None;
                }
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        let words = plain(&std::fs::read_to_string(&path).unwrap_or_default());
        code.map(|code| Ended { code, words })
    }
}

/// Whether a killed process still has open files: threads that wait for the disk outlive the first one, and a
/// process that nobody collects keeps its number.
fn holds_files(pid: i32) -> bool {
    let proc = PathBuf::from(format!("/proc/{pid}"));
    let Ok(stat) = std::fs::read_to_string(proc.join("stat")) else { return false };
    let threads = std::fs::read_dir(proc.join("task")).map_or(0, Iterator::count);
    let ended = stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'));
    !(ended && threads <= 1)
}

/// The text without the colours of a terminal.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => {
                let _ = rest.find(|c| c.is_ascii_alphabetic());
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn colours_go_and_words_stay() {
        assert_eq!(plain("\u{1b}[2mnow\u{1b}[0m \u{1b}[31mERROR\u{1b}[0m halted"), "now ERROR halted");
    }
}
