//! A small chain in memory, decided by four keys of this test: what receipts and trail proofs are made from.
//!
//! Proofs are put together here by hand from the state's own parts, so that the command under test
//! meets files that its own node never touched.

#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use custos_proof::anchor::TrustAnchor;
use custos_proof::cbor::{Ascii, Bytes, List, Set, Text, Wire as _};
use custos_proof::certificate::{Certificate, CommitSignature, VoteType, vote_preimage};
use custos_proof::disclosure::Openings;
use custos_proof::genesis::{Genesis, GenesisKey, GenesisValidator, NO_CHAIN};
use custos_proof::hash::{ChainId, Digest, ItemHash};
use custos_proof::header::Header;
use custos_proof::ids::{FAR, ItemId, ParticipantId, Random16, Round, TimeMs};
use custos_proof::item::{Item, item_hash};
use custos_proof::keys::{KeyPurpose, PublicKey, SignError, Signature, Signer, key_id};
use custos_proof::kinds::access::{Basis, Event, Late, Retention};
use custos_proof::kinds::emergency::Declare;
use custos_proof::kinds::key::possession_preimage;
use custos_proof::kinds::participant::Register;
use custos_proof::kinds::rule::{Collected, Put};
use custos_proof::kinds::trail::Open;
use custos_proof::kinds::{Fields, Kind};
use custos_proof::merkle;
use custos_proof::receipt::{ProvenKey, Receipt};
use custos_proof::registry::{self, KeyEntry, Policy, Role, Roles, TrailHead};
use custos_proof::seal::{Place, Seal};
use custos_proof::sealed_values::{
    Action, ActionKind, InnerKind, ListedTrail, Moment, Outcome, OutcomeKind, OwnTrail, Purpose, Purposes,
    Reason, RuleBody, Stated, When,
};
use custos_proof::submission::{Author, Draft, Submission};
use custos_proof::trail::TrailName;
use custos_proof::trail_proof::{Entry, TrailProof};
use custos_state::apply::{self, Limits, Proposal};
use custos_state::memory::MemoryStore;
use custos_state::overlay::prove_entry;
use custos_state::view::View as _;
use ed25519_dalek::{Signer as _, SigningKey};

/// 2026-03-12T10:00:00Z.
pub const BEGIN: TimeMs = TimeMs(1_773_309_600_000);

/// A key of this test.
pub struct TestKey(SigningKey);

impl TestKey {
    pub fn new(seed: u8) -> Self {
        Self(SigningKey::from_bytes(&[seed; 32]))
    }
}

impl Signer for TestKey {
    fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }
    fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        Ok(Signature(self.0.sign(message).to_bytes()))
    }
}

/// A chain with one custodian that speaks, and four validators that agree.
pub struct Chain {
    pub genesis: Genesis,
    store: MemoryStore,
    signers: BTreeMap<ParticipantId, TestKey>,
    validators: Vec<TestKey>,
    header: Option<Header>,
    certificate: Option<Certificate>,
    submissions: Vec<Submission>,
    pub openings: Vec<custos_proof::seal::Opening>,
    drawn: u8,
}

pub fn hospital() -> ParticipantId {
    "hospital-1.example".parse().unwrap()
}

/// The access body, and the data user: they sign for themselves.
pub fn body() -> ParticipantId {
    "body.example".parse().unwrap()
}

pub fn university() -> ParticipantId {
    "university.example".parse().unwrap()
}

/// The local id of the subject's trail for the data user.
pub fn for_university() -> Digest {
    Digest([9; 32])
}

/// The local id of the one subject's own trail.
pub fn own() -> Digest {
    Digest([7; 32])
}

