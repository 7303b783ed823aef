//! What stands inside sealed fields: the values that an opening shows, and their plain words.
//!
//! A custodian writes these values, a patient's or auditor's verifier reads them years later from a
//! disclosure; both use this file, and its CDDL in `docs/spec/`. They follow FHIR R4's AuditEvent
//! and Consent closely enough that an import loses nothing it can name.
//!
//! Fixed structures are arrays; where most parts are optional, a map with small integer keys, absent
//! parts left out (an empty list is never written). Codes and URIs are text; strings that people
//! wrote are byte strings of UTF-8 ([`Prose`]), because they may hold line breaks. Code systems that
//! every hospital uses have short numbers ([`CODE_SYSTEMS`]) and MUST be written by number.
//!
//! Every field of testimony is [`Stated`]: a value, or the reason why there is none.
//!
//! Deliberately absent: judging the values (that is `decide`), terminology, and languages other than
//! plain English (translations are a matter of the reader's program).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Deref;

use crate::cbor::{Bytes, DecodeError, List, Reader, Text, View, Wire, Writer, wire_enum, wire_struct};
use crate::given::{Form, Given, GivenError};
use crate::hash::{Digest, ItemHash, KeyId};
use crate::ids::ParticipantId;
use crate::kinds::Kind;

/// What a sealed field says, as a tree for JSON.
///
/// # Errors
/// Bytes that are not a value of that field, or a field that the kind does not have.
pub fn view(kind: Kind, field: u8, value: &[u8]) -> Result<View, DecodeError> {
    (codec(kind, field)?.decode)(value).map(|(view, _)| view)
}

/// What a sealed field says, in plain words.
///
/// # Errors
/// Bytes that are not a value of that field, or a field that the kind does not have.
pub fn describe(kind: Kind, field: u8, value: &[u8]) -> Result<String, DecodeError> {
    (codec(kind, field)?.decode)(value).map(|(_, words)| words)
}

/// How a person writes a sealed field.
///
/// # Errors
/// A field that the kind does not have.
pub fn form(kind: Kind, field: u8) -> Result<Form, DecodeError> {
    codec(kind, field).map(|codec| (codec.form)())
}

/// The bytes of a sealed field that a person wrote.
///
/// # Errors
/// What was written is not a value of that field, or the kind does not have it.
pub fn from_given(kind: Kind, field: u8, given: &Given) -> Result<Vec<u8>, GivenError> {
    match codec(kind, field) {
        Ok(codec) => (codec.encode)(given),
        Err(_) => Err(GivenError::expected(format!("no sealed field {field} of {}", kind.name()), given)),
    }
}

/// A value as a tree, and in plain words.
type Decoded = (View, String);

/// What can be done with the type of a sealed field.
#[derive(Clone, Copy)]
struct Codec {
    decode: fn(&[u8]) -> Result<Decoded, DecodeError>,
    encode: fn(&Given) -> Result<Vec<u8>, GivenError>,
    form: fn() -> Form,
}

impl Codec {
    const fn of<T: Wire + Describe>() -> Self {
        Self {
            decode: |value| T::from_bytes(value).map(|value| (value.view(), value.describe())),
            encode: |given| T::from_given(given).map(|value| value.to_bytes()),
            form: T::form,
        }
    }
}

/// The table of sealed fields and their types, for every kind that has any.
fn codec(kind: Kind, field: u8) -> Result<Codec, DecodeError> {
    Ok(match (kind, field) {
        (Kind::AccessEvent, 1) => Codec::of::<Stated<Action>>(),
        (Kind::AccessEvent, 2) => Codec::of::<Stated<Outcome>>(),
        (Kind::AccessEvent, 3) => Codec::of::<Stated<When>>(),
        (Kind::AccessEvent, 4) => Codec::of::<Stated<Purposes>>(),
        (Kind::AccessEvent, 5) => Codec::of::<Stated<LegalBasis>>(),
        (Kind::AccessEvent, 6) => Codec::of::<Stated<Concepts>>(),
        (Kind::AccessEvent, 7) => Codec::of::<Stated<Parties>>(),
        (Kind::AccessEvent, 8) => Codec::of::<Stated<Agents>>(),
        (Kind::AccessEvent, 9) => Codec::of::<Stated<Relationship>>(),
        (Kind::AccessEvent, 10) => Codec::of::<Stated<Resources>>(),
        (Kind::AccessEvent, 11) => Codec::of::<Stated<Codings>>(),
        (Kind::AccessEvent, 12) => Codec::of::<Stated<Justification>>(),
        (Kind::AccessEvent, 13) => Codec::of::<Stated<Decision>>(),
        (Kind::AccessEvent, 14) => Codec::of::<Stated<Identifiers>>(),
        (Kind::AccessEvent, 15) => Codec::of::<Stated<Group>>(),
        (Kind::AccessEvent, 16) => Codec::of::<Stated<Source>>(),
        (Kind::RulePut, 1) => Codec::of::<InnerKind>(),
        (Kind::RulePut, 2) => Codec::of::<RuleBody>(),
        (Kind::RulePut, 3) => Codec::of::<Evidence>(),
        (Kind::TrailOpen, 1) => Codec::of::<Option<OwnTrail>>(),
        (Kind::TrailAgent, 1) => Codec::of::<Evidence>(),
        (Kind::AccessCorrect, 1) => Codec::of::<Stated<Replacement>>(),
        (Kind::AccessCorrect, 2) => Codec::of::<Stated<Prose<MAX_PROSE>>>(),
        (Kind::DisclosureExport, 1) => Codec::of::<Stated<When>>(),
        (Kind::DisclosureExport, 2) => Codec::of::<Stated<Parties>>(),
        (Kind::DisclosureExport, 3) => Codec::of::<Stated<OwnTrail>>(),
        (Kind::DisclosureExport, 4) => Codec::of::<Stated<Purposes>>(),
        (Kind::DisclosureExport, 5) => Codec::of::<Stated<Concepts>>(),
        (Kind::DisclosureExport, 6) => Codec::of::<Stated<Accounting>>(),
        (Kind::DisclosureExport, 7) => Codec::of::<Stated<Prose<MAX_PROSE>>>(),
        (Kind::DisclosureImport, 1) => Codec::of::<Stated<When>>(),
        (Kind::DisclosureImport, 2) => Codec::of::<Stated<OwnTrail>>(),
        (Kind::DisclosureImport, 3) => Codec::of::<Stated<Concepts>>(),
        (Kind::DisclosureImport, 4) => Codec::of::<Stated<Prose<MAX_PROSE>>>(),
        (Kind::EmergencyDeclare, 1) => Codec::of::<Stated<When>>(),
        (Kind::EmergencyDeclare, 2) => Codec::of::<Stated<Agents>>(),
        (Kind::EmergencyDeclare, 3) => Codec::of::<Stated<OwnTrail>>(),
        (Kind::EmergencyDeclare, 4) => Codec::of::<Stated<Justification>>(),
        (Kind::EmergencyDeclare, 5) => Codec::of::<Stated<Concepts>>(),
        (Kind::EmergencyReview, 1) => Codec::of::<Stated<ReviewVerdict>>(),
        (Kind::EmergencyReview, 2) => Codec::of::<Stated<Independence>>(),
        (Kind::EmergencyReview, 3) => Codec::of::<Stated<Agents>>(),
        (Kind::EmergencyReview, 4) => Codec::of::<Stated<When>>(),
        (Kind::EmergencyReview, 5) => Codec::of::<Stated<Prose<MAX_PROSE>>>(),
        (Kind::JobRecord, 1) => Codec::of::<Stated<When>>(),
        (Kind::JobRecord, 2) => Codec::of::<Stated<Agents>>(),
        (Kind::JobRecord, 3) => Codec::of::<Stated<Prose<MAX_PROSE>>>(),
        (Kind::RecordEvent, 1) => Codec::of::<Stated<Concepts>>(),
        (Kind::RecordEvent, 2) => Codec::of::<Stated<Parties>>(),
        (Kind::RecordEvent, 3) => Codec::of::<Stated<Digest>>(),
        (Kind::RecordEvent, 4) => Codec::of::<Stated<When>>(),
        (Kind::RecordEvent, 5) => Codec::of::<Stated<Agents>>(),
        (Kind::AuditRead, 1) => Codec::of::<Stated<Resources>>(),
        (Kind::AuditRead, 2) => Codec::of::<Stated<Agents>>(),
        (Kind::AuditRead, 3) => Codec::of::<Stated<When>>(),
        (Kind::HoldSet, 1) => Codec::of::<Stated<Parties>>(),
        (Kind::HoldSet, 2) => Codec::of::<Stated<Span>>(),
        (Kind::HoldSet, 3) => Codec::of::<Stated<Prose<MAX_PROSE>>>(),
        (Kind::PayloadErase, 1) => Codec::of::<Stated<Parties>>(),
        (Kind::PayloadErase, 2) => Codec::of::<Stated<Prose<MAX_PROSE>>>(),
        (Kind::ParticipantRegister | Kind::ParticipantUpdate, 1) => Codec::of::<Prose<MAX_PROSE>>(),
        (Kind::MandateIssue, 1) => Codec::of::<WrappedKeys>(),
        (Kind::FindingRecord | Kind::DisputeOpen, 1) => Codec::of::<Pointer>(),
        (Kind::FindingRecord | Kind::DisputeOpen, 2) => Codec::of::<Prose<MAX_PROSE>>(),
        (Kind::DisputeAnswer | Kind::DisputeResolve, 1) => Codec::of::<Prose<MAX_PROSE>>(),
        _ => return Err(DecodeError::OutOfBounds { at: 0, what: "sealed field number" }),
    })
}

