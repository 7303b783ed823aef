//! Whether a submission may be recorded: the first table of docs/spec/items.md.

use custos_proof::cbor::Wire as _;
use custos_proof::ids::Random16;
use custos_proof::item::{Item, kind_name};
use custos_proof::kinds::{Class, Fields, Kind};
use custos_proof::submission::{Author, Payload, Submission};

use super::curve;
use super::history::{History, Nonce};
use super::spell;
use super::tree::{Hash, leaf, root, tagged};

/// Nonces are kept by stretches of ten minutes of expiry.
pub(super) const BUCKET_MS: u64 = 600_000;

/// Kinds of testimony; all others are acts.
const TESTIMONY: [&str; 10] = [
    "access.event",
    "access.correct",
    "disclosure.export",
    "disclosure.import",
    "emergency.declare",
    "emergency.review",
    "job.record",
    "record.event",
    "audit.read",
    "misbehaviour.report",
];

/// A submission of a body, taken apart.
pub(super) struct Letter {
    pub(super) id: Hash,
    pub(super) payload: Payload,
    pub(super) items: Vec<Vec<u8>>,
    key: Hash,
    signed: Vec<u8>,
    signature: [u8; 64],
}

impl Letter {
    /// Takes a submission apart; the id and the root of the items are computed from the bytes.
    pub(super) fn open(bytes: &[u8]) -> Result<Self, String> {
        let decoded = Submission::decode(bytes).map_err(|error| error.to_string())?;
        let cut = || {
            let parts = spell::elements(bytes)?;
            let [envelope, items] = parts[..] else { return None };
            let envelope = spell::elements(spell::content(envelope)?.strip_prefix(&[0xd2])?)?;
            let [protected, _, payload, _] = envelope[..] else { return None };
            let items = spell::elements(items)?;
            let items: Option<Vec<_>> =
                items.into_iter().map(|item| Some(spell::content(item)?.to_vec())).collect();
            let signed = spell::array(&[
                spell::text("Signature1"),
                protected.to_vec(),
                spell::bytes(&[]),
                payload.to_vec(),
            ]);
            Some((signed, items?))
        };
        let (signed, items) = cut().ok_or("it cannot be taken apart")?;
        let payload = decoded.payload().clone();
        let leaves: Vec<Hash> = items.iter().map(|item| leaf(item)).collect();
        if root(&leaves) != payload.items_root.0 {
            return Err("the items are not those that were signed".into());
        }
        let envelope = decoded.envelope();
        Ok(Self {
            id: tagged("custos/1/submission", &[&signed]),
            key: envelope.key_id().0,
            signature: envelope.signature().0,
            payload,
            items,
            signed,
        })
    }

    pub(super) fn nonce(&self) -> Nonce {
        let Payload { author, nonce, not_after, .. } = &self.payload;
        Nonce { author: author.clone(), bucket: not_after.0 / BUCKET_MS, nonce: Random16(nonce.0) }
    }
}

/// The word with which an envelope is refused, if it is.
pub(super) fn refusal(h: &History, letter: &Letter) -> Option<&'static str> {
    let Payload { chain, author, class, not_after, .. } = &letter.payload;
    let is_known = match author {
        Author::Participant(id) => h.is_registered(id),
        Author::Subject(trail) => h.opening(&trail.0).is_some(),
    };
    let is_suspended = author.as_participant().is_some_and(|id| h.suspended(id).is_some());
    let policy = h.policy();
    if chain.0 != h.chain {
        return Some("wrong-chain");
    }
    if !is_known {
        return Some("unknown-author");
    }
    if is_suspended && *class == Class::Act {
        return Some("suspended-author");
    }
    if author.as_participant().is_none() && *class == Class::Testimony {
        return Some("not-allowed");
    }
    let Some(key) = h.key(&letter.key).filter(|key| key.registered < h.height) else {
        return Some("unknown-key");
    };
    if key.owner != *author || key.purpose != 1 {
        return Some("wrong-key");
    }
    if !key.speaks(h.next_index(), h.time) {
        return Some("revoked-key");
    }
    if not_after.0 < h.time {
        return Some("expired");
    }
    if not_after.0 - h.time > policy.max_lifetime_ms {
        return Some("too-far-ahead");
    }
    let nonce = letter.nonce();
    if h.nonces.contains(&nonce) {
        return Some("replayed");
    }
    let quota = match author {
        Author::Participant(_) => policy.max_nonces,
        Author::Subject(_) => policy.max_subject_nonces,
    };
    let live = h.nonces.iter().filter(|used| used.author == nonce.author && used.bucket == nonce.bucket);
    if live.count() as u64 >= quota {
        return Some("quota-exceeded");
    }
    (!curve::is_signed(&key.key.0, &letter.signed, &letter.signature)).then_some("bad-signature")
}

/// An item of a submission, or the word with which it is refused before its kind's own rules.
pub(super) fn item(h: &History, letter: &Letter, bytes: &[u8]) -> Result<Fields, &'static str> {
    let name = kind_name(bytes).map_err(|_| "malformed-item")?;
    if Kind::from_name(name).is_none() {
        return Err("unknown-kind");
    }
    let class = if TESTIMONY.contains(&name) { Class::Testimony } else { Class::Act };
    if class != letter.payload.class {
        return Err("mixed-classes");
    }
    let item = Item::from_bytes(bytes).map_err(|_| "malformed-item")?;
    let speaks = h.key(&letter.key).is_some_and(|key| key.speaks(h.next_index(), h.time));
    if class == Class::Act && !speaks {
        return Err("revoked-key");
    }
    Ok(item.fields)
}
