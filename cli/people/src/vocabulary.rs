//! The vocabulary of the formats, word by word, and where the catalogue has each.
//!
//! Every value of every enumeration that people meet has a message named after it: the value
//! `RuleEnded` of the codes is `code-rule-ended`. The lists are those of the formats themselves, so
//! a value that is added there and has no message fails the catalogue's test.

use std::fmt::Debug;

use custos_proof::certificate::VoteType;
use custos_proof::keys::KeyPurpose;
use custos_proof::kinds::Kind;
use custos_proof::kinds::access::{Basis, Late, Retention};
use custos_proof::kinds::correct::Reason as CorrectReason;
use custos_proof::kinds::dispute::Resolution;
use custos_proof::kinds::hold::Authority;
use custos_proof::kinds::job::Step as JobStep;
use custos_proof::kinds::participant::Reason as SuspendReason;
use custos_proof::kinds::permit::{self, Form};
use custos_proof::kinds::proposal::Choice;
use custos_proof::kinds::record::Step as RecordStep;
use custos_proof::kinds::rule::Collected;
use custos_proof::record::{Check, Code, DueRule, Finding};
use custos_proof::registry::Role;
use custos_proof::sealed_values::{
    ActionKind, AgentKind, Answer, DelegationKind, Effect, Format, InnerKind, LinkReason, Meaning,
    OutcomeKind, Reason, RekeyReason, RelationshipKind,
};
use custos_proof::trail::TrailKind;

use crate::catalogue::Speaker;

/// A value that has a word in every language.
pub trait Word: Copy + Debug + 'static {
    /// How the messages of its enumeration begin.
    const PREFIX: &'static str;
    /// Every value.
    fn all() -> Vec<Self>;
    /// The word of JSON, for a language that lacks it.
    fn plain(self) -> &'static str;
}

macro_rules! words {
    ($( $type:ty = $prefix:literal, $plain:ident; )*) => {
        $(
            impl Word for $type {
                const PREFIX: &'static str = $prefix;
                fn all() -> Vec<Self> {
                    <$type>::ALL.to_vec()
                }
                fn plain(self) -> &'static str {
                    self.$plain()
                }
            }
        )*

        /// The messages of all values of the vocabulary.
        #[must_use]
        pub fn messages() -> Vec<String> {
            let mut ids = Vec::new();
            $( ids.extend(<$type>::all().into_iter().map(id)); )*
            ids.extend(Kind::ALL.iter().flat_map(|kind| kind.sealed_fields()).map(|name| field_id(name)));
            ids.sort();
            ids.dedup();
            ids
        }
    };
}

words! {
    Kind = "kind", name;
    Role = "registry-role", word;
    KeyPurpose = "key-purpose", word;
    TrailKind = "trail-kind", word;
    SuspendReason = "reason", word;
    Basis = "basis", word;
    Late = "late", word;
    Retention = "retention", word;
    Collected = "collected", word;
    Finding = "finding", word;
    Check = "check", word;
    Code = "code", word;
    ActionKind = "action", word;
    OutcomeKind = "outcome", word;
    AgentKind = "agent", word;
    RelationshipKind = "relationship", word;
    Answer = "answer", word;
    Effect = "effect", word;
    InnerKind = "inner", word;
    Meaning = "meaning", word;
    Format = "format", word;
    Reason = "unstated", word;
    Choice = "choice", word;
    VoteType = "vote", word;
    Resolution = "resolution", word;
    DueRule = "due", word;
    CorrectReason = "wrong", word;
    Authority = "authority", word;
    JobStep = "job-step", word;
    RecordStep = "record-step", word;
    permit::Purpose = "permit-purpose", word;
    permit::Category = "permit-category", word;
    permit::Reason = "permit-end", word;
    Form = "form", word;
    DelegationKind = "delegate", word;
    RekeyReason = "rekey", word;
    LinkReason = "link", word;
}

/// The message of a value: `code-rule-ended`.
#[must_use]
pub fn id<W: Word>(value: W) -> String {
    let mut id = String::from(W::PREFIX);
    for c in format!("{value:?}").chars() {
        if c.is_ascii_uppercase() {
            id.push('-');
        }
        id.push(c.to_ascii_lowercase());
    }
    id
}

/// The message of a sealed field's name: `field-legal-basis`.
#[must_use]
pub fn field_id(name: &str) -> String {
    format!("field-{}", name.replace([' ', '_'], "-"))
}

impl Speaker {
    /// The word for a value of the vocabulary.
    #[must_use]
    pub fn word<W: Word>(&self, value: W) -> String {
        self.message(&id(value), &[]).unwrap_or_else(|| value.plain().to_owned())
    }

    /// The name of a sealed field.
    #[must_use]
    pub fn field(&self, name: &str) -> String {
        self.message(&field_id(name), &[]).unwrap_or_else(|| name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_names_its_message() {
        assert_eq!(id(Code::RuleEnded), "code-rule-ended");
        assert_eq!(id(Format::FhirR4AuditEvent), "format-fhir-r4-audit-event");
        assert_eq!(id(InnerKind::OptOut), "inner-opt-out");
        assert_eq!(field_id("legal basis"), "field-legal-basis");
        assert!(messages().contains(&"kind-access-event".to_owned()));
    }
}
