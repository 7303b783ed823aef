//! One suite for every store: what a view answers after each block, judged by an oracle of plain maps.
//!
//! The oracle is filled from the blocks' changes and asked about everything they ever mentioned, by
//! code that shares nothing with either store.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use common::{Decided, Network};
use custos_proof::cbor::Wire;
use custos_proof::hash::{Digest, ItemHash, KeyId, StateKey, TrailKey};
use custos_proof::ids::{Height, LogIndex, ParticipantId, Random16, TimeMs};
use custos_proof::registry::{self, DuePlace};
use custos_proof::state_map::{NibblePath, Page};
use custos_proof::submission::Author;
use custos_state::apply::Start;
use custos_state::changes::Changes;
use custos_state::memory::MemoryStore;
use custos_state::view::{Head, View};
use custos_store::Store;

/// A store under test.
trait Subject {
    fn commit(&mut self, decided: &Decided);
    fn ask<T>(&self, question: impl FnOnce(&dyn View) -> T) -> T;
    /// Whatever the store can do to forget what is only in memory.
    fn restart(&mut self) {}
}

impl Subject for MemoryStore {
    fn commit(&mut self, decided: &Decided) {
        MemoryStore::commit(self, &decided.changes).unwrap();
    }
    fn ask<T>(&self, question: impl FnOnce(&dyn View) -> T) -> T {
        question(self)
    }
}

struct OnDisk {
    store: Option<Store>,
    dir: tempfile::TempDir,
}

impl OnDisk {
    fn create(network: &Network) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(dir.path(), &network.genesis, &network.start).unwrap();
        Self { store: Some(store), dir }
    }
    fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Subject for OnDisk {
    fn commit(&mut self, decided: &Decided) {
        self.store.as_ref().unwrap().commit(&decided.changes, &decided.certificate).unwrap();
    }
    fn ask<T>(&self, question: impl FnOnce(&dyn View) -> T) -> T {
        question(&self.store.as_ref().unwrap().snapshot().unwrap())
    }
    fn restart(&mut self) {
        self.store = None;
        self.store = Some(Store::open(self.path()).unwrap());
    }
}

/// What the answers have to be.
struct Oracle {
    head: Head,
    entries: BTreeMap<StateKey, Option<Vec<u8>>>,
    pages: BTreeMap<NibblePath, Option<Page>>,
    frontiers: BTreeMap<TrailKey, Vec<Digest>>,
    nonces: BTreeMap<(u64, Author, Random16), bool>,
    events: BTreeMap<(Author, Random16), (LogIndex, ItemHash)>,
    dues: BTreeSet<DuePlace>,
    times: Vec<TimeMs>,
    participants: BTreeSet<ParticipantId>,
    keys: BTreeSet<KeyId>,
    buckets: BTreeSet<(Author, u64)>,
}

impl Oracle {
    fn new(start: &Start) -> Self {
        Self {
            head: start.head.clone(),
            entries: start.entries.iter().map(|(key, value)| (*key, Some(value.clone()))).collect(),
            pages: start.pages.iter().map(|(path, page)| (*path, Some(page.clone()))).collect(),
            frontiers: BTreeMap::new(),
            nonces: BTreeMap::new(),
            events: BTreeMap::new(),
            dues: BTreeSet::new(),
            times: vec![start.head.time],
            participants: start.participants.iter().cloned().collect(),
            keys: start.keys.iter().map(|(_, id)| *id).collect(),
            buckets: BTreeSet::new(),
        }
    }

    fn learn(&mut self, changes: &Changes) {
        self.head = changes.head.clone();
        self.entries.extend(changes.entries.iter().cloned());
        self.pages.extend(changes.pages.iter().cloned());
        self.frontiers.extend(changes.trail_frontiers.iter().cloned());
        for ((bucket, author, _), live) in &mut self.nonces {
            *live &= !changes.dropped_nonces.contains(&(author.clone(), *bucket));
        }
        self.nonces.extend(
            changes.nonces.iter().map(|(author, bucket, nonce)| ((*bucket, author.clone(), *nonce), true)),
        );
        for (author, event, index, item) in &changes.events {
            self.events.insert((author.clone(), *event), (*index, *item));
        }
        for (place, is_new) in &changes.dues {
            assert_eq!(self.dues.contains(place), !is_new, "made once, settled once");
            match is_new {
                true => self.dues.insert(place.clone()),
                false => self.dues.remove(place),
            };
        }
        self.times.push(changes.header.time);
        self.participants.extend(changes.participants.iter().cloned());
        self.keys.extend(changes.keys.iter().map(|(_, id)| *id));
        self.buckets.extend(changes.nonces.iter().map(|(author, bucket, _)| (author.clone(), *bucket)));
    }

