//! When a signature is valid (ZIP-215) and when a key may be registered, by the equations of docs/spec/hashing.md.

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity as _;
use sha2::{Digest as _, Sha512};

fn point(bytes: &[u8]) -> Option<EdwardsPoint> {
    CompressedEdwardsY::from_slice(bytes).ok()?.decompress()
}

/// `[8][s]B = [8]R + [8][k]A`, with A and R in any encoding and s below the group's order.
pub(super) fn is_signed(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    let (r_bytes, s_bytes) = signature.split_at(32);
    let s = s_bytes.try_into().ok().and_then(|s| Option::<Scalar>::from(Scalar::from_canonical_bytes(s)));
    let (Some(a), Some(r), Some(s)) = (point(key), point(r_bytes), s) else { return false };
    let hash = Sha512::new().chain_update(r_bytes).chain_update(key).chain_update(message).finalize();
    let k = Scalar::from_bytes_mod_order_wide(&hash.into());
    (EdwardsPoint::mul_base(&s) - r - k * a).mul_by_cofactor().is_identity()
}

/// Canonical, not of small order, of prime order.
pub(super) fn is_registrable(key: &[u8; 32]) -> bool {
    point(key).is_some_and(|a| a.compress().0 == *key && !a.is_small_order() && a.is_torsion_free())
}
