//! More than a third of the validators forgot their votes: the page that ends this, followed on every machine.

use std::path::Path;
use std::time::{Duration, Instant};

use custos_testnet::Network;

use crate::ALL;
use crate::machine::{Machine, blocks_of};

/// The page.
pub(crate) const PAGE: &str = "vote-again.md";

#[test]
fn all_forgot_their_votes() {
    forgotten(&ALL);
}

#[test]
fn two_of_four_forgot_their_votes() {
    forgotten(&[1, 3]);
}

/// These validators lose their logs of votes in an open height, in which the first two have voted. The second one may
/// remember what the first one said.
fn forgotten(lost: &[usize]) {
    let mut network = Network::up(4);
    let machines: Vec<Machine> = ALL.iter().map(|index| Machine::of(&network, *index)).collect();
    let machine = |index: usize| &machines[index - 1];
    machines.iter().for_each(Machine::wait_ready);
    let mut acknowledged: Vec<_> = ALL.iter().map(|index| network.record(*index, 2)).collect();

    // Two stand still, and the others vote in a height that cannot be decided.
    [3, 4].iter().for_each(|index| machine(*index).signal("STOP"));
    let waits = network.submission(1, 1);
    network.client(1).submit(waits.bytes()).unwrap();
    wait("votes in the open height", || {
        [1, 2].iter().all(|index| has_voted(&network.data(*index), network.head(&[*index]) + 1))
    });
    machines.iter().for_each(Machine::lose_power);
    for index in lost {
        std::fs::remove_dir_all(network.data(*index).join("consensus")).unwrap();
    }
    machines.iter().for_each(|machine| machine.systemctl("start"));
    lost.iter().for_each(|index| machine(*index).wait_for_log("this node stands aside"));
    machines.iter().for_each(Machine::wait_ready);

    // Everybody is there, those who forgot say so, and nothing is decided.
    for index in ALL {
        let why = network.client(index).health().unwrap().reason;
        assert_eq!(why.is_some_and(|why| why.contains("stands aside")), lost.contains(&index));
    }
    let head = network.head(&ALL);
    network.wait_for_height(&ALL, head);
    let waits = network.submission(1, 1);
    network.client(1).submit(waits.bytes()).unwrap();
    std::thread::sleep(Duration::from_secs(8));
    assert_eq!(network.head(&ALL), head);

    // Not without the operators' word, and not while the node runs.
    let again = "custos node vote-again --data \"$DATA\"";
    for (words, why) in [("", "--all-operators-agree"), (" --all-operators-agree", "stop it first")] {
        let output = machine(1).bash(&format!("{again}{words}"));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(why), "{said}");
    }
    assert!(!network.data(1).join("consensus/votes-at-once").exists());

    let blocks = blocks_of(PAGE);
    let [look, vote] = blocks.as_slice() else { panic!("the page has other steps than are followed here") };
    let heads: Vec<String> = machines
        .iter()
        .map(|machine| machine.type_in(PAGE, look).lines().last().unwrap().to_owned())
        .collect();
    let block = network_head(&heads, head);
    let said: Vec<usize> = machines.iter().map(|machine| machine.log().len()).collect();
    std::thread::scope(|scope| {
        for machine in &machines {
            scope.spawn(|| machine.type_in(PAGE, vote));
        }
    });

    // Nobody stands aside any longer, nothing is lost, and with one of those gone that remembered the others decide.
    for (machine, said) in machines.iter().zip(said) {
        let log = machine.log().split_off(said);
        assert!(log.contains("the node listens") && !log.contains("stands aside"), "{log}");
    }
    for index in ALL {
        assert_eq!(network.client(index).health().unwrap().reason, None);
    }
    acknowledged.push(network.record(2, 1));
    machine(3).systemctl("stop");
    acknowledged.push(network.record(1, 1));
    machine(3).systemctl("start");
    machine(3).wait_ready();
    network.assert_equal_roots(&ALL);
    for index in ALL {
        network.assert_kept(index, &acknowledged);
        let header = network.client(index).header(custos_proof::ids::Height(head)).unwrap();
        assert_eq!(header.block_id().to_string(), block);
        let seen = network.metric(index, "custos_evidence ");
        assert!(lost.len() < ALL.len() || seen < 0.5, "node {index} remembers what nobody remembers");
    }
    machines.iter().for_each(|machine| machine.systemctl("stop"));
    for machine in &machines {
        let checked = machine.bash("custos fsck --data \"$DATA\" --deep");
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    }
}

/// Whether the engine's log, which begins with its version and a height, holds anything of this height.
fn has_voted(data: &Path, height: u64) -> bool {
    let log = std::fs::read(data.join("consensus/engine/votes.wal")).unwrap_or_default();
    log.get(4..12) == Some(&height.to_be_bytes()) && log.len() > 12
}

/// The block id that all heads name, which have to be at this height.
fn network_head(heads: &[String], height: u64) -> String {
    let block = heads[0].strip_prefix(&format!("head: {height} ")).unwrap().to_owned();
    assert!(heads.iter().all(|head| *head == heads[0]), "{heads:?}");
    block
}

fn wait(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(50));
    }
}
