//! A damaged node says what is damaged and how to mend it, and never votes meanwhile.
//!
//! One node of four is stopped, something in its files is broken, and it is started again. It either ends
//! with words that an operator can act on, or stands aside; the words are then acted on, and it comes back.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use custos_testnet::{Acknowledged, Network};

const ALL: [usize; 4] = [1, 2, 3, 4];
const VICTIM: usize = 4;
const PATIENCE: Duration = Duration::from_secs(60);

/// A network on which the victim stands aside for a moment only: one machine has one clock.
fn up() -> Network {
    let network = Network::up(4);
    let path = network.folder().join(format!("node-{VICTIM}.toml"));
    let mut config: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
    let consensus = config.entry("consensus").or_insert_with(|| toml::Table::new().into());
    consensus.as_table_mut().unwrap().insert("clock_bound_ms".into(), 500.into());
    fs::write(&path, toml::to_string(&config).unwrap()).unwrap();
    network
}

/// Stops the victim under load, so that its files are as a crash leaves them, and breaks something.
fn broken(network: &mut Network, acknowledged: &mut Vec<Acknowledged>, breaking: impl FnOnce(&Path)) -> u64 {
    for n in 0..4 {
        acknowledged.push(network.record(1 + n % 3, 5));
    }
    // Before its first block it looks like a new node's, whatever is broken.
    let deadline = Instant::now() + PATIENCE;
    while network.metric(VICTIM, "custos_height ") < 1.0 {
        assert!(Instant::now() < deadline, "it never has a block");
        std::thread::sleep(Duration::from_millis(50));
    }
    network.kill(VICTIM);
    let said = log(network).len() as u64;
    breaking(&network.data(VICTIM));
    said
}

fn log(network: &Network) -> String {
    fs::read_to_string(network.folder().join(format!("node-{VICTIM}.log"))).unwrap()
}

/// What the victim says after `from` once it has ended by itself, or nothing if it becomes ready.
fn last_words(network: &Network, from: u64) -> Option<String> {
    let client = network.client(VICTIM);
    let deadline = Instant::now() + PATIENCE;
    network.start_without_waiting(VICTIM);
    loop {
        assert!(Instant::now() < deadline, "neither ready nor ended: {}", &log(network)[from as usize..]);
        if client.ready().is_ok_and(|answer| answer.ready) {
            return None;
        }
        let said = log(network)[from as usize..].to_owned();
        if said.lines().any(|line| line.starts_with("error:")) {
            std::thread::sleep(Duration::from_millis(300));
            return Some(said);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until the victim stands aside no longer; in between it closes its API for a moment.
fn settled(network: &Network) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let said = log(network);
        let aside = said.rfind("this node stands aside").and_then(|at| said.get(at..));
        let votes = aside.is_none_or(|since| since.contains("it starts again and votes"));
        if votes && network.client(VICTIM).ready().is_ok_and(|answer| answer.ready) {
            return;
        }
        assert!(Instant::now() < deadline, "it stands aside for ever");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn custos(network: &Network, expected: i32, arguments: &[&str]) -> String {
    let output = network.custos(arguments);
    let words = [output.stdout, output.stderr].concat();
    let words = String::from_utf8_lossy(&words).into_owned();
    assert_eq!(output.status.code(), Some(expected), "{arguments:?}: {words}");
    words
}

fn restore(network: &Network) {
    let data = network.data(VICTIM);
    let ledger = data.join("ledger");
    fs::remove_dir_all(&ledger).unwrap();
    let file = network.folder().join("healthy.snapshot");
    let _ = fs::remove_file(&file);
    let healthy = network.data(1);
    custos(
        network,
        0,
        &["snapshot", "create", "--data", healthy.to_str().unwrap(), "-o", file.to_str().unwrap()],
    );
    let anchor = network.file("anchor");
    custos(
        network,
        0,
        &[
            "snapshot",
            "restore",
            file.to_str().unwrap(),
            "--data",
            data.to_str().unwrap(),
            "--anchor",
            anchor.to_str().unwrap(),
        ],
    );
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect();
    found.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).unwrap().len()));
    found
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = at % bytes.len();
    bytes[at] ^= 16;
    fs::write(path, bytes).unwrap();
}

/// Makes table files of what is still in RocksDB's log, by opening and compacting.
fn settle(network: &Network, data: &Path) {
    // A rebuild ends with a compaction.
    custos(network, 0, &["fsck", "--data", data.to_str().unwrap(), "--rebuild"]);
}

