//! The node's configuration: one TOML file, strict.
//!
//! A key that is not known is an error, not a wish; every error names the key and says what to do.
//! Relative paths are relative to the file. What is left out has a default that suits a validator
//! with a few hundred megabytes of memory.
//!
//! [`Config`] is the file as it stands; [`Checked`] is what follows from it, with every address and
//! name parsed. Nothing is opened here: key files and the genesis are read by the node.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use custos_consensus::PeerConfig;
use custos_proof::ids::ParticipantId;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::custodian::config::{CheckedCustodian, CustodianSection};

/// The longest configuration file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// The least time that testimony is kept: a node that was away for less finds every block with its peers.
const MIN_RETENTION_DAYS: u32 = 30;
/// The most peers.
const MAX_PEERS: usize = 512;

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the ledger and consensus' own files are kept.
    pub data_dir: PathBuf,
    /// The genesis file.
    pub genesis: PathBuf,
    /// Whose node this is: the name in headers that it proposes. Absent for a follower.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub participant: Option<String>,
    /// The HTTP API.
    pub api: ApiConfig,
    /// The network of validators.
    pub p2p: P2pConfig,
    /// Key files.
    pub keys: KeysConfig,
    /// The mempool.
    #[serde(default)]
    pub mempool: MempoolConfig,
    /// Consensus.
    #[serde(default)]
    pub consensus: ConsensusSection,
    /// How long bytes are kept that no proof needs; absent to keep them for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<RetentionConfig>,
    /// Logs.
    #[serde(default)]
    pub log: LogConfig,
    /// The custodian's vault and FHIR endpoint; absent on a node that has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custodian: Option<CustodianSection>,
}

/// The HTTP API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiConfig {
    /// Address and port to listen on; port 0 takes a free one.
    pub listen: String,
    /// Under which names (`host:port`) members address this node, besides `listen`. A request signed for another name is refused.
    #[serde(default)]
    pub names: Vec<String>,
    /// The most connections at a time.
    #[serde(default = "defaults::connections")]
    pub max_connections: usize,
    /// The most requests being answered at a time.
    #[serde(default = "defaults::requests")]
    pub max_requests: usize,
    /// The most proofs being made at a time.
    #[serde(default = "defaults::proofs")]
    pub max_proofs: usize,
    /// How long a client may take to send a request, and a connection may stay idle.
    #[serde(default = "defaults::read_timeout_ms")]
    pub read_timeout_ms: u64,
    /// How far the clock of a member who signs requests may be off.
    #[serde(default = "defaults::signature_window_ms")]
    pub signature_window_ms: u64,
}

/// The network of validators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct P2pConfig {
    /// The multiaddr to listen on, for example `/ip4/0.0.0.0/tcp/7701`.
    pub listen: String,
    /// Other nodes.
    #[serde(default)]
    pub peers: Vec<Peer>,
}

/// Another node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Whose.
    pub participant: String,
    /// Its multiaddr.
    pub address: String,
    /// Its transport key, 64 hexadecimal digits.
    pub transport_key: String,
    /// Whether it may connect even when the registry does not list it: for the nodes from which an empty node catches up.
    #[serde(default)]
    pub bootstrap: bool,
}

/// Key files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysConfig {
    /// Proves to peers which node this is.
    pub transport: PathBuf,
    /// Signs votes and proposals; absent for a follower.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consensus: Option<PathBuf>,
    /// The key that replaces it: used from the block on in which the validator set names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consensus_next: Option<PathBuf>,
    /// Signs checkpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<PathBuf>,
    /// Signs submissions in the participant's name: reports of misbehaviour, and nothing else. Without it
    /// misbehaviour is only logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign: Option<PathBuf>,
}

/// The mempool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MempoolConfig {
    /// The most bytes.
    #[serde(default = "defaults::mempool_bytes")]
    pub max_bytes: usize,
    /// The most submissions.
    #[serde(default = "defaults::mempool_count")]
    pub max_count: usize,
    /// One author's share, as a divisor: 4 is a quarter.
    #[serde(default = "defaults::author_share")]
    pub author_share: usize,
}

