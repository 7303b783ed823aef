//! Permits are public (EHDS, Art. 58) and proven; what was done under them is for their parties.

#![allow(clippy::unwrap_used)]

mod world;

use custos_api::client::{ClientError, Part};
use custos_api::permits::StateAnswer;
use custos_proof::cbor::{Ascii, List, Set, Text, Wire};
use custos_proof::certificate::Certificate;
use custos_proof::hash::StateKey;
use custos_proof::header::Header;
use custos_proof::ids::{Random16, TimeMs};
use custos_proof::keys::{KeyPurpose, Signer as _};
use custos_proof::kinds::Fields;
use custos_proof::kinds::access::Basis;
use custos_proof::kinds::key::{Add, possession_preimage};
use custos_proof::kinds::participant::Register;
use custos_proof::kinds::permit::{Amend, Category, Form, Issue, Override, Purpose, Reason, Revoke, Terms};
use custos_proof::receipt::Receipt;
use custos_proof::registry::{self, Permit, PermitTerms, Role, Roles};
use custos_proof::state_map;
use custos_proof::trail::TrailName;
use custos_proof::verify;
use world::{World, event, hash, id, key, random16, subject, trust};

fn terms(categories: &[Category]) -> Terms {
    Terms {
        user: id("university"),
        purposes: Set::new(vec![Purpose::Research]).unwrap(),
        categories: Set::new(categories.to_vec()).unwrap(),
        holders: Set::new(vec![id("hospital")]).unwrap(),
        environment: None,
        begins: TimeMs(0),
        ends: TimeMs(4_000_000_000_000),
        form: Form::Anonymised,
        over_opt_out: Override::None,
        decision: None,
    }
}

async fn register(world: &World, name: &str, role: Role) {
    let (signer, owner) = (key(name, KeyPurpose::Sign), id(name));
    let preimage = possession_preimage(&world.chain, &owner, KeyPurpose::Sign, &signer.public_key());
    let register = Register {
        id: owner.clone(),
        roles: Roles::new(&[role]),
        jurisdiction: Ascii::new("AT").unwrap(),
        name: Text::new(name),
        sealed_name: None,
        endpoint: Ascii::default(),
        display_names: List::default(),
    };
    let add = Add {
        owner,
        key: signer.public_key(),
        purpose: KeyPurpose::Sign,
        possession: signer.sign(&preimage).unwrap(),
    };
    world.record(&world.propose(vec![Fields::ParticipantRegister(register), Fields::KeyAdd(add)])).await;
}

/// The value of an entry, checked as any reader would check it.
fn proven<T: Wire>(world: &World, answer: &StateAnswer, name: &str, key: &StateKey) -> Option<T> {
    let header = Header::from_bytes(&answer.header).unwrap();
    let certificate = Certificate::from_bytes(&answer.certificate).unwrap();
    let anchor = world.anchor();
    let basis = trust(&anchor);
    anchor.believe(basis.links, &header, &certificate, None, &basis.recency).unwrap();
    let entry = answer.entries.iter().find(|entry| entry.name == name).unwrap();
    let proof = state_map::Proof::from_bytes(&entry.proof).unwrap();
    let value = entry.bytes();
    assert!(state_map::verify(&header.state_root, key, value.as_deref(), &proof), "{name}");
    // A proof of one thing is none of another.
    assert!(!state_map::verify(&header.state_root, key, Some(b"another"), &proof), "{name}");
    value.map(|bytes| T::from_bytes(&bytes).unwrap())
}

