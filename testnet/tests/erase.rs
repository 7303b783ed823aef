//! Erasures on a real network, months later, and a custodian's process that is killed at any moment of one:
//! what the ledger covers is gone from the vault in the end, and nothing else is.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use custos_custodian::vault::{Vault, VaultKey};
use custos_proof::hash::ItemHash;
use custos_testnet::{Network, binary};
use serde_json::{Value, json};

const PATIENT: &str = "https://a.example/Patient/17";
/// Past the end of any quarter, the week of the class, and the month that everything is kept.
const LATER: &str = "130d";

struct Desk {
    network: Network,
    ahead: &'static str,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let policy = folder.path().join("policy.toml");
        std::fs::write(&policy, "retention_days = [7, 3650, 10950]\n").unwrap();
        let network = Network::up_with(4, &["--policy", policy.to_str().unwrap()]);
        Self { network, ahead: "0s" }
    }

    fn vault_folder(&self) -> PathBuf {
        self.network.folder().join("vault")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.env("CUSTOS_CLOCK_AHEAD", self.ahead).arg("--json").args(words);
        command.args(["--node", &self.network.address(1)]);
        for (name, file) in [
            ("--key", self.network.file("client_key")),
            ("--vault", self.vault_folder()),
            ("--vault-key", self.network.file("vault_key")),
        ] {
            command.arg(name).arg(file);
        }
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    fn done(&self, words: &[&str]) -> Value {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn access(&self, retention: &str) -> ItemHash {
        let words = ["access", "record", "--patient", PATIENT, "--action", "read", "--retention", retention];
        self.done(&words)["item"].as_str().unwrap().parse().unwrap()
    }

    fn later(&mut self) {
        let output = self.network.custos(&[
            "--json",
            "testnet",
            "later",
            "--dir",
            self.network.folder().to_str().unwrap(),
            LATER,
        ]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.ahead = LATER;
    }

    fn vault(&self) -> Vault {
        let key = VaultKey::load(&self.network.file("vault_key")).unwrap();
        Vault::open(&self.vault_folder(), &key).unwrap()
    }

    /// Whether the vault opens each of these.
    fn opens(&self, items: &[ItemHash]) -> Vec<bool> {
        let vault = self.vault();
        items.iter().map(|item| vault.openings(item, None).is_ok()).collect()
    }
}

#[test]
fn an_erasure_that_was_interrupted_is_finished_by_running_it_again() {
    let mut desk = Desk::new();
    let short = [desk.access("short"), desk.access("short")];
    let kept = [desk.access("standard")];
    let receipt = desk.network.folder().join("receipt.custos");
    let get = ["receipt", "get", &short[0].to_string(), "-o", receipt.to_str().unwrap()].map(str::to_owned);
    let get = Command::new(binary())
        .args(get)
        .args(["--node", &desk.network.address(1), "--key"])
        .arg(desk.network.file("client_key"))
        .output()
        .unwrap();
    assert!(get.status.success(), "{}", String::from_utf8_lossy(&get.stderr));
    desk.later();
    // Periods end by block time, so there has to be a block of the new time; it is about somebody else.
    desk.done(&["access", "record", "--patient", &format!("{PATIENT}-2"), "--action", "read"]);

    // The act alone: what a process leaves behind that dies before it reaches the vault.
    let trail = {
        let vault = desk.vault();
        let subject = vault.subject_of(&short[0]).unwrap();
        vault.trails(&subject).unwrap()[0].clone()
    };
    // No trail is of that year: what is said is only what would go.
    let none = desk.done(&["erase", "--patient", PATIENT, "--class", "short", "--year", "1999"]);
    assert_eq!(none["trails"], json!([]));
    let unknown = json!({ "unknown": "not stated by the source" });
    let act = json!({
        "kind": "payload.erase",
        "fields": {
            "local_id": trail.local_id.to_string(), "from": 0, "to": 2, "retention": "short",
            "before": none["before"], "authority": "retention-ended",
        },
        "sealed": { "order": unknown, "note": unknown },
    });
    let file = desk.network.folder().join("erase.json");
    std::fs::write(&file, act.to_string()).unwrap();
    desk.done(&["item", "submit", "-f", file.to_str().unwrap()]);
    assert_eq!(desk.opens(&short), [true, true], "the vault has not heard of it");

    // The first access stands at position 1, behind the opening of the trail; the act covers it and not the second. Of
    // class long there is nothing to erase: all that this run does is to finish what it finds.
    let again = desk.done(&["erase", "--patient", PATIENT, "--class", "long"]);
    assert_eq!(again["destroyed"], 1, "{again}");
    assert_eq!(desk.opens(&short), [false, true]);
    assert_eq!(desk.opens(&kept), [true]);

    // The second access, by processes that are killed sooner and later.
    let words = ["erase", "--patient", PATIENT, "--class", "short"];
    for delay_ms in [20, 80, 160, 320, 640, 1280] {
        let mut child = desk.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay_ms));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    desk.done(&words);
    assert_eq!(desk.opens(&short), [false, false]);
    assert_eq!(desk.opens(&kept), [true]);
    let nothing = desk.done(&words);
    assert_eq!((&nothing["destroyed"], &nothing["trails"][0]["acts"]), (&json!(0), &json!([])), "{nothing}");
    assert_eq!(nothing["trails"][0]["pruned"], 2);

    let anchor = desk.network.file("anchor");
    let verified =
        desk.network.custos(&["verify", receipt.to_str().unwrap(), "--anchor", anchor.to_str().unwrap()]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    desk.network.down();
    for index in 1..=4 {
        let data = desk.network.data(index);
        let fsck = desk.network.custos(&["--json", "fsck", "--data", data.to_str().unwrap()]);
        assert!(fsck.status.success(), "node {index}: {}", String::from_utf8_lossy(&fsck.stdout));
    }
}
