//! A generated network and a chain that is driven block by block, with one oracle asked after every block.
//!
//! A block is built on one store, checked by a follower on a second, certified with real
//! signatures, committed to both, and then [`oracle::ask`] recomputes everything that the header
//! says from what is in the log, by other code. Nothing is random: keys, ids and nonces follow from names
//! and counters.

#![allow(dead_code, clippy::unwrap_used)] // Each file of tests uses a part.
#![allow(unexpected_cfgs)] // `second-oracle` is a feature of the simulator, whose tests include this file.

use std::collections::BTreeMap;

use custos_proof::anchor::{Link, Recency, TrustAnchor};
use custos_proof::cbor::{Ascii, Bytes, List, Set, Text, Wire};
use custos_proof::certificate::{Certificate, ValidatorSet};
use custos_proof::genesis::{Genesis, GenesisKey, GenesisValidator, NO_CHAIN};
use custos_proof::hash::{ChainId, Digest, KeyId, StateKey, SubmissionId, TrailKey};
use custos_proof::header::{Block, Header};
use custos_proof::ids::{FAR, Height, ItemId, Random16, Round, TimeMs};
use custos_proof::item::Item;
use custos_proof::keys::{KeyPurpose, key_id};
use custos_proof::kinds::access::{Basis, Event, Late, Retention};
use custos_proof::kinds::key::{Add, Revoke, Rotate};
use custos_proof::kinds::participant::{Reason, Register, Suspend, Update};
use custos_proof::kinds::proposal::{Choice, Open as OpenProposal, Vote, VotedAct};
use custos_proof::kinds::rule::{Collected, Put};
use custos_proof::kinds::trail::{Close, Open};
use custos_proof::kinds::{Class, Fields, Kind};
use custos_proof::receipt::{ProvenKey, Receipt};
use custos_proof::record::{Code, DueEntry, Finding, Record, Verdict};
use custos_proof::registry::{self, KeyEntry, Policy, ProposalState, Role, Roles, TrailHead};
use custos_proof::seal::{Place, Seal};
use custos_proof::subject::{epoch_secret, local_id, reader};
use custos_proof::submission::{Author, Draft, Submission, Verified};
use custos_proof::trail::TrailName;
use custos_proof::trail_proof::{Entry, TrailProof};
pub(crate) use custos_proof::verify::Basis as Ground;
use custos_state::admission;
use custos_state::apply::{self, Built, Limits, Proposal};
use custos_state::changes::{Changes, Placed};
use custos_state::error::{AdmitError, ApplyError, Refusal, RefusalCode};
use custos_state::memory::MemoryStore;
use custos_state::view::View;

#[path = "../../../proof/tests/common/naive.rs"]
pub(crate) mod naive;
pub(crate) mod oracle;
#[path = "../../../proof/tests/common/signing.rs"]
pub(crate) mod signing;

pub(crate) use signing::{TestKey, certificate, id, key};

/// 2031-03-10T08:00:00Z: when generated networks begin.
pub(crate) const BEGIN: TimeMs = TimeMs(1_930_896_000_000);
/// 2031-12-31T23:50:00Z.
pub(crate) const NEW_YEARS_EVE: TimeMs = TimeMs(1_956_527_400_000);
/// 2031-04-01T00:00:00Z: the end of the quarter in which they begin.
pub(crate) const QUARTER: TimeMs = TimeMs(1_932_768_000_000);
/// The registrar.
pub(crate) const REGISTRY: &str = "registry";
/// The validators; custodians and recipients, too.
pub(crate) const HOSPITALS: [&str; 4] = ["hospital-a", "hospital-b", "hospital-c", "hospital-d"];
/// A recipient that is neither validator nor custodian.
pub(crate) const CLINIC: &str = "clinic";
/// A participant without a role that may state accesses.
pub(crate) const AUDITOR: &str = "auditor";

