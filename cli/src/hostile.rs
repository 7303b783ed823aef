//! Hostile documents into the readers of what people write for decisions: requests and policies.
//!
//! The targets of `custos-fuzz` end at the libraries; these readers are the command's own. The driver
//! and the mutations are the same.

use custos_fuzz::corpus::project_file;
use custos_fuzz::drive::{Plan, drive};
use custos_fuzz::{Outcome, Target, Text};
use custos_proof::given::{Given, GivenError};

use crate::decision;

const TARGETS: [Target; 2] = [
    Target {
        name: "decision_request",
        reads: "decision requests in JSON",
        text: Text::Json,
        run: |bytes| read(bytes, decision::request),
        seeds: || examples("```json request\n"),
    },
    Target {
        name: "decision_policy",
        reads: "what differs from a policy, in JSON",
        text: Text::Json,
        run: |bytes| read(bytes, decision::policy),
        seeds: || examples("```json\n"),
    },
];

fn read<T>(bytes: &[u8], of: fn(&Given) -> Result<T, GivenError>) -> Outcome {
    match decision::given_in(bytes) {
        Ok(given) => Outcome::of(of(&given)),
        Err(error) => Outcome::Refused(error),
    }
}

/// The examples of the request's page, which begin with this line.
fn examples(fence: &str) -> Vec<Vec<u8>> {
    let page = String::from_utf8(project_file("docs/spec/decision-request.md")).unwrap();
    let examples = page.split(fence).skip(1).filter_map(|rest| rest.split("```").next());
    examples.map(|example| example.as_bytes().to_vec()).collect()
}

#[test]
fn no_document_breaks_a_reader() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        let count = seeds.len();
        let plan = Plan { seed: 1, runs: 20_000, time: Some(std::time::Duration::from_secs(5)), trace: None };
        let report = drive(&target, seeds, &plan).unwrap_or_else(|crash| {
            panic!("{}: {}: {:?}", target.name, crash.message, String::from_utf8_lossy(&crash.input))
        });
        assert_eq!((report.accepted_seeds, count > 0), (count, true), "{}", target.name);
        assert!(report.outcomes.len() > 5, "{}: {:?}", target.name, report.outcomes);
    }
}
