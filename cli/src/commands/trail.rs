//! `custos trail`: what is recorded about one subject, or by one institution: listed, read, proven.
//!
//! A patient needs no account: whoever has the code can compute where the trails are and show that
//! they may be read. Everything here is verified before it is shown, from the caller's anchor if
//! there is one; what is sealed is opened from the custodian's vault if that is at hand.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use custos_api::client::Part;
use custos_people::catalogue::Speaker;
use custos_people::event::{self, Listener, Manner};
use custos_people::say;
use custos_proof::cbor::{List, Wire as _};
use custos_proof::disclosure::Openings;
use custos_proof::hash::TrailKey;
use custos_proof::header::Header;
use custos_proof::ids::TimeMs;
use custos_proof::record::Finding;
use custos_proof::seal::Opening;
use custos_proof::verify::ProvenTrail;
use serde_json::{Value, json};

use crate::desk::OptionalVault;
use crate::exit::{Exit, Failed, Outcome};
use crate::network::{self, Node};
use crate::render::json as render;
use crate::render::paint::Paint;
use crate::render::table::table;
use crate::screen::Screen;
use crate::subject::ByCode;
use crate::trails::{self, Anchored, Found, Ground, Line};
use crate::{files, time};

/// List, read or prove trails
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  \
    custos trail show --code @code.txt --custodian hospital-a.example --node http://127.0.0.1:7700 --anchor anchor.custos")]
pub(crate) enum Trail {
    List(List_),
    Show(Show),
    Prove(Prove),
}

impl Trail {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        match self {
            Trail::List(command) => command.run(screen),
            Trail::Show(command) => command.run(screen),
            Trail::Prove(command) => command.run(screen),
        }
    }
}

/// List a patient's trails at a custodian
///
/// The own trail, and one for every participant that was given a trail of its own. That there is no
/// other is proven: the place of everybody who was ever registered was looked up.
#[derive(Debug, Args)]
#[command(name = "list")]
#[command(after_help = "Example:\n  \
    custos trail list --code @code.txt --custodian hospital-a.example --node http://127.0.0.1:7700 --anchor anchor.custos")]
pub(crate) struct List_ {
    #[command(flatten)]
    node: Node,
    #[command(flatten)]
    subject: ByCode,
    #[command(flatten)]
    anchored: Anchored,
}

/// Read a trail as a person would
///
/// By the patient's code: all of the patient's trails at the custodian in one, in the order in which
/// it was recorded, unless `--grantee` or `--own` asks for one of them. By its id: that trail. What is
/// sealed is opened from the vault, each opening checked against its seal.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    custos trail show --code @code.txt --custodian hospital-a.example --node http://127.0.0.1:7700 --anchor anchor.custos --vault vault\n  \
    custos trail show 77ab...01 --node http://127.0.0.1:7700 --key hospital-sign.key")]
pub(crate) struct Show {
    /// The trail's id, 64 hexadecimal digits, instead of a code
    #[arg(value_name = "TRAIL", required_unless_present = "code", conflicts_with = "code")]
    trail: Option<TrailKey>,
    #[command(flatten)]
    node: Node,
    #[command(flatten)]
    subject: ByCode,
    /// Only the patient's own trail
    #[arg(long, conflicts_with = "grantee")]
    own: bool,
    #[command(flatten)]
    vault: OptionalVault,
    #[command(flatten)]
    anchored: Anchored,
}

/// Fetch the proof of a trail, or that there is none
///
/// The proof is complete: all entries, or all that were recorded between two times with a neighbour
/// on each side. A trail that does not exist gives a proof of absence.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    custos trail prove --code @code.txt --custodian hospital-a.example --node http://127.0.0.1:7700 -o trail.custos\n  \
    custos trail prove --code @code.txt --custodian hospital-a.example --grantee lab.example \\\n    \
    --node http://127.0.0.1:7700 -o trail.custos --vault vault --openings openings.custos")]
pub(crate) struct Prove {
    /// The trail's id, 64 hexadecimal digits, instead of a code
    #[arg(value_name = "TRAIL", required_unless_present = "code", conflicts_with = "code")]
    trail: Option<TrailKey>,
    #[command(flatten)]
    node: Node,
    #[command(flatten)]
    subject: ByCode,
    /// Only what was recorded at or after this time
    #[arg(long, value_name = "TIME", value_parser = time::parse, requires = "to")]
    from: Option<TimeMs>,
    /// Only what was recorded at or before this time
    #[arg(long, value_name = "TIME", value_parser = time::parse, requires = "from")]
    to: Option<TimeMs>,
    /// Where to write the proof
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// Write the openings of everything sealed in it to this file, from the vault
    #[arg(long, value_name = "FILE", requires = "vault")]
    openings: Option<PathBuf>,
    #[command(flatten)]
    vault: OptionalVault,
    #[command(flatten)]
    anchored: Anchored,
}

