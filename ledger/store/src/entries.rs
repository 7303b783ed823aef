//! Entries of the state map that every submission asks for, decoded and in memory: policy,
//! participants, keys, buckets of nonces.
//!
//! There are few of them and they change seldom, but each submission reads about five, at intake and
//! again in its block; from the database that costs more than everything else that admission does.
//!
//! # Correctness
//! The cache belongs to one height. A block's changes name every entry that it replaces or removes, and
//! exactly these are forgotten in the same step in which the cache moves on to the block's height. A
//! reader at any other height neither reads from the cache nor adds to it, so that nobody sees an entry
//! that is not of its own version: between a block's write and that step readers are at the new height
//! already, and go to the database.
//!
//! Deliberately absent: entries that do not exist. Names that nobody registered are made up without
//! end.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use custos_proof::hash::StateKey;
use custos_proof::ids::Height;

/// The most entries that are held: participants and their keys of a large network, in about two megabytes.
const MAX_ENTRIES: usize = 4096;

/// A bounded cache of decoded entries at the head.
#[derive(Debug)]
pub(crate) struct EntryCache {
    held: RwLock<Held>,
}

#[derive(Debug)]
struct Held {
    height: Height,
    entries: HashMap<StateKey, Arc<dyn Any + Send + Sync>>,
}

impl EntryCache {
    pub(crate) fn new(height: Height) -> Self {
        Self { held: RwLock::new(Held { height, entries: HashMap::new() }) }
    }

    /// The entry, if it is held and the cache is of this height. A key is of one type.
    pub(crate) fn entry<T: Send + Sync + 'static>(&self, height: Height, key: &StateKey) -> Option<Arc<T>> {
        // A panic while the lock was held leaves it poisoned, and the cache out of use: here and below.
        let held = self.held.read().ok()?;
        let entry = held.entries.get(key).filter(|_| held.height == height)?;
        Arc::clone(entry).downcast().ok()
    }

    /// Keeps an entry that was read at `height`, if that is still current.
    pub(crate) fn keep<T: Send + Sync + 'static>(&self, height: Height, key: &StateKey, entry: &Arc<T>) {
        let Ok(mut held) = self.held.write() else { return };
        if held.height != height {
            return;
        }
        // Begin anew rather than hold on to what was asked for first.
        if held.entries.len() >= MAX_ENTRIES {
            held.entries.clear();
        }
        held.entries.insert(*key, Arc::clone(entry) as _);
    }

    /// Moves on to `height`, whose block changed these entries. MUST be called for every committed block.
    pub(crate) fn advance(&self, height: Height, changed: &[(StateKey, Option<Vec<u8>>)]) {
        let Ok(mut held) = self.held.write() else { return };
        held.height = height;
        for (key, _) in changed {
            held.entries.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: StateKey = StateKey([1; 32]);
    const OTHER: StateKey = StateKey([2; 32]);

    fn read(cache: &EntryCache, height: u64, key: &StateKey) -> Option<u64> {
        cache.entry::<u64>(Height(height), key).map(|entry| *entry)
    }

    #[test]
    fn an_entry_is_seen_at_its_own_height_only_and_goes_when_its_block_changes_it() {
        let cache = EntryCache::new(Height(5));
        cache.keep(Height(5), &KEY, &Arc::new(7u64));
        cache.keep(Height(5), &OTHER, &Arc::new(8u64));
        assert_eq!([4, 5, 6].map(|height| read(&cache, height, &KEY)), [None, Some(7), None]);
        cache.advance(Height(6), &[(KEY, Some(vec![1]))]);
        assert_eq!((read(&cache, 6, &KEY), read(&cache, 5, &KEY)), (None, None));
        assert_eq!((read(&cache, 6, &OTHER), read(&cache, 5, &OTHER)), (Some(8), None));
        // A reader that is still at height 5 finishes what it began: too late to be kept.
        cache.keep(Height(5), &KEY, &Arc::new(7u64));
        assert_eq!(read(&cache, 6, &KEY), None);
        // One that is ahead of the cache: too early.
        cache.keep(Height(7), &KEY, &Arc::new(9u64));
        assert_eq!((read(&cache, 6, &KEY), read(&cache, 7, &KEY)), (None, None));
        cache.advance(Height(7), &[(OTHER, None)]);
        assert_eq!((read(&cache, 7, &KEY), read(&cache, 7, &OTHER)), (None, None));
    }

    #[test]
    fn a_key_asked_for_as_another_type_is_not_there() {
        let cache = EntryCache::new(Height(1));
        cache.keep(Height(1), &KEY, &Arc::new(7u64));
        assert_eq!(cache.entry::<u32>(Height(1), &KEY), None);
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let cache = EntryCache::new(Height(1));
        for n in 0..3 * MAX_ENTRIES as u64 {
            let mut key = StateKey([0; 32]);
            key.0[..8].copy_from_slice(&n.to_be_bytes());
            cache.keep(Height(1), &key, &Arc::new(n));
            assert_eq!(read(&cache, 1, &key), Some(n));
            assert!(cache.held.read().unwrap().entries.len() <= MAX_ENTRIES);
        }
    }
}
