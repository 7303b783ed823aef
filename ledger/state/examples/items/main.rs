//! Writes `docs/spec/items.md`: `cargo run -p custos-state --example items`.
//!
//! The page is made of what the code says of itself: the table of kinds, the fields with their
//! documentation, and what stands beside each rule. What explains more than one field or one check
//! is written by hand in `docs/spec/items/` and put in between; a file there that has a kind's name
//! follows that kind. A test makes the page again in memory and compares.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use custos_proof::given::{Form, Part};
use custos_proof::kinds::{Class, Kind};
use custos_proof::sealed_values;
use custos_state::rules::{self, About};

/// The page.
pub fn page() -> String {
    let mut out = String::from(
        "<!-- Made by `cargo run -p custos-state --example items` from the code and docs/spec/items/. -->\n\n# Items\n\n",
    );
    out += &fragment("intro").unwrap();
    out += "\n| kind | class | author | listed in | sealed fields |\n|---|---|---|---|---|\n";
    for kind in Kind::ALL {
        let about = rules::about(*kind);
        writeln!(
            out,
            "| [`{}`](#{}) | {} | {} | {} | {} |",
            kind.name(),
            anchor(*kind),
            kind.class().word(),
            about.author,
            about.listed,
            sealed(*kind)
        )
        .unwrap();
    }
    for name in ["after-table", "admission"] {
        writeln!(out, "\n{}", fragment(name).unwrap().trim_end()).unwrap();
    }
    out += "\n## The kinds\n";
    for kind in Kind::ALL {
        section(&mut out, *kind);
    }
    writeln!(out, "\n{}", fragment("due").unwrap().trim_end()).unwrap();
    out
}

/// Where the page stands.
pub fn path() -> PathBuf {
    spec().join("items.md")
}

fn section(out: &mut String, kind: Kind) {
    let About { says, author, listed, refuses, notes } = rules::about(kind);
    let (name, class) = (kind.name(), kind.class());
    let article = if class == Class::Act { "An act" } else { "Testimony" };
    writeln!(out, "\n### `{name}`\n\n{says} {article}, by {author}; listed in: {listed}.").unwrap();
    out.push_str("\n| field | written as | what it is |\n|---|---|---|\n");
    fields(out, kind, &kind.form().parts, "", 0);
    if !kind.sealed_fields().is_empty() {
        out.push_str("\n| sealed | field | written as |\n|---|---|---|\n");
        for (number, field) in (1u8..).zip(kind.sealed_fields()) {
            let form = sealed_values::form(kind, number).unwrap();
            writeln!(out, "| {number} | {field} | {} |", cell(&brief(&form))).unwrap();
        }
    }
    if !refuses.is_empty() {
        out.push_str("\n| refused when | with |\n|---|---|\n");
        for (code, when) in *refuses {
            writeln!(out, "| {when} | `{}` |", code.word()).unwrap();
        }
    }
    for more in [(!notes.is_empty()).then(|| wrapped(notes)), fragment(name)].into_iter().flatten() {
        writeln!(out, "\n{}", more.trim_end()).unwrap();
    }
}

/// One line for each field, and for the fields of structures in it.
fn fields(out: &mut String, kind: Kind, parts: &[Part], outer: &str, depth: usize) {
    for part in parts {
        let form = (part.form)();
        let is_seal = outer.is_empty() && kind.seal_field() == Some(part.name);
        let is = match (is_seal, form.is_optional) {
            (true, false) => "a seal; `custos item submit` makes it".to_owned(),
            (true, true) => "nothing, or a seal; `custos item submit` makes it".to_owned(),
            (false, _) => form.is.clone(),
        };
        writeln!(out, "| `{outer}{}` | {} | {} |", part.name, cell(&is), cell(&part.words())).unwrap();
        if !is_seal && depth < 2 {
            fields(out, kind, &form.parts, &format!("{outer}{}.", part.name), depth + 1);
        }
    }
}

/// A sealed field's form with the names of its parts.
fn brief(form: &Form) -> String {
    let names: Vec<_> = form.parts.iter().map(|part| format!("`{}`", part.name)).collect();
    match names.is_empty() {
        true => form.is.clone(),
        false => format!("{}: {}", form.is, names.join(", ")),
    }
}

fn sealed(kind: Kind) -> String {
    match (kind.sealed_fields(), kind.seal_field()) {
        ([], _) => String::new(),
        ([only], Some(field)) if field != "seal" => format!("1 {only}, if `{field}` is present"),
        (all, _) if all.len() > 4 => format!("1 to {}", all.len()),
        (all, _) => {
            let numbered: Vec<_> = (1..).zip(all).map(|(number, name)| format!("{number} {name}")).collect();
            numbered.join(", ")
        }
    }
}

/// The name of a heading, as renderers of Markdown make it.
fn anchor(kind: Kind) -> String {
    kind.name().replace('.', "")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Paragraphs broken into lines of at most 120 characters.
fn wrapped(text: &str) -> String {
    let paragraph = |text: &str| {
        let mut lines = vec![String::new()];
        for word in text.split_whitespace() {
            let line = lines.last_mut().unwrap();
            if !line.is_empty() && line.len() + 1 + word.len() > 120 {
                lines.push(word.to_owned());
            } else {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
            }
        }
        lines.join("\n")
    };
    text.split("\n\n").map(paragraph).collect::<Vec<_>>().join("\n\n") + "\n"
}

fn fragment(name: &str) -> Option<String> {
    std::fs::read_to_string(spec().join("items").join(format!("{name}.md"))).ok()
}

fn spec() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/spec")
}

#[allow(dead_code)] // The test takes `page` only.
fn main() -> std::io::Result<()> {
    std::fs::write(path(), page())
}
