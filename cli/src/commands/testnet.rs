//! `custos testnet`: a whole network on this machine, of real processes, for trying and testing.
//!
//! Everything is what an operator would do by hand: keys are made, a genesis is begun, every node
//! gets a configuration file and is started as `custos node run` of this same program. The state
//! of the network is one JSON file in its folder; a process is only ever signalled when it is still
//! the one that was started for that node.
//!
//! Deliberately absent: other machines, and anything that a real network should be run with.

use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use custos_api::blocking::Client;
use custos_custodian::vault::VaultKey;
use custos_node::config::{
    ApiConfig, Config, ConsensusSection, KeysConfig, LogConfig, MempoolConfig, P2pConfig, Peer,
};
use custos_proof::anchor::TrustAnchor;
use custos_proof::cbor::Wire as _;
use custos_proof::keys::{KeyPurpose, PublicKey, Signer as _};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::commands::genesis::{DescribedKey, DescribedParticipant, DescribedPolicy, Description, read_toml};
use crate::exit::{Exit, Failed, Outcome, While as _};
use crate::files;
use crate::keyfile;
use crate::render::paint::Paint;
use crate::render::table::table;
use crate::screen::Screen;
use crate::time;

/// The most validators that one machine is asked to run.
const MAX_VALIDATORS: usize = 16;
/// How long a node may take until it takes submissions.
const READY: Duration = Duration::from_secs(90);
/// How long a node may take to end by itself.
const STOP: Duration = Duration::from_secs(20);
/// The name of the state file.
const STATE: &str = "network.json";

/// Run a network of validators on this machine
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  \
    custos testnet up --dir /tmp/ward --detach\n  \
    custos testnet status --dir /tmp/ward\n  \
    custos testnet kill --dir /tmp/ward --index 4\n  \
    custos testnet start --dir /tmp/ward --index 4\n  \
    custos testnet later --dir /tmp/ward 10d\n  \
    custos testnet down --dir /tmp/ward")]
pub(crate) enum Testnet {
    Up(Up),
    Down(Down),
    Status(Status),
    Kill(Kill),
    Start(Start),
    Later(Later),
}

impl Testnet {
    /// Runs the command.
    pub(crate) fn run(&self, screen: &Screen) -> Outcome {
        match self {
            Testnet::Up(command) => command.run(screen),
            Testnet::Down(command) => command.run(screen),
            Testnet::Status(command) => command.run(screen),
            Testnet::Kill(command) => command.run(screen),
            Testnet::Start(command) => command.run(screen),
            Testnet::Later(command) => command.run(screen),
        }
    }
}

