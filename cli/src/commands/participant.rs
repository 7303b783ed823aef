//! `custos participant`: who takes part, and proposing to admit others.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use custos_api::blocking::Client;
use custos_proof::cbor::{Ascii, List, Text};
use custos_proof::ids::ParticipantId;
use custos_proof::keys::{KeyPurpose, PublicKey, Signature, key_id};
use custos_proof::kinds::Fields;
use custos_proof::kinds::key::Add;
use custos_proof::kinds::participant::Register as Registration;
use custos_proof::registry::{Role, Roles};
use serde_json::json;

use crate::commands::genesis::jurisdiction;
use crate::commands::proposal;
use crate::exit::{Exit, Failed, Outcome};
use crate::hand_in::Hand;
use crate::network::refused;
use crate::render::table::table;
use crate::screen::Screen;

/// See who takes part, or propose to admit somebody
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

/// Propose to the validators that a participant is admitted
///
/// Whoever is a validator has said yes by proposing; the others vote with `custos proposal vote`. With its
/// public signing key and the proof that it holds the secret (`custos keygen --owner ID --chain CHAIN`
/// prints both on its own machine), the key is registered by the same vote.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    custos participant register lab.example --name \"Example Laboratory\" --role recipient \\\n    \
    --node http://127.0.0.1:7700 --key hospital-1-sign.key")]
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
    /// The signing key of a validator or the registrar
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// For how long it can be decided, in hours; at most 2160
    #[arg(long, value_name = "HOURS", default_value_t = 168)]
    hours: u64,
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
        let hand = Hand::new(&self.url, &self.key)?;
        let mut acts = vec![Fields::ParticipantRegister(self.registration()?)];
        if let (Some(key), Some(possession)) = (self.public_key, self.possession) {
            acts.push(Fields::KeyAdd(Add {
                owner: self.id.clone(),
                key,
                purpose: KeyPurpose::Sign,
                possession,
            }));
        }
        let answer = proposal::open(&hand, proposal::acts(acts)?, self.hours)?;
        let id = &self.id;
        let is_done = answer.state == "executed";
        screen.result(
            |_| match is_done {
                true => format!("{id} is registered\n{}", proposal::words(&answer)),
                false => format!("{id} is proposed; the others vote now\n{}", proposal::words(&answer)),
            },
            || json!({ "participant": id.to_string(), "registered": is_done, "key_id": self.public_key.map(|key| key_id(&key).to_string()), "proposal": answer }),
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
            jurisdiction: jurisdiction(&self.jurisdiction)
                .ok_or_else(|| Failed::unable("the jurisdiction is a country code such as DE, or EU"))?,
            name: Some(Text::new(&self.name).ok_or_else(|| Failed::unable("the name is at most 128 bytes"))?),
            sealed_name: None,
            endpoint: Ascii::new(&self.endpoint)
                .ok_or_else(|| Failed::unable("the endpoint is at most 255 characters of ASCII"))?,
            display_names: List::default(),
        })
    }
}
