//! The FHIR endpoint: routes, who may ask, and answers that are resources, errors included.
//!
//! Every error is an OperationOutcome; one about an element names it in `issue.expression`. Logs name
//! routes, never paths or queries: both hold what is sealed on the ledger.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use custos_custodian::fhir::catalogue::Found;
use custos_custodian::fhir::outcome::{self, Issue, operation_outcome};
use custos_custodian::fhir::query;
use custos_custodian::fhir::request::{self, ResourceType};
use custos_custodian::fhir::search::Search;
use custos_custodian::fhir::{Outcome, Refusal, Release};
use custos_custodian::import::{Draft, Input};
use custos_custodian::vault::VaultError;
use custos_proof::hash::sha256;
use custos_proof::ids::{Height, TimeMs};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::Value;
use tokio::sync::oneshot;
use tracing::{debug, error};

use super::desk::{Fared, Job, Kept, Standing};
use super::{Surface, UNIT, bundle, capability, stated_release};

mod wire;

use wire::{accepted, http_date, media_type, preference, single, unsupported_media};

const FHIR_JSON: &str = "application/fhir+json";
/// How long an answer may take: a request may wait for one that is under way, and then for its own block.
const ANSWER_TIME: Duration = Duration::from_secs(120);

/// The routes.
pub(super) fn router(surface: Arc<Surface>) -> Router {
    let not_offered = |allow: &'static str| move || async move { Fail::not_offered(allow).into_response() };
    Router::new()
        .route("/fhir", post(act).fallback(not_offered("POST")))
        .route("/fhir/", post(act).fallback(not_offered("POST")))
        .route("/fhir/metadata", get(metadata).fallback(not_offered("GET")))
        .route("/fhir/{type}", get(search).post(create).fallback(not_offered("GET, POST")))
        .route("/fhir/{type}/_search", post(search_posted).fallback(not_offered("POST")))
        .route("/fhir/{type}/{id}", get(read).put(update).fallback(not_offered("GET, PUT")))
        .route("/fhir/{type}/{id}/_history", get(history).fallback(not_offered("GET")))
        .route("/fhir/{type}/{id}/_history/{version}", get(vread).fallback(not_offered("GET")))
        .fallback(|| async {
            Fail::not_found("there is no such address; see /fhir/metadata").into_response()
        })
        .layer(middleware::from_fn_with_state(Arc::clone(&surface), bound))
        .with_state(surface)
}

/// An error, as FHIR says it.
#[derive(Debug)]
pub(super) struct Fail {
    status: u16,
    issues: Vec<Issue>,
    allow: Option<&'static str>,
}

impl Fail {
    fn of(status: u16, kind: &'static str, code: &str, why: impl Into<String>) -> Self {
        Self { status, issues: vec![Issue::error(kind, code, why)], allow: None }
    }

    fn not_found(why: &str) -> Self {
        Self::of(404, "not-found", "not-found", why)
    }

    fn not_offered(allow: &'static str) -> Self {
        let why = "this is not offered here: what is recorded is neither changed nor deleted; a Consent ends by its status";
        Self { allow: Some(allow), ..Self::of(405, "not-supported", "method-not-allowed", why) }
    }

    fn unauthenticated(why: &str) -> Self {
        Self::of(401, "login", "unauthenticated", why)
    }

    fn busy() -> Self {
        Self::of(429, "throttled", "overloaded", "too much at once; try again in a second")
    }

    fn internal(cause: &dyn std::fmt::Display) -> Self {
        error!(%cause, "a FHIR request failed");
        Self::of(500, "exception", "internal", "the node failed; its log says why")
    }
}

impl From<Refusal> for Fail {
    fn from(refusal: Refusal) -> Self {
        Self { status: outcome::status(refusal.code), issues: vec![Issue::of_refusal(&refusal)], allow: None }
    }
}

impl From<VaultError> for Fail {
    fn from(error: VaultError) -> Self {
        Self::internal(&error)
    }
}

