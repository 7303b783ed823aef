//! What an operator does when something is lost, on real nodes: back up, restore, prune, replace, rotate.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use custos_api::client::ClientError;
use custos_proof::item::item_hash;
use custos_proof::trail::TrailName;
use custos_testnet::{Acknowledged, Network, binary};
use serde_json::Value;

const ALL: [usize; 4] = [1, 2, 3, 4];
/// Longer than a validator stands aside on these networks: twice the clock bound, and a block.
const STANDING: Duration = Duration::from_secs(60);

fn run(network: &Network, expected: i32, arguments: &[&str]) -> Value {
    let output = network.custos(&[&["--json"], arguments].concat());
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(expected), "{arguments:?}: {talk}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {talk}"))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn log(network: &Network, index: usize) -> String {
    std::fs::read_to_string(network.folder().join(format!("node-{index}.log"))).unwrap()
}

fn wait(what: &str, patience: Duration, done: impl Fn() -> bool) {
    let deadline = Instant::now() + patience;
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not within {patience:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Moves a node's data away, as a lost disk would.
fn lose(network: &Network, index: usize) {
    let data = network.data(index);
    std::fs::rename(&data, data.with_extension(format!("lost-{}", now()))).unwrap();
}

fn now() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()
}

fn create(network: &Network, index: usize, to: &Path) -> Value {
    run(network, 0, &["snapshot", "create", "--data", text(&network.data(index)), "-o", text(to)])
}

fn restore(network: &Network, index: usize, from: &Path) -> Value {
    let (data, anchor) = (network.data(index), network.file("anchor"));
    let arguments = ["snapshot", "restore", text(from), "--data", text(&data), "--anchor", text(&anchor)];
    run(network, 0, &arguments)
}

/// Waits until a node that may stand aside does so no longer; in between it closes its API for a moment.
fn settled(network: &Network, index: usize) {
    wait("standing aside", STANDING, || {
        let said = log(network, index);
        let aside = said.rfind("this node stands aside").and_then(|at| said.get(at..));
        aside.is_none_or(|since| since.contains("it starts again and votes"))
            && network.client(index).ready().is_ok_and(|answer| answer.ready)
    });
}

/// Waits until a node that stood aside votes again: the others cannot go on without it.
fn votes_again(network: &mut Network, index: usize, other: usize, without: usize) -> Acknowledged {
    assert!(log(network, index).contains("it starts again and votes"));
    network.wait_for_height(&[index], network.head(&[other]));
    network.kill(without);
    let acknowledged = network.record(other, 1);
    network.start(without);
    acknowledged
}

#[test]
fn a_lost_node_comes_back_from_a_snapshot_that_was_taken_while_blocks_went_on() {
    let mut network = up();
    let mut acknowledged: Vec<Acknowledged> = (0..8).map(|n| network.record(1 + n % 4, 1 + n)).collect();
    let file = network.folder().join("a.snapshot");
    let anchor = network.file("anchor");
    let made = std::thread::scope(|scope| {
        let data = network.data(1);
        let arguments = ["--json", "snapshot", "create", "--data", text(&data), "-o", text(&file)];
        let creating = Command::new(binary()).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let waiting = scope.spawn(move || creating.wait_with_output().unwrap());
        while !waiting.is_finished() {
            acknowledged.push(network.record(2, 3));
        }
        waiting.join().unwrap()
    });
    assert!(made.status.success());
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    assert!(!network.data(1).join("checkpoints").read_dir().is_ok_and(|mut left| left.next().is_some()));

    let verified = run(&network, 0, &["snapshot", "verify", text(&file), "--anchor", text(&anchor)]);
    assert_eq!((&verified["height"], &verified["block_id"]), (&made["height"], &made["block_id"]));
    let header =
        network.client(3).header(custos_proof::ids::Height(made["height"].as_u64().unwrap())).unwrap();
    assert_eq!(verified["state_root"], header.state_root.to_string());
    // It is no snapshot of another network, and a day is not too old for it.
    run(
        &network,
        0,
        &["snapshot", "verify", text(&file), "--anchor", text(&anchor), "--not-older-than", "1d"],
    );

    network.kill(4);
    lose(&network, 4);
    acknowledged.push(network.record(1, 2));
    // Only into an empty place, and only what is whole.
    let data = network.data(1);
    run(&network, 2, &["snapshot", "restore", text(&file), "--data", text(&data), "--anchor", text(&anchor)]);
    let mut bad = std::fs::read(&file).unwrap();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    let flipped = network.folder().join("flipped.snapshot");
    std::fs::write(&flipped, bad).unwrap();
    let data = network.data(4);
    let arguments = ["snapshot", "restore", text(&flipped), "--data", text(&data), "--anchor", text(&anchor)];
    run(&network, 1, &arguments);
    assert!(!data.join("ledger").exists());

    let restored = restore(&network, 4, &file);
    assert_eq!(restored["height"], made["height"]);
    network.start(4);
    assert!(log(&network, 4).contains("stands aside"), "{}", log(&network, 4));
    settled(&network, 4);
    network.assert_equal_roots(&ALL);
    network.assert_kept(4, &acknowledged);
    acknowledged.push(votes_again(&mut network, 4, 1, 3));
    network.assert_equal_roots(&ALL);
    network.down();
    for index in ALL {
        run(&network, 0, &["fsck", "--data", text(&network.data(index))]);
    }
}

#[test]
fn a_restore_that_is_killed_leaves_nothing_that_opens_and_is_done_again() {
    let mut network = up();
    for n in 0..6 {
        network.record(1 + n % 4, 40);
    }
    let file = network.folder().join("a.snapshot");
    create(&network, 1, &file);
    network.kill(4);
    lose(&network, 4);
    let (data, anchor) = (network.data(4), network.file("anchor"));
    let arguments = ["snapshot", "restore", text(&file), "--data", text(&data), "--anchor", text(&anchor)];
    let mut killed = 0;
    for ms in [20, 60, 120, 200, 300, 450, 700] {
        let mut restoring = Command::new(binary())
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(ms));
        if restoring.try_wait().unwrap().is_some() {
            break;
        }
        restoring.kill().unwrap();
        restoring.wait().unwrap();
        killed += 1;
        if data.join("ledger").exists() {
            break;
        }
        // What is there is no ledger and says so, or is all of one and lacks its name only.
        let half = data.join("ledger.restoring");
        if half.exists() {
            let code = network.custos(&["fsck", "--data", text(&half)]).status.code();
            assert!(matches!(code, Some(0 | 2)), "{code:?}");
        }
    }
    assert!(killed > 0, "it was over before it could be killed");
    if !data.join("ledger").exists() {
        restore(&network, 4, &file);
    }
    run(&network, 0, &["fsck", "--data", text(&data)]);
    network.start(4);
    settled(&network, 4);
    network.assert_equal_roots(&ALL);
}

