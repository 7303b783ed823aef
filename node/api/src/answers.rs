//! Every JSON answer of the API, as a type.

use custos_proof::certificate::{Certificate, ValidatorSet};
use custos_proof::hash::{BlockId, ChainId, Digest, ItemHash, KeyId, SubmissionId, TrailKey};
use custos_proof::header::Header;
use custos_proof::ids::{ParticipantId, Random16};
use custos_proof::keys::{PublicKey, Signature};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// What the node is and where its chain stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The network's name.
    pub network: String,
    /// The chain.
    #[serde(with = "crate::text")]
    #[schema(value_type = String)]
    pub chain: ChainId,
    /// Whose node this is; absent for a follower without a participant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub participant: Option<String>,
    /// The program's version.
    pub version: String,
    /// The last committed height.
    pub height: u64,
    /// Its block id.
    #[serde(with = "crate::text")]
    #[schema(value_type = String)]
    pub block_id: BlockId,
    /// Its time.
    pub time_ms: u64,
    /// The size of the log.
    pub log_size: u64,
    /// How many validators decide the next block.
    pub validators: usize,
    /// The longest time without a block, in milliseconds.
    pub heartbeat_ms: u64,
}

/// Whether the node's parts work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `ok`, or `failed` when the node needs an operator.
    pub status: HealthStatus,
    /// What consensus is doing: `starting`, `waiting-for-peers`, `running`, `idle`, `lagging`, `safety-hang`, `halted`.
    pub consensus: String,
    /// Why, when that needs saying.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The last committed height.
    pub height: u64,
    /// The highest height that others say they have.
    pub network_height: u64,
    /// Peers with which traffic flows.
    pub peers: usize,
    /// Submissions waiting.
    pub pending: usize,
}

/// A node's health in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HealthStatus {
    /// It works, or will by itself.
    Ok,
    /// It needs an operator.
    Failed,
}

/// Whether the node takes submissions and answers from the present.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ready {
    /// Whether consensus runs and the node has caught up.
    pub ready: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeaderAnswer {
    /// The tagged hash of the header.
    #[serde(with = "crate::text")]
    #[schema(value_type = String)]
    pub block_id: BlockId,
    /// The protocol version.
    pub version: u64,
    /// The chain.
    #[serde(with = "crate::text")]
    #[schema(value_type = String)]
    pub chain: ChainId,
    /// The block's number.
    pub height: u64,
    /// The round in which it was built.
    pub round: u32,
    /// The block's time.
    pub time_ms: u64,
    /// The parent's block id.
    #[serde(with = "crate::text")]
    #[schema(value_type = String)]
    pub parent: BlockId,
    /// The root over the submission ids.
    #[serde(with = "crate::text")]
    #[schema(value_type = String)]
    pub body_root: Digest,
    /// The log's size.
    pub log_size: u64,
    /// The log's root.
    #[serde(with = "crate::text")]
    #[schema(value_type = String)]
    pub log_root: Digest,
    /// The state map's root.
    #[serde(with = "crate::text")]
    #[schema(value_type = String)]
    pub state_root: Digest,
    /// Who decides this block.
    #[serde(with = "crate::text")]
    #[schema(value_type = String)]
    pub validators_hash: Digest,
    /// Who decides the next one.
    #[serde(with = "crate::text")]
    #[schema(value_type = String)]
    pub next_validators_hash: Digest,
    /// Who built it.
    #[serde(with = "crate::text")]
    #[schema(value_type = String)]
    pub proposer: ParticipantId,
}

impl From<&Header> for HeaderAnswer {
    fn from(header: &Header) -> Self {
        Self {
            block_id: header.block_id(),
            version: header.version,
            chain: header.chain,
            height: header.height.0,
            round: header.round.0,
            time_ms: header.time.0,
            parent: header.parent,
            body_root: header.body_root,
            log_size: header.log_size.0,
            log_root: header.log_root,
            state_root: header.state_root,
            validators_hash: header.validators_hash,
            next_validators_hash: header.next_validators_hash,
            proposer: header.proposer.clone(),
        }
    }
}

/// A certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CertificateAnswer {
    /// The block's height.
    pub height: u64,
    /// The round in which it was decided.
    pub round: u32,
    /// The block.
    #[serde(with = "crate::text")]
    #[schema(value_type = String)]
    pub block_id: BlockId,
    /// The precommits.
    pub signatures: Vec<PrecommitAnswer>,
}

/// One precommit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PrecommitAnswer {
    /// The signer's position in the validator set.
    pub signer: u16,
    /// Its signature.
    #[serde(with = "crate::text")]
    #[schema(value_type = String)]
    pub signature: Signature,
}

