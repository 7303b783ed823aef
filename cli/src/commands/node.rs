//! `custos node`: run a node.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use custos_node::config::Config;
use custos_node::node::consensus_dir;
use custos_node::{aside, chain, door, node, telemetry};
use custos_store::{Store, StoreError};
use serde_json::json;

use crate::commands::fsck::ledger_of;
use crate::commands::node_keys;
use crate::exit::{Exit, Failed, Outcome, While as _};
use crate::screen::Screen;

/// Run a node
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  custos node run --config node.toml")]
pub(crate) enum Node {
    Run(Run),
    Rotate(node_keys::Rotate),
    Replace(node_keys::Replace),
    #[command(name = "stand-aside")]
    StandAside(StandAside),
    #[command(name = "vote-again")]
    VoteAgain(VoteAgain),
}

impl Node {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        match self {
            Node::Run(command) => command.run(screen),
            Node::Rotate(command) => command.run(screen),
            Node::Replace(command) => command.run(screen),
            Node::StandAside(command) => command.run(screen),
            Node::VoteAgain(command) => command.run(screen),
        }
    }
}

/// Run a validator, or a follower without a consensus key, until SIGTERM or Ctrl-C
///
/// The configuration is strict: a key that is not known is an error. Relative paths are relative to
/// the file. Logs go to standard error.
#[derive(Debug, Args)]
#[command(after_help = "Example: node.toml\n  \
    data_dir = \"data\"\n  \
    genesis = \"genesis.custos\"\n  \
    participant = \"hospital-a.example\"      # whose node this is; left out for a follower\n\n  \
    [api]\n  \
    listen = \"127.0.0.1:7700\"\n  \
    names = [\"custos.hospital-a.example:7700\"]  # other names under which members address it\n\n  \
    [p2p]\n  \
    listen = \"/ip4/0.0.0.0/tcp/7701\"\n\n  \
    [[p2p.peers]]                            # once for each other node\n  \
    participant = \"hospital-b.example\"\n  \
    address = \"/dns4/node.hospital-b.example/tcp/7701\"\n  \
    transport_key = \"64 hexadecimal digits\"  # see custos genesis inspect\n  \
    bootstrap = false                        # true: may connect before the registry lists it\n\n  \
    [keys]                                   # made by custos keygen\n  \
    transport = \"transport.key\"\n  \
    consensus = \"consensus.key\"              # left out for a follower\n  \
    note = \"note.key\"                        # signs checkpoints\n\n  \
    [log]\n  \
    format = \"text\"                          # or json\n  \
    level = \"info\"\n\n\
    and then\n  \
    custos node run --config node.toml")]
pub(crate) struct Run {
    /// The node's configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Have a stopped validator follow without voting, until it cannot contradict what it may have signed
///
/// Needed whenever a validator's key is used with anything but the files that it last voted with, and
/// when a node says that the files of consensus do not fit. These are moved aside. Restoring a snapshot
/// does the same, and a node does it by itself when it finds its log of votes missing. The
/// node votes again, by itself, once it has committed a block that was built after this moment.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  custos node stand-aside --data /var/lib/custos --reason \"a new disk\"")]
pub(crate) struct StandAside {
    /// The node's data directory
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Why, for whoever reads the log later
    #[arg(long, default_value = "an operator said so")]
    reason: String,
}

/// Let a validator that stands aside vote at once
///
/// Only for the day on which more than a third of the validators lost their logs of votes, so that no block
/// can be built without them. All operators have to agree that the lost nodes are gone for good, and that
/// every node that still runs has the same head: otherwise two histories can come to be.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  custos node vote-again --data /var/lib/custos --all-operators-agree")]
pub(crate) struct VoteAgain {
    /// The node's data directory
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// They do
    #[arg(long)]
    all_operators_agree: bool,
}

impl StandAside {
    fn run(&self, screen: &Screen) -> Outcome {
        stopped(&self.data)?;
        let moved = aside::stand_aside(&consensus_dir(&self.data), chain::clock(), &self.reason)
            .could_not(|| format!("mark {}", self.data.display()))?;
        screen.result(
            |_| {
                let files = moved.as_ref().map_or(String::new(), |moved| {
                    format!("what consensus kept was moved to {}\n", moved.display())
                });
                format!("the node stands aside from its next start on\n{files}")
            },
            || json!({ "stands_aside": true, "moved_to": moved }),
        );
        Ok(Exit::Done)
    }
}

impl VoteAgain {
    fn run(&self, screen: &Screen) -> Outcome {
        if !self.all_operators_agree {
            return Err(Failed::unable("ending it by hand can lead to two histories")
                .hint("read docs/operating/vote-again.md, then say --all-operators-agree"));
        }
        stopped(&self.data)?;
        let directory = consensus_dir(&self.data);
        let noted =
            aside::noted(&directory).could_not(|| format!("read the note in {}", directory.display()))?;
        aside::vote_again(&directory).could_not(|| format!("write to {}", directory.display()))?;
        screen.result(
            |_| match &noted {
                Some(why) => format!("the node votes from its next start on; it stood aside because {why}\n"),
                None => "the node votes from its next start on\n".into(),
            },
            || json!({ "votes_again": true, "stood_aside_because": noted }),
        );
        Ok(Exit::Done)
    }
}

/// The node has to be stopped, and there has to be one.
fn stopped(data: &Path) -> Outcome<()> {
    if !data.is_dir() {
        return Err(Failed::unable(format!("there is no directory {}", data.display()))
            .hint("name the node's `data_dir`"));
    }
    // A node without a door still holds its database; one that is damaged or missing is held by nobody.
    let is_held = || matches!(Store::open(&ledger_of(data)), Err(StoreError::Locked(_)));
    match door::is_open(data) || is_held() {
        false => Ok(()),
        true => Err(Failed::unable(format!("a node runs on {}", data.display())).hint("stop it first")),
    }
}

impl Run {
    fn run(&self, _: &Screen) -> Outcome {
        let checked = Config::read(&self.config).map_err(Failed::unable)?;
        telemetry::start(&checked.config.log).map_err(Failed::unable)?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().build().could_not(|| "start")?;
        runtime.block_on(node::run(checked)).map_err(Failed::unable)?;
        Ok(Exit::Done)
    }
}
