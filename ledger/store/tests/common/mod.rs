//! A small network whose blocks are made by the real rules and signed with real keys.
//!
//! Everything follows from names and counters, so a child process and its parent make the same chain.

#![allow(dead_code, clippy::unwrap_used, unreachable_pub)] // Each file of tests uses a part.

pub mod files;

use custos_proof::cbor::{Ascii, List, Set, Text, Wire};
use custos_proof::certificate::{Certificate, CommitSignature, VoteType, vote_preimage};
use custos_proof::genesis::{Genesis, GenesisKey, GenesisValidator, NO_CHAIN};
use custos_proof::hash::{ChainId, Digest, ItemHash, sha256};
use custos_proof::header::Block;
use custos_proof::ids::{FAR, Height, ItemId, ParticipantId, Random16, Round, TimeMs};
use custos_proof::item::{Item, item_hash};
use custos_proof::keys::{KeyPurpose, PublicKey, SignError, Signature, Signer, key_id};
use custos_proof::kinds::access::{Basis, Event, Late, Retention};
use custos_proof::kinds::emergency;
use custos_proof::kinds::key::{Add, Rotate, possession_preimage};
use custos_proof::kinds::participant::Register;
use custos_proof::kinds::proposal::{Choice, Open as ProposalOpen, Vote, VotedAct};
use custos_proof::kinds::rule::{Collected, Put};
use custos_proof::kinds::trail::Open;
use custos_proof::kinds::{Class, Fields, Kind};
use custos_proof::registry::{Policy, Role, Roles};
use custos_proof::seal::{Place, Seal};
use custos_proof::submission::{Author, Draft, Submission, Verified};
use custos_state::apply::{self, Limits, Proposal, Start};
use custos_state::changes::Changes;
use custos_state::view::View;
use ed25519_dalek::Signer as _;

/// 2031-03-10T08:00:00Z.
pub const BEGIN: TimeMs = TimeMs(1_930_896_000_000);
pub const REGISTRY: &str = "registry";
pub const HOSPITALS: [&str; 4] = ["hospital-a", "hospital-b", "hospital-c", "hospital-d"];

pub struct TestKey(ed25519_dalek::SigningKey);

pub fn key(name: &str) -> TestKey {
    TestKey(ed25519_dalek::SigningKey::from_bytes(&sha256(format!("key of {name}").as_bytes()).0))
}

impl Signer for TestKey {
    fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }
    fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        Ok(Signature(self.0.sign(message).to_bytes()))
    }
}

pub fn id(name: &str) -> ParticipantId {
    name.parse().unwrap()
}

fn possession(key: &TestKey, chain: &ChainId, owner: &str, purpose: KeyPurpose) -> Signature {
    key.sign(&possession_preimage(chain, &id(owner), purpose, &key.public_key())).unwrap()
}

pub fn registration(name: &str, roles: &[Role]) -> Register {
    Register {
        id: id(name),
        roles: Roles::new(roles),
        jurisdiction: Ascii::new("EU").unwrap(),
        name: Text::new(name),
        sealed_name: None,
        endpoint: Ascii::new("").unwrap(),
        display_names: List::default(),
    }
}

pub fn genesis() -> Genesis {
    let mut participants = vec![registration(REGISTRY, &[Role::Registrar])];
    participants.extend(
        HOSPITALS.map(|name| registration(name, &[Role::Custodian, Role::Recipient, Role::Validator])),
    );
    let genesis_key = |owner: &str, purpose: KeyPurpose| {
        let key = key(&format!("{owner} {purpose}"));
        let possession = possession(&key, &NO_CHAIN, owner, purpose);
        GenesisKey { owner: id(owner), key: key.public_key(), purpose, possession }
    };
    let mut keys: Vec<_> =
        participants.iter().map(|p| genesis_key(p.id.as_str(), KeyPurpose::Sign)).collect();
    keys.extend(HOSPITALS.map(|name| genesis_key(name, KeyPurpose::Consensus)));
    Genesis {
        name: Ascii::new("store tests").unwrap(),
        time: BEGIN,
        protocol: 1,
        registrar: id(REGISTRY),
        participants: List::new(participants).unwrap(),
        keys: List::new(keys).unwrap(),
        validators: List::new(
            HOSPITALS.map(|name| GenesisValidator { participant: id(name), power: 1 }).to_vec(),
        )
        .unwrap(),
        policy: {
            let mut policy = Policy { max_nonces: u32::MAX.into(), ..Policy::initial() };
            policy.decision.emergency.review_hours = 1;
            policy
        },
    }
}

