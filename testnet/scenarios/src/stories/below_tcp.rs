//! Faults below TCP: packets vanish, and no connection is told. Every node lives in a network namespace of its own,
//! on a wire to a switch; see `wires.rs`.
//!
//! What is hard about it is to notice. A peer whose packets vanish sends no goodbye: its connections stand, and the
//! kernel goes on for a quarter of an hour with what was written to them. And what is noticed on one side only is worse:
//! one side gives the connection up, and the other writes on into it.
//!
//! So each node that was cut off is needed right afterwards: when it says that it takes work again, another one is
//! cut off, and only with the first one's votes is anything recorded on.
//!
//! Deliberately absent: routers, and what they say (ICMP).

use std::panic::resume_unwind;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use custos_testnet::Network;

use super::{FOUR, PATIENCE, health, not_ready, seconds, until};
use crate::clients::{Load, Pace};
use crate::wires::{Line, Wires};
use crate::{Chance, Plan, Seen, Skipped, Story, Told, checks};

pub(super) const STORY: Story = Story {
    name: "below-tcp",
    fault: "packets that vanish without a word, on wires between network namespaces; then healed",
    is_short: false,
    tell,
};

/// A node that hears nothing has to say so within this time. It believes a silent connection for 15 s.
const NOTICES: Duration = Duration::from_secs(45);
/// What was healed has to work within this time. A dial that found nobody is tried again after 4 s at the latest, and
/// gives up by itself after 10 s.
const HEALS: Duration = Duration::from_secs(60);
/// The fault that a node may not notice: what is small still passes.
const NARROW: &str = "packets above 600 bytes vanish on one node's wire: an MTU that nobody says";
/// What was under way when two halves parted may still arrive for this long, and clients have asked every node for it.
const SETTLES: Duration = Duration::from_secs(16);

fn tell(plan: &Plan) -> Result<Told, Skipped> {
    // The thread that moves to the clients' side has no way back, and ends with the story.
    scope(|scope| scope.spawn(|| tell_inside(plan)).join()).unwrap_or_else(|panic| resume_unwind(panic))
}

fn tell_inside(plan: &Plan) -> Result<Told, Skipped> {
    let wires = Wires::lay(FOUR.len())?;
    wires.enter_hall();
    let mut network = Network::up_with(4, &["--start", "0"]);
    let _guard = Wires::guard(&network);
    wires.connect(&mut network);
    for node in FOUR {
        wires.start(&network, node);
    }
    for node in FOUR {
        checks::ready(&network, node, PATIENCE);
    }
    let load = Load::start(&network, &Pace::gentle());
    load.wait_for(4, PATIENCE);
    let mut scene = Scene {
        wires: &wires,
        network: &network,
        load: &load,
        chance: plan.chance(),
        some: plan.times(8, 30) as u64,
        last: 0,
        seen: Vec::new(),
    };
    scene.one_cut_off(plan);
    scene.two_against_two(plan);
    scene.broken_pairs();
    scene.bad_lines();
    scene.flapping(plan);
    let seen = scene.seen;
    let kept = load.finish();
    Ok(Told { seen, checked: checks::whole(&mut network, &FOUR, &kept) })
}

struct Scene<'a> {
    wires: &'a Wires,
    network: &'a Network,
    load: &'a Load,
    chance: Chance,
    /// So many submissions show that the network goes on.
    some: u64,
    /// Who was cut off last.
    last: usize,
    seen: Vec<Seen>,
}