impl List_ {
    fn run(&self, screen: &Screen) -> Outcome {
        let s = screen.speaker();
        let client = self.node.client()?;
        let ground = self.anchored.ground(&client, screen)?;
        let names = network::names(&client)?;
        let subject = self
            .subject
            .subject(&client, &ground, s)?
            .ok_or_else(|| Failed::unable("a list needs a code").hint("--code @code.txt"))?;
        let found = trails::all_of(&client, &subject, &ground, s)?;
        let oldest = oldest(&found)?;
        ground.warn_of_age(oldest, screen);
        screen.result(
            |_| {
                let row = |found: &Found| {
                    let by = match &found.grantee {
                        Some(grantee) => names.of(grantee, s),
                        None => say!(s, "trail-own"),
                    };
                    let id = found.grantee.as_ref().map_or_else(String::new, ToString::to_string);
                    vec![by, id, found.proven.size.to_string(), found.proven.key.to_string()]
                };
                let cells: Vec<_> = found.iter().map(row).collect();
                let head = [
                    say!(s, "trail-head-by"),
                    say!(s, "trail-head-participant"),
                    say!(s, "trail-head-entries"),
                    say!(s, "trail-head-trail"),
                ];
                let head: Vec<&str> = head.iter().map(String::as_str).collect();
                format!("{}\n\n{}\n{}\n", table(&head, &cells), as_of(oldest, s), ground.words(s))
            },
            || {
                let row = |found: &Found| {
                    let grantee = found.grantee.as_ref().map_or("(own trail)", |grantee| grantee.as_str());
                    json!({ "grantee": grantee, "entries": found.proven.size, "trail": found.proven.key.to_string() })
                };
                json!({
                    "trails": found.iter().map(row).collect::<Vec<_>>(),
                    "height": oldest.height.0,
                    "time": oldest.time.to_string(),
                    "anchored": ground.is_own,
                    "anchor_is_old": ground.is_old(),
                })
            },
        );
        Ok(Exit::Done)
    }
}

impl Show {
    fn run(&self, screen: &Screen) -> Outcome {
        let s = screen.speaker();
        let client = self.node.client()?;
        let ground = self.anchored.ground(&client, screen)?;
        let vault = self.vault.open()?;
        let names = network::names(&client)?;
        let (found, listener) = match (self.subject.subject(&client, &ground, s)?, &self.trail) {
            (Some(subject), _) if self.own || self.subject.grantee.is_some() => {
                let grantee = self.subject.grantee.clone();
                let one = subject.trail(&ground.anchor.chain, grantee.as_ref());
                (vec![trails::fetch(&client, &one, grantee, Part::Whole, &ground, s)?], Listener::Subject)
            }
            (Some(subject), _) => (trails::all_of(&client, &subject, &ground, s)?, Listener::Subject),
            (None, Some(key)) => {
                (vec![trails::fetch_by_key(&client, key, Part::Whole, &ground, s)?], Listener::Other)
            }
            (None, None) => return Err(Failed::unable("name a trail or give a code")),
        };
        ground.warn_of_age(oldest(&found)?, screen);
        let lines = trails::lines(&found, vault.as_ref(), &ground)?;
        let rules = trails::rules(&lines);
        let manner = Manner { speaker: s, names: &names, rules: &rules, listener };
        screen.result(
            |paint| words(&found, &lines, manner, &ground, paint),
            || document(&found, &lines, manner, &ground),
        );
        Ok(Exit::Done)
    }
}

impl Prove {
    fn run(&self, screen: &Screen) -> Outcome {
        let s = screen.speaker();
        let client = self.node.client()?;
        let ground = self.anchored.ground(&client, screen)?;
        let part = match (self.from, self.to) {
            (Some(from), Some(to)) => Part::Times(from, to),
            _ => Part::Whole,
        };
        let found = match (self.subject.subject(&client, &ground, s)?, &self.trail) {
            (Some(subject), _) => {
                let grantee = self.subject.grantee.clone();
                let one = subject.trail(&ground.anchor.chain, grantee.as_ref());
                trails::fetch(&client, &one, grantee, part, &ground, s)?
            }
            (None, Some(key)) => trails::fetch_by_key(&client, key, part, &ground, s)?,
            (None, None) => return Err(Failed::unable("name a trail or give a code")),
        };
        ground.warn_of_age(&found.proven.header.header, screen);
        files::write(&self.out, &found.bytes)?;
        let mut opened = 0;
        if let (Some(path), Some(vault)) = (&self.openings, self.vault.open()?) {
            let items = found.proven.entries.iter().filter_map(trails::item_of);
            let openings: Vec<Opening> =
                items.map(|item| trails::openings(&vault, &item.hash)).collect::<Outcome<Vec<_>>>()?.concat();
            opened = openings.len();
            let openings = List::new(openings)
                .ok_or_else(|| Failed::unable("too many openings for one file; prove a part of the trail"))?;
            // What opens sealed fields is personal data.
            files::create(path, &Openings { openings }.to_bytes(), true)?;
            screen.talk(format!(
                "{opened} openings are in {}: whoever has them reads what was sealed.",
                path.display()
            ));
        }
        let trail = &found.proven;
        let what = match (trail.size, trail.is_complete()) {
            (0, _) => "proves that nothing has ever been recorded on this trail".to_owned(),
            (size, true) => format!("proves all {size} entries of the trail"),
            (size, false) if self.is_covered_by(trail) => {
                format!(
                    "proves everything recorded in that time: {} of {size} entries of the trail",
                    trail.entries.len()
                )
            }
            (size, false) => format!("proves {} of {size} entries of the trail", trail.entries.len()),
        };
        screen.result(
            |_| {
                let header = &trail.header.header;
                let at = time::words(header.time);
                format!("{}  {what}, as of block {} ({at})\n", self.out.display(), header.height)
            },
            || {
                json!({
                    "file": self.out,
                    "trail": trail.key.to_string(),
                    "absent": trail.size == 0,
                    "complete": trail.is_complete(),
                    "entries": trail.entries.len(),
                    "size": trail.size,
                    "height": trail.header.header.height.0,
                    "time": trail.header.header.time.to_string(),
                    "openings": opened,
                })
            },
        );
        Ok(Exit::Done)
    }
}

