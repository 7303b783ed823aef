//! What stands inside sealed fields, said in the reader's language.
//!
//! The values are those of `custos_proof::sealed_values`, which says them in plain English only for
//! programs that have no catalogue. Names, titles and free words stay as the source wrote them:
//! nothing a person wrote is translated.

use custos_proof::cbor::Wire;
use custos_proof::kinds::Kind;
use custos_proof::sealed_values::{
    self, Action, Actor, Agent, Agents, Coding, Codings, Concept, Concepts, DataReference, Decision,
    Delegation, Describe, Evidence, Group, Identifier, Identifiers, InnerKind, Justification, LegalBasis,
    ListedTrail, Meaning, Moment, Outcome, OwnTrail, Parties, Party, Prose, Provision, Purpose, Purposes,
    Relationship, Resource, Resources, Rule, RuleBody, Source, Span, Stated, When,
};

use crate::catalogue::Speaker;
use crate::clean::clean;
use crate::names::Names;
use crate::{codes, say};

/// What a sealed field says; why it cannot be read, when it cannot.
#[must_use]
pub fn field(kind: Kind, field: u8, value: &[u8], speaker: &Speaker, names: &Names) -> String {
    fn read<T: Wire + Say>(value: &[u8], speaker: &Speaker, names: &Names) -> Option<String> {
        T::from_bytes(value).ok().map(|value| value.say(speaker, names))
    }
    let said = match (kind, field) {
        (Kind::AccessEvent, 1) => read::<Stated<Action>>(value, speaker, names),
        (Kind::AccessEvent, 2) => read::<Stated<Outcome>>(value, speaker, names),
        (Kind::AccessEvent, 3) => read::<Stated<When>>(value, speaker, names),
        (Kind::AccessEvent, 4) => read::<Stated<Purposes>>(value, speaker, names),
        (Kind::AccessEvent, 5) => read::<Stated<LegalBasis>>(value, speaker, names),
        (Kind::AccessEvent, 6) => read::<Stated<Concepts>>(value, speaker, names),
        (Kind::AccessEvent, 7) => read::<Stated<Parties>>(value, speaker, names),
        (Kind::AccessEvent, 8) => read::<Stated<Agents>>(value, speaker, names),
        (Kind::AccessEvent, 9) => read::<Stated<Relationship>>(value, speaker, names),
        (Kind::AccessEvent, 10) => read::<Stated<Resources>>(value, speaker, names),
        (Kind::AccessEvent, 11) => read::<Stated<Codings>>(value, speaker, names),
        (Kind::AccessEvent, 12) => read::<Stated<Justification>>(value, speaker, names),
        (Kind::AccessEvent, 13) => read::<Stated<Decision>>(value, speaker, names),
        (Kind::AccessEvent, 14) => read::<Stated<Identifiers>>(value, speaker, names),
        (Kind::AccessEvent, 15) => read::<Stated<Group>>(value, speaker, names),
        (Kind::AccessEvent, 16) => read::<Stated<Source>>(value, speaker, names),
        (Kind::RulePut, 1) => read::<InnerKind>(value, speaker, names),
        (Kind::RulePut, 2) => read::<RuleBody>(value, speaker, names),
        (Kind::RulePut, 3) => read::<Evidence>(value, speaker, names),
        (Kind::TrailOpen, 1) => read::<Option<OwnTrail>>(value, speaker, names),
        // Kinds whose values have no messages of their own yet are said by the formats, in English.
        _ => sealed_values::describe(kind, field, value).ok(),
    };
    let said = said.unwrap_or_else(|| say!(speaker, "value-unreadable"));
    clean(&said).into_owned()
}

/// A value as part of a sentence.
pub trait Say {
    /// The words.
    fn say(&self, s: &Speaker, names: &Names) -> String;
}

/// Each of a list, said.
pub fn each<T: Say>(values: &[T], s: &Speaker, names: &Names) -> Vec<String> {
    values.iter().map(|value| value.say(s, names)).collect()
}

/// Words, and notes behind them if there are any.
fn noted(words: String, notes: &[String], s: &Speaker) -> String {
    match notes.is_empty() {
        true => words,
        false => say!(s, "value-with-note", words = words, note = s.listed(notes)),
    }
}

impl<T: Say> Say for Stated<T> {
    fn say(&self, s: &Speaker, names: &Names) -> String {
        match self {
            Stated::Value(value) => value.say(s, names),
            Stated::Unknown(reason) => say!(s, "value-unknown", reason = s.word(*reason)),
        }
    }
}

impl Say for Action {
    fn say(&self, s: &Speaker, names: &Names) -> String {
        let kind = self.kind.map_or_else(|| say!(s, "value-unnamed"), |kind| s.word(kind));
        let mut details: Vec<String> =
            self.class.iter().chain(self.subtypes.iter()).map(|coding| coding.say(s, names)).collect();
        details.dedup();
        noted(kind, &details, s)
    }
}

