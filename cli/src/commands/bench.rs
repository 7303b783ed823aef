//! `custos bench`: load on running nodes, and what came of it.
//!
//! Two questions, two modes. `--receipts`: how long from handing in a submission to holding its
//! receipts, verified offline; each client waits for its own. Without: how many items the network
//! commits per second when clients hand in as fast as the nodes take them. Submissions are signed
//! before the clock starts, so that the load generator costs the machine as little as it can.
//!
//! Deliberately absent: judgement. Ratios against the machine's own limits are made by `make bench`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use custos_api::client::{Client, ClientError, Submitted};
use custos_proof::anchor::{Recency, TrustAnchor};
use custos_proof::cbor::Wire;
use custos_proof::hash::{ChainId, Digest};
use custos_proof::ids::{Height, ItemId, ParticipantId, Random16, TimeMs};
use custos_proof::item::Item;
use custos_proof::keys::KeyPurpose;
use custos_proof::kinds::access::{Basis, Event, Late, Retention};
use custos_proof::kinds::trail::Open;
use custos_proof::kinds::{Class, Fields};
use custos_proof::seal::Seal;
use custos_proof::submission::{Author, Draft, MAX_ITEMS, Submission};
use custos_proof::verify::{self, Basis as From};
use serde_json::{Value, json};

use crate::exit::{Exit, Failed, Outcome, While as _};
use crate::keyfile::KeyFile;
use crate::screen::Screen;

/// How long a submission may take before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long submissions of a run stay valid.
const LIFETIME_MS: u64 = 50 * 60 * 1000;

/// Put load on running nodes and measure what they commit
///
/// Writes real access events into trails that the run opens for itself. Use it on a test network:
/// what is recorded stays recorded.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    custos bench --node http://127.0.0.1:7700 --key client.key --participant hospital-1 --receipts --clients 1\n  \
    custos bench --node http://127.0.0.1:7700 --node http://127.0.0.1:7701 --key client.key --participant hospital-1 --items 500")]
pub(crate) struct Bench {
    /// A node's address; give several to spread the load
    #[arg(long, value_name = "URL", required = true)]
    node: Vec<String>,
    /// The signing key of the participant that states the events
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// That participant
    #[arg(long, value_name = "ID")]
    participant: ParticipantId,
    /// Items in each signed submission
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=MAX_ITEMS as u64))]
    items: u64,
    /// Clients at work at the same time
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=1024))]
    clients: u64,
    /// For how many seconds to hand in
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// The most submissions to hand in
    #[arg(long, value_name = "N", default_value_t = 40_000, value_parser = clap::value_parser!(u64).range(1..=2_000_000))]
    submissions: u64,
    /// Trails to spread the events over
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=MAX_ITEMS as u64))]
    trails: u64,
    /// Wait for the receipts of each submission and verify them
    #[arg(long)]
    receipts: bool,
    /// With --receipts: pause this long between two submissions of a client, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0, requires = "receipts")]
    pause_ms: u64,
}

/// What clients share.
struct Load {
    prepared: Vec<Vec<u8>>,
    next: AtomicUsize,
    items: usize,
    anchor: TrustAnchor,
    until: Instant,
    pause: Duration,
    receipts: bool,
}

/// What one client saw.
#[derive(Default)]
struct Seen {
    latencies: Vec<Duration>,
    verifying: Duration,
    accepted: usize,
    refused: usize,
    first_refusal: Option<String>,
    receipts: usize,
}

