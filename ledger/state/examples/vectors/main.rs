//! Writes the test vectors of `docs/spec/vectors/`: `cargo run -p custos-state --example vectors`.
//!
//! With `-- SEED COUNT` it prints that many spoiled files with their answers instead, in the form of
//! `verify.json`, for `docs/spec/verify.py --files`: two verifiers that disagree find it out there.
//!
//! Everything comes from fixed seeds, so that the files are the same wherever and whenever they are
//! made; a test makes them again in memory and compares. Each case is named by what it attacks.
//!
//! Deliberately absent: an opinion of its own about what is right. Answers are those of
//! `custos-proof` and `custos-state`; `docs/spec/verify.py` is the second opinion.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod basics;
mod json;
mod lives;
mod proofs;
mod values;
mod world;

use std::path::Path;

use custos_proof::cbor::Wire;
use custos_proof::certificate::{VoteType, vote_preimage};
use custos_proof::given::Given;
use custos_proof::header::body_root;
use custos_proof::ids::ItemId;
use custos_proof::item::Item;
use custos_proof::keys::Signer as _;
use custos_proof::kinds::{Fields, Kind};
use custos_proof::sealed_values;

use self::json::{Json, hex, list, object};
use self::world::World;

/// Every file by name, with its text.
pub fn all() -> Vec<(&'static str, String)> {
    let world = world::build(&values::Values::new());
    let files = [
        ("cbor.json", basics::cbor()),
        ("hashing.json", basics::hashing(&world)),
        ("state-map.json", basics::map(&world)),
        ("ed25519.json", basics::ed25519()),
        ("seals.json", basics::seals(&world)),
        ("sealed-values.json", values::document()),
        ("items.json", items()),
        ("pseudonyms.json", basics::pseudonyms(&world)),
        ("submissions.json", basics::submissions(&world)),
        ("chain.json", chain(&world)),
        ("verify.json", proofs::document(&world)),
    ];
    files.map(|(name, json)| (name, json.document())).into()
}

/// `items.json`: an item of every kind, and a value of every sealed field, as the forms of the kinds have them.
fn items() -> Json {
    let items = Kind::ALL.iter().map(|kind| {
        let fields = Fields::from_given(*kind, &Given::from(&kind.form().sample))
            .expect("because the sample of a form is a value");
        let item = Item { item_id: ItemId([0x11; 16]), fields };
        let sealed = (1u8..).zip(kind.sealed_fields()).map(|(field, _)| {
            let form = sealed_values::form(*kind, field).expect("because the kind has this field");
            let value = sealed_values::from_given(*kind, field, &Given::from(&form.sample))
                .expect("because the sample of a form is a value");
            object().with("field", u64::from(field)).with("value", hex(value))
        });
        let sealed: Vec<Json> = sealed.collect();
        object()
            .with("kind", kind.name())
            .with("class", kind.class().number())
            .with("bytes", hex(item.to_bytes()))
            .with("sealed", list(sealed))
    });
    let items: Vec<Json> = items.collect();
    object()
        .with("about", "An item of every kind, with the smallest values that are well formed. Whether the rules admit it is another matter")
        .with("items", list(items))
}

/// `chain.json`.
fn chain(world: &World) -> Json {
    let set = &world.validators;
    let blocks = world.blocks.iter().map(|decided| {
        let header = &decided.block.header;
        let height = header.height.0 as usize;
        let before = world.states[height - 1].records().len();
        let records = world.states[height].records()[before..].iter().map(|new| {
            let record = object().with("bytes", hex(&new.bytes)).with("leaf_hash", hex(new.leaf));
            match &new.item {
                Some((hash, _)) => record.with("item", hex(hash)),
                None => record,
            }
        });
        let ids: Vec<_> = decided.submissions.iter().map(|submission| submission.id()).collect();
        let votes = decided.certificate.signatures.iter().map(|commit| {
            let validator = &set.as_slice()[usize::from(commit.signer)];
            let (height, round) = (header.height, decided.certificate.round);
            let block = Some(header.block_id());
            let preimage =
                vote_preimage(&world.chain, height, round, VoteType::Precommit, block, &validator.key);
            object()
                .with("signer", u64::from(commit.signer))
                .with("preimage", hex(preimage))
                .with("signature", hex(commit.signature))
        });
        object()
            .with("height", header.height.0)
            .with("block", hex(decided.block.to_bytes()))
            .with("header", hex(header.to_bytes()))
            .with("block_id", hex(header.block_id()))
            .with("submission_ids", list(ids.iter().map(hex)))
            .with("body_root", hex(body_root(&ids)))
            .with("records", list(records))
            .with("log_size", header.log_size.0)
            .with("log_root", hex(header.log_root))
            .with("state_root", hex(header.state_root))
            .with("votes", list(votes))
            .with("certificate", hex(decided.certificate.to_bytes()))
    });
    let items = world.items.iter().map(|(name, bytes)| {
        object()
            .with("name", *name)
            .with("kind", proofs::kind_of(bytes))
            .with("hash", hex(world::hash_of(world, name)))
            .with("bytes", hex(bytes))
    });
    let members = ["clinic-c", "hospital-a", "hospital-b", "ministry", "practice-e", "university-d"];
    let mut seeds: Vec<Json> = members.map(|id| basics::secret(&format!("{id} sign"))).into();
    seeds.extend(
        ["clinic-c", "hospital-a", "hospital-b", "university-d", "practice-e"]
            .map(|id| basics::secret(&format!("{id} consensus"))),
    );
    seeds.push(basics::secret("hospital-b sign, second"));
    let blocks: Vec<Json> = blocks.collect();
    let items: Vec<Json> = items.collect();
    object()
        .with("about", "A chain of nine blocks. A seed is SHA-256 of \"custos vectors: \" and its name; it is the RFC 8032 secret key")
        .with("seeds", list(seeds))
        .with("witnesses", list(proofs::witness_keys().iter().map(hex)))
        .with("a_public_key", hex(world::sign_key("hospital-a").public_key()))
        .with("genesis", hex(world.genesis.to_bytes()))
        .with("chain", hex(world.chain))
        .with("validators", hex(set.to_bytes()))
        .with("validators_hash", hex(set.hash()))
        .with("items", list(items))
        .with("blocks", list(blocks))
}

#[allow(dead_code)] // The test takes `all` only.
fn main() -> std::io::Result<()> {
    let arguments: Vec<u64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    if let [seed, count] = arguments[..] {
        let world = world::build(&values::Values::new());
        print!("{}", proofs::mutations(&world, seed, count as usize).document());
        return Ok(());
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/spec/vectors");
    std::fs::create_dir_all(&directory)?;
    for (name, text) in all() {
        std::fs::write(directory.join(name), text)?;
    }
    Ok(())
}
