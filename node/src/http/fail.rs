//! From every error of the node to a problem with a status, a stable code and a hint.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use custos_api::PROBLEM_JSON;
use custos_api::answers::Rejection;
use custos_api::problem::{Problem, codes};
use custos_api::signature::SignatureError;
use custos_state::error::{Refusal, RefusalCode};
use custos_store::StoreError;
use tracing::error;

use crate::intake::Declined;
use crate::mempool::NoRoom;
use crate::proofs::ProofError;
use crate::readers::Stranger;

/// The longest that a client is asked to wait.
const MAX_RETRY_S: u64 = 30;

/// An answer that is a problem.
#[derive(Debug)]
pub(crate) struct Fail(Box<Problem>);

impl Fail {
    pub(crate) fn problem(status: u16, code: &str, detail: impl Into<String>) -> Self {
        Self(Box::new(Problem::new(status, code, detail)))
    }

    /// What it says of one submission among several.
    pub(crate) fn rejection(self) -> Rejection {
        let Problem { code, detail, item, .. } = *self.0;
        Rejection { code, detail, item, is_final: false }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::problem(400, codes::BAD_REQUEST, detail).hint("see /v1/openapi.json for the parameters")
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::problem(404, codes::NOT_FOUND, format!("there is no such {what}"))
    }

    /// The same answer whether it exists or not.
    pub(crate) fn hidden(what: &str) -> Self {
        Self::problem(
            404,
            codes::NOT_FOUND,
            format!("there is no such {what}, or this caller may not read it"),
        )
    }

    pub(crate) fn unauthenticated() -> Self {
        Self::problem(401, codes::UNAUTHENTICATED, "this is for members and subjects")
            .hint("sign the request with a registered key (RFC 9421), or show the trail's reader preimage in Custos-Reader")
    }

    pub(crate) fn forbidden(detail: &str) -> Self {
        Self::problem(403, codes::FORBIDDEN, detail)
    }

    pub(crate) fn overloaded() -> Self {
        Self::problem(429, codes::OVERLOADED, "too many requests at once").hint("try again").retry_after(1)
    }

    pub(crate) fn not_ready(reason: String) -> Self {
        Self::problem(503, codes::NOT_READY, reason).hint("try again, or ask another node").retry_after(2)
    }

    /// The node does not come back by itself: nobody is told to wait for it.
    pub(crate) fn stands(reason: String) -> Self {
        Self::problem(503, codes::NOT_READY, reason).hint("ask another node; this one needs its operator")
    }

    /// The detail goes to the log, not out.
    pub(crate) fn internal(cause: &dyn std::fmt::Display) -> Self {
        error!(%cause, "a request failed");
        Self::problem(500, codes::INTERNAL, "the node failed; its log says why")
            .hint("tell the node's operator")
    }
}

