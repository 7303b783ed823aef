//! `custos proposal`: what the validators decide together, and one operator's vote.
//!
//! A proposal carries acts, as `custos item` writes them. More than the threshold of voting power has
//! to say yes; then they are carried out in the very block that records the last vote.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use custos_api::answers::ProposalAnswer;
use custos_api::blocking::Client;
use custos_proof::cbor::List;
use custos_proof::ids::{ItemId, Random16, TimeMs};
use custos_proof::item::Item;
use custos_proof::kinds::proposal::{Choice, MAX_ACTS, Open as Opening, Vote as Voting, VotedAct};
use custos_proof::kinds::{Class, Fields};
use serde_json::{Value, json};

use crate::commands::item;
use crate::exit::{Exit, Failed, Outcome};
use crate::hand_in::{Hand, random};
use crate::network::refused;
use crate::render::table::table;
use crate::screen::Screen;
use crate::time;

/// For how long a proposal can be decided, by default, in hours: a week.
const DEADLINE_HOURS: u64 = 168;

/// See what is put to the vote, and vote
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  custos proposal list --node http://127.0.0.1:7700")]
pub(crate) enum Proposal {
    List(ListAll),
    Show(Show),
    Open(Open),
    Vote(Vote),
}

impl Proposal {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        match self {
            Proposal::List(command) => command.run(screen),
            Proposal::Show(command) => command.run(screen),
            Proposal::Open(command) => command.run(screen),
            Proposal::Vote(command) => command.run(screen),
        }
    }
}

/// List the proposals that can still be decided
#[derive(Debug, Args)]
#[command(name = "list")]
#[command(after_help = "Example:\n  custos proposal list --node http://127.0.0.1:7700")]
pub(crate) struct ListAll {
    /// The node's address, such as http://127.0.0.1:7700
    #[arg(long = "node", value_name = "URL")]
    url: String,
}

/// Show a proposal: what it would do, who said what, and what became of it
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  custos proposal show 5a0e...c1 --node http://127.0.0.1:7700")]
pub(crate) struct Show {
    /// The proposal's id
    #[arg(value_name = "PROPOSAL")]
    proposal: Random16,
    /// The node's address, such as http://127.0.0.1:7700
    #[arg(long = "node", value_name = "URL")]
    url: String,
}

/// Put acts to the vote; a validator that opens a proposal has said yes to it
///
/// The file holds one act or a list of up to eight, as `custos item template` prints them. They are carried out
/// together, in order, or not at all.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    custos item template participant.suspend > suspend.json\n  \
    custos proposal open -f suspend.json --node http://127.0.0.1:7700 --key hospital-1-sign.key")]
