//! ITI-20 as FHIR: `POST AuditEvent` and bundles of them.
//!
//! ```text
//! POST [base]/AuditEvent   one                       201, or 200 if it was accepted before
//! POST [base]              Bundle, transaction       all or nothing; 200 with a transaction-response
//!                          Bundle, batch             each for itself; 200 with a batch-response
//! GET  [base]/metadata     CapabilityStatement
//! ```
//!
//! The answer comes when everything accepted is on disk. 507 says that there is no room, 503 that the
//! feed stops or its disk fails; both with Retry-After, and nothing was taken then. Errors are
//! OperationOutcomes that name the element.
//!
//! An answer names what was accepted by an id made of its content, so that the same document has the
//! same id. It cannot be read back here: reading is for the custodian's node.
//!
//! Deliberately absent: XML, reading, searching, deleting.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use custos_custodian::fhir::Refusal;
use custos_custodian::fhir::outcome::{Issue, Severity, operation_outcome};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::document::Document;
use crate::intake::Intake;
use crate::spooler::{Entry, Refused, Verdict};

/// How sources are told to wait.
const RETRY_AFTER_S: u32 = 30;
/// The most resources of a bundle.
const MAX_ENTRIES: usize = 5_000;
/// How many bodies are in memory at a time.
const BODIES: usize = 16;
/// For a whole request.
const PATIENCE: Duration = Duration::from_secs(60);
const INPUT: &str = "http";
const FHIR_JSON: &str = "application/fhir+json";

/// The routes, below `path`.
pub fn router(intake: Intake, path: &str, max_body: usize) -> Router {
    let routes = Router::new()
        .route("/AuditEvent", post(create))
        .route("/metadata", get(metadata))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method);
    let base = if path.is_empty() { "/" } else { path };
    let whole = match base {
        "/" => routes.route("/", post(bundle)),
        path => Router::new()
            .route(path, post(bundle))
            .nest(path, routes)
            .fallback(no_route)
            .method_not_allowed_fallback(no_method),
    };
    let bounds = Arc::new(Semaphore::new(BODIES));
    whole
        .layer(DefaultBodyLimit::max(max_body))
        .layer(middleware::from_fn_with_state(bounds, bounded))
        .with_state(intake)
}

/// So many bodies in memory at a time, and so long for each.
async fn bounded(State(bounds): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let answer = async {
        let _turn = bounds.acquire().await;
        next.run(request).await
    };
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(response) => response,
        Err(_) => problem(StatusCode::REQUEST_TIMEOUT, "timeout", "the request took too long", None),
    }
}

async fn create(
    State(intake): State<Intake>,
    headers: HeaderMap,
    body: Result<Bytes, BodyError>,
) -> Response {
    let body = match readable(&headers, body) {
        Ok(body) => body,
        Err(response) => return response,
    };
    let documents = match intake.read(move |reader| reader.fhir("AuditEvent", &body)).await {
        Ok(documents) => documents,
        Err(refused) => return wait(&refused),
    };
    let [document] = &documents[..] else {
        let text = "this route takes one AuditEvent; post bundles to the base address";
        return problem(StatusCode::BAD_REQUEST, "invalid", text, None);
    };
    if let Err(refusal) = &document.result {
        intake.counters().refuse(
            INPUT,
            document.location.clone(),
            refusal.code.word(),
            refusal.element.clone(),
        );
        return refused(refusal);
    }
    let id = hex::encode(document.key);
    let entries =
        documents.into_iter().filter_map(|document| intake.offer(document, None)).map(Entry::Document);
    match intake.accept(INPUT, entries.collect()).await {
        Ok(verdicts) => {
            let status = status_of(verdicts.first());
            let location = format!("AuditEvent/{id}");
            let headers = [(header::CONTENT_TYPE, FHIR_JSON), (header::LOCATION, location.as_str())];
            (status, headers, said(status).to_string()).into_response()
        }
        Err(refused) => wait(&refused),
    }
}

async fn bundle(
    State(intake): State<Intake>,
    headers: HeaderMap,
    body: Result<Bytes, BodyError>,
) -> Response {
    let body = match readable(&headers, body) {
        Ok(body) => body,
        Err(response) => return response,
    };
    let kind = bundle_kind(&body);
    let documents = match intake.read(move |reader| reader.fhir("Bundle", &body)).await {
        Ok(documents) => documents,
        Err(refused) => return wait(&refused),
    };
    let Some(kind) = kind else {
        let refusal = documents.into_iter().find_map(|document| document.result.err());
        return refusal.map_or_else(
            || problem(StatusCode::BAD_REQUEST, "invalid", "the base address takes a Bundle", None),
            |refusal| refused(&refusal),
        );
    };
    if documents.len() > MAX_ENTRIES {
        let text = format!("more than {MAX_ENTRIES} resources in a bundle; split it");
        return problem(StatusCode::PAYLOAD_TOO_LARGE, "too-costly", &text, Some("Bundle.entry"));
    }
    for document in &documents {
        if let Err(refusal) = &document.result {
            let place = document.location.clone();
            intake.counters().refuse(INPUT, place, refusal.code.word(), refusal.element.clone());
        }
    }
    let is_transaction = kind == Kind::Transaction;
    if let Some((document, refusal)) =
        documents.iter().filter(|_| is_transaction).find_map(|d| d.result.as_ref().err().map(|r| (d, r)))
    {
        let text = format!("{}; nothing of the transaction was accepted", refusal.message);
        let element = element_of(document, refusal);
        return problem(StatusCode::UNPROCESSABLE_ENTITY, issue_of(refusal), &text, Some(&element));
    }
    let rows: Vec<Result<String, Value>> = documents
        .iter()
        .map(|document| match &document.result {
            Ok(_) => Ok(hex::encode(document.key)),
            Err(refusal) => Err(outcome(
                Severity::Error,
                issue_of(refusal),
                &refusal.message,
                Some(&element_of(document, refusal)),
            )),
        })
        .collect();
    let entries =
        documents.into_iter().filter_map(|document| intake.offer(document, None)).map(Entry::Document);
    let mut verdicts = match intake.accept(INPUT, entries.collect()).await {
        Ok(verdicts) => verdicts.into_iter(),
        Err(refused) => return wait(&refused),
    };
    let answer = |row: Result<String, Value>| match row {
        Ok(id) => {
            let status = status_of(verdicts.next().as_ref());
            let line = if status == StatusCode::CREATED { "201 Created" } else { "200 OK" };
            json!({ "response": { "status": line, "location": format!("AuditEvent/{id}") } })
        }
        Err(outcome) => json!({ "response": { "status": "422 Unprocessable Entity", "outcome": outcome } }),
    };
    let entries: Vec<Value> = rows.into_iter().map(answer).collect();
    let kind = if is_transaction { "transaction-response" } else { "batch-response" };
    let body = json!({ "resourceType": "Bundle", "type": kind, "entry": entries });
    (StatusCode::OK, [(header::CONTENT_TYPE, FHIR_JSON)], body.to_string()).into_response()
}

