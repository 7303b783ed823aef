//! Submissions: the one decoder that strangers reach over the network.

#![no_main]

use custos_proof::cbor::Wire;
use custos_proof::item::Item;
use custos_proof::submission::{Envelope, Submission, frame};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(submission) = Submission::decode(data) {
        assert_eq!(frame(submission.envelope().bytes(), submission.items()), data);
        for item in submission.items() {
            let _ = Item::from_bytes(item);
        }
    }
    // Alone too: a fuzzer does not find the root of the items.
    if let Ok(envelope) = Envelope::decode(data) {
        assert_eq!(envelope.bytes(), data);
        let payload = envelope.payload().to_bytes();
        assert!(data.windows(payload.len()).any(|part| part == payload));
    }
});
