//! A bit flipped in a file of a stopped node: table files, the database's write-ahead log, its manifest,
//! consensus' log, a kept body.
//!
//! First on copies, with nobody to talk to: each file kind many times, one random bit each. A node that
//! opens must have what it had, and `fsck` must not call whole what lost something. Then for real: a table
//! file that was found damaged, and the way back that the message names. A damaged body is none
//! (`consensus/src/bodies.rs`): the node opens without it, or ends when its log decides that block.
//!
//! Deliberately absent: what consensus says of its own damaged log once it meets others
//! (`consensus/tests/trouble.rs` shows that it stands still for safety and says so).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use custos_testnet::{Network, binary, plain};

use super::{FOUR, PATIENCE, brief, until};
use crate::clients::{Load, Pace};
use crate::{Chance, Plan, Seen, Skipped, Story, Told, checks};

pub(super) const STORY: Story = Story {
    name: "bit-flip",
    fault: "a bit flipped in a stopped node's files: tables, logs, manifest, votes, bodies",
    is_short: false,
    tell,
};

/// The kinds of files, by what their names end in, or begin with, or by the folder in which they are.
const KINDS: [(&str, &str); 6] = [
    ("table file", TABLES),
    ("database log", ".log"),
    ("manifest", "MANIFEST-"),
    ("consensus log", "votes.wal"),
    ("file that names the manifest", "CURRENT"),
    ("kept body", "bodies/"),
];
const TABLES: &str = ".sst";
/// How many more table files get a bit flipped until there is one with which the node does not open.
const MORE_TABLES: usize = 60;
/// How often all nodes are killed until one of them has a body on its disk that is not decided.
const KILLS: usize = 12;

/// How a copy fared.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fared {
    /// The node ended by itself.
    Refused { reason: String },
    /// It opened with everything, and fsck finds it whole.
    Whole,
    /// It opened with everything; fsck names the damage.
    Named { words: String },
    /// It opened with fewer blocks than it had.
    Short { by: u64 },
}

fn tell(plan: &Plan) -> Result<Told, Skipped> {
    let mut network = Network::up(4);
    let load = Load::start(&network, &Pace { items: 16, ..Pace::gentle() });
    // A restart moves rows from the log into table files; the last part stays in the log.
    for _ in 0..2 {
        load.wait_for(plan.times(10, 60) as u64, PATIENCE);
        network.kill_together(&[4]);
        network.start(4);
    }
    load.wait_for(plan.times(10, 60) as u64, PATIENCE);
    kill_with_a_body(&network, &load);

    let bench = Bench::new(&network);
    let mut chance = plan.chance();
    let mut seen = Vec::new();
    let mut damaged_table = None;
    for (kind, name) in KINDS {
        let mut fared: BTreeMap<&str, (usize, String)> = BTreeMap::new();
        for _ in 0..plan.times(2, 12) {
            let Some((file, bit)) = bench.choose(name, &mut chance) else { continue };
            let outcome = bench.attempt(&file, bit);
            let (word, example) = match &outcome {
                Fared::Refused { reason } => ("the node refused to open", reason.clone()),
                Fared::Whole => {
                    ("it opened with every block, and fsck finds the ledger whole", String::new())
                }
                Fared::Named { words } => ("it opened; fsck names the damage", words.clone()),
                Fared::Short { by } => ("it opened without its last blocks", format!("{by} short")),
            };
            if name == TABLES && matches!(outcome, Fared::Refused { .. }) {
                damaged_table = Some((file.clone(), bit));
            }
            if let Fared::Short { by } = outcome {
                assert!(by <= 1, "{kind} {}: a flipped bit cost {by} blocks in silence", file.display());
            }
            let entry = fared.entry(word).or_insert((0, example));
            entry.0 += 1;
        }
        let all: Vec<String> =
            fared.iter().map(|(word, (count, _))| format!("{count} times {word}")).collect();
        assert!(!all.is_empty(), "node 4 has no {kind}: nothing was shown");
        let example = fared.values().map(|(_, example)| example.as_str()).find(|example| !example.is_empty());
        seen.push(Seen::new(
            format!("one bit flipped in a {kind} of a stopped node"),
            all.join("; "),
            example.map_or_else(|| "nothing".into(), |example| format!("for example: {example}")),
        ));
    }
    for _ in 0..MORE_TABLES {
        if damaged_table.is_some() {
            break;
        }
        damaged_table = bench
            .choose(TABLES, &mut chance)
            .filter(|(file, bit)| matches!(bench.attempt(file, *bit), Fared::Refused { .. }));
    }
    let Some((file, bit)) = damaged_table else { panic!("the node opens with every damaged table file") };
    drop(bench);

    for node in [1, 2, 3] {
        network.start_without_waiting(node);
    }
    load.wait_for(4, PATIENCE);
    flip(&network.data(4).join(&file), bit);
    let ended = network.run_until_end(4, Duration::from_secs(60));
    let ended = ended.unwrap_or_else(|| panic!("the copy was refused, the node itself opens"));
    assert_eq!(ended.code, Some(2), "{}", ended.words);
    fs::remove_dir_all(network.data(4).join("ledger")).expect("because it is ours");
    seen.push(Seen::new(
        "the same in the node itself; mended as the message says, with an empty ledger",
        "the node refused to open, the others recorded on; with an empty ledger it synced and caught up",
        format!("exit code 2: {}", brief(ended.reason())),
    ));
    network.start(4);
    load.wait_for(4, PATIENCE);
    let kept = load.finish();
    Ok(Told { seen, checked: checks::whole(&mut network, &FOUR, &kept) })
}