async fn metadata() -> Response {
    let statement = json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-11-22",
        "kind": "instance",
        "software": { "name": "custos feed", "version": env!("CARGO_PKG_VERSION") },
        "implementation": { "description": "Takes AuditEvents for an audit ledger (IHE ITI-20). Nothing can be read here." },
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [{
            "mode": "server",
            "resource": [{ "type": "AuditEvent", "interaction": [{ "code": "create" }] }],
            "interaction": [{ "code": "transaction" }, { "code": "batch" }],
        }],
    });
    (StatusCode::OK, [(header::CONTENT_TYPE, FHIR_JSON)], statement.to_string()).into_response()
}

async fn no_route() -> Response {
    problem(StatusCode::NOT_FOUND, "not-supported", "only AuditEvents are taken here; see metadata", None)
}

async fn no_method() -> Response {
    problem(StatusCode::METHOD_NOT_ALLOWED, "not-supported", "events are posted here, and nothing else", None)
}

type BodyError = axum::extract::rejection::BytesRejection;

#[allow(clippy::result_large_err)] // The error is the answer.
fn readable(headers: &HeaderMap, body: Result<Bytes, BodyError>) -> Result<Bytes, Response> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if media != FHIR_JSON && media != "application/json" {
        let text = "write Content-Type: application/fhir+json";
        return Err(problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-supported", text, None));
    }
    body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            problem(StatusCode::PAYLOAD_TOO_LARGE, "too-long", "the body is too long; split the bundle", None)
        }
        status => problem(status, "invalid", "the body cannot be read", None),
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Transaction,
    Batch,
}

/// What a bundle asks for; nothing if it is no bundle. A collection is taken as a batch.
fn bundle_kind(body: &[u8]) -> Option<Kind> {
    #[derive(serde::Deserialize)]
    struct Head {
        #[serde(rename = "resourceType")]
        resource_type: String,
        #[serde(rename = "type")]
        kind: Option<String>,
    }
    let head: Head = serde_json::from_slice(body).ok()?;
    match (head.resource_type.as_str(), head.kind.as_deref()) {
        ("Bundle", Some("transaction")) => Some(Kind::Transaction),
        ("Bundle", _) => Some(Kind::Batch),
        _ => None,
    }
}

fn status_of(verdict: Option<&Verdict>) -> StatusCode {
    match verdict {
        Some(Verdict::Accepted { .. }) => StatusCode::CREATED,
        _ => StatusCode::OK,
    }
}

fn said(status: StatusCode) -> Value {
    match status {
        StatusCode::CREATED => {
            outcome(Severity::Information, "informational", "accepted; it will be recorded", None)
        }
        _ => outcome(Severity::Information, "duplicate", "accepted before; it is recorded once", None),
    }
}

fn element_of(document: &Document, refusal: &Refusal) -> String {
    let place = document.location.split_once(": ").map(|(_, place)| place);
    place.map_or_else(|| refusal.element.clone(), |place| format!("{place}: {}", refusal.element))
}

fn refused(refusal: &Refusal) -> Response {
    use custos_custodian::fhir::RefusalCode::{NotFhir, NotJson, TooLarge};
    let status = match refusal.code {
        NotJson | NotFhir => StatusCode::BAD_REQUEST,
        TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    problem(status, issue_of(refusal), &refusal.message, Some(&refusal.element))
}

/// FHIR's own word for what is wrong (value set issue-type).
fn issue_of(refusal: &Refusal) -> &'static str {
    Issue::of_refusal(refusal).kind
}

fn wait(refused: &Refused) -> Response {
    let (status, code) = match refused {
        Refused::Full(_) => (StatusCode::INSUFFICIENT_STORAGE, "no-store"),
        Refused::Broken(_) | Refused::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "transient"),
    };
    let text = format!("nothing was accepted: {refused}; send it again later");
    let mut response = problem(status, code, &text, None);
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_S.into());
    response
}

fn problem(status: StatusCode, code: &'static str, text: &str, element: Option<&str>) -> Response {
    let body = outcome(Severity::Error, code, text, element);
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(FHIR_JSON));
    response
}

fn outcome(severity: Severity, code: &'static str, text: &str, element: Option<&str>) -> Value {
    let expression = element.map(String::from);
    operation_outcome(&[Issue { severity, expression, ..Issue::error(code, code, text) }])
}
