//! The reverse question: who can see this data of this subject, what for, and why.
//!
//! The rules name actors; so the question is asked for each of them, for clinicians and staff whom
//! no rule names, for representatives, for the holders of permits and for the subject, for each purpose that
//! a rule names or that people commonly ask about. Every row is an answer of [`crate::decide`], never a reading
//! of the rules of its own.
//!
//! Deliberately absent: rosters. Whether somebody is eligible at all (R1) is asked when they ask.

use std::collections::BTreeMap;

use custos_proof::ids::ParticipantId;
use custos_proof::sealed_values::{
    ActionKind, Actor, Answer as Outcome, Coding, Concept, Party, RelationshipKind, Token,
};

use crate::answer::ItemAnswer;
use crate::facts::{Content, Eligibility, Facts, Roster};
use crate::request::{ActorSet, Emergency, Item, Request, Scope, Standing};
use crate::terminology::{ACT_REASON, EHDS};

/// Purposes that are asked about besides those that rules name.
const COMMON: [(&str, &str); 6] = [
    (ACT_REASON, "TREAT"),
    (ACT_REASON, "HPAYMT"),
    (ACT_REASON, "HOPERAT"),
    (ACT_REASON, "HRESCH"),
    (ACT_REASON, "PATRQT"),
    (ACT_REASON, "BTG"),
];

/// Who a row is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// The subject.
    Subject,
    /// Any clinician whom no rule names.
    AnyClinician,
    /// Any other staff whom no rule names.
    AnyStaff,
    /// Somebody that a rule names.
    Named(Party),
    /// Whoever has a role that a rule names.
    InRole(Concept),
    /// Somebody who may act for the subject.
    Representative(Party),
    /// The holder of a permit.
    DataUser(ParticipantId),
}

/// One row: somebody, a purpose, and the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Who.
    pub who: Who,
    /// What for.
    pub purpose: Coding,
    /// The answer, with its reasons.
    pub answer: ItemAnswer,
}

/// Who can do `action` with `item`, at the height of the facts: every row whose answer is not a denial.
///
/// Care relationships are taken as given and rosters as listing; a row therefore says what the
/// subject's rules, the permits and the policy allow.
#[must_use]
pub fn who_can_see(
    facts: &Facts<'_>,
    custodian: &ParticipantId,
    item: &Item,
    action: ActionKind,
) -> Vec<Row> {
    let mut facts = facts.clone();
    facts.eligibility = Eligibility {
        key_is_valid: true,
        participant_is_active: true,
        roster: Roster::Listed { purposes: Vec::new() },
    };
    let purposes = purposes(&facts);
    let mut rows = Vec::new();
    for (who, actor, permit) in people(&facts, custodian) {
        for purpose in &purposes {
            let is_emergency = facts.terminology.code_reaches("ETREAT", purpose);
            let request = Request {
                custodian: custodian.clone(),
                actor: actor.clone(),
                purpose: purpose.clone(),
                action,
                emergency: is_emergency.then_some(Emergency {
                    declared_ms: facts.time.0,
                    is_justified: false,
                    is_attested: false,
                }),
                relationship: Some(RelationshipKind::Team),
                permit,
                scope: Scope::Items(vec![item.clone()]),
            };
            let mut answer = crate::decide(&facts, &request);
            if answer.outcome != Outcome::Deny {
                rows.extend(answer.items.pop().map(|answer| Row {
                    who: who.clone(),
                    purpose: purpose.clone(),
                    answer,
                }));
            }
        }
    }
    rows
}

/// Every purpose that a rule or permit names, and the common ones; by system and code.
fn purposes(facts: &Facts<'_>) -> Vec<Coding> {
    let mut found: BTreeMap<(Option<Token>, Token), Coding> = BTreeMap::new();
    let mut add = |coding: &Coding| {
        found
            .insert((coding.system.clone(), coding.code.clone()), Coding { display: None, ..coding.clone() });
    };
    for (system, code) in COMMON {
        if let Some(code) = Token::new(code) {
            add(&Coding { system: Token::new(system), code, display: None });
        }
    }
    for code in facts.permits.iter().flat_map(|permit| permit.purposes.iter()) {
        if let Some(code) = Token::new(code) {
            add(&Coding { system: Token::new(EHDS), code, display: None });
        }
    }
    for provision in provisions(facts) {
        provision.purposes.iter().for_each(&mut add);
    }
    found.into_values().collect()
}

fn provisions<'a>(facts: &'a Facts<'_>) -> impl Iterator<Item = &'a custos_proof::sealed_values::Provision> {
    facts.rules.iter().filter(|listed| listed.is_in_force(facts.height, facts.time)).flat_map(|listed| {
        match &listed.content {
            Content::Rule(judged) => {
                judged.rule.root.iter().chain(judged.rule.nested.iter()).collect::<Vec<_>>()
            }
            Content::Sealed | Content::Other(_) => Vec::new(),
        }
    })
}

fn people(
    facts: &Facts<'_>,
    custodian: &ParticipantId,
) -> Vec<(Who, ActorSet, Option<custos_proof::ids::Random16>)> {
    let actor = |standing, members: Vec<Party>, roles: Vec<Concept>| ActorSet {
        standing,
        participant: custodian.clone(),
        members,
        roles,
    };
    let mut people = vec![
        (Who::Subject, actor(Standing::Subject, Vec::new(), Vec::new()), None),
        (Who::AnyClinician, actor(Standing::Clinician, Vec::new(), Vec::new()), None),
        (Who::AnyStaff, actor(Standing::Staff, Vec::new(), Vec::new()), None),
    ];
    let mut named: Vec<&Actor> = Vec::new();
    for actor in provisions(facts).flat_map(|provision| provision.actors.iter()) {
        if !named.contains(&actor) {
            named.push(actor);
        }
    }
    for one in named {
        match (&one.who, &one.role) {
            (Some(who), _) if !people.iter().any(|(known, ..)| *known == Who::Named(who.clone())) => {
                people.push((
                    Who::Named(who.clone()),
                    actor(Standing::Clinician, vec![who.clone()], Vec::new()),
                    None,
                ));
            }
            (None, Some(role)) => {
                people.push((
                    Who::InRole(role.clone()),
                    actor(Standing::Clinician, Vec::new(), vec![role.clone()]),
                    None,
                ));
            }
            _ => {}
        }
    }
    for who in &facts.representatives {
        let set = actor(Standing::Representative, vec![who.party.clone()], Vec::new());
        people.push((Who::Representative(who.party.clone()), set, None));
    }
    for permit in &facts.permits {
        let set = ActorSet {
            participant: permit.user.clone(),
            ..actor(Standing::DataUser, Vec::new(), Vec::new())
        };
        people.push((Who::DataUser(permit.user.clone()), set, Some(permit.id)));
    }
    people
}