/// Kills all nodes while the fourth keeps the body of a block that is not decided; after so many tries, with any.
fn kill_with_a_body(network: &Network, load: &Load) {
    let bodies = network.data(4).join("consensus/bodies");
    let has_body = || fs::read_dir(&bodies).is_ok_and(|mut entries| entries.next().is_some());
    for left in (0..KILLS).rev() {
        until("node 4 keeps a body", PATIENCE, has_body);
        network.kill_together(&FOUR);
        if has_body() || left == 0 {
            return;
        }
        for node in FOUR {
            network.start_without_waiting(node);
        }
        load.wait_for(4, PATIENCE);
    }
}

/// A copy of node 4's data, made anew for every attempt, and a configuration for it.
struct Bench {
    original: PathBuf,
    copy: PathBuf,
    config: PathBuf,
    log: PathBuf,
    status: custos_api::blocking::Client,
    blocks: u64,
}

impl Bench {
    fn new(network: &Network) -> Self {
        let folder = network.folder();
        let text = fs::read_to_string(network.config(4)).expect("because nodes have a configuration");
        let mut config: toml::Table = text.parse().expect("because the command wrote it");
        let copy = folder.join("copy");
        config.insert("data_dir".into(), copy.display().to_string().into());
        let path = folder.join("copy.toml");
        fs::write(&path, toml::to_string(&config).expect("because it was TOML")).expect("because it is ours");
        let status =
            custos_api::blocking::Client::new(&network.address(4)).expect("because nodes have addresses");
        let original = network.data(4);
        let log = folder.join("copy.log");
        let mut bench = Self { original, copy, config: path, log, status, blocks: 0 };
        bench.copy();
        let (code, words) = bench.fsck();
        assert_eq!(code, Some(0), "the copy is damaged before anything was done to it: {words}");
        let words: serde_json::Value = serde_json::from_str(&words).expect("because fsck writes JSON");
        bench.blocks = words["blocks"].as_u64().expect("because fsck counts blocks");
        bench
    }

    fn copy(&self) {
        let _ = fs::remove_dir_all(&self.copy);
        let status = Command::new("cp").arg("-r").arg(&self.original).arg(&self.copy).status();
        assert!(status.is_ok_and(|status| status.success()), "the data cannot be copied");
    }

