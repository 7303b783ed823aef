//! Who gets in, and what those who do not get can reach: nothing.
//!
//! The stranger of these tests is an ordinary libp2p program with a random key. It speaks no
//! Identify. It knows the validator's address and protocol names, opens the validator's own streams
//! and writes well-formed frames into them, and accepts every stream the validator might open.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use custos_network::{
    Channel, Config, Inbound, MAX_VOTE_BYTES, Network, PeerKey, SyncEvent, local_key, start,
};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, StreamExt};
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, StreamProtocol, Swarm, SwarmBuilder, identity, noise, tcp, yamux};
use tokio::time::{Instant, sleep, timeout};

const CHAIN: [u8; 32] = [0xab; 32];

async fn node(seed: u8, allowed: &[u8], addresses: &[(u8, String)]) -> (Network, Inbound) {
    node_at(seed, "/ip4/127.0.0.1/tcp/0", allowed, addresses).await
}

async fn node_at(seed: u8, listen: &str, allowed: &[u8], addresses: &[(u8, String)]) -> (Network, Inbound) {
    start(Config {
        seed: [seed; 32],
        listen: listen.into(),
        chain: CHAIN,
        addresses: addresses.iter().map(|(seed, address)| (key(*seed), address.clone())).collect(),
        allowed: set(allowed),
    })
    .await
    .unwrap()
}

fn key(seed: u8) -> PeerKey {
    local_key(&[seed; 32]).unwrap()
}

fn set(seeds: &[u8]) -> BTreeSet<PeerKey> {
    seeds.iter().map(|seed| key(*seed)).collect()
}

fn address(node: &Network) -> String {
    node.listening().remove(0)
}

async fn connected(node: &Network, to: PeerKey) {
    let mut peers = node.peers();
    timeout(Duration::from_secs(10), peers.wait_for(|peers| peers.contains(&to)))
        .await
        .expect("no connection")
        .unwrap();
}

async fn disconnected(node: &Network, from: PeerKey) {
    let mut peers = node.peers();
    timeout(Duration::from_secs(10), peers.wait_for(|peers| !peers.contains(&from)))
        .await
        .expect("still there")
        .unwrap();
}

/// What the foreign program wrote and read.
#[derive(Default)]
struct Ledger {
    streams_opened_to_us: AtomicU64,
    bytes_received: AtomicU64,
}

/// A codec that writes what it is given and swallows, or ignores, what it gets.
#[derive(Clone)]
struct Raw {
    seen: Arc<Ledger>,
    reads: bool,
}

#[async_trait::async_trait]
impl request_response::Codec for Raw {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        self.seen.streams_opened_to_us.fetch_add(1, Ordering::Relaxed);
        if !self.reads {
            futures::future::pending::<()>().await;
        }
        let mut buffer = [0; 1024];
        loop {
            match io.read(&mut buffer).await? {
                0 => return Ok(Vec::new()),
                count => self.seen.bytes_received.fetch_add(count as u64, Ordering::Relaxed),
            };
        }
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        let mut all = Vec::new();
        io.read_to_end(&mut all).await?;
        Ok(all)
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, bytes: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        io.write_all(&bytes).await?;
        io.flush().await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, _: &mut T, _: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        Ok(())
    }
}

/// A plain libp2p program that knows the names of our streams.
fn program(seed: Option<u8>, reads: bool) -> (Swarm<request_response::Behaviour<Raw>>, Arc<Ledger>) {
    let keypair = match seed {
        Some(seed) => identity::Keypair::ed25519_from_bytes([seed; 32]).unwrap(),
        None => identity::Keypair::generate_ed25519(),
    };
    let seen = Arc::new(Ledger::default());
    let raw = Raw { seen: Arc::clone(&seen), reads };
    let names = ["votes", "parts", "submissions", "sync"].map(|class| {
        let name = StreamProtocol::try_from_owned(format!("/custos/1/{}/{class}", "ab".repeat(8))).unwrap();
        (name, ProtocolSupport::Full)
    });
    let behaviour = request_response::Behaviour::with_codec(
        raw,
        names,
        request_response::Config::default().with_request_timeout(Duration::from_secs(60)),
    );
    let swarm = SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(|_| behaviour)
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(60)))
        .build();
    (swarm, seen)
}

