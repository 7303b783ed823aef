//! What the node counts, in the OpenMetrics text format.
//!
//! Labels are words from fixed lists (routes, outcomes, states), never identifiers of people, items,
//! trails or participants: a metrics page is read by many.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use custos_consensus::Health;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::chain::{Chain, lock};

/// The node's counters. Clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    submissions: Family<Outcome, Counter>,
    relayed: Family<Outcome, Counter>,
    bad_relays: Counter,
    blocks: Counter,
    records: Counter,
    recorded_submissions: Counter,
    requests: Family<Request, Counter>,
    request_seconds: Histogram,
    gauges: Gauges,
}

#[derive(Debug, Clone, Default)]
struct Gauges {
    height: Gauge,
    network_height: Gauge,
    round: Gauge,
    peers: Gauge,
    live: Gauge,
    log_size: Gauge,
    pending: Gauge,
    pending_bytes: Gauge,
    signature_checks: Gauge,
    dropped: Gauge,
    refused_connections: Gauge,
    violations: Gauge,
    evidence: Gauge,
    synced_writes: Gauge,
    bytes_written: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    route: String,
    status: u16,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("custos");
        let metrics = Self {
            registry: Arc::default(),
            submissions: Family::default(),
            relayed: Family::default(),
            bad_relays: Counter::default(),
            blocks: Counter::default(),
            records: Counter::default(),
            recorded_submissions: Counter::default(),
            requests: Family::default(),
            // From half a millisecond to about half a minute.
            request_seconds: Histogram::new(exponential_buckets(0.0005, 2.0, 17)),
            gauges: Gauges::default(),
        };
        registry.register("submissions", "Submissions from clients, by outcome", metrics.submissions.clone());
        registry.register(
            "relayed_submissions",
            "Submissions from peers, by outcome",
            metrics.relayed.clone(),
        );
        registry.register(
            "bad_relays",
            "Submissions that a peer should not have passed on",
            metrics.bad_relays.clone(),
        );
        registry.register("blocks", "Blocks committed since start", metrics.blocks.clone());
        registry.register("records", "Records committed since start", metrics.records.clone());
        registry.register(
            "recorded_submissions",
            "Submissions committed since start",
            metrics.recorded_submissions.clone(),
        );
        registry.register(
            "http_requests",
            "Requests answered, by route and status",
            metrics.requests.clone(),
        );
        registry.register("http_request_seconds", "How long answers took", metrics.request_seconds.clone());
        let g = &metrics.gauges;
        for (name, help, gauge) in [
            ("height", "The last committed height", &g.height),
            ("network_height", "The highest height that others say they have", &g.network_height),
            ("consensus_round", "The round of the height being decided", &g.round),
            ("peers", "Peers with which traffic flows", &g.peers),
            ("consensus_live", "1 while the node takes part, or will by itself", &g.live),
            ("log_size", "Records in the log", &g.log_size),
            ("mempool_submissions", "Submissions waiting", &g.pending),
            ("mempool_bytes", "Bytes of submissions waiting", &g.pending_bytes),
            ("signature_checks", "Submission signatures checked since start", &g.signature_checks),
            ("network_dropped", "Frames and events lost to full queues", &g.dropped),
            (
                "refused_connections",
                "Connections refused because the peer is not listed",
                &g.refused_connections,
            ),
            ("peer_violations", "Breaches of the protocol by admitted peers", &g.violations),
            ("evidence", "Pairs of conflicting votes or proposals seen", &g.evidence),
            ("store_synced_writes", "Synced writes since start", &g.synced_writes),
            ("store_bytes_written", "Bytes of batches written since start", &g.bytes_written),
        ] {
            registry.register(name, help, gauge.clone());
        }
        *lock(&metrics.registry) = registry;
        metrics
    }
}

impl Metrics {
    /// A client's submission was answered.
    pub(crate) fn submission(&self, outcome: &'static str) {
        self.submissions.get_or_create(&Outcome { outcome }).inc();
    }

    /// A peer's submission was judged.
    pub(crate) fn relayed(&self, outcome: &'static str) {
        self.relayed.get_or_create(&Outcome { outcome }).inc();
    }

    /// A peer passed on what it should have refused.
    pub(crate) fn bad_relay(&self) {
        self.bad_relays.inc();
    }

    /// A block was committed.
    pub(crate) fn committed(&self, records: usize, submissions: usize) {
        self.blocks.inc();
        self.records.inc_by(records as u64);
        self.recorded_submissions.inc_by(submissions as u64);
    }

    /// A request was answered.
    pub(crate) fn request(&self, route: &str, status: u16, seconds: f64) {
        self.requests.get_or_create(&Request { route: route.to_owned(), status }).inc();
        self.request_seconds.observe(seconds);
    }

    /// The page: everything as it stands now.
    #[must_use]
    pub fn page(&self, chain: &Chain, health: &Health) -> String {
        let set = |gauge: &Gauge, value: u64| {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        let g = &self.gauges;
        let head = chain.store().head();
        set(&g.height, head.height.0);
        set(&g.log_size, head.log_size.0);
        set(&g.network_height, health.network_height.0.max(head.height.0));
        set(&g.round, u64::from(health.round.0));
        set(&g.peers, health.connected_peers as u64);
        set(&g.live, u64::from(health.state.is_live()));
        set(&g.dropped, health.dropped);
        set(&g.refused_connections, health.refused_connections);
        set(&g.violations, health.violations);
        set(&g.evidence, health.evidence_seen);
        set(&g.signature_checks, chain.verifier().checks());
        {
            let mempool = chain.mempool();
            set(&g.pending, mempool.len() as u64);
            set(&g.pending_bytes, mempool.bytes() as u64);
        }
        if let Ok(stats) = chain.store().stats() {
            set(&g.synced_writes, stats.synced_writes);
            set(&g.bytes_written, stats.bytes_written);
        }
        let mut page = String::new();
        if encode(&mut page, &lock(&self.registry)).is_err() {
            // Writing to a String cannot fail; a page that says so beats none.
            let _ = writeln!(page, "# incomplete");
        }
        page
    }
}
