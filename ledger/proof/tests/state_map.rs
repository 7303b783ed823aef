//! The state map against a naive tree written from its definition, under batches of any kind of change.

#![allow(clippy::unwrap_used)]

use custos_proof::cbor::{List, Wire};
use custos_proof::hash::{Digest, StateKey, sha256};
use custos_proof::state_map::{
    EMPTY_ROOT, NibblePath, Page, PageError, PageSource, Proof, Slot, Terminal, prove, root, root_of, update,
    verify, verify_hash,
};
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

type Pages = BTreeMap<NibblePath, Page>;
type Values = BTreeMap<StateKey, Vec<u8>>;

#[test]
fn roots_computed_elsewhere_hold() {
    // By a dozen lines of Python: key i = SHA-256(byte i), value i = "value <i>".
    let known = [
        (0, "0000000000000000000000000000000000000000000000000000000000000000"),
        (1, "0051091dece65618cdc61772aff75081b89a71f1762a16984c9b8eec3ad0151a"),
        (2, "2749e5a775c96c5d922e43132b867b5065e49f7304e2641081e4638f85555c70"),
        (3, "04e6c5d9f2fff8f7f75182ad032735a74f8aaf54a8d722c73c24d2de6e0cf54d"),
        (16, "c35e55011cc922d06fb082109c0d1fca1ac300e6cd3b637825f9e0e09f34212a"),
        (100, "42675aec6b3ea55ee7021515a2a6d55fb812f213995bfcf956e5576b462a0c16"),
    ];
    for (count, expected) in known {
        let values: Values =
            (0..count).map(|i| (StateKey(sha256(&[i]).0), format!("value {i}").into_bytes())).collect();
        assert_eq!(root_of(hashes(&values)), expected.parse().unwrap(), "{count} entries");
        assert_eq!(filled(&values).1, expected.parse().unwrap());
    }
}

#[test]
fn two_keys_that_differ_in_the_last_bit_make_the_deepest_tree() {
    let (a, b) = (StateKey([0; 32]), last_bit(StateKey([0; 32])));
    let values: Values = [(a, b"a".to_vec()), (b, b"b".to_vec())].into();
    let (mut pages, root) = filled(&values);
    assert_eq!(root, "272faa0ef0d647f35c4656bd2c7315e0ce3c6ab3afe9640245a25cd433245b58".parse().unwrap());
    assert_eq!(pages.len(), 64);
    let proof = prove(&pages, &a).unwrap();
    assert_eq!(proof.siblings.len(), 256);
    assert!(verify(&root, &a, Some(b"a"), &proof));
    assert!(proof.siblings[..255].iter().all(|sibling| *sibling == EMPTY_ROOT));

    // Without one of them the other stands alone at the top, and 63 pages are gone.
    let gone = apply(&mut pages, &[(b, None)]);
    assert_eq!(pages.len(), 1);
    assert_eq!(gone, oracle::root(&[(a, b"a".to_vec())].into()));
    let proof = prove(&pages, &b).unwrap();
    assert_eq!(
        proof,
        Proof { siblings: List::default(), terminal: Terminal::Other { key: a, value_hash: sha256(b"a") } }
    );
    assert!(verify(&gone, &b, None, &proof));
}

#[test]
fn the_empty_map_proves_that_it_has_nothing() {
    let pages = Pages::new();
    let key = StateKey([7; 32]);
    let proof = prove(&pages, &key).unwrap();
    assert_eq!(root(&pages), Ok(EMPTY_ROOT));
    assert!(verify(&EMPTY_ROOT, &key, None, &proof));
    assert!(!verify(&EMPTY_ROOT, &key, Some(b""), &proof));
    let update = update(&pages, &[(key, None)]).unwrap();
    assert_eq!((update.root, update.pages), (EMPTY_ROOT, vec![]));
}

