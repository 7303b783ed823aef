//! The HTTP API: routes, bounds, and a server that gives slow and greedy clients no hold.
//!
//! Handlers read one snapshot each, off the async threads, and answer from it alone. Every error
//! leaves as a problem (RFC 9457), those of the framework included. Logs name routes, never paths or
//! queries: a path can be a pseudonym.
//!
//! ```text
//!   connection --- bounded headers, time, number
//!     request ---- bounded number in flight, time, body
//!       handler -- bounded number of proofs at a time
//! ```

mod fail;
mod members;
mod note;
pub mod openapi;
mod permits;
mod public;
mod submit;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use custos_api::problem::codes;
use custos_api::{CBOR, JSON, PROBLEM_JSON};
use custos_consensus::{Health, State as Consensus};
use custos_proof::cbor::Wire;
use custos_proof::ids::ParticipantId;
use custos_proof::keys::Signer;
use custos_store::Snapshot;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use crate::chain::Chain;
use crate::config::ApiConfig;
use crate::intake::Intake;
use crate::metrics::Metrics;
use crate::proofs::ValidatorChanges;
use crate::readers::{Caller, Gate};

pub(crate) use fail::Fail;

/// The most headers of a request.
const MAX_HEADERS: usize = 64;
/// The most bytes that are buffered of a connection. Bounds the headers: one read may go beyond by its own length.
const MAX_BUFFERED: usize = 16 * 1024;
/// How long an answer may take, beyond what a client asked us to wait.
const ANSWER_TIME: Duration = Duration::from_secs(60);
/// How long a request waits for its turn to have a proof made.
const PROOF_TURN: Duration = Duration::from_secs(10);
/// How long connections get to finish when the node stops.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// What handlers work with.
pub struct Api {
    chain: Arc<Chain>,
    intake: Intake,
    health: watch::Receiver<Health>,
    metrics: Metrics,
    participant: Option<ParticipantId>,
    note: Option<Arc<dyn Signer>>,
    aside: Option<String>,
    gate: Gate,
    proofs: Semaphore,
    requests: Semaphore,
    read_timeout: Duration,
    validator_changes: Mutex<ValidatorChanges>,
}

/// What an API is made of.
pub struct ApiParts {
    /// The chain.
    pub chain: Arc<Chain>,
    /// The way in.
    pub intake: Intake,
    /// What consensus is doing.
    pub health: watch::Receiver<Health>,
    /// Where requests are counted.
    pub metrics: Metrics,
    /// Whose node this is.
    pub participant: Option<ParticipantId>,
    /// Signs checkpoints.
    pub note: Option<Arc<dyn Signer>>,
    /// Why this node stands aside, if it does.
    pub aside: Option<String>,
}

impl Api {
    /// An API that is addressed by `names`.
    #[must_use]
    pub fn new(parts: ApiParts, config: &ApiConfig, names: Vec<String>) -> Self {
        Self {
            chain: parts.chain,
            intake: parts.intake,
            health: parts.health,
            metrics: parts.metrics,
            participant: parts.participant,
            note: parts.note,
            aside: parts.aside,
            gate: Gate::new(config.signature_window_ms, names),
            proofs: Semaphore::new(config.max_proofs),
            requests: Semaphore::new(config.max_requests),
            read_timeout: Duration::from_millis(config.read_timeout_ms),
            validator_changes: Mutex::default(),
        }
    }

