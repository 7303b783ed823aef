//! Where the ledger is kept: RocksDB behind the storage traits of `custos-state`, and fsck.
//!
//! A [`Store`] holds one chain. [`Store::commit`] writes a decided block in one synced batch over all
//! tables: after a crash the block is there whole or not at all, and nobody sees a part of it.
//! Readers take a [`Snapshot`], which is one consistent version, cheap to make, and answers what
//! `apply` asks (it is a [`custos_state::view::View`]) and what people ask: records, items, receipts'
//! parts, trails and proofs.
//!
//! A store does not trust its disk. Opening compares the head with the stored roots; every row is
//! checked as it is decoded; [`fsck`] recomputes everything and names the first thing that does not
//! fit; [`rebuild`] makes derived tables anew.
//!
//! Deliberately absent: what the rules are (`custos-state` computes every change before it comes
//! here), agreement (a certificate is kept and, in fsck, checked, but never judged on the way in),
//! and the network.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod error;
pub mod fsck;
#[doc(hidden)]
pub mod fuzz;
pub mod options;
pub mod portable;
pub mod prune;
pub mod rebuild;
pub mod snapshot;
pub mod store;
pub mod tables;

mod ahead;
mod batch;
mod checkpoint;
mod codec;
mod crc32c;
mod cursor;
mod damage;
mod database;
mod derive;
mod entries;
mod holds;
mod logs;
mod meter;
mod pages;
mod piece;
mod pieces;
mod rows;
mod signatures;
mod tile_cache;
mod tiles;
mod trees;
mod walk;

pub use error::{Damage, Mend, StoreError};
pub use fsck::{Checks, Progress, Report, fsck};
pub use options::Limits;
pub use prune::Pruned;
pub use rebuild::rebuild;
pub use snapshot::{BlockSummary, Snapshot, SubmissionStatus, TrailEntry};
pub use store::{Stats, Store, TableStats};
pub use tables::{FORMAT, Table};
