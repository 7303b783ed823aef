//! Transactions and batches, and the bundles that go out.

use custos_custodian::fhir::catalogue::{Found, Page};
use custos_custodian::fhir::outcome::{self, Issue, operation_outcome};
use custos_custodian::fhir::request::{Bundle, Entry};
use custos_custodian::fhir::search::Search;
use custos_custodian::fhir::{Outcome, Refusal};
use custos_custodian::import::{Draft, Input};
use serde_json::{Value, json};

use super::Surface;
use super::desk::{Fared, Standing};
use super::http::{Fail, location};

/// What is to be recorded of a bundle, and to which entry each draft belongs.
pub(super) struct Work {
    pub(super) inputs: Vec<Input>,
    owners: Vec<usize>,
}

/// The drafts of the entries that are not refused.
pub(super) fn work(bundle: &Bundle) -> Work {
    let mut work = Work { inputs: Vec::new(), owners: Vec::new() };
    for (number, entry) in bundle.entries.iter().enumerate() {
        if entry.refusal().is_some() {
            continue;
        }
        for outcome in &entry.outcomes {
            let draft = match outcome {
                Outcome::Event(draft) => Draft::Event(draft.clone()),
                Outcome::Rule(draft) => Draft::Rule(draft.clone()),
                Outcome::NotApplicable(_) | Outcome::Refused(_) => continue,
            };
            work.inputs.push(Input { location: format!("Bundle.entry[{number}]"), draft });
            work.owners.push(number);
        }
    }
    work
}

impl Work {
    /// What became of each entry's drafts.
    pub(super) fn by_entry(&self, fared: Vec<Fared>, entries: usize) -> Vec<Vec<Fared>> {
        let mut by_entry = vec![Vec::new(); entries];
        for (owner, fared) in self.owners.iter().zip(fared) {
            if let Some(place) = by_entry.get_mut(*owner) {
                place.push(fared);
            }
        }
        by_entry
    }
}

/// A refusal of planning, named from the bundle.
pub(super) fn within(refusal: &Refusal, number: usize) -> Refusal {
    let rest = refusal.element.split_once('.').map_or("", |(_, rest)| rest);
    let dot = if rest.is_empty() { "" } else { "." };
    Refusal { element: format!("Bundle.entry[{number}].resource{dot}{rest}"), ..refusal.clone() }
}

/// The refusals by which a transaction fails, all of them.
pub(super) fn refusals(bundle: &Bundle) -> Vec<Refusal> {
    bundle.entries.iter().filter_map(Entry::refusal).cloned().collect()
}

/// One entry of the answer.
pub(super) fn entry(surface: &Surface, number: usize, asked: &Entry, fared: &[Fared]) -> Value {
    let failed = |status: u16, issues: &[Issue]| json!({ "response": { "status": status.to_string(), "outcome": operation_outcome(issues) } });
    if let Some(refusal) = asked.refusal() {
        return failed(outcome::status(refusal.code), &[Issue::of_refusal(refusal)]);
    }
    let refused = fared.iter().find_map(|fared| match fared {
        Fared::Refused(refusal) => Some(within(refusal, number)),
        _ => None,
    });
    if let Some(refusal) = refused {
        return failed(outcome::status(refusal.code), &[Issue::of_refusal(&refusal)]);
    }
    let by_ledger = fared.iter().find_map(|fared| match fared {
        Fared::Kept { standing: Standing::Refused(why), .. } => Some(why),
        _ => None,
    });
    if let Some(why) = by_ledger {
        return failed(422, &[Issue::error("business-rule", "refused-by-the-ledger", why)]);
    }
    if fared.is_empty() {
        let why = asked.outcomes.iter().find_map(|outcome| match outcome {
            Outcome::NotApplicable(why) => Some(why.as_str()),
            _ => None,
        });
        let issue = Issue::warning("not-supported", "not-kept", why.unwrap_or("nothing to record"));
        return json!({ "response": { "status": "200", "outcome": operation_outcome(&[issue]) } });
    }
    let status = super::http::status_of(fared, asked.replaces.is_some());
    match super::http::found_of(surface, fared).first() {
        Some(found) => {
            let mut response = json!({
                "status": status.to_string(),
                "location": location(surface, found),
                "etag": format!("W/\"{}\"", found.version),
            });
            if let (Some(time), Some(object)) = (found.recorded, response.as_object_mut()) {
                object.insert("lastModified".into(), json!(time.to_string()));
            }
            json!({ "response": response })
        }
        None => json!({ "response": { "status": status.to_string() } }),
    }
}

