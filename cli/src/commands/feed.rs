//! `custos feed`: take the audit events of systems that cannot be changed, and put them on the ledger.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use custos_custodian::draft::SubjectKey;
use custos_custodian::vault::{Vault, VaultKey};
use custos_feed::config::{Checked, Config, EXAMPLE};
use custos_feed::feed::{self, Feed as Running};
use custos_node::config::{LogConfig, LogFormat};
use custos_node::telemetry;
use custos_proof::anchor::TrustAnchor;
use custos_proof::keys::{KeyPurpose, Signer};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::commands::verify::read_anchor;
use crate::exit::{Exit, Failed, Outcome, While as _};
use crate::keyfile;
use crate::screen::Screen;

/// Take audit events from other systems and record them, until SIGTERM or Ctrl-C
///
/// FHIR AuditEvents over HTTP (IHE ITI-20), DICOM audit messages over syslog with TLS (RFC 5425), and
/// files of NDJSON. What is taken is on disk before the sender is answered; it is sealed, numbered
/// without gaps, and recorded once, whatever is killed, full or down in between. The status page says
/// how old the ledger's state is, what waits, and what was refused. Logs go to standard error.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true,
    after_help = "The configuration is strict: a key that is not known is an error. `custos feed example` prints one with \
    everything in it.\n\nExample:\n  \
    custos feed example > feed.toml\n  \
    custos feed check --config feed.toml\n  \
    custos feed --config feed.toml"
)]
pub(crate) struct Feed {
    #[command(subcommand)]
    action: Option<Action>,
    /// The feed's configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Action {
    Check(Check),
    Code(Code),
    Example(Example),
}

/// Check a feed's configuration, its keys, certificates and spool, without running it
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  custos feed check --config feed.toml")]
pub(crate) struct Check {
    /// The feed's configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Print the code of a patient whose events the feed recorded; whoever has it can read that patient's trails
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    custos feed code --config feed.toml --patient https://fhir.hospital.example/fhir/Patient/17\n  \
    custos feed code --config feed.toml --patient 'urn:oid:1.2.3.4|MRN-17'")]
pub(crate) struct Code {
    /// The feed's configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The patient's address or identifier (system|value)
    #[arg(long, value_name = "NAME")]
    patient: String,
}

/// Print a configuration with everything in it, explained
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  custos feed example > feed.toml")]
pub(crate) struct Example {}

impl Feed {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        match (&self.action, &self.config) {
            (Some(Action::Check(command)), _) => command.run(screen),
            (Some(Action::Code(command)), _) => command.run(screen),
            (Some(Action::Example(_)), _) => {
                screen.result(|_| EXAMPLE.to_owned(), || json!({ "example": EXAMPLE }));
                Ok(Exit::Done)
            }
            (None, Some(config)) => run(config, screen),
            (None, None) => Err(Failed::unable("give --config FILE").hint("custos feed example prints one")),
        }
    }
}

impl Check {
    fn run(&self, screen: &Screen) -> Outcome {
        let (checked, signer, anchor) = open(&self.config)?;
        let mut said = feed::check(&checked).map_err(Failed::unable)?;
        said.push(format!("key {}, chain {}", signer.public_key(), anchor.chain));
        screen.result(
            |paint| format!("{}\n{}\n", paint.good("The configuration can be used."), said.join("\n")),
            || json!({ "outcome": "done", "config": self.config.display().to_string(), "found": said }),
        );
        Ok(Exit::Done)
    }
}

impl Code {
    fn run(&self, screen: &Screen) -> Outcome {
        let config = Config::read(&self.config).map_err(Failed::unable)?.config;
        let key = VaultKey::load(&config.vault_key).could_not(|| "read the vault's key")?;
        let vault = Vault::open(&config.vault, &key).map_err(|error| {
            Failed::unable(format!("could not open the vault: {error}"))
                .hint("a feed lets go of it when nothing was to be recorded for some seconds")
        })?;
        let name = match self.patient.split_once('|') {
            Some((system, value)) => SubjectKey::identifier(system, value),
            None => SubjectKey::address(&self.patient),
        };
        let found = vault.find(&[name]).could_not(|| "find the patient")?;
        let subject = found.ok_or_else(|| Failed::unable("the vault knows no patient of this name"))?;
        let code = vault.code(&subject).could_not(|| "read the code")?.to_string();
        screen.result(|_| format!("{code}\n"), || json!({ "code": code }));
        Ok(Exit::Done)
    }
}

/// The configuration, and the files that it names.
fn open(path: &Path) -> Outcome<(Checked, Arc<dyn Signer>, TrustAnchor)> {
    let checked = Config::read(path).map_err(Failed::unable)?;
    let signer = keyfile::read(&checked.config.key, KeyPurpose::Sign)?;
    let anchor = read_anchor(&checked.config.anchor)?;
    Ok((checked, Arc::new(signer), anchor))
}

fn run(path: &Path, screen: &Screen) -> Outcome {
    let (checked, signer, anchor) = open(path)?;
    let format = if checked.config.log.format == "json" { LogFormat::Json } else { LogFormat::Text };
    let log = LogConfig { format, level: checked.config.log.level.clone() };
    telemetry::start(&log).map_err(Failed::unable)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().could_not(|| "start")?;
    let done = runtime.block_on(async {
        let feed = Running::open(checked, signer, anchor).await.map_err(Failed::unable)?;
        for (name, address) in feed.addresses() {
            screen.talk(format!("{name:8} {address}"));
        }
        let (stop, _) = watch::channel(false);
        let asked = stop.clone();
        let mut terminated = signal(SignalKind::terminate()).could_not(|| "listen for signals")?;
        tokio::spawn(async move {
            tokio::select! {
                _ = terminated.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            asked.send_replace(true);
        });
        feed.run(stop).await.map_err(Failed::unable)
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    done.map(|()| Exit::Done)
}
