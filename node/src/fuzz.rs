//! An entrance for fuzzing: key files, as people and other programs could leave them.
//!
//! Seeds are read from memory here, and nowhere else. Deliberately absent: who may read the file, which is a test of
//! [`crate::keys`].

use std::path::Path;

use custos_proof::keys::{KeyPurpose, Signer as _};

use crate::keys::{FileSigner, MAX_FILE_BYTES};

/// How many characters of a key file in a row an error may repeat: none of its words are longer.
const REPEATED: usize = 12;

/// Reads bytes as a key file.
///
/// # Errors
/// When they are none. It repeats nothing of them.
///
/// # Panics
/// When a key that was read is written as another, or an error repeats what may be a seed.
pub fn key_file(bytes: &[u8]) -> Result<(), String> {
    let path = Path::new("KEY");
    let key = match FileSigner::from_file(bytes, path) {
        Ok(key) => key,
        Err(error) => {
            let said = error.to_string();
            let digits = said.as_bytes().windows(REPEATED).find(|part| {
                part.iter().all(u8::is_ascii_hexdigit) && bytes.windows(REPEATED).any(|other| other == *part)
            });
            assert!(digits.is_none(), "an error repeats digits of the file: {said}");
            return Err(said);
        }
    };
    assert!(bytes.len() <= MAX_FILE_BYTES, "a key file beyond its bound");
    // What a reader without any knowledge of keys finds in the file is this key and nothing else.
    let text = std::str::from_utf8(bytes).expect("a key file that is no text");
    let table: toml::Table = toml::from_str(text).expect("a key file that is no TOML");
    let says = |name: &str, word: &str| {
        table.get(name).and_then(toml::Value::as_str).is_some_and(|said| said.eq_ignore_ascii_case(word))
    };
    assert!(
        table.len() == 3
            && says("purpose", key.purpose().word())
            && says("public_key", &key.public_key().to_string())
            && says("seed", &hex::encode(key.seed())),
        "a key file says something else than its key"
    );
    let written = key.to_file().expect("a key that cannot be written");
    let again =
        FileSigner::from_file(written.as_bytes(), path).expect("a key file that cannot be read again");
    assert!(
        (again.purpose(), again.public_key(), again.seed()) == (key.purpose(), key.public_key(), key.seed()),
        "a key changes when it is written"
    );
    Ok(())
}

/// A key file for each purpose, as it is written; and one that people changed without changing the key.
#[must_use]
pub fn key_files() -> Vec<Vec<u8>> {
    let key = |purpose| FileSigner::from_seed(purpose, &[7; 32]).to_file().ok();
    let mut files: Vec<_> = KeyPurpose::ALL.iter().filter_map(|purpose| key(*purpose)).collect();
    files.extend(key(KeyPurpose::Sign).map(|file| format!("# of the ward\n\n{}", file.as_str()).into()));
    files.iter().map(|file| file.as_bytes().to_vec()).collect()
}
