//! The rows that follow from the primary tables: for fsck to compare, for rebuild to write.
//!
//! One computation serves both, and it is another one than [`crate::store::Store::commit`] makes: that
//! one adds a block to what is stored, this one starts from nothing. Memory grows with the number of
//! trails (about 200 bytes each) and not with the log.
//!
//! The ids of events whose items were pruned stand in `events` only; they are taken from there and proven by
//! the running hash in the state map. What else followed from pruned items cannot be computed; [`Derived`] says so.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use custos_proof::cbor::Wire;
use custos_proof::hash::{Digest, StateKey, TrailKey, sha256};
use custos_proof::ids::{LogIndex, Random16, TimeMs};
use custos_proof::keys::key_id;
use custos_proof::kinds::Fields;
use custos_proof::merkle::{Frontier, Node};
use custos_proof::record::{Code, Entry, ItemEntry, Record};
use custos_proof::registry::{self, Bucket, Due, KeyEntry, TrailHead};
use custos_proof::state_map::{self, NibblePath, Page, PageSource};
use custos_proof::submission::{Author, Envelope};
use custos_state::apply::NONCE_BUCKET_MS;

use crate::codec;
use crate::error::StoreError;
use crate::meter::Meter;
use crate::piece::Facts;
use crate::snapshot::Snapshot;
use crate::store::{beyond_rebuild, damaged, hex};
use crate::tables::{self, Table};
use crate::tiles::{Edge, HEIGHT, Written};
use crate::walk::Follow;

/// Entries of the state map that are hashed at a time.
const CHUNK: usize = 4096;

/// Takes derived rows.
pub(crate) trait Sink {
    /// A row of a derived table; each key once.
    fn row(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError>;
}

/// What can be said about derived rows besides what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Derived {
    /// Items were pruned: rows of `registry` may exist that nothing here follows from.
    pub(crate) incomplete: bool,
    /// Envelopes were pruned so early that their nonces may still be live.
    pub(crate) nonces_incomplete: bool,
    pub(crate) trails: u64,
    pub(crate) listings: u64,
}

/// Computes derived rows while the primary tables are walked.
pub(crate) struct Deriver<'s, S> {
    snapshot: &'s Snapshot<'s>,
    pub(crate) sink: S,
    log_edge: Edge,
    trails: HashMap<TrailKey, (Frontier, Edge)>,
    nonces: BTreeMap<(u64, Author), Bucket>,
    events: BTreeMap<(Author, u64), Bucket>,
    /// Events whose items are gone, by log index; read when the first of them is met.
    gone: Option<HashMap<u64, Random16>>,
    /// Rows of `registry`: several items can say the same.
    registry: BTreeSet<Vec<u8>>,
    derived: Derived,
}

impl Derived {
    /// Whether a table may have rows that nothing here follows from.
    pub(crate) fn leaves_open(&self, table: Table) -> bool {
        match table {
            Table::Registry => self.incomplete,
            Table::Nonces => self.nonces_incomplete,
            _ => false,
        }
    }
}

impl<'s, S: Sink> Deriver<'s, S> {
    pub(crate) fn new(snapshot: &'s Snapshot<'s>, sink: S) -> Self {
        Self {
            snapshot,
            sink,
            log_edge: Edge::default(),
            trails: HashMap::new(),
            nonces: BTreeMap::new(),
            events: BTreeMap::new(),
            gone: None,
            registry: BTreeSet::new(),
            derived: Derived::default(),
        }
    }

    /// What is only known at the end: partial tiles, frontiers, the genesis' registry. The pages of the state are not
    /// among it: [`derive_pages`].
    ///
    /// # Errors
    /// The first thing that does not fit the state.
    pub(crate) fn finish(mut self, meter: &mut Meter<'_>) -> Result<(Derived, S), StoreError> {
        for (level, tile, content) in self.log_edge.changed_since(&Edge::default()) {
            self.sink.row(Table::Tiles, &tables::tile_key(level, tile), &content.to_bytes())?;
        }
        meter.stage("trails");
        let mut trails: Vec<_> = std::mem::take(&mut self.trails).into_iter().collect();
        trails.sort_unstable_by_key(|(trail, _)| *trail);
        for (trail, (frontier, edge)) in trails {
            self.trail(&trail, &frontier, &edge)?;
            meter.tick();
        }
        let genesis = self.snapshot.genesis();
        for participant in genesis.participants.iter() {
            self.registry.insert(tables::participant_row(&participant.id));
        }
        for key in genesis.keys.iter() {
            self.registry.insert(tables::key_row(&key.owner, &key_id(&key.key)));
        }
        for row in std::mem::take(&mut self.registry) {
            self.sink.row(Table::Registry, &row, &[])?;
        }
        self.buckets()?;
        Ok((self.derived, self.sink))
    }

