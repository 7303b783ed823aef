//! Bad input over HTTP: a status and a stable code each, nothing kept, the node untouched.

#![allow(clippy::unwrap_used)]

mod world;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use custos_api::problem::Problem;
use custos_api::signature;
use custos_node::chain::clock;
use custos_node::keys::FileSigner;
use custos_proof::cbor::{Ascii, List, Text, Wire as _};
use custos_proof::ids::TimeMs;
use custos_proof::keys::{KeyPurpose, PublicKey, SignError, Signature, Signer, key_id};
use custos_proof::kinds::key::{Add, Revoke};
use custos_proof::kinds::participant::{Reason, Register, Suspend};
use custos_proof::kinds::{Class, Fields};
use custos_proof::registry::{Role, Roles};
use custos_proof::submission::{Author, Draft, MAX_SUBMISSION_BYTES, Submission, frame};
use world::{World, event, id, item, key, random16, subject};

/// An answer, as it came over the wire.
#[derive(Debug)]
struct Raw {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Raw {
    fn problem(&self) -> Problem {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Sends bytes and reads until the node closes the connection.
fn raw(world: &World, request: &[u8]) -> Raw {
    let mut stream = TcpStream::connect(world.node.as_ref().unwrap().api_address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // A node that refuses early may close while we still write.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let split = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(answer.len());
    let head = String::from_utf8_lossy(&answer[..split]).to_lowercase();
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    Raw { status, head, body: answer.get(split + 4..).unwrap_or_default().to_vec() }
}

fn post(world: &World, body: &[u8], headers: &str) -> Raw {
    let mut request = format!(
        "POST /v1/submissions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    raw(world, &request)
}

fn submit(world: &World, body: &[u8]) -> Raw {
    post(world, body, "Content-Type: application/cbor\r\n")
}

fn fetch(world: &World, target: &str, headers: &str) -> Raw {
    raw(world, format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n").as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_submission_has_its_code_and_leaves_nothing_behind() {
    let mut world = World::start().await;
    let good = world.testify("hospital", vec![event("hospital", "practice", None)]);
    let later = |ms: u64| TimeMs(clock().0 + ms);

    let mut trailing = good.bytes().to_vec();
    trailing.push(0);
    let mut not_shortest = vec![0x98, 0x02];
    not_shortest.extend_from_slice(&good.bytes()[1..]);
    let mut envelope = good.envelope().bytes().to_vec();
    let last = envelope.len() - 1;
    envelope[last - 40] ^= 1;
    let badly_signed = frame(&envelope, good.items());
    let other_items =
        frame(good.envelope().bytes(), &[item(Fields::AccessEvent(event("hospital", "hospital", None)))]);
    let draft = |author: &str, class| Draft {
        chain: &world.chain,
        author: Author::Participant(id(author)),
        class,
        nonce: random16(),
        not_after: later(600_000),
    };
    let sign = |draft: &Draft<'_>, items: Vec<Vec<u8>>, signer: &dyn Signer| {
        Submission::sign(draft, items, signer).unwrap().bytes().to_vec()
    };
    let one_event = || vec![item(Fields::AccessEvent(event("hospital", "practice", None)))];
    let other_chain = custos_proof::hash::ChainId([9; 32]);
    let unknown_kind = {
        let mut bytes = one_event().remove(0);
        let at = bytes.windows(12).position(|w| w == b"access.event").unwrap();
        bytes[at] = b'b';
        bytes
    };
    let (open, ..) = subject("hospital", None);
    let small_order = PublicKey([0; 32]);
    let bad_key = |key: PublicKey| {
        Fields::KeyAdd(Add {
            owner: id("hospital"),
            key,
            purpose: KeyPurpose::Sign,
            possession: Signature([0; 64]),
        })
    };
    let unregistered = FileSigner::from_seed(KeyPurpose::Sign, &[99; 32]);

    let table: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        ("empty", vec![], 400, "truncated"),
        ("truncated", good.bytes()[..good.bytes().len() - 1].to_vec(), 400, "truncated"),
        ("trailing bytes", trailing, 400, "truncated"),
        ("not a submission", b"hello".to_vec(), 400, "malformed"),
        ("not in its shortest form", not_shortest, 400, "not-canonical"),
        ("wrongly signed", badly_signed, 403, "bad-signature"),
        ("other items than were signed", other_items, 400, "malformed"),
        (
            "for another chain",
            sign(
                &Draft { chain: &other_chain, ..draft("hospital", Class::Testimony) },
                one_event(),
                &key("hospital", KeyPurpose::Sign),
            ),
            422,
            "wrong-chain",
        ),
        (
            "expired",
            sign(
                &Draft { not_after: TimeMs(clock().0 - 30_000), ..draft("hospital", Class::Testimony) },
                one_event(),
                &key("hospital", KeyPurpose::Sign),
            ),
            422,
            "expired",
        ),
        (
            "good for too long",
            sign(
                &Draft { not_after: later(2 * 3_600_000), ..draft("hospital", Class::Testimony) },
                one_event(),
                &key("hospital", KeyPurpose::Sign),
            ),
            422,
            "too-far-ahead",
        ),
        (
            "unknown author",
            sign(&draft("nobody", Class::Testimony), one_event(), &unregistered),
            403,
            "unknown-author",
        ),
        (
            "unknown key",
            sign(&draft("hospital", Class::Testimony), one_event(), &unregistered),
            403,
            "unknown-key",
        ),
        (
            "another's key",
            sign(&draft("hospital", Class::Testimony), one_event(), &key("practice", KeyPurpose::Sign)),
            403,
            "wrong-key",
        ),
        (
            "a key for another purpose",
            sign(&draft("hospital", Class::Testimony), one_event(), &key("hospital", KeyPurpose::Consensus)),
            403,
            "wrong-key",
        ),
        (
            "unknown kind",
            sign(
                &draft("hospital", Class::Testimony),
                vec![unknown_kind],
                &key("hospital", KeyPurpose::Sign),
            ),
            422,
            "unknown-kind",
        ),
        (
            "malformed item",
            sign(&draft("hospital", Class::Testimony), vec![vec![0x80]], &key("hospital", KeyPurpose::Sign)),
            400,
            "malformed-item",
        ),
        (
            "acts mixed with testimony",
            sign(
                &draft("hospital", Class::Act),
                vec![item(Fields::TrailOpen(open.clone())), one_event().remove(0)],
                &key("hospital", KeyPurpose::Sign),
            ),
            422,
            "mixed-classes",
        ),
        ("a small-order key", world.act("hospital", bad_key(small_order)).bytes().to_vec(), 422, "bad-key"),
        (
            "a key without possession",
            world.act("hospital", bad_key(unregistered.public_key())).bytes().to_vec(),
            422,
            "no-possession",
        ),
        (
            "without a vote",
            world
                .act(
                    "hospital",
                    Fields::ParticipantSuspend(Suspend { id: id("practice"), reason: Reason::Breach }),
                )
                .bytes()
                .to_vec(),
            403,
            "by-vote-only",
        ),
    ];
    let before = world.client().status().await.unwrap().log_size;
    for (what, bytes, status, code) in &table {
        // Twice: what is remembered of bad bytes must not change the answer.
        for _ in 0..2 {
            let answer = submit(&world, bytes);
            assert_eq!(
                (answer.status, answer.problem().code.as_str()),
                (*status, *code),
                "{what}: {answer:?}"
            );
            assert!(answer.head.contains("application/problem+json"), "{what}");
            assert!(answer.problem().hint.is_some(), "{what}");
        }
    }
    let node = world.node.as_ref().unwrap();
    assert!(node.chain().mempool().is_empty());
    assert_eq!(world.client().health().await.unwrap().pending, 0);

    // The envelope of the wrongly signed one is good with its own signature: nobody can ban it.
    world.record(&good).await;
    let answer = submit(&world, good.bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer["state"].as_str(), answer["duplicate"].as_bool()), (Some("committed"), Some(true)));

    // Not even what is recorded already may be cut short.
    for cut in [1, 40, good.bytes().len() / 2] {
        let answer = submit(&world, &good.bytes()[..good.bytes().len() - cut]);
        assert_eq!((answer.status, answer.problem().code.as_str()), (400, "truncated"), "{cut}");
    }

    // A used nonce with other content.
    let replayed = Draft {
        nonce: good.payload().nonce,
        not_after: good.payload().not_after,
        ..draft("hospital", Class::Testimony)
    };
    let replayed = sign(&replayed, one_event(), &key("hospital", KeyPurpose::Sign));
    let answer = submit(&world, &replayed);
    assert_eq!((answer.status, answer.problem().code.as_str()), (409, "replayed"));

    // A revoked key.
    world
        .record(&world.act(
            "practice",
            Fields::KeyRevoke(Revoke {
                key: key_id(&key("practice", KeyPurpose::Sign).public_key()),
                reason: Reason::Superseded,
                compromised_from: None,
            }),
        ))
        .await;
    let answer = submit(&world, world.testify("practice", vec![event("hospital", "practice", None)]).bytes());
    assert_eq!((answer.status, answer.problem().code.as_str()), (403, "revoked-key"));

    // What exists.
    let register = Register {
        id: id("newcomer"),
        roles: Roles::new(&[Role::Recipient]),
        jurisdiction: Ascii::new("AT").unwrap(),
        name: Text::new("Newcomer"),
        sealed_name: None,
        endpoint: Ascii::default(),
        display_names: List::default(),
    };
    world.record(&world.propose(vec![Fields::ParticipantRegister(register.clone())])).await;
    let answer = submit(&world, world.propose(vec![Fields::ParticipantRegister(register)]).bytes());
    assert_eq!(
        (answer.status, answer.problem().code.as_str(), answer.problem().item),
        (409, "exists", Some(0))
    );

    let status = world.client().status().await.unwrap();
    let blocks = status.height;
    // The log grew by the three recorded items and one record per block, and by nothing else.
    assert!(status.log_size - before <= 3 + blocks, "{before} {status:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_bounded_and_errors_are_problems() {
    let mut world = World::start_with(|config| config.api.read_timeout_ms = 500).await;
    let too_long = vec![0; MAX_SUBMISSION_BYTES + 1];
    let answer = submit(&world, &too_long);
    assert_eq!((answer.status, answer.problem().code.as_str()), (413, "too-large"));
    // Without a stated length, the node counts for itself.
    let mut chunked = b"POST /v1/submissions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/cbor\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in too_long.chunks(65_536) {
        chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        chunked.extend_from_slice(chunk);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let answer = raw(&world, &chunked);
    assert_eq!((answer.status, answer.problem().code.as_str()), (413, "too-large"));

    let answer = post(&world, b"{}", "Content-Type: application/json\r\n");
    assert_eq!((answer.status, answer.problem().code.as_str()), (415, "unsupported-media-type"));
    // A body that never comes.
    let stalled = raw(&world, b"POST /v1/submissions HTTP/1.1\r\nHost: x\r\nContent-Type: application/cbor\r\nContent-Length: 100\r\n\r\nabc");
    assert_eq!((stalled.status, stalled.problem().code.as_str()), (408, "timeout"));
    // Headers that never end, and too many of them.
    assert_eq!(raw(&world, b"GET /v1/status HTTP/1.1\r\nHost: x\r\n").status, 0);
    let many: String = (0..100).map(|n| format!("X-{n}: 1\r\n")).collect();
    assert_eq!(fetch(&world, "/v1/status", &many).status, 431);
    let long = format!("X: {}\r\n", "a".repeat(100_000));
    assert_eq!(fetch(&world, "/v1/status", &long).status, 431);

    let absent = "00".repeat(32);
    for (target, status, code) in [
        ("/v1/nothing".to_owned(), 404, "not-found"),
        ("/v1/headers/999999".to_owned(), 404, "not-found"),
        ("/v1/headers/first".to_owned(), 400, "bad-request"),
        ("/v1/blocks/-1".to_owned(), 400, "bad-request"),
        ("/v1/certificates/18446744073709551615".to_owned(), 404, "not-found"),
        ("/v1/submissions/xyz".to_owned(), 400, "bad-request"),
        ("/v1/consistency?from=2&to=1".to_owned(), 400, "bad-request"),
        ("/v1/consistency?from=0&to=18446744073709551615".to_owned(), 400, "bad-request"),
        ("/v1/consistency?from=0".to_owned(), 400, "bad-request"),
        ("/v1/consistency?from=0&to=0&more=1".to_owned(), 400, "bad-request"),
        (format!("/v1/items/{absent}"), 401, "unauthenticated"),
        (format!("/v1/items/{absent}/receipt"), 401, "unauthenticated"),
        (format!("/v1/trails/{absent}"), 401, "unauthenticated"),
        (format!("/v1/trails/{absent}/proof"), 401, "unauthenticated"),
        (format!("/v1/trails/{absent}/proof?kind=subject&owner=hospital"), 400, "bad-request"),
        (format!("/v1/trails/{absent}/proof?from=1&to_ms=2"), 400, "bad-request"),
    ] {
        let answer = fetch(&world, &target, "");
        assert_eq!((answer.status, answer.problem().code.as_str()), (status, code), "{target}");
    }
    let answer = raw(&world, b"DELETE /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!((answer.status, answer.problem().code.as_str()), (405, "method-not-allowed"));
    assert!(answer.head.contains("allow: get"));
    let unknown = fetch(&world, &format!("/v1/submissions/{absent}"), "");
    assert_eq!(unknown.status, 200);
    assert!(String::from_utf8_lossy(&unknown.body).contains("\"unknown\""));
    assert_eq!(fetch(&world, "/v1/openapi.json", "").status, 200);
    world.stop().await;
}

/// Room for one submission; or for many, and for one of each author.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_mempool_says_429_and_when_to_try_again() {
    no_room(1, 1, "mempool-full").await;
    no_room(64, 64, "author-quota").await;
}

async fn no_room(max_count: usize, author_share: usize, code: &str) {
    let mut world = World::start_with(|config| {
        config.mempool.max_count = max_count;
        config.mempool.author_share = author_share;
    })
    .await;
    let mut refused = 0;
    let submissions: Vec<_> =
        (0..64).map(|_| world.testify("hospital", vec![event("hospital", "practice", None)])).collect();
    let mut waiting = tokio::task::JoinSet::new();
    for submission in submissions {
        let client = world.client();
        waiting.spawn(async move { client.submit(submission.bytes()).await });
    }
    while let Some(answer) = waiting.join_next().await {
        if let Err(error) = answer.unwrap() {
            assert_eq!(error.code(), Some(code), "{error}");
            let custos_api::client::ClientError::Problem(problem) = error else { panic!() };
            assert_eq!((problem.status, problem.retry_after_s), (429, Some(1)));
            refused += 1;
        }
    }
    assert!(refused > 0);
    // A client that obeys Retry-After gets through.
    let patient = custos_api::client::Client::new(&world.address()).unwrap();
    patient
        .submit(world.testify("hospital", vec![event("hospital", "practice", None)]).bytes())
        .await
        .unwrap();
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn submissions_that_come_together_are_judged_one_by_one() {
    let mut world = World::start().await;
    let testify = || world.testify("hospital", vec![event("hospital", "practice", None)]);
    let (first, second) = (testify(), testify());
    let mut envelope = second.envelope().bytes().to_vec();
    let last = envelope.len() - 1;
    envelope[last - 40] ^= 1;
    let badly_signed = frame(&envelope, second.items());
    let sent: [&[u8]; 5] = [first.bytes(), &badly_signed, b"no submission", second.bytes(), first.bytes()];
    let answers = world.client().submit_many(&sent).await.unwrap();
    let codes: Vec<_> = answers.iter().map(|answer| answer.rejection.as_ref().map(|r| &r.code[..])).collect();
    assert_eq!(codes[1], Some("bad-signature"));
    assert_eq!((codes[0], codes[3], codes[4]), (None, None, None));
    assert!(codes[2].is_some());
    assert_eq!((answers[0].id, answers[3].id), (Some(first.id()), Some(second.id())));
    assert_eq!((answers[0].duplicate, answers[4].duplicate), (false, true));
    // What is taken is recorded, each with a receipt of its own.
    for submission in [&first, &second] {
        let (_, receipts) = world.record(submission).await;
        assert_eq!(receipts.receipts.len(), 1);
    }
    let again = world.client().submit_many(&sent[..1]).await.unwrap();
    assert_eq!(again[0].state, custos_api::answers::SubmissionState::Committed);

    let many = |body: &[u8]| {
        let mut request = format!(
            "POST /v1/submissions/many HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/cbor\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        raw(&world, &request)
    };
    let too_many = [&[0x99, 0x01, 0x01][..], &[0x40; 257]].concat();
    let long = vec![0; MAX_SUBMISSION_BYTES + 1];
    for (body, status) in [
        (&b""[..], 400),
        (&[0x80], 400),
        (&[0x81, 0x41], 400),
        (&[0x81, 0x40, 0x00], 400),
        (&[0xa0], 400),
        (&too_many, 400),
        (&long, 413),
    ] {
        assert_eq!(many(body).status, status, "{} bytes", body.len());
    }
    // An empty byte string is a submission's place, and no submission.
    assert_eq!(many(&[0x81, 0x40]).status, 200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn request_signatures_are_judged_strictly() {
    let mut world = World::start().await;
    world.record(&world.testify("hospital", vec![event("hospital", "practice", None)])).await;
    let authority = world.node.as_ref().unwrap().api_address().to_string();
    let now = clock().0 / 1000;
    let signed = |signer: &dyn Signer, authority: &str, created: u64, nonce: u8| {
        let request =
            signature::Request { method: "GET", authority, path: "/v1/blocks/1", query: "", body: None };
        let headers = signature::sign(&request, signer, created, &[nonce; 16]).unwrap();
        format!("Signature-Input: {}\r\nSignature: {}\r\n", headers.signature_input, headers.signature)
    };
    let ask = |authority: &str, headers: &str| {
        let request = format!(
            "GET /v1/blocks/1 HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\nAccept: application/cbor\r\n{headers}\r\n"
        );
        raw(&world, request.as_bytes())
    };
    let member = key("hospital", KeyPurpose::Sign);
    let good = signed(&member, &authority, now, 1);
    assert_eq!(ask(&authority, &good).status, 200);
    for (what, answer, code) in [
        ("replayed", ask(&authority, &good), "request-replayed"),
        ("too old", ask(&authority, &signed(&member, &authority, now - 120, 2)), "bad-request-signature"),
        (
            "from the future",
            ask(&authority, &signed(&member, &authority, now + 120, 3)),
            "bad-request-signature",
        ),
        (
            "for another node",
            ask("other.example:7700", &signed(&member, "other.example:7700", now, 4)),
            "bad-request-signature",
        ),
        (
            "for another node, sent here",
            ask(&authority, &signed(&member, "other.example:7700", now, 5)),
            "bad-request-signature",
        ),
        (
            "unknown key",
            ask(&authority, &signed(&FileSigner::from_seed(KeyPurpose::Sign, &[99; 32]), &authority, now, 6)),
            "bad-request-signature",
        ),
        (
            "consensus key",
            ask(&authority, &signed(&key("hospital", KeyPurpose::Consensus), &authority, now, 7)),
            "bad-request-signature",
        ),
        ("no signature", ask(&authority, ""), "unauthenticated"),
        (
            "half a signature",
            ask(&authority, good.split_inclusive("\r\n").next().unwrap()),
            "bad-request-signature",
        ),
        ("twice", ask(&authority, &format!("{good}{good}")), "bad-request"),
        (
            "broken",
            ask(&authority, &signed(&Liar(member.public_key()), &authority, now, 8)),
            "bad-request-signature",
        ),
    ] {
        assert!(matches!(answer.status, 400 | 401), "{what}: {answer:?}");
        assert_eq!(answer.problem().code, code, "{what}: {answer:?}");
        assert!(answer.status != 401 || answer.head.contains("www-authenticate"), "{what}");
    }
    world.stop().await;
}

/// Signs with another key than it names.
struct Liar(PublicKey);

impl Signer for Liar {
    fn public_key(&self) -> PublicKey {
        self.0
    }
    fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        FileSigner::from_seed(KeyPurpose::Sign, &[98; 32]).sign(message)
    }
}

#[test]
fn a_genesis_of_another_chain_and_a_foreign_key_are_refused_at_start() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (dir, path) = runtime.block_on(async {
        let mut world = World::start().await;
        world.stop().await;
        let path = world.path().join("node.toml");
        (world.dir, path)
    });
    let start = || {
        runtime.block_on(async {
            custos_node::node::Node::start(custos_node::config::Config::read(&path).unwrap()).await
        })
    };
    // Another genesis over the same data.
    let file = dir.path().join("genesis.custos");
    let bytes = std::fs::read(&file).unwrap();
    let mut other = custos_proof::genesis::Genesis::from_bytes(&bytes).unwrap();
    other.name = Ascii::new("other").unwrap();
    std::fs::write(&file, other.to_bytes()).unwrap();
    let Err(error) = start() else { panic!("started with another genesis") };
    assert!(error.to_string().contains("data_dir"), "{error}");
    std::fs::write(&file, &bytes).unwrap();
    // A key that was registered for something else. One that nobody registered would follow the chain.
    let consensus = dir.path().join("consensus.key");
    std::fs::remove_file(&consensus).unwrap();
    let seed = key("hospital", KeyPurpose::Note).seed();
    FileSigner::from_seed(KeyPurpose::Consensus, &seed).write(&consensus).unwrap();
    let Err(error) = start() else { panic!("started with a foreign key") };
    assert!(error.to_string().contains("registry"), "{error}");
    drop(dir);
}
