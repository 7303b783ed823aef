//! What a custodian holds: the vault, the patient codes, the sealing of items, and the import of FHIR.
//!
//! Everything personal stays on this side: names, identifiers, clinical codes and free text enter
//! here in clear, go into the vault, and leave as commitments inside items. The ledger, its nodes
//! and its network never see them.
//!
//! Deliberately absent: the network (the command line and the gateways submit what is planned
//! here), signing keys, and decisions about access.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod code;
pub mod draft;
pub mod fhir;
pub mod import;
pub mod seal;
mod terminology;
pub mod vault;

pub use custos_proof::subject;
