//! RocksDB's logs, looked at before RocksDB reads them: whether they end where a crash ended them, or are damaged.
//!
//! The write-ahead log and the manifest are written in one form (`db/log_format.h`):
//!
//! ```text
//! block   32 KiB: records, then fewer than 7 zero bytes       the last block may be shorter
//! record  checksum[4] length[2] type[1] payload[length]       never across the border of a block
//! type    1 full, or the fragments of a longer write: 2 first, 3 middle, 4 last
//! ```
//!
//! It has other types for logs that are recycled (5 to 8, 11, 131), compressed (9), of keys with timestamps (10), or that
//! name the log before them (130). None is written unless it is asked for, and nobody asks for it here (`options.rs`). A
//! torn write does not leave one either: every byte of its header was written, or is zero.
//!
//! RocksDB cuts off in silence what looks like a write that was torn by a crash: a record that ends behind the end of
//! the file, and whatever follows a header of zeros in its block. One flipped bit of a length in an acknowledged block
//! looks so too. It drops a whole log, or never comes back, where a type says that the log is recycled, and passes over
//! a record of a type from 128 on that it does not know.
//!
//! So the first record that does not hold together is looked at more closely:
//!
//! ```text
//! its type is one that is never written here                     damage
//! its checksum holds with one bit of it or of the type flipped   damage
//! its checksum holds with one bit of the length flipped, or over
//! another length behind which the log goes on or ends            damage
//! the beginning of a later write stands behind it, whole         damage, in a write-ahead log
//! anything else                                                  a torn end: RocksDB goes on, and may still refuse
//! ```
//!
//! # Correctness
//! What a power failure can leave MUST be a torn end. It tears only what was not synced, and that is the last write:
//! one batch, in any number of fragments, of which later pages may have reached the disk and earlier ones not. Its own
//! fragments behind a hole are therefore no sign of damage; the beginning of another batch is, which was written after
//! this one had been synced. A manifest is synced after several writes: there it is no sign either.
//!
//! Records inside the payload of a torn record are bytes that anybody may have chosen. They are not looked for where
//! the header is one that a torn write leaves, and elsewhere they count only if they lead to the end to the byte.
//!
//! Deliberately absent: what the records say, and any repair.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::crc32c::Crc;
use crate::error::StoreError;
use crate::store::damaged;
use crate::tables::Table;

const BLOCK_BYTES: usize = 32 << 10;
const HEADER_BYTES: usize = 7;
/// Where the type is in a header: the checksum begins with it.
const TYPE_AT: usize = 6;
/// The longest name of a manifest that is read from `CURRENT`.
const MAX_NAME_BYTES: u64 = 64;

const FULL: u8 = 1;
const FIRST: u8 = 2;
const LAST: u8 = 4;

/// Looks at every log of the database in `dir`.
///
/// # Errors
/// [`StoreError::Damaged`] names file and offset; [`StoreError::Io`] when they cannot be read.
pub(crate) fn check(dir: &Path) -> Result<(), StoreError> {
    let io = |error: io::Error| StoreError::Io(format!("{}: {error}", dir.display()));
    for entry in dir.read_dir().map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        // RocksDB names them by number; it keeps its diary in `LOG`.
        if Path::new(&name).extension().is_some_and(|extension| extension == "log") {
            check_file(dir, &name.to_string_lossy(), Log::Ahead)?;
        }
    }
    match manifest(dir) {
        Some(name) => check_file(dir, &name, Log::Manifest),
        None => Ok(()),
    }
}

/// The manifest that is in use. If that cannot be told, RocksDB says so.
fn manifest(dir: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(dir.join("CURRENT")).ok()?.take(MAX_NAME_BYTES).read_to_string(&mut text).ok()?;
    let name = text.trim_end();
    let number = name.strip_prefix("MANIFEST-")?;
    number.bytes().all(|digit| digit.is_ascii_digit()).then(|| name.to_owned())
}

fn check_file(dir: &Path, name: &str, log: Log) -> Result<(), StoreError> {
    let path = dir.join(name);
    let judged = match File::open(&path) {
        Ok(mut file) => judge(&mut file, log),
        // RocksDB says what that means.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => Err(error),
    };
    match judged.map_err(|error| StoreError::Io(format!("{}: {error}", path.display())))? {
        Verdict::Whole | Verdict::Torn { .. } => Ok(()),
        Verdict::Damaged { at, why } => Err(damaged(
            Table::Meta,
            "(the database itself)",
            format!("whole records in {}", path.display()),
            format!("one at byte {at} that no crash leaves: {why}"),
        )),
    }
}

/// What a log is for, and so after how many writes it is synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Log {
    /// After each one.
    Ahead,
    /// After several, perhaps.
    Manifest,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Whole,
    /// From there on nothing was acknowledged.
    Torn {
        at: u64,
    },
    Damaged {
        at: u64,
        why: String,
    },
}

/// Reads a log, a block at a time.
pub(crate) fn judge(log: &mut impl Read, kind: Log) -> io::Result<Verdict> {
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    let mut begins: u64 = 0;
    let mut hole: Option<u64> = None;
    loop {
        block.clear();
        log.by_ref().take(BLOCK_BYTES as u64).read_to_end(&mut block)?;
        let walked = walk(&block);
        let follows = match (hole, walked.bad) {
            // Behind a hole: a block begins with a header, whatever the one before it holds.
            (Some(_), _) => walked.begins,
            (None, None) => None,
            (None, Some(at)) => {
                hole = Some(begins + at as u64);
                if let Some(why) = broken(&block, at) {
                    return Ok(Verdict::Damaged { at: begins + at as u64, why });
                }
                following(&block, at)
            }
        };
        if let (Some(at), Some(follows), Log::Ahead) = (hole, follows, kind) {
            let why = format!("a later write stands whole at byte {}", begins + follows as u64);
            return Ok(Verdict::Damaged { at, why });
        }
        begins += block.len() as u64;
        if block.len() < BLOCK_BYTES {
            return Ok(hole.map_or(Verdict::Whole, |at| Verdict::Torn { at }));
        }
    }
}

