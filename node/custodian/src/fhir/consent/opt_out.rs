//! Opt-outs from FHIR (EHDS Art. 10 and 71): said by a code of our own, or not said.
//!
//! No profile says which use a person opts out of: PCF has no opt-out, and `OPTOUT` of v3-ActCode is about
//! exchanges of one country. A Consent that denies everything is a restriction, and becoming an opt-out is
//! not guessed. One whose category has a code of the system `urn:custos:opt-out` (`primary`,
//! `primary-absolute`, `secondary`) is an opt-out.
//!
//! # Correctness
//! What decides reads nothing of an opt-out but its code: it is of all data, for everybody, until it is lifted. A
//! Consent that says more than that would be recorded wider than it was meant, and is refused.

use custos_decide::optout::{OPT_OUT, OptOutKind};
use custos_proof::sealed_values::{Coding, Concept, Effect, Provision};

use super::super::element::Element;
use super::super::release::Release;
use super::super::{Refusal, RefusalCode};

/// Whether a Consent that is put into force is an opt-out.
pub(super) fn is_opt_out(
    consent: &Element<'_>,
    release: Release,
    categories: &[Concept],
    root: &Provision,
    nested: &[Provision],
) -> Result<bool, Refusal> {
    let is_it = |coding: &&Coding| coding.system.as_deref() == Some(OPT_OUT);
    let said = |concept: &Concept| concept.codings.iter().filter(is_it).count();
    let Some(number) = categories.iter().position(|concept| said(concept) > 0) else { return Ok(false) };
    let known = |kind: &OptOutKind| categories.iter().any(|concept| concept.has(OPT_OUT, kind.code()));
    let kinds = [OptOutKind::Primary, OptOutKind::PrimaryAbsolute, OptOutKind::Secondary];
    if categories.iter().map(said).sum::<usize>() != 1 || !kinds.iter().any(known) {
        return Err(consent.refuse_child(
            &format!("category[{number}]"),
            RefusalCode::UnknownCode,
            "an opt-out is one of primary, primary-absolute, secondary",
        ));
    }
    if root.effect != Some(Effect::Deny) {
        let effect = match release {
            Release::R4 => "provision.type",
            Release::R5 => "decision",
        };
        return Err(consent.refuse_child(effect, RefusalCode::NotUnderstood, "an opt-out denies"));
    }
    let bare = Provision { effect: root.effect, ..Provision::default() };
    if *root != bare || !nested.is_empty() {
        return Err(consent.refuse_child(
            "provision",
            RefusalCode::NotUnderstood,
            "an opt-out is of all data, for everybody, until it is lifted",
        ));
    }
    Ok(true)
}