impl From<&Certificate> for CertificateAnswer {
    fn from(certificate: &Certificate) -> Self {
        Self {
            height: certificate.height.0,
            round: certificate.round.0,
            block_id: certificate.block_id,
            signatures: certificate
                .signatures
                .iter()
                .map(|s| PrecommitAnswer { signer: s.signer, signature: s.signature })
                .collect(),
        }
    }
}

/// A block: what is public of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlockAnswer {
    /// The header.
    pub header: HeaderAnswer,
    /// Its certificate.
    pub certificate: CertificateAnswer,
    /// The submissions' ids, in body order; `body_root` is the root over them.
    #[serde(with = "crate::text::list")]
    #[schema(value_type = Vec<String>)]
    pub submissions: Vec<SubmissionId>,
    /// The log index of the block's first record.
    pub first_record: u64,
}

/// The last header with its certificate, as a transparency log's checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckpointAnswer {
    /// The signed note (C2SP tlog-checkpoint), when this node has a note key; else its text without signature.
    pub note: String,
    /// The header.
    pub header: HeaderAnswer,
    /// Its certificate.
    pub certificate: CertificateAnswer,
}

/// A consistency proof (RFC 6962, section 2.1.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConsistencyAnswer {
    /// The older log's size.
    pub from: u64,
    /// The newer log's size.
    pub to: u64,
    /// The path.
    #[serde(with = "crate::text::list")]
    #[schema(value_type = Vec<String>)]
    pub path: Vec<Digest>,
}

/// The registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RegistryAnswer {
    /// The height at which it stands like this.
    pub height: u64,
    /// In whose name the registry's trail stands.
    #[serde(with = "crate::text")]
    #[schema(value_type = String)]
    pub registrar: ParticipantId,
    /// The participants, by id.
    pub participants: Vec<ParticipantAnswer>,
    /// The validators of the next block, by key.
    pub validators: Vec<ValidatorAnswer>,
}

/// The proposals that can still be decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProposalsAnswer {
    /// The height at which they stand like this.
    pub height: u64,
    /// The proposals, in the order in which they were opened.
    pub proposals: Vec<ProposalAnswer>,
}

/// A proposal, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProposalAnswer {
    /// Its id.
    #[serde(with = "crate::text")]
    #[schema(value_type = String)]
    pub proposal: Random16,
    /// The item that opened it.
    #[serde(with = "crate::text")]
    #[schema(value_type = String)]
    pub item: ItemHash,
    /// Who opened it.
    #[serde(with = "crate::text")]
    #[schema(value_type = String)]
    pub opener: ParticipantId,
    /// `open`, `executed`, `rejected`, `expired` or `failed`.
    pub state: String,
    /// The word for why acts that were agreed on could not be carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The block that opened it.
    pub opened: u64,
    /// The last block time at which it can be decided.
    pub deadline_ms: u64,
    /// The block that closed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<u64>,
    /// Who said yes.
    pub yes: Vec<String>,
    /// Who said no.
    pub no: Vec<String>,
    /// The power of those validators of the next block who said yes.
    pub yes_power: u64,
    /// The power of those who said no.
    pub no_power: u64,
    /// The power of all.
    pub total_power: u64,
    /// What is to be done: items, as `custos item` writes them. Empty once it is closed; see its item.
    #[schema(value_type = Vec<Object>)]
    pub acts: Vec<serde_json::Value>,
}

/// A participant with its keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ParticipantAnswer {
    /// Its id.
    #[serde(with = "crate::text")]
    #[schema(value_type = String)]
    pub id: ParticipantId,
    /// What it may do.
    pub roles: Vec<String>,
    /// ISO 3166-1 alpha-2, or `EU`.
    pub jurisdiction: String,
    /// Its name; absent for a natural person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Names for display, by language.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub display_names: Vec<DisplayNameAnswer>,
    /// Where its node or gateway is reached.
    pub endpoint: String,
    /// The log index since which it is suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<u64>,
    /// Its keys.
    pub keys: Vec<KeyAnswer>,
}

/// A participant's name in one language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DisplayNameAnswer {
    /// BCP 47 language tag.
    pub language: String,
    /// The name in that language.
    pub name: String,
}

/// A key of the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyAnswer {
    /// The tagged hash of its COSE_Key.
    #[serde(with = "crate::text")]
    #[schema(value_type = String)]
    pub id: KeyId,
    /// The key.
    #[serde(with = "crate::text")]
    #[schema(value_type = String)]
    pub key: PublicKey,
    /// What it may sign.
    pub purpose: String,
    /// The first log index at which it is valid.
    pub valid_from: u64,
    /// The log index from which it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<u64>,
    /// The block time from which it is no longer valid.
    pub not_after_ms: u64,
    /// Since when others may have known the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compromised_from_ms: Option<u64>,
}

