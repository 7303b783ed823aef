//! The values inside the seals of the small chain, and vectors of single values.

use custos_proof::cbor::{Bytes, List, Wire};
use custos_proof::hash::{Digest, sha256};
use custos_proof::kinds::Kind;
use custos_proof::sealed_values::{
    self, Action, ActionKind, Agent, AgentKind, Agents, Answer, CODE_SYSTEMS, Coding, Codings, Concept,
    Concepts, DataReference, Decision, Detail, Effect, Evidence, Format, Group, Identifier, Identifiers,
    InnerKind, Justification, LegalBasis, ListedTrail, Meaning, Moment, Outcome, OutcomeKind, OwnTrail,
    Parties, Party, Policy, Prose, Provision, Purpose, Purposes, Reason, Relationship, RelationshipKind,
    Resource, Resources, Rule, RuleBody, RulePath, Source, Span, Stated, Token, Verification, When,
};

use super::json::{Json, hex, list, object};
use super::world::who;

/// Values for whole items.
pub struct Values {
    /// A consent.
    pub grant: Vec<Vec<u8>>,
    /// An access.
    pub access: Vec<Vec<u8>>,
}

fn token(text: &str) -> Token {
    Token::new(text).expect("because it is short")
}

fn prose<const MAX: usize>(text: &str) -> Prose<MAX> {
    Prose::new(text).expect("because it is short")
}

fn items<T, const MAX: usize>(values: Vec<T>) -> List<T, MAX> {
    List::new(values).expect("because they are few")
}

fn moment(text: &str) -> Moment {
    Moment::new(text).expect("because it is a time")
}

fn code(system: usize, code: &str) -> Coding {
    Coding { system: Some(token(CODE_SYSTEMS[system - 1])), code: token(code), display: None }
}

fn concept(coding: Coding) -> Concept {
    Concept { codings: items(vec![coding]), text: None }
}

fn party(reference: &str) -> Party {
    Party { reference: Some(token(reference)), ..Party::default() }
}

fn unknown<T: Wire>(reason: Reason) -> Vec<u8> {
    Stated::<T>::Unknown(reason).to_bytes()
}

fn stated<T: Wire>(value: T) -> Vec<u8> {
    Stated::Value(value).to_bytes()
}

/// The sealed name of a natural person.
pub fn name(text: &str) -> Vec<u8> {
    prose::<{ sealed_values::MAX_PROSE }>(text).to_bytes()
}

/// The back pointer of a subject's own trail: none.
pub fn no_own_trail() -> Vec<u8> {
    None::<OwnTrail>.to_bytes()
}

/// The back pointer of a grantee's trail.
pub fn own_trail(epoch: u16, local_id: Digest) -> Vec<u8> {
    Some(OwnTrail { epoch, local_id }).to_bytes()
}

/// An entry of the own trail that lists a grantee's.
pub fn lists_trail(grantee: &str, epoch: u16, local_id: Digest) -> Vec<Vec<u8>> {
    let listed = ListedTrail { grantee: Some(who(grantee)), epoch, local_id };
    vec![
        InnerKind::ListsTrail.to_bytes(),
        RuleBody::ListsTrail(listed).to_bytes(),
        Evidence::default().to_bytes(),
    ]
}

/// A rule that only ends others.
pub fn revocation() -> Vec<Vec<u8>> {
    vec![InnerKind::Revoke.to_bytes(), RuleBody::Nothing.to_bytes(), Evidence::default().to_bytes()]
}

impl Values {
    /// The values of the small chain.
    pub fn new() -> Self {
        Self {
            grant: vec![
                InnerKind::Grant.to_bytes(),
                RuleBody::Rule(rule()).to_bytes(),
                evidence().to_bytes(),
            ],
            access: access(),
        }
    }
}

fn rule() -> Rule {
    Rule {
        root: Some(Provision {
            effect: Some(Effect::Permit),
            period: Some(Span { start: Some(moment("2026-01-15")), end: Some(moment("2026")) }),
            purposes: items(vec![code(1, "TREAT")]),
            ..Provision::default()
        }),
        nested: items(vec![Provision {
            effect: Some(Effect::Deny),
            labels: items(vec![code(2, "V")]),
            data: items(vec![DataReference { meaning: Meaning::AuthoredBy, what: party("Practitioner/17") }]),
            ..Provision::default()
        }]),
        scope: Some(concept(code(18, "patient-privacy"))),
        policies: items(vec![Policy { authority: None, uri: Some(token("urn:example:policy")) }]),
        agreed: Some(moment("2026-01-14T16:20:00+01:00")),
        ..Rule::default()
    }
}

fn evidence() -> Evidence {
    Evidence {
        source_hash: Some(sha256(b"a signed paper")),
        title: Some(prose("Consent\nof 14 January")),
        verifications: items(vec![Verification {
            verified: true,
            with: None,
            date: Some(moment("2026-01-14")),
        }]),
        record: Some(Source { format: Some(Format::FhirR4Consent), ..Source::default() }),
        status: Some(token("active")),
        ..Evidence::default()
    }
}

