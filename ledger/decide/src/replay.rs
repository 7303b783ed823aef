//! Whether a recorded event's sealed decision follows from the rules that the trails listed then.
//!
//! From an event's openings the request is made again as far as the event states it, the rules are taken
//! as of the height that the decider saw, and [`crate::decide`] answers. What comes out is evidence about
//! the author's statement, in words that never say more than was shown.
//!
//! The time of the height that the decider saw is known only as lying between two records of the
//! trail; an answer is given when it is the same at both ends and nothing that decides begins or ends between.
//!
//! What an event rests on beside the subject's rules is gathered beforehand ([`crate::gather`]): permits from their own
//! trails, rosters from the institution's, representatives from the subject's; a declared emergency from the
//! verdict that validators recorded with the event.
//!
//! Deliberately absent: the policy of that height, which the caller has, and care whether data was really served.

use custos_proof::disclosure::Shown;
use custos_proof::ids::{Height, TimeMs};
use custos_proof::kinds::Fields;
use custos_proof::kinds::access::{Basis, Event, Late};
use custos_proof::policy::Combining;
use custos_proof::record::Record;
use custos_proof::sealed_values::{
    Answer as Outcome, Decision, Meaning, Outcome as Ending, OutcomeKind, Party, Provision, Stated,
};

use crate::answer::{Answer, Ground as Reason};
use crate::consent;
use crate::facts::{Content, Eligibility, Facts, ListedRule, Permit, Representative};
use crate::gather::{self, Beside, Committed};
use crate::listing::{self, Listing, OpenTrail, field};
use crate::matching::Ruler;
use crate::request::Emergency;
use crate::stated;

/// What a replay needs besides the trails.
#[derive(Debug, Clone)]
pub struct Ground<'a> {
    /// Everything that is not in the trails; `rules`, `missing_trails`, `representatives`, `permits`, `eligibility`,
    /// `height` and `time` are set by the replay.
    pub facts: Facts<'a>,
    /// What is at hand beside the subject's trails.
    pub beside: Beside,
}

/// What the replay of one event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The sealed decision is what the rules say.
    Follows,
    /// The sealed decision is not what the rules say.
    Contradicts {
        /// What the event states.
        stated: Outcome,
    },
    /// No decision is sealed, and data was served although the rules deny it.
    ServedAgainstRules,
    /// No decision is sealed; what was done agrees with the rules.
    AgreesWithRules,
    /// It cannot be told, and why.
    CannotTell(Why),
}

/// Why an event cannot be replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Imported from an earlier system: decided without this ledger.
    ImportedHistory,
    /// The event's openings of action, purpose or agents are not shown.
    NotShown,
    /// The event states no purpose.
    NoPurpose,
    /// The event states no action of the vocabulary.
    NoAction,
    /// The trails shown do not reach back or on far enough.
    TrailsIncomplete,
    /// Openings of rules are missing, or rules cannot be decided.
    RulesUnknown,
    /// A rule begins or ends within the time in which the decision may have been made.
    TimeUncertain,
    /// The event rests on a permit whose trail is not at hand, or not up to the height that the decider saw.
    PermitNotShown,
    /// The event does not say enough about the data, and the rules treat data differently.
    DataNotNamed,
    /// The event does not say in which groups and roles somebody acted, and a rule names some.
    GroupsNotNamed,
}

impl Why {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Why::ImportedHistory => "imported from an earlier system, decided without this ledger",
            Why::NotShown => "its action, purpose or agents are sealed and not shown",
            Why::NoPurpose => "it states no purpose",
            Why::NoAction => "it states no action of the vocabulary",
            Why::TrailsIncomplete => "the trails shown do not reach far enough",
            Why::RulesUnknown => "openings of rules are missing, or rules cannot be decided",
            Why::TimeUncertain => "a rule begins or ends within the time in which it may have been decided",
            Why::PermitNotShown => {
                "it rests on a permit whose trail is not shown, or not up to the height that it was decided at"
            }
            Why::DataNotNamed => {
                "it does not say enough about the data, and the rules treat data differently"
            }
            Why::GroupsNotNamed => {
                "it does not say in which groups or roles somebody acted, and a rule names some"
            }
        }
    }
}