/// Make and start a network
///
/// Makes keys, genesis and configurations in an empty folder, starts one process per validator on
/// free ports of the loopback interface, and waits until all of them take submissions. A folder that
/// holds a network already is started again as it is. Without `--detach` the network runs until
/// Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  custos testnet up --dir /tmp/ward --validators 4 --detach")]
pub(crate) struct Up {
    /// The network's folder
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// How many validators; four outlive the loss of one
    #[arg(long, default_value_t = 4, value_name = "N")]
    validators: usize,
    /// Leave the network running and return
    #[arg(long)]
    detach: bool,
    /// Make everything, and start only the first N nodes
    #[arg(long, value_name = "N")]
    start: Option<usize>,
    /// The longest time without a block, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    heartbeat: u64,
    /// What the policy says otherwise than a new network's: the `[policy]` of `custos genesis new`, as a file of its own
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

/// Stop a network; its folder stays
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  custos testnet down --dir /tmp/ward")]
pub(crate) struct Down {
    /// The network's folder
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

/// Show how the nodes of a network are
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  custos testnet status --dir /tmp/ward --json")]
pub(crate) struct Status {
    /// The network's folder
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

/// Kill a node as a power failure would (SIGKILL)
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  custos testnet kill --dir /tmp/ward --index 4")]
pub(crate) struct Kill {
    /// The network's folder
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Which node, from 1
    #[arg(long, value_name = "I")]
    index: usize,
}

/// Start a node that is not running, and wait until it has caught up
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  custos testnet start --dir /tmp/ward --index 4")]
pub(crate) struct Start {
    /// The network's folder
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Which node, from 1
    #[arg(long, value_name = "I")]
    index: usize,
    /// Return as soon as the process runs
    #[arg(long)]
    no_wait: bool,
}

/// Stop a network, set its clocks ahead, and start it again
///
/// Deadlines and retention run for days and years; here they pass at once. All nodes are stopped, every
/// clock is set ahead by as much again, and all are started. Commands that sign for this network read the same
/// clock when CUSTOS_CLOCK_AHEAD says what is printed. Blocks have times: there is no way back.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    custos testnet later --dir /tmp/ward 10d\n  \
    export CUSTOS_CLOCK_AHEAD=10d")]
pub(crate) struct Later {
    /// The network's folder
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// By how much: 10d, 12h, 15min, 90s
    #[arg(value_name = "SPAN", value_parser = time::span)]
    by: u64,
}

/// A network, as its state file keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Network {
    chain: String,
    genesis: PathBuf,
    anchor: PathBuf,
    registrar_key: PathBuf,
    client: String,
    client_key: PathBuf,
    vault_key: PathBuf,
    /// How far the clocks of all nodes are ahead of this machine's, in milliseconds.
    #[serde(default)]
    clock_ahead_ms: u64,
    nodes: Vec<Node>,
}

/// A node of the network.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Node {
    index: usize,
    participant: String,
    api: String,
    config: PathBuf,
    data: PathBuf,
    log: PathBuf,
    sign_key: PathBuf,
    pid: Option<i32>,
}

impl Up {
    fn run(&self, screen: &Screen) -> Outcome {
        let dir = absolute(&self.dir)?;
        let mut network = match dir.join(STATE).exists() {
            true => Network::read(&dir)?,
            false => self.make(&dir)?,
        };
        let count = self.start.unwrap_or(network.nodes.len()).min(network.nodes.len());
        for node in network.nodes.iter_mut().take(count) {
            if !node.is_running() {
                node.spawn(network.clock_ahead_ms)?;
            }
        }
        network.write(&dir)?;
        if let Err(failed) = network.wait_ready(count, screen) {
            network.stop(screen)?;
            network.write(&dir)?;
            return Err(failed);
        }
        screen.result(|paint| network.words(paint), || json!(network));
        if self.detach {
            screen.talk(format!("Running. Stop it with: custos testnet down --dir {}", dir.display()));
            return Ok(Exit::Done);
        }
        screen.talk("Running until Ctrl-C.");
        wait_for_signal()?;
        network.stop(screen)?;
        network.write(&dir)?;
        Ok(Exit::Done)
    }

