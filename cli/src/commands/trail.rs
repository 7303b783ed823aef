//! `custos trail`: what is recorded about one subject, or by one institution: listed, read, proven.
//!
//! A patient needs no account: whoever has the code can compute where the trails are and show that
//! they may be read. Everything here is verified before it is shown, from the caller's anchor if
//! there is one; what is sealed is opened from the custodian's vault if that is at hand.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use custos_api::blocking::Client;
use custos_api::client::Part;
use custos_custodian::vault::Vault;
use custos_proof::anchor::{Link, Recency, TrustAnchor};
use custos_proof::cbor::{List, Wire as _};
use custos_proof::disclosure::{self, Openings, Shown};
use custos_proof::hash::{ItemHash, TrailKey, short};
use custos_proof::ids::{ParticipantId, TimeMs};
use custos_proof::record::{Finding, Record};
use custos_proof::seal::Opening;
use custos_proof::trail_proof::TrailProof;
use custos_proof::verify::{self, Basis, Content, ProvenEntry, ProvenItem, ProvenTrail};
use serde_json::{Value, json};

use crate::commands::verify::{NotVerified, read_anchor};
use crate::desk::OptionalVault;
use crate::exit::{Exit, Failed, Outcome, While as _};
use crate::network::{self, Node};
use crate::render::event::{Listener, Names, Telling, finding};
use crate::render::json as render;
use crate::render::paint::Paint;
use crate::render::table::table;
use crate::screen::Screen;
use crate::subject::{ByCode, Readable};
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
/// other is proven: each participant's place was looked up.
#[derive(Debug, Args)]
#[command(name = "list")]
#[command(after_help = "Example:\n  \
    custos trail list --code @code.txt --custodian hospital-a.example --node http://127.0.0.1:7700 --anchor anchor.custos")]
pub(crate) struct List_ {
    #[command(flatten)]
    node: Node,
    #[command(flatten)]
    subject: ByCode,
    /// Verify from this anchor; without it the node's own genesis is believed
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
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
    /// Verify from this anchor; without it the node's own genesis is believed
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
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
    /// Verify from this anchor; without it the node's own genesis is believed
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
}

impl List_ {
    fn run(&self, screen: &Screen) -> Outcome {
        let client = self.node.client()?;
        let ground = Ground::of(&client, self.anchor.as_ref())?;
        let own = self
            .subject
            .trail(&client)?
            .ok_or_else(|| Failed::unable("a list needs a code").hint("--code @code.txt"))?;
        let found = all_of(&client, &self.subject, own, &ground)?;
        let rows: Vec<(&str, &ProvenTrail)> =
            found.iter().map(|found| (found.grantee_word(), &found.proven)).collect();
        screen.result(
            |_| {
                let cells: Vec<_> = rows
                    .iter()
                    .map(|(grantee, trail)| vec![(*grantee).to_owned(), trail.size.to_string(), trail.key.to_string()])
                    .collect();
                format!("{}\n\n{}\n", table(&["accesses by", "entries", "trail"], &cells), ground.words())
            },
            || {
                let row = |(grantee, trail): &(&str, &ProvenTrail)| json!({ "grantee": grantee, "entries": trail.size, "trail": trail.key.to_string() });
                json!({ "trails": rows.iter().map(row).collect::<Vec<_>>(), "anchored": ground.is_own })
            },
        );
        Ok(Exit::Done)
    }
}

impl Show {
    fn run(&self, screen: &Screen) -> Outcome {
        let client = self.node.client()?;
        let ground = Ground::of(&client, self.anchor.as_ref())?;
        let vault = self.vault.open()?;
        let names = network::names(&client)?;
        let (found, listener) = match (self.subject.trail(&client)?, &self.trail) {
            (Some(one), _) if self.own || self.subject.grantee.is_some() => (
                vec![fetch(&client, &one, self.subject.grantee.clone(), Part::Whole, &ground)?],
                Listener::Subject,
            ),
            (Some(own), _) => (all_of(&client, &self.subject, own, &ground)?, Listener::Subject),
            (None, Some(key)) => (vec![fetch_by_key(&client, key, Part::Whole, &ground)?], Listener::Other),
            (None, None) => return Err(Failed::unable("name a trail or give a code")),
        };
        let mut entries: Vec<Line> = Vec::new();
        for found in &found {
            for entry in &found.proven.entries {
                entries.push(Line::of(entry, found, vault.as_ref(), &ground)?);
            }
        }
        entries.sort_by_key(|line| line.record.index);
        screen.result(
            |paint| words(&found, &entries, &names, listener, &ground, paint),
            || document(&found, &entries, &names, listener, &ground),
        );
        Ok(Exit::Done)
    }
}

