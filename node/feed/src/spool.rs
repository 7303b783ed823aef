//! The spool: what was accepted and is not on the ledger yet, on disk before the source is answered.
//!
//! An append-only log of frames in segments. What the log says is folded into a [`State`] by one
//! function, both when a frame is written and when it is read again after a crash, so that a feed
//! that was killed goes on as the same feed.
//!
//! ```text
//!   Accepted 1, 2, 3 ...      synced, then the source is answered
//!   Batch n: through 3        ids and numbers are fixed, synced; only then is anything sealed
//!   (vault, ledger)
//!   Recorded n                synced; segments that hold nothing open are removed
//! ```
//!
//! Each segment begins with the state that all earlier ones came to, so that they can be removed.
//!
//! # Correctness
//! * A frame takes effect when it is synced. If a write or sync fails, the file is cut back to what
//!   was synced before; if that fails too, the spool is *poisoned*: it takes nothing more until it is
//!   opened anew, and what is on disk decides then.
//! * A write that found no room takes nothing away: reading and removing segments needs no room.
//! * One batch is open at a time. It is finished before the next is made, so that numbers reach the
//!   ledger in order.
//!
//! Deliberately absent: deciding what a duplicate is answered, batching, and threads ([`crate::spooler`]).

pub mod frame;
#[doc(hidden)]
pub mod fuzz;
pub mod segment;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use custos_proof::ids::{Height, TimeMs};
use thiserror::Error;

use self::frame::{Accepted, Batch, FileId, Frame, Key, Mark, Totals};
use self::segment::{Found, Group, MAGIC, SpoolKey};

const LOCK: &str = "LOCK";
const PREFIX: &str = "segment-";
/// The most segments that a spool is expected to have.
const MAX_SEGMENTS: usize = 1_000_000;

/// Bounds of a spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of all segments. Beyond them nothing is accepted.
    pub max_bytes: u64,
    /// The most events that wait. Beyond them nothing is accepted.
    pub max_events: u64,
    /// The room that is left on the file system for finishing what was accepted, in bytes.
    pub reserve_bytes: u64,
    /// When a segment is long enough, in bytes.
    pub segment_bytes: u64,
    /// For how long a document is recognised when it is sent again, in milliseconds.
    pub window_ms: u64,
    /// The most documents that are recognised.
    pub window_documents: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 8 << 30,
            max_events: 2_000_000,
            reserve_bytes: 256 << 20,
            segment_bytes: 16 << 20,
            window_ms: 60 * 60 * 1000,
            window_documents: 65_536,
        }
    }
}

/// Why the spool did not do as asked.
#[derive(Debug, Error)]
pub enum SpoolError {
    /// The world failed.
    #[error("{}: {source}", file.display())]
    Io {
        /// On which file.
        file: PathBuf,
        /// How.
        source: io::Error,
    },
    /// There is no room. Nothing was taken, nothing was lost.
    #[error("the spool is full: {0}")]
    Full(String),
    /// Another process has the spool open.
    #[error("{} is in use by another process", directory.display())]
    Locked {
        /// Which.
        directory: PathBuf,
    },
    /// Bytes that were synced are not what they were.
    #[error("{} is damaged at byte {offset}: {what}", file.display())]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A write failed, and what is on disk is not known.
    #[error("{}: an earlier write failed and could not be undone; restart the feed", directory.display())]
    Poisoned {
        /// Which spool.
        directory: PathBuf,
    },
    /// A frame beyond its bound.
    #[error("a frame exceeds its bound")]
    TooLarge,
    /// The operating system gives no randomness.
    #[error("no randomness: {0}")]
    Random(String),
}

/// Where an accepted document stands, and what is asked for often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// Its position.
    pub position: u64,
    /// When it was accepted.
    pub at: TimeMs,
    /// How many events it came to.
    pub events: u16,
    /// Its segment.
    pub segment: u64,
    /// Its place there.
    pub offset: u64,
    /// Its frame's length.
    pub length: u32,
}

