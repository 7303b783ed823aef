//! `custos snapshot`: a chain as files to carry away, verified before anybody uses them.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use custos_node::door::DoorError;
use custos_node::node::consensus_dir;
use custos_node::{aside, chain, door};
use custos_proof::anchor::{Recency, TRUST_PERIOD_MS};
use custos_proof::ids::TimeMs;
use custos_store::portable::{self, Created, Proven, SnapshotError};
use custos_store::{Store, StoreError};
use serde_json::{Value, json};

use crate::commands::fsck::{ledger_of, show};
use crate::commands::verify::read_anchor;
use crate::exit::{Exit, Failed, Outcome, While as _};
use crate::render::table::table;
use crate::screen::Screen;
use crate::time;

/// How long a node that starts or stops is waited for.
const DOOR_PATIENCE: Duration = Duration::from_secs(30);
/// How often it is asked meanwhile.
const DOOR_AGAIN: Duration = Duration::from_millis(100);

/// Make a snapshot of a node's ledger, verify one, restore one
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  \
    custos snapshot create --data /var/lib/custos -o ledger.snapshot\n  \
    custos snapshot verify ledger.snapshot --anchor anchor.custos\n  \
    custos snapshot restore ledger.snapshot --data /var/lib/custos --anchor anchor.custos")]
pub(crate) enum SnapshotOf {
    Create(Create),
    Verify(Verify),
    Restore(Restore),
}

impl SnapshotOf {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        match self {
            SnapshotOf::Create(command) => command.run(screen),
            SnapshotOf::Verify(command) => command.run(screen),
            SnapshotOf::Restore(command) => command.run(screen),
        }
    }
}

/// Copy everything a node's ledger holds, as of one block; the node may run
///
/// To a file, or into a folder of snapshots (one that is there, or a name that ends in /), where only
/// what is new is written. Whoever may read the data directory may do this; a running node is asked for a
/// consistent copy of its database and goes on. The result is private: it holds what members may read.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 made; 1 the database is damaged, and it says where; 2 it could not be made.\n\n\
    Examples:\n  \
    custos snapshot create --data /var/lib/custos -o ledger.snapshot\n  \
    custos snapshot create --data /var/lib/custos -o /mnt/backup/custos/ --keep 7"
)]
pub(crate) struct Create {
    /// The node's data directory
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Where to: a file that is not there yet, or a folder of snapshots
    #[arg(short, long, value_name = "PATH")]
    out: PathBuf,
    /// In a folder: keep the newest N snapshots and remove older ones
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    keep: Option<u16>,
}

/// Recompute everything in a snapshot and compare it with a block that follows from an anchor
///
/// Every header, certificate, signature, record, trail and entry of the state map; nothing that the file
/// says of itself is believed. It is unpacked for that, into a scratch folder that needs about as much room
/// as the ledger and is removed afterwards.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 verified; 1 evidence against it; 2 it cannot be told with this anchor, or not here.\n\n\
    Examples:\n  \
    custos snapshot verify ledger.snapshot --anchor anchor.custos\n  \
    custos snapshot verify /mnt/backup/custos/ --anchor genesis.custos --not-older-than 1d"
)]
pub(crate) struct Verify {
    /// A snapshot file, a manifest in a folder of snapshots, or such a folder for its newest one
    #[arg(value_name = "PATH")]
    path: PathBuf,
    #[command(flatten)]
    basis: Basis,
    /// Where to unpack it; by default in the system's folder for temporary files
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
}

/// Verify a snapshot and make it a node's ledger: all of it, or nothing
///
/// The node must have no ledger in its data directory. A validator that is started on it follows first, and
/// votes once a block was built that is later than anything it may have signed before.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 restored; 1 evidence against the snapshot; 2 it could not be done.\n\n\
    Example:\n  \
    custos snapshot restore ledger.snapshot --data /var/lib/custos --anchor anchor.custos"
)]
pub(crate) struct Restore {
    /// A snapshot file, a manifest in a folder of snapshots, or such a folder for its newest one
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// The node's data directory
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    basis: Basis,
}

/// What is believed from the start.
#[derive(Debug, Args)]
struct Basis {
    /// What you believe from the start: an anchor file, or the genesis of the network
    #[arg(long, value_name = "FILE")]
    anchor: PathBuf,
    /// Refuse a snapshot whose last block is older: a time, a date, or an age such as 1d
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    not_older_than: Option<TimeMs>,
}

impl Create {
    fn run(&self, screen: &Screen) -> Outcome {
        let ledger = ledger_of(&self.data);
        let begun = Instant::now();
        let made = loop {
            match Store::open(&ledger) {
                Ok(store) => break self.create(&store, screen)?,
                Err(StoreError::Locked(_)) => {}
                Err(error) => return Err(damaged(error)),
            }
            match door::copy(&self.data) {
                Ok(copy) => {
                    let store = Store::open(copy.dir()).map_err(damaged)?;
                    let made = self.create(&store, screen)?;
                    drop(store);
                    break made;
                }
                // A node that starts or stops has its ledger open and no door for a moment.
                Err(DoorError::Closed(..)) if begun.elapsed() < DOOR_PATIENCE => thread::sleep(DOOR_AGAIN),
                Err(error) => return Err(Failed::unable(error)),
            }
        };
        let removed = match (self.keep, made.path.parent()) {
            (Some(keep), Some(folder)) if self.out.is_dir() => {
                portable::thin_out(folder, keep.into()).map_err(failed)?
            }
            _ => 0,
        };
        let Created { manifest, path, new_bytes } = &made;
        screen.result(
            |paint| {
                format!(
                    "{} block {} of {} records, {new_bytes} new bytes in {}\n",
                    paint.good("made:"),
                    manifest.height,
                    manifest.log_size,
                    path.display()
                )
            },
            || {
                json!({
                    "outcome": "made",
                    "path": path,
                    "chain": manifest.chain.to_string(),
                    "height": manifest.height.0,
                    "block_id": manifest.block_id.to_string(),
                    "log_size": manifest.log_size.0,
                    "chunks": manifest.chunks.len(),
                    "bytes": manifest.chunks.iter().map(|chunk| chunk.bytes).sum::<u64>(),
                    "new_bytes": new_bytes,
                    "removed": removed,
                })
            },
        );
        Ok(Exit::Done)
    }

