//! A world to test a node in: a genesis with a few participants, their keys, and one real validator on loopback.

#![allow(dead_code, clippy::unwrap_used)] // Each test file uses a part of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use custos_api::client::{Client, Limits, Submitted};
use custos_node::chain::clock;
use custos_node::config::{
    ApiConfig, Config, ConsensusSection, KeysConfig, LogConfig, MempoolConfig, P2pConfig,
};
use custos_node::keys::FileSigner;
use custos_node::node::Node;
use custos_proof::anchor::{Recency, TrustAnchor};
use custos_proof::cbor::{Ascii, List, Set, Text, Wire as _};
use custos_proof::file::Receipts;
use custos_proof::genesis::{Genesis, GenesisKey, GenesisValidator, NO_CHAIN};
use custos_proof::hash::{ChainId, Digest, ItemHash, sha256};
use custos_proof::header::PROTOCOL_VERSION;
use custos_proof::ids::{FAR, Height, ItemId, ParticipantId, Random16, TimeMs};
use custos_proof::item::{Item, item_hash};
use custos_proof::keys::{KeyPurpose, Signer};
use custos_proof::kinds::access::{Basis, Event, Late, Retention};
use custos_proof::kinds::key::possession_preimage;
use custos_proof::kinds::participant::Register;
use custos_proof::kinds::proposal::{Open as OpenProposal, VotedAct};
use custos_proof::kinds::rule::{Collected, Put};
use custos_proof::kinds::trail::Open;
use custos_proof::kinds::{Class, Fields};
use custos_proof::registry::{Policy, Role, Roles};
use custos_proof::seal::Seal;
use custos_proof::submission::{Author, Draft, Submission};
use custos_proof::trail::TrailName;
use custos_proof::verify::Basis as Trust;

/// A seal that commits to nothing that anybody opens in these tests.
pub(crate) const SEAL: Seal = Seal { root: Digest([7; 32]), ciphertext: None };

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) genesis: Genesis,
    pub(crate) chain: ChainId,
    pub(crate) node: Option<Node>,
    config: Config,
}

pub(crate) fn id(text: &str) -> ParticipantId {
    text.parse().unwrap()
}

pub(crate) fn key(owner: &str, purpose: KeyPurpose) -> FileSigner {
    FileSigner::from_seed(purpose, &sha256(format!("{owner} {purpose}").as_bytes()).0)
}

pub(crate) fn random16() -> Random16 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).unwrap();
    Random16(bytes)
}

/// A genesis with a few participants and these validators, the hospital first.
pub(crate) fn genesis(validators: &[&str]) -> Genesis {
    let mut participants = vec![
        ("registrar", Roles::new(&[Role::Registrar])),
        ("practice", Roles::new(&[Role::Custodian, Role::Recipient])),
        ("stranger", Roles::new(&[Role::Recipient])),
    ];
    participants
        .extend(validators.iter().map(|name| (*name, Roles::new(&[Role::Custodian, Role::Validator]))));
    let mut keys = Vec::new();
    let mut add = |owner: &str, purpose| {
        let signer = key(owner, purpose);
        let preimage = possession_preimage(&NO_CHAIN, &id(owner), purpose, &signer.public_key());
        keys.push(GenesisKey {
            owner: id(owner),
            key: signer.public_key(),
            purpose,
            possession: signer.sign(&preimage).unwrap(),
        });
    };
    for (name, _) in &participants {
        add(name, KeyPurpose::Sign);
    }
    for name in validators {
        for purpose in [KeyPurpose::Consensus, KeyPurpose::Transport, KeyPurpose::Note] {
            add(name, purpose);
        }
    }
    Genesis {
        name: Ascii::new("test").unwrap(),
        time: TimeMs(clock().0 - 60_000),
        protocol: PROTOCOL_VERSION,
        registrar: id("registrar"),
        participants: List::new(
            participants
                .iter()
                .map(|(name, roles)| Register {
                    id: id(name),
                    roles: *roles,
                    jurisdiction: Ascii::new("AT").unwrap(),
                    name: Text::new(name),
                    sealed_name: None,
                    endpoint: Ascii::default(),
                    display_names: List::default(),
                })
                .collect(),
        )
        .unwrap(),
        keys: List::new(keys).unwrap(),
        validators: List::new(
            validators.iter().map(|name| GenesisValidator { participant: id(name), power: 1 }).collect(),
        )
        .unwrap(),
        policy: Policy { heartbeat_ms: 2_000, ..Policy::initial() },
    }
}

/// Genesis, keys and configuration of a validator in a directory of its own.
pub(crate) fn configure(dir: &Path, name: &str, genesis: &Genesis) -> Config {
    std::fs::write(dir.join("genesis.custos"), genesis.to_bytes()).unwrap();
    let write = |purpose: KeyPurpose| {
        let path = dir.join(format!("{purpose}.key"));
        key(name, purpose).write(&path).unwrap();
        path
    };
    Config {
        data_dir: "data".into(),
        genesis: "genesis.custos".into(),
        participant: Some(name.into()),
        api: ApiConfig::listening_on("127.0.0.1:0"),
        p2p: P2pConfig { listen: "/ip4/127.0.0.1/tcp/0".into(), peers: Vec::new() },
        keys: KeysConfig {
            transport: write(KeyPurpose::Transport),
            consensus: Some(write(KeyPurpose::Consensus)),
            consensus_next: None,
            note: Some(write(KeyPurpose::Note)),
            sign: Some(write(KeyPurpose::Sign)),
        },
        retention: None,
        mempool: MempoolConfig::default(),
        consensus: ConsensusSection::default(),
        log: LogConfig::default(),
        custodian: None,
    }
}

