//! The Merkle tree of RFC 6962, section 2.1, with SHA-256: roots, paths and their verification.
//!
//! The log is such a tree, every trail is one, and so are a submission's items, a block's body and
//! an item's sealed fields. Verification is what an auditor runs on foreign bytes: it never panics,
//! takes at most some hundred steps beside hashing the leaves it was given, and accepts a path only
//! if it has exactly the length that index and sizes call for.
//!
//! Proofs are generated over a [`NodeSource`], so that the same code serves a database of tiles and
//! a slice in memory.
//!
//! Deliberately absent: leaf formats (each is with its type), the wire form of paths (a list of
//! hashes, in the format that carries it) and storage.

use alloc::vec::Vec;

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::hash::Digest;

/// The root of the tree without leaves: SHA-256 of the empty string.
pub const EMPTY_ROOT: Digest = Digest([
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
    0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
]);

/// The most hashes that an inclusion path can have.
pub const MAX_INCLUSION_PATH: usize = 64;

/// The most hashes that a consistency path can have.
pub const MAX_CONSISTENCY_PATH: usize = 65;

/// The most hashes that the path of a range can have.
pub const MAX_RANGE_PATH: usize = 128;

/// The largest tree that a [`Frontier`] is resumed from. Nobody appends another 2^63 leaves to it.
pub const MAX_SIZE: u64 = 1 << 63;

/// The hash of a leaf: `SHA-256(0x00 || leaf)`.
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> Digest {
    Digest(Sha256::new().chain_update([0x00]).chain_update(leaf).finalize().into())
}

/// The hash of an inner node: `SHA-256(0x01 || left || right)`.
#[must_use]
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    Digest(Sha256::new().chain_update([0x01]).chain_update(left.0).chain_update(right.0).finalize().into())
}

