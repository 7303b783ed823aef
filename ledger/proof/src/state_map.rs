//! The authenticated map over everything that admission and application of records read.
//!
//! Every header commits to the root of this map, so that one hash says which keys, policies and
//! trail sizes there are, and also which there are not. It is a binary tree over the bits of the
//! 256-bit keys, the most significant first, in which a subtree that holds a single leaf *is* that
//! leaf, however deep its key would reach:
//!
//! ```text
//! nothing          32 zero bytes
//! one leaf         SHA-256(0x02 || key || SHA-256(value))
//! more             SHA-256(0x03 || left || right)
//! ```
//!
//! A key is absent when the path along its bits ends in nothing, or at the leaf of another key.
//!
//! A database keeps the tree in pages of four levels ([`Page`]): 16 slots, each empty, a leaf, or
//! the hash of the page below. [`update`] applies a batch of changes to the pages and reads and
//! hashes each page on the way once.
//!
//! Deliberately absent: values (only their hashes are here), past versions, and what the keys mean.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::fmt;

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::cbor::{DecodeError, List, Reader, View, Wire, Writer, wire_struct};
use crate::hash::{Digest, StateKey, sha256};

/// The root of the map without entries.
pub const EMPTY_ROOT: Digest = Digest::ZERO;

/// The most siblings that a proof can have: one for each bit of a key.
pub const MAX_SIBLINGS: usize = 256;

/// The hash of a subtree with a single leaf.
#[must_use]
pub fn leaf_hash(key: &StateKey, value_hash: &Digest) -> Digest {
    Digest(
        Sha256::new().chain_update([0x02]).chain_update(key.0).chain_update(value_hash.0).finalize().into(),
    )
}

/// The hash of a subtree with more than one leaf.
#[must_use]
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    Digest(Sha256::new().chain_update([0x03]).chain_update(left.0).chain_update(right.0).finalize().into())
}

/// The root of the map with these keys and hashes of values. Of entries with the same key the last one counts.
///
/// This reads the whole map; [`update`] does not.
#[must_use]
pub fn root_of(entries: impl IntoIterator<Item = (StateKey, Digest)>) -> Digest {
    let entries: Vec<Entry> = entries.into_iter().collect::<BTreeMap<_, _>>().into_iter().collect();
    // Nothing is below the page of the last nibble, so without pages to keep this cannot fail.
    Slot::of_leaves(NibblePath::ROOT, &entries, &mut |_, _| {}).hash()
}

wire_struct! {
    /// What shows that a key has a certain value, or none, in the map with a certain root.
    pub struct Proof {
        /// The hashes beside the path along the key's bits, from the root down.
        pub siblings: List<Digest, MAX_SIBLINGS>,
        /// Where the path ends.
        pub terminal: Terminal,
    }
}

/// Where the path along the bits of a key ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terminal {
    /// At the leaf of the key: it is present.
    Leaf,
    /// In an empty subtree: it is absent.
    Empty,
    /// At the leaf of another key, the only one in that subtree: it is absent.
    Other {
        /// The other key.
        key: StateKey,
        /// The hash of its value.
        value_hash: Digest,
    },
}

/// Whether `proof` shows that in the map with `root`, `key` has `value`; or, for `None`, that it is absent.
#[must_use]
pub fn verify(root: &Digest, key: &StateKey, value: Option<&[u8]>, proof: &Proof) -> bool {
    verify_hash(root, key, value.map(sha256).as_ref(), proof)
}