    fn trail(&mut self, trail: &TrailKey, frontier: &Frontier, edge: &Edge) -> Result<(), StoreError> {
        self.derived.trails += 1;
        let expected = TrailHead { size: frontier.size(), root: frontier.root() };
        let found = self.snapshot.trail_head(trail)?;
        if found.as_ref() != Some(&expected) {
            let found = found
                .map_or("nothing".into(), |head| format!("{} records with root {}", head.size, head.root));
            let expected = format!("trail {trail} with {} records and root {}", expected.size, expected.root);
            return Err(damaged(Table::State, registry::trail_key(trail).to_string(), expected, found));
        }
        self.sink.row(Table::TrailFrontiers, &trail.0, &tables::concatenated(frontier.hashes()))?;
        self.trail_tiles(trail, &edge.changed_since(&Edge::default()))
    }

    fn trail_tiles(&mut self, trail: &TrailKey, tiles: &[Written]) -> Result<(), StoreError> {
        for (level, tile, content) in tiles {
            self.sink.row(
                Table::TrailTiles,
                &tables::trail_tile_key(trail, *level, *tile),
                &content.to_bytes(),
            )?;
        }
        Ok(())
    }

    /// Compares the running hashes of nonces and event ids with the state.
    fn buckets(&self) -> Result<(), StoreError> {
        let nonces =
            self.nonces.iter().map(|((bucket, author), hash)| (registry::nonce_key(author, *bucket), hash));
        let events =
            self.events.iter().map(|((author, year), hash)| (registry::event_key(author, *year), hash));
        let nonces = nonces.filter(|_| !self.derived.nonces_incomplete);
        let events = events.map(|(key, hash)| (key, hash, self.derived.incomplete));
        for (key, expected, from_rows) in nonces.map(|(key, hash)| (key, hash, false)).chain(events) {
            let found = self.snapshot.get(Table::State, &key.0)?;
            if found.as_deref() != Some(&expected.to_bytes()) {
                if from_rows {
                    let found = format!("{} with running hash {}", expected.count, expected.hash);
                    return Err(beyond_rebuild(damaged(
                        Table::Events,
                        format!("state key {key}"),
                        "the ids of an author's events, pruned ones included, as the state map has them",
                        found,
                    )));
                }
                let found = found.map_or("nothing".into(), |found| hex(&found));
                let expected = format!("{} members with running hash {}", expected.count, expected.hash);
                return Err(damaged(Table::State, key.to_string(), expected, found));
            }
        }
        Ok(())
    }

    fn listings(&mut self, record: &Record, leaf: Digest) -> Result<(), StoreError> {
        for listing in record.listings() {
            let (frontier, edge) = self.trails.entry(listing.trail).or_default();
            if listing.position != frontier.size() {
                let expected = format!("position {} of trail {}", frontier.size(), listing.trail);
                let found = format!("position {}", listing.position);
                return Err(damaged(Table::Records, record.index.to_string(), expected, found));
            }
            let mut full = Vec::new();
            for node in frontier.append(leaf) {
                if node.level >= HEIGHT {
                    edge.push(&node, &mut full);
                }
            }
            let row = codec::encode(&record.index.0);
            self.sink.row(
                Table::Trails,
                &tables::trail_position_key(&listing.trail, listing.position),
                &row,
            )?;
            self.trail_tiles(&listing.trail, &full)?;
            self.derived.listings += 1;
        }
        Ok(())
    }

    fn item(
        &mut self,
        record: &Record,
        entry: &ItemEntry,
        facts: Option<Result<Facts, StoreError>>,
    ) -> Result<(), StoreError> {
        self.sink.row(Table::ItemIndex, &tables::item_index_key(&entry.item, record.index), &[])?;
        let Some(facts) = facts.transpose()? else {
            self.derived.incomplete = true;
            if let Some(event) = self.gone_event(record.index)? {
                self.event(record, entry, &event)?;
            }
            return Ok(());
        };
        if let Some(event) = &facts.event
            && !entry.verdict.codes.contains(&Code::EventReused)
        {
            self.event(record, entry, event)?;
        }
        match &facts.registers {
            // What was voted on may not have been carried out: the state tells.
            Some(Fields::ProposalOpen(f)) => {
                f.acts.iter().try_for_each(|act| self.registered(&act.item().fields))
            }
            Some(fields) => self.registered(fields),
            None => Ok(()),
        }
    }

