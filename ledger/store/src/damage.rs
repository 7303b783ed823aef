//! The mark on a store in which a reader met damage: a file beside the tables, so that no restart forgets it.
//!
//! It lies in the store's own directory, because it is true of these files and of no others: whoever moves
//! them away and restores a copy has none. Only a look at everything takes it off again.
//!
//! Deliberately absent: a promise that it can be written. A disk that takes nothing is what the node stops for.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use crate::error::StoreError;

const MARK: &str = "DAMAGED";
/// The longest mark that is read.
const MAX_BYTES: u64 = 16 * 1024;

/// Sets the mark, as well as that can be done.
pub(crate) fn mark(dir: &Path, what: &str) {
    let written = fs::File::create(dir.join(MARK)).and_then(|mut file| {
        io::Write::write_all(&mut file, what.as_bytes())?;
        file.sync_all()
    });
    // The one who met the damage stops anyhow.
    let _ = written.and_then(|()| fs::File::open(dir)?.sync_all());
}

/// What was found, if there is a mark.
pub(crate) fn marked(dir: &Path) -> Result<Option<String>, StoreError> {
    let mut text = Vec::new();
    match fs::File::open(dir.join(MARK)).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut text)) {
        Ok(_) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::Io(format!("{}: {error}", dir.join(MARK).display()))),
    }
}

/// Takes the mark off a store that was found whole.
pub(crate) fn unmark(dir: &Path) -> Result<(), StoreError> {
    match fs::remove_file(dir.join(MARK)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::Io(format!("{}: {error}", dir.join(MARK).display())))
        }
        _ => Ok(()),
    }
}
