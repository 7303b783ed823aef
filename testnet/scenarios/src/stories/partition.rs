//! Partition and heal: every connection between the nodes runs through a proxy that cuts, silences,
//! delays, loses and turns bits.
//!
//! Deliberately absent: network namespaces. All nodes live on one loopback interface; what happens below TCP is the
//! story of `below_tcp.rs`.

use std::time::Duration;

use custos_testnet::Network;

use super::{FOUR, PATIENCE, health, not_ready, seconds, until};
use crate::clients::{Load, Pace};
use crate::proxy::{Mesh, Mode};
use crate::{Plan, Seen, Skipped, Story, Told, checks};

pub(super) const STORY: Story = Story {
    name: "partition",
    fault: "connections cut, silenced, one-way, half-closed, delayed, lossy, with bits turned; then healed",
    is_short: false,
    tell,
};

fn tell(plan: &Plan) -> Result<Told, Skipped> {
    let mut network = Network::up_with(4, &["--start", "0"]);
    let mesh = Mesh::between(&network, &FOUR);
    for node in FOUR {
        network.start_without_waiting(node);
    }
    for node in FOUR {
        checks::ready(&network, node, PATIENCE);
    }
    let load = Load::start(&network, &Pace::gentle());
    load.wait_for(4, PATIENCE);
    let mut seen = Vec::new();
    let some = plan.times(8, 30) as u64;

    // One against three, by a cable that is pulled, a firewall that drops, and two that do half of it.
    let faults = [
        ("one node's connections cut", Mode::Cut),
        ("one node's connections silent, not broken", Mode::Silent),
        ("one node's connections one-way", Mode::OneWay),
        ("one node's connections half closed", Mode::HalfClosed),
    ];
    for (fault, mode) in faults {
        mesh.set(&[4], &[1, 2, 3], mode);
        let took = load.wait_for(some, PATIENCE);
        let noticed = (mode != Mode::OneWay && mode != Mode::HalfClosed)
            .then(|| until("the node says that it is alone", PATIENCE, || not_ready(&network, 4).is_some()));
        let shown = not_ready(&network, 4).unwrap_or_else(|| "ready".into());
        mesh.heal();
        checks::ready(&network, 4, PATIENCE);
        seen.push(Seen::new(
            fault,
            format!("the others recorded {some} submissions in {}; healed, it caught up", seconds(took)),
            match noticed {
                Some(after) => format!("its `/readyz`, {} later: {shown}", seconds(after)),
                None => format!("its `/readyz`: {shown}"),
            },
        ));
    }

    for (fault, mode) in [("two against two, cut", Mode::Cut), ("two against two, silent", Mode::Silent)] {
        mesh.set(&[1, 2], &[3, 4], mode);
        assert!(
            load.is_silent(Duration::from_secs(2), Duration::from_secs(6)),
            "half a network acknowledged"
        );
        until("both sides say so", PATIENCE, || FOUR.iter().all(|node| not_ready(&network, *node).is_some()));
        let shown = (health(&network, 1), health(&network, 3));
        mesh.heal();
        let took = load.wait_for(some, PATIENCE);
        seen.push(Seen::new(
            fault,
            format!("neither side acknowledged anything; healed, {some} recorded within {}", seconds(took)),
            format!("`/healthz` of one side: {}; of the other: {}", shown.0, shown.1),
        ));
    }

    let bad_lines = [
        ("every piece 60 ms late, on every link", Mode::Delay(60), FOUR.as_slice()),
        ("one node's links lose 5 % of the pieces", Mode::Lossy(50), [3].as_slice()),
        ("one node's links turn a bit in 5 % of the pieces", Mode::Flips(50), [3].as_slice()),
    ];
    for (fault, mode, whose) in bad_lines {
        let before = mesh.connections();
        mesh.set(whose, &FOUR, mode);
        let took = load.wait_for(some, PATIENCE);
        if !matches!(mode, Mode::Delay(_)) {
            until("what is broken in transit breaks a connection", PATIENCE, || mesh.connections() > before);
        }
        mesh.heal();
        seen.push(Seen::new(
            fault,
            format!(
                "{some} submissions recorded in {}; {} connections made anew",
                seconds(took),
                mesh.connections() - before
            ),
            "`custos_peer_violations` stays 0: what was broken in transit is not held against a peer",
        ));
    }
    let violations: f64 = FOUR.iter().map(|node| network.metric(*node, "custos_peer_violations ")).sum();
    assert!(violations < 0.5, "bytes that were broken in transit are held against a peer: {violations}");

    let mut chance = plan.chance();
    let flaps = plan.times(6, 40);
    for _ in 0..flaps {
        let pair = chance.some_of(&FOUR, 2);
        mesh.set(&pair[..1], &pair[1..], if chance.below(2) == 0 { Mode::Cut } else { Mode::Silent });
        std::thread::sleep(Duration::from_millis(50 + chance.below(600)));
        if chance.below(3) == 0 {
            mesh.heal();
        }
    }
    mesh.heal();
    let took = load.wait_for(some, PATIENCE);
    seen.push(Seen::new(
        format!("{flaps} links cut or silenced at random, healed now and then"),
        format!("healed, {some} submissions recorded within {}", seconds(took)),
        "`custos_peers` comes and goes",
    ));
    let kept = load.finish();
    Ok(Told { seen, checked: checks::whole(&mut network, &FOUR, &kept) })
}
