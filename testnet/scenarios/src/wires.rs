//! The bad network below TCP: every node in a network namespace of its own, on a wire to a switch.
//!
//! ```text
//! node 1 | wire 10.77.1.1 ---- wire-1 [ left  ]          the validators' own network, through one switch,
//! node 2 | wire 10.77.1.2 ---- wire-2 [ left  ]          or through two that are not joined
//! ...
//! node 1 | door 10.77.2.1 ---- door-1 [ hall  ] 10.77.2.254    the clients' side: the story's own thread
//! ```
//!
//! Packets vanish here without a word: no connection is closed, nothing is answered. A node's own interface may be
//! down, the port of the switch, or nothing may be seen to be down at all; what is said may vanish in one direction
//! only, from one node to another, or above a size; a part of the packets may be lost, doubled or delayed. The
//! clients' side is not touched by any of that: a node that is cut off can still be asked.
//!
//! The interfaces, routes and addresses of the machine are not touched either, and nothing is left behind: the
//! namespaces have no names, and live as long as this process has them open or a node runs in them. When this process
//! ends, however it ends, a guard stops the nodes.
//!
//! Deliberately absent: `netem`, which few kernels of virtual machines have. Packets are chosen by `tc` filters, which
//! see the number that Linux gives each packet of a connection; one that is sent again has another.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::panic::resume_unwind;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use custos_testnet::{Network, binary};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::Skipped;

/// What a narrow wire lets through: a handshake and votes, and not a block.
pub const NARROW_BYTES: u32 = 600;

/// What a line does with some of the packets on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// One of 32 is lost.
    Lossy,
    /// One of 4 arrives twice.
    Doubled,
    /// One of 8 takes a slower way, and arrives after those that were sent behind it.
    Disordered,
}

impl Line {
    /// Which packets: their number under this mask is this.
    fn number_and_mask(self) -> (&'static str, &'static str) {
        match self {
            Line::Lossy => ("0x0003", "0x001f"),
            Line::Doubled => ("0x0001", "0x0003"),
            Line::Disordered => ("0x0005", "0x0007"),
        }
    }

    /// What becomes of them. A copy that leaves by the bridge itself goes where the bridge knows the receiver.
    fn action(self) -> (&'static str, &'static str) {
        match self {
            Line::Lossy => ("redirect", "sink"),
            Line::Doubled => ("mirror", "left"),
            Line::Disordered => ("redirect", "slow"),
        }
    }
}

/// The namespaces of a network, and what was done to its wires.
pub struct Wires {
    hall: Namespace,
    nodes: Vec<Namespace>,
    /// What ends the faults, in the order in which they were made.
    undo: Mutex<Vec<Undo>>,
}

/// A command that ends a fault: in a node's namespace, or in that of the switches.
struct Undo {
    node: Option<usize>,
    program: &'static str,
    arguments: String,
}

impl Wires {
    /// Makes the namespaces of so many nodes, and joins them.
    ///
    /// # Errors
    /// [`Skipped`] when this process may not, or the system lacks a part of it.
    pub fn lay(nodes: usize) -> Result<Self, Skipped> {
        let (hall, _) = Namespace::make()?;
        hall.ip("link set lo up\n\
             link add left type bridge\nlink set left up\n\
             link add right type bridge\nlink set right up\n\
             link add hall type bridge\naddress add 10.77.2.254/24 dev hall\nlink set hall up\n")
            .map_err(Skipped)?;
        let mut wires = Self { hall, nodes: Vec::new(), undo: Mutex::default() };
        for n in 1..=nodes {
            let (node, holder) = Namespace::make()?;
            let holder = holder.0.id();
            let (wire, door) = (mac(1, n), mac(2, n));
            wires
                .hall
                .ip(&format!(
                    "link add wire-{n} type veth peer name wire address {wire} netns {holder}\n\
                     link set wire-{n} master left up\n\
                     link add door-{n} type veth peer name door address {door} netns {holder}\n\
                     link set door-{n} master hall up\n",
                ))
                .map_err(Skipped)?;
            // One segment a packet: otherwise this kernel hands sixty thousand bytes over in one piece, which no MTU
            // stops, and which is lost or doubled as one.
            node.ip(&format!(
                "link set lo up\n\
                 address add 10.77.1.{n}/24 dev wire\nlink set wire gso_max_segs 1 up\n\
                 address add 10.77.2.{n}/24 dev door\nlink set door up\n",
            ))
            .map_err(Skipped)?;
            wires.nodes.push(node);
        }
        Ok(wires)
    }

