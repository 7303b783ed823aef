//! An organisation's roster in a file: the entries behind the root that it committed to.
//!
//! A JSON list; each entry has `person` (an address, or a party with an identifier) and may have `roles`, `purposes`,
//! `groups` and, once it was committed to, `salt`. Whoever has the file can show for each person that they are on
//! the roster, and who is not; it is personal data and stays with the organisation.

use std::path::Path;

use custos_proof::cbor::{List, Wire as _};
use custos_proof::given::{Given, GivenError};
use custos_proof::hash::Digest;
use custos_proof::merkle;
use custos_proof::sealed_values::{Concept, Party, RosterEntry, RosterPlace};
use serde_json::{Value, json};

use crate::decision::{code, document, in_file, many, optional, party};
use crate::exit::{Failed, Outcome};
use crate::hand_in::random;
use crate::render::json as render;

/// The most entries of a roster.
const MAX_ENTRIES: usize = 100_000;

/// The entries of a roster, in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct RosterFile {
    /// The entries.
    pub(crate) entries: Vec<RosterEntry>,
    /// Whether every entry had its salt: then the file is one that was committed to.
    pub(crate) is_salted: bool,
}

impl RosterFile {
    /// Reads a roster. Where a salt is missing, one is drawn.
    pub(crate) fn read(path: &Path) -> Outcome<Self> {
        let said = document(path)?;
        let list = said.list(MAX_ENTRIES).map_err(|error| in_file(path, &error))?;
        let mut is_salted = true;
        let mut entries = Vec::new();
        for (place, said) in list.iter().enumerate() {
            let (mut entry, salt) =
                entry(said).map_err(|error| in_file(path, &error.within(&place.to_string())))?;
            match salt {
                Some(salt) => entry.salt = salt,
                None => {
                    is_salted = false;
                    let (one, two): ([u8; 16], [u8; 16]) = (random()?, random()?);
                    entry.salt.0[..16].copy_from_slice(&one);
                    entry.salt.0[16..].copy_from_slice(&two);
                }
            }
            entries.push(entry);
        }
        match entries.is_empty() {
            true => Err(Failed::unable(format!("{} lists nobody", path.display()))),
            false => Ok(Self { entries, is_salted }),
        }
    }

    /// A roster as it was committed to.
    pub(crate) fn committed(path: &Path) -> Outcome<Self> {
        let roster = Self::read(path)?;
        match roster.is_salted {
            true => Ok(roster),
            false => Err(Failed::unable(format!("{} has entries without a salt", path.display()))
                .hint("use the file that `custos roster commit --out` wrote")),
        }
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

    /// The file that goes with the commitment.
    pub(crate) fn json(&self) -> Value {
        let entry = |entry: &RosterEntry| {
            json!({
                "salt": entry.salt.to_string(),
                "person": render::of(&entry.person),
                "roles": entry.roles.iter().filter_map(|role| role.codings.first().map(render::of)).collect::<Vec<_>>(),
                "purposes": entry.purposes.iter().map(render::of).collect::<Vec<_>>(),
                "groups": entry.groups.iter().map(render::of).collect::<Vec<_>>(),
            })
        };
        Value::Array(self.entries.iter().map(entry).collect())
    }
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
        person: named.field("person", party)?,
        roles: List::new(named.field("roles", |said| many(said, role))?).ok_or_else(|| too_many("roles"))?,
        purposes: List::new(named.field("purposes", |said| many(said, code))?)
            .ok_or_else(|| too_many("purposes"))?,
        groups: List::new(named.field("groups", |said| many(said, party))?)
            .ok_or_else(|| too_many("groups"))?,
    };
    Ok((entry, salt))
}
