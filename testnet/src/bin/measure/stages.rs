//! What is measured, in which order, and on which network.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::network::{Network, json_of};
use crate::{Outcome, parts, postgres};

/// Bytes of the write whose sync is measured.
const SYNC_BYTES: usize = 4096;
/// Clients of a closed loop that saturates: with so many, hundreds wait in every block.
const CLIENTS: &str = "512";
/// Requests of the open loop that may be under way; below the files that a process may usually have open.
const OPEN_CLIENTS: &str = "768";
/// The most submissions that a run of single items signs in advance.
const SINGLES: &str = "120000";
/// Loads of the open loop, in percent of what the closed loop reached. The first is a light one.
const LOADS: [f64; 7] = [5.0, 25.0, 50.0, 70.0, 90.0, 110.0, 300.0];

/// What is to be measured.
pub(crate) struct Plan {
    pub(crate) custos: PathBuf,
    /// How full the log is when rates, proofs and restarts are measured.
    pub(crate) records: Vec<u64>,
    /// Shorter runs, each once, for a first look.
    pub(crate) quick: bool,
}

impl Plan {
    fn seconds(&self, whole: u64) -> u64 {
        if self.quick { (whole / 4).max(3) } else { whole }
    }

    fn text(&self, whole: u64) -> String {
        self.seconds(whole).to_string()
    }

    fn runs(&self) -> usize {
        if self.quick { 1 } else { 3 }
    }
}

/// Measures everything, beginning from what was measured without a network. What was found so far stands
/// in `kept` after every stage: a run that is cut off loses the stage it was in and no more.
pub(crate) fn run(plan: &Plan, begin: Map<String, Value>, kept: &Path) -> Outcome<Value> {
    let work = tempfile::Builder::new().prefix("custos-bench").tempdir()?;
    let begun = Instant::now();
    let mut figures = Figures { values: begin, begun, kept: kept.to_owned() };
    figures.values.insert("machine".into(), json!(machine()));
    figures.values.insert("cores".into(), json!(std::thread::available_parallelism()?.get()));
    figures.values.insert("date".into(), json!(today()?));
    figures.values.insert("quick".into(), json!(plan.quick));

    figures.stage("synced_write_ms", || Ok(json!(synced_write_ms(work.path())?)));
    figures.stage("empty_height_ms", || empty_heights(plan, &work.path().join("empty")));
    figures.stage("postgres", || postgres::measure(plan.seconds(8)));
    match Network::up(&plan.custos, &work.path().join("load"), 4, 10_000) {
        Ok(net) => on_four(plan, &net, &mut figures, work.path()),
        Err(error) => figures.missed("four", &error.to_string()),
    }
    figures.stage("validators", || validators(plan, work.path()));
    match Network::up(&plan.custos, &work.path().join("size"), 4, 10_000) {
        Ok(net) => by_size(plan, net, &mut figures),
        Err(error) => figures.missed("sizes", &error.to_string()),
    }
    figures.stage("limits_at_end", || limits_again(plan, work.path()));
    figures.keep()?;
    Ok(Value::Object(figures.values))
}

/// What was found so far.
struct Figures {
    values: Map<String, Value>,
    begun: Instant,
    kept: PathBuf,
}

impl Figures {
    /// Measures one thing. What fails is named, and does not stop the rest.
    fn stage(&mut self, name: &str, measure: impl FnOnce() -> Outcome<Value>) {
        eprintln!("[{:>5.0} s] {name}", self.begun.elapsed().as_secs_f64());
        match measure() {
            Ok(value) => {
                self.values.insert(name.to_owned(), value);
            }
            Err(error) => self.missed(name, &error.to_string()),
        }
        if let Err(error) = self.keep() {
            eprintln!("what was found so far could not be kept: {error}");
        }
    }

    fn keep(&mut self) -> Outcome<()> {
        self.values.insert("minutes".into(), json!(self.begun.elapsed().as_secs_f64() / 60.0));
        Ok(fs::write(&self.kept, format!("{}\n", serde_json::to_string_pretty(&self.values)?))?)
    }

