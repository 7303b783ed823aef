//! One entry of a trail as a person would say it.
//!
//! The author is in every sentence: the ledger knows who stated something and when, never whether
//! it happened. What is sealed and not opened is said to be sealed, not guessed.
//!
//! Deliberately absent: languages other than English.

use std::collections::{BTreeMap, BTreeSet};

use custos_proof::cbor::Wire;
use custos_proof::disclosure::Shown;
use custos_proof::hash::short;
use custos_proof::ids::{FAR, ParticipantId, Random16, TimeMs};
use custos_proof::item::Item;
use custos_proof::kinds::access::{Basis, Event, Late};
use custos_proof::kinds::{Fields, rule, trail};
use custos_proof::record::{Finding, Verdict};
use custos_proof::sealed_values::{
    Action, ActionKind, Agent, AgentKind, Agents, Concepts, Describe as _, Group, InnerKind, Moment, Outcome,
    OutcomeKind, Party, Purposes, Resource, Resources, RuleBody, Stated, When,
};
use custos_proof::submission::Author;

use super::life;
use crate::{time, words};

/// What participants call themselves; those that are not known keep their ids.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names(BTreeMap<ParticipantId, String>);

impl Names {
    /// Adds a name.
    pub(crate) fn add(&mut self, id: ParticipantId, name: &str) {
        self.0.insert(id, name.to_owned());
    }

    /// The name, or the id.
    pub(crate) fn of(&self, id: &ParticipantId) -> String {
        self.0.get(id).cloned().unwrap_or_else(|| id.to_string())
    }

    fn author(&self, author: &Author) -> String {
        match author {
            Author::Participant(id) => self.of(id),
            Author::Subject(_) => "the subject".into(),
        }
    }
}

/// To whom it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listener {
    /// The subject: "your consent".
    Subject,
    /// Anybody else: "the subject's consent".
    Other,
}

impl Listener {
    const fn whose(self) -> &'static str {
        match self {
            Listener::Subject => "your",
            Listener::Other => "the subject's",
        }
    }
}

/// Who says something, when it was recorded, and what may be read of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Telling<'a> {
    /// Who spoke.
    pub(crate) author: &'a Author,
    /// When it was recorded.
    pub(crate) recorded: TimeMs,
    /// What was said.
    pub(crate) item: &'a Item,
    /// Its sealed fields, as far as they are opened.
    pub(crate) shown: &'a [Shown],
    /// Names of participants.
    pub(crate) names: &'a Names,
    /// To whom it is said.
    pub(crate) listener: Listener,
}

