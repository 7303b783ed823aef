//! How a validator runs: configuration, mempool, gossip, HTTP, metrics.
//!
//! This crate joins what must not know each other: the store and consensus. It computes no rule, no
//! proof and no agreement itself; it moves bytes between those who do, bounds everything that comes
//! from outside, and tells the truth about its state.
//!
//! ```text
//!   clients ---> http ---> intake ---> mempool ---> ledger <--- consensus <---> peers
//!                  |         ^                         |
//!                  |         +---- gossip ------------ | ------------------------+
//!                  +------------ snapshots ------ store (one synced batch per block)
//! ```

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod chain;
pub mod config;
pub mod custodian;
pub mod door;
pub mod fuzz;
pub mod http;
pub mod intake;
pub mod keys;
pub mod ledger;
pub mod mempool;
pub mod metrics;
pub mod node;
mod opening;
pub mod pace;
pub mod proofs;
pub mod readers;
mod reports;
mod retention;
mod room;
pub mod telemetry;

pub use custos_consensus::aside;
