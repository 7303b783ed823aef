//! Why something is not verified, in the reader's language.
//!
//! One arm per failure of the verifier, so that a new one does not compile before it has words.
//! What is technical inside one (at which byte a decoder stopped) stays as the verifier says it, in
//! English, behind the sentence.

use custos_proof::verify::Failure;

use crate::catalogue::Speaker;
use crate::say;

/// The failure as a sentence.
#[must_use]
pub fn words(failure: &Failure, s: &Speaker) -> String {
    match failure {
        Failure::Form { what, error } => say!(s, "failure-form", what = *what, detail = error.to_string()),
        Failure::Envelope(error) => say!(s, "failure-envelope", detail = error.to_string()),
        Failure::OtherChain { anchor, found } => {
            say!(s, "failure-other-chain", anchor = anchor.to_string(), found = found.to_string())
        }
        Failure::Protocol { version } => say!(s, "failure-protocol", version = version.to_string()),
        Failure::Fork { height } => say!(s, "failure-fork", height = height.to_string()),
        Failure::CertificateOfAnother => say!(s, "failure-certificate-of-another"),
        Failure::Certificate(error) => say!(s, "failure-certificate", detail = error.to_string()),
        Failure::BadLink { height } => say!(s, "failure-bad-link", height = height.to_string()),
        Failure::HeaderTime { height } => say!(s, "failure-header-time", height = height.to_string()),
        Failure::Unlinked { height } => say!(s, "failure-unlinked", height = height.to_string()),
        Failure::TooOld { time } => say!(s, "failure-too-old", time = s.minute(*time)),
        Failure::Witnesses => say!(s, "failure-witnesses"),
        Failure::RetiredKeys { anchor, target } => {
            say!(s, "failure-retired-keys", anchor = s.minute(*anchor), target = s.minute(*target))
        }
        Failure::NotInLog => say!(s, "failure-not-in-log"),
        Failure::RecordTime => say!(s, "failure-record-time"),
        Failure::OtherItem => say!(s, "failure-other-item"),
        Failure::OtherSubmission => say!(s, "failure-other-submission"),
        Failure::NotSigned => say!(s, "failure-not-signed"),
        Failure::OtherClass => say!(s, "failure-other-class"),
        Failure::KeyProof => say!(s, "failure-key-proof"),
        Failure::KeyNotValid => say!(s, "failure-key-not-valid"),
        Failure::KeyMissing => say!(s, "failure-key-missing"),
        Failure::AuthorSignature => say!(s, "failure-author-signature"),
        Failure::TrailHead => say!(s, "failure-trail-head"),
        Failure::TrailRoot => say!(s, "failure-trail-root"),
        Failure::NotListed { position } => say!(s, "failure-not-listed", position = position + 1),
        Failure::Contradiction => say!(s, "failure-contradiction"),
        Failure::Opening { item_id, field } => {
            say!(s, "failure-opening", item = item_id.to_string(), field = u64::from(*field))
        }
    }
}
