//! The rules of protocol version 1: for every kind, who may write it and what it changes.
//!
//! An act is refused when it is invalid. Testimony is recorded whatever it says, and comes back with
//! a verdict: which checkable facts agree with it and which contradict it. One file for each group
//! of kinds; [`judge`] is the table.

use custos_proof::hash::ItemHash;
use custos_proof::ids::{Height, LogIndex, ParticipantId, TimeMs};
use custos_proof::item::Item;
use custos_proof::kinds::Fields;
use custos_proof::kinds::participant::Register;
use custos_proof::record::{Check, Finding, Verdict, verdict};
use custos_proof::registry::{Participant, Role};
use custos_proof::submission::Author;
use custos_proof::trail::TrailName;

use crate::error::{AdmitError, Refusal, RefusalCode};
use crate::overlay::Overlay;
use crate::view::ViewError;

mod access;
mod key;
mod participant;
mod rule;
mod trail;

/// Who speaks, and where in the log.
pub(crate) struct Saying<'a> {
    /// The author as the submission names it.
    pub(crate) author: &'a Author,
    /// The author's id.
    pub(crate) id: &'a ParticipantId,
    /// The author's entry.
    pub(crate) participant: &'a Participant,
    /// The index that the record will have.
    pub(crate) index: LogIndex,
    /// The item.
    pub(crate) item: ItemHash,
}

/// What becomes of an item.
pub(crate) enum Outcome {
    /// It is recorded.
    Recorded {
        /// What validators found.
        verdict: Verdict,
        /// Where it is listed.
        trails: Vec<TrailName>,
    },
    /// It was recorded before, byte for byte.
    Before(LogIndex),
}

/// Applies the rules of an item's kind to the overlay.
pub(crate) fn judge(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    item: &Item,
) -> Result<Outcome, AdmitError> {
    match &item.fields {
        Fields::ParticipantRegister(f) => participant::register(overlay, saying, f).map(act),
        Fields::ParticipantUpdate(f) => participant::update(overlay, saying, f).map(act),
        Fields::ParticipantSuspend(f) => participant::suspend(overlay, saying, f).map(act),
        Fields::KeyAdd(f) => key::add(overlay, saying, f).map(act),
        Fields::KeyRotate(f) => key::rotate(overlay, saying, f).map(act),
        Fields::KeyRevoke(f) => key::revoke(overlay, saying, f).map(act),
        Fields::TrailOpen(f) => trail::open(overlay, saying, f).map(act),
        Fields::TrailClose(f) => trail::close(overlay, saying, f).map(act),
        Fields::RulePut(f) => rule::put(overlay, saying, f).map(act),
        Fields::AccessEvent(f) => Ok(access::event(overlay, saying, f)?),
    }
}

/// An act that was admitted: its author's right was checked, and nothing else is stated.
fn act(trails: Vec<TrailName>) -> Outcome {
    Outcome::Recorded { verdict: verdict(&[Check::Author], &[], Finding::Consistent), trails }
}

/// Refuses.
fn refuse<T>(code: RefusalCode, detail: impl Into<String>) -> Result<T, AdmitError> {
    Err(Refusal::new(code, detail).into())
}

impl Saying<'_> {
    /// The author is the registrar of the genesis.
    fn must_be_registrar(&self, overlay: &Overlay<'_>) -> Result<(), AdmitError> {
        if *self.id == overlay.head().registrar && self.participant.roles.has(Role::Registrar) {
            Ok(())
        } else {
            refuse(
                RefusalCode::NotAllowed,
                format!("only the registrar {} may write this", overlay.head().registrar),
            )
        }
    }

    /// The author has one of these roles.
    fn must_have(&self, roles: &[Role]) -> Result<(), AdmitError> {
        if self.participant.roles.has_any(roles) {
            return Ok(());
        }
        let names: Vec<_> = roles.iter().map(|role| role.word()).collect();
        refuse(RefusalCode::NotAllowed, format!("{} needs one of the roles: {}", self.id, names.join(", ")))
    }
}

/// The entry of a participant of the genesis, by the rules of a registration.
pub(crate) fn genesis_participant(registration: &Register) -> Result<Participant, AdmitError> {
    participant::entry(registration, None)
}

/// Whether a participant votes on the next block.
fn is_validator(overlay: &Overlay<'_>, id: &ParticipantId) -> bool {
    overlay.head().next_validators.as_slice().iter().any(|v| v.participant == *id)
}

/// Registry kinds are listed in the registry's trail.
fn registry_trail(overlay: &Overlay<'_>) -> Vec<TrailName> {
    vec![TrailName::registry(&overlay.head().registrar)]
}

/// The block time at a height up to the head, which the view must know.
fn time_at(overlay: &Overlay<'_>, height: Height) -> Result<TimeMs, ViewError> {
    overlay
        .block_time(height)?
        .ok_or_else(|| ViewError::Damaged { what: format!("the time of block {height} is not known") })
}