/// A block as it leaves consensus.
#[derive(Debug, Clone)]
pub struct Decided {
    pub block: Block,
    pub changes: Changes,
    pub certificate: Certificate,
}

/// Makes submissions and blocks over any view.
pub struct Network {
    pub genesis: Genesis,
    pub start: Start,
    pub chain: ChainId,
    /// How far apart blocks are.
    pub pace_ms: u64,
    counter: u64,
}

impl Network {
    pub fn new() -> Self {
        let genesis = genesis();
        let start = apply::start(&genesis).unwrap();
        Self { chain: genesis.chain(), genesis, start, pace_ms: 1000, counter: 0 }
    }

    /// The same network whose fresh values are others: for a process that goes on where another was killed.
    pub fn continued(seed: u64) -> Self {
        Self { counter: seed << 32, ..Self::new() }
    }

    pub fn fresh(&mut self) -> Digest {
        self.counter += 1;
        sha256(&self.counter.to_be_bytes())
    }

    pub fn random16(&mut self) -> Random16 {
        Random16(self.fresh().0[..16].try_into().unwrap())
    }

    fn seal(&mut self, kind: Kind, item_id: &ItemId) -> Seal {
        if kind.sealed_fields().is_empty() {
            return Seal { root: Digest::ZERO, ciphertext: None };
        }
        let values = vec![vec![0]; kind.sealed_fields().len()];
        let seed = self.fresh().0;
        Place { chain: &self.chain, kind, item_id }.seal(&seed, &values).unwrap()
    }

    /// An item; `fields` is given its seal.
    pub fn item(&mut self, kind: Kind, fields: impl FnOnce(&mut Self, Seal) -> Fields) -> Vec<u8> {
        let item_id = ItemId(self.random16().0);
        let seal = self.seal(kind, &item_id);
        let fields = fields(self, seal);
        Item { item_id, fields }.to_bytes()
    }

    /// An access, with the head's height as the one the decider saw.
    pub fn event(&mut self, view: &dyn View, custodian: &str, local_id: Option<Digest>) -> Vec<u8> {
        let at_height = view.head().unwrap().height;
        self.item(Kind::AccessEvent, |network, seal| {
            Fields::AccessEvent(Event {
                event: network.random16(),
                custodian: id(custodian),
                local_id,
                acting: id(custodian),
                basis: Basis::Law,
                cited: None,
                at_height,
                late: Late::None,
                retention: Retention::Standard,
                stream: 0,
                sequence: 0,
                seal,
            })
        })
    }

    pub fn open(&mut self, local_id: Digest) -> Vec<u8> {
        self.item(Kind::TrailOpen, |network, seal| {
            let reader = network.fresh();
            Fields::TrailOpen(Open { local_id, grantee: None, epoch: 2031, reader, seal })
        })
    }

    pub fn rule(&mut self, custodian: &str, local_id: Digest) -> Vec<u8> {
        self.item(Kind::RulePut, |network, seal| {
            Fields::RulePut(Put {
                custodian: id(custodian),
                local_id,
                rule: network.random16(),
                prior: network.random16(),
                expiry: FAR,
                ends: Set::default(),
                collected: Collected::Paper,
                seal,
            })
        })
    }

