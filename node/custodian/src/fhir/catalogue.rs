//! What a vault holds, as FHIR resources: found by id, by version, and by search.
//!
//! An AuditEvent is one sealed item, and its id is the item's hash, by which the ledger knows it too.
//! A Consent is one document of the custodian's: all items that were sealed from it are its versions,
//! however many trails they stand in; its id is a keyed hash of the document's name, which says
//! nothing to others.
//!
//! The catalogue keeps a few dozen bytes per resource; everything else is read from the vault when it
//! is asked for. Pages go on behind the last record of the page before, in an order that no later
//! record changes, so that nothing is shown twice and nothing that was there is left out.
//!
//! Deliberately absent: what was refused by the ledger, and what the vault holds besides events and rules.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Bound;

use custos_proof::cbor::Wire as _;
use custos_proof::hash::{Digest, ItemHash};
use custos_proof::ids::{Height, Random16, TimeMs};
use custos_proof::kinds::Kind;
use custos_proof::sealed_values::{Evidence, InnerKind, Rule, RuleBody};
use serde_json::Value;

use super::export::{self, About, Version};
use super::request::ResourceType;
use super::search::Search;
use crate::draft::AccessValues;
use crate::import::document_of;
use crate::vault::{ItemState, StoredItem, SubjectId, Vault, VaultError};

/// The most records that are opened for one page.
const MAX_OPENED: usize = 20_000;
/// A page ends when its sealed values have so many bytes.
const MAX_PAGE_BYTES: usize = 8 * 1024 * 1024;

/// The time of the block at a height, if the caller knows it.
pub type TimeOf<'a> = &'a dyn Fn(Height) -> Option<TimeMs>;

/// The resources of a vault.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// Newest first, by what the source recorded.
    events: BTreeMap<EventKey, SubjectId>,
    consents: BTreeMap<Random16, Document>,
}

type EventKey = (Reverse<i64>, ItemHash);

/// A document from which rules were sealed.
#[derive(Debug)]
struct Document {
    subject: SubjectId,
    name: String,
    items: Vec<ItemHash>,
}

/// A resource as it goes out.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its type.
    pub of: ResourceType,
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: u64,
    /// When the version was recorded; none while it waits, or when the time is not known.
    pub recorded: Option<TimeMs>,
    /// The resource, R4.
    pub resource: Value,
}

/// A page of a search.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// What matches.
    pub found: Vec<Found>,
    /// Where the next page begins, if there may be one.
    pub next: Option<String>,
    /// How many match in all, if that is known without looking further.
    pub total: Option<usize>,
}

impl Catalogue {
    /// Everything that the vault holds. Opens every item once.
    ///
    /// # Errors
    /// The vault fails.
    pub fn of(vault: &Vault) -> Result<Self, VaultError> {
        let mut catalogue = Self::default();
        for subject in vault.all() {
            for entry in vault.items(&subject)? {
                catalogue.add(vault, &entry.hash)?;
            }
        }
        Ok(catalogue)
    }

