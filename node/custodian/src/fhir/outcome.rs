//! FHIR's OperationOutcome: a refusal as a FHIR client reads it, with the element in `issue.expression`.

use serde_json::{Value, json};

use super::{Refusal, RefusalCode};

/// The system of the stable codes in `issue.details`.
pub const CODES: &str = "urn:custos:fhir:refusal";

/// How bad an issue is (issue-severity).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It was not done.
    Error,
    /// It was done, and the client should know something.
    Warning,
    /// All is well.
    Information,
}

impl Severity {
    const fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Information => "information",
        }
    }
}

/// One thing to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// How bad it is.
    pub severity: Severity,
    /// FHIR's issue-type.
    pub kind: &'static str,
    /// Our own stable code.
    pub code: String,
    /// For people.
    pub diagnostics: String,
    /// The element, as a FHIRPath.
    pub expression: Option<String>,
}

impl Issue {
    /// Something that was not done, and why.
    #[must_use]
    pub fn error(kind: &'static str, code: &str, diagnostics: impl Into<String>) -> Self {
        let (code, diagnostics) = (code.into(), diagnostics.into());
        Self { severity: Severity::Error, kind, code, diagnostics, expression: None }
    }

    /// Something that the client should know.
    #[must_use]
    pub fn warning(kind: &'static str, code: &str, diagnostics: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(kind, code, diagnostics) }
    }

    /// A refusal of the reader.
    #[must_use]
    pub fn of_refusal(refusal: &Refusal) -> Self {
        let is_element = refusal.element.starts_with(|first: char| first.is_ascii_uppercase());
        Self {
            severity: Severity::Error,
            kind: issue_type(refusal.code),
            code: refusal.code.word().into(),
            diagnostics: refusal.to_string(),
            expression: is_element.then(|| refusal.element.clone()),
        }
    }

    fn to_json(&self) -> Value {
        let mut issue = json!({
            "severity": self.severity.word(),
            "code": self.kind,
            "details": { "coding": [{ "system": CODES, "code": self.code }] },
            "diagnostics": self.diagnostics,
        });
        if let (Some(expression), Some(object)) = (&self.expression, issue.as_object_mut()) {
            object.insert("expression".into(), json!([expression]));
        }
        issue
    }
}

/// The resource. There is always one issue.
#[must_use]
pub fn operation_outcome(issues: &[Issue]) -> Value {
    let all_is_well = Issue {
        severity: Severity::Information,
        kind: "informational",
        code: "done".into(),
        diagnostics: "done".into(),
        expression: None,
    };
    let issues: Vec<Value> = match issues {
        [] => vec![all_is_well.to_json()],
        issues => issues.iter().map(Issue::to_json).collect(),
    };
    json!({ "resourceType": "OperationOutcome", "issue": issues })
}

/// FHIR's word for a reason.
#[must_use]
pub const fn issue_type(code: RefusalCode) -> &'static str {
    match code {
        RefusalCode::Unreadable => "exception",
        RefusalCode::TooLarge => "too-long",
        RefusalCode::NotJson | RefusalCode::NotFhir | RefusalCode::WrongType | RefusalCode::WrongResource => {
            "structure"
        }
        RefusalCode::MissingElement | RefusalCode::MissingPatient => "required",
        RefusalCode::MalformedDate | RefusalCode::PeriodInverted => "value",
        RefusalCode::UnknownCode => "code-invalid",
        RefusalCode::ConflictingIdentity => "conflict",
        RefusalCode::MixedReleases
        | RefusalCode::NotARecord
        | RefusalCode::Unsupported
        | RefusalCode::NestedTooDeep
        | RefusalCode::ExpressionUnsupported
        | RefusalCode::NotUnderstood
        | RefusalCode::ScopeNotCarried => "not-supported",
        RefusalCode::NotInForce
        | RefusalCode::NoBaseEffect
        | RefusalCode::NestedWider
        | RefusalCode::PeriodOver
        | RefusalCode::OtherCustodian
        | RefusalCode::NothingToEnd => "business-rule",
    }
}

/// The HTTP status of a refusal: 400 what is not FHIR, 409 and 413 what they say, 422 everything else.
#[must_use]
pub const fn status(code: RefusalCode) -> u16 {
    match code {
        RefusalCode::NotJson | RefusalCode::NotFhir | RefusalCode::WrongResource => 400,
        RefusalCode::ConflictingIdentity => 409,
        RefusalCode::TooLarge => 413,
        RefusalCode::Unreadable => 500,
        _ => 422,
    }
}