fn code<T>(result: Result<T, ClientError>) -> String {
    match result {
        Ok(_) => "it".into(),
        Err(error) => error.code().unwrap_or_default().into(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn anybody_reads_permits_and_their_parties_what_was_done_under_them() {
    let mut world = World::start().await;
    register(&world, "body", Role::AccessBody).await;
    register(&world, "university", Role::DataUser).await;
    let nobody = world.client();
    assert_eq!(nobody.permits(None, None).await.unwrap().permits, []);

    let permit = random16();
    let issue =
        world.act("body", Fields::PermitIssue(Issue { permit, terms: terms(&[Category::HealthRecords]) }));
    world.record(&issue).await;
    let (open, _, _) = subject("hospital", Some("university"));
    let local_id = open.local_id;
    world.record(&world.act("hospital", Fields::TrailOpen(open))).await;
    let mut access = event("hospital", "university", Some(local_id));
    (access.basis, access.cited) = (Basis::Permit, Some(permit));
    access.at_height = nobody.status().await.map(|status| custos_proof::ids::Height(status.height)).unwrap();
    let access = world.testify("hospital", vec![access]);
    world.record(&access).await;
    let both = terms(&[Category::HealthRecords, Category::Genomic]);
    world.record(&world.act("body", Fields::PermitAmend(Amend { permit, terms: both.clone() }))).await;
    let second = random16();
    world
        .record(&world.act("body", Fields::PermitIssue(Issue { permit: second, terms: both.clone() })))
        .await;
    let revoke = world.act("body", Fields::PermitRevoke(Revoke { permit: second, reason: Reason::Served }));
    world.record(&revoke).await;

    // Listed for everybody, in the order of their issue; one by one, by body, and as pages.
    let all = nobody.permits(None, None).await.unwrap();
    assert_eq!(all.permits.iter().map(|one| one.permit).collect::<Vec<_>>(), [permit, second]);
    assert_eq!(all.next, None);
    assert_eq!(all.permits[0].versions.len(), 2);
    assert!(all.permits[0].revoked.is_none() && all.permits[1].revoked.is_some());
    assert_eq!(nobody.permits(Some(&id("body")), None).await.unwrap().permits, all.permits);
    assert_eq!(nobody.permits(Some(&id("university")), None).await.unwrap().permits, []);
    assert_eq!(nobody.permit(&permit).await.unwrap(), all.permits[0]);
    assert_eq!(code(nobody.permit(&Random16([1; 16])).await), "not-found");
    assert_eq!(code(nobody.permits(None, Some("elsewhere")).await), "bad-request");

    // What the state says of it is proven: that it is, what it says in each version, and that another is not.
    let state = nobody.permit_state(&permit).await.unwrap();
    let entry: Permit = proven(&world, &state, "permit", &registry::permit_key(&permit)).unwrap();
    assert_eq!((entry.body, entry.version, entry.revoked), (id("body"), 2, None));
    let second_terms: PermitTerms =
        proven(&world, &state, "terms-2", &registry::permit_terms_key(&permit, 2)).unwrap();
    assert_eq!(second_terms.terms, both);
    let unknown = Random16([1; 16]);
    let none = nobody.permit_state(&unknown).await.unwrap();
    assert_eq!(proven::<Permit>(&world, &none, "permit", &registry::permit_key(&unknown)), None);
    let policy = nobody.policy_state().await.unwrap();
    let policy: registry::Policy = proven(&world, &policy, "policy", &registry::policy_key()).unwrap();
    assert_eq!(policy, world.genesis.policy);
    let hospital = id("hospital");
    let state = nobody.participant_state(&hospital).await.unwrap();
    let entry: Option<registry::Participant> =
        proven(&world, &state, "participant", &registry::participant_key(&hospital));
    assert!(entry.is_some());
    assert_eq!(proven::<registry::Roster>(&world, &state, "roster", &registry::roster_key(&hospital)), None);

    // The receipts of what states it are public, too, and verify.
    let receipt = nobody.receipt(&hash(&issue, 0), None).await.unwrap();
    let anchor = world.anchor();
    verify::receipt(&Receipt::from_bytes(&receipt).unwrap(), &trust(&anchor)).unwrap();
    assert_eq!(code(nobody.receipt(&hash(&revoke, 0), None).await), "it");
    // What was done under it is for the parties.
    assert_eq!(code(nobody.receipt(&hash(&access, 0), None).await), "unauthenticated");
    let trail = TrailName::permit(&id("body"), &permit);
    assert_eq!(code(nobody.trail_proof(&trail, Part::Whole, None).await), "unauthenticated");
    for (name, got) in [
        ("body", "it"),
        ("university", "it"),
        ("hospital", "it"),
        ("practice", "not-found"),
        ("stranger", "not-found"),
    ] {
        let member = world.member(name);
        assert_eq!(code(member.trail_proof(&trail, Part::Whole, None).await), got, "{name}");
    }
    let (_, proof) = world.member("hospital").trail_proof(&trail, Part::Whole, None).await.unwrap();
    assert_eq!(verify::trail(&proof, &trust(&anchor)).unwrap().entries.len(), 3);
    world.stop().await;
}
