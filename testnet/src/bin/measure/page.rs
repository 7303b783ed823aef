//! From figures to the page and its drawings. Nothing is measured here.
//!
//! A figure that is missing is said to be missing, with the reason that its stage gave. The words
//! around the tables say what is inside a figure, because a rate without its conditions is none.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::Outcome;
use crate::plot::{Bars, Lines, Scale, short};

/// How far the machine's limits may move during a run before it says little.
const DRIFT: f64 = 0.15;
/// The size of a log that larger ones are compared with.
const BASE_RECORDS: f64 = 100_000.0;

/// Writes the page, and its drawings into the folder of the same name.
pub(crate) fn write(figures: &Value, page: &Path) -> Outcome<()> {
    let folder = page.with_extension("");
    fs::create_dir_all(&folder)?;
    let name = folder.file_name().and_then(|name| name.to_str()).ok_or("the page has no name")?.to_owned();
    let mut out = Page { text: String::new(), folder: folder.clone(), name, figures };
    out.head()?;
    out.limits()?;
    out.reached()?;
    out.load()?;
    out.size()?;
    out.validators()?;
    out.kinds()?;
    out.parts()?;
    out.proofs()?;
    out.postgres()?;
    out.capacity()?;
    out.tail()?;
    fs::write(page, &out.text)?;
    println!("{}", out.text);
    Ok(())
}

struct Page<'a> {
    text: String,
    folder: std::path::PathBuf,
    name: String,
    figures: &'a Value,
}

/// A number under a path of names.
fn at(value: &Value, path: &[&str]) -> f64 {
    path.iter().fold(value, |value, name| &value[*name]).as_f64().unwrap_or(f64::NAN)
}

