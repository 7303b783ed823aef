//! What validators sign, and when a signature counts: the ledger's preimages under ZIP-215.
//!
//! A vote's preimage is [`custos_proof::certificate::vote_preimage`], so that a commit certificate
//! can be checked by who has never heard of this engine. A proposal's is [`proposal_preimage`],
//! under a tag of its own. Validator proofs and vote extensions are not used: nothing here signs
//! one, and none verifies.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use arc_malachitebft_app_channel::app::types::core::{
    NilOrVal, Round, SignedMessage, ValidatorProof, VoteExtensionScope, VoteType,
};
use arc_malachitebft_signing::{
    Error, Signer as EngineSigner, VerificationResult, Verifier as EngineVerifier,
};
use async_trait::async_trait;
use custos_proof::cbor::{Wire, Writer};
use custos_proof::certificate::{self, vote_preimage};
use custos_proof::hash::{BlockId, ChainId, Digest, Tag, sha256};
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

/// How many checks are remembered: those of some hundred heights of a small network, in about a megabyte.
const MAX_CHECKS: usize = 8192;

/// Signature checks that were made before, by hash of everything that goes into them. A check is a pure function, so
/// whoever verifies for the same process may share them. The engine asks of each vote when it comes, again when it is
/// part of a certificate, and whenever a peer sends it once more.
#[derive(Debug, Clone, Default)]
pub struct Checked(Arc<Mutex<Checks>>);

#[derive(Debug, Default)]
struct Checks {
    answers: BTreeMap<Digest, bool>,
    /// In the order in which they were made; the oldest is forgotten first.
    order: VecDeque<Digest>,
}

impl Checked {
    /// What [`verify_zip215`] says.
    #[must_use]
    pub fn check(&self, key: &PublicKey, preimage: &[u8], signature: &Signature) -> bool {
        // Key and signature have fixed lengths, so different questions have different names.
        let name = sha256(&[&key.0[..], &signature.0, preimage].concat());
        if let Some(answer) = self.checks().answers.get(&name) {
            return *answer;
        }
        let answer = verify_zip215(key, preimage, signature);
        let mut checks = self.checks();
        // Somebody else may have asked the same meanwhile.
        if checks.answers.insert(name, answer).is_none() {
            checks.order.push_back(name);
        }
        if checks.order.len() > MAX_CHECKS
            && let Some(oldest) = checks.order.pop_front()
        {
            checks.answers.remove(&oldest);
        }
        answer
    }

    fn checks(&self) -> std::sync::MutexGuard<'_, Checks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Verifies votes and proposals of one chain, and remembers.
#[derive(Debug, Clone)]
pub(crate) struct Verifier {
    pub(crate) chain: ChainId,
    pub(crate) checked: Checked,
}

impl Verifier {
    pub(crate) fn vote(&self, vote: &Vote, signature: &Signature, key: &PublicKey) -> bool {
        vote_bytes(&self.chain, vote).is_some_and(|bytes| self.checked.check(key, &bytes, signature))
    }

    pub(crate) fn proposal(&self, proposal: &Proposal, signature: &Signature, key: &PublicKey) -> bool {
        proposal_bytes(&self.chain, proposal).is_some_and(|bytes| self.checked.check(key, &bytes, signature))
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

fn result(valid: bool) -> VerificationResult {
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

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer as _, SigningKey};

    use super::*;

    fn signed(n: u8) -> (PublicKey, Vec<u8>, Signature) {
        let key = SigningKey::from_bytes(&[n; 32]);
        let message = vec![n; 40];
        (PublicKey(key.verifying_key().to_bytes()), message.clone(), Signature(key.sign(&message).to_bytes()))
    }

    #[test]
    fn an_answer_that_is_remembered_is_the_answer_of_that_question_only() {
        let checked = Checked::default();
        let (key, message, signature) = signed(1);
        let (other_key, other_message, other_signature) = signed(2);
        for _ in 0..2 {
            assert!(checked.check(&key, &message, &signature));
            assert!(!checked.check(&other_key, &message, &signature));
            assert!(!checked.check(&key, &other_message, &signature));
            assert!(!checked.check(&key, &message, &other_signature));
        }
        assert_eq!(checked.checks().answers.len(), 4);
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let checked = Checked::default();
        let (key, message, signature) = signed(1);
        assert!(checked.check(&key, &message, &signature));
        for n in 0..MAX_CHECKS as u32 + 5 {
            // No point of the curve has this encoding with so large an s: refused at once.
            let mut wrong = Signature([0xff; 64]);
            wrong.0[..4].copy_from_slice(&n.to_be_bytes());
            assert!(!checked.check(&key, &message, &wrong));
        }
        let held = checked.checks();
        assert_eq!((held.answers.len(), held.order.len()), (MAX_CHECKS, MAX_CHECKS));
        drop(held);
        assert!(checked.check(&key, &message, &signature));
    }
}
