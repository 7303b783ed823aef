//! Headers and blocks.
//!
//! The header commits to the log root and the state root *after* its own items; validators
//! recompute both before they vote, so that the commit certificate proves both. A block's body is
//! the list of submissions, byte for byte.

use alloc::vec::Vec;

use crate::cbor::{DecodeError, Reader, View, Wire, Writer, wire_struct};
use crate::hash::{BlockId, ChainId, Digest, SubmissionId, Tag, tagged};
use crate::ids::{Height, LogSize, ParticipantId, Round, TimeMs};
use crate::merkle;
use crate::submission::MAX_SUBMISSION_BYTES;

/// The protocol version that this crate knows. It selects the table of kinds and rules.
pub const PROTOCOL_VERSION: u64 = 1;

/// The most bytes in a block.
pub const MAX_BLOCK_BYTES: usize = 4 * 1024 * 1024;

/// The most submissions in a block.
pub const MAX_SUBMISSIONS: usize = 8192;

/// The type constant of a body's leaf.
const BODY_LEAF: u64 = 3;

wire_struct! {
    /// What a quorum signs for.
    pub struct Header {
        /// The protocol version.
        pub version: u64,
        /// The chain.
        pub chain: ChainId,
        /// The block's number, from 1.
        pub height: Height,
        /// The round in which the block was *built*; it may be decided in a later one.
        pub round: Round,
        /// The block's time: the `t` of every rule.
        pub time: TimeMs,
        /// The parent's block id; at height 1 the genesis.
        pub parent: BlockId,
        /// The RFC 6962 root over the submission ids, in body order.
        pub body_root: Digest,
        /// The log's size after this block.
        pub log_size: LogSize,
        /// The log's root after this block.
        pub log_root: Digest,
        /// The state map's root after this block.
        pub state_root: Digest,
        /// The validators that decide this block.
        pub validators_hash: Digest,
        /// The validators that decide the next one.
        pub next_validators_hash: Digest,
        /// Who built the block.
        pub proposer: ParticipantId,
    }
}

impl Header {
    /// The tagged hash of the header.
    #[must_use]
    pub fn block_id(&self) -> BlockId {
        tagged(Tag::Block, &[&self.to_bytes()]).into()
    }
}

/// The root over submission ids, in body order.
#[must_use]
pub fn body_root(ids: &[SubmissionId]) -> Digest {
    let leaves: Vec<Digest> = ids
        .iter()
        .map(|id| {
            let mut w = Writer::new();
            w.array(2);
            w.u64(BODY_LEAF);
            id.write(&mut w);
            merkle::leaf_hash(&w.into_bytes())
        })
        .collect();
    merkle::root_of(&leaves)
}

/// A header with its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The header.
    pub header: Header,
    /// The submissions' bytes, in order.
    pub body: Vec<Vec<u8>>,
}

impl Wire for Block {
    fn write(&self, w: &mut Writer) {
        w.array(2);
        self.header.write(w);
        w.array(self.body.len());
        self.body.iter().for_each(|submission| w.bytes(submission));
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.array(2)?;
        let header = Header::read(r)?;
        let count = r.array_up_to(MAX_SUBMISSIONS)?;
        let body = (0..count)
            .map(|_| r.bytes(MAX_SUBMISSION_BYTES).map(<[u8]>::to_vec))
            .collect::<Result<_, _>>()?;
        Ok(Self { header, body })
    }
    fn view(&self) -> View {
        View::Fields(alloc::vec![
            ("header", self.header.view()),
            ("submissions", View::Number(self.body.len() as i128)),
        ])
    }
}
