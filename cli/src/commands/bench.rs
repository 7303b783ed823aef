//! `custos bench`: closed-loop load on a network, and the limits of the machine beside it.
//!
//! Every submission is signed before the clock starts. With `--receipts` each is handed in with
//! `wait=committed` and its receipts are verified within the measured time: what one careful client
//! waits for. Without, clients learn from the blocks that theirs was recorded, and a sample of the
//! receipts is fetched and verified afterwards: what a network takes in. Figures of one run are
//! comparable with each other, hardly with those of another machine; that is why the machine's own
//! limits for the same signatures and hashes are in the same report.
//!
//! Deliberately absent: open-loop load, and anything that knows how nodes are started.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use custos_api::client::{Client, Limits, Submitted};
use custos_custodian::draft::AccessValues;
use custos_proof::anchor::{Recency, TrustAnchor};
use custos_proof::batch::verify_batch;
use custos_proof::cbor::Wire as _;
use custos_proof::hash::{ChainId, SubmissionId};
use custos_proof::ids::{Height, ItemId, ParticipantId, Random16};
use custos_proof::item::Item;
use custos_proof::keys::{KeyPurpose, Signature, Signer as _, key_id, verify_zip215};
use custos_proof::kinds::access::{Basis as Ground, Event, Late, Retention};
use custos_proof::kinds::{Class, Fields, Kind};
use custos_proof::seal::Place;
use custos_proof::submission::{Author, Draft, MAX_ITEMS, Submission};
use custos_proof::verify::{self, Basis};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
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
/// How often a node is asked for its next block.
const BLOCK_POLL: Duration = Duration::from_millis(5);
/// Of how many submissions the receipts are verified afterwards.
const SAMPLE: usize = 20;
/// The most items that one run makes.
const MAX_TOTAL: usize = 5_000_000;

