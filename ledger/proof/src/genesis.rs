//! The genesis: who begins, under which policy. Its hash names the chain.
//!
//! Participants, keys and policy of the genesis stand in the state map from height 0 on; there is
//! no block 0, and the genesis' own hash serves as the parent of block 1.

use alloc::string::String;
use alloc::vec::Vec;

use thiserror::Error;

use crate::cbor::{Ascii, List, Wire, wire_struct};
use crate::certificate::{MAX_VALIDATORS, NotAValidatorSet, Validator, ValidatorSet};
use crate::hash::{BlockId, ChainId, KeyId, Tag, tagged};
use crate::ids::{ParticipantId, TimeMs};
use crate::keys::{KeyDefect, KeyPurpose, PublicKey, Signature, is_registrable, key_id, verify_zip215};
use crate::kinds::key::possession_preimage;
use crate::kinds::participant::Register;
use crate::registry::{Policy, Role};

/// The chain's place in a possession preimage of a genesis key, whose chain does not exist yet.
pub const NO_CHAIN: ChainId = ChainId([0; 32]);

wire_struct! {
    /// A key that exists from the start.
    pub struct GenesisKey {
        /// For whom it speaks.
        pub owner: ParticipantId,
        /// The key.
        pub key: PublicKey,
        /// What it may sign.
        pub purpose: KeyPurpose,
        /// The key's signature over its possession preimage, with [`NO_CHAIN`].
        pub possession: Signature,
    }
}

wire_struct! {
    /// A validator that exists from the start; its consensus key is among the genesis' keys.
    pub struct GenesisValidator {
        /// Which participant.
        pub participant: ParticipantId,
        /// Its voting power.
        pub power: u64,
    }
}

wire_struct! {
    /// The beginning of a chain.
    pub struct Genesis = "custos.genesis.v1" {
        /// The network's name, for people; a test network says so.
        pub name: Ascii<64>,
        /// When the chain begins.
        pub time: TimeMs,
        /// The protocol version of the first block.
        pub protocol: u64,
        /// In whose name the registry's trail stands, for ever; it has the role registrar.
        pub registrar: ParticipantId,
        /// The participants.
        pub participants: List<Register, 256>,
        /// Their keys.
        pub keys: List<GenesisKey, 1024>,
        /// The validators.
        pub validators: List<GenesisValidator, MAX_VALIDATORS>,
        /// The policy.
        pub policy: Policy,
    }
}

/// Why a genesis cannot begin a chain.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GenesisError {
    /// A participant is listed twice.
    #[error("participant {0} is listed twice")]
    ParticipantTwice(ParticipantId),
    /// Somebody is named who is not listed.
    #[error("{0} is not among the participants")]
    UnknownParticipant(ParticipantId),
    /// The registrar lacks the role.
    #[error("{0} has no registrar role")]
    NotRegistrar(ParticipantId),
    /// A key is listed twice.
    #[error("key {0} is listed twice: a key has one owner and one purpose")]
    KeyTwice(KeyId),
    /// A key cannot be registered.
    #[error("key {0} of {1} cannot be registered: {2}")]
    Key(KeyId, ParticipantId, KeyDefect),
    /// A key's owner did not show that it holds it.
    #[error("key {0} of {1} has no valid proof of possession")]
    Possession(KeyId, ParticipantId),
    /// A validator has not exactly one consensus key, or lacks the role.
    #[error("validator {0} needs the validator role and exactly one consensus key")]
    ValidatorKey(ParticipantId),
    /// The validators make no set.
    #[error(transparent)]
    Validators(#[from] NotAValidatorSet),
    /// The policy is out of bounds.
    #[error("the policy: {0}")]
    Policy(String),
    /// Another protocol version.
    #[error("protocol version {0} is not known to this program")]
    Protocol(u64),
}

impl Genesis {
    /// The chain that this genesis begins.
    #[must_use]
    pub fn chain(&self) -> ChainId {
        tagged(Tag::Genesis, &[&self.to_bytes()]).into()
    }

    /// The block id that stands for height 0.
    #[must_use]
    pub fn block_id(&self) -> BlockId {
        BlockId(self.chain().0)
    }

    /// The validators of block 1.
    ///
    /// # Errors
    /// [`GenesisError`] when a validator has no key or they make no set.
    pub fn validator_set(&self) -> Result<ValidatorSet, GenesisError> {
        let validators = self
            .validators
            .iter()
            .map(|validator| {
                let mut keys = self
                    .keys
                    .iter()
                    .filter(|k| k.owner == validator.participant && k.purpose == KeyPurpose::Consensus);
                match (keys.next(), keys.next()) {
                    (Some(key), None) => Ok(Validator {
                        participant: validator.participant.clone(),
                        key: key.key,
                        power: validator.power,
                    }),
                    _ => Err(GenesisError::ValidatorKey(validator.participant.clone())),
                }
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(ValidatorSet::new(validators)?)
    }

    /// Checks everything that a genesis has to satisfy.
    ///
    /// # Errors
    /// [`GenesisError`], naming the first thing that does not hold.
    pub fn check(&self) -> Result<(), GenesisError> {
        if self.protocol != crate::header::PROTOCOL_VERSION {
            return Err(GenesisError::Protocol(self.protocol));
        }
        for (i, participant) in self.participants.iter().enumerate() {
            if self.participants[..i].iter().any(|other| other.id == participant.id) {
                return Err(GenesisError::ParticipantTwice(participant.id.clone()));
            }
        }
        let listed = |id: &ParticipantId| {
            self.participants
                .iter()
                .find(|p| p.id == *id)
                .ok_or_else(|| GenesisError::UnknownParticipant(id.clone()))
        };
        if !listed(&self.registrar)?.roles.has(Role::Registrar) {
            return Err(GenesisError::NotRegistrar(self.registrar.clone()));
        }
        for (i, entry) in self.keys.iter().enumerate() {
            listed(&entry.owner)?;
            let id = key_id(&entry.key);
            if self.keys[..i].iter().any(|other| other.key == entry.key) {
                return Err(GenesisError::KeyTwice(id));
            }
            is_registrable(&entry.key)
                .map_err(|defect| GenesisError::Key(id, entry.owner.clone(), defect))?;
            let preimage = possession_preimage(&NO_CHAIN, &entry.owner, entry.purpose, &entry.key);
            if !verify_zip215(&entry.key, &preimage, &entry.possession) {
                return Err(GenesisError::Possession(id, entry.owner.clone()));
            }
        }
        for validator in self.validators.iter() {
            if !listed(&validator.participant)?.roles.has(Role::Validator) {
                return Err(GenesisError::ValidatorKey(validator.participant.clone()));
            }
        }
        self.policy.check().map_err(GenesisError::Policy)?;
        self.validator_set().map(drop)
    }
}
