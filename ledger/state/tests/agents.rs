//! Who speaks for a subject: its own key for one trail, agents that the trail names, the custodian with
//! evidence, and never the grantee. And the turn of the year, at which trails and rules begin anew.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use custos_proof::cbor::{Set, Wire};
use custos_proof::hash::{Digest, TrailKey};
use custos_proof::ids::{Random16, TimeMs};
use custos_proof::keys::{PublicKey, key_id};
use custos_proof::kinds::access::{Basis, Event};
use custos_proof::kinds::rule::{Collected, Put};
use custos_proof::kinds::trail::{Agent, Change, possession_preimage};
use custos_proof::kinds::{Class, Fields};
use custos_proof::record::{Code, Finding};
use custos_proof::registry::{self, KeyEntry, Role};
use custos_proof::subject::subject_key_seed;
use custos_proof::submission::{Author, Verified};
use custos_proof::trail::TrailName;
use custos_proof::verify;
use custos_state::error::RefusalCode;
use custos_state::view::View;

const A: &str = "hospital-a";
const B: &str = "hospital-b";
const OMBUDSMAN: &str = "ombudsman";
const OTHER_AGENT: &str = "other-agent";

use Finding::Contradicted;

/// A chain on which hospital A holds a subject's own trail and one for hospital B.
struct Ward {
    chain: Chain,
    own: Digest,
    for_b: Digest,
}

fn name(local_id: Digest) -> TrailName {
    TrailName::subject(&id(A), local_id)
}

fn trail(local_id: Digest) -> TrailKey {
    name(local_id).key()
}

/// The subject's key for a trail.
fn subject_key(local_id: Digest) -> TestKey {
    TestKey(ed25519_dalek::SigningKey::from_bytes(&subject_key_seed(&[5; 32], &trail(local_id))))
}

impl Ward {
    fn new() -> Self {
        Self::begin(BEGIN)
    }

    fn begin(time: TimeMs) -> Self {
        let others: [(&str, &[Role]); 3] = [
            (OMBUDSMAN, &[Role::Agent]),
            (OTHER_AGENT, &[Role::Agent]),
            ("both", &[Role::Agent, Role::Recipient]),
        ];
        let mut chain = Chain::from_genesis(genesis_with("agents", time, &others));
        let (own, for_b) = (chain.open(A, "p", None), chain.open(A, "p", Some(B)));
        let ids = (local_id_of(&own), local_id_of(&for_b));
        chain.act(A, vec![own]);
        chain.act(A, vec![for_b]);
        Self { chain, own: ids.0, for_b: ids.1 }
    }

    fn named(&self, local_id: Digest) -> Agent {
        Agent {
            custodian: id(A),
            local_id,
            change: Change::Add,
            key: None,
            possession: None,
            agent: None,
            collected: Collected::Paper,
            seal: NO_SEAL,
        }
    }

    fn key_named(&self, local_id: Digest, key: &TestKey) -> Agent {
        let preimage = possession_preimage(&self.chain.id, &trail(local_id), &key.public());
        let possession = key.sign_bytes(&preimage);
        Agent { key: Some(key.public()), possession: Some(possession), ..self.named(local_id) }
    }

    fn agent_named(&self, local_id: Digest, agent: &str) -> Agent {
        Agent { agent: Some(id(agent)), ..self.named(local_id) }
    }

    fn signed_rule(&mut self, local_id: Digest) -> Put {
        Put { collected: Collected::Signed, ..self.chain.rule(A, local_id) }
    }

    /// Acts that the subject of a trail signs with its key for it.
    fn by_subject(&mut self, of: Digest, key: &TestKey, acts: Vec<Fields>) -> Verified {
        let items = acts.into_iter().map(|fields| self.chain.item(fields)).collect();
        let mut letter = self.chain.draft(A, Class::Act, items);
        letter.author = Author::Subject(trail(of));
        letter.key = key.clone();
        letter.sign()
    }

