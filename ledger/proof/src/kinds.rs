//! The table of protocol version 1: every kind of item, its class and its sealed fields.
//!
//! A new kind is one file under `kinds/` with its fields, one line in the table below, and one file
//! of rules in `custos-state`. What a kind *means* is in `docs/spec/items.md`; whether an item is
//! *admitted* is decided in `custos-state`, not here.
//!
//! Rules for linkage (DESIGN, section 4) that formats have to keep: subject trails know the outer
//! kinds of [`Kind::in_subject_trails`] only, none of which says what a rule says or how a request
//! ended; inner kind and outcome are sealed; every field is always present; no field takes free text.

use alloc::vec::Vec;

use crate::cbor::{DecodeError, Reader, View, Wire, Writer};
use crate::given::{Form, Given, GivenError};
use crate::hash::Digest;
use crate::ids::{ParticipantId, Random16};
use crate::seal::Seal;

pub mod access;
pub mod audit;
pub mod correct;
pub mod disclosure;
pub mod dispute;
pub mod emergency;
pub mod finding;
pub mod hold;
pub mod job;
pub mod key;
pub mod mandate;
pub mod misbehaviour;
pub mod notarise;
pub mod participant;
pub mod permit;
pub mod policy;
pub mod proposal;
pub mod record;
pub mod roster;
pub mod rule;
pub mod trail;
pub mod validator;

/// Whether an invalid item is refused or recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Changes what is allowed; refused when it is invalid.
    Act,
    /// States that something happened; never refused for its content.
    Testimony,
}

impl Class {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u64 {
        match self {
            Class::Act => 1,
            Class::Testimony => 2,
        }
    }

    /// The word that people and JSON use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Class::Act => "act",
            Class::Testimony => "testimony",
        }
    }
}

impl Wire for Class {
    fn write(&self, w: &mut Writer) {
        w.u64(self.number());
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = r.position();
        match r.u64()? {
            1 => Ok(Class::Act),
            2 => Ok(Class::Testimony),
            _ => Err(DecodeError::OutOfBounds { at, what: "class" }),
        }
    }
    fn view(&self) -> View {
        View::Text(self.word().into())
    }
    fn from_given(given: &Given) -> Result<Self, GivenError> {
        let word = |text: &str| [Class::Act, Class::Testimony].into_iter().find(|class| class.word() == text);
        given.parse(&Self::form().is, word)
    }
    fn form() -> Form {
        Form::of("one of: act, testimony", View::Text("act".into()))
    }
}

macro_rules! table {
    ($( $variant:ident($type:ty) = $name:literal, $class:ident, $sealed:expr $(, $seal:ident)?; )*) => {
        /// A kind of item.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $( #[doc = concat!("`", $name, "`")] $variant, )*
        }

        /// The fields of an item, by kind.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[allow(clippy::large_enum_variant)] // Items are short-lived; a box each costs more than it saves.
        pub enum Fields {
            $( #[doc = concat!("`", $name, "`")] $variant($type), )*
        }

        impl Kind {
            /// Every kind of protocol version 1.
            pub const ALL: &'static [Kind] = &[$( Kind::$variant, )*];

            /// The kind's name: what stands on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( Kind::$variant => $name, )* }
            }

            /// Act or testimony.
            #[must_use]
            pub const fn class(self) -> Class {
                match self { $( Kind::$variant => Class::$class, )* }
            }

            /// The names of the sealed fields, in the order of the seal's leaves. Field numbers count from 1.
            #[must_use]
            pub const fn sealed_fields(self) -> &'static [&'static str] {
                match self { $( Kind::$variant => $sealed, )* }
            }

            /// The name of the clear field that holds the seal.
            #[must_use]
            pub const fn seal_field(self) -> Option<&'static str> {
                match self { $( Kind::$variant => seal_name!($($seal)?), )* }
            }

            /// How a person writes the fields, the seal included.
            #[must_use]
            pub fn form(self) -> Form {
                match self { $( Kind::$variant => <$type>::form(), )* }
            }

            /// The kind of this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Kind> {
                match name { $( $name => Some(Kind::$variant), )* _ => None }
            }
        }

        impl Fields {
            /// The kind of these fields.
            #[must_use]
            pub const fn kind(&self) -> Kind {
                match self { $( Fields::$variant(_) => Kind::$variant, )* }
            }

            /// Appends the fields' array.
            pub fn write(&self, w: &mut Writer) {
                match self { $( Fields::$variant(fields) => fields.write(w), )* }
            }

            /// Reads the fields' array of an item of this kind.
            ///
            /// # Errors
            /// Anything but the one spelling that the kind's format allows.
            pub fn read(kind: Kind, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                match kind { $( Kind::$variant => Wire::read(r).map(Fields::$variant), )* }
            }

            /// The fields as people and JSON see them.
            #[must_use]
            pub fn view(&self) -> View {
                match self { $( Fields::$variant(fields) => fields.view(), )* }
            }

            /// The fields that a person wrote: the way back from [`Fields::view`].
            ///
            /// # Errors
            /// The field, and what belongs there.
            pub fn from_given(kind: Kind, given: &Given) -> Result<Self, GivenError> {
                match kind { $( Kind::$variant => Wire::from_given(given).map(Fields::$variant), )* }
            }

            /// The seal over the sealed fields, if the item has any.
            #[must_use]
            pub fn seal(&self) -> Option<&Seal> {
                match self { $( Fields::$variant(_fields) => seal_of!(_fields $(, $seal)?), )* }
            }

            /// Replaces the seal; nothing happens where the kind has none.
            pub fn set_seal(&mut self, _seal: Seal) {
                match self { $( Fields::$variant(_fields) => { $( _fields.$seal = _seal.into(); )? } )* }
            }
        }
    };
}

