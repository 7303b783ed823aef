//! The entries of a committed roster, and how an event's opening shows that somebody is on it.
//!
//! `roster.commit` has the RFC 6962 root over these entries; the entries never stand on the ledger. Each
//! has a salt of its own, so that neither the root nor a path beside an entry tells who else is listed. An
//! agent of an event carries its entry with its place ([`RosterPlace`]) and the path
//! ([`super::Agent::roster_path`]).
//!
//! Deliberately absent: how an organisation keeps its list.

use alloc::string::String;

use super::{Coding, Concept, Describe, Party};
use crate::cbor::{List, Wire as _, wire_struct};
use crate::hash::Digest;
use crate::merkle;

wire_struct! {
    /// One person on a roster: a leaf of its tree.
    pub struct RosterEntry = "roster-entry" {
        /// 32 random bytes, drawn for this entry.
        pub salt: Digest,
        /// Who.
        pub person: Party,
        /// In which roles.
        pub roles: List<Concept, 16>,
        /// What for, with everything below each; none: for every purpose.
        pub purposes: List<Coding, 32>,
        /// Groups to which they belong: a ward, those who may break the glass.
        pub groups: List<Party, 16>,
    }
}

wire_struct! {
    /// An entry and its place among the entries of a roster.
    pub struct RosterPlace {
        /// The place, from 0.
        pub index: u32,
        /// How many entries the roster has.
        pub size: u32,
        /// The entry.
        pub entry: RosterEntry,
    }
}

impl RosterEntry {
    /// The hash of the leaf.
    #[must_use]
    pub fn leaf(&self) -> Digest {
        merkle::leaf_hash(&self.to_bytes())
    }
}

impl RosterPlace {
    /// Whether `path` leads from the entry to the root of a committed roster.
    #[must_use]
    pub fn is_under(&self, path: &[Digest], root: &Digest) -> bool {
        merkle::verify_inclusion(&self.entry.leaf(), self.index.into(), self.size.into(), path, root)
    }
}

impl Describe for RosterPlace {
    fn describe(&self) -> String {
        self.entry.person.describe()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::sealed_values::Token;

    fn entry(number: u8) -> RosterEntry {
        RosterEntry {
            salt: Digest([number; 32]),
            person: Party {
                reference: Token::new(&alloc::format!("Practitioner/{number}")),
                ..Party::default()
            },
            roles: List::default(),
            purposes: List::default(),
            groups: List::default(),
        }
    }

    #[test]
    fn a_place_is_under_the_root_of_its_own_roster_only() {
        let entries: Vec<RosterEntry> = (0..5).map(entry).collect();
        let leaves: Vec<Digest> = entries.iter().map(RosterEntry::leaf).collect();
        let root = merkle::root_of(&leaves);
        for (index, entry) in (0u32..).zip(entries.iter()) {
            let path = merkle::path_of(&leaves, index.into()).unwrap();
            let place = RosterPlace { index, size: 5, entry: entry.clone() };
            assert_eq!(RosterPlace::from_bytes(&place.to_bytes()), Ok(place.clone()));
            assert!(place.is_under(&path, &root));
            let elsewhere = RosterPlace { index: (index + 1) % 5, ..place.clone() };
            assert!(!elsewhere.is_under(&path, &root));
            assert!(!RosterPlace { size: 9, ..place.clone() }.is_under(&path, &root));
            let mut salted = place.clone();
            salted.entry.salt = Digest([99; 32]);
            assert!(!salted.is_under(&path, &root));
            assert!(!place.is_under(&path, &Digest([1; 32])));
        }
    }
}
