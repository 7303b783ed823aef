//! Checkpoints as the transparency-log world writes them, and the cosignatures of witnesses.
//!
//! A quorum of retired validators can sign another history for ever. Witnesses outside the network
//! close that gap: each cosigns log roots that extend the ones it saw before (C2SP tlog-checkpoint
//! and tlog-cosignature). The first record of every block commits to its parent, so one witnessed
//! log root fixes every earlier header and with it every earlier state root.
//!
//! It does not fix the header that ends at that very root: whoever holds retired keys could sign
//! another state root beside a genuine log root. A header is therefore witnessed only through the
//! first record of the block after it.

use alloc::format;
use alloc::string::String;

use base64ct::{Base64, Encoding};

use crate::cbor::{Bytes, List, Wire, wire_struct};
use crate::hash::{ChainId, Digest};
use crate::header::Header;
use crate::ids::LogSize;
use crate::keys::{PublicKey, Signature, verify_zip215};
use crate::merkle;
use crate::record::{Entry, MAX_RECORD_BYTES, Path, Record};

/// The most witnesses that an anchor names and a bundle carries.
pub const MAX_WITNESSES: usize = 16;

/// The text of a checkpoint (C2SP tlog-checkpoint): origin, size, root.
#[must_use]
pub fn checkpoint(chain: &ChainId, size: LogSize, root: &Digest) -> String {
    format!("{}\n{size}\n{}\n", origin(chain), Base64::encode_string(&root.0))
}

/// The log's origin line: what a checkpoint is of.
#[must_use]
pub fn origin(chain: &ChainId) -> String {
    format!("custos/{chain}")
}

/// What a witness signs (C2SP tlog-cosignature, version 1); `time` in Unix seconds.
#[must_use]
pub fn cosignature_preimage(checkpoint: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{checkpoint}")
}

wire_struct! {
    /// One witness' signature.
    pub struct Cosignature {
        /// The witness.
        pub key: PublicKey,
        /// When it signed, in Unix seconds.
        pub time: u64,
        /// Over [`cosignature_preimage`].
        pub signature: Signature,
    }
}

wire_struct! {
    /// A log root that witnesses cosigned, and the record in that log which commits to the proof's header.
    pub struct Witnessed {
        /// The cosigned size.
        pub size: LogSize,
        /// The cosigned root.
        pub root: Digest,
        /// The first record of the block after the header's: it names the header's block id as its parent.
        pub next: Bytes<MAX_RECORD_BYTES>,
        /// From that record to the cosigned root.
        pub path: Path,
        /// The signatures, by ascending key.
        pub cosignatures: List<Cosignature, MAX_WITNESSES>,
    }
}

impl Witnessed {
    /// How many keys of `witnesses` cosigned a log whose records commit to `header`; `None` when any part does not hold.
    ///
    /// As with certificates, every signature listed must verify, whether its key counts or not, and keys
    /// strictly ascend: what is carried along and not checked could be changed unnoticed.
    #[must_use]
    pub fn verify(&self, header: &Header, witnesses: &[PublicKey]) -> Option<usize> {
        let text = checkpoint(&header.chain, self.size, &self.root);
        let signed = |c: &Cosignature| {
            verify_zip215(&c.key, cosignature_preimage(&text, c.time).as_bytes(), &c.signature)
        };
        let holds = self.commits_to(header)
            && self.cosignatures.windows(2).all(|pair| pair[0].key < pair[1].key)
            && self.cosignatures.iter().all(signed);
        holds.then(|| self.cosignatures.iter().filter(|c| witnesses.contains(&c.key)).count())
    }

    /// Whether the record that follows the header's log in the cosigned log names the header as its parent.
    fn commits_to(&self, header: &Header) -> bool {
        let index = header.log_size.0;
        let names = Record::from_bytes(&self.next).is_ok_and(|record| {
            record.index.0 == index
                && record.height == header.height.next()
                && record.entry == Entry::Block { parent: header.block_id() }
        });
        names
            && merkle::verify_inclusion(
                &merkle::leaf_hash(&self.next),
                index,
                self.size.0,
                &self.path,
                &self.root,
            )
    }
}