    fn refused_to_subject(&mut self, of: Digest, key: &TestKey, acts: Vec<Fields>) -> RefusalCode {
        let submission = self.by_subject(of, key, acts);
        self.chain.refusal(&submission).0
    }

    fn refused(&mut self, author: &str, act: Fields) -> RefusalCode {
        self.chain.refused(author, vec![act])
    }
}

fn agent(fields: Agent) -> Fields {
    Fields::TrailAgent(fields)
}

fn put(fields: Put) -> Fields {
    Fields::RulePut(fields)
}

#[test]
fn a_subject_signs_its_own_rules_and_whoever_gets_the_receipt_can_check_it() {
    let mut ward = Ward::new();
    let key = subject_key(ward.for_b);
    let named = agent(ward.key_named(ward.for_b, &key));
    ward.chain.act(A, vec![named]);
    let rule = ward.signed_rule(ward.for_b);
    let submission = ward.by_subject(ward.for_b, &key, vec![put(rule.clone())]);
    ward.chain.record(submission);
    // The oracle has verified the receipt and the trail; here is whose word it is.
    let last = ward.chain.store.records().len() as u64 - 1;
    let anchor = ward.chain.anchor();
    let proven = verify::receipt(&ward.chain.receipt(last), &ground(&anchor)).unwrap();
    assert_eq!(proven.item.entry.author, Author::Subject(trail(ward.for_b)));
    assert_eq!(proven.item.key.owner, Author::Subject(trail(ward.for_b)));
    // B reads under it.
    let event = ward.chain.event(A, Some(ward.for_b), B);
    let event = Event { basis: Basis::Consent, cited: Some(rule.rule), ..event };
    assert_eq!(ward.chain.states(B, Fields::AccessEvent(event.clone())).1, []);
    // The subject takes it back, against whatever the custodian wants.
    let ends = Set::new(vec![rule.rule]).unwrap();
    let ending = Put { ends, ..ward.signed_rule(ward.for_b) };
    let submission = ward.by_subject(ward.for_b, &key, vec![put(ending)]);
    ward.chain.record(submission);
    let after = Event { event: ward.chain.random16(), at_height: ward.chain.height(), ..event };
    assert_eq!(ward.chain.states(B, Fields::AccessEvent(after)), (Contradicted, vec![Code::RuleEnded]));
}

#[test]
fn a_subjects_key_speaks_in_its_own_trail_about_rules_and_agents_and_nowhere_else() {
    let mut ward = Ward::new();
    let key = subject_key(ward.for_b);
    let rule = put(ward.signed_rule(ward.for_b));
    assert_eq!(ward.refused_to_subject(ward.for_b, &key, vec![rule.clone()]), RefusalCode::UnknownKey);
    let nowhere = Digest([9; 32]);
    assert_eq!(ward.refused_to_subject(nowhere, &key, vec![rule.clone()]), RefusalCode::UnknownAuthor);
    let named = agent(ward.key_named(ward.for_b, &key));
    ward.chain.act(A, vec![named]);
    // Its trail's rules only, and only as itself.
    let in_own = put(ward.signed_rule(ward.own));
    assert_eq!(ward.refused_to_subject(ward.for_b, &key, vec![in_own.clone()]), RefusalCode::NotAllowed);
    assert_eq!(ward.refused_to_subject(ward.own, &key, vec![in_own]), RefusalCode::WrongKey);
    let mut letter = {
        let item = ward.chain.item(rule.clone());
        ward.chain.draft(A, Class::Act, vec![item])
    };
    letter.key = key.clone();
    assert_eq!(ward.chain.refusal(&letter.sign()).0, RefusalCode::WrongKey, "it is no key of A's");
    // Rules and agents only, and nothing about what others did.
    assert_eq!(ward.refused_to_subject(ward.for_b, &key, vec![close(ward.for_b)]), RefusalCode::NotAllowed);
    let event = Fields::AccessEvent(ward.chain.event(A, Some(ward.for_b), B));
    let item = ward.chain.item(event);
    let mut letter = ward.chain.draft(A, Class::Testimony, vec![item]);
    (letter.author, letter.key) = (Author::Subject(trail(ward.for_b)), key.clone());
    assert_eq!(ward.chain.refusal(&letter.sign()).0, RefusalCode::NotAllowed);
    // A signer states no evidence, and a custodian does.
    let collected = put(Put { collected: Collected::Paper, ..ward.signed_rule(ward.for_b) });
    assert_eq!(ward.refused_to_subject(ward.for_b, &key, vec![collected]), RefusalCode::NotAllowed);
    let signed = put(ward.signed_rule(ward.for_b));
    assert_eq!(ward.refused(A, signed), RefusalCode::NotAllowed);
    // It names an agent, removes its own key, and is silent from then on.
    let removal = Agent {
        change: Change::Remove,
        key: Some(key.public()),
        collected: Collected::Signed,
        ..ward.named(ward.for_b)
    };
    let agent_named = Agent { collected: Collected::Signed, ..ward.agent_named(ward.for_b, OMBUDSMAN) };
    let both = ward.by_subject(ward.for_b, &key, vec![agent(agent_named), agent(removal.clone())]);
    ward.chain.record(both);
    assert_eq!(ward.refused_to_subject(ward.for_b, &key, vec![rule]), RefusalCode::RevokedKey);
    let again = agent(Agent { collected: Collected::Paper, ..removal });
    assert_eq!(ward.refused(A, again), RefusalCode::Ended);
    let rule = put(ward.signed_rule(ward.for_b));
    ward.chain.act(OMBUDSMAN, vec![rule]);
}

