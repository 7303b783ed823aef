//! A flood of junk on every port: bytes that mean nothing, requests that never end, connections that are
//! only held, bodies without measure; while honest clients go on.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use custos_testnet::Network;

use super::{FOUR, PATIENCE, seconds};
use crate::clients::{Load, Pace};
use crate::{Chance, Plan, Seen, Skipped, Story, Told, checks};

pub(super) const STORY: Story = Story {
    name: "flood",
    fault: "junk, endless requests and idle connections on every port of every node",
    is_short: false,
    tell,
};

/// Connections that one attacker holds open at a port.
const HELD: usize = 40;
/// How much memory a node may take for all that, in kilobytes.
const MOST_RESIDENT_KB: u64 = 400 * 1024;

fn tell(plan: &Plan) -> Result<Told, Skipped> {
    let mut network = Network::up(4);
    let load = Load::start(&network, &Pace::gentle());
    load.wait_for(4, PATIENCE);
    let before: Vec<u64> = FOUR.iter().filter_map(|node| network.resident_kb(*node)).collect();
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut attackers = Vec::new();
    for node in FOUR {
        for (port, is_api) in ports(&network, node) {
            let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
            attackers.push(thread::spawn(move || attack(port, is_api, &stop, &sent)));
        }
    }
    let some = plan.times(15, 100) as u64;
    let took = load.wait_for(some, Duration::from_secs(600));
    let resident: Vec<u64> = FOUR.iter().filter_map(|node| network.resident_kb(*node)).collect();
    stop.store(true, Ordering::Relaxed);
    for attacker in attackers {
        attacker.join().expect("because an attacker only writes");
    }
    let most = resident.iter().max().copied().unwrap_or_default();
    assert!(most < MOST_RESIDENT_KB, "a node takes {most} KB under a flood");
    let seen = Seen::new(
        format!(
            "{} attacks by eight attackers, {HELD} idle connections held at each port",
            sent.load(Ordering::Relaxed)
        ),
        format!(
            "{some} submissions recorded in {}; the largest node took {} MB, before {} MB",
            seconds(took),
            most / 1024,
            before.iter().max().copied().unwrap_or_default() / 1024
        ),
        "`custos_http_requests` by status 4xx rises; nothing else",
    );
    let kept = load.finish();
    Ok(Told { seen: vec![seen], checked: checks::whole(&mut network, &FOUR, &kept) })
}

/// A node's ports: the API's, and the one for peers.
fn ports(network: &Network, node: usize) -> [(SocketAddr, bool); 2] {
    let text = std::fs::read_to_string(network.config(node)).expect("because nodes have a configuration");
    let config: toml::Table = text.parse().expect("because the command wrote it");
    let api = config["api"]["listen"].as_str().and_then(|listen| listen.parse().ok());
    let port = config["p2p"]["listen"].as_str().and_then(|listen| listen.rsplit('/').next()?.parse().ok());
    let peers = port.map(|port: u16| SocketAddr::from(([127, 0, 0, 1], port)));
    [
        (api.expect("because the command writes an address"), true),
        (peers.expect("because the command writes a port"), false),
    ]
}

fn attack(port: SocketAddr, is_api: bool, stop: &AtomicBool, sent: &AtomicU64) {
    let mut chance = Chance(u64::from(port.port()) << 1 | 1);
    let mut held: Vec<TcpStream> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let Ok(mut stream) = TcpStream::connect_timeout(&port, Duration::from_secs(2)) else {
            sleep(Duration::from_millis(50));
            continue;
        };
        let _ = stream.set_write_timeout(Some(Duration::from_secs(1)));
        let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
        let bytes = match is_api {
            true => request(&mut chance),
            false => opening(&mut chance),
        };
        sent.fetch_add(1, Ordering::Relaxed);
        let written = stream.write_all(&bytes).is_ok();
        match chance.below(4) {
            // Left as it is: half a request, half a handshake, and then nothing.
            0 if written && held.len() < HELD => held.push(stream),
            1 => drop(stream),
            _ => {
                let _ = stream.read(&mut [0; 512]);
            }
        }
        if chance.below(400) == 0 {
            held.clear();
        }
        sleep(Duration::from_millis(15));
    }
}

/// What an HTTP server should be able to bear.
fn request(chance: &mut Chance) -> Vec<u8> {
    let junk: Vec<u8> = (0..chance.below(3000)).map(|_| chance.below(256) as u8).collect();
    let post = |length: usize, body: &[u8]| {
        let head = format!(
            "POST /v1/submissions?wait=committed HTTP/1.1\r\nhost: x\r\ncontent-type: application/cbor\r\ncontent-length: {length}\r\n\r\n"
        );
        [head.as_bytes(), body].concat()
    };
    match chance.below(8) {
        0 => junk,
        1 => b"GET /v1/status HTTP/1.1\r\nhost: x\r\n".to_vec(),
        2 => post(junk.len(), &junk),
        3 => post(1 << 40, &junk),
        4 => [b"GET / HTTP/1.1\r\n".as_slice(), "a: b\r\n".repeat(4000).as_bytes()].concat(),
        5 => [b"GET /".as_slice(), &vec![b'a'; 100_000], b" HTTP/1.1\r\n\r\n"].concat(),
        6 => b"POST /v1/submissions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n".to_vec(),
        _ => b"GET /v1/headers/18446744073709551615 HTTP/1.1\r\nhost: x\r\n\r\nGET /v1/trails/zz HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
    }
}

/// What a libp2p listener should be able to bear.
fn opening(chance: &mut Chance) -> Vec<u8> {
    let junk: Vec<u8> = (0..chance.below(3000)).map(|_| chance.below(256) as u8).collect();
    let hello = b"\x13/multistream/1.0.0\n";
    match chance.below(5) {
        0 => junk,
        1 => hello.to_vec(),
        2 => [hello.as_slice(), b"\x07/noise\n", &junk].concat(),
        3 => [hello.as_slice(), b"\xff\xff\xff\xff\x7f", &junk].concat(),
        _ => Vec::new(),
    }
}
