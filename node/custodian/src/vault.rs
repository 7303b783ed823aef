//! The custodian's vault: what is needed to open, years later, what the ledger holds sealed.
//!
//! The ledger is replicated; the vault is not. It is the one place where a pseudonym meets a name.
//! It is a directory that one process writes at a time:
//!
//! ```text
//! vault            chain and custodian, sealed with the vault key
//! LOCK             held while the vault is open
//! subjects/HEX     one append-only file per subject; the name is random
//! ```
//!
//! A subject's file begins with the subject's own data key, wrapped by the vault key. Every entry
//! after it is sealed with the data key (XChaCha20-Poly1305, random nonces) and bound to its file,
//! its position and the entry before it, so that nothing can be moved, swapped or cut out. Erasing a
//! subject destroys the wrapped key first; what is left of the file is noise. Erasing some of its items
//! moves the others to a new key first (`erase`).
//!
//! ```text
//! file   magic[8] nonce[24] wrapped key[48] entry...
//! entry  length[4] check[4] nonce[24] ciphertext and tag[length]
//! ```
//!
//! # Correctness
//! An entry is acknowledged when its file is synced. An entry cut short by a crash was never
//! acknowledged, and is cut off when the vault is opened: the check over the length tells a torn
//! entry from a flipped bit. Everything else that does not authenticate is [`VaultError::Damaged`],
//! with the file's name, and the vault does not open: looking up a person in a vault with holes would
//! give them a second secret.
//!
//! Deliberately absent: backup (copy the directory while no process holds it, and the key apart from
//! it), and secure deletion below the file system: old blocks, snapshots and backups are the operator's.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use custos_proof::cbor::Wire as _;
use custos_proof::hash::{ChainId, Digest, ItemHash};
use custos_proof::ids::{Height, ItemId, ParticipantId, Random16};
use custos_proof::item::{Item, item_hash};
use custos_proof::kinds::Kind;
use custos_proof::seal::{Opening, Place};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use thiserror::Error;

use crate::code::PatientCode;
use crate::draft::SubjectKey;

mod entry;
mod erase;
#[doc(hidden)]
pub mod fuzz;

use entry::Entry;
pub(crate) use entry::{MAX_NAME, MAX_NAMES};
pub use entry::{StoredItem, Trail};

const MAGIC: &[u8; 8] = b"custosV1";
const META: &str = "vault";
const LOCK: &str = "LOCK";
const SUBJECTS: &str = "subjects";
const TEMPORARY: &str = ".tmp-";

const NONCE: usize = 24;
const TAG: usize = 16;
const HEADER: usize = MAGIC.len() + NONCE + 32 + TAG;
const FRAME: usize = 4 + 4 + NONCE;

/// The longest key file.
const MAX_KEY_FILE: u64 = 256;
/// The longest entry. An item's sealed values are the largest thing in one.
pub const MAX_ENTRY: usize = 2 * 1024 * 1024;
/// The largest file of one subject.
pub const MAX_SUBJECT_FILE: u64 = 4 * 1024 * 1024 * 1024;

/// The key that opens the vault. Whoever has it and the directory has everything.
#[derive(Clone)]
pub struct VaultKey([u8; 32]);

impl core::fmt::Debug for VaultKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("VaultKey(..)")
    }
}

impl VaultKey {
    /// A key from elsewhere: a key management service, a secret store.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A key from the operating system's random source.
    ///
    /// # Errors
    /// When there is none.
    pub fn generate() -> Result<Self, VaultError> {
        Ok(Self(random()?))
    }

    /// Reads a key file: 64 hexadecimal digits, readable by its owner alone.
    ///
    /// # Errors
    /// When it cannot be read, others may read it, or it holds something else.
    pub fn load(path: &Path) -> Result<Self, VaultError> {
        let file = File::open(path).map_err(at(path))?;
        let mode = file.metadata().map_err(at(path))?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(VaultError::KeyPermissions { file: path.into(), mode });
        }
        let key = Self::from_file(file).map_err(at(path))?;
        key.ok_or_else(|| VaultError::BadKeyFile { file: path.into() })
    }

    /// The key in the bytes of a key file; nothing when they are anything else than its digits, with white space around.
    fn from_file(bytes: impl Read) -> io::Result<Option<Self>> {
        let mut held = Vec::new();
        bytes.take(MAX_KEY_FILE + 1).read_to_end(&mut held)?;
        if held.len() as u64 > MAX_KEY_FILE {
            return Ok(None);
        }
        let digits = core::str::from_utf8(&held).ok().map(str::trim);
        Ok(digits.and_then(|digits| digits.parse::<Digest>().ok()).map(|key| Self(key.0)))
    }

    /// The bytes of its key file.
    fn to_file(&self) -> String {
        format!("{}\n", Digest(self.0))
    }

    /// A key for one other purpose beside the vault, such as a spool of what has not reached it yet.
    ///
    /// HKDF-SHA-256 (RFC 5869) without salt; `purpose` MUST name its user and version, and none of the vault's own.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        let mut out = [0; 32];
        hkdf::Hkdf::<Sha256>::new(None, &self.0)
            .expand(purpose.as_bytes(), &mut out)
            .expect("because 32 bytes is a valid HKDF-SHA-256 length");
        out
    }

    /// Writes a new key file with permissions 0600. An existing file is left alone.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub fn create(path: &Path) -> Result<Self, VaultError> {
        let key = Self::generate()?;
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(at(path))?;
        file.write_all(key.to_file().as_bytes()).and_then(|()| file.sync_all()).map_err(at(path))?;
        if let Some(parent) = path.parent() {
            sync_directory(parent)?;
        }
        Ok(key)
    }

    /// [`VaultKey::load`], or [`VaultKey::create`] if there is no such file.
    ///
    /// # Errors
    /// As those.
    pub fn load_or_create(path: &Path) -> Result<Self, VaultError> {
        if path.exists() { Self::load(path) } else { Self::create(path) }
    }
}

