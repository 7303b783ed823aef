//! The history: everything that was said and took effect, in the order of the log, and questions about it.
//!
//! Nothing is kept up to date here. There is one list of [`Deed`]s, and whoever wants to know something (was this
//! rule in force? who decides this block? does the key still speak?) goes through it from the beginning. Taking
//! something back is shortening the list.

use custos_proof::genesis::Genesis;
use custos_proof::hash::TrailKey;
use custos_proof::ids::{ParticipantId, Random16};
use custos_proof::keys::PublicKey;
use custos_proof::kinds::Fields;
use custos_proof::kinds::trail::Change;
use custos_proof::registry::{Policy, Role, Roles};
use custos_proof::submission::Author;

use super::calendar::FAR;
use super::spell;
use super::testimony::Verdict;
use super::tree::{Hash, tagged};

/// An act that took effect, or a statement that was recorded.
#[derive(Debug, Clone)]
pub(super) struct Deed {
    /// The index of its record; of an act by vote, that of the deciding vote's.
    pub(super) index: u64,
    pub(super) height: u64,
    /// The block's time.
    pub(super) time: u64,
    pub(super) author: Author,
    /// The item's hash and bytes.
    pub(super) item: Hash,
    pub(super) bytes: Vec<u8>,
    pub(super) fields: Fields,
    /// Carried out because the validators agreed on it; it has no record of its own.
    pub(super) voted: bool,
    pub(super) verdict: Verdict,
    /// The author's own id of a statement.
    pub(super) id: Option<Random16>,
    /// The subject's trail that it names.
    pub(super) about: Option<Hash>,
    /// The trails in which its record is listed, ascending.
    pub(super) listed: Vec<Hash>,
    /// The key that begins, and the one that ends with it.
    pub(super) begins: Option<Hash>,
    pub(super) ends: Option<Hash>,
    /// When what it lets fall due does so.
    pub(super) due_at: Option<u64>,
}

/// A block, as far as later ones look back at it. The first one is the genesis.
#[derive(Debug, Clone)]
pub(super) struct Past {
    pub(super) time: u64,
    pub(super) id: Hash,
}

/// A proposal that was closed.
#[derive(Debug, Clone)]
pub(super) struct Closing {
    pub(super) proposal: Random16,
    pub(super) height: u64,
    /// The number of its proposal-state.
    pub(super) state: u64,
    pub(super) reason: Option<&'static str>,
}

/// A nonce that was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Nonce {
    pub(super) author: Author,
    pub(super) bucket: u64,
    pub(super) nonce: Random16,
}

/// Where an obligation stands among the others: deadline, cause, rule.
pub(super) type Place = (u64, Hash, u32);

/// Everything until now.
#[derive(Debug, Clone)]
pub(super) struct History {
    pub(super) chain: Hash,
    pub(super) genesis: Genesis,
    /// The genesis' bytes, element by element.
    pub(super) parts: Vec<Vec<u8>>,
    pub(super) past: Vec<Past>,
    /// The block at hand.
    pub(super) height: u64,
    pub(super) time: u64,
    pub(super) deeds: Vec<Deed>,
    pub(super) closings: Vec<Closing>,
    pub(super) nonces: Vec<Nonce>,
    /// Facts of the chain that were recorded.
    pub(super) facts: Vec<Place>,
    /// Submissions that were recorded.
    pub(super) submissions: Vec<Hash>,
    /// The records, and their leaf hashes.
    pub(super) records: Vec<Vec<u8>>,
    pub(super) leaves: Vec<Hash>,
    /// Each listing: the trail, and the record's index.
    pub(super) listings: Vec<(Hash, u64)>,
}

/// What is known about a key.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) owner: Author,
    pub(super) key: PublicKey,
    pub(super) purpose: u64,
    /// The block that registered it; 0 for the genesis.
    pub(super) registered: u64,
    pub(super) valid_from: u64,
    pub(super) revoked: Option<u64>,
    pub(super) not_after: u64,
    pub(super) compromised_from: Option<u64>,
}

impl Key {
    /// Whether it speaks in a record at this index, in a block of this time.
    pub(super) fn speaks(&self, index: u64, time: u64) -> bool {
        self.valid_from <= index
            && self.revoked.is_none_or(|revoked| index < revoked)
            && time <= self.not_after
    }
}

/// A validator: participant, key, power.
pub(super) type Seat = (ParticipantId, PublicKey, u64);

