//! The accounting of disclosures of 45 CFR 164.528.
//!
//! A row for each disclosure of the six years before the proof's block: date, who received, address if
//! known, what, what for ((b)(2)). Several to the same recipient for one purpose are one row with
//! the first, the number and the last ((b)(3)). What (a)(1) exempts and clear purposes show is left out and
//! counted: treatment, payment, operations, and what went to the individual.
//!
//! A use within the custodian is no disclosure, and an attempt that was refused disclosed nothing. Purposes
//! that only some readings place under operations are listed, and so is what rests on a
//! consent: whether it is an authorization (164.508) the ledger does not know.

use custos_proof::kinds::access::Basis;
use custos_proof::sealed_values::{ActionKind, Agent, AgentKind, Party};

use super::{Access, Material, left_out};
use crate::codes::ACT_REASON;
use crate::report::{Cell, Column, Report};
use crate::say;
use crate::value::{self, Say as _};

/// How far back the accounting goes (164.528(a)(1)).
const YEARS: i64 = 6;

/// Purposes that are treatment in the sense of 164.501. Trials and population health stand below TREAT in HL7's
/// hierarchy and are not.
const TREATMENT: &[&str] = &["TREAT", "ETREAT", "BTG", "CAREMGT", "COC"];
/// Purposes that are payment.
const PAYMENT: &[&str] =
    &["HPAYMT", "CLMATTCH", "COVAUTH", "COVERAGE", "ELIGDTRM", "ELIGVER", "ENROLLM", "REMITADV"];
/// Purposes that are health care operations beyond doubt.
const OPERATIONS: &[&str] = &[
    "HOPERAT",
    "HACCRED",
    "HCOMPL",
    "HDM",
    "HOUTCOMS",
    "HQUALIMP",
    "HSYSADMIN",
    "HTRAIN",
    "MEMADMIN",
    "METAMGT",
    "PATADMIN",
    "PATSFTY",
    "PERFMSR",
    "RECORDMGT",
    "LABELING",
];

/// Information recipient, in HL7's participation types.
const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";

/// Why an access is no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exempt {
    Use,
    Refused,
    Treatment,
    Payment,
    Operations,
    Individual,
    Before,
}

const ALL: [Exempt; 7] = [
    Exempt::Treatment,
    Exempt::Payment,
    Exempt::Operations,
    Exempt::Individual,
    Exempt::Use,
    Exempt::Refused,
    Exempt::Before,
];

/// Makes the report.
#[must_use]
pub fn report(material: &Material<'_>) -> Report {
    let s = material.speaker;
    let since = material.since(YEARS);
    let accesses = material.accesses();
    let mut counts = [0u64; ALL.len()];
    let mut rows: Vec<Row> = Vec::new();
    let mut sealed = 0;
    for access in &accesses {
        let early = access.time() < i64::try_from(since.0).unwrap_or(i64::MAX);
        match if early { Some(Exempt::Before) } else { exempt(access) } {
            Some(reason) => {
                let at = ALL.iter().position(|one| *one == reason).unwrap_or(0);
                counts[at] += access.count();
            }
            None => {
                sealed += u64::from(access.is_sealed());
                add(&mut rows, Row::of(access, material));
            }
        }
    }
    let named: Vec<_> = ALL
        .iter()
        .zip(counts)
        .map(|(reason, count)| (key(*reason), words(*reason, material), count))
        .collect();
    let mut limits = material.limits(sealed);
    limits.extend([say!(s, "hipaa-limit-authorization"), say!(s, "hipaa-limit-other-exemptions")]);
    limits.push(say!(s, "hipaa-limit-address"));
    let column = |key, head| Column { key, head };
    Report {
        title: say!(s, "hipaa-title"),
        lines: vec![
            say!(s, "hipaa-law"),
            say!(s, "report-custodian", custodian = material.custodian()),
            say!(s, "report-period", from = s.day(since), to = s.second(material.until())),
        ],
        columns: vec![
            column("date", say!(s, "column-date")),
            column("recipient", say!(s, "column-recipient")),
            column("address", say!(s, "column-address")),
            column("description", say!(s, "column-description")),
            column("purpose", say!(s, "column-purpose")),
            column("number", say!(s, "column-number")),
            column("last", say!(s, "column-last")),
            column("finding", say!(s, "column-finding")),
            column("item", say!(s, "column-item")),
        ],
        rows: rows.into_iter().map(Row::cells).collect(),
        left_out: left_out(&named),
        withheld: material.withheld(),
        sources: material.sources(),
        limits,
    }
}

/// Why an access is not to be accounted for, if it is clear.
fn exempt(access: &Access<'_>) -> Option<Exempt> {
    if access.is_refused() {
        return Some(Exempt::Refused);
    }
    if !access.is_sealed() && !is_disclosure(access) {
        return Some(Exempt::Use);
    }
    if access.event.basis == Basis::Subject {
        return Some(Exempt::Individual);
    }
    let purposes = access.purposes()?;
    let codes: Vec<Option<&str>> = purposes.iter().map(purpose_code).collect();
    let all = |known: &[&str]| codes.iter().all(|code| code.is_some_and(|code| known.contains(&code)));
    // Every stated purpose has to be exempt: one other makes it a disclosure to account for.
    match () {
        () if all(TREATMENT) => Some(Exempt::Treatment),
        () if all(PAYMENT) => Some(Exempt::Payment),
        () if all(OPERATIONS) => Some(Exempt::Operations),
        () if all(&[TREATMENT, PAYMENT, OPERATIONS].concat()) => Some(Exempt::Operations),
        () => None,
    }
}