    /// Runs something that reads the store, off the async threads.
    async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Api, &Snapshot<'_>) -> Result<T, Fail> + Send + 'static,
    ) -> Result<T, Fail> {
        let api = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || {
            let snapshot = api.chain.store().snapshot()?;
            work(&api, &snapshot)
        });
        task.await.unwrap_or_else(|panic| Err(Fail::internal(&panic)))
    }

    /// The same for what costs hashing and many reads: only so many at a time.
    async fn prove<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Api, &Snapshot<'_>) -> Result<T, Fail> + Send + 'static,
    ) -> Result<T, Fail> {
        let turn = tokio::time::timeout(PROOF_TURN, self.proofs.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(Fail::overloaded()) };
        self.read(work).await
    }

    /// Who asks. Nobody needs to say; whoever says it wrongly is told so.
    fn caller(&self, snapshot: &Snapshot<'_>, parts: &Parts, body: Option<&[u8]>) -> Result<Caller, Fail> {
        let text = |name: &str| single(&parts.headers, name);
        let preimage = text(custos_api::READER_HEADER)?
            .map(|digits| {
                let mut preimage = [0; 32];
                hex::decode_to_slice(digits, &mut preimage).map(|()| preimage)
            })
            .transpose()
            .map_err(|_| Fail::bad_request("Custos-Reader is not 64 hexadecimal digits"))?;
        let (input, signature) = (text("signature-input")?, text("signature")?);
        let member = match (input, signature) {
            (None, None) => None,
            (Some(input), Some(signature)) => {
                let authority = match (parts.uri.authority(), text(header::HOST.as_str())?) {
                    (Some(authority), _) => authority.as_str().to_ascii_lowercase(),
                    (None, Some(host)) => host.to_ascii_lowercase(),
                    (None, None) => return Err(Fail::bad_request("the request has no Host")),
                };
                let request = custos_api::signature::Request {
                    method: parts.method.as_str(),
                    authority: &authority,
                    path: parts.uri.path(),
                    query: parts.uri.query().unwrap_or_default(),
                    body,
                };
                let digest = text("content-digest")?;
                Some(self.gate.member(
                    snapshot,
                    crate::chain::clock(),
                    (input, signature),
                    &request,
                    digest,
                )?)
            }
            _ => {
                return Err(
                    custos_api::signature::SignatureError::Form("one of the two headers is missing").into()
                );
            }
        };
        Ok(Caller { member, preimage })
    }

    /// Refuses submissions when this node takes none now. Without a quorum they wait: what is here when the others
    /// come back is recorded first.
    fn takes(&self) -> Result<(), Fail> {
        let state = self.health.borrow().state.clone();
        match self.not_ready() {
            Some(_) if state == Consensus::WaitingForPeers => Ok(()),
            Some(reason) if !state.is_live() => Err(Fail::stands(reason)),
            Some(reason) => Err(Fail::not_ready(reason)),
            None => Ok(()),
        }
    }

    /// Whether this node takes part and answers from the present, and why not.
    fn not_ready(&self) -> Option<String> {
        let health = self.health.borrow();
        let own = self.chain.store().head().height.0;
        match &health.state {
            Consensus::Running | Consensus::Idle => (health.network_height.0 > own + 2)
                .then(|| format!("this node is at height {own}, the network at {}", health.network_height)),
            Consensus::Starting => Some("consensus is starting".into()),
            Consensus::WaitingForPeers => Some("too few validators are connected to decide anything".into()),
            Consensus::Lagging => Some("this node is catching up".into()),
            Consensus::SafetyHang(reason) => Some(format!("consensus stands still for safety: {reason}")),
            Consensus::Halted(reason) => Some(format!("consensus halted: {reason}")),
        }
    }
}

/// The routes.
pub fn router(api: Arc<Api>) -> Router {
    Router::new()
        .route("/healthz", get(public::healthz))
        .route("/readyz", get(public::readyz))
        .route("/metrics", get(public::metrics))
        .route("/v1/openapi.json", get(openapi::document))
        .route("/v1/status", get(public::status))
        .route("/v1/genesis", get(public::genesis))
        .route("/v1/headers/{height}", get(public::header))
        .route("/v1/certificates/{height}", get(public::certificate))
        .route("/v1/blocks/{height}", get(members::block))
        .route("/v1/checkpoint", get(public::checkpoint))
        .route("/v1/consistency", get(public::consistency))
        .route("/v1/anchor/links", get(public::links))
        .route("/v1/anchor/advance", get(public::advance))
        .route("/v1/registry", get(public::registry))
        .route("/v1/policy", get(public::policy))
        .route("/v1/proposals", get(public::proposals))
        .route("/v1/proposals/{proposal}", get(public::proposal))
        .route("/v1/permits", get(permits::permits))
        .route("/v1/permits/{permit}", get(permits::permit))
        .route("/v1/state/policy", get(permits::policy_state))
        .route("/v1/state/participants/{participant}", get(permits::participant_state))
        .route("/v1/state/permits/{permit}", get(permits::permit_state))
        .route("/v1/submissions", post(submit::submit))
        .route("/v1/submissions/many", post(submit::submit_many))
        .route("/v1/submissions/{id}", get(submit::status))
        .route("/v1/items/{item}", get(members::item))
        .route("/v1/items/{item}/receipt", get(members::receipt))
        .route("/v1/trails/{trail}", get(members::trail))
        .route("/v1/trails/{trail}/proof", get(members::trail_proof))
        .layer(middleware::from_fn_with_state(Arc::clone(&api), bound))
        .with_state(api)
}

