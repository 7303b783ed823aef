//! The spool's one writer: a thread that takes what waits, syncs it once, and answers everybody.
//!
//! Sources hand in at the same time; a sync per document would make each wait for the others. So the
//! thread takes all that has come in, writes it as one group and syncs once. A document that was
//! accepted before, in the group or in the window, is answered with the first one's position, and
//! only after that one is on disk.
//!
//! When there is no room, whatever is new is refused with the reason, and what finishes accepted
//! documents (batches, their ends) is still written as long as the disk takes it.

use std::collections::HashMap;
use std::thread::JoinHandle;

use custos_proof::ids::{Height, TimeMs};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock;
use crate::spool::frame::{Accepted, Batch, Frame, Key, Mark, Offer};
use crate::spool::{Pending, Spool, SpoolError, SpoolReader};

/// The most commands that wait for the thread.
const WAITING: usize = 1024;
/// The most commands of one group.
const GROUP: usize = 512;

/// What a source hands in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // Most are documents.
pub enum Entry {
    /// A document.
    Document(Offer),
    /// A file was read so far, without a document.
    Read(Mark),
}

/// What became of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is on disk.
    Accepted {
        /// Its position.
        position: u64,
    },
    /// It was on disk before.
    Before {
        /// The position it has.
        position: u64,
    },
    /// Nothing was to be accepted.
    Noted,
}

/// Why nothing was accepted. Nothing was lost either: the source is to hand it in again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// There is no room.
    #[error("{0}")]
    Full(String),
    /// The spool cannot be written.
    #[error("{0}")]
    Broken(String),
    /// The feed is stopping.
    #[error("the feed is stopping")]
    Stopping,
}

impl From<&SpoolError> for Refused {
    fn from(error: &SpoolError) -> Self {
        match error {
            SpoolError::Full(_) => Refused::Full(error.to_string()),
            _ => Refused::Broken(error.to_string()),
        }
    }
}

/// What the spool holds, for the status page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holdings {
    /// Events that wait.
    pub waiting: u64,
    /// Documents that no batch took in yet.
    pub documents: u64,
    /// The bytes of the spool.
    pub bytes: u64,
    /// When the oldest document that waits was accepted.
    pub oldest: Option<TimeMs>,
    /// Documents accepted since the spool began.
    pub accepted: u64,
    /// Events recorded since the spool began.
    pub recorded: u64,
    /// The last number given.
    pub sequence: u64,
    /// The last head that was seen.
    pub head: Height,
    /// Why nothing new is accepted.
    pub full: Option<String>,
    /// Why the spool takes nothing until it is opened anew.
    pub poisoned: Option<String>,
    /// How far files were read.
    pub marks: Vec<Mark>,
}

/// What the sealer works on next.
#[derive(Debug, Clone, Default)]
pub struct Work {
    /// The batch that is open, and its documents.
    pub open: Option<(Batch, Vec<Pending>)>,
    /// The documents that no batch took in yet, as many as were asked for.
    pub pending: Vec<Pending>,
    /// The number of the next batch.
    pub next_batch: u64,
    /// The number of the next event.
    pub next_sequence: u64,
}

enum Command {
    Accept { entries: Vec<Entry>, answer: oneshot::Sender<Result<Vec<Verdict>, Refused>> },
    Note { frame: Box<Frame>, answer: oneshot::Sender<Result<(), Refused>> },
    Work { most: usize, answer: oneshot::Sender<Work> },
}

/// The way to the writer. Clones lead to the same one.
#[derive(Debug, Clone)]
pub struct Spooler {
    commands: mpsc::Sender<Command>,
    holdings: watch::Receiver<Holdings>,
    reader: SpoolReader,
}

impl Spooler {
    /// Starts the thread. It ends when the last `Spooler` is dropped.
    #[must_use]
    pub fn start(spool: Spool) -> (Self, JoinHandle<()>) {
        let (commands, inbox) = mpsc::channel(WAITING);
        let (publish, holdings) = watch::channel(holdings_of(&spool, None));
        let reader = spool.reader();
        let thread = std::thread::spawn(move || Writer { spool, publish, trouble: None }.run(inbox));
        (Self { commands, holdings, reader }, thread)
    }

    /// Accepts documents: all of them, or none.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn accept(&self, entries: Vec<Entry>) -> Result<Vec<Verdict>, Refused> {
        let (answer, verdicts) = oneshot::channel();
        self.commands.send(Command::Accept { entries, answer }).await.map_err(|_| Refused::Stopping)?;
        verdicts.await.map_err(|_| Refused::Stopping)?
    }

    /// Writes what became of accepted documents, or of files.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn note(&self, frame: Frame) -> Result<(), Refused> {
        let (answer, done) = oneshot::channel();
        let frame = Box::new(frame);
        self.commands.send(Command::Note { frame, answer }).await.map_err(|_| Refused::Stopping)?;
        done.await.map_err(|_| Refused::Stopping)?
    }

    /// What is to be done, with at most `most` documents.
    ///
    /// # Errors
    /// [`Refused::Stopping`].
    pub async fn work(&self, most: usize) -> Result<Work, Refused> {
        let (answer, work) = oneshot::channel();
        self.commands.send(Command::Work { most, answer }).await.map_err(|_| Refused::Stopping)?;
        work.await.map_err(|_| Refused::Stopping)
    }

    /// What the spool holds, and a signal when that changes.
    #[must_use]
    pub fn holdings(&self) -> watch::Receiver<Holdings> {
        self.holdings.clone()
    }

    /// What reads documents back.
    #[must_use]
    pub fn reader(&self) -> &SpoolReader {
        &self.reader
    }
}

