//! What the rules are: genesis, admission, state transition and verdicts.
//!
//! The rules exist once, here, as pure functions: mempool, proposer, follower, sync, replay and
//! auditor call the same ones. Input is a view of the state and bytes; output is plain data. No
//! clock, no randomness, no I/O, no hash-map order, no floats: two machines that are given the same
//! block compute the same header, or one of them is broken.
//!
//! Deliberately absent: where state is kept (`custos-store`), how blocks are agreed on
//! (`custos-consensus`), and whether sealed rules permit an access (`decide`, a later module).

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod admission;
pub mod apply;
pub mod changes;
pub mod error;
pub mod memory;
pub mod overlay;
pub mod rules;
pub mod view;
