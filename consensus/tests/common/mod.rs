//! A small real ledger over files, and validators made of it, for the tests of this directory.
//!
//! The ledger executes (a running hash over submissions), compares what it recomputes with headers,
//! and keeps each block with its certificate in a file of its own, flushed before it answers. It
//! knows no accounts, items or policies; those are not what these tests are about.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, missing_docs)]

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use custos_consensus::{
    AllowedPeer, BuildRequest, ConsensusConfig, ConsensusHandle, Decided, Head, Health, Ledger, LedgerFault,
    PeerConfig, State, Timeouts, Verdict,
};
use custos_proof::cbor::Wire;
use custos_proof::certificate::{Certificate, Validator, ValidatorSet};
use custos_proof::hash::{BlockId, ChainId, Digest, sha256};
use custos_proof::header::{Block, Header, PROTOCOL_VERSION};
use custos_proof::ids::{Height, LogSize, TimeMs};
use custos_proof::keys::{PublicKey, SignError, Signature, Signer};
use ed25519_dalek::{Signer as _, SigningKey};
use tokio::runtime::Runtime;

pub const CHAIN: ChainId = ChainId([0xc5; 32]);

/// What waits for a block at one node; shared with the test.
pub type Pool = Arc<Mutex<VecDeque<Vec<u8>>>>;

pub struct FileLedger {
    directory: PathBuf,
    network: Arc<Members>,
    pool: Pool,
    head: Head,
    state: Digest,
    submissions: u64,
}

/// Who is who on a test network.
pub struct Members {
    pub validators: ValidatorSet,
    pub peers: Vec<AllowedPeer>,
    /// From this height on, these participants are no longer listed.
    pub removed: Mutex<BTreeMap<String, u64>>,
}

impl FileLedger {
    pub fn open(directory: &Path, network: Arc<Members>, pool: Pool) -> Self {
        fs::create_dir_all(directory).unwrap();
        let mut ledger = Self {
            directory: directory.to_owned(),
            head: Head {
                chain: CHAIN,
                height: Height(0),
                block_id: BlockId(CHAIN.0),
                time: TimeMs(1_700_000_000_000),
                next_due: None,
                validators: network.validators.clone(),
                peers: network.peers.clone(),
            },
            network,
            pool,
            state: Digest::ZERO,
            submissions: 0,
        };
        while let Some((block, certificate)) = ledger.read(ledger.head.height.next()) {
            certificate.verify(&CHAIN, &ledger.network.validators).unwrap();
            ledger.advance(&block);
        }
        ledger
    }

    fn path(&self, height: Height) -> PathBuf {
        self.directory.join(format!("{:08}.block", height.0))
    }

    fn read(&self, height: Height) -> Option<(Block, Certificate)> {
        let bytes = fs::read(self.path(height)).ok()?;
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (block, certificate) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        Some((Block::from_bytes(block).ok()?, Certificate::from_bytes(certificate).ok()?))
    }

    fn execute(&self, body: &[Vec<u8>]) -> (Digest, u64) {
        let fold = |state: Digest, submission: &Vec<u8>| sha256(&[state.0.as_slice(), submission].concat());
        (body.iter().fold(self.state, fold), self.submissions + body.len() as u64)
    }

    fn header(&self, request: &BuildRequest, body: &[Vec<u8>]) -> Header {
        let (state, submissions) = self.execute(body);
        let validators = self.network.validators.hash();
        Header {
            version: PROTOCOL_VERSION,
            chain: CHAIN,
            height: request.height,
            round: request.round,
            time: request.time,
            parent: self.head.block_id,
            body_root: sha256(&body.concat()),
            log_size: LogSize(submissions),
            log_root: state,
            state_root: state,
            validators_hash: validators,
            next_validators_hash: validators,
            proposer: request.proposer.clone(),
        }
    }

    fn advance(&mut self, block: &Block) {
        (self.state, self.submissions) = self.execute(&block.body);
        let removed = self.network.removed.lock().unwrap();
        let listed = |peer: &&AllowedPeer| {
            removed.get(peer.participant.as_str()).is_none_or(|from| block.header.height.0 < *from)
        };
        self.head = Head {
            height: block.header.height,
            block_id: block.header.block_id(),
            time: block.header.time,
            peers: self.network.peers.iter().filter(listed).cloned().collect(),
            ..self.head.clone()
        };
    }
}

impl Ledger for FileLedger {
    fn head(&self) -> Head {
        self.head.clone()
    }

    fn has_work(&self) -> bool {
        !self.pool.lock().unwrap().is_empty()
    }

