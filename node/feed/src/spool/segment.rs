//! A segment: one file of frames, each with a checksum and sealed with the spool's key.
//!
//! ```text
//! file   magic[8] frame...
//! frame  mark[4] length[4] group[8] crc[4] nonce[24] ciphertext and tag[length - 24]
//! ```
//!
//! All frames that are synced together have one group number, one more than those before; the lowest
//! bit of the field marks the last of them. The checksum (CRC-32) over length, group and content tells a write that a crash cut short from one
//! that was whole; the seal (XChaCha20-Poly1305, over the file's number and the frame's place)
//! keeps what is in it from whoever reads the disk.
//!
//! # Correctness
//! A frame is acknowledged when its group is synced. A frame that does not hold is *torn* when no
//! later group follows it in the file: then it was never acknowledged, nor was anything behind it,
//! and all of it is cut off. With a later group behind it, it had been synced, and the file is
//! damaged: that is an error, and nothing is cut off.

use std::path::Path;

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key as CipherKey, XChaCha20Poly1305, XNonce};

use super::SpoolError;
use super::frame::{Frame, MAX_FRAME};

/// The first bytes of a segment.
pub const MAGIC: &[u8; 8] = b"custosF1";
const MARK: [u8; 4] = [0xf3, 0xed, 0xc5, 0x01];
const NONCE: usize = 24;
const TAG: usize = 16;
/// Everything of a frame before its content.
pub const HEADER: usize = 4 + 4 + 8 + 4;

/// The spool's key.
#[derive(Clone)]
pub struct SpoolKey([u8; 32]);

impl core::fmt::Debug for SpoolKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SpoolKey(..)")
    }
}

impl SpoolKey {
    /// A key. It MUST be used for one spool only.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A frame as it stands in segment `segment` at `offset`.
    pub(super) fn seal(
        &self,
        segment: u64,
        offset: u64,
        group: Group,
        plain: &[u8],
    ) -> Result<Vec<u8>, SpoolError> {
        if plain.len() > MAX_FRAME {
            return Err(SpoolError::TooLarge);
        }
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|error| SpoolError::Random(error.to_string()))?;
        let aad = associated(segment, offset);
        let sealed = XChaCha20Poly1305::new(CipherKey::from_slice(&self.0))
            .encrypt(XNonce::from_slice(&nonce), Payload { msg: plain, aad: &aad })
            .map_err(|_| SpoolError::TooLarge)?;
        let length = ((NONCE + sealed.len()) as u32).to_be_bytes();
        let group = group.field().to_be_bytes();
        let crc = checksum(&length, &group, &[&nonce[..], &sealed[..]]);
        Ok([&MARK[..], &length, &group, &crc, &nonce, &sealed].concat())
    }

    /// The content of a frame.
    fn open(&self, segment: u64, offset: u64, content: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = content.split_at_checked(NONCE)?;
        let aad = associated(segment, offset);
        XChaCha20Poly1305::new(CipherKey::from_slice(&self.0))
            .decrypt(XNonce::from_slice(nonce), Payload { msg: sealed, aad: &aad })
            .ok()
    }

    /// One frame that is known to stand there.
    pub(super) fn read(
        &self,
        path: &Path,
        segment: u64,
        offset: u64,
        frame: &[u8],
    ) -> Result<Frame, SpoolError> {
        let damaged = |what| SpoolError::Damaged { file: path.into(), offset, what };
        match cut(frame) {
            Cut::Whole { content, .. } => {
                let plain = self
                    .open(segment, offset, content)
                    .ok_or_else(|| damaged("a frame does not authenticate"))?;
                Frame::decode(&plain).map_err(|_| damaged("a frame of an unknown form"))
            }
            Cut::Broken => Err(damaged("a frame's checksum does not fit")),
        }
    }
}

/// The frames that are synced together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) number: u64,
    pub(super) is_last: bool,
}

impl Group {
    fn field(self) -> u64 {
        self.number << 1 | u64::from(self.is_last)
    }

    fn of_field(field: u64) -> Self {
        Self { number: field >> 1, is_last: field & 1 == 1 }
    }
}

/// A frame found in a segment.
pub(super) struct Found {
    pub(super) frame: Frame,
    pub(super) offset: u64,
    pub(super) length: u32,
}

