//! Validators decide together: proposals are opened, voted on, carried out whole, and closed.
//!
//! ```text
//!   open --- more than the threshold says yes ---> executed   all acts, in order, in this block
//!                                             `--> failed     the acts had become invalid; none is done
//!        --- it cannot be reached any more ------> rejected
//!        --- the deadline passes ----------------> expired    at the beginning of the next block
//! ```
//!
//! Power is that of the set which decides the block with the vote; who left the set no longer counts.
//! Opening is the opener's yes, when it is a validator. Deliberately absent: amendments (open another
//! proposal), and votes in another's name.

use custos_proof::cbor::{Ascii, List, Set, Wire as _};
use custos_proof::ids::{ParticipantId, Random16};
use custos_proof::item::item_hash;
use custos_proof::kinds::proposal::{Choice, Open, Vote};
use custos_proof::registry::{self, OpenProposal, OpenProposals, Policy, Proposal, ProposalState, Role};
use custos_proof::submission::Author;
use custos_proof::trail::TrailName;

use super::{About, Saying, judge, refuse, registry_trail, takes_votes, validates};
use crate::error::{AdmitError, RefusalCode};
use crate::overlay::Overlay;
use crate::view::ViewError;

/// The longest time for a decision: 90 days.
const MAX_DEADLINE_MS: u64 = 90 * 86_400_000;

/// The most open proposals of one opener, so that nobody keeps the others from proposing.
const MAX_OPEN_EACH: usize = 4;

pub(super) const OPEN: About = About {
    says: "Acts are put to the vote of the validators.",
    author: "a validator, or a participant with the role registrar",
    listed: "registry",
    refuses: &[
        (
            RefusalCode::NotAllowed,
            "the author is neither a validator of this block nor has the role registrar",
        ),
        (RefusalCode::OutOfRange, "there is no act"),
        (RefusalCode::OutOfRange, "the deadline is not after t, or more than 90 days after it"),
        (RefusalCode::NotAllowed, "an act is of a kind that takes no vote"),
        (RefusalCode::Exists, "the proposal id was used"),
        (RefusalCode::QuotaExceeded, "`max_open_proposals` of the policy, or 4 of the author, are open"),
    ],
    notes: "What the acts would be refused with if they were carried out now refuses the proposal, too. Kinds that \
        take a vote: `participant.register`, `.update`, `.suspend`; `key.add`, `.rotate`, `.revoke`; `policy.set`; \
        `protocol.upgrade`; `validator.put`, `.remove`; `mandate.issue`, `.end`.\n\n\
        A validator that opens a proposal has said yes to it. The proposal is carried out in the block in which the \
        power of those who said yes is more than the threshold of each of its acts (2/3 of the whole, or what the \
        policy says for the kind), by the validator set that decides that block. Its acts are then applied in \
        order, as if its opener had written them, at the index of the vote's record; all of them, or none: if one \
        is refused by then, the proposal is closed as failed, with the word of the refusal. It is closed as rejected \
        when the power of those who did not say no is not more than a threshold, and as expired at the beginning of \
        the first block after its deadline. What became of it stands in the state map.",
};

pub(super) const VOTE: About = About {
    says: "A validator says yes or no to a proposal.",
    author: "a validator",
    listed: "registry",
    refuses: &[
        (RefusalCode::NotAllowed, "the author is not a validator of this block"),
        (RefusalCode::NotFound, "there is no such proposal"),
        (RefusalCode::ProposalClosed, "it was decided, or its deadline has passed"),
        (RefusalCode::Exists, "the author's last vote says the same"),
    ],
    notes: "A later vote of the same validator replaces its earlier one. Where more than 128 names have said the same, \
        those that are not validators of this block are dropped.",
};

