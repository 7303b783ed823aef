//! The bytes of a snapshot: chunks of deterministic CBOR, each with its hash in a manifest.
//!
//! ```text
//! one file     magic, chunks one behind the other, manifest, its length (8 bytes), its SHA-256
//! a folder     chunks/<hash> for every chunk, <height>.manifest, the manifest's SHA-256 at its end
//! ```
//!
//! Nothing of the database's own layout is in them, so that a snapshot outlives the store's format
//! version. Every length is known before memory is taken for it, and every array has a bound.
//!
//! Deliberately absent: trust. A hash here finds flipped bits; that the content is the chain's shows
//! only when everything is recomputed and compared with a certified header ([`super::restore`]).

use custos_proof::cbor::{DecodeError, Reader, Writer};
use custos_proof::hash::{BlockId, ChainId, Digest, StateKey, SubmissionId};
use custos_proof::header::MAX_SUBMISSIONS;
use custos_proof::ids::{Height, LogSize};
use custos_proof::submission::MAX_ITEMS;

/// What a snapshot file begins with.
pub(crate) const MAGIC: &[u8; 20] = b"custos.snapshot.v1\r\n";
/// The bytes of what stands behind a manifest in a file: length and hash.
pub(crate) const TRAILER_BYTES: u64 = 8 + 32;
/// A chunk is closed once it has this many bytes.
pub(crate) const CHUNK_BYTES: usize = 1 << 20;
/// Chunks of blocks end at multiples of this height, whatever their size: what changes in one stretch of the log leaves
/// the chunks of all others as they are.
pub(crate) const CHUNK_HEIGHTS: u64 = 1024;
/// The longest chunk: a block of the largest body whose every item has a record of the largest size.
pub(crate) const MAX_CHUNK_BYTES: u64 = 128 << 20;
/// The longest manifest.
pub(crate) const MAX_MANIFEST_BYTES: u64 = 64 << 20;
/// The most chunks of one snapshot: a terabyte of them.
const MAX_CHUNKS: usize = 1 << 20;
/// The most members of one chunk's list.
const MAX_ROWS: usize = 1 << 20;
/// The shortest header, certificate or record: each holds a hash. So what a chunk takes in memory is in proportion to
/// its bytes, whatever they are.
const MIN_HASHED_BYTES: usize = 32;
/// The longest hashed thing that a chunk carries whole.
const MAX_THING_BYTES: usize = 16 << 20;

const MANIFEST: &str = "custos.snapshot.manifest.v1";
const BASE: &str = "custos.snapshot.base.v1";
const BLOCKS: &str = "custos.snapshot.blocks.v1";
const STATE: &str = "custos.snapshot.state.v1";
const EVENTS: &str = "custos.snapshot.events.v1";

/// What a snapshot is of, and what it consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The chain.
    pub chain: ChainId,
    /// The last block's height.
    pub height: Height,
    /// The last block's id.
    pub block_id: BlockId,
    /// The log's size.
    pub log_size: LogSize,
    /// The root of the state map.
    pub state_root: Digest,
    /// The chunks, in order.
    pub chunks: Vec<ChunkRef>,
}

/// A chunk by its length and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkRef {
    /// How long it is, in bytes.
    pub bytes: u64,
    /// Its SHA-256.
    pub hash: Digest,
}

/// A part of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Chunk {
    /// First, and once.
    Base {
        genesis: Vec<u8>,
        /// Every validator set that decides or decided blocks.
        validators: Vec<Vec<u8>>,
    },
    /// Consecutive blocks.
    Blocks(Vec<PortableBlock>),
    /// Entries of the state map, ascending.
    State(Vec<(StateKey, Vec<u8>)>),
    /// Ids of events whose items are not there any more: author and id as the table of events has them, log index.
    Events(Vec<(Vec<u8>, u64)>),
}

/// A block with its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PortableBlock {
    pub(crate) header: Vec<u8>,
    pub(crate) certificate: Vec<u8>,
    pub(crate) submissions: Vec<PortableSubmission>,
    /// Each record, with its item if that is there.
    pub(crate) records: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// A submission without its items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PortableSubmission {
    pub(crate) envelope: PortableEnvelope,
    /// The log index of the first item recorded here; 0 when none is.
    pub(crate) first: u64,
    /// How many items it has.
    pub(crate) items: u32,
    /// Items that were recorded earlier: position, log index.
    pub(crate) before: Vec<(u32, u64)>,
}

/// An envelope, or its submission's id where it was pruned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PortableEnvelope {
    Kept(Vec<u8>),
    Pruned(SubmissionId),
}

