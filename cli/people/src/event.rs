//! One entry of a trail as a person would say it.
//!
//! The author is in every sentence: the ledger knows who stated something and when, never whether
//! it happened. What is sealed and not opened is said to be sealed, not guessed.

use custos_proof::cbor::Wire;
use custos_proof::disclosure::Shown;
use custos_proof::hash::short;
use custos_proof::ids::{FAR, TimeMs};
use custos_proof::item::Item;
use custos_proof::kinds::access::{Basis, Event, Late};
use custos_proof::kinds::{Fields, rule, trail};
use custos_proof::record::{DueRule, Entry, Finding, Record, Verdict};
use custos_proof::registry::{Role, Roles};
use custos_proof::sealed_values::{
    Action, ActionKind, Agent, AgentKind, Agents, Concepts, Group, InnerKind, Outcome, OutcomeKind, Party,
    Purposes, Resource, Resources, RuleBody, Stated, When,
};
use custos_proof::submission::Author;
use custos_proof::verify::{Content, ProvenEntry};

use crate::catalogue::Speaker;
use crate::names::Names;
use crate::rule::Rules;
use crate::value::{self, Say as _};
use crate::{codes, life, say, vocabulary};

/// To whom it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// The subject: "your consent".
    Subject,
    /// Anybody else: "the subject's consent".
    Other,
}

impl Listener {
    /// The word that selects the form in a message.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Listener::Subject => "you",
            Listener::Other => "other",
        }
    }
}

/// With what entries are told: the language, the names, the rules by number, and to whom.
#[derive(Debug, Clone, Copy)]
pub struct Manner<'a> {
    /// The language.
    pub speaker: &'a Speaker,
    /// Names of participants.
    pub names: &'a Names,
    /// The rules of the view.
    pub rules: &'a Rules,
    /// To whom it is said.
    pub listener: Listener,
}

/// Who says something, when it was recorded, and what may be read of it.
#[derive(Debug, Clone, Copy)]
pub struct Telling<'a> {
    /// Who spoke.
    pub author: &'a Author,
    /// When it was recorded.
    pub recorded: TimeMs,
    /// What was said.
    pub item: &'a Item,
    /// Its sealed fields, as far as they are opened.
    pub shown: &'a [Shown],
    /// How it is told.
    pub manner: Manner<'a>,
}

/// A proven entry in one sentence: the item's, or that it is withheld, pruned, or a fact of the chain.
#[must_use]
pub fn entry(entry: &ProvenEntry, shown: &[Shown], manner: Manner<'_>) -> String {
    match &entry.content {
        Content::Item(item) => Telling {
            author: &item.entry.author,
            recorded: item.record.time,
            item: &item.item,
            shown,
            manner,
        }
        .sentence(),
        Content::Withheld(warrant) => withheld(&entry.record, &short(&warrant.0), manner),
        Content::Pruned => without_item(&entry.record, manner),
    }
}

fn withheld(record: &Record, warrant: &str, manner: Manner<'_>) -> String {
    let s = manner.speaker;
    let time = s.minute(record.time);
    say!(s, "entry-withheld", time = time, author = author_of(record, manner), warrant = warrant)
}

fn without_item(record: &Record, manner: Manner<'_>) -> String {
    let s = manner.speaker;
    let time = s.minute(record.time);
    match &record.entry {
        Entry::Due(due) => {
            let what = DueRule::ALL.iter().find(|rule| rule.number() == u64::from(due.rule));
            let what = what.map_or_else(|| say!(s, "due-unknown"), |rule| s.word(*rule));
            say!(s, "entry-due", time = time, what = what, deadline = s.minute(due.deadline))
        }
        Entry::Item(_) => say!(s, "entry-pruned", time = time, author = author_of(record, manner)),
        Entry::Block { .. } => say!(s, "entry-block", time = time),
    }
}

fn author_of(record: &Record, manner: Manner<'_>) -> String {
    match record.as_item() {
        Some(item) => manner.names.author(&item.author, manner.listener, manner.speaker),
        None => say!(manner.speaker, "value-somebody"),
    }
}

