//! A node that lies to those who hand in: receipts of something else for what it never recorded, and refusals.
//!
//! What is not on the ledger must not be taken for recorded, neither at a desk nor in a feed; and a feed that has another
//! node goes on with that one.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use custos_api::blocking::Client;
use custos_api::client::{Part, Submitted};
use custos_custodian::vault::{ItemState, Vault, VaultKey};
use custos_proof::cbor::Wire as _;
use custos_proof::hash::ItemHash;
use custos_proof::item::Item;
use custos_proof::kinds::Fields;
use custos_proof::kinds::access::Event;
use custos_proof::record::{Code, Record};
use custos_proof::trail::TrailName;
use custos_proof::trail_proof::Entry;
use custos_testnet::{Network, binary};
use serde_json::{Value, json};

use crate::liar::{Answer, Liar, Lie, outcome};

const PATIENCE: Duration = Duration::from_secs(90);

/// A network whose first node is reached through a liar, and one item that really is recorded.
struct Ward {
    network: Network,
    liar: Liar,
    /// The node's answer to whoever handed it in: its receipt.
    receipts: Answer,
    /// The node's answer to whoever asks for its receipt, and to whoever asks where it is.
    receipt: Answer,
    place: Answer,
}

impl Ward {
    fn new() -> Self {
        let mut network = Network::up(4);
        let liar = Liar::before(&network.address(1));
        // What members sign names the liar's address: the node knows it for its own.
        let path = network.config(1);
        let mut config: toml::Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
        let name = liar.address.strip_prefix("http://").unwrap();
        config["api"].as_table_mut().unwrap().insert("names".into(), vec![name].into());
        std::fs::write(&path, toml::to_string(&config).unwrap()).unwrap();
        network.kill(1);
        network.start(1);
        let submission = network.submission(1, 1);
        let client = Client::new(&liar.address).unwrap().signed_by(Arc::new(network.key(1)));
        let answer = client.submit_and_wait(submission.bytes(), PATIENCE).unwrap();
        assert!(matches!(answer, Submitted::Committed { .. }));
        let item = submission.item_hashes()[0];
        client.receipt(&item, None).unwrap();
        client.item(&item, None).unwrap();
        let receipts = liar.last("POST /v1/submissions?");
        let receipt = liar.last(&format!("GET /v1/items/{item}/receipt"));
        let place = liar.last(&format!("GET /v1/items/{item}"));
        Self { network, liar, receipts, receipt, place }
    }

    /// The first institution's events, in the order of the log, and what validators found against each.
    fn events(&self) -> Vec<(Event, Vec<Code>)> {
        let name = TrailName::institution(&self.network.participant(1));
        let (_, proof) = self.network.client(1).trail_proof(&name, Part::Whole, None).unwrap();
        let event = |entry: &Entry| match entry {
            Entry::Full { item, record, .. } => match Item::from_bytes(item).unwrap().fields {
                Fields::AccessEvent(event) => {
                    let record = Record::from_bytes(record).unwrap();
                    Some((event, record.as_item().unwrap().verdict.codes.iter().copied().collect()))
                }
                _ => None,
            },
            Entry::Withheld { .. } | Entry::Pruned { .. } => None,
        };
        proof.entries.iter().filter_map(event).collect()
    }
}

/// A lie about items: every one of them is the other one.
fn another_item(receipt: &Answer, place: &Answer) -> impl Fn(&str) -> Option<Answer> + Send + Sync + 'static {
    let (receipt, place) = (receipt.clone(), place.clone());
    move |asked| match asked.strip_prefix("GET /v1/items/")?.contains("/receipt") {
        true => Some(receipt.clone()),
        false => Some(place.clone()),
    }
}