impl Say for Outcome {
    fn say(&self, s: &Speaker, _: &Names) -> String {
        let kind = self.kind.map_or_else(|| say!(s, "value-unnamed"), |kind| s.word(kind));
        let words: Vec<String> =
            self.description.iter().map(|words| say!(s, "value-quoted", words = &**words)).collect();
        noted(kind, &words, s)
    }
}

impl Say for When {
    fn say(&self, s: &Speaker, _: &Names) -> String {
        let start = self.start.as_ref().map(|m| say!(s, "when-from", time = s.moment(m)));
        let end = self.end.as_ref().map(|m| say!(s, "when-until", time = s.moment(m)));
        let recorded = self.recorded.as_ref().map(|m| say!(s, "when-recorded", time = s.moment(m)));
        let all: Vec<String> = [start, end, recorded].into_iter().flatten().collect();
        if all.is_empty() { say!(s, "value-unnamed") } else { s.listed(&all) }
    }
}

impl Say for Purpose {
    fn say(&self, s: &Speaker, names: &Names) -> String {
        self.concept.as_ref().map_or_else(|| say!(s, "value-unnamed"), |concept| concept.say(s, names))
    }
}

macro_rules! lists {
    ($($type:ty),*) => {$(
        impl Say for $type {
            fn say(&self, s: &Speaker, names: &Names) -> String {
                s.listed(&each(self, s, names))
            }
        }
    )*};
}
lists!(Purposes, Concepts, Parties, Agents, Resources, Codings, Identifiers);

impl Say for LegalBasis {
    fn say(&self, s: &Speaker, names: &Names) -> String {
        let consents = self.consents.iter().map(|party| say!(s, "value-consent", name = party.say(s, names)));
        let all: Vec<String> = each(&self.grounds, s, names).into_iter().chain(consents).collect();
        s.listed(&all)
    }
}

impl Say for Agent {
    fn say(&self, s: &Speaker, names: &Names) -> String {
        let mut notes: Vec<String> = self.kind.iter().map(|kind| s.word(*kind)).collect();
        notes.extend(self.part.as_ref().map(|part| part.say(s, names)));
        notes.extend(self.roles.iter().map(|role| role_words(role, s, names)));
        notes.extend(
            self.on_behalf_of.as_ref().map(|party| say!(s, "value-on-behalf", name = party.say(s, names))),
        );
        if self.requestor == Some(true) {
            notes.push(say!(s, "value-requestor"));
        }
        noted(agent_name(self, s, names).unwrap_or_else(|| say!(s, "value-somebody")), &notes, s)
    }
}

/// The name of an agent, if the source gives one.
pub fn agent_name(agent: &Agent, s: &Speaker, names: &Names) -> Option<String> {
    agent
        .name
        .as_ref()
        .map(|name| (**name).to_owned())
        .or_else(|| agent.who.as_ref().map(|who| who.say(s, names)))
}

/// A role: "physician".
pub fn role_words(role: &Concept, s: &Speaker, names: &Names) -> String {
    codes::of_role(role).map_or_else(|| role.say(s, names), |id| s.say(id, &[]))
}

impl Say for Relationship {
    fn say(&self, s: &Speaker, _: &Names) -> String {
        self.kind.map_or_else(|| say!(s, "value-unnamed"), |kind| s.word(kind))
    }
}

impl Say for Resource {
    fn say(&self, s: &Speaker, names: &Names) -> String {
        let what = match (&self.what, &self.name) {
            (Some(what), _) => what.say(s, names),
            (None, Some(name)) => (**name).to_owned(),
            (None, None) if self.query.is_some() => say!(s, "value-search"),
            (None, None) => match &self.class {
                Some(class) => class.say(s, names),
                None => say!(s, "value-unnamed"),
            },
        };
        let labels = each(&self.labels, s, names);
        let labelled = (!labels.is_empty()).then(|| say!(s, "value-labelled", labels = s.all_of(&labels)));
        let notes: Vec<String> = self.role.iter().map(|role| role.say(s, names)).chain(labelled).collect();
        noted(what, &notes, s)
    }
}

impl Say for Justification {
    fn say(&self, s: &Speaker, names: &Names) -> String {
        let words = self.words.iter().map(|words| say!(s, "value-quoted", words = &**words));
        let all: Vec<String> = each(&self.codes, s, names).into_iter().chain(words).collect();
        s.listed(&all)
    }
}

impl Say for Decision {
    fn say(&self, s: &Speaker, _: &Names) -> String {
        let answer = self.answer.map_or_else(|| say!(s, "value-unnamed"), |answer| s.word(answer));
        match self.rules.len() {
            0 => answer,
            count => say!(s, "value-decided", answer = answer, count = count),
        }
    }
}