/// Plain words for people, in English.
pub trait Describe {
    /// The value as part of a sentence. Control characters never come out of it.
    fn describe(&self) -> String;
}

// ---------------------------------------------------------------------------------------------
// The sealed fields of access.event.

/// A value of testimony, or the reason why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stated<T> {
    /// The author does not know, and says why.
    Unknown(Reason),
    /// What the author states.
    Value(T),
}

wire_enum! {
    /// Why a field of testimony has no value.
    pub enum Reason {
        /// The source says nothing about it.
        NotStated = 1, "not stated by the source";
        /// There is nothing to say.
        NotApplicable = 2, "not applicable";
        /// The source says something that has no place here; field "source" names the element.
        NotUnderstood = 3, "stated by the source in a form that was not understood";
        /// The source keeps it back.
        Withheld = 4, "withheld by the source";
    }
}

impl<T> Stated<T> {
    /// The value, if there is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Stated::Value(value) => Some(value),
            Stated::Unknown(_) => None,
        }
    }

    /// A value, or "not stated".
    pub fn from_option(value: Option<T>) -> Self {
        value.map_or(Stated::Unknown(Reason::NotStated), Stated::Value)
    }
}

/// `[0, reason]` or `[1, value]`.
impl<T: Wire> Wire for Stated<T> {
    fn write(&self, w: &mut Writer) {
        w.array(2);
        match self {
            Stated::Unknown(reason) => {
                w.u64(0);
                reason.write(w);
            }
            Stated::Value(value) => {
                w.u64(1);
                value.write(w);
            }
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.array(2)?;
        match r.u64_up_to(1, "stated or unknown")? {
            0 => Wire::read(r).map(Stated::Unknown),
            _ => Wire::read(r).map(Stated::Value),
        }
    }
    fn view(&self) -> View {
        match self {
            Stated::Unknown(reason) => View::Fields(alloc::vec![("unknown", reason.view())]),
            Stated::Value(value) => value.view(),
        }
    }
    fn from_given(given: &Given) -> Result<Self, GivenError> {
        match given.fields(&["unknown"]) {
            Ok(named) if named.has("unknown") => {
                named.field("unknown", Wire::from_given).map(Stated::Unknown)
            }
            _ if *given == Given::Nothing => Ok(Stated::Unknown(Reason::NotStated)),
            _ => T::from_given(given).map(Stated::Value),
        }
    }
    fn form() -> Form {
        let unknown = Stated::<T>::Unknown(Reason::NotStated).view();
        let value = T::form();
        Form {
            is: format!("{{\"unknown\": {}}}, or {}", Reason::form().is, value.is),
            sample: unknown,
            ..value
        }
    }
}

impl<T: Describe> Describe for Stated<T> {
    fn describe(&self) -> String {
        match self {
            Stated::Unknown(reason) => format!("unknown ({reason})"),
            Stated::Value(value) => value.describe(),
        }
    }
}

/// A map with small integer keys: optional parts are left out, lists are left out when empty.
macro_rules! wire_map {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( $(#[doc = $doc:expr])* pub $field:ident : $type:ty = $key:literal ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Default)]
        pub struct $name {
            $( $(#[doc = $doc])* pub $field: $type, )*
        }

        impl Wire for $name {
            fn write(&self, w: &mut Writer) {
                w.map(0 $( + usize::from(Part::is_there(&self.$field)) )*);
                $(
                    if Part::is_there(&self.$field) {
                        w.u64($key);
                        Part::write(&self.$field, w);
                    }
                )*
            }
            fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                let keys = [$( $key as u64 ),*];
                let mut out = Self::default();
                let mut previous = None;
                for _ in 0..r.map_up_to(keys.len())? {
                    let at = r.position();
                    let key = r.u64()?;
                    if previous.is_some_and(|previous| previous >= key) {
                        return Err(DecodeError::NotSorted { at });
                    }
                    previous = Some(key);
                    match key {
                        $( $key => out.$field = Part::read(r)?, )*
                        _ => return Err(DecodeError::OutOfBounds { at, what: stringify!($name) }),
                    }
                }
                Ok(out)
            }
            fn view(&self) -> View {
                View::Fields(
                    [$( (stringify!($field), Part::is_there(&self.$field), Part::view(&self.$field)) ),*]
                        .into_iter()
                        .filter(|(_, is_there, _)| *is_there)
                        .map(|(name, _, view)| (name, view))
                        .collect(),
                )
            }
            fn from_given(given: &Given) -> Result<Self, GivenError> {
                let named = given.fields(&[$( stringify!($field) ),*])?;
                Ok(Self { $( $field: named.field(stringify!($field), Wire::from_given)?, )* })
            }
            fn form() -> Form {
                Form::structure(alloc::vec![$( crate::given::Part {
                    name: stringify!($field),
                    doc: &[$( $doc ),*],
                    form: <$type as Wire>::form,
                } ),*])
            }
        }
    };
}

/// A part of a map: it may be left out.
trait Part: Sized {
    fn is_there(&self) -> bool;
    fn write(&self, w: &mut Writer);
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError>;
    fn view(&self) -> View;
}

impl<T: Wire> Part for Option<T> {
    fn is_there(&self) -> bool {
        self.is_some()
    }
    fn write(&self, w: &mut Writer) {
        if let Some(value) = self {
            value.write(w);
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        T::read(r).map(Some)
    }
    fn view(&self) -> View {
        self.as_ref().map_or(View::Absent, Wire::view)
    }
}

impl<T: Wire, const MAX: usize> Part for List<T, MAX> {
    fn is_there(&self) -> bool {
        !self.is_empty()
    }
    fn write(&self, w: &mut Writer) {
        Wire::write(self, w);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = r.position();
        match <Self as Wire>::read(r)? {
            list if list.is_empty() => Err(DecodeError::OutOfBounds { at, what: "an empty list" }),
            list => Ok(list),
        }
    }
    fn view(&self) -> View {
        Wire::view(self)
    }
}

/// A list that is a whole field: at least one value, since nothing to say is [`Stated::Unknown`].
macro_rules! wire_list {
    ($( $(#[$meta:meta])* $name:ident($item:ty, $max:expr); )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name(List<$item, { $max }>);

        impl $name {
            /// The list, unless it is empty or too long.
            #[must_use]
            pub fn new(values: Vec<$item>) -> Option<Self> {
                if values.is_empty() { None } else { List::new(values).map(Self) }
            }
        }

        impl Deref for $name {
            type Target = [$item];
            fn deref(&self) -> &[$item] {
                &self.0
            }
        }

        impl Wire for $name {
            fn write(&self, w: &mut Writer) {
                Wire::write(&self.0, w);
            }
            fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Part::read(r).map(Self)
            }
            fn view(&self) -> View {
                Wire::view(&self.0)
            }
            fn from_given(given: &Given) -> Result<Self, GivenError> {
                match List::from_given(given)? {
                    list if list.is_empty() => Err(GivenError::expected(Self::form().is, given)),
                    list => Ok(Self(list)),
                }
            }
            fn form() -> Form {
                let each = <$item as Wire>::form();
                Form {
                    is: format!("a list of 1 to {}; each {}", { $max }, each.is),
                    sample: View::List(alloc::vec![each.sample]),
                    parts: each.parts,
                    is_optional: false,
                }
            }
        }

        impl Describe for $name {
            fn describe(&self) -> String {
                joined(&self.0, "; ")
            }
        }
    )*};
}

mod life;
mod roster;

pub use life::*;
pub use roster::*;

wire_list! {
    /// Several concepts: categories of data.
    Concepts(Concept, 32);
    /// Several labels.
    Codings(Coding, 64);
    /// Several identifiers: correlation ids.
    Identifiers(Identifier, 16);
    /// Several parties: where the data came from.
    Parties(Party, 32);
    /// Who took part.
    Agents(Agent, MAX_AGENTS);
    /// What was accessed.
    Resources(Resource, MAX_RESOURCES);
    /// What for.
    Purposes(Purpose, 64);
    /// Keys of years, wrapped for whoever may read.
    WrappedKeys(WrappedKey, 16);
}

/// The most agents of one event.
pub const MAX_AGENTS: usize = 64;
/// The most resources of one event.
pub const MAX_RESOURCES: usize = 256;
/// The longest string that a person wrote, in bytes.
pub const MAX_PROSE: usize = 4096;
/// The longest URI, code or reference, in bytes.
pub const MAX_TOKEN: usize = 512;
/// The longest search or command, in bytes.
pub const MAX_QUERY: usize = 16_384;

wire_map! {
    /// What was done.
    pub struct Action {
        /// The word of the vocabulary.
        pub kind: Option<ActionKind> = 1,
        /// FHIR AuditEvent.type: the family of events.
        pub class: Option<Coding> = 2,
        /// FHIR AuditEvent.subtype.
        pub subtypes: List<Coding, 16> = 3,
        /// FHIR AuditEvent.action: C, R, U, D or E.
        pub letter: Option<Token> = 4,
    }
}

wire_enum! {
    /// The actions of the vocabulary.
    pub enum ActionKind {
        /// Looked at.
        Read = 1, "read";
        /// Searched.
        Query = 2, "query";
        /// Written anew.
        Create = 3, "create";
        /// Changed.
        Update = 4, "update";
        /// Deleted.
        Delete = 5, "delete";
        /// Given to somebody outside.
        Export = 6, "export";
        /// Taken from somebody outside.
        Import = 7, "import";
        /// An operation that is none of the others, an authorisation decision among them.
        Execute = 8, "execute";
        /// Emergency access begins.
        StartBreakGlass = 9, "start of break-glass";
        /// Emergency access ends.
        StopBreakGlass = 10, "end of break-glass";
    }
}

impl Describe for Action {
    fn describe(&self) -> String {
        let kind = self.kind.map_or("an unnamed action", ActionKind::word);
        let mut details: Vec<String> =
            self.class.iter().chain(self.subtypes.iter()).map(Describe::describe).collect();
        details.dedup();
        match details.is_empty() {
            true => kind.into(),
            false => format!("{kind} ({})", details.join(", ")),
        }
    }
}

wire_map! {
    /// How it ended.
    pub struct Outcome {
        /// The word of the vocabulary.
        pub kind: Option<OutcomeKind> = 1,
        /// FHIR AuditEvent.outcome: 0, 4, 8 or 12.
        pub code: Option<Token> = 2,
        /// FHIR AuditEvent.outcomeDesc.
        pub description: Option<Prose<MAX_PROSE>> = 3,
    }
}

wire_enum! {
    /// The outcomes of the vocabulary.
    pub enum OutcomeKind {
        /// Access was given.
        Served = 1, "served";
        /// Access was refused.
        Denied = 2, "denied";
        /// Access was given against a refusal, in an emergency.
        Overridden = 3, "overridden";
        /// It did not work.
        Failed = 4, "failed";
    }
}

impl Describe for Outcome {
    fn describe(&self) -> String {
        let kind = self.kind.map_or("an unnamed outcome", OutcomeKind::word);
        match &self.description {
            Some(words) => format!("{kind} (\"{}\")", words.describe()),
            None => kind.into(),
        }
    }
}

wire_map! {
    /// When it happened and when the source wrote it down.
    pub struct When {
        /// When the source recorded it.
        pub recorded: Option<Moment> = 1,
        /// When it began, if the source says so.
        pub start: Option<Moment> = 2,
        /// When it ended, if the source says so.
        pub end: Option<Moment> = 3,
    }
}

impl Describe for When {
    fn describe(&self) -> String {
        let recorded = self.recorded.as_ref().map(|m| format!("recorded by the source {m}"));
        let start = self.start.as_ref().map(|m| format!("from {m}"));
        let end = self.end.as_ref().map(|m| format!("until {m}"));
        let words: Vec<String> = [start, end, recorded].into_iter().flatten().collect();
        words.join(", ")
    }
}

wire_map! {
    /// One purpose, and who stated it.
    pub struct Purpose {
        /// What for.
        pub concept: Option<Concept> = 1,
        /// The agent that stated it, by position in the agents; absent when stated for the event.
        pub agent: Option<u8> = 2,
    }
}

impl Describe for Purpose {
    fn describe(&self) -> String {
        self.concept.describe()
    }
}

wire_map! {
    /// On which ground the source says that it stood.
    pub struct LegalBasis {
        /// Laws or grounds, as codes.
        pub grounds: List<Concept, 16> = 1,
        /// The consents that the source names.
        pub consents: List<Party, 16> = 2,
    }
}

impl Describe for LegalBasis {
    fn describe(&self) -> String {
        let consents = self.consents.iter().map(|party| format!("consent {}", party.describe()));
        let words: Vec<String> = self.grounds.iter().map(Describe::describe).chain(consents).collect();
        words.join("; ")
    }
}

wire_map! {
    /// Somebody or something that took part.
    pub struct Agent {
        /// What it is.
        pub kind: Option<AgentKind> = 1,
        /// How it took part.
        pub part: Option<Concept> = 2,
        /// Its roles in its organisation.
        pub roles: List<Concept, 16> = 3,
        /// Whether it asked for the action.
        pub requestor: Option<bool> = 4,
        /// Who it is.
        pub who: Option<Party> = 5,
        /// The name it is also known by in the source's system.
        pub alternative_id: Option<Prose<MAX_TOKEN>> = 6,
        /// The name that the source gives besides.
        pub name: Option<Prose<MAX_TOKEN>> = 7,
        /// On whose behalf it acted.
        pub on_behalf_of: Option<Party> = 8,
        /// Further identifiers: user name, licence number.
        pub other_ids: List<Identifier, 16> = 9,
        /// How sure its identity was.
        pub assurance: Option<Concept> = 10,
        /// Tokens or policies under which it acted.
        pub policies: List<Token, 16> = 11,
        /// Where it was.
        pub location: Option<Party> = 12,
        /// Its address on the network.
        pub network_address: Option<Prose<MAX_TOKEN>> = 13,
        /// The kind of that address: 1 name, 2 IP, 3 telephone, 4 mail, 5 URI.
        pub network_kind: Option<Token> = 14,
        /// The medium.
        pub media: Option<Coding> = 15,
        /// From the organisation's committed roster to the entry of this person.
        pub roster_path: List<Digest, 64> = 16,
        /// That entry, and its place.
        pub roster: Option<RosterPlace> = 17,
    }
}

wire_enum! {
    /// What an agent is.
    pub enum AgentKind {
        /// A human being.
        Person = 1, "person";
        /// A program.
        Software = 2, "software";
        /// A machine.
        Device = 3, "device";
        /// An organisation.
        Organisation = 4, "organisation";
    }
}

impl Describe for Agent {
    fn describe(&self) -> String {
        let who = match (&self.who, &self.name) {
            (Some(who), _) => who.describe(),
            (None, Some(name)) => name.describe(),
            (None, None) => "somebody unnamed".into(),
        };
        let mut notes: Vec<String> = Vec::new();
        notes.extend(self.kind.map(|kind| kind.word().into()));
        notes.extend(self.part.as_ref().map(Describe::describe));
        notes.extend(self.roles.iter().map(Describe::describe));
        notes.extend(self.on_behalf_of.as_ref().map(|party| format!("on behalf of {}", party.describe())));
        if self.requestor == Some(true) {
            notes.push("asked for it".into());
        }
        match notes.is_empty() {
            true => who,
            false => format!("{who} ({})", notes.join(", ")),
        }
    }
}

wire_map! {
    /// The care relationship that the custodian saw.
    pub struct Relationship {
        /// Which.
        pub kind: Option<RelationshipKind> = 1,
        /// SHA-256 of its evidence.
        pub evidence: Option<Digest> = 2,
    }
}

wire_enum! {
    /// The relationships of the vocabulary.
    pub enum RelationshipKind {
        /// There is none.
        None = 0, "none";
        /// A visit or stay.
        Encounter = 1, "encounter";
        /// A referral.
        Referral = 2, "referral";
        /// An appointment.
        Appointment = 3, "appointment";
        /// The treating team.
        Team = 4, "team";
        /// The patient was there.
        PatientPresent = 5, "patient present";
        /// On-call duty.
        OnCall = 6, "on call";
    }
}

impl Describe for Relationship {
    fn describe(&self) -> String {
        self.kind.map_or("an unnamed relationship", RelationshipKind::word).into()
    }
}

wire_map! {
    /// Something that was accessed, or that the access was about.
    pub struct Resource {
        /// Which.
        pub what: Option<Party> = 1,
        /// Its type.
        pub class: Option<Coding> = 2,
        /// Its role in the event.
        pub role: Option<Coding> = 3,
        /// Where in its life it is.
        pub life_cycle: Option<Coding> = 4,
        /// Its labels.
        pub labels: List<Coding, 16> = 5,
        /// Its name.
        pub name: Option<Prose<MAX_PROSE>> = 6,
        /// A description.
        pub description: Option<Prose<MAX_PROSE>> = 7,
        /// The search or command.
        pub query: Option<Bytes<MAX_QUERY>> = 8,
        /// Further properties.
        pub details: List<Detail, 32> = 9,
    }
}

impl Describe for Resource {
    fn describe(&self) -> String {
        let what = match (&self.what, &self.name) {
            (Some(what), _) => what.describe(),
            (None, Some(name)) => name.describe(),
            (None, None) if self.query.is_some() => "a search".into(),
            (None, None) => "something unnamed".into(),
        };
        let labels = (!self.labels.is_empty()).then(|| format!("labelled {}", joined(&self.labels, ", ")));
        let notes: Vec<String> = self.role.iter().map(Describe::describe).chain(labels).collect();
        match notes.is_empty() {
            true => what,
            false => format!("{what} ({})", notes.join(", ")),
        }
    }
}

wire_struct! {
    /// A named property of a resource.
    pub struct Detail {
        /// Its name.
        pub name: Prose<MAX_TOKEN>,
        /// Whether the value was binary (base64 in the source) rather than text.
        pub binary: bool,
        /// The value.
        pub value: Bytes<MAX_PROSE>,
    }
}

wire_map! {
    /// Why an emergency or an exception was needed.
    pub struct Justification {
        /// As codes.
        pub codes: List<Concept, 8> = 1,
        /// In words.
        pub words: Option<Prose<MAX_PROSE>> = 2,
    }
}

impl Describe for Justification {
    fn describe(&self) -> String {
        let words = self.words.as_ref().map(|words| format!("\"{}\"", words.describe()));
        let all: Vec<String> = self.codes.iter().map(Describe::describe).chain(words).collect();
        all.join("; ")
    }
}

wire_map! {
    /// What was decided about the access, and on which rules.
    pub struct Decision {
        /// The answer.
        pub answer: Option<Answer> = 1,
        /// The rules that decided, in order.
        pub rules: List<RulePath, 32> = 2,
        /// The version of the policy.
        pub policy_version: Option<u64> = 3,
        /// Duties that came with the answer.
        pub obligations: List<Concept, 16> = 4,
    }
}

wire_enum! {
    /// What a decision says.
    pub enum Answer {
        /// Allowed.
        Permit = 1, "permit";
        /// Not allowed.
        Deny = 2, "deny";
        /// Could not be decided.
        Indeterminate = 3, "indeterminate";
    }
}

wire_struct! {
    /// A rule, and the place in it that matched.
    pub struct RulePath {
        /// The item that put the rule.
        pub item: ItemHash,
        /// Absent for the root, else the nested rule's position.
        pub nested: Option<u8>,
    }
}

impl Describe for Decision {
    fn describe(&self) -> String {
        let answer = self.answer.map_or("an unnamed answer", Answer::word);
        match self.rules.len() {
            0 => answer.into(),
            1 => format!("{answer}, by 1 rule"),
            n => format!("{answer}, by {n} rules"),
        }
    }
}

wire_map! {
    /// How many like events this one stands for.
    pub struct Group {
        /// How many.
        pub count: Option<u64> = 1,
        /// The first of them.
        pub start: Option<Moment> = 2,
        /// The last of them.
        pub end: Option<Moment> = 3,
    }
}

impl Describe for Group {
    fn describe(&self) -> String {
        match (self.count, &self.start, &self.end) {
            (Some(1), _, _) => "a single event".into(),
            (Some(n), Some(start), Some(end)) => format!("{n} like events between {start} and {end}"),
            (Some(n), _, _) => format!("{n} like events"),
            (None, _, _) => "an uncounted group".into(),
        }
    }
}

wire_map! {
    /// Where the testimony comes from and how complete it is.
    pub struct Source {
        /// The form that was read.
        pub format: Option<Format> = 1,
        /// The source's own name for the event.
        pub own_id: Option<Token> = 2,
        /// The profiles that the source claims.
        pub profiles: List<Token, 16> = 3,
        /// Elements that a recognised profile demands and the source lacks.
        pub missing: List<Token, 32> = 4,
        /// Elements that the source has and that stand nowhere in this item.
        pub not_carried: List<Token, MAX_NOT_CARRIED> = 5,
        /// Labels of the source document itself, such as test data.
        pub labels: List<Coding, 16> = 6,
        /// Who observed it.
        pub observer: Option<Party> = 7,
        /// Where it was observed.
        pub site: Option<Prose<MAX_PROSE>> = 8,
        /// The kind of observer.
        pub observer_kinds: List<Coding, 16> = 9,
    }
}

/// The most elements that can be listed as not carried; the last one then says "and N more".
pub const MAX_NOT_CARRIED: usize = 64;

wire_enum! {
    /// The form of a source document.
    pub enum Format {
        /// Entered directly.
        Direct = 1, "entered directly";
        /// A FHIR R4 AuditEvent.
        FhirR4AuditEvent = 2, "FHIR R4 AuditEvent";
        /// A FHIR R4 Consent.
        FhirR4Consent = 3, "FHIR R4 Consent";
        /// A FHIR R5 AuditEvent.
        FhirR5AuditEvent = 4, "FHIR R5 AuditEvent";
        /// A FHIR R5 Consent.
        FhirR5Consent = 5, "FHIR R5 Consent";
    }
}

impl Source {
    /// Whether a recognised profile's demands are met.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }
}

impl Describe for Source {
    fn describe(&self) -> String {
        let mut words = Vec::from([match (&self.format, &self.own_id) {
            (Some(format), Some(id)) => format!("{format} {}", id.describe()),
            (Some(format), None) => format.word().into(),
            (None, Some(id)) => id.describe(),
            (None, None) => "an unnamed source".to_string(),
        }]);
        if let [first, ..] = &self.profiles[..] {
            let name = first.rsplit('/').next().unwrap_or(first);
            words.push(format!("profile {}", plain(name)));
        }
        if !self.missing.is_empty() {
            words.push(format!("incomplete: lacks {}", joined(&self.missing, ", ")));
        }
        if !self.not_carried.is_empty() {
            words.push(format!("not carried: {}", joined(&self.not_carried, ", ")));
        }
        words.join("; ")
    }
}

// ---------------------------------------------------------------------------------------------
// The sealed fields of rule.put and trail.open.

wire_enum! {
    /// What a `rule.put` is, under its one outer kind.
    pub enum InnerKind {
        /// A permission is given.
        Grant = 1, "grant";
        /// Another rule takes the place of an earlier one.
        Replace = 2, "replace";
        /// An earlier rule goes on.
        Renew = 3, "renew";
        /// An earlier rule is restricted.
        Narrow = 4, "narrow";
        /// An earlier rule ends by the subject's will.
        Revoke = 5, "revoke";
        /// An earlier rule was entered in error.
        Invalidate = 6, "invalidate";
        /// The subject was asked and refused.
        Refuse = 7, "refuse";
        /// The subject restricts access.
        Restriction = 8, "restriction";
        /// The subject opts out of a use.
        OptOut = 9, "opt-out";
        /// A restriction or opt-out ends.
        Lift = 10, "lift";
        /// Entries are held back from view by an authority.
        ViewSuspend = 11, "view-suspend";
        /// A grantee's trail acknowledges an end.
        Acknowledge = 12, "acknowledge";
        /// The own trail lists another trail of the subject.
        ListsTrail = 13, "lists-trail";
        /// Somebody speaks for the subject: `delegation.grant` of the vocabulary.
        DelegationGrant = 14, "delegation-grant";
        /// Somebody no longer does: `delegation.revoke`; the grant stands in `ends`.
        DelegationRevoke = 15, "delegation-revoke";
        /// The subject's code was renewed: `subject.rekey`.
        Rekey = 16, "rekey";
        /// Another trail is of the same person: `subject.link`.
        Link = 17, "link";
        /// It is not: `subject.unlink`; the link stands in `ends`.
        Unlink = 18, "unlink";
    }
}

impl Describe for InnerKind {
    fn describe(&self) -> String {
        self.word().into()
    }
}

/// What a `rule.put` says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // Short-lived; a box costs more than it saves.
pub enum RuleBody {
    /// Nothing besides the inner kind: what ends stands in the clear field `ends`.
    Nothing,
    /// A rule.
    Rule(Rule),
    /// Another trail of the subject.
    ListsTrail(ListedTrail),
    /// Somebody speaks for the subject.
    Delegation(Delegation),
    /// The subject's code was renewed.
    Rekey(Rekey),
    /// Another trail is of the same person.
    Link(Linked),
}

/// `[0]`, `[1, rule]`, `[2, listed trail]`, `[3, delegation]`, `[4, rekey]` or `[5, linked]`.
impl Wire for RuleBody {
    fn write(&self, w: &mut Writer) {
        match self {
            RuleBody::Nothing => {
                w.array(1);
                w.u64(0);
            }
            RuleBody::Rule(rule) => {
                w.array(2);
                w.u64(1);
                rule.write(w);
            }
            RuleBody::ListsTrail(trail) => {
                w.array(2);
                w.u64(2);
                trail.write(w);
            }
            RuleBody::Delegation(delegation) => {
                w.array(2);
                w.u64(3);
                delegation.write(w);
            }
            RuleBody::Rekey(rekey) => {
                w.array(2);
                w.u64(4);
                rekey.write(w);
            }
            RuleBody::Link(linked) => {
                w.array(2);
                w.u64(5);
                linked.write(w);
            }
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = r.position();
        let len = r.array_up_to(2)?;
        match (r.u64()?, len) {
            (0, 1) => Ok(RuleBody::Nothing),
            (1, 2) => Wire::read(r).map(RuleBody::Rule),
            (2, 2) => Wire::read(r).map(RuleBody::ListsTrail),
            (3, 2) => Wire::read(r).map(RuleBody::Delegation),
            (4, 2) => Wire::read(r).map(RuleBody::Rekey),
            (5, 2) => Wire::read(r).map(RuleBody::Link),
            _ => Err(DecodeError::OutOfBounds { at, what: "rule body" }),
        }
    }
    fn view(&self) -> View {
        match self {
            RuleBody::Nothing => View::Absent,
            RuleBody::Rule(rule) => rule.view(),
            RuleBody::ListsTrail(trail) => trail.view(),
            RuleBody::Delegation(delegation) => View::Fields(alloc::vec![("delegation", delegation.view())]),
            RuleBody::Rekey(rekey) => View::Fields(alloc::vec![("rekey", rekey.view())]),
            RuleBody::Link(linked) => View::Fields(alloc::vec![("link", linked.view())]),
        }
    }
    fn from_given(given: &Given) -> Result<Self, GivenError> {
        match given {
            Given::Nothing => Ok(RuleBody::Nothing),
            Given::Fields(fields) => {
                // Told apart by a name that stands in no other.
                let named =
                    |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
                let within = |name: &'static str| move |error: GivenError| error.within(name);
                if let Some(value) = named("delegation") {
                    Wire::from_given(value).map(RuleBody::Delegation).map_err(within("delegation"))
                } else if let Some(value) = named("rekey") {
                    Wire::from_given(value).map(RuleBody::Rekey).map_err(within("rekey"))
                } else if let Some(value) = named("link") {
                    Wire::from_given(value).map(RuleBody::Link).map_err(within("link"))
                } else if named("local_id").is_some() {
                    Wire::from_given(given).map(RuleBody::ListsTrail)
                } else {
                    Wire::from_given(given).map(RuleBody::Rule)
                }
            }
            given => Wire::from_given(given).map(RuleBody::Rule),
        }
    }
    fn form() -> Form {
        let rule = Rule::form();
        let named = |what: &str, form: Form| {
            let names: Vec<&str> = form.parts.iter().map(|part| part.name).collect();
            format!("{what} ({})", names.join(", "))
        };
        let is = format!(
            "nothing, or a rule, or {}, {}, {} or {}",
            named("a listed trail", ListedTrail::form()),
            named("`delegation`", Delegation::form()),
            named("`rekey`", Rekey::form()),
            named("`link`", Linked::form()),
        );
        Form { is, sample: View::Absent, is_optional: true, ..rule }
    }
}

impl Describe for RuleBody {
    fn describe(&self) -> String {
        match self {
            RuleBody::Nothing => "nothing further".into(),
            RuleBody::Rule(rule) => rule.describe(),
            RuleBody::ListsTrail(trail) => trail.describe(),
            RuleBody::Delegation(delegation) => delegation.describe(),
            RuleBody::Rekey(rekey) => rekey.describe(),
            RuleBody::Link(linked) => linked.describe(),
        }
    }
}

wire_struct! {
    /// A trail that the custodian opened for the same subject.
    pub struct ListedTrail {
        /// Whose accesses it lists; absent for the subject's own trail of another year.
        pub grantee: Option<ParticipantId>,
        /// Its calendar year.
        pub epoch: u16,
        /// Its local id.
        pub local_id: Digest,
    }
}

impl Describe for ListedTrail {
    fn describe(&self) -> String {
        match &self.grantee {
            Some(grantee) => format!("the trail of accesses by {grantee} in {}", self.epoch),
            None => format!("the own trail of {}", self.epoch),
        }
    }
}

wire_struct! {
    /// The secret of one year ([`crate::subject::EpochSecret`]), encrypted.
    pub struct WrappedKey {
        /// The calendar year.
        pub year: u16,
        /// The key for which it is encrypted.
        pub recipient: KeyId,
        /// The encapsulated key and the ciphertext.
        pub ciphertext: Bytes<256>,
    }
}

impl Describe for WrappedKey {
    fn describe(&self) -> String {
        format!("the key of {}, encrypted", self.year)
    }
}

wire_map! {
    /// What a finding or a dispute is about.
    pub struct Pointer {
        /// The local id of the subject's trail.
        pub local_id: Option<Digest> = 1,
        /// The items in question.
        pub items: List<ItemHash, 32> = 2,
    }
}

wire_struct! {
    /// The subject's own trail: the way back from a grantee's trail.
    pub struct OwnTrail {
        /// Its calendar year.
        pub epoch: u16,
        /// Its local id.
        pub local_id: Digest,
    }
}

impl Describe for Pointer {
    fn describe(&self) -> String {
        match (&self.local_id, self.items.len()) {
            (Some(_), 0) => "a subject's trail".into(),
            (Some(_), items) => format!("{items} items of a subject's trail"),
            (None, items) => format!("{items} items"),
        }
    }
}

impl Describe for OwnTrail {
    fn describe(&self) -> String {
        format!("the subject's own trail of {}", self.epoch)
    }
}

wire_map! {
    /// A subject's rule: a root and one level below it.
    pub struct Rule {
        /// The root. Its effect is always there.
        pub root: Option<Provision> = 1,
        /// The nested rules.
        pub nested: List<Provision, 64> = 2,
        /// What the consent is about: privacy, research, treatment.
        pub scope: Option<Concept> = 3,
        /// The kind of consent document.
        pub categories: List<Concept, 16> = 4,
        /// Policies by address, each with its authority.
        pub policies: List<Policy, 16> = 5,
        /// A policy by code.
        pub policy_rule: Option<Concept> = 6,
        /// Whose rule it is.
        pub subject: Option<Party> = 7,
        /// Who agreed: the subject, or somebody for them.
        pub performers: List<Party, 16> = 8,
        /// The organisations that manage it.
        pub organisations: List<Party, 16> = 9,
        /// When the subject agreed, as claimed.
        pub agreed: Option<Moment> = 10,
    }
}

impl Describe for Rule {
    fn describe(&self) -> String {
        let root = self.root.as_ref().map_or_else(|| "an empty rule".into(), Describe::describe);
        let nested = self.nested.iter().map(|rule| format!("except {}", rule.describe()));
        let all: Vec<String> = core::iter::once(root).chain(nested).collect();
        all.join("; ")
    }
}

wire_struct! {
    /// A policy by address.
    pub struct Policy {
        /// Who enforces it.
        pub authority: Option<Token>,
        /// Where it stands.
        pub uri: Option<Token>,
    }
}

wire_map! {
    /// One rule: elements are joined by AND, members of one element by OR, absent is no constraint.
    pub struct Provision {
        /// Permit or deny; a nested rule without one has the inverse of the root's.
        pub effect: Option<Effect> = 1,
        /// When it holds.
        pub period: Option<Span> = 2,
        /// For whom.
        pub actors: List<Actor, 32> = 3,
        /// For which actions.
        pub actions: List<Concept, 32> = 4,
        /// For which labels of data.
        pub labels: List<Coding, 32> = 5,
        /// For which purposes.
        pub purposes: List<Coding, 32> = 6,
        /// For which classes of content.
        pub classes: List<Coding, 32> = 7,
        /// For which codes in the content.
        pub codes: List<Concept, 32> = 8,
        /// For data of which time.
        pub data_period: Option<Span> = 9,
        /// For which data.
        pub data: List<DataReference, 64> = 10,
    }
}

wire_enum! {
    /// What a rule does.
    pub enum Effect {
        /// Allows.
        Permit = 1, "permit";
        /// Forbids.
        Deny = 2, "deny";
    }
}

impl Describe for Provision {
    fn describe(&self) -> String {
        let mut words = Vec::from([self.effect.map_or("the opposite", Effect::word).to_string()]);
        let mut add = |name: &str, list: String| {
            if !list.is_empty() {
                words.push(format!("{name} {list}"));
            }
        };
        add("for", joined(&self.purposes, " or "));
        add("to", joined(&self.actors, " or "));
        add("doing", joined(&self.actions, " or "));
        add("data labelled", joined(&self.labels, " or "));
        add("of class", joined(&self.classes, " or "));
        add("with code", joined(&self.codes, " or "));
        add("data:", joined(&self.data, " or "));
        add("data of", self.data_period.iter().map(Describe::describe).collect());
        add("valid", self.period.iter().map(Describe::describe).collect());
        words.join(", ")
    }
}

wire_map! {
    /// For whom a rule is.
    pub struct Actor {
        /// In which role.
        pub role: Option<Concept> = 1,
        /// Who.
        pub who: Option<Party> = 2,
    }
}

impl Describe for Actor {
    fn describe(&self) -> String {
        self.who.as_ref().map_or_else(|| self.role.describe(), Describe::describe)
    }
}

wire_struct! {
    /// Data that a rule names.
    pub struct DataReference {
        /// How the reference selects data.
        pub meaning: Meaning,
        /// The reference.
        pub what: Party,
    }
}

wire_enum! {
    /// How a reference selects data (FHIR consent-data-meaning).
    pub enum Meaning {
        /// The thing itself.
        Instance = 1, "instance";
        /// The thing and what relates to it.
        Related = 2, "related";
        /// The thing and what depends on it.
        Dependents = 3, "dependents";
        /// What this party wrote.
        AuthoredBy = 4, "authoredby";
    }
}

impl Describe for DataReference {
    fn describe(&self) -> String {
        let what = self.what.describe();
        match self.meaning {
            Meaning::Instance => what,
            Meaning::Related => format!("what relates to {what}"),
            Meaning::Dependents => format!("what depends on {what}"),
            Meaning::AuthoredBy => format!("what {what} wrote"),
        }
    }
}

wire_map! {
    /// How the custodian knows the subject's will.
    pub struct Evidence {
        /// SHA-256 of the source document's content, when it was at hand.
        pub source_hash: Option<Digest> = 1,
        /// Where the source document is.
        pub source: Option<Party> = 2,
        /// Its title.
        pub title: Option<Prose<MAX_PROSE>> = 3,
        /// Its media type.
        pub media_type: Option<Token> = 4,
        /// Where its content is, if not at hand.
        pub url: Option<Token> = 5,
        /// Verifications with the subject or their family.
        pub verifications: List<Verification, 16> = 6,
        /// The form that was read, and its own name.
        pub record: Option<Source> = 7,
        /// The element that says how it was collected; absent when the custodian's setting says so.
        pub collected_by_element: Option<Token> = 8,
        /// The source's own state of the rule (FHIR Consent.status).
        pub status: Option<Token> = 9,
        /// The source document's own identifiers.
        pub identifiers: List<Identifier, 16> = 10,
    }
}

impl Describe for Evidence {
    fn describe(&self) -> String {
        let hash = self.source_hash.as_ref().map(|hash| format!("content with SHA-256 {hash}"));
        let source = self.source.as_ref().map(|source| format!("source {}", source.describe()));
        let record = self.record.as_ref().map(Describe::describe);
        let verified = self.verifications.iter().filter(|v| v.verified).count();
        let verified =
            (verified > 0).then(|| format!("verified {verified} times with the subject or family"));
        let words: Vec<String> = [record, source, hash, verified].into_iter().flatten().collect();
        match words.is_empty() {
            true => "none".into(),
            false => words.join("; "),
        }
    }
}

wire_struct! {
    /// A check of the rule with the subject or their family.
    pub struct Verification {
        /// Whether it was confirmed.
        pub verified: bool,
        /// With whom.
        pub with: Option<Party>,
        /// When.
        pub date: Option<Moment>,
    }
}

// ---------------------------------------------------------------------------------------------
// The values that these are made of.

/// Code systems with a short number: 1 for the first. Number 0 is "no system stated".
///
/// # Correctness
/// Entries are only ever added at the end: sealed values of the past are read by position.
pub const CODE_SYSTEMS: &[&str] = &[
    "http://terminology.hl7.org/CodeSystem/v3-ActReason",
    "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
    "http://terminology.hl7.org/CodeSystem/v3-ActCode",
    "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
    "http://terminology.hl7.org/CodeSystem/v3-RoleClass",
    "http://dicom.nema.org/resources/ontology/DCM",
    "http://loinc.org",
    "http://snomed.info/sct",
    "http://hl7.org/fhir/restful-interaction",
    "http://terminology.hl7.org/CodeSystem/audit-event-type",
    "http://terminology.hl7.org/CodeSystem/audit-entity-type",
    "http://terminology.hl7.org/CodeSystem/object-role",
    "http://terminology.hl7.org/CodeSystem/security-source-type",
    "http://terminology.hl7.org/CodeSystem/extra-security-role-type",
    "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle",
    "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
    "http://hl7.org/fhir/resource-types",
    "http://terminology.hl7.org/CodeSystem/consentscope",
    "http://terminology.hl7.org/CodeSystem/consentaction",
    "http://terminology.hl7.org/CodeSystem/consentcategorycodes",
    "http://terminology.hl7.org/CodeSystem/v2-0203",
    "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "http://terminology.hl7.org/CodeSystem/v3-RoleCode",
    "https://profiles.ihe.net/ITI/BALP/CodeSystem/UserAgentTypes",
    "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType",
    "https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType",
    "https://profiles.ihe.net/ITI/BALP/CodeSystem/OtherIdentifierTypes",
];

/// A code, address or identifier of machines: at most 512 bytes without control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Token(Text<MAX_TOKEN>);

impl Token {
    /// The token, unless it is empty, too long or has a control character.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        if text.is_empty() { None } else { Text::new(text).map(Self) }
    }
}

impl Deref for Token {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Wire for Token {
    fn write(&self, w: &mut Writer) {
        self.0.write(w);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = r.position();
        Self::new(r.utf8(MAX_TOKEN)?).ok_or(DecodeError::OutOfBounds { at, what: "an empty text" })
    }
    fn view(&self) -> View {
        self.0.view()
    }
    fn from_given(given: &Given) -> Result<Self, GivenError> {
        given.parse(&Self::form().is, Self::new)
    }
    fn form() -> Form {
        Form::of(format!("text of 1 to {MAX_TOKEN} bytes without line breaks"), View::Text("code".into()))
    }
}

impl Describe for Token {
    fn describe(&self) -> String {
        plain(self)
    }
}

/// What a person wrote: at most `MAX` bytes of UTF-8, line breaks allowed; a byte string on the wire.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Prose<const MAX: usize>(String);

impl<const MAX: usize> Prose<MAX> {
    /// The text, unless it is empty or too long.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty() && text.len() <= MAX).then(|| Self(text.into()))
    }
}

impl<const MAX: usize> Deref for Prose<MAX> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> Wire for Prose<MAX> {
    fn write(&self, w: &mut Writer) {
        w.bytes(self.0.as_bytes());
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = r.position();
        core::str::from_utf8(r.bytes(MAX)?)
            .ok()
            .and_then(Self::new)
            .ok_or(DecodeError::OutOfBounds { at, what: "prose" })
    }
    fn view(&self) -> View {
        View::Text(self.0.clone())
    }
    fn from_given(given: &Given) -> Result<Self, GivenError> {
        given.parse(&Self::form().is, Self::new)
    }
    fn form() -> Form {
        Form::of(format!("text of 1 to {MAX} bytes"), View::Text("words".into()))
    }
}

impl<const MAX: usize> Describe for Prose<MAX> {
    fn describe(&self) -> String {
        plain(self)
    }
}

/// A code with its system: `[system, code]` or `[system, code, display]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coding {
    /// The system's URI, if stated.
    pub system: Option<Token>,
    /// The code.
    pub code: Token,
    /// The words that the source gives for it.
    pub display: Option<Prose<MAX_TOKEN>>,
}

impl Coding {
    /// Whether this is `code` of `system`.
    #[must_use]
    pub fn is(&self, system: &str, code: &str) -> bool {
        self.system.as_deref() == Some(system) && &*self.code == code
    }
}

impl Wire for Coding {
    fn write(&self, w: &mut Writer) {
        w.array(2 + usize::from(self.display.is_some()));
        match &self.system {
            None => w.u64(0),
            Some(system) => match (1u64..).zip(CODE_SYSTEMS).find(|(_, known)| **known == &**system) {
                Some((number, _)) => w.u64(number),
                None => system.write(w),
            },
        }
        self.code.write(w);
        if let Some(display) = &self.display {
            display.write(w);
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = r.position();
        let len = r.array_up_to(3)?;
        let out = Self {
            system: read_system(r)?,
            code: Wire::read(r)?,
            display: if len == 3 { Some(Wire::read(r)?) } else { None },
        };
        if len < 2 { Err(DecodeError::OutOfBounds { at, what: "coding" }) } else { Ok(out) }
    }
    fn view(&self) -> View {
        let mut fields = Vec::new();
        fields.extend(self.system.as_ref().map(|system| ("system", system.view())));
        fields.push(("code", self.code.view()));
        fields.extend(self.display.as_ref().map(|display| ("display", display.view())));
        View::Fields(fields)
    }
    fn from_given(given: &Given) -> Result<Self, GivenError> {
        let named = given.fields(&["system", "code", "display"])?;
        Ok(Self {
            system: named.field("system", Wire::from_given)?,
            code: named.field("code", Wire::from_given)?,
            display: named.field("display", Wire::from_given)?,
        })
    }
    fn form() -> Form {
        Form::structure(alloc::vec![
            crate::given::Part {
                name: "system",
                doc: &["The system's URI, if stated."],
                form: Option::<Token>::form
            },
            crate::given::Part { name: "code", doc: &["The code."], form: Token::form },
            crate::given::Part {
                name: "display",
                doc: &["Its words."],
                form: Option::<Prose<MAX_TOKEN>>::form
            },
        ])
    }
}

/// 0, a number of the table, or the text of a system that is not in the table.
fn read_system(r: &mut Reader<'_>) -> Result<Option<Token>, DecodeError> {
    let at = r.position();
    if let Ok(number) = r.clone().u64() {
        r.u64()?;
        return match number.checked_sub(1) {
            None => Ok(None),
            Some(index) => usize::try_from(index)
                .ok()
                .and_then(|index| CODE_SYSTEMS.get(index))
                .and_then(|system| Token::new(system))
                .map(Some)
                .ok_or(DecodeError::OutOfBounds { at, what: "code system number" }),
        };
    }
    let system = Token::read(r)?;
    match CODE_SYSTEMS.contains(&&*system) {
        true => Err(DecodeError::NotShortest { at }),
        false => Ok(Some(system)),
    }
}

impl Describe for Coding {
    fn describe(&self) -> String {
        match &self.display {
            Some(display) => display.describe(),
            None => self.code.describe(),
        }
    }
}

wire_map! {
    /// One meaning, in several codes and in words.
    pub struct Concept {
        /// The codes.
        pub codings: List<Coding, 16> = 1,
        /// The words.
        pub text: Option<Prose<MAX_PROSE>> = 2,
    }
}

impl Concept {
    /// Whether one of its codes is `code` of `system`.
    #[must_use]
    pub fn has(&self, system: &str, code: &str) -> bool {
        self.codings.iter().any(|coding| coding.is(system, code))
    }
}

impl Describe for Concept {
    fn describe(&self) -> String {
        match (&self.text, self.codings.first()) {
            (Some(text), _) => text.describe(),
            (None, Some(coding)) => coding.describe(),
            (None, None) => "unnamed".into(),
        }
    }
}

impl<T: Describe> Describe for Option<T> {
    fn describe(&self) -> String {
        self.as_ref().map_or_else(|| "none".into(), Describe::describe)
    }
}

wire_map! {
    /// A name within a system of names.
    pub struct Identifier {
        /// The system.
        pub system: Option<Token> = 1,
        /// The name.
        pub value: Option<Prose<MAX_TOKEN>> = 2,
        /// The kind of name.
        pub kind: Option<Concept> = 3,
        /// What it is used for.
        pub usage: Option<Token> = 4,
    }
}

impl Describe for Identifier {
    fn describe(&self) -> String {
        self.value.describe()
    }
}

wire_map! {
    /// A person, organisation, device or document, as the source refers to it.
    pub struct Party {
        /// By address: `Practitioner/17`.
        pub reference: Option<Token> = 1,
        /// Its type.
        pub class: Option<Token> = 2,
        /// By identifier.
        pub identifier: Option<Identifier> = 3,
        /// In words.
        pub display: Option<Prose<MAX_PROSE>> = 4,
    }
}

impl Party {
    /// The type of thing that it refers to, from `type` or from the address.
    #[must_use]
    pub fn resource_type(&self) -> Option<&str> {
        self.class.as_deref().or_else(|| {
            let address = self.reference.as_deref()?;
            let address = address.split("/_history/").next()?;
            let (path, _) = address.rsplit_once('/')?;
            let name = path.rsplit('/').next()?;
            name.starts_with(|c: char| c.is_ascii_uppercase()).then_some(name)
        })
    }
}

impl Describe for Party {
    fn describe(&self) -> String {
        match (&self.display, &self.reference, &self.identifier) {
            (Some(display), _, _) => display.describe(),
            (None, Some(reference), _) => reference.describe(),
            (None, None, Some(identifier)) => identifier.describe(),
            (None, None, None) => "somebody unnamed".into(),
        }
    }
}

wire_struct! {
    /// From one moment to another, both included to their precision.
    pub struct Span {
        /// From; absent is always before.
        pub start: Option<Moment>,
        /// To; absent is always after.
        pub end: Option<Moment>,
    }
}

impl Describe for Span {
    fn describe(&self) -> String {
        match (&self.start, &self.end) {
            (Some(start), Some(end)) => format!("from {start} to {end}"),
            (Some(start), None) => format!("from {start}"),
            (None, Some(end)) => format!("until {end}"),
            (None, None) => "at any time".into(),
        }
    }
}

/// A FHIR `date`, `dateTime` or `instant`, as the source spells it: `2022`, `2022-06`, `2022-06-13`,
/// or with a time and zone. Years 0001 to 9999.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Moment {
    text: String,
    first_ms: i64,
    last_ms: i64,
}

impl Moment {
    /// The longest spelling, in bytes.
    pub const MAX: usize = 40;

    /// The moment, unless the text is not one.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let (first_ms, last_ms) = moment::bounds(text)?;
        Some(Self { text: text.into(), first_ms, last_ms })
    }

    /// As the source spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first millisecond that it can mean (Unix, UTC unless it states a zone).
    #[must_use]
    pub const fn first_ms(&self) -> i64 {
        self.first_ms
    }

    /// The last millisecond that it can mean.
    #[must_use]
    pub const fn last_ms(&self) -> i64 {
        self.last_ms
    }

    /// Whether it states a time of day (and therefore a zone).
    #[must_use]
    pub fn has_time(&self) -> bool {
        self.text.contains('T')
    }
}

impl core::fmt::Display for Moment {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.text)
    }
}

