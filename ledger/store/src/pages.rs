//! The upper pages of the state map, decoded and in memory.
//!
//! Every block changes the map along a path from the top for each entry, and every proof walks one,
//! so the upper pages are read all the time and the lower ones hardly ever twice. The cache belongs
//! to one height: a reader at another height does not see it.

use std::collections::HashMap;
use std::sync::Mutex;

use custos_proof::ids::Height;
use custos_proof::state_map::{NibblePath, Page};

/// The deepest pages that are kept: 16^3 of them fit the default bound.
const MAX_NIBBLES: u8 = 3;

/// A bounded cache of pages at the head.
#[derive(Debug)]
pub(crate) struct PageCache {
    limit: usize,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    height: Height,
    pages: HashMap<NibblePath, Page>,
}

impl PageCache {
    pub(crate) fn new(height: Height, limit: usize) -> Self {
        Self { limit, held: Mutex::new(Held { height, pages: HashMap::new() }) }
    }

    /// The page, if it is held and the cache is of this height.
    pub(crate) fn page(&self, height: Height, path: &NibblePath) -> Option<Page> {
        let held = self.held.lock().ok()?;
        (held.height == height).then(|| held.pages.get(path).cloned())?
    }

    /// Keeps a page that was read at `height`, if it is worth it and still current.
    pub(crate) fn keep(&self, height: Height, path: &NibblePath, page: &Page) {
        if path.len() > MAX_NIBBLES {
            return;
        }
        if let Ok(mut held) = self.held.lock()
            && held.height == height
            && held.pages.len() < self.limit
        {
            held.pages.insert(*path, page.clone());
        }
    }

    /// Forgets every page: they were written by other means than a block.
    pub(crate) fn forget(&self) {
        if let Ok(mut held) = self.held.lock() {
            held.pages.clear();
        }
    }

    /// Moves on to `height`, whose block changed these pages. MUST be called for every committed block.
    pub(crate) fn advance(&self, height: Height, changed: &[(NibblePath, Option<Page>)]) {
        // A panic while the lock was held leaves it poisoned, and the cache out of use.
        let Ok(mut held) = self.held.lock() else { return };
        held.height = height;
        for (path, page) in changed {
            match page {
                Some(page) if path.len() <= MAX_NIBBLES => {
                    let full = held.pages.len() >= self.limit;
                    match held.pages.get_mut(path) {
                        Some(old) => old.clone_from(page),
                        None if !full => drop(held.pages.insert(*path, page.clone())),
                        None => {}
                    }
                }
                _ => drop(held.pages.remove(path)),
            }
        }
    }
}