impl Telling<'_> {
    /// The entry in one sentence, with its time in front.
    pub(crate) fn sentence(&self) -> String {
        let author = self.names.author(self.author);
        let (when, what) = match &self.item.fields {
            Fields::AccessEvent(event) => return self.access(event, &author),
            Fields::RulePut(put) => (None, self.rule(put, &author)),
            Fields::TrailOpen(open) => (None, self.trail_opened(open, &author)),
            Fields::TrailClose(_) => (None, format!("{author} closed this trail: no rule is added any more")),
            Fields::ParticipantRegister(p) => (None, format!("{author} registered {} as {}", p.id, p.roles)),
            Fields::ParticipantUpdate(p) => {
                (None, format!("{author} changed the entry of {} (now {})", p.id, p.roles))
            }
            Fields::ParticipantSuspend(p) => {
                (None, format!("{author} suspended {} (reason: {})", p.id, p.reason))
            }
            Fields::KeyAdd(k) => (None, format!("{author} added a {} key for {}", k.purpose, k.owner)),
            Fields::KeyRotate(k) => (
                None,
                format!(
                    "{author} replaced key {}, both valid for {}",
                    short(&k.old.0),
                    time::span(k.overlap_ms)
                ),
            ),
            Fields::KeyRevoke(k) => {
                (None, format!("{author} revoked key {} (reason: {})", short(&k.key.0), k.reason))
            }
            fields => (
                None,
                life::sentence(fields, &author, self.names).unwrap_or_else(|| self.governance(&author)),
            ),
        };
        format!("{}: {what}", when.unwrap_or_else(|| minute(self.recorded)))
    }

    /// What validators, auditors and institutions record besides subjects' trails.
    fn governance(&self, author: &str) -> String {
        match &self.item.fields {
            Fields::ProposalOpen(f) => {
                let acts: Vec<_> = f.acts.iter().map(|act| act.item().kind().name()).collect();
                format!("{author} proposed {} (proposal {})", acts.join(", "), short(&f.proposal.0))
            }
            Fields::ProposalVote(f) => {
                format!("{author} voted {} on proposal {}", f.vote, short(&f.proposal.0))
            }
            Fields::MisbehaviourReport(f) => format!(
                "{author} reported that the validator with key {} signed two {}s at height {}",
                short(&f.key.0),
                f.vote,
                f.height
            ),
            Fields::RosterCommit(f) => {
                format!(
                    "{author} bound itself to a staff list of {} entries until {}",
                    f.count,
                    minute(f.until)
                )
            }
            Fields::MandateIssue(f) => format!(
                "{author} gave {} a mandate for the trails of {} from {} to {}",
                f.auditor, f.custodian, f.from_year, f.to_year
            ),
            Fields::MandateEnd(f) => {
                format!("{author} ended the mandate of {} for the trails of {}", f.auditor, f.custodian)
            }
            Fields::Notarise(f) => {
                let amount = f.amount.map(|amount| format!(", amount {amount}")).unwrap_or_default();
                format!("{author} notarised a {} with digest {}{amount}", &*f.schema, short(&f.digest.0))
            }
            Fields::FindingRecord(f) => {
                format!("{author} recorded a finding about {} by rule {}", f.institution, &*f.rule)
            }
            Fields::DisputeOpen(f) => {
                format!("{author} opened dispute {} with {}", short(&f.dispute.0), f.institution)
            }
            Fields::DisputeAnswer(f) => format!("{author} answered dispute {}", short(&f.dispute.0)),
            Fields::DisputeResolve(f) => {
                format!("{author} ended dispute {}: {}", short(&f.dispute.0), f.resolution)
            }
            other => format!("{author} recorded {}", other.kind().name()),
        }
    }

    fn access(&self, event: &Event, author: &str) -> String {
        let when = self.opened::<When>(3).and_then(|when| when.start.or(when.recorded));
        let head = match &when {
            Some(moment) => moment_words(moment),
            None => format!("recorded {}", minute(self.recorded)),
        };
        let mut sentence = format!("{head}: {author} states that {} {}", self.actor(event), self.deed());
        if let Some(purposes) = self.opened::<Purposes>(4) {
            let purposes: BTreeSet<String> = purposes
                .iter()
                .filter_map(|purpose| purpose.concept.as_ref())
                .map(words::of_purpose)
                .collect();
            let purposes: Vec<String> = purposes.into_iter().collect();
            sentence.push_str(&format!(", for {}", purposes.join(" and ")));
        }
        sentence.push_str(&format!(", {}", self.basis(event)));
        if let Some(group) =
            self.opened::<Group>(15).filter(|group| group.count.is_some_and(|count| count > 1))
        {
            sentence.push_str(&format!(" ({})", group.describe()));
        }
        match event.late {
            Late::None => {}
            Late::Spooled => sentence.push_str(" (recorded late: it had waited in a spool)"),
            Late::ImportedHistory => sentence.push_str(" (imported from an earlier system)"),
        }
        sentence
    }

    /// Who did it, as the author states it.
    fn actor(&self, event: &Event) -> String {
        let organisation = self.names.of(&event.acting);
        let agents = self.opened::<Agents>(8);
        let person = agents.as_deref().and_then(|agents| {
            let asked = |agent: &&Agent| agent.requestor == Some(true);
            let is_person = |agent: &&Agent| agent.kind == Some(AgentKind::Person);
            agents
                .iter()
                .find(|a| asked(a) && is_person(a))
                .or_else(|| agents.iter().find(is_person))
                .or_else(|| agents.iter().find(asked))
        });
        match person {
            Some(agent) => format!("{} at {organisation}", agent_words(agent)),
            None => format!("somebody at {organisation}"),
        }
    }

    /// What was done to what, and how it ended.
    fn deed(&self) -> String {
        let action = self.opened::<Action>(1);
        let what = self.object();
        let outcome = self.opened::<Outcome>(2).and_then(|outcome| outcome.kind);
        let (past, base) = match action.as_ref().and_then(|action| action.kind) {
            Some(kind) => verb(kind),
            None => ("accessed", "access"),
        };
        match outcome {
            Some(OutcomeKind::Denied) => format!("tried to {base} {what} and was refused"),
            Some(OutcomeKind::Failed) => format!("tried to {base} {what}, which failed"),
            Some(OutcomeKind::Overridden) => format!("{past} {what} against a refusal, as in an emergency"),
            Some(OutcomeKind::Served) => format!("{past} {what}"),
            None if self.is_shown(2) => format!("{past} {what} (outcome not stated)"),
            None if what == SEALED => format!("{past} data (details and outcome sealed)"),
            None => format!("{past} {what} (outcome sealed)"),
        }
    }

    fn object(&self) -> String {
        if let Some(categories) = self.opened::<Concepts>(6) {
            return categories.describe();
        }
        let is_subject =
            |resource: &&Resource| resource.what.as_ref().and_then(Party::resource_type) == Some("Patient");
        if let Some(resources) = self.opened::<Resources>(10) {
            let others: Vec<String> =
                resources.iter().filter(|r| !is_subject(r)).map(resource_words).collect();
            return match (others.len(), resources.len()) {
                (0, 0) => "data".into(),
                (0, _) => format!("{} record", self.listener.whose()),
                _ => others.join(", "),
            };
        }
        if self.is_shown(10) { format!("{} data", self.listener.whose()) } else { SEALED.into() }
    }

    fn basis(&self, event: &Event) -> String {
        let cited =
            event.cited.as_ref().map_or_else(String::new, |cited| format!(" (rule {})", short_rule(cited)));
        match event.basis {
            Basis::Consent => format!("under {} consent{cited}", self.listener.whose()),
            Basis::Law => "on the ground of a law".into(),
            Basis::Permit => format!("under a data permit{}", cited.replace("rule", "permit")),
            Basis::Emergency => format!("in an emergency{}", cited.replace("rule", "declaration")),
            Basis::Subject => match self.listener {
                Listener::Subject => "as you yourself".into(),
                Listener::Other => "as the subject".into(),
            },
            Basis::Unknown => "on a ground that is not stated".into(),
        }
    }

    fn rule(&self, put: &rule::Put, author: &str) -> String {
        let id = short_rule(&put.rule);
        let ends = match put.ends.len() {
            0 => String::new(),
            _ => format!(
                "; it ends {}",
                put.ends.iter().map(|r| format!("rule {}", short_rule(r))).collect::<Vec<_>>().join(", ")
            ),
        };
        let until = if put.expiry == FAR {
            String::new()
        } else {
            format!(", until {} at the latest", &time::words(put.expiry)[..10])
        };
        let inner = self.opened_plain::<InnerKind>(1);
        match (inner, self.opened_plain::<RuleBody>(2)) {
            (Some(InnerKind::ListsTrail), Some(body)) => {
                format!("{author} lists {} (entry {id})", body.describe())
            }
            (Some(inner), Some(RuleBody::Nothing)) => {
                format!(
                    "{author} recorded, as {} will: {inner} (rule {id}){ends}{until}",
                    self.listener.whose()
                )
            }
            (Some(inner), Some(body)) => {
                format!(
                    "{author} recorded, as {} will: {inner}: {} (rule {id}){ends}{until}",
                    self.listener.whose(),
                    body.describe()
                )
            }
            _ => format!("{author} put rule {id}, whose content is sealed{ends}{until}"),
        }
    }

    fn trail_opened(&self, open: &trail::Open, author: &str) -> String {
        match &open.grantee {
            Some(grantee) => format!(
                "{author} opened this trail for accesses by {} in {}",
                self.names.of(grantee),
                open.epoch
            ),
            None => format!("{author} opened this trail, {} own for {}", self.listener.whose(), open.epoch),
        }
    }

    /// A sealed field of testimony, if it is opened and has a value.
    fn opened<T: Wire>(&self, field: u8) -> Option<T> {
        match self.opened_plain::<Stated<T>>(field)? {
            Stated::Value(value) => Some(value),
            Stated::Unknown(_) => None,
        }
    }

    fn opened_plain<T: Wire>(&self, field: u8) -> Option<T> {
        let shown = self.shown.iter().find(|shown| shown.field == field)?;
        T::from_bytes(shown.value.as_deref()?).ok()
    }

    fn is_shown(&self, field: u8) -> bool {
        self.shown.iter().any(|shown| shown.field == field && shown.value.is_some())
    }
}

