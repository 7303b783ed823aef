//! An entrance for fuzzing: the rows of the tables and the database's logs, as a damaged disk could give them, and the
//! parts of a snapshot, as anybody could write them.
//!
//! They are private to this crate, and stay so; `testnet/fuzz` asks here what becomes of bytes.
//! Deliberately absent: rows that are CBOR of the formats, which have targets of their own.

use bincode::{Decode, Encode};
use custos_proof::certificate::{Validator, ValidatorSet};
use custos_proof::hash::{BlockId, ChainId, Digest, ItemHash, StateKey, SubmissionId, sha256};
use custos_proof::ids::{Height, LogIndex, LogSize, Random16, TimeMs};
use custos_proof::keys::PublicKey;
use custos_proof::registry::DuePlace;
use custos_proof::submission::Author;
use custos_state::changes::Placed;
use custos_state::view::Head;

use crate::codec::{decode, encode};
use crate::crc32c::Crc;
use crate::logs::{self, Log, Verdict};
use crate::portable::format::{Chunk, PortableBlock, PortableEnvelope, PortableSubmission};
use crate::portable::{ChunkRef, Manifest};
use crate::rows::{BlockRow, HeadRow, SubmissionRow, head_height};
use crate::snapshot::nonce_owner;
use crate::tables;
use crate::tiles::Tile;

/// The kinds of row, by the first byte of what [`row`] takes.
pub const KINDS: u8 = 8;

/// Reads the first byte as the kind of a row and the rest as its bytes.
///
/// # Errors
/// What is wrong with them.
///
/// # Panics
/// When a row that was read is written otherwise in a way that matters: a tile, a list of hashes, a key.
pub fn row(bytes: &[u8]) -> Result<(), String> {
    let Some((kind, rest)) = bytes.split_first() else { return Err("no kind".into()) };
    let none = || "of another form".to_owned();
    match kind % KINDS {
        0 => {
            let _ = head_height(rest);
            again::<HeadRow>(rest)?.head().map(drop)
        }
        1 => again::<BlockRow>(rest).map(drop),
        2 => again::<SubmissionRow>(rest)?.placed().map(drop).ok_or_else(none),
        3 => again::<u64>(rest).map(drop),
        4 => {
            let tile = Tile::from_bytes(rest).ok_or_else(none)?;
            assert_eq!(tile.to_bytes(), rest, "a tile has another spelling");
            for (offset, count) in [(0, 1), (0, 16), (16, 16), (0, 256), (256, 1), (usize::MAX, 2)] {
                let _ = tile.root(offset, count);
            }
            Ok(())
        }
        5 => {
            let hashes = tables::hashes(rest).ok_or_else(none)?;
            assert_eq!(tables::concatenated(&hashes), rest, "hashes have another spelling");
            Ok(())
        }
        6 => {
            let place = tables::due_place(rest).ok_or_else(none)?;
            assert_eq!(tables::due_row(&place).as_slice(), rest, "a due row has another spelling");
            Ok(())
        }
        _ => nonce_owner(rest).map(drop).ok_or_else(none),
    }
}

/// A row, which MUST be readable again as it is written.
fn again<T: Encode + Decode<()> + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Result<T, String> {
    let row: T = decode(bytes).map_err(|error| error.to_string())?;
    assert_eq!(decode::<T>(&encode(&row)).as_ref(), Ok(&row), "a row does not come back");
    Ok(row)
}

/// A row of every kind, for [`row`].
#[must_use]
pub fn rows() -> Vec<Vec<u8>> {
    let of = |kind: u8, bytes: Vec<u8>| [&[kind], &bytes[..]].concat();
    let due = DuePlace { deadline: TimeMs(9), cause: ItemHash([8; 32]), rule: 1 };
    let mut rows = vec![
        of(1, encode(&BlockRow { first: 300, submissions: 2, header: vec![0x8d; 40] })),
        of(3, encode(&7u64)),
        of(3, encode(&(1u64 << 40))),
        of(4, Tile::of(vec![Digest([1; 32]); 5]).to_bytes()),
        of(4, Tile::of(vec![Digest([1; 32]); 256]).to_bytes()),
        of(5, tables::concatenated(&[Digest([1; 32]), Digest([2; 32])])),
        of(6, tables::due_row(&due).to_vec()),
        of(7, tables::nonce_key(3, &Author::Participant(validator().participant), &Random16([4; 16]))),
    ];
    let placed = [Placed::Before(LogIndex(3)), Placed::Here(LogIndex(10)), Placed::Here(LogIndex(11))];
    rows.extend(SubmissionRow::of(Height(2), 1, &placed).map(|row| of(2, encode(&row))));
    rows.extend(head().map(|head| of(0, encode(&HeadRow::of(&head)))));
    rows
}

