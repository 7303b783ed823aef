//! Four validators in four processes: what they agree on, and what survives when they are killed.

#![allow(clippy::unwrap_used)]

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use custos_api::answers::SubmissionState;
use custos_api::client::{ClientError, Submitted};
use custos_proof::submission::Submission;
use custos_testnet::{Acknowledged, Network, binary};

const ALL: [usize; 4] = [1, 2, 3, 4];

fn fsck(network: &Network) {
    network.down();
    for index in ALL {
        let data = network.data(index);
        let output = network.custos(&["fsck", "--data", data.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn roots_are_equal_at_every_height_whoever_was_asked() {
    let mut network = Network::up(4);
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        for index in ALL {
            acknowledged.push(network.record(index, 1 + round * 7));
        }
    }
    network.assert_equal_roots(&ALL);
    for index in ALL {
        network.assert_kept(index, &acknowledged);
    }
    // Each node checked each submission's signature once.
    for index in ALL {
        let checks = network.metric(index, "custos_signature_checks ");
        assert!((checks - acknowledged.len() as f64).abs() < 0.5, "node {index}: {checks} checks");
    }
    fsck(&network);
}

#[test]
fn one_killed_node_stops_nobody_and_catches_up() {
    let mut network = Network::up(4);
    let mut acknowledged: Vec<Acknowledged> = ALL.iter().map(|index| network.record(*index, 3)).collect();
    for victim in [4, 1] {
        network.kill(victim);
        let others: Vec<usize> = ALL.into_iter().filter(|index| *index != victim).collect();
        for index in &others {
            acknowledged.push(network.record(*index, 2));
        }
        network.start(victim);
        network.assert_equal_roots(&ALL);
        network.assert_kept(victim, &acknowledged);
    }
    fsck(&network);
}

#[test]
fn with_two_of_four_dead_nothing_is_acknowledged_until_one_is_back() {
    let mut network = Network::up(4);
    let mut acknowledged = vec![network.record(1, 1)];
    network.kill(3);
    network.kill(4);
    let waiting = network.submission(1, 1);
    let client = network.client(1);
    let answer = client.submit_and_wait(waiting.bytes(), Duration::from_secs(4));
    assert!(matches!(answer, Ok(Submitted::Pending(_))), "two of four cannot decide: {answer:?}");
    network.start_without_waiting(3);
    network.start(4);
    let Ok(Submitted::Committed { receipts, .. }) =
        client.submit_and_wait(waiting.bytes(), Duration::from_secs(60))
    else {
        panic!("not recorded after the others came back");
    };
    acknowledged.push(Acknowledged { submission: waiting, receipts });
    network.assert_equal_roots(&ALL);
    for index in ALL {
        network.assert_kept(index, &acknowledged);
    }
    fsck(&network);
}

#[test]
fn what_could_not_be_recorded_soon_is_refused_and_what_was_taken_is_recorded_later() {
    /// As many may always wait.
    const ALWAYS: usize = 1_024;
    let mut network = Network::up(4);
    network.record(1, 1);
    network.kill(3);
    network.kill(4);
    let client = network.client(1);
    let mut taken = Vec::new();
    let refused = loop {
        let submission = network.submission(1, 1);
        match client.submit(submission.bytes()) {
            Ok(_) => taken.push(submission),
            Err(ClientError::Problem(problem)) => break problem,
            Err(error) => panic!("{error}"),
        }
        assert!(taken.len() < 20 * ALWAYS, "nothing is ever refused");
    };
    assert!(taken.len() >= ALWAYS, "{} were taken, then: {refused:?}", taken.len());
    assert_eq!((refused.status, refused.code.as_str()), (429, "mempool-full"), "{refused:?}");
    assert!(refused.detail.contains("to be recorded"), "{refused:?}");
    assert!(refused.retry_after_s.is_some_and(|seconds| seconds > 0), "{refused:?}");
    network.start_without_waiting(3);
    network.start(4);
    let recorded = |submission: &Submission| {
        let answer = client.submission(&submission.id());
        answer.is_ok_and(|answer| answer.state == SubmissionState::Committed)
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while !taken.iter().rev().all(recorded) {
        assert!(Instant::now() < deadline, "what was taken is not recorded");
        std::thread::sleep(Duration::from_millis(200));
    }
    network.record(1, 1);
    network.assert_equal_roots(&ALL);
}

#[test]
fn all_four_killed_at_once_lose_nothing_that_was_acknowledged() {
    let mut network = Network::up(4);
    let mut acknowledged = Vec::new();
    for _ in 0..2 {
        for index in ALL {
            acknowledged.push(network.record(index, 5));
        }
        for index in ALL {
            network.kill(index);
        }
        for index in ALL {
            network.start_without_waiting(index);
        }
        acknowledged.push(network.record_when_back(2));
        network.assert_equal_roots(&ALL);
        for index in ALL {
            network.assert_kept(index, &acknowledged);
        }
    }
    fsck(&network);
}

#[test]
fn a_late_joiner_gets_everything() {
    let mut network = Network::up_with(4, &["--start", "3"]);
    let acknowledged: Vec<Acknowledged> =
        (0..12).map(|round| network.record(1 + round % 3, 1 + round * 3)).collect();
    network.start(4);
    network.assert_equal_roots(&ALL);
    network.assert_kept(4, &acknowledged);
    fsck(&network);
}

#[test]
fn a_stranger_gets_no_block_and_no_word() {
    let network = Network::up(4);
    let folder = network.folder().join("stranger");
    std::fs::create_dir(&folder).unwrap();
    let key = folder.join("transport.key");
    let made = network.custos(&["keygen", "-o", key.to_str().unwrap(), "--purpose", "transport"]);
    assert!(made.status.success());
    // The stranger has the genesis and everybody's address: all that is public.
    let config = std::fs::read_to_string(network.folder().join("node-1.toml")).unwrap();
    let mut stranger: toml::Table = config.parse().unwrap();
    let other: toml::Table =
        std::fs::read_to_string(network.folder().join("node-2.toml")).unwrap().parse().unwrap();
    let mut peers = stranger["p2p"]["peers"].as_array().unwrap().clone();
    peers.extend(
        other["p2p"]["peers"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|peer| peer["participant"].as_str() == Some("hospital-1.example"))
            .cloned(),
    );
    assert_eq!(peers.len(), 4);
    stranger.remove("participant");
    stranger.insert("data_dir".into(), folder.join("data").to_str().unwrap().into());
    let ports = [custos_ports::free().unwrap(), custos_ports::free().unwrap()];
    let p2p = stranger["p2p"].as_table_mut().unwrap();
    p2p.insert("listen".into(), format!("/ip4/127.0.0.1/tcp/{}", ports[0]).into());
    p2p.insert("peers".into(), peers.into());
    stranger["api"].as_table_mut().unwrap().insert("listen".into(), format!("127.0.0.1:{}", ports[1]).into());
    let keys = stranger["keys"].as_table_mut().unwrap();
    keys.remove("consensus");
    keys.remove("note");
    keys.insert("transport".into(), key.to_str().unwrap().into());
    let file = folder.join("stranger.toml");
    std::fs::write(&file, toml::to_string(&stranger).unwrap()).unwrap();

    let mut network = network;
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let _stranger = Stopped(
        Command::new(binary())
            .args(["node", "run", "--config"])
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap(),
    );
    let client = custos_api::blocking::Client::new(&format!("http://127.0.0.1:{}", ports[1])).unwrap();
    let answers = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        client.status().is_ok()
    });
    assert!(answers, "{}", std::fs::read_to_string(folder.join("log")).unwrap());
    for index in ALL {
        network.record(index, 1);
    }
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(client.status().unwrap().height, 0, "a stranger was given blocks");
    assert!(!client.ready().unwrap().ready);
    let refused: f64 = ALL.iter().map(|index| network.metric(*index, "custos_refused_connections ")).sum();
    assert!(refused > 0.0, "nobody noticed the stranger");
    network.assert_equal_roots(&ALL);
}

/// A process that ends with the test.
struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
