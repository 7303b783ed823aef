//! Blocks 10 and 11 of the vectors' chain: permits, emergencies, transfers, records, holds, who speaks
//! for a subject, and a fact that the chain makes by itself.

use custos_proof::cbor::{Ascii, List, Set, Wire};
use custos_proof::hash::{Digest, TrailKey};
use custos_proof::ids::{FAR, ItemId, Random16, TimeMs};
use custos_proof::keys::Signer as _;
use custos_proof::kinds::access::{Basis, Event, Late, Retention};
use custos_proof::kinds::rule::{Collected, Put};
use custos_proof::kinds::{
    Class, Fields, Kind, audit, correct, disclosure, emergency, hold, job, permit, record, trail,
};
use custos_proof::sealed_values::{
    Accounting, Delegation, DelegationKind, InnerKind, Moment, Party, Prose, Reason, ReviewVerdict, RuleBody,
    Scope, Span, Stated,
};
use custos_proof::subject::subject_key_seed;
use custos_proof::submission::Author;
use custos_proof::trail::TrailName;

use super::world::{BEGIN, Key, World, id16, seed, trails, who};

/// What the vectors' subject draws and tells no custodian.
pub fn subject_secret() -> [u8; 32] {
    seed("subject secret")
}

/// The subject's key for a trail.
pub fn subject_key(trail: &TrailKey) -> Key {
    Key::from_seed(subject_key_seed(&subject_secret(), trail))
}

/// Adds the blocks.
pub fn live(world: &mut World) {
    let random = |name: &str| Random16(id16(name));
    let (own, _) = trails(&world.chain);
    let local_id = own.local_id.expect("because it is a subject's trail");
    let permit = random("a permit");
    let terms = permit::Terms {
        user: who("university-d"),
        purposes: Set::new(vec![permit::Purpose::Statistics, permit::Purpose::Research])
            .expect("because they are few"),
        categories: Set::new(vec![permit::Category::HealthRecords]).expect("because it is one"),
        holders: Set::new(vec![who("hospital-a"), who("hospital-b")]).expect("because they are two"),
        environment: None,
        begins: BEGIN,
        // Between this block and the next.
        ends: BEGIN.plus(10 * 60_000 + 30_000),
        form: permit::Form::Pseudonymised,
        over_opt_out: permit::Override::None,
        decision: Some(Digest([7; 32])),
    };
    let amended = permit::Terms { ends: FAR, ..terms.clone() };
    let other = permit::Issue { permit: random("another permit"), terms: terms.clone() };
    let by_ministry = vec![
        world.item("permit issued", Fields::PermitIssue(permit::Issue { permit, terms })),
        world.item("permit amended", Fields::PermitAmend(permit::Amend { permit, terms: amended })),
        world.item("another permit issued", Fields::PermitIssue(other)),
    ];
    let by_ministry = world.submission("permits", "ministry", Class::Act, by_ministry);

    let job = sealed(world, "job", Kind::JobRecord, |seal| {
        Fields::JobRecord(job::Record {
            event: random("job event"),
            permit,
            job: random("a job"),
            step: job::Step::Register,
            code: Some(Digest([8; 32])),
            parameters: None,
            nodes: Set::new(vec![who("hospital-a")]).expect("because it is one"),
            cohort: job::Cohort::Below1000,
            opt_outs_removed: job::Precaution::Done,
            disclosure_checked: job::Precaution::Unknown,
            seal,
        })
    });
    let job = world.submission("job", "university-d", Class::Testimony, vec![job]);

    let by_a = statements(world, local_id);
    let by_a = world.submission("lives", "hospital-a", Class::Testimony, by_a);
    let acts = acts(world, &own, local_id);
    let acts = world.submission("who speaks and what is held", "hospital-a", Class::Act, acts);
    world.decide(vec![by_ministry, job, by_a, acts]);

    // The subject signs; and what ended between the blocks is a fact.
    let guardian = delegation(world, local_id);
    let key = subject_key(&own.key());
    let author = Author::Subject(own.key());
    let signed = world.submission_of("a guardian", author, Class::Act, vec![guardian], &key);
    let revoke = permit::Revoke { permit, reason: permit::Reason::Served };
    let revoke = vec![world.item("permit revoked", Fields::PermitRevoke(revoke))];
    let revoke = world.submission("permit revoked", "ministry", Class::Act, revoke);
    world.decide(vec![signed, revoke]);
}