/// What the validators found, in words; `None` when there is nothing to say beyond "consistent".
pub(crate) fn finding(verdict: &Verdict) -> String {
    let codes: Vec<&str> = verdict.codes.iter().map(|code| code.word()).collect();
    match (verdict.finding, codes.is_empty()) {
        (Finding::Consistent, true) => "consistent with what is on the ledger".into(),
        (Finding::Consistent, false) => {
            format!("consistent with what is on the ledger; noted: {}", codes.join("; "))
        }
        (Finding::Contradicted, _) => format!("CONTRADICTED: {}", codes.join("; ")),
        (Finding::NotEvaluated, true) => "nothing in it could be checked".into(),
        (Finding::NotEvaluated, false) => {
            format!("nothing in it could be checked; noted: {}", codes.join("; "))
        }
    }
}

fn agent_words(agent: &Agent) -> String {
    let role = agent.roles.first().map(|role| role.describe());
    let who = match (&agent.who, &agent.name) {
        (_, Some(name)) => Some(name.describe()),
        (Some(who), None) => Some(who.describe()),
        (None, None) => None,
    };
    match (who, role) {
        (Some(who), Some(role)) => format!("{who} ({role})"),
        (Some(who), None) => who,
        (None, Some(role)) => format!("somebody ({role})"),
        (None, None) => "somebody unnamed".into(),
    }
}

