//! Vectors of whole files: what a verifier says of receipts, trails, disclosures and anchors, and why.

use std::collections::BTreeMap;

use custos_proof::anchor::{Advance, Link, Links, Recency, TRUST_PERIOD_MS, Trust, TrustAnchor};
use custos_proof::cbor::{Bytes, List, Set, Wire};
use custos_proof::certificate::{
    Certificate, CertificateError, CommitSignature, Validator, ValidatorSet, VoteType, vote_preimage,
};
use custos_proof::disclosure::{self, Disclosure, Openings, Shown};
use custos_proof::file::{self, File, FileError, Receipts};
use custos_proof::hash::{ChainId, Digest};
use custos_proof::header::Header;
use custos_proof::ids::{FAR, Height, LogIndex, LogSize, TimeMs};
use custos_proof::item::{Item, item_hash};
use custos_proof::keys::{KeyPurpose, PublicKey, Signer as _, key_id};
use custos_proof::kinds::Class;
use custos_proof::merkle;
use custos_proof::receipt::{ProvenKey, Receipt};
use custos_proof::record::{Check, Entry as RecordEntry, Finding, Listing, Record, verdict};
use custos_proof::registry::{self, KeyEntry, TrailHead};
use custos_proof::seal::Opening;
use custos_proof::state_map;
use custos_proof::submission::{Author, Draft, Submission};
use custos_proof::trail::TrailName;
use custos_proof::trail_proof::{Entry, TrailProof};
use custos_proof::verify::{self, Basis, Content, Failure, ProvenHeader, ProvenItem};
use custos_proof::witness::{Cosignature, Witnessed, checkpoint, cosignature_preimage};

use super::json::{Json, hex, list, object};
use super::world::{BEGIN, Key, World, certify, id16, is_block, sign_key, trails, vote_key, who};

/// A file to be judged, and what it is judged by.
struct Case {
    name: &'static str,
    file: Vec<u8>,
    anchor: &'static str,
    links: Option<Vec<u8>>,
    openings: Option<Vec<u8>>,
    not_older_than: Option<TimeMs>,
    /// The word of verification.md that is expected; "verified" for none.
    expect: &'static str,
}

fn case(name: &'static str, file: Vec<u8>, expect: &'static str) -> Case {
    Case { name, file, anchor: "genesis", links: None, openings: None, not_older_than: None, expect }
}

impl Case {
    fn under(mut self, anchor: &'static str) -> Self {
        self.anchor = anchor;
        self
    }
}

/// `verify.json`.
pub fn document(world: &World) -> Json {
    let anchors = anchors(world);
    let mut cases = receipts(world);
    cases.extend(certificates(world));
    cases.extend(liars(world));
    cases.extend(trail_cases(world));
    cases.extend(disclosures(world));
    cases.extend(trusted(world));
    cases.extend(linked(world));
    let judged = cases.iter().map(|case| judge(case, &anchors));
    let judged: Vec<Json> = judged.collect();
    let files = anchors.iter().fold(object(), |object, (name, anchor)| object.with(name, hex(anchor)));
    object()
        .with("about", "Files, what they are judged by, and the answer: see verification.md")
        .with("anchors", files)
        .with("cases", list(judged))
        .with("advances", list(advances(world, &anchors)))
}

/// As many spoiled files as asked for, each with the answer: for comparing verifiers, not for keeping.
///
/// Half of them have some bytes changed; half are put together from parts of good files.
pub fn mutations(world: &World, seed: u64, count: usize) -> Json {
    let anchors = anchors(world);
    let mut dice = Dice(seed | 1);
    let good: Vec<Case> = [
        receipts(world),
        certificates(world),
        trail_cases(world),
        disclosures(world),
        trusted(world),
        linked(world),
    ]
    .into_iter()
    .flatten()
    .filter(|case| case.expect == "verified")
    .collect();
    let cases = (0..count).map(|i| {
        let case = &good[dice.below(good.len())];
        let other = &good[dice.below(good.len())];
        let file =
            if i % 2 == 0 { spoil(&case.file, &mut dice) } else { mix(&case.file, &other.file, &mut dice) };
        judged(
            &Case {
                file,
                name: case.name,
                anchor: case.anchor,
                links: case.links.clone(),
                openings: None,
                ..*case
            },
            &anchors,
        )
        .0
    });
    let cases: Vec<Json> = cases.collect();
    let files = anchors.iter().fold(object(), |object, (name, anchor)| object.with(name, hex(anchor)));
    let values = super::values::mutations(&mut dice, count);
    object()
        .with("anchors", files)
        .with("cases", list(cases))
        .with("advances", list(Vec::<Json>::new()))
        .with("values", list(values))
}

/// Numbers that look random (xorshift).
pub struct Dice(pub u64);

