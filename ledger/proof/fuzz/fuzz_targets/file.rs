//! Files of any type, told apart by the name in their first bytes.

#![no_main]

use custos_proof::file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if file::decode(data).is_ok() {
        assert!(file::type_name(data).is_ok());
    }
});