impl Ward {
    /// Records an access at the liar's node; exit code, standard output and standard error.
    fn access(&self, patient: &str) -> (i32, String, String) {
        let path = |name: &str| self.network.file(name).to_str().unwrap().to_owned();
        let vault = self.vault_folder();
        let output = self.network.custos(&[
            "--json",
            "access",
            "record",
            "--patient",
            patient,
            "--action",
            "read",
            "--node",
            &self.liar.address,
            "--key",
            &path("client_key"),
            "--vault",
            vault.to_str().unwrap(),
            "--vault-key",
            &path("vault_key"),
            "--anchor",
            &path("anchor"),
        ]);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    fn vault_folder(&self) -> PathBuf {
        self.network.folder().join("vault")
    }

    /// What the desk's vault takes for not recorded.
    fn waiting(&self) -> Vec<ItemHash> {
        let key = VaultKey::load(&self.network.file("vault_key")).unwrap();
        let vault = Vault::open(&self.vault_folder(), &key).unwrap();
        vault.prepared().map(|(_, item)| item.hash).collect()
    }

    fn is_recorded(&self, item: &ItemHash) -> bool {
        let key = VaultKey::load(&self.network.file("vault_key")).unwrap();
        let vault = Vault::open(&self.vault_folder(), &key).unwrap();
        matches!(vault.entry(item).unwrap().state, ItemState::Recorded(_))
    }
}

#[test]
fn a_desk_takes_nothing_for_recorded_by_the_receipt_of_something_else() {
    let patient = "https://a.example/Patient/17";
    let ward = Ward::new();
    let (code, _, err) = ward.access(patient);
    assert_eq!(code, 0, "{err}");
    let events = ward.events().len();

    // It is handed in, kept back, and acknowledged by a receipt of the chain that verifies.
    let receipts = ward.receipts.clone();
    ward.liar.tells(Lie::instead(move |asked| asked.starts_with("POST ").then(|| receipts.clone())));
    let (code, said, err) = ward.access(patient);
    assert_eq!((code, &*outcome(&said)), (1, "evidence-against"), "{err}");
    assert!(err.contains("receipts are of other items") && ward.liar.told() == 1, "{err}");
    let waiting = ward.waiting();
    assert_eq!((waiting.len(), ward.events().len()), (1, events));

    // Asked what became of it, it shows where the other one is.
    ward.liar.tells(Lie::instead(another_item(&ward.receipt, &ward.place)));
    let (code, said, err) = ward.access(patient);
    assert_eq!((code, &*outcome(&said)), (1, "evidence-against"), "{err}");
    assert!(err.contains("receipts are of other items") && ward.liar.told() == 2, "{err}");
    assert_eq!((ward.waiting(), ward.events().len()), (waiting.clone(), events));

    // The truth in the end: what was kept back is recorded with what comes next, once.
    ward.liar.tells(Lie::none());
    let (code, _, err) = ward.access(patient);
    assert_eq!(code, 0, "{err}");
    assert!(ward.waiting().is_empty() && ward.is_recorded(&waiting[0]));
    let all = ward.events();
    let different: BTreeSet<_> = all.iter().map(|(event, _)| event.event).collect();
    assert_eq!((all.len(), different.len()), (events + 2, events + 2));
}

/// A feed of documents by HTTP, whose first node is the liar's and whose second one is honest.
struct Feed {
    folder: PathBuf,
    http: u16,
    status: u16,
    child: Child,
}

impl Feed {
    fn start(ward: &Ward) -> Self {
        let folder = ward.network.folder().join("feed");
        std::fs::create_dir(&folder).unwrap();
        let (http, status) = (custos_ports::free().unwrap(), custos_ports::free().unwrap());
        let config = format!(
            "nodes = [{liar:?}, {honest:?}]\nkey = {key:?}\nanchor = {anchor:?}\nvault = \"vault\"\n\
             vault_key = \"vault.key\"\nbase = \"https://fhir.hospital.example\"\nstream = 3\n\
             [spool]\ndir = \"spool\"\nreserve_bytes = 1048576\n\
             [batch]\nmax_items = 20\nlinger_ms = 100\n\
             [http]\nlisten = \"127.0.0.1:{http}\"\npath = \"/fhir\"\n\
             [status]\nlisten = \"127.0.0.1:{status}\"\n",
            liar = ward.liar.address,
            honest = ward.network.address(2),
            key = ward.network.file("client_key"),
            anchor = ward.network.file("genesis"),
        );
        std::fs::write(folder.join("feed.toml"), config).unwrap();
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let child = Command::new(binary())
            .args(["feed", "--config"])
            .arg(folder.join("feed.toml"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut feed = Self { folder, http, status, child };
        feed.wait("it answers", |_| true);
        feed
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn wait(&mut self, what: &str, done: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status =
                request(self.status, "GET", "/status.json", "").ok().filter(|(code, _)| *code == 200);
            let status = status.map(|(_, body)| serde_json::from_str::<Value>(&body).unwrap());
            if status.as_ref().is_some_and(&done) {
                return;
            }
            let ended = self.child.try_wait().unwrap();
            let is_late = Instant::now() > deadline;
            assert!(!is_late && ended.is_none(), "not {what}: {status:?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Gives it a read of a patient's data, and waits until it takes so many for recorded.
    fn takes(&mut self, patient: &str, recorded: u64) {
        let event = json!({
            "resourceType": "AuditEvent",
            "id": format!("of-{patient}"),
            "type": { "system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest" },
            "subtype": [{ "system": "http://hl7.org/fhir/restful-interaction", "code": "read" }],
            "action": "R",
            "recorded": custos_api::clock::now().to_string(),
            "outcome": "0",
            "agent": [{ "who": { "identifier": { "value": "dr.adams" } }, "requestor": true }],
            "source": { "observer": { "reference": "Device/emr" } },
            "entity": [{
                "what": { "reference": format!("Patient/{patient}") },
                "type": { "system": "http://terminology.hl7.org/CodeSystem/audit-entity-type", "code": "1" },
                "role": { "system": "http://terminology.hl7.org/CodeSystem/object-role", "code": "1" },
            }],
        });
        let (code, body) = request(self.http, "POST", "/fhir/AuditEvent", &event.to_string()).unwrap();
        assert_eq!(code, 201, "{body}");
        self.wait("recorded", |status| {
            status["recorded_events"] == recorded && status["backlog"]["events"] == 0
        });
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn request(port: u16, method: &str, path: &str, body: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/fhir+json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    code.zip(body).ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
}

/// What a liar does to the feed, and what the feed says of it.
fn feed_goes_on(lie: impl Fn(&Ward) -> Lie, says: &str) {
    let ward = Ward::new();
    let before = ward.events().len();
    // Before the feed starts: the first node that it asks is the one that lies.
    ward.liar.tells(lie(&ward));
    let mut feed = Feed::start(&ward);
    // The first of a patient opens a trail, too.
    feed.takes("7", 1);
    assert!(ward.liar.told() > 0, "nobody asked the liar: {}", feed.log());
    let events = ward.events().split_off(before);
    let numbers: Vec<_> = events.iter().map(|(event, _)| (event.stream, event.sequence)).collect();
    assert_eq!(numbers, [(3, 1)], "what the feed takes for recorded is on the ledger, once");
    // It stands in the patient's trail, which is open.
    assert!(events[0].0.local_id.is_some());
    assert!(events[0].1.iter().all(|code| *code == Code::Late), "{:?}", events[0].1);
    assert!(feed.log().contains(says), "{}", feed.log());
    let key = VaultKey::load(&feed.folder.join("vault.key")).unwrap();
    drop(feed);
    let vault = Vault::open(&ward.network.folder().join("feed/vault"), &key).unwrap();
    assert_eq!(vault.prepared().count(), 0);
}

#[test]
fn a_feed_takes_nothing_for_recorded_by_the_receipt_of_something_else() {
    let lie = |ward: &Ward| {
        let receipts = ward.receipts.clone();
        Lie::instead(move |asked| asked.starts_with("POST ").then(|| receipts.clone()))
    };
    feed_goes_on(lie, "receipts that do not verify: there is none for item");
}

#[test]
fn a_feed_does_not_find_what_was_refused_by_the_receipt_of_something_else() {
    let lie = |ward: &Ward| {
        let another = another_item(&ward.receipt, &ward.place);
        Lie::instead(move |asked| match asked.starts_with("POST ") {
            true => Some(Answer::refusal(409, "trail-exists")),
            false => another(asked),
        })
    };
    feed_goes_on(lie, "there is none for item");
}

#[test]
fn a_feed_that_one_node_refuses_goes_on_with_another() {
    let lie = |_: &Ward| {
        Lie::instead(|asked| {
            let refuses = asked.starts_with("POST ").then(|| Answer::refusal(422, "not-a-member"));
            refuses.or_else(|| asked.starts_with("GET /v1/items/").then(|| Answer::refusal(404, "unknown")))
        })
    };
    feed_goes_on(lie, "this node does not take it (not-a-member)");
}
