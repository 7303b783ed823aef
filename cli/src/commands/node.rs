//! `custos node`: run a node.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use custos_node::config::Config;
use custos_node::{node, telemetry};

use crate::exit::{Exit, Failed, Outcome, While as _};
use crate::screen::Screen;

/// Run a node
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  custos node run --config node.toml")]
pub(crate) enum Node {
    Run(Run),
}

impl Node {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        match self {
            Node::Run(command) => command.run(screen),
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
    names = [\"custos.hospital-a.example:443\"]   # other names under which members address it\n\n  \
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
