//! Tiles: the hashes of a Merkle tree, 256 at a time, so that a proof is a handful of reads.
//!
//! A tile of level 0 holds the leaf hashes `256 * tile ..`; a tile of level `l` holds the roots of
//! perfect subtrees of `256^l` leaves. That is the tiling of C2SP's tlog-tiles with height 8, and the
//! same bytes serve mirrors. The last tile of each level is partial until it is full, and is replaced
//! as it grows.
//!
//! Behind its hashes a tile carries the roots over each complete 16 of them, and over each complete 64:
//! twenty hashes in a full tile. They cost two and a half bytes per record; a path through a full tile
//! computes 13 hashes instead of 247.
//!
//! Deliberately absent: the rest of the nodes, which a path computes from at most eight hashes.

use custos_proof::hash::Digest;
use custos_proof::merkle::{self, Node};

use crate::tables::{concatenated, hashes};

/// The levels of the tree in one tile.
pub(crate) const HEIGHT: u8 = 8;
/// The hashes of a full tile.
pub(crate) const WIDTH: usize = 256;
/// How many hashes an inner node covers, by row.
const INNER: [usize; 2] = [16, 64];
/// The most hashes in a tile's bytes: its own and the inner nodes.
const MOST: usize = WIDTH + WIDTH / INNER[0] + WIDTH / INNER[1];

/// Some hashes of one level, in a row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Tile {
    hashes: Vec<Digest>,
    /// The roots over each complete run of as many hashes as [`INNER`] says.
    inner: [Vec<Digest>; 2],
}

impl Tile {
    /// The tile that begins with these hashes. MUST be at most [`WIDTH`].
    pub(crate) fn of(hashes: Vec<Digest>) -> Self {
        let small: Vec<Digest> = hashes.chunks_exact(INNER[0]).map(merkle::root_of).collect();
        let large = small.chunks_exact(INNER[1] / INNER[0]).map(merkle::root_of).collect();
        Self { hashes, inner: [small, large] }
    }

    /// The roots over each complete 2, 4, 8 and so on of the hashes: everything that [`Tile::root`] would compute.
    pub(crate) fn nodes(&self) -> Vec<Vec<Digest>> {
        let mut rows: Vec<Vec<Digest>> = Vec::with_capacity(HEIGHT.into());
        for _ in 0..HEIGHT {
            let below = rows.last().unwrap_or(&self.hashes);
            rows.push(below.chunks_exact(2).map(merkle::root_of).collect());
        }
        rows
    }

    /// The tile's hashes.
    pub(crate) fn hashes(&self) -> &[Digest] {
        &self.hashes
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = concatenated(&self.hashes);
        self.inner.iter().for_each(|row| bytes.extend(concatenated(row)));
        bytes
    }

    /// Reads what [`Tile::to_bytes`] writes; `None` for any other length. Inner nodes are taken as they are: a wrong
    /// one makes a proof that does not verify, and fsck compares them.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut all = hashes(bytes)?;
        if all.is_empty() || all.len() > MOST {
            return None;
        }
        // One number of own hashes at most gives this number of all: more of them are never fewer in all.
        let own = (1..=all.len().min(WIDTH))
            .rev()
            .find(|own| own + own / INNER[0] + own / INNER[1] <= all.len())
            .filter(|own| own + own / INNER[0] + own / INNER[1] == all.len())?;
        let mut small = all.split_off(own);
        let large = small.split_off(own / INNER[0]);
        Some(Self { hashes: all, inner: [small, large] })
    }

    /// The root over `count` hashes from `offset` on; `None` if they are not all here. `count` MUST be a power of two
    /// that divides `offset`.
    pub(crate) fn root(&self, offset: usize, count: usize) -> Option<Digest> {
        let (row, covers) = if count >= INNER[1] {
            (&self.inner[1], INNER[1])
        } else if count >= INNER[0] {
            (&self.inner[0], INNER[0])
        } else {
            (&self.hashes, 1)
        };
        let (offset, count) = (offset / covers, count / covers);
        row.get(offset..offset.checked_add(count)?).map(merkle::root_of)
    }
}

