//! Legal holds, as a store asks about them before it takes items out on its operator's wish.
//!
//! A hold is on a subject's trail, or on everything of a custodian; the state map counts those in force by trail,
//! and an institution's trail stands for the institution. A record is kept when any trail in which it stands is held,
//! or belongs to a custodian that is.
//!
//! Deliberately absent: what an order of erasure may take. That is the validators' rule, and judged before it is recorded.

use std::collections::HashMap;

use custos_proof::hash::TrailKey;
use custos_proof::record::Record;
use custos_state::overlay::Overlay;
use custos_state::view::ViewError;

use crate::error::StoreError;
use crate::snapshot::Snapshot;
use crate::store::damaged;
use crate::tables::Table;

/// What is on hold at a snapshot's head.
pub(crate) struct Holds<'s, 'db> {
    snapshot: &'s Snapshot<'db>,
    /// The rules' own reading of it.
    state: Overlay<'s>,
    /// Trails that were asked about before.
    known: HashMap<TrailKey, bool>,
}

impl<'s, 'db> Holds<'s, 'db> {
    pub(crate) fn new(snapshot: &'s Snapshot<'db>) -> Result<Self, StoreError> {
        let state = Overlay::new(snapshot, snapshot.head().time).map_err(|error| of_state("head", error))?;
        Ok(Self { snapshot, state, known: HashMap::new() })
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
        let held = self.state.is_held(trail).map_err(|error| of_state(&trail.to_string(), error))?;
        self.known.insert(*trail, held);
        Ok(held)
    }
}

fn of_state(key: &str, error: ViewError) -> StoreError {
    match error {
        ViewError::Io(why) => StoreError::Io(why),
        ViewError::Damaged { what } => damaged(Table::State, key, "whether it is on hold", what),
    }
}
