//! Trees as the standards define them, by plain recursion: what the tests compare the crates with.
//!
//! Written from RFC 6962, section 2.1, and from the definition of the state map, over all leaves at
//! once. Deliberately absent: anything fast, and any call of the code that is judged here.

use std::collections::BTreeMap;

use custos_proof::cbor::List;
use custos_proof::hash::{Digest, StateKey};
use custos_proof::state_map::{Proof, Terminal};
use sha2::{Digest as _, Sha256};

/// SHA-256 of the parts, one behind the other.
pub(crate) fn sha(parts: &[&[u8]]) -> Digest {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    Digest(hasher.finalize().into())
}

/// The hash of a leaf.
pub(crate) fn leaf(bytes: &[u8]) -> Digest {
    sha(&[&[0], bytes])
}

fn node(left: Digest, right: Digest) -> Digest {
    sha(&[&[1], &left.0, &right.0])
}

/// The largest power of two below `n`.
fn split(n: usize) -> usize {
    let mut k = 1;
    while k * 2 < n {
        k *= 2;
    }
    k
}

/// MTH.
pub(crate) fn root(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => sha(&[]),
        [only] => *only,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node(root(left), root(right))
        }
    }
}

/// PATH: the siblings of leaf `m`, from the leaf up.
pub(crate) fn path(m: usize, leaves: &[Digest]) -> Vec<Digest> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut below, sibling) =
        if m < k { (path(m, left), root(right)) } else { (path(m - k, right), root(left)) };
    below.push(sibling);
    below
}

/// The largest subtrees outside of `begin..end`, from left to right.
pub(crate) fn range_path(begin: usize, end: usize, leaves: &[Digest]) -> Vec<Digest> {
    fn walk(begin: usize, end: usize, low: usize, leaves: &[Digest], out: &mut Vec<Digest>) {
        let high = low + leaves.len();
        if high <= begin || end <= low {
            out.push(root(leaves));
        } else if low < begin || end < high {
            let (left, right) = leaves.split_at(split(leaves.len()));
            walk(begin, end, low, left, out);
            walk(begin, end, low + left.len(), right, out);
        }
    }
    let mut out = Vec::new();
    if !leaves.is_empty() {
        walk(begin, end, 0, leaves, &mut out);
    }
    out
}

/// The entries of a state map.
pub(crate) type Entries = BTreeMap<StateKey, Vec<u8>>;

fn bit(key: &StateKey, depth: usize) -> bool {
    key.0[depth / 8] & (0x80 >> (depth % 8)) != 0
}

fn state_leaf(key: &StateKey, value_hash: Digest) -> Digest {
    sha(&[&[2], &key.0, &value_hash.0])
}

fn subtree(entries: &[(&StateKey, Digest)], depth: usize) -> Digest {
    match entries {
        [] => Digest([0; 32]),
        [(key, value)] => state_leaf(key, *value),
        _ => {
            // Sorted by key, the zeros of any bit below a common prefix come first.
            let (left, right) = entries.split_at(entries.partition_point(|(key, _)| !bit(key, depth)));
            sha(&[&[3], &subtree(left, depth + 1).0, &subtree(right, depth + 1).0])
        }
    }
}

fn hashed(entries: &Entries) -> Vec<(&StateKey, Digest)> {
    entries.iter().map(|(key, value)| (key, sha(&[value]))).collect()
}

/// The root of a state map.
pub(crate) fn state_root(entries: &Entries) -> Digest {
    subtree(&hashed(entries), 0)
}

/// The proof of an entry, or of its absence.
pub(crate) fn state_proof(entries: &Entries, key: &StateKey) -> Proof {
    let all = hashed(entries);
    let (mut rest, mut siblings) = (&all[..], Vec::new());
    while rest.len() > 1 {
        let depth = siblings.len();
        let (left, right) = rest.split_at(rest.partition_point(|(key, _)| !bit(key, depth)));
        let (mine, other) = if bit(key, depth) { (right, left) } else { (left, right) };
        siblings.push(subtree(other, depth + 1));
        rest = mine;
    }
    let terminal = match rest {
        [] => Terminal::Empty,
        [(found, _)] if *found == key => Terminal::Leaf,
        [(other, value_hash), ..] => Terminal::Other { key: **other, value_hash: *value_hash },
    };
    Proof { siblings: List::new(siblings).unwrap(), terminal }
}
