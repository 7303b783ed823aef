//! What the rules read: a snapshot as the [`View`] of `custos_state`, and the state map's pages.
//!
//! Entries that every submission asks for are decoded once and stay in memory ([`crate::entries`]), and so do the
//! upper pages ([`crate::pages`]).

use std::sync::Arc;

use custos_proof::cbor::{Reader, Wire};
use custos_proof::hash::{Digest, ItemHash, KeyId, StateKey, TrailKey};
use custos_proof::ids::{Height, LogIndex, ParticipantId, Random16, TimeMs};
use custos_proof::record::Record;
use custos_proof::registry::{Bucket, DuePlace, KeyEntry, Participant, Policy};
use custos_proof::state_map::{NibblePath, Page, PageSource};
use custos_proof::submission::Author;
use custos_state::view::{Head, View, ViewError, decode_entry};

use super::{Snapshot, decode_row};
use crate::entries::EntryName;
use crate::error::StoreError;
use crate::store::{damaged, hex};
use crate::tables::{self, Table};

impl Snapshot<'_> {
    fn state_page(&self, path: &NibblePath) -> Result<Option<Page>, StoreError> {
        let cache = self.store.page_cache();
        if let Some(page) = cache.page(self.head.height, path) {
            return Ok(Some(page));
        }
        let Some(bytes) = self.pinned(Table::StatePages, &path.to_bytes())? else { return Ok(None) };
        let page = Page::from_bytes(&bytes)
            .map_err(|error| damaged(Table::StatePages, path.to_string(), "a page", error.to_string()))?;
        cache.keep(self.head.height, path, &page);
        Ok(Some(page))
    }

    /// An entry of the state map, decoded, from memory if it is there.
    fn decoded_entry<T: Wire + Send + Sync + 'static>(
        &self,
        name: EntryName,
        what: &str,
    ) -> Result<Option<Arc<T>>, ViewError> {
        let (cache, height) = (self.store.entry_cache(), self.head.height);
        if let Some(entry) = cache.entry(height, &name) {
            return Ok(Some(entry));
        }
        let key = name.key();
        let Some(bytes) = self.pinned(Table::State, &key.0)? else { return Ok(None) };
        let entry = Arc::new(decode_entry(&bytes, what)?);
        cache.keep(height, name, key, &entry);
        Ok(Some(entry))
    }
}

impl PageSource for Snapshot<'_> {
    type Error = StoreError;

    fn page(&self, path: &NibblePath) -> Result<Option<Page>, StoreError> {
        self.state_page(path)
    }
}

impl View for Snapshot<'_> {
    fn head(&self) -> Result<Arc<Head>, ViewError> {
        Ok(Arc::clone(&self.head))
    }

    fn entry(&self, key: &StateKey) -> Result<Option<Vec<u8>>, ViewError> {
        Ok(self.state_entry(key)?)
    }

    fn page(&self, path: &NibblePath) -> Result<Option<Page>, ViewError> {
        Ok(self.state_page(path)?)
    }

    fn trail_frontier(&self, trail: &TrailKey) -> Result<Vec<Digest>, ViewError> {
        Ok(self.frontier_of(trail)?)
    }

    fn has_nonce(&self, author: &Author, bucket: u64, nonce: &Random16) -> Result<bool, ViewError> {
        Ok(self.pinned(Table::Nonces, &tables::nonce_key(bucket, author, nonce))?.is_some())
    }

    fn nonce_buckets_before(&self, bucket: u64) -> Result<Vec<(Author, u64)>, ViewError> {
        let mut found: Vec<(u64, Author)> = Vec::new();
        let mut from = vec![];
        // One seek for each bucket and author, however many nonces they have.
        loop {
            let first = self.rows(Table::Nonces, &from, Some(bucket.to_be_bytes().to_vec())).next();
            let Some((key, _)) = first.transpose()? else { break };
            let (expiry, author) = nonce_owner(&key).ok_or_else(|| {
                damaged(Table::Nonces, hex(&key), "bucket, author and nonce", "something else")
            })?;
            let Some(next) = tables::behind(&tables::nonce_prefix(expiry, &author)) else { break };
            from = next;
            found.push((expiry, author));
        }
        // The order of authors is that of their type, not that of their bytes.
        found.sort();
        Ok(found.into_iter().map(|(bucket, author)| (author, bucket)).collect())
    }

    fn event(&self, author: &Author, event: &Random16) -> Result<Option<(LogIndex, ItemHash)>, ViewError> {
        let key = tables::event_key(author, event);
        let Some(bytes) = self.pinned(Table::Events, &key)? else { return Ok(None) };
        let index = LogIndex(decode_row::<u64>(Table::Events, &key, &bytes)?);
        let record = self.decoded_record(index)?;
        match record.as_ref().and_then(Record::as_item) {
            Some(entry) => Ok(Some((index, entry.item))),
            None => {
                Err(damaged(Table::Events, hex(&key), "the index of an item's record", index.to_string())
                    .into())
            }
        }
    }

    fn block_time(&self, height: Height) -> Result<Option<TimeMs>, ViewError> {
        if height == Height(0) {
            return Ok(Some(self.store.genesis().time));
        }
        if height > self.head.height {
            return Ok(None);
        }
        match self.header(height)? {
            Some(header) => Ok(Some(header.time)),
            None => Err(damaged(Table::Blocks, height.to_string(), "a block", "nothing").into()),
        }
    }

    fn due_until(&self, time: TimeMs, limit: usize) -> Result<Vec<DuePlace>, ViewError> {
        let end = time.0.checked_add(1).map(|end| end.to_be_bytes().to_vec());
        let rows = self.rows(Table::Dues, &[], end).take(limit);
        Ok(rows.map(|row| due_place(&row?.0)).collect::<Result<_, StoreError>>()?)
    }

    fn next_due(&self) -> Result<Option<TimeMs>, ViewError> {
        let first = self.rows(Table::Dues, &[], None).next().transpose()?;
        Ok(first.map(|(key, _)| due_place(&key)).transpose()?.map(|place| place.deadline))
    }

    fn policy(&self) -> Result<Option<Arc<Policy>>, ViewError> {
        self.decoded_entry(EntryName::Policy, "policy")
    }

    fn participant(&self, id: &ParticipantId) -> Result<Option<Arc<Participant>>, ViewError> {
        self.decoded_entry(EntryName::Participant(id.clone()), "participant")
    }

    fn key(&self, id: &KeyId) -> Result<Option<Arc<KeyEntry>>, ViewError> {
        self.decoded_entry(EntryName::Key(*id), "key")
    }

    fn nonce_bucket(&self, author: &Author, bucket: u64) -> Result<Option<Arc<Bucket>>, ViewError> {
        self.decoded_entry(EntryName::Nonces(author.clone(), bucket), "nonce bucket")
    }
}

fn due_place(key: &[u8]) -> Result<DuePlace, StoreError> {
    tables::due_place(key)
        .ok_or_else(|| damaged(Table::Dues, hex(key), "deadline, cause and rule", "something else"))
}

/// Bucket and author of a key of `nonces`.
pub(crate) fn nonce_owner(key: &[u8]) -> Option<(u64, Author)> {
    let (bucket, rest) = key.split_at_checked(8)?;
    let mut reader = Reader::new(rest);
    let author = Author::read(&mut reader).ok()?;
    (rest.len() == reader.position() + 16).then_some((tables::number(bucket)?, author))
}
