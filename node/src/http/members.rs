//! What members and subjects read: bodies, items, receipts and trails.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use custos_api::answers::{BlockAnswer, CertificateAnswer, HeaderAnswer, ItemAnswer, TrailEntry, TrailPage};
use custos_api::{MAX_PAGE, base64, view};
use custos_proof::cbor::Wire as _;
use custos_proof::hash::{Digest, ItemHash, TrailKey};
use custos_proof::ids::{Height, LogIndex, ParticipantId, TimeMs};
use custos_proof::item::Item;
use custos_proof::record::{ItemEntry, Record};
use custos_proof::trail::{TrailKind, TrailName};
use custos_store::Snapshot;
use serde::Deserialize;
use serde_json::Value;

use super::{Api, Fail, Wanted, cbor, height, parameter, query, spelled, wanted};
use crate::proofs::{Part, ProofError, Prover, decode_record, name_of};
use crate::readers::Caller;

/// How many entries a page has when the client does not say.
const DEFAULT_PAGE: u32 = 100;

/// A block: header, certificate and submission ids for everybody; the whole of it, as CBOR, for members.
#[utoipa::path(get, path = "/v1/blocks/{height}", tag = "chain", params(("height" = u64, Path)), responses(
    (status = 200, content((BlockAnswer = "application/json"), (Vec<u8> = "application/cbor"))),
    (status = 401, body = custos_api::problem::Problem, content_type = "application/problem+json", description = "The body is for members."),
    (status = 404, body = custos_api::problem::Problem, content_type = "application/problem+json"),
    (status = 410, body = custos_api::problem::Problem, content_type = "application/problem+json", description = "The body was pruned.")))]
pub(super) async fn block(
    State(api): State<Arc<Api>>,
    Path(at): Path<String>,
    parts: Parts,
) -> Result<Response, Fail> {
    let at = height(&at)?;
    match wanted(&parts.headers, Wanted::Json) {
        Wanted::Cbor => {
            let block = api
                .prove(move |api, snapshot| {
                    let caller = api.caller(snapshot, &parts, None)?;
                    match (&caller.member, caller.is_anonymous()) {
                        (Some(_), _) => {}
                        (None, true) => return Err(Fail::unauthenticated()),
                        (None, false) => return Err(Fail::forbidden("bodies of blocks are for members")),
                    }
                    snapshot.block(at)?.ok_or_else(|| Fail::not_found("block"))
                })
                .await?;
            Ok(cbor(block.to_bytes()))
        }
        Wanted::Json => {
            let answer = api
                .read(move |_, snapshot| {
                    let summary = snapshot.block_summary(at)?.ok_or_else(|| Fail::not_found("block"))?;
                    let certificate = snapshot.certificate(at)?.ok_or_else(|| Fail::not_found("block"))?;
                    Ok(BlockAnswer {
                        header: HeaderAnswer::from(&summary.header),
                        certificate: CertificateAnswer::from(&certificate),
                        submissions: summary.submissions,
                        first_record: summary.first.0,
                    })
                })
                .await?;
            Ok(axum::Json(answer).into_response())
        }
    }
}

/// Where an item is recorded: for its author, and for whoever may read a trail that it stands in.
#[utoipa::path(get, path = "/v1/items/{item}", tag = "items",
    params(("item" = String, Path), ("Custos-Reader" = Option<String>, Header)), responses(
    (status = 200, body = ItemAnswer),
    (status = 401, body = custos_api::problem::Problem, content_type = "application/problem+json"),
    (status = 404, body = custos_api::problem::Problem, content_type = "application/problem+json", description = "It does not exist, or not for this caller.")))]
pub(super) async fn item(
    State(api): State<Arc<Api>>,
    Path(item): Path<String>,
    parts: Parts,
) -> Result<Response, Fail> {
    let item: ItemHash = parameter("item", &item)?;
    let answer = api
        .read(move |api, snapshot| {
            let (record, _) = readable_item(api, snapshot, &parts, &item)?;
            Ok(ItemAnswer {
                item,
                index: record.index.0,
                height: record.height.0,
                time_ms: record.time.0,
                content: snapshot.item(record.index)?.map(|bytes| item_view(&bytes)),
                record: view::json(&record.view()),
            })
        })
        .await?;
    Ok(axum::Json(answer).into_response())
}

/// An item's receipt: the `custos.receipt.v1` file. For those who may read the item.
#[utoipa::path(get, path = "/v1/items/{item}/receipt", tag = "items",
    params(("item" = String, Path), ("Custos-Reader" = Option<String>, Header)), responses(
    (status = 200, content((Vec<u8> = "application/cbor"), (Object = "application/json"))),
    (status = 401, body = custos_api::problem::Problem, content_type = "application/problem+json"),
    (status = 404, body = custos_api::problem::Problem, content_type = "application/problem+json"),
    (status = 410, body = custos_api::problem::Problem, content_type = "application/problem+json", description = "The bytes were pruned.")))]
