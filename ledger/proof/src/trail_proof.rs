//! Trail proofs: *all* entries recorded on a trail, or that there are none.
//!
//! The header's state root commits to the trail's size and root, and the entries hash to that root.
//! A proof of a part carries one neighbour on each side, or reaches the trail's end, so that
//! nothing can hide at its edges. Entries whose item is withheld or pruned are still counted: their
//! records are here, only the bytes are not.

use alloc::vec::Vec;

use crate::cbor::{Bytes, DecodeError, List, Reader, View, Wire, Writer, wire_struct};
use crate::certificate::Certificate;
use crate::hash::ItemHash;
use crate::header::Header;
use crate::item::MAX_ITEM_BYTES;
use crate::receipt::ProvenKey;
use crate::record::{MAX_RECORD_BYTES, Path};
use crate::registry::TrailHead;
use crate::state_map;
use crate::submission::MAX_ENVELOPE_BYTES;
use crate::trail::TrailName;
use crate::witness::Witnessed;

/// The most entries in one trail proof; longer trails are proven in parts that share a header.
pub const MAX_ENTRIES: usize = 65_536;

/// The most different author keys in one trail proof.
pub const MAX_KEYS: usize = 1024;

/// One entry of a trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Record and item, with the author's envelope.
    Full {
        /// The record.
        record: Bytes<MAX_RECORD_BYTES>,
        /// The item.
        item: Bytes<MAX_ITEM_BYTES>,
        /// Which of the proof's envelopes carried it.
        envelope: u32,
        /// From the item to that envelope's `items_root`.
        item_path: Path,
    },
    /// The item is held back on somebody's order.
    Withheld {
        /// The record.
        record: Bytes<MAX_RECORD_BYTES>,
        /// The item that orders it.
        warrant: ItemHash,
    },
    /// The item's bytes were pruned or erased; or the record is of no item (a chain-made fact).
    Pruned {
        /// The record.
        record: Bytes<MAX_RECORD_BYTES>,
    },
}

impl Entry {
    /// The record's bytes.
    #[must_use]
    pub fn record(&self) -> &[u8] {
        match self {
            Entry::Full { record, .. } | Entry::Withheld { record, .. } | Entry::Pruned { record } => record,
        }
    }
}

impl Wire for Entry {
    fn write(&self, w: &mut Writer) {
        match self {
            Entry::Full { record, item, envelope, item_path } => {
                w.array(5);
                w.u64(0);
                record.write(w);
                item.write(w);
                envelope.write(w);
                item_path.write(w);
            }
            Entry::Withheld { record, warrant } => {
                w.array(3);
                w.u64(1);
                record.write(w);
                warrant.write(w);
            }
            Entry::Pruned { record } => {
                w.array(2);
                w.u64(2);
                record.write(w);
            }
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = r.position();
        match (r.array_up_to(5)?, r.u64()?) {
            (5, 0) => Ok(Entry::Full {
                record: Wire::read(r)?,
                item: Wire::read(r)?,
                envelope: Wire::read(r)?,
                item_path: Wire::read(r)?,
            }),
            (3, 1) => Ok(Entry::Withheld { record: Wire::read(r)?, warrant: Wire::read(r)? }),
            (2, 2) => Ok(Entry::Pruned { record: Wire::read(r)? }),
            _ => Err(DecodeError::Unexpected { at, expected: "a trail entry" }),
        }
    }
    fn view(&self) -> View {
        match self {
            Entry::Full { record, item, .. } => {
                View::Fields(alloc::vec![("record", record.view()), ("item", item.view())])
            }
            Entry::Withheld { record, warrant } => {
                View::Fields(alloc::vec![("record", record.view()), ("withheld_by", warrant.view())])
            }
            Entry::Pruned { record } => View::Fields(alloc::vec![("record", record.view())]),
        }
    }
}

wire_struct! {
    /// Entries of a trail, proven complete within their bounds.
    pub struct TrailProof = "custos.trail.v1" {
        /// Which trail.
        pub name: TrailName,
        /// Under which header.
        pub header: Header,
        /// Its certificate.
        pub certificate: Certificate,
        /// The trail's size and root under that header; absent when the trail does not exist.
        pub head: Option<TrailHead>,
        /// The proof of `head`, or of its absence, in the state map.
        pub head_proof: state_map::Proof,
        /// The position of the first entry.
        pub begin: u64,
        /// The entries from there, without a gap.
        pub entries: List<Entry, MAX_ENTRIES>,
        /// What else is needed to reach the trail's root.
        pub range_path: List<crate::hash::Digest, 128>,
        /// The envelopes that the entries refer to.
        pub envelopes: List<Bytes<MAX_ENVELOPE_BYTES>, MAX_ENTRIES>,
        /// The keys of their authors.
        pub keys: List<ProvenKey, MAX_KEYS>,
        /// Witnesses' signatures, if any.
        pub witnessed: Option<Witnessed>,
    }
}

impl TrailProof {
    /// The position behind the last entry.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.begin.saturating_add(self.entries.len() as u64)
    }

    /// The leaf hashes of the entries' records.
    #[must_use]
    pub fn leaves(&self) -> Vec<crate::hash::Digest> {
        self.entries.iter().map(|entry| crate::merkle::leaf_hash(entry.record())).collect()
    }
}
