//! How it fails: real nodes in real processes, started, killed and looked at.
//!
//! The harness types the commands that an operator would type (`custos testnet up|kill|start|down`),
//! and then asks every node over its public API. Tests therefore see what an operator and a client
//! see, and nothing else.
//!
//! Deliberately absent: a simulator, and any way into a node besides its files and its API.

mod process;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use custos_api::blocking::Client;
use custos_api::client::{Limits, Submitted};
use custos_api::clock;
use custos_proof::cbor::Wire as _;
use custos_proof::file::Receipts;
use custos_proof::hash::ChainId;
use custos_proof::header::Header;
use custos_proof::ids::{Height, ItemId, ParticipantId, Random16};
use custos_proof::item::Item;
use custos_proof::keys::{PublicKey, SignError, Signature, Signer};
use custos_proof::kinds::access::{Basis, Event, Late, Retention};
use custos_proof::kinds::{Class, Fields, Kind};
use custos_proof::seal::Place;
use custos_proof::sealed_values::{Reason, Stated, Token};
use custos_proof::submission::{Author, Draft, Submission};
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::Value;
use tempfile::TempDir;

pub use process::{Ended, plain};
pub use rustix::process::Signal as ProcessSignal;

/// One network at a time: four nodes have enough to do with one machine.
static TURN: Mutex<()> = Mutex::new(());

/// Waits until no other test of this program has a network; for tests that start one by other means.
pub fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long a client waits for a commit.
const PATIENCE: Duration = Duration::from_secs(60);

/// A network of real processes in a folder of its own; stopped when dropped.
pub struct Network {
    folder: TempDir,
    custos: PathBuf,
    described: Value,
    drawn: u64,
    _turn: MutexGuard<'static, ()>,
}

/// A submission that a node acknowledged with receipts.
pub struct Acknowledged {
    /// The submission.
    pub submission: Submission,
    /// Its receipts.
    pub receipts: Receipts,
}

impl Network {
    /// Starts a network of `validators`.
    ///
    /// # Panics
    /// When it does not come up: the test cannot go on.
    #[must_use]
    pub fn up(validators: usize) -> Self {
        Self::up_with(validators, &[])
    }

