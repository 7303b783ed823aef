//! What people and programs write: HTTP headers, JSON, TOML, codes.

use std::str::FromStr;

use custos_api::answers;
use custos_api::problem::Problem;
use custos_api::signature::{Claim, Request, sign};
use custos_api::together::{self, MAX_BODY_BYTES, MAX_TOGETHER};
use custos_api::view::json;
use custos_api::written;
use custos_custodian::code::PatientCode;
use custos_proof::cbor::Wire as _;
use custos_proof::given::{Given, GivenError};
use custos_proof::hash::{Digest, KeyId};
use custos_proof::ids::{ParticipantId, Random16};
use custos_proof::item::Item;
use custos_proof::keys::{PublicKey, SignError, Signature, Signer};
use custos_proof::kinds::Kind;
use custos_proof::policy::DecisionPolicy;
use custos_proof::sealed_values;
use custos_proof::submission::Submission;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json as value};

use crate::corpus;
use crate::target::{Outcome, Target, Text};

pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "signature",
        reads: "request signatures (RFC 9421): Signature-Input, Signature, Content-Digest, then the body, a line each",
        text: Text::Words,
        run: signature,
        seeds: signatures,
    },
    Target {
        name: "many_submissions",
        reads: "the body of a request that hands in several submissions",
        text: Text::Bytes,
        run: together,
        seeds: several,
    },
    Target {
        name: "api_answer",
        reads: "what a node answers, as the client reads it: the first byte chooses which answer",
        text: Text::Json,
        run: answer,
        seeds: example_answers,
    },
    Target {
        name: "item_json",
        reads: "items as people write them in JSON",
        text: Text::Json,
        run: item,
        seeds: items,
    },
    Target {
        name: "sealed_json",
        reads: "sealed values as people write them in JSON: {kind, field, value}",
        text: Text::Json,
        run: sealed,
        seeds: sealed_seeds,
    },
    Target {
        name: "policy_json",
        reads: "decision policies as people write them in JSON",
        text: Text::Json,
        run: policy,
        seeds: policies,
    },
    Target {
        name: "names",
        reads: "what is typed by hand: patient codes, participant ids, hexadecimal ids",
        text: Text::Words,
        run: names,
        seeds: example_names,
    },
];

/// A signer whose signatures verify without a key pair: under ZIP-215 the identity point's key accepts
/// `R = s B - k A = s B`, so that `s = 0` and `R` the identity is a signature of everything. It is no key that
/// could be registered, and here that is a help: every base verifies, and what is parsed is what is tested.
struct Everything;

/// The encoding of the identity point.
const IDENTITY: [u8; 32] = {
    let mut bytes = [0; 32];
    bytes[0] = 1;
    bytes
};

impl Signer for Everything {
    fn public_key(&self) -> PublicKey {
        PublicKey(IDENTITY)
    }

    fn sign(&self, _: &[u8]) -> Result<Signature, SignError> {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&IDENTITY);
        Ok(Signature(bytes))
    }
}

fn request(body: Option<&[u8]>) -> Request<'_> {
    Request {
        method: "POST",
        authority: "node.example:7700",
        path: "/v1/submissions",
        query: "wait=committed",
        body,
    }
}

fn signature(bytes: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.splitn(4, '\n');
    let [input, value, digest] = [(); 3].map(|()| lines.next().unwrap_or_default());
    let body = lines.next().map(str::as_bytes);
    let claim = match Claim::parse(input, value) {
        Ok(claim) => claim,
        Err(error) => return Outcome::Refused(error.to_string()),
    };
    assert!((16..=64).contains(&claim.nonce.len()), "a nonce beyond its bounds");
    assert!(input.contains(&claim.nonce), "a nonce that was not sent");
    let digest = (!digest.is_empty()).then_some(digest);
    let verified = claim.verify(&Everything.public_key(), &request(body), digest);
    if verified.is_ok() {
        for part in ["@method", "@authority", "@path", "@query"] {
            assert!(input.contains(&format!("\"{part}\"")), "a signature that does not cover {part}");
        }
        assert!(body.is_none() || input.contains("\"content-digest\""), "a body that is not covered");
    }
    Outcome::of(verified)
}

fn signatures() -> Vec<Vec<u8>> {
    let seed = |body: Option<&[u8]>| {
        let headers = sign(&request(body), &Everything, 1_767_225_600, &[1; 16]).ok()?;
        let digest = headers.content_digest.unwrap_or_default();
        let mut text = format!("{}\n{}\n{digest}", headers.signature_input, headers.signature).into_bytes();
        if let Some(body) = body {
            text.push(b'\n');
            text.extend_from_slice(body);
        }
        Some(text)
    };
    [None, Some(&b"body"[..]), Some(b"")].into_iter().filter_map(seed).collect()
}

