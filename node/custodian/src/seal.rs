//! Makes items of drafts: draws ids and seeds, fills every sealed field, and says what the vault keeps.
//!
//! The only place where randomness enters an item. Nothing clear comes from a draft but what the
//! format of the kind says; in particular, every map key and every sealed field is always there, so
//! that a grant and a restriction, a served and a refused request look alike.
//!
//! Deliberately absent: signing, and any decision about which trail an item belongs to.

use custos_proof::cbor::{Set, View, Wire as _};
use custos_proof::hash::Digest;
use custos_proof::ids::{Height, ItemId, ParticipantId, Random16};
use custos_proof::item::Item;
use custos_proof::kinds::access::{Basis, Event, Late, Retention};
use custos_proof::kinds::rule::Put;
use custos_proof::kinds::{Fields, Kind, trail};
use custos_proof::seal::{Place, Seal, SealError};
use custos_proof::sealed_values::OwnTrail;
use custos_proof::subject::{EpochSecret, reader};
use thiserror::Error;

use crate::draft::{AccessEventDraft, Origin, RuleDraft};
use crate::vault::{Scope, StoredItem, VaultError, random};

/// Why a draft cannot be sealed.
#[derive(Debug, Error)]
pub enum SealingError {
    /// A value is beyond its bound.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// More rules end at once than one item can say.
    #[error("more than 16 rules would end at once")]
    TooManyEnds,
    /// No randomness.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// Where and how an event stands on the ledger: its clear fields that no draft has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPlace {
    /// The subject's trail, if the event has a subject.
    pub local_id: Option<Digest>,
    /// The organisation that acted.
    pub acting: ParticipantId,
    /// On which ground.
    pub basis: Basis,
    /// What the ground cites.
    pub cited: Option<Random16>,
    /// The head that the decider saw.
    pub at_height: Height,
    /// Whether it is late, and why.
    pub late: Late,
    /// How long it is kept.
    pub retention: Retention,
}

/// What is drawn or counted for an event: fixed once, so that sealing it again gives the same bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Fixed {
    /// The item's own id.
    pub item_id: ItemId,
    /// The event's own id.
    pub event: Random16,
    /// The seed of the salts.
    pub seed: [u8; 32],
    /// The author's stream; 0 when events are not numbered.
    pub stream: u32,
    /// The event's number in the stream; 0 when not numbered.
    pub sequence: u64,
}

/// Never shows the seed.
impl core::fmt::Debug for Fixed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Fixed")
            .field("event", &self.event)
            .field("stream", &self.stream)
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}

impl Fixed {
    /// Fresh ids and a fresh seed, for an event that is numbered like this.
    ///
    /// # Errors
    /// No randomness.
    pub fn draw(stream: u32, sequence: u64) -> Result<Self, VaultError> {
        Ok(Self { item_id: ItemId(random()?), event: Random16(random()?), seed: random()?, stream, sequence })
    }
}

/// Where a rule stands, and what it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulePlace {
    /// The subject's trail.
    pub local_id: Digest,
    /// The rule that it follows.
    pub prior: Option<Random16>,
    /// The rules that end with it.
    pub ends: Vec<Random16>,
}

/// Seals an access event.
///
/// # Errors
/// A value beyond its bound, or no randomness.
pub fn event(
    scope: &Scope,
    draft: &AccessEventDraft,
    place: &EventPlace,
) -> Result<StoredItem, SealingError> {
    event_as(scope, draft, place, &Fixed::draw(0, 0)?)
}

/// The same with ids, seed and number fixed beforehand: the same arguments give the same bytes.
///
/// # Errors
/// A value beyond its bound.
pub fn event_as(
    scope: &Scope,
    draft: &AccessEventDraft,
    place: &EventPlace,
    fixed: &Fixed,
) -> Result<StoredItem, SealingError> {
    let clear = |seal| {
        Fields::AccessEvent(Event {
            event: fixed.event,
            custodian: scope.custodian.clone(),
            local_id: place.local_id,
            acting: place.acting.clone(),
            basis: place.basis,
            cited: place.cited,
            at_height: place.at_height,
            late: place.late,
            retention: place.retention,
            stream: fixed.stream,
            sequence: fixed.sequence,
            seal,
        })
    };
    let drawn = (fixed.item_id, fixed.seed);
    let sealed = seal_as(scope, Kind::AccessEvent, draft.values.to_fields(), drawn, clear)?;
    Ok(sealed.stored(place.local_id, None, &draft.origin))
}