pub(super) async fn receipt(
    State(api): State<Arc<Api>>,
    Path(item): Path<String>,
    parts: Parts,
) -> Result<Response, Fail> {
    let item: ItemHash = parameter("item", &item)?;
    let spelling = wanted(&parts.headers, Wanted::Cbor);
    let receipt = api
        .prove(move |api, snapshot| {
            let (record, _) = readable_item(api, snapshot, &parts, &item)?;
            Ok(Prover::new(snapshot)?.receipt(record.index)?)
        })
        .await?;
    Ok(spelled(spelling, &receipt))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageOptions {
    at: Option<u64>,
    cursor: Option<u64>,
    limit: Option<u32>,
}

/// A page of a trail. All pages of one walk are of one header: pass `at` and `next` back.
#[utoipa::path(get, path = "/v1/trails/{trail}", tag = "trails",
    params(("trail" = String, Path), ("at" = Option<u64>, Query), ("cursor" = Option<String>, Query),
           ("limit" = Option<u32>, Query), ("Custos-Reader" = Option<String>, Header)), responses(
    (status = 200, body = TrailPage),
    (status = 401, body = custos_api::problem::Problem, content_type = "application/problem+json"),
    (status = 404, body = custos_api::problem::Problem, content_type = "application/problem+json", description = "It does not exist, or not for this caller.")))]
pub(super) async fn trail(
    State(api): State<Arc<Api>>,
    Path(trail): Path<String>,
    parts: Parts,
) -> Result<Response, Fail> {
    let trail: TrailKey = parameter("trail", &trail)?;
    let options: PageOptions = query(&parts)?;
    let page = api.prove(move |api, snapshot| page(api, snapshot, &parts, &trail, &options)).await?;
    Ok(axum::Json(page).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProofOptions {
    kind: Option<String>,
    owner: Option<String>,
    local_id: Option<String>,
    from: Option<u64>,
    to: Option<u64>,
    from_ms: Option<u64>,
    to_ms: Option<u64>,
}

/// The proof of a trail, or of a part of it with its neighbours: the `custos.trail.v1` file.
///
/// With `kind`, `owner` and `local_id` anybody gets the proof that a trail has no records; it says nothing
/// to those who do not know its name already.
#[utoipa::path(get, path = "/v1/trails/{trail}/proof", tag = "trails",
    params(("trail" = String, Path), ("kind" = Option<String>, Query), ("owner" = Option<String>, Query),
           ("local_id" = Option<String>, Query), ("from" = Option<u64>, Query), ("to" = Option<u64>, Query),
           ("from_ms" = Option<u64>, Query), ("to_ms" = Option<u64>, Query),
           ("Custos-Reader" = Option<String>, Header)), responses(
    (status = 200, content((Vec<u8> = "application/cbor"), (Object = "application/json"))),
    (status = 401, body = custos_api::problem::Problem, content_type = "application/problem+json"),
    (status = 404, body = custos_api::problem::Problem, content_type = "application/problem+json")))]
pub(super) async fn trail_proof(
    State(api): State<Arc<Api>>,
    Path(trail): Path<String>,
    parts: Parts,
) -> Result<Response, Fail> {
    let trail: TrailKey = parameter("trail", &trail)?;
    let options: ProofOptions = query(&parts)?;
    let name = options.name(&trail)?;
    let part = options.part()?;
    let spelling = wanted(&parts.headers, Wanted::Cbor);
    let proof = api
        .prove(move |api, snapshot| {
            let caller = api.caller(snapshot, &parts, None)?;
            let exists = snapshot.trail_head(&trail)?.is_some();
            let name = match (exists, name) {
                (false, Some(name)) => name,
                (true, name) if caller.may_read_trail(snapshot, &trail)? => match name {
                    Some(name) => name,
                    None => name_of(snapshot, &trail)?.ok_or_else(|| {
                        Fail::bad_request("what this trail's key is computed from was pruned")
                            .hint("give kind, owner and local_id")
                    })?,
                },
                _ if caller.is_anonymous() => return Err(Fail::unauthenticated()),
                _ => {
                    return Err(Fail::hidden("trail")
                        .hint("to have its absence proven, give kind, owner and local_id"));
                }
            };
            Ok(Prover::new(snapshot)?.trail(&name, part)?)
        })
        .await?;
    Ok(spelled(spelling, &proof))
}