fn purpose_code(purpose: &custos_proof::sealed_values::Purpose) -> Option<&str> {
    let codings = &purpose.concept.as_ref()?.codings;
    codings.iter().find(|coding| coding.system.as_deref() == Some(ACT_REASON)).map(|coding| &*coding.code)
}

/// Whether something left the custodian: another organisation acted, or it was given out.
///
/// A recipient among the agents says nothing: IHE's profiles call every user who reads one.
fn is_disclosure(access: &Access<'_>) -> bool {
    access.event.acting != access.event.custodian
        || access.action().and_then(|action| action.kind) == Some(ActionKind::Export)
}

fn is_recipient(agent: &Agent) -> bool {
    agent.part.as_ref().is_some_and(|part| part.has(PARTICIPATION, "IRCP"))
}

const fn key(reason: Exempt) -> &'static str {
    match reason {
        Exempt::Treatment => "treatment",
        Exempt::Payment => "payment",
        Exempt::Operations => "operations",
        Exempt::Individual => "individual",
        Exempt::Use => "use",
        Exempt::Refused => "refused",
        Exempt::Before => "before-period",
    }
}

fn words(reason: Exempt, material: &Material<'_>) -> String {
    let s = material.speaker;
    match reason {
        Exempt::Treatment => say!(s, "hipaa-treatment"),
        Exempt::Payment => say!(s, "hipaa-payment"),
        Exempt::Operations => say!(s, "hipaa-operations"),
        Exempt::Individual => say!(s, "hipaa-individual"),
        Exempt::Use => say!(s, "hipaa-use"),
        Exempt::Refused => say!(s, "left-out-refused"),
        Exempt::Before => say!(s, "left-out-before"),
    }
}

/// One disclosure, or several to the same recipient for one purpose.
struct Row {
    first: Cell,
    recipient: Cell,
    address: Cell,
    description: Cell,
    purpose: Cell,
    number: u64,
    last: Option<Cell>,
    finding: String,
    item: Cell,
    /// Whether like ones may be told together: one purpose, and nothing sealed.
    is_single_purpose: bool,
}

impl Row {
    fn of(access: &Access<'_>, material: &Material<'_>) -> Self {
        let s = material.speaker;
        let rules = material.rules();
        let telling = access.telling(material, &rules);
        let purposes = access.purposes();
        Self {
            first: access.date(),
            recipient: recipient(access, material),
            address: address(access, material),
            description: material.words_or(telling.object(), access.shown, 10),
            purpose: material.words_or(telling.purposes(), access.shown, 4),
            number: access.count(),
            last: None,
            finding: access.finding(s),
            item: access.reference(),
            is_single_purpose: purposes.is_some_and(|purposes| purposes.len() == 1),
        }
    }

    fn is_like(&self, other: &Row) -> bool {
        self.is_single_purpose
            && other.is_single_purpose
            && self.recipient == other.recipient
            && self.address == other.address
            && self.purpose == other.purpose
            && self.description == other.description
            && self.finding == other.finding
    }

    fn cells(self) -> Vec<Cell> {
        vec![
            self.first,
            self.recipient,
            self.address,
            self.description,
            self.purpose,
            Cell::Number(self.number),
            self.last.unwrap_or(Cell::Empty),
            Cell::Text(self.finding),
            self.item,
        ]
    }
}

/// Adds a row, to a like one if there is one: rows come in the order of time.
fn add(rows: &mut Vec<Row>, row: Row) {
    match rows.iter_mut().find(|before| before.is_like(&row)) {
        Some(before) => {
            before.number += row.number;
            before.last = Some(row.first);
        }
        None => rows.push(row),
    }
}

/// Who received: the recipient that the source names, else the acting organisation with its person.
fn recipient(access: &Access<'_>, material: &Material<'_>) -> Cell {
    let (s, names) = (material.speaker, material.names);
    let agents = access.agents();
    if let Some(agent) = agents.as_deref().and_then(|agents| agents.iter().find(|agent| is_recipient(agent)))
        && let Some(name) = value::agent_name(agent, s, names)
    {
        return Cell::Text(name);
    }
    if access.event.acting != access.event.custodian {
        let organisation = names.of(&access.event.acting, s);
        let person = agents.as_deref().and_then(crate::event::person);
        let person = person.and_then(|agent| value::agent_name(agent, s, names));
        return Cell::Text(match person {
            Some(person) => say!(s, "value-with-note", words = organisation, note = person),
            None => organisation,
        });
    }
    let outside = agents.as_deref().and_then(|agents| {
        agents
            .iter()
            .find(|agent| agent.kind == Some(AgentKind::Organisation) && agent.requestor != Some(true))
    });
    material.words_or(outside.and_then(|agent| value::agent_name(agent, s, names)), access.shown, 8)
}

/// The address, as far as it is known.
fn address(access: &Access<'_>, material: &Material<'_>) -> Cell {
    let (s, names) = (material.speaker, material.names);
    let agents = access.agents();
    let stated = agents.as_deref().and_then(|agents| agents.iter().find(|agent| is_recipient(agent)));
    let stated = stated.and_then(|agent| agent.location.as_ref()).map(|place: &Party| place.say(s, names));
    let country = || {
        let is_outside = access.event.acting != access.event.custodian;
        let country = is_outside.then(|| names.jurisdiction(&access.event.acting)).flatten();
        country.map(|country| say!(s, "hipaa-country", country = country))
    };
    Cell::Text(stated.or_else(country).unwrap_or_else(|| say!(s, "hipaa-no-address")))
}
