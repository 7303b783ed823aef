//! Bodies of blocks that are not decided yet, on disk before the engine hears of them.
//!
//! The engine's log remembers for which block ids this node voted, not what the blocks were. If it
//! crashed between voting and committing, the quorum may have decided a block that only its voters
//! have; after the restart the engine says "decided" and the body must be here. Hence: a body is
//! written and flushed, file and directory, before its id is given to the engine.
//!
//! One file per body, named by height and id, with a checksum at its end. A torn file is a body
//! that the engine never heard of, so it is removed when the directory is opened. Only bodies this
//! node may vote for are kept (*sticky once valid*): what was valid before a crash is valid after it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use custos_proof::hash::{BlockId, sha256};
use custos_proof::header::MAX_BLOCK_BYTES;
use custos_proof::ids::Height;

/// The form of these files.
const MAGIC: &[u8; 8] = b"custosB1";
const CHECKSUM_BYTES: usize = 32;
const HEADER_BYTES: usize = MAGIC.len() + 1 + 8 + 32;

/// A body as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBody {
    /// The block's height.
    pub height: Height,
    /// The block.
    pub block_id: BlockId,
    /// Whether this node built it. It never builds a second one for the same height and round.
    pub own: bool,
    /// The block's wire form.
    pub block: Bytes,
}

/// The directory of bodies.
#[derive(Debug)]
pub(crate) struct Bodies {
    directory: PathBuf,
    handle: File,
}

impl Bodies {
    /// Opens the directory and returns the bodies for `height`. Those of later heights stay: a ledger that lost
    /// blocks comes back to them, and to the votes for them. All other files are removed.
    pub(crate) fn open(directory: &Path, height: Height) -> io::Result<(Self, Vec<StoredBody>)> {
        fs::create_dir_all(directory)?;
        let mut found = Vec::new();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            match read(&path)? {
                Some(body) if body.height == height => found.push(body),
                Some(body) if body.height > height => {}
                _ => fs::remove_file(&path)?,
            }
        }
        let handle = File::open(directory)?;
        handle.sync_all()?;
        Ok((Self { directory: directory.to_owned(), handle }, found))
    }

    /// Writes a body; when this returns it survives a crash.
    pub(crate) fn store(&self, body: &StoredBody) -> io::Result<()> {
        let bytes = write(body);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(self.path(body.height, &body.block_id))?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        self.handle.sync_all()
    }

    /// Removes one body.
    pub(crate) fn remove(&self, height: Height, id: &BlockId) -> io::Result<()> {
        match fs::remove_file(self.path(height, id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes the bodies of decided heights. What a crash leaves behind, [`Bodies::open`] removes.
    pub(crate) fn forget(&self, up_to: Height) -> io::Result<()> {
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            let decided = path
                .file_name()
                .and_then(|name| name.to_str())
                .and_then(|name| name.split('-').next()?.parse::<u64>().ok())
                .is_none_or(|height| height <= up_to.0);
            if decided {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    fn path(&self, height: Height, id: &BlockId) -> PathBuf {
        self.directory.join(format!("{:020}-{id}", height.0))
    }
}

/// The body in a file; nothing if the file is torn or not one of ours.
fn read(path: &Path) -> io::Result<Option<StoredBody>> {
    const MAX_FILE_BYTES: usize = HEADER_BYTES + MAX_BLOCK_BYTES + CHECKSUM_BYTES;
    let mut bytes = Vec::new();
    if path.is_dir() {
        return Err(io::Error::other(format!(
            "{} is a directory; nothing but bodies belongs there",
            path.display()
        )));
    }
    File::open(path)?.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(parse(bytes))
}

/// The bytes of a body's file.
pub(crate) fn write(body: &StoredBody) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + body.block.len() + CHECKSUM_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.push(u8::from(body.own));
    bytes.extend_from_slice(&body.height.0.to_be_bytes());
    bytes.extend_from_slice(&body.block_id.0);
    bytes.extend_from_slice(&body.block);
    let checksum = sha256(&bytes);
    bytes.extend_from_slice(&checksum.0);
    bytes
}

/// The body of these bytes, which are all of a file.
pub(crate) fn parse(bytes: Vec<u8>) -> Option<StoredBody> {
    let (content, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM_BYTES)?)?;
    if sha256(content).0 != *checksum {
        return None;
    }
    let rest = content.strip_prefix(MAGIC)?;
    let (own, rest) = rest.split_first()?;
    let (height, rest) = rest.split_first_chunk::<8>()?;
    let (id, block) = rest.split_first_chunk::<32>()?;
    let own = match own {
        0 => false,
        1 => true,
        _ => return None,
    };
    Some(StoredBody {
        height: Height(u64::from_be_bytes(*height)),
        block_id: BlockId(*id),
        own,
        block: Bytes::copy_from_slice(block),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(height: u64, id: u8) -> StoredBody {
        StoredBody {
            height: Height(height),
            block_id: BlockId([id; 32]),
            own: id.is_multiple_of(2),
            block: vec![id; 1000].into(),
        }
    }

    #[test]
    fn bodies_of_the_current_height_survive_and_others_go() {
        let dir = tempfile::tempdir().unwrap();
        let (bodies, found) = Bodies::open(dir.path(), Height(7)).unwrap();
        assert!(found.is_empty());
        for (height, id) in [(6, 1), (7, 2), (7, 3), (9, 4)] {
            bodies.store(&body(height, id)).unwrap();
        }
        bodies.store(&body(7, 3)).unwrap();
        // As a ledger that lost blocks sees it, and again.
        assert!(Bodies::open(dir.path(), Height(4)).unwrap().1.is_empty());
        let (bodies, mut found) = Bodies::open(dir.path(), Height(7)).unwrap();
        found.sort_by_key(|body| body.block_id);
        assert_eq!(found, [body(7, 2), body(7, 3)]);
        bodies.remove(Height(7), &BlockId([2; 32])).unwrap();
        bodies.remove(Height(7), &BlockId([2; 32])).unwrap();
        bodies.forget(Height(7)).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let (_, found) = Bodies::open(dir.path(), Height(9)).unwrap();
        assert_eq!(found, [body(9, 4)]);
    }

    #[test]
    fn a_torn_or_damaged_file_is_a_body_that_nobody_heard_of() {
        let dir = tempfile::tempdir().unwrap();
        let (bodies, _) = Bodies::open(dir.path(), Height(7)).unwrap();
        bodies.store(&body(7, 2)).unwrap();
        let path = bodies.path(Height(7), &BlockId([2; 32]));
        let whole = fs::read(&path).unwrap();
        for length in [0, 1, HEADER_BYTES, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            let (_, found) = Bodies::open(dir.path(), Height(7)).unwrap();
            assert!(found.is_empty(), "{length} bytes");
            assert!(!path.exists());
        }
        for at in [0, 8, 20, 60, whole.len() - 1] {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert_eq!(parse(damaged), None);
        }
        assert_eq!(parse(whole), Some(body(7, 2)));
    }
}
