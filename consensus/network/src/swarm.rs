//! The task that owns the libp2p swarm: dials, accepts, cuts, and gives streams to their tasks.
//!
//! Each admitted peer has one *active* connection, the first that was established; on it we open
//! one stream per class, for what we send. The peer does the same on the connection that is active
//! for it, which need not be ours: both may dial at once, and a second connection does no harm.
//! When the active connection closes, another one becomes active, or the peer is dialed again.
//!
//! A connection whose packets vanish stands on both sides, and each notices for itself. Because what we send and what
//! we hear need not be on the same one, no connection is judged alone:
//! * a peer that is silent has all its connections closed, also those on which only we speak;
//! * so has one that does not begin to speak;
//! * who dials has given up what stood before, and so do we.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use libp2p::core::Multiaddr;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{PeerId, Swarm};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{debug, info, warn};

use crate::frame::Class;
use crate::gate::{Gate, GateEvent, HandlerEvent};
use crate::peer::PeerKey;
use crate::shared::Shared;
use crate::stream::{self, Ended, SILENCE, Sinks};
use crate::{HANDSHAKE_TIMEOUT, SyncEvent};

/// How often unconnected peers are looked at.
const TICK: Duration = Duration::from_millis(100);

/// The wait after the first failed dial, and the longest wait: it doubles in between.
const REDIAL_MIN: Duration = Duration::from_millis(200);
const REDIAL_MAX: Duration = Duration::from_secs(4);

/// What callers ask of the task.
pub(crate) enum Command {
    Allow(BTreeSet<PeerKey>),
    Cut(PeerKey),
    Shutdown(oneshot::Sender<()>),
}

pub(crate) struct Task {
    pub(crate) swarm: Swarm<Gate>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) sinks: Sinks,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) listening: watch::Sender<Vec<Multiaddr>>,
    pub(crate) dials: BTreeMap<PeerKey, Dial>,
    pub(crate) connections: BTreeMap<PeerKey, Connections>,
    pub(crate) streams: JoinSet<(PeerKey, ConnectionId, Ended)>,
    pub(crate) stream_tasks: HashMap<ConnectionId, Vec<AbortHandle>>,
}

/// A configured address and when to try it next.
pub(crate) struct Dial {
    pub(crate) address: Multiaddr,
    pub(crate) next: Instant,
    pub(crate) wait: Duration,
}

impl Dial {
    pub(crate) fn new(address: Multiaddr) -> Self {
        Self { address, next: Instant::now(), wait: REDIAL_MIN }
    }
}

pub(crate) struct Connections {
    all: Vec<Connection>,
    active: Option<ConnectionId>,
    /// Since when the peer has had no votes stream on any of them, if it has none.
    mute_since: Instant,
}

struct Connection {
    id: ConnectionId,
    since: Instant,
    /// Whether the peer has opened its votes stream here.
    speaks: bool,
}

impl Connections {
    fn new(now: Instant) -> Self {
        Self { all: Vec::new(), active: None, mute_since: now }
    }

    fn is_mute(&self) -> bool {
        !self.all.iter().any(|connection| connection.speaks)
    }
}