/// Measure a network
///
/// Hands in access events without a patient, in a closed loop: each of `--clients` clients sends its
/// next submission when the last one is recorded. Reports rates and latencies, verifies receipts,
/// and counts how often each node checked a submission's signature. The events stay on the ledger:
/// use a test network.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    custos bench --node http://127.0.0.1:7700 --key hospital-sign.key --receipts --submissions 200 --pause-ms 100\n  \
    custos bench --node http://127.0.0.1:7700 --node http://127.0.0.1:7710 --key hospital-sign.key \\\n    \
    --clients 16 --items 500 --submissions 400 --seconds 20 --json")]
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
    /// Whom the key speaks for; by default whom the registry names
    #[arg(long, value_name = "PARTICIPANT")]
    participant: Option<ParticipantId>,
    /// The most submissions
    #[arg(long, value_name = "N", default_value_t = 200)]
    submissions: usize,
    /// How many items each submission has
    #[arg(long, value_name = "N", default_value_t = 1)]
    items: usize,
    /// How many clients there are
    #[arg(long, value_name = "N", default_value_t = 1)]
    clients: usize,
    /// Begin no further submission after this time
    #[arg(long, value_name = "S", default_value_t = 3_600)]
    seconds: u64,
    /// How long a client rests between two submissions, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pause_ms: u64,
    /// Wait for the receipts of every submission, and verify them within the measured time
    #[arg(long)]
    receipts: bool,
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
    bytes_each: f64,
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
        let made = self.submissions.saturating_add(self.warm_up);
        if self.items == 0 || self.items > MAX_ITEMS || self.clients == 0 || self.submissions == 0 {
            return Err(Failed::unable(format!(
                "there is at least 1 client and 1 submission, of 1 to {MAX_ITEMS} items"
            )));
        }
        if made.saturating_mul(self.items) > MAX_TOTAL {
            return Err(Failed::unable(format!("at most {MAX_TOTAL} items in one run")));
        }
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().build().could_not(|| "start")?;
        let key = Arc::new(keyfile::read(&self.key, KeyPurpose::Sign)?);
        let limits = Limits {
            request: PATIENCE,
            retries: 1_000,
            max_retry_after: Duration::from_millis(500),
            ..Limits::default()
        };
        let client = |url: &String| {
            Client::with_limits(url, limits).map(|client| client.signed_by(key.clone())).map_err(refused)
        };
        let clients: Vec<Client> = self.nodes.iter().map(client).collect::<Outcome<_>>()?;
        let watched: Vec<Client> =
            self.nodes.iter().chain(&self.watch).map(client).collect::<Outcome<_>>()?;
        let first = clients.first().ok_or_else(|| Failed::unable("name a node"))?;
        let (chain, owner, anchor) = runtime.block_on(ground(first, &key, self.participant.as_ref()))?;
        let limits = (!self.no_limits).then(|| measure_limits(&key)).transpose()?;

        let bar = screen.bar(made as u64, "signing");
        let mut submissions = Vec::with_capacity(made);
        for _ in 0..made {
            submissions.push(Arc::new(submission(&chain, &owner, &key, self.items)?));
            bar.inc(1);
        }
        bar.finish_and_clear();
        let measured = submissions.split_off(self.warm_up);
        let bytes_each =
            measured.iter().map(|s| s.bytes().len()).sum::<usize>() as f64 / self.submissions as f64;
        let load = Load {
            clients: self.clients,
            pause: Duration::from_millis(self.pause_ms),
            until: Instant::now() + Duration::from_secs(3_600),
            anchor: self.receipts.then(|| anchor.clone()),
        };
        closed_loop(&runtime, &clients, submissions, &load, screen)?;

        let before = runtime.block_on(checks(&watched))?;
        let height_before = runtime.block_on(first.status()).map_err(refused)?.height;
        let started = Instant::now();
        let load = Load { until: started + Duration::from_secs(self.seconds), ..load };
        let answers = closed_loop(&runtime, &clients, measured, &load, screen)?;
        let seconds = started.elapsed().as_secs_f64();
        let height_after = runtime.block_on(first.status()).map_err(refused)?.height;
        let after = runtime.block_on(checks(&watched))?;

        let files = runtime.block_on(sample(first, &answers))?;
        let (verify_ms, receipts, receipt_bytes) = verify_all(&files, &anchor)?;
        let report = Report {
            submissions: answers.len(),
            items: answers.len() * self.items,
            bytes_each,
            seconds,
            latencies_ms: sorted(answers.iter().map(|answer| answer.latency_ms).collect()),
            heights: height_after.saturating_sub(height_before),
            receipts,
            receipt_bytes,
            verify_ms,
            checks: before
                .into_iter()
                .zip(after)
                .map(|((url, before), (_, after))| (url, (after - before) / answers.len().max(1) as f64))
                .collect(),
            limits,
        };
        screen.result(|paint| report.words(paint), || report.json());
        Ok(Exit::Done)
    }
}