impl Dice {
    /// A number below a bound.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

/// Some bytes changed.
pub fn spoil(file: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = file.to_vec();
    for _ in 0..=dice.below(2) {
        if bytes.is_empty() {
            break;
        }
        let at = dice.below(bytes.len());
        match dice.below(5) {
            0 | 1 => bytes[at] ^= 1 << dice.below(8),
            2 => bytes[at] = dice.below(256) as u8,
            3 => bytes.insert(at, dice.below(256) as u8),
            _ => drop(bytes.remove(at)),
        }
    }
    bytes
}

fn mix(one: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut take = || dice.below(3) == 0;
    match (file::decode(one), file::decode(other)) {
        (Ok(File::Receipt(mut a)), Ok(File::Receipt(b))) => {
            macro_rules! parts { ($($part:ident),*) => { $( if take() { a.$part = b.$part.clone(); } )* } }
            parts!(
                item,
                envelope,
                item_path,
                record,
                record_path,
                header,
                certificate,
                author_key,
                witnessed
            );
            a.to_bytes()
        }
        (Ok(File::Trail(mut a)), Ok(File::Trail(b))) => {
            macro_rules! parts { ($($part:ident),*) => { $( if take() { a.$part = b.$part.clone(); } )* } }
            parts!(name, header, certificate, head, head_proof, begin, entries, range_path, envelopes, keys);
            a.to_bytes()
        }
        _ => spoil(one, dice),
    }
}

// ---------------------------------------------------------------------------------------------
// What is said of a case.

fn judge(case: &Case, anchors: &BTreeMap<&'static str, Vec<u8>>) -> Json {
    let (json, word) = judged(case, anchors);
    assert_eq!(word, case.expect, "{}", case.name);
    json
}

/// The case with its answer, and the answer's word.
fn judged(case: &Case, anchors: &BTreeMap<&'static str, Vec<u8>>) -> (Json, String) {
    let anchor = read_anchor(&anchors[case.anchor]);
    let links = case.links.as_deref().map(|bytes| match file::decode(bytes) {
        Ok(File::Links(links)) => links.links.into_inner(),
        other => panic!("{}: {other:?}", case.name),
    });
    let links = links.unwrap_or_default();
    let openings = case.openings.as_deref().map(|bytes| match file::decode(bytes) {
        Ok(File::Openings(openings)) => openings.openings.into_inner(),
        other => panic!("{}: {other:?}", case.name),
    });
    let recency = Recency { trust_period_ms: TRUST_PERIOD_MS, not_older_than: case.not_older_than };
    let basis = Basis { anchor: &anchor, links: &links, recency };
    let answer = answer(&case.file, &openings.unwrap_or_default(), &basis);
    let mut json = object().with("name", case.name).with("file", hex(&case.file)).with("anchor", case.anchor);
    for (name, bytes) in [("links", &case.links), ("openings", &case.openings)] {
        if let Some(bytes) = bytes {
            json = json.with(name, hex(bytes));
        }
    }
    if let Some(time) = case.not_older_than {
        json = json.with("not_older_than", time.0);
    }
    let (word, exit, shown) = match answer {
        Ok(shown) => ("verified".to_string(), 0, Some(shown)),
        Err((word, evidence)) => (word, if evidence { 1 } else { 2 }, None),
    };
    json = json.with("exit", exit as u64).with("answer", word.as_str());
    (shown.into_iter().fold(json, |json, shown| json.with("shows", shown)), word)
}

/// What `custos verify` does with a file, in words for programs.
fn answer(bytes: &[u8], openings: &[Opening], basis: &Basis<'_>) -> Result<Json, (String, bool)> {
    let failed = |failure: Failure| (word(&failure), failure.is_evidence());
    let chain = &basis.anchor.chain;
    match file::decode(bytes) {
        Err(FileError::Unknown) => Err(("unknown-file".into(), false)),
        Err(FileError::Malformed { .. }) => Err(("malformed-file".into(), true)),
        Ok(File::Receipt(receipt)) => shown_receipt(&receipt, openings, basis).map_err(failed),
        Ok(File::Receipts(receipts)) => {
            let each = receipts.receipts.iter().map(|r| shown_receipt(r, openings, basis));
            let each: Result<Vec<_>, _> = each.collect();
            Ok(object().with("type", "receipts").with("receipts", list(each.map_err(failed)?)))
        }
        Ok(File::Trail(proof)) => shown_trail(&proof, openings, basis, chain).map_err(failed),
        Ok(File::Disclosure(disclosed)) => {
            if file::type_name(&disclosed.proof).is_ok_and(|name| name == "custos.disclosure.v1") {
                return Err(("nothing-to-verify".into(), false));
            }
            let all: Vec<Opening> = disclosed.openings.iter().chain(openings).cloned().collect();
            answer(&disclosed.proof, &all, basis)
        }
        Ok(_) => Err(("nothing-to-verify".into(), false)),
    }
}

fn shown_receipt(receipt: &Receipt, openings: &[Opening], basis: &Basis<'_>) -> Result<Json, Failure> {
    let proven = verify::receipt(receipt, basis)?;
    let json = shown_header(object().with("type", "receipt"), &proven.header);
    let shown = disclosure::show_all(&basis.anchor.chain, &[&proven.item.item], openings)?;
    Ok(json.with("item", shown_item(&proven.item, &shown[0])))
}

fn shown_trail(
    proof: &TrailProof,
    openings: &[Opening],
    basis: &Basis<'_>,
    chain: &ChainId,
) -> Result<Json, Failure> {
    let proven = verify::trail(proof, basis)?;
    let items: Vec<&Item> = proven
        .entries
        .iter()
        .filter_map(|entry| if let Content::Item(item) = &entry.content { Some(&item.item) } else { None })
        .collect();
    let mut shown = disclosure::show_all(chain, &items, openings)?.into_iter();
    let mut entries = Vec::new();
    for entry in &proven.entries {
        let json = object()
            .with("position", entry.position)
            .with("index", entry.record.index.0)
            .with("recorded", entry.record.time.0);
        entries.push(match &entry.content {
            Content::Item(item) => {
                json.with("item", shown_item(item, &shown.next().expect("because there is one for each")))
            }
            Content::Withheld(warrant) => json.with("withheld", hex(warrant)),
            Content::Pruned => json.with("pruned", true),
        });
    }
    let (withheld, pruned) = proven.not_shown();
    let times: Vec<TimeMs> = proven.entries.iter().map(|entry| entry.record.time).collect();
    let spans = times
        .iter()
        .flat_map(|from| times.iter().map(move |to| (*from, *to)))
        .filter(|(from, to)| from <= to);
    let covered = spans.filter(|(from, to)| proven.covers(*from, *to));
    Ok(shown_header(object().with("type", "trail"), &proven.header)
        .with("trail", hex(proven.key))
        .with("size", proven.size)
        .with("begin", proven.begin)
        .with("complete", proven.is_complete())
        .with("withheld", withheld as u64)
        .with("pruned", pruned as u64)
        .with("covers", list(covered.map(|(from, to)| list([from.0, to.0]))))
        .with("entries", list(entries)))
}

fn shown_header(json: Json, proven: &ProvenHeader) -> Json {
    let trust = match proven.trust {
        Trust::TrustPeriod => "trust-period".to_string(),
        Trust::Witnesses(count) => format!("witnesses {count}"),
    };
    json.with("height", proven.header.height.0)
        .with("time", proven.header.time.0)
        .with("block_id", hex(proven.header.block_id()))
        .with("signers", list(proven.signers.iter().map(|signer| u64::from(*signer))))
        .with("trust", trust)
}

fn shown_item(item: &ProvenItem, shown: &[Shown]) -> Json {
    let author = match &item.entry.author {
        Author::Participant(id) => id.to_string(),
        Author::Subject(trail) => trail.to_string(),
    };
    let verdict = &item.entry.verdict;
    let sealed = shown.iter().map(|field| {
        let json = object().with("field", u64::from(field.field)).with("name", field.name);
        match &field.value {
            Some(value) => json.with("value", hex(value)),
            None => json,
        }
    });
    object()
        .with("hash", hex(item.hash))
        .with("kind", item.item.kind().name())
        .with("author", author)
        .with("index", item.record.index.0)
        .with("height", item.record.height.0)
        .with("recorded", item.record.time.0)
        .with("checks", list(verdict.checks.iter().map(|check| check.number())))
        .with("finding", verdict.finding.number())
        .with("codes", list(verdict.codes.iter().map(|code| code.number())))
        .with("not_after", item.not_after.0)
        .with("strict", item.is_strict())
        .with("key_compromised", item.key.compromised_from.is_some_and(|from| from <= item.record.time))
        .with("sealed", list(sealed))
}

/// The words of verification.md.
fn word(failure: &Failure) -> String {
    match failure {
        Failure::Form { what, .. } => return format!("malformed-{what}"),
        Failure::Envelope(_) => "malformed-envelope",
        Failure::OtherChain { .. } => "other-chain",
        Failure::Protocol { .. } => "unknown-protocol",
        Failure::Fork { .. } => "fork",
        Failure::CertificateOfAnother => "certificate-of-another",
        Failure::Certificate(CertificateError::NotAscending) => "signers-not-ascending",
        Failure::Certificate(CertificateError::UnknownSigner { .. }) => "unknown-signer",
        Failure::Certificate(CertificateError::BadSignature { .. }) => "bad-precommit",
        Failure::Certificate(CertificateError::NoQuorum { .. }) => "no-quorum",
        Failure::BadLink { .. } => "bad-link",
        Failure::HeaderTime { .. } => "header-time",
        Failure::Witnesses => "witnesses",
        Failure::Unlinked { .. } => "unlinked",
        Failure::TooOld { .. } => "too-old",
        Failure::RetiredKeys { .. } => "retired-keys",
        Failure::NotInLog => "not-in-log",
        Failure::RecordTime => "record-time",
        Failure::OtherItem => "other-item",
        Failure::OtherSubmission => "other-submission",
        Failure::NotSigned => "not-signed",
        Failure::OtherClass => "other-class",
        Failure::KeyProof => "key-proof",
        Failure::KeyNotValid => "key-not-valid",
        Failure::KeyMissing => "key-missing",
        Failure::AuthorSignature => "author-signature",
        Failure::TrailHead => "trail-head",
        Failure::TrailRoot => "trail-root",
        Failure::NotListed { .. } => "not-listed",
        Failure::Contradiction => "contradiction",
        Failure::Opening { .. } => "opening",
    }
    .into()
}

fn read_anchor(bytes: &[u8]) -> TrustAnchor {
    match file::decode(bytes) {
        Ok(File::Anchor(anchor)) => anchor,
        Ok(File::Genesis(genesis)) => {
            TrustAnchor::from_genesis(&genesis).expect("because this genesis holds together")
        }
        other => panic!("not an anchor: {other:?}"),
    }
}

// ---------------------------------------------------------------------------------------------
// Anchors.

fn anchors(world: &World) -> BTreeMap<&'static str, Vec<u8>> {
    let at = |height: u64| TrustAnchor {
        chain: world.chain,
        height: Height(height),
        block_id: world.header(height).block_id(),
        validators: world.validators.clone(),
        time: world.header(height).time,
        witnesses: Set::default(),
        threshold: 0,
    };
    // As old as the trust period allows, and a millisecond older: 2026-01-15T00:08 is the time of block 8.
    let long_ago = |ms: u64| TimeMs(world.header(8).time.0 - TRUST_PERIOD_MS - ms);
    let old = TrustAnchor { time: long_ago(1), ..at(1) };
    let witnesses = Set::new(witnesses().map(|key| key.public_key()).to_vec()).expect("because they are few");
    let all = [
        ("genesis", world.genesis.to_bytes()),
        ("block 5", at(5).to_bytes()),
        ("block 8", at(8).to_bytes()),
        (
            "another block 8",
            TrustAnchor { block_id: custos_proof::hash::BlockId([1; 32]), ..at(8) }.to_bytes(),
        ),
        ("another chain", TrustAnchor { chain: ChainId([1; 32]), ..at(1) }.to_bytes()),
        ("on the last day", TrustAnchor { time: long_ago(0), ..at(1) }.to_bytes()),
        ("a millisecond too old", old.to_bytes()),
        ("old, two of three witnesses", TrustAnchor { witnesses, threshold: 2, ..old }.to_bytes()),
    ];
    all.into_iter().collect()
}

