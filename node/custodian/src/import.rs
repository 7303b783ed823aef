//! From drafts to submissions: which trails are opened, what stands where, and what may go together.
//!
//! [`plan`] seals drafts, keeps them in the vault, and only then says what to send. Whoever sends it
//! reports back with [`crate::vault::Vault::settle`]; what a crash left unsettled is planned again
//! by [`resume`], with the same bytes, so that nothing is recorded twice.
//!
//! Rules for linkage (DESIGN, section 4), held here by construction:
//! * no submission holds items of two trails of one subject;
//! * the order of subjects in submissions is shuffled, whatever the order of the documents;
//! * acts and testimony never mix;
//! * a grantee's trail is listed in the subject's own trail before it is opened, in another submission.
//!
//! Deliberately absent: signing and the network.

use std::collections::{BTreeSet, HashMap};

use custos_proof::cbor::Wire as _;
use custos_proof::hash::{Digest, ItemHash};
use custos_proof::ids::{Height, ParticipantId, Random16};
use custos_proof::item::Item;
use custos_proof::kinds::access::{Basis, Late, Retention};
use custos_proof::kinds::{Class, Fields, Kind};
use custos_proof::sealed_values::{Format, InnerKind, ListedTrail, OwnTrail, Party, RuleBody};
use custos_proof::subject::{epoch_secret, local_id};
use thiserror::Error;

use crate::draft::{AccessEventDraft, Intent, Origin, RuleDraft, SubjectKey};
use crate::fhir::{Refusal, RefusalCode};
use crate::seal::{self, EventPlace, RulePlace, SealingError};
use crate::vault::{ItemEntry, ItemState, StoredItem, SubjectId, Trail, Vault, VaultError};

mod check;
mod schedule;

pub use check::refusals;
use schedule::schedule;

pub mod stream;

/// The most bytes of items in one batch: room for the envelope below the bound of a submission.
pub const MAX_BATCH_BYTES: usize = custos_proof::submission::MAX_SUBMISSION_BYTES - 64 * 1024;

/// What planning has to be told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The calendar year (UTC) of the block that will record the items.
    pub epoch: u16,
    /// Which organisations are participants.
    pub organisations: Organisations,
    /// When the events were decided.
    pub timing: Timing,
    /// The most items of one submission of acts: one that is refused takes the others with it.
    pub max_acts: usize,
    /// The most items of one submission of testimony.
    pub max_testimony: usize,
    /// For how long events are kept.
    pub retention: Retention,
}

impl Settings {
    /// An import of history, with ordinary bounds.
    #[must_use]
    pub fn history(epoch: u16) -> Self {
        Self {
            epoch,
            organisations: Organisations::default(),
            timing: Timing::ImportedHistory,
            max_acts: 100,
            max_testimony: 500,
            retention: Retention::Standard,
        }
    }
}

impl Settings {
    /// The names under which a document's rules may stand in the vault: in the own trail, and in each
    /// participant's that organisations stand for.
    fn sources_of<'a>(&'a self, document: &'a str) -> impl Iterator<Item = String> + 'a {
        let grantees = self.organisations.0.values().map(move |grantee| rule_source(document, Some(grantee)));
        core::iter::once(rule_source(document, None)).chain(grantees)
    }
}

/// When events were decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// Before this ledger, or without asking it.
    ImportedHistory,
    /// By somebody who saw this head.
    Live {
        /// Its height.
        at_height: Height,
    },
    /// Just now, as [`Timing::Live`], when the source recorded them at `since_ms` or later; before that,
    /// as [`Timing::ImportedHistory`].
    LiveSince {
        /// The head's height.
        at_height: Height,
        /// From when on, in Unix milliseconds.
        since_ms: i64,
    },
}