/// The chain, whom the key speaks for, and what receipts are verified from.
async fn ground(
    client: &Client,
    key: &KeyFile,
    wanted: Option<&ParticipantId>,
) -> Outcome<(ChainId, ParticipantId, TrustAnchor)> {
    let genesis = client.genesis().await.map_err(refused)?;
    let anchor = TrustAnchor::from_genesis(&genesis).could_not(|| "use the node's genesis")?;
    let id = key_id(&key.public_key());
    let registry = client.registry().await.map_err(refused)?;
    let owner =
        registry.participants.into_iter().find(|participant| participant.keys.iter().any(|key| key.id == id));
    let owner = owner.ok_or_else(|| Failed::unable("the key is not in the registry"))?;
    if wanted.is_some_and(|wanted| *wanted != owner.id) {
        return Err(Failed::unable(format!("the key speaks for {}", owner.id)));
    }
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

/// A submission that was recorded.
struct Answer {
    submission: Arc<Submission>,
    latency_ms: f64,
}

/// How the load is made.
#[derive(Clone)]
struct Load {
    clients: usize,
    pause: Duration,
    until: Instant,
    /// With an anchor, receipts are waited for and verified.
    anchor: Option<TrustAnchor>,
}

/// Who waits for which submission to appear in a block.
type Waiting = Arc<Mutex<HashMap<SubmissionId, oneshot::Sender<()>>>>;

/// Sends submissions until all are recorded or the time is over, each client its next when the last is recorded.
fn closed_loop(
    runtime: &Runtime,
    nodes: &[Client],
    submissions: Vec<Arc<Submission>>,
    load: &Load,
    screen: &Screen,
) -> Outcome<Vec<Answer>> {
    let (Some(first), false) = (nodes.first(), submissions.is_empty()) else { return Ok(Vec::new()) };
    let bar = screen.bar(submissions.len() as u64, "recording");
    let next = Arc::new(AtomicUsize::new(0));
    let submissions = Arc::new(submissions);
    let waiting = Waiting::default();
    let answers = runtime.block_on(async {
        let follower = tokio::spawn(follow(
            first.clone(),
            first.status().await.map_err(refused)?.height,
            waiting.clone(),
        ));
        let mut tasks: JoinSet<Outcome<Vec<Answer>>> = JoinSet::new();
        for node in nodes.iter().cycle().take(load.clients.min(submissions.len())) {
            let (node, load, next, submissions) =
                (node.clone(), load.clone(), next.clone(), submissions.clone());
            let (bar, waiting) = (bar.clone(), waiting.clone());
            tasks.spawn(async move {
                let mut answers = Vec::new();
                while Instant::now() < load.until {
                    let Some(submission) = submissions.get(next.fetch_add(1, Ordering::Relaxed)) else {
                        break;
                    };
                    let started = Instant::now();
                    match &load.anchor {
                        Some(anchor) => {
                            verify_file(&receipts(&node, submission).await?, anchor, &mut Vec::new())?;
                        }
                        None => recorded(&node, submission, &waiting).await?,
                    }
                    let latency_ms = started.elapsed().as_secs_f64() * 1_000.0;
                    answers.push(Answer { submission: submission.clone(), latency_ms });
                    bar.inc(1);
                    tokio::time::sleep(load.pause).await;
                }
                Ok(answers)
            });
        }
        let answers = tasks.join_all().await;
        follower.abort();
        answers.into_iter().collect::<Outcome<Vec<_>>>()
    })?;
    bar.finish_and_clear();
    Ok(answers.into_iter().flatten().collect())
}

/// Tells those who wait what each new block records.
async fn follow(node: Client, mut height: u64, waiting: Waiting) {
    loop {
        match node.block(Height(height + 1)).await {
            Ok(block) => {
                height += 1;
                let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
                for id in block.submissions {
                    if let Some(waits) = waiting.remove(&id) {
                        let _ = waits.send(());
                    }
                }
            }
            // Not there yet, or the node is busy.
            Err(_) => tokio::time::sleep(BLOCK_POLL).await,
        }
    }
}

/// Hands in a submission and waits until a block records it.
async fn recorded(node: &Client, submission: &Submission, waiting: &Waiting) -> Outcome<()> {
    let (tell, told) = oneshot::channel();
    waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(submission.id(), tell);
    node.submit(submission.bytes()).await.map_err(refused)?;
    match tokio::time::timeout(PATIENCE, told).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(Failed::unable("a submission was not recorded in time")),
    }
}

/// Hands in a submission and waits for its receipts.
async fn receipts(node: &Client, submission: &Submission) -> Outcome<Vec<u8>> {
    match node.submit_and_wait(submission.bytes(), PATIENCE).await.map_err(refused)? {
        Submitted::Committed { file, .. } => Ok(file),
        Submitted::Pending(_) => Err(Failed::unable("a submission was not recorded in time")),
    }
}

/// The receipts of some of the submissions: handing in again what is recorded gives them back.
async fn sample(node: &Client, answers: &[Answer]) -> Outcome<Vec<Vec<u8>>> {
    let mut files = Vec::new();
    for answer in answers.iter().step_by((answers.len() / SAMPLE).max(1)) {
        files.push(receipts(node, &answer.submission).await?);
    }
    Ok(files)
}