fn together(bytes: &[u8]) -> Outcome {
    Outcome::of(together::read(bytes).map(|submissions| {
        assert!((1..=MAX_TOGETHER).contains(&submissions.len()), "too many submissions, or none");
        assert!(bytes.len() <= MAX_BODY_BYTES, "a body beyond its bound");
        assert!(together::write(&submissions) == bytes, "a body has another spelling");
        submissions.iter().for_each(|submission| drop(Submission::decode(submission)));
    }))
}

/// The submissions of the vectors: one by one, all, and as many as go into one request.
fn several() -> Vec<Vec<u8>> {
    let vectors = corpus::vectors();
    let all: Vec<&[u8]> =
        vectors.iter().map(Vec::as_slice).filter(|bytes| Submission::decode(bytes).is_ok()).collect();
    let mut bodies: Vec<Vec<u8>> = all.iter().map(|one| together::write(&[*one])).collect();
    bodies.extend(all.chunks(8).map(together::write));
    bodies.push(together::write(&[&[0x80][..]; MAX_TOGETHER]));
    bodies
}

/// A JSON document that is read, written and read again is the same.
fn same<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Outcome {
    Outcome::of(serde_json::from_slice::<T>(bytes).map(|answer| {
        let written = serde_json::to_vec(&answer).expect("an answer that cannot be written");
        let again = serde_json::from_slice::<T>(&written).expect("an answer that cannot be read again");
        assert!(answer == again, "an answer changes when it is written");
    }))
}

const ANSWERS: [fn(&[u8]) -> Outcome; 15] = [
    same::<answers::SubmissionAnswer>,
    same::<answers::Status>,
    same::<answers::Health>,
    same::<answers::Ready>,
    same::<answers::HeaderAnswer>,
    same::<answers::CertificateAnswer>,
    same::<answers::BlockAnswer>,
    same::<answers::CheckpointAnswer>,
    same::<answers::ConsistencyAnswer>,
    same::<answers::RegistryAnswer>,
    same::<answers::ProposalsAnswer>,
    same::<answers::ItemAnswer>,
    same::<answers::TrailPage>,
    same::<answers::TrailEntry>,
    same::<Problem>,
];

fn answer(bytes: &[u8]) -> Outcome {
    let Some((kind, rest)) = bytes.split_first() else { return Outcome::Refused("no kind".into()) };
    ANSWERS[usize::from(*kind) % ANSWERS.len()](rest)
}

fn example_answers() -> Vec<Vec<u8>> {
    let hash = "ab".repeat(32);
    let submission = value!({
        "id": hash, "state": "committed", "duplicate": true, "height": 7,
        "items": [{ "item": hash, "index": 9, "earlier": false }],
        "rejection": { "code": "expired", "detail": "late", "item": 0, "final": true }, "receipts": "AAEC",
    });
    let problem = Problem::new(429, "mempool-full", "no room").hint("wait").retry_after(1);
    let of = |kind: u8, text: String| [&[kind], text.as_bytes()].concat();
    let mut seeds = vec![
        of(0, submission.to_string()),
        of(2, value!({ "status": "ok", "height": 7, "pending": 0 }).to_string()),
        of(14, serde_json::to_string(&problem).unwrap_or_default()),
    ];
    // The kinds of the others, for mutations to begin with.
    seeds.extend((0..ANSWERS.len()).filter_map(|kind| Some(of(u8::try_from(kind).ok()?, "{}".into()))));
    seeds
}

fn read(bytes: &[u8]) -> Result<Given, String> {
    written::read(bytes).map_err(|error| error.to_string())
}

fn read_as<T>(bytes: &[u8], of: impl FnOnce(&Given) -> Result<T, GivenError>) -> Result<T, String> {
    of(&read(bytes)?).map_err(|error| error.to_string())
}

fn item(bytes: &[u8]) -> Outcome {
    Outcome::of(read_as(bytes, Item::from_given).map(|item| {
        let bytes = item.to_bytes();
        assert!(Item::from_bytes(&bytes).as_ref() == Ok(&item), "an item was written that cannot be read");
        let shown = json(&item.view()).to_string();
        assert!(
            read_as(shown.as_bytes(), Item::from_given).as_ref() == Ok(&item),
            "an item does not read as it shows"
        );
    }))
}

fn items() -> Vec<Vec<u8>> {
    let shown = |bytes: Vec<u8>| Some(json(&Item::from_bytes(&bytes).ok()?.view()).to_string().into_bytes());
    corpus::vectors().into_iter().filter_map(shown).collect()
}

