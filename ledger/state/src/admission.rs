//! Admission: what a node asks of a submission before it spends a signature check on it.
//!
//! In order of cost: the form ([`Submission::decode`]), then everything about the envelope that the
//! registry knows ([`admit`]), then the signature, then a trial against the head
//! ([`crate::apply::preview`]). The first node that takes a submission also asks
//! [`first_node`]; consensus does not, so that batch and single verification agree by definition.

use custos_proof::ids::TimeMs;
use custos_proof::keys::{PublicKey, is_strict};
use custos_proof::submission::Submission;

use crate::apply::{Timing, check_envelope};
use crate::error::{AdmitError, Refusal, RefusalCode};
use crate::overlay::Overlay;
use crate::view::View;

/// Judges an envelope against the head; the key that its signature has to be checked with.
///
/// `now` is the node's clock, or the head's time when that is later: on an idle chain the head may be
/// minutes old, and after a halt hours.
///
/// # Errors
/// [`AdmitError::Refused`] with a stable code; when the view cannot be read.
pub fn admit(view: &dyn View, now: TimeMs, submission: &Submission) -> Result<PublicKey, AdmitError> {
    let overlay = Overlay::new(view, now)?;
    check_envelope(&overlay, submission, Timing::Ahead).map(|key| key.key)
}

/// What the first node asks besides: that stock Ed25519 verifiers accept the signature too.
///
/// # Errors
/// [`Refusal`] for a signature that is valid under ZIP-215 only.
pub fn first_node(submission: &Submission, key: &PublicKey) -> Result<(), Refusal> {
    let envelope = submission.envelope();
    if is_strict(key, envelope.sig_structure(), envelope.signature()) {
        Ok(())
    } else {
        Err(Refusal::new(
            RefusalCode::BadSignature,
            "the signature is not valid under the named key (RFC 8032, strict); sign the Sig_structure again",
        ))
    }
}