    /// Starts a network with further arguments of `custos testnet up`.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn up_with(validators: usize, arguments: &[&str]) -> Self {
        let turn = turn();
        let custos = binary();
        let folder = tempfile::Builder::new()
            .prefix("custos-testnet")
            .tempdir()
            .expect("because a test needs a folder");
        let mut command = Command::new(&custos);
        command.args([
            "--json",
            "testnet",
            "up",
            "--detach",
            "--validators",
            &validators.to_string(),
            "--dir",
        ]);
        let output =
            command.arg(folder.path()).args(arguments).output().expect("because the program is there");
        let described = json(&output);
        Self { folder, custos, described, drawn: 0, _turn: turn }
    }

    /// The network's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// How many nodes there are, running or not.
    #[must_use]
    pub fn size(&self) -> usize {
        self.described["nodes"].as_array().map_or(0, Vec::len)
    }

    /// A file that the network's description names: `genesis`, `anchor`, `client_key`, `vault_key`.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        PathBuf::from(text(&self.described[name]))
    }

    /// The chain's id.
    ///
    /// # Panics
    /// When the network's description is malformed.
    #[must_use]
    pub fn chain(&self) -> ChainId {
        text(&self.described["chain"]).parse().expect("because the command prints the chain")
    }

    /// A node's address. Nodes are numbered from 1, as on the command line.
    #[must_use]
    pub fn address(&self, index: usize) -> String {
        text(&self.node(index)["api"])
    }

    /// A node's data directory.
    #[must_use]
    pub fn data(&self, index: usize) -> PathBuf {
        PathBuf::from(text(&self.node(index)["data"]))
    }

    /// A node's participant.
    ///
    /// # Panics
    /// When the network's description is malformed.
    #[must_use]
    pub fn participant(&self, index: usize) -> ParticipantId {
        text(&self.node(index)["participant"]).parse().expect("because the command names participants")
    }

    /// The signing key of a node's participant.
    #[must_use]
    pub fn key(&self, index: usize) -> FileKey {
        FileKey::read(Path::new(&text(&self.node(index)["sign_key"])))
    }

    /// A client of a node, as its participant. It does not wait long and obeys no `Retry-After`.
    ///
    /// # Panics
    /// When the address is none.
    #[must_use]
    pub fn client(&self, index: usize) -> Client {
        let limits = Limits { request: Duration::from_secs(10), retries: 0, ..Limits::default() };
        Client::with_limits(&self.address(index), limits)
            .expect("because the command prints addresses")
            .signed_by(Arc::new(self.key(index)))
    }

    /// Runs `custos` and gives back what it ended with.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn custos(&self, arguments: &[&str]) -> Output {
        Command::new(&self.custos).args(arguments).output().expect("because the program is there")
    }

    /// Kills a node as a power failure would.
    ///
    /// # Panics
    /// When it was not running.
    pub fn kill(&self, index: usize) {
        self.testnet("kill", Some(index), &[]);
    }

    /// Starts a node and waits until it has caught up.
    ///
    /// # Panics
    /// When it does not.
    pub fn start(&self, index: usize) {
        self.testnet("start", Some(index), &[]);
    }

    /// Starts a node and returns as soon as its process runs.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_without_waiting(&self, index: usize) {
        self.testnet("start", Some(index), &["--no-wait"]);
    }

    /// Stops all nodes in order.
    ///
    /// # Panics
    /// When they do not stop.
    pub fn down(&self) {
        self.testnet("down", None, &[]);
    }

    /// Hands `items` new events in to a node, signed by that node's participant, and waits for the receipts.
    ///
    /// # Panics
    /// When they are not recorded in time.
    pub fn record(&mut self, index: usize, items: usize) -> Acknowledged {
        let submission = self.submission(index, items);
        let client = Client::new(&self.address(index)).expect("because the command prints addresses");
        match client.submit_and_wait(submission.bytes(), PATIENCE) {
            Ok(Submitted::Committed { receipts, .. }) => Acknowledged { submission, receipts },
            other => panic!("node {index} did not record it: {other:?}"),
        }
    }

    /// The same, to a node that may still be starting.
    ///
    /// # Panics
    /// When it is not recorded in time.
    pub fn record_when_back(&mut self, index: usize) -> Acknowledged {
        let deadline = Instant::now() + PATIENCE;
        let client = self.client(index);
        while !client.ready().is_ok_and(|answer| answer.ready) {
            assert!(Instant::now() < deadline, "node {index} does not come back");
            std::thread::sleep(Duration::from_millis(50));
        }
        self.record(index, 1)
    }

    /// A submission of new events, which belong to no patient.
    ///
    /// # Panics
    /// When something cannot be sealed or signed.
    pub fn submission(&mut self, index: usize, items: usize) -> Submission {
        let chain = self.chain();
        let owner = self.participant(index);
        let items = (0..items).map(|_| event(&chain, &owner, self.draw()).to_bytes()).collect();
        let draft = Draft {
            chain: &chain,
            author: Author::Participant(owner.clone()),
            class: Class::Testimony,
            nonce: Random16(self.draw()),
            not_after: clock::now().plus(10 * 60 * 1000),
        };
        Submission::sign(&draft, items, &self.key(index)).expect("because a few events fit into a submission")
    }

    /// Waits until these nodes have a head of at least `height`.
    ///
    /// # Panics
    /// After a minute.
    pub fn wait_for_height(&self, nodes: &[usize], height: u64) {
        let deadline = Instant::now() + PATIENCE;
        for index in nodes {
            let client = self.client(*index);
            while client.status().map_or(0, |status| status.height) < height {
                assert!(Instant::now() < deadline, "node {index} does not reach height {height}");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// The highest head among these nodes.
    ///
    /// # Panics
    /// When one does not answer.
    #[must_use]
    pub fn head(&self, nodes: &[usize]) -> u64 {
        let height = |index: &usize| self.client(*index).status().expect("because the node runs").height;
        nodes.iter().map(height).max().unwrap_or(0)
    }

    /// Checks that these nodes have the same header, and so the same roots, at every height.
    ///
    /// # Panics
    /// When they do not.
    pub fn assert_equal_roots(&self, nodes: &[usize]) {
        let head = self.head(nodes);
        self.wait_for_height(nodes, head);
        let headers = |index: &usize| -> Vec<Header> {
            let client = self.client(*index);
            (1..=head)
                .map(|height| client.header(Height(height)).expect("because the node is that far"))
                .collect()
        };
        let all: Vec<Vec<Header>> = nodes.iter().map(headers).collect();
        for (index, theirs) in nodes.iter().zip(&all) {
            assert_eq!(all.first(), Some(theirs), "node {index} differs");
        }
    }

    /// Checks that a node has what was acknowledged, byte for byte.
    ///
    /// # Panics
    /// When something is missing.
    pub fn assert_kept(&self, index: usize, acknowledged: &[Acknowledged]) {
        let client = self.client(index);
        for one in acknowledged {
            let status = client.submission(&one.submission.id()).expect("because the node answers");
            assert_eq!(
                status.state,
                custos_api::answers::SubmissionState::Committed,
                "lost: {}",
                one.submission.id()
            );
            let height = Height(status.height.expect("because it is recorded"));
            let block = client.block_file(height).expect("because members read blocks");
            assert!(
                block.body.iter().any(|bytes| bytes == one.submission.bytes()),
                "the body of block {height} differs"
            );
        }
    }

    /// A value of a node's metrics page, 0 when it is not there.
    ///
    /// # Panics
    /// When the node does not answer.
    #[must_use]
    pub fn metric(&self, index: usize, name: &str) -> f64 {
        let page = self.client(index).metrics().expect("because the node answers");
        page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0.0)
    }

    fn node(&self, index: usize) -> &Value {
        &self.described["nodes"][index - 1]
    }

    fn testnet(&self, what: &str, index: Option<usize>, arguments: &[&str]) {
        let mut command = Command::new(&self.custos);
        command.args(["--json", "testnet", what, "--dir"]).arg(self.folder.path()).args(arguments);
        if let Some(index) = index {
            command.args(["--index", &index.to_string()]);
        }
        json(&command.output().expect("because the program is there"));
    }

    /// Bytes that no other call of this network gets: a counter, which tests can repeat.
    fn draw(&mut self) -> [u8; 16] {
        self.drawn += 1;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.drawn.to_be_bytes());
        bytes
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ =
            Command::new(&self.custos).args(["testnet", "down", "--dir"]).arg(self.folder.path()).output();
        if std::thread::panicking() {
            let kept = std::mem::replace(
                &mut self.folder,
                tempfile::tempdir().expect("because a test had a folder"),
            );
            eprintln!("files and logs of the network are kept in {}", kept.keep().display());
        }
    }
}