fn witnesses() -> [Key; 3] {
    ["witness 1", "witness 2", "witness 3"].map(Key::named)
}

// ---------------------------------------------------------------------------------------------
// Receipts.

fn changed<const N: usize>(bytes: &Bytes<N>, at: impl Fn(usize) -> usize) -> Bytes<N> {
    let mut bytes = bytes.to_vec();
    let at = at(bytes.len());
    bytes[at] ^= 1;
    Bytes::new(bytes).expect("because the length is the same")
}

fn path<const N: usize>(hashes: &[Digest]) -> List<Digest, N> {
    List::new(hashes.to_vec()).expect("because it is short")
}

fn receipts(world: &World) -> Vec<Case> {
    let good = world.receipt("read with consent", 9);
    let mut cases = Vec::new();
    for name in world.items.keys() {
        // What lives after the story's end is proven where the chain ends.
        let height = if world.holds(name, 9) { 9 } else { 11 };
        cases.push(case(name, world.receipt(name, height).to_bytes(), "verified"));
    }
    cases.push(case(
        "a receipt as it is made when the block is decided",
        world.receipt("consent", 3).to_bytes(),
        "verified",
    ));
    let both = vec![world.receipt("read with consent", 6), world.receipt("read by law", 6)];
    let both = Receipts { receipts: List::new(both).expect("because they are two") }.to_bytes();
    cases.push(case("the receipts of a submission", both, "verified"));
    let bytes = good.to_bytes();
    cases.push(case("not a file", b"\x83\x01\x02\x03".to_vec(), "unknown-file"));
    cases.push(case("an empty file", Vec::new(), "unknown-file"));
    cases.push(case(
        "a file of a later type",
        [&[0x81, 0x71], &b"custos.receipt.v2"[..]].concat(),
        "unknown-file",
    ));
    cases.push(case("an anchor where a proof should be", world.genesis.to_bytes(), "nothing-to-verify"));
    cases.push(case("a byte after the end", [&bytes[..], &[0]].concat(), "malformed-file"));
    cases.push(case("the last byte is missing", bytes[..bytes.len() - 1].to_vec(), "malformed-file"));
    cases.push(case(
        "the array's length in two bytes",
        [&[0x98, 0x0a], &bytes[1..]].concat(),
        "unknown-file",
    ));
    let item =
        bytes.windows(good.item.len()).position(|w| w == &good.item[..]).expect("because it is in there");
    let length = (good.item.len() as u32).to_be_bytes();
    let head = [&[0x5a], &length[..]].concat();
    cases.push(case(
        "the item's length in four bytes",
        [&bytes[..19], &head, &bytes[item..]].concat(),
        "malformed-file",
    ));

    let mut add = |name, change: &dyn Fn(&mut Receipt), expect| {
        let mut bad = good.clone();
        change(&mut bad);
        cases.push(case(name, bad.to_bytes(), expect));
    };
    let last = |len: usize| len - 1;
    add("a flipped bit in the item", &|r| r.item = changed(&r.item, last), "other-item");
    add(
        "another item of the same submission",
        &|r| {
            r.item = Bytes::new(world.items["read by law"].clone()).expect("because items are short");
        },
        "other-item",
    );
    add(
        "a flipped bit in the author's signature",
        &|r| r.envelope = changed(&r.envelope, last),
        "author-signature",
    );
    add(
        "a flipped bit in the signed payload",
        &|r| r.envelope = changed(&r.envelope, |len| len - 68),
        "author-signature",
    );
    add("an envelope that is none", &|r| r.envelope = changed(&r.envelope, |_| 0), "malformed-envelope");
    add(
        "the envelope of another submission",
        &|r| {
            r.envelope = world.receipt("read after the revocation", 9).envelope;
        },
        "other-submission",
    );
    add("a flipped bit in the record", &|r| r.record = changed(&r.record, last), "not-in-log");
    add(
        "the record of another item",
        &|r| {
            let other = world.receipt("read by law", 9);
            (r.record, r.record_path) = (other.record, other.record_path);
        },
        "other-item",
    );
    add(
        "the record of a block",
        &|r| {
            let records = world.head().records();
            let at = records
                .iter()
                .position(|new| is_block(&Record::from_bytes(&new.bytes).expect("a record")))
                .expect("one");
            r.record = Bytes::new(records[at].bytes.clone()).expect("because records are short");
            r.record_path =
                path(&merkle::path_of(&world.leaves(9), at as u64).expect("because it is one of them"));
        },
        "other-item",
    );
    add("a record that is none", &|r| r.record = changed(&r.record, |_| 0), "malformed-record");
    add("a record path too short", &|r| r.record_path = path(&r.record_path[1..]), "not-in-log");
    add(
        "a record path too long",
        &|r| r.record_path = path(&[&r.record_path[..], &[Digest::ZERO]].concat()),
        "not-in-log",
    );
    add("an item path of nothing", &|r| r.item_path = path(&[]), "not-signed");
    add(
        "an item path with a flipped bit",
        &|r| {
            let mut hashes = r.item_path.to_vec();
            hashes[0].0[0] ^= 1;
            r.item_path = path(&hashes);
        },
        "not-signed",
    );
    add("a header with another state root", &|r| r.header.state_root.0[0] ^= 1, "certificate-of-another");
    add("a header with another log root", &|r| r.header.log_root.0[0] ^= 1, "certificate-of-another");
    add("the header of another block", &|r| r.header = world.header(8).clone(), "certificate-of-another");
    add(
        "the certificate of another block",
        &|r| r.certificate = world.certificate(8).clone(),
        "certificate-of-another",
    );
    add(
        "header and certificate of an earlier block",
        &|r| {
            (r.header, r.certificate) = (world.header(5).clone(), world.certificate(5).clone());
        },
        "not-in-log",
    );
    add(
        "header and certificate of a block before the record's",
        &|r| {
            (r.header, r.certificate) = (world.header(3).clone(), world.certificate(3).clone());
        },
        "record-time",
    );
    add(
        "the key's entry changed",
        &|r| r.author_key.entry.not_after = TimeMs(r.author_key.entry.not_after.0 + 1),
        "key-proof",
    );
    add(
        "the key's entry as it was before",
        &|r| r.author_key = world.proven_key(&sign_key("hospital-b").public_key(), 6),
        "key-proof",
    );
    add(
        "the key of another participant",
        &|r| {
            r.author_key = world.proven_key(&sign_key("hospital-a").public_key(), 9);
        },
        "key-not-valid",
    );
    add(
        "the author's key for votes",
        &|r| {
            r.author_key = world.proven_key(&vote_key("hospital-b").public_key(), 9);
        },
        "key-not-valid",
    );
    add(
        "another key of the author",
        &|r| {
            r.author_key = world.proven_key(&Key::named("hospital-b sign, second").public_key(), 9);
        },
        "author-signature",
    );
    cases
}