struct Writer {
    spool: Spool,
    publish: watch::Sender<Holdings>,
    trouble: Option<Refused>,
}

impl Writer {
    fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        while let Some(first) = inbox.blocking_recv() {
            let mut accepts = Vec::new();
            let mut next = Some(first);
            // What is accepted together goes together; anything else keeps its place in the order.
            while let Some(command) = next.take() {
                match command {
                    Command::Accept { entries, answer } => accepts.push((entries, answer)),
                    Command::Note { frame, answer } => {
                        self.accept(std::mem::take(&mut accepts));
                        let is_end = matches!(*frame, Frame::Recorded { .. });
                        let done = self.append(vec![*frame]);
                        if is_end && let Err(error) = self.spool.trim() {
                            tracing::warn!(%error, "segments that are done could not be removed");
                        }
                        self.publish();
                        let _ = answer.send(done);
                    }
                    Command::Work { most, answer } => {
                        self.accept(std::mem::take(&mut accepts));
                        let _ = answer.send(self.work(most));
                    }
                }
                if accepts.len() < GROUP {
                    next = inbox.try_recv().ok();
                }
            }
            self.accept(accepts);
            self.publish();
        }
    }

    /// Shows what the spool holds now. Before anybody is answered, so that who was answered sees it.
    fn publish(&self) {
        let holdings = holdings_of(&self.spool, self.trouble.as_ref());
        self.publish.send_if_modified(|published| {
            let changes = *published != holdings;
            *published = holdings;
            changes
        });
    }

    fn append(&mut self, frames: Vec<Frame>) -> Result<(), Refused> {
        let done = self.spool.append(frames).map_err(|error| Refused::from(&error));
        self.trouble = done.as_ref().err().cloned();
        done
    }

    #[allow(clippy::type_complexity)]
    fn accept(&mut self, handed_in: Vec<(Vec<Entry>, oneshot::Sender<Result<Vec<Verdict>, Refused>>)>) {
        if handed_in.is_empty() {
            return;
        }
        if let Err(error) = self.spool.has_room() {
            let refused = Refused::from(&error);
            handed_in.into_iter().for_each(|(_, answer)| drop(answer.send(Err(refused.clone()))));
            return;
        }
        let now = clock::now();
        let mut position = self.spool.state().next_position;
        let mut fresh: HashMap<Key, u64> = HashMap::new();
        let mut frames = Vec::new();
        let mut answers = Vec::with_capacity(handed_in.len());
        for (entries, answer) in handed_in {
            let mut verdicts = Vec::with_capacity(entries.len());
            for entry in entries {
                verdicts.push(match entry {
                    Entry::Read(mark) => {
                        frames.push(Frame::Read(mark));
                        Verdict::Noted
                    }
                    Entry::Document(offer) => {
                        let state = self.spool.state();
                        let before = state.accepted_before(&offer.key, now, self.spool.limits());
                        match fresh.get(&offer.key).copied().or(before) {
                            Some(position) => {
                                frames.extend(offer.mark.map(Frame::Read));
                                Verdict::Before { position }
                            }
                            None => {
                                fresh.insert(offer.key, position);
                                frames.push(Frame::Accepted(Accepted { position, at: now, offer }));
                                position += 1;
                                Verdict::Accepted { position: position - 1 }
                            }
                        }
                    }
                });
            }
            answers.push((verdicts, answer));
        }
        let done = if frames.is_empty() { Ok(()) } else { self.append(frames) };
        self.publish();
        for (verdicts, answer) in answers {
            // Whoever asked may be gone; then it will ask again, and be told that it was accepted before.
            let _ = answer.send(done.clone().map(|()| verdicts));
        }
    }

    fn work(&self, most: usize) -> Work {
        let state = self.spool.state();
        Work {
            open: state.open.clone(),
            pending: state.pending.iter().take(most).copied().collect(),
            next_batch: state.next_batch,
            next_sequence: state.next_sequence,
        }
    }
}

fn holdings_of(spool: &Spool, trouble: Option<&Refused>) -> Holdings {
    let state = spool.state();
    let room = spool.has_room();
    let poisoned = match &room {
        Err(error @ SpoolError::Poisoned { .. }) => Some(error.to_string()),
        _ => None,
    };
    let full = room.err().map(|error| error.to_string()).or_else(|| trouble.map(ToString::to_string));
    Holdings {
        waiting: state.waiting,
        documents: state.pending.len() as u64,
        bytes: spool.bytes(),
        oldest: state.oldest(),
        accepted: state.next_position - 1,
        recorded: state.recorded,
        sequence: state.next_sequence - 1,
        head: state.head,
        full,
        poisoned,
        marks: state.marks.values().cloned().collect(),
    }
}
