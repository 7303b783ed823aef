//! An organisation's roster in a file: the entries behind the root that it committed to.
//!
//! A JSON list; each entry has `person` (an address, or a party with an identifier) and may have `roles`, `purposes`,
//! `groups` and, once it was committed to, `salt`. What is written is bounded as what is read, so that a list that is committed to
//! can be shown later. Whoever has the file can show for each person that they are on
//! the roster, and who is not; it is personal data and stays with the organisation.

use std::collections::BTreeSet;
use std::path::Path;

use custos_api::written::{ListBounds, read_list};
use custos_proof::cbor::{List, Wire as _};
use custos_proof::given::{Given, GivenError};
use custos_proof::hash::Digest;
use custos_proof::merkle;
use custos_proof::sealed_values::{Concept, Party, RosterEntry, RosterPlace};
use serde_json::{Value, json};

use crate::decision::{code, many, optional, party};
use crate::exit::{Failed, Outcome};
use crate::files;
use crate::hand_in::random;
use crate::render::json as render;

/// The longest roster, in bytes, as it is read and as it is written.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// The most entries of a roster.
const MAX_ENTRIES: usize = 100_000;
/// The most values of one entry, remarks included; one with as many of everything as an entry can have has about 400.
const MAX_VALUES: usize = 1024;
/// Where the form of the file is written down.
const FORM: &str = "`custos roster commit --help` shows the form";

/// The entries of a roster, in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct RosterFile {
    /// The entries.
    pub(crate) entries: Vec<RosterEntry>,
    /// Which of them have no salt yet. Where every entry has one, the file is one that was committed to.
    pub(crate) unsalted: Vec<usize>,
}

impl RosterFile {
    /// Reads a list that is to be committed to. Where a salt is missing, one is drawn.
    ///
    /// # Errors
    /// Also a person who is listed twice: decisions would look at one of the entries only.
    pub(crate) fn to_commit(path: &Path) -> Outcome<Self> {
        let mut roster = Self::read(path)?;
        if let Some(entry) = roster.listed_twice() {
            let who = render::of(&entry.person);
            return Err(Failed::unable(format!("{} lists a person twice: {who}", path.display()))
                .hint("give each person one entry, with all their roles, purposes and groups"));
        }
        for place in std::mem::take(&mut roster.unsalted) {
            let (one, two) = (random()?, random()?);
            if let Some(entry) = roster.entries.get_mut(place) {
                entry.salt.0[..16].copy_from_slice(&one);
                entry.salt.0[16..].copy_from_slice(&two);
            }
        }
        Ok(roster)
    }

    /// Reads a roster as it was committed to.
    pub(crate) fn committed(path: &Path) -> Outcome<Self> {
        let roster = Self::read(path)?;
        match roster.unsalted.is_empty() {
            true => Ok(roster),
            false => Err(Failed::unable(format!("{} has entries without a salt", path.display()))
                .hint("use the file that `custos roster commit --out` wrote")),
        }
    }

    fn read(path: &Path) -> Outcome<Self> {
        let bytes = files::read_up_to(path, MAX_BYTES as u64)?;
        Self::parse(&bytes).map_err(|error| Failed::unable(format!("{}: {error}", path.display())).hint(FORM))
    }

