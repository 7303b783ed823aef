//! What is simulated, and how it went: all that a caller gives and gets.

use std::collections::BTreeMap;

use crate::byzantine::Byzantine;
use crate::node::Counts;
use crate::plant::Plant;
use crate::watch::Finding;

/// What is simulated.
#[derive(Debug, Clone)]
pub struct Options {
    /// The seed.
    pub seed: u64,
    /// How many heights.
    pub heights: u64,
    /// A planted fault.
    pub plant: Option<Plant>,
    /// What faulty validators do, instead of what the seed says.
    pub byzantine: Option<Vec<Byzantine>>,
    /// Whether every event is printed to stderr.
    pub trace: bool,
    /// Whether the naive ledger is asked about every block.
    pub naive: bool,
}

impl Options {
    /// A seed, with everything that it brings.
    #[must_use]
    pub fn seed(seed: u64, heights: u64) -> Self {
        Self { seed, heights, plant: None, byzantine: None, trace: false, naive: true }
    }
}

/// How a simulation went.
#[derive(Debug, Clone)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// What must not be; empty when all is well.
    pub findings: Vec<Finding>,
    /// The hash over all events.
    pub trace: String,
    /// The heights that were decided.
    pub height: u64,
    /// Virtual time.
    pub ms: u64,
    /// Events.
    pub events: u64,
    /// Items recorded.
    pub items: u64,
    /// Submissions that clients were told are recorded.
    pub acked: u64,
    /// Processes killed.
    pub crashes: u64,
    /// Pairs of conflicting votes that were reported.
    pub pairs_reported: u64,
    /// Reports of misbehaviour on the ledger.
    pub reports_recorded: u64,
    /// The highest round in which a block was decided.
    pub rounds: u32,
    /// Whether the one that waits outside was voted in and signed a certificate.
    pub newcomer_signed: bool,
    /// Whether a height was decided by validators of whom a founder was no longer one.
    pub founder_left: bool,
    /// What the honest nodes have been through, together.
    pub counts: Counts,
    /// Facts that fell due, and findings that contradict what was stated, on the ledger.
    pub dues: u64,
    /// Items on the ledger by kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// What faulty validators did.
    pub byzantine: Vec<&'static str>,
    /// What was decided about members and versions.
    pub plan: &'static str,
    /// The last events.
    pub recent: Vec<String>,
}

impl Report {
    /// Of a simulation that did not come to its end.
    pub(crate) fn of_panic(seed: u64, what: String) -> Self {
        Self {
            seed,
            findings: vec![Finding { oracle: "nothing panics", what }],
            trace: String::new(),
            height: 0,
            ms: 0,
            events: 0,
            items: 0,
            acked: 0,
            crashes: 0,
            pairs_reported: 0,
            reports_recorded: 0,
            rounds: 0,
            newcomer_signed: false,
            founder_left: false,
            counts: Counts::default(),
            dues: 0,
            kinds: BTreeMap::new(),
            byzantine: Vec::new(),
            plan: "",
            recent: Vec::new(),
        }
    }
}
