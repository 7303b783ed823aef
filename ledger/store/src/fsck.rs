//! fsck: everything that a store holds, recomputed from what it began with.
//!
//! Three questions, in the order in which damage spreads. Do the *primary* tables hold together:
//! headers, certificates, signatures, records, items, up to the log root of every block? Does the
//! *state* fit: trail heads from the records, running hashes, the root over all entries? Are the
//! *derived* tables exactly what follows? The first thing that does not fit is reported, with its
//! table and key, what was expected and found, and how to mend it.
//!
//! A derived table is compared as a whole, by an order-independent sum over its rows; only when that
//! differs is it walked again to name the row. Tables are read, blocks decoded, hashed and their signatures verified on
//! every core; log, trails and buckets grow on one. With [`Checks::deep`], every block is also run through
//! the rules again, from the genesis on.
//!
//! fsck only reads. It needs the store to itself, as a node does.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::Path;

use custos_proof::batch::verify_batch;
use custos_proof::cbor::Wire;
use custos_proof::hash::{BlockId, Digest, sha256};
use custos_proof::ids::Height;
use custos_proof::registry;
use custos_proof::submission::{Submission, Verified};
use custos_state::apply;
use custos_state::memory::MemoryStore;

use crate::ahead::{self, in_order};
use crate::damage;
use crate::derive::{Derived, Deriver, Sink, derive_pages};
use crate::error::{Mend, StoreError};
use crate::meter::Meter;
use crate::options::Limits;
use crate::snapshot::Snapshot;
use crate::store::{Store, damaged, hex};
use crate::tables::{Table, meta};
use crate::walk::walk;

/// What to check besides roots and tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checks {
    /// The signatures of envelopes and certificates: most of the time that fsck takes.
    pub signatures: bool,
    /// Every block through the rules again. Needs memory for the whole log; blocks without bodies end it.
    pub deep: bool,
}

impl Default for Checks {
    /// With signatures, without replay.
    fn default() -> Self {
        Self { signatures: true, deep: false }
    }
}

/// How far a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done, for people.
    pub stage: &'static str,
    /// Rows done so far.
    pub done: u64,
    /// Rows to do in all; an estimate until the end.
    pub total: u64,
}

/// What was checked and found good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// Blocks with their certificates.
    pub blocks: u64,
    /// Records of the log.
    pub records: u64,
    /// Items whose bytes are there.
    pub items: u64,
    /// Items whose bytes were pruned.
    pub items_pruned: u64,
    /// Envelopes that were pruned.
    pub envelopes_pruned: u64,
    /// Signatures of envelopes and certificates.
    pub signatures: u64,
    /// Trails.
    pub trails: u64,
    /// Places in trails.
    pub listings: u64,
    /// Entries of the state map.
    pub entries: u64,
    /// Blocks that were replayed through the rules.
    pub replayed: u64,
    /// The last block, if there is one.
    pub head: Option<BlockId>,
}

impl Report {
    /// Counts what was found in another part too.
    pub(crate) fn add(&mut self, part: &Report) {
        self.blocks += part.blocks;
        self.records += part.records;
        self.items += part.items;
        self.items_pruned += part.items_pruned;
        self.envelopes_pruned += part.envelopes_pruned;
        self.signatures += part.signatures;
    }
}

/// Checks the store in `dir`.
///
/// # Errors
/// [`StoreError::Damaged`] with the first thing that does not fit; otherwise as [`Store::open`].
pub fn fsck(dir: &Path, checks: &Checks, progress: &mut dyn FnMut(Progress)) -> Result<Report, StoreError> {
    let store = Store::open_unchecked(dir, &Limits::default())?;
    let snapshot = store.snapshot()?;
    if snapshot.get(Table::Meta, meta::REBUILDING)?.is_some() {
        return Err(StoreError::RebuildInterrupted);
    }
    let report = check(&snapshot, checks, progress)?;
    damage::unmark(dir)?;
    Ok(report)
}

