//! What faulty validators do where honest ones do what the host says.

use std::collections::VecDeque;

use bytes::Bytes;
use custos_consensus::{BuildRequest, EvidenceKind};
use custos_engine::core::{Spoken, forge};
use custos_engine::{DecidedBlock, Part};
use custos_network::PeerKey;
use custos_proof::cbor::Wire as _;
use custos_proof::hash::BlockId;
use custos_proof::ids::{Height, Round};
use custos_proof::keys::{PublicKey, Signature, Signer as _};

use crate::byzantine::Byzantine;
use crate::disk::Scratch;
use crate::node::{Frame, Node, Out, World, parts_of};

/// Frames that a faulty validator keeps, to use them later.
const MAX_HEARD: usize = 128;

/// What a faulty validator remembers.
#[derive(Default)]
pub(crate) struct Memory {
    heard: VecDeque<Frame>,
    /// Parts of whole blocks, by where they were sent.
    blocks: VecDeque<Part>,
}

impl Memory {
    pub(crate) fn hear(&mut self, frame: &Frame) {
        if let Frame::Part(part) = frame {
            if self.blocks.len() >= 16 {
                self.blocks.pop_front();
            }
            self.blocks.push_back(part.clone());
        }
        if self.heard.len() >= MAX_HEARD {
            self.heard.pop_front();
        }
        self.heard.push_back(frame.clone());
    }

    fn block_of(&self, height: Height) -> Option<&Part> {
        self.blocks.iter().find(|part| part.height == height)
    }
}

impl Node {
    fn says(&self, height: Height, round: Round, kind: EvidenceKind, block: Option<BlockId>) -> Spoken {
        let key = PublicKey([0; 32]);
        Spoken { key, height, round, kind, block, pol_round: None, signature: Signature([0; 64]) }
    }

    fn peers(&self) -> Vec<PeerKey> {
        self.run.as_ref().map(|run| run.peers.iter().copied().collect()).unwrap_or_default()
    }

    /// Sends what the core signed to some, something else that it signs to others, and both to a few.
    pub(crate) fn equivocate(&mut self, world: &mut World<'_>, says: &Spoken, bytes: Bytes) {
        if world.rng.chance(400) {
            world.out.push(Out::Send(None, Frame::Consensus(bytes)));
            return;
        }
        let mut sent = Vec::new();
        let other = match (says.kind, says.block) {
            (EvidenceKind::Proposal, Some(_)) => {
                let own = self.disk.head().ok().and_then(|head| {
                    let key = self.hospital.consensus.public_key();
                    Some((head.validators.by_key(&key)?.1.participant.clone(), head.time))
                });
                let Some((proposer, time)) = own else { return };
                let request = BuildRequest {
                    height: says.height,
                    round: says.round,
                    time: self.wall(world.now).max(time).plus(1),
                    proposer,
                    max_bytes: 100_000,
                };
                let Ok((block, _)) = self.disk.build(&mut Scratch::default(), &request, Vec::new(), None)
                else {
                    return;
                };
                let id = block.header.block_id();
                sent = parts_of(says.height, says.round, id, &Bytes::from(block.to_bytes()));
                Some(id)
            }
            (_, Some(_)) if world.rng.chance(500) => None,
            _ => Some(BlockId(world.rng.bytes())),
        };
        let says = self.says(says.height, says.round, says.kind, other);
        let Some((_, forged)) = forge(&self.setting.chain, &self.hospital.consensus, says) else { return };
        for peer in self.peers() {
            let which = world.rng.below(4);
            if which != 0 {
                world.out.push(Out::Send(Some(peer), Frame::Consensus(bytes.clone())));
            }
            if which <= 1 {
                let parts = sent.iter().cloned().map(|part| Out::Send(Some(peer), Frame::Part(part)));
                world.out.extend(parts);
                world.out.push(Out::Send(Some(peer), Frame::Consensus(forged.clone())));
            }
        }
    }

    /// Sends parts to whom they are meant for, or not.
    pub(crate) fn publish(&mut self, world: &mut World<'_>, parts: Vec<Part>) {
        if self.byzantine == Some(Byzantine::Withholder) && world.rng.chance(800) {
            let few = world.rng.below(2);
            for peer in self.peers() {
                if world.rng.below(3) < few {
                    let parts = parts.iter().cloned();
                    world.out.extend(parts.map(|part| Out::Send(Some(peer), Frame::Part(part))));
                }
            }
            return;
        }
        world.out.extend(parts.into_iter().map(|part| Out::Send(None, Frame::Part(part))));
    }

