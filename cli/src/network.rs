//! Talking to a node: its address and the caller's key as arguments, its errors as words.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use custos_api::blocking::Client;
use custos_api::client::ClientError;
use custos_people::names::{Name, Names};
use custos_proof::keys::KeyPurpose;

use crate::exit::{Failed, Outcome};
use crate::keyfile;

/// Which node is asked, and as whom.
#[derive(Debug, Clone, Args)]
pub(crate) struct Node {
    /// The node's address, such as http://127.0.0.1:7700
    #[arg(long = "node", value_name = "URL")]
    url: String,
    /// A signing key of a member, to read what members may read
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

impl Node {
    /// A client, signing with the key if one was given.
    pub(crate) fn client(&self) -> Outcome<Client> {
        match &self.key {
            Some(path) => member(&self.url, path),
            None => Client::new(&self.url).map_err(refused),
        }
    }
}

/// A client that signs its requests with a member's key.
pub(crate) fn member(url: &str, key: &Path) -> Outcome<Client> {
    let key = keyfile::read(key, KeyPurpose::Sign)?;
    Ok(Client::new(url).map_err(refused)?.signed_by(Arc::new(key)))
}

/// What a node's answer means for a command.
pub(crate) fn refused(error: ClientError) -> Failed {
    match error {
        ClientError::Problem(problem) => {
            let failed = Failed::unable(format!("{} ({})", problem.detail, problem.code));
            // The node speaks of requests and headers; whoever types commands has arguments.
            match (problem.status, problem.hint) {
                (401, _) => {
                    failed.hint("name a member's key with --key, or show the patient's code with --code")
                }
                (404, _) => failed.hint("is it the right reference, and does the key or code belong to it?"),
                (_, Some(hint)) => failed.hint(hint),
                (_, None) => failed,
            }
        }
        ClientError::Unreachable { .. } => {
            Failed::unable(error).hint("is the node running, and is its address right?")
        }
        other => Failed::unable(other),
    }
}

/// What participants call themselves, by the registry of the node that is asked.
pub(crate) fn names(client: &Client) -> Outcome<Names> {
    let mut names = Names::default();
    for participant in client.registry().map_err(refused)?.participants {
        let by_language = participant.display_names.into_iter().map(|shown| (shown.language, shown.name));
        names.add(
            participant.id,
            Name {
                name: participant.name,
                by_language: by_language.collect(),
                jurisdiction: Some(participant.jurisdiction),
            },
        );
    }
    Ok(names)
}
