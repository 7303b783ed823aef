//! What hospitals' systems send: FHIR JSON, DICOM audit messages, syslog.
//!
//! These formats have many spellings of one thing, so that there is no "same bytes again". Instead:
//! every refusal names an element; what is accepted can be sealed, is readable in its seal and in the
//! vault, and goes out as FHIR that is taken again.

use custos_custodian::draft::{AccessEventDraft, AccessValues, RuleDraft};
use custos_custodian::fhir::export::{About, audit_event};
use custos_custodian::fhir::query::{self, MAX_PARAMETERS};
use custos_custodian::fhir::request::{ResourceType, read_bundle, read_one};
use custos_custodian::fhir::search::Search;
use custos_custodian::fhir::{self, Options, Refusal, Release};
use custos_custodian::seal::{EventPlace, Fixed, RulePlace, SealingError, event_as, rule};
use custos_custodian::vault::{self, Scope, StoredItem};
use custos_proof::cbor::Wire as _;
use custos_proof::hash::{ChainId, Digest};
use custos_proof::ids::{Height, ItemId, Random16, TimeMs};
use custos_proof::item::Item;
use custos_proof::kinds::access::{Late, Retention};
use custos_proof::kinds::rule::Collected;
use custos_proof::sealed_values::view;

use crate::corpus;
use crate::target::{Outcome, Target, Text};

pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "fhir",
        reads: "FHIR JSON as an import reads it: Consents, AuditEvents, bundles, R4 and R5",
        text: Text::Json,
        run: imported,
        seeds: corpus::ihe,
    },
    Target {
        name: "fhir_request",
        reads: "FHIR JSON as a client posts it: one resource, or a transaction or batch",
        text: Text::Json,
        run: posted,
        seeds: requests,
    },
    Target {
        name: "fhir_search",
        reads: "the parameters of a FHIR search: NAME=VALUE, one a line",
        text: Text::Words,
        run: searched,
        seeds: searches,
    },
    Target {
        name: "fhir_query",
        reads: "the query of a FHIR search as an address or a form spells it",
        text: Text::Query,
        run: asked,
        seeds: queries,
    },
];

const BASE: &str = "https://hospital.example/fhir";

fn options() -> Options {
    Options { base: BASE.into(), now: TimeMs(1_773_309_600_000), collected: Collected::Paper }
}

fn imported(bytes: &[u8]) -> Outcome {
    let readings = fhir::read_bytes("fuzz.json", bytes, &options());
    assert!(!readings.is_empty(), "something was dropped in silence");
    let mut refused = None;
    let mut taken = false;
    for reading in readings {
        match reading.outcome {
            fhir::Outcome::Refused(refusal) => refused = Some(named(&refusal)),
            outcome => taken |= takes(&outcome),
        }
    }
    match refused {
        Some(refused) if !taken => refused,
        _ => Outcome::Accepted,
    }
}

/// The refusal as an outcome. It MUST say where.
fn named(refusal: &Refusal) -> Outcome {
    assert!(!refusal.element.is_empty() && !refusal.message.is_empty(), "a refusal without a place");
    // The place says which lines of the reader were reached; its numbers do not.
    Outcome::Refused(format!("{}: {}: {}", refusal.code, refusal.element, refusal.message))
}

fn takes(outcome: &fhir::Outcome) -> bool {
    match outcome {
        fhir::Outcome::Event(draft) => event(draft),
        fhir::Outcome::Rule(draft) => sealed_rule(draft),
        fhir::Outcome::NotApplicable(why) => assert!(!why.is_empty(), "passed over without a reason"),
        fhir::Outcome::Refused(_) => return false,
    }
    true
}

fn scope() -> Scope {
    Scope {
        chain: ChainId([1; 32]),
        custodian: "hospital-a".parse().expect("because it is a participant id"),
    }
}

