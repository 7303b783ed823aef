//! R4: secondary use needs a permit, and minds the opt-out that stood when the permit was issued.
//!
//! A request is one of secondary use when its purpose is one of EHDS Article 53, or when it cites a
//! permit. Research on consent alone (HRESCH without a permit) goes on to R6.
//!
//! An opt-out recorded before the permit and not lifted since denies, unless the permit carries a basis that
//! overrides it; one recorded later does not bind that permit. What an amendment adds counts as issued
//! with the amendment, so each holder, purpose and category carries its own place in the log, and so does
//! a period that was lengthened.

use custos_proof::ids::LogIndex;
use custos_proof::policy::Code;
use custos_proof::sealed_values::Coding;

use crate::answer::Ground;
use crate::facts::{Facts, Permit};
use crate::matching::Graded;
use crate::request::Request;

/// Whether R4 decides this request.
pub(crate) fn is_secondary(facts: &Facts<'_>, request: &Request) -> bool {
    request.permit.is_some() || facts.terminology.code_reaches("53", &request.purpose)
}

/// The permit that the request stands on, and the place in the log where it came to name holder, purpose and t.
///
/// # Errors
/// The ground of the denial.
pub(crate) fn permit<'a>(facts: &'a Facts<'_>, request: &Request) -> Result<(&'a Permit, LogIndex), Ground> {
    let cited = request.permit.ok_or(Ground::NoPermit)?;
    let permit = facts.permits.iter().find(|permit| permit.id == cited).ok_or(Ground::NoPermit)?;
    let is_revoked = permit.revoked.is_some_and(|revoked| revoked <= facts.height);
    if is_revoked || facts.time < permit.from || facts.time >= permit.until {
        return Err(Ground::PermitNotInForce);
    }
    let reaches = |code: &Code| facts.terminology.code_reaches(code, &request.purpose);
    let purpose = permit.purposes.iter().filter(|(code, _)| reaches(code)).map(|(_, at)| *at).min();
    let holder =
        permit.holders.iter().filter(|(holder, _)| *holder == request.custodian).map(|(_, at)| *at).min();
    let acting = &request.actor.participant;
    let is_user = permit.user == *acting || permit.environment.as_ref() == Some(acting);
    match (holder, purpose) {
        (Some(holder), Some(purpose)) if is_user => Ok((permit, holder.max(purpose).max(permit.since))),
        _ => Err(Ground::PermitOfOther),
    }
}

/// The place in the log where the permit came to name this data: the earliest of its categories that
/// reach it, and not before the holder was added. `None`: it does not name it.
pub(crate) fn issued(
    facts: &Facts<'_>,
    permit: &Permit,
    holder: LogIndex,
    data: &Graded<'_>,
) -> Option<LogIndex> {
    let reaches = |code: &Code| data.item.categories.iter().any(|c| facts.terminology.code_reaches(code, c));
    permit.categories.iter().filter(|(code, _)| reaches(code)).map(|(_, at)| (*at).max(holder)).min()
}

/// The categories for which the custodian's jurisdiction demands consent besides a permit.
pub(crate) fn besides(facts: &Facts<'_>) -> Vec<Code> {
    facts
        .policy
        .consent_besides
        .iter()
        .filter(|flag| *flag.jurisdiction == *facts.jurisdiction || &*flag.jurisdiction == "EU")
        .map(|flag| flag.category.clone())
        .collect()
}

/// Whether one of these codes reaches one of these categories.
pub(crate) fn any_reaches(facts: &Facts<'_>, codes: &[Code], categories: &[Coding]) -> bool {
    categories.iter().any(|c| codes.iter().any(|code| facts.terminology.code_reaches(code, c)))
}
