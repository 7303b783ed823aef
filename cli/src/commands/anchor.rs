//! `custos anchor`: what a verifier starts from, and moving it forward before it grows too old.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use custos_api::blocking::Client;
use custos_proof::anchor::{Advance, Recency, TRUST_PERIOD_MS, TrustAnchor};
use custos_proof::cbor::{Set, Wire as _};
use custos_proof::file::{self, File};
use custos_proof::keys::PublicKey;

use crate::commands::verify::read_anchor;
use crate::exit::{Exit, Failed, Outcome};
use crate::network;
use crate::render::json as render;
use crate::render::paint::Paint;
use crate::render::table::table;
use crate::screen::Screen;
use crate::{files, time};

/// Look at a trust anchor, or move it forward
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Example:\n  custos anchor show anchor.custos\n  custos anchor update anchor.custos --node http://127.0.0.1:7700"
)]
pub(crate) enum Anchor {
    Show(Show),
    Update(Update),
}

impl Anchor {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        match self {
            Anchor::Show(command) => command.run(screen),
            Anchor::Update(command) => command.run(screen),
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
/// Keys that validators no longer use can sign any history, so a verifier believes a block only for
/// some time after its anchor. Moving the anchor forward regularly keeps it young. The node is not
/// believed: every step is verified from the anchor you have.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 moved; 1 the node showed evidence of another history; 2 it could not be told.\n\n\
    Examples:\n  \
    custos anchor update anchor.custos --node http://127.0.0.1:7700\n  \
    custos anchor update genesis.custos --node http://127.0.0.1:7700 -o anchor.custos\n  \
    custos anchor update anchor.custos --from advance.custos"
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
    /// Where to write the new anchor; by default over the old one
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// A witness that you believe, by its public key; may be repeated
    #[arg(long = "witness", value_name = "PUBLIC KEY", requires = "threshold")]
    witnesses: Vec<PublicKey>,
    /// How many of the witnesses are enough
    #[arg(long, value_name = "N")]
    threshold: Option<u8>,
}

impl Show {
    fn run(&self, screen: &Screen) -> Outcome {
        let anchor = read_anchor(&self.file)?;
        show(&anchor, screen);
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
        let recency = Recency { trust_period_ms: TRUST_PERIOD_MS, not_older_than: None };
        let moved = anchor.advance(&advance, &recency).map_err(|failure| match failure.is_evidence() {
            true => Failed::against(format!("the anchor was not moved: {failure}"))
                .hint("this is evidence of another history: keep what you have, and ask another node"),
            false => Failed::unable(format!("the anchor was not moved: {failure}")),
        })?;
        let out = self.out()?;
        files::write(out, &moved.to_bytes())?;
        show(&moved, screen);
        screen.talk(format!(
            "Moved from block {} to block {}, written to {}.",
            anchor.height,
            moved.height,
            out.display()
        ));
        Ok(Exit::Done)
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

fn show(anchor: &TrustAnchor, screen: &Screen) {
    screen.result(|paint| words(anchor, paint), || render::of(anchor));
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