fn agents() -> Agents {
    let doctor = Agent {
        kind: Some(AgentKind::Person),
        roles: items(vec![concept(Coding {
            system: Some(token("urn:oid:2.16.840.1.113883.4.642.1")),
            code: token("physician"),
            display: Some(prose("Physician")),
        })]),
        requestor: Some(true),
        who: Some(Party { display: Some(prose("Dr. J\u{f6}rg Beispiel")), ..party("Practitioner/17") }),
        ..Agent::default()
    };
    let software = Agent {
        kind: Some(AgentKind::Software),
        requestor: Some(false),
        network_address: Some(prose("10.0.0.7")),
        network_kind: Some(token("2")),
        ..Agent::default()
    };
    Agents::new(vec![doctor, software]).expect("because they are two")
}

fn resources() -> Resources {
    let report = Resource {
        what: Some(party("DiagnosticReport/9")),
        class: Some(code(11, "2")),
        labels: items(vec![code(2, "R")]),
        query: Some(Bytes::new(b"subject=Patient/1".to_vec()).expect("because it is short")),
        details: items(vec![Detail {
            name: prose("hash"),
            binary: true,
            value: Bytes::new(vec![0, 255]).expect("because it is short"),
        }]),
        ..Resource::default()
    };
    Resources::new(vec![report]).expect("because it is one")
}

fn access() -> Vec<Vec<u8>> {
    vec![
        stated(Action { kind: Some(ActionKind::Read), letter: Some(token("R")), ..Action::default() }),
        stated(Outcome { kind: Some(OutcomeKind::Served), code: Some(token("0")), description: None }),
        stated(When { recorded: Some(moment("2026-01-15T00:03:30.250Z")), ..When::default() }),
        stated(
            Purposes::new(vec![Purpose { concept: Some(concept(code(1, "TREAT"))), agent: Some(0) }])
                .expect("because it is one"),
        ),
        stated(LegalBasis {
            grounds: items(vec![Concept { codings: List::default(), text: Some(prose("\u{a7} 630f")) }]),
            ..LegalBasis::default()
        }),
        stated(Concepts::new(vec![concept(code(7, "11502-2"))]).expect("because it is one")),
        unknown::<Parties>(Reason::NotStated),
        stated(agents()),
        stated(Relationship {
            kind: Some(RelationshipKind::Encounter),
            evidence: Some(sha256(b"encounter 4")),
        }),
        stated(resources()),
        stated(
            Codings::new(vec![code(2, "N"), Coding { system: None, code: token("local"), display: None }])
                .expect("because they are two"),
        ),
        unknown::<Justification>(Reason::NotApplicable),
        stated(Decision {
            answer: Some(Answer::Permit),
            rules: items(vec![RulePath { item: custos_proof::hash::ItemHash([3; 32]), nested: Some(0) }]),
            policy_version: Some(1),
            ..Decision::default()
        }),
        stated(
            Identifiers::new(vec![Identifier { value: Some(prose("trace-1")), ..Identifier::default() }])
                .expect("because it is one"),
        ),
        stated(Group { count: Some(1), ..Group::default() }),
        stated(Source {
            format: Some(Format::Direct),
            missing: items(vec![token("entity.role")]),
            ..Source::default()
        }),
    ]
}

/// Spoiled values, each with whether it is still one.
pub fn mutations(dice: &mut super::proofs::Dice, count: usize) -> Vec<Json> {
    let all = Values::new();
    let good: Vec<(Kind, u8, Vec<u8>)> = (1u8..)
        .zip(all.access)
        .map(|(field, value)| (Kind::AccessEvent, field, value))
        .chain((1u8..).zip(all.grant).map(|(field, value)| (Kind::RulePut, field, value)))
        .chain([(Kind::TrailOpen, 1, own_trail(2026, Digest([5; 32])))])
        .collect();
    let spoiled = (0..count).map(|_| {
        let (kind, field, value) = &good[dice.below(good.len())];
        let value = super::proofs::spoil(value, dice);
        let valid = sealed_values::view(*kind, *field, &value).is_ok();
        object()
            .with("kind", kind.name())
            .with("field", u64::from(*field))
            .with("value", hex(value))
            .with("valid", valid)
    });
    spoiled.collect()
}