#[test]
fn a_leaf_is_not_passed_off_as_what_it_is_not() {
    let (a, b) = (StateKey([0x00; 32]), StateKey([0x80; 32]));
    let values: Values = [(a, b"a".to_vec()), (b, b"b".to_vec())].into();
    let (_, root) = filled(&values);
    let siblings = |hashes: &[Digest]| List::new(hashes.to_vec()).unwrap();
    let (of_a, of_b) = (oracle::leaf(&a, b"a"), oracle::leaf(&b, b"b"));

    // The key itself, shown as somebody else's leaf.
    let itself = Terminal::Other { key: a, value_hash: sha256(b"a") };
    assert!(!verify(&root, &a, None, &Proof { siblings: siblings(&[of_b]), terminal: itself }));
    // A leaf from the other half, as if it stood on this key's path.
    let elsewhere = Terminal::Other { key: b, value_hash: sha256(b"b") };
    assert!(!verify(&root, &a, None, &Proof { siblings: siblings(&[of_a]), terminal: elsewhere }));
    // The right hashes with another end.
    assert!(!verify(&root, &a, None, &Proof { siblings: siblings(&[of_b]), terminal: Terminal::Leaf }));
    assert!(!verify(
        &root,
        &a,
        Some(b"a"),
        &Proof { siblings: siblings(&[of_b]), terminal: Terminal::Empty }
    ));
    assert!(!verify(&root, &a, Some(b"a"), &Proof { siblings: siblings(&[of_b]), terminal: elsewhere }));
    // The other key's leaf with its own proof proves that some key between them is absent, and no more.
    let between = StateKey([0x40; 32]);
    let other = Proof { siblings: siblings(&[of_b]), terminal: itself };
    assert!(verify(&root, &between, None, &other));
    assert!(!verify(&root, &b, None, &other));
}

#[test]
fn unsorted_changes_are_refused() {
    let (a, b) = (StateKey([0; 32]), StateKey([1; 32]));
    assert_eq!(update(&Pages::new(), &[(b, None), (a, None)]), Err(PageError::NotSorted));
    assert_eq!(update(&Pages::new(), &[(a, Some(EMPTY_ROOT)), (a, None)]), Err(PageError::NotSorted));
}

#[test]
fn missing_and_misplaced_pages_are_named() {
    let (a, b) = (StateKey([0; 32]), last_bit(StateKey([0; 32])));
    let (pages, _) = filled(&[(a, vec![1]), (b, vec![2])].into());
    let at = |depth: u8| *pages.keys().nth(depth.into()).unwrap();

    let mut missing = pages.clone();
    missing.remove(&at(20));
    assert_eq!(update(&missing, &[(a, None)]), Err(PageError::Missing(at(20))));
    assert_eq!(prove(&missing, &a), Err(PageError::Missing(at(20))));

    // The last page: its leaves belong 63 nibbles down.
    let mut misplaced = pages.clone();
    misplaced.insert(at(63), pages[&at(20)].clone());
    assert_eq!(update(&misplaced, &[(a, None)]), Err(PageError::Corrupt(at(63))));
    assert_eq!(prove(&misplaced, &a), Err(PageError::Corrupt(at(63))));

    let mut other = StateKey([0; 32]);
    other.0[0] = 0x10;
    let (elsewhere, _) = filled(&[(other, vec![1]), (last_bit(other), vec![2])].into());
    let mut misplaced = pages.clone();
    misplaced.insert(at(63), elsewhere.values().last().unwrap().clone());
    assert_eq!(update(&misplaced, &[(a, None)]), Err(PageError::Corrupt(at(63))));

    // A page of the right place from another day.
    let (stale, _) = filled(&[(a, vec![3]), (b, vec![2])].into());
    let mut mixed = pages.clone();
    mixed.insert(at(63), stale[&at(63)].clone());
    assert_eq!(prove(&mixed, &a), Err(PageError::Corrupt(at(63))));
}