/// What the log says.
#[derive(Debug, Default)]
pub struct State {
    /// The position that is given next.
    pub next_position: u64,
    /// The number that is given next.
    pub next_sequence: u64,
    /// The batch that is made next.
    pub next_batch: u64,
    /// The last position that batches took in.
    pub through: u64,
    /// The last head that was seen.
    pub head: Height,
    /// Documents that no batch took in yet.
    pub pending: VecDeque<Pending>,
    /// The batch that is not recorded yet, and its documents.
    pub open: Option<(Batch, Vec<Pending>)>,
    /// How many events were recorded.
    pub recorded: u64,
    /// How many events wait, those of the open batch included.
    pub waiting: u64,
    /// How far files were read.
    pub marks: BTreeMap<FileId, Mark>,
    window: Window,
    /// Whether anything was read yet.
    is_begun: bool,
}

/// The documents that are recognised when they are sent again.
#[derive(Debug, Default)]
struct Window {
    by_key: HashMap<Key, (u64, TimeMs)>,
    order: VecDeque<(Key, u64, TimeMs)>,
}

impl Window {
    fn add(&mut self, key: Key, position: u64, at: TimeMs) {
        self.by_key.insert(key, (position, at));
        self.order.push_back((key, position, at));
    }

    fn forget(&mut self, now: TimeMs, limits: &Limits) {
        let is_over = |at: &TimeMs| at.0.saturating_add(limits.window_ms) < now.0;
        while self.order.len() > limits.window_documents
            || self.order.front().is_some_and(|(_, _, at)| is_over(at))
        {
            let Some((key, position, _)) = self.order.pop_front() else { return };
            if self.by_key.get(&key).is_some_and(|(of, _)| *of == position) {
                self.by_key.remove(&key);
            }
        }
    }
}

impl State {
    fn new() -> Self {
        Self { next_position: 1, next_sequence: 1, next_batch: 1, ..Self::default() }
    }

    /// The position at which this document was accepted, if it is in the window.
    #[must_use]
    pub fn accepted_before(&self, key: &Key, now: TimeMs, limits: &Limits) -> Option<u64> {
        let (position, at) = self.window.by_key.get(key)?;
        (at.0.saturating_add(limits.window_ms) >= now.0).then_some(*position)
    }

    /// When the oldest document that waits was accepted.
    #[must_use]
    pub fn oldest(&self) -> Option<TimeMs> {
        let open = self.open.as_ref().and_then(|(_, documents)| documents.first());
        open.or_else(|| self.pending.front()).map(|document| document.at)
    }

    fn apply(&mut self, frame: Frame, segment: u64, offset: u64, length: u32, limits: &Limits) {
        match frame {
            Frame::Accepted(Accepted { position, at, offer }) => {
                self.next_position = position + 1;
                self.head = self.head.max(offer.head);
                self.window.add(offer.key, position, at);
                self.window.forget(at, limits);
                if let Some(mark) = offer.mark {
                    self.marks.insert(mark.file.clone(), mark);
                }
                if position > self.through && !offer.drafts.is_empty() {
                    let events = u16::try_from(offer.drafts.len()).unwrap_or(u16::MAX);
                    self.waiting += u64::from(events);
                    self.pending.push_back(Pending { position, at, events, segment, offset, length });
                }
            }
            Frame::Batch(batch) => {
                self.next_batch = batch.number + 1;
                self.through = batch.through;
                if let Some(last) = batch.slots().last() {
                    self.next_sequence = last.fixed.sequence + 1;
                }
                // A batch that is fixed anew (for another year) keeps its documents.
                let mut documents = self.open.take().map(|(_, documents)| documents).unwrap_or_default();
                let taken = self.pending.partition_point(|next| next.position <= batch.through);
                documents.extend(self.pending.drain(..taken));
                self.open = Some((batch, documents));
            }
            Frame::Recorded { number, .. } => {
                if let Some((batch, documents)) = self.open.take_if(|(batch, _)| batch.number == number) {
                    self.recorded += batch.slots().count() as u64;
                    let events: u64 = documents.iter().map(|document| u64::from(document.events)).sum();
                    self.waiting = self.waiting.saturating_sub(events);
                }
            }
            Frame::State(totals) => self.restore(totals),
            Frame::Read(mark) => {
                self.marks.insert(mark.file.clone(), mark);
            }
            Frame::Gone(file) => {
                self.marks.remove(&file);
            }
        }
    }

