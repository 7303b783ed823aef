//! What participants call themselves, in the reader's language where they say so.
//!
//! Names come from the registry; whoever is not known keeps the id. A name is foreign text and is
//! cleaned when it is said.

use std::collections::BTreeMap;

use custos_proof::genesis::Genesis;
use custos_proof::ids::ParticipantId;
use custos_proof::submission::Author;

use crate::catalogue::Speaker;
use crate::event::Listener;
use crate::say;

/// One participant's names, and where it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Name {
    /// The name; absent for a natural person.
    pub name: Option<String>,
    /// Names for display, by language tag.
    pub by_language: Vec<(String, String)>,
    /// ISO 3166-1 alpha-2, or `EU`.
    pub jurisdiction: Option<String>,
}

/// The names of all participants that are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names(BTreeMap<ParticipantId, Name>);

impl Names {
    /// Adds a participant's names.
    pub fn add(&mut self, id: ParticipantId, name: Name) {
        self.0.insert(id, name);
    }

    /// The names at the beginning of a chain.
    #[must_use]
    pub fn of_genesis(genesis: &Genesis) -> Self {
        let name = |p: &custos_proof::kinds::participant::Register| Name {
            name: p.name.as_ref().map(|name| name.to_string()),
            by_language: p
                .display_names
                .iter()
                .map(|shown| (shown.language.to_string(), shown.name.to_string()))
                .collect(),
            jurisdiction: Some(p.jurisdiction.to_string()),
        };
        Self(genesis.participants.iter().map(|p| (p.id.clone(), name(p))).collect())
    }

    /// The name in the speaker's language; else the name; else the id.
    #[must_use]
    pub fn of(&self, id: &ParticipantId, speaker: &Speaker) -> String {
        let Some(entry) = self.0.get(id) else { return id.to_string() };
        let primary = |tag: &str| tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
        let wanted = primary(speaker.language());
        let exact = entry.by_language.iter().find(|(tag, _)| tag.eq_ignore_ascii_case(speaker.language()));
        let close = || entry.by_language.iter().find(|(tag, _)| primary(tag) == wanted);
        let shown = exact.or_else(close).map(|(_, name)| name.clone());
        shown.or_else(|| entry.name.clone()).unwrap_or_else(|| id.to_string())
    }

    /// Whether the registry names this participant.
    #[must_use]
    pub fn knows(&self, id: &ParticipantId) -> bool {
        self.0.contains_key(id)
    }

    /// Where the participant is, if the registry says so.
    #[must_use]
    pub fn jurisdiction(&self, id: &ParticipantId) -> Option<&str> {
        self.0.get(id)?.jurisdiction.as_deref()
    }

    /// Who speaks.
    #[must_use]
    pub fn author(&self, author: &Author, listener: Listener, speaker: &Speaker) -> String {
        match author {
            Author::Participant(id) => self.of(id, speaker),
            Author::Subject(_) => say!(speaker, "author-subject", listener = listener.word()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    #[test]
    fn a_participant_is_named_in_the_readers_language() {
        let catalogue = Catalogue::default();
        let (english, german) = (catalogue.speaker("en").unwrap(), catalogue.speaker("de").unwrap());
        let id: ParticipantId = "hospital-a.example".parse().unwrap();
        let mut names = Names::default();
        assert_eq!(names.of(&id, &english), "hospital-a.example");
        let by_language = vec![("de-AT".to_owned(), "Krankenhaus A".to_owned())];
        names.add(id.clone(), Name { name: Some("Hospital A".into()), by_language, jurisdiction: None });
        assert_eq!(names.of(&id, &english), "Hospital A");
        assert_eq!(names.of(&id, &german), "Krankenhaus A");
    }
}
