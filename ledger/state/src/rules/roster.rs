//! An organisation binds itself to the list of its staff for a period.

use custos_proof::kinds::roster::Commit;
use custos_proof::registry::{self, Role, Roster};
use custos_proof::trail::TrailName;

use super::{About, Saying, refuse};
use crate::error::{AdmitError, RefusalCode};
use crate::overlay::Overlay;

/// The longest period: 400 days.
const MAX_PERIOD_MS: u64 = 400 * 86_400_000;

/// Roles of organisations whose staff acts.
const WITH_STAFF: [Role; 4] = [Role::Custodian, Role::Recipient, Role::DataUser, Role::AccessBody];

pub(super) const COMMIT: About = About {
    says: "An organisation binds itself to the list of its staff.",
    author: "a participant with the role custodian, recipient, data-user or access-body",
    listed: "the author's trail",
    refuses: &[
        (RefusalCode::NotAllowed, "the author has none of these roles"),
        (RefusalCode::OutOfRange, "the period does not end after it begins, or is longer than 400 days"),
        (RefusalCode::OutOfRange, "the period is over at t"),
    ],
    notes: "The state keeps the last one. An event's opening shows by the path in it that a person was on the roster.",
};

pub(super) fn commit(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Commit,
) -> Result<Vec<TrailName>, AdmitError> {
    saying.must_have(&WITH_STAFF)?;
    if f.until <= f.from || f.until > f.from.plus(MAX_PERIOD_MS) {
        return refuse(RefusalCode::OutOfRange, "a period ends after it begins, within 400 days");
    }
    if f.until <= overlay.time() {
        return refuse(RefusalCode::OutOfRange, format!("the period ended at {}", f.until));
    }
    let roster =
        Roster { item: saying.item, root: f.root, from: f.from, until: f.until, committed: overlay.height() };
    overlay.put(registry::roster_key(saying.id), &roster);
    Ok(vec![TrailName::institution(saying.id)])
}