impl Telling<'_> {
    /// The entry in one sentence, with its time in front.
    #[must_use]
    pub fn sentence(&self) -> String {
        let s = self.manner.speaker;
        let author = self.manner.names.author(self.author, self.manner.listener, s);
        let name = |id| self.manner.names.of(id, s);
        let what = match &self.item.fields {
            Fields::AccessEvent(event) => return self.access(event, author),
            Fields::RulePut(put) => self.rule(put, author),
            Fields::TrailOpen(open) => self.trail_opened(open, author),
            Fields::TrailClose(_) => say!(s, "did-trail-close", author = author),
            Fields::ParticipantRegister(p) => {
                say!(s, "did-register", author = author, id = p.id.as_str(), roles = roles(p.roles, s))
            }
            Fields::ParticipantUpdate(p) => {
                say!(s, "did-update", author = author, id = p.id.as_str(), roles = roles(p.roles, s))
            }
            Fields::ParticipantSuspend(p) => {
                say!(s, "did-suspend", author = author, name = name(&p.id), reason = s.word(p.reason))
            }
            Fields::KeyAdd(k) => {
                say!(s, "did-key-add", author = author, purpose = s.word(k.purpose), name = name(&k.owner))
            }
            Fields::KeyRotate(k) => {
                say!(s, "did-key-rotate", author = author, key = short(&k.old.0), span = s.span(k.overlap_ms))
            }
            Fields::KeyRevoke(k) => {
                say!(s, "did-key-revoke", author = author, key = short(&k.key.0), reason = s.word(k.reason))
            }
            fields => match life::sentence(fields, &author, self.manner) {
                Some(sentence) => sentence,
                None => self.governance(author),
            },
        };
        say!(s, "entry", time = s.minute(self.recorded), what = what)
    }

    /// What validators, auditors and institutions record besides subjects' trails. Kinds without a sentence of
    /// their own are named.
    fn governance(&self, author: String) -> String {
        let s = self.manner.speaker;
        let name = |id| self.manner.names.of(id, s);
        match &self.item.fields {
            Fields::ProposalOpen(f) => {
                let acts: Vec<String> = f.acts.iter().map(|act| s.word(act.item().kind())).collect();
                say!(s, "did-propose", author = author, acts = s.all_of(&acts), id = short(&f.proposal.0))
            }
            Fields::ProposalVote(f) => {
                say!(s, "did-vote", author = author, choice = s.word(f.vote), id = short(&f.proposal.0))
            }
            Fields::MisbehaviourReport(f) => {
                let (key, height) = (short(&f.key.0), f.height.to_string());
                say!(
                    s,
                    "did-report-misbehaviour",
                    author = author,
                    key = key,
                    vote = s.word(f.vote),
                    height = height
                )
            }
            Fields::RosterCommit(f) => {
                let (count, until) = (f.count.to_string(), s.minute(f.until));
                say!(s, "did-commit-roster", author = author, count = count, until = until)
            }
            Fields::MandateIssue(f) => {
                let (auditor, custodian) = (name(&f.auditor), name(&f.custodian));
                let (from, to) = (f.from_year.to_string(), f.to_year.to_string());
                say!(
                    s,
                    "did-mandate",
                    author = author,
                    auditor = auditor,
                    custodian = custodian,
                    from = from,
                    to = to
                )
            }
            Fields::MandateEnd(f) => {
                let (auditor, custodian) = (name(&f.auditor), name(&f.custodian));
                say!(s, "did-mandate-end", author = author, auditor = auditor, custodian = custodian)
            }
            Fields::Notarise(f) => {
                say!(s, "did-notarise", author = author, schema = &*f.schema, digest = short(&f.digest.0))
            }
            Fields::FindingRecord(f) => {
                say!(s, "did-finding", author = author, name = name(&f.institution), rule = &*f.rule)
            }
            Fields::DisputeOpen(f) => {
                say!(s, "did-dispute", author = author, id = short(&f.dispute.0), name = name(&f.institution))
            }
            Fields::DisputeAnswer(f) => {
                say!(s, "did-dispute-answer", author = author, id = short(&f.dispute.0))
            }
            Fields::DisputeResolve(f) => {
                let resolution = s.word(f.resolution);
                say!(
                    s,
                    "did-dispute-resolve",
                    author = author,
                    id = short(&f.dispute.0),
                    resolution = resolution
                )
            }
            _ => say!(s, "did-kind", author = author, kind = s.word(self.item.kind())),
        }
    }

    fn access(&self, event: &Event, author: String) -> String {
        let s = self.manner.speaker;
        let when = self.opened::<When>(3).and_then(|when| when.start.or(when.recorded));
        let time = match &when {
            Some(moment) => s.moment(moment),
            None => say!(s, "time-recorded", time = s.minute(self.recorded)),
        };
        let told =
            say!(s, "access", time = time, author = author, actor = self.actor(event), deed = self.deed());
        let told = match self.purposes() {
            Some(purposes) => say!(s, "access-purpose", told = told, purposes = purposes),
            None => told,
        };
        let near = when.as_ref().and_then(|m| u64::try_from(m.first_ms()).ok()).map_or(self.recorded, TimeMs);
        let mut told = say!(s, "access-ground", told = told, ground = self.ground(event, near));
        if let Some(group) =
            self.opened::<Group>(15).filter(|group| group.count.is_some_and(|count| count > 1))
        {
            told = say!(s, "access-note", told = told, note = group.say(s, self.manner.names));
        }
        if event.late != Late::None {
            told = say!(s, "access-note", told = told, note = s.word(event.late));
        }
        told
    }

    /// What for, each purpose once; `None` when that is sealed or not stated.
    #[must_use]
    pub fn purposes(&self) -> Option<String> {
        let (s, names) = (self.manner.speaker, self.manner.names);
        let purposes = self.opened::<Purposes>(4)?;
        let mut said: Vec<String> =
            purposes.iter().filter_map(|p| p.concept.as_ref()).map(|concept| concept.say(s, names)).collect();
        said.sort();
        said.dedup();
        (!said.is_empty()).then(|| s.all_of(&said))
    }

    /// Who did it, as the author states it.
    fn actor(&self, event: &Event) -> String {
        let (s, names) = (self.manner.speaker, self.manner.names);
        let is_own = *self.author == Author::Participant(event.acting.clone());
        let organisation = names.of(&event.acting, s);
        let agents = self.opened::<Agents>(8);
        match agents.as_deref().and_then(person).and_then(|agent| agent_words(agent, s, names)) {
            Some(who) if is_own => who,
            Some(who) => say!(s, "actor-at", who = who, organisation = organisation),
            None if is_own => say!(s, "actor-there"),
            None => say!(s, "actor-at", who = say!(s, "value-somebody"), organisation = organisation),
        }
    }

    /// What was done to what, and how it ended.
    fn deed(&self) -> String {
        let s = self.manner.speaker;
        let what = self.object();
        let outcome = self.opened::<Outcome>(2).and_then(|outcome| outcome.kind);
        if outcome.is_none() && !self.is_shown(2) && what.is_none() {
            return say!(s, "deed-sealed");
        }
        let what = what.unwrap_or_else(|| say!(s, "what-sealed"));
        let id = deed_id(self.opened::<Action>(1).and_then(|action| action.kind));
        let said = |id: &str| s.say(id, &[("what", (&what).into())]);
        let (deed, tried) = (said(&id), said(&format!("{id}.tried")));
        match outcome {
            Some(OutcomeKind::Denied) => say!(s, "ended-denied", tried = tried),
            Some(OutcomeKind::Failed) => say!(s, "ended-failed", tried = tried),
            Some(OutcomeKind::Overridden) => say!(s, "ended-overridden", deed = deed),
            Some(OutcomeKind::Served) => deed,
            None if self.is_shown(2) => say!(s, "ended-not-stated", deed = deed),
            None => say!(s, "ended-sealed", deed = deed),
        }
    }

    /// What was accessed; `None` when that is sealed.
    #[must_use]
    pub fn object(&self) -> Option<String> {
        let (s, names, listener) = (self.manner.speaker, self.manner.names, self.manner.listener.word());
        if let Some(categories) = self.opened::<Concepts>(6) {
            return Some(s.all_of(&value::each(&categories, s, names)));
        }
        let is_subject =
            |resource: &&Resource| resource.what.as_ref().and_then(Party::resource_type) == Some("Patient");
        if let Some(resources) = self.opened::<Resources>(10) {
            let others: Vec<String> =
                resources.iter().filter(|r| !is_subject(r)).map(|r| resource_words(r, s, names)).collect();
            return Some(match (others.len(), resources.len()) {
                (0, 0) => say!(s, "what-data"),
                (0, _) => say!(s, "what-record", listener = listener),
                _ => s.all_of(&others),
            });
        }
        self.is_shown(10).then(|| say!(s, "what-data"))
    }

    fn ground(&self, event: &Event, near: TimeMs) -> String {
        let (s, listener) = (self.manner.speaker, self.manner.listener.word());
        let id = event.cited.as_ref().map(crate::rule::short_rule);
        match (event.basis, &event.cited, id) {
            (Basis::Consent, Some(rule), _) => {
                let name = self.manner.rules.name(rule, s);
                match self.manner.rules.date(rule) {
                    Some(date) => {
                        let date = s.day_near(date, near);
                        say!(s, "ground-consent-of", listener = listener, date = date, rule = name)
                    }
                    None => say!(s, "ground-consent-cited", listener = listener, rule = name),
                }
            }
            (Basis::Consent, None, _) => say!(s, "ground-consent", listener = listener),
            (Basis::Permit, _, Some(id)) => say!(s, "ground-permit-cited", id = id),
            (Basis::Permit, _, None) => say!(s, "ground-permit"),
            (Basis::Emergency, _, Some(id)) => say!(s, "ground-emergency-cited", id = id),
            (Basis::Emergency, _, None) => say!(s, "ground-emergency"),
            (Basis::Law, ..) => say!(s, "ground-law"),
            (Basis::Subject, ..) => say!(s, "ground-subject", listener = listener),
            (Basis::Unknown, ..) => say!(s, "ground-unknown"),
        }
    }

    fn rule(&self, put: &rule::Put, author: String) -> String {
        let (s, names, listener) = (self.manner.speaker, self.manner.names, self.manner.listener.word());
        let name = self.manner.rules.name(&put.rule, s);
        let inner = self.opened_plain::<InnerKind>(1);
        let told = match (inner, self.opened_plain::<RuleBody>(2)) {
            (Some(InnerKind::ListsTrail), Some(body)) => {
                return say!(s, "did-list-trail", author = author, trail = body.say(s, names));
            }
            (Some(inner), Some(RuleBody::Nothing)) => {
                say!(s, "did-rule", author = author, listener = listener, kind = s.word(inner), rule = name)
            }
            (Some(inner), Some(body)) => {
                let (kind, body) = (s.word(inner), body.say(s, names));
                say!(
                    s,
                    "did-rule-body",
                    author = author,
                    listener = listener,
                    kind = kind,
                    body = body,
                    rule = name
                )
            }
            _ => say!(s, "did-rule-sealed", author = author, rule = name),
        };
        let ends: Vec<String> = put.ends.iter().map(|rule| self.manner.rules.name(rule, s)).collect();
        let told = match ends.is_empty() {
            true => told,
            false => say!(s, "did-rule-ends", told = told, rules = s.all_of(&ends)),
        };
        match put.expiry {
            FAR => told,
            expiry => say!(s, "did-rule-until", told = told, date = s.day(expiry)),
        }
    }

    fn trail_opened(&self, open: &trail::Open, author: String) -> String {
        let (s, listener) = (self.manner.speaker, self.manner.listener.word());
        let year = open.epoch.to_string();
        match &open.grantee {
            Some(grantee) => {
                let name = self.manner.names.of(grantee, s);
                say!(s, "did-trail-open-for", author = author, name = name, year = year)
            }
            None => say!(s, "did-trail-open", author = author, listener = listener, year = year),
        }
    }

    /// A sealed field of testimony, if it is opened and has a value.
    fn opened<T: Wire>(&self, field: u8) -> Option<T> {
        opened(self.shown, field)
    }

    fn opened_plain<T: Wire>(&self, field: u8) -> Option<T> {
        let shown = self.shown.iter().find(|shown| shown.field == field)?;
        T::from_bytes(shown.value.as_deref()?).ok()
    }

    fn is_shown(&self, field: u8) -> bool {
        is_shown(self.shown, field)
    }
}

