//! FHIR search over what a vault holds: parameters, their values, and whether a record matches.
//!
//! | parameter | AuditEvent | Consent | type |
//! |---|---|---|---|
//! | `_id` | id | id | token |
//! | `patient`, `patient:identifier`, `patient.identifier` | the subject, under any name that the vault has | the same | reference, token |
//! | `date` | `recorded` | `dateTime` | date, all prefixes |
//! | `agent`, `agent:identifier` | `agent.who` | | reference, token |
//! | `entity`, `entity:identifier` | `entity.what` | | reference, token |
//! | `action` | `action` | `provision.action` | token |
//! | `outcome` | `outcome` | | token |
//! | `purpose` | `purposeOfEvent`, `agent.purposeOfUse` | `provision.purpose` | token |
//! | `actor`, `actor:identifier` | | `provision.actor.reference` | reference, token |
//! | `status` | | `status` | token |
//! | `_count` | how many on a page | the same | number |
//!
//! Values joined by a comma are alternatives, a parameter given twice has to match twice. Patients are
//! looked up by the vault's own names, so that a search by an identifier finds what was recorded under
//! an address.
//!
//! Deliberately absent: `_include`, chains, sorting (newest first is the only order), and free text.

use custos_proof::sealed_values::{
    Agent, Coding, Concept, Evidence, Identifier, Moment, Party, Provision, Purpose, Resource, Rule,
};

use super::query::{self, MAX_PARAMETERS};
use super::request::ResourceType;
use super::{Refusal, RefusalCode, absolute};
use crate::draft::{AccessValues, SubjectKey};
use crate::vault::{SubjectId, Vault};

/// How many a page has when the client does not say.
pub const DEFAULT_COUNT: usize = 50;
/// The most that a page has.
pub const MAX_COUNT: usize = 500;
/// The most alternatives of one parameter.
const MAX_ALTERNATIVES: usize = 64;
/// The longest value of a parameter, in bytes.
const MAX_VALUE: usize = 4096;
/// The most parameters of a search besides those of paging, which every link has.
const MAX_APPLIED: usize = MAX_PARAMETERS - 2;
/// How much of a name that is not known is said again, in characters.
const SHOWN: usize = 64;

/// The parameters of each type, with FHIR's type of parameter, for the capability statement.
#[must_use]
pub const fn parameters(of: ResourceType) -> &'static [(&'static str, &'static str)] {
    match of {
        ResourceType::AuditEvent => &[
            ("_id", "token"),
            ("patient", "reference"),
            ("patient.identifier", "token"),
            ("date", "date"),
            ("agent", "reference"),
            ("entity", "reference"),
            ("action", "token"),
            ("outcome", "token"),
            ("purpose", "token"),
        ],
        ResourceType::Consent => &[
            ("_id", "token"),
            ("patient", "reference"),
            ("patient.identifier", "token"),
            ("date", "date"),
            ("status", "token"),
            ("purpose", "token"),
            ("action", "token"),
            ("actor", "reference"),
        ],
    }
}

/// A search that was understood.
#[derive(Debug, Clone)]
pub struct Search {
    /// Of which type.
    pub of: ResourceType,
    /// How many on a page.
    pub count: usize,
    /// Behind which record the page begins.
    pub after: Option<String>,
    /// The parameters that are looked at, as they were given, paging left out.
    pub applied: Vec<(String, String)>,
    /// The names of parameters that are not known: what becomes of them is the caller's to decide.
    pub unknown: Vec<String>,
    pub(super) ids: Vec<Vec<String>>,
    patients: Vec<Vec<Name>>,
    filters: Vec<Filter>,
    base: String,
}

/// All values of one parameter: one of them has to match.
#[derive(Debug, Clone)]
enum Filter {
    Date(Vec<(Prefix, Moment)>),
    Agent(Vec<Name>),
    Entity(Vec<Name>),
    Actor(Vec<Name>),
    Action(Vec<Code>),
    Outcome(Vec<Code>),
    Purpose(Vec<Code>),
    Status(Vec<Code>),
}

