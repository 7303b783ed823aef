//! What all inputs share: reading documents off the async threads, handing them to the spool, counting.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use custos_proof::ids::{Height, TimeMs};
use tokio::sync::{Semaphore, watch};

use crate::clock;
use crate::document::{Document, Reader};
use crate::spool::frame::{Mark, Offer};
use crate::spooler::{Entry, Refused, Spooler, Verdict};

/// How many documents are read at a time; each can take as much memory as its body some times over.
const AT_A_TIME: usize = 4;
/// How many refusals the status page shows.
const RECENT: usize = 50;

/// The last head that the feed heard of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    /// Its height.
    pub height: Height,
    /// Its block time; none before any node answered.
    pub time: Option<TimeMs>,
    /// When a node last said so; none before any node answered.
    pub seen: Option<TimeMs>,
    /// Which node.
    pub node: String,
}

impl Head {
    /// How long ago a node last said what the head is.
    #[must_use]
    pub fn age_ms(&self, now: TimeMs) -> u64 {
        self.seen.map_or(u64::MAX, |seen| now.0.saturating_sub(seen.0))
    }
}

/// The way in. Clones lead to the same spool.
#[derive(Debug, Clone)]
pub struct Intake {
    reader: Arc<Reader>,
    spooler: Spooler,
    head: watch::Receiver<Head>,
    counters: Arc<Counters>,
    turns: Arc<Semaphore>,
}

impl Intake {
    /// A way into this spool.
    #[must_use]
    pub fn new(
        reader: Reader,
        spooler: Spooler,
        head: watch::Receiver<Head>,
        counters: Arc<Counters>,
    ) -> Self {
        let turns = Arc::new(Semaphore::new(AT_A_TIME));
        Self { reader: Arc::new(reader), spooler, head, counters, turns }
    }

    /// Reads documents off the async threads.
    ///
    /// # Errors
    /// [`Refused::Stopping`].
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reader) -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let _turn = self.turns.acquire().await.map_err(|_| Refused::Stopping)?;
        let reader = Arc::clone(&self.reader);
        tokio::task::spawn_blocking(move || work(&reader)).await.map_err(|_| Refused::Stopping)
    }

    /// A document that was understood, as it is accepted now.
    #[must_use]
    pub fn offer(&self, document: Document, mark: Option<Mark>) -> Option<Offer> {
        let head = self.head.borrow();
        Some(Offer {
            head: head.height,
            head_age_ms: head.age_ms(clock::now()),
            key: document.key,
            mark,
            drafts: document.result.ok()?,
        })
    }

    /// Accepts what was read: all, or nothing.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn accept(&self, input: &'static str, entries: Vec<Entry>) -> Result<Vec<Verdict>, Refused> {
        match self.spooler.accept(entries).await {
            Ok(verdicts) => {
                for verdict in &verdicts {
                    match verdict {
                        Verdict::Accepted { .. } => self.counters.count(input, "accepted", ""),
                        Verdict::Before { .. } => self.counters.count(input, "duplicate", ""),
                        Verdict::Noted => {}
                    }
                }
                Ok(verdicts)
            }
            Err(refused) => {
                let reason = match refused {
                    Refused::Full(_) => "full",
                    Refused::Broken(_) => "broken",
                    Refused::Stopping => "stopping",
                };
                self.counters.count(input, "told-to-wait", reason);
                Err(refused)
            }
        }
    }

    /// What is counted.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// The spool's writer.
    #[must_use]
    pub fn spooler(&self) -> &Spooler {
        &self.spooler
    }
}

/// A document, frame or line that was refused for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// When.
    pub at: TimeMs,
    /// By which input.
    pub input: &'static str,
    /// Where it was found: a peer, a file and place. No content.
    pub place: String,
    /// A stable word.
    pub reason: &'static str,
    /// Which element, if one is known.
    pub element: String,
}

/// Counts by input, outcome and reason: words from fixed lists.
pub type Counts = BTreeMap<(&'static str, &'static str, &'static str), u64>;

/// What happened, in numbers and in the last few refusals. Never what was in a document.
#[derive(Debug, Default)]
pub struct Counters {
    counts: Mutex<Counts>,
    recent: Mutex<VecDeque<Refusal>>,
}

impl Counters {
    /// Counts one.
    pub fn count(&self, input: &'static str, outcome: &'static str, reason: &'static str) {
        *lock(&self.counts).entry((input, outcome, reason)).or_default() += 1;
    }

    /// Counts a refusal for good, and remembers it for the status page.
    pub fn refuse(&self, input: &'static str, place: String, reason: &'static str, element: String) {
        self.count(input, "refused", reason);
        tracing::warn!(input, place, reason, element, "refused");
        let mut recent = lock(&self.recent);
        if recent.len() >= RECENT {
            recent.pop_front();
        }
        recent.push_back(Refusal { at: clock::now(), input, place, reason, element });
    }

    /// All counts.
    #[must_use]
    pub fn counts(&self) -> Counts {
        lock(&self.counts).clone()
    }

    /// The last refusals, the latest first.
    #[must_use]
    pub fn recent(&self) -> Vec<Refusal> {
        lock(&self.recent).iter().rev().cloned().collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Counters hold whatever a panic left of them.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