/// As [`verify`], for whoever has only the hash of the value.
#[must_use]
pub fn verify_hash(root: &Digest, key: &StateKey, value_hash: Option<&Digest>, proof: &Proof) -> bool {
    let depth = proof.siblings.len();
    let terminal = match (&proof.terminal, value_hash) {
        (Terminal::Leaf, Some(value_hash)) => leaf_hash(key, value_hash),
        (Terminal::Empty, None) => Digest::ZERO,
        (Terminal::Other { key: other, value_hash }, None)
            if other != key && shared_bits(key, other) >= depth =>
        {
            leaf_hash(other, value_hash)
        }
        _ => return false,
    };
    let computed = proof.siblings.iter().enumerate().rev().fold(terminal, |below, (depth, sibling)| {
        if bit(key, depth) { node_hash(sibling, &below) } else { node_hash(&below, sibling) }
    });
    computed == *root
}

impl Wire for Terminal {
    fn write(&self, w: &mut Writer) {
        match self {
            Terminal::Leaf => {
                w.array(1);
                w.u64(0);
            }
            Terminal::Empty => {
                w.array(1);
                w.u64(1);
            }
            Terminal::Other { key, value_hash } => {
                w.array(3);
                w.u64(2);
                key.write(w);
                value_hash.write(w);
            }
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = r.position();
        match (r.array_up_to(3)?, r.u64()?) {
            (1, 0) => Ok(Terminal::Leaf),
            (1, 1) => Ok(Terminal::Empty),
            (3, 2) => Ok(Terminal::Other { key: Wire::read(r)?, value_hash: Wire::read(r)? }),
            _ => Err(DecodeError::OutOfBounds { at, what: "end of a state map proof" }),
        }
    }

    fn view(&self) -> View {
        match self {
            Terminal::Leaf => View::Text("leaf".into()),
            Terminal::Empty => View::Text("empty".into()),
            Terminal::Other { key, value_hash } => {
                View::Fields(alloc::vec![("key", key.view()), ("value_hash", value_hash.view())])
            }
        }
    }
}

/// A key and the hash of its value.
type Entry = (StateKey, Digest);

/// How many slots a page has.
const SLOTS: usize = 16;

/// How many nibbles a key has.
const NIBBLES: u8 = 64;

/// The place of a page: the first so many half bytes of the keys below it.
///
/// Pages exist for paths of 0 to 63 nibbles. The order is that of [`NibblePath::to_bytes`]: by length first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NibblePath {
    len: u8,
    /// The nibbles from the most significant on; behind them, zeros.
    packed: [u8; 32],
}

impl NibblePath {
    /// The place of the topmost page.
    pub const ROOT: NibblePath = NibblePath { len: 0, packed: [0; 32] };

    /// How many nibbles it has.
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub const fn len(&self) -> u8 {
        self.len
    }

    /// The key of the page in a database: the number of nibbles in one byte, then the nibbles, the last byte filled up
    /// with zeros.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + self.packed_len());
        bytes.push(self.len);
        bytes.extend(self.packed.iter().take(self.packed_len()));
        bytes
    }

    /// Reads what [`NibblePath::to_bytes`] writes.
    ///
    /// # Errors
    /// Anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadPage> {
        let (len, nibbles) = bytes.split_first().ok_or(BadPage::Path)?;
        let mut path = NibblePath { len: *len, packed: [0; 32] };
        if *len >= NIBBLES || nibbles.len() != path.packed_len() {
            return Err(BadPage::Path);
        }
        path.packed.iter_mut().zip(nibbles).for_each(|(to, from)| *to = *from);
        if len % 2 == 1 && nibbles.last().is_some_and(|last| last & 0x0f != 0) {
            return Err(BadPage::Path);
        }
        Ok(path)
    }

    /// The place below this one in slot `nibble`. MUST NOT be asked of a path of 64 nibbles.
    fn child(&self, nibble: usize) -> NibblePath {
        let mut child = *self;
        let low = nibble as u8 & 0x0f;
        child.packed[usize::from(self.len / 2)] |= if self.len.is_multiple_of(2) { low << 4 } else { low };
        child.len += 1;
        child
    }

    /// Whether `key` is below this place.
    fn covers(&self, key: &StateKey) -> bool {
        shared_bits(&StateKey(self.packed), key) >= 4 * usize::from(self.len)
    }

    /// The slot for `key` in the page at this place.
    fn slot(&self, key: &StateKey) -> usize {
        nibble(key, self.len)
    }

    fn packed_len(&self) -> usize {
        usize::from(self.len).div_ceil(2)
    }
}

