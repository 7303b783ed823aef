//! The engine's network actor, over our own swarm instead of the engine's.
//!
//! The engine publishes by sending this actor messages and listens by subscribing to it. Both are
//! translated here, with [`crate::codec`] in between; the swarm below has admitted the peers, kept
//! the queues and limits, and knows nothing of votes.
//!
//! ```text
//!   engine --Msg--> actor ------- encode ------> custos-network --> peers
//!   engine <-NetworkEvent-- pump <--- decode --- custos-network <-- peers
//! ```
//!
//! Events go straight into the subscribers' mailboxes, so nothing is lost when the engine is busy
//! (its own actor sends through a port of 128 slots that drops when it lags). Mailboxes have no
//! bound; the swarm paces each peer's stream, which bounds what can arrive.
//!
//! Deliberately absent: validator proofs and persistent peers. The registry says who a peer is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_malachitebft_app_channel::app::consensus::{LivenessMsg, SignedConsensusMsg};
use arc_malachitebft_app_channel::app::engine::network::{
    Msg, NetworkEvent, PersistentPeerError, Status, Subscriber,
};
use arc_malachitebft_app_channel::app::streaming::{StreamContent, StreamId, StreamMessage};
use arc_malachitebft_app_channel::app::types::sync;
use arc_malachitebft_network::Channel as EngineChannel;
use arc_malachitebft_sync::{InboundRequestId, OutboundFailureReason, OutboundRequestId};
use async_trait::async_trait;
use bytes::Bytes;
use custos_network::{Channel, Frame, Network, PeerKey, SyncEvent};
use custos_proof::ids;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tracing::{debug, warn};

use crate::codec::{CodecError, Message, peer_id, peer_key};
use crate::context::{Custos, Part, Validators};
use crate::signing::Verifier;
use crate::{EngineInbound, Signs};

type Subscribers = Vec<Box<dyn Subscriber<NetworkEvent<Custos>>>>;

/// What the actor and its pump share.
pub(crate) struct Mesh {
    network: Network,
    verifier: Verifier,
    subscribers: Mutex<Subscribers>,
    /// The validators of the current height, to tell a vote from noise.
    validators: Mutex<Option<Validators>>,
    /// Requests of peers that the engine has yet to answer, by the name it knows them under.
    asked: Mutex<BTreeMap<InboundRequestId, (PeerKey, u64)>>,
    peers: Mutex<BTreeSet<PeerKey>>,
    signs: watch::Sender<Signs>,
}

/// The actor; `stopped` fires when the engine stops it.
pub(crate) struct MeshActor;

pub(crate) struct State {
    mesh: Arc<Mesh>,
    pump: AbortHandle,
    stopped: Option<oneshot::Sender<()>>,
}

pub(crate) struct Arguments {
    pub(crate) network: Network,
    pub(crate) inbound: EngineInbound,
    pub(crate) verifier: Verifier,
    pub(crate) signs: watch::Sender<Signs>,
    /// Turns true when the engine is about to be stopped.
    pub(crate) ending: watch::Receiver<bool>,
    pub(crate) stopped: oneshot::Sender<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Actor for MeshActor {
    type Msg = Msg<Custos>;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        _me: ActorRef<Self::Msg>,
        with: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        let mesh = Arc::new(Mesh {
            network: with.network,
            verifier: with.verifier,
            subscribers: Mutex::default(),
            validators: Mutex::default(),
            asked: Mutex::default(),
            peers: Mutex::default(),
            signs: with.signs,
        });
        let pump = tokio::spawn(pump(Arc::clone(&mesh), with.inbound, with.ending)).abort_handle();
        Ok(State { mesh, pump, stopped: Some(with.stopped) })
    }

    async fn handle(
        &self,
        _me: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        state.mesh.on_message(message);
        Ok(())
    }

    async fn post_stop(&self, _me: ActorRef<Self::Msg>, state: &mut State) -> Result<(), ActorProcessingErr> {
        state.pump.abort();
        if let Some(stopped) = state.stopped.take() {
            let _ = stopped.send(());
        }
        Ok(())
    }
}

