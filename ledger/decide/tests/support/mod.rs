//! A small language for tests: rules and requests in one line each, so that tables read like the procedure.
//!
//! A rule is its root and, after ` / `, its nested rules. Words of a provision:
//! `permit` `deny` `for:TREAT,HPAYMT` `to:Practitioner/a` `role:GUARD` `do:access` `label:N,PSY`
//! `class:14-1-e` `code:718-7` `valid:2022..2023-05` `dated:2022..2022-06` `instance:Observation/1`
//! `related:Encounter/1` `dependents:Encounter/1` `authoredby:Practitioner/a`.

#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)]

use custos_decide::answer::Answer;
use custos_decide::facts::{Content, Eligibility, Facts, ListedRule, Permit, Representative, Roster};
use custos_decide::request::{ActorSet, Emergency, Item, Request, Scope, Standing};
use custos_decide::terminology::{ACT_CODE, ACT_REASON, CONFIDENTIALITY, EHDS, Terminology};
use custos_proof::cbor::List;
use custos_proof::hash::ItemHash;
use custos_proof::ids::{FAR, Height, LogIndex, ParticipantId, Random16, TimeMs};
use custos_proof::policy::{Assurance, DecisionPolicy};
use custos_proof::sealed_values::{
    ActionKind, Actor, Coding, Concept, DataReference, Effect, InnerKind, Meaning, Moment, Party, Provision,
    RelationshipKind, Rule, Span, Token,
};

pub const CONSENT_ACTION: &str = "http://terminology.hl7.org/CodeSystem/consentaction";
pub const ROLE_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-RoleCode";
pub const OPT_OUT: &str = "urn:custos:opt-out";

pub fn coding(system: &str, code: &str) -> Coding {
    Coding { system: Token::new(system), code: Token::new(code).unwrap(), display: None }
}

pub fn concept(system: &str, code: &str) -> Concept {
    Concept { codings: List::new(vec![coding(system, code)]).unwrap(), text: None }
}

pub fn party(address: &str) -> Party {
    Party { reference: Token::new(address), ..Party::default() }
}

pub fn participant(id: &str) -> ParticipantId {
    id.parse().unwrap()
}

pub fn ms(moment: &str) -> u64 {
    u64::try_from(Moment::new(moment).unwrap().first_ms()).unwrap()
}

/// A code in the system that has it: the four of the terminology, else an example's.
pub fn any_code(code: &str) -> Coding {
    let terminology = Terminology::shipped();
    coding(terminology.system_of(code).unwrap_or("http://example.org/codes"), code)
}

fn list<T, const MAX: usize>(values: Vec<T>) -> List<T, MAX> {
    List::new(values).unwrap()
}

fn span(text: &str) -> Span {
    let (start, end) = text.split_once("..").unwrap();
    Span { start: Moment::new(start), end: Moment::new(end) }
}

pub fn provision(text: &str) -> Provision {
    let mut provision = Provision::default();
    for word in text.split_whitespace() {
        let (name, value) = word.split_once(':').unwrap_or((word, ""));
        let values = || value.split(',');
        let data = |meaning| list(values().map(|v| DataReference { meaning, what: party(v) }).collect());
        match name {
            "permit" => provision.effect = Some(Effect::Permit),
            "deny" => provision.effect = Some(Effect::Deny),
            "opposite" => {}
            "for" => provision.purposes = list(values().map(any_code).collect()),
            "to" => {
                provision.actors =
                    list(values().map(|v| Actor { role: None, who: Some(party(v)) }).collect());
            }
            "role" => {
                provision.actors =
                    list(values().map(|v| Actor { role: Some(concept(ROLE_CODE, v)), who: None }).collect());
            }
            "do" => provision.actions = list(values().map(|v| concept(CONSENT_ACTION, v)).collect()),
            "label" => provision.labels = list(values().map(any_code).collect()),
            "class" => provision.classes = list(values().map(any_code).collect()),
            "code" => {
                provision.codes = list(values().map(|v| concept("http://loinc.org", v)).collect());
            }
            "valid" => provision.period = Some(span(value)),
            "dated" => provision.data_period = Some(span(value)),
            "instance" => provision.data = data(Meaning::Instance),
            "related" => provision.data = data(Meaning::Related),
            "dependents" => provision.data = data(Meaning::Dependents),
            "authoredby" => provision.data = data(Meaning::AuthoredBy),
            other => panic!("no such word of a rule: {other}"),
        }
    }
    provision
}

