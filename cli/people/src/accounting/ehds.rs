//! The information on accesses of Article 9 of Regulation (EU) 2025/327 (European Health Data Space).
//!
//! A row for each access of at least the three years before the proof's block, with what Annex II, 3.2 has
//! logged: which organisation and which persons, which categories of data, when, and from where the data came.
//! Emergencies are named as such. Attempts that were refused or failed accessed nothing; they are counted.
//!
//! Restrictions of the right (Article 9(3)) show as entries that are withheld, counted and named.

use custos_proof::kinds::access::Basis;
use custos_proof::sealed_values::{ActionKind, AgentKind, OutcomeKind, Parties};

use super::{Access, Material, left_out};
use crate::event::{agent_words, opened};
use crate::report::{Cell, Column, Report};
use crate::say;
use crate::value;

/// How far back the information goes at least (Article 9(2)).
const YEARS: i64 = 3;

/// Makes the report.
#[must_use]
pub fn report(material: &Material<'_>) -> Report {
    let s = material.speaker;
    let since = material.since(YEARS);
    let (mut refused, mut before, mut sealed) = (0, 0, 0);
    let mut rows = Vec::new();
    for access in &material.accesses() {
        if access.time() < i64::try_from(since.0).unwrap_or(i64::MAX) {
            before += access.count();
        } else if access.is_refused() {
            refused += access.count();
        } else {
            sealed += u64::from(access.is_sealed());
            rows.push(row(access, material));
        }
    }
    let counts = [
        ("refused", say!(s, "left-out-refused"), refused),
        ("before-period", say!(s, "left-out-before"), before),
    ];
    let mut limits = material.limits(sealed);
    limits.push(say!(s, "ehds-limit-restriction"));
    let column = |key, head| Column { key, head };
    Report {
        title: say!(s, "ehds-title"),
        lines: vec![
            say!(s, "ehds-law"),
            say!(s, "ehds-free"),
            say!(s, "report-custodian", custodian = material.custodian()),
            say!(s, "report-period", from = s.day(since), to = s.second(material.until())),
        ],
        columns: vec![
            column("time", say!(s, "column-time")),
            column("organisation", say!(s, "column-organisation")),
            column("persons", say!(s, "column-persons")),
            column("categories", say!(s, "column-categories")),
            column("origin", say!(s, "column-origin")),
            column("action", say!(s, "column-action")),
            column("ground", say!(s, "column-ground")),
            column("number", say!(s, "column-number")),
            column("finding", say!(s, "column-finding")),
            column("item", say!(s, "column-item")),
        ],
        rows,
        left_out: left_out(&counts),
        withheld: material.withheld(),
        sources: material.sources(),
        limits,
    }
}

fn row(access: &Access<'_>, material: &Material<'_>) -> Vec<Cell> {
    let (s, names) = (material.speaker, material.names);
    let rules = material.rules();
    let telling = access.telling(material, &rules);
    let origins =
        opened::<Parties>(access.shown, 7).map(|origins| s.all_of(&value::each(&origins, s, names)));
    let action = access.action().and_then(|action| action.kind).map(|kind| s.word(kind));
    let ground = match is_emergency(access) {
        true => say!(s, "ehds-emergency", ground = s.word(access.event.basis)),
        false => s.word(access.event.basis),
    };
    vec![
        access.date(),
        Cell::Text(names.of(&access.event.acting, s)),
        material.words_or(persons(access, material), access.shown, 8),
        material.words_or(telling.object(), access.shown, 10),
        material.words_or(origins, access.shown, 7),
        material.words_or(action, access.shown, 1),
        Cell::Text(ground),
        Cell::Number(access.count()),
        Cell::Text(access.finding(s)),
        access.reference(),
    ]
}

/// The natural persons who took part.
fn persons(access: &Access<'_>, material: &Material<'_>) -> Option<String> {
    let (s, names) = (material.speaker, material.names);
    let agents = access.agents()?;
    let persons: Vec<String> = agents
        .iter()
        .filter(|agent| agent.kind == Some(AgentKind::Person))
        .filter_map(|agent| agent_words(agent, s, names))
        .collect();
    (!persons.is_empty()).then(|| s.all_of(&persons))
}

fn is_emergency(access: &Access<'_>) -> bool {
    let action = access.action().and_then(|action| action.kind);
    access.event.basis == Basis::Emergency
        || access.outcome() == Some(OutcomeKind::Overridden)
        || matches!(action, Some(ActionKind::StartBreakGlass | ActionKind::StopBreakGlass))
}
