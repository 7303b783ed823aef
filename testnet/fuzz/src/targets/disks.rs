//! What was written here before, as a crash or a bad disk could leave it. Snapshots too, which anybody may have
//! written.

use crate::target::{Outcome, Target, Text};

/// The vault belongs to the custodian's library, which needs nothing of a node.
pub(super) const VAULT: &[Target] = &[Target {
    name: "vault",
    reads: "a vault's entries, and a subject's file of them",
    text: Text::Bytes,
    run: |bytes| Outcome::of(custos_custodian::vault::fuzz::bytes(bytes)),
    seeds: custos_custodian::vault::fuzz::samples,
}];

#[cfg(feature = "node")]
pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "store_row",
        reads: "rows of the database: the first byte is the kind",
        text: Text::Bytes,
        run: |bytes| Outcome::of(custos_store::fuzz::row(bytes)),
        seeds: custos_store::fuzz::rows,
    },
    Target {
        name: "store_log",
        reads: "the database's own logs: the first byte is what the log is for",
        text: Text::Bytes,
        run: |bytes| Outcome::of(custos_store::fuzz::log(bytes)),
        seeds: custos_store::fuzz::logs,
    },
    Target {
        name: "snapshot",
        reads: "a snapshot's manifest and chunks: the first byte is which",
        text: Text::Bytes,
        run: |bytes| Outcome::of(custos_store::fuzz::snapshot(bytes)),
        seeds: custos_store::fuzz::snapshots,
    },
    Target {
        name: "stored_body",
        reads: "bodies of blocks that are not decided yet",
        text: Text::Bytes,
        run: |bytes| Outcome::of(custos_consensus::fuzz::body(bytes)),
        seeds: custos_consensus::fuzz::bodies,
    },
    Target {
        name: "spool",
        reads: "a feed's spool: frames, and a segment of them",
        text: Text::Bytes,
        run: |bytes| Outcome::of(custos_feed::spool::fuzz::bytes(bytes)),
        seeds: custos_feed::spool::fuzz::samples,
    },
];
