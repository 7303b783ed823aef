//! How fast the pure parts are on this machine: signatures, hashing, apply, receipts.
//!
//! `cargo run -p custos-state --example rates [RECORDS]`. Prints one JSON object, so that a benchmark can divide what
//! a whole network reaches by what its parts could.

use std::time::Instant;

use custos_proof::batch::verify_batch;
use custos_proof::cbor::{Ascii, List, Text, Wire};
use custos_proof::genesis::{Genesis, GenesisKey, GenesisValidator, NO_CHAIN};
use custos_proof::hash::{ChainId, Digest};
use custos_proof::ids::{Height, ItemId, ParticipantId, Random16, Round, TimeMs};
use custos_proof::item::Item;
use custos_proof::keys::{KeyPurpose, PublicKey, SignError, Signature, Signer, verify_zip215};
use custos_proof::kinds::access::{Basis, Event, Late, Retention};
use custos_proof::kinds::key::possession_preimage;
use custos_proof::kinds::participant::Register;
use custos_proof::kinds::{Class, Fields};
use custos_proof::merkle;
use custos_proof::registry::{Policy, Role, Roles};
use custos_proof::seal::Seal;
use custos_proof::submission::{Author, Draft, Submission, Verified};
use custos_state::apply::{self, Limits, Proposal};
use custos_state::memory::MemoryStore;
use ed25519_dalek::Signer as _;

struct Key(ed25519_dalek::SigningKey);

impl Signer for Key {
    fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }
    fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        Ok(Signature(self.0.sign(message).to_bytes()))
    }
}

const START: TimeMs = TimeMs(1_790_000_000_000);

fn main() {
    let records: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let key = Key(ed25519_dalek::SigningKey::from_bytes(&[7; 32]));
    let id: ParticipantId = "hospital-1".parse().expect("because it is a participant id");
    let genesis = genesis(&key, &id);
    let start = apply::start(&genesis).expect("because the genesis is sound");
    let chain = genesis.chain();

    let singles: Vec<Submission> = (0..records).map(|n| submission(&chain, &id, &key, n, 1)).collect();
    let signed: Vec<_> = singles
        .iter()
        .map(|s| (key.public_key(), s.envelope().sig_structure(), *s.envelope().signature()))
        .collect();
    let sample = &signed[..signed.len().min(4096)];
    let single = rate(sample.len(), || assert!(sample.iter().all(|(k, m, s)| verify_zip215(k, m, s))));
    let batch =
        rate(sample.len(), || sample.chunks(512).for_each(|c| assert!(verify_batch(c).iter().all(|v| *v))));
    let leaves: Vec<Digest> = singles.iter().map(|s| s.item_hashes()[0].into()).collect();
    let hashing = rate(leaves.len(), || assert_ne!(merkle::root_of(&leaves), Digest::ZERO));
    let decode =
        rate(singles.len(), || singles.iter().for_each(|s| assert!(Submission::decode(s.bytes()).is_ok())));

    let apply_singles = apply_rate(&start, &id, singles);
    let batches: Vec<Submission> =
        (0..records.div_ceil(500)).map(|n| submission(&chain, &id, &key, records + n * 500, 500)).collect();
    let apply_batches = apply_rate(&start, &id, batches) * 500.0;

    println!(
        "{{\"records\":{records},\"verify_single_per_s\":{single:.0},\"verify_batch_512_per_s\":{batch:.0},\
         \"merkle_leaves_per_s\":{hashing:.0},\"decode_per_s\":{decode:.0},\
         \"apply_single_items_per_s\":{apply_singles:.0},\"apply_batched_items_per_s\":{apply_batches:.0}}}"
    );
}

fn rate(count: usize, work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    count as f64 / start.elapsed().as_secs_f64()
}

/// Submissions applied per second, in blocks of at most 1000.
fn apply_rate(start: &apply::Start, proposer: &ParticipantId, submissions: Vec<Submission>) -> f64 {
    let mut store = MemoryStore::new(start);
    let count = submissions.len();
    let mut waiting: Vec<Verified> = submissions
        .into_iter()
        .map(|s| {
            let key = PublicKey(ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes());
            s.verify(&key).expect("because it was signed with this key")
        })
        .collect();
    let begin = Instant::now();
    let mut height = 0;
    while !waiting.is_empty() {
        height += 1;
        let items: usize = waiting[0].items().len();
        let rest = waiting.split_off(waiting.len().min((2000 / items).max(1)));
        let proposal = Proposal {
            height: Height(height),
            round: Round(0),
            time: START.plus(height),
            proposer: proposer.clone(),
        };
        let built =
            apply::build(&store, &proposal, waiting, &Limits::default()).expect("because the store is sound");
        assert!(built.refused.is_empty(), "{:?}", built.refused.first());
        store.commit(&built.changes).expect("because the changes follow the head");
        waiting = rest;
    }
    count as f64 / begin.elapsed().as_secs_f64()
}

fn submission(chain: &ChainId, id: &ParticipantId, key: &Key, number: usize, items: usize) -> Submission {
    let random = |salt: u64| {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
        bytes[8..].copy_from_slice(&salt.to_be_bytes());
        bytes
    };
    let items = (0..items as u64)
        .map(|i| {
            let event = Event {
                event: Random16(random(i)),
                custodian: id.clone(),
                local_id: Some(Digest([(number + i as usize) as u8; 32])),
                acting: id.clone(),
                basis: Basis::Law,
                cited: None,
                at_height: Height(0),
                late: Late::None,
                retention: Retention::Standard,
                stream: 1,
                sequence: number as u64 + i + 1,
                seal: Seal { root: Digest([1; 32]), ciphertext: None },
            };
            Item { item_id: ItemId(random(u64::MAX - i)), fields: Fields::AccessEvent(event) }.to_bytes()
        })
        .collect();
    let draft = Draft {
        chain,
        author: Author::Participant(id.clone()),
        class: Class::Testimony,
        nonce: Random16(random(0)),
        not_after: START.plus(3_000_000),
    };
    Submission::sign(&draft, items, key).expect("because the items are few and short")
}

fn genesis(key: &Key, id: &ParticipantId) -> Genesis {
    let consensus = Key(ed25519_dalek::SigningKey::from_bytes(&[8; 32]));
    let entry = |key: &Key, purpose| GenesisKey {
        owner: id.clone(),
        key: key.public_key(),
        purpose,
        possession: key
            .sign(&possession_preimage(&NO_CHAIN, id, purpose, &key.public_key()))
            .expect("because a key in memory signs"),
    };
    Genesis {
        name: Ascii::new("rates").expect("because it is short"),
        time: START,
        protocol: 1,
        registrar: id.clone(),
        participants: List::new(vec![Register {
            id: id.clone(),
            roles: Roles::new(&[Role::Registrar, Role::Custodian, Role::Validator]),
            jurisdiction: Ascii::new("EU").expect("because it is short"),
            name: Text::new("Hospital"),
            sealed_name: None,
            endpoint: Ascii::default(),
            display_names: List::default(),
        }])
        .expect("because it is one"),
        keys: List::new(vec![entry(key, KeyPurpose::Sign), entry(&consensus, KeyPurpose::Consensus)])
            .expect("because they are two"),
        validators: List::new(vec![GenesisValidator { participant: id.clone(), power: 1 }])
            .expect("because it is one"),
        policy: Policy::initial(),
    }
}
