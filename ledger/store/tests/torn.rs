//! A write-ahead log whose last write was torn by a crash: the block before it, without a word.
//!
//! ```text
//! CUSTOS_CUT_STRIDE=1    cut at every byte
//! ```
//!
//! # Correctness
//! That block was never acknowledged, so that a node MUST start without it. What is cut off here is what `flipped.rs`
//! wants refused when a flipped bit makes it look cut off.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;

use common::Network;
use common::files::{copy, files, folder, headers, rows};
use custos_proof::ids::Height;
use custos_store::{Checks, Store, fsck};

/// Between the cuts, unless the environment says otherwise; those near a header are always made.
const STRIDE: usize = 307;
/// The log's own blocks.
const BLOCK: usize = 32 << 10;

#[test]
fn a_log_cut_anywhere_in_its_last_write_is_the_block_before() {
    let dir = folder();
    let mut network = Network::new();
    let store = Store::create(dir.path(), &network.genesis, &network.start).unwrap();
    let log = || {
        let found = files(dir.path()).into_iter().find(|(name, _)| name.ends_with(".log")).unwrap();
        (found.0, std::fs::read(found.1).unwrap())
    };
    let mut commit = |height: u64| {
        let before = (log().1.len(), rows(copy(&files(dir.path()), None).path()));
        let block = network.varied(&store.snapshot().unwrap());
        store.commit(&block.changes, &block.certificate).unwrap();
        (Height(height - 1), before)
    };
    let stride = std::env::var("CUSTOS_CUT_STRIDE").map_or(STRIDE, |stride| stride.parse().unwrap());
    let (mut within, mut across) = (0, 0);
    for height in 1.. {
        let (earlier, (begins, expected)) = commit(height);
        let (name, whole) = log();
        // One write that lies within a block of the log, and one in two fragments.
        let seen = if begins / BLOCK == (whole.len() - 1) / BLOCK { &mut within } else { &mut across };
        *seen += 1;
        if *seen > 1 {
            continue;
        }
        let near = headers(&whole).into_iter().flat_map(|at| at.saturating_sub(1)..at + 9);
        let cuts = (begins..whole.len()).step_by(stride).chain(near).chain([whole.len() - 1]);
        let cuts: BTreeSet<usize> = cuts.filter(|cut| (begins..whole.len()).contains(cut)).collect();
        println!("{} cuts in the {} bytes of block {height}", cuts.len(), whole.len() - begins);
        for cut in cuts {
            let copy = copy(&files(dir.path()), Some((&name, &whole[..cut])));
            let head = Store::open(copy.path()).map(|store| store.head().height);
            assert_eq!(head.unwrap(), earlier, "cut at {cut}");
            assert_eq!(rows(copy.path()), expected, "cut at {cut}");
            assert_eq!(fsck(copy.path(), &Checks::default(), &mut |_| {}).unwrap().blocks, earlier.0);
        }
        if within > 0 && across > 0 {
            break;
        }
    }
}