pub fn rule(text: &str) -> Rule {
    let mut parts = text.split(" / ");
    Rule {
        root: parts.next().map(provision),
        nested: list(parts.map(provision).collect()),
        ..Rule::default()
    }
}

pub fn opt_out(kind: &str) -> Rule {
    Rule { categories: list(vec![concept(OPT_OUT, kind)]), ..rule("deny") }
}

/// What the ledger says, to be changed by each test.
pub struct Scene {
    pub policy: DecisionPolicy,
    pub rules: Vec<ListedRule>,
    pub permits: Vec<Permit>,
    pub representatives: Vec<Representative>,
    pub eligibility: Eligibility,
    pub height: Height,
    pub time: TimeMs,
    pub missing_trails: usize,
    pub jurisdiction: &'static str,
}

impl Default for Scene {
    /// Noon of 1 July 2026 at height 1000; nothing but the first policy, and a practitioner on the roster.
    fn default() -> Self {
        Self {
            policy: DecisionPolicy { treat_requires_relationship: false, ..DecisionPolicy::initial() },
            rules: Vec::new(),
            permits: Vec::new(),
            representatives: Vec::new(),
            eligibility: Eligibility {
                key_is_valid: true,
                participant_is_active: true,
                roster: Roster::Listed { purposes: Vec::new(), roles: Vec::new() },
            },
            height: Height(1000),
            time: TimeMs(ms("2026-07-01T12:00:00Z")),
            missing_trails: 0,
            jurisdiction: "DE",
        }
    }
}

impl Scene {
    /// A rule of the subject, recorded after those before it, at heights 10, 20, ...
    pub fn says(mut self, text: &str) -> Self {
        let inner = if text.starts_with("permit") { InnerKind::Grant } else { InnerKind::Restriction };
        self.put(inner, rule(text));
        self
    }

    pub fn says_all<'a>(self, texts: impl IntoIterator<Item = &'a str>) -> Self {
        texts.into_iter().fold(self, Self::says)
    }

    pub fn opts_out(mut self, kind: &str) -> Self {
        self.put(InnerKind::OptOut, opt_out(kind));
        self
    }

    pub fn put(&mut self, inner: InnerKind, rule: Rule) -> &mut ListedRule {
        let content = Content::rule(inner, rule, Terminology::shipped());
        self.list(content)
    }

    pub fn list(&mut self, content: Content) -> &mut ListedRule {
        let number = self.rules.len() as u64 + 1;
        self.rules.push(ListedRule {
            rule: Random16([number as u8; 16]),
            version: 1,
            item: ItemHash([number as u8; 32]),
            position: LogIndex(number * 100),
            put: Height(number * 10),
            expiry: FAR,
            ended: None,
            assurance: Assurance::CustodianAttested,
            author_was_valid: true,
            content,
        });
        self.rules.last_mut().unwrap()
    }

    /// Changes the rule put last.
    pub fn last(mut self, change: impl FnOnce(&mut ListedRule)) -> Self {
        change(self.rules.last_mut().unwrap());
        self
    }

    pub fn policy(mut self, change: impl FnOnce(&mut DecisionPolicy)) -> Self {
        change(&mut self.policy);
        self
    }

    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub fn at(mut self, moment: &str) -> Self {
        self.time = TimeMs(ms(moment));
        self
    }

    pub fn facts(&self) -> Facts<'_> {
        Facts {
            height: self.height,
            time: self.time,
            policy_version: 1,
            policy: &self.policy,
            terminology: Terminology::shipped(),
            jurisdiction: self.jurisdiction.into(),
            base: "https://a.example/fhir".into(),
            eligibility: self.eligibility.clone(),
            rules: self.rules.clone(),
            missing_trails: self.missing_trails,
            representatives: self.representatives.clone(),
            permits: self.permits.clone(),
        }
    }

    pub fn decide(&self, request: &Request) -> Answer {
        custos_decide::decide(&self.facts(), request)
    }

    /// `permit: rule-permits`, for the first item.
    pub fn answer(&self, request: &Request) -> String {
        let answer = self.decide(request);
        let item = &answer.items[0];
        format!("{}: {}", item.outcome, item.ground.word())
    }

    /// What the answer rests on: `1`, or `2.0` for the first nested rule of rule 2.
    pub fn basis(&self, request: &Request) -> String {
        let of = |r: &custos_decide::answer::RuleReference| match r.nested {
            None => r.rule.0[0].to_string(),
            Some(nested) => format!("{}.{nested}", r.rule.0[0]),
        };
        self.decide(request).items[0].basis.iter().map(of).collect::<Vec<_>>().join(" ")
    }
}

