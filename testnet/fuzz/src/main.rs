//! The command behind `make fuzz`: every target in a process of its own, for so long, crashes kept.
//!
//! Exit codes: 0 nothing was found, 1 a decoder breaks its contract, 2 could not tell.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Parser, Subcommand};
use custos_fuzz::drive::{Crash, Plan, drive, once, shrink};
use custos_fuzz::target::Target;
use custos_fuzz::{corpus, targets};
use serde_json::json;

const CLEAN: u8 = 0;
const FOUND: u8 = 1;
const UNABLE: u8 = 2;

/// Hostile bytes into every decoder
#[derive(Debug, Parser)]
#[command(name = "custos-fuzz", after_help = "Example: custos-fuzz run --target receipt --seconds 60")]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// The targets and what they read
    #[command(after_help = "Example: custos-fuzz list --json")]
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Mutate for so long; the first crash of a target ends its turn and is kept in testnet/fuzz/crashes
    #[command(after_help = "Example: custos-fuzz run --target receipt --seconds 60 --seed 7")]
    Run(Run),
    /// Run one input, for example a crash that was kept
    #[command(after_help = "Example: custos-fuzz replay receipt testnet/fuzz/crashes/receipt/0f3a")]
    Replay {
        /// The target
        target: String,
        /// The input
        file: PathBuf,
    },
    /// Write what targets begin with into DIR/TARGET, for other fuzzers
    #[command(after_help = "Example: custos-fuzz seeds /tmp/seeds --target receipt")]
    Seeds {
        /// Where
        directory: PathBuf,
        /// Only these targets
        #[arg(long)]
        target: Vec<String>,
    },
}

#[derive(Debug, Args)]
struct Run {
    /// Only these targets
    #[arg(long)]
    target: Vec<String>,
    /// How long each target gets
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// At most so many inputs for each target
    #[arg(long, default_value_t = u64::MAX)]
    runs: u64,
    /// Where the mutations begin; the same seed gives the same inputs
    #[arg(long)]
    seed: Option<u64>,
    /// Results as JSON, a line for each target
    #[arg(long)]
    json: bool,
    /// In this process
    #[arg(long, hide = true)]
    here: bool,
    /// Write each input here before it is run
    #[arg(long, hide = true)]
    trace: Option<PathBuf>,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Task::List { json } => list(json),
        Task::Run(run) if run.here => run.targets().map(|targets| here(&run, &targets)),
        Task::Run(run) => run.targets().and_then(|targets| apart(&run, &targets)),
        Task::Replay { target, file } => replay(&target, &file),
        Task::Seeds { directory, target } => seeds(&directory, &target),
    };
    ExitCode::from(done.unwrap_or_else(|why| {
        eprintln!("{why}");
        UNABLE
    }))
}

fn named(names: &[String]) -> Result<Vec<Target>, String> {
    let find = |name: &String| {
        targets::find(name)
            .ok_or_else(|| format!("there is no target {name:?}; `custos-fuzz list` names them"))
    };
    if names.is_empty() { Ok(targets::all()) } else { names.iter().map(find).collect() }
}

fn list(as_json: bool) -> Result<u8, String> {
    for target in targets::all() {
        if as_json {
            println!("{}", json!({ "target": target.name, "reads": target.reads }));
        } else {
            println!("{:18} {}", target.name, target.reads);
        }
    }
    Ok(CLEAN)
}

impl Run {
    fn targets(&self) -> Result<Vec<Target>, String> {
        named(&self.target)
    }
}