impl IntoResponse for Fail {
    fn into_response(self) -> Response {
        let mut response = resource(self.status, &operation_outcome(&self.issues));
        let headers = response.headers_mut();
        if self.status == 401 {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if self.status == 429 || self.status == 503 {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// A resource as an answer.
fn resource(status: u16, resource: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = [(header::CONTENT_TYPE, "application/fhir+json; fhirVersion=4.0; charset=utf-8")];
    (status, headers, resource.to_string()).into_response()
}

/// Bounds, counts and logs every request.
async fn bound(State(surface): State<Arc<Surface>>, request: Request<Body>, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("(none)", |path| path.as_str()).to_owned();
    let mut response = match tokio::time::timeout(ANSWER_TIME, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Fail::of(504, "timeout", "timeout", "the answer took too long").into_response(),
    };
    let (status, elapsed) = (response.status().as_u16(), begun.elapsed());
    surface.metrics.request(&route, status, elapsed.as_secs_f64());
    debug!(%method, route, status, "answered");
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// What is said about a request before its body is read: a token is judged here, a signature needs the body.
enum Caller {
    Known,
    Signed,
}

impl Surface {
    fn caller(&self, parts: &Parts) -> Result<Caller, Fail> {
        let wanted = "show the custodian's bearer token, or sign the request with its key (RFC 9421)";
        match (single(&parts.headers, "authorization")?, single(&parts.headers, "signature")?) {
            (Some(authorization), _) => {
                let token = authorization
                    .split_once(' ')
                    .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
                    .map(|(_, token)| sha256(token.trim().as_bytes()));
                // Hashes are compared: the time it takes says nothing about the token.
                match (token, &self.token) {
                    (Some(shown), Some(token)) if shown == *token => Ok(Caller::Known),
                    _ => Err(Fail::unauthenticated("this bearer token is not the custodian's")),
                }
            }
            (None, Some(_)) => Ok(Caller::Signed),
            (None, None) => Err(Fail::unauthenticated(wanted)),
        }
    }

    /// A signature by a live signing key of the custodian's own.
    fn check_signature(&self, parts: &Parts, body: Option<&[u8]>) -> Result<(), Fail> {
        let (Some(input), Some(signature)) =
            (single(&parts.headers, "signature-input")?, single(&parts.headers, "signature")?)
        else {
            return Err(Fail::unauthenticated("one of the two signature headers is missing"));
        };
        let authority = single(&parts.headers, "host")?.unwrap_or_default().to_ascii_lowercase();
        let request = custos_api::signature::Request {
            method: parts.method.as_str(),
            authority: &authority,
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            body,
        };
        let digest = single(&parts.headers, "content-digest")?;
        let snapshot = self.chain.store().snapshot().map_err(|error| Fail::internal(&error))?;
        let now = crate::chain::clock();
        match self.gate.member(&snapshot, now, (input, signature), &request, digest) {
            Ok(member) if member == self.custodian => Ok(()),
            Ok(_) => {
                Err(Fail::of(403, "forbidden", "forbidden", "this endpoint is the custodian's own systems'"))
            }
            Err(stranger) => Err(Fail::unauthenticated(&stranger.to_string())),
        }
    }

    /// Everything that reads: who asks, what is accepted, then the work off the async threads.
    async fn reading<T: Send + 'static>(
        self: &Arc<Self>,
        parts: Parts,
        body: Option<Bytes>,
        work: impl FnOnce(&Surface, &Kept, &Parts, &dyn Fn(Height) -> Option<TimeMs>) -> Result<T, Fail>
        + Send
        + 'static,
    ) -> Result<T, Fail> {
        let caller = self.caller(&parts)?;
        accepted(&parts.headers)?;
        let surface = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || {
            if let Caller::Signed = caller {
                surface.check_signature(&parts, body.as_deref())?;
            }
            let snapshot = surface.chain.store().snapshot().map_err(|error| Fail::internal(&error))?;
            let time_of = |height| snapshot.header(height).ok().flatten().map(|header| header.time);
            surface.read(|kept| work(&surface, kept, &parts, &time_of))
        });
        task.await.unwrap_or_else(|panic| Err(Fail::internal(&panic)))
    }

    /// The body, bounded in length, in time, and in what is held of all bodies together.
    async fn body(
        &self,
        parts: &Parts,
        body: Body,
    ) -> Result<(Bytes, tokio::sync::SemaphorePermit<'_>), Fail> {
        let too_large = || {
            let why = format!("a request has at most {} bytes; split the bundle", self.max_body);
            Fail::of(413, "too-long", "too-large", why)
        };
        let stated = single(&parts.headers, "content-length")?.and_then(|text| text.parse::<usize>().ok());
        if stated.is_some_and(|length| length > self.max_body) {
            return Err(too_large());
        }
        let units = stated.unwrap_or(self.max_body).div_ceil(UNIT).max(1);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let room = tokio::time::timeout(self.read_timeout, self.bodies.acquire_many(units)).await;
        let Ok(Ok(room)) = room else { return Err(Fail::busy()) };
        match tokio::time::timeout(self.read_timeout, Limited::new(body, self.max_body).collect()).await {
            Ok(Ok(collected)) => Ok((collected.to_bytes(), room)),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(_)) => Err(Fail::of(400, "incomplete", "bad-request", "the body broke off")),
            Err(_) => {
                Err(Fail::of(408, "timeout", "timeout", "the body did not arrive in time; send it again"))
            }
        }
    }

    /// Hands drafts to the desk and waits for what becomes of them.
    async fn record(&self, inputs: Vec<Input>, is_atomic: bool) -> Result<Vec<Fared>, Fail> {
        if inputs.is_empty() {
            return Ok(Vec::new());
        }
        let (answer, fared) = oneshot::channel();
        self.jobs.try_send(Job { inputs, is_atomic, answer }).map_err(|_| Fail::busy())?;
        let stopping = || Fail::of(503, "transient", "not-ready", "the node is stopping");
        match fared.await.map_err(|_| stopping())? {
            Ok(fared) => Ok(fared),
            Err(failed) => {
                error!(cause = failed.0, "the vault failed");
                Err(Fail::of(
                    503,
                    "no-store",
                    "vault-failed",
                    "the vault cannot be written; nothing is promised",
                ))
            }
        }
    }
}

async fn metadata(State(surface): State<Arc<Surface>>, parts: Parts) -> Result<Response, Fail> {
    accepted(&parts.headers)?;
    Ok(resource(200, &capability::statement(&surface)))
}

async fn read(
    State(surface): State<Arc<Surface>>,
    Path((of, id)): Path<(String, String)>,
    parts: Parts,
) -> Result<Response, Fail> {
    one(surface, of, id, None, parts).await
}

async fn vread(
    State(surface): State<Arc<Surface>>,
    Path((of, id, version)): Path<(String, String, String)>,
    parts: Parts,
) -> Result<Response, Fail> {
    let version = version.parse().map_err(|_| Fail::not_found("there is no such version"))?;
    one(surface, of, id, Some(version), parts).await
}

async fn one(
    surface: Arc<Surface>,
    of: String,
    id: String,
    version: Option<u64>,
    parts: Parts,
) -> Result<Response, Fail> {
    let found = surface
        .reading(parts, None, move |_, kept, _, time_of| {
            let of = resource_type(&of)?;
            Ok(kept.catalogue.read(&kept.vault, of, &id, version, time_of)?)
        })
        .await?;
    let found = found.ok_or_else(|| Fail::not_found("there is no such resource or version"))?;
    let mut response = resource(200, &found.resource);
    version_headers(response.headers_mut(), &found);
    Ok(response)
}

async fn history(
    State(surface): State<Arc<Surface>>,
    Path((of, id)): Path<(String, String)>,
    parts: Parts,
) -> Result<Response, Fail> {
    let bundle = surface
        .reading(parts, None, move |surface, kept, _, time_of| {
            let versions = kept.catalogue.history(&kept.vault, resource_type(&of)?, &id, time_of)?;
            match versions.is_empty() {
                true => Err(Fail::not_found("there is no such resource")),
                false => Ok(bundle::history(surface, versions)),
            }
        })
        .await?;
    Ok(resource(200, &bundle))
}

async fn search(
    State(surface): State<Arc<Surface>>,
    Path(of): Path<String>,
    parts: Parts,
) -> Result<Response, Fail> {
    surface.caller(&parts)?;
    let pairs = pairs(parts.uri.query().unwrap_or_default().as_bytes())?;
    searched(surface, of, pairs, parts, None).await
}

/// A search whose parameters stand in the body, so that no identifier stands in an address.
async fn search_posted(
    State(surface): State<Arc<Surface>>,
    Path(of): Path<String>,
    request: Request<Body>,
) -> Result<Response, Fail> {
    let (parts, body) = request.into_parts();
    surface.caller(&parts)?;
    if media_type(&parts.headers) != "application/x-www-form-urlencoded" {
        return Err(unsupported_media("application/x-www-form-urlencoded"));
    }
    let (bytes, _room) = surface.body(&parts, body).await?;
    let mut all = pairs(parts.uri.query().unwrap_or_default().as_bytes())?;
    all.extend(pairs(&bytes)?);
    searched(Arc::clone(&surface), of, all, parts, Some(bytes)).await
}

fn pairs(query: &[u8]) -> Result<Vec<(String, String)>, Fail> {
    query::pairs(query).map_err(|refusal| Fail { status: 400, ..refusal.into() })
}

async fn searched(
    surface: Arc<Surface>,
    of: String,
    pairs: Vec<(String, String)>,
    parts: Parts,
    body: Option<Bytes>,
) -> Result<Response, Fail> {
    let bundle = surface
        .reading(parts, body, move |surface, kept, parts, time_of| {
            let search = Search::parse(resource_type(&of)?, &pairs, &surface.base)
                .map_err(|refusal| Fail { status: 400, ..refusal.into() })?;
            if preference(&parts.headers, "handling").as_deref() == Some("strict")
                && !search.unknown.is_empty()
            {
                let why = format!("these parameters are not known: {}", search.unknown.join(", "));
                return Err(Fail::of(400, "not-supported", "unknown-parameter", why));
            }
            let page = kept.catalogue.search(&kept.vault, &search, time_of)?;
            bundle::searchset(surface, &search, page)
        })
        .await?;
    Ok(resource(200, &bundle))
}

/// What a request with a body says, once it is known who sends it.
struct Posted {
    parts: Parts,
    bytes: Bytes,
    release: Option<Release>,
}

async fn posted<'a>(
    surface: &'a Arc<Surface>,
    request: Request<Body>,
) -> Result<(Posted, tokio::sync::SemaphorePermit<'a>), Fail> {
    let (parts, body) = request.into_parts();
    // Before the body is read: a stranger does not make us hold bytes.
    let caller = surface.caller(&parts)?;
    accepted(&parts.headers)?;
    let stated =
        parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if ![FHIR_JSON, "application/json"].contains(&media_type(&parts.headers).as_str()) {
        return Err(unsupported_media(FHIR_JSON));
    }
    let release = stated_release(stated).map_err(|version| {
        Fail::of(
            415,
            "not-supported",
            "unsupported-media-type",
            format!("FHIR {version} is not read; 4.0 and 5.0 are"),
        )
    })?;
    for name in ["if-none-exist", "if-none-match", "if-modified-since"] {
        if parts.headers.contains_key(name) {
            return Err(Fail::of(
                412,
                "not-supported",
                "unsupported",
                format!("the condition {name} is not looked at"),
            ));
        }
    }
    let (bytes, room) = surface.body(&parts, body).await?;
    if let Caller::Signed = caller {
        surface.check_signature(&parts, Some(&bytes))?;
    }
    Ok((Posted { parts, bytes, release }, room))
}

/// Maps off the async threads: a large body takes a while.
async fn mapped<T: Send + 'static>(
    surface: &Arc<Surface>,
    work: impl FnOnce(&Surface) -> Result<T, Fail> + Send + 'static,
) -> Result<T, Fail> {
    let surface = Arc::clone(surface);
    tokio::task::spawn_blocking(move || work(&surface))
        .await
        .unwrap_or_else(|panic| Err(Fail::internal(&panic)))
}