fn certificates(world: &World) -> Vec<Case> {
    let good = world.receipt("read with consent", 9);
    let header = world.header(9).clone();
    let by = |signers: &[u16]| certify(&header, &world.validators, 0, signers);
    let mut cases = Vec::new();
    let mut add = |name, certificate: Certificate, expect| {
        cases.push(case(name, Receipt { certificate, ..good.clone() }.to_bytes(), expect));
    };
    add("signed by all", by(&[0, 1, 2, 3]), "verified");
    add("decided in a later round", certify(&header, &world.validators, 7, &[0, 1, 2, 3]), "verified");
    let strong: Vec<u16> =
        (0u16..4).filter(|i| world.validators.as_slice()[usize::from(*i)].power == 3).collect();
    let weak: Vec<u16> = (0u16..4).filter(|i| !strong.contains(i)).collect();
    let mut just_enough = [strong[0], weak[0], weak[1]];
    just_enough.sort_unstable();
    add("seven of ten: more than two thirds", by(&just_enough), "verified");
    add("six of ten: not more than two thirds", by(&strong), "no-quorum");
    add("nobody", by(&[]), "no-quorum");
    let list_of = |signatures: Vec<CommitSignature>| Certificate {
        signatures: List::new(signatures).expect("because they are few"),
        ..by(&[])
    };
    let all = by(&[0, 1, 2, 3]).signatures.to_vec();
    add(
        "signers out of order",
        list_of(vec![all[1].clone(), all[0].clone(), all[2].clone(), all[3].clone()]),
        "signers-not-ascending",
    );
    add(
        "a signer twice",
        list_of(vec![all[0].clone(), all[0].clone(), all[1].clone(), all[2].clone()]),
        "signers-not-ascending",
    );
    let beyond = CommitSignature { signer: 4, ..all[3].clone() };
    add("a signer beyond the set", list_of([&all[..], &[beyond]].concat()), "unknown-signer");
    let mut flipped = all.clone();
    flipped[3].signature.0[0] ^= 1;
    add("one bad signature among enough good ones", list_of(flipped), "bad-precommit");
    let voted = |vote: VoteType, chain: ChainId, height: Height| {
        let signatures = world.validators.as_slice().iter().zip(0u16..).map(|(validator, signer)| {
            let block = Some(header.block_id());
            let preimage = vote_preimage(&chain, height, header.round, vote, block, &validator.key);
            let signature =
                vote_key(validator.participant.as_str()).sign(&preimage).expect("because the key is here");
            CommitSignature { signer, signature }
        });
        list_of(signatures.collect())
    };
    add(
        "prevotes instead of precommits",
        voted(VoteType::Prevote, world.chain, header.height),
        "bad-precommit",
    );
    add(
        "precommits of another chain",
        voted(VoteType::Precommit, ChainId([1; 32]), header.height),
        "bad-precommit",
    );
    add("precommits of another height", voted(VoteType::Precommit, world.chain, Height(8)), "bad-precommit");
    add(
        "precommits of another round",
        Certificate { round: custos_proof::ids::Round(1), ..by(&[0, 1, 2, 3]) },
        "bad-precommit",
    );
    cases
}

// ---------------------------------------------------------------------------------------------
// Validators who sign what the rules forbid.

/// A header that a quorum of liars signed: over this log and these entries of the state map.
fn lie(
    world: &World,
    height: u64,
    log: &[Vec<u8>],
    entries: &[(custos_proof::hash::StateKey, Vec<u8>)],
) -> Header {
    let leaves: Vec<Digest> = log.iter().map(|record| merkle::leaf_hash(record)).collect();
    let hashes = entries.iter().map(|(key, value)| (*key, custos_proof::hash::sha256(value)));
    Header {
        height: Height(height),
        log_size: LogSize(leaves.len() as u64),
        log_root: merkle::root_of(&leaves),
        state_root: state_map::root_of(hashes),
        time: BEGIN.plus(60_000 * height),
        ..world.header(9).clone()
    }
}

/// What liars may choose.
#[derive(Clone)]
struct Lie {
    item: Vec<u8>,
    author: Author,
    class: Class,
    chain: ChainId,
    not_after: TimeMs,
    record: Record,
    entry: KeyEntry,
    header_height: u64,
}

impl Lie {
    /// A receipt for the item, in a log of a single record and a state of a single key.
    fn receipt(&self, world: &World, key: &Key) -> Receipt {
        let draft = Draft {
            chain: &self.chain,
            author: self.author.clone(),
            class: self.class,
            nonce: custos_proof::ids::Random16(id16("lie")),
            not_after: self.not_after,
        };
        let submission =
            Submission::sign(&draft, vec![self.item.clone()], key).expect("because the key is here");
        let mut record = self.record.clone();
        if let RecordEntry::Item(entry) = &mut record.entry {
            // Where the record is to name another submission, it says so by zeros.
            if entry.submission.0 != [0; 32] {
                entry.submission = submission.id();
            }
            entry.item = item_hash(&self.item);
        }
        let record = record.to_bytes();
        let at = registry::key_key(&key_id(&self.entry.key));
        let header =
            lie(world, self.header_height, std::slice::from_ref(&record), &[(at, self.entry.to_bytes())]);
        let proof = state_map::Proof { siblings: List::default(), terminal: state_map::Terminal::Leaf };
        Receipt {
            item: Bytes::new(self.item.clone()).expect("because items are short"),
            envelope: Bytes::new(submission.envelope().bytes().to_vec())
                .expect("because envelopes are short"),
            item_path: List::default(),
            record: Bytes::new(record).expect("because records are short"),
            record_path: List::default(),
            certificate: certify(&header, &world.validators, 0, &[0, 1, 2, 3]),
            header,
            author_key: ProvenKey { entry: self.entry.clone(), proof },
            witnessed: None,
        }
    }
}

