//! The frames that validators exchange: which channels there are, and how large each may be.
//!
//! A frame is a 4-byte big-endian length, one channel byte and the payload. The length counts the
//! payload only and is judged against the channel's limit *before* anything is allocated. Each
//! stream carries the channels of one class, so that a large body never stands in front of a vote.
//!
//! ```text
//!   class         channels                         why it is a stream of its own
//!   votes         consensus, liveness, status      small and urgent
//!   parts         parts                            megabytes per height
//!   submissions   submissions                      whatever clients send
//!   sync          request, response                megabytes, on demand
//! ```
//!
//! What a payload means is not known here.

/// Bytes in front of every payload.
pub(crate) const HEADER_BYTES: usize = 5;

/// The largest vote, proposal or certificate that is gossiped. A round certificate of 128
/// validators takes about 17 KiB.
pub const MAX_VOTE_BYTES: usize = 32 * 1024;

/// The largest status message.
pub const MAX_STATUS_BYTES: usize = 256;

/// The largest part of a proposed block, with its description.
pub const MAX_PART_BYTES: usize = 1024 * 1024;

/// The largest bundle of submissions.
pub const MAX_SUBMISSION_BYTES: usize = 1024 * 1024 + 16 * 1024;

/// The largest request for decided blocks.
pub const MAX_REQUEST_BYTES: usize = 256;

/// The largest answer to such a request.
pub const MAX_RESPONSE_BYTES: usize = 16 * 1024 * 1024;

/// The id that precedes every request and response.
pub(crate) const REQUEST_ID_BYTES: usize = 8;

/// What a payload is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// Proposals and votes.
    Consensus,
    /// Votes and certificates that are sent again so that a stuck round ends.
    Liveness,
    /// How far the sender is.
    Status,
    /// Parts of a proposed block.
    Parts,
    /// Submissions for the mempool.
    Submissions,
    /// Asks for decided blocks.
    Request,
    /// Answers a request.
    Response,
    /// Nothing: shows that the sender is still there.
    KeepAlive,
}

/// The stream that a channel travels on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Class {
    Votes,
    Parts,
    Submissions,
    Sync,
}

impl Channel {
    pub(crate) const fn class(self) -> Class {
        match self {
            Channel::Consensus | Channel::Liveness | Channel::Status | Channel::KeepAlive => Class::Votes,
            Channel::Parts => Class::Parts,
            Channel::Submissions => Class::Submissions,
            Channel::Request | Channel::Response => Class::Sync,
        }
    }

    /// The most bytes of payload, request ids included.
    pub(crate) const fn max_bytes(self) -> usize {
        match self {
            Channel::Consensus | Channel::Liveness => MAX_VOTE_BYTES,
            Channel::Status => MAX_STATUS_BYTES,
            Channel::Parts => MAX_PART_BYTES,
            Channel::Submissions => MAX_SUBMISSION_BYTES,
            Channel::Request => MAX_REQUEST_BYTES + REQUEST_ID_BYTES,
            Channel::Response => MAX_RESPONSE_BYTES + REQUEST_ID_BYTES,
            Channel::KeepAlive => 0,
        }
    }

    const fn byte(self) -> u8 {
        match self {
            Channel::KeepAlive => 0,
            Channel::Consensus => 1,
            Channel::Liveness => 2,
            Channel::Status => 3,
            Channel::Parts => 4,
            Channel::Submissions => 5,
            Channel::Request => 6,
            Channel::Response => 7,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Channel::KeepAlive,
            1 => Channel::Consensus,
            2 => Channel::Liveness,
            3 => Channel::Status,
            4 => Channel::Parts,
            5 => Channel::Submissions,
            6 => Channel::Request,
            7 => Channel::Response,
            _ => return None,
        })
    }
}

impl Class {
    pub(crate) const ALL: [Class; 4] = [Class::Votes, Class::Parts, Class::Submissions, Class::Sync];

    pub(crate) const fn index(self) -> usize {
        match self {
            Class::Votes => 0,
            Class::Parts => 1,
            Class::Submissions => 2,
            Class::Sync => 3,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Class::Votes => "votes",
            Class::Parts => "parts",
            Class::Submissions => "submissions",
            Class::Sync => "sync",
        }
    }

    /// How many frames may wait for one peer. A full queue refuses the newest frame.
    pub(crate) const fn queue_frames(self) -> usize {
        match self {
            Class::Votes => 1024,
            Class::Parts => 64,
            Class::Submissions => 256,
            Class::Sync => 8,
        }
    }
}

/// A frame's header, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) channel: Channel,
    pub(crate) bytes: usize,
}

impl FrameHeader {
    /// Reads the header of a frame on a stream of `class`.
    pub(crate) fn decode(header: [u8; HEADER_BYTES], class: Class) -> Result<Self, &'static str> {
        let [a, b, c, d, channel] = header;
        let channel = Channel::from_byte(channel).ok_or("unknown channel")?;
        if channel.class() != class {
            return Err("channel on the wrong stream");
        }
        let bytes = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if bytes > channel.max_bytes() {
            return Err("oversize frame");
        }
        if matches!(channel, Channel::Request | Channel::Response) && bytes < REQUEST_ID_BYTES {
            return Err("frame without a request id");
        }
        Ok(Self { channel, bytes })
    }
}

/// A whole frame, or nothing if the payload is larger than the channel allows.
pub(crate) fn encode(channel: Channel, prefix: &[u8], payload: &[u8]) -> Option<Vec<u8>> {
    let bytes = prefix.len().checked_add(payload.len())?;
    if bytes > channel.max_bytes() {
        return None;
    }
    let mut frame = Vec::with_capacity(HEADER_BYTES + bytes);
    frame.extend_from_slice(&u32::try_from(bytes).ok()?.to_be_bytes());
    frame.push(channel.byte());
    frame.extend_from_slice(prefix);
    frame.extend_from_slice(payload);
    Some(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Channel; 8] = [
        Channel::Consensus,
        Channel::Liveness,
        Channel::Status,
        Channel::Parts,
        Channel::Submissions,
        Channel::Request,
        Channel::Response,
        Channel::KeepAlive,
    ];

    #[test]
    fn every_channel_has_a_byte_and_a_class() {
        for channel in ALL {
            assert_eq!(Channel::from_byte(channel.byte()), Some(channel));
            assert!(Class::ALL.contains(&channel.class()));
        }
        assert!((8..=255).all(|byte| Channel::from_byte(byte).is_none()));
    }

    #[test]
    fn a_length_above_the_limit_is_refused_before_anything_is_read() {
        for channel in ALL {
            let over = u32::try_from(channel.max_bytes() + 1).unwrap().to_be_bytes();
            let header = [over[0], over[1], over[2], over[3], channel.byte()];
            assert_eq!(FrameHeader::decode(header, channel.class()), Err("oversize frame"));
            assert_eq!(encode(channel, &[], &vec![0; channel.max_bytes() + 1]), None);
        }
    }

    #[test]
    fn a_body_cannot_travel_on_the_votes_stream() {
        let frame = encode(Channel::Parts, &[], b"part").unwrap();
        let header = frame[..HEADER_BYTES].try_into().unwrap();
        assert!(FrameHeader::decode(header, Class::Votes).is_err());
        assert_eq!(
            FrameHeader::decode(header, Class::Parts),
            Ok(FrameHeader { channel: Channel::Parts, bytes: 4 })
        );
    }
}
