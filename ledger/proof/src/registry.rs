//! The entries of the state map: everything that `apply` reads, as it is hashed.
//!
//! A key of the map is `SHA-256(tag || CBOR [namespace, ...])` and a value is the deterministic
//! CBOR of one of the structures here. Proofs of them ride in receipts (an author's key) and trail
//! proofs (a trail's size and root). Only the head's version of the map is kept.

use alloc::format;
use alloc::vec::Vec;
use core::fmt;

use crate::cbor::{Ascii, DecodeError, List, Reader, Text, View, Wire, Writer, wire_struct};
use crate::given::{Form, Given, GivenError};
use crate::hash::{Digest, ItemHash, KeyId, StateKey, Tag, TrailKey, tagged};
use crate::ids::{Height, LogIndex, ParticipantId, Random16, TimeMs};
use crate::keys::{KeyPurpose, PublicKey};
use crate::kinds::access::Retention;
use crate::kinds::participant::DisplayName;
use crate::seal::Seal;
use crate::submission::Author;

mod life;

pub use life::*;

fn state_key(namespace: &str, parts: &[&dyn Fn(&mut Writer)]) -> StateKey {
    let mut w = Writer::new();
    w.array(parts.len() + 1);
    w.text(namespace);
    parts.iter().for_each(|part| part(&mut w));
    tagged(Tag::StateKey, &[&w.into_bytes()]).into()
}

/// Where a trail's [`TrailHead`] stands.
#[must_use]
pub fn trail_key(trail: &TrailKey) -> StateKey {
    state_key("trail", &[&|w| trail.write(w)])
}

/// Where a subject trail's [`SubjectTrail`] stands.
#[must_use]
pub fn subject_key(trail: &TrailKey) -> StateKey {
    state_key("subject", &[&|w| trail.write(w)])
}

/// Where a participant's [`Participant`] stands.
#[must_use]
pub fn participant_key(id: &ParticipantId) -> StateKey {
    state_key("participant", &[&|w| id.write(w)])
}

/// Where a key's [`KeyEntry`] stands.
#[must_use]
pub fn key_key(id: &KeyId) -> StateKey {
    state_key("key", &[&|w| id.write(w)])
}

/// Where the [`Policy`] stands.
#[must_use]
pub fn policy_key() -> StateKey {
    state_key("policy", &[])
}

/// Where the validators of the next height ([`crate::certificate::ValidatorSet`]) stand.
#[must_use]
pub fn validators_key() -> StateKey {
    state_key("validators", &[])
}

/// Where a rule's [`RuleStatus`] stands.
#[must_use]
pub fn rule_key(trail: &TrailKey, rule: &Random16) -> StateKey {
    state_key("rule", &[&|w| trail.write(w), &|w| rule.write(w)])
}

/// Where the [`Bucket`] of an author's live nonces with one expiry stands.
#[must_use]
pub fn nonce_key(author: &Author, bucket: u64) -> StateKey {
    state_key("nonce", &[&|w| author.write(w), &|w| bucket.write(w)])
}

/// Where the [`Bucket`] of an author's event ids of one calendar year of block time stands.
#[must_use]
pub fn event_key(author: &Author, year: u64) -> StateKey {
    state_key("event", &[&|w| author.write(w), &|w| year.write(w)])
}

/// Where the last number (`u64`) of an author's stream stands.
#[must_use]
pub fn stream_key(author: &Author, stream: u32) -> StateKey {
    state_key("stream", &[&|w| author.write(w), &|w| stream.write(w)])
}

wire_struct! {
    /// How far a trail has grown.
    pub struct TrailHead {
        /// How many records it lists.
        pub size: u64,
        /// Their RFC 6962 root.
        pub root: Digest,
    }
}

wire_struct! {
    /// A subject's trail, opened by its custodian.
    pub struct SubjectTrail {
        /// Who opened it.
        pub custodian: ParticipantId,
        /// Whose accesses it lists; absent for the subject's own.
        pub grantee: Option<ParticipantId>,
        /// Its calendar year.
        pub epoch: u16,
        /// SHA-256 of the reader's preimage.
        pub reader: Digest,
        /// When it was opened.
        pub opened: Height,
        /// When it was closed.
        pub closed: Option<Height>,
    }
}

