//! An entrance for fuzzing: a segment of the spool and its frames, as a crash or a damaged disk could leave them.
//!
//! Scanning is private to the spool, and stays so; `testnet/fuzz` asks here what becomes of bytes.
//! Deliberately absent: the directory, whose stories are tests of the spool.

use std::path::Path;

use custos_custodian::draft::{AccessEventDraft, AccessValues, Origin, SubjectKey};
use custos_custodian::seal::Fixed;
use custos_proof::hash::Digest;
use custos_proof::ids::{Height, ItemId, Random16, TimeMs};
use custos_proof::kinds::access::{Basis, Late};

use super::frame::{Accepted, Batch, FileId, Frame, Mark, Offer, Slot, Totals};
use super::segment::{Group, MAGIC, SpoolKey, scan};

const KEY: SpoolKey = SpoolKey::new([7; 32]);
const SEGMENT: u64 = 3;

/// Reads bytes as a frame's content, and as a segment.
///
/// # Errors
/// When they are neither.
///
/// # Panics
/// When a frame that was read has another spelling than the one it came in, or when a scan claims more
/// than it was given.
pub fn bytes(bytes: &[u8]) -> Result<(), String> {
    if let Ok(frame) = Frame::decode(bytes) {
        assert!(frame.encode() == bytes, "a frame has another spelling");
        return Ok(());
    }
    let scanned = scan(Path::new("segment"), bytes, SEGMENT, &KEY, 0).map_err(|error| error.to_string())?;
    assert!(scanned.length <= bytes.len() as u64, "a scan goes beyond the end");
    let within = scanned.found.iter().all(|found| found.offset + u64::from(found.length) <= scanned.length);
    assert!(within, "a frame goes beyond what holds");
    assert!(scanned.is_torn || scanned.length == bytes.len() as u64, "something was passed over");
    if scanned.found.is_empty() { Err("nothing in it".into()) } else { Ok(()) }
}

/// Every kind of frame, and a segment of all of them in two groups.
#[must_use]
pub fn samples() -> Vec<Vec<u8>> {
    let file = FileId { input: "folder".into(), device: 1, inode: 2 };
    let mark = Mark {
        file: file.clone(),
        offset: 12,
        head_bytes: 9,
        head: Digest([4; 32]),
        path: "/var/log/audit.ndjson".into(),
    };
    let draft = AccessEventDraft {
        origin: Origin { name: "https://a.example/AuditEvent/1".into(), digest: Digest([1; 32]) },
        subject: vec![SubjectKey::identifier("urn:oid:1.2.3", "MRN-7")],
        organisations: Vec::new(),
        basis: Basis::Unknown,
        cited: Some(Random16([3; 16])),
        cites: vec!["https://a.example/Consent/1".into()],
        values: AccessValues::default(),
    };
    let fixed =
        Fixed { item_id: ItemId([1; 16]), event: Random16([2; 16]), seed: [3; 32], stream: 1, sequence: 1 };
    let slot = Slot { members: vec![(1, 0)], fixed, head: Height(7), late: Late::Spooled };
    let batch = Batch { number: 1, epoch: 2026, through: 2, submissions: vec![vec![slot]] };
    let offer = Offer {
        head: Height(4),
        head_age_ms: 5,
        key: [6; 16],
        mark: Some(mark.clone()),
        drafts: vec![draft],
    };
    let totals = Totals {
        next_position: 3,
        open: Some(batch.clone()),
        window: vec![([1; 16], 4, TimeMs(9))],
        marks: vec![mark.clone()],
        ..Totals::default()
    };
    let frames = [
        Frame::Accepted(Accepted { position: 1, at: TimeMs(77), offer }),
        Frame::Batch(batch),
        Frame::Recorded { number: 1, height: Height(5) },
        Frame::State(totals),
        Frame::Read(mark),
        Frame::Gone(file),
    ];
    let mut samples: Vec<Vec<u8>> = frames.iter().map(Frame::encode).collect();
    let mut segment = MAGIC.to_vec();
    for (place, plain) in samples.iter().enumerate() {
        let group = Group { number: 1 + place as u64 / 3, is_last: place % 3 == 2 };
        if let Ok(frame) = KEY.seal(SEGMENT, segment.len() as u64, group, plain) {
            segment.extend(frame);
        }
    }
    samples.push(segment);
    samples
}