fn sealed(bytes: &[u8]) -> Outcome {
    Outcome::of(
        read_as(bytes, |written| {
            let named = written.fields(&["kind", "field", "value"])?;
            let kind = named.field("kind", |kind| kind.parse("a kind", Kind::from_name))?;
            let field = named.field("field", u32::from_given)?;
            let field = u8::try_from(field).unwrap_or_default();
            named
                .field("value", |value| sealed_values::from_given(kind, field, value))
                .map(|value| (kind, field, value))
        })
        .map(|(kind, field, value)| {
            assert!(
                sealed_values::view(kind, field, &value).is_ok(),
                "a sealed value was written that cannot be read"
            );
        }),
    )
}

fn sealed_seeds() -> Vec<Vec<u8>> {
    let vectors = corpus::vector_file("sealed-values.json");
    let shown = |case: &Value| {
        let kind = Kind::from_name(case["kind"].as_str()?)?;
        let field = u8::try_from(case["field"].as_u64()?).ok()?;
        let bytes = hex::decode(case["value"].as_str()?).ok()?;
        let view = sealed_values::view(kind, field, &bytes).ok()?;
        Some(value!({ "kind": kind.name(), "field": field, "value": json(&view) }).to_string().into_bytes())
    };
    vectors["values"].as_array().into_iter().flatten().filter_map(shown).collect()
}

fn policy(bytes: &[u8]) -> Outcome {
    Outcome::of(read_as(bytes, DecisionPolicy::from_given).map(|policy| {
        let bytes = policy.to_bytes();
        assert!(DecisionPolicy::from_bytes(&bytes) == Ok(policy), "a policy was written that cannot be read");
    }))
}

fn policies() -> Vec<Vec<u8>> {
    vec![json(&DecisionPolicy::initial().view()).to_string().into_bytes()]
}

fn names(bytes: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(bytes);
    let again = |read: Option<String>| {
        read.inspect(|written| assert!(*written == *text, "{written:?} is not the one spelling of its value"))
            .is_some()
    };
    fn spelled<T: FromStr + ToString>(text: &str) -> Option<String> {
        text.parse::<T>().ok().map(|value| value.to_string())
    }
    let exact = [
        again(spelled::<ParticipantId>(&text)),
        again(spelled::<Digest>(&text)),
        again(spelled::<KeyId>(&text)),
        again(spelled::<Random16>(&text)),
    ];
    match text.parse::<PatientCode>() {
        Ok(code) => {
            // Codes may be typed with spaces, dashes and capitals: the value is what has one spelling.
            assert!(code.to_string().parse() == Ok(code), "a code changes when it is written");
            Outcome::Accepted
        }
        Err(_) if exact.contains(&true) => Outcome::Accepted,
        Err(error) => Outcome::Refused(error.to_string()),
    }
}

fn example_names() -> Vec<Vec<u8>> {
    let code = PatientCode::new([7; 32]).to_string();
    let id = "0123456789abcdef".repeat(4);
    let texts = [
        code.clone(),
        code.to_uppercase(),
        code.replace('-', " "),
        "hospital-a.example".into(),
        id[..32].into(),
        id,
    ];
    texts.map(String::into_bytes).to_vec()
}

#[cfg(feature = "node")]
pub(super) use configs::TARGETS as CONFIGS;

#[cfg(feature = "node")]
mod configs {
    use std::path::Path;

    use crate::corpus;
    use crate::target::{Outcome, Target, Text};

    pub(in crate::targets) const TARGETS: &[Target] = &[
        Target {
            name: "node_config",
            reads: "a node's configuration in TOML",
            text: Text::Toml,
            run: node,
            seeds: nodes,
        },
        Target {
            name: "feed_config",
            reads: "a feed's configuration in TOML",
            text: Text::Toml,
            run: feed,
            seeds: feeds,
        },
    ];

    fn node(bytes: &[u8]) -> Outcome {
        let text = String::from_utf8_lossy(bytes);
        let path = Path::new("/etc/custos/node.toml");
        Outcome::of(custos_node::config::Config::parse(&text, path).map(|checked| {
            let written = checked.config.to_toml().expect("a configuration that cannot be written");
            let again = custos_node::config::Config::parse(&written, path)
                .expect("a configuration that cannot be read");
            assert!(again == checked, "a configuration changes when it is written");
        }))
    }

    fn nodes() -> Vec<Vec<u8>> {
        vec![include_bytes!("node.toml").to_vec()]
    }

    fn feed(bytes: &[u8]) -> Outcome {
        let text = String::from_utf8_lossy(bytes);
        Outcome::of(custos_feed::config::Config::parse(&text, Path::new("/etc/custos/feed.toml")))
    }

    fn feeds() -> Vec<Vec<u8>> {
        vec![corpus::project_file("node/feed/feed.example.toml")]
    }
}