    /// Adds an item of the vault, once.
    ///
    /// # Errors
    /// The vault fails.
    pub fn add(&mut self, vault: &Vault, hash: &ItemHash) -> Result<(), VaultError> {
        let (Some(entry), Some(subject)) = (vault.entry(hash), vault.subject_of(hash)) else { return Ok(()) };
        match entry.kind {
            Kind::AccessEvent => {
                let stored = vault.item(hash)?;
                self.events.insert((Reverse(recorded_ms(&stored)), *hash), subject);
            }
            Kind::RulePut => {
                let stored = vault.item(hash)?;
                let Some(name) = document_of(&stored.source) else { return Ok(()) };
                let document = self.consents.entry(vault.document_id(name)).or_insert_with(|| Document {
                    subject,
                    name: name.into(),
                    items: Vec::new(),
                });
                if !document.items.contains(hash) {
                    document.items.push(*hash);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The name of the document that a Consent was read from.
    #[must_use]
    pub fn document(&self, id: &str) -> Option<&str> {
        Some(&self.consents.get(&id.parse().ok()?)?.name)
    }

    /// The resource that an item of the vault belongs to.
    ///
    /// # Errors
    /// The vault fails.
    pub fn resource_of(
        &self,
        vault: &Vault,
        hash: &ItemHash,
    ) -> Result<Option<(ResourceType, String)>, VaultError> {
        Ok(match vault.entry(hash).map(|entry| entry.kind) {
            Some(Kind::AccessEvent) => Some((ResourceType::AuditEvent, hash.to_string())),
            Some(Kind::RulePut) => {
                let stored = vault.item(hash)?;
                let document = document_of(&stored.source);
                document.map(|name| (ResourceType::Consent, vault.document_id(name).to_string()))
            }
            _ => None,
        })
    }

    /// One version of a resource, or its last.
    ///
    /// # Errors
    /// The vault fails.
    pub fn read(
        &self,
        vault: &Vault,
        of: ResourceType,
        id: &str,
        version: Option<u64>,
        time_of: TimeOf<'_>,
    ) -> Result<Option<Found>, VaultError> {
        let mut versions = self.history(vault, of, id, time_of)?;
        Ok(match version {
            None => versions.pop(),
            Some(version) => versions.into_iter().find(|found| found.version == version),
        })
    }

    /// Every version of a resource, oldest first.
    ///
    /// # Errors
    /// The vault fails.
    pub fn history(
        &self,
        vault: &Vault,
        of: ResourceType,
        id: &str,
        time_of: TimeOf<'_>,
    ) -> Result<Vec<Found>, VaultError> {
        match of {
            ResourceType::AuditEvent => {
                let Ok(hash) = id.parse::<ItemHash>() else { return Ok(Vec::new()) };
                let is_event = vault.entry(&hash).is_some_and(|entry| {
                    entry.kind == Kind::AccessEvent && entry.state != ItemState::Dropped
                });
                if !is_event || id != hash.to_string() {
                    return Ok(Vec::new());
                }
                let stored = vault.item(&hash)?;
                let values = event_values(&stored)?;
                Ok(vec![event(vault, &hash, &values, time_of)])
            }
            ResourceType::Consent => {
                let Ok(id) = id.parse::<Random16>() else { return Ok(Vec::new()) };
                let versions = self.versions(vault, &id)?;
                Ok((1..)
                    .zip(&versions)
                    .map(|(number, version)| version.found(&id, number, time_of))
                    .collect())
            }
        }
    }

    /// A page of what matches.
    ///
    /// # Errors
    /// The vault fails.
    pub fn search(&self, vault: &Vault, search: &Search, time_of: TimeOf<'_>) -> Result<Page, VaultError> {
        match search.of {
            ResourceType::AuditEvent => self.search_events(vault, search, time_of),
            ResourceType::Consent => self.search_consents(vault, search, time_of),
        }
    }

    fn search_events(&self, vault: &Vault, search: &Search, time_of: TimeOf<'_>) -> Result<Page, VaultError> {
        let subjects = search.subjects(vault);
        let start = match search.after.as_deref() {
            None => Bound::Unbounded,
            Some(cursor) => match event_key(cursor) {
                Some(key) => Bound::Excluded(key),
                None => return Ok(Page::default()),
            },
        };
        let mut walk = Walk::new(search);
        for (key, subject) in self.events.range((start, Bound::Unbounded)) {
            let (Reverse(ms), hash) = key;
            let is_wanted = subjects.as_ref().is_none_or(|wanted| wanted.contains(subject))
                && search.ids.iter().all(|ids| ids.contains(&hash.to_string()));
            let is_there = vault.entry(hash).is_some_and(|entry| entry.state != ItemState::Dropped);
            if !is_wanted || !is_there {
                continue;
            }
            if walk.is_full() {
                return Ok(walk.unfinished());
            }
            let stored = vault.item(hash)?;
            let values = event_values(&stored)?;
            let matches = search.matches_event(&values);
            walk.step(format!("{ms}.{hash}"), size(&stored), matches, || {
                event(vault, hash, &values, time_of)
            });
        }
        Ok(walk.ended())
    }

    fn search_consents(
        &self,
        vault: &Vault,
        search: &Search,
        time_of: TimeOf<'_>,
    ) -> Result<Page, VaultError> {
        let subjects = search.subjects(vault);
        let start = match search.after.as_deref() {
            None => Bound::Unbounded,
            Some(cursor) => match cursor.parse::<Random16>() {
                Ok(id) => Bound::Excluded(id),
                Err(_) => return Ok(Page::default()),
            },
        };
        let mut walk = Walk::new(search);
        for (id, document) in self.consents.range((start, Bound::Unbounded)) {
            let is_wanted = subjects.as_ref().is_none_or(|wanted| wanted.contains(&document.subject))
                && search.ids.iter().all(|ids| ids.contains(&id.to_string()));
            if !is_wanted {
                continue;
            }
            if walk.is_full() {
                return Ok(walk.unfinished());
            }
            let versions = self.versions(vault, id)?;
            let Some(last) = versions.last() else { continue };
            let resource = last.found(id, versions.len() as u64, time_of);
            let status = resource.resource["status"].as_str().unwrap_or_default().to_owned();
            let matches = search.matches_consent(&status, last.rule.as_ref(), &last.evidence);
            walk.step(id.to_string(), last.size, matches, || resource);
        }
        Ok(walk.ended())
    }

    /// The versions of a consent: items of one content that follow each other are one.
    fn versions(&self, vault: &Vault, id: &Random16) -> Result<Vec<RuleVersion>, VaultError> {
        let Some(document) = self.consents.get(id) else { return Ok(Vec::new()) };
        let mut versions: Vec<RuleVersion> = Vec::new();
        for hash in &document.items {
            let Some(entry) = vault.entry(hash).filter(|entry| entry.state != ItemState::Dropped) else {
                continue;
            };
            let stored = vault.item(hash)?;
            let item = rule_values(&stored)?;
            let rule = match item.body {
                RuleBody::Rule(rule) => Some(rule),
                RuleBody::Nothing
                | RuleBody::ListsTrail(_)
                | RuleBody::Delegation(_)
                | RuleBody::Rekey(_)
                | RuleBody::Link(_) => None,
            };
            let standing = versions.last().and_then(|version| version.rule.clone());
            let is_same = versions.last().is_some_and(|version| version.digest == entry.source_digest);
            if !is_same {
                versions.push(RuleVersion {
                    digest: entry.source_digest,
                    inner: item.inner,
                    evidence: item.evidence.clone(),
                    rule: standing,
                    states: Vec::new(),
                    size: 0,
                });
            }
            if let Some(version) = versions.last_mut() {
                // What ends a rule of last year's trail says less than the rule that follows it.
                if rule.is_some() {
                    (version.inner, version.rule, version.evidence) = (item.inner, rule, item.evidence);
                }
                version.states.push(entry.state);
                version.size += size(&stored);
            }
        }
        Ok(versions)
    }
}

/// A page in the making.
struct Walk {
    count: usize,
    is_first: bool,
    opened: usize,
    bytes: usize,
    matches: usize,
    last: Option<String>,
    found: Vec<Found>,
}

impl Walk {
    fn new(search: &Search) -> Self {
        Self {
            count: search.count,
            is_first: search.after.is_none(),
            opened: 0,
            bytes: 0,
            matches: 0,
            last: None,
            found: Vec::new(),
        }
    }

    /// With a count of zero only the number is wanted.
    fn is_full(&self) -> bool {
        self.opened >= MAX_OPENED
            || self.bytes >= MAX_PAGE_BYTES
            || (self.count > 0 && self.found.len() >= self.count)
    }

    fn step(&mut self, key: String, size: usize, matches: bool, make: impl FnOnce() -> Found) {
        self.opened += 1;
        self.last = Some(key);
        if matches {
            self.matches += 1;
            if self.count > 0 {
                self.bytes += size;
                self.found.push(make());
            }
        }
    }

    fn unfinished(self) -> Page {
        let next = self.last.filter(|_| self.count > 0);
        Page { found: self.found, next, total: None }
    }

    fn ended(self) -> Page {
        Page { found: self.found, next: None, total: self.is_first.then_some(self.matches) }
    }
}

struct RuleVersion {
    digest: Digest,
    inner: InnerKind,
    evidence: Evidence,
    rule: Option<Rule>,
    states: Vec<ItemState>,
    size: usize,
}

impl RuleVersion {
    fn found(&self, id: &Random16, number: u64, time_of: TimeOf<'_>) -> Found {
        let heights: Option<Vec<Height>> = self
            .states
            .iter()
            .map(|state| match state {
                ItemState::Recorded(height) => Some(*height),
                _ => None,
            })
            .collect();
        let height = heights.and_then(|heights| heights.into_iter().max());
        let about = about(id.to_string(), number, height, time_of);
        let version = Version { inner: self.inner, rule: self.rule.as_ref(), evidence: &self.evidence };
        let resource = export::consent(&version, &about.0);
        Found { of: ResourceType::Consent, id: id.to_string(), version: number, recorded: about.1, resource }
    }
}

fn event(vault: &Vault, hash: &ItemHash, values: &AccessValues, time_of: TimeOf<'_>) -> Found {
    let height = match vault.entry(hash).map(|entry| entry.state) {
        Some(ItemState::Recorded(height)) => Some(height),
        _ => None,
    };
    let (about, recorded) = about(hash.to_string(), 1, height, time_of);
    let resource = export::audit_event(values, &about);
    Found { of: ResourceType::AuditEvent, id: about.id, version: 1, recorded, resource }
}

fn about(id: String, version: u64, height: Option<Height>, time_of: TimeOf<'_>) -> (About, Option<TimeMs>) {
    let time = height.and_then(time_of);
    let last_updated = time.map(|time| time.to_string());
    (About { id, version, last_updated, recorded: height.is_some() }, time)
}

struct RuleItem {
    inner: InnerKind,
    body: RuleBody,
    evidence: Evidence,
}

fn rule_values(stored: &StoredItem) -> Result<RuleItem, VaultError> {
    let damaged = || VaultError::SealMismatch(stored.hash());
    let [inner, body, evidence] = &stored.values[..] else { return Err(damaged()) };
    Ok(RuleItem {
        inner: InnerKind::from_bytes(inner).map_err(|_| damaged())?,
        body: RuleBody::from_bytes(body).map_err(|_| damaged())?,
        evidence: Evidence::from_bytes(evidence).map_err(|_| damaged())?,
    })
}

fn event_values(stored: &StoredItem) -> Result<AccessValues, VaultError> {
    AccessValues::from_fields(&stored.values).map_err(|_| VaultError::SealMismatch(stored.hash()))
}

fn recorded_ms(stored: &StoredItem) -> i64 {
    let values = event_values(stored).ok();
    let when = values.as_ref().and_then(|values| values.when.value());
    when.and_then(|when| when.recorded.as_ref()).map_or(i64::MIN, |recorded| recorded.first_ms())
}

fn event_key(cursor: &str) -> Option<EventKey> {
    let (ms, hash) = cursor.split_once('.')?;
    Some((Reverse(ms.parse().ok()?), hash.parse().ok()?))
}

fn size(stored: &StoredItem) -> usize {
    stored.values.iter().map(Vec::len).sum()
}
