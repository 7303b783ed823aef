//! Where an act is listed, which subject's trail an item names, and how a deed is entered into the history.

use custos_proof::hash::Digest;
use custos_proof::ids::ParticipantId;
use custos_proof::kinds::Fields;
use custos_proof::kinds::trail::Change;
use custos_proof::submission::Author;

use super::history::{Deed, History, institution_trail, key_id, permit_trail, subject_trail};
use super::testimony::{Verdict, statement_id};
use super::tree::Hash;

/// The subject's trail that an item names.
fn about(author: &Author, fields: &Fields) -> Option<Hash> {
    let own = |local_id: &Digest| Some(subject_trail(author.as_participant()?, &local_id.0));
    let of = |custodian: &ParticipantId, local_id: &Digest| Some(subject_trail(custodian, &local_id.0));
    match fields {
        Fields::TrailOpen(f) => own(&f.local_id),
        Fields::TrailClose(f) => own(&f.local_id),
        Fields::RecordEvent(f) => own(&f.local_id),
        Fields::PayloadErase(f) => own(&f.local_id),
        Fields::RulePut(f) => of(&f.custodian, &f.local_id),
        Fields::TrailAgent(f) => of(&f.custodian, &f.local_id),
        Fields::AccessEvent(f) => of(&f.custodian, f.local_id.as_ref()?),
        Fields::AccessCorrect(f) => of(&f.custodian, f.local_id.as_ref()?),
        Fields::HoldSet(f) => of(&f.custodian, f.local_id.as_ref()?),
        Fields::HoldLift(f) => of(&f.custodian, f.local_id.as_ref()?),
        _ => None,
    }
}

/// The trails of an act: the column "listed in" of docs/spec/items.md.
pub(super) fn act_trails(h: &History, author: &Author, fields: &Fields) -> Vec<Hash> {
    let own = || author.as_participant().map(institution_trail);
    let also = |id: &ParticipantId| Some(institution_trail(id));
    let named = about(author, fields);
    let of_permit = |permit, user: Option<&ParticipantId>| {
        let body = h.body(permit).or(author.as_participant());
        let (trail, body) = (body.map(|body| permit_trail(body, permit)), body.map(institution_trail));
        vec![trail, body, user.map(institution_trail)]
    };
    let listed = match fields {
        Fields::TrailOpen(_) | Fields::PayloadErase(_) => vec![named, own()],
        Fields::TrailClose(_) | Fields::RulePut(_) | Fields::TrailAgent(_) => vec![named],
        Fields::PermitIssue(f) => of_permit(&f.permit, Some(&f.terms.user)),
        Fields::PermitAmend(f) => of_permit(&f.permit, Some(&f.terms.user)),
        Fields::PermitRevoke(f) => of_permit(&f.permit, h.terms(&f.permit).map(|terms| &terms.user)),
        Fields::HoldSet(f) => vec![named, also(&f.custodian), own()],
        Fields::HoldLift(f) => vec![named, also(&f.custodian), own()],
        Fields::RosterCommit(_) | Fields::Notarise(_) | Fields::DisputeAnswer(_) => vec![own()],
        Fields::FindingRecord(f) => vec![also(&f.institution), own()],
        Fields::DisputeOpen(f) => vec![also(&f.institution), own()],
        Fields::DisputeResolve(f) => vec![also(&f.institution), own()],
        _ => vec![Some(h.registry_trail())],
    };
    listed.into_iter().flatten().collect()
}

impl History {
    /// What is said now, as a deed: of an act that is admitted, listed nowhere yet.
    pub(super) fn deed(
        &self,
        author: &Author,
        voted: bool,
        item: Hash,
        bytes: Vec<u8>,
        fields: Fields,
    ) -> Deed {
        let (mut begins, mut ends) = (None, None);
        match &fields {
            Fields::KeyAdd(f) => begins = Some(key_id(&f.key)),
            Fields::KeyRotate(f) => begins = Some(key_id(&f.key)),
            Fields::KeyRevoke(f) => ends = Some(f.key.0),
            Fields::TrailAgent(f) if f.change == Change::Add => begins = f.key.as_ref().map(key_id),
            Fields::TrailAgent(f) => ends = f.key.as_ref().map(key_id),
            Fields::ValidatorPut(f) => {
                let new = key_id(&f.key);
                begins = Some(new).filter(|new| self.key(new).is_none());
                let mut seats = self.next_seats().into_iter().filter(|seat| seat.0 == f.participant);
                ends = seats.next().map(|seat| key_id(&seat.1)).filter(|old| *old != new);
            }
            Fields::ValidatorRemove(f) => {
                let mut seats = self.next_seats().into_iter().filter(|seat| seat.0 == f.participant);
                ends = seats.next().map(|seat| key_id(&seat.1));
            }
            _ => {}
        }
        Deed {
            index: self.next_index(),
            height: self.height,
            time: self.time,
            author: author.clone(),
            item,
            bytes,
            voted,
            verdict: Verdict::of_an_act(),
            id: statement_id(&fields),
            about: about(author, &fields),
            listed: Vec::new(),
            begins,
            ends,
            due_at: None,
            fields,
        }
    }

    /// Enters an act that has no record of its own.
    pub(super) fn did(&mut self, author: &Author, voted: bool, item: Hash, bytes: Vec<u8>, fields: Fields) {
        let deed = self.deed(author, voted, item, bytes, fields);
        self.deeds.push(deed);
    }
}