pub(super) fn open(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Open,
) -> Result<Vec<TrailName>, AdmitError> {
    let votes = validates(overlay, saying.id);
    if !votes && !saying.participant.roles.has(Role::Registrar) {
        return refuse(
            RefusalCode::NotAllowed,
            format!("{} is neither a validator nor has the role registrar", saying.id),
        );
    }
    if f.acts.is_empty() {
        return refuse(RefusalCode::OutOfRange, "there is nothing to vote on");
    }
    if f.deadline <= overlay.time() || f.deadline > overlay.time().plus(MAX_DEADLINE_MS) {
        return refuse(RefusalCode::OutOfRange, "the deadline lies ahead, at most 90 days");
    }
    if let Some(act) = f.acts.iter().find(|act| !takes_votes(act.item().kind())) {
        return refuse(RefusalCode::NotAllowed, format!("{} takes no vote", act.item().kind().name()));
    }
    if overlay.read::<Proposal>(&registry::proposal_key(&f.proposal), "proposal")?.is_some() {
        return refuse(RefusalCode::Exists, "a proposal of this id was opened before");
    }
    let mut listed = open_proposals(overlay)?;
    let own = listed.iter().filter(|listed| listed.opener == *saying.id).count();
    if listed.len() >= usize::from(overlay.policy()?.max_open_proposals) || own >= MAX_OPEN_EACH {
        return refuse(RefusalCode::QuotaExceeded, "too many proposals are open; wait, or vote on them");
    }
    let opened = Proposal {
        item: saying.item,
        opener: saying.id.clone(),
        acts: f.acts.clone(),
        opened: overlay.height(),
        deadline: f.deadline,
        yes: Set::new(votes.then(|| saying.id.clone()).into_iter().collect()).unwrap_or_default(),
        no: Set::default(),
        state: ProposalState::Open,
        closed: None,
        reason: None,
    };
    // On trial: what nobody could carry out now is not worth a vote.
    overlay
        .whole(|overlay| -> Result<(), Trial> {
            match carry_out(overlay, saying, &opened) {
                Ok(()) => Err(Trial::Good),
                Err(error) => Err(Trial::Bad(error)),
            }
        })
        .or_else(|trial| match trial {
            Trial::Good => Ok(()),
            Trial::Bad(error) => Err(error),
        })?;
    listed.push(OpenProposal { proposal: f.proposal, opener: saying.id.clone(), deadline: f.deadline });
    put_open_proposals(overlay, listed);
    settle(overlay, saying, &f.proposal, opened)?;
    Ok(registry_trail(overlay))
}

/// How a trial went; either way nothing of it stays.
enum Trial {
    Good,
    Bad(AdmitError),
}

pub(super) fn vote(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Vote,
) -> Result<Vec<TrailName>, AdmitError> {
    if !validates(overlay, saying.id) {
        return refuse(RefusalCode::NotAllowed, format!("{} is not a validator", saying.id));
    }
    let Some(mut proposal) = overlay.read::<Proposal>(&registry::proposal_key(&f.proposal), "proposal")?
    else {
        return refuse(RefusalCode::NotFound, format!("there is no proposal {}", f.proposal));
    };
    if proposal.state != ProposalState::Open || proposal.deadline < overlay.time() {
        let state =
            if proposal.state == ProposalState::Open { ProposalState::Expired } else { proposal.state };
        return refuse(RefusalCode::ProposalClosed, format!("the proposal is {state}"));
    }
    let (to, from) = match f.vote {
        Choice::Yes => (&mut proposal.yes, &mut proposal.no),
        Choice::No => (&mut proposal.no, &mut proposal.yes),
    };
    if to.contains(saying.id) {
        return refuse(RefusalCode::Exists, format!("{} has said so before", saying.id));
    }
    let others = |names: &[ParticipantId]| names.iter().filter(|name| *name != saying.id).cloned().collect();
    *from = Set::new(others(from)).unwrap_or_default();
    let mut said: Vec<ParticipantId> = others(to);
    said.push(saying.id.clone());
    // More names than a set has members: some left the set of validators, and count for nothing.
    *to = match Set::new(said.clone()) {
        Some(all) => all,
        None => {
            said.retain(|name| validates(overlay, name));
            Set::new(said).unwrap_or_default()
        }
    };
    settle(overlay, saying, &f.proposal, proposal)?;
    Ok(registry_trail(overlay))
}

