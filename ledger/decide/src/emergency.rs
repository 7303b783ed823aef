//! R11: a declared emergency overrides a denial, for a while and for some data.
//!
//! Declaring one brings notice and review, **whatever the outcome would have been**, so that the
//! review queue does not tell providers who restricted access. Justification is due within the
//! policy's hours and never before: no form before a resuscitation.

use crate::answer::{Ground, Obligation};
use crate::facts::Facts;
use crate::matching::Graded;
use crate::request::Request;
use crate::secondary::any_reaches;

/// Whether the request stands in a declared emergency that the policy honours.
#[must_use]
pub fn is_active(facts: &Facts<'_>, request: &Request) -> bool {
    request.emergency.is_some_and(|emergency| {
        let rule = &facts.policy.emergency;
        rule.allowed
            && is_emergency_purpose(facts, request)
            && facts.time.0 < emergency.declared_ms.saturating_add(rule.window_ms)
    })
}

/// Whether the purpose is one of emergencies: BTG, or ETREAT where the policy says so.
#[must_use]
pub fn is_emergency_purpose(facts: &Facts<'_>, request: &Request) -> bool {
    let reaches = |code| facts.terminology.code_reaches(code, &request.purpose);
    reaches("BTG") || (facts.policy.emergency.etreat && reaches("ETREAT"))
}

/// Whether an emergency opens this data.
#[must_use]
pub fn opens(facts: &Facts<'_>, data: &Graded<'_>) -> bool {
    let categories = &facts.policy.emergency.categories;
    categories.is_empty() || any_reaches(facts, categories, &data.item.categories)
}

/// Whether a denial on this ground can be overridden. Eligibility, prohibitions, permits and what an
/// authority ordered cannot; an absolute opt-out is judged by the caller.
#[must_use]
pub const fn is_overridable(ground: Ground) -> bool {
    matches!(
        ground,
        Ground::PrimaryOptOut
            | Ground::RuleDenies
            | Ground::Uncovered
            | Ground::ImplicitDeny
            | Ground::Unknown
    )
}

/// The duties that a declaration brings.
#[must_use]
pub fn duties(facts: &Facts<'_>, request: &Request) -> Vec<Obligation> {
    let Some(emergency) = request.emergency else { return Vec::new() };
    let rule = &facts.policy.emergency;
    let mut duties = vec![Obligation::Notify, Obligation::Review { within_hours: rule.review_hours }];
    if !emergency.is_justified {
        duties.push(Obligation::Justify { within_hours: rule.justification_hours });
    }
    duties
}
