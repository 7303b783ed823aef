//! The direction of dependencies, held by `cargo metadata`.
//!
//! `proof <- state <- store <- node <- cli` and `proof <- consensus <- node`; store and
//! consensus never see each other; only the store depends on RocksDB, only the engine crate on the
//! engine, and what an auditor trusts has no C build, no async runtime and no JSON.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Which of our crates each of our crates may name in `[dependencies]`.
const ALLOWED: [(&str, &[&str]); 18] = [
    ("custos-proof", &[]),
    ("custos-decide", &["custos-proof"]),
    ("custos-state", &["custos-proof"]),
    ("custos-store", &["custos-proof", "custos-state"]),
    ("custos-network", &["custos-proof"]),
    ("custos-engine", &["custos-proof", "custos-network"]),
    ("custos-consensus", &["custos-proof", "custos-engine", "custos-network"]),
    ("custos-api", &["custos-proof"]),
    ("custos-custodian", &["custos-proof", "custos-decide"]),
    ("custos-feed", &["custos-proof", "custos-custodian", "custos-api"]),
    (
        "custos-node",
        &[
            "custos-proof",
            "custos-state",
            "custos-store",
            "custos-consensus",
            "custos-api",
            "custos-custodian",
        ],
    ),
    (
        "custos",
        &[
            "custos-proof",
            "custos-decide",
            "custos-state",
            "custos-store",
            "custos-node",
            "custos-api",
            "custos-custodian",
            "custos-people",
            "custos-feed",
            "custos-ports",
        ],
    ),
    ("custos-people", &["custos-proof"]),
    (
        "custos-testnet",
        &[
            "custos-proof",
            "custos-state",
            "custos-store",
            "custos-consensus",
            "custos-network",
            "custos-node",
            "custos-api",
            "custos-custodian",
        ],
    ),
    ("custos-scenarios", &["custos-proof", "custos-api", "custos-network", "custos-ports", "custos-testnet"]),
    ("custos-ports", &[]),
    (
        "custos-fuzz",
        &[
            "custos-proof",
            "custos-store",
            "custos-network",
            "custos-engine",
            "custos-consensus",
            "custos-api",
            "custos-custodian",
            "custos-feed",
            "custos-node",
            "custos",
        ],
    ),
    // The oracle names the formats only; the scheduler drives the rules and the engine.
    ("custos-sim", &["custos-proof", "custos-state", "custos-network", "custos-engine", "custos-consensus"]),
];

/// Foreign crates (by prefix) that only one of our crates may name.
const RESERVED: [(&str, &[&str]); 3] = [
    ("rocksdb", &["custos-store"]),
    ("arc-malachitebft", &["custos-engine"]),
    ("libp2p", &["custos-network"]),
];

/// What must not stand anywhere below `custos-proof`: C builds, async runtimes, JSON.
const FORBIDDEN_BELOW_PROOF: [&str; 8] =
    ["cc", "cmake", "bindgen", "tokio", "serde_json", "rocksdb", "libp2p", "ring"];

/// Normal dependencies by package name, over the whole graph.
struct Graph {
    edges: BTreeMap<String, BTreeSet<String>>,
    ours: BTreeSet<String>,
}

impl Graph {
    fn read() -> Self {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked", "--offline", "--manifest-path"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let list = |value: &Value| value.as_array().unwrap().clone();
        let names: BTreeMap<String, String> =
            list(&metadata["packages"]).iter().map(|p| (text(&p["id"]), text(&p["name"]))).collect();
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in list(&metadata["resolve"]["nodes"]) {
            let from = names[&text(&node["id"])].clone();
            for dependency in list(&node["deps"]) {
                if list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()) {
                    edges.entry(from.clone()).or_default().insert(names[&text(&dependency["pkg"])].clone());
                }
            }
        }
        let ours = list(&metadata["workspace_members"]).iter().map(|id| names[&text(id)].clone()).collect();
        Self { edges, ours }
    }

    fn of(&self, name: &str) -> BTreeSet<String> {
        self.edges.get(name).cloned().unwrap_or_default()
    }

    /// Everything reachable from `name`.
    fn below(&self, name: &str) -> BTreeSet<String> {
        let (mut found, mut open) = (BTreeSet::new(), vec![name.to_owned()]);
        while let Some(next) = open.pop() {
            open.extend(self.of(&next).into_iter().filter(|dep| found.insert(dep.clone())));
        }
        found
    }
}

#[test]
fn our_crates_depend_in_one_direction_only() {
    let graph = Graph::read();
    let listed: BTreeSet<String> = ALLOWED.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(graph.ours, listed, "every crate of the workspace has its line in ALLOWED");
    for (name, allowed) in ALLOWED {
        for dependency in graph.of(name).intersection(&graph.ours) {
            assert!(allowed.contains(&dependency.as_str()), "{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn heavy_dependencies_have_one_owner() {
    let graph = Graph::read();
    for name in &graph.ours {
        for dependency in graph.of(name) {
            for (prefix, owners) in RESERVED {
                assert!(
                    !dependency.starts_with(prefix) || owners.contains(&name.as_str()),
                    "{name} must not depend on {dependency}"
                );
            }
        }
    }
}

#[test]
fn what_an_auditor_trusts_is_small() {
    let below = Graph::read().below("custos-proof");
    for forbidden in FORBIDDEN_BELOW_PROOF {
        assert!(!below.contains(forbidden), "custos-proof must not depend on {forbidden}: {below:?}");
    }
}

#[test]
fn store_and_consensus_never_see_each_other() {
    let graph = Graph::read();
    assert!(!graph.below("custos-store").contains("custos-consensus"));
    assert!(!graph.below("custos-consensus").contains("custos-store"));
}
