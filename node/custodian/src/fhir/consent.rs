//! FHIR Consent to `rule.put`: R4 here, R5 in [`r5`], one mapping for both.
//!
//! An act: what is ambiguous is refused. An R4 root without `type`, an R5 consent without `decision`, a scope that
//! nobody knows, rules nested below a nested rule, expressions, modifier extensions, and any element inside `provision`
//! that is not understood would each change what the subject agreed to.
//!
//! | `Consent.status` | becomes |
//! |---|---|
//! | `active`, root permits | `grant` |
//! | `active`, root denies | `restriction`, or `opt-out` where the category says so ([`opt_out`]) |
//! | `rejected` | `refuse`: the subject was asked and said no; recorded, permits nothing |
//! | `inactive` | the end (`revoke`) of the rule that was imported from it; refused if there is none |
//! | `entered-in-error` | the end (`invalidate`) of the rule that was imported from it; refused if there is none |
//! | `draft`, `proposed`, anything else | refused as `not-in-force` |
//!
//! How it was collected is taken from the source document's media type where that says so, else
//! from the custodian's setting; the evidence records which.

use custos_proof::cbor::List;
use custos_proof::kinds::rule::Collected;
use custos_proof::sealed_values::{
    Actor, Coding, Concept, DataReference, Effect, Evidence, Format, InnerKind, Meaning, Moment, Party,
    Policy, Provision, Rule, RuleBody, Source, Token, Verification,
};

use super::datatypes::{
    child_concept, child_moment, child_party, child_span, coding, concept, identifier, meta,
    party as party_of, token,
};
use super::element::{Carried, Element};
use super::json::Json;
use super::release::{self, Release};
use super::{Context, Document, Refusal, RefusalCode, attachment, not_carried};
use crate::draft::{Intent, RuleDraft, SubjectKey, expiry_after};
use crate::terminology;

mod opt_out;
mod r5;

const SCOPE: &str = "http://terminology.hl7.org/CodeSystem/consentscope";
const ABOUT_DATA: &[&str] = &["patient-privacy", "research"];
const NOT_ABOUT_DATA: &[&str] = &["treatment", "adr"];

