//! Vectors of the parts: CBOR, hashing, trees, the state map, signatures, seals, pseudonyms, submissions.

use custos_proof::cbor::{DecodeError, List, Reader, Wire};
use custos_proof::hash::{Digest, StateKey, Tag, sha256, tagged};
use custos_proof::ids::ParticipantId;
use custos_proof::item::item_hash;
use custos_proof::keys::{
    PublicKey, Signature, Signer as _, is_registrable, is_strict, key_id, verify_zip215,
};
use custos_proof::merkle;
use custos_proof::registry;
use custos_proof::seal::{Place, salt};
use custos_proof::state_map::{self, Proof, Terminal};
use custos_proof::subject::{epoch_secret, local_id, reader, reader_preimage};
use custos_proof::submission::{Author, Envelope, FormError, Submission, frame};
use custos_proof::trail::TrailName;
use custos_state::error::Refusal;

use super::json::{Json, hex, list, object};
use super::lives::{subject_key, subject_secret};
use super::world::{EPOCH, PATIENT, World, id16, seed, sign_key, who};

/// `cbor.json`.
pub fn cbor() -> Json {
    let deep = |n: usize| [vec![0x81; n], vec![0x00]].concat();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("zero", vec![0x00]),
        ("23", vec![0x17]),
        ("24", vec![0x18, 0x18]),
        ("256", vec![0x19, 0x01, 0x00]),
        ("the largest unsigned integer", vec![0x1b, 255, 255, 255, 255, 255, 255, 255, 255]),
        ("minus one", vec![0x20]),
        ("the smallest integer", vec![0x3b, 0x7f, 255, 255, 255, 255, 255, 255, 255]),
        ("the empty byte string", vec![0x40]),
        ("the empty text", vec![0x60]),
        ("a text beyond ASCII", vec![0x62, 0xc3, 0xa9]),
        ("the empty array", vec![0x80]),
        ("an array", vec![0x82, 0x01, 0x41, 0x02]),
        ("a map", vec![0xa2, 0x01, 0x02, 0x20, 0x03]),
        (
            "map keys sorted by bytes, not by length",
            vec![0xa3, 0x18, 0x18, 0x00, 0x20, 0x00, 0x61, 0x61, 0x00],
        ),
        ("false", vec![0xf4]),
        ("true", vec![0xf5]),
        ("sixteen levels", deep(15)),
        ("nothing", vec![]),
        ("an integer cut short", vec![0x19, 0x01]),
        ("a byte string cut short", vec![0x42, 0x01]),
        ("an array cut short", vec![0x82, 0x01]),
        ("a length without bytes", vec![0x5b, 255, 255, 255, 255, 255, 255, 255, 255]),
        ("an array longer than any memory", vec![0x9b, 255, 255, 255, 255, 255, 255, 255, 255]),
        ("a byte after the value", vec![0x00, 0x00]),
        ("23 in two bytes", vec![0x18, 0x17]),
        ("255 in three bytes", vec![0x19, 0x00, 0xff]),
        ("65535 in five bytes", vec![0x1a, 0x00, 0x00, 0xff, 0xff]),
        ("4294967295 in nine bytes", vec![0x1b, 0, 0, 0, 0, 255, 255, 255, 255]),
        ("minus one in two bytes", vec![0x38, 0x00]),
        ("a byte string's length in two bytes", vec![0x58, 0x01, 0x00]),
        ("a text's length in two bytes", vec![0x78, 0x01, 0x61]),
        ("an array's length in two bytes", vec![0x98, 0x01, 0x00]),
        ("a map's length in two bytes", vec![0xb8, 0x01, 0x00, 0x00]),
        ("a byte string of indefinite length", vec![0x5f, 0x41, 0x00, 0xff]),
        ("a text of indefinite length", vec![0x7f, 0x61, 0x61, 0xff]),
        ("an array of indefinite length", vec![0x9f, 0xff]),
        ("a map of indefinite length", vec![0xbf, 0xff]),
        ("a break without a beginning", vec![0xff]),
        ("a reserved head", vec![0x1c]),
        ("map keys out of order", vec![0xa2, 0x02, 0x00, 0x01, 0x00]),
        ("map keys repeated", vec![0xa2, 0x01, 0x00, 0x01, 0x00]),
        ("map keys sorted by length first", vec![0xa2, 0x20, 0x00, 0x18, 0x18, 0x00]),
        ("null", vec![0xf6]),
        ("undefined", vec![0xf7]),
        ("another simple value", vec![0xf0]),
        ("false in two bytes", vec![0xf8, 0x14]),
        ("a half float", vec![0xf9, 0x00, 0x00]),
        ("a single float", vec![0xfa, 0, 0, 0, 0]),
        ("a double float", vec![0xfb, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("a bignum", vec![0xc2, 0x41, 0x01]),
        ("a tag", vec![0xd2, 0x00]),
        ("an integer below the smallest", vec![0x3b, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        ("text that is not UTF-8", vec![0x61, 0xff]),
        ("text with a surrogate", vec![0x63, 0xed, 0xa0, 0x80]),
        ("seventeen levels", deep(16)),
    ];
    let cases = cases.into_iter().map(|(name, bytes)| {
        let mut r = Reader::new(&bytes);
        let read = r.any().and_then(|_| r.finish());
        let case = object().with("name", name).with("bytes", hex(&bytes));
        match read {
            Ok(()) => case.with("valid", true),
            Err(error) => case.with("valid", false).with("refused", decode_word(&error)),
        }
    });
    object()
        .with("about", "One value of the profile per case, or none: see cbor.md")
        .with("values", list(cases))
        .with("participant_ids", participant_ids())
}

fn participant_ids() -> Json {
    let long = "a".repeat(63);
    let longer = "a".repeat(64);
    let ids = [
        "a",
        "0",
        "hospital-a.example",
        "a.",
        "a-",
        &long,
        "",
        "-a",
        ".a",
        "A",
        "a_b",
        "a b",
        "\u{e4}",
        &longer,
    ];
    list(ids.map(|id| object().with("text", id).with("valid", id.parse::<ParticipantId>().is_ok())))
}

/// The word of cbor.md for a refusal.
pub fn decode_word(error: &DecodeError) -> &'static str {
    match error {
        DecodeError::Truncated { .. } => "truncated",
        DecodeError::Trailing { .. } => "trailing",
        DecodeError::Unexpected { .. } => "unexpected",
        DecodeError::NotShortest { .. } => "not-shortest",
        DecodeError::NotSorted { .. } => "not-sorted",
        DecodeError::OutOfBounds { .. } => "out-of-bounds",
    }
}

/// `hashing.json`.
pub fn hashing(world: &World) -> Json {
    let tags = Tag::ALL.map(|tag| {
        let text = String::from_utf8_lossy(tag.bytes()).trim_end_matches('\0').to_string();
        object().with("tag", text).with("bytes", hex(tag.bytes())).with("of_abc", hex(tagged(tag, &[b"abc"])))
    });
    let leaves: Vec<Digest> = (0..9u8).map(|i| merkle::leaf_hash(&[i])).collect();
    let roots = (0..=9usize)
        .map(|n| object().with("size", n as u64).with("root", hex(merkle::root_of(&leaves[..n]))));
    let mut members = vec![b"first".to_vec(), b"second".to_vec()];
    let mut bucket = registry::Bucket::EMPTY;
    let running = members.drain(..).map(|member| {
        bucket = bucket.with(&member);
        object().with("member", hex(member)).with("count", bucket.count).with("hash", hex(bucket.hash))
    });
    let running = list(running.collect::<Vec<_>>());
    object()
        .with(
            "about",
            "Tags, trees and running hashes: see hashing.md. Leaf i of the trees is the single byte i",
        )
        .with("tags", list(tags))
        .with("leaf_hashes", list(leaves.iter().map(hex)))
        .with("roots", list(roots))
        .with("inclusion", list(inclusion(&leaves)))
        .with("consistency", list(consistency(&leaves)))
        .with("ranges", list(ranges(&leaves)))
        .with("running", running)
        .with("checkpoint", checkpoint(world))
}

fn inclusion(leaves: &[Digest]) -> Vec<Json> {
    let case = |why: &str, leaf: &Digest, index: u64, size: u64, path: &[Digest]| {
        let root = merkle::root_of(&leaves[..(size as usize).min(leaves.len())]);
        object()
            .with("why", why)
            .with("leaf", hex(leaf))
            .with("index", index)
            .with("size", size)
            .with("path", list(path.iter().map(hex)))
            .with("root", hex(root))
            .with("valid", merkle::verify_inclusion(leaf, index, size, path, &root))
    };
    let mut cases = Vec::new();
    for (index, size) in [(0, 1), (0, 2), (1, 2), (0, 7), (3, 7), (6, 7), (7, 8), (8, 9), (4, 9)] {
        let path = merkle::path_of(&leaves[..size as usize], index).expect("because it is one of them");
        let leaf = &leaves[index as usize];
        cases.push(case("a leaf and its path", leaf, index, size, &path));
        if size == 7 {
            cases.push(case("another leaf", &leaves[(index as usize + 1) % 7], index, size, &path));
            cases.push(case("another index", leaf, (index + 1) % 7, size, &path));
            cases.push(case("an index beyond the tree", leaf, 7, size, &path));
            cases.push(case("a path too short", leaf, index, size, &path[1..]));
            let long = [&path[..], &[leaves[0]]].concat();
            cases.push(case("a path too long", leaf, index, size, &long));
            let mut flipped = path.clone();
            flipped[0].0[31] ^= 1;
            cases.push(case("a path with a flipped bit", leaf, index, size, &flipped));
        }
    }
    cases
}

fn consistency(leaves: &[Digest]) -> Vec<Json> {
    let case = |why: &str, old: u64, old_root: Digest, new: u64, path: &[Digest]| {
        let new_root = merkle::root_of(&leaves[..new as usize]);
        object()
            .with("why", why)
            .with("old_size", old)
            .with("old_root", hex(old_root))
            .with("new_size", new)
            .with("new_root", hex(new_root))
            .with("path", list(path.iter().map(hex)))
            .with("valid", merkle::verify_consistency(old, &old_root, new, &new_root, path))
    };
    let mut cases = Vec::new();
    for (old, new) in [(0, 0), (0, 5), (1, 1), (1, 2), (3, 7), (4, 7), (6, 8), (7, 9), (8, 9)] {
        let path = merkle::prove_consistency(leaves, old, new).expect("because the sizes are within");
        let root = merkle::root_of(&leaves[..old as usize]);
        cases.push(case("a prefix", old, root, new, &path));
        if (old, new) == (3, 7) {
            cases.push(case("another old root", old, leaves[0], new, &path));
            cases.push(case("another old size", 2, root, new, &path));
            cases.push(case("a path too short", old, root, new, &path[1..]));
            cases.push(case("a path too long", old, root, new, &[&path[..], &[leaves[0]]].concat()));
        }
    }
    cases.push(case("an empty tree that is not empty", 0, leaves[0], 5, &[]));
    cases.push(case("a tree that shrank", 7, merkle::root_of(&leaves[..7]), 5, &[]));
    cases
}

fn ranges(leaves: &[Digest]) -> Vec<Json> {
    let case = |why: &str, begin: u64, within: &[Digest], size: u64, path: &[Digest]| {
        let root = merkle::root_of(&leaves[..size as usize]);
        object()
            .with("why", why)
            .with("begin", begin)
            .with("leaves", list(within.iter().map(hex)))
            .with("size", size)
            .with("path", list(path.iter().map(hex)))
            .with("root", hex(root))
            .with("valid", merkle::verify_range(begin, within, size, path, &root))
    };
    let mut cases = Vec::new();
    for (begin, end, size) in [(0, 1, 1), (0, 9, 9), (2, 5, 9), (0, 4, 9), (8, 9, 9), (1, 8, 9), (5, 6, 7)] {
        let path = merkle::prove_range(leaves, begin, end, size).expect("because the range is within");
        let within = &leaves[begin as usize..end as usize];
        cases.push(case("a range", begin, within, size, &path));
        if (begin, end) == (2, 5) {
            cases.push(case("a leaf left out", begin, &[within[0], within[2]], size, &path));
            cases.push(case("two leaves swapped", begin, &[within[1], within[0], within[2]], size, &path));
            cases.push(case("another begin", 3, within, size, &path));
            cases.push(case("a path too short", begin, within, size, &path[1..]));
            cases.push(case("a path too long", begin, within, size, &[&path[..], &[leaves[0]]].concat()));
            cases.push(case(
                "an empty range of a tree that is not empty",
                0,
                &[],
                size,
                &[merkle::root_of(leaves)],
            ));
        }
    }
    cases.push(case("the empty range of the empty tree", 0, &[], 0, &[]));
    cases
}

fn checkpoint(world: &World) -> Json {
    use custos_proof::ids::LogSize;
    let root = merkle::root_of(&world.leaves(9));
    let size = LogSize(world.leaves(9).len() as u64);
    let text = custos_proof::witness::checkpoint(&world.chain, size, &root);
    let preimage = custos_proof::witness::cosignature_preimage(&text, 1_768_436_000);
    object()
        .with("chain", hex(world.chain))
        .with("size", size.0)
        .with("root", hex(root))
        .with("text", text)
        .with("time", 1_768_436_000u64)
        .with("cosignature_preimage", preimage)
}

/// `state-map.json`.
pub fn map(world: &World) -> Json {
    let key = |first: u8, last: u8| {
        let mut key = [0; 32];
        (key[0], key[31]) = (first, last);
        StateKey(key)
    };
    // The keys of the worked example of hashing.md.
    let example = [(key(0x00, 1), "a"), (key(0x40, 2), "b"), (key(0x50, 3), "c"), (key(0xff, 4), "d")];
    let hashes = |n: usize| example[..n].iter().map(|(key, value)| (*key, sha256(value.as_bytes())));
    let roots = (0..=4usize)
        .map(|n| object().with("entries", n as u64).with("root", hex(state_map::root_of(hashes(n)))));
    let state = world.states.last().expect("because there is a head");
    let all = state.entries().map(|(key, value)| object().with("key", hex(key)).with("value", hex(value)));
    let (own, granted) = super::world::trails(&world.chain);
    let b = Author::Participant(who("hospital-b"));
    let names = [
        ("trail", registry::trail_key(&granted.key()), "[\"trail\", trail key]: {size, root}"),
        ("subject", registry::subject_key(&own.key()), "[\"subject\", trail key]"),
        ("participant", registry::participant_key(&who("hospital-a")), "[\"participant\", id]"),
        ("key", registry::key_key(&key_id(&sign_key("hospital-b").public_key())), "[\"key\", key id]"),
        ("policy", registry::policy_key(), "[\"policy\"]"),
        ("validators", registry::validators_key(), "[\"validators\"]"),
        (
            "rule",
            registry::rule_key(&granted.key(), &custos_proof::ids::Random16(id16("the rule"))),
            "[\"rule\", trail key, rule id]",
        ),
        ("nonce", registry::nonce_key(&b, 2_947_393), "[\"nonce\", author, bucket]"),
        ("event", registry::event_key(&b, 2026), "[\"event\", author, year]"),
        ("stream", registry::stream_key(&b, 1), "[\"stream\", author, stream]"),
        ("absent participant", registry::participant_key(&who("nobody")), "[\"participant\", id] of nobody"),
        (
            "absent trail",
            registry::trail_key(&TrailName::institution(&who("clinic-c")).key()),
            "an institution without records",
        ),
    ];
    let root = world.header(11).state_root;
    let mut proofs = Vec::new();
    for (name, key, what) in names {
        let proof = world.state_proof(&key, 11);
        let value = state.entries().find(|(k, _)| **k == key).map(|(_, value)| value.to_vec());
        proofs.push(map_case(name, what, &root, &key, value.as_deref(), &proof));
        if name == "trail" {
            proofs.extend(bad_map_cases(&root, &key, value.as_deref(), &proof));
        }
        if name == "absent participant" {
            proofs.push(map_case("presence of what is absent", what, &root, &key, Some(b"x"), &proof));
            proofs.push(map_case(
                "an absence proof for a key that is present",
                what,
                &root,
                &names[0].1,
                None,
                &proof,
            ));
        }
    }
    object()
        .with(
            "about",
            "The state map: see hashing.md. The first proofs are of the state of the chain at height 9",
        )
        .with(
            "example",
            list(example.map(|(key, value)| object().with("key", hex(key)).with("value", hex(value)))),
        )
        .with("example_roots", list(roots))
        .with("chain_entries", list(all))
        .with("chain_root", hex(root))
        .with("proofs", list(proofs))
}

fn map_case(
    name: &str,
    what: &str,
    root: &Digest,
    key: &StateKey,
    value: Option<&[u8]>,
    proof: &Proof,
) -> Json {
    let case = object().with("name", name).with("what", what).with("root", hex(root)).with("key", hex(key));
    let case = match value {
        Some(value) => case.with("value", hex(value)),
        None => case,
    };
    case.with("proof", hex(proof.to_bytes())).with("valid", state_map::verify(root, key, value, proof))
}

fn bad_map_cases(root: &Digest, key: &StateKey, value: Option<&[u8]>, proof: &Proof) -> Vec<Json> {
    let value_hash = sha256(value.unwrap_or_default());
    let with = |siblings: Vec<Digest>, terminal| Proof {
        siblings: List::new(siblings).expect("because they are few"),
        terminal,
    };
    let siblings = proof.siblings.to_vec();
    let mut flipped = siblings.clone();
    flipped[0].0[0] ^= 1;
    let own_leaf = Terminal::Other { key: *key, value_hash };
    vec![
        map_case("another value", "", root, key, Some(b"another"), proof),
        map_case("absence of what is present", "", root, key, None, proof),
        map_case("a sibling with a flipped bit", "", root, key, value, &with(flipped, Terminal::Leaf)),
        map_case("a sibling too few", "", root, key, value, &with(siblings[1..].to_vec(), Terminal::Leaf)),
        map_case(
            "absence shown by the key's own leaf",
            "",
            root,
            key,
            None,
            &with(siblings.clone(), own_leaf),
        ),
        map_case(
            "absence shown by an empty subtree that is not there",
            "",
            root,
            key,
            None,
            &with(siblings, Terminal::Empty),
        ),
    ]
}

/// `ed25519.json`.
pub fn ed25519() -> Json {
    let good = sign_key("hospital-a");
    let (key, message) = (good.public_key(), b"custos".as_slice());
    let signature = good.sign(message).expect("because the key is here");
    let identity = |first: u8, last: u8| {
        let mut bytes = [0xff; 32];
        if first == 1 {
            bytes = [0; 32];
        }
        (bytes[0], bytes[31]) = (first, last);
        bytes
    };
    // y = 1, and the same point as y = p + 1, and with the sign bit of x = 0 set.
    let encodings = [identity(1, 0), identity(0xee, 0x7f), identity(1, 0x80), identity(0xee, 0xff)];
    let small = |a: [u8; 32], r: [u8; 32]| {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&r);
        (PublicKey(a), Signature(bytes))
    };
    // The order of the base point: s = 0 has another encoding, which every rule refuses.
    let order: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let (_, mut not_reduced) = small(encodings[0], encodings[0]);
    not_reduced.0[32..].copy_from_slice(&order);
    // -1, a point of order 2, and a point of order 4 (y = 0).
    let mut minus_one = [0xff; 32];
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    let mut flipped = signature;
    flipped.0[63] ^= 1;
    let mut no_point = [0; 32];
    no_point[0] = 2;
    let mut cases: Vec<(String, PublicKey, Vec<u8>, Signature)> = vec![
        ("a signature".into(), key, message.to_vec(), signature),
        ("of the empty message".into(), key, Vec::new(), good.sign(b"").expect("because the key is here")),
        ("another message".into(), key, b"custodes".to_vec(), signature),
        ("a flipped bit".into(), key, message.to_vec(), flipped),
        ("another key".into(), sign_key("hospital-b").public_key(), message.to_vec(), signature),
        ("a key that is no point".into(), PublicKey(no_point), message.to_vec(), signature),
        ("s is not reduced".into(), PublicKey(encodings[0]), message.to_vec(), not_reduced),
    ];
    for (i, a) in encodings.iter().enumerate() {
        for (j, r) in encodings.iter().enumerate() {
            let (key, signature) = small(*a, *r);
            cases.push((
                format!("the neutral element as key ({i}) and R ({j}): fits every message"),
                key,
                message.to_vec(),
                signature,
            ));
        }
    }
    for (name, a) in [("of order 2", minus_one), ("of order 4", [0; 32])] {
        for r in [encodings[0], minus_one, [0; 32]] {
            let (key, signature) = small(a, r);
            cases.push((format!("a key {name}: the cofactor clears it"), key, message.to_vec(), signature));
        }
    }
    let cases = cases.into_iter().map(|(name, key, message, signature)| {
        object()
            .with("name", name)
            .with("key", hex(key))
            .with("message", hex(&message))
            .with("signature", hex(signature))
            .with("valid", verify_zip215(&key, &message, &signature))
            .with("strict", is_strict(&key, &message, &signature))
            .with("registrable", is_registrable(&key).is_ok())
    });
    object()
        .with("about", "ZIP-215, and which keys may be registered: see hashing.md")
        .with("signatures", list(cases))
}

/// `seals.json`.
pub fn seals(world: &World) -> Json {
    let seals = world.sealed.iter().map(|(name, sealed)| {
        let place = Place { chain: &world.chain, kind: sealed.kind, item_id: &sealed.item_id };
        let fields = (1u8..).zip(&sealed.values).map(|(number, value)| {
            let salt = salt(&sealed.seed, number);
            object()
                .with("field", u64::from(number))
                .with("name", sealed.kind.sealed_fields()[usize::from(number) - 1])
                .with("salt", hex(salt))
                .with("value", hex(value))
                .with("leaf_hash", hex(place.leaf(number, &salt, value)))
        });
        let mut openings = Vec::new();
        for number in 1..=sealed.values.len() as u8 {
            let opening = world.opening(name, number);
            let case = |why: &str, opening: &custos_proof::seal::Opening| {
                object()
                    .with("why", why)
                    .with("opening", hex(opening.to_bytes()))
                    .with("valid", place.verify(&sealed.seal, opening))
            };
            openings.push(case("an opening", &opening));
            if *name == "consent" && number == 2 {
                let mut bad = opening.clone();
                bad.field = 1;
                openings.push(case("another field", &bad));
                bad.field = 0;
                openings.push(case("field zero", &bad));
                bad.field = 4;
                openings.push(case("a field that does not exist", &bad));
                bad = opening.clone();
                bad.salt.0[0] ^= 1;
                openings.push(case("another salt", &bad));
                bad = opening.clone();
                bad.value = custos_proof::cbor::Bytes::new(vec![0x81, 0x00]).expect("because it is short");
                openings.push(case("another value", &bad));
                bad = opening.clone();
                bad.path = List::new(opening.path[1..].to_vec()).expect("because it is shorter");
                openings.push(case("a path too short", &bad));
                bad = opening.clone();
                bad.item_id = custos_proof::ids::ItemId([0; 16]);
                openings.push(case("an opening of another item", &bad));
            }
        }
        object()
            .with("name", *name)
            .with("chain", hex(world.chain))
            .with("kind", sealed.kind.name())
            .with("item_id", hex(sealed.item_id))
            .with("seed", hex(sealed.seed))
            .with("fields", list(fields))
            .with("root", hex(sealed.seal.root))
            .with("openings", list(openings))
    });
    object()
        .with("about", "Sealed fields: see hashing.md and items.md")
        .with("seals", list(seals.collect::<Vec<_>>()))
}

/// `pseudonyms.json`.
pub fn pseudonyms(world: &World) -> Json {
    let custodian = who("hospital-a");
    let years = [2025u16, EPOCH, 2027].map(|epoch| {
        let secret = epoch_secret(&PATIENT, epoch);
        let trails = [None, Some(who("hospital-b")), Some(who("university-d"))].map(|grantee| {
            let id = local_id(&secret, &world.chain, &custodian, grantee.as_ref());
            let trail = object();
            let trail = match &grantee {
                Some(grantee) => trail.with("grantee", grantee.as_str()),
                None => trail,
            };
            trail
                .with("local_id", hex(id))
                .with("reader_preimage", hex(reader_preimage(&secret, &id)))
                .with("reader", hex(reader(&secret, &id)))
                .with("trail_key", hex(TrailName::subject(&custodian, id).key()))
        });
        object().with("epoch", u64::from(epoch)).with("k_e", hex(secret.0)).with("trails", list(trails))
    });
    let trail_keys = [TrailName::institution(&custodian), TrailName::registry(&who("ministry"))]
        .map(|name| object().with("name", hex(name.to_bytes())).with("key", hex(name.key())));
    let own = super::world::trails(&world.chain);
    let subject_keys = [own.0, own.1].map(|name| {
        let trail = name.key();
        let key = subject_key(&trail).public_key();
        let preimage = custos_proof::kinds::trail::possession_preimage(&world.chain, &trail, &key);
        object()
            .with("trail_key", hex(trail))
            .with("seed", hex(custos_proof::subject::subject_key_seed(&subject_secret(), &trail)))
            .with("public_key", hex(key))
            .with("possession_preimage", hex(preimage))
    });
    object()
        .with("about", "What custodian and patient derive from the secret they share: see pseudonyms.md")
        .with("chain", hex(world.chain))
        .with("custodian", custodian.as_str())
        .with("k", hex(PATIENT))
        .with("patient_code", patient_code(&PATIENT))
        .with(
            "patient_codes_refused",
            list([
                "custos1-qqqq",
                "custos1qqqqsyqcyq5rqwzqfpg9scrgwpugpzysnzs23v9ccrydpk8qarc0shf35rq",
                "custos1pqqqsyqcyq5rqwzqfpg9scrgwpugpzysnzs23v9ccrydpk8qarc0shf35rn",
            ]),
        )
        .with("years", list(years))
        .with("other_trails", list(trail_keys))
        .with("s", hex(subject_secret()))
        .with("subject_keys", list(subject_keys))
}

/// BIP 350, written out: the custodian's crate has another encoder, and the vector holds both to one answer.
fn patient_code(k: &[u8; 32]) -> String {
    const SYMBOLS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let mut symbols = vec![0u8];
    let (mut bits, mut count) = (0u32, 0);
    for byte in k {
        bits = bits << 8 | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            symbols.push((bits >> count & 31) as u8);
        }
    }
    symbols.push((bits << (5 - count) & 31) as u8);
    let prefix = b"custos";
    let expanded = prefix.iter().map(|c| c >> 5).chain([0]).chain(prefix.iter().map(|c| c & 31));
    let sum = expanded.chain(symbols.iter().copied()).chain([0; 6]).fold(1u32, |sum, symbol| {
        let top = sum >> 25;
        let next = (sum & 0x01ff_ffff) << 5 ^ u32::from(symbol);
        GENERATOR
            .iter()
            .enumerate()
            .fold(next, |next, (i, g)| if top >> i & 1 == 1 { next ^ g } else { next })
    }) ^ 0x2bc8_30a3;
    symbols.extend((0..6).map(|i| (sum >> (5 * (5 - i)) & 31) as u8));
    let text: String = symbols.iter().map(|s| char::from(SYMBOLS[usize::from(*s)])).collect();
    format!("custos1{text}")
}