/// The id of a key: the tagged hash of its COSE_Key.
pub(super) fn key_id(key: &PublicKey) -> Hash {
    tagged("custos/1/key", &[&[0xa3, 0x01, 0x01, 0x20, 0x06, 0x21, 0x58, 0x20], &key.0])
}

/// The key of a trail; `kind` is 1 subject, 2 institution, 3 permit, 4 registry.
pub(super) fn trail_key(kind: u64, owner: &ParticipantId, local_id: Option<&Hash>) -> Hash {
    let name = spell::array(&[
        spell::uint(kind),
        spell::text(owner.as_str()),
        spell::option(local_id.map(|id| spell::bytes(id))),
    ]);
    tagged("custos/1/trail", &[&name])
}

pub(super) fn subject_trail(custodian: &ParticipantId, local_id: &Hash) -> Hash {
    trail_key(1, custodian, Some(local_id))
}

pub(super) fn institution_trail(id: &ParticipantId) -> Hash {
    trail_key(2, id, None)
}

pub(super) fn permit_trail(body: &ParticipantId, permit: &Random16) -> Hash {
    trail_key(3, body, Some(&super::tree::sha(&[&permit.0])))
}

impl History {
    /// The index of the next record.
    pub(super) fn next_index(&self) -> u64 {
        self.leaves.len() as u64
    }

    pub(super) fn registry_trail(&self) -> Hash {
        trail_key(4, &self.genesis.registrar, None)
    }

    /// The time of a block up to the head.
    pub(super) fn time_at(&self, height: u64) -> Option<u64> {
        self.past.get(usize::try_from(height).ok()?).map(|past| past.time)
    }

    // Participants.

    /// The registration that counts: the last one.
    pub(super) fn roles(&self, id: &ParticipantId) -> Option<Roles> {
        let first = self.genesis.participants.iter().filter(|p| p.id == *id).map(|p| p.roles);
        let later = self.deeds.iter().filter_map(|deed| match &deed.fields {
            Fields::ParticipantRegister(f) | Fields::ParticipantUpdate(f) if f.id == *id => Some(f.roles),
            _ => None,
        });
        first.chain(later).last()
    }

    pub(super) fn is_registered(&self, id: &ParticipantId) -> bool {
        self.roles(id).is_some()
    }

    pub(super) fn has_role(&self, id: &ParticipantId, role: Role) -> bool {
        self.roles(id).is_some_and(|roles| roles.has(role))
    }

    /// The index of the record that suspended it.
    pub(super) fn suspended(&self, id: &ParticipantId) -> Option<u64> {
        let mut suspensions = self.deeds.iter().filter(|deed| match &deed.fields {
            Fields::ParticipantSuspend(f) => f.id == *id,
            _ => false,
        });
        suspensions.next().map(|deed| deed.index)
    }

    // Keys.

    /// A key of the registry, as of now.
    pub(super) fn key(&self, id: &Hash) -> Option<Key> {
        let first = self.genesis.keys.iter().find(|entry| key_id(&entry.key) == *id).map(|entry| Key {
            owner: Author::Participant(entry.owner.clone()),
            key: entry.key,
            purpose: entry.purpose.number(),
            registered: 0,
            valid_from: 0,
            revoked: None,
            not_after: FAR,
            compromised_from: None,
        });
        let mut key = first.or_else(|| {
            let deed = self.deeds.iter().find(|deed| deed.begins == Some(*id))?;
            let (owner, key, purpose) = match &deed.fields {
                Fields::KeyAdd(f) => (Author::Participant(f.owner.clone()), f.key, f.purpose.number()),
                Fields::KeyRotate(f) => {
                    let old = self.key(&f.old.0)?;
                    (old.owner, f.key, old.purpose)
                }
                Fields::ValidatorPut(f) => (Author::Participant(f.participant.clone()), f.key, 2),
                Fields::TrailAgent(f) => (Author::Subject(TrailKey(deed.about?)), f.key?, 1),
                _ => return None,
            };
            let (registered, valid_from) = (deed.height, deed.index + 1);
            let (revoked, not_after, compromised_from) = (None, FAR, None);
            Some(Key { owner, key, purpose, registered, valid_from, revoked, not_after, compromised_from })
        })?;
        for deed in &self.deeds {
            match &deed.fields {
                Fields::KeyRotate(f) if f.old.0 == *id => {
                    key.not_after = key.not_after.min(deed.time + f.overlap_ms);
                }
                Fields::KeyRevoke(f) if f.key.0 == *id => {
                    key.compromised_from = f.compromised_from.map(|from| from.0);
                }
                _ => {}
            }
            if deed.ends == Some(*id) && key.revoked.is_none() {
                key.revoked = Some(deed.index + 1);
            }
        }
        Some(key)
    }