/// Where a perfect subtree is found: in which tile, from which hash on, and how many of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) level: u8,
    pub(crate) tile: u64,
    pub(crate) offset: usize,
    pub(crate) count: usize,
}

impl Spot {
    /// The spot of the subtree `index` at `level` of the binary tree; `None` if no tree of 2^63 leaves has it.
    pub(crate) fn of(level: u8, index: u64) -> Option<Self> {
        let within = level % HEIGHT;
        let first = index.checked_mul(1 << within)?;
        (level < 64).then_some(Self {
            level: level / HEIGHT,
            tile: first >> HEIGHT,
            offset: (first & 0xff) as usize,
            count: 1 << within,
        })
    }
}

/// How many hashes tile number `tile` of `level` has in a tree of `size` leaves.
pub(crate) fn length(level: u8, tile: u64, size: u64) -> usize {
    let nodes = size.checked_shr(u32::from(level) * u32::from(HEIGHT)).unwrap_or(0);
    let behind = nodes.saturating_sub(tile.saturating_mul(WIDTH as u64));
    usize::try_from(behind).unwrap_or(WIDTH).min(WIDTH)
}

/// The last, partial tile of each level: what a log needs in memory to go on growing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Edge {
    /// By level: the number of the tile, and its hashes; never full.
    levels: Vec<(u64, Vec<Digest>)>,
}

/// A tile that an [`Edge`] has to write.
pub(crate) type Written = (u8, u64, Tile);

impl Edge {
    /// The edge of a tree of `size` leaves whose partial tiles `read` gives: level and number to hashes.
    pub(crate) fn load<E>(
        size: u64,
        mut read: impl FnMut(u8, u64, usize) -> Result<Vec<Digest>, E>,
    ) -> Result<Self, E> {
        let mut levels = Vec::new();
        let (mut level, mut nodes) = (0, size);
        while nodes > 0 {
            let (tile, len) = (nodes >> HEIGHT, (nodes & 0xff) as usize);
            levels.push((tile, if len == 0 { vec![] } else { read(level, tile, len)? }));
            nodes = tile;
            level += 1;
        }
        Ok(Self { levels })
    }

    /// Takes up a completed subtree, in the order in which they are completed. Full tiles go to `written`.
    pub(crate) fn push(&mut self, node: &Node, written: &mut Vec<Written>) {
        if !node.level.is_multiple_of(HEIGHT) {
            return;
        }
        let level = node.level / HEIGHT;
        let at = usize::from(level);
        if self.levels.len() <= at {
            self.levels.resize(at + 1, (0, vec![]));
        }
        let (tile, hashes) = &mut self.levels[at];
        hashes.push(node.hash);
        if hashes.len() == WIDTH {
            written.push((level, *tile, Tile::of(std::mem::take(hashes))));
            *tile += 1;
        }
    }