    /// Only the first segment's has anything to say: later ones repeat what was read already.
    fn restore(&mut self, totals: Totals) {
        if std::mem::replace(&mut self.is_begun, true) {
            return;
        }
        let Totals { next_position, next_sequence, next_batch, through, head, open, recorded, window, marks } =
            totals;
        *self = Self {
            next_position,
            next_sequence,
            next_batch,
            through,
            head,
            recorded,
            is_begun: true,
            ..Self::new()
        };
        self.open = open.map(|batch| (batch, Vec::new()));
        window.into_iter().for_each(|(key, position, at)| self.window.add(key, position, at));
        self.marks = marks.into_iter().map(|mark| (mark.file.clone(), mark)).collect();
    }

    fn totals(&self) -> Totals {
        let skip = self.window.order.len().saturating_sub(frame::MAX_WINDOW);
        Totals {
            next_position: self.next_position,
            next_sequence: self.next_sequence,
            next_batch: self.next_batch,
            through: self.through,
            head: self.head,
            open: self.open.as_ref().map(|(batch, _)| batch.clone()),
            recorded: self.recorded,
            window: self.window.order.iter().skip(skip).copied().collect(),
            marks: self.marks.values().take(frame::MAX_FILES).cloned().collect(),
        }
    }
}

/// An open spool. Dropping it lets others open it.
#[derive(Debug)]
pub struct Spool {
    directory: PathBuf,
    key: SpoolKey,
    limits: Limits,
    state: State,
    /// Segments and their lengths, the last one being written.
    segments: BTreeMap<u64, u64>,
    active: File,
    /// Where the frames after the state begin in the active segment.
    active_start: u64,
    group: u64,
    is_poisoned: bool,
    _lock: File,
}