fn verify_file(file: &[u8], anchor: &TrustAnchor, times_ms: &mut Vec<f64>) -> Outcome<usize> {
    let receipts = custos_proof::file::Receipts::from_bytes(file).could_not(|| "read receipts")?;
    let basis = Basis { anchor, links: &[], recency: Recency::default() };
    for receipt in receipts.receipts.iter() {
        let started = Instant::now();
        verify::receipt(receipt, &basis)
            .map_err(|failure| Failed::against(format!("a receipt does not verify: {failure}")))?;
        times_ms.push(started.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(receipts.receipts.len())
}

/// Verifies receipts, alone, for the time that it takes.
fn verify_all(files: &[Vec<u8>], anchor: &TrustAnchor) -> Outcome<(Vec<f64>, usize, usize)> {
    let (mut times_ms, mut receipts, mut bytes) = (Vec::new(), 0, 0);
    for file in files {
        receipts += verify_file(file, anchor, &mut times_ms)?;
        bytes += file.len();
    }
    Ok((sorted(times_ms), receipts, bytes))
}

/// How many signatures of submissions each node has checked.
async fn checks(clients: &[Client]) -> Outcome<Vec<(String, f64)>> {
    let mut found = Vec::new();
    for client in clients {
        let page = client.metrics().await.map_err(refused)?;
        let value = page
            .lines()
            .find_map(|line| line.strip_prefix("custos_signature_checks "))
            .and_then(|value| value.trim().parse().ok());
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
    let signed: Vec<_> = messages
        .iter()
        .zip(&signatures)
        .map(|(message, signature)| (public, &message[..], *signature))
        .collect();
    let single = micros_each(64, || {
        signed.iter().all(|(key, message, signature)| verify_zip215(key, message, signature))
    });
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
            row(
                "submissions",
                format!(
                    "{} in {:.2} s: {:.0} per second",
                    self.submissions,
                    self.seconds,
                    rate(self.submissions)
                ),
            ),
            row("items", format!("{}: {:.0} per second", self.items, rate(self.items))),
            row("latency p50 / p99 / max", format!("{} / {} / {}", at(50.0), at(99.0), at(100.0))),
            row("blocks", format!("{}, one every {:.1} ms", self.heights, self.height_ms())),
            row(
                "signed bytes per item",
                format!("{:.0}", self.bytes_each * self.submissions as f64 / self.items.max(1) as f64),
            ),
            row(
                "receipts verified",
                format!(
                    "{}, {:.0} bytes each",
                    self.receipts,
                    self.receipt_bytes as f64 / self.receipts.max(1) as f64
                ),
            ),
            row(
                "receipt verification p50 / p99",
                format!(
                    "{:.3} ms / {:.3} ms",
                    percentile(&self.verify_ms, 50.0),
                    percentile(&self.verify_ms, 99.0)
                ),
            ),
        ];
        rows.extend(
            self.checks
                .iter()
                .map(|(url, checks)| row("signature checks per submission", format!("{checks:.3} at {url}"))),
        );
        if let Some(limits) = &self.limits {
            let bound = 1e6 / limits.verify_single_us;
            rows.push(row(
                "machine: one verification",
                format!(
                    "{:.1} us alone, {:.1} us in a batch of 64",
                    limits.verify_single_us, limits.verify_batch_us
                ),
            ));
            rows.push(row("machine: one signature", format!("{:.1} us", limits.sign_us)));
            rows.push(row("machine: SHA-256", format!("{:.0} MB/s", limits.hash_mb_s)));
            rows.push(row("machine: one synced write", format!("{:.2} ms", limits.synced_write_ms)));
            rows.push(row(
                "submissions to single-verify bound",
                format!("{:.3} ({bound:.0} per second and core)", rate(self.submissions) / bound),
            ));
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
            "signed_bytes_per_submission": self.bytes_each,
            "receipts_verified": self.receipts,
            "receipt_bytes": self.receipt_bytes,
            "receipt_verification_ms": percentile(&self.verify_ms, 50.0),
            "receipt_verification_p99_ms": percentile(&self.verify_ms, 99.0),
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
        assert_eq!(
            (percentile(&values, 50.0), percentile(&values, 99.0), percentile(&values, 100.0)),
            (50.0, 99.0, 100.0)
        );
        assert_eq!(percentile(&[7.0], 1.0), 7.0);
        assert!(percentile(&[], 50.0).is_nan());
    }
}