#[test]
fn a_key_is_named_with_proof_of_possession_for_this_trail_and_never_twice() {
    let mut ward = Ward::new();
    let key = subject_key(ward.for_b);
    let good = ward.key_named(ward.for_b, &key);
    let elsewhere = ward.key_named(ward.own, &key).possession;
    for (fields, code) in [
        (Agent { possession: elsewhere, ..good.clone() }, RefusalCode::NoPossession),
        (Agent { possession: None, ..good.clone() }, RefusalCode::MalformedItem),
        (Agent { agent: Some(id(OMBUDSMAN)), ..good.clone() }, RefusalCode::MalformedItem),
        (Agent { change: Change::Remove, ..good.clone() }, RefusalCode::MalformedItem),
        (ward.named(ward.for_b), RefusalCode::MalformedItem),
        (Agent { collected: Collected::Custodian, ..good.clone() }, RefusalCode::NotAllowed),
        (Agent { collected: Collected::Signed, ..good.clone() }, RefusalCode::NotAllowed),
        (Agent { local_id: Digest([9; 32]), ..good.clone() }, RefusalCode::NotFound),
        // The neutral element: a signature of it is easily made.
        (
            Agent {
                key: Some(PublicKey({
                    let mut neutral = [0; 32];
                    neutral[0] = 1;
                    neutral
                })),
                ..good.clone()
            },
            RefusalCode::BadKey,
        ),
        (Agent { change: Change::Remove, possession: None, ..good.clone() }, RefusalCode::NotFound),
    ] {
        assert_eq!(ward.refused(A, agent(fields.clone())), code, "{fields:?}");
    }
    for author in [B, OMBUDSMAN, REGISTRY] {
        assert_eq!(ward.refused(author, agent(good.clone())), RefusalCode::NotAllowed);
    }
    ward.chain.act(A, vec![agent(good.clone())]);
    assert_eq!(ward.refused(A, agent(good)), RefusalCode::Exists);
    // The same key in the subject's other trail would link the two.
    let linking = ward.key_named(ward.own, &key);
    assert_eq!(ward.refused(A, agent(linking)), RefusalCode::Exists);
    // Nor can it be a participant's key, or become one.
    let hospitals = common::key("hospital-b sign");
    let taken = ward.key_named(ward.own, &hospitals);
    assert_eq!(ward.refused(A, agent(taken)), RefusalCode::Exists);
    let removal = Agent { change: Change::Remove, key: Some(hospitals.public()), ..ward.named(ward.own) };
    assert_eq!(ward.refused(A, agent(removal)), RefusalCode::NotFound);
    // Participants and the registrar have no say over a subject's key, and no list shows it.
    assert_eq!(ward.refused(REGISTRY, revoke(&key, None)), RefusalCode::NotFound);
    let entry = ward.chain.store.entry(&registry::key_key(&key_id(&key.public()))).unwrap().unwrap();
    assert_eq!(KeyEntry::from_bytes(&entry).unwrap().owner, Author::Subject(trail(ward.for_b)));
    assert!(ward.chain.blocks.iter().all(|block| block.changes.keys.is_empty()));
}

