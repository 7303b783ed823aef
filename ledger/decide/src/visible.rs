//! The reverse question: who can see this data of this subject, what for, and why.
//!
//! The rules name actors; so the question is asked for each of them, for clinicians and staff whom
//! no rule names, for representatives, for the holders of permits, for the members of the custodian's roster where it is
//! at hand, and for the subject, for each purpose that a rule names or that people commonly ask about. Every row is
//! an answer of [`crate::decide`], never a reading of the rules of its own.
//!
//! Deliberately absent: staff that no roster at hand lists. Whether they are eligible (R1) is asked when they ask.

use std::collections::BTreeMap;

use custos_proof::ids::{ParticipantId, Random16};
use custos_proof::sealed_values::{
    ActionKind, Actor, Answer as Outcome, Coding, Concept, Party, RelationshipKind, RosterEntry, Token,
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
    /// Somebody on the custodian's committed roster.
    OnRoster(Party),
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
/// Care relationships are taken as given, and whoever is not on `staff` as listed; a row therefore says what the
/// subject's rules, the permits and the policy allow. `staff` are the entries of the custodian's committed
/// roster, each asked with the groups, roles and purposes that it has.
#[must_use]
pub fn who_can_see(
    facts: &Facts<'_>,
    custodian: &ParticipantId,
    item: &Item,
    action: ActionKind,
    staff: &[RosterEntry],
) -> Vec<Row> {
    let mut facts = facts.clone();
    let purposes = purposes(&facts);
    let mut rows = Vec::new();
    for Somebody { who, actor, permit, roster } in people(&facts, custodian, staff) {
        facts.eligibility = Eligibility { key_is_valid: true, participant_is_active: true, roster };
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
    for code in facts.permits.iter().flat_map(|permit| permit.purposes.iter().map(|(code, _)| code)) {
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
            Content::Sealed | Content::Delegation(_) | Content::Other(_) => Vec::new(),
        }
    })
}

/// Somebody about whom is asked.
struct Somebody {
    who: Who,
    actor: ActorSet,
    permit: Option<Random16>,
    roster: Roster,
}

fn people(facts: &Facts<'_>, custodian: &ParticipantId, staff: &[RosterEntry]) -> Vec<Somebody> {
    let somebody = |who, standing, members: Vec<Party>, roles: Vec<Concept>| Somebody {
        who,
        actor: ActorSet { standing, participant: custodian.clone(), members, roles },
        permit: None,
        roster: Roster::Listed { purposes: Vec::new(), roles: Vec::new() },
    };
    let mut people = vec![
        somebody(Who::Subject, Standing::Subject, Vec::new(), Vec::new()),
        somebody(Who::AnyClinician, Standing::Clinician, Vec::new(), Vec::new()),
        somebody(Who::AnyStaff, Standing::Staff, Vec::new(), Vec::new()),
    ];
    let mut named: Vec<&Actor> = Vec::new();
    for actor in provisions(facts).flat_map(|provision| provision.actors.iter()) {
        if !named.contains(&actor) {
            named.push(actor);
        }
    }
    for one in named {
        match (&one.who, &one.role) {
            (Some(who), _) if !people.iter().any(|known| known.who == Who::Named(who.clone())) => {
                let members = vec![who.clone()];
                people.push(somebody(Who::Named(who.clone()), Standing::Clinician, members, Vec::new()));
            }
            (None, Some(role)) => {
                let roles = vec![role.clone()];
                people.push(somebody(Who::InRole(role.clone()), Standing::Clinician, Vec::new(), roles));
            }
            _ => {}
        }
    }
    for entry in staff {
        let is_clinician =
            matches!(entry.person.resource_type(), None | Some("Practitioner" | "PractitionerRole"));
        let standing = if is_clinician { Standing::Clinician } else { Standing::Staff };
        let members = std::iter::once(&entry.person).chain(entry.groups.iter()).cloned().collect();
        people.push(Somebody {
            roster: Roster::Listed { purposes: entry.purposes.to_vec(), roles: entry.roles.to_vec() },
            ..somebody(Who::OnRoster(entry.person.clone()), standing, members, entry.roles.to_vec())
        });
    }
    for who in &facts.representatives {
        let known = Who::Representative(who.party.clone());
        if !people.iter().any(|one| one.who == known) {
            people.push(somebody(known, Standing::Representative, vec![who.party.clone()], Vec::new()));
        }
    }
    for permit in &facts.permits {
        let user = somebody(Who::DataUser(permit.user.clone()), Standing::DataUser, Vec::new(), Vec::new());
        people.push(Somebody {
            actor: ActorSet { participant: permit.user.clone(), ..user.actor },
            permit: Some(permit.id),
            ..user
        });
    }
    people
}