    fn make(&self, dir: &Path) -> Outcome<Network> {
        if self.validators == 0 || self.validators > MAX_VALIDATORS {
            return Err(Failed::unable(format!("between 1 and {MAX_VALIDATORS} validators")));
        }
        files::folder(dir)?;
        if fs::read_dir(dir).could_not(|| format!("read {}", dir.display()))?.next().is_some() {
            return Err(Failed::unable(format!("{} is not empty and holds no network", dir.display()))
                .hint("choose a new folder"));
        }
        let keys = dir.join("keys");
        files::folder(&keys)?;
        let registrar_key = keys.join("registrar-sign.key");
        keyfile::create(&registrar_key, KeyPurpose::Sign)?;
        let mut participants = vec![described(
            "registrar.example",
            "Registrar",
            &["registrar"],
            None,
            vec![registrar_key.clone()],
        )];
        let ports: Vec<u16> = (0..self.validators * 2)
            .map(|_| custos_ports::free())
            .collect::<Result<_, _>>()
            .could_not(|| "find free ports")?;
        let mut made = Vec::new();
        for (index, port) in (1..=self.validators).zip(ports.chunks_exact(2)) {
            let (node, transport) = MadeNode::make(dir, &keys, index, port[0], port[1])?;
            let own = [KeyPurpose::Sign, KeyPurpose::Consensus, KeyPurpose::Transport, KeyPurpose::Note];
            let own = own.into_iter().map(|purpose| key_path(&keys, index, purpose)).collect();
            participants.push(described(
                &node.participant(),
                &name(index),
                &["custodian", "recipient", "validator"],
                Some(1),
                own,
            ));
            made.push((node, transport));
        }
        let policy = match &self.policy {
            Some(path) => read_toml(path, "policy")?,
            None => DescribedPolicy::default(),
        };
        let description = Description {
            name: "testnet".into(),
            registrar: "registrar.example".into(),
            time: None,
            participants,
            policy: DescribedPolicy { heartbeat_ms: policy.heartbeat_ms.or(Some(self.heartbeat)), ..policy },
        };
        let genesis = description.begin(&|file| keyfile::read_any(&dir.join(file)))?;
        let genesis_path = dir.join("genesis.custos");
        files::create(&genesis_path, &genesis.to_bytes(), false)?;
        let anchor_path = dir.join("anchor.custos");
        let anchor = TrustAnchor::from_genesis(&genesis).could_not(|| "make a trust anchor")?;
        files::create(&anchor_path, &anchor.to_bytes(), false)?;
        let vault_key = dir.join("vault.key");
        VaultKey::create(&vault_key).could_not(|| "make a vault key")?;
        let nodes =
            made.iter().map(|(node, _)| node.configure(&genesis_path, &made)).collect::<Outcome<Vec<_>>>()?;
        let network = Network {
            chain: genesis.chain().to_string(),
            genesis: genesis_path,
            anchor: anchor_path,
            registrar_key,
            client: nodes[0].participant.clone(),
            client_key: nodes[0].sign_key.clone(),
            vault_key,
            clock_ahead_ms: 0,
            nodes,
        };
        network.write(dir)?;
        Ok(network)
    }
}

impl Down {
    fn run(&self, screen: &Screen) -> Outcome {
        let dir = absolute(&self.dir)?;
        let mut network = Network::read(&dir)?;
        network.stop(screen)?;
        network.write(&dir)?;
        screen.result(|_| "stopped\n".into(), || json!({ "stopped": true }));
        Ok(Exit::Done)
    }
}

impl Status {
    fn run(&self, screen: &Screen) -> Outcome {
        let network = Network::read(&absolute(&self.dir)?)?;
        let states: Vec<NodeState> = network.nodes.iter().map(NodeState::of).collect();
        let well = states.iter().all(|state| state.ready);
        screen.result(
            |paint| {
                let rows: Vec<_> = states.iter().zip(&network.nodes).map(|(state, node)| state.row(node, paint)).collect();
                format!("{}\n", table(&["node", "participant", "api", "pid", "height", "peers", "state"], &rows))
            },
            || json!({ "ready": well, "nodes": states.iter().zip(&network.nodes).map(|(state, node)| state.json(node)).collect::<Vec<_>>() }),
        );
        Ok(if well { Exit::Done } else { Exit::Unable })
    }
}

impl Kill {
    fn run(&self, screen: &Screen) -> Outcome {
        let dir = absolute(&self.dir)?;
        let mut network = Network::read(&dir)?;
        let node = network.node(self.index)?;
        match node.running() {
            Some(pid) => {
                kill_process(pid, Signal::KILL).could_not(|| format!("kill node {}", self.index))?;
                node.wait_gone(STOP)?;
            }
            None => return Err(Failed::unable(format!("node {} is not running", self.index))),
        }
        node.pid = None;
        network.write(&dir)?;
        let index = self.index;
        screen.result(|_| format!("node {index} killed\n"), || json!({ "killed": index }));
        Ok(Exit::Done)
    }
}

impl Start {
    fn run(&self, screen: &Screen) -> Outcome {
        let dir = absolute(&self.dir)?;
        let mut network = Network::read(&dir)?;
        let ahead = network.clock_ahead_ms;
        let node = network.node(self.index)?;
        if node.is_running() {
            return Err(Failed::unable(format!("node {} is running already", self.index)));
        }
        node.spawn(ahead)?;
        let node = node.clone();
        network.write(&dir)?;
        if !self.no_wait {
            node.wait_ready(Instant::now() + READY)?;
        }
        let state = NodeState::of(&node);
        screen.result(
            |_| format!("node {} runs, at height {}\n", node.index, state.height.unwrap_or(0)),
            || state.json(&node),
        );
        Ok(Exit::Done)
    }
}

impl Later {
    fn run(&self, screen: &Screen) -> Outcome {
        let dir = absolute(&self.dir)?;
        let mut network = Network::read(&dir)?;
        let count = network.nodes.iter().filter(|node| node.is_running()).count();
        if count < network.nodes.len() {
            return Err(Failed::unable("not all nodes are running: the others would live in another time")
                .hint("start them first: custos testnet start"));
        }
        network.stop(screen)?;
        network.clock_ahead_ms = network.clock_ahead_ms.saturating_add(self.by);
        network.write(&dir)?;
        let ahead = network.clock_ahead_ms;
        for node in &mut network.nodes {
            node.spawn(ahead)?;
        }
        network.write(&dir)?;
        network.wait_ready(count, screen)?;
        let span = format!("{}s", ahead / 1000);
        let span = match ahead % 86_400_000 {
            0 => format!("{}d", ahead / 86_400_000),
            _ => span,
        };
        let now = time::machine().plus(ahead);
        screen.result(
            |_| {
                format!(
                    "clocks   {span} ahead: {}\nfor you  export {}={span}\n",
                    time::words(now),
                    time::AHEAD
                )
            },
            || json!({ "clock_ahead_ms": ahead, "now": now.to_string(), "environment": format!("{}={span}", time::AHEAD) }),
        );
        Ok(Exit::Done)
    }
}

impl Network {
    fn read(dir: &Path) -> Outcome<Self> {
        let path = dir.join(STATE);
        if !path.exists() {
            return Err(Failed::unable(format!("there is no network in {}", dir.display()))
                .hint("make one with `custos testnet up`"));
        }
        serde_json::from_str(&files::read_text(&path)?).could_not(|| format!("understand {}", path.display()))
    }

