//! The formats of `ledger/proof`: bytes are refused, or they are the one encoding of what was read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use custos_proof::anchor::{Advance, Links, Recency, TRUST_PERIOD_MS, TrustAnchor};
use custos_proof::cbor::Wire;
use custos_proof::certificate::{Certificate, ValidatorSet};
use custos_proof::disclosure::{Disclosure, Openings, show};
use custos_proof::file::{self, File, Receipts};
use custos_proof::genesis::Genesis;
use custos_proof::hash::{Digest, StateKey};
use custos_proof::header::{Block, Header};
use custos_proof::item::{Item, item_hash, kind_name};
use custos_proof::kinds::Kind;
use custos_proof::policy::DecisionPolicy;
use custos_proof::receipt::Receipt;
use custos_proof::record::Record;
use custos_proof::registry::{self, Due, DuePlace};
use custos_proof::sealed_values::{describe, view};
use custos_proof::state_map::{NibblePath, Page, Proof, prove, root, update};
use custos_proof::submission::{Envelope, Submission, frame};
use custos_proof::trail_proof::TrailProof;
use custos_proof::verify::{self, Basis, Content, Failure, ProvenHeader, ProvenItem, ProvenTrail};
use custos_proof::witness::Witnessed;
use serde_json::Value;

use crate::corpus;
use crate::target::{Outcome, Target, Text};

macro_rules! targets {
    ($($name:literal: $reads:literal, $run:expr, $seeds:expr;)*) => {
        &[$(Target { name: $name, reads: $reads, text: Text::Bytes, run: $run, seeds: $seeds }),*]
    };
}

pub(super) const TARGETS: &[Target] = targets! {
    "submission": "submissions and their envelopes: what strangers send", submission, corpus::vectors;
    "item": "items of every kind", item, corpus::vectors;
    "record": "records: the leaves of the log", one_encoding::<Record>, inside::<Record>;
    "header": "headers of blocks", one_encoding::<Header>, inside::<Header>;
    "block": "blocks: a header and the bytes of its submissions", one_encoding::<Block>, blocks;
    "certificate": "commit certificates and validator sets", certificate, certificates;
    "receipt": "receipts, one and several", either::<Receipt, Receipts>, corpus::vectors;
    "trail_proof": "trail proofs", one_encoding::<TrailProof>, corpus::vectors;
    "disclosure": "disclosures and openings", either::<Disclosure, Openings>, corpus::vectors;
    "anchor": "trust anchors, links and advances", anchor, corpus::vectors;
    "genesis": "the beginning of a chain, and what it has to satisfy", genesis, corpus::vectors;
    "file": "files of any type, told apart by their first bytes", any_file, corpus::vectors;
    "verify": "a file judged from an anchor: nothing verifies but what the vectors show", verified, judged;
    "sealed_field": "values of sealed fields; the first two bytes choose kind and field", sealed_field, sealed;
    "state_map_proof": "proofs in the state map", one_encoding::<Proof>, corpus::vectors;
    "state_map_page": "pages of the state map and their keys", page, pages;
    "registry": "entries of the state map", entry, corpus::vectors;
};

fn one_encoding<T: Wire>(bytes: &[u8]) -> Outcome {
    Outcome::of(T::from_bytes(bytes).map(|value| {
        let _ = value.view();
        assert!(value.to_bytes() == bytes, "a value has another spelling");
    }))
}

fn either<A: Wire, B: Wire>(bytes: &[u8]) -> Outcome {
    match one_encoding::<A>(bytes) {
        Outcome::Accepted => Outcome::Accepted,
        refused => match one_encoding::<B>(bytes) {
            Outcome::Accepted => Outcome::Accepted,
            Outcome::Refused(_) => refused,
        },
    }
}

fn submission(bytes: &[u8]) -> Outcome {
    // Alone too: a fuzzer does not find the root of the items.
    if let Ok(envelope) = Envelope::decode(bytes) {
        assert!(envelope.bytes() == bytes, "an envelope has another spelling");
        let payload = envelope.payload().to_bytes();
        assert!(bytes.windows(payload.len()).any(|part| part == payload), "a payload has another spelling");
        return Outcome::Accepted;
    }
    Outcome::of(Submission::decode(bytes).map(|submission| {
        assert!(
            frame(submission.envelope().bytes(), submission.items()) == bytes,
            "a submission has another spelling"
        );
        submission.items().iter().for_each(|item| drop(Item::from_bytes(item)));
    }))
}