#[test]
fn pruned_nodes_prove_as_before_and_a_node_that_starts_from_nothing_needs_a_snapshot() {
    let mut network = up();
    let old = network.record(1, 3);
    for n in 0..4 {
        network.record(1 + n % 4, 2);
    }
    let before = network.head(&ALL);
    let young = network.record(2, 1);
    network.down();
    for index in [1, 2, 3] {
        let data = network.data(index);
        let pruned = run(&network, 0, &["prune", "--data", text(&data), "--before", &before.to_string()]);
        assert!(pruned["items"].as_u64().unwrap() >= 3, "{pruned}");
        assert_eq!(run(&network, 0, &["fsck", "--data", text(&data)])["outcome"], "whole");
    }
    lose(&network, 4);
    for index in [1, 2] {
        network.start_without_waiting(index);
    }
    network.start(3);

    // The trail is complete as before; what is gone reads so, and a receipt of it is refused by a typed error.
    let gone = item_hash(&old.submission.items()[0]);
    match network.client(1).receipt(&gone, None) {
        Err(ClientError::Problem(problem)) => assert_eq!((problem.status, &*problem.code), (410, "pruned")),
        other => panic!("{other:?}"),
    }
    let kept = item_hash(&young.submission.items()[0]);
    network.client(2).receipt(&kept, None).unwrap();
    let proof = network.folder().join("trail.custos");
    let (key, anchor) = (network.file("client_key"), network.file("anchor"));
    let (url, trail) =
        (network.address(1), TrailName::institution(&network.participant(1)).key().to_string());
    let arguments = [
        "trail",
        "prove",
        &trail,
        "--node",
        &url,
        "--key",
        text(&key),
        "--anchor",
        text(&anchor),
        "-o",
        text(&proof),
    ];
    run(&network, 0, &arguments);
    let shown = run(&network, 0, &["verify", text(&proof), "--anchor", text(&anchor)]);
    assert!(shown["pruned"].as_u64().unwrap() >= 3, "{shown}");

    // Blocks from the beginning are served by nobody any more.
    network.start_without_waiting(4);
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(network.client(4).status().unwrap().height, 0);
    assert!(!network.client(4).ready().unwrap().ready);
    network.kill(4);
    lose(&network, 4);
    let file = network.folder().join("a.snapshot");
    create(&network, 1, &file);
    let restored = restore(&network, 4, &file);
    assert!(restored["items_pruned"].as_u64().unwrap() >= 3);
    network.start(4);
    settled(&network, 4);
    let later = network.record(4, 1);
    network.assert_equal_roots(&ALL);
    network.assert_kept(4, &[young, later]);
}

