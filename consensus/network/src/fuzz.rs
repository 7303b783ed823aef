//! An entrance for fuzzing: a stream of frames as a peer could send it, read as the swarm reads it.
//!
//! Frames are private to this crate, and stay so; `testnet/fuzz` asks here what becomes of bytes.
//! Deliberately absent: pacing, time-outs and queues, which do not depend on what the bytes say.

use std::sync::Arc;

use futures::AsyncReadExt as _;
use futures::io::Cursor;

use crate::SyncEvent;
use crate::frame::{self, Channel, Class, FrameHeader, HEADER_BYTES};
use crate::peer::PeerKey;
use crate::shared::Shared;
use crate::stream::{Received, payload};

/// Requests of ours that are open, so that answers to them are read.
const OPEN_REQUESTS: u64 = 4;

/// Reads the first byte as the stream's class and the rest as its frames.
///
/// # Errors
/// Why the stream ended before its bytes did.
///
/// # Panics
/// When a frame that was read has another spelling than the one it came in.
pub fn frames(bytes: &[u8]) -> Result<usize, String> {
    let Some((class, bytes)) = bytes.split_first() else { return Err("no class".into()) };
    let class = Class::ALL[usize::from(*class) % Class::ALL.len()];
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|error| error.to_string())?;
    runtime.block_on(read(class, bytes))
}

async fn read(class: Class, bytes: &[u8]) -> Result<usize, String> {
    let peer = PeerKey([1; 32]);
    let shared = Arc::new(Shared::default());
    for _ in 0..OPEN_REQUESTS {
        shared.ask(peer);
    }
    let mut stream = Cursor::new(bytes);
    let mut count = 0;
    while stream.position() < bytes.len() as u64 {
        let begins = usize::try_from(stream.position()).unwrap_or(usize::MAX);
        let mut header = [0; HEADER_BYTES];
        stream.read_exact(&mut header).await.map_err(|error| error.to_string())?;
        let header = FrameHeader::decode(header, class).map_err(str::to_owned)?;
        let received =
            payload(&mut stream, peer, header, &shared).await.map_err(|error| error.to_string())?;
        let ends = usize::try_from(stream.position()).unwrap_or(usize::MAX);
        let whole = bytes.get(begins..ends);
        let again = match &received {
            Received::Vote(frame) | Received::Part(frame) | Received::Submission(frame) => {
                frame::encode(frame.channel, &[], &frame.payload)
            }
            Received::Sync(SyncEvent::Request { id, payload, .. }) => {
                frame::encode(Channel::Request, &id.to_be_bytes(), payload)
            }
            Received::Sync(SyncEvent::Response { id, payload, .. }) => {
                frame::encode(Channel::Response, &id.to_be_bytes(), payload)
            }
            Received::Breach(breach) => return Err((*breach).to_owned()),
            // A sign of life, or an answer that was read past.
            Received::Sync(_) | Received::Nothing => whole.map(<[u8]>::to_vec),
        };
        assert_eq!(again.as_deref(), whole, "a frame has another spelling");
        count += 1;
    }
    Ok(count)
}

/// Streams that are whole: every channel on its class, several frames each.
#[must_use]
pub fn streams() -> Vec<Vec<u8>> {
    let id = 1u64.to_be_bytes();
    let of = |class: Class, frames: &[(Channel, &[u8], &[u8])]| {
        let index = u8::try_from(class.index()).unwrap_or_default();
        let frames =
            frames.iter().filter_map(|(channel, prefix, payload)| frame::encode(*channel, prefix, payload));
        std::iter::once(vec![index]).chain(frames).collect::<Vec<_>>().concat()
    };
    vec![
        of(
            Class::Votes,
            &[
                (Channel::Consensus, &[], b"vote"),
                (Channel::KeepAlive, &[], b""),
                (Channel::Liveness, &[], b"certificate"),
                (Channel::Status, &[], b"status"),
            ],
        ),
        of(Class::Parts, &[(Channel::Parts, &[], &[7; 300]), (Channel::Parts, &[], b"")]),
        of(Class::Submissions, &[(Channel::Submissions, &[], b"submission")]),
        of(
            Class::Sync,
            &[
                (Channel::Request, &id, b"from and to"),
                (Channel::Response, &id, b"blocks"),
                (Channel::Response, &99u64.to_be_bytes(), b"nobody asked"),
            ],
        ),
    ]
}
