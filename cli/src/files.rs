//! Files that commands read and write: bounded reading, and writing that never leaves half a file.
//!
//! What is secret is created with mode 0600 and never replaces anything; what is public is written
//! beside its place, synced, and renamed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::exit::{Failed, Outcome, While as _};

/// The largest file that commands read: a trail proof of the longest kind.
pub(crate) const MAX_FILE: u64 = 256 * 1024 * 1024;

/// The content of a file.
pub(crate) fn read(path: &Path) -> Outcome<Vec<u8>> {
    read_up_to(path, MAX_FILE)
}

/// The content of a file of at most `most` bytes. No more is read, whatever the file says of its length.
pub(crate) fn read_up_to(path: &Path, most: u64) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).could_not(|| format!("read {}", path.display()))?;
    file.take(most + 1).read_to_end(&mut bytes).could_not(|| format!("read {}", path.display()))?;
    if bytes.len() as u64 > most {
        return Err(Failed::unable(format!("{} is longer than {} MiB", path.display(), most >> 20)));
    }
    Ok(bytes)
}

/// The content of a text file.
pub(crate) fn read_text(path: &Path) -> Outcome<String> {
    String::from_utf8(read(path)?).could_not(|| format!("read {} as text", path.display()))
}

/// Writes a public file: whole or not at all, replacing what was there.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Outcome<()> {
    let doing = || format!("write {}", path.display());
    let beside = beside(path);
    let written = (|| {
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written.could_not(doing)
}

/// Writes a file that must not exist yet, readable by its owner only when `secret`.
pub(crate) fn create(path: &Path, bytes: &[u8], secret: bool) -> Outcome<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if secret {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Failed::unable(format!("{} exists already and is not overwritten", path.display()))
                .hint("choose another name, or move the old file away yourself")
        }
        _ => Failed::unable(format!("could not create {}: {error}", path.display())),
    })?;
    file.write_all(bytes).and_then(|()| file.sync_all()).could_not(|| format!("write {}", path.display()))
}

/// Makes a folder with everything above it.
pub(crate) fn folder(path: &Path) -> Outcome<()> {
    fs::create_dir_all(path).could_not(|| format!("make the folder {}", path.display()))
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.part", std::process::id()));
    path.with_file_name(name)
}
