//! What a node does with submissions: takes them in, builds blocks of them, tells clients.
//!
//! The same checks in the same order as `custos-node` (`node/src/intake.rs`, `node/src/ledger.rs`,
//! `node/src/reports.rs`), over the real mempool and the real rules, without threads.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::mempool::Place;
use bytes::Bytes;
use custos_consensus::{BuildRequest, Evidence, EvidenceKind, LedgerFault, SignedChoice};
use custos_proof::cbor::Wire as _;
use custos_proof::certificate::VoteType;
use custos_proof::header::Block;
use custos_proof::ids::{Height, ItemId, Random16};
use custos_proof::item::Item;
use custos_proof::kinds::misbehaviour::{Report, Seen, SignedVote};
use custos_proof::kinds::{Class, Fields};
use custos_proof::submission::{Author, Draft, Submission, Verified};
use custos_state::changes::Changes;
use custos_state::error::{Refusal, RefusalCode};
use custos_state::{admission, apply};

use crate::node::{Frame, Node, Out, World};

/// Room in a block.
const BLOCK_BYTES: usize = 256 * 1024;
/// Submissions in a block.
const BLOCK_SUBMISSIONS: usize = 64;
/// For how long a report of misbehaviour can be recorded.
const REPORT_LIFETIME_MS: u64 = 30 * 60_000;

/// What becomes of a submission that is handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It waits.
    Waits,
    /// It was recorded at this height.
    Recorded(Height),
    /// It is not admissible, or there is no room.
    Refused(String),
}

impl Node {
    /// Takes a submission of a client, or of a peer.
    pub(crate) fn intake(&mut self, world: &mut World<'_>, bytes: &Bytes, is_client: bool) -> Taken {
        let now = self.ledger_now(world.now);
        let Some(run) = &mut self.run else { return Taken::Refused("down".into()) };
        let submission = match Submission::decode(bytes) {
            Ok(submission) => submission,
            Err(error) => return Taken::Refused(error.to_string()),
        };
        let id = submission.id();
        if let Some(height) = self.disk.recorded(&id) {
            return Taken::Recorded(height);
        }
        if is_client {
            run.waiting.insert(id);
        }
        if run.mempool.pending(&id).is_some() {
            return Taken::Waits;
        }
        let view = self.disk.view();
        let verified = admission::admit(&view, now, &submission)
            .map_err(|error| error.to_string())
            .and_then(|key| {
                if is_client && !world.verifications.is_strict(&submission, key) {
                    return Err("bad signature".to_owned());
                }
                world.verifications.verify(submission, key).ok_or_else(|| "bad signature".to_owned())
            })
            .and_then(|verified| {
                apply::preview(&view, now, &verified).map_err(|error| error.to_string())?;
                Ok(verified)
            });
        let verified = match verified {
            Ok(verified) => verified,
            Err(reason) => return Taken::Refused(reason),
        };
        match run.mempool.insert(Arc::clone(&verified)) {
            Ok(Place::Added) => {
                if is_client {
                    world.out.push(Out::Send(None, Frame::Submission(bytes.clone())));
                }
                run.wakes();
                Taken::Waits
            }
            Ok(Place::Known) => Taken::Waits,
            Err(_) => Taken::Refused("no room".into()),
        }
    }

    /// A client hands in a submission; the answer is immediate unless it has to wait for a block.
    pub(crate) fn submit(&mut self, world: &mut World<'_>, bytes: &Bytes) -> Taken {
        let taken = self.intake(world, bytes, true);
        self.pump(world);
        taken
    }

    pub(crate) fn build(
        &mut self,
        world: &mut World<'_>,
        request: &BuildRequest,
    ) -> Result<Block, LedgerFault> {
        let twist = self.byzantine.and_then(|byzantine| byzantine.twist()).filter(|_| world.rng.chance(600));
        let Some(run) = &mut self.run else { return Err(LedgerFault("down".into())) };
        let reaped = run.mempool.reap(BLOCK_BYTES, BLOCK_SUBMISSIONS);
        let submissions = reaped.iter().map(|submission| Verified::clone(submission)).collect();
        let (block, refused) = self.disk.build(&mut run.scratch, request, submissions, twist)?;
        for (id, refusal) in &refused {
            if self.disk.recorded(id).is_some() {
                run.mempool.committed([id]);
            } else if refusal.code != RefusalCode::TooFarAhead {
                run.mempool.reject(id, refusal.clone());
            }
        }
        Ok(block)
    }

    /// What has to be done once a block is on disk.
    pub(crate) fn after_commit(&mut self, world: &mut World<'_>, changes: &Changes) {
        let now = self.ledger_now(world.now);
        let Some(run) = &mut self.run else { return };
        run.scratch.clear();
        let ids: Vec<_> = changes.submissions.iter().map(|submission| submission.id).collect();
        run.mempool.committed(&ids);
        run.mempool.expire(changes.head.time, |not_after| {
            Refusal::new(RefusalCode::Expired, format!("expired at {not_after}"))
        });
        for id in &ids {
            if run.waiting.remove(id) {
                world.out.push(Out::Acked(*id, changes.head.height));
            }
        }
        let touched = changes.participants.iter().chain(changes.keys.iter().map(|(owner, _)| owner));
        let mut authors: BTreeSet<Author> = touched.map(|id| Author::Participant(id.clone())).collect();
        for submission in &changes.submissions {
            if let Ok(envelope) = custos_proof::submission::Envelope::decode(&submission.envelope)
                && envelope.payload().class == Class::Act
            {
                authors.insert(envelope.payload().author.clone());
            }
        }
        let view = self.disk.view();
        for submission in run.mempool.of_authors(&authors) {
            let verdict = admission::admit(&view, now, &submission)
                .and_then(|_| apply::preview(&view, now, &submission));
            if let Err(custos_state::error::AdmitError::Refused(refusal)) = verdict {
                run.mempool.reject(&submission.id(), refusal);
            }
        }
    }

    /// Puts misbehaviour on the ledger, in this participant's name.
    pub(crate) fn report(&mut self, world: &mut World<'_>, evidence: &[Evidence]) {
        for pair in evidence {
            let Some(report) = report_of(pair) else { continue };
            let draft = Draft {
                chain: &self.setting.chain,
                author: Author::Participant(self.hospital.id.clone()),
                class: Class::Testimony,
                nonce: Random16(world.rng.bytes()),
                not_after: self.ledger_now(world.now).plus(REPORT_LIFETIME_MS),
            };
            let item =
                Item { item_id: ItemId(world.rng.bytes()), fields: Fields::MisbehaviourReport(report) };
            if let Ok(submission) = Submission::sign(&draft, vec![item.to_bytes()], &self.hospital.sign) {
                self.intake(world, &Bytes::copy_from_slice(submission.bytes()), true);
            }
        }
    }
}

/// The report of a pair of votes; none for proposals.
fn report_of(pair: &Evidence) -> Option<Report> {
    let vote = match pair.kind {
        EvidenceKind::Prevote => VoteType::Prevote,
        EvidenceKind::Precommit => VoteType::Precommit,
        EvidenceKind::Proposal => return None,
    };
    let signed = |choice: &SignedChoice| SignedVote { block: choice.block, signature: choice.signature };
    let (first, second) = match pair.first.block <= pair.second.block {
        true => (&pair.first, &pair.second),
        false => (&pair.second, &pair.first),
    };
    Some(Report {
        key: pair.validator,
        height: pair.height,
        round: pair.round,
        vote,
        first: signed(first),
        second: signed(second),
        seen: Seen::Consensus,
    })
}