fn liars(world: &World) -> Vec<Case> {
    let key = sign_key("hospital-b");
    let author = Author::Participant(who("hospital-b"));
    let entry = KeyEntry {
        owner: Author::Participant(who("hospital-b")),
        key: key.public_key(),
        purpose: KeyPurpose::Sign,
        valid_from: LogIndex(0),
        revoked: None,
        not_after: FAR,
        compromised_from: None,
    };
    let record = |height: u64| Record {
        index: LogIndex(0),
        height: Height(height),
        time: BEGIN.plus(60_000 * height),
        entry: RecordEntry::Item(custos_proof::record::ItemEntry {
            submission: custos_proof::hash::SubmissionId([1; 32]),
            author: author.clone(),
            position: 0,
            item: custos_proof::hash::ItemHash([0; 32]),
            verdict: verdict(&[Check::Author], &[], Finding::Consistent),
            trails: Set::default(),
        }),
    };
    let honest = Lie {
        item: world.items["read with consent"].clone(),
        author: author.clone(),
        class: Class::Testimony,
        chain: world.chain,
        not_after: BEGIN.plus(600_000),
        record: record(10),
        entry,
        header_height: 10,
    };
    let mut cases = Vec::new();
    let mut add = |name, change: &dyn Fn(&mut Lie), expect| {
        let mut lie = honest.clone();
        change(&mut lie);
        cases.push(case(name, lie.receipt(world, &key).to_bytes(), expect));
    };
    add("a log of one record, a state of one key", &|_| {}, "verified");
    add("a record of a later block than the header", &|l| l.record = record(11), "record-time");
    add("a record of another time than its block's", &|l| l.record.time = BEGIN, "record-time");
    add(
        "a record of an earlier block with the header's time",
        &|l| {
            l.record.height = Height(9);
        },
        "record-time",
    );
    add("a record beyond the log", &|l| l.record.index = LogIndex(1), "record-time");
    add(
        "a record that names another submission",
        &|l| {
            if let RecordEntry::Item(entry) = &mut l.record.entry {
                entry.submission = custos_proof::hash::SubmissionId([0; 32]);
            }
        },
        "other-submission",
    );
    add(
        "a record that names another author",
        &|l| {
            if let RecordEntry::Item(entry) = &mut l.record.entry {
                entry.author = Author::Participant(who("clinic-c"));
            }
        },
        "other-submission",
    );
    add(
        "a position beyond the submission",
        &|l| {
            if let RecordEntry::Item(entry) = &mut l.record.entry {
                entry.position = 1;
            }
        },
        "not-signed",
    );
    add("testimony signed as an act", &|l| l.class = Class::Act, "other-class");
    add("an envelope for another chain", &|l| l.chain = ChainId([1; 32]), "author-signature");
    add("recorded after the envelope had expired", &|l| l.not_after = BEGIN.plus(599_999), "key-not-valid");
    add("a key that was revoked before", &|l| l.entry.revoked = Some(LogIndex(0)), "key-not-valid");
    add("a key that was revoked right after", &|l| l.entry.revoked = Some(LogIndex(1)), "verified");
    add("a key that begins later", &|l| l.entry.valid_from = LogIndex(1), "key-not-valid");
    add("a key that had ended", &|l| l.entry.not_after = BEGIN.plus(599_999), "key-not-valid");
    add("a key that ends with the block's time", &|l| l.entry.not_after = BEGIN.plus(600_000), "verified");
    add("a key for votes", &|l| l.entry.purpose = KeyPurpose::Consensus, "key-not-valid");
    add("a key of somebody else", &|l| l.entry.owner = Author::Participant(who("clinic-c")), "key-not-valid");
    add(
        "a subject as the author",
        &|l| {
            l.author = Author::Subject(custos_proof::hash::TrailKey([1; 32]));
        },
        "key-not-valid",
    );
    add(
        "a key that is known to others since long before",
        &|l| l.entry.compromised_from = Some(TimeMs(0)),
        "verified",
    );
    add(
        "an item of a kind that this version lacks",
        &|l| {
            let at = l.item.windows(12).position(|w| w == b"access.event").expect("because that is its kind");
            l.item[at + 11] = b's';
        },
        "malformed-item",
    );
    add("an item that is no item", &|l| l.item = vec![0x80], "malformed-item");
    let other = Lie { chain: world.chain, ..honest.clone() }.receipt(world, &key);
    let mut newer = other.header.clone();
    newer.version = 2;
    let certificate = certify(&newer, &world.validators, 0, &[0, 1, 2, 3]);
    cases.push(case(
        "a header of a later protocol version",
        Receipt { header: newer, certificate, ..other }.to_bytes(),
        "unknown-protocol",
    ));
    cases
}

// ---------------------------------------------------------------------------------------------
// Trails.

fn trail_cases(world: &World) -> Vec<Case> {
    let (own, granted) = trails(&world.chain);
    let institution = |id: &str| TrailName::institution(&who(id));
    let full = world.trail(&granted, 9, None);
    let size = full.entries.len() as u64;
    let absent = world.trail(&institution("clinic-c"), 9, None);
    let mut cases = vec![
        case("a grantee's trail, whole", full.to_bytes(), "verified"),
        case("the own trail, whole", world.trail(&own, 9, None).to_bytes(), "verified"),
        case("the hospital's trail", world.trail(&institution("hospital-a"), 9, None).to_bytes(), "verified"),
        case(
            "the registry's trail",
            world.trail(&TrailName::registry(&who("ministry")), 9, None).to_bytes(),
            "verified",
        ),
        case("the trail as it was earlier", world.trail(&granted, 4, None).to_bytes(), "verified"),
        case("a range from the beginning", world.trail(&granted, 9, Some((0, 3))).to_bytes(), "verified"),
        case("a range in the middle", world.trail(&granted, 9, Some((2, 6))).to_bytes(), "verified"),
        case("a range to the end", world.trail(&granted, 9, Some((5, size))).to_bytes(), "verified"),
        case("a single entry", world.trail(&granted, 9, Some((3, 4))).to_bytes(), "verified"),
        case("a trail that has no entries", absent.to_bytes(), "verified"),
        case("a trail before it was opened", world.trail(&own, 1, None).to_bytes(), "verified"),
    ];
    let with = |change: &dyn Fn(&mut Vec<Entry>)| {
        let mut entries = full.entries.to_vec();
        change(&mut entries);
        TrailProof { entries: List::new(entries).expect("because they are few"), ..full.clone() }.to_bytes()
    };
    let record_of = |entry: &Entry| Bytes::new(entry.record().to_vec()).expect("because records are short");
    cases.push(case(
        "an entry pruned",
        with(&|e| e[3] = Entry::Pruned { record: record_of(&e[3]) }),
        "verified",
    ));
    let warrant = custos_proof::hash::ItemHash([7; 32]);
    cases.push(case(
        "an entry withheld",
        with(&|e| e[4] = Entry::Withheld { record: record_of(&e[4]), warrant }),
        "verified",
    ));
    cases.push(case(
        "every entry pruned",
        with(&|e| e.iter_mut().for_each(|e| *e = Entry::Pruned { record: record_of(e) })),
        "verified",
    ));
    cases.push(case("an entry left out", with(&|e| drop(e.remove(3))), "trail-root"));
    cases.push(case("the last entry left out", with(&|e| drop(e.pop())), "trail-root"));
    cases.push(case("an entry twice", with(&|e| e.insert(3, e[3].clone())), "trail-root"));
    cases.push(case("two entries swapped", with(&|e| e.swap(3, 4)), "trail-root"));
    cases.push(case("no entries of a trail that has some", with(&|e| e.clear()), "trail-root"));
    let bit = |entry: &Entry| changed(&record_of(entry), |len| len - 1);
    cases.push(case(
        "a flipped bit in a record",
        with(&|e| e[3] = Entry::Pruned { record: bit(&e[3]) }),
        "trail-root",
    ));
    let edit = |entry: &mut Entry, change: &dyn Fn(&mut Bytes<4096>, &mut u32, &mut List<Digest, 64>)| {
        if let Entry::Full { item, envelope, item_path, .. } = entry {
            change(item, envelope, item_path);
        }
    };
    cases.push(case(
        "a flipped bit in an item",
        with(&|e| edit(&mut e[3], &|item, _, _| *item = changed(item, |len| len - 1))),
        "other-item",
    ));
    cases.push(case(
        "an envelope that is not there",
        with(&|e| edit(&mut e[3], &|_, envelope, _| *envelope = 99)),
        "contradiction",
    ));
    cases.push(case(
        "the envelope of another entry",
        with(&|e| edit(&mut e[3], &|_, envelope, _| *envelope = 0)),
        "other-submission",
    ));
    cases.push(case(
        "an item path of nothing",
        with(&|e| edit(&mut e[3], &|_, _, item_path| *item_path = List::default())),
        "not-signed",
    ));

    let middle = world.trail(&granted, 9, Some((2, 6)));
    let mut add = |name, base: &TrailProof, change: &dyn Fn(&mut TrailProof), expect| {
        let mut bad = base.clone();
        change(&mut bad);
        cases.push(case(name, bad.to_bytes(), expect));
    };
    add("another begin", &middle, &|p| p.begin = 3, "trail-root");
    add(
        "a range path too long",
        &middle,
        &|p| p.range_path = path(&[&p.range_path[..], &[Digest::ZERO]].concat()),
        "trail-root",
    );
    add("a range path too short", &middle, &|p| p.range_path = path(&p.range_path[1..]), "trail-root");
    add(
        "another size",
        &full,
        &|p| p.head = p.head.clone().map(|head| TrailHead { size: head.size - 1, ..head }),
        "trail-head",
    );
    add(
        "the size and root of an earlier block",
        &full,
        &|p| p.head = world.trail(&granted, 4, None).head,
        "trail-head",
    );
    add(
        "the absence of a trail that exists",
        &full,
        &|p| {
            p.head = None;
            (p.entries, p.envelopes, p.keys) = (List::default(), List::default(), List::default());
        },
        "trail-head",
    );
    add("the absence proof of another trail", &absent, &|p| p.name = institution("hospital-a"), "trail-head");
    add("absence, with entries", &absent, &|p| p.entries = full.entries.clone(), "contradiction");
    add("absence, with a begin", &absent, &|p| p.begin = 1, "contradiction");
    add("absence, with a path", &absent, &|p| p.range_path = path(&[Digest::ZERO]), "contradiction");
    add(
        "the entries of another trail",
        &full,
        &|p| {
            let other = world.trail(&own, 9, None);
            (p.entries, p.envelopes, p.keys) = (other.entries, other.envelopes, other.keys);
        },
        "trail-root",
    );
    add("without the keys", &full, &|p| p.keys = List::default(), "key-missing");
    add("keys as they were earlier", &full, &|p| p.keys = world.trail(&granted, 4, None).keys, "key-proof");
    add(
        "a flipped bit in an envelope",
        &full,
        &|p| {
            let mut envelopes = p.envelopes.to_vec();
            envelopes[0] = changed(&envelopes[0], |len| len - 1);
            p.envelopes = List::new(envelopes).expect("because they are few");
        },
        "author-signature",
    );
    add(
        "an envelope that is none",
        &full,
        &|p| {
            let mut envelopes = p.envelopes.to_vec();
            envelopes[0] = Bytes::new(vec![0x80]).expect("because it is short");
            p.envelopes = List::new(envelopes).expect("because they are few");
        },
        "malformed-envelope",
    );
    add(
        "an institution's name with a local id",
        &absent,
        &|p| p.name.local_id = Some(Digest([1; 32])),
        "malformed-file",
    );
    add(
        "a subject's name without a local id",
        &absent,
        &|p| p.name = TrailName { local_id: None, ..own.clone() },
        "malformed-file",
    );
    cases.extend(lying_trails(world, &granted));
    cases
}

