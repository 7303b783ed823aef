//! What anybody may read: what proves the chain, the registry, and how the node is.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use custos_api::answers::{
    CertificateAnswer, CheckpointAnswer, ConsistencyAnswer, DisplayNameAnswer, HeaderAnswer, Health,
    HealthStatus, KeyAnswer, ParticipantAnswer, PolicyAnswer, ProposalAnswer, ProposalsAnswer, Ready,
    RegistryAnswer, Status, validators,
};
use custos_api::problem::Problem;
use custos_consensus::State as Consensus;
use custos_proof::anchor::{Advance, Links};
use custos_proof::cbor::{List, Wire as _, Writer};
use custos_proof::ids::{LogSize, ParticipantId, Random16};
use custos_proof::registry::{self, OpenProposals, Participant, Policy, Proposal, Role};
use custos_state::view::View as _;
use custos_store::{Snapshot, StoreError};
use serde::Deserialize;

use super::{Api, Fail, Wanted, cbor, height, note, query, spelled, wanted};
use crate::chain::lock;
use crate::ledger::key_entry;
use crate::proofs::ProofError;

/// Whether the node's parts work.
#[utoipa::path(get, path = "/healthz", tag = "node", responses(
    (status = 200, body = Health), (status = 503, body = Health, description = "It needs an operator.")))]
pub(super) async fn healthz(State(api): State<Arc<Api>>) -> Response {
    let health = api.health.borrow().clone();
    let (consensus, reason) = match health.state {
        Consensus::Starting => ("starting", None),
        Consensus::WaitingForPeers => ("waiting-for-peers", None),
        Consensus::Running => ("running", None),
        Consensus::Idle => ("idle", None),
        Consensus::Lagging => ("lagging", None),
        Consensus::SafetyHang(reason) => ("safety-hang", Some(reason)),
        Consensus::Halted(reason) => ("halted", Some(reason)),
    };
    let live = reason.is_none();
    let aside = || Some(format!("this node stands aside and does not vote: {}", api.aside.as_ref()?));
    let reason = reason.or_else(aside);
    let answer = Health {
        status: if live { HealthStatus::Ok } else { HealthStatus::Failed },
        consensus: consensus.to_owned(),
        reason,
        height: api.chain.store().head().height.0,
        network_height: health.network_height.0,
        peers: health.connected_peers,
        pending: api.chain.mempool().len(),
    };
    let status = if live { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(answer)).into_response()
}

/// Whether the node takes submissions and answers from the present.
#[utoipa::path(get, path = "/readyz", tag = "node", responses(
    (status = 200, body = Ready), (status = 503, body = Ready, description = "Not now.")))]
pub(super) async fn readyz(State(api): State<Arc<Api>>) -> Response {
    let reason = api.not_ready();
    let status = if reason.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(Ready { ready: reason.is_none(), reason })).into_response()
}

/// The metrics, in the OpenMetrics text format.
#[utoipa::path(get, path = "/metrics", tag = "node", responses(
    (status = 200, body = String, content_type = "application/openmetrics-text")))]
pub(super) async fn metrics(State(api): State<Arc<Api>>) -> Result<Response, Fail> {
    let health = api.health.borrow().clone();
    let page = api.read(move |api, _| Ok(api.metrics.page(&api.chain, &health))).await?;
    Ok(([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], page)
        .into_response())
}

/// What the node is and where its chain stands.
#[utoipa::path(get, path = "/v1/status", tag = "chain", responses((status = 200, body = Status)))]
pub(super) async fn status(State(api): State<Arc<Api>>) -> Result<Response, Fail> {
    let answer = api
        .read(|api, snapshot| {
            let head = snapshot.head();
            Ok(Status {
                network: api.chain.store().genesis().name.to_string(),
                chain: head.chain,
                participant: api.participant.as_ref().map(ToString::to_string),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                height: head.height.0,
                block_id: head.block_id,
                time_ms: head.time.0,
                log_size: head.log_size.0,
                validators: head.next_validators.as_slice().len(),
                heartbeat_ms: read_policy(snapshot)?.heartbeat_ms,
            })
        })
        .await?;
    Ok(axum::Json(answer).into_response())
}

/// The genesis: the `custos.genesis.v1` file.
#[utoipa::path(get, path = "/v1/genesis", tag = "chain", responses(
    (status = 200, content((Vec<u8> = "application/cbor"), (Object = "application/json")))))]
