//! A small chain, built by the rules themselves from fixed seeds: no clock, no randomness.
//!
//! Four validators, a ministry that proposes, a practice that joins and leaves. Every state since
//! the genesis is kept, so that proofs can be made under any header.

use std::collections::BTreeMap;

use custos_proof::cbor::{Ascii, Bytes, List, Set, Text, Wire};
use custos_proof::certificate::{
    Certificate, CommitSignature, Validator, ValidatorSet, VoteType, vote_preimage,
};
use custos_proof::genesis::{Genesis, GenesisKey, GenesisValidator, NO_CHAIN};
use custos_proof::hash::{ChainId, Digest, ItemHash, sha256};
use custos_proof::header::{Block, Header};
use custos_proof::ids::{FAR, Height, ItemId, ParticipantId, Random16, Round, TimeMs};
use custos_proof::item::{Item, item_hash};
use custos_proof::keys::{KeyPurpose, PublicKey, SignError, Signature, Signer, key_id};
use custos_proof::kinds::access::{Basis, Event, Late, Retention};
use custos_proof::kinds::key::{Add, Revoke, Rotate, possession_preimage};
use custos_proof::kinds::participant::{DisplayName, Reason, Register, Suspend, Update};
use custos_proof::kinds::proposal::{Choice, Open as ProposalOpen, Vote as ProposalVote, VotedAct};
use custos_proof::kinds::rule::{Collected, Put};
use custos_proof::kinds::trail::{Close, Open};
use custos_proof::kinds::{Class, Fields, Kind};
use custos_proof::merkle;
use custos_proof::receipt::{ProvenKey, Receipt};
use custos_proof::record::{Entry as RecordEntry, Path, Record};
use custos_proof::registry::{self, KeyEntry, Policy, Role, Roles, TrailHead};
use custos_proof::seal::{Opening, Place, Seal};
use custos_proof::state_map;
use custos_proof::subject::{epoch_secret, local_id, reader};
use custos_proof::submission::{Author, Draft, Envelope, Submission, Verified};
use custos_proof::trail::TrailName;
use custos_proof::trail_proof::{Entry, TrailProof};
use custos_state::apply::{self, Limits, Proposal};
use custos_state::error::Refusal;
use custos_state::memory::MemoryStore;
use custos_state::overlay::prove_entry;
use custos_state::view::View as _;
use ed25519_dalek::Signer as _;

/// 2026-01-15T00:00:00Z.
pub const BEGIN: TimeMs = TimeMs(1_768_435_200_000);
/// The secret that the hospital and its patient share: 00 01 .. 1f.
pub const PATIENT: [u8; 32] = {
    let mut k = [0; 32];
    let mut i = 0;
    while i < 32 {
        k[i] = i as u8;
        i += 1;
    }
    k
};
/// The calendar year of everything here.
pub const EPOCH: u16 = 2026;

/// A secret key made from a name.
pub struct Key(pub ed25519_dalek::SigningKey);

impl Key {
    /// The key whose seed is SHA-256 of `custos vectors: ` and the name.
    pub fn named(name: &str) -> Self {
        Self::from_seed(seed(name))
    }