impl fmt::Debug for NibblePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NibblePath({self})")
    }
}

impl fmt::Display for NibblePath {
    /// The nibbles as hexadecimal digits; `/` for the topmost page.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.len == 0 {
            return f.write_str("/");
        }
        let key = StateKey(self.packed);
        (0..self.len).try_for_each(|i| write!(f, "{:x}", nibble(&key, i)))
    }
}

/// Four levels of the tree below one [`NibblePath`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    slots: Box<[Slot; SLOTS]>,
}

/// What is below one slot of a page, or any subtree as the one above it sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// Nothing.
    Empty,
    /// A single leaf.
    Leaf {
        /// Its key.
        key: StateKey,
        /// The hash of its value.
        value_hash: Digest,
    },
    /// More than one leaf: there is a page below, and this is its hash.
    Node(Digest),
}

/// Bytes that are not a page, or not the key of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadPage {
    /// The bytes are not the place of a page.
    #[error("not the place of a state map page")]
    Path,
    /// The length does not fit the slots in use.
    #[error("a state map page with these slots has {expected} bytes, not {found}")]
    Length {
        /// What it should be.
        expected: usize,
        /// What it is.
        found: usize,
    },
    /// A slot is marked both as leaf and as node, or none is marked.
    #[error("the slots of a state map page are marked wrongly")]
    Slots,
}

impl Page {
    /// The slots, by nibble.
    #[must_use]
    pub fn slots(&self) -> &[Slot; SLOTS] {
        &self.slots
    }

    /// The bytes of the page in a database.
    ///
    /// Two big-endian 16-bit sets say which slots are leaves and which are nodes, slot 0 in the least
    /// significant bit. Then each slot in use: key and value hash of a leaf, the hash of a node.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (mut leaves, mut nodes) = (0u16, 0u16);
        let mut body = Vec::with_capacity(4 + SLOTS * 64);
        for (i, slot) in self.slots.iter().enumerate() {
            match slot {
                Slot::Empty => {}
                Slot::Leaf { key, value_hash } => {
                    leaves |= 1 << i;
                    body.extend(key.0);
                    body.extend(value_hash.0);
                }
                Slot::Node(hash) => {
                    nodes |= 1 << i;
                    body.extend(hash.0);
                }
            }
        }
        let mut bytes = Vec::with_capacity(4 + body.len());
        bytes.extend(leaves.to_be_bytes());
        bytes.extend(nodes.to_be_bytes());
        bytes.extend(body);
        bytes
    }

    /// Reads what [`Page::to_bytes`] writes.
    ///
    /// # Errors
    /// Anything else. Whether the page belongs where it was found is checked when it is used.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadPage> {
        let short = BadPage::Length { expected: 4, found: bytes.len() };
        let ([l0, l1, n0, n1], mut rest) = bytes.split_first_chunk().ok_or(short)?;
        let (leaves, nodes) = (u16::from_be_bytes([*l0, *l1]), u16::from_be_bytes([*n0, *n1]));
        if leaves & nodes != 0 || leaves | nodes == 0 {
            return Err(BadPage::Slots);
        }
        let expected = 4 + 64 * leaves.count_ones() as usize + 32 * nodes.count_ones() as usize;
        let wrong = BadPage::Length { expected, found: bytes.len() };
        if bytes.len() != expected {
            return Err(wrong);
        }
        let mut take = || {
            let (hash, after) = rest.split_first_chunk().ok_or(wrong)?;
            rest = after;
            Ok(*hash)
        };
        let mut page = Page::empty();
        for (i, slot) in page.slots.iter_mut().enumerate() {
            if leaves >> i & 1 == 1 {
                *slot = Slot::Leaf { key: StateKey(take()?), value_hash: Digest(take()?) };
            } else if nodes >> i & 1 == 1 {
                *slot = Slot::Node(Digest(take()?));
            }
        }
        Ok(page)
    }

    fn empty() -> Self {
        Self { slots: Box::new([Slot::Empty; SLOTS]) }
    }

    /// Whether the page may stand at `path`: leaves where their keys say, and no page below the last nibble.
    fn belongs_at(&self, path: &NibblePath) -> bool {
        self.slots.iter().enumerate().all(|(i, slot)| match slot {
            Slot::Empty => true,
            Slot::Leaf { key, .. } => path.covers(key) && path.slot(key) == i,
            Slot::Node(_) => path.len < NIBBLES - 1,
        })
    }
}

