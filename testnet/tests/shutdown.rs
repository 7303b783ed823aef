//! SIGTERM: whoever waits gets an answer, what was acknowledged is kept, and the process ends by itself with 0.

#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use custos_api::blocking::Client;
use custos_api::client::Submitted;
use custos_testnet::{Acknowledged, Network, binary};

/// How long an orderly end may take: requests in flight, the commit in flight, the engine, the store.
const MAX_END: Duration = Duration::from_secs(30);

struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Node {
    fn start(network: &Network, log: File) -> Self {
        let node = Command::new(binary())
            .args(["node", "run", "--config"])
            .arg(network.folder().join("node-4.toml"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        Self(node.unwrap())
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// The exit code, once it has ended.
    fn end(&mut self) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < MAX_END, "the node does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_terminated_node_answers_keeps_its_word_and_ends_with_0() {
    let mut network = Network::up(4);
    for name in ["TERM", "INT"] {
        network.kill(4);
        let log = File::create(network.folder().join("shutdown.log")).unwrap();
        let mut node = Node::start(&network, log);
        let first = network.record_when_back(4);
        let submissions: Vec<_> = (0..24).map(|_| network.submission(4, 1)).collect();
        let address = network.address(4);
        let waiting: Vec<_> = submissions
            .into_iter()
            .map(|submission| {
                let address = address.clone();
                std::thread::spawn(move || {
                    let client = Client::new(&address).unwrap();
                    let answer = client.submit_and_wait(submission.bytes(), Duration::from_secs(20));
                    (submission, answer)
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(30));
        node.signal(name);
        assert_eq!(
            node.end(),
            Some(0),
            "{}",
            std::fs::read_to_string(network.folder().join("shutdown.log")).unwrap()
        );
        let mut acknowledged = vec![first];
        for thread in waiting {
            // A refusal, or a connection that was closed, is an answer: it says that nothing was promised.
            if let (submission, Ok(Submitted::Committed { receipts, .. })) = thread.join().unwrap() {
                acknowledged.push(Acknowledged { submission, receipts });
            }
        }
        network.start(4);
        network.assert_kept(4, &acknowledged);
        network.assert_kept(1, &acknowledged);
    }
    network.assert_equal_roots(&[1, 2, 3, 4]);
}

/// As when `custos snapshot create` or `custos node vote-again` looks into the store at that moment.
#[test]
fn a_node_waits_for_its_store_and_can_be_stopped_meanwhile() {
    let mut network = Network::up(4);
    network.kill(4);
    let log = network.folder().join("waiting.log");
    let in_use = File::options().write(true).open(network.data(4).join("ledger/IN-USE")).unwrap();
    in_use.lock().unwrap();
    let waits = |network: &Network| {
        let mut node = Node::start(network, File::create(&log).unwrap());
        let begun = Instant::now();
        while !std::fs::read_to_string(&log).unwrap().contains("waiting for the store") {
            assert!(begun.elapsed() < MAX_END && node.0.try_wait().unwrap().is_none(), "it does not wait");
            std::thread::sleep(Duration::from_millis(20));
        }
        node
    };
    let mut node = waits(&network);
    node.signal("TERM");
    assert_eq!(node.end(), Some(0));
    let node = waits(&network);
    in_use.unlock().unwrap();
    network.record_when_back(4);
    drop(node);
    network.start(4);
}
