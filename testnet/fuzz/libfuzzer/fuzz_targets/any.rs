//! Any target: `CUSTOS_FUZZ_TARGET` names it.
//!
//! One program rather than one for each, because a build with coverage takes long and a name does not.

#![no_main]

use std::sync::LazyLock;

use custos_fuzz::target::Target;
use custos_fuzz::targets;
use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("CUSTOS_FUZZ_TARGET").unwrap_or_default();
    targets::find(&name).unwrap_or_else(|| {
        let names: Vec<_> = targets::all().iter().map(|target| target.name).collect();
        panic!("CUSTOS_FUZZ_TARGET is {name:?}; it is one of {}", names.join(", "))
    })
});

fuzz_target!(|bytes: &[u8]| drop((TARGET.run)(bytes)));
