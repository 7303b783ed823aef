//! Puts on the ledger what consensus saw of misbehaviour: two conflicting votes of one validator.
//!
//! The engine hands over pairs whose signatures it has verified; each becomes a `misbehaviour.report`
//! in the participant's name, signed with the key that the configuration names for it. A report that
//! is not taken is tried again for a while and then only stays in the log: whoever else saw the pair
//! reports it, too, and the ledger keeps it once.
//!
//! Deliberately absent: pairs of proposals (the format has votes; a validator that proposes twice
//! without voting twice harms nothing that votes do not show), and consequences.

use std::sync::Arc;
use std::time::Duration;

use custos_consensus::{Evidence, EvidenceKind, SignedChoice};
use custos_proof::cbor::Wire as _;
use custos_proof::certificate::VoteType;
use custos_proof::ids::{ItemId, ParticipantId, Random16};
use custos_proof::item::Item;
use custos_proof::keys::Signer;
use custos_proof::kinds::misbehaviour::{Report, Seen, SignedVote};
use custos_proof::kinds::{Class, Fields};
use custos_proof::submission::{Author, Draft, Submission};
use tokio::sync::mpsc::Receiver;
use tracing::{info, warn};

use crate::chain::Chain;
use crate::intake::{Declined, Intake};

/// For how long a report can be recorded, in milliseconds.
const LIFETIME_MS: u64 = 30 * 60_000;
/// How often a report is tried again, and how long is waited in between.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_secs(3);

/// Whoever reports in a participant's name.
pub(crate) struct Reporter {
    chain: Arc<Chain>,
    intake: Intake,
    author: Option<(ParticipantId, Arc<dyn Signer>)>,
}

impl Reporter {
    /// A reporter; without a participant and its signing key it only logs.
    pub(crate) fn new(
        chain: Arc<Chain>,
        intake: Intake,
        participant: Option<ParticipantId>,
        key: Option<Arc<dyn Signer>>,
    ) -> Self {
        Self { chain, intake, author: participant.zip(key) }
    }

    /// Reports until consensus ends.
    pub(crate) async fn run(self, evidence: Option<Receiver<Evidence>>) {
        let Some(mut evidence) = evidence else { return };
        while let Some(pair) = evidence.recv().await {
            let Some(report) = report(&pair) else { continue };
            match &self.author {
                None => {
                    warn!(validator = %pair.validator, height = %pair.height, "misbehaviour is not reported: `keys.sign` names no key")
                }
                Some((author, key)) => self.hand_in(author, key.as_ref(), report).await,
            }
        }
    }

    async fn hand_in(&self, author: &ParticipantId, key: &dyn Signer, report: Report) {
        for _ in 0..TRIES {
            let bytes = match self.sign(author, key, report.clone()) {
                Ok(bytes) => bytes,
                Err(cause) => return warn!(cause, "a report of misbehaviour was not signed"),
            };
            if let Ok(answer) = self.intake.submit(bytes.into()) {
                match answer.await {
                    Ok(Ok(accepted)) => return info!(submission = %accepted.id, "misbehaviour is reported"),
                    Ok(Err(Declined::Refused(refusal))) => {
                        return warn!(
                            code = refusal.code.word(),
                            detail = refusal.detail,
                            "a report of misbehaviour was refused"
                        );
                    }
                    Ok(Err(Declined::NoRoom(_) | Declined::Failed(_))) | Err(_) => {}
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        warn!("a report of misbehaviour found no room");
    }

    fn sign(&self, author: &ParticipantId, key: &dyn Signer, report: Report) -> Result<Vec<u8>, String> {
        let random = || {
            let mut bytes = [0; 16];
            getrandom::fill(&mut bytes).map(|()| bytes).map_err(|error| error.to_string())
        };
        let draft = Draft {
            chain: &self.chain.store().head().chain,
            author: Author::Participant(author.clone()),
            class: Class::Testimony,
            nonce: Random16(random()?),
            not_after: self.chain.now().plus(LIFETIME_MS),
        };
        let item = Item { item_id: ItemId(random()?), fields: Fields::MisbehaviourReport(report) };
        Submission::sign(&draft, vec![item.to_bytes()], key)
            .map(|submission| submission.bytes().to_vec())
            .map_err(|error| error.to_string())
    }
}

/// The report of a pair of votes; none for proposals.
fn report(pair: &Evidence) -> Option<Report> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use custos_proof::hash::BlockId;
    use custos_proof::ids::{Height, Round};
    use custos_proof::keys::{PublicKey, Signature};

    #[test]
    fn votes_are_reported_in_their_order_and_proposals_are_not() {
        let choice = |block| SignedChoice { block, pol_round: None, signature: Signature([1; 64]) };
        let pair = |kind| Evidence {
            validator: PublicKey([2; 32]),
            height: Height(3),
            round: Round(4),
            kind,
            first: choice(Some(BlockId([5; 32]))),
            second: choice(None),
        };
        assert_eq!(report(&pair(EvidenceKind::Proposal)), None);
        let told = report(&pair(EvidenceKind::Precommit)).unwrap();
        assert_eq!((told.first.block, told.second.block), (None, Some(BlockId([5; 32]))));
        assert_eq!((told.height, told.round, told.vote), (Height(3), Round(4), VoteType::Precommit));
    }
}
