//! From the spool to the ledger: batches are fixed, sealed, recorded and ended, one after the other.
//!
//! ```text
//!   wait       documents are there, and the first one lingered (or a group's window is over)
//!   fix        whose is each, order, submissions, ids, seeds, numbers     -> spool, synced
//!   seal       items, openings of trails                                  -> vault, synced
//!   acts       trails are opened, wave by wave                            -> ledger
//!   events     submission by submission, in order                         -> ledger, vault
//!   end                                                                   -> spool, synced
//! ```
//!
//! # Correctness
//! A crash anywhere leads back to the last line that was written: a fixed batch is sealed again to
//! the same items, or the vault has them; what was handed in is handed in again and answered; what
//! the vault knows as recorded is not handed in. The next batch is fixed only after this one has
//! ended, so numbers reach the ledger in order and without gaps.
//!
//! The vault is opened when there is work and closed when there is none, so that other commands can
//! use it. It is held from fixing a batch to its end.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use custos_custodian::import::stream::{self, Numbered, NumberedPlan};
use custos_custodian::import::{Organisations, Planned, Settings, Timing};
use custos_custodian::seal::Fixed;
use custos_custodian::vault::{ItemState, Scope, Vault, VaultError, VaultKey};
use custos_proof::hash::ItemHash;
use custos_proof::ids::{Height, ParticipantId, TimeMs};
use custos_proof::kinds::Class;
use custos_proof::record::{Finding, Record};
use thiserror::Error;
use tokio::sync::watch;

use crate::batch::{self, Event, Ready};
use crate::clock;
use crate::intake::{Counters, Head};
use crate::ledger::{Fate, Ledger};
use crate::serve::{Stop, stopped};
use crate::spool::frame::{Accepted, Batch, Frame, Slot};
use crate::spool::{Pending, SpoolError};
use crate::spooler::{Holdings, Refused, Spooler, Work};

/// The most documents that one batch takes in.
const MAX_DOCUMENTS: usize = 4_000;
/// The most documents that are grouped at a time.
const MAX_GROUPED: usize = 16_000;
/// How long the vault stays open without work.
const VAULT_IDLE: Duration = Duration::from_secs(5);
/// How long to wait before trying again what failed.
const AGAIN: Duration = Duration::from_secs(2);
/// A node that answered within this time is there.
const HEARD_MS: u64 = 15_000;
const INPUT: &str = "ledger";

/// What the sealer has to be told.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whose key it is, if the configuration says so.
    pub participant: Option<ParticipantId>,
    /// Which organisations are participants.
    pub organisations: Organisations,
    /// The vault's folder.
    pub vault: PathBuf,
    /// The vault's key.
    pub vault_key: VaultKey,
    /// The stream.
    pub stream: u32,
    /// The most events of a submission.
    pub max_items: usize,
    /// How long the first document waits for company, in milliseconds.
    pub linger_ms: u64,
    /// From when on an event is marked as spooled, in milliseconds.
    pub late_after_ms: u64,
    /// For how long like events are collected; none if they are not grouped.
    pub group_ms: Option<u64>,
}

/// What the sealer did last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// When a submission was last recorded.
    pub recorded_at: Option<TimeMs>,
    /// At which height.
    pub height: Option<Height>,
    /// How many events it had.
    pub events: usize,
    /// What is in the way.
    pub trouble: Option<String>,
}

