//! `custos report`: the accounting that a law gives a person a right to, from proven trails.
//!
//! From a node, with the patient's code, or offline from files that were handed over. Every trail is
//! verified before a line is made of it. What comes out are a table (CSV), a page to print (HTML), and on
//! request the proofs themselves, so that whoever gets the report can check what it was made from.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use custos_api::blocking::Client;
use custos_people::accounting::{self, Material};
use custos_people::catalogue::Speaker;
use custos_people::report::Report;
use custos_people::{csv, html};
use custos_proof::anchor::{Recency, TRUST_PERIOD_MS};
use custos_proof::disclosure::Shown;
use custos_proof::ids::TimeMs;
use custos_proof::seal::Opening;
use custos_proof::verify::{Basis, ProvenTrail};
use serde_json::{Map, Value, json};

use crate::commands::verify::{Verified, read_anchor, read_links, read_names, read_openings, verify};
use crate::desk::OptionalVault;
use crate::exit::{Exit, Failed, Outcome};
use crate::network;
use crate::screen::Screen;
use crate::subject::{ByCode, year_of};
use crate::trails::{self, Anchored, Found, Ground};
use crate::{files, proven, time};

/// Write the accounting of accesses that a law asks for
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  \
    custos report ehds --code @code.txt --custodian hospital-a.example --node http://127.0.0.1:7700 \\\n    \
    --anchor anchor.custos --vault vault --csv accesses.csv --html accesses.html")]
pub(crate) enum ReportOf {
    Hipaa(Hipaa),
    Ehds(Ehds),
}

/// The accounting of disclosures of 45 CFR 164.528 (HIPAA)
///
/// The six years before the last block. Treatment, payment, operations and what went to the patient are left
/// out and counted; several disclosures to one recipient for one purpose are one line.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    custos report hipaa --code @code.txt --custodian hospital-a.example --node http://127.0.0.1:7700 \\\n    \
    --anchor anchor.custos --vault vault --csv accounting.csv --html accounting.html\n  \
    custos report hipaa trail.custos --openings openings.custos --anchor anchor.custos")]
pub(crate) struct Hipaa {
    #[command(flatten)]
    options: Options,
}

/// The information on accesses of Article 9 of the European Health Data Space
///
/// The three years before the last block: who accessed which categories, when, and where they came from
/// (Annex II, 3.2).
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    custos report ehds --code @code.txt --custodian hospital-a.example --node http://127.0.0.1:7700 \\\n    \
    --anchor anchor.custos --vault vault --html accesses.html\n  \
    custos report ehds trail.custos --openings openings.custos --anchor anchor.custos --lang de")]
pub(crate) struct Ehds {
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Args)]
struct Options {
    /// Trail proofs or disclosures, instead of a node and a code
    #[arg(value_name = "FILE", required_unless_present = "code", conflicts_with = "code")]
    files: Vec<PathBuf>,
    /// The node to ask, such as http://127.0.0.1:7700
    #[arg(long = "node", value_name = "URL", required_unless_present = "files", conflicts_with = "files")]
    url: Option<String>,
    #[command(flatten)]
    subject: ByCode,
    /// Verify from this anchor; needed with files, and without it the node's own genesis is believed
    #[arg(long, value_name = "FILE", required_unless_present = "url")]
    anchor: Option<PathBuf>,
    /// Refuse what a node shows of the ledger as it was before this: a time, or an age such as 1h
    #[arg(long, value_name = "TIME", value_parser = time::parse, conflicts_with = "files")]
    not_older_than: Option<TimeMs>,
    /// The way from the anchor to later validators, for files
    #[arg(long, value_name = "FILE", requires = "files")]
    links: Option<PathBuf>,
    /// Openings of sealed fields; may be repeated
    #[arg(long, value_name = "FILE")]
    openings: Vec<PathBuf>,
    #[command(flatten)]
    vault: OptionalVault,
    /// From when on: a time, a date, or an age such as 365d; by default as far back as the law asks
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    from: Option<TimeMs>,
    /// Write the table to this new file, as CSV
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write a page to print to this new file, as HTML
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the proofs that it is made from into this folder
    #[arg(long, value_name = "DIR")]
    proofs: Option<PathBuf>,
}