/// How far the records of a block hold together.
#[derive(Debug, PartialEq, Eq)]
struct Walked {
    /// The first record that begins a write.
    begins: Option<usize>,
    /// The first record that does not hold.
    bad: Option<usize>,
}

fn walk(block: &[u8]) -> Walked {
    let (mut at, mut begins) = (0, None);
    while let Some(header) = Header::read(block, at) {
        let Some(next) = header.holds(block, at) else { return Walked { begins, bad: Some(at) } };
        begins = begins.or(header.begins().then_some(at));
        at = next;
    }
    // What is left of a block is zeros, which nobody reads; what is left of a file is a torn header.
    let is_torn = at < block.len() && block.len() < BLOCK_BYTES;
    Walked { begins, bad: is_torn.then_some(at) }
}

#[derive(Debug, Clone, Copy)]
struct Header {
    checksum: u32,
    length: usize,
    kind: u8,
}

impl Header {
    /// The header at `at`; nothing where fewer bytes are left.
    fn read(block: &[u8], at: usize) -> Option<Self> {
        let &[a, b, c, d, low, high, kind] = block.get(at..)?.first_chunk::<HEADER_BYTES>()?;
        Some(Header {
            checksum: u32::from_le_bytes([a, b, c, d]),
            length: usize::from(u16::from_le_bytes([low, high])),
            kind,
        })
    }

    fn end(&self, at: usize) -> usize {
        at + HEADER_BYTES + self.length
    }

    /// Where the next record begins, if this one is whole.
    fn holds(&self, block: &[u8], at: usize) -> Option<usize> {
        let end = self.end(at);
        let covered = block.get(at + TYPE_AT..end)?;
        (self.is_written_here() && checksum(covered) == self.checksum).then_some(end)
    }

    fn is_written_here(&self) -> bool {
        (FULL..=LAST).contains(&self.kind)
    }

    /// Whether a write begins here.
    fn begins(&self) -> bool {
        self.kind == FULL || self.kind == FIRST
    }
}

fn checksum(covered: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.extend(covered);
    crc.masked()
}

/// What is wrong with the header of a record that does not hold, if anything is that no torn write leaves.
fn broken(block: &[u8], at: usize) -> Option<String> {
    let header = Header::read(block, at)?;
    let one_bit = |a: u32, b: u32| (a ^ b).count_ones() == 1;
    if let Some(payload) = block.get(at + HEADER_BYTES..header.end(at)) {
        let of_type = |kind: u8| {
            let mut crc = Crc::new();
            crc.push(kind);
            crc.extend(payload);
            crc.masked()
        };
        if header.is_written_here() && one_bit(of_type(header.kind), header.checksum) {
            return Some("one bit of its checksum is another".into());
        }
        let mut kinds = (0..8).map(|bit| header.kind ^ 1 << bit);
        if let Some(kind) = kinds.find(|kind| of_type(*kind) == header.checksum) {
            return Some(format!("its type is {}, and its checksum that of type {kind}", header.kind));
        }
    }
    if header.kind == 0 {
        return None;
    }
    if !header.is_written_here() {
        return Some(format!("its type is {}, which is never written here", header.kind));
    }
    let mut crc = Crc::new();
    for (length, byte) in block.get(at + TYPE_AT..)?.iter().enumerate() {
        crc.push(*byte);
        // Of thousands of lengths, one in some hundred thousand torn writes has one that is right by chance.
        let end = at + HEADER_BYTES + length;
        let goes_on = || {
            end == block.len()
                || Header::read(block, end).is_some_and(|next| next.holds(block, end).is_some())
        };
        if crc.masked() == header.checksum && (one_bit(length as u32, header.length as u32) || goes_on()) {
            return Some(format!("its length is {}, and its checksum that of {length} bytes", header.length));
        }
    }
    None
}

/// Where in the same block a later write begins that leads to the block's end by whole records.
fn following(block: &[u8], bad: usize) -> Option<usize> {
    let header = Header::read(block, bad)?;
    // This is how a torn write begins.
    let goes_on_behind_the_file = header.end(bad) > block.len() && header.end(bad) <= BLOCK_BYTES;
    if header.is_written_here() && goes_on_behind_the_file {
        return None;
    }
    // From behind: a record is looked at only if the next one is known to lead to the end.
    let mut leads = vec![false; block.len() + 1];
    leads[block.len()] = true;
    if block.len() == BLOCK_BYTES {
        let zeros = block.iter().rev().take(HEADER_BYTES - 1).take_while(|byte| **byte == 0).count();
        leads[block.len() - zeros..].fill(true);
    }
    let mut found = None;
    for at in (bad + 1..block.len()).rev() {
        let Some(header) = Header::read(block, at) else { continue };
        if leads.get(header.end(at)) == Some(&true) && header.holds(block, at).is_some() {
            leads[at] = true;
            found = if header.begins() { Some(at) } else { found };
        }
    }
    found
}

#[cfg(test)]
mod tests;
