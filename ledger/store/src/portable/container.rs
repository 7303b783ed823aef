//! Where a snapshot's chunks lie: in one file, or in a folder that many snapshots share.
//!
//! ```text
//! file     written beside its place, synced, renamed             one file to carry away
//! folder   a chunk that is there already is not written again    the second backup is as large as what is new
//!          the manifest last: a snapshot without one is none
//! ```
//!
//! What is read is checked against the manifest's hash before anybody sees it. Lengths are compared
//! with the file's own before memory is taken for them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use custos_proof::hash::{Digest, sha256};
use custos_proof::ids::Height;

use super::format::{Chunk, ChunkRef, MAGIC, MAX_MANIFEST_BYTES, Manifest, TRAILER_BYTES};
use super::{Progressed, SnapshotError};
use crate::store::hex;

const CHUNKS: &str = "chunks";
const MANIFEST_ENDING: &str = "manifest";
const LOCK: &str = "lock";

/// Whether a path stands for a folder of snapshots: one that is there, or one that is written with a slash at its end.
fn is_folder(path: &Path) -> bool {
    path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/")
}

/// A snapshot being written.
pub(crate) struct Writing {
    to: PathBuf,
    place: Place,
    chunks: Vec<ChunkRef>,
    written: u64,
}

enum Place {
    /// The file beside `to`, until it is whole.
    File(File, PathBuf),
    /// With the lock on it.
    Folder(File),
}

impl Writing {
    pub(crate) fn begin(to: &Path) -> Result<Self, SnapshotError> {
        let place = if is_folder(to) {
            fs::create_dir_all(to.join(CHUNKS)).map_err(io(to))?;
            Place::Folder(lock(to)?)
        } else {
            if to.exists() {
                return Err(SnapshotError::Exists(to.to_owned()));
            }
            let part = beside(to, "part");
            let mut file = private(&part)?;
            file.write_all(MAGIC).map_err(io(&part))?;
            Place::File(file, part)
        };
        Ok(Self { to: to.to_owned(), place, chunks: Vec::new(), written: 0 })
    }

    pub(crate) fn add(&mut self, chunk: &Chunk) -> Result<(), SnapshotError> {
        let bytes = chunk.to_bytes();
        let reference = ChunkRef { bytes: bytes.len() as u64, hash: sha256(&bytes) };
        self.chunks.push(reference);
        match &mut self.place {
            Place::File(file, part) => file.write_all(&bytes).map_err(io(part))?,
            Place::Folder(_) => {
                let path = chunk_path(&self.to, &reference.hash);
                // What lies there is read again: a copy that has rotted must not be built upon.
                if fs::metadata(&path).is_ok_and(|known| known.len() == reference.bytes)
                    && fs::read(&path).is_ok_and(|known| known == bytes)
                {
                    return Ok(());
                }
                whole(&path, &bytes)?;
            }
        }
        self.written += reference.bytes;
        Ok(())
    }

    /// Leaves no half file; chunks in a folder are left for the next snapshot.
    pub(crate) fn abandon(self) {
        if let Place::File(file, part) = self.place {
            drop(file);
            let _ = fs::remove_file(part);
        }
    }

    /// Writes the manifest, after which the snapshot is there. Returns where, and how much was new.
    pub(crate) fn finish(
        mut self,
        manifest: impl FnOnce(Vec<ChunkRef>) -> Manifest,
    ) -> Result<(Manifest, PathBuf, u64), SnapshotError> {
        let manifest = manifest(std::mem::take(&mut self.chunks));
        let mut bytes = manifest.to_bytes();
        let hash = sha256(&bytes);
        match self.place {
            Place::File(mut file, part) => {
                bytes.extend((bytes.len() as u64).to_be_bytes());
                bytes.extend(hash.0);
                file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(io(&part))?;
                fs::rename(&part, &self.to).map_err(io(&self.to))?;
                sync_folder_of(&self.to)?;
                Ok((manifest, self.to, self.written))
            }
            Place::Folder(_lock) => {
                sync_folder(&self.to.join(CHUNKS))?;
                bytes.extend(hash.0);
                let path = manifest_path(&self.to, manifest.height);
                // Of another chain, or of a node that pruned more or less: not this one's to replace.
                if path.exists() && fs::read(&path).map_err(io(&path))? != bytes {
                    return Err(SnapshotError::Exists(path));
                }
                whole(&path, &bytes)?;
                sync_folder(&self.to)?;
                Ok((manifest, path, self.written))
            }
        }
    }
}