impl Manifest {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.array(7);
        w.text(MANIFEST);
        w.bytes(&self.chain.0);
        w.u64(self.height.0);
        w.bytes(&self.block_id.0);
        w.u64(self.log_size.0);
        w.bytes(&self.state_root.0);
        w.array(self.chunks.len());
        for chunk in &self.chunks {
            w.array(2);
            w.u64(chunk.bytes);
            w.bytes(&chunk.hash.0);
        }
        w.into_bytes()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        r.array(7)?;
        kind(&mut r, MANIFEST)?;
        let mut manifest = Self {
            chain: ChainId(r.bytes_fixed()?),
            height: Height(r.u64()?),
            block_id: BlockId(r.bytes_fixed()?),
            log_size: LogSize(r.u64()?),
            state_root: Digest(r.bytes_fixed()?),
            chunks: Vec::new(),
        };
        for _ in 0..r.array_up_to(MAX_CHUNKS)? {
            r.array(2)?;
            let bytes = r.u64_up_to(MAX_CHUNK_BYTES, "the length of a chunk")?;
            manifest.chunks.push(ChunkRef { bytes, hash: Digest(r.bytes_fixed()?) });
        }
        r.finish()?;
        Ok(manifest)
    }
}

impl Chunk {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        match self {
            Chunk::Base { genesis, validators } => {
                w.array(3);
                w.text(BASE);
                w.bytes(genesis);
                w.array(validators.len());
                validators.iter().for_each(|set| w.bytes(set));
            }
            Chunk::Blocks(blocks) => {
                list(&mut w, BLOCKS, blocks.len());
                blocks.iter().for_each(|block| block.write(&mut w));
            }
            Chunk::State(entries) => {
                list(&mut w, STATE, entries.len());
                for (key, value) in entries {
                    w.array(2);
                    w.bytes(&key.0);
                    w.bytes(value);
                }
            }
            Chunk::Events(events) => {
                list(&mut w, EVENTS, events.len());
                for (key, index) in events {
                    w.array(2);
                    w.bytes(key);
                    w.u64(*index);
                }
            }
        }
        w.into_bytes()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let parts = r.array_up_to(3)?;
        let at = r.position();
        let chunk = match (r.ascii(64)?, parts) {
            (BASE, 3) => Chunk::Base { genesis: thing(&mut r)?, validators: many(&mut r, thing)? },
            (BLOCKS, 2) => Chunk::Blocks(many(&mut r, PortableBlock::read)?),
            (STATE, 2) => Chunk::State(many(&mut r, |r| {
                r.array(2)?;
                Ok((StateKey(r.bytes_fixed()?), thing(r)?))
            })?),
            (EVENTS, 2) => Chunk::Events(many(&mut r, |r| {
                r.array(2)?;
                Ok((r.bytes(MAX_EVENT_KEY)?.to_vec(), r.u64()?))
            })?),
            _ => return Err(DecodeError::Unexpected { at, expected: "a kind of chunk" }),
        };
        r.finish()?;
        Ok(chunk)
    }
}

/// Author and event id.
const MAX_EVENT_KEY: usize = 256;

impl PortableBlock {
    /// About how many bytes it takes up.
    pub(crate) fn size(&self) -> usize {
        let submissions = self.submissions.iter().map(|submission| match &submission.envelope {
            PortableEnvelope::Kept(bytes) => bytes.len() + 16,
            PortableEnvelope::Pruned(_) => 48,
        });
        let records =
            self.records.iter().map(|(record, item)| record.len() + item.as_ref().map_or(0, Vec::len) + 8);
        self.header.len() + self.certificate.len() + submissions.chain(records).sum::<usize>()
    }