impl Timing {
    /// The height at which an event was decided, and whether it is late.
    fn of(self, draft: &AccessEventDraft) -> (Height, Late) {
        let recorded = draft.values.when.value().and_then(|when| when.recorded.as_ref());
        match self {
            Timing::Live { at_height } => (at_height, Late::None),
            Timing::LiveSince { at_height, since_ms }
                if recorded.is_some_and(|recorded| recorded.first_ms() >= since_ms) =>
            {
                (at_height, Late::None)
            }
            Timing::LiveSince { .. } | Timing::ImportedHistory => (Height(0), Late::ImportedHistory),
        }
    }
}

/// Which organisations of the documents are participants of the ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Organisations(HashMap<String, ParticipantId>);

impl Organisations {
    /// `name` is an address (absolute, or `Organization/17` for every server), an identifier (`system|value`)
    /// or its value alone.
    pub fn add(&mut self, name: &str, participant: ParticipantId) {
        self.0.insert(name.into(), participant);
    }

    /// The participant that a document means, if it is in the table. Words are never matched: they are no names.
    #[must_use]
    pub fn find(&self, party: &Party) -> Option<&ParticipantId> {
        let by_address = party.reference.as_deref().and_then(|reference| {
            let tail = reference.rsplit_once("Organization/").map(|(_, id)| format!("Organization/{id}"));
            self.0.get(reference).or_else(|| tail.and_then(|tail| self.0.get(&tail)))
        });
        by_address.or_else(|| {
            let identifier = party.identifier.as_ref()?;
            let value = identifier.value.as_deref()?;
            let full = identifier.system.as_deref().map(|system| format!("{system}|{value}"));
            full.and_then(|full| self.0.get(&full)).or_else(|| self.0.get(value))
        })
    }
}

/// A draft and where it was found.
#[derive(Debug, Clone)]
pub struct Input {
    /// For the report: file and entry.
    pub location: String,
    /// What shall be recorded.
    pub draft: Draft,
}

/// Either kind of draft.
#[derive(Debug, Clone)]
pub enum Draft {
    /// Testimony.
    Event(Box<AccessEventDraft>),
    /// An act.
    Rule(Box<RuleDraft>),
}

/// What to send, and what became of each input.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// In order of their waves.
    pub batches: Vec<Batch>,
    /// One for each input, in order.
    pub dispositions: Vec<Disposition>,
}

/// Items for one submission.
#[derive(Debug, Clone)]
pub struct Batch {
    /// A batch is sent when all batches of lower waves are recorded; those of one wave in any order.
    pub wave: usize,
    /// Acts or testimony.
    pub class: Class,
    /// In order.
    pub items: Vec<Planned>,
}

/// An item to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// How it is referred to.
    pub hash: ItemHash,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What became of an input.
#[derive(Debug, Clone)]
pub struct Disposition {
    /// Where it was found.
    pub location: String,
    /// The document's name.
    pub source: String,
    /// What became of it.
    pub result: Planning,
}

/// What became of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Planning {
    /// It stands in these items, among the batches. A permission for several recipients has one for each.
    Planned(Vec<ItemHash>),
    /// It was recorded before, with the same content.
    Recorded(Vec<ItemHash>),
    /// It was not taken.
    Refused(Refusal),
}