macro_rules! seal_name {
    () => {
        None
    };
    ($seal:ident) => {
        Some(stringify!($seal))
    };
}

macro_rules! seal_of {
    ($fields:ident) => {
        None
    };
    ($fields:ident, $seal:ident) => {
        $fields.$seal.as_seal()
    };
}

// Variant(structure) = name on the wire, class, sealed fields, and the clear field that holds their seal.
table! {
    ParticipantRegister(participant::Register) = "participant.register", Act, participant::SEALED, sealed_name;
    ParticipantUpdate(participant::Update) = "participant.update", Act, participant::SEALED, sealed_name;
    ParticipantSuspend(participant::Suspend) = "participant.suspend", Act, &[];
    KeyAdd(key::Add) = "key.add", Act, &[];
    KeyRotate(key::Rotate) = "key.rotate", Act, &[];
    KeyRevoke(key::Revoke) = "key.revoke", Act, &[];
    TrailOpen(trail::Open) = "trail.open", Act, trail::SEALED, seal;
    TrailClose(trail::Close) = "trail.close", Act, &[];
    RulePut(rule::Put) = "rule.put", Act, rule::SEALED, seal;
    AccessEvent(access::Event) = "access.event", Testimony, access::SEALED, seal;
    AccessCorrect(correct::Correct) = "access.correct", Testimony, correct::SEALED, seal;
    DisclosureExport(disclosure::Export) = "disclosure.export", Testimony, disclosure::EXPORT_SEALED, seal;
    DisclosureImport(disclosure::Import) = "disclosure.import", Testimony, disclosure::IMPORT_SEALED, seal;
    EmergencyDeclare(emergency::Declare) = "emergency.declare", Testimony, emergency::DECLARE_SEALED, seal;
    EmergencyReview(emergency::Review) = "emergency.review", Testimony, emergency::REVIEW_SEALED, seal;
    PermitIssue(permit::Issue) = "permit.issue", Act, &[];
    PermitAmend(permit::Amend) = "permit.amend", Act, &[];
    PermitRevoke(permit::Revoke) = "permit.revoke", Act, &[];
    JobRecord(job::Record) = "job.record", Testimony, job::SEALED, seal;
    RecordEvent(record::Event) = "record.event", Testimony, record::SEALED, seal;
    AuditRead(audit::Read) = "audit.read", Testimony, audit::SEALED, seal;
    HoldSet(hold::Set) = "hold.set", Act, hold::SET_SEALED, seal;
    HoldLift(hold::Lift) = "hold.lift", Act, &[];
    PayloadErase(hold::Erase) = "payload.erase", Act, hold::ERASE_SEALED, seal;
    TrailAgent(trail::Agent) = "trail.agent", Act, trail::AGENT_SEALED, seal;
    ProposalOpen(proposal::Open) = "proposal.open", Act, &[];
    ProposalVote(proposal::Vote) = "proposal.vote", Act, &[];
    PolicySet(policy::Set) = "policy.set", Act, &[];
    ProtocolUpgrade(policy::Upgrade) = "protocol.upgrade", Act, &[];
    ValidatorPut(validator::Put) = "validator.put", Act, &[];
    ValidatorRemove(validator::Remove) = "validator.remove", Act, &[];
    MisbehaviourReport(misbehaviour::Report) = "misbehaviour.report", Testimony, &[];
    RosterCommit(roster::Commit) = "roster.commit", Act, &[];
    MandateIssue(mandate::Issue) = "mandate.issue", Act, mandate::SEALED, seal;
    MandateEnd(mandate::End) = "mandate.end", Act, &[];
    Notarise(notarise::Notarise) = "notarise", Act, &[];
    FindingRecord(finding::Record) = "finding.record", Act, finding::SEALED, seal;
    DisputeOpen(dispute::Open) = "dispute.open", Act, dispute::SEALED_OPEN, seal;
    DisputeAnswer(dispute::Answer) = "dispute.answer", Act, dispute::SEALED_REPLY, seal;
    DisputeResolve(dispute::Resolve) = "dispute.resolve", Act, dispute::SEALED_REPLY, seal;
}

