//! What everybody trusts: formats, hashing, proofs, certificates and receipts.
//!
//! An auditor or a patient who wants to know whether a Custos trail is complete has to trust this
//! crate and nothing else of the project. It is therefore small, has no C build, no clock, no
//! network, no randomness and no unsafe code, and works without the standard library.
//!
//! The bytes are specified in `docs/spec/`, with CDDL and test vectors, so that a second
//! implementation can be written without reading this one.
//!
//! Deliberately absent: the rules that decide what may be recorded (`custos-state`), storage, and
//! every convenience that would need `std`.

#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

extern crate alloc;

pub mod anchor;
pub mod batch;
pub mod cbor;
pub mod certificate;
pub mod disclosure;
pub mod file;
pub mod genesis;
pub mod given;
pub mod hash;
pub mod header;
pub mod ids;
pub mod item;
pub mod keys;
pub mod kinds;
pub mod merkle;
pub mod policy;
pub mod receipt;
pub mod record;
pub mod registry;
pub mod seal;
pub mod sealed_values;
pub mod state_map;
pub mod subject;
pub mod submission;
pub mod trail;
pub mod trail_proof;
pub mod verify;
pub mod witness;