pub(super) async fn genesis(State(api): State<Arc<Api>>, parts: Parts) -> Response {
    match wanted(&parts.headers, Wanted::Cbor) {
        Wanted::Cbor => cbor(api.chain.store().genesis_bytes().to_vec()),
        Wanted::Json => spelled(Wanted::Json, api.chain.store().genesis()),
    }
}

/// A header.
#[utoipa::path(get, path = "/v1/headers/{height}", tag = "chain", params(("height" = u64, Path)), responses(
    (status = 200, content((HeaderAnswer = "application/json"), (Vec<u8> = "application/cbor"))),
    (status = 404, body = custos_api::problem::Problem, content_type = "application/problem+json")))]
pub(super) async fn header(
    State(api): State<Arc<Api>>,
    Path(at): Path<String>,
    parts: Parts,
) -> Result<Response, Fail> {
    let at = height(&at)?;
    let bytes =
        api.read(move |_, snapshot| snapshot.header(at)?.ok_or_else(|| Fail::not_found("block"))).await?;
    Ok(match wanted(&parts.headers, Wanted::Json) {
        Wanted::Cbor => cbor(bytes.to_bytes()),
        Wanted::Json => axum::Json(HeaderAnswer::from(&bytes)).into_response(),
    })
}

/// A certificate.
#[utoipa::path(get, path = "/v1/certificates/{height}", tag = "chain", params(("height" = u64, Path)), responses(
    (status = 200, content((CertificateAnswer = "application/json"), (Vec<u8> = "application/cbor"))),
    (status = 404, body = custos_api::problem::Problem, content_type = "application/problem+json")))]
pub(super) async fn certificate(
    State(api): State<Arc<Api>>,
    Path(at): Path<String>,
    parts: Parts,
) -> Result<Response, Fail> {
    let at = height(&at)?;
    let certificate = api
        .read(move |_, snapshot| snapshot.certificate(at)?.ok_or_else(|| Fail::not_found("block")))
        .await?;
    Ok(match wanted(&parts.headers, Wanted::Json) {
        Wanted::Cbor => cbor(certificate.to_bytes()),
        Wanted::Json => axum::Json(CertificateAnswer::from(&certificate)).into_response(),
    })
}

/// The last header with its certificate; in JSON with the log's checkpoint as a signed note (C2SP).
#[utoipa::path(get, path = "/v1/checkpoint", tag = "chain", responses(
    (status = 200, content((CheckpointAnswer = "application/json"), (Vec<u8> = "application/cbor"), (String = "text/plain"))),
    (status = 503, body = custos_api::problem::Problem, content_type = "application/problem+json")))]
pub(super) async fn checkpoint(State(api): State<Arc<Api>>, parts: Parts) -> Result<Response, Fail> {
    let (header, certificate, note) = api
        .read(|api, snapshot| {
            let at = snapshot.head().height;
            let header = snapshot.header(at)?.ok_or(ProofError::NoBlock)?;
            let certificate = snapshot.certificate(at)?.ok_or(ProofError::NoBlock)?;
            let note = note::note(&header.chain, header.log_size, &header.log_root, api.note.as_deref())
                .map_err(|error| Fail::internal(&error))?;
            Ok((header, certificate, note))
        })
        .await?;
    let accept = parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.starts_with("text/plain") {
        return Ok(note.into_response());
    }
    Ok(match wanted(&parts.headers, Wanted::Json) {
        Wanted::Cbor => {
            let mut w = Writer::new();
            w.array(2);
            header.write(&mut w);
            certificate.write(&mut w);
            cbor(w.into_bytes())
        }
        Wanted::Json => axum::Json(CheckpointAnswer {
            note,
            header: HeaderAnswer::from(&header),
            certificate: CertificateAnswer::from(&certificate),
        })
        .into_response(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sizes {
    from: u64,
    to: u64,
}

/// The consistency proof between two sizes of the log (RFC 6962, section 2.1.2).
#[utoipa::path(get, path = "/v1/consistency", tag = "chain",
    params(("from" = u64, Query), ("to" = u64, Query)), responses(
    (status = 200, body = ConsistencyAnswer),
    (status = 400, body = custos_api::problem::Problem, content_type = "application/problem+json")))]
pub(super) async fn consistency(State(api): State<Arc<Api>>, parts: Parts) -> Result<Response, Fail> {
    let Sizes { from, to } = query(&parts)?;
    let path =
        api.prove(move |_, snapshot| Ok(snapshot.prove_consistency(LogSize(from), LogSize(to))?)).await?;
    Ok(axum::Json(ConsistencyAnswer { from, to, path }).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct From {
    #[serde(default)]
    from: u64,
}

/// Each header after `from` whose validator set changes: the `custos.links.v1` file.
#[utoipa::path(get, path = "/v1/anchor/links", tag = "chain", params(("from" = Option<u64>, Query)), responses(
    (status = 200, content((Vec<u8> = "application/cbor"), (Object = "application/json")))))]
pub(super) async fn links(State(api): State<Arc<Api>>, parts: Parts) -> Result<Response, Fail> {
    let From { from } = query(&parts)?;
    let links = api
        .prove(move |api, snapshot| {
            let links = lock(&api.validator_changes).links(snapshot, custos_proof::ids::Height(from))?;
            List::new(links).map(|links| Links { links }).ok_or_else(|| ProofError::NotFound.into())
        })
        .await?;
    Ok(spelled(wanted(&parts.headers, Wanted::Cbor), &links))
}

/// What moves a trust anchor from height `from` to the head: the `custos.advance.v1` file.
#[utoipa::path(get, path = "/v1/anchor/advance", tag = "chain", params(("from" = Option<u64>, Query)), responses(
    (status = 200, content((Vec<u8> = "application/cbor"), (Object = "application/json"))),
    (status = 503, body = custos_api::problem::Problem, content_type = "application/problem+json")))]
