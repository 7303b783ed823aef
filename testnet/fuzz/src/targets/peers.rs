//! What validators send each other. Frames and the engine's messages are private to their crates, which have an
//! entrance each.

use bytes::Bytes;
use custos_network::{bundles, unbundle};

use crate::target::{Outcome, Target, Text};

pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "frame",
        reads: "streams of frames between peers: the first byte is the class",
        text: Text::Bytes,
        run: |bytes| Outcome::of(custos_network::fuzz::frames(bytes)),
        seeds: custos_network::fuzz::streams,
    },
    Target {
        name: "bundle",
        reads: "submissions that travel in one frame, a length in front of each",
        text: Text::Bytes,
        run: bundle,
        seeds: || bundles([&b"one"[..], &[7; 300], b"three"]),
    },
    Target {
        name: "engine_message",
        reads: "votes, proposals, certificates, parts, requests, responses: the first byte is the kind",
        text: Text::Bytes,
        run: |bytes| Outcome::of(custos_engine::fuzz::message(bytes)),
        seeds: custos_engine::fuzz::messages,
    },
];

fn bundle(bytes: &[u8]) -> Outcome {
    let Some(submissions) = unbundle(&Bytes::copy_from_slice(bytes)) else {
        return Outcome::Refused("no bundle".into());
    };
    assert!(submissions.iter().all(|submission| !submission.is_empty()), "an empty submission");
    // Put together again it is the same bytes, in one frame or in several.
    let again = bundles(submissions.iter().map(|submission| &submission[..]));
    assert!(again.concat() == bytes, "a bundle has another spelling");
    Outcome::Accepted
}
