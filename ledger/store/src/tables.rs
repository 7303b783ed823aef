//! The tables of a store: each a RocksDB column family with one kind of key and one kind of value.
//!
//! Integers in keys are big-endian, so that the order of keys is the order of the ledger. "CBOR"
//! values are the hashed bytes themselves; "row" values are ours and pass through `codec`; hashes are
//! 32 bytes each, one after the other. Nothing is kept twice for convenience: a submission's id
//! follows from its envelope, an item's hash from its record.
//!
//! *Primary* tables are what the ledger is; losing a row means fetching it from another node:
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | `format`, `rebuilding`, `genesis`, `head`, `whole_from` | row, row, CBOR, row, row |
//! | `records` | log index | CBOR of the record: the leaf of the log |
//! | `items` | log index | CBOR of the item; no row: pruned, or a record of no item |
//! | `envelopes` | height, position (4 bytes) | COSE_Sign1 of the submission; pruned: its id |
//! | `submissions` | first 8 bytes of the submission id; all of it when these are taken | row: height, position, where the items are recorded |
//! | `blocks` | height | row: first log index, number of submissions, CBOR of the header |
//! | `certificates` | height | CBOR of the certificate |
//! | `validators` | hash of the set | CBOR of a validator set that decides or decided blocks |
//! | `state` | state key | CBOR of an entry of the state map |
//!
//! *Derived* tables follow from them and are made anew by `fsck --rebuild`:
//!
//! | table | key | value |
//! |---|---|---|
//! | `item_index` | first 8 bytes of the item hash, log index | nothing |
//! | `tiles` | level (1 byte), tile (8 bytes) | up to 256 hashes, as in C2SP's tiles; then the roots over each 16 and each 64 of them |
//! | `trails` | trail key, position | row: log index; the leaf hash is in the log's tile |
//! | `trail_tiles` | trail key, level from 1 (1 byte), tile | as `tiles`; only of trails with 256 records or more |
//! | `trail_frontiers` | trail key | hashes of the trail's perfect subtrees, the largest first |
//! | `state_pages` | nibble path | page of the state map |
//! | `nonces` | bucket, author (CBOR), nonce | nothing |
//! | `events` | author (CBOR), event id | row: log index of the first record |
//! | `registry` | `p` participant; `k` owner 0x00 key id | nothing |
//! | `dues` | deadline, item hash of the cause, rule (4 bytes) | nothing |
//!
//! Pruning takes rows out of `items` and puts ids in the place of `envelopes`, and an erasure
//! (`payload.erase`) takes rows out of `items`; everything else stays, so that every proof and every
//! root stays what it was.
//!
//! # Correctness
//! The layout is the format: whoever changes it MUST raise [`FORMAT`].

use custos_proof::cbor::Wire;
use custos_proof::hash::{Digest, ItemHash, KeyId, SubmissionId, TrailKey};
use custos_proof::ids::{Height, LogIndex, ParticipantId, Random16, TimeMs};
use custos_proof::registry::DuePlace;
use custos_proof::submission::Author;

use crate::error::Mend;

/// The version of this layout.
pub const FORMAT: u32 = 3;

/// Keys of [`Table::Meta`].
pub(crate) mod meta {
    pub(crate) const FORMAT: &[u8] = b"format";
    pub(crate) const REBUILDING: &[u8] = b"rebuilding";
    pub(crate) const GENESIS: &[u8] = b"genesis";
    pub(crate) const HEAD: &[u8] = b"head";
    /// Absent when nothing was taken out of any block.
    pub(crate) const WHOLE_FROM: &[u8] = b"whole_from";
}

/// How a table is used, which decides how RocksDB keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// CBOR that repeats itself from row to row: larger blocks, lz4.
    Bytes,
    /// Hashes read one at a time by keys that are there.
    Hashes,
    /// Looked up by keys that often are not there: a Bloom filter.
    Lookup,
    /// Small and read in order.
    Scan,
}