async fn create(
    State(surface): State<Arc<Surface>>,
    Path(of): Path<String>,
    request: Request<Body>,
) -> Result<Response, Fail> {
    surface.caller_of(&request)?;
    let of = resource_type(&of)?;
    let (Posted { parts, bytes, release }, _room) = posted(&surface, request).await?;
    let outcomes =
        mapped(&surface, move |surface| Ok(request::read_one(&bytes, of, release, &surface.options())?))
            .await?;
    let inputs = inputs(outcomes);
    let fared = surface.record(inputs, true).await?;
    answered(&surface, &parts, fared, false).await
}

async fn update(
    State(surface): State<Arc<Surface>>,
    Path((of, id)): Path<(String, String)>,
    request: Request<Body>,
) -> Result<Response, Fail> {
    surface.caller_of(&request)?;
    if resource_type(&of)? != ResourceType::Consent {
        return Err(Fail::not_offered("GET"));
    }
    let (Posted { parts, bytes, release }, _room) = posted(&surface, request).await?;
    let condition = single(&parts.headers, "if-match")?.map(str::to_owned);
    let inputs = mapped(&surface, move |surface| {
        let document = surface.document(&id, condition.as_deref())?;
        let outcomes = request::read_one(&bytes, ResourceType::Consent, release, &surface.options())?;
        let own = serde_json::from_slice::<Value>(&bytes)
            .ok()
            .and_then(|json| json["id"].as_str().map(str::to_owned));
        if own.as_deref() != Some(id.as_str()) {
            return Err(Fail::of(
                400,
                "invalid",
                "wrong-id",
                "the id in the body is not that of the address",
            ));
        }
        Ok(renamed(inputs(outcomes), &document))
    })
    .await?;
    let fared = surface.record(inputs, true).await?;
    answered(&surface, &parts, fared, true).await
}

