//! Keys that follow from names, and what they sign: possession, precommits.

use custos_proof::cbor::List;
use custos_proof::certificate::{Certificate, CommitSignature, ValidatorSet, VoteType, vote_preimage};
use custos_proof::hash::{ChainId, KeyId};
use custos_proof::header::Header;
use custos_proof::ids::{ParticipantId, Round};
use custos_proof::keys::{KeyPurpose, PublicKey, SignError, Signature, Signer, key_id};
use custos_proof::kinds::key::possession_preimage;
use ed25519_dalek::Signer as _;

use super::naive;

/// A key that follows from its name.
#[derive(Clone)]
pub(crate) struct TestKey(pub(crate) ed25519_dalek::SigningKey);

pub(crate) fn key(name: &str) -> TestKey {
    TestKey(ed25519_dalek::SigningKey::from_bytes(&naive::sha(&[b"key of ", name.as_bytes()]).0))
}

impl TestKey {
    pub(crate) fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }
    pub(crate) fn id(&self) -> KeyId {
        key_id(&self.public())
    }
    pub(crate) fn sign_bytes(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }
    pub(crate) fn possession(&self, chain: &ChainId, owner: &str, purpose: KeyPurpose) -> Signature {
        self.sign_bytes(&possession_preimage(chain, &id(owner), purpose, &self.public()))
    }
}

impl Signer for TestKey {
    fn public_key(&self) -> PublicKey {
        self.public()
    }
    fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        Ok(self.sign_bytes(message))
    }
}

pub(crate) fn id(name: &str) -> ParticipantId {
    name.parse().unwrap()
}

/// Precommits of some validators for a header.
pub(crate) fn certificate(
    set: &ValidatorSet,
    header: &Header,
    round: Round,
    signers: &[usize],
) -> Certificate {
    let block_id = header.block_id();
    let signatures = signers
        .iter()
        .map(|i| {
            let validator = &set.as_slice()[*i];
            let key = key(&format!("{} consensus", validator.participant));
            assert_eq!(key.public(), validator.key);
            let preimage = vote_preimage(
                &header.chain,
                header.height,
                round,
                VoteType::Precommit,
                Some(block_id),
                &validator.key,
            );
            CommitSignature { signer: *i as u16, signature: key.sign_bytes(&preimage) }
        })
        .collect();
    Certificate { height: header.height, round, block_id, signatures: List::new(signatures).unwrap() }
}
