//! A node that lies, or somebody between it and a client. Everything that it says is true of something else, and
//! properly proven: another chain, another year, a part, another item, or what was so before. What counts is that none
//! of it is ever taken for the answer to what was asked, by whoever reads ([`reader`]) or hands in ([`writer`]).
//!
//! The liar stands before a real node of a real network, and changes only what the test says.

#![allow(clippy::unwrap_used)]

mod liar;
mod reader;
mod writer;
