//! Syslog's frames and messages: octet counting (RFC 5425, section 4.3) and RFC 5424.
//!
//! ```text
//! frame    MSG-LEN SP SYSLOG-MSG          MSG-LEN counts the bytes of SYSLOG-MSG
//! message  <PRI>1 SP TIMESTAMP SP HOSTNAME SP APP-NAME SP PROCID SP MSGID SP STRUCTURED-DATA [SP MSG]
//! ```
//!
//! A frame that is not one ends the connection: where the next begins cannot be known. A message
//! that is not one is refused alone.

use thiserror::Error;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

/// The most digits of a length.
const MAX_DIGITS: usize = 7;
/// The longest header of a message, up to its structured data (RFC 5424, section 6: 255 for the longest part).
const MAX_HEADER: usize = 1_024;

/// Why bytes are not a frame.
#[derive(Debug, Error)]
pub enum FrameError {
    /// The connection ended within a frame, or failed.
    #[error("the connection ended within a frame: {0}")]
    Broken(#[from] std::io::Error),
    /// It does not begin with a length and a space.
    #[error("a frame begins with its length in digits and a space")]
    Length,
    /// It is longer than what is taken.
    #[error("a frame of {length} bytes; at most {max} are taken")]
    TooLong {
        /// Its length.
        length: usize,
        /// The bound.
        max: usize,
    },
}

impl FrameError {
    /// The word for counts.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            FrameError::Broken(_) => "broken-frame",
            FrameError::Length => "malformed-frame",
            FrameError::TooLong { .. } => "too-long-frame",
        }
    }
}

