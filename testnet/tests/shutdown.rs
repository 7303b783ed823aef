//! SIGTERM: whoever waits gets an answer, what was acknowledged is kept, and the process ends by itself with 0.

#![allow(clippy::unwrap_used)]

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
        let log = std::fs::File::create(network.folder().join("shutdown.log")).unwrap();
        let mut node = Node(
            Command::new(binary())
                .args(["node", "run", "--config"])
                .arg(network.folder().join("node-4.toml"))
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .unwrap(),
        );
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
