//! Runs stories and says what became of them: a table, JSON, or the rows of `docs/testing.md`.

use std::any::Any;
use std::fmt::Write as _;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{Plan, Skipped, Story, Told};

/// What became of a story.
#[derive(Debug)]
pub enum Verdict {
    /// Everything that must be true was.
    Held(Told),
    /// Something was not.
    Failed(String),
    /// It could not be told here.
    Skipped(Skipped),
}

/// A story that was told.
#[derive(Debug)]
pub struct Line {
    /// Its name.
    pub name: &'static str,
    /// Its fault.
    pub fault: &'static str,
    /// What became of it.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
}

/// Where the last panic was; the payload does not know.
static PLACE: Mutex<String> = Mutex::new(String::new());

/// Tells a story. A panic in it is a verdict.
#[must_use]
pub fn run(story: &Story, plan: &Plan) -> Line {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let place = info.location().map(|at| format!("{}:{}", at.file(), at.line())).unwrap_or_default();
        *PLACE.lock().unwrap_or_else(PoisonError::into_inner) = place;
        before(info);
    }));
    let began = Instant::now();
    let told = panic::catch_unwind(AssertUnwindSafe(|| (story.tell)(plan)));
    let took = began.elapsed();
    drop(panic::take_hook());
    let verdict = match told {
        Ok(Ok(told)) => Verdict::Held(told),
        Ok(Err(skipped)) => Verdict::Skipped(skipped),
        Err(panic) => {
            let place = PLACE.lock().unwrap_or_else(PoisonError::into_inner).clone();
            Verdict::Failed(format!("{} ({place})", words(panic.as_ref())))
        }
    };
    Line { name: story.name, fault: story.fault, verdict, took }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it panicked".into())
}

impl Line {
    /// Whether it failed.
    #[must_use]
    pub fn failed(&self) -> bool {
        matches!(self.verdict, Verdict::Failed(_))
    }

    /// The verdict in a word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self.verdict {
            Verdict::Held(_) => "held",
            Verdict::Failed(_) => "FAILED",
            Verdict::Skipped(_) => "skipped",
        }
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out =
            format!("{:<16} {:<8} {:>4} s  {}\n", self.name, self.word(), self.took.as_secs(), self.fault);
        match &self.verdict {
            Verdict::Held(told) => {
                for row in &told.seen {
                    let _ = writeln!(out, "  fault     {}", row.fault);
                    let _ = writeln!(out, "  seen      {}", row.seen);
                    let _ = writeln!(out, "  operator  {}", row.operator);
                }
                let c = &told.checked;
                let _ = writeln!(
                    out,
                    "  checked   {} nodes, {} heights, {} submissions acknowledged and there once, {} receipts verify{}",
                    c.nodes,
                    c.heights,
                    c.acknowledged,
                    c.receipts,
                    if c.second_verifier { ", one by the second verifier too" } else { "" }
                );
            }
            Verdict::Failed(why) => {
                let _ = writeln!(out, "  why       {why}");
            }
            Verdict::Skipped(Skipped(why)) => {
                let _ = writeln!(out, "  why       {why}");
            }
        }
        out
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let seconds = self.took.as_secs_f64();
        let mut value =
            json!({ "story": self.name, "fault": self.fault, "verdict": self.word(), "seconds": seconds });
        match &self.verdict {
            Verdict::Held(told) => {
                let c = &told.checked;
                let row = |row: &crate::Seen| json!({ "fault": row.fault, "seen": row.seen, "operator": row.operator });
                value["seen"] = told.seen.iter().map(row).collect();
                value["checked"] = json!({
                    "nodes": c.nodes,
                    "heights": c.heights,
                    "acknowledged": c.acknowledged,
                    "receipts": c.receipts,
                    "second_verifier": c.second_verifier,
                });
            }
            Verdict::Failed(why) | Verdict::Skipped(Skipped(why)) => value["why"] = json!(why),
        }
        value
    }

    /// Rows of a Markdown table: story, fault, what was seen, what an operator sees.
    #[must_use]
    pub fn markdown(&self) -> String {
        let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
        match &self.verdict {
            Verdict::Held(told) => told
                .seen
                .iter()
                .map(|row| {
                    let (fault, seen, operator) = (cell(&row.fault), cell(&row.seen), cell(&row.operator));
                    format!("| {} | {fault} | {seen} | {operator} |\n", self.name)
                })
                .collect(),
            Verdict::Failed(why) => format!("| {} | {} | FAILED: {} | |\n", self.name, self.fault, cell(why)),
            Verdict::Skipped(Skipped(why)) => {
                format!("| {} | {} | skipped: {} | |\n", self.name, self.fault, cell(why))
            }
        }
    }
}