    fn event(&mut self, record: &Record, entry: &ItemEntry, event: &Random16) -> Result<(), StoreError> {
        let mut member = event.0.to_vec();
        member.extend(entry.item.0);
        let bucket = self.events.entry((entry.author.clone(), record.time.year())).or_insert(Bucket::EMPTY);
        *bucket = bucket.with(&member);
        let row = codec::encode(&record.index.0);
        self.sink.row(Table::Events, &tables::event_key(&entry.author, event), &row)
    }

    /// The event whose item is gone and was recorded at `index` first, if there was one.
    fn gone_event(&mut self, index: LogIndex) -> Result<Option<Random16>, StoreError> {
        if self.gone.is_none() {
            let mut gone = HashMap::new();
            for row in self.snapshot.rows(Table::Events, &[], None) {
                // Nothing else has the events of items that are gone, so that there is nothing to make this table from.
                let (key, value) = row.map_err(beyond_rebuild)?;
                // A row that does not decode is nobody's. Whether one is missing, the running hash tells.
                let Ok(at) = codec::decode::<u64>(&value) else { continue };
                if let Some(event) = key.last_chunk::<16>()
                    && self.snapshot.item(LogIndex(at))?.is_none()
                {
                    gone.insert(at, Random16(*event));
                }
            }
            self.gone = Some(gone);
        }
        Ok(self.gone.as_ref().and_then(|gone| gone.get(&index.0).copied()))
    }

    /// What an act entered into the registry, if it was carried out.
    fn registered(&mut self, fields: &Fields) -> Result<(), StoreError> {
        let key = match fields {
            Fields::ParticipantRegister(f) => {
                if self.snapshot.get(Table::State, &registry::participant_key(&f.id).0)?.is_some() {
                    self.registry.insert(tables::participant_row(&f.id));
                }
                return Ok(());
            }
            Fields::KeyAdd(f) => &f.key,
            Fields::KeyRotate(f) => &f.key,
            Fields::ValidatorPut(f) => &f.key,
            _ => return Ok(()),
        };
        let id = key_id(key);
        let state_key = registry::key_key(&id);
        if let Some(bytes) = self.snapshot.get(Table::State, &state_key.0)? {
            let entry = KeyEntry::from_bytes(&bytes).map_err(|error| {
                damaged(
                    Table::State,
                    state_key.to_string(),
                    format!("the entry of key {id}"),
                    error.to_string(),
                )
            })?;
            // A subject's key stands in its trail, not in the registry.
            if let Some(owner) = entry.owner.as_participant() {
                self.registry.insert(tables::key_row(owner, &id));
            }
        }
        Ok(())
    }
}

impl<S: Sink> Follow for Deriver<'_, S> {
    fn envelope(&mut self, block: TimeMs, envelope: Option<&Envelope>) -> Result<(), StoreError> {
        let Some(envelope) = envelope else {
            // The policy of then is not kept; no policy allows longer.
            let latest = block.plus(registry::MAX_LIFETIME_MS);
            self.derived.nonces_incomplete |=
                latest.0 / NONCE_BUCKET_MS >= self.snapshot.head().time.0 / NONCE_BUCKET_MS;
            return Ok(());
        };
        let payload = envelope.payload();
        let bucket = payload.not_after.0 / NONCE_BUCKET_MS;
        // The head's block dropped what had expired when it was built.
        if bucket < self.snapshot.head().time.0 / NONCE_BUCKET_MS {
            return Ok(());
        }
        let running = self.nonces.entry((bucket, payload.author.clone())).or_insert(Bucket::EMPTY);
        *running = running.with(&payload.nonce.0);
        self.sink.row(Table::Nonces, &tables::nonce_key(bucket, &payload.author, &payload.nonce), &[])
    }

    fn record(
        &mut self,
        record: &Record,
        leaf: Digest,
        completed: &[Node],
        item: Option<Result<Facts, StoreError>>,
    ) -> Result<(), StoreError> {
        let mut full = Vec::new();
        for node in completed {
            self.log_edge.push(node, &mut full);
        }
        for (level, tile, content) in full {
            self.sink.row(Table::Tiles, &tables::tile_key(level, tile), &content.to_bytes())?;
        }
        self.listings(record, leaf)?;
        match &record.entry {
            Entry::Item(entry) => self.item(record, entry, item),
            Entry::Block { .. } | Entry::Due(_) => Ok(()),
        }
    }
}

