//! R3: who speaks for the subject, from the delegations that the subject's trails list.
//!
//! A delegation holds from the first instant of its period's start to the last of its end, and at the latest
//! until the first instant of *ends at* (the day on which the subject comes of age), while the rule that
//! grants it is in force. Dates count in the zone that they state, else in UTC.

use custos_proof::ids::{FAR, Height, TimeMs};
use custos_proof::sealed_values::Delegation;

use crate::answer::RuleReference;
use crate::facts::{Content, ListedRule, Representative};

/// Everybody whom the rules in force at h name as speaking for the subject, in the order of the log.
#[must_use]
pub fn representatives(rules: &[ListedRule], height: Height, time: TimeMs) -> Vec<Representative> {
    let mut granted: Vec<(&ListedRule, &Delegation)> = rules
        .iter()
        .filter(|rule| rule.author_was_valid && rule.is_in_force(height, time))
        .filter_map(|rule| match &rule.content {
            Content::Delegation(delegation) => Some((rule, &**delegation)),
            Content::Sealed | Content::Rule(_) | Content::Other(_) => None,
        })
        .collect();
    granted.sort_by_key(|(rule, _)| (rule.position, rule.item));
    granted.into_iter().filter_map(|(rule, delegation)| of(rule, delegation)).collect()
}

/// The representative of one delegation; nobody when it names nobody.
fn of(rule: &ListedRule, delegation: &Delegation) -> Option<Representative> {
    let period = delegation.period.as_ref();
    let start = period.and_then(|period| period.start.as_ref()).map(|start| start.first_ms());
    let end = period.and_then(|period| period.end.as_ref()).map(|end| end.last_ms().saturating_add(1));
    let majority = delegation.ends_at.as_ref().map(|end| end.first_ms());
    Some(Representative {
        party: delegation.delegate.clone()?,
        from: start.map_or(TimeMs(0), instant),
        until: [end, majority].into_iter().flatten().min().map_or(FAR, instant),
        scope: delegation.scope.to_vec(),
        categories: Vec::new(),
        granted: Some(RuleReference::of(rule, None)),
        is_unsafe: delegation.is_unsafe == Some(true),
    })
}

/// An instant of the ledger's time; before 1970 there is none.
fn instant(ms: i64) -> TimeMs {
    TimeMs(u64::try_from(ms).unwrap_or(0))
}