impl Scene<'_> {
    /// One of four hears nobody, or is heard by nobody, in all ways there are.
    fn one_cut_off(&mut self, plan: &Plan) {
        type Fault = fn(&Wires, usize);
        let faults: [(&str, Fault); 7] = [
            ("one node's packets vanish at the switch, both ways; no link goes down", Wires::swallow),
            ("one node's wire pulled: no carrier", Wires::unplug),
            ("one node's own interface down", Wires::shut),
            ("what one node says vanishes, what it hears arrives", |wires, node| {
                others(node).for_each(|other| wires.deafen(node, other));
            }),
            ("what one node is told vanishes, what it says arrives", |wires, node| {
                others(node).for_each(|other| wires.deafen(other, node));
            }),
            ("one node's address answered by another machine", |wires, node| {
                wires.usurp(node, others(node).next().unwrap_or(node));
            }),
            (NARROW, Wires::narrow),
        ];
        for (fault, make) in faults.into_iter().take(plan.times(2, 7)) {
            let candidates: Vec<usize> = others(self.last).collect();
            let node = self.chance.one_of(&candidates).unwrap_or(1);
            let before = self.network.head(&FOUR);
            make(self.wires, node);
            let began = Instant::now();
            // Those that record on need the one that was cut off before: three of four are a quorum, two are none.
            let goal = self.load.acknowledged() + self.some;
            let (mut went_on, mut noticed) = (None, None);
            while went_on.is_none() || noticed.is_none() {
                let reason = not_ready(self.network, node).filter(|reason| reason != "no answer");
                noticed = noticed.or(reason.map(|reason| (began.elapsed(), reason)));
                went_on = went_on.or((self.load.acknowledged() >= goal).then(|| began.elapsed()));
                assert!(went_on.is_some() || began.elapsed() < HEALS, "{fault} ({node}): the others stand");
                if began.elapsed() > NOTICES && noticed.is_none() {
                    assert!(fault == NARROW, "{fault}: node {node} believes that all is well");
                    if went_on.is_some() {
                        break;
                    }
                }
                sleep(Duration::from_millis(50));
            }
            let went_on = went_on.unwrap_or_default();
            let shown = match noticed {
                Some((after, reason)) => format!("its `/readyz`, {} later: 503, {reason}", seconds(after)),
                None => format!("its `/readyz` says `ready` for {} s", NOTICES.as_secs()),
            };
            // Longer than anybody may believe a connection that is dead.
            if fault != NARROW {
                until("every connection is given up, on both ends", NOTICES, || {
                    self.peers(node) < 0.5 && others(node).all(|other| self.peers(other) < 2.5)
                });
            }
            let given_up = began.elapsed();
            sleep(Duration::from_secs(25).saturating_sub(given_up));
            let head = self.network.head(&others(node).collect::<Vec<_>>());
            assert!(head > before, "the others did not record on");
            self.wires.heal();
            let healed = Instant::now();
            checks::ready(self.network, node, HEALS);
            self.network.wait_for_height(&[node], head);
            let back = healed.elapsed();
            self.last = node;
            self.seen.push(Seen::new(
                fault,
                format!(
                    "the others recorded {} submissions in {}; healed after {}, it had caught up {} later",
                    self.some,
                    seconds(went_on),
                    seconds(healed.duration_since(began)),
                    seconds(back)
                ),
                match fault == NARROW {
                    true => format!("{shown}; `custos_peers` comes and goes"),
                    false => format!(
                        "{shown}; after {} `custos_peers` is 0 on it, and 2 on the others",
                        seconds(given_up)
                    ),
                },
            ));
        }
    }

    /// Two switches that are not joined, for less and for longer than a connection is believed.
    fn two_against_two(&mut self, plan: &Plan) {
        for lasting in [9, plan.times(26, 45) as u64] {
            let half = self.chance.some_of(&FOUR, 2);
            let rest: Vec<usize> = FOUR.into_iter().filter(|node| !half.contains(node)).collect();
            self.wires.part(&half);
            let began = Instant::now();
            sleep(Duration::from_secs(3));
            let head = self.network.head(&FOUR);
            let lasting = Duration::from_secs(lasting);
            if lasting > SETTLES {
                sleep(SETTLES.saturating_sub(began.elapsed()));
                let acknowledged = self.load.acknowledged();
                sleep(lasting.saturating_sub(began.elapsed()));
                assert_eq!(self.load.acknowledged(), acknowledged, "half a network acknowledged something");
                until("both halves say so", NOTICES, || {
                    FOUR.iter().all(|node| not_ready(self.network, *node).is_some())
                });
            }
            sleep(lasting.saturating_sub(began.elapsed()));
            assert_eq!(self.network.head(&FOUR), head, "half a network recorded something");
            let lasted = began.elapsed();
            let shown = (health(self.network, half[0]), health(self.network, rest[0]));
            self.wires.heal();
            let healed = Instant::now();
            let first = self.load.wait_for(1, HEALS);
            for node in FOUR {
                checks::ready(self.network, node, HEALS.saturating_sub(healed.elapsed()));
            }
            let all = healed.elapsed();
            self.seen.push(Seen::new(
                format!("two against two, on two switches, for {}", seconds(lasted)),
                format!(
                    "nothing recorded, nothing acknowledged; healed, recorded again after {}, all ready after {}",
                    seconds(first),
                    seconds(all)
                ),
                format!("`/healthz` of one half: {}; of the other: {}", shown.0, shown.1),
            ));
        }
    }

    /// Links between two nodes of which everybody else is heard. Nothing is relayed: what one does not hear from another
    /// directly, it does not hear.
    fn broken_pairs(&mut self) {
        let order = self.chance.some_of(&FOUR, 4);
        let pairs: [(&str, &[(usize, usize)]); 2] = [
            ("what one node says to one other vanishes", &[(0, 1)]),
            ("two nodes do not hear each other; the other two hear all", &[(0, 1), (1, 0)]),
        ];
        for (fault, deaf) in pairs {
            let began = Instant::now();
            deaf.iter().for_each(|(from, to)| self.wires.deafen(order[*from], order[*to]));
            // Before and after the connection is given up.
            let went_on = self.load.wait_for(self.some, PATIENCE);
            sleep(Duration::from_secs(25).saturating_sub(began.elapsed()));
            let after = self.load.wait_for(self.some, PATIENCE);
            let shown: Vec<String> = order.iter().map(|node| self.looks(*node)).collect();
            self.wires.heal();
            let connected = self.all_connected();
            self.seen.push(Seen::new(
                fault,
                format!(
                    "{} submissions recorded in {}, and after half a minute {} in {}; healed, all connected after {}",
                    self.some,
                    seconds(went_on),
                    self.some,
                    seconds(after),
                    seconds(connected)
                ),
                shown.join("; "),
            ));
        }

        // Everybody hears a quorum, and no two of those who do not hear each other the same one: this is more than one
        // faulty node. It stands, and has to go on when it is healed.
        for (from, to) in [(0, 1), (1, 0), (2, 3), (3, 2)] {
            self.wires.deafen(order[from], order[to]);
        }
        sleep(Duration::from_secs(20));
        let before = self.load.acknowledged();
        sleep(Duration::from_secs(20));
        let meanwhile = self.load.acknowledged() - before;
        let shown: Vec<String> = order.iter().map(|node| self.looks(*node)).collect();
        self.wires.heal();
        let went_on = self.load.wait_for(1, HEALS);
        let connected = self.all_connected();
        self.seen.push(Seen::new(
            "two pairs do not hear each other, a ring, for 40 s: more than one faulty node",
            format!(
                "{meanwhile} submissions acknowledged in the second half; healed, recorded on {} later, all connected {} after that",
                seconds(went_on),
                seconds(connected)
            ),
            shown.join("; "),
        ));
    }

    fn all_connected(&self) -> Duration {
        until("all hear all again", HEALS, || FOUR.iter().all(|node| self.peers(*node) > 2.5))
    }

    /// Packets lost, doubled, out of order, on every line.
    fn bad_lines(&mut self) {
        let lines = [
            ("one of 32 packets lost, on every wire", Line::Lossy),
            ("one of 4 packets doubled, on every wire", Line::Doubled),
            ("one of 8 packets takes a slower way, on every wire", Line::Disordered),
        ];
        for (fault, line) in lines {
            let before: u64 = FOUR.iter().map(|node| self.mended(*node, line)).sum();
            if let Err(why) = self.wires.worsen(&FOUR, line) {
                self.wires.heal();
                self.seen.push(Seen::new(fault, format!("not tried: {why}"), ""));
                continue;
            }
            let took = self.load.wait_for(2 * self.some, PATIENCE);
            let touched = self.wires.touched();
            let after: u64 = FOUR.iter().map(|node| self.mended(*node, line)).sum();
            self.wires.heal();
            assert!(touched > 0, "{fault}: it touched nothing");
            self.seen.push(Seen::new(
                fault,
                format!(
                    "{touched} packets touched, {} of them seen by TCP; {} submissions recorded in {}",
                    after - before,
                    2 * self.some,
                    seconds(took)
                ),
                "nothing, but that it is slower",
            ));
        }
    }

    /// Wires that come and go, faster than anybody notices.
    fn flapping(&mut self, plan: &Plan) {
        let flaps = plan.times(10, 60);
        let mut faulty = Vec::new();
        for _ in 0..flaps {
            let node = self.chance.one_of(&FOUR).unwrap_or(1);
            if faulty.contains(&node) {
                self.wires.heal();
                faulty.clear();
            }
            faulty.push(node);
            match self.chance.below(3) {
                0 => self.wires.swallow(node),
                1 => self.wires.unplug(node),
                _ => self.wires.shut(node),
            }
            sleep(Duration::from_millis(50 + self.chance.below(900)));
            if self.chance.below(2) == 0 {
                self.wires.heal();
                faulty.clear();
                sleep(Duration::from_millis(self.chance.below(400)));
            }
        }
        self.wires.heal();
        let took = self.load.wait_for(self.some, HEALS);
        self.seen.push(Seen::new(
            format!("{flaps} wires swallowed, pulled or shut at random, healed now and then"),
            format!("healed, {} submissions recorded within {}", self.some, seconds(took)),
            "`custos_height` rises by fits and starts",
        ));
    }

    fn peers(&self, node: usize) -> f64 {
        self.network.metric(node, "custos_peers ")
    }

    fn looks(&self, node: usize) -> String {
        let ready = not_ready(self.network, node).unwrap_or_else(|| "ready".into());
        format!("`/readyz`: {ready}, `custos_peers` {}", self.peers(node))
    }

    /// How often a node's TCP met what such a line does.
    fn mended(&self, node: usize, line: Line) -> u64 {
        let counters: &[&str] = match line {
            Line::Lossy => &["TCPFastRetrans", "TCPTimeouts", "TCPLossProbes"],
            Line::Doubled => &["TCPDSACKOldSent"],
            Line::Disordered => &["TCPOFOQueue"],
        };
        counters.iter().map(|counter| self.wires.tcp_counter(node, counter)).sum()
    }
}

fn others(node: usize) -> impl Iterator<Item = usize> {
    FOUR.into_iter().filter(move |other| *other != node)
}