#[test]
fn table_files_with_a_flipped_bit_or_missing_are_named_and_mended() {
    let mut network = up();
    let mut acknowledged = Vec::new();
    let mut said = broken(&mut network, &mut acknowledged, |_| {});
    let data = network.data(VICTIM);
    settle(&network, &data);
    let ledger = data.join("ledger");
    let tables = files(&ledger, "sst");
    assert!(tables.len() >= 4, "{tables:?}");
    for table in tables.iter().step_by(2) {
        let bytes = fs::read(table).unwrap();
        for broken in ["flipped", "missing"] {
            match broken {
                "flipped" => flip(table, 11),
                _ => fs::remove_file(table).unwrap(),
            }
            let words = custos(&network, 1, &["fsck", "--data", data.to_str().unwrap()]);
            assert!(words.contains("DAMAGED") && words.contains("table `"), "{broken}: {words}");
            assert!(words.contains("fsck --rebuild") || words.contains("restore"), "{broken}: {words}");
            fs::write(table, &bytes).unwrap();
        }
    }
    custos(&network, 0, &["fsck", "--data", data.to_str().unwrap()]);
    // To the first table that follows from others is done what the words say: its bytes are not put back.
    let rebuilt = tables.iter().find(|table| {
        let bytes = fs::read(table).unwrap();
        flip(table, 11);
        let words = custos(&network, 1, &["fsck", "--data", data.to_str().unwrap()]);
        let follows = words.contains("fsck --rebuild");
        if !follows {
            fs::write(table, bytes).unwrap();
        }
        follows
    });
    assert!(rebuilt.is_some(), "no file is of a table that follows from others: {tables:?}");
    settle(&network, &data);
    custos(&network, 0, &["fsck", "--data", data.to_str().unwrap()]);
    let tables = files(&ledger, "sst");
    // The node itself, with the largest files broken: it ends with the same words, or has not met the damage yet and is
    // then right in everything it says.
    for table in tables.iter().take(2) {
        let bytes = fs::read(table).unwrap();
        flip(table, 11);
        match last_words(&network, said) {
            Some(words) => assert!(
                words.contains("table `") && words.contains("damaged") || words.contains("expected"),
                "{words}"
            ),
            None => {
                acknowledged.push(network.record(1, 1));
                network.kill(VICTIM);
            }
        }
        said = log(&network).len() as u64;
        if !ledger.join(table.file_name().unwrap()).exists() {
            // Compacted away meanwhile: the damage would have shown.
            continue;
        }
        fs::write(table, &bytes).unwrap();
        // Once met, damage is not forgotten by a restart: a look at everything is needed, and enough.
        custos(&network, 0, &["fsck", "--data", data.to_str().unwrap()]);
    }
    // A table file that is gone for good: restored.
    fs::remove_file(files(&ledger, "sst").first().unwrap()).unwrap();
    let words = last_words(&network, said).expect("it does not run without a table file");
    assert!(words.contains("restore"), "{words}");
    restore(&network);
    network.start(VICTIM);
    settled(&network);
    network.assert_equal_roots(&ALL);
    network.assert_kept(VICTIM, &acknowledged);
}

#[test]
fn a_log_of_the_database_that_lost_its_end_makes_the_node_stand_aside_and_catch_up() {
    let mut network = up();
    let mut acknowledged = Vec::new();
    let said = broken(&mut network, &mut acknowledged, |data| {
        for wal in files(&data.join("ledger"), "log") {
            let length = fs::metadata(&wal).unwrap().len();
            fs::OpenOptions::new().write(true).open(&wal).unwrap().set_len(length / 2).unwrap();
        }
    });
    match last_words(&network, said) {
        Some(words) => {
            assert!(words.contains("restore") || words.contains("fsck"), "{words}");
            restore(&network);
            network.start(VICTIM);
        }
        None => {
            let words = log(&network)[said as usize..].to_owned();
            assert!(words.contains("stands aside") && words.contains("ahead of its ledger"), "{words}");
        }
    }
    settled(&network);
    network.assert_equal_roots(&ALL);
    network.assert_kept(VICTIM, &acknowledged);
    network.down();
    for index in ALL {
        custos(&network, 0, &["fsck", "--data", network.data(index).to_str().unwrap()]);
    }
}

#[test]
fn a_log_of_votes_that_is_missing_is_never_voted_without() {
    let mut network = up();
    let mut acknowledged = Vec::new();
    for case in ["empty", "the folder"] {
        let said = broken(&mut network, &mut acknowledged, |data| match case {
            "empty" => fs::write(data.join("consensus/engine/votes.wal"), b"").unwrap(),
            _ => fs::remove_dir_all(data.join("consensus")).unwrap(),
        });
        network.start(VICTIM);
        let words = log(&network)[said as usize..].to_owned();
        assert!(words.contains("this node stands aside"), "{case}: {words}");
        assert!(words.contains("its log of votes is lost"), "{case}: {words}");
        settled(&network);
        assert!(!network.data(VICTIM).join("consensus/stands-aside").exists(), "{case}");
        network.kill(3);
        acknowledged.push(network.record(1, 1));
        network.start(3);
        network.assert_equal_roots(&ALL);
        network.assert_kept(VICTIM, &acknowledged);
        for index in [1, 2] {
            assert!(network.metric(index, "custos_evidence ") < 0.5, "{case}: somebody signed twice");
        }
    }
}

#[test]
fn damaged_undecided_bodies_stop_the_node_or_do_not_matter() {
    let mut network = up();
    let mut acknowledged = Vec::new();
    {
        let said = broken(&mut network, &mut acknowledged, |data| {
            for entry in fs::read_dir(data.join("consensus/bodies")).unwrap() {
                let path = entry.unwrap().path();
                let bytes = fs::read(&path).unwrap();
                fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
            }
        });
        if let Some(words) = last_words(&network, said) {
            assert!(
                words.contains("its body is not here") && words.contains("start the node again"),
                "{words}"
            );
            network.start(VICTIM);
        }
        settled(&network);
        network.assert_equal_roots(&ALL);
        network.assert_kept(VICTIM, &acknowledged);
    }
}
