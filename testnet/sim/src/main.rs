//! `sim`: simulates seeds, and shows the first that must not be as it is.
//!
//! A seed with a finding is simulated once more, to say whether it shows the same again.
//!
//! Exit code 0 when every seed ran clean, 1 with a finding, 2 when the arguments make no sense.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use custos_sim::{Byzantine, Options, Plant, Report, simulate};
use serde_json::json;

/// Simulates validators under faults, from seeds.
#[derive(Parser)]
#[command(
    name = "sim",
    after_help = "Examples:\n  sim --seeds 100 --heights 50\n  sim --seed 4711 --trace\n  sim --plant wal-off --seeds 100"
)]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// One seed only.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// How many heights each.
    #[arg(long, default_value_t = 50)]
    heights: u64,
    /// Plant a fault into every node: wal-off, root-not-compared, dedup-off, trail-omitted, quorum-off-by-one,
    /// votes-at-once.
    #[arg(long)]
    plant: Option<Plant>,
    /// What faulty validators do, separated by commas, instead of what the seed says.
    #[arg(long, value_delimiter = ',')]
    byzantine: Option<Vec<Byzantine>>,
    /// Print every event to stderr.
    #[arg(long)]
    trace: bool,
    /// Leave out the naive ledger: faster, for looking at consensus alone.
    #[arg(long)]
    without_naive: bool,
    /// One JSON object per seed on stdout.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (first, count) = arguments.seed.map_or((arguments.from, arguments.seeds), |seed| (seed, 1));
    let begun = Instant::now();
    let (mut heights, mut items, mut acked, mut crashes, mut virtual_ms) = (0, 0, 0, 0, 0);
    for seed in first..first.saturating_add(count) {
        let options = Options {
            plant: arguments.plant,
            byzantine: arguments.byzantine.clone(),
            trace: arguments.trace,
            naive: !arguments.without_naive,
            ..Options::seed(seed, arguments.heights)
        };
        let report = simulate(&options);
        if arguments.json {
            println!("{}", as_json(&report));
        }
        if !report.findings.is_empty() {
            show(&arguments, &report);
            let again = simulate(&Options { trace: false, ..options });
            eprintln!("{}", compared(&report, &again));
            return ExitCode::from(1);
        }
        heights += report.height;
        items += report.items;
        acked += report.acked;
        crashes += report.crashes;
        virtual_ms += report.ms;
        let done = seed - first + 1;
        if !arguments.json && (count == 1 || done.is_multiple_of(100)) {
            eprintln!("{done} of {count} seeds, {heights} heights, {:.1} s", begun.elapsed().as_secs_f64());
        }
    }
    if !arguments.json {
        println!(
            "{count} seeds ran clean: {heights} heights, {items} items, {acked} submissions acknowledged, {crashes} \
             processes killed, {} s of virtual time",
            virtual_ms / 1000
        );
    }
    ExitCode::SUCCESS
}

fn as_json(report: &Report) -> serde_json::Value {
    json!({
        "seed": report.seed,
        "findings": report.findings.iter().map(|f| json!({"oracle": f.oracle, "what": f.what})).collect::<Vec<_>>(),
        "trace": report.trace,
        "height": report.height,
        "virtual_ms": report.ms,
        "events": report.events,
        "items": report.items,
        "acknowledged": report.acked,
        "crashes": report.crashes,
        "pairs_reported": report.pairs_reported,
        "reports_recorded": report.reports_recorded,
        "highest_round": report.rounds,
        "newcomer_signed": report.newcomer_signed,
        "founder_left": report.founder_left,
        "synced_blocks": report.counts.synced,
        "log_entries_replayed": report.counts.replayed,
        "blocks_refused": report.counts.refused,
        "logs_lost": report.counts.log_lost,
        "directories_lost": report.counts.directory_lost,
        "ledgers_cut": report.counts.blocks_lost,
        "ledgers_restored": report.counts.restored,
        "stood_aside": report.counts.stood_aside,
        "voted_again": report.counts.voted_again,
        "first_rounds_cut_short": report.counts.absent,
        "facts_due": report.dues,
        "kinds": report.kinds,
        "byzantine": report.byzantine,
        "votes": report.plan,
    })
}

fn show(arguments: &Arguments, report: &Report) {
    eprintln!("the last events:");
    report.recent.iter().for_each(|line| eprintln!("  {line}"));
    eprintln!();
    for finding in &report.findings {
        eprintln!("seed {}: {finding}", report.seed);
    }
    eprintln!("  faulty validators: {}; {}", report.byzantine.join(", "), report.plan);
    let plant = arguments.plant.map(|plant| format!(" --plant {}", plant.name())).unwrap_or_default();
    let named = arguments.byzantine.as_ref().map(|named| {
        format!(
            " --byzantine {}",
            named.iter().map(|byzantine| byzantine.name()).collect::<Vec<_>>().join(",")
        )
    });
    println!(
        "replay: sim --seed {} --heights {}{plant}{} --trace",
        report.seed,
        arguments.heights,
        named.unwrap_or_default()
    );
}

/// Whether a seed that was simulated once more did the same.
fn compared(report: &Report, again: &Report) -> String {
    let trace = |of: &Report| match of.trace.as_str() {
        "" => "none, because it panicked".to_owned(),
        trace => trace.to_owned(),
    };
    let findings = again.findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    match report.trace == again.trace && report.findings == again.findings {
        true => format!("simulated once more, it did the same: trace {}", trace(again)),
        false => format!(
            "simulated once more, it did NOT do the same: trace {} before, {} now, with {} findings: {findings}; \
             what differs does not follow from the seed, and that is a fault of the simulator",
            trace(report),
            trace(again),
            again.findings.len()
        ),
    }
}
