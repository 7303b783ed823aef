//! A custodian's import meets a network that stands still and a process that is killed: nothing is
//! lost, nothing is recorded twice. And the demonstration does what it says.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use custos_api::client::Part;
use custos_proof::cbor::Wire as _;
use custos_proof::item::Item;
use custos_proof::kinds::Fields;
use custos_proof::trail::TrailName;
use custos_proof::trail_proof::Entry;
use custos_testnet::{Network, binary, turn};
use serde_json::Value;

fn data(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/ihe").join(folder)
}

/// The arguments of an import of IHE's AuditEvents into a vault in the network's folder.
fn import(network: &Network) -> Vec<String> {
    let vault = network.folder().join("vault");
    let words = ["--json", "import", "fhir", "--base", "https://balp.example", "--node", &network.address(1)];
    let mut arguments: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    for (name, path) in [
        ("--key", network.file("client_key")),
        ("--vault", vault),
        ("--vault-key", network.file("vault_key")),
    ] {
        arguments.extend([name.to_owned(), path.to_str().unwrap().to_owned()]);
    }
    arguments.push(data("balp").to_str().unwrap().to_owned());
    arguments
}

fn run(network: &Network, arguments: &[String]) -> Value {
    let output = network.custos(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The events in the custodian's institution trail: how many records, and how many different events.
fn events(network: &Network) -> (usize, usize) {
    let name = TrailName::institution(&network.participant(1));
    let (_, proof) = network.client(1).trail_proof(&name, Part::Whole, None).unwrap();
    let event = |entry: &Entry| match entry {
        Entry::Full { item, .. } => match Item::from_bytes(item).unwrap().fields {
            Fields::AccessEvent(event) => Some(event.event),
            _ => None,
        },
        Entry::Withheld { .. } | Entry::Pruned { .. } => None,
    };
    let events: Vec<_> = proof.entries.iter().filter_map(event).collect();
    (events.len(), events.iter().collect::<BTreeSet<_>>().len())
}

#[test]
fn an_import_that_was_killed_is_finished_by_running_it_again() {
    let network = Network::up(4);
    // Two of four: whatever is handed in waits.
    network.kill(3);
    network.kill(4);
    let arguments = import(&network);
    let mut first =
        Command::new(binary()).args(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(3));
    assert!(first.try_wait().unwrap().is_none(), "an import cannot end while nothing is decided");
    first.kill().unwrap();
    first.wait().unwrap();
    network.start_without_waiting(3);
    network.start(4);
    let again = run(&network, &arguments);
    let documents = again["documents"].as_array().unwrap();
    assert_eq!(
        documents
            .iter()
            .filter(|document| document["resource"].as_str().unwrap().starts_with("AuditEvent/"))
            .count(),
        46
    );
    assert!(
        documents.iter().all(|document| document["became"].as_str().unwrap().starts_with("recorded")),
        "{again}"
    );
    assert_eq!(events(&network), (46, 46), "recorded twice or not at all");
    let third = run(&network, &arguments);
    assert_eq!((&third["items_recorded"], &third["submissions"]), (&0.into(), &0.into()));
    assert_eq!(events(&network), (46, 46));
}

#[test]
fn the_demonstration_does_what_it_says() {
    let _turn = turn();
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo.sh");
    let output = Command::new("bash").arg(demo).arg(binary()).stdin(Stdio::null()).output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{out}\n{}", String::from_utf8_lossy(&output.stderr));
    let last = out.lines().last().unwrap();
    assert!(last.starts_with("demo: 20 steps, each did what it says"), "{last}");
    assert!(!out.contains('\u{1b}'), "no colour into a pipe");
}
