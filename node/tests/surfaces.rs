//! Who may read what: every route against every kind of caller.

#![allow(clippy::unwrap_used)]

mod world;

use custos_api::client::{Client, ClientError, Part};
use custos_proof::kinds::Fields;
use custos_proof::trail::TrailName;
use world::{World, event, hash, id, rule, subject};

/// What a caller got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Got {
    /// An answer.
    It,
    /// "Say who you are."
    Who,
    /// "There is no such thing, or not for you."
    Nothing,
}
use Got::{It, Nothing, Who};

fn got<T>(result: Result<T, ClientError>) -> Got {
    match result {
        Ok(_) => It,
        Err(error) => match error.code() {
            Some("unauthenticated") => Who,
            Some("not-found" | "forbidden") => Nothing,
            _ => panic!("{error}"),
        },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_surfaces() {
    let mut world = World::start().await;
    let (open, trail, preimage) = subject("hospital", Some("practice"));
    let local_id = open.local_id;
    let opening = world.act("hospital", Fields::TrailOpen(open));
    world.record(&opening).await;
    let rule = world.act("hospital", Fields::RulePut(rule("hospital", local_id)));
    world.record(&rule).await;
    let access = world.testify("practice", vec![event("hospital", "practice", Some(local_id))]);
    world.record(&access).await;
    // The subject's own trail, of which the grantee must not even learn that it exists.
    let (open, own, own_preimage) = subject("hospital", None);
    world.record(&world.act("hospital", Fields::TrailOpen(open))).await;
    // Testimony into a trail that nobody opened.
    let (_, unopened, _) = subject("practice", None);
    let stray = world.testify("practice", vec![event("practice", "practice", unopened.local_id)]);
    world.record(&stray).await;
    // What the validators decide is public.
    let registered =
        world.propose(vec![Fields::ParticipantSuspend(custos_proof::kinds::participant::Suspend {
            id: id("practice"),
            reason: custos_proof::kinds::participant::Reason::Request,
        })]);
    world.record(&registered).await;
    let height = world
        .client()
        .submission(&opening.id())
        .await
        .unwrap()
        .height
        .map(custos_proof::ids::Height)
        .unwrap();

    // nobody, hospital, practice, stranger, the subject of the trail, the subject of another
    let callers: [(Client, Option<&[u8; 32]>); 6] = [
        (world.client(), None),
        (world.member("hospital"), None),
        (world.member("practice"), None),
        (world.member("stranger"), None),
        (world.client(), Some(&preimage)),
        (world.client(), Some(&own_preimage)),
    ];
    let mut table: Vec<(&str, Vec<Got>, [Got; 6])> = Vec::new();
    macro_rules! row {
        ($what:literal, $expected:expr, |$client:ident, $reader:ident| $ask:expr) => {{
            let mut row = Vec::new();
            for (client, reader) in &callers {
                let ($client, $reader) = (client, *reader);
                row.push(got(async { $ask.await }.await));
            }
            table.push(($what, row, $expected));
        }};
    }
    const ALL: [Got; 6] = [It; 6];
    row!("status", ALL, |client, _reader| client.status());
    row!("header", ALL, |client, _reader| client.header(height));
    row!("certificate", ALL, |client, _reader| client.certificate(height));
    row!("block", ALL, |client, _reader| client.block(height));
    row!("checkpoint", ALL, |client, _reader| client.checkpoint());
    row!("registry", ALL, |client, _reader| client.registry());
    row!("policy", ALL, |client, _reader| client.policy());
    row!("block with body", [Who, It, It, It, Who, Who], |client, _reader| client.block_file(height));
    row!("item of no open trail", [Who, Nothing, It, Nothing, Nothing, Nothing], |client, reader| client
        .item(&hash(&stray, 0), reader));
    row!("item in the trail", [Who, It, It, Nothing, It, Nothing], |client, reader| client
        .item(&hash(&access, 0), reader));
    row!("receipt in the trail", [Who, It, It, Nothing, It, Nothing], |client, reader| client
        .receipt(&hash(&rule, 0), reader));
    row!("public item", ALL, |client, reader| client.receipt(&hash(&registered, 0), reader));
    row!("trail", [Who, It, It, Nothing, It, Nothing], |client, reader| client.trail(
        &trail.key(),
        reader,
        None,
        None
    ));
    row!("trail proof", [Who, It, It, Nothing, It, Nothing], |client, reader| client.trail_proof(
        &trail,
        Part::Whole,
        reader
    ));
    row!("own trail", [Who, It, Nothing, Nothing, Nothing, It], |client, reader| client.trail(
        &own.key(),
        reader,
        None,
        None
    ));
    row!("own trail proof", [Who, It, Nothing, Nothing, Nothing, It], |client, reader| client.trail_proof(
        &own,
        Part::Whole,
        reader
    ));
    row!("unopened trail", [Who, Nothing, It, Nothing, Nothing, Nothing], |client, reader| client
        .trail_proof(&unopened, Part::Whole, reader));
    let institution = TrailName::institution(&id("hospital"));
    row!("institution trail", [Who, It, Nothing, Nothing, Nothing, Nothing], |client, reader| client.trail(
        &institution.key(),
        reader,
        None,
        None
    ));
    let registry = TrailName::registry(&id("registrar"));
    row!("registry trail", ALL, |client, reader| client.trail(&registry.key(), reader, None, None));
    let (_, nowhere, _) = subject("hospital", None);
    row!("absence, by name", ALL, |client, reader| client.trail_proof(&nowhere, Part::Whole, reader));
    row!("absence, by key only", [Who, Nothing, Nothing, Nothing, Nothing, Nothing], |client, reader| client
        .trail_proof_by_key(&nowhere.key(), Part::Whole, reader));
    for (what, row, expected) in &table {
        assert_eq!(
            row.as_slice(),
            expected,
            "{what}: nobody, hospital, practice, stranger, subject, another subject"
        );
    }

    // Who a submission's items are shown to.
    for (client, items) in [
        (world.member("practice"), 1),
        (world.client(), 0),
        (world.member("hospital"), 0),
        (world.member("stranger"), 0),
    ] {
        assert_eq!(client.submission(&access.id()).await.unwrap().items.len(), items);
    }
    world.stop().await;
}