    /// The roster in the bytes of a file.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > MAX_BYTES {
            return Err(format!("longer than {} MiB", MAX_BYTES >> 20));
        }
        let mut roster = Self::default();
        let bounds = ListBounds { members: MAX_ENTRIES, values: MAX_VALUES };
        read_list(bytes, bounds, |said| {
            let (mut entry, salt) = entry(&said)?;
            match salt {
                Some(salt) => entry.salt = salt,
                None => roster.unsalted.push(roster.entries.len()),
            }
            roster.entries.push(entry);
            Ok(())
        })
        .map_err(|error| error.to_string())?;
        match roster.entries.is_empty() {
            true => Err("it lists nobody".into()),
            false => Ok(roster),
        }
    }

    /// The file that goes with the commitment, an entry in each line.
    pub(crate) fn to_file(&self) -> Outcome<Vec<u8>> {
        self.to_file_of(MAX_BYTES)
    }

    fn to_file_of(&self, most: usize) -> Outcome<Vec<u8>> {
        let mut text = String::from("[\n");
        for (place, entry) in self.entries.iter().enumerate() {
            text.push_str(if place == 0 { "" } else { ",\n" });
            text.push_str(&json(entry).to_string());
            if text.len() + 3 > most {
                let why =
                    "the list with its salts is longer than a roster may be, and could not be shown later";
                return Err(Failed::unable(format!("{why}: {most} bytes"))
                    .hint("commit to shorter entries, or to fewer of them"));
            }
        }
        text.push_str("\n]\n");
        Ok(text.into_bytes())
    }

    /// The entry of a person who has another one before it.
    fn listed_twice(&self) -> Option<&RosterEntry> {
        let mut known = BTreeSet::new();
        self.entries.iter().find(|entry| {
            let person = &entry.person;
            let by_reference = person.reference.as_ref().map(|reference| (0u8, reference.to_bytes()));
            let by_identifier = person.identifier.as_ref().map(|identifier| (1u8, identifier.to_bytes()));
            let names: Vec<_> = [by_reference, by_identifier].into_iter().flatten().collect();
            let is_known = names.iter().any(|name| known.contains(name));
            known.extend(names);
            is_known
        })
    }

    /// The root over the entries.
    pub(crate) fn root(&self) -> Digest {
        merkle::root_of(&self.leaves())
    }

    fn leaves(&self) -> Vec<Digest> {
        self.entries.iter().map(RosterEntry::leaf).collect()
    }

    /// The place of a person, and the path from there to the root.
    pub(crate) fn place(&self, who: &Party) -> Option<(RosterPlace, List<Digest, 64>)> {
        let is_who = |entry: &RosterEntry| {
            (who.reference.is_some() && who.reference == entry.person.reference)
                || (who.identifier.is_some() && who.identifier == entry.person.identifier)
        };
        let index = self.entries.iter().position(is_who)?;
        let path = List::new(merkle::path_of(&self.leaves(), index as u64)?)?;
        let place = RosterPlace {
            index: u32::try_from(index).ok()?,
            size: u32::try_from(self.entries.len()).ok()?,
            entry: self.entries.get(index)?.clone(),
        };
        Some((place, path))
    }
}

fn json(entry: &RosterEntry) -> Value {
    json!({
        "salt": entry.salt.to_string(),
        "person": render::of(&entry.person),
        "roles": entry.roles.iter().filter_map(|role| role.codings.first().map(render::of)).collect::<Vec<_>>(),
        "purposes": entry.purposes.iter().map(render::of).collect::<Vec<_>>(),
        "groups": entry.groups.iter().map(render::of).collect::<Vec<_>>(),
    })
}

fn entry(said: &Given) -> Result<(RosterEntry, Option<Digest>), GivenError> {
    let named = said.fields(&["salt", "person", "roles", "purposes", "groups"])?;
    let too_many = |what: &str| GivenError::expected(format!("fewer {what}"), said);
    let role = |said: &Given| -> Result<Concept, GivenError> {
        let codings = List::new(vec![code(said)?]).ok_or_else(|| too_many("codes"))?;
        Ok(Concept { codings, text: None })
    };
    let salt = named.field("salt", |said| optional(said, Digest::from_given))?;
    let entry = RosterEntry {
        salt: Digest::ZERO,
        person: named.field("person", person)?,
        roles: List::new(named.field("roles", |said| many(said, role))?).ok_or_else(|| too_many("roles"))?,
        purposes: List::new(named.field("purposes", |said| many(said, code))?)
            .ok_or_else(|| too_many("purposes"))?,
        groups: List::new(named.field("groups", |said| many(said, party))?)
            .ok_or_else(|| too_many("groups"))?,
    };
    Ok((entry, salt))
}

