//! Keys are added, rotated and revoked by their owner, or by vote.
//!
//! A key that votes on blocks is replaced by `validator.put` and ended by `validator.remove`. A key that begins in a block speaks
//! from the next block on, so that everybody who checks a block knows its keys from the state before.

use std::sync::Arc;

use custos_proof::hash::KeyId;
use custos_proof::ids::{FAR, LogIndex, ParticipantId};
use custos_proof::keys::{KeyPurpose, PublicKey, Signature, is_registrable, key_id, verify_zip215};
use custos_proof::kinds::key::{Add, Revoke, Rotate, possession_preimage};
use custos_proof::registry::KeyEntry;
use custos_proof::submission::Author;
use custos_proof::trail::TrailName;

use super::{About, Saying, refuse, registry_trail};
use crate::error::{AdmitError, RefusalCode};
use crate::overlay::Overlay;

/// The longest overlap of a rotation: 30 days.
const MAX_OVERLAP_MS: u64 = 30 * 86_400_000;

/// How far back an owner may date a compromise: 72 hours.
const MAX_BACK_MS: u64 = 72 * 3_600_000;

pub(super) const ADD: About = About {
    says: "A new key for a participant.",
    author: "the owner, or the validators by vote",
    listed: "registry",
    refuses: &[
        (RefusalCode::NotAllowed, "the author is not the owner, and there was no vote"),
        (RefusalCode::NotFound, "the owner is not registered"),
        (RefusalCode::BadKey, "the key is not registrable ([hashing.md](hashing.md#signatures))"),
        (
            RefusalCode::NoPossession,
            "no valid signature of the new key over the tag `custos/1/possession` and possession-preimage",
        ),
        (RefusalCode::Exists, "the key is registered"),
    ],
    notes: "The new entry is valid from the index after its record's, and signs submissions from the next block on; \
        it has no end. A key has one owner and one purpose, for ever.",
};

pub(super) const ROTATE: About = About {
    says: "A new key takes over from an old one of the same owner and purpose.",
    author: "the owner, or the validators by vote",
    listed: "registry",
    refuses: &[
        (RefusalCode::NotFound, "the old key is not registered, or is a subject's"),
        (RefusalCode::NotAllowed, "the author is not its owner, and there was no vote"),
        (
            RefusalCode::ByVoteOnly,
            "the key votes on the next block: `validator.put` replaces it, `validator.remove` ends it",
        ),
        (RefusalCode::RevokedKey, "the old key is not valid at this index and t"),
        (RefusalCode::OutOfRange, "the overlap is above 30 days (2592000000 ms)"),
        (RefusalCode::BadKey, "as `key.add`"),
        (RefusalCode::NoPossession, "as `key.add`"),
        (RefusalCode::Exists, "as `key.add`"),
    ],
    notes: "The old key's not-after becomes the smaller of itself and t + overlap. Then as `key.add`, for the old \
        key's owner and purpose.",
};

pub(super) const REVOKE: About = About {
    says: "A key ends now.",
    author: "the owner, or the validators by vote",
    listed: "registry",
    refuses: &[
        (RefusalCode::NotFound, "the key is not registered, or is a subject's"),
        (RefusalCode::NotAllowed, "the author is not its owner, and there was no vote"),
        (
            RefusalCode::ByVoteOnly,
            "the key votes on the next block: `validator.put` replaces it, `validator.remove` ends it",
        ),
        (RefusalCode::RevokedKey, "the key is not valid at this index and t"),
        (RefusalCode::OutOfRange, "`compromised_from` is after t"),
        (RefusalCode::TooFarBack, "`compromised_from` is more than 72 hours before t, and there was no vote"),
    ],
    notes: "The entry's `revoked` becomes the index after the record's (the revocation itself may be signed with \
        it), and `compromised_from` is entered. It marks; it unmakes nothing.",
};