impl Chain {
    /// A chain at its genesis; `salt` makes it another chain.
    pub fn new(salt: u8) -> Self {
        let participant = |id: &str, roles: &[Role]| Register {
            id: id.parse().unwrap(),
            roles: Roles::new(roles),
            jurisdiction: Ascii::new("DE").unwrap(),
            name: Text::new(&format!("Name of {id}")),
            sealed_name: None,
            endpoint: Ascii::new("").unwrap(),
            display_names: List::default(),
        };
        let validators: Vec<TestKey> = (1..=4).map(|n| TestKey::new(n + salt)).collect();
        let signers = BTreeMap::from([
            (hospital(), TestKey::new(100 + salt)),
            (body(), TestKey::new(110 + salt)),
            (university(), TestKey::new(120 + salt)),
        ]);
        let mut participants = vec![
            participant("registrar.example", &[Role::Registrar]),
            participant("body.example", &[Role::AccessBody]),
            participant("university.example", &[Role::DataUser, Role::Recipient]),
        ];
        let mut keys = Vec::new();
        let mut key = |owner: &ParticipantId, key: &TestKey, purpose| {
            let preimage = possession_preimage(&NO_CHAIN, owner, purpose, &key.public_key());
            let possession = Signer::sign(key, &preimage).unwrap();
            keys.push(GenesisKey { owner: owner.clone(), key: key.public_key(), purpose, possession });
        };
        let mut powers = Vec::new();
        for (n, validator) in (1..).zip(&validators) {
            let id = format!("hospital-{n}.example");
            participants.push(participant(&id, &[Role::Custodian, Role::Validator]));
            let id: ParticipantId = id.parse().unwrap();
            key(&id, validator, KeyPurpose::Consensus);
            powers.push(GenesisValidator { participant: id, power: 1 });
        }
        signers.iter().for_each(|(id, signer)| key(id, signer, KeyPurpose::Sign));
        let genesis = Genesis {
            name: Ascii::new("in-memory").unwrap(),
            time: BEGIN,
            protocol: 1,
            registrar: "registrar.example".parse().unwrap(),
            participants: List::new(participants).unwrap(),
            keys: List::new(keys).unwrap(),
            validators: List::new(powers).unwrap(),
            policy: Policy::initial(),
        };
        let start = apply::start(&genesis).unwrap();
        Self {
            genesis,
            store: MemoryStore::new(&start),
            signers,
            validators,
            header: None,
            certificate: None,
            submissions: Vec::new(),
            openings: Vec::new(),
            drawn: 0,
        }
    }

    /// A chain with a subject's own trail, a rule, an access under it, the rule's end, and a contradicted access.
    pub fn with_a_story(salt: u8) -> (Self, Vec<ItemHash>) {
        let mut chain = Self::new(salt);
        let mut items = Vec::new();
        let rule = Random16([0xab; 16]);
        let open = chain.open();
        items.push(chain.record(&open));
        let put = chain.put(rule, &[], InnerKind::Grant);
        items.push(chain.record(&put));
        let event = chain.event(rule);
        items.push(chain.record(&event));
        let end = chain.put(Random16([0xac; 16]), &[rule], InnerKind::Revoke);
        items.push(chain.record(&end));
        let event = chain.event(rule);
        items.push(chain.record(&event));
        (chain, items)
    }

    pub fn id(&self) -> ChainId {
        self.genesis.chain()
    }

    pub fn anchor(&self) -> TrustAnchor {
        TrustAnchor::from_genesis(&self.genesis).unwrap()
    }

    fn draw(&mut self) -> u8 {
        self.drawn += 1;
        self.drawn
    }

    fn seal(&mut self, kind: Kind, item_id: &ItemId, values: &[Vec<u8>]) -> Seal {
        let chain = self.id();
        let place = Place { chain: &chain, kind, item_id };
        let seed = [self.drawn; 32];
        for number in 1..=u8::try_from(values.len()).unwrap() {
            self.openings.push(place.open(&seed, values, number).unwrap());
        }
        place.seal(&seed, values).unwrap()
    }

    pub fn open(&mut self) -> Item {
        let item_id = ItemId([self.draw(); 16]);
        let seal = self.seal(Kind::TrailOpen, &item_id, &[None::<OwnTrail>.to_bytes()]);
        Item {
            item_id,
            fields: Fields::TrailOpen(Open {
                local_id: own(),
                grantee: None,
                epoch: 2026,
                reader: Digest([8; 32]),
                seal,
            }),
        }
    }