    /// The key with this seed.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(&seed))
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

/// 32 bytes made from a name.
pub fn seed(name: &str) -> [u8; 32] {
    sha256(format!("custos vectors: {name}").as_bytes()).0
}

/// 16 bytes made from a name.
pub fn id16(name: &str) -> [u8; 16] {
    let mut id = [0; 16];
    id.copy_from_slice(&seed(name)[..16]);
    id
}

/// A participant's id.
pub fn who(id: &str) -> ParticipantId {
    id.parse().expect("because the names here are ids")
}

/// What was sealed into an item.
#[derive(Clone)]
pub struct Sealed {
    /// The item's kind.
    pub kind: Kind,
    /// The item's id.
    pub item_id: ItemId,
    /// Where the salts come from.
    pub seed: [u8; 32],
    /// The values, in order.
    pub values: Vec<Vec<u8>>,
    /// The seal.
    pub seal: Seal,
}

/// A block with what it came from.
pub struct Decided {
    /// The block.
    pub block: Block,
    /// Its certificate.
    pub certificate: Certificate,
    /// The submissions of the body.
    pub submissions: Vec<Submission>,
}

/// The chain and its past.
pub struct World {
    /// Where it began.
    pub genesis: Genesis,
    /// Its name.
    pub chain: ChainId,
    /// Who votes.
    pub validators: ValidatorSet,
    /// The blocks from height 1 on.
    pub blocks: Vec<Decided>,
    /// The state at every height from 0 on.
    pub states: Vec<MemoryStore>,
    /// Envelopes by submission.
    pub envelopes: BTreeMap<custos_proof::hash::SubmissionId, Submission>,
    /// What is sealed, by name of the item.
    pub sealed: BTreeMap<&'static str, Sealed>,
    /// Items by name.
    pub items: BTreeMap<&'static str, Vec<u8>>,
    /// Submissions that no block takes, each with the height of the state that refused it.
    pub refused: Vec<(&'static str, Height, Submission, Refusal)>,
}

const CONSENSUS: [(&str, u64); 4] =
    [("clinic-c", 2), ("hospital-a", 3), ("hospital-b", 3), ("university-d", 2)];
const SIGNERS: [&str; 5] = ["clinic-c", "hospital-a", "hospital-b", "ministry", "university-d"];

/// The key of a participant for signing.
pub fn sign_key(id: &str) -> Key {
    Key::named(&format!("{id} sign"))
}

/// The key of a validator for voting.
pub fn vote_key(id: &str) -> Key {
    Key::named(&format!("{id} consensus"))
}

fn registration(id: &str, roles: &[Role], name: Option<&str>, sealed_name: Option<Seal>) -> Register {
    let display = name.map(|name| DisplayName {
        language: Ascii::new("en").expect("because it is short"),
        name: Text::new(name).expect("because it is short"),
    });
    Register {
        id: who(id),
        roles: Roles::new(roles),
        jurisdiction: Ascii::new("EU").expect("because it is short"),
        name: name.map(|name| Text::new(name).expect("because it is short")),
        sealed_name,
        endpoint: Ascii::new("").expect("because it is short"),
        display_names: List::new(display.into_iter().collect()).expect("because it is short"),
    }
}

fn genesis() -> Genesis {
    use Role::{AccessBody, Custodian, Recipient, Registrar, Validator};
    let participants = vec![
        registration("clinic-c", &[Custodian, Recipient, Validator], Some("Clinic C"), None),
        registration("hospital-a", &[Custodian, Recipient, Validator], Some("Hospital A"), None),
        registration("hospital-b", &[Custodian, Recipient, Validator], Some("Hospital B"), None),
        registration("ministry", &[Registrar, AccessBody], Some("Ministry of Health"), None),
        registration("university-d", &[Role::DataUser, Validator], Some("Universit\u{e9} D"), None),
    ];
    let key = |id: &str, purpose, key: Key| {
        let preimage = possession_preimage(&NO_CHAIN, &who(id), purpose, &key.public_key());
        let possession = key.sign(&preimage).expect("because the key is here");
        GenesisKey { owner: who(id), key: key.public_key(), purpose, possession }
    };
    let signing = SIGNERS.iter().map(|id| key(id, KeyPurpose::Sign, sign_key(id)));
    let voting = CONSENSUS.iter().map(|(id, _)| key(id, KeyPurpose::Consensus, vote_key(id)));
    Genesis {
        name: Ascii::new("custos test vectors").expect("because it is short"),
        time: BEGIN,
        protocol: 1,
        registrar: who("ministry"),
        participants: List::new(participants).expect("because they are few"),
        keys: List::new(signing.chain(voting).collect()).expect("because they are few"),
        validators: List::new(
            CONSENSUS
                .iter()
                .map(|(id, power)| GenesisValidator { participant: who(id), power: *power })
                .collect(),
        )
        .expect("because they are few"),
        policy: Policy::initial(),
    }
}

/// A certificate by these positions of a set, with the keys of [`vote_key`].
pub fn certify(header: &Header, set: &ValidatorSet, round: u32, signers: &[u16]) -> Certificate {
    let block_id = header.block_id();
    let signatures = signers
        .iter()
        .map(|signer| {
            let validator: &Validator = &set.as_slice()[usize::from(*signer)];
            let preimage = vote_preimage(
                &header.chain,
                header.height,
                Round(round),
                VoteType::Precommit,
                Some(block_id),
                &validator.key,
            );
            let key = vote_key(validator.participant.as_str());
            CommitSignature {
                signer: *signer,
                signature: key.sign(&preimage).expect("because the key is here"),
            }
        })
        .collect();
    Certificate {
        height: header.height,
        round: Round(round),
        block_id,
        signatures: List::new(signatures).expect("because they are few"),
    }
}

impl World {
    fn begin() -> Self {
        let genesis = genesis();
        let start = apply::start(&genesis).expect("because this genesis holds together");
        Self {
            chain: genesis.chain(),
            validators: genesis.validator_set().expect("because this genesis holds together"),
            states: vec![MemoryStore::new(&start)],
            genesis,
            blocks: Vec::new(),
            envelopes: BTreeMap::new(),
            sealed: BTreeMap::new(),
            items: BTreeMap::new(),
            refused: Vec::new(),
        }
    }