impl Say for Group {
    fn say(&self, s: &Speaker, _: &Names) -> String {
        match (self.count, &self.start, &self.end) {
            (Some(count), Some(start), Some(end)) if count > 1 => {
                say!(s, "value-group-between", count = count, start = s.moment(start), end = s.moment(end))
            }
            (Some(count), _, _) => say!(s, "value-group", count = count),
            (None, _, _) => say!(s, "value-group-uncounted"),
        }
    }
}

impl Say for Source {
    fn say(&self, s: &Speaker, _: &Names) -> String {
        let format = self.format.map_or_else(|| say!(s, "value-unnamed"), |format| s.word(format));
        let mut words = vec![match &self.own_id {
            Some(id) => format!("{format} {}", &**id),
            None => format,
        }];
        if let Some(first) = self.profiles.first() {
            let name = first.rsplit('/').next().unwrap_or(first);
            words.push(say!(s, "value-profile", name = name));
        }
        let list =
            |tokens: &[sealed_values::Token]| tokens.iter().map(|t| (**t).to_owned()).collect::<Vec<_>>();
        if !self.missing.is_empty() {
            words.push(say!(s, "value-missing", elements = s.all_of(&list(&self.missing))));
        }
        if !self.not_carried.is_empty() {
            words.push(say!(s, "value-not-carried", elements = s.all_of(&list(&self.not_carried))));
        }
        s.listed(&words)
    }
}

impl Say for InnerKind {
    fn say(&self, s: &Speaker, _: &Names) -> String {
        s.word(*self)
    }
}

impl Say for RuleBody {
    fn say(&self, s: &Speaker, names: &Names) -> String {
        match self {
            RuleBody::Nothing => say!(s, "value-nothing-further"),
            RuleBody::Rule(rule) => rule.say(s, names),
            RuleBody::ListsTrail(trail) => trail.say(s, names),
            RuleBody::Delegation(delegation) => delegation.say(s, names),
            RuleBody::Rekey(rekey) => {
                let generation = rekey.generation.to_string();
                say!(s, "value-rekey", generation = generation, reason = s.word(rekey.reason))
            }
            RuleBody::Link(linked) => {
                let (name, year) = (names.of(&linked.custodian, s), linked.epoch.to_string());
                say!(s, "value-linked", name = name, year = year, reason = s.word(linked.reason))
            }
        }
    }
}

impl Say for Delegation {
    fn say(&self, s: &Speaker, names: &Names) -> String {
        let who = self
            .delegate
            .as_ref()
            .map_or_else(|| say!(s, "value-somebody"), |delegate| delegate.say(s, names));
        let kind = self.kind.map_or_else(|| say!(s, "value-representative"), |kind| s.word(kind));
        let told = say!(s, "value-delegation", who = who, kind = kind);
        let period = self.period.as_ref().map(|span| say!(s, "rule-period", span = span.say(s, names)));
        let end = self.ends_at.as_ref().map(|end| say!(s, "when-until", time = s.moment(end)));
        let flag = (self.is_unsafe == Some(true)).then(|| say!(s, "value-unsafe"));
        let notes: Vec<String> = [period, end, flag].into_iter().flatten().collect();
        noted(told, &notes, s)
    }
}

impl Say for ListedTrail {
    fn say(&self, s: &Speaker, names: &Names) -> String {
        let year = self.epoch.to_string();
        match &self.grantee {
            Some(grantee) => say!(s, "value-listed-trail", name = names.of(grantee, s), year = year),
            None => say!(s, "value-listed-own", year = year),
        }
    }
}

impl Say for Option<OwnTrail> {
    fn say(&self, s: &Speaker, _: &Names) -> String {
        match self {
            Some(own) => say!(s, "value-own-trail", year = own.epoch.to_string()),
            None => say!(s, "value-none"),
        }
    }
}

impl Say for Rule {
    fn say(&self, s: &Speaker, names: &Names) -> String {
        let root = self.root.as_ref().map_or_else(|| say!(s, "value-unnamed"), |root| root.say(s, names));
        let nested = self.nested.iter().map(|rule| say!(s, "rule-except", rule = rule.say(s, names)));
        let all: Vec<String> = std::iter::once(root).chain(nested).collect();
        s.listed(&all)
    }
}