pub(super) fn add(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Add,
) -> Result<Vec<TrailName>, AdmitError> {
    saying.must_speak_for(&f.owner)?;
    if overlay.participant(&f.owner)?.is_none() {
        return refuse(RefusalCode::NotFound, format!("participant {} is not registered", f.owner));
    }
    begin(overlay, saying, &f.owner, &f.key, f.purpose, &f.possession)
}

pub(super) fn rotate(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Rotate,
) -> Result<Vec<TrailName>, AdmitError> {
    let (owner, mut old) = owned(overlay, saying, &f.old)?;
    if f.overlap_ms > MAX_OVERLAP_MS {
        return refuse(RefusalCode::OutOfRange, format!("an overlap is at most {MAX_OVERLAP_MS} ms"));
    }
    old.not_after = old.not_after.min(overlay.time().plus(f.overlap_ms));
    overlay.put_key(&f.old, &old);
    begin(overlay, saying, &owner, &f.key, old.purpose, &f.possession)
}

pub(super) fn revoke(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Revoke,
) -> Result<Vec<TrailName>, AdmitError> {
    let (_, mut entry) = owned(overlay, saying, &f.key)?;
    if let Some(from) = f.compromised_from {
        if from > overlay.time() {
            return refuse(RefusalCode::OutOfRange, "a compromise cannot lie in the future");
        }
        if !saying.by_vote && from.plus(MAX_BACK_MS) < overlay.time() {
            return refuse(RefusalCode::TooFarBack, "a compromise more than 72 hours back takes a vote");
        }
    }
    // The revocation itself may be signed by the key that it revokes.
    entry.revoked = Some(LogIndex(saying.index.0 + 1));
    entry.compromised_from = f.compromised_from;
    overlay.put_key(&f.key, &entry);
    Ok(registry_trail(overlay))
}

/// A participant's key that the author may end: its own, or any by vote.
fn owned(
    overlay: &Overlay<'_>,
    saying: &Saying<'_>,
    id: &KeyId,
) -> Result<(ParticipantId, KeyEntry), AdmitError> {
    let entry = overlay.key(id)?;
    // A subject's key is its trail's business (`trail.agent`), and nobody else's.
    let Some((owner, entry)) = entry.and_then(|entry| Some((entry.owner.as_participant()?.clone(), entry)))
    else {
        return refuse(RefusalCode::NotFound, format!("key {id} is not registered"));
    };
    saying.must_speak_for(&owner)?;
    if overlay.validators()?.by_key(&entry.key).is_some() {
        return refuse(
            RefusalCode::ByVoteOnly,
            format!("key {id} votes on blocks: propose validator.put or validator.remove"),
        );
    }
    if !entry.is_valid_at(saying.index, overlay.time()) {
        return refuse(RefusalCode::RevokedKey, format!("key {id} has ended"));
    }
    Ok((owner, Arc::unwrap_or_clone(entry)))
}

/// Registers a key, with proof that its owner holds it.
pub(super) fn begin(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    owner: &ParticipantId,
    key: &PublicKey,
    purpose: KeyPurpose,
    possession: &Signature,
) -> Result<Vec<TrailName>, AdmitError> {
    let id = key_id(key);
    if let Err(defect) = is_registrable(key) {
        return refuse(RefusalCode::BadKey, format!("key {id} cannot be registered: {defect}"));
    }
    if !verify_zip215(key, &possession_preimage(&overlay.head().chain, owner, purpose, key), possession) {
        return refuse(
            RefusalCode::NoPossession,
            format!("key {id} did not sign for {owner} as its {purpose} key"),
        );
    }
    if overlay.key(&id)?.is_some() {
        return refuse(
            RefusalCode::Exists,
            format!("key {id} is registered: a key has one owner and one purpose, ever"),
        );
    }
    overlay.put_key(
        &id,
        &KeyEntry {
            owner: Author::Participant(owner.clone()),
            key: *key,
            purpose,
            valid_from: LogIndex(saying.index.0 + 1),
            revoked: None,
            not_after: FAR,
            compromised_from: None,
        },
    );
    Ok(registry_trail(overlay))
}