    // Who decides.

    fn seats(&self, counts: impl Fn(&Deed) -> bool) -> Vec<Seat> {
        let consensus_key = |id: &ParticipantId| {
            let mut keys = self.genesis.keys.iter().filter(|k| k.owner == *id && k.purpose.number() == 2);
            keys.next().map(|entry| entry.key)
        };
        let listed = self.genesis.validators.iter();
        let mut seats: Vec<Seat> = listed
            .filter_map(|v| Some((v.participant.clone(), consensus_key(&v.participant)?, v.power)))
            .collect();
        for deed in self.deeds.iter().filter(|deed| counts(deed)) {
            match &deed.fields {
                Fields::ValidatorPut(f) => {
                    seats.retain(|seat| seat.0 != f.participant);
                    seats.push((f.participant.clone(), f.key, f.power));
                }
                Fields::ValidatorRemove(f) => seats.retain(|seat| seat.0 != f.participant),
                _ => {}
            }
        }
        seats.sort_by_key(|seat| seat.1);
        seats
    }

    /// The validators that decide the block at hand.
    pub(super) fn deciding(&self) -> Vec<Seat> {
        self.deciding_at(self.height)
    }

    pub(super) fn deciding_at(&self, height: u64) -> Vec<Seat> {
        self.seats(|deed| deed.height < height)
    }

    /// The validators that decide the next block, as far as it is known by now.
    pub(super) fn next_seats(&self) -> Vec<Seat> {
        self.seats(|_| true)
    }

    pub(super) fn decides(&self, id: &ParticipantId) -> bool {
        self.deciding().iter().any(|seat| seat.0 == *id)
    }

    pub(super) fn will_decide(&self, id: &ParticipantId) -> bool {
        self.next_seats().iter().any(|seat| seat.0 == *id)
    }

    // Policy and protocol.

    /// Policies that were agreed on: the block, the first block of each, and it.
    fn agreed_policies(&self) -> impl Iterator<Item = (u64, u64, &Deed, &Policy)> {
        self.deeds.iter().filter_map(|deed| match &deed.fields {
            Fields::PolicySet(f) => Some((deed.height, f.effective.0.max(deed.height + 1), deed, &f.policy)),
            _ => None,
        })
    }

    /// The act that set the policy in force at a height; none when it is still the genesis'.
    pub(super) fn policy_deed(&self, height: u64) -> Option<(&Deed, &Policy)> {
        let all: Vec<_> = self.agreed_policies().collect();
        // One that was agreed on before another began took its place.
        let mut began = all.iter().enumerate().filter(|(i, (_, begins, ..))| {
            *begins <= height && !all[i + 1..].iter().any(|(agreed, ..)| agreed < begins)
        });
        began.next_back().map(|(_, (_, _, deed, policy))| (*deed, *policy))
    }

    /// The policy in force at a height.
    pub(super) fn policy_at(&self, height: u64) -> &Policy {
        self.policy_deed(height).map_or(&self.genesis.policy, |(_, policy)| policy)
    }

    /// The policy in force in the block at hand.
    pub(super) fn policy(&self) -> &Policy {
        self.policy_at(self.height)
    }

    /// What was agreed on and has not begun.
    pub(super) fn next_policy(&self) -> Option<&Deed> {
        let last = self.agreed_policies().last()?;
        (last.1 > self.height).then_some(last.2)
    }

    /// The protocol version of the block at hand, and the one to come with its height.
    pub(super) fn protocol(&self) -> (u64, Option<(u64, u64)>) {
        let (mut version, mut to_come) = (self.genesis.protocol, None);
        for deed in &self.deeds {
            if let Fields::ProtocolUpgrade(f) = &deed.fields {
                if let Some((next, _)) = to_come.take_if(|(_, begins)| *begins <= deed.height) {
                    version = next;
                }
                to_come = (f.version > version).then_some((f.version, f.height.0));
            }
        }
        if let Some((next, _)) = to_come.take_if(|(_, begins)| *begins <= self.height) {
            version = next;
        }
        (version, to_come)
    }

    // Subject trails.

    /// The act that opened a trail.
    pub(super) fn opening(&self, trail: &Hash) -> Option<&Deed> {
        self.deeds
            .iter()
            .find(|deed| matches!(deed.fields, Fields::TrailOpen(_)) && deed.about == Some(*trail))
    }

