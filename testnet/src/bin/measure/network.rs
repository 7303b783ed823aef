//! A test network as the measurement sees it: commands, files, and what `/proc` says of its processes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use custos_api::blocking::Client;
use custos_api::client::Part;
use custos_proof::anchor::{Recency, TrustAnchor};
use custos_proof::cbor::Wire as _;
use custos_proof::trail::TrailName;
use custos_proof::trail_proof::TrailProof;
use custos_proof::verify::{self, Basis};
use custos_testnet::FileKey;
use serde_json::{Value, json};

use crate::Outcome;

/// Clock ticks of `/proc` per second: the same on every Linux that Rust runs on.
const TICKS: f64 = 100.0;
/// How long an empty node gets to say anything.
const FIRST_WORD: Duration = Duration::from_secs(60);
/// How often a trail is fetched and verified.
const TRAIL_RUNS: usize = 5;
/// How long a node gets to have all blocks again: to begin, and for each record.
const SYNC: Duration = Duration::from_secs(120);
const SYNC_EACH: Duration = Duration::from_micros(200);

/// A running test network.
pub(crate) struct Network {
    custos: PathBuf,
    dir: PathBuf,
    described: Value,
}

impl Network {
    pub(crate) fn up(custos: &Path, dir: &Path, validators: usize, heartbeat_ms: u64) -> Outcome<Self> {
        let (validators, heartbeat) = (validators.to_string(), heartbeat_ms.to_string());
        let arguments =
            ["testnet", "up", "--detach", "--validators", &validators, "--heartbeat", &heartbeat, "--dir"];
        let described = json_of(Command::new(custos).args(arguments).arg(dir))?;
        Ok(Self { custos: custos.to_owned(), dir: dir.to_owned(), described })
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Outcome<Value> {
        json_of(Command::new(&self.custos).args(arguments).arg("--dir").arg(&self.dir))
    }

    pub(crate) fn custos(&self) -> &Path {
        &self.custos
    }

    pub(crate) fn data(&self, index: usize) -> PathBuf {
        self.dir.join(format!("node-{index}"))
    }

    fn nodes(&self) -> &[Value] {
        self.described["nodes"].as_array().map_or(&[], Vec::as_slice)
    }

    pub(crate) fn client(&self, index: usize) -> Outcome<Client> {
        let url =
            self.nodes().get(index).and_then(|node| node["api"].as_str()).ok_or("a node has no address")?;
        Ok(Client::new(url)?)
    }

    /// `custos bench` on all nodes; the answer also says what the nodes spent meanwhile.
    pub(crate) fn bench(&self, arguments: &[&str]) -> Outcome<Value> {
        self.bench_on(self.nodes().len(), arguments)
    }

    /// The same on the first nodes.
    pub(crate) fn bench_on(&self, nodes: usize, arguments: &[&str]) -> Outcome<Value> {
        let mut command = Command::new(&self.custos);
        command.arg("bench");
        for node in self.nodes().iter().take(nodes) {
            command.args(["--node", node["api"].as_str().unwrap_or_default()]);
        }
        // Four institutions write, whatever the number of validators: their keys, not their nodes.
        for node in self.nodes().iter().take(4) {
            command.args(["--key", node["sign_key"].as_str().unwrap_or_default()]);
        }
        let (cpu, size) = (self.cpu_seconds()?, self.log_size()?);
        let mut result = json_of(command.args(arguments))?;
        let (cpu, records) = (self.cpu_seconds()? - cpu, self.log_size()?.saturating_sub(size));
        let counted = self.pids()?.len().max(1) as f64;
        result["node_cpu_seconds"] = json!(cpu);
        result["node_cpu_us_per_record"] = json!(cpu * 1e6 / records.max(1) as f64 / counted);
        result["resident_mb"] = json!(self.resident_mb("VmRSS")?);
        result["most_resident_mb"] = json!(self.resident_mb("VmHWM")?);
        Ok(result)
    }

    pub(crate) fn log_size(&self) -> Outcome<u64> {
        Ok(self.client(0)?.status()?.log_size)
    }

    /// Fills the log up to `records` with batches of 500: one load signs while the other is recorded.
    pub(crate) fn fill(&self, records: u64) -> Outcome<u64> {
        std::thread::scope(|scope| {
            // Errors of another thread cannot be sent as they are.
            let load = || self.fill_alone(records).map_err(|error| error.to_string());
            let other = scope.spawn(load);
            let own = load();
            let other = other.join().map_err(|_| "a load panicked")?;
            own.and(other)
        })?;
        self.log_size()
    }

    fn fill_alone(&self, records: u64) -> Outcome<()> {
        loop {
            let size = self.log_size()?;
            if size >= records {
                return Ok(());
            }
            // Half of what is missing: another one does the same.
            let wanted = (records - size).div_ceil(1_000).clamp(1, 200).to_string();
            let arguments =
                ["--items", "500", "--clients", "8", "--seconds", "120", "--no-limits", "--warm-up", "0"];
            self.bench(&[&arguments[..], &["--submissions", &wanted]].concat())?;
        }
    }

    /// Kills the last node, starts it again, and gives the seconds until it takes submissions.
    pub(crate) fn restart(&self) -> Outcome<f64> {
        let index = self.nodes().len().to_string();
        self.command(&["testnet", "kill", "--index", &index])?;
        let begun = Instant::now();
        self.command(&["testnet", "start", "--index", &index])?;
        Ok(begun.elapsed().as_secs_f64())
    }

    /// Takes everything from the last node and starts it empty: the seconds until it has every block.
    pub(crate) fn sync_anew(&self) -> Outcome<f64> {
        let index = self.nodes().len();
        self.command(&["testnet", "kill", "--index", &index.to_string()])?;
        fs::remove_dir_all(self.data(index))?;
        let head = self.client(0)?.status()?.height;
        let records = u32::try_from(self.log_size()?).unwrap_or(u32::MAX);
        let most = SYNC + SYNC_EACH.saturating_mul(records);
        let begun = Instant::now();
        self.command(&["testnet", "start", "--no-wait", "--index", &index.to_string()])?;
        let client = self.client(index - 1)?;
        let mut answered = false;
        loop {
            match client.status() {
                Ok(status) if status.height >= head => break,
                Ok(_) => answered = true,
                Err(_) if !answered && begun.elapsed() > FIRST_WORD => {
                    return Err("the empty node does not start".into());
                }
                Err(_) => {}
            }
            if begun.elapsed() > most {
                return Err(format!("the empty node does not reach height {head}").into());
            }
            sleep(Duration::from_millis(50));
        }
        Ok(begun.elapsed().as_secs_f64())
    }

    pub(crate) fn pids(&self) -> Outcome<Vec<u64>> {
        let status = serde_json::from_slice::<Value>(&fs::read(self.dir.join("network.json"))?)?;
        let running = |pid: &u64| Path::new(&format!("/proc/{pid}/stat")).exists();
        let nodes = status["nodes"].as_array().into_iter().flatten();
        Ok(nodes.filter_map(|node| node["pid"].as_u64()).filter(running).collect())
    }

    /// Processor time of all running nodes since their start.
    pub(crate) fn cpu_seconds(&self) -> Outcome<f64> {
        let stats = self.pids()?.into_iter().map(|pid| fs::read_to_string(format!("/proc/{pid}/stat")));
        stats.map(|stat| Ok(ticks(&stat?).1 / TICKS)).sum()
    }

    /// Processor time of all running nodes by the names of their threads.
    pub(crate) fn cpu_by_thread(&self) -> Outcome<BTreeMap<String, f64>> {
        let mut by_name: BTreeMap<String, f64> = BTreeMap::new();
        for pid in self.pids()? {
            for task in fs::read_dir(format!("/proc/{pid}/task"))? {
                // A thread may end while we look.
                let Ok(stat) = fs::read_to_string(task?.path().join("stat")) else { continue };
                let (name, ticks) = ticks(&stat);
                *by_name.entry(name).or_default() += ticks / TICKS;
            }
        }
        Ok(by_name)
    }

    /// `VmRSS` or `VmHWM` of the node that has most, in MB.
    pub(crate) fn resident_mb(&self, field: &str) -> Outcome<u64> {
        let mut most = 0;
        for pid in self.pids()? {
            let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
            let kb = status.lines().find_map(|line| {
                let rest = line.strip_prefix(field)?.strip_prefix(':')?;
                rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
            });
            most = most.max(kb.unwrap_or(0) / 1024);
        }
        Ok(most)
    }

    /// The first entries of the client's institution trail: how many came, how long fetching and verifying took (the
    /// median of [`TRAIL_RUNS`] each), and how many bytes they are.
    pub(crate) fn trail(&self, entries: u64) -> Outcome<Value> {
        let key = self.described["client_key"].as_str().ok_or("the network names no client key")?;
        let owner = self.described["client"].as_str().ok_or("the network names no client")?.parse()?;
        let client = self.client(0)?.signed_by(Arc::new(FileKey::read(Path::new(key))));
        let anchor = TrustAnchor::from_genesis(&client.genesis()?)?;
        let basis = Basis { anchor: &anchor, links: &[], recency: Recency::default() };
        let name = TrailName::institution(&owner);
        let (mut fetched, mut verified) = (Vec::new(), Vec::new());
        let (mut count, mut bytes) = (0, 0);
        for _ in 0..TRAIL_RUNS {
            let begun = Instant::now();
            let (file, _) = client.trail_proof(&name, Part::Positions(0, entries), None)?;
            fetched.push(begun.elapsed().as_secs_f64() * 1e3);
            let begun = Instant::now();
            let proof = TrailProof::from_bytes(&file)?;
            count = verify::trail(&proof, &basis)?.entries.len();
            verified.push(begun.elapsed().as_secs_f64() * 1e3);
            bytes = file.len();
        }
        let median = |mut times: Vec<f64>| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        };
        Ok(json!({
            "entries": count,
            "bytes": bytes,
            "fetched_ms": median(fetched),
            "verified_ms": median(verified),
        }))
    }

