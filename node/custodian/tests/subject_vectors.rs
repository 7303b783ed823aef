//! What custodian and patient derive from the code, against vectors made by other means.
//!
//! From Python's `hmac` and `hashlib` alone, with k = 00 01 .. 1f, epoch 2026, chain = 32 bytes c0,
//! custodian `hospital-a.example`, grantee `clinic.example`:
//!
//! ```python
//! H = lambda key, message: hmac.new(key, message, hashlib.sha256).digest()
//! info = bytes.fromhex("826e637573746f732f312f65706f63681907ea")   # CBOR ["custos/1/epoch", 2026]
//! k_e = H(H(bytes(32), k), info + b"\x01")                          # HKDF-SHA-256, RFC 5869, no salt
//! own = H(k_e, b"\x84" + text("custos/1/local-id") + bstr(chain) + text(custodian) + b"\x80")
//! of_grantee = H(k_e, b"\x84" + text("custos/1/local-id") + bstr(chain) + text(custodian) + b"\x81" + text(grantee))
//! preimage = H(k_e, b"read" + own)
//! reader = hashlib.sha256(preimage).digest()
//! ```

#![allow(clippy::unwrap_used)]

use custos_custodian::code::PatientCode;
use custos_custodian::subject::{epoch_secret, local_id, reader, reader_preimage};
use custos_proof::hash::{ChainId, Digest};

#[test]
fn derivations_are_those_of_another_implementation() {
    let code: PatientCode =
        "custos1-qqqq-syqc-yq5r-qwzq-fpg9-scrg-wpug-pzys-nzs2-3v9c-cryd-pk8q-arc0-shf3-5rn".parse().unwrap();
    let (custodian, grantee) = ("hospital-a.example".parse().unwrap(), "clinic.example".parse().unwrap());
    let chain = ChainId([0xc0; 32]);
    let secret = epoch_secret(code.secret(), 2026);
    assert_eq!(
        Digest(secret.0).to_string(),
        "58e772ae4f800bf4fc5e8f4ab6b4c4dc62fad768da021d6a06d63377dfae2f65"
    );
    let own = local_id(&secret, &chain, &custodian, None);
    assert_eq!(own.to_string(), "f91a8b0b710d37f5b3645f0ee18999109dded4a9e725c9191f4893c9a78edd33");
    let of_grantee = local_id(&secret, &chain, &custodian, Some(&grantee));
    assert_eq!(of_grantee.to_string(), "bb98e0a31d1091af1cd733434c269cb43a8c9a51a4cc8aeba0f8404027cab525");
    assert_eq!(
        Digest(reader_preimage(&secret, &own)).to_string(),
        "5bfd3d98ebd1ef738debcafdd1820e36c39855d2ad8614bc42b2c14a6903a1e1"
    );
    assert_eq!(
        reader(&secret, &own).to_string(),
        "1b293b40f9f105c58afc94421a7c9b17d42532be5232fedd0bbbb7d47a7bdfde"
    );
    // Another year is another secret.
    assert_ne!(epoch_secret(code.secret(), 2027).0, secret.0);
}