    fn create(&self, store: &Store, screen: &Screen) -> Outcome<Created> {
        let bar = screen.bar(0, "copying");
        let snapshot = store.snapshot().map_err(damaged)?;
        let made = portable::create(&snapshot, &self.out, &mut |progress| show(&bar, &progress));
        bar.finish_and_clear();
        made.map_err(|error| match error {
            SnapshotError::Store(error) => damaged(error),
            other => failed(other),
        })
    }
}

impl Verify {
    fn run(&self, screen: &Screen) -> Outcome {
        let scratch = self.scratch.clone().unwrap_or_else(std::env::temp_dir);
        let scratch = scratch.join(format!("custos-snapshot-{}", std::process::id()));
        let anchor = read_anchor(&self.basis.anchor)?;
        let recency = self.basis.recency();
        let bar = screen.bar(0, "reading");
        let proven =
            portable::verify(&self.path, &scratch, &anchor, &recency, &mut |progress| show(&bar, &progress));
        bar.finish_and_clear();
        tell("verified", &proven.map_err(failed)?, screen);
        Ok(Exit::Done)
    }
}

impl Restore {
    fn run(&self, screen: &Screen) -> Outcome {
        let anchor = read_anchor(&self.basis.anchor)?;
        let recency = self.basis.recency();
        if door::is_open(&self.data) {
            return Err(Failed::unable(format!("a node runs on {}", self.data.display()))
                .hint("stop it, and move its ledger away"));
        }
        crate::files::folder(&self.data)?;
        let ledger = self.data.join("ledger");
        if ledger.exists() {
            return Err(Failed::unable(format!("{} is there already", ledger.display()))
                .hint("move it away first; nothing is overwritten"));
        }
        // Before the ledger is there: a crash in between leaves a node that is more careful than it need be.
        let consensus = consensus_dir(&self.data);
        aside::stand_aside(&consensus, chain::clock(), "the ledger was restored from a snapshot")
            .could_not(|| format!("mark {}", self.data.display()))?;
        let bar = screen.bar(0, "reading");
        let proven =
            portable::restore(&self.path, &ledger, &anchor, &recency, &mut |progress| show(&bar, &progress));
        bar.finish_and_clear();
        tell("restored", &proven.map_err(failed)?, screen);
        screen.talk("A validator started on it follows first, and votes once that is safe.");
        Ok(Exit::Done)
    }
}

impl Basis {
    fn recency(&self) -> Recency {
        Recency { trust_period_ms: TRUST_PERIOD_MS, not_older_than: self.not_older_than }
    }
}

fn tell(outcome: &str, proven: &Proven, screen: &Screen) {
    let report = &proven.report;
    screen.result(
        |paint| {
            let rows = [
                ("chain", proven.chain.to_string()),
                ("block", format!("{} of {}", proven.height, time::words(proven.time))),
                ("block id", proven.block_id.to_string()),
                ("log", format!("{} records, root {}", proven.log.0, proven.log.1)),
                ("state", format!("{} entries, root {}", report.entries, proven.state_root)),
                ("signatures", report.signatures.to_string()),
                ("items", format!("{}, and {} pruned", report.items, report.items_pruned)),
            ];
            let rows: Vec<_> = rows.map(|(name, value)| vec![name.to_owned(), value]).into();
            let table = table(&["", "recomputed, and as the certified block has it"], &rows);
            format!("{}\n{table}\n", paint.good(outcome))
        },
        || data(outcome, proven),
    );
}

fn data(outcome: &str, proven: &Proven) -> Value {
    let report = &proven.report;
    json!({
        "outcome": outcome,
        "chain": proven.chain.to_string(),
        "height": proven.height.0,
        "time_ms": proven.time.0,
        "block_id": proven.block_id.to_string(),
        "log_size": proven.log.0.0,
        "log_root": proven.log.1.to_string(),
        "state_root": proven.state_root.to_string(),
        "blocks": report.blocks,
        "records": report.records,
        "items": report.items,
        "items_pruned": report.items_pruned,
        "envelopes_pruned": report.envelopes_pruned,
        "signatures": report.signatures,
        "trails": report.trails,
        "entries": report.entries,
    })
}

fn failed(error: SnapshotError) -> Failed {
    match error.is_evidence() {
        true => Failed::against(error),
        false => Failed::unable(error),
    }
}

/// What is wrong is the database that a snapshot was to be made of.
fn damaged(error: StoreError) -> Failed {
    match error {
        StoreError::Damaged(_) | StoreError::Marked(..) => Failed::against(format!("DAMAGED: {error}")),
        other => Failed::unable(other),
    }
}
