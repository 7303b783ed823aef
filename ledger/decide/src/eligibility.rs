//! R1 and R2: who may ask at all, and what nobody may ask for.
//!
//! No consent repairs a missing standing, and nothing overrides a prohibition. One exception: in a
//! declared emergency the custodian's own attestation stands in for a roster entry, because the
//! locum at three in the morning is on no ledger yet; the review is told so.

use custos_proof::sealed_values::{Coding, Concept};

use crate::answer::{Ground, Obligation};
use crate::facts::{Facts, Roster};
use crate::request::{Request, Standing};
use crate::terminology::Reach;

/// R1: whether the actor may ask; an obligation where somebody vouched for what the ledger does not say.
///
/// # Errors
/// The ground of the denial.
pub fn eligible(facts: &Facts<'_>, request: &Request, emergency: bool) -> Result<Option<Obligation>, Ground> {
    let known = &facts.eligibility;
    if !known.key_is_valid {
        return Err(Ground::KeyNotValid);
    }
    if !known.participant_is_active {
        return Err(Ground::ParticipantNotActive);
    }
    // Subjects and those who act for them are on no organisation's roster.
    if matches!(request.actor.standing, Standing::Subject | Standing::Representative) {
        return Ok(None);
    }
    let attested = emergency && request.emergency.is_some_and(|emergency| emergency.is_attested);
    match &known.roster {
        Roster::NoneCommitted => Ok(Some(Obligation::NoRoster)),
        Roster::NotSeen => Ok(Some(Obligation::RosterNotSeen)),
        Roster::Listed { purposes, roles }
            if is_for(purposes, &request.purpose, facts) && is_in(roles, &request.actor.roles) =>
        {
            Ok(None)
        }
        Roster::Listed { .. } | Roster::NotListed if attested => Ok(Some(Obligation::UnlistedPractitioner)),
        Roster::Listed { .. } | Roster::NotListed => Err(Ground::NotOnRoster),
    }
}

/// A roster entry is the organisation's own statement about its staff: it takes everything below its purposes.
fn is_for(purposes: &[Coding], asked: &Coding, facts: &Facts<'_>) -> bool {
    purposes.is_empty()
        || purposes.iter().any(|purpose| facts.terminology.reaches(purpose, asked, Reach::Full))
}

/// Whether a role in which somebody asks is one of the entry's. Roles of systems of which the entry names none
/// say how somebody takes part, not what they are.
fn is_in(listed: &[Concept], asked: &[Concept]) -> bool {
    let codings = || listed.iter().flat_map(|role| role.codings.iter());
    let mut claimed = asked
        .iter()
        .flat_map(|role| role.codings.iter())
        .filter(|asked| codings().any(|listed| listed.system == asked.system))
        .peekable();
    claimed.peek().is_none()
        || claimed
            .any(|asked| codings().any(|listed| listed.system == asked.system && listed.code == asked.code))
}

/// R2: whether the purpose is prohibited, it or something above it.
#[must_use]
pub fn is_prohibited(facts: &Facts<'_>, purpose: &Coding) -> bool {
    facts.policy.prohibited.iter().any(|code| facts.terminology.code_reaches(code, purpose))
}
