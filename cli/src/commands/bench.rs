//! `custos bench`: load on a network, and the limits of the machine beside it.
//!
//! Every submission is signed before the clock starts. Without `--rate` the loop is closed: each
//! client sends its next when its last is recorded, which finds what a network takes in. With `--rate`
//! it is open: submissions are due at that rate whatever the network does, which finds how long one
//! waits under a given load, and what becomes of those for whom there is no room. With `--receipts`
//! each is handed in with `wait=committed` and its receipts are verified within the measured time:
//! what one careful client waits for.
//!
//! Figures of one run are comparable with each other, hardly with those of another machine; that is
//! why the machine's own limits for the same signatures and hashes are in the same report.
//!
//! Deliberately absent: anything that knows how nodes are started.

mod histogram;
mod limits;
mod load;
mod make;
mod report;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use custos_api::client::{Client, Limits, Submitted};
use custos_proof::anchor::{Recency, TrustAnchor};
use custos_proof::cbor::Wire as _;
use custos_proof::hash::ChainId;
use custos_proof::ids::ParticipantId;
use custos_proof::keys::{KeyPurpose, Signer as _, key_id};
use custos_proof::submission::MAX_ITEMS;
use custos_proof::verify::{self, Basis};
use tokio::runtime::Runtime;

use self::limits::MachineLimits;
use self::load::{Load, Nodes, Pace, Tally};
use self::make::{Maker, Prepared, Says};
use self::report::Report;
use crate::exit::{Exit, Failed, Outcome, While as _};
use crate::keyfile::{self, KeyFile};
use crate::network::refused;
use crate::screen::Screen;

/// How long the client waits for a commit.
const PATIENCE: Duration = Duration::from_secs(110);
/// Of how many submissions the receipts are verified afterwards.
const SAMPLE: usize = 20;
/// The most items that one run makes.
const MAX_TOTAL: usize = 5_000_000;

/// Measure a network
///
/// Hands in access events without a patient. In a closed loop each of `--clients` clients sends its
/// next submission when the last one is recorded; with `--rate` submissions are due at that rate
/// whatever happens, and latency counts from when they were due. Reports rates and latencies,
/// verifies receipts, and counts how often each node checked a submission's signature. The events
/// stay on the ledger: use a test network.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    custos bench --node http://127.0.0.1:7700 --key hospital-sign.key --receipts --submissions 200 --pause-ms 100\n  \
    custos bench --node http://127.0.0.1:7700 --node http://127.0.0.1:7710 --key hospital-sign.key \\\n    \
    --clients 16 --items 500 --submissions 400 --seconds 20 --json\n  \
    custos bench --node http://127.0.0.1:7700 --key hospital-sign.key --rate 1000 --seconds 20 \\\n    \
    --clients 64 --submissions 20000 --says access.event --says trail.open --reads 20 --bad-signatures 10")]
pub(crate) struct Bench {
    /// A node to hand in to; with several, clients take turns
    #[arg(long = "node", value_name = "URL", required = true)]
    nodes: Vec<String>,
    /// Nodes that are only asked for their counters
    #[arg(long = "watch", value_name = "URL")]
    watch: Vec<String>,
    /// The signing key of a custodian; with several, they write in turn
    #[arg(long = "key", value_name = "FILE", required = true)]
    keys: Vec<PathBuf>,
    /// Whom the keys speak for; by default whom the registry names
    #[arg(long, value_name = "PARTICIPANT")]
    participant: Option<ParticipantId>,
    /// The most submissions
    #[arg(long, value_name = "N", default_value_t = 200)]
    submissions: usize,
    /// How many items each submission has
    #[arg(long, value_name = "N", default_value_t = 1)]
    items: usize,
    /// What submissions say; with several kinds, they take turns
    #[arg(long = "says", value_name = "KIND", value_enum, default_value = "access.event")]
    says: Vec<Says>,
    /// How many clients there are; in an open loop, how many requests may be under way
    #[arg(long, value_name = "N", default_value_t = 1)]
    clients: usize,
    /// Submissions that one request carries
    #[arg(long, value_name = "N", default_value_t = 1)]
    together: usize,
    /// Send so many submissions per second, whatever the network does
    #[arg(long, value_name = "N", conflicts_with_all = ["receipts", "pause_ms"])]
    rate: Option<f64>,
    /// Begin no further submission after this time
    #[arg(long, value_name = "S", default_value_t = 3_600)]
    seconds: u64,
    /// How long a client rests between two submissions, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pause_ms: u64,
    /// Wait for the receipts of every submission, and verify them within the measured time
    #[arg(long, conflicts_with = "together")]
    receipts: bool,
    /// Of each hundred submissions, how many have a broken signature
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "receipts")]
    bad_signatures: usize,
    /// How many reads follow each hundred submissions: receipts and status in turn
    #[arg(long, value_name = "N", default_value_t = 0)]
    reads: usize,
    /// How many submissions come before the measured ones
    #[arg(long, value_name = "N", default_value_t = 3)]
    warm_up: usize,
    /// Leave the machine's own limits out
    #[arg(long)]
    no_limits: bool,
}

