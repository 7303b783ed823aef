//! The custodian's side of a node: a vault, and the FHIR endpoint that fills and reads it.
//!
//! Only a node whose configuration has the section `[custodian]` has it. It listens on an address of
//! its own, on this machine alone, and answers nobody without a token or a signature of the custodian:
//! what it shows is what the ledger keeps sealed.
//!
//! ```text
//! POST /fhir/AuditEvent --> mapped --> desk: vault, ledger --> 201, Location
//! GET  /fhir/AuditEvent --> catalogue --> vault --> R4
//! ```
//!
//! One process holds a vault at a time: while the node runs, `custos import` and the other commands
//! that open this vault have to go through this endpoint.

mod bundle;
mod capability;
pub mod config;
mod desk;
mod http;

use std::net::SocketAddr;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use custos_custodian::fhir::catalogue::Catalogue;
use custos_custodian::fhir::{self, Release};
use custos_custodian::import::Settings;
use custos_custodian::vault::{Scope, Vault, VaultError, VaultKey};
use custos_proof::hash::{Digest, sha256};
use custos_proof::ids::ParticipantId;
use custos_proof::keys::{KeyPurpose, Signer as _, key_id};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::chain::Chain;
use crate::config::ApiConfig;
use crate::intake::Intake;
use crate::keys::{FileSigner, KeyFileError};
use crate::ledger::key_entry;
use crate::metrics::Metrics;
use crate::readers::Gate;

use config::{CheckedCustodian, CustodianSection};
use desk::{Desk, Job, Kept};

/// The shortest token that is taken, in bytes.
const MIN_TOKEN: usize = 32;
/// The longest token file, in bytes.
const MAX_TOKEN_FILE: u64 = 4096;
/// The most bytes of bodies that are read and mapped at a time.
const MAX_BODIES: usize = 32 * 1024 * 1024;
/// In what measure they are counted.
const UNIT: usize = 1024;