    fn build(&mut self, request: BuildRequest) -> Result<Block, LedgerFault> {
        let room = request.max_bytes.saturating_sub(4096);
        let mut used = 0;
        let fits = |submission: &&Vec<u8>| {
            used += submission.len() + 9;
            used <= room
        };
        let body: Vec<_> = self.pool.lock().unwrap().iter().take_while(fits).cloned().collect();
        Ok(Block { header: self.header(&request, &body), body })
    }

    fn check(&mut self, block: &Block) -> Result<Verdict, LedgerFault> {
        let Header { height, round, time, ref proposer, .. } = block.header;
        let request = BuildRequest { height, round, time, proposer: proposer.clone(), max_bytes: usize::MAX };
        let computed = self.header(&request, &block.body);
        Ok(match (computed == block.header, computed.body_root == block.header.body_root) {
            (true, _) => Verdict::Valid,
            (false, false) => Verdict::WrongBody("another body root".into()),
            (false, true) => Verdict::Invalid(format!("computed {computed:?}")),
        })
    }

    fn commit(&mut self, block: &Block, certificate: &Certificate) -> Result<Head, LedgerFault> {
        if block.header.height == self.head.height && block.header.block_id() == self.head.block_id {
            return Ok(self.head.clone());
        }
        if self.check(block)? != Verdict::Valid {
            return Err(LedgerFault("a decided block does not execute".into()));
        }
        let bytes = block.to_bytes();
        let written = || -> std::io::Result<()> {
            let scratch = self.directory.join("next");
            let mut file = File::create(&scratch)?;
            file.write_all(&(bytes.len() as u32).to_be_bytes())?;
            file.write_all(&bytes)?;
            file.write_all(&certificate.to_bytes())?;
            file.sync_all()?;
            fs::rename(&scratch, self.path(block.header.height))?;
            File::open(&self.directory)?.sync_all()
        };
        written().map_err(|error| LedgerFault(error.to_string()))?;
        self.pool.lock().unwrap().retain(|waiting| !block.body.contains(waiting));
        self.advance(block);
        Ok(self.head.clone())
    }

    fn decided(&self, height: Height) -> Result<Option<Decided>, LedgerFault> {
        Ok(self.read(height).map(|(block, certificate)| Decided {
            block: block.to_bytes(),
            certificate,
            validators: self.network.validators.clone(),
        }))
    }

    fn earliest(&self) -> Height {
        Height(1)
    }
}

/// The block ids in a ledger's directory, in order, every one of them with a good certificate.
pub fn chain_in(directory: &Path, members: &Arc<Members>) -> Vec<BlockId> {
    let ledger = FileLedger::open(directory, Arc::clone(members), Pool::default());
    (1..=ledger.head.height.0)
        .map(|height| ledger.read(Height(height)).unwrap().0.header.block_id())
        .collect()
}

pub struct Key(pub SigningKey);

impl Key {
    pub fn of(seed: u8) -> Self {
        Self(SigningKey::from_bytes(&[seed; 32]))
    }
}

impl Signer for Key {
    fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }
    fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        Ok(Signature(self.0.sign(message).to_bytes()))
    }
}

pub fn transport_seed(index: usize) -> [u8; 32] {
    [200 - index as u8; 32]
}

pub fn transport_key(index: usize) -> PublicKey {
    PublicKey(SigningKey::from_bytes(&transport_seed(index)).verifying_key().to_bytes())
}

pub fn name(index: usize) -> String {
    format!("hospital-{index}")
}

/// Validators `0..validators`, and participants up to `listed` that are listed without voting.
pub fn members(validators: usize, listed: usize) -> Arc<Members> {
    let validator = |index: usize| Validator {
        participant: name(index).parse().unwrap(),
        key: Key::of(1 + index as u8).public_key(),
        power: 1,
    };
    let peer = |index: usize| AllowedPeer {
        participant: name(index).parse().unwrap(),
        transport: transport_key(index),
    };
    Arc::new(Members {
        validators: ValidatorSet::new((0..validators).map(validator).collect()).unwrap(),
        peers: (0..listed).map(peer).collect(),
        removed: Mutex::default(),
    })
}

/// How the nodes of one test network are set up.
pub struct Setup {
    pub members: Arc<Members>,
    pub ports: Vec<u16>,
    pub directory: Directory,
    pub heartbeat_ms: u64,
}

/// Where nodes keep their files: ours to remove, or somebody else's.
pub enum Directory {
    Own(tempfile::TempDir),
    Given(PathBuf),
}

