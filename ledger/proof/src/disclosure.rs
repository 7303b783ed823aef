//! Disclosures: a proof together with the openings of some of its sealed fields.
//!
//! Whoever holds a disclosure reads what the openings show, checked against the seals that the
//! ledger recorded; everything else stays "sealed, not shown".

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::cbor::{Bytes, List, wire_struct};
use crate::hash::ChainId;
use crate::ids::ItemId;
use crate::item::Item;
use crate::seal::{Opening, Place};
use crate::verify::Failure;

/// The longest proof inside a disclosure, in bytes.
pub const MAX_PROOF_BYTES: usize = 64 * 1024 * 1024;

/// The most openings in one file.
pub const MAX_OPENINGS: usize = 1 << 20;

wire_struct! {
    /// Openings alone, to go with a proof in another file.
    pub struct Openings = "custos.openings.v1" {
        /// Of sealed fields.
        pub openings: List<Opening, MAX_OPENINGS>,
    }
}

wire_struct! {
    /// A receipt or trail proof with openings.
    pub struct Disclosure = "custos.disclosure.v1" {
        /// The bytes of a receipt or trail proof.
        pub proof: Bytes<MAX_PROOF_BYTES>,
        /// Of its sealed fields.
        pub openings: List<Opening, MAX_OPENINGS>,
    }
}

/// One sealed field of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The field's number, from 1.
    pub field: u8,
    /// The field's name.
    pub name: &'static str,
    /// Its value's bytes, or `None`: sealed, not shown.
    pub value: Option<Vec<u8>>,
}

/// The sealed fields of an item, each with its value if an opening shows it.
///
/// # Errors
/// [`Failure::Opening`] when an opening for this item does not fit its seal.
pub fn show(chain: &ChainId, item: &Item, openings: &[Opening]) -> Result<Vec<Shown>, Failure> {
    let Some(seal) = item.fields.seal() else {
        return Ok(Vec::new());
    };
    let place = Place { chain, kind: item.kind(), item_id: &item.item_id };
    let mut shown: Vec<Shown> = (1u8..)
        .zip(item.kind().sealed_fields())
        .map(|(field, name)| Shown { field, name, value: None })
        .collect();
    for opening in openings.iter().filter(|opening| opening.item_id == item.item_id) {
        if !place.verify(seal, opening) {
            return Err(Failure::Opening { item_id: item.item_id, field: opening.field });
        }
        if let Some(field) = shown.iter_mut().find(|shown| shown.field == opening.field) {
            field.value = Some(opening.value.to_vec());
        }
    }
    Ok(shown)
}

/// The sealed fields of several items that are shown together, each item's in turn.
///
/// An item's id is chosen by its author, so somebody may have written an item with the id of another's. An opening
/// is therefore one of the item whose seal it fits, and speaks against what is shown only when it fits none of that id.
///
/// # Errors
/// [`Failure::Opening`] when an opening fits none of the items that have its id.
pub fn show_all(chain: &ChainId, items: &[&Item], openings: &[Opening]) -> Result<Vec<Vec<Shown>>, Failure> {
    let mut by_id: BTreeMap<ItemId, Vec<usize>> = BTreeMap::new();
    for (i, item) in items.iter().enumerate().filter(|(_, item)| item.fields.seal().is_some()) {
        by_id.entry(item.item_id).or_default().push(i);
    }
    let mut fitting: Vec<Vec<Opening>> = items.iter().map(|_| Vec::new()).collect();
    for opening in openings {
        let Some(named) = by_id.get(&opening.item_id) else { continue };
        let fits = |i: &&usize| {
            let item = items[**i];
            let place = Place { chain, kind: item.kind(), item_id: &item.item_id };
            item.fields.seal().is_some_and(|seal| place.verify(seal, opening))
        };
        match named.iter().find(fits) {
            Some(i) => fitting[*i].push(opening.clone()),
            None => return Err(Failure::Opening { item_id: opening.item_id, field: opening.field }),
        }
    }
    items.iter().zip(&fitting).map(|(item, openings)| show(chain, item, openings)).collect()
}
