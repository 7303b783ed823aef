//! Checkpoints as signed notes (C2SP signed-note, tlog-checkpoint).

use custos_api::base64;
use custos_proof::hash::{ChainId, Digest, sha256};
use custos_proof::ids::LogSize;
use custos_proof::keys::{PublicKey, SignError, Signer};
use custos_proof::witness::{checkpoint, origin};

/// The signature type of an Ed25519 key in a note.
const ED25519: u8 = 1;

/// The note of a log's size and root, signed by `signer` if there is one.
pub(crate) fn note(
    chain: &ChainId,
    size: LogSize,
    root: &Digest,
    signer: Option<&dyn Signer>,
) -> Result<String, SignError> {
    let text = checkpoint(chain, size, root);
    let Some(signer) = signer else { return Ok(format!("{text}\n")) };
    let name = origin(chain);
    let mut signature = key_hash(&name, &signer.public_key()).to_vec();
    signature.extend_from_slice(&signer.sign(text.as_bytes())?.0);
    Ok(format!("{text}\n\u{2014} {name} {}\n", base64::encode(&signature)))
}

/// The first four bytes of `SHA-256(name || "\n" || type || key)`.
fn key_hash(name: &str, key: &PublicKey) -> [u8; 4] {
    let mut preimage = name.as_bytes().to_vec();
    preimage.push(b'\n');
    preimage.push(ED25519);
    preimage.extend_from_slice(&key.0);
    let hash = sha256(&preimage).0;
    [hash[0], hash[1], hash[2], hash[3]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::FileSigner;
    use custos_proof::keys::{KeyPurpose, Signature, verify_zip215};

    #[test]
    fn a_note_is_text_blank_line_signature() {
        let key = FileSigner::from_seed(KeyPurpose::Note, &[3; 32]);
        let note = note(&ChainId([1; 32]), LogSize(7), &Digest([2; 32]), Some(&key)).unwrap();
        let (text, signatures) = note.split_once("\n\n").unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], format!("custos/{}", ChainId([1; 32])));
        assert_eq!(lines[1], "7");
        assert_eq!(base64::decode(lines[2]).unwrap(), [2; 32]);
        let words: Vec<_> = signatures.trim_end().split(' ').collect();
        assert_eq!(words[..2], ["\u{2014}", lines[0]]);
        let bytes = base64::decode(words[2]).unwrap();
        assert_eq!(bytes[..4], key_hash(lines[0], &key.public_key()));
        let signature = Signature(bytes[4..].try_into().unwrap());
        assert!(verify_zip215(&key.public_key(), format!("{text}\n").as_bytes(), &signature));
        assert!(note.ends_with('\n'));
    }

    /// The key that the C2SP specification of signed notes shows (`PeterNeumann+c74f20a3+...`).
    #[test]
    fn key_hashes_are_those_of_the_specification() {
        let encoded = base64::decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").unwrap();
        let key = PublicKey(encoded[1..].try_into().unwrap());
        assert_eq!(key_hash("PeterNeumann", &key), [0xc7, 0x4f, 0x20, 0xa3]);
    }
}