    /// Moves the calling thread to the clients' side, with all threads and processes that it starts from now on. It has
    /// no way back.
    ///
    /// # Panics
    /// When the system does not let it.
    pub fn enter_hall(&self) {
        self.hall.enter();
    }

    /// Gives every node its addresses. Their configurations are rewritten: they must not run yet.
    ///
    /// # Panics
    /// When the network is larger than what was laid.
    pub fn connect(&self, network: &mut Network) {
        let names: Vec<String> = (1..=network.size()).map(|n| network.participant(n).to_string()).collect();
        assert!(names.len() <= self.nodes.len(), "there are fewer wires than nodes");
        for n in 1..=network.size() {
            let path = network.config(n);
            let text = std::fs::read_to_string(&path).expect("because the node has a configuration");
            let mut config: toml::Table = text.parse().expect("because the command wrote it");
            let port = last(config["api"]["listen"].as_str(), ':');
            let api = format!("10.77.2.{n}:{port}");
            config["api"]["listen"] = api.clone().into();
            let listens = format!("/ip4/10.77.1.{n}/tcp/{}", last(config["p2p"]["listen"].as_str(), '/'));
            config["p2p"]["listen"] = listens.into();
            let peers = config["p2p"]["peers"].as_array_mut().expect("because a node has peers");
            for peer in peers {
                let name = peer["participant"].as_str().unwrap_or_default();
                let to = 1 + names.iter().position(|other| other == name).expect("because peers are nodes");
                let port = last(peer["address"].as_str(), '/');
                peer["address"] = format!("/ip4/10.77.1.{to}/tcp/{port}").into();
            }
            let text = toml::to_string(&config).expect("because it was TOML");
            std::fs::write(&path, text).expect("because the folder is ours");
            network.move_api(n, &format!("http://{api}"));
        }
    }