    /// The state at the head.
    pub fn head(&self) -> &MemoryStore {
        self.states.last().expect("because the genesis is there")
    }

    /// The time of the next block: a minute after the last one.
    fn next_time(&self) -> TimeMs {
        BEGIN.plus(60_000 * self.states.len() as u64)
    }

    /// A submission that expires ten minutes after the next block.
    pub fn submission(&self, nonce: &str, author: &str, class: Class, items: Vec<Vec<u8>>) -> Submission {
        let key = sign_key(author);
        self.submission_by(nonce, author, class, items, &key)
    }

    fn submission_by(
        &self,
        nonce: &str,
        author: &str,
        class: Class,
        items: Vec<Vec<u8>>,
        key: &Key,
    ) -> Submission {
        self.submission_of(nonce, Author::Participant(who(author)), class, items, key)
    }

    /// The same by any author.
    pub fn submission_of(
        &self,
        nonce: &str,
        author: Author,
        class: Class,
        items: Vec<Vec<u8>>,
        key: &Key,
    ) -> Submission {
        let draft = Draft {
            chain: &self.chain,
            author,
            class,
            nonce: Random16(id16(nonce)),
            not_after: self.next_time().plus(600_000),
        };
        Submission::sign(&draft, items, key).expect("because the items are few and the key is here")
    }

    /// Seals values into an item to be.
    pub fn seal(&mut self, name: &'static str, kind: Kind, values: Vec<Vec<u8>>) -> (ItemId, Seal) {
        let (item_id, seed) = (ItemId(id16(name)), seed(&format!("{name} seal")));
        let seal = Place { chain: &self.chain, kind, item_id: &item_id }
            .seal(&seed, &values)
            .expect("because the values are as many as the kind's sealed fields");
        self.sealed.insert(name, Sealed { kind, item_id, seed, values, seal });
        (item_id, seal)
    }

    /// The opening of a sealed field.
    pub fn opening(&self, name: &str, field: u8) -> Opening {
        let sealed = &self.sealed[name];
        Place { chain: &self.chain, kind: sealed.kind, item_id: &sealed.item_id }
            .open(&sealed.seed, &sealed.values, field)
            .expect("because the field exists")
    }

    /// Keeps an item under a name.
    pub fn item(&mut self, name: &'static str, fields: Fields) -> Vec<u8> {
        let bytes = Item { item_id: ItemId(id16(name)), fields }.to_bytes();
        self.items.insert(name, bytes.clone());
        bytes
    }

    /// Decides a block of these submissions; they are all admitted, or the vectors are wrong.
    pub fn decide(&mut self, submissions: Vec<Submission>) {
        let height = self.head().head().expect("because it is in memory").height.next();
        let round = u32::from(height.0 == 4);
        let proposer = CONSENSUS[(height.0 % 4) as usize].0;
        let proposal =
            Proposal { height, round: Round(round), time: self.next_time(), proposer: who(proposer) };
        let verified: Vec<Verified> = submissions.iter().map(|s| self.verify(s)).collect();
        let built = apply::build(self.head(), &proposal, verified.clone(), &Limits::default())
            .expect("because it follows");
        assert!(built.refused.is_empty(), "{:?}", built.refused);
        let changes = apply::check(self.head(), &built.block, &verified)
            .expect("because it was built by the same rules");
        assert_eq!(changes, built.changes);
        let mut state = self.head().clone();
        state.commit(&changes).expect("because it follows");
        // Decided one round later than it was built once, to show that the rounds may differ.
        let certificate = certify(&built.block.header, &self.validators, round + round, &[0, 1, 2]);
        self.envelopes.extend(submissions.iter().map(|s| (s.id(), s.clone())));
        self.states.push(state);
        self.blocks.push(Decided { block: built.block, certificate, submissions });
    }

