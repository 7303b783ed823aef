//! What the swarm's task, its streams and the callers share: queues to peers, and counts.
//!
//! Sending is done by the caller, into the peer's bounded queue; the swarm's task is not involved.
//! A queue that is full refuses the frame and counts it: one slow peer costs nobody else anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use crate::frame::Class;
use crate::peer::PeerKey;

/// The most requests of one peer that may wait for our answer.
pub const MAX_INBOUND_REQUESTS_PER_PEER: usize = 16;

/// After this an unanswered request of ours is forgotten, and so is an unanswered one of a peer.
pub(crate) const REQUEST_LIFETIME: Duration = Duration::from_secs(30);

/// How much has happened since the network was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Connections refused at admission.
    pub refused: u64,
    /// Streams accepted from admitted peers.
    pub streams_accepted: u64,
    /// Frames whose header was read, whatever came of them.
    pub frames_decoded: u64,
    /// Frames handed to a peer's queue.
    pub frames_queued: u64,
    /// Frames refused by a peer's full queue.
    pub frames_dropped: u64,
    /// Breaches of the protocol by admitted peers.
    pub violations: u64,
}

#[derive(Default)]
pub(crate) struct Shared {
    links: Mutex<BTreeMap<PeerKey, [Option<mpsc::Sender<Bytes>>; 4]>>,
    ready: watch::Sender<BTreeSet<PeerKey>>,
    violations: Mutex<BTreeMap<PeerKey, u64>>,
    ours: Mutex<BTreeMap<(PeerKey, u64), Instant>>,
    theirs: Mutex<BTreeMap<(PeerKey, u64), Instant>>,
    next_request: AtomicU64,
    refused: AtomicU64,
    streams_accepted: AtomicU64,
    frames_decoded: AtomicU64,
    frames_queued: AtomicU64,
    frames_dropped: AtomicU64,
}

/// A poisoned lock still guards plain data that is valid at every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// The peers to which every class can be sent.
    pub(crate) fn watch_ready(&self) -> watch::Receiver<BTreeSet<PeerKey>> {
        self.ready.subscribe()
    }

    /// Installs the queue of one class. When all are there the peer is ready.
    pub(crate) fn link(&self, peer: PeerKey, class: Class, queue: mpsc::Sender<Bytes>) {
        let mut links = lock(&self.links);
        let link = links.entry(peer).or_default();
        link[class.index()] = Some(queue);
        if link.iter().all(Option::is_some) {
            self.ready.send_if_modified(|ready| ready.insert(peer));
        }
    }

    /// Removes all queues of a peer, and forgets what was asked of it and what it asked.
    pub(crate) fn unlink(&self, peer: PeerKey) {
        lock(&self.links).remove(&peer);
        lock(&self.theirs).retain(|(of, _), _| *of != peer);
        self.ready.send_if_modified(|ready| ready.remove(&peer));
    }

    pub(crate) fn peers(&self) -> Vec<PeerKey> {
        lock(&self.links).keys().copied().collect()
    }

    /// Puts a frame into the queue of one peer. False if the peer is not linked or its queue is full.
    pub(crate) fn send(&self, peer: PeerKey, class: Class, frame: Bytes) -> bool {
        let links = lock(&self.links);
        let Some(queue) = links.get(&peer).and_then(|link| link[class.index()].as_ref()) else {
            return false;
        };
        self.offer(queue, frame)
    }

    /// Puts a frame into the queue of every linked peer.
    pub(crate) fn broadcast(&self, class: Class, frame: &Bytes) {
        for link in lock(&self.links).values() {
            if let Some(queue) = &link[class.index()] {
                self.offer(queue, frame.clone());
            }
        }
    }

    fn offer(&self, queue: &mpsc::Sender<Bytes>, frame: Bytes) -> bool {
        let queued = queue.try_send(frame).is_ok();
        let counter = if queued { &self.frames_queued } else { &self.frames_dropped };
        counter.fetch_add(1, Ordering::Relaxed);
        queued
    }

    /// A fresh id for a request to a peer.
    pub(crate) fn ask(&self, peer: PeerKey) -> u64 {
        let id = self.next_request.fetch_add(1, Ordering::Relaxed);
        lock(&self.ours).insert((peer, id), Instant::now());
        id
    }

    /// Whether a request of ours was open; it no longer is.
    pub(crate) fn answered(&self, peer: PeerKey, id: u64) -> bool {
        lock(&self.ours).remove(&(peer, id)).is_some()
    }

    /// Whether a request of ours is open.
    pub(crate) fn is_asked(&self, peer: PeerKey, id: u64) -> bool {
        lock(&self.ours).contains_key(&(peer, id))
    }

    /// Forgets a request of ours, whoever it was sent to.
    pub(crate) fn cancel(&self, id: u64) {
        lock(&self.ours).retain(|(_, other), _| *other != id);
    }

    /// Forgets the requests sent to a peer, and names them.
    pub(crate) fn fail_requests(&self, peer: PeerKey) -> Vec<u64> {
        let mut ours = lock(&self.ours);
        let failed = ours.keys().filter(|(to, _)| *to == peer).map(|(_, id)| *id).collect();
        ours.retain(|(to, _), _| *to != peer);
        failed
    }

    /// Forgets what has been open for too long; names our own requests among it.
    pub(crate) fn expire_requests(&self) -> Vec<(PeerKey, u64)> {
        lock(&self.theirs).retain(|_, since| since.elapsed() < REQUEST_LIFETIME);
        let mut ours = lock(&self.ours);
        let expired: Vec<_> = ours
            .iter()
            .filter(|(_, since)| since.elapsed() >= REQUEST_LIFETIME)
            .map(|(key, _)| *key)
            .collect();
        ours.retain(|_, since| since.elapsed() < REQUEST_LIFETIME);
        expired
    }

    /// Notes a request of a peer. False if it has too many open, or this one already.
    pub(crate) fn asked_by(&self, peer: PeerKey, id: u64) -> bool {
        let mut theirs = lock(&self.theirs);
        let open = theirs.range((peer, 0)..=(peer, u64::MAX)).count();
        open < MAX_INBOUND_REQUESTS_PER_PEER && theirs.insert((peer, id), Instant::now()).is_none()
    }

    /// Closes a request of a peer. False if it is not open.
    pub(crate) fn answer_to(&self, peer: PeerKey, id: u64) -> bool {
        lock(&self.theirs).remove(&(peer, id)).is_some()
    }

    pub(crate) fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_stream(&self) {
        self.streams_accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_frame(&self) {
        self.frames_decoded.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes a breach by an admitted peer. Only admitted peers are named, so the table is as small
    /// as the allow lists there have been.
    pub(crate) fn charge(&self, peer: PeerKey) -> u64 {
        let mut violations = lock(&self.violations);
        let count = violations.entry(peer).or_default();
        *count += 1;
        *count
    }

    pub(crate) fn violations_of(&self, peer: PeerKey) -> u64 {
        lock(&self.violations).get(&peer).copied().unwrap_or_default()
    }

    pub(crate) fn counters(&self) -> Counters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            refused: read(&self.refused),
            streams_accepted: read(&self.streams_accepted),
            frames_decoded: read(&self.frames_decoded),
            frames_queued: read(&self.frames_queued),
            frames_dropped: read(&self.frames_dropped),
            violations: lock(&self.violations).values().sum(),
        }
    }
}