/// Closes a proposal if it is decided by now, carrying it out if it was agreed on, and keeps it.
fn settle(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    id: &Random16,
    mut proposal: Proposal,
) -> Result<(), AdmitError> {
    let (state, reason) = match tally(overlay, &*overlay.policy()?, &proposal) {
        ProposalState::Executed => match overlay.whole(|overlay| carry_out(overlay, saying, &proposal)) {
            Ok(()) => (ProposalState::Executed, None),
            Err(AdmitError::Refused(refusal)) => (ProposalState::Failed, Ascii::new(refusal.code.word())),
            Err(error @ AdmitError::View(_)) => return Err(error),
        },
        state => (state, None),
    };
    if state != ProposalState::Open {
        close(overlay, &mut proposal, state);
        proposal.reason = reason;
        let mut listed = open_proposals(overlay)?;
        listed.retain(|open| open.proposal != *id);
        put_open_proposals(overlay, listed);
    }
    overlay.put(registry::proposal_key(id), &proposal);
    Ok(())
}

fn close(overlay: &Overlay<'_>, proposal: &mut Proposal, state: ProposalState) {
    proposal.state = state;
    proposal.closed = Some(overlay.height());
    // What it carried stands in its item; the state keeps what it reads.
    proposal.acts = List::default();
}

/// What the votes so far amount to: executed, rejected, or still open.
fn tally(overlay: &Overlay<'_>, policy: &Policy, proposal: &Proposal) -> ProposalState {
    let set = &overlay.head().next_validators;
    let power = |names: &[ParticipantId]| -> u128 {
        let counted = set.as_slice().iter().filter(|validator| names.contains(&validator.participant));
        counted.map(|validator| u128::from(validator.power)).sum()
    };
    let total = u128::from(set.total_power());
    let exceeds = |part: u128| {
        proposal.acts.iter().all(|act| {
            let (numerator, denominator) = policy.threshold(act.item().kind());
            part * u128::from(denominator) > total * u128::from(numerator)
        })
    };
    if exceeds(power(&proposal.yes)) {
        ProposalState::Executed
    } else if !exceeds(total - power(&proposal.no)) {
        ProposalState::Rejected
    } else {
        ProposalState::Open
    }
}

/// Applies the acts of a proposal in order, as its opener's.
fn carry_out(overlay: &mut Overlay<'_>, saying: &Saying<'_>, proposal: &Proposal) -> Result<(), AdmitError> {
    let opener = overlay.participant(&proposal.opener)?.ok_or_else(|| ViewError::Damaged {
        what: format!("the entry of participant {}", proposal.opener),
    })?;
    for act in proposal.acts.iter() {
        let acting = Saying {
            author: &Author::Participant(proposal.opener.clone()),
            id: &proposal.opener,
            participant: &opener,
            index: saying.index,
            item: item_hash(&act.item().to_bytes()),
            by_vote: true,
        };
        judge(overlay, &acting, act.item())?;
    }
    Ok(())
}

/// Closes what can no longer be decided, at the beginning of a block.
pub(crate) fn close_expired(overlay: &mut Overlay<'_>) -> Result<(), ViewError> {
    let listed = open_proposals(overlay)?;
    let (open, expired): (Vec<_>, Vec<_>) =
        listed.into_iter().partition(|listed| listed.deadline >= overlay.time());
    if expired.is_empty() {
        return Ok(());
    }
    for listed in expired {
        let key = registry::proposal_key(&listed.proposal);
        let mut proposal: Proposal = overlay
            .read(&key, "proposal")?
            .ok_or_else(|| ViewError::Damaged { what: format!("proposal {}", listed.proposal) })?;
        close(overlay, &mut proposal, ProposalState::Expired);
        overlay.put(key, &proposal);
    }
    put_open_proposals(overlay, open);
    Ok(())
}

fn open_proposals(overlay: &Overlay<'_>) -> Result<Vec<OpenProposal>, ViewError> {
    let listed: Option<OpenProposals> = overlay.read(&registry::open_proposals_key(), "open proposals")?;
    Ok(listed.unwrap_or_default().into_inner())
}

fn put_open_proposals(overlay: &mut Overlay<'_>, listed: Vec<OpenProposal>) {
    let key = registry::open_proposals_key();
    match List::new(listed) {
        Some(listed) if !listed.is_empty() => overlay.put::<OpenProposals>(key, &listed),
        // The policy allows no more than fit.
        _ => overlay.remove(key),
    }
}
