//! `validator.put` and `validator.remove`: who decides blocks.
//!
//! Acts, in the registry's trail, by vote only. The change takes effect with the next block: the
//! header of the block that carries the vote commits to the new set, and the old set certifies it.

use crate::cbor::wire_struct;
use crate::ids::ParticipantId;
use crate::keys::{PublicKey, Signature};

wire_struct! {
    /// A participant becomes a validator, or gets another key or power.
    pub struct Put {
        /// Which participant; it has the role validator.
        pub participant: ParticipantId,
        /// The consensus key it votes with: a new one, or the one that it has.
        pub key: PublicKey,
        /// The key's signature over [`crate::kinds::key::possession_preimage`], with purpose consensus.
        pub possession: Signature,
        /// Its voting power, at least 1.
        pub power: u64,
    }
}

wire_struct! {
    /// A participant votes on blocks no longer; its consensus key ends.
    pub struct Remove {
        /// Which participant.
        pub participant: ParticipantId,
    }
}
