//! Blocks, and the headers in them.

#![no_main]

use custos_proof::header::Block;
use custos_proof_fuzz::one_encoding;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| one_encoding::<Block>(data));