    /// The submission with its signature checked.
    fn verify(&self, submission: &Submission) -> Verified {
        let id = submission.envelope().key_id();
        let bytes = self.head().entry(&registry::key_key(&id)).expect("because it is in memory");
        let entry = KeyEntry::from_bytes(&bytes.expect("because the key is registered"))
            .expect("because the state holds entries");
        submission.clone().verify(&entry.key).expect("because it was signed with this key")
    }

    /// Shows that a submission is refused by the state at the head.
    fn refuse(&mut self, name: &'static str, submission: Submission) {
        let head = self.head().head().expect("because it is in memory");
        let refusal = match custos_state::admission::admit(self.head(), self.next_time(), &submission) {
            Err(refused) => refused,
            Ok(key) => {
                let verified = submission.clone().verify(&key).expect("because it was signed with this key");
                apply::preview(self.head(), self.next_time(), &verified).expect_err(name)
            }
        };
        let custos_state::error::AdmitError::Refused(refusal) = refusal else { panic!("{name}: {refusal}") };
        self.refused.push((name, head.height, submission, refusal));
    }

    /// The proof that a key has its entry under the header at `height`.
    pub fn proven_key(&self, key: &PublicKey, height: u64) -> ProvenKey {
        let state = &self.states[height as usize];
        let at = registry::key_key(&key_id(key));
        let entry =
            state.entry(&at).expect("because it is in memory").expect("because the key is registered");
        ProvenKey {
            entry: KeyEntry::from_bytes(&entry).expect("because the state holds entries"),
            proof: prove_entry(state, &at).expect("because it is in memory"),
        }
    }

    /// The header at a height.
    pub fn header(&self, height: u64) -> &Header {
        &self.blocks[height as usize - 1].block.header
    }

    /// The certificate at a height.
    pub fn certificate(&self, height: u64) -> &Certificate {
        &self.blocks[height as usize - 1].certificate
    }

    /// The leaf hashes of the log at a height.
    pub fn leaves(&self, height: u64) -> Vec<Digest> {
        self.states[height as usize].records().iter().map(|r| r.leaf).collect()
    }

    /// Whether a named item is recorded by a height.
    pub fn holds(&self, name: &str, height: u64) -> bool {
        let hash = item_hash(&self.items[name]);
        let records = self.states[height as usize].records();
        records.iter().any(|r| r.item.as_ref().is_some_and(|i| i.0 == hash))
    }

    /// The record of a named item at a height.
    pub fn record_of(&self, name: &str, height: u64) -> (Vec<u8>, Record) {
        let hash = item_hash(&self.items[name]);
        let found = self.states[height as usize]
            .records()
            .iter()
            .find(|r| r.item.as_ref().is_some_and(|i| i.0 == hash));
        let bytes = found.expect("because the item is recorded by then").bytes.clone();
        let record = Record::from_bytes(&bytes).expect("because the log holds records");
        (bytes, record)
    }

    /// The path of an item in its submission, with the submission.
    fn item_path(&self, record: &Record) -> (Path, &Submission) {
        let entry = record.as_item().expect("because it is of an item");
        let submission = &self.envelopes[&entry.submission];
        let hashes: Vec<Digest> = submission.item_hashes().iter().map(|hash| (*hash).into()).collect();
        let path = merkle::path_of(&hashes, entry.position.into()).expect("because it is one of them");
        (List::new(path).expect("because trees are not that high"), submission)
    }

    /// The receipt of a named item under the header at a height.
    pub fn receipt(&self, name: &str, height: u64) -> Receipt {
        let (bytes, record) = self.record_of(name, height);
        let (item_path, submission) = self.item_path(&record);
        let leaves = self.leaves(height);
        let path = merkle::path_of(&leaves, record.index.0).expect("because the log is that long");
        Receipt {
            item: Bytes::new(self.items[name].clone()).expect("because items are short"),
            envelope: Bytes::new(submission.envelope().bytes().to_vec())
                .expect("because envelopes are short"),
            item_path,
            record: Bytes::new(bytes).expect("because records are short"),
            record_path: List::new(path).expect("because trees are not that high"),
            header: self.header(height).clone(),
            certificate: self.certificate(height).clone(),
            author_key: self.proven_key(&self.key_of(submission.envelope()), height),
            witnessed: None,
        }
    }

