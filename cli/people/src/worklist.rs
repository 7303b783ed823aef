//! What an institution's privacy officer has to look at, from the institution's own trail.
//!
//! Two sources: what the validators found and the chain established, which everybody can check, and what
//! the sealed fields say, as far as the vault opens them. An entry can be on the list for several
//! reasons, and stands there once for each.
//!
//! Deliberately absent: a judgement. The list says what to look at, and why.

use std::collections::BTreeMap;

use custos_proof::disclosure::Shown;
use custos_proof::hash::{ItemHash, short};
use custos_proof::ids::TimeMs;
use custos_proof::keys::KeyPurpose;
use custos_proof::kinds::Fields;
use custos_proof::kinds::access::{Basis, Event, Late};
use custos_proof::record::{Code, Entry, Finding, ItemEntry};
use custos_proof::sealed_values::{
    Action, ActionKind, Outcome, OutcomeKind, Purposes, Relationship, RelationshipKind, Source,
};
use custos_proof::verify::{Content, ProvenEntry, ProvenItem, ProvenTrail};

use crate::catalogue::Speaker;
use crate::codes::ACT_REASON;
use crate::event::{self, Listener, Manner, is_shown, opened};
use crate::names::Names;
use crate::report::{Cell, Column, LeftOut, Report};
use crate::rule::Rules;
use crate::say;

mod open;

use open::Open;

/// How long before its end a key is on the list: 30 days, in milliseconds.
pub const KEY_NOTICE_MS: u64 = 30 * 86_400_000;

/// Purposes for which a person is treated, so that a care relationship is expected.
const TREATING: &[&str] = &["TREAT", "ETREAT", "CAREMGT", "COC"];

/// A key of the institution that is about to end, or that others may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndingKey {
    /// Its id, shortened.
    pub id: String,
    /// What it signs.
    pub purpose: Option<KeyPurpose>,
    /// When it ends.
    pub until: Option<TimeMs>,
    /// Since when others may have it.
    pub compromised_from: Option<TimeMs>,
}

/// What the list is made from.
#[derive(Debug, Clone, Copy)]
pub struct Material<'a> {
    /// The institution's trail, or a part of it.
    pub trail: &'a ProvenTrail,
    /// The sealed fields of each entry, in order.
    pub shown: &'a [Vec<Shown>],
    /// What the vault calls the patient of an item.
    pub patients: &'a BTreeMap<ItemHash, String>,
    /// Keys to look at, by the registry of the node that was asked.
    pub keys: &'a [EndingKey],
    /// Names of participants.
    pub names: &'a Names,
    /// The language.
    pub speaker: &'a Speaker,
    /// The height of the anchor from which the proof was verified.
    pub anchor: u64,
    /// From when on entries were asked for.
    pub from: TimeMs,
}

/// Why something is on the list, most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    Contradicted,
    Unreviewed,
    Emergency,
    Unmatched,
    Overdue,
    Unrelated,
    NoGround,
    Gap,
    OutOfOrder,
    Late,
    Incomplete,
    KeyCompromised,
    KeyEnding,
}

impl Why {
    const fn key(self) -> &'static str {
        match self {
            Why::Contradicted => "contradicted",
            Why::Unreviewed => "unreviewed",
            Why::Emergency => "emergency",
            Why::Unmatched => "unmatched",
            Why::Overdue => "overdue",
            Why::Unrelated => "unrelated",
            Why::NoGround => "no-ground",
            Why::Gap => "gap",
            Why::OutOfOrder => "out-of-order",
            Why::Late => "late",
            Why::Incomplete => "incomplete",
            Why::KeyCompromised => "key-compromised",
            Why::KeyEnding => "key-ending",
        }
    }

    fn words(self, s: &Speaker) -> String {
        match self {
            Why::Contradicted => say!(s, "why-contradicted"),
            Why::Unreviewed => say!(s, "why-unreviewed"),
            Why::Emergency => say!(s, "why-emergency"),
            Why::Unmatched => say!(s, "why-unmatched"),
            Why::Overdue => say!(s, "why-overdue"),
            Why::Unrelated => say!(s, "why-unrelated"),
            Why::NoGround => say!(s, "why-no-ground"),
            Why::Gap => say!(s, "why-gap"),
            Why::OutOfOrder => say!(s, "why-out-of-order"),
            Why::Late => say!(s, "why-late"),
            Why::Incomplete => say!(s, "why-incomplete"),
            Why::KeyCompromised => say!(s, "why-key-compromised"),
            Why::KeyEnding => say!(s, "why-key-ending"),
        }
    }
}