impl ProofOptions {
    /// The trail's name, if it is given; it has to be that of the key.
    fn name(&self, trail: &TrailKey) -> Result<Option<TrailName>, Fail> {
        let (Some(kind), Some(owner)) = (&self.kind, &self.owner) else {
            return match (&self.kind, &self.owner, &self.local_id) {
                (None, None, None) => Ok(None),
                _ => Err(Fail::bad_request("a trail's name is kind, owner and, for a subject's, local_id")),
            };
        };
        let kind = TrailKind::from_word(kind)
            .ok_or_else(|| Fail::bad_request("kind is subject, institution, permit or registry"))?;
        let owner: ParticipantId = parameter("owner", owner)?;
        let local_id =
            self.local_id.as_deref().map(|text| parameter::<Digest>("local_id", text)).transpose()?;
        let name = TrailName { kind, owner, local_id };
        if name.key() == *trail {
            Ok(Some(name))
        } else {
            Err(Fail::bad_request("the trail's key is not that of the name"))
        }
    }

    fn part(&self) -> Result<Part, Fail> {
        match (self.from, self.to, self.from_ms, self.to_ms) {
            (None, None, None, None) => Ok(Part::Whole),
            (from, to, None, None) => Ok(Part::Positions(from.unwrap_or(0), to.unwrap_or(u64::MAX))),
            (None, None, from, to) => {
                Ok(Part::Times(TimeMs(from.unwrap_or(0)), to.map_or(custos_proof::ids::FAR, TimeMs)))
            }
            _ => Err(Fail::bad_request(
                "a part is of positions (from, to) or of times (from_ms, to_ms), not both",
            )),
        }
    }
}

/// The record of an item, if it exists for this caller.
fn readable_item(
    api: &Api,
    snapshot: &Snapshot<'_>,
    parts: &Parts,
    item: &ItemHash,
) -> Result<(Record, ItemEntry), Fail> {
    let caller = api.caller(snapshot, parts, None)?;
    let nothing = || if caller.is_anonymous() { Fail::unauthenticated() } else { Fail::hidden("item") };
    let index: LogIndex = snapshot.find_item(item)?.ok_or_else(nothing)?;
    let record = snapshot.decoded_record(index)?.ok_or(ProofError::NotFound)?;
    let entry = record.as_item().cloned().ok_or(ProofError::NotFound)?;
    if caller.may_read_item(snapshot, &entry)? { Ok((record, entry)) } else { Err(nothing()) }
}

fn page(
    api: &Api,
    snapshot: &Snapshot<'_>,
    parts: &Parts,
    trail: &TrailKey,
    options: &PageOptions,
) -> Result<TrailPage, Fail> {
    let caller: Caller = api.caller(snapshot, parts, None)?;
    if !caller.may_read_trail(snapshot, trail)? || snapshot.trail_head(trail)?.is_none() {
        return Err(if caller.is_anonymous() { Fail::unauthenticated() } else { Fail::hidden("trail") });
    }
    let at = options.at.map_or(snapshot.head().height, Height);
    if at > snapshot.head().height {
        return Err(Fail::not_found("block"));
    }
    let size = size_at(snapshot, trail, at)?;
    let from = options.cursor.unwrap_or(0).min(size);
    let limit = options.limit.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE);
    let to = from.saturating_add(u64::from(limit)).min(size);
    let entries = snapshot
        .trail(trail, from, to)?
        .into_iter()
        .map(|listed| {
            let record = decode_record(&listed.record)?;
            let item = snapshot.item(listed.index)?;
            Ok(TrailEntry {
                position: listed.position,
                item_bytes: item.as_ref().map(|bytes| base64::encode(bytes)),
                record: view::json(&record.view()),
                item: item.as_ref().map(|bytes| item_view(bytes)),
                record_bytes: listed.record,
            })
        })
        .collect::<Result<Vec<_>, Fail>>()?;
    let name = name_of(snapshot, trail)?;
    Ok(TrailPage {
        trail: *trail,
        kind: name.as_ref().map_or("unknown", |name| name.kind.word()).to_owned(),
        owner: name.map(|name| name.owner.to_string()).unwrap_or_default(),
        at: at.0,
        size,
        entries,
        next: (to < size).then(|| to.to_string()),
    })
}

/// How many entries a trail had at a height: heights ascend along a trail.
fn size_at(snapshot: &Snapshot<'_>, trail: &TrailKey, at: Height) -> Result<u64, Fail> {
    let size = snapshot.trail_head(trail)?.map_or(0, |head| head.size);
    if at == snapshot.head().height {
        return Ok(size);
    }
    let (mut low, mut high) = (0, size);
    while low < high {
        let middle = low + (high - low) / 2;
        let later = match snapshot.trail(trail, middle, middle + 1)?.first() {
            Some(listed) => decode_record(&listed.record)?.height > at,
            None => true,
        };
        if later {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(low)
}

fn item_view(bytes: &[u8]) -> Value {
    Item::from_bytes(bytes).map_or(Value::Null, |item| view::json(&item.view()))
}
