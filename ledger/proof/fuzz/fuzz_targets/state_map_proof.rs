//! Proofs in the state map.

#![no_main]

use custos_proof::state_map::Proof;
use custos_proof_fuzz::one_encoding;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| one_encoding::<Proof>(data));