/// Makes the list.
#[must_use]
pub fn report(material: &Material<'_>) -> Report {
    let s = material.speaker;
    let rules = Rules::default();
    let manner = Manner { speaker: s, names: material.names, rules: &rules, listener: Listener::Other };
    let open = Open::of(material.trail);
    let (mut rows, mut withheld, mut sealed, mut imported) = (Vec::new(), Vec::new(), 0, 0);
    for (entry, shown) in material.trail.entries.iter().zip(material.shown) {
        // Neighbours prove that nothing lies between; they are not part of what was asked for.
        if entry.record.time < material.from {
            continue;
        }
        match &entry.content {
            Content::Item(item) => {
                let mut found = of_any(item, &open);
                if let Fields::AccessEvent(event) = &item.item.fields {
                    sealed += u64::from(!shown.iter().any(|field| field.value.is_some()));
                    imported += u64::from(event.late == Late::ImportedHistory);
                    found.extend(of_access(event, &item.entry, shown, &open));
                }
                rows.extend(found.into_iter().map(|why| (why, row(why, entry, shown, material, manner))));
            }
            Content::Withheld(_) | Content::Pruned => match &entry.record.entry {
                // What was done since stands on the list as late.
                Entry::Due(due) if open.is_done(due) => {}
                Entry::Due(_) => rows.push((Why::Overdue, row(Why::Overdue, entry, shown, material, manner))),
                _ => withheld.push(event::entry(entry, shown, manner)),
            },
        }
    }
    rows.extend(material.keys.iter().map(|key| key_row(key, s)));
    rows.sort_by_key(|(why, _)| *why);
    let column = |key, head| Column { key, head };
    let header = &material.trail.header.header;
    let left_out = LeftOut { key: "imported", reason: say!(s, "worklist-imported"), count: imported };
    Report {
        title: say!(s, "worklist-title"),
        lines: vec![
            say!(s, "worklist-of", name = material.names.of(&material.trail.name.owner, s)),
            say!(s, "report-period", from = s.minute(material.from), to = s.second(header.time)),
            say!(s, "worklist-count", count = rows.len()),
        ],
        columns: vec![
            column("why", say!(s, "column-why")),
            column("recorded", say!(s, "column-recorded")),
            column("patient", say!(s, "column-patient")),
            column("entry", say!(s, "column-entry")),
            column("finding", say!(s, "column-finding")),
            column("item", say!(s, "column-item")),
        ],
        rows: rows.into_iter().map(|(_, cells)| cells).collect(),
        left_out: Vec::from([left_out]).into_iter().filter(|out| out.count > 0).collect(),
        withheld,
        sources: vec![source(material)],
        limits: limits(sealed, s),
    }
}

/// Why any statement is to be looked at.
fn of_any(item: &ProvenItem, open: &Open<'_>) -> Vec<Why> {
    let verdict = &item.entry.verdict;
    let is_contradicted = verdict.finding == Finding::Contradicted;
    let has = |code: Code| verdict.codes.contains(&code);
    let mut found = Vec::new();
    let mut add = |is: bool, why: Why| found.extend(is.then_some(why));
    add(is_contradicted, Why::Contradicted);
    add(!is_contradicted && open.is_unreviewed(item), Why::Unreviewed);
    add(!is_contradicted && open.is_unmatched(item), Why::Unmatched);
    add(has(Code::Late) || has(Code::Overdue), Why::Late);
    found
}

/// Why an access is to be looked at besides.
fn of_access(event: &Event, entry: &ItemEntry, shown: &[Shown], open: &Open<'_>) -> Vec<Why> {
    let has = |code: Code| entry.verdict.codes.contains(&code);
    let is_imported = event.late == Late::ImportedHistory;
    let mut found = Vec::new();
    let mut add = |is: bool, why: Why| found.extend(is.then_some(why));
    add(is_emergency(event, shown) && !open.is_reviewed(event), Why::Emergency);
    // Of what an earlier system did, ground and relationship are seldom known: it is counted, not listed.
    add(!is_imported && is_unrelated(event, shown), Why::Unrelated);
    add(!is_imported && (event.basis == Basis::Unknown || has(Code::NothingCited)), Why::NoGround);
    add(has(Code::Gap), Why::Gap);
    add(has(Code::OutOfOrder), Why::OutOfOrder);
    add(opened::<Source>(shown, 16).is_some_and(|source| !source.is_complete()), Why::Incomplete);
    found
}

fn is_emergency(event: &Event, shown: &[Shown]) -> bool {
    let action = opened::<Action>(shown, 1).and_then(|action| action.kind);
    let outcome = opened::<Outcome>(shown, 2).and_then(|outcome| outcome.kind);
    event.basis == Basis::Emergency
        || outcome == Some(OutcomeKind::Overridden)
        || action == Some(ActionKind::StartBreakGlass)
}

/// Served for treatment, and no care relationship is stated. What is sealed is not judged.
fn is_unrelated(event: &Event, shown: &[Shown]) -> bool {
    let outcome = opened::<Outcome>(shown, 2).and_then(|outcome| outcome.kind);
    let is_refused = matches!(outcome, Some(OutcomeKind::Denied | OutcomeKind::Failed));
    let is_treating = opened::<Purposes>(shown, 4).is_some_and(|purposes| {
        let concepts = purposes.iter().filter_map(|purpose| purpose.concept.as_ref());
        concepts.into_iter().any(|concept| TREATING.iter().any(|code| concept.has(ACT_REASON, code)))
    });
    let relationship = opened::<Relationship>(shown, 9).and_then(|relationship| relationship.kind);
    let is_none = matches!(relationship, None | Some(RelationshipKind::None));
    event.basis != Basis::Subject && !is_refused && is_treating && is_shown(shown, 9) && is_none
}