/// Somebody who can be told from others; an entry for nobody would be found for nobody.
fn person(said: &Given) -> Result<Party, GivenError> {
    let person = party(said)?;
    let is_identified = person.identifier.as_ref().is_some_and(|identifier| identifier.value.is_some());
    match person.reference.is_some() || is_identified {
        true => Ok(person),
        false => Err(GivenError::expected("an address, or a party with a reference or an identifier", said)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(list: &str) -> Result<RosterFile, String> {
        RosterFile::parse(list.as_bytes())
    }

    fn people(count: usize) -> String {
        let people: Vec<_> =
            (0..count).map(|number| format!(r#"{{"person":"Practitioner/{number}"}}"#)).collect();
        format!("[{}]", people.join(","))
    }

    /// With its salts a list is some times as long as without: what may be committed to can be shown later.
    #[test]
    fn a_roster_of_thirty_thousand_is_read_again_as_it_is_kept() {
        let roster = parse(&people(30_000)).unwrap();
        let kept = roster.to_file().unwrap();
        assert!(kept.len() > 4 * 1024 * 1024, "{}", kept.len());
        let again = RosterFile::parse(&kept).unwrap();
        assert_eq!((again.entries == roster.entries, again.unsalted.len()), (true, 0));
        assert!(parse(&people(MAX_ENTRIES + 1)).unwrap_err().contains("more than 100000"));
    }

    #[test]
    fn a_list_that_could_not_be_shown_later_is_not_committed_to() {
        let roster = parse(&people(9)).unwrap();
        let length = roster.to_file().unwrap().len();
        assert!(roster.to_file_of(length).is_ok());
        assert!(roster.to_file_of(length - 1).unwrap_err().message.contains("could not be shown later"));
    }

    #[test]
    fn a_person_stands_on_a_roster_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("staff.json");
        let commit = |list: &str| {
            std::fs::write(&file, list).unwrap();
            RosterFile::to_commit(&file).map(|roster| roster.entries.len()).map_err(|failed| failed.message)
        };
        let card = r#"{"identifier":{"system":"urn:oid:1.2","value":"7"}}"#;
        assert_eq!(commit(&format!(r#"[{{"person":"Practitioner/1"}},{{"person":{card}}}]"#)), Ok(2));
        for twice in [
            r#"[{"person":"Practitioner/1"},{"person":{"reference":"Practitioner/1","display":"N."}}]"#
                .to_owned(),
            format!(r#"[{{"person":{card}}},{{"person":"Practitioner/1"}},{{"person":{card}}}]"#),
        ] {
            let refused = commit(&twice).unwrap_err();
            assert!(refused.contains("lists a person twice"), "{refused}");
        }
    }

    #[test]
    fn what_an_entry_says_is_said_once_and_for_somebody() {
        for (list, why) in [
            (r#"[{"person":"Practitioner/1","roles":[],"roles":["nurse"]}]"#, "\"roles\" stands twice"),
            (r#"[{"person":"Practitioner/1","rolls":[]}]"#, "0: expected one of the names"),
            (r#"[{"person":"Practitioner/1"},{}]"#, "1.person: expected"),
            (r#"[{"person":{"display":"N. N."}}]"#, "0.person: expected an address"),
            (r#"[{"person":{"identifier":{"system":"urn:oid:1.2"}}}]"#, "0.person: expected an address"),
            (r#"[{"person":"Practitioner/1","salt":"00"}]"#, "0.salt: expected 64"),
            (r#"[{"person":"Practitioner/1","purposes":["NONSENSE"]}]"#, "0.purposes.0: expected a code"),
            ("[]", "lists nobody"),
            ("{}", "expected a list"),
        ] {
            let refused = parse(list).unwrap_err();
            assert!(refused.contains(why), "{list}: {refused}");
        }
    }
}
