//! `custos bench`: closed-loop load on a network, and the limits of the machine beside it.
//!
//! Every submission is signed before the clock starts, handed in with `wait=committed`, and its
//! receipt verified: in the latency run inside the measured time, otherwise after it. Figures of one
//! run are comparable with each other, hardly with those of another machine; that is why the
//! machine's own limits for the same signatures and hashes are in the same report.
//!
//! Deliberately absent: open-loop load, and anything that knows how nodes are started.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use custos_api::client::{Client, ClientError, Limits, Submitted};
use custos_custodian::draft::AccessValues;
use custos_proof::anchor::{Recency, TrustAnchor};
use custos_proof::cbor::Wire as _;
use custos_proof::hash::ChainId;
use custos_proof::ids::{Height, ItemId, ParticipantId, Random16};
use custos_proof::item::Item;
use custos_proof::keys::{KeyPurpose, Signature, Signer as _, key_id, verify_zip215};
use custos_proof::kinds::access::{Basis as Ground, Event, Late, Retention};
use custos_proof::kinds::{Class, Fields, Kind};
use custos_proof::seal::Place;
use custos_proof::submission::{Author, Draft, MAX_ITEMS, Submission};
use custos_proof::verify::{self, Basis};
use custos_state::batch::verify_batch;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::exit::{Exit, Failed, Outcome, While as _};
use crate::keyfile::{self, KeyFile};
use crate::network::refused;
use crate::render::paint::Paint;
use crate::render::table::table;
use crate::screen::Screen;
use crate::time;

/// How long the client waits for a commit.
const PATIENCE: Duration = Duration::from_secs(110);
/// How long a limit of the machine is measured.
const LIMIT: Duration = Duration::from_millis(400);
/// The most items that one run makes.
const MAX_TOTAL: usize = 5_000_000;

/// Measure a network
///
/// Hands in access events without a patient, in a closed loop: each of `--concurrency` clients sends
/// its next submission when the last one is recorded. Reports rates and latencies, verifies every
/// receipt, and counts how often each node checked a submission's signature. The events stay on the
/// ledger: use a test network.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    custos bench --node http://127.0.0.1:7700 --key hospital-sign.key --count 200 --concurrency 1\n  \
    custos bench --node http://127.0.0.1:7700 --node http://127.0.0.1:7710 --key hospital-sign.key --count 200 --batch 500 --json")]
pub(crate) struct Bench {
    /// A node to hand in to; with several, clients take turns
    #[arg(long = "node", value_name = "URL", required = true)]
    nodes: Vec<String>,
    /// Nodes that are only asked for their counters
    #[arg(long = "watch", value_name = "URL")]
    watch: Vec<String>,
    /// The signing key of a custodian
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// How many submissions
    #[arg(long, value_name = "N", default_value_t = 200)]
    count: usize,
    /// How many items each submission has
    #[arg(long, value_name = "N", default_value_t = 1)]
    batch: usize,
    /// How many submissions are under way at a time
    #[arg(long, value_name = "N", default_value_t = 1)]
    concurrency: usize,
    /// How many submissions come before the measured ones
    #[arg(long, value_name = "N", default_value_t = 3)]
    warm_up: usize,
    /// Leave the machine's own limits out
    #[arg(long)]
    no_limits: bool,
}

/// What one machine can do at most, alone.
struct MachineLimits {
    verify_single_us: f64,
    verify_batch_us: f64,
    sign_us: f64,
    hash_mb_s: f64,
    synced_write_ms: f64,
}

/// What was measured.
struct Report {
    submissions: usize,
    items: usize,
    signed_bytes: usize,
    seconds: f64,
    latencies_ms: Vec<f64>,
    heights: u64,
    receipts: usize,
    receipt_bytes: usize,
    verify_ms: Vec<f64>,
    checks: Vec<(String, f64)>,
    limits: Option<MachineLimits>,
}