impl Spool {
    /// Opens a spool, or makes one, and reads all of it.
    ///
    /// # Errors
    /// When another process has it open, anything synced does not hold, or the world fails.
    pub fn open(directory: &Path, key: SpoolKey, limits: Limits) -> Result<Self, SpoolError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(at(directory))?;
        let lock = lock(directory)?;
        let mut numbers = find(directory)?;
        let mut state = State::new();
        let mut segments = BTreeMap::new();
        let (mut group, mut active_start) = (0, 0);
        while let Some(number) = numbers.pop_front() {
            let path = path_of(directory, number);
            let bytes = fs::read(&path).map_err(at(&path))?;
            let scanned = segment::scan(&path, &bytes, number, &key, group)?;
            let damaged = |what| SpoolError::Damaged { file: path.clone(), offset: scanned.length, what };
            if scanned.is_torn && !numbers.is_empty() {
                return Err(damaged("a segment ends early, and another follows"));
            }
            if scanned.found.is_empty() && numbers.is_empty() {
                // It was being made, and nothing stands in it.
                fs::remove_file(&path).map_err(at(&path))?;
                break;
            }
            if !matches!(scanned.found.first(), Some(Found { frame: Frame::State(_), .. })) {
                return Err(damaged("a segment does not begin with the state"));
            }
            if scanned.is_torn {
                let file = OpenOptions::new().write(true).open(&path).map_err(at(&path))?;
                file.set_len(scanned.length).and_then(|()| file.sync_all()).map_err(at(&path))?;
            }
            group = scanned.group;
            active_start = scanned.found.first().map_or(0, |state| state.offset + u64::from(state.length));
            for Found { frame, offset, length } in scanned.found {
                state.apply(frame, number, offset, length, &limits);
            }
            segments.insert(number, scanned.length);
        }
        let active = match segments.last_key_value() {
            Some((number, _)) => {
                let path = path_of(directory, *number);
                OpenOptions::new().write(true).open(&path).map_err(at(&path))?
            }
            None => File::open(directory).map_err(at(directory))?,
        };
        let mut spool = Self {
            directory: directory.into(),
            key,
            limits,
            state,
            segments,
            active,
            active_start,
            group,
            is_poisoned: false,
            _lock: lock,
        };
        if spool.segments.is_empty() {
            spool.begin_segment(1)?;
        }
        spool.trim()?;
        Ok(spool)
    }

    /// What the log says.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The bounds.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The bytes of all segments.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments.values().sum()
    }

    /// Whether new documents can be taken, and why not.
    ///
    /// # Errors
    /// [`SpoolError::Full`], [`SpoolError::Poisoned`].
    pub fn has_room(&self) -> Result<(), SpoolError> {
        if self.is_poisoned {
            return Err(SpoolError::Poisoned { directory: self.directory.clone() });
        }
        let (bytes, waiting) = (self.bytes(), self.state.waiting);
        if bytes >= self.limits.max_bytes {
            return Err(SpoolError::Full(format!(
                "it has {bytes} bytes, spool.max_bytes is {}",
                self.limits.max_bytes
            )));
        }
        if waiting >= self.limits.max_events {
            return Err(SpoolError::Full(format!(
                "{waiting} events wait, spool.max_events is {}",
                self.limits.max_events
            )));
        }
        let free = free_bytes(&self.directory)?;
        if free < self.limits.reserve_bytes {
            return Err(SpoolError::Full(format!(
                "the file system has {free} bytes left, spool.reserve_bytes is {}",
                self.limits.reserve_bytes
            )));
        }
        Ok(())
    }

    /// Writes frames and syncs them once. They take effect together when this returns.
    ///
    /// # Errors
    /// The world fails; nothing took effect then.
    pub fn append(&mut self, frames: Vec<Frame>) -> Result<(), SpoolError> {
        if self.is_poisoned {
            return Err(SpoolError::Poisoned { directory: self.directory.clone() });
        }
        let (mut number, mut length) = self.active();
        if length >= self.limits.segment_bytes {
            number += 1;
            length = self.begin_segment(number)?;
        }
        let placed = self.write(number, length, frames)?;
        for (frame, offset, size) in placed {
            self.state.apply(frame, number, offset, size, &self.limits);
        }
        Ok(())
    }

    /// Removes segments in which nothing is open.
    ///
    /// # Errors
    /// The world fails; what was not removed is removed later.
    pub fn trim(&mut self) -> Result<(), SpoolError> {
        self.remove_done()?;
        // What is on the ledger is not kept here for long, even if nothing else comes.
        let (active, length) = self.active();
        if self.first_needed().is_none() && length - self.active_start >= self.limits.segment_bytes / 16 {
            self.begin_segment(active + 1)?;
            self.remove_done()?;
        }
        Ok(())
    }

    /// The segment of the oldest document that is open.
    fn first_needed(&self) -> Option<u64> {
        let open = self.state.open.as_ref().and_then(|(_, documents)| documents.first());
        open.or_else(|| self.state.pending.front()).map(|document| document.segment)
    }

    fn remove_done(&mut self) -> Result<(), SpoolError> {
        let first_needed = self.first_needed().unwrap_or(u64::MAX).min(self.active().0);
        let done: Vec<u64> = self.segments.range(..first_needed).map(|(number, _)| *number).collect();
        for number in &done {
            let path = path_of(&self.directory, *number);
            fs::remove_file(&path).map_err(at(&path))?;
            self.segments.remove(number);
        }
        if done.is_empty() { Ok(()) } else { sync_directory(&self.directory) }
    }

    /// What reads documents back, also while others are being written.
    #[must_use]
    pub fn reader(&self) -> SpoolReader {
        SpoolReader { directory: self.directory.clone(), key: self.key.clone() }
    }

    fn active(&self) -> (u64, u64) {
        self.segments.last_key_value().map_or((0, 0), |(number, length)| (*number, *length))
    }

    /// A new file with the state, whole and on disk when this returns.
    fn begin_segment(&mut self, number: u64) -> Result<u64, SpoolError> {
        let path = path_of(&self.directory, number);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .map_err(at(&path))?;
        let state = Frame::State(self.state.totals()).encode();
        let group = Group { number: self.group + 1, is_last: true };
        let sealed = self.key.seal(number, MAGIC.len() as u64, group, &state)?;
        let bytes = [&MAGIC[..], &sealed].concat();
        let written = file.write_all_at(&bytes, 0).and_then(|()| file.sync_all());
        if let Err(source) = written {
            // Half a segment is removed here or when the spool is opened next.
            let _ = fs::remove_file(&path);
            return Err(failed(&path, source));
        }
        sync_directory(&self.directory)?;
        self.group += 1;
        self.active = file;
        self.active_start = bytes.len() as u64;
        self.segments.insert(number, bytes.len() as u64);
        Ok(bytes.len() as u64)
    }

    fn write(
        &mut self,
        number: u64,
        start: u64,
        frames: Vec<Frame>,
    ) -> Result<Vec<(Frame, u64, u32)>, SpoolError> {
        let mut bytes = Vec::new();
        let mut placed = Vec::with_capacity(frames.len());
        let count = frames.len();
        for (place, frame) in frames.into_iter().enumerate() {
            let offset = start + bytes.len() as u64;
            let group = Group { number: self.group + 1, is_last: place + 1 == count };
            let sealed = self.key.seal(number, offset, group, &frame.encode())?;
            placed.push((frame, offset, sealed.len() as u32));
            bytes.extend_from_slice(&sealed);
        }
        let path = path_of(&self.directory, number);
        if let Err(source) = self.active.write_all_at(&bytes, start).and_then(|()| self.active.sync_data()) {
            // A full disk leaves half a frame; take it away so that the next write starts clean.
            self.is_poisoned = self.active.set_len(start).and_then(|()| self.active.sync_all()).is_err();
            return Err(failed(&path, source));
        }
        self.group += 1;
        self.segments.insert(number, start + bytes.len() as u64);
        Ok(placed)
    }
}