/// The root of the tree with these leaf hashes.
#[must_use]
pub fn root_of(leaves: &[Digest]) -> Digest {
    // One hash per perfect subtree to the left of the leaf at hand: a binary counter.
    let mut subtrees: Vec<Digest> = Vec::new();
    for (size, leaf) in (1u64..).zip(leaves) {
        let mut hash = *leaf;
        for _ in 0..size.trailing_zeros() {
            if let Some(left) = subtrees.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        subtrees.push(hash);
    }
    join(&subtrees)
}

/// Whether the leaf with `leaf_hash` is number `index` (from 0) of the tree of `size` leaves with `root`.
///
/// RFC 9162, section 2.1.3.2.
#[must_use]
pub fn verify_inclusion(leaf_hash: &Digest, index: u64, size: u64, path: &[Digest], root: &Digest) -> bool {
    if index >= size {
        return false;
    }
    // `node` and `last` are the positions of the node at hand and of the rightmost node of its level.
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf_hash;
    for sibling in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether the tree of `old_size` leaves with `old_root` is a prefix of the tree of `new_size` leaves with `new_root`.
///
/// RFC 9162, section 2.1.4.2. The empty tree is a prefix of every tree, and every tree is one of
/// itself; both need an empty path.
#[must_use]
pub fn verify_consistency(
    old_size: u64,
    old_root: &Digest,
    new_size: u64,
    new_root: &Digest,
    path: &[Digest],
) -> bool {
    if old_size > new_size {
        return false;
    }
    if old_size == new_size {
        return path.is_empty() && old_root == new_root && (old_size != 0 || *old_root == EMPTY_ROOT);
    }
    if old_size == 0 {
        return path.is_empty() && *old_root == EMPTY_ROOT;
    }
    // The path starts at the largest subtree that ends where the old tree ends. When the old tree
    // is perfect that is its root, which the verifier has already.
    let (seed, rest) = match path.split_first() {
        _ if old_size.is_power_of_two() => (old_root, path),
        Some((first, rest)) => (first, rest),
        None => return false,
    };
    let (mut node, mut last) = (old_size - 1, new_size - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (mut old, mut new) = (*seed, *seed);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new = node_hash(&new, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && old == *old_root && new == *new_root
}

/// Whether `leaf_hashes` are, in order and without a gap, the leaves from `begin` on of the tree of `size` leaves with
/// `root`.
///
/// `path` holds, from left to right, the hash of each largest subtree that lies outside of the range and whose parent
/// does not. An empty range is proven of the empty tree only: of any other tree it would say nothing.
#[must_use]
pub fn verify_range(begin: u64, leaf_hashes: &[Digest], size: u64, path: &[Digest], root: &Digest) -> bool {
    let Some(range) = u64::try_from(leaf_hashes.len()).ok().and_then(|count| Range::new(begin, count, size))
    else {
        return begin == 0 && size == 0 && leaf_hashes.is_empty() && path.is_empty() && *root == EMPTY_ROOT;
    };
    let mut claim = RangeClaim { range, leaf_hashes, path };
    let computed = claim.subtree(0, size);
    computed == Some(*root) && claim.path.is_empty()
}

/// A non-empty range of leaves within a tree.
#[derive(Clone, Copy)]
struct Range {
    begin: u64,
    end: u64,
}

/// Where a subtree lies, seen from a range.
enum Place {
    Outside,
    Inside,
    Across,
}

impl Range {
    fn new(begin: u64, count: u64, size: u64) -> Option<Range> {
        let end = begin.checked_add(count)?;
        (count > 0 && end <= size).then_some(Range { begin, end })
    }

    fn place(self, low: u64, high: u64) -> Place {
        if high <= self.begin || self.end <= low {
            Place::Outside
        } else if self.begin <= low && high <= self.end {
            Place::Inside
        } else {
            Place::Across
        }
    }
}

/// What a prover handed over and has not been used up yet.
struct RangeClaim<'a> {
    range: Range,
    leaf_hashes: &'a [Digest],
    path: &'a [Digest],
}

impl RangeClaim<'_> {
    /// The root of the subtree over the leaves `low..high`, or nothing if the path is too short.
    ///
    /// A subtree of one leaf is never across, and halving a size bounds the depth: 64 at most.
    fn subtree(&mut self, low: u64, high: u64) -> Option<Digest> {
        match self.range.place(low, high) {
            Place::Outside => {
                let (first, rest) = self.path.split_first()?;
                self.path = rest;
                Some(*first)
            }
            Place::Inside => {
                let count = usize::try_from(high - low).ok()?;
                let (mine, rest) = self.leaf_hashes.split_at_checked(count)?;
                self.leaf_hashes = rest;
                Some(root_of(mine))
            }
            Place::Across => {
                let middle = low + split(high - low);
                let left = self.subtree(low, middle)?;
                let right = self.subtree(middle, high)?;
                Some(node_hash(&left, &right))
            }
        }
    }
}

/// Where the hashes of perfect subtrees come from: tiles in a database, or a slice.
pub trait NodeSource {
    /// Why a hash could not be had.
    type Error;

    /// The root of the perfect subtree over the `2^level` leaves from `index * 2^level` on.
    ///
    /// # Errors
    /// When the source has not got it, or cannot be read.
    fn subtree(&self, level: u8, index: u64) -> Result<Digest, Self::Error>;
}

/// Why there is no proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProveError<E> {
    /// There is no such leaf, range or older tree in a tree of this size.
    #[error("a tree of {size} leaves has no leaf, range or prefix {begin}..{end}")]
    OutOfRange {
        /// The first leaf asked for.
        begin: u64,
        /// The first leaf no longer asked for.
        end: u64,
        /// The size of the tree asked about.
        size: u64,
    },
    /// A hash could not be had.
    #[error("{0}")]
    Source(E),
}

/// The root of the first `size` leaves of `source`.
///
/// # Errors
/// Those of the source.
pub fn root<S: NodeSource + ?Sized>(source: &S, size: u64) -> Result<Digest, S::Error> {
    subtree_root(source, 0, size)
}

/// The path with which [`verify_inclusion`] accepts leaf `index` in the tree of `size` leaves.
///
/// # Errors
/// When there is no such leaf, and those of the source.
pub fn prove_inclusion<S: NodeSource + ?Sized>(
    source: &S,
    index: u64,
    size: u64,
) -> Result<Vec<Digest>, ProveError<S::Error>> {
    if index >= size {
        return Err(ProveError::OutOfRange { begin: index, end: index.saturating_add(1), size });
    }
    let (mut low, mut high) = (0, size);
    let mut path = Vec::new();
    while high - low > 1 {
        let middle = low + split(high - low);
        let sibling = if index < middle {
            let right = (middle, high);
            high = middle;
            right
        } else {
            let left = (low, middle);
            low = middle;
            left
        };
        path.push(subtree_root(source, sibling.0, sibling.1).map_err(ProveError::Source)?);
    }
    path.reverse();
    Ok(path)
}

/// The path with which [`verify_consistency`] accepts the first `old` of `new` leaves as a prefix.
///
/// # Errors
/// When `old` is larger than `new`, and those of the source.
pub fn prove_consistency<S: NodeSource + ?Sized>(
    source: &S,
    old: u64,
    new: u64,
) -> Result<Vec<Digest>, ProveError<S::Error>> {
    if old > new {
        return Err(ProveError::OutOfRange { begin: 0, end: old, size: new });
    }
    let mut path = Vec::new();
    if old == 0 {
        return Ok(path);
    }
    // RFC 6962, section 2.1.2: SUBPROOF walks down to the subtree that ends where the old tree ends.
    let (mut low, mut high) = (0, new);
    while high != old {
        let middle = low + split(high - low);
        let sibling = if old <= middle {
            let right = (middle, high);
            high = middle;
            right
        } else {
            let left = (low, middle);
            low = middle;
            left
        };
        path.push(subtree_root(source, sibling.0, sibling.1).map_err(ProveError::Source)?);
    }
    // Having gone left all the way, that subtree is the old tree itself, whose root is known.
    if low != 0 {
        path.push(subtree_root(source, low, high).map_err(ProveError::Source)?);
    }
    path.reverse();
    Ok(path)
}

/// The path with which [`verify_range`] accepts the leaves `begin..end` of the tree of `size` leaves.
///
/// # Errors
/// When the range is not within the tree, or empty although the tree is not; and those of the source.
pub fn prove_range<S: NodeSource + ?Sized>(
    source: &S,
    begin: u64,
    end: u64,
    size: u64,
) -> Result<Vec<Digest>, ProveError<S::Error>> {
    let mut path = Vec::new();
    match end.checked_sub(begin).and_then(|count| Range::new(begin, count, size)) {
        Some(range) => outside(source, range, 0, size, &mut path).map_err(ProveError::Source)?,
        None if begin == 0 && end == 0 && size == 0 => {}
        None => return Err(ProveError::OutOfRange { begin, end, size }),
    }
    Ok(path)
}

/// Appends the roots of the largest subtrees within `low..high` that lie outside of `range`. Depth: 64 at most.
fn outside<S: NodeSource + ?Sized>(
    source: &S,
    range: Range,
    low: u64,
    high: u64,
    path: &mut Vec<Digest>,
) -> Result<(), S::Error> {
    match range.place(low, high) {
        Place::Outside => path.push(subtree_root(source, low, high)?),
        Place::Inside => {}
        Place::Across => {
            let middle = low + split(high - low);
            outside(source, range, low, middle, path)?;
            outside(source, range, middle, high, path)?;
        }
    }
    Ok(())
}

/// The root over the leaves `low..high`, which MUST be a subtree of some tree: then `low` is a multiple of every
/// power of two in `high - low`.
fn subtree_root<S: NodeSource + ?Sized>(source: &S, low: u64, high: u64) -> Result<Digest, S::Error> {
    let mut at = low;
    let mut subtrees = Vec::new();
    while at < high {
        let level = (high - at).ilog2();
        // A level of a u64 is at most 63.
        subtrees.push(source.subtree(level as u8, at >> level)?);
        at += 1 << level;
    }
    Ok(join(&subtrees))
}

/// The root over perfect subtrees that stand beside each other, the largest one on the left.
fn join(subtrees: &[Digest]) -> Digest {
    match subtrees.split_last() {
        None => EMPTY_ROOT,
        Some((last, rest)) => rest.iter().rev().fold(*last, |right, left| node_hash(left, &right)),
    }
}

/// The largest power of two smaller than `size`, which MUST be at least 2.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// A slice of leaf hashes hasn't got the leaves of a subtree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no subtree {index} at level {level}: only {leaves} leaves are known")]
pub struct TooFewLeaves {
    /// The level of the subtree.
    pub level: u8,
    /// Its number within the level.
    pub index: u64,
    /// How many leaves there are.
    pub leaves: u64,
}

/// Leaf hashes in memory: small trails, a submission's items, sealed fields.
impl NodeSource for [Digest] {
    type Error = TooFewLeaves;

    fn subtree(&self, level: u8, index: u64) -> Result<Digest, TooFewLeaves> {
        1u64.checked_shl(level.into())
            .and_then(|count| {
                let begin = usize::try_from(index.checked_mul(count)?).ok()?;
                let end = begin.checked_add(usize::try_from(count).ok()?)?;
                self.get(begin..end).map(root_of)
            })
            .ok_or(TooFewLeaves { level, index, leaves: self.len() as u64 })
    }
}

/// The inclusion path of leaf `index` in the tree of exactly these leaf hashes; nothing if there is no such leaf.
///
/// Hashes the whole tree: [`Tree`] is for more than one path.
#[must_use]
pub fn path_of(leaves: &[Digest], index: u64) -> Option<Vec<Digest>> {
    Tree::of(leaves.to_vec()).path(index)
}

/// A tree with all its nodes in memory: twice its leaves, and every path without another hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// The leaves, and above them every level up to the root; none is empty. A node without a sibling stands on the
    /// level above as it is, which makes the levels those of RFC 6962.
    levels: Vec<Vec<Digest>>,
}