impl Bench {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        self.check()?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().build().could_not(|| "start")?;
        let keys = self.keys.iter().map(|key| keyfile::read(key, KeyPurpose::Sign).map(Arc::new));
        let keys: Vec<Arc<KeyFile>> = keys.collect::<Outcome<_>>()?;
        let nodes = self.clients(&keys)?;
        let watched: Vec<Client> =
            self.nodes.iter().chain(&self.watch).map(|url| plain(url)).collect::<Outcome<_>>()?;
        let (Some(first), Some(key)) = (watched.first(), keys.first()) else {
            return Err(Failed::unable("name a node and a key"));
        };
        let (chain, owners, anchor) = runtime.block_on(ground(first, &keys, self.participant.as_ref()))?;
        let limits = (!self.no_limits).then(|| MachineLimits::measure(key)).transpose()?;

        let pairs = owners.iter().zip(&keys);
        let makers: Vec<Maker<'_>> = pairs.map(|(owner, key)| Maker { chain: &chain, owner, key }).collect();
        let warm_up = self.prepare(&makers, self.warm_up, screen)?;
        let measured = Arc::new(self.prepare(&makers, self.submissions, screen)?);
        let bytes_each =
            measured.iter().map(|one| one.bytes.len()).sum::<usize>() as f64 / self.submissions as f64;
        let load = Load {
            clients: self.clients,
            pace: match self.rate {
                Some(per_second) => Pace::Open { per_second },
                None => Pace::Closed { pause: Duration::from_millis(self.pause_ms) },
            },
            together: self.together,
            reads: self.reads,
            seconds: Duration::from_secs(3_600),
            anchor: self.receipts.then(|| anchor.clone()),
        };
        let bar = screen.bar(warm_up.len() as u64, "warming up");
        runtime.block_on(load::run(&nodes, Arc::new(warm_up), &load, bar))?;

        let before = runtime.block_on(checks(&watched))?;
        let status_before = runtime.block_on(first.status()).map_err(refused)?;
        let load = Load { seconds: Duration::from_secs(self.seconds), ..load };
        let bar = screen.bar(measured.len() as u64, "recording");
        let cpu_before = own_cpu_seconds();
        let begun = Instant::now();
        let (tally, status_after) = runtime.block_on(async {
            // Heights of the measured time only, not of what is waited for afterwards.
            let end = tokio::time::sleep(load.seconds);
            let running = load::run(&nodes, Arc::clone(&measured), &load, bar);
            tokio::pin!(end, running);
            let status = tokio::select! {
                tally = &mut running => return Ok((tally?, first.status().await.map_err(refused)?)),
                () = &mut end => first.status().await.map_err(refused)?,
            };
            Ok::<(Tally, _), Failed>((running.await?, status))
        })?;
        let own_cpu_seconds =
            (own_cpu_seconds() - cpu_before) * (tally.seconds / begun.elapsed().as_secs_f64()).min(1.0);
        let after = runtime.block_on(checks(&watched))?;