macro_rules! tables {
    ($( $variant:ident = $name:literal, $use:ident, $mend:ident; )*) => {
        /// A table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Table {
            $( #[doc = concat!("`", $name, "`")] $variant, )*
        }

        impl Table {
            /// Every table.
            pub const ALL: &'static [Table] = &[$( Table::$variant, )*];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( Table::$variant => $name, )* }
            }

            /// How its damage is mended: derived tables are rebuilt.
            #[must_use]
            pub const fn mend(self) -> Mend {
                match self { $( Table::$variant => Mend::$mend, )* }
            }

            pub(crate) const fn usage(self) -> Use {
                match self { $( Table::$variant => Use::$use, )* }
            }

            /// Whether its rows are many, have random keys and are never written a second time: every file of new rows
            /// overlaps all that there are.
            pub(crate) const fn is_scattered(self) -> bool {
                matches!(self, Table::Submissions | Table::ItemIndex | Table::Trails | Table::Events)
            }
        }
    };
}

tables! {
    Meta = "meta", Scan, Restore;
    Records = "records", Bytes, Restore;
    Items = "items", Bytes, Restore;
    Envelopes = "envelopes", Bytes, Restore;
    Submissions = "submissions", Lookup, Restore;
    Blocks = "blocks", Bytes, Restore;
    Certificates = "certificates", Bytes, Restore;
    Validators = "validators", Scan, Restore;
    State = "state", Lookup, Restore;
    ItemIndex = "item_index", Scan, Rebuild;
    Tiles = "tiles", Hashes, Rebuild;
    Trails = "trails", Scan, Rebuild;
    TrailTiles = "trail_tiles", Hashes, Rebuild;
    TrailFrontiers = "trail_frontiers", Lookup, Rebuild;
    StatePages = "state_pages", Hashes, Rebuild;
    Nonces = "nonces", Lookup, Rebuild;
    Events = "events", Lookup, Rebuild;
    Registry = "registry", Scan, Rebuild;
    Dues = "dues", Scan, Rebuild;
}

pub(crate) fn index_key(index: LogIndex) -> [u8; 8] {
    index.0.to_be_bytes()
}

pub(crate) fn height_key(height: Height) -> [u8; 8] {
    height.0.to_be_bytes()
}

pub(crate) fn envelope_key(height: Height, position: u32) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&height.0.to_be_bytes());
    key[8..].copy_from_slice(&position.to_be_bytes());
    key
}

/// The part of an item's hash that the index keeps.
///
/// A quarter is enough, because whoever looks an item up compares the whole hash with its record.
pub(crate) fn item_prefix(item: &ItemHash) -> &[u8] {
    &item.0[..ITEM_PREFIX]
}

/// The length of [`item_prefix`].
pub(crate) const ITEM_PREFIX: usize = 8;

/// The part of a submission's id that is its key, unless another submission has that key.
///
/// A quarter is enough, because whoever looks a submission up compares the whole id with its envelope. Two with one
/// prefix can be made on purpose: the second has all of its id for a key.
pub(crate) fn submission_prefix(id: &SubmissionId) -> &[u8] {
    &id.0[..SUBMISSION_PREFIX]
}

const SUBMISSION_PREFIX: usize = 8;

pub(crate) fn item_index_key(item: &ItemHash, index: LogIndex) -> [u8; ITEM_PREFIX + 8] {
    let mut key = [0; ITEM_PREFIX + 8];
    key[..ITEM_PREFIX].copy_from_slice(item_prefix(item));
    key[ITEM_PREFIX..].copy_from_slice(&index_key(index));
    key
}

pub(crate) fn tile_key(level: u8, tile: u64) -> [u8; 9] {
    let mut key = [level; 9];
    key[1..].copy_from_slice(&tile.to_be_bytes());
    key
}

pub(crate) fn trail_position_key(trail: &TrailKey, position: u64) -> [u8; 40] {
    let mut key = [0; 40];
    key[..32].copy_from_slice(&trail.0);
    key[32..].copy_from_slice(&position.to_be_bytes());
    key
}

