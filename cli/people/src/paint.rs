//! Colour, where it is wanted: around whole lines and words that were said already.
//!
//! Painted text is never passed into a message: a message cleans what it is given of escape codes.

use std::fmt::Display;

use anstyle::{AnsiColor, Effects, Style};

/// Whether and how words are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint(bool);

impl Paint {
    /// Colour or none.
    #[must_use]
    pub const fn new(colour: bool) -> Self {
        Self(colour)
    }

    /// Good news.
    #[must_use]
    pub fn good(self, text: impl Display) -> String {
        self.with(AnsiColor::Green.on_default().effects(Effects::BOLD), text)
    }

    /// Bad news.
    #[must_use]
    pub fn bad(self, text: impl Display) -> String {
        self.with(AnsiColor::Red.on_default().effects(Effects::BOLD), text)
    }

    /// Something to look at.
    #[must_use]
    pub fn warn(self, text: impl Display) -> String {
        self.with(AnsiColor::Yellow.on_default(), text)
    }

    /// A heading.
    #[must_use]
    pub fn head(self, text: impl Display) -> String {
        self.with(Style::new().effects(Effects::BOLD), text)
    }

    /// Beside the point.
    #[must_use]
    pub fn dim(self, text: impl Display) -> String {
        self.with(Style::new().effects(Effects::DIMMED), text)
    }

    fn with(self, style: Style, text: impl Display) -> String {
        if self.0 { format!("{style}{text}{style:#}") } else { text.to_string() }
    }
}