/// A sealed field of testimony, if it is opened and has a value.
#[must_use]
pub fn opened<T: Wire>(shown: &[Shown], field: u8) -> Option<T> {
    let shown = shown.iter().find(|shown| shown.field == field)?;
    match Stated::<T>::from_bytes(shown.value.as_deref()?).ok()? {
        Stated::Value(value) => Some(value),
        Stated::Unknown(_) => None,
    }
}

/// Whether a sealed field is opened, with or without a value.
#[must_use]
pub fn is_shown(shown: &[Shown], field: u8) -> bool {
    shown.iter().any(|shown| shown.field == field && shown.value.is_some())
}

/// The agent that acted: who asked for it, if that is a person; else a person; else who asked.
#[must_use]
pub fn person(agents: &[Agent]) -> Option<&Agent> {
    let asked = |agent: &&Agent| agent.requestor == Some(true);
    let is_person = |agent: &&Agent| agent.kind == Some(AgentKind::Person);
    agents
        .iter()
        .find(|a| asked(a) && is_person(a))
        .or_else(|| agents.iter().find(is_person))
        .or_else(|| agents.iter().find(asked))
}

/// "Dr. Adams (physician)", "a physician"; `None` when neither name nor role is stated.
#[must_use]
pub fn agent_words(agent: &Agent, s: &Speaker, names: &Names) -> Option<String> {
    let role = agent.roles.first();
    match (value::agent_name(agent, s, names), role) {
        (Some(who), Some(role)) => {
            Some(say!(s, "value-with-note", words = who, note = value::role_words(role, s, names)))
        }
        (Some(who), None) => Some(who),
        (None, Some(role)) => Some(match codes::of_role(role) {
            Some(id) => s.say(&format!("{id}.one"), &[]),
            None => {
                say!(
                    s,
                    "value-with-note",
                    words = say!(s, "value-somebody"),
                    note = value::role_words(role, s, names)
                )
            }
        }),
        (None, None) => None,
    }
}

