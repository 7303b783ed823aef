//! Every decoder, fed with valid encodings, with damaged ones and with noise.
//!
//! One rule is held throughout: bytes are refused, or they are the one encoding of what was read.
//! Whatever a decoder accepts must come out of the encoder as the same bytes, and nothing may
//! panic.
//!
//! Valid encodings are *grown*: a decoder that is asked after each value whether it would go on
//! reading shows by itself what it accepts. The samples therefore follow the formats without a
//! second description of them, reach every optional part, and stay right when formats change.

#![allow(clippy::unwrap_used)]

use custos_proof::anchor::{Advance, Link, Links, TrustAnchor};
use custos_proof::cbor::{DecodeError, Wire, Writer};
use custos_proof::certificate::{Certificate, Validator, ValidatorSet};
use custos_proof::disclosure::{Disclosure, Openings};
use custos_proof::file::{self, File, Receipts};
use custos_proof::genesis::Genesis;
use custos_proof::given::{Form, Given, Part};
use custos_proof::hash::{ChainId, TrailKey};
use custos_proof::header::{Block, Header};
use custos_proof::ids::{ParticipantId, Random16, TimeMs};
use custos_proof::item::Item;
use custos_proof::keys::{PublicKey, SignError, Signature, Signer};
use custos_proof::kinds::{Class, Fields, Kind};
use custos_proof::receipt::{ProvenKey, Receipt};
use custos_proof::record::Record;
use custos_proof::registry::{Bucket, KeyEntry, Participant, Policy, RuleStatus, SubjectTrail, TrailHead};
use custos_proof::seal::{Opening, Seal};
use custos_proof::sealed_values as sealed;
use custos_proof::sealed_values::Stated;
use custos_proof::state_map::{self, NibblePath, Page};
use custos_proof::submission::{Author, Draft, Envelope, Payload, Submission};
use custos_proof::trail::TrailName;
use custos_proof::trail_proof::{self, TrailProof};
use custos_proof::witness::Witnessed;
use ed25519_dalek::Signer as _;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// How many samples of each format there are.
const SAMPLES: u64 = 12;

#[test]
fn grown_samples_are_their_own_encoding_and_no_part_of_them_is_one() {
    for format in formats() {
        for bytes in format.samples() {
            assert_eq!(format.read(bytes), Some(bytes.clone()), "{}: {}", format.name, hex(bytes));
            for len in 0..bytes.len() {
                assert_eq!(
                    format.read(&bytes[..len]),
                    None,
                    "{}: the first {len} bytes of {}",
                    format.name,
                    hex(bytes)
                );
            }
            for more in [0x00, 0xf6, 0xff] {
                assert_eq!(
                    format.read(&[&bytes[..], &[more]].concat()),
                    None,
                    "{}: a byte too many",
                    format.name
                );
            }
        }
    }
}

#[test]
fn a_value_has_no_second_spelling() {
    for format in formats().iter().filter(|format| format.is_cbor) {
        for bytes in format.samples() {
            for (what, respelled) in respellings(bytes) {
                assert_eq!(format.read(&respelled), None, "{}: {what} in {}", format.name, hex(bytes));
            }
        }
    }
}

#[test]
fn the_signed_parts_of_an_envelope_have_no_second_spelling_either() {
    for seed in 0..SAMPLES {
        let submission = submission(&mut Rng(seed));
        let envelope = submission.envelope().bytes();
        // The protected header and the payload: byte strings with CBOR inside.
        let nested: Vec<Value> =
            values(envelope).into_iter().filter(|v| v.major == 2 && v.argument != 64).collect();
        assert_eq!(nested.len(), 2);
        for value in nested {
            for (what, inner) in respellings(&envelope[value.content()]) {
                let mut w = Writer::new();
                w.bytes(&inner);
                let respelled = replaced(envelope, value.start..value.end, &w.into_bytes());
                assert!(Envelope::decode(&respelled).is_err(), "{what} in {}", hex(envelope));
            }
        }
    }
}

#[test]
fn a_file_is_read_as_what_it_says_it_is() {
    let mut seen = 0;
    for format in formats().into_iter().filter(|format| format.is_file) {
        for bytes in format.samples() {
            assert_eq!(file_bytes(bytes), Some(bytes.clone()), "{}", format.name);
            assert!(file::type_name(bytes).unwrap().starts_with("custos."));
            seen += 1;
        }
    }
    assert_eq!(seen, 9 * SAMPLES);
    assert!(file::decode(b"").is_err());
    assert!(file::decode(&hex_bytes("8170637573746f732e6e6577657220762e32")).is_err());
}