fn row(
    why: Why,
    entry: &ProvenEntry,
    shown: &[Shown],
    material: &Material<'_>,
    manner: Manner<'_>,
) -> Vec<Cell> {
    let item = entry.record.as_item();
    // A fact of the chain is about the statement that it follows from.
    let about = match &entry.record.entry {
        Entry::Due(due) => Some(due.cause),
        _ => item.map(|item| item.item),
    };
    let patient = about.and_then(|about| material.patients.get(&about));
    vec![
        Cell::Named { key: why.key(), words: why.words(manner.speaker) },
        Cell::Time(entry.record.time),
        patient.map_or(Cell::Empty, |patient| Cell::Text(patient.clone())),
        Cell::Text(event::entry(entry, shown, manner)),
        item.map_or(Cell::Empty, |item| Cell::Text(event::finding(&item.verdict, manner.speaker))),
        about.map_or(Cell::Empty, |about| Cell::Text(about.to_string())),
    ]
}

fn key_row(key: &EndingKey, s: &Speaker) -> (Why, Vec<Cell>) {
    let purpose = key.purpose.map_or_else(|| say!(s, "value-unnamed"), |purpose| s.word(purpose));
    let (why, words) = match (key.compromised_from, key.until) {
        (Some(since), _) => {
            let words =
                say!(s, "worklist-key-compromised", id = &key.id, purpose = purpose, time = s.minute(since));
            (Why::KeyCompromised, words)
        }
        (None, until) => {
            let time = until.map_or_else(String::new, |until| s.minute(until));
            (Why::KeyEnding, say!(s, "worklist-key-ending", id = &key.id, purpose = purpose, time = time))
        }
    };
    let named = Cell::Named { key: why.key(), words: why.words(s) };
    (why, vec![named, Cell::Empty, Cell::Empty, Cell::Text(words), Cell::Empty, Cell::Empty])
}

fn source(material: &Material<'_>) -> String {
    let s = material.speaker;
    let trail = material.trail;
    let header = &trail.header.header;
    let (kind, owner) = (s.word(trail.name.kind), material.names.of(&trail.name.owner, s));
    let extent = match (trail.size, trail.is_complete()) {
        (0, _) => say!(s, "source-absent"),
        (size, true) => say!(s, "source-complete", count = size),
        (size, false) => say!(s, "source-part", count = trail.entries.len(), size = size),
    };
    say!(
        s,
        "source",
        name = say!(s, "trail-of", kind = kind, owner = owner),
        key = trail.key.to_string(),
        extent = extent,
        height = header.height.to_string(),
        time = s.second(header.time),
        block = header.block_id().to_string(),
        anchor = material.anchor.to_string()
    )
}

fn limits(sealed: u64, s: &Speaker) -> Vec<String> {
    let mut limits = vec![say!(s, "worklist-limit-recorded"), say!(s, "worklist-limit-keys")];
    if sealed > 0 {
        limits.insert(0, say!(s, "worklist-limit-sealed", count = sealed));
    }
    limits
}

/// The keys to look at, of those that the registry lists: `(id, purpose, not after, compromised from)`.
#[must_use]
pub fn ending_keys(
    keys: impl IntoIterator<Item = (String, Option<KeyPurpose>, TimeMs, Option<TimeMs>)>,
    now: TimeMs,
) -> Vec<EndingKey> {
    let notice = now.plus(KEY_NOTICE_MS);
    keys.into_iter()
        .filter(|(_, _, until, compromised)| (*until > now && *until <= notice) || compromised.is_some())
        .map(|(id, purpose, until, compromised_from)| EndingKey {
            id: shortened(&id),
            purpose,
            until: Some(until),
            compromised_from,
        })
        .collect()
}

fn shortened(id: &str) -> String {
    id.chars().take(short(&[0; 32]).len()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_listed_in_their_last_thirty_days() {
        let now = TimeMs(1_000_000_000_000);
        let key = |until: u64, compromised: Option<u64>| {
            ("0123456789abcdef".to_owned(), Some(KeyPurpose::Sign), TimeMs(until), compromised.map(TimeMs))
        };
        let listed = |key| ending_keys([key], now).len();
        assert_eq!(listed(key(now.0 + KEY_NOTICE_MS, None)), 1);
        assert_eq!(listed(key(now.0 + KEY_NOTICE_MS + 1, None)), 0);
        assert_eq!(listed(key(now.0, None)), 0, "what has ended is no work");
        assert_eq!(listed(key(u64::MAX, Some(now.0))), 1);
        assert_eq!(ending_keys([key(now.0 + 1, None)], now)[0].id, "01234567");
    }
}