/// A code, with its system if the client cares.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Code {
    system: Option<String>,
    code: Option<String>,
}

/// How a client names somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    /// `Patient/17` or a whole address, made absolute.
    Address(String),
    /// The id alone, of whatever type.
    Id(String),
    /// An identifier.
    Identifier(Code),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefix {
    Eq,
    Ne,
    Gt,
    Lt,
    Ge,
    Le,
    StartsAfter,
    EndsBefore,
    Approximately,
}

impl Search {
    /// Reads the decoded parameters of a request. Addresses without a server are those of `base`.
    ///
    /// # Errors
    /// A value that cannot be read, an unknown modifier of a known parameter, or too many of something.
    pub fn parse(of: ResourceType, parameters: &[(String, String)], base: &str) -> Result<Self, Refusal> {
        let mut search = Self {
            of,
            count: DEFAULT_COUNT,
            after: None,
            applied: Vec::new(),
            unknown: Vec::new(),
            ids: Vec::new(),
            patients: Vec::new(),
            filters: Vec::new(),
            base: base.into(),
        };
        if parameters.len() > MAX_PARAMETERS {
            return Err(query::too_many());
        }
        for (name, value) in parameters {
            search.add(name, value)?;
        }
        // A link says them all again, with its own two.
        match search.applied.len() > MAX_APPLIED {
            true => Err(bad("", format!("more than {MAX_APPLIED} parameters besides those of paging"))),
            false => Ok(search),
        }
    }

    fn add(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        use ResourceType::{AuditEvent, Consent};
        if value.len() > MAX_VALUE {
            return Err(bad(name, format!("longer than {MAX_VALUE} bytes")));
        }
        let alternatives = split(value, ',');
        if alternatives.len() > MAX_ALTERNATIVES {
            return Err(bad(name, format!("more than {MAX_ALTERNATIVES} alternatives")));
        }
        let codes = || alternatives.iter().map(|text| code(text)).collect::<Vec<_>>();
        let identifiers = || codes().into_iter().map(Name::Identifier).collect::<Vec<_>>();
        let base = self.base.clone();
        let names = |of: Option<&str>| -> Vec<Name> {
            alternatives.iter().map(|text| reference(text, of, &base)).collect()
        };
        match (self.of, name) {
            (_, "_count") => {
                self.count =
                    value.parse::<usize>().map_err(|_| bad(name, "not a number".into()))?.min(MAX_COUNT);
                return Ok(());
            }
            (_, "_cursor") => {
                self.after = Some(value.into());
                return Ok(());
            }
            (_, "_format") if is_json(value) => return Ok(()),
            (_, "_id") => self.ids.push(alternatives.iter().map(|text| unescape(text)).collect()),
            (_, "patient" | "patient:Patient") => self.patients.push(names(Some("Patient"))),
            (_, "patient.identifier" | "patient:identifier" | "patient:Patient.identifier") => {
                self.patients.push(identifiers());
            }
            (_, "date") => {
                let dates = alternatives.iter().map(|text| date(text)).collect::<Result<_, _>>()?;
                self.filters.push(Filter::Date(dates));
            }
            (AuditEvent, "agent") => self.filters.push(Filter::Agent(names(None))),
            (AuditEvent, "agent:identifier") => self.filters.push(Filter::Agent(identifiers())),
            (AuditEvent, "entity") => self.filters.push(Filter::Entity(names(None))),
            (AuditEvent, "entity:identifier") => self.filters.push(Filter::Entity(identifiers())),
            (AuditEvent, "outcome") => self.filters.push(Filter::Outcome(codes())),
            (_, "action") => self.filters.push(Filter::Action(codes())),
            (_, "purpose") => self.filters.push(Filter::Purpose(codes())),
            (Consent, "status") => self.filters.push(Filter::Status(codes())),
            (Consent, "actor") => self.filters.push(Filter::Actor(names(None))),
            (Consent, "actor:identifier") => self.filters.push(Filter::Actor(identifiers())),
            (of, name) => {
                let known = name.split(':').next().unwrap_or(name);
                if name.contains(':') && parameters(of).iter().any(|(parameter, _)| *parameter == known) {
                    return Err(bad(name, "this modifier is not known".into()));
                }
                self.unknown.push(shown(name));
                return Ok(());
            }
        }
        self.applied.push((name.into(), value.into()));
        Ok(())
    }