/// Reads the first byte as what a log is for, and the rest as the log.
///
/// # Errors
/// What is wrong with its end.
///
/// # Panics
/// When a whole log that is cut short, as a crash may cut it, is taken for a damaged one.
pub fn log(bytes: &[u8]) -> Result<(), String> {
    let Some((kind, log)) = bytes.split_first() else { return Err("no kind".into()) };
    let kind = if kind % 2 == 0 { Log::Ahead } else { Log::Manifest };
    let judge = |mut log: &[u8]| logs::judge(&mut log, kind).map_err(|error| error.to_string());
    match judge(log)? {
        Verdict::Damaged { why, .. } => Err(why),
        Verdict::Torn { .. } => Err("torn".into()),
        Verdict::Whole => {
            for lost in [1, 6, 7, 8, log.len() / 2, log.len()] {
                // A record that is whole is of a type that a torn write begins with. Only a payload that has one checksum
                // with its own beginning could show another length, and no mutation finds one.
                let cut = judge(&log[..log.len().saturating_sub(lost)])?;
                assert!(!matches!(cut, Verdict::Damaged { .. }), "{lost} bytes less: {cut:?}");
            }
            Ok(())
        }
    }
}

/// Logs that are whole, for [`log`]: writes within a block, up to its border, and over it.
#[must_use]
pub fn logs() -> Vec<Vec<u8>> {
    const FULL: u8 = 1;
    let record = |kind: u8, length: usize| {
        let payload = vec![b'x'; length];
        let mut crc = Crc::new();
        crc.push(kind);
        crc.extend(&payload);
        let length = u16::try_from(length).expect("because a record is within a block of 32 KiB");
        [&crc.masked().to_le_bytes()[..], &length.to_le_bytes(), &[kind], &payload].concat()
    };
    let log = |of: u8, records: &[(u8, usize)]| {
        let records = records.iter().flat_map(|(kind, length)| record(*kind, *length));
        std::iter::once(of).chain(records).collect()
    };
    const BLOCK: usize = (32 << 10) - 7;
    vec![
        log(0, &[(FULL, 3), (FULL, 40), (FULL, 0)]),
        log(1, &[(FULL, 40), (FULL, 40)]),
        log(0, &[(FULL, BLOCK), (FULL, 9)]),
        log(0, &[(FULL, 100), (2, BLOCK - 107), (3, BLOCK), (4, 10), (FULL, 5)]),
    ]
}

/// Reads the first byte as which part of a snapshot, and the rest as its bytes: a manifest, or a chunk. Both have a hash
/// behind them or elsewhere, which says that nothing was changed since, and nothing of who wrote them.
///
/// # Errors
/// What is wrong with them.
///
/// # Panics
/// When a part that was read has another spelling: it is deterministic CBOR.
pub fn snapshot(bytes: &[u8]) -> Result<(), String> {
    let Some((part, rest)) = bytes.split_first() else { return Err("no part".into()) };
    let written = match part % 2 {
        0 => Manifest::from_bytes(rest).map(|manifest| manifest.to_bytes()),
        _ => Chunk::from_bytes(rest).map(|chunk| chunk.to_bytes()),
    };
    assert!(written.map_err(|error| error.to_string())? == rest, "a part of a snapshot has another spelling");
    Ok(())
}

/// A manifest, and a chunk of every kind, for [`snapshot`].
#[must_use]
pub fn snapshots() -> Vec<Vec<u8>> {
    let submission = |envelope, first, before| PortableSubmission { envelope, first, items: 2, before };
    let block = PortableBlock {
        header: vec![0x8d; 40],
        certificate: vec![0x84; 40],
        submissions: vec![
            submission(PortableEnvelope::Kept(vec![0xd2; 90]), 300, vec![(1, 7)]),
            submission(PortableEnvelope::Pruned(SubmissionId([8; 32])), 0, vec![(0, 7), (1, 70_000)]),
        ],
        records: vec![(vec![0x87; 40], Some(vec![0x83; 20])), (vec![0x87; 40], None)],
    };
    let chunks = [
        Chunk::Base { genesis: vec![0x8a; 40], validators: vec![vec![0x81; 8], vec![0x82; 8]] },
        Chunk::Blocks(vec![block.clone(), block]),
        Chunk::Events(vec![(vec![3; 30], 300), (vec![4; 30], 7)]),
        Chunk::State(vec![(StateKey([1; 32]), vec![5; 10]), (StateKey([2; 32]), vec![6; 300])]),
    ]
    .map(|chunk| chunk.to_bytes());
    let reference = |chunk: &Vec<u8>| ChunkRef { bytes: chunk.len() as u64, hash: sha256(chunk) };
    let manifest = Manifest {
        chain: ChainId([1; 32]),
        height: Height(2),
        block_id: BlockId([2; 32]),
        log_size: LogSize(4),
        state_root: Digest([3; 32]),
        chunks: chunks.iter().map(reference).collect(),
    };
    let of = |part: u8, bytes: &[u8]| [&[part], bytes].concat();
    let chunks = chunks.iter().map(|chunk| of(1, chunk));
    std::iter::once(of(0, &manifest.to_bytes())).chain(chunks).collect()
}

fn validator() -> Validator {
    let participant = "hospital-a".parse().expect("because it is a participant id");
    Validator { participant, key: PublicKey([5; 32]), power: 10 }
}

fn head() -> Option<Head> {
    Some(Head {
        chain: ChainId([1; 32]),
        registrar: validator().participant,
        height: Height(7),
        block_id: BlockId([2; 32]),
        time: TimeMs(1_767_225_600_000),
        log_size: LogSize(20),
        log_frontier: vec![Digest([3; 32]); 2],
        state_root: Digest([4; 32]),
        validators_hash: Digest([6; 32]),
        next_validators: ValidatorSet::new(vec![validator()]).ok()?,
    })
}