/// Why there is no plan. What was sealed before the failure is in the vault, and [`resume`] finds it.
#[derive(Debug, Error)]
pub enum PlanError {
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Sealing.
    #[error(transparent)]
    Seal(#[from] SealingError),
}

/// Seals the drafts, keeps them in the vault, and says what to send.
///
/// # Errors
/// [`PlanError`].
pub fn plan(vault: &mut Vault, inputs: Vec<Input>, settings: &Settings) -> Result<Plan, PlanError> {
    let mut planner = Planner {
        vault,
        settings,
        sealed: Vec::new(),
        send: BTreeSet::new(),
        trails: HashMap::new(),
        fresh: HashMap::new(),
        ended: HashMap::new(),
    };
    let mut dispositions = Vec::with_capacity(inputs.len());
    for Input { location, draft } in inputs {
        let (source, result) = match draft {
            Draft::Event(draft) => (draft.origin.name.clone(), planner.event(*draft)?),
            Draft::Rule(draft) => (draft.origin.name.clone(), planner.rule(*draft)?),
        };
        dispositions.push(Disposition { location, source, result });
    }
    let Planner { vault, sealed, send, .. } = planner;
    // Kept before anything is sent: an item on the ledger that nobody can open would be lost for the subject.
    vault.keep_items(sealed)?;
    Ok(Plan { batches: schedule(vault, send.into_iter().collect(), settings)?, dispositions })
}

/// Plans everything that was sealed and of which it is not known what became.
///
/// The caller MUST first ask the ledger for each of [`Vault::prepared`] and settle what it knows:
/// an act that is sent a second time is refused, and its batch with it.
///
/// # Errors
/// [`PlanError`].
pub fn resume(vault: &Vault, settings: &Settings) -> Result<Plan, PlanError> {
    let prepared = vault.prepared().map(|(_, item)| item.hash).collect();
    Ok(Plan { batches: schedule(vault, prepared, settings)?, dispositions: Vec::new() })
}

struct Planner<'a> {
    vault: &'a mut Vault,
    settings: &'a Settings,
    /// Sealed in this run, not yet in the vault.
    sealed: Vec<(SubjectId, StoredItem)>,
    /// To be sent: sealed in this run or left over from an earlier one.
    send: BTreeSet<ItemHash>,
    /// Trails that are ready, or about to be, by subject and grantee.
    trails: HashMap<(SubjectId, Option<ParticipantId>), Digest>,
    /// What was sealed in this run, by source name: the vault does not know it yet.
    fresh: HashMap<String, Known>,
    /// Rules that were ended, by subject.
    ended: HashMap<SubjectId, BTreeSet<Random16>>,
}

/// An item that was sealed from a document.
#[derive(Debug, Clone)]
struct Known {
    subject: SubjectId,
    hash: ItemHash,
    digest: Digest,
    local_id: Option<Digest>,
    rule: Option<Random16>,
    is_recorded: bool,
}

impl Known {
    fn of_entry(subject: SubjectId, entry: &ItemEntry) -> Self {
        Self {
            subject,
            hash: entry.hash,
            digest: entry.source_digest,
            local_id: entry.local_id,
            rule: entry.rule,
            is_recorded: matches!(entry.state, ItemState::Recorded(_)),
        }
    }
}

