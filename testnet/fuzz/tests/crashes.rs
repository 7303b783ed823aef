//! Every crash that was ever found, by name: `crashes/TARGET/NAME` and what it showed.
//!
//! A file without a line here, or a line without a file, fails: a crash that is not named is forgotten.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use custos_fuzz::drive::once;
use custos_fuzz::{corpus, targets};

/// Target, name, what was wrong.
const FOUND: &[(&str, &str, &str)] = &[];

#[test]
fn no_crash_comes_back() {
    for (target, name, bytes) in corpus::crashes() {
        let found = targets::find(&target).unwrap_or_else(|| panic!("crashes/{target} is no target"));
        if let Err(message) = once(&found, &bytes) {
            panic!("crashes/{target}/{name}: {message}");
        }
    }
}

#[test]
fn every_crash_has_a_name_and_a_reason() {
    let files: BTreeSet<(String, String)> =
        corpus::crashes().into_iter().map(|(target, name, _)| (target, name)).collect();
    let named: BTreeSet<(String, String)> =
        FOUND.iter().map(|(target, name, _)| ((*target).to_owned(), (*name).to_owned())).collect();
    assert_eq!(files, named);
    assert!(
        FOUND.iter().all(|(_, name, why)| !why.is_empty() && name.contains('-')),
        "a name says what it is"
    );
}
