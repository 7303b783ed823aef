//! Validator sets, votes and commit certificates.
//!
//! A certificate is a list of precommits for one block. Signers are strictly ascending, **every**
//! listed signature must verify (a verifier that skipped bad ones would accept flipped bytes), and
//! together they hold more than two thirds of the power. Two certificates of one block may differ
//! in signers and round; both are good, and nothing that is hashed depends on them.

use alloc::vec::Vec;

use thiserror::Error;

use crate::cbor::{DecodeError, List, Reader, View, Wire, Writer, wire_enum, wire_struct};
use crate::hash::{BlockId, ChainId, Digest, Tag, tagged};
use crate::ids::{Height, ParticipantId, Round};
use crate::keys::{PublicKey, Signature, verify_zip215};

/// The most validators in a set.
pub const MAX_VALIDATORS: usize = 128;

wire_struct! {
    /// A validator.
    pub struct Validator {
        /// Whose.
        pub participant: ParticipantId,
        /// The key it votes with.
        pub key: PublicKey,
        /// Its voting power, at least 1.
        pub power: u64,
    }
}

/// The validators of one height: sorted by key, no participant or key twice, total power below 2^63.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatorSet(Vec<Validator>);

/// Validators that do not make a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "a validator set has 1 to {MAX_VALIDATORS} members, sorted by key, none twice, each with power, less than 2^63 in all"
)]
pub struct NotAValidatorSet;

impl ValidatorSet {
    /// The set of these validators, in any order.
    ///
    /// # Errors
    /// [`NotAValidatorSet`].
    pub fn new(mut validators: Vec<Validator>) -> Result<Self, NotAValidatorSet> {
        validators.sort_by_key(|v| v.key);
        Self::from_sorted(validators)
    }

    fn from_sorted(validators: Vec<Validator>) -> Result<Self, NotAValidatorSet> {
        let in_order = validators.windows(2).all(|pair| pair[0].key < pair[1].key);
        let mut names: Vec<_> = validators.iter().map(|v| &v.participant).collect();
        names.sort();
        let unique = names.windows(2).all(|pair| pair[0] != pair[1]);
        let total = validators.iter().try_fold(0u64, |sum, v| sum.checked_add(v.power));
        let powered = validators.iter().all(|v| v.power > 0) && total.is_some_and(|t| t < 1 << 63);
        if validators.is_empty() || validators.len() > MAX_VALIDATORS || !in_order || !unique || !powered {
            return Err(NotAValidatorSet);
        }
        Ok(Self(validators))
    }

    /// The validators, sorted by key.
    #[must_use]
    pub fn as_slice(&self) -> &[Validator] {
        &self.0
    }

    /// The sum of all power.
    #[must_use]
    pub fn total_power(&self) -> u64 {
        self.0.iter().map(|v| v.power).sum()
    }

    /// The validator with this key, and its position.
    #[must_use]
    pub fn by_key(&self, key: &PublicKey) -> Option<(usize, &Validator)> {
        let position = self.0.binary_search_by_key(key, |v| v.key).ok()?;
        Some((position, &self.0[position]))
    }

    /// The tagged hash of the set: what headers commit to.
    #[must_use]
    pub fn hash(&self) -> Digest {
        tagged(Tag::Validators, &[&self.to_bytes()])
    }

    /// Whether `power` is more than two thirds of the whole.
    #[must_use]
    pub fn is_quorum(&self, power: u64) -> bool {
        u128::from(power) * 3 > u128::from(self.total_power()) * 2
    }
}

impl Wire for ValidatorSet {
    fn write(&self, w: &mut Writer) {
        w.array(self.0.len());
        self.0.iter().for_each(|v| v.write(w));
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = r.position();
        let validators = List::<Validator, MAX_VALIDATORS>::read(r)?;
        Self::from_sorted(validators.into_inner())
            .map_err(|_| DecodeError::OutOfBounds { at, what: "validator set" })
    }
    fn view(&self) -> View {
        View::List(self.0.iter().map(Wire::view).collect())
    }
}

wire_enum! {
    /// The two kinds of votes.
    pub enum VoteType {
        /// First.
        Prevote = 1, "prevote";
        /// Second; a quorum of these decides.
        Precommit = 2, "precommit";
    }
}