    /// Grantee and epoch of a trail that was opened.
    pub(super) fn opened(&self, trail: &Hash) -> Option<(Option<&ParticipantId>, u64)> {
        match &self.opening(trail)?.fields {
            Fields::TrailOpen(f) => Some((f.grantee.as_ref(), u64::from(f.epoch))),
            _ => None,
        }
    }

    /// The block that closed a trail.
    pub(super) fn closed(&self, trail: &Hash) -> Option<u64> {
        let mut closing = self.deeds.iter().filter(|deed| matches!(deed.fields, Fields::TrailClose(_)));
        closing.find(|deed| deed.about == Some(*trail)).map(|deed| deed.height)
    }

    /// The act that put a rule into a trail.
    pub(super) fn rule(&self, trail: &Hash, rule: &Random16) -> Option<&Deed> {
        self.deeds.iter().find(|deed| match &deed.fields {
            Fields::RulePut(f) => f.rule == *rule && deed.about == Some(*trail),
            _ => false,
        })
    }

    /// The block that ended a rule of a trail.
    pub(super) fn rule_ended(&self, trail: &Hash, rule: &Random16) -> Option<u64> {
        let mut ending = self.deeds.iter().filter(|deed| match &deed.fields {
            Fields::RulePut(f) => deed.about == Some(*trail) && f.ends.contains(rule),
            _ => false,
        });
        ending.next().map(|deed| deed.height)
    }

    /// Since when, and until when, somebody is an agent of a trail, by what was said last.
    pub(super) fn agent(&self, trail: &Hash, agent: &ParticipantId) -> Option<(u64, Option<u64>)> {
        let mut found = None;
        for deed in self.deeds.iter().filter(|deed| deed.about == Some(*trail)) {
            if let Fields::TrailAgent(f) = &deed.fields
                && f.agent.as_ref() == Some(agent)
            {
                found = match f.change {
                    Change::Add => Some((deed.height, None)),
                    Change::Remove => found.map(|(since, _)| (since, Some(deed.height))),
                };
            }
        }
        found
    }

    /// How many records a trail lists.
    pub(super) fn trail_size(&self, trail: &Hash) -> u64 {
        self.listings.iter().filter(|(listed, _)| listed == trail).count() as u64
    }

    // Holds.

    /// The act that set a hold.
    pub(super) fn hold(&self, custodian: &ParticipantId, hold: &Random16) -> Option<&Deed> {
        self.deeds.iter().find(|deed| match &deed.fields {
            Fields::HoldSet(f) => f.hold == *hold && f.custodian == *custodian,
            _ => false,
        })
    }

    /// The block that lifted a hold.
    pub(super) fn lifted(&self, custodian: &ParticipantId, hold: &Random16) -> Option<u64> {
        let mut lifting = self.deeds.iter().filter(|deed| match &deed.fields {
            Fields::HoldLift(f) => f.hold == *hold && f.custodian == *custodian,
            _ => false,
        });
        lifting.next().map(|deed| deed.height)
    }

    /// What a hold is on.
    pub(super) fn held_trail(custodian: &ParticipantId, local_id: Option<&Hash>) -> Hash {
        match local_id {
            Some(local_id) => subject_trail(custodian, local_id),
            None => institution_trail(custodian),
        }
    }

    /// How many holds are on a trail, or on an institution by its trail.
    pub(super) fn holds(&self, trail: &Hash) -> u64 {
        let mut holds = 0;
        for deed in &self.deeds {
            if let Fields::HoldSet(f) = &deed.fields
                && Self::held_trail(&f.custodian, f.local_id.as_ref().map(|id| &id.0)) == *trail
                && self.lifted(&f.custodian, &f.hold).is_none()
            {
                holds += 1;
            }
        }
        holds
    }

    // Statements.

    /// The first statement of an author under an id.
    pub(super) fn statement(&self, author: &Author, id: &Random16) -> Option<&Deed> {
        self.deeds.iter().find(|deed| deed.id == Some(*id) && deed.author == *author)
    }

    /// The last number of a stream.
    pub(super) fn stream(&self, author: &Author, stream: u32) -> u64 {
        let numbers = self.deeds.iter().filter_map(|deed| match &deed.fields {
            Fields::AccessEvent(f) if f.stream == stream && deed.author == *author => Some(f.sequence),
            _ => None,
        });
        numbers.max().unwrap_or(0)
    }
}
