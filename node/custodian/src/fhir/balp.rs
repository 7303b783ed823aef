//! IHE Basic Audit Log Patterns (BALP 1.1.5): its 19 profiles, and which elements they demand.
//!
//! Only to mark a record as incomplete: an event that claims a profile and lacks what it demands is
//! recorded all the same. The demands are those cardinalities of the profiles that decide whether
//! an auditor can tell who did what to whose data.

use custos_proof::cbor::List;
use custos_proof::sealed_values::Token;

use super::element::Element;

/// The ids of BALP's AuditEvent profiles, as they stand in the guide.
pub const PROFILES: [&str; 19] = [
    "IHE.BasicAudit.AuthZconsent",
    "IHE.BasicAudit.Create",
    "IHE.BasicAudit.Delete",
    "IHE.BasicAudit.OAUTHaccessTokenUse.Comprehensive",
    "IHE.BasicAudit.OAUTHaccessTokenUse.Minimal",
    "IHE.BasicAudit.OAUTHaccessTokenUse.Opaque",
    "IHE.BasicAudit.PatientCreate",
    "IHE.BasicAudit.PatientDelete",
    "IHE.BasicAudit.PatientQuery",
    "IHE.BasicAudit.PatientRead",
    "IHE.BasicAudit.PatientUpdate",
    "IHE.BasicAudit.PrivacyDisclosure.Recipient",
    "IHE.BasicAudit.PrivacyDisclosure.Source",
    "IHE.BasicAudit.Query",
    "IHE.BasicAudit.Read",
    "IHE.BasicAudit.SAMLaccessTokenUse.Comprehensive",
    "IHE.BasicAudit.SAMLaccessTokenUse.Minimal",
    "IHE.BasicAudit.Update",
    "IHE.IUA.71",
];

/// Where the guide's definitions stand: a profile's address is this and its id.
pub const DEFINITIONS: &str = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/";

/// The id of a BALP profile, from its canonical address with or without a version.
#[must_use]
pub fn recognised(profile: &str) -> Option<&'static str> {
    let name = profile.strip_prefix(DEFINITIONS)?;
    let name = name.split('|').next().unwrap_or(name);
    PROFILES.into_iter().find(|known| *known == name)
}

const DICOM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const PARTICIPANT: &str = "http://terminology.hl7.org/CodeSystem/provenance-participant-type";
const USER_AGENT: &str = "https://profiles.ihe.net/ITI/BALP/CodeSystem/UserAgentTypes";

/// The elements that the claimed profiles (or base R4) demand and that the event lacks.
pub(super) fn missing(event: &Element<'_>, profiles: &[Token]) -> List<Token, 32> {
    let mut demands: Vec<Demand> = BASE.to_vec();
    demands.extend(profiles.iter().filter_map(|profile| recognised(profile)).flat_map(profile));
    lacking(event, &demands)
}

/// The elements that base R5 demands and that the event lacks. BALP has no profiles for R5.
pub(super) fn missing_r5(event: &Element<'_>) -> List<Token, 32> {
    lacking(event, BASE_R5)
}

fn lacking(event: &Element<'_>, demands: &[Demand]) -> List<Token, 32> {
    let mut lacking: Vec<Token> = demands
        .iter()
        .filter(|demand| !demand.is_met(event))
        .filter_map(|demand| Token::new(&demand.element()))
        .collect();
    lacking.dedup();
    lacking.truncate(32);
    List::new(lacking).unwrap_or_default()
}

