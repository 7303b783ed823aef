//! A chain made by hand: whatever its validators sign, true or false, and proofs of it.
//!
//! The rules are not asked here, so that validators can be made to certify what no honest validator
//! would, and validator sets can change. Trees come from [`naive`]; the crate's own code is used for
//! formats only.

#![allow(dead_code, clippy::unwrap_used)] // Each file of tests uses a part.

use std::collections::BTreeMap;

use custos_proof::anchor::{Link, TrustAnchor};
use custos_proof::cbor::{Bytes, List, Set, Wire};
use custos_proof::certificate::{Certificate, Validator, ValidatorSet};
use custos_proof::hash::{BlockId, ChainId, Digest, KeyId};
use custos_proof::header::Header;
use custos_proof::ids::{FAR, Height, ItemId, LogIndex, LogSize, Random16, Round, TimeMs};
use custos_proof::item::Item;
use custos_proof::keys::{KeyPurpose, PublicKey, key_id};
use custos_proof::kinds::access::{Basis, Event, Late, Retention};
use custos_proof::kinds::{Class, Fields, Kind};
use custos_proof::receipt::{ProvenKey, Receipt};
use custos_proof::record::{Check, Entry as Recorded, Finding, ItemEntry, Listing, Record, verdict};
use custos_proof::registry::{self, KeyEntry, TrailHead};
use custos_proof::seal::{Opening, Place, Seal};
use custos_proof::submission::{Author, Draft, Submission};
use custos_proof::trail::TrailName;
use custos_proof::trail_proof::{Entry, TrailProof};

pub(crate) mod naive;
pub(crate) mod signing;

pub(crate) use signing::{TestKey, certificate, id, key};

/// When chains made by hand begin.
pub(crate) const BEGIN: TimeMs = TimeMs(1_930_896_000_000);
/// A day.
pub(crate) const DAY: u64 = 86_400_000;
/// The values of an item's sealed fields, before anybody looks: field 1 says 1, and so on.
pub(crate) const SEED: [u8; 32] = [42; 32];

/// A set of validators with these powers.
pub(crate) fn powers(validators: &[(&str, u64)]) -> ValidatorSet {
    let validator = |(name, power): &(&str, u64)| Validator {
        participant: id(name),
        key: key(&format!("{name} consensus")).public(),
        power: *power,
    };
    ValidatorSet::new(validators.iter().map(validator).collect()).unwrap()
}

/// A set of validators of equal power.
pub(crate) fn set(names: &[&str]) -> ValidatorSet {
    powers(&names.iter().map(|name| (*name, 1)).collect::<Vec<_>>())
}

/// As few signers as make a quorum.
pub(crate) fn quorum(set: &ValidatorSet) -> Vec<usize> {
    let mut power = 0;
    let enough = set.as_slice().iter().position(|v| {
        power += v.power;
        power * 3 > set.total_power() * 2
    });
    (0..=enough.unwrap()).collect()
}

/// A submission as somebody says it.
#[derive(Clone)]
pub(crate) struct Said {
    pub(crate) chain: ChainId,
    pub(crate) author: Author,
    pub(crate) key: TestKey,
    pub(crate) class: Class,
    pub(crate) not_after: TimeMs,
    pub(crate) items: Vec<Vec<u8>>,
    pub(crate) trails: Vec<TrailName>,
}

/// What is kept beside the log.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) item: Vec<u8>,
    pub(crate) envelope: Vec<u8>,
    pub(crate) item_path: Vec<Digest>,
    pub(crate) key: KeyId,
}

#[derive(Clone)]
pub(crate) struct Block {
    pub(crate) header: Header,
    pub(crate) certificate: Certificate,
    pub(crate) next: ValidatorSet,
}

/// A chain, its log and its state.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) chain: ChainId,
    pub(crate) first: ValidatorSet,
    /// The validators of the next block.
    pub(crate) set: ValidatorSet,
    pub(crate) log: Vec<Vec<u8>>,
    pub(crate) entries: naive::Entries,
    pub(crate) trails: BTreeMap<custos_proof::hash::TrailKey, Vec<u64>>,
    pub(crate) kept: BTreeMap<u64, Kept>,
    pub(crate) blocks: Vec<Block>,
    counter: u64,
}

