//! R1: which roster an organisation had bound itself to at t, and whether somebody is on it.
//!
//! `roster.commit` stands in the institution's trail, with the root over entries that stay with the
//! organisation. Of the commitments recorded at h or before, the last one whose period contains t counts. A part of the
//! trail is enough when it holds that one and everything after it up to h; from what precedes a part, nothing
//! is concluded.
//!
//! A membership is shown by an entry, its place and the path to the root: in an event's opening
//! ([`membership`]), or by the organisation's whole list, whose root then shows also who is not on it.

use custos_proof::hash::Digest;
use custos_proof::ids::{Height, LogIndex, ParticipantId, TimeMs};
use custos_proof::kinds::Fields;
use custos_proof::merkle;
use custos_proof::record::Entry;
use custos_proof::sealed_values::{Agent, RosterEntry};
use custos_proof::submission::Author;
use custos_proof::trail::TrailKind;
use custos_proof::verify::{Content, ProvenTrail};

use crate::facts::Roster;
use crate::listing::reaches;
use crate::matching::Ruler;
use crate::request::ActorSet;

/// One commitment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commitment {
    /// Its record's place in the log.
    pub position: LogIndex,
    /// The height of its record.
    pub committed: Height,
    /// The first instant of its period.
    pub from: TimeMs,
    /// The instant at which its period ends.
    pub until: TimeMs,
    /// The root over the entries.
    pub root: Digest,
}

/// What is known of the roster of an organisation at a height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// What is at hand does not reach.
    Unknown,
    /// The organisation was bound to none.
    Nothing,
    /// It was bound to this one.
    To(Commitment),
}

/// An organisation's commitments between two heights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterHistory {
    /// Whose.
    pub organisation: ParticipantId,
    /// In the order of the log.
    pub commitments: Vec<Commitment>,
    /// Whether there is none before these.
    pub from_the_beginning: bool,
    /// The height up to which these are all.
    pub known: Height,
}

impl RosterHistory {
    /// What the parts of one institution's trail show, in their order; of parts that do not meet, the last ones.
    #[must_use]
    pub fn of(parts: &[&ProvenTrail]) -> Option<Self> {
        let last = parts.iter().rev().find(|part| part.name.kind == TrailKind::Institution)?;
        let organisation = &last.name.owner;
        let mut commitments = Vec::new();
        let mut begin = u64::MAX;
        for part in parts.iter().rev().filter(|part| part.name == last.name) {
            let end = part.begin.saturating_add(part.entries.len() as u64);
            if begin != u64::MAX && end < begin {
                break;
            }
            // From the last entry back: where one of the organisation's is not shown, what precedes it says nothing.
            for entry in part.entries.iter().rev().filter(|entry| entry.position < begin) {
                match commitment(entry, organisation) {
                    Ok(found) => commitments.extend(found),
                    Err(()) => {
                        commitments.reverse();
                        return Some(Self {
                            organisation: organisation.clone(),
                            commitments,
                            from_the_beginning: false,
                            known: known(last),
                        });
                    }
                }
            }
            begin = begin.min(part.begin);
        }
        commitments.reverse();
        let from_the_beginning = begin == 0;
        Some(Self { organisation: organisation.clone(), commitments, from_the_beginning, known: known(last) })
    }

    /// The commitment that counted at a height and its time.
    #[must_use]
    pub fn as_of(&self, height: Height, time: TimeMs) -> Committed {
        if height > self.known {
            return Committed::Unknown;
        }
        let found = self
            .commitments
            .iter()
            .rev()
            .find(|one| one.committed <= height && one.from <= time && time < one.until);
        match found {
            Some(one) => Committed::To(*one),
            None if self.from_the_beginning => Committed::Nothing,
            None => Committed::Unknown,
        }
    }
}

/// Whether an entry is a commitment; an error when it may be one and is not shown.
fn commitment(
    entry: &custos_proof::verify::ProvenEntry,
    organisation: &ParticipantId,
) -> Result<Option<Commitment>, ()> {
    let Entry::Item(stated) = &entry.record.entry else { return Ok(None) };
    let is_own = matches!(&stated.author, Author::Participant(id) if id == organisation);
    match &entry.content {
        Content::Item(item) => match &item.item.fields {
            Fields::RosterCommit(commit) if is_own => Ok(Some(Commitment {
                position: entry.record.index,
                committed: entry.record.height,
                from: commit.from,
                until: commit.until,
                root: commit.root,
            })),
            _ => Ok(None),
        },
        Content::Withheld(_) | Content::Pruned if is_own => Err(()),
        Content::Withheld(_) | Content::Pruned => Ok(None),
    }
}

fn known(trail: &ProvenTrail) -> Height {
    let head = trail.header.header.height;
    match reaches(trail, head) {
        true => head,
        false => {
            trail.entries.last().map_or(Height(0), |last| Height(last.record.height.0.saturating_sub(1)))
        }
    }
}

impl Committed {
    /// What an organisation's whole list says of whoever asks. A list that is not the committed one says nothing.
    #[must_use]
    pub fn lists(&self, entries: &[RosterEntry], actor: &ActorSet, ruler: &Ruler<'_>) -> Roster {
        let leaves = || entries.iter().map(RosterEntry::leaf).collect::<Vec<_>>();
        match self {
            Committed::Unknown => Roster::NotSeen,
            Committed::Nothing => Roster::NoneCommitted,
            Committed::To(commitment) if merkle::root_of(&leaves()) != commitment.root => Roster::NotSeen,
            Committed::To(_) => {
                let is_asking = |entry: &&RosterEntry| {
                    actor.members.iter().any(|member| ruler.is_same(&entry.person, member))
                };
                entries.iter().find(is_asking).map_or(Roster::NotListed, listed)
            }
        }
    }

    /// What the agents of an event show of their membership.
    #[must_use]
    pub fn shown_by(&self, agents: &[Agent]) -> Roster {
        match self {
            Committed::Unknown => Roster::NotSeen,
            Committed::Nothing => Roster::NoneCommitted,
            Committed::To(commitment) => {
                let mut claims = agents.iter().filter(|agent| agent.roster.is_some()).peekable();
                // Nobody is accused of a path that an event does not carry.
                if claims.peek().is_none() {
                    return Roster::NotSeen;
                }
                let found = claims.find_map(|agent| membership(agent, &commitment.root));
                found.map_or(Roster::NotListed, listed)
            }
        }
    }
}

/// The entry under `root` that an agent's opening shows to be its own.
#[must_use]
pub fn membership<'a>(agent: &'a Agent, root: &Digest) -> Option<&'a RosterEntry> {
    let place = agent.roster.as_ref()?;
    let who = agent.who.as_ref()?;
    let person = &place.entry.person;
    let is_same_person = (who.reference.is_some() && who.reference == person.reference)
        || (who.identifier.is_some() && who.identifier == person.identifier);
    (is_same_person && place.is_under(&agent.roster_path, root)).then_some(&place.entry)
}

fn listed(entry: &RosterEntry) -> Roster {
    Roster::Listed { purposes: entry.purposes.to_vec(), roles: entry.roles.to_vec() }
}