/// Reads one Consent.
pub(super) fn read(json: &Json, context: &Context<'_>) -> Result<RuleDraft, Refusal> {
    let carried = Carried::default();
    let consent = Element::resource(json, "Consent", &carried);
    let release = release::of_consent(&consent, context.release())?;
    for name in ["implicitRules", "modifierExtension"] {
        if let Some(child) = consent.child(name) {
            return Err(
                child.refuse(RefusalCode::NotUnderstood, "it may change the meaning of the whole consent")
            );
        }
    }
    if let Some(resource_type) = consent.child("resourceType") {
        resource_type.mark();
    }
    let (profiles, labels) = meta(&consent)?;
    let status = consent.required("status")?;
    let status_code = token(&status)?;
    let (intent, ended) = match status_code.as_deref() {
        Some("active" | "rejected") => (Intent::Put, None),
        Some("inactive") => (Intent::End, Some(InnerKind::Revoke)),
        Some("entered-in-error") => (Intent::End, Some(InnerKind::Invalidate)),
        _ => {
            return Err(status.refuse(
                RefusalCode::NotInForce,
                "only active, rejected, inactive and entered-in-error consents are recorded",
            ));
        }
    };

    let frame = match release {
        Release::R4 => frame(&consent, intent, json, context)?,
        Release::R5 => r5::frame(&consent, json, context)?,
    };
    let Frame {
        party,
        subject,
        scope,
        performers,
        organisations,
        policies,
        policy_rule,
        agreed,
        collected,
        evidence,
    } = frame;
    let categories = consent.values("category", concept)?;
    let own_id = consent.child_text("id", Token::new)?;

    // An ending needs no rule: it says which one ends, and that the source says so.
    let (root, nested) = match intent {
        Intent::End => {
            for name in ["provision", "decision", "period"] {
                consent.child(name).iter().for_each(Element::mark_all);
            }
            (None, List::default())
        }
        Intent::Put => {
            let (root, nested) = match release {
                Release::R4 => root_and_nested(&consent)?,
                Release::R5 => r5::root_and_nested(&consent)?,
            };
            check_in_force(&consent, release, &root, context)?;
            (Some(root), nested)
        }
    };

    let opts_out = match &root {
        Some(root) => opt_out::is_opt_out(&consent, release, &categories, root, &nested)?,
        None => false,
    };
    let inner = match (ended, status_code.as_deref(), root.as_ref().and_then(|root| root.effect)) {
        (Some(ended), _, _) => ended,
        (None, Some("rejected"), _) => InnerKind::Refuse,
        (None, _, _) if opts_out => InnerKind::OptOut,
        (None, _, Some(Effect::Permit)) => InnerKind::Grant,
        (None, _, _) => InnerKind::Restriction,
    };
    let recipients = match (inner, &root) {
        (InnerKind::Grant, Some(root)) => root
            .actors
            .iter()
            .filter_map(|actor| actor.who.as_ref())
            .map(|who| context.located(who))
            .collect(),
        _ => Vec::new(),
    };
    let expiry = expiry_after(
        root.as_ref().and_then(|root| root.period.as_ref()).and_then(|period| period.end.as_ref()),
    );
    let body = match root {
        None => RuleBody::Nothing,
        Some(root) => RuleBody::Rule(Rule {
            root: Some(root),
            nested,
            scope,
            categories,
            policies,
            policy_rule,
            subject: Some(party),
            performers,
            organisations: organisations.clone(),
            agreed,
        }),
    };
    let draft = RuleDraft {
        origin: context.origin(json),
        subject,
        intent,
        inner,
        body,
        evidence: Evidence {
            status: status_code,
            record: Some(Source {
                format: Some(match release {
                    Release::R4 => Format::FhirR4Consent,
                    Release::R5 => Format::FhirR5Consent,
                }),
                own_id,
                profiles,
                labels,
                not_carried: not_carried(&consent),
                ..Source::default()
            }),
            ..evidence
        },
        collected,
        expiry,
        recipients,
        organisations: organisations.iter().map(|party| context.located(party)).collect(),
    };
    match draft.to_fields().iter().position(|value| value.len() > custos_proof::seal::MAX_SEALED_VALUE) {
        Some(1) => Err(consent.refuse_child("provision", RefusalCode::TooLarge, "the rule exceeds 64 KiB")),
        Some(_) => Err(consent.refuse(RefusalCode::TooLarge, "the evidence exceeds 64 KiB")),
        None => Ok(draft),
    }
}

/// What a consent says besides its rules, each release in its own elements.
struct Frame {
    party: Party,
    subject: Vec<SubjectKey>,
    scope: Option<Concept>,
    performers: List<Party, 16>,
    organisations: List<Party, 16>,
    policies: List<Policy, 16>,
    policy_rule: Option<Concept>,
    agreed: Option<Moment>,
    collected: Collected,
    evidence: Evidence,
}

/// The frame of an R4 consent.
fn frame(
    consent: &Element<'_>,
    intent: Intent,
    json: &Json,
    context: &Context<'_>,
) -> Result<Frame, Refusal> {
    let (party, subject) = subject(consent, "patient", json, context)?;
    let scope = scope(consent, intent)?;
    let source = child_party(consent, "sourceReference")?;
    let inline = consent.child_object("sourceAttachment")?;
    let verifications = consent.values("verification", verification)?;
    let (collected, evidence) = evidence(consent, source, inline, verifications, json, context)?;
    Ok(Frame {
        party,
        subject,
        scope,
        performers: consent.values("performer", party_of)?,
        organisations: consent.values("organization", party_of)?,
        policies: consent.values("policy", policy)?,
        policy_rule: child_concept(consent, "policyRule")?,
        agreed: child_moment(consent, "dateTime")?,
        collected,
        evidence,
    })
}