/// Consensus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsensusSection {
    /// The most bytes of a block.
    #[serde(default = "defaults::block_bytes")]
    pub max_block_bytes: usize,
    /// How far a block's time may be from this node's clock.
    #[serde(default = "defaults::clock_bound_ms")]
    pub clock_bound_ms: u64,
    /// How long to wait for a proposal in the first round.
    #[serde(default = "defaults::propose_ms")]
    pub propose_ms: u64,
    /// How long to wait for more votes once two thirds are in.
    #[serde(default = "defaults::vote_ms")]
    pub vote_ms: u64,
    /// What each further round adds to both.
    #[serde(default = "defaults::delta_ms")]
    pub delta_ms: u64,
    /// Before votes are sent again in a round that does not end.
    #[serde(default = "defaults::rebroadcast_ms")]
    pub rebroadcast_ms: u64,
}

/// How long bytes are kept that no proof needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionConfig {
    /// Items of testimony (accesses and the like) go after this many days; records and proofs stay.
    pub testimony_days: u32,
    /// Whether their envelopes go too, with which the proof goes of who signed them.
    #[serde(default)]
    pub envelopes: bool,
}

/// Logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// `text` or `json`.
    #[serde(default = "defaults::log_format")]
    pub format: LogFormat,
    /// What is logged, as a filter: `info`, or `info,custos_node=debug`. The engine tells of every vote and is heard
    /// from warnings on unless the filter names it: `info,arc_malachitebft=info`.
    #[serde(default = "defaults::log_level")]
    pub level: String,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For collectors: one JSON object per line.
    Json,
}

impl Default for MempoolConfig {
    fn default() -> Self {
        Self {
            max_bytes: defaults::mempool_bytes(),
            max_count: defaults::mempool_count(),
            author_share: defaults::author_share(),
        }
    }
}

impl Default for ConsensusSection {
    fn default() -> Self {
        Self {
            max_block_bytes: defaults::block_bytes(),
            clock_bound_ms: defaults::clock_bound_ms(),
            propose_ms: defaults::propose_ms(),
            vote_ms: defaults::vote_ms(),
            delta_ms: defaults::delta_ms(),
            rebroadcast_ms: defaults::rebroadcast_ms(),
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: defaults::log_format(), level: defaults::log_level() }
    }
}

impl ApiConfig {
    /// Listening on `address` with every limit at its default.
    #[must_use]
    pub fn listening_on(address: &str) -> Self {
        Self {
            listen: address.to_owned(),
            names: Vec::new(),
            max_connections: defaults::connections(),
            max_requests: defaults::requests(),
            max_proofs: defaults::proofs(),
            read_timeout_ms: defaults::read_timeout_ms(),
            signature_window_ms: defaults::signature_window_ms(),
        }
    }
}

mod defaults {
    use super::LogFormat;

    pub(super) fn connections() -> usize {
        1024
    }
    pub(super) fn requests() -> usize {
        2048
    }
    pub(super) fn proofs() -> usize {
        std::thread::available_parallelism().map_or(2, usize::from).max(2)
    }
    pub(super) fn read_timeout_ms() -> u64 {
        15_000
    }
    pub(super) fn signature_window_ms() -> u64 {
        60_000
    }
    pub(super) fn mempool_bytes() -> usize {
        crate::mempool::Limits::default().max_bytes
    }
    pub(super) fn mempool_count() -> usize {
        crate::mempool::Limits::default().max_count
    }
    pub(super) fn author_share() -> usize {
        crate::mempool::Limits::default().author_share
    }
    pub(super) fn block_bytes() -> usize {
        custos_proof::header::MAX_BLOCK_BYTES
    }
    pub(super) fn clock_bound_ms() -> u64 {
        5_000
    }
    fn ms(duration: std::time::Duration) -> u64 {
        u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
    }
    pub(super) fn propose_ms() -> u64 {
        ms(custos_consensus::Timeouts::default().propose)
    }
    pub(super) fn vote_ms() -> u64 {
        ms(custos_consensus::Timeouts::default().prevote)
    }
    pub(super) fn delta_ms() -> u64 {
        ms(custos_consensus::Timeouts::default().delta)
    }
    pub(super) fn rebroadcast_ms() -> u64 {
        ms(custos_consensus::Timeouts::default().rebroadcast)
    }
    pub(super) fn log_format() -> LogFormat {
        LogFormat::Text
    }
    pub(super) fn log_level() -> String {
        "info".to_owned()
    }
}