async fn act(State(surface): State<Arc<Surface>>, request: Request<Body>) -> Result<Response, Fail> {
    let (Posted { bytes, release, .. }, _room) = posted(&surface, request).await?;
    let (bundle, work) = mapped(&surface, move |surface| {
        let mut bundle = request::read_bundle(&bytes, release, &surface.options())?;
        for (number, entry) in bundle.entries.iter_mut().enumerate() {
            let Some((_, id)) = entry.replaces.clone() else { continue };
            match surface.document(&id, None) {
                Ok(document) => {
                    entry.outcomes = std::mem::take(&mut entry.outcomes)
                        .into_iter()
                        .map(|outcome| rename(outcome, &document))
                        .collect();
                }
                Err(_) => {
                    entry.outcomes = vec![Outcome::Refused(Refusal {
                        code: custos_custodian::fhir::RefusalCode::Unsupported,
                        element: format!("Bundle.entry[{number}].request.url"),
                        message: "there is no such Consent to update".into(),
                    })];
                }
            }
        }
        let work = bundle::work(&bundle);
        Ok((bundle, work))
    })
    .await?;
    let refusals = if bundle.is_transaction { bundle::refusals(&bundle) } else { Vec::new() };
    if let Some(first) = refusals.first() {
        let issues = refusals.iter().take(100).map(Issue::of_refusal).collect();
        return Err(Fail { status: outcome::status(first.code), issues, allow: None });
    }
    let mut work = work;
    let inputs = std::mem::take(&mut work.inputs);
    let fared = surface.record(inputs, bundle.is_transaction).await?;
    let by_entry = work.by_entry(fared, bundle.entries.len());
    if bundle.is_transaction {
        transaction_failed(&by_entry)?;
    }
    let answer = mapped(&surface, move |surface| {
        let entries = bundle.entries.iter().zip(&by_entry).enumerate();
        let entries =
            entries.map(|(number, (asked, fared))| bundle::entry(surface, number, asked, fared)).collect();
        Ok(bundle::response(bundle.is_transaction, entries))
    })
    .await?;
    Ok(resource(200, &answer))
}