#[test]
fn what_sealed_fields_say_is_plain_text() {
    for (kind, field, format) in sealed_formats() {
        for bytes in format.samples() {
            sealed::view(kind, field, bytes).unwrap();
            let words = sealed::describe(kind, field, bytes).unwrap();
            let moves_the_cursor = |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c);
            assert!(!words.chars().any(moves_the_cursor), "{}: {words:?}", format.name);
        }
    }
    for kind in Kind::ALL {
        let described = sealed_formats().iter().filter(|(of, ..)| of == kind).count();
        assert_eq!(described, kind.sealed_fields().len(), "{kind:?}");
        for field in [0, kind.sealed_fields().len() as u8 + 1, u8::MAX] {
            assert!(sealed::view(*kind, field, &[0x80]).is_err());
        }
    }
}

#[test]
fn what_is_shown_of_an_item_reads_back_as_the_same_item() {
    for kind in Kind::ALL {
        let format = formats().into_iter().find(|format| format.name == kind.name()).unwrap();
        for bytes in format.samples() {
            let item = Item::from_bytes(bytes).unwrap();
            let given = Given::from(&item.view());
            assert_eq!(Item::from_given(&given).as_ref(), Ok(&item), "{}", format.name);
            assert_eq!(Fields::from_given(*kind, &Given::from(&item.fields.view())), Ok(item.fields));
        }
    }
    for (kind, field, format) in sealed_formats() {
        for bytes in format.samples() {
            let given = Given::from(&sealed::view(kind, field, bytes).unwrap());
            assert_eq!(sealed::from_given(kind, field, &given).as_ref(), Ok(bytes), "{}", format.name);
        }
    }
}

#[test]
fn the_sample_of_every_form_is_a_value() {
    fn walk(parts: &[Part], place: &str, depth: usize) {
        for part in parts {
            assert!(!part.words().is_empty(), "{place}: {} says what it is", part.name);
            let form = (part.form)();
            assert_ne!(form.is, Form::unwritten().is, "{place}: a person can write {}", part.name);
            if depth < 8 {
                walk(&form.parts, &format!("{place}.{}", part.name), depth + 1);
            }
        }
    }
    for kind in Kind::ALL {
        let form = kind.form();
        Fields::from_given(*kind, &Given::from(&form.sample)).unwrap();
        walk(&form.parts, kind.name(), 0);
        for field in 1..=kind.sealed_fields().len() as u8 {
            let form = sealed::form(*kind, field).unwrap();
            sealed::from_given(*kind, field, &Given::from(&form.sample)).unwrap();
            walk(&form.parts, &format!("{} field {field}", kind.name()), 0);
        }
    }
}

/// Goes down to some place and puts something else there.
fn put_somewhere(given: &mut Given, other: Given, rng: &mut Rng) {
    let goes_down = rng.below(4) > 0;
    match given {
        Given::Fields(fields) if goes_down && !fields.is_empty() => {
            let at = rng.below(fields.len());
            put_somewhere(&mut fields[at].1, other, rng);
        }
        Given::List(values) if goes_down && !values.is_empty() => {
            let at = rng.below(values.len());
            put_somewhere(&mut values[at], other, rng);
        }
        place => *place = other,
    }
}

