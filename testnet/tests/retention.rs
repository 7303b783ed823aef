//! Retention while a network runs: two nodes keep access records for thirty days, two for ever, and forty days go by.
//!
//! What is old goes from the first two while they vote and answer; what is on hold stays; every proof holds, and nobody
//! else notices. The clocks are those of a test network, set ahead.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use custos_api::blocking::Client;
use custos_api::client::ClientError;
use custos_api::clock;
use custos_proof::cbor::Wire as _;
use custos_proof::hash::ItemHash;
use custos_proof::item::item_hash;
use custos_proof::receipt::Receipt;
use custos_proof::trail::TrailName;
use custos_testnet::{Acknowledged, Network, binary};
use serde_json::Value;

const ALL: [usize; 4] = [1, 2, 3, 4];
/// They prune; the second one takes envelopes too.
const PRUNE: [usize; 2] = [1, 2];
/// They keep everything.
const KEEP: [usize; 2] = [3, 4];
const DAY_MS: u64 = 86_400_000;
const PATIENCE: Duration = Duration::from_secs(90);

/// An item, and the institution that recorded it, which may ask for it.
type Item = (usize, ItemHash);

/// A network, and how many days its clocks are ahead.
struct Ward {
    network: Network,
    days: u64,
}

impl Ward {
    fn done(&self, words: &[&str]) -> Value {
        let mut command = Command::new(binary());
        command.env("CUSTOS_CLOCK_AHEAD", format!("{}d", self.days)).arg("--json").args(words);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.network.folder().join(name)
    }

    /// What a custodian types, with its own vault.
    fn desk(&self, custodian: usize, words: &[&str]) -> Value {
        let (node, key) = (self.network.address(custodian), self.key(custodian));
        let vault = self.file(&format!("vault-{custodian}"));
        self.done(&[words, &["--node", &node, "--key", text(&key), "--vault", text(&vault)]].concat())
    }

    fn key(&self, institution: usize) -> PathBuf {
        self.file(&format!("keys/hospital-{institution}-sign.key"))
    }

    /// The first institution records an access.
    fn access(&self, patient: &str) -> Item {
        let words = ["access", "record", "--patient", patient, "--action", "read"];
        (1, self.desk(1, &words)["item"].as_str().unwrap().parse().unwrap())
    }

    fn record(&mut self, index: usize, items: usize) -> (Acknowledged, Vec<Item>) {
        let acknowledged = self.network.record(index, items);
        let items = acknowledged.submission.item_hashes().iter().map(|item| (index, *item)).collect();
        (acknowledged, items)
    }

    /// Days go by, for the nodes, the commands and this program.
    fn later(&mut self, days: u64) {
        let folder = self.network.folder().to_owned();
        self.done(&["testnet", "later", "--dir", text(&folder), &format!("{days}d")]);
        self.days += days;
        clock::set_ahead(self.days * DAY_MS);
    }

    /// How many times a node has said that it pruned.
    fn prunings(&self, index: usize) -> usize {
        self.network.log(index).matches("old testimony was pruned").count()
    }

    /// Blocks go on, on these nodes, until each has pruned once more; and each takes work and answers from the
    /// present all the while.
    fn until_pruned(&mut self, before: [usize; 2]) -> Vec<(Acknowledged, Vec<Item>)> {
        ALL.iter().for_each(|index| drop(self.network.record_when_back(*index)));
        let deadline = Instant::now() + PATIENCE;
        let mut recorded = Vec::new();
        while PRUNE.iter().zip(before).any(|(index, before)| self.prunings(*index) == before) {
            assert!(Instant::now() < deadline, "nothing is pruned: {}", self.network.log(1));
            for index in PRUNE {
                recorded.push(self.record(index, 1));
                assert!(self.network.client(index).ready().unwrap().ready);
            }
        }
        recorded
    }

