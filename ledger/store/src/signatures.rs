//! The signatures of a piece, those of certificates and those of envelopes, checked together at its end.
//!
//! Under ZIP-215 a batch says of every signature what a check of it alone says, for a fifth of the time.

use custos_proof::batch::{Signed, verify_batch};
use custos_proof::certificate::{Certificate, ValidatorSet, VoteType, vote_preimage};
use custos_proof::header::Header;
use custos_proof::keys::{PublicKey, Signature};

use crate::piece::{CheckedBlock, Stage};

/// Signatures that wait for the end of their piece. Blocks are named by their number in it.
#[derive(Default)]
pub(crate) struct Signatures {
    votes: Vec<Vote>,
    envelopes: Vec<OfEnvelope>,
}

struct Vote {
    block: usize,
    key: PublicKey,
    preimage: Vec<u8>,
    signature: Signature,
}

struct OfEnvelope {
    block: usize,
    position: usize,
    key: PublicKey,
}

/// A signature that does not verify: the number of its block, where it stands in that, and its envelope's position.
pub(crate) type Bad = (usize, Stage, usize);

impl Signatures {
    /// Takes up the votes of a certificate that a quorum signed, and says how many; `None` if it is anything else.
    pub(crate) fn certificate(
        &mut self,
        block: usize,
        certificate: &Certificate,
        header: &Header,
        set: &ValidatorSet,
    ) -> Option<u64> {
        let ascending = certificate.signatures.windows(2).all(|pair| pair[0].signer < pair[1].signer);
        let mut power = 0u64;
        let mut votes = Vec::with_capacity(certificate.signatures.len());
        for vote in certificate.signatures.iter() {
            let validator = set.as_slice().get(usize::from(vote.signer))?;
            power = power.saturating_add(validator.power);
            let preimage = vote_preimage(
                &header.chain,
                certificate.height,
                certificate.round,
                VoteType::Precommit,
                Some(certificate.block_id),
                &validator.key,
            );
            votes.push(Vote { block, key: validator.key, preimage, signature: vote.signature });
        }
        if !ascending || !set.is_quorum(power) {
            return None;
        }
        let count = votes.len() as u64;
        self.votes.append(&mut votes);
        Some(count)
    }

    /// Takes up the signature of the envelope at `position` of a block.
    pub(crate) fn envelope(&mut self, block: usize, position: usize, key: PublicKey) {
        self.envelopes.push(OfEnvelope { block, position, key });
    }

    /// Checks everything that waits. Of the signatures that do not verify, the first.
    pub(crate) fn check(&mut self, blocks: &[CheckedBlock]) -> Option<Bad> {
        let (votes, envelopes) = (std::mem::take(&mut self.votes), std::mem::take(&mut self.envelopes));
        let mut places: Vec<Bad> = Vec::with_capacity(votes.len() + envelopes.len());
        let mut triples: Vec<Signed<'_>> = Vec::with_capacity(places.capacity());
        for vote in &votes {
            places.push((vote.block, Stage::Certificate, 0));
            triples.push((vote.key, &vote.preimage, vote.signature));
        }
        for of in &envelopes {
            let envelope = blocks.get(of.block).and_then(|block| block.envelopes.get(of.position)?.as_ref());
            if let Some(envelope) = envelope {
                places.push((of.block, Stage::Submissions, of.position));
                triples.push((of.key, envelope.sig_structure(), *envelope.signature()));
            }
        }
        let valid = verify_batch(&triples);
        places.into_iter().zip(valid).filter_map(|(place, valid)| (!valid).then_some(place)).min()
    }
}
