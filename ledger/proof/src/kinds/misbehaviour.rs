//! `misbehaviour.report`: a validator signed two conflicting votes, and here they are.
//!
//! Testimony, by a validator, in the registry's trail. The two votes are of one key, height, round
//! and type and name different blocks; whoever can read them can check them, so the report proves
//! itself. Consequences are a matter of a vote.

use crate::cbor::{wire_enum, wire_struct};
use crate::certificate::VoteType;
use crate::hash::BlockId;
use crate::ids::{Height, Round};
use crate::keys::{PublicKey, Signature};

wire_struct! {
    /// Two conflicting votes of one validator.
    pub struct Report {
        /// The consensus key that signed both.
        pub key: PublicKey,
        /// The height voted on.
        pub height: Height,
        /// The round.
        pub round: Round,
        /// Prevotes or precommits.
        pub vote: VoteType,
        /// The vote for the smaller block id; a vote for no block is smallest.
        pub first: SignedVote,
        /// The vote for the other.
        pub second: SignedVote,
        /// How the reporter learned of it.
        pub seen: Seen,
    }
}

wire_struct! {
    /// One vote.
    pub struct SignedVote {
        /// For which block; absent for none.
        pub block: Option<BlockId>,
        /// Over [`crate::certificate::vote_preimage`].
        pub signature: Signature,
    }
}

wire_enum! {
    /// How a reporter learned of misbehaviour.
    pub enum Seen {
        /// Its own engine received both votes.
        Consensus = 1, "consensus";
        /// Somebody handed the votes to it.
        HandedOver = 2, "handed-over";
    }
}