impl ReportOf {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        match self {
            ReportOf::Hipaa(command) => command.options.run("hipaa", accounting::hipaa::report, screen),
            ReportOf::Ehds(command) => command.options.run("ehds", accounting::ehds::report, screen),
        }
    }
}

/// A trail with its sealed fields, and the file of its proof.
struct Opened {
    found: Found,
    shown: Vec<Vec<Shown>>,
}

impl Options {
    fn run(&self, law: &'static str, make: fn(&Material<'_>) -> Report, screen: &Screen) -> Outcome {
        let s = screen.speaker();
        let (opened, names, anchor) = match &self.url {
            Some(url) => self.trails_of_node(url, screen)?,
            None => self.trails_of_files(screen)?,
        };
        let trails: Vec<accounting::Trail<'_>> = opened
            .iter()
            .map(|one| accounting::Trail {
                proven: &one.found.proven,
                shown: &one.shown,
                grantee: one.found.grantee.as_ref(),
            })
            .collect();
        one_custodian(&trails)?;
        let material = Material { trails: &trails, names: &names, speaker: s, anchor, from: self.from };
        let report = make(&material);
        // What is in them is personal data.
        if let Some(path) = &self.csv {
            files::create(path, csv::csv(&report, s).as_bytes(), true)?;
        }
        if let Some(path) = &self.html {
            files::create(path, html::page(&report, s).as_bytes(), true)?;
        }
        if let Some(folder) = &self.proofs {
            files::folder(folder)?;
            for one in &opened {
                let name = format!("trail-{}.custos", one.found.proven.key);
                files::create(&folder.join(name), &one.found.bytes, true)?;
            }
        }
        screen.result(|paint| report.text(s, paint), || document(law, &report, &trails));
        Ok(Exit::Done)
    }

    /// All trails of the patient in all years that the report can reach.
    fn trails_of_node(
        &self,
        url: &str,
        screen: &Screen,
    ) -> Outcome<(Vec<Opened>, custos_people::names::Names, u64)> {
        let client = Client::new(url).map_err(network::refused)?;
        let anchored = Anchored { anchor: self.anchor.clone(), not_older_than: self.not_older_than };
        let (ground, s) = (anchored.ground(&client, screen)?, screen.speaker());
        let beside = self.beside()?;
        let vault = self.vault.open()?;
        let subject = self
            .subject
            .subject(&client, &ground, s)?
            .ok_or_else(|| Failed::unable("a report needs a code").hint("--code @code.txt"))?;
        let mut opened = Vec::new();
        for year in self.years(&client, &ground, s)? {
            for found in trails::all_of(&client, &subject.in_year(year), &ground, s)? {
                let mut openings = beside.clone();
                if let Some(vault) = &vault {
                    for item in found.proven.entries.iter().filter_map(trails::item_of) {
                        openings.extend(trails::openings(vault, &item.hash)?);
                    }
                }
                let shown = trails::shown(&ground.anchor.chain, &found.proven, &openings, s)?;
                opened.push(Opened { found, shown });
            }
        }
        let headers = opened.iter().map(|one| &one.found.proven.header.header);
        if let Some(oldest) = headers.min_by_key(|header| header.height) {
            ground.warn_of_age(oldest, screen);
        }
        Ok((opened, network::names(&client)?, ground.anchor.height.0))
    }

    /// The calendar years that have trails: from the network's first, not before the report begins.
    fn years(&self, client: &Client, ground: &Ground, s: &Speaker) -> Outcome<std::ops::RangeInclusive<u16>> {
        if let Some(year) = self.subject.year {
            return Ok(year..=year);
        }
        let genesis = proven::genesis(client, ground)?;
        let last = year_of(proven::head(client, ground, s)?.time)?;
        // An access is recorded in its year or later, so earlier trails hold nothing of this time.
        let asked = self.from.map(year_of).transpose()?.unwrap_or(0);
        Ok(year_of(genesis.time)?.max(asked)..=last)
    }

    fn trails_of_files(&self, screen: &Screen) -> Outcome<(Vec<Opened>, custos_people::names::Names, u64)> {
        let s = screen.speaker();
        let path = self.anchor.as_ref().ok_or_else(|| Failed::unable("files are verified from an anchor"))?;
        let anchor = read_anchor(path)?;
        let old = custos_people::verified::old_anchor(&anchor, TRUST_PERIOD_MS, time::now(), s);
        old.iter().for_each(|warning| screen.warn(warning));
        let links = self.links.as_deref().map(read_links).transpose()?.unwrap_or_default();
        let basis = Basis { anchor: &anchor, links: &links, recency: Recency::default() };
        let beside = self.beside()?;
        let vault = self.vault.open()?;
        let mut opened = Vec::new();
        for file in &self.files {
            let bytes = files::read(file)?;
            let verified = verify(&bytes, &beside, &basis).map_err(|failure| failure.about(file, s))?;
            let Verified::Trail(proven, mut shown) = verified else {
                return Err(Failed::unable(format!("{} is no trail proof", file.display()))
                    .hint("a report needs whole trails: custos trail prove"));
            };
            if let Some(vault) = &vault {
                let mut openings = Vec::new();
                for item in proven.entries.iter().filter_map(trails::item_of) {
                    openings.extend(trails::openings(vault, &item.hash)?);
                }
                add(&mut shown, trails::shown(&anchor.chain, &proven, &openings, s)?);
            }
            opened.push(Opened { found: Found { grantee: grantee(&proven), bytes, proven: *proven }, shown });
        }
        Ok((opened, read_names(path), anchor.height.0))
    }

    fn beside(&self) -> Outcome<Vec<Opening>> {
        let all = self.openings.iter().map(|path: &PathBuf| read_openings(Path::new(path)));
        Ok(all.collect::<Outcome<Vec<_>>>()?.concat())
    }
}

