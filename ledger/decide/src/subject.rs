//! R3: the subject, and those who act for the subject.
//!
//! The subject sees everything but views that an authority suspended. A representative within scope
//! and period sees what the subject would, but rules that name representatives are heard first: an
//! adolescent's own restrictions, or a spouse's whom the custodian flagged as unsafe.

use custos_proof::sealed_values::{ActionKind, InnerKind, Scope};

use crate::answer::{Ground, RuleReference};
use crate::consent::{self, Heard};
use crate::facts::{Facts, Representative};
use crate::matching::{Graded, Ruler};
use crate::request::Request;
use crate::terminology::Reach;

/// The suspensions of view in force for this request, in the order of the log.
pub(crate) fn suspensions<'a>(
    facts: &'a Facts<'_>,
    ruler: &Ruler<'_>,
    request: &Request,
    time_ms: i64,
) -> Vec<Heard<'a>> {
    consent::of_kind(facts, |inner| inner == InnerKind::ViewSuspend)
        .into_iter()
        .filter_map(|(listed, judged)| consent::hear(listed, judged, ruler, request, time_ms, None))
        .collect()
}

/// The suspension that closes an item to the subject, if one does: its root denies, or a nested rule.
pub(crate) fn suspended(
    suspensions: &[Heard<'_>],
    ruler: &Ruler<'_>,
    data: &Graded<'_>,
) -> Option<RuleReference> {
    suspensions.iter().find_map(|heard| match heard.voice(ruler, data) {
        consent::Voice::Deny(nested) => Some(RuleReference::of(heard.listed, nested)),
        _ => None,
    })
}

/// The delegation under which somebody asks, valid at t.
///
/// # Errors
/// The ground of the denial.
pub(crate) fn delegation<'a>(
    facts: &'a Facts<'_>,
    ruler: &Ruler<'_>,
    request: &Request,
) -> Result<Vec<&'a Representative>, Ground> {
    let is_member = |who: &Representative| request.actor.members.iter().any(|m| ruler.is_same(&who.party, m));
    let valid: Vec<&Representative> = facts
        .representatives
        .iter()
        .filter(|who| is_member(who) && who.from <= facts.time && facts.time < who.until)
        .collect();
    if valid.iter().any(|who| who.is_unsafe) {
        return Err(Ground::UnsafeRepresentative);
    }
    if valid.is_empty() {
        return Err(Ground::NotRepresentative);
    }
    let within: Vec<&Representative> =
        valid.into_iter().filter(|who| allows(&who.scope, request.action)).collect();
    match within.is_empty() {
        true => Err(Ground::OutsideDelegation),
        false => Ok(within),
    }
}

/// Whether the scope of a delegation is for an action: seeing covers what leaves data as they are, correcting the
/// rest; to decide who may see is to put rules, not to see.
fn allows(scope: &[Scope], action: ActionKind) -> bool {
    let needed = match action {
        ActionKind::Create | ActionKind::Update | ActionKind::Delete | ActionKind::Import => Scope::Write,
        ActionKind::Read
        | ActionKind::Query
        | ActionKind::Export
        | ActionKind::Execute
        | ActionKind::StartBreakGlass
        | ActionKind::StopBreakGlass => Scope::Read,
    };
    scope.is_empty() || scope.contains(&needed)
}

/// Of the delegations, those that are for an item's categories.
pub(crate) fn covering<'a>(
    delegations: &[&'a Representative],
    facts: &Facts<'_>,
    data: &Graded<'_>,
) -> Vec<&'a Representative> {
    let categories = &data.item.categories;
    let covers = |who: &&&Representative| {
        who.categories.is_empty()
            || categories
                .iter()
                .any(|c| who.categories.iter().any(|w| facts.terminology.reaches(w, c, Reach::Full)))
    };
    delegations.iter().filter(covers).copied().collect()
}

/// Of the consents heard, those that name whoever asks: by the root's actors, or by a nested rule's own.
pub(crate) fn naming(heard: Vec<Heard<'_>>) -> Vec<Heard<'_>> {
    heard
        .into_iter()
        .filter_map(|mut heard| {
            if !heard.root_names_actor {
                heard.root = None;
                heard.nested.retain(|(_, _, provision)| !provision.actors.is_empty());
            }
            (heard.root.is_some() || !heard.nested.is_empty()).then_some(heard)
        })
        .collect()
}