    fn missed(&mut self, name: &str, why: &str) {
        eprintln!("{name}: {why}");
        let short: String = why.chars().take(400).collect();
        self.values.insert(name.to_owned(), json!({ "missed": short }));
    }

    fn number(&self, name: &str, field: &str) -> Option<f64> {
        self.values.get(name)?.get(field)?.as_f64()
    }
}

/// Everything that one network of four shows under different loads.
fn on_four(plan: &Plan, net: &Network, figures: &mut Figures, work: &Path) {
    let runs = plan.runs();
    figures.stage("idle_cpu", || {
        let seconds = plan.seconds(20);
        let before = net.cpu_seconds()?;
        sleep(Duration::from_secs(seconds));
        Ok(json!({ "percent_of_a_core": (net.cpu_seconds()? - before) / seconds as f64 * 100.0 }))
    });
    figures.stage("one_at_a_time", || {
        let count = if plan.quick { "60" } else { "200" };
        net.bench(&["--receipts", "--clients", "1", "--pause-ms", "100", "--submissions", count])
    });
    figures
        .stage("singles", || several(runs, || net.bench(&closed(&plan.text(10), &["--clients", CLIENTS]))));
    figures.stage("singles_together", || {
        several(runs, || net.bench(&closed(&plan.text(10), &["--clients", "32", "--together", "100"])))
    });
    figures.stage("batches", || several(runs, || net.bench(&batches(&plan.text(10)))));
    let saturation = figures.number("singles", "items_per_second").unwrap_or(2_000.0);
    figures.stage("loads", || {
        let mut rows = Vec::new();
        for percent in LOADS {
            let seconds = plan.seconds(12);
            let rate = saturation * percent / 100.0;
            let (rate_text, seconds_text) = (format!("{rate:.0}"), seconds.to_string());
            let count = ((rate * seconds as f64).ceil() as u64).clamp(1, 1_000_000).to_string();
            let mut row = net.bench(&[
                "--rate",
                &rate_text,
                "--clients",
                OPEN_CLIENTS,
                "--seconds",
                &seconds_text,
                "--submissions",
                &count,
                "--warm-up",
                "50",
                "--no-limits",
            ])?;
            row["percent_of_saturation"] = json!(percent);
            rows.push(row);
        }
        Ok(json!(rows))
    });
    figures.stage("bad_signatures", || {
        net.bench(&closed(&plan.text(10), &["--clients", CLIENTS, "--bad-signatures", "10"]))
    });
    figures.stage("with_reads", || {
        let mixed = ["--says", "access.event", "--says", "trail.open", "--says", "access.event"];
        net.bench(&closed(&plan.text(10), &[&["--clients", CLIENTS, "--reads", "20"][..], &mixed].concat()))
    });
    figures.stage("kinds", || kinds(plan, net));
    let longer = (plan.seconds(8) + 6).to_string();
    for (name, arguments) in [
        ("parts_singles", closed(&longer, &["--clients", CLIENTS, "--no-limits"])),
        ("parts_together", closed(&longer, &["--clients", "32", "--together", "100", "--no-limits"])),
        ("parts_batches", [&batches(&longer)[..], &["--no-limits"]].concat()),
    ] {
        figures.stage(name, || by_part(plan, net, &arguments, work));
    }
    figures.stage("trail", || net.trail(1000));
    figures.stage("one_dead", || {
        net.command(&["testnet", "kill", "--index", "4"])?;
        let seen = net.bench_on(3, &closed(&plan.text(20), &["--clients", CLIENTS]));
        net.command(&["testnet", "start", "--index", "4"])?;
        seen
    });
}

/// Arguments of single items in a closed loop.
fn closed<'a>(seconds: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["--seconds", seconds, "--submissions", SINGLES, "--warm-up", "500"][..], more].concat()
}

/// Arguments of signed batches in a closed loop.
fn batches(seconds: &str) -> Vec<&str> {
    vec!["--items", "500", "--clients", "16", "--seconds", seconds, "--submissions", "700", "--warm-up", "16"]
}

