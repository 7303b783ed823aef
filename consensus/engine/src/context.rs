//! The engine's types, as this ledger has them: the value agreed on is a block id.
//!
//! Proposals, votes and the engine's write-ahead log therefore stay small however large blocks are;
//! bodies travel as parts and are kept by the host. Addresses *are* consensus keys.
//!
//! Equality of votes and proposals covers every field, because replay compares what it derives
//! again with what was recorded. Vote extensions are not used and cannot be attached.

use std::fmt;

use arc_malachitebft_app_channel::app::types::core::{
    Address as AddressTrait, Context, Height as HeightTrait, LinearTimeouts, NilOrVal,
    Proposal as ProposalTrait, ProposalPart as ProposalPartTrait, Round, SignedExtension, SigningScheme,
    Validator as ValidatorTrait, ValidatorSet as ValidatorSetTrait, Value as ValueTrait, Vote as VoteTrait,
    VoteType,
};
use bytes::Bytes;
use custos_proof::certificate::{Validator as ProofValidator, ValidatorSet as ProofSet};
use custos_proof::hash::BlockId;
use custos_proof::ids;
use custos_proof::keys::{PublicKey, Signature};

/// Names the types. It holds nothing: the chain is part of what is signed, and so the signer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Custos;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Height(pub(crate) u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Address(pub(crate) PublicKey);

/// The value, and its own id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Value(pub(crate) BlockId);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Vote {
    pub(crate) height: Height,
    pub(crate) round: Round,
    pub(crate) value: NilOrVal<Value>,
    pub(crate) kind: VoteType,
    pub(crate) address: Address,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proposal {
    pub(crate) height: Height,
    pub(crate) round: Round,
    pub(crate) value: Value,
    pub(crate) pol_round: Round,
    pub(crate) address: Address,
}

/// A piece of a proposed block. It needs no signature: the block either hashes to the value that
/// the proposer signed or it is thrown away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The block's height.
    pub height: ids::Height,
    /// The round in which it is sent; a locked block is sent again in later rounds.
    pub round: ids::Round,
    /// The block.
    pub block_id: BlockId,
    /// The length of the whole block.
    pub total_bytes: u32,
    /// Which piece this is, from 0. Every piece but the last has [`PART_BYTES`](crate::PART_BYTES).
    pub index: u32,
    /// The piece.
    pub bytes: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Validator {
    address: Address,
    key: PublicKey,
    power: u64,
}

/// A validator set with the engine's view of each member beside the ledger's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Validators {
    pub(crate) set: ProofSet,
    members: Vec<Validator>,
}

/// Keys and signatures as the ledger has them; private keys never pass through the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ed25519Zip215;

#[derive(Debug)]
pub(crate) struct WrongLength;

/// The proposer of a round: in turn, in the order of the set, beginning one further at each height.
///
/// # Correctness
/// A pure function of set, height and round; powers do not weigh here. Every node must compute the
/// same, and so must the check of `header.proposer` against `header.round`.
#[must_use]
pub fn select_proposer(set: &ProofSet, height: ids::Height, round: ids::Round) -> &ProofValidator {
    let members = set.as_slice();
    let count = u64::try_from(members.len()).unwrap_or(u64::MAX).max(1);
    let turn = (height.0 % count + u64::from(round.0) % count) % count;
    usize::try_from(turn)
        .ok()
        .and_then(|i| members.get(i))
        .expect("because a validator set has at least one member")
}

impl Validators {
    pub(crate) fn new(set: ProofSet) -> Self {
        let member = |v: &ProofValidator| Validator { address: Address(v.key), key: v.key, power: v.power };
        let members = set.as_slice().iter().map(member).collect();
        Self { set, members }
    }
}

impl Context for Custos {
    type Address = Address;
    type Height = Height;
    type ProposalPart = Part;
    type Proposal = Proposal;
    type Validator = Validator;
    type ValidatorSet = Validators;
    type Timeouts = LinearTimeouts;
    type Value = Value;
    type Vote = Vote;
    type Extension = ();
    type SigningScheme = Ed25519Zip215;

    fn select_proposer<'a>(&self, validators: &'a Validators, height: Height, round: Round) -> &'a Validator {
        let round = ids::Round(round.as_u32().unwrap_or_default());
        let chosen = select_proposer(&validators.set, ids::Height(height.0), round);
        validators
            .get_by_address(&Address(chosen.key))
            .expect("because the engine's members are made from the same set")
    }

    fn new_proposal(
        &self,
        height: Height,
        round: Round,
        value: Value,
        pol_round: Round,
        address: Address,
    ) -> Proposal {
        Proposal { height, round, value, pol_round, address }
    }

    fn new_prevote(&self, height: Height, round: Round, value: NilOrVal<Value>, address: Address) -> Vote {
        Vote { height, round, value, kind: VoteType::Prevote, address }
    }

    fn new_precommit(&self, height: Height, round: Round, value: NilOrVal<Value>, address: Address) -> Vote {
        Vote { height, round, value, kind: VoteType::Precommit, address }
    }
}

