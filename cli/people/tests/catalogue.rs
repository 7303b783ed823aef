//! The catalogue is whole: no message and no variable is missing in any language, and none is unused.
//!
//! What is used is read from the source, in which every id is a literal, and from the vocabulary,
//! whose ids are put together from the formats' own lists.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use custos_people::catalogue::{Catalogue, FALLBACK};
use custos_people::{codes, date, event, vocabulary};

/// Ids that are put together at run time, from the lists of the formats and of this crate.
fn composed() -> BTreeSet<String> {
    let joined = ["list-and", "list-or"].map(str::to_owned);
    [vocabulary::messages(), codes::messages(), date::months(), event::messages()]
        .concat()
        .into_iter()
        .chain(joined)
        .collect()
}

/// Every `say!` of the source: its id and the variables that it is given.
fn said() -> BTreeMap<String, BTreeSet<String>> {
    let mut said = BTreeMap::new();
    for folder in
        [concat!(env!("CARGO_MANIFEST_DIR"), "/src"), concat!(env!("CARGO_MANIFEST_DIR"), "/../src")]
    {
        read(Path::new(folder), &mut said);
    }
    said
}

fn read(folder: &Path, said: &mut BTreeMap<String, BTreeSet<String>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, said);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            let code: Vec<&str> =
                source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            calls(&code.join("\n"), &path, said);
        }
    }
}

fn calls(code: &str, path: &Path, said: &mut BTreeMap<String, BTreeSet<String>>) {
    for (at, start) in code.match_indices("say!(") {
        let parts = arguments(&code[at + start.len()..]);
        let id = parts[1].trim().trim_matches('"').to_owned();
        assert!(parts[1].trim().starts_with('"'), "{}: the id {id} is no literal", path.display());
        let names = parts[2..].iter().filter(|part| !part.trim().is_empty());
        let names: BTreeSet<String> =
            names.map(|part| part.split_once('=').unwrap().0.trim().to_owned()).collect();
        let before = said.insert(id.clone(), names.clone());
        assert!(before.is_none_or(|before| before == names), "{id} is said with other variables elsewhere");
    }
}

/// The arguments of a call, up to its closing bracket.
fn arguments(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts, mut in_text, mut escaped) = (0, 0, Vec::new(), false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_text => escaped = true,
            '"' => in_text = !in_text,
            _ if in_text => {}
            '(' | '[' | '{' => depth += 1,
            ')' if depth == 0 => {
                parts.push(&text[start..at]);
                return parts;
            }
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    panic!("a call without an end: {}", &text[..text.len().min(80)]);
}

#[test]
fn every_message_that_is_said_is_there_and_none_is_unused() {
    let english = Catalogue::default().messages(FALLBACK);
    let there: BTreeSet<String> = english.keys().cloned().collect();
    let used: BTreeSet<String> = said().into_keys().chain(composed()).collect();
    let missing: Vec<_> = used.difference(&there).collect();
    let unused: Vec<_> = there.difference(&used).collect();
    assert!(missing.is_empty(), "missing: {missing:#?}");
    assert!(unused.is_empty(), "unused: {unused:#?}");
}

#[test]
fn no_language_lacks_a_message_or_a_variable() {
    let catalogue = Catalogue::default();
    let english = catalogue.messages(FALLBACK);
    let languages: Vec<&str> = catalogue.languages().collect();
    assert_eq!(languages, ["de", "en"]);
    for language in languages {
        let messages = catalogue.messages(language);
        for (id, variables) in &english {
            let translated = messages.get(id).unwrap_or_else(|| panic!("{language} lacks {id}"));
            assert_eq!(translated, variables, "{language}: the variables of {id}");
        }
        let more: Vec<_> = messages.keys().filter(|id| !english.contains_key(*id)).collect();
        assert!(more.is_empty(), "{language} has messages that English lacks: {more:?}");
    }
}

#[test]
fn a_message_names_only_the_variables_that_it_is_given() {
    let messages = Catalogue::default().messages(FALLBACK);
    for (id, given) in said() {
        let Some(named) = messages.get(&id) else { continue };
        assert_eq!(named, &given, "the variables of {id}");
    }
    for id in composed() {
        let given: &[&str] = match id.split('-').next().unwrap() {
            "deed" => &["what"],
            "list" => &["list", "next"],
            _ => &[],
        };
        let named: Vec<&str> = messages[&id].iter().map(String::as_str).collect();
        assert_eq!(named, given, "the variables of {id}");
    }
}

#[test]
fn every_value_of_the_vocabulary_has_a_word_in_every_language() {
    let catalogue = Catalogue::default();
    let ids = vocabulary::messages();
    assert!(ids.len() > 130, "{}", ids.len());
    for language in catalogue.languages() {
        let speaker = catalogue.speaker(language).unwrap();
        for id in &ids {
            let words = speaker.message(id, &[]).unwrap_or_default();
            assert!(!words.trim().is_empty(), "{language}: {id}");
        }
    }
}

#[test]
fn translations_differ_from_english() {
    let catalogue = Catalogue::default();
    let (english, german) = (catalogue.speaker("en").unwrap(), catalogue.speaker("de").unwrap());
    // What is a name or spelled alike in both languages.
    let alike = |id: &str| {
        id.starts_with("format-fhir")
            || ["registry-role-validator", "field-name", "key-purpose-transport"].contains(&id)
    };
    let same: Vec<String> = vocabulary::messages()
        .into_iter()
        .filter(|id| english.message(id, &[]) == german.message(id, &[]) && !alike(id))
        .collect();
    assert!(same.is_empty(), "left in English: {same:?}");
}