impl World {
    pub(crate) fn new(name: &str, first: ValidatorSet) -> Self {
        let mut world = Self {
            chain: ChainId(naive::sha(&[b"world ", name.as_bytes()]).0),
            set: first.clone(),
            first,
            log: Vec::new(),
            entries: naive::Entries::new(),
            trails: BTreeMap::new(),
            kept: BTreeMap::new(),
            blocks: Vec::new(),
            counter: 0,
        };
        for owner in ["hospital-a", "hospital-b"] {
            world.put_key(world.key_entry(owner));
        }
        world
    }

    /// The entry of a participant's signing key, valid for ever.
    pub(crate) fn key_entry(&self, owner: &str) -> KeyEntry {
        KeyEntry {
            owner: Author::Participant(id(owner)),
            key: key(&format!("{owner} sign")).public(),
            purpose: KeyPurpose::Sign,
            valid_from: LogIndex(0),
            revoked: None,
            not_after: FAR,
            compromised_from: None,
        }
    }

    pub(crate) fn put_key(&mut self, entry: KeyEntry) {
        self.entries.insert(registry::key_key(&key_id(&entry.key)), entry.to_bytes());
    }

    pub(crate) fn fresh(&mut self) -> [u8; 32] {
        self.counter += 1;
        naive::sha(&[b"fresh", &self.chain.0, &self.counter.to_be_bytes()]).0
    }

    pub(crate) fn random16(&mut self) -> [u8; 16] {
        self.fresh()[..16].try_into().unwrap()
    }

    /// An `access.event`, with sealed values.
    pub(crate) fn event(&mut self) -> Vec<u8> {
        let item_id = ItemId(self.random16());
        self.event_of(item_id).to_bytes()
    }

    pub(crate) fn event_of(&mut self, item_id: ItemId) -> Item {
        let fields = Fields::AccessEvent(Event {
            event: Random16(self.random16()),
            custodian: id("hospital-a"),
            local_id: Some(Digest([3; 32])),
            acting: id("hospital-b"),
            basis: Basis::Law,
            cited: None,
            at_height: Height(0),
            late: Late::None,
            retention: Retention::Standard,
            stream: 0,
            sequence: 0,
            seal: self.seal(&item_id),
        });
        Item { item_id, fields }
    }

    pub(crate) fn seal(&self, item_id: &ItemId) -> Seal {
        self.place(item_id).seal(&SEED, &values()).unwrap()
    }

    fn place<'a>(&'a self, item_id: &'a ItemId) -> Place<'a> {
        Place { chain: &self.chain, kind: Kind::AccessEvent, item_id }
    }

    pub(crate) fn opening(&self, item_id: &ItemId, field: u8) -> Opening {
        self.place(item_id).open(&SEED, &values(), field).unwrap()
    }

    /// Hospital A says something, listed in these trails.
    pub(crate) fn said(&self, items: Vec<Vec<u8>>, trails: &[TrailName]) -> Said {
        Said {
            chain: self.chain,
            author: Author::Participant(id("hospital-a")),
            key: key("hospital-a sign"),
            class: Class::Testimony,
            not_after: FAR,
            items,
            trails: trails.to_vec(),
        }
    }

    pub(crate) fn time(&self) -> TimeMs {
        self.blocks.last().map_or(BEGIN, |block| block.header.time)
    }

    /// The next block, a second later, by the same validators.
    pub(crate) fn block(&mut self, said: Vec<Said>) -> &Header {
        self.block_at(self.time().plus(1000), None, said, |_| {})
    }

