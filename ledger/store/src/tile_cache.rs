//! The log's tiles that proofs went through lately, in memory.
//!
//! A tile never changes as long as it has the same number of hashes, so what is held is right for every
//! reader, whatever the height. A tile that is asked for a second time gets all its inner nodes: 255
//! hashes once, and none for each later path through it.
//!
//! Whatever is full is emptied by second chance: what was asked for since it came up last stays.
//!
//! Deliberately absent: tiles of trails, which are read for a trail's proof and seldom twice.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use custos_proof::hash::Digest;

use crate::tiles::Tile;

/// Which tile: level, number, and how many hashes it has.
pub(crate) type Place = (u8, u64, usize);

/// A tile in memory.
#[derive(Debug)]
pub(crate) struct Held {
    tile: Tile,
    /// By level above the tile's hashes, once it is worth it.
    nodes: OnceLock<Vec<Vec<Digest>>>,
    asked_for: AtomicBool,
}

impl Held {
    /// As [`Tile::root`].
    pub(crate) fn root(&self, offset: usize, count: usize) -> Option<Digest> {
        let row = count.checked_ilog2().and_then(|level| level.checked_sub(1));
        match (self.nodes.get(), row) {
            (Some(nodes), Some(row)) => nodes.get(row as usize)?.get(offset / count).copied(),
            _ => self.tile.root(offset, count),
        }
    }
}

/// A bounded cache of the log's tiles.
#[derive(Debug)]
pub(crate) struct TileCache {
    limit: usize,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    tiles: HashMap<Place, Arc<Held>>,
    /// In the order in which they come up.
    order: VecDeque<Place>,
}

impl TileCache {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, inside: Mutex::default() }
    }

    /// The tile, if it is held.
    pub(crate) fn get(&self, place: Place) -> Option<Arc<Held>> {
        // A panic while the lock was held leaves it poisoned, and the cache out of use.
        let held = self.inside.lock().ok()?.tiles.get(&place).cloned()?;
        held.asked_for.store(true, Ordering::Relaxed);
        held.nodes.get_or_init(|| held.tile.nodes());
        Some(held)
    }

    /// Keeps a tile that was read. One that has another number of hashes than it should is not kept.
    pub(crate) fn keep(&self, place: Place, tile: Tile) -> Arc<Held> {
        let is_right = tile.hashes().len() == place.2;
        let held = Arc::new(Held { tile, nodes: OnceLock::new(), asked_for: AtomicBool::new(false) });
        if let Ok(mut inside) = self.inside.lock()
            && is_right
            && self.limit > 0
            && !inside.tiles.contains_key(&place)
        {
            while inside.tiles.len() >= self.limit {
                inside.drop_one();
            }
            inside.order.push_back(place);
            inside.tiles.insert(place, Arc::clone(&held));
        }
        held
    }

    /// Forgets every tile: they were written by other means than a block.
    pub(crate) fn forget(&self) {
        if let Ok(mut inside) = self.inside.lock() {
            *inside = Inside::default();
        }
    }
}

impl Inside {
    /// Drops one tile, if there is any: each is passed over once at most.
    fn drop_one(&mut self) {
        while let Some(place) = self.order.pop_front() {
            if self.tiles.get(&place).is_some_and(|held| held.asked_for.swap(false, Ordering::Relaxed)) {
                self.order.push_back(place);
            } else {
                self.tiles.remove(&place);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use custos_proof::hash::sha256;

    use super::*;

    fn tile(number: u64, len: usize) -> Tile {
        let hash = |i: usize| sha256(format!("{number} {i}").as_bytes());
        Tile::of((0..len).map(hash).collect())
    }

    #[test]
    fn what_is_held_gives_the_roots_of_the_tile_before_and_after_it_was_asked_for_again() {
        for len in [1, 2, 15, 16, 17, 63, 64, 65, 100, 255, 256] {
            let cache = TileCache::new(4);
            let first = cache.keep((0, 7, len), tile(7, len));
            let check = |held: &Held| {
                for count in (0..=8).map(|level| 1usize << level) {
                    for offset in (0..256).step_by(count) {
                        assert_eq!(held.root(offset, count), tile(7, len).root(offset, count));
                    }
                }
            };
            check(&first);
            check(&cache.get((0, 7, len)).unwrap());
            assert!(cache.get((0, 7, len + 1)).is_none() && cache.get((1, 7, len)).is_none());
        }
    }

    #[test]
    fn it_holds_so_many_and_those_that_are_asked_for() {
        let cache = TileCache::new(3);
        for number in 0..100 {
            cache.keep((0, number, 5), tile(number, 5));
            assert!(cache.get((0, 0, 5)).is_some(), "asked for all the time: {number}");
            let inside = cache.inside.lock().unwrap();
            assert_eq!(inside.tiles.len(), inside.order.len());
            assert!(inside.tiles.len() <= 3);
        }
        assert!(cache.get((0, 99, 5)).is_some() && cache.get((0, 50, 5)).is_none());
        cache.forget();
        assert!(cache.get((0, 99, 5)).is_none());
    }

    #[test]
    fn a_tile_of_the_wrong_length_is_given_back_and_not_kept() {
        let cache = TileCache::new(3);
        assert_eq!(cache.keep((0, 1, 6), tile(1, 5)).root(0, 1), tile(1, 5).root(0, 1));
        assert!(cache.get((0, 1, 6)).is_none() && cache.get((0, 1, 5)).is_none());
        let none = TileCache::new(0);
        none.keep((0, 1, 5), tile(1, 5));
        assert!(none.get((0, 1, 5)).is_none());
    }
}