#[test]
fn every_bit_of_a_proof_of_presence_counts() {
    let values: Values = (0..40u8).map(|i| (StateKey(sha256(&[i]).0), vec![i])).collect();
    let (pages, root) = filled(&values);
    for (key, value) in values.iter().take(8) {
        let proof = prove(&pages, key).unwrap();
        let value_hash = sha256(value);
        for bit in 0..256 {
            assert!(!verify_hash(&Digest(flipped(root.0, bit)), key, Some(&value_hash), &proof));
            assert!(!verify_hash(&root, &StateKey(flipped(key.0, bit)), Some(&value_hash), &proof));
            assert!(!verify_hash(&root, key, Some(&Digest(flipped(value_hash.0, bit))), &proof));
            for i in 0..proof.siblings.len() {
                let wrong = with_siblings(&proof, |siblings| siblings[i].0 = flipped(siblings[i].0, bit));
                assert!(!verify_hash(&root, key, Some(&value_hash), &wrong));
            }
        }
        for bit in 0..8 {
            assert!(!verify(&root, key, Some(&[value[0] ^ 1 << bit]), &proof));
        }
        assert!(!verify(&root, key, None, &proof));
        for i in 0..proof.siblings.len() {
            let shorter = with_siblings(&proof, |siblings| {
                siblings.remove(i);
            });
            assert!(!verify(&root, key, Some(value), &shorter));
            let longer = with_siblings(&proof, |siblings| siblings.insert(i, EMPTY_ROOT));
            assert!(!verify(&root, key, Some(value), &longer));
        }
    }
}

#[test]
fn a_damaged_proof_of_absence_proves_nothing_false() {
    let values: Values = (0..40u8).map(|i| (StateKey(sha256(&[i]).0), vec![i])).collect();
    let (pages, root) = filled(&values);
    let mut ends = BTreeSet::new();
    for i in 100..160u8 {
        let key = StateKey(sha256(&[i]).0);
        let proof = prove(&pages, &key).unwrap();
        ends.insert(matches!(proof.terminal, Terminal::Empty));
        for bit in 0..256 {
            assert!(!verify(&Digest(flipped(root.0, bit)), &key, None, &proof));
            for i in 0..proof.siblings.len() {
                let wrong = with_siblings(&proof, |siblings| siblings[i].0 = flipped(siblings[i].0, bit));
                assert!(!verify(&root, &key, None, &wrong));
            }
            if let Terminal::Other { key: other, value_hash } = proof.terminal {
                for terminal in [
                    Terminal::Other { key: StateKey(flipped(other.0, bit)), value_hash },
                    Terminal::Other { key: other, value_hash: Digest(flipped(value_hash.0, bit)) },
                ] {
                    assert!(!verify(&root, &key, None, &Proof { terminal, ..proof.clone() }));
                }
            }
            // The same empty place may be that of another key, but of a present one never.
            let other = StateKey(flipped(key.0, bit));
            assert!(!verify(&root, &other, None, &proof) || !values.contains_key(&other));
        }
        for present in values.keys() {
            assert!(!verify(&root, present, None, &proof));
        }
    }
    assert_eq!(ends.len(), 2, "both kinds of absence were tried");
}