/// Starts a node from a configuration in its directory.
pub(crate) async fn run(dir: &Path, config: &Config) -> Node {
    let path = dir.join("node.toml");
    std::fs::write(&path, config.to_toml().unwrap()).unwrap();
    Node::start(Config::read(&path).unwrap()).await.unwrap()
}

/// A client of a node that shows nothing, and obeys no `Retry-After`.
pub(crate) fn client(node: &Node) -> Client {
    let limits = Limits { retries: 0, ..Limits::default() };
    Client::with_limits(&format!("http://{}", node.api_address()), limits).unwrap()
}

/// Waits until a node is ready.
pub(crate) async fn ready(node: &Node) {
    let client = client(node);
    for _ in 0..600 {
        if client.ready().await.is_ok_and(|ready| ready.ready) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not ready: {:?}", client.health().await);
}

impl World {
    /// One validator, running and ready.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let genesis = genesis(&["hospital"]);
        let mut config = configure(dir.path(), "hospital", &genesis);
        change(&mut config);
        let mut world = Self { chain: genesis.chain(), dir, genesis, node: None, config };
        world.run().await;
        world
    }

    async fn run(&mut self) {
        let node = run(self.dir.path(), &self.config).await;
        ready(&node).await;
        self.node = Some(node);
    }

    pub(crate) async fn stop(&mut self) {
        self.node.take().unwrap().stop().await;
    }

    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.run().await;
    }

    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.node.as_ref().unwrap().api_address())
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A client that shows nothing, and obeys no `Retry-After`.
    pub(crate) fn client(&self) -> Client {
        client(self.node.as_ref().unwrap())
    }

    /// A client that signs its requests.
    pub(crate) fn member(&self, name: &str) -> Client {
        self.client().signed_by(Arc::new(key(name, KeyPurpose::Sign)))
    }

    pub(crate) fn sign(&self, author: &str, class: Class, items: Vec<Vec<u8>>) -> Submission {
        self.sign_until(author, class, items, TimeMs(clock().0 + 600_000))
    }

    pub(crate) fn sign_until(
        &self,
        author: &str,
        class: Class,
        items: Vec<Vec<u8>>,
        not_after: TimeMs,
    ) -> Submission {
        let draft = Draft {
            chain: &self.chain,
            author: Author::Participant(id(author)),
            class,
            nonce: random16(),
            not_after,
        };
        Submission::sign(&draft, items, &key(author, KeyPurpose::Sign)).unwrap()
    }

    pub(crate) fn act(&self, author: &str, fields: Fields) -> Submission {
        self.sign(author, Class::Act, vec![item(fields)])
    }

    /// A proposal of acts by the hospital, whose vote alone decides where it is the only validator.
    pub(crate) fn propose(&self, acts: Vec<Fields>) -> Submission {
        self.act("hospital", Fields::ProposalOpen(proposal(acts)))
    }

    pub(crate) fn testify(&self, author: &str, events: Vec<Event>) -> Submission {
        self.sign(
            author,
            Class::Testimony,
            events.into_iter().map(|event| item(Fields::AccessEvent(event))).collect(),
        )
    }

    /// Hands in and waits for the receipts.
    pub(crate) async fn record(&self, submission: &Submission) -> (Vec<u8>, Receipts) {
        match self.client().submit_and_wait(submission.bytes(), Duration::from_secs(30)).await.unwrap() {
            Submitted::Committed { file, receipts } => (file, receipts),
            Submitted::Pending(status) => panic!("still pending: {status:?}"),
        }
    }

    pub(crate) fn anchor(&self) -> TrustAnchor {
        TrustAnchor::from_genesis(&self.genesis).unwrap()
    }
}

/// What a verifier starts from.
pub(crate) fn trust(anchor: &TrustAnchor) -> Trust<'_> {
    Trust { anchor, links: &[], recency: Recency::default() }
}

/// Acts to be voted on within an hour.
pub(crate) fn proposal(acts: Vec<Fields>) -> OpenProposal {
    let act = |fields| VotedAct::new(Item { item_id: ItemId(random16().0), fields }).unwrap();
    let acts = List::new(acts.into_iter().map(act).collect()).unwrap();
    OpenProposal { proposal: random16(), acts, deadline: TimeMs(clock().0 + 3_600_000) }
}

pub(crate) fn item(fields: Fields) -> Vec<u8> {
    Item { item_id: ItemId(random16().0), fields }.to_bytes()
}

pub(crate) fn hash(submission: &Submission, position: usize) -> ItemHash {
    item_hash(&submission.items()[position])
}

/// An access by `acting` at `custodian`.
pub(crate) fn event(custodian: &str, acting: &str, local_id: Option<Digest>) -> Event {
    Event {
        event: random16(),
        custodian: id(custodian),
        local_id,
        acting: id(acting),
        basis: Basis::Law,
        cited: None,
        at_height: Height(0),
        late: Late::None,
        retention: Retention::Standard,
        stream: 0,
        sequence: 0,
        seal: SEAL,
    }
}

/// A subject's trail of this year: its opening, its name and the preimage that reads it.
pub(crate) fn subject(custodian: &str, grantee: Option<&str>) -> (Open, TrailName, [u8; 32]) {
    let local_id = sha256(&random16().0);
    let preimage = sha256(&local_id.0).0;
    let open = Open {
        local_id,
        grantee: grantee.map(id),
        epoch: u16::try_from(clock().year()).unwrap(),
        reader: sha256(&preimage),
        seal: SEAL,
    };
    (open, TrailName::subject(&id(custodian), local_id), preimage)
}

pub(crate) fn rule(custodian: &str, local_id: Digest) -> Put {
    Put {
        custodian: id(custodian),
        local_id,
        rule: random16(),
        prior: random16(),
        expiry: FAR,
        ends: Set::default(),
        collected: Collected::Portal,
        seal: SEAL,
    }
}
