//! One stream: its writer, which empties a queue, and its reader, which fills one.
//!
//! A writer that cannot write for [`WRITE_TIMEOUT`] gives the connection up, and a reader of the votes stream that
//! hears nothing for [`SILENCE`] gives the peer up: one whose machine lost power sends no goodbye.
//! A reader judges each header before it reads the payload; a breach of the protocol gives the
//! connection up as well and is charged to the peer.
//!
//! Readers wait when the consumer is slow. The stream's window then fills, the peer's queue for this
//! class fills, and the peer drops and counts; its other streams, and other peers, do not notice.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use libp2p::swarm::Stream;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use crate::frame::{self, Channel, Class, FrameHeader, HEADER_BYTES, REQUEST_ID_BYTES};
use crate::peer::PeerKey;
use crate::shared::Shared;
use crate::{Frame, SyncEvent};

/// How often a quiet votes stream shows that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(4);

/// A votes stream that is silent for this long is dead.
pub(crate) const SILENCE: Duration = Duration::from_secs(15);

/// A frame that cannot be written in this time ends the connection.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);

/// A payload whose header was read has to follow within this time.
const PAYLOAD_TIMEOUT: Duration = Duration::from_secs(20);

/// Small frames are put together up to this size before they are written.
const WRITE_BATCH_BYTES: usize = 64 * 1024;

/// A peer may send this many frames per second on the votes stream, and on the parts stream; honest
/// validators stay far below. Both end in mailboxes of the engine that have no bound of their own.
const VOTES_PER_SECOND: u64 = 1_000;
const PARTS_PER_SECOND: u64 = 200;

/// As many seconds' worth may come at once.
const BURST: Duration = Duration::from_secs(2);

/// Where readers put what they read.
#[derive(Clone)]
pub(crate) struct Sinks {
    pub(crate) votes: mpsc::Sender<Frame>,
    pub(crate) parts: mpsc::Sender<Frame>,
    pub(crate) submissions: mpsc::Sender<Frame>,
    pub(crate) sync: mpsc::Sender<SyncEvent>,
}

/// Why a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The connection failed, or we are stopping.
    Lost,
    /// The peer says nothing any more, not even that it is alive.
    Silent,
    /// The peer broke the protocol.
    Breach(&'static str),
}

/// Writes what is queued until the stream fails or the queue's senders are gone.
pub(crate) async fn write(mut stream: Stream, class: Class, mut queue: mpsc::Receiver<Bytes>) -> Ended {
    let alive = Bytes::from(frame::encode(Channel::KeepAlive, &[], &[]).unwrap_or_default());
    let mut quiet = interval(KEEP_ALIVE);
    quiet.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut batch = Vec::new();
    loop {
        let first = tokio::select! {
            queued = queue.recv() => match queued {
                Some(frame) => frame,
                None => break,
            },
            _ = quiet.tick(), if class == Class::Votes => alive.clone(),
        };
        batch.clear();
        batch.extend_from_slice(&first);
        while batch.len() < WRITE_BATCH_BYTES {
            match queue.try_recv() {
                Ok(frame) => batch.extend_from_slice(&frame),
                Err(_) => break,
            }
        }
        let written = timeout(WRITE_TIMEOUT, async {
            stream.write_all(&batch).await?;
            stream.flush().await
        });
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Ended::Lost,
        }
        // A batch that carried a large body must not keep its memory.
        batch.shrink_to(WRITE_BATCH_BYTES);
    }
    let _ = stream.close().await;
    Ended::Lost
}

/// Reads frames and hands them on until the stream fails, the peer breaks the protocol or nobody listens.
pub(crate) async fn read(
    mut stream: impl AsyncRead + Unpin,
    peer: PeerKey,
    class: Class,
    shared: Arc<Shared>,
    sinks: Sinks,
) -> Ended {
    let mut pace = Pace::of(class);
    loop {
        let mut header = [0; HEADER_BYTES];
        let arrived = match class {
            Class::Votes => match timeout(SILENCE, stream.read_exact(&mut header)).await {
                Ok(arrived) => arrived,
                Err(_) => return Ended::Silent,
            },
            _ => stream.read_exact(&mut header).await,
        };
        if arrived.is_err() {
            return Ended::Lost;
        }
        shared.count_frame();
        let header = match FrameHeader::decode(header, class) {
            Ok(header) => header,
            Err(breach) => return Ended::Breach(breach),
        };
        let handled = timeout(PAYLOAD_TIMEOUT, payload(&mut stream, peer, header, &shared)).await;
        let received = match handled {
            Ok(Ok(received)) => received,
            Ok(Err(_)) | Err(_) => return Ended::Lost,
        };
        if let Some(pace) = &mut pace {
            pace.wait().await;
        }
        let delivered = match received {
            Received::Nothing => true,
            Received::Vote(frame) => sinks.votes.send(frame).await.is_ok(),
            Received::Part(frame) => sinks.parts.send(frame).await.is_ok(),
            Received::Submission(frame) => sinks.submissions.send(frame).await.is_ok(),
            Received::Sync(event) => sinks.sync.send(event).await.is_ok(),
            Received::Breach(breach) => return Ended::Breach(breach),
        };
        if !delivered {
            return Ended::Lost;
        }
    }
}