impl Bench {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        if self.batch == 0 || self.batch > MAX_ITEMS || self.concurrency == 0 || self.count == 0 {
            return Err(Failed::unable(format!("count and concurrency are at least 1, a batch has 1 to {MAX_ITEMS} items")));
        }
        if (self.count + self.warm_up).saturating_mul(self.batch) > MAX_TOTAL {
            return Err(Failed::unable(format!("at most {MAX_TOTAL} items in one run")));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().could_not(|| "start")?;
        let key = Arc::new(keyfile::read(&self.key, KeyPurpose::Sign)?);
        let limits = Limits { request: PATIENCE, retries: 1_000, max_retry_after: Duration::from_millis(500), ..Limits::default() };
        let client = |url: &String| Client::with_limits(url, limits).map(|client| client.signed_by(key.clone())).map_err(refused);
        let clients: Vec<Client> = self.nodes.iter().map(client).collect::<Outcome<_>>()?;
        let watched: Vec<Client> = self.nodes.iter().chain(&self.watch).map(client).collect::<Outcome<_>>()?;
        let first = clients.first().ok_or_else(|| Failed::unable("name a node"))?;
        let (chain, owner, anchor) = runtime.block_on(ground(first, &key))?;
        let limits = (!self.no_limits).then(|| measure_limits(&*key)).transpose()?;

        let spinner = screen.spinner(format!("signing {} submissions", self.count + self.warm_up));
        let mut submissions = Vec::with_capacity(self.count + self.warm_up);
        for _ in 0..self.count + self.warm_up {
            submissions.push(Arc::new(submission(&chain, &owner, &key, self.batch)?));
        }
        spinner.finish_and_clear();
        let measured = submissions.split_off(self.warm_up);
        closed_loop(&runtime, &clients, submissions, self.concurrency, None, screen)?;

        let before = runtime.block_on(checks(&watched))?;
        let height_before = runtime.block_on(first.status()).map_err(refused)?.height;
        let signed_bytes = measured.iter().map(|submission| submission.bytes().len()).sum();
        let inline = (self.concurrency == 1).then(|| anchor.clone());
        let started = Instant::now();
        let answers = closed_loop(&runtime, &clients, measured, self.concurrency, inline.as_ref(), screen)?;
        let seconds = started.elapsed().as_secs_f64();
        let height_after = runtime.block_on(first.status()).map_err(refused)?.height;
        let after = runtime.block_on(checks(&watched))?;

        let (verify_ms, receipts, receipt_bytes) = verify_all(&answers, &anchor)?;
        let report = Report {
            submissions: self.count,
            items: self.count * self.batch,
            signed_bytes,
            seconds,
            latencies_ms: sorted(answers.iter().map(|answer| answer.latency_ms).collect()),
            heights: height_after.saturating_sub(height_before),
            receipts,
            receipt_bytes,
            verify_ms,
            checks: before.into_iter().zip(after).map(|((url, before), (_, after))| (url, (after - before) / self.count as f64)).collect(),
            limits,
        };
        screen.result(|paint| report.words(paint), || report.json());
        Ok(Exit::Done)
    }
}

/// The chain, whom the key speaks for, and what receipts are verified from.
async fn ground(client: &Client, key: &KeyFile) -> Outcome<(ChainId, ParticipantId, TrustAnchor)> {
    let genesis = client.genesis().await.map_err(refused)?;
    let anchor = TrustAnchor::from_genesis(&genesis).could_not(|| "use the node's genesis")?;
    let id = key_id(&key.public_key());
    let registry = client.registry().await.map_err(refused)?;
    let owner = registry.participants.into_iter().find(|participant| participant.keys.iter().any(|key| key.id == id));
    let owner = owner.ok_or_else(|| Failed::unable("the key is not in the registry"))?;
    Ok((genesis.chain(), owner.id, anchor))
}