    /// Starts a node in its namespace, and returns as soon as its process runs.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(&self, network: &Network, node: usize) {
        self.nodes[node - 1].within(|| network.start_without_waiting(node));
    }

    /// The switch passes on nothing from or to a node any more. Nobody sees a link go down.
    pub fn swallow(&self, node: usize) {
        let port = format!("link set wire-{node}");
        self.make(None, format!("{port} nomaster"), format!("{port} master left"));
    }

    /// The switch's end of a node's wire goes down: the node sees that there is no carrier.
    pub fn unplug(&self, node: usize) {
        self.make(None, format!("link set wire-{node} down"), format!("link set wire-{node} up"));
    }

    /// The node's own interface goes down: there is no route to anybody any more.
    pub fn shut(&self, node: usize) {
        self.make(Some(node), "link set wire down".into(), "link set wire up".into());
    }

    /// Puts these nodes on a second switch that is not joined to the first.
    pub fn part(&self, nodes: &[usize]) {
        for node in nodes {
            let port = format!("link set wire-{node} master");
            self.make(None, format!("{port} right"), format!("{port} left"));
        }
    }

    /// What one node sends to another vanishes; what the other sends arrives.
    pub fn deafen(&self, from: usize, to: usize) {
        self.misdirect(from, to, &mac(0xff, to));
    }

    /// Another node takes a node's address: it answers under it, and everybody else sends there.
    pub fn usurp(&self, address_of: usize, by: usize) {
        let address = format!("10.77.1.{address_of}/24 dev wire");
        self.make(Some(by), format!("address add {address}"), format!("address del {address}"));
        for other in (1..=self.nodes.len()).filter(|other| ![address_of, by].contains(other)) {
            self.misdirect(other, address_of, &mac(1, by));
        }
    }

    /// The switch's end of a node's wire drops what is larger than [`NARROW_BYTES`], without a word: no router is there
    /// to send one.
    pub fn narrow(&self, node: usize) {
        let port = format!("link set wire-{node} mtu");
        self.make(None, format!("{port} {NARROW_BYTES}"), format!("{port} 1500"));
    }

    /// Makes the lines bad on which these nodes speak.
    ///
    /// # Errors
    /// Why this system cannot choose packets.
    pub fn worsen(&self, nodes: &[usize], line: Line) -> Result<(), String> {
        self.heal();
        match line {
            Line::Lossy => self.try_make("link add sink type bridge\nlink set sink up", "link del sink")?,
            Line::Doubled => {}
            Line::Disordered => {
                self.try_make("link add slow type ifb\nlink set slow up", "link del slow")?;
                self.hall.run("tc", "qdisc add dev slow root tbf rate 256kbit burst 1600 limit 8000")?;
            }
        }
        let ((number, mask), (how, whereto)) = (line.number_and_mask(), line.action());
        for node in nodes {
            let port = format!("dev wire-{node}");
            self.hall.run("tc", &format!("qdisc add {port} clsact"))?;
            self.note(None, "tc", format!("qdisc del {port} clsact"));
            let filter = format!(
                "filter add {port} ingress protocol ip u32 match u16 {number} {mask} at 4 \
                 action mirred egress {how} dev {whereto}"
            );
            self.hall.run("tc", &filter)?;
        }
        Ok(())
    }

    /// How many packets the bad lines have chosen so far.
    #[must_use]
    pub fn touched(&self) -> u64 {
        let chosen = |node| {
            let filters = self.hall.run("tc", &format!("-s filter show dev wire-{node} ingress"));
            let filters = filters.unwrap_or_default();
            // Sent 67500 bytes 45 pkt (dropped 0, overlimits 0 requeues 0)
            let sent = filters.lines().filter_map(|line| line.trim().strip_prefix("Sent "));
            sent.filter_map(|rest| rest.split(' ').nth(2)?.parse::<u64>().ok()).sum::<u64>()
        };
        (1..=self.nodes.len()).map(chosen).sum()
    }

    /// A counter of a node's TCP, such as `TCPOFOQueue` (arrived out of order) or `TCPLossProbes`.
    #[must_use]
    pub fn tcp_counter(&self, node: usize, name: &str) -> u64 {
        let text = self.nodes[node - 1].within(|| std::fs::read_to_string("/proc/thread-self/net/netstat"));
        let text = text.unwrap_or_default();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(' ').collect()).collect();
        let found = lines.chunks_exact(2).find_map(|pair| {
            let at = pair[0].iter().position(|word| *word == name)?;
            pair[1].get(at)?.parse().ok()
        });
        found.unwrap_or_default()
    }

    /// Ends every fault.
    ///
    /// # Panics
    /// When the system does not let it.
    pub fn heal(&self) {
        let undo = std::mem::take(&mut *self.undo.lock().unwrap_or_else(PoisonError::into_inner));
        for Undo { node, program, arguments } in undo.iter().rev() {
            self.at(*node).run(program, arguments).expect("because what was done to a wire can be undone");
        }
    }

    /// Stops the network's nodes when this process ends without having stopped them, however it ends.
    ///
    /// # Panics
    /// When there is no shell.
    #[must_use]
    pub fn guard(network: &Network) -> Guard {
        let child = Command::new("sh")
            .args(["-c", "cat >/dev/null; exec \"$0\" testnet down --dir \"$1\""])
            .arg(binary())
            .arg(network.folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Not in the terminal's group: Ctrl-C is for this process, and what follows for the guard.
            .process_group(0)
            .spawn()
            .expect("because there is a shell");
        Guard(child)
    }

    fn at(&self, node: Option<usize>) -> &Namespace {
        node.map_or(&self.hall, |n| &self.nodes[n - 1])
    }

    fn misdirect(&self, from: usize, to: usize, mac: &str) {
        let neighbour = format!("10.77.1.{to} dev wire");
        let forget = format!("neighbour del {neighbour}");
        self.make(Some(from), format!("neighbour replace {neighbour} lladdr {mac} nud permanent"), forget);
    }

    fn make(&self, node: Option<usize>, what: String, undo: String) {
        self.at(node).ip(&what).expect("because wires of this kind can be made bad");
        self.note(node, "ip", undo);
    }

    fn try_make(&self, what: &str, undo: &str) -> Result<(), String> {
        self.hall.ip(what)?;
        self.note(None, "ip", undo.into());
        Ok(())
    }

    fn note(&self, node: Option<usize>, program: &'static str, arguments: String) {
        let undo = Undo { node, program, arguments };
        self.undo.lock().unwrap_or_else(PoisonError::into_inner).push(undo);
    }
}

