//! ITI-20 as syslog: audit messages over TLS (RFC 5425), or over TCP where the configuration says so.
//!
//! Syslog has no answer. What a sender has written may still be in the network when a feed dies, and
//! no receiver can change that; so the feed reads a further message only when it can put it on disk,
//! and lets the sender's own queue do its work when it cannot.
//!
//! A message that is not understood is counted and passed over. A frame that is none ends the connection.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use super::frames;
use crate::intake::Intake;
use crate::serve::{Stop, Stream, stopped};
use crate::spooler::{Entry, Refused};

const INPUT: &str = "syslog";
/// The most messages that are written to disk together, for one connection.
const TOGETHER: usize = 64;
/// How long to wait before trying again to put a message on disk.
const AGAIN: Duration = Duration::from_secs(1);

/// How long a sender gets to see the end.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Bounds of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest message.
    pub max_message: usize,
    /// How long a connection may be silent.
    pub idle: Duration,
}

/// Takes messages until the sender closes, sends what is no frame, or the feed stops.
pub async fn connection(
    intake: Intake,
    stream: Box<dyn Stream>,
    peer: SocketAddr,
    limits: Limits,
    stop: Stop,
) {
    let mut reader = BufReader::with_capacity(64 * 1024, stream);
    loop {
        let (messages, end) = tokio::select! {
            () = stopped(stop.clone()) => break,
            read = messages(&mut reader, limits) => read,
        };
        if !messages.is_empty() && take(&intake, messages, peer, &stop).await.is_err() {
            break;
        }
        match end {
            None => {}
            Some(End::Closed) => break,
            Some(End::Idle) => {
                intake.counters().count(INPUT, "closed", "idle");
                break;
            }
            Some(End::Malformed(word)) => {
                intake.counters().refuse(INPUT, peer.to_string(), word, "frame".into());
                break;
            }
        }
    }
    // Nothing is ever sent back but the end. What is on its way is read away for a moment, so that the sender
    // sees an end and not a reset.
    let rest = async {
        let _ = reader.shutdown().await;
        while matches!(reader.read(&mut [0; 4096]).await, Ok(1..)) {}
    };
    let _ = tokio::time::timeout(LAST_WORDS, rest).await;
}

/// Why there is no further message.
enum End {
    Closed,
    Idle,
    Malformed(&'static str),
}

/// The next message, and those that have arrived with it.
async fn messages<R: tokio::io::AsyncRead + Unpin>(
    reader: &mut BufReader<R>,
    limits: Limits,
) -> (Vec<Vec<u8>>, Option<End>) {
    let mut found = Vec::new();
    loop {
        match tokio::time::timeout(limits.idle, frames::next(reader, limits.max_message)).await {
            Err(_) => return (found, Some(End::Idle)),
            Ok(Ok(None)) => return (found, Some(End::Closed)),
            Ok(Err(error)) => return (found, Some(End::Malformed(error.word()))),
            Ok(Ok(Some(frame))) => found.push(frame),
        }
        if found.len() >= TOGETHER || !frames::is_buffered(reader.buffer()) {
            return (found, None);
        }
    }
}

/// Reads the messages and puts them on disk, however long that takes.
async fn take(intake: &Intake, messages: Vec<Vec<u8>>, peer: SocketAddr, stop: &Stop) -> Result<(), Refused> {
    let counters = intake.counters().clone();
    let documents = intake
        .read(move |reader| {
            let read = |frame: &Vec<u8>| match frames::message(frame) {
                Ok(text) => Some(reader.dicom(frame, text)),
                Err(error) => {
                    let reason = match error {
                        frames::MessageError::Header(_) => "malformed-message",
                        frames::MessageError::Text => "no-text",
                    };
                    counters.refuse(INPUT, peer.to_string(), reason, "header".into());
                    None
                }
            };
            messages.iter().filter_map(read).collect::<Vec<_>>()
        })
        .await?;
    let mut entries = Vec::with_capacity(documents.len());
    for document in documents {
        if let Err(refusal) = &document.result {
            let element =
                format!("{}: {}", refusal.element, refusal.message.chars().take(120).collect::<String>());
            intake.counters().refuse(INPUT, peer.to_string(), refusal.code.word(), element);
        }
        entries.extend(intake.offer(document, None).map(Entry::Document));
    }
    if entries.is_empty() {
        return Ok(());
    }
    loop {
        match intake.accept(INPUT, entries.clone()).await {
            Ok(_) => return Ok(()),
            Err(Refused::Full(_)) if !*stop.borrow() => {
                tokio::select! {
                    () = stopped(stop.clone()) => return Err(Refused::Stopping),
                    () = tokio::time::sleep(AGAIN) => {}
                }
            }
            Err(refused) => return Err(refused),
        }
    }
}
