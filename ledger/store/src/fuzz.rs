//! An entrance for fuzzing: the rows of the tables, as a damaged disk could give them.
//!
//! Rows are private to this crate, and stay so; `testnet/fuzz` asks here what becomes of bytes.
//! Deliberately absent: rows that are CBOR of the formats, which have targets of their own.

use bincode::{Decode, Encode};
use custos_proof::certificate::{Validator, ValidatorSet};
use custos_proof::hash::{BlockId, ChainId, Digest, ItemHash};
use custos_proof::ids::{Height, LogIndex, LogSize, Random16, TimeMs};
use custos_proof::keys::PublicKey;
use custos_proof::registry::DuePlace;
use custos_proof::submission::Author;
use custos_state::changes::Placed;
use custos_state::view::Head;

use crate::codec::{decode, encode};
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
