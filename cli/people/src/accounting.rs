//! Statutory accountings of accesses to one person's data, made from proven trails.
//!
//! [`hipaa`] is the accounting of disclosures of 45 CFR 164.528, [`ehds`] the information on accesses
//! of Article 9 of Regulation (EU) 2025/327. Both take the same material: the entries of a person's
//! trails at one custodian, each proven, opened as far as openings were at hand. What cannot be told from
//! it is listed rather than left out: an accounting that says too much is lawful, one that says too little is not.
//!
//! Deliberately absent: a judgement whether an access was lawful. Each row carries what the validators found.

use std::collections::BTreeSet;

use custos_proof::disclosure::Shown;
use custos_proof::ids::{ParticipantId, TimeMs};
use custos_proof::kinds::Fields;
use custos_proof::kinds::access::Event;
use custos_proof::record::Finding;
use custos_proof::sealed_values::{Action, Agents, Group, Moment, Outcome, OutcomeKind, Purposes, When};
use custos_proof::verify::{Content, ProvenEntry, ProvenItem, ProvenTrail};

use crate::catalogue::Speaker;
use crate::event::{self, Listener, Manner, Telling, opened};
use crate::names::Names;
use crate::report::{Cell, LeftOut};
use crate::rule::Rules;
use crate::say;

pub mod ehds;
pub mod hipaa;

/// One trail of the person, proven and opened.
#[derive(Debug, Clone, Copy)]
pub struct Trail<'a> {
    /// The proof.
    pub proven: &'a ProvenTrail,
    /// The sealed fields of each entry, in order.
    pub shown: &'a [Vec<Shown>],
    /// Whose accesses it lists; none for the own trail, or when that is not known.
    pub grantee: Option<&'a ParticipantId>,
}

/// What a report is made from.
#[derive(Debug, Clone, Copy)]
pub struct Material<'a> {
    /// The trails.
    pub trails: &'a [Trail<'a>],
    /// Names of participants.
    pub names: &'a Names,
    /// The language.
    pub speaker: &'a Speaker,
    /// The height of the anchor from which the proofs were verified.
    pub anchor: u64,
    /// From when on; by default as far back as the law asks.
    pub from: Option<TimeMs>,
}

/// One access, with what was opened of it.
#[derive(Debug, Clone, Copy)]
struct Access<'a> {
    item: &'a ProvenItem,
    event: &'a Event,
    shown: &'a [Shown],
}

impl Access<'_> {
    fn when(&self) -> Option<Moment> {
        opened::<When>(self.shown, 3).and_then(|when| when.start.or(when.recorded))
    }

    /// When it happened, as stated; else when it was recorded, in milliseconds.
    fn time(&self) -> i64 {
        let recorded = i64::try_from(self.item.record.time.0).unwrap_or(i64::MAX);
        self.when().map_or(recorded, |moment| moment.first_ms())
    }

    fn date(&self) -> Cell {
        self.when().map_or(Cell::Time(self.item.record.time), Cell::Stated)
    }

    fn outcome(&self) -> Option<OutcomeKind> {
        opened::<Outcome>(self.shown, 2).and_then(|outcome| outcome.kind)
    }

    fn is_refused(&self) -> bool {
        matches!(self.outcome(), Some(OutcomeKind::Denied | OutcomeKind::Failed))
    }

    fn action(&self) -> Option<Action> {
        opened(self.shown, 1)
    }

    fn agents(&self) -> Option<Agents> {
        opened(self.shown, 8)
    }

    fn purposes(&self) -> Option<Purposes> {
        opened(self.shown, 4)
    }

    /// For how many like events it stands.
    fn count(&self) -> u64 {
        opened::<Group>(self.shown, 15).and_then(|group| group.count).unwrap_or(1).max(1)
    }

    fn is_sealed(&self) -> bool {
        !self.shown.iter().any(|field| field.value.is_some())
    }

    fn telling<'b>(&'b self, material: &'b Material<'_>, rules: &'b Rules) -> Telling<'b> {
        Telling {
            author: &self.item.entry.author,
            recorded: self.item.record.time,
            item: &self.item.item,
            shown: self.shown,
            manner: Manner {
                speaker: material.speaker,
                names: material.names,
                rules,
                listener: Listener::Subject,
            },
        }
    }

    /// What the validators found, where it is more than "consistent".
    fn finding(&self, s: &Speaker) -> String {
        let verdict = &self.item.entry.verdict;
        match (verdict.finding, verdict.codes.is_empty()) {
            (Finding::Consistent, true) => s.word(Finding::Consistent),
            _ => event::finding(verdict, s),
        }
    }

    fn reference(&self) -> Cell {
        Cell::Text(self.item.hash.to_string())
    }
}

impl<'a> Material<'a> {
    /// The entries of all trails in the order of the log, each once.
    fn entries(&self) -> Vec<(&'a ProvenEntry, &'a [Shown])> {
        let mut seen = BTreeSet::new();
        let mut all: Vec<(&ProvenEntry, &[Shown])> = self
            .trails
            .iter()
            .flat_map(|trail| trail.proven.entries.iter().zip(trail.shown.iter().map(Vec::as_slice)))
            .filter(|(entry, _)| seen.insert(entry.record.index))
            .collect();
        all.sort_by_key(|(entry, _)| entry.record.index);
        all
    }

