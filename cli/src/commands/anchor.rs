//! `custos anchor`: what a verifier starts from, moving it forward before it grows too old, the way from it to now.
//!
//! What a node says is walked from the anchor before anything is written. An anchor beyond its trust period is
//! moved only for whoever says that the node itself is believed.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use custos_api::blocking::Client;
use custos_proof::anchor::{Advance, Link, Recency, TRUST_PERIOD_MS, TrustAnchor};
use custos_proof::cbor::{Set, Wire as _};
use custos_proof::file::{self, File};
use custos_proof::keys::PublicKey;
use custos_proof::verify::Failure;
use serde_json::json;

use crate::commands::verify::{read_anchor, write_links};
use crate::exit::{Exit, Failed, Outcome};
use crate::network;
use crate::render::json as render;
use crate::render::paint::Paint;
use crate::render::table::table;
use crate::screen::Screen;
use crate::{files, time};

/// How a walk is judged where something else than the anchor's age stands for its end.
const WITHOUT_END: Recency = Recency { trust_period_ms: u64::MAX, not_older_than: None };
/// What to do about an anchor that cannot be moved any more.
const NEW_ANCHOR: &str = "get a new anchor from somebody you trust, such as the custodian or an auditor, and \
    compare it with a second one; for the node of your own institution there is --believe-node";

/// Look at a trust anchor, move it forward, or fetch the way from it
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Example:\n  custos anchor show anchor.custos\n  custos anchor update anchor.custos --node http://127.0.0.1:7700"
)]
pub(crate) enum Anchor {
    Show(Show),
    Update(Update),
    Links(Way),
}

impl Anchor {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        match self {
            Anchor::Show(command) => command.run(screen),
            Anchor::Update(command) => command.run(screen),
            Anchor::Links(command) => command.run(screen),
        }
    }
}

/// Show what an anchor believes
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  custos anchor show anchor.custos")]
pub(crate) struct Show {
    /// An anchor, or a genesis
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Move an anchor forward to a node's last block
///
/// Keys that validators no longer use can sign any history, so a verifier believes a block only for 90 days after
/// its anchor. Move the anchor before it is that old: once it is, it can be moved no more, and a new one has to come
/// from somebody you trust, compared with a second one. The node is not believed: every step is verified from the
/// anchor you have.
///
/// An anchor that is written over is kept beside the new one, with its height behind its name. What was proven as of a
/// block before the new one may need it.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 moved; 1 the node showed evidence of another history; 2 it could not be told.\n\n\
    Examples:\n  \
    custos anchor update anchor.custos --node http://127.0.0.1:7700\n  \
    custos anchor update genesis.custos --node http://127.0.0.1:7700 -o anchor.custos\n  \
    custos anchor update anchor.custos --from advance.custos\n  \
    custos anchor update anchor.custos --node http://127.0.0.1:7700 --believe-node"
)]
pub(crate) struct Update {
    /// The anchor to start from, or the network's genesis
    #[arg(value_name = "FILE")]
    anchor: PathBuf,
    /// The node to ask, such as http://127.0.0.1:7700
    #[arg(long = "node", value_name = "URL")]
    url: Option<String>,
    /// An advance that somebody handed over, instead of asking a node
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    from: Option<PathBuf>,
    /// Believe the node where the anchor is too old: only for the node of your own institution, or with the block id
    /// compared with another participant's
    #[arg(long, requires = "url", conflicts_with = "from")]
    believe_node: bool,
    /// Where to write the new anchor; by default over the old one
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// A witness that you believe, by its public key; may be repeated. Cosignatures are verified where a file has them;
    /// no node sends any yet, and no command collects them
    #[arg(long = "witness", value_name = "PUBLIC KEY", requires = "threshold")]
    witnesses: Vec<PublicKey>,
    /// How many of the witnesses are enough
    #[arg(long, value_name = "N")]
    threshold: Option<u8>,
}

