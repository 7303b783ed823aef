//! A feed as a whole: what it opens, which tasks run, and how they stop.
//!
//! ```text
//!   http, syslog, tail  ->  intake  ->  spooler (thread)  ->  sealer (thread)  ->  nodes
//!                             ^                                  |
//!                           head  <-----------  nodes          vault
//! ```
//!
//! It stops in this order: inputs take nothing more and answer what they took; the sealer leaves
//! whatever it does, for it can be continued; the spool is closed last.

use std::sync::Arc;

use custos_custodian::vault::{VaultError, VaultKey};
use custos_proof::anchor::TrustAnchor;
use custos_proof::keys::Signer;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock;
use crate::config::Checked;
use crate::document::Reader;
use crate::input::{http, syslog, tail};
use crate::intake::{Counters, Head, Intake};
use crate::ledger::{self, Ledger};
use crate::sealer::{Options, Progress, Sealer};
use crate::serve::{self, Listener, stopped};
use crate::spool::segment::SpoolKey;
use crate::spool::{Spool, SpoolError};
use crate::spooler::Spooler;
use crate::status::{self, Sources};
use crate::tls::{self, TlsError};

/// For what the spool's key is derived from the vault's.
const SPOOL_KEY: &str = "custos/feed/1/spool";

/// Why a feed does not run, or does not go on.
#[derive(Debug, Error)]
pub enum FeedError {
    /// The spool.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The vault's key.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An address cannot be listened on.
    #[error("`{key}`: cannot listen on {address}: {cause}")]
    Listen {
        /// Which key of the configuration.
        key: &'static str,
        /// Where.
        address: std::net::SocketAddr,
        /// Why.
        cause: std::io::Error,
    },
    /// A node's address.
    #[error(transparent)]
    Node(#[from] custos_api::client::ClientError),
    /// The spool takes nothing until it is opened anew.
    #[error("{0}")]
    Poisoned(String),
}

/// Opens everything that the configuration names, as `custos feed check` does, and lets go of it.
///
/// # Errors
/// [`FeedError`].
pub fn check(checked: &Checked) -> Result<Vec<String>, FeedError> {
    let config = &checked.config;
    let mut said = Vec::new();
    let sections = [
        config.http.as_ref().and_then(|h| h.tls.as_ref()),
        config.syslog.as_ref().and_then(|s| s.tls.as_ref()),
    ];
    for section in sections.into_iter().flatten() {
        tls::acceptor(section)?;
        said.push(format!("{}: certificate and key fit", section.cert.display()));
    }
    if config.vault_key.exists() {
        let key = VaultKey::load(&config.vault_key)?;
        if config.spool.dir.exists() {
            match Spool::open(&config.spool.dir, SpoolKey::new(key.derive(SPOOL_KEY)), checked.limits) {
                Ok(spool) => said.push(format!("spool: {} events wait", spool.state().waiting)),
                Err(error @ SpoolError::Locked { .. }) => {
                    said.push(format!("spool: {error}; a feed is running"))
                }
                Err(error) => return Err(error.into()),
            }
        }
    } else {
        said.push(format!("{} will be made; back it up, apart from the vault", config.vault_key.display()));
    }
    Ok(said)
}

/// A feed that is open and listens.
pub struct Feed {
    checked: Checked,
    signer: Arc<dyn Signer>,
    anchor: TrustAnchor,
    vault_key: VaultKey,
    spool: Spool,
    http: Option<Listener>,
    syslog: Option<Listener>,
    status: TcpListener,
}

impl Feed {
    /// Opens the spool and listens. Nothing is accepted yet.
    ///
    /// # Errors
    /// [`FeedError`].
    pub async fn open(
        checked: Checked,
        signer: Arc<dyn Signer>,
        anchor: TrustAnchor,
    ) -> Result<Self, FeedError> {
        let config = &checked.config;
        let vault_key = VaultKey::load_or_create(&config.vault_key)?;
        let spool_key = SpoolKey::new(vault_key.derive(SPOOL_KEY));
        let spool = Spool::open(&config.spool.dir, spool_key, checked.limits)?;
        let http = match (&config.http, checked.http) {
            (Some(section), Some(address)) => Some(Listener {
                socket: listen("http.listen", address).await?,
                tls: section.tls.as_ref().map(tls::acceptor).transpose()?,
                max_connections: section.max_connections,
                input: "http",
            }),
            _ => None,
        };
        let syslog = match (&config.syslog, checked.syslog) {
            (Some(section), Some(address)) => Some(Listener {
                socket: listen("syslog.listen", address).await?,
                tls: section.tls.as_ref().map(tls::acceptor).transpose()?,
                max_connections: section.max_connections,
                input: "syslog",
            }),
            _ => None,
        };
        let status = listen("status.listen", checked.status).await?;
        Ok(Self { checked, signer, anchor, vault_key, spool, http, syslog, status })
    }

