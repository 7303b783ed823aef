//! `trail.open`, `trail.close` and `trail.agent`: a custodian begins and ends a subject's trail, and
//! names who may write rules into it besides itself.
//!
//! Acts, by the custodian, in the trail itself; the opening stands in the custodian's institution
//! trail too, so that an auditor can enumerate what was opened. Nothing here names a person: the
//! local id is a pseudorandom function of a secret that custodian and patient share, and a subject's
//! key is one of its own for every trail, derived from a secret that the custodian never has.

use alloc::vec::Vec;

use crate::cbor::{Wire, Writer, wire_enum, wire_struct};
use crate::hash::{ChainId, Digest, Tag, TrailKey};
use crate::ids::ParticipantId;
use crate::keys::{KeyPurpose, PublicKey, Signature};
use crate::kinds::rule::Collected;
use crate::seal::Seal;

/// Sealed fields of `trail.open`: the way back from a grantee's trail to the subject's own.
pub const SEALED: &[&str] = &["back pointer"];

/// Sealed fields of `trail.agent`.
pub const AGENT_SEALED: &[&str] = &["evidence"];

wire_struct! {
    /// A trail for one subject at one custodian, for one calendar year.
    pub struct Open {
        /// The subject's pseudonym in this trail; see [`crate::subject`].
        pub local_id: Digest,
        /// Whose accesses the trail lists; absent for the subject's own trail.
        pub grantee: Option<ParticipantId>,
        /// The calendar year (UTC) of the block that records the opening.
        pub epoch: u16,
        /// SHA-256 of the reader's preimage: who shows the preimage may read the trail.
        pub reader: Digest,
        /// The seal over [`SEALED`].
        pub seal: Seal,
    }
}

wire_struct! {
    /// No further rule is put into this trail. Testimony is still recorded, and marked.
    pub struct Close {
        /// The trail's local id; its owner is the author.
        pub local_id: Digest,
    }
}

wire_enum! {
    /// Whether somebody begins or ceases to speak in a trail.
    pub enum Change {
        /// Begins.
        Add = 1, "add";
        /// Ceases.
        Remove = 2, "remove";
    }
}

wire_struct! {
    /// A key of the subject's, or an agent, begins or ceases to speak for the subject in this trail.
    pub struct Agent {
        /// Whose trail.
        pub custodian: ParticipantId,
        /// The trail's local id.
        pub local_id: Digest,
        /// Begins or ceases.
        pub change: Change,
        /// The subject's key for this trail; absent when it is about an agent.
        pub key: Option<PublicKey>,
        /// That key's signature over [`possession_preimage`]; there exactly when a key begins.
        pub possession: Option<Signature>,
        /// The agent; absent when it is about a key.
        pub agent: Option<ParticipantId>,
        /// How the author knows the subject's will.
        pub collected: Collected,
        /// The seal over [`AGENT_SEALED`].
        pub seal: Seal,
    }
}

/// What a subject's key signs to show that its owner holds it: `tag || CBOR [chain, trail, purpose, key]`.
#[must_use]
pub fn possession_preimage(chain: &ChainId, trail: &TrailKey, key: &PublicKey) -> Vec<u8> {
    let mut w = Writer::new();
    w.raw(Tag::Possession.bytes());
    w.array(4);
    chain.write(&mut w);
    trail.write(&mut w);
    KeyPurpose::Sign.write(&mut w);
    key.write(&mut w);
    w.into_bytes()
}