/// `submissions.json`.
pub fn submissions(world: &World) -> Json {
    let good: Vec<Json> =
        world.blocks.iter().flat_map(|decided| &decided.submissions).map(submission).collect();
    let refused = world.refused.iter().map(|(name, height, submission, refusal)| {
        let case = object()
            .with("name", *name)
            .with("height", height.0)
            .with("bytes", hex(submission.bytes()))
            .with("code", refusal.code.word());
        match refusal.item {
            Some(item) => case.with("item", item as u64),
            None => case,
        }
    });
    object()
        .with("about", "Submissions with every value on the way to their ids; malformed ones; and such as the rules refuse in the block after `height`")
        .with("good", list(good))
        .with("malformed", list(malformed(world)))
        .with("refused", list(refused))
}

/// A submission with its intermediate values.
pub fn submission(submission: &Submission) -> Json {
    let envelope = submission.envelope();
    let mut r = Reader::new(envelope.bytes());
    let parts = (|| {
        r.tag(18)?;
        r.array(4)?;
        let protected = r.bytes(512)?;
        r.map_up_to(0)?;
        Ok::<_, DecodeError>((protected, r.bytes(512)?))
    })();
    let (protected, payload) = parts.expect("because it was decoded before");
    let items = submission
        .items()
        .iter()
        .map(|item| object().with("bytes", hex(item)).with("hash", hex(item_hash(item))));
    object()
        .with("bytes", hex(submission.bytes()))
        .with("envelope", hex(envelope.bytes()))
        .with("protected", hex(protected))
        .with("payload", hex(payload))
        .with("sig_structure", hex(envelope.sig_structure()))
        .with("submission_id", hex(submission.id()))
        .with("key_id", hex(envelope.key_id()))
        .with("signature", hex(envelope.signature()))
        .with("items_root", hex(submission.payload().items_root))
        .with("items", list(items))
}