#[test]
fn subjects_have_a_quota_of_their_own() {
    let mut ward = Ward::new();
    let key = subject_key(ward.own);
    let named = agent(ward.key_named(ward.own, &key));
    ward.chain.act(A, vec![named]);
    let quota = custos_proof::registry::Policy::initial().max_subject_nonces;
    let rules: Vec<Verified> = (0..quota)
        .map(|_| {
            let rule = put(ward.signed_rule(ward.own));
            ward.by_subject(ward.own, &key, vec![rule])
        })
        .collect();
    ward.chain.block(rules);
    let rule = put(ward.signed_rule(ward.own));
    assert_eq!(ward.refused_to_subject(ward.own, &key, vec![rule]), RefusalCode::QuotaExceeded);
}

#[test]
fn agents_are_named_by_those_who_may_and_are_neither_custodian_nor_grantee() {
    let mut ward = Ward::new();
    let good = ward.agent_named(ward.for_b, OMBUDSMAN);
    let nobody = Some("nobody".parse().unwrap());
    for (fields, code) in [
        (Agent { agent: nobody, ..good.clone() }, RefusalCode::NotFound),
        (Agent { agent: Some(id(AUDITOR)), ..good.clone() }, RefusalCode::NotAllowed),
        (Agent { change: Change::Remove, ..good.clone() }, RefusalCode::NotFound),
    ] {
        assert_eq!(ward.refused(A, agent(fields.clone())), code, "{fields:?}");
    }
    let rule = put(ward.signed_rule(ward.for_b));
    assert_eq!(ward.refused(OMBUDSMAN, rule.clone()), RefusalCode::NotAllowed, "not yet named");
    ward.chain.act(A, vec![agent(good.clone())]);
    assert_eq!(ward.refused(A, agent(good.clone())), RefusalCode::Exists);
    ward.chain.act(OMBUDSMAN, vec![rule]);
    let in_own = put(ward.signed_rule(ward.own));
    assert_eq!(ward.refused(OMBUDSMAN, in_own), RefusalCode::NotAllowed, "named in the other trail");
    let with_evidence = put(ward.chain.rule(A, ward.for_b));
    assert_eq!(ward.refused(OMBUDSMAN, with_evidence), RefusalCode::NotAllowed);
    // An agent names another, and the custodian removes one.
    let another = Agent { collected: Collected::Signed, ..ward.agent_named(ward.for_b, OTHER_AGENT) };
    ward.chain.act(OMBUDSMAN, vec![agent(another)]);
    let removal = Agent { change: Change::Remove, ..good };
    ward.chain.act(A, vec![agent(removal.clone())]);
    let rule = put(ward.signed_rule(ward.for_b));
    assert_eq!(ward.refused(OMBUDSMAN, rule.clone()), RefusalCode::NotAllowed);
    ward.chain.act(OTHER_AGENT, vec![rule]);
    let named_again = agent(ward.agent_named(ward.for_b, OMBUDSMAN));
    ward.chain.act(A, vec![named_again]);
    ward.chain.act(A, vec![agent(removal)]);

    // Who accesses does not consent, whatever else it is.
    let both = ward.chain.open(A, "p", Some("both"));
    ward.chain.act(A, vec![both.clone()]);
    let grantee = ward.agent_named(local_id_of(&both), "both");
    assert_eq!(ward.refused(A, agent(grantee)), RefusalCode::NotAllowed);
    let elsewhere = agent(ward.agent_named(ward.own, "both"));
    ward.chain.act(A, vec![elsewhere]);
    let rule = put(ward.signed_rule(local_id_of(&both)));
    assert_eq!(ward.refused("both", rule), RefusalCode::NotAllowed);
    let by_grantee = put(ward.chain.rule(A, ward.for_b));
    assert_eq!(ward.refused(B, by_grantee), RefusalCode::NotAllowed);
}

