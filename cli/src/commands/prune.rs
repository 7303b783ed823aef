//! `custos prune`: old testimony goes from a node's disk, and every proof stays what it was.

use std::path::PathBuf;

use clap::Args;
use custos_proof::ids::{Height, TimeMs};
use custos_store::{Store, StoreError};
use serde_json::json;

use crate::commands::fsck::{ledger_of, show};
use crate::exit::{Exit, Failed, Outcome};
use crate::screen::Screen;
use crate::time;

/// Remove the items of old testimony from a stopped node
///
/// Accesses and other testimony go; records, roots, certificates and acts (rules, permits, registrations) stay.
/// In trail proofs these entries read `pruned`, receipts of them are refused with 410, and nothing else changes.
/// What is on hold (`custos hold`) stays until the hold is lifted and this is run again.
/// The node no longer serves the blocks concerned to nodes that catch up. A running node does the same by
/// itself with a section `[retention]` in its configuration.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 pruned; 1 the database is damaged, and it says where; 2 it could not be done.\n\n\
    Examples:\n  \
    custos prune --data /var/lib/custos --before 3650d\n  \
    custos prune --data /var/lib/custos --before 120000 --envelopes"
)]
pub(crate) struct Prune {
    /// The node's data directory
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Blocks before this one: a height, a time, a date, or an age such as 3650d
    #[arg(long, value_name = "HEIGHT|TIME", value_parser = before)]
    before: Before,
    /// Remove the envelopes too, and with them the proof of who signed
    #[arg(long)]
    envelopes: bool,
}

#[derive(Debug, Clone, Copy)]
enum Before {
    Height(Height),
    Time(TimeMs),
}

fn before(text: &str) -> Result<Before, String> {
    match text.parse() {
        Ok(height) => Ok(Before::Height(Height(height))),
        Err(_) => time::parse(text).map(Before::Time),
    }
}

impl Prune {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        let store = Store::open(&ledger_of(&self.data)).map_err(failed)?;
        let height = match self.before {
            Before::Height(height) => height,
            Before::Time(time) => {
                store.snapshot().and_then(|snapshot| snapshot.height_at(time)).map_err(failed)?
            }
        };
        let bar = screen.bar(0, "pruning");
        let pruned = store.prune(height, self.envelopes, &mut |progress| show(&bar, &progress));
        bar.finish_and_clear();
        let pruned = pruned.map_err(failed)?;
        screen.result(
            |paint| {
                let held = match pruned.held {
                    0 => String::new(),
                    held => format!("; {held} items are on hold and stay"),
                };
                format!(
                    "{} {} items and {} envelopes of blocks before {height}; blocks are whole from {} on{held}\n",
                    paint.good("pruned:"),
                    pruned.items,
                    pruned.envelopes,
                    pruned.whole_from
                )
            },
            || {
                json!({
                    "outcome": "pruned",
                    "before": height.0,
                    "items": pruned.items,
                    "envelopes": pruned.envelopes,
                    "held": pruned.held,
                    "whole_from": pruned.whole_from.0,
                })
            },
        );
        Ok(Exit::Done)
    }
}

fn failed(error: StoreError) -> Failed {
    match error {
        StoreError::Damaged(_) | StoreError::Marked(..) => Failed::against(format!("DAMAGED: {error}")),
        StoreError::Locked(_) => {
            Failed::unable(error).hint("or let the running node prune: `[retention]` in its configuration")
        }
        other => Failed::unable(other),
    }
}
