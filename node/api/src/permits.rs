//! Answers about permits (EHDS, Art. 58: they are public) and about entries of the state map with their proofs.
//!
//! A list is what a node says. What it says of one permit is proven by [`StateAnswer`]: the entries of the state
//! map under a certified header, from which a reader recomputes the root.

use custos_proof::hash::ItemHash;
use custos_proof::ids::{ParticipantId, Random16};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// The most permits of one page.
pub const MAX_PERMITS: u32 = 100;

/// Permits, in the order in which their bodies issued them, body by body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PermitsAnswer {
    /// The height at which they stand like this.
    pub height: u64,
    /// The permits of this page.
    pub permits: Vec<PermitAnswer>,
    /// What to pass back as `cursor` for the next page; absent on the last. A page may be empty and have a next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A permit as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PermitAnswer {
    /// Its id.
    #[serde(with = "crate::text")]
    #[schema(value_type = String)]
    pub permit: Random16,
    /// The access body that issued it.
    #[serde(with = "crate::text")]
    #[schema(value_type = String)]
    pub body: ParticipantId,
    /// The height at which it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<u64>,
    /// Its terms: as issued, and as each amendment stated them anew; the last ones hold.
    pub versions: Vec<PermitVersion>,
}

/// One version of a permit's terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PermitVersion {
    /// Its number, from 1.
    pub version: u32,
    /// The item that states it; its receipt is public.
    #[serde(with = "crate::text")]
    #[schema(value_type = String)]
    pub item: ItemHash,
    /// The height that recorded it.
    pub since: u64,
    /// The terms.
    #[schema(value_type = Object)]
    pub terms: Value,
}

/// Entries of the state map under one header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StateAnswer {
    /// The header's height.
    pub height: u64,
    /// The header, as deterministic CBOR, base64.
    #[serde(with = "crate::base64")]
    #[schema(value_type = String)]
    pub header: Vec<u8>,
    /// Its certificate, likewise.
    #[serde(with = "crate::base64")]
    #[schema(value_type = String)]
    pub certificate: Vec<u8>,
    /// The entries.
    pub entries: Vec<StateEntry>,
}

/// One entry of the state map, or that there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StateEntry {
    /// Which: `policy`, `participant`, `roster`, `permit`, `terms-1`, `terms-2` ...
    pub name: String,
    /// Its value's bytes, base64; absent when the map has no such entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The proof that the map has this value, or none: `state-proof` of custos.cddl, base64.
    #[serde(with = "crate::base64")]
    #[schema(value_type = String)]
    pub proof: Vec<u8>,
}

impl StateEntry {
    /// The value's bytes.
    #[must_use]
    pub fn bytes(&self) -> Option<Vec<u8>> {
        self.value.as_deref().and_then(crate::base64::decode)
    }
}
