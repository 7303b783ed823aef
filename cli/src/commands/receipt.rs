//! `custos receipt`: the proof that one item was recorded.
//!
//! The node is not believed: what it sends is of the item that was asked for, and verifies from the caller's
//! anchor if there is one, or nothing is written.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use custos_people::say;
use custos_proof::cbor::Wire as _;
use custos_proof::hash::ItemHash;
use custos_proof::item::item_hash;
use custos_proof::receipt;
use serde_json::json;

use crate::commands::verify::{verify, write_links};
use crate::exit::{Exit, Failed, Outcome, While as _};
use crate::files;
use crate::network::{self, Node};
use crate::screen::Screen;
use crate::subject::ByCode;
use crate::trails::Ground;

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
///
/// With an anchor it is verified before it is written, across changes of the validator set; `--links` keeps the
/// way that this took, so that it can be verified offline later.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 written; 1 the node's receipt is of another item, or does not hold; \
    2 it could not be had, or not told with this anchor.\n\n\
    Examples:\n  \
    custos receipt get 3f0c...9a --node http://127.0.0.1:7700 --key hospital-sign.key -o receipt.custos\n  \
    custos receipt get 3f0c...9a --node http://127.0.0.1:7700 --key hospital-sign.key -o receipt.custos \\\n    \
    --anchor anchor.custos --links links.custos\n  \
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
    /// Where to write the links that it was verified with, for `custos verify --links`
    #[arg(long, value_name = "FILE", requires = "anchor")]
    links: Option<PathBuf>,
}

impl Get {
    fn run(&self, screen: &Screen) -> Outcome {
        let s = screen.speaker();
        let client = self.node.client()?;
        let ground = Ground::of(&client, self.anchor.as_ref())?;
        ground.warn(screen);
        let subject = self.subject.subject(&client, &ground, s)?;
        let (chain, grantee) = (&ground.anchor.chain, self.subject.grantee.as_ref());
        let reader = subject.map(|subject| subject.trail(chain, grantee).reader);
        let bytes = client.receipt(&self.item, reader.as_ref()).map_err(network::refused)?;
        let receipt = receipt::Receipt::from_bytes(&bytes).could_not(|| "read the node's receipt")?;
        self.is_of_the_item(&receipt)?;
        if ground.is_own {
            verify(&bytes, &[], &ground.basis()).map_err(|failure| failure.about(&self.out, s))?;
        }
        files::write(&self.out, &bytes)?;
        if let Some(path) = &self.links {
            // Only these were looked at; what the node said of later blocks is not handed on.
            let between = ground.anchor.height.next()..receipt.header.height;
            let links = ground.links.iter().filter(|link| between.contains(&link.header.height));
            write_links(path, links.cloned().collect())?;
        }
        screen.result(
            |paint| {
                let state = match ground.is_own {
                    true => paint.good(say!(s, "receipt-verified")),
                    false => say!(s, "receipt-not-verified-yet"),
                };
                let written = say!(s, "receipt-written", count = bytes.len());
                format!("{}  {written}, {state}\n", self.out.display())
            },
            || {
                json!({
                    "item": self.item.to_string(),
                    "file": self.out,
                    "bytes": bytes.len(),
                    "verified": ground.is_own,
                    "links": self.links,
                })
            },
        );
        Ok(Exit::Done)
    }

    /// A valid receipt of another item says nothing of this one.
    fn is_of_the_item(&self, receipt: &receipt::Receipt) -> Outcome<()> {
        let (found, asked) = (item_hash(&receipt.item), self.item);
        match found == asked {
            true => Ok(()),
            false => {
                Err(Failed::against(format!("the node gave the receipt of item {found}, not of {asked}"))
                    .hint("nothing was written; ask another node"))
            }
        }
    }
}
