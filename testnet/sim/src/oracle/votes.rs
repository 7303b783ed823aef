//! What validators decide together: who said what, and what it amounts to.

use custos_proof::ids::{ParticipantId, Random16};
use custos_proof::kinds::Fields;
use custos_proof::kinds::proposal::{Choice, Open, Vote};
use custos_proof::registry::Role;

use super::acts::{self, Act};
use super::history::{Closing, Deed, History};
use super::spell;
use super::tree::leaf;

/// Acts that can be put to the vote.
const VOTED: [&str; 12] = [
    "participant.register",
    "participant.update",
    "participant.suspend",
    "key.add",
    "key.rotate",
    "key.revoke",
    "policy.set",
    "protocol.upgrade",
    "validator.put",
    "validator.remove",
    "mandate.issue",
    "mandate.end",
];

/// Numbers of proposal-state.
pub(super) const OPEN: u64 = 0;
pub(super) const EXECUTED: u64 = 1;
pub(super) const REJECTED: u64 = 2;
pub(super) const EXPIRED: u64 = 3;
pub(super) const FAILED: u64 = 4;

/// The longest time for a decision, and the most open proposals of one opener.
const MAX_DEADLINE_MS: u64 = 90 * 86_400_000;
const MAX_OPEN_EACH: usize = 4;
/// The most names that a list of votes holds.
const MAX_NAMES: usize = 128;

impl History {
    /// The act that opened a proposal.
    pub(super) fn proposal(&self, id: &Random16) -> Option<(&Deed, &Open)> {
        self.deeds.iter().find_map(|deed| match &deed.fields {
            Fields::ProposalOpen(f) if f.proposal == *id => Some((deed, f)),
            _ => None,
        })
    }

    pub(super) fn closing(&self, id: &Random16) -> Option<&Closing> {
        self.closings.iter().find(|closing| closing.proposal == *id)
    }

    /// The proposals that are open, in the order in which they were opened.
    pub(super) fn open_proposals(&self) -> Vec<(&Deed, &Open)> {
        let opened = self.deeds.iter().filter_map(|deed| match &deed.fields {
            Fields::ProposalOpen(f) => Some((deed, f)),
            _ => None,
        });
        opened.filter(|(_, f)| self.closing(&f.proposal).is_none()).collect()
    }

    /// Who says yes and who says no to a proposal, each ascending.
    pub(super) fn said(&self, id: &Random16) -> (Vec<ParticipantId>, Vec<ParticipantId>) {
        let (mut yes, mut no) = (Vec::new(), Vec::new());
        for deed in &self.deeds {
            let Some(who) = deed.author.as_participant() else { continue };
            let deciding = || self.deciding_at(deed.height);
            let is_yes = match &deed.fields {
                Fields::ProposalOpen(f) if f.proposal == *id => {
                    // Opening is a yes, of whoever decides that block.
                    if deciding().iter().any(|seat| seat.0 == *who) {
                        yes.push(who.clone());
                    }
                    continue;
                }
                Fields::ProposalVote(f) if f.proposal == *id => f.vote == Choice::Yes,
                _ => continue,
            };
            yes.retain(|name| name != who);
            no.retain(|name| name != who);
            let list = if is_yes { &mut yes } else { &mut no };
            list.push(who.clone());
            if list.len() > MAX_NAMES {
                let seats = deciding();
                list.retain(|name| seats.iter().any(|seat| seat.0 == *name));
            }
        }
        yes.sort();
        no.sort();
        (yes, no)
    }

    /// What the votes until now amount to.
    fn tally(&self, f: &Open) -> u64 {
        let (yes, no) = self.said(&f.proposal);
        let seats = self.deciding();
        let total: u128 = seats.iter().map(|seat| u128::from(seat.2)).sum();
        let power = |names: &[ParticipantId]| -> u128 {
            seats.iter().filter(|seat| names.contains(&seat.0)).map(|seat| u128::from(seat.2)).sum()
        };
        let policy = self.policy();
        let is_enough = |part: u128| {
            f.acts.iter().all(|act| {
                let own = policy.thresholds.iter().find(|own| *own.kind == *act.item().kind().name());
                let (n, d) = own.map_or((2, 3), |own| (own.numerator, own.denominator));
                part * u128::from(d) > total * u128::from(n)
            })
        };
        match (is_enough(power(&yes)), is_enough(total - power(&no))) {
            (true, _) => EXECUTED,
            (false, true) => OPEN,
            (false, false) => REJECTED,
        }
    }

