//! What anybody may read of permits (EHDS, Art. 58) and of the state map's public entries, with proofs.
//!
//! Permits are listed from the trails of the access bodies that issued them. What was done *under* a permit is not
//! public: those entries of its trail name subjects' trails, and are for the parties of the permit.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use custos_api::permits::{MAX_PERMITS, PermitAnswer, PermitVersion, PermitsAnswer, StateAnswer, StateEntry};
use custos_api::{base64, view};
use custos_proof::cbor::Wire;
use custos_proof::hash::StateKey;
use custos_proof::ids::{ParticipantId, Random16};
use custos_proof::item::Item;
use custos_proof::kinds::Fields;
use custos_proof::registry::{self, Participant, Permit, PermitTerms, Role};
use custos_proof::trail::TrailName;
use custos_store::Snapshot;
use serde::Deserialize;

use super::{Api, Fail, parameter, query};
use crate::proofs::{ProofError, decode_record};
use crate::readers::decoded;

/// The most entries of access bodies' trails that are looked at for one page.
const MAX_LOOKED_AT: u64 = 2_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    body: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

/// The data permits that were issued, as they stand.
#[utoipa::path(get, path = "/v1/permits", tag = "permits",
    params(("body" = Option<String>, Query, description = "only those of this access body"),
           ("cursor" = Option<String>, Query), ("limit" = Option<u32>, Query)), responses(
    (status = 200, body = PermitsAnswer),
    (status = 400, body = custos_api::problem::Problem, content_type = "application/problem+json")))]
pub(super) async fn permits(State(api): State<Arc<Api>>, parts: Parts) -> Result<Response, Fail> {
    let options: Options = query(&parts)?;
    let body = options.body.as_deref().map(|id| parameter::<ParticipantId>("body", id)).transpose()?;
    let cursor = options.cursor.as_deref().map(place).transpose()?;
    let limit = options.limit.unwrap_or(MAX_PERMITS).clamp(1, MAX_PERMITS) as usize;
    let answer = api.prove(move |_, snapshot| page(snapshot, body.as_ref(), cursor, limit)).await?;
    Ok(axum::Json(answer).into_response())
}

/// A data permit: every version of its terms, and whether it was revoked.
#[utoipa::path(get, path = "/v1/permits/{permit}", tag = "permits",
    params(("permit" = String, Path, description = "its id, 32 hexadecimal digits")), responses(
    (status = 200, body = PermitAnswer),
    (status = 404, body = custos_api::problem::Problem, content_type = "application/problem+json")))]
pub(super) async fn permit(
    State(api): State<Arc<Api>>,
    Path(permit): Path<String>,
) -> Result<Response, Fail> {
    let id: Random16 = parameter("permit", &permit)?;
    let answer = api.read(move |_, snapshot| permit_answer(snapshot, &id)).await?;
    Ok(axum::Json(answer.ok_or_else(|| Fail::not_found("permit"))?).into_response())
}

/// The entries of the state map about a permit, with their proofs: `permit`, and `terms-N` for each version.
#[utoipa::path(get, path = "/v1/state/permits/{permit}", tag = "permits",
    params(("permit" = String, Path, description = "its id, 32 hexadecimal digits")), responses(
    (status = 200, body = StateAnswer),
    (status = 503, body = custos_api::problem::Problem, content_type = "application/problem+json")))]
pub(super) async fn permit_state(
    State(api): State<Arc<Api>>,
    Path(permit): Path<String>,
) -> Result<Response, Fail> {
    let id: Random16 = parameter("permit", &permit)?;
    let answer = api
        .prove(move |_, snapshot| {
            let entry = decoded::<Permit>(snapshot, &registry::permit_key(&id), "permit")?;
            let versions = entry.map_or(0, |entry| entry.version);
            let mut keys = vec![("permit".to_owned(), registry::permit_key(&id))];
            keys.extend(
                (1..=versions)
                    .map(|number| (format!("terms-{number}"), registry::permit_terms_key(&id, number))),
            );
            proven(snapshot, keys)
        })
        .await?;
    Ok(axum::Json(answer).into_response())
}

/// The entries of the state map about a participant, with their proofs: `participant`, and its last `roster`.
#[utoipa::path(get, path = "/v1/state/participants/{participant}", tag = "chain",
    params(("participant" = String, Path)), responses(
    (status = 200, body = StateAnswer),
    (status = 503, body = custos_api::problem::Problem, content_type = "application/problem+json")))]
pub(super) async fn participant_state(
    State(api): State<Arc<Api>>,
    Path(participant): Path<String>,
) -> Result<Response, Fail> {
    let id: ParticipantId = parameter("participant", &participant)?;
    let keys = vec![
        ("participant".to_owned(), registry::participant_key(&id)),
        ("roster".to_owned(), registry::roster_key(&id)),
    ];
    let answer = api.prove(move |_, snapshot| proven(snapshot, keys)).await?;
    Ok(axum::Json(answer).into_response())
}

