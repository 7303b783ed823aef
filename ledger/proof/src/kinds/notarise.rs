//! `notarise`: a document existed, and what it allots does not exceed what it comes from.
//!
//! An act, by any participant, in its institution's trail. The document stays where it is; the ledger
//! holds its digest. Where amounts are given, the children of an item never add up to more than it.

use crate::cbor::{Ascii, wire_struct};
use crate::hash::{Digest, ItemHash};
use crate::ids::ParticipantId;

wire_struct! {
    /// A document's digest, with its place among others.
    pub struct Notarise {
        /// What the document is: one of the policy's schema ids.
        pub schema: Ascii<48>,
        /// SHA-256 of the document.
        pub digest: Digest,
        /// The `notarise` item that it is a part of.
        pub parent: Option<ItemHash>,
        /// An amount in the schema's smallest unit; with a parent, it is taken from the parent's.
        pub amount: Option<u64>,
        /// Who may notarise parts of it; absent: its author.
        pub holder: Option<ParticipantId>,
    }
}
