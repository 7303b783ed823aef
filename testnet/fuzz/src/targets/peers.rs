//! What validators send each other. The decoders are private to their crates, which have an entrance each.

use crate::target::{Outcome, Target, Text};

pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "frame",
        reads: "streams of frames between peers, gossip among them: the first byte is the class",
        text: Text::Bytes,
        run: |bytes| Outcome::of(custos_network::fuzz::frames(bytes)),
        seeds: custos_network::fuzz::streams,
    },
    Target {
        name: "engine_message",
        reads: "votes, proposals, certificates, parts, requests, responses: the first byte is the kind",
        text: Text::Bytes,
        run: |bytes| Outcome::of(custos_engine::fuzz::message(bytes)),
        seeds: custos_engine::fuzz::messages,
    },
];