impl Tree {
    /// The tree of these leaf hashes.
    #[must_use]
    pub fn of(leaves: Vec<Digest>) -> Self {
        let mut levels = Vec::new();
        let mut level = leaves;
        while level.len() > 1 {
            let above = level
                .chunks(2)
                .map(|pair| match pair {
                    [left, right] => node_hash(left, right),
                    alone => alone[0],
                })
                .collect();
            levels.push(core::mem::replace(&mut level, above));
        }
        if !level.is_empty() {
            levels.push(level);
        }
        Self { levels }
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.levels.last().map_or(EMPTY_ROOT, |top| top[0])
    }

    /// The inclusion path of leaf `index`; nothing if there is no such leaf.
    #[must_use]
    pub fn path(&self, index: u64) -> Option<Vec<Digest>> {
        let mut at = usize::try_from(index).ok()?;
        self.levels.first()?.get(at)?;
        let mut path = Vec::new();
        for level in &self.levels {
            // At the root, and where a node has no sibling, there is nothing to say.
            path.extend(level.get(at ^ 1));
            at >>= 1;
        }
        Some(path)
    }
}

/// A tree that only grows, reduced to what its growth needs: the perfect subtrees it is made of.
///
/// This is all that must be kept to append to a log of any size, at most 64 hashes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    /// The roots of the perfect subtrees, the largest one first: one for each bit of `size`.
    hashes: Vec<Digest>,
}

