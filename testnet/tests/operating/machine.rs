//! A machine on which a page is followed: variables, the program in the path, and a `systemctl` that starts and stops
//! the one service `custos` as the unit on the page would.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use custos_api::blocking::Client;
use custos_testnet::{Network, binary};

/// How long a page may take.
const PATIENCE: &str = "240";

/// As much of systemctl as the pages use.
const SYSTEMCTL: &str = r#"#!/bin/bash
set -eu
pid() { cat "$RUN/pid" 2>/dev/null || true; }
alive() { [ -n "$(pid)" ] && kill -0 "$(pid)" 2>/dev/null; }
case "$1 $2" in
  "start custos")
    if alive; then exit 0; fi
    setsid custos node run --config "$CONFIG" >>"$RUN/log" 2>&1 </dev/null &
    echo $! > "$RUN/pid" ;;
  "stop custos")
    if alive; then kill -TERM "$(pid)"; fi
    for _ in $(seq 400); do alive || break; sleep 0.1; done
    if alive; then echo "the service does not end" >&2; exit 1; fi
    rm -f "$RUN/pid" ;;
  "restart custos") "$0" stop custos; "$0" start custos ;;
  *) echo "this systemctl knows start, stop and restart of custos" >&2; exit 1 ;;
esac
"#;

/// A machine on which a page is followed.
pub(crate) struct Machine {
    folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("custos-op").tempdir().unwrap();
        for name in ["bin", "run", "etc", "etc/keys", "backup"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        symlink(binary(), folder.path().join("bin/custos")).unwrap();
        let systemctl = folder.path().join("bin/systemctl");
        std::fs::write(&systemctl, SYSTEMCTL).unwrap();
        std::fs::set_permissions(&systemctl, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut machine = Self { folder, variables: Vec::new() };
        for (name, path) in [
            ("RUN", "run"),
            ("ETC", "etc"),
            ("BACKUP", "backup"),
            ("CONFIG", "etc/node.toml"),
            ("DATA", "data"),
        ] {
            let path = machine.path(path);
            machine.set(name, &path);
        }
        machine
    }

    /// The machine of a node of a network, whose service it takes over.
    pub(crate) fn of(network: &Network, index: usize) -> Self {
        let mut machine = Self::new();
        machine.set("CONFIG", &network.folder().join(format!("node-{index}.toml")));
        machine.set("DATA", &network.data(index));
        machine.set("ANCHOR", &network.file("anchor"));
        machine.say("NODE", &network.address(index));
        machine.set("KEY", &network.folder().join(format!("keys/hospital-{index}-sign.key")));
        machine.say("PARTICIPANT", network.participant(index).as_str());
        network.kill(index);
        narrow(&network.folder().join(format!("node-{index}.toml")));
        machine.systemctl("start");
        machine
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn set(&mut self, name: &str, value: &Path) {
        self.say(name, value.to_str().unwrap());
    }

    pub(crate) fn say(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn variable(&self, name: &str) -> &str {
        &self.variables.iter().find(|(known, _)| known == name).unwrap().1
    }

    pub(crate) fn bash(&self, script: &str) -> Output {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        Command::new("timeout")
            .args([PATIENCE, "bash", "-euo", "pipefail", "-c", script])
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("PATH", path)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Sends a signal to the service's process.
    pub(crate) fn signal(&self, name: &str) {
        let output = self.bash(&format!("kill -{name} $(cat \"$RUN/pid\")"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Ends the service as a power failure would.
    pub(crate) fn lose_power(&self) {
        self.signal("KILL");
        let gone = self.bash("while kill -0 $(cat \"$RUN/pid\") 2>/dev/null; do sleep 0.05; done");
        assert!(gone.status.success());
    }

    pub(crate) fn systemctl(&self, what: &str) {
        let output = self.bash(&format!("systemctl {what} custos"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Follows a page, leaving out blocks that contain `without`.
    pub(crate) fn follow_without(&self, page: &str, without: Option<&str>) -> String {
        let mut blocks = blocks_of(page);
        blocks.retain(|block| !without.is_some_and(|word| block.contains(word)));
        self.type_in(page, &blocks.join("\n"))
    }

    /// Types what a page says.
    pub(crate) fn type_in(&self, page: &str, script: &str) -> String {
        let output = self.bash(script);
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{page} ended with {}\n{out}\n{}\nthe service said:\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr),
            self.log()
        );
        out
    }

    pub(crate) fn follow(&self, page: &str) -> String {
        self.follow_without(page, None)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("run/log")).unwrap_or_default()
    }

    pub(crate) fn wait_for_log(&self, word: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.log().contains(word) {
            assert!(Instant::now() < deadline, "{word:?} is not in the log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub(crate) fn wait_ready(&self) {
        let client = Client::new(self.variable("NODE")).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while !client.ready().is_ok_and(|answer| answer.ready) {
            assert!(Instant::now() < deadline, "not ready:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.bash("systemctl stop custos");
        if std::thread::panicking() {
            eprintln!("the service said:\n{}", self.log());
        }
    }
}

/// One machine has one clock: a narrow bound for it, so that nobody stands aside for long.
fn narrow(config: &Path) {
    let mut table: toml::Table = std::fs::read_to_string(config).unwrap().parse().unwrap();
    let consensus = table.entry("consensus").or_insert_with(|| toml::Table::new().into());
    consensus.as_table_mut().unwrap().insert("clock_bound_ms".into(), 500.into());
    std::fs::write(config, toml::to_string(&table).unwrap()).unwrap();
}

/// The blocks marked `sh` of a page; it has some.
pub(crate) fn blocks_of(page: &str) -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operating").join(page);
    let blocks = blocks(&std::fs::read_to_string(&file).unwrap());
    assert!(!blocks.is_empty(), "{page} has no command");
    blocks
}

/// The blocks marked `sh`.
fn blocks(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut current: Option<String> = None;
    for line in page.lines() {
        match (&mut current, line) {
            (None, "```sh") => current = Some(String::new()),
            (Some(_), "```") => found.extend(current.take()),
            (Some(block), line) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, _) => {}
        }
    }
    assert!(current.is_none(), "a block without an end");
    found
}
