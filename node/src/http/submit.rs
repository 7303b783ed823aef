//! Handing in submissions, and asking what became of them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use custos_api::answers::{
    HandedIn, ItemPlace, Rejection, SubmissionAnswer, SubmissionState, SubmissionsAnswer,
};
use custos_api::problem::codes;
use custos_api::{CBOR, MAX_TOGETHER, MAX_WAIT_MS, base64, together};
use custos_proof::cbor::Wire as _;
use custos_proof::hash::{ItemHash, SubmissionId};
use custos_proof::submission::{Envelope, MAX_SUBMISSION_BYTES};
use custos_state::changes::Placed;
use custos_state::error::Refusal;
use custos_store::Snapshot;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::Deserialize;

use super::{Api, Fail, Wanted, cbor, parameter, query, wanted};
use crate::chain::Fate;
use crate::intake::{Accepted, Answer, Declined, Standing};
use crate::proofs::{Prover, item_at};

/// How long a client waits that does not say how long.
const DEFAULT_WAIT_MS: u64 = 30_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    wait: Option<WaitFor>,
    timeout_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WaitFor {
    Committed,
}

/// Hands in a submission: the array `[envelope, [item, ...]]` of docs/spec.
///
/// With `wait=committed` the answer comes when a block has recorded it, and carries the receipts: as the
/// `custos.receipts.v1` file with `Accept: application/cbor`, else inside the status.
#[utoipa::path(post, path = "/v1/submissions", tag = "submissions",
    request_body(content = Vec<u8>, content_type = "application/cbor"),
    params(("wait" = Option<String>, Query, description = "`committed`"), ("timeout_ms" = Option<u64>, Query)),
    responses(
    (status = 200, description = "It is recorded.", content((SubmissionAnswer = "application/json"), (Vec<u8> = "application/cbor"))),
    (status = 202, description = "It waits.", body = SubmissionAnswer),
    (status = 400, body = custos_api::problem::Problem, content_type = "application/problem+json", description = "Not a submission."),
    (status = 403, body = custos_api::problem::Problem, content_type = "application/problem+json", description = "Not by this author or key."),
    (status = 409, body = custos_api::problem::Problem, content_type = "application/problem+json", description = "Said before."),
    (status = 413, body = custos_api::problem::Problem, content_type = "application/problem+json"),
    (status = 415, body = custos_api::problem::Problem, content_type = "application/problem+json"),
    (status = 422, body = custos_api::problem::Problem, content_type = "application/problem+json", description = "Not admissible."),
    (status = 429, body = custos_api::problem::Problem, content_type = "application/problem+json", description = "No room now; see Retry-After."),
    (status = 503, body = custos_api::problem::Problem, content_type = "application/problem+json")))]
pub(super) async fn submit(State(api): State<Arc<Api>>, request: Request<Body>) -> Result<Response, Fail> {
    let (parts, body) = request.into_parts();
    let options: Options = query(&parts)?;
    let bytes = read_body(&api, &parts, body).await?;
    api.takes()?;
    api.chain.room_for_clients()?;
    let answer = api.intake.submit(bytes)?;
    let accepted = answer.await.map_err(|_| Fail::internal(&"the intake has stopped"))??;
    let Some(WaitFor::Committed) = options.wait else {
        // What was taken just now is in no block yet, and the store has nothing to say about it.
        let answer = match accepted.standing {
            Standing::Added => pending(&accepted),
            Standing::Pending | Standing::Committed => {
                api.read(move |_, snapshot| current(snapshot, &accepted)).await?
            }
        };
        return Ok(with_status(&answer));
    };
    let patience = Duration::from_millis(options.timeout_ms.unwrap_or(DEFAULT_WAIT_MS).min(MAX_WAIT_MS));
    wait(&api, accepted.id, patience).await?;
    let spelling = wanted(&parts.headers, Wanted::Json);
    let (mut answer, file) = api
        .prove(move |_, snapshot| {
            let answer = current(snapshot, &accepted)?;
            let file = match answer.state {
                SubmissionState::Committed => Some(Prover::new(snapshot)?.receipts(&answer.id)?.to_bytes()),
                _ => None,
            };
            Ok((answer, file))
        })
        .await?;
    Ok(match (spelling, file) {
        (Wanted::Cbor, Some(file)) => cbor(file),
        (_, file) => {
            answer.receipts = file.map(|file| base64::encode(&file));
            with_status(&answer)
        }
    })
}

