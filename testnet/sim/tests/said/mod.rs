//! What is said in a random history: every kind, by anybody, about anything that is there.

use custos_proof::cbor::List;
use custos_proof::hash::{Digest, ItemHash};
use custos_proof::ids::{Random16, TimeMs};
use custos_proof::item::item_hash;
use custos_proof::kinds::Class;
use custos_proof::registry::Role;
use custos_proof::submission::{Author, Verified};
use custos_proof::trail::TrailName;

use super::common::*;

mod acts;
mod statements;

const BODY: &str = "access-body";
const USER: &str = "institute";
const AGENT: &str = "agent";
/// Everybody, and somebody who is not there.
const NAMES: [&str; 11] = [
    "hospital-a",
    "hospital-b",
    "hospital-c",
    "hospital-d",
    CLINIC,
    AUDITOR,
    REGISTRY,
    BODY,
    USER,
    AGENT,
    "nobody",
];
const DAY: u64 = 86_400_000;

/// Numbers that follow from a seed (splitmix64).
pub(crate) struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
    fn below(&mut self, n: usize) -> usize {
        (self.roll() % n.max(1) as u64) as usize
    }
    /// Once in `n` times.
    fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }
    /// One of these, mostly a recent one; seldom something else.
    fn known<T: Clone>(&mut self, all: &[T], else_: T) -> T {
        if all.is_empty() || self.once_in(12) {
            return else_;
        }
        let recent = all.len() - all.len().min(6);
        if self.once_in(4) { self.of(all) } else { self.of(&all[recent..]) }
    }
}

/// A trail that somebody opened, or wanted to.
#[derive(Clone)]
struct Trail {
    custodian: &'static str,
    local_id: Digest,
    grantee: Option<&'static str>,
}

/// What was said so far, whatever became of it.
pub(crate) struct World {
    pub(crate) chain: Chain,
    dice: Dice,
    trails: Vec<Trail>,
    rules: Vec<(Digest, Random16)>,
    events: Vec<Random16>,
    declarations: Vec<(Random16, &'static str, &'static str)>,
    transfers: Vec<(Random16, &'static str, &'static str)>,
    permits: Vec<Random16>,
    jobs: Vec<Random16>,
    records: Vec<Random16>,
    proposals: Vec<Random16>,
    holds: Vec<(&'static str, Random16, Option<Digest>)>,
    disputes: Vec<(Random16, &'static str)>,
    notarised: Vec<ItemHash>,
    /// Items that were sent, and by whom.
    sent: Vec<(&'static str, Class, Vec<u8>)>,
    submissions: Vec<Verified>,
    /// Keys that were added, by name, and whose.
    keys: Vec<(&'static str, String)>,
}

impl World {
    pub(crate) fn new() -> Self {
        let others: [(&str, &[Role]); 3] =
            [(BODY, &[Role::AccessBody]), (USER, &[Role::DataUser]), (AGENT, &[Role::Agent])];
        let mut genesis = genesis_with("random histories", BEGIN, &others);
        genesis.policy.retention_days = List::new(vec![20, 3_650, 10_950]).unwrap();
        genesis.policy.transfer_ms = 3 * DAY;
        genesis.policy.max_nonces = 40;
        Self {
            chain: Chain::from_genesis(genesis),
            dice: Dice(0),
            trails: vec![],
            rules: vec![],
            events: vec![],
            declarations: vec![],
            transfers: vec![],
            permits: vec![],
            jobs: vec![],
            records: vec![],
            proposals: vec![],
            holds: vec![],
            disputes: vec![],
            notarised: vec![],
            sent: vec![],
            submissions: vec![],
            keys: vec![],
        }
    }

    /// What is said in the next block.
    pub(crate) fn block(&mut self, roll: u64) -> Vec<Verified> {
        self.dice = Dice(roll);
        self.chain.pace_ms = match self.dice.below(60) {
            0 => 200 * DAY,
            1..=2 => 9 * DAY,
            3..=6 => 2 * DAY,
            7..=14 => 20 * 60_000,
            _ => 1000,
        };
        (0..2 + self.dice.below(8)).map(|_| self.submission()).collect()
    }

    fn submission(&mut self) -> Verified {
        if !self.submissions.is_empty() && self.dice.once_in(40) {
            return self.dice.of(&self.submissions);
        }
        let mut author = self.dice.of(&NAMES[..10]);
        let class = if self.dice.once_in(2) { Class::Act } else { Class::Testimony };
        let mut items = Vec::new();
        if !self.sent.is_empty() && self.dice.once_in(12) {
            // Sent again: by the same author, or by another one.
            let (by, class, bytes) = self.dice.of(&self.sent);
            author = if self.dice.once_in(2) { by } else { author };
            let again = self.chain.draft(author, class, vec![bytes]).sign();
            return self.keep(again);
        }
        // Acts are admitted together or not at all: several of them seldom are.
        let count =
            1 + if class == Class::Testimony || self.dice.once_in(6) { self.dice.below(3) } else { 0 };
        for _ in 0..count {
            let (suggested, fields) = match class {
                Class::Act => self.act(author),
                Class::Testimony => self.statement(author),
            };
            // Mostly somebody who may say it.
            author = if items.is_empty() && !self.dice.once_in(10) { suggested } else { author };
            let bytes = self.chain.item(fields);
            self.sent.push((author, class, bytes.clone()));
            if class == Class::Act {
                self.notarised.push(item_hash(&bytes));
            }
            items.push(bytes);
        }
        let mut letter = self.chain.draft(author, class, items);
        match self.dice.below(60) {
            0 => letter.not_after = TimeMs(self.chain.next_time().0 - 1),
            1 => letter.not_after = self.chain.next_time().plus(3_600_001),
            2 => letter.not_after = self.chain.next_time(),
            3 => letter.class = if class == Class::Act { Class::Testimony } else { Class::Act },
            4 => letter.chain.0[0] ^= 1,
            5 => letter.key = key("a key of nobody"),
            6 => letter.key = key(&format!("{author} consensus")),
            7 => letter.author = Author::Participant(id("nobody")),
            8..=12 if !self.keys.is_empty() => letter.key = key(&self.dice.of(&self.keys).1),
            13..=16 if !self.trails.is_empty() => {
                let trail = self.dice.of(&self.trails);
                let name = TrailName::subject(&id(trail.custodian), trail.local_id).key();
                letter.author = Author::Subject(name);
                letter.key = key(&format!("subject of {name}"));
            }
            _ => {}
        }
        let signed = letter.sign();
        self.keep(signed)
    }

    fn keep(&mut self, submission: Verified) -> Verified {
        self.submissions.push(submission.clone());
        submission
    }

    fn name(&mut self) -> &'static str {
        if self.dice.once_in(25) { "nobody" } else { self.dice.of(&NAMES[..10]) }
    }

    fn custodian(&mut self) -> &'static str {
        if self.dice.once_in(10) { self.name() } else { self.dice.of(&HOSPITALS[..3]) }
    }

    fn new_key(&mut self, owner: &'static str) -> String {
        let name = format!("key {}", self.keys.len());
        self.keys.push((owner, name.clone()));
        name
    }

    fn fresh(&mut self) -> Random16 {
        self.chain.random16()
    }

    fn trail(&mut self) -> Trail {
        let other = Trail { custodian: "hospital-a", local_id: Digest([3; 32]), grantee: None };
        self.dice.known(&self.trails, other)
    }

    fn event_id(&mut self) -> Random16 {
        let new = self.fresh();
        let event = if self.dice.once_in(15) { self.dice.known(&self.events, new) } else { new };
        self.events.push(event);
        event
    }
}
