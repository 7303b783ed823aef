//! How it fails, deterministically: the real rules and the real consensus under one seeded scheduler, and oracles
//! that do not call the code they judge.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod oracle;
