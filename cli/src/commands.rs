//! The tree of commands: one file per group, one line here.
//!
//! Every command takes `--json`, teaches with an example, and ends with 0, 1 or 2 (see
//! [`crate::exit`]); a test walks the tree and holds the first two.

use clap::{Parser, Subcommand};

use crate::exit::Outcome;
use crate::language::Language;
use crate::screen::Screen;

mod access;
mod anchor;
mod bench;
mod correct;
mod decide;
mod delegation;
mod disclosure;
mod emergency;
mod erase;
mod feed;
mod fsck;
pub(crate) mod genesis;
mod hold;
mod import;
mod item;
mod keygen;
mod node;
mod node_keys;
mod participant;
mod permit;
mod permits;
mod proposal;
mod prune;
mod receipt;
mod replay;
mod report;
mod roster;
pub(crate) mod rule;
mod snapshot;
mod testnet;
mod trail;
pub(crate) mod verify;
mod who_can_see;
mod worklist;

/// The command line of `custos`.
#[derive(Debug, Parser)]
#[command(
    name = "custos",
    version,
    about = "Custos: an audit ledger for access to health data",
    long_about = "Custos: an audit ledger for access to health data.\n\n\
        Institutions run validators, sign consent and access records, and agree on their order. \
        Receipts and trails that come back can be verified offline, by a program that trusts nobody.",
    after_help = "Exit codes: 0 verified or done, 1 evidence against what was shown, 2 could not tell or could not do.\n\n\
        Example: a network of four validators on this machine, with everything to try\n  \
        custos testnet up --dir /tmp/ward --detach\n  \
        custos help verify",
    disable_help_subcommand = false,
    arg_required_else_help = true
)]
pub(crate) struct Arguments {
    /// Print one JSON document on standard output instead of words
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) language: Language,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Keygen(keygen::Keygen),
    Fsck(fsck::Fsck),
    #[command(subcommand)]
    Snapshot(snapshot::SnapshotOf),
    Prune(prune::Prune),
    Bench(bench::Bench),
    Feed(feed::Feed),
    #[command(subcommand)]
    Genesis(genesis::Genesis),
    #[command(subcommand)]
    Node(node::Node),
    #[command(subcommand)]
    Testnet(testnet::Testnet),
    #[command(subcommand)]
    Participant(participant::Participant),
    #[command(subcommand)]
    Proposal(proposal::Proposal),
    #[command(subcommand)]
    Import(import::Import),
    #[command(subcommand)]
    Item(item::Item),
    #[command(subcommand)]
    Rule(rule::Rule),
    #[command(subcommand)]
    Access(access::Access),
    #[command(subcommand)]
    Emergency(emergency::Emergency),
    #[command(subcommand)]
    Permit(permit::Permit),
    #[command(subcommand)]
    Roster(roster::Roster),
    #[command(subcommand)]
    Disclosure(disclosure::Disclosure),
    #[command(subcommand)]
    Delegation(delegation::Delegation),
    Erase(Box<erase::Erase>),
    #[command(subcommand)]
    Hold(hold::Hold),
    #[command(subcommand)]
    Receipt(receipt::Receipt),
    #[command(subcommand)]
    Trail(trail::Trail),
    Verify(verify::Verify),
    Decide(decide::Decide),
    Replay(replay::Replay),
    #[command(name = "who-can-see")]
    WhoCanSee(who_can_see::WhoCanSee),
    #[command(subcommand)]
    Anchor(anchor::Anchor),
    #[command(subcommand)]
    Report(report::ReportOf),
    Worklist(worklist::Worklist),
}

impl Arguments {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        match &self.command {
            Command::Keygen(command) => command.run(screen),
            Command::Fsck(command) => command.run(screen),
            Command::Snapshot(command) => command.run(screen),
            Command::Prune(command) => command.run(screen),
            Command::Bench(command) => command.run(screen),
            Command::Feed(command) => command.run(screen),
            Command::Genesis(command) => command.run(screen),
            Command::Node(command) => command.run(screen),
            Command::Testnet(command) => command.run(screen),
            Command::Participant(command) => command.run(screen),
            Command::Proposal(command) => command.run(screen),
            Command::Import(command) => command.run(screen),
            Command::Item(command) => command.run(screen),
            Command::Rule(command) => command.run(screen),
            Command::Access(command) => command.run(screen),
            Command::Emergency(command) => command.run(screen),
            Command::Permit(command) => command.run(screen),
            Command::Roster(command) => command.run(screen),
            Command::Disclosure(command) => command.run(screen),
            Command::Delegation(command) => command.run(screen),
            Command::Erase(command) => command.run(screen),
            Command::Hold(command) => command.run(screen),
            Command::Receipt(command) => command.run(screen),
            Command::Trail(command) => command.run(screen),
            Command::Verify(command) => command.run(screen),
            Command::Decide(command) => command.run(screen),
            Command::Replay(command) => command.run(screen),
            Command::WhoCanSee(command) => command.run(screen),
            Command::Anchor(command) => command.run(screen),
            Command::Report(command) => command.run(screen),
            Command::Worklist(command) => command.run(screen),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn walk(command: &clap::Command, path: &str, visit: &mut dyn FnMut(&clap::Command, &str)) {
        visit(command, path);
        for child in command.get_subcommands().filter(|child| child.get_name() != "help") {
            walk(child, &format!("{path} {}", child.get_name()), visit);
        }
    }

    #[test]
    fn every_command_teaches_with_an_example() {
        Arguments::command().debug_assert();
        walk(&Arguments::command(), "custos", &mut |command, path| {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example"), "{path} has no example");
            assert!(help.contains("\n  custos "), "{path}: the example is no command line");
            assert!(command.get_about().is_some(), "{path} does not say what it does");
        });
    }

    #[test]
    fn every_argument_says_what_it_is() {
        walk(&Arguments::command(), "custos", &mut |command, path| {
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{path}: {} has no help", argument.get_id());
            }
        });
    }
}
