//! The page of kinds says what the code says.

#![allow(clippy::unwrap_used)]

#[path = "../examples/items/main.rs"]
mod items;

use std::collections::BTreeSet;

use custos_proof::kinds::{Class, Kind};
use custos_state::error::RefusalCode;
use custos_state::rules;

#[test]
fn the_page_of_kinds_is_made_from_the_code() {
    let there = std::fs::read_to_string(items::path()).unwrap();
    assert!(
        there == items::page(),
        "docs/spec/items.md is not what the code says; run `cargo run -p custos-state --example items`"
    );
}

#[test]
fn testimony_is_not_refused_for_its_content_and_what_is_said_of_acts_is_said_in_sentences() {
    for kind in Kind::ALL {
        let about = rules::about(*kind);
        assert!(about.says.ends_with('.'), "{kind:?}");
        assert_eq!(about.refuses.is_empty(), kind.class() == Class::Testimony, "{kind:?}");
        let distinct: BTreeSet<_> = about.refuses.iter().map(|(code, when)| (code.word(), when)).collect();
        assert_eq!(distinct.len(), about.refuses.len(), "{kind:?} says something twice");
        assert!(about.refuses.iter().all(|(code, _)| RefusalCode::ALL.contains(code)));
    }
}