/// The answer to a transaction or batch.
pub(super) fn response(is_transaction: bool, entries: Vec<Value>) -> Value {
    let kind = if is_transaction { "transaction-response" } else { "batch-response" };
    let mut bundle = json!({ "resourceType": "Bundle", "type": kind });
    with_entries(&mut bundle, entries);
    bundle
}

/// A page of a search. What was not looked at is said in the page and left out of its links.
pub(super) fn searchset(surface: &Surface, search: &Search, page: Page) -> Result<Value, Fail> {
    let link =
        |after: Option<&str>| format!("{}/{}?{}", surface.address, search.of.word(), search.query(after));
    let mut links = vec![json!({ "relation": "self", "url": link(search.after.as_deref()) })];
    if let Some(next) = &page.next {
        links.push(json!({ "relation": "next", "url": link(Some(next)) }));
    }
    let mut bundle = json!({ "resourceType": "Bundle", "type": "searchset", "link": links });
    if let (Some(total), Some(object)) = (page.total, bundle.as_object_mut()) {
        object.insert("total".into(), json!(total));
    }
    let mut entries: Vec<Value> = page
        .found
        .into_iter()
        .map(|found| {
            json!({
                "fullUrl": format!("{}/{}/{}", surface.address, found.of.word(), found.id),
                "resource": found.resource,
                "search": { "mode": "match" },
            })
        })
        .collect();
    if !search.unknown.is_empty() {
        let issues: Vec<Issue> = search
            .unknown
            .iter()
            .map(|name| {
                Issue::warning(
                    "not-supported",
                    "unknown-parameter",
                    format!("the parameter {name:?} was not looked at"),
                )
            })
            .collect();
        entries.push(json!({ "resource": operation_outcome(&issues), "search": { "mode": "outcome" } }));
    }
    with_entries(&mut bundle, entries);
    Ok(bundle)
}

/// Every version of a resource, newest first.
pub(super) fn history(surface: &Surface, mut versions: Vec<Found>) -> Value {
    versions.reverse();
    let entries: Vec<Value> = versions
        .iter()
        .map(|found| {
            let method = if found.version == 1 { "POST" } else { "PUT" };
            let url = match found.version {
                1 => found.of.word().to_owned(),
                _ => format!("{}/{}", found.of.word(), found.id),
            };
            json!({
                "fullUrl": format!("{}/{}/{}", surface.address, found.of.word(), found.id),
                "resource": found.resource,
                "request": { "method": method, "url": url },
                "response": {
                    "status": if found.version == 1 { "201" } else { "200" },
                    "etag": format!("W/\"{}\"", found.version),
                },
            })
        })
        .collect();
    let mut bundle = json!({ "resourceType": "Bundle", "type": "history", "total": versions.len() });
    with_entries(&mut bundle, entries);
    bundle
}

/// Several resources that one request made.
pub(super) fn collection(surface: &Surface, found: &[Found]) -> Value {
    let entries = found
        .iter()
        .map(|found| {
            json!({
                "fullUrl": format!("{}/{}/{}", surface.address, found.of.word(), found.id),
                "resource": found.resource,
            })
        })
        .collect();
    let mut bundle = json!({ "resourceType": "Bundle", "type": "collection" });
    with_entries(&mut bundle, entries);
    bundle
}

/// FHIR has no empty arrays.
fn with_entries(bundle: &mut Value, entries: Vec<Value>) {
    if let (false, Some(object)) = (entries.is_empty(), bundle.as_object_mut()) {
        object.insert("entry".into(), Value::Array(entries));
    }
}