    pub fn put(&mut self, rule: Random16, ends: &[Random16], inner: InnerKind) -> Item {
        let item_id = ItemId([self.draw(); 16]);
        let values = [
            inner.to_bytes(),
            RuleBody::Nothing.to_bytes(),
            custos_proof::sealed_values::Evidence::default().to_bytes(),
        ];
        let seal = self.seal(Kind::RulePut, &item_id, &values);
        let fields = Put {
            custodian: hospital(),
            local_id: own(),
            rule,
            prior: Random16([self.drawn; 16]),
            expiry: FAR,
            ends: Set::new(ends.to_vec()).unwrap(),
            collected: Collected::Paper,
            seal,
        };
        Item { item_id, fields: Fields::RulePut(fields) }
    }

    pub fn event(&mut self, cited: Random16) -> Item {
        let item_id = ItemId([self.draw(); 16]);
        fn unknown<T: custos_proof::cbor::Wire>() -> Vec<u8> {
            Stated::<T>::Unknown(Reason::NotStated).to_bytes()
        }
        let mut values = vec![unknown::<Action>(); Kind::AccessEvent.sealed_fields().len()];
        values[0] = Stated::Value(Action { kind: Some(ActionKind::Read), ..Action::default() }).to_bytes();
        values[1] =
            Stated::Value(Outcome { kind: Some(OutcomeKind::Served), ..Outcome::default() }).to_bytes();
        values[2] = Stated::Value(When { recorded: Moment::new("2026-03-12T10:14:00Z"), ..When::default() })
            .to_bytes();
        values[3] = Stated::Value(Purposes::new(vec![Purpose::default()]).unwrap()).to_bytes();
        let seal = self.seal(Kind::AccessEvent, &item_id, &values);
        let fields = Event {
            event: Random16([self.drawn; 16]),
            custodian: hospital(),
            local_id: Some(own()),
            acting: hospital(),
            basis: Basis::Consent,
            cited: Some(cited),
            at_height: self.store.head().unwrap().height,
            late: Late::None,
            retention: Retention::Standard,
            stream: 0,
            sequence: 0,
            seal,
        };
        Item { item_id, fields: Fields::AccessEvent(fields) }
    }

    /// Records one item of the hospital's in a block of its own.
    pub fn record(&mut self, item: &Item) -> ItemHash {
        self.record_by(&hospital(), item)
    }

    /// Records one item in a block of its own.
    pub fn record_by(&mut self, author: &ParticipantId, item: &Item) -> ItemHash {
        let head = self.store.head().unwrap();
        let time = head.time.plus(60_000);
        let chain = self.id();
        let draft = Draft {
            chain: &chain,
            author: Author::Participant(author.clone()),
            class: item.kind().class(),
            nonce: Random16([self.draw(); 16]),
            not_after: time.plus(60_000),
        };
        let signer = &self.signers[author];
        let submission = Submission::sign(&draft, vec![item.to_bytes()], signer).unwrap();
        let verified = submission.clone().verify(&signer.public_key()).unwrap();
        let proposal = Proposal { height: head.height.next(), round: Round(0), time, proposer: hospital() };
        let built = apply::build(&self.store, &proposal, [verified], &Limits::default()).unwrap();
        assert!(built.refused.is_empty(), "{:?}", built.refused);
        self.store.commit(&built.changes).unwrap();
        self.certificate = Some(self.certify(&built.block.header));
        self.header = Some(built.block.header);
        self.submissions.push(submission);
        item_hash(&item.to_bytes())
    }

    fn certify(&self, header: &Header) -> Certificate {
        let set = self.genesis.validator_set().unwrap();
        let block_id = header.block_id();
        let mut signatures: Vec<CommitSignature> = self
            .validators
            .iter()
            .map(|key| {
                let (position, _) = set.by_key(&key.public_key()).unwrap();
                let preimage = vote_preimage(
                    &header.chain,
                    header.height,
                    Round(0),
                    VoteType::Precommit,
                    Some(block_id),
                    &key.public_key(),
                );
                CommitSignature {
                    signer: u16::try_from(position).unwrap(),
                    signature: Signer::sign(key, &preimage).unwrap(),
                }
            })
            .collect();
        signatures.sort_by_key(|s| s.signer);
        Certificate {
            height: header.height,
            round: Round(0),
            block_id,
            signatures: List::new(signatures).unwrap(),
        }
    }

