//! Which code is part of which: the pinned terminology, and how far a permission or a denial reaches in it.
//!
//! Codes of purpose, confidentiality, sensitivity and EHDS category are compared by subsumption, in
//! a table taken from HL7's own code systems (`terminology/`). The table's hash stands in the policy,
//! so a decision of today is repeated in ten years with the same table (R0).
//!
//! The traps (R7): TREAT subsumes CLINTRL and POPHLTH, and HOPERAT subsumes HLEGAL, FRAUD, MILCDM, DONAT,
//! GOV and SYSDEV. Nobody who agrees to treatment thereby agrees to a clinical trial, so a
//! *permission* reaches these codes only when it names them; a *denial* takes everything below its code.
//!
//! Deliberately absent: definitions, displays, mappings, and every code system that decisions do
//! not compare (LOINC and SNOMED CT codes match exactly or not at all).

use std::sync::OnceLock;

use custos_proof::hash::{Digest, sha256};
use custos_proof::sealed_values::Coding;
use thiserror::Error;

/// The system of purposes of use.
pub const ACT_REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
/// The system of confidentiality levels.
pub const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
/// The system of sensitivities.
pub const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
/// The letters of Regulation (EU) 2025/327: `14-1-a`, `51-1-f`, `53-1-e`, `54-c`.
pub const EHDS: &str = "urn:custos:ehds:2025-327";

/// The most codes of a terminology.
pub const MAX_CODES: usize = 1024;
/// The longest file of a terminology, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;

/// The systems, by the names that the file uses.
const SYSTEMS: [(&str, &str); 4] = [
    ("v3-ActReason", ACT_REASON),
    ("v3-Confidentiality", CONFIDENTIALITY),
    ("v3-ActCode", ACT_CODE),
    ("ehds", EHDS),
];

/// The terminology that ships with this program.
const SHIPPED: &str = include_str!("../terminology/closure.txt");

/// Why a file is no terminology.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TerminologyError {
    /// Longer than [`MAX_BYTES`], or more codes than [`MAX_CODES`].
    #[error("the terminology is too large")]
    TooLarge,
    /// A line that is not `SYSTEM CODE PARENT MARK`.
    #[error("line {line} of the terminology is not SYSTEM CODE PARENT MARK")]
    Line {
        /// Which, from 1.
        line: usize,
    },
    /// A code that stands there twice, or not in order.
    #[error("line {line} of the terminology repeats a code, or is out of order")]
    Repeated {
        /// Which, from 1.
        line: usize,
    },
    /// A parent that is not there, in another system, or its own ancestor.
    #[error("line {line} of the terminology names a parent that is not there, or a circle")]
    Parent {
        /// Which, from 1.
        line: usize,
    },
}

/// How far a rule's code reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// As a permission: not to codes that have to be named.
    Permission,
    /// As a denial, or to compare rules: everything below.
    Full,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    system: &'static str,
    code: String,
    parent: Option<u16>,
    must_be_named: bool,
}

/// A terminology: codes, each with its parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terminology {
    /// By system and code.
    entries: Vec<Entry>,
    hash: Digest,
}