impl IntoResponse for Fail {
    fn into_response(self) -> Response {
        let problem = *self.0;
        let status = axum::http::StatusCode::from_u16(problem.status)
            .unwrap_or(axum::http::StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(&problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = problem.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if problem.status == 401 {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Signature, Custos-Reader"));
        }
        response
    }
}

impl From<Refusal> for Fail {
    fn from(refusal: Refusal) -> Self {
        let (status, hint) = answer_to(refusal.code);
        let mut problem = Problem::new(status, refusal.code.word(), refusal.detail).hint(hint);
        problem.item = refusal.item;
        if status == 429 {
            problem.retry_after_s = Some(30);
        }
        Self(Box::new(problem))
    }
}

/// Every code with the statuses that it comes with, and what to do about it when that is always the same.
pub(super) fn problems() -> BTreeMap<&'static str, (BTreeSet<u16>, Option<&'static str>)> {
    let mut problems: BTreeMap<_, (BTreeSet<u16>, Option<&str>)> = BTreeMap::new();
    for code in RefusalCode::ALL {
        let (status, hint) = answer_to(*code);
        problems.insert(code.word(), (BTreeSet::from([status]), Some(hint)));
    }
    for (code, statuses) in codes::ALL {
        problems.entry(code).or_default().0.extend(statuses);
    }
    problems
}

/// Status and hint of every refusal.
fn answer_to(code: RefusalCode) -> (u16, &'static str) {
    use RefusalCode as R;
    match code {
        R::Malformed | R::MalformedItem => (400, "encode it as docs/spec says"),
        R::Truncated => (400, "send the submission's bytes whole, and nothing behind them"),
        R::NotCanonical => {
            (400, "use deterministic CBOR (RFC 8949, section 4.2.1) and an empty unprotected header")
        }
        R::TooLarge => (413, "split it into several submissions"),
        R::UnsupportedAlgorithm => (400, "sign with Ed25519 (COSE algorithm -19)"),
        R::UnsupportedVersion => (400, "use the version of the format that this network speaks"),
        R::WrongChain => (422, "sign for the chain that /v1/status names"),
        R::UnknownAuthor => (403, "have the participant registered first: it takes a vote"),
        R::SuspendedAuthor => (403, "ask the validators"),
        R::UnknownKey => (403, "add the key to the registry first; it speaks from the next block on"),
        R::RevokedKey => (403, "sign with a live key of the author"),
        R::WrongKey => (403, "sign with a key of the author whose purpose is to sign"),
        R::BadKey => (422, "make a new key"),
        R::NoPossession => (422, "sign the possession preimage with the new key"),
        R::BadSignature => (403, "sign the Sig_structure with the named key"),
        R::Expired => (422, "sign it again with a later not_after, and check the clock"),
        R::TooFarAhead => (422, "choose a not_after within the policy's lifetime, and check the clock"),
        R::Replayed => (409, "choose a fresh random nonce"),
        R::QuotaExceeded => (429, "wait until earlier submissions expire, or send more items in each"),
        R::UnknownKind => (422, "use a kind of this protocol version"),
        R::MixedClasses => (422, "send acts and testimony in separate submissions"),
        R::NotAllowed => (403, "see docs/spec for who may write this kind"),
        R::Exists => (409, "it is there already"),
        R::NotFound => (422, "create what it refers to first"),
        R::TrailClosed => (422, "open the trail of this year"),
        R::WrongEpoch => (422, "open the trail of the current calendar year (UTC)"),
        R::BadExpiry => (422, "let it end with a quarter (UTC), or never"),
        R::ByVoteOnly => (403, "put it to the vote: `custos proposal open`"),
        R::ProposalClosed => (409, "open another proposal"),
        R::NoMandate => (403, "have the custodian issue a mandate first"),
        R::ExceedsParent => (422, "choose an amount within what is left of the parent's"),
        R::TooFarBack | R::OutOfRange => (422, "choose a value within the bounds"),
        R::Ended => (409, "it is over; begin another"),
        R::OnHold => (409, "ask whoever set the hold to lift it"),
        R::TooEarly => (422, "wait until the period of its class has passed"),
    }
}

impl From<Declined> for Fail {
    fn from(declined: Declined) -> Self {
        match declined {
            Declined::Refused(refusal) => refusal.into(),
            Declined::NoRoom(no_room) => no_room.into(),
            Declined::Failed(cause) => Fail::internal(&cause),
        }
    }
}

impl From<NoRoom> for Fail {
    fn from(no_room: NoRoom) -> Self {
        match no_room {
            NoRoom::Full => Fail::problem(429, codes::MEMPOOL_FULL, "more waits than this node holds")
                .hint("try again, or ask another node")
                .retry_after(1),
            NoRoom::Behind(seconds) => Fail::problem(
                429,
                codes::MEMPOOL_FULL,
                format!("what waits on this node takes about {seconds} s to be recorded"),
            )
            .hint("send less at a time, or ask another node")
            .retry_after(seconds.clamp(1, MAX_RETRY_S)),
            NoRoom::Share => {
                Fail::problem(429, codes::AUTHOR_QUOTA, "this author has its whole share of the waiting room")
                    .hint("wait for what was sent to be recorded")
                    .retry_after(1)
            }
        }
    }
}

impl From<ProofError> for Fail {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::NoBlock => Fail::not_ready(error.to_string()),
            ProofError::NotFound => Fail::problem(404, codes::NOT_FOUND, error.to_string()),
            ProofError::Pruned => Fail::problem(410, codes::PRUNED, error.to_string()),
            ProofError::TooLong(_) => Fail::problem(400, codes::BAD_REQUEST, error.to_string())
                .hint("ask for parts with from and to; parts of one header join without a gap"),
            ProofError::Part(detail) => Fail::bad_request(detail),
            ProofError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for Fail {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Pruned(_) => Fail::problem(410, codes::PRUNED, error.to_string()),
            StoreError::OutOfRange(detail) => Fail::bad_request(detail),
            other => Fail::internal(&other),
        }
    }
}