impl Wire for Moment {
    fn write(&self, w: &mut Writer) {
        w.text(&self.text);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = r.position();
        Self::new(r.ascii(Self::MAX)?).ok_or(DecodeError::OutOfBounds { at, what: "date or time" })
    }
    fn view(&self) -> View {
        View::Text(self.text.clone())
    }
    fn from_given(given: &Given) -> Result<Self, GivenError> {
        given.parse(&Self::form().is, Self::new)
    }
    fn form() -> Form {
        Form::of("a FHIR date or time", View::Text("2030-01-01".into()))
    }
}

/// The grammar of FHIR's dates, and what they can mean.
mod moment {
    const MS_PER_DAY: i64 = 86_400_000;

    /// First and last millisecond of a FHIR date or time.
    pub(super) fn bounds(text: &str) -> Option<(i64, i64)> {
        if text.len() > super::Moment::MAX || !text.is_ascii() {
            return None;
        }
        let Some((date, time)) = text.split_once('T') else {
            let (first, last) = days(text)?;
            return Some((first * MS_PER_DAY, (last + 1) * MS_PER_DAY - 1));
        };
        let (day, last) = days(date)?;
        if date.len() != 10 || day != last {
            return None;
        }
        let (clock, offset_ms) = zone(time)?;
        let (first, last) = milliseconds(clock)?;
        let start = day * MS_PER_DAY - offset_ms;
        Some((start + first, start + last))
    }