/// The rules of an R4 consent.
fn root_and_nested(consent: &Element<'_>) -> Result<(Provision, List<Provision, 64>), Refusal> {
    match consent.child("provision") {
        None => Err(consent.refuse_child(
            "provision.type",
            RefusalCode::NoBaseEffect,
            "the consent neither permits nor denies; a policyRule alone does not say which",
        )),
        Some(provision) => rules(&provision),
    }
}

fn subject(
    consent: &Element<'_>,
    element: &str,
    json: &Json,
    context: &Context<'_>,
) -> Result<(Party, Vec<SubjectKey>), Refusal> {
    let missing = |why: &str| consent.refuse_child(element, RefusalCode::MissingPatient, why);
    let patient = child_party(consent, element)?.ok_or_else(|| missing("a rule is some patient's rule"))?;
    match context.subject(&patient, json) {
        keys if keys.is_empty() => Err(missing("the patient has neither an address nor an identifier")),
        keys => Ok((patient, keys)),
    }
}

/// Privacy and research consents speak of data; treatment and advance directives do not, and of what nobody here knows
/// it cannot be said.
///
/// # Correctness
/// An ending ends what was recorded, whatever the source calls it by now: it MUST NOT be refused for a scope that is
/// not known. There is nothing to end where no rule was imported.
fn scope(consent: &Element<'_>, intent: Intent) -> Result<Option<Concept>, Refusal> {
    let element = consent.required("scope")?;
    let scope = concept(&element)?;
    let is_one_of =
        |codes: &[&str]| scope.as_ref().is_some_and(|scope| codes.iter().any(|code| scope.has(SCOPE, code)));
    if is_one_of(ABOUT_DATA) {
        return Ok(scope);
    }
    if is_one_of(NOT_ABOUT_DATA) {
        return Err(element.refuse(
            RefusalCode::ScopeNotCarried,
            "a consent to treatment or an advance directive is no rule about access to data",
        ));
    }
    match intent {
        Intent::End => Ok(scope),
        Intent::Put => Err(element.refuse(
            RefusalCode::ScopeNotCarried,
            format!(
                "{} is no area that is known to be about access to data: {} of {SCOPE}",
                scope.as_ref().map_or_else(|| "an empty scope".into(), named),
                ABOUT_DATA.join(" or "),
            ),
        )),
    }
}

/// A concept as people find it again in their document; words are not repeated, which may say anything.
fn named(concept: &Concept) -> String {
    let name = |coding: &Coding| match &coding.system {
        Some(system) => format!("`{}` of {}", &*coding.code, &**system),
        None => format!("`{}` without a system", &*coding.code),
    };
    concept.codings.first().map_or_else(|| "a scope in words alone".into(), name)
}

fn policy(element: &Element<'_>) -> Result<Option<Policy>, Refusal> {
    let element = element.clone().object()?;
    let policy = Policy {
        authority: element.child_text("authority", Token::new)?,
        uri: element.child_text("uri", Token::new)?,
    };
    Ok((policy.authority.is_some() || policy.uri.is_some()).then_some(policy))
}

/// The root and one level below it.
fn rules(element: &Element<'_>) -> Result<(Provision, List<Provision, 64>), Refusal> {
    let root = provision(element)?;
    if root.effect.is_none() {
        return Err(element.refuse_child(
            "type",
            RefusalCode::NoBaseEffect,
            "the root of the rules neither permits nor denies",
        ));
    }
    let mut nested = Vec::new();
    for child in element.list("provision", 64)? {
        let rule = provision(&child)?;
        if let Some(deeper) = child.child("provision") {
            return Err(deeper
                .refuse(RefusalCode::NestedTooDeep, "rules may stand at the root and one level below it"));
        }
        check_not_wider(&child, &rule, &root)?;
        check_understood(&child)?;
        nested.push(rule);
    }
    check_understood(element)?;
    Ok((root, List::new(nested).unwrap_or_default()))
}