impl Task {
    pub(crate) async fn run(mut self) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_swarm(event),
                Some(ended) = self.streams.join_next() => {
                    if let Ok((peer, connection, ended)) = ended {
                        self.on_stream_end(peer, connection, ended);
                    }
                }
                _ = tick.tick() => self.on_tick(),
                command = self.commands.recv() => match command {
                    Some(Command::Allow(allowed)) => self.on_allow(allowed),
                    Some(Command::Cut(peer)) => self.cut(peer),
                    Some(Command::Shutdown(done)) => {
                        for peer in self.shared.peers() {
                            self.shared.unlink(peer);
                        }
                        self.streams.shutdown().await;
                        drop(self.swarm);
                        let _ = done.send(());
                        return;
                    }
                    None => return,
                },
            }
        }
    }

    fn on_swarm(&mut self, event: SwarmEvent<GateEvent>) {
        match event {
            SwarmEvent::NewListenAddr { address, .. } => {
                info!(%address, "listening");
                self.listening.send_modify(|addresses| addresses.push(address));
            }
            SwarmEvent::ListenerClosed { reason, .. } => warn!(?reason, "a listener closed"),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, .. } => {
                if let Some(peer) = PeerKey::of(&peer_id) {
                    self.on_established(peer, peer_id, connection_id);
                }
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, .. } => {
                if let Some(peer) = PeerKey::of(&peer_id) {
                    debug!(%peer, cause = ?cause.map(|c| c.to_string()), "a connection closed");
                    self.on_closed(peer, peer_id, connection_id);
                }
            }
            SwarmEvent::OutgoingConnectionError { peer_id, error, .. } => {
                debug!(peer = ?peer_id.as_ref().and_then(PeerKey::of), %error, "a dial failed");
            }
            SwarmEvent::IncomingConnectionError { error, send_back_addr, .. } => {
                debug!(from = %send_back_addr, %error, "an incoming connection was refused");
            }
            SwarmEvent::Behaviour(GateEvent { peer, connection, event }) => {
                if let Some(key) = PeerKey::of(&peer) {
                    self.on_handler(key, connection, event);
                }
            }
            _ => {}
        }
    }

    fn on_established(&mut self, peer: PeerKey, peer_id: PeerId, connection: ConnectionId) {
        if let Some(dial) = self.dials.get_mut(&peer) {
            dial.wait = REDIAL_MIN;
        }
        let now = Instant::now();
        let connections = self.connections.entry(peer).or_insert_with(|| Connections::new(now));
        // Nobody dials who has a connection. What is older than a dial can be was given up by the peer.
        let given_up: Vec<ConnectionId> = connections
            .all
            .iter()
            .filter(|other| now.duration_since(other.since) > HANDSHAKE_TIMEOUT)
            .map(|other| other.id)
            .collect();
        connections.all.push(Connection { id: connection, since: now, speaks: false });
        if connections.active.is_none() {
            connections.active = Some(connection);
            self.swarm.behaviour_mut().open_streams(peer_id, connection);
        }
        for other in given_up {
            debug!(%peer, "connected anew; closing the connection that stood");
            self.swarm.close_connection(other);
        }
    }

    fn on_closed(&mut self, peer: PeerKey, peer_id: PeerId, connection: ConnectionId) {
        for task in self.stream_tasks.remove(&connection).unwrap_or_default() {
            task.abort();
        }
        let Some(connections) = self.connections.get_mut(&peer) else { return };
        let spoke = !connections.is_mute();
        connections.all.retain(|other| other.id != connection);
        if spoke && connections.is_mute() {
            connections.mute_since = Instant::now();
        }
        if connections.active != Some(connection) {
            return;
        }
        connections.active = connections.all.first().map(|other| other.id);
        let next = connections.active;
        if next.is_none() {
            self.connections.remove(&peer);
        }
        self.unlink(peer);
        if let Some(next) = next {
            self.swarm.behaviour_mut().open_streams(peer_id, next);
        }
    }

    fn on_handler(&mut self, peer: PeerKey, connection: ConnectionId, event: HandlerEvent) {
        match event {
            HandlerEvent::Opened(class, stream) => {
                let active = self.connections.get(&peer).and_then(|c| c.active);
                if active != Some(connection) {
                    return;
                }
                let (queue, queued) = mpsc::channel(class.queue_frames());
                let written = stream::write(stream, class, queued);
                self.spawn(peer, connection, written);
                self.shared.link(peer, class, queue);
            }
            HandlerEvent::Accepted(class, stream) => {
                self.shared.count_stream();
                if class == Class::Votes
                    && let Some(connections) = self.connections.get_mut(&peer)
                    && let Some(here) = connections.all.iter_mut().find(|other| other.id == connection)
                {
                    here.speaks = true;
                }
                let read = stream::read(stream, peer, class, Arc::clone(&self.shared), self.sinks.clone());
                self.spawn(peer, connection, read);
            }
            HandlerEvent::OpenFailed(class) => {
                warn!(%peer, class = class.name(), "the peer does not speak our protocol; another chain or version?");
                self.swarm.close_connection(connection);
            }
            HandlerEvent::SecondStream(class) => {
                self.breach(peer, connection, class.name());
            }
        }
    }

    fn spawn(
        &mut self,
        peer: PeerKey,
        connection: ConnectionId,
        stream: impl Future<Output = Ended> + Send + 'static,
    ) {
        let task = self.streams.spawn(async move { (peer, connection, stream.await) });
        self.stream_tasks.entry(connection).or_default().push(task);
    }

    fn on_stream_end(&mut self, peer: PeerKey, connection: ConnectionId, ended: Ended) {
        match ended {
            Ended::Lost => {
                self.swarm.close_connection(connection);
            }
            Ended::Silent => self.silent(peer),
            Ended::Breach(what) => self.breach(peer, connection, what),
        }
    }

    /// Gives up a peer from which nothing is heard.
    fn silent(&mut self, peer: PeerKey) {
        info!(%peer, seconds = SILENCE.as_secs(), "nothing is heard of a peer; closing its connections");
        self.cut(peer);
    }

    fn breach(&mut self, peer: PeerKey, connection: ConnectionId, what: &str) {
        let violations = self.shared.charge(peer);
        warn!(%peer, what, violations, "a peer broke the protocol; closing the connection");
        if let Some(dial) = self.dials.get_mut(&peer) {
            dial.next = Instant::now() + REDIAL_MAX;
        }
        self.swarm.close_connection(connection);
    }

    fn on_allow(&mut self, allowed: BTreeSet<PeerKey>) {
        self.swarm.behaviour_mut().allow(allowed);
        let strangers: Vec<PeerKey> = self
            .connections
            .keys()
            .filter(|peer| !self.swarm.behaviour().is_allowed(peer))
            .copied()
            .collect();
        for peer in strangers {
            info!(%peer, "no longer allowed; disconnecting");
            self.cut(peer);
        }
    }

    /// Stops all traffic with a peer now; its connections close right after.
    fn cut(&mut self, peer: PeerKey) {
        for connection in self.connections.get(&peer).into_iter().flat_map(|c| c.all.iter()) {
            for task in self.stream_tasks.remove(&connection.id).unwrap_or_default() {
                task.abort();
            }
        }
        self.unlink(peer);
        let _ = self.swarm.disconnect_peer_id(peer.peer_id());
    }

    fn unlink(&mut self, peer: PeerKey) {
        self.shared.unlink(peer);
        for id in self.shared.fail_requests(peer) {
            let _ = self.sinks.sync.try_send(SyncEvent::Failed { peer, id });
        }
    }

    fn on_tick(&mut self) {
        for (peer, id) in self.shared.expire_requests() {
            let _ = self.sinks.sync.try_send(SyncEvent::Failed { peer, id });
        }
        let now = Instant::now();
        let mut mute = Vec::new();
        for (peer, connections) in &mut self.connections {
            if connections.is_mute() && now.duration_since(connections.mute_since) > SILENCE {
                connections.mute_since = now;
                mute.push(*peer);
            }
        }
        mute.into_iter().for_each(|peer| self.silent(peer));
        for (peer, dial) in &mut self.dials {
            let wanted = self.swarm.behaviour().is_allowed(peer) && !self.connections.contains_key(peer);
            if !wanted || dial.next > now {
                continue;
            }
            dial.next = now + dial.wait;
            dial.wait = (dial.wait * 2).min(REDIAL_MAX);
            let options = DialOpts::peer_id(peer.peer_id())
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .addresses(vec![dial.address.clone()])
                .allocate_new_port()
                .build();
            let _ = self.swarm.dial(options);
        }
    }
}
