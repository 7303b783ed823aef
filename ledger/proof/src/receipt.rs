//! Receipts: one item, proven to be in the log, signed by its author and by a quorum.
//!
//! A receipt carries everything but the trust anchor: the item, the envelope that its author
//! signed, the paths from item to envelope and from record to log root, the header with its
//! certificate, and the author's key as the state map holds it.

use crate::cbor::{Bytes, Wire, wire_struct};
use crate::certificate::Certificate;
use crate::header::Header;
use crate::item::MAX_ITEM_BYTES;
use crate::keys::key_id;
use crate::record::{MAX_RECORD_BYTES, Path};
use crate::registry::{self, KeyEntry};
use crate::state_map;
use crate::submission::MAX_ENVELOPE_BYTES;
use crate::verify::Failure;
use crate::witness::Witnessed;

wire_struct! {
    /// A key's entry, with its proof in the state map of a header.
    pub struct ProvenKey {
        /// The entry.
        pub entry: KeyEntry,
        /// Its place in the map.
        pub proof: state_map::Proof,
    }
}

impl ProvenKey {
    /// Checks the proof against a header.
    ///
    /// # Errors
    /// [`Failure::KeyProof`].
    pub fn check(&self, header: &Header) -> Result<(), Failure> {
        let key = registry::key_key(&key_id(&self.entry.key));
        if state_map::verify(&header.state_root, &key, Some(&self.entry.to_bytes()), &self.proof) {
            Ok(())
        } else {
            Err(Failure::KeyProof)
        }
    }
}

wire_struct! {
    /// Proof that an item was recorded.
    pub struct Receipt = "custos.receipt.v1" {
        /// The item.
        pub item: Bytes<MAX_ITEM_BYTES>,
        /// The envelope that its author signed.
        pub envelope: Bytes<MAX_ENVELOPE_BYTES>,
        /// From the item to the envelope's `items_root`.
        pub item_path: Path,
        /// The record.
        pub record: Bytes<MAX_RECORD_BYTES>,
        /// From the record to the header's `log_root`.
        pub record_path: Path,
        /// A header at or after the record's block.
        pub header: Header,
        /// Its certificate.
        pub certificate: Certificate,
        /// The author's key.
        pub author_key: ProvenKey,
        /// Witnesses' signatures, if any.
        pub witnessed: Option<Witnessed>,
    }
}