fn event(draft: &AccessEventDraft) {
    let place = EventPlace {
        local_id: Some(Digest([2; 32])),
        acting: scope().custodian,
        basis: draft.basis,
        cited: draft.cited,
        at_height: Height(0),
        late: Late::ImportedHistory,
        retention: Retention::Standard,
    };
    let fixed =
        Fixed { item_id: ItemId([3; 16]), event: Random16([4; 16]), seed: [5; 32], stream: 0, sequence: 0 };
    let Some(item) = sealed(event_as(&scope(), draft, &place, &fixed)) else { return };
    keeps(&draft.subject, &item);
    let again = AccessValues::from_fields(&item.values).expect("a seal that cannot be read");
    assert!(again == draft.values, "a seal holds other values");
    let about = About { id: "1".into(), version: 1, last_updated: None, recorded: true };
    let out = audit_event(&draft.values, &about).to_string();
    let back = fhir::read_bytes("out.json", out.as_bytes(), &options());
    let is_taken = back.iter().any(|reading| matches!(reading.outcome, fhir::Outcome::Event(_)));
    assert!(is_taken, "what goes out is not taken again: {out}");
}

fn sealed_rule(draft: &RuleDraft) {
    let place = RulePlace { local_id: Digest([2; 32]), prior: None, ends: Vec::new() };
    let Some(item) = sealed(rule(&scope(), draft, &place)) else { return };
    keeps(&draft.subject, &item);
}

/// A value beyond its bound is an error that planning names; everything else is none.
fn sealed(result: Result<StoredItem, SealingError>) -> Option<StoredItem> {
    match result {
        Ok(item) => Some(item),
        Err(SealingError::Seal(_)) => None,
        Err(error) => panic!("a draft cannot be sealed: {error}"),
    }
}

fn keeps(names: &[custos_custodian::draft::SubjectKey], item: &StoredItem) {
    assert!(vault::fuzz::is_readable(names, item), "a vault that keeps this does not open again");
    assert!(Item::from_bytes(&item.bytes).is_ok(), "an item that nobody can read");
    for (field, value) in (1u8..).zip(&item.values) {
        assert!(view(item.kind, field, value).is_ok(), "a sealed value that nobody can read: {field}");
    }
}

fn posted(bytes: &[u8]) -> Outcome {
    let mut outcome = Outcome::Refused(String::new());
    for release in [None, Some(Release::R4), Some(Release::R5)] {
        for wanted in ResourceType::ALL {
            match read_one(bytes, wanted, release, &options()) {
                Ok(outcomes) => {
                    assert!(
                        !outcomes.is_empty() && outcomes.iter().all(takes),
                        "accepted and refused at once"
                    );
                    outcome = Outcome::Accepted;
                }
                Err(refusal) if outcome != Outcome::Accepted => outcome = named(&refusal),
                Err(_) => {}
            }
        }
        match read_bundle(bytes, release, &options()) {
            Ok(bundle) => {
                let mut refused = None;
                for entry in &bundle.entries {
                    match entry.refusal() {
                        Some(refusal) => refused = Some(named(refusal)),
                        None => assert!(entry.outcomes.iter().all(takes), "accepted and refused at once"),
                    }
                }
                outcome = refused.unwrap_or(Outcome::Accepted);
            }
            Err(refusal) if outcome != Outcome::Accepted => outcome = named(&refusal),
            Err(_) => {}
        }
    }
    outcome
}

/// The examples, and each in a transaction.
fn requests() -> Vec<Vec<u8>> {
    let examples = corpus::ihe();
    let mut requests = Vec::new();
    for example in examples.iter().filter(|example| example.len() < 8_192) {
        let text = String::from_utf8_lossy(example);
        for kind in ["Consent", "AuditEvent"] {
            if text.contains(&format!("\"resourceType\": \"{kind}\""))
                || text.contains(&format!("\"resourceType\":\"{kind}\""))
            {
                requests.push(
                    format!(
                        "{{\"resourceType\":\"Bundle\",\"type\":\"transaction\",\"entry\":[{{\"resource\":{text},\
                         \"request\":{{\"method\":\"POST\",\"url\":\"{kind}\"}}}}]}}"
                    )
                    .into_bytes(),
                );
            }
        }
    }
    requests.extend(examples);
    requests
}

