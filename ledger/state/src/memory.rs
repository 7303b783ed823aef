//! The state in memory: the smallest thing that is a [`View`], for tests and simulation.
//!
//! It keeps what a real store keeps, in ordered maps, and passes the same suite. Deliberately
//! absent: durability, proofs of the log, anything fast.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use custos_proof::cbor::Wire;
use custos_proof::hash::{Digest, ItemHash, StateKey, TrailKey};
use custos_proof::ids::{Height, LogIndex, Random16, TimeMs};
use custos_proof::item::Item;
use custos_proof::record::Record;
use custos_proof::registry::DuePlace;
use custos_proof::state_map::{NibblePath, Page};
use custos_proof::submission::Author;

use crate::apply::Start;
use crate::changes::{Changes, Erasure, NewListing, NewRecord};
use crate::view::{Head, View, ViewError};

/// A chain's state and log in memory.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    head: Arc<Head>,
    entries: BTreeMap<StateKey, Vec<u8>>,
    pages: BTreeMap<NibblePath, Page>,
    trail_frontiers: BTreeMap<TrailKey, Vec<Digest>>,
    nonces: BTreeSet<(u64, Author, Random16)>,
    events: BTreeMap<(Author, Random16), (LogIndex, ItemHash)>,
    dues: BTreeSet<DuePlace>,
    times: Vec<TimeMs>,
    records: Vec<NewRecord>,
    listings: BTreeMap<(TrailKey, u64), NewListing>,
}

impl MemoryStore {
    /// The state at height 0.
    #[must_use]
    pub fn new(start: &Start) -> Self {
        Self {
            head: Arc::new(start.head.clone()),
            entries: start.entries.iter().cloned().collect(),
            pages: start.pages.iter().cloned().collect(),
            trail_frontiers: BTreeMap::new(),
            nonces: BTreeSet::new(),
            events: BTreeMap::new(),
            dues: BTreeSet::new(),
            times: vec![start.time],
            records: Vec::new(),
            listings: BTreeMap::new(),
        }
    }

    /// Takes over what a block changes.
    ///
    /// # Errors
    /// [`ViewError::Damaged`] when the changes do not follow the head.
    pub fn commit(&mut self, changes: &Changes) -> Result<(), ViewError> {
        if changes.header.parent != self.head.block_id || changes.header.height != self.head.height.next() {
            return Err(ViewError::Damaged { what: "changes that do not follow the head".into() });
        }
        for (key, value) in &changes.entries {
            match value {
                Some(value) => self.entries.insert(*key, value.clone()),
                None => self.entries.remove(key),
            };
        }
        for (path, page) in &changes.pages {
            match page {
                Some(page) => self.pages.insert(*path, page.clone()),
                None => self.pages.remove(path),
            };
        }
        self.trail_frontiers.extend(changes.trail_frontiers.iter().cloned());
        for (author, bucket) in &changes.dropped_nonces {
            self.nonces.retain(|(b, a, _)| b != bucket || a != author);
        }
        self.nonces
            .extend(changes.nonces.iter().map(|(author, bucket, nonce)| (*bucket, author.clone(), *nonce)));
        self.events.extend(
            changes
                .events
                .iter()
                .map(|(author, event, index, item)| ((author.clone(), *event), (*index, *item))),
        );
        for (place, is_new) in &changes.dues {
            match is_new {
                true => self.dues.insert(place.clone()),
                false => self.dues.remove(place),
            };
        }
        self.times.push(changes.header.time);
        self.records.extend(changes.records.iter().cloned());
        self.listings.extend(changes.listings.iter().map(|l| ((l.trail, l.position), *l)));
        for erasure in &changes.erasures {
            self.erase(erasure)?;
        }
        self.head = Arc::new(changes.head.clone());
        Ok(())
    }

    fn erase(&mut self, erasure: &Erasure) -> Result<(), ViewError> {
        let damaged = |what: String| ViewError::Damaged { what };
        let range = (erasure.trail, erasure.from)..(erasure.trail, erasure.to);
        for listing in self.listings.range(range).map(|(_, listing)| *listing) {
            let new = usize::try_from(listing.index.0).ok().and_then(|index| self.records.get_mut(index));
            let new = new.ok_or_else(|| damaged(format!("record {} of a trail", listing.index)))?;
            let Some((_, bytes)) = &new.item else { continue };
            let (record, item) = Record::from_bytes(&new.bytes)
                .and_then(|record| Ok((record, Item::from_bytes(bytes)?)))
                .map_err(|error| damaged(format!("record {}: {error}", listing.index)))?;
            if erasure.covers(record.time, &item.fields) {
                new.item = None;
            }
        }
        Ok(())
    }

    /// The leaves of the log.
    #[must_use]
    pub fn records(&self) -> &[NewRecord] {
        &self.records
    }

    /// A trail's places, in order.
    #[must_use]
    pub fn trail(&self, trail: &TrailKey) -> Vec<NewListing> {
        self.listings.range((*trail, 0)..=(*trail, u64::MAX)).map(|(_, listing)| *listing).collect()
    }

    /// Every entry of the state map.
    pub fn entries(&self) -> impl Iterator<Item = (&StateKey, &[u8])> {
        self.entries.iter().map(|(key, value)| (key, value.as_slice()))
    }
}

impl View for MemoryStore {
    fn head(&self) -> Result<Arc<Head>, ViewError> {
        Ok(Arc::clone(&self.head))
    }
    fn entry(&self, key: &StateKey) -> Result<Option<Vec<u8>>, ViewError> {
        Ok(self.entries.get(key).cloned())
    }
    fn page(&self, path: &NibblePath) -> Result<Option<Page>, ViewError> {
        Ok(self.pages.get(path).cloned())
    }
    fn trail_frontier(&self, trail: &TrailKey) -> Result<Vec<Digest>, ViewError> {
        Ok(self.trail_frontiers.get(trail).cloned().unwrap_or_default())
    }
    fn has_nonce(&self, author: &Author, bucket: u64, nonce: &Random16) -> Result<bool, ViewError> {
        Ok(self.nonces.contains(&(bucket, author.clone(), *nonce)))
    }
    fn nonce_buckets_before(&self, bucket: u64) -> Result<Vec<(Author, u64)>, ViewError> {
        let mut found: Vec<_> = self
            .nonces
            .iter()
            .take_while(|(b, _, _)| *b < bucket)
            .map(|(b, author, _)| (author.clone(), *b))
            .collect();
        found.dedup();
        Ok(found)
    }
    fn event(&self, author: &Author, event: &Random16) -> Result<Option<(LogIndex, ItemHash)>, ViewError> {
        Ok(self.events.get(&(author.clone(), *event)).copied())
    }
    fn block_time(&self, height: Height) -> Result<Option<TimeMs>, ViewError> {
        Ok(usize::try_from(height.0).ok().and_then(|i| self.times.get(i)).copied())
    }
    fn due_until(&self, time: TimeMs, limit: usize) -> Result<Vec<DuePlace>, ViewError> {
        Ok(self.dues.iter().take_while(|place| place.deadline <= time).take(limit).cloned().collect())
    }
    fn next_due(&self) -> Result<Option<TimeMs>, ViewError> {
        Ok(self.dues.first().map(|place| place.deadline))
    }
}