    /// First and last day since 1970-01-01 of `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
    fn days(date: &str) -> Option<(i64, i64)> {
        let mut parts = date.split('-');
        let year = number(parts.next()?, 4, 1, 9999)?;
        let month = parts.next().map(|m| number(m, 2, 1, 12).ok_or(())).transpose().ok()?;
        let day = parts.next().map(|d| number(d, 2, 1, 31).ok_or(())).transpose().ok()?;
        if parts.next().is_some() {
            return None;
        }
        match (month, day) {
            (None, _) => Some((from_civil(year, 1, 1), from_civil(year, 12, 31))),
            (Some(month), None) => {
                Some((from_civil(year, month, 1), from_civil(year, month, length(year, month))))
            }
            (Some(month), Some(day)) if day <= length(year, month) => {
                let day = from_civil(year, month, day);
                Some((day, day))
            }
            _ => None,
        }
    }

    /// The clock part and the zone's offset of `hh:mm:ss[.f]Z` or `...±hh:mm`.
    fn zone(time: &str) -> Option<(&str, i64)> {
        if let Some(clock) = time.strip_suffix('Z') {
            return Some((clock, 0));
        }
        let (clock, offset) = time.split_at_checked(time.len().checked_sub(6)?)?;
        let (sign, offset) = match offset.split_at_checked(1)? {
            ("+", rest) => (1, rest),
            ("-", rest) => (-1, rest),
            _ => return None,
        };
        let (hours, minutes) = offset.split_once(':')?;
        let hours = number(hours, 2, 0, 14)?;
        let minutes = number(minutes, 2, 0, 59)?;
        if hours == 14 && minutes > 0 {
            return None;
        }
        Some((clock, sign * (hours * 60 + minutes) * 60_000))
    }

