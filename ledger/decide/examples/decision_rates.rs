//! How many decisions per second and core: `cargo run --workspace --example decision_rates`; with `--json` one object, for
//! `make bench`.
//!
//! Twenty consents of five rules each (a root and four nested), requests by clinicians for one item and for a
//! hundred, unscoped requests, and the same with a thousand other rules that are no longer in force. The ledger's
//! size has no part in it: what a decision reads is the subject's own rules.

// The measurement is what this program is for; nothing that decides reads a clock.
use std::hint::black_box;
use std::time::{Duration, Instant};

#[path = "../tests/support/mod.rs"]
mod support;

use custos_decide::facts::Facts;
use custos_decide::request::{Request, Scope};
use custos_proof::ids::{Height, LogIndex};
use support::{Scene, ask};

const MEASURED: Duration = Duration::from_secs(2);

fn consents(mut scene: Scene, count: usize) -> Scene {
    for number in 0..count {
        let root = match number % 5 {
            4 => "deny for:HRESCH",
            _ => "permit for:TREAT,HPAYMT,HOPERAT label:N",
        };
        let text = format!(
            "{root} / deny label:PSY to:Practitioner/x{number} / permit label:R to:Practitioner/a{number} \
             / deny authoredby:Practitioner/y{number} dated:2020..2022 / deny class:14-1-d code:{number}-1"
        );
        scene = scene.says(&text);
    }
    scene
}

/// Time that this process had a core for, where the system says so: a machine with other work on it must not count.
fn core_time(start: Instant) -> Duration {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    match text.split(' ').next().and_then(|ns| ns.parse().ok()) {
        Some(ns) => Duration::from_nanos(ns),
        None => start.elapsed(),
    }
}

fn measure(name: &str, facts: &Facts<'_>, requests: &[Request]) -> (String, f64) {
    let start = Instant::now();
    let before = core_time(start);
    let mut decisions = 0u32;
    while core_time(start).saturating_sub(before) < MEASURED {
        // The clock is read seldom: reading it costs as much as a few rules.
        for request in requests.iter().cycle().take(256) {
            black_box(custos_decide::decide(black_box(facts), black_box(request)));
        }
        decisions += 256;
    }
    let per_second = f64::from(decisions) / core_time(start).saturating_sub(before).as_secs_f64();
    (name.to_owned(), per_second)
}

fn main() {
    let one: Vec<Request> = [
        "TREAT class:14-1-e",
        "TREAT label:PSY by:Practitioner/x3,Organization/a",
        "HRESCH label:N",
        "BTG emergency label:V",
    ]
    .iter()
    .map(|text| ask(text))
    .collect();
    let many: Vec<Request> = one
        .iter()
        .map(|request| match &request.scope {
            Scope::Items(items) => {
                let hundred = (0..100).map(|n| custos_decide::request::Item {
                    id: format!("Observation/{n}"),
                    ..items[0].clone()
                });
                Request { scope: Scope::Items(hundred.collect()), ..request.clone() }
            }
            Scope::Unscoped => request.clone(),
        })
        .collect();
    let unscoped: Vec<Request> =
        one.iter().map(|request| Request { scope: Scope::Unscoped, ..request.clone() }).collect();

    let scene = consents(Scene::default(), 20);
    let facts = scene.facts();
    let mut measured = vec![
        measure("20 consents of 5 rules, 1 item", &facts, &one),
        measure("20 consents of 5 rules, 100 items", &facts, &many),
        measure("20 consents of 5 rules, unscoped (a list)", &facts, &unscoped),
    ];

    let mut ended = consents(Scene::default(), 250);
    ended.rules.iter_mut().for_each(|rule| rule.ended = Some((LogIndex(1), Height(999))));
    let mut long = consents(ended, 20);
    for (number, rule) in (0u64..).zip(long.rules.iter_mut()) {
        rule.position = LogIndex(number);
        rule.put = Height(1);
    }
    measured.push(measure("the same after 250 rules that have ended, 1 item", &long.facts(), &one));
    if std::env::args().any(|argument| argument == "--json") {
        let entries: Vec<String> =
            measured.iter().map(|(name, per_second)| format!("{name:?}: {per_second:.1}")).collect();
        println!("{{{}}}", entries.join(", "));
        return;
    }
    for (name, per_second) in measured {
        println!("{name:58} {per_second:>9.0} decisions/s and core  {:>7.1} us each", 1e6 / per_second);
    }
}
