//! R0: the policy that was in force at a height, from the genesis, the registry's trail and the policy of the head.
//!
//! The head's state proves which policy is in force there; what was in force before is a chain of versions, each one
//! more than the one before, each stated whole in a proposal of the registry's trail. Which proposal was carried
//! out is not recorded as such, but follows where one version was proposed once; when, lies between its
//! opening and its last vote. Where that does not settle the height that is asked for, nothing is guessed.

use std::collections::BTreeMap;

use custos_proof::ids::{Height, Random16};
use custos_proof::kinds::Fields;
use custos_proof::registry::Policy;
use custos_proof::trail::TrailKind;
use custos_proof::verify::{Content, ProvenTrail};
use thiserror::Error;

/// Why it cannot be told which policy was in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PolicyUnclear {
    /// The registry's trail is not shown from its beginning, or not up to the head.
    #[error("the registry's trail is not shown whole")]
    NotShown,
    /// Several proposals, or none, state this version.
    #[error("policy {version} was proposed several times, or in no proposal that is shown")]
    Version {
        /// Which.
        version: u64,
    },
    /// The version began at about this height.
    #[error("policy {version} began between heights {from} and {to}")]
    Begin {
        /// Which.
        version: u64,
        /// Not before this height.
        from: Height,
        /// Not after this one.
        to: Height,
    },
}

/// A proposal that states a policy, with the heights between which it can have been carried out.
struct Proposed<'a> {
    policy: &'a Policy,
    effective: Height,
    opened: Height,
    voted: Height,
}

/// The policy in force at `height`, when `head` is the one in force at the head of the registry's trail.
///
/// # Errors
/// [`PolicyUnclear`].
pub fn policy_at(
    genesis: &Policy,
    head: &Policy,
    registry: &ProvenTrail,
    height: Height,
) -> Result<Policy, PolicyUnclear> {
    if head.version == genesis.version || height >= registry.header.header.height {
        return Ok(head.clone());
    }
    if registry.name.kind != TrailKind::Registry || !registry.is_complete() {
        return Err(PolicyUnclear::NotShown);
    }
    let proposed = proposed(registry)?;
    let mut version = head.version;
    while version > genesis.version {
        let stated = proposed.values().filter(|one| one.policy.version == version);
        let mut stated = stated.filter(|one| version != head.version || one.policy == head);
        let (Some(one), None) = (stated.next(), stated.next()) else {
            return Err(PolicyUnclear::Version { version });
        };
        let from = one.effective.max(one.opened.next());
        let to = one.effective.max(one.voted.next());
        match (height >= to, height < from) {
            (true, _) => return Ok(one.policy.clone()),
            (false, true) => version -= 1,
            (false, false) => return Err(PolicyUnclear::Begin { version, from, to }),
        }
    }
    Ok(genesis.clone())
}

/// The proposals of the registry's trail that state a policy, by their ids.
fn proposed(registry: &ProvenTrail) -> Result<BTreeMap<Random16, Proposed<'_>>, PolicyUnclear> {
    let mut proposed: BTreeMap<Random16, Proposed<'_>> = BTreeMap::new();
    for entry in &registry.entries {
        let Content::Item(item) = &entry.content else { return Err(PolicyUnclear::NotShown) };
        match &item.item.fields {
            Fields::ProposalOpen(open) => {
                let stated = open.acts.iter().find_map(|act| match &act.item().fields {
                    Fields::PolicySet(set) => Some(set),
                    _ => None,
                });
                proposed.extend(stated.map(|set| {
                    let opened = entry.record.height;
                    let one =
                        Proposed { policy: &set.policy, effective: set.effective, opened, voted: opened };
                    (open.proposal, one)
                }));
            }
            Fields::ProposalVote(vote) => {
                if let Some(one) = proposed.get_mut(&vote.proposal) {
                    one.voted = entry.record.height;
                }
            }
            _ => {}
        }
    }
    Ok(proposed)
}
