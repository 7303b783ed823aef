//! The two halves of a transfer, matched by its id; a half that stays alone becomes a fact of the chain.

use custos_proof::cbor::Set;
use custos_proof::hash::ItemHash;
use custos_proof::ids::{ParticipantId, Random16, TimeMs};
use custos_proof::kinds::disclosure::{Export, Import};
use custos_proof::record::{Check, Code, DueRule};
use custos_proof::registry::{Due, DuePlace, Transfer};
use custos_proof::trail::TrailName;

use super::findings::{Findings, STATING};
use super::{About, Outcome, Saying, due_rule};
use crate::overlay::Overlay;
use crate::view::ViewError;

/// Which half.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Export,
    Import,
}

pub(super) const EXPORT: About = About {
    says: "Data was given to another institution, or to somebody outside.",
    author: "the source",
    listed: "author's trail, the recipient's if it is a participant",
    refuses: &[],
    notes: "Checks: 0 author (1; 2 none of the roles custodian, recipient, data-user; 36 the recipient is not \
        registered), 6 event (19), 10 half (25 this half was recorded before, and nothing contradicted it), if there is a recipient. The halves of a \
        transfer have source, recipient and transfer id in common. The first half that nothing contradicts lets the \
        other fall due after the policy's `transfer_ms`, listed in both institutions' trails; the second settles it, \
        with mark 24 after the deadline.",
};

pub(super) const IMPORT: About = About {
    says: "Data was received from another institution.",
    author: "the recipient",
    listed: "author's trail, the source's",
    refuses: &[],
    notes: "As `disclosure.export`, from the other side.",
};

pub(super) fn export(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Export,
) -> Result<Outcome, ViewError> {
    let mut found = match Findings::begin(overlay, saying, &f.event)? {
        Ok(found) => found,
        Err(before) => return Ok(before),
    };
    found.author(saying, &STATING);
    let mut trails = vec![TrailName::institution(saying.id)];
    // Whoever is no participant records nothing: no other half is owed.
    if let Some(recipient) = &f.recipient {
        let known = found.known(overlay, recipient, Code::UnknownParty)?;
        trails.extend(known.then(|| TrailName::institution(recipient)));
        half(overlay, saying, &mut found, Half::Export, saying.id, recipient, &f.transfer)?;
    }
    Ok(found.recorded(trails))
}

pub(super) fn import(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Import,
) -> Result<Outcome, ViewError> {
    let mut found = match Findings::begin(overlay, saying, &f.event)? {
        Ok(found) => found,
        Err(before) => return Ok(before),
    };
    found.author(saying, &STATING);
    let known = found.known(overlay, &f.source, Code::UnknownParty)?;
    let mut trails = vec![TrailName::institution(saying.id)];
    trails.extend(known.then(|| TrailName::institution(&f.source)));
    half(overlay, saying, &mut found, Half::Import, &f.source, saying.id, &f.transfer)?;
    Ok(found.recorded(trails))
}

fn half(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    found: &mut Findings,
    half: Half,
    source: &ParticipantId,
    recipient: &ParticipantId,
    id: &Random16,
) -> Result<(), ViewError> {
    let before = overlay.transfer(source, recipient, id)?;
    let again = before.as_ref().is_some_and(|transfer| mine(transfer, half).is_some());
    found.check(Check::Half, again.then_some(Code::Again));
    if found.is_contradicted() || again {
        return Ok(());
    }
    let mut transfer = before.unwrap_or(Transfer {
        first: overlay.height(),
        deadline: overlay.time().plus(overlay.policy()?.transfer_ms),
        exported: None,
        imported: None,
    });
    let theirs = match half {
        Half::Export => Half::Import,
        Half::Import => Half::Export,
    };
    if other(&transfer, half).is_none() {
        transfer.deadline = overlay.free_place(missing(theirs, saying.item, transfer.deadline))?.deadline;
    }
    match half {
        Half::Export => transfer.exported = Some(saying.item),
        Half::Import => transfer.imported = Some(saying.item),
    }
    overlay.put_transfer(source, recipient, id, &transfer);
    match other(&transfer, half) {
        // The second half: nothing is owed any longer.
        Some(first) => {
            overlay.settle(&missing(half, first, transfer.deadline))?;
            if transfer.deadline <= overlay.time() {
                found.mark(Code::Overdue);
            }
        }
        None => {
            let trails = [TrailName::institution(source).key(), TrailName::institution(recipient).key()];
            overlay.put_due(&Due {
                place: missing(theirs, saying.item, transfer.deadline),
                trails: Set::new(trails.to_vec()).unwrap_or_default(),
            });
        }
    }
    Ok(())
}

fn mine(transfer: &Transfer, half: Half) -> Option<ItemHash> {
    match half {
        Half::Export => transfer.exported,
        Half::Import => transfer.imported,
    }
}

fn other(transfer: &Transfer, half: Half) -> Option<ItemHash> {
    match half {
        Half::Export => transfer.imported,
        Half::Import => transfer.exported,
    }
}

/// `half` is missing beside the one that `cause` states.
fn missing(half: Half, cause: ItemHash, deadline: TimeMs) -> DuePlace {
    let rule = match half {
        Half::Export => DueRule::ExportMissing,
        Half::Import => DueRule::ImportMissing,
    };
    DuePlace { deadline, cause, rule: due_rule(rule) }
}
