//! What a node logs at its most talkative: never whose trail, never what stands in it, never who may read it.

#![allow(clippy::unwrap_used)]

mod world;

use std::io::Write;
use std::sync::{Arc, Mutex};

use custos_proof::cbor::Wire as _;
use custos_proof::kinds::Fields;
use custos_proof::submission::frame;
use tracing_subscriber::fmt::MakeWriter;
use world::{World, event, rule, subject};

/// Everything that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;
    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_points_at_a_person_is_logged() {
    let log = Log::default();
    // All of ours; of others what an operator who looks for a fault would ask for.
    let ours = ["node", "store", "consensus", "engine", "network", "api", "custodian"];
    let filter = ours.map(|name| format!("custos_{name}=trace")).join(",");
    tracing_subscriber::fmt()
        .with_env_filter(format!("debug,{filter}"))
        .with_writer(log.clone())
        .with_ansi(false)
        .init();

    let mut world = World::start().await;
    let (open, trail, preimage) = subject("hospital", Some("practice"));
    let local_id = open.local_id;
    world.record(&world.act("hospital", Fields::TrailOpen(open))).await;
    let put = rule("hospital", local_id);
    let rule_id = put.rule;
    world.record(&world.act("hospital", Fields::RulePut(put))).await;
    let said = event("hospital", "practice", Some(local_id));
    let event_id = said.event;
    let access = world.testify("practice", vec![said]);
    world.record(&access).await;
    // Read by everybody who may, and asked for by some who may not.
    world.client().trail(&trail.key(), Some(&preimage), None, None).await.unwrap();
    world.member("practice").trail(&trail.key(), None, None, None).await.unwrap();
    world.client().trail(&trail.key(), Some(&[1; 32]), None, None).await.unwrap_err();
    world.client().trail(&trail.key(), None, None, None).await.unwrap_err();
    world
        .client()
        .trail_proof_by_key(&trail.key(), custos_api::client::Part::Whole, Some(&preimage))
        .await
        .unwrap();
    // Handed in again, cut short, and signed wrongly.
    world.client().submit(access.bytes()).await.unwrap();
    let unsent = world.testify("practice", vec![event("hospital", "practice", Some(local_id))]);
    world.client().submit(&unsent.bytes()[..unsent.bytes().len() - 1]).await.unwrap_err();
    let mut envelope = unsent.envelope().bytes().to_vec();
    let last = envelope.len() - 1;
    envelope[last] ^= 1;
    world.client().submit(&frame(&envelope, unsent.items())).await.unwrap_err();
    world.stop().await;

    let text = String::from_utf8_lossy(&log.0.lock().unwrap()).to_lowercase();
    assert!(text.contains("answered") && text.contains("/v1/trails/{trail}"), "nothing was logged: {text}");
    let item = &access.items()[0];
    for (what, bytes) in [
        ("a local id", &local_id.0[..]),
        ("a trail's key", &trail.key().0[..]),
        ("a reader's preimage", &preimage[..]),
        ("a rule's id", &rule_id.0[..]),
        ("an event's id", &event_id.0[..]),
        ("an item", &item[..]),
        ("a trail's name", &trail.to_bytes()[..]),
    ] {
        let digits = hex::encode(bytes);
        assert!(!text.contains(&digits), "{what} is logged: {digits}");
        let listed = format!("{bytes:?}");
        assert!(!text.contains(listed.trim_matches(['[', ']'])), "{what} is logged as numbers");
        let base64 = custos_api::base64::encode(bytes).to_lowercase();
        assert!(!text.contains(base64.trim_end_matches('=')), "{what} is logged in base64");
    }
}