impl Bench {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .could_not(|| "start the load generator")?;
        let result = runtime.block_on(self.measure(screen))?;
        let complete = result["lost"] == json!(0);
        screen.result(|_| table(&result), || result.clone());
        Ok(if complete { Exit::Done } else { Exit::Unable })
    }

    async fn measure(&self, screen: &Screen) -> Outcome<Value> {
        let key = KeyFile::read_for(&self.key, KeyPurpose::Sign)?;
        let clients: Vec<Client> =
            self.node.iter().map(|url| Client::new(url)).collect::<Result<_, _>>().map_err(Failed::unable)?;
        let first = clients.first().ok_or_else(|| Failed::unable("no node was given"))?;
        let genesis = first.genesis().await.map_err(Failed::unable)?;
        let anchor = TrustAnchor::from_genesis(&genesis).map_err(Failed::unable)?;
        let status = first.status().await.map_err(Failed::unable)?;

        let writer = Writer {
            chain: genesis.chain(),
            id: &self.participant,
            key: &key,
            not_after: crate::time::now().plus(LIFETIME_MS),
            height: Height(status.height),
        };
        let trails = writer.open_trails(first, self.trails).await?;
        let bar = screen.bar(self.submissions, "signing");
        let prepared = (0..self.submissions)
            .map(|number| {
                bar.inc(1);
                writer.events(number, self.items, &trails)
            })
            .collect::<Outcome<Vec<_>>>()?;
        bar.finish_and_clear();
        let signed_bytes = prepared.iter().map(Vec::len).sum::<usize>() / prepared.len().max(1);

        let before = first.status().await.map_err(Failed::unable)?;
        let start = Instant::now();
        let load = Arc::new(Load {
            prepared,
            next: AtomicUsize::new(0),
            items: usize::try_from(self.items).unwrap_or(MAX_ITEMS),
            anchor,
            until: start + Duration::from_secs(self.seconds),
            pause: Duration::from_millis(self.pause_ms),
            receipts: self.receipts,
        });
        let tasks: Vec<_> = (0..self.clients)
            .zip(clients.iter().cycle())
            .map(|(_, client)| tokio::spawn(run_client(client.clone(), Arc::clone(&load))))
            .collect();
        let mut seen = Seen::default();
        for task in tasks {
            let one = task.await.could_not(|| "finish a client")?;
            seen.accepted += one.accepted;
            seen.refused += one.refused;
            seen.receipts += one.receipts;
            seen.verifying += one.verifying;
            seen.latencies.extend(one.latencies);
            seen.first_refusal = seen.first_refusal.or(one.first_refusal);
        }
        let expected = seen.accepted * load.items;
        let handed_in = start.elapsed();
        let committed = committed_since(first, before.log_size, before.height, expected).await?;
        let elapsed = start.elapsed().as_secs_f64();
        seen.latencies.sort_unstable();
        Ok(json!({
            "nodes": self.node.len(),
            "clients": self.clients,
            "items_per_submission": self.items,
            "signed_bytes_per_submission": signed_bytes,
            "submissions_accepted": seen.accepted,
            "submissions_refused": seen.refused,
            "first_refusal": seen.first_refusal,
            "handed_in_seconds": handed_in.as_secs_f64(),
            "seconds": elapsed,
            "items_committed": committed.items,
            "blocks": committed.blocks,
            "items_per_second": round(committed.items as f64 / elapsed),
            "lost": expected.saturating_sub(committed.items),
            "latency_ms": if self.receipts { latencies(&seen.latencies) } else { Value::Null },
            "receipts_verified": seen.receipts,
            "receipt_verification_ms": if seen.receipts > 0 {
                json!(round(seen.verifying.as_secs_f64() * 1e3 / seen.receipts as f64))
            } else {
                Value::Null
            },
        }))
    }
}

async fn run_client(client: Client, load: Arc<Load>) -> Seen {
    let mut seen = Seen::default();
    while Instant::now() < load.until {
        let Some(bytes) = load.prepared.get(load.next.fetch_add(1, Ordering::Relaxed)) else { break };
        let start = Instant::now();
        let answer = if load.receipts { with_receipts(&client, &load, bytes, &mut seen).await } else {
            client.submit(bytes).await.map(drop)
        };
        match answer {
            Ok(()) => {
                seen.accepted += 1;
                seen.latencies.push(start.elapsed());
            }
            Err(error) => {
                seen.refused += 1;
                seen.first_refusal.get_or_insert(error.to_string());
            }
        }
        if !load.pause.is_zero() {
            tokio::time::sleep(load.pause).await;
        }
    }
    seen
}

async fn with_receipts(client: &Client, load: &Load, bytes: &[u8], seen: &mut Seen) -> Result<(), ClientError> {
    match client.submit_and_wait(bytes, PATIENCE).await? {
        Submitted::Committed { receipts, .. } => {
            let from = From { anchor: &load.anchor, links: &[], recency: Recency::default() };
            let start = Instant::now();
            let good = receipts.receipts.iter().filter(|receipt| verify::receipt(receipt, &from).is_ok()).count();
            seen.verifying += start.elapsed();
            seen.receipts += good;
            if good < load.items {
                seen.first_refusal.get_or_insert("a receipt did not verify".into());
            }
        }
        Submitted::Pending(_) => {
            seen.first_refusal.get_or_insert("a submission was still pending when the patience was over".into());
        }
    }
    Ok(())
}

struct Committed {
    items: usize,
    blocks: u64,
}

