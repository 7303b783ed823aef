//! The rules for linkage over a whole history: what stands in clear in two subjects' trails.
//!
//! Every string and number in the items and records of subjects' trails is looked at, whatever field it is in, so that
//! a field that is added tomorrow is looked at, too.

use std::collections::{BTreeMap, BTreeSet};

use custos_proof::hash::TrailKey;
use custos_proof::ids::ParticipantId;
use custos_proof::kinds::{Fields, Kind};

use super::calendar::{FAR, begins_quarter};
use super::finding::What;
use super::history::{History, institution_trail, permit_trail};
use super::spell::{Atom, atoms, hex};
use super::tree::Hash;

/// Numbers below this are heights, indexes, positions, sequence numbers, years and members of closed vocabularies:
/// shared by all that happens at a time, or by too many to say whose.
const COUNTERS: u64 = 1 << 20;

/// The first value that links two trails: the height and item at which it occurs again.
pub(super) fn judge(h: &History) -> Result<(), (u64, Hash, What)> {
    let exempt = Exempt::of(h);
    let mut seen: BTreeMap<Atom, Hash> = BTreeMap::new();
    for deed in h.deeds.iter().filter(|deed| !deed.voted) {
        let Some(trail) = deed.about.filter(|trail| deed.listed.contains(trail)) else { continue };
        let record = &h.records[deed.index as usize];
        for atom in atoms(record).into_iter().chain(atoms(&deed.bytes)) {
            if exempt.covers(&atom) {
                continue;
            }
            let first = *seen.entry(atom.clone()).or_insert(trail);
            if first != trail {
                let value = match &atom {
                    Atom::Number(number) => number.to_string(),
                    Atom::Bytes(bytes) => hex(bytes),
                    Atom::Text(text) => text.clone(),
                };
                let what = What::Linked { value, first: TrailKey(first), second: TrailKey(trail) };
                return Err((deed.height, deed.item, what));
            }
        }
    }
    Ok(())
}

/// What may occur in two subjects' trails, and why.
struct Exempt {
    /// Registry ids, and the names of kinds.
    words: BTreeSet<String>,
    /// Registry ids again, as the keys of institutions' trails; permits, by id and trail; envelopes, which may carry
    /// items of several subjects.
    hashes: BTreeSet<Vec<u8>>,
    /// Block times: everybody's in that block.
    times: BTreeSet<u64>,
}

impl Exempt {
    fn of(h: &History) -> Self {
        let mut ids: Vec<&ParticipantId> = h.genesis.participants.iter().map(|p| &p.id).collect();
        let mut hashes: BTreeSet<Vec<u8>> = h.submissions.iter().map(|id| id.to_vec()).collect();
        for deed in &h.deeds {
            match &deed.fields {
                Fields::ParticipantRegister(f) => ids.push(&f.id),
                Fields::PermitIssue(f) => {
                    hashes.insert(f.permit.0.to_vec());
                    let body = deed.author.as_participant();
                    hashes.extend(body.map(|body| permit_trail(body, &f.permit).to_vec()));
                }
                _ => {}
            }
        }
        hashes.extend(ids.iter().map(|id| institution_trail(id).to_vec()));
        let kinds = Kind::ALL.iter().map(|kind| kind.name().to_owned());
        Self {
            words: ids.iter().map(|id| id.as_str().to_owned()).chain(kinds).collect(),
            hashes,
            times: h.past.iter().map(|past| past.time).chain([h.time, FAR]).collect(),
        }
    }

    fn covers(&self, atom: &Atom) -> bool {
        match atom {
            Atom::Text(word) => self.words.contains(word),
            Atom::Number(number) => {
                *number < COUNTERS || self.times.contains(number) || begins_quarter(*number)
            }
            Atom::Bytes(bytes) => self.hashes.contains(bytes),
        }
    }
}