/// What hospital A states.
fn statements(world: &mut World, local_id: Digest) -> Vec<Vec<u8>> {
    let random = |name: &str| Random16(id16(name));
    let a = || who("hospital-a");
    let country = |text: &str| Ascii::new(text).expect("because it is short");
    let declaration = random("an emergency");
    let transfer = random("a transfer");
    vec![
        sealed(world, "emergency declared", Kind::EmergencyDeclare, |seal| {
            Fields::EmergencyDeclare(emergency::Declare { declaration, custodian: a(), acting: a(), seal })
        }),
        sealed(world, "read in the emergency", Kind::AccessEvent, |seal| {
            Fields::AccessEvent(Event {
                event: random("read in the emergency"),
                custodian: a(),
                local_id: Some(local_id),
                acting: a(),
                basis: Basis::Emergency,
                cited: Some(declaration),
                at_height: custos_proof::ids::Height(9),
                late: Late::None,
                retention: Retention::Short,
                stream: 0,
                sequence: 0,
                seal,
            })
        }),
        sealed(world, "emergency reviewed", Kind::EmergencyReview, |seal| {
            Fields::EmergencyReview(emergency::Review {
                review: random("a review"),
                declarer: a(),
                declaration,
                seal,
            })
        }),
        sealed(world, "read corrected", Kind::AccessCorrect, |seal| {
            Fields::AccessCorrect(correct::Correct {
                correction: random("a correction"),
                prior: random("read in the emergency"),
                custodian: a(),
                local_id: Some(local_id),
                acting: a(),
                reason: correct::Reason::Content,
                seal,
            })
        }),
        sealed(world, "data given", Kind::DisclosureExport, |seal| {
            Fields::DisclosureExport(disclosure::Export {
                event: random("data given"),
                transfer,
                recipient: Some(who("hospital-b")),
                agreement: None,
                recognition: Some(Digest([9; 32])),
                from_country: country("DE"),
                to_country: country("FR"),
                seal,
            })
        }),
        sealed(world, "data received", Kind::DisclosureImport, |seal| {
            Fields::DisclosureImport(disclosure::Import {
                event: random("data received"),
                transfer,
                source: who("hospital-b"),
                from_country: country(""),
                to_country: country("DE"),
                seal,
            })
        }),
        sealed(world, "record arrived", Kind::RecordEvent, |seal| {
            Fields::RecordEvent(record::Event {
                event: random("record arrived"),
                local_id,
                record: random("a record"),
                step: record::Step::Ingest,
                retention: Retention::Standard,
                seal,
            })
        }),
        sealed(world, "trails read", Kind::AuditRead, |seal| {
            Fields::AuditRead(audit::Read {
                event: random("trails read"),
                custodian: a(),
                mandate: None,
                count: 40,
                seal,
            })
        }),
    ]
}

/// What hospital A does.
fn acts(world: &mut World, own: &TrailName, local_id: Digest) -> Vec<Vec<u8>> {
    let a = || who("hospital-a");
    let key = subject_key(&own.key());
    let preimage = trail::possession_preimage(&world.chain, &own.key(), &key.public_key());
    let possession = key.sign(&preimage).expect("because the key is here");
    let hold = Random16(id16("a hold"));
    let named = sealed(world, "subject's key named", Kind::TrailAgent, |seal| {
        Fields::TrailAgent(trail::Agent {
            custodian: a(),
            local_id,
            change: trail::Change::Add,
            key: Some(key.public_key()),
            possession: Some(possession),
            agent: None,
            collected: Collected::InPerson,
            seal,
        })
    });
    let set = sealed(world, "hold set", Kind::HoldSet, |seal| {
        Fields::HoldSet(hold::Set { hold, custodian: a(), local_id: Some(local_id), seal })
    });
    let lifted = hold::Lift { custodian: a(), hold, local_id: Some(local_id) };
    let lifted = world.item("hold lifted", Fields::HoldLift(lifted));
    let erased = sealed(world, "items erased", Kind::PayloadErase, |seal| {
        Fields::PayloadErase(hold::Erase {
            local_id,
            from: 0,
            to: 1,
            retention: Retention::Short,
            before: FAR,
            authority: hold::Authority::Court,
            seal,
        })
    });
    vec![named, set, lifted, erased]
}

/// A guardian until the subject comes of age, under the outer kind of every rule.
fn delegation(world: &mut World, local_id: Digest) -> Vec<u8> {
    let name = "guardian named";
    let delegation = Delegation {
        delegate: Some(Party { display: Prose::new("Maria Musterfrau"), ..Party::default() }),
        kind: Some(DelegationKind::Guardian),
        scope: List::new(vec![Scope::Read, Scope::Rules]).expect("because they are two"),
        period: Some(Span { start: Moment::new("2026-01-01"), end: None }),
        ends_at: Moment::new("2031-05-04"),
        evidence: Some(Digest([5; 32])),
        reference: Prose::new("Family court, 12 F 34/26"),
        is_unsafe: None,
    };
    let values =
        vec![InnerKind::DelegationGrant.to_bytes(), RuleBody::Delegation(delegation).to_bytes(), vec![0xa0]];
    let (item_id, seal) = world.seal(name, Kind::RulePut, values);
    debug_assert_eq!(item_id, ItemId(id16(name)));
    let put = Put {
        custodian: who("hospital-a"),
        local_id,
        rule: Random16(id16("the guardian's rule")),
        prior: Random16(id16("nothing before it")),
        expiry: TimeMs(FAR.0),
        ends: Set::default(),
        collected: Collected::Signed,
        seal,
    };
    world.item(name, Fields::RulePut(put))
}

/// An item whose sealed fields say something short, or why they say nothing.
fn sealed(
    world: &mut World,
    name: &'static str,
    kind: Kind,
    fields: impl FnOnce(custos_proof::seal::Seal) -> Fields,
) -> Vec<u8> {
    let note = || Stated::Value(Prose::<4096>::new("a note").expect("because it is short")).to_bytes();
    let value = |field: &&str| match (kind, *field) {
        (Kind::TrailAgent, _) => vec![0xa0],
        (Kind::DisclosureExport, "accounting") => Stated::Value(Accounting::Counted).to_bytes(),
        (Kind::EmergencyReview, "verdict") => Stated::Value(ReviewVerdict::Justified).to_bytes(),
        (_, "note" | "findings" | "description") => note(),
        _ => Stated::<bool>::Unknown(Reason::NotStated).to_bytes(),
    };
    let values = kind.sealed_fields().iter().map(value).collect();
    let (_, seal) = world.seal(name, kind, values);
    world.item(name, fields(seal))
}