    fn write(&self, dir: &Path) -> Outcome<()> {
        let text = serde_json::to_string_pretty(self).could_not(|| "write the network's state")?;
        files::write(&dir.join(STATE), text.as_bytes())
    }

    fn node(&mut self, index: usize) -> Outcome<&mut Node> {
        let count = self.nodes.len();
        self.nodes.iter_mut().find(|node| node.index == index).ok_or_else(|| {
            Failed::unable(format!("there is no node {index}; they are numbered from 1 to {count}"))
        })
    }

    fn wait_ready(&self, count: usize, screen: &Screen) -> Outcome<()> {
        let spinner = screen.spinner(format!("waiting for {count} nodes"));
        let deadline = Instant::now() + READY;
        // A minority cannot become ready: more than two thirds have to vote.
        let ready = if count * 3 > self.nodes.len() * 2 {
            self.nodes.iter().take(count).try_for_each(|node| node.wait_ready(deadline))
        } else {
            self.nodes.iter().take(count).try_for_each(|node| node.wait_answering(deadline))
        };
        spinner.finish_and_clear();
        ready
    }

    /// Ends every process that is still the one that was started.
    fn stop(&mut self, screen: &Screen) -> Outcome<()> {
        for node in &self.nodes {
            if let Some(pid) = node.running() {
                kill_process(pid, Signal::TERM).could_not(|| format!("stop node {}", node.index))?;
            }
        }
        for node in &mut self.nodes {
            if node.wait_gone(STOP).is_err() {
                screen.talk(format!(
                    "node {} did not end by itself within {} s and is killed",
                    node.index,
                    STOP.as_secs()
                ));
                if let Some(pid) = node.running() {
                    kill_process(pid, Signal::KILL).could_not(|| format!("kill node {}", node.index))?;
                }
                node.wait_gone(STOP)?;
            }
            node.pid = None;
        }
        Ok(())
    }

    fn words(&self, paint: Paint) -> String {
        let rows: Vec<_> = self
            .nodes
            .iter()
            .map(|node| {
                vec![
                    node.index.to_string(),
                    node.participant.clone(),
                    node.api.clone(),
                    node.log.display().to_string(),
                ]
            })
            .collect();
        format!(
            "{}\nchain       {}\ngenesis     {}\nanchor      {}\nclient key  {} (of {})\nvault key   {}\n\n{}\n",
            paint.head("A test network"),
            self.chain,
            self.genesis.display(),
            self.anchor.display(),
            self.client_key.display(),
            self.client,
            self.vault_key.display(),
            table(&["node", "participant", "api", "log"], &rows),
        )
    }
}

impl Node {
    fn spawn(&mut self, ahead_ms: u64) -> Outcome<()> {
        let program = std::env::current_exe().could_not(|| "find this program's own file")?;
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .could_not(|| format!("open {}", self.log.display()))?;
        let errors = log.try_clone().could_not(|| "open the log twice")?;
        // A process group of its own: Ctrl-C at the terminal is for whoever started the network, not for its nodes.
        let child = Command::new(program)
            .args(["node", "run", "--config"])
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0)
            .env(time::AHEAD, format!("{}s", ahead_ms / 1000))
            .spawn()
            .could_not(|| format!("start node {}", self.index))?;
        self.pid = i32::try_from(child.id()).ok();
        Ok(())
    }