#[test]
fn a_consensus_key_is_replaced_by_vote_while_the_validator_runs() {
    let mut network = up();
    network.record(1, 1);
    let next = network.folder().join("consensus-2.key");
    let (url, key) = (network.address(4), network.folder().join("keys/hospital-4-sign.key"));
    let rotated = run(
        &network,
        0,
        &["node", "rotate", "consensus", "-o", text(&next), "--node", &url, "--key", text(&key)],
    );
    let proposal = rotated["proposal"]["proposal"].as_str().unwrap().to_owned();
    edit(&network.folder().join("node-4.toml"), |config| {
        let keys = config["keys"].as_table_mut().unwrap();
        keys.insert("consensus_next".into(), text(&next).into());
    });
    network.kill(4);
    network.start(4);
    vote(&network, &proposal, &[1, 2]);
    wait("changing over", STANDING, || log(&network, 4).contains("a block put the other consensus key"));
    network.wait_for_height(&[4], network.head(&[1]));
    wait("ready", STANDING, || network.client(4).ready().is_ok_and(|answer| answer.ready));
    let validators = network.client(1).registry().unwrap().validators;
    let own = validators.iter().find(|v| v.participant == network.participant(4)).unwrap();
    assert_eq!(own.key.to_string(), rotated["public_key"].as_str().unwrap());
    // Without its vote nothing is decided: it votes, with the new key, and survives a restart with it.
    network.kill(3);
    network.record(1, 1);
    network.kill(4);
    network.start(4);
    network.record(1, 1);
    network.start(3);
    network.assert_equal_roots(&ALL);
    for index in ALL {
        let seen = network.metric(index, "custos_evidence ");
        assert!(seen < 0.5, "node {index} saw somebody sign twice");
    }
    network.down();
    for index in ALL {
        run(&network, 0, &["fsck", "--data", text(&network.data(index))]);
    }
}

#[test]
fn a_lost_validator_is_replaced_by_a_machine_with_new_keys() {
    let mut network = up();
    let mut acknowledged = vec![network.record(1, 2)];
    // Machine and keys are gone; the old ones lie in a thief's hands.
    network.kill(4);
    lose(&network, 4);
    let keys = network.folder().join("new-keys");
    let (url, key) = (network.address(1), network.folder().join("keys/hospital-1-sign.key"));
    let lost = network.participant(4).to_string();
    let replaced = run(
        &network,
        0,
        &["node", "replace", &lost, "--keys", text(&keys), "--node", &url, "--key", text(&key)],
    );
    let proposal = replaced["proposal"]["proposal"].as_str().unwrap().to_owned();
    vote(&network, &proposal, &[2, 3]);
    acknowledged.push(network.record(2, 1));
    let file = network.folder().join("a.snapshot");
    create(&network, 2, &file);
    restore(&network, 4, &file);
    edit(&network.folder().join("node-4.toml"), |config| {
        let table = config["keys"].as_table_mut().unwrap();
        for purpose in ["consensus", "transport", "note"] {
            table.insert(purpose.into(), text(&keys.join(format!("{purpose}.key"))).into());
        }
    });
    network.start(4);
    settled(&network, 4);
    network.assert_equal_roots(&ALL);
    network.assert_kept(4, &acknowledged);
    acknowledged.push(votes_again(&mut network, 4, 1, 3));
    network.assert_equal_roots(&ALL);
    // The old keys do not get in.
    let registry = network.client(1).registry().unwrap();
    let own = registry.participants.iter().find(|p| p.id == network.participant(4)).unwrap();
    let live =
        |purpose: &str| own.keys.iter().filter(|k| k.purpose == purpose && k.revoked.is_none()).count();
    assert_eq!((live("consensus"), live("transport"), live("note")), (1, 1, 1));
}

fn vote(network: &Network, proposal: &str, voters: &[usize]) {
    for index in voters {
        let (url, key) =
            (network.address(1), network.folder().join(format!("keys/hospital-{index}-sign.key")));
        run(network, 0, &["proposal", "vote", proposal, "yes", "--node", &url, "--key", text(&key)]);
    }
    let url = network.address(1);
    let shown = run(network, 0, &["proposal", "show", proposal, "--node", &url]);
    assert_eq!(shown["state"], "executed", "{shown}");
}

/// A network on which the last node stands aside for a moment only: one machine has one clock.
fn up() -> Network {
    let network = Network::up(4);
    edit(&network.folder().join("node-4.toml"), |config| {
        let consensus = config.entry("consensus").or_insert_with(|| toml::Table::new().into());
        consensus.as_table_mut().unwrap().insert("clock_bound_ms".into(), 500.into());
    });
    network
}

fn edit(path: &Path, change: impl FnOnce(&mut toml::Table)) {
    let mut config: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
    change(&mut config);
    std::fs::write(path, toml::to_string(&config).unwrap()).unwrap();
}
