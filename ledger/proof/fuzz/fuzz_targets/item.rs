//! Items of every kind.

#![no_main]

use custos_proof::item::{Item, item_hash, kind_name};
use custos_proof_fuzz::one_encoding;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = (kind_name(data), item_hash(data));
    one_encoding::<Item>(data);
});