pub(crate) struct Open {
    /// The acts
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: PathBuf,
    /// For how long it can be decided, in hours; at most 2160
    #[arg(long, value_name = "HOURS", default_value_t = DEADLINE_HOURS)]
    hours: u64,
    /// The node to hand in to, such as http://127.0.0.1:7700
    #[arg(long = "node", value_name = "URL")]
    url: String,
    /// The signing key of a validator or the registrar
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

/// Vote on a proposal, as a validator
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    custos proposal vote 5a0e...c1 yes --node http://127.0.0.1:7700 --key hospital-2-sign.key")]
pub(crate) struct Vote {
    /// The proposal's id
    #[arg(value_name = "PROPOSAL")]
    proposal: Random16,
    /// yes or no
    #[arg(value_name = "VOTE", value_parser = choice)]
    vote: Choice,
    /// The node to hand in to, such as http://127.0.0.1:7700
    #[arg(long = "node", value_name = "URL")]
    url: String,
    /// The validator's signing key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

impl ListAll {
    fn run(&self, screen: &Screen) -> Outcome {
        let answer = Client::new(&self.url).map_err(refused)?.proposals().map_err(refused)?;
        screen.result(
            |_| {
                let row = |proposal: &ProposalAnswer| {
                    vec![
                        proposal.proposal.to_string(),
                        kinds(proposal).join(", "),
                        proposal.opener.to_string(),
                        time::words(TimeMs(proposal.deadline_ms)),
                        format!("{} of {}", proposal.yes_power, proposal.total_power),
                        proposal.no_power.to_string(),
                    ]
                };
                let rows: Vec<_> = answer.proposals.iter().map(row).collect();
                match rows.is_empty() {
                    true => "no proposal is open\n".into(),
                    false => format!(
                        "{}\n",
                        table(&["proposal", "acts", "opened by", "until", "yes", "no"], &rows)
                    ),
                }
            },
            || json!(answer),
        );
        Ok(Exit::Done)
    }
}

impl Show {
    fn run(&self, screen: &Screen) -> Outcome {
        let client = Client::new(&self.url).map_err(refused)?;
        let answer = client.proposal(&self.proposal).map_err(refused)?;
        tell(&answer, screen);
        Ok(Exit::Done)
    }
}

impl Open {
    fn run(&self, screen: &Screen) -> Outcome {
        let hand = Hand::new(&self.url, &self.key)?;
        let acts = item::read_acts(&self.file)?;
        let answer = open(&hand, acts, self.hours)?;
        tell(&answer, screen);
        Ok(Exit::Done)
    }
}

impl Vote {
    fn run(&self, screen: &Screen) -> Outcome {
        let hand = Hand::new(&self.url, &self.key)?;
        let vote = Voting { proposal: self.proposal, vote: self.vote };
        hand.record(Class::Act, vec![Fields::ProposalVote(vote)])?;
        let answer = hand.client.proposal(&self.proposal).map_err(refused)?;
        tell(&answer, screen);
        Ok(Exit::Done)
    }
}

/// Opens a proposal of acts; what became of it by then.
pub(crate) fn open(hand: &Hand, acts: Vec<Item>, hours: u64) -> Outcome<ProposalAnswer> {
    let names: Vec<_> = acts.iter().map(|act| act.kind().name()).collect();
    let acts =
        acts.into_iter().map(VotedAct::new).collect::<Option<Vec<_>>>().and_then(List::new).ok_or_else(
            || {
                Failed::unable(format!(
                    "a proposal has up to {MAX_ACTS} acts, and none of {} can be a vote",
                    names.join(", ")
                ))
            },
        )?;
    let proposal = Random16(random()?);
    let deadline = time::now().plus(hours.saturating_mul(3_600_000));
    hand.record(Class::Act, vec![Fields::ProposalOpen(Opening { proposal, acts, deadline })])?;
    hand.client.proposal(&proposal).map_err(refused)
}

/// Acts of these fields, with fresh ids.
pub(crate) fn acts(fields: Vec<Fields>) -> Outcome<Vec<Item>> {
    fields.into_iter().map(|fields| Ok(Item { item_id: ItemId(random()?), fields })).collect()
}

/// Shows a proposal.
pub(crate) fn tell(proposal: &ProposalAnswer, screen: &Screen) {
    screen.result(|_| words(proposal), || json!(proposal));
}

/// A proposal in words.
pub(crate) fn words(proposal: &ProposalAnswer) -> String {
    let state = match (proposal.state.as_str(), &proposal.reason, proposal.closed) {
        ("executed", _, Some(height)) => format!("executed in block {height}"),
        ("failed", Some(reason), Some(height)) => {
            format!("agreed on in block {height}, and not carried out: {reason}")
        }
        (state, _, Some(height)) => format!("{state} in block {height}"),
        (state, _, None) => format!("{state} until {}", time::words(TimeMs(proposal.deadline_ms))),
    };
    let mut lines = vec![
        format!("proposal {}", proposal.proposal),
        format!("opened   by {}, in block {}", proposal.opener, proposal.opened),
        format!("state    {state}"),
        format!("yes      {} of {}: {}", proposal.yes_power, proposal.total_power, names(&proposal.yes)),
        format!("no       {} of {}: {}", proposal.no_power, proposal.total_power, names(&proposal.no)),
    ];
    for act in &proposal.acts {
        lines.push(format!("act      {}", act["kind"].as_str().unwrap_or_default()));
        if let Value::Object(fields) = &act["fields"] {
            lines.extend(fields.iter().map(|(name, value)| format!("           {name}: {value}")));
        }
    }
    lines.join("\n") + "\n"
}

fn kinds(proposal: &ProposalAnswer) -> Vec<&str> {
    proposal.acts.iter().filter_map(|act| act["kind"].as_str()).collect()
}

fn names(names: &[String]) -> String {
    if names.is_empty() { "nobody".into() } else { names.join(", ") }
}

fn choice(text: &str) -> Result<Choice, String> {
    Choice::from_word(text).ok_or_else(|| "it is yes or no".into())
}
