//! Codes that people meet often, and the messages that say them.
//!
//! HL7's purposes of use, the document codes of the priority categories of the European Health Data
//! Space, common roles, confidentiality and the types of FHIR resources. A code that stands in no
//! table is said in the source's own words.
//!
//! Deliberately absent: hierarchy. Whether one purpose is part of another is not a matter of words.

use custos_proof::sealed_values::{Coding, Concept};

/// HL7 v3 ActReason: purposes of use.
pub const ACT_REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
/// LOINC.
pub const LOINC: &str = "http://loinc.org";
/// SNOMED CT.
const SNOMED: &str = "http://snomed.info/sct";
/// HL7 v3 Confidentiality.
const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
/// FHIR resource types.
const RESOURCE_TYPES: &str = "http://hl7.org/fhir/resource-types";

/// The codes of HL7's value set PurposeOfUse that have messages: `purpose-TREAT`.
pub const PURPOSES: &[&str] = &[
    "TREAT",
    "ETREAT",
    "BTG",
    "CAREMGT",
    "CLINTRL",
    "COC",
    "POPHLTH",
    "HPAYMT",
    "CLMATTCH",
    "COVAUTH",
    "COVERAGE",
    "ELIGDTRM",
    "ELIGVER",
    "ENROLLM",
    "REMITADV",
    "HOPERAT",
    "DONAT",
    "FRAUD",
    "GOV",
    "HACCRED",
    "HCOMPL",
    "HDECD",
    "HDIRECT",
    "HDM",
    "HLEGAL",
    "HOUTCOMS",
    "HQUALIMP",
    "HSYSADMIN",
    "HTEST",
    "HTRAIN",
    "LABELING",
    "MEMADMIN",
    "METAMGT",
    "MILCDM",
    "PATADMIN",
    "PATSFTY",
    "PERFMSR",
    "RECORDMGT",
    "SYSDEV",
    "HRESCH",
    "BIORCH",
    "CLINTRCH",
    "DSRCH",
    "POARCH",
    "PRECLINTRCH",
    "TRANSRCH",
    "PATRQT",
    "FAMRQT",
    "PWATRNY",
    "SUPNWK",
    "PUBHLTH",
    "DISASTER",
    "THREAT",
    "HMARKT",
];

/// LOINC codes of document classes, most of them those of the priority categories (EHDS, Art. 14): `category-60591-5`.
pub const CATEGORIES: &[&str] = &[
    "60591-5", "57833-6", "60593-1", "18748-4", "11502-2", "26436-6", "34105-7", "18842-5", "10160-0",
    "48765-2",
];

/// Confidentiality, least to most: `confidentiality-N`.
pub const LABELS: &[&str] = &["U", "L", "M", "N", "R", "V"];

/// FHIR resource types that have messages: `resource-Observation`.
pub const RESOURCES: &[&str] = &[
    "Patient",
    "Observation",
    "DiagnosticReport",
    "MedicationRequest",
    "MedicationStatement",
    "DocumentReference",
    "Condition",
    "AllergyIntolerance",
    "Immunization",
    "Procedure",
    "Encounter",
    "ImagingStudy",
    "Consent",
    "List",
    "Bundle",
    "Binary",
    "Task",
    "ServiceRequest",
    "CarePlan",
    "Composition",
    "MeasureReport",
];

/// Roles: the message, and by which words or SNOMED CT codes a role is recognised.
pub const ROLES: &[(&str, &[&str])] = &[
    ("role-physician", &["physician", "doctor", "309343006", "112247003"]),
    ("role-nurse", &["nurse", "106292003", "224535009"]),
    ("role-pharmacist", &["pharmacist", "46255001"]),
    ("role-dentist", &["dentist", "106289002"]),
    ("role-midwife", &["midwife", "309453006"]),
    ("role-researcher", &["researcher"]),
];

/// The messages of all codes; roles have an attribute `one` ("a physician") besides.
#[must_use]
pub fn messages() -> Vec<String> {
    let of = |prefix: &str, codes: &[&str]| {
        codes.iter().map(|code| format!("{prefix}-{code}")).collect::<Vec<_>>()
    };
    let roles = ROLES.iter().flat_map(|(id, _)| [(*id).to_owned(), format!("{id}.one")]);
    let mut ids = of("purpose", PURPOSES);
    ids.extend(of("category", CATEGORIES));
    ids.extend(of("confidentiality", LABELS));
    ids.extend(of("resource", RESOURCES));
    ids.extend(roles);
    ids
}

/// The message that says a code, if there is one.
#[must_use]
pub fn of_coding(coding: &Coding) -> Option<String> {
    let (prefix, known) = match coding.system.as_deref()? {
        ACT_REASON => ("purpose", PURPOSES),
        LOINC => ("category", CATEGORIES),
        CONFIDENTIALITY => ("confidentiality", LABELS),
        RESOURCE_TYPES => ("resource", RESOURCES),
        _ => return None,
    };
    known.contains(&&*coding.code).then(|| format!("{prefix}-{}", &*coding.code))
}

/// The message that says a type of FHIR resource, if there is one.
#[must_use]
pub fn of_resource_type(name: &str) -> Option<String> {
    RESOURCES.contains(&name).then(|| format!("resource-{name}"))
}

/// The message that says a role, if it is a common one.
#[must_use]
pub fn of_role(role: &Concept) -> Option<&'static str> {
    let by_word = role.text.iter().map(|text| text.trim().to_ascii_lowercase());
    let by_code = role
        .codings
        .iter()
        .filter(|coding| coding.system.as_deref().is_none_or(|system| system == SNOMED))
        .map(|coding| coding.code.to_ascii_lowercase());
    let found: Vec<String> = by_word.chain(by_code).collect();
    ROLES.iter().find(|(_, names)| found.iter().any(|name| names.contains(&name.as_str()))).map(|(id, _)| *id)
}