#[test]
fn a_closed_trail_names_nobody() {
    let mut ward = Ward::new();
    ward.chain.act(A, vec![close(ward.for_b)]);
    let late = agent(ward.agent_named(ward.for_b, OMBUDSMAN));
    assert_eq!(ward.refused(A, late), RefusalCode::TrailClosed);
}

/// The turn of the year: trails begin anew, living rules are restated, and nothing links the old to the new.
#[test]
fn with_the_new_year_trails_and_rules_begin_anew() {
    let mut ward = Ward::begin(NEW_YEARS_EVE);
    let new_year = TimeMs(NEW_YEARS_EVE.0 + 600_000);
    let key = subject_key(ward.for_b);
    let named = agent(ward.key_named(ward.for_b, &key));
    ward.chain.act(A, vec![named]);
    let old = ward.chain.rule(A, ward.for_b);
    ward.chain.act(A, vec![put(old.clone())]);
    let read = |ward: &mut Ward, local_id: Digest, rule: Random16| {
        let event = ward.chain.event(A, Some(local_id), B);
        Fields::AccessEvent(Event { basis: Basis::Consent, cited: Some(rule), ..event })
    };
    // Decided in the old year, recorded in the new one, within the lag: the old trail is its place.
    ward.chain.wait_until(TimeMs(new_year.0 - 1));
    ward.chain.block(vec![]);
    let last_year = ward.for_b;
    let decided_before = read(&mut ward, last_year, old.rule);
    ward.chain.wait_until(new_year);
    assert_eq!(ward.chain.states(B, decided_before).1, []);
    // Decided in the new year: the old trail is over, and so is what stands in it.
    let decided_after = read(&mut ward, last_year, old.rule);
    assert_eq!(ward.chain.states(B, decided_after), (Contradicted, vec![Code::OtherEpoch]));
    let into_old = put(ward.chain.rule(A, ward.for_b));
    assert_eq!(ward.refused(A, into_old), RefusalCode::WrongEpoch);
    let named = agent(ward.agent_named(ward.for_b, OMBUDSMAN));
    assert_eq!(ward.refused(A, named), RefusalCode::WrongEpoch);

    // A new trail, under another pseudonym; the rule is restated there with a fresh id, `prior` is random.
    let opened = ward.chain.open(A, "p", Some(B));
    let new = local_id_of(&opened);
    assert_ne!(new, ward.for_b);
    ward.chain.act(A, vec![opened]);
    let restated = ward.chain.rule(A, new);
    ward.chain.act(A, vec![put(restated.clone())]);
    let by_new_rule = read(&mut ward, new, restated.rule);
    assert_eq!(ward.chain.states(B, by_new_rule).1, []);
    let by_old_rule = read(&mut ward, new, old.rule);
    assert_eq!(ward.chain.states(B, by_old_rule), (Contradicted, vec![Code::UnknownRule]));

    // The old trail still takes the end of a rule, so that nobody restates what the subject has ended.
    let ends = Set::new(vec![old.rule]).unwrap();
    let ending = put(Put { ends, ..ward.signed_rule(ward.for_b) });
    let submission = ward.by_subject(ward.for_b, &key, vec![ending]);
    ward.chain.record(submission);
    // And the subject's key of the old trail says nothing in the new one.
    let rule = put(ward.signed_rule(new));
    assert_eq!(ward.refused_to_subject(ward.for_b, &key, vec![rule]), RefusalCode::NotAllowed);
}
