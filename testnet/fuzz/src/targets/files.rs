//! What people write into files: lists, descriptions, requests and policies for the command, and keys.
//!
//! The command's readers are private to it; its module `fuzz` is the entrance, and so is the node's for keys.

#[cfg(feature = "node")]
use crate::corpus::project_file;
use crate::target::{Outcome, Target, Text};

/// The vault belongs to the custodian's library, which needs nothing of a node.
pub(super) const VAULT: &[Target] = &[Target {
    name: "vault_key",
    reads: "the key file of a vault",
    text: Text::Words,
    run: |bytes| Outcome::of(custos_custodian::vault::fuzz::key_file(bytes)),
    seeds: custos_custodian::vault::fuzz::key_files,
}];

#[cfg(feature = "node")]
pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "key_file",
        reads: "key files in TOML",
        text: Text::Toml,
        run: |bytes| Outcome::of(custos_node::fuzz::key_file(bytes)),
        seeds: custos_node::fuzz::key_files,
    },
    Target {
        name: "genesis_toml",
        reads: "the description in TOML from which a genesis is made",
        text: Text::Toml,
        run: |bytes| Outcome::of(custos::fuzz::description(bytes)),
        seeds: custos::fuzz::descriptions,
    },
    Target {
        name: "roster_json",
        reads: "rosters in JSON, as people write them and as they are kept",
        text: Text::Json,
        run: |bytes| Outcome::of(custos::fuzz::roster(bytes)),
        seeds: custos::fuzz::rosters,
    },
    Target {
        name: "decision_request",
        reads: "decision requests in JSON",
        text: Text::Json,
        run: |bytes| Outcome::of(custos::fuzz::decision_request(bytes)),
        seeds: || examples("```json request\n"),
    },
    Target {
        name: "decision_policy",
        reads: "what differs from a policy, in JSON",
        text: Text::Json,
        run: |bytes| Outcome::of(custos::fuzz::decision_policy(bytes)),
        seeds: || examples("```json\n"),
    },
];

/// The examples of the request's page, which begin with this line.
#[cfg(feature = "node")]
fn examples(fence: &str) -> Vec<Vec<u8>> {
    let page = String::from_utf8(project_file("docs/spec/decision-request.md")).unwrap_or_default();
    let examples = page.split(fence).skip(1).filter_map(|rest| rest.split("```").next());
    examples.map(|example| example.as_bytes().to_vec()).collect()
}
