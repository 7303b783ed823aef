//! Who may connect: the allow list, consulted when a connection is established.
//!
//! This is the libp2p behaviour of the swarm and the only one. After the noise handshake has shown
//! which key the other side holds, and before any handler exists for the connection, the key is
//! looked up. If it is not there the connection is refused: no stream of it is ever polled, nothing
//! it sent is read, nothing is sent to it. There is no protocol by which a stranger could introduce
//! itself, because none is spoken before admission (no Identify, no ping, no gossip).
//!
//! An admitted connection gets a handler that opens and accepts one stream per class and hands them
//! to the swarm's task. What travels on the streams is not known here.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use libp2p::PeerId;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::swarm::handler::{
    ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound,
};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
    NotifyHandler, Stream, StreamProtocol, SubstreamProtocol, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use thiserror::Error;

use crate::frame::Class;
use crate::peer::PeerKey;
use crate::shared::Shared;

/// The most connections that may be between accept and admission at a time.
pub const MAX_PENDING_INBOUND: usize = 64;

/// The most connections per admitted peer: both sides may dial at once, and a restarted peer may
/// arrive before its old connection is known to be dead.
pub const MAX_CONNECTIONS_PER_PEER: usize = 4;

/// Why a connection was refused.
#[derive(Debug, Error)]
pub(crate) enum Refused {
    #[error("the peer is not on the allow list")]
    Stranger,
    #[error("the peer has {MAX_CONNECTIONS_PER_PEER} connections already")]
    TooManyOfPeer,
    #[error("{MAX_PENDING_INBOUND} connections are waiting for admission already")]
    TooManyPending,
}

/// The stream protocols of one chain, by class.
pub(crate) type Protocols = Arc<[(Class, StreamProtocol); 4]>;

/// The behaviour.
pub(crate) struct Gate {
    protocols: Protocols,
    shared: Arc<Shared>,
    allowed: BTreeSet<PeerKey>,
    pending_inbound: HashSet<ConnectionId>,
    established: Vec<(PeerId, ConnectionId)>,
    events: VecDeque<ToSwarm<GateEvent, Class>>,
    waker: Option<Waker>,
}

/// What the swarm's task hears.
#[derive(Debug)]
pub(crate) struct GateEvent {
    pub(crate) peer: PeerId,
    pub(crate) connection: ConnectionId,
    pub(crate) event: HandlerEvent,
}

impl Gate {
    pub(crate) fn new(protocols: Protocols, shared: Arc<Shared>, allowed: BTreeSet<PeerKey>) -> Self {
        Self {
            protocols,
            shared,
            allowed,
            pending_inbound: HashSet::new(),
            established: Vec::new(),
            events: VecDeque::new(),
            waker: None,
        }
    }

    pub(crate) fn is_allowed(&self, key: &PeerKey) -> bool {
        self.allowed.contains(key)
    }

    /// Replaces the allow list; the caller disconnects those who are no longer on it.
    pub(crate) fn allow(&mut self, allowed: BTreeSet<PeerKey>) {
        self.allowed = allowed;
    }

