//! `make scenarios`: tells the stories and prints fault, what was seen, and the verdict.

use std::process::ExitCode;

use clap::Parser;
use custos_scenarios::Plan;
use custos_scenarios::report::{self, Line};
use custos_scenarios::stories;
use serde_json::{Value, json};

/// Attack real nodes in real processes, and check what every story is checked for
///
/// Exit codes: 0 every story held, 1 one did not, 2 there is no such story.
#[derive(Debug, Parser)]
#[command(
    name = "scenarios",
    after_help = "Examples:\n  scenarios --list\n  scenarios --only kill-loop --only partition\n  scenarios --short --json"
)]
struct Arguments {
    /// Only this story; may be given several times
    #[arg(long, value_name = "STORY")]
    only: Vec<String>,
    /// Only the stories of `make test`, with few repetitions
    #[arg(long)]
    short: bool,
    /// List the stories and tell none
    #[arg(long)]
    list: bool,
    /// Chooses victims and moments
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print one JSON document on standard output instead of words
    #[arg(long)]
    json: bool,
    /// Print the rows of a Markdown table
    #[arg(long)]
    markdown: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let names = || stories::ALL.iter().map(|story| story.name);
    if let Some(name) = arguments.only.iter().find(|name| !names().any(|known| known == name.as_str())) {
        let known: Vec<_> = names().collect();
        eprintln!("there is no story {name}; there are: {}", known.join(", "));
        return ExitCode::from(2);
    }
    let chosen: Vec<_> = stories::ALL
        .iter()
        .filter(|story| match arguments.only.as_slice() {
            [] => !arguments.short || story.is_short,
            only => only.iter().any(|name| name == story.name),
        })
        .collect();
    if arguments.list {
        for story in &chosen {
            println!(
                "{:<16} {}{}",
                story.name,
                story.fault,
                if story.is_short { " (in make test)" } else { "" }
            );
        }
        return ExitCode::SUCCESS;
    }
    let plan = Plan { short: arguments.short, seed: arguments.seed };
    let mut lines: Vec<Line> = Vec::new();
    for story in chosen {
        eprintln!("{}: {}", story.name, story.fault);
        let line = report::run(story, &plan);
        match (arguments.json, arguments.markdown) {
            (true, _) => eprintln!("{}: {}", line.name, line.word()),
            (false, true) => print!("{}", line.markdown()),
            (false, false) => print!("{}", line.text()),
        }
        lines.push(line);
    }
    let failed = lines.iter().filter(|line| line.failed()).count();
    let skipped = lines.iter().filter(|line| line.word() == "skipped").count();
    let held = lines.len() - failed - skipped;
    if arguments.json {
        let stories: Vec<Value> = lines.iter().map(Line::json).collect();
        println!(
            "{:#}",
            json!({ "seed": plan.seed, "held": held, "failed": failed, "skipped": skipped, "stories": stories })
        );
    } else {
        eprintln!("{held} held, {failed} failed, {skipped} skipped (seed {})", plan.seed);
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) }
}