/// A signed submission of access events that nobody made.
fn submission(chain: &ChainId, owner: &ParticipantId, key: &KeyFile, items: usize) -> Outcome<Submission> {
    let values = AccessValues::default().to_fields();
    let item = || {
        let mut random = [0; 64];
        getrandom::fill(&mut random).could_not(|| "draw random bytes")?;
        let (item_id, event) = (ItemId(part(&random, 0)), Random16(part(&random, 16)));
        let seed: [u8; 32] = part(&random, 32);
        let place = Place { chain, kind: Kind::AccessEvent, item_id: &item_id };
        let seal = place.seal(&seed, &values).could_not(|| "seal an event")?;
        let fields = Event {
            event,
            custodian: owner.clone(),
            local_id: None,
            acting: owner.clone(),
            basis: Ground::Unknown,
            cited: None,
            at_height: Height(0),
            late: Late::ImportedHistory,
            retention: Retention::Short,
            stream: 0,
            sequence: 0,
            seal,
        };
        Ok(Item { item_id, fields: Fields::AccessEvent(fields) }.to_bytes())
    };
    let items = (0..items).map(|_| item()).collect::<Outcome<Vec<_>>>()?;
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).could_not(|| "draw random bytes")?;
    let draft = Draft {
        chain,
        author: Author::Participant(owner.clone()),
        class: Class::Testimony,
        nonce: Random16(nonce),
        // Near the policy's longest, because all are signed before the first is sent.
        not_after: time::now().plus(50 * 60 * 1000),
    };
    Submission::sign(&draft, items, key).could_not(|| "sign a submission")
}

fn part<const N: usize>(bytes: &[u8; 64], from: usize) -> [u8; N] {
    std::array::from_fn(|n| bytes[from + n])
}

/// An answer to a measured submission.
struct Answer {
    latency_ms: f64,
    file: Vec<u8>,
}

/// Sends everything, `concurrency` at a time, each client its next when the last is recorded.
fn closed_loop(
    runtime: &Runtime,
    clients: &[Client],
    submissions: Vec<Arc<Submission>>,
    concurrency: usize,
    verify_within: Option<&TrustAnchor>,
    screen: &Screen,
) -> Outcome<Vec<Answer>> {
    let bar = screen.bar(submissions.len() as u64, "recording");
    let next = Arc::new(AtomicUsize::new(0));
    let submissions = Arc::new(submissions);
    let workers = concurrency.min(submissions.len());
    let answers = runtime.block_on(async {
        let mut tasks: JoinSet<Result<Vec<Answer>, Failed>> = JoinSet::new();
        for (worker, client) in (0..workers).zip(clients.iter().cycle()) {
            let (client, next, submissions) = (client.clone(), next.clone(), submissions.clone());
            let (bar, anchor) = (bar.clone(), verify_within.cloned());
            // Which node serves which client stays the same, so that connections are reused.
            let _ = worker;
            tasks.spawn(async move {
                let mut answers = Vec::new();
                while let Some(submission) = submissions.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let started = Instant::now();
                    let file = recorded(&client, submission).await?;
                    if let Some(anchor) = &anchor {
                        verify_file(&file, anchor, &mut Vec::new())?;
                    }
                    answers.push(Answer { latency_ms: started.elapsed().as_secs_f64() * 1_000.0, file });
                    bar.inc(1);
                }
                Ok(answers)
            });
        }
        tasks.join_all().await
    });
    bar.finish_and_clear();
    let answers = answers.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(answers.into_iter().flatten().collect())
}

async fn recorded(client: &Client, submission: &Submission) -> Result<Vec<u8>, Failed> {
    loop {
        match client.submit_and_wait(submission.bytes(), PATIENCE).await {
            Ok(Submitted::Committed { file, .. }) => return Ok(file),
            Ok(Submitted::Pending(_)) => return Err(Failed::unable("a submission was not recorded in time")),
            Err(ClientError::Problem(problem)) if problem.status == 429 => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(error) => return Err(refused(error)),
        }
    }
}