    /// The query that asks for the same again: the page that begins behind `after`.
    #[must_use]
    pub fn query(&self, after: Option<&str>) -> String {
        let count = self.count.to_string();
        let applied = self.applied.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let paging = [("_count", count.as_str())].into_iter().chain(after.map(|at| ("_cursor", at)));
        query::written(applied.chain(paging))
    }

    /// The subjects that the search is about; none if it is about all.
    pub(super) fn subjects(&self, vault: &Vault) -> Option<Vec<SubjectId>> {
        let of_one = |names: &Vec<Name>| -> Vec<SubjectId> {
            let mut found: Vec<SubjectId> =
                names.iter().flat_map(|name| subjects_named(vault, name, &self.base)).collect();
            found.sort();
            found.dedup();
            found
        };
        let mut sets = self.patients.iter().map(of_one);
        let first = sets.next()?;
        Some(sets.fold(first, |found, other| found.into_iter().filter(|id| other.contains(id)).collect()))
    }

    /// Whether an event matches everything but its patient and its id.
    pub(super) fn matches_event(&self, values: &AccessValues) -> bool {
        self.filters.iter().all(|filter| match filter {
            Filter::Date(dates) => values
                .when
                .value()
                .and_then(|when| when.recorded.as_ref())
                .is_some_and(|recorded| matches_date(dates, recorded)),
            Filter::Agent(names) => {
                let agents: &[Agent] = values.agents.value().map_or(&[], |agents| agents);
                agents.iter().filter_map(|agent| agent.who.as_ref()).any(|who| self.is_named(who, names))
            }
            Filter::Entity(names) => {
                let resources: &[Resource] = values.resources.value().map_or(&[], |resources| resources);
                let whats = resources.iter().filter_map(|resource| resource.what.as_ref());
                whats.into_iter().any(|what| self.is_named(what, names))
            }
            Filter::Action(codes) => {
                let letter = values.action.value().and_then(super::export::letter);
                letter.is_some_and(|letter| {
                    is_one(codes, Some("http://hl7.org/fhir/audit-event-action"), letter)
                })
            }
            Filter::Outcome(codes) => {
                let code = values.outcome.value().and_then(super::export::outcome_code);
                let systems = ["http://hl7.org/fhir/audit-event-outcome", super::export::OUTCOME];
                code.is_some_and(|code| systems.iter().any(|system| is_one(codes, Some(system), code)))
            }
            Filter::Purpose(codes) => {
                let purposes: &[Purpose] = values.purpose.value().map_or(&[], |purposes| purposes);
                purposes
                    .iter()
                    .filter_map(|purpose| purpose.concept.as_ref())
                    .any(|concept| has_one(codes, concept))
            }
            Filter::Actor(_) | Filter::Status(_) => false,
        })
    }