    fn key(&self, author: &Author) -> ProvenKey {
        let Author::Participant(author) = author else { panic!("participants sign here") };
        let key = registry::key_key(&key_id(&self.signers[author].public_key()));
        let entry = KeyEntry::from_bytes(&self.store.entry(&key).unwrap().unwrap()).unwrap();
        ProvenKey { entry, proof: prove_entry(&self.store, &key).unwrap() }
    }

    /// The receipt of an item under the last header.
    pub fn receipt(&self, item: &ItemHash) -> Receipt {
        let records = self.store.records();
        let index =
            records.iter().position(|r| r.item.as_ref().is_some_and(|(hash, _)| hash == item)).unwrap();
        let leaves: Vec<Digest> = records.iter().map(|r| r.leaf).collect();
        let bytes = records[index].item.as_ref().unwrap().1.clone();
        let submission = self.submissions.iter().find(|s| s.item_hashes().contains(item)).unwrap();
        Receipt {
            item: Bytes::new(bytes).unwrap(),
            envelope: Bytes::new(submission.envelope().bytes().to_vec()).unwrap(),
            item_path: List::default(),
            record: Bytes::new(records[index].bytes.clone()).unwrap(),
            record_path: List::new(merkle::path_of(&leaves, index as u64).unwrap()).unwrap(),
            header: self.header.clone().unwrap(),
            certificate: self.certificate.clone().unwrap(),
            author_key: self.key(&submission.envelope().payload().author),
            witnessed: None,
        }
    }

    /// The whole of a trail under the last header, or its absence.
    pub fn trail(&self, name: &TrailName) -> TrailProof {
        let key = registry::trail_key(&name.key());
        let head = self.store.entry(&key).unwrap().map(|bytes| TrailHead::from_bytes(&bytes).unwrap());
        let mut envelopes = Vec::new();
        let mut entries = Vec::new();
        let mut keys: Vec<ProvenKey> = Vec::new();
        for listing in self.store.trail(&name.key()) {
            let record = &self.store.records()[usize::try_from(listing.index.0).unwrap()];
            let (hash, item) = record.item.clone().unwrap();
            let submission = self.submissions.iter().find(|s| s.item_hashes().contains(&hash)).unwrap();
            let key = self.key(&submission.envelope().payload().author);
            if !keys.contains(&key) {
                keys.push(key);
            }
            envelopes.push(Bytes::new(submission.envelope().bytes().to_vec()).unwrap());
            entries.push(Entry::Full {
                record: Bytes::new(record.bytes.clone()).unwrap(),
                item: Bytes::new(item).unwrap(),
                envelope: u32::try_from(envelopes.len() - 1).unwrap(),
                item_path: List::default(),
            });
        }
        TrailProof {
            name: name.clone(),
            header: self.header.clone().unwrap(),
            certificate: self.certificate.clone().unwrap(),
            head_proof: prove_entry(&self.store, &key).unwrap(),
            keys: List::new(keys).unwrap(),
            head,
            begin: 0,
            entries: List::new(entries).unwrap(),
            range_path: List::default(),
            envelopes: List::new(envelopes).unwrap(),
            witnessed: None,
        }
    }

    /// All openings of everything recorded.
    pub fn all_openings(&self) -> Openings {
        Openings { openings: List::new(self.openings.clone()).unwrap() }
    }
}

/// What tests of decisions record: rules that say something, and accesses that state what they rest on.
impl Chain {
    /// A rule with a body of its own.
    pub fn rule(&mut self, rule: Random16, inner: InnerKind, body: &RuleBody) -> Item {
        let item_id = ItemId([self.draw(); 16]);
        let evidence = custos_proof::sealed_values::Evidence::default();
        let values = [inner.to_bytes(), body.to_bytes(), evidence.to_bytes()];
        let seal = self.seal(Kind::RulePut, &item_id, &values);
        let fields = Put {
            custodian: hospital(),
            local_id: own(),
            rule,
            prior: Random16([self.drawn; 16]),
            expiry: FAR,
            ends: Set::default(),
            collected: Collected::Paper,
            seal,
        };
        Item { item_id, fields: Fields::RulePut(fields) }
    }

