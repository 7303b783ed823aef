//! The bad network between the nodes: a proxy on every directed link, which any user can run.
//!
//! Each node is told that its peers live at the proxy's addresses, one per pair and direction of dialing.
//! A link passes everything on until it is told otherwise, at once and for all its connections:
//!
//! ```text
//! Pass         what arrives goes out
//! Cut          connections break, new ones are closed at once         a cable pulled, a firewall that answers
//! Silent       nothing moves, nothing breaks                          a firewall that drops, a switch that hangs
//! OneWay       what the dialer says arrives, answers do not           asymmetric routing
//! HalfClosed   the answering direction is shut down                   a broken middlebox
//! Delay        every piece arrives late                               a long line
//! Lossy        pieces are missing from the stream                     what TCP promises, broken
//! Flips        bits are turned                                        the same, worse
//! ```
//!
//! Deliberately absent: bandwidth limits, and faults below TCP, which are made in `wires.rs`.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use custos_testnet::Network;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::Chance;

/// The largest piece that is passed on at once.
const PIECE_BYTES: usize = 64 * 1024;

/// What a link does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Passes everything on.
    Pass,
    /// Breaks connections and closes new ones.
    Cut,
    /// Passes nothing on and breaks nothing.
    Silent,
    /// Passes on what the dialer says and swallows nothing else: answers wait.
    OneWay,
    /// Shuts the answering direction down.
    HalfClosed,
    /// Passes every piece on after so many milliseconds.
    Delay(u64),
    /// Leaves out so many of a thousand pieces.
    Lossy(u64),
    /// Turns a bit in so many of a thousand pieces.
    Flips(u64),
}

/// One directed link.
struct Link {
    from: usize,
    to: usize,
    mode: watch::Sender<Mode>,
}

/// The proxies of a network.
pub struct Mesh {
    links: Vec<Link>,
    connections: Arc<AtomicU64>,
    /// The nodes' own ports: free while they do not run, and theirs.
    taken: BTreeSet<u16>,
    runtime: Runtime,
}

impl Mesh {
    /// Puts a proxy on every link between these nodes. Their configurations are rewritten: they must not run yet.
    ///
    /// # Panics
    /// When there is no room for the proxies.
    #[must_use]
    pub fn between(network: &Network, nodes: &[usize]) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("because the system has room for a thread");
        let mut mesh =
            Self { links: Vec::new(), connections: Arc::default(), taken: BTreeSet::new(), runtime };
        for node in 1..=network.size() {
            mesh.taken.extend(ports_of(&network.config(node)));
        }
        for from in nodes {
            let path = network.config(*from);
            let text = std::fs::read_to_string(&path).expect("because the node has a configuration");
            let mut config: toml::Table = text.parse().expect("because the command wrote it");
            let peers = config["p2p"]["peers"].as_array_mut().expect("because a node has peers");
            for to in nodes.iter().filter(|to| *to != from) {
                let name = network.participant(*to).to_string();
                let peer = peers
                    .iter_mut()
                    .find(|peer| peer["participant"].as_str() == Some(&name))
                    .expect("because every node is a peer of every other");
                let address = peer["address"].as_str().unwrap_or_default();
                let port = address.rsplit('/').next().and_then(|port| port.parse().ok());
                let target = (Ipv4Addr::LOCALHOST, port.expect("because addresses end in a port")).into();
                let listens = mesh.add(*from, *to, target);
                peer["address"] = format!("/ip4/127.0.0.1/tcp/{}", listens.port()).into();
            }
            let text = toml::to_string(&config).expect("because it was TOML");
            std::fs::write(&path, text).expect("because the folder is ours");
        }
        mesh
    }

    fn add(&mut self, from: usize, to: usize, target: SocketAddr) -> SocketAddr {
        let (mode, seen) = watch::channel(Mode::Pass);
        let mut held = Vec::new();
        let listener = loop {
            let listener = self
                .runtime
                .block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
                .expect("because there are free ports");
            let port = listener.local_addr().map_or(0, |address| address.port());
            match self.taken.contains(&port) {
                true => held.push(listener),
                false => break listener,
            }
        };
        let address = listener.local_addr().expect("because it listens");
        self.runtime.spawn(accept(listener, target, seen, Arc::clone(&self.connections)));
        self.links.push(Link { from, to, mode });
        address
    }

    /// Sets every link between a node of `these` and a node of `those`, whoever dials.
    pub fn set(&self, these: &[usize], those: &[usize], mode: Mode) {
        for link in &self.links {
            let between = |a: &[usize], b: &[usize]| a.contains(&link.from) && b.contains(&link.to);
            if between(these, those) || between(those, these) {
                link.mode.send_replace(mode);
            }
        }
    }

    /// Sets every link on which one of `these` dials.
    pub fn set_dialed_by(&self, these: &[usize], mode: Mode) {
        for link in self.links.iter().filter(|link| these.contains(&link.from)) {
            link.mode.send_replace(mode);
        }
    }

    /// Every link passes everything on again.
    pub fn heal(&self) {
        for link in &self.links {
            link.mode.send_replace(Mode::Pass);
        }
    }

    /// How many connections were made so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}

/// The numbers at the ends of the addresses in a node's configuration.
fn ports_of(config: &Path) -> Vec<u16> {
    let text = std::fs::read_to_string(config).unwrap_or_default();
    let quoted = text.lines().filter_map(|line| line.split('"').nth(1));
    quoted.filter_map(|value| value.rsplit([':', '/']).next()?.parse().ok()).collect()
}