/// What planning or the ledger refused of a transaction.
fn transaction_failed(by_entry: &[Vec<Fared>]) -> Result<(), Fail> {
    let mut status = 422;
    let mut issues = Vec::new();
    for (number, fared) in by_entry.iter().enumerate() {
        for fared in fared {
            match fared {
                Fared::Refused(refusal) => {
                    let refusal = bundle::within(refusal, number);
                    status = outcome::status(refusal.code);
                    issues.push(Issue::of_refusal(&refusal));
                }
                Fared::Kept { standing: Standing::Refused(why), .. } => issues.push(Issue {
                    expression: Some(format!("Bundle.entry[{number}].resource")),
                    ..Issue::error("business-rule", "refused-by-the-ledger", why)
                }),
                Fared::Kept { .. } | Fared::NotTried => {}
            }
        }
    }
    issues.truncate(100);
    if issues.is_empty() { Ok(()) } else { Err(Fail { status, issues, allow: None }) }
}

impl Surface {
    fn caller_of(&self, request: &Request<Body>) -> Result<(), Fail> {
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.headers = request.headers().clone();
        self.caller(&parts).map(|_| ())
    }

    /// The document that a Consent of this server was read from, if it has the version that is asked for.
    fn document(&self, id: &str, condition: Option<&str>) -> Result<String, Fail> {
        self.read(|kept| {
            let document = kept
                .catalogue
                .document(id)
                .ok_or_else(|| Fail::not_found("there is no such Consent; a new one is posted"))?;
            if let Some(condition) = condition {
                let found = kept.catalogue.read(&kept.vault, ResourceType::Consent, id, None, &|_| None)?;
                let current = found.map_or(0, |found| found.version);
                if condition.trim() != format!("W/\"{current}\"") {
                    let why = format!("the current version is W/\"{current}\"");
                    return Err(Fail::of(412, "conflict", "version-mismatch", why));
                }
            }
            Ok(document.to_owned())
        })
    }
}