/// The replay of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// What it says.
    pub finding: Finding,
    /// What the rules answer, one answer for each purpose; empty when it cannot be told.
    pub answers: Vec<Answer>,
}

impl Replayed {
    const fn cannot(why: Why) -> Self {
        Self { finding: Finding::CannotTell(why), answers: Vec::new() }
    }
}

/// Replays every `access.event` of the trails, in their order: the place of the trail, of the entry, and what is found.
#[must_use]
pub fn replay(trails: &[OpenTrail<'_>], ground: &Ground<'_>) -> Vec<(usize, usize, Replayed)> {
    let mut replayed = Vec::new();
    for (place, open) in trails.iter().enumerate() {
        for (number, (record, item, shown)) in open.items().enumerate() {
            let Some(item) = item else { continue };
            if let Fields::AccessEvent(event) = &item.item.fields {
                replayed.push((place, number, replay_event(trails, event, record, shown, ground)));
            }
        }
    }
    replayed
}

fn replay_event(
    trails: &[OpenTrail<'_>],
    event: &Event,
    record: &Record,
    shown: &[Shown],
    ground: &Ground<'_>,
) -> Replayed {
    if event.late == Late::ImportedHistory || event.at_height == Height(0) {
        return Replayed::cannot(Why::ImportedHistory);
    }
    let height = event.at_height;
    let listing = listing::rules(trails, &event.custodian, &event.acting, height, ground.facts.terminology);
    if !listing.is_complete {
        return Replayed::cannot(Why::TrailsIncomplete);
    }
    let (from, to) = bounds(trails, height, record.time);
    let representatives = gather::representatives(&listing.rules, height, to);
    let agents = match stated::agents(shown) {
        Ok(agents) => agents,
        Err(why) => return Replayed::cannot(why),
    };
    let base = &ground.facts;
    let ruler = Ruler { terminology: base.terminology, policy: base.policy, base: &base.base };
    let emergency = emergency(event, record, to, &ground.beside);
    let roster = ground.beside.rosters.iter().find(|history| history.organisation == event.acting);
    let committed = roster.map_or(Committed::Unknown, |history| history.as_of(height, to));
    let beside =
        stated::Beside { representatives: &representatives, emergency, committed: &committed, ruler: &ruler };
    let requests = match stated::requests(event, shown, &beside) {
        Ok(requests) => requests,
        Err(why) => return Replayed::cannot(why),
    };
    let permits = match permits(event, height, to, &ground.beside) {
        Ok(permits) => permits,
        Err(why) => return Replayed::cannot(why),
    };
    let changes = listing.rules.iter().any(|rule| changes_between(rule, from, to))
        || representatives.iter().any(|who| begins_or_ends(who, from, to))
        || permits
            .iter()
            .any(|permit| is_between(permit.from, from, to) || is_between(permit.until, from, to));
    if changes {
        return Replayed::cannot(Why::TimeUncertain);
    }
    let facts = Facts {
        height,
        time: to,
        rules: listing.rules.clone(),
        missing_trails: listing.missing_trails,
        representatives,
        permits,
        // Validators judged key and participant when they recorded it.
        eligibility: Eligibility {
            key_is_valid: true,
            participant_is_active: true,
            roster: committed.shown_by(&agents),
        },
        ..base.clone()
    };
    let answers: Vec<Answer> = requests.iter().map(|request| crate::decide(&facts, request)).collect();
    let all_known = consent::unknowns(&facts).is_empty();
    let finding = match judge(&answers, all_known, shown) {
        // Nothing is said against anybody for what an event has no place for.
        Finding::Contradicts { .. } | Finding::ServedAgainstRules if names_groups(&listing) => {
            Finding::CannotTell(Why::GroupsNotNamed)
        }
        _ if asks_for_more(&listing) && rules_decided(&answers) => Finding::CannotTell(Why::DataNotNamed),
        finding => finding,
    };
    Replayed { finding, answers }
}

/// The emergency under which an event says that it stands, if validators found that it was declared for these two
/// and covered the access. Without the declaration itself its time is not known, and the verdict stands for it.
fn emergency(event: &Event, record: &Record, time: TimeMs, beside: &Beside) -> Option<Emergency> {
    let verdict = &record.as_item()?.verdict;
    if event.basis != Basis::Emergency || !gather::is_declared(verdict) {
        return None;
    }
    let declared = beside.emergencies.iter().find(|declared| declared.is_cited_by(event));
    Some(Emergency {
        declared_ms: declared.map_or(time.0, |declared| declared.time.0),
        is_justified: false,
        // Recording the access under the emergency is the custodian's attestation; the review is told.
        is_attested: true,
    })
}

/// The permit that an event cites, as of a height; none when it cites none, or had not been issued.
fn permits(event: &Event, height: Height, time: TimeMs, beside: &Beside) -> Result<Vec<Permit>, Why> {
    let (Basis::Permit, Some(cited)) = (event.basis, event.cited) else { return Ok(Vec::new()) };
    let history = beside.permits.iter().find(|history| history.id == cited && history.covers(height));
    let history = history.ok_or(Why::PermitNotShown)?;
    Ok(history.as_of(height, time).into_iter().collect())
}

fn is_between(time: TimeMs, from: TimeMs, to: TimeMs) -> bool {
    from < time && time <= to
}

fn begins_or_ends(who: &Representative, from: TimeMs, to: TimeMs) -> bool {
    is_between(who.from, from, to) || is_between(who.until, from, to)
}

fn provisions(listing: &Listing) -> impl Iterator<Item = &Provision> {
    let rules = listing.rules.iter().filter(|rule| rule.ended.is_none_or(|(_, ended)| ended > rule.put));
    rules.flat_map(|rule| match &rule.content {
        Content::Rule(judged) => judged.rule.root.iter().chain(judged.rule.nested.iter()).collect::<Vec<_>>(),
        Content::Sealed | Content::Delegation(_) | Content::Other(_) => Vec::new(),
    })
}

/// Whether a rule speaks of groups, teams or roles, to which an event's agents may belong unsaid.
fn names_groups(listing: &Listing) -> bool {
    provisions(listing).flat_map(|provision| provision.actors.iter()).any(|actor| {
        let named = actor.who.as_ref().map(Party::resource_type);
        !matches!(named, Some(Some("Practitioner" | "Patient" | "RelatedPerson" | "Device")))
    })
}

/// Whether a rule speaks of authors, dates, codes or relations of data, which an event does not state.
fn asks_for_more(listing: &Listing) -> bool {
    provisions(listing).any(|provision| {
        provision.data_period.is_some()
            || !provision.codes.is_empty()
            || provision.data.iter().any(|data| data.meaning != Meaning::Instance)
    })
}

/// Whether a denial on this ground stands whatever the subject's rules say.
const fn stands_before_rules(ground: Reason) -> bool {
    matches!(
        ground,
        Reason::KeyNotValid
            | Reason::ParticipantNotActive
            | Reason::NotOnRoster
            | Reason::ProhibitedPurpose
            | Reason::NoPermit
            | Reason::PermitNotInForce
            | Reason::PermitOfOther
            | Reason::OutsidePermit
    )
}

/// Whether the subject's rules about data had a part in an answer; where a permit alone decides, they have none.
fn rules_decided(answers: &[Answer]) -> bool {
    answers.iter().flat_map(|answer| &answer.items).any(|item| {
        !matches!(
            item.ground,
            Reason::Permit
                | Reason::NoPermit
                | Reason::PermitNotInForce
                | Reason::PermitOfOther
                | Reason::OutsidePermit
                | Reason::SecondaryOptOut
                | Reason::ProhibitedPurpose
        )
    })
}

/// Permit only when every purpose and every item is permitted; deny as soon as one is denied for certain.
///
/// While something is unknown, only a denial that no rule could have undone is certain: by R1, R2 or the permit, and by
/// a rule where denials win. What is not shown may be the permission that the decider saw.
fn together(answers: &[Answer], all_known: bool) -> Result<Outcome, Why> {
    let varies = |answer: &Answer| {
        answer.residual.as_ref().is_some_and(|list| {
            list.clauses.first().is_some_and(|first| !(first.when.is_empty() && first.unless.is_empty()))
        })
    };
    let denied_for_certain = |answer: &Answer| {
        let denials_win = matches!(answer.combining, Combining::DenyOverrides | Combining::PermitUnlessDeny);
        answer.items.iter().any(|item| {
            let by_rule = denials_win && item.ground == Reason::RuleDenies;
            item.outcome == Outcome::Deny && (all_known || by_rule || stands_before_rules(item.ground))
        })
    };
    let permitted = |answer: &Answer| answer.items.iter().all(|item| item.outcome == Outcome::Permit);
    match () {
        () if answers.iter().any(varies) => Err(Why::DataNotNamed),
        () if answers.iter().any(denied_for_certain) => Ok(Outcome::Deny),
        () if answers.iter().all(permitted) => Ok(Outcome::Permit),
        () => Err(Why::RulesUnknown),
    }
}

fn judge(answers: &[Answer], all_known: bool, shown: &[Shown]) -> Finding {
    let said = match together(answers, all_known) {
        Ok(outcome) => outcome,
        Err(why) => return Finding::CannotTell(why),
    };
    let stated = field::<Stated<Decision>>(shown, 13).and_then(|d| d.value().and_then(|d| d.answer));
    let served = field::<Stated<Ending>>(shown, 2).and_then(|o| o.value().and_then(|o| o.kind));
    match (stated, served) {
        (Some(stated), _) if stated == said => Finding::Follows,
        // What could not be decided then was enforced as a denial.
        (Some(Outcome::Indeterminate), _) if said == Outcome::Deny => Finding::Follows,
        (Some(stated), _) => Finding::Contradicts { stated },
        (None, Some(OutcomeKind::Served)) if said == Outcome::Deny => Finding::ServedAgainstRules,
        (None, _) => Finding::AgreesWithRules,
    }
}

/// The time of a height, as far as the trails show it: not before the last record at or below it, before the first above it.
fn bounds(trails: &[OpenTrail<'_>], height: Height, recorded: TimeMs) -> (TimeMs, TimeMs) {
    let records = || trails.iter().flat_map(|open| open.trail.entries.iter().map(|entry| &entry.record));
    if let Some(exact) = records().find(|record| record.height == height) {
        return (exact.time, exact.time);
    }
    let from = records().filter(|record| record.height < height).map(|record| record.time).max();
    let to = records().filter(|record| record.height > height).map(|record| record.time).min();
    let to = to.unwrap_or(recorded).min(recorded);
    (from.unwrap_or(to).min(to), to)
}

/// Whether a rule begins or ends between two times.
fn changes_between(rule: &ListedRule, from: TimeMs, to: TimeMs) -> bool {
    let within = |ms: i64| u64::try_from(ms).is_ok_and(|ms| from.0 < ms && ms <= to.0);
    let expires = from < rule.expiry && rule.expiry <= to;
    let Content::Rule(judged) = &rule.content else { return expires };
    let provisions = judged.rule.root.iter().chain(judged.rule.nested.iter());
    expires
        || provisions.filter_map(|provision| provision.period.as_ref()).any(|period| {
            period.start.as_ref().is_some_and(|start| within(start.first_ms()))
                || period.end.as_ref().is_some_and(|end| within(end.last_ms().saturating_add(1)))
        })
}
