//! Who may read what (DESIGN, section 7): one place that decides, for every route.
//!
//! Three surfaces. *Public*: what proves the chain, the registry's trail, and permits. *Members*: whoever
//! signs the request with a `sign` key of the registry reads what it wrote itself and the trails it
//! owns or is the grantee of. *Subjects*: whoever shows the preimage of a trail's reader hash reads
//! that trail, without an account.
//!
//! # Correctness
//! Who may not read something gets the answer that it would get if the thing did not exist.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Mutex;

use custos_api::signature::{Claim, Request, SignatureError};
use custos_proof::cbor::Wire;
use custos_proof::hash::{ItemHash, KeyId, StateKey, TrailKey, sha256};
use custos_proof::ids::{ParticipantId, TimeMs};
use custos_proof::item::Item;
use custos_proof::keys::KeyPurpose;
use custos_proof::kinds::Fields;
use custos_proof::record::ItemEntry;
use custos_proof::registry::{self, Mandate, Participant, Permit, PermitTerms, Role, SubjectTrail};
use custos_proof::submission::Author;
use custos_proof::trail::{TrailKind, TrailName};
use custos_state::view::View as _;
use custos_store::{Snapshot, StoreError};
use thiserror::Error;

use crate::chain::lock;
use crate::ledger::key_entry;
use crate::proofs::{ProofError, name_of};

/// The most request nonces that are remembered at a time.
const MAX_NONCES: usize = 262_144;

/// How many of them one key may fill: a member that asks without end keeps no other from asking.
const MAX_NONCES_OF_A_KEY: usize = MAX_NONCES / 16;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Caller {
    /// The participant whose key signed the request.
    pub member: Option<ParticipantId>,
    /// The preimage that was shown.
    pub preimage: Option<[u8; 32]>,
}

