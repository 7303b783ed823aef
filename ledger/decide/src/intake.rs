//! What a rule has to be before it can be decided: refuse, do not guess.
//!
//! An importer calls [`intake`] before it seals a rule; decisions call it again on what openings
//! show, because validators cannot see into a seal. A rule that fails here is indeterminate (R12):
//! it neither permits nor disappears.
//!
//! What a `Rule` cannot even hold (nesting beyond one level, FHIR's `expression`) is refused by
//! the readers of foreign formats.

use custos_proof::sealed_values::{Actor, Coding, InnerKind, Party, Provision, Rule, Span};
use thiserror::Error;

use crate::matching::action_words;
use crate::optout::OptOutKind;
use crate::terminology::{Reach, Terminology};

/// Why a rule cannot be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IntakeError {
    /// No root.
    #[error("the rule has no root")]
    NoRoot,
    /// The root neither permits nor denies.
    #[error("the root of the rule neither permits nor denies; a policy alone does not say which")]
    NoBaseEffect,
    /// A nested rule names a purpose that is not within the root's.
    #[error("nested rule {nested} names a purpose that is not within the root's")]
    WiderPurpose {
        /// Which, from 0.
        nested: u8,
    },
    /// A nested rule's period leaves the root's.
    #[error("the period of nested rule {nested} leaves the root's")]
    WiderPeriod {
        /// Which, from 0.
        nested: u8,
    },
    /// A period ends before it begins.
    #[error("a period ends before it begins")]
    PeriodInverted,
    /// An actor that is named neither by address, nor by identifier, nor by role.
    #[error("an actor is named neither by address, nor by identifier, nor by role")]
    UnnamedActor,
    /// Data that is named neither by address nor by identifier.
    #[error("data is named neither by address nor by identifier")]
    UnnamedData,
    /// An action that is not understood.
    #[error("an action is not understood")]
    UnknownAction,
    /// An opt-out that does not say what of.
    #[error("an opt-out does not say whether it is of primary or of secondary use")]
    UnknownOptOut,
}

/// Whether a rule can be decided.
///
/// # Errors
/// [`IntakeError`]: the first reason why not.
pub fn intake(inner: InnerKind, rule: &Rule, terminology: &Terminology) -> Result<(), IntakeError> {
    if inner == InnerKind::OptOut {
        return OptOutKind::of(rule).map(drop).ok_or(IntakeError::UnknownOptOut);
    }
    let root = rule.root.as_ref().ok_or(IntakeError::NoRoot)?;
    if root.effect.is_none() {
        return Err(IntakeError::NoBaseEffect);
    }
    provision(root)?;
    for (number, nested) in (0u8..).zip(rule.nested.iter()) {
        provision(nested)?;
        let within = |purpose: &Coding| {
            root.purposes.is_empty()
                || root.purposes.iter().any(|whole| terminology.reaches(whole, purpose, Reach::Full))
        };
        if !nested.purposes.iter().all(within) {
            return Err(IntakeError::WiderPurpose { nested: number });
        }
        if let (Some(outer), Some(inner)) = (&root.period, &nested.period)
            && leaves(outer, inner)
        {
            return Err(IntakeError::WiderPeriod { nested: number });
        }
    }
    Ok(())
}

fn provision(provision: &Provision) -> Result<(), IntakeError> {
    let inverted = |span: &Option<Span>| {
        span.as_ref().is_some_and(|span| match (&span.start, &span.end) {
            (Some(start), Some(end)) => end.last_ms() < start.first_ms(),
            _ => false,
        })
    };
    if inverted(&provision.period) || inverted(&provision.data_period) {
        return Err(IntakeError::PeriodInverted);
    }
    let unnamed = |actor: &Actor| match (&actor.who, &actor.role) {
        (Some(who), _) => !is_named(who),
        (None, Some(role)) => role.codings.is_empty(),
        (None, None) => true,
    };
    if provision.actors.iter().any(unnamed) {
        return Err(IntakeError::UnnamedActor);
    }
    if !provision.data.iter().all(|data| is_named(&data.what)) {
        return Err(IntakeError::UnnamedData);
    }
    if !provision
        .actions
        .iter()
        .all(|action| action.codings.iter().any(|coding| action_words(coding).is_some()))
    {
        return Err(IntakeError::UnknownAction);
    }
    Ok(())
}

fn is_named(party: &Party) -> bool {
    party.reference.is_some()
        || party.identifier.as_ref().is_some_and(|identifier| identifier.value.is_some())
}

fn leaves(outer: &Span, inner: &Span) -> bool {
    let starts_before = outer
        .start
        .as_ref()
        .is_some_and(|outer| inner.start.as_ref().is_some_and(|inner| inner.first_ms() < outer.first_ms()));
    let ends_after = outer
        .end
        .as_ref()
        .is_some_and(|outer| inner.end.as_ref().is_some_and(|inner| inner.last_ms() > outer.last_ms()));
    starts_before || ends_after
}