/// Computes the pages of the state map from its entries, and the dues, and compares the root with the head's. Gives
/// the number of entries.
///
/// Entries come in the order of their keys, so a page that does not lie on the path to the last key is
/// finished: what has to be held in memory is one path, and a chunk of entries.
///
/// # Errors
/// An entry that the head's state root does not commit to.
pub(crate) fn derive_pages(snapshot: &Snapshot<'_>, sink: &mut impl Sink) -> Result<u64, StoreError> {
    let mut pages = Growing(BTreeMap::new());
    let mut entries = snapshot.rows(Table::State, &[], None);
    let (mut count, mut root) = (0, state_map::EMPTY_ROOT);
    loop {
        let mut chunk: Vec<(StateKey, Option<Digest>)> = Vec::with_capacity(CHUNK);
        for row in entries.by_ref().take(CHUNK) {
            let (key, value) = row?;
            let key = <[u8; 32]>::try_from(&*key).map_err(|_| {
                damaged(Table::State, hex(&key), "a key of 32 bytes", format!("{} bytes", key.len()))
            })?;
            // An obligation is known by its value, which says where it stands.
            if let Ok(due) = Due::from_bytes(&value)
                && registry::due_key(&due.place) == StateKey(key)
            {
                sink.row(Table::Dues, &tables::due_row(&due.place), &[])?;
            }
            chunk.push((StateKey(key), Some(sha256(&value))));
        }
        let Some((last, _)) = chunk.last().copied() else { break };
        count += chunk.len() as u64;
        let update = state_map::update(&pages, &chunk)
            .expect("because pages in memory are there and were just computed");
        root = update.root;
        pages.0.extend(update.pages.into_iter().filter_map(|(path, page)| Some((path, page?))));
        pages.finish(|path| !covers(path, &last), sink)?;
    }
    pages.finish(|_| true, sink)?;
    let expected = snapshot.head().state_root;
    if root == expected {
        Ok(count)
    } else {
        Err(blame_entry(snapshot)?.unwrap_or_else(|| {
            damaged(Table::State, "(all)", format!("entries with root {expected}"), root.to_string())
        }))
    }
}

/// Which entry is not the one that the pages have the hash of.
fn blame_entry(snapshot: &Snapshot<'_>) -> Result<Option<StoreError>, StoreError> {
    for row in snapshot.rows(Table::State, &[], None) {
        let (key, value) = row?;
        let Ok(key) = <[u8; 32]>::try_from(&*key).map(StateKey) else { continue };
        let Ok((_, proof)) = snapshot.prove_entry(&key) else { continue };
        let root = snapshot.head().state_root;
        if !state_map::verify(&root, &key, Some(&value), &proof) {
            let expected = "an entry that the head's state root commits to";
            return Ok(Some(damaged(
                Table::State,
                key.to_string(),
                expected,
                format!("value {}", sha256(&value)),
            )));
        }
    }
    Ok(None)
}

struct Growing(BTreeMap<NibblePath, Page>);

impl PageSource for Growing {
    type Error = std::convert::Infallible;

    fn page(&self, path: &NibblePath) -> Result<Option<Page>, Self::Error> {
        Ok(self.0.get(path).cloned())
    }
}

impl Growing {
    /// Hands over the pages that will not change any more.
    fn finish(&mut self, done: impl Fn(&NibblePath) -> bool, sink: &mut impl Sink) -> Result<(), StoreError> {
        for (path, page) in self.0.extract_if(.., |path, _| done(path)) {
            sink.row(Table::StatePages, &path.to_bytes(), &page.to_bytes())?;
        }
        Ok(())
    }
}

/// Whether `key` is below the page at `path`.
fn covers(path: &NibblePath, key: &StateKey) -> bool {
    let bytes = path.to_bytes();
    let whole = usize::from(path.len() / 2);
    let (nibbles, rest) = bytes[1..].split_at(whole);
    nibbles == &key.0[..whole] && rest.first().is_none_or(|half| half >> 4 == key.0[whole] >> 4)
}