    /// The blocks for a peer that catches up; a withholder's are damaged.
    pub(crate) fn spoil(
        &mut self,
        world: &mut World<'_>,
        mut blocks: Vec<DecidedBlock>,
    ) -> Vec<DecidedBlock> {
        if self.byzantine == Some(Byzantine::Withholder) && world.rng.chance(700) {
            for block in &mut blocks {
                let at = world.rng.index(block.block.len());
                if let Some(byte) = block.block.get_mut(at) {
                    *byte ^= 1 << world.rng.below(8);
                }
            }
        }
        blocks
    }

    /// Proposes an earlier block instead of building one; whether it did.
    pub(crate) fn proposes_anew(&mut self, world: &mut World<'_>, height: Height, round: Round) -> bool {
        if self.byzantine != Some(Byzantine::Reproposer) || world.rng.chance(300) {
            return false;
        }
        let Some(run) = &self.run else { return false };
        let stale = Height(height.0.saturating_sub(1));
        let of = if round.0 > 0 || world.rng.chance(500) { height } else { stale };
        let Some(part) = run.mischief.block_of(of).cloned() else { return false };
        let lock = (round.0 > 0 && world.rng.chance(700)).then(|| Round(round.0 - 1));
        let says = Spoken {
            pol_round: lock,
            ..self.says(height, round, EvidenceKind::Proposal, Some(part.block_id))
        };
        let Some((_, forged)) = forge(&self.setting.chain, &self.hospital.consensus, says) else {
            return false;
        };
        world.out.push(Out::Send(None, Frame::Part(Part { height, round, ..part })));
        world.out.push(Out::Send(None, Frame::Consensus(forged)));
        true
    }

    /// What a faulty validator does once a second, besides.
    pub(crate) fn misbehave(&mut self, world: &mut World<'_>) {
        match self.byzantine {
            Some(Byzantine::Replayer) => self.replay(world, 6),
            Some(Byzantine::DoubleSubmitter) => self.resubmit(world),
            Some(Byzantine::Spammer) => self.spam(world),
            _ => {}
        }
    }

    fn replay(&mut self, world: &mut World<'_>, count: usize) {
        let Some(run) = &self.run else { return };
        for _ in 0..count {
            let at = world.rng.index(run.mischief.heard.len());
            if let Some(frame) = run.mischief.heard.get(at) {
                world.out.push(Out::Send(None, frame.clone()));
            }
        }
        self.resubmit(world);
    }

    /// Sends submissions again that were recorded.
    fn resubmit(&mut self, world: &mut World<'_>) {
        for _ in 0..4 {
            let height = Height(world.rng.within(1, self.disk.height().0.max(1)));
            let Some(decided) = self.disk.decided(height) else { continue };
            let Ok(block) = custos_proof::header::Block::from_bytes(&decided.block) else { continue };
            if let Some(bytes) = world.rng.pick(&block.body) {
                world.out.push(Out::Send(None, Frame::Submission(Bytes::copy_from_slice(bytes))));
            }
        }
    }

    fn spam(&mut self, world: &mut World<'_>) {
        let Some(run) = &self.run else { return };
        let height = run.deciding();
        for _ in 0..12 {
            let junk = Bytes::copy_from_slice(&world.rng.bytes::<96>());
            let at = Height(height.0 + world.rng.below(14));
            let round = Round(u32::try_from(world.rng.below(16)).unwrap_or_default());
            let kind = if world.rng.chance(500) { EvidenceKind::Prevote } else { EvidenceKind::Precommit };
            let block = world.rng.chance(500).then(|| BlockId(world.rng.bytes()));
            let frame = match world.rng.below(6) {
                0 => Frame::Consensus(junk),
                1 => Frame::Liveness(junk),
                2 => Frame::Submission(junk),
                3 => Frame::Status(Height(world.rng.below(1 << 40))),
                4 => {
                    let id = BlockId(world.rng.bytes());
                    let part =
                        Part { height: at, round, block_id: id, total_bytes: 96, index: 0, bytes: junk };
                    Frame::Part(part)
                }
                _ => {
                    let says = self.says(at, round, kind, block);
                    match forge(&self.setting.chain, &self.hospital.consensus, says) {
                        Some((_, forged)) => Frame::Consensus(forged),
                        None => continue,
                    }
                }
            };
            world.out.push(Out::Send(None, frame));
        }
    }
}
