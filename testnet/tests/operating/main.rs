//! The pages of docs/operating, followed to the letter: every block marked `sh` is run as it stands. What a page takes
//! as given is given by a [`machine`].

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use custos_api::blocking::Client;
use custos_testnet::{Network, binary, turn};

mod machine;
mod vote_again;

use machine::Machine;

const ALL: [usize; 4] = [1, 2, 3, 4];

/// Without this node nothing is decided, and something is.
fn is_needed(network: &mut Network, without: usize, other: usize) {
    network.kill(without);
    network.record(other, 1);
    network.start(without);
}

#[test]
fn every_page_is_followed_here() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operating");
    let this = include_str!("main.rs");
    let index = std::fs::read_to_string(folder.with_extension("md")).unwrap();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let is_followed = this.contains(&format!("(\"{name}\"")) || name == vote_again::PAGE;
        assert!(is_followed, "{name} is not followed");
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
