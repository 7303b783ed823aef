//! Random histories: every receipt and every trail proof of them verifies, and none of them elsewhere.
//!
//! The oracle has checked each block already, under its own header; here all of them are proven under the
//! last one, in parts, too, and shown to somebody who believes another chain.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use custos_proof::cbor::{Set, Wire};
use custos_proof::hash::Digest;
use custos_proof::ids::Height;
use custos_proof::keys::KeyPurpose;
use custos_proof::kinds::Fields;
use custos_proof::kinds::access::{Basis, Event, Late};
use custos_proof::kinds::rule::Put;
use custos_proof::receipt::Receipt;
use custos_proof::trail::TrailName;
use custos_proof::trail_proof::TrailProof;
use custos_proof::verify::{self, Failure};
use proptest::prelude::*;

/// One thing that somebody says. Numbers choose among what there is.
#[derive(Debug, Clone)]
enum Step {
    Open {
        custodian: usize,
        subject: usize,
        grantee: Option<usize>,
    },
    Put {
        trail: usize,
        ends: bool,
    },
    Access {
        author: usize,
        trail: Option<usize>,
        cited: bool,
        at: u64,
        late: bool,
    },
    Key {
        owner: usize,
    },
    Close {
        trail: usize,
    },
    /// What was said last is said again.
    Again,
    Wait {
        ms: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let hospital = 0..HOSPITALS.len();
    prop_oneof![
        3 => (hospital.clone(), 0..3usize, prop::option::of(hospital.clone()))
            .prop_map(|(custodian, subject, grantee)| Step::Open { custodian, subject, grantee }),
        3 => (any::<usize>(), any::<bool>()).prop_map(|(trail, ends)| Step::Put { trail, ends }),
        6 => (hospital.clone(), prop::option::of(any::<usize>()), any::<bool>(), 0..20u64, any::<bool>())
            .prop_map(|(author, trail, cited, at, late)| Step::Access { author, trail, cited, at, late }),
        1 => hospital.prop_map(|owner| Step::Key { owner }),
        1 => any::<usize>().prop_map(|trail| Step::Close { trail }),
        1 => Just(Step::Again),
        1 => (0..4_000_000u64).prop_map(|ms| Step::Wait { ms }),
    ]
}

/// The blocks of a history, made of these steps; what is refused is left out, as proposers do.
fn history(blocks: &[Vec<Step>]) -> Chain {
    let mut chain = Chain::begin("random", BEGIN);
    let mut trails: Vec<(&str, Digest, Option<&str>)> = Vec::new();
    let mut rules: Vec<Put> = Vec::new();
    for steps in blocks {
        let mut said = Vec::new();
        for step in steps {
            let pick = |i: usize| (!trails.is_empty()).then(|| trails[i % trails.len()]);
            match step {
                Step::Open { custodian, subject, grantee } => {
                    let (custodian, grantee) = (HOSPITALS[*custodian], grantee.map(|g| HOSPITALS[g]));
                    let open = chain.open(custodian, &format!("subject {subject}"), grantee);
                    trails.push((custodian, local_id_of(&open), grantee));
                    said.push(chain.acts(custodian, vec![open]));
                }
                Step::Put { trail, ends } => {
                    let Some((custodian, local_id, _)) = pick(*trail) else { continue };
                    let ends = rules.last().filter(|_| *ends).map(|rule| rule.rule).into_iter().collect();
                    let put = Put { ends: Set::new(ends).unwrap(), ..chain.rule(custodian, local_id) };
                    rules.push(put.clone());
                    said.push(chain.acts(custodian, vec![Fields::RulePut(put)]));
                }
                Step::Access { author, trail, cited, at, late } => {
                    let author = HOSPITALS[*author];
                    let (custodian, local_id, grantee) = match trail.and_then(pick) {
                        Some((custodian, local_id, grantee)) => (custodian, Some(local_id), grantee),
                        None => (author, None, None),
                    };
                    let event = chain.event(custodian, local_id, grantee.unwrap_or(author));
                    let cited = rules.last().filter(|_| *cited).map(|rule| rule.rule);
                    let event = Event {
                        basis: if cited.is_some() { Basis::Consent } else { Basis::Law },
                        cited,
                        at_height: Height(*at),
                        late: if *late { Late::Spooled } else { Late::None },
                        stream: *at as u32 % 3,
                        sequence: *at,
                        ..event
                    };
                    said.push(chain.testimony(author, vec![event.clone(), event]));
                }
                Step::Key { owner } => {
                    let name =
                        format!("random key {}", u64::from_be_bytes(chain.fresh()[..8].try_into().unwrap()));
                    let add = chain.add_key(HOSPITALS[*owner], &key(&name), KeyPurpose::Note);
                    said.push(chain.acts(HOSPITALS[*owner], vec![add]));
                }
                Step::Close { trail } => {
                    let Some((custodian, local_id, _)) = pick(*trail) else { continue };
                    said.push(chain.acts(custodian, vec![close(local_id)]));
                }
                Step::Again => said.extend(said.last().cloned()),
                Step::Wait { ms } => chain.wait(*ms),
            }
        }
        let built = chain.build(said.clone()).unwrap();
        let kept: Vec<_> = built
            .block
            .body
            .iter()
            .map(|bytes| said.iter().find(|submission| submission.bytes() == bytes).unwrap().clone())
            .collect();
        chain.decide(built, kept);
    }
    chain
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_proof_verifies_here_and_nowhere_else(blocks in prop::collection::vec(prop::collection::vec(step(), 0..6), 1..8)) {
        let chain = history(&blocks);
        let (anchor, other) = (chain.anchor(), Chain::begin("another", BEGIN).anchor());
        // The same validators with the same keys, in another chain.
        prop_assert_eq!(&anchor.validators, &other.validators);
        let (leaves, entries) = (chain.leaves(), chain.entries());

        for (index, new) in chain.store.records().iter().enumerate() {
            if new.item.is_none() {
                continue;
            }
            let receipt = chain.receipt_in(index as u64, &leaves, &entries);
            let receipt = Receipt::from_bytes(&receipt.to_bytes()).unwrap();
            let proven = verify::receipt(&receipt, &ground(&anchor)).unwrap();
            prop_assert_eq!(proven.item.record.to_bytes(), new.bytes.clone());
            let refused = verify::receipt(&receipt, &ground(&other));
            prop_assert!(matches!(refused, Err(Failure::OtherChain { .. })), "it is of another chain");
            // Nor by saying that it is of the other chain: nobody signed that.
            let mut relabelled = receipt;
            relabelled.header.chain = other.chain;
            prop_assert!(verify::receipt(&relabelled, &ground(&other)).is_err());
            relabelled.certificate.block_id = relabelled.header.block_id();
            let refused = verify::receipt(&relabelled, &ground(&other));
            prop_assert!(matches!(refused, Err(Failure::Certificate(_))));
        }

        let mut names = chain.trail_names();
        names.push(TrailName::subject(&id("hospital-a"), Digest([9; 32])));
        for name in names {
            let records = chain.trail_records(&name.key());
            let whole = chain.whole_trail(&name);
            prop_assert_eq!(&TrailProof::from_bytes(&whole.to_bytes()).unwrap(), &whole);
            let proven = verify::trail(&whole, &ground(&anchor)).unwrap();
            let shown: Vec<u64> = proven.entries.iter().map(|entry| entry.record.index.0).collect();
            prop_assert_eq!(&shown, &records);
            prop_assert!(proven.is_complete());
            let refused = verify::trail(&whole, &ground(&other));
            prop_assert!(matches!(refused, Err(Failure::OtherChain { .. })), "it is of another chain");
            if records.len() > 1 {
                let middle = records.len() / 2;
                for part in [0..middle, middle..records.len(), middle - 1..middle] {
                    let proven = verify::trail(&chain.trail_proof(&name, part.clone()), &ground(&anchor)).unwrap();
                    prop_assert_eq!((proven.begin, proven.entries.len()), (part.start as u64, part.len()));
                    prop_assert!(!proven.is_complete());
                }
            }
        }
    }
}