impl From<Stranger> for Fail {
    fn from(stranger: Stranger) -> Self {
        let detail = stranger.to_string();
        match stranger {
            Stranger::Signature(error) => error.into(),
            Stranger::Key => Fail::problem(401, codes::BAD_REQUEST_SIGNATURE, detail)
                .hint("sign with a registered key whose purpose is to sign"),
            Stranger::Window(_) => Fail::problem(401, codes::BAD_REQUEST_SIGNATURE, detail)
                .hint("check the clock, and sign each request anew"),
            Stranger::OtherNode(_) => Fail::problem(401, codes::BAD_REQUEST_SIGNATURE, detail)
                .hint("ask the node by its own name; its operator lists names under `api.names`"),
            Stranger::Replayed => {
                Fail::problem(401, codes::REQUEST_REPLAYED, detail).hint("sign each request anew")
            }
            Stranger::TooMany => Fail::overloaded(),
            Stranger::Store(error) => error.into(),
        }
    }
}

impl From<SignatureError> for Fail {
    fn from(error: SignatureError) -> Self {
        Fail::problem(401, codes::BAD_REQUEST_SIGNATURE, error.to_string())
            .hint("sign as docs/spec/openapi.json says")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_is_a_client_error_with_a_hint() {
        for code in RefusalCode::ALL {
            let Fail(problem) = Refusal::new(*code, "detail").into();
            assert!((400..500).contains(&problem.status), "{code:?}");
            assert!(problem.hint.is_some_and(|hint| !hint.is_empty()), "{code:?}");
            assert_eq!(problem.code, code.word());
        }
    }

    #[test]
    fn whoever_is_told_to_wait_is_told_how_long_in_the_header_too() {
        let quota = Refusal::new(RefusalCode::QuotaExceeded, "detail");
        for fail in [
            Fail::overloaded(),
            Fail::not_ready("starting".into()),
            NoRoom::Full.into(),
            NoRoom::Share.into(),
            quota.into(),
        ] {
            let seconds = fail.0.retry_after_s;
            let response = fail.into_response();
            assert!([429, 503].contains(&response.status().as_u16()));
            let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
            assert_eq!(header(header::RETRY_AFTER).and_then(|text| text.parse().ok()), seconds);
            assert!(seconds.is_some_and(|seconds| seconds > 0));
            assert_eq!(header(header::CONTENT_TYPE), Some(PROBLEM_JSON));
        }
    }

    #[test]
    fn nobody_is_told_to_wait_for_a_node_that_needs_its_operator() {
        let response = Fail::stands("consensus halted: the disk is full".into()).into_response();
        assert_eq!(response.status(), axum::http::StatusCode::SERVICE_UNAVAILABLE);
        assert!(!response.headers().contains_key(header::RETRY_AFTER));
    }
}
