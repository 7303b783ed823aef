//! `custos`: the one program that people use, from a key to a verified trail.
//!
//! Here the words of a command line are parsed, the command is run, and the process ends with a
//! code that a script can rely on: 0 verified or done, 1 evidence against what was shown, 2 could
//! not tell or could not do.
//!
//! A library, of which the program is one line, so that hostile bytes reach its readers as well ([`fuzz`]). Nothing else is
//! there for others to call.
//!
//! Deliberately absent: everything else. Commands are in `commands`, words for people in
//! `custos_people`, and rules, proofs and formats in the crates below.

#![cfg_attr(test, allow(clippy::unwrap_used))]

use std::process::ExitCode;

use clap::Parser as _;
use rustix::process::{Resource, getrlimit, setrlimit};

mod commands;
mod decision;
mod desk;
mod evidence;
mod exit;
mod files;
pub mod fuzz;
mod gathered;
mod hand_in;
mod keyfile;
mod language;
mod network;
mod proven;
mod render;
mod roster;
mod screen;
mod subject;
mod time;
mod trails;
mod words;

/// As many files as a process may have open, if the system lets us.
const OPEN_FILES: u64 = 65_536;

/// Runs the command line of this process, and says how it ended.
#[must_use]
pub fn run() -> ExitCode {
    allow_files();
    // Before the arguments: an age such as 30d among them is counted from this clock.
    let ahead = time::set_ahead();
    let arguments = match commands::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(said) => return not_understood(&said),
    };
    let json = arguments.json;
    let (speaker, failed) = match arguments.language.speaker() {
        Ok(speaker) => (speaker, None),
        Err(failed) => (language::english(), Some(failed)),
    };
    // One for the whole run, so that commands hand it to threads and closures as they like.
    let screen = screen::Screen::new(json, Box::leak(Box::new(speaker)));
    let exit = match failed.or(ahead.err()) {
        Some(failed) => screen.failed(&failed),
        None => arguments.run(&screen).unwrap_or_else(|failed| screen.failed(&failed)),
    };
    exit.into()
}

/// A ledger of years has thousands of table files, and a shell allows a thousand open ones. Where the limit cannot be
/// raised the store makes do with it.
fn allow_files() {
    let mut files = getrlimit(Resource::Nofile);
    let most = files.maximum.map_or(OPEN_FILES, |most| most.min(OPEN_FILES));
    if files.current.is_some_and(|now| now < most) {
        files.current = Some(most);
        let _ = setrlimit(Resource::Nofile, files);
    }
}

/// Help that was asked for, or a command line that is none. Which it is says clap; `--json` is looked for as it stands.
fn not_understood(said: &clap::Error) -> ExitCode {
    if said.use_stderr() && std::env::args_os().any(|argument| argument == "--json") {
        let screen = screen::Screen::new(true, Box::leak(Box::new(language::english())));
        let words = said.render().to_string();
        let words = words.trim().trim_start_matches("error: ");
        return screen.failed(&exit::Failed::unable(words)).into();
    }
    // A terminal that went away is no reason for another code.
    let _ = said.print();
    if said.use_stderr() { exit::Exit::Unable.into() } else { exit::Exit::Done.into() }
}
