//! A report as data: a table, what was left out and why, what is held back, and from what it was made.
//!
//! One value, three forms: CSV ([`crate::csv`]), a page to print ([`crate::html`]), and lines for a
//! terminal ([`Report::text`]). Words are said already; instants are kept, so that a page can write them as
//! the language does and a table for machines as ISO 8601.

use custos_proof::ids::TimeMs;
use custos_proof::sealed_values::Moment;

use crate::catalogue::Speaker;
use crate::clean::clean;
use crate::paint::Paint;
use crate::say;

/// One cell of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Words.
    Text(String),
    /// An instant of the ledger.
    Time(TimeMs),
    /// An instant as its source states it, to the precision that it states.
    Stated(Moment),
    /// One of a few things, by its name in JSON and in words.
    Named {
        /// The name.
        key: &'static str,
        /// The words.
        words: String,
    },
    /// A count.
    Number(u64),
    /// Nothing.
    Empty,
}

impl Cell {
    /// For people: dates in the form of the language.
    #[must_use]
    pub fn said(&self, s: &Speaker) -> String {
        match self {
            Cell::Text(text) => clean(text).into_owned(),
            Cell::Named { words, .. } => clean(words).into_owned(),
            Cell::Time(time) => s.minute(*time),
            Cell::Stated(moment) => s.moment(moment),
            Cell::Number(number) => number.to_string(),
            Cell::Empty => String::new(),
        }
    }

    /// For machines: dates in ISO 8601.
    #[must_use]
    pub fn plain(&self) -> String {
        match self {
            Cell::Text(text) => clean(text).into_owned(),
            Cell::Named { key, .. } => (*key).to_owned(),
            Cell::Time(time) => time.to_string(),
            Cell::Stated(moment) => moment.as_str().to_owned(),
            Cell::Number(number) => number.to_string(),
            Cell::Empty => String::new(),
        }
    }
}

/// A column: its name in JSON, and its head in the reader's language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The name in JSON.
    pub key: &'static str,
    /// The head.
    pub head: String,
}

/// Entries that the table leaves out, by reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The reason in JSON.
    pub key: &'static str,
    /// The reason in words.
    pub reason: String,
    /// How many.
    pub count: u64,
}

/// A report: see the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What it is.
    pub title: String,
    /// By which law, about whom, for which time.
    pub lines: Vec<String>,
    /// The table's columns.
    pub columns: Vec<Column>,
    /// The table's rows, each as long as the columns.
    pub rows: Vec<Vec<Cell>>,
    /// What the table leaves out.
    pub left_out: Vec<LeftOut>,
    /// Entries that are held back, each in a sentence.
    pub withheld: Vec<String>,
    /// From which verified proofs it was made.
    pub sources: Vec<String>,
    /// What it does not cover.
    pub limits: Vec<String>,
}

/// A part of a report besides its table: its heading and its lines.
pub type Section = (String, Vec<String>);

impl Report {
    /// The parts after the table, in order; those without lines are left out.
    #[must_use]
    pub fn sections(&self, s: &Speaker) -> Vec<Section> {
        let left_out = self
            .left_out
            .iter()
            .map(|out| say!(s, "report-left-out", reason = &out.reason, count = out.count));
        let all = [
            (say!(s, "section-left-out"), left_out.collect()),
            (say!(s, "section-withheld"), self.withheld.clone()),
            (say!(s, "section-sources"), self.sources.clone()),
            (say!(s, "section-limits"), self.limits.clone()),
        ];
        all.into_iter().filter(|(_, lines): &Section| !lines.is_empty()).collect()
    }

    /// Lines for a terminal: one paragraph per row.
    #[must_use]
    pub fn text(&self, s: &Speaker, paint: Paint) -> String {
        let mut text = format!("{}\n", paint.head(&self.title));
        self.lines.iter().for_each(|line| text.push_str(&format!("{}\n", clean(line))));
        let width = self.columns.iter().map(|column| column.head.chars().count()).max().unwrap_or(0);
        for row in &self.rows {
            text.push('\n');
            for (column, cell) in self.columns.iter().zip(row).filter(|(_, cell)| **cell != Cell::Empty) {
                text.push_str(&format!("  {:<width$}  {}\n", column.head, cell.said(s)));
            }
        }
        if self.rows.is_empty() {
            text.push_str(&format!("\n{}\n", say!(s, "report-no-rows")));
        }
        for (heading, lines) in self.sections(s) {
            text.push_str(&format!("\n{}\n", paint.head(heading)));
            lines.iter().for_each(|line| text.push_str(&format!("  {}\n", clean(line))));
        }
        text
    }
}
