//! A document existed; and what is a part of another does not exceed it.

use custos_proof::hash::ItemHash;
use custos_proof::kinds::notarise::Notarise;
use custos_proof::registry::{self, Notarised};
use custos_proof::trail::TrailName;

use super::{About, Saying, refuse};
use crate::error::{AdmitError, RefusalCode};
use crate::overlay::Overlay;

pub(super) const NOTARISE: About = About {
    says: "A document existed; where amounts are given, its parts never exceed it.",
    author: "any participant; for a part, the parent's holder",
    listed: "the author's trail",
    refuses: &[
        (RefusalCode::NotAllowed, "the schema id is not in the policy's list"),
        (RefusalCode::Exists, "this very item was recorded before, whoever sent it"),
        (RefusalCode::NotFound, "`holder` is not registered"),
        (RefusalCode::NotFound, "the parent is no recorded `notarise`"),
        (RefusalCode::NotAllowed, "the author is not the parent's holder"),
        (
            RefusalCode::ExceedsParent,
            "the amount is more than what is left of the parent's; of a parent without an amount nothing is left",
        ),
    ],
    notes: "The amount of a part is taken from the parent's at once.",
};

pub(super) fn notarise(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Notarise,
) -> Result<Vec<TrailName>, AdmitError> {
    if !overlay.policy()?.schemas.contains(&f.schema) {
        return refuse(
            RefusalCode::NotAllowed,
            format!("{:?} is not among the policy's schema ids", &*f.schema),
        );
    }
    // Parts refer to the item by its hash: recorded again, it would have its amount once more, or another holder.
    if overlay.read::<Notarised>(&registry::notarised_key(&saying.item), "notarised item")?.is_some() {
        return refuse(
            RefusalCode::Exists,
            "this item was recorded before: make another, with a fresh item id",
        );
    }
    let holder = f.holder.as_ref().unwrap_or(saying.id);
    if overlay.participant(holder)?.is_none() {
        return refuse(RefusalCode::NotFound, format!("participant {holder} is not registered"));
    }
    if let Some(parent) = &f.parent {
        take(overlay, saying, parent, f.amount)?;
    }
    let entry = Notarised { holder: holder.clone(), amount: f.amount, taken: 0 };
    overlay.put(registry::notarised_key(&saying.item), &entry);
    Ok(vec![TrailName::institution(saying.id)])
}

/// Takes a part's amount from its parent's.
fn take(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    parent: &ItemHash,
    amount: Option<u64>,
) -> Result<(), AdmitError> {
    let key = registry::notarised_key(parent);
    let Some(mut entry) = overlay.read::<Notarised>(&key, "notarised item")? else {
        return refuse(RefusalCode::NotFound, format!("no notarise item {parent} is recorded"));
    };
    if entry.holder != *saying.id {
        return refuse(RefusalCode::NotAllowed, format!("only {} may notarise parts of it", entry.holder));
    }
    let Some(amount) = amount else { return Ok(()) };
    let left = entry.amount.unwrap_or(0).saturating_sub(entry.taken);
    if amount > left {
        return refuse(RefusalCode::ExceedsParent, format!("{amount} is more than the {left} that are left"));
    }
    entry.taken += amount;
    overlay.put(key, &entry);
    Ok(())
}