    /// First and last millisecond of the day of `hh:mm:ss[.f]`; a leap second counts as the one before.
    fn milliseconds(clock: &str) -> Option<(i64, i64)> {
        let (whole, fraction) = match clock.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (clock, None),
        };
        let mut parts = whole.split(':');
        let hour = number(parts.next()?, 2, 0, 23)?;
        let minute = number(parts.next()?, 2, 0, 59)?;
        let second = number(parts.next()?, 2, 0, 60)?.min(59);
        if parts.next().is_some() {
            return None;
        }
        let start = ((hour * 60 + minute) * 60 + second) * 1_000;
        let Some(fraction) = fraction else {
            return Some((start, start + 999));
        };
        if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let digits = |pad: u8| -> i64 {
            (0..3).fold(0, |ms, i| {
                ms * 10 + i64::from(fraction.as_bytes().get(i).copied().unwrap_or(pad) - b'0')
            })
        };
        Some((start + digits(b'0'), start + digits(b'9')))
    }

    fn number(digits: &str, len: usize, min: i64, max: i64) -> Option<i64> {
        if digits.len() != len || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        digits.parse().ok().filter(|n| (min..=max).contains(n))
    }

    fn length(year: i64, month: i64) -> i64 {
        match month {
            4 | 6 | 9 | 11 => 30,
            2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
            2 => 28,
            _ => 31,
        }
    }

    /// Days since 1970-01-01 in the proleptic Gregorian calendar.
    fn from_civil(year: i64, month: i64, day: i64) -> i64 {
        // Years that begin on 1 March put the leap day at the end of the year.
        let year = if month <= 2 { year - 1 } else { year };
        let month = if month <= 2 { month + 9 } else { month - 3 };
        let day_of_year = (153 * month + 2) / 5 + day - 1;
        365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
    }
}