/// Which chain and custodian a vault belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The chain.
    pub chain: ChainId,
    /// The custodian.
    pub custodian: ParticipantId,
}

/// A subject's name inside the vault: random, the name of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectId(Random16);

impl core::fmt::Display for SubjectId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// An open vault. Dropping it lets others open it.
pub struct Vault {
    directory: PathBuf,
    keys: Keys,
    scope: Scope,
    subjects: BTreeMap<SubjectId, Subject>,
    by_name: HashMap<[u8; 32], SubjectId>,
    by_item: HashMap<ItemHash, ItemPlace>,
    by_source: HashMap<[u8; 32], ItemHash>,
    institution: Option<SubjectId>,
    _lock: File,
}

/// Says where the vault is, and nothing of what is in it.
impl core::fmt::Debug for Vault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Vault").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// A subject, or the institution itself (for items without a subject).
struct Subject {
    data_key: [u8; 32],
    code: Option<PatientCode>,
    names: Vec<SubjectKey>,
    trails: Vec<Trail>,
    items: Vec<ItemEntry>,
    length: u64,
    next: Chain,
    /// A write failed and could not be undone: what is on disk is unknown until the vault is opened anew.
    poisoned: bool,
}

/// Whose item it is, and which of the subject's.
#[derive(Debug, Clone, Copy)]
struct ItemPlace {
    subject: SubjectId,
    position: usize,
}

/// Where an item's entry stands, and what is asked for often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemEntry {
    /// The item.
    pub hash: ItemHash,
    /// Its kind.
    pub kind: Kind,
    /// The subject trail that it stands in, if any.
    pub local_id: Option<Digest>,
    /// The rule that it puts, if it puts one.
    pub rule: Option<Random16>,
    /// SHA-256 over the content of the document that it comes from.
    pub source_digest: Digest,
    /// What became of it.
    pub state: ItemState,
    source: [u8; 32],
    offset: u64,
    length: u32,
    chain: Chain,
}

/// What became of a sealed item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemState {
    /// Sealed and kept; whether it was recorded is not known.
    Prepared,
    /// Recorded at this height.
    Recorded(Height),
    /// Refused for good: it will never be recorded.
    Dropped,
}

/// What binds an entry to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Chain {
    sequence: u64,
    previous_tag: [u8; TAG],
}