impl Terminology {
    /// The terminology that ships with this program; its hash is [`custos_proof::policy::TERMINOLOGY_1`].
    #[must_use]
    pub fn shipped() -> &'static Self {
        // Parsed once; the same value whoever asks first.
        static TABLE: OnceLock<Terminology> = OnceLock::new();
        TABLE.get_or_init(|| {
            Self::parse(SHIPPED.as_bytes())
                .expect("because the shipped file is parsed by a test of this crate")
        })
    }

    /// A terminology from the bytes of its file.
    ///
    /// # Errors
    /// [`TerminologyError`]: the file is bounded, sorted, without repetition and without circles.
    pub fn parse(bytes: &[u8]) -> Result<Self, TerminologyError> {
        if bytes.len() > MAX_BYTES {
            return Err(TerminologyError::TooLarge);
        }
        let text = core::str::from_utf8(bytes).map_err(|_| TerminologyError::Line { line: 1 })?;
        let mut entries: Vec<Entry> = Vec::new();
        let mut parents: Vec<&str> = Vec::new();
        let mut previous = "";
        for (line, content) in (1..).zip(text.lines()) {
            let mut words = content.split(' ');
            let (Some(system), Some(code), Some(parent), Some(mark), None) =
                (words.next(), words.next(), words.next(), words.next(), words.next())
            else {
                return Err(TerminologyError::Line { line });
            };
            let system = SYSTEMS.iter().find(|(name, _)| *name == system).map(|(_, uri)| *uri);
            let (Some(system), "named" | "-") = (system, mark) else {
                return Err(TerminologyError::Line { line });
            };
            if entries.len() == MAX_CODES {
                return Err(TerminologyError::TooLarge);
            }
            if content <= previous || entries.iter().any(|entry| entry.code == code) {
                return Err(TerminologyError::Repeated { line });
            }
            previous = content;
            entries.push(Entry { system, code: code.into(), parent: None, must_be_named: mark == "named" });
            parents.push(parent);
        }
        for (child, parent) in parents.iter().enumerate().filter(|(_, parent)| **parent != "-") {
            let system = entries[child].system;
            let found = entries.iter().position(|entry| entry.code == *parent && entry.system == system);
            let found = found.and_then(|index| u16::try_from(index).ok());
            entries[child].parent = Some(found.ok_or(TerminologyError::Parent { line: child + 1 })?);
        }
        for child in 0..entries.len() {
            let mut at = entries[child].parent;
            let mut steps = 0;
            while let Some(parent) = at {
                steps += 1;
                if usize::from(parent) == child || steps > entries.len() {
                    return Err(TerminologyError::Parent { line: child + 1 });
                }
                at = entries[usize::from(parent)].parent;
            }
        }
        // Looked up by code: the four systems share no code.
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_by(|a, b| entries[*a].code.cmp(&entries[*b].code));
        let mut place = vec![0u16; entries.len()];
        for (new, old) in order.iter().enumerate() {
            place[*old] = u16::try_from(new).map_err(|_| TerminologyError::TooLarge)?;
        }
        let entries = order
            .into_iter()
            .map(|old| Entry {
                parent: entries[old].parent.map(|parent| place[usize::from(parent)]),
                ..entries[old].clone()
            })
            .collect();
        Ok(Self { entries, hash: sha256(bytes) })
    }

    /// SHA-256 of the file.
    #[must_use]
    pub const fn hash(&self) -> Digest {
        self.hash
    }

    /// How many codes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has no code.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Every code with its system and parent, by code.
    pub fn codes(&self) -> impl Iterator<Item = (&str, &str, Option<&str>)> {
        self.entries.iter().map(|entry| {
            let parent = entry.parent.map(|parent| &*self.entries[usize::from(parent)].code);
            (entry.system, &*entry.code, parent)
        })
    }

    /// The system of a code that stands here; codes are unique over the systems.
    #[must_use]
    pub fn system_of(&self, code: &str) -> Option<&'static str> {
        self.find(code).map(|index| self.entries[index].system)
    }

    /// Whether a rule's code `whole` reaches `part`: the same code, or one above it.
    ///
    /// Codes that do not stand here reach themselves only, of the same system.
    #[must_use]
    pub fn reaches(&self, whole: &Coding, part: &Coding, reach: Reach) -> bool {
        if whole.system.as_deref() != part.system.as_deref() {
            return false;
        }
        if whole.code == part.code {
            return true;
        }
        match part.system.as_deref() {
            Some(system) => self.is_below(&part.code, Some(system), &whole.code, reach),
            None => false,
        }
    }

    /// Whether a code named by the policy, without its system, reaches `part`.
    #[must_use]
    pub fn code_reaches(&self, whole: &str, part: &Coding) -> bool {
        match (self.system_of(whole), part.system.as_deref()) {
            (Some(system), Some(of_part)) if system == of_part => {
                *part.code == *whole || self.is_below(&part.code, Some(system), whole, Reach::Full)
            }
            _ => false,
        }
    }

    fn is_below(&self, part: &str, system: Option<&str>, whole: &str, reach: Reach) -> bool {
        let Some(start) = self.find(part) else { return false };
        if system != Some(self.entries[start].system) {
            return false;
        }
        let mut at = start;
        // Ends: `parse` refuses circles.
        loop {
            let entry = &self.entries[at];
            if entry.must_be_named && reach == Reach::Permission {
                return false;
            }
            match entry.parent {
                None => return false,
                Some(parent) if self.entries[usize::from(parent)].code == whole => return true,
                Some(parent) => at = usize::from(parent),
            }
        }
    }

    fn find(&self, code: &str) -> Option<usize> {
        self.entries.binary_search_by(|entry| entry.code.as_str().cmp(code)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use custos_proof::policy::TERMINOLOGY_1;
    use custos_proof::sealed_values::Token;

    fn coding(system: &str, code: &str) -> Coding {
        Coding { system: Token::new(system), code: Token::new(code).unwrap(), display: None }
    }

    fn permits(whole: &str, part: &str) -> bool {
        Terminology::shipped().reaches(
            &coding(ACT_REASON, whole),
            &coding(ACT_REASON, part),
            Reach::Permission,
        )
    }

    fn denies(whole: &str, part: &str) -> bool {
        Terminology::shipped().reaches(&coding(ACT_REASON, whole), &coding(ACT_REASON, part), Reach::Full)
    }

    #[test]
    fn the_shipped_table_is_the_one_that_the_first_policy_pins() {
        assert_eq!(Terminology::parse(SHIPPED.as_bytes()).unwrap().hash(), TERMINOLOGY_1);
        assert_eq!(Terminology::shipped().len(), 142);
    }

    #[test]
    fn break_glass_is_emergency_treatment_is_treatment() {
        for (whole, part) in [("TREAT", "ETREAT"), ("TREAT", "BTG"), ("ETREAT", "BTG"), ("TREAT", "COC")] {
            assert!(permits(whole, part) && denies(whole, part), "{whole} {part}");
            assert!(!permits(part, whole) && !denies(part, whole), "{part} {whole}");
        }
    }

    #[test]
    fn agreeing_to_treatment_is_not_agreeing_to_a_trial() {
        for (whole, part) in [
            ("TREAT", "CLINTRL"),
            ("TREAT", "POPHLTH"),
            ("HOPERAT", "HLEGAL"),
            ("HOPERAT", "FRAUD"),
            ("HOPERAT", "MILCDM"),
            ("HOPERAT", "DONAT"),
            ("HOPERAT", "GOV"),
            ("HOPERAT", "SYSDEV"),
            ("HOPERAT", "HTEST"),
            ("PurposeOfUse", "CLINTRL"),
        ] {
            assert!(!permits(whole, part), "{whole} must not permit {part}");
            assert!(denies(whole, part), "{whole} must deny {part}");
            assert!(permits(part, part), "{part}, named, is permitted");
        }
        assert!(permits("SYSDEV", "HTEST"));
        assert!(permits("HOPERAT", "HQUALIMP") && permits("PurposeOfUse", "TREAT"));
    }

    #[test]
    fn alcohol_and_opioids_are_substance_use_is_specially_protected() {
        let terminology = Terminology::shipped();
        for (whole, part) in
            [("SUD", "ETHUD"), ("SUD", "OPIOIDUD"), ("SPI", "ETHUD"), ("SPI", "PSY"), ("BH", "COGN")]
        {
            assert!(terminology.reaches(
                &coding(ACT_CODE, whole),
                &coding(ACT_CODE, part),
                Reach::Permission
            ));
            assert!(terminology.code_reaches(whole, &coding(ACT_CODE, part)));
        }
        assert!(!terminology.code_reaches("SPI", &coding(ACT_CODE, "HIV")));
        assert!(!terminology.code_reaches("SPI", &coding(ACT_REASON, "ETHUD")));
    }

    #[test]
    fn codes_of_other_systems_reach_themselves_only() {
        let terminology = Terminology::shipped();
        let foo = coding("http://example.org/policies/purposeOfUse", "FooBar");
        assert!(terminology.reaches(&foo, &foo, Reach::Full));
        assert!(!terminology.reaches(
            &coding("http://example.org/x", "TREAT"),
            &coding(ACT_REASON, "BTG"),
            Reach::Full
        ));
        assert!(!terminology.reaches(
            &Coding { system: None, ..coding("x", "TREAT") },
            &coding(ACT_REASON, "TREAT"),
            Reach::Full
        ));
        assert!(!denies("NOSUCH", "BTG") && !denies("TREAT", "NOSUCH"));
    }

    #[test]
    fn files_that_are_no_terminology_are_refused() {
        use TerminologyError::{Line, Parent, Repeated, TooLarge};
        for (text, error) in [
            ("v3-ActReason TREAT", Line { line: 1 }),
            ("icd TREAT - -", Line { line: 1 }),
            ("ehds a - maybe", Line { line: 1 }),
            ("ehds a - -\nehds a - -", Repeated { line: 2 }),
            ("ehds b - -\nehds a - -", Repeated { line: 2 }),
            ("ehds a b -", Parent { line: 1 }),
            ("ehds a b -\nehds b a -", Parent { line: 1 }),
            ("ehds a a -", Parent { line: 1 }),
            ("ehds a b -\nv3-ActCode b - -", Parent { line: 1 }),
        ] {
            assert_eq!(Terminology::parse(text.as_bytes()).unwrap_err(), error, "{text}");
        }
        assert_eq!(Terminology::parse(&vec![b' '; MAX_BYTES + 1]), Err(TooLarge));
        assert!(Terminology::parse(&[0xff]).is_err());
    }
}