impl Kind {
    /// Whether items of this kind may stand in a subject's trail.
    #[must_use]
    pub const fn in_subject_trails(self) -> bool {
        matches!(
            self,
            Kind::TrailOpen
                | Kind::TrailClose
                | Kind::TrailAgent
                | Kind::RulePut
                | Kind::AccessEvent
                | Kind::AccessCorrect
                | Kind::RecordEvent
                | Kind::HoldSet
                | Kind::HoldLift
                | Kind::PayloadErase
        )
    }
}

impl Fields {
    /// The id by which a re-sent statement is recognised: one per author, for every kind of testimony.
    #[must_use]
    pub const fn event_id(&self) -> Option<&Random16> {
        match self {
            Fields::AccessEvent(f) => Some(&f.event),
            Fields::AccessCorrect(f) => Some(&f.correction),
            Fields::DisclosureExport(f) => Some(&f.event),
            Fields::DisclosureImport(f) => Some(&f.event),
            Fields::EmergencyDeclare(f) => Some(&f.declaration),
            Fields::EmergencyReview(f) => Some(&f.review),
            Fields::JobRecord(f) => Some(&f.event),
            Fields::RecordEvent(f) => Some(&f.event),
            Fields::AuditRead(f) => Some(&f.event),
            _ => None,
        }
    }

    /// The subject trail that the item names, as (custodian, local id), when the item says itself whose it is;
    /// for kinds where the custodian is the author, `author` is taken.
    #[must_use]
    pub fn subject_trail(&self, author: Option<&ParticipantId>) -> Option<(ParticipantId, Digest)> {
        let own = |local_id: &Digest| author.map(|author| (author.clone(), *local_id));
        let of = |custodian: &ParticipantId, local_id: &Option<Digest>| {
            local_id.map(|local_id| (custodian.clone(), local_id))
        };
        match self {
            Fields::TrailOpen(f) => own(&f.local_id),
            Fields::TrailClose(f) => own(&f.local_id),
            Fields::RecordEvent(f) => own(&f.local_id),
            Fields::PayloadErase(f) => own(&f.local_id),
            Fields::RulePut(f) => Some((f.custodian.clone(), f.local_id)),
            Fields::TrailAgent(f) => Some((f.custodian.clone(), f.local_id)),
            Fields::AccessEvent(f) => of(&f.custodian, &f.local_id),
            Fields::AccessCorrect(f) => of(&f.custodian, &f.local_id),
            Fields::HoldSet(f) => of(&f.custodian, &f.local_id),
            Fields::HoldLift(f) => of(&f.custodian, &f.local_id),
            _ => None,
        }
    }
}

/// A field that holds a seal, or may hold one.
trait HoldsSeal {
    fn as_seal(&self) -> Option<&Seal>;
}

impl HoldsSeal for Seal {
    fn as_seal(&self) -> Option<&Seal> {
        Some(self)
    }
}

impl HoldsSeal for Option<Seal> {
    fn as_seal(&self) -> Option<&Seal> {
        self.as_ref()
    }
}

/// The names of the kinds of one class, for help texts.
#[must_use]
pub fn names(class: Class) -> Vec<&'static str> {
    Kind::ALL.iter().filter(|kind| kind.class() == class).map(|kind| kind.name()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_name() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.name()), Some(*kind));
            assert!(kind.sealed_fields().len() <= crate::seal::MAX_SEALED_FIELDS);
            assert_eq!(kind.seal_field().is_some(), !kind.sealed_fields().is_empty(), "{}", kind.name());
        }
    }
}