/// A validator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ValidatorAnswer {
    /// Whose.
    #[serde(with = "crate::text")]
    #[schema(value_type = String)]
    pub participant: ParticipantId,
    /// The key it votes with.
    #[serde(with = "crate::text")]
    #[schema(value_type = String)]
    pub key: PublicKey,
    /// Its power.
    pub power: u64,
}

/// The validators of a set, for an answer.
#[must_use]
pub fn validators(set: &ValidatorSet) -> Vec<ValidatorAnswer> {
    set.as_slice()
        .iter()
        .map(|v| ValidatorAnswer { participant: v.participant.clone(), key: v.key, power: v.power })
        .collect()
}

/// The policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyAnswer {
    /// The height at which it stands like this.
    pub height: u64,
    /// Its fields.
    #[schema(value_type = Object)]
    pub policy: Value,
}

/// How far a submission has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SubmissionState {
    /// This node knows nothing of it.
    Unknown,
    /// It waits to be put into a block.
    Pending,
    /// It is recorded.
    Committed,
    /// This node refused it; final once its `not_after` has passed.
    Rejected,
}

/// A submission's status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubmissionAnswer {
    /// The submission.
    #[serde(with = "crate::text")]
    #[schema(value_type = String)]
    pub id: SubmissionId,
    /// How far it has come.
    pub state: SubmissionState,
    /// Whether it was known before; the answer is then that of the first one.
    #[serde(default)]
    pub duplicate: bool,
    /// The block that recorded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u64>,
    /// Its items and where they are recorded: for those who sent it or may read it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<ItemPlace>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejection: Option<Rejection>,
    /// The `custos.receipts.v1` file with the receipts of all items, base64; with `wait=committed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipts: Option<String>,
}

/// What became of submissions that one request handed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubmissionsAnswer {
    /// One for each, in their order.
    pub submissions: Vec<HandedIn>,
}

/// What became of one of several submissions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HandedIn {
    /// The submission; absent when it is not taken.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::text::option")]
    #[schema(value_type = Option<String>)]
    pub id: Option<SubmissionId>,
    /// How far it has come: `pending`, `committed` or `rejected`.
    pub state: SubmissionState,
    /// Whether it was known before.
    #[serde(default)]
    pub duplicate: bool,
    /// Why it is not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejection: Option<Rejection>,
}

/// Where an item is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ItemPlace {
    /// The item.
    #[serde(with = "crate::text")]
    #[schema(value_type = String)]
    pub item: ItemHash,
    /// Its record's log index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// Whether the same event had been recorded before, so that no second record was made.
    #[serde(default)]
    pub earlier: bool,
}

/// Why a submission was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rejection {
    /// A stable word for programs.
    pub code: String,
    /// A sentence for people.
    pub detail: String,
    /// Which item it is about, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<usize>,
    /// Whether no other node can still record it.
    #[serde(rename = "final")]
    pub is_final: bool,
}

/// An item's status, for those who may read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ItemAnswer {
    /// The item.
    #[serde(with = "crate::text")]
    #[schema(value_type = String)]
    pub item: ItemHash,
    /// Its record's log index.
    pub index: u64,
    /// The block that recorded it.
    pub height: u64,
    /// That block's time.
    pub time_ms: u64,
    /// Its record.
    #[schema(value_type = Object)]
    pub record: Value,
    /// The item, unless its bytes were pruned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub content: Option<Value>,
}

/// A page of a trail, all pages of one walk at one header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TrailPage {
    /// The trail.
    #[serde(with = "crate::text")]
    #[schema(value_type = String)]
    pub trail: TrailKey,
    /// What it collects.
    pub kind: String,
    /// Whose it is.
    pub owner: String,
    /// The header to which the walk is pinned: pass it back as `at`.
    pub at: u64,
    /// How many entries the trail has at that header.
    pub size: u64,
    /// The entries of this page, in the order of the log.
    pub entries: Vec<TrailEntry>,
    /// What to pass back as `cursor` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// An entry of a trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TrailEntry {
    /// Its position in the trail, from 0.
    pub position: u64,
    /// The record's bytes, base64.
    #[serde(with = "crate::base64")]
    #[schema(value_type = String)]
    pub record_bytes: Vec<u8>,
    /// The item's bytes, base64; absent when they were pruned or the record is of no item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item_bytes: Option<String>,
    /// The record, to read.
    #[schema(value_type = Object)]
    pub record: Value,
    /// The item, to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub item: Option<Value>,
}

impl TrailEntry {
    /// The item's bytes.
    #[must_use]
    pub fn item_file(&self) -> Option<Vec<u8>> {
        self.item_bytes.as_deref().and_then(crate::base64::decode)
    }
}