/// Why the vault did not do as asked.
#[derive(Debug, Error)]
pub enum VaultError {
    /// The world failed.
    #[error("{}: {source}", file.display())]
    Io {
        /// On which file.
        file: PathBuf,
        /// How.
        source: io::Error,
    },
    /// Another process has the vault open.
    #[error("{} is in use by another process", directory.display())]
    Locked {
        /// Which vault.
        directory: PathBuf,
    },
    /// There is a vault already.
    #[error("{} holds a vault already", directory.display())]
    Exists {
        /// Where.
        directory: PathBuf,
    },
    /// There is no vault.
    #[error("{} holds no vault", directory.display())]
    NotAVault {
        /// Where.
        directory: PathBuf,
    },
    /// The key does not fit, or the file that says so is damaged.
    #[error("{}: the vault key does not open it, or the file is damaged", file.display())]
    WrongKey {
        /// Which file.
        file: PathBuf,
    },
    /// The vault belongs to another chain or custodian.
    #[error("this vault belongs to {custodian} on chain {chain}")]
    OtherScope {
        /// To whom.
        custodian: ParticipantId,
        /// On which chain.
        chain: ChainId,
    },
    /// A file does not authenticate.
    #[error("{} is damaged at byte {offset}: {what}; restore it from the backup", file.display())]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A write failed earlier; the vault has to be opened anew.
    #[error("{}: an earlier write failed; open the vault again", file.display())]
    Poisoned {
        /// Which file.
        file: PathBuf,
    },
    /// A key file that others can read.
    #[error("{} can be read by others (mode {mode:o}); chmod 600 it", file.display())]
    KeyPermissions {
        /// Which file.
        file: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A key file that holds something else.
    #[error("{} is not a vault key file (64 hexadecimal digits)", file.display())]
    BadKeyFile {
        /// Which file.
        file: PathBuf,
    },
    /// The operating system gives no randomness.
    #[error("no randomness: {0}")]
    Random(getrandom::Error),
    /// The names given belong to more than one subject.
    #[error("these names belong to {} subjects of the vault", subjects.len())]
    Conflict {
        /// To which.
        subjects: Vec<SubjectId>,
    },
    /// There is no such subject.
    #[error("the vault has no such subject")]
    UnknownSubject,
    /// There is no such item.
    #[error("the vault has no item {0}")]
    UnknownItem(ItemHash),
    /// An entry or file beyond its bound.
    #[error("{what} exceeds its bound")]
    TooLarge {
        /// What.
        what: &'static str,
    },
    /// The vault holds values that do not make the item's seal: a bug, or a vault key in wrong hands.
    #[error("the vault's values of item {0} do not fit its seal")]
    SealMismatch(ItemHash),
}

impl Vault {
    /// Makes a new vault.
    ///
    /// # Errors
    /// When there is one, or the world fails.
    pub fn create(directory: &Path, key: &VaultKey, scope: &Scope) -> Result<Self, VaultError> {
        let meta = directory.join(META);
        if meta.exists() {
            return Err(VaultError::Exists { directory: directory.into() });
        }
        let subjects = directory.join(SUBJECTS);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&subjects).map_err(at(&subjects))?;
        let lock = lock(directory)?;
        if meta.exists() {
            return Err(VaultError::Exists { directory: directory.into() });
        }
        let keys = Keys::new(key);
        let mut bytes = MAGIC.to_vec();
        bytes.extend(seal(&keys.wrap, META.as_bytes(), &entry::encode_scope(scope))?);
        write_new(&meta, &bytes)?;
        sync_directory(directory)?;
        Ok(Self::empty(directory, keys, scope.clone(), lock))
    }

    /// Opens a vault, reads and authenticates all of it, and cuts off what a crash left half-written.
    ///
    /// # Errors
    /// When another process has it open, the key does not fit, or anything does not authenticate.
    pub fn open(directory: &Path, key: &VaultKey) -> Result<Self, VaultError> {
        let meta = directory.join(META);
        if !meta.exists() {
            return Err(VaultError::NotAVault { directory: directory.into() });
        }
        let lock = lock(directory)?;
        let keys = Keys::new(key);
        let mut bytes = Vec::new();
        File::open(&meta).map_err(at(&meta))?.take(4096).read_to_end(&mut bytes).map_err(at(&meta))?;
        let wrong = || VaultError::WrongKey { file: meta.clone() };
        let sealed = bytes.strip_prefix(MAGIC).ok_or_else(wrong)?;
        let scope = unseal(&keys.wrap, META.as_bytes(), sealed)
            .and_then(|plain| entry::decode_scope(&plain))
            .ok_or_else(wrong)?;
        let mut vault = Self::empty(directory, keys, scope, lock);
        vault.load()?;
        Ok(vault)
    }

    /// [`Vault::open`] if there is one, else [`Vault::create`]; and it MUST be of this scope.
    ///
    /// # Errors
    /// As those.
    pub fn open_or_create(directory: &Path, key: &VaultKey, scope: &Scope) -> Result<Self, VaultError> {
        if !directory.join(META).exists() {
            return Self::create(directory, key, scope);
        }
        let vault = Self::open(directory, key)?;
        if vault.scope != *scope {
            return Err(VaultError::OtherScope {
                custodian: vault.scope.custodian.clone(),
                chain: vault.scope.chain,
            });
        }
        Ok(vault)
    }