/// Trails whose root a quorum of liars signed, over records that are not listed there.
fn lying_trails(world: &World, name: &TrailName) -> Vec<Case> {
    let key = name.key();
    let block = |index: u64| Record {
        index: LogIndex(index),
        height: Height(10),
        time: BEGIN.plus(600_000),
        entry: RecordEntry::Due(custos_proof::record::DueEntry {
            cause: custos_proof::hash::ItemHash([1; 32]),
            rule: 1,
            deadline: BEGIN,
            trails: Set::new(vec![Listing { trail: key, position: index }]).expect("because it is one"),
        }),
    };
    let proof = |records: &[Record]| {
        let bytes: Vec<Vec<u8>> = records.iter().map(Record::to_bytes).collect();
        let leaves: Vec<Digest> = bytes.iter().map(|record| merkle::leaf_hash(record)).collect();
        let head = TrailHead { size: leaves.len() as u64, root: merkle::root_of(&leaves) };
        let header = lie(world, 10, &vec![vec![0u8]; 10], &[(registry::trail_key(&key), head.to_bytes())]);
        let entries =
            bytes.iter().map(|record| Entry::Pruned { record: Bytes::new(record.clone()).expect("short") });
        TrailProof {
            name: name.clone(),
            certificate: certify(&header, &world.validators, 0, &[0, 1, 2, 3]),
            header,
            head: Some(head),
            head_proof: state_map::Proof { siblings: List::default(), terminal: state_map::Terminal::Leaf },
            begin: 0,
            entries: List::new(entries.collect()).expect("because they are few"),
            range_path: List::default(),
            envelopes: List::default(),
            keys: List::default(),
            witnessed: None,
        }
        .to_bytes()
    };
    let at = |index: u64, position: u64| {
        let mut record = block(index);
        if let RecordEntry::Due(due) = &mut record.entry {
            due.trails = Set::new(vec![Listing { trail: key, position }]).expect("because it is one");
        }
        record
    };
    let elsewhere = {
        let mut record = block(0);
        if let RecordEntry::Due(due) = &mut record.entry {
            due.trails = Set::default();
        }
        record
    };
    vec![
        case("facts that the chain established", proof(&[block(0), block(1)]), "verified"),
        case("a record that is not listed in the trail", proof(&[elsewhere]), "not-listed"),
        case("a record that is listed at another place", proof(&[block(1)]), "not-listed"),
        case("records against the order of the log", proof(&[at(3, 0), at(2, 1)]), "not-listed"),
        case(
            "a trail record of a later block",
            proof(&[Record { height: Height(11), ..block(0) }]),
            "record-time",
        ),
    ]
}

// ---------------------------------------------------------------------------------------------
// Disclosures.

fn disclosures(world: &World) -> Vec<Case> {
    let receipt = world.receipt("read with consent", 9).to_bytes();
    let (_, granted) = trails(&world.chain);
    let trail = world.trail(&granted, 9, None).to_bytes();
    let disclose = |proof: &[u8], openings: Vec<Opening>| {
        let proof = Bytes::new(proof.to_vec()).expect("because proofs are short");
        Disclosure { proof, openings: List::new(openings).expect("because they are few") }.to_bytes()
    };
    let some: Vec<Opening> = [1, 4, 16].map(|field| world.opening("read with consent", field)).to_vec();
    let openings = Openings { openings: List::new(some.clone()).expect("because they are few") }.to_bytes();
    let mut cases = vec![
        case("a receipt with three fields opened", disclose(&receipt, some.clone()), "verified"),
        case("a receipt with nothing opened", disclose(&receipt, Vec::new()), "verified"),
        case("a field opened twice", disclose(&receipt, vec![some[0].clone(), some[0].clone()]), "verified"),
        case(
            "an opening of an item that is not there",
            disclose(&receipt, vec![world.opening("consent", 1)]),
            "verified",
        ),
        case(
            "a trail with openings of several items",
            disclose(
                &trail,
                vec![some[0].clone(), world.opening("consent", 2), world.opening("granted trail opened", 1)],
            ),
            "verified",
        ),
        Case {
            openings: Some(openings.clone()),
            ..case("openings from beside the receipt", receipt.clone(), "verified")
        },
        Case {
            openings: Some(openings.clone()),
            ..case(
                "openings from inside and from beside",
                disclose(&receipt, vec![world.opening("read with consent", 2)]),
                "verified",
            )
        },
        case(
            "a disclosure of a disclosure",
            disclose(&disclose(&receipt, Vec::new()), Vec::new()),
            "nothing-to-verify",
        ),
        case(
            "a disclosure of an anchor",
            disclose(&world.genesis.to_bytes(), Vec::new()),
            "nothing-to-verify",
        ),
        case("a disclosure of nothing", disclose(&[], Vec::new()), "unknown-file"),
        case("openings where a proof should be", openings, "nothing-to-verify"),
    ];
    let mut add = |name, change: &dyn Fn(&mut Opening)| {
        let mut bad = some.clone();
        change(&mut bad[1]);
        cases.push(case(name, disclose(&receipt, bad), "opening"));
    };
    add("an opening with another value", &|o| {
        o.value = Bytes::new(vec![0x82, 0x00, 0x01]).expect("because it is short")
    });
    add("an opening with another salt", &|o| o.salt.0[0] ^= 1);
    add("an opening under another number", &|o| o.field = 5);
    add("an opening of a field that the kind does not have", &|o| o.field = 17);
    add("an opening of field zero", &|o| o.field = 0);
    add("an opening with a path too short", &|o| o.path = path(&o.path[1..]));
    cases
}