/// The answer to a single create or update.
async fn answered(
    surface: &Arc<Surface>,
    parts: &Parts,
    fared: Vec<Fared>,
    is_update: bool,
) -> Result<Response, Fail> {
    for fared in &fared {
        match fared {
            Fared::Refused(refusal) => return Err(refusal.clone().into()),
            Fared::Kept { standing: Standing::Refused(why), .. } => {
                return Err(Fail::of(422, "business-rule", "refused-by-the-ledger", why));
            }
            Fared::Kept { .. } | Fared::NotTried => {}
        }
    }
    let status = status_of(&fared, is_update);
    let wanted = preference(&parts.headers, "return");
    let (found, body) = mapped(surface, move |surface| {
        let found = found_of(surface, &fared);
        let body = match (&found[..], wanted.as_deref()) {
            (_, Some("minimal")) => None,
            (_, Some("OperationOutcome")) => Some(operation_outcome(&[said(status)])),
            ([only], _) => Some(only.resource.clone()),
            (several, _) => Some(bundle::collection(surface, several)),
        };
        Ok((found, body))
    })
    .await?;
    let mut response = match body {
        Some(body) => resource(status, &body),
        None => StatusCode::from_u16(status).unwrap_or(StatusCode::OK).into_response(),
    };
    if let Some(first) = found.first() {
        version_headers(response.headers_mut(), first);
        if let Ok(location) = HeaderValue::from_str(&location(surface, first)) {
            response.headers_mut().insert(header::LOCATION, location);
        }
    }
    Ok(response)
}

