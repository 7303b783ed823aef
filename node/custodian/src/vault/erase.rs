//! What the vault destroys: a subject altogether, or what opens some of its items.
//!
//! A subject's file has one key, and entries are chained: nothing can be cut out of it. To destroy some
//! items, everything else is written into a new file under a new key, which takes the old file's place;
//! then the old file's key is overwritten, and what is left of it is noise.
//!
//! ```text
//! 1  .tmp-HEX   the new file, synced        died here: removed at the next opening, nothing is erased
//! 2  .old-HEX   a second name of the old    died here: the same file as HEX, the name is removed
//! 3  HEX        the new file, by renaming   died here: another file than HEX, it is destroyed
//! 4  .old-HEX   key overwritten, removed
//! ```
//!
//! Deliberately absent: when something may be destroyed. Whoever calls has the authority, and the record
//! that says so.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use custos_proof::hash::ItemHash;

use super::entry::Entry;
use super::{
    Chain, Frame, HEADER, MAGIC, SUBJECTS, SubjectId, TEMPORARY, Vault, VaultError, at, frames, random,
    read_frame, seal, sync_directory, write_new,
};

/// A file that has been replaced and is about to be destroyed.
pub(super) const REPLACED: &str = ".old-";

impl Vault {
    /// Destroys a subject's key and file. What the ledger holds of it stays sealed for ever.
    ///
    /// # Errors
    /// The world fails; the subject is then erased when the vault is opened next, or still whole.
    pub fn erase(&mut self, id: &SubjectId) -> Result<(), VaultError> {
        self.require(id)?;
        destroy(&self.path(id))?;
        sync_directory(&self.directory.join(SUBJECTS))?;
        self.forget(id);
        Ok(())
    }

    /// Destroys what opens these items, and their bytes; everything else of their subjects stays. Items that
    /// are not there are passed over. Gives back how many were.
    ///
    /// # Errors
    /// The world fails; a subject's items are then all destroyed, at the latest when the vault is opened next, or
    /// all still there.
    pub fn erase_items(&mut self, items: &BTreeSet<ItemHash>) -> Result<usize, VaultError> {
        let subjects: BTreeSet<SubjectId> = items.iter().filter_map(|item| self.subject_of(item)).collect();
        let known = items.iter().filter(|item| self.entry(item).is_some()).count();
        subjects.into_iter().try_for_each(|id| self.rewrite_without(&id, items))?;
        Ok(known)
    }

    fn rewrite_without(&mut self, id: &SubjectId, items: &BTreeSet<ItemHash>) -> Result<(), VaultError> {
        let path = self.path(id);
        let subject = self.require(id)?;
        if subject.poisoned {
            return Err(VaultError::Poisoned { file: path });
        }
        let bytes = fs::read(&path).map_err(at(&path))?;
        let damaged =
            |offset: usize, what| VaultError::Damaged { file: path.clone(), offset: offset as u64, what };
        let (mut kept, mut offset, mut chain) = (Vec::new(), HEADER, Chain::default());
        while (offset as u64) < subject.length {
            let rest =
                bytes.get(offset..).ok_or_else(|| damaged(offset, "the file is shorter than it was"))?;
            let Frame::Whole { plain, length, next } = read_frame(&subject.data_key, id, &chain, rest) else {
                return Err(damaged(offset, "an entry does not authenticate"));
            };
            let entry =
                Entry::decode(&plain).ok_or_else(|| damaged(offset, "an entry of an unknown form"))?;
            let is_of = match &entry {
                Entry::Item(stored) => items.contains(&stored.hash()),
                Entry::Settled { hash, .. } => items.contains(hash),
                Entry::Created { .. } | Entry::Names(_) | Entry::Trail(_) => false,
            };
            if !is_of {
                kept.push(entry);
            }
            offset += length;
            chain = next;
        }
        let data_key: [u8; 32] = random()?;
        let mut new = MAGIC.to_vec();
        new.extend(seal(&self.keys.wrap, &id.0.0, &data_key)?);
        let (frames, _) = frames(&data_key, id, Chain::default(), &kept)?;
        new.extend_from_slice(&frames.concat());

        let directory = self.directory.join(SUBJECTS);
        let temporary = directory.join(format!("{TEMPORARY}{id}"));
        let replaced = directory.join(format!("{REPLACED}{id}"));
        if let Err(error) = write_new(&temporary, &new) {
            // A full disk leaves half a file, which is nobody's.
            fs::remove_file(&temporary).map_err(at(&temporary))?;
            return Err(error);
        }
        fs::hard_link(&path, &replaced).map_err(at(&replaced))?;
        // On disk before the old file can lose its only other name: its key has to be found again.
        sync_directory(&directory)?;
        fs::rename(&temporary, &path).map_err(at(&path))?;
        sync_directory(&directory)?;
        destroy(&replaced)?;
        sync_directory(&directory)?;
        self.forget(id);
        self.load_subject(*id, &path)
    }