impl Prove {
    fn run(&self, screen: &Screen) -> Outcome {
        let client = self.node.client()?;
        let ground = Ground::of(&client, self.anchor.as_ref())?;
        let part = match (self.from, self.to) {
            (Some(from), Some(to)) => Part::Times(from, to),
            _ => Part::Whole,
        };
        let found = match (self.subject.trail(&client)?, &self.trail) {
            (Some(one), _) => fetch(&client, &one, self.subject.grantee.clone(), part, &ground)?,
            (None, Some(key)) => fetch_by_key(&client, key, part, &ground)?,
            (None, None) => return Err(Failed::unable("name a trail or give a code")),
        };
        files::write(&self.out, &found.bytes)?;
        let mut opened = 0;
        if let (Some(path), Some(vault)) = (&self.openings, self.vault.open()?) {
            let items = found.proven.entries.iter().filter_map(ProvenEntryExt::item);
            let openings: Vec<Opening> =
                items.map(|item| openings(&vault, &item.hash)).collect::<Outcome<Vec<_>>>()?.concat();
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
            |_| format!("{}  {what}, as of block {}\n", self.out.display(), trail.header.header.height),
            || {
                json!({
                    "file": self.out,
                    "trail": trail.key.to_string(),
                    "absent": trail.size == 0,
                    "complete": trail.is_complete(),
                    "entries": trail.entries.len(),
                    "size": trail.size,
                    "height": trail.header.header.height.0,
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

/// What proofs are judged by.
struct Ground {
    anchor: TrustAnchor,
    links: Vec<Link>,
    recency: Recency,
    is_own: bool,
}

impl Ground {
    /// The caller's anchor; or, said plainly, what the node itself says.
    fn of(client: &Client, anchor: Option<&PathBuf>) -> Outcome<Self> {
        let (anchor, recency, is_own) = match anchor {
            Some(path) => (read_anchor(path)?, Recency::default(), true),
            None => {
                let genesis = client.genesis().map_err(network::refused)?;
                let anchor = TrustAnchor::from_genesis(&genesis).could_not(|| "use the node's genesis")?;
                (anchor, Recency { trust_period_ms: u64::MAX, not_older_than: None }, false)
            }
        };
        let links = client.links(anchor.height).map_err(network::refused)?.links.into_inner();
        Ok(Self { anchor, links, recency, is_own })
    }

    fn basis(&self) -> Basis<'_> {
        Basis { anchor: &self.anchor, links: &self.links, recency: self.recency }
    }

    fn words(&self) -> &'static str {
        if self.is_own {
            "Verified from your anchor."
        } else {
            "Verified from the node's own genesis only: with --anchor you need not believe the node."
        }
    }
}

/// A trail, fetched and verified.
struct Found {
    grantee: Option<ParticipantId>,
    bytes: Vec<u8>,
    proven: ProvenTrail,
}

impl Found {
    fn grantee_word(&self) -> &str {
        self.grantee.as_ref().map_or("(own trail)", |grantee| grantee.as_str())
    }
}

fn fetch(
    client: &Client,
    trail: &Readable,
    grantee: Option<ParticipantId>,
    part: Part,
    ground: &Ground,
) -> Outcome<Found> {
    let (bytes, proof) =
        client.trail_proof(&trail.name, part, Some(&trail.reader)).map_err(network::refused)?;
    if proof.name != trail.name {
        return Err(Failed::against("the node proved another trail than the one asked for"));
    }
    verified(bytes, &proof, grantee, ground)
}

fn fetch_by_key(client: &Client, key: &TrailKey, part: Part, ground: &Ground) -> Outcome<Found> {
    let (bytes, proof) = client.trail_proof_by_key(key, part, None).map_err(network::refused)?;
    if proof.name.key() != *key {
        return Err(Failed::against("the node proved another trail than the one asked for"));
    }
    verified(bytes, &proof, None, ground)
}

fn verified(
    bytes: Vec<u8>,
    proof: &TrailProof,
    grantee: Option<ParticipantId>,
    ground: &Ground,
) -> Outcome<Found> {
    let proven = verify::trail(proof, &ground.basis())
        .map_err(|failure| NotVerified::from(failure).about(std::path::Path::new("the node's proof")))?;
    Ok(Found { grantee, bytes, proven })
}

/// The own trail and those of all participants that have one.
fn all_of(client: &Client, subject: &ByCode, own: Readable, ground: &Ground) -> Outcome<Vec<Found>> {
    let mut found = vec![fetch(client, &own, None, Part::Whole, ground)?];
    for participant in client.registry().map_err(network::refused)?.participants {
        if participant.id == own.name.owner {
            continue;
        }
        let by_grantee = ByCode { grantee: Some(participant.id.clone()), ..subject.clone() };
        let Some(trail) = by_grantee.trail(client)? else { continue };
        let trail = fetch(client, &trail, Some(participant.id), Part::Whole, ground)?;
        if trail.proven.size > 0 {
            found.push(trail);
        }
    }
    Ok(found)
}

/// All openings of an item that the vault has; none when it does not know the item.
fn openings(vault: &Vault, item: &ItemHash) -> Outcome<Vec<Opening>> {
    match vault.entry(item) {
        Some(_) => vault.openings(item, None).could_not(|| "read openings from the vault"),
        None => Ok(Vec::new()),
    }
}

trait ProvenEntryExt {
    fn item(&self) -> Option<&ProvenItem>;
}

impl ProvenEntryExt for ProvenEntry {
    fn item(&self) -> Option<&ProvenItem> {
        match &self.content {
            Content::Item(item) => Some(item),
            Content::Withheld(_) | Content::Pruned => None,
        }
    }
}

/// An entry, ready to be told.
struct Line<'a> {
    record: &'a Record,
    content: &'a Content,
    trail: &'a Found,
    position: u64,
    shown: Vec<Shown>,
}

impl<'a> Line<'a> {
    fn of(entry: &'a ProvenEntry, trail: &'a Found, vault: Option<&Vault>, ground: &Ground) -> Outcome<Self> {
        let shown = match entry.item() {
            Some(item) => {
                let openings =
                    vault.map(|vault| openings(vault, &item.hash)).transpose()?.unwrap_or_default();
                disclosure::show(&ground.anchor.chain, &item.item, &openings).map_err(Failed::against)?
            }
            None => Vec::new(),
        };
        Ok(Self { record: &entry.record, content: &entry.content, trail, position: entry.position, shown })
    }

    fn sentence(&self, names: &Names, listener: Listener) -> String {
        match self.content {
            Content::Item(item) => {
                let telling = Telling {
                    author: &item.entry.author,
                    recorded: item.record.time,
                    item: &item.item,
                    shown: &self.shown,
                    names,
                    listener,
                };
                telling.sentence()
            }
            Content::Withheld(warrant) => format!(
                "recorded {}: withheld, on the order of item {}",
                time::words(self.record.time),
                short(&warrant.0)
            ),
            Content::Pruned => {
                format!("recorded {}: its content is no longer kept", time::words(self.record.time))
            }
        }
    }

    fn verdict(&self) -> Option<(Finding, String)> {
        let entry = self.record.as_item()?;
        Some((entry.verdict.finding, finding(&entry.verdict)))
    }
}

fn words(
    found: &[Found],
    lines: &[Line<'_>],
    names: &Names,
    listener: Listener,
    ground: &Ground,
    paint: Paint,
) -> String {
    let mut text = String::new();
    for line in lines {
        text.push_str(&format!("{}\n", line.sentence(names, listener)));
        if let Some((finding, words)) = line.verdict() {
            match finding {
                Finding::Contradicted => text.push_str(&format!("    {}\n", paint.bad(words))),
                Finding::NotEvaluated | Finding::Consistent => {
                    text.push_str(&format!("    {}\n", paint.dim(words)))
                }
            }
        }
        if let Content::Item(item) = line.content {
            text.push_str(&format!(
                "    {}\n",
                paint.dim(format!("item {}, block {}", item.hash, line.record.height))
            ));
        }
    }
    if lines.is_empty() {
        text.push_str("Nothing is recorded here.\n");
    }
    text.push('\n');
    for trail in found {
        let whose = match (&trail.grantee, listener) {
            (Some(grantee), _) => format!("accesses by {}", names.of(grantee)),
            (None, Listener::Subject) => "your own trail".into(),
            (None, Listener::Other) => {
                format!("{} trail of {}", trail.proven.name.kind, names.of(&trail.proven.name.owner))
            }
        };
        let size = trail.proven.size;
        text.push_str(&format!(
            "{} {whose}: all {size} entries up to block {}\n",
            paint.good("complete"),
            trail.proven.header.header.height
        ));
    }
    text.push_str(&format!("{}\n", ground.words()));
    text
}

fn document(
    found: &[Found],
    lines: &[Line<'_>],
    names: &Names,
    listener: Listener,
    ground: &Ground,
) -> Value {
    let line = |line: &Line<'_>| {
        let item = match line.content {
            Content::Item(item) => {
                json!({ "reference": item.hash.to_string(), "stated": render::of(&item.item), "author": item.entry.author.to_string() })
            }
            Content::Withheld(_) | Content::Pruned => Value::Null,
        };
        json!({
            "trail": line.trail.proven.key.to_string(),
            "position": line.position,
            "words": line.sentence(names, listener),
            "finding": line.verdict().map(|(finding, _)| finding.word()),
            "codes": line.record.as_item().map(|entry| entry.verdict.codes.iter().map(|code| code.word()).collect::<Vec<_>>()),
            "record": render::of(line.record),
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
        })
    };
    json!({
        "trails": found.iter().map(trail).collect::<Vec<_>>(),
        "entries": lines.iter().map(line).collect::<Vec<_>>(),
        "anchored": ground.is_own,
    })
}
