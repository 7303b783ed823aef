//! R4: what a permit permitted at a height, and since which place in the log.
//!
//! Every version of a permit's terms is stated whole, in `permit.issue` and `permit.amend`. What the terms at h
//! have in common with those before them counts as issued with the version that brought it, as long as no
//! version between lacks it: what was taken out and put back counts as put back. A period that was lengthened
//! is new from where it was lengthened.

use custos_proof::hash::ItemHash;
use custos_proof::ids::{Height, LogIndex, ParticipantId, Random16, TimeMs};
use custos_proof::kinds::Fields;
use custos_proof::kinds::permit::{self, Override, Terms};
use custos_proof::policy::Code;
use custos_proof::record::Entry;
use custos_proof::submission::Author;
use custos_proof::trail::TrailKind;
use custos_proof::verify::{Content, ProvenTrail};
use thiserror::Error;

use crate::facts::Permit;
use crate::listing::reaches;

/// What is missing from a permit's trail.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Gap {
    /// It does not begin at the beginning.
    #[error("the trail of permit {permit} is shown from entry {begin} on only")]
    Beginning {
        /// Its local id.
        permit: custos_proof::hash::Digest,
        /// The first entry shown.
        begin: u64,
    },
    /// An entry by the access body is not shown: it may be an amendment or a revocation.
    #[error("entry {position} of the trail of permit {permit} is the access body's and is not shown")]
    Entry {
        /// Its local id.
        permit: custos_proof::hash::Digest,
        /// The entry.
        position: u64,
    },
}

/// One version of a permit's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The item that states them.
    pub item: ItemHash,
    /// Its record's place in the log.
    pub position: LogIndex,
    /// The height of its record.
    pub since: Height,
    /// The terms.
    pub terms: Terms,
}

/// All that was ever said of a permit, up to a height.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermitHistory {
    /// Its id.
    pub id: Random16,
    /// The access body.
    pub body: ParticipantId,
    /// Its terms, in the order in which they were stated.
    pub versions: Vec<Version>,
    /// The height at which it was revoked.
    pub revoked: Option<Height>,
    /// The height up to which this is all.
    pub known: Height,
}

impl PermitHistory {
    /// What the permit's own trail says; nothing when nothing stands on it.
    ///
    /// # Errors
    /// [`Gap`]: something that may change the terms is not shown.
    pub fn of(trail: &ProvenTrail) -> Result<Option<Self>, Gap> {
        let Some(local_id) = trail.name.local_id.filter(|_| trail.name.kind == TrailKind::Permit) else {
            return Ok(None);
        };
        if trail.begin != 0 {
            return Err(Gap::Beginning { permit: local_id, begin: trail.begin });
        }
        let body = &trail.name.owner;
        let mut found: Option<Self> = None;
        for entry in &trail.entries {
            let record = &entry.record;
            let Entry::Item(stated) = &record.entry else { continue };
            let item = match &entry.content {
                Content::Item(item) => item,
                Content::Withheld(_) | Content::Pruned if is_by(&stated.author, body) => {
                    return Err(Gap::Entry { permit: local_id, position: entry.position });
                }
                Content::Withheld(_) | Content::Pruned => continue,
            };
            let (id, terms) = match &item.item.fields {
                Fields::PermitIssue(issue) => (issue.permit, Some(&issue.terms)),
                Fields::PermitAmend(amend) => (amend.permit, Some(&amend.terms)),
                Fields::PermitRevoke(revoke) => (revoke.permit, None),
                _ => continue,
            };
            if permit::local_id(&id) != local_id || !is_by(&stated.author, body) {
                continue;
            }
            let history = found.get_or_insert_with(|| Self {
                id,
                body: body.clone(),
                versions: Vec::new(),
                revoked: None,
                known: Height(0),
            });
            match terms {
                Some(terms) => history.versions.push(Version {
                    item: item.hash,
                    position: record.index,
                    since: record.height,
                    terms: terms.clone(),
                }),
                None => history.revoked = Some(record.height),
            }
        }
        // A part that ends before the trail does says nothing about what follows its last entry's block.
        let head = trail.header.header.height;
        let known = match reaches(trail, head) {
            true => head,
            false => {
                trail.entries.last().map_or(Height(0), |last| Height(last.record.height.0.saturating_sub(1)))
            }
        };
        Ok(found.map(|history| Self { known, ..history }))
    }

    /// Whether everything that was said up to a height is at hand.
    #[must_use]
    pub fn covers(&self, height: Height) -> bool {
        height <= self.known
    }

    /// The permit as of a height and its time; nothing when it had not been issued.
    #[must_use]
    pub fn as_of(&self, height: Height, time: TimeMs) -> Option<Permit> {
        let stated = self.versions.iter().take_while(|version| version.since <= height).count();
        let versions = self.versions.get(..stated)?;
        let (first, last) = (versions.first()?, versions.last()?);
        // The place since which every version has had something.
        let since = |has: &dyn Fn(&Terms) -> bool| {
            let run = versions.iter().rev().take_while(|version| has(&version.terms));
            run.last().map_or(last.position, |version| version.position)
        };
        let terms = &last.terms;
        let code = |word: &str| Code::new(word);
        Some(Permit {
            id: self.id,
            item: first.item,
            user: terms.user.clone(),
            environment: terms.environment.clone(),
            holders: terms
                .holders
                .iter()
                .map(|holder| (holder.clone(), since(&|terms| terms.holders.contains(holder))))
                .collect(),
            purposes: terms
                .purposes
                .iter()
                .filter_map(|of| Some((code(of.word())?, since(&|terms| terms.purposes.contains(of)))))
                .collect(),
            categories: terms
                .categories
                .iter()
                .filter_map(|of| Some((code(of.word())?, since(&|terms| terms.categories.contains(of)))))
                .collect(),
            from: terms.begins,
            until: terms.ends,
            since: since(&|terms| terms.begins <= time && time < terms.ends),
            revoked: self.revoked.filter(|revoked| *revoked <= height),
            overrides_opt_out: terms.over_opt_out != Override::None,
        })
    }
}

fn is_by(author: &Author, body: &ParticipantId) -> bool {
    matches!(author, Author::Participant(id) if id == body)
}
