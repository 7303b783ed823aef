//! A validator is replaced by vote, under load: a newcomer registers, follows, is voted in and an old one out
//! in one act; then another falls, so that the newcomer's votes are needed.

use std::path::PathBuf;

use custos_api::client::Submitted;
use custos_proof::cbor::{Ascii, List, Text, Wire as _};
use custos_proof::ids::{ItemId, ParticipantId, Random16};
use custos_proof::item::Item;
use custos_proof::keys::{KeyPurpose, PublicKey, Signature, Signer as _};
use custos_proof::kinds::key::{Add, possession_preimage};
use custos_proof::kinds::participant::Register;
use custos_proof::kinds::proposal::{Choice, Open, Vote, VotedAct};
use custos_proof::kinds::validator::{Put, Remove};
use custos_proof::kinds::{Class, Fields};
use custos_proof::registry::{Role, Roles};
use custos_proof::submission::{Author, Draft, Submission};
use custos_testnet::{FileKey, Network};

use super::{PATIENCE, seconds, until};
use crate::clients::{Load, Pace, now};
use crate::{Plan, Seen, Skipped, Story, Told, checks};

pub(super) const STORY: Story = Story {
    name: "replaced",
    fault: "a validator replaced by another one by vote, under load",
    is_short: false,
    tell,
};

const NEWCOMER: &str = "hospital-5.example";
const HOUR_MS: u64 = 3_600_000;

fn tell(plan: &Plan) -> Result<Told, Skipped> {
    let mut network = Network::up(4);
    let mut load = Load::start(&network, &Pace { clients: vec![1, 2], nodes: vec![1, 3], ..Pace::gentle() });
    load.wait_for(4, PATIENCE);
    let newcomer = Newcomer::make(&network);
    let mut hand = Hand { network: &network, drawn: 0 };
    let register = Register {
        id: id(NEWCOMER),
        roles: Roles::new(&[Role::Custodian, Role::Recipient, Role::Validator]),
        jurisdiction: Ascii::new("EU").expect("because it is ASCII"),
        name: Text::new("Newcomer"),
        sealed_name: None,
        endpoint: Ascii::default(),
        display_names: List::default(),
    };
    hand.agree(vec![
        Fields::ParticipantRegister(register),
        newcomer.add(&network, KeyPurpose::Sign),
        newcomer.add(&network, KeyPurpose::Transport),
    ]);
    let config = newcomer.configure(&network);
    let mut hand = {
        let api = format!("http://{}", newcomer.api);
        let index =
            network.adopt(NEWCOMER, &api, &config, &newcomer.data, &newcomer.key_file(KeyPurpose::Sign));
        assert_eq!(index, 5);
        network.start(5);
        Hand { network: &network, drawn: 1000 }
    };

    // In one act: the newcomer in, the fourth out. From the next height on others decide.
    let (key, possession) = newcomer.possession(&network, KeyPurpose::Consensus);
    hand.agree(vec![
        Fields::ValidatorPut(Put { participant: id(NEWCOMER), key, possession, power: 1 }),
        Fields::ValidatorRemove(Remove { participant: network.participant(4) }),
    ]);
    let voted_in = network.head(&[1]);
    let validators = network.client(1).registry().expect("because the node answers").validators.len();
    assert_eq!(validators, 4);
    // The network's first four include one that no longer counts: with one more gone the newcomer has to vote.
    network.kill_together(&[4]);
    network.kill_together(&[2]);
    let some = plan.times(10, 40) as u64;
    let took = load.wait_for(some, PATIENCE);
    network.start(2);
    until("the newcomer has it too", PATIENCE, || network.head(&[5]) > voted_in);
    let mut kept = load.finish();
    // And it takes submissions, too.
    load = Load::start(&network, &Pace { clients: vec![5], nodes: vec![5], ..Pace::gentle() });
    load.wait_for(some, PATIENCE);
    kept.extend(load.finish());
    let checked = checks::whole(&mut network, &[1, 2, 3, 5], &kept);
    // The one that no longer decides was killed and not started again; what it left is whole, too.
    checks::left_whole(&network, 4);
    let seen = Seen::new(
        "a fifth node registered and voted in, the fourth voted out in the same act; then the fourth and another killed",
        format!(
            "decided at height {voted_in}; the newcomer's votes carried {some} submissions in {}; receipts verify from the genesis anchor over the change",
            seconds(took)
        ),
        "`/v1/registry` lists the validators; the newcomer's log, before the vote: `the consensus key is not in the registry yet: this node follows`",
    );
    assert!(network.log(5).contains("this node follows"));
    Ok(Told { seen: vec![seen], checked })
}

fn id(text: &str) -> ParticipantId {
    text.parse().expect("because it is a participant's id")
}

/// The node that joins: its keys and places.
struct Newcomer {
    folder: PathBuf,
    data: PathBuf,
    api: String,
    peers: String,
}