proptest! {
    #[test]
    fn a_value_put_somewhere_else_is_refused_or_is_a_value(seed in any::<u64>()) {
        let mut rng = Rng(seed);
        let kind = Kind::ALL[rng.below(Kind::ALL.len())];
        let format = formats().into_iter().find(|format| format.name == kind.name()).unwrap();
        let mut given = Given::from(&Item::from_bytes(&format.samples()[rng.below(SAMPLES as usize)]).unwrap().view());
        let others = [
            Given::Nothing,
            Given::Number(-1),
            Given::Number(i128::MAX),
            Given::Bool(true),
            Given::Text("\u{1b}[2J".repeat(100)),
            Given::List(vec![Given::Nothing; 5000]),
            Given::Fields(vec![("x".into(), Given::Nothing)]),
        ];
        let other = others[rng.below(others.len())].clone();
        put_somewhere(&mut given, other, &mut rng);
        match Item::from_given(&given) {
            Ok(item) => prop_assert_eq!(Item::from_bytes(&item.to_bytes()).unwrap(), item),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}

#[test]
fn a_huge_count_is_refused_before_anything_is_allocated() {
    for format in formats().iter().filter(|format| format.is_cbor) {
        for bytes in format.samples() {
            for value in values(bytes).iter().filter(|value| (2..=5).contains(&value.major)) {
                for argument in [u64::MAX, 1 << 32, u64::from(u32::MAX)] {
                    let huge =
                        replaced(bytes, value.start..value.start + value.head, &head(value.major, argument));
                    assert_eq!(format.read(&huge), None, "{}", format.name);
                    // Nothing behind the head: a reader that believes it would wait or allocate.
                    assert_eq!(format.read(&huge[..value.start + 9.min(huge.len() - value.start)]), None);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn damaged_encodings_are_refused_or_are_another_encoding(seed in any::<u64>()) {
        let mut rng = Rng(seed);
        for format in formats() {
            let samples = format.samples();
            let (bytes, other) = (&samples[rng.below(samples.len())], &samples[rng.below(samples.len())]);
            for _ in 0..40 {
                let mut damaged = bytes.clone();
                for _ in 0..1 + rng.below(3) {
                    damage(&mut damaged, other, &mut rng);
                }
                if let Some(again) = format.read(&damaged) {
                    prop_assert_eq!(&again, &damaged, "{}: {} became {}", format.name, hex(&damaged), hex(&again));
                }
            }
        }
    }

    #[test]
    fn noise_is_refused_or_is_an_encoding(seed in any::<u64>()) {
        let mut rng = Rng(seed);
        for format in formats() {
            for _ in 0..20 {
                let mut noise = rng.bytes(rng.clone().below(200));
                if rng.below(2) == 0 {
                    noise = (0..rng.below(30)).flat_map(|_| token(&mut rng)).collect();
                }
                if let Some(again) = format.read(&noise) {
                    prop_assert_eq!(&again, &noise, "{}: {} became {}", format.name, hex(&noise), hex(&again));
                }
            }
        }
    }
}

/// A decoder with its encoder, and a source of valid samples.
struct Format {
    name: String,
    /// The bytes that what was read is written as; nothing when the bytes are refused.
    read: fn(&[u8]) -> Option<Vec<u8>>,
    sample: Sample,
    is_cbor: bool,
    is_file: bool,
}

enum Sample {
    /// Grown from these bytes.
    Grown(Vec<u8>, fn(&[u8]) -> Growth),
    Made(fn(&mut Rng) -> Vec<u8>),
}

/// What a decoder says about bytes that may be unfinished.
enum Growth {
    Done,
    Unfinished,
    Wrong,
}

impl Format {
    fn read(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        (self.read)(bytes)
    }

    fn sample(&self, rng: &mut Rng) -> Vec<u8> {
        match &self.sample {
            Sample::Made(make) => make(rng),
            Sample::Grown(start, ask) => {
                // Now and then that is not enough: begin again.
                (0..50)
                    .find_map(|_| grown(start, *ask, rng))
                    .unwrap_or_else(|| panic!("{} does not grow", self.name))
            }
        }
    }

    /// The samples that all tests share.
    fn samples(&self) -> &'static [Vec<u8>] {
        static GROWN: LazyLock<BTreeMap<String, Vec<Vec<u8>>>> = LazyLock::new(|| {
            let samples = |format: &Format| (0..SAMPLES).map(|seed| format.sample(&mut Rng(seed))).collect();
            formats().iter().map(|format| (format.name.clone(), samples(format))).collect()
        });
        &GROWN[&self.name]
    }
}

fn wire<T: Wire>(name: &str) -> Format {
    grown_from::<T>(name, Vec::new())
}

fn grown_from<T: Wire>(name: &str, start: Vec<u8>) -> Format {
    Format {
        name: name.into(),
        read: |bytes| {
            T::from_bytes(bytes).ok().map(|value| {
                value.view();
                value.to_bytes()
            })
        },
        sample: Sample::Grown(start, |bytes| match T::from_bytes(bytes) {
            Ok(_) => Growth::Done,
            Err(DecodeError::Truncated { .. }) => Growth::Unfinished,
            Err(_) => Growth::Wrong,
        }),
        is_cbor: true,
        is_file: false,
    }
}

fn in_file<T: Wire>(name: &str) -> Format {
    Format { is_file: true, ..wire::<T>(name) }
}

fn formats() -> Vec<Format> {
    let mut formats = vec![
        in_file::<Genesis>("genesis"),
        in_file::<TrustAnchor>("anchor"),
        in_file::<Links>("links"),
        in_file::<Advance>("advance"),
        in_file::<Receipt>("receipt"),
        in_file::<Receipts>("receipts"),
        in_file::<TrailProof>("trail proof"),
        in_file::<Disclosure>("disclosure"),
        in_file::<Openings>("openings"),
        wire::<Payload>("payload"),
        wire::<Author>("author"),
        wire::<Record>("record"),
        wire::<Header>("header"),
        wire::<Block>("block"),
        wire::<Certificate>("certificate"),
        wire::<Validator>("validator"),
        wire::<ValidatorSet>("validator set"),
        wire::<Link>("link"),
        wire::<ProvenKey>("proven key"),
        wire::<trail_proof::Entry>("trail entry"),
        wire::<Opening>("opening"),
        wire::<Seal>("seal"),
        wire::<Witnessed>("witnessed"),
        wire::<TrailName>("trail name"),
        wire::<state_map::Proof>("state map proof"),
        wire::<TrailHead>("trail head"),
        wire::<SubjectTrail>("subject trail"),
        wire::<Participant>("participant"),
        wire::<KeyEntry>("key entry"),
        wire::<RuleStatus>("rule status"),
        wire::<Bucket>("bucket"),
        wire::<Policy>("policy"),
        Format {
            name: "envelope".into(),
            read: |bytes| Envelope::decode(bytes).ok().map(|envelope| envelope_bytes(&envelope)),
            sample: Sample::Made(|rng| submission(rng).envelope().bytes().to_vec()),
            is_cbor: true,
            is_file: false,
        },
        Format {
            name: "submission".into(),
            read: |bytes| Submission::decode(bytes).ok().map(|submission| submission_bytes(&submission)),
            sample: Sample::Made(|rng| submission(rng).bytes().to_vec()),
            is_cbor: true,
            is_file: false,
        },
        Format {
            name: "state map page".into(),
            read: |bytes| Page::from_bytes(bytes).ok().map(|page| page.to_bytes()),
            sample: Sample::Made(|rng| {
                let leaves = rng.next() as u16;
                let nodes = rng.next() as u16 & !leaves | u16::from(leaves == 0);
                let body = rng.bytes(64 * leaves.count_ones() as usize + 32 * nodes.count_ones() as usize);
                [&leaves.to_be_bytes()[..], &nodes.to_be_bytes(), &body].concat()
            }),
            is_cbor: false,
            is_file: false,
        },
        Format {
            name: "state map path".into(),
            read: |bytes| NibblePath::from_bytes(bytes).ok().map(|path| path.to_bytes()),
            sample: Sample::Made(|rng| {
                let len = rng.below(64);
                let mut nibbles = rng.bytes(len.div_ceil(2));
                if let (1, Some(last)) = (len % 2, nibbles.last_mut()) {
                    *last &= 0xf0;
                }
                [&[len as u8], &nibbles[..]].concat()
            }),
            is_cbor: false,
            is_file: false,
        },
    ];
    formats.extend(sealed_formats().into_iter().map(|(_, _, format)| format));
    formats.push(wire::<Stated<sealed::Purposes>>("stated or unknown"));
    for kind in Kind::ALL {
        let mut w = Writer::new();
        w.array(4);
        w.u64(1);
        w.text(kind.name());
        formats.push(grown_from::<Item>(kind.name(), w.into_bytes()));
    }
    formats
}

/// The formats of all sealed fields. Testimony can state that nothing is known; these samples state something.
fn sealed_formats() -> Vec<(Kind, u8, Format)> {
    fn field<T: Wire>(kind: Kind, number: u8) -> (Kind, u8, Format) {
        // What is stated begins with a value, so that samples say something.
        let unstated = [
            Kind::RulePut,
            Kind::TrailOpen,
            Kind::TrailAgent,
            Kind::ParticipantRegister,
            Kind::ParticipantUpdate,
            Kind::MandateIssue,
            Kind::FindingRecord,
            Kind::DisputeOpen,
            Kind::DisputeAnswer,
            Kind::DisputeResolve,
        ];
        let start = if unstated.contains(&kind) { vec![] } else { vec![0x82, 0x01] };
        (kind, number, grown_from::<T>(&format!("{} field {number}", kind.name()), start))
    }
    macro_rules! table {
        ($( $kind:ident $field:literal: $type:ty, )*) => {
            vec![$( field::<$type>(Kind::$kind, $field), )*]
        };
    }
    table! {
        AccessEvent 1: Stated<sealed::Action>,
        AccessEvent 2: Stated<sealed::Outcome>,
        AccessEvent 3: Stated<sealed::When>,
        AccessEvent 4: Stated<sealed::Purposes>,
        AccessEvent 5: Stated<sealed::LegalBasis>,
        AccessEvent 6: Stated<sealed::Concepts>,
        AccessEvent 7: Stated<sealed::Parties>,
        AccessEvent 8: Stated<sealed::Agents>,
        AccessEvent 9: Stated<sealed::Relationship>,
        AccessEvent 10: Stated<sealed::Resources>,
        AccessEvent 11: Stated<sealed::Codings>,
        AccessEvent 12: Stated<sealed::Justification>,
        AccessEvent 13: Stated<sealed::Decision>,
        AccessEvent 14: Stated<sealed::Identifiers>,
        AccessEvent 15: Stated<sealed::Group>,
        AccessEvent 16: Stated<sealed::Source>,
        RulePut 1: sealed::InnerKind,
        RulePut 2: sealed::RuleBody,
        RulePut 3: sealed::Evidence,
        TrailOpen 1: Option<sealed::OwnTrail>,
        TrailAgent 1: sealed::Evidence,
        AccessCorrect 1: Stated<sealed::Replacement>,
        AccessCorrect 2: Stated<sealed::Prose<{ sealed::MAX_PROSE }>>,
        DisclosureExport 1: Stated<sealed::When>,
        DisclosureExport 2: Stated<sealed::Parties>,
        DisclosureExport 3: Stated<sealed::OwnTrail>,
        DisclosureExport 4: Stated<sealed::Purposes>,
        DisclosureExport 5: Stated<sealed::Concepts>,
        DisclosureExport 6: Stated<sealed::Accounting>,
        DisclosureExport 7: Stated<sealed::Prose<{ sealed::MAX_PROSE }>>,
        DisclosureImport 1: Stated<sealed::When>,
        DisclosureImport 2: Stated<sealed::OwnTrail>,
        DisclosureImport 3: Stated<sealed::Concepts>,
        DisclosureImport 4: Stated<sealed::Prose<{ sealed::MAX_PROSE }>>,
        EmergencyDeclare 1: Stated<sealed::When>,
        EmergencyDeclare 2: Stated<sealed::Agents>,
        EmergencyDeclare 3: Stated<sealed::OwnTrail>,
        EmergencyDeclare 4: Stated<sealed::Justification>,
        EmergencyDeclare 5: Stated<sealed::Concepts>,
        EmergencyReview 1: Stated<sealed::ReviewVerdict>,
        EmergencyReview 2: Stated<sealed::Independence>,
        EmergencyReview 3: Stated<sealed::Agents>,
        EmergencyReview 4: Stated<sealed::When>,
        EmergencyReview 5: Stated<sealed::Prose<{ sealed::MAX_PROSE }>>,
        JobRecord 1: Stated<sealed::When>,
        JobRecord 2: Stated<sealed::Agents>,
        JobRecord 3: Stated<sealed::Prose<{ sealed::MAX_PROSE }>>,
        RecordEvent 1: Stated<sealed::Concepts>,
        RecordEvent 2: Stated<sealed::Parties>,
        RecordEvent 3: Stated<custos_proof::hash::Digest>,
        RecordEvent 4: Stated<sealed::When>,
        RecordEvent 5: Stated<sealed::Agents>,
        MandateIssue 1: sealed::WrappedKeys,
        FindingRecord 1: sealed::Pointer,
        FindingRecord 2: sealed::Prose<{ sealed::MAX_PROSE }>,
        DisputeOpen 1: sealed::Pointer,
        DisputeOpen 2: sealed::Prose<{ sealed::MAX_PROSE }>,
        DisputeAnswer 1: sealed::Prose<{ sealed::MAX_PROSE }>,
        DisputeResolve 1: sealed::Prose<{ sealed::MAX_PROSE }>,
        AuditRead 1: Stated<sealed::Resources>,
        AuditRead 2: Stated<sealed::Agents>,
        AuditRead 3: Stated<sealed::When>,
        HoldSet 1: Stated<sealed::Parties>,
        HoldSet 2: Stated<sealed::Span>,
        HoldSet 3: Stated<sealed::Prose<{ sealed::MAX_PROSE }>>,
        PayloadErase 1: Stated<sealed::Parties>,
        PayloadErase 2: Stated<sealed::Prose<{ sealed::MAX_PROSE }>>,
        ParticipantRegister 1: sealed::Prose<{ sealed::MAX_PROSE }>,
        ParticipantUpdate 1: sealed::Prose<{ sealed::MAX_PROSE }>,
    }
}

/// Appends value after value, each of them one with which the decoder goes on; takes some back where nothing fits.
fn grown(start: &[u8], ask: fn(&[u8]) -> Growth, rng: &mut Rng) -> Option<Vec<u8>> {
    /// Beyond this size whatever is smallest comes first, so that samples end.
    const LARGE: usize = 400;
    let mut bytes = start.to_vec();
    // Where each value began, and how often some were taken back.
    let (mut begins, mut dead_ends) = (Vec::new(), 0);
    'values: while bytes.len() < 4096 && dead_ends < 40 {
        let len = bytes.len();
        let smallest_first = len > LARGE && dead_ends < 10;
        for attempt in 0..300 {
            let candidate = match attempt {
                0..192 if smallest_first => small(attempt / 24, attempt % 24, rng),
                0..100 => token(rng),
                // The file types are many and only one fits.
                _ => TEXTS.get(attempt as usize - 100).map_or_else(|| token(rng), |text| text_value(text)),
            };
            bytes.truncate(len);
            bytes.extend(candidate);
            match ask(&bytes) {
                Growth::Done => return Some(bytes),
                Growth::Unfinished => {
                    begins.push(len);
                    continue 'values;
                }
                Growth::Wrong => {}
            }
        }
        dead_ends += 1;
        let keep = begins.len().saturating_sub(1 + rng.below(8));
        bytes.truncate(*begins.get(keep).unwrap_or(&start.len()));
        begins.truncate(keep);
    }
    None
}

/// Texts that have a place somewhere.
const TEXTS: &[&str] = &[
    "a",
    "hospital-a.example",
    "registrar",
    "EU",
    "de-AT",
    "Klinik Süd",
    "http://loinc.org",
    "urn:oid:1.2.3",
    "2022",
    "2022-06",
    "2024-02-29",
    "2024-02-29T23:59:60.123456789+14:00",
    "0001-01-01T00:00:00Z",
    "custos.genesis.v1",
    "custos.anchor.v1",
    "custos.links.v1",
    "custos.advance.v1",
    "custos.receipt.v1",
    "custos.receipts.v1",
    "custos.trail.v1",
    "custos.disclosure.v1",
    "custos.openings.v1",
    "a line\u{85}break",
    "turned\u{202e}round",
];

/// One CBOR value or the head of one, as the formats of the ledger have them.
fn token(rng: &mut Rng) -> Vec<u8> {
    const NUMBERS: &[u64] =
        &[24, 255, 256, 1000, 65_535, 65_536, u32::MAX as u64, 1 << 40, i64::MAX as u64, u64::MAX];
    match rng.below(14) {
        0..=2 => head(0, rng.below(24) as u64),
        3 => head(0, NUMBERS[rng.below(NUMBERS.len())]),
        4 => head(1, rng.below(30) as u64),
        5..=7 => {
            let len = [0, 1, 5, 16, 32, 32, 64, 64][rng.below(8)];
            [head(2, len as u64), rng.bytes(len)].concat()
        }
        8 => {
            let prose = ["x", "said on the phone\nby her daughter", "Dr. Müller"][rng.below(3)].as_bytes();
            [head(2, prose.len() as u64), prose.to_vec()].concat()
        }
        9 => text_value(TEXTS[rng.below(TEXTS.len())]),
        10 => head(4, rng.below(4) as u64),
        11 => head(4, rng.below(16) as u64),
        // Few pairs more often than many: the keys have to ascend.
        12 => {
            let most = rng.below(12);
            head(5, rng.below(most + 1) as u64)
        }
        _ => vec![0xf4 + rng.below(2) as u8],
    }
}

fn text_value(text: &str) -> Vec<u8> {
    [head(3, text.len() as u64), text.into()].concat()
}

/// The `n`-th smallest value of a major type.
fn small(major: u64, n: u64, rng: &mut Rng) -> Vec<u8> {
    match major {
        2 => {
            let len = [0, 16, 32, 64][n as usize % 4];
            [head(2, len as u64), rng.bytes(len)].concat()
        }
        3 => [head(3, 1), vec![b'a' + n as u8]].concat(),
        7 => vec![0xf4 + n as u8 % 2],
        _ => head(major as u8, n),
    }
}

/// A submission of some items, signed.
fn submission(rng: &mut Rng) -> Submission {
    struct Key(ed25519_dalek::SigningKey);
    impl Signer for Key {
        fn public_key(&self) -> PublicKey {
            PublicKey(self.0.verifying_key().to_bytes())
        }
        fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
            Ok(Signature(self.0.sign(message).to_bytes()))
        }
    }
    let key = Key(ed25519_dalek::SigningKey::from_bytes(&rng.fixed()));
    let items = (0..1 + rng.below(5)).map(|_| rng.bytes(rng.clone().below(100))).collect();
    let author = match rng.below(2) {
        0 => Author::Subject(TrailKey(rng.fixed())),
        _ => Author::Participant("hospital-a".parse::<ParticipantId>().unwrap()),
    };
    let draft = Draft {
        chain: &ChainId(rng.fixed()),
        author,
        class: [Class::Act, Class::Testimony][rng.below(2)],
        nonce: Random16(rng.fixed()),
        not_after: TimeMs(rng.next() >> 24),
    };
    Submission::sign(&draft, items, &key).unwrap()
}

/// An envelope written from what was read, by the definition of COSE_Sign1 and not by the code under test.
fn envelope_bytes(envelope: &Envelope) -> Vec<u8> {
    let protected = [&hex_bytes("a20132045820")[..], &envelope.key_id().0].concat();
    let payload = envelope.payload().to_bytes();
    let sized = |bytes: &[u8]| [head(2, bytes.len() as u64), bytes.to_vec()].concat();
    [&[0xd2, 0x84][..], &sized(&protected), &[0xa0], &sized(&payload), &sized(&envelope.signature().0)]
        .concat()
}

fn submission_bytes(submission: &Submission) -> Vec<u8> {
    let envelope = envelope_bytes(submission.envelope());
    let mut bytes = [&[0x82][..], &head(2, envelope.len() as u64), &envelope].concat();
    bytes.extend(head(4, submission.items().len() as u64));
    for item in submission.items() {
        bytes.extend(head(2, item.len() as u64));
        bytes.extend(item);
    }
    bytes
}

fn file_bytes(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(match file::decode(bytes).ok()? {
        File::Genesis(file) => file.to_bytes(),
        File::Anchor(file) => file.to_bytes(),
        File::Links(file) => file.to_bytes(),
        File::Advance(file) => file.to_bytes(),
        File::Receipt(file) => file.to_bytes(),
        File::Receipts(file) => file.to_bytes(),
        File::Trail(file) => file.to_bytes(),
        File::Disclosure(file) => file.to_bytes(),
        File::Openings(file) => file.to_bytes(),
    })
}

/// A CBOR value within bytes: its head, and for strings what follows.
#[derive(Clone, Copy)]
struct Value {
    start: usize,
    head: usize,
    end: usize,
    major: u8,
    argument: u64,
}

impl Value {
    fn content(&self) -> std::ops::Range<usize> {
        self.start + self.head..self.end
    }
}

/// All values of a well-formed encoding, heads of arrays and maps included, in order.
fn values(bytes: &[u8]) -> Vec<Value> {
    let (mut values, mut start) = (Vec::new(), 0);
    while start < bytes.len() {
        let (major, info) = (bytes[start] >> 5, bytes[start] & 0x1f);
        let more = if info < 24 { 0 } else { 1 << (info - 24) };
        let argument = match more {
            0 => u64::from(info),
            _ => bytes[start + 1..start + 1 + more].iter().fold(0, |n, byte| n << 8 | u64::from(*byte)),
        };
        let head = 1 + more;
        let end = start + head + if major == 2 || major == 3 { argument as usize } else { 0 };
        values.push(Value { start, head, end, major, argument });
        start = end;
    }
    values
}

/// Other spellings of the same value that general decoders accept, and values that the profile has no place for.
fn respellings(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut out = Vec::new();
    let all = values(bytes);
    for (i, value) in all.iter().enumerate() {
        let Value { start, head, end, major, argument } = *value;
        let mut put = |what: &str, range: std::ops::Range<usize>, with: &[u8]| {
            out.push((format!("{what} at byte {start}"), replaced(bytes, range, with)));
        };
        let head_range = start..start + head;
        if major < 7 {
            for (info, width) in
                [(24u8, 1usize), (25, 2), (26, 4), (27, 8)].into_iter().filter(|(_, width)| width + 1 > head)
            {
                let longer = [&[major << 5 | info], &argument.to_be_bytes()[8 - width..]].concat();
                put("a longer head", head_range.clone(), &longer);
            }
        }
        match major {
            2 | 3 => {
                let chunks = [&[major << 5 | 31], &bytes[start..end], &[0xff]].concat();
                put("a string in chunks", start..end, &chunks);
            }
            4 | 5 => {
                let until = end_of(&all, i);
                let streamed = [&[major << 5 | 31], &bytes[start + head..until], &[0xff]].concat();
                put("an indefinite length", start..until, &streamed);
            }
            _ => {}
        }
        for (what, foreign) in
            [("null", 0xf6u8), ("undefined", 0xf7), ("a simple value", 0xe0), ("a break", 0xff)]
        {
            put(what, start..end_of(&all, i), &[foreign]);
        }
        put("a float", start..end_of(&all, i), &[0xf9, 0x00, 0x00]);
        put("false in two bytes", start..end_of(&all, i), &[0xf8, 0x14]);
        put("a tag", start..start, &[0xc1]);
        put("the tag of encoded CBOR", start..start, &[0xd8, 0x18]);
        if major == 0 {
            put("a bignum", start..end, &[&[0xc2, 0x48], &argument.to_be_bytes()[..]].concat());
        }
        // Maps with two pairs or more: out of order, and with a key twice.
        if major == 5 && argument >= 2 {
            let ends: Vec<usize> = (0..4)
                .scan(i + 1, |at, _| {
                    let end = end_of(&all, *at);
                    *at = all.partition_point(|value| value.start < end);
                    Some(end)
                })
                .collect();
            let (from, first, second) = (start + head, ends[1], ends[3]);
            put("keys out of order", from..second, &[&bytes[first..second], &bytes[from..first]].concat());
            put("a key twice", from..second, &[&bytes[from..first], &bytes[from..first]].concat());
        }
    }
    out
}

/// Where the value that begins with `all[i]` ends, with everything inside it.
fn end_of(all: &[Value], i: usize) -> usize {
    let (mut open, mut at) = (1u64, i);
    while open > 0 {
        open = open - 1
            + match all[at].major {
                4 => all[at].argument,
                5 => 2 * all[at].argument,
                6 => 1,
                _ => 0,
            };
        at += 1;
    }
    all[at - 1].end
}

fn replaced(bytes: &[u8], range: std::ops::Range<usize>, with: &[u8]) -> Vec<u8> {
    [&bytes[..range.start], with, &bytes[range.end..]].concat()
}

/// The shortest head.
fn head(major: u8, argument: u64) -> Vec<u8> {
    let bytes = argument.to_be_bytes();
    let (info, width) = match argument {
        0..24 => return vec![major << 5 | argument as u8],
        24..=0xff => (24, 1),
        0x100..=0xffff => (25, 2),
        0x1_0000..=0xffff_ffff => (26, 4),
        _ => (27, 8),
    };
    [&[major << 5 | info], &bytes[8 - width..]].concat()
}

/// One small accident or attack.
fn damage(bytes: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    if bytes.is_empty() {
        return bytes.extend(other);
    }
    let at = rng.below(bytes.len());
    match rng.below(9) {
        0 => bytes[at] ^= 1 << rng.below(8),
        1 => bytes[at] = rng.next() as u8,
        2 => bytes.insert(at, rng.next() as u8),
        3 => drop(bytes.remove(at)),
        4 => bytes.truncate(at),
        5 => {
            let piece = bytes[at..].iter().copied().take(rng.below(40)).collect::<Vec<_>>();
            let to = rng.below(bytes.len());
            bytes.splice(to..to, piece);
        }
        6 if !other.is_empty() => {
            let from = rng.below(other.len());
            bytes.truncate(at);
            bytes.extend(&other[from..]);
        }
        7 => {
            bytes.splice(at..at, token(rng));
        }
        _ => {
            let end = (at + rng.below(40)).min(bytes.len());
            bytes.splice(at..end, token(rng));
        }
    }
}

/// SplitMix64: samples that a seed reproduces.
#[derive(Clone)]
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    fn fixed<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next() as u8)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hex_bytes(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}
