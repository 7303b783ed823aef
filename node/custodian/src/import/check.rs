//! What planning would refuse, found out without writing anything: for requests that are all or nothing.
//!
//! It follows the order of the drafts as planning does, with the subjects, names and rules that
//! planning would add kept in memory. What the ledger may say later is not asked here.

use std::collections::{BTreeSet, HashMap};

use custos_proof::hash::Digest;
use custos_proof::ids::ParticipantId;

use super::{
    Draft, EVENT_SUBJECT, Input, RULE_SUBJECT, Settings, conflict, ended_rules, no_patient, nothing_to_end,
    other_custodian, other_patient, rule_source,
};
use crate::draft::{Intent, RuleDraft, SubjectKey};
use crate::fhir::Refusal;
use crate::vault::{SubjectId, Vault, VaultError};

/// What [`plan`] would refuse of these drafts, in their order, without writing anything.
///
/// For callers that take all or nothing. The answer holds for as long as nobody else plans.
#[must_use]
pub fn refusals(vault: &Vault, inputs: &[Input], settings: &Settings) -> Vec<Option<Refusal>> {
    let mut check = Check {
        vault,
        settings,
        names: HashMap::new(),
        put: BTreeSet::new(),
        owners: HashMap::new(),
        ended: HashMap::new(),
        groups: 0,
    };
    inputs.iter().map(|input| check.refusal(&input.draft)).collect()
}

/// Who a name belongs to, as far as planning would have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Known(SubjectId),
    /// A subject that planning would make.
    New(usize),
}

struct Check<'a> {
    vault: &'a Vault,
    settings: &'a Settings,
    /// Names that planning would add.
    names: HashMap<SubjectKey, Owner>,
    /// Documents that planning would put.
    put: BTreeSet<String>,
    /// Whose they would be.
    owners: HashMap<String, Owner>,
    /// Documents that planning would end, and by which content.
    ended: HashMap<String, Digest>,
    groups: usize,
}

impl Check<'_> {
    fn refusal(&mut self, draft: &Draft) -> Option<Refusal> {
        match draft {
            Draft::Event(draft) => {
                let is_known = self
                    .vault
                    .item_of_source(&draft.origin.name)
                    .is_some_and(|entry| entry.source_digest == draft.origin.digest);
                if is_known { None } else { self.owner(&draft.subject, EVENT_SUBJECT).err() }
            }
            Draft::Rule(draft) => {
                if let Some(refusal) = other_custodian(self.vault, self.settings, draft) {
                    return Some(refusal);
                }
                let owner = match self.owner(&draft.subject, RULE_SUBJECT) {
                    Ok(Some(owner)) => owner,
                    Ok(None) => return Some(no_patient()),
                    Err(refusal) => return Some(refusal),
                };
                if self.owner_of(&draft.origin.name).is_some_and(|before| before != owner) {
                    return Some(other_patient());
                }
                match draft.intent {
                    Intent::Put => {
                        self.put.insert(draft.origin.name.clone());
                        self.owners.insert(draft.origin.name.clone(), owner);
                        self.ended.remove(&draft.origin.name);
                        None
                    }
                    Intent::End if !self.has_to_end(owner, draft) => Some(nothing_to_end()),
                    Intent::End => {
                        self.put.remove(&draft.origin.name);
                        self.ended.insert(draft.origin.name.clone(), draft.origin.digest);
                        None
                    }
                }
            }
        }
    }

    /// Whose rules were sealed from this document before, or would be by then.
    fn owner_of(&self, document: &str) -> Option<Owner> {
        let in_vault = || {
            let mut sources = self.settings.sources_of(document);
            let entry = sources.find_map(|source| self.vault.item_of_source(&source))?;
            self.vault.subject_of(&entry.hash).map(Owner::Known)
        };
        self.owners.get(document).copied().or_else(in_vault)
    }

    fn owner(&mut self, names: &[SubjectKey], element: &str) -> Result<Option<Owner>, Refusal> {
        if names.is_empty() {
            return Ok(None);
        }
        let mut owners: BTreeSet<Owner> =
            names.iter().filter_map(|name| self.names.get(name)).copied().collect();
        match self.vault.find(names) {
            Ok(found) => owners.extend(found.map(Owner::Known)),
            Err(VaultError::Conflict { subjects }) => return Err(conflict(element, subjects.len())),
            // Nothing else comes of a look-up in memory.
            Err(_) => {}
        }
        if owners.len() > 1 {
            return Err(conflict(element, owners.len()));
        }
        let owner = owners.first().copied().unwrap_or_else(|| {
            self.groups += 1;
            Owner::New(self.groups)
        });
        self.names.extend(names.iter().map(|name| (name.clone(), owner)));
        Ok(Some(owner))
    }

    /// Whether a rule of the document stands, or an ending of the same content was recorded before.
    fn has_to_end(&self, owner: Owner, draft: &RuleDraft) -> bool {
        if self.put.contains(&draft.origin.name) {
            return true;
        }
        if let Some(digest) = self.ended.get(&draft.origin.name) {
            return *digest == draft.origin.digest;
        }
        let Owner::Known(subject) = owner else { return false };
        let ended = ended_rules(self.vault, &subject);
        let trails = self.vault.trails(&subject).unwrap_or_default();
        let grantees: BTreeSet<Option<&ParticipantId>> =
            trails.iter().map(|trail| trail.grantee.as_ref()).chain([None]).collect();
        grantees.into_iter().any(|grantee| {
            let name = rule_source(&draft.origin.name, grantee);
            let before = self.vault.item_of_source(&format!("{name} ends"));
            let standing = self.vault.item_of_source(&name).and_then(|entry| entry.rule);
            before.is_some_and(|entry| entry.source_digest == draft.origin.digest)
                || standing.is_some_and(|rule| !ended.contains(&rule))
        })
    }
}
