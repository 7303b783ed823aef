//! The policy and the protocol version change by vote, from a block on that everybody knows beforehand.
//!
//! Nothing changes within a block: what was agreed on waits in the state until its height, and
//! [`begin`] puts it in force there.

use custos_proof::header::PROTOCOL_VERSION;
use custos_proof::kinds::policy::{Set, Upgrade};
use custos_proof::registry::{self, Protocol};
use custos_proof::trail::TrailName;

use super::{About, Saying, refuse, registry_trail};
use crate::error::{AdmitError, ApplyError, RefusalCode};
use crate::overlay::Overlay;

pub(super) const SET: About = About {
    says: "A policy replaces the one before, whole, from a height on.",
    author: "the validators, by vote",
    listed: "registry, with the vote that decides it",
    refuses: &[
        (RefusalCode::ByVoteOnly, "it is not part of a proposal that was agreed on"),
        (RefusalCode::OutOfRange, "the version is not the current policy's + 1"),
        (RefusalCode::OutOfRange, "a number of it is out of its bounds, or a threshold too low"),
    ],
    notes: "It waits in the state until `effective`, at least until the next block; one that is agreed on before then \
        replaces it. Bounds: `lag_ms` at most 30 days; `max_lifetime_ms` 1 minute to 1 day; `max_nonces` 1 to \
        2^32 - 1; `trust_period_ms` 1 to 3650 days; `heartbeat_ms` 1 millisecond to 1 day; `max_open_proposals` 1 to 64; \
        `transfer_ms` at most 3650 days; three retention classes; a threshold, of a known kind, at least 1/2 and below 1, at least 2/3 for `policy.set`, `protocol.upgrade`, \
        `validator.put` and `validator.remove`, one per kind; `must_seal` names optional sealed fields.",
};

pub(super) const UPGRADE: About = About {
    says: "The protocol version changes at a height.",
    author: "the validators, by vote",
    listed: "registry, with the vote that decides it",
    refuses: &[
        (RefusalCode::ByVoteOnly, "it is not part of a proposal that was agreed on"),
        (RefusalCode::OutOfRange, "the version is below the current one"),
        (RefusalCode::OutOfRange, "the height is not above this block's"),
    ],
    notes: "Headers from that height on have the new version. A program that lacks it stops before that height. \
        Another agreement before then replaces this one; naming the current version takes it back.",
};

pub(super) fn set(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Set,
) -> Result<Vec<TrailName>, AdmitError> {
    saying.must_be_voted()?;
    let current = overlay.policy()?.version;
    if Some(f.policy.version) != current.checked_add(1) {
        return refuse(RefusalCode::OutOfRange, format!("the policy in force is version {current}"));
    }
    if let Err(why) = f.policy.check() {
        return refuse(RefusalCode::OutOfRange, format!("the policy: {why}"));
    }
    overlay.put(registry::next_policy_key(), f);
    Ok(registry_trail(overlay))
}

pub(super) fn upgrade(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Upgrade,
) -> Result<Vec<TrailName>, AdmitError> {
    saying.must_be_voted()?;
    let version = overlay.protocol()?.version;
    if f.version < version {
        return refuse(RefusalCode::OutOfRange, format!("the protocol version is {version}"));
    }
    if f.height <= overlay.height() {
        return refuse(RefusalCode::OutOfRange, format!("this is block {}", overlay.height()));
    }
    let upgrade = (f.version > version).then(|| f.clone());
    overlay.put(registry::protocol_key(), &Protocol { version, upgrade });
    Ok(registry_trail(overlay))
}

/// Puts in force what begins with this block; its protocol version.
pub(crate) fn begin(overlay: &mut Overlay<'_>) -> Result<u64, ApplyError> {
    let mut protocol = overlay.protocol()?;
    if let Some(upgrade) = protocol.upgrade.take_if(|upgrade| upgrade.height <= overlay.height()) {
        protocol.version = upgrade.version;
        overlay.put(registry::protocol_key(), &protocol);
    }
    if protocol.version != PROTOCOL_VERSION {
        return Err(ApplyError::UnknownVersion {
            version: protocol.version,
            height: overlay.height(),
            known: PROTOCOL_VERSION,
        });
    }
    let key = registry::next_policy_key();
    if let Some(next) = overlay.read::<Set>(&key, "policy to come")?
        && next.effective <= overlay.height()
    {
        overlay.put_policy(&next.policy);
        overlay.remove(key);
    }
    Ok(protocol.version)
}
