//! A real validator, alone on loopback: what is submitted is recorded, proven, and still there after a restart.

#![allow(clippy::unwrap_used)]

mod world;

use std::time::Duration;

use custos_api::answers::SubmissionState;
use custos_api::client::{Part, Submitted};
use custos_proof::cbor::Wire as _;
use custos_proof::file::{self, File};
use custos_proof::hash::TrailKey;
use custos_proof::ids::Height;
use custos_proof::kinds::Fields;
use custos_proof::receipt::Receipt;
use custos_proof::trail::TrailName;
use custos_proof::verify;
use world::{World, event, hash, id, rule, subject, trust};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_submitted_comes_back_as_receipts_that_verify() {
    let mut world = World::start().await;
    let batch = world.testify("hospital", (0..5).map(|_| event("hospital", "practice", None)).collect());
    let (bytes, receipts) = world.record(&batch).await;
    assert!(matches!(file::decode(&bytes), Ok(File::Receipts(_))));
    assert_eq!(receipts.receipts.len(), 5);
    let anchor = world.anchor();
    for (position, receipt) in receipts.receipts.iter().enumerate() {
        let proven = verify::receipt(receipt, &trust(&anchor)).unwrap();
        assert_eq!(proven.item.hash, hash(&batch, position));
        assert!(proven.item.is_strict());
    }
    // Any flipped byte is refused.
    let one = receipts.receipts[2].to_bytes();
    for at in (0..one.len()).step_by(7) {
        let mut flipped = one.clone();
        flipped[at] ^= 1;
        let verified = Receipt::from_bytes(&flipped)
            .is_ok_and(|receipt| verify::receipt(&receipt, &trust(&anchor)).is_ok());
        assert!(!verified, "byte {at}");
    }
    // Sent again: the first one's answer, and one signature check in all.
    let again = world.client().submit(batch.bytes()).await.unwrap();
    assert!(again.duplicate);
    assert_eq!(again.state, SubmissionState::Committed);
    assert_eq!(again.items.len(), 5);
    let node = world.node.as_ref().unwrap();
    assert_eq!(node.chain().verifier().checks(), 1);
    let metrics = world.client().metrics().await.unwrap();
    assert!(metrics.contains("custos_signature_checks 1\n"), "{metrics}");
    assert!(metrics.contains("custos_submissions_total{outcome=\"duplicate\"} 1\n"), "{metrics}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_is_proven_whole_in_parts_and_absent() {
    let mut world = World::start().await;
    let (open, name, preimage) = subject("hospital", Some("practice"));
    let local_id = open.local_id;
    let absent = world.client().trail_proof(&name, Part::Whole, None).await;
    // No block yet, or one already: both are right before the first submission.
    if let Ok((_, proof)) = absent {
        assert_eq!(verify::trail(&proof, &trust(&world.anchor())).unwrap().size, 0);
    }
    world.record(&world.act("hospital", Fields::TrailOpen(open))).await;
    world.record(&world.act("hospital", Fields::RulePut(rule("hospital", local_id)))).await;
    for _ in 0..4 {
        let author = "practice";
        world.record(&world.testify(author, vec![event("hospital", "practice", Some(local_id))])).await;
    }
    let anchor = world.anchor();
    let reader = Some(&preimage);
    let (bytes, whole) = world.client().trail_proof(&name, Part::Whole, reader).await.unwrap();
    assert!(matches!(file::decode(&bytes), Ok(File::Trail(_))));
    let proven = verify::trail(&whole, &trust(&anchor)).unwrap();
    assert_eq!((proven.size, proven.entries.len(), proven.not_shown()), (6, 6, (0, 0)));

    let (_, part) = world.client().trail_proof(&name, Part::Positions(2, 4), reader).await.unwrap();
    let proven = verify::trail(&part, &trust(&anchor)).unwrap();
    assert_eq!((proven.begin, proven.entries.len()), (1, 4), "a neighbour on each side");

    let (from, to) = (whole.entries.len(), proven.entries[2].record.time);
    let (_, part) = world
        .client()
        .trail_proof(&name, Part::Times(proven.entries[1].record.time, to), reader)
        .await
        .unwrap();
    let proven = verify::trail(&part, &trust(&anchor)).unwrap();
    assert!(proven.covers(proven.entries[1].record.time, to) && proven.entries.len() < from);

    // By key alone, the node finds the name itself.
    let (_, by_key) = world.client().trail_proof_by_key(&name.key(), Part::Whole, reader).await.unwrap();
    assert_eq!(by_key.name, name);

    // Absence of a trail that nobody opened, for anybody who can name it.
    let (_, nowhere, _) = subject("hospital", None);
    let (_, proof) = world.client().trail_proof(&nowhere, Part::Whole, None).await.unwrap();
    let proven = verify::trail(&proof, &trust(&anchor)).unwrap();
    assert_eq!((proven.size, proven.entries.len()), (0, 0));

    // Institution and registry trails, by those who may.
    let institution = TrailName::institution(&id("hospital"));
    let (_, proof) = world.member("hospital").trail_proof(&institution, Part::Whole, None).await.unwrap();
    assert!(verify::trail(&proof, &trust(&anchor)).unwrap().size >= 5);

    // Pages are pinned to one header.
    let client = world.client();
    let first = client.trail(&name.key(), reader, None, None).await.unwrap();
    assert_eq!((first.size, first.entries.len(), first.next.as_deref()), (6, 6, None));
    assert_eq!((first.kind.as_str(), first.owner.as_str()), ("subject", "hospital"));
    world.record(&world.testify("practice", vec![event("hospital", "practice", Some(local_id))])).await;
    let pinned = client.trail(&name.key(), reader, Some(Height(first.at)), Some("4")).await.unwrap();
    assert_eq!((pinned.size, pinned.entries.len()), (6, 2));
    assert_eq!(pinned.entries, first.entries[4..]);
    assert_eq!(client.trail(&name.key(), reader, None, None).await.unwrap().size, 7);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_by_a_restart() {
    let mut world = World::start().await;
    let submission = world.testify("hospital", vec![event("hospital", "hospital", None)]);
    let (_, receipts) = world.record(&submission).await;
    let before = world.client().status().await.unwrap();
    world.restart().await;
    let after = world.client().status().await.unwrap();
    assert!(after.height >= before.height && after.chain == before.chain);
    let status = world.member("hospital").submission(&submission.id()).await.unwrap();
    assert_eq!((status.state, status.items.len()), (SubmissionState::Committed, 1));
    let bytes = world.member("hospital").receipt(&hash(&submission, 0), None).await.unwrap();
    let receipt = Receipt::from_bytes(&bytes).unwrap();
    assert_eq!(receipt.record, receipts.receipts[0].record);
    verify::receipt(&receipt, &trust(&world.anchor())).unwrap();
    // The restarted validator goes on deciding.
    world.record(&world.testify("hospital", vec![event("hospital", "hospital", None)])).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_proves_the_chain_is_public() {
    let mut world = World::start().await;
    let submission = world.testify("hospital", vec![event("hospital", "hospital", None)]);
    world.record(&submission).await;
    let client = world.client();
    let status = client.status().await.unwrap();
    assert_eq!((status.network.as_str(), status.validators), ("test", 1));
    assert_eq!(client.genesis().await.unwrap(), world.genesis);
    let health = client.health().await.unwrap();
    assert_eq!(health.status, custos_api::answers::HealthStatus::Ok);

    let height = client.submission(&submission.id()).await.unwrap().height.map(Height).unwrap();
    let header = client.header(height).await.unwrap();
    let certificate = client.certificate(height).await.unwrap();
    let set = world.genesis.validator_set().unwrap();
    assert_eq!(certificate.block_id, header.block_id());
    certificate.verify(&world.chain, &set).unwrap();
    let block = client.block(height).await.unwrap();
    assert_eq!(
        (block.submissions.as_slice(), block.header.log_size),
        ([submission.id()].as_slice(), header.log_size.0)
    );

    let (head, head_certificate) = client.head().await.unwrap();
    head_certificate.verify(&world.chain, &set).unwrap();
    let consistency = client.consistency(header.log_size.0, head.log_size.0).await.unwrap();
    assert!(custos_proof::merkle::verify_consistency(
        header.log_size.0,
        &header.log_root,
        head.log_size.0,
        &head.log_root,
        &consistency.path
    ));
    let checkpoint = client.checkpoint().await.unwrap();
    assert!(
        checkpoint.note.starts_with(&format!("custos/{}\n{}\n", world.chain, checkpoint.header.log_size))
    );
    assert!(client.links(Height(0)).await.unwrap().links.is_empty());
    let advance = client.advance(Height(0)).await.unwrap();
    let moved = world.anchor().advance(&advance, &custos_proof::anchor::Recency::default()).unwrap();
    assert!(moved.height >= height);

    let registry = client.registry().await.unwrap();
    assert_eq!(registry.registrar, id("registrar"));
    assert_eq!(registry.participants.len(), 4);
    let hospital = registry.participants.iter().find(|p| p.id == id("hospital")).unwrap();
    assert_eq!(
        (hospital.keys.len(), hospital.roles.as_slice()),
        (4, ["custodian".to_owned(), "validator".to_owned()].as_slice())
    );
    assert_eq!(client.policy().await.unwrap().policy["heartbeat_ms"], 2_000);
    let registry_trail: TrailKey = TrailName::registry(&id("registrar")).key();
    let registrar =
        world.propose(vec![Fields::ParticipantSuspend(custos_proof::kinds::participant::Suspend {
            id: id("stranger"),
            reason: custos_proof::kinds::participant::Reason::Request,
        })]);
    world.record(&registrar).await;
    assert_eq!(client.trail(&registry_trail, None, None, None).await.unwrap().size, 1);
    assert!(client.receipt(&hash(&registrar, 0), None).await.is_ok());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_submissions_at_once_are_all_recorded() {
    let mut world = World::start().await;
    let submissions: Vec<_> =
        (0..200).map(|_| world.testify("hospital", vec![event("hospital", "hospital", None)])).collect();
    let mut waiting = tokio::task::JoinSet::new();
    for submission in &submissions {
        let (client, bytes) = (world.client(), submission.bytes().to_vec());
        waiting.spawn(async move { client.submit_and_wait(&bytes, Duration::from_secs(30)).await.unwrap() });
    }
    let anchor = world.anchor();
    while let Some(submitted) = waiting.join_next().await {
        match submitted.unwrap() {
            Submitted::Committed { receipts, .. } => {
                verify::receipt(&receipts.receipts[0], &trust(&anchor)).unwrap();
            }
            Submitted::Pending(status) => panic!("{status:?}"),
        }
    }
    assert_eq!(world.node.as_ref().unwrap().chain().verifier().checks(), 200);
    world.stop().await;
}