    /// The partial tiles that differ from those of an earlier edge of the same tree.
    pub(crate) fn changed_since(&self, earlier: &Edge) -> Vec<Written> {
        (0u8..)
            .zip(&self.levels)
            .filter(|(level, (_, hashes))| {
                !hashes.is_empty()
                    && earlier.levels.get(usize::from(*level)) != Some(&self.levels[usize::from(*level)])
            })
            .map(|(level, (tile, hashes))| (level, *tile, Tile::of(hashes.clone())))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use custos_proof::merkle::{Frontier, NodeSource};
    use std::collections::BTreeMap;

    struct Written(BTreeMap<(u8, u64), Vec<u8>>);

    impl NodeSource for Written {
        type Error = ();
        fn subtree(&self, level: u8, index: u64) -> Result<Digest, ()> {
            let spot = Spot::of(level, index).ok_or(())?;
            let bytes = self.0.get(&(spot.level, spot.tile)).ok_or(())?;
            Tile::from_bytes(bytes).ok_or(())?.root(spot.offset, spot.count).ok_or(())
        }
    }

    fn leaf(i: u64) -> Digest {
        merkle::leaf_hash(&i.to_be_bytes())
    }

    /// RFC 6962, section 2.1, written down as it stands there.
    fn naive_root(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => merkle::EMPTY_ROOT,
            [one] => *one,
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                merkle::node_hash(&naive_root(&leaves[..split]), &naive_root(&leaves[split..]))
            }
        }
    }

    #[test]
    fn every_tree_up_to_and_around_the_tile_boundaries_is_the_naive_tree() {
        let leaves: Vec<Digest> = (0..66_000).map(leaf).collect();
        let (mut tiles, mut edge, mut frontier) =
            (Written(BTreeMap::new()), Edge::default(), Frontier::new());
        let stops =
            [1u64, 2, 3, 255, 256, 257, 300, 511, 512, 513, 4095, 65_535, 65_536, 65_537, 65_792, 66_000];
        for stop in stops {
            let (before, mut full) = (edge.clone(), vec![]);
            while frontier.size() < stop {
                for node in frontier.append(leaves[frontier.size() as usize]) {
                    edge.push(&node, &mut full);
                }
            }
            for (level, tile, content) in full.into_iter().chain(edge.changed_since(&before)) {
                tiles.0.insert((level, tile), content.to_bytes());
            }
            let root = naive_root(&leaves[..stop as usize]);
            assert_eq!(merkle::root(&tiles, stop), Ok(root), "size {stop}");
            assert_eq!(frontier.root(), root);
            for (level, tile) in tiles.0.keys() {
                let own = Tile::from_bytes(&tiles.0[&(*level, *tile)]).unwrap().hashes.len();
                assert_eq!(length(*level, *tile, stop), own, "tile {tile} of level {level}, size {stop}");
            }
            assert_eq!((length(0, stop, stop), length(9, 0, stop), length(255, 0, stop)), (0, 0, 0));
            for index in [0, stop / 3, stop / 2, stop - 1] {
                let path = merkle::prove_inclusion(&tiles, index, stop).unwrap();
                assert!(merkle::verify_inclusion(&leaves[index as usize], index, stop, &path, &root));
            }
            for old in stops.into_iter().filter(|old| *old <= stop) {
                let path = merkle::prove_consistency(&tiles, old, stop).unwrap();
                assert!(merkle::verify_consistency(
                    old,
                    &naive_root(&leaves[..old as usize]),
                    stop,
                    &root,
                    &path
                ));
            }
            let read = |level, tile, len| {
                let found = Tile::from_bytes(&tiles.0[&(level, tile)]).unwrap().hashes;
                if found.len() == len { Ok(found) } else { Err(()) }
            };
            assert_eq!(Edge::load(stop, read), Ok(edge.clone()), "size {stop}");
        }
    }

    #[test]
    fn a_tile_of_an_odd_length_is_none() {
        for len in [0, 31, 33, 32 * 16, 32 * 67, 32 * 257, 32 * 275, 32 * 277] {
            assert_eq!(Tile::from_bytes(&vec![1; len]), None, "{len}");
        }
    }

    #[test]
    fn a_tile_of_any_length_is_read_as_it_was_written_and_gives_every_root() {
        for len in 1..=WIDTH {
            let leaves: Vec<Digest> = (0..len as u64).map(leaf).collect();
            let tile = Tile::of(leaves.clone());
            assert_eq!(Tile::from_bytes(&tile.to_bytes()).as_ref(), Some(&tile), "{len}");
            let nodes = tile.nodes();
            for count in (0..=HEIGHT).map(|level| 1usize << level) {
                for offset in (0..WIDTH).step_by(count) {
                    let expected = leaves.get(offset..offset + count).map(naive_root);
                    assert_eq!(tile.root(offset, count), expected, "{count} from {offset} of {len}");
                    if let Some(row) = count.ilog2().checked_sub(1) {
                        assert_eq!(nodes[row as usize].get(offset / count).copied(), expected);
                    }
                }
            }
        }
    }
}