pub(super) async fn advance(State(api): State<Arc<Api>>, parts: Parts) -> Result<Response, Fail> {
    let From { from } = query(&parts)?;
    let advance = api
        .prove(move |api, snapshot| {
            let head = snapshot.head();
            let links = lock(&api.validator_changes).links(snapshot, custos_proof::ids::Height(from))?;
            Ok(Advance {
                links: List::new(links).ok_or(ProofError::NotFound)?,
                header: snapshot.header(head.height)?.ok_or(ProofError::NoBlock)?,
                certificate: snapshot.certificate(head.height)?.ok_or(ProofError::NoBlock)?,
                next: head.next_validators.clone(),
                witnessed: None,
            })
        })
        .await?;
    Ok(spelled(wanted(&parts.headers, Wanted::Cbor), &advance))
}

/// Participants, their keys, and the validators.
#[utoipa::path(get, path = "/v1/registry", tag = "chain", responses((status = 200, body = RegistryAnswer)))]
pub(super) async fn registry(State(api): State<Arc<Api>>) -> Result<Response, Fail> {
    let answer = api
        .read(|_, snapshot| {
            let head = snapshot.head();
            let participants = snapshot
                .participants()?
                .iter()
                .map(|id| participant(snapshot, id))
                .collect::<Result<_, _>>()?;
            Ok(RegistryAnswer {
                height: head.height.0,
                registrar: head.registrar.clone(),
                participants,
                validators: validators(&head.next_validators),
            })
        })
        .await?;
    Ok(axum::Json(answer).into_response())
}

/// The policy.
#[utoipa::path(get, path = "/v1/policy", tag = "chain", responses((status = 200, body = PolicyAnswer)))]
pub(super) async fn policy(State(api): State<Arc<Api>>) -> Result<Response, Fail> {
    let answer = api
        .read(|_, snapshot| {
            let policy = custos_api::view::json(&read_policy(snapshot)?.view());
            Ok(PolicyAnswer { height: snapshot.head().height.0, policy })
        })
        .await?;
    Ok(axum::Json(answer).into_response())
}

/// The proposals that can still be decided.
#[utoipa::path(get, path = "/v1/proposals", tag = "chain", responses((status = 200, body = ProposalsAnswer)))]
pub(super) async fn proposals(State(api): State<Arc<Api>>) -> Result<Response, Fail> {
    let answer = api
        .read(|_, snapshot| {
            let open = match entry(snapshot, &registry::open_proposals_key())? {
                Some(bytes) => OpenProposals::from_bytes(&bytes).map_err(|error| Fail::internal(&error))?,
                None => OpenProposals::default(),
            };
            let proposals = open
                .iter()
                .filter_map(|open| proposal_answer(snapshot, &open.proposal).transpose())
                .collect::<Result<_, _>>()?;
            Ok(ProposalsAnswer { height: snapshot.head().height.0, proposals })
        })
        .await?;
    Ok(axum::Json(answer).into_response())
}