impl Planner<'_> {
    fn event(&mut self, draft: AccessEventDraft) -> Result<Planning, PlanError> {
        if let Some(known) =
            self.known(&draft.origin.name).filter(|known| known.digest == draft.origin.digest)
        {
            return Ok(self.again(vec![known]));
        }
        let subject = match self.subject(&draft.subject, event_subject(&draft))? {
            Ok(subject) => subject,
            Err(refusal) => return Ok(Planning::Refused(refusal)),
        };
        let custodian = self.vault.scope().custodian.clone();
        let participant =
            draft.organisations.iter().find_map(|party| self.settings.organisations.find(party)).cloned();
        // What was refused stands in the own trail, and looks like the custodian's own staff's.
        let acting = participant.filter(|_| !draft.is_for_own_trail()).unwrap_or_else(|| custodian.clone());
        let grantee = (acting != custodian).then(|| acting.clone());
        let (owner, local_id) = match subject {
            Some(subject) => (subject, Some(self.trail(&subject, grantee)?)),
            None => (self.vault.institution()?, None),
        };
        let (at_height, late) = self.settings.timing.of(&draft);
        let (basis, cited) = self.ground(&draft, local_id, late == Late::None);
        let place = EventPlace {
            local_id,
            acting,
            basis,
            cited,
            at_height,
            late,
            retention: self.settings.retention,
        };
        let item = seal::event(self.vault.scope(), &draft, &place)?;
        Ok(Planning::Planned(vec![self.add(owner, item)]))
    }

    /// A consent that the event names, if it stands in this trail as a rule; else what the draft says.
    fn ground(
        &self,
        draft: &AccessEventDraft,
        trail: Option<Digest>,
        is_live: bool,
    ) -> (Basis, Option<Random16>) {
        if draft.basis != Basis::Unknown || draft.cited.is_some() || !is_live {
            return (draft.basis, draft.cited);
        }
        let names = draft.cites.iter().flat_map(|name| {
            let grantees =
                self.settings.organisations.0.values().map(|grantee| rule_source(name, Some(grantee)));
            core::iter::once(rule_source(name, None)).chain(grantees)
        });
        let mut rules = names.filter_map(|name| self.known(&name)).filter(|known| known.local_id == trail);
        rules.find_map(|known| known.rule).map_or((Basis::Unknown, None), |rule| (Basis::Consent, Some(rule)))
    }

    fn rule(&mut self, draft: RuleDraft) -> Result<Planning, PlanError> {
        let custodian = self.vault.scope().custodian.clone();
        if let Some(refusal) = other_custodian(self.vault, self.settings, &draft) {
            return Ok(Planning::Refused(refusal));
        }
        let subject = match self.subject(&draft.subject, rule_subject(&draft))? {
            Ok(Some(subject)) => subject,
            Ok(None) => return Ok(Planning::Refused(no_patient(&draft))),
            Err(refusal) => return Ok(Planning::Refused(refusal)),
        };
        if self.owner_of(&draft.origin.name).is_some_and(|owner| owner != subject) {
            return Ok(Planning::Refused(other_patient(&draft)));
        }
        match draft.intent {
            Intent::Put => self.put(&subject, &draft, &custodian),
            Intent::End => self.end(&subject, &draft),
        }
    }

    /// One item for each trail that the rule belongs to.
    fn put(
        &mut self,
        subject: &SubjectId,
        draft: &RuleDraft,
        custodian: &ParticipantId,
    ) -> Result<Planning, PlanError> {
        let places = self.places(draft, custodian);
        let known: Vec<Option<Known>> = places
            .iter()
            .map(|grantee| self.known(&rule_source(&draft.origin.name, grantee.as_ref())))
            .collect();
        let unchanged: Vec<Known> =
            known.iter().flatten().filter(|known| known.digest == draft.origin.digest).cloned().collect();
        if unchanged.len() == places.len() {
            return Ok(self.again(unchanged));
        }
        let mut items = Vec::new();
        for (grantee, known) in places.into_iter().zip(known) {
            let trail = self.trail(subject, grantee.clone())?;
            let standing =
                known.as_ref().filter(|known| known.rule.is_some_and(|rule| !self.is_ended(subject, &rule)));
            let (prior, old_trail) = standing.map_or((None, None), |known| (known.rule, known.local_id));
            let source =
                Origin { name: rule_source(&draft.origin.name, grantee.as_ref()), ..draft.origin.clone() };
            let inner = if prior.is_some() && draft.inner == InnerKind::Grant {
                InnerKind::Replace
            } else {
                draft.inner
            };
            // An earlier year's trail is another trail: what stands there ends there.
            if let (Some(rule), Some(old)) = (prior, old_trail.filter(|old| *old != trail)) {
                let ending = RuleDraft {
                    inner: InnerKind::Replace,
                    body: RuleBody::Nothing,
                    origin: Origin { name: format!("{} ends in {old}", source.name), ..source.clone() },
                    ..draft.clone()
                };
                items.push(self.seal_rule(
                    subject,
                    &ending,
                    RulePlace { local_id: old, prior: Some(rule), ends: vec![rule] },
                )?);
            }
            // Of another trail, not even the rule's id may be seen in this one.
            let prior = prior.filter(|_| old_trail == Some(trail));
            let sealed = RuleDraft { inner, origin: source, ..draft.clone() };
            items.push(self.seal_rule(
                subject,
                &sealed,
                RulePlace { local_id: trail, prior, ends: prior.into_iter().collect() },
            )?);
        }
        Ok(Planning::Planned(items))
    }

    /// The rule that was put from the same document ends, wherever it stands.
    fn end(&mut self, subject: &SubjectId, draft: &RuleDraft) -> Result<Planning, PlanError> {
        let grantees: BTreeSet<Option<ParticipantId>> =
            self.vault.trails(subject)?.iter().map(|trail| trail.grantee.clone()).chain([None]).collect();
        let mut items = Vec::new();
        let mut before = Vec::new();
        for grantee in grantees {
            let name = rule_source(&draft.origin.name, grantee.as_ref());
            let ending = format!("{name} ends");
            if let Some(known) = self.known(&ending).filter(|known| known.digest == draft.origin.digest) {
                before.push(known);
                continue;
            }
            let Some(Known { rule: Some(rule), local_id: Some(trail), .. }) = self.known(&name) else {
                continue;
            };
            if !self.is_ended(subject, &rule) {
                let sealed =
                    RuleDraft { origin: Origin { name: ending, ..draft.origin.clone() }, ..draft.clone() };
                items.push(self.seal_rule(
                    subject,
                    &sealed,
                    RulePlace { local_id: trail, prior: Some(rule), ends: vec![rule] },
                )?);
            }
        }
        Ok(match (items.is_empty(), before.is_empty()) {
            (false, _) => Planning::Planned(items),
            (true, false) => self.again(before),
            (true, true) => Planning::Refused(nothing_to_end()),
        })
    }

    /// The grantees whose trails a rule stands in; `None` is the own trail. A permission stands where
    /// its recipients are listed, everything else in the own trail.
    fn places(&self, draft: &RuleDraft, custodian: &ParticipantId) -> BTreeSet<Option<ParticipantId>> {
        let place = |party: &Party| {
            self.settings.organisations.find(party).filter(|found| *found != custodian).cloned()
        };
        let places: BTreeSet<_> = draft.recipients.iter().map(place).collect();
        if places.is_empty() { BTreeSet::from([None]) } else { places }
    }

    fn seal_rule(
        &mut self,
        subject: &SubjectId,
        draft: &RuleDraft,
        place: RulePlace,
    ) -> Result<ItemHash, PlanError> {
        let item = seal::rule(self.vault.scope(), draft, &place)?;
        self.ended_of(subject).extend(place.ends);
        Ok(self.add(*subject, item))
    }

    /// The local id of a trail of this epoch, opened (and listed) now if it was not before.
    fn trail(&mut self, subject: &SubjectId, grantee: Option<ParticipantId>) -> Result<Digest, PlanError> {
        if let Some(local_id) = self.trails.get(&(*subject, grantee.clone())) {
            return Ok(*local_id);
        }
        let own = match grantee {
            Some(_) => Some(OwnTrail { epoch: self.settings.epoch, local_id: self.trail(subject, None)? }),
            None => None,
        };
        let scope = self.vault.scope().clone();
        let secret = epoch_secret(self.vault.code(subject)?.secret(), self.settings.epoch);
        let id = local_id(&secret, &scope.chain, &scope.custodian, grantee.as_ref());
        let trail = Trail { grantee: grantee.clone(), epoch: self.settings.epoch, local_id: id };
        if !self.vault.trails(subject)?.contains(&trail) {
            self.vault.keep_trail(subject, trail)?;
        }
        // Listed first: a listed trail that was never opened harms nobody, an open one that is not listed does.
        if let Some(own) = &own {
            let name = format!("trail {id} is listed");
            match self.known(&name) {
                Some(known) => drop(self.again(vec![known])),
                None => {
                    let listed =
                        ListedTrail { grantee: grantee.clone(), epoch: self.settings.epoch, local_id: id };
                    let draft =
                        RuleDraft::lists_trail(Origin { name, digest: Digest::ZERO }, Vec::new(), listed);
                    self.seal_rule(
                        subject,
                        &draft,
                        RulePlace { local_id: own.local_id, prior: None, ends: Vec::new() },
                    )?;
                }
            }
        }
        match self.known(&format!("trail {id} is opened")) {
            Some(known) => drop(self.again(vec![known])),
            None => {
                let item = seal::open_trail(&scope, &secret, id, grantee.clone(), self.settings.epoch, own)?;
                self.add(*subject, item);
            }
        }
        self.trails.insert((*subject, grantee), id);
        Ok(id)
    }

    fn subject(
        &mut self,
        names: &[SubjectKey],
        element: &str,
    ) -> Result<Result<Option<SubjectId>, Refusal>, PlanError> {
        if names.is_empty() {
            return Ok(Ok(None));
        }
        match self.vault.subject(names) {
            Ok(subject) => Ok(Ok(Some(subject))),
            Err(VaultError::Conflict { subjects }) => Ok(Err(conflict(element, subjects.len()))),
            Err(other) => Err(other.into()),
        }
    }

    fn known(&self, source: &str) -> Option<Known> {
        self.fresh.get(source).cloned().or_else(|| {
            let entry = self.vault.item_of_source(source)?;
            Some(Known::of_entry(self.vault.subject_of(&entry.hash)?, entry))
        })
    }

    /// Whose rules were sealed from this document before.
    fn owner_of(&self, document: &str) -> Option<SubjectId> {
        self.settings.sources_of(document).find_map(|source| self.known(&source)).map(|known| known.subject)
    }

    /// What was sealed before is sent again if it was not recorded.
    fn again(&mut self, known: Vec<Known>) -> Planning {
        let hashes: Vec<ItemHash> = known.iter().map(|known| known.hash).collect();
        let unrecorded: Vec<ItemHash> =
            known.iter().filter(|known| !known.is_recorded).map(|known| known.hash).collect();
        let all_recorded = unrecorded.is_empty();
        for hash in unrecorded {
            // The trail that it stands in may be unrecorded as well.
            self.send.extend(self.opening_of(&hash));
            self.send.insert(hash);
        }
        if all_recorded { Planning::Recorded(hashes) } else { Planning::Planned(hashes) }
    }

    /// What has to be on the ledger before an item of the vault, and is not known to be.
    fn opening_of(&self, hash: &ItemHash) -> Vec<ItemHash> {
        let Some(local_id) = self.vault.entry(hash).and_then(|entry| entry.local_id) else {
            return Vec::new();
        };
        let names = [format!("trail {local_id} is listed"), format!("trail {local_id} is opened")];
        let mut needed: Vec<ItemHash> = names
            .iter()
            .filter_map(|name| self.vault.item_of_source(name))
            .filter(|entry| entry.state == ItemState::Prepared)
            .map(|entry| entry.hash)
            .collect();
        // A listing stands in the own trail, which has to be open for it.
        let own = needed
            .iter()
            .filter_map(|hash| self.vault.entry(hash))
            .filter_map(|entry| entry.local_id)
            .filter(|own| *own != local_id);
        let own_openings: Vec<ItemHash> = own
            .filter_map(|own| self.vault.item_of_source(&format!("trail {own} is opened")))
            .filter(|entry| entry.state == ItemState::Prepared)
            .map(|entry| entry.hash)
            .collect();
        needed.extend(own_openings);
        needed
    }

    fn add(&mut self, subject: SubjectId, item: StoredItem) -> ItemHash {
        let hash = item.hash();
        let known = Known {
            subject,
            hash,
            digest: item.source_digest,
            local_id: item.local_id,
            rule: item.rule,
            is_recorded: false,
        };
        self.fresh.insert(item.source.clone(), known);
        self.sealed.push((subject, item));
        self.send.insert(hash);
        hash
    }

    /// Whether a rule was ended by an item of the vault or of this run.
    fn is_ended(&mut self, subject: &SubjectId, rule: &Random16) -> bool {
        self.ended_of(subject).contains(rule)
    }

    /// The rules that were ended, those that the vault already held among them.
    fn ended_of(&mut self, subject: &SubjectId) -> &mut BTreeSet<Random16> {
        let vault = &*self.vault;
        self.ended.entry(*subject).or_insert_with(|| ended_rules(vault, subject))
    }
}