impl Mesh {
    /// What the engine wants done.
    fn on_message(&self, message: Msg<Custos>) {
        match message {
            Msg::Subscribe(subscriber) => self.subscribe(subscriber),
            Msg::PublishConsensusMsg(message) => {
                self.network.broadcast(Channel::Consensus, &message.to_bytes())
            }
            Msg::PublishLivenessMsg(message) => {
                self.network.broadcast(Channel::Liveness, &message.to_bytes())
            }
            Msg::PublishProposalPart(part) => {
                if let Some(part) = part.content.into_data() {
                    self.network.broadcast(Channel::Parts, &part.to_bytes());
                }
            }
            Msg::BroadcastStatus(status) => {
                let status = sync::Status::<Custos> {
                    peer_id: peer_id(self.network.local()),
                    tip_height: status.tip_height,
                    history_min_height: status.history_min_height,
                };
                self.network.broadcast(Channel::Status, &status.to_bytes());
            }
            Msg::OutgoingRequest(peer, request, reply) => {
                let Some(key) = peer_key(&peer) else { return };
                let id = self.network.request(PeerKey(key), &request.to_bytes());
                let _ = reply.send(OutboundRequestId::new(id));
            }
            Msg::CancelRequest(id) => {
                if let Ok(id) = id.to_string().parse() {
                    self.network.cancel(id);
                }
            }
            Msg::OutgoingResponse(id, response) => {
                let asked = lock(&self.asked).remove(&id);
                if let Some((peer, id)) = asked
                    && !self.network.respond(peer, id, &response.to_bytes())
                {
                    debug!(%peer, "an answer came too late or did not fit");
                }
            }
            Msg::CancelInboundRequest(id) => {
                if let Some((peer, id)) = lock(&self.asked).remove(&id) {
                    self.network.ignore(peer, id);
                }
            }
            Msg::UpdateValidatorSet(validators) => *lock(&self.validators) = Some(validators),
            Msg::DumpState(reply) => {
                let _ = reply.send(None);
            }
            Msg::UpdatePersistentPeers(_, reply) => {
                let refused = PersistentPeerError::InternalError("the registry rules who may connect".into());
                let _ = reply.send(Err(refused));
            }
            // Neither is produced: no validator proof is ever handed to the engine, and our own
            // events do not pass through the mailbox.
            Msg::ValidatorProofVerified { .. } | Msg::NewEvent(_) => {}
        }
    }

    /// A new subscriber first hears what the others have heard.
    fn subscribe(&self, subscriber: Box<dyn Subscriber<NetworkEvent<Custos>>>) {
        let mut subscribers = lock(&self.subscribers);
        for address in self.network.listening() {
            if let Ok(address) = address.parse() {
                subscriber.send(NetworkEvent::Listening(address));
            }
        }
        for peer in lock(&self.peers).iter() {
            subscriber.send(NetworkEvent::PeerConnected(peer_id(*peer)));
        }
        subscribers.push(subscriber);
    }

    fn emit(&self, event: &NetworkEvent<Custos>) {
        for subscriber in lock(&self.subscribers).iter() {
            subscriber.send(event.clone());
        }
    }

    fn on_peers(&self, now: &BTreeSet<PeerKey>) {
        let before = std::mem::replace(&mut *lock(&self.peers), now.clone());
        for gone in before.difference(now) {
            lock(&self.asked).retain(|_, (peer, _)| peer != gone);
            self.signs.send_modify(|signs| {
                signs.tips.remove(gone);
            });
            self.emit(&NetworkEvent::PeerDisconnected(peer_id(*gone)));
        }
        for new in now.difference(&before) {
            self.emit(&NetworkEvent::PeerConnected(peer_id(*new)));
            // Makes the engine's sync tell the new peer how far we are, without waiting for its timer.
            self.emit(&NetworkEvent::PeerSubscribed(peer_id(*new), EngineChannel::Sync));
        }
    }

    fn on_frame(&self, Frame { peer, channel, payload }: Frame) {
        let event = match channel {
            Channel::Consensus => SignedConsensusMsg::from_bytes(&payload).map(|message| {
                self.note_activity(&message);
                match message {
                    SignedConsensusMsg::Vote(vote) => NetworkEvent::Vote(peer_id(peer), vote),
                    SignedConsensusMsg::Proposal(proposal) => NetworkEvent::Proposal(peer_id(peer), proposal),
                }
            }),
            Channel::Liveness => LivenessMsg::from_bytes(&payload).map(|message| match message {
                LivenessMsg::Vote(vote) => {
                    self.note_activity(&SignedConsensusMsg::Vote(vote.clone()));
                    NetworkEvent::Vote(peer_id(peer), vote)
                }
                LivenessMsg::PolkaCertificate(c) => NetworkEvent::PolkaCertificate(peer_id(peer), c),
                LivenessMsg::SkipRoundCertificate(c) => NetworkEvent::RoundCertificate(peer_id(peer), c),
            }),
            Channel::Status => self.read_status(peer, &payload),
            Channel::Parts => Part::from_bytes(&payload).map(|part| {
                let id = StreamId::new(Bytes::copy_from_slice(&part.block_id.0));
                let sequence = u64::from(part.index);
                let message = StreamMessage::new(id, sequence, StreamContent::Data(part));
                NetworkEvent::ProposalPart(peer_id(peer), None, message)
            }),
            // The swarm hands these over elsewhere.
            Channel::Submissions | Channel::Request | Channel::Response | Channel::KeepAlive => return,
        };
        match event {
            Ok(event) => self.emit(&event),
            Err(error) => self.charge(peer, channel, error),
        }
    }

