//! From verified proofs and openings to the facts that are not the subject's rules: who represents the
//! subject, what a permit permits, whom a roster lists, which emergency was declared.
//!
//! What comes in has been checked: trails and receipts by `custos_proof::verify`, openings against their
//! seals. What comes out is as of a height, with the places in the log that R4 compares. Where what is at
//! hand does not reach, the functions say so ([`Gap`], [`Committed::Unknown`]); nothing is made up for it.
//!
//! Deliberately absent: fetching, and the subject's own rules ([`crate::listing`]).

mod emergencies;
mod permits;
mod policies;
mod representatives;
mod rosters;

pub use emergencies::{Declared, declared, is_declared};
pub use permits::{Gap, PermitHistory, Version};
pub use policies::{PolicyUnclear, policy_at};
pub use representatives::representatives;
pub use rosters::{Commitment, Committed, RosterHistory, membership};

use custos_proof::verify::{Content, ProvenItem, ProvenTrail};

use crate::listing::OpenTrail;

/// What is at hand beside the subject's trails.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// Permits whose trail is at hand.
    pub permits: Vec<PermitHistory>,
    /// Rosters of organisations whose trail, or a part of it, is at hand.
    pub rosters: Vec<RosterHistory>,
    /// Declared emergencies.
    pub emergencies: Vec<Declared>,
}

impl Beside {
    /// What verified trails of institutions and permits, and verified receipts, show.
    ///
    /// # Errors
    /// A permit's trail that lacks what would be needed.
    pub fn of(trails: &[&ProvenTrail], receipts: &[&ProvenItem]) -> Result<Self, Gap> {
        use custos_proof::trail::TrailKind;
        let mut beside = Self::default();
        let mut institutions: Vec<&ProvenTrail> = Vec::new();
        for trail in trails {
            match trail.name.kind {
                TrailKind::Permit => beside.permits.extend(PermitHistory::of(trail)?),
                TrailKind::Institution => institutions.push(trail),
                TrailKind::Subject | TrailKind::Registry => {}
            }
        }
        institutions.sort_by(|a, b| (&a.name.owner, a.begin).cmp(&(&b.name.owner, b.begin)));
        for parts in institutions.chunk_by(|a, b| a.name.owner == b.name.owner) {
            beside.rosters.extend(RosterHistory::of(parts));
        }
        let shown =
            trails.iter().flat_map(|trail| trail.entries.iter()).filter_map(|entry| match &entry.content {
                Content::Item(item) => Some(&**item),
                Content::Withheld(_) | Content::Pruned => None,
            });
        for emergency in shown.chain(receipts.iter().copied()).filter_map(declared) {
            if !beside.emergencies.contains(&emergency) {
                beside.emergencies.push(emergency);
            }
        }
        Ok(beside)
    }
}

/// Whether one of the trails is the subject's own: what a subject restricts stands there and nowhere else, so
/// without it no permission is certain.
#[must_use]
pub fn has_own(trails: &[OpenTrail<'_>]) -> bool {
    use custos_proof::kinds::Fields;
    trails.iter().flat_map(OpenTrail::items).any(|(_, item, _)| {
        matches!(item.map(|item| &item.item.fields), Some(Fields::TrailOpen(open)) if open.grantee.is_none())
    })
}
