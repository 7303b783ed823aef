//! What an institution's trail leaves open: emergencies that nobody reviewed, transfers with one half.
//!
//! Reviews and second halves come after what they answer, so that a part of a trail that reaches to its end is
//! enough. What is contradicted answers nothing, as for the validators.

use std::collections::{BTreeMap, BTreeSet};

use custos_proof::hash::ItemHash;
use custos_proof::ids::{ParticipantId, Random16};
use custos_proof::kinds::Fields;
use custos_proof::kinds::access::Event;
use custos_proof::record::{DueEntry, Finding};
use custos_proof::submission::Author;
use custos_proof::verify::{Content, ProvenItem, ProvenTrail};

/// Source, recipient and id of a transfer.
type Transfer = (ParticipantId, ParticipantId, Random16);

/// What a trail leaves open, and what not.
#[derive(Debug, Default)]
pub(super) struct Open<'a> {
    reviewed: BTreeSet<(ParticipantId, Random16)>,
    exported: BTreeSet<Transfer>,
    imported: BTreeSet<Transfer>,
    items: BTreeMap<ItemHash, &'a ProvenItem>,
}

impl<'a> Open<'a> {
    pub(super) fn of(trail: &'a ProvenTrail) -> Self {
        let mut open = Self::default();
        for entry in &trail.entries {
            let Content::Item(item) = &entry.content else { continue };
            open.items.insert(item.entry.item, item);
            if item.entry.verdict.finding == Finding::Contradicted {
                continue;
            }
            if let Fields::EmergencyReview(review) = &item.item.fields {
                open.reviewed.insert((review.declarer.clone(), review.declaration));
            }
            match half(item) {
                Some((Half::Export, transfer)) => drop(open.exported.insert(transfer)),
                Some((Half::Import, transfer)) => drop(open.imported.insert(transfer)),
                None => {}
            }
        }
        open
    }

    /// Whether it is a declared emergency that nobody reviewed.
    pub(super) fn is_unreviewed(&self, item: &ProvenItem) -> bool {
        match (&item.item.fields, &item.entry.author) {
            (Fields::EmergencyDeclare(declared), Author::Participant(declarer)) => {
                !self.reviewed.contains(&(declarer.clone(), declared.declaration))
            }
            _ => false,
        }
    }

    /// Whether it is a half of a transfer that stands alone.
    pub(super) fn is_unmatched(&self, item: &ProvenItem) -> bool {
        match half(item) {
            Some((Half::Export, transfer)) => !self.imported.contains(&transfer),
            Some((Half::Import, transfer)) => !self.exported.contains(&transfer),
            None => false,
        }
    }

    /// Whether the emergency that an access cites was reviewed.
    pub(super) fn is_reviewed(&self, event: &Event) -> bool {
        event.cited.is_some_and(|cited| {
            [&event.custodian, &event.acting].iter().any(|id| self.reviewed.contains(&((*id).clone(), cited)))
        })
    }

    /// Whether what had been missing when a deadline passed was recorded since.
    pub(super) fn is_done(&self, due: &DueEntry) -> bool {
        self.items.get(&due.cause).is_some_and(|item| match &item.item.fields {
            Fields::EmergencyDeclare(_) => !self.is_unreviewed(item),
            Fields::DisclosureExport(_) | Fields::DisclosureImport(_) => !self.is_unmatched(item),
            _ => false,
        })
    }
}

/// Which half of a transfer between participants.
enum Half {
    Export,
    Import,
}

fn half(item: &ProvenItem) -> Option<(Half, Transfer)> {
    let Author::Participant(author) = &item.entry.author else { return None };
    match &item.item.fields {
        Fields::DisclosureExport(f) => {
            f.recipient.clone().map(|recipient| (Half::Export, (author.clone(), recipient, f.transfer)))
        }
        Fields::DisclosureImport(f) => Some((Half::Import, (f.source.clone(), author.clone(), f.transfer))),
        _ => None,
    }
}