    /// Takes a subject out of the indexes.
    fn forget(&mut self, id: &SubjectId) {
        self.subjects.remove(id);
        self.by_name.retain(|_, subject| subject != id);
        self.by_item.retain(|_, place| place.subject != *id);
        let by_item = &self.by_item;
        self.by_source.retain(|_, hash| by_item.contains_key(hash));
        self.institution = self.institution.filter(|institution| institution != id);
    }
}

/// Ends what a crash interrupted between giving a file a second name and destroying it.
pub(super) fn finish(replaced: &Path, current: &Path) -> Result<(), VaultError> {
    let place = |path: &Path| fs::metadata(path).map(|data| (data.dev(), data.ino()));
    let is_current = match place(current) {
        Ok(current) => current == place(replaced).map_err(at(replaced))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(at(current)(error)),
    };
    match is_current {
        // Not replaced yet: this is the subject's only file.
        true => fs::remove_file(replaced).map_err(at(replaced)),
        false => destroy(replaced),
    }
}

/// Overwrites the wrapped key, syncs, and only then removes the file.
pub(super) fn destroy(path: &Path) -> Result<(), VaultError> {
    let mut file = OpenOptions::new().write(true).open(path).map_err(at(path))?;
    file.seek(SeekFrom::Start(MAGIC.len() as u64))
        .and_then(|_| file.write_all(&[0; HEADER - MAGIC.len()]))
        .and_then(|()| file.sync_all())
        .map_err(at(path))?;
    fs::remove_file(path).map_err(at(path))
}

#[cfg(test)]
mod tests {
    use custos_proof::hash::Digest;
    use custos_proof::ids::Height;
    use tempfile::TempDir;

    use super::*;
    use crate::vault::tests::{filled, item, key};
    use crate::vault::{ItemState, Trail};

    fn of(numbers: &[u64]) -> BTreeSet<ItemHash> {
        numbers.iter().map(|number| item(*number).hash()).collect()
    }

