//! `custos receipt`: the proof that one item was recorded.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use custos_people::say;
use custos_proof::anchor::Recency;
use custos_proof::hash::ItemHash;
use custos_proof::verify::Basis;
use serde_json::json;

use crate::commands::verify::{read_anchor, verify};
use crate::exit::{Exit, Outcome};
use crate::files;
use crate::network::{self, Node};
use crate::screen::Screen;
use crate::subject::ByCode;

/// Fetch receipts
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Example:\n  custos receipt get 3f0c...9a --node http://127.0.0.1:7700 --key hospital-sign.key -o receipt.custos"
)]
pub(crate) enum Receipt {
    Get(Get),
}

impl Receipt {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        match self {
            Receipt::Get(command) => command.run(screen),
        }
    }
}

/// Fetch the receipt of an item
///
/// An item is referred to by its hash, 64 hexadecimal digits, as `import`, `access record` and
/// `trail show` print it. Its author may fetch the receipt, and so may the subject in whose trail it
/// stands, without an account, with the patient's code.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    custos receipt get 3f0c...9a --node http://127.0.0.1:7700 --key hospital-sign.key -o receipt.custos\n  \
    custos receipt get 3f0c...9a --node http://127.0.0.1:7700 --code @code.txt --custodian hospital-a.example -o receipt.custos")]
pub(crate) struct Get {
    /// The item's hash
    #[arg(value_name = "ITEM")]
    item: ItemHash,
    #[command(flatten)]
    node: Node,
    #[command(flatten)]
    subject: ByCode,
    /// Where to write the receipt
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// Verify it right away from this anchor
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
}

impl Get {
    fn run(&self, screen: &Screen) -> Outcome {
        let client = self.node.client()?;
        let reader = self.subject.trail(&client)?.map(|trail| trail.reader);
        let bytes = client.receipt(&self.item, reader.as_ref()).map_err(network::refused)?;
        if let Some(path) = &self.anchor {
            let anchor = read_anchor(path)?;
            let basis = Basis { anchor: &anchor, links: &[], recency: Recency::default() };
            verify(&bytes, &[], &basis).map_err(|failure| failure.about(&self.out, screen.speaker()))?;
        }
        files::write(&self.out, &bytes)?;
        let verified = self.anchor.is_some();
        screen.result(
            |paint| {
                let s = screen.speaker();
                let state = match verified {
                    true => paint.good(say!(s, "receipt-verified")),
                    false => say!(s, "receipt-not-verified-yet"),
                };
                let written = say!(s, "receipt-written", count = bytes.len());
                format!("{}  {written}, {state}\n", self.out.display())
            },
            || json!({ "item": self.item.to_string(), "file": self.out, "bytes": bytes.len(), "verified": verified }),
        );
        Ok(Exit::Done)
    }
}
