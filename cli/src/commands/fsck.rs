//! `custos fsck`: a node's data, checked against itself from the first record to the last.

use std::path::{Path, PathBuf};

use clap::Args;
use custos_store::StoreError;
use custos_store::fsck::{self, Checks, Progress};
use custos_store::rebuild;
use indicatif::ProgressBar;
use serde_json::json;

use crate::exit::{Exit, Failed, Outcome};
use crate::screen::Screen;

/// Check a node's data, or make its derived tables anew
///
/// Recomputes the log, the trails, the state map and the certificates from what is stored, and names
/// the first thing that does not fit. The node has to be stopped.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 everything fits; 1 something does not, and it says what; 2 it could not be checked.\n\n\
    Examples:\n  custos fsck --data /var/lib/custos\n  custos fsck --data /var/lib/custos --rebuild"
)]
pub(crate) struct Fsck {
    /// The node's data directory
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Make the tables anew that follow from others, then check
    #[arg(long)]
    rebuild: bool,
    /// Leave signatures out: much faster, and finds everything but forgeries
    #[arg(long)]
    no_signatures: bool,
    /// Replay every block through the rules as well
    #[arg(long)]
    deep: bool,
}

impl Fsck {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        let ledger = ledger_of(&self.data);
        let bar = screen.bar(0, "checking");
        if self.rebuild {
            rebuild::rebuild(&ledger, &mut |progress| show(&bar, &progress)).map_err(failed)?;
            screen.talk("The derived tables were made anew.");
        }
        let checks = Checks { signatures: !self.no_signatures, deep: self.deep };
        let report = fsck::fsck(&ledger, &checks, &mut |progress| show(&bar, &progress)).map_err(failed)?;
        bar.finish_and_clear();
        screen.result(
            |paint| {
                let head = report.head.map_or(String::new(), |id| format!("head: {} {id}\n", report.blocks));
                format!("{} {} blocks, everything fits\n{head}", paint.good("whole:"), report.blocks)
            },
            || {
                let head = report.head.map(|id| id.to_string());
                json!({ "outcome": "whole", "blocks": report.blocks, "head": head, "rebuilt": self.rebuild })
            },
        );
        Ok(Exit::Done)
    }
}

/// A node keeps the ledger in a folder of its data directory; either may be named.
pub(super) fn ledger_of(data: &Path) -> PathBuf {
    let inside = data.join("ledger");
    if inside.is_dir() { inside } else { data.into() }
}

pub(super) fn show(bar: &ProgressBar, progress: &Progress) {
    bar.set_length(progress.total);
    bar.set_position(progress.done);
    bar.set_message(progress.stage);
}

fn failed(error: StoreError) -> Failed {
    match error {
        StoreError::Damaged(_) => Failed::against(format!("DAMAGED: {error}")),
        other => Failed::unable(other),
    }
}