    /// Whether a consent matches everything but its patient and its id.
    pub(super) fn matches_consent(&self, status: &str, rule: Option<&Rule>, _evidence: &Evidence) -> bool {
        let provisions = || -> Vec<&Provision> {
            rule.into_iter().flat_map(|rule| rule.root.iter().chain(rule.nested.iter())).collect()
        };
        self.filters.iter().all(|filter| match filter {
            Filter::Date(dates) => {
                rule.and_then(|rule| rule.agreed.as_ref()).is_some_and(|agreed| matches_date(dates, agreed))
            }
            Filter::Status(codes) => is_one(codes, Some("http://hl7.org/fhir/consent-state-codes"), status),
            Filter::Purpose(codes) => provisions()
                .iter()
                .flat_map(|rule| rule.purposes.iter())
                .any(|purpose| has_coding(codes, purpose)),
            Filter::Action(codes) => {
                provisions().iter().flat_map(|rule| rule.actions.iter()).any(|action| has_one(codes, action))
            }
            Filter::Actor(names) => provisions()
                .iter()
                .flat_map(|rule| rule.actors.iter())
                .filter_map(|actor| actor.who.as_ref())
                .any(|who| self.is_named(who, names)),
            Filter::Agent(_) | Filter::Entity(_) | Filter::Outcome(_) => false,
        })
    }

    fn is_named(&self, party: &Party, names: &[Name]) -> bool {
        names.iter().any(|name| match name {
            Name::Address(address) => party
                .reference
                .as_deref()
                .is_some_and(|reference| absolute(reference, &self.base) == *address),
            Name::Id(id) => party.reference.as_deref().is_some_and(|reference| {
                let whole = absolute(reference, &self.base);
                whole.rsplit('/').next() == Some(id.as_str())
            }),
            Name::Identifier(code) => {
                party.identifier.as_ref().is_some_and(|identifier| is_identified(code, identifier))
            }
        })
    }
}

/// The subjects of the vault that a client means.
fn subjects_named(vault: &Vault, name: &Name, base: &str) -> Vec<SubjectId> {
    let find = |key: SubjectKey| vault.find(&[key]).ok().flatten().into_iter().collect::<Vec<_>>();
    match name {
        Name::Address(address) => find(SubjectKey::address(address)),
        Name::Id(id) => find(SubjectKey::address(&absolute(&format!("Patient/{id}"), base))),
        Name::Identifier(Code { system: Some(system), code: Some(value) }) => {
            find(SubjectKey::identifier(if system.is_empty() { base } else { system }, value))
        }
        // Of any system: names are looked through.
        Name::Identifier(Code { system: None, code: Some(value) }) => {
            let ends = format!("|{value}");
            let has_it =
                |id: &SubjectId| {
                    vault.names(id).unwrap_or_default().iter().any(|name| {
                        name.as_str().starts_with("identifier|") && name.as_str().ends_with(&ends)
                    })
                };
            vault.subjects().filter(has_it).collect()
        }
        Name::Identifier(Code { code: None, .. }) => Vec::new(),
    }
}

fn bad(name: &str, message: String) -> Refusal {
    let element = match name {
        "" => "query".into(),
        name => format!("query parameter {}", shown(name)),
    };
    Refusal { code: RefusalCode::Unsupported, element, message }
}

/// A name as an answer says it again: as a client may have sent a mebibyte, its beginning.
fn shown(name: &str) -> String {
    name.chars().take(SHOWN).collect()
}

fn is_json(format: &str) -> bool {
    ["json", "application/json", "application/fhir+json", "application/fhir json"].contains(&format)
}

/// Parts between separators that no backslash protects.
fn split(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut is_protected = false;
    for c in text.chars() {
        match parts.last_mut() {
            Some(part) if is_protected || c != separator => part.push(c),
            _ => parts.push(String::new()),
        }
        is_protected = !is_protected && c == '\\';
    }
    parts
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut is_protected = false;
    for c in text.chars() {
        if c == '\\' && !is_protected {
            is_protected = true;
        } else {
            out.push(c);
            is_protected = false;
        }
    }
    out
}

/// `system|code`, `code`, `|code` (no system) or `system|` (any code).
fn code(text: &str) -> Code {
    match &split(text, '|')[..] {
        [system, rest @ ..] if !rest.is_empty() => {
            let code = unescape(&rest.join("|"));
            Code { system: Some(unescape(system)), code: (!code.is_empty()).then_some(code) }
        }
        _ => Code { system: None, code: Some(unescape(text)) },
    }
}

