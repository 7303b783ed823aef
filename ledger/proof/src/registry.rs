//! The entries of the state map: everything that `apply` reads, as it is hashed.
//!
//! A key of the map is `SHA-256(tag || CBOR [namespace, ...])` and a value is the deterministic
//! CBOR of one of the structures here. Proofs of them ride in receipts (an author's key) and trail
//! proofs (a trail's size and root). Only the head's version of the map is kept.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::cbor::{Ascii, DecodeError, List, Reader, Set, Text, View, Wire, Writer, wire_enum, wire_struct};
use crate::certificate::{MAX_VALIDATORS, VoteType};
use crate::given::{Form, Given, GivenError};
use crate::hash::{Digest, ItemHash, KeyId, StateKey, Tag, TrailKey, tagged};
use crate::ids::{Height, LogIndex, ParticipantId, Random16, Round, TimeMs};
use crate::keys::{KeyPurpose, PublicKey};
use crate::kinds::Kind;
use crate::kinds::access::Retention;
use crate::kinds::participant::DisplayName;
use crate::kinds::policy::Upgrade;
use crate::kinds::proposal::{MAX_ACTS, VotedAct};
use crate::policy::DecisionPolicy;
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

/// Where a [`Proposal`] stands.
#[must_use]
pub fn proposal_key(proposal: &Random16) -> StateKey {
    state_key("proposal", &[&|w| proposal.write(w)])
}

/// Where the proposals that can still be decided ([`OpenProposals`]) stand.
#[must_use]
pub fn open_proposals_key() -> StateKey {
    state_key("open-proposals", &[])
}

/// Where the [`Protocol`] stands.
#[must_use]
pub fn protocol_key() -> StateKey {
    state_key("protocol", &[])
}

/// Where the policy that is to come ([`crate::kinds::policy::Set`]) stands.
#[must_use]
pub fn next_policy_key() -> StateKey {
    state_key("next-policy", &[])
}

/// Where the hash of the first report of a validator's misbehaviour at a height, in a round, stands.
#[must_use]
pub fn misbehaviour_key(key: &KeyId, height: Height, round: Round, vote: VoteType) -> StateKey {
    let parts: [&dyn Fn(&mut Writer); 4] =
        [&|w| key.write(w), &|w| height.write(w), &|w| round.write(w), &|w| vote.write(w)];
    state_key("misbehaviour", &parts)
}

/// Where an organisation's [`Roster`] stands.
#[must_use]
pub fn roster_key(organisation: &ParticipantId) -> StateKey {
    state_key("roster", &[&|w| organisation.write(w)])
}

/// Where an auditor's [`Mandate`] for a custodian's trails stands.
#[must_use]
pub fn mandate_key(auditor: &ParticipantId, custodian: &ParticipantId) -> StateKey {
    state_key("mandate", &[&|w| auditor.write(w), &|w| custodian.write(w)])
}

/// Where a [`Notarised`] item stands.
#[must_use]
pub fn notarised_key(item: &ItemHash) -> StateKey {
    state_key("notarised", &[&|w| item.write(w)])
}

/// Where the hash of the item of a finding about an institution stands.
#[must_use]
pub fn finding_key(institution: &ParticipantId, finding: &Random16) -> StateKey {
    state_key("finding", &[&|w| institution.write(w), &|w| finding.write(w)])
}

/// Where a [`Dispute`] with an institution stands.
#[must_use]
pub fn dispute_key(institution: &ParticipantId, dispute: &Random16) -> StateKey {
    state_key("dispute", &[&|w| institution.write(w), &|w| dispute.write(w)])
}

/// The longest time between a submission's block and its `not_after` that a policy can allow, in milliseconds.
pub const MAX_LIFETIME_MS: u64 = 86_400_000;

/// The longest time within which the other half of a transfer can have to follow, in milliseconds: deadlines are
/// entries of the state map, and have to be times.
pub const MAX_TRANSFER_MS: u64 = 3_650 * 86_400_000;

