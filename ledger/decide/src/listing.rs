//! From verified trails and openings to the rules that they list, as of a height.
//!
//! The proofs have been checked by `custos_proof::verify` and the openings against their seals by
//! `custos_proof::disclosure`; here their content becomes [`ListedRule`]s. What is missing stays visible: a
//! rule without its opening is [`Content::Sealed`], and a listed trail that is not at hand is counted.
//!
//! Which missing trails count: the subject's own trails, and those of the acting participant. A trail
//! of another grantee holds permissions that name that grantee, so it cannot close anything to others. Where no own
//! trail is at hand at all, one is missing.
//!
//! Deliberately absent: fetching, and checking any proof.

use std::collections::{BTreeMap, BTreeSet};

use custos_proof::cbor::Wire;
use custos_proof::disclosure::Shown;
use custos_proof::hash::{Digest, ItemHash};
use custos_proof::ids::{FAR, Height, LogIndex, ParticipantId, Random16};
use custos_proof::kinds::Fields;
use custos_proof::policy::Assurance;
use custos_proof::record::{Entry, Record};
use custos_proof::sealed_values::{InnerKind, RuleBody};
use custos_proof::submission::Author;
use custos_proof::verify::{self, ProvenItem, ProvenTrail};

use crate::facts::{Content, ListedRule};
use crate::terminology::Terminology;

/// A verified trail with what its openings show, entry by entry.
#[derive(Debug, Clone, Copy)]
pub struct OpenTrail<'a> {
    /// The trail.
    pub trail: &'a ProvenTrail,
    /// The sealed fields of each entry, in their order; empty where the item is not there.
    pub shown: &'a [Vec<Shown>],
}

impl<'a> OpenTrail<'a> {
    /// The entries with their items and openings, in the order of the trail.
    pub fn items(&self) -> impl Iterator<Item = (&'a Record, Option<&'a ProvenItem>, &'a [Shown])> {
        let shown = self.shown;
        self.trail.entries.iter().enumerate().map(move |(place, entry)| {
            let item = match &entry.content {
                verify::Content::Item(item) => Some(&**item),
                verify::Content::Withheld(_) | verify::Content::Pruned => None,
            };
            (&entry.record, item, shown.get(place).map_or(&[][..], Vec::as_slice))
        })
    }
}

/// What trails list as of a height.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The rules, in the order of the log.
    pub rules: Vec<ListedRule>,
    /// How many listed trails of the subject or the acting participant are not at hand.
    pub missing_trails: usize,
    /// Whether every trail at hand is complete up to the height.
    pub is_complete: bool,
}