/// Where pages come from.
pub trait PageSource {
    /// Why a page could not be read.
    type Error;

    /// The page at `path`, or `None` if there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    fn page(&self, path: &NibblePath) -> Result<Option<Page>, Self::Error>;
}

/// Pages in memory.
impl PageSource for BTreeMap<NibblePath, Page> {
    type Error = Infallible;

    fn page(&self, path: &NibblePath) -> Result<Option<Page>, Infallible> {
        Ok(self.get(path).cloned())
    }
}

/// Why pages could not be updated, or nothing proven from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PageError<E> {
    /// The source could not be read.
    #[error("{0}")]
    Source(E),
    /// The page above says that there is a page here.
    #[error("the state map page {0} is missing")]
    Missing(NibblePath),
    /// The page cannot stand here: it holds keys of another place, or too few, or the page above has another hash of it.
    #[error("the state map page {0} is corrupt")]
    Corrupt(NibblePath),
    /// The changes are not in strictly ascending order of their keys.
    #[error("the changes to the state map are not sorted by key")]
    NotSorted,
}

/// What a batch of changes does to the pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The root of the map after the changes.
    pub root: Digest,
    /// The pages to write, and, where there is `None`, to delete; each place at most once.
    pub pages: Vec<(NibblePath, Option<Page>)>,
}

/// The root of the map in `source`.
///
/// # Errors
/// When the topmost page cannot be read or is corrupt.
pub fn root<S: PageSource + ?Sized>(source: &S) -> Result<Digest, PageError<S::Error>> {
    match source.page(&NibblePath::ROOT).map_err(PageError::Source)? {
        None => Ok(EMPTY_ROOT),
        Some(page) if page.belongs_at(&NibblePath::ROOT) => Ok(Levels::of(&page).top().hash()),
        Some(_) => Err(PageError::Corrupt(NibblePath::ROOT)),
    }
}

/// Applies changes to the map in `source`: for each key the hash of its new value, or `None` to delete it.
///
/// The caller writes the pages returned, all of them or none. Deleting an absent key changes nothing.
///
/// # Errors
/// When the changes are not strictly ascending by key, and when pages cannot be read or are corrupt.
pub fn update<S: PageSource + ?Sized>(
    source: &S,
    changes: &[(StateKey, Option<Digest>)],
) -> Result<Update, PageError<S::Error>> {
    if !changes.is_sorted_by(|a, b| a.0 < b.0) {
        return Err(PageError::NotSorted);
    }
    let before = source.page(&NibblePath::ROOT).map_err(PageError::Source)?;
    let mut pages = Vec::new();
    let after = update_page(
        source,
        NibblePath::ROOT,
        before.clone().unwrap_or_else(Page::empty),
        changes,
        &mut pages,
    )?;
    let top = Levels::of(&after).top();
    // The topmost page exists as soon as there is anything to put in it.
    let after = (top != Slot::Empty).then_some(after);
    if after != before {
        pages.push((NibblePath::ROOT, after));
    }
    Ok(Update { root: top.hash(), pages })
}

