//! What is true after every story, whatever was broken in it.
//!
//! The checks look from outside, at what nodes serve and at what they leave on disk, and know nothing of
//! the fault:
//! * every node comes back, takes work and has the same head;
//! * all have the same header, and so both roots, at every height;
//! * every acknowledged submission is in exactly one block, every item of it exactly once, and no item of
//!   the chain is there twice;
//! * every receipt verifies from the genesis anchor alone, and is for what was handed in; one of them by a
//!   second verifier, which shares no code with the first;
//! * nobody signed twice: no evidence in a node's metrics, no such line in its log, no report on the ledger;
//! * no node panicked;
//! * `custos fsck --deep` finds every node's data whole, every block replayed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use custos_api::answers::SubmissionState;
use custos_api::blocking::Client;
use custos_api::client::Limits;
use custos_proof::anchor::{Links, Recency, TrustAnchor};
use custos_proof::cbor::Wire as _;
use custos_proof::hash::SubmissionId;
use custos_proof::header::Header;
use custos_proof::ids::{Height, ItemId};
use custos_proof::item::Item;
use custos_proof::kinds::Kind;
use custos_proof::submission::Submission;
use custos_proof::verify::{self, Basis};
use custos_testnet::Network;
use std::sync::Arc;

use crate::clients::Kept;

/// How long a node may take until it is ready, on a machine that does much else.
pub const READY: Duration = Duration::from_secs(240);
/// How many lines of a log are shown when it matters.
const LAST_LINES: usize = 12;

/// What was found whole; only [`whole`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checked {
    /// Nodes.
    pub nodes: usize,
    /// Heights at which all of them agree.
    pub heights: u64,
    /// Submissions that clients hold receipts for.
    pub acknowledged: usize,
    /// Receipts that verify.
    pub receipts: usize,
    /// Whether a second verifier was there to agree on one of them.
    pub second_verifier: bool,
}

/// The checks of every story. The network is stopped afterwards.
///
/// # Panics
/// With the first thing that is not as it must be.
#[must_use]
pub fn whole(network: &mut Network, nodes: &[usize], acknowledged: &[Kept]) -> Checked {
    assert!(!acknowledged.is_empty(), "nothing was acknowledged, so nothing was shown");
    for node in nodes {
        ready(network, *node, READY);
    }
    for node in nodes {
        network.record(*node, 1);
    }
    let heights = same_headers(network, nodes);
    exactly_once(network, nodes[0], heights, acknowledged);
    known_everywhere(network, nodes, acknowledged);
    let (receipts, second_verifier) = receipts_verify(network, nodes[0], acknowledged);
    nobody_signed_twice(network, nodes);
    network.down();
    for node in nodes {
        left_whole(network, *node);
    }
    Checked { nodes: nodes.len(), heights, acknowledged: acknowledged.len(), receipts, second_verifier }
}

/// What is checked of a node that has stopped, whether it still decides or not.
///
/// # Panics
/// When it panicked, or its data are not whole.
pub fn left_whole(network: &Network, node: usize) {
    no_panic(network, node);
    fsck(network, node);
}

/// Waits until a node takes work.
///
/// # Panics
/// When it does not, with its reason and its last log lines.
pub fn ready(network: &Network, node: usize, patience: Duration) {
    let began = Instant::now();
    let client = network.client(node);
    loop {
        let answer = client.ready();
        if answer.as_ref().is_ok_and(|answer| answer.ready) {
            return;
        }
        let runs = network.runs(node);
        assert!(
            runs && began.elapsed() < patience,
            "node {node} is not ready (process there: {runs}): {answer:?}\n{}",
            last_lines(&network.log(node))
        );
        sleep(Duration::from_millis(50));
    }
}

/// Whether these nodes, which run, record nothing for `lasting`, once what was under way is over after `settling`.
///
/// For halts that last longer than a client waits: one that was cut off asks another node then, and is told what was
/// recorded before the halt.
#[must_use]
pub fn stand_still(network: &Network, nodes: &[usize], settling: Duration, lasting: Duration) -> bool {
    sleep(settling);
    let before = network.head(nodes);
    sleep(lasting);
    network.head(nodes) == before
}

/// The end of a log.
#[must_use]
pub fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

/// One client for many requests, as the node's participant.
fn reader(network: &Network, node: usize) -> Client {
    let limits = Limits { request: Duration::from_secs(30), ..Limits::default() };
    Client::with_limits(&network.address(node), limits)
        .expect("because nodes have addresses")
        .signed_by(Arc::new(network.key(node)))
}

fn same_headers(network: &Network, nodes: &[usize]) -> u64 {
    let head = network.head(nodes);
    network.wait_for_height(nodes, head);
    let read = |node: usize| -> Vec<Header> {
        let client = reader(network, node);
        let header = |height| {
            client
                .header(Height(height))
                .unwrap_or_else(|error| panic!("node {node}, header {height}: {error}"))
        };
        (1..=head).map(header).collect()
    };
    let first = read(nodes[0]);
    for node in &nodes[1..] {
        for (ours, theirs) in first.iter().zip(read(*node)) {
            assert_eq!(*ours, theirs, "nodes {} and {node} differ at height {}", nodes[0], ours.height);
        }
    }
    let parents = first.windows(2).all(|pair| pair[1].parent == pair[0].block_id());
    assert!(parents, "the headers are no chain");
    head
}