/// What a frame came to.
pub(crate) enum Received {
    Nothing,
    Vote(Frame),
    Part(Frame),
    Submission(Frame),
    Sync(SyncEvent),
    Breach(&'static str),
}

/// Reads the payload of a frame whose header was judged.
pub(crate) async fn payload(
    stream: &mut (impl AsyncRead + Unpin),
    peer: PeerKey,
    header: FrameHeader,
    shared: &Shared,
) -> std::io::Result<Received> {
    let channel = header.channel;
    Ok(match channel {
        Channel::KeepAlive => Received::Nothing,
        Channel::Consensus | Channel::Liveness | Channel::Status => {
            Received::Vote(Frame { peer, channel, payload: take(stream, header.bytes).await? })
        }
        Channel::Parts => Received::Part(Frame { peer, channel, payload: take(stream, header.bytes).await? }),
        Channel::Submissions => {
            Received::Submission(Frame { peer, channel, payload: take(stream, header.bytes).await? })
        }
        Channel::Request => {
            let id = request_id(stream).await?;
            let payload = take(stream, header.bytes.saturating_sub(REQUEST_ID_BYTES)).await?;
            match shared.asked_by(peer, id) {
                true => Received::Sync(SyncEvent::Request { peer, id, payload }),
                false => Received::Breach("too many open requests"),
            }
        }
        Channel::Response => {
            let id = request_id(stream).await?;
            let bytes = header.bytes.saturating_sub(REQUEST_ID_BYTES);
            // An answer to what was not asked, or no longer is, is read past and never held.
            if !shared.is_asked(peer, id) {
                skip(stream, bytes).await?;
                return Ok(Received::Nothing);
            }
            let payload = take(stream, bytes).await?;
            match shared.answered(peer, id) {
                true => Received::Sync(SyncEvent::Response { peer, id, payload }),
                false => Received::Nothing,
            }
        }
    })
}

async fn request_id(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<u64> {
    let mut id = [0; REQUEST_ID_BYTES];
    stream.read_exact(&mut id).await?;
    Ok(u64::from_be_bytes(id))
}

/// Reads exactly `bytes`, growing as they arrive: a peer that announces megabytes and sends none
/// costs no megabytes.
async fn take(stream: &mut (impl AsyncRead + Unpin), bytes: usize) -> std::io::Result<Bytes> {
    const STEP: usize = 64 * 1024;
    let mut payload = Vec::with_capacity(bytes.min(STEP));
    while payload.len() < bytes {
        let at = payload.len();
        payload.resize(bytes.min(at.saturating_add(STEP.max(at))), 0);
        let Some(fresh) = payload.get_mut(at..) else { break };
        stream.read_exact(fresh).await?;
    }
    Ok(payload.into())
}

async fn skip(stream: &mut (impl AsyncRead + Unpin), mut bytes: usize) -> std::io::Result<()> {
    let mut sink = [0; 4096];
    while bytes > 0 {
        let step = bytes.min(sink.len());
        let Some(part) = sink.get_mut(..step) else { break };
        stream.read_exact(part).await?;
        bytes -= step;
    }
    Ok(())
}

/// Slows a peer that sends more than any honest one would; what it sent meanwhile waits in its own
/// stream. Submissions and sync need none: their consumers read from bounded queues.
struct Pace {
    each: Duration,
    /// When the bucket would be full again if nothing more came.
    full_at: Instant,
}

impl Pace {
    fn of(class: Class) -> Option<Self> {
        let per_second = match class {
            Class::Votes => VOTES_PER_SECOND,
            Class::Parts => PARTS_PER_SECOND,
            Class::Submissions | Class::Sync => return None,
        };
        Some(Self { each: Duration::from_micros(1_000_000 / per_second), full_at: Instant::now() })
    }

    async fn wait(&mut self) {
        let now = Instant::now();
        self.full_at = self.full_at.max(now) + self.each;
        if self.full_at > now + BURST {
            sleep_until(self.full_at - BURST).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::io::Cursor;

    #[tokio::test]
    async fn an_announced_payload_is_allocated_only_as_it_arrives() {
        // 16 MiB announced, 10 bytes there.
        let mut short = Cursor::new(vec![0; 10]);
        assert!(take(&mut short, frame::MAX_RESPONSE_BYTES).await.is_err());
        let mut whole = Cursor::new((0..200_000u32).map(|i| i as u8).collect::<Vec<_>>());
        let read = take(&mut whole, 200_000).await.unwrap();
        assert_eq!(read.len(), 200_000);
        assert!(read.iter().enumerate().all(|(i, byte)| *byte == i as u8));
    }

    #[tokio::test]
    async fn an_answer_that_nobody_asked_for_is_read_past() {
        let shared = Arc::new(Shared::default());
        let (votes, _v) = mpsc::channel(1);
        let (parts, _p) = mpsc::channel(1);
        let (submissions, _s) = mpsc::channel(1);
        let (sync, mut answers) = mpsc::channel(4);
        let sinks = Sinks { votes, parts, submissions, sync };
        let peer = PeerKey([1; 32]);
        let id = shared.ask(peer);
        let mut bytes = frame::encode(Channel::Response, &99u64.to_be_bytes(), &[7; 5000]).unwrap();
        bytes.extend(frame::encode(Channel::Response, &id.to_be_bytes(), b"asked").unwrap());
        bytes.extend(frame::encode(Channel::Response, &id.to_be_bytes(), b"again").unwrap());
        assert_eq!(read(Cursor::new(bytes), peer, Class::Sync, shared, sinks).await, Ended::Lost);
        let SyncEvent::Response { payload, .. } = answers.try_recv().unwrap() else {
            panic!("not a response")
        };
        assert_eq!(&payload[..], b"asked");
        assert!(answers.try_recv().is_err());
    }
}
