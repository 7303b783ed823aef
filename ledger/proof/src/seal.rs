//! Sealed fields: one commitment per item, opened field by field.
//!
//! The fields that never stand on the ledger in clear are the leaves of a small RFC 6962 tree, in
//! the order of the kind's table; the item carries its root. A leaf binds chain, kind, field, item
//! id, a 32-byte salt and the value, so that neither a commitment nor an opening can be lifted into
//! another item. All fields are always present; one that is not known says so inside.
//!
//! Salts come from one 32-byte seed per item, so that a vault keeps the seed and the values. An
//! opening shows one field and its path and says nothing about the others.
//!
//! Deliberately absent: randomness (the caller draws the seed) and the meaning of values
//! ([`crate::sealed_values`]).

use alloc::vec::Vec;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use thiserror::Error;

use crate::cbor::{Bytes, DecodeError, List, Reader, View, Wire, Writer, wire_struct};
use crate::given::{Form, Given, GivenError, Part};
use crate::hash::{ChainId, Digest};
use crate::ids::ItemId;
use crate::kinds::Kind;
use crate::merkle;

/// More sealed fields than any kind has.
pub const MAX_SEALED_FIELDS: usize = 32;

/// The longest sealed value, in bytes.
pub const MAX_SEALED_VALUE: usize = 64 * 1024;

/// The type constant of a sealed field's leaf.
const SEAL_LEAF: u64 = 4;

/// The commitment to an item's sealed fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// The root over the fields' leaves.
    pub root: Digest,
    /// SHA-256 of the ciphertext of all openings for the escrow recipients, if there is one.
    pub ciphertext: Option<Digest>,
}

impl Seal {
    /// The only algorithm: SHA-256 leaves in an RFC 6962 tree.
    const ALGORITHM: u64 = 1;
}

impl Wire for Seal {
    fn write(&self, w: &mut Writer) {
        w.array(3);
        w.u64(Self::ALGORITHM);
        self.root.write(w);
        self.ciphertext.write(w);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.array(3)?;
        let at = r.position();
        if r.u64()? != Self::ALGORITHM {
            return Err(DecodeError::OutOfBounds { at, what: "seal algorithm" });
        }
        Ok(Self { root: Wire::read(r)?, ciphertext: Wire::read(r)? })
    }
    fn view(&self) -> View {
        View::Fields(alloc::vec![("root", self.root.view()), ("ciphertext", self.ciphertext.view())])
    }
    fn from_given(given: &Given) -> Result<Self, GivenError> {
        let named = given.fields(&["root", "ciphertext"])?;
        Ok(Self {
            root: named.field("root", Wire::from_given)?,
            ciphertext: named.field("ciphertext", Wire::from_given)?,
        })
    }
    fn form() -> Form {
        Form::structure(alloc::vec![
            Part { name: "root", doc: &["The root over the sealed fields' leaves."], form: Digest::form },
            Part {
                name: "ciphertext",
                doc: &["SHA-256 of the ciphertext of all openings for the escrow recipients."],
                form: Option::<Digest>::form,
            },
        ])
    }
}

/// What a seal commits to: the place it stands in.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The chain.
    pub chain: &'a ChainId,
    /// The item's kind.
    pub kind: Kind,
    /// The item's id.
    pub item_id: &'a ItemId,
}