/// Seals a rule.
///
/// # Errors
/// A value beyond its bound, too many endings, or no randomness.
pub fn rule(scope: &Scope, draft: &RuleDraft, place: &RulePlace) -> Result<StoredItem, SealingError> {
    let rule = Random16(random()?);
    let prior = match place.prior {
        Some(prior) => prior,
        None => Random16(random()?),
    };
    let ends = Set::new(place.ends.clone()).ok_or(SealingError::TooManyEnds)?;
    let clear = |seal| {
        Fields::RulePut(Put {
            custodian: scope.custodian.clone(),
            local_id: place.local_id,
            rule,
            prior,
            expiry: draft.expiry,
            ends,
            collected: draft.collected,
            seal,
        })
    };
    let sealed = seal(scope, Kind::RulePut, draft.to_fields(), clear)?;
    Ok(sealed.stored(Some(place.local_id), Some(rule), &draft.origin))
}

/// Seals the opening of a trail. A grantee's trail points back, sealed, to the subject's own.
///
/// # Errors
/// No randomness.
pub fn open_trail(
    scope: &Scope,
    secret: &EpochSecret,
    local_id: Digest,
    grantee: Option<ParticipantId>,
    epoch: u16,
    own: Option<OwnTrail>,
) -> Result<StoredItem, SealingError> {
    let clear = |seal| {
        Fields::TrailOpen(trail::Open { local_id, grantee, epoch, reader: reader(secret, &local_id), seal })
    };
    let sealed = seal(scope, Kind::TrailOpen, vec![own.to_bytes()], clear)?;
    let origin = Origin { name: format!("trail {local_id} is opened"), digest: Digest::ZERO };
    Ok(sealed.stored(Some(local_id), None, &origin))
}

/// Seals an item that somebody wrote by hand: its clear fields with any seal, and the values to seal.
///
/// # Errors
/// Values that are not those of the kind or beyond their bound, or no randomness.
pub fn by_hand(
    scope: &Scope,
    item_id: ItemId,
    mut fields: Fields,
    values: Vec<Vec<u8>>,
    origin: &Origin,
) -> Result<StoredItem, SealingError> {
    let seed: [u8; 32] = random()?;
    let kind = fields.kind();
    fields.set_seal(Place { chain: &scope.chain, kind, item_id: &item_id }.seal(&seed, &values)?);
    let rule = match &fields {
        Fields::RulePut(put) => Some(put.rule),
        _ => None,
    };
    // The name that every kind of a subject's trail gives its place in the trail.
    let local_id = match fields.view() {
        View::Fields(parts) => {
            parts.into_iter().find(|(name, _)| *name == "local_id").map(|(_, value)| value)
        }
        _ => None,
    };
    let local_id = match local_id {
        Some(View::Text(text)) => text.parse().ok(),
        _ => None,
    };
    let bytes = Item { item_id, fields }.to_bytes();
    Ok(Sealed { kind, bytes, seed, values }.stored(local_id, rule, origin))
}

struct Sealed {
    kind: Kind,
    bytes: Vec<u8>,
    seed: [u8; 32],
    values: Vec<Vec<u8>>,
}

impl Sealed {
    fn stored(self, local_id: Option<Digest>, rule: Option<Random16>, origin: &Origin) -> StoredItem {
        StoredItem {
            kind: self.kind,
            bytes: self.bytes,
            local_id,
            rule,
            source: origin.name.clone(),
            source_digest: origin.digest,
            seed: self.seed,
            values: self.values,
        }
    }
}

fn seal(
    scope: &Scope,
    kind: Kind,
    values: Vec<Vec<u8>>,
    clear: impl FnOnce(Seal) -> Fields,
) -> Result<Sealed, SealingError> {
    seal_as(scope, kind, values, (ItemId(random()?), random()?), clear)
}

fn seal_as(
    scope: &Scope,
    kind: Kind,
    values: Vec<Vec<u8>>,
    (item_id, seed): (ItemId, [u8; 32]),
    clear: impl FnOnce(Seal) -> Fields,
) -> Result<Sealed, SealingError> {
    let place = Place { chain: &scope.chain, kind, item_id: &item_id };
    let fields = clear(place.seal(&seed, &values)?);
    Ok(Sealed { kind, bytes: Item { item_id, fields }.to_bytes(), seed, values })
}
