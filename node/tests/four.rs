//! Four validators in one process: what one takes in, all check once and record alike.

#![allow(clippy::unwrap_used)]

mod world;

use std::time::Duration;

use custos_api::client::Submitted;
use custos_node::config::{Config, Peer};
use custos_node::node::Node;
use custos_proof::anchor::TrustAnchor;
use custos_proof::cbor::{Ascii, List, Text};
use custos_proof::genesis::Genesis;
use custos_proof::ids::{Height, TimeMs};
use custos_proof::keys::{KeyPurpose, PublicKey, Signature, Signer as _};
use custos_proof::kinds::key::{Add, possession_preimage};
use custos_proof::kinds::participant::{Reason, Register, Suspend};
use custos_proof::kinds::proposal::{Choice, Vote};
use custos_proof::kinds::validator::{Put, Remove};
use custos_proof::kinds::{Class, Fields};
use custos_proof::registry::{Role, Roles};
use custos_proof::submission::{Author, Draft, Submission};
use custos_proof::verify;
use world::{client, configure, event, genesis, id, item, key, proposal, random16, ready, run, trust};

const NAMES: [&str; 4] = ["hospital", "clinic", "laboratory", "insurer"];

struct Four {
    genesis: Genesis,
    places: Vec<(tempfile::TempDir, Config)>,
    nodes: Vec<Option<Node>>,
}

impl Four {
    async fn start() -> Self {
        let genesis = genesis(&NAMES);
        let ports: Vec<u16> = NAMES.iter().map(|_| custos_ports::free().unwrap()).collect();
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
        self.hand_in(index, &submission).await;
    }

    async fn hand_in(&self, index: usize, submission: &Submission) {
        let anchor = TrustAnchor::from_genesis(&self.genesis).unwrap();
        match client(self.node(index))
            .submit_and_wait(submission.bytes(), Duration::from_secs(60))
            .await
            .unwrap()
        {
            Submitted::Committed { receipts, .. } => {
                let links = client(self.node(index)).links(Height(0)).await.unwrap();
                let basis = verify::Basis { links: &links.links, ..trust(&anchor) };
                verify::receipt(&receipts.receipts[0], &basis).unwrap();
            }
            Submitted::Pending(status) => panic!("{status:?}"),
        }
    }

    fn act(&self, author: &str, fields: Fields) -> Submission {
        let draft = Draft {
            chain: &self.genesis.chain(),
            author: Author::Participant(id(author)),
            class: Class::Act,
            nonce: random16(),
            not_after: TimeMs(custos_node::chain::clock().0 + 600_000),
        };
        Submission::sign(&draft, vec![item(fields)], &key(author, KeyPurpose::Sign)).unwrap()
    }

    /// The first of these proposes, the others say yes.
    async fn agree(&self, voters: &[&str], acts: Vec<Fields>) {
        let open = proposal(acts);
        let id = open.proposal;
        self.hand_in(0, &self.act(voters[0], Fields::ProposalOpen(open))).await;
        for voter in &voters[1..] {
            let vote = Vote { proposal: id, vote: Choice::Yes };
            self.hand_in(0, &self.act(voter, Fields::ProposalVote(vote))).await;
        }
        assert_eq!(client(self.node(0)).proposal(&id).await.unwrap().state, "executed");
    }

    fn possession(&self, owner: &str, purpose: KeyPurpose) -> (PublicKey, Signature) {
        let signer = key(owner, purpose);
        let preimage = possession_preimage(&self.genesis.chain(), &id(owner), purpose, &signer.public_key());
        (signer.public_key(), signer.sign(&preimage).unwrap())
    }

    fn add_key(&self, owner: &str, purpose: KeyPurpose) -> Fields {
        let (key, possession) = self.possession(owner, purpose);
        Fields::KeyAdd(Add { owner: id(owner), key, purpose, possession })
    }

    fn validators(&self, index: usize) -> usize {
        self.node(index).chain().store().head().next_validators.as_slice().len()
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

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_is_voted_in_and_needed_and_another_is_voted_out_and_cut_off() {
    let mut four = Four::start().await;
    four.record(0, "hospital").await;
    // The newcomer is registered, with the keys that it connects and signs with, and follows.
    let newcomer = Register {
        id: id("newcomer"),
        roles: Roles::new(&[Role::Custodian, Role::Validator]),
        jurisdiction: Ascii::new("AT").unwrap(),
        name: Text::new("Newcomer"),
        sealed_name: None,
        endpoint: Ascii::default(),
        display_names: List::default(),
    };
    let acts = vec![
        Fields::ParticipantRegister(newcomer),
        four.add_key("newcomer", KeyPurpose::Sign),
        four.add_key("newcomer", KeyPurpose::Transport),
    ];
    four.agree(&NAMES[..3], acts).await;
    let dir = tempfile::tempdir().unwrap();
    let mut config = configure(dir.path(), "newcomer", &four.genesis);
    config.p2p.listen = format!("/ip4/127.0.0.1/tcp/{}", custos_ports::free().unwrap());
    config.p2p.peers = (0..4)
        .map(|index| {
            let (_, other) = &four.places[index];
            Peer {
                participant: NAMES[index].into(),
                address: other.p2p.listen.clone(),
                transport_key: key(NAMES[index], KeyPurpose::Transport).public_key().to_string(),
                bootstrap: index == 0,
            }
        })
        .collect();
    four.places.push((dir, config));
    four.nodes.push(None);
    four.run(4).await;
    four.reach(four.node(0).chain().store().head().height.0).await;

    // Voted in, it decides from the next height on: with one of five gone, the other four have to vote.
    let (key, possession) = four.possession("newcomer", KeyPurpose::Consensus);
    let put = Put { participant: id("newcomer"), key, possession, power: 1 };
    four.agree(&NAMES[..3], vec![Fields::ValidatorPut(put)]).await;
    four.reach(four.node(0).chain().store().head().height.0).await;
    assert_eq!((four.validators(0), four.validators(4)), (5, 5));
    four.nodes[2].take().unwrap().stop().await;
    for _ in 0..3 {
        four.record(0, "hospital").await;
    }
    four.run(2).await;
    four.reach(four.node(0).chain().store().head().height.0).await;
    ready(four.node(2)).await;

    // Voted out and suspended, the insurer is cut off at that commit.
    let out = vec![
        Fields::ValidatorRemove(Remove { participant: id("insurer") }),
        Fields::ParticipantSuspend(Suspend { id: id("insurer"), reason: Reason::Breach }),
    ];
    four.agree(&["hospital", "clinic", "laboratory", "newcomer"], out).await;
    assert_eq!(four.validators(0), 4);
    for _ in 0..3 {
        four.record(0, "hospital").await;
    }
    let head = four.node(0).chain().store().head().height.0;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(four.node(3).chain().store().head().height.0 < head, "who was cut off does not hear of it");
    let others: Vec<u64> = [0, 1, 2, 4].map(|index| four.node(index).chain().store().head().height.0).into();
    assert!(others.iter().all(|height| *height >= head), "{others:?}");

    for node in &mut four.nodes {
        node.take().unwrap().stop().await;
    }
}