    fn key_of(&self, envelope: &Envelope) -> PublicKey {
        let others = [Key::named("hospital-b sign, second"), sign_key("practice-e")];
        let keys = SIGNERS.iter().map(|id| sign_key(id)).chain(others);
        let (own, _) = trails(&self.chain);
        let keys = keys.chain([super::lives::subject_key(&own.key())]);
        keys.map(|key| key.public_key())
            .find(|key| key_id(key) == envelope.key_id())
            .expect("because only these sign")
    }

    /// The proof of the entries `begin..end` of a trail under the header at a height; all of them with `None`.
    pub fn trail(&self, name: &TrailName, height: u64, range: Option<(u64, u64)>) -> TrailProof {
        let state = &self.states[height as usize];
        let key = name.key();
        let listings = state.trail(&key);
        let leaves: Vec<Digest> = listings.iter().map(|listing| listing.leaf).collect();
        let (begin, end) = range.unwrap_or((0, leaves.len() as u64));
        let size = leaves.len() as u64;
        let head = (size > 0).then(|| TrailHead { size, root: merkle::root_of(&leaves) });
        let range_path =
            merkle::prove_range(&leaves[..], begin, end, size).expect("because the range is within");
        let (mut envelopes, mut keys, mut entries) =
            (Vec::<Vec<u8>>::new(), Vec::<PublicKey>::new(), Vec::new());
        for listing in &listings[begin as usize..end as usize] {
            let new = &state.records()[listing.index.0 as usize];
            let record = Record::from_bytes(&new.bytes).expect("because the log holds records");
            let (item_path, submission) = self.item_path(&record);
            let envelope = submission.envelope();
            let at = envelopes.iter().position(|e| e == envelope.bytes()).unwrap_or_else(|| {
                envelopes.push(envelope.bytes().to_vec());
                envelopes.len() - 1
            });
            let key = self.key_of(envelope);
            if !keys.contains(&key) {
                keys.push(key);
            }
            let item = new.item.as_ref().expect("because trails list records of items").1.clone();
            entries.push(Entry::Full {
                record: Bytes::new(new.bytes.clone()).expect("because records are short"),
                item: Bytes::new(item).expect("because items are short"),
                envelope: at as u32,
                item_path,
            });
        }
        TrailProof {
            name: name.clone(),
            header: self.header(height).clone(),
            certificate: self.certificate(height).clone(),
            head,
            head_proof: prove_entry(state, &registry::trail_key(&key)).expect("because it is in memory"),
            begin,
            entries: List::new(entries).expect("because they are few"),
            range_path: List::new(range_path).expect("because trees are not that high"),
            envelopes: List::new(
                envelopes.into_iter().map(|e| Bytes::new(e).expect("because envelopes are short")).collect(),
            )
            .expect("because they are few"),
            keys: List::new(keys.iter().map(|key| self.proven_key(key, height)).collect())
                .expect("because they are few"),
            witnessed: None,
        }
    }

