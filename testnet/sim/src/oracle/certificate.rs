//! Certificates and turns: whether those who decide a height decided it, and who was to build its block.
//!
//! Written from docs/spec/verification.md (Certificate) and docs/spec/hashing.md (Votes). Who decides a height follows
//! from the history; what they sign is spelt here and checked by [`super::curve`]. Nothing is called that the judged
//! code counts or checks votes with: neither `Certificate::verify` nor `ValidatorSet::is_quorum`.
//!
//! Whose turn it is, is a rule of the engine (consensus/engine/src/context.rs): in the order of the validators' keys, one
//! further with each height and each round.
//!
//! Deliberately absent: heights beyond the next one, whose validators are not known yet; and which of several valid
//! certificates a node keeps, which nothing depends on.

use std::collections::BTreeSet;

use custos_proof::certificate::Certificate;
use custos_proof::header::Header;
use custos_proof::ids::{Height, ParticipantId, Round};
use custos_proof::keys::PublicKey;

use super::history::History;
use super::tree::{Hash, sha};
use super::{Finding, Naive, What, curve, differs, spell};

/// Precommits that were found valid: the certificates that nodes hold of one height have most of them in common.
pub(super) type Valid = BTreeSet<Hash>;

/// The number of vote-type for a precommit.
const PRECOMMIT: u64 = 2;

/// Who decides a height, and who of them signed a certificate of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deciders {
    /// The validators, in the order of their keys.
    pub validators: Vec<ParticipantId>,
    /// Those that signed.
    pub signed: Vec<ParticipantId>,
}

impl Naive {
    /// Judges a certificate of a height up to the next one.
    ///
    /// # Errors
    /// [`What::Certificate`] with the word of docs/spec/verification.md; `unlinked` for a height beyond the next.
    pub fn certificate(&mut self, certificate: &Certificate) -> Result<Deciders, Finding> {
        let (height, round) = (certificate.height, certificate.round);
        let refused = |word| Finding { height, item: None, what: What::Certificate { round, word } };
        if height.0 == 0 || height > self.height().next() {
            return Err(refused("unlinked"));
        }
        let seats = self.history.deciding_at(height.0);
        if certificate.signatures.windows(2).any(|pair| pair[0].signer >= pair[1].signer) {
            return Err(refused("signers-not-ascending"));
        }
        let (mut signed, mut power) = (Vec::new(), 0u128);
        for one in certificate.signatures.iter() {
            let Some((participant, key, own)) = seats.get(usize::from(one.signer)) else {
                return Err(refused("unknown-signer"));
            };
            let block = Some(&certificate.block_id.0);
            let message = vote(&self.history, (height, round), PRECOMMIT, block, key);
            let name = sha(&[&message[..], &one.signature.0[..]]);
            if !self.valid.contains(&name) && !curve::is_signed(&key.0, &message, &one.signature.0) {
                return Err(refused("bad-precommit"));
            }
            self.valid.insert(name);
            signed.push(participant.clone());
            power += u128::from(*own);
        }
        let total: u128 = seats.iter().map(|seat| u128::from(seat.2)).sum();
        match 3 * power > 2 * total {
            true => {
                let validators = seats.into_iter().map(|seat| seat.0).collect();
                Ok(Deciders { validators, signed })
            }
            false => Err(refused("no-quorum")),
        }
    }

    /// Judges who built a block of a height up to the next one: who had the turn in the round in which it was built.
    ///
    /// # Errors
    /// [`What::Header`] for the field `proposer`.
    pub fn turn(&self, header: &Header) -> Result<(), Finding> {
        let seats = self.history.deciding_at(header.height.0);
        let count = seats.len().max(1) as u64;
        let turn = (header.height.0 % count + u64::from(header.round.0) % count) % count;
        let due = seats.get(turn as usize).map(|seat| &seat.0);
        if due == Some(&header.proposer) {
            return Ok(());
        }
        let due = due.map_or_else(|| "nobody".to_owned(), ToString::to_string);
        let what = differs("proposer", &header.proposer, due);
        Err(Finding { height: header.height, item: None, what })
    }
}

/// What is signed for a vote: docs/spec/hashing.md, Votes.
pub(super) fn vote(
    h: &History,
    (height, round): (Height, Round),
    kind: u64,
    block: Option<&Hash>,
    key: &PublicKey,
) -> Vec<u8> {
    let spelt = spell::array(&[
        spell::bytes(&h.chain),
        spell::uint(height.0),
        spell::uint(u64::from(round.0)),
        spell::uint(kind),
        spell::option(block.map(|block| spell::bytes(block))),
        spell::bytes(&key.0),
    ]);
    [&b"custos/1/vote\0"[..], &spelt[..]].concat()
}

#[cfg(test)]
mod tests {
    use custos_proof::cbor::{List, Wire as _};
    use custos_proof::certificate::{CommitSignature, VoteType, vote_preimage};
    use custos_proof::hash::{BlockId, Digest};
    use custos_proof::ids::{LogSize, TimeMs};
    use custos_proof::keys::Signer as _;
    use custos_proof::registry::Policy;

    use super::*;
    use crate::world::{SimKey, World};

    const BLOCK: BlockId = BlockId([7; 32]);

