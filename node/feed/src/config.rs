//! The feed's configuration: one TOML file, strict.
//!
//! A key that is not known is an error, not a wish; every error names the key and says what to do.
//! Relative paths are relative to the file. [`Config`] is the file as it stands, [`Checked`] what
//! follows from it. Nothing is opened here: `custos feed check` and the feed open what it names.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use custos_custodian::import::Organisations;
use custos_proof::ids::ParticipantId;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::spool::Limits;

/// A configuration with everything in it, explained; it is read by a test.
pub const EXAMPLE: &str = include_str!("../feed.example.toml");

/// The longest configuration file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The nodes to hand in to; the first that answers is used.
    pub nodes: Vec<String>,
    /// The signing key of the institution.
    pub key: PathBuf,
    /// Whose key that is; by default whom the registry names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub participant: Option<String>,
    /// A trust anchor or genesis: receipts are believed only if they verify from it.
    pub anchor: PathBuf,
    /// The vault's folder.
    pub vault: PathBuf,
    /// The vault's key; the spool is sealed with a key derived from it.
    pub vault_key: PathBuf,
    /// The address of the server that relative references belong to.
    pub base: String,
    /// Which stream of this institution the events are numbered in. No two feeds have the same.
    #[serde(default = "defaults::stream")]
    pub stream: u32,
    /// Which participant an organisation of the documents is.
    #[serde(default)]
    pub organisations: BTreeMap<String, String>,
    /// The spool.
    pub spool: SpoolSection,
    /// How events are packed and marked.
    #[serde(default)]
    pub batch: BatchSection,
    /// Whether like events are grouped.
    #[serde(default)]
    pub group: GroupSection,
    /// FHIR AuditEvents over HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpSection>,
    /// Audit messages over syslog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syslog: Option<SyslogSection>,
    /// Files and folders of NDJSON.
    #[serde(default)]
    pub tail: Vec<TailSection>,
    /// The status page.
    #[serde(default)]
    pub status: StatusSection,
    /// Logs.
    #[serde(default)]
    pub log: LogSection,
}

/// The spool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpoolSection {
    /// Its folder.
    pub dir: PathBuf,
    /// The most bytes of it.
    #[serde(default = "defaults::max_bytes")]
    pub max_bytes: u64,
    /// The most events that wait.
    #[serde(default = "defaults::max_events")]
    pub max_events: u64,
    /// The room that is left on the file system.
    #[serde(default = "defaults::reserve_bytes")]
    pub reserve_bytes: u64,
    /// When a new file is begun.
    #[serde(default = "defaults::segment_bytes")]
    pub segment_bytes: u64,
    /// For how long a document that is sent again is recognised.
    #[serde(default = "defaults::window_s")]
    pub duplicate_window_s: u64,
    /// How many documents are recognised.
    #[serde(default = "defaults::window_documents")]
    pub duplicate_window_documents: usize,
}

/// How events are packed and marked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchSection {
    /// The most events of one submission.
    pub max_items: usize,
    /// How long the first event waits for company.
    pub linger_ms: u64,
    /// An event that waited longer, or came later, is marked as spooled.
    pub late_after_s: u64,
}

/// Whether like events are grouped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GroupSection {
    /// Whether. Grouping keeps how many there were and the first and last instant, and gives up those between.
    pub enabled: bool,
    /// For how long like events are collected.
    pub window_s: u64,
}

/// FHIR AuditEvents over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSection {
    /// Address and port to listen on.
    pub listen: String,
    /// The path under which the service stands, such as `/fhir`.
    #[serde(default)]
    pub path: String,
    /// TLS; without it only a loopback address is listened on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSection>,
    /// Listen without TLS on an address that others can reach.
    #[serde(default)]
    pub plain: bool,
    /// The longest body.
    #[serde(default = "defaults::max_body_bytes")]
    pub max_body_bytes: usize,
    /// The most connections at a time.
    #[serde(default = "defaults::connections")]
    pub max_connections: usize,
}

/// Audit messages over syslog (RFC 5424), framed by RFC 5425.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyslogSection {
    /// Address and port to listen on.
    pub listen: String,
    /// TLS (RFC 5425).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSection>,
    /// The same over TCP without TLS.
    #[serde(default)]
    pub plain: bool,
    /// The longest message.
    #[serde(default = "defaults::max_message_bytes")]
    pub max_message_bytes: usize,
    /// The most connections at a time.
    #[serde(default = "defaults::connections")]
    pub max_connections: usize,
    /// How long a connection may be silent.
    #[serde(default = "defaults::idle_s")]
    pub idle_s: u64,
}

/// TLS of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSection {
    /// The certificate chain, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The authorities whose clients may connect, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
    /// Let clients without a certificate connect.
    #[serde(default)]
    pub anonymous_clients: bool,
}