pub(crate) fn registration(name: &str, roles: &[Role]) -> Register {
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

/// The genesis of a generated network: a registrar, four hospitals that vote, a clinic and an auditor.
pub(crate) fn genesis(name: &str, time: TimeMs) -> Genesis {
    genesis_with(name, time, &[])
}

/// The same, with others besides.
pub(crate) fn genesis_with(name: &str, time: TimeMs, others: &[(&str, &[Role])]) -> Genesis {
    let member = |name: &&str| registration(name, &[Role::Custodian, Role::Recipient, Role::Validator]);
    let mut participants = vec![
        registration(REGISTRY, &[Role::Registrar]),
        registration(CLINIC, &[Role::Recipient]),
        registration(AUDITOR, &[Role::Auditor]),
    ];
    participants.extend(HOSPITALS.iter().map(member));
    participants.extend(others.iter().map(|(name, roles)| registration(name, roles)));
    let genesis_key = |owner: &str, purpose: KeyPurpose| {
        let key = key(&format!("{owner} {purpose}"));
        let possession = key.possession(&NO_CHAIN, owner, purpose);
        GenesisKey { owner: id(owner), key: key.public(), purpose, possession }
    };
    let mut keys: Vec<_> =
        participants.iter().map(|p| genesis_key(p.id.as_str(), KeyPurpose::Sign)).collect();
    keys.extend(HOSPITALS.iter().map(|name| genesis_key(name, KeyPurpose::Consensus)));
    Genesis {
        name: Ascii::new(name).unwrap(),
        time,
        protocol: 1,
        registrar: id(REGISTRY),
        participants: List::new(participants).unwrap(),
        keys: List::new(keys).unwrap(),
        validators: List::new(
            HOSPITALS.iter().map(|name| GenesisValidator { participant: id(name), power: 1 }).collect(),
        )
        .unwrap(),
        policy: Policy::initial(),
    }
}

/// A block that was decided.
pub(crate) struct Decided {
    pub(crate) block: Block,
    pub(crate) changes: Changes,
    pub(crate) certificate: Certificate,
}

/// A chain under test.
pub(crate) struct Chain {
    pub(crate) genesis: Genesis,
    pub(crate) id: ChainId,
    pub(crate) validators: ValidatorSet,
    /// What the proposers build on.
    pub(crate) store: MemoryStore,
    /// What the followers check with.
    pub(crate) follower: MemoryStore,
    pub(crate) blocks: Vec<Decided>,
    pub(crate) submissions: BTreeMap<SubmissionId, Submission>,
    /// How far apart blocks are.
    pub(crate) pace_ms: u64,
    /// When the next block is, if not at the usual pace.
    next: Option<TimeMs>,
    counter: u64,
    name: String,
}

impl Chain {
    pub(crate) fn new() -> Self {
        Self::begin("test network", BEGIN)
    }

    pub(crate) fn begin(name: &str, time: TimeMs) -> Self {
        Self::from_genesis(genesis(name, time))
    }

    pub(crate) fn from_genesis(genesis: Genesis) -> Self {
        let start = apply::start(&genesis).unwrap();
        Self {
            id: genesis.chain(),
            validators: genesis.validator_set().unwrap(),
            store: MemoryStore::new(&start),
            follower: MemoryStore::new(&start),
            blocks: Vec::new(),
            submissions: BTreeMap::new(),
            pace_ms: 1000,
            next: None,
            counter: 0,
            name: genesis.name.to_string(),
            genesis,
        }
    }

    /// 32 bytes that were not used on this chain before.
    pub(crate) fn fresh(&mut self) -> [u8; 32] {
        self.counter += 1;
        naive::sha(&[b"fresh", self.name.as_bytes(), &self.counter.to_be_bytes()]).0
    }

    pub(crate) fn random16(&mut self) -> Random16 {
        Random16(self.fresh()[..16].try_into().unwrap())
    }

    /// The head's height.
    pub(crate) fn height(&self) -> Height {
        self.store.head().unwrap().height
    }

    /// The time of the next block.
    pub(crate) fn next_time(&self) -> TimeMs {
        self.next.unwrap_or_else(|| self.store.head().unwrap().time.plus(self.pace_ms))
    }

    /// Lets time pass before the next block.
    pub(crate) fn wait(&mut self, ms: u64) {
        self.next = Some(self.next_time().plus(ms));
    }

    /// Lets time pass until the next block is of this time.
    pub(crate) fn wait_until(&mut self, time: TimeMs) {
        self.next = Some(time);
    }

    pub(crate) fn proposal(&self) -> Proposal {
        let height = self.height().next();
        Proposal {
            height,
            round: Round(0),
            time: self.next_time(),
            proposer: id(HOSPITALS[height.0 as usize % HOSPITALS.len()]),
        }
    }

    // Saying something.

    /// An item with a fresh id; a seal that is empty so far is made.
    pub(crate) fn item(&mut self, fields: Fields) -> Vec<u8> {
        let item_id = ItemId(self.random16().0);
        self.item_of(item_id, fields).to_bytes()
    }

    pub(crate) fn item_of(&mut self, item_id: ItemId, mut fields: Fields) -> Item {
        let kind = fields.kind();
        if fields.seal().is_some_and(|seal| seal.root == Digest::ZERO) {
            fields.set_seal(self.sealed(kind, &item_id));
        }
        Item { item_id, fields }
    }

    fn sealed(&mut self, kind: Kind, item_id: &ItemId) -> Seal {
        let values = vec![vec![0x00]; kind.sealed_fields().len()];
        Place { chain: &self.id.clone(), kind, item_id }.seal(&self.fresh(), &values).unwrap()
    }

    /// Acts that an author signs with its first key.
    pub(crate) fn acts(&mut self, author: &str, items: Vec<Fields>) -> Verified {
        self.say(author, Class::Act, items)
    }

    /// Statements that an author signs with its first key.
    pub(crate) fn testimony(&mut self, author: &str, events: Vec<Event>) -> Verified {
        self.say(author, Class::Testimony, events.into_iter().map(Fields::AccessEvent).collect())
    }

    pub(crate) fn say(&mut self, author: &str, class: Class, items: Vec<Fields>) -> Verified {
        let items = items.into_iter().map(|fields| self.item(fields)).collect();
        self.draft(author, class, items).sign()
    }

    pub(crate) fn draft(&mut self, author: &str, class: Class, items: Vec<Vec<u8>>) -> Letter {
        Letter {
            chain: self.id,
            author: Author::Participant(id(author)),
            class,
            nonce: self.random16(),
            not_after: self.next_time().plus(600_000),
            key: key(&format!("{author} sign")),
            items,
        }
    }

    /// A statement of `custodian`'s about an access by `acting`, in which everything agrees.
    pub(crate) fn event(&mut self, custodian: &str, local_id: Option<Digest>, acting: &str) -> Event {
        Event {
            event: self.random16(),
            custodian: id(custodian),
            local_id,
            acting: id(acting),
            basis: Basis::Law,
            cited: None,
            at_height: self.height(),
            late: Late::None,
            retention: Retention::Standard,
            stream: 0,
            sequence: 0,
            seal: NO_SEAL,
        }
    }

    pub(crate) fn open(&self, custodian: &str, subject: &str, grantee: Option<&str>) -> Fields {
        let epoch = u16::try_from(self.next_time().year()).unwrap();
        let secret = epoch_secret(
            &naive::sha(&[b"k of ", subject.as_bytes(), b" at ", custodian.as_bytes()]).0,
            epoch,
        );
        let local_id = local_id(&secret, &self.id, &id(custodian), grantee.map(id).as_ref());
        Fields::TrailOpen(Open {
            local_id,
            grantee: grantee.map(id),
            epoch,
            reader: reader(&secret, &local_id),
            seal: NO_SEAL,
        })
    }

    pub(crate) fn rule(&mut self, custodian: &str, local_id: Digest) -> Put {
        Put {
            custodian: id(custodian),
            local_id,
            rule: self.random16(),
            prior: self.random16(),
            expiry: FAR,
            ends: Set::default(),
            collected: Collected::Paper,
            seal: NO_SEAL,
        }
    }

    pub(crate) fn add_key(&self, owner: &str, key: &TestKey, purpose: KeyPurpose) -> Fields {
        Fields::KeyAdd(Add {
            owner: id(owner),
            key: key.public(),
            purpose,
            possession: key.possession(&self.id, owner, purpose),
        })
    }

    pub(crate) fn rotate_key(&self, owner: &str, old: &TestKey, new: &TestKey, overlap_ms: u64) -> Fields {
        Fields::KeyRotate(Rotate {
            old: old.id(),
            key: new.public(),
            overlap_ms,
            possession: new.possession(&self.id, owner, KeyPurpose::Sign),
        })
    }

    // Blocks.

    /// The next block, of exactly these submissions: none is refused.
    pub(crate) fn block(&mut self, submissions: Vec<Verified>) -> &Decided {
        let built = self.build(submissions.clone()).unwrap();
        assert!(built.refused.is_empty(), "{:?}", built.refused);
        self.decide(built, submissions)
    }

    pub(crate) fn build(&self, submissions: Vec<Verified>) -> Result<Built, ApplyError> {
        apply::build(&self.store, &self.proposal(), submissions, &Limits::default())
    }

    /// Checks a built block as a follower does, certifies it, commits it, and asks the oracle.
    pub(crate) fn decide(&mut self, built: Built, submissions: Vec<Verified>) -> &Decided {
        let bytes = built.block.to_bytes();
        let block = Block::from_bytes(&bytes).unwrap();
        assert_eq!(block, built.block);
        let changes = apply::check(&self.follower, &block, &submissions).unwrap();
        assert_eq!(changes, built.changes, "two machines computed different changes from one block");
        self.validators = self.store.head().unwrap().next_validators.clone();
        self.store.commit(&built.changes).unwrap();
        self.follower.commit(&changes).unwrap();
        for submission in submissions {
            self.submissions.insert(submission.id(), submission.into_inner());
        }
        self.next = None;
        let certificate = self.certify(&changes.header);
        self.blocks.push(Decided { block, changes, certificate });
        oracle::ask(self);
        let decided = self.blocks.last().unwrap();
        // The simulator's tests drive these chains, too, and ask an oracle of their own.
        #[cfg(feature = "second-oracle")]
        crate::second::decided(&self.genesis, &decided.block, &decided.changes);
        decided
    }

    /// One block for one submission; what became of its items.
    pub(crate) fn record(&mut self, submission: Verified) -> Vec<Placed> {
        self.block(vec![submission]).changes.submissions[0].items.clone()
    }

    /// One block with one statement of any kind; what the validators found.
    pub(crate) fn states(&mut self, author: &str, statement: Fields) -> (Finding, Vec<Code>) {
        let submission = self.say(author, Class::Testimony, vec![statement]);
        match self.record(submission)[..] {
            [Placed::Here(index)] => said(&self.decoded(index.0).as_item().unwrap().verdict),
            ref other => panic!("{other:?}"),
        }
    }

    /// The chain-made facts of the last block.
    pub(crate) fn facts(&self) -> Vec<DueEntry> {
        let records = &self.blocks.last().unwrap().changes.records;
        let decoded = records.iter().map(|new| Record::from_bytes(&new.bytes).unwrap().entry);
        decoded
            .filter_map(|entry| match entry {
                custos_proof::record::Entry::Due(due) => Some(due),
                _ => None,
            })
            .collect()
    }

    /// One block of an author's acts.
    pub(crate) fn act(&mut self, author: &str, items: Vec<Fields>) {
        let submission = self.acts(author, items);
        self.record(submission);
    }

    /// A proposal of acts, each an item with a fresh id.
    pub(crate) fn proposal_of(&mut self, acts: Vec<Fields>) -> OpenProposal {
        let acts = acts.into_iter().map(|fields| {
            let item_id = ItemId(self.random16().0);
            VotedAct::new(self.item_of(item_id, fields)).unwrap()
        });
        let acts = List::new(acts.collect()).unwrap();
        OpenProposal { proposal: self.random16(), acts, deadline: self.next_time().plus(3_600_000) }
    }

    /// A validator's vote.
    pub(crate) fn vote(&mut self, validator: &str, proposal: Random16, vote: Choice) -> Verified {
        self.acts(validator, vec![Fields::ProposalVote(Vote { proposal, vote })])
    }

    /// One block in which the registrar proposes acts and three of the validators agree; they are carried out.
    pub(crate) fn agreed(&mut self, acts: Vec<Fields>) -> Random16 {
        let open = self.proposal_of(acts);
        let proposal = open.proposal;
        let mut said = vec![self.acts(REGISTRY, vec![Fields::ProposalOpen(open)])];
        said.extend(HOSPITALS[..3].iter().map(|hospital| self.vote(hospital, proposal, Choice::Yes)));
        self.block(said);
        assert_eq!(self.proposal_entry(proposal).state, ProposalState::Executed);
        proposal
    }

    /// Why acts that the registrar proposes are not even put to the vote.
    pub(crate) fn not_proposed(&mut self, acts: Vec<Fields>) -> RefusalCode {
        let open = self.proposal_of(acts);
        self.refused(REGISTRY, vec![Fields::ProposalOpen(open)])
    }

    /// What became of a proposal.
    pub(crate) fn proposal_entry(&self, proposal: Random16) -> registry::Proposal {
        let entry = self.store.entry(&registry::proposal_key(&proposal)).unwrap().unwrap();
        registry::Proposal::from_bytes(&entry).unwrap()
    }

    /// One block with one event; what the validators found.
    pub(crate) fn verdict(&mut self, author: &str, event: Event) -> Verdict {
        let submission = self.testimony(author, vec![event]);
        match self.record(submission)[..] {
            [Placed::Here(index)] => self.decoded(index.0).as_item().unwrap().verdict.clone(),
            ref other => panic!("{other:?}"),
        }
    }

    pub(crate) fn decoded(&self, index: u64) -> Record {
        Record::from_bytes(&self.store.records()[index as usize].bytes).unwrap()
    }

    /// Precommits of three validators, of four in every fifth block.
    pub(crate) fn certify(&self, header: &Header) -> Certificate {
        let set = self.validators.as_slice();
        let can_miss_one = set.len() == 4 && !header.height.0.is_multiple_of(5);
        let absent = can_miss_one.then_some(header.height.0 as usize % 4);
        let signers: Vec<usize> = (0..set.len()).filter(|i| Some(*i) != absent).collect();
        certificate(&self.validators, header, Round(header.height.0 as u32 % 3), &signers)
    }

    // Refusals.

    /// Nobody takes the submission: admission or the trial refuses it, a proposer leaves it out, a block that holds it
    /// is invalid, and nothing of it is kept. The code, and which item it is about.
    pub(crate) fn refusal(&mut self, submission: &Verified) -> (RefusalCode, Option<usize>) {
        let before = self.build(Vec::new()).unwrap();
        let by_proposer = self.build(vec![submission.clone()]).unwrap();
        let [(refused, refusal)] = &by_proposer.refused[..] else { panic!("{submission:?} is not refused") };
        assert_eq!(*refused, submission.id());
        assert_eq!(by_proposer.changes, before.changes, "a refused submission left a trace");
        let mut block = before.block.clone();
        block.body.push(submission.bytes().to_vec());
        let checked = apply::check(&self.follower, &block, std::slice::from_ref(submission));
        let Err(ApplyError::Invalid(reason)) = checked else { panic!("{checked:?}") };
        assert!(reason.contains(refusal.code.word()), "{reason}");
        #[cfg(feature = "second-oracle")]
        crate::second::refused(&self.genesis, &block, refusal);
        let at_the_door = self.offer(submission).expect_err("the first node lets it in");
        assert_eq!(at_the_door, *refusal);
        (refusal.code, refusal.item)
    }

    /// What the first node says.
    pub(crate) fn offer(&self, submission: &Submission) -> Result<(), Refusal> {
        let refused = |error| match error {
            AdmitError::Refused(refusal) => refusal,
            AdmitError::View(error) => panic!("{error}"),
        };
        let key = admission::admit(&self.store, self.next_time(), submission).map_err(refused)?;
        admission::first_node(submission, &key)?;
        let verified = submission.clone().verify(&key).expect("because what is strict is valid");
        apply::preview(&self.store, self.next_time(), &verified).map_err(refused)
    }

    pub(crate) fn refused(&mut self, author: &str, acts: Vec<Fields>) -> RefusalCode {
        let submission = self.acts(author, acts);
        self.refusal(&submission).0
    }

    // Proofs, put together by other code than the store's.

    pub(crate) fn entries(&self) -> naive::Entries {
        self.store.entries().map(|(key, value)| (*key, value.to_vec())).collect()
    }

    pub(crate) fn leaves(&self) -> Vec<Digest> {
        self.store.records().iter().map(|record| naive::leaf(&record.bytes)).collect()
    }

    fn proven_key(&self, entries: &naive::Entries, id: &KeyId) -> ProvenKey {
        let key: StateKey = registry::key_key(id);
        let entry = KeyEntry::from_bytes(&entries[&key]).unwrap();
        ProvenKey { entry, proof: naive::state_proof(entries, &key) }
    }

    /// The receipt of the item at an index, under the head.
    pub(crate) fn receipt(&self, index: u64) -> Receipt {
        self.receipt_in(index, &self.leaves(), &self.entries())
    }

    pub(crate) fn receipt_in(&self, index: u64, leaves: &[Digest], entries: &naive::Entries) -> Receipt {
        let record = self.decoded(index);
        let entry = record.as_item().unwrap();
        let submission = &self.submissions[&entry.submission];
        let item = &submission.items()[entry.position as usize];
        let hashes: Vec<Digest> = submission.items().iter().map(|item| naive::leaf(item)).collect();
        let head = self.blocks.last().unwrap();
        Receipt {
            item: Bytes::new(item.clone()).unwrap(),
            envelope: Bytes::new(submission.envelope().bytes().to_vec()).unwrap(),
            item_path: List::new(naive::path(entry.position as usize, &hashes)).unwrap(),
            record: Bytes::new(record.to_bytes()).unwrap(),
            record_path: List::new(naive::path(index as usize, leaves)).unwrap(),
            header: head.changes.header.clone(),
            certificate: head.certificate.clone(),
            author_key: self.proven_key(entries, &submission.envelope().key_id()),
            witnessed: None,
        }
    }

    /// The records of a trail, found by reading the whole log.
    pub(crate) fn trail_records(&self, trail: &TrailKey) -> Vec<u64> {
        let mut places: Vec<(u64, u64)> = Vec::new();
        for index in 0..self.store.records().len() as u64 {
            let record = self.decoded(index);
            places
                .extend(record.listings().iter().filter(|l| l.trail == *trail).map(|l| (l.position, index)));
        }
        places.into_iter().map(|(_, index)| index).collect()
    }

    /// The proof of a part of a trail, under the head.
    pub(crate) fn trail_proof(&self, name: &TrailName, range: std::ops::Range<usize>) -> TrailProof {
        let entries = self.entries();
        let key = name.key();
        let records = self.trail_records(&key);
        let leaves: Vec<Digest> =
            records.iter().map(|index| naive::leaf(&self.store.records()[*index as usize].bytes)).collect();
        let state_key = registry::trail_key(&key);
        let (mut envelopes, mut keys, mut shown) = (Vec::new(), BTreeMap::new(), Vec::new());
        for index in &records[range.clone()] {
            let new = &self.store.records()[*index as usize];
            if new.item.is_none() {
                // A fact of the chain, or an item that was erased.
                shown.push(Entry::Pruned { record: Bytes::new(new.bytes.clone()).unwrap() });
                continue;
            }
            let receipt = self.receipt_in(*index, &[], &entries);
            let position = envelopes.iter().position(|e| *e == receipt.envelope).unwrap_or_else(|| {
                envelopes.push(receipt.envelope.clone());
                envelopes.len() - 1
            });
            keys.insert(key_id(&receipt.author_key.entry.key), receipt.author_key);
            shown.push(Entry::Full {
                record: receipt.record,
                item: receipt.item,
                envelope: position as u32,
                item_path: receipt.item_path,
            });
        }
        let head = self.blocks.last().unwrap();
        TrailProof {
            name: name.clone(),
            header: head.changes.header.clone(),
            certificate: head.certificate.clone(),
            head: entries.get(&state_key).map(|bytes| TrailHead::from_bytes(bytes).unwrap()),
            head_proof: naive::state_proof(&entries, &state_key),
            begin: range.start as u64,
            entries: List::new(shown).unwrap(),
            range_path: List::new(naive::range_path(range.start, range.end, &leaves)).unwrap(),
            envelopes: List::new(envelopes).unwrap(),
            keys: List::new(keys.into_values().collect()).unwrap(),
            witnessed: None,
        }
    }

    pub(crate) fn whole_trail(&self, name: &TrailName) -> TrailProof {
        self.trail_proof(name, 0..self.trail_records(&name.key()).len())
    }

    /// The trails that can have records: the registry's, the institutions', and those that were opened.
    pub(crate) fn trail_names(&self) -> Vec<TrailName> {
        let mut names = vec![TrailName::registry(&id(REGISTRY))];
        names.extend(self.genesis.participants.iter().map(|p| TrailName::institution(&p.id)));
        for new in self.store.records() {
            let Some((_, bytes)) = &new.item else { continue };
            let record = Record::from_bytes(&new.bytes).unwrap();
            let author = record.as_item().unwrap().author.clone();
            match (Item::from_bytes(bytes).unwrap().fields, author) {
                (Fields::TrailOpen(open), Author::Participant(custodian)) => {
                    names.push(TrailName::subject(&custodian, open.local_id));
                }
                (Fields::PermitIssue(issue), Author::Participant(body)) => {
                    names.push(TrailName::permit(&body, &issue.permit));
                }
                _ => {}
            }
        }
        names
    }

    /// From the anchor on: every block after which others decide, with the new set.
    pub(crate) fn links(&self) -> Vec<Link> {
        let mut set = self.genesis.validator_set().unwrap();
        let mut links = Vec::new();
        for decided in &self.blocks {
            let next = &decided.changes.head.next_validators;
            if *next != set {
                links.push(Link {
                    header: decided.changes.header.clone(),
                    certificate: decided.certificate.clone(),
                    next: next.clone(),
                });
                set = next.clone();
            }
        }
        links
    }

    pub(crate) fn anchor(&self) -> TrustAnchor {
        TrustAnchor::from_genesis(&self.genesis).unwrap()
    }
}

/// What a verifier starts from, without links.
pub(crate) fn ground(anchor: &TrustAnchor) -> Ground<'_> {
    Ground { anchor, links: &[], recency: Recency::default() }
}

