//! Every chain that the tests of `ledger/state` drive, judged a second time by the naive ledger.
//!
//! The files below are those tests, as they stand. After each block that they decide, the naive ledger recomputes it
//! from the bytes and compares every record and entry; of each submission that they see refused, it has to say with
//! which word. So every admission, refusal, verdict and life cycle that is tested there is asked of two programs that
//! were written apart.

// Each file brings its own copy of what it shares with the others.
#![allow(clippy::unwrap_used, clippy::duplicate_mod)]

#[path = "../../../ledger/state/tests/acts.rs"]
mod acts;
#[path = "../../../ledger/state/tests/admission.rs"]
mod admission;
#[path = "../../../ledger/state/tests/agents.rs"]
mod agents;
#[path = "../../../ledger/state/tests/determinism.rs"]
mod determinism;
#[path = "../../../ledger/state/tests/life.rs"]
mod life;
#[path = "../../../ledger/state/tests/linkage.rs"]
mod linkage;
#[path = "../../../ledger/state/tests/proofs.rs"]
mod proofs;
#[path = "../../../ledger/state/tests/records.rs"]
mod records;
#[path = "../../../ledger/state/tests/testimony.rs"]
mod testimony;
#[path = "../../../ledger/state/tests/votes.rs"]
mod votes;

/// What the chains call.
pub(crate) mod second {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use custos_proof::cbor::Wire as _;
    use custos_proof::genesis::Genesis;
    use custos_proof::hash::BlockId;
    use custos_proof::header::Block;
    use custos_sim::oracle::{Naive, Shown, What};
    use custos_state::changes::Changes;
    use custos_state::error::Refusal;

    thread_local! {
        /// By the head's block id: chains of one genesis may part.
        static LEDGERS: RefCell<BTreeMap<BlockId, Naive>> = const { RefCell::new(BTreeMap::new()) };
    }

    fn before(genesis: &Genesis, block: &Block) -> Naive {
        let parent = block.header.parent;
        LEDGERS.with_borrow(|ledgers| ledgers.get(&parent).cloned()).unwrap_or_else(|| {
            assert_eq!(parent, genesis.block_id(), "a block that was not judged");
            Naive::new(&genesis.to_bytes()).unwrap()
        })
    }

    /// A block was decided.
    pub(crate) fn decided(genesis: &Genesis, block: &Block, changes: &Changes) {
        let mut naive = before(genesis, block);
        let records: Vec<Vec<u8>> = changes.records.iter().map(|new| new.bytes.clone()).collect();
        let shown = Shown { records: &records, entries: &changes.entries };
        if let Err(finding) = naive.block_shown(block, &shown) {
            panic!("the naive ledger disagrees: {finding}");
        }
        assert_eq!(naive.head(), changes.block_id);
        for submission in &changes.submissions {
            naive.acknowledged(&submission.id).unwrap();
        }
        LEDGERS.with_borrow_mut(|ledgers| ledgers.insert(naive.head(), naive));
    }

    /// A block is invalid because its last submission had to be refused.
    pub(crate) fn refused(genesis: &Genesis, block: &Block, refusal: &Refusal) {
        let found = before(genesis, block).block(block).expect_err("the naive ledger admits it");
        match found.what {
            What::Inadmissible { word, position, .. } => {
                assert_eq!((word, position), (refusal.code.word(), refusal.item), "{refusal}");
            }
            other => panic!("{other}, not {refusal}"),
        }
    }
}