/// Waits for the end of this process, or its own; see [`Wires::guard`].
pub struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// A network namespace, as long as it is held.
struct Namespace(File);

/// The process in which a namespace was made; gone when dropped.
struct Holder(Child);

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

impl Namespace {
    fn make() -> Result<(Self, Holder), Skipped> {
        let child = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo made; read _"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Skipped(format!("there is no `unshare`: {error}")))?;
        let mut holder = Holder(child);
        let mut said = String::new();
        if let Some(out) = holder.0.stdout.take() {
            let _ = BufReader::new(out).read_line(&mut said);
        }
        if said.trim() != "made" {
            let mut why = String::new();
            if let Some(errors) = holder.0.stderr.take() {
                let _ = BufReader::new(errors).read_line(&mut why);
            }
            return Err(Skipped(format!("this user may not make network namespaces here: {}", why.trim())));
        }
        let path = format!("/proc/{}/ns/net", holder.0.id());
        let file = File::open(&path).map_err(|error| Skipped(format!("{path}: {error}")))?;
        Ok((Self(file), holder))
    }

    /// Moves the calling thread here.
    fn enter(&self) {
        move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network))
            .expect("because who may make a namespace may enter it");
    }

    /// Does something here, in a thread of its own.
    fn within<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                self.enter();
                what()
            });
            inside.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// Commands of `ip`, one a line.
    fn ip(&self, lines: &str) -> Result<(), String> {
        self.within(|| {
            let mut child = Command::new("ip")
                .args(["-batch", "-"])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .map_err(|_| "there is no `ip`; type: apt-get install -y iproute2".to_owned())?;
            if let Some(mut stdin) = child.stdin.take() {
                stdin.write_all(lines.as_bytes()).and_then(|()| stdin.write_all(b"\n")).map_err(said)?;
            }
            let output = child.wait_with_output().map_err(said)?;
            let words = String::from_utf8_lossy(&output.stderr).trim().replace('\n', " ");
            if output.status.success() { Ok(()) } else { Err(format!("ip {lines:?}: {words}")) }
        })
    }

    /// One command; gives back what it says.
    fn run(&self, program: &str, arguments: &str) -> Result<String, String> {
        self.within(|| {
            let output = Command::new(program).args(arguments.split_ascii_whitespace()).output();
            let output = output.map_err(|error| format!("there is no `{program}`: {error}"))?;
            let words = String::from_utf8_lossy(&output.stderr).trim().replace('\n', " ");
            match output.status.success() {
                true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
                false => Err(format!("{program} {arguments}: {words}")),
            }
        })
    }
}

fn said(error: std::io::Error) -> String {
    format!("ip: {error}")
}

/// The hardware address of a node's interface. Nobody has one that begins with 0xff: what is sent there is sent to nobody.
fn mac(interface: u8, node: usize) -> String {
    format!("02:00:00:00:{interface:02x}:{node:02x}")
}

