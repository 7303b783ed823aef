//! How validators agree on the next block: the adapter between a ledger and the BFT engine.
//!
//! The node implements [`Ledger`], fills in a [`ConsensusConfig`], calls [`start`] and keeps the
//! [`ConsensusHandle`]. Everything else happens here: admission of peers, gossip of submissions,
//! proposing, voting, catching up, and saying truthfully how it goes.
//!
//! ```text
//!   ledger thread <---> driver <---> engine <---> network <---> peers
//!                         |
//!                        host     pure: Input -> Vec<Effect>
//! ```
//!
//! [`host`] decides and touches nothing; `driver` touches everything and decides nothing. A
//! simulator can drive the same host without a network, a disk or a clock.
//!
//! Deliberately absent: what a block means. That is the ledger's.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod aside;
mod assembly;
mod bodies;
mod config;
mod driver;
#[doc(hidden)]
pub mod fuzz;
mod handle;
mod health;
pub mod host;
mod ledger;

pub use bodies::StoredBody;
pub use config::{ConsensusConfig, PeerConfig, Timeouts};
pub use custos_engine::{Evidence, EvidenceKind, SignedChoice, select_proposer};
pub use custos_network::Counters;
pub use handle::{ConsensusHandle, Gossiped, Gossiper, StartError, Submissions, start};
pub use health::{Health, State};
pub use ledger::{AllowedPeer, BuildRequest, Decided, Head, Ledger, LedgerFault, Verdict};