    /// Where it listens, by name.
    #[must_use]
    pub fn addresses(&self) -> Vec<(&'static str, std::net::SocketAddr)> {
        let of = |name, socket: &TcpListener| socket.local_addr().ok().map(|address| (name, address));
        let inputs = [("http", &self.http), ("syslog", &self.syslog)];
        let inputs = inputs.into_iter().filter_map(|(name, listener)| of(name, &listener.as_ref()?.socket));
        inputs.chain(of("status", &self.status)).collect()
    }

    /// Runs until `stop` becomes true.
    ///
    /// # Errors
    /// [`FeedError::Poisoned`]: start it again.
    pub async fn run(self, stop: watch::Sender<bool>) -> Result<(), FeedError> {
        let Feed { checked, signer, anchor, vault_key, spool, http, syslog, status } = self;
        let config = checked.config;
        let stopping = stop.subscribe();
        let begun = Head { height: spool.state().head, ..Head::default() };
        let (head_seen, head) = watch::channel(begun);
        let (progressed, progress) = watch::channel(Progress::default());
        let (troubled, trouble) = watch::channel(None);
        let counters = Arc::new(Counters::default());
        let ledger = Ledger::new(&config.nodes, signer, anchor, &config.spool.dir, troubled)?;
        let (spooler, writer) = Spooler::start(spool);
        let intake =
            Intake::new(Reader::new(&config.base), spooler.clone(), head.clone(), Arc::clone(&counters));

        let mut inputs = JoinSet::new();
        if let (Some(listener), Some(section)) = (http, &config.http) {
            let router = http::router(intake.clone(), &section.path, section.max_body_bytes);
            let stopping = stopping.clone();
            let work = {
                let stopping = stopping.clone();
                move |stream, _| serve::http(router.clone(), stream, stopping.clone())
            };
            inputs.spawn(listener.run(Arc::clone(&counters), stopping, work));
        }
        if let (Some(listener), Some(section)) = (syslog, &config.syslog) {
            let limits = syslog::Limits {
                max_message: section.max_message_bytes,
                idle: std::time::Duration::from_secs(section.idle_s.max(1)),
            };
            let (intake, stopping) = (intake.clone(), stopping.clone());
            let work = {
                let stopping = stopping.clone();
                move |stream, peer| syslog::connection(intake.clone(), stream, peer, limits, stopping.clone())
            };
            inputs.spawn(listener.run(Arc::clone(&counters), stopping, work));
        }
        for section in &config.tail {
            inputs.spawn(tail::follow(intake.clone(), section.clone(), stopping.clone()));
        }
        drop(intake);

        let mut tasks = JoinSet::new();
        tasks.spawn(ledger::watch_head(config.nodes.clone(), head_seen, stopping.clone()));
        let sources = Sources {
            holdings: spooler.holdings(),
            head: head.clone(),
            progress,
            trouble,
            counters: Arc::clone(&counters),
            stream: config.stream,
            started: clock::now(),
        };
        let router = status::router(sources);
        let listener = Listener { socket: status, tls: None, max_connections: 32, input: "status" };
        let work = {
            let stopping = stopping.clone();
            move |stream, _| serve::http(router.clone(), stream, stopping.clone())
        };
        tasks.spawn(listener.run(Arc::clone(&counters), stopping.clone(), work));

        let options = Options {
            participant: checked.participant,
            organisations: checked.organisations,
            vault: config.vault.clone(),
            vault_key,
            stream: config.stream,
            max_items: config.batch.max_items,
            linger_ms: config.batch.linger_ms,
            late_after_ms: config.batch.late_after_s * 1000,
            group_ms: config.group.enabled.then_some(config.group.window_s * 1000),
        };
        let sealer =
            Sealer::new(options, spooler.clone(), ledger, counters, head, progressed, stopping.clone());
        let sealing = std::thread::spawn(move || {
            match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime.block_on(sealer.run()),
                Err(error) => tracing::error!(%error, "no thread for the sealer"),
            }
        });

        let mut holdings = spooler.holdings();
        let poisoned = tokio::select! {
            () = stopped(stopping) => None,
            found = holdings.wait_for(|holdings| holdings.poisoned.is_some()) => {
                found.ok().and_then(|holdings| holdings.poisoned.clone())
            }
        };
        stop.send_replace(true);
        while inputs.join_next().await.is_some() {}
        while tasks.join_next().await.is_some() {}
        drop((spooler, holdings));
        let joined =
            tokio::task::spawn_blocking(move || (sealing.join().is_ok(), writer.join().is_ok())).await;
        if !matches!(joined, Ok((true, true))) {
            tracing::error!("a thread of the feed ended early; what it wrote is kept");
        }
        poisoned.map_or(Ok(()), |why| Err(FeedError::Poisoned(why)))
    }
}

async fn listen(key: &'static str, address: std::net::SocketAddr) -> Result<TcpListener, FeedError> {
    TcpListener::bind(address).await.map_err(|cause| FeedError::Listen { key, address, cause })
}
