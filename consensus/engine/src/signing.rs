//! What validators sign, and when a signature counts: the ledger's preimages under ZIP-215.
//!
//! A vote's preimage is [`custos_proof::certificate::vote_preimage`], so that a commit certificate
//! can be checked by who has never heard of this engine. A proposal's is [`proposal_preimage`],
//! under a tag of its own. Validator proofs and vote extensions are not used: nothing here signs
//! one, and none verifies.

use std::sync::Arc;

use arc_malachitebft_app_channel::app::types::core::{
    NilOrVal, Round, SignedMessage, ValidatorProof, VoteExtensionScope, VoteType,
};
use arc_malachitebft_signing::{
    Error, Signer as EngineSigner, VerificationResult, Verifier as EngineVerifier,
};
use async_trait::async_trait;
use custos_proof::cbor::{Wire, Writer};
use custos_proof::certificate::{self, vote_preimage};
use custos_proof::hash::{BlockId, ChainId, Tag};
use custos_proof::ids;
use custos_proof::keys::{PublicKey, Signature, Signer, verify_zip215};

use crate::context::{Custos, Proposal, Vote};

/// What a proposer signs: `tag || CBOR [chain, height, round, block id, pol round or none, validator key]`.
#[must_use]
pub fn proposal_preimage(
    chain: &ChainId,
    height: ids::Height,
    round: ids::Round,
    block: BlockId,
    pol_round: Option<ids::Round>,
    key: &PublicKey,
) -> Vec<u8> {
    let mut w = Writer::new();
    w.raw(Tag::Proposal.bytes());
    w.array(6);
    chain.write(&mut w);
    height.write(&mut w);
    round.write(&mut w);
    block.write(&mut w);
    pol_round.write(&mut w);
    key.write(&mut w);
    w.into_bytes()
}

/// The bytes of a vote that are signed. A vote without a round has none; no such vote is made or decoded.
pub(crate) fn vote_bytes(chain: &ChainId, vote: &Vote) -> Option<Vec<u8>> {
    let kind = match vote.kind {
        VoteType::Prevote => certificate::VoteType::Prevote,
        VoteType::Precommit => certificate::VoteType::Precommit,
    };
    let block = match vote.value {
        NilOrVal::Nil => None,
        NilOrVal::Val(value) => Some(value.0),
    };
    Some(vote_preimage(chain, ids::Height(vote.height.0), defined(vote.round)?, kind, block, &vote.address.0))
}

pub(crate) fn proposal_bytes(chain: &ChainId, proposal: &Proposal) -> Option<Vec<u8>> {
    Some(proposal_preimage(
        chain,
        ids::Height(proposal.height.0),
        defined(proposal.round)?,
        proposal.value.0,
        defined(proposal.pol_round),
        &proposal.address.0,
    ))
}

fn defined(round: Round) -> Option<ids::Round> {
    round.as_u32().map(ids::Round)
}

/// Verifies votes and proposals of one chain.
#[derive(Debug, Clone)]
pub(crate) struct Verifier {
    pub(crate) chain: ChainId,
}

impl Verifier {
    pub(crate) fn vote(&self, vote: &Vote, signature: &Signature, key: &PublicKey) -> bool {
        vote_bytes(&self.chain, vote).is_some_and(|bytes| verify_zip215(key, &bytes, signature))
    }

    pub(crate) fn proposal(&self, proposal: &Proposal, signature: &Signature, key: &PublicKey) -> bool {
        proposal_bytes(&self.chain, proposal).is_some_and(|bytes| verify_zip215(key, &bytes, signature))
    }
}

#[async_trait]
impl EngineVerifier<Custos> for Verifier {
    async fn verify_signed_vote(
        &self,
        vote: &Vote,
        signature: &Signature,
        key: &PublicKey,
    ) -> Result<VerificationResult, Error> {
        Ok(result(self.vote(vote, signature, key)))
    }

    async fn verify_signed_proposal(
        &self,
        proposal: &Proposal,
        signature: &Signature,
        key: &PublicKey,
    ) -> Result<VerificationResult, Error> {
        Ok(result(self.proposal(proposal, signature, key)))
    }

    async fn verify_signed_vote_extension(
        &self,
        _scope: &VoteExtensionScope<Custos>,
        _extension: &(),
        _signature: &Signature,
        _key: &PublicKey,
    ) -> Result<VerificationResult, Error> {
        Ok(VerificationResult::Invalid)
    }

    async fn verify_validator_proof(
        &self,
        _proof: &ValidatorProof<Custos>,
    ) -> Result<VerificationResult, Error> {
        Ok(VerificationResult::Invalid)
    }
}

pub(crate) fn result(valid: bool) -> VerificationResult {
    if valid { VerificationResult::Valid } else { VerificationResult::Invalid }
}

/// Signs with whatever holds the consensus key.
pub(crate) struct VoteSigner {
    pub(crate) chain: ChainId,
    pub(crate) signer: Arc<dyn Signer>,
}

impl VoteSigner {
    /// A signer may be an agent or an HSM that takes a while; it must not hold up a runtime thread.
    async fn sign(&self, bytes: Option<Vec<u8>>) -> Result<Signature, Error> {
        let bytes = bytes.ok_or_else(|| Error::from_source("a message without a round is never signed"))?;
        let signer = Arc::clone(&self.signer);
        tokio::task::spawn_blocking(move || signer.sign(&bytes))
            .await
            .map_err(Error::from_source)?
            .map_err(|e| Error::from_source(e.to_string()))
    }
}

#[async_trait]
impl EngineSigner<Custos> for VoteSigner {
    async fn sign_vote(&self, vote: Vote) -> Result<SignedMessage<Custos, Vote>, Error> {
        let signature = self.sign(vote_bytes(&self.chain, &vote)).await?;
        Ok(SignedMessage::new(vote, signature))
    }

    async fn sign_proposal(&self, proposal: Proposal) -> Result<SignedMessage<Custos, Proposal>, Error> {
        let signature = self.sign(proposal_bytes(&self.chain, &proposal)).await?;
        Ok(SignedMessage::new(proposal, signature))
    }

    async fn sign_vote_extension(
        &self,
        _scope: VoteExtensionScope<Custos>,
        _extension: (),
    ) -> Result<SignedMessage<Custos, ()>, Error> {
        Err(Error::from_source("vote extensions are not used"))
    }

    async fn sign_validator_proof(
        &self,
        _public_key: Vec<u8>,
        _peer_id: Vec<u8>,
    ) -> Result<ValidatorProof<Custos>, Error> {
        Err(Error::from_source("validator proofs are not used"))
    }
}
