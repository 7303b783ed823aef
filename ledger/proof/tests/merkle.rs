//! The Merkle tree against RFC 6962: its published vectors, and a recursion written from its text.

#![allow(clippy::unwrap_used)]

use custos_proof::hash::Digest;
use custos_proof::merkle::{
    EMPTY_ROOT, Frontier, MAX_CONSISTENCY_PATH, MAX_INCLUSION_PATH, MAX_RANGE_PATH, MAX_SIZE, Node,
    NodeSource, NotAFrontier, ProveError, Tree, leaf_hash, node_hash, path_of, prove_consistency,
    prove_inclusion, prove_range, root, root_of, verify_consistency, verify_inclusion, verify_range,
};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use std::convert::Infallible;

/// The largest tree of which everything is tried.
const EXHAUSTIVE: usize = 70;

#[test]
fn the_published_vectors_of_certificate_transparency_hold() {
    let leaves: Vec<Digest> =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
            .iter()
            .map(|text| leaf_hash(&unhex(text)))
            .collect();
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    for (size, expected) in roots.iter().enumerate() {
        assert_eq!(root_of(&leaves[..size]), digest(expected), "root of {size}");
    }

    let inclusion: [(u64, u64, &[&str]); 5] = [
        (0, 1, &[]),
        (
            0,
            8,
            &[
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            5,
            8,
            &[
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (2, 3, &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
        (
            1,
            5,
            &[
                "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
    ];
    for (index, size, path) in inclusion {
        let path: Vec<Digest> = path.iter().map(|text| digest(text)).collect();
        assert_eq!(prove_inclusion(&leaves[..], index, size), Ok(path.clone()));
        assert!(verify_inclusion(&leaves[index as usize], index, size, &path, &digest(roots[size as usize])));
    }

    let consistency: [(u64, u64, &[&str]); 4] = [
        (1, 1, &[]),
        (
            1,
            8,
            &[
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            6,
            8,
            &[
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (
            2,
            5,
            &[
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
    ];
    for (old, new, path) in consistency {
        let path: Vec<Digest> = path.iter().map(|text| digest(text)).collect();
        assert_eq!(prove_consistency(&leaves[..], old, new), Ok(path.clone()));
        let (old_root, new_root) = (digest(roots[old as usize]), digest(roots[new as usize]));
        assert!(verify_consistency(old, &old_root, new, &new_root, &path));
    }
}

#[test]
fn every_root_and_frontier_is_that_of_the_rfc() {
    let leaves = leaves(EXHAUSTIVE);
    let mut frontier = Frontier::new();
    let mut completed = Vec::new();
    for size in 0..=EXHAUSTIVE {
        let expected = rfc::mth(&leaves[..size]);
        assert_eq!(root_of(&leaves[..size]), expected);
        assert_eq!(root(&leaves[..], size as u64), Ok(expected));
        assert_eq!((frontier.root(), frontier.size()), (expected, size as u64));
        assert_eq!(Frontier::from_parts(size as u64, frontier.hashes().to_vec()), Ok(frontier.clone()));
        if let Some(leaf) = leaves.get(size) {
            completed.extend(frontier.append(*leaf));
        }
    }

    // Every perfect subtree is reported once, when its last leaf arrives.
    let mut expected = Vec::new();
    for end in 1..=EXHAUSTIVE {
        for level in 0..7 {
            let width = 1 << level;
            if end % width == 0 {
                let (index, hash) = ((end / width - 1) as u64, rfc::mth(&leaves[end - width..end]));
                expected.push(Node { level, index, hash });
            }
        }
    }
    assert_eq!(completed, expected);
}

#[test]
fn every_inclusion_path_is_that_of_the_rfc_and_no_other_path_verifies() {
    let leaves = leaves(EXHAUSTIVE);
    for size in 1..=EXHAUSTIVE {
        let root = rfc::mth(&leaves[..size]);
        let tree = Tree::of(leaves[..size].to_vec());
        assert_eq!((tree.root(), tree.path(size as u64)), (root, None));
        for index in 0..size {
            let path = rfc::path(index, &leaves[..size]);
            let (at, of) = (index as u64, size as u64);
            assert_eq!(prove_inclusion(&leaves[..], at, of), Ok(path.clone()));
            assert_eq!(path_of(&leaves[..size], at), Some(path.clone()));
            assert_eq!(tree.path(at), Some(path.clone()));
            assert!(verify_inclusion(&leaves[index], at, of, &path, &root));
            assert!(!verify_inclusion(&leaves[(index + 1) % EXHAUSTIVE], at, of, &path, &root));
            for other in (0..=of).filter(|other| *other != at) {
                assert!(
                    !verify_inclusion(&leaves[index], other, of, &path, &root),
                    "leaf {index} as {other} of {size}"
                );
            }
            for wrong in damaged(&path) {
                assert!(!verify_inclusion(&leaves[index], at, of, &wrong, &root));
            }
        }
    }
}

#[test]
fn every_consistency_path_is_that_of_the_rfc_and_no_other_path_verifies() {
    let leaves = leaves(EXHAUSTIVE);
    let roots: Vec<Digest> = (0..=EXHAUSTIVE).map(|size| rfc::mth(&leaves[..size])).collect();
    for new in 0..=EXHAUSTIVE {
        for old in 0..=new {
            let path = if old == 0 { Vec::new() } else { rfc::proof(old, &leaves[..new]) };
            let (m, n) = (old as u64, new as u64);
            assert_eq!(prove_consistency(&leaves[..], m, n), Ok(path.clone()));
            assert!(verify_consistency(m, &roots[old], n, &roots[new], &path), "{old} to {new}");
            assert!(!verify_consistency(m, &leaf_hash(b"fork"), n, &roots[new], &path));
            if old > 0 {
                assert!(!verify_consistency(m, &roots[old], n, &leaf_hash(b"fork"), &path));
            }
            if old < new {
                assert!(!verify_consistency(n, &roots[new], m, &roots[old], &path));
            }
            for wrong in damaged(&path) {
                assert!(!verify_consistency(m, &roots[old], n, &roots[new], &wrong));
            }
        }
    }
}

#[test]
fn every_range_verifies_and_no_other_leaves_or_path_do() {
    let leaves = leaves(EXHAUSTIVE);
    for size in 1..=EXHAUSTIVE {
        let root = rfc::mth(&leaves[..size]);
        let of = size as u64;
        for begin in 0..size {
            for end in begin + 1..=size {
                let path = rfc::outside(begin, end, 0, &leaves[..size]);
                let at = begin as u64;
                assert_eq!(prove_range(&leaves[..], at, end as u64, of), Ok(path.clone()));
                let range = &leaves[begin..end];
                assert!(verify_range(at, range, of, &path, &root), "{begin}..{end} of {size}");
                assert!(!verify_range(at + 1, range, of, &path, &root));
                assert!(!verify_range(at, &range[1..], of, &path, &root));
                // The costly attempts on some ranges only.
                if begin % 5 == 0 || end == size {
                    for wrong in damaged(&path).into_iter().chain(missing_or_added(range)) {
                        assert!(!verify_range(at, range, of, &wrong, &root) || wrong == path);
                        assert!(!verify_range(at, &wrong, of, &path, &root) || wrong == range);
                    }
                }
            }
        }
        // A path that a prover could call that of an empty range.
        assert!(!verify_range(0, &[], of, &[root], &root));
        assert!(!verify_range(0, &[], of, &[], &root));
    }
    assert!(verify_range(0, &[], 0, &[], &EMPTY_ROOT));
    assert!(!verify_range(1, &[], 0, &[], &EMPTY_ROOT));
    assert!(!verify_range(0, &[], 0, &[EMPTY_ROOT], &EMPTY_ROOT));
    assert!(!verify_range(0, &leaves[..1], 0, &[], &leaves[0]));
}

#[test]
fn what_does_not_exist_is_not_proven() {
    let leaves = leaves(5);
    let refused = |begin, end, size| ProveError::OutOfRange { begin, end, size };
    assert_eq!(prove_inclusion(&leaves[..], 5, 5), Err(refused(5, 6, 5)));
    assert_eq!(prove_inclusion(&leaves[..], u64::MAX, 0), Err(refused(u64::MAX, u64::MAX, 0)));
    assert_eq!(prove_consistency(&leaves[..], 6, 5), Err(refused(0, 6, 5)));
    assert_eq!(prove_range(&leaves[..], 2, 2, 5), Err(refused(2, 2, 5)));
    assert_eq!(prove_range(&leaves[..], 3, 2, 5), Err(refused(3, 2, 5)));
    assert_eq!(prove_range(&leaves[..], 2, 6, 5), Err(refused(2, 6, 5)));
    assert_eq!(prove_range(&leaves[..], 0, 0, 0), Ok(vec![]));
    assert_eq!(path_of(&leaves, 5), None);
    assert_eq!((path_of(&[], 0), Tree::of(vec![]).root()), (None, rfc::mth(&[])));
    // The slice has fewer leaves than the tree that is asked about.
    assert!(matches!(prove_inclusion(&leaves[..], 0, 6), Err(ProveError::Source(_))));
    assert!(root(&leaves[..], u64::MAX).is_err());
    for level in [0, 3, 63, 64, 255] {
        assert!(leaves[..].subtree(level, u64::MAX).is_err());
    }
}

#[test]
fn parts_that_do_not_fit_are_no_frontier() {
    let hash = leaf_hash(b"");
    assert_eq!(Frontier::from_parts(3, vec![hash]), Err(NotAFrontier::WrongCount { size: 3, found: 1 }));
    assert_eq!(Frontier::from_parts(0, vec![hash]), Err(NotAFrontier::WrongCount { size: 0, found: 1 }));
    assert_eq!(
        Frontier::from_parts(MAX_SIZE + 1, vec![hash; 2]),
        Err(NotAFrontier::TooLarge { size: MAX_SIZE + 1 })
    );
    let mut largest = Frontier::from_parts(MAX_SIZE, vec![hash]).unwrap();
    assert_eq!(largest.append(hash).len(), 1);
    assert_eq!(largest.root(), node_hash(&hash, &hash));
}

#[test]
fn hostile_sizes_neither_panic_nor_take_long() {
    let hash = leaf_hash(b"");
    let numbers =
        [0, 1, 2, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 63) + 1, u64::MAX - 1, u64::MAX];
    for a in numbers {
        for b in numbers {
            for length in [0, 1, 2, 63, 64, 65, 127, 128, 129, 1000] {
                let path = vec![hash; length];
                let _ = verify_inclusion(&hash, a, b, &path, &hash);
                let _ = verify_consistency(a, &hash, b, &hash, &path);
                let _ = verify_range(a, &path, b, &path, &hash);
                let _ = verify_range(a, &[hash], b, &path, &hash);
            }
        }
    }
}

proptest! {
    #[test]
    fn trees_of_any_size_prove_themselves(
        marked in any::<u64>(), sizes in any::<[u64; 2]>(), small in any::<bool>(), begin_before in 0..40u64, after in 1..40u64,
    ) {
        let shrink = |n: u64| if small { n % 1000 } else { n };
        let [old, new] = [shrink(sizes[0].min(sizes[1])), shrink(sizes[0].max(sizes[1])).max(1)];
        let old = old.min(new);
        let marked = marked % new;
        let tree = Marked::new(marked);
        let new_root = root(&tree, new).unwrap();

        let path = prove_inclusion(&tree, marked, new).unwrap();
        prop_assert!(path.len() <= MAX_INCLUSION_PATH);
        prop_assert!(verify_inclusion(&tree.leaf(marked), marked, new, &path, &new_root));
        for other in [marked.wrapping_add(1), marked.wrapping_sub(1), marked ^ 1 << 40, marked / 2] {
            prop_assert!(other == marked || !verify_inclusion(&tree.leaf(marked), other, new, &path, &new_root));
        }

        let path = prove_consistency(&tree, old, new).unwrap();
        prop_assert!(path.len() <= MAX_CONSISTENCY_PATH);
        prop_assert!(verify_consistency(old, &root(&tree, old).unwrap(), new, &new_root, &path));

        let begin = marked.saturating_sub(begin_before);
        let end = marked.saturating_add(after).min(new);
        let range: Vec<Digest> = (begin..end).map(|i| tree.leaf(i)).collect();
        let path = prove_range(&tree, begin, end, new).unwrap();
        prop_assert!(path.len() <= MAX_RANGE_PATH);
        prop_assert!(verify_range(begin, &range, new, &path, &new_root));
        prop_assert!(begin == 0 || !verify_range(begin - 1, &range, new, &path, &new_root));
        prop_assert!(!verify_range(begin + 1, &range, new, &path, &new_root));
    }

    #[test]
    fn a_frontier_knows_the_root_of_what_it_was_given(leaves in prop::collection::vec(any::<[u8; 32]>(), 0..300), cut in any::<prop::sample::Index>()) {
        let leaves: Vec<Digest> = leaves.into_iter().map(Digest).collect();
        let mut frontier = Frontier::new();
        let cut = cut.index(leaves.len() + 1);
        for leaf in &leaves[..cut] {
            frontier.append(*leaf);
        }
        let mut resumed = Frontier::from_parts(frontier.size(), frontier.hashes().to_vec()).unwrap();
        for leaf in &leaves[cut..] {
            resumed.append(*leaf);
        }
        prop_assert_eq!(resumed.root(), rfc::mth(&leaves));
    }
}

/// RFC 6962, section 2.1, in the words of the RFC, over leaf hashes.
mod rfc {
    use super::*;

    fn node(left: Digest, right: Digest) -> Digest {
        Digest(Sha256::digest([&[0x01][..], &left.0, &right.0].concat()).into())
    }

    /// "let k be the largest power of two smaller than n"
    fn k(n: usize) -> usize {
        (0..).map(|i| 1 << i).take_while(|power| *power < n).last().unwrap()
    }

    pub(super) fn mth(d: &[Digest]) -> Digest {
        match d.len() {
            0 => Digest(Sha256::digest(b"").into()),
            1 => d[0],
            n => node(mth(&d[..k(n)]), mth(&d[k(n)..])),
        }
    }

    pub(super) fn path(m: usize, d: &[Digest]) -> Vec<Digest> {
        let n = d.len();
        if n == 1 {
            vec![]
        } else if m < k(n) {
            [path(m, &d[..k(n)]), vec![mth(&d[k(n)..])]].concat()
        } else {
            [path(m - k(n), &d[k(n)..]), vec![mth(&d[..k(n)])]].concat()
        }
    }

    pub(super) fn proof(m: usize, d: &[Digest]) -> Vec<Digest> {
        subproof(m, d, true)
    }

    fn subproof(m: usize, d: &[Digest], b: bool) -> Vec<Digest> {
        let n = d.len();
        if m == n {
            if b { vec![] } else { vec![mth(d)] }
        } else if m <= k(n) {
            [subproof(m, &d[..k(n)], b), vec![mth(&d[k(n)..])]].concat()
        } else {
            [subproof(m - k(n), &d[k(n)..], false), vec![mth(&d[..k(n)])]].concat()
        }
    }

    /// Not in the RFC: what a verifier lacks who has the leaves `begin..end`, from left to right.
    pub(super) fn outside(begin: usize, end: usize, offset: usize, d: &[Digest]) -> Vec<Digest> {
        let n = d.len();
        let known = (offset..offset + n).filter(|i| (begin..end).contains(i)).count();
        if known == 0 {
            vec![mth(d)]
        } else if known == n {
            vec![]
        } else {
            [outside(begin, end, offset, &d[..k(n)]), outside(begin, end, offset + k(n), &d[k(n)..])].concat()
        }
    }
}

/// A tree of any size in which all leaves are alike but one.
struct Marked {
    marked: u64,
    /// The perfect subtree of each level, without and with the marked leaf.
    plain: Vec<Digest>,
    with: Vec<Digest>,
}

impl Marked {
    fn new(marked: u64) -> Self {
        let (mut plain, mut with) = (vec![leaf_hash(b"plain")], vec![leaf_hash(b"marked")]);
        for level in 0..63 {
            let (p, w) = (plain[level], with[level]);
            plain.push(node_hash(&p, &p));
            with.push(if marked >> level & 1 == 0 { node_hash(&w, &p) } else { node_hash(&p, &w) });
        }
        Self { marked, plain, with }
    }

    fn leaf(&self, index: u64) -> Digest {
        let Ok(leaf) = self.subtree(0, index);
        leaf
    }
}

impl NodeSource for Marked {
    type Error = Infallible;

    fn subtree(&self, level: u8, index: u64) -> Result<Digest, Infallible> {
        let nodes = if self.marked >> level == index { &self.with } else { &self.plain };
        Ok(nodes[usize::from(level)])
    }
}

fn leaves(count: usize) -> Vec<Digest> {
    (0..count).map(|i| leaf_hash(&[i as u8])).collect()
}

/// A path with a hash too many, too few, changed or moved.
fn damaged(path: &[Digest]) -> Vec<Vec<Digest>> {
    let mut out = missing_or_added(path);
    for i in 0..path.len() {
        let mut flipped = path.to_vec();
        flipped[i].0[i % 32] ^= 1 << (i % 8);
        out.push(flipped);
        if i > 0 && path[i] != path[i - 1] {
            let mut swapped = path.to_vec();
            swapped.swap(i, i - 1);
            out.push(swapped);
        }
    }
    out
}

fn missing_or_added(path: &[Digest]) -> Vec<Vec<Digest>> {
    let mut out = vec![[path, &[leaf_hash(b"more")]].concat(), [&[leaf_hash(b"more")], path].concat()];
    if let (Some((_, rest)), Some((_, front))) = (path.split_first(), path.split_last()) {
        out.extend([rest.to_vec(), front.to_vec()]);
    }
    out
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn digest(text: &str) -> Digest {
    text.parse().unwrap()
}
