//! Secret keys in files, behind the `Signer` trait that everything else sees.
//!
//! A key file is a small TOML with purpose, public key and seed. It is refused unless it belongs to
//! this process' user and nobody else may read it: a validator whose key is readable by others has
//! no key. Seeds are wiped from memory when they are dropped.
//!
//! An HSM or KMS is another implementation of [`Signer`]; nothing outside this file knows that keys
//! can be files.

use std::fmt;
use std::fs::File;
use std::io::{Read, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use custos_proof::keys::{KeyPurpose, PublicKey, SignError, Signature, Signer};
use ed25519_dalek::{Signer as _, SigningKey};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::{Zeroize as _, Zeroizing};

/// The longest key file that is read, in bytes.
pub(crate) const MAX_FILE_BYTES: usize = 4096;

/// A secret Ed25519 key with its one purpose.
pub struct FileSigner {
    key: SigningKey,
    purpose: KeyPurpose,
}

impl fmt::Debug for FileSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSigner").field("purpose", &self.purpose).field("key", &self.public_key()).finish()
    }
}

/// Why a key file is not used.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// It cannot be read or written.
    #[error("key file {path}: {cause}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// Others may read it.
    #[error("key file {path} has mode {mode:04o}: others may read it; run `chmod 600 {path}`")]
    Mode {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to another user.
    #[error(
        "key file {path} belongs to user {owner}, this process runs as {user}; run the node as the file's owner or `chown` it"
    )]
    Owner {
        /// Which.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        user: u32,
    },
    /// It is not a key file.
    #[error("key file {path} is not one: {cause}; make one with `custos keygen`")]
    Form {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// It is for something else.
    #[error("key file {path} is for purpose {found}, here {expected} is needed: a key has one purpose")]
    Purpose {
        /// Which.
        path: PathBuf,
        /// What it says.
        found: KeyPurpose,
        /// What is needed.
        expected: KeyPurpose,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    purpose: String,
    public_key: String,
    seed: String,
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        self.seed.zeroize();
    }
}

impl FileSigner {
    /// A fresh key from the operating system's randomness.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn generate(purpose: KeyPurpose) -> Result<Self, SignError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut()).map_err(|error| SignError(format!("no randomness: {error}")))?;
        Ok(Self::from_seed(purpose, &seed))
    }

    /// The key of a seed.
    #[must_use]
    pub fn from_seed(purpose: KeyPurpose, seed: &[u8; 32]) -> Self {
        Self { key: SigningKey::from_bytes(seed), purpose }
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`KeyFileError`], also when the file is for another purpose or readable by others.
    pub fn read(path: &Path, purpose: KeyPurpose) -> Result<Self, KeyFileError> {
        let io = |error: std::io::Error| KeyFileError::Io { path: path.to_owned(), cause: error.to_string() };
        // Asked of the open file: what is judged is what is read.
        let file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyFileError::Mode { path: path.to_owned(), mode });
        }
        if let Some(user) = user_id().filter(|user| *user != metadata.uid()) {
            return Err(KeyFileError::Owner { path: path.to_owned(), owner: metadata.uid(), user });
        }
        let signer = Self::from_file(file, path)?;
        match signer.purpose == purpose {
            true => Ok(signer),
            false => {
                Err(KeyFileError::Purpose { path: path.to_owned(), found: signer.purpose, expected: purpose })
            }
        }
    }

    /// The key in the bytes of a key file. No error repeats anything that stands in it: it may be the seed.
    pub(crate) fn from_file(bytes: impl Read, path: &Path) -> Result<Self, KeyFileError> {
        let form = |cause: &str| KeyFileError::Form { path: path.to_owned(), cause: cause.to_owned() };
        // Room for the longest file at once, so that no part of the seed stays behind where the bytes stood before.
        let mut held = Zeroizing::new(Vec::with_capacity(MAX_FILE_BYTES + 1));
        bytes
            .take(MAX_FILE_BYTES as u64 + 1)
            .read_to_end(&mut held)
            .map_err(|error| KeyFileError::Io { path: path.to_owned(), cause: error.to_string() })?;
        if held.len() > MAX_FILE_BYTES {
            return Err(form(&format!("longer than {MAX_FILE_BYTES} bytes")));
        }
        let text = std::str::from_utf8(&held).map_err(|_| form("it is not text"))?;
        let file: KeyFile =
            toml::from_str(text).map_err(|_| form("it has to hold purpose, public_key and seed"))?;
        let purpose = KeyPurpose::from_word(&file.purpose).ok_or_else(|| {
            let words: Vec<_> = KeyPurpose::ALL.iter().map(|purpose| purpose.word()).collect();
            form(&format!("its purpose is none of {}", words.join(", ")))
        })?;
        let mut seed = Zeroizing::new([0; 32]);
        hex::decode_to_slice(file.seed.as_bytes(), seed.as_mut())
            .map_err(|_| form("the seed is not 64 hexadecimal digits"))?;
        let signer = Self::from_seed(purpose, &seed);
        if signer.public_key().to_string() != file.public_key {
            return Err(form("public_key is not that of the seed"));
        }
        Ok(signer)
    }

    /// The text of its key file.
    pub(crate) fn to_file(&self) -> Result<Zeroizing<String>, toml::ser::Error> {
        let file = KeyFile {
            purpose: self.purpose.word().to_owned(),
            public_key: self.public_key().to_string(),
            seed: hex::encode(self.key.as_bytes()),
        };
        toml::to_string(&file).map(Zeroizing::new)
    }

    /// Writes a new key file with mode 0600; never over an existing file.
    ///
    /// # Errors
    /// [`KeyFileError::Io`].
    pub fn write(&self, path: &Path) -> Result<(), KeyFileError> {
        let io = |cause: String| KeyFileError::Io { path: path.to_owned(), cause };
        let text = self.to_file().map_err(|error| io(error.to_string()))?;
        let write = || {
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(|error: std::io::Error| io(error.to_string()))
    }

    /// What the key may sign.
    #[must_use]
    pub fn purpose(&self) -> KeyPurpose {
        self.purpose
    }

    /// The seed, for the transport, whose handshake signs by itself.
    #[must_use]
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes())
    }
}