    /// The proof of an entry of the state map, or of its absence, at a height.
    pub fn state_proof(&self, key: &custos_proof::hash::StateKey, height: u64) -> state_map::Proof {
        prove_entry(&self.states[height as usize], key).expect("because it is in memory")
    }
}

/// The hospital's trails of the patient: the own one, and that of accesses by hospital B.
pub fn trails(chain: &ChainId) -> (TrailName, TrailName) {
    let secret = epoch_secret(&PATIENT, EPOCH);
    let (a, b) = (who("hospital-a"), who("hospital-b"));
    let own = TrailName::subject(&a, local_id(&secret, chain, &a, None));
    let granted = TrailName::subject(&a, local_id(&secret, chain, &a, Some(&b)));
    (own, granted)
}

/// The whole story.
pub fn build(sealed: &super::values::Values) -> World {
    let mut world = World::begin();
    registrations(&mut world);
    consent(&mut world, sealed);
    accesses(&mut world, sealed);
    revocation(&mut world, sealed);
    ends(&mut world, sealed);
    world.decide(Vec::new());
    super::lives::live(&mut world);
    world
}

/// Block 1: a practice, whose name is a person's, enters the registry and gets a key, by vote.
fn registrations(world: &mut World) {
    let (_, name) = world.seal(
        "practice registered",
        Kind::ParticipantRegister,
        vec![super::values::name("Dr. Erika Mustermann")],
    );
    let entry = registration("practice-e", &[Role::Custodian, Role::Recipient], None, Some(name));
    let register = act("practice registered", Fields::ParticipantRegister(entry));
    let key = sign_key("practice-e").public_key();
    let preimage = possession_preimage(&world.chain, &who("practice-e"), KeyPurpose::Sign, &key);
    let possession = sign_key("practice-e").sign(&preimage).expect("because the key is here");
    let add = Add { owner: who("practice-e"), key, purpose: KeyPurpose::Sign, possession };
    let wrong = Add { possession: Signature([0; 64]), ..add.clone() };
    let add = act("practice key added", Fields::KeyAdd(add));
    let alone = world.submission("alone", "hospital-a", Class::Act, vec![register.to_bytes()]);
    world.refuse("an act that takes a vote", alone);
    let for_another = world.submission("for another", "hospital-a", Class::Act, vec![add.to_bytes()]);
    world.refuse("an act by somebody who may not write it", for_another);
    let own = Add { owner: who("hospital-a"), ..wrong };
    let wrong = act("no possession", Fields::KeyAdd(own)).to_bytes();
    let no_possession = world.submission("no possession", "hospital-a", Class::Act, vec![wrong]);
    world.refuse("a key without proof of possession", no_possession);
    let submissions = agree(world, "admission", vec![register, add.clone()]);
    world.decide(submissions);
    let again = world.submission("again", "practice-e", Class::Act, vec![add.to_bytes()]);
    world.refuse("a key that is registered", again);
}

/// An act that stands in a proposal only.
fn act(name: &str, fields: Fields) -> Item {
    Item { item_id: ItemId(id16(name)), fields }
}

/// The ministry proposes, and three of four validators, with eight of ten parts of the power, agree.
fn agree(world: &mut World, name: &'static str, acts: Vec<Item>) -> Vec<Submission> {
    let proposal = Random16(id16(&format!("{name} proposal")));
    let acts = acts.into_iter().map(|act| VotedAct::new(act).expect("because it is no proposal")).collect();
    let deadline = world.next_time().plus(3_600_000);
    let open = ProposalOpen { proposal, acts: List::new(acts).expect("because they are few"), deadline };
    let names: [&'static str; 3] = match name {
        "admission" => {
            ["admission: clinic C agrees", "admission: hospital A agrees", "admission: hospital B agrees"]
        }
        _ => ["end: clinic C agrees", "end: hospital A agrees", "end: hospital B agrees"],
    };
    let open = world.item(name, Fields::ProposalOpen(open));
    let mut submissions = vec![world.submission(name, "ministry", Class::Act, vec![open])];
    for (name, author) in names.into_iter().zip(["clinic-c", "hospital-a", "hospital-b"]) {
        let vote = world.item(name, Fields::ProposalVote(ProposalVote { proposal, vote: Choice::Yes }));
        submissions.push(world.submission(name, author, Class::Act, vec![vote]));
    }
    submissions
}

/// Blocks 2 and 3: trails are opened, the patient consents, the own trail lists the grantee's.
fn consent(world: &mut World, sealed: &super::values::Values) {
    let secret = epoch_secret(&PATIENT, EPOCH);
    let (own, granted) = trails(&world.chain);
    let (own_id, granted_id) = (local(&own), local(&granted));
    let (_, seal) = world.seal("own trail opened", Kind::TrailOpen, vec![super::values::no_own_trail()]);
    let open_own = world.item(
        "own trail opened",
        Fields::TrailOpen(Open {
            local_id: own_id,
            grantee: None,
            epoch: EPOCH,
            reader: reader(&secret, &own_id),
            seal,
        }),
    );
    let (_, seal) =
        world.seal("granted trail opened", Kind::TrailOpen, vec![super::values::own_trail(EPOCH, own_id)]);
    let open_granted = world.item(
        "granted trail opened",
        Fields::TrailOpen(Open {
            local_id: granted_id,
            grantee: Some(who("hospital-b")),
            epoch: EPOCH,
            reader: reader(&secret, &granted_id),
            seal,
        }),
    );
    let wrong_year =
        Open { local_id: Digest([9; 32]), grantee: None, epoch: 2025, reader: Digest([8; 32]), seal };
    let wrong_year =
        Item { item_id: ItemId(id16("wrong year")), fields: Fields::TrailOpen(wrong_year) }.to_bytes();
    let submissions = [("open own", open_own), ("open granted", open_granted)]
        .map(|(nonce, item)| world.submission(nonce, "hospital-a", Class::Act, vec![item]));
    let wrong_year = world.submission("wrong year", "hospital-a", Class::Act, vec![wrong_year]);
    world.refuse("a trail of another year", wrong_year);
    world.decide(submissions.to_vec());

    let (_, seal) = world.seal("consent", Kind::RulePut, sealed.grant.clone());
    let put = Put {
        custodian: who("hospital-a"),
        local_id: granted_id,
        rule: Random16(id16("the rule")),
        prior: Random16(id16("no prior rule")),
        expiry: TimeMs(1_798_761_600_000), // 2027-01-01
        ends: Set::default(),
        collected: Collected::Paper,
        seal,
    };
    let odd = Put { expiry: TimeMs(1_798_761_600_001), ..put.clone() };
    let granted = world.item("consent", Fields::RulePut(put));
    let (_, seal) = world.seal(
        "granted trail listed",
        Kind::RulePut,
        super::values::lists_trail("hospital-b", EPOCH, granted_id),
    );
    let listed = world.item(
        "granted trail listed",
        Fields::RulePut(Put {
            custodian: who("hospital-a"),
            local_id: own_id,
            rule: Random16(id16("the listing")),
            prior: Random16(id16("no prior listing")),
            expiry: FAR,
            ends: Set::default(),
            collected: Collected::Custodian,
            seal,
        }),
    );
    let odd = Item { item_id: ItemId(id16("odd expiry")), fields: Fields::RulePut(odd) }.to_bytes();
    let odd = world.submission("odd expiry", "hospital-a", Class::Act, vec![odd]);
    world.refuse("an expiry within a quarter", odd);
    let submissions = [("consent", granted), ("listing", listed)]
        .map(|(nonce, item)| world.submission(nonce, "hospital-a", Class::Act, vec![item]));
    world.decide(submissions.to_vec());
}

/// Block 4: hospital B states three accesses under one signature, hospital A one by its staff.
fn accesses(world: &mut World, sealed: &super::values::Values) {
    let (own, granted) = trails(&world.chain);
    let first = access(world, "read with consent", sealed, local(&granted), "hospital-b", |_| {});
    let second = access(world, "read by law", sealed, local(&granted), "hospital-b", |event| {
        event.basis = Basis::Law;
        event.cited = None;
        event.sequence = 2;
    });
    let third = access(world, "read with an unknown rule", sealed, local(&granted), "hospital-b", |event| {
        event.cited = Some(Random16(id16("no such rule")));
        event.sequence = 4;
    });
    let staff = access(world, "read by staff", sealed, local(&own), "hospital-a", |event| {
        event.basis = Basis::Unknown;
        event.cited = None;
        event.stream = 0;
        event.sequence = 0;
    });
    let imported = access(world, "imported read", sealed, local(&own), "hospital-a", |event| {
        event.basis = Basis::Unknown;
        event.cited = None;
        event.at_height = Height(0);
        event.late = Late::ImportedHistory;
        event.retention = Retention::Long;
        event.stream = 0;
        event.sequence = 0;
    });
    let by_b =
        world.submission("accesses", "hospital-b", Class::Testimony, vec![first.clone(), second, third]);
    let by_a = world.submission("staff accesses", "hospital-a", Class::Testimony, vec![staff, imported]);
    let replayed = by_b.clone();
    let mixed = world.submission("mixed", "hospital-b", Class::Act, vec![first]);
    world.refuse("testimony signed as an act", mixed);
    world.decide(vec![by_b, by_a]);
    world.refuse("a nonce used again", replayed);
}

/// Blocks 5 and 6: the patient revokes; an access is stated on the ended rule, and one is sent again.
fn revocation(world: &mut World, sealed: &super::values::Values) {
    let (_, granted) = trails(&world.chain);
    let (_, seal) = world.seal("revocation", Kind::RulePut, super::values::revocation());
    let revocation = world.item(
        "revocation",
        Fields::RulePut(Put {
            custodian: who("hospital-a"),
            local_id: local(&granted),
            rule: Random16(id16("the revocation")),
            prior: Random16(id16("the rule")),
            expiry: FAR,
            ends: Set::new(vec![Random16(id16("the rule"))]).expect("because it is one"),
            collected: Collected::InPerson,
            seal,
        }),
    );
    let submission = world.submission("revocation", "hospital-a", Class::Act, vec![revocation]);
    world.decide(vec![submission]);

    let after = access(world, "read after the revocation", sealed, local(&granted), "hospital-b", |event| {
        event.at_height = Height(5);
        event.sequence = 5;
    });
    let before =
        access(world, "read before the revocation", sealed, local(&granted), "hospital-b", |event| {
            event.at_height = Height(4);
            event.sequence = 6;
        });
    let again = world.items["read with consent"].clone();
    let submission = world.submission(
        "accesses and one again",
        "hospital-b",
        Class::Testimony,
        vec![after, again, before],
    );
    world.decide(vec![submission]);
}

/// Block 7: a key is rotated, another revoked, the practice is renamed and suspended, a trail closed.
fn ends(world: &mut World, sealed: &super::values::Values) {
    let (_, granted) = trails(&world.chain);
    let key = Key::named("hospital-b sign, second");
    let preimage = possession_preimage(&world.chain, &who("hospital-b"), KeyPurpose::Sign, &key.public_key());
    let rotate = world.item(
        "key rotated",
        Fields::KeyRotate(Rotate {
            old: key_id(&sign_key("hospital-b").public_key()),
            key: key.public_key(),
            overlap_ms: 86_400_000,
            possession: key.sign(&preimage).expect("because the key is here"),
        }),
    );
    let (_, name) = world.seal(
        "practice renamed",
        Kind::ParticipantUpdate,
        vec![super::values::name("Dr. Erika Musterfrau")],
    );
    let before = registration("practice-e", &[Role::Recipient], None, Some(name));
    let update = act(
        "practice renamed",
        Fields::ParticipantUpdate(Update {
            id: before.id,
            roles: before.roles,
            jurisdiction: before.jurisdiction,
            name: None,
            sealed_name: before.sealed_name,
            endpoint: Ascii::new("https://practice-e.example").expect("because it is short"),
            display_names: List::default(),
        }),
    );
    let revoke = world.item(
        "practice key revoked",
        Fields::KeyRevoke(Revoke {
            key: key_id(&sign_key("practice-e").public_key()),
            reason: Reason::Compromised,
            compromised_from: Some(BEGIN.plus(100_000)),
        }),
    );
    let suspend = act(
        "practice suspended",
        Fields::ParticipantSuspend(Suspend { id: who("practice-e"), reason: Reason::Ceased }),
    );
    let close = world.item("granted trail closed", Fields::TrailClose(Close { local_id: local(&granted) }));
    let rotation = world.submission("rotation", "hospital-b", Class::Act, vec![rotate]);
    let revocation = world.submission("practice key ends", "practice-e", Class::Act, vec![revoke]);
    let close = world.submission("close", "hospital-a", Class::Act, vec![close]);
    let agreed = agree(world, "end of the practice", vec![update, suspend]);
    world.decide([rotation, revocation, close].into_iter().chain(agreed).collect());
    let late = access(world, "read on a closed trail", sealed, local(&granted), "hospital-b", |event| {
        event.at_height = Height(7);
        event.sequence = 7;
    });
    let late = world.submission_by("closed", "hospital-b", Class::Testimony, vec![late], &key);
    let acts = world.items["own trail opened"].clone();
    let suspended = world.submission("suspended", "practice-e", Class::Act, vec![acts]);
    world.refuse("an act by a suspended participant", suspended);
    world.decide(vec![late]);
}

fn local(name: &TrailName) -> Digest {
    name.local_id.expect("because it is a subject's trail")
}

/// An access event by its acting organisation, on consent, in the hospital's trail with this local id.
fn access(
    world: &mut World,
    name: &'static str,
    sealed: &super::values::Values,
    local_id: Digest,
    acting: &str,
    change: impl FnOnce(&mut Event),
) -> Vec<u8> {
    let (_, seal) = world.seal(name, Kind::AccessEvent, sealed.access.clone());
    let mut event = Event {
        event: Random16(id16(&format!("{name} event"))),
        custodian: who("hospital-a"),
        local_id: Some(local_id),
        acting: who(acting),
        basis: Basis::Consent,
        cited: Some(Random16(id16("the rule"))),
        at_height: Height(3),
        late: Late::None,
        retention: Retention::Standard,
        stream: 1,
        sequence: 1,
        seal,
    };
    change(&mut event);
    world.item(name, Fields::AccessEvent(event))
}

/// The hash of a named item.
pub fn hash_of(world: &World, name: &str) -> ItemHash {
    item_hash(&world.items[name])
}

/// Whether a record is the first of a block.
pub fn is_block(record: &Record) -> bool {
    matches!(record.entry, RecordEntry::Block { .. })
}