wire_struct! {
    /// A participant.
    pub struct Participant {
        /// What it may do.
        pub roles: Roles,
        /// ISO 3166-1 alpha-2, or `EU`.
        pub jurisdiction: Ascii<8>,
        /// Its name, unless it is a natural person.
        pub name: Option<Text<128>>,
        /// The seal over a natural person's name.
        pub sealed_name: Option<Seal>,
        /// Where its node or gateway is reached.
        pub endpoint: Ascii<255>,
        /// Names for display, by language.
        pub display_names: List<DisplayName, 8>,
        /// Since when it is suspended.
        pub suspended: Option<LogIndex>,
    }
}

wire_struct! {
    /// A key.
    pub struct KeyEntry {
        /// For whom it speaks: a participant, or the subject of one trail.
        pub owner: Author,
        /// The key.
        pub key: PublicKey,
        /// What it may sign.
        pub purpose: KeyPurpose,
        /// The first log index at which it is valid.
        pub valid_from: LogIndex,
        /// The log index from which it is revoked.
        pub revoked: Option<LogIndex>,
        /// The block time from which it is no longer valid (the end of a rotation's overlap).
        pub not_after: TimeMs,
        /// Since when others may have known the secret.
        pub compromised_from: Option<TimeMs>,
    }
}

impl KeyEntry {
    /// Whether the key speaks for its owner in a record at `index`, in a block of time `time`.
    #[must_use]
    pub fn is_valid_at(&self, index: LogIndex, time: TimeMs) -> bool {
        self.valid_from <= index
            && self.revoked.is_none_or(|revoked| index < revoked)
            && time <= self.not_after
    }
}

wire_struct! {
    /// A rule's life, as far as it is clear.
    pub struct RuleStatus {
        /// The item that put it.
        pub item: ItemHash,
        /// The block that recorded it.
        pub put: Height,
        /// When it ends at the latest.
        pub expiry: TimeMs,
        /// The block that ended it.
        pub ended: Option<Height>,
    }
}

wire_struct! {
    /// A set whose members stand in the database and whose running hash stands in the map:
    /// `hash' = SHA-256(tag || hash || member)`, from 32 zero bytes, in the order of the log.
    pub struct Bucket {
        /// How many members.
        pub count: u64,
        /// The running hash.
        pub hash: Digest,
    }
}

impl Bucket {
    /// An empty bucket.
    pub const EMPTY: Bucket = Bucket { count: 0, hash: Digest::ZERO };

    /// The bucket with one more member.
    #[must_use]
    pub fn with(&self, member: &[u8]) -> Bucket {
        Bucket { count: self.count.saturating_add(1), hash: tagged(Tag::Bucket, &[&self.hash.0, member]) }
    }
}

wire_struct! {
    /// What the consortium agreed on, as far as `apply` reads it.
    pub struct Policy {
        /// The policy's number, from 1.
        pub version: u64,
        /// How long before its record an access may have been decided, in milliseconds of block time.
        pub lag_ms: u64,
        /// The longest time between a submission's block and its `not_after`, in milliseconds.
        pub max_lifetime_ms: u64,
        /// The most submissions of one author that expire within the same ten minutes.
        pub max_nonces: u64,
        /// For how long an anchor is trusted, in milliseconds.
        pub trust_period_ms: u64,
        /// The longest time without a block, in milliseconds.
        pub heartbeat_ms: u64,
        /// How long bodies are kept, by retention class {short, standard, long}, in days.
        pub retention_days: List<u32, 3>,
        /// For how long after the block of its declaration an emergency may be cited, in milliseconds.
        pub emergency_window_ms: u64,
        /// Within which time after its declaration an emergency has to be reviewed, in milliseconds.
        pub emergency_review_ms: u64,
        /// Within which time after one half of a transfer the other has to follow, in milliseconds.
        pub transfer_ms: u64,
        /// The most submissions of one subject's key that expire within the same ten minutes.
        pub max_subject_nonces: u64,
    }
}

