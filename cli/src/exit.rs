//! How a command ends: three codes that scripts can rely on, and errors that end in a hint.
//!
//! Deliberately absent: error types of the crates below, which are flattened to words here because
//! nobody matches on them any more.

use std::fmt::Display;
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// Verified, or done.
    Done = 0,
    /// There is evidence against what was shown.
    Against = 1,
    /// Could not tell, or could not do it.
    Unable = 2,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

impl Exit {
    /// The word for `--json`.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Exit::Done => "done",
            Exit::Against => "evidence-against",
            Exit::Unable => "could-not-tell",
        }
    }
}

/// A command that did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failed {
    /// What it means.
    pub(crate) exit: Exit,
    /// What happened.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

impl Failed {
    /// It could not be done, or told.
    pub(crate) fn unable(message: impl Display) -> Self {
        Self { exit: Exit::Unable, message: message.to_string(), hint: None }
    }

    /// There is evidence against what was shown.
    pub(crate) fn against(message: impl Display) -> Self {
        Self { exit: Exit::Against, message: message.to_string(), hint: None }
    }

    /// With advice.
    pub(crate) fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }
}

/// What a command gives back.
pub(crate) type Outcome<T = Exit> = Result<T, Failed>;

/// Says what was being done when something failed.
pub(crate) trait While<T> {
    /// `doing` completes "could not ...".
    fn could_not<D: Display>(self, doing: impl FnOnce() -> D) -> Outcome<T>;
}

impl<T, E: Display> While<T> for Result<T, E> {
    fn could_not<D: Display>(self, doing: impl FnOnce() -> D) -> Outcome<T> {
        self.map_err(|error| Failed::unable(format!("could not {}: {error}", doing())))
    }
}