impl Signer for FileSigner {
    fn public_key(&self) -> PublicKey {
        PublicKey(self.key.verifying_key().to_bytes())
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        Ok(Signature(self.key.sign(message).to_bytes()))
    }
}

/// The effective user of this process, where the system says so.
fn user_id() -> Option<u32> {
    std::fs::metadata("/proc/self").ok().map(|metadata| metadata.uid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_read_back_and_signs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sign.key");
        let key = FileSigner::generate(KeyPurpose::Sign).unwrap();
        key.write(&path).unwrap();
        let read = FileSigner::read(&path, KeyPurpose::Sign).unwrap();
        assert_eq!(read.public_key(), key.public_key());
        let signature = read.sign(b"message").unwrap();
        assert!(custos_proof::keys::verify_zip215(&key.public_key(), b"message", &signature));
        assert!(matches!(key.write(&path), Err(KeyFileError::Io { .. })), "written over an existing key");
    }

    #[test]
    fn a_key_file_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sign.key");
        FileSigner::generate(KeyPurpose::Sign).unwrap().write(&path).unwrap();
        for mode in [0o640, 0o604, 0o644, 0o660] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let refused = FileSigner::read(&path, KeyPurpose::Sign);
            assert!(matches!(refused, Err(KeyFileError::Mode { mode: m, .. }) if m == mode), "{mode:o}");
        }
    }

    #[test]
    fn other_files_are_refused_without_quoting_the_seed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sign.key");
        let key = FileSigner::generate(KeyPurpose::Sign).unwrap();
        key.write(&path).unwrap();
        assert!(matches!(FileSigner::read(&path, KeyPurpose::Note), Err(KeyFileError::Purpose { .. })));
        let good = std::fs::read_to_string(&path).unwrap();
        let seed = hex::encode(key.seed().as_ref());
        for bad in [
            good.replace(&seed, &seed[2..]),
            good.replace(&seed, &hex::encode([9; 32])),
            good.replace("seed = ", "sead = "),
            format!("{good}\nmore = 1"),
            good.replace("\"sign\"", "\"everything\""),
            good.replace("\"sign\"", &format!("\"{seed}\"")),
            good.replace("public_key", &seed),
            format!("{good}purpose = \"sign\"\n"),
            format!("{good}{}", "# and more\n".repeat(MAX_FILE_BYTES / 11)),
            String::new(),
        ] {
            std::fs::write(&path, bad).unwrap();
            let error = FileSigner::read(&path, KeyPurpose::Sign).unwrap_err();
            assert!(matches!(error, KeyFileError::Form { .. }), "{error}");
            assert!(!error.to_string().contains(&seed[4..20]), "{error}");
        }
    }

    /// What has no length of its own, such as a pipe, is read no further than a key file is long.
    #[test]
    fn a_key_file_without_an_end_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sign.key");
        let made = std::process::Command::new("mkfifo").args(["-m", "600"]).arg(&path).status().unwrap();
        assert!(made.success());
        let writer = std::thread::spawn({
            let path = path.clone();
            move || {
                let mut pipe = std::fs::OpenOptions::new().write(true).open(path).unwrap();
                let mut written = 0;
                while written < 1 << 30 && pipe.write_all(&[b'#'; 4096]).is_ok() {
                    written += 4096;
                }
                written
            }
        });
        let refused = FileSigner::read(&path, KeyPurpose::Sign).unwrap_err();
        assert!(refused.to_string().contains("longer than"), "{refused}");
        // What the system holds of a pipe, and not what was there to be read.
        assert!(writer.join().unwrap() <= 1 << 20);
    }
}