/// Why the endpoint does not start.
#[derive(Debug, Error)]
pub enum CustodianError {
    /// The signing key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The signing key is nobody's.
    #[error(
        "`custodian.key`: key {0} is not a live signing key of the registry; register it, or name another"
    )]
    NotRegistered(String),
    /// The signing key is another participant's than the node's.
    #[error("`custodian.key` is a key of {found}, and this is the node of {expected}")]
    OtherParticipant {
        /// Whose it is.
        found: ParticipantId,
        /// Whose node this is.
        expected: ParticipantId,
    },
    /// The vault.
    #[error("`custodian.vault`: {0}")]
    Vault(#[from] VaultError),
    /// The token.
    #[error("`custodian.token_file` {path}: {why}")]
    Token {
        /// Which file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The address is taken, or the store cannot be read.
    #[error("{what}: {why}")]
    System {
        /// What was tried.
        what: String,
        /// What came of it.
        why: String,
    },
}

/// The endpoint, running.
#[derive(Debug)]
pub struct Custodian {
    address: SocketAddr,
    server: JoinHandle<()>,
    desk: JoinHandle<()>,
}

/// What handlers work with.
pub(crate) struct Surface {
    chain: Arc<Chain>,
    metrics: Metrics,
    kept: Arc<RwLock<Kept>>,
    jobs: mpsc::Sender<Job>,
    gate: Gate,
    token: Option<Digest>,
    custodian: ParticipantId,
    /// Ends in `/fhir`, without a slash behind it.
    address: String,
    base: String,
    collected: custos_proof::kinds::rule::Collected,
    max_body: usize,
    bodies: Semaphore,
    read_timeout: Duration,
    started: custos_proof::ids::TimeMs,
}

/// The endpoint, with everything open and nothing running: what can fail has been tried.
#[derive(Debug)]
pub struct Ready {
    section: CustodianSection,
    checked: CheckedCustodian,
    chain: Arc<Chain>,
    opened: Opened,
    listener: TcpListener,
    address: SocketAddr,
}

impl Ready {
    /// Opens key, token, vault and address.
    ///
    /// # Errors
    /// [`CustodianError`].
    pub async fn open(
        section: CustodianSection,
        checked: CheckedCustodian,
        chain: Arc<Chain>,
        participant: Option<ParticipantId>,
    ) -> Result<Self, CustodianError> {
        let opened = {
            let (chain, section) = (Arc::clone(&chain), section.clone());
            tokio::task::spawn_blocking(move || open(&section, &chain, participant.as_ref())).await.map_err(
                |panic| CustodianError::System { what: "opening the vault".into(), why: panic.to_string() },
            )??
        };
        let system = |why: std::io::Error| CustodianError::System {
            what: format!("listening on {} (`custodian.listen`)", checked.listen),
            why: why.to_string(),
        };
        let listener = TcpListener::bind(checked.listen).await.map_err(system)?;
        let address = listener.local_addr().map_err(system)?;
        Ok(Self { section, checked, chain, opened, listener, address })
    }

    /// Starts to listen, until `stop` says so.
    #[must_use]
    pub fn run(
        self,
        intake: Intake,
        metrics: Metrics,
        api: ApiConfig,
        stop: watch::Receiver<bool>,
    ) -> Custodian {
        let Self { section, checked, chain, opened, listener, address } = self;
        let Opened { signer, custodian, kept, token } = opened;
        let kept = Arc::new(RwLock::new(kept));
        let (jobs, queue) = mpsc::channel(desk::QUEUE);
        let settings = Settings { organisations: checked.organisations, ..Settings::history(0) };
        let desk = Desk {
            chain: Arc::clone(&chain),
            intake,
            kept: Arc::clone(&kept),
            signer: Arc::new(signer),
            custodian: custodian.clone(),
            settings,
            live_within_ms: section.live_within_ms,
            patience: Duration::from_millis(section.patience_ms),
        };
        let mut names = section.names;
        names.extend([address.to_string(), format!("localhost:{}", address.port())]);
        let public = section.address.unwrap_or_else(|| format!("http://{address}/fhir"));
        let surface = Surface {
            chain,
            metrics,
            kept,
            jobs,
            gate: Gate::new(api.signature_window_ms, names),
            token,
            base: section.source.unwrap_or_else(|| format!("https://{custodian}/fhir")),
            custodian,
            address: public.trim_end_matches('/').to_owned(),
            collected: checked.collected,
            max_body: usize::try_from(section.max_body_bytes).unwrap_or(usize::MAX),
            bodies: Semaphore::new(MAX_BODIES / UNIT),
            read_timeout: Duration::from_millis(api.read_timeout_ms),
            started: crate::chain::clock(),
        };
        info!(fhir = %address, custodian = %surface.custodian, "the custodian's FHIR endpoint listens");
        let router = http::router(Arc::new(surface));
        let desk = tokio::spawn(desk.run(queue, stop.clone()));
        let server = tokio::spawn(async move { crate::http::serve(listener, router, &api, stop).await });
        Custodian { address, server, desk }
    }
}

impl Custodian {
    /// Where it listens: with port 0 in the configuration, the real port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends once the last answers are out. What was sealed and not recorded waits in the vault.
    pub async fn stop(self) {
        let _ = self.server.await;
        self.desk.abort();
        let _ = self.desk.await;
    }
}

impl Surface {
    fn read<T>(&self, read: impl FnOnce(&Kept) -> T) -> T {
        read(&self.kept.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn options(&self) -> fhir::Options {
        fhir::Options { base: self.base.clone(), now: self.chain.now(), collected: self.collected }
    }
}

#[derive(Debug)]
struct Opened {
    signer: FileSigner,
    custodian: ParticipantId,
    kept: Kept,
    token: Option<Digest>,
}

/// Key, token and vault.
fn open(
    section: &CustodianSection,
    chain: &Chain,
    participant: Option<&ParticipantId>,
) -> Result<Opened, CustodianError> {
    let signer = FileSigner::read(&section.key, KeyPurpose::Sign)?;
    let system = |why: String| CustodianError::System { what: "reading the registry".into(), why };
    let snapshot = chain.store().snapshot().map_err(|error| system(error.to_string()))?;
    let id = key_id(&signer.public_key());
    let entry = key_entry(&snapshot, &id).map_err(|error| system(error.to_string()))?;
    let live = entry.filter(|entry| entry.purpose == KeyPurpose::Sign && entry.revoked.is_none());
    // A key of a subject speaks in its trail alone: no participant's.
    let custodian = live
        .and_then(|entry| entry.owner.as_participant().cloned())
        .ok_or_else(|| CustodianError::NotRegistered(id.to_string()))?;
    if let Some(expected) = participant.filter(|expected| **expected != custodian) {
        return Err(CustodianError::OtherParticipant { found: custodian, expected: expected.clone() });
    }
    drop(snapshot);
    let token = section.token_file.as_deref().map(read_token).transpose()?;
    if !section.vault_key.exists() {
        warn!(key = %section.vault_key.display(), "a new vault key is made: back it up, apart from the vault");
    }
    let key = VaultKey::load_or_create(&section.vault_key)?;
    let scope = Scope { chain: chain.store().head().chain, custodian: custodian.clone() };
    let vault = Vault::open_or_create(&section.vault, &key, &scope)?;
    let catalogue = Catalogue::of(&vault)?;
    Ok(Opened { signer, custodian, kept: Kept { vault, catalogue }, token })
}

/// A token's hash. The file is its owner's alone, as a key's is.
fn read_token(path: &std::path::Path) -> Result<Digest, CustodianError> {
    use std::os::unix::fs::PermissionsExt as _;
    let refuse = |why: String| CustodianError::Token { path: path.to_owned(), why };
    let metadata = std::fs::metadata(path).map_err(|error| refuse(error.to_string()))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(refuse("others may read it; chmod 600 it".into()));
    }
    if metadata.len() > MAX_TOKEN_FILE {
        return Err(refuse(format!("longer than {MAX_TOKEN_FILE} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
    let token = text.trim();
    let is_token = |c: u8| c.is_ascii_alphanumeric() || b"-._~+/=".contains(&c);
    if token.len() < MIN_TOKEN || !token.bytes().all(is_token) {
        return Err(refuse(format!(
            "a token has at least {MIN_TOKEN} letters and digits; make one with `openssl rand -hex 32`"
        )));
    }
    Ok(sha256(token.as_bytes()))
}

/// The release that a media type states: `application/fhir+json; fhirVersion=5.0`.
fn stated_release(media_type: &str) -> Result<Option<Release>, String> {
    let parameter = media_type.split(';').skip(1).find_map(|part| {
        let (name, value) = part.trim().split_once('=')?;
        name.eq_ignore_ascii_case("fhirVersion").then(|| value.trim_matches('"').to_owned())
    });
    match parameter {
        None => Ok(None),
        Some(text) => Release::from_parameter(&text).map(Some).ok_or(text),
    }
}