fn verify_file(file: &[u8], anchor: &TrustAnchor, times_ms: &mut Vec<f64>) -> Outcome<usize> {
    let receipts = custos_proof::file::Receipts::from_bytes(file).could_not(|| "read receipts")?;
    let basis = Basis { anchor, links: &[], recency: Recency::default() };
    for receipt in receipts.receipts.iter() {
        let started = Instant::now();
        verify::receipt(receipt, &basis).map_err(|failure| Failed::against(format!("a receipt does not verify: {failure}")))?;
        times_ms.push(started.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(receipts.receipts.len())
}

/// Verifies every receipt once more, alone, for the time that it takes.
fn verify_all(answers: &[Answer], anchor: &TrustAnchor) -> Outcome<(Vec<f64>, usize, usize)> {
    let (mut times_ms, mut receipts, mut bytes) = (Vec::new(), 0, 0);
    for answer in answers {
        receipts += verify_file(&answer.file, anchor, &mut times_ms)?;
        bytes += answer.file.len();
    }
    Ok((sorted(times_ms), receipts, bytes))
}

/// How many signatures of submissions each node has checked.
async fn checks(clients: &[Client]) -> Outcome<Vec<(String, f64)>> {
    let mut found = Vec::new();
    for client in clients {
        let page = client.metrics().await.map_err(refused)?;
        let value = page.lines().find_map(|line| line.strip_prefix("custos_signature_checks ")).and_then(|value| value.trim().parse().ok());
        found.push((client.address().to_owned(), value.unwrap_or(f64::NAN)));
    }
    Ok(found)
}

fn measure_limits(key: &KeyFile) -> Outcome<MachineLimits> {
    // As long as the Sig_structure of an ordinary submission.
    let messages: Vec<[u8; 256]> = (0..64u8).map(|n| [n; 256]).collect();
    let public = key.public_key();
    let signatures: Vec<Signature> =
        messages.iter().map(|message| key.sign(message)).collect::<Result<_, _>>().could_not(|| "sign")?;
    let signed: Vec<_> = messages.iter().zip(&signatures).map(|(message, signature)| (public, &message[..], *signature)).collect();
    let single = micros_each(64, || signed.iter().all(|(key, message, signature)| verify_zip215(key, message, signature)));
    let batch = micros_each(64, || verify_batch(&signed).into_iter().all(|valid| valid));
    let sign = micros_each(64, || messages.iter().all(|message| key.sign(message).is_ok()));
    let megabyte = vec![7; 1 << 20];
    let hash = micros_each(1, || custos_proof::hash::sha256(&megabyte).0[0] < u8::MAX || megabyte.len() > 1);
    Ok(MachineLimits {
        verify_single_us: single,
        verify_batch_us: batch,
        sign_us: sign,
        hash_mb_s: 1e6 / hash,
        synced_write_ms: synced_write_ms()?,
    })
}

/// The time of one of `count` equal steps that `work` makes, over a while.
fn micros_each(count: usize, work: impl Fn() -> bool) -> f64 {
    let started = Instant::now();
    let mut rounds = 0;
    while started.elapsed() < LIMIT {
        assert!(work(), "because what is measured here is known to hold");
        rounds += count;
    }
    started.elapsed().as_secs_f64() * 1e6 / rounds as f64
}

/// The median time of an appended and synced 4 KiB write to the system's folder for temporary files.
fn synced_write_ms() -> Outcome<f64> {
    use std::io::Write as _;
    let path = std::env::temp_dir().join(format!("custos-bench-{}", std::process::id()));
    let mut times = Vec::new();
    let mut file = std::fs::File::create(&path).could_not(|| "measure the disk")?;
    for _ in 0..50 {
        let started = Instant::now();
        file.write_all(&[7; 4096]).and_then(|()| file.sync_data()).could_not(|| "measure the disk")?;
        times.push(started.elapsed().as_secs_f64() * 1_000.0);
    }
    let _ = std::fs::remove_file(&path);
    Ok(percentile(&sorted(times), 50.0))
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// The value that `percent` of the sorted values do not exceed.
fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

impl Report {
    fn height_ms(&self) -> f64 {
        self.seconds * 1_000.0 / self.heights.max(1) as f64
    }

    fn words(&self, paint: Paint) -> String {
        let rate = |count: usize| count as f64 / self.seconds;
        let row = |name: &str, value: String| vec![name.to_owned(), value];
        let at = |percent| format!("{:.1} ms", percentile(&self.latencies_ms, percent));
        let mut rows = vec![
            row("submissions", format!("{} in {:.2} s: {:.0} per second", self.submissions, self.seconds, rate(self.submissions))),
            row("items", format!("{}: {:.0} per second", self.items, rate(self.items))),
            row("latency p50 / p99 / max", format!("{} / {} / {}", at(50.0), at(99.0), at(100.0))),
            row("blocks", format!("{}, one every {:.1} ms", self.heights, self.height_ms())),
            row("signed bytes per item", format!("{:.0}", self.signed_bytes as f64 / self.items as f64)),
            row("receipts verified", format!("{}, {:.0} bytes each", self.receipts, self.receipt_bytes as f64 / self.receipts.max(1) as f64)),
            row("receipt verification p50 / p99", format!("{:.3} ms / {:.3} ms", percentile(&self.verify_ms, 50.0), percentile(&self.verify_ms, 99.0))),
        ];
        rows.extend(self.checks.iter().map(|(url, checks)| row("signature checks per submission", format!("{checks:.3} at {url}"))));
        if let Some(limits) = &self.limits {
            let bound = 1e6 / limits.verify_single_us;
            rows.push(row("machine: one verification", format!("{:.1} us alone, {:.1} us in a batch of 64", limits.verify_single_us, limits.verify_batch_us)));
            rows.push(row("machine: one signature", format!("{:.1} us", limits.sign_us)));
            rows.push(row("machine: SHA-256", format!("{:.0} MB/s", limits.hash_mb_s)));
            rows.push(row("machine: one synced write", format!("{:.2} ms", limits.synced_write_ms)));
            rows.push(row("submissions to single-verify bound", format!("{:.3} ({bound:.0} per second and core)", rate(self.submissions) / bound)));
        }
        format!("{}\n", paint.head(table(&["measured", "value"], &rows)))
    }

    fn json(&self) -> Value {
        let latency = |percent| percentile(&self.latencies_ms, percent);
        json!({
            "submissions": self.submissions,
            "items": self.items,
            "seconds": self.seconds,
            "submissions_per_second": self.submissions as f64 / self.seconds,
            "items_per_second": self.items as f64 / self.seconds,
            "latency_ms": { "p50": latency(50.0), "p90": latency(90.0), "p99": latency(99.0), "max": latency(100.0) },
            "heights": self.heights,
            "height_ms": self.height_ms(),
            "signed_bytes": self.signed_bytes,
            "receipts_verified": self.receipts,
            "receipt_bytes": self.receipt_bytes,
            "receipt_verify_ms": { "p50": percentile(&self.verify_ms, 50.0), "p99": percentile(&self.verify_ms, 99.0) },
            "signature_checks_per_submission": self.checks.iter().map(|(url, checks)| json!({ "node": url, "checks": checks })).collect::<Vec<_>>(),
            "limits": self.limits.as_ref().map(|limits| json!({
                "verify_single_us": limits.verify_single_us,
                "verify_batch_us": limits.verify_batch_us,
                "sign_us": limits.sign_us,
                "sha256_mb_s": limits.hash_mb_s,
                "synced_write_ms": limits.synced_write_ms,
                "single_verify_per_second": 1e6 / limits.verify_single_us,
            })),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!((percentile(&values, 50.0), percentile(&values, 99.0), percentile(&values, 100.0)), (50.0, 99.0, 100.0));
        assert_eq!(percentile(&[7.0], 1.0), 7.0);
        assert!(percentile(&[], 50.0).is_nan());
    }
}
