//! Four real validators in one process: real sockets, real logs, real files, one runtime each.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::time::{Duration, Instant};

use common::{Node, Pool, Setup, chain_in, is_idle, wait};
use custos_consensus::State;

fn start_all(setup: &Setup, count: usize) -> Vec<Node> {
    (0..count).map(|index| setup.start(index, true, Pool::default())).collect()
}

fn lowest(nodes: &[Node]) -> u64 {
    nodes.iter().map(Node::height).min().unwrap()
}

/// Every chain is a prefix of the longest.
fn assert_one_chain(setup: &Setup, count: usize) -> usize {
    let chains: Vec<_> = (0..count).map(|index| chain_in(&setup.blocks(index), &setup.members)).collect();
    let longest = chains.iter().max_by_key(|chain| chain.len()).unwrap().clone();
    for (index, chain) in chains.iter().enumerate() {
        assert_eq!(chain[..], longest[..chain.len()], "node {index} has another chain");
    }
    longest.len()
}

#[test]
fn they_agree_and_go_on_through_stops_of_one_and_of_all() {
    // A heartbeat of nothing: heights follow each other, empty or not.
    let setup = Setup::new(4, 4, 0);
    let began = Instant::now();
    let mut nodes = start_all(&setup, 4);
    wait("the first height", 30, || lowest(&nodes) >= 1);
    println!("first height after {:?}", began.elapsed());

    // Rate of empty heights with all four.
    let (from, at) = (lowest(&nodes), Instant::now());
    wait("forty heights", 60, || lowest(&nodes) >= from + 40);
    println!("empty heights, four of four: {:.1}/s", 40.0 / at.elapsed().as_secs_f64());

    for (index, node) in nodes.iter().enumerate() {
        node.submit(format!("submission of {index}").as_bytes());
    }
    wait("all submissions", 30, || nodes.iter().all(|node| node.pool.lock().unwrap().is_empty()));

    // One stops. The others go on.
    nodes.remove(3).stop();
    let (from, at) = (lowest(&nodes), Instant::now());
    wait("heights with three of four", 60, || lowest(&nodes) >= from + 12);
    println!("empty heights, three of four: {:.1}/s", 12.0 / at.elapsed().as_secs_f64());

    // It comes back and catches up.
    let target = lowest(&nodes);
    let at = Instant::now();
    nodes.push(setup.start(3, true, Pool::default()));
    wait("the fourth has caught up", 30, || nodes[3].height() >= target + 8);
    println!("caught up after {:?}", at.elapsed());

    // And it votes again, at the tip: without it every fourth height would cost the proposer's timeout.
    let at = Instant::now();
    wait("the fourth takes its turns again", 40, || {
        let (from, window) = (lowest(&nodes), Instant::now());
        std::thread::sleep(Duration::from_millis(1_500));
        let rate = (lowest(&nodes) - from) as f64 / window.elapsed().as_secs_f64();
        println!("empty heights, four of four again: {rate:.1}/s");
        rate > 8.0
    });
    println!("voting again after {:?}", at.elapsed());

    // All crash at once and come back.
    let before = lowest(&nodes);
    nodes.into_iter().for_each(Node::crash);
    let kept = assert_one_chain(&setup, 4);
    assert!(kept as u64 >= before);
    let at = Instant::now();
    let nodes = start_all(&setup, 4);
    wait("heights after the restart of all", 60, || lowest(&nodes) >= kept as u64 + 5);
    println!("five heights after the restart of all: {:?}", at.elapsed());
    assert!(nodes.iter().all(|node| node.health().state.is_live()));
    assert_eq!(nodes.iter().map(|node| node.health().evidence_seen).sum::<u64>(), 0, "nobody signed twice");
    nodes.into_iter().for_each(Node::stop);
    assert_one_chain(&setup, 4);
}