    /// The chain and custodian that it belongs to.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// All subjects; the institution's own file is none.
    pub fn subjects(&self) -> impl Iterator<Item = SubjectId> + '_ {
        self.subjects.iter().filter(|(_, subject)| subject.code.is_some()).map(|(id, _)| *id)
    }

    /// All files: the subjects', and the institution's own.
    pub fn all(&self) -> impl Iterator<Item = SubjectId> + '_ {
        self.subjects.keys().copied()
    }

    /// The subject that these names belong to, if one of them is known.
    ///
    /// # Errors
    /// [`VaultError::Conflict`] when they belong to several.
    pub fn find(&self, names: &[SubjectKey]) -> Result<Option<SubjectId>, VaultError> {
        let mut found: Vec<SubjectId> = names
            .iter()
            .filter_map(|name| self.by_name.get(&self.keys.name(name.as_str())))
            .copied()
            .collect();
        found.sort();
        found.dedup();
        match found[..] {
            [] => Ok(None),
            [only] => Ok(Some(only)),
            _ => Err(VaultError::Conflict { subjects: found }),
        }
    }

    /// The subject of a patient code.
    #[must_use]
    pub fn find_by_code(&self, code: &PatientCode) -> Option<SubjectId> {
        // Compared as keyed hashes, so that the time it takes says nothing about codes.
        let wanted = self.keys.name(&Digest(*code.secret()).to_string());
        let is_it = |subject: &Subject| {
            subject
                .code
                .as_ref()
                .is_some_and(|code| self.keys.name(&Digest(*code.secret()).to_string()) == wanted)
        };
        self.subjects.iter().find(|(_, subject)| is_it(subject)).map(|(id, _)| *id)
    }

    /// The subject of these names: the known one, with names it did not have added, or a new one with a new secret.
    ///
    /// # Errors
    /// [`VaultError::Conflict`], or the world fails.
    pub fn subject(&mut self, names: &[SubjectKey]) -> Result<SubjectId, VaultError> {
        let Some(id) = self.find(names)? else {
            let entries = [Entry::Created { secret: Some(random()?) }, Entry::Names(names.to_vec())];
            return self.create_subject(&entries);
        };
        let known = &self.require(&id)?.names;
        let new: Vec<SubjectKey> = names.iter().filter(|name| !known.contains(name)).cloned().collect();
        if !new.is_empty() {
            self.append(&id, &[Entry::Names(new)])?;
        }
        Ok(id)
    }

    /// Where items without a subject are kept.
    ///
    /// # Errors
    /// The world fails.
    pub fn institution(&mut self) -> Result<SubjectId, VaultError> {
        match self.institution {
            Some(id) => Ok(id),
            None => self.create_subject(&[Entry::Created { secret: None }]),
        }
    }

    /// The patient code of a subject.
    ///
    /// # Errors
    /// [`VaultError::UnknownSubject`].
    pub fn code(&self, id: &SubjectId) -> Result<&PatientCode, VaultError> {
        self.require(id)?.code.as_ref().ok_or(VaultError::UnknownSubject)
    }

    /// The names of a subject.
    ///
    /// # Errors
    /// [`VaultError::UnknownSubject`].
    pub fn names(&self, id: &SubjectId) -> Result<&[SubjectKey], VaultError> {
        Ok(&self.require(id)?.names)
    }

    /// The trails that were prepared for a subject.
    ///
    /// # Errors
    /// [`VaultError::UnknownSubject`].
    pub fn trails(&self, id: &SubjectId) -> Result<&[Trail], VaultError> {
        Ok(&self.require(id)?.trails)
    }

    /// The items of a subject, in the order in which they were sealed.
    ///
    /// # Errors
    /// [`VaultError::UnknownSubject`].
    pub fn items(&self, id: &SubjectId) -> Result<&[ItemEntry], VaultError> {
        Ok(&self.require(id)?.items)
    }

    /// The last item that was sealed from the document of this name.
    #[must_use]
    pub fn item_of_source(&self, name: &str) -> Option<&ItemEntry> {
        self.by_source.get(&self.keys.source(name)).and_then(|hash| self.entry(hash))
    }

    /// A name of a document that is the same for as long as the vault has its key, and says nothing about it.
    #[must_use]
    pub fn document_id(&self, name: &str) -> Random16 {
        let mut id = [0; 16];
        id.copy_from_slice(&mac(&self.keys.documents, &[name.as_bytes()])[..16]);
        Random16(id)
    }

    /// Every item that was sealed and of which it is not known what became.
    pub fn prepared(&self) -> impl Iterator<Item = (SubjectId, &ItemEntry)> + '_ {
        self.subjects
            .iter()
            .flat_map(|(id, subject)| subject.items.iter().map(|item| (*id, item)))
            .filter(|(_, item)| item.state == ItemState::Prepared)
    }

    /// Whose item this is, and what is known about it.
    #[must_use]
    pub fn entry(&self, hash: &ItemHash) -> Option<&ItemEntry> {
        let place = self.by_item.get(hash)?;
        self.subjects.get(&place.subject)?.items.get(place.position)
    }

    /// Whose item this is.
    #[must_use]
    pub fn subject_of(&self, hash: &ItemHash) -> Option<SubjectId> {
        self.by_item.get(hash).map(|place| place.subject)
    }

    /// The subject of a trail that was prepared here.
    #[must_use]
    pub fn subject_of_trail(&self, local_id: &Digest) -> Option<SubjectId> {
        let holds = |subject: &Subject| subject.trails.iter().any(|trail| trail.local_id == *local_id);
        self.subjects.iter().find(|(_, subject)| holds(subject)).map(|(id, _)| *id)
    }

    /// An item with its seed and values.
    ///
    /// # Errors
    /// [`VaultError::UnknownItem`], or its entry does not authenticate.
    pub fn item(&self, hash: &ItemHash) -> Result<StoredItem, VaultError> {
        let id = &self.subject_of(hash).ok_or(VaultError::UnknownItem(*hash))?;
        let subject = self.require(id)?;
        let item = self.entry(hash).ok_or(VaultError::UnknownItem(*hash))?;
        let path = self.path(id);
        let damaged = |what| VaultError::Damaged { file: path.clone(), offset: item.offset, what };
        let mut frame = vec![0; FRAME + item.length as usize];
        File::open(&path).and_then(|file| file.read_exact_at(&mut frame, item.offset)).map_err(at(&path))?;
        match open_frame(&subject.data_key, id, &item.chain, &frame).map(|(plain, _)| Entry::decode(&plain)) {
            Some(Some(Entry::Item(stored))) if stored.hash() == *hash => Ok(stored),
            _ => Err(damaged("the entry does not authenticate")),
        }
    }

    /// The openings of an item: of the fields given, or of all.
    ///
    /// # Errors
    /// As [`Vault::item`]; [`VaultError::SealMismatch`] when the openings would not verify.
    pub fn openings(&self, hash: &ItemHash, fields: Option<&[u8]>) -> Result<Vec<Opening>, VaultError> {
        let stored = self.item(hash)?;
        let mismatch = || VaultError::SealMismatch(*hash);
        let item = Item::from_bytes(&stored.bytes).map_err(|_| mismatch())?;
        let Some(seal) = item.fields.seal() else { return Ok(Vec::new()) };
        let place = Place { chain: &self.scope.chain, kind: item.kind(), item_id: &item.item_id };
        let all = 1..=item.kind().sealed_fields().len() as u8;
        let wanted = all.filter(|field| fields.is_none_or(|fields| fields.contains(field)));
        wanted
            .map(|field| {
                let opening = place.open(&stored.seed, &stored.values, field).map_err(|_| mismatch())?;
                if place.verify(seal, &opening) { Ok(opening) } else { Err(mismatch()) }
            })
            .collect()
    }

    /// Keeps a trail that is about to be opened.
    ///
    /// # Errors
    /// The world fails.
    pub fn keep_trail(&mut self, id: &SubjectId, trail: Trail) -> Result<(), VaultError> {
        self.append(id, &[Entry::Trail(trail)])
    }

    /// Keeps sealed items, durably: what is returned `Ok` survives a crash. Sync once per subject.
    ///
    /// # Errors
    /// The world fails. Items of other subjects that were kept before the failure stay kept.
    pub fn keep_items(&mut self, items: Vec<(SubjectId, StoredItem)>) -> Result<(), VaultError> {
        let mut by_subject: BTreeMap<SubjectId, Vec<Entry>> = BTreeMap::new();
        for (id, item) in items {
            by_subject.entry(id).or_default().push(Entry::Item(item));
        }
        by_subject.into_iter().try_for_each(|(id, entries)| self.append(&id, &entries))
    }

    /// Notes what became of items. Unknown items are passed over.
    ///
    /// # Errors
    /// The world fails.
    pub fn settle(&mut self, settled: &[(ItemHash, ItemState)]) -> Result<(), VaultError> {
        let mut by_subject: BTreeMap<SubjectId, Vec<Entry>> = BTreeMap::new();
        for (hash, state) in settled {
            let changes = self.entry(hash).is_some_and(|entry| entry.state != *state);
            if let Some(id) = self.subject_of(hash).filter(|_| changes) {
                by_subject.entry(id).or_default().push(Entry::Settled { hash: *hash, state: *state });
            }
        }
        by_subject.into_iter().try_for_each(|(id, entries)| self.append(&id, &entries))
    }

    fn empty(directory: &Path, keys: Keys, scope: Scope, lock: File) -> Self {
        Self {
            directory: directory.into(),
            keys,
            scope,
            subjects: BTreeMap::new(),
            by_name: HashMap::new(),
            by_item: HashMap::new(),
            by_source: HashMap::new(),
            institution: None,
            _lock: lock,
        }
    }

    fn require(&self, id: &SubjectId) -> Result<&Subject, VaultError> {
        self.subjects.get(id).ok_or(VaultError::UnknownSubject)
    }

    fn path(&self, id: &SubjectId) -> PathBuf {
        self.directory.join(SUBJECTS).join(id.to_string())
    }

    fn load(&mut self) -> Result<(), VaultError> {
        let directory = self.directory.join(SUBJECTS);
        for found in fs::read_dir(&directory).map_err(at(&directory))? {
            let found = found.map_err(at(&directory))?;
            let path = found.path();
            let name = found.file_name();
            let replaced = name.to_str().and_then(|name| name.strip_prefix(erase::REPLACED));
            if let Some(Ok(id)) = replaced.map(str::parse) {
                erase::finish(&path, &self.path(&SubjectId(id)))?;
                continue;
            }
            match name.to_str().map(|name| (name.starts_with(TEMPORARY), name.parse())) {
                // A subject whose creation was not finished was never acknowledged.
                Some((true, _)) => fs::remove_file(&path).map_err(at(&path))?,
                Some((false, Ok(id))) => self.load_subject(SubjectId(id), &path)?,
                _ => {
                    return Err(VaultError::Damaged {
                        file: path,
                        offset: 0,
                        what: "this file does not belong here",
                    });
                }
            }
        }
        Ok(())
    }

    fn load_subject(&mut self, id: SubjectId, path: &Path) -> Result<(), VaultError> {
        let damaged =
            |offset: usize, what| VaultError::Damaged { file: path.into(), offset: offset as u64, what };
        if fs::metadata(path).map_err(at(path))?.len() > MAX_SUBJECT_FILE {
            return Err(VaultError::TooLarge { what: "a subject's file" });
        }
        let bytes = fs::read(path).map_err(at(path))?;
        let header = bytes.get(..HEADER).ok_or_else(|| damaged(0, "too short"))?;
        let wrapped = header.strip_prefix(MAGIC).ok_or_else(|| damaged(0, "not a subject's file"))?;
        if wrapped.iter().all(|byte| *byte == 0) {
            // Erasure was interrupted between destroying the key and removing the file.
            return erase::destroy(path);
        }
        let data_key = unseal(&self.keys.wrap, &id.0.0, wrapped)
            .and_then(|key| <[u8; 32]>::try_from(key).ok())
            .ok_or_else(|| damaged(MAGIC.len(), "the subject's key does not authenticate"))?;
        self.subjects.insert(id, Subject::new(data_key));
        let mut offset = HEADER;
        let mut chain = Chain::default();
        while offset < bytes.len() {
            let rest = &bytes[offset..];
            match read_frame(&data_key, &id, &chain, rest) {
                Frame::Whole { plain, length, next } => {
                    let entry = Entry::decode(&plain)
                        .ok_or_else(|| damaged(offset, "an entry of an unknown form"))?;
                    self.index(&id, &entry, offset as u64, (length - FRAME) as u32, chain);
                    offset += length;
                    chain = next;
                }
                Frame::Torn => {
                    let file = OpenOptions::new().write(true).open(path).map_err(at(path))?;
                    file.set_len(offset as u64).and_then(|()| file.sync_all()).map_err(at(path))?;
                    break;
                }
                Frame::Bad(what) => return Err(damaged(offset, what)),
            }
        }
        let subject = self.subjects.get_mut(&id).ok_or(VaultError::UnknownSubject)?;
        subject.length = offset as u64;
        subject.next = chain;
        if subject.next.sequence == 0 {
            return Err(damaged(HEADER, "the subject's first entry is gone"));
        }
        Ok(())
    }

    /// Writes a new file beside the others and moves it into place, so that it is there whole or not at all.
    fn create_subject(&mut self, entries: &[Entry]) -> Result<SubjectId, VaultError> {
        let id = SubjectId(Random16(random()?));
        let data_key: [u8; 32] = random()?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(seal(&self.keys.wrap, &id.0.0, &data_key)?);
        let (frames, next) = frames(&data_key, &id, Chain::default(), entries)?;
        let offset = bytes.len() as u64;
        bytes.extend_from_slice(&frames.concat());
        let directory = self.directory.join(SUBJECTS);
        let temporary = directory.join(format!("{TEMPORARY}{id}"));
        let path = self.path(&id);
        write_new(&temporary, &bytes)?;
        fs::rename(&temporary, &path).map_err(at(&path))?;
        sync_directory(&directory)?;
        self.subjects.insert(id, Subject::new(data_key));
        self.index_all(&id, entries, &frames, offset, Chain::default(), next);
        Ok(id)
    }

    fn append(&mut self, id: &SubjectId, entries: &[Entry]) -> Result<(), VaultError> {
        let path = self.path(id);
        let subject = self.subjects.get_mut(id).ok_or(VaultError::UnknownSubject)?;
        if subject.poisoned {
            return Err(VaultError::Poisoned { file: path });
        }
        let (frames, next) = frames(&subject.data_key, id, subject.next, entries)?;
        let bytes = frames.concat();
        if subject.length + bytes.len() as u64 > MAX_SUBJECT_FILE {
            return Err(VaultError::TooLarge { what: "a subject's file" });
        }
        let file = OpenOptions::new().write(true).open(&path).map_err(at(&path))?;
        let (start, chain) = (subject.length, subject.next);
        if let Err(source) = file.write_all_at(&bytes, start).and_then(|()| file.sync_data()) {
            // A full disk leaves half an entry; take it away again so that the next append starts clean.
            subject.poisoned = file.set_len(start).and_then(|()| file.sync_all()).is_err();
            return Err(VaultError::Io { file: path, source });
        }
        self.index_all(id, entries, &frames, start, chain, next);
        Ok(())
    }

    fn index_all(
        &mut self,
        id: &SubjectId,
        entries: &[Entry],
        frames: &[Vec<u8>],
        start: u64,
        chain: Chain,
        next: Chain,
    ) {
        let mut offset = start;
        let mut chain = chain;
        for (entry, frame) in entries.iter().zip(frames) {
            self.index(id, entry, offset, (frame.len() - FRAME) as u32, chain);
            offset += frame.len() as u64;
            chain = chain.after(frame);
        }
        if let Some(subject) = self.subjects.get_mut(id) {
            subject.length = offset;
            subject.next = next;
        }
    }

    fn index(&mut self, id: &SubjectId, entry: &Entry, offset: u64, length: u32, chain: Chain) {
        let Some(subject) = self.subjects.get_mut(id) else { return };
        match entry {
            Entry::Created { secret: Some(secret) } => subject.code = Some(PatientCode::new(*secret)),
            Entry::Created { secret: None } => self.institution = Some(*id),
            Entry::Names(names) => {
                for name in names {
                    self.by_name.insert(self.keys.name(name.as_str()), *id);
                    subject.names.push(name.clone());
                }
            }
            Entry::Trail(trail) => subject.trails.push(trail.clone()),
            Entry::Item(stored) => {
                let hash = stored.hash();
                let source = self.keys.source(&stored.source);
                let place = ItemPlace { subject: *id, position: subject.items.len() };
                subject.items.push(ItemEntry {
                    hash,
                    kind: stored.kind,
                    local_id: stored.local_id,
                    rule: stored.rule,
                    source_digest: stored.source_digest,
                    state: ItemState::Prepared,
                    source,
                    offset,
                    length,
                    chain,
                });
                self.by_item.insert(hash, place);
                self.by_source.insert(source, hash);
            }
            Entry::Settled { hash, state } => {
                let position = self.by_item.get(hash).map(|place| place.position);
                let Some(item) = position.and_then(|position| subject.items.get_mut(position)) else {
                    return;
                };
                item.state = *state;
                let source = item.source;
                // What was refused may be sealed anew from the same document; what stood before it stands again.
                if *state == ItemState::Dropped && self.by_source.get(&source) == Some(hash) {
                    let standing =
                        |item: &&ItemEntry| item.source == source && item.state != ItemState::Dropped;
                    match subject.items.iter().rev().find(standing) {
                        Some(earlier) => self.by_source.insert(source, earlier.hash),
                        None => self.by_source.remove(&source),
                    };
                }
            }
        }
    }
}

