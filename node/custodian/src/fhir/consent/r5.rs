//! FHIR R5 Consent: a decision, and exceptions to it.
//!
//! `decision` is the root's effect and `Consent.period` its period; each `provision` is one exception,
//! with the inverse effect, and may have no exceptions of its own. R5's root has no actors, purposes
//! or data, so that the decision holds for everything that no exception takes out.
//!
//! | R5 | R4 |
//! |---|---|
//! | `subject` | `patient` |
//! | `decision` | `provision.type` |
//! | `period` | `provision.period` |
//! | `provision[]` | `provision.provision[]`, without `type` |
//! | `provision.documentType` or `resourceType` | `class` |
//! | `grantor` | `performer` |
//! | `manager` | `organization` |
//! | `date` | `dateTime` |
//! | `policyBasis.url` | `policy.uri` |
//! | `regulatoryBasis` (if it is one) | `policyRule` |
//!
//! Refused besides what R4 refuses: `grantee`, because R5 does not say whether it limits the decision;
//! `documentType` and `resourceType` in one provision, which are joined by AND and have one place here.

use custos_proof::cbor::List;
use custos_proof::sealed_values::{
    Actor, Coding, Concept, DataReference, Effect, Policy, Provision, Verification,
};

use super::{Frame, actor, check_not_wider, check_understood, data, evidence, party_of, subject};
use crate::fhir::datatypes::{child_moment, child_party, child_span, coding, concept};
use crate::fhir::element::Element;
use crate::fhir::json::Json;
use crate::fhir::{Context, Refusal, RefusalCode};

/// Kinds of consent documents that are no rule about data (consentcategorycodes, LOINC).
const NOT_ABOUT_DATA: &[(&str, &[&str])] = &[
    (
        "http://terminology.hl7.org/CodeSystem/consentcategorycodes",
        &["acd", "dnr", "emrgonly", "hcd", "polst"],
    ),
    ("http://loinc.org", &["42348-3", "75320-2", "64292-6"]),
];

/// The frame of an R5 consent.
pub(super) fn frame(consent: &Element<'_>, json: &Json, context: &Context<'_>) -> Result<Frame, Refusal> {
    if let Some(grantee) = consent.child("grantee") {
        return Err(grantee.refuse(
            RefusalCode::NotUnderstood,
            "whether the decision is for the grantee alone is not said; name actors in the provisions",
        ));
    }
    let (party, subject) = subject(consent, "subject", json, context)?;
    check_scope(consent)?;
    let sources: Vec<Element<'_>> = consent.list("sourceReference", 16)?;
    let source = sources.first().map_or(Ok(None), party_of)?;
    let inline = consent.list("sourceAttachment", 16)?.into_iter().next().map(Element::object).transpose()?;
    let verifications = consent.values("verification", verification)?;
    let (collected, evidence) = evidence(consent, source, inline, verifications, json, context)?;
    Ok(Frame {
        party,
        subject,
        scope: None,
        performers: consent.values("grantor", party_of)?,
        organisations: consent.values("manager", party_of)?,
        policies: policies(consent)?,
        policy_rule: match &consent.list("regulatoryBasis", 16)?[..] {
            [only] => concept(only)?,
            _ => None,
        },
        agreed: child_moment(consent, "date")?,
        collected,
        evidence,
    })
}

/// R5 has no scope: the category says what the document is. One that is about treatment only is not ours.
fn check_scope(consent: &Element<'_>) -> Result<(), Refusal> {
    let is_other = |concept: &Concept| {
        NOT_ABOUT_DATA.iter().any(|(system, codes)| codes.iter().any(|code| concept.has(system, code)))
    };
    let categories: List<Concept, 16> = consent.values("category", concept)?;
    match categories.iter().position(is_other) {
        Some(n) if categories.iter().all(is_other) => Err(consent.refuse_child(
            &format!("category[{n}]"),
            RefusalCode::ScopeNotCarried,
            "a consent to treatment or an advance directive is no rule about access to data",
        )),
        _ => Ok(()),
    }
}

fn policies(consent: &Element<'_>) -> Result<List<Policy, 16>, Refusal> {
    let Some(basis) = consent.child_object("policyBasis")? else { return Ok(List::default()) };
    let uri = basis.child_text("url", custos_proof::sealed_values::Token::new)?;
    let policies = uri.map(|uri| Policy { authority: None, uri: Some(uri) }).into_iter().collect();
    Ok(List::new(policies).unwrap_or_default())
}

/// The first date only; the others are left over.
fn verification(element: &Element<'_>) -> Result<Option<Verification>, Refusal> {
    let element = element.clone().object()?;
    let Some(verified) = element.child_bool("verified")? else { return Ok(None) };
    let date = element.list("verificationDate", 64)?.into_iter().next();
    let date = date.map(|date| crate::fhir::datatypes::moment(&date)).transpose()?;
    Ok(Some(Verification { verified, with: child_party(&element, "verifiedWith")?, date }))
}

/// The decision and its exceptions.
pub(super) fn root_and_nested(consent: &Element<'_>) -> Result<(Provision, List<Provision, 64>), Refusal> {
    let Some(decision) = consent.child("decision") else {
        return Err(consent.refuse_child(
            "decision",
            RefusalCode::NoBaseEffect,
            "the consent neither permits nor denies",
        ));
    };
    let Some(effect) = decision.text(Effect::from_word)? else {
        return Err(decision.refuse(RefusalCode::UnknownCode, "a decision is permit or deny"));
    };
    let root =
        Provision { effect: Some(effect), period: child_span(consent, "period")?, ..Provision::default() };
    let mut nested = Vec::new();
    for child in consent.list("provision", 64)? {
        let rule = Provision { effect: Some(inverse(effect)), ..provision(&child)? };
        if let Some(deeper) = child.child("provision") {
            return Err(deeper.refuse(
                RefusalCode::NestedTooDeep,
                "an exception to an exception: rules may stand at the root and one level below it",
            ));
        }
        check_not_wider(&child, &rule, &root)?;
        check_understood(&child)?;
        nested.push(rule);
    }
    Ok((root, List::new(nested).unwrap_or_default()))
}

const fn inverse(effect: Effect) -> Effect {
    match effect {
        Effect::Permit => Effect::Deny,
        Effect::Deny => Effect::Permit,
    }
}

fn provision(element: &Element<'_>) -> Result<Provision, Refusal> {
    let element = element.clone().object()?;
    if let Some(expression) = element.child("expression") {
        return Err(expression.refuse(
            RefusalCode::ExpressionUnsupported,
            "a rule in the form of an expression cannot be decided",
        ));
    }
    let documents: List<Coding, 32> = element.values("documentType", coding)?;
    let resources: List<Coding, 32> = element.values("resourceType", coding)?;
    if !documents.is_empty() && !resources.is_empty() {
        return Err(element.refuse_child(
            "resourceType",
            RefusalCode::NotUnderstood,
            "documentType and resourceType both have to match; one provision may name one of them",
        ));
    }
    let actors: List<Actor, 32> = element.values("actor", actor)?;
    let references: List<DataReference, 64> = element.values("data", data)?;
    Ok(Provision {
        effect: None,
        period: child_span(&element, "period")?,
        actors,
        actions: element.values("action", concept)?,
        labels: element.values("securityLabel", coding)?,
        purposes: element.values("purpose", coding)?,
        classes: if documents.is_empty() { resources } else { documents },
        codes: element.values("code", concept)?,
        data_period: child_span(&element, "dataPeriod")?,
        data: references,
    })
}