async fn accept(
    listener: TcpListener,
    target: SocketAddr,
    mode: watch::Receiver<Mode>,
    connections: Arc<AtomicU64>,
) {
    while let Ok((dialer, _)) = listener.accept().await {
        if *mode.borrow() == Mode::Cut {
            continue;
        }
        let number = connections.fetch_add(1, Ordering::Relaxed);
        let mode = mode.clone();
        tokio::spawn(async move {
            let Ok(listening) = TcpStream::connect(target).await else { return };
            let _ = (dialer.set_nodelay(true), listening.set_nodelay(true));
            let (from_dialer, to_dialer) = dialer.into_split();
            let (from_listening, to_listening) = listening.into_split();
            let there = Pump { from: from_dialer, to: to_listening, mode: mode.clone(), answers: false };
            let back = Pump { from: from_listening, to: to_dialer, mode, answers: true };
            tokio::join!(there.run(Chance(number << 1 | 1)), back.run(Chance(number << 2 | 1)));
        });
    }
}

/// One direction of one connection.
struct Pump {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    mode: watch::Receiver<Mode>,
    /// Whether this is the direction back to the dialer.
    answers: bool,
}

impl Pump {
    async fn run(mut self, mut chance: Chance) {
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let mode = *self.mode.borrow_and_update();
            let stands = match mode {
                Mode::Cut => return,
                Mode::Silent => true,
                Mode::OneWay => self.answers,
                Mode::HalfClosed if self.answers => {
                    let _ = self.to.shutdown().await;
                    true
                }
                _ => false,
            };
            if stands {
                if self.mode.changed().await.is_err() {
                    return;
                }
                continue;
            }
            let read = tokio::select! {
                read = self.from.read(&mut piece) => read,
                changed = self.mode.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
            };
            let Some(length) = read.ok().filter(|length| *length > 0) else {
                let _ = self.to.shutdown().await;
                return;
            };
            match mode {
                Mode::Delay(ms) => sleep(Duration::from_millis(ms)).await,
                Mode::Lossy(per_mille) if chance.below(1000) < per_mille => continue,
                Mode::Flips(per_mille) if chance.below(1000) < per_mille => {
                    let bit = usize::try_from(chance.below(length as u64 * 8)).unwrap_or_default();
                    piece[bit / 8] ^= 1 << (bit % 8);
                }
                _ => {}
            }
            let mut watched = self.mode.clone();
            let cut = async {
                let _ = watched.wait_for(|mode| *mode == Mode::Cut).await;
            };
            let written = tokio::select! {
                written = self.to.write_all(&piece[..length]) => written.is_ok(),
                () = cut => false,
            };
            if !written {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};

    /// A server that answers every byte with the next one.
    fn server() -> SocketAddr {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    let mut byte = [0];
                    while stream.read_exact(&mut byte).is_ok() {
                        if stream.write_all(&[byte[0].wrapping_add(1)]).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        address
    }

    fn mesh() -> (Mesh, SocketAddr) {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut mesh =
            Mesh { links: Vec::new(), connections: Arc::default(), taken: BTreeSet::new(), runtime };
        let address = mesh.add(1, 2, server());
        (mesh, address)
    }

    fn dial(address: SocketAddr) -> std::net::TcpStream {
        let stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
        stream
    }

    fn asks(stream: &mut std::net::TcpStream, byte: u8) -> Result<u8, std::io::ErrorKind> {
        let mut answer = [0];
        stream.write_all(&[byte]).and_then(|()| stream.read_exact(&mut answer)).map_err(|e| e.kind())?;
        Ok(answer[0])
    }

    #[test]
    fn a_link_passes_cuts_and_passes_again() {
        let (mesh, address) = mesh();
        let mut stream = dial(address);
        assert_eq!(asks(&mut stream, 1), Ok(2));
        mesh.set(&[2], &[1], Mode::Cut);
        std::thread::sleep(Duration::from_millis(100));
        assert!(asks(&mut stream, 1).is_err());
        assert!(asks(&mut dial(address), 1).is_err());
        mesh.heal();
        assert_eq!(asks(&mut dial(address), 5), Ok(6));
    }

    #[test]
    fn a_silent_link_breaks_nothing_and_goes_on() {
        let (mesh, address) = mesh();
        let mut stream = dial(address);
        assert_eq!(asks(&mut stream, 1), Ok(2));
        mesh.set(&[1], &[2], Mode::Silent);
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(asks(&mut stream, 3), Err(std::io::ErrorKind::WouldBlock));
        mesh.heal();
        let mut answer = [0];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!((answer, asks(&mut stream, 7)), ([4], Ok(8)));
    }

    #[test]
    fn what_is_lost_or_turned_is_lost_or_turned() {
        let (mesh, address) = mesh();
        mesh.set_dialed_by(&[1], Mode::Lossy(1000));
        assert_eq!(asks(&mut dial(address), 1), Err(std::io::ErrorKind::WouldBlock));
        mesh.set_dialed_by(&[1], Mode::Flips(1000));
        let answered = asks(&mut dial(address), 0).unwrap();
        // One bit on the way there, one on the way back.
        assert_ne!(answered, 1);
    }
}
