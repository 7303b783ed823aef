//! The section `[custodian]` of the configuration: a vault, a key, and who may use them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use custos_custodian::import::Organisations;
use custos_proof::ids::ParticipantId;
use custos_proof::kinds::rule::Collected;
use serde::{Deserialize, Serialize};

/// The section, as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustodianSection {
    /// Address and port to listen on for FHIR. Only an address of this machine itself is taken:
    /// systems elsewhere come through a proxy that speaks TLS.
    #[serde(default = "listen")]
    pub listen: String,
    /// Under which names (`host:port`) systems address this endpoint, besides `listen`: for signed requests.
    #[serde(default)]
    pub names: Vec<String>,
    /// The address that goes into links: what a proxy makes of `listen`. Ends in `/fhir`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The vault: a folder. It is made when it is not there.
    pub vault: PathBuf,
    /// The vault's key: a file. It is made when it is not there.
    pub vault_key: PathBuf,
    /// The custodian's signing key, as `custos keygen` writes it.
    pub key: PathBuf,
    /// A file with the bearer token of the custodian's own systems; without it, requests are signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// The address of the server that the resources come from: what relative references belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How consents are collected when they do not say.
    #[serde(default = "collected")]
    pub collected: String,
    /// An event that its source recorded at most so long ago was decided with this ledger in view;
    /// an older one is history.
    #[serde(default = "live_within_ms")]
    pub live_within_ms: u64,
    /// How long a request waits for the ledger before it is told that it is kept and waits.
    #[serde(default = "patience_ms")]
    pub patience_ms: u64,
    /// The most bytes of a request.
    #[serde(default = "max_body_bytes")]
    pub max_body_bytes: u64,
    /// Which participant an organisation of the resources is: `"Organization/17" = "lab.example"`.
    #[serde(default)]
    pub organisations: BTreeMap<String, String>,
}

fn listen() -> String {
    "127.0.0.1:7780".to_owned()
}
fn collected() -> String {
    "paper".to_owned()
}
fn live_within_ms() -> u64 {
    15 * 60 * 1000
}
fn patience_ms() -> u64 {
    20_000
}
fn max_body_bytes() -> u64 {
    8 * 1024 * 1024
}

impl CustodianSection {
    /// A section with every choice at its default.
    #[must_use]
    pub fn new(vault: PathBuf, vault_key: PathBuf, key: PathBuf) -> Self {
        Self {
            listen: listen(),
            names: Vec::new(),
            address: None,
            vault,
            vault_key,
            key,
            token_file: None,
            source: None,
            collected: collected(),
            live_within_ms: live_within_ms(),
            patience_ms: patience_ms(),
            max_body_bytes: max_body_bytes(),
            organisations: BTreeMap::new(),
        }
    }

    /// The section's files, relative to `base`.
    pub(crate) fn based_on(&mut self, base: &Path) {
        let files = [&mut self.vault, &mut self.vault_key, &mut self.key];
        for file in files.into_iter().chain(self.token_file.as_mut()) {
            *file = base.join(&file);
        }
    }

    /// What follows from the section.
    ///
    /// # Errors
    /// The key, what is wrong with it, and what to write.
    pub(crate) fn check(&self) -> Result<CheckedCustodian, (&'static str, String, &'static str)> {
        const LISTEN: &str = "write an address of this machine itself, such as 127.0.0.1:7780, and put a proxy with TLS before it";
        let listen: SocketAddr =
            self.listen.parse().map_err(|_| ("custodian.listen", format!("is {:?}", self.listen), LISTEN))?;
        if !listen.ip().is_loopback() {
            return Err(("custodian.listen", format!("is {listen}, which others can reach"), LISTEN));
        }
        let is_name = |name: &String| {
            !name.is_empty() && !name.bytes().any(|b| b.is_ascii_uppercase() || b <= b' ' || b == b'/')
        };
        if let Some(name) = self.names.iter().find(|name| !is_name(name)) {
            const NAMES: &str = "write host:port in lower case, without a scheme";
            return Err(("custodian.names", format!("holds {name:?}"), NAMES));
        }
        let is_address = |text: &str| text.starts_with("http://") || text.starts_with("https://");
        for (key, value) in [("custodian.address", &self.address), ("custodian.source", &self.source)] {
            if let Some(value) = value.as_ref().filter(|value| !is_address(value)) {
                return Err((
                    key,
                    format!("is {value:?}"),
                    "write a whole address, such as https://fhir.hospital.example",
                ));
            }
        }
        let collected = Collected::from_word(&self.collected).filter(|how| *how != Collected::Custodian);
        let Some(collected) = collected else {
            const WORDS: &str = "write one of paper, in-person, portal, e-signature";
            return Err(("custodian.collected", format!("is {:?}", self.collected), WORDS));
        };
        let mut organisations = Organisations::default();
        for (name, participant) in &self.organisations {
            let id: ParticipantId = participant.parse().map_err(|error| {
                const NAME: &str = "write a participant id: a-z, 0-9, '.' and '-', at most 63 characters";
                ("custodian.organisations", format!("gives {name:?} to {participant:?}: {error}"), NAME)
            })?;
            organisations.add(name, id);
        }
        let most = custos_custodian::fhir::request::MAX_REQUEST;
        for (key, value, least, most, hint) in [
            ("custodian.live_within_ms", self.live_within_ms, 0, 86_400_000, "choose at most a day"),
            ("custodian.patience_ms", self.patience_ms, 100, 50_000, "choose a number from 100 to 50000"),
            ("custodian.max_body_bytes", self.max_body_bytes, 65_536, most, "choose from 65536 to 16777216"),
        ] {
            if value < least || value > most {
                return Err((key, format!("is {value}"), hint));
            }
        }
        Ok(CheckedCustodian { listen, collected, organisations })
    }
}

/// What follows from the section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedCustodian {
    /// Where it listens.
    pub listen: SocketAddr,
    /// How consents are collected when they do not say.
    pub collected: Collected,
    /// Who is who.
    pub organisations: Organisations,
}
