//! Random histories of every kind: the rules and the naive ledger agree on what is admitted, and on every record and entry.
//!
//! A history is a list of numbers, one for each block; what is said in a block follows from its number and from what was
//! said before, so that a failing history shrinks to a few blocks. Statements and acts refer to what is there, mostly
//! rightly and often wrongly: foreign trails, ended rules, ids that were used, items that others sent.

#![allow(clippy::unwrap_used)]

#[path = "../../../ledger/state/tests/common/mod.rs"]
mod common;
mod said;

use std::collections::BTreeSet;

use custos_proof::cbor::Wire;
use custos_proof::header::Block;
use custos_proof::item::Item;
use custos_proof::kinds::{Fields, Kind};
use custos_proof::submission::Verified;
use custos_sim::oracle::{Naive, Shown, What};
use custos_state::view::View;
use proptest::prelude::*;

use said::World;

/// These chains are judged here.
mod second {
    use custos_proof::{genesis::Genesis, header::Block};
    use custos_state::{changes::Changes, error::Refusal};

    pub(crate) fn decided(_: &Genesis, _: &Block, _: &Changes) {}
    pub(crate) fn refused(_: &Genesis, _: &Block, _: &Refusal) {}
}

/// What a run of histories has seen.
#[derive(Default)]
struct Seen {
    kinds: BTreeSet<Kind>,
    words: BTreeSet<&'static str>,
    codes: BTreeSet<u64>,
    facts: usize,
    records: usize,
}

/// Drives a history and compares after every block.
fn drive(rolls: &[u64], seen: &mut Seen) -> Result<(), TestCaseError> {
    let mut world = World::new();
    let mut naive = Naive::new(&world.chain.genesis.to_bytes()).unwrap();
    for roll in rolls {
        let said = world.block(*roll);
        let built = world.chain.build(said.clone()).unwrap();
        let block = Block::from_bytes(&built.block.to_bytes()).unwrap();
        let height = block.header.height;
        // What the proposer refused, in its place among what it admitted.
        let mut body = Vec::new();
        for submission in &said {
            let bytes = submission.bytes().to_vec();
            if block.body.contains(&bytes) {
                if !body.contains(&bytes) {
                    body.push(bytes);
                }
                continue;
            }
            let (_, refusal) = built.refused.iter().find(|(id, _)| *id == submission.id()).unwrap();
            let with = Block { header: block.header.clone(), body: [&body[..], &[bytes]].concat() };
            let word = match naive.clone().block(&with).map_err(|finding| finding.what) {
                Err(What::Inadmissible { word, .. }) => word,
                other => {
                    let told = told(submission);
                    return Err(TestCaseError::fail(format!("{height}: {refusal}, not {other:?}\n{told}")));
                }
            };
            prop_assert_eq!(word, refusal.code.word(), "{}: {}\n{}", height, refusal, told(submission));
            seen.words.insert(word);
        }
        let records: Vec<Vec<u8>> = built.changes.records.iter().map(|new| new.bytes.clone()).collect();
        let shown = Shown { records: &records, entries: &built.changes.entries };
        if let Err(finding) = naive.block_shown(&block, &shown) {
            let told: Vec<_> = said.iter().map(told).collect();
            return Err(TestCaseError::fail(format!("{finding}\n{}", told.join("\n"))));
        }
        world.chain.store.commit(&built.changes).unwrap();
        prop_assert_eq!(naive.head(), world.chain.store.head().unwrap().block_id);
        for new in &built.changes.records {
            let record = custos_proof::record::Record::from_bytes(&new.bytes).unwrap();
            seen.records += 1;
            match (&record.entry, &new.item) {
                (custos_proof::record::Entry::Item(entry), Some((_, bytes))) => {
                    seen.codes.extend(entry.verdict.codes.iter().map(|code| code.number()));
                    seen.kinds.insert(Item::from_bytes(bytes).unwrap().kind());
                }
                (custos_proof::record::Entry::Due(_), _) => seen.facts += 1,
                _ => {}
            }
        }
    }
    let theirs: Vec<_> = world.chain.store.entries().map(|(key, value)| (*key, value.to_vec())).collect();
    let ours: Vec<_> = naive.entries().map(|(key, value)| (key, value.to_vec())).collect();
    prop_assert_eq!(theirs, ours);
    Ok(())
}

/// The items of a submission, for a failure's message.
fn told(submission: &Verified) -> String {
    let items = submission.items().iter().map(|bytes| match Item::from_bytes(bytes) {
        Ok(Item { fields: Fields::ProposalOpen(open), .. }) => format!("  proposal of {:?}", open.acts),
        Ok(item) => format!("  {:?}", item.fields),
        Err(error) => format!("  {error}"),
    });
    let items: Vec<_> = items.collect();
    format!("{} says:\n{}", submission.payload().author, items.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rules_and_oracle_agree_on_random_histories(rolls in prop::collection::vec(any::<u64>(), 1..40)) {
        drive(&rolls, &mut Seen::default())?;
    }
}

/// The histories are about something: all kinds of testimony and acts, most refusals and codes, and facts.
#[test]
fn random_histories_leave_little_out() {
    let mut seen = Seen::default();
    for seed in 0..4u64 {
        let rolls: Vec<u64> = (0..100).map(|i| seed * 1_000_003 + i * 7_919 + 1).collect();
        drive(&rolls, &mut seen).unwrap();
    }
    let direct = [
        Kind::ParticipantRegister,
        Kind::ParticipantUpdate,
        Kind::ParticipantSuspend,
        Kind::PolicySet,
        Kind::ProtocolUpgrade,
        Kind::ValidatorPut,
        Kind::ValidatorRemove,
    ];
    let missing: Vec<_> =
        Kind::ALL.iter().filter(|kind| !seen.kinds.contains(kind) && !direct.contains(kind)).collect();
    assert!(missing.is_empty(), "never recorded: {missing:?}");
    assert!(seen.facts > 5, "{} facts of {} records", seen.facts, seen.records);
    assert!(seen.codes.len() > 20, "codes: {:?}", seen.codes);
    assert!(seen.words.len() > 14, "refusals: {:?}", seen.words);
}