    /// A file of this kind, relative to the data directory, and a bit of it.
    fn choose(&self, name: &str, chance: &mut Chance) -> Option<(PathBuf, u64)> {
        let mut files = Vec::new();
        let mut open = vec![self.original.clone()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                let file = entry.file_name().to_string_lossy().into_owned();
                if path.is_dir() {
                    open.push(path);
                } else if is_of(name, &path, &file) && entry.metadata().is_ok_and(|m| m.len() > 0) {
                    files.push(path);
                }
            }
        }
        files.sort();
        let at = usize::try_from(chance.below(files.len() as u64)).unwrap_or_default();
        let path = files.get(at)?;
        let bits = fs::metadata(path).ok()?.len() * 8;
        let relative = path.strip_prefix(&self.original).ok()?.to_owned();
        Some((relative, chance.below(bits)))
    }

    fn attempt(&self, file: &Path, bit: u64) -> Fared {
        self.copy();
        flip(&self.copy.join(file), bit);
        let what = format!("{} bit {bit}", file.display());
        match self.open(&what) {
            Err(reason) => Fared::Refused { reason },
            Ok(height) => {
                let (code, words) = self.fsck();
                // By its log of votes it may decide the one that was under way.
                let most = self.blocks + 1;
                assert!(height <= most, "{what}: it opened with {height} of {} blocks", self.blocks);
                match code {
                    Some(0) if height >= self.blocks => Fared::Whole,
                    Some(0) => Fared::Short { by: self.blocks - height },
                    _ => Fared::Named { words: brief(&words) },
                }
            }
        }
    }

    /// Runs a node on the copy until it answers, and kills it; its height, or why it ended.
    fn open(&self, what: &str) -> Result<u64, String> {
        let log = fs::File::create(&self.log).expect("because the folder is ours");
        let mut child = Command::new(binary())
            .args(["node", "run", "--config"])
            .arg(&self.config)
            .stdout(log.try_clone().expect("because a file can be opened twice"))
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .expect("because the program is there");
        let deadline = Instant::now() + PATIENCE;
        let outcome = loop {
            if let Some(status) = child.try_wait().expect("because the process is ours") {
                let words = plain(&fs::read_to_string(&self.log).unwrap_or_default());
                assert!(!words.contains("panicked at"), "{what}: {words}");
                assert_eq!(status.code(), Some(2), "{what}: {words}");
                let reason = words.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
                assert!(!reason.is_empty(), "{what}: it ended and does not say why");
                break Err(brief(reason));
            }
            if let Ok(status) = self.status.status() {
                break Ok(status.height);
            }
            assert!(Instant::now() < deadline, "{what}: it neither answers nor ends");
            std::thread::sleep(Duration::from_millis(30));
        };
        let _ = child.kill();
        let _ = child.wait();
        outcome
    }

    fn fsck(&self) -> (Option<i32>, String) {
        let output = Command::new(binary())
            .args(["--json", "fsck", "--data"])
            .arg(&self.copy)
            .output()
            .expect("because the program is there");
        let words = if output.status.success() { output.stdout } else { output.stderr };
        let words = String::from_utf8_lossy(&words).into_owned();
        assert!(!words.contains("panicked at"), "fsck: {words}");
        (output.status.code(), words)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.copy);
    }
}

/// Whether a file is of a kind.
fn is_of(name: &str, path: &Path, file: &str) -> bool {
    match name.strip_suffix('/') {
        Some(folder) => path.parent().is_some_and(|parent| parent.ends_with(folder)),
        None => file.ends_with(name) || file.starts_with(name),
    }
}

fn flip(path: &Path, bit: u64) {
    let mut bytes = fs::read(path).expect("because the file was there");
    let at = usize::try_from(bit / 8).expect("because the file fits into memory");
    bytes[at] ^= 1 << (bit % 8);
    fs::write(path, bytes).expect("because the file is ours");
}