/// Waits until the log has grown by `expected` items beside the block records, or nothing moves any more.
async fn committed_since(client: &Client, size: u64, height: u64, expected: usize) -> Outcome<Committed> {
    let mut moved = Instant::now();
    let mut last = 0;
    loop {
        let status = client.status().await.map_err(Failed::unable)?;
        let blocks = status.height.saturating_sub(height);
        let items = usize::try_from(status.log_size.saturating_sub(size).saturating_sub(blocks)).unwrap_or(0);
        if items != last {
            (last, moved) = (items, Instant::now());
        }
        if items >= expected || moved.elapsed() > PATIENCE {
            return Ok(Committed { items, blocks });
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Who writes.
struct Writer<'a> {
    chain: ChainId,
    id: &'a ParticipantId,
    key: &'a KeyFile,
    not_after: TimeMs,
    height: Height,
}

impl Writer<'_> {
    async fn open_trails(&self, client: &Client, count: u64) -> Outcome<Vec<Digest>> {
        let epoch = u16::try_from(crate::time::now().year()).could_not(|| "name this year")?;
        let trails = (0..count).map(|_| random().map(Digest)).collect::<Outcome<Vec<Digest>>>()?;
        let items = trails
            .iter()
            .map(|local_id| {
                let open = Open {
                    local_id: *local_id,
                    grantee: None,
                    epoch,
                    reader: Digest(random()?),
                    seal: Seal { root: Digest(random()?), ciphertext: None },
                };
                Ok(Item { item_id: ItemId(random()?), fields: Fields::TrailOpen(open) }.to_bytes())
            })
            .collect::<Outcome<Vec<_>>>()?;
        let bytes = self.sign(Class::Act, items)?;
        match client.submit_and_wait(&bytes, PATIENCE).await.map_err(Failed::unable)? {
            Submitted::Committed { .. } => Ok(trails),
            Submitted::Pending(_) => Err(Failed::unable("the network did not open the trails in time")
                .hint("see `custos testnet status`, or /healthz of a node")),
        }
    }

    fn events(&self, number: u64, count: u64, trails: &[Digest]) -> Outcome<Vec<u8>> {
        let items = (0..count)
            .map(|i| {
                let at = usize::try_from(number * count + i).unwrap_or(0) % trails.len().max(1);
                let event = Event {
                    event: Random16(random()?),
                    custodian: self.id.clone(),
                    local_id: trails.get(at).copied(),
                    acting: self.id.clone(),
                    basis: Basis::Law,
                    cited: None,
                    at_height: self.height,
                    late: Late::None,
                    retention: Retention::Standard,
                    stream: 0,
                    sequence: 0,
                    seal: Seal { root: Digest(random()?), ciphertext: None },
                };
                Ok(Item { item_id: ItemId(random()?), fields: Fields::AccessEvent(event) }.to_bytes())
            })
            .collect::<Outcome<Vec<_>>>()?;
        self.sign(Class::Testimony, items)
    }

    fn sign(&self, class: Class, items: Vec<Vec<u8>>) -> Outcome<Vec<u8>> {
        let draft = Draft {
            chain: &self.chain,
            author: Author::Participant(self.id.clone()),
            class,
            nonce: Random16(random()?),
            not_after: self.not_after,
        };
        let signed = Submission::sign(&draft, items, self.key).could_not(|| "sign a submission")?;
        Ok(signed.bytes().to_vec())
    }
}

fn random<const N: usize>() -> Outcome<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).could_not(|| "draw random bytes")?;
    Ok(bytes)
}

fn latencies(sorted: &[Duration]) -> Value {
    let at = |share: f64| {
        let index = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
        sorted.get(index).map(|latency| round(latency.as_secs_f64() * 1e3))
    };
    json!({ "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": at(1.0), "count": sorted.len() })
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn table(result: &Value) -> String {
    let rows = [
        ("items committed", "items_committed"),
        ("items per second", "items_per_second"),
        ("blocks", "blocks"),
        ("seconds", "seconds"),
        ("submissions accepted", "submissions_accepted"),
        ("submissions refused", "submissions_refused"),
        ("items lost", "lost"),
        ("receipts verified", "receipts_verified"),
        ("latency, ms", "latency_ms"),
        ("verifying one receipt, ms", "receipt_verification_ms"),
    ];
    rows.iter()
        .filter(|(_, field)| !result[*field].is_null())
        .map(|(name, field)| format!("{name:<26} {}\n", result[*field]))
        .collect()
}