/// Bounds, counts and logs every request, and turns the framework's own errors into problems.
async fn bound(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    // The route's pattern: what stands in its place may be a pseudonym.
    let route = request.extensions().get::<MatchedPath>().map_or("(none)", |path| path.as_str()).to_owned();
    let time = match method {
        Method::POST => ANSWER_TIME + Duration::from_millis(custos_api::MAX_WAIT_MS),
        _ => ANSWER_TIME,
    };
    let response = match api.requests.try_acquire() {
        Ok(_turn) => match tokio::time::timeout(time, next.run(request)).await {
            Ok(response) => as_problem(response),
            Err(_) => Fail::problem(504, codes::TIMEOUT, "the answer took too long").into_response(),
        },
        Err(_) => Fail::overloaded().into_response(),
    };
    let (status, elapsed) = (response.status().as_u16(), begun.elapsed());
    api.metrics.request(&route, status, elapsed.as_secs_f64());
    debug!(%method, route, status, elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX), "answered");
    with_common_headers(response)
}

/// An error that did not come from a handler.
fn as_problem(response: Response) -> Response {
    let status = response.status();
    let is_ours = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value == PROBLEM_JSON || value == JSON);
    if is_ours || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let allow = response.headers().get(header::ALLOW).cloned();
    let fail = match status {
        StatusCode::NOT_FOUND => {
            Fail::problem(404, codes::NOT_FOUND, "there is no such route").hint("see /v1/openapi.json")
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            Fail::problem(405, codes::METHOD_NOT_ALLOWED, "this route does not know the method")
        }
        StatusCode::PAYLOAD_TOO_LARGE => Fail::problem(413, codes::TOO_LARGE, "the body is too long"),
        status if status.is_client_error() => {
            Fail::problem(status.as_u16(), codes::BAD_REQUEST, "the request cannot be read")
        }
        status => Fail::problem(status.as_u16(), codes::INTERNAL, "the node failed; its log says why"),
    };
    let mut problem = fail.into_response();
    if let Some(allow) = allow {
        problem.headers_mut().insert(header::ALLOW, allow);
    }
    problem
}

fn with_common_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Which spelling a client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Cbor,
    Json,
}

/// The first of the two media types that `Accept` names; `default` when it names neither.
fn wanted(headers: &HeaderMap, default: Wanted) -> Wanted {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept
        .split(',')
        .filter_map(|range| match range.split(';').next().unwrap_or_default().trim() {
            CBOR => Some(Wanted::Cbor),
            JSON => Some(Wanted::Json),
            _ => None,
        })
        .next()
        .unwrap_or(default)
}

/// A value in the wanted spelling.
fn spelled<T: Wire>(wanted: Wanted, value: &T) -> Response {
    match wanted {
        Wanted::Cbor => cbor(value.to_bytes()),
        Wanted::Json => axum::Json(custos_api::view::json(&value.view())).into_response(),
    }
}

fn cbor(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, CBOR)], bytes).into_response()
}

/// A header that may stand there once.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Fail> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (values.next(), value.to_str()) {
        (None, Ok(text)) => Ok(Some(text)),
        _ => Err(Fail::bad_request(format!("the header {name} stands there twice, or is not text"))),
    }
}

/// The query's parameters.
fn query<T: DeserializeOwned>(parts: &Parts) -> Result<T, Fail> {
    axum::extract::Query::try_from_uri(&parts.uri)
        .map(|query| query.0)
        .map_err(|error| Fail::bad_request(format!("the query cannot be read: {}", error.body_text())))
}

/// A parameter of the path or query.
fn parameter<T: std::str::FromStr>(name: &str, text: &str) -> Result<T, Fail>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| Fail::bad_request(format!("{name}: {error}")))
}

fn height(text: &str) -> Result<custos_proof::ids::Height, Fail> {
    parameter("height", text).map(custos_proof::ids::Height)
}

/// Ends when the node is told to stop, or is gone.
async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Answers connections until told to stop, then lets the last answers out.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    config: &ApiConfig,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(config.max_connections));
    let read_timeout = Duration::from_millis(config.read_timeout_ms);
    let mut connections = JoinSet::new();
    loop {
        // Ended connections are let go of here, so that the set does not grow.
        while connections.try_join_next().is_some() {}
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "a connection could not be accepted");
                    // Out of file descriptors, most likely: trying again at once would only burn time.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = told(&mut stop) => break,
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            debug!("too many connections: one is closed unanswered");
            continue;
        };
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let mut stop = stop.clone();
        connections.spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(read_timeout)
                .max_headers(MAX_HEADERS)
                .max_buf_size(MAX_BUFFERED)
                .serve_connection(TokioIo::new(stream), service);
            tokio::pin!(connection);
            tokio::select! {
                result = connection.as_mut() => {
                    if let Err(error) = result {
                        debug!(%error, "a connection broke");
                    }
                }
                () = told(&mut stop) => {
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.await;
                }
            }
            drop(place);
        });
    }
    drop(listener);
    let _ =
        tokio::time::timeout(LAST_ANSWERS, async { while connections.join_next().await.is_some() {} }).await;
    connections.shutdown().await;
}