/// A snapshot to be read.
#[derive(Debug)]
pub(crate) struct Reading {
    manifest: Manifest,
    place: Source,
}

#[derive(Debug)]
enum Source {
    File(File, PathBuf),
    Folder(PathBuf),
}

impl Reading {
    /// Opens a snapshot file, a manifest in a folder of snapshots, or the newest one of such a folder.
    pub(crate) fn open(path: &Path) -> Result<Self, SnapshotError> {
        if path.is_dir() {
            let newest = manifests(path)?.pop().ok_or_else(|| {
                SnapshotError::Form(path.to_owned(), "there is no snapshot in this folder".into())
            })?;
            return Self::open(&manifest_path(path, newest));
        }
        let mut file = File::open(path).map_err(io(path))?;
        let length = file.metadata().map_err(io(path))?.len();
        let form = |what: &str| SnapshotError::Form(path.to_owned(), what.to_owned());
        if path.extension().is_some_and(|ending| ending == MANIFEST_ENDING) {
            if length > MAX_MANIFEST_BYTES {
                return Err(form("its manifest is too long"));
            }
            let mut bytes = Vec::new();
            file.take(MAX_MANIFEST_BYTES).read_to_end(&mut bytes).map_err(io(path))?;
            let (manifest, hash) =
                bytes.split_last_chunk::<32>().ok_or_else(|| form("the manifest is cut off"))?;
            let folder = path.parent().unwrap_or(Path::new("")).to_owned();
            return Ok(Self { manifest: checked(path, manifest, hash)?, place: Source::Folder(folder) });
        }
        let mut magic = [0; MAGIC.len()];
        let least = MAGIC.len() as u64 + TRAILER_BYTES;
        if length < least || file.read_exact(&mut magic).is_err() || magic != *MAGIC {
            return Err(form("it does not begin as a snapshot does"));
        }
        let mut trailer = [0; TRAILER_BYTES as usize];
        file.seek(SeekFrom::Start(length - TRAILER_BYTES)).map_err(io(path))?;
        file.read_exact(&mut trailer).map_err(io(path))?;
        let (of_manifest, hash) = trailer.split_at(8);
        let of_manifest = crate::tables::number(of_manifest).unwrap_or(u64::MAX);
        if of_manifest > MAX_MANIFEST_BYTES || of_manifest > length - least {
            return Err(form("it is cut off, or its end was changed"));
        }
        let mut manifest = vec![0; usize::try_from(of_manifest).unwrap_or_default()];
        file.seek(SeekFrom::Start(length - TRAILER_BYTES - of_manifest)).map_err(io(path))?;
        file.read_exact(&mut manifest).map_err(io(path))?;
        let manifest = checked(path, &manifest, hash)?;
        let of_chunks =
            manifest.chunks.iter().try_fold(least + of_manifest, |sum, chunk| sum.checked_add(chunk.bytes));
        if of_chunks != Some(length) {
            return Err(form("its length is not what its manifest says"));
        }
        file.seek(SeekFrom::Start(MAGIC.len() as u64)).map_err(io(path))?;
        Ok(Self { manifest, place: Source::File(file, path.to_owned()) })
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Hands over every chunk, in order.
    pub(crate) fn each(
        &mut self,
        progress: &mut dyn FnMut(Progressed),
        mut take: impl FnMut(Chunk) -> Result<(), SnapshotError>,
    ) -> Result<(), SnapshotError> {
        let total = self.manifest.chunks.len();
        for (number, reference) in self.manifest.chunks.iter().enumerate() {
            progress(Progressed { stage: "reading", done: number as u64, total: total as u64 });
            let bytes = match &mut self.place {
                Source::File(file, path) => exactly(file, reference.bytes, path, number)?,
                Source::Folder(folder) => {
                    let path = chunk_path(folder, &reference.hash);
                    let mut file = File::open(&path).map_err(|error| match error.kind() {
                        io::ErrorKind::NotFound => SnapshotError::Chunk(number, "its file is missing".into()),
                        _ => io(&path)(error),
                    })?;
                    let length = file.metadata().map_err(io(&path))?.len();
                    if length != reference.bytes {
                        return Err(SnapshotError::Chunk(number, format!("its file has {length} bytes")));
                    }
                    exactly(&mut file, reference.bytes, &path, number)?
                }
            };
            if sha256(&bytes) != reference.hash {
                return Err(SnapshotError::Chunk(number, "its bytes do not have the manifest's hash".into()));
            }
            let chunk =
                Chunk::from_bytes(&bytes).map_err(|error| SnapshotError::Chunk(number, error.to_string()))?;
            take(chunk)?;
        }
        Ok(())
    }
}

/// The heights of the snapshots in a folder, ascending.
pub(crate) fn manifests(folder: &Path) -> Result<Vec<Height>, SnapshotError> {
    let mut heights = Vec::new();
    for entry in fs::read_dir(folder).map_err(io(folder))? {
        let path = entry.map_err(io(folder))?.path();
        if path.extension().is_some_and(|ending| ending == MANIFEST_ENDING)
            && let Some(height) = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok())
        {
            heights.push(Height(height));
        }
    }
    heights.sort_unstable();
    Ok(heights)
}

