//! `rule.put` to FHIR R4 Consent.

use custos_proof::sealed_values::{
    Actor, DataReference, Effect, Evidence, Format, InnerKind, Meaning, Policy, Provision, Rule, Source,
    Verification,
};
use serde_json::{Value, json};

use super::{About, Object, absent, coding, concept, identifier, moment, party, source_id, span};

/// One version of a rule, as far as its items say it.
#[derive(Debug, Clone)]
pub struct Version<'a> {
    /// What was done.
    pub inner: InnerKind,
    /// The rule: of this version, or for an ending the one that ends.
    pub rule: Option<&'a Rule>,
    /// How the custodian knows.
    pub evidence: &'a Evidence,
}

/// The Consent that this version is.
#[must_use]
pub fn consent(version: &Version<'_>, about: &About) -> Value {
    let unstated = Source::default();
    let nothing = Rule::default();
    let source = version.evidence.record.as_ref().unwrap_or(&unstated);
    let rule = version.rule.unwrap_or(&nothing);
    let profiles = if source.format == Some(Format::FhirR5Consent) { &[][..] } else { &source.profiles[..] };
    let mut consent = Object::of_type("Consent", about);
    consent.put("meta", Some(about.meta(profiles, &source.labels, &source.missing)));
    consent.each("extension", source_id(source.own_id.as_ref()));
    consent.each("identifier", version.evidence.identifiers.iter().map(identifier));
    consent.put("status", Some(status(version)));
    consent.demanded("scope", rule.scope.as_ref().map(concept));
    let mut categories: Vec<Value> = rule.categories.iter().map(concept).collect();
    if categories.is_empty() {
        categories.push(absent());
    }
    consent.each("category", categories);
    consent.put("patient", rule.subject.as_ref().map(party));
    consent.put("dateTime", rule.agreed.as_ref().map(moment));
    consent.each("performer", rule.performers.iter().map(party));
    consent.each("organization", rule.organisations.iter().map(party));
    match &version.evidence.source {
        Some(document) => consent.put("sourceReference", Some(party(document))),
        None => consent.put("sourceAttachment", Some(attachment(version.evidence))),
    }
    consent.each("policy", rule.policies.iter().map(policy));
    // R4, ppc-1: a policy or a policyRule.
    let policy_rule = rule.policy_rule.as_ref().map(concept);
    consent.put("policyRule", policy_rule.or_else(|| rule.policies.is_empty().then(absent)));
    consent.each("verification", version.evidence.verifications.iter().map(verification));
    if let Some(root) = &rule.root {
        let mut root_object = provision(root, root.effect);
        let opposite = root.effect.map(|effect| match effect {
            Effect::Permit => Effect::Deny,
            Effect::Deny => Effect::Permit,
        });
        // R4 demands the effect of a nested rule; where the source leaves it out it is the opposite.
        let nested = rule.nested.iter().map(|rule| provision(rule, rule.effect.or(opposite)).into());
        root_object.each("provision", nested);
        consent.put("provision", Some(root_object));
    }
    consent.into()
}

/// The source's own state, where the item has one; else what the item does.
fn status(version: &Version<'_>) -> &'static str {
    let of_kind = match version.inner {
        InnerKind::Revoke | InnerKind::Lift => "inactive",
        InnerKind::Invalidate => "entered-in-error",
        InnerKind::Refuse => "rejected",
        _ => "active",
    };
    let known = ["active", "rejected", "inactive", "entered-in-error"];
    let stated = version.evidence.status.as_deref();
    stated.and_then(|stated| known.into_iter().find(|known| *known == stated)).unwrap_or(of_kind)
}

fn attachment(evidence: &Evidence) -> Value {
    let mut object = Object::default();
    object.text("contentType", evidence.media_type.as_deref());
    object.text("url", evidence.url.as_deref());
    object.text("title", evidence.title.as_deref());
    object.into()
}

fn policy(policy: &Policy) -> Value {
    let mut object = Object::default();
    object.text("authority", policy.authority.as_deref());
    object.text("uri", policy.uri.as_deref());
    object.into()
}

fn verification(verification: &Verification) -> Value {
    let mut object = Object::default();
    object.put("verified", Some(verification.verified));
    object.put("verifiedWith", verification.with.as_ref().map(party));
    object.put("verificationDate", verification.date.as_ref().map(moment));
    object.into()
}

fn provision(rule: &Provision, effect: Option<Effect>) -> Object {
    let mut object = Object::default();
    object.text("type", effect.map(Effect::word));
    object.put("period", rule.period.as_ref().map(span));
    object.each("actor", rule.actors.iter().map(actor));
    object.each("action", rule.actions.iter().map(concept));
    object.each("securityLabel", rule.labels.iter().map(coding));
    object.each("purpose", rule.purposes.iter().map(coding));
    object.each("class", rule.classes.iter().map(coding));
    object.each("code", rule.codes.iter().map(concept));
    object.put("dataPeriod", rule.data_period.as_ref().map(span));
    object.each("data", rule.data.iter().map(data));
    object
}

fn actor(actor: &Actor) -> Value {
    let mut object = Object::default();
    object.demanded("role", actor.role.as_ref().map(concept));
    object.demanded("reference", actor.who.as_ref().map(party));
    object.into()
}

fn data(data: &DataReference) -> Value {
    let meaning = match data.meaning {
        Meaning::Instance => "instance",
        Meaning::Related => "related",
        Meaning::Dependents => "dependents",
        Meaning::AuthoredBy => "authoredby",
    };
    json!({ "meaning": meaning, "reference": party(&data.what) })
}