    /// Bytes on disk of the last node: in table files, in the write-ahead log, and beside the ledger.
    pub(crate) fn disk(&self) -> Outcome<Value> {
        let data = self.data(self.nodes().len());
        let (mut tables, mut log, mut other) = (0, 0, 0);
        for (path, bytes) in files(&data)? {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("sst") => tables += bytes,
                Some("log") if path.starts_with(data.join("ledger")) => log += bytes,
                _ => other += bytes,
            }
        }
        Ok(json!({ "tables": tables, "write_ahead_log": log, "other": other }))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Err(error) = self.command(&["testnet", "down"]) {
            eprintln!("a network did not stop: {error}");
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A thread's or process' name, and its ticks of user and system time.
fn ticks(stat: &str) -> (String, f64) {
    let (head, rest) = stat.rsplit_once(')').unwrap_or_default();
    let name = head.split_once('(').map_or("", |(_, name)| name);
    let fields = rest.split_whitespace().skip(11).take(2);
    (name.to_owned(), fields.filter_map(|field| field.parse::<f64>().ok()).sum())
}

fn files(dir: &Path) -> Outcome<Vec<(PathBuf, u64)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        // A compaction may remove a file while we look.
        let Ok(meta) = entry.metadata() else { continue };
        match meta.is_dir() {
            true => found.extend(files(&entry.path())?),
            false => found.push((entry.path(), meta.len())),
        }
    }
    Ok(found)
}

/// What a command of ours answers to `--json`.
pub(crate) fn json_of(command: &mut Command) -> Outcome<Value> {
    let output = command.arg("--json").output()?;
    if !output.status.success() {
        let talk = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?} ended with {}: {talk}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