/// A clinician of hospital A, on one item that is graded normal, unless the words say otherwise. Words:
/// `by:Practitioner/a,Organization/o` `role:GUARD` `as:subject` `from:hospital-b.example` `do:export`
/// `item:Observation/1` `label:R,PSY` `class:14-1-e` `code:718-7` `dated:2022-05` `author:Practitioner/a`
/// `nobody` (no author) `related:Encounter/1` `depends:Encounter/1` `origin:hospital-a.example` `emergency`
/// `attested` `justified` `encounter` `permit:7` `unscoped`.
pub fn ask(text: &str) -> Request {
    let mut words = text.split_whitespace();
    let purpose = any_code(words.next().unwrap());
    let mut item = Item {
        id: "Observation/1".into(),
        authors: Some(vec![party("Practitioner/author")]),
        date: Moment::new("2026-03-05"),
        ..Item::default()
    };
    let mut request = Request {
        custodian: participant("hospital-a.example"),
        actor: ActorSet {
            standing: Standing::Clinician,
            participant: participant("hospital-a.example"),
            members: vec![party("Practitioner/a"), party("Organization/a")],
            roles: Vec::new(),
        },
        purpose,
        action: ActionKind::Read,
        emergency: None,
        relationship: None,
        permit: None,
        scope: Scope::Unscoped,
    };
    let mut unscoped = false;
    for word in words {
        let (name, value) = word.split_once(':').unwrap_or((word, ""));
        let parties = || value.split(',').map(party).collect::<Vec<_>>();
        let codes = || value.split(',').map(any_code).collect::<Vec<_>>();
        let mut emergency = request.emergency.unwrap_or(Emergency {
            declared_ms: ms("2026-07-01T11:50:00Z"),
            is_justified: false,
            is_attested: false,
        });
        match name {
            "by" => request.actor.members = parties(),
            "role" => request.actor.roles = value.split(',').map(|v| concept(ROLE_CODE, v)).collect(),
            "as" => request.actor.standing = Standing::from_word(value).unwrap(),
            "from" => request.actor.participant = participant(value),
            "do" => request.action = ActionKind::from_word(value).unwrap(),
            "item" => item.id = value.into(),
            "label" => item.labels = codes(),
            "class" => item.categories = codes(),
            "code" => item.codes = value.split(',').map(|v| coding("http://loinc.org", v)).collect(),
            "dated" => item.date = Moment::new(value),
            "author" => item.authors = Some(parties()),
            "nobody" => item.authors = None,
            "related" => item.related = parties(),
            "depends" => item.depends_on = parties(),
            "origin" => item.origin = Some(participant(value)),
            "emergency" => request.emergency = Some(emergency),
            "attested" => {
                emergency.is_attested = true;
                request.emergency = Some(emergency);
            }
            "justified" => {
                emergency.is_justified = true;
                request.emergency = Some(emergency);
            }
            "encounter" => request.relationship = Some(RelationshipKind::Encounter),
            "permit" => request.permit = Some(Random16([value.parse().unwrap(); 16])),
            "unscoped" => unscoped = true,
            other => panic!("no such word of a request: {other}"),
        }
    }
    if !unscoped {
        request.scope = Scope::Items(vec![item]);
    }
    request
}

pub const SYSTEMS: [&str; 4] = [ACT_REASON, CONFIDENTIALITY, ACT_CODE, EHDS];