// ---------------------------------------------------------------------------------------------
// Anchors, time and witnesses.

fn witnessed(world: &World, by: &[usize], twice: bool) -> Witnessed {
    let size = world.header(8).log_size;
    let records = world.states[9].records();
    let leaves = world.leaves(9);
    let root = merkle::root_of(&leaves);
    let text = checkpoint(&world.chain, LogSize(leaves.len() as u64), &root);
    let keys = witnesses();
    let mut cosignatures: Vec<Cosignature> = by
        .iter()
        .map(|i| {
            let time = 1_768_436_000 + *i as u64;
            let signature =
                keys[*i].sign(cosignature_preimage(&text, time).as_bytes()).expect("because the key is here");
            Cosignature { key: keys[*i].public_key(), time, signature }
        })
        .collect();
    if twice {
        cosignatures.extend(cosignatures.clone());
    }
    cosignatures.sort_by_key(|cosignature| cosignature.key);
    Witnessed {
        size: LogSize(leaves.len() as u64),
        root,
        next: Bytes::new(records[size.0 as usize].bytes.clone()).expect("because records are short"),
        path: path(&merkle::path_of(&leaves, size.0).expect("because it is one of them")),
        cosignatures: List::new(cosignatures).expect("because they are few"),
    }
}

fn trusted(world: &World) -> Vec<Case> {
    let at = |height: u64| world.receipt("read with consent", height);
    let eight = at(8).to_bytes();
    let old = "old, two of three witnesses";
    let with = |witnessed: Witnessed| Receipt { witnessed: Some(witnessed), ..at(8) }.to_bytes();
    let mut cases = vec![
        case("from a later anchor", at(9).to_bytes(), "verified").under("block 5"),
        case("a header before the anchor, by the same validators", at(6).to_bytes(), "verified")
            .under("block 8"),
        case("the anchor's own header", eight.clone(), "verified").under("block 8"),
        case("another block at the anchor's height", eight.clone(), "fork").under("another block 8"),
        case("a proof of another chain", eight.clone(), "other-chain").under("another chain"),
        case("on the last day of the trust period", eight.clone(), "verified").under("on the last day"),
        case("after the trust period", eight.clone(), "retired-keys").under("a millisecond too old"),
        case("after the trust period, without witnesses", eight.clone(), "retired-keys").under(old),
        case(
            "after the trust period, with two witnesses",
            with(witnessed(world, &[0, 2], false)),
            "verified",
        )
        .under(old),
        case(
            "after the trust period, with three witnesses",
            with(witnessed(world, &[0, 1, 2], false)),
            "verified",
        )
        .under(old),
        case("after the trust period, with one witness", with(witnessed(world, &[1], false)), "retired-keys")
            .under(old),
        case("one witness twice", with(witnessed(world, &[1], true)), "witnesses").under(old),
        case("one witness twice, within the trust period", with(witnessed(world, &[1], true)), "witnesses"),
        case("witnesses within the trust period", with(witnessed(world, &[1, 2], false)), "verified"),
        case(
            "witnesses that the anchor does not name",
            with(witnessed(world, &[0, 1], false)),
            "retired-keys",
        )
        .under("a millisecond too old"),
        Case {
            not_older_than: Some(world.header(8).time),
            ..case("as old as asked for", eight.clone(), "verified")
        },
        Case {
            not_older_than: Some(TimeMs(world.header(8).time.0 + 1)),
            ..case("older than asked for", eight, "too-old")
        },
    ];
    let mut add = |name, change: &dyn Fn(&mut Witnessed)| {
        let mut bad = witnessed(world, &[0, 1], false);
        change(&mut bad);
        cases.push(case(name, with(bad), "witnesses").under(old));
    };
    add("a cosignature with a flipped bit", &|w| {
        let mut all = w.cosignatures.to_vec();
        all[0].signature.0[0] ^= 1;
        w.cosignatures = List::new(all).expect("because they are few");
    });
    add("a cosignature of another time", &|w| {
        let mut all = w.cosignatures.to_vec();
        all[0].time += 1;
        w.cosignatures = List::new(all).expect("because they are few");
    });
    add("cosignatures against the order of keys", &|w| {
        let mut all = w.cosignatures.to_vec();
        all.reverse();
        w.cosignatures = List::new(all).expect("because they are few");
    });
    add("another witnessed root", &|w| w.root.0[0] ^= 1);
    add("another witnessed size", &|w| w.size.0 += 1);
    add("a witness path too short", &|w| w.path = path(&w.path[1..]));
    add("the first record of another block", &|w| {
        let at = world.header(7).log_size.0;
        w.next = Bytes::new(world.states[9].records()[at as usize].bytes.clone())
            .expect("because records are short");
        w.path = path(&merkle::path_of(&world.leaves(9), at).expect("because it is one of them"));
    });
    // Retired keys sign another state beside the genuine log root; the witnesses saw the genuine log.
    let mut forged = at(8);
    let entry = KeyEntry { revoked: None, not_after: FAR, ..forged.author_key.entry.clone() };
    let at_key = registry::key_key(&key_id(&entry.key));
    forged.header.state_root = state_map::root_of([(at_key, custos_proof::hash::sha256(&entry.to_bytes()))]);
    forged.certificate = certify(&forged.header, &world.validators, 0, &[0, 1, 2, 3]);
    let proof = state_map::Proof { siblings: List::default(), terminal: state_map::Terminal::Leaf };
    forged.author_key = ProvenKey { entry, proof };
    forged.witnessed = Some(witnessed(world, &[0, 1, 2], false));
    cases.push(case("another state beside a witnessed log root", forged.to_bytes(), "witnesses").under(old));
    let at_anchor = |height: u64, time: TimeMs| {
        let header = Header { height: Height(height), time, ..at(9).header };
        let certificate = certify(&header, &world.validators, 0, &[0, 1, 2, 3]);
        Receipt { header, certificate, ..at(9) }.to_bytes()
    };
    cases.push(
        case("a later header of an earlier time", at_anchor(9, BEGIN.plus(299_999)), "header-time")
            .under("block 5"),
    );
    cases.push(
        case("a later header of the anchor's time", at_anchor(9, BEGIN.plus(300_000)), "header-time")
            .under("block 5"),
    );
    cases.push(
        case("an earlier header of a later time", at_anchor(4, BEGIN.plus(300_001)), "header-time")
            .under("block 5"),
    );
    cases
}

// ---------------------------------------------------------------------------------------------
// Changing validators.

fn new_set() -> ValidatorSet {
    let validator =
        |id: &str, power| Validator { participant: who(id), key: vote_key(id).public_key(), power };
    ValidatorSet::new(vec![
        validator("hospital-a", 1),
        validator("practice-e", 1),
        validator("hospital-b", 1),
    ])
    .expect("because they are three")
}

