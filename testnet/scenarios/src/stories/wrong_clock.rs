//! Wrong clocks: a node's clock is an hour ahead, jumps an hour back while it runs, and is set right; then
//! two nodes' clocks are off by more than the bound, in both directions.
//!
//! A block's time is bounded on both sides by its validators' clocks, so a wrong clock costs its own node's
//! turns and nobody else anything. See `clock.rs` for how a clock is made wrong.

use std::time::Duration;

use custos_testnet::{Network, binary};

use super::{FOUR, PATIENCE, brief, not_ready, seconds};
use crate::clients::{Load, Pace, Signing};
use crate::clock::WrongClocks;
use crate::{Plan, Seen, Skipped, Story, Told, checks};

pub(super) const STORY: Story = Story {
    name: "wrong-clock",
    fault: "clocks an hour ahead, an hour behind, jumping, and two off in both directions",
    is_short: false,
    tell,
};

/// The number of the story's own submissions.
const PROBE: u64 = 1_000;
const HOUR_MS: i64 = 3_600_000;

fn tell(plan: &Plan) -> Result<Told, Skipped> {
    let mut network = Network::up_with(4, &["--start", "0"]);
    let clocks = WrongClocks::compile(network.folder())?;
    for node in FOUR {
        clocks.set(node, 0);
        let environment = clocks.environment(node);
        let environment: Vec<(&str, &str)> =
            environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        network.start_by(&binary(), node, &environment, false);
    }
    for node in FOUR {
        checks::ready(&network, node, PATIENCE);
    }
    // A client of a node with a wrong clock is told the wrong things; honest institutions use another node.
    let load = Load::start(&network, &Pace { nodes: vec![1, 2, 3], ..Pace::gentle() });
    load.wait_for(4, PATIENCE);
    let some = plan.times(10, 40) as u64;
    let mut seen = Vec::new();
    let mut probe = Signing::apart(&network, 4, PROBE);
    for (fault, offset_ms) in
        [("one clock jumps an hour ahead", HOUR_MS), ("the same clock jumps to an hour behind", -HOUR_MS)]
    {
        clocks.set(4, offset_ms);
        let took = load.wait_for(some, PATIENCE);
        let told = match network.client(4).submit(probe.submission(1).bytes()) {
            Ok(_) => "takes it all the same".to_owned(),
            Err(error) => brief(&error.to_string()),
        };
        seen.push(Seen::new(
            fault,
            format!("the others recorded {some} submissions in {}", seconds(took)),
            format!(
                "its `/readyz`: {}; handed a submission, it says: {told}",
                not_ready(&network, 4).unwrap_or_else(|| "ready".into())
            ),
        ));
    }
    clocks.set(4, 0);
    checks::ready(&network, 4, PATIENCE);

    clocks.set(3, 8_000);
    clocks.set(4, -8_000);
    let before = rounds(&network);
    let took = load.wait_for(some, Duration::from_secs(600));
    seen.push(Seen::new(
        "two of four clocks off by 8 s, one ahead and one behind (bound 5 s)",
        format!(
            "{some} submissions recorded in {}, with {} blocks decided after round 0",
            seconds(took),
            rounds(&network).saturating_sub(before)
        ),
        "blocks come slowly; `custos_consensus_round` climbs",
    ));
    clocks.set(3, 0);
    clocks.set(4, 0);
    load.wait_for(some, PATIENCE);
    let kept = load.finish();
    Ok(Told { seen, checked: checks::whole(&mut network, &FOUR, &kept) })
}

/// How many heights were decided after their first round so far.
fn rounds(network: &Network) -> usize {
    let client = network.client(1);
    let head = network.head(&[1]);
    let late = |height: &u64| {
        client
            .certificate(custos_proof::ids::Height(*height))
            .is_ok_and(|certificate| certificate.round.0 > 0)
    };
    (1..=head).filter(late).count()
}
