//! Legal holds, as a store asks about them before it takes items out on its operator's wish.
//!
//! A hold is on a subject's trail, or on everything of a custodian; the state map counts those in force by trail,
//! and an institution's trail stands for the institution. A record is kept when any trail in which it stands is held,
//! or belongs to a custodian that is.
//!
//! Deliberately absent: what an order of erasure may take. That is the validators' rule, and judged before it is recorded.

use std::collections::HashMap;

use custos_proof::cbor::Wire;
use custos_proof::hash::{StateKey, TrailKey};
use custos_proof::record::Record;
use custos_proof::registry::{self, SubjectTrail};
use custos_proof::trail::TrailName;

use crate::error::StoreError;
use crate::snapshot::Snapshot;
use crate::store::damaged;
use crate::tables::Table;

/// What is on hold at a snapshot's head.
pub(crate) struct Holds<'s, 'db> {
    snapshot: &'s Snapshot<'db>,
    /// Trails that were asked about before.
    known: HashMap<TrailKey, bool>,
}

impl<'s, 'db> Holds<'s, 'db> {
    pub(crate) fn new(snapshot: &'s Snapshot<'db>) -> Self {
        Self { snapshot, known: HashMap::new() }
    }

    /// The snapshot that they are of.
    pub(crate) fn snapshot(&self) -> &'s Snapshot<'db> {
        self.snapshot
    }

    /// Whether the item of this record has to be kept.
    pub(crate) fn keep(&mut self, record: &Record) -> Result<bool, StoreError> {
        for listing in record.listings() {
            if self.is_held(&listing.trail)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_held(&mut self, trail: &TrailKey) -> Result<bool, StoreError> {
        if let Some(held) = self.known.get(trail) {
            return Ok(*held);
        }
        let held = self.counted(trail)? || self.custodian_is_held(trail)?;
        self.known.insert(*trail, held);
        Ok(held)
    }

    fn counted(&self, trail: &TrailKey) -> Result<bool, StoreError> {
        let holds = self.entry::<u64>(&registry::held_key(trail), "a number of holds")?;
        Ok(holds.is_some_and(|holds| holds > 0))
    }

    /// Institutions' trails have no entry of their own.
    fn custodian_is_held(&self, trail: &TrailKey) -> Result<bool, StoreError> {
        match self.entry::<SubjectTrail>(&registry::subject_key(trail), "a subject's trail")? {
            Some(subject) => self.counted(&TrailName::institution(&subject.custodian).key()),
            None => Ok(false),
        }
    }

    fn entry<T: Wire>(&self, key: &StateKey, expected: &str) -> Result<Option<T>, StoreError> {
        let Some(bytes) = self.snapshot.state_entry(key)? else { return Ok(None) };
        T::from_bytes(&bytes)
            .map(Some)
            .map_err(|error| damaged(Table::State, key.to_string(), expected, error.to_string()))
    }
}
