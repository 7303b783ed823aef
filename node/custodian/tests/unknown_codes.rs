//! Codes that nobody knows, in every place of every IHE example where a code stands.
//!
//! One code at a time is replaced by one of a system that does not exist. What is read is refused with a reason
//! that names an element on the way to it, or carries system and code as they are, or says in the record's
//! own list that they were not carried. Nothing is dropped in silence, and no unknown status or effect permits.
//!
//! The walk over the JSON uses `serde_json` and knows nothing of the importer.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::PathBuf;

use custos_custodian::fhir::{self, Options, Outcome, RefusalCode};
use custos_proof::cbor::View;
use custos_proof::ids::TimeMs;
use custos_proof::kinds::Kind;
use custos_proof::kinds::rule::Collected;
use custos_proof::sealed_values;
use serde_json::Value;

/// 2026-03-12T10:00:00Z
const NOW: TimeMs = TimeMs(1_773_309_600_000);
const SYSTEM: &str = "urn:example:a-system-that-nobody-has";
const CODE: &str = "a-code-that-nobody-knows";

/// Codes without a system, whose values FHIR itself lists.
const BOUND: [&str; 7] = ["action", "outcome", "status", "type", "meaning", "decision", "use"];

fn options() -> Options {
    Options { base: "https://a.example/fhir/".into(), now: NOW, collected: Collected::Paper }
}

/// Each example's name and JSON.
fn examples() -> Vec<(String, Value)> {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testnet/data/ihe");
    let mut found = Vec::new();
    for folder in ["balp", "pcf"] {
        for entry in std::fs::read_dir(data.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if name.starts_with("AuditEvent-") || name.starts_with("Consent-") {
                found.push((name, serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap()));
            }
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

/// A place where a code stands: its JSON pointer, its path as FHIR writes it, and whether it has a system.
#[derive(Debug)]
struct Place {
    pointer: String,
    element: String,
    coding: bool,
}

fn places(json: &Value, pointer: &str, element: &str, found: &mut Vec<Place>) {
    match json {
        Value::Object(members) => {
            if members.contains_key("code") && members.contains_key("system") {
                found.push(Place { pointer: pointer.into(), element: element.into(), coding: true });
                return;
            }
            for (name, value) in members {
                let (pointer, element) = (format!("{pointer}/{name}"), format!("{element}.{name}"));
                if value.is_string() && BOUND.contains(&name.as_str()) {
                    found.push(Place { pointer, element, coding: false });
                } else {
                    places(value, &pointer, &element, found);
                }
            }
        }
        Value::Array(values) => {
            for (number, value) in values.iter().enumerate() {
                places(value, &format!("{pointer}/{number}"), &format!("{element}[{number}]"), found);
            }
        }
        _ => {}
    }
}

fn replaced(mut document: Value, place: &Place) -> Value {
    let at = document.pointer_mut(&place.pointer).unwrap();
    if place.coding {
        (at["system"], at["code"]) = (SYSTEM.into(), CODE.into());
    } else {
        *at = CODE.into();
    }
    document
}

fn texts(view: &View, into: &mut BTreeSet<String>) {
    match view {
        View::Text(text) => drop(into.insert(text.clone())),
        View::List(views) => views.iter().for_each(|view| texts(view, into)),
        View::Fields(fields) => fields.iter().for_each(|(_, view)| texts(view, into)),
        View::Bool(_) | View::Number(_) | View::Absent | View::Time(_) => {}
    }
}

/// Whether one element is on the way to the other.
fn on_the_way(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// What became of a code.
enum Became {
    Refused(RefusalCode, String),
    Carried,
    Named,
    Lost(String),
}

fn became(document: &Value, place: &Place) -> Vec<Became> {
    let readings = fhir::read_bytes("test.json", document.to_string().as_bytes(), &options());
    assert!(!readings.is_empty(), "{place:?}: nothing was read, and nothing said");
    let judge = |outcome: Outcome| {
        let (fields, kind, not_carried) = match outcome {
            Outcome::Refused(refusal) => return Became::Refused(refusal.code, refusal.element),
            Outcome::NotApplicable(what) => return Became::Lost(format!("not applicable: {what:?}")),
            Outcome::Event(draft) => {
                let not_carried = draft.values.source.value().unwrap().not_carried.to_vec();
                (draft.values.to_fields(), Kind::AccessEvent, not_carried)
            }
            Outcome::Rule(draft) => {
                let not_carried = draft.evidence.record.as_ref().unwrap().not_carried.to_vec();
                (draft.to_fields(), Kind::RulePut, not_carried)
            }
        };
        let mut carried = BTreeSet::new();
        for (field, value) in (1..).zip(&fields) {
            texts(&sealed_values::view(kind, field, value).unwrap(), &mut carried);
        }
        let named = not_carried.iter().map(|token| token.to_string());
        if named
            .map(|name| name.split(' ').next().unwrap_or_default().to_owned())
            .any(|name| on_the_way(&name, &place.element))
        {
            return Became::Named;
        }
        match carried.contains(CODE) && (!place.coding || carried.contains(SYSTEM)) {
            true => Became::Carried,
            false => Became::Lost(format!("carried: {carried:?}")),
        }
    };
    readings.into_iter().map(|reading| judge(reading.outcome)).collect()
}

#[test]
fn no_unknown_code_of_any_example_is_dropped_in_silence() {
    let (mut carried, mut named, mut refused) = (0, 0, 0);
    let mut lost = BTreeSet::new();
    for (name, document) in examples() {
        let kind = document["resourceType"].as_str().unwrap().to_owned();
        let mut found = Vec::new();
        places(&document, "", &kind, &mut found);
        assert!(found.len() > 3, "{name}");
        for place in found {
            for became in became(&replaced(document.clone(), &place), &place) {
                match became {
                    Became::Carried => carried += 1,
                    Became::Named => named += 1,
                    Became::Refused(code, element) => {
                        refused += 1;
                        // What is nested is measured against the root, and then it is what is named; one example is
                        // over, whatever else it says.
                        let other = matches!(code, RefusalCode::NestedWider | RefusalCode::PeriodOver);
                        if !on_the_way(&element, &place.element) && !other {
                            lost.insert(format!(
                                "{name}: {}: refused for {element} ({code:?})",
                                place.element
                            ));
                        }
                    }
                    Became::Lost(what) => drop(lost.insert(format!("{name}: {}: {what}", place.element))),
                }
            }
        }
    }
    assert!(lost.is_empty(), "{}", lost.into_iter().collect::<Vec<_>>().join("\n"));
    assert!(carried > 500 && refused > 20, "carried {carried}, named {named}, refused {refused}");
}

#[test]
fn an_unknown_status_or_effect_never_permits() {
    for (name, document) in examples().into_iter().filter(|(name, _)| name.starts_with("Consent-")) {
        for (pointer, element) in
            [("/status", "Consent.status"), ("/provision/type", "Consent.provision.type")]
        {
            let place = Place { pointer: pointer.into(), element: element.into(), coding: false };
            if document.pointer(pointer).is_none() {
                continue;
            }
            for became in became(&replaced(document.clone(), &place), &place) {
                let Became::Refused(_, refused) = became else { panic!("{name}: {element} was taken") };
                assert!(refused.starts_with("Consent"), "{name}: {element}: {refused}");
            }
        }
    }
}
