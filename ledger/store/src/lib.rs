//!
//! A [`Store`] holds one chain. [`Store::commit`] writes a decided block in one synced batch over all
//! tables: after a crash the block is there whole or not at all, and nobody sees a part of it.
//! Readers take a [`Snapshot`], which is one consistent version, cheap to make, and answers what
//! `apply` asks (it is a [`custos_state::view::View`]) and what people ask: records, items, receipts'
//! parts, trails and proofs.
//!
//! A store does not trust its disk. Opening compares the head with the stored roots; every row is
//!
//! Deliberately absent: what the rules are (`custos-state` computes every change before it comes
//! and the network.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod error;
pub mod options;
pub mod snapshot;
pub mod store;
pub mod tables;

mod codec;
mod pages;
mod rows;
mod tiles;
mod trees;

pub use error::{Damage, Mend, StoreError};
pub use options::Limits;
pub use snapshot::{BlockSummary, Snapshot, SubmissionStatus, TrailEntry};
pub use store::{Stats, Store, TableStats};
pub use tables::{FORMAT, Table};
