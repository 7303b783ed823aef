//! `key.add`, `.rotate`, `.revoke`: which keys speak for a participant.
//!
//! Acts, in the registry's trail. A key has one purpose and one owner, for ever. It is registered
//! only with proof of possession, and only if it is canonical and of prime order: under ZIP-215 a
//! small-order key would sign everything.

use alloc::vec::Vec;

use crate::cbor::{Wire, Writer, wire_struct};
use crate::hash::{ChainId, KeyId, Tag};
use crate::ids::{ParticipantId, TimeMs};
use crate::keys::{KeyPurpose, PublicKey, Signature};
use crate::kinds::participant::Reason;

wire_struct! {
    /// A new key for a participant.
    pub struct Add {
        /// Whom the key will speak for.
        pub owner: ParticipantId,
        /// The key (Ed25519; the registry stores it as a COSE_Key).
        pub key: PublicKey,
        /// What it may sign.
        pub purpose: KeyPurpose,
        /// The new key's signature over [`possession_preimage`].
        pub possession: Signature,
    }
}

wire_struct! {
    /// A new key takes over from an old one of the same owner and purpose.
    pub struct Rotate {
        /// The key that ends.
        pub old: KeyId,
        /// The key that begins.
        pub key: PublicKey,
        /// How long both are valid, from the block's time, in milliseconds; at most 30 days.
        pub overlap_ms: u64,
        /// The new key's signature over [`possession_preimage`].
        pub possession: Signature,
    }
}

wire_struct! {
    /// A key ends now.
    pub struct Revoke {
        /// Which.
        pub key: KeyId,
        /// Why.
        pub reason: Reason,
        /// Since when others may have known the secret. Marks what it signed since; unmakes nothing.
        pub compromised_from: Option<TimeMs>,
    }
}

/// What a new key signs to show that its owner holds it: `tag || CBOR [chain, owner, purpose, key]`.
///
/// Keys of the genesis sign with 32 zero bytes in the chain's place, because the chain is the hash
/// of the genesis that lists them.
#[must_use]
pub fn possession_preimage(
    chain: &ChainId,
    owner: &ParticipantId,
    purpose: KeyPurpose,
    key: &PublicKey,
) -> Vec<u8> {
    let mut w = Writer::new();
    w.raw(Tag::Possession.bytes());
    w.array(4);
    chain.write(&mut w);
    owner.write(&mut w);
    purpose.write(&mut w);
    key.write(&mut w);
    w.into_bytes()
}
