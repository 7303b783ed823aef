//! What validators find about a report of two conflicting votes.
//!
//! Nothing here refuses. A report that proves itself stands in the registry's trail, once; every
//! other stands in its author's own, so that nobody can fill the registry's with noise.

use custos_proof::certificate::vote_preimage;
use custos_proof::hash::ItemHash;
use custos_proof::keys::{KeyPurpose, key_id, verify_zip215};
use custos_proof::kinds::misbehaviour::{Report, SignedVote};
use custos_proof::record::{Check, Code, Finding, verdict};
use custos_proof::registry;
use custos_proof::trail::TrailName;

use super::{About, Outcome, Saying, registry_trail, validates};
use crate::overlay::Overlay;
use crate::view::ViewError;

pub(super) const REPORT: About = About {
    says: "A validator signed two conflicting votes, and here they are.",
    author: "a validator",
    listed: "registry; the author's trail, if it is contradicted or was reported before",
    refuses: &[],
    notes: "Never refused for its content. Checks: 0, always (1 suspended; 2 not a validator of this block); 16, always. \
        The first that applies: 40 the key is not, and never was, a consensus key of the registry; 44 the height is above \
        this block's; 42 the two votes are for the same block, or the first is not for the smaller block id (none is \
        smallest); 41 one of them is not a valid signature of the key over the vote's preimage. Signatures are \
        looked at only if there is no other code. 43: the same key, height, round and type was reported before; it is \
        a mark. The finding is consistent if there is no code but 43.",
};

pub(super) fn report(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Report,
) -> Result<Outcome, ViewError> {
    let mut codes = Vec::new();
    codes.extend(saying.participant.suspended.map(|_| Code::AuthorSuspended));
    codes.extend((!validates(overlay, saying.id)).then_some(Code::AuthorRole));
    codes.extend(evidence(overlay, f, codes.is_empty())?);
    let is_good = codes.is_empty();
    let mut trails = vec![TrailName::institution(saying.id)];
    if is_good {
        let key = registry::misbehaviour_key(&key_id(&f.key), f.height, f.round, f.vote);
        match overlay.read::<ItemHash>(&key, "misbehaviour")? {
            Some(_) => codes.push(Code::ReportedBefore),
            None => {
                overlay.put(key, &saying.item);
                trails = registry_trail(overlay);
            }
        }
    }
    let finding = if is_good { Finding::Consistent } else { Finding::Contradicted };
    Ok(Outcome::Recorded { verdict: verdict(&[Check::Author, Check::Evidence], &codes, finding), trails })
}

/// The first thing that is wrong with the two votes.
fn evidence(overlay: &Overlay<'_>, f: &Report, with_signatures: bool) -> Result<Option<Code>, ViewError> {
    let entry = overlay.key(&key_id(&f.key))?;
    if entry.is_none_or(|entry| entry.purpose != KeyPurpose::Consensus) {
        return Ok(Some(Code::NoConsensusKey));
    }
    if f.height > overlay.height() {
        return Ok(Some(Code::HeightAhead));
    }
    if f.first.block >= f.second.block {
        return Ok(Some(Code::VotesAgree));
    }
    let signed = |vote: &SignedVote| {
        let chain = overlay.head().chain;
        let preimage = vote_preimage(&chain, f.height, f.round, f.vote, vote.block, &f.key);
        verify_zip215(&f.key, &preimage, &vote.signature)
    };
    Ok((with_signatures && !(signed(&f.first) && signed(&f.second))).then_some(Code::VoteNotSigned))
}
