//! Hostile bytes into every decoder of foreign bytes.
//!
//! Whatever comes from outside (a client, a peer, a hospital's system, a disk) is read by a decoder
//! that is total: it gives a value or an error, in bounded time and memory. And where a format has one
//! accepted spelling, what was read is written as the bytes it came in. A [`Target`] is a plain
//! function of bytes that asserts this of one decoder; anything can drive it:
//!
//! ```text
//!   cargo test       seeds, every crash ever found, and some thousand mutations of each target
//!   make fuzz        mutations for as long as is asked, in a process of its own; crashes are kept
//!   libfuzzer/       the same functions under libFuzzer, which sees which branches an input takes
//! ```
//!
//! Without coverage from the compiler the driver takes an outcome that it has not seen before (a
//! decoder's error names what was wrong) as the sign that an input is worth mutating further.
//!
//! Deliberately absent: what becomes of values that were read. Rules, proofs and decisions have
//! oracles of their own; this crate has none but the decoder's own contract.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod corpus;
pub mod drive;
pub mod mutate;
pub mod target;
pub mod targets;

pub use target::{Outcome, Target, Text};
