//! The short run: a few stories with few repetitions, so that `make test` has faults in it.

#![allow(clippy::unwrap_used)]

use custos_scenarios::report::{self, Verdict};
use custos_scenarios::{Plan, stories};

#[test]
fn the_short_stories_hold() {
    let short: Vec<_> = stories::ALL.iter().filter(|story| story.is_short).collect();
    assert!(!short.is_empty());
    for story in short {
        let line = report::run(story, &Plan { short: true, seed: 1 });
        print!("{}", line.text());
        assert!(matches!(line.verdict, Verdict::Held(_)), "{}", line.text());
    }
}

#[test]
fn every_story_has_a_name_of_its_own() {
    let mut names: Vec<_> = stories::ALL.iter().map(|story| story.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), stories::ALL.len());
}