fn reference(text: &str, of: Option<&str>, base: &str) -> Name {
    let text = unescape(text);
    match (text.contains(['/', ':']), of) {
        (true, _) => Name::Address(absolute(&text, base)),
        (false, Some(of)) => Name::Address(absolute(&format!("{of}/{text}"), base)),
        (false, None) => Name::Id(text),
    }
}

fn date(text: &str) -> Result<(Prefix, Moment), Refusal> {
    let prefixes = [
        ("eq", Prefix::Eq),
        ("ne", Prefix::Ne),
        ("gt", Prefix::Gt),
        ("lt", Prefix::Lt),
        ("ge", Prefix::Ge),
        ("le", Prefix::Le),
        ("sa", Prefix::StartsAfter),
        ("eb", Prefix::EndsBefore),
        ("ap", Prefix::Approximately),
    ];
    let found = prefixes.into_iter().find_map(|(word, prefix)| Some((prefix, text.strip_prefix(word)?)));
    let (prefix, rest) = found.unwrap_or((Prefix::Eq, text));
    // A plus sign that the client did not encode arrives as a space.
    Moment::new(&rest.replace(' ', "+")).map(|moment| (prefix, moment)).ok_or_else(|| Refusal {
        code: RefusalCode::MalformedDate,
        element: "query parameter date".into(),
        message: format!("{rest:?} is not a date or time of FHIR"),
    })
}

/// FHIR R4, 3.1.1.4.8: what a record says is a range, and so is what the client says.
fn matches_date(dates: &[(Prefix, Moment)], recorded: &Moment) -> bool {
    let (first, last) = (recorded.first_ms(), recorded.last_ms());
    dates.iter().any(|(prefix, asked)| {
        let is_within = asked.first_ms() <= first && last <= asked.last_ms();
        match prefix {
            Prefix::Eq => is_within,
            Prefix::Ne => !is_within,
            Prefix::Gt => last > asked.last_ms(),
            Prefix::Lt => first < asked.first_ms(),
            Prefix::Ge => last >= asked.first_ms(),
            Prefix::Le => first <= asked.last_ms(),
            Prefix::StartsAfter => first > asked.last_ms(),
            Prefix::EndsBefore => last < asked.first_ms(),
            Prefix::Approximately => first <= asked.last_ms() && last >= asked.first_ms(),
        }
    })
}

fn is_one(codes: &[Code], system: Option<&str>, found: &str) -> bool {
    codes.iter().any(|wanted| {
        let is_system = match wanted.system.as_deref() {
            None | Some("") => true,
            wanted => wanted == system,
        };
        is_system && wanted.code.as_deref().is_none_or(|wanted| wanted == found)
    })
}

fn has_coding(codes: &[Code], coding: &Coding) -> bool {
    codes.iter().any(|wanted| {
        let is_system = match wanted.system.as_deref() {
            None => true,
            Some("") => coding.system.is_none(),
            Some(system) => coding.system.as_deref() == Some(system),
        };
        is_system && wanted.code.as_deref().is_none_or(|wanted| wanted == &*coding.code)
    })
}

fn has_one(codes: &[Code], concept: &Concept) -> bool {
    concept.codings.iter().any(|coding| has_coding(codes, coding))
}