/// Each target in a process of its own, so that nothing that one does ends the others.
fn apart(run: &Run, targets: &[Target]) -> Result<u8, String> {
    let program = std::env::current_exe().map_err(|error| format!("cannot find myself: {error}"))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = run.seed.unwrap_or(now.as_secs());
    eprintln!("{} targets, {} s each, --seed {seed}", targets.len(), run.seconds);
    let mut worst = CLEAN;
    for target in targets {
        let start = |trace: Option<&Path>| {
            let mut command = Command::new(&program);
            command.args(["run", "--here", "--target", target.name]);
            // With a trace it is slower by far: as long as it takes, up to the input that ended the first run.
            let seconds = if trace.is_some() { 3600 } else { run.seconds };
            command.args(["--seconds", &seconds.to_string(), "--runs", &run.runs.to_string()]);
            command.args(["--seed", &seed.to_string()]);
            if run.json {
                command.arg("--json");
            }
            if let Some(trace) = trace {
                command.arg("--trace").arg(trace);
            }
            command.status().map_err(|error| format!("cannot start {}: {error}", program.display()))
        };
        let code = match start(None)?.code() {
            Some(code) => u8::try_from(code).unwrap_or(UNABLE),
            None => {
                // A signal: the stack, or all memory. Once more, with each input on disk before it is run.
                let trace = std::env::temp_dir().join(format!("custos-fuzz-{}", std::process::id()));
                let again = start(Some(&trace))?;
                let input = std::fs::read(&trace).unwrap_or_default();
                let _ = std::fs::remove_file(&trace);
                if again.code().is_none() {
                    let crash = Crash { target: target.name, input, message: "the process died".into() };
                    said(&crash, run.json)?;
                }
                FOUND
            }
        };
        worst = worst.max(code);
    }
    Ok(worst)
}

fn here(run: &Run, targets: &[Target]) -> u8 {
    let mut worst = CLEAN;
    for target in targets {
        let plan = Plan {
            seed: run.seed.unwrap_or(1),
            runs: run.runs,
            time: Some(Duration::from_secs(run.seconds)),
            trace: run.trace.clone(),
        };
        match drive(target, corpus::of(target), &plan) {
            Ok(report) => {
                for input in &report.kept {
                    // A corpus that cannot be kept costs the next run its start, and nothing else.
                    let _ = corpus::keep("corpus", target.name, input);
                }
                if run.json {
                    println!(
                        "{}",
                        json!({
                            "target": target.name,
                            "runs": report.runs,
                            "accepted": report.accepted,
                            "outcomes": report.outcomes.len(),
                            "kept": report.kept.len(),
                            "slowest_ms": report.slowest.as_millis() as u64,
                            "crash": null,
                        })
                    );
                } else {
                    println!(
                        "{:18} {:>9} inputs, {:>8} accepted, {:>4} outcomes, {:>3} new, slowest {} ms",
                        target.name,
                        report.runs,
                        report.accepted,
                        report.outcomes.len(),
                        report.kept.len(),
                        report.slowest.as_millis()
                    );
                }
            }
            Err(mut crash) => {
                std::panic::set_hook(Box::new(|_| {}));
                crash.input = shrink(target, &crash.input);
                let _ = std::panic::take_hook();
                worst = said(&crash, run.json).unwrap_or(UNABLE).max(worst);
            }
        }
    }
    worst
}

/// Keeps a crash and says where.
fn said(crash: &Crash, as_json: bool) -> Result<u8, String> {
    let path = corpus::keep("crashes", crash.target, &crash.input)
        .map_err(|error| format!("{}: found a crash and cannot keep it: {error}", crash.target))?;
    if as_json {
        let path = path.display().to_string();
        println!("{}", json!({ "target": crash.target, "crash": path, "message": crash.message }));
    } else {
        println!("{:18} CRASH: {}; kept as {}", crash.target, crash.message, path.display());
    }
    eprintln!(
        "give the file a name, write a test for it in testnet/fuzz/tests/crashes.rs, and mend the decoder"
    );
    Ok(FOUND)
}

fn replay(target: &str, file: &Path) -> Result<u8, String> {
    let bytes = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    for target in named(&[target.to_owned()])? {
        match once(&target, &bytes) {
            Ok(outcome) => println!("{outcome:?}"),
            Err(message) => {
                println!("crash: {message}");
                return Ok(FOUND);
            }
        }
    }
    Ok(CLEAN)
}

fn seeds(directory: &Path, names: &[String]) -> Result<u8, String> {
    for target in named(names)? {
        let folder = directory.join(target.name);
        let write = || {
            std::fs::create_dir_all(&folder)?;
            let corpus = corpus::of(&target);
            corpus
                .iter()
                .enumerate()
                .try_for_each(|(at, bytes)| std::fs::write(folder.join(format!("{at:05}")), bytes))
        };
        write().map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    Ok(CLEAN)
}
