//! What people read: one message catalogue, and everything that is said with it.
//!
//! A patient, an auditor and a privacy officer read sentences, reports and lists that stand in no
//! code: they are messages of Project Fluent, one folder of files per language. This crate chooses
//! the language, says the values of the formats in it, and makes of proven entries what is printed:
//! the entry of a trail, the report of a verification, the statutory accounting, the worklist.
//!
//! One rule above all: never "B read", always "A states that B read".
//!
//! Deliberately absent: files, the network, the clock, JSON. It takes proven values and gives text.
//! Names of commands, errors of the machine and of nodes stay English.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod accounting;
pub mod catalogue;
pub mod clean;
pub mod codes;
pub mod csv;
pub mod date;
pub mod event;
pub mod failure;
pub mod html;
mod life;
pub mod names;
pub mod paint;
pub mod report;
pub mod rule;
pub mod value;
pub mod verified;
pub mod vocabulary;
pub mod worklist;