/// What is in the way.
#[derive(Debug, Error)]
enum Trouble {
    #[error("the vault: {0}")]
    Vault(#[from] VaultError),
    #[error("sealing: {0}")]
    Plan(#[from] custos_custodian::import::PlanError),
    #[error("the spool: {0}")]
    Spool(#[from] SpoolError),
    #[error("the spool: {0}")]
    Refused(#[from] Refused),
    #[error("the ledger refuses {what}: {why}")]
    Ledger { what: &'static str, why: String },
    #[error("no randomness")]
    Random,
    #[error("the spool's documents do not make up its batch")]
    Lost,
    #[error("{0}")]
    Owner(String),
    #[error("the feed stops")]
    Stopping,
}

/// The sealer. It runs on a thread of its own: the vault is files.
pub struct Sealer {
    options: Options,
    spooler: Spooler,
    /// Says that there may be something to do.
    holdings: watch::Receiver<Holdings>,
    ledger: Ledger,
    counters: Arc<Counters>,
    head: watch::Receiver<Head>,
    progress: watch::Sender<Progress>,
    stop: Stop,
    scope: Option<Scope>,
    vault: Option<Vault>,
}

impl Sealer {
    /// A sealer.
    #[must_use]
    pub fn new(
        options: Options,
        spooler: Spooler,
        ledger: Ledger,
        counters: Arc<Counters>,
        head: watch::Receiver<Head>,
        progress: watch::Sender<Progress>,
        stop: Stop,
    ) -> Self {
        let holdings = spooler.holdings();
        Self { options, spooler, holdings, ledger, counters, head, progress, stop, scope: None, vault: None }
    }

    /// Works until the feed stops.
    pub async fn run(mut self) {
        while !*self.stop.borrow() {
            match self.turn().await {
                Ok(()) => {}
                Err(Trouble::Stopping | Trouble::Refused(Refused::Stopping)) => break,
                Err(trouble) => {
                    let text = trouble.to_string();
                    tracing::warn!(trouble = text, "nothing is recorded for now");
                    self.progress.send_modify(|progress| progress.trouble = Some(text));
                    // Whatever is open may be in a state that opening it anew repairs.
                    self.vault = None;
                    self.sleep(AGAIN).await;
                }
            }
        }
    }

    /// One batch, or one wait.
    async fn turn(&mut self) -> Result<(), Trouble> {
        let most = if self.options.group_ms.is_some() { MAX_GROUPED } else { MAX_DOCUMENTS };
        // Seen before asking: what comes after the answer is a change.
        self.holdings.mark_unchanged();
        let Work { open, pending, next_batch, next_sequence } = self.spooler.work(most).await?;
        let (batch, documents) = match open {
            Some(open) => open,
            None => match self.due(&pending) {
                None => return self.wait(&pending).await,
                Some(documents) => {
                    let documents = documents.to_vec();
                    let batch = self.fix(&documents, next_batch, next_sequence).await?;
                    self.spooler.note(Frame::Batch(batch.clone())).await?;
                    (batch, documents)
                }
            },
        };
        let height = self.carry_out(&batch, &documents).await?;
        self.spooler.note(Frame::Recorded { number: batch.number, height }).await?;
        self.progress.send_modify(|progress| progress.trouble = None);
        Ok(())
    }

    /// The documents of the next batch, if their time has come.
    fn due<'a>(&self, pending: &'a [Pending]) -> Option<&'a [Pending]> {
        let first = pending.first()?;
        let now = clock::now().0;
        // While no node answers nothing is fixed, so that what waits is marked as having waited.
        if self.head.borrow().age_ms(TimeMs(now)) > HEARD_MS {
            return None;
        }
        let Some(window) = self.options.group_ms else {
            let is_due =
                pending.len() >= self.options.max_items || first.at.0 + self.options.linger_ms <= now;
            return is_due.then_some(pending);
        };
        let of_window = pending.partition_point(|document| document.at.0 <= first.at.0 + window);
        let is_due = pending.len() >= MAX_GROUPED || first.at.0 + window <= now;
        is_due.then_some(&pending[..of_window])
    }

    /// Waits for something to do, and lets go of the vault when that takes long.
    async fn wait(&mut self, pending: &[Pending]) -> Result<(), Trouble> {
        let until = pending.first().map(|first| {
            let wait = self.options.group_ms.unwrap_or(self.options.linger_ms);
            Duration::from_millis((first.at.0 + wait).saturating_sub(clock::now().0).clamp(50, 60_000))
        });
        let idle = if self.vault.is_some() { VAULT_IDLE } else { Duration::from_secs(60) };
        let patience = until.unwrap_or(idle);
        tokio::select! {
            () = stopped(self.stop.clone()) => return Err(Trouble::Stopping),
            changed = self.holdings.changed() => changed.map_err(|_| Trouble::Stopping)?,
            () = tokio::time::sleep(patience) => {
                if until.is_none() || patience > VAULT_IDLE {
                    self.vault = None;
                }
            }
        }
        Ok(())
    }

    /// Fixes a batch: nothing is sealed yet, and everything that is drawn is drawn here.
    async fn fix(&mut self, documents: &[Pending], number: u64, sequence: u64) -> Result<Batch, Trouble> {
        let now = clock::now();
        // Waiting for a group's window to end is not being late.
        let late_after = self.options.late_after_ms + self.options.group_ms.unwrap_or(0);
        let (stream, is_grouped) = (self.options.stream, self.options.group_ms.is_some());
        let max_items = self.options.max_items;
        let settings = self.settings(year(now));
        let mut ready = Vec::new();
        let mut through = 0;
        let accepted = self.read(documents)?;
        let vault = self.vault().await?;
        let mut names = HashSet::new();
        let mut doubles = 0_u64;
        for document in accepted {
            through = document.position;
            let (at, head, head_age_ms) = (document.at, document.offer.head, document.offer.head_age_ms);
            for (place, draft) in (0u16..).zip(document.offer.drafts) {
                // Sent again after the window had forgotten it: the vault has not.
                let is_double = stream::is_known(vault, &draft.origin)
                    || !names.insert((draft.origin.name.clone(), draft.origin.digest));
                if is_double {
                    doubles += 1;
                    continue;
                }
                ready.push(Ready { member: (document.position, place), at, head, head_age_ms, draft });
            }
            if ready.len() >= MAX_GROUPED {
                break;
            }
        }
        let mut conflicts = 0_u64;
        let mut placed = Vec::new();
        for event in batch::events(ready, is_grouped, late_after, now) {
            let whose = stream::whose(vault, &event.draft, &settings)?;
            conflicts += u64::from(whose.in_conflict);
            placed.push((event, whose));
        }
        (0..doubles).for_each(|_| self.counters.count(INPUT, "duplicate", "recorded-before"));
        for _ in 0..conflicts {
            let place = format!("batch {number}");
            self.counters.count(INPUT, "without-subject", "conflicting-identity");
            tracing::warn!(
                place,
                "the patient's identifiers belong to several patients; recorded without a subject"
            );
        }
        let mut failed = false;
        let mut draw = || {
            let mut bytes = [0; 8];
            failed |= getrandom::fill(&mut bytes).is_err();
            u64::from_le_bytes(bytes)
        };
        let packed = batch::pack(placed, max_items, &mut draw);
        if failed {
            return Err(Trouble::Random);
        }
        let mut next = sequence;
        let mut submissions = Vec::with_capacity(packed.len());
        for events in packed {
            let mut slots = Vec::with_capacity(events.len());
            for Event { members, head, late, .. } in events {
                slots.push(Slot { members, fixed: Fixed::draw(stream, next)?, head, late });
                next += 1;
            }
            submissions.push(slots);
        }
        Ok(Batch { number, epoch: year(now), through, submissions })
    }

    /// Seals and records a fixed batch, whatever of that was done before. Gives back the last height.
    async fn carry_out(&mut self, batch: &Batch, documents: &[Pending]) -> Result<Height, Trouble> {
        let events = self.numbered(batch, documents)?;
        let settings = self.settings(batch.epoch);
        let plan = stream::plan(self.vault().await?, &events, &settings)?;
        if let Err(refusal) = self.acts(&plan).await {
            return self.act_refused(batch, &plan, refusal).await;
        }
        let mut height = Height(0);
        let mut items = plan.events.iter();
        for submission in &batch.submissions {
            let planned: Vec<_> = items.by_ref().take(submission.len()).cloned().collect();
            let vault = self.vault().await?;
            let recorded = |hash: &ItemHash| match vault.entry(hash).map(|entry| entry.state) {
                Some(ItemState::Recorded(height)) => Some(height),
                _ => None,
            };
            if let Some(heights) = planned.iter().map(|item| recorded(&item.hash)).collect::<Option<Vec<_>>>()
            {
                height = heights.into_iter().fold(height, Height::max);
                continue;
            }
            let author = vault.scope().custodian.clone();
            let records =
                match self.ledger.record(&author, Class::Testimony, &planned, &self.stop.clone()).await {
                    Ok(records) => records,
                    Err(Fate::Stopping) => return Err(Trouble::Stopping),
                    Err(Fate::Refused(problem)) => {
                        self.ledger.turn(&problem.to_string());
                        return Err(Trouble::Ledger { what: "events", why: problem.to_string() });
                    }
                };
            height = height.max(self.settle(&records).await?);
            self.note_findings(&records);
            self.progress.send_modify(|progress| {
                progress.recorded_at = Some(clock::now());
                progress.height = Some(height);
                progress.events = planned.len();
                progress.trouble = None;
            });
        }
        Ok(height)
    }

    /// Opens trails. An act that is recorded already is refused when it comes again; so whatever is refused is
    /// asked for, and what is found is left out.
    async fn acts(&mut self, plan: &NumberedPlan) -> Result<(), Refusal> {
        let author = self.vault().await?.scope().custodian.clone();
        for batch in &plan.acts {
            let mut items = batch.items.clone();
            while !items.is_empty() {
                match self.ledger.record(&author, Class::Act, &items, &self.stop.clone()).await {
                    Ok(records) => {
                        self.settle(&records).await?;
                        break;
                    }
                    Err(Fate::Stopping) => return Err(Trouble::Stopping.into()),
                    Err(Fate::Refused(problem)) => {
                        let found = self.found(&items).await?;
                        if found.is_empty() {
                            self.ledger.turn(&problem.to_string());
                            return Err(Refusal::ByLedger {
                                code: problem.code.clone(),
                                why: problem.to_string(),
                            });
                        }
                        items.retain(|item| !found.contains(&item.hash));
                    }
                }
            }
        }
        Ok(())
    }

    /// Those of the items that are recorded, noted in the vault.
    async fn found(&mut self, items: &[Planned]) -> Result<HashSet<ItemHash>, Trouble> {
        let mut settled = Vec::new();
        for item in items {
            let answer = self.ledger.find(item).await;
            let height = answer.map_err(|why| Trouble::Ledger { what: "a question", why })?;
            settled.extend(height.map(|height| (item.hash, ItemState::Recorded(height))));
        }
        self.vault().await?.settle(&settled)?;
        Ok(settled.into_iter().map(|(hash, _)| hash).collect())
    }

    /// A trail that was to be opened in a year that is over is opened in the new one: the batch is fixed anew,
    /// with the same numbers and event ids, because nothing of its events was handed in. Anything else is
    /// tried again.
    async fn act_refused(
        &mut self,
        batch: &Batch,
        plan: &NumberedPlan,
        refusal: Refusal,
    ) -> Result<Height, Trouble> {
        let (code, why) = match refusal {
            Refusal::Trouble(trouble) => return Err(trouble),
            Refusal::ByLedger { code, why } => (code, why),
        };
        let now = year(clock::now());
        if code != "wrong-epoch" || now == batch.epoch {
            return Err(Trouble::Ledger { what: "to open a trail", why });
        }
        let acts = plan.acts.iter().flat_map(|batch| &batch.items);
        let dropped: Vec<_> = acts.chain(&plan.events).map(|item| (item.hash, ItemState::Dropped)).collect();
        let vault = self.vault().await?;
        let is_open =
            |hash: &ItemHash| vault.entry(hash).is_some_and(|entry| entry.state == ItemState::Prepared);
        let dropped: Vec<_> = dropped.into_iter().filter(|(hash, _)| is_open(hash)).collect();
        vault.settle(&dropped)?;
        let mut fresh = batch.clone();
        fresh.epoch = now;
        for slot in fresh.submissions.iter_mut().flatten() {
            let event = slot.fixed.event;
            slot.fixed = Fixed { event, ..Fixed::draw(slot.fixed.stream, slot.fixed.sequence)? };
        }
        self.spooler.note(Frame::Batch(fresh)).await?;
        Err(Trouble::Ledger { what: "a trail of the year that is over", why })
    }

    async fn settle(&mut self, records: &BTreeMap<ItemHash, Record>) -> Result<Height, Trouble> {
        let settled: Vec<_> =
            records.iter().map(|(hash, record)| (*hash, ItemState::Recorded(record.height))).collect();
        self.vault().await?.settle(&settled)?;
        Ok(records.values().map(|record| record.height).max().unwrap_or(Height(0)))
    }

    /// Counts what validators found against the events: an institution should know before its auditor does.
    fn note_findings(&self, records: &BTreeMap<ItemHash, Record>) {
        for entry in records.values().filter_map(Record::as_item) {
            let word = match entry.verdict.finding {
                Finding::Consistent => "consistent",
                Finding::Contradicted => "contradicted",
                Finding::NotEvaluated => "not-evaluated",
            };
            self.counters.count(INPUT, "recorded", word);
            entry.verdict.codes.iter().for_each(|code| self.counters.count(INPUT, "found", code.word()));
        }
    }

    /// The events of a batch, drawn together from its documents.
    fn numbered(&self, batch: &Batch, documents: &[Pending]) -> Result<Vec<Numbered>, Trouble> {
        let by_position: HashMap<u64, Accepted> =
            self.read(documents)?.into_iter().map(|document| (document.position, document)).collect();
        let draft = |(position, place): &(u64, u16)| {
            by_position.get(position).and_then(|document| document.offer.drafts.get(usize::from(*place)))
        };
        batch
            .slots()
            .map(|slot| {
                let drafts: Option<Vec<_>> = slot.members.iter().map(draft).collect();
                let draft =
                    drafts.and_then(|drafts| batch::joined(drafts.into_iter())).ok_or(Trouble::Lost)?;
                Ok(Numbered { draft, fixed: slot.fixed.clone(), at_height: slot.head, late: slot.late })
            })
            .collect()
    }

    fn read(&self, documents: &[Pending]) -> Result<Vec<Accepted>, Trouble> {
        let reader = self.spooler.reader();
        documents.iter().map(|place| Ok(reader.read(place)?)).collect()
    }

    fn settings(&self, epoch: u16) -> Settings {
        Settings {
            organisations: self.options.organisations.clone(),
            timing: Timing::Live { at_height: Height(0) },
            ..Settings::history(epoch)
        }
    }

    /// The vault, opened if it is not open. Another command may hold it; then this fails, and is tried again.
    async fn vault(&mut self) -> Result<&mut Vault, Trouble> {
        if self.vault.is_none() {
            if self.scope.is_none() {
                let wanted = self.options.participant.as_ref();
                let owner = self.ledger.owner(wanted, &self.stop).await.map_err(Trouble::Owner)?;
                self.scope = Some(Scope { chain: *self.ledger.chain(), custodian: owner });
            }
            let scope = self.scope.as_ref().ok_or(Trouble::Stopping)?;
            self.vault = Some(Vault::open_or_create(&self.options.vault, &self.options.vault_key, scope)?);
        }
        self.vault.as_mut().ok_or(Trouble::Stopping)
    }

    async fn sleep(&self, time: Duration) {
        tokio::select! {
            () = stopped(self.stop.clone()) => {}
            () = tokio::time::sleep(time) => {}
        }
    }
}

/// Why acts are not recorded.
enum Refusal {
    Trouble(Trouble),
    ByLedger { code: String, why: String },
}

impl<T: Into<Trouble>> From<T> for Refusal {
    fn from(trouble: T) -> Self {
        Refusal::Trouble(trouble.into())
    }
}

fn year(now: TimeMs) -> u16 {
    u16::try_from(now.year()).unwrap_or(u16::MAX)
}
