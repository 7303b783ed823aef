//! What a simulated validator's disk remembers of its votes: the engine's log and the two notes beside it.
//!
//! An entry of the log survives a crash from the flush on; between, a crash may keep or lose it. The notes are
//! replaced whole. What becomes of a node that has lost any of this is decided by the node's own rule
//! (`consensus/src/aside.rs`); here is only what that rule reads and writes.

use bytes::Bytes;
use custos_consensus::aside::{Found, Item, Log, Note, Step, decided_now};
use custos_proof::ids::{Height, TimeMs};

/// The engine's log of one height.
#[derive(Default)]
pub(crate) struct Wal {
    pub(crate) height: Height,
    pub(crate) durable: Vec<Bytes>,
    pub(crate) tail: Vec<Bytes>,
}

impl Wal {
    /// The entries of a height that begins; the log is begun anew if it is another's.
    pub(crate) fn begin(&mut self, height: Height) -> Vec<Bytes> {
        if self.height != height {
            *self = Self { height, ..Self::default() };
        }
        self.durable.iter().chain(&self.tail).cloned().collect()
    }

    pub(crate) fn append(&mut self, height: Height, entry: Bytes) {
        if height == self.height {
            self.tail.push(entry);
        }
    }

    pub(crate) fn flush(&mut self) {
        self.durable.append(&mut self.tail);
    }
}

/// The files.
#[derive(Default)]
pub(crate) struct Memory {
    votes: Option<Wal>,
    following: Option<Wal>,
    decided: Option<Height>,
    note: Option<(TimeMs, String)>,
}

impl Memory {
    /// A log as the engine opens it: it is made if it is not there.
    pub(crate) fn log(&mut self, which: Log) -> &mut Wal {
        let log = match which {
            Log::Votes => &mut self.votes,
            Log::Following => &mut self.following,
        };
        log.get_or_insert_default()
    }

    /// What there is to decide by.
    pub(crate) fn found(&self) -> Found {
        let note = self.note.clone().map_or(Note::Absent, |(since, reason)| Note::Since(since, reason));
        Found { log: self.votes.as_ref().map(|log| log.height), decided: self.decided, note, word: false }
    }

    /// What was decided is done.
    pub(crate) fn follow(&mut self, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Write(since, reason) => self.note = Some((since, reason)),
                Step::Remove(Item::Log) => self.votes = None,
                Step::Remove(Item::Decided) => self.decided = None,
                Step::Remove(Item::Note) => self.note = None,
                Step::Remove(Item::Word) => {}
            }
        }
    }

    /// A height was decided here.
    pub(crate) fn decided(&mut self, height: Height) {
        self.decided = Some(decided_now(self.decided, height));
    }

    // ---- accidents ----------------------------------------------------------------------------

    /// The power failed while the note of what was decided was not on the disk yet.
    pub(crate) fn tear_decided(&mut self) {
        self.decided = None;
    }

    /// The log of votes is deleted.
    pub(crate) fn lose_log(&mut self) {
        self.votes = None;
    }

    /// What is there is moved away and the node told to stand aside, as `custos snapshot restore` does.
    pub(crate) fn stand_aside(&mut self, now: TimeMs) {
        let note = Some((now, "the ledger was restored from a snapshot".to_owned()));
        *self = Self { note, ..Self::default() };
    }
}