/// Reads documents back.
#[derive(Debug, Clone)]
pub struct SpoolReader {
    directory: PathBuf,
    key: SpoolKey,
}

impl SpoolReader {
    /// An accepted document.
    ///
    /// # Errors
    /// When it does not hold any more.
    pub fn read(&self, place: &Pending) -> Result<Accepted, SpoolError> {
        let path = path_of(&self.directory, place.segment);
        let mut bytes = vec![0; place.length as usize];
        File::open(&path).and_then(|file| file.read_exact_at(&mut bytes, place.offset)).map_err(at(&path))?;
        match self.key.read(&path, place.segment, place.offset, &bytes)? {
            Frame::Accepted(accepted) if accepted.position == place.position => Ok(accepted),
            _ => Err(SpoolError::Damaged {
                file: path,
                offset: place.offset,
                what: "another frame stands here",
            }),
        }
    }
}

fn find(directory: &Path) -> Result<VecDeque<u64>, SpoolError> {
    let mut numbers = Vec::new();
    for found in fs::read_dir(directory).map_err(at(directory))? {
        let name = found.map_err(at(directory))?.file_name();
        let number =
            name.to_str().and_then(|name| name.strip_prefix(PREFIX)).and_then(|n| n.parse::<u64>().ok());
        numbers.extend(number);
        if numbers.len() > MAX_SEGMENTS {
            return Err(SpoolError::TooLarge);
        }
    }
    numbers.sort_unstable();
    let follows = |pair: &[u64]| pair[0].checked_add(1) == Some(pair[1]);
    match numbers.windows(2).find(|pair| !follows(pair)) {
        Some(pair) => Err(SpoolError::Damaged {
            file: path_of(directory, pair[0].saturating_add(1)),
            offset: 0,
            what: "a segment is missing",
        }),
        None => Ok(numbers.into()),
    }
}

fn path_of(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{PREFIX}{number:010}"))
}

fn free_bytes(directory: &Path) -> Result<u64, SpoolError> {
    let found = rustix::fs::statvfs(directory).map_err(|error| at(directory)(error.into()))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

fn lock(directory: &Path) -> Result<File, SpoolError> {
    let path = directory.join(LOCK);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(at(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(SpoolError::Locked { directory: directory.into() }),
        Err(fs::TryLockError::Error(source)) => Err(at(&path)(source)),
    }
}

fn sync_directory(path: &Path) -> Result<(), SpoolError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(at(path))
}

/// A failed write: no room is told apart, because it is the operator's to make some.
fn failed(path: &Path, source: io::Error) -> SpoolError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            SpoolError::Full(format!("{}: {source}", path.display()))
        }
        _ => SpoolError::Io { file: path.into(), source },
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> SpoolError + '_ {
    move |source| SpoolError::Io { file: path.into(), source }
}

#[cfg(test)]
mod tests;