/// One thing that has to be there.
#[derive(Debug, Clone)]
enum Demand {
    /// An element of the event.
    Child(&'static str),
    /// An element of every agent, or of the source.
    Below(&'static str, &'static str),
    /// `action` has this letter.
    Letter(&'static str),
    /// An agent of this type.
    Agent(&'static str, &'static str),
    /// An entity of this type and, if given, role.
    Entity(&'static str, Option<&'static str>),
    /// A search stands in an entity.
    Query,
    /// A token under which the user acted.
    Policy,
}

/// What base R4 demands and the import does not refuse for.
const BASE: &[Demand] =
    &[Demand::Child("type"), Demand::Below("agent", "requestor"), Demand::Below("source", "observer")];

/// What base R5 demands and the import does not refuse for.
const BASE_R5: &[Demand] =
    &[Demand::Child("code"), Demand::Below("agent", "who"), Demand::Below("source", "observer")];

/// # Correctness
/// Has an arm for each of [`PROFILES`]; a test asks for every one.
fn profile(name: &str) -> Vec<Demand> {
    use Demand::{Agent, Child, Entity, Letter, Policy, Query};
    let common = [Child("subtype"), Child("action"), Child("outcome")];
    let source = Agent(DICOM, "110153");
    let destination = Agent(DICOM, "110152");
    let patient = Entity("1", Some("1"));
    let data = Entity("2", None);
    let both = |letter, rest: &[Demand]| {
        let mut demands = common.to_vec();
        demands.extend([Letter(letter), source.clone(), destination.clone()]);
        demands.extend_from_slice(rest);
        demands
    };
    let delete = |rest: &[Demand]| {
        let mut demands = common.to_vec();
        demands.extend([Letter("D"), Agent(DICOM, "110150"), Agent(PARTICIPANT, "custodian")]);
        demands.extend_from_slice(rest);
        demands
    };
    match name.strip_prefix("IHE.BasicAudit.").unwrap_or(name) {
        "Create" => both("C", &[data]),
        "PatientCreate" => both("C", &[data, patient]),
        "Read" => both("R", &[data]),
        "PatientRead" => both("R", &[data, patient]),
        "Update" => both("U", &[data]),
        "PatientUpdate" => both("U", &[data, patient]),
        "Delete" => delete(&[data]),
        "PatientDelete" => delete(&[data, patient]),
        "Query" => both("E", &[Query]),
        "PatientQuery" => both("E", &[Query, patient]),
        "PrivacyDisclosure.Source" => both("R", &[patient, Child("purposeOfEvent"), Child("entity")]),
        "PrivacyDisclosure.Recipient" => both("C", &[patient, Child("purposeOfEvent"), Child("entity")]),
        "AuthZconsent" => {
            let mut demands = common.to_vec();
            demands.extend([Letter("E"), patient, Entity("Consent", None)]);
            demands
        }
        "IHE.IUA.71" => {
            let mut demands = common.to_vec();
            demands.extend([
                Letter("E"),
                Agent(DICOM, "110150"),
                Agent(USER_AGENT, "AuthzOauthService"),
                data,
                Query,
            ]);
            demands
        }
        "OAUTHaccessTokenUse.Comprehensive" => vec![Agent(DICOM, "110150"), Policy],
        "OAUTHaccessTokenUse.Opaque" | "OAUTHaccessTokenUse.Minimal" => {
            vec![Agent(USER_AGENT, "UserOauthAgent"), Policy]
        }
        "SAMLaccessTokenUse.Minimal" | "SAMLaccessTokenUse.Comprehensive" => {
            vec![Agent(USER_AGENT, "UserSamlAgent"), Policy]
        }
        _ => Vec::new(),
    }
}

impl Demand {
    fn element(&self) -> String {
        match self {
            Demand::Child(name) => format!("AuditEvent.{name}"),
            Demand::Below(parent, name) => format!("AuditEvent.{parent}.{name}"),
            Demand::Letter(letter) => format!("AuditEvent.action = {letter}"),
            Demand::Agent(_, code) => format!("AuditEvent.agent of type {code}"),
            Demand::Entity(code, None) => format!("AuditEvent.entity of type {code}"),
            Demand::Entity(code, Some(role)) => format!("AuditEvent.entity of type {code}, role {role}"),
            Demand::Query => "AuditEvent.entity.query".into(),
            Demand::Policy => "AuditEvent.agent.policy".into(),
        }
    }

    fn is_met(&self, event: &Element<'_>) -> bool {
        let list = |name| event.list(name, usize::MAX).unwrap_or_default();
        let code = |element: &Element<'_>, child: &str| {
            element.child(child).and_then(|coding| coding.peek_child("code").map(String::from))
        };
        match self {
            Demand::Child(name) => event.child(name).is_some(),
            Demand::Below("agent", name) => list("agent").iter().all(|agent| agent.child(name).is_some()),
            Demand::Below(parent, name) => {
                event.child(parent).is_some_and(|parent| parent.child(name).is_some())
            }
            Demand::Letter(letter) => event.peek_child("action") == Some(*letter),
            Demand::Agent(system, wanted) => {
                list("agent").iter().filter_map(|agent| agent.child("type")).any(|concept| {
                    let codings = concept.list("coding", usize::MAX).unwrap_or_default();
                    codings.iter().any(|coding| {
                        coding.peek_child("system") == Some(*system)
                            && coding.peek_child("code") == Some(*wanted)
                    })
                })
            }
            Demand::Entity(wanted, role) => list("entity").iter().any(|entity| {
                code(entity, "type").as_deref() == Some(*wanted)
                    && role.is_none_or(|role| code(entity, "role").as_deref() == Some(role))
            }),
            Demand::Query => list("entity").iter().any(|entity| entity.child("query").is_some()),
            Demand::Policy => list("agent").iter().any(|agent| agent.child("policy").is_some()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_of_the_guide_is_known_and_demands_something() {
        for name in PROFILES {
            assert_eq!(recognised(&format!("{DEFINITIONS}{name}")), Some(name));
            assert_eq!(recognised(&format!("{DEFINITIONS}{name}|1.1.5")), Some(name));
            assert!(!profile(name).is_empty(), "{name}");
        }
        assert_eq!(recognised(&format!("{DEFINITIONS}IHE.BasicAudit.Nothing")), None);
        assert_eq!(recognised("IHE.BasicAudit.Read"), None);
    }
}