/// The run with the median rate, with the least and the most beside it.
fn several(runs: usize, mut measure: impl FnMut() -> Outcome<Value>) -> Outcome<Value> {
    let mut seen = (0..runs).map(|_| measure()).collect::<Outcome<Vec<Value>>>()?;
    let rate = |value: &Value| value["items_per_second"].as_f64().unwrap_or(f64::NAN);
    seen.sort_by(|a, b| rate(a).total_cmp(&rate(b)));
    let (least, most) = (seen.first().map(rate), seen.last().map(rate));
    let mut median = seen.swap_remove(seen.len() / 2);
    median["runs"] = json!({ "count": runs, "least_items_per_second": least, "most_items_per_second": most });
    Ok(median)
}

/// Blocks by what they are full of.
fn kinds(plan: &Plan, net: &Network) -> Outcome<Value> {
    let seconds = plan.text(8);
    let mut rows = Vec::new();
    for (name, says, items, clients) in [
        ("access events, one each", "access.event", "1", CLIENTS),
        ("access events, 20 each", "access.event", "20", "128"),
        ("access events, 500 each", "access.event", "500", "16"),
        ("opened trails, one each", "trail.open", "1", CLIENTS),
        ("opened trails, 100 each", "trail.open", "100", "32"),
        ("rosters, one each", "roster.commit", "1", CLIENTS),
    ] {
        let count = match items {
            "1" => "40000",
            "20" => "10000",
            _ => "800",
        };
        let mut row = net.bench(&[
            "--says",
            says,
            "--items",
            items,
            "--clients",
            clients,
            "--seconds",
            &seconds,
            "--submissions",
            count,
            "--no-limits",
        ])?;
        row["blocks_of"] = json!(name);
        rows.push(row);
    }
    Ok(json!(rows))
}

/// Where the processor time goes under a load, which runs a little longer than it is looked at.
fn by_part(plan: &Plan, net: &Network, arguments: &[&str], work: &Path) -> Outcome<Value> {
    let seconds = plan.seconds(8);
    let idle = net.log_size()?;
    std::thread::scope(|scope| {
        // Errors of another thread cannot be sent as they are.
        let load = scope.spawn(|| net.bench(arguments).map_err(|error| error.to_string()));
        // Signing in advance and the warm-up come first.
        let begun = Instant::now();
        while net.log_size()? < idle + 5_000 && begun.elapsed() < Duration::from_secs(60) {
            sleep(Duration::from_millis(100));
        }
        let before = net.cpu_by_thread()?;
        let sampled = parts::sample(&net.pids()?, seconds, work);
        let after = net.cpu_by_thread()?;
        let mut value = match sampled {
            Ok(value) => value,
            Err(error) => json!({ "not_sampled": error.to_string() }),
        };
        value["threads"] = parts::threads(&before, &after);
        let seen = load.join().map_err(|_| "the load panicked")??;
        value["node_cpu_us_per_record"] = seen["node_cpu_us_per_record"].clone();
        Ok(value)
    })
}

/// Rates on networks of different sizes. All of them share this machine: each validator more is one more
/// that checks everything.
fn validators(plan: &Plan, work: &Path) -> Outcome<Value> {
    let mut rows = Vec::new();
    for count in [1usize, 4, 7, 10] {
        let net = Network::up(&plan.custos, &work.join(format!("of-{count}")), count, 10_000)?;
        let idle = net.bench(&[
            "--receipts",
            "--clients",
            "1",
            "--pause-ms",
            "50",
            "--submissions",
            "40",
            "--no-limits",
        ])?;
        let singles = net.bench(&closed(&plan.text(10), &["--clients", CLIENTS, "--no-limits"]))?;
        let batches = net.bench(&[&batches(&plan.text(10))[..], &["--no-limits"]].concat())?;
        rows.push(json!({ "validators": count, "idle": idle, "singles": singles, "batches": batches }));
    }
    Ok(json!(rows))
}