/// The most proposals that can be open at a time; the policy may say fewer.
pub const MAX_OPEN_PROPOSALS: usize = 64;

wire_struct! {
    /// A proposal and what became of it.
    pub struct Proposal {
        /// The item that opened it.
        pub item: ItemHash,
        /// Who opened it.
        pub opener: ParticipantId,
        /// What is to be done; empty when the proposal is closed.
        pub acts: List<VotedAct, MAX_ACTS>,
        /// The block that opened it.
        pub opened: Height,
        /// The last block time at which it can be decided.
        pub deadline: TimeMs,
        /// Who said yes.
        pub yes: Set<ParticipantId, MAX_VALIDATORS>,
        /// Who said no.
        pub no: Set<ParticipantId, MAX_VALIDATORS>,
        /// What became of it.
        pub state: ProposalState,
        /// The block that closed it.
        pub closed: Option<Height>,
        /// The word for why acts that were agreed on could not be carried out.
        pub reason: Option<Ascii<32>>,
    }
}

wire_enum! {
    /// What became of a proposal.
    pub enum ProposalState {
        /// It can still be decided.
        Open = 0, "open";
        /// It was agreed on, and its acts were carried out.
        Executed = 1, "executed";
        /// So many said no that it cannot be agreed on any more.
        Rejected = 2, "rejected";
        /// Its deadline passed.
        Expired = 3, "expired";
        /// It was agreed on, and its acts had become invalid; none was carried out.
        Failed = 4, "failed";
    }
}

wire_struct! {
    /// A proposal that can still be decided.
    pub struct OpenProposal {
        /// Its id.
        pub proposal: Random16,
        /// Who opened it.
        pub opener: ParticipantId,
        /// The last block time at which it can be decided.
        pub deadline: TimeMs,
    }
}

/// The proposals that can still be decided, in the order in which they were opened.
pub type OpenProposals = List<OpenProposal, MAX_OPEN_PROPOSALS>;

wire_struct! {
    /// The protocol version of the last block, and the one that was agreed on for later.
    pub struct Protocol {
        /// The version that headers have.
        pub version: u64,
        /// The version to come.
        pub upgrade: Option<Upgrade>,
    }
}

wire_struct! {
    /// The staff list that an organisation bound itself to last.
    pub struct Roster {
        /// The item.
        pub item: ItemHash,
        /// The root over its entries.
        pub root: Digest,
        /// The first instant of its period.
        pub from: TimeMs,
        /// The instant at which the period ends.
        pub until: TimeMs,
        /// The block that recorded it.
        pub committed: Height,
    }
}

wire_struct! {
    /// An auditor's right to read a custodian's trails of some years.
    pub struct Mandate {
        /// Its id.
        pub mandate: Random16,
        /// The first calendar year.
        pub from_year: u16,
        /// The last calendar year.
        pub to_year: u16,
        /// The block that issued it.
        pub issued: Height,
        /// The block that ended it.
        pub ended: Option<Height>,
    }
}

wire_struct! {
    /// A notarised document, as far as others are a part of it.
    pub struct Notarised {
        /// Who may notarise parts of it.
        pub holder: ParticipantId,
        /// Its amount.
        pub amount: Option<u64>,
        /// How much of the amount its parts have taken.
        pub taken: u64,
    }
}

wire_struct! {
    /// How far a dispute has come.
    pub struct Dispute {
        /// Who opened it.
        pub opener: ParticipantId,
        /// The block that recorded the answer.
        pub answered: Option<Height>,
        /// The block that recorded the end.
        pub resolved: Option<Height>,
    }
}

