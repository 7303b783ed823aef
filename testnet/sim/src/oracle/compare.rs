//! What a node wrote against what follows from the history: to say which record, which trail, which entry.

use custos_proof::cbor::Wire as _;
use custos_proof::hash::{ItemHash, StateKey, SubmissionId, TrailKey};
use custos_proof::ids::TimeMs;
use custos_proof::record::{self, Listing};

use super::finding::What;
use super::history::Place;
use super::map::Map;
use super::spell::{diagnostic, hex};
use super::testimony::Verdict;
use super::{MadeOf, Record};

type Found = (Option<ItemHash>, What);

/// The records of a block.
pub(super) fn records(computed: &[Record], shown: &[Vec<u8>]) -> Result<(), Found> {
    let mut read = Vec::new();
    for (place, bytes) in shown.iter().enumerate() {
        let decoded = record::Record::from_bytes(bytes);
        read.push((decoded.map_err(|_| (None, What::Unreadable(place)))?, bytes));
    }
    facts(computed, &read)?;
    let mut seen: Vec<(SubmissionId, u32, ItemHash, u64)> = Vec::new();
    for (shown, bytes) in &read {
        let Some(entry) = shown.as_item() else { continue };
        let twice = seen
            .iter()
            .find(|seen| seen.2 == entry.item && (seen.0, seen.1) == (entry.submission, entry.position));
        if let Some((.., first)) = twice {
            let what = What::ItemTwice { first: *first, again: shown.index.0 };
            return Err((Some(entry.item), what));
        }
        seen.push((entry.submission, entry.position, entry.item, shown.index.0));
        let ours = computed.iter().find(|ours| match &ours.made_of {
            MadeOf::Item { submission, position, .. } => {
                (*submission, *position) == (entry.submission.0, entry.position)
            }
            _ => false,
        });
        match ours {
            Some(ours) => one(ours, shown, entry, bytes)?,
            None => return Err((Some(entry.item), What::Unfounded(shown.index.0))),
        }
    }
    for ours in computed {
        if let MadeOf::Item { submission, position, item, .. } = &ours.made_of
            && !seen.iter().any(|seen| (seen.0.0, seen.1) == (*submission, *position))
        {
            let (submission, position) = (SubmissionId(*submission), *position);
            return Err((Some(ItemHash(*item)), What::NotRecorded { submission, position }));
        }
    }
    // All are there, and each says what it should: the order, the block record, and nothing else.
    for (i, ours) in computed.iter().enumerate() {
        match read.get(i) {
            Some((_, bytes)) if **bytes == ours.spelt => {}
            Some((shown, bytes)) => return Err((None, another(shown.index.0, bytes, &ours.spelt))),
            None => return Err((None, another(ours.index, &[], &ours.spelt))),
        }
    }
    match read.get(computed.len()) {
        Some((extra, _)) => Err((None, What::Unfounded(extra.index.0))),
        None => Ok(()),
    }
}

fn another(index: u64, recorded: &[u8], computed: &[u8]) -> What {
    What::Record { index, recorded: diagnostic(recorded), computed: diagnostic(computed) }
}

/// The facts that fell due.
fn facts(computed: &[Record], read: &[(record::Record, &Vec<u8>)]) -> Result<(), Found> {
    let ours: Vec<Place> = computed
        .iter()
        .filter_map(|record| match record.made_of {
            MadeOf::Due { place } => Some(place),
            _ => None,
        })
        .collect();
    let theirs: Vec<Place> = read
        .iter()
        .filter_map(|(record, _)| match &record.entry {
            record::Entry::Due(due) => Some((due.deadline.0, due.cause.0, due.rule)),
            _ => None,
        })
        .collect();
    if let Some((deadline, cause, rule)) = ours.iter().find(|place| !theirs.contains(place)) {
        let what = What::DueDropped { rule: *rule, deadline: TimeMs(*deadline) };
        return Err((Some(ItemHash(*cause)), what));
    }
    if let Some((deadline, cause, rule)) = theirs.iter().find(|place| !ours.contains(place)) {
        let what = What::DueInvented { rule: *rule, deadline: TimeMs(*deadline) };
        return Err((Some(ItemHash(*cause)), what));
    }
    Ok(())
}

/// The record of an item.
fn one(ours: &Record, shown: &record::Record, entry: &record::ItemEntry, bytes: &[u8]) -> Result<(), Found> {
    let MadeOf::Item { verdict, listed, item, .. } = &ours.made_of else { return Ok(()) };
    let (index, about) = (shown.index.0, Some(ItemHash(*item)));
    let theirs = Verdict {
        checks: entry.verdict.checks.iter().map(|check| check.number()).collect(),
        finding: entry.verdict.finding.number(),
        codes: entry.verdict.codes.iter().map(|code| code.number()).collect(),
    };
    if theirs != *verdict {
        let [recorded, found] = [&theirs, verdict].map(|verdict| diagnostic(&verdict.spelt()));
        return Err((about, What::Verdict { index, recorded, found }));
    }
    let is_listed = |trail: &[u8; 32]| entry.trails.iter().any(|listing: &Listing| listing.trail.0 == *trail);
    if let Some(trail) = listed.iter().find(|trail| !is_listed(trail)) {
        return Err((about, What::TrailOmitted { index, trail: TrailKey(*trail) }));
    }
    if let Some(extra) = entry.trails.iter().find(|listing| !listed.contains(&listing.trail.0)) {
        return Err((about, What::TrailAdded { index, trail: extra.trail }));
    }
    match ours.spelt == bytes {
        true => Ok(()),
        false => Err((about, another(index, bytes, &ours.spelt))),
    }
}

/// The entries of the state map that a block changed.
pub(super) fn entries(before: &Map, after: &Map, shown: &[(StateKey, Option<Vec<u8>>)]) -> Result<(), What> {
    let value = |spelt: Option<&[u8]>| spelt.map_or_else(|| "absent".to_owned(), diagnostic);
    for (key, stated) in shown {
        let computed = after.0.get(&key.0);
        if computed.map(|entry| &entry.value) != stated.as_ref() {
            let named = computed.or_else(|| before.0.get(&key.0));
            return Err(What::Value {
                name: named.map_or_else(|| hex(&key.0), |entry| diagnostic(&entry.name)),
                stated: value(stated.as_deref()),
                computed: value(computed.map(|entry| &entry.value[..])),
            });
        }
    }
    let is_shown = |key: &[u8; 32]| shown.iter().any(|(shown, _)| shown.0 == *key);
    for (key, entry) in &before.0 {
        if !after.0.contains_key(key) && !is_shown(key) {
            let (name, stated) = (diagnostic(&entry.name), diagnostic(&entry.value));
            return Err(What::Value { name, stated, computed: "absent".into() });
        }
    }
    for (key, entry) in &after.0 {
        let was = before.0.get(key);
        if was != Some(entry) && !is_shown(key) {
            return Err(What::Value {
                name: diagnostic(&entry.name),
                stated: value(was.map(|entry| &entry.value[..])),
                computed: diagnostic(&entry.value),
            });
        }
    }
    Ok(())
}
