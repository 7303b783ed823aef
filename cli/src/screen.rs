//! Where words go: data to standard output, talk and progress to standard error.
//!
//! Progress is drawn on a terminal only, colour is used on a terminal only and never against
//! `NO_COLOR`, and `--json` turns the data of every command into one JSON document, errors
//! included, so that a program sees one thing on standard output whatever happened.

use std::env;
use std::io::{self, IsTerminal as _, Write as _};

use custos_people::catalogue::Speaker;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::exit::{Exit, Failed};
use crate::render::paint::Paint;

/// The two streams of one run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    json: bool,
    data: Paint,
    talk: Paint,
    progress: bool,
    speaker: &'static Speaker,
}

impl Screen {
    /// The streams of this process.
    pub(crate) fn new(json: bool, speaker: &'static Speaker) -> Self {
        let wanted = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self {
            json,
            data: Paint::new(wanted && !json && io::stdout().is_terminal()),
            talk: Paint::new(wanted && io::stderr().is_terminal()),
            progress: io::stderr().is_terminal(),
            speaker,
        }
    }

    /// The reader's language.
    pub(crate) fn speaker(&self) -> &'static Speaker {
        self.speaker
    }

    /// A warning to the person at the terminal.
    pub(crate) fn warn(&self, text: impl AsRef<str>) {
        self.talk(self.talk.warn(text.as_ref()));
    }

    /// The result of the command, in the form that was asked for.
    pub(crate) fn result(&self, words: impl FnOnce(Paint) -> String, data: impl FnOnce() -> Value) {
        let text = if self.json { pretty(&data()) } else { words(self.data) };
        print(&text);
    }

    /// A word to the person at the terminal.
    pub(crate) fn talk(&self, text: impl AsRef<str>) {
        // A closed standard error is no reason to stop.
        let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
    }

    /// Tells about a failure and gives back what the process ends with.
    pub(crate) fn failed(&self, failed: &Failed) -> Exit {
        if self.json {
            print(&pretty(&json!({
                "outcome": failed.exit.word(),
                "error": failed.message,
                "hint": failed.hint,
            })));
        }
        self.talk(format!("{} {}", self.talk.bad("error:"), failed.message));
        if let Some(hint) = &failed.hint {
            self.talk(format!("{} {hint}", self.talk.dim("hint:")));
        }
        failed.exit
    }

    /// A bar for work of known length.
    pub(crate) fn bar(&self, length: u64, what: &'static str) -> ProgressBar {
        let style = ProgressStyle::with_template("{msg:24} [{bar:30}] {pos}/{len} {per_sec} {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ");
        let bar = ProgressBar::with_draw_target(Some(length), self.target()).with_style(style);
        bar.set_message(what);
        bar
    }

    /// A sign of life for work of unknown length.
    pub(crate) fn spinner(&self, what: impl Into<String>) -> ProgressBar {
        let spinner = ProgressBar::with_draw_target(None, self.target());
        spinner.set_message(what.into());
        if self.progress {
            spinner.enable_steady_tick(std::time::Duration::from_millis(120));
        }
        spinner
    }

    fn target(&self) -> ProgressDrawTarget {
        if self.progress { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("because values made from our own types serialise")
}

/// Writes to standard output. A reader that went away (`| head`) is no error.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    if !text.ends_with('\n') {
        let _ = out.write_all(b"\n");
    }
    let _ = out.flush();
}