/// The rules that items of the vault end, those that were refused left out.
#[must_use]
pub fn ended_rules(vault: &Vault, subject: &SubjectId) -> BTreeSet<Random16> {
    let items = vault.items(subject).unwrap_or_default();
    let puts = items.iter().filter(|item| item.kind == Kind::RulePut && item.state != ItemState::Dropped);
    puts.filter_map(|item| vault.item(&item.hash).ok())
        .filter_map(|stored| Item::from_bytes(&stored.bytes).ok())
        .flat_map(|item| match item.fields {
            Fields::RulePut(put) => put.ends.to_vec(),
            _ => Vec::new(),
        })
        .collect()
}

/// The name under which the vault knows the item that puts a document's rule into one trail.
#[must_use]
pub fn rule_source(document: &str, grantee: Option<&ParticipantId>) -> String {
    match grantee {
        Some(grantee) => format!("{document}#for-{grantee}"),
        None => format!("{document}#own"),
    }
}

/// The document of a rule's source name: what [`rule_source`] was given, of endings too.
#[must_use]
pub fn document_of(source: &str) -> Option<&str> {
    let name = match source.rsplit_once(" ends") {
        Some((name, "")) => name,
        Some((name, rest))
            if rest.strip_prefix(" in ").is_some_and(|trail| trail.parse::<Digest>().is_ok()) =>
        {
            name
        }
        _ => source,
    };
    let (document, place) = name.rsplit_once('#')?;
    let is_place = place == "own"
        || place.strip_prefix("for-").is_some_and(|grantee| grantee.parse::<ParticipantId>().is_ok());
    is_place.then_some(document)
}

