//! The part of the policy that decisions about access read: what a domain agreed on besides the
//! subjects' own rules.
//!
//! A decision is replayed years later, so everything in it that is not a subject's rule stands
//! here, in the state map, with the policy's version: the implicit policy, how rules are combined,
//! what an emergency may override, how data without a label is graded, and the hash of the
//! terminology by which codes are compared. `docs/spec/decide.md` says what each part does.
//!
//! Deliberately absent: the procedure itself (`custos-decide`) and the terminology's table; only
//! its hash is pinned here.

use alloc::vec::Vec;

use crate::cbor::{Ascii, List, Set, wire_enum, wire_struct};
use crate::hash::Digest;

/// A code of the pinned terminology: of v3-ActReason, v3-Confidentiality, v3-ActCode, or of Custos'
/// own systems for the EHDS Regulation (`14-1-a`, `51-1-f`, `53-1-c`, `54-a`). Codes are unique over these systems.
pub type Code = Ascii<24>;

/// The most prohibited purposes, floors, grades or flags of one policy.
pub const MAX_POLICY_ENTRIES: usize = 32;

/// SHA-256 of the terminology that ships with protocol version 1, `ledger/decide/terminology/closure.txt`;
/// `custos-decide` has a test that it has this hash.
pub const TERMINOLOGY_1: Digest = Digest([
    0x2f, 0xdd, 0x2a, 0x81, 0xc3, 0xdc, 0x17, 0x23, 0x55, 0x92, 0xb2, 0x17, 0x26, 0x37, 0x61, 0xf8, 0xc7,
    0xd0, 0x17, 0x0e, 0x31, 0x8e, 0x26, 0x6b, 0x18, 0xe4, 0xd4, 0x55, 0xf4, 0x52, 0xad, 0x61,
]);

wire_enum! {
    /// What holds when no rule of the subject speaks.
    pub enum ImplicitPolicy {
        /// Clinicians may see data graded normal or lower, for treatment.
        BasicNormal = 1, "basic-normal";
        /// Everybody eligible may see data graded normal or lower, for any purpose that is not prohibited.
        AllNormal = 2, "all-normal";
        /// Nobody, except in a declared emergency.
        BreakGlassOnly = 3, "break-glass-only";
        /// Nobody.
        Deny = 4, "deny";
    }
}

wire_enum! {
    /// How the answers of several rules become one (FHIR R5 Permission.combining).
    pub enum Combining {
        /// Any denial wins.
        DenyOverrides = 1, "deny-overrides";
        /// Any permission wins.
        PermitOverrides = 2, "permit-overrides";
        /// The rule recorded last wins, by position in the log.
        MostRecent = 3, "most-recent";
        /// Denied unless a rule permits; the implicit policy is not asked.
        DenyUnlessPermit = 4, "deny-unless-permit";
        /// Permitted unless a rule denies; the implicit policy is not asked.
        PermitUnlessDeny = 5, "permit-unless-deny";
    }
}

wire_enum! {
    /// How high data is graded: the order of v3-Confidentiality.
    pub enum Grade {
        /// U, unrestricted.
        Unrestricted = 1, "U";
        /// L, low.
        Low = 2, "L";
        /// M, moderate.
        Moderate = 3, "M";
        /// N, normal.
        Normal = 4, "N";
        /// R, restricted.
        Restricted = 5, "R";
        /// V, very restricted.
        VeryRestricted = 6, "V";
    }
}

wire_enum! {
    /// How sure it is that a rule is the subject's will.
    pub enum Assurance {
        /// The custodian says so and keeps evidence.
        CustodianAttested = 1, "custodian-attested";
        /// An agent whom the subject named signed it.
        AgentSigned = 2, "agent-signed";
        /// The subject signed it.
        SubjectSigned = 3, "subject-signed";
    }
}

wire_struct! {
    /// What a declared emergency may do (EHDS Art. 8 and 11(5)).
    pub struct EmergencyRule {
        /// Whether a denial can be overridden at all.
        pub allowed: bool,
        /// Whether the purpose ETREAT counts as an emergency, as BTG does.
        pub etreat: bool,
        /// For how long after its declaration an emergency overrides, in milliseconds of block time.
        pub window_ms: u64,
        /// Which categories of data it opens; empty: all.
        pub categories: Set<Code, 32>,
        /// Within how many hours a justification is due.
        pub justification_hours: u16,
        /// Within how many hours a review is due.
        pub review_hours: u16,
    }
}