fn provision(element: &Element<'_>) -> Result<Provision, Refusal> {
    let element = element.clone().object()?;
    if let Some(expression) = element.child("expression") {
        return Err(expression.refuse(
            RefusalCode::ExpressionUnsupported,
            "a rule in the form of an expression cannot be decided",
        ));
    }
    let effect = match element.child("type") {
        None => None,
        Some(child) => match child.text(Effect::from_word)? {
            Some(effect) => Some(effect),
            None => return Err(child.refuse(RefusalCode::UnknownCode, "a rule is permit or deny")),
        },
    };
    Ok(Provision {
        effect,
        period: child_span(&element, "period")?,
        actors: element.values("actor", actor)?,
        actions: element.values("action", concept)?,
        labels: element.values("securityLabel", coding)?,
        purposes: element.values("purpose", coding)?,
        classes: element.values("class", coding)?,
        codes: element.values("code", concept)?,
        data_period: child_span(&element, "dataPeriod")?,
        data: element.values("data", data)?,
    })
}

fn actor(element: &Element<'_>) -> Result<Option<Actor>, Refusal> {
    let element = element.clone().object()?;
    let actor = Actor { role: child_concept(&element, "role")?, who: child_party(&element, "reference")? };
    match actor.who {
        Some(_) => Ok(Some(actor)),
        None => Err(element.refuse_child(
            "reference",
            RefusalCode::MissingElement,
            "an actor without a reference is everybody or nobody",
        )),
    }
}

fn data(element: &Element<'_>) -> Result<Option<DataReference>, Refusal> {
    let element = element.clone().object()?;
    let meaning = element.required("meaning")?;
    let what = element.required("reference")?;
    Ok(Some(DataReference {
        meaning: meaning.text(Meaning::from_word)?.ok_or_else(|| {
            meaning.refuse(RefusalCode::UnknownCode, "instance, related, dependents or authoredby")
        })?,
        what: party_of(&what)?
            .ok_or_else(|| what.refuse(RefusalCode::MissingElement, "the reference is empty"))?,
    }))
}

/// # Correctness
/// Everything inside a rule either constrains it or changes it. What was not carried here would make
/// the recorded rule wider than what the subject agreed to.
fn check_understood(element: &Element<'_>) -> Result<(), Refusal> {
    // Nested rules were judged by themselves.
    let nested = format!("{}.provision[", element.name());
    match element.left_over().into_iter().find(|name| !name.starts_with(&nested)) {
        None => Ok(()),
        Some(name) => Err(Refusal {
            code: RefusalCode::NotUnderstood,
            element: name,
            message: "an element of a rule that cannot be carried would change what was agreed".into(),
        }),
    }
}

/// A nested rule inherits the root's actors, purposes and period; it may leave only its data.
fn check_not_wider(element: &Element<'_>, rule: &Provision, root: &Provision) -> Result<(), Refusal> {
    let wider = |name: String, why: &str| {
        Err(Refusal { code: RefusalCode::NestedWider, element: name, message: why.into() })
    };
    let strange = |purpose| {
        !root.purposes.is_empty()
            && !root.purposes.iter().any(|allowed| terminology::is_within(purpose, allowed))
    };
    if let Some(n) = rule.purposes.iter().position(strange) {
        return wider(
            element.name_of(&format!("purpose[{n}]")),
            "not among the root's purposes, nor known to be part of one",
        );
    }
    let organisations_only = |actors: &[Actor]| {
        actors.iter().all(|actor| actor.who.as_ref().and_then(Party::resource_type) == Some("Organization"))
    };
    let stranger = |actor: &Actor| !root.actors.iter().any(|allowed| allowed.who == actor.who);
    let comparable =
        !root.actors.is_empty() && organisations_only(&root.actors) && organisations_only(&rule.actors);
    if let Some(n) = rule.actors.iter().position(stranger).filter(|_| comparable) {
        return wider(
            element.name_of(&format!("actor[{n}]")),
            "an organisation that is not among the root's actors",
        );
    }
    let (Some(outer), Some(inner)) = (&root.period, &rule.period) else { return Ok(()) };
    let starts_before = outer
        .start
        .as_ref()
        .is_some_and(|outer| inner.start.as_ref().is_none_or(|inner| inner.first_ms() < outer.first_ms()));
    let ends_after = outer
        .end
        .as_ref()
        .is_some_and(|outer| inner.end.as_ref().is_none_or(|inner| inner.last_ms() > outer.last_ms()));
    match (starts_before, ends_after) {
        (true, _) => wider(element.name_of("period.start"), "before the root's period begins"),
        (_, true) => wider(element.name_of("period.end"), "after the root's period ends"),
        _ => Ok(()),
    }
}

