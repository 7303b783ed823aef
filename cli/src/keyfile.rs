//! Key files: an Ed25519 secret, its purpose and its public key, in a text file of mode 0600.
//!
//! ```toml
//! purpose = "sign"
//! public = "64 hexadecimal digits"
//! secret = "64 hexadecimal digits"
//! ```
//!
//! The public key is there so that a file mixed up or damaged is noticed when it is read, not when
//! the first signature is refused.

use std::path::Path;

use custos_proof::keys::{KeyPurpose, PublicKey, SignError, Signature, Signer};
use ed25519_dalek::{Signer as _, SigningKey};
use serde::{Deserialize, Serialize};

use crate::exit::{Failed, Outcome, While as _};
use crate::files;

/// A secret key and what it is for.
pub(crate) struct KeyFile {
    purpose: KeyPurpose,
    key: SigningKey,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    purpose: String,
    public: String,
    secret: String,
}

const HEAD: &str = "# A Custos key. Whoever can read this file can speak for its owner.\n";

impl KeyFile {
    /// A new key from the machine's random source.
    pub(crate) fn generate(purpose: KeyPurpose) -> Outcome<Self> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).could_not(|| "draw random bytes")?;
        Ok(Self { purpose, key: SigningKey::from_bytes(&secret) })
    }

    /// Reads a key file.
    pub(crate) fn read(path: &Path) -> Outcome<Self> {
        refuse_readable_by_others(path)?;
        let malformed = |what: &str| Failed::unable(format!("{} is not a key file: {what}", path.display()));
        let content: Content = toml::from_str(&files::read_text(path)?).map_err(|error| malformed(error.message()))?;
        let purpose = KeyPurpose::from_word(&content.purpose).ok_or_else(|| malformed("unknown purpose"))?;
        let mut secret = [0; 32];
        hex::decode_to_slice(&content.secret, &mut secret).map_err(|_| malformed("the secret is not 64 hexadecimal digits"))?;
        let file = Self { purpose, key: SigningKey::from_bytes(&secret) };
        match content.public.parse::<PublicKey>() {
            Ok(public) if public == file.public_key() => Ok(file),
            _ => Err(malformed("the public key is not that of the secret")),
        }
    }

    /// Reads a key file and insists on its purpose.
    pub(crate) fn read_for(path: &Path, purpose: KeyPurpose) -> Outcome<Self> {
        let file = Self::read(path)?;
        if file.purpose == purpose {
            Ok(file)
        } else {
            Err(Failed::unable(format!("{} is a {} key, a {purpose} key is needed", path.display(), file.purpose)))
        }
    }

    /// Writes the file with mode 0600; never over another.
    pub(crate) fn create(&self, path: &Path) -> Outcome<()> {
        let content = Content {
            purpose: self.purpose.word().into(),
            public: self.public_key().to_string(),
            secret: hex::encode(self.key.to_bytes()),
        };
        let text = toml::to_string(&content).could_not(|| "write the key as text")?;
        files::create(path, format!("{HEAD}{text}").as_bytes(), true)
    }

    /// What the key is for.
    pub(crate) const fn purpose(&self) -> KeyPurpose {
        self.purpose
    }
}

impl Signer for KeyFile {
    fn public_key(&self) -> PublicKey {
        PublicKey(self.key.verifying_key().to_bytes())
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        Ok(Signature(self.key.sign(message).to_bytes()))
    }
}

#[cfg(unix)]
fn refuse_readable_by_others(path: &Path) -> Outcome<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).could_not(|| format!("read {}", path.display()))?.permissions().mode();
    if mode & 0o077 == 0 {
        Ok(())
    } else {
        Err(Failed::unable(format!("{} can be read by others (mode {:o})", path.display(), mode & 0o777))
            .hint(format!("chmod 600 {}", path.display())))
    }
}

#[cfg(not(unix))]
fn refuse_readable_by_others(_: &Path) -> Outcome<()> {
    Ok(())
}
