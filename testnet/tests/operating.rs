//! The pages of docs/operating, followed to the letter: every block marked `sh` is run as it stands.
//!
//! What a page takes as given is given here: variables, the program in the path, and a `systemctl` that
//! starts and stops the one service `custos` as the unit on the page would.

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use custos_api::blocking::Client;
use custos_testnet::{Network, binary, turn};

const ALL: [usize; 4] = [1, 2, 3, 4];
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
struct Machine {
    folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Machine {
    fn new() -> Self {
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
    fn of(network: &Network, index: usize) -> Self {
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

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn set(&mut self, name: &str, value: &Path) {
        self.say(name, value.to_str().unwrap());
    }

    fn say(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    fn variable(&self, name: &str) -> &str {
        &self.variables.iter().find(|(known, _)| known == name).unwrap().1
    }

    fn bash(&self, script: &str) -> Output {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        Command::new("timeout")
            .args([PATIENCE, "bash", "-euo", "pipefail", "-c", script])
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("PATH", path)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn systemctl(&self, what: &str) {
        let output = self.bash(&format!("systemctl {what} custos"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Follows a page, leaving out blocks that contain `without`.
    fn follow_without(&self, page: &str, without: Option<&str>) -> String {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operating").join(page);
        let text = std::fs::read_to_string(&file).unwrap();
        let blocks = blocks(&text);
        assert!(!blocks.is_empty(), "{page} has no command");
        let mut script = String::new();
        for block in blocks.iter().filter(|block| !without.is_some_and(|word| block.contains(word))) {
            writeln!(script, "{block}").unwrap();
        }
        let output = self.bash(&script);
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

    fn follow(&self, page: &str) -> String {
        self.follow_without(page, None)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("run/log")).unwrap_or_default()
    }

    fn wait_for_log(&self, word: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.log().contains(word) {
            assert!(Instant::now() < deadline, "{word:?} is not in the log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn wait_ready(&self) {
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

/// Without this node nothing is decided, and something is.
fn is_needed(network: &mut Network, without: usize, other: usize) {
    network.kill(without);
    network.record(other, 1);
    network.start(without);
}

#[test]
fn every_page_is_followed_here() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operating");
    let this = include_str!("operating.rs");
    let index = std::fs::read_to_string(folder.with_extension("md")).unwrap();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(this.contains(&format!("(\"{name}\"")), "{name} is not followed");
        assert!(index.contains(&format!("operating/{name}")), "{name} is not in the index");
    }
}

#[test]
fn install() {
    let _turn = turn();
    let mut machine = Machine::new();
    machine.say("NODE", &format!("http://127.0.0.1:{}", custos_ports::free().unwrap()));
    machine.say("P2P_PORT", &custos_ports::free().unwrap().to_string());
    let out = machine.follow("install.md");
    assert!(out.contains("hospital-a.example"), "{out}");
}

#[test]
fn back_up_and_restore() {
    let mut network = Network::up(4);
    for index in ALL {
        network.record(index, 3);
    }
    let machine = Machine::of(&network, 4);
    machine.wait_ready();
    machine.follow("back-up.md");
    network.record(1, 2);
    // The disk gives up.
    std::fs::remove_file(Path::new(machine.variable("DATA")).join("ledger/CURRENT")).unwrap();
    machine.follow("restore.md");
    machine.wait_for_log("it starts again and votes");
    machine.wait_ready();
    is_needed(&mut network, 3, 1);
    network.assert_equal_roots(&ALL);
}

#[test]
fn join() {
    let mut network = Network::up(4);
    network.record(1, 5);
    let peers = network.folder().join("peers.toml");
    std::fs::write(&peers, all_peers(&network)).unwrap();
    let backup = network.folder().join("backup/");
    let data = network.data(2);
    let made = network.custos(&[
        "snapshot",
        "create",
        "--data",
        data.to_str().unwrap(),
        "-o",
        &format!("{}/", backup.display()),
    ]);
    assert!(made.status.success());
    for (participant, without) in [(1, None), (2, Some("snapshot restore"))] {
        let mut machine = Machine::new();
        machine.say("NODE", &format!("http://127.0.0.1:{}", custos_ports::free().unwrap()));
        machine.say("P2P_PORT", &custos_ports::free().unwrap().to_string());
        machine.say("OTHER", &network.address(1));
        machine.say("PARTICIPANT", network.participant(participant).as_str());
        machine.set("KEY", &network.folder().join(format!("keys/hospital-{participant}-sign.key")));
        machine.set("ANCHOR", &network.file("anchor"));
        machine.set("GENESIS", &network.file("genesis"));
        machine.set("PEERS", &peers);
        machine.set("BACKUP", &backup);
        machine.say("CHAIN", &network.client(1).status().unwrap().chain.to_string());
        machine.follow_without("join.md", without);
        network.record(3, 1);
        let client = Client::new(machine.variable("NODE")).unwrap();
        let head = network.head(&[1, 2, 3]);
        let deadline = Instant::now() + Duration::from_secs(60);
        let height = |of: &Client| of.status().unwrap().height;
        while height(&client).min(height(&network.client(1))) < head {
            assert!(Instant::now() < deadline, "it does not follow:\n{}", machine.log());
            std::thread::sleep(Duration::from_millis(100));
        }
        let header = client.header(custos_proof::ids::Height(head)).unwrap();
        assert_eq!(header, network.client(1).header(custos_proof::ids::Height(head)).unwrap());
    }
}

#[test]
fn replace() {
    let mut network = Network::up(4);
    network.record(1, 2);
    let mut machine = Machine::of(&network, 4);
    machine.systemctl("stop");
    // Lost: the machine with its keys. What is left is a copy of its configuration.
    std::fs::remove_dir_all(machine.variable("DATA")).unwrap();
    for purpose in ["consensus", "transport", "note"] {
        std::fs::remove_file(network.folder().join(format!("keys/hospital-4-{purpose}.key"))).unwrap();
    }
    machine.say("OTHER", &network.address(1));
    machine.set("OTHER_DATA", &network.data(1));
    machine.set("KEY", &network.folder().join("keys/hospital-1-sign.key"));
    machine.say("OTHER_KEYS", &sign_keys(&network, &[2, 3]));
    machine.follow("replace.md");
    machine.wait_for_log("it starts again and votes");
    machine.wait_ready();
    is_needed(&mut network, 3, 1);
    network.assert_equal_roots(&ALL);
}

#[test]
fn rotate() {
    let mut network = Network::up(4);
    network.record(1, 2);
    let mut machine = Machine::of(&network, 4);
    machine.say("OTHER_KEYS", &sign_keys(&network, &[1, 2]));
    machine.say("OTHER", &network.address(1));
    machine.wait_ready();
    machine.follow("rotate.md");
    machine.wait_for_log("a block put the other consensus key into the validator set");
    machine.wait_ready();
    is_needed(&mut network, 3, 1);
    network.assert_equal_roots(&ALL);
    for index in [1, 2, 4] {
        assert!(network.metric(index, "custos_evidence ") < 0.5, "node {index} saw somebody sign twice");
    }
}

#[test]
fn prune() {
    let mut network = Network::up(4);
    for index in ALL {
        network.record(index, 3);
    }
    let mut machine = Machine::of(&network, 4);
    machine.wait_ready();
    machine.say("BEFORE", &network.head(&[1]).to_string());
    let out = machine.follow("prune.md");
    assert!(out.contains("pruned:") && out.contains("whole:"), "{out}");
    network.assert_equal_roots(&ALL);
    network.record(4, 1);
}

#[test]
fn mend() {
    let mut network = Network::up(4);
    for index in ALL {
        network.record(index, 3);
    }
    let machine = Machine::of(&network, 4);
    machine.wait_ready();
    let out = machine.follow("mend.md");
    assert!(out.contains("whole:"), "{out}");
    machine.wait_for_log("it starts again and votes");
    machine.wait_ready();
    is_needed(&mut network, 3, 1);
    network.assert_equal_roots(&ALL);
}

#[test]
fn upgrade() {
    let mut network = Network::up(4);
    network.record(1, 2);
    let mut machine = Machine::of(&network, 4);
    machine.wait_ready();
    // The old program is a file of its own: what is installed over it must not be the one under test.
    let program = machine.path("bin/custos");
    std::fs::remove_file(&program).unwrap();
    std::fs::copy(binary(), &program).unwrap();
    machine.systemctl("restart");
    machine.set("PROGRAM", &program);
    machine.set("NEW_PROGRAM", &binary());
    let out = machine.follow("upgrade.md");
    assert!(out.contains("custos "), "{out}");
    is_needed(&mut network, 3, 1);
    network.assert_equal_roots(&ALL);
}

fn sign_keys(network: &Network, of: &[usize]) -> String {
    let path = |index: &usize| network.folder().join(format!("keys/hospital-{index}-sign.key"));
    of.iter().map(|index| path(index).display().to_string()).collect::<Vec<_>>().join(" ")
}

/// What the operators of a network would send a newcomer.
fn all_peers(network: &Network) -> String {
    let peers = |index: usize| -> Vec<toml::Value> {
        let text = std::fs::read_to_string(network.folder().join(format!("node-{index}.toml"))).unwrap();
        let config: toml::Table = text.parse().unwrap();
        config["p2p"]["peers"].as_array().unwrap().clone()
    };
    let mut all = peers(1);
    let first = network.participant(1).to_string();
    all.extend(peers(2).into_iter().filter(|peer| peer["participant"].as_str() == Some(&first)));
    let mut text = String::new();
    for peer in all {
        let table = peer.as_table().unwrap();
        text.push_str("[[p2p.peers]]\n");
        for name in ["participant", "address", "transport_key"] {
            writeln!(text, "{name} = {:?}", table[name].as_str().unwrap()).unwrap();
        }
    }
    text
}
