//! Entries of the state map that every submission asks for, decoded and in memory: policy,
//! participants, keys, buckets of nonces.
//!
//! There are few of them and they change seldom, but each submission reads about five, at intake and
//! again in its block; from the database that costs more than everything else that admission does. They are
//! found by what they are about: their keys of the state map are hashes, and cost as much to compute as all
//! the rest of a look.
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

use custos_proof::hash::{KeyId, StateKey};
use custos_proof::ids::{Height, ParticipantId};
use custos_proof::registry;
use custos_proof::submission::Author;

/// The most entries that are held: participants and their keys of a large network, in about two megabytes.
const MAX_ENTRIES: usize = 4096;

/// What an entry is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum EntryName {
    /// The policy.
    Policy,
    /// A participant.
    Participant(ParticipantId),
    /// A key.
    Key(KeyId),
    /// An author's nonces of one bucket.
    Nonces(Author, u64),
}

impl EntryName {
    /// Where it stands in the state map.
    pub(crate) fn key(&self) -> StateKey {
        match self {
            EntryName::Policy => registry::policy_key(),
            EntryName::Participant(id) => registry::participant_key(id),
            EntryName::Key(id) => registry::key_key(id),
            EntryName::Nonces(author, bucket) => registry::nonce_key(author, *bucket),
        }
    }
}

/// A bounded cache of decoded entries at the head.
#[derive(Debug)]
pub(crate) struct EntryCache {
    held: RwLock<Held>,
}

#[derive(Debug)]
struct Held {
    height: Height,
    entries: HashMap<EntryName, Arc<dyn Any + Send + Sync>>,
    /// The names of what is held, by key: a block's changes are told by key.
    names: HashMap<StateKey, EntryName>,
}

impl EntryCache {
    pub(crate) fn new(height: Height) -> Self {
        Self { held: RwLock::new(Held { height, entries: HashMap::new(), names: HashMap::new() }) }
    }

    /// The entry, if it is held and the cache is of this height. A name is of one type.
    pub(crate) fn entry<T: Send + Sync + 'static>(&self, height: Height, name: &EntryName) -> Option<Arc<T>> {
        // A panic while the lock was held leaves it poisoned, and the cache out of use: here and below.
        let held = self.held.read().ok()?;
        let entry = held.entries.get(name).filter(|_| held.height == height)?;
        Arc::clone(entry).downcast().ok()
    }

    /// Keeps an entry that was read at `height` under `key`, if that is still current.
    pub(crate) fn keep<T: Send + Sync + 'static>(
        &self,
        height: Height,
        name: EntryName,
        key: StateKey,
        entry: &Arc<T>,
    ) {
        let Ok(mut held) = self.held.write() else { return };
        if held.height != height {
            return;
        }
        // Begin anew rather than hold on to what was asked for first.
        if held.entries.len() >= MAX_ENTRIES {
            held.entries.clear();
            held.names.clear();
        }
        held.names.insert(key, name.clone());
        held.entries.insert(name, Arc::clone(entry) as _);
    }

    /// Moves on to `height`, whose block changed these entries. MUST be called for every committed block.
    pub(crate) fn advance(&self, height: Height, changed: &[(StateKey, Option<Vec<u8>>)]) {
        let Ok(mut held) = self.held.write() else { return };
        held.height = height;
        for (key, _) in changed {
            if let Some(name) = held.names.remove(key) {
                held.entries.remove(&name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: EntryName = EntryName::Policy;
    const OTHER: EntryName = EntryName::Key(KeyId([2; 32]));

    fn keep(cache: &EntryCache, height: u64, name: &EntryName, value: u64) {
        cache.keep(Height(height), name.clone(), name.key(), &Arc::new(value));
    }

    fn read(cache: &EntryCache, height: u64, name: &EntryName) -> Option<u64> {
        cache.entry::<u64>(Height(height), name).map(|entry| *entry)
    }

    #[test]
    fn an_entry_is_seen_at_its_own_height_only_and_goes_when_its_block_changes_it() {
        let cache = EntryCache::new(Height(5));
        keep(&cache, 5, &ONE, 7);
        keep(&cache, 5, &OTHER, 8);
        assert_eq!([4, 5, 6].map(|height| read(&cache, height, &ONE)), [None, Some(7), None]);
        cache.advance(Height(6), &[(ONE.key(), Some(vec![1]))]);
        assert_eq!((read(&cache, 6, &ONE), read(&cache, 5, &ONE)), (None, None));
        assert_eq!((read(&cache, 6, &OTHER), read(&cache, 5, &OTHER)), (Some(8), None));
        // A reader that is still at height 5 finishes what it began: too late to be kept.
        keep(&cache, 5, &ONE, 7);
        assert_eq!(read(&cache, 6, &ONE), None);
        // One that is ahead of the cache: too early.
        keep(&cache, 7, &ONE, 9);
        assert_eq!((read(&cache, 6, &ONE), read(&cache, 7, &ONE)), (None, None));
        cache.advance(Height(7), &[(OTHER.key(), None)]);
        assert_eq!((read(&cache, 7, &ONE), read(&cache, 7, &OTHER)), (None, None));
    }

    #[test]
    fn names_of_different_things_have_different_keys_and_a_block_tells_them_apart() {
        let author = Author::Participant("hospital.example".parse().unwrap());
        let names = [
            EntryName::Policy,
            EntryName::Participant("hospital.example".parse().unwrap()),
            EntryName::Participant("clinic.example".parse().unwrap()),
            EntryName::Key(KeyId([1; 32])),
            EntryName::Nonces(author.clone(), 1),
            EntryName::Nonces(author, 2),
        ];
        for (gone, changed) in names.iter().enumerate() {
            let cache = EntryCache::new(Height(1));
            (0..).zip(&names).for_each(|(n, name)| keep(&cache, 1, name, n));
            cache.advance(Height(2), &[(changed.key(), None)]);
            for (n, name) in (0..).zip(&names) {
                let expected = (n != gone as u64).then_some(n);
                assert_eq!(read(&cache, 2, name), expected, "{name:?} after {changed:?}");
            }
        }
    }

    #[test]
    fn a_name_asked_for_as_another_type_is_not_there() {
        let cache = EntryCache::new(Height(1));
        keep(&cache, 1, &ONE, 7);
        assert_eq!(cache.entry::<u32>(Height(1), &ONE), None);
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let cache = EntryCache::new(Height(1));
        for n in 0..3 * MAX_ENTRIES as u64 {
            let mut id = KeyId([0; 32]);
            id.0[..8].copy_from_slice(&n.to_be_bytes());
            keep(&cache, 1, &EntryName::Key(id), n);
            assert_eq!(read(&cache, 1, &EntryName::Key(id)), Some(n));
            let held = cache.held.read().unwrap();
            assert!(held.entries.len() <= MAX_ENTRIES && held.names.len() == held.entries.len());
        }
    }
}