/// Checks one version of a store that is open.
///
/// # Errors
/// As [`fsck`].
pub fn check(
    snapshot: &Snapshot<'_>,
    checks: &Checks,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, StoreError> {
    let replays = if checks.deep { snapshot.head().height.0 } else { 0 };
    let mut meter = Meter::new(snapshot.work() + replays, progress);
    if let Err(error) = snapshot.genesis().check() {
        return Err(damaged(Table::Meta, "genesis", "a genesis that holds together", error.to_string()));
    }
    check_validators(snapshot)?;

    meter.stage("log");
    let sums = Sums::default();
    let mut deriver = Deriver::new(snapshot, sums.like());
    let mut report = walk(snapshot, checks.signatures, &mut meter, &mut deriver)?;
    let (derived, expected) = deriver.finish(&mut meter)?;
    (report.trails, report.listings) = (derived.trails, derived.listings);

    meter.stage("state map and derived tables");
    report.entries = compare(snapshot, expected, derived, &mut meter)?;
    check_registry(snapshot)?;
    snapshot.check_head()?;
    report.head = (report.blocks > 0).then_some(snapshot.head().block_id);
    if checks.deep {
        meter.stage("replay");
        report.replayed = replay(snapshot, &mut meter)?;
    }
    meter.end();
    Ok(report)
}

/// The derived tables, which MUST be computed and compared as a whole.
pub(crate) const DERIVED: [Table; 10] = [
    Table::Tiles,
    Table::Trails,
    Table::TrailTiles,
    Table::TrailFrontiers,
    Table::StatePages,
    Table::ItemIndex,
    Table::Nonces,
    Table::Events,
    Table::Registry,
    Table::Dues,
];

/// Sums of hashes of rows, by table: equal for equal sets of rows, in any order.
///
/// The hash is the standard library's for its maps, with a key of this run that nobody knew before: whatever became of
/// a table, its sum is another but for one case in 2^64.
#[derive(Debug, Default)]
struct Sums {
    by_table: HashMap<Table, Sum>,
    key: RandomState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Sum {
    rows: u64,
    hashes: u64,
}

impl Sums {
    /// None yet, with the same key.
    fn like(&self) -> Self {
        Self { by_table: HashMap::new(), key: self.key.clone() }
    }

    fn add(&mut self, table: Table, key: &[u8], value: &[u8]) {
        let mut hasher = self.key.build_hasher();
        hasher.write_usize(key.len());
        hasher.write(key);
        hasher.write(value);
        let sum = self.by_table.entry(table).or_default();
        sum.rows += 1;
        sum.hashes = sum.hashes.wrapping_add(hasher.finish());
    }

    fn of(&self, table: Table) -> Sum {
        self.by_table.get(&table).copied().unwrap_or_default()
    }
}

impl Sink for Sums {
    fn row(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.add(table, key, value);
        Ok(())
    }
}

/// A part of the comparison that needs none of the others.
enum Part {
    /// What follows from the state map: how many entries, and the sums.
    State(Result<(u64, Sums), StoreError>),
    /// What is in a table.
    Found(Table, Result<Sum, StoreError>),
}

/// Compares the derived tables with what follows from the others; gives the number of the state map's entries.
fn compare(
    snapshot: &Snapshot<'_>,
    mut expected: Sums,
    derived: Derived,
    meter: &mut Meter<'_>,
) -> Result<u64, StoreError> {
    let none = expected.like();
    let state = || -> Result<(u64, Sums), StoreError> {
        let mut sums = none.like();
        Ok((derive_pages(snapshot, &mut sums)?, sums))
    };
    let found = |table| -> Result<Sum, StoreError> {
        let mut sums = none.like();
        snapshot.each_row(table, |key, value| sums.row(table, key, value))?;
        Ok(sums.of(table))
    };
    let work = |(): &mut (), table: Option<Table>| match table {
        None => Part::State(state()),
        Some(table) => Part::Found(table, found(table)),
    };
    let mut parts = [None].into_iter().chain(DERIVED.map(Some));
    let (mut entries, mut tables) = (0, Vec::new());
    in_order(
        ahead::threads(),
        || parts.next(),
        || (),
        work,
        |part| {
            match part {
                Part::State(state) => {
                    let (count, sums) = state?;
                    entries = count;
                    expected.by_table.extend(sums.by_table);
                    meter.add(count);
                }
                Part::Found(table, found) => {
                    meter.add(found.as_ref().map_or(0, |found| found.rows));
                    tables.push((table, found));
                }
            }
            Ok::<(), StoreError>(())
        },
    )?;
    for (table, found) in tables {
        let (found, expected) = (found?, expected.of(table));
        if found != expected && !(derived.leaves_open(table) && found.rows >= expected.rows) {
            return Err(name(snapshot, table)?.unwrap_or_else(|| {
                damaged(table, "(all)", format!("{} rows", expected.rows), format!("{} rows", found.rows))
            }));
        }
    }
    Ok(entries)
}

/// Which row of a derived table is not what follows.
fn name(snapshot: &Snapshot<'_>, table: Table) -> Result<Option<StoreError>, StoreError> {
    let tell = &mut |_| {};
    let mut meter = Meter::new(0, tell);
    let mut deriver = Deriver::new(snapshot, Naming { snapshot, table, keys: HashSet::new(), first: None });
    walk(snapshot, false, &mut meter, &mut deriver)?;
    let (_, mut naming) = deriver.finish(&mut meter)?;
    derive_pages(snapshot, &mut naming)?;
    if naming.first.is_some() {
        return Ok(naming.first);
    }
    for row in snapshot.rows(table, &[], None) {
        let (key, _) = row?;
        if !naming.keys.contains(&key) {
            return Ok(Some(damaged(table, hex(&key), "no row: nothing refers to it", "one")));
        }
    }
    Ok(None)
}

struct Naming<'s> {
    snapshot: &'s Snapshot<'s>,
    table: Table,
    keys: HashSet<Box<[u8]>>,
    first: Option<StoreError>,
}

impl Sink for Naming<'_> {
    fn row(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        if table != self.table || self.first.is_some() {
            return Ok(());
        }
        let found = self.snapshot.get(table, key)?;
        if found.as_deref() != Some(value) {
            self.first = Some(damaged(table, hex(key), shown(Some(value)), shown(found.as_deref())));
        }
        self.keys.insert(key.into());
        Ok(())
    }
}

