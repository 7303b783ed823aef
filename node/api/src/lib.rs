//! The HTTP API as types: what a node answers, how a member signs a request, and a typed client.
//!
//! Two spellings of everything that can be proven: the exact file that `custos verify` takes, as
//! `application/cbor`, and a JSON view for people and dashboards, as `application/json`. Only the
//! first proves anything. In JSON, hashes, keys and identifiers are lower-case hexadecimal digits,
//! other bytes are base64 (RFC 4648, section 4, with padding), and instants are Unix milliseconds in
//! fields whose names end in `_ms`.
//!
//! Deliberately absent: the node, and any TLS stack (a node behind a proxy, or on loopback, speaks
//! plain HTTP; what members and subjects are shown is protected by their signatures and preimages
//! against misuse, not against being read on the wire).

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod answers;
pub mod base64;
pub mod blocking;
pub mod client;
pub mod clock;
pub mod permits;
pub mod problem;
pub mod signature;
pub mod text;
pub mod together;
pub mod view;
pub mod written;

pub use together::MAX_TOGETHER;

/// The media type of files and submissions.
pub const CBOR: &str = "application/cbor";

/// The media type of JSON answers.
pub const JSON: &str = "application/json";

/// The media type of errors (RFC 9457).
pub const PROBLEM_JSON: &str = "application/problem+json";

/// The header in which a subject shows the reader's preimage of a trail: 64 hexadecimal digits.
pub const READER_HEADER: &str = "custos-reader";

/// The longest time that a client may ask a node to wait for a commit, in milliseconds.
pub const MAX_WAIT_MS: u64 = 120_000;

/// The most entries in one page of a trail.
pub const MAX_PAGE: u32 = 256;