/// A resource as the object of a sentence: its type in words, and how the source calls it.
#[must_use]
pub fn resource_words(resource: &Resource, s: &Speaker, names: &Names) -> String {
    let kind = resource.what.as_ref().and_then(Party::resource_type).and_then(codes::of_resource_type);
    let name = resource.what.as_ref().map(|what| what.say(s, names));
    match (kind, name) {
        (Some(kind), Some(name)) => say!(s, "value-with-note", words = s.say(&kind, &[]), note = name),
        _ if resource.what.is_some() || resource.name.is_some() => resource.say(s, names),
        _ if resource.query.is_some() => say!(s, "what-search"),
        _ => resource.class.as_ref().map_or_else(|| resource.say(s, names), |class| class.say(s, names)),
    }
}

/// What the validators found, in words.
#[must_use]
pub fn finding(verdict: &Verdict, s: &Speaker) -> String {
    let codes: Vec<String> = verdict.codes.iter().map(|code| s.word(*code)).collect();
    let codes = s.listed(&codes);
    match (verdict.finding, codes.is_empty()) {
        (Finding::Consistent, true) => say!(s, "found-consistent"),
        (Finding::Consistent, false) => say!(s, "found-consistent-noted", codes = codes),
        (Finding::Contradicted, _) => say!(s, "found-contradicted", codes = codes),
        (Finding::NotEvaluated, true) => say!(s, "found-not-evaluated"),
        (Finding::NotEvaluated, false) => say!(s, "found-not-evaluated-noted", codes = codes),
    }
}

/// A set of roles in the registry.
fn roles(roles: Roles, s: &Speaker) -> String {
    let words: Vec<String> =
        Role::ALL.into_iter().filter(|role| roles.has(*role)).map(|role| s.word(role)).collect();
    s.all_of(&words)
}

/// The message that says an action as a deed: `deed-read`.
fn deed_id(kind: Option<ActionKind>) -> String {
    kind.map_or_else(|| "deed-unnamed".to_owned(), |kind| vocabulary::id(kind).replacen("action", "deed", 1))
}

/// The messages of deeds, which are put together from the actions' names.
#[must_use]
pub fn messages() -> Vec<String> {
    let kinds = ActionKind::ALL.iter().copied().map(Some).chain([None]);
    kinds.map(deed_id).flat_map(|id| [format!("{id}.tried"), id]).collect()
}
