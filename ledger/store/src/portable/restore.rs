//! Checking a snapshot, and putting it in a store's place: all of it, or nothing.
//!
//! ```text
//! load into <dir>.restoring      marked as unfinished: no node opens it
//! derive, check                  every root, signature and proof, against the header of the head
//! believe                        the head's certificate, along the validators since the anchor
//! flush, close, rename           one step; before it there is no store in <dir>, after it a whole one
//! ```
//!
//! A crash on the way leaves `<dir>.restoring`, which the next attempt removes.

use std::fs;
use std::path::{Path, PathBuf};

use custos_proof::anchor::{Link, Recency, TrustAnchor};
use custos_proof::ids::Height;
use custos_proof::verify::Failure;

use super::container::{Reading, io, sync_folder, sync_folder_of};
use super::load::load;
use super::{Progressed, Proven, SnapshotError};
use crate::error::StoreError;
use crate::fsck::Report;
use crate::options::Limits;
use crate::rebuild::rebuild_open;
use crate::snapshot::Snapshot;
use crate::store::{Store, damaged};
use crate::tables::Table;

/// Checks a snapshot in a scratch folder, which is removed again: `scratch` MUST NOT exist, or be left over from here.
///
/// # Errors
/// [`SnapshotError`]: evidence against it, or why it cannot be told.
pub fn verify(
    from: &Path,
    scratch: &Path,
    anchor: &TrustAnchor,
    recency: &Recency,
    progress: &mut dyn FnMut(Progressed),
) -> Result<Proven, SnapshotError> {
    let _removed = Removed(scratch.to_owned());
    stage(from, scratch, anchor, recency, progress)
}

/// Checks a snapshot and makes it the store in `dir`, where there MUST be none.
///
/// # Errors
/// [`SnapshotError`]; there is no store in `dir` then.
pub fn restore(
    from: &Path,
    dir: &Path,
    anchor: &TrustAnchor,
    recency: &Recency,
    progress: &mut dyn FnMut(Progressed),
) -> Result<Proven, SnapshotError> {
    if dir.exists() && fs::read_dir(dir).map_err(io(dir))?.next().is_some() {
        return Err(SnapshotError::Exists(dir.to_owned()));
    }
    let mut name = dir.file_name().unwrap_or_default().to_os_string();
    name.push(".restoring");
    let staging = dir.with_file_name(name);
    let removed = Removed(staging.clone());
    let proven = stage(from, &staging, anchor, recency, progress)?;
    sync_folder(&staging)?;
    if dir.exists() {
        fs::remove_dir(dir).map_err(io(dir))?;
    }
    fs::rename(&staging, dir).map_err(io(dir))?;
    sync_folder_of(dir)?;
    drop(removed);
    Ok(proven)
}

/// Removes a folder when it goes, whatever happened.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A whole store in `dir`, checked, closed and flushed.
fn stage(
    from: &Path,
    dir: &Path,
    anchor: &TrustAnchor,
    recency: &Recency,
    progress: &mut dyn FnMut(Progressed),
) -> Result<Proven, SnapshotError> {
    let mut reading = Reading::open(from)?;
    let manifest = reading.manifest();
    if manifest.chain != anchor.chain {
        return Err(SnapshotError::Anchor(Failure::OtherChain {
            anchor: anchor.chain,
            found: manifest.chain,
        }));
    }
    if manifest.height < anchor.height {
        return Err(SnapshotError::AnchorAhead { anchor: anchor.height, snapshot: manifest.height });
    }
    if dir.exists() {
        fs::remove_dir_all(dir).map_err(io(dir))?;
    }
    fs::create_dir_all(dir).map_err(io(dir))?;
    load(&mut reading, dir, &Limits::default(), progress)?;
    let mut store = Store::open_unchecked(dir, &Limits::default())?;
    let report = rebuild_open(&mut store, progress)?;
    let snapshot = store.snapshot()?;
    let proven = believe(&snapshot, anchor, recency, report)?;
    drop(snapshot);
    store.compact()?;
    Ok(proven)
}

/// The head of a store that was checked from its genesis on, believed from an anchor.
fn believe(
    snapshot: &Snapshot<'_>,
    anchor: &TrustAnchor,
    recency: &Recency,
    report: Report,
) -> Result<Proven, SnapshotError> {
    let head = snapshot.head();
    let nothing = |height: Height| damaged(Table::Blocks, height.to_string(), "a block", "nothing");
    let header = |height: Height| {
        let header = snapshot.header(height)?.ok_or_else(|| nothing(height))?;
        let certificate = snapshot
            .certificate(height)?
            .ok_or_else(|| damaged(Table::Certificates, height.to_string(), "a certificate", "nothing"))?;
        Ok::<_, StoreError>((header, certificate))
    };
    let proven = |time| -> Result<Proven, SnapshotError> {
        if recency.not_older_than.is_some_and(|oldest| time < oldest) {
            return Err(SnapshotError::Anchor(Failure::TooOld { time }));
        }
        Ok(Proven {
            chain: head.chain,
            height: head.height,
            block_id: head.block_id,
            time,
            log: snapshot.checkpoint()?,
            state_root: head.state_root,
            report,
        })
    };
    // The anchor's own block, which may lie anywhere below the head.
    let at_anchor = match anchor.height {
        Height(0) => snapshot.genesis().block_id(),
        height => header(height)?.0.block_id(),
    };
    if at_anchor != anchor.block_id {
        return Err(SnapshotError::Anchor(Failure::Fork { height: anchor.height }));
    }
    if head.height == Height(0) {
        // The chain's id is the hash of the genesis, and the state was computed from that.
        return proven(head.time);
    }
    let mut links = Vec::new();
    for height in (anchor.height.0 + 1..head.height.0).map(Height) {
        let (header, certificate) = header(height)?;
        if header.validators_hash == header.next_validators_hash {
            continue;
        }
        let next = snapshot.validators(&header.next_validators_hash)?.ok_or_else(|| {
            damaged(Table::Validators, header.next_validators_hash.to_string(), "a validator set", "nothing")
        })?;
        links.push(Link { header, certificate, next });
    }
    let (header, certificate) = header(head.height)?;
    if head.height > anchor.height {
        anchor.believe(&links, &header, &certificate, None, recency).map_err(SnapshotError::Anchor)?;
    }
    proven(header.time)
}
