//! Checkpoints as the transparency-log world writes them, and the cosignatures of witnesses.
//!
//! A quorum of retired validators can sign another history for ever. Witnesses outside the network
//! close that gap: each cosigns log roots that extend the ones it saw before (C2SP tlog-checkpoint
//! and tlog-cosignature). Because the first record of every block commits to its parent, one
//! witnessed log root fixes every earlier header and so every earlier state root.

use alloc::format;
use alloc::string::String;

use base64ct::{Base64, Encoding};

use crate::cbor::{List, wire_struct};
use crate::hash::{ChainId, Digest};
use crate::ids::LogSize;
use crate::keys::{PublicKey, Signature, verify_zip215};
use crate::merkle;
use crate::record::Path;

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
    /// A log root that witnesses cosigned, and the way to it from the proof's own log root.
    pub struct Witnessed {
        /// The cosigned size.
        pub size: LogSize,
        /// The cosigned root.
        pub root: Digest,
        /// The RFC 6962 consistency proof from the header's log to the cosigned one.
        pub consistency: Path,
        /// The signatures.
        pub cosignatures: List<Cosignature, MAX_WITNESSES>,
    }
}

impl Witnessed {
    /// How many different keys of `witnesses` cosigned a log that contains the log (`size`, `root`).
    #[must_use]
    pub fn count(&self, chain: &ChainId, size: LogSize, root: &Digest, witnesses: &[PublicKey]) -> usize {
        if !merkle::verify_consistency(size.0, root, self.size.0, &self.root, &self.consistency) {
            return 0;
        }
        let text = checkpoint(chain, self.size, &self.root);
        witnesses
            .iter()
            .filter(|witness| {
                self.cosignatures.iter().any(|c| {
                    c.key == **witness
                        && verify_zip215(&c.key, cosignature_preimage(&text, c.time).as_bytes(), &c.signature)
                })
            })
            .count()
    }
}