    /// The accesses among the entries, by the time at which they are said to have happened.
    fn accesses(&self) -> Vec<Access<'a>> {
        let mut accesses: Vec<Access<'a>> = self
            .entries()
            .into_iter()
            .filter_map(|(entry, shown)| match &entry.content {
                Content::Item(item) => match &item.item.fields {
                    Fields::AccessEvent(event) => Some(Access { item, event, shown }),
                    _ => None,
                },
                Content::Withheld(_) | Content::Pruned => None,
            })
            .collect();
        accesses.sort_by_key(Access::time);
        accesses
    }

    /// The rules by number, when all trails are shown from their first entry.
    fn rules(&self) -> Rules {
        let mut rules = Rules::default();
        if self.trails.iter().all(|trail| trail.proven.begin == 0) {
            for (entry, shown) in self.entries() {
                if let Content::Item(item) = &entry.content {
                    rules.count(&entry.record, &item.item, shown);
                }
            }
        }
        rules
    }

    /// Up to when every trail is covered: the time of the oldest header.
    fn until(&self) -> TimeMs {
        self.trails.iter().map(|trail| trail.proven.header.header.time).min().unwrap_or(TimeMs(0))
    }

    /// From when on, in milliseconds: what was asked for, or so many years back.
    fn since(&self, years: i64) -> TimeMs {
        self.from.unwrap_or_else(|| years_before(self.until(), years))
    }

    /// Entries that are withheld or pruned, each in a sentence; counted and named, never passed over.
    fn withheld(&self) -> Vec<String> {
        let rules = Rules::default();
        let manner =
            Manner { speaker: self.speaker, names: self.names, rules: &rules, listener: Listener::Subject };
        self.entries()
            .into_iter()
            .filter(|(entry, _)| !matches!(entry.content, Content::Item(_)))
            .map(|(entry, shown)| event::entry(entry, shown, manner))
            .collect()
    }

    /// Which custodian accounts.
    fn custodian(&self) -> String {
        let owner = self.trails.first().map(|trail| &trail.proven.name.owner);
        owner.map_or_else(String::new, |owner| self.names.of(owner, self.speaker))
    }

    /// From which verified header and trail proof it is made, one line per trail.
    fn sources(&self) -> Vec<String> {
        let s = self.speaker;
        let line = |trail: &Trail<'_>| {
            let header = &trail.proven.header.header;
            let name = match trail.grantee {
                Some(grantee) => say!(s, "trail-of-grantee", name = self.names.of(grantee, s)),
                None => say!(s, "trail-your-own"),
            };
            let extent = match (trail.proven.size, trail.proven.is_complete()) {
                (0, _) => say!(s, "source-absent"),
                (size, true) => say!(s, "source-complete", count = size),
                (size, false) => say!(s, "source-part", count = trail.proven.entries.len(), size = size),
            };
            say!(
                s,
                "source",
                name = name,
                key = trail.proven.key.to_string(),
                extent = extent,
                height = header.height.to_string(),
                time = s.second(header.time),
                block = header.block_id().to_string(),
                anchor = self.anchor.to_string()
            )
        };
        let chain = self.trails.first().map(|trail| trail.proven.header.header.chain.to_string());
        let chain = chain.map(|chain| say!(s, "source-chain", chain = chain));
        chain.into_iter().chain(self.trails.iter().map(line)).collect()
    }

    /// What no report of this kind covers.
    fn limits(&self, sealed: u64) -> Vec<String> {
        let s = self.speaker;
        let mut limits = vec![
            say!(s, "limit-custodian", custodian = self.custodian()),
            say!(s, "limit-recorded"),
            say!(s, "limit-later", time = s.second(self.until())),
            say!(s, "limit-stated"),
        ];
        if self.trails.iter().any(|trail| !trail.proven.is_complete()) {
            limits.push(say!(s, "limit-part"));
        }
        if sealed > 0 {
            limits.push(say!(s, "limit-sealed", count = sealed));
        }
        limits
    }

    /// Words, or that they are sealed, or that they are not stated.
    fn words_or(&self, words: Option<String>, shown: &[Shown], field: u8) -> Cell {
        let s = self.speaker;
        Cell::Text(match words {
            Some(words) => words,
            None if event::is_shown(shown, field) => say!(s, "report-not-stated"),
            None => say!(s, "sealed-not-shown"),
        })
    }
}

/// The same day so many years before (28 February for 29 February).
fn years_before(time: TimeMs, years: i64) -> TimeMs {
    let text = time.to_string();
    let year = text.get(..4).and_then(|year| year.parse::<i64>().ok()).unwrap_or(1970) - years;
    let day = text.get(4..10).unwrap_or("-01-01");
    let at = |day: &str| Moment::new(&format!("{year:04}{day}"));
    let moment = at(day).or_else(|| at("-02-28"));
    moment.and_then(|moment| u64::try_from(moment.first_ms()).ok()).map_or(TimeMs(0), TimeMs)
}

/// Counts by reason, in the order of the reasons; those that do not occur are left out.
fn left_out(counts: &[(&'static str, String, u64)]) -> Vec<LeftOut> {
    counts
        .iter()
        .filter(|(_, _, count)| *count > 0)
        .map(|(key, reason, count)| LeftOut { key, reason: reason.clone(), count: *count })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_are_calendar_years() {
        let before = |day: &str, years| {
            let time = u64::try_from(Moment::new(day).unwrap().first_ms()).unwrap();
            years_before(TimeMs(time), years).to_string()[..10].to_owned()
        };
        assert_eq!(before("2026-11-22T19:00:00Z", 6), "2020-11-22");
        assert_eq!(before("2024-02-29", 3), "2021-02-28");
        assert_eq!(before("1971-01-01", 6), "1970-01-01");
    }
}