    /// What a node has of an item: whether its receipt is there, and is one; otherwise it was pruned.
    fn has(&self, index: usize, (author, item): &Item) -> bool {
        let client = Client::new(&self.network.address(index)).unwrap();
        let client = client.signed_by(Arc::new(self.network.key(*author)));
        match client.receipt(item, None) {
            Ok(bytes) => {
                let receipt = Receipt::from_bytes(&bytes).unwrap();
                assert_eq!(item_hash(&receipt.item), *item);
                true
            }
            Err(ClientError::Problem(problem)) => {
                assert_eq!((problem.status, &*problem.code), (410, "pruned"));
                false
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    /// How many entries of an institution's trail are pruned in a node's proof, which has to hold and be whole.
    fn pruned(&self, index: usize, institution: usize) -> u64 {
        let (node, anchor) = (self.network.address(index), self.network.file("anchor"));
        let (key, proof) = (self.key(institution), self.file("trail.custos"));
        let trail = TrailName::institution(&self.network.participant(institution)).key().to_string();
        let words = ["trail", "prove", &trail, "--node", &node, "--key", text(&key)];
        self.done(&[&words[..], &["--anchor", text(&anchor), "-o", text(&proof)]].concat());
        let shown = self.done(&["verify", text(&proof), "--anchor", text(&anchor)]);
        assert_eq!(shown["complete"], true, "{shown}");
        shown["pruned"].as_u64().unwrap()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn keep_for_thirty_days(config: &Path, envelopes: bool) {
    let mut table: toml::Table = std::fs::read_to_string(config).unwrap().parse().unwrap();
    let mut retention = toml::Table::new();
    retention.insert("testimony_days".into(), 30.into());
    retention.insert("envelopes".into(), envelopes.into());
    table.insert("retention".into(), retention.into());
    std::fs::write(config, toml::to_string(&table).unwrap()).unwrap();
}

#[test]
fn what_is_old_goes_while_nodes_run_and_what_is_on_hold_or_kept_elsewhere_stays() {
    let mut ward = Ward { network: Network::up(4), days: 0 };
    let (a, b) = ("https://a.example/Patient/1", "https://a.example/Patient/2");
    let (held, free) = (ward.access(a), ward.access(b));
    let (of_second, second) = ward.record(2, 3);
    let (of_third, third) = ward.record(3, 3);
    // One patient's trail at the first institution is on hold, and all that the second one has.
    ward.desk(1, &["hold", "set", "--patient", a, "--order", "Landgericht 3 O 17/26"]);
    let everything = ward.desk(2, &["hold", "set", "--order", "Landgericht 3 O 18/26"]);
    let hold = everything["hold"].as_str().unwrap().to_owned();

    for index in PRUNE {
        keep_for_thirty_days(&ward.network.config(index), index == 2);
    }
    ward.later(40);
    let young = ward.until_pruned([0, 0]);

    for index in PRUNE {
        assert!(ward.has(index, &held), "node {index}: on a trail that is held");
        assert!(second.iter().all(|item| ward.has(index, item)), "node {index}: of a custodian that is held");
        assert!(
            young.iter().flat_map(|(_, items)| items).all(|item| ward.has(index, item)),
            "node {index}: young"
        );
        let old = third.iter().chain([&free]);
        assert!(old.into_iter().all(|item| !ward.has(index, item)), "node {index} keeps what is old");
        assert_eq!([1, 2, 3].map(|institution| ward.pruned(index, institution)), [1, 0, 3]);
    }
    // Whoever keeps everything has it all, and has not taken anything for damage.
    for index in KEEP {
        assert!(second.iter().chain(&third).chain([&held, &free]).all(|item| ward.has(index, item)));
        assert_eq!([1, 2, 3].map(|institution| ward.pruned(index, institution)), [0, 0, 0]);
        assert_eq!(ward.prunings(index), 0);
    }
    // A receipt that was fetched in time is as good as ever.
    let receipts = ward.file("receipts.custos");
    std::fs::write(&receipts, of_third.receipts.to_bytes()).unwrap();
    let anchor = ward.network.file("anchor");
    ward.done(&["verify", text(&receipts), "--anchor", text(&anchor)]);

    // The second hold is lifted: what it kept goes the next day, and the other one stays as it is.
    ward.desk(2, &["hold", "lift", &hold]);
    let before = PRUNE.map(|index| ward.prunings(index));
    ward.later(1);
    let younger = ward.until_pruned(before);
    for index in PRUNE {
        assert!(second.iter().all(|item| !ward.has(index, item)), "node {index} keeps what was held");
        assert!(ward.has(index, &held));
    }

    ward.network.assert_equal_roots(&ALL);
    let later = young.into_iter().chain(younger).map(|(acknowledged, _)| acknowledged);
    let acknowledged: Vec<_> = later.chain([of_second, of_third]).collect();
    KEEP.iter().for_each(|index| ward.network.assert_kept(*index, &acknowledged));
    ward.network.down();
    for index in ALL {
        ward.done(&["fsck", "--data", text(&ward.network.data(index))]);
    }
}