/// Two headers after the chain's last one: at 10 the validators change, at 12 the new ones decide.
fn change(world: &World) -> (Header, Header) {
    let turning = Header {
        height: Height(10),
        time: BEGIN.plus(600_000),
        parent: world.header(9).block_id(),
        next_validators_hash: new_set().hash(),
        ..world.header(9).clone()
    };
    let after = Header {
        height: Height(12),
        time: BEGIN.plus(720_000),
        validators_hash: new_set().hash(),
        ..turning.clone()
    };
    (turning, after)
}

fn link(header: Header, certificate: Certificate) -> Link {
    Link { header, certificate, next: new_set() }
}

fn links(links: Vec<Link>) -> Vec<u8> {
    Links { links: List::new(links).expect("because they are few") }.to_bytes()
}

fn linked(world: &World) -> Vec<Case> {
    let (turning, after) = change(world);
    let everybody = [0, 1, 2, 3];
    let certificate = certify(&turning, &world.validators, 0, &everybody);
    let good = link(turning.clone(), certificate.clone());
    let receipt = |header: &Header, set: &ValidatorSet, signers: &[u16]| {
        let certificate = certify(header, set, 0, signers);
        Receipt { header: header.clone(), certificate, ..world.receipt("consent", 9) }.to_bytes()
    };
    let file = receipt(&after, &new_set(), &[0, 1, 2]);
    let with =
        |name, all: Vec<Link>, expect| Case { links: Some(links(all)), ..case(name, file.clone(), expect) };
    let bad_next = Link { next: world.validators.clone(), ..good.clone() };
    let by_new = link(turning.clone(), certify(&turning, &new_set(), 0, &[0, 1, 2]));
    let other_chain = Header { chain: ChainId([1; 32]), ..turning.clone() };
    let other_chain = link(other_chain.clone(), certify(&other_chain, &world.validators, 0, &everybody));
    let too_few = link(turning.clone(), certify(&turning, &world.validators, 0, &[0]));
    let of_another = link(turning.clone(), world.certificate(9).clone());
    let without_change = Link {
        header: world.header(9).clone(),
        certificate: world.certificate(9).clone(),
        next: world.validators.clone(),
    };
    let newer = Header { version: 2, ..turning.clone() };
    let newer = link(newer.clone(), certify(&newer, &world.validators, 0, &everybody));
    let timeless = Header { time: BEGIN, ..turning.clone() };
    let timeless = link(timeless.clone(), certify(&timeless, &world.validators, 0, &everybody));
    let future = Header { time: after.time, ..turning.clone() };
    let future = link(future.clone(), certify(&future, &world.validators, 0, &everybody));
    // A link behind the target is not on the way and is not looked at.
    let behind = Header { height: Height(13), ..turning.clone() };
    let behind = link(behind, certificate.clone());
    vec![
        with("validators that follow by a link", vec![good.clone()], "verified"),
        with("a link without a change of validators", vec![without_change.clone(), good.clone()], "verified"),
        with("a link behind the header", vec![good.clone(), behind], "verified"),
        case("validators that do not follow without the link", file.clone(), "unlinked"),
        with("a link with other validators than its header names", vec![bad_next], "bad-link"),
        with("a link signed by the validators it begins", vec![by_new], "unknown-signer-or-bad"),
        with("a link of another chain", vec![other_chain], "bad-link"),
        with("a link without a quorum", vec![too_few], "no-quorum"),
        with("a link with the certificate of another", vec![of_another], "bad-link"),
        with("a link of a later protocol version", vec![newer], "unknown-protocol"),
        with("a link no later than the anchor", vec![timeless], "bad-link"),
        with("a link of the header's time", vec![future], "header-time"),
        with("a link twice", vec![good.clone(), good.clone()], "bad-link"),
        with("links against their order", vec![good.clone(), without_change], "bad-link"),
        Case {
            links: Some(links(vec![good.clone()])),
            ..case(
                "the old validators after they were replaced",
                receipt(
                    &Header { validators_hash: world.validators.hash(), ..after.clone() },
                    &world.validators,
                    &everybody,
                ),
                "unlinked",
            )
        },
        case(
            "the header that changes the validators",
            receipt(&turning, &world.validators, &everybody),
            "verified",
        ),
    ]
    .into_iter()
    .map(|mut case| {
        if case.expect == "unknown-signer-or-bad" {
            case.expect = "bad-precommit";
        }
        case
    })
    .collect()
}

/// `custos anchor update`: an anchor, an advance, and the anchor that comes out.
fn advances(world: &World, anchors: &BTreeMap<&'static str, Vec<u8>>) -> Vec<Json> {
    let (turning, after) = change(world);
    let good_link = link(turning.clone(), certify(&turning, &world.validators, 0, &[0, 1, 2, 3]));
    let to =
        |header: &Header, set: &ValidatorSet, signers: &[u16], next: &ValidatorSet, way: Vec<Link>| Advance {
            links: List::new(way).expect("because they are few"),
            header: header.clone(),
            certificate: certify(header, set, 0, signers),
            next: next.clone(),
            witnessed: None,
        };
    let all = [0, 1, 2, 3];
    let plain = to(world.header(9), &world.validators, &all, &world.validators, Vec::new());
    let turn = to(&turning, &world.validators, &all, &new_set(), Vec::new());
    let beyond = to(&after, &new_set(), &[0, 1, 2], &new_set(), vec![good_link]);
    let mut unlinked = beyond.clone();
    unlinked.links = List::default();
    let other_next = Advance { next: new_set(), ..plain.clone() };
    let back = to(world.header(4), &world.validators, &all, &world.validators, Vec::new());
    let late = to(world.header(8), &world.validators, &all, &world.validators, Vec::new());
    let late_witnessed = Advance { witnessed: Some(witnessed(world, &[1, 2], false)), ..late.clone() };
    let cases: [(&str, &str, &Advance, &str); 9] = [
        ("to the head", "block 5", &plain, "advanced"),
        ("from the genesis", "genesis", &plain, "advanced"),
        ("to the header that changes the validators", "block 5", &turn, "advanced"),
        ("beyond a change of validators", "block 5", &beyond, "advanced"),
        ("beyond a change of validators, without the link", "block 5", &unlinked, "unlinked"),
        ("with other validators than the header names", "block 5", &other_next, "bad-link"),
        ("backwards", "block 5", &back, "too-old"),
        ("after the trust period", "old, two of three witnesses", &late, "retired-keys"),
        (
            "after the trust period, with witnesses",
            "old, two of three witnesses",
            &late_witnessed,
            "advanced",
        ),
    ];
    cases
        .map(|(name, anchor, advance, expect)| {
            let result = read_anchor(&anchors[anchor]).advance(advance, &Recency::default());
            let json =
                object().with("name", name).with("anchor", anchor).with("advance", hex(advance.to_bytes()));
            match result {
                Ok(moved) => {
                    assert_eq!(expect, "advanced", "{name}");
                    json.with("exit", 0).with("answer", "advanced").with("becomes", hex(moved.to_bytes()))
                }
                Err(failure) => {
                    assert_eq!(expect, word(&failure), "{name}");
                    let exit = if failure.is_evidence() { 1 } else { 2 };
                    json.with("exit", exit).with("answer", word(&failure))
                }
            }
        })
        .into()
}

/// Public keys of everybody, for `chain.json`.
pub fn witness_keys() -> Vec<PublicKey> {
    witnesses().map(|key| key.public_key()).to_vec()
}

/// The item's decoded kind, for `items.json`.
pub fn kind_of(bytes: &[u8]) -> &'static str {
    Item::from_bytes(bytes).expect("because it was recorded").kind().name()
}