fn item(bytes: &[u8]) -> Outcome {
    let _ = (kind_name(bytes), item_hash(bytes));
    one_encoding::<Item>(bytes)
}

fn certificate(bytes: &[u8]) -> Outcome {
    either::<Certificate, ValidatorSet>(bytes)
}

fn anchor(bytes: &[u8]) -> Outcome {
    match either::<Links, Advance>(bytes) {
        Outcome::Accepted => Outcome::Accepted,
        Outcome::Refused(_) => either::<TrustAnchor, Witnessed>(bytes),
    }
}

fn genesis(bytes: &[u8]) -> Outcome {
    if let Ok(genesis) = Genesis::from_bytes(bytes) {
        let _ = (genesis.check(), genesis.chain(), TrustAnchor::from_genesis(&genesis));
    }
    one_encoding::<Genesis>(bytes)
}

fn any_file(bytes: &[u8]) -> Outcome {
    let outcome = Outcome::of(file::decode(bytes));
    if outcome == Outcome::Accepted {
        assert!(file::type_name(bytes).is_ok(), "a file without a type");
    }
    outcome
}

fn sealed_field(bytes: &[u8]) -> Outcome {
    let [kind, field, value @ ..] = bytes else { return Outcome::Refused("no kind and field".into()) };
    let Some(kind) = Kind::ALL.get(usize::from(*kind)) else { return Outcome::Refused("no kind".into()) };
    let words = describe(*kind, *field, value);
    assert_eq!(view(*kind, *field, value).is_ok(), words.is_ok());
    if let Ok(words) = &words {
        assert!(!words.chars().any(char::is_control), "what is shown to people has control characters");
    }
    Outcome::of(words)
}

fn page(bytes: &[u8]) -> Outcome {
    let path = NibblePath::from_bytes(bytes);
    if let Ok(path) = &path {
        assert!(path.to_bytes() == bytes, "a path has another spelling");
    }
    let page = match Page::from_bytes(bytes) {
        Ok(page) => page,
        Err(error) => {
            return if path.is_ok() { Outcome::Accepted } else { Outcome::Refused(error.to_string()) };
        }
    };
    assert!(page.to_bytes() == bytes, "a page has another spelling");
    // Used where it does not belong, it is an error and no panic.
    let pages = BTreeMap::from([(NibblePath::ROOT, page)]);
    let _ = root(&pages);
    for byte in [0x00, 0x7f, 0xff] {
        let key = StateKey([byte; 32]);
        let _ = (
            prove(&pages, &key),
            update(&pages, &[(key, Some(Digest::ZERO))]),
            update(&pages, &[(key, None)]),
        );
    }
    Outcome::Accepted
}

fn entry(bytes: &[u8]) -> Outcome {
    let readers: [fn(&[u8]) -> Outcome; 22] = [
        one_encoding::<registry::Participant>,
        one_encoding::<registry::KeyEntry>,
        one_encoding::<registry::Policy>,
        one_encoding::<registry::TrailHead>,
        one_encoding::<registry::SubjectTrail>,
        one_encoding::<registry::RuleStatus>,
        one_encoding::<registry::Bucket>,
        one_encoding::<registry::Proposal>,
        one_encoding::<registry::OpenProposal>,
        one_encoding::<registry::Protocol>,
        one_encoding::<registry::Roster>,
        one_encoding::<registry::Mandate>,
        one_encoding::<registry::Notarised>,
        one_encoding::<registry::Dispute>,
        one_encoding::<registry::Permit>,
        one_encoding::<registry::PermitTerms>,
        one_encoding::<registry::Emergency>,
        one_encoding::<registry::Transfer>,
        one_encoding::<registry::AgentEntry>,
        one_encoding::<registry::Hold>,
        one_encoding::<DuePlace>,
        either::<Due, DecisionPolicy>,
    ];
    let outcomes = readers.map(|read| read(bytes));
    let [first, ..] = &outcomes;
    if outcomes.contains(&Outcome::Accepted) { Outcome::Accepted } else { first.clone() }
}

/// What is known of the vectors' chains: every hash that a file shows which verifies unmutated.
struct Truth {
    anchors: Vec<TrustAnchor>,
    hashes: BTreeSet<String>,
    cases: Vec<Vec<u8>>,
}

