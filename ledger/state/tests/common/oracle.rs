//! The oracle: recomputes what the last header says from the log, the entries and the bodies.
//!
//! It reads bytes and hashes them with [`super::naive`]; of the crates it uses the decoders, and the
//! verifier, which is asked to accept what was put together here.

use std::collections::BTreeMap;

use custos_proof::cbor::Wire;
use custos_proof::hash::{Digest, TrailKey};
use custos_proof::ids::{LogIndex, LogSize};
use custos_proof::record::{Entry, MAX_RECORD_BYTES, Record};
use custos_proof::registry::{self, TrailHead};
use custos_proof::verify;
use custos_state::apply::MAX_DUE_PER_BLOCK;
use custos_state::changes::Placed;
use custos_state::view::View;

use super::{Chain, Ground, ground, naive};

/// Everything that must hold after a block.
pub(crate) fn ask(chain: &Chain) {
    let head = chain.blocks.last().unwrap();
    let header = &head.changes.header;
    let entries = chain.entries();
    let leaves = chain.leaves();

    // The header.
    assert_eq!(header.log_size, LogSize(leaves.len() as u64));
    assert_eq!(header.log_root, naive::root(&leaves), "log root");
    assert_eq!(header.state_root, naive::state_root(&entries), "state root");
    assert_eq!(header.body_root, body_root(chain), "body root");
    assert_eq!(
        header.parent,
        chain.blocks.iter().rev().nth(1).map_or(chain.genesis.block_id(), |b| b.changes.block_id)
    );
    assert_eq!(head.changes.head, *chain.store.head().unwrap());
    head.certificate.verify(&chain.id, &chain.validators).unwrap();

    // The log: one block record first, then items, each where it says.
    let first = leaves.len() - head.changes.records.len();
    let mut trails: BTreeMap<TrailKey, Vec<Digest>> = BTreeMap::new();
    let mut facts = Vec::new();
    for (index, (new, leaf)) in chain.store.records().iter().zip(&leaves).enumerate() {
        let record = Record::from_bytes(&new.bytes).unwrap();
        assert!(new.bytes.len() <= MAX_RECORD_BYTES);
        assert_eq!(record.index, LogIndex(index as u64));
        assert_eq!(new.leaf, *leaf);
        for listing in record.listings() {
            let trail = trails.entry(listing.trail).or_default();
            assert_eq!(listing.position, trail.len() as u64, "a position was left out or used twice");
            trail.push(*leaf);
        }
        if index < first {
            continue;
        }
        assert_eq!((record.height, record.time), (header.height, header.time));
        match &record.entry {
            Entry::Block { parent } => assert_eq!((index, *parent), (first, header.parent)),
            Entry::Item(item) => {
                let submission = &chain.submissions[&item.submission];
                let bytes = &submission.items()[item.position as usize];
                assert_eq!(item.item.0, naive::leaf(bytes).0);
                assert_eq!(item.author, submission.payload().author);
                assert_eq!(new.item.as_ref().map(|(_, bytes)| bytes), Some(bytes));
                assert!(!item.trails.is_empty(), "an item that no trail lists");
            }
            // Facts come first, in order, each when its time has come and not before.
            Entry::Due(due) => {
                assert!(due.deadline <= header.time && new.item.is_none());
                assert!(!due.trails.is_empty(), "a fact that no trail lists");
                let place = (due.deadline, due.cause, due.rule);
                assert!(index == first + 1 + facts.len() && facts.last().is_none_or(|last| *last < place));
                facts.push(place);
            }
        }
    }

    // Nothing that is due waits while there is room.
    let next = chain.store.next_due().unwrap();
    assert!(facts.len() == MAX_DUE_PER_BLOCK || next.is_none_or(|next| next > header.time));
    assert_eq!(chain.follower.next_due().unwrap(), next);

    // The trails: the state map's heads are what the records say, and no others grew.
    for (trail, leaves) in &trails {
        let head = TrailHead::from_bytes(&entries[&registry::trail_key(trail)]).unwrap();
        assert_eq!((head.size, head.root), (leaves.len() as u64, naive::root(leaves)), "trail {trail}");
    }

    // Status: every item of every submission is where the block says.
    for submission in &head.changes.submissions {
        let signed = &chain.submissions[&submission.id];
        assert_eq!(submission.items.len(), signed.items().len());
        for (placed, bytes) in submission.items.iter().zip(signed.items()) {
            let (Placed::Here(index) | Placed::Before(index)) = placed;
            let record = chain.decoded(index.0);
            assert_eq!(record.as_item().unwrap().item.0, naive::leaf(bytes).0);
        }
    }

    // The verifier accepts what was put together from all this.
    let anchor = chain.anchor();
    let links = chain.links();
    let basis = Ground { links: &links, ..ground(&anchor) };
    for index in first + 1 + facts.len()..leaves.len() {
        let receipt = chain.receipt_in(index as u64, &leaves, &entries);
        let proven = verify::receipt(&receipt, &basis).unwrap();
        assert_eq!(proven.item.record.index.0, index as u64);
        assert!(proven.item.is_strict());
    }
    for name in chain.trail_names() {
        let key = name.key();
        if !trails.contains_key(&key) || head.changes.listings.iter().any(|l| l.trail == key) {
            let proven = verify::trail(&chain.whole_trail(&name), &basis).unwrap();
            assert!(proven.is_complete());
            assert_eq!(proven.size, trails.get(&key).map_or(0, |leaves| leaves.len() as u64));
        }
    }
}

/// `[3, submission id]` for each submission.
fn body_root(chain: &Chain) -> Digest {
    let head = chain.blocks.last().unwrap();
    let leaves: Vec<Digest> = head
        .block
        .body
        .iter()
        .map(|bytes| {
            let submission = custos_proof::submission::Submission::decode(bytes).unwrap();
            let mut leaf = vec![0x82, 0x03, 0x58, 0x20];
            leaf.extend(naive::sha(&[b"custos/1/submission\0", submission.envelope().sig_structure()]).0);
            naive::leaf(&leaf)
        })
        .collect();
    naive::root(&leaves)
}
