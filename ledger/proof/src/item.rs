//! An item: one act or one statement, the smallest thing that is signed for.
//!
//! `[1, kind, item id, fields]`. An item is referred to by its RFC 6962 leaf hash. It becomes part
//! of the ledger through a submission ([`crate::submission`]), and its record
//! ([`crate::record`]) carries the hash, not the bytes, so that the bytes can be pruned and erased
//! while every proof stays valid.

use alloc::vec::Vec;

use crate::cbor::{DecodeError, Reader, View, Wire, Writer};
use crate::given::{Given, GivenError};
use crate::hash::ItemHash;
use crate::ids::ItemId;
use crate::kinds::{Fields, Kind};
use crate::merkle;

/// The longest item, in bytes.
pub const MAX_ITEM_BYTES: usize = 4096;

/// The type constant of an item's leaf.
const ITEM_LEAF: u64 = 1;

/// An item, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Keeps items with equal fields apart.
    pub item_id: ItemId,
    /// What it says, by kind.
    pub fields: Fields,
}

impl Item {
    /// The item's kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.fields.kind()
    }
}

/// How an item with these bytes is referred to: `SHA-256(0x00 || item)`.
#[must_use]
pub fn item_hash(item: &[u8]) -> ItemHash {
    merkle::leaf_hash(item).into()
}

/// The name of an item's kind, read without judging its fields: also of kinds that this version lacks.
///
/// # Errors
/// Bytes that do not begin as an item does.
pub fn kind_name(item: &[u8]) -> Result<&str, DecodeError> {
    let mut r = Reader::new(item);
    head(&mut r)
}

fn head<'a>(r: &mut Reader<'a>) -> Result<&'a str, DecodeError> {
    r.array(4)?;
    let at = r.position();
    if r.u64()? != ITEM_LEAF {
        return Err(DecodeError::Unexpected { at, expected: "the type constant of an item" });
    }
    r.ascii(64)
}

impl Wire for Item {
    fn write(&self, w: &mut Writer) {
        w.array(4);
        w.u64(ITEM_LEAF);
        w.text(self.kind().name());
        self.item_id.write(w);
        self.fields.write(w);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = r.position();
        let kind = Kind::from_name(head(r)?).ok_or(DecodeError::OutOfBounds {
            at: start,
            what: "kind of item (unknown to this protocol version)",
        })?;
        let item = Self { item_id: Wire::read(r)?, fields: Fields::read(kind, r)? };
        if r.position() - start > MAX_ITEM_BYTES {
            return Err(DecodeError::OutOfBounds { at: start, what: "item length" });
        }
        Ok(item)
    }
    fn view(&self) -> View {
        View::Fields(alloc::vec![
            ("kind", View::Text(self.kind().name().into())),
            ("item_id", self.item_id.view()),
            ("fields", self.fields.view()),
        ])
    }
    fn from_given(given: &Given) -> Result<Self, GivenError> {
        let named = given.fields(&["kind", "item_id", "fields"])?;
        let kind = named.field("kind", |kind| kind.parse("a kind of item", Kind::from_name))?;
        Ok(Self {
            item_id: named.field("item_id", Wire::from_given)?,
            fields: named.field("fields", |fields| Fields::from_given(kind, fields))?,
        })
    }
}

/// The RFC 6962 root over items, and their hashes: what a submission's payload commits to.
#[must_use]
pub fn items_root(items: &[Vec<u8>]) -> (crate::hash::Digest, Vec<ItemHash>) {
    let hashes: Vec<ItemHash> = items.iter().map(|item| item_hash(item)).collect();
    let leaves: Vec<_> = hashes.iter().map(|hash| (*hash).into()).collect();
    (merkle::root_of(&leaves), hashes)
}
