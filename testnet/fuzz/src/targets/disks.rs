//! What was written here before, as a crash or a bad disk could leave it.

use crate::target::{Outcome, Target, Text};

/// The vault belongs to the custodian's library, which needs nothing of a node.
pub(super) const VAULT: &[Target] = &[Target {
    name: "vault",
    reads: "a vault's entries, and a subject's file of them",
    text: Text::Bytes,
    run: |bytes| Outcome::of(custos_custodian::vault::fuzz::bytes(bytes)),
    seeds: custos_custodian::vault::fuzz::samples,
}];