    /// The next block; `next` are the validators from then on, `tweak` changes records before they are hashed.
    pub(crate) fn block_at(
        &mut self,
        time: TimeMs,
        next: Option<ValidatorSet>,
        said: Vec<Said>,
        mut tweak: impl FnMut(&mut Record),
    ) -> &Header {
        let height = Height(self.blocks.len() as u64 + 1);
        let parent = self.blocks.last().map_or(BlockId(self.chain.0), |block| block.header.block_id());
        self.append(
            Record { index: self.next_index(), height, time, entry: Recorded::Block { parent } },
            &mut tweak,
        );
        for said in said {
            let draft = Draft {
                chain: &said.chain,
                author: said.author.clone(),
                class: said.class,
                nonce: Random16(self.random16()),
                not_after: said.not_after,
            };
            let submission = Submission::sign(&draft, said.items.clone(), &said.key).unwrap();
            let hashes: Vec<Digest> = said.items.iter().map(|item| naive::leaf(item)).collect();
            for (position, item) in said.items.iter().enumerate() {
                let index = self.next_index();
                let place = |name: &TrailName| Listing {
                    trail: name.key(),
                    position: self.trails.get(&name.key()).map_or(0, Vec::len) as u64,
                };
                let record = Record {
                    index,
                    height,
                    time,
                    entry: Recorded::Item(ItemEntry {
                        submission: submission.id(),
                        author: said.author.clone(),
                        position: position as u32,
                        item: submission.item_hashes()[position],
                        verdict: verdict(&[Check::Author], &[], Finding::Consistent),
                        trails: Set::new(said.trails.iter().map(place).collect()).unwrap(),
                    }),
                };
                self.append(record, &mut tweak);
                for name in &said.trails {
                    self.trails.entry(name.key()).or_default().push(index.0);
                }
                let kept = Kept {
                    item: item.clone(),
                    envelope: submission.envelope().bytes().to_vec(),
                    item_path: naive::path(position, &hashes),
                    key: said.key.id(),
                };
                self.kept.insert(index.0, kept);
            }
        }
        for (trail, records) in &self.trails {
            let leaves: Vec<Digest> = records.iter().map(|i| naive::leaf(&self.log[*i as usize])).collect();
            let head = TrailHead { size: leaves.len() as u64, root: naive::root(&leaves) };
            self.entries.insert(registry::trail_key(trail), head.to_bytes());
        }
        let next = next.unwrap_or_else(|| self.set.clone());
        let header = Header {
            version: 1,
            chain: self.chain,
            height,
            round: Round(0),
            time,
            parent,
            body_root: Digest([0; 32]),
            log_size: LogSize(self.log.len() as u64),
            log_root: naive::root(&self.leaves()),
            state_root: naive::state_root(&self.entries),
            validators_hash: self.set.hash(),
            next_validators_hash: next.hash(),
            proposer: self.set.as_slice()[0].participant.clone(),
        };
        let certificate = certificate(&self.set, &header, Round(1), &quorum(&self.set));
        self.set = next.clone();
        self.blocks.push(Block { header, certificate, next });
        &self.blocks.last().unwrap().header
    }

    fn append(&mut self, mut record: Record, tweak: &mut impl FnMut(&mut Record)) {
        tweak(&mut record);
        self.log.push(record.to_bytes());
    }

    pub(crate) fn next_index(&self) -> LogIndex {
        LogIndex(self.log.len() as u64)
    }

    pub(crate) fn leaves(&self) -> Vec<Digest> {
        self.log.iter().map(|record| naive::leaf(record)).collect()
    }

    pub(crate) fn head(&self) -> &Block {
        self.blocks.last().unwrap()
    }

    /// The head again, with another header, signed by whoever is named.
    pub(crate) fn forge(&mut self, set: &ValidatorSet, change: impl FnOnce(&mut Header)) {
        let mut header = self.head().header.clone();
        header.validators_hash = set.hash();
        header.next_validators_hash = set.hash();
        change(&mut header);
        let certificate = certificate(set, &header, Round(0), &quorum(set));
        *self.blocks.last_mut().unwrap() = Block { header, certificate, next: set.clone() };
    }

    /// The first validators, believed from the beginning.
    pub(crate) fn anchor(&self) -> TrustAnchor {
        TrustAnchor {
            chain: self.chain,
            height: Height(0),
            block_id: BlockId(self.chain.0),
            validators: self.first.clone(),
            time: BEGIN,
            witnesses: Set::default(),
            threshold: 0,
        }
    }