/// What a validator signs when it votes:
/// `tag || CBOR [chain, height, round, type, block id or none, validator key]`.
#[must_use]
pub fn vote_preimage(
    chain: &ChainId,
    height: Height,
    round: Round,
    vote: VoteType,
    block: Option<BlockId>,
    key: &PublicKey,
) -> Vec<u8> {
    let mut w = Writer::new();
    w.raw(Tag::Vote.bytes());
    w.array(6);
    chain.write(&mut w);
    height.write(&mut w);
    round.write(&mut w);
    vote.write(&mut w);
    block.write(&mut w);
    key.write(&mut w);
    w.into_bytes()
}

wire_struct! {
    /// One precommit.
    pub struct CommitSignature {
        /// The signer's position in the validator set.
        pub signer: u16,
        /// Over [`vote_preimage`].
        pub signature: Signature,
    }
}

wire_struct! {
    /// The precommits that decided a block.
    pub struct Certificate {
        /// The block's height.
        pub height: Height,
        /// The round in which it was decided.
        pub round: Round,
        /// The block.
        pub block_id: BlockId,
        /// Signers strictly ascending.
        pub signatures: List<CommitSignature, MAX_VALIDATORS>,
    }
}

/// Why a certificate does not show that a set decided a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// Signers repeat or are out of order.
    #[error("signers are not strictly ascending")]
    NotAscending,
    /// A signer is not in the set.
    #[error("signer {signer} is not in the validator set")]
    UnknownSigner {
        /// Its position.
        signer: u16,
    },
    /// A signature is not valid.
    #[error("the precommit of validator {signer} does not verify")]
    BadSignature {
        /// Its position.
        signer: u16,
    },
    /// Two thirds of the power or less.
    #[error("the signers hold {power} of {total} voting power, which is not more than two thirds")]
    NoQuorum {
        /// What the signers hold.
        power: u64,
        /// What all validators hold.
        total: u64,
    },
}

/// One precommit of a certificate and what it takes to check its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Precommit {
    /// The signer's position in the validator set.
    pub signer: u16,
    /// The key that it votes with.
    pub key: PublicKey,
    /// What it signed.
    pub preimage: Vec<u8>,
    /// The signature, not checked.
    pub signature: Signature,
}

impl Certificate {
    /// Checks that validators of `set` with more than two thirds of its power precommitted to the block.
    ///
    /// # Errors
    /// [`CertificateError`]; a single bad signature among good ones is one.
    pub fn verify(&self, chain: &ChainId, set: &ValidatorSet) -> Result<(), CertificateError> {
        self.verify_with(chain, set, verify_zip215)
    }

    /// [`Self::verify`] by another check of one signature, for who remembers answers. It MUST answer as
    /// [`verify_zip215`] does.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_with(
        &self,
        chain: &ChainId,
        set: &ValidatorSet,
        mut check: impl FnMut(&PublicKey, &[u8], &Signature) -> bool,
    ) -> Result<(), CertificateError> {
        for vote in self.precommits(chain, set)? {
            if !check(&vote.key, &vote.preimage, &vote.signature) {
                return Err(CertificateError::BadSignature { signer: vote.signer });
            }
        }
        Ok(())
    }

    /// The precommits of a certificate that would show a decision of `set`, if every one of their signatures
    /// verified: everything about it was checked but these.
    ///
    /// # Errors
    /// As [`Self::verify`], but for [`CertificateError::BadSignature`].
    pub fn precommits(
        &self,
        chain: &ChainId,
        set: &ValidatorSet,
    ) -> Result<Vec<Precommit>, CertificateError> {
        if !self.signatures.windows(2).all(|pair| pair[0].signer < pair[1].signer) {
            return Err(CertificateError::NotAscending);
        }
        let mut power = 0u64;
        let mut votes = Vec::with_capacity(self.signatures.len());
        for CommitSignature { signer, signature } in self.signatures.iter() {
            let validator = set
                .as_slice()
                .get(usize::from(*signer))
                .ok_or(CertificateError::UnknownSigner { signer: *signer })?;
            power = power.saturating_add(validator.power);
            let preimage = vote_preimage(
                chain,
                self.height,
                self.round,
                VoteType::Precommit,
                Some(self.block_id),
                &validator.key,
            );
            votes.push(Precommit { signer: *signer, key: validator.key, preimage, signature: *signature });
        }
        if set.is_quorum(power) {
            Ok(votes)
        } else {
            Err(CertificateError::NoQuorum { power, total: set.total_power() })
        }
    }
}
