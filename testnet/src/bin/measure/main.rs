//! `make bench`: this machine's limits, then networks on it and what an institution would use
//! instead, in one run; the result is a page with drawings.
//!
//! Figures of shared machines are noise; their ratios within one run are not. So the limits come first
//! (signatures, hashes, one synced write, an empty height), and what networks reach is divided by
//! them. Everything runs through the same `custos` commands that a user types.
//!
//! Every stage is on its own: one that fails is named in the page with its reason, and the others are
//! measured all the same. What was found is kept after every stage as JSON beside the page, from which the
//! page can be written again, also after a run that was cut off (`measure --page FIGURES.json PAGE.md`).
//!
//! Deliberately absent: pass and fail. A missed aim is a sentence in the page, not a red test.

mod network;
mod page;
mod parts;
mod plot;
mod postgres;
mod stages;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use self::stages::Plan;

type Outcome<T> = Result<T, Box<dyn Error>>;

const USAGE: &str = "measure CUSTOS RATES.json STORE.json DECISIONS.json PAGE.md RECORDS,... quick|whole
measure --page FIGURES.json PAGE.md";

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["--page", figures, page] => {
            let figures: Value = serde_json::from_slice(&fs::read(figures)?)?;
            page::write(&figures, Path::new(page))
        }
        [custos, rates, store, decisions, page, records, extent @ ("quick" | "whole")] => {
            let plan = Plan {
                custos: PathBuf::from(custos).canonicalize()?,
                records: records.split(',').map(str::parse).collect::<Result<_, _>>()?,
                quick: extent == "quick",
            };
            let read = |path: &str| -> Outcome<Value> { Ok(serde_json::from_slice(&fs::read(path)?)?) };
            let missed = |error: Box<dyn Error>| serde_json::json!({ "missed": error.to_string() });
            let begin = [
                ("rates", read(rates)?),
                ("store", read(store).unwrap_or_else(missed)),
                ("decisions", read(decisions).unwrap_or_default()),
            ];
            let begin = begin.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            let page = Path::new(page);
            fs::create_dir_all(page.with_extension(""))?;
            let kept = page.with_extension("").join("figures.json");
            page::write(&stages::run(&plan, begin, &kept)?, page)
        }
        _ => Err(USAGE.into()),
    }
}