        let files = sample(&runtime, first, &measured, &tally)?;
        let (verify_ms, receipts, receipt_bytes) = verify_all(&files, &anchor)?;
        let recorded = tally.recorded.count().max(1) as f64;
        let report = Report {
            offered_per_second: self.rate,
            bytes_each,
            heights: status_after.height.saturating_sub(status_before.height),
            records: status_after.log_size.saturating_sub(status_before.log_size),
            receipts,
            receipt_bytes,
            verify_ms,
            checks: before
                .into_iter()
                .zip(after)
                .map(|((url, before), (_, after))| (url, (after - before) / recorded))
                .collect(),
            own_cpu_seconds,
            limits,
            tally,
        };
        screen.result(|paint| report.words(paint), || report.json());
        Ok(Exit::Done)
    }

    fn check(&self) -> Outcome<()> {
        if self.items == 0 || self.items > MAX_ITEMS || self.clients == 0 || self.submissions == 0 {
            return Err(Failed::unable(format!(
                "there is at least 1 client and 1 submission, of 1 to {MAX_ITEMS} items"
            )));
        }
        let most = custos_api::MAX_TOGETHER;
        if self.together == 0 || self.together > most {
            return Err(Failed::unable(format!("one request carries 1 to {most} submissions")));
        }
        if self.rate.is_some_and(|rate| !(rate > 0.0 && rate.is_finite())) {
            return Err(Failed::unable("a rate is greater than 0"));
        }
        if self.bad_signatures > 100 {
            return Err(Failed::unable("of a hundred submissions at most a hundred are bad"));
        }
        if self.submissions.saturating_add(self.warm_up).saturating_mul(self.items) > MAX_TOTAL {
            return Err(Failed::unable(format!("at most {MAX_TOTAL} items in one run")));
        }
        Ok(())
    }

    /// Those who hand in sign no request: a submission carries its own signature. Those who read do.
    fn clients(&self, keys: &[Arc<KeyFile>]) -> Outcome<Nodes> {
        // An open loop passes refusals on, a closed one obeys them.
        let retries = if self.rate.is_some() { 0 } else { 1_000 };
        let limits = Limits {
            request: PATIENCE,
            retries,
            max_retry_after: Duration::from_millis(500),
            ..Limits::default()
        };
        let writer = |url: &String| Client::with_limits(url, limits).map_err(refused);
        let readers = |key: &Arc<KeyFile>| {
            self.nodes.iter().map(|url| Ok(plain(url)?.signed_by(key.clone()))).collect::<Outcome<Vec<_>>>()
        };
        Ok(Nodes {
            writers: self.nodes.iter().map(writer).collect::<Outcome<_>>()?,
            readers: keys.iter().map(readers).collect::<Outcome<_>>()?,
        })
    }

    /// Signs `count` submissions, on every core.
    fn prepare(&self, makers: &[Maker<'_>], count: usize, screen: &Screen) -> Outcome<Vec<Prepared>> {
        let bar = screen.bar(count as u64, "signing");
        // The next kind after every author had the last one.
        let kinds: Vec<(Says, usize)> =
            self.says.iter().flat_map(|says| (0..makers.len()).map(move |by| (*says, by))).collect();
        let one = |number: usize| {
            let (says, author) = kinds[number % kinds.len()];
            // Evenly spread: the share of bad ones among the first n is the same for every n.
            let bad = |n: usize| n * self.bad_signatures / 100;
            let made = makers[author].submission(says, self.items, bad(number + 1) > bad(number))?;
            bar.inc(1);
            Ok(Prepared { author, ..made })
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let each = count.div_ceil(cores).max(1);
        let parts: Vec<_> = (0..count).step_by(each).map(|from| from..count.min(from + each)).collect();
        let prepared = std::thread::scope(|scope| {
            let running: Vec<_> = parts
                .into_iter()
                .map(|part| scope.spawn(|| part.map(one).collect::<Outcome<Vec<_>>>()))
                .collect();
            running
                .into_iter()
                .map(|part| part.join().unwrap_or_else(|_| Err(Failed::unable("signing panicked"))))
                .collect::<Outcome<Vec<_>>>()
        })?;
        bar.finish_and_clear();
        Ok(prepared.into_iter().flatten().collect())
    }
}

fn plain(url: &str) -> Outcome<Client> {
    let limits = Limits {
        request: PATIENCE,
        retries: 1_000,
        max_retry_after: Duration::from_millis(500),
        ..Limits::default()
    };
    Client::with_limits(url, limits).map_err(refused)
}

/// The chain, whom the keys speak for, and what receipts are verified from.
async fn ground(
    client: &Client,
    keys: &[Arc<KeyFile>],
    wanted: Option<&ParticipantId>,
) -> Outcome<(ChainId, Vec<ParticipantId>, TrustAnchor)> {
    let genesis = client.genesis().await.map_err(refused)?;
    let anchor = TrustAnchor::from_genesis(&genesis).could_not(|| "use the node's genesis")?;
    let registry = client.registry().await.map_err(refused)?;
    let owner_of = |key: &Arc<KeyFile>| {
        let id = key_id(&key.public_key());
        let owner = registry.participants.iter().find(|owner| owner.keys.iter().any(|key| key.id == id));
        let owner = owner.ok_or_else(|| Failed::unable("a key is not in the registry"))?;
        match wanted.is_some_and(|wanted| *wanted != owner.id) {
            true => Err(Failed::unable(format!("a key speaks for {}", owner.id))),
            false => Ok(owner.id.clone()),
        }
    };
    let owners = keys.iter().map(owner_of).collect::<Outcome<_>>()?;
    Ok((genesis.chain(), owners, anchor))
}

/// The receipts of some of the submissions: handing in again what is recorded gives them back.
fn sample(runtime: &Runtime, node: &Client, prepared: &[Prepared], tally: &Tally) -> Outcome<Vec<Vec<u8>>> {
    let mut files = Vec::new();
    for place in tally.sample.iter().step_by((tally.sample.len() / SAMPLE).max(1)) {
        let Some(one) = prepared.get(*place) else { continue };
        match runtime.block_on(node.submit_and_wait(&one.bytes, PATIENCE)).map_err(refused)? {
            Submitted::Committed { file, .. } => files.push(file),
            Submitted::Pending(_) => return Err(Failed::unable("a submission was not recorded in time")),
        }
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

/// Verifies receipts, alone, for the time that it takes; sorted.
fn verify_all(files: &[Vec<u8>], anchor: &TrustAnchor) -> Outcome<(Vec<f64>, usize, usize)> {
    let (mut times_ms, mut receipts, mut bytes) = (Vec::new(), 0, 0);
    for file in files {
        receipts += verify_file(file, anchor, &mut times_ms)?;
        bytes += file.len();
    }
    times_ms.sort_by(f64::total_cmp);
    Ok((times_ms, receipts, bytes))
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

/// Processor time of this process so far, to a hundredth of a second.
fn own_cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}