/// Fetch the way from an anchor to now, for verifying offline
///
/// Every block that changed the validators, each certified by those before: with it, `custos verify --links` follows
/// from the anchor to a block of later validators. The way is walked to the node's last block before it is
/// written. It moves no anchor: how long after the anchor a block is believed stays as it is.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 written; 1 the node showed evidence of another history; 2 it could not be told.\n\n\
    Examples:\n  \
    custos anchor links anchor.custos --node http://127.0.0.1:7700 -o links.custos\n  \
    custos verify receipt.custos --anchor anchor.custos --links links.custos"
)]
pub(crate) struct Way {
    /// The anchor to start from, or the network's genesis
    #[arg(value_name = "ANCHOR")]
    anchor: PathBuf,
    /// The node to ask, such as http://127.0.0.1:7700
    #[arg(long = "node", value_name = "URL")]
    url: String,
    /// Where to write the links
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
}

impl Show {
    fn run(&self, screen: &Screen) -> Outcome {
        let anchor = read_anchor(&self.file)?;
        screen.result(|paint| words(&anchor, paint), || render::of(&anchor));
        Ok(Exit::Done)
    }
}

impl Update {
    fn run(&self, screen: &Screen) -> Outcome {
        let mut anchor = read_anchor(&self.anchor)?;
        if let Some(threshold) = self.threshold {
            if usize::from(threshold) > self.witnesses.len() {
                return Err(Failed::unable("the threshold is higher than the number of witnesses"));
            }
            anchor.witnesses = Set::new(self.witnesses.clone())
                .ok_or_else(|| Failed::unable("too many witnesses, or one named twice"))?;
            anchor.threshold = threshold;
        }
        let advance = self.advance(&anchor)?;
        let out = self.out()?;
        let (moved, node_believed) = self.moved(&anchor, &advance)?;
        let kept = keep(out, &moved)?;
        files::write(out, &moved.to_bytes())?;
        screen.result(
            |paint| words(&moved, paint),
            || {
                let mut report = render::of(&moved);
                report["node_believed"] = json!(node_believed);
                report["kept"] = json!(kept);
                report
            },
        );
        if node_believed {
            screen.warn(format!(
                "The anchor was beyond its trust period of 90 days. That no keys retired since signed this history was \
                 not verified: the node was believed. Unless it is your own, compare block id {} with another \
                 participant's.",
                moved.block_id
            ));
        }
        screen.talk(format!(
            "Moved from block {} to block {}, written to {}.",
            anchor.height,
            moved.height,
            out.display()
        ));
        if let Some(kept) = &kept {
            screen.talk(format!(
                "The anchor before is kept in {}: what was proven as of an earlier block may need it.",
                kept.display()
            ));
        }
        Ok(Exit::Done)
    }

    /// The anchor after the step, and whether the node had to be believed for it.
    fn moved(&self, anchor: &TrustAnchor, advance: &Advance) -> Outcome<(TrustAnchor, bool)> {
        let refused = |failure: &Failure| does_not_hold("the anchor was not moved", failure);
        match anchor.advance(advance, &Recency::default()) {
            Ok(moved) => Ok((moved, false)),
            Err(Failure::RetiredKeys { .. }) if self.believe_node => {
                let moved = anchor.advance(advance, &WITHOUT_END).map_err(|failure| refused(&failure))?;
                Ok((moved, true))
            }
            Err(failure) => Err(refused(&failure)),
        }
    }

    fn advance(&self, anchor: &TrustAnchor) -> Outcome<Advance> {
        if let Some(path) = &self.from {
            return match file::decode(&files::read(path)?) {
                Ok(File::Advance(advance)) => Ok(advance),
                Ok(_) => {
                    Err(Failed::unable(format!("{} is a Custos file, but not an advance", path.display())))
                }
                Err(error) => Err(Failed::unable(format!("{}: {error}", path.display()))),
            };
        }
        let url = self.url.as_ref().ok_or_else(|| Failed::unable("give --node URL or --from FILE"))?;
        Client::new(url).map_err(network::refused)?.advance(anchor.height).map_err(network::refused)
    }

    /// Where the new anchor goes. A genesis is never overwritten.
    fn out(&self) -> Outcome<&Path> {
        if let Some(out) = &self.out {
            return Ok(out);
        }
        match file::type_name(&files::read(&self.anchor)?) {
            Ok("custos.anchor.v1") => Ok(&self.anchor),
            _ => {
                Err(Failed::unable(format!("{} is a genesis and is not overwritten", self.anchor.display()))
                    .hint("add -o anchor.custos"))
            }
        }
    }
}