    fn read_status(&self, peer: PeerKey, payload: &Bytes) -> Result<NetworkEvent<Custos>, CodecError> {
        let status = sync::Status::<Custos>::from_bytes(payload)?;
        if peer_key(&status.peer_id) != Some(peer.0) {
            return Err(CodecError::OutOfBounds("the sender of a status"));
        }
        self.signs.send_modify(|signs| {
            signs.tips.insert(peer, ids::Height(status.tip_height.0));
        });
        let status = Status::new(status.tip_height, status.history_min_height);
        Ok(NetworkEvent::Status(peer_id(peer), status))
    }

    /// Notices that a validator has begun a later height: the host may be holding ours. Only a
    /// signature by a current validator counts, and it is looked at only if the height is news.
    fn note_activity(&self, message: &SignedConsensusMsg<Custos>) {
        let height = ids::Height(message.height().0);
        if height <= self.signs.borrow().voted {
            return;
        }
        let genuine = lock(&self.validators).as_ref().is_some_and(|validators| {
            let member = |key| validators.set.by_key(key).is_some();
            match message {
                SignedConsensusMsg::Vote(vote) => {
                    member(&vote.address.0)
                        && self.verifier.vote(&vote.message, &vote.signature, &vote.address.0)
                }
                SignedConsensusMsg::Proposal(p) => {
                    member(&p.address.0) && self.verifier.proposal(&p.message, &p.signature, &p.address.0)
                }
            }
        });
        if genuine {
            self.signs.send_modify(|signs| signs.voted = signs.voted.max(height));
        }
    }

    fn on_sync(&self, event: SyncEvent) {
        let event = match event {
            SyncEvent::Request { peer, id, payload } => match sync::Request::<Custos>::from_bytes(&payload) {
                Ok(request) => {
                    let name = InboundRequestId::new(format!("{peer}/{id}/{}", peer_id(peer)));
                    lock(&self.asked).insert(name.clone(), (peer, id));
                    NetworkEvent::SyncRequest(name, peer_id(peer), request)
                }
                Err(error) => {
                    self.network.ignore(peer, id);
                    return self.charge(peer, Channel::Request, error);
                }
            },
            SyncEvent::Response { peer, id, payload } => {
                let response = sync::Response::<Custos>::from_bytes(&payload);
                if let Err(error) = &response {
                    self.charge(peer, Channel::Response, *error);
                }
                NetworkEvent::SyncResponse(OutboundRequestId::new(id), peer_id(peer), response.ok())
            }
            SyncEvent::Failed { peer, id } => NetworkEvent::SyncRequestFailed(
                OutboundRequestId::new(id),
                peer_id(peer),
                OutboundFailureReason::ConnectionClosed,
            ),
        };
        self.emit(&event);
    }

    fn charge(&self, peer: PeerKey, channel: Channel, error: CodecError) {
        let violations = self.network.charge(peer);
        warn!(%peer, ?channel, %error, violations, "a frame that is no message was dropped");
    }
}

/// Reads what the swarm received and tells the subscribers. Votes first: a round must not wait
/// behind megabytes of parts.
async fn pump(mesh: Arc<Mesh>, mut inbound: EngineInbound, mut ending: watch::Receiver<bool>) {
    let mut peers = mesh.network.peers();
    peers.mark_changed();
    loop {
        tokio::select! {
            biased;
            _ = ending.changed() => return,
            changed = peers.changed() => match changed {
                Ok(()) => {
                    let now = peers.borrow_and_update().clone();
                    mesh.on_peers(&now);
                }
                Err(_) => return,
            },
            frame = receive(&mut inbound.votes) => mesh.on_frame(frame),
            event = receive(&mut inbound.sync) => mesh.on_sync(event),
            frame = receive(&mut inbound.parts) => mesh.on_frame(frame),
        }
    }
}

/// The next element; for ever silent once the sender is gone.
async fn receive<T>(channel: &mut mpsc::Receiver<T>) -> T {
    match channel.recv().await {
        Some(element) => element,
        None => std::future::pending().await,
    }
}
