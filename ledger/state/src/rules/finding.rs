//! An auditor with a mandate records what it found.

use custos_proof::hash::ItemHash;
use custos_proof::kinds::finding::Record;
use custos_proof::registry::{self, Role};
use custos_proof::trail::TrailName;

use super::{About, Saying, mandate, refuse};
use crate::error::{AdmitError, RefusalCode};
use crate::overlay::Overlay;

pub(super) const RECORD: About = About {
    says: "An auditor states what it found, by which rule, on which evidence.",
    author: "an auditor with a mandate for the institution",
    listed: "the institution's trail, the auditor's",
    refuses: &[
        (RefusalCode::NotAllowed, "the author has not the role auditor"),
        (RefusalCode::NoMandate, "it has no mandate for the institution that has not ended"),
        (RefusalCode::Exists, "the finding id was used for this institution"),
    ],
    notes: "That the items of `evidence` are recorded is for the reader to see: their receipts prove it.",
};

pub(super) fn record(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Record,
) -> Result<Vec<TrailName>, AdmitError> {
    saying.must_have(&[Role::Auditor])?;
    if mandate::active(overlay, saying.id, &f.institution)?.is_none() {
        return refuse(RefusalCode::NoMandate, format!("{} has no mandate for {}", saying.id, f.institution));
    }
    let key = registry::finding_key(&f.institution, &f.finding);
    if overlay.read::<ItemHash>(&key, "finding")?.is_some() {
        return refuse(RefusalCode::Exists, "a finding of this id was recorded before");
    }
    overlay.put(key, &saying.item);
    Ok(vec![TrailName::institution(&f.institution), TrailName::institution(saying.id)])
}