    /// The process, if it is still the one that was started for this node.
    fn running(&self) -> Option<Pid> {
        let pid = self.pid?;
        let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let config = self.config.as_os_str().as_encoded_bytes();
        // A process that has ended and waits to be collected has an empty command line.
        command.split(|byte| *byte == 0).any(|argument| argument == config).then(|| Pid::from_raw(pid))?
    }

    fn is_running(&self) -> bool {
        self.running().is_some()
    }

    /// Whether the process was ended and still holds its files: threads that wait for the disk outlive the first
    /// one, and with it the command line by which [`Self::running`] knows the process.
    fn is_ending(&self) -> bool {
        let Some(pid) = self.pid else { return false };
        let proc = PathBuf::from(format!("/proc/{pid}"));
        let Ok(command) = fs::read(proc.join("cmdline")) else { return false };
        let threads = fs::read_dir(proc.join("task")).map_or(0, Iterator::count);
        let stat = fs::read_to_string(proc.join("stat")).unwrap_or_default();
        let waits_to_be_collected =
            stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'));
        command.is_empty() && !(waits_to_be_collected && threads <= 1)
    }

    fn wait_gone(&self, patience: Duration) -> Outcome<()> {
        let deadline = Instant::now() + patience;
        while self.is_running() || self.is_ending() {
            if Instant::now() > deadline {
                return Err(Failed::unable(format!("node {} does not end", self.index)));
            }
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn wait_ready(&self, deadline: Instant) -> Outcome<()> {
        self.wait(deadline, |client| client.ready().is_ok_and(|answer| answer.ready))
    }

    fn wait_answering(&self, deadline: Instant) -> Outcome<()> {
        self.wait(deadline, |client| client.health().is_ok())
    }

    fn wait(&self, deadline: Instant, there: impl Fn(&Client) -> bool) -> Outcome<()> {
        let client = Client::new(&self.api).map_err(crate::network::refused)?;
        while !there(&client) {
            if !self.is_running() {
                return Err(Failed::unable(format!("node {} ended:\n{}", self.index, self.last_words()))
                    .hint(format!("all of it is in {}", self.log.display())));
            }
            if Instant::now() > deadline {
                let why = client
                    .ready()
                    .ok()
                    .and_then(|answer| answer.reason)
                    .unwrap_or_else(|| "it does not answer".into());
                return Err(Failed::unable(format!(
                    "node {} is not ready after {} s: {why}\n{}",
                    self.index,
                    READY.as_secs(),
                    self.last_words()
                )));
            }
            sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn last_words(&self) -> String {
        let text = files::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

/// What can be seen of a node.
struct NodeState {
    running: bool,
    ready: bool,
    height: Option<u64>,
    peers: Option<usize>,
    words: String,
}

impl NodeState {
    fn of(node: &Node) -> Self {
        let running = node.is_running();
        let client = Client::new(&node.api).ok().filter(|_| running);
        let health = client.as_ref().and_then(|client| client.health().ok());
        let ready = client.as_ref().and_then(|client| client.ready().ok());
        let words = match (&health, &ready) {
            (Some(health), Some(ready)) if ready.ready => health.consensus.clone(),
            (Some(health), _) => {
                match health.reason.clone().or_else(|| ready.as_ref().and_then(|ready| ready.reason.clone()))
                {
                    Some(reason) => format!("{}: {reason}", health.consensus),
                    None => health.consensus.clone(),
                }
            }
            _ if running => "does not answer".into(),
            _ => "not running".into(),
        };
        Self {
            running,
            ready: ready.is_some_and(|ready| ready.ready),
            height: health.as_ref().map(|health| health.height),
            peers: health.as_ref().map(|health| health.peers),
            words,
        }
    }

    fn row(&self, node: &Node, paint: Paint) -> Vec<String> {
        let number = |value: Option<String>| value.unwrap_or_else(|| "-".into());
        vec![
            node.index.to_string(),
            node.participant.clone(),
            node.api.clone(),
            number(node.pid.filter(|_| self.running).map(|pid| pid.to_string())),
            number(self.height.map(|height| height.to_string())),
            number(self.peers.map(|peers| peers.to_string())),
            if self.ready { paint.good(&self.words) } else { paint.bad(&self.words) },
        ]
    }

    fn json(&self, node: &Node) -> Value {
        json!({
            "index": node.index,
            "participant": node.participant,
            "api": node.api,
            "pid": node.pid,
            "running": self.running,
            "ready": self.ready,
            "height": self.height,
            "peers": self.peers,
            "state": self.words,
        })
    }
}

/// A node whose keys exist and whose peers are not known yet.
struct MadeNode {
    dir: PathBuf,
    keys: PathBuf,
    index: usize,
    api_port: u16,
    p2p_port: u16,
}

impl MadeNode {
    fn make(
        dir: &Path,
        keys: &Path,
        index: usize,
        api_port: u16,
        p2p_port: u16,
    ) -> Outcome<(Self, PublicKey)> {
        for purpose in [KeyPurpose::Sign, KeyPurpose::Consensus, KeyPurpose::Note] {
            keyfile::create(&key_path(keys, index, purpose), purpose)?;
        }
        let transport =
            keyfile::create(&key_path(keys, index, KeyPurpose::Transport), KeyPurpose::Transport)?;
        Ok((Self { dir: dir.into(), keys: keys.into(), index, api_port, p2p_port }, transport.public_key()))
    }

    fn participant(&self) -> String {
        format!("hospital-{}.example", self.index)
    }

    fn address(&self) -> String {
        format!("/ip4/127.0.0.1/tcp/{}", self.p2p_port)
    }

    fn configure(&self, genesis: &Path, all: &[(MadeNode, PublicKey)]) -> Outcome<Node> {
        let key = |purpose| key_path(&self.keys, self.index, purpose);
        let peers = all
            .iter()
            .filter(|(other, _)| other.index != self.index)
            .map(|(other, transport)| Peer {
                participant: other.participant(),
                address: other.address(),
                transport_key: transport.to_string(),
                bootstrap: false,
            })
            .collect();
        let data = self.dir.join(format!("node-{}", self.index));
        let listen = format!("127.0.0.1:{}", self.api_port);
        let config = Config {
            data_dir: data.clone(),
            genesis: genesis.into(),
            participant: Some(self.participant()),
            api: ApiConfig::listening_on(&listen),
            p2p: P2pConfig { listen: self.address(), peers },
            keys: KeysConfig {
                transport: key(KeyPurpose::Transport),
                consensus: Some(key(KeyPurpose::Consensus)),
                consensus_next: None,
                note: Some(key(KeyPurpose::Note)),
                sign: Some(key(KeyPurpose::Sign)),
            },
            retention: None,
            mempool: MempoolConfig::default(),
            consensus: ConsensusSection::default(),
            log: LogConfig::default(),
            custodian: None,
        };
        let path = self.dir.join(format!("node-{}.toml", self.index));
        files::create(&path, config.to_toml().map_err(Failed::unable)?.as_bytes(), false)?;
        Ok(Node {
            index: self.index,
            participant: self.participant(),
            api: format!("http://{listen}"),
            config: path,
            data,
            log: self.dir.join(format!("node-{}.log", self.index)),
            sign_key: key(KeyPurpose::Sign),
            pid: None,
        })
    }
}

fn key_path(keys: &Path, index: usize, purpose: KeyPurpose) -> PathBuf {
    keys.join(format!("hospital-{index}-{purpose}.key"))
}

fn name(index: usize) -> String {
    match index {
        1 => "Example Hospital".into(),
        2 => "Lakeside Clinic".into(),
        3 => "Hill Street Practice".into(),
        4 => "Harbour Laboratory".into(),
        n => format!("Hospital {n}"),
    }
}

fn described(
    id: &str,
    name: &str,
    roles: &[&str],
    power: Option<u64>,
    keys: Vec<PathBuf>,
) -> DescribedParticipant {
    DescribedParticipant {
        id: id.into(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        jurisdiction: "EU".into(),
        name: name.into(),
        display_names: Default::default(),
        endpoint: String::new(),
        power,
        keys: keys.into_iter().map(|file| DescribedKey::File { file }).collect(),
    }
}

fn absolute(dir: &Path) -> Outcome<PathBuf> {
    std::path::absolute(dir).could_not(|| format!("find {}", dir.display()))
}

fn wait_for_signal() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .could_not(|| "wait for a signal")?;
    runtime.block_on(async {
        let mut end = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
            .could_not(|| "wait for a signal")?;
        tokio::select! {
            interrupt = tokio::signal::ctrl_c() => interrupt.could_not(|| "wait for a signal"),
            _ = end.recv() => Ok(()),
        }
    })
}