    /// Asks the connection's handler to open a stream of every class.
    pub(crate) fn open_streams(&mut self, peer_id: PeerId, connection: ConnectionId) {
        for class in Class::ALL {
            let handler = NotifyHandler::One(connection);
            self.events.push_back(ToSwarm::NotifyHandler { peer_id, handler, event: class });
        }
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn admit(&self, peer: &PeerId) -> Result<Handler, ConnectionDenied> {
        let known = PeerKey::of(peer).is_some_and(|key| self.allowed.contains(&key));
        let connections = self.established.iter().filter(|(other, _)| other == peer).count();
        let refused = match (known, connections) {
            (false, _) => Refused::Stranger,
            (true, MAX_CONNECTIONS_PER_PEER..) => Refused::TooManyOfPeer,
            (true, _) => return Ok(Handler::new(Arc::clone(&self.protocols))),
        };
        self.shared.count_refused();
        Err(ConnectionDenied::new(refused))
    }
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = Handler;
    type ToSwarm = GateEvent;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _local: &Multiaddr,
        _remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        if self.pending_inbound.len() >= MAX_PENDING_INBOUND {
            self.shared.count_refused();
            return Err(ConnectionDenied::new(Refused::TooManyPending));
        }
        self.pending_inbound.insert(connection);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _local: &Multiaddr,
        _remote: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        self.pending_inbound.remove(&connection);
        self.admit(&peer)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _connection: ConnectionId,
        peer: PeerId,
        _address: &Multiaddr,
        _role: Endpoint,
        _port: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        self.admit(&peer)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(e) => self.established.push((e.peer_id, e.connection_id)),
            FromSwarm::ConnectionClosed(e) => self.established.retain(|(_, id)| *id != e.connection_id),
            FromSwarm::ListenFailure(e) => {
                self.pending_inbound.remove(&e.connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.events.push_back(ToSwarm::GenerateEvent(GateEvent { peer, connection, event }));
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<GateEvent, THandlerInEvent<Self>>> {
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(event);
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// What a connection's handler reports.
#[derive(Debug)]
pub(crate) enum HandlerEvent {
    /// A stream that we opened is ready.
    Opened(Class, Stream),
    /// A stream that the peer opened is ready.
    Accepted(Class, Stream),
    /// The peer would not speak one of our protocols.
    OpenFailed(Class),
    /// The peer opened a second stream of a class.
    SecondStream(Class),
}

/// Opens and accepts the streams of one admitted connection.
pub(crate) struct Handler {
    protocols: Protocols,
    to_open: VecDeque<Class>,
    accepted: [bool; 4],
    events: VecDeque<HandlerEvent>,
    waker: Option<Waker>,
}

impl Handler {
    fn new(protocols: Protocols) -> Self {
        Self {
            protocols,
            to_open: VecDeque::new(),
            accepted: [false; 4],
            events: VecDeque::new(),
            waker: None,
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Class;
    type ToBehaviour = HandlerEvent;
    type InboundProtocol = Offer;
    type OutboundProtocol = Offer;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Class;

    fn listen_protocol(&self) -> SubstreamProtocol<Offer, ()> {
        SubstreamProtocol::new(Offer { protocols: Arc::clone(&self.protocols), only: None }, ())
    }

    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Offer, Class, HandlerEvent>> {
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(event));
        }
        if let Some(class) = self.to_open.pop_front() {
            let offer = Offer { protocols: Arc::clone(&self.protocols), only: Some(class) };
            let protocol = SubstreamProtocol::new(offer, class);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, class: Class) {
        self.to_open.push_back(class);
        self.wake();
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Offer, Offer, (), Class>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (class, stream),
                ..
            }) => {
                let second = std::mem::replace(&mut self.accepted[class.index()], true);
                self.events.push_back(match second {
                    false => HandlerEvent::Accepted(class, stream),
                    true => HandlerEvent::SecondStream(class),
                });
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: (class, stream),
                ..
            }) => {
                self.events.push_back(HandlerEvent::Opened(class, stream));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info: class, .. }) => {
                self.events.push_back(HandlerEvent::OpenFailed(class));
            }
            _ => return,
        }
        self.wake();
    }
}

/// The upgrade of a raw stream: negotiates which class it carries and touches no byte after that.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    protocols: Protocols,
    only: Option<Class>,
}

/// A protocol name that remembers its class.
#[derive(Debug, Clone)]
pub(crate) struct Name(Class, StreamProtocol);

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        self.1.as_ref()
    }
}

impl UpgradeInfo for Offer {
    type Info = Name;
    type InfoIter = Vec<Name>;

    fn protocol_info(&self) -> Vec<Name> {
        let offered = |class: &Class| self.only.is_none_or(|only| only == *class);
        self.protocols
            .iter()
            .filter(|(class, _)| offered(class))
            .map(|(class, name)| Name(*class, name.clone()))
            .collect()
    }
}

impl InboundUpgrade<Stream> for Offer {
    type Output = (Class, Stream);
    type Error = Infallible;
    type Future = Ready<Result<(Class, Stream), Infallible>>;

    fn upgrade_inbound(self, stream: Stream, name: Name) -> Self::Future {
        ready(Ok((name.0, stream)))
    }
}

impl OutboundUpgrade<Stream> for Offer {
    type Output = (Class, Stream);
    type Error = Infallible;
    type Future = Ready<Result<(Class, Stream), Infallible>>;

    fn upgrade_outbound(self, stream: Stream, name: Name) -> Self::Future {
        ready(Ok((name.0, stream)))
    }
}