impl Way {
    fn run(&self, screen: &Screen) -> Outcome {
        let anchor = read_anchor(&self.anchor)?;
        let client = Client::new(&self.url).map_err(network::refused)?;
        let advance = client.advance(anchor.height).map_err(network::refused)?;
        // The links decide nothing by themselves: whoever verifies with them judges the block's time by the anchor.
        let head = anchor
            .advance(&advance, &WITHOUT_END)
            .map_err(|failure| does_not_hold("the links were not written", &failure))?;
        let links = walked(&anchor, advance);
        let count = links.len();
        write_links(&self.out, links)?;
        screen.result(
            |_| {
                format!(
                    "{}  changes of the validators from block {} to block {}: {count}, each verified\n",
                    self.out.display(),
                    anchor.height,
                    head.height
                )
            },
            || {
                json!({
                    "file": self.out,
                    "links": count,
                    "from": anchor.height.0,
                    "to": head.height.0,
                    "block_id": head.block_id.to_string(),
                    "time": head.time.to_string(),
                })
            },
        );
        let until = anchor.time.plus(TRUST_PERIOD_MS);
        if head.time > until {
            screen.warn(format!("With this anchor, blocks are believed until {}.", time::words(until)));
        }
        Ok(Exit::Done)
    }
}

/// The links that a verified advance was walked along; its last block too, if that changed the validators.
///
/// What a node sent beside these was not looked at and is left out.
fn walked(anchor: &TrustAnchor, advance: Advance) -> Vec<Link> {
    let Advance { links, header, certificate, next, .. } = advance;
    let between = anchor.height.next()..header.height;
    let mut walked: Vec<Link> =
        links.into_inner().into_iter().filter(|link| between.contains(&link.header.height)).collect();
    if header.height > anchor.height && header.validators_hash != header.next_validators_hash {
        walked.push(Link { header, certificate, next });
    }
    walked
}

/// Keeps the anchor that is about to be written over, unless its height has a file already.
fn keep(out: &Path, moved: &TrustAnchor) -> Outcome<Option<PathBuf>> {
    if !out.exists() {
        return Ok(None);
    }
    let bytes = files::read(out)?;
    let Ok(File::Anchor(old)) = file::decode(&bytes) else { return Ok(None) };
    let mut name = out.as_os_str().to_os_string();
    name.push(format!(".{}", old.height));
    let kept = PathBuf::from(name);
    if old.block_id == moved.block_id || kept.exists() {
        return Ok(None);
    }
    files::create(&kept, &bytes, false)?;
    Ok(Some(kept))
}

/// What it means that a node's account of the validators does not follow from the anchor.
fn does_not_hold(what: &str, failure: &Failure) -> Failed {
    match failure {
        Failure::RetiredKeys { anchor, target } => {
            let (anchor, target) = (time::words(*anchor), time::words(*target));
            Failed::unable(format!(
                "{what}: it is of {anchor}, and the block of {target} is later than its trust period of 90 days: a \
                 history signed with keys that were retired since could not be excluded"
            ))
            .hint(NEW_ANCHOR)
        }
        failure if failure.is_evidence() => Failed::against(format!("{what}: {failure}"))
            .hint("this is evidence of another history: keep what you have, and ask another node"),
        failure => Failed::unable(format!("{what}: {failure}")),
    }
}

fn words(anchor: &TrustAnchor, paint: Paint) -> String {
    let validators: Vec<_> = anchor
        .validators
        .as_slice()
        .iter()
        .map(|v| vec![v.participant.to_string(), v.power.to_string(), v.key.to_string()])
        .collect();
    let until = anchor.time.plus(TRUST_PERIOD_MS);
    let witnesses = match anchor.threshold {
        0 => "none".to_owned(),
        threshold => format!("{threshold} of {}", anchor.witnesses.len()),
    };
    format!(
        "{}\nchain      {}\nblock      {} ({})\ntime       {}\ntrusted    for blocks until {}\nwitnesses  {witnesses}\n\n{}\n",
        paint.head("Trust anchor"),
        anchor.chain,
        anchor.height,
        anchor.block_id,
        time::words(anchor.time),
        time::words(until),
        table(&["validator of the next block", "power", "key"], &validators),
    )
}
