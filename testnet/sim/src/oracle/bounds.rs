//! What keys, validator sets, policies and a genesis have to satisfy wherever they come from.

use custos_proof::genesis::Genesis;
use custos_proof::ids::ParticipantId;
use custos_proof::keys::{PublicKey, Signature};
use custos_proof::kinds::Kind;
use custos_proof::registry::{Policy, Role, Threshold};

use super::curve;
use super::history::{History, Seat};
use super::spell;
use super::tree::Hash;

pub(super) const DAY_MS: u64 = 86_400_000;

/// The tag of a possession, and what follows it, signed by the key.
pub(super) fn has_signed(key: &PublicKey, preimage: &[u8], possession: &Signature) -> bool {
    curve::is_signed(&key.0, &[&b"custos/1/possession\0"[..], preimage].concat(), &possession.0)
}

/// Whether a key shows that its owner holds it.
pub(super) fn is_possessed(
    h: &History,
    owner: &ParticipantId,
    purpose: u64,
    key: &PublicKey,
    possession: &Signature,
) -> bool {
    possessed_on(&h.chain, owner, purpose, key, possession)
}

fn possessed_on(
    chain: &Hash,
    owner: &ParticipantId,
    purpose: u64,
    key: &PublicKey,
    possession: &Signature,
) -> bool {
    let preimage = spell::array(&[
        spell::bytes(chain),
        spell::text(owner.as_str()),
        spell::uint(purpose),
        spell::bytes(&key.0),
    ]);
    has_signed(key, &preimage, possession)
}

/// 1 to 128 members, none twice, each with power, less than 2^63 in all.
pub(super) fn make_a_set(seats: &[Seat]) -> bool {
    let total: u128 = seats.iter().map(|seat| u128::from(seat.2)).sum();
    let differ = |i: usize| seats[..i].iter().all(|other| other.0 != seats[i].0 && other.1 != seats[i].1);
    (1..=128).contains(&seats.len())
        && (0..seats.len()).all(differ)
        && seats.iter().all(|seat| seat.2 > 0)
        && total < 1 << 63
}

/// The bounds of a policy.
pub(super) fn is_out_of_bounds(policy: &Policy) -> bool {
    let of_change = ["policy.set", "protocol.upgrade", "validator.put", "validator.remove"];
    let is_low = |(i, threshold): (usize, &Threshold)| {
        let (n, d) = (u32::from(threshold.numerator), u32::from(threshold.denominator));
        let low = if of_change.contains(&&*threshold.kind) { n * 3 < d * 2 } else { n * 2 < d };
        let twice = policy.thresholds[..i].iter().any(|other| other.kind == threshold.kind);
        low || n >= d || twice || Kind::from_name(&threshold.kind).is_none()
    };
    let seals = ["participant.register/name", "participant.update/name"];
    policy.lag_ms > 30 * DAY_MS
        || !(60_000..=DAY_MS).contains(&policy.max_lifetime_ms)
        || !(1..1 << 32).contains(&policy.max_nonces)
        || !(DAY_MS..=3_650 * DAY_MS).contains(&policy.trust_period_ms)
        || !(1..=DAY_MS).contains(&policy.heartbeat_ms)
        || !(1..=64).contains(&policy.max_open_proposals)
        || policy.transfer_ms > 3_650 * DAY_MS
        || policy.retention_days.len() != 3
        || policy.thresholds.iter().enumerate().any(is_low)
        || policy.must_seal.iter().any(|field| !seals.contains(&&**field))
}

/// What is wrong with a genesis, if anything is (docs/spec/verification.md, Files).
pub(super) fn genesis_defect(genesis: &Genesis) -> Option<String> {
    let listed = |id: &ParticipantId| genesis.participants.iter().find(|p| p.id == *id);
    let twice = (0..genesis.participants.len())
        .find(|i| genesis.participants[..*i].iter().any(|p| p.id == genesis.participants[*i].id));
    if genesis.protocol != 1 || twice.is_some() {
        return Some("another protocol version, or a participant twice".into());
    }
    if !listed(&genesis.registrar).is_some_and(|p| p.roles.has(Role::Registrar)) {
        return Some("the registrar is not listed with the role registrar".into());
    }
    if genesis.participants.iter().any(|p| p.name.is_some() == p.sealed_name.is_some()) {
        return Some("a name neither in clear nor under a seal, or both".into());
    }
    for (i, entry) in genesis.keys.iter().enumerate() {
        let is_fine = listed(&entry.owner).is_some()
            && genesis.keys[..i].iter().all(|other| other.key != entry.key)
            && curve::is_registrable(&entry.key.0)
            && possessed_on(&[0; 32], &entry.owner, entry.purpose.number(), &entry.key, &entry.possession);
        if !is_fine {
            return Some(format!("key {} of {}", entry.key, entry.owner));
        }
    }
    let mut seats = Vec::new();
    for validator in genesis.validators.iter() {
        let mut keys =
            genesis.keys.iter().filter(|k| k.owner == validator.participant && k.purpose.number() == 2);
        let (Some(key), None) = (keys.next(), keys.next()) else {
            return Some(format!("validator {} has not one consensus key", validator.participant));
        };
        if !listed(&validator.participant).is_some_and(|p| p.roles.has(Role::Validator)) {
            return Some(format!("validator {} has not the role", validator.participant));
        }
        seats.push((validator.participant.clone(), key.key, validator.power));
    }
    if !make_a_set(&seats) || is_out_of_bounds(&genesis.policy) {
        return Some("the validators make no set, or the policy is out of bounds".into());
    }
    None
}