/// A file or folder of NDJSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TailSection {
    /// Its name in the spool; it MUST stay the same.
    pub name: String,
    /// The file, or a folder whose files end in `suffix`.
    pub path: PathBuf,
    /// How the names of the files of a folder end.
    #[serde(default = "defaults::suffix")]
    pub suffix: String,
    /// The longest line.
    #[serde(default = "defaults::max_line_bytes")]
    pub max_line_bytes: usize,
    /// How often it is looked at.
    #[serde(default = "defaults::poll_ms")]
    pub poll_ms: u64,
}

/// The status page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StatusSection {
    /// Address and port; a loopback address.
    pub listen: String,
}

/// Logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSection {
    /// `text` or `json`.
    pub format: String,
    /// Such as `info`, or `info,custos_feed=debug`.
    pub level: String,
}

mod defaults {
    pub(super) const fn stream() -> u32 {
        1
    }
    pub(super) const fn max_bytes() -> u64 {
        8 << 30
    }
    pub(super) const fn max_events() -> u64 {
        2_000_000
    }
    pub(super) const fn reserve_bytes() -> u64 {
        256 << 20
    }
    pub(super) const fn segment_bytes() -> u64 {
        16 << 20
    }
    pub(super) const fn window_s() -> u64 {
        3600
    }
    pub(super) const fn window_documents() -> usize {
        65_536
    }
    pub(super) const fn max_body_bytes() -> usize {
        8 << 20
    }
    pub(super) const fn max_message_bytes() -> usize {
        256 << 10
    }
    pub(super) const fn max_line_bytes() -> usize {
        1 << 20
    }
    pub(super) const fn connections() -> usize {
        256
    }
    pub(super) const fn idle_s() -> u64 {
        3600
    }
    pub(super) const fn poll_ms() -> u64 {
        500
    }
    pub(super) fn suffix() -> String {
        ".ndjson".into()
    }
}

impl Default for BatchSection {
    fn default() -> Self {
        Self { max_items: 500, linger_ms: 250, late_after_s: 300 }
    }
}

impl Default for GroupSection {
    fn default() -> Self {
        Self { enabled: false, window_s: 900 }
    }
}

impl Default for StatusSection {
    fn default() -> Self {
        Self { listen: "127.0.0.1:7790".into() }
    }
}

impl Default for LogSection {
    fn default() -> Self {
        Self { format: "text".into(), level: "info".into() }
    }
}

/// A configuration that makes sense.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The file, with absolute paths where it named relative ones.
    pub config: Config,
    /// Whose key it is, if the file says so.
    pub participant: Option<ParticipantId>,
    /// The table of organisations.
    pub organisations: Organisations,
    /// Where AuditEvents are taken.
    pub http: Option<SocketAddr>,
    /// Where syslog is taken.
    pub syslog: Option<SocketAddr>,
    /// Where the status is shown.
    pub status: SocketAddr,
    /// The bounds of the spool.
    pub limits: Limits,
}