    pub fn register(&mut self, name: &str) -> Vec<u8> {
        let registration = registration(name, &[Role::Custodian, Role::Recipient]);
        self.item(Kind::ParticipantRegister, |_, _| Fields::ParticipantRegister(registration))
    }

    pub fn add_key(&mut self, owner: &str, name: &str) -> Vec<u8> {
        let (key, purpose) = (key(name), KeyPurpose::Sign);
        let possession = possession(&key, &self.chain, owner, purpose);
        let add = Add { owner: id(owner), key: key.public_key(), purpose, possession };
        self.item(Kind::KeyAdd, |_, _| Fields::KeyAdd(add))
    }

    pub fn rotate_key(&mut self, owner: &str, old: &str, new: &str) -> Vec<u8> {
        let key_new = key(new);
        let possession = possession(&key_new, &self.chain, owner, KeyPurpose::Sign);
        let rotate = Rotate {
            old: key_id(&key(old).public_key()),
            key: key_new.public_key(),
            overlap_ms: 60_000,
            possession,
        };
        self.item(Kind::KeyRotate, |_, _| Fields::KeyRotate(rotate))
    }

    pub fn submit(&mut self, view: &dyn View, author: &str, class: Class, items: Vec<Vec<u8>>) -> Verified {
        let draft = Draft {
            chain: &self.chain.clone(),
            author: Author::Participant(id(author)),
            class,
            nonce: self.random16(),
            not_after: view.head().unwrap().time.plus(self.pace_ms).plus(1_800_000),
        };
        let key = key(&format!("{author} sign"));
        Submission::sign(&draft, items, &key).unwrap().verify(&key.public_key()).unwrap()
    }

    pub fn acts(&mut self, view: &dyn View, author: &str, items: Vec<Vec<u8>>) -> Verified {
        self.submit(view, author, Class::Act, items)
    }

    /// The registrar proposes acts, and three hospitals agree.
    pub fn agreed(&mut self, view: &dyn View, acts: Vec<Vec<u8>>) -> Vec<Verified> {
        let proposal = self.random16();
        let act = |bytes: Vec<u8>| VotedAct::new(Item::from_bytes(&bytes).unwrap()).unwrap();
        let acts = List::new(acts.into_iter().map(act).collect()).unwrap();
        let deadline = view.head().unwrap().time.plus(3_600_000);
        let open = ProposalOpen { proposal, acts, deadline };
        let open = self.item(Kind::ProposalOpen, |_, _| Fields::ProposalOpen(open));
        let mut said = vec![self.acts(view, REGISTRY, vec![open])];
        for hospital in &HOSPITALS[..3] {
            let vote = Vote { proposal, vote: Choice::Yes };
            let vote = self.item(Kind::ProposalVote, |_, _| Fields::ProposalVote(vote));
            said.push(self.acts(view, hospital, vec![vote]));
        }
        said
    }

    /// One signed submission of `count` accesses at a hospital, all in its institution's trail.
    pub fn accesses(&mut self, view: &dyn View, custodian: &str, count: usize) -> Verified {
        let items = (0..count).map(|_| self.event(view, custodian, None)).collect();
        self.submit(view, custodian, Class::Testimony, items)
    }

    /// The next block, decided; every submission MUST be admissible.
    pub fn decide(&self, view: &dyn View, submissions: Vec<Verified>) -> Decided {
        let head = view.head().unwrap();
        let height = head.height.next();
        let proposal = Proposal {
            height,
            round: Round(0),
            time: head.time.plus(self.pace_ms),
            proposer: id(HOSPITALS[height.0 as usize % HOSPITALS.len()]),
        };
        let built = apply::build(view, &proposal, submissions, &Limits::default()).unwrap();
        assert_eq!(built.refused, []);
        Decided { certificate: self.certify(&built.changes), block: built.block, changes: built.changes }
    }

