//! The trees of a store as sources of hashes: the log from its tiles, a trail from its own and the log's.
//!
//! Proofs are made by `custos_proof::merkle` over these, with the code that the tests of that crate
//! check against an independent reference. At the head's size the right edge of a tree comes from its
//! frontier, which is in memory or one read away.

use std::cell::RefCell;
use std::sync::Arc;

use custos_proof::hash::{Digest, TrailKey};
use custos_proof::merkle::{self, NodeSource, ProveError};

use crate::error::StoreError;
use crate::snapshot::Snapshot;
use crate::store::{damaged, hex};
use crate::tables::{self, Table};
use crate::tile_cache::{Held, Place};
use crate::tiles::{self, HEIGHT, Spot};

/// How many tiles one proof keeps at hand: a path needs one for each level on both sides.
const AT_HAND: usize = 8;

/// A perfect subtree: level, index, root.
type Known = (u8, u64, Digest);

/// The log.
pub(crate) struct LogTree<'s> {
    snapshot: &'s Snapshot<'s>,
    edge: Vec<Known>,
    at_hand: RefCell<Vec<(Place, Arc<Held>)>>,
}

impl<'s> LogTree<'s> {
    /// The log as of the snapshot; proofs of earlier sizes come from the same tiles.
    pub(crate) fn new(snapshot: &'s Snapshot<'s>) -> Self {
        let head = snapshot.head();
        Self {
            snapshot,
            edge: perfect_subtrees(head.log_size.0, &head.log_frontier),
            at_hand: RefCell::default(),
        }
    }
}

impl NodeSource for LogTree<'_> {
    type Error = StoreError;

    fn subtree(&self, level: u8, index: u64) -> Result<Digest, StoreError> {
        if let Some((_, _, hash)) = self.edge.iter().find(|known| (known.0, known.1) == (level, index)) {
            return Ok(*hash);
        }
        let none = || damaged(Table::Tiles, format!("node {index} at level {level}"), "a hash", "nothing");
        let spot = Spot::of(level, index).ok_or_else(none)?;
        let length = tiles::length(spot.level, spot.tile, self.snapshot.head().log_size.0);
        let place = (spot.level, spot.tile, length);
        let mut at_hand = self.at_hand.borrow_mut();
        if let Some((_, tile)) = at_hand.iter().find(|(at, _)| *at == place) {
            return tile.root(spot.offset, spot.count).ok_or_else(none);
        }
        let cache = self.snapshot.tile_cache();
        let tile = match cache.get(place) {
            Some(tile) => tile,
            None => {
                let key = tables::tile_key(spot.level, spot.tile);
                let tile = self.snapshot.tile(Table::Tiles, &key)?.ok_or_else(none)?;
                cache.keep(place, tile)
            }
        };
        let hash = tile.root(spot.offset, spot.count).ok_or_else(none);
        if at_hand.len() == AT_HAND {
            at_hand.remove(0);
        }
        at_hand.push((place, tile));
        hash
    }
}

/// A trail.
pub(crate) struct TrailTree<'s> {
    snapshot: &'s Snapshot<'s>,
    trail: TrailKey,
    edge: Vec<Known>,
    /// Has the leaf hashes.
    log: LogTree<'s>,
}

impl<'s> TrailTree<'s> {
    /// The trail as of the snapshot, where it has `size` records.
    pub(crate) fn new(snapshot: &'s Snapshot<'s>, trail: &TrailKey, size: u64) -> Result<Self, StoreError> {
        let edge = perfect_subtrees(size, &snapshot.frontier_of(trail)?);
        Ok(Self { snapshot, trail: *trail, edge, log: LogTree::new(snapshot) })
    }
}

impl NodeSource for TrailTree<'_> {
    type Error = StoreError;

    fn subtree(&self, level: u8, index: u64) -> Result<Digest, StoreError> {
        if let Some((_, _, hash)) = self.edge.iter().find(|known| (known.0, known.1) == (level, index)) {
            return Ok(*hash);
        }
        let none = |table| {
            damaged(
                table,
                format!("trail {}, node {index} at level {level}", self.trail),
                "a hash",
                "nothing",
            )
        };
        let spot = Spot::of(level, index).ok_or_else(|| none(Table::Trails))?;
        if level < HEIGHT {
            let from = (spot.tile << HEIGHT) + spot.offset as u64;
            let indexes =
                self.snapshot.trail_rows(&self.trail, from, from.saturating_add(spot.count as u64))?;
            let leaves: Result<Vec<Digest>, _> =
                indexes.iter().map(|index| self.log.subtree(0, index.0)).collect();
            return Ok(merkle::root_of(&leaves?));
        }
        let key = tables::trail_tile_key(&self.trail, spot.level, spot.tile);
        let tile = self.snapshot.tile(Table::TrailTiles, &key)?.ok_or_else(|| none(Table::TrailTiles))?;
        tile.root(spot.offset, spot.count).ok_or_else(|| none(Table::TrailTiles))
    }
}

/// The subtrees that a frontier's hashes are the roots of; none if their number does not fit the size.
fn perfect_subtrees(size: u64, hashes: &[Digest]) -> Vec<Known> {
    if hashes.len() != size.count_ones() as usize {
        return vec![];
    }
    let mut begin = 0;
    (0..64u8)
        .rev()
        .filter(|level| size >> level & 1 == 1)
        .zip(hashes)
        .map(|(level, hash)| {
            let known = (level, begin >> level, *hash);
            begin += 1 << level;
            known
        })
        .collect()
}

/// A proof that could not be made, as an error of the store.
pub(crate) fn no_proof(error: ProveError<StoreError>) -> StoreError {
    match error {
        ProveError::Source(error) => error,
        out_of_range @ ProveError::OutOfRange { .. } => StoreError::OutOfRange(out_of_range.to_string()),
    }
}

/// A tile that does not decode.
pub(crate) fn bad_tile(table: Table, key: &[u8], found: usize) -> StoreError {
    damaged(
        table,
        hex(key),
        "1 to 256 hashes, then the roots over each 16 and each 64 of them",
        format!("{found} bytes"),
    )
}
