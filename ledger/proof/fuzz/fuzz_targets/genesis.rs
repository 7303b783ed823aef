//! A genesis, and what it has to satisfy.

#![no_main]

use custos_proof::cbor::Wire;
use custos_proof::genesis::Genesis;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(genesis) = Genesis::from_bytes(data) {
        assert_eq!(genesis.to_bytes(), data);
        let _ = (genesis.check(), genesis.chain());
    }
});