static TRUTH: LazyLock<Truth> = LazyLock::new(|| {
    let vectors = corpus::vector_file("verify.json");
    let mut truth = Truth { anchors: Vec::new(), hashes: BTreeSet::new(), cases: Vec::new() };
    let mut names = Vec::new();
    for (name, bytes) in vectors["anchors"].as_object().into_iter().flatten() {
        let anchor =
            match bytes.as_str().and_then(|text| hex::decode(text).ok()).map(|bytes| file::decode(&bytes)) {
                Some(Ok(File::Anchor(anchor))) => Some(anchor),
                Some(Ok(File::Genesis(genesis))) => TrustAnchor::from_genesis(&genesis).ok(),
                _ => None,
            };
        if let Some(anchor) = anchor {
            names.push(name.clone());
            truth.anchors.push(anchor);
        }
    }
    for case in vectors["cases"].as_array().into_iter().flatten() {
        if case["exit"] == 0 {
            shown(&case["shows"], &mut truth.hashes);
        }
        let file = case["file"].as_str().and_then(|text| hex::decode(text).ok());
        let anchor = names.iter().position(|name| case["anchor"] == name.as_str());
        if let (Some(file), Some(anchor)) = (file, anchor.and_then(|place| u8::try_from(place).ok())) {
            // Without the links and dates that some cases are given besides, more than they say can verify.
            let basis = basis(&truth.anchors[usize::from(anchor)]);
            match file::decode(&file) {
                Ok(File::Receipt(receipt)) => truth.hashes.extend(
                    verify::receipt(&receipt, &basis)
                        .iter()
                        .flat_map(|proven| hashes(&proven.header, [&proven.item])),
                ),
                Ok(File::Trail(trail)) => truth.hashes.extend(
                    verify::trail(&trail, &basis)
                        .iter()
                        .flat_map(|proven| hashes(&proven.header, items_of(proven))),
                ),
                _ => {}
            }
            truth.cases.push([&[anchor], &file[..]].concat());
        }
    }
    truth
});

fn basis(anchor: &TrustAnchor) -> Basis<'_> {
    Basis { anchor, links: &[], recency: Recency { trust_period_ms: TRUST_PERIOD_MS, not_older_than: None } }
}

fn hashes<'a>(header: &ProvenHeader, items: impl IntoIterator<Item = &'a ProvenItem>) -> Vec<String> {
    let items = items.into_iter().map(|item| item.hash.to_string());
    std::iter::once(header.header.block_id().to_string()).chain(items).collect()
}

fn items_of(proven: &ProvenTrail) -> Vec<&ProvenItem> {
    proven
        .entries
        .iter()
        .filter_map(|entry| match &entry.content {
            Content::Item(item) => Some(&**item),
            Content::Withheld(_) | Content::Pruned => None,
        })
        .collect()
}

fn shown(value: &Value, hashes: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if text.len() == 64 => drop(hashes.insert(text.clone())),
        Value::Array(values) => values.iter().for_each(|value| shown(value, hashes)),
        Value::Object(fields) => fields.values().for_each(|value| shown(value, hashes)),
        _ => {}
    }
}

fn judged() -> Vec<Vec<u8>> {
    TRUTH.cases.clone()
}

fn verified(bytes: &[u8]) -> Outcome {
    let Some((anchor, bytes)) = bytes.split_first() else { return Outcome::Refused("no anchor".into()) };
    let Some(anchor) = TRUTH.anchors.get(usize::from(*anchor)) else {
        return Outcome::Refused("no anchor".into());
    };
    let basis = basis(anchor);
    match file::decode(bytes) {
        Err(error) => Outcome::Refused(error.to_string()),
        Ok(File::Receipt(receipt)) => Outcome::of(judge_receipt(&receipt, &basis)),
        Ok(File::Receipts(receipts)) => Outcome::of(
            receipts.receipts.iter().try_for_each(|receipt| judge_receipt(receipt, &basis).map(drop)),
        ),
        Ok(File::Trail(trail)) => Outcome::of(judge_trail(&trail, &basis)),
        Ok(File::Disclosure(disclosure)) => match file::decode(&disclosure.proof) {
            Ok(File::Receipt(receipt)) => Outcome::of(
                judge_receipt(&receipt, &basis)
                    .and_then(|item| show(&anchor.chain, &item.item, &disclosure.openings)),
            ),
            Ok(File::Trail(trail)) => Outcome::of(judge_trail(&trail, &basis).and_then(|items| {
                items
                    .iter()
                    .try_for_each(|item| show(&anchor.chain, &item.item, &disclosure.openings).map(drop))
            })),
            _ => Outcome::Refused("no proof inside".into()),
        },
        Ok(_) => Outcome::Refused("nothing to verify".into()),
    }
}