impl Place<'_> {
    /// The leaf hash of field `number` (from 1).
    #[must_use]
    pub fn leaf(&self, number: u8, salt: &[u8; 32], value: &[u8]) -> Digest {
        let mut w = Writer::new();
        w.array(7);
        w.u64(SEAL_LEAF);
        self.chain.write(&mut w);
        w.text(self.kind.name());
        w.u64(u64::from(number));
        self.item_id.write(&mut w);
        w.bytes(salt);
        w.bytes(value);
        merkle::leaf_hash(&w.into_bytes())
    }

    fn leaves(&self, seed: &[u8; 32], values: &[Vec<u8>]) -> Vec<Digest> {
        (1u8..).zip(values).map(|(number, value)| self.leaf(number, &salt(seed, number), value)).collect()
    }

    /// Seals `values`, one for each sealed field of the kind, in order.
    ///
    /// # Errors
    /// [`SealError`] when their number or a length is wrong.
    pub fn seal(&self, seed: &[u8; 32], values: &[Vec<u8>]) -> Result<Seal, SealError> {
        self.check_values(values)?;
        Ok(Seal { root: merkle::root_of(&self.leaves(seed, values)), ciphertext: None })
    }

    /// The opening of field `number` (from 1).
    ///
    /// # Errors
    /// [`SealError`] when the values are not those of the kind, or it has no such field.
    pub fn open(&self, seed: &[u8; 32], values: &[Vec<u8>], number: u8) -> Result<Opening, SealError> {
        self.check_values(values)?;
        let index = usize::from(number).checked_sub(1).ok_or(SealError::NoSuchField { number })?;
        let value = values.get(index).ok_or(SealError::NoSuchField { number })?;
        let leaves = self.leaves(seed, values);
        let path = merkle::path_of(&leaves, index as u64).ok_or(SealError::NoSuchField { number })?;
        Ok(Opening {
            item_id: *self.item_id,
            field: number,
            salt: Digest(salt(seed, number)),
            value: Bytes::new(value.clone()).ok_or(SealError::TooLong { number })?,
            path: List::new(path).ok_or(SealError::NoSuchField { number })?,
        })
    }

    /// Whether `opening` shows what `seal` committed to in this place.
    #[must_use]
    pub fn verify(&self, seal: &Seal, opening: &Opening) -> bool {
        let size = self.kind.sealed_fields().len() as u64;
        let index = u64::from(opening.field).wrapping_sub(1);
        opening.item_id == *self.item_id
            && index < size
            && merkle::verify_inclusion(
                &self.leaf(opening.field, &opening.salt.0, &opening.value),
                index,
                size,
                &opening.path,
                &seal.root,
            )
    }

    fn check_values(&self, values: &[Vec<u8>]) -> Result<(), SealError> {
        let expected = self.kind.sealed_fields().len();
        if values.len() != expected || expected == 0 {
            return Err(SealError::WrongNumber { expected, found: values.len() });
        }
        match (1u8..).zip(values).find(|(_, value)| value.len() > MAX_SEALED_VALUE) {
            Some((number, _)) => Err(SealError::TooLong { number }),
            None => Ok(()),
        }
    }
}

/// The salt of field `number`: `HMAC-SHA-256(seed, CBOR ["custos/1/salt", number])`.
#[must_use]
pub fn salt(seed: &[u8; 32], number: u8) -> [u8; 32] {
    let mut w = Writer::new();
    w.array(2);
    w.text("custos/1/salt");
    w.u64(u64::from(number));
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(seed).expect("because HMAC takes keys of any length");
    mac.update(&w.into_bytes());
    mac.finalize().into_bytes().into()
}

wire_struct! {
    /// One sealed field, shown.
    pub struct Opening {
        /// Of which item.
        pub item_id: ItemId,
        /// Which field, from 1.
        pub field: u8,
        /// The field's salt.
        pub salt: Digest,
        /// The value: CBOR of the field's type.
        pub value: Bytes<MAX_SEALED_VALUE>,
        /// From the field's leaf to the seal's root.
        pub path: List<Digest, 5>,
    }
}

/// Why values cannot be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SealError {
    /// Not one value for each sealed field.
    #[error("the kind has {expected} sealed fields, {found} values were given")]
    WrongNumber {
        /// How many the kind has.
        expected: usize,
        /// How many were given.
        found: usize,
    },
    /// A value is longer than [`MAX_SEALED_VALUE`].
    #[error("the value of sealed field {number} is too long")]
    TooLong {
        /// Which, from 1.
        number: u8,
    },
    /// The kind has no such sealed field.
    #[error("the kind has no sealed field {number}")]
    NoSuchField {
        /// Which, from 1.
        number: u8,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn place<'a>(chain: &'a ChainId, item_id: &'a ItemId) -> Place<'a> {
        Place { chain, kind: Kind::RulePut, item_id }
    }

    #[test]
    fn an_opening_shows_its_own_field_in_its_own_item_only() {
        let (chain, id, other) = (ChainId([1; 32]), ItemId([2; 16]), ItemId([3; 16]));
        let values = vec![vec![1], vec![2], vec![3]];
        let seal = place(&chain, &id).seal(&[9; 32], &values).unwrap();
        for number in 1..=3 {
            let opening = place(&chain, &id).open(&[9; 32], &values, number).unwrap();
            assert!(place(&chain, &id).verify(&seal, &opening));
            assert!(!place(&ChainId([7; 32]), &id).verify(&seal, &opening));
            assert!(!place(&chain, &other).verify(&seal, &Opening { item_id: other, ..opening.clone() }));
            assert!(!place(&chain, &id).verify(&seal, &Opening { field: number % 3 + 1, ..opening.clone() }));
            assert!(
                !place(&chain, &id)
                    .verify(&seal, &Opening { value: Bytes::new(vec![4]).unwrap(), ..opening })
            );
        }
        assert!(place(&chain, &id).open(&[9; 32], &values, 0).is_err());
        assert!(place(&chain, &id).open(&[9; 32], &values, 4).is_err());
    }
}