/// `sealed-values.json`.
pub fn document() -> Json {
    let all = Values::new();
    let mut good: Vec<(Kind, u8, Vec<u8>)> = Vec::new();
    good.extend((1u8..).zip(all.access.clone()).map(|(field, value)| (Kind::AccessEvent, field, value)));
    good.extend((1u8..).zip(all.grant.clone()).map(|(field, value)| (Kind::RulePut, field, value)));
    good.extend((1u8..).zip(revocation()).map(|(field, value)| (Kind::RulePut, field, value)));
    good.extend(
        (1u8..)
            .zip(lists_trail("hospital-b", 2026, Digest([5; 32])))
            .map(|(field, value)| (Kind::RulePut, field, value)),
    );
    good.push((Kind::TrailOpen, 1, no_own_trail()));
    good.push((Kind::TrailOpen, 1, own_trail(2026, Digest([5; 32]))));
    good.push((Kind::ParticipantRegister, 1, name("Dr. Erika Mustermann")));
    good.extend((1u8..=16).map(|field| (Kind::AccessEvent, field, unknown::<Action>(Reason::Withheld))));
    let bad: [(&str, Kind, u8, &[u8]); 24] = [
        ("a field that the kind does not have", Kind::AccessEvent, 17, &[0x82, 0x00, 0x01]),
        ("field zero", Kind::AccessEvent, 0, &[0x82, 0x00, 0x01]),
        ("a kind without sealed fields", Kind::KeyRevoke, 1, &[0x82, 0x00, 0x01]),
        ("neither value nor reason", Kind::AccessEvent, 1, &[0x82, 0x02, 0x01]),
        ("a reason that does not exist", Kind::AccessEvent, 1, &[0x82, 0x00, 0x05]),
        ("an action that does not exist", Kind::AccessEvent, 1, &[0x82, 0x01, 0xa1, 0x01, 0x0b]),
        ("a key that the map does not have", Kind::AccessEvent, 1, &[0x82, 0x01, 0xa1, 0x05, 0x01]),
        ("map keys repeated", Kind::AccessEvent, 1, &[0x82, 0x01, 0xa2, 0x01, 0x01, 0x01, 0x01]),
        ("map keys out of order", Kind::AccessEvent, 1, &[0x82, 0x01, 0xa2, 0x04, 0x61, 0x52, 0x01, 0x01]),
        ("an empty list within a map", Kind::AccessEvent, 1, &[0x82, 0x01, 0xa1, 0x03, 0x80]),
        ("an empty list as a value", Kind::AccessEvent, 8, &[0x82, 0x01, 0x80]),
        ("an empty token", Kind::AccessEvent, 1, &[0x82, 0x01, 0xa1, 0x04, 0x60]),
        ("a token with a control character", Kind::AccessEvent, 1, &[0x82, 0x01, 0xa1, 0x04, 0x61, 0x09]),
        (
            "a token with a C1 control character",
            Kind::AccessEvent,
            1,
            &[0x82, 0x01, 0xa1, 0x04, 0x62, 0xc2, 0x85],
        ),
        ("prose as text", Kind::AccessEvent, 2, &[0x82, 0x01, 0xa1, 0x03, 0x61, 0x41]),
        ("empty prose", Kind::AccessEvent, 2, &[0x82, 0x01, 0xa1, 0x03, 0x40]),
        ("prose that is not UTF-8", Kind::AccessEvent, 2, &[0x82, 0x01, 0xa1, 0x03, 0x41, 0xff]),
        ("the 29th of February in 2023", Kind::AccessEvent, 3, b"\x82\x01\xa1\x01\x6a2023-02-29"),
        ("a time without a zone", Kind::AccessEvent, 3, b"\x82\x01\xa1\x01\x732026-01-15T00:00:00"),
        (
            "a label's system spelt out although it has a number",
            Kind::AccessEvent,
            11,
            b"\x82\x01\x81\x82\x70http://loinc.org\x61N",
        ),
        (
            "a code system that has no number",
            Kind::AccessEvent,
            11,
            &[0x82, 0x01, 0x81, 0x82, 0x18, 0x1c, 0x61, 0x4e],
        ),
        ("a coding of one element", Kind::AccessEvent, 11, &[0x82, 0x01, 0x81, 0x81, 0x00]),
        ("a rule body of nothing with something", Kind::RulePut, 2, &[0x82, 0x00, 0xa0]),
        ("bytes after the value", Kind::RulePut, 1, &[0x01, 0x00]),
    ];
    let valid = good.into_iter().map(|(kind, field, value)| {
        assert!(sealed_values::view(kind, field, &value).is_ok(), "{kind:?} {field}");
        object()
            .with("kind", kind.name())
            .with("field", u64::from(field))
            .with("value", hex(value))
            .with("valid", true)
    });
    let refused = bad.iter().map(|(why, kind, field, value)| {
        assert!(sealed_values::view(*kind, *field, value).is_err(), "{why}");
        object()
            .with("kind", kind.name())
            .with("field", u64::from(*field))
            .with("value", hex(value))
            .with("valid", false)
            .with("why", *why)
    });
    object()
        .with("about", "Values inside seals: see sealed-values.md")
        .with("values", list(valid.chain(refused)))
}