/// A value as people read it: short ones whole, long ones by their hash.
fn shown(value: Option<&[u8]>) -> String {
    match value {
        None => "nothing".into(),
        Some([]) => "an empty row".into(),
        Some(short) if short.len() <= 48 => hex(short),
        Some(long) => format!("{} bytes with hash {}", long.len(), sha256(long)),
    }
}

fn check_validators(snapshot: &Snapshot<'_>) -> Result<(), StoreError> {
    for row in snapshot.rows(Table::Validators, &[], None) {
        let (key, _) = row?;
        let hash = <[u8; 32]>::try_from(&*key).map_err(|_| {
            damaged(Table::Validators, hex(&key), "a hash of 32 bytes", format!("{} bytes", key.len()))
        })?;
        snapshot.validators(&Digest(hash))?;
    }
    let genesis = snapshot.genesis().validator_set();
    let first = genesis
        .map_err(|error| damaged(Table::Meta, "genesis", "a genesis with validators", error.to_string()))?;
    for set in [&first, &snapshot.head().next_validators] {
        if snapshot.validators(&set.hash())?.is_none() {
            return Err(damaged(Table::Validators, set.hash().to_string(), "a validator set", "nothing"));
        }
    }
    Ok(())
}

/// Everybody who is listed has an entry.
fn check_registry(snapshot: &Snapshot<'_>) -> Result<(), StoreError> {
    let has = |key: custos_proof::hash::StateKey, what: String| {
        if snapshot.get(Table::State, &key.0)?.is_some() {
            Ok(())
        } else {
            Err(damaged(Table::Registry, what, "someone with an entry in the state map", "nobody"))
        }
    };
    for participant in snapshot.participants()? {
        has(registry::participant_key(&participant), format!("participant {participant}"))?;
        for key in snapshot.keys(&participant)? {
            has(registry::key_key(&key), format!("key {key} of {participant}"))?;
        }
    }
    Ok(())
}

/// Runs every block through the rules again.
fn replay(snapshot: &Snapshot<'_>, meter: &mut Meter<'_>) -> Result<u64, StoreError> {
    let start = apply::start(snapshot.genesis()).map_err(|error| {
        damaged(Table::Meta, "genesis", "a genesis that begins a chain", error.to_string())
    })?;
    let mut replayed = MemoryStore::new(&start);
    for height in (1..=snapshot.head().height.0).map(Height) {
        let not = |found: String| {
            damaged(
                Table::Blocks,
                height.to_string(),
                "the block that the rules of this program make of its body",
                found,
            )
        };
        let block = match snapshot.block(height) {
            Ok(Some(block)) => block,
            Ok(None) => return Err(not("nothing".into())),
            // Without the bodies there is nothing to replay from here on.
            Err(StoreError::Pruned(_)) => return Ok(height.0 - 1),
            Err(error) => return Err(error),
        };
        let submissions = block
            .body
            .iter()
            .map(|bytes| {
                let submission = Submission::decode(bytes).map_err(|error| not(error.to_string()))?;
                let id = submission.envelope().key_id();
                let entry = custos_state::view::View::entry(&replayed, &registry::key_key(&id))
                    .ok()
                    .flatten()
                    .and_then(|bytes| registry::KeyEntry::from_bytes(&bytes).ok())
                    .ok_or_else(|| not(format!("one signed with the unknown key {id}")))?;
                Ok((submission, entry.key))
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        let verified = Verified::all(submissions, verify_batch)
            .into_iter()
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| not(error.to_string()))?;
        let changes = apply::check(&replayed, &block, &verified).map_err(|error| not(error.to_string()))?;
        replayed.commit(&changes).map_err(|error| not(error.to_string()))?;
        meter.tick();
    }
    Ok(snapshot.head().height.0)
}

/// Whether damage is mended by a rebuild.
#[must_use]
pub fn can_rebuild(error: &StoreError) -> bool {
    matches!(error, StoreError::RebuildInterrupted)
        || matches!(error, StoreError::Damaged(damage) if damage.mend == Mend::Rebuild)
}