/// A seal that is still to be made.
pub(crate) const NO_SEAL: Seal = Seal { root: Digest::ZERO, ciphertext: None };

/// A submission before it is signed, for those who want to sign something odd.
#[derive(Clone)]
pub(crate) struct Letter {
    pub(crate) chain: ChainId,
    pub(crate) author: Author,
    pub(crate) class: Class,
    pub(crate) nonce: Random16,
    pub(crate) not_after: TimeMs,
    pub(crate) key: TestKey,
    pub(crate) items: Vec<Vec<u8>>,
}

impl Letter {
    pub(crate) fn sign(self) -> Verified {
        let draft = Draft {
            chain: &self.chain,
            author: self.author,
            class: self.class,
            nonce: self.nonce,
            not_after: self.not_after,
        };
        let submission = Submission::sign(&draft, self.items, &self.key).unwrap();
        assert_eq!(Submission::decode(submission.bytes()).as_ref(), Ok(&submission));
        submission.verify(&self.key.public()).unwrap()
    }
}

pub(crate) fn local_id_of(open: &Fields) -> Digest {
    match open {
        Fields::TrailOpen(open) => open.local_id,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn close(local_id: Digest) -> Fields {
    Fields::TrailClose(Close { local_id })
}

pub(crate) fn revoke(key: &TestKey, compromised_from: Option<TimeMs>) -> Fields {
    Fields::KeyRevoke(Revoke { key: key.id(), reason: Reason::Compromised, compromised_from })
}

pub(crate) fn suspend(name: &str) -> Fields {
    Fields::ParticipantSuspend(Suspend { id: id(name), reason: Reason::Breach })
}

pub(crate) fn update(name: &str, roles: &[Role]) -> Update {
    let Register { id, roles, jurisdiction, name, sealed_name, endpoint, display_names } =
        registration(name, roles);
    Update { id, roles, jurisdiction, name, sealed_name, endpoint, display_names }
}

/// What a verdict says, to compare with.
pub(crate) fn said(verdict: &Verdict) -> (Finding, Vec<Code>) {
    (verdict.finding, verdict.codes.to_vec())
}
