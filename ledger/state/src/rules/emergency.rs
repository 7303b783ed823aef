//! Emergencies are declared and reviewed; a review that is missing becomes a fact of the chain.

use custos_proof::cbor::Set;
use custos_proof::kinds::emergency::{Declare, Review};
use custos_proof::record::{Check, Code, DueRule};
use custos_proof::registry::{Due, DuePlace, Emergency, Role};
use custos_proof::trail::TrailName;

use super::findings::{Findings, STATING};
use super::{About, Outcome, Saying, due_rule};
use crate::overlay::Overlay;
use crate::view::ViewError;

/// Roles that may review.
const REVIEWING: [Role; 4] = [Role::Custodian, Role::Recipient, Role::DataUser, Role::Auditor];

pub(super) const DECLARE: About = About {
    says: "An emergency is declared: accesses may cite it, and a review falls due.",
    author: "custodian or acting organisation",
    listed: "author's trail, custodian's, acting organisation's",
    refuses: &[],
    notes: "Checks: 0 author (1 suspended; 2 none of the roles custodian, recipient, data-user; 3 neither custodian nor \
        acting; 4, 5 custodian, acting not registered), 6 event (19). If nothing contradicts it, an emergency entry is \
        made, and a review falls due after the policy's `decision.emergency.review_hours`, listed in the custodian's and the acting \
        organisation's trail.",
};

pub(super) const REVIEW: About = About {
    says: "A declared emergency was reviewed.",
    author: "a party of the declaration, or an auditor",
    listed: "author's trail, declarer's, custodian's",
    refuses: &[],
    notes: "Checks: 0 author (1; 2 none of the roles custodian, recipient, data-user, auditor; 3 neither party nor \
        auditor; 36 the declarer is not registered), 6 event (19), 8 reference (16 no such declaration of the \
        declarer's). Marks: 24 after the deadline, 25 reviewed before. The first review that nothing contradicts \
        settles what falls due. Whether the reviewer is independent is sealed.",
};

pub(super) fn declare(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Declare,
) -> Result<Outcome, ViewError> {
    let mut found = match Findings::begin(overlay, saying, &f.declaration)? {
        Ok(found) => found,
        Err(before) => return Ok(before),
    };
    found.author(saying, &STATING);
    if *saying.id != f.custodian && *saying.id != f.acting {
        found.check(Check::Author, [Code::AuthorNotParty]);
    }
    let custodian_known = found.known(overlay, &f.custodian, Code::UnknownCustodian)?;
    let acting_known = found.known(overlay, &f.acting, Code::UnknownActing)?;
    let mut trails = vec![TrailName::institution(saying.id)];
    trails.extend(custodian_known.then(|| TrailName::institution(&f.custodian)));
    trails.extend(acting_known.then(|| TrailName::institution(&f.acting)));
    if !found.is_contradicted() {
        let mut emergency = Emergency {
            item: saying.item,
            declared: overlay.height(),
            time: overlay.time(),
            review_by: overlay.time().plus(review_ms(overlay)?),
            custodian: f.custodian.clone(),
            acting: f.acting.clone(),
            cited: None,
            reviewed: None,
        };
        let place = overlay.free_place(review_place(&emergency))?;
        emergency.review_by = place.deadline;
        overlay.put_emergency(saying.id, &f.declaration, &emergency);
        let listed = [TrailName::institution(&f.custodian).key(), TrailName::institution(&f.acting).key()];
        overlay.put_due(&Due { place, trails: Set::new(listed.to_vec()).unwrap_or_default() });
    }
    Ok(found.recorded(trails))
}

pub(super) fn review(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Review,
) -> Result<Outcome, ViewError> {
    let mut found = match Findings::begin(overlay, saying, &f.review)? {
        Ok(found) => found,
        Err(before) => return Ok(before),
    };
    found.author(saying, &REVIEWING);
    let declarer_known = found.known(overlay, &f.declarer, Code::UnknownParty)?;
    let mut trails = vec![TrailName::institution(saying.id)];
    trails.extend(declarer_known.then(|| TrailName::institution(&f.declarer)));
    let Some(emergency) = overlay.emergency(&f.declarer, &f.declaration)? else {
        found.check(Check::Reference, [Code::UnknownEmergency]);
        return Ok(found.recorded(trails));
    };
    found.check(Check::Reference, []);
    let party = [&f.declarer, &emergency.custodian, &emergency.acting].contains(&saying.id);
    if !party && !saying.participant.roles.has(Role::Auditor) {
        found.check(Check::Author, [Code::AuthorNotParty]);
    }
    trails.push(TrailName::institution(&emergency.custodian));
    let place = review_place(&emergency);
    if place.deadline <= overlay.time() {
        found.mark(Code::Overdue);
    }
    if emergency.reviewed.is_some() {
        found.mark(Code::Again);
    } else if !found.is_contradicted() {
        overlay.settle(&place)?;
        let reviewed = Emergency { reviewed: Some(overlay.height()), ..emergency };
        overlay.put_emergency(&f.declarer, &f.declaration, &reviewed);
    }
    Ok(found.recorded(trails))
}

/// Where the review of a declaration stands among what falls due.
fn review_place(emergency: &Emergency) -> DuePlace {
    DuePlace { deadline: emergency.review_by, cause: emergency.item, rule: due_rule(DueRule::ReviewMissing) }
}

/// Within which time a declared emergency has to be reviewed.
fn review_ms(overlay: &Overlay<'_>) -> Result<u64, ViewError> {
    Ok(u64::from(overlay.policy()?.decision.emergency.review_hours) * 3_600_000)
}
