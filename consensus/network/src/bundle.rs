//! Several submissions in one frame: a length in front of each.
//!
//! Under load hundreds of small submissions arrive between two looks at the queue. A frame of their
//! own each would cost a header, an allocation, a timer and a task switch per submission at every
//! peer; together they cost that once.
//!
//! Each is four bytes of length, big-endian, and as many bytes. A length of 0 is not allowed, and
//! nothing may be left over: whoever sends anything else breaks the protocol. What the bytes are is
//! not known here.

use bytes::Bytes;

use crate::frame::MAX_SUBMISSION_BYTES;

/// Bytes in front of each.
const LENGTH_BYTES: usize = 4;

/// A bundle is not made longer than this; one submission alone may be.
const BUNDLE_BYTES: usize = 256 * 1024;

/// The longest submission that fits into a frame.
pub const MAX_BUNDLED_BYTES: usize = MAX_SUBMISSION_BYTES - LENGTH_BYTES;

/// Puts submissions into as few payloads as their size allows, in their order. What is empty or does
/// not fit into a frame is left out.
#[must_use]
pub fn bundles<'a>(submissions: impl IntoIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let mut made: Vec<Vec<u8>> = Vec::new();
    let fits = |submission: &&[u8]| !submission.is_empty() && submission.len() <= MAX_BUNDLED_BYTES;
    for submission in submissions.into_iter().filter(fits) {
        let size = LENGTH_BYTES + submission.len();
        let length = u32::try_from(submission.len()).unwrap_or(u32::MAX).to_be_bytes();
        match made.last_mut() {
            Some(last) if last.len() + size <= BUNDLE_BYTES => {
                last.extend_from_slice(&length);
                last.extend_from_slice(submission);
            }
            _ => made.push([&length, submission].concat()),
        }
    }
    made
}

/// What a peer put together; `None` when it is not a bundle. Nothing is copied.
#[must_use]
pub fn unbundle(payload: &Bytes) -> Option<Vec<Bytes>> {
    let mut submissions = Vec::new();
    let mut at = 0;
    while at < payload.len() {
        let from = at.checked_add(LENGTH_BYTES)?;
        let length = payload.get(at..from)?.try_into().ok().map(u32::from_be_bytes)?;
        let to = from.checked_add(usize::try_from(length).ok()?)?;
        if length == 0 || to > payload.len() {
            return None;
        }
        submissions.push(payload.slice(from..to));
        at = to;
    }
    (!submissions.is_empty()).then_some(submissions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(made: &[Vec<u8>]) -> Vec<Bytes> {
        made.iter().flat_map(|payload| unbundle(&Bytes::from(payload.clone())).unwrap()).collect()
    }

    #[test]
    fn what_goes_in_comes_out_in_order() {
        let many: Vec<Vec<u8>> = (1..2000usize).map(|n| vec![n as u8; n % 700 + 1]).collect();
        let made = bundles(many.iter().map(|one| &one[..]));
        assert!(made.len() > 1 && made.iter().all(|payload| payload.len() <= BUNDLE_BYTES));
        assert_eq!(all(&made), many);
    }

    #[test]
    fn a_long_one_travels_alone_and_one_that_fits_no_frame_not_at_all() {
        let (long, longest) = (vec![1; BUNDLE_BYTES], vec![2; MAX_BUNDLED_BYTES]);
        let too_long = vec![3; MAX_BUNDLED_BYTES + 1];
        let made = bundles([&[7][..], &long, &longest, &too_long, &[], &[8]]);
        assert_eq!(all(&made), [vec![7], long, longest, vec![8]]);
        assert!(made.iter().all(|payload| payload.len() <= MAX_SUBMISSION_BYTES));
        assert!(bundles([]).is_empty());
    }

    #[test]
    fn whatever_is_not_a_bundle_is_refused() {
        let good = bundles([&[1, 2, 3][..], &[4]]).remove(0);
        assert!(unbundle(&Bytes::from(good.clone())).is_some());
        for end in 0..good.len() {
            // The first one alone is a bundle too.
            assert_eq!(unbundle(&Bytes::from(good[..end].to_vec())).is_some(), end == 7, "cut at {end}");
        }
        for wrong in [vec![0; 4], vec![0xff; 8], vec![0, 0, 0, 1, 7, 0]] {
            assert_eq!(unbundle(&Bytes::from(wrong)), None);
        }
    }
}