impl Prove {
    /// Whether the proof reaches beyond the times that were asked for.
    fn is_covered_by(&self, trail: &ProvenTrail) -> bool {
        matches!((self.from, self.to), (Some(from), Some(to)) if trail.covers(from, to))
    }
}

/// The oldest header that anything was proven by: nothing is known of what was recorded after it.
fn oldest(found: &[Found]) -> Outcome<&Header> {
    let headers = found.iter().map(|found| &found.proven.header.header);
    headers.min_by_key(|header| header.height).ok_or_else(|| Failed::unable("no trail was asked for"))
}

fn as_of(header: &Header, s: &Speaker) -> String {
    say!(s, "trail-as-of", height = header.height.to_string(), time = time::words(header.time))
}

fn words(found: &[Found], lines: &[Line<'_>], manner: Manner<'_>, ground: &Ground, paint: Paint) -> String {
    let s = manner.speaker;
    let mut text = String::new();
    for line in lines {
        let sentence = event::entry(line.entry, &line.shown, manner);
        text.push_str(&format!("{sentence}\n"));
        if let Some(entry) = line.record().as_item() {
            let found = event::finding(&entry.verdict, s);
            match entry.verdict.finding {
                Finding::Contradicted => text.push_str(&format!("    {}\n", paint.bad(found))),
                Finding::NotEvaluated | Finding::Consistent => {
                    text.push_str(&format!("    {}\n", paint.dim(found)));
                }
            }
        }
        if let Some(item) = line.item() {
            let height = line.record().height.to_string();
            let place = say!(s, "trail-place", item = item.hash.to_string(), height = height);
            text.push_str(&format!("    {}\n", paint.dim(place)));
        }
    }
    if lines.is_empty() {
        text.push_str(&format!("{}\n", say!(s, "trail-empty")));
    }
    text.push('\n');
    for trail in found {
        let header = &trail.proven.header.header;
        let (height, time) = (header.height.to_string(), time::words(header.time));
        let (name, count) = (trail.name(manner), trail.proven.size);
        let extent = say!(s, "trail-extent", trail = name, count = count, height = height, time = time);
        text.push_str(&format!("{} {extent}\n", paint.good(say!(s, "trail-complete"))));
    }
    text.push_str(&format!("{}\n", ground.words(s)));
    text
}

fn document(found: &[Found], lines: &[Line<'_>], manner: Manner<'_>, ground: &Ground) -> Value {
    let line = |line: &Line<'_>| {
        let item = line.item().map(|item| {
            json!({ "reference": item.hash.to_string(), "stated": render::of(&item.item), "author": item.entry.author.to_string() })
        });
        let verdict = line.record().as_item().map(|entry| &entry.verdict);
        json!({
            "trail": line.trail.proven.key.to_string(),
            "position": line.entry.position,
            "words": event::entry(line.entry, &line.shown, manner),
            "finding": verdict.map(|verdict| verdict.finding.word()),
            "codes": verdict.map(|verdict| verdict.codes.iter().map(|code| code.word()).collect::<Vec<_>>()),
            "record": render::of(line.record()),
            "item": item,
        })
    };
    let trail = |found: &Found| {
        json!({
            "trail": found.proven.key.to_string(),
            "grantee": found.grantee.as_ref().map(ToString::to_string),
            "size": found.proven.size,
            "complete": found.proven.is_complete(),
            "height": found.proven.header.header.height.0,
            "time": found.proven.header.header.time.to_string(),
        })
    };
    json!({
        "trails": found.iter().map(trail).collect::<Vec<_>>(),
        "entries": lines.iter().map(line).collect::<Vec<_>>(),
        "anchored": ground.is_own,
        "anchor_is_old": ground.is_old(),
    })
}