/// Hands in several submissions at once, for a gateway that passes on what others signed.
///
/// An array of at most 256 byte strings, each a submission as the other route takes it, together no longer than the
/// longest submission. Each is judged by itself, in this order, and has its own answer; nothing else binds them.
#[utoipa::path(post, path = "/v1/submissions/many", tag = "submissions",
    request_body(content = Vec<u8>, content_type = "application/cbor"),
    responses(
    (status = 200, description = "An answer for each.", body = SubmissionsAnswer),
    (status = 400, body = custos_api::problem::Problem, content_type = "application/problem+json", description = "Not an array of byte strings."),
    (status = 413, body = custos_api::problem::Problem, content_type = "application/problem+json"),
    (status = 415, body = custos_api::problem::Problem, content_type = "application/problem+json"),
    (status = 429, body = custos_api::problem::Problem, content_type = "application/problem+json", description = "No room now for any of them; see Retry-After."),
    (status = 503, body = custos_api::problem::Problem, content_type = "application/problem+json")))]
pub(super) async fn submit_many(
    State(api): State<Arc<Api>>,
    request: Request<Body>,
) -> Result<Response, Fail> {
    let (parts, body) = request.into_parts();
    let bytes = read_body(&api, &parts, body).await?;
    let all = together::read(&bytes).map_err(|error| {
        Fail::bad_request(format!("the body is not 1 to {MAX_TOGETHER} byte strings in an array: {error}"))
    })?;
    let all = all.into_iter().map(|one| bytes.slice_ref(one)).collect();
    api.takes()?;
    api.chain.room_for_clients()?;
    let answers = api.intake.submit_together(all)?;
    let answers = answers.await.map_err(|_| Fail::internal(&"the intake has stopped"))?;
    let no_room = |answer: &Answer| match answer {
        Err(Declined::NoRoom(no_room)) => Some(*no_room),
        _ => None,
    };
    if let Some(Some(reason)) = answers.first().map(no_room)
        && answers.iter().all(|answer| no_room(answer).is_some())
    {
        return Err(reason.into());
    }
    let submissions = answers.into_iter().map(handed_in).collect();
    Ok(axum::Json(SubmissionsAnswer { submissions }).into_response())
}

fn handed_in(answer: Answer) -> HandedIn {
    match answer {
        Ok(Accepted { id, standing, .. }) => HandedIn {
            id: Some(id),
            state: match standing {
                Standing::Added | Standing::Pending => SubmissionState::Pending,
                Standing::Committed => SubmissionState::Committed,
            },
            duplicate: standing != Standing::Added,
            rejection: None,
        },
        Err(declined) => HandedIn {
            id: None,
            state: SubmissionState::Rejected,
            duplicate: false,
            rejection: Some(Fail::from(declined).rejection()),
        },
    }
}

/// How far a submission has come, as far as this node knows. Anybody may ask for an id; items and reasons are for its author.
#[utoipa::path(get, path = "/v1/submissions/{id}", tag = "submissions", params(("id" = String, Path)), responses(
    (status = 200, body = SubmissionAnswer)))]
pub(super) async fn status(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    parts: Parts,
) -> Result<Response, Fail> {
    let id: SubmissionId = parameter("id", &id)?;
    let answer = api
        .read(move |api, snapshot| {
            let caller = api.caller(snapshot, &parts, None)?;
            if let Some(envelope) = snapshot.envelope(&id)? {
                let mut answer =
                    committed(snapshot, &id)?.unwrap_or_else(|| empty(id, SubmissionState::Unknown));
                let author = Envelope::decode(&envelope).map(|envelope| envelope.payload().author.clone());
                if !author.is_ok_and(|author| caller.wrote(&author)) {
                    answer.items.clear();
                }
                return Ok(answer);
            }
            if let Some(answer) = committed(snapshot, &id)? {
                return Ok(SubmissionAnswer { items: Vec::new(), ..answer });
            }
            let now = api.chain.now();
            let mempool = api.chain.mempool();
            if let Some(submission) = mempool.pending(&id) {
                let items =
                    if caller.wrote(&submission.payload().author) { submission.item_hashes() } else { &[] };
                return Ok(SubmissionAnswer { items: waiting(items), ..empty(id, SubmissionState::Pending) });
            }
            if let Some(rejected) = mempool.rejected(&id) {
                let rejection = rejection(&rejected.refusal, rejected.not_after < now);
                // The detail may speak of the items, which are for their author; the code does not.
                let rejection = if caller.wrote(&rejected.author) {
                    rejection
                } else {
                    Rejection { detail: String::new(), ..rejection }
                };
                return Ok(SubmissionAnswer {
                    rejection: Some(rejection),
                    ..empty(id, SubmissionState::Rejected)
                });
            }
            Ok(empty(id, SubmissionState::Unknown))
        })
        .await?;
    Ok(axum::Json(answer).into_response())
}

