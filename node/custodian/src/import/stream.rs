//! A numbered stream of events: what a feed seals, in an order and with ids that it fixed beforehand.
//!
//! An import may seal in any order and draw as it goes, because nobody counts its events. A feed
//! numbers them without gaps and has to make the very same items again after a crash. So it first
//! asks whose each event is ([`whose`]), fixes order, ids and seeds durably, and then plans
//! ([`plan`]); planning again after a crash gives the same items, whatever the vault had kept.
//!
//! An event whose patient cannot be told, because its identifiers belong to several subjects, is
//! recorded without a subject: what was accepted is recorded.
//!
//! Deliberately absent: who draws the numbers, packing into submissions, and the network.

use custos_proof::ids::{Height, ParticipantId};
use custos_proof::kinds::access::Late;

use super::{
    BTreeSet, Batch, Digest, HashMap, ItemHash, ItemState, PlanError, Planned, Planner, Settings, SubjectId,
    Vault, VaultError, schedule,
};
use crate::draft::{AccessEventDraft, Origin};
use crate::seal::{self, EventPlace, Fixed};

/// Whose event it is and who acted: what decides its trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    /// The subject; none when the event has none.
    pub subject: Option<SubjectId>,
    /// Whether it has a subject that cannot be told: its names belong to several.
    pub in_conflict: bool,
    /// The organisation that acted.
    pub acting: ParticipantId,
}

/// An event and everything that is fixed about it.
#[derive(Debug, Clone)]
pub struct Numbered {
    /// What happened.
    pub draft: AccessEventDraft,
    /// Its ids, seed and number.
    pub fixed: Fixed,
    /// The head that the feed saw when it accepted the event.
    pub at_height: Height,
    /// Whether it waited.
    pub late: Late,
}

/// What to send: first the acts, wave by wave, then the events in their order.
#[derive(Debug, Clone, Default)]
pub struct NumberedPlan {
    /// Openings of trails and what they stand on, as far as they are not known to be recorded.
    pub acts: Vec<Batch>,
    /// One for each event, in order.
    pub events: Vec<Planned>,
}

/// Finds, or enters into the vault, whose event this is.
///
/// # Errors
/// The vault.
pub fn whose(vault: &mut Vault, draft: &AccessEventDraft, settings: &Settings) -> Result<Whose, VaultError> {
    let custodian = vault.scope().custodian.clone();
    let participant =
        draft.organisations.iter().find_map(|party| settings.organisations.find(party)).cloned();
    // As in an import: what was refused stands in the own trail, and looks like the custodian's own staff's.
    let acting = participant.filter(|_| !draft.is_for_own_trail()).unwrap_or(custodian);
    let (subject, in_conflict) = match &draft.subject[..] {
        [] => (None, false),
        names => match vault.subject(names) {
            Ok(subject) => (Some(subject), false),
            Err(VaultError::Conflict { .. }) => (None, true),
            Err(other) => return Err(other),
        },
    };
    Ok(Whose { subject, in_conflict, acting })
}

/// Whether a document of this name and content was sealed before, and not refused since.
#[must_use]
pub fn is_known(vault: &Vault, origin: &Origin) -> bool {
    vault.item_of_source(&origin.name).is_some_and(|entry| entry.source_digest == origin.digest)
}

/// Seals the events, keeps them in the vault, and says what to send.
///
/// # Errors
/// [`PlanError`]. Planning again after any failure gives the same events.
pub fn plan(vault: &mut Vault, events: &[Numbered], settings: &Settings) -> Result<NumberedPlan, PlanError> {
    let mut planner = Planner {
        vault,
        settings,
        sealed: Vec::new(),
        send: BTreeSet::new(),
        trails: HashMap::new(),
        fresh: HashMap::new(),
        ended: HashMap::new(),
    };
    let mut hashes = Vec::with_capacity(events.len());
    for event in events {
        hashes.push(planner.numbered(event)?);
    }
    let Planner { vault, sealed, send, .. } = planner;
    let unkept = sealed.into_iter().filter(|(_, item)| vault.entry(&item.hash()).is_none()).collect();
    vault.keep_items(unkept)?;
    let events: BTreeSet<ItemHash> = hashes.iter().copied().collect();
    let acts = send.into_iter().filter(|hash| !events.contains(hash)).collect();
    Ok(NumberedPlan {
        acts: schedule(vault, acts, settings)?,
        events: hashes
            .into_iter()
            .map(|hash| Ok(Planned { hash, bytes: vault.item(&hash)?.bytes }))
            .collect::<Result<_, VaultError>>()?,
    })
}

impl Planner<'_> {
    /// The item of an event: sealed now, or in an earlier attempt.
    fn numbered(&mut self, event: &Numbered) -> Result<ItemHash, PlanError> {
        if let Some(hash) = self.attempted(event) {
            let needed = self.opening_of(&hash);
            self.send.extend(needed);
            return Ok(hash);
        }
        let whose = whose(self.vault, &event.draft, self.settings)?;
        let custodian = self.vault.scope().custodian.clone();
        let grantee = (whose.acting != custodian).then(|| whose.acting.clone());
        let (owner, local_id): (SubjectId, Option<Digest>) = match whose.subject {
            Some(subject) => (subject, Some(self.trail(&subject, grantee)?)),
            None => (self.vault.institution()?, None),
        };
        let (basis, cited) = self.ground(&event.draft, local_id, true);
        let place = EventPlace {
            local_id,
            acting: whose.acting,
            basis,
            cited,
            at_height: event.at_height,
            late: event.late,
            retention: self.settings.retention,
        };
        let item = seal::event_as(self.vault.scope(), &event.draft, &place, &event.fixed)?;
        Ok(self.add(owner, item))
    }

    /// The item that an earlier attempt put into the vault. It counts even if sealing anew would give other
    /// bytes (a new version, a changed table of organisations): it may have been sent.
    fn attempted(&self, event: &Numbered) -> Option<ItemHash> {
        let entry = self.vault.item_of_source(&event.draft.origin.name)?;
        let stored = self.vault.item(&entry.hash).ok()?;
        let is_it = stored.item_id() == Some(event.fixed.item_id) && entry.state != ItemState::Dropped;
        is_it.then_some(entry.hash)
    }
}
