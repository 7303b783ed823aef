//! Key files, as commands use them: read for a purpose, or for whatever purpose they have.
//!
//! The format, and who may read such a file, is `custos-node`'s: a node and a command line are
//! given the same files.

use std::path::Path;

use custos_node::keys::{FileSigner, KeyFileError};
use custos_proof::keys::KeyPurpose;

use crate::exit::{Failed, Outcome, While as _};

/// A secret key and what it is for.
pub(crate) type KeyFile = FileSigner;

/// A new key from the machine's random source, in a new file of mode 0600.
pub(crate) fn create(path: &Path, purpose: KeyPurpose) -> Outcome<KeyFile> {
    let key = KeyFile::generate(purpose).could_not(|| "make a key")?;
    if path.exists() {
        return Err(Failed::unable(format!("{} exists already and is not overwritten", path.display()))
            .hint("choose another name, or move the old file away yourself"));
    }
    key.write(path).map_err(Failed::unable)?;
    Ok(key)
}

/// The key of a file, which has to be for this purpose.
pub(crate) fn read(path: &Path, purpose: KeyPurpose) -> Outcome<KeyFile> {
    KeyFile::read(path, purpose).map_err(Failed::unable)
}

/// The key of a file, whatever it is for.
pub(crate) fn read_any(path: &Path) -> Outcome<KeyFile> {
    match KeyFile::read(path, KeyPurpose::Sign) {
        Err(KeyFileError::Purpose { found, .. }) => read(path, found),
        other => other.map_err(Failed::unable),
    }
}
