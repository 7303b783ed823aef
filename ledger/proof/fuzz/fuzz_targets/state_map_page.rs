//! Pages of the state map and their keys, as a damaged database could hold them.

#![no_main]

use std::collections::BTreeMap;

use custos_proof::hash::{Digest, StateKey};
use custos_proof::state_map::{NibblePath, Page, prove, root, update};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(path) = NibblePath::from_bytes(data) {
        assert_eq!(path.to_bytes(), data);
    }
    let Ok(page) = Page::from_bytes(data) else { return };
    assert_eq!(page.to_bytes(), data);
    // Used where it does not belong, it is an error and no panic.
    let pages = BTreeMap::from([(NibblePath::ROOT, page)]);
    let _ = root(&pages);
    for byte in [0x00, 0x7f, 0xff] {
        let key = StateKey([byte; 32]);
        let _ = (prove(&pages, &key), update(&pages, &[(key, Some(Digest::ZERO))]), update(&pages, &[(key, None)]));
    }
});