/// The page at `path` after `changes`, all of which are below it. What changes further down is appended to `pages`.
///
/// # Correctness
/// Goes down only along keys that are changed, through pages that [`Page::belongs_at`] their place: hence at most 64
/// calls deep.
fn update_page<S: PageSource + ?Sized>(
    source: &S,
    path: NibblePath,
    mut page: Page,
    changes: &[(StateKey, Option<Digest>)],
    pages: &mut Vec<(NibblePath, Option<Page>)>,
) -> Result<Page, PageError<S::Error>> {
    if !page.belongs_at(&path) {
        return Err(PageError::Corrupt(path));
    }
    for group in changes.chunk_by(|a, b| path.slot(&a.0) == path.slot(&b.0)) {
        let Some((key, _)) = group.first() else { continue };
        let i = path.slot(key);
        let slot = &mut page.slots[i];
        match *slot {
            Slot::Node(_) => {
                let below = path.child(i);
                let before = child_page(source, below)?;
                let after = update_page(source, below, before.clone(), group, pages)?;
                if after == before {
                    continue;
                }
                let top = Levels::of(&after).top();
                *slot = top;
                pages.push((below, matches!(top, Slot::Node(_)).then_some(after)));
            }
            Slot::Empty | Slot::Leaf { .. } => {
                let mut leaves = BTreeMap::new();
                if let Slot::Leaf { key, value_hash } = *slot {
                    leaves.insert(key, value_hash);
                }
                for (key, change) in group {
                    match change {
                        Some(value_hash) => leaves.insert(*key, *value_hash),
                        None => leaves.remove(key),
                    };
                }
                let leaves: Vec<Entry> = leaves.into_iter().collect();
                let keep = &mut |path, page| pages.push((path, Some(page)));
                *slot = Slot::below_slot(path, i, &leaves, keep);
            }
        }
    }
    Ok(page)
}

/// The proof that `key` has the value it has in the map in `source`, or none.
///
/// # Errors
/// When pages cannot be read or are corrupt.
pub fn prove<S: PageSource + ?Sized>(source: &S, key: &StateKey) -> Result<Proof, PageError<S::Error>> {
    let proof = |siblings, terminal| Proof {
        siblings: List::new(siblings).expect("because pages are 64 deep at most and have four levels each"),
        terminal,
    };
    let mut siblings = Vec::new();
    let mut path = NibblePath::ROOT;
    let top = source.page(&path).map_err(PageError::Source)?.unwrap_or_else(Page::empty);
    let mut levels = levels_at(&path, &top)?;
    loop {
        let mut at = levels.top();
        for level in (0..4).rev() {
            if !matches!(at, Slot::Node(_)) {
                break;
            }
            let position = path.slot(key) >> level;
            siblings.push(levels.at(level, position ^ 1).hash());
            at = levels.at(level, position);
        }
        match at {
            Slot::Empty => return Ok(proof(siblings, Terminal::Empty)),
            Slot::Leaf { key: found, .. } if found == *key => return Ok(proof(siblings, Terminal::Leaf)),
            Slot::Leaf { key, value_hash } => {
                return Ok(proof(siblings, Terminal::Other { key, value_hash }));
            }
            Slot::Node(hash) => {
                path = path.child(path.slot(key));
                levels = levels_at(&path, &child_page(source, path)?)?;
                if levels.top() != Slot::Node(hash) {
                    return Err(PageError::Corrupt(path));
                }
            }
        }
    }
}

/// The levels of a page that may stand at `path`.
fn levels_at<E>(path: &NibblePath, page: &Page) -> Result<Levels, PageError<E>> {
    if page.belongs_at(path) { Ok(Levels::of(page)) } else { Err(PageError::Corrupt(*path)) }
}

fn child_page<S: PageSource + ?Sized>(source: &S, path: NibblePath) -> Result<Page, PageError<S::Error>> {
    source.page(&path).map_err(PageError::Source)?.ok_or(PageError::Missing(path))
}

