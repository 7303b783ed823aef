//! Packs items into submissions: what has to wait for what, and what may never go together.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use custos_proof::hash::{Digest, ItemHash};
use custos_proof::kinds::{Class, Kind};

use super::{Batch, MAX_BATCH_BYTES, PlanError, Planned, Settings};
use crate::vault::{SubjectId, Vault, VaultError, random};

/// Items of one trail that go together, in order.
struct Run {
    /// Whose; none where it does not matter (no subject).
    subject: Option<SubjectId>,
    stage: Stage,
    items: Vec<Planned>,
}

/// Which run an item belongs to: its stage, its trail, and a number that keeps items without a subject apart.
type RunKey = (Stage, Option<(SubjectId, Digest)>, u64);
/// An item's place in its run: a trail's opening comes first, then the order in which the vault got them.
type InRun = (bool, usize, ItemHash);

/// What has to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// Own trails: their openings and rules, the lists of trails among them.
    Own,
    /// Grantees' trails: their openings and rules.
    Grantee,
    /// Accesses.
    Testimony,
}

/// Packs items of the vault into batches.
pub(super) fn schedule(
    vault: &Vault,
    hashes: Vec<ItemHash>,
    settings: &Settings,
) -> Result<Vec<Batch>, PlanError> {
    let mut runs: BTreeMap<RunKey, Vec<InRun>> = BTreeMap::new();
    let mut order: HashMap<ItemHash, usize> = HashMap::new();
    let subjects: BTreeSet<SubjectId> = hashes.iter().filter_map(|hash| vault.subject_of(hash)).collect();
    for subject in &subjects {
        order.extend(vault.items(subject)?.iter().enumerate().map(|(position, item)| (item.hash, position)));
    }
    let own_trails: BTreeSet<Digest> = subjects
        .iter()
        .filter_map(|subject| vault.trails(subject).ok())
        .flatten()
        .filter(|trail| trail.grantee.is_none())
        .map(|trail| trail.local_id)
        .collect();
    for (number, hash) in (0u64..).zip(hashes) {
        let (Some(subject), Some(entry)) = (vault.subject_of(&hash), vault.entry(&hash)) else {
            return Err(VaultError::UnknownItem(hash).into());
        };
        let stage = match (entry.kind.class(), entry.local_id) {
            (Class::Testimony, _) => Stage::Testimony,
            (Class::Act, Some(trail)) if !own_trails.contains(&trail) => Stage::Grantee,
            (Class::Act, _) => Stage::Own,
        };
        // Items without a subject are runs of their own.
        let trail = entry.local_id.map(|local_id| (subject, local_id));
        let apart = if trail.is_none() { number } else { 0 };
        let comes_later = entry.kind != Kind::TrailOpen;
        runs.entry((stage, trail, apart)).or_default().push((
            comes_later,
            order.get(&hash).copied().unwrap_or(0),
            hash,
        ));
    }
    let mut ready = Vec::with_capacity(runs.len());
    for ((stage, trail, _), mut items) in runs {
        items.sort_unstable();
        let items = items
            .into_iter()
            .map(|(_, _, hash)| Ok(Planned { hash, bytes: vault.item(&hash)?.bytes }))
            .collect::<Result<_, VaultError>>()?;
        ready.push(Run { subject: trail.map(|(subject, _)| subject), stage, items });
    }
    pack(ready, settings)
}

/// # Correctness
/// A batch never has two runs of one subject. The part of a run that does not fit goes into a later
/// wave if it is of acts (they are in order), into another batch if it is testimony.
fn pack(runs: Vec<Run>, settings: &Settings) -> Result<Vec<Batch>, PlanError> {
    let mut batches = Vec::new();
    let mut first_wave = 0;
    for stage in [Stage::Own, Stage::Grantee, Stage::Testimony] {
        let (class, max_items) = match stage {
            Stage::Own | Stage::Grantee => (Class::Act, settings.max_acts),
            Stage::Testimony => (Class::Testimony, settings.max_testimony),
        };
        let max_items = max_items.clamp(1, custos_proof::submission::MAX_ITEMS);
        let mut pieces: Vec<(usize, Option<SubjectId>, Vec<Planned>)> = Vec::new();
        for run in runs.iter().filter(|run| run.stage == stage) {
            for (number, piece) in split(&run.items, max_items).into_iter().enumerate() {
                let wave = if class == Class::Act { number } else { 0 };
                pieces.push((wave, run.subject, piece));
            }
        }
        shuffle(&mut pieces)?;
        let waves = pieces.iter().map(|(wave, ..)| wave + 1).max().unwrap_or(0);
        for wave in 0..waves {
            let mut open: Vec<Open> = Vec::new();
            // Where a subject's next piece may go at the earliest.
            let mut next: HashMap<SubjectId, usize> = HashMap::new();
            let mut roomy = 0;
            for (_, subject, piece) in pieces.iter().filter(|(of, ..)| *of == wave) {
                let size: usize = piece.iter().map(|item| item.bytes.len()).sum();
                let from = subject.and_then(|subject| next.get(&subject).copied()).unwrap_or(0).max(roomy);
                let fits = |batch: &Open| {
                    batch.items.len() + piece.len() <= max_items && batch.size + size <= MAX_BATCH_BYTES
                };
                let at = (from..open.len()).find(|at| open.get(*at).is_some_and(fits)).unwrap_or(open.len());
                if at == open.len() {
                    open.push(Open::default());
                }
                if let Some(batch) = open.get_mut(at) {
                    batch.items.extend(piece.iter().cloned());
                    batch.size += size;
                }
                if let Some(subject) = subject {
                    next.insert(*subject, at + 1);
                }
                while open.get(roomy).is_some_and(|batch| batch.items.len() >= max_items) {
                    roomy += 1;
                }
            }
            batches.extend(open.into_iter().map(|batch| Batch {
                wave: first_wave + wave,
                class,
                items: batch.items,
            }));
        }
        first_wave += waves;
    }
    Ok(batches)
}

#[derive(Default)]
struct Open {
    items: Vec<Planned>,
    size: usize,
}

/// Pieces within the bounds of a batch, in order.
fn split(items: &[Planned], max_items: usize) -> Vec<Vec<Planned>> {
    let mut pieces: Vec<Vec<Planned>> = Vec::new();
    let mut size = 0;
    for item in items {
        match pieces.last_mut() {
            Some(piece) if piece.len() < max_items && size + item.bytes.len() <= MAX_BATCH_BYTES => {
                piece.push(item.clone())
            }
            _ => {
                pieces.push(vec![item.clone()]);
                size = 0;
            }
        }
        size += item.bytes.len();
    }
    pieces
}

/// Fisher and Yates, with the randomness of the operating system.
fn shuffle<T>(values: &mut [T]) -> Result<(), VaultError> {
    for last in (1..values.len()).rev() {
        // The bias of a remainder of 64 bits is far below one in 2^40.
        let draw = u64::from_le_bytes(random()?) % (last as u64 + 1);
        values.swap(last, draw as usize);
    }
    Ok(())
}