fn is_identified(wanted: &Code, identifier: &Identifier) -> bool {
    let is_system = match wanted.system.as_deref() {
        None => true,
        Some("") => identifier.system.is_none(),
        Some(system) => identifier.system.as_deref() == Some(system),
    };
    is_system && wanted.code.as_deref().is_none_or(|wanted| identifier.value.as_deref() == Some(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(of: ResourceType, query: &[(&str, &str)]) -> Result<Search, Refusal> {
        let pairs: Vec<_> = query.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Search::parse(of, &pairs, "https://a.example/fhir")
    }

    #[test]
    fn dates_are_ranges() {
        let recorded = Moment::new("2026-03-12T10:00:00Z").unwrap();
        for (text, expected) in [
            ("2026-03-12", true),
            ("2026-03-12T10:00:00Z", true),
            ("2026-03-12T11:00:00 01:00", true),
            ("2026-03-13", false),
            ("ne2026-03-12", false),
            ("ne2026-03-13", true),
            ("gt2026-03-11", true),
            ("gt2026-03-12", false),
            ("ge2026-03-12", true),
            ("ge2026-03-13", false),
            ("lt2026-03-12", false),
            ("lt2026-03-13", true),
            ("le2026-03-12", true),
            ("le2026-03-11", false),
            ("sa2026-03-11", true),
            ("sa2026-03", false),
            ("eb2026-03-13", true),
            ("eb2026", false),
            ("ap2026", true),
        ] {
            assert_eq!(matches_date(&[date(text).unwrap()], &recorded), expected, "{text}");
        }
        for text in ["", "xx2026", "gt", "2026-13", "yesterday"] {
            assert_eq!(date(text).unwrap_err().code, RefusalCode::MalformedDate, "{text}");
        }
    }

    #[test]
    fn commas_and_bars_can_be_protected() {
        assert_eq!(split(r"a\,b,c", ','), [r"a\,b", "c"]);
        assert_eq!(unescape(r"a\,b\\c"), r"a,b\c");
        assert_eq!(code("s|c"), Code { system: Some("s".into()), code: Some("c".into()) });
        assert_eq!(code(r"s|a\|b"), Code { system: Some("s".into()), code: Some("a|b".into()) });
        assert_eq!(code("|c"), Code { system: Some("".into()), code: Some("c".into()) });
        assert_eq!(code("s|"), Code { system: Some("s".into()), code: None });
        assert_eq!(code("c"), Code { system: None, code: Some("c".into()) });
    }

    #[test]
    fn what_is_not_known_is_named_and_what_is_wrong_is_refused() {
        let search = parse(
            ResourceType::AuditEvent,
            &[("patient", "Patient/1"), ("status", "active"), ("_sort", "date"), ("_count", "9999")],
        )
        .unwrap();
        assert_eq!(search.unknown, ["status", "_sort"]);
        assert_eq!(search.applied, [("patient".to_string(), "Patient/1".to_string())]);
        assert_eq!(search.count, MAX_COUNT);
        for (name, value) in [
            ("_count", "many"),
            ("_count", "-1"),
            ("date", "soon"),
            ("agent:missing", "true"),
            ("date:not", "2026"),
        ] {
            assert!(parse(ResourceType::AuditEvent, &[(name, value)]).is_err(), "{name}={value}");
        }
        assert!(parse(ResourceType::Consent, &[("actor", &"x,".repeat(100))]).is_err());
        assert!(parse(ResourceType::Consent, &[("actor", &"x".repeat(5000))]).is_err());
        assert!(parse(ResourceType::Consent, &vec![("status", "active"); 65]).is_err());
        // As many as leave room for a link's own: every link can be followed.
        let search = parse(ResourceType::Consent, &vec![("status", "active"); MAX_APPLIED]).unwrap();
        let link = query::pairs(search.query(Some("x")).as_bytes()).unwrap();
        assert_eq!(
            Search::parse(search.of, &link, "https://a.example/fhir").unwrap().applied,
            search.applied
        );
        assert!(parse(ResourceType::Consent, &vec![("status", "active"); MAX_APPLIED + 1]).is_err());
        // A name that a client made long is not sent back to it whole.
        let refusal = parse(ResourceType::Consent, &[(&"n".repeat(1 << 20), &"x".repeat(5000))]).unwrap_err();
        assert!(refusal.element.len() < 128, "{}", refusal.element.len());
    }
}