impl Slot {
    /// The rule that keeps the tree small: a subtree holding a single leaf is that leaf.
    fn join(left: Slot, right: Slot) -> Slot {
        match (left, right) {
            (Slot::Empty, only @ (Slot::Empty | Slot::Leaf { .. })) => only,
            (only @ Slot::Leaf { .. }, Slot::Empty) => only,
            _ => Slot::Node(node_hash(&left.hash(), &right.hash())),
        }
    }

    fn hash(&self) -> Digest {
        match self {
            Slot::Empty => Digest::ZERO,
            Slot::Leaf { key, value_hash } => leaf_hash(key, value_hash),
            Slot::Node(hash) => *hash,
        }
    }

    /// The subtree below slot `i` of the page at `path` if these are all its leaves; `keep` gets the pages it is made of.
    fn below_slot(
        path: NibblePath,
        i: usize,
        leaves: &[Entry],
        keep: &mut dyn FnMut(NibblePath, Page),
    ) -> Slot {
        match leaves {
            [] => Slot::Empty,
            [(key, value_hash)] => Slot::Leaf { key: *key, value_hash: *value_hash },
            _ => Slot::of_leaves(path.child(i), leaves, keep),
        }
    }

    /// The subtree at `path` if these are all its leaves; `keep` gets its page and those below.
    ///
    /// # Correctness
    /// The keys MUST differ and be below `path`. Two of them differ in one of the 64 nibbles, so this ends above that.
    fn of_leaves(path: NibblePath, leaves: &[Entry], keep: &mut dyn FnMut(NibblePath, Page)) -> Slot {
        let mut page = Page::empty();
        for group in leaves.chunk_by(|a, b| path.slot(&a.0) == path.slot(&b.0)) {
            if let Some((key, _)) = group.first() {
                let i = path.slot(key);
                page.slots[i] = Slot::below_slot(path, i, group, keep);
            }
        }
        let top = Levels::of(&page).top();
        keep(path, page);
        top
    }
}

/// The 31 subtrees of a page, by level: its 16 slots, 8 pairs of slots, 4, 2, and the page as a whole.
struct Levels([Slot; 2 * SLOTS - 1]);

impl Levels {
    fn of(page: &Page) -> Levels {
        let mut levels = Levels([Slot::Empty; 2 * SLOTS - 1]);
        levels.0[..SLOTS].copy_from_slice(&page.slots[..]);
        // The pairs of each level follow it: subtree 16 + i joins the subtrees 2i and 2i + 1.
        for i in 0..SLOTS - 1 {
            levels.0[SLOTS + i] = Slot::join(levels.0[2 * i], levels.0[2 * i + 1]);
        }
        levels
    }

    fn top(&self) -> Slot {
        self.0[2 * SLOTS - 2]
    }

    /// Slot `position` of those that cover `2^level` slots.
    fn at(&self, level: usize, position: usize) -> Slot {
        self.0[2 * SLOTS - ((2 * SLOTS) >> level) + position]
    }
}

/// Bit `i` of a key, counted from the most significant.
fn bit(key: &StateKey, i: usize) -> bool {
    key.0[i / 8] >> (7 - i % 8) & 1 == 1
}

/// Nibble `i` of a key, counted from the most significant.
fn nibble(key: &StateKey, i: u8) -> usize {
    let byte = key.0[usize::from(i / 2)];
    usize::from(if i.is_multiple_of(2) { byte >> 4 } else { byte & 0x0f })
}

/// How many bits two keys share at their beginning.
fn shared_bits(a: &StateKey, b: &StateKey) -> usize {
    let mut shared = 0;
    for (x, y) in a.0.iter().zip(&b.0) {
        match (x ^ y).leading_zeros() {
            8 => shared += 8,
            zeros => return shared + zeros as usize,
        }
    }
    shared
}