impl HeightTrait for Height {
    const ZERO: Self = Height(0);
    const INITIAL: Self = Height(1);

    fn increment_by(&self, n: u64) -> Self {
        Height(self.0.saturating_add(n))
    }
    fn decrement_by(&self, n: u64) -> Option<Self> {
        self.0.checked_sub(n).map(Height)
    }
    fn as_u64(&self) -> u64 {
        self.0
    }
}

impl AddressTrait for Address {}

impl ValueTrait for Value {
    type Id = Value;
    fn id(&self) -> Value {
        *self
    }
}

impl VoteTrait<Custos> for Vote {
    fn height(&self) -> Height {
        self.height
    }
    fn round(&self) -> Round {
        self.round
    }
    fn value(&self) -> &NilOrVal<Value> {
        &self.value
    }
    fn take_value(self) -> NilOrVal<Value> {
        self.value
    }
    fn vote_type(&self) -> VoteType {
        self.kind
    }
    fn validator_address(&self) -> &Address {
        &self.address
    }
    fn extension(&self) -> Option<&SignedExtension<Custos>> {
        None
    }
    fn take_extension(&mut self) -> Option<SignedExtension<Custos>> {
        None
    }
    fn extend(self, _extension: SignedExtension<Custos>) -> Self {
        self
    }
}

impl ProposalTrait<Custos> for Proposal {
    fn height(&self) -> Height {
        self.height
    }
    fn round(&self) -> Round {
        self.round
    }
    fn value(&self) -> &Value {
        &self.value
    }
    fn take_value(self) -> Value {
        self.value
    }
    fn pol_round(&self) -> Round {
        self.pol_round
    }
    fn validator_address(&self) -> &Address {
        &self.address
    }
}

impl ProposalPartTrait<Custos> for Part {
    fn is_first(&self) -> bool {
        self.index == 0
    }
    fn is_last(&self) -> bool {
        crate::part_count(self.total_bytes) == self.index.saturating_add(1)
    }
}

impl ValidatorTrait<Custos> for Validator {
    fn address(&self) -> &Address {
        &self.address
    }
    fn public_key(&self) -> &PublicKey {
        &self.key
    }
    fn voting_power(&self) -> u64 {
        self.power
    }
}

impl ValidatorSetTrait<Custos> for Validators {
    fn count(&self) -> usize {
        self.members.len()
    }
    fn total_voting_power(&self) -> u64 {
        self.set.total_power()
    }
    fn get_by_address(&self, address: &Address) -> Option<&Validator> {
        self.set.by_key(&address.0).and_then(|(position, _)| self.members.get(position))
    }
    fn get_by_index(&self, index: usize) -> Option<&Validator> {
        self.members.get(index)
    }
}

impl SigningScheme for Ed25519Zip215 {
    type DecodingError = WrongLength;
    type Signature = Signature;
    type PublicKey = PublicKey;
    type PrivateKey = ();

    fn decode_signature(bytes: &[u8]) -> Result<Signature, WrongLength> {
        bytes.try_into().map(Signature).map_err(|_| WrongLength)
    }
    fn encode_signature(signature: &Signature) -> Vec<u8> {
        signature.0.to_vec()
    }
    fn decode_public_key(bytes: &[u8]) -> Result<PublicKey, WrongLength> {
        bytes.try_into().map(PublicKey).map_err(|_| WrongLength)
    }
    fn encode_public_key(key: &PublicKey) -> Vec<u8> {
        key.0.to_vec()
    }
}

impl fmt::Display for WrongLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key has 32 bytes and a signature 64")
    }
}

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&custos_proof::hash::short(&self.0.0))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&custos_proof::hash::short(&self.0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(keys: &[u8]) -> ProofSet {
        let validator = |k: &u8| ProofValidator {
            participant: format!("v{k}").parse().unwrap(),
            key: PublicKey([*k; 32]),
            power: 1,
        };
        ProofSet::new(keys.iter().map(validator).collect()).unwrap()
    }

    #[test]
    fn everyone_has_a_turn_at_every_height_and_the_first_turn_moves() {
        let set = set(&[1, 2, 3, 4]);
        let key = |height, round| select_proposer(&set, ids::Height(height), ids::Round(round)).key.0[0];
        assert_eq!([key(4, 0), key(4, 1), key(4, 2), key(4, 3), key(4, 4)], [1, 2, 3, 4, 1]);
        assert_eq!([key(5, 0), key(6, 0), key(7, 0), key(8, 0)], [2, 3, 4, 1]);
        assert_eq!(key(u64::MAX, u32::MAX), 3);
    }
}
