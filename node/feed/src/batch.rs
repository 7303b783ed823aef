//! Batches: which drafts become which events, in which order, in which submissions. Pure.
//!
//! Rules for linkage (DESIGN, section 4) hold here as in an import: no submission has items of two
//! trails of one subject, and the order of subjects within a submission is shuffled, so that the
//! ledger does not tell in which order patients were seen. Numbers are given afterwards, in that
//! order.
//!
//! Grouping, when it is on, makes one event of many like ones: reads and queries that are equal in
//! all but their instants, their own ids and their correlation. What is kept is how many, the first
//! and the last instant. Everything else (exports, changes, emergencies) is never grouped.

use std::collections::HashMap;

use custos_custodian::draft::AccessEventDraft;
use custos_custodian::import::stream::Whose;
use custos_custodian::vault::SubjectId;
use custos_proof::ids::{Height, ParticipantId, TimeMs};
use custos_proof::kinds::access::Late;
use custos_proof::sealed_values::{ActionKind, Group, Moment, Reason, Source, Stated, When};

use crate::spool::frame::MAX_MEMBERS;

/// A draft that was accepted.
#[derive(Debug, Clone)]
pub struct Ready {
    /// The document's position and the draft's place in it.
    pub member: (u64, u16),
    /// When it was accepted.
    pub at: TimeMs,
    /// The head that the feed saw then.
    pub head: Height,
    /// How old that was.
    pub head_age_ms: u64,
    /// What it says.
    pub draft: AccessEventDraft,
}

/// An event to be: one draft, or several like ones.
#[derive(Debug, Clone)]
pub struct Event {
    /// The drafts that it stands for, in the order of acceptance.
    pub members: Vec<(u64, u16)>,
    /// What it says.
    pub draft: AccessEventDraft,
    /// The head that the feed saw when it accepted the last of them.
    pub head: Height,
    /// Whether it waited.
    pub late: Late,
}

/// Makes events of drafts: one each, or grouped.
#[must_use]
pub fn events(ready: Vec<Ready>, is_grouped: bool, late_after_ms: u64, now: TimeMs) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::with_capacity(ready.len());
    let mut like: HashMap<Vec<u8>, usize> = HashMap::new();
    for one in ready {
        let late = lateness(&one, late_after_ms, now);
        let likeness = if is_grouped { likeness(&one.draft) } else { None };
        let into = likeness.as_ref().and_then(|likeness| like.get(likeness)).copied();
        match into.and_then(|at| events.get_mut(at)).filter(|event| event.members.len() < MAX_MEMBERS) {
            Some(event) => {
                join(&mut event.draft, &one.draft);
                event.members.push(one.member);
                event.head = event.head.max(one.head);
                if late == Late::Spooled {
                    event.late = late;
                }
            }
            None => {
                likeness.map(|likeness| like.insert(likeness, events.len()));
                events.push(Event { members: vec![one.member], draft: one.draft, head: one.head, late });
            }
        }
    }
    events
}

/// Draws the drafts of an event together again, as [`events`] did when the batch was fixed.
#[must_use]
pub fn joined<'a>(mut drafts: impl Iterator<Item = &'a AccessEventDraft>) -> Option<AccessEventDraft> {
    let mut first = drafts.next()?.clone();
    drafts.for_each(|draft| join(&mut first, draft));
    Some(first)
}

/// Late is what waited here, what was accepted while the ledger had not been heard of, and what the source
/// itself kept back.
fn lateness(one: &Ready, late_after_ms: u64, now: TimeMs) -> Late {
    let waited = now.0.saturating_sub(one.at.0);
    let recorded = one.draft.values.when.value().and_then(|when| when.recorded.as_ref());
    let kept_back = recorded.map_or(0, |moment| {
        let accepted = i64::try_from(one.at.0).unwrap_or(i64::MAX);
        u64::try_from(accepted.saturating_sub(moment.last_ms())).unwrap_or(0)
    });
    let longest = waited.max(one.head_age_ms).max(kept_back);
    if longest > late_after_ms { Late::Spooled } else { Late::None }
}