impl Caller {
    /// Whether the caller showed nothing at all.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.member.is_none() && self.preimage.is_none()
    }

    /// Whether the caller may read a trail.
    ///
    /// # Errors
    /// When the store fails.
    pub fn may_read_trail(&self, snapshot: &Snapshot<'_>, trail: &TrailKey) -> Result<bool, ProofError> {
        if TrailName::registry(&snapshot.head().registrar).key() == *trail {
            return Ok(true);
        }
        if let Some(subject) = subject_trail(snapshot, trail)? {
            let is_subject = self.preimage.is_some_and(|preimage| sha256(&preimage) == subject.reader);
            let is_party = self.member.as_ref().is_some_and(|member| {
                subject.custodian == *member || subject.grantee.as_ref() == Some(member)
            });
            return Ok(is_subject
                || is_party
                || self.may_audit(snapshot, &subject.custodian, Some(subject.epoch))?);
        }
        let Some(member) = &self.member else { return Ok(false) };
        if TrailName::institution(member).key() == *trail {
            return Ok(true);
        }
        if self.audits_institution(snapshot, trail)? {
            return Ok(true);
        }
        let Some(name) = name_of(snapshot, trail)? else { return Ok(false) };
        match name.kind {
            // A subject's trail that was never opened, into which testimony was recorded all the same.
            TrailKind::Subject => Ok(name.owner == *member),
            // What was done under a permit is for its parties, and for auditors of the access body.
            TrailKind::Permit => Ok(name.owner == *member
                || names_in_permit(snapshot, trail, member)?
                || self.may_audit(snapshot, &name.owner, None)?),
            TrailKind::Institution | TrailKind::Registry => Ok(false),
        }
    }

    /// Whether the caller is an auditor with a mandate for a custodian's trails, of a year if one is named.
    fn may_audit(
        &self,
        snapshot: &Snapshot<'_>,
        custodian: &ParticipantId,
        year: Option<u16>,
    ) -> Result<bool, ProofError> {
        let Some(auditor) = &self.member else { return Ok(false) };
        let Some(mandate) =
            decoded::<Mandate>(snapshot, &registry::mandate_key(auditor, custodian), "mandate")?
        else {
            return Ok(false);
        };
        let covers = year.is_none_or(|year| (mandate.from_year..=mandate.to_year).contains(&year));
        if mandate.ended.is_some() || !covers {
            return Ok(false);
        }
        // The right goes with the role, and rests while the auditor is suspended.
        let entry = decoded::<Participant>(snapshot, &registry::participant_key(auditor), "participant")?;
        Ok(entry.is_some_and(|entry| entry.suspended.is_none() && entry.roles.has(Role::Auditor)))
    }

    /// Whether the trail is that of an institution for which the caller has a mandate.
    fn audits_institution(&self, snapshot: &Snapshot<'_>, trail: &TrailKey) -> Result<bool, ProofError> {
        for id in snapshot.participants()? {
            if TrailName::institution(&id).key() == *trail {
                return self.may_audit(snapshot, &id, None);
            }
        }
        Ok(false)
    }

    /// Whether the caller may read an item: its author, or whoever may read a trail that it stands in; permits are
    /// public.
    ///
    /// # Errors
    /// When the store fails.
    pub fn may_read_item(&self, snapshot: &Snapshot<'_>, entry: &ItemEntry) -> Result<bool, ProofError> {
        if self.wrote(&entry.author) || is_permit(snapshot, &entry.item)? {
            return Ok(true);
        }
        for listing in entry.trails.iter() {
            if self.may_read_trail(snapshot, &listing.trail)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the caller is this author.
    #[must_use]
    pub fn wrote(&self, author: &Author) -> bool {
        matches!((author, &self.member), (Author::Participant(id), Some(member)) if id == member)
    }
}

/// Why a request's signature is not accepted.
#[derive(Debug, Error)]
pub enum Stranger {
    /// Malformed, or not valid.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Not a live signing key of the registry.
    #[error("the key is not a live signing key of the registry")]
    Key,
    /// Made too long ago, or in the future.
    #[error("the request was signed {0} ms away from this node's clock")]
    Window(u64),
    /// Seen before.
    #[error("this request was made before: every request needs a nonce of its own")]
    Replayed,
    /// Too many requests to remember their nonces.
    #[error("too many signed requests at a time")]
    TooMany,
    /// Signed for another node.
    #[error("the request is addressed to {0:?}, which is not a name of this node")]
    OtherNode(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Recognises members by their request signatures.
#[derive(Debug)]
pub struct Gate {
    window_ms: u64,
    names: Vec<String>,
    nonces: Mutex<Nonces>,
}

#[derive(Debug, Default)]
struct Nonces {
    seen: HashSet<(KeyId, String)>,
    by_time: BTreeSet<(u64, KeyId, String)>,
    of_key: HashMap<KeyId, usize>,
}

impl Gate {
    /// A gate of a node that is addressed by `names`, for clocks that are at most `window_ms` off.
    #[must_use]
    pub fn new(window_ms: u64, names: Vec<String>) -> Self {
        Self { window_ms, names, nonces: Mutex::default() }
    }

    /// The participant that signed a request.
    ///
    /// In the order of cost; a nonce is used up only by a request whose signature is valid, so that nobody
    /// can use up those of others.
    ///
    /// # Errors
    /// [`Stranger`].
    pub fn member(
        &self,
        snapshot: &Snapshot<'_>,
        now: TimeMs,
        headers: (&str, &str),
        request: &Request<'_>,
        content_digest: Option<&str>,
    ) -> Result<ParticipantId, Stranger> {
        let claim = Claim::parse(headers.0, headers.1)?;
        if !self.names.iter().any(|name| name == request.authority) {
            return Err(Stranger::OtherNode(request.authority.chars().take(128).collect()));
        }
        let created_ms = claim.created_s.saturating_mul(1000);
        // `created` counts whole seconds.
        let off = now.0.abs_diff(created_ms).saturating_sub(999);
        if off > self.window_ms {
            return Err(Stranger::Window(off));
        }
        let entry = key_entry(snapshot, &claim.key_id)?.ok_or(Stranger::Key)?;
        let live = entry.purpose == KeyPurpose::Sign && entry.revoked.is_none() && now <= entry.not_after;
        if !live {
            return Err(Stranger::Key);
        }
        claim.verify(&entry.key, request, content_digest)?;
        self.use_nonce(now, created_ms, claim.key_id, claim.nonce)?;
        // A subject's key opens no member's door: it reads by showing a reader's preimage.
        entry.owner.as_participant().cloned().ok_or(Stranger::Key)
    }

    fn use_nonce(&self, now: TimeMs, created_ms: u64, key: KeyId, nonce: String) -> Result<(), Stranger> {
        let mut nonces = lock(&self.nonces);
        let forgotten_before = now.0.saturating_sub(self.window_ms.saturating_add(2_000));
        while nonces.by_time.first().is_some_and(|(created, ..)| *created < forgotten_before) {
            if let Some((_, key, nonce)) = nonces.by_time.pop_first() {
                nonces.seen.remove(&(key, nonce));
                let left = nonces.of_key.get(&key).copied().unwrap_or(1) - 1;
                match left {
                    0 => nonces.of_key.remove(&key),
                    left => nonces.of_key.insert(key, left),
                };
            }
        }
        if nonces.seen.contains(&(key, nonce.clone())) {
            return Err(Stranger::Replayed);
        }
        let of_key = nonces.of_key.get(&key).copied().unwrap_or(0);
        if nonces.seen.len() >= MAX_NONCES || of_key >= MAX_NONCES_OF_A_KEY {
            return Err(Stranger::TooMany);
        }
        nonces.of_key.insert(key, of_key + 1);
        nonces.seen.insert((key, nonce.clone()));
        nonces.by_time.insert((created_ms, key, nonce));
        Ok(())
    }
}

/// Whether an item issues, amends or revokes a permit.
fn is_permit(snapshot: &Snapshot<'_>, item: &ItemHash) -> Result<bool, ProofError> {
    let Some(index) = snapshot.find_item(item)? else { return Ok(false) };
    let item = snapshot.item(index)?.and_then(|bytes| Item::from_bytes(&bytes).ok());
    Ok(item.is_some_and(|item| {
        matches!(item.fields, Fields::PermitIssue(_) | Fields::PermitAmend(_) | Fields::PermitRevoke(_))
    }))
}

/// Whether the terms of a permit, as they stand, name somebody. A permit's trail begins with its issue.
fn names_in_permit(
    snapshot: &Snapshot<'_>,
    trail: &TrailKey,
    who: &ParticipantId,
) -> Result<bool, ProofError> {
    let Some(first) = snapshot.trail(trail, 0, 1)?.into_iter().next() else { return Ok(false) };
    let item = snapshot.item(first.index)?.and_then(|bytes| Item::from_bytes(&bytes).ok());
    let Some(Fields::PermitIssue(issue)) = item.map(|item| item.fields) else { return Ok(false) };
    let Some(permit) = decoded::<Permit>(snapshot, &registry::permit_key(&issue.permit), "permit")? else {
        return Ok(false);
    };
    let key = registry::permit_terms_key(&issue.permit, permit.version);
    let terms = decoded::<PermitTerms>(snapshot, &key, "permit's terms")?.map(|version| version.terms);
    Ok(terms.is_some_and(|terms| {
        terms.user == *who || terms.holders.contains(who) || terms.environment.as_ref() == Some(who)
    }))
}

fn subject_trail(snapshot: &Snapshot<'_>, trail: &TrailKey) -> Result<Option<SubjectTrail>, ProofError> {
    decoded(snapshot, &registry::subject_key(trail), "trail")
}

/// An entry of the state map.
pub(crate) fn decoded<T: Wire>(
    snapshot: &Snapshot<'_>,
    key: &StateKey,
    what: &str,
) -> Result<Option<T>, ProofError> {
    let value = snapshot.entry(key).map_err(|error| StoreError::Io(error.to_string()))?;
    value
        .map(|bytes| {
            T::from_bytes(&bytes).map_err(|error| StoreError::Io(format!("a {what} entry: {error}")).into())
        })
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonce(gate: &Gate, now: u64, created: u64, nonce: &str) -> Result<(), Stranger> {
        gate.use_nonce(TimeMs(now), created, KeyId([1; 32]), nonce.to_owned())
    }

    #[test]
    fn a_nonce_is_good_once_while_its_request_is() {
        let gate = Gate::new(60_000, Vec::new());
        assert!(nonce(&gate, 1_000_000, 1_000_000, "a").is_ok());
        assert!(matches!(nonce(&gate, 1_000_001, 1_000_000, "a"), Err(Stranger::Replayed)));
        assert!(matches!(nonce(&gate, 1_061_000, 1_000_000, "a"), Err(Stranger::Replayed)));
        assert!(nonce(&gate, 1_000_001, 1_000_000, "b").is_ok());
        // By then, the window refuses the request before its nonce is looked at.
        assert!(nonce(&gate, 1_200_000, 1_200_000, "a").is_ok());
        assert_eq!(lock(&gate.nonces).seen.len(), 1);
        assert_eq!(lock(&gate.nonces).by_time.len(), 1);
        assert_eq!(lock(&gate.nonces).of_key.len(), 1);
    }

    #[test]
    fn a_member_that_asks_without_end_keeps_no_other_from_asking() {
        let gate = Gate::new(60_000, Vec::new());
        let ask = |key: u8, number: usize, now: u64| {
            gate.use_nonce(TimeMs(now), now, KeyId([key; 32]), number.to_string())
        };
        for number in 0..MAX_NONCES_OF_A_KEY {
            ask(1, number, 1_000_000).unwrap();
        }
        assert!(matches!(ask(1, MAX_NONCES_OF_A_KEY, 1_000_000), Err(Stranger::TooMany)));
        ask(2, 0, 1_000_000).unwrap();
        // Its requests are forgotten when they are no longer good, and it may ask again.
        ask(1, 0, 1_100_000).unwrap();
    }
}