/// What a segment holds.
pub(super) struct Scanned {
    pub(super) found: Vec<Found>,
    /// Where the whole frames end.
    pub(super) length: u64,
    /// The last group that has a whole frame.
    pub(super) group: u64,
    /// Whether something torn follows.
    pub(super) is_torn: bool,
}

/// Reads all frames of a segment.
pub(super) fn scan(
    path: &Path,
    bytes: &[u8],
    segment: u64,
    key: &SpoolKey,
    group_before: u64,
) -> Result<Scanned, SpoolError> {
    let damaged =
        |offset: usize, what| SpoolError::Damaged { file: path.into(), offset: offset as u64, what };
    if bytes.get(..MAGIC.len()) != Some(&MAGIC[..]) {
        // A file that was being made when the power went.
        let is_new = MAGIC.starts_with(bytes) || bytes.iter().all(|byte| *byte == 0);
        return if is_new {
            Ok(Scanned { found: Vec::new(), length: 0, group: group_before, is_torn: true })
        } else {
            Err(damaged(0, "not a segment of a spool"))
        };
    }
    let mut scanned =
        Scanned { found: Vec::new(), length: MAGIC.len() as u64, group: group_before, is_torn: false };
    let mut offset = MAGIC.len();
    // The number of the group that a frame here belongs to.
    let mut expected = group_before + 1;
    while offset < bytes.len() {
        let rest = &bytes[offset..];
        match cut(rest) {
            Cut::Whole { group, content, length } if group.number >= expected => {
                let plain = key
                    .open(segment, offset as u64, content)
                    .ok_or_else(|| damaged(offset, "a frame does not authenticate: another key?"))?;
                let frame =
                    Frame::decode(&plain).map_err(|_| damaged(offset, "a frame of an unknown form"))?;
                scanned.found.push(Found { frame, offset: offset as u64, length: length as u32 });
                scanned.group = group.number;
                expected = if group.is_last { group.number + 1 } else { group.number };
                offset += length;
                scanned.length = offset as u64;
            }
            _ if later_group(rest, expected) => {
                return Err(damaged(
                    offset,
                    "a frame does not hold, and frames that were synced after it follow",
                ));
            }
            _ => {
                scanned.is_torn = true;
                break;
            }
        }
    }
    Ok(scanned)
}

enum Cut<'a> {
    Whole { group: Group, content: &'a [u8], length: usize },
    Broken,
}

/// The frame at the beginning of these bytes.
fn cut(bytes: &[u8]) -> Cut<'_> {
    let Some((header, rest)) = bytes.split_at_checked(HEADER) else { return Cut::Broken };
    let four = |at: usize| [header[at], header[at + 1], header[at + 2], header[at + 3]];
    let (high, low) = (u32::from_be_bytes(four(8)), u32::from_be_bytes(four(12)));
    let field = u64::from(high) << 32 | u64::from(low);
    let length = u32::from_be_bytes(four(4)) as usize;
    if header[..4] != MARK || !(NONCE + TAG..=MAX_FRAME + NONCE + TAG).contains(&length) {
        return Cut::Broken;
    }
    let Some(content) = rest.get(..length) else { return Cut::Broken };
    if checksum(&four(4), &field.to_be_bytes(), &[content]) != four(16) {
        return Cut::Broken;
    }
    Cut::Whole { group: Group::of_field(field), content, length: HEADER + length }
}

/// Whether a whole frame of a group above `group` stands anywhere behind the first byte.
fn later_group(bytes: &[u8], group: u64) -> bool {
    let starts = (1..bytes.len().saturating_sub(HEADER)).filter(|at| bytes[*at..].starts_with(&MARK));
    starts
        .map(|at| cut(&bytes[at..]))
        .any(|found| matches!(found, Cut::Whole { group: of, .. } if of.number > group))
}

fn checksum(length: &[u8], group: &[u8], content: &[&[u8]]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(length);
    hasher.update(group);
    content.iter().for_each(|part| hasher.update(part));
    hasher.finalize().to_be_bytes()
}

fn associated(segment: u64, offset: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&segment.to_be_bytes());
    bytes[8..].copy_from_slice(&offset.to_be_bytes());
    bytes
}