/// A proposal, and what became of it.
#[utoipa::path(
    get, path = "/v1/proposals/{proposal}", tag = "chain",
    params(("proposal" = String, Path, description = "its id, 32 hexadecimal digits")),
    responses((status = 200, body = ProposalAnswer), (status = 404, body = Problem))
)]
pub(super) async fn proposal(
    State(api): State<Arc<Api>>,
    Path(proposal): Path<String>,
) -> Result<Response, Fail> {
    let id: Random16 =
        proposal.parse().map_err(|_| Fail::bad_request("a proposal's id has 32 hexadecimal digits"))?;
    let answer = api.read(move |_, snapshot| proposal_answer(snapshot, &id)).await?;
    Ok(axum::Json(answer.ok_or(ProofError::NotFound)?).into_response())
}

fn proposal_answer(snapshot: &Snapshot<'_>, id: &Random16) -> Result<Option<ProposalAnswer>, Fail> {
    let Some(bytes) = entry(snapshot, &registry::proposal_key(id))? else { return Ok(None) };
    let entry = Proposal::from_bytes(&bytes).map_err(|error| Fail::internal(&error))?;
    let set = &snapshot.head().next_validators;
    let power = |names: &[ParticipantId]| {
        set.as_slice().iter().filter(|v| names.contains(&v.participant)).map(|v| v.power).sum()
    };
    let words = |names: &[ParticipantId]| names.iter().map(ToString::to_string).collect();
    Ok(Some(ProposalAnswer {
        proposal: *id,
        item: entry.item,
        opener: entry.opener.clone(),
        state: entry.state.word().to_owned(),
        reason: entry.reason.as_deref().map(ToOwned::to_owned),
        opened: entry.opened.0,
        deadline_ms: entry.deadline.0,
        closed: entry.closed.map(|height| height.0),
        yes_power: power(&entry.yes),
        no_power: power(&entry.no),
        total_power: set.total_power(),
        yes: words(&entry.yes),
        no: words(&entry.no),
        acts: entry.acts.iter().map(|act| custos_api::view::json(&act.view())).collect(),
    }))
}

fn read_policy(snapshot: &Snapshot<'_>) -> Result<Policy, Fail> {
    let bytes =
        entry(snapshot, &registry::policy_key())?.ok_or_else(|| Fail::internal(&"there is no policy"))?;
    Policy::from_bytes(&bytes).map_err(|error| Fail::internal(&error))
}

fn entry(snapshot: &Snapshot<'_>, key: &custos_proof::hash::StateKey) -> Result<Option<Vec<u8>>, Fail> {
    snapshot.entry(key).map_err(|error| StoreError::Io(error.to_string()).into())
}

fn participant(snapshot: &Snapshot<'_>, id: &ParticipantId) -> Result<ParticipantAnswer, Fail> {
    let bytes = entry(snapshot, &registry::participant_key(id))?
        .ok_or_else(|| Fail::internal(&format!("participant {id} is listed and has no entry")))?;
    let entry = Participant::from_bytes(&bytes).map_err(|error| Fail::internal(&error))?;
    let mut keys = Vec::new();
    for key in snapshot.keys(id)? {
        let Some(entry) = key_entry(snapshot, &key)? else { continue };
        keys.push(KeyAnswer {
            id: key,
            key: entry.key,
            purpose: entry.purpose.word().to_owned(),
            valid_from: entry.valid_from.0,
            revoked: entry.revoked.map(|index| index.0),
            not_after_ms: entry.not_after.0,
            compromised_from_ms: entry.compromised_from.map(|time| time.0),
        });
    }
    Ok(ParticipantAnswer {
        id: id.clone(),
        roles: Role::ALL
            .iter()
            .filter(|role| entry.roles.has(**role))
            .map(|role| role.word().to_owned())
            .collect(),
        jurisdiction: entry.jurisdiction.to_string(),
        name: entry.name.as_ref().map(|name| name.to_string()),
        display_names: entry
            .display_names
            .iter()
            .map(|shown| DisplayNameAnswer {
                language: shown.language.to_string(),
                name: shown.name.to_string(),
            })
            .collect(),
        endpoint: entry.endpoint.to_string(),
        suspended: entry.suspended.map(|index| index.0),
        keys,
    })
}
