//! The contract of the command line, held by the program itself: `custos help` is walked to every leaf.
//!
//! Each command teaches with an example that the program would understand, takes `--json`, and ends with
//! 2 when it was not told what it needs; with `--json` also that is one document on standard output.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// What issue 2 asks for by name, and what came after it is found by walking.
const PROMISED: [&str; 25] = [
    "keygen",
    "genesis new",
    "genesis inspect",
    "node run",
    "testnet up",
    "testnet down",
    "testnet status",
    "testnet kill",
    "testnet start",
    "import fhir",
    "rule put",
    "rule end",
    "rule show",
    "access record",
    "receipt get",
    "trail list",
    "trail show",
    "trail prove",
    "verify",
    "anchor update",
    "fsck",
    "bench",
    "decide",
    "replay",
    "who-can-see",
];

fn custos(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_custos"))
        .args(arguments)
        .env("LC_ALL", "C")
        .env("COLUMNS", "400")
        .env_remove("CUSTOS_MESSAGES")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Every command without commands of its own, and its help.
fn leaves() -> BTreeMap<String, String> {
    fn walk(path: &[String], found: &mut BTreeMap<String, String>) {
        let words: Vec<&str> = ["help"].into_iter().chain(path.iter().map(String::as_str)).collect();
        let (code, help, talk) = custos(&words);
        assert_eq!(code, 0, "{words:?}: {talk}");
        let listed = help.split_once("\nCommands:\n").map_or("", |(_, rest)| rest);
        let listed = listed.split("\n\n").next().unwrap_or_default();
        let children: Vec<&str> = listed
            .lines()
            .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
            .filter(|name| *name != "help" && !name.is_empty())
            .collect();
        let leaf = children.is_empty();
        for child in children {
            walk(&[path, &[child.to_owned()]].concat(), found);
        }
        if leaf {
            found.insert(path.join(" "), help);
        }
    }
    let mut found = BTreeMap::new();
    walk(&[], &mut found);
    found
}

/// The command lines among a help's examples: those that begin with the program, with their continuations.
fn examples(help: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut goes_on = false;
    let after = help.split_once("Example").map_or("", |(_, rest)| rest);
    for line in after.lines() {
        let text = line.trim();
        if goes_on {
            lines.last_mut().unwrap().push_str(&format!(" {}", text.trim_end_matches('\\')));
        } else if text.starts_with("custos ") {
            lines.push(text.trim_end_matches('\\').to_owned());
        }
        goes_on = text.ends_with('\\') && !lines.is_empty();
    }
    lines
}

#[test]
fn every_command_teaches_with_an_example_that_it_would_understand() {
    let leaves = leaves();
    for promised in PROMISED {
        assert!(leaves.contains_key(promised), "there is no `custos {promised}`");
    }
    for (path, help) in &leaves {
        assert!(help.contains("--json"), "{path} gives no JSON");
        let examples = examples(help);
        assert!(
            examples.iter().any(|example| example.contains(&format!("custos {path}"))
                || example.contains(&format!("custos --json {path}"))),
            "{path}: no example of itself: {examples:?}"
        );
        for example in examples {
            let words: Vec<&str> =
                example.split([' ', '=']).skip(1).filter(|word| *word != "--json").collect();
            let named = (1..=words.len().min(3)).rev().map(|count| words[..count].join(" "));
            let Some((name, help)) = named.clone().find_map(|name| leaves.get_key_value(&name)) else {
                panic!("{path}: the example names no command: {example}")
            };
            // Up to where another program or file takes over.
            let own = words.iter().take_while(|word| !["|", ">", "&&", ";", "#"].contains(word));
            for flag in own.filter(|word| word.starts_with("--") && word.len() > 2) {
                assert!(help.contains(flag), "{path}: {name} does not take {flag}: {example}");
            }
        }
    }
}

#[test]
fn what_was_not_said_ends_with_2_and_with_json_in_one_document() {
    for path in leaves().keys() {
        let words: Vec<&str> = path.split(' ').collect();
        // No command has this flag.
        let wrong = [&words[..], &["--no-such-flag"]].concat();
        let (code, out, talk) = custos(&wrong);
        assert_eq!((code, out.as_str()), (2, ""), "{path}");
        assert!(talk.contains("--no-such-flag"), "{path}: {talk}");
        let (code, out, _) = custos(&[&["--json"], &wrong[..]].concat());
        let document: Value =
            serde_json::from_str(&out).unwrap_or_else(|error| panic!("{path}: {error}: {out}"));
        assert_eq!((code, document["outcome"].as_str()), (2, Some("could-not-tell")), "{path}");
        assert!(document["error"].as_str().unwrap().contains("--no-such-flag"), "{path}");
    }
}

#[test]
fn help_is_asked_for_and_ends_with_0() {
    for words in [
        &["--help"][..],
        &["help"],
        &["--version"],
        &["verify", "--help"],
        &["--json", "trail", "show", "--help"],
    ] {
        let (code, out, talk) = custos(words);
        assert_eq!((code, talk.as_str()), (0, ""), "{words:?}");
        assert!(out.contains("custos"), "{words:?}");
    }
}