    /// Validators of equal power and a ledger before its first block, which they decide.
    struct Begun {
        world: World,
        /// In the order of the validators.
        keys: Vec<SimKey>,
        naive: Naive,
    }

    impl Begun {
        fn by(validators: usize) -> Self {
            let world = World::new(validators, TimeMs(1_930_896_000_000), Policy::initial());
            let founders = world.hospitals[..validators].iter();
            let mut keys: Vec<SimKey> = founders.map(|hospital| hospital.consensus.clone()).collect();
            keys.sort_by_key(|key| key.public_key());
            let naive = Naive::new(&world.genesis.to_bytes()).unwrap();
            Self { world, keys, naive }
        }

        /// A vote of one of them in round 0. The judged code spells it: that both spell the same is shown here, too.
        fn vote(&self, signer: u16, height: u64, vote: VoteType) -> CommitSignature {
            let key = &self.keys[usize::from(signer)];
            let (chain, height) = (&self.world.chain, Height(height));
            let preimage = vote_preimage(chain, height, Round(0), vote, Some(BLOCK), &key.public_key());
            CommitSignature { signer, signature: key.sign_bytes(&preimage) }
        }

        fn precommits(&self, signers: &[u16]) -> Vec<CommitSignature> {
            signers.iter().map(|signer| self.vote(*signer, 1, VoteType::Precommit)).collect()
        }

        /// What is wrong with a certificate of the first block by these votes.
        fn wrong(&mut self, votes: Vec<CommitSignature>) -> Option<&'static str> {
            let signatures = List::new(votes).unwrap();
            let certificate = Certificate { height: Height(1), round: Round(0), block_id: BLOCK, signatures };
            match self.naive.certificate(&certificate) {
                Ok(deciders) => {
                    assert_eq!(deciders.validators.len(), self.keys.len());
                    assert_eq!(deciders.signed.len(), certificate.signatures.len());
                    None
                }
                Err(Finding { what: What::Certificate { word, .. }, .. }) => Some(word),
                Err(other) => panic!("{other}"),
            }
        }
    }

    #[test]
    fn more_than_two_thirds_decide_and_two_thirds_do_not() {
        let mut four = Begun::by(4);
        for signers in [&[0, 1, 2, 3][..], &[0, 1, 2], &[1, 2, 3]] {
            assert_eq!(four.wrong(four.precommits(signers)), None);
        }
        assert_eq!(four.wrong(four.precommits(&[0, 1])), Some("no-quorum"));
        assert_eq!(four.wrong(Vec::new()), Some("no-quorum"));
        let mut three = Begun::by(3);
        assert_eq!(three.wrong(three.precommits(&[0, 2])), Some("no-quorum"), "exactly two thirds");
        assert_eq!(three.wrong(three.precommits(&[0, 1, 2])), None);
    }

    #[test]
    fn a_signer_counts_once_in_its_place() {
        let mut four = Begun::by(4);
        assert_eq!(four.wrong(four.precommits(&[0, 1, 1])), Some("signers-not-ascending"));
        assert_eq!(four.wrong(four.precommits(&[1, 0, 2])), Some("signers-not-ascending"));
        let mut stranger = four.precommits(&[0, 1, 2, 3]);
        stranger[3].signer = 4;
        assert_eq!(four.wrong(stranger), Some("unknown-signer"));
        let mut another = four.precommits(&[0, 1, 2]);
        another[2].signer = 3;
        assert_eq!(four.wrong(another), Some("bad-precommit"));
    }

    #[test]
    fn every_signature_is_a_precommit_of_this_height_whatever_the_others_are() {
        let mut four = Begun::by(4);
        for (height, vote) in [(2, VoteType::Precommit), (1, VoteType::Prevote)] {
            let other = four.vote(3, height, vote);
            assert_eq!(
                four.wrong([four.precommits(&[0, 1, 2]), vec![other]].concat()),
                Some("bad-precommit")
            );
        }
        // What was found valid before is no excuse.
        let mut turned = four.precommits(&[0, 1, 2]);
        assert_eq!(four.wrong(turned.clone()), None);
        turned[1].signature.0[40] ^= 1;
        assert_eq!(four.wrong(turned), Some("bad-precommit"));
    }

    #[test]
    fn everyone_has_a_turn_and_nobody_else_in_it() {
        let four = Begun::by(4);
        let by_key = |key: &SimKey| {
            let owner = four.world.hospitals.iter().find(|h| h.consensus.public_key() == key.public_key());
            owner.unwrap().id.clone()
        };
        let names: Vec<ParticipantId> = four.keys.iter().map(by_key).collect();
        for round in 0..8 {
            let due: Vec<usize> = (0..4)
                .filter(|place| {
                    let header = Header {
                        version: 1,
                        chain: four.world.chain,
                        height: Height(1),
                        round: Round(round),
                        time: TimeMs(0),
                        parent: BLOCK,
                        body_root: Digest([0; 32]),
                        log_size: LogSize(0),
                        log_root: Digest([0; 32]),
                        state_root: Digest([0; 32]),
                        validators_hash: Digest([0; 32]),
                        next_validators_hash: Digest([0; 32]),
                        proposer: names[*place].clone(),
                    };
                    four.naive.turn(&header).is_ok()
                })
                .collect();
            assert_eq!(due, [(1 + round as usize) % 4]);
        }
    }
}