/// Rates, proofs, bytes and restarts as the log grows; then a full audit of it, and an empty node that catches up.
fn by_size(plan: &Plan, net: Network, figures: &mut Figures) {
    let mut rows = Vec::new();
    for records in &plan.records {
        match of_size(plan, &net, *records) {
            Ok(row) => rows.push(row),
            Err(error) => {
                let name = if rows.is_empty() { "sizes" } else { "next_size" };
                figures.missed(name, &format!("{records} records: {error}"));
                break;
            }
        }
        // Each row is kept when it is there: the next one may take an hour.
        figures.stage("sizes", || Ok(json!(rows)));
    }
    figures.stage("sync", || {
        let (records, signatures) = (net.log_size()?, signatures(&net)?);
        let seconds = net.sync_anew()?;
        Ok(json!({ "records": records, "submissions": signatures, "seconds": seconds }))
    });
    figures.stage("audit", || {
        let (records, signatures) = (net.log_size()?, signatures(&net)?);
        net.command(&["testnet", "kill", "--index", "4"])?;
        let begun = Instant::now();
        json_of(Command::new(net.custos()).args(["fsck", "--data"]).arg(net.data(4)))?;
        Ok(json!({ "records": records, "submissions": signatures, "seconds": begun.elapsed().as_secs_f64() }))
    });
}

/// What a network shows whose log has `records`.
fn of_size(plan: &Plan, net: &Network, records: u64) -> Outcome<Value> {
    net.fill(records)?;
    // What is asked of the full log comes first: the loads below make it grow, by less than the next size.
    let (trail, restart, records) = (net.trail(1000)?, net.restart()?, net.log_size()?);
    let (disk, resident_mb) = (net.disk()?, net.resident_mb("VmRSS")?);
    let alone = ["--receipts", "--clients", "1", "--pause-ms", "20", "--submissions", "50", "--no-limits"];
    let idle = net.bench(&alone)?;
    let singles = net.bench(&closed(&plan.text(4), &["--clients", CLIENTS, "--no-limits"]))?;
    let few = ["--items", "500", "--clients", "16", "--submissions", "100", "--warm-up", "8", "--no-limits"];
    let batches = net.bench(&few)?;
    Ok(json!({
        "records": records, "singles": singles, "batches": batches, "idle": idle, "trail": trail,
        "restart_seconds": restart, "disk": disk, "resident_mb": resident_mb,
    }))
}

/// How many submissions the network has recorded since it was begun.
fn signatures(net: &Network) -> Outcome<f64> {
    let page = net.client(0)?.metrics()?;
    let counted = page.lines().find_map(|line| line.strip_prefix("custos_recorded_submissions_total "));
    Ok(counted.ok_or("the node does not count submissions")?.trim().parse()?)
}

/// The machine's limits once more: when they moved, the run says little.
fn limits_again(plan: &Plan, work: &Path) -> Outcome<Value> {
    let net = Network::up(&plan.custos, &work.join("end"), 1, 10_000)?;
    let seen = net.bench(&["--submissions", "20"])?;
    Ok(seen["limits"].clone())
}

/// The median time of one small append with fdatasync, in ms.
fn synced_write_ms(dir: &Path) -> Outcome<f64> {
    let path = dir.join("sync");
    let mut file = File::create(&path)?;
    let mut times = Vec::new();
    for _ in 0..200 {
        let start = Instant::now();
        file.write_all(&[7; SYNC_BYTES])?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    fs::remove_file(path)?;
    times.sort_unstable();
    Ok(times[times.len() / 2].as_secs_f64() * 1e3)
}

/// The time of one empty height, in ms: a network whose heartbeat is shorter than a height never rests.
fn empty_heights(plan: &Plan, dir: &Path) -> Outcome<Value> {
    let net = Network::up(&plan.custos, dir, 4, 1)?;
    let client = net.client(0)?;
    let (height, start) = (client.status()?.height, Instant::now());
    sleep(Duration::from_secs(plan.seconds(10)));
    let heights = client.status()?.height - height;
    Ok(json!(start.elapsed().as_secs_f64() * 1e3 / heights.max(1) as f64))
}

fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or_else(|| "unknown".into(), |(_, name)| name.to_owned())
}

fn today() -> Outcome<String> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis();
    let text = custos_proof::ids::TimeMs(u64::try_from(since)?).to_string();
    Ok(text.chars().take(10).collect())
}