impl Say for Provision {
    fn say(&self, s: &Speaker, names: &Names) -> String {
        let effect = self.effect.map_or_else(|| say!(s, "rule-opposite"), |effect| s.word(effect));
        fn any<T: Say>(values: &[T], s: &Speaker, names: &Names) -> Option<String> {
            (!values.is_empty()).then(|| s.any_of(&each(values, s, names)))
        }
        let parts = [
            any(&self.purposes, s, names).map(|what| say!(s, "rule-purposes", what = what)),
            any(&self.actors, s, names).map(|what| say!(s, "rule-actors", what = what)),
            any(&self.actions, s, names).map(|what| say!(s, "rule-actions", what = what)),
            any(&self.labels, s, names).map(|what| say!(s, "rule-labels", what = what)),
            any(&self.classes, s, names).map(|what| say!(s, "rule-classes", what = what)),
            any(&self.codes, s, names).map(|what| say!(s, "rule-codes", what = what)),
            any(&self.data, s, names).map(|what| say!(s, "rule-data", what = what)),
            self.data_period.as_ref().map(|span| say!(s, "rule-data-period", span = span.say(s, names))),
            self.period.as_ref().map(|span| say!(s, "rule-period", span = span.say(s, names))),
        ];
        parts.into_iter().flatten().fold(effect, |list, next| say!(s, "list-more", list = list, next = next))
    }
}

impl Say for Actor {
    fn say(&self, s: &Speaker, names: &Names) -> String {
        match (&self.who, &self.role) {
            (Some(who), _) => who.say(s, names),
            (None, Some(role)) => role_words(role, s, names),
            (None, None) => say!(s, "value-somebody"),
        }
    }
}

impl Say for DataReference {
    fn say(&self, s: &Speaker, names: &Names) -> String {
        let what = self.what.say(s, names);
        match self.meaning {
            Meaning::Instance => what,
            meaning => say!(s, "value-with-note", words = what, note = s.word(meaning)),
        }
    }
}

impl Say for Evidence {
    fn say(&self, s: &Speaker, names: &Names) -> String {
        let record = self.record.as_ref().map(|record| record.say(s, names));
        let source =
            self.source.as_ref().map(|source| say!(s, "evidence-source", name = source.say(s, names)));
        let hash = self.source_hash.as_ref().map(|hash| say!(s, "evidence-hash", hash = hash.to_string()));
        let verified = self.verifications.iter().filter(|v| v.verified).count();
        let verified = (verified > 0).then(|| say!(s, "evidence-verified", count = verified));
        let all: Vec<String> = [record, source, hash, verified].into_iter().flatten().collect();
        if all.is_empty() { say!(s, "value-none") } else { s.listed(&all) }
    }
}

impl Say for Coding {
    fn say(&self, s: &Speaker, _: &Names) -> String {
        codes::of_coding(self).and_then(|id| s.message(&id, &[])).unwrap_or_else(|| self.describe())
    }
}

/// A known code is said by the catalogue; what the source says besides stands behind it.
impl Say for Concept {
    fn say(&self, s: &Speaker, names: &Names) -> String {
        let known = self.codings.iter().find_map(codes::of_coding).and_then(|id| s.message(&id, &[]));
        match (known, &self.text, self.codings.first()) {
            (Some(words), Some(text), _) if !words.eq_ignore_ascii_case(text.trim()) => {
                say!(s, "value-with-note", words = words, note = &**text)
            }
            (Some(words), _, _) => words,
            (None, Some(text), _) => (**text).to_owned(),
            (None, None, Some(coding)) => coding.say(s, names),
            (None, None, None) => say!(s, "value-unnamed"),
        }
    }
}

impl Say for Identifier {
    fn say(&self, s: &Speaker, _: &Names) -> String {
        self.value.as_ref().map_or_else(|| say!(s, "value-unnamed"), |value| (**value).to_owned())
    }
}

/// A party that is a participant is called as the registry calls it.
impl Say for Party {
    fn say(&self, s: &Speaker, names: &Names) -> String {
        let by_id = self.identifier.as_ref().and_then(|identifier| identifier.value.as_ref());
        if let Some(id) = by_id.and_then(|value| value.parse().ok())
            && names.knows(&id)
        {
            return names.of(&id, s);
        }
        match (&self.display, &self.reference, &self.identifier) {
            (Some(display), _, _) => (**display).to_owned(),
            (None, Some(reference), _) => (**reference).to_owned(),
            (None, None, Some(identifier)) => identifier.say(s, names),
            (None, None, None) => say!(s, "value-somebody"),
        }
    }
}

impl Say for Span {
    fn say(&self, s: &Speaker, _: &Names) -> String {
        let moment = |m: &Moment| s.moment(m);
        match (&self.start, &self.end) {
            (Some(start), Some(end)) => say!(s, "span-from-to", start = moment(start), end = moment(end)),
            (Some(start), None) => say!(s, "when-from", time = moment(start)),
            (None, Some(end)) => say!(s, "when-until", time = moment(end)),
            (None, None) => say!(s, "span-any"),
        }
    }
}

impl<const MAX: usize> Say for Prose<MAX> {
    fn say(&self, _: &Speaker, _: &Names) -> String {
        (**self).to_owned()
    }
}
