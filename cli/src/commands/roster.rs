//! `custos roster`: an organisation binds itself to the list of its staff.
//!
//! On the ledger stands a root; the list stays here, each entry with a salt of its own. The file that is written
//! shows later for each person whether they were on the roster.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use custos_proof::ids::TimeMs;
use custos_proof::kinds::roster::{Commit as Committed, Count};
use custos_proof::kinds::{Class, Fields};

use crate::commands::item::report;
use crate::commands::permit::instant;
use crate::exit::{Failed, Outcome};
use crate::files;
use crate::hand_in::Hand;
use crate::roster::RosterFile;
use crate::screen::Screen;

/// Commit to the list of an organisation's staff
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  custos roster commit --help")]
pub(crate) enum Roster {
    Commit(Commit),
}

impl Roster {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        match self {
            Roster::Commit(command) => command.run(screen),
        }
    }
}

/// Record the root over a list of staff, and keep the list with its salts
///
/// The list is JSON: [{"person": "Practitioner/3", "roles": [...], "purposes": ["TREAT"], "groups": ["Group/er"]}]. No
/// purpose means every purpose; a person has one entry. The ledger sees the root, the period and about how many there are.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    custos roster commit staff.json --from 2027-01-01 --until 2027-04-01 --out roster.json \\\n    \
    --node http://127.0.0.1:7700 --key hospital-sign.key")]
pub(crate) struct Commit {
    /// The list
    #[arg(value_name = "FILE")]
    list: PathBuf,
    /// The first instant of its period, such as 2027-01-01
    #[arg(long, value_name = "TIME", value_parser = instant)]
    from: TimeMs,
    /// The instant at which its period ends, at most 400 days later
    #[arg(long, value_name = "TIME", value_parser = instant)]
    until: TimeMs,
    /// Where to write the list with its salts: it is not overwritten, and shows later who was listed
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The node to hand in to, such as http://127.0.0.1:7700
    #[arg(long = "node", value_name = "URL")]
    url: String,
    /// The organisation's signing key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

impl Commit {
    fn run(&self, screen: &Screen) -> Outcome {
        let roster = RosterFile::to_commit(&self.list)?;
        let hand = Hand::new(&self.url, &self.key)?;
        // Before the commitment: a root whose list is lost binds to nothing that can be shown.
        files::create(&self.out, &roster.to_file()?, true)?;
        let count = match roster.entries.len() {
            0..=10 => Count::Ten,
            11..=100 => Count::Hundred,
            101..=1_000 => Count::Thousand,
            1_001..=10_000 => Count::TenThousand,
            _ => Count::More,
        };
        let commit = Committed { from: self.from, until: self.until, root: roster.root(), count };
        let records = hand.record(Class::Act, vec![Fields::RosterCommit(commit)])?;
        let record = records.first().ok_or_else(|| Failed::unable("the node gave no receipt"))?;
        report(record, &[("root", roster.root().to_string())], screen)
    }
}
