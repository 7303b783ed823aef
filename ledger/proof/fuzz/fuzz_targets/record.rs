//! Records: the leaves of the log.

#![no_main]

use custos_proof::record::Record;
use custos_proof_fuzz::one_encoding;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| one_encoding::<Record>(data));