/// The submission of the first access, spoiled in one place each.
fn malformed(world: &World) -> Vec<Json> {
    let good = &world.blocks[3].submissions[0];
    let envelope = good.envelope().bytes().to_vec();
    let rebuilt = |envelope: &[u8]| frame(envelope, good.items());
    let replace = |from: &[u8], to: &[u8]| {
        let at = envelope.windows(from.len()).position(|w| w == from).expect("because it is there");
        [&envelope[..at], to, &envelope[at + from.len()..]].concat()
    };
    let protected_key = |bytes: &[u8]| {
        let mut out = bytes.to_vec();
        out.extend_from_slice(&[0x04, 0x58, 0x20]);
        out.extend_from_slice(&good.envelope().key_id().0);
        out
    };
    let header = |bytes: &[u8]| [&[0x58, bytes.len() as u8], bytes].concat();
    let old = header(&protected_key(&[0xa2, 0x01, 0x32]));
    let with_header = |bytes: &[u8]| rebuilt(&replace(&old, &header(&protected_key(bytes))));
    let mut items = good.items().to_vec();
    items.swap(0, 1);
    let mut fewer = good.items().to_vec();
    fewer.pop();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("the last byte is missing", good.bytes()[..good.bytes().len() - 1].to_vec()),
        ("a byte after the end", [good.bytes(), &[0]].concat()),
        ("the array's length in two bytes", [&[0x98, 0x02], &good.bytes()[1..]].concat()),
        ("not tagged as COSE_Sign1", rebuilt(&envelope[1..])),
        ("tag 18 in two bytes", rebuilt(&[&[0xd8, 0x12], &envelope[1..]].concat())),
        ("tag 98 (COSE_Sign)", rebuilt(&[&[0xd8, 0x62], &envelope[1..]].concat())),
        (
            "something in the unprotected header",
            rebuilt(&replace(&[&old[..], &[0xa0]].concat(), &[&old[..], &[0xa1, 0x04, 0x41, 0x00]].concat())),
        ),
        ("ES256, which is reserved", with_header(&[0xa2, 0x01, 0x26])),
        ("EdDSA by its older number", with_header(&[0xa2, 0x01, 0x27])),
        ("no algorithm", {
            let mut bytes = vec![0xa1];
            bytes.extend_from_slice(&protected_key(&[]));
            rebuilt(&replace(&old, &header(&bytes)))
        }),
        ("the algorithm in two bytes", with_header(&[0xa2, 0x01, 0x38, 0x12])),
        ("another header parameter", {
            let mut bytes = protected_key(&[0xa3, 0x01, 0x32]);
            bytes.extend_from_slice(&[0x05, 0x41, 0x00]);
            rebuilt(&replace(&old, &header(&bytes)))
        }),
        ("version 2 of the payload", rebuilt(&replace(&[0x88, 0x01, 0x58, 0x20], &[0x88, 0x02, 0x58, 0x20]))),
        ("a class that does not exist", rebuilt(&replace(b"hospital-b\x02", b"hospital-b\x03"))),
        ("an author in capitals", rebuilt(&replace(b"hospital-b\x02", b"Hospital-b\x02"))),
        ("items in another order", frame(&envelope, &items)),
        ("an item too few", frame(&envelope, &fewer)),
        ("a bit flipped in an item", {
            let mut items = good.items().to_vec();
            let last = items[0].len() - 1;
            items[0][last] ^= 1;
            frame(&envelope, &items)
        }),
        ("an envelope longer than any", rebuilt(&[&envelope[..], &[0; 512]].concat())),
    ];
    let spoiled = cases.into_iter().map(|(name, bytes)| {
        let error: FormError = Submission::decode(&bytes).expect_err(name);
        let code = Refusal::from(error).code;
        object().with("name", name).with("bytes", hex(bytes)).with("code", code.word())
    });
    let mut all: Vec<Json> = spoiled.collect();
    let mut forged = envelope.clone();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let decoded = Envelope::decode(&forged).expect("because only the signature differs");
    assert!(!decoded.verifies_under(&sign_key("hospital-b").public_key()));
    all.push(
        object()
            .with("name", "a signature with a flipped bit")
            .with("bytes", hex(rebuilt(&forged)))
            .with("key", hex(sign_key("hospital-b").public_key()))
            .with("code", "bad-signature"),
    );
    all
}

/// A seed, so that others can sign as the vectors do.
pub fn secret(name: &str) -> Json {
    object().with("name", name).with("seed", hex(seed(name)))
}