/// A report is about one custodian's trails: mixing two would account for one of them only.
fn one_custodian(trails: &[accounting::Trail<'_>]) -> Outcome<()> {
    let owner = |trail: &accounting::Trail<'_>| trail.proven.name.clone();
    let first = trails.first().map(owner).ok_or_else(|| Failed::unable("there is no trail to report on"))?;
    if trails.iter().map(owner).any(|name| name.owner != first.owner || name.kind != first.kind) {
        return Err(Failed::unable("the files are trails of several owners")
            .hint("make one report for each custodian"));
    }
    Ok(())
}

/// For whom a trail lists accesses, where its opening entry is shown and says so.
fn grantee(proven: &ProvenTrail) -> Option<custos_proof::ids::ParticipantId> {
    proven.entries.iter().filter_map(trails::item_of).find_map(|item| match &item.item.fields {
        custos_proof::kinds::Fields::TrailOpen(open) => open.grantee.clone(),
        _ => None,
    })
}

/// What was opened in one way or the other.
fn add(shown: &mut [Vec<Shown>], more: Vec<Vec<Shown>>) {
    for (fields, more) in shown.iter_mut().zip(more) {
        for (field, other) in fields.iter_mut().zip(more) {
            field.value = field.value.take().or(other.value);
        }
    }
}

fn document(law: &str, report: &Report, trails: &[accounting::Trail<'_>]) -> Value {
    let row = |cells: &Vec<custos_people::report::Cell>| {
        let fields = report.columns.iter().zip(cells);
        Value::Object(
            fields.map(|(column, cell)| (column.key.to_owned(), Value::String(cell.plain()))).collect(),
        )
    };
    let source = |trail: &accounting::Trail<'_>| {
        let header = &trail.proven.header.header;
        json!({
            "trail": trail.proven.key.to_string(),
            "grantee": trail.grantee.map(ToString::to_string),
            "entries": trail.proven.size,
            "complete": trail.proven.is_complete(),
            "height": header.height.0,
            "time": header.time.to_string(),
            "block_id": header.block_id().to_string(),
            "chain": header.chain.to_string(),
        })
    };
    let left_out: Map<String, Value> =
        report.left_out.iter().map(|out| (out.key.to_owned(), out.count.into())).collect();
    json!({
        "report": law,
        "title": report.title,
        "about": report.lines,
        "entries": report.rows.iter().map(row).collect::<Vec<_>>(),
        "left_out": left_out,
        "withheld": report.withheld,
        "sources": trails.iter().map(source).collect::<Vec<_>>(),
        "limits": report.limits,
    })
}