impl Newcomer {
    fn make(network: &Network) -> Self {
        let free = || custos_ports::free().expect("because there are free ports");
        let this = Self {
            folder: network.folder().to_owned(),
            data: network.folder().join("node-5"),
            api: format!("127.0.0.1:{}", free()),
            peers: format!("/ip4/127.0.0.1/tcp/{}", free()),
        };
        for purpose in [KeyPurpose::Sign, KeyPurpose::Consensus, KeyPurpose::Transport, KeyPurpose::Note] {
            let file = this.key_file(purpose);
            let file = file.to_str().expect("because the harness names folders in ASCII");
            let made = network.custos(&["keygen", "-o", file, "--purpose", &purpose.to_string()]);
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
        this
    }

    fn key_file(&self, purpose: KeyPurpose) -> PathBuf {
        self.folder.join(format!("keys/hospital-5-{purpose}.key"))
    }

    fn possession(&self, network: &Network, purpose: KeyPurpose) -> (PublicKey, Signature) {
        let key = FileKey::read(&self.key_file(purpose));
        let preimage = possession_preimage(&network.chain(), &id(NEWCOMER), purpose, &key.public_key());
        (key.public_key(), key.sign(&preimage).expect("because the key is in memory"))
    }

    fn add(&self, network: &Network, purpose: KeyPurpose) -> Fields {
        let (key, possession) = self.possession(network, purpose);
        Fields::KeyAdd(Add { owner: id(NEWCOMER), key, purpose, possession })
    }

    /// The first node's configuration, with everything of its own, and all four as peers that let it catch up.
    fn configure(&self, network: &Network) -> PathBuf {
        let read = |node: usize| -> toml::Table {
            let text = std::fs::read_to_string(network.config(node)).expect("because nodes have one");
            text.parse().expect("because the command wrote it")
        };
        let mut config = read(1);
        let of = |table: &toml::Table| table["p2p"]["peers"].as_array().cloned().unwrap_or_default();
        let mut peers = of(&config);
        let first = network.participant(1).to_string();
        peers.extend(of(&read(2)).into_iter().filter(|peer| peer["participant"].as_str() == Some(&first)));
        for peer in &mut peers {
            peer.as_table_mut().expect("because a peer is a table").insert("bootstrap".into(), true.into());
        }
        config.insert("participant".into(), NEWCOMER.into());
        config.insert("data_dir".into(), self.data.display().to_string().into());
        let section = |config: &mut toml::Table, name: &str, key: &str, value: toml::Value| {
            config[name].as_table_mut().expect("because the section is there").insert(key.into(), value);
        };
        section(&mut config, "api", "listen", self.api.clone().into());
        section(&mut config, "p2p", "listen", self.peers.clone().into());
        section(&mut config, "p2p", "peers", peers.into());
        for purpose in [KeyPurpose::Sign, KeyPurpose::Consensus, KeyPurpose::Transport, KeyPurpose::Note] {
            let file = self.key_file(purpose).display().to_string();
            section(&mut config, "keys", &purpose.to_string(), file.into());
        }
        let path = self.folder.join("node-5.toml");
        std::fs::write(&path, toml::to_string(&config).expect("because it was TOML"))
            .expect("because it is ours");
        path
    }
}

/// Signs and hands in acts in the validators' names.
struct Hand<'a> {
    network: &'a Network,
    drawn: u64,
}

impl Hand<'_> {
    /// The first proposes, the next two say yes; then it is done.
    fn agree(&mut self, acts: Vec<Fields>) {
        let proposal = self.draw();
        let act = |this: &mut Self, fields| {
            VotedAct::new(Item { item_id: ItemId(this.draw().0), fields })
                .expect("because it can be voted on")
        };
        let acts = acts.into_iter().map(|fields| act(self, fields)).collect();
        let acts = List::new(acts).expect("because there are few");
        let deadline = now().plus(HOUR_MS);
        self.hand_in(1, Fields::ProposalOpen(Open { proposal, acts, deadline }));
        for voter in [2, 3] {
            self.hand_in(voter, Fields::ProposalVote(Vote { proposal, vote: Choice::Yes }));
        }
        let state = self.network.client(1).proposal(&proposal).expect("because the node answers").state;
        assert_eq!(state, "executed");
    }

    fn hand_in(&mut self, author: usize, fields: Fields) {
        let draft = Draft {
            chain: &self.network.chain(),
            author: Author::Participant(self.network.participant(author)),
            class: Class::Act,
            nonce: self.draw(),
            not_after: now().plus(HOUR_MS / 2),
        };
        let item = Item { item_id: ItemId(self.draw().0), fields }.to_bytes();
        let submission = Submission::sign(&draft, vec![item], &self.network.key(author))
            .expect("because an act fits into a submission");
        let answer = self.network.client(1).submit_and_wait(submission.bytes(), PATIENCE);
        assert!(matches!(answer, Ok(Submitted::Committed { .. })), "{answer:?}");
    }

    fn draw(&mut self) -> Random16 {
        self.drawn += 1;
        let mut bytes = [0xac; 16];
        bytes[..8].copy_from_slice(&self.drawn.to_be_bytes());
        Random16(bytes)
    }
}