/// The key of a key file.
pub struct FileKey(SigningKey);

impl FileKey {
    /// Reads the file of a test network; who may read it is the node's business.
    ///
    /// # Panics
    /// When it is no key file.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("because the network made the key");
        let seed = text.lines().find_map(|line| line.strip_prefix("seed = \"")?.strip_suffix('"'));
        let mut bytes = [0; 32];
        hex::decode_to_slice(seed.expect("because key files have a seed"), &mut bytes)
            .expect("because a seed is hexadecimal");
        Self(SigningKey::from_bytes(&bytes))
    }
}

impl Signer for FileKey {
    fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }
    fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        Ok(Signature(self.0.sign(message).to_bytes()))
    }
}

/// The `custos` program: `CUSTOS`, or the one that was built beside the running test.
///
/// # Panics
/// With what to type, when it is not there.
#[must_use]
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("CUSTOS") {
        return path.into();
    }
    let test = std::env::current_exe().expect("because the test runs from a file");
    let mut folders = test.ancestors().skip(1).take(3);
    let found = folders.find_map(|folder| Some(folder.join("custos")).filter(|path| path.is_file()));
    found.unwrap_or_else(|| {
        panic!("the custos program is not there: type `cargo build --workspace`, or `make test`")
    })
}

/// An event of which nothing is stated.
///
/// # Panics
/// Never: there is a value for every sealed field.
#[must_use]
pub fn event(chain: &ChainId, owner: &ParticipantId, id: [u8; 16]) -> Item {
    let item_id = ItemId(id);
    let unknown = Stated::<Token>::Unknown(Reason::NotStated).to_bytes();
    let values = vec![unknown; Kind::AccessEvent.sealed_fields().len()];
    let place = Place { chain, kind: Kind::AccessEvent, item_id: &item_id };
    let mut seed = [0; 32];
    seed[..16].copy_from_slice(&id);
    let seal = place.seal(&seed, &values).expect("because there is a value for every field");
    let fields = Event {
        event: Random16(id),
        custodian: owner.clone(),
        local_id: None,
        acting: owner.clone(),
        basis: Basis::Unknown,
        cited: None,
        at_height: Height(0),
        late: Late::ImportedHistory,
        retention: Retention::Short,
        stream: 0,
        sequence: 0,
        seal,
    };
    Item { item_id, fields: Fields::AccessEvent(fields) }
}

fn json(output: &Output) -> Value {
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "custos ended with {}: {talk}", output.status);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {talk}"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