#[test]
fn page_bytes_have_one_spelling() {
    let values: Values = (0..200u8).map(|i| (StateKey(sha256(&[i]).0), vec![i])).collect();
    for (path, page) in filled(&values).0 {
        assert_eq!(NibblePath::from_bytes(&path.to_bytes()), Ok(path));
        let bytes = page.to_bytes();
        assert_eq!(Page::from_bytes(&bytes), Ok(page));
        assert!(Page::from_bytes(&bytes[..bytes.len() - 1]).is_err());
        assert!(Page::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
    }
    for wrong in [&[][..], &[0, 0, 0, 0], &[0, 1, 0, 1], &[0, 1, 0]] {
        assert!(Page::from_bytes(wrong).is_err());
    }
    for wrong in [&[][..], &[0, 0], &[1], &[1, 0x01], &[2, 0x11, 0], &[64; 33], &[255; 129]] {
        assert!(NibblePath::from_bytes(wrong).is_err(), "{wrong:?}");
    }
    assert_eq!(NibblePath::from_bytes(&[3, 0xab, 0xc0]).unwrap().to_string(), "abc");
    assert_eq!(NibblePath::ROOT.to_string(), "/");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn batches_of_changes_keep_root_pages_and_proofs_right(batches in batches()) {
        let mut values = Values::new();
        let mut pages = Pages::new();
        for batch in batches {
            let changes: Vec<_> = batch.iter().map(|(key, value)| (*key, value.as_deref().map(sha256))).collect();
            let new_root = apply(&mut pages, &changes);
            for (key, value) in &batch {
                match value {
                    Some(value) => values.insert(*key, value.clone()),
                    None => values.remove(key),
                };
            }

            prop_assert_eq!(new_root, oracle::root(&values));
            prop_assert_eq!(new_root, root_of(hashes(&values)));
            prop_assert_eq!(Ok(new_root), root(&pages));
            // The pages do not remember by which way the map came to be what it is.
            prop_assert_eq!(&pages, &filled(&values).0);
            for page in pages.values() {
                prop_assert_eq!(Page::from_bytes(&page.to_bytes()), Ok(page.clone()));
            }

            let near = values.keys().flat_map(|key| [0, 100, 255].map(|bit| StateKey(flipped(key.0, bit))));
            let keys: BTreeSet<StateKey> = batch.keys().copied().chain(near).chain(values.keys().copied()).collect();
            for key in keys {
                let proof = prove(&pages, &key).unwrap();
                prop_assert_eq!(Proof::from_bytes(&proof.to_bytes()), Ok(proof.clone()));
                let value = values.get(&key).map(Vec::as_slice);
                prop_assert!(verify(&new_root, &key, value, &proof));
                prop_assert!(!verify(&new_root, &key, Some(b"another value"), &proof));
                prop_assert!(value.is_none() || !verify(&new_root, &key, None, &proof));
                prop_assert!(!verify(&sha256(&new_root.0), &key, value, &proof));
            }
        }
    }

    #[test]
    fn corrupt_pages_never_cause_a_panic(
        batches in batches(), victim in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>(), moved in any::<prop::sample::Index>(),
    ) {
        let values: Values = batches.into_iter().flatten().filter_map(|(key, value)| Some((key, value?))).collect();
        let (mut pages, _) = filled(&values);
        if !pages.is_empty() {
            let path = *pages.keys().nth(victim.index(pages.len())).unwrap();
            let mut bytes = pages[&path].to_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(page) = Page::from_bytes(&bytes) {
                prop_assert_eq!(page.to_bytes(), bytes);
                pages.insert(path, page);
            }
            let onto = *pages.keys().nth(moved.index(pages.len())).unwrap();
            let moved = pages[&path].clone();
            pages.insert(onto, moved);
            let changes: Vec<_> = values.keys().map(|key| (*key, None)).collect();
            let _ = update(&pages, &changes);
            let changes: Vec<_> = values.keys().map(|key| (StateKey(flipped(key.0, 255)), Some(EMPTY_ROOT)))
                .collect::<BTreeMap<_, _>>().into_iter().collect();
            let _ = update(&pages, &changes);
            for key in values.keys() {
                let _ = prove(&pages, key);
            }
        }
    }

    #[test]
    fn bytes_are_a_page_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(page) = Page::from_bytes(&bytes) {
            prop_assert_eq!(page.to_bytes(), bytes.clone());
        }
        if let Ok(path) = NibblePath::from_bytes(&bytes) {
            prop_assert_eq!(path.to_bytes(), bytes);
        }
    }
}

/// The tree by its definition, over sets of keys and without any page.
mod oracle {
    use super::*;
    use sha2::{Digest as _, Sha256};

    fn hash(parts: &[&[u8]]) -> Digest {
        Digest(Sha256::digest(parts.concat()).into())
    }

    pub(super) fn leaf(key: &StateKey, value: &[u8]) -> Digest {
        hash(&[&[0x02], &key.0, &hash(&[value]).0])
    }

    pub(super) fn root(values: &Values) -> Digest {
        subtree(&values.iter().collect::<Vec<_>>(), 0)
    }

