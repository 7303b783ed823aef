//! Commit certificates.

#![no_main]

use custos_proof::certificate::Certificate;
use custos_proof_fuzz::one_encoding;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| one_encoding::<Certificate>(data));
