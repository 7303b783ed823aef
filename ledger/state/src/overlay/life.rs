//! Reading and changing what the state knows about permits, emergencies, transfers, records,
//! agents, holds and obligations.

use custos_proof::hash::TrailKey;
use custos_proof::ids::{ParticipantId, Random16};
use custos_proof::registry::{
    self, AgentEntry, Due, DuePlace, Emergency, Hold, JobStep, Permit, PermitTerms, RecordStep, Transfer,
};
use custos_proof::trail::TrailName;

use super::Overlay;
use crate::changes::Erasure;
use crate::view::ViewError;

impl Overlay<'_> {
    /// A permit.
    ///
    /// # Errors
    /// As for all readers here: when the view cannot be read or holds what it must not.
    pub fn permit(&self, permit: &Random16) -> Result<Option<Permit>, ViewError> {
        self.read(&registry::permit_key(permit), "permit")
    }

    pub(crate) fn put_permit(&mut self, id: &Random16, permit: &Permit) {
        self.put(registry::permit_key(id), permit);
    }

    /// The terms of a permit's version, which must be there.
    pub fn permit_terms(&self, permit: &Random16, version: u32) -> Result<PermitTerms, ViewError> {
        self.read(&registry::permit_terms_key(permit, version), "permit's terms")?.ok_or_else(|| {
            ViewError::Damaged { what: format!("version {version} of permit {permit} is not known") }
        })
    }

    pub(crate) fn put_permit_terms(&mut self, permit: &Random16, version: u32, terms: &PermitTerms) {
        self.put(registry::permit_terms_key(permit, version), terms);
    }

    /// A declared emergency.
    pub fn emergency(
        &self,
        declarer: &ParticipantId,
        declaration: &Random16,
    ) -> Result<Option<Emergency>, ViewError> {
        self.read(&registry::emergency_key(declarer, declaration), "emergency")
    }

    pub(crate) fn put_emergency(
        &mut self,
        declarer: &ParticipantId,
        declaration: &Random16,
        emergency: &Emergency,
    ) {
        self.put(registry::emergency_key(declarer, declaration), emergency);
    }

    /// The halves of a transfer.
    pub fn transfer(
        &self,
        source: &ParticipantId,
        recipient: &ParticipantId,
        transfer: &Random16,
    ) -> Result<Option<Transfer>, ViewError> {
        self.read(&registry::transfer_key(source, recipient, transfer), "transfer")
    }

    pub(crate) fn put_transfer(
        &mut self,
        source: &ParticipantId,
        recipient: &ParticipantId,
        id: &Random16,
        transfer: &Transfer,
    ) {
        self.put(registry::transfer_key(source, recipient, id), transfer);
    }

    /// The last step of a record.
    pub fn record_step(&self, trail: &TrailKey, record: &Random16) -> Result<Option<RecordStep>, ViewError> {
        self.read(&registry::record_key(trail, record), "record's step")
    }

    pub(crate) fn put_record_step(&mut self, trail: &TrailKey, record: &Random16, step: RecordStep) {
        self.put(registry::record_key(trail, record), &step);
    }

    /// The last step of a job.
    pub fn job_step(&self, permit: &Random16, job: &Random16) -> Result<Option<JobStep>, ViewError> {
        self.read(&registry::job_key(permit, job), "job's step")
    }

    pub(crate) fn put_job_step(&mut self, permit: &Random16, job: &Random16, step: JobStep) {
        self.put(registry::job_key(permit, job), &step);
    }

    /// An agent of a trail, also one that was removed.
    pub fn agent(&self, trail: &TrailKey, agent: &ParticipantId) -> Result<Option<AgentEntry>, ViewError> {
        self.read(&registry::agent_key(trail, agent), "agent")
    }

    pub(crate) fn put_agent(&mut self, trail: &TrailKey, agent: &ParticipantId, entry: &AgentEntry) {
        self.put(registry::agent_key(trail, agent), entry);
    }

    /// A hold.
    pub fn hold(&self, custodian: &ParticipantId, hold: &Random16) -> Result<Option<Hold>, ViewError> {
        self.read(&registry::hold_key(custodian, hold), "hold")
    }

    pub(crate) fn put_hold(&mut self, custodian: &ParticipantId, id: &Random16, hold: &Hold) {
        self.put(registry::hold_key(custodian, id), hold);
    }

    /// How many holds are on a trail; an institution's trail stands for everything of the institution.
    pub fn held(&self, trail: &TrailKey) -> Result<u64, ViewError> {
        Ok(self.read(&registry::held_key(trail), "number of holds")?.unwrap_or(0))
    }

    /// Whether what a trail holds must stay: a hold is on the trail, or on everything of its custodian.
    pub fn is_held(&self, trail: &TrailKey) -> Result<bool, ViewError> {
        if self.held(trail)? > 0 {
            return Ok(true);
        }
        // Institutions' trails have no entry of their own: theirs is the hold on everything.
        match self.subject(trail)? {
            Some(subject) => Ok(self.held(&TrailName::institution(&subject.custodian).key())? > 0),
            None => Ok(false),
        }
    }

    /// No holds are no entry.
    pub(crate) fn put_held(&mut self, trail: &TrailKey, holds: u64) {
        let key = registry::held_key(trail);
        if holds == 0 {
            self.remove(key);
        } else {
            self.put(key, &holds);
        }
    }

    /// An obligation that is not met.
    pub fn due(&self, place: &DuePlace) -> Result<Option<Due>, ViewError> {
        self.read(&registry::due_key(place), "obligation")
    }

    /// The place, or the first later one that is free. A statement does not hold its author: two of them may send the same
    /// bytes in one block, and what the one owes or is owed must not take the place of the other's.
    pub(crate) fn free_place(&self, mut place: DuePlace) -> Result<DuePlace, ViewError> {
        while self.due(&place)?.is_some() {
            place.deadline = place.deadline.plus(1);
        }
        Ok(place)
    }

    pub(crate) fn put_due(&mut self, due: &Due) {
        self.put(registry::due_key(&due.place), due);
        self.submission.dues.insert(due.place.clone(), true);
    }

    /// An obligation is met, or its fact recorded. Nothing if there is none: its fact was recorded before.
    pub(crate) fn settle(&mut self, place: &DuePlace) -> Result<(), ViewError> {
        if self.due(place)?.is_some() {
            self.remove(registry::due_key(place));
            self.submission.dues.insert(place.clone(), false);
        }
        Ok(())
    }

    /// How many records a trail has.
    pub fn trail_size(&self, trail: &TrailKey) -> Result<u64, ViewError> {
        Ok(self.frontier(trail)?.size())
    }

    pub(crate) fn erase(&mut self, erasure: Erasure) {
        self.submission.erasures.push(erasure);
    }
}