/// The element that names an event's subject, in the release that the event was written in.
pub(crate) fn event_subject(draft: &AccessEventDraft) -> &'static str {
    match draft.values.source.value().and_then(|source| source.format) {
        Some(Format::FhirR5AuditEvent) => "AuditEvent.patient",
        _ => "AuditEvent.entity",
    }
}

fn is_r5(draft: &RuleDraft) -> bool {
    draft.evidence.record.as_ref().and_then(|record| record.format) == Some(Format::FhirR5Consent)
}

/// The element that names a rule's subject.
pub(crate) fn rule_subject(draft: &RuleDraft) -> &'static str {
    if is_r5(draft) { "Consent.subject" } else { "Consent.patient" }
}

fn refused(code: RefusalCode, element: &str, message: impl Into<String>) -> Refusal {
    Refusal { code, element: element.into(), message: message.into() }
}

fn conflict(element: &str, subjects: usize) -> Refusal {
    let message = format!("its identifiers belong to {subjects} different subjects of the vault");
    refused(RefusalCode::ConflictingIdentity, element, message)
}

fn no_patient(draft: &RuleDraft) -> Refusal {
    refused(RefusalCode::MissingPatient, rule_subject(draft), "a rule is some patient's rule")
}

fn other_patient(draft: &RuleDraft) -> Refusal {
    let message = "this document was recorded for another patient; end it there, and name the new one anew";
    refused(RefusalCode::ConflictingIdentity, rule_subject(draft), message)
}

fn nothing_to_end() -> Refusal {
    let message = "no rule that is in force was recorded from this consent";
    refused(RefusalCode::NothingToEnd, "Consent.status", message)
}

fn other_custodian(vault: &Vault, settings: &Settings, draft: &RuleDraft) -> Option<Refusal> {
    let managed: Vec<&ParticipantId> =
        draft.organisations.iter().filter_map(|party| settings.organisations.find(party)).collect();
    let is_other = !managed.is_empty() && !managed.contains(&&vault.scope().custodian);
    let message = "another participant manages this consent and records it";
    let element = if is_r5(draft) { "Consent.manager[0]" } else { "Consent.organization[0]" };
    is_other.then(|| refused(RefusalCode::OtherCustodian, element, message))
}