#[test]
fn with_nothing_to_say_no_block_is_made_and_work_is_recorded_at_once() {
    let setup = Setup::new(4, 4, 60_000);
    let nodes = start_all(&setup, 4);
    wait("all idle", 30, || lowest(&nodes) >= 1 && nodes.iter().all(is_idle));
    let quiet = lowest(&nodes);
    std::thread::sleep(Duration::from_secs(2));
    assert!(nodes.iter().all(|node| node.height() == quiet), "an empty block was made");
    // Known to one node only, so the others go on because it does.
    for round in 0..4 {
        let at = Instant::now();
        let height = lowest(&nodes);
        for node in &nodes {
            node.submit(format!("work {round}").as_bytes());
        }
        wait("the work is recorded", 10, || lowest(&nodes) > height);
        println!("idle to recorded on all four: {:?}", at.elapsed());
        wait("idle again", 10, || nodes.iter().all(is_idle));
    }
    nodes[2].submit(b"known to one node only");
    wait("it is recorded in that node's turn at the latest", 20, || nodes[2].pool.lock().unwrap().is_empty());
    nodes.into_iter().for_each(Node::stop);
    assert_one_chain(&setup, 4);
}

#[test]
fn a_heartbeat_block_is_made_when_nobody_has_anything_to_say() {
    let setup = Setup::new(4, 4, 1_000);
    let nodes = start_all(&setup, 4);
    wait("the first height", 30, || lowest(&nodes) >= 1);
    let (from, at) = (lowest(&nodes), Instant::now());
    wait("three heartbeats", 15, || lowest(&nodes) >= from + 3);
    assert!(at.elapsed() > Duration::from_millis(2_000), "heartbeats came too fast: {:?}", at.elapsed());
    nodes.into_iter().for_each(Node::stop);
}

#[test]
fn a_single_validator_needs_nobody() {
    let setup = Setup::new(1, 1, 0);
    let node = setup.start(0, true, Pool::default());
    wait("ten heights", 30, || node.height() >= 10);
    node.stop();
    let node = setup.start(0, true, Pool::default());
    let height = node.height();
    wait("and ten more", 30, || node.height() >= height + 10);
    node.stop();
}

#[test]
fn large_blocks_travel_and_late_joiners_and_followers_get_them() {
    let setup = Setup::new(4, 5, 60_000);
    let mut nodes: Vec<_> = (0..3).map(|index| setup.start(index, true, Pool::default())).collect();
    wait("three idle", 30, || nodes.iter().all(|node| node.height() >= 1 && is_idle(node)));
    for batch in 0..6u8 {
        let height = lowest(&nodes);
        for node in &nodes {
            for i in 0..3u8 {
                node.submit(&vec![batch * 3 + i; 900 * 1024]);
            }
        }
        wait("a large block", 30, || {
            nodes.iter().all(|n| n.height() > height && n.pool.lock().unwrap().is_empty())
        });
    }
    let target = lowest(&nodes);
    let at = Instant::now();
    // The fourth validator comes late, and a follower that has no vote.
    nodes.push(setup.start(3, true, Pool::default()));
    nodes.push(setup.start(4, false, Pool::default()));
    wait("both have everything", 60, || nodes.iter().all(|node| node.height() >= target));
    println!("{target} heights with 16 MB fetched by two in {:?}", at.elapsed());
    nodes[0].submit(b"and on they go");
    wait("the next height on all five", 30, || lowest(&nodes) > target);
    assert!(nodes.iter().all(|node| node.health().state != State::Lagging));
    nodes.into_iter().for_each(Node::stop);
    assert_one_chain(&setup, 5);
}

#[test]
fn two_of_four_stand_still_and_the_third_sets_them_going() {
    let setup = Setup::new(4, 4, 0);
    let mut nodes = start_all(&setup, 4);
    wait("the first heights", 30, || lowest(&nodes) >= 3);
    nodes.pop().unwrap().crash();
    nodes.pop().unwrap().crash();
    std::thread::sleep(Duration::from_secs(2));
    let stuck = lowest(&nodes);
    std::thread::sleep(Duration::from_secs(2));
    assert!(lowest(&nodes) <= stuck + 1, "two of four decided");
    wait("they say so", 20, || nodes.iter().all(|node| node.health().state == State::WaitingForPeers));
    let at = Instant::now();
    nodes.push(setup.start(2, true, Pool::default()));
    wait("three go on", 40, || lowest(&nodes) >= stuck + 3);
    println!("resumed with three of four after {:?}", at.elapsed());
    nodes.into_iter().for_each(Node::stop);
    assert_one_chain(&setup, 3);
}