/// A perfect subtree that is complete and will never change again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// It covers `2^level` leaves.
    pub level: u8,
    /// Its number within the level: it covers the leaves from `index * 2^level` on.
    pub index: u64,
    /// Its root.
    pub hash: Digest,
}

/// Parts that are not a frontier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotAFrontier {
    /// There has to be one hash for each bit of the size.
    #[error("a tree of {size} leaves has {} perfect subtrees, not {found}", size.count_ones())]
    WrongCount {
        /// The size given.
        size: u64,
        /// How many hashes were given.
        found: usize,
    },
    /// The size is beyond [`MAX_SIZE`].
    #[error("a tree of {size} leaves is larger than any that exists")]
    TooLarge {
        /// The size given.
        size: u64,
    },
}

impl Frontier {
    /// The tree without leaves.
    #[must_use]
    pub const fn new() -> Self {
        Self { size: 0, hashes: Vec::new() }
    }

    /// The tree of `size` leaves made of perfect subtrees with these roots, the largest one first.
    ///
    /// # Errors
    /// When their number does not fit the size.
    pub fn from_parts(size: u64, hashes: Vec<Digest>) -> Result<Self, NotAFrontier> {
        if size > MAX_SIZE {
            return Err(NotAFrontier::TooLarge { size });
        }
        if hashes.len() != size.count_ones() as usize {
            return Err(NotAFrontier::WrongCount { size, found: hashes.len() });
        }
        Ok(Self { size, hashes })
    }

    /// How many leaves the tree has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the perfect subtrees, the largest one first.
    #[must_use]
    pub fn hashes(&self) -> &[Digest] {
        &self.hashes
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Digest {
        join(&self.hashes)
    }

    /// Appends a leaf and returns the perfect subtrees that it completes, the leaf itself first and then upwards.
    pub fn append(&mut self, leaf_hash: Digest) -> Vec<Node> {
        let index = self.size;
        self.size = index.checked_add(1).expect("because nobody appends 2^63 leaves");
        let mut node = Node { level: 0, index, hash: leaf_hash };
        let mut completed = alloc::vec![node];
        // While the tree has a subtree of the node's size to the left of it, they have a parent.
        while node.index & 1 == 1 {
            let left = self.hashes.pop().expect("because there is one hash for each bit of the size");
            node = Node { level: node.level + 1, index: node.index >> 1, hash: node_hash(&left, &node.hash) };
            completed.push(node);
        }
        self.hashes.push(node.hash);
        completed
    }
}