pub(crate) fn trail_tile_key(trail: &TrailKey, level: u8, tile: u64) -> [u8; 41] {
    let mut key = [0; 41];
    key[..32].copy_from_slice(&trail.0);
    key[32..].copy_from_slice(&tile_key(level, tile));
    key
}

pub(crate) fn nonce_prefix(bucket: u64, author: &Author) -> Vec<u8> {
    let mut key = bucket.to_be_bytes().to_vec();
    key.extend(author.to_bytes());
    key
}

pub(crate) fn nonce_key(bucket: u64, author: &Author, nonce: &Random16) -> Vec<u8> {
    let mut key = nonce_prefix(bucket, author);
    key.extend(nonce.0);
    key
}

pub(crate) fn event_key(author: &Author, event: &Random16) -> Vec<u8> {
    let mut key = author.to_bytes();
    key.extend(event.0);
    key
}

pub(crate) fn due_row(place: &DuePlace) -> [u8; 44] {
    let mut key = [0; 44];
    key[..8].copy_from_slice(&place.deadline.0.to_be_bytes());
    key[8..40].copy_from_slice(&place.cause.0);
    key[40..].copy_from_slice(&place.rule.to_be_bytes());
    key
}

/// The place that a key of `dues` stands for.
pub(crate) fn due_place(key: &[u8]) -> Option<DuePlace> {
    let key: &[u8; 44] = key.try_into().ok()?;
    Some(DuePlace {
        deadline: TimeMs(number(&key[..8])?),
        cause: ItemHash(key[8..40].try_into().ok()?),
        rule: u32::from_be_bytes(key[40..].try_into().ok()?),
    })
}

pub(crate) fn participant_row(id: &ParticipantId) -> Vec<u8> {
    let mut key = vec![b'p'];
    key.extend(id.as_str().bytes());
    key
}

/// Participant ids have no NUL, so that one owner's keys are not a prefix of another's.
pub(crate) fn key_prefix(owner: &ParticipantId) -> Vec<u8> {
    let mut key = vec![b'k'];
    key.extend(owner.as_str().bytes());
    key.push(0);
    key
}

pub(crate) fn key_row(owner: &ParticipantId, id: &KeyId) -> Vec<u8> {
    let mut key = key_prefix(owner);
    key.extend(id.0);
    key
}

/// Reads an eight-byte number from a key or a part of one.
pub(crate) fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

/// The hashes that `bytes` consists of.
pub(crate) fn hashes(bytes: &[u8]) -> Option<Vec<Digest>> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    rest.is_empty().then(|| hashes.iter().map(|hash| Digest(*hash)).collect())
}

/// The bytes of these hashes.
pub(crate) fn concatenated(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// The first key behind all keys that begin with `prefix`; `None` if there is no such key.
pub(crate) fn behind(prefix: &[u8]) -> Option<Vec<u8>> {
    let kept = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix[..=kept].to_vec();
    end[kept] += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_is_behind_every_key_with_it() {
        assert_eq!(behind(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(behind(&[1, 0xff, 0xff]), Some(vec![2]));
        assert_eq!(behind(&[0xff]), None);
        assert_eq!(behind(&[]), None);
    }

    #[test]
    fn the_order_of_dues_is_that_of_their_places() {
        let place = |deadline, cause, rule| DuePlace {
            deadline: TimeMs(deadline),
            cause: ItemHash([cause; 32]),
            rule,
        };
        let places =
            [place(1, 9, 9), place(256, 0, 0), place(256, 1, 0), place(256, 1, 300), place(257, 0, 1)];
        for pair in places.windows(2) {
            assert!(pair[0] < pair[1] && due_row(&pair[0]) < due_row(&pair[1]), "{pair:?}");
        }
        for place in places {
            assert_eq!(due_place(&due_row(&place)), Some(place));
        }
        assert_eq!(due_place(&[0; 43]), None);
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = Table::ALL.iter().map(|table| table.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Table::ALL.len());
    }
}