/// What stands behind the last of these characters.
fn last(text: Option<&str>, behind: char) -> &str {
    text.and_then(|text| text.rsplit(behind).next()).expect("because addresses end in a port")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{ErrorKind, Read as _};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    /// Two nodes, and a connection from the first to the second; nothing where that is not permitted.
    fn pair() -> Option<(Wires, TcpStream, TcpStream)> {
        let wires = match Wires::lay(2) {
            Ok(wires) => wires,
            Err(Skipped(why)) => {
                eprintln!("not shown here: {why}");
                return None;
            }
        };
        let listener = wires.nodes[1].within(|| TcpListener::bind("10.77.1.2:700")).unwrap();
        let dialer = wires.nodes[0].within(|| TcpStream::connect("10.77.1.2:700")).unwrap();
        let (accepted, from) = listener.accept().unwrap();
        assert_eq!(from.ip().to_string(), "10.77.1.1");
        for stream in [&dialer, &accepted] {
            stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            stream.set_nodelay(true).unwrap();
        }
        Some((wires, dialer, accepted))
    }

    fn passes(from: &mut TcpStream, to: &mut TcpStream, bytes: usize) -> Result<(), ErrorKind> {
        from.write_all(&vec![7; bytes]).map_err(|error| error.kind())?;
        to.read_exact(&mut vec![0; bytes]).map_err(|error| error.kind())
    }

    #[test]
    fn what_is_swallowed_breaks_nothing_and_arrives_when_healed() {
        let Some((wires, mut dialer, mut accepted)) = pair() else { return };
        assert_eq!(passes(&mut dialer, &mut accepted, 10), Ok(()));
        for fault in [Wires::swallow, Wires::unplug, Wires::shut] {
            fault(&wires, 2);
            assert_eq!(passes(&mut dialer, &mut accepted, 10), Err(ErrorKind::WouldBlock));
            wires.heal();
            accepted.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            accepted.read_exact(&mut [0; 10]).unwrap();
            accepted.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            assert_eq!(passes(&mut accepted, &mut dialer, 10), Ok(()));
        }
    }

    #[test]
    fn large_packets_do_not_pass_a_narrow_wire_and_small_ones_do() {
        let Some((wires, mut dialer, mut accepted)) = pair() else { return };
        wires.narrow(2);
        assert_eq!(passes(&mut dialer, &mut accepted, 400), Ok(()));
        assert_eq!(passes(&mut dialer, &mut accepted, 1400), Err(ErrorKind::WouldBlock));
    }

    #[test]
    fn who_takes_an_address_breaks_the_connections_of_its_owner() {
        let Some(wires) = Wires::lay(3).ok() else { return };
        let listener = wires.nodes[1].within(|| TcpListener::bind("10.77.1.2:700")).unwrap();
        let mut dialer = wires.nodes[0].within(|| TcpStream::connect("10.77.1.2:700")).unwrap();
        let _accepted = listener.accept().unwrap();
        wires.usurp(2, 3);
        let _ = dialer.write_all(&[1]);
        dialer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        assert_eq!(dialer.read(&mut [0]).map_err(|error| error.kind()), Err(ErrorKind::ConnectionReset));
    }

    #[test]
    fn bad_lines_touch_packets_and_tcp_mends_them() {
        let Some((wires, mut dialer, mut accepted)) = pair() else { return };
        accepted.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        for line in [Line::Lossy, Line::Doubled, Line::Disordered] {
            if let Err(why) = wires.worsen(&[1, 2], line) {
                eprintln!("not shown here: {why}");
                continue;
            }
            let mut writer = dialer.try_clone().unwrap();
            let sent = thread::spawn(move || writer.write_all(&vec![3; 400_000]));
            accepted.read_exact(&mut vec![0; 400_000]).unwrap();
            sent.join().unwrap().unwrap();
            assert!(wires.touched() > 0, "{line:?} touched nothing");
            wires.heal();
            assert_eq!(passes(&mut dialer, &mut accepted, 10), Ok(()));
        }
    }
}