fn resource_words(resource: &Resource) -> String {
    if resource.what.is_none() && resource.name.is_none() && resource.query.is_none() {
        return resource.class.as_ref().map_or_else(|| resource.describe(), |class| class.describe());
    }
    resource.describe()
}

const fn verb(kind: ActionKind) -> (&'static str, &'static str) {
    match kind {
        ActionKind::Read => ("read", "read"),
        ActionKind::Query => ("searched", "search"),
        ActionKind::Create => ("wrote", "write"),
        ActionKind::Update => ("changed", "change"),
        ActionKind::Delete => ("deleted", "delete"),
        ActionKind::Export => ("gave out", "give out"),
        ActionKind::Import => ("took in", "take in"),
        ActionKind::Execute => ("ran an operation on", "run an operation on"),
        ActionKind::StartBreakGlass => ("began emergency access to", "begin emergency access to"),
        ActionKind::StopBreakGlass => ("ended emergency access to", "end emergency access to"),
    }
}

/// What is said of data whose categories and resources are not opened.
const SEALED: &str = "data (details sealed)";

/// The first eight digits of a rule's id.
pub(crate) fn short_rule(rule: &Random16) -> String {
    short(&rule.0)
}

/// `2026-03-12 10:14 UTC`.
fn minute(time: TimeMs) -> String {
    let text = time.to_string();
    format!("{} {} UTC", &text[..10], &text[11..16])
}

