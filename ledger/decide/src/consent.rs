//! R6 and R9: which rules are candidates, and what one consent says of one item.
//!
//! A consent is a root and one level below it. What does not depend on data (actor, purpose, action,
//! period) is judged once per request by [`hear`]; what does, once per item by [`Heard::voice`].
//!
//! Deliberately absent: how several consents become one answer ([`crate::combine`]).

use custos_proof::hash::{Digest, ItemHash};
use custos_proof::policy::Assurance;
use custos_proof::sealed_values::{Effect, InnerKind, Provision};

use crate::answer::{RuleReference, Step};
use crate::facts::{Content, Facts, Judged, ListedRule};
use crate::matching::{Graded, Ruler};
use crate::request::Request;
use crate::terminology::Reach;

/// What one consent says of one item (R9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// It permits, by the root or a nested rule.
    Permit(Option<u8>),
    /// It denies, by the root or a nested rule.
    Deny(Option<u8>),
    /// It speaks of such requests, and does not cover this data.
    Uncovered,
    /// It does not speak of this.
    Abstain,
}

/// A consent that is heard for a request: the parts of it that speak, data left aside.
#[derive(Debug, Clone)]
pub struct Heard<'a> {
    /// Which rule.
    pub(crate) listed: &'a ListedRule,
    /// Its root, and what the root does, when it speaks of the request.
    pub(crate) root: Option<(Effect, &'a Provision)>,
    /// The nested rules that speak of the request, each with its effect.
    pub(crate) nested: Vec<(u8, Effect, &'a Provision)>,
    /// Whether its root names actors (whoever asks is then one of them).
    pub(crate) root_names_actor: bool,
    /// Whether it is a refusal: the subject was asked for this permission and said no.
    pub(crate) is_refusal: bool,
    /// Whether a permission of it speaks, but is not sure enough for the purpose.
    pub(crate) lacks_assurance: bool,
}

impl Heard<'_> {
    /// R9: what the consent says of an item.
    ///
    /// Matching nested rules decide by their effect, in conflict by denying; if none matches, data inside
    /// the root's constraint has the root's effect, data outside a permitting root is uncovered, and
    /// outside a denying root the consent abstains. A refusal permits nothing and denies nothing: what it
    /// was asked for is uncovered, so that the implicit policy does not permit it.
    #[must_use]
    pub fn voice(&self, ruler: &Ruler<'_>, data: &Graded<'_>) -> Voice {
        let inside = |effect, root| ruler.data_matches(root, effect, data);
        if self.is_refusal {
            return match self.root {
                Some((Effect::Permit, root)) if inside(Effect::Permit, root) => Voice::Uncovered,
                _ => Voice::Abstain,
            };
        }
        let matching = |wanted: Effect| {
            self.nested
                .iter()
                .find(|(_, effect, provision)| {
                    *effect == wanted && ruler.data_matches(provision, wanted, data)
                })
                .map(|(number, _, _)| *number)
        };
        if let Some(number) = matching(Effect::Deny) {
            return Voice::Deny(Some(number));
        }
        if let Some(number) = matching(Effect::Permit) {
            return Voice::Permit(Some(number));
        }
        match self.root {
            None => Voice::Abstain,
            Some((Effect::Permit, root)) if inside(Effect::Permit, root) => Voice::Permit(None),
            Some((Effect::Permit, _)) => Voice::Uncovered,
            Some((Effect::Deny, root)) if inside(Effect::Deny, root) => Voice::Deny(None),
            Some((Effect::Deny, _)) => Voice::Abstain,
        }
    }
}

/// Something that could deny, and is not at hand or cannot be decided (R12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unknown {
    /// The terminology that the policy pins is another.
    Terminology(Digest),
    /// Listed trails are not at hand.
    Trails(usize),
    /// A listed rule's opening is missing or does not fit.
    Sealed(ItemHash),
    /// An opened rule cannot be decided.
    Undecidable(RuleReference),
}

impl Unknown {
    /// What would make it known.
    pub(crate) const fn step(self) -> Step {
        match self {
            Unknown::Terminology(hash) => Step::UseTerminology(hash),
            Unknown::Trails(count) => Step::ShowTrails(count),
            Unknown::Sealed(item) => Step::ShowOpening(item),
            Unknown::Undecidable(rule) => Step::Restate(rule),
        }
    }
}

