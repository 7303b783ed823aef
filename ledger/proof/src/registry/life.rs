//! Entries of the state map about permits, emergencies, transfers, records and obligations.
//!
//! Only what `apply` reads: which permit held when, which emergency was declared and cited where,
//! which halves of a transfer arrived, which step a record or job took last, who may speak for a
//! subject, what must not be erased, and what falls due.

use super::state_key;
use crate::cbor::{Set, Wire, wire_struct};
use crate::hash::{ItemHash, StateKey, TrailKey};
use crate::ids::{Height, ParticipantId, Random16, TimeMs};
use crate::kinds::permit::Terms;
use crate::kinds::{job, record};

/// The most trails that a chain-made fact is listed in.
pub const MAX_DUE_TRAILS: usize = 4;

/// Where a [`Permit`] stands.
#[must_use]
pub fn permit_key(permit: &Random16) -> StateKey {
    state_key("permit", &[&|w| permit.write(w)])
}

/// Where the [`PermitTerms`] of a permit's version stand; versions count from 1.
#[must_use]
pub fn permit_terms_key(permit: &Random16, version: u32) -> StateKey {
    state_key("permit-terms", &[&|w| permit.write(w), &|w| version.write(w)])
}

/// Where an author's [`Emergency`] stands.
#[must_use]
pub fn emergency_key(declarer: &ParticipantId, declaration: &Random16) -> StateKey {
    state_key("emergency", &[&|w| declarer.write(w), &|w| declaration.write(w)])
}

/// Where a [`Transfer`] from a source to a recipient stands.
#[must_use]
pub fn transfer_key(source: &ParticipantId, recipient: &ParticipantId, transfer: &Random16) -> StateKey {
    state_key("transfer", &[&|w| source.write(w), &|w| recipient.write(w), &|w| transfer.write(w)])
}

/// Where the last step ([`record::Step`]) of a record in a trail stands.
#[must_use]
pub fn record_key(trail: &TrailKey, record: &Random16) -> StateKey {
    state_key("record", &[&|w| trail.write(w), &|w| record.write(w)])
}

/// Where the last step ([`job::Step`]) of a job under a permit stands.
#[must_use]
pub fn job_key(permit: &Random16, job: &Random16) -> StateKey {
    state_key("job", &[&|w| permit.write(w), &|w| job.write(w)])
}

/// Where the [`AgentEntry`] of an agent in a trail stands.
#[must_use]
pub fn agent_key(trail: &TrailKey, agent: &ParticipantId) -> StateKey {
    state_key("agent", &[&|w| trail.write(w), &|w| agent.write(w)])
}

/// Where a custodian's [`Hold`] stands.
#[must_use]
pub fn hold_key(custodian: &ParticipantId, hold: &Random16) -> StateKey {
    state_key("hold", &[&|w| custodian.write(w), &|w| hold.write(w)])
}

/// Where the number (`u64`) of holds on a trail stands; an institution's trail stands for everything of the institution.
#[must_use]
pub fn held_key(trail: &TrailKey) -> StateKey {
    state_key("held", &[&|w| trail.write(w)])
}

/// Where a [`Due`] stands.
#[must_use]
pub fn due_key(place: &DuePlace) -> StateKey {
    state_key("due", &[&|w| place.deadline.write(w), &|w| place.cause.write(w), &|w| place.rule.write(w)])
}

wire_struct! {
    /// A data permit.
    pub struct Permit {
        /// The access body that issued it.
        pub body: ParticipantId,
        /// The version of its terms that holds now; the issue is version 1.
        pub version: u32,
        /// The block that revoked it.
        pub revoked: Option<Height>,
    }
}

wire_struct! {
    /// What a permit permits since some block, until the next version.
    pub struct PermitTerms {
        /// The item that states them.
        pub item: ItemHash,
        /// The block that recorded them.
        pub since: Height,
        /// The terms.
        pub terms: Terms,
    }
}

wire_struct! {
    /// A declared emergency.
    pub struct Emergency {
        /// The item that declares it.
        pub item: ItemHash,
        /// The block that recorded it.
        pub declared: Height,
        /// That block's time.
        pub time: TimeMs,
        /// When its review fell or falls due.
        pub review_by: TimeMs,
        /// Who holds the data.
        pub custodian: ParticipantId,
        /// Who acts.
        pub acting: ParticipantId,
        /// The subject trail in which it was cited first: no other may cite it.
        pub cited: Option<TrailKey>,
        /// The block that recorded the first review.
        pub reviewed: Option<Height>,
    }
}

wire_struct! {
    /// The halves of a transfer that were recorded.
    pub struct Transfer {
        /// The block of the first half.
        pub first: Height,
        /// When the other half fell or falls due.
        pub deadline: TimeMs,
        /// The export.
        pub exported: Option<ItemHash>,
        /// The import.
        pub imported: Option<ItemHash>,
    }
}

wire_struct! {
    /// An agent that may speak for the subject of a trail.
    pub struct AgentEntry {
        /// The block that named it.
        pub since: Height,
        /// The block that removed it.
        pub until: Option<Height>,
    }
}

wire_struct! {
    /// Something must be kept.
    pub struct Hold {
        /// Who set it, and may lift it.
        pub by: ParticipantId,
        /// What it is on: a subject's trail, or an institution's, which stands for everything of the institution.
        pub trail: TrailKey,
        /// Whether it is on an institution.
        pub whole: bool,
        /// The block that lifted it.
        pub lifted: Option<Height>,
    }
}

wire_struct! {
    /// Where an obligation stands in the order in which they fall due: by deadline, then by cause.
    pub struct DuePlace {
        /// When it falls due.
        pub deadline: TimeMs,
        /// The item from which it follows.
        pub cause: ItemHash,
        /// The rule by which it follows: a number of [`crate::record::DueRule`].
        pub rule: u32,
    }
}

wire_struct! {
    /// An obligation that is not met yet. It is removed when it is met, and when its fact is recorded.
    pub struct Due = "due" {
        /// Its place.
        pub place: DuePlace,
        /// Where its fact will be listed.
        pub trails: Set<TrailKey, MAX_DUE_TRAILS>,
    }
}

impl PartialOrd for DuePlace {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DuePlace {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (self.deadline, self.cause, self.rule).cmp(&(other.deadline, other.cause, other.rule))
    }
}

/// The steps of records and jobs are values of the map, too.
pub type RecordStep = record::Step;
/// The last step of a job.
pub type JobStep = job::Step;
