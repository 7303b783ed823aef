//! Hashes and trees as docs/spec/hashing.md defines them, by plain recursion over all leaves.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

/// A SHA-256 hash.
pub(super) type Hash = [u8; 32];

/// SHA-256 of the parts, one behind the other.
pub(super) fn sha(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

/// A hash over a tag, which ends in a zero byte, and what follows it.
pub(super) fn tagged(tag: &str, parts: &[&[u8]]) -> Hash {
    sha(&[&[tag.as_bytes(), &[0]], parts].concat())
}

/// The hash of a leaf of RFC 6962.
pub(super) fn leaf(bytes: &[u8]) -> Hash {
    sha(&[&[0], bytes])
}

/// The root of RFC 6962, section 2.1.
pub(super) fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => sha(&[]),
        [only] => *only,
        _ => {
            // The largest power of two below the number of leaves.
            let k = 1 << (usize::BITS - 1 - (leaves.len() - 1).leading_zeros());
            let (left, right) = leaves.split_at(k);
            sha(&[&[1], &root(left), &root(right)])
        }
    }
}

/// The root of the state map.
pub(super) fn map_root<'a>(entries: impl Iterator<Item = (&'a Hash, &'a [u8])>) -> Hash {
    let hashed: BTreeMap<&Hash, Hash> = entries.map(|(key, value)| (key, sha(&[value]))).collect();
    let leaves: Vec<(&Hash, Hash)> = hashed.into_iter().collect();
    subtree(&leaves, 0)
}

/// The entries that share their first `depth` bits, ascending by key.
fn subtree(entries: &[(&Hash, Hash)], depth: usize) -> Hash {
    match entries {
        [] => [0; 32],
        [(key, value)] => sha(&[&[2], &key[..], value]),
        _ => {
            let is_one = |key: &Hash| key[depth / 8] >> (7 - depth % 8) & 1 == 1;
            let ones = entries.iter().position(|(key, _)| is_one(key)).unwrap_or(entries.len());
            let (left, right) = entries.split_at(ones);
            sha(&[&[3], &subtree(left, depth + 1), &subtree(right, depth + 1)])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6962's reference tree of one, two and three leaves, put together by hand.
    #[test]
    fn small_trees() {
        let [a, b, c] = [leaf(b"a"), leaf(b"b"), leaf(b"c")];
        let ab = sha(&[&[1], &a, &b]);
        assert_eq!(root(&[a]), a);
        assert_eq!(root(&[a, b]), ab);
        assert_eq!(root(&[a, b, c]), sha(&[&[1], &ab, &c]));
        assert_eq!(root(&[a, b, c, a]), sha(&[&[1], &ab, &sha(&[&[1], &c, &a])]));
        assert_eq!(root(&[a, b, c, a, b]), sha(&[&[1], &root(&[a, b, c, a]), &b]));
    }

    #[test]
    fn a_map_branches_where_keys_differ() {
        let (low, high) = ([0; 32], [0x80; 32]);
        let one = |key: &Hash| sha(&[&[2], &key[..], &sha(&[b"v"])]);
        let root = map_root([(&low, &b"v"[..]), (&high, &b"v"[..])].into_iter());
        assert_eq!(root, sha(&[&[3], &one(&low), &one(&high)]));
        assert_eq!(map_root([(&low, &b"v"[..])].into_iter()), one(&low));
        assert_eq!(map_root(std::iter::empty()), [0; 32]);
    }
}
