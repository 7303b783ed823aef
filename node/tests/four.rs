//! Four validators in one process: what one takes in, all check once and record alike.

#![allow(clippy::unwrap_used)]

mod world;

use std::time::Duration;

use custos_api::client::Submitted;
use custos_node::config::{Config, Peer};
use custos_node::node::Node;
use custos_proof::anchor::TrustAnchor;
use custos_proof::genesis::Genesis;
use custos_proof::ids::{Height, TimeMs};
use custos_proof::keys::{KeyPurpose, Signer as _};
use custos_proof::kinds::{Class, Fields};
use custos_proof::submission::{Author, Draft, Submission};
use custos_proof::verify;
use world::{client, configure, event, genesis, id, item, key, random16, ready, run, trust};

const NAMES: [&str; 4] = ["hospital", "clinic", "laboratory", "insurer"];

struct Four {
    genesis: Genesis,
    places: Vec<(tempfile::TempDir, Config)>,
    nodes: Vec<Option<Node>>,
}

impl Four {
    async fn start() -> Self {
        let genesis = genesis(&NAMES);
        let ports: Vec<u16> = NAMES.iter().map(|_| free_port()).collect();
        let address = |port: u16| format!("/ip4/127.0.0.1/tcp/{port}");
        let mut places = Vec::new();
        for (name, port) in NAMES.iter().zip(&ports) {
            let dir = tempfile::tempdir().unwrap();
            let mut config = configure(dir.path(), name, &genesis);
            config.p2p.listen = address(*port);
            config.p2p.peers = NAMES
                .iter()
                .zip(&ports)
                .filter(|(other, _)| *other != name)
                .map(|(other, port)| Peer {
                    participant: (*other).into(),
                    address: address(*port),
                    transport_key: key(other, KeyPurpose::Transport).public_key().to_string(),
                    bootstrap: false,
                })
                .collect();
            places.push((dir, config));
        }
        let mut four = Self { genesis, places, nodes: (0..4).map(|_| None).collect() };
        for index in 0..4 {
            four.run(index).await;
        }
        for node in four.running() {
            ready(node).await;
        }
        four
    }

    async fn run(&mut self, index: usize) {
        let (dir, config) = &self.places[index];
        self.nodes[index] = Some(run(dir.path(), config).await);
    }

    fn running(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().flatten()
    }

    fn node(&self, index: usize) -> &Node {
        self.nodes[index].as_ref().unwrap()
    }

    fn testify(&self, author: &str) -> Submission {
        let draft = Draft {
            chain: &self.genesis.chain(),
            author: Author::Participant(id(author)),
            class: Class::Testimony,
            nonce: random16(),
            not_after: TimeMs(custos_node::chain::clock().0 + 600_000),
        };
        let items = vec![item(Fields::AccessEvent(event(author, author, None)))];
        Submission::sign(&draft, items, &key(author, KeyPurpose::Sign)).unwrap()
    }

    async fn record(&self, index: usize, author: &str) {
        let submission = self.testify(author);
        let anchor = TrustAnchor::from_genesis(&self.genesis).unwrap();
        match client(self.node(index))
            .submit_and_wait(submission.bytes(), Duration::from_secs(60))
            .await
            .unwrap()
        {
            Submitted::Committed { receipts, .. } => {
                verify::receipt(&receipts.receipts[0], &trust(&anchor)).unwrap();
            }
            Submitted::Pending(status) => panic!("{status:?}"),
        }
    }

    /// Waits until every running node has this height.
    async fn reach(&self, height: u64) {
        for node in self.running() {
            let reached = async {
                while node.chain().store().head().height.0 < height {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            let reached = tokio::time::timeout(Duration::from_secs(60), reached).await;
            assert!(reached.is_ok(), "{:?}", node.health().borrow());
        }
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn four_agree_lose_one_and_take_it_back() {
    let mut four = Four::start().await;
    const EACH: usize = 5;
    for round in 0..EACH {
        for (index, author) in NAMES.iter().enumerate() {
            four.record((index + round) % 4, author).await;
        }
    }
    let height = four.running().map(|node| node.chain().store().head().height.0).max().unwrap();
    four.reach(height).await;
    for at in 1..=height {
        let headers: Vec<_> = four
            .running()
            .map(|node| node.chain().store().snapshot().unwrap().header(Height(at)).unwrap().unwrap())
            .collect();
        assert!(headers.iter().all(|header| *header == headers[0]), "height {at}");
    }
    for node in four.running() {
        assert_eq!(node.chain().verifier().checks(), (4 * EACH) as u64, "one check per submission and node");
        assert!(node.chain().mempool().is_empty());
    }

    four.nodes[3].take().unwrap().stop().await;
    for _ in 0..3 {
        four.record(0, "hospital").await;
    }
    let height = four.node(0).chain().store().head().height.0;
    four.run(3).await;
    four.reach(height).await;
    ready(four.node(3)).await;
    four.record(3, "insurer").await;

    for node in &mut four.nodes {
        node.take().unwrap().stop().await;
    }
}