    fn judge(&self, view: &dyn View) {
        assert_eq!(*view.head().unwrap(), self.head);
        for (key, value) in &self.entries {
            assert_eq!(view.entry(key).unwrap(), *value);
        }
        for (path, page) in &self.pages {
            assert_eq!(view.page(path).unwrap(), *page, "{path}");
        }
        for (trail, frontier) in &self.frontiers {
            assert_eq!(view.trail_frontier(trail).unwrap(), *frontier);
        }
        let mut buckets = BTreeSet::new();
        for ((bucket, author, nonce), live) in &self.nonces {
            assert_eq!(view.has_nonce(author, *bucket, nonce).unwrap(), *live);
            assert!(!view.has_nonce(author, bucket + 1, nonce).unwrap());
            if *live {
                buckets.insert((*bucket, author.clone()));
            }
        }
        let last = buckets.last().map_or(0, |(bucket, _)| *bucket);
        for before in [0, last, last + 1, u64::MAX] {
            let expected: Vec<_> =
                buckets.iter().filter(|(b, _)| *b < before).map(|(b, author)| (author.clone(), *b)).collect();
            assert_eq!(view.nonce_buckets_before(before).unwrap(), expected);
        }
        for ((author, event), found) in &self.events {
            assert_eq!(view.event(author, event).unwrap(), Some(*found));
        }
        for (height, time) in (0..).zip(&self.times) {
            assert_eq!(view.block_time(Height(height)).unwrap(), Some(*time));
        }
        assert_eq!(view.next_due().unwrap(), self.dues.first().map(|place| place.deadline));
        let last = self.dues.last().map_or(0, |place| place.deadline.0);
        for until in [0, last.saturating_sub(1), last, u64::MAX] {
            for limit in [0, 1, 2, 100] {
                let due = self.dues.iter().filter(|place| place.deadline.0 <= until);
                let expected: Vec<_> = due.take(limit).cloned().collect();
                assert_eq!(view.due_until(TimeMs(until), limit).unwrap(), expected);
            }
        }
        // Twice: what was read may be held in memory.
        for _ in 0..2 {
            self.judge_decoded(view);
        }
        // What nobody ever mentioned.
        let nobody = Author::Subject(TrailKey([7; 32]));
        assert_eq!(view.entry(&StateKey([7; 32])).unwrap(), None);
        assert_eq!(view.trail_frontier(&TrailKey([7; 32])).unwrap(), []);
        assert!(!view.has_nonce(&nobody, 0, &Random16([7; 16])).unwrap());
        assert_eq!(view.event(&nobody, &Random16([7; 16])).unwrap(), None);
        assert_eq!(view.block_time(Height(self.times.len() as u64)).unwrap(), None);
        assert_eq!(view.block_time(Height(u64::MAX)).unwrap(), None);
        assert_eq!(view.participant(&"nobody".parse().unwrap()).unwrap(), None);
        assert_eq!(view.key(&KeyId([7; 32])).unwrap(), None);
        assert_eq!(view.nonce_bucket(&nobody, 0).unwrap(), None);
    }

    /// Entries that a view gives decoded are those that it gives as bytes.
    fn judge_decoded(&self, view: &dyn View) {
        let bytes = |key: StateKey| self.entries.get(&key).cloned().flatten();
        let policy = view.policy().unwrap().map(|entry| entry.to_bytes());
        assert_eq!(policy, bytes(registry::policy_key()));
        for id in &self.participants {
            let participant = view.participant(id).unwrap().map(|entry| entry.to_bytes());
            assert_eq!(participant, bytes(registry::participant_key(id)), "{id}");
        }
        for id in &self.keys {
            let key = view.key(id).unwrap().map(|entry| entry.to_bytes());
            assert_eq!(key, bytes(registry::key_key(id)), "{id}");
        }
        for (author, bucket) in &self.buckets {
            let nonces = view.nonce_bucket(author, *bucket).unwrap().map(|entry| entry.to_bytes());
            assert_eq!(nonces, bytes(registry::nonce_key(author, *bucket)), "{author} {bucket}");
        }
    }
}

/// Drives a store through a chain with something of everything; blocks lie so far apart that nonces expire.
fn run(mut network: Network, mut store: impl Subject) {
    network.pace_ms = 200_000;
    let mut oracle = Oracle::new(&network.start);
    store.ask(|view| oracle.judge(view));
    let (mut dropped, mut settled, mut most) = (0, 0, 0);
    for height in 1..=24 {
        let decided = store.ask(|view| network.varied(view));
        dropped += decided.changes.dropped_nonces.len();
        settled += decided.changes.dues.iter().filter(|(_, is_new)| !is_new).count();
        store.commit(&decided);
        oracle.learn(&decided.changes);
        most = most.max(oracle.dues.len());
        if height % 6 == 0 {
            store.restart();
        }
        store.ask(|view| oracle.judge(view));
    }
    assert!(dropped > 0, "the story has no nonce that expired");
    assert!(settled > 3 && most > 0, "the story has nothing that falls due");
}

#[test]
fn the_memory_store_answers_as_the_oracle() {
    let network = Network::new();
    let store = MemoryStore::new(&network.start);
    run(network, store);
}

#[test]
fn the_store_on_disk_answers_as_the_oracle() {
    let network = Network::new();
    let store = OnDisk::create(&network);
    run(network, store);
}
