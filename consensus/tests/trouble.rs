//! What goes wrong, and what a node says about it: strangers, removed peers, a key used twice, a
//! damaged log, a process that is killed.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Node, Pool, Setup, chain_in, is_idle, members, name, wait};
use custos_consensus::{EvidenceKind, State};

#[test]
fn submissions_reach_the_other_validators_as_bytes() {
    let setup = Setup::new(4, 4, 60_000);
    let mut nodes: Vec<_> = (0..4).map(|index| setup.start(index, true, Pool::default())).collect();
    wait("all connected", 30, || nodes.iter().all(|node| node.health().connected_peers == 3));
    nodes[1].handle().gossip_all([b"a submission".as_slice(), b"another one"]);
    for index in [0, 2, 3] {
        let mut submissions = nodes[index].handle().take_submissions().unwrap();
        let runtime = nodes[index].runtime.as_ref().unwrap();
        let received = runtime.block_on(async {
            tokio::time::timeout(Duration::from_secs(5), submissions.recv()).await.unwrap().unwrap()
        });
        assert_eq!(received.from, common::transport_key(1));
        // In one frame, in their order.
        assert_eq!(received.submissions, [b"a submission".as_slice(), b"another one"]);
    }
    nodes.into_iter().for_each(Node::stop);
}

#[test]
fn a_follower_that_the_registry_removes_is_cut_at_that_commit() {
    let setup = Setup::new(4, 5, 60_000);
    let mut nodes: Vec<_> = (0..4).map(|index| setup.start(index, true, Pool::default())).collect();
    let follower = setup.start(4, false, Pool::default());
    wait("the follower follows", 30, || follower.height() >= 1 && follower.health().connected_peers == 4);
    wait("all idle", 30, || nodes.iter().all(is_idle));
    let last = nodes[0].height() + 1;
    setup.members.removed.lock().unwrap().insert(name(4), last);
    nodes.iter().for_each(|node| node.submit(b"suspend"));
    wait("it is cut", 10, || nodes.iter().all(|node| node.health().connected_peers == 3));
    wait("and knows nobody", 10, || follower.health().connected_peers == 0);
    nodes.iter().for_each(|node| node.submit(b"private"));
    wait("the others go on", 10, || nodes.iter().all(|node| node.height() > last));
    std::thread::sleep(Duration::from_secs(1));
    assert!(follower.height() <= last);
    assert!(nodes.iter().all(|node| node.health().refused_connections > 0), "it tried, and was refused");
    assert!(nodes[0].handle().network_counters().violations == 0);
    nodes.into_iter().for_each(Node::stop);
    follower.stop();
}

#[test]
fn a_key_that_signs_on_two_machines_is_seen() {
    // A restored backup: the same consensus key, its own transport key and its own, empty log.
    // Heights begin with the heartbeat, so that both machines propose at about the same time; a
    // message that comes after the decision is no longer looked at.
    let setup = Setup::new(4, 5, 200);
    let mut nodes: Vec<_> = (0..4).map(|index| setup.start(index, true, Pool::default())).collect();
    let twin = setup.start_as(4, Some(3), Pool::default());
    let saw = |node: &Node| node.health().evidence_seen > 0;
    wait("evidence somewhere: it is local, and best effort", 60, || nodes.iter().any(saw));
    let witness = nodes.iter().position(saw).unwrap();
    let mut evidence = nodes[witness].handle().take_evidence().unwrap();
    let pair = evidence.try_recv().unwrap();
    assert_eq!(pair.validator, common::validator_key(3));
    assert_ne!((pair.first.block, pair.first.pol_round), (pair.second.block, pair.second.pol_round));
    assert!(matches!(pair.kind, EvidenceKind::Prevote | EvidenceKind::Precommit | EvidenceKind::Proposal));
    let height = nodes[..3].iter().map(Node::height).min().unwrap();
    wait("the honest go on", 60, || nodes[..3].iter().all(|node| node.height() > height + 5));
    nodes.into_iter().for_each(Node::stop);
    twin.stop();
}