/// R12: everything that is unknown at h, in a fixed order.
#[must_use]
pub fn unknowns(facts: &Facts<'_>) -> Vec<Unknown> {
    let pinned = facts.policy.terminology;
    let mut found: Vec<Unknown> = Vec::new();
    found.extend((facts.terminology.hash() != pinned).then_some(Unknown::Terminology(pinned)));
    found.extend((facts.missing_trails > 0).then_some(Unknown::Trails(facts.missing_trails)));
    for listed in facts.rules.iter().filter(|listed| counts(listed, facts)) {
        match &listed.content {
            Content::Sealed => found.push(Unknown::Sealed(listed.item)),
            Content::Rule(judged) if judged.intake.is_err() => {
                found.push(Unknown::Undecidable(RuleReference::of(listed, None)));
            }
            Content::Rule(_) | Content::Delegation(_) | Content::Other(_) => {}
        }
    }
    found.sort_unstable();
    found
}

/// Whether a listed rule counts at all: in force by its clear fields, by an author who could speak for the subject.
fn counts(listed: &ListedRule, facts: &Facts<'_>) -> bool {
    listed.author_was_valid && listed.is_in_force(facts.height, facts.time)
}

/// R6: the candidates, in the order of the log.
#[must_use]
pub fn candidates<'a>(facts: &'a Facts<'_>) -> Vec<(&'a ListedRule, &'a Judged)> {
    of_kind(facts, |inner| {
        matches!(
            inner,
            InnerKind::Grant
                | InnerKind::Replace
                | InnerKind::Renew
                | InnerKind::Narrow
                | InnerKind::Refuse
                | InnerKind::Restriction
        )
    })
}

/// The rules in force whose inner kind is wanted, in the order of the log.
pub(crate) fn of_kind<'a>(
    facts: &'a Facts<'_>,
    wanted: fn(InnerKind) -> bool,
) -> Vec<(&'a ListedRule, &'a Judged)> {
    let mut found: Vec<_> = facts
        .rules
        .iter()
        .filter(|listed| counts(listed, facts))
        .filter_map(|listed| match &listed.content {
            Content::Rule(judged) if wanted(judged.inner) && judged.intake.is_ok() => {
                Some((listed, &**judged))
            }
            _ => None,
        })
        .collect();
    // The listing's order must not matter; the item's hash separates what a caller numbered alike.
    found.sort_by_key(|(listed, _)| (listed.position, listed.item));
    found
}

/// R7: what of a consent speaks of the request, data left aside; `None` when nothing does.
///
/// A nested rule inherits the root's actor, purpose and period. Where it names purposes of its own,
/// those decide how far it reaches, and the root's only bound them.
#[must_use]
pub fn hear<'a>(
    listed: &'a ListedRule,
    judged: &'a Judged,
    ruler: &Ruler<'_>,
    request: &Request,
    time_ms: i64,
    demanded: Option<Assurance>,
) -> Option<Heard<'a>> {
    let root = judged.rule.root.as_ref()?;
    let root_effect = root.effect?;
    if !ruler.applies(root, request, time_ms) {
        return None;
    }
    let is_sure = demanded.is_none_or(|demanded| listed.assurance >= demanded);
    let mut lacks_assurance = false;
    let mut admit = |effect: Effect| {
        let admitted = is_sure || effect == Effect::Deny;
        lacks_assurance |= !admitted;
        admitted
    };
    let inverse = match root_effect {
        Effect::Permit => Effect::Deny,
        Effect::Deny => Effect::Permit,
    };
    let nested = (0u8..)
        .zip(judged.rule.nested.iter())
        .map(|(number, provision)| (number, provision.effect.unwrap_or(inverse), provision))
        .filter(|(_, effect, provision)| {
            let root_reach = match (provision.purposes.is_empty(), effect) {
                (true, Effect::Permit) => Reach::Permission,
                _ => Reach::Full,
            };
            ruler.purpose_matches(&root.purposes, &request.purpose, root_reach)
                && ruler.speaks_of(provision, *effect, request, time_ms)
                && admit(*effect)
        })
        .collect::<Vec<_>>();
    let root_names_actor = !root.actors.is_empty();
    let root = (ruler.speaks_of(root, root_effect, request, time_ms) && admit(root_effect))
        .then_some((root_effect, root));
    let is_refusal = judged.inner == InnerKind::Refuse;
    (root.is_some() || !nested.is_empty() || lacks_assurance).then_some(Heard {
        listed,
        root,
        nested,
        root_names_actor,
        is_refusal,
        lacks_assurance,
    })
}