    fn write(&self, w: &mut Writer) {
        w.array(4);
        w.bytes(&self.header);
        w.bytes(&self.certificate);
        w.array(self.submissions.len());
        for submission in &self.submissions {
            w.array(4);
            match &submission.envelope {
                PortableEnvelope::Kept(bytes) => w.bytes(bytes),
                PortableEnvelope::Pruned(id) => w.bytes(&id.0),
            }
            w.u64(submission.first);
            w.u64(submission.items.into());
            w.array(submission.before.len());
            for (position, index) in &submission.before {
                w.array(2);
                w.u64((*position).into());
                w.u64(*index);
            }
        }
        w.array(self.records.len());
        for (record, item) in &self.records {
            w.array(2);
            w.bytes(record);
            w.array(usize::from(item.is_some()));
            item.iter().for_each(|item| w.bytes(item));
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.array(4)?;
        let (header, certificate) = (hashed(r)?, hashed(r)?);
        let mut submissions = Vec::new();
        for _ in 0..r.array_up_to(MAX_SUBMISSIONS)? {
            r.array(4)?;
            let envelope = thing(r)?;
            // An envelope is a COSE_Sign1 and never this short.
            let envelope = match <[u8; 32]>::try_from(envelope.as_slice()) {
                Ok(id) => PortableEnvelope::Pruned(SubmissionId(id)),
                Err(_) => PortableEnvelope::Kept(envelope),
            };
            let first = r.u64()?;
            let items = number(r, MAX_ITEMS as u64, "the number of items")?;
            let mut before = Vec::new();
            for _ in 0..r.array_up_to(MAX_ITEMS)? {
                r.array(2)?;
                before.push((number(r, MAX_ITEMS as u64, "the position of an item")?, r.u64()?));
            }
            submissions.push(PortableSubmission { envelope, first, items, before });
        }
        let records = many(r, |r| {
            r.array(2)?;
            let record = hashed(r)?;
            let item = match r.array_up_to(1)? {
                0 => None,
                _ => Some(thing(r)?),
            };
            Ok((record, item))
        })?;
        Ok(Self { header, certificate, submissions, records })
    }
}

fn list(w: &mut Writer, kind: &str, len: usize) {
    w.array(2);
    w.text(kind);
    w.array(len);
}

fn kind(r: &mut Reader<'_>, expected: &'static str) -> Result<(), DecodeError> {
    let at = r.position();
    if r.ascii(64)? == expected { Ok(()) } else { Err(DecodeError::Unexpected { at, expected }) }
}

fn thing(r: &mut Reader<'_>) -> Result<Vec<u8>, DecodeError> {
    Ok(r.bytes(MAX_THING_BYTES)?.to_vec())
}

fn hashed(r: &mut Reader<'_>) -> Result<Vec<u8>, DecodeError> {
    let at = r.position();
    let bytes = thing(r)?;
    if bytes.len() < MIN_HASHED_BYTES {
        return Err(DecodeError::OutOfBounds { at, what: "the length of a header, certificate or record" });
    }
    Ok(bytes)
}

fn number(r: &mut Reader<'_>, max: u64, what: &'static str) -> Result<u32, DecodeError> {
    let at = r.position();
    u32::try_from(r.u64_up_to(max, what)?).map_err(|_| DecodeError::OutOfBounds { at, what })
}

fn many<T>(
    r: &mut Reader<'_>,
    one: impl Fn(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    // Grows as members are really read: a length alone takes no memory.
    let mut found = Vec::new();
    for _ in 0..r.array_up_to(MAX_ROWS)? {
        found.push(one(r)?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block(items: usize) -> PortableBlock {
        let envelope = |n: usize| match n % 2 {
            0 => PortableEnvelope::Kept(vec![1; 200]),
            _ => PortableEnvelope::Pruned(SubmissionId([n as u8; 32])),
        };
        PortableBlock {
            header: vec![1; 300],
            certificate: vec![2; 100],
            submissions: (0..items)
                .map(|n| PortableSubmission {
                    envelope: envelope(n),
                    first: 7,
                    items: 2,
                    before: vec![(1, n as u64)],
                })
                .collect(),
            records: (0..items).map(|n| (vec![3; 100], (n % 3 == 0).then(|| vec![4; 50]))).collect(),
        }
    }

    #[test]
    fn every_chunk_comes_back() {
        for chunk in [
            Chunk::Base { genesis: vec![0; 10], validators: vec![vec![1], vec![2, 3]] },
            Chunk::Blocks(vec![block(0), block(5)]),
            Chunk::State(vec![(StateKey([1; 32]), vec![]), (StateKey([2; 32]), vec![9; 300])]),
            Chunk::Events(vec![(vec![1; 40], 70_000)]),
        ] {
            assert_eq!(Chunk::from_bytes(&chunk.to_bytes()), Ok(chunk.clone()));
            let mut longer = chunk.to_bytes();
            longer.push(0);
            assert!(Chunk::from_bytes(&longer).is_err());
        }
    }

    #[test]
    fn many_short_records_are_refused_before_they_take_more_memory_than_the_chunk() {
        let mut short = block(1);
        short.records = vec![(vec![3; MIN_HASHED_BYTES - 1], None); 2];
        assert!(Chunk::from_bytes(&Chunk::Blocks(vec![short]).to_bytes()).is_err());
    }

    #[test]
    fn a_manifest_comes_back_and_a_chunk_that_is_too_long_is_refused() {
        let chunk = ChunkRef { bytes: MAX_CHUNK_BYTES, hash: Digest([4; 32]) };
        let mut manifest = Manifest {
            chain: ChainId([1; 32]),
            height: Height(9),
            block_id: BlockId([2; 32]),
            log_size: LogSize(40),
            state_root: Digest([3; 32]),
            chunks: vec![chunk; 3],
        };
        assert_eq!(Manifest::from_bytes(&manifest.to_bytes()), Ok(manifest.clone()));
        manifest.chunks[1].bytes += 1;
        assert!(Manifest::from_bytes(&manifest.to_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_chunk_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = Chunk::from_bytes(&bytes);
            let _ = Manifest::from_bytes(&bytes);
        }

        #[test]
        fn a_changed_chunk_is_another_one_or_an_error(at in 0usize..2000, bit in 0u8..8) {
            let chunk = Chunk::Blocks(vec![block(3)]);
            let mut bytes = chunk.to_bytes();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            prop_assert_ne!(Chunk::from_bytes(&bytes), Ok(chunk));
        }
    }
}