#[test]
fn a_damaged_write_ahead_log_is_a_safety_hang_and_the_health_says_so() {
    let setup = Setup::new(4, 4, 0);
    let mut nodes: Vec<_> = (0..4).map(|index| setup.start(index, true, Pool::default())).collect();
    wait("the first heights", 30, || nodes.iter().all(|node| node.height() >= 2));
    // Two go, so that the other two stand in a height with votes in their logs.
    nodes.pop().unwrap().crash();
    nodes.pop().unwrap().crash();
    wait("they stand", 30, || nodes.iter().all(|node| node.health().state == State::WaitingForPeers));
    std::thread::sleep(Duration::from_secs(2));
    nodes.remove(0).stop();
    let log = setup.directory.path().join("0/consensus/engine/votes.wal");
    let mut bytes = fs::read(&log).unwrap();
    assert!(bytes.len() > 200, "the log holds {} bytes only", bytes.len());
    // In the first entry, which is complete: damage, not a torn end.
    bytes[80] ^= 0xff;
    fs::write(&log, &bytes).unwrap();
    let node = setup.start(0, true, Pool::default());
    wait("the safety hang shows", 40, || matches!(node.health().state, State::SafetyHang(_)));
    let State::SafetyHang(reason) = node.health().state else { panic!("{:?}", node.health()) };
    assert!(reason.contains("write-ahead log"), "{reason}");
    assert!(!node.health().state.is_live());
    node.stop();
    nodes.into_iter().for_each(Node::stop);
}

/// A validator as a process of its own; does nothing unless started by the test below.
#[test]
fn a_validator_process() {
    let Ok(spec) = std::env::var("CUSTOS_TEST_VALIDATOR") else { return };
    let mut words = spec.split('|');
    let mut next = || words.next().unwrap().to_owned();
    let (directory, index) = (next(), next().parse::<usize>().unwrap());
    let ports = next().split(',').map(|port| port.parse().unwrap()).collect();
    let setup = Setup::at(Path::new(&directory), members(4, 4), ports, 0);
    let node = setup.start(index, true, Pool::default());
    let mut log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(setup.path().join(format!("{index}.log")))
        .unwrap();
    loop {
        std::thread::sleep(Duration::from_millis(50));
        let health = node.health();
        if !health.state.is_live() || health.evidence_seen > 0 {
            writeln!(log, "{health:?}").unwrap();
        }
    }
}

struct Validator(Child);

impl Validator {
    fn start(directory: &Path, index: usize, ports: &str) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_validator_process", "--nocapture"])
            .env("CUSTOS_TEST_VALIDATOR", format!("{}|{index}|{ports}", directory.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// SIGKILL.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Validator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn killed_processes_lose_nothing_and_never_sign_twice() {
    let setup = Setup::new(4, 4, 0);
    let directory = setup.directory.path().to_owned();
    let ports = setup.ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
    let height = |index: usize| {
        let files = fs::read_dir(setup.blocks(index)).map(|files| files.flatten().count()).unwrap_or(0);
        files as u64
    };
    let lowest = || (0..4).map(height).min().unwrap();
    let mut nodes: Vec<_> = (0..4).map(|index| Validator::start(&directory, index, &ports)).collect();
    wait("the first heights", 60, || lowest() >= 5);

    // One after the other, at moments that nothing chose.
    for round in 0..8u64 {
        let victim = (round % 4) as usize;
        let before = (0..4).map(height).max().unwrap();
        nodes[victim].kill();
        std::thread::sleep(Duration::from_millis(137 * (round % 3)));
        nodes[victim] = Validator::start(&directory, victim, &ports);
        wait("all go on", 60, || lowest() >= before + 3);
    }
    // All at once.
    for _ in 0..3 {
        let before = (0..4).map(height).max().unwrap();
        nodes.iter_mut().for_each(Validator::kill);
        let at = Instant::now();
        nodes = (0..4).map(|index| Validator::start(&directory, index, &ports)).collect();
        wait("all go on after all were killed", 60, || lowest() >= before + 3);
        println!("three heights after killing all: {:?}", at.elapsed());
    }
    drop(nodes);
    let chains: Vec<_> = (0..4).map(|index| chain_in(&setup.blocks(index), &setup.members)).collect();
    let longest = chains.iter().max_by_key(|chain| chain.len()).unwrap();
    assert!(chains.iter().all(|chain| chain[..] == longest[..chain.len()]));
    for index in 0..4 {
        let log = fs::read_to_string(directory.join(format!("{index}.log"))).unwrap_or_default();
        assert!(log.is_empty(), "validator {index} saw: {log}");
    }
}