wire_struct! {
    /// Data with this code is graded at least so high, whatever its label says.
    pub struct GradeOf {
        /// A sensitivity code (with everything that is part of it), or a category.
        pub code: Code,
        /// The grade.
        pub grade: Grade,
    }
}

wire_struct! {
    /// A permission for this purpose counts only when it is so sure.
    pub struct AssuranceFor {
        /// The purpose, with everything that is part of it.
        pub purpose: Code,
        /// The least assurance.
        pub assurance: Assurance,
    }
}

wire_struct! {
    /// Where a permit is not enough: the subject's consent is needed besides (EHDS Art. 51(4)).
    pub struct ConsentBesides {
        /// ISO 3166-1 alpha-2, or `EU`: the custodian's jurisdiction.
        pub jurisdiction: Ascii<8>,
        /// The category of data (EHDS Art. 51).
        pub category: Code,
    }
}

wire_struct! {
    /// What decisions read of the policy.
    pub struct DecisionPolicy {
        /// What holds when no rule speaks.
        pub implicit: ImplicitPolicy,
        /// How rules are combined.
        pub combining: Combining,
        /// What an emergency may do.
        pub emergency: EmergencyRule,
        /// Purposes for which nothing is ever served, with everything that is part of them (EHDS Art. 54).
        pub prohibited: Set<Code, 32>,
        /// The grade of data without a label.
        pub floor: Grade,
        /// Sensitivities that are graded at least so high.
        pub label_floors: List<GradeOf, 32>,
        /// Categories that are graded at least so high.
        pub category_grades: List<GradeOf, 32>,
        /// What assurance a permission must have, by purpose.
        pub assurance: List<AssuranceFor, 16>,
        /// Whether treatment without a care relationship is marked for the auditor.
        pub treat_requires_relationship: bool,
        /// Where consent is needed besides a permit.
        pub consent_besides: List<ConsentBesides, 32>,
        /// The hash of the terminology by which codes are compared.
        pub terminology: Digest,
    }
}

impl DecisionPolicy {
    /// The policy of a new network: nothing without a rule, denials win, emergencies open everything
    /// for a day, EHDS Article 54 is prohibited, and the sensitivities that every jurisdiction
    /// protects are restricted.
    #[must_use]
    pub fn initial() -> Self {
        let floor = |code: &str| Code::new(code).map(|code| GradeOf { code, grade: Grade::Restricted });
        let codes = |codes: &[&str]| {
            Set::new(codes.iter().filter_map(|code| Code::new(code)).collect::<Vec<_>>()).unwrap_or_default()
        };
        Self {
            implicit: ImplicitPolicy::Deny,
            combining: Combining::DenyOverrides,
            emergency: EmergencyRule {
                allowed: true,
                etreat: false,
                window_ms: 24 * 3_600_000,
                categories: Set::default(),
                justification_hours: 72,
                review_hours: 168,
            },
            prohibited: codes(&["54-a", "54-b", "54-c", "54-d", "54-e"]),
            floor: Grade::Normal,
            label_floors: List::new(
                ["SPI", "HIV", "SDV", "SEX", "GDIS"].into_iter().filter_map(floor).collect(),
            )
            .unwrap_or_default(),
            category_grades: List::default(),
            assurance: List::default(),
            treat_requires_relationship: true,
            consent_besides: List::default(),
            terminology: TERMINOLOGY_1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor::Wire;

    #[test]
    fn the_first_policy_loses_no_entry_and_has_one_spelling() {
        let policy = DecisionPolicy::initial();
        assert_eq!((policy.prohibited.len(), policy.label_floors.len()), (5, 5));
        let bytes = policy.to_bytes();
        assert!(bytes.len() < 512, "{} bytes", bytes.len());
        assert_eq!(DecisionPolicy::from_bytes(&bytes), Ok(policy));
    }

    #[test]
    fn grades_are_ordered_as_hl7_orders_them() {
        let words: Vec<&str> = Grade::ALL.iter().map(|grade| grade.word()).collect();
        assert_eq!(words, ["U", "L", "M", "N", "R", "V"]);
        assert!(Grade::ALL.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn a_policy_that_is_cut_or_has_an_unknown_choice_is_refused() {
        let bytes = DecisionPolicy::initial().to_bytes();
        for end in 0..bytes.len() {
            assert!(DecisionPolicy::from_bytes(&bytes[..end]).is_err(), "cut at {end}");
        }
        let mut unknown = bytes;
        unknown[1] = 9;
        assert!(DecisionPolicy::from_bytes(&unknown).is_err());
    }
}