/// The rules that a subject's trails at one custodian list, as of `height`, for a request by `acting`.
#[must_use]
pub fn rules(
    trails: &[OpenTrail<'_>],
    custodian: &ParticipantId,
    acting: &ParticipantId,
    height: Height,
    terminology: &Terminology,
) -> Listing {
    let mut rules: Vec<ListedRule> = Vec::new();
    let mut ends: Vec<(Digest, Random16, LogIndex, Height)> = Vec::new();
    let mut versions: BTreeMap<Random16, u32> = BTreeMap::new();
    let mut places: Vec<Digest> = Vec::new();
    let mut listed: BTreeSet<Digest> = BTreeSet::new();
    for open in trails {
        for (record, item, shown) in open.items() {
            let Entry::Item(entry) = &record.entry else { continue };
            if record.height > height {
                // A later end says that the rule was in force; what it ends is kept as of its own height.
                if let Some(Fields::RulePut(put)) = item.map(|item| &item.item.fields) {
                    ends.extend(put.ends.iter().map(|id| (put.local_id, *id, record.index, record.height)));
                }
                continue;
            }
            let Some(item) = item else {
                // Held back or gone: it may be a rule, so it counts as one that nobody can read.
                rules.push(unread(record, entry.item));
                places.push(Digest::ZERO);
                continue;
            };
            let Fields::RulePut(put) = &item.item.fields else { continue };
            ends.extend(put.ends.iter().map(|id| (put.local_id, *id, record.index, record.height)));
            let version = versions.get(&put.prior).map_or(1, |prior| prior + 1);
            versions.insert(put.rule, version);
            let (content, trail) = content(shown, terminology);
            if let Some(trail) = trail
                && (trail.grantee.is_none() || trail.grantee.as_ref() == Some(acting))
            {
                listed.insert(trail.local_id);
            }
            places.push(put.local_id);
            rules.push(ListedRule {
                rule: put.rule,
                version,
                item: item.hash,
                position: record.index,
                put: record.height,
                expiry: put.expiry,
                ended: None,
                assurance: assurance(&entry.author, custodian),
                author_was_valid: true,
                content,
            });
        }
    }
    for (rule, place) in rules.iter_mut().zip(&places) {
        rule.ended = ends
            .iter()
            .filter(|(trail, id, ..)| trail == place && *id == rule.rule)
            .map(|(_, _, index, height)| (*index, *height))
            .min();
    }
    // What the subject restricts stands in the own trail; whoever shows none of them shows nothing of that.
    let no_own = usize::from(!crate::gather::has_own(trails));
    let at_hand: BTreeSet<Digest> = trails.iter().filter_map(|open| open.trail.name.local_id).collect();
    rules.sort_by_key(|rule| rule.position);
    Listing {
        rules,
        missing_trails: listed.difference(&at_hand).count() + no_own,
        is_complete: trails.iter().all(|open| open.trail.begin == 0 && reaches(open.trail, height)),
    }
}

/// Whether a trail's entries reach beyond a height, or to its end under a header that is not older.
pub(crate) fn reaches(trail: &ProvenTrail, height: Height) -> bool {
    let end = trail.begin.saturating_add(trail.entries.len() as u64);
    let beyond = trail.entries.last().is_some_and(|last| last.record.height > height);
    beyond || (end == trail.size && trail.header.header.height >= height)
}

fn unread(record: &Record, item: ItemHash) -> ListedRule {
    ListedRule {
        rule: Random16([0; 16]),
        version: 1,
        item,
        position: record.index,
        put: record.height,
        expiry: FAR,
        ended: None,
        assurance: Assurance::CustodianAttested,
        author_was_valid: true,
        content: Content::Sealed,
    }
}

/// Validators admitted the act, so its author could speak for the subject; how surely, the author says.
fn assurance(author: &Author, custodian: &ParticipantId) -> Assurance {
    match author {
        Author::Subject(_) => Assurance::SubjectSigned,
        Author::Participant(id) if id == custodian => Assurance::CustodianAttested,
        Author::Participant(_) => Assurance::AgentSigned,
    }
}

/// What a rule's openings show; sealed as soon as one of kind and body is missing.
fn content(
    shown: &[Shown],
    terminology: &Terminology,
) -> (Content, Option<custos_proof::sealed_values::ListedTrail>) {
    let Some(inner) = field::<InnerKind>(shown, 1) else { return (Content::Sealed, None) };
    match field::<RuleBody>(shown, 2) {
        None => (Content::Sealed, None),
        Some(RuleBody::Delegation(delegation)) if inner == InnerKind::DelegationGrant => {
            (Content::Delegation(Box::new(delegation)), None)
        }
        Some(RuleBody::Nothing | RuleBody::Delegation(_) | RuleBody::Rekey(_) | RuleBody::Link(_)) => {
            (Content::Other(inner), None)
        }
        Some(RuleBody::ListsTrail(trail)) => (Content::Other(inner), Some(trail)),
        Some(RuleBody::Rule(rule)) => (Content::rule(inner, rule, terminology), None),
    }
}

/// The value of a sealed field, if its opening is at hand and decodes.
pub(crate) fn field<T: Wire>(shown: &[Shown], number: u8) -> Option<T> {
    let shown = shown.iter().find(|shown| shown.field == number)?;
    T::from_bytes(shown.value.as_deref()?).ok()
}