    fn subtree(values: &[(&StateKey, &Vec<u8>)], depth: usize) -> Digest {
        match values {
            [] => Digest([0; 32]),
            [(key, value)] => leaf(key, value),
            _ => {
                let is_right = |key: &StateKey| key.0[depth / 8] & (0x80 >> (depth % 8)) != 0;
                let (right, left): (Vec<_>, Vec<_>) =
                    values.iter().copied().partition(|(key, _)| is_right(key));
                hash(&[&[0x03], &subtree(&left, depth + 1).0, &subtree(&right, depth + 1).0])
            }
        }
    }
}

/// Some batches over keys that share anything from nothing to all but the last bit, so that the same keys are inserted,
/// overwritten and deleted again.
fn batches() -> impl Strategy<Value = Vec<BTreeMap<StateKey, Option<Vec<u8>>>>> {
    let key = (0..3u8, prop::sample::select(vec![0usize, 1, 3, 4, 5, 8, 63, 127, 252, 255]), 0..4u8)
        .prop_map(|(family, depth, tail)| {
            let mut key = sha256(&[family]).0;
            if tail > 0 {
                key = flipped(key, depth);
                // Behind the bit that differs all is different, except for the deepest families.
                if tail > 1 && depth < 200 {
                    key[24..].copy_from_slice(&sha256(&[tail]).0[..8]);
                }
            }
            StateKey(key)
        });
    let random = any::<[u8; 32]>().prop_map(StateKey);
    let value = prop::option::weighted(0.6, prop::collection::vec(any::<u8>(), 0..3));
    let batch = prop::collection::btree_map(prop_oneof![4 => key, 1 => random], value, 0..24);
    prop::collection::vec(batch, 1..8)
}

/// Applies changes, and checks on the way that each page is read at most once and written at most once.
fn apply(pages: &mut Pages, changes: &[(StateKey, Option<Digest>)]) -> Digest {
    let counted = Counted { pages, read: RefCell::default() };
    let update = update(&counted, changes).unwrap();
    let mut written = BTreeSet::new();
    for (path, page) in update.pages {
        assert!(written.insert(path), "{path} is written twice");
        match page {
            Some(page) => {
                assert_ne!(pages.insert(path, page.clone()), Some(page), "{path} is written without need")
            }
            None => assert!(pages.remove(&path).is_some(), "{path} is deleted and was not there"),
        }
    }
    update.root
}

struct Counted<'a> {
    pages: &'a Pages,
    read: RefCell<BTreeSet<NibblePath>>,
}

impl PageSource for Counted<'_> {
    type Error = Infallible;

    fn page(&self, path: &NibblePath) -> Result<Option<Page>, Infallible> {
        assert!(self.read.borrow_mut().insert(*path), "{path} is read twice");
        self.pages.page(path)
    }
}

fn filled(values: &Values) -> (Pages, Digest) {
    let mut pages = Pages::new();
    let changes: Vec<_> = hashes(values).map(|(key, hash)| (key, Some(hash))).collect();
    let root = apply(&mut pages, &changes);
    let is_branch = |page: &Page| page.slots().iter().filter(|slot| **slot != Slot::Empty).count() > 0;
    assert!(pages.values().all(is_branch));
    (pages, root)
}

fn hashes(values: &Values) -> impl Iterator<Item = (StateKey, Digest)> {
    values.iter().map(|(key, value)| (*key, sha256(value)))
}

fn with_siblings(proof: &Proof, change: impl FnOnce(&mut Vec<Digest>)) -> Proof {
    let mut siblings = proof.siblings.to_vec();
    change(&mut siblings);
    Proof { siblings: List::new(siblings).unwrap(), ..proof.clone() }
}

fn flipped(mut bytes: [u8; 32], bit: usize) -> [u8; 32] {
    bytes[bit / 8] ^= 0x80 >> (bit % 8);
    bytes
}

fn last_bit(key: StateKey) -> StateKey {
    StateKey(flipped(key.0, 255))
}