/// Removes all but the newest snapshots of a folder, and the chunks that none of these refers to. Returns how many went.
pub(crate) fn thin_out(folder: &Path, keep: usize) -> Result<usize, SnapshotError> {
    let _lock = lock(folder)?;
    let mut heights = manifests(folder)?;
    let kept = heights.split_off(heights.len().saturating_sub(keep.max(1)));
    // Read before anything goes: a manifest that does not read keeps every chunk.
    let mut needed = std::collections::BTreeSet::new();
    for height in &kept {
        let reading = Reading::open(&manifest_path(folder, *height))?;
        needed.extend(reading.manifest.chunks.iter().map(|chunk| hex(&chunk.hash.0)));
    }
    for height in &heights {
        let path = manifest_path(folder, *height);
        fs::remove_file(&path).map_err(io(&path))?;
    }
    let chunks = folder.join(CHUNKS);
    for entry in fs::read_dir(&chunks).map_err(io(&chunks))? {
        let path = entry.map_err(io(&chunks))?.path();
        if !path.file_name().and_then(|name| name.to_str()).is_some_and(|name| needed.contains(name)) {
            fs::remove_file(&path).map_err(io(&path))?;
        }
    }
    Ok(heights.len())
}

/// One writer at a time: chunks of a snapshot under way have no manifest yet, and would be taken for waste.
fn lock(folder: &Path) -> Result<File, SnapshotError> {
    let path = folder.join(LOCK);
    let file = OpenOptions::new().create(true).append(true).open(&path).map_err(io(&path))?;
    file.lock().map_err(io(&path))?;
    Ok(file)
}

fn exactly(from: &mut impl Read, bytes: u64, path: &Path, number: usize) -> Result<Vec<u8>, SnapshotError> {
    let mut read = vec![0; usize::try_from(bytes).unwrap_or_default()];
    from.read_exact(&mut read).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => SnapshotError::Chunk(number, "it is cut off".into()),
        _ => io(path)(error),
    })?;
    Ok(read)
}

fn checked(path: &Path, manifest: &[u8], hash: &[u8]) -> Result<Manifest, SnapshotError> {
    if sha256(manifest).0 != *hash {
        return Err(SnapshotError::Form(path.to_owned(), "its manifest was changed".into()));
    }
    Manifest::from_bytes(manifest)
        .map_err(|error| SnapshotError::Form(path.to_owned(), format!("its manifest: {error}")))
}

fn chunk_path(folder: &Path, hash: &Digest) -> PathBuf {
    folder.join(CHUNKS).join(hex(&hash.0))
}

fn manifest_path(folder: &Path, height: Height) -> PathBuf {
    folder.join(format!("{:020}.{MANIFEST_ENDING}", height.0))
}

fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.{what}", std::process::id()));
    path.with_file_name(name)
}

/// A file of ours alone: a snapshot holds what members may read, and the public may not.
fn private(path: &Path) -> Result<File, SnapshotError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(io(path))
}

/// Writes a file that is there whole or not at all.
fn whole(path: &Path, bytes: &[u8]) -> Result<(), SnapshotError> {
    let part = beside(path, "part");
    let mut file = private(&part)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io(&part))?;
    fs::rename(&part, path).map_err(io(path))
}

/// Makes names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), SnapshotError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io(folder))
}

pub(crate) fn sync_folder_of(path: &Path) -> Result<(), SnapshotError> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
        _ => sync_folder(Path::new(".")),
    }
}

pub(crate) fn io(path: &Path) -> impl Fn(io::Error) -> SnapshotError {
    let path = path.to_owned();
    move |error| SnapshotError::Io(path.clone(), error.to_string())
}