/// Dials again and again for a while, and writes `frame` into `streams` streams of every connection it
/// gets. Returns how many connections came up as far as the dialer could see, and how many closed.
async fn knock(
    swarm: &mut Swarm<request_response::Behaviour<Raw>>,
    target: &str,
    (streams, frame): (usize, &[u8]),
    lasting: Duration,
) -> (u64, u64) {
    let target: Multiaddr = target.parse().unwrap();
    let (mut came_up, mut closed) = (0, 0);
    let end = Instant::now() + lasting;
    let mut redial = tokio::time::interval(Duration::from_millis(100));
    while Instant::now() < end {
        tokio::select! {
            event = swarm.select_next_some() => match event {
                SwarmEvent::ConnectionEstablished { peer_id, .. } => {
                    came_up += 1;
                    for _ in 0..streams {
                        swarm.behaviour_mut().send_request(&peer_id, frame.to_vec());
                    }
                }
                SwarmEvent::ConnectionClosed { .. } => closed += 1,
                _ => {}
            },
            _ = redial.tick() => {
                if swarm.connected_peers().next().is_none() {
                    let _ = swarm.dial(target.clone());
                }
            }
        }
    }
    (came_up, closed)
}

/// A well-formed frame of the votes stream.
fn vote_frame() -> Vec<u8> {
    [[0, 0, 0, 4, 1].as_slice(), b"vote"].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_that_never_identifies_itself_hears_nothing_and_is_not_heard() {
    let (a, mut a_in) = node(1, &[2], &[]).await;
    let (b, mut b_in) = node(2, &[1], &[(1, address(&a))]).await;
    connected(&a, key(2)).await;
    connected(&b, key(1)).await;
    let before = a.counters();

    let (mut stranger, seen) = program(None, true);
    // The validators keep talking while the stranger knocks.
    let talker = a.clone();
    let talking = tokio::spawn(async move {
        loop {
            talker.broadcast(Channel::Consensus, b"a vote");
            talker.broadcast(Channel::Parts, &[1; 1000]);
            sleep(Duration::from_millis(5)).await;
        }
    });
    let heard = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&heard);
    let reading = tokio::spawn(async move {
        loop {
            tokio::select! {
                Some(_) = b_in.votes.recv() => counted.fetch_add(1, Ordering::Relaxed),
                Some(_) = b_in.parts.recv() => 0,
                else => break,
            };
        }
    });
    let (came_up, closed) =
        knock(&mut stranger, &address(&a), (3, &vote_frame()), Duration::from_secs(4)).await;
    talking.abort();

    assert!(came_up > 0, "the stranger never got through the handshake, so nothing was shown");
    assert_eq!(came_up, closed, "a connection of the stranger stayed open");
    assert_eq!(seen.streams_opened_to_us.load(Ordering::Relaxed), 0);
    assert_eq!(seen.bytes_received.load(Ordering::Relaxed), 0, "the stranger received something");
    let after = a.counters();
    assert_eq!(after.streams_accepted, before.streams_accepted, "a stream of the stranger was accepted");
    assert!(after.refused >= came_up);
    assert_eq!(after.violations, 0);
    // B sends nothing but signs of life; not one frame of the stranger's was looked at.
    assert!(a_in.votes.try_recv().is_err());
    assert!(after.frames_decoded - before.frames_decoded <= 3, "{before:?} {after:?}");
    assert!(heard.load(Ordering::Relaxed) > 200, "the validators were disturbed");
    reading.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_program_with_an_admitted_key_is_heard() {
    // So that the test above shows admission and not a program that does not work.
    let (a, mut a_in) = node(1, &[7], &[]).await;
    let (mut admitted, seen) = program(Some(7), true);
    let target = address(&a);
    let knocking = async { knock(&mut admitted, &target, (1, &vote_frame()), Duration::from_secs(3)).await };
    let heard = async {
        let frame = timeout(Duration::from_secs(3), a_in.votes.recv()).await.unwrap().unwrap();
        assert_eq!((frame.peer, &frame.payload[..]), (key(7), b"vote".as_slice()));
    };
    tokio::join!(knocking, heard);
    assert!(seen.streams_opened_to_us.load(Ordering::Relaxed) > 0);
    assert!(a.counters().frames_decoded > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_not_listed_is_refused_in_both_directions() {
    let (a, _a_in) = node(1, &[2], &[]).await;
    // It lists us; we do not list it.
    let (unlisted, mut unlisted_in) = node(3, &[1], &[(1, address(&a))]).await;
    sleep(Duration::from_secs(2)).await;
    a.broadcast(Channel::Consensus, b"secret");
    unlisted.broadcast(Channel::Consensus, b"junk");
    sleep(Duration::from_millis(300)).await;
    assert!(a.peers().borrow().is_empty());
    assert!(unlisted_in.votes.try_recv().is_err());
    let counters = a.counters();
    assert!(counters.refused > 0);
    assert_eq!((counters.streams_accepted, counters.frames_decoded, counters.frames_queued), (0, 0, 0));
    // And we do not dial whom we do not list, address or not.
    let (c, _c_in) = node(4, &[], &[(1, address(&a))]).await;
    sleep(Duration::from_millis(500)).await;
    assert!(c.peers().borrow().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_removed_while_connected_is_cut_at_once_and_may_come_back() {
    let (a, mut a_in) = node(1, &[2], &[]).await;
    let (b, _b_in) = node(2, &[1], &[(1, address(&a))]).await;
    connected(&b, key(1)).await;
    connected(&a, key(2)).await;
    b.broadcast(Channel::Consensus, b"before");
    assert_eq!(
        &timeout(Duration::from_secs(5), a_in.votes.recv()).await.unwrap().unwrap().payload[..],
        b"before"
    );
    let at = Instant::now();
    a.allow(BTreeSet::new()).await;
    disconnected(&a, key(2)).await;
    disconnected(&b, key(1)).await;
    assert!(at.elapsed() < Duration::from_secs(1), "{:?}", at.elapsed());
    b.broadcast(Channel::Consensus, b"after");
    sleep(Duration::from_secs(1)).await;
    assert!(a_in.votes.try_recv().is_err());
    a.allow(set(&[2])).await;
    connected(&a, key(2)).await;
    connected(&b, key(1)).await;
    b.broadcast(Channel::Consensus, b"again");
    assert_eq!(
        &timeout(Duration::from_secs(5), a_in.votes.recv()).await.unwrap().unwrap().payload[..],
        b"again"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oversize_or_misplaced_frame_cuts_the_connection_and_is_charged() {
    let over = u32::try_from(MAX_VOTE_BYTES + 1).unwrap().to_be_bytes();
    let oversize = [over.as_slice(), &[1], &[0; 64]].concat();
    let misplaced = [[0, 0, 0, 1, 4].as_slice(), b"p"].concat();
    let unknown = [[0, 0, 0, 1, 99].as_slice(), b"?"].concat();
    for (seed, frame) in [(7, oversize), (8, misplaced), (9, unknown)] {
        let (a, mut a_in) = node(1, &[seed], &[]).await;
        let (mut program, _) = program(Some(seed), true);
        let (came_up, closed) = knock(&mut program, &address(&a), (1, &frame), Duration::from_secs(2)).await;
        assert!(came_up > 0 && closed > 0, "{came_up} {closed}");
        assert!(a.violations_of(key(seed)) > 0);
        assert!(a_in.votes.try_recv().is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_does_not_read_holds_up_nobody_else_and_its_losses_are_counted() {
    let (a, _a_in) = node(1, &[2, 7], &[]).await;
    let (b, mut b_in) = node(2, &[1], &[(1, address(&a))]).await;
    connected(&a, key(2)).await;
    connected(&b, key(1)).await;
    let (mut deaf, _) = program(Some(7), false);
    let target = address(&a);
    let deaf = tokio::spawn(async move { knock(&mut deaf, &target, (0, &[]), Duration::from_secs(8)).await });
    connected(&a, key(7)).await;
    // B keeps its submissions moving; the deaf peer's queue fills and refuses.
    let mut submissions = b_in.submissions;
    let draining = tokio::spawn(async move { while submissions.recv().await.is_some() {} });
    let mut slowest = Duration::ZERO;
    for _ in 0..40 {
        for _ in 0..10 {
            a.broadcast(Channel::Submissions, &[5; 64 * 1024]);
        }
        let at = Instant::now();
        a.broadcast(Channel::Consensus, b"urgent");
        timeout(Duration::from_secs(5), b_in.votes.recv())
            .await
            .expect("a vote starved behind submissions")
            .unwrap();
        slowest = slowest.max(at.elapsed());
    }
    println!("slowest vote behind 640 KiB of submissions each: {slowest:?}");
    let linked = a.peers().borrow().contains(&key(7));
    assert!(linked && a.counters().frames_dropped > 0, "linked: {linked}, {:?}", a.counters());
    draining.abort();
    deaf.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_answered_or_fail_when_the_peer_goes() {
    let (a, mut a_in) = node(1, &[2], &[]).await;
    let (b, mut b_in) = node(2, &[1], &[(1, address(&a))]).await;
    connected(&a, key(2)).await;
    connected(&b, key(1)).await;
    let asked = a.request(key(2), b"heights 1 to 5");
    let SyncEvent::Request { peer, id, payload } = b_in.sync.recv().await.unwrap() else {
        panic!("not a request")
    };
    assert_eq!((peer, &payload[..]), (key(1), b"heights 1 to 5".as_slice()));
    let large = vec![9; 3 * 1024 * 1024];
    assert!(b.respond(peer, id, &large));
    assert!(!b.respond(peer, id, b"twice"));
    let SyncEvent::Response { id, payload, .. } = a_in.sync.recv().await.unwrap() else {
        panic!("not a response")
    };
    assert_eq!((id, payload.len()), (asked, large.len()));
    let open = a.request(key(2), b"never answered");
    assert!(matches!(b_in.sync.recv().await, Some(SyncEvent::Request { .. })));
    b.shutdown().await;
    let failed = timeout(Duration::from_secs(10), a_in.sync.recv()).await.unwrap().unwrap();
    assert_eq!(failed, SyncEvent::Failed { peer: key(2), id: open });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_peer_is_found_again() {
    let (a, _a_in) = node(1, &[2], &[]).await;
    let listen = format!("/ip4/127.0.0.1/tcp/{}", custos_ports::free().unwrap());
    let (b, b_in) = node_at(2, &listen, &[1], &[(1, address(&a))]).await;
    connected(&a, key(2)).await;
    b.shutdown().await;
    drop(b_in);
    disconnected(&a, key(2)).await;
    let (b, _b_in) = node_at(2, &listen, &[1], &[(1, address(&a))]).await;
    connected(&a, key(2)).await;
    connected(&b, key(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_in_use_is_refused_with_the_systems_reason() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = start(Config {
        seed: [1; 32],
        listen: format!("/ip4/127.0.0.1/tcp/{}", held.local_addr().unwrap().port()),
        chain: [0xcd; 32],
        addresses: Vec::new(),
        allowed: set(&[2]),
    })
    .await
    .err()
    .unwrap()
    .to_string();
    assert!(refused.contains("in use") && refused.contains("another node"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_of_two_chains_never_exchange_a_frame() {
    let (a, mut a_in) = node(1, &[2], &[]).await;
    let (b, _b_in) = start(Config {
        seed: [2; 32],
        listen: "/ip4/127.0.0.1/tcp/0".into(),
        chain: [0xcd; 32],
        addresses: vec![(key(1), address(&a))],
        allowed: set(&[1]),
    })
    .await
    .unwrap();
    sleep(Duration::from_secs(1)).await;
    b.broadcast(Channel::Consensus, b"of another chain");
    assert!(a.peers().borrow().is_empty());
    assert!(a_in.votes.try_recv().is_err());
    assert_eq!(a.counters().frames_decoded, 0);
}