fn judge_receipt(receipt: &Receipt, basis: &Basis<'_>) -> Result<ProvenItem, Failure> {
    let proven = verify::receipt(receipt, basis)?;
    is_true(&proven.header);
    is_recorded(&proven.item);
    Ok(proven.item)
}

fn judge_trail(proof: &TrailProof, basis: &Basis<'_>) -> Result<Vec<ProvenItem>, Failure> {
    let proven = verify::trail(proof, basis)?;
    is_true(&proven.header);
    let item = |content| match content {
        Content::Item(item) => Some(*item),
        Content::Withheld(_) | Content::Pruned => None,
    };
    let items: Vec<ProvenItem> = proven.entries.into_iter().filter_map(|entry| item(entry.content)).collect();
    items.iter().for_each(is_recorded);
    Ok(items)
}

fn is_true(header: &ProvenHeader) {
    let id = header.header.block_id().to_string();
    assert!(TRUTH.hashes.contains(&id), "a block verifies that was never decided: {id}");
}

fn is_recorded(item: &ProvenItem) {
    let hash = item.hash.to_string();
    assert!(TRUTH.hashes.contains(&hash), "an item verifies that was never recorded: {hash}");
}

/// Values of one type in the vectors: by themselves, or as parts of receipts and trail proofs.
fn inside<T: Wire>() -> Vec<Vec<u8>> {
    let mut found = BTreeSet::new();
    for bytes in corpus::vectors() {
        match file::decode(&bytes) {
            Ok(File::Receipt(receipt)) => found.extend([
                receipt.record.to_vec(),
                receipt.header.to_bytes(),
                receipt.certificate.to_bytes(),
            ]),
            Ok(File::Trail(trail)) => found.extend([trail.header.to_bytes(), trail.certificate.to_bytes()]),
            _ => drop(found.insert(bytes)),
        }
    }
    found.into_iter().filter(|bytes| T::from_bytes(bytes).is_ok()).collect()
}

/// Blocks are too long for the vectors: these are made of their headers and submissions.
fn blocks() -> Vec<Vec<u8>> {
    let submissions = inside_submissions();
    let block = |(place, header): (usize, Vec<u8>)| {
        let body = submissions.iter().skip(place).take(place % 3).cloned().collect();
        Header::from_bytes(&header).ok().map(|header| Block { header, body }.to_bytes())
    };
    inside::<Header>().into_iter().enumerate().take(12).filter_map(block).collect()
}

fn inside_submissions() -> Vec<Vec<u8>> {
    corpus::vectors().into_iter().filter(|bytes| Submission::decode(bytes).is_ok()).collect()
}

fn certificates() -> Vec<Vec<u8>> {
    inside::<Certificate>().into_iter().chain(inside::<ValidatorSet>()).collect()
}

fn sealed() -> Vec<Vec<u8>> {
    let of = |case: &Value| {
        let kind = Kind::from_name(case["kind"].as_str()?)?;
        let kind = u8::try_from(Kind::ALL.iter().position(|known| *known == kind)?).ok()?;
        let field = u8::try_from(case["field"].as_u64()?).ok()?;
        Some([&[kind, field], &hex::decode(case["value"].as_str()?).ok()?[..]].concat())
    };
    let values = corpus::vector_file("sealed-values.json");
    values["values"].as_array().into_iter().flatten().filter_map(of).collect()
}

/// Pages are not in the vectors: they are made of what `update` makes of the chain's entries.
fn pages() -> Vec<Vec<u8>> {
    let vectors = corpus::vector_file("state-map.json");
    let bytes = |value: &Value| value.as_str().and_then(|text| hex::decode(text).ok());
    let changes: Vec<(StateKey, Option<Digest>)> = vectors["chain_entries"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let key = StateKey(bytes(&entry["key"])?.try_into().ok()?);
            Some((key, Some(custos_proof::hash::sha256(&bytes(&entry["value"])?))))
        })
        .collect();
    let Ok(made) = update(&BTreeMap::<NibblePath, Page>::new(), &changes) else { return Vec::new() };
    let pages = made.pages.iter().flat_map(|(path, page)| {
        [Some(path.to_bytes()), page.as_ref().map(Page::to_bytes)].into_iter().flatten()
    });
    pages.collect()
}