/// Why a configuration is not used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{}: {cause}; name it with --config", file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// Why.
        cause: String,
    },
    /// It is no TOML of this form.
    #[error("{}: {cause}; see the example in `custos feed --help`", file.display())]
    Form {
        /// Which file.
        file: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// A key has a value that makes no sense.
    #[error("{}: `{key}` {what}; {hint}", file.display())]
    Value {
        /// Which file.
        file: PathBuf,
        /// Which key.
        key: String,
        /// What is wrong.
        what: String,
        /// What to do.
        hint: String,
    },
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn read(path: &Path) -> Result<Checked, ConfigError> {
        use std::io::Read as _;
        let unreadable =
            |error: std::io::Error| ConfigError::Unreadable { file: path.into(), cause: error.to_string() };
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(unreadable)?;
        Self::parse(&text, path)
    }

    /// Checks the text of a file.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn parse(text: &str, path: &Path) -> Result<Checked, ConfigError> {
        let mut config: Config = toml::from_str(text)
            .map_err(|error| ConfigError::Form { file: path.into(), cause: error.to_string() })?;
        config.anchor_paths(path.parent().unwrap_or(Path::new("")));
        config.check(path)
    }

    fn anchor_paths(&mut self, folder: &Path) {
        let tls = self.http.as_mut().and_then(|http| http.tls.as_mut());
        let tls = tls.into_iter().chain(self.syslog.as_mut().and_then(|syslog| syslog.tls.as_mut()));
        let of_tls = tls.flat_map(|tls| [Some(&mut tls.cert), Some(&mut tls.key), tls.client_ca.as_mut()]);
        let own =
            [&mut self.key, &mut self.anchor, &mut self.vault, &mut self.vault_key, &mut self.spool.dir];
        let tails = self.tail.iter_mut().map(|tail| &mut tail.path);
        for path in of_tls.flatten().chain(own).chain(tails) {
            *path = folder.join(&*path);
        }
    }

    fn check(self, path: &Path) -> Result<Checked, ConfigError> {
        let refuse = |key: &str, what: String, hint: &str| ConfigError::Value {
            file: path.into(),
            key: key.into(),
            what,
            hint: hint.into(),
        };
        if self.nodes.is_empty() || self.nodes.len() > 64 {
            return Err(refuse(
                "nodes",
                "names no node, or more than 64".into(),
                "write [\"http://127.0.0.1:7700\"]",
            ));
        }
        for node in &self.nodes {
            if let Err(error) = custos_api::client::Client::new(node) {
                return Err(refuse("nodes", format!("holds {node:?}"), &error.to_string()));
            }
        }
        if !(self.base.starts_with("http://")
            || self.base.starts_with("https://")
            || self.base.starts_with("urn:"))
        {
            return Err(refuse(
                "base",
                format!("is {:?}", self.base),
                "write the absolute address of the FHIR server, such as https://fhir.hospital.example/fhir",
            ));
        }
        const NAME: &str = "participants are named like hospital-a.example (a-z, 0-9, - and .)";
        let named = |key: &str, text: &str| {
            text.parse::<ParticipantId>().map_err(|error| refuse(key, format!("is {text:?}: {error}"), NAME))
        };
        let participant = self.participant.as_deref().map(|id| named("participant", id)).transpose()?;
        let mut organisations = Organisations::default();
        for (name, id) in &self.organisations {
            organisations.add(name, named(&format!("organisations.{name}"), id)?);
        }
        let address = |key: &str, text: &str| {
            text.parse::<SocketAddr>().map_err(|_| {
                refuse(key, format!("is {text:?}"), "write address and port, for example 127.0.0.1:7780")
            })
        };
        let http = self.http.as_ref().map(|http| address("http.listen", &http.listen)).transpose()?;
        let syslog =
            self.syslog.as_ref().map(|syslog| address("syslog.listen", &syslog.listen)).transpose()?;
        let status = address("status.listen", &self.status.listen)?;
        if !status.ip().is_loopback() {
            return Err(refuse(
                "status.listen",
                format!("is {status}"),
                "the page has no login: keep it on 127.0.0.1 and put your own proxy before it",
            ));
        }
        if let (Some(section), Some(address)) = (&self.http, http) {
            if section.tls.is_none() && !section.plain && !address.ip().is_loopback() {
                return Err(refuse(
                    "http.listen",
                    format!("is {address}, without TLS"),
                    "add [http.tls], listen on 127.0.0.1, or write plain = true if the network protects it",
                ));
            }
            let is_path = section.path.is_empty()
                || (section.path.starts_with('/')
                    && !section.path.ends_with('/')
                    && section.path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-._~".contains(&b)));
            if !is_path {
                return Err(refuse(
                    "http.path",
                    format!("is {:?}", section.path),
                    "write a path such as /fhir",
                ));
            }
        }
        if let Some(section) = &self.syslog
            && section.tls.is_some() == section.plain
        {
            return Err(refuse(
                "syslog",
                "has neither or both of [syslog.tls] and plain = true".into(),
                "RFC 5425 is TLS; plain = true takes the same frames over TCP",
            ));
        }
        let tls = [("http.tls", self.http.as_ref().and_then(|http| http.tls.as_ref()))];
        let tls = tls
            .into_iter()
            .chain([("syslog.tls", self.syslog.as_ref().and_then(|syslog| syslog.tls.as_ref()))]);
        for (key, section) in tls {
            if section.is_some_and(|tls| tls.client_ca.is_some() == tls.anonymous_clients) {
                return Err(refuse(
                    key,
                    "has neither or both of client_ca and anonymous_clients = true".into(),
                    "name the authority of the clients' certificates; ATNA is mutual TLS",
                ));
            }
        }
        let mut names: Vec<&str> = self.tail.iter().map(|tail| tail.name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) || names.iter().any(|name| name.is_empty()) {
            return Err(refuse(
                "tail.name",
                "is empty or used twice".into(),
                "give every [[tail]] its own name",
            ));
        }
        if self.http.is_none() && self.syslog.is_none() && self.tail.is_empty() {
            return Err(refuse(
                "http",
                "is missing, and so are syslog and tail".into(),
                "a feed needs at least one of [http], [syslog] and [[tail]]",
            ));
        }
        if !["text", "json"].contains(&self.log.format.as_str()) {
            return Err(refuse("log.format", format!("is {:?}", self.log.format), "write text or json"));
        }
        let http_body = self.http.as_ref().map_or(1024, |http| http.max_body_bytes as u64);
        let message = self.syslog.as_ref().map_or(2048, |syslog| syslog.max_message_bytes as u64);
        let connections = |count: Option<usize>| count.map_or(1, |count| count as u64);
        let mut bounds = vec![
            ("stream", u64::from(self.stream), 1, u64::from(u32::MAX)),
            ("batch.max_items", self.batch.max_items as u64, 1, custos_proof::submission::MAX_ITEMS as u64),
            ("batch.linger_ms", self.batch.linger_ms, 0, 60_000),
            ("batch.late_after_s", self.batch.late_after_s, 1, 86_400),
            ("group.window_s", self.group.window_s, 1, 3_600),
            ("spool.max_bytes", self.spool.max_bytes, 1 << 20, 1 << 44),
            ("spool.max_events", self.spool.max_events, 1, 50_000_000),
            ("spool.reserve_bytes", self.spool.reserve_bytes, 0, 1 << 40),
            ("spool.segment_bytes", self.spool.segment_bytes, 64 << 10, 1 << 30),
            ("spool.duplicate_window_s", self.spool.duplicate_window_s, 0, 7 * 86_400),
            ("spool.duplicate_window_documents", self.spool.duplicate_window_documents as u64, 0, 131_072),
            ("http.max_body_bytes", http_body, 1024, 16 << 20),
            (
                "http.max_connections",
                connections(self.http.as_ref().map(|http| http.max_connections)),
                1,
                65_536,
            ),
            // RFC 5425, section 4.3.1: a receiver MUST take 2048 bytes.
            ("syslog.max_message_bytes", message, 2048, 4 << 20),
            (
                "syslog.max_connections",
                connections(self.syslog.as_ref().map(|s| s.max_connections)),
                1,
                65_536,
            ),
        ];
        for tail in &self.tail {
            bounds.push(("tail.max_line_bytes", tail.max_line_bytes as u64, 1024, 16 << 20));
            bounds.push(("tail.poll_ms", tail.poll_ms, 10, 600_000));
        }
        for (key, value, least, most) in bounds {
            if value < least || value > most {
                return Err(refuse(
                    key,
                    format!("is {value}"),
                    &format!("choose a number from {least} to {most}"),
                ));
            }
        }
        let limits = Limits {
            max_bytes: self.spool.max_bytes,
            max_events: self.spool.max_events,
            reserve_bytes: self.spool.reserve_bytes,
            segment_bytes: self.spool.segment_bytes,
            window_ms: self.spool.duplicate_window_s * 1000,
            window_documents: self.spool.duplicate_window_documents,
        };
        Ok(Checked { config: self, participant, organisations, http, syslog, status, limits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Checked, ConfigError> {
        Config::parse(text, Path::new("/etc/custos/feed.toml"))
    }

    #[test]
    fn the_example_is_a_configuration_and_names_every_key() {
        let checked = parse(EXAMPLE).unwrap();
        assert_eq!(checked.config.spool.dir, Path::new("/etc/custos/spool"));
        assert_eq!(checked.config.tail[0].path, Path::new("/var/log/emr/audit.ndjson"));
        let written = toml::to_string(&checked.config).unwrap();
        for key in written.lines().filter_map(|line| line.split_once(" = ")).map(|(key, _)| key.trim()) {
            assert!(EXAMPLE.contains(key), "the example does not show {key}");
        }
        assert_eq!(parse(&written).unwrap().config, checked.config);
    }

    #[test]
    fn every_error_names_the_key_and_says_what_to_do() {
        for (from, to, key, hint) in [
            ("nodes = [", "nodse = [", "nodse", "example"),
            ("nodes = [\"http://127.0.0.1:7700\"]", "nodes = []", "`nodes`", "write"),
            ("\"http://127.0.0.1:7700\"", "\"https://a.example\"", "`nodes`", "http://"),
            ("base = \"https://", "base = \"fhir.", "`base`", "absolute"),
            ("stream = 1", "stream = 0", "`stream`", "from 1"),
            ("\"lab.example\"", "\"Lab Example\"", "`organisations.Organization/17`", "a-z"),
            ("listen = \"127.0.0.1:7790\"", "listen = \"0.0.0.0:7790\"", "`status.listen`", "no login"),
            ("listen = \"127.0.0.1:7780\"", "listen = \"0.0.0.0:7780\"", "`http.listen`", "[http.tls]"),
            ("client_ca = \"tls/clients.pem\"", "", "`syslog.tls`", "mutual"),
            ("name = \"emr\"", "name = \"\"", "`tail.name`", "own name"),
            ("max_items = 500", "max_items = 5000", "`batch.max_items`", "1000"),
            ("format = \"text\"", "format = \"xml\"", "`log.format`", "json"),
        ] {
            let text = EXAMPLE.replacen(from, to, 1);
            assert_ne!(text, EXAMPLE, "{from}");
            let error = parse(&text).unwrap_err().to_string();
            assert!(
                error.contains(key) && error.contains(hint) && error.contains("feed.toml"),
                "{to}: {error}"
            );
        }
    }
}