fn rows(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A figure as it stands in a table; a dash when it is missing.
fn fixed(value: f64, digits: usize) -> String {
    if value.is_finite() { format!("{value:.digits$}") } else { "-".into() }
}

impl Page<'_> {
    fn number(&self, path: &[&str]) -> f64 {
        at(self.figures, path)
    }

    fn cores(&self) -> f64 {
        self.number(&["cores"])
    }

    /// What the machine could check at most, one signature at a time, for four validators.
    fn single_bound(&self) -> f64 {
        self.cores() * self.number(&["rates", "verify_single_per_s"]) / 4.0
    }

    fn floor_ms(&self) -> f64 {
        self.number(&["empty_height_ms"])
    }

    fn line(&mut self, text: impl AsRef<str>) {
        self.text.push_str(text.as_ref());
        self.text.push('\n');
    }

    /// A heading; true when the stage below it was measured, else the reason stands there.
    fn section(&mut self, title: &str, stage: &str) -> bool {
        self.line(format!("\n## {title}\n"));
        let missed = match self.figures.get(stage) {
            None => Some("not part of this run".to_owned()),
            Some(value) => value["missed"].as_str().map(str::to_owned),
        };
        if let Some(why) = &missed {
            self.line(format!("Not measured: {why}"));
        }
        missed.is_none()
    }

    fn drawing(&mut self, name: &str, alt: &str, svg: Option<String>) -> Outcome<()> {
        let Some(svg) = svg else { return Ok(()) };
        fs::write(self.folder.join(format!("{name}.svg")), svg)?;
        let folder = self.name.clone();
        self.line(format!("![{alt}]({folder}/{name}.svg)\n"));
        Ok(())
    }

    fn head(&mut self) -> Outcome<()> {
        let text = |name: &str| self.figures[name].as_str().unwrap_or("unknown").to_owned();
        let (machine, date) = (text("machine"), text("date"));
        let head = format!(
            "# Performance\n\n\
             Written by `make bench`. All validators, their clients and the load generator share {} cores; every item is\n\
             signed, and every block is synced to every validator's database before anybody is told. Quote the ratios:\n\
             absolute figures of a shared machine move by a fifth from run to run. What was tried to make it faster, and\n\
             what each brought, is in [performance-notes.md](performance-notes.md).\n\n\
             Machine: {machine}, {} cores. Date: {date}. The run took {:.0} minutes{}.",
            self.cores(),
            self.cores(),
            self.number(&["minutes"]),
            if self.figures["quick"] == true {
                " (`QUICK=1`: a first look, each figure from a few seconds)"
            } else {
                ""
            },
        );
        self.line(head);
        let before = self.number(&["one_at_a_time", "limits", "verify_single_us"]);
        let after = self.number(&["limits_at_end", "verify_single_us"]);
        let drift = after / before - 1.0;
        match drift.is_finite() {
            true if drift.abs() > DRIFT => self.line(format!(
                "\n**Do not quote this run: the machine's own limit (one signature check) moved by {:.0} % while it ran.**",
                drift * 100.0
            )),
            true => self.line(format!(
                "\nThe machine's own limit (one signature check) moved by {:.0} % between beginning and end.",
                drift * 100.0
            )),
            false => self.line("\nWhether the machine's own limits moved during the run is not known."),
        }
        Ok(())
    }

    fn limits(&mut self) -> Outcome<()> {
        self.line("\n## Limits of this machine, in this run\n\n| | |\n|---|---|");
        let rate = |name: &str| fixed(self.number(&["rates", name]), 0);
        let lines = [
            format!(
                "| one Ed25519 check (ZIP-215), single | {} per second and core |",
                rate("verify_single_per_s")
            ),
            format!(
                "| the same in coalescing batches of 512 | {} per second and core |",
                rate("verify_batch_512_per_s")
            ),
            format!("| RFC 6962 leaves into a root | {} per second and core |", rate("merkle_leaves_per_s")),
            format!("| a submission of one item, decoded | {} per second and core |", rate("decode_per_s")),
            format!(
                "| `apply`, single-item submissions, in memory | {} items per second and core |",
                rate("apply_single_items_per_s")
            ),
            format!(
                "| `apply`, batches of 500, in memory | {} items per second and core |",
                rate("apply_batched_items_per_s")
            ),
            format!(
                "| append of 4 KiB with fdatasync | {} ms |",
                fixed(self.number(&["synced_write_ms"]), 2)
            ),
            format!("| an empty height, four validators, back to back | {} ms |", fixed(self.floor_ms(), 1)),
            format!(
                "| single-verify bound: cores x single / 4 | {} items per second |",
                fixed(self.single_bound(), 0)
            ),
            format!(
                "| coalesced bound: cores x batch / 4 | {} items per second |",
                fixed(self.cores() * self.number(&["rates", "verify_batch_512_per_s"]) / 4.0, 0)
            ),
        ];
        lines.iter().for_each(|line| self.line(line));
        Ok(())
    }

    fn reached(&mut self) -> Outcome<()> {
        self.line("\n## Reached\n\n| what | reached | as a ratio | aim |\n|---|---|---|---|");
        let floor = self.floor_ms();
        let latency = |share: &str| self.number(&["one_at_a_time", "latency_ms", share]);
        let singles = self.number(&["singles", "items_per_second"]);
        let together = self.number(&["singles_together", "items_per_second"]);
        let bound = self.single_bound();
        let spread = |stage: &str| {
            let end = |name: &str| fixed(self.number(&[stage, "runs", name]), 0);
            format!("{} to {}", end("least_items_per_second"), end("most_items_per_second"))
        };
        let load = |percent: f64| {
            rows(&self.figures["loads"]).find(|row| at(row, &["percent_of_saturation"]) == percent)
        };
        let loaded = |percent: f64, path: &[&str]| load(percent).map_or(f64::NAN, |row| at(row, path));
        let goodput = loaded(300.0, &["items_per_second"]);
        let largest = rows(&self.figures["sizes"]).last();
        let of_largest = |path: &[&str]| largest.map_or(f64::NAN, |row| at(row, path));
        // The aims compare with a log of 10^5 records: the row nearest to that.
        let far = |row: &Value| (at(row, &["records"]) / BASE_RECORDS).ln().abs();
        let base = rows(&self.figures["sizes"]).min_by(|a, b| far(a).total_cmp(&far(b)));
        let growth = |path: &[&str]| of_largest(path) / base.map_or(f64::NAN, |row| at(row, path));
        let signed = self.number(&["batches", "signed_bytes_per_submission"]) / 500.0;
        let disk = |name: &str| of_largest(&["disk", name]) / of_largest(&["records"]);
        let postgres = |standbys: f64, each: f64| {
            let fits = |row: &&Value| at(row, &["standbys"]) == standbys && at(row, &["per_commit"]) == each;
            rows(&self.figures["postgres"]["rows"])
                .find(fits)
                .map_or(f64::NAN, |row| at(row, &["events_per_second"]))
        };
        let checks = rows(&self.figures["singles"]["signature_checks_per_submission"]);
        let checks = checks.map(|node| at(node, &["checks"])).fold(f64::NAN, f64::max);
        let row = |what: &str, reached: String, ratio: String, aim: &str| {
            format!("| {what} | {reached} | {ratio} | {aim} |")
        };
        let lines = [
            row(
                "one submission on an idle network, POST to verified receipt, p50",
                format!("{} ms", fixed(latency("p50"), 1)),
                format!("{} empty heights", fixed(latency("p50") / floor, 1)),
                "2",
            ),
            row(
                "the same, p99",
                format!("{} ms", fixed(latency("p99"), 1)),
                format!("{} empty heights", fixed(latency("p99") / floor, 1)),
                "16",
            ),
            row(
                "due to recorded, open loop at 5 % of saturation, p50",
                format!("{} ms", fixed(loaded(5.0, &["latency_ms", "p50"]), 1)),
                format!("{} empty heights", fixed(loaded(5.0, &["latency_ms", "p50"]) / floor, 1)),
                "2",
            ),
            row(
                "the same at 25 %, p50",
                format!("{} ms", fixed(loaded(25.0, &["latency_ms", "p50"]), 1)),
                format!("{} empty heights", fixed(loaded(25.0, &["latency_ms", "p50"]) / floor, 1)),
                "2",
            ),
            row(
                "the same at 70 %, p99",
                format!("{} ms", fixed(loaded(70.0, &["latency_ms", "p99"]), 1)),
                format!("{} empty heights", fixed(loaded(70.0, &["latency_ms", "p99"]) / floor, 1)),
                "8",
            ),
            row(
                "single-item submissions, a request each",
                format!("{} per second ({})", fixed(singles, 0), spread("singles")),
                format!("{} of the single-verify bound", fixed(singles / bound, 2)),
                "1.0",
            ),
            row(
                "single-item submissions, a hundred in a request",
                format!("{} per second ({})", fixed(together, 0), spread("singles_together")),
                format!("{} of the single-verify bound", fixed(together / bound, 2)),
                "1.0",
            ),
            row(
                "signed batches of 500",
                format!(
                    "{} items per second ({})",
                    fixed(self.number(&["batches", "items_per_second"]), 0),
                    spread("batches")
                ),
                String::new(),
                "20,000",
            ),
            row("signature checks per submission and node", fixed(checks, 3), String::new(), "1"),
            row(
                "against hash-chained PostgreSQL, three synchronous standbys, 1 event per commit",
                format!("{} per second there", fixed(postgres(3.0, 1.0), 0)),
                format!("{} times", fixed(together / postgres(3.0, 1.0), 1)),
                "15",
            ),
            row(
                "the same, 100 events per commit, against batches of 500",
                format!("{} per second there", fixed(postgres(3.0, 100.0), 0)),
                format!(
                    "{} times",
                    fixed(self.number(&["batches", "items_per_second"]) / postgres(3.0, 100.0), 2)
                ),
                "shown",
            ),
            row(
                "single items, one of four dead",
                format!("{} per second", fixed(self.number(&["one_dead", "items_per_second"]), 0)),
                format!("{} of all four", fixed(self.number(&["one_dead", "items_per_second"]) / singles, 2)),
                "0.5",
            ),
            row(
                "goodput at three times saturation",
                format!("{} per second", fixed(goodput, 0)),
                format!("{} of saturation", fixed(goodput / singles, 2)),
                "0.9",
            ),
            row(
                "goodput with 10 % bad signatures",
                format!("{} per second", fixed(self.number(&["bad_signatures", "items_per_second"]), 0)),
                format!(
                    "{} of clean",
                    fixed(self.number(&["bad_signatures", "items_per_second"]) / singles, 2)
                ),
                "0.8",
            ),
            row(
                "processor time per record and node, single items",
                format!("{} us", fixed(self.number(&["singles", "node_cpu_us_per_record"]), 0)),
                format!(
                    "{} single checks",
                    fixed(
                        self.number(&["singles", "node_cpu_us_per_record"])
                            * self.number(&["rates", "verify_single_per_s"])
                            / 1e6,
                        1
                    )
                ),
                "",
            ),
            row(
                "the same, a hundred in a request",
                format!("{} us", fixed(self.number(&["singles_together", "node_cpu_us_per_record"]), 0)),
                format!(
                    "{} single checks",
                    fixed(
                        self.number(&["singles_together", "node_cpu_us_per_record"])
                            * self.number(&["rates", "verify_single_per_s"])
                            / 1e6,
                        1
                    )
                ),
                "",
            ),
            row(
                "the same, batches of 500",
                format!("{} us", fixed(self.number(&["batches", "node_cpu_us_per_record"]), 0)),
                format!(
                    "{} single checks",
                    fixed(
                        self.number(&["batches", "node_cpu_us_per_record"])
                            * self.number(&["rates", "verify_single_per_s"])
                            / 1e6,
                        1
                    )
                ),
                "",
            ),
            row(
                "verifying a receipt",
                format!("{} ms", fixed(self.number(&["one_at_a_time", "receipt_verification_ms"]), 2)),
                String::new(),
                "1 ms",
            ),
            row(
                "verifying a trail proof of 1000 entries",
                format!("{} ms", fixed(self.number(&["trail", "verified_ms"]), 1)),
                String::new(),
                "20 ms",
            ),
            row(
                "rate of batches, largest log to one of 10^5",
                format!("{} records", short(of_largest(&["records"]))),
                fixed(growth(&["batches", "items_per_second"]), 2),
                "0.9",
            ),
            row(
                "restart to ready, largest log",
                format!("{} s", fixed(of_largest(&["restart_seconds"]), 2)),
                format!("{} of that of 10^5", fixed(growth(&["restart_seconds"]), 2)),
                "0.5 s, flat",
            ),
            row(
                "bytes on disk per record, table files",
                fixed(disk("tables"), 0),
                format!("{} of the signed bytes", fixed(disk("tables") / signed, 2)),
                "1.5",
            ),
            row(
                "the same with the write-ahead log",
                fixed(disk("tables") + disk("write_ahead_log"), 0),
                format!(
                    "{} of the signed bytes",
                    fixed((disk("tables") + disk("write_ahead_log")) / signed, 2)
                ),
                "",
            ),
            row(
                "most memory of a node at saturation",
                format!(
                    "{} MB",
                    fixed(
                        self.number(&["batches", "most_resident_mb"])
                            .max(self.number(&["singles_together", "most_resident_mb"])),
                        0
                    )
                ),
                String::new(),
                "200 MB",
            ),
            row(
                "idle: processor time of all four nodes",
                format!("{} % of a core", fixed(self.number(&["idle_cpu", "percent_of_a_core"]), 1)),
                String::new(),
                "2 %",
            ),
        ];
        lines.iter().for_each(|line| self.line(line));
        let decisions = self.figures["decisions"].clone();
        for (what, per_second) in decisions.as_object().into_iter().flatten() {
            let rate = fixed(per_second.as_f64().unwrap_or(f64::NAN), 0);
            self.line(format!("| decisions, {what} | {rate} per second and core | | 20,000 for one item |"));
        }
        self.line("\nIn brackets: the least and the most of the runs whose median is given.");
        Ok(())
    }

    fn load(&mut self) -> Outcome<()> {
        if !self.section("Throughput and latency against load", "loads") {
            return Ok(());
        }
        self.line(
            "Open loop, single items, a request each: submissions are due at the offered rate whatever the network does, and\n\
             latency counts from when one was due to when a block with it was seen. Above saturation, 429 answers are not\n\
             sent again.\n",
        );
        self.line("| of saturation | offered /s | recorded /s | p50 ms | p99 ms | p99.9 ms | refused | us per record and node | memory MB |\n|---|---|---|---|---|---|---|---|---|");
        let loads = self.figures["loads"].clone();
        for row in rows(&loads) {
            let refused: u64 =
                row["refused"].as_object().into_iter().flatten().filter_map(|(_, n)| n.as_u64()).sum();
            self.line(format!(
                "| {} % | {} | {} | {} | {} | {} | {refused} | {} | {} |",
                fixed(at(row, &["percent_of_saturation"]), 0),
                fixed(at(row, &["offered_per_second"]), 0),
                fixed(at(row, &["items_per_second"]), 0),
                fixed(at(row, &["latency_ms", "p50"]), 1),
                fixed(at(row, &["latency_ms", "p99"]), 1),
                fixed(at(row, &["latency_ms", "p99_9"]), 1),
                fixed(at(row, &["node_cpu_us_per_record"]), 0),
                fixed(at(row, &["resident_mb"]), 0),
            ));
        }
        self.line("");
        let points = |path: &[&str]| -> Vec<(f64, f64)> {
            rows(&loads).map(|row| (at(row, &["offered_per_second"]), at(row, path))).collect()
        };
        let throughput = Lines {
            title: "Recorded against offered",
            x: ("offered, submissions per second", Scale::Linear),
            y: ("recorded per second", Scale::Linear),
            series: vec![
                ("recorded".into(), points(&["items_per_second"])),
                ("offered".into(), points(&["offered_per_second"])),
            ],
        };
        self.drawing("throughput", "Recorded submissions against offered ones", throughput.svg())?;
        let latency = Lines {
            title: "Latency against load, due to recorded",
            x: ("offered, submissions per second", Scale::Linear),
            y: ("ms", Scale::Log),
            series: ["p50", "p99", "p99_9"]
                .map(|share| (share.replace('_', "."), points(&["latency_ms", share])))
                .to_vec(),
        };
        self.drawing("latency", "Latency against offered load", latency.svg())
    }

    fn size(&mut self) -> Outcome<()> {
        if !self.section("Against the size of the ledger", "sizes") {
            return Ok(());
        }
        self.line("| records | batches of 500, items/s | single items/s | one alone, p50 ms | trail proof of 1000: bytes, made and fetched, verified | bytes per record: tables, with log | restart s | memory MB |\n|---|---|---|---|---|---|---|---|");
        let sizes = self.figures["sizes"].clone();
        for row in rows(&sizes) {
            let records = at(row, &["records"]);
            let tables = at(row, &["disk", "tables"]);
            self.line(format!(
                "| {records} | {} | {} | {} | {}, {} ms, {} ms | {}, {} | {} | {} |",
                fixed(at(row, &["batches", "items_per_second"]), 0),
                fixed(at(row, &["singles", "items_per_second"]), 0),
                fixed(at(row, &["idle", "latency_ms", "p50"]), 1),
                fixed(at(row, &["trail", "bytes"]), 0),
                fixed(at(row, &["trail", "fetched_ms"]), 1),
                fixed(at(row, &["trail", "verified_ms"]), 1),
                fixed(tables / records, 0),
                fixed((tables + at(row, &["disk", "write_ahead_log"])) / records, 0),
                fixed(at(row, &["restart_seconds"]), 2),
                fixed(at(row, &["resident_mb"]), 0),
            ));
        }
        self.line("");
        if let Some(why) = self.figures["next_size"]["missed"].as_str() {
            self.line(format!("Not measured: {why}\n"));
        }
        let points = |path: &[&str]| -> Vec<(f64, f64)> {
            rows(&sizes).map(|row| (at(row, &["records"]), at(row, path))).collect()
        };
        let rates = Lines {
            title: "Rate against records in the log",
            x: ("records", Scale::Log),
            y: ("items per second", Scale::Linear),
            series: vec![
                ("batches of 500".into(), points(&["batches", "items_per_second"])),
                ("single items".into(), points(&["singles", "items_per_second"])),
            ],
        };
        self.drawing("size", "Rate against the size of the ledger", rates.svg())
    }

    fn validators(&mut self) -> Outcome<()> {
        if !self.section("Against the number of validators", "validators") {
            return Ok(());
        }
        self.line(
            "All of them on this machine: each validator more checks everything once more on the same cores, so rates\n\
             fall as one over their number. On machines of their own they would not.\n",
        );
        self.line("| validators | single items/s | us per record and node | batches of 500, items/s | us per record and node | one alone, p50 ms |\n|---|---|---|---|---|---|");
        let found = self.figures["validators"].clone();
        for row in rows(&found) {
            self.line(format!(
                "| {} | {} | {} | {} | {} | {} |",
                fixed(at(row, &["validators"]), 0),
                fixed(at(row, &["singles", "items_per_second"]), 0),
                fixed(at(row, &["singles", "node_cpu_us_per_record"]), 0),
                fixed(at(row, &["batches", "items_per_second"]), 0),
                fixed(at(row, &["batches", "node_cpu_us_per_record"]), 0),
                fixed(at(row, &["idle", "latency_ms", "p50"]), 1),
            ));
        }
        self.line("");
        let points = |path: &[&str]| -> Vec<(f64, f64)> {
            rows(&found).map(|row| (at(row, &["validators"]), at(row, path))).collect()
        };
        let rates = Lines {
            title: "Rate against validators on one machine",
            x: ("validators", Scale::Linear),
            y: ("items per second", Scale::Linear),
            series: vec![
                ("batches of 500".into(), points(&["batches", "items_per_second"])),
                ("single items".into(), points(&["singles", "items_per_second"])),
            ],
        };
        self.drawing("validators", "Rate against the number of validators", rates.svg())
    }

    fn kinds(&mut self) -> Outcome<()> {
        if !self.section("Blocks by kind", "kinds") {
            return Ok(());
        }
        self.line("Four validators, closed loop.\n");
        self.line("| blocks of | items/s | records per block | ms per block | signed bytes per item | us per record and node |\n|---|---|---|---|---|---|");
        let kinds = self.figures["kinds"].clone();
        for row in rows(&kinds) {
            let (records, heights) = (at(row, &["records"]), at(row, &["heights"]));
            let items = at(row, &["items"]) / at(row, &["submissions"]);
            self.line(format!(
                "| {} | {} | {} | {} | {} | {} |",
                row["blocks_of"].as_str().unwrap_or_default(),
                fixed(at(row, &["items_per_second"]), 0),
                fixed(records / heights, 0),
                fixed(at(row, &["height_ms"]), 0),
                fixed(at(row, &["signed_bytes_per_submission"]) / items, 0),
                fixed(at(row, &["node_cpu_us_per_record"]), 0),
            ));
        }
        let mixed = self.figures["with_reads"].clone();
        if mixed.get("missed").is_none() {
            self.line(format!(
                "\nAccess events and opened trails mixed, with a read (a receipt or a status, signed by a member) for every fifth\n\
                 submission: {} items and {} reads per second; a read took {} ms at the median, {} ms at p99.",
                fixed(at(&mixed, &["items_per_second"]), 0),
                fixed(at(&mixed, &["read_ms", "count"]) / at(&mixed, &["seconds"]), 0),
                fixed(at(&mixed, &["read_ms", "p50"]), 1),
                fixed(at(&mixed, &["read_ms", "p99"]), 1),
            ));
        }
        Ok(())
    }

    fn parts(&mut self) -> Outcome<()> {
        if !self.section("Processor time by part", "parts_singles") {
            return Ok(());
        }
        self.line(
            "Of all four nodes under load, the load generator not counted. Sampled with `perf` (software clock, innermost\n\
             function, sorted by name): what the kernel does is one part, and so is copying and allocation, because the\n\
             innermost function does not say for whom.\n",
        );
        let names = [
            ("parts_singles", "single items, a request each"),
            ("parts_together", "single items, a hundred in a request"),
            ("parts_batches", "batches of 500"),
        ];
        for (stage, title) in names {
            let found = self.figures[stage].clone();
            if let Some(why) = found["not_sampled"].as_str().or(found["missed"].as_str()) {
                self.line(format!("{title}: not sampled: {why}\n"));
            }
            let bars: Vec<(String, f64)> = rows(&found["parts"])
                .map(|row| (row["part"].as_str().unwrap_or_default().to_owned(), at(row, &["share"]) * 100.0))
                .collect();
            if !bars.is_empty() {
                let spent = at(&found, &["node_cpu_us_per_record"]);
                self.line(format!("\n{title}: {} us per record and node.\n", fixed(spent, 0)));
                self.line("| part | share | us per record and node |\n|---|---|---|");
                for (part, share) in &bars {
                    self.line(format!("| {part} | {share:.1} % | {} |", fixed(share * spent / 100.0, 1)));
                }
                self.line("");
                let drawing = Bars { title: "Processor time by part", unit: "%", rows: bars };
                self.drawing(stage, &format!("Processor time by part: {title}"), drawing.svg())?;
            }
            let threads: Vec<String> = rows(&found["threads"])
                .take(6)
                .map(|row| {
                    format!(
                        "{} {:.0} %",
                        row["thread"].as_str().unwrap_or_default(),
                        at(row, &["share"]) * 100.0
                    )
                })
                .collect();
            if !threads.is_empty() {
                self.line(format!("By thread, counted by the system: {}.\n", threads.join(", ")));
            }
        }
        Ok(())
    }

    fn proofs(&mut self) -> Outcome<()> {
        if !self.section("Proofs, audit, a new node", "store") {
            return Ok(());
        }
        let store = |name: &str| self.number(&["store", name]);
        let batch = self.number(&["rates", "verify_batch_512_per_s"]);
        let ratio = |stage: &str| {
            let bound = self.number(&[stage, "submissions"]) / batch;
            (self.number(&[stage, "seconds"]), bound)
        };
        let audit_bound = store("audit_signatures") / (self.cores() * batch);
        let ((sync_s, _), (node_audit_s, _)) = (ratio("sync"), ratio("audit"));
        let lines = [
            format!(
                "One store, {} records of single-item submissions, in one process:\n",
                fixed(store("records"), 0)
            ),
            "| what | reached | as a ratio | aim |\n|---|---|---|---|".to_owned(),
            format!(
                "| inclusion proofs made, first pass after opening | {} per second | {} of a plain RocksDB's random reads of 32 bytes ({} per second) | 0.3 |",
                fixed(store("proofs_per_s_cold"), 0),
                fixed(store("proofs_per_s_cold") / store("gets_per_s"), 2),
                fixed(store("gets_per_s"), 0)
            ),
            format!(
                "| the same, second pass | {} per second | {} | 0.3 |",
                fixed(store("proofs_per_s"), 0),
                fixed(store("proofs_per_s") / store("gets_per_s"), 2)
            ),
            format!(
                "| proofs of the state map made | {} per second | | |",
                fixed(store("state_proofs_per_s"), 0)
            ),
            format!(
                "| full audit (`fsck`): every signature, hash, trail, root and certificate | {} s | {} of the coalesced signature bound on all cores | 1.5 |",
                fixed(store("audit_s"), 2),
                fixed(store("audit_s") / audit_bound, 2)
            ),
            format!("| opening | {} ms | | |", fixed(store("open_ms"), 1)),
            format!(
                "| bytes on disk per record, compacted | {} | {} of the signed bytes | 1.5 |",
                fixed(store("disk_bytes_per_record"), 0),
                fixed(store("disk_to_signed"), 2)
            ),
            format!("| a commit, per record | {} us | | |", fixed(store("commit_us_per_record"), 1)),
            format!(
                "\nA node that lost everything had all {} records again after {} s beside three that stood idle: {} times what auditing\n\
                 the same blocks took (aim 2.5), {} s.",
                fixed(self.number(&["sync", "records"]), 0),
                fixed(sync_s, 1),
                fixed(sync_s / node_audit_s, 1),
                fixed(node_audit_s, 1),
            ),
        ];
        lines.iter().for_each(|line| self.line(line));
        Ok(())
    }

    fn postgres(&mut self) -> Outcome<()> {
        if !self.section("What an institution would use instead", "postgres") {
            return Ok(());
        }
        let version = self.figures["postgres"]["version"].as_str().unwrap_or_default().to_owned();
        self.line(format!(
            "PostgreSQL {version} on the same machine and disk, in the same run: one table, each row with the hash of the row\n\
             before it, {} random bytes per event, every commit synchronous, standbys on the same disk. It checks no\n\
             signature, and its operator can rewrite it; a validator here checks every signature, and nobody can.\n",
            fixed(self.number(&["postgres", "event_bytes"]), 0)
        ));
        self.line("| | events per second |\n|---|---|");
        let mut bars = Vec::new();
        for row in rows(&self.figures["postgres"]["rows"].clone()) {
            let standbys = match at(row, &["standbys"]) as u64 {
                0 => "alone".to_owned(),
                1 => "1 synchronous standby".to_owned(),
                n => format!("{n} synchronous standbys"),
            };
            let name = format!("PostgreSQL, {standbys}, {} per commit", fixed(at(row, &["per_commit"]), 0));
            bars.push((name, at(row, &["events_per_second"])));
        }
        for (stage, name) in [
            ("singles", "Custos, single items, a request each"),
            ("singles_together", "Custos, single items, 100 in a request"),
            ("batches", "Custos, signed batches of 500"),
        ] {
            bars.push((name.to_owned(), self.number(&[stage, "items_per_second"])));
        }
        for (name, value) in &bars {
            self.line(format!("| {name} | {} |", fixed(*value, 0)));
        }
        self.line("");
        let drawing = Bars { title: "Events per second", unit: "/s", rows: bars };
        self.drawing("postgres", "Custos beside hash-chained PostgreSQL", drawing.svg())
    }

    fn capacity(&mut self) -> Outcome<()> {
        if !self.section("Capacity", "store") {
            return Ok(());
        }
        let bytes = self.number(&["store", "disk_bytes_per_record"]);
        self.line(format!(
            "With {} bytes on disk per record of a single-item submission, compacted, on every validator; a group of like\n\
             events is one record, and a batch shares its envelope.\n",
            fixed(bytes, 0)
        ));
        self.line("| events per day, all institutions | one year, each validator | ten years, four validators |\n|---|---|---|");
        for events in [10_000u64, 100_000, 1_000_000, 10_000_000] {
            let year = events as f64 * 365.0 * bytes / 1e9;
            self.line(format!("| {events} | {} GB | {} GB |", fixed(year, 1), fixed(year * 40.0, 1)));
        }
        Ok(())
    }

    fn tail(&mut self) -> Outcome<()> {
        let name = self.name.clone();
        let mut text = String::new();
        write!(
            text,
            "\n## Raw\n\nEvery figure of the run, histograms' percentiles among them: [figures.json]({name}/figures.json).\n"
        )?;
        self.line(text.trim_end());
        Ok(())
    }
}
