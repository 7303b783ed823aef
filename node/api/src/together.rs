//! Several submissions in one request: the body of `POST /v1/submissions/many`, as a client writes and a node reads it.
//!
//! A CBOR array of byte strings in its one spelling, each a submission as the other route takes it. Bounded in their number
//! and in their length together, so that one request costs a node no more than the longest submission.
//!
//! Deliberately absent: what the byte strings hold. Each is decoded, admitted and answered by itself.

use custos_proof::cbor::{DecodeError, Reader, Writer};
use custos_proof::submission::MAX_SUBMISSION_BYTES;

/// The most submissions that one request hands in.
pub const MAX_TOGETHER: usize = 256;

/// The longest body, in bytes: that of the longest submission.
pub const MAX_BODY_BYTES: usize = MAX_SUBMISSION_BYTES;

/// The body that hands in these submissions.
#[must_use]
pub fn write(submissions: &[&[u8]]) -> Vec<u8> {
    let mut w = Writer::new();
    w.array(submissions.len());
    for submission in submissions {
        w.bytes(submission);
    }
    w.into_bytes()
}

/// The submissions of a body, in their order.
///
/// # Errors
/// Anything but 1 to [`MAX_TOGETHER`] byte strings in an array of at most [`MAX_BODY_BYTES`].
pub fn read(body: &[u8]) -> Result<Vec<&[u8]>, DecodeError> {
    if body.len() > MAX_BODY_BYTES {
        return Err(DecodeError::OutOfBounds { at: MAX_BODY_BYTES, what: "the length of the body" });
    }
    let mut r = Reader::new(body);
    let count = r.array_up_to(MAX_TOGETHER)?;
    if count == 0 {
        return Err(DecodeError::OutOfBounds { at: 0, what: "the number of submissions" });
    }
    let all = (0..count).map(|_| r.bytes(MAX_SUBMISSION_BYTES)).collect::<Result<_, _>>()?;
    r.finish()?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_together_is_read_one_by_one() {
        let many: Vec<Vec<u8>> = (0..MAX_TOGETHER).map(|length| vec![7; length]).collect();
        let many: Vec<&[u8]> = many.iter().map(Vec::as_slice).collect();
        let body = write(&many);
        assert_eq!(read(&body), Ok(many));
        assert!(read(&write(&[&[][..]; MAX_TOGETHER + 1])).is_err());
        assert!(read(&write(&[])).is_err());
    }

    #[test]
    fn a_body_is_no_longer_than_the_longest_submission() {
        // The heads of the array and of its one string take six bytes.
        let body = write(&[&vec![0; MAX_BODY_BYTES - 6]]);
        assert_eq!(body.len(), MAX_BODY_BYTES);
        assert!(read(&body).is_ok());
        assert!(read(&write(&[&vec![0; MAX_BODY_BYTES - 5]])).is_err());
    }
}