impl Subject {
    fn new(data_key: [u8; 32]) -> Self {
        Self {
            data_key,
            code: None,
            names: Vec::new(),
            trails: Vec::new(),
            items: Vec::new(),
            length: 0,
            next: Chain::default(),
            poisoned: false,
        }
    }
}

/// The keys that are made of the vault key, one for each use.
#[derive(Clone)]
struct Keys {
    wrap: [u8; 32],
    names: [u8; 32],
    sources: [u8; 32],
    documents: [u8; 32],
}

impl Keys {
    fn new(key: &VaultKey) -> Self {
        Self {
            wrap: key.derive("custos/vault/1/wrap"),
            names: key.derive("custos/vault/1/names"),
            sources: key.derive("custos/vault/1/sources"),
            documents: key.derive("custos/vault/1/documents"),
        }
    }

    fn name(&self, name: &str) -> [u8; 32] {
        mac(&self.names, &[name.as_bytes()])
    }

    fn source(&self, name: &str) -> [u8; 32] {
        mac(&self.sources, &[name.as_bytes()])
    }
}

fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac =
        <Hmac<Sha256> as hmac::Mac>::new_from_slice(key).expect("because HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

impl Chain {
    fn after(&self, frame: &[u8]) -> Chain {
        let mut previous_tag = [0; TAG];
        if let Some(tag) = frame.len().checked_sub(TAG).and_then(|start| frame.get(start..)) {
            previous_tag.copy_from_slice(tag);
        }
        Chain { sequence: self.sequence + 1, previous_tag }
    }

    /// What the entry's tag covers besides the entry: its file, its place, and the entry before it.
    fn associated(&self, id: &SubjectId) -> Vec<u8> {
        [&id.0.0[..], &self.sequence.to_be_bytes(), &self.previous_tag].concat()
    }

    /// Tells a length that was written from one whose bits flipped.
    fn check(&self, data_key: &[u8; 32], length: [u8; 4]) -> [u8; 4] {
        let full = mac(data_key, &[b"length", &self.sequence.to_be_bytes(), &self.previous_tag, &length]);
        [full[0], full[1], full[2], full[3]]
    }
}

/// Seals entries one after the other.
fn frames(
    data_key: &[u8; 32],
    id: &SubjectId,
    start: Chain,
    entries: &[Entry],
) -> Result<(Vec<Vec<u8>>, Chain), VaultError> {
    let mut chain = start;
    let mut frames = Vec::with_capacity(entries.len());
    for entry in entries {
        let plain = entry.encode();
        // What is written has to be read when the vault is opened, or it would never open again.
        if plain.len() > MAX_ENTRY || Entry::decode(&plain).is_none() {
            return Err(VaultError::TooLarge { what: "an entry" });
        }
        let sealed = seal(data_key, &chain.associated(id), &plain)?;
        let length = ((sealed.len() - NONCE) as u32).to_be_bytes();
        let frame = [&length[..], &chain.check(data_key, length), &sealed].concat();
        chain = chain.after(&frame);
        frames.push(frame);
    }
    Ok((frames, chain))
}

/// What stands at a place in a subject's file.
enum Frame {
    Whole {
        plain: Vec<u8>,
        length: usize,
        next: Chain,
    },
    /// The end of a write that a crash cut short.
    Torn,
    Bad(&'static str),
}

fn read_frame(data_key: &[u8; 32], id: &SubjectId, chain: &Chain, rest: &[u8]) -> Frame {
    let is_zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
    // A crash may lengthen the file before the data reaches it.
    if is_zero(rest) {
        return Frame::Torn;
    }
    let Some((head, _)) = rest.split_at_checked(8) else { return Frame::Torn };
    let length = [head[0], head[1], head[2], head[3]];
    if chain.check(data_key, length) != head[4..8] {
        return Frame::Bad("an entry's length does not authenticate");
    }
    let total = FRAME + u32::from_be_bytes(length) as usize;
    let Some(frame) = rest.get(..total) else { return Frame::Torn };
    match open_frame(data_key, id, chain, frame) {
        Some((plain, next)) => Frame::Whole { plain, length: total, next },
        None if is_zero(&rest[total - TAG..]) => Frame::Torn,
        None => Frame::Bad("an entry does not authenticate"),
    }
}

fn open_frame(data_key: &[u8; 32], id: &SubjectId, chain: &Chain, frame: &[u8]) -> Option<(Vec<u8>, Chain)> {
    let (head, sealed) = frame.split_at_checked(8)?;
    let length = <[u8; 4]>::try_from(&head[..4]).ok()?;
    if chain.check(data_key, length) != head[4..8]
        || sealed.len() != NONCE + u32::from_be_bytes(length) as usize
    {
        return None;
    }
    unseal(data_key, &chain.associated(id), sealed).map(|plain| (plain, chain.after(frame)))
}

/// Nonce and ciphertext.
fn seal(key: &[u8; 32], associated: &[u8], plain: &[u8]) -> Result<Vec<u8>, VaultError> {
    let nonce: [u8; NONCE] = random()?;
    let cipher = XChaCha20Poly1305::new(Key::from_slice(key));
    let sealed = cipher
        .encrypt(XNonce::from_slice(&nonce), Payload { msg: plain, aad: associated })
        .map_err(|_| VaultError::TooLarge { what: "an entry" })?;
    Ok([&nonce[..], &sealed].concat())
}

fn unseal(key: &[u8; 32], associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, ciphertext) = sealed.split_at_checked(NONCE)?;
    let cipher = XChaCha20Poly1305::new(Key::from_slice(key));
    cipher.decrypt(XNonce::from_slice(nonce), Payload { msg: ciphertext, aad: associated }).ok()
}

/// Randomness of the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], VaultError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(VaultError::Random)?;
    Ok(bytes)
}

fn lock(directory: &Path) -> Result<File, VaultError> {
    let path = directory.join(LOCK);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(at(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(VaultError::Locked { directory: directory.into() }),
        Err(fs::TryLockError::Error(source)) => Err(VaultError::Io { file: path, source }),
    }
}

/// A new file, whole and on disk when this returns. Its directory is the caller's to sync.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), VaultError> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(at(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(at(path))
}

fn sync_directory(path: &Path) -> Result<(), VaultError> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path).and_then(|directory| directory.sync_all()).map_err(at(path))
}

fn at(path: &Path) -> impl Fn(io::Error) -> VaultError + '_ {
    move |source| VaultError::Io { file: path.into(), source }
}

impl StoredItem {
    /// How the item is referred to.
    #[must_use]
    pub fn hash(&self) -> ItemHash {
        item_hash(&self.bytes)
    }

    /// The item's own id.
    #[must_use]
    pub fn item_id(&self) -> Option<ItemId> {
        Item::from_bytes(&self.bytes).ok().map(|item| item.item_id)
    }
}

#[cfg(test)]
mod tests;
