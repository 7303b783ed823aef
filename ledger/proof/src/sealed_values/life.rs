//! Sealed values of emergencies, disclosures, corrections, and of the rules that are about people
//! rather than about data: delegations, renewed codes, and trails of one person.

use alloc::format;
use alloc::string::{String, ToString};

use super::{Describe, MAX_PROSE, Moment, Part, Party, Prose, Span};
use crate::cbor::{DecodeError, List, Reader, View, Wire, Writer, wire_enum, wire_struct};
use crate::given::{Form, Given, GivenError};
use crate::hash::Digest;
use crate::ids::{ParticipantId, Random16};

/// The most parts of a delegation's scope.
const MAX_SCOPE: usize = 16;

wire_enum! {
    /// What a reviewer found about a declared emergency.
    pub enum ReviewVerdict {
        /// It was one.
        Justified = 1, "justified";
        /// It was none.
        NotJustified = 2, "not justified";
        /// It was one, and the practitioner was not on the roster.
        UnlistedPractitioner = 3, "justified, by a practitioner not on the roster";
        /// The review goes on.
        Open = 4, "open";
    }
}

wire_enum! {
    /// How the reviewer stands to the one who acted.
    pub enum Independence {
        /// Neither the actor nor reporting to them.
        Independent = 1, "neither the actor nor reporting to them";
        /// Reports to the actor.
        ReportsToActor = 2, "reports to the actor";
        /// Is the actor.
        IsActor = 3, "is the actor";
    }
}

wire_enum! {
    /// Whether a disclosure counts for the accounting (45 CFR 164.528).
    pub enum Accounting {
        /// It counts.
        Counted = 1, "to be accounted for";
        /// For treatment, payment or operations.
        ExemptOperations = 2, "exempt: treatment, payment or operations";
        /// Exempt otherwise.
        ExemptOther = 3, "exempt";
    }
}

wire_struct! {
    /// The event that stands in a corrected one's place.
    pub struct Replacement {
        /// Whose trail it is in.
        pub custodian: ParticipantId,
        /// Its event id.
        pub event: Random16,
    }
}

wire_enum! {
    /// By what right somebody speaks for a subject.
    pub enum DelegationKind {
        /// A guardian.
        Guardian = 1, "guardian";
        /// A proxy.
        Proxy = 2, "proxy";
        /// A power of attorney.
        PowerOfAttorney = 3, "power of attorney";
        /// The head of a family.
        HeadOfFamily = 4, "head of family";
    }
}

wire_enum! {
    /// What a representative may do.
    pub enum Scope {
        /// See the data and who accessed it.
        Read = 1, "see";
        /// Give and end permissions.
        Rules = 2, "decide who may see";
        /// Correct and complete.
        Write = 3, "correct";
    }
}

wire_map! {
    /// Somebody speaks for the subject.
    pub struct Delegation {
        /// Who.
        pub delegate: Option<Party> = 1,
        /// By what right.
        pub kind: Option<DelegationKind> = 2,
        /// What for; absent: everything.
        pub scope: List<Scope, MAX_SCOPE> = 3,
        /// From when to when.
        pub period: Option<Span> = 4,
        /// When it ends by law: the age of majority.
        pub ends_at: Option<Moment> = 5,
        /// SHA-256 of the document it rests on.
        pub evidence: Option<Digest> = 6,
        /// A court's or notary's reference.
        pub reference: Option<Prose<MAX_PROSE>> = 7,
        /// Whether access by this person is unsafe for the subject, as the custodian sees it: true, or absent.
        pub is_unsafe: Option<bool> = 8,
    }
}

wire_struct! {
    /// The code that custodian and subject share was renewed.
    pub struct Rekey {
        /// The new code's generation; the first is 1.
        pub generation: u32,
        /// Why.
        pub reason: RekeyReason,
    }
}

wire_enum! {
    /// Why a code was renewed.
    pub enum RekeyReason {
        /// It was lost.
        Lost = 1, "lost";
        /// Others may know it.
        Leaked = 2, "leaked";
        /// A representative who knew it no longer represents.
        DelegationEnded = 3, "a delegation ended";
        /// The subject came of age.
        Majority = 4, "majority";
    }
}

wire_struct! {
    /// Another trail is of the same person.
    pub struct Linked {
        /// Whose trail.
        pub custodian: ParticipantId,
        /// Its calendar year.
        pub epoch: u16,
        /// Its local id.
        pub local_id: Digest,
        /// Why.
        pub reason: LinkReason,
    }
}

wire_enum! {
    /// Why two trails are of one person.
    pub enum LinkReason {
        /// A duplicate record.
        Duplicate = 1, "a duplicate record";
        /// An unknown patient was identified.
        Identified = 2, "an unknown patient was identified";
        /// The code was renewed.
        Rekeyed = 3, "the code was renewed";
    }
}

macro_rules! described_by_word {
    ($($name:ident),*) => {$(
        impl Describe for $name {
            fn describe(&self) -> String {
                self.word().into()
            }
        }
    )*};
}
described_by_word!(ReviewVerdict, Independence, Accounting, DelegationKind, Scope, RekeyReason, LinkReason);

impl Describe for Digest {
    fn describe(&self) -> String {
        format!("SHA-256 {self}")
    }
}

impl Describe for Replacement {
    fn describe(&self) -> String {
        format!("event {} at {}", self.event, self.custodian)
    }
}

impl Describe for Delegation {
    fn describe(&self) -> String {
        let who = self.delegate.as_ref().map_or_else(|| "somebody unnamed".into(), Describe::describe);
        let kind = self.kind.map_or("representative", DelegationKind::word);
        let period = self.period.as_ref().map(|period| format!(", {}", period.describe()));
        let end = self.ends_at.as_ref().map(|end| format!(", at the latest until {end}"));
        let flag = if self.is_unsafe == Some(true) { ", whose access is unsafe for the subject" } else { "" };
        format!("{who} as {kind}{}{}{flag}", period.unwrap_or_default(), end.unwrap_or_default())
    }
}

impl Describe for Rekey {
    fn describe(&self) -> String {
        format!("the subject's code was renewed (generation {}; {})", self.generation, self.reason)
    }
}

impl Describe for Linked {
    fn describe(&self) -> String {
        let id = self.local_id.to_string();
        format!(
            "the trail {id} at {} in {} is of the same person ({})",
            self.custodian, self.epoch, self.reason
        )
    }
}