/// A rule whose period is over was an act of the past: it cannot enter into force any more.
fn check_in_force(
    consent: &Element<'_>,
    release: Release,
    root: &Provision,
    context: &Context<'_>,
) -> Result<(), Refusal> {
    let end = root.period.as_ref().and_then(|period| period.end.as_ref());
    let now = i64::try_from(context.now().0).unwrap_or(i64::MAX);
    match end {
        Some(end) if end.last_ms() < now => Err(consent.refuse_child(
            match release {
                Release::R4 => "provision.period.end",
                Release::R5 => "period.end",
            },
            RefusalCode::PeriodOver,
            format!("the consent ended {end}; it can no longer enter into force"),
        )),
        _ => Ok(()),
    }
}

fn evidence(
    consent: &Element<'_>,
    source: Option<Party>,
    inline: Option<Element<'_>>,
    verifications: List<Verification, 16>,
    json: &Json,
    context: &Context<'_>,
) -> Result<(Collected, Evidence), Refusal> {
    let document = match (&inline, &source) {
        (Some(inline), _) => Some(attachment(inline.json())),
        (None, Some(source)) => context.document(source, json),
        (None, None) => None,
    };
    if let Some(inline) = &inline {
        // The content itself is carried as its hash.
        for name in ["title", "contentType", "url", "data"] {
            inline.child(name).iter().for_each(Element::mark);
        }
    }
    let document = document.unwrap_or_default();
    let (collected, collected_by_element) = match collected(&document, source.as_ref(), &verifications) {
        Some((collected, element)) => (collected, Token::new(element)),
        None => (context.collected(), None),
    };
    let Document { title, media_type, url, hash } = document;
    let identifiers = consent.values("identifier", identifier)?;
    Ok((
        collected,
        Evidence {
            source_hash: hash,
            source,
            title,
            media_type,
            url,
            verifications,
            collected_by_element,
            identifiers,
            ..Evidence::default()
        },
    ))
}

/// How a consent was collected, where an element says so.
fn collected(
    document: &Document,
    source: Option<&Party>,
    verifications: &[Verification],
) -> Option<(Collected, &'static str)> {
    let media = document.media_type.as_deref().unwrap_or_default();
    let source_type = source.and_then(Party::resource_type);
    let signed = [
        "application/pkcs7",
        "application/pkcs7-mime",
        "application/pkcs7-signature",
        "application/jose",
        "application/cose",
        "application/signature+xml",
    ];
    match () {
        () if signed.contains(&media) => Some((Collected::ESignature, "Consent.source[x].contentType")),
        // A picture or a scan of something signed by hand.
        () if media.starts_with("image/") || media == "application/pdf" => {
            Some((Collected::Paper, "Consent.source[x].contentType"))
        }
        () if source_type == Some("QuestionnaireResponse") => {
            Some((Collected::Portal, "Consent.sourceReference"))
        }
        () if source.is_none()
            && document == &Document::default()
            && verifications.iter().any(|check| check.verified) =>
        {
            Some((Collected::InPerson, "Consent.verification"))
        }
        () => None,
    }
}

fn verification(element: &Element<'_>) -> Result<Option<Verification>, Refusal> {
    let element = element.clone().object()?;
    let Some(verified) = element.child_bool("verified")? else { return Ok(None) };
    Ok(Some(Verification {
        verified,
        with: child_party(&element, "verifiedWith")?,
        date: child_moment(&element, "verificationDate")?,
    }))
}
