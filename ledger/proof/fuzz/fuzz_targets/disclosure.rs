//! Disclosures.

#![no_main]

use custos_proof::disclosure::Disclosure;
use custos_proof_fuzz::one_encoding;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| one_encoding::<Disclosure>(data));