    fn names_in(directory: &TempDir) -> Vec<String> {
        let entries = fs::read_dir(directory.path().join(SUBJECTS)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Item 1 of subject `a` is gone, everything else is there: in memory, and after opening again.
    fn assert_erased(vault: &Vault, a: SubjectId, b: SubjectId) {
        assert!(matches!(vault.item(&item(1).hash()), Err(VaultError::UnknownItem(_))));
        assert!(vault.item_of_source(&item(1).source).is_none());
        assert_eq!(vault.item(&item(2).hash()).unwrap(), item(2));
        assert_eq!(vault.item(&item(3).hash()).unwrap(), item(3));
        assert_eq!(vault.subject_of(&item(3).hash()), Some(a));
        assert_eq!(vault.subject_of(&item(2).hash()), Some(b));
        assert_eq!(
            vault.trails(&a).unwrap(),
            [Trail { grantee: None, epoch: 2026, local_id: Digest([1; 32]) }]
        );
        assert_eq!(vault.find_by_code(vault.code(&a).unwrap()), Some(a));
        assert_eq!(vault.subjects().count(), 2);
    }

    #[test]
    fn an_erased_item_is_gone_and_everything_else_of_its_subject_is_not() {
        let (directory, a, b) = filled();
        let mut vault = Vault::open(directory.path(), &key()).unwrap();
        let code = vault.code(&a).unwrap().to_string();
        let old = fs::read(vault.path(&a)).unwrap();
        assert_eq!(vault.erase_items(&of(&[1, 77])).unwrap(), 1, "what is not there is passed over");
        assert_erased(&vault, a, b);
        vault.settle(&[(item(3).hash(), ItemState::Recorded(Height(9)))]).unwrap();
        drop(vault);
        let vault = Vault::open(directory.path(), &key()).unwrap();
        assert_erased(&vault, a, b);
        assert_eq!(vault.code(&a).unwrap().to_string(), code, "the patient's code is the same");
        assert_eq!(vault.entry(&item(3).hash()).unwrap().state, ItemState::Recorded(Height(9)));
        assert_eq!(names_in(&directory).len(), 2, "no file is left over");
        let new = fs::read(vault.path(&a)).unwrap();
        assert_ne!(old[MAGIC.len()..HEADER], new[MAGIC.len()..HEADER], "another key");
    }

    #[test]
    fn a_copy_of_the_old_file_opens_nothing_once_its_key_is_overwritten() {
        let (directory, a, _) = filled();
        let mut vault = Vault::open(directory.path(), &key()).unwrap();
        let path = vault.path(&a);
        // A second name is what somebody sees who looks at the old blocks.
        let other = directory.path().join("blocks");
        fs::hard_link(&path, &other).unwrap();
        vault.erase_items(&of(&[1])).unwrap();
        let left = fs::read(&other).unwrap();
        assert!(left[MAGIC.len()..HEADER].iter().all(|byte| *byte == 0), "the wrapped key is overwritten");
    }

    #[test]
    fn all_items_of_a_subject_can_go_and_its_name_and_code_stay() {
        let (directory, a, _) = filled();
        let mut vault = Vault::open(directory.path(), &key()).unwrap();
        assert_eq!(vault.erase_items(&of(&[1, 2, 3])).unwrap(), 3);
        drop(vault);
        let vault = Vault::open(directory.path(), &key()).unwrap();
        assert!(vault.items(&a).unwrap().is_empty());
        assert_eq!((vault.subjects().count(), vault.names(&a).unwrap().len()), (2, 2));
    }

    /// Every state that a crash can leave behind, made by hand, and what opening makes of it.
    #[test]
    fn a_crash_at_any_step_erases_all_or_nothing() {
        for step in 1..=4 {
            let (directory, a, b) = filled();
            let subjects = directory.path().join(SUBJECTS);
            let path = subjects.join(a.to_string());
            let old = fs::read(&path).unwrap();
            let mut vault = Vault::open(directory.path(), &key()).unwrap();
            vault.erase_items(&of(&[1])).unwrap();
            drop(vault);
            let new = fs::read(&path).unwrap();
            let (temporary, replaced) =
                (subjects.join(format!("{TEMPORARY}{a}")), subjects.join(format!("{REPLACED}{a}")));
            match step {
                1 => {
                    fs::write(&path, &old).unwrap();
                    fs::write(&temporary, &new[..new.len() / 2]).unwrap();
                }
                2 => {
                    fs::write(&path, &old).unwrap();
                    fs::write(&temporary, &new).unwrap();
                    fs::hard_link(&path, &replaced).unwrap();
                }
                3 => fs::write(&replaced, &old).unwrap(),
                _ => {
                    let mut half = old.clone();
                    half[MAGIC.len()..HEADER].fill(0);
                    fs::write(&replaced, &half).unwrap();
                }
            }
            let mut vault = Vault::open(directory.path(), &key()).unwrap();
            assert_eq!(names_in(&directory).len(), 2, "step {step}: nothing is left over");
            match step {
                1 | 2 => {
                    assert_eq!(
                        vault.item(&item(1).hash()).unwrap(),
                        item(1),
                        "step {step}: nothing is erased"
                    );
                    vault.erase_items(&of(&[1])).unwrap();
                }
                _ => {}
            }
            assert_erased(&vault, a, b);
        }
    }
}