/// The policy's entry of the state map, with its proof: `policy`.
#[utoipa::path(get, path = "/v1/state/policy", tag = "chain", responses(
    (status = 200, body = StateAnswer),
    (status = 503, body = custos_api::problem::Problem, content_type = "application/problem+json")))]
pub(super) async fn policy_state(State(api): State<Arc<Api>>) -> Result<Response, Fail> {
    let keys = vec![("policy".to_owned(), registry::policy_key())];
    let answer = api.prove(move |_, snapshot| proven(snapshot, keys)).await?;
    Ok(axum::Json(answer).into_response())
}

/// Entries of the state map under the snapshot's header.
fn proven(snapshot: &Snapshot<'_>, keys: Vec<(String, StateKey)>) -> Result<StateAnswer, Fail> {
    let height = snapshot.head().height;
    let entries = keys
        .into_iter()
        .map(|(name, key)| {
            let (value, proof) = snapshot.prove_entry(&key)?;
            Ok(StateEntry { name, value: value.map(|bytes| base64::encode(&bytes)), proof: proof.to_bytes() })
        })
        .collect::<Result<_, Fail>>()?;
    Ok(StateAnswer {
        height: height.0,
        header: snapshot.header(height)?.ok_or(ProofError::NoBlock)?.to_bytes(),
        certificate: snapshot.certificate(height)?.ok_or(ProofError::NoBlock)?.to_bytes(),
        entries,
    })
}

/// Where a page begins: an access body, and a place in its trail.
fn place(cursor: &str) -> Result<(ParticipantId, u64), Fail> {
    let malformed = || Fail::bad_request("the cursor is not one that this node gave");
    let (position, body) = cursor.split_once('~').ok_or_else(malformed)?;
    Ok((body.parse().map_err(|_| malformed())?, position.parse().map_err(|_| malformed())?))
}

fn page(
    snapshot: &Snapshot<'_>,
    only: Option<&ParticipantId>,
    cursor: Option<(ParticipantId, u64)>,
    limit: usize,
) -> Result<PermitsAnswer, Fail> {
    let mut permits = Vec::new();
    let mut left = MAX_LOOKED_AT;
    let answer = |permits, next| PermitsAnswer { height: snapshot.head().height.0, permits, next };
    for body in snapshot.participants()? {
        let is_wanted =
            only.is_none_or(|only| *only == body) && cursor.as_ref().is_none_or(|(first, _)| *first <= body);
        if !is_wanted || !is_access_body(snapshot, &body)? {
            continue;
        }
        let mut position = match &cursor {
            Some((first, position)) if *first == body => *position,
            _ => 0,
        };
        let trail = TrailName::institution(&body).key();
        loop {
            // A page may be full or have looked at enough: the next one goes on at this place.
            if permits.len() >= limit || left == 0 {
                return Ok(answer(permits, Some(format!("{position}~{body}"))));
            }
            let listed = snapshot.trail(&trail, position, position.saturating_add(left.min(100)))?;
            if listed.is_empty() {
                break;
            }
            for entry in listed {
                if permits.len() >= limit {
                    break;
                }
                position = entry.position + 1;
                left = left.saturating_sub(1);
                let by_body = decode_record(&entry.record)?
                    .as_item()
                    .is_some_and(|stated| stated.author.as_participant() == Some(&body));
                let item = snapshot.item(entry.index)?.and_then(|bytes| Item::from_bytes(&bytes).ok());
                if let (true, Some(Fields::PermitIssue(issue))) = (by_body, item.map(|item| item.fields)) {
                    permits.extend(permit_answer(snapshot, &issue.permit)?);
                }
            }
        }
    }
    Ok(answer(permits, None))
}

fn is_access_body(snapshot: &Snapshot<'_>, id: &ParticipantId) -> Result<bool, Fail> {
    let entry = decoded::<Participant>(snapshot, &registry::participant_key(id), "participant")?;
    Ok(entry.is_some_and(|entry| entry.roles.has(Role::AccessBody)))
}

fn permit_answer(snapshot: &Snapshot<'_>, id: &Random16) -> Result<Option<PermitAnswer>, Fail> {
    let Some(entry) = decoded::<Permit>(snapshot, &registry::permit_key(id), "permit")? else {
        return Ok(None);
    };
    let version = |number: u32| -> Result<PermitVersion, Fail> {
        let terms =
            decoded::<PermitTerms>(snapshot, &registry::permit_terms_key(id, number), "permit's terms")?
                .ok_or_else(|| Fail::internal(&"a permit lacks its terms"))?;
        Ok(PermitVersion {
            version: number,
            item: terms.item,
            since: terms.since.0,
            terms: view::json(&terms.terms.view()),
        })
    };
    Ok(Some(PermitAnswer {
        permit: *id,
        body: entry.body.clone(),
        revoked: entry.revoked.map(|height| height.0),
        versions: (1..=entry.version).map(version).collect::<Result<_, _>>()?,
    }))
}