/// Reads the next frame; nothing at the end of the stream.
///
/// # Errors
/// [`FrameError`]. Memory grows with what arrives, not with what a length claims.
pub async fn next<R: AsyncBufRead + Unpin>(
    reader: &mut R,
    max: usize,
) -> Result<Option<Vec<u8>>, FrameError> {
    let mut length = 0;
    let mut digits = 0;
    loop {
        let Some(byte) = reader.fill_buf().await?.first().copied() else {
            return if digits == 0 { Ok(None) } else { Err(FrameError::Length) };
        };
        reader.consume(1);
        match byte {
            // RFC 5425: MSG-LEN = NONZERO-DIGIT *DIGIT
            b'0' if digits == 0 => return Err(FrameError::Length),
            b'0'..=b'9' if digits < MAX_DIGITS => length = length * 10 + usize::from(byte - b'0'),
            b' ' if digits > 0 => break,
            _ => return Err(FrameError::Length),
        }
        digits += 1;
    }
    if length > max {
        return Err(FrameError::TooLong { length, max });
    }
    let mut frame = Vec::new();
    reader.take(length as u64).read_to_end(&mut frame).await?;
    if frame.len() < length {
        return Err(FrameError::Broken(std::io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(Some(frame))
}

/// Whether all of a frame, or what shows that it is none, is buffered already.
#[must_use]
pub fn is_buffered(buffer: &[u8]) -> bool {
    let digits = buffer.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let length = std::str::from_utf8(&buffer[..digits]).ok().and_then(|text| text.parse::<usize>().ok());
    match (length, buffer.get(digits)) {
        (Some(length), Some(b' ')) => buffer.len() - digits > length,
        _ => false,
    }
}

/// Why a frame's content is not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MessageError {
    /// Its header is not that of RFC 5424.
    #[error("not an RFC 5424 message: {0}")]
    Header(&'static str),
    /// It has no text, or not in UTF-8.
    #[error("the message has no UTF-8 text")]
    Text,
}

/// The text of an RFC 5424 message.
///
/// # Errors
/// [`MessageError`].
pub fn message(frame: &[u8]) -> Result<&str, MessageError> {
    let header = |what| MessageError::Header(what);
    let rest = frame.strip_prefix(b"<").ok_or(header("no priority"))?;
    let end = rest.iter().take(4).position(|byte| *byte == b'>').ok_or(header("no priority"))?;
    let priority = std::str::from_utf8(&rest[..end]).ok().and_then(|text| text.parse::<u8>().ok());
    if priority.is_none_or(|priority| priority > 191) {
        return Err(header("a priority above 191"));
    }
    let rest = rest[end + 1..].strip_prefix(b"1 ").ok_or(header("another version than 1"))?;
    // TIMESTAMP HOSTNAME APP-NAME PROCID MSGID: printable ASCII without spaces.
    let mut at = 0;
    for _ in 0..5 {
        let part = rest.get(at..).unwrap_or_default();
        let length =
            part.iter().take(MAX_HEADER).position(|byte| *byte == b' ').ok_or(header("too few parts"))?;
        if length == 0 || !part[..length].iter().all(u8::is_ascii_graphic) {
            return Err(header("a part that is empty or not printable"));
        }
        at += length + 1;
    }
    let rest = rest.get(at..).unwrap_or_default();
    let after = structured_data(rest).ok_or(header("malformed structured data"))?;
    let text = after.strip_prefix(b" ").ok_or(MessageError::Text)?;
    let text = text.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(text);
    std::str::from_utf8(text).ok().filter(|text| !text.trim().is_empty()).ok_or(MessageError::Text)
}

/// What follows the structured data.
fn structured_data(bytes: &[u8]) -> Option<&[u8]> {
    if let Some(rest) = bytes.strip_prefix(b"-") {
        return Some(rest);
    }
    let mut rest = bytes;
    while rest.first() == Some(&b'[') {
        let (mut quoted, mut escaped, mut end) = (false, false, None);
        for (at, byte) in rest.iter().enumerate().skip(1) {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b']' if !quoted => {
                    end = Some(at);
                    break;
                }
                _ => {}
            }
        }
        rest = &rest[end? + 1..];
    }
    (rest.len() < bytes.len()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_all(bytes: &[u8], max: usize) -> (Vec<Vec<u8>>, Option<&'static str>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut reader = bytes;
            let mut frames = Vec::new();
            loop {
                match next(&mut reader, max).await {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => return (frames, None),
                    Err(error) => return (frames, Some(error.word())),
                }
            }
        })
    }

    #[test]
    fn frames_are_counted_in_octets() {
        assert_eq!(read_all(b"3 abc1 x", 10), (vec![b"abc".to_vec(), b"x".to_vec()], None));
        assert_eq!(read_all("4 é\n\n".as_bytes(), 10), (vec!["é\n\n".as_bytes().to_vec()], None));
    }

    #[test]
    fn what_is_no_frame_ends_it_there() {
        for (bytes, word) in [
            (&b"1 x<13>1 - - -"[..], "malformed-frame"),
            (b"1 x03 abc", "malformed-frame"),
            (b"1 x-1 abc", "malformed-frame"),
            (b"1 x99999999999999999999 abc", "malformed-frame"),
            (b"1 x12", "malformed-frame"),
            (b"1 x11 12345678901", "too-long-frame"),
            (b"1 x5 abc", "broken-frame"),
        ] {
            assert_eq!(read_all(bytes, 10), (vec![b"x".to_vec()], Some(word)), "{bytes:?}");
        }
    }

    #[test]
    fn the_text_is_what_follows_the_structured_data() {
        for (text, expected) in [
            ("<85>1 2026-11-22T10:00:00Z emr app 1 IHE+RFC-3881 - \u{feff}<a/>", Ok("<a/>")),
            ("<85>1 - - - - - - <a/>", Ok("<a/>")),
            ("<85>1 - - - - - [x@1 a=\"b\"][y@1 c=\"\\]\\\"\"] <a/>", Ok("<a/>")),
            ("<85>1 - - - - - -", Err(MessageError::Text)),
            ("<192>1 - - - - - - x", Err(MessageError::Header("a priority above 191"))),
            ("<85>2 - - - - - - x", Err(MessageError::Header("another version than 1"))),
            ("<85>Nov 22 10:00:00 emr app: x", Err(MessageError::Header("another version than 1"))),
            ("<85>1 - - -", Err(MessageError::Header("too few parts"))),
            ("<85>1 - - - - - [x@1 a=\"b]", Err(MessageError::Header("malformed structured data"))),
            ("hello", Err(MessageError::Header("no priority"))),
            ("", Err(MessageError::Header("no priority"))),
        ] {
            assert_eq!(message(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(message(b"<85>1 - - - - - - \xff\xfe"), Err(MessageError::Text));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, head in "(<[0-9]{1,3}>1 ([!-~]{1,3} ){5})?") {
            let all = [head.as_bytes(), &bytes].concat();
            let _ = message(&all);
            let _ = is_buffered(&all);
            let _ = read_all(&all, 64);
        }

        #[test]
        fn what_is_buffered_can_be_read(content in proptest::collection::vec(any::<u8>(), 1..64), cut in 0usize..80) {
            let frame = [content.len().to_string().as_bytes(), b" ", &content].concat();
            let cut = cut.min(frame.len());
            prop_assert_eq!(is_buffered(&frame[..cut]), cut == frame.len());
        }
    }
}
