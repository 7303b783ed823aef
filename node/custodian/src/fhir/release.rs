//! Which release of FHIR a resource is written in, told by its elements.
//!
//! R4 (4.0.1) and R5 (5.0.0) use the same names for some things that mean another: `provision` is the
//! rule in R4 and an exception to the rule in R5, `outcome` is a code in one and an object in the
//! other. JSON does not say which release it is, so the elements that only one of them has decide; a
//! resource with elements of both is refused, because each reading would lose or turn what it says.
//!
//! Deliberately absent: other releases. R4B's AuditEvent and Consent are those of R4.

use super::element::Element;
use super::json::Json;
use super::{Refusal, RefusalCode};

/// A release of FHIR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// 4.0.1, and 4.3.0 where it is the same.
    R4,
    /// 5.0.0.
    R5,
}

impl Release {
    /// The release that a `fhirVersion` parameter of a media type names: `4.0`, `5.0`.
    #[must_use]
    pub fn from_parameter(text: &str) -> Option<Self> {
        match text {
            "4.0" | "4.3" => Some(Release::R4),
            "5.0" => Some(Release::R5),
            _ => None,
        }
    }

    /// The name that people use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Release::R4 => "R4",
            Release::R5 => "R5",
        }
    }
}

/// How an element tells the release.
struct Marker {
    name: &'static str,
    shape: Shape,
    release: Release,
}

/// What an element looks like in the release that it marks.
#[derive(Clone, Copy)]
enum Shape {
    Any,
    Text,
    Object,
    Array,
}

impl Shape {
    fn is(self, json: &Json) -> bool {
        match self {
            Shape::Any => true,
            Shape::Text => matches!(json, Json::Text(_)),
            Shape::Object => matches!(json, Json::Object(_)),
            Shape::Array => matches!(json, Json::Array(_)),
        }
    }
}

const fn r4(name: &'static str, shape: Shape) -> Marker {
    Marker { name, shape, release: Release::R4 }
}

const fn r5(name: &'static str, shape: Shape) -> Marker {
    Marker { name, shape, release: Release::R5 }
}

/// Elements of an AuditEvent that only one release has, in this place and shape.
const AUDIT_EVENT: &[Marker] = &[
    r4("type", Shape::Any),
    r4("subtype", Shape::Any),
    r4("period", Shape::Any),
    r4("outcome", Shape::Text),
    r4("outcomeDesc", Shape::Any),
    r4("purposeOfEvent", Shape::Any),
    r5("category", Shape::Any),
    r5("code", Shape::Any),
    r5("severity", Shape::Any),
    r5("occurredDateTime", Shape::Any),
    r5("occurredPeriod", Shape::Any),
    r5("outcome", Shape::Object),
    r5("authorization", Shape::Any),
    r5("basedOn", Shape::Any),
    r5("patient", Shape::Any),
    r5("encounter", Shape::Any),
];

/// Elements of a Consent that only one release has, in this place and shape.
const CONSENT: &[Marker] = &[
    r4("patient", Shape::Any),
    r4("scope", Shape::Any),
    r4("dateTime", Shape::Any),
    r4("performer", Shape::Any),
    r4("organization", Shape::Any),
    r4("policy", Shape::Any),
    r4("policyRule", Shape::Any),
    r4("provision", Shape::Object),
    r4("sourceAttachment", Shape::Object),
    r4("sourceReference", Shape::Object),
    r5("decision", Shape::Any),
    r5("subject", Shape::Any),
    r5("date", Shape::Any),
    r5("period", Shape::Any),
    r5("grantor", Shape::Any),
    r5("grantee", Shape::Any),
    r5("manager", Shape::Any),
    r5("controller", Shape::Any),
    r5("regulatoryBasis", Shape::Any),
    r5("policyBasis", Shape::Any),
    r5("policyText", Shape::Any),
    r5("provision", Shape::Array),
    r5("sourceAttachment", Shape::Array),
    r5("sourceReference", Shape::Array),
];

/// The release of an AuditEvent. Without any mark it is read as R4, in which nothing is lost.
pub(super) fn of_audit_event(event: &Element<'_>, stated: Option<Release>) -> Result<Release, Refusal> {
    told(event, AUDIT_EVENT, stated)
}

/// The release of a Consent.
pub(super) fn of_consent(consent: &Element<'_>, stated: Option<Release>) -> Result<Release, Refusal> {
    told(consent, CONSENT, stated)
}

fn told(resource: &Element<'_>, markers: &[Marker], stated: Option<Release>) -> Result<Release, Refusal> {
    let first = |release| {
        markers
            .iter()
            .filter(|marker| marker.release == release)
            .find(|marker| resource.json_child(marker.name).is_some_and(|child| marker.shape.is(child)))
    };
    let refuse = |marker: &Marker, why: String| {
        Err(resource.refuse_child(marker.name, RefusalCode::MixedReleases, why))
    };
    match (first(Release::R4), first(Release::R5), stated) {
        (Some(old), Some(new), _) => refuse(
            new,
            format!(
                "this is of FHIR R5 and {} is of R4: a resource is written in one release",
                resource.name_of(old.name)
            ),
        ),
        (Some(old), None, Some(Release::R5)) => {
            refuse(old, "this is of FHIR R4; the request says that it is R5".into())
        }
        (None, Some(new), Some(Release::R4)) => {
            refuse(new, "this is of FHIR R5; the request says that it is R4".into())
        }
        (None, Some(_), _) => Ok(Release::R5),
        (Some(_), None, _) => Ok(Release::R4),
        (None, None, stated) => Ok(stated.unwrap_or(Release::R4)),
    }
}
