//! `custos`: the one program that people use, from a key to a verified trail.
//!
//! Here the words of a command line are parsed, the command is run, and the process ends with a
//! code that a script can rely on: 0 verified or done, 1 evidence against what was shown, 2 could
//! not tell or could not do.
//!
//! Deliberately absent: everything else. Commands are in [`commands`], words for people in
//! [`render`], and rules, proofs and formats in the crates below.

#![cfg_attr(test, allow(clippy::unwrap_used))]

use std::process::ExitCode;

use clap::Parser as _;

mod commands;
mod decision;
mod desk;
mod exit;
mod files;
mod hand_in;
mod keyfile;
mod network;
mod render;
mod screen;
mod subject;
mod time;
mod words;

fn main() -> ExitCode {
    let arguments = commands::Arguments::parse();
    let screen = screen::Screen::new(arguments.json);
    let exit = arguments.run(&screen).unwrap_or_else(|failed| screen.failed(&failed));
    exit.into()
}