    /// Every header whose validator set changes.
    pub(crate) fn links(&self) -> Vec<Link> {
        self.blocks
            .iter()
            .filter(|block| block.header.validators_hash != block.header.next_validators_hash)
            .map(|block| Link {
                header: block.header.clone(),
                certificate: block.certificate.clone(),
                next: block.next.clone(),
            })
            .collect()
    }

    pub(crate) fn proven_key(&self, key: &PublicKey) -> ProvenKey {
        let place = registry::key_key(&key_id(key));
        ProvenKey {
            entry: KeyEntry::from_bytes(&self.entries[&place]).unwrap(),
            proof: naive::state_proof(&self.entries, &place),
        }
    }

    fn key_of(&self, kept: &Kept) -> ProvenKey {
        let place = self.entries.keys().find(|place| **place == registry::key_key(&kept.key)).unwrap();
        self.proven_key(&KeyEntry::from_bytes(&self.entries[place]).unwrap().key)
    }

    /// The last item's index.
    pub(crate) fn last(&self) -> u64 {
        *self.kept.keys().last().unwrap()
    }

    pub(crate) fn receipt(&self, index: u64) -> Receipt {
        let kept = &self.kept[&index];
        Receipt {
            item: Bytes::new(kept.item.clone()).unwrap(),
            envelope: Bytes::new(kept.envelope.clone()).unwrap(),
            item_path: List::new(kept.item_path.clone()).unwrap(),
            record: Bytes::new(self.log[index as usize].clone()).unwrap(),
            record_path: List::new(naive::path(index as usize, &self.leaves())).unwrap(),
            header: self.head().header.clone(),
            certificate: self.head().certificate.clone(),
            author_key: self.key_of(kept),
            witnessed: None,
        }
    }

    pub(crate) fn trail_proof(&self, name: &TrailName, range: std::ops::Range<usize>) -> TrailProof {
        let records = self.trails.get(&name.key()).cloned().unwrap_or_default();
        let leaves: Vec<Digest> = records.iter().map(|i| naive::leaf(&self.log[*i as usize])).collect();
        let (mut envelopes, mut keys, mut entries) = (Vec::<Vec<u8>>::new(), BTreeMap::new(), Vec::new());
        for index in &records[range.clone()] {
            let kept = &self.kept[index];
            let envelope = envelopes.iter().position(|e| *e == kept.envelope).unwrap_or_else(|| {
                envelopes.push(kept.envelope.clone());
                envelopes.len() - 1
            });
            keys.insert(kept.key, self.key_of(kept));
            entries.push(Entry::Full {
                record: Bytes::new(self.log[*index as usize].clone()).unwrap(),
                item: Bytes::new(kept.item.clone()).unwrap(),
                envelope: envelope as u32,
                item_path: List::new(kept.item_path.clone()).unwrap(),
            });
        }
        let place = registry::trail_key(&name.key());
        TrailProof {
            name: name.clone(),
            header: self.head().header.clone(),
            certificate: self.head().certificate.clone(),
            head: self.entries.get(&place).map(|bytes| TrailHead::from_bytes(bytes).unwrap()),
            head_proof: naive::state_proof(&self.entries, &place),
            begin: range.start as u64,
            entries: List::new(entries).unwrap(),
            range_path: List::new(naive::range_path(range.start, range.end, &leaves)).unwrap(),
            envelopes: List::new(envelopes.into_iter().map(|e| Bytes::new(e).unwrap()).collect()).unwrap(),
            keys: List::new(keys.into_values().collect()).unwrap(),
            witnessed: None,
        }
    }

    pub(crate) fn whole_trail(&self, name: &TrailName) -> TrailProof {
        self.trail_proof(name, 0..self.trails.get(&name.key()).map_or(0, Vec::len))
    }
}

/// One value for each sealed field of an event.
fn values() -> Vec<Vec<u8>> {
    (1..=Kind::AccessEvent.sealed_fields().len() as u8).map(|field| vec![field]).collect()
}