    /// Carries the acts of a proposal out, one after the other; all of them or none.
    fn carry_out(&mut self, opened: &Deed, f: &Open) -> Result<(), &'static str> {
        let mark = self.deeds.len();
        let spelt = voted_bytes(opened);
        for (act, bytes) in f.acts.iter().zip(spelt) {
            let fields = &act.item().fields;
            let item = leaf(&bytes);
            let act = Act { author: &opened.author, voted: true, item, fields };
            if let Some(word) = acts::refusal(self, &act) {
                self.deeds.truncate(mark);
                return Err(word);
            }
            self.did(&opened.author, true, item, bytes, fields.clone());
        }
        Ok(())
    }

    /// What a proposal or a vote that was just added to the history leads to.
    pub(super) fn settle(&mut self, proposal: &Random16) {
        let Some((opened, f)) = self.proposal(proposal).map(|(deed, f)| (deed.clone(), f.clone())) else {
            return;
        };
        let (state, reason) = match self.tally(&f) {
            EXECUTED => match self.carry_out(&opened, &f) {
                Ok(()) => (EXECUTED, None),
                Err(word) => (FAILED, Some(word)),
            },
            state => (state, None),
        };
        if state != OPEN {
            let closing = Closing { proposal: *proposal, height: self.height, state, reason };
            self.closings.push(closing);
        }
    }

    /// Closes what can no longer be decided at the beginning of a block.
    pub(super) fn close_expired(&mut self) {
        let height = self.height;
        let expired: Vec<Closing> = self
            .open_proposals()
            .iter()
            .filter(|(_, f)| f.deadline.0 < self.time)
            .map(|(_, f)| Closing { proposal: f.proposal, height, state: EXPIRED, reason: None })
            .collect();
        self.closings.extend(expired);
    }
}

/// The acts of a proposal as they stand in the item that opened it.
fn voted_bytes(opened: &Deed) -> Vec<Vec<u8>> {
    let acts = spell::elements(&opened.bytes)
        .and_then(|item| spell::elements(item.get(3)?))
        .and_then(|fields| spell::elements(fields.get(1)?));
    acts.unwrap_or_default().into_iter().map(<[u8]>::to_vec).collect()
}

pub(super) fn open_refused(h: &History, act: &Act<'_>, me: &ParticipantId, f: &Open) -> Option<&'static str> {
    let open = h.open_proposals();
    let own = open.iter().filter(|(deed, _)| deed.author == *act.author).count();
    if !h.decides(me) && !h.has_role(me, Role::Registrar) {
        return Some("not-allowed");
    }
    if f.acts.is_empty() || f.deadline.0 <= h.time || f.deadline.0 - h.time > MAX_DEADLINE_MS {
        return Some("out-of-range");
    }
    if f.acts.iter().any(|act| !VOTED.contains(&act.item().kind().name())) {
        return Some("not-allowed");
    }
    if h.proposal(&f.proposal).is_some() {
        return Some("exists");
    }
    if open.len() >= usize::from(h.policy().max_open_proposals) || own >= MAX_OPEN_EACH {
        return Some("quota-exceeded");
    }
    // What could not be carried out now is not put to the vote: tried on a history of its own.
    let mut trial = h.clone();
    let opened = trial.deed(act.author, false, act.item, Vec::new(), act.fields.clone());
    for act in f.acts.iter() {
        let fields = &act.item().fields;
        let voted = Act { author: &opened.author, voted: true, item: [0; 32], fields };
        if let Some(word) = acts::refusal(&trial, &voted) {
            return Some(word);
        }
        trial.did(&opened.author, true, [0; 32], Vec::new(), fields.clone());
    }
    None
}

pub(super) fn vote_refused(h: &History, me: &ParticipantId, f: &Vote) -> Option<&'static str> {
    if !h.decides(me) {
        return Some("not-allowed");
    }
    let Some((_, opened)) = h.proposal(&f.proposal) else { return Some("not-found") };
    if h.closing(&f.proposal).is_some() || opened.deadline.0 < h.time {
        return Some("proposal-closed");
    }
    let (yes, no) = h.said(&f.proposal);
    let same = if f.vote == Choice::Yes { yes } else { no };
    same.contains(me).then_some("exists")
}