/// 201 for what is new and recorded, 202 for what is kept and waits, 200 for what was there.
pub(super) fn status_of(fared: &[Fared], is_update: bool) -> u16 {
    let waits = |fared: &Fared| matches!(fared, Fared::Kept { standing: Standing::Waiting, .. });
    let is_new = |fared: &Fared| matches!(fared, Fared::Kept { before: false, .. });
    match () {
        () if fared.iter().any(waits) => 202,
        () if fared.iter().any(is_new) && !is_update => 201,
        () => 200,
    }
}

fn said(status: u16) -> Issue {
    let words = match status {
        201 => "recorded on the ledger",
        202 => "kept in the vault; the ledger gets it as soon as it can",
        _ => "it was there before, or is a new version of what was",
    };
    Issue { severity: outcome::Severity::Information, ..Issue::error("informational", "done", words) }
}

/// The resources that drafts became, each once.
pub(super) fn found_of(surface: &Surface, fared: &[Fared]) -> Vec<Found> {
    let snapshot = surface.chain.store().snapshot().ok();
    let time_of = |height| {
        snapshot
            .as_ref()
            .and_then(|snapshot| snapshot.header(height).ok().flatten())
            .map(|header| header.time)
    };
    surface.read(|kept| {
        let mut found: Vec<Found> = Vec::new();
        for fared in fared {
            let Fared::Kept { items, .. } = fared else { continue };
            for item in items {
                let Ok(Some((of, id))) = kept.catalogue.resource_of(&kept.vault, item) else { continue };
                if found.iter().any(|known| known.of == of && known.id == id) {
                    continue;
                }
                found.extend(kept.catalogue.read(&kept.vault, of, &id, None, &time_of).ok().flatten());
            }
        }
        found
    })
}

/// The address of a version.
pub(super) fn location(surface: &Surface, found: &Found) -> String {
    format!("{}/{}/{}/_history/{}", surface.address, found.of.word(), found.id, found.version)
}

fn version_headers(headers: &mut HeaderMap, found: &Found) {
    if let Ok(tag) = HeaderValue::from_str(&format!("W/\"{}\"", found.version)) {
        headers.insert(header::ETAG, tag);
    }
    if let Some(date) = found.recorded.and_then(http_date) {
        headers.insert(header::LAST_MODIFIED, date);
    }
}

fn resource_type(word: &str) -> Result<ResourceType, Fail> {
    ResourceType::from_word(word).ok_or_else(|| {
        Fail::of(404, "not-supported", "unknown-type", "this endpoint has AuditEvent and Consent")
    })
}

fn inputs(outcomes: Vec<Outcome>) -> Vec<Input> {
    let draft = |outcome| match outcome {
        Outcome::Event(draft) => Some(Draft::Event(draft)),
        Outcome::Rule(draft) => Some(Draft::Rule(draft)),
        Outcome::NotApplicable(_) | Outcome::Refused(_) => None,
    };
    outcomes.into_iter().filter_map(draft).map(|draft| Input { location: "request".into(), draft }).collect()
}

/// A new version of a consent belongs to the document that the earlier ones were read from.
fn renamed(inputs: Vec<Input>, document: &str) -> Vec<Input> {
    inputs
        .into_iter()
        .map(|mut input| {
            if let Draft::Rule(draft) = &mut input.draft {
                document.clone_into(&mut draft.origin.name);
            }
            input
        })
        .collect()
}

fn rename(outcome: Outcome, document: &str) -> Outcome {
    match outcome {
        Outcome::Rule(mut draft) => {
            document.clone_into(&mut draft.origin.name);
            Outcome::Rule(draft)
        }
        other => other,
    }
}