impl Directory {
    pub fn path(&self) -> &Path {
        match self {
            Directory::Own(directory) => directory.path(),
            Directory::Given(path) => path,
        }
    }
}

/// The consensus key of a validator.
pub fn validator_key(index: usize) -> PublicKey {
    Key::of(1 + index as u8).public_key()
}

impl Setup {
    pub fn new(validators: usize, listed: usize, heartbeat_ms: u64) -> Self {
        let _ = tracing_subscriber::fmt()
            .with_env_filter(
                tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "error".into()),
            )
            .with_test_writer()
            .try_init();
        Self {
            members: members(validators, listed),
            ports: (0..listed).map(|_| custos_ports::free().unwrap()).collect(),
            directory: Directory::Own(tempfile::tempdir().unwrap()),
            heartbeat_ms,
        }
    }

    /// The network of another process' setup.
    pub fn at(directory: &Path, members: Arc<Members>, ports: Vec<u16>, heartbeat_ms: u64) -> Self {
        Self { members, ports, directory: Directory::Given(directory.to_owned()), heartbeat_ms }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn blocks(&self, index: usize) -> PathBuf {
        self.directory.path().join(format!("{index}/blocks"))
    }

    pub fn address(&self, index: usize) -> String {
        format!("/ip4/127.0.0.1/tcp/{}", self.ports[index])
    }

    /// A node in a runtime of its own; `voting` nodes sign.
    pub fn start(&self, index: usize, voting: bool, pool: Pool) -> Node {
        self.start_as(index, voting.then_some(index), pool)
    }

    /// A node that signs with the consensus key of `validator`.
    pub fn start_as(&self, index: usize, validator: Option<usize>, pool: Pool) -> Node {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let ledger = FileLedger::open(&self.blocks(index), Arc::clone(&self.members), Arc::clone(&pool));
        let peer = |other: usize| PeerConfig {
            participant: name(other).parse().unwrap(),
            address: self.address(other),
            transport: transport_key(other),
            bootstrap: false,
        };
        let config = ConsensusConfig {
            name: format!("{}-{index}", self.directory.path().display()),
            data_dir: self.directory.path().join(format!("{index}/consensus")),
            listen: self.address(index),
            transport_seed: transport_seed(index),
            signer: validator.map(|index| Arc::new(Key::of(1 + index as u8)) as Arc<dyn Signer>),
            peers: (0..self.ports.len()).filter(|other| *other != index).map(peer).collect(),
            timeouts: Timeouts::default(),
            heartbeat_ms: self.heartbeat_ms,
            max_block_bytes: 4 * 1024 * 1024,
            clock_bound_ms: 2_000,
            clock,
        };
        let started = runtime.block_on(custos_consensus::start(config, Box::new(ledger), runtime.handle()));
        Node { handle: Some(started.unwrap()), runtime: Some(runtime), pool }
    }
}

/// This machine's clock.
fn clock() -> TimeMs {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    TimeMs(u64::try_from(since.as_millis()).unwrap())
}

/// A running node.
pub struct Node {
    pub handle: Option<ConsensusHandle>,
    pub runtime: Option<Runtime>,
    pub pool: Pool,
}

impl Node {
    pub fn handle(&mut self) -> &mut ConsensusHandle {
        self.handle.as_mut().unwrap()
    }

    pub fn health(&self) -> Health {
        self.handle.as_ref().unwrap().health().borrow().clone()
    }

    pub fn height(&self) -> u64 {
        self.health().height.0
    }

    pub fn submit(&self, submission: &[u8]) {
        self.pool.lock().unwrap().push_back(submission.to_vec());
        self.handle.as_ref().unwrap().wake();
    }

    /// Stops in order.
    pub fn stop(mut self) {
        let handle = self.handle.take().unwrap();
        let runtime = self.runtime.take().unwrap();
        runtime.block_on(handle.shutdown());
        runtime.shutdown_timeout(Duration::from_secs(5));
    }

    /// Stops as a crash does as far as one process can: every task is dropped where it stands.
    pub fn crash(mut self) {
        let runtime = self.runtime.take().unwrap();
        std::mem::forget(self.handle.take());
        runtime.shutdown_timeout(Duration::from_millis(200));
    }
}

/// Waits until something holds, or says what did not.
pub fn wait(what: &str, seconds: u64, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while !holds() {
        assert!(Instant::now() < deadline, "waited {seconds} s in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn is_idle(node: &Node) -> bool {
    node.health().state == State::Idle
}