fn searched(bytes: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(bytes);
    let pairs: Vec<(String, String)> = text
        .lines()
        .map(|line| line.split_once('=').unwrap_or((line, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let [one, two] = ResourceType::ALL.map(|of| Search::parse(of, &pairs, BASE));
    match (one, two) {
        (Err(refusal), Err(_)) => named(&refusal),
        _ => Outcome::Accepted,
    }
}

fn searches() -> Vec<Vec<u8>> {
    [
        "patient=Patient/17\ndate=ge2026-01-01\ndate=lt2027\n_count=20",
        "patient.identifier=urn:oid:1.2.3|MRN-17\naction=R,E",
        "patient:identifier=urn:oid:1.2.3|MRN-17\npurpose=TREAT\nstatus=active",
        "agent=Practitioner/1\nentity=DocumentReference/2\noutcome=0",
        "_id=0123456789abcdef0123456789abcdef",
        "actor:identifier=|x\ndate=eq2026-11-22T10:00:00.000%2B01:00",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

fn asked(bytes: &[u8]) -> Outcome {
    let pairs = match query::pairs(bytes) {
        Ok(pairs) => pairs,
        Err(refusal) => return brief(&refusal),
    };
    let pieces = bytes.split(|byte| *byte == b'&').filter(|piece| !piece.is_empty()).count();
    assert!(
        pairs.len() == pieces && pieces <= MAX_PARAMETERS,
        "a parameter was dropped, or one too many taken"
    );
    let written = query::written(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    assert!(written.bytes().all(|byte| byte.is_ascii_graphic()), "a query that is none: {written}");
    assert!(query::pairs(written.as_bytes()).as_ref() == Ok(&pairs), "a query changes when it is written");
    let mut outcome = Outcome::Refused(String::new());
    for of in ResourceType::ALL {
        let search = match Search::parse(of, &pairs, BASE) {
            Ok(search) => search,
            Err(refusal) if outcome == Outcome::Accepted => {
                let _ = brief(&refusal);
                continue;
            }
            Err(refusal) => {
                outcome = brief(&refusal);
                continue;
            }
        };
        // The link to this page, and to the next one, asks for the same.
        for after in [search.after.clone(), Some("a cursor & more".into())] {
            let link = search.query(after.as_deref());
            let pairs = query::pairs(link.as_bytes()).expect("a link that cannot be read");
            let again = Search::parse(of, &pairs, BASE).expect("a link that is refused");
            assert!(
                (&again.applied, again.count, again.after) == (&search.applied, search.count, after),
                "a link asks for something else"
            );
            assert!(again.unknown.is_empty(), "a link asks for what is not known");
        }
        outcome = Outcome::Accepted;
    }
    outcome
}

/// The refusal as an outcome. It MUST NOT send a long name back.
fn brief(refusal: &Refusal) -> Outcome {
    assert!(refusal.element.len() < 300, "a refusal repeats a name of any length");
    let _ = named(refusal);
    // Names are whatever the client likes, and no sign of another line of the reader.
    Outcome::Refused(format!("{}: {}", refusal.code, refusal.message))
}

/// The searches, encoded; with everything that may be left out or written otherwise; and one too long.
fn queries() -> Vec<Vec<u8>> {
    let encoded = |lines: Vec<u8>| {
        let text = String::from_utf8_lossy(&lines).into_owned();
        query::written(text.lines().filter_map(|line| line.split_once('='))).into_bytes()
    };
    let mut queries: Vec<Vec<u8>> = searches().into_iter().map(encoded).collect();
    let more = [
        "",
        "&patient=Patient/17&&_count=0&",
        "date=ge2026-01-01T10:00:00+01:00&_sort",
        "=&%zz=%ff&_id=a\\,b,c",
    ];
    queries.extend(more.map(|text| text.as_bytes().to_vec()));
    queries.extend([MAX_PARAMETERS - 2, MAX_PARAMETERS, 500].map(|count| b"status=active&".repeat(count)));
    queries
}

#[cfg(feature = "node")]
pub(super) use feed::TARGETS as FEED;

#[cfg(feature = "node")]
mod feed {
    use std::io::Cursor;

    use custos_feed::dicom;
    use custos_feed::document::Reader;
    use custos_feed::input::frames::{is_buffered, message, next};

    use super::takes;
    use crate::corpus;
    use crate::target::{Outcome, Target, Text};

    /// The longest frame that the target takes.
    const MAX_FRAME_BYTES: usize = 256 * 1024;

    pub(in crate::targets) const TARGETS: &[Target] = &[
        Target {
            name: "dicom",
            reads: "DICOM audit messages in XML",
            text: Text::Xml,
            run: audited,
            seeds: messages,
        },
        Target {
            name: "syslog",
            reads: "a stream of syslog frames (RFC 5425) and the messages in them (RFC 5424)",
            text: Text::Xml,
            run: streamed,
            seeds: streams,
        },
        Target {
            name: "feed_document",
            reads: "FHIR JSON as a feed takes it: what is accepted fits into the spool",
            text: Text::Json,
            run: fed,
            seeds: corpus::ihe,
        },
    ];

    fn audited(bytes: &[u8]) -> Outcome {
        let Ok(text) = std::str::from_utf8(bytes) else { return Outcome::Refused("not UTF-8".into()) };
        let event = match dicom::audit_event(text) {
            Ok(event) => event,
            Err(error) => return Outcome::Refused(error.to_string()),
        };
        assert_eq!(event["resourceType"], "AuditEvent");
        document(Reader::new("https://hospital.example/fhir").dicom(bytes, text))
    }

    fn document(document: custos_feed::document::Document) -> Outcome {
        match document.result {
            Ok(drafts) => {
                for draft in drafts {
                    takes(&custos_custodian::fhir::Outcome::Event(Box::new(draft)));
                }
                Outcome::Accepted
            }
            Err(refusal) => super::named(&refusal),
        }
    }

    fn fed(bytes: &[u8]) -> Outcome {
        let mut outcome = Outcome::Refused("nothing in it".into());
        for found in Reader::new("https://hospital.example/fhir").fhir("fuzz.json", bytes) {
            outcome = document(found);
        }
        outcome
    }

    fn streamed(bytes: &[u8]) -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.expect("because a runtime without I/O needs nothing");
        runtime.block_on(async {
            let mut reader = Cursor::new(bytes);
            let mut outcome = Outcome::Refused("no frame".into());
            loop {
                let rest =
                    &bytes[usize::try_from(reader.position()).unwrap_or(usize::MAX).min(bytes.len())..];
                let whole = is_buffered(rest);
                match next(&mut reader, MAX_FRAME_BYTES).await {
                    Ok(Some(frame)) => {
                        assert!(frame.len() <= MAX_FRAME_BYTES, "a frame beyond its bound");
                        assert!(whole, "a frame was read that was not there");
                        outcome = match message(&frame) {
                            Ok(text) => audited(text.as_bytes()),
                            Err(error) => Outcome::Refused(error.to_string()),
                        };
                    }
                    Ok(None) => return outcome,
                    Err(error) => return Outcome::Refused(error.to_string()),
                }
            }
        })
    }

    const ACCESSED: &str = include_str!("accessed.xml");

    fn messages() -> Vec<Vec<u8>> {
        let login = "<AuditMessage><EventIdentification EventActionCode=\"E\" \
                     EventDateTime=\"2026-11-22T10:14:03Z\" EventOutcomeIndicator=\"0\"><EventID csd-code=\"110114\" \
                     codeSystemName=\"DCM\"/></EventIdentification><ActiveParticipant UserID=\"a\"/>\
                     <AuditSourceIdentification AuditSourceID=\"emr\"/></AuditMessage>";
        vec![ACCESSED.into(), login.into()]
    }

    fn streams() -> Vec<Vec<u8>> {
        let framed = |text: &str| format!("{} {text}", text.len());
        let header = "<85>1 2026-11-22T10:00:00Z emr app 1 IHE+RFC-3881 - \u{feff}";
        let data = "<85>1 - - - - - [x@1 a=\"b\"][y@1 c=\"\\]\\\"\"] ";
        let one = framed(&format!("{header}{ACCESSED}"));
        let two = framed(&format!("{data}{ACCESSED}"));
        vec![one.clone().into(), [one, two, framed("<85>1 - - - - - -")].concat().into()]
    }
}