    /// The precommits of three of the four validators.
    pub fn certify(&self, changes: &Changes) -> Certificate {
        let set = self.genesis.validator_set().unwrap();
        let absent = changes.header.height.0 as usize % 4;
        let signatures = (0..4)
            .filter(|signer| *signer != absent)
            .map(|signer| {
                let validator = &set.as_slice()[signer];
                let preimage = vote_preimage(
                    &self.chain,
                    changes.header.height,
                    Round(1),
                    VoteType::Precommit,
                    Some(changes.block_id),
                    &validator.key,
                );
                let signature = key(&format!("{} consensus", validator.participant)).sign(&preimage).unwrap();
                CommitSignature { signer: signer as u16, signature }
            })
            .collect();
        Certificate {
            height: changes.header.height,
            round: Round(1),
            block_id: changes.block_id,
            signatures: List::new(signatures).unwrap(),
        }
    }

    /// Hospital A declares the emergency of a height: its review falls due.
    pub fn declare(&mut self, height: u64) -> Vec<u8> {
        self.item(Kind::EmergencyDeclare, |_, seal| {
            Fields::EmergencyDeclare(emergency::Declare {
                declaration: emergency_of(height),
                custodian: id("hospital-a"),
                acting: id("hospital-a"),
                seal,
            })
        })
    }

    /// The emergency of a height is reviewed: nothing is due any longer.
    pub fn review(&mut self, height: u64) -> Vec<u8> {
        self.item(Kind::EmergencyReview, |network, seal| {
            Fields::EmergencyReview(emergency::Review {
                review: network.random16(),
                declarer: id("hospital-a"),
                declaration: emergency_of(height),
                seal,
            })
        })
    }

    /// A block with something of everything, by its height.
    pub fn varied(&mut self, view: &dyn View) -> Decided {
        let Height(height) = view.head().unwrap().height;
        let local_id = sha256(format!("subject {}", height % 5).as_bytes());
        let hospital = HOSPITALS[height as usize % 4];
        let mut submissions = vec![];
        if height < 5 {
            let items = vec![self.open(local_id), self.rule("hospital-a", local_id)];
            submissions.push(self.acts(view, "hospital-a", items));
        }
        if height == 2 {
            let name = "clinic";
            let items = vec![self.register(name), self.add_key(name, "clinic sign")];
            submissions.extend(self.agreed(view, items));
        }
        if height == 3 {
            let items = vec![self.rotate_key("hospital-d", "hospital-d sign", "hospital-d second")];
            submissions.push(self.acts(view, "hospital-d", items));
        }
        let event = self.event(view, "hospital-a", Some(local_id));
        let other = self.event(view, "hospital-a", None);
        submissions.push(self.submit(view, "hospital-a", Class::Testimony, vec![event.clone(), other]));
        if hospital != "hospital-d" {
            submissions.push(self.accesses(view, hospital, 3));
        }
        if height % 4 == 0 {
            let items = vec![self.declare(height)];
            submissions.push(self.submit(view, "hospital-a", Class::Testimony, items));
        }
        if height % 8 == 1 {
            let items = vec![self.review(height - 1)];
            submissions.push(self.submit(view, "hospital-a", Class::Testimony, items));
        }
        if height % 3 == 1 {
            // The same event again, between two new ones.
            let (first, last) = (self.event(view, "hospital-a", None), self.event(view, "hospital-a", None));
            submissions.push(self.submit(view, "hospital-a", Class::Testimony, vec![first, event, last]));
        }
        self.decide(view, submissions)
    }
}

fn emergency_of(height: u64) -> Random16 {
    Random16(sha256(format!("emergency of {height}").as_bytes()).0[..16].try_into().unwrap())
}

/// The items of a block's body, in order.
pub fn items_of(block: &Block) -> Vec<(ItemHash, Vec<u8>)> {
    let submissions = block.body.iter().map(|bytes| Submission::decode(bytes).unwrap());
    submissions
        .flat_map(|s| s.items().iter().map(|item| (item_hash(item), item.clone())).collect::<Vec<_>>())
        .collect()
}