    /// Opens the subject's trail for the data user, and lists it in the own trail.
    pub fn open_for_university(&mut self) {
        let listed = ListedTrail { grantee: Some(university()), epoch: 2026, local_id: for_university() };
        let lists = self.rule(Random16([0xee; 16]), InnerKind::ListsTrail, &RuleBody::ListsTrail(listed));
        self.record(&lists);
        let item_id = ItemId([self.draw(); 16]);
        let back = Some(OwnTrail { epoch: 2026, local_id: own() });
        let seal = self.seal(Kind::TrailOpen, &item_id, &[back.to_bytes()]);
        let open = Open {
            local_id: for_university(),
            grantee: Some(university()),
            epoch: 2026,
            reader: Digest([10; 32]),
            seal,
        };
        self.record(&Item { item_id, fields: Fields::TrailOpen(open) });
    }

    /// Ends a rule.
    pub fn end(&mut self, rule: Random16, ends: Random16, inner: InnerKind) -> ItemHash {
        let item = self.put(rule, &[ends], inner);
        self.record(&item)
    }

    /// An item without sealed fields, recorded.
    pub fn act(&mut self, author: &ParticipantId, fields: Fields) -> ItemHash {
        let item = Item { item_id: ItemId([self.draw(); 16]), fields };
        self.record_by(author, &item)
    }

    /// An emergency that the hospital declares for itself; its id.
    pub fn emergency(&mut self) -> (Random16, ItemHash) {
        let item_id = ItemId([self.draw(); 16]);
        let unknown = Stated::<Action>::Unknown(Reason::NotStated).to_bytes();
        let values = vec![unknown; Kind::EmergencyDeclare.sealed_fields().len()];
        let seal = self.seal(Kind::EmergencyDeclare, &item_id, &values);
        let declaration = Random16([self.drawn; 16]);
        let declare = Declare { declaration, custodian: hospital(), acting: hospital(), seal };
        (declaration, self.record(&Item { item_id, fields: Fields::EmergencyDeclare(declare) }))
    }

    /// An access as [`Chain::access`] makes it, with other clear fields.
    pub fn access_on(&mut self, stated: &[(usize, Vec<u8>)], change: impl FnOnce(&mut Event)) -> ItemHash {
        let mut item = self.access(stated);
        if let Fields::AccessEvent(event) = &mut item.fields {
            change(event);
        }
        self.record(&item)
    }

    /// The height of the head.
    pub fn height(&self) -> u64 {
        self.store.head().unwrap().height.0
    }

    /// An access by the hospital's own staff, with these sealed fields (by number, from 1); the others are unknown.
    pub fn access(&mut self, stated: &[(usize, Vec<u8>)]) -> Item {
        let item_id = ItemId([self.draw(); 16]);
        let unknown = Stated::<Action>::Unknown(Reason::NotStated).to_bytes();
        let mut values = vec![unknown; Kind::AccessEvent.sealed_fields().len()];
        stated.iter().for_each(|(number, value)| values[number - 1].clone_from(value));
        let seal = self.seal(Kind::AccessEvent, &item_id, &values);
        let fields = Event {
            event: Random16([self.drawn; 16]),
            custodian: hospital(),
            local_id: Some(own()),
            acting: hospital(),
            basis: Basis::Law,
            cited: None,
            at_height: self.store.head().unwrap().height,
            late: Late::None,
            retention: Retention::Standard,
            stream: 0,
            sequence: 0,
            seal,
        };
        Item { item_id, fields: Fields::AccessEvent(fields) }
    }
}

/// Runs the binary under test, in English whatever the machine speaks.
pub fn custos(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_custos"))
        .args(arguments)
        .env("LC_ALL", "C")
        .env_remove("CUSTOS_MESSAGES")
        .output()
        .unwrap()
}

/// Its exit code, standard output and standard error.
pub fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = custos(arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Writes a file into a folder.
pub fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}