wire_struct! {
    /// How much of the voting power an act takes.
    pub struct Threshold {
        /// The kind of act.
        pub kind: Ascii<32>,
        /// More than this many parts of the voting power...
        pub numerator: u8,
        /// ...of so many have to say yes. Between one half and the whole; two thirds at least for what changes
        /// the rules themselves.
        pub denominator: u8,
    }
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
        /// What decisions about access read.
        pub decision: DecisionPolicy,
        /// Which acts take more, or less, than two thirds of the voting power.
        pub thresholds: List<Threshold, 32>,
        /// The most proposals that can be open at a time, at most [`MAX_OPEN_PROPOSALS`].
        pub max_open_proposals: u16,
        /// Optional sealed fields that must not stand in clear: `participant.register/name`.
        pub must_seal: Set<Ascii<48>, 16>,
        /// The schema ids that `notarise` may name.
        pub schemas: Set<Ascii<48>, 64>,
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
            decision: DecisionPolicy::initial(),
            thresholds: List::default(),
            max_open_proposals: 32,
            must_seal: Set::default(),
            schemas: Set::new(
                ["certificate", "report", "fund-allocation", "indicator"]
                    .into_iter()
                    .filter_map(Ascii::new)
                    .collect(),
            )
            .unwrap_or_default(),
            transfer_ms: 7 * 86_400_000,
            max_subject_nonces: 60,
        }
    }

    /// The share of the voting power that an act of this kind takes more than: numerator and denominator.
    #[must_use]
    pub fn threshold(&self, kind: Kind) -> (u8, u8) {
        let own = self.thresholds.iter().find(|threshold| *threshold.kind == *kind.name());
        own.map_or((2, 3), |threshold| (threshold.numerator, threshold.denominator))
    }

    /// What is wrong with the policy, if anything is.
    ///
    /// # Errors
    /// A sentence that names it.
    pub fn check(&self) -> Result<(), String> {
        let day = 86_400_000;
        let within = |name: &str, value: u64, least: u64, most: u64| match (least..=most).contains(&value) {
            true => Ok(()),
            false => Err(format!("{name} is {value}, not within {least} to {most}")),
        };
        within("lag_ms", self.lag_ms, 0, 30 * day)?;
        within("max_lifetime_ms", self.max_lifetime_ms, 60_000, MAX_LIFETIME_MS)?;
        within("max_nonces", self.max_nonces, 1, u32::MAX.into())?;
        within("trust_period_ms", self.trust_period_ms, day, 3_650 * day)?;
        within("heartbeat_ms", self.heartbeat_ms, 1, day)?;
        within("transfer_ms", self.transfer_ms, 0, MAX_TRANSFER_MS)?;
        within("max_open_proposals", self.max_open_proposals.into(), 1, MAX_OPEN_PROPOSALS as u64)?;
        within("the number of retention classes", self.retention_days.len() as u64, 3, 3)?;
        for (i, Threshold { kind, numerator, denominator }) in self.thresholds.iter().enumerate() {
            let (n, d) = (u16::from(*numerator), u16::from(*denominator));
            let Some(of) = Kind::from_name(kind) else {
                return Err(format!("the threshold's kind {:?} is not known", &**kind));
            };
            if self.thresholds[..i].iter().any(|other| other.kind == *kind) {
                return Err(format!("{} has two thresholds", &**kind));
            }
            let constitutional = matches!(
                of,
                Kind::PolicySet | Kind::ProtocolUpgrade | Kind::ValidatorPut | Kind::ValidatorRemove
            );
            let enough = if constitutional { n * 3 >= d * 2 } else { n * 2 >= d };
            if n >= d || !enough {
                return Err(format!("{} cannot have the threshold {n}/{d}", &**kind));
            }
        }
        let can_seal: Vec<String> = [Kind::ParticipantRegister, Kind::ParticipantUpdate]
            .iter()
            .flat_map(|kind| kind.sealed_fields().iter().map(|field| format!("{}/{field}", kind.name())))
            .collect();
        match self.must_seal.iter().find(|name| !can_seal.iter().any(|known| **known == ***name)) {
            Some(name) => Err(format!("{:?} is no optional sealed field: {}", &**name, can_seal.join(", "))),
            None => Ok(()),
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
    /// Prepares admissions: opens proposals, without a vote of its own.
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
