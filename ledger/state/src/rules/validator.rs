//! Who votes on blocks changes by vote, with the next block.
//!
//! The header of the block that carries the deciding vote commits to the new set; the old set
//! certifies it, which is the link by which a light client follows.

use custos_proof::certificate::{Validator, ValidatorSet};
use custos_proof::ids::LogIndex;
use custos_proof::keys::{KeyPurpose, PublicKey, key_id, verify_zip215};
use custos_proof::kinds::key::possession_preimage;
use custos_proof::kinds::validator::{Put, Remove};
use custos_proof::registry::{self, KeyEntry, Role};
use custos_proof::trail::TrailName;

use super::{About, Saying, key, refuse, registry_trail};
use crate::error::{AdmitError, RefusalCode};
use crate::overlay::Overlay;

pub(super) const PUT: About = About {
    says: "A participant becomes a validator, or gets another key or power.",
    author: "the validators, by vote",
    listed: "registry, with the vote that decides it",
    refuses: &[
        (RefusalCode::ByVoteOnly, "it is not part of a proposal that was agreed on"),
        (RefusalCode::NotFound, "the participant is not registered"),
        (RefusalCode::NotAllowed, "it is suspended, or has not the role validator"),
        (RefusalCode::BadKey, "the key is not registrable ([hashing.md](hashing.md#signatures))"),
        (
            RefusalCode::NoPossession,
            "no valid signature of the key over possession-preimage, with purpose consensus",
        ),
        (RefusalCode::Exists, "the key is registered, and not as a living consensus key of this participant"),
        (
            RefusalCode::OutOfRange,
            "the validators would make no set: power 0, more than 128, 2^63 of power or more",
        ),
    ],
    notes: "The key is registered, if it is new; the key that the participant voted with before ends. The set decides \
        from the next height on.",
};

pub(super) const REMOVE: About = About {
    says: "A participant votes on blocks no longer.",
    author: "the validators, by vote",
    listed: "registry, with the vote that decides it",
    refuses: &[
        (RefusalCode::ByVoteOnly, "it is not part of a proposal that was agreed on"),
        (RefusalCode::NotFound, "it is not a validator of the next block"),
        (RefusalCode::OutOfRange, "it is the last one"),
    ],
    notes: "Its consensus key ends. Its node stays connected as long as the participant is registered, not suspended, \
        and has a transport key: `participant.suspend` in the same proposal cuts it off.",
};

pub(super) fn put(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Put,
) -> Result<Vec<TrailName>, AdmitError> {
    saying.must_be_voted()?;
    let Some(participant) = overlay.participant(&f.participant)? else {
        return refuse(RefusalCode::NotFound, format!("participant {} is not registered", f.participant));
    };
    if participant.suspended.is_some() || !participant.roles.has(Role::Validator) {
        return refuse(
            RefusalCode::NotAllowed,
            format!("{} is suspended, or has not the role validator", f.participant),
        );
    }
    let id = key_id(&f.key);
    match overlay.key(&id)? {
        None => {
            key::begin(overlay, saying, &f.participant, &f.key, KeyPurpose::Consensus, &f.possession)?;
        }
        Some(entry) => {
            let is_own = entry.owner.as_participant() == Some(&f.participant)
                && entry.purpose == KeyPurpose::Consensus;
            if !is_own || !entry.is_valid_at(saying.index, overlay.time()) {
                return refuse(
                    RefusalCode::Exists,
                    format!("key {id} is another's, for something else, or has ended"),
                );
            }
            let chain = overlay.head().chain;
            let preimage = possession_preimage(&chain, &f.participant, KeyPurpose::Consensus, &f.key);
            if !verify_zip215(&f.key, &preimage, &f.possession) {
                return refuse(
                    RefusalCode::NoPossession,
                    format!("key {id} did not sign for {}", f.participant),
                );
            }
        }
    }
    let (others, before) = without(&overlay.validators()?, f);
    if let Some(before) = before.filter(|before| *before != f.key) {
        end(overlay, saying, &before)?;
    }
    let new = Validator { participant: f.participant.clone(), key: f.key, power: f.power };
    replace(overlay, others.into_iter().chain([new]).collect())
}

pub(super) fn remove(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Remove,
) -> Result<Vec<TrailName>, AdmitError> {
    saying.must_be_voted()?;
    let all = overlay.validators()?;
    let (gone, others): (Vec<_>, Vec<_>) =
        all.as_slice().iter().cloned().partition(|validator| validator.participant == f.participant);
    let Some(gone) = gone.first() else {
        return refuse(RefusalCode::NotFound, format!("{} is not a validator", f.participant));
    };
    end(overlay, saying, &gone.key)?;
    replace(overlay, others)
}

/// The other validators, and the key that this one has so far.
fn without(set: &ValidatorSet, f: &Put) -> (Vec<Validator>, Option<PublicKey>) {
    let (own, others): (Vec<_>, Vec<_>) =
        set.as_slice().iter().cloned().partition(|validator| validator.participant == f.participant);
    (others, own.first().map(|validator| validator.key))
}

fn end(overlay: &mut Overlay<'_>, saying: &Saying<'_>, key: &PublicKey) -> Result<(), AdmitError> {
    let id = key_id(key);
    if let Some(entry) = overlay.key(&id)? {
        let revoked = entry.revoked.or(Some(LogIndex(saying.index.0 + 1)));
        overlay.put_key(&id, &KeyEntry { revoked, ..KeyEntry::clone(&entry) });
    }
    Ok(())
}

fn replace(overlay: &mut Overlay<'_>, validators: Vec<Validator>) -> Result<Vec<TrailName>, AdmitError> {
    match ValidatorSet::new(validators) {
        Ok(set) => {
            overlay.put(registry::validators_key(), &set);
            Ok(registry_trail(overlay))
        }
        Err(error) => refuse(RefusalCode::OutOfRange, error.to_string()),
    }
}
