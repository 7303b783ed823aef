//! R10: several consents become one answer, by the policy's algorithm.
//!
//! | algorithm | answer |
//! |---|---|
//! | deny-overrides | any denial, else any permission, else uncovered, else the implicit policy |
//! | permit-overrides | any permission, else any denial, else uncovered, else the implicit policy |
//! | most-recent | what the last recorded rule that permits or denies says, else uncovered, else the implicit policy |
//! | deny-unless-permit | any permission, else denied |
//! | permit-unless-deny | any denial, else permitted |
//!
//! "Last recorded" is by position in the log, never by a claimed date. `uncovered` never beats a permission, in no
//! algorithm: two consents, one for laboratory results and one for images, do not deny each other's data.

use custos_proof::policy::{Combining, Grade, ImplicitPolicy};
use custos_proof::sealed_values::{Coding, Effect};

use crate::answer::{Ground, RuleReference};
use crate::consent::{Heard, Voice};
use crate::request::Standing;
use crate::terminology::{ACT_REASON, Terminology};

/// What the rules say together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Combined {
    /// Permit or deny.
    pub effect: Effect,
    /// Why.
    pub ground: Ground,
    /// The rules that decided, in the order of the log.
    pub basis: Vec<RuleReference>,
}

/// R10. `voices` are in the order of the log; `implicit` is what the implicit policy says of the item.
#[must_use]
pub fn combine(combining: Combining, voices: &[(&Heard<'_>, Voice)], implicit: Effect) -> Combined {
    let denials = || basis(voices, |voice| matches!(voice, Voice::Deny(_)));
    let permissions = || basis(voices, |voice| matches!(voice, Voice::Permit(_)));
    let denied = |basis| Combined { effect: Effect::Deny, ground: Ground::RuleDenies, basis };
    let permitted = |basis| Combined { effect: Effect::Permit, ground: Ground::RulePermits, basis };
    let by_default = |effect| match effect {
        Effect::Permit => Combined { effect, ground: Ground::ImplicitPermit, basis: Vec::new() },
        Effect::Deny => Combined { effect, ground: Ground::ImplicitDeny, basis: Vec::new() },
    };
    let otherwise = || match basis(voices, |voice| *voice == Voice::Uncovered) {
        uncovered if uncovered.is_empty() => by_default(implicit),
        uncovered => Combined { effect: Effect::Deny, ground: Ground::Uncovered, basis: uncovered },
    };
    match combining {
        Combining::DenyOverrides => match (denials(), permissions()) {
            (denials, _) if !denials.is_empty() => denied(denials),
            (_, permissions) if !permissions.is_empty() => permitted(permissions),
            _ => otherwise(),
        },
        Combining::PermitOverrides => match (denials(), permissions()) {
            (_, permissions) if !permissions.is_empty() => permitted(permissions),
            (denials, _) if !denials.is_empty() => denied(denials),
            _ => otherwise(),
        },
        Combining::MostRecent => {
            let explicit = |voice: &Voice| matches!(voice, Voice::Permit(_) | Voice::Deny(_));
            match voices.iter().rfind(|(_, voice)| explicit(voice)) {
                Some((heard, Voice::Permit(nested))) => {
                    permitted(vec![RuleReference::of(heard.listed, *nested)])
                }
                Some((heard, Voice::Deny(nested))) => denied(vec![RuleReference::of(heard.listed, *nested)]),
                _ => otherwise(),
            }
        }
        Combining::DenyUnlessPermit => match permissions() {
            permissions if permissions.is_empty() => match denials() {
                denials if denials.is_empty() => by_default(Effect::Deny),
                denials => denied(denials),
            },
            permissions => permitted(permissions),
        },
        Combining::PermitUnlessDeny => match denials() {
            denials if denials.is_empty() => match permissions() {
                permissions if permissions.is_empty() => by_default(Effect::Permit),
                permissions => permitted(permissions),
            },
            denials => denied(denials),
        },
    }
}

fn basis(voices: &[(&Heard<'_>, Voice)], wanted: impl Fn(&Voice) -> bool) -> Vec<RuleReference> {
    voices
        .iter()
        .filter(|(_, voice)| wanted(voice))
        .map(|(heard, voice)| {
            let nested = match voice {
                Voice::Permit(nested) | Voice::Deny(nested) => *nested,
                Voice::Uncovered | Voice::Abstain => None,
            };
            RuleReference::of(heard.listed, nested)
        })
        .collect()
}

/// R10: up to which grade the implicit policy permits a request; `None`: it permits nothing.
#[must_use]
pub fn implicit_grade(
    policy: ImplicitPolicy,
    standing: Standing,
    purpose: &Coding,
    terminology: &Terminology,
) -> Option<Grade> {
    let treat = Coding {
        system: custos_proof::sealed_values::Token::new(ACT_REASON),
        code: custos_proof::sealed_values::Token::new("TREAT")?,
        display: None,
    };
    let is_treatment = || terminology.reaches(&treat, purpose, crate::terminology::Reach::Permission);
    match policy {
        ImplicitPolicy::BasicNormal => {
            (standing == Standing::Clinician && is_treatment()).then_some(Grade::Normal)
        }
        ImplicitPolicy::AllNormal => Some(Grade::Normal),
        ImplicitPolicy::BreakGlassOnly | ImplicitPolicy::Deny => None,
    }
}