impl Policy {
    /// The policy of a new network.
    #[must_use]
    pub fn initial() -> Self {
        Self {
            version: 1,
            lag_ms: 3_600_000,
            max_lifetime_ms: 3_600_000,
            max_nonces: 1_000_000,
            trust_period_ms: 90 * 86_400_000,
            heartbeat_ms: 60_000,
            retention_days: List::new(alloc::vec![365, 3_650, 10_950]).unwrap_or_default(),
            emergency_window_ms: 24 * 3_600_000,
            emergency_review_ms: 72 * 3_600_000,
            transfer_ms: 7 * 86_400_000,
            max_subject_nonces: 60,
        }
    }

    /// How long bodies of a class are kept, in milliseconds; for ever, if the policy does not say.
    #[must_use]
    pub fn retention_ms(&self, class: Retention) -> u64 {
        let place = match class {
            Retention::Short => 0,
            Retention::Standard => 1,
            Retention::Long => 2,
        };
        self.retention_days.get(place).map_or(u64::MAX, |days| u64::from(*days) * 86_400_000)
    }
}

/// A set of roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Roles(u16);

/// One role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Holds data of subjects.
    Custodian = 0,
    /// Receives data.
    Recipient = 1,
    /// Uses data under a permit.
    DataUser = 2,
    /// Issues permits.
    AccessBody = 3,
    /// Acts for subjects.
    Agent = 4,
    /// Audits by mandate.
    Auditor = 5,
    /// Votes on blocks.
    Validator = 6,
    /// Admits participants, until votes do.
    Registrar = 7,
    /// Reads what is public and mirrors it.
    Observer = 8,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 9] = [
        Role::Custodian,
        Role::Recipient,
        Role::DataUser,
        Role::AccessBody,
        Role::Agent,
        Role::Auditor,
        Role::Validator,
        Role::Registrar,
        Role::Observer,
    ];

    /// The word that people and JSON use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Role::Custodian => "custodian",
            Role::Recipient => "recipient",
            Role::DataUser => "data-user",
            Role::AccessBody => "access-body",
            Role::Agent => "agent",
            Role::Auditor => "auditor",
            Role::Validator => "validator",
            Role::Registrar => "registrar",
            Role::Observer => "observer",
        }
    }
}

impl Roles {
    /// These roles.
    #[must_use]
    pub fn new(roles: &[Role]) -> Self {
        Self(roles.iter().fold(0, |bits, role| bits | 1 << *role as u16))
    }

    /// Whether `role` is among them.
    #[must_use]
    pub const fn has(self, role: Role) -> bool {
        self.0 & 1 << role as u16 != 0
    }

    /// Whether any of `roles` is among them.
    #[must_use]
    pub fn has_any(self, roles: &[Role]) -> bool {
        roles.iter().any(|role| self.has(*role))
    }

    /// The roles that words name; `None` when a word names none.
    #[must_use]
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        words.into_iter().try_fold(Self::default(), |roles, word| {
            let role = Role::ALL.into_iter().find(|role| role.word() == word)?;
            Some(Self(roles.0 | 1 << role as u16))
        })
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for role in Role::ALL.into_iter().filter(|role| self.has(*role)) {
            write!(f, "{}{}", if first { "" } else { ", " }, role.word())?;
            first = false;
        }
        Ok(())
    }
}

impl Wire for Roles {
    fn write(&self, w: &mut Writer) {
        w.u64(u64::from(self.0));
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bits = r.u64_up_to((1 << Role::ALL.len()) - 1, "roles")?;
        Ok(Self(bits as u16))
    }
    fn view(&self) -> View {
        View::List(
            Role::ALL
                .into_iter()
                .filter(|role| self.has(*role))
                .map(|role| View::Text(role.word().into()))
                .collect(),
        )
    }
    fn from_given(given: &Given) -> Result<Self, GivenError> {
        let words = given.list(Role::ALL.len())?.iter().map(|role| role.text(&Self::form().is));
        let words = words.collect::<Result<Vec<_>, _>>()?;
        Self::from_words(words).ok_or_else(|| GivenError::expected(Self::form().is, given))
    }
    fn form() -> Form {
        let words: Vec<_> = Role::ALL.iter().map(|role| role.word()).collect();
        Form::of(format!("a list of roles: {}", words.join(", ")), Self::new(&[Role::Recipient]).view())
    }
}
