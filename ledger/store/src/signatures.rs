//! The signatures of a piece, those of certificates and those of envelopes, checked together at its end.
//!
//! Under ZIP-215 a batch says of every signature what a check of it alone says, for a fifth of the time.

use custos_proof::batch::{Signed, verify_batch};
use custos_proof::certificate::Precommit;
use custos_proof::keys::PublicKey;

use crate::piece::{CheckedBlock, Stage};

/// Signatures that wait for the end of their piece. Blocks are named by their number in it.
#[derive(Default)]
pub(crate) struct Signatures {
    votes: Vec<(usize, Precommit)>,
    envelopes: Vec<OfEnvelope>,
}

struct OfEnvelope {
    block: usize,
    position: usize,
    key: PublicKey,
}

/// A signature that does not verify: the number of its block, where it stands in that, and its envelope's position.
pub(crate) type Bad = (usize, Stage, usize);

impl Signatures {
    /// Takes up the votes of a certificate of a block.
    pub(crate) fn votes(&mut self, block: usize, votes: Vec<Precommit>) {
        self.votes.extend(votes.into_iter().map(|vote| (block, vote)));
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
        for (block, vote) in &votes {
            places.push((*block, Stage::Certificate, 0));
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