/// The body, bounded in length and time.
async fn read_body(api: &Api, parts: &Parts, body: Body) -> Result<Bytes, Fail> {
    let too_large = || {
        Fail::problem(413, codes::TOO_LARGE, format!("a submission has at most {MAX_SUBMISSION_BYTES} bytes"))
            .hint("split it into several submissions")
    };
    let media_type =
        parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if media_type.split(';').next().unwrap_or_default().trim() != CBOR {
        return Err(Fail::problem(
            415,
            codes::UNSUPPORTED_MEDIA_TYPE,
            "a submission is sent as application/cbor",
        )
        .hint("set Content-Type: application/cbor"));
    }
    let stated = parts
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<u64>().ok());
    if stated.is_some_and(|length| length > MAX_SUBMISSION_BYTES as u64) {
        return Err(too_large());
    }
    let collected =
        tokio::time::timeout(api.read_timeout, Limited::new(body, MAX_SUBMISSION_BYTES).collect()).await;
    match collected {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Fail::bad_request("the body broke off")),
        Err(_) => {
            Err(Fail::problem(408, codes::TIMEOUT, "the body did not arrive in time").hint("send it again"))
        }
    }
}

/// Waits for a block or a refusal; returns early when the time is over.
async fn wait(api: &Arc<Api>, id: SubmissionId, patience: Duration) -> Result<(), Fail> {
    let Some(fate) = api.chain.wait_for(id) else { return Err(Fail::overloaded()) };
    // It may have been recorded before we began to wait.
    if api.read(move |_, snapshot| Ok(snapshot.submission(&id)?.is_some())).await? {
        return Ok(());
    }
    match tokio::time::timeout(patience, fate).await {
        Ok(Ok(Fate::Rejected(refusal))) => Err(refusal.into()),
        Ok(Ok(Fate::Committed)) | Err(_) => Ok(()),
        Ok(Err(_)) => Err(Fail::not_ready("this node is stopping".into())),
    }
}

/// Where an accepted submission stands in this snapshot, for the one who sent it.
fn current(snapshot: &Snapshot<'_>, accepted: &Accepted) -> Result<SubmissionAnswer, Fail> {
    let duplicate = accepted.standing != Standing::Added;
    let answer = match committed(snapshot, &accepted.id)? {
        Some(answer) => answer,
        None => pending(accepted),
    };
    Ok(SubmissionAnswer { duplicate, ..answer })
}

fn pending(accepted: &Accepted) -> SubmissionAnswer {
    SubmissionAnswer { items: waiting(&accepted.items), ..empty(accepted.id, SubmissionState::Pending) }
}

fn committed(snapshot: &Snapshot<'_>, id: &SubmissionId) -> Result<Option<SubmissionAnswer>, Fail> {
    let Some(status) = snapshot.submission(id)? else { return Ok(None) };
    let mut items = Vec::with_capacity(status.placed.len());
    for placed in status.placed {
        let (index, earlier) = match placed {
            Placed::Here(index) => (index, false),
            Placed::Before(index) => (index, true),
        };
        if let Some(item) = item_at(snapshot, index)? {
            items.push(ItemPlace { item, index: Some(index.0), earlier });
        }
    }
    Ok(Some(SubmissionAnswer {
        height: Some(status.height.0),
        items,
        ..empty(*id, SubmissionState::Committed)
    }))
}

fn waiting(items: &[ItemHash]) -> Vec<ItemPlace> {
    items.iter().map(|item| ItemPlace { item: *item, index: None, earlier: false }).collect()
}

fn rejection(refusal: &Refusal, is_final: bool) -> Rejection {
    Rejection {
        code: refusal.code.word().to_owned(),
        detail: refusal.detail.clone(),
        item: refusal.item,
        is_final,
    }
}

fn empty(id: SubmissionId, state: SubmissionState) -> SubmissionAnswer {
    SubmissionAnswer {
        id,
        state,
        duplicate: false,
        height: None,
        items: Vec::new(),
        rejection: None,
        receipts: None,
    }
}

fn with_status(answer: &SubmissionAnswer) -> Response {
    let status = match answer.state {
        SubmissionState::Committed => StatusCode::OK,
        _ => StatusCode::ACCEPTED,
    };
    (status, axum::Json(answer)).into_response()
}
