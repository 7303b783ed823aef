//! `policy.set` and `protocol.upgrade`: the rules by which everybody goes, and from when on.
//!
//! Acts, in the registry's trail, by vote only. A policy is always set whole, so that what held at a
//! height is one entry and not a history of changes.

use crate::cbor::wire_struct;
use crate::ids::Height;
use crate::registry::Policy;

wire_struct! {
    /// A policy replaces the one before.
    pub struct Set {
        /// The policy, whole; its version is the next number.
        pub policy: Policy,
        /// The first block to which it applies; a height that has passed means the next block.
        pub effective: Height,
    }
}

wire_struct! {
    /// Headers have another protocol version from a height on. A program that lacks it stops before that height.
    pub struct Upgrade {
        /// The version.
        pub version: u64,
        /// The first block of that version.
        pub height: Height,
    }
}