/// A configuration whose every part was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The file, its paths made absolute or relative to the working directory.
    pub config: Config,
    /// Whose node this is.
    pub participant: Option<ParticipantId>,
    /// Where the API listens.
    pub api_listen: SocketAddr,
    /// The other nodes.
    pub peers: Vec<PeerConfig>,
    /// What follows from the custodian's section.
    pub custodian: Option<CheckedCustodian>,
}

/// Why a configuration is refused.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {cause}; name the right file with --config")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// It is not TOML, or has a key too many or too few.
    #[error("{path}: {message}")]
    Form {
        /// Which.
        path: PathBuf,
        /// What the parser says, with line and key.
        message: String,
    },
    /// A value cannot be used.
    #[error("{path}: `{key}` {problem}; {hint}")]
    Value {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: String,
        /// What is wrong with it.
        problem: String,
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
        let io = |cause: String| ConfigError::Io { path: path.to_owned(), cause };
        let metadata = std::fs::metadata(path).map_err(|error| io(error.to_string()))?;
        if metadata.len() > MAX_FILE_BYTES {
            return Err(io(format!("it is longer than {MAX_FILE_BYTES} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| io(error.to_string()))?;
        Self::parse(&text, path)
    }

    /// Checks the text of a file at `path`, to which relative paths are relative.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn parse(text: &str, path: &Path) -> Result<Checked, ConfigError> {
        let config: Config = toml::from_str(text).map_err(|error| ConfigError::Form {
            path: path.to_owned(),
            message: format!("{}; see `custos node run --help` for the keys", error.to_string().trim_end()),
        })?;
        config.check(path)
    }

    /// The text of the file.
    ///
    /// # Errors
    /// A path that is not UTF-8, which TOML cannot hold.
    pub fn to_toml(&self) -> Result<String, String> {
        toml::to_string(self).map_err(|error| error.to_string())
    }

    fn check(mut self, path: &Path) -> Result<Checked, ConfigError> {
        let refuse = |key: &str, problem: String, hint: &str| ConfigError::Value {
            path: path.to_owned(),
            key: key.to_owned(),
            problem,
            hint: hint.to_owned(),
        };
        let base = path.parent().unwrap_or(Path::new(""));
        for file in [&mut self.data_dir, &mut self.genesis, &mut self.keys.transport]
            .into_iter()
            .chain(self.keys.consensus.as_mut())
            .chain(self.keys.consensus_next.as_mut())
            .chain(self.keys.note.as_mut())
            .chain(self.keys.sign.as_mut())
        {
            *file = base.join(&file);
        }
        if let Some(section) = &mut self.custodian {
            section.based_on(base);
        }
        let custodian = self
            .custodian
            .as_ref()
            .map(|section| section.check().map_err(|(key, problem, hint)| refuse(key, problem, hint)))
            .transpose()?;
        const NAME: &str = "write a participant id: a-z, 0-9, '.' and '-', at most 63 characters";
        let participant = self
            .participant
            .as_ref()
            .map(|id| {
                id.parse::<ParticipantId>()
                    .map_err(|error| refuse("participant", format!("is {id:?}: {error}"), NAME))
            })
            .transpose()?;
        if self.keys.consensus_next.is_some() && self.keys.consensus.is_none() {
            return Err(refuse(
                "keys.consensus_next",
                "is given without `keys.consensus`".into(),
                "name the key that votes under `keys.consensus`",
            ));
        }
        if participant.is_none() && self.keys.consensus.is_some() {
            return Err(refuse(
                "participant",
                "is missing although `keys.consensus` is given".into(),
                "say whose validator this is, or leave the consensus key out to run a follower",
            ));
        }
        let api_listen: SocketAddr = self.api.listen.parse().map_err(|_| {
            refuse(
                "api.listen",
                format!("is {:?}", self.api.listen),
                "write address and port, for example 127.0.0.1:7700",
            )
        })?;
        for name in &self.api.names {
            if name.is_empty() || name.bytes().any(|b| b.is_ascii_uppercase() || b <= b' ' || b == b'/') {
                return Err(refuse(
                    "api.names",
                    format!("holds {name:?}"),
                    "write host:port in lower case, without a scheme",
                ));
            }
        }
        const MULTIADDR: &str =
            "write a multiaddr like /ip4/10.0.0.2/tcp/7701 or /dns4/node.example/tcp/7701";
        let is_multiaddr = |text: &str| text.starts_with('/') && text.contains("/tcp/");
        if !is_multiaddr(&self.p2p.listen) {
            return Err(refuse("p2p.listen", format!("is {:?}", self.p2p.listen), MULTIADDR));
        }
        if self.p2p.peers.len() > MAX_PEERS {
            return Err(refuse(
                "p2p.peers",
                format!("has more than {MAX_PEERS} entries"),
                "list validators and bootstrap nodes only",
            ));
        }
        let mut peers: Vec<PeerConfig> = Vec::new();
        for (i, peer) in self.p2p.peers.iter().enumerate() {
            let key = |name: &str| format!("p2p.peers[{i}].{name}");
            let participant = peer.participant.parse().map_err(|error| {
                refuse(&key("participant"), format!("is {:?}: {error}", peer.participant), NAME)
            })?;
            if !is_multiaddr(&peer.address) {
                return Err(refuse(&key("address"), format!("is {:?}", peer.address), MULTIADDR));
            }
            let transport = peer.transport_key.parse().map_err(|_| {
                refuse(
                    &key("transport_key"),
                    format!("is {:?}", peer.transport_key),
                    "write the 64 hexadecimal digits of the node's transport key, as in `custos genesis inspect`",
                )
            })?;
            if peers.iter().any(|other| other.transport == transport) {
                return Err(refuse(
                    &key("transport_key"),
                    "is another peer's too".into(),
                    "every node has a transport key of its own",
                ));
            }
            peers.push(PeerConfig {
                participant,
                address: peer.address.clone(),
                transport,
                bootstrap: peer.bootstrap,
            });
        }
        let days = self.retention.map_or(MIN_RETENTION_DAYS, |retention| retention.testimony_days);
        let bounds: [(&str, u64, u64, u64); 15] = [
            ("retention.testimony_days", days.into(), MIN_RETENTION_DAYS.into(), 36_500),
            ("api.max_connections", self.api.max_connections as u64, 1, 65_536),
            ("api.max_requests", self.api.max_requests as u64, 1, 65_536),
            ("api.max_proofs", self.api.max_proofs as u64, 1, 256),
            ("api.read_timeout_ms", self.api.read_timeout_ms, 100, 600_000),
            ("api.signature_window_ms", self.api.signature_window_ms, 1_000, 600_000),
            ("mempool.max_bytes", self.mempool.max_bytes as u64, 1 << 20, 1 << 34),
            ("mempool.max_count", self.mempool.max_count as u64, 1, 1 << 24),
            ("mempool.author_share", self.mempool.author_share as u64, 1, 1024),
            // A block has room for the longest submission, or that one would wait for ever.
            (
                "consensus.max_block_bytes",
                self.consensus.max_block_bytes as u64,
                2 * custos_proof::submission::MAX_SUBMISSION_BYTES as u64,
                custos_proof::header::MAX_BLOCK_BYTES as u64,
            ),
            ("consensus.clock_bound_ms", self.consensus.clock_bound_ms, 100, 60_000),
            ("consensus.propose_ms", self.consensus.propose_ms, 50, 60_000),
            ("consensus.vote_ms", self.consensus.vote_ms, 20, 60_000),
            ("consensus.delta_ms", self.consensus.delta_ms, 1, 60_000),
            ("consensus.rebroadcast_ms", self.consensus.rebroadcast_ms, 100, 60_000),
        ];
        for (key, value, least, most) in bounds {
            if value < least || value > most {
                return Err(refuse(
                    key,
                    format!("is {value}"),
                    &format!("choose a number from {least} to {most}"),
                ));
            }
        }
        Ok(Checked { config: self, participant, api_listen, peers, custodian })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
data_dir = "data"
genesis = "genesis.custos"
participant = "hospital-a"

[api]
listen = "127.0.0.1:7700"

[p2p]
listen = "/ip4/127.0.0.1/tcp/7701"

[[p2p.peers]]
participant = "hospital-b"
address = "/ip4/127.0.0.1/tcp/7703"
transport_key = "0101010101010101010101010101010101010101010101010101010101010101"

[keys]
consensus = "keys/consensus.key"
transport = "keys/transport.key"

[log]
format = "json"
"#;

    fn parse(text: &str) -> Result<Checked, ConfigError> {
        Config::parse(text, Path::new("/etc/custos/node.toml"))
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let checked = parse(GOOD).unwrap();
        assert_eq!(checked.config.data_dir, Path::new("/etc/custos/data"));
        assert_eq!(
            checked.config.keys.consensus.as_deref(),
            Some(Path::new("/etc/custos/keys/consensus.key"))
        );
        assert_eq!(checked.peers.len(), 1);
        assert_eq!(checked.config.log.format, LogFormat::Json);
        assert!(!checked.peers[0].bootstrap);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let checked = parse(GOOD).unwrap();
        let text = checked.config.to_toml().unwrap();
        assert_eq!(parse(&text).unwrap(), checked);
    }

    #[test]
    fn every_error_names_the_key_and_says_what_to_do() {
        for (from, to, key, hint) in [
            ("data_dir", "data_dri", "data_dri", "--help"),
            ("data_dir = \"data\"\n", "", "data_dir", "--help"),
            ("listen = \"127.0.0.1:7700\"", "listen = 7700", "listen", "--help"),
            ("participant = \"hospital-a\"", "participant = \"Hospital A\"", "`participant`", "a-z"),
            ("participant = \"hospital-a\"", "", "`participant`", "follower"),
            ("127.0.0.1:7700", "localhost", "`api.listen`", "127.0.0.1:7700"),
            (
                "listen = \"127.0.0.1:7700\"",
                "listen = \"127.0.0.1:7700\"\nnames = [\"http://X\"]",
                "`api.names`",
                "without a scheme",
            ),
            (
                "listen = \"127.0.0.1:7700\"",
                "listen = \"127.0.0.1:7700\"\nmax_proofs = 0",
                "`api.max_proofs`",
                "from 1",
            ),
            ("/ip4/127.0.0.1/tcp/7701", "127.0.0.1:7701", "`p2p.listen`", "multiaddr"),
            ("/ip4/127.0.0.1/tcp/7703", "tcp/7703", "`p2p.peers[0].address`", "multiaddr"),
            ("hospital-b", "-b", "`p2p.peers[0].participant`", "a-z"),
            ("0101010101", "01", "`p2p.peers[0].transport_key`", "64 hexadecimal"),
            ("[log]", "[retention]\ntestimony_days = 3\n[log]", "`retention.testimony_days`", "from 30"),
            ("format = \"json\"", "format = \"xml\"", "format", "--help"),
            ("[log]", "[consensus]\nmax_block_bytes = 1000\n[log]", "`consensus.max_block_bytes`", "from"),
            ("[log]", "[mempool]\nsize = 1\n[log]", "size", "--help"),
            ("[log]", "[custodian]\nvault = \"v\"\n[log]", "vault_key", "--help"),
            (
                "[log]",
                "[custodian]\nvault = \"v\"\nvault_key = \"k\"\nkey = \"s\"\nlisten = \"0.0.0.0:1\"\n[log]",
                "`custodian.listen`",
                "proxy",
            ),
            (
                "[log]",
                "[custodian]\nvault = \"v\"\nvault_key = \"k\"\nkey = \"s\"\nmax_body_bytes = 999999999\n[log]",
                "`custodian.max_body_bytes`",
                "16777216",
            ),
            (
                "[log]",
                "[custodian]\nvault = \"v\"\nvault_key = \"k\"\nkey = \"s\"\ncollected = \"guessed\"\n[log]",
                "`custodian.collected`",
                "paper",
            ),
        ] {
            let text = GOOD.replacen(from, to, 1);
            assert_ne!(text, GOOD, "{from}");
            let error = parse(&text).unwrap_err().to_string();
            assert!(
                error.contains(key) && error.contains(hint) && error.contains("node.toml"),
                "{to}: {error}"
            );
        }
    }

    #[test]
    fn a_transport_key_belongs_to_one_peer() {
        let peer = GOOD.split("[[p2p.peers]]").nth(1).unwrap().split("[keys]").next().unwrap();
        let text = GOOD.replace("[keys]", &format!("[[p2p.peers]]{peer}[keys]"));
        assert!(parse(&text).unwrap_err().to_string().contains("p2p.peers[1].transport_key"));
    }

    #[test]
    fn a_missing_file_is_an_error_that_names_it() {
        let error = Config::read(Path::new("/nowhere/node.toml")).unwrap_err().to_string();
        assert!(error.contains("/nowhere/node.toml") && error.contains("--config"), "{error}");
    }
}