/// Words of a list, joined.
fn joined<T: Describe>(list: &[T], with: &str) -> String {
    let words: Vec<String> = list.iter().map(Describe::describe).collect();
    words.join(with)
}

/// Text that cannot move a reader's cursor: control and direction-changing characters become spaces.
fn plain(text: &str) -> String {
    let moves = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if moves(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn coding(system: &str, code: &str) -> Coding {
        Coding { system: Token::new(system), code: Token::new(code).unwrap(), display: None }
    }

    #[test]
    fn a_known_code_system_has_one_spelling() {
        let known = coding(CODE_SYSTEMS[0], "TREAT");
        assert_eq!(known.to_bytes(), [0x82, 0x01, 0x65, b'T', b'R', b'E', b'A', b'T']);
        assert_eq!(Coding::from_bytes(&known.to_bytes()), Ok(known));
        let mut long = Writer::new();
        long.array(2);
        long.text(CODE_SYSTEMS[0]);
        long.text("TREAT");
        assert_eq!(Coding::from_bytes(&long.into_bytes()), Err(DecodeError::NotShortest { at: 1 }));
        let none = Coding { system: None, ..coding("x", "A") };
        assert_eq!(Coding::from_bytes(&none.to_bytes()), Ok(none));
        let other = coding("urn:oid:1.2", "A");
        assert_eq!(Coding::from_bytes(&other.to_bytes()), Ok(other));
        assert!(Coding::from_bytes(&[0x82, 0x18, 0xff, 0x61, b'A']).is_err());
    }

    #[test]
    fn code_systems_are_different() {
        for (i, system) in CODE_SYSTEMS.iter().enumerate() {
            assert!(!CODE_SYSTEMS[..i].contains(system), "{system}");
        }
    }

    #[test]
    fn maps_refuse_unknown_repeated_unsorted_and_empty_parts() {
        let refused: [&[u8]; 4] = [
            &[0xa1, 0x18, 0x63, 0x00],             // no such key
            &[0xa2, 0x01, 0x01, 0x01, 0x01],       // repeated
            &[0xa2, 0x04, 0x61, b'R', 0x01, 0x01], // unsorted
            &[0xa1, 0x03, 0x80],                   // an empty list
        ];
        for bytes in refused {
            assert!(Action::from_bytes(bytes).is_err(), "{bytes:02x?}");
        }
        assert!(Action::from_bytes(&[0xa2, 0x01, 0x01, 0x04, 0x61, b'R']).is_ok());
    }

    #[test]
    fn stated_is_a_value_or_a_reason() {
        let value: Stated<ActionKind> = Stated::Value(ActionKind::Read);
        let unknown: Stated<ActionKind> = Stated::Unknown(Reason::NotStated);
        assert_eq!(value.to_bytes(), [0x82, 1, 1]);
        assert_eq!(unknown.to_bytes(), [0x82, 0, 1]);
        assert_eq!(Stated::from_bytes(&[0x82, 0, 1]), Ok(unknown));
        assert_eq!(Stated::from_bytes(&[0x82, 1, 1]), Ok(value));
        assert!(Stated::<ActionKind>::from_bytes(&[0x82, 2, 1]).is_err());
    }

    #[test]
    fn moments_mean_what_the_calendar_says() {
        // First and last second from `date -u -d TEXT +%s`.
        for (text, first, last) in [
            ("2022", 1_640_995_200_000, 1_672_531_199_999),
            ("2024-02", 1_706_745_600_000, 1_709_251_199_999),
            ("2022-06-13", 1_655_078_400_000, 1_655_164_799_999),
            ("2021-12-27T09:49:00.000Z", 1_640_598_540_000, 1_640_598_540_000),
            ("2004-12-25T23:50:50-05:00", 1_104_036_650_000, 1_104_036_650_999),
            ("2004-12-25T23:50:50.5+05:30", 1_103_998_850_500, 1_103_998_850_599),
            ("1969-12-31", -86_400_000, -1),
            ("1600-02-29", -11_670_998_400_000, -11_670_912_000_001),
            ("2016-12-31T23:59:60Z", 1_483_228_799_000, 1_483_228_799_999),
        ] {
            let moment = Moment::new(text).unwrap();
            assert_eq!((moment.first_ms(), moment.last_ms()), (first, last), "{text}");
            assert_eq!(Moment::from_bytes(&moment.to_bytes()), Ok(moment));
        }
    }

    #[test]
    fn absurd_moments_are_refused() {
        for text in [
            "",
            "0000",
            "10000-01-01",
            "2022-13",
            "2022-00-10",
            "2023-02-29",
            "1900-02-29",
            "2022-6-13",
            "2022-06-13T10:00Z",
            "2022-06-13T10:00:00",
            "2022-06-13T24:00:00Z",
            "2022-06-13T10:61:00Z",
            "2022-06-13T10:00:00.Z",
            "2022-06-13T10:00:00+15:00",
            "2022-06-13T10:00:00+14:30",
            "2022-06T10:00:00Z",
            "T",
            "+022-06-13",
            "2022-06-13T",
            "2022-06-13T10:00:00.0000000001Z",
            "２０２２",
            "2022-06-13 10:00:00Z",
            "2022-06-13T10:00:00ZZ",
            "2022-",
            "--",
        ] {
            assert_eq!(Moment::new(text), None, "{text}");
        }
    }

    #[test]
    fn words_cannot_move_the_readers_cursor() {
        let prose = Prose::<64>::new("a\u{1b}[2Jb\nc\u{202e}d").unwrap();
        assert_eq!(prose.describe(), "a [2Jb c d");
    }

    #[test]
    fn a_rule_reads_as_a_person_would_say_it() {
        let rule = Rule {
            root: Some(Provision {
                effect: Some(Effect::Permit),
                purposes: List::new(vec![
                    coding(CODE_SYSTEMS[0], "TREAT"),
                    coding(CODE_SYSTEMS[0], "HPAYMT"),
                ])
                .unwrap(),
                ..Provision::default()
            }),
            nested: List::new(vec![Provision {
                effect: Some(Effect::Deny),
                data: List::new(vec![DataReference {
                    meaning: Meaning::AuthoredBy,
                    what: Party { reference: Token::new("Practitioner/17"), ..Party::default() },
                }])
                .unwrap(),
                ..Provision::default()
            }])
            .unwrap(),
            ..Rule::default()
        };
        let body = RuleBody::Rule(rule);
        assert_eq!(
            body.describe(),
            "permit, for TREAT or HPAYMT; except deny, data: what Practitioner/17 wrote"
        );
        assert_eq!(RuleBody::from_bytes(&body.to_bytes()), Ok(body.clone()));
        assert_eq!(describe(Kind::RulePut, 2, &body.to_bytes()).unwrap(), body.describe());
    }

    #[test]
    fn every_sealed_field_of_every_kind_has_a_type() {
        for kind in Kind::ALL {
            for field in 1..=kind.sealed_fields().len() as u8 {
                let refused = describe(*kind, field, &[0xff]).unwrap_err();
                assert!(
                    !matches!(refused, DecodeError::OutOfBounds { what: "sealed field number", .. }),
                    "{kind:?} {field}"
                );
            }
        }
        assert!(describe(Kind::RulePut, 4, &[0x00]).is_err());
    }

    #[test]
    fn a_party_knows_its_type() {
        let party = |text: &str| Party { reference: Token::new(text), ..Party::default() };
        assert_eq!(party("Patient/1").resource_type(), Some("Patient"));
        assert_eq!(party("https://a.example/fhir/Patient/1/_history/2").resource_type(), Some("Patient"));
        assert_eq!(party("urn:uuid:1").resource_type(), None);
        assert_eq!(party("#contained").resource_type(), None);
    }

    proptest::proptest! {
        #[test]
        fn whatever_decodes_encodes_to_the_same_bytes(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200), field in 1u8..17) {
            // Foreign bytes never panic; what is accepted has one spelling.
            let _ = describe(Kind::AccessEvent, field, &bytes);
            let _ = view(Kind::RulePut, field, &bytes);
            if let Ok(value) = Stated::<Agents>::from_bytes(&bytes) {
                proptest::prop_assert_eq!(value.to_bytes(), bytes.clone());
            }
            if let Ok(value) = Moment::from_bytes(&bytes) {
                proptest::prop_assert_eq!(value.to_bytes(), bytes);
            }
        }
    }
}