/// Everything in which like events are equal; nothing for what is never grouped.
fn likeness(draft: &AccessEventDraft) -> Option<Vec<u8>> {
    let kind = draft.values.action.value().and_then(|action| action.kind)?;
    if !matches!(kind, ActionKind::Read | ActionKind::Query) {
        return None;
    }
    let mut values = draft.values.clone();
    values.when = Stated::Unknown(Reason::NotStated);
    values.group = Stated::Unknown(Reason::NotStated);
    values.correlation = Stated::Unknown(Reason::NotStated);
    if let Stated::Value(source) = &values.source {
        values.source = Stated::Value(Source { own_id: None, ..source.clone() });
    }
    let texts = draft.subject.iter().map(|key| key.as_str()).chain(draft.cites.iter().map(String::as_str));
    let clear = format!("{:?}{:?}{:?}", draft.organisations, draft.basis, draft.cited);
    let parts =
        texts.map(|text| text.as_bytes().to_vec()).chain([clear.into_bytes()]).chain(values.to_fields());
    Some(parts.flat_map(|part| [&(part.len() as u64).to_be_bytes()[..], &part].concat()).collect())
}

/// Adds a like event.
fn join(group: &mut AccessEventDraft, other: &AccessEventDraft) {
    let counted = |draft: &AccessEventDraft| {
        let stated = draft.values.group.value().cloned().unwrap_or_default();
        let recorded = draft.values.when.value().and_then(|when| when.recorded.clone());
        Group {
            count: Some(stated.count.unwrap_or(1)),
            start: stated.start.or_else(|| recorded.clone()),
            end: stated.end.or(recorded),
        }
    };
    let (one, two) = (counted(group), counted(other));
    let pick = |a: Option<Moment>, b: Option<Moment>, first: bool| match (a, b) {
        (Some(a), Some(b)) if (b.first_ms() < a.first_ms()) == first => Some(b),
        (a, b) => a.or(b),
    };
    let start = pick(one.start, two.start, true);
    let values = &mut group.values;
    values.when = Stated::Value(When { recorded: start.clone(), start: None, end: None });
    values.group = Stated::Value(Group {
        count: one.count.zip(two.count).map(|(a, b)| a.saturating_add(b)),
        start,
        end: pick(one.end, two.end, false),
    });
    if values.correlation != other.values.correlation {
        values.correlation = Stated::Unknown(Reason::Withheld);
    }
}

/// Packs events into submissions. `draw` gives random numbers.
///
/// # Correctness
/// Events of one trail stay in their order. A submission has events of one trail of a subject at the most.
#[must_use]
pub fn pack<T>(events: Vec<(T, Whose)>, max_items: usize, mut draw: impl FnMut() -> u64) -> Vec<Vec<T>> {
    /// Events of one subject, in their order; or one without.
    type Run<T> = Vec<T>;
    struct Open<T> {
        runs: Vec<Run<T>>,
        of: HashMap<SubjectId, (ParticipantId, usize)>,
        count: usize,
    }
    let mut open: Vec<Open<T>> = Vec::new();
    let mut roomy = 0;
    for (event, Whose { subject, acting, .. }) in events {
        let fits = |submission: &Open<T>| {
            submission.count < max_items
                && subject.is_none_or(|id| submission.of.get(&id).is_none_or(|(trail, _)| *trail == acting))
        };
        let at = (roomy..open.len()).find(|at| fits(&open[*at])).unwrap_or(open.len());
        if at == open.len() {
            open.push(Open { runs: Vec::new(), of: HashMap::new(), count: 0 });
        }
        let submission = &mut open[at];
        submission.count += 1;
        match subject.and_then(|id| submission.of.get(&id)) {
            Some((_, run)) => submission.runs[*run].push(event),
            None => {
                if let Some(id) = subject {
                    submission.of.insert(id, (acting, submission.runs.len()));
                }
                submission.runs.push(vec![event]);
            }
        }
        while open.get(roomy).is_some_and(|submission| submission.count >= max_items) {
            roomy += 1;
        }
    }
    let shuffled = |mut submission: Open<T>| {
        for last in (1..submission.runs.len()).rev() {
            submission.runs.swap(last, (draw() % (last as u64 + 1)) as usize);
        }
        submission.runs.into_iter().flatten().collect()
    };
    open.into_iter().map(shuffled).collect()
}

#[cfg(test)]
mod tests;
