//! What a subject's file holds, entry by entry, before it is sealed.
//!
//! `[1, secret or none]`, `[2, names]`, `[3, trail]`, `[4, item]`, `[5, item hash, state]`, in the
//! deterministic CBOR of the formats. Nothing here is hashed or signed; the profile is used because
//! its reader is strict and bounded.

use custos_proof::cbor::{Reader, Wire as _, Writer};
use custos_proof::hash::{Digest, ItemHash};
use custos_proof::ids::{Height, ParticipantId, Random16};
use custos_proof::item::MAX_ITEM_BYTES;
use custos_proof::kinds::Kind;
use custos_proof::seal::{MAX_SEALED_FIELDS, MAX_SEALED_VALUE};

use super::{ItemState, Scope};
use crate::draft::SubjectKey;

/// The most names of a subject in one entry.
pub(crate) const MAX_NAMES: usize = 256;
/// The longest name, in bytes.
pub(crate) const MAX_NAME: usize = 8192;

/// One entry.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(super) enum Entry {
    /// The file begins: a subject's with a secret, the institution's without.
    Created { secret: Option<[u8; 32]> },
    /// Names of the subject.
    Names(Vec<SubjectKey>),
    /// A trail is about to be opened.
    Trail(Trail),
    /// An item is about to be sent.
    Item(StoredItem),
    /// What became of an item.
    Settled { hash: ItemHash, state: ItemState },
}

/// A trail of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trail {
    /// Whose accesses it lists; none for the subject's own trail.
    pub grantee: Option<ParticipantId>,
    /// Its calendar year.
    pub epoch: u16,
    /// Its local id.
    pub local_id: Digest,
}

/// A sealed item and what opens it.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredItem {
    /// Its kind.
    pub kind: Kind,
    /// The item's bytes, to be sent again as they are.
    pub bytes: Vec<u8>,
    /// The subject trail that it stands in, if any.
    pub local_id: Option<Digest>,
    /// The rule that it puts, if it puts one.
    pub rule: Option<Random16>,
    /// The name of the document that it comes from. Personal data.
    pub source: String,
    /// SHA-256 over that document's content.
    pub source_digest: Digest,
    /// The seed of the salts.
    pub seed: [u8; 32],
    /// The values of the sealed fields, in order.
    pub values: Vec<Vec<u8>>,
}

/// Says which item it is, and nothing that opens it.
impl core::fmt::Debug for StoredItem {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("StoredItem")
            .field("kind", &self.kind)
            .field("hash", &self.hash())
            .finish_non_exhaustive()
    }
}

impl Entry {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        match self {
            Entry::Created { secret } => {
                w.array(2);
                w.u64(1);
                secret.map(Digest).write(&mut w);
            }
            Entry::Names(names) => {
                w.array(2);
                w.u64(2);
                w.array(names.len());
                names.iter().for_each(|name| w.bytes(name.as_str().as_bytes()));
            }
            Entry::Trail(trail) => {
                w.array(4);
                w.u64(3);
                trail.grantee.write(&mut w);
                trail.epoch.write(&mut w);
                trail.local_id.write(&mut w);
            }
            Entry::Item(item) => {
                w.array(9);
                w.u64(4);
                w.text(item.kind.name());
                w.bytes(&item.bytes);
                item.local_id.write(&mut w);
                item.rule.write(&mut w);
                w.bytes(item.source.as_bytes());
                item.source_digest.write(&mut w);
                w.bytes(&item.seed);
                w.array(item.values.len());
                item.values.iter().for_each(|value| w.bytes(value));
            }
            Entry::Settled { hash, state } => {
                w.array(3);
                w.u64(5);
                hash.write(&mut w);
                match state {
                    ItemState::Prepared => w.array(0),
                    ItemState::Dropped => {
                        w.array(1);
                        w.u64(0);
                    }
                    ItemState::Recorded(height) => {
                        w.array(2);
                        w.u64(1);
                        height.write(&mut w);
                    }
                }
            }
        }
        w.into_bytes()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut r = Reader::new(bytes);
        let entry = Self::read(&mut r)?;
        r.finish().ok()?;
        Some(entry)
    }

    fn read(r: &mut Reader<'_>) -> Option<Self> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        let length = r.array_up_to(9).ok()?;
        Some(match (r.u64().ok()?, length) {
            (1, 2) => Entry::Created { secret: Option::<Digest>::read(r).ok()?.map(|digest| digest.0) },
            (2, 2) => {
                let count = r.array_up_to(MAX_NAMES).ok()?;
                let name = |r: &mut Reader<'_>| text(r.bytes(MAX_NAME).ok()?).map(SubjectKey::from_stored);
                Entry::Names((0..count).map(|_| name(r)).collect::<Option<_>>()?)
            }
            (3, 4) => Entry::Trail(Trail {
                grantee: Option::read(r).ok()?,
                epoch: u16::read(r).ok()?,
                local_id: Digest::read(r).ok()?,
            }),
            (4, 9) => Entry::Item(StoredItem {
                kind: Kind::from_name(r.ascii(64).ok()?)?,
                bytes: r.bytes(MAX_ITEM_BYTES).ok()?.to_vec(),
                local_id: Option::read(r).ok()?,
                rule: Option::read(r).ok()?,
                source: text(r.bytes(MAX_NAME).ok()?)?,
                source_digest: Digest::read(r).ok()?,
                seed: r.bytes_fixed().ok()?,
                values: {
                    let count = r.array_up_to(MAX_SEALED_FIELDS).ok()?;
                    (0..count)
                        .map(|_| r.bytes(MAX_SEALED_VALUE).ok().map(<[u8]>::to_vec))
                        .collect::<Option<_>>()?
                },
            }),
            (5, 3) => Entry::Settled {
                hash: ItemHash::read(r).ok()?,
                state: match r.array_up_to(2).ok()? {
                    0 => ItemState::Prepared,
                    1 if r.u64().ok()? == 0 => ItemState::Dropped,
                    2 if r.u64().ok()? == 1 => ItemState::Recorded(Height::read(r).ok()?),
                    _ => return None,
                },
            },
            _ => return None,
        })
    }
}

pub(super) fn encode_scope(scope: &Scope) -> Vec<u8> {
    let mut w = Writer::new();
    w.array(2);
    scope.chain.write(&mut w);
    scope.custodian.write(&mut w);
    w.into_bytes()
}

pub(super) fn decode_scope(bytes: &[u8]) -> Option<Scope> {
    let mut r = Reader::new(bytes);
    r.array(2).ok()?;
    let scope = Scope {
        chain: custos_proof::hash::ChainId::read(&mut r).ok()?,
        custodian: ParticipantId::read(&mut r).ok()?,
    };
    r.finish().ok()?;
    Some(scope)
}
