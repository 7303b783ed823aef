//! `custos participant`: who takes part, and admitting others as long as a registrar does it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use custos_api::blocking::Client;
use custos_api::client::Submitted;
use custos_proof::cbor::{Ascii, List, Text, Wire as _};
use custos_proof::ids::{ItemId, ParticipantId, Random16};
use custos_proof::item::Item;
use custos_proof::keys::{KeyPurpose, PublicKey, Signature, Signer as _, key_id};
use custos_proof::kinds::key::Add;
use custos_proof::kinds::participant::Register as Registration;
use custos_proof::kinds::{Class, Fields};
use custos_proof::registry::{Role, Roles};
use custos_proof::submission::{Author, Draft, Submission};
use serde_json::json;

use crate::exit::{Exit, Failed, Outcome, While as _};
use crate::network::{self, refused};
use crate::render::table::table;
use crate::screen::Screen;
use crate::{keyfile, time};

/// How long a node is asked to wait for a commit.
const PATIENCE: Duration = Duration::from_secs(60);

/// See who takes part, or admit somebody
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  custos participant list --node http://127.0.0.1:7700")]
pub(crate) enum Participant {
    List(ListAll),
    Register(Box<Register>),
}

impl Participant {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        match self {
            Participant::List(command) => command.run(screen),
            Participant::Register(command) => command.run(screen),
        }
    }
}

/// List the participants with their roles and keys
#[derive(Debug, Args)]
#[command(name = "list")]
#[command(after_help = "Example:\n  custos participant list --node http://127.0.0.1:7700")]
pub(crate) struct ListAll {
    /// The node's address, such as http://127.0.0.1:7700
    #[arg(long = "node", value_name = "URL")]
    url: String,
}

/// Admit a participant, as the registrar
///
/// With its public signing key and the proof that it holds the secret (`custos keygen --owner ID
/// --chain CHAIN` prints both on its own machine), the key is registered in the same act.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    custos participant register lab.example --name \"Example Laboratory\" --role recipient \\\n    \
    --node http://127.0.0.1:7700 --key registrar-sign.key")]
pub(crate) struct Register {
    /// The participant's id; for ever
    #[arg(value_name = "PARTICIPANT")]
    id: ParticipantId,
    /// The organisation's name
    #[arg(long)]
    name: String,
    /// A role; may be repeated: custodian, recipient, data-user, access-body, agent, auditor, observer
    #[arg(long = "role", value_name = "ROLE", required = true)]
    roles: Vec<String>,
    /// Country code, or EU
    #[arg(long, default_value = "EU")]
    jurisdiction: String,
    /// Where its node or gateway is reached
    #[arg(long, default_value = "")]
    endpoint: String,
    /// Its public signing key
    #[arg(long, value_name = "KEY", requires = "possession")]
    public_key: Option<PublicKey>,
    /// The proof that it holds the key
    #[arg(long, value_name = "SIGNATURE", requires = "public_key")]
    possession: Option<Signature>,
    /// The node to hand in to, such as http://127.0.0.1:7700
    #[arg(long = "node", value_name = "URL")]
    url: String,
    /// The registrar's signing key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

impl ListAll {
    fn run(&self, screen: &Screen) -> Outcome {
        let registry = Client::new(&self.url).map_err(refused)?.registry().map_err(refused)?;
        screen.result(
            |_| {
                let rows: Vec<_> = registry
                    .participants
                    .iter()
                    .map(|participant| {
                        let mut keys: Vec<&str> =
                            participant.keys.iter().map(|key| key.purpose.as_str()).collect();
                        keys.sort_unstable();
                        let state = if participant.suspended.is_some() { "suspended" } else { "active" };
                        vec![
                            participant.id.to_string(),
                            participant.name.clone().unwrap_or_else(|| "(sealed)".into()),
                            participant.jurisdiction.clone(),
                            participant.roles.join(", "),
                            keys.join(", "),
                            state.to_owned(),
                        ]
                    })
                    .collect();
                format!("{}\n", table(&["participant", "name", "in", "roles", "keys", "state"], &rows))
            },
            || json!(registry),
        );
        Ok(Exit::Done)
    }
}

impl Register {
    fn run(&self, screen: &Screen) -> Outcome {
        let client = network::member(&self.url, &self.key)?;
        let mut acts = vec![Fields::ParticipantRegister(self.registration()?)];
        if let (Some(key), Some(possession)) = (self.public_key, self.possession) {
            acts.push(Fields::KeyAdd(Add {
                owner: self.id.clone(),
                key,
                purpose: KeyPurpose::Sign,
                possession,
            }));
        }
        let height = self.record(&client, acts)?;
        let id = &self.id;
        screen.result(
            |_| format!("{id} is registered, in block {height}\n"),
            || json!({ "participant": id.to_string(), "height": height, "key_id": self.public_key.map(|key| key_id(&key).to_string()) }),
        );
        Ok(Exit::Done)
    }

    fn registration(&self) -> Outcome<Registration> {
        let words: Vec<_> = Role::ALL.iter().map(|role| role.word()).collect();
        Ok(Registration {
            id: self.id.clone(),
            roles: Roles::from_words(self.roles.iter().map(String::as_str)).ok_or_else(|| {
                Failed::unable("unknown role").hint(format!("roles are {}", words.join(", ")))
            })?,
            jurisdiction: Ascii::new(&self.jurisdiction)
                .ok_or_else(|| Failed::unable("the jurisdiction is a country code, or EU"))?,
            name: Some(Text::new(&self.name).ok_or_else(|| Failed::unable("the name is at most 128 bytes"))?),
            sealed_name: None,
            endpoint: Ascii::new(&self.endpoint)
                .ok_or_else(|| Failed::unable("the endpoint is at most 255 characters of ASCII"))?,
            display_names: List::default(),
        })
    }

    /// Signs the acts as one submission and waits for the block that records them.
    fn record(&self, client: &Client, acts: Vec<Fields>) -> Outcome<u64> {
        let key = keyfile::read(&self.key, KeyPurpose::Sign)?;
        let chain = client.status().map_err(refused)?.chain;
        let id = key_id(&key.public_key());
        let registry = client.registry().map_err(refused)?;
        let author = registry
            .participants
            .into_iter()
            .find(|participant| participant.keys.iter().any(|key| key.id == id));
        let author = author
            .ok_or_else(|| Failed::unable(format!("{} is not a key of the registry", self.key.display())))?;
        let item = |fields: Fields| Ok(Item { item_id: ItemId(random()?), fields }.to_bytes());
        let draft = Draft {
            chain: &chain,
            author: Author::Participant(author.id),
            class: Class::Act,
            nonce: Random16(random()?),
            not_after: time::now().plus(5 * 60 * 1000),
        };
        let items = acts.into_iter().map(item).collect::<Outcome<Vec<_>>>()?;
        let submission = Submission::sign(&draft, items, &key).could_not(|| "sign the registration")?;
        match client.submit_and_wait(submission.bytes(), PATIENCE).map_err(refused)? {
            Submitted::Committed { receipts, .. } => {
                Ok(receipts.receipts.first().map_or(0, |receipt| receipt.header.height.0))
            }
            Submitted::Pending(_) => {
                Err(Failed::unable("not recorded yet; look again with `custos participant list`"))
            }
        }
    }
}

fn random() -> Outcome<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).could_not(|| "draw random bytes")?;
    Ok(bytes)
}