/// Reads every block's body and counts.
fn exactly_once(network: &Network, node: usize, heights: u64, acknowledged: &[Kept]) {
    let client = reader(network, node);
    let mut places: BTreeMap<SubmissionId, u64> = BTreeMap::new();
    let mut items: BTreeSet<ItemId> = BTreeSet::new();
    for height in 1..=heights {
        let block = client.block_file(Height(height)).unwrap_or_else(|e| panic!("block {height}: {e}"));
        for bytes in block.body.iter() {
            let submission = Submission::decode(bytes).expect("because a recorded submission is well formed");
            let id = submission.id();
            if let Some(other) = places.insert(id, height) {
                panic!("submission {id} is in block {other} and in block {height}");
            }
            for bytes in submission.items() {
                let item = Item::from_bytes(bytes).expect("because a recorded item is well formed");
                assert!(items.insert(item.item_id), "item {:?} is recorded twice", item.item_id);
                assert_ne!(
                    item.kind(),
                    Kind::MisbehaviourReport,
                    "misbehaviour is reported in block {height}"
                );
            }
        }
    }
    for kept in acknowledged {
        let id = kept.submission.id();
        assert!(places.contains_key(&id), "submission {id} was acknowledged and is in no block");
        for bytes in kept.submission.items() {
            let item = Item::from_bytes(bytes).expect("because we made it");
            assert!(items.contains(&item.item_id), "an item of submission {id} is not recorded");
        }
    }
}

fn known_everywhere(network: &Network, nodes: &[usize], acknowledged: &[Kept]) {
    for node in nodes {
        let client = reader(network, *node);
        for kept in acknowledged {
            let id = kept.submission.id();
            let state = client.submission(&id).map(|answer| answer.state);
            let recorded = state.as_ref().is_ok_and(|state| *state == SubmissionState::Committed);
            assert!(recorded, "node {node} does not know {id} as recorded: {state:?}");
        }
    }
}

fn receipts_verify(network: &Network, node: usize, acknowledged: &[Kept]) -> (usize, bool) {
    let anchor = std::fs::read(network.file("anchor")).expect("because the network has an anchor");
    let anchor = TrustAnchor::from_bytes(&anchor).expect("because it is one");
    let links = reader(network, node).links(Height(0)).expect("because the node answers");
    let basis = Basis { anchor: &anchor, links: &links.links, recency: Recency::default() };
    let mut verified = 0;
    for kept in acknowledged {
        let id = kept.submission.id();
        assert_eq!(kept.receipts.receipts.len(), kept.submission.items().len(), "receipts of {id}");
        for (receipt, hash) in kept.receipts.receipts.iter().zip(kept.submission.item_hashes()) {
            let proven = verify::receipt(receipt, &basis)
                .unwrap_or_else(|failure| panic!("a receipt of {id} does not verify: {failure}"));
            assert_eq!(proven.item.hash, *hash, "a receipt of {id} is for another item");
            verified += 1;
        }
    }
    let second = acknowledged.last().is_some_and(|kept| second_verifier(network, kept, &links));
    (verified, second)
}

/// Has the verifier in Python look at one receipt, with the way to later validators if there is one; false when there
/// is no Python.
fn second_verifier(network: &Network, kept: &Kept, links: &Links) -> bool {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/spec/verify.py");
    let Some(receipt) = kept.receipts.receipts.first() else { return false };
    let file = network.folder().join("receipt.custos");
    std::fs::write(&file, receipt.to_bytes()).expect("because the folder is ours");
    let mut command = Command::new("python3");
    command.arg(script).arg(&file).arg("--anchor").arg(network.file("anchor"));
    if !links.links.is_empty() {
        let way = network.folder().join("links.custos");
        std::fs::write(&way, links.to_bytes()).expect("because the folder is ours");
        command.arg("--links").arg(way);
    }
    let Ok(output) = command.env("PYTHONDONTWRITEBYTECODE", "1").output() else { return false };
    let talk = [output.stdout, output.stderr].concat();
    assert_eq!(
        output.status.code(),
        Some(0),
        "the second verifier disagrees: {}",
        String::from_utf8_lossy(&talk)
    );
    true
}

fn nobody_signed_twice(network: &Network, nodes: &[usize]) {
    for node in nodes {
        let seen = network.metric(*node, "custos_evidence ");
        assert!(seen < 0.5, "node {node} holds evidence that somebody signed twice");
        let log = network.log(*node);
        if let Some(line) = log.lines().find(|line| line.contains("a validator signed twice")) {
            panic!("node {node}: {line}");
        }
    }
}

fn no_panic(network: &Network, node: usize) {
    let log = network.log(node);
    if let Some(line) = log.lines().find(|line| line.contains("panicked at")) {
        panic!("node {node} panicked: {line}\n{}", last_lines(&log));
    }
}

fn fsck(network: &Network, node: usize) {
    let data = network.data(node);
    let data = data.to_str().expect("because the harness names folders in ASCII");
    let output = network.custos(&["fsck", "--deep", "--data", data]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "fsck of node {node}: {words}");
}
