//! Errors as RFC 9457 problem details: a status, a stable code, what happened, and what to do.
//!
//! Programs match on `code`, which never changes its meaning; people read `detail` and `hint`.
//! Refusals of submissions keep the word that the rules gave them; the codes below are those of the
//! API itself.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A problem (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `urn:custos:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// A short name, the same for every problem of this code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// A stable word for programs.
    pub code: String,
    /// What happened this time.
    pub detail: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Which item of a submission it is about, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<usize>,
    /// When to try again, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
}

impl Problem {
    /// A problem. The title is the code in words.
    #[must_use]
    pub fn new(status: u16, code: &str, detail: impl Into<String>) -> Self {
        let mut title = code.replace('-', " ");
        if let Some(first) = title.get_mut(0..1) {
            first.make_ascii_uppercase();
        }
        Self {
            kind: format!("urn:custos:problem:{code}"),
            title,
            status,
            code: code.to_owned(),
            detail: detail.into(),
            hint: None,
            item: None,
            retry_after_s: None,
        }
    }

    /// The same, saying what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, saying when to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.detail, self.code)?;
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

/// The codes of the API itself, beside the refusals of submissions.
pub mod codes {
    /// No such route, height, submission or item; or one that this caller may not know of.
    pub const NOT_FOUND: &str = "not-found";
    /// The route exists, but not with this method.
    pub const METHOD_NOT_ALLOWED: &str = "method-not-allowed";
    /// A parameter of the path or query cannot be read.
    pub const BAD_REQUEST: &str = "bad-request";
    /// The body is not `application/cbor`.
    pub const UNSUPPORTED_MEDIA_TYPE: &str = "unsupported-media-type";
    /// The body is longer than any submission.
    pub const TOO_LARGE: &str = "too-large";
    /// The mempool has no room.
    pub const MEMPOOL_FULL: &str = "mempool-full";
    /// The author has its whole share of the mempool in it already.
    pub const AUTHOR_QUOTA: &str = "author-quota";
    /// Too many requests at once.
    pub const OVERLOADED: &str = "overloaded";
    /// The request was not answered in time.
    pub const TIMEOUT: &str = "timeout";
    /// The node cannot do this now.
    pub const NOT_READY: &str = "not-ready";
    /// Neither a member's signature nor a reader's preimage was shown.
    pub const UNAUTHENTICATED: &str = "unauthenticated";
    /// A request signature that is malformed, of an unknown key, outside its window, or not valid.
    pub const BAD_REQUEST_SIGNATURE: &str = "bad-request-signature";
    /// A request signature that was used before.
    pub const REQUEST_REPLAYED: &str = "request-replayed";
    /// The caller is known and may not read this.
    pub const FORBIDDEN: &str = "forbidden";
    /// The item's bytes were pruned or erased.
    pub const PRUNED: &str = "pruned";
    /// The node failed; its log says why.
    pub const INTERNAL: &str = "internal";

    /// All of them, each with the statuses that it comes with.
    pub const ALL: [(&str, &[u16]); 16] = [
        (NOT_FOUND, &[404]),
        (METHOD_NOT_ALLOWED, &[405]),
        (BAD_REQUEST, &[400]),
        (UNSUPPORTED_MEDIA_TYPE, &[415]),
        (TOO_LARGE, &[413]),
        (MEMPOOL_FULL, &[429]),
        (AUTHOR_QUOTA, &[429]),
        (OVERLOADED, &[429]),
        (TIMEOUT, &[408, 504]),
        (NOT_READY, &[503]),
        (UNAUTHENTICATED, &[401]),
        (BAD_REQUEST_SIGNATURE, &[401]),
        (REQUEST_REPLAYED, &[401]),
        (FORBIDDEN, &[403]),
        (PRUNED, &[410]),
        (INTERNAL, &[500]),
    ];
}