/// A stated moment in UTC when it has a time, else as the source spells it.
fn moment_words(moment: &Moment) -> String {
    match u64::try_from(moment.first_ms()) {
        Ok(ms) if moment.has_time() => minute(TimeMs(ms)),
        _ => moment.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use custos_proof::cbor::{List, Set};
    use custos_proof::hash::Digest;
    use custos_proof::ids::{Height, ItemId};
    use custos_proof::kinds::access::Retention;
    use custos_proof::record::{Check, Code};
    use custos_proof::seal::Seal;
    use custos_proof::sealed_values::{Concept, Prose, Purpose, Reason};

    fn event() -> Item {
        Item {
            item_id: ItemId([1; 16]),
            fields: Fields::AccessEvent(Event {
                event: Random16([2; 16]),
                custodian: "hospital-a.example".parse().unwrap(),
                local_id: Some(Digest([3; 32])),
                acting: "hospital-a.example".parse().unwrap(),
                basis: Basis::Consent,
                cited: Some(Random16([0xab; 16])),
                at_height: Height(7),
                late: Late::None,
                retention: Retention::Standard,
                stream: 0,
                sequence: 0,
                seal: Seal { root: Digest([4; 32]), ciphertext: None },
            }),
        }
    }

    fn words(text: &str) -> Concept {
        Concept { codings: List::default(), text: Prose::new(text) }
    }

    fn shown(field: u8, value: Option<Vec<u8>>) -> Shown {
        Shown { field, name: "", value }
    }

    fn tell(item: &Item, shown: &[Shown]) -> String {
        let mut names = Names::default();
        names.add("hospital-a.example".parse().unwrap(), "Example Hospital");
        let author = Author::Participant("hospital-a.example".parse().unwrap());
        let telling = Telling {
            author: &author,
            recorded: TimeMs(0),
            item,
            shown,
            names: &names,
            listener: Listener::Subject,
        };
        telling.sentence()
    }

    #[test]
    fn an_opened_event_reads_as_a_person_would_say_it() {
        let agent = Agent {
            kind: Some(AgentKind::Person),
            requestor: Some(true),
            roles: List::new(vec![words("physician")]).unwrap(),
            ..Agent::default()
        };
        let opened = [
            shown(
                1,
                Some(Stated::Value(Action { kind: Some(ActionKind::Read), ..Action::default() }).to_bytes()),
            ),
            shown(
                2,
                Some(
                    Stated::Value(Outcome { kind: Some(OutcomeKind::Served), ..Outcome::default() })
                        .to_bytes(),
                ),
            ),
            shown(
                3,
                Some(
                    Stated::Value(When {
                        recorded: Moment::new("2026-03-12T11:14:30+01:00"),
                        ..When::default()
                    })
                    .to_bytes(),
                ),
            ),
            shown(
                4,
                Some(
                    Stated::Value(
                        Purposes::new(vec![Purpose { concept: Some(words("treatment")), agent: None }])
                            .unwrap(),
                    )
                    .to_bytes(),
                ),
            ),
            shown(
                6,
                Some(Stated::Value(Concepts::new(vec![words("laboratory results")]).unwrap()).to_bytes()),
            ),
            shown(8, Some(Stated::Value(Agents::new(vec![agent]).unwrap()).to_bytes())),
        ];
        assert_eq!(
            tell(&event(), &opened),
            "2026-03-12 10:14 UTC: Example Hospital states that somebody (physician) at Example Hospital read laboratory results, \
             for treatment, under your consent (rule abababab)"
        );
    }

    #[test]
    fn what_is_sealed_is_not_guessed() {
        let sealed: Vec<Shown> = (1..=16).map(|field| shown(field, None)).collect();
        assert_eq!(
            tell(&event(), &sealed),
            "recorded 1970-01-01 00:00 UTC: Example Hospital states that somebody at Example Hospital accessed data \
             (details and outcome sealed), under your consent (rule abababab)"
        );
    }

    #[test]
    fn what_is_not_stated_is_said_to_be_not_stated() {
        let unknown = Stated::<Outcome>::Unknown(Reason::NotStated).to_bytes();
        assert!(tell(&event(), &[shown(2, Some(unknown))]).contains("outcome not stated"));
    }

    #[test]
    fn garbage_in_an_opening_is_not_fatal() {
        assert!(
            tell(&event(), &[shown(1, Some(vec![0xff])), shown(8, Some(vec![]))]).contains("states that")
        );
    }

    #[test]
    fn a_contradiction_is_loud() {
        let verdict = Verdict {
            checks: Set::new(vec![Check::Rule]).unwrap(),
            finding: Finding::Contradicted,
            codes: Set::new(vec![Code::RuleEnded]).unwrap(),
        };
        assert_eq!(
            finding(&verdict),
            "CONTRADICTED: the cited rule had been ended when the access was decided"
        );
    }
}
