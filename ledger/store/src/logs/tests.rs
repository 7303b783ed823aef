//! Logs that RocksDB wrote, torn as crashes tear them and damaged as disks damage them.

use std::sync::OnceLock;

use proptest::prelude::*;
use rocksdb::{DB, Options, WriteBatch};

use super::*;

const PAGE_BYTES: usize = 4096;

/// Bytes without a pattern, the same in every run.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// A write-ahead log with one write for each value, and how long it was after each.
fn written(values: &[Vec<u8>]) -> (Vec<u8>, Vec<usize>) {
    let dir = tempfile::tempdir().unwrap();
    let mut options = Options::default();
    options.create_if_missing(true);
    let db = DB::open(&options, dir.path()).unwrap();
    let log = || {
        let files = dir.path().read_dir().unwrap().map(|entry| entry.unwrap().path());
        let logs: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "log")).collect();
        assert_eq!(logs.len(), 1);
        std::fs::read(&logs[0]).unwrap()
    };
    let write = |value: &Vec<u8>| {
        let mut batch = WriteBatch::default();
        batch.put(b"key", value);
        db.write(batch).unwrap();
        log().len()
    };
    let ends = values.iter().map(write).collect();
    (log(), ends)
}

/// Writes of these many bytes.
fn of_sizes(sizes: &[usize]) -> (Vec<u8>, Vec<usize>) {
    let values: Vec<_> = sizes.iter().zip(0..).map(|(size, seed)| noise(*size, seed)).collect();
    written(&values)
}

/// Writes within a block, up to its border, over one border and over several.
const SIZES: [usize; 9] = [100, 5, 20_000, 12_600, 40_000, 20, 70_000, 300, 9_000];

fn judged(bytes: &[u8]) -> Verdict {
    judge(&mut &bytes[..], Log::Ahead).unwrap()
}

/// Where the headers are of a log that is whole.
fn headers(log: &[u8]) -> Vec<usize> {
    let (mut at, mut found) = (0, vec![]);
    while at < log.len() {
        let left = BLOCK_BYTES - at % BLOCK_BYTES;
        if left < HEADER_BYTES {
            at += left;
            continue;
        }
        found.push(at);
        at += HEADER_BYTES + usize::from(u16::from_le_bytes([log[at + 4], log[at + 5]]));
    }
    found
}

#[track_caller]
fn is_torn_within(bytes: &[u8], write: std::ops::Range<usize>, how: &str) {
    match judged(bytes) {
        Verdict::Whole => {}
        Verdict::Torn { at } => assert!(write.contains(&(at as usize)), "{how}: torn at {at}"),
        Verdict::Damaged { at, why } => panic!("{how}: damaged at {at}: {why}"),
    }
}

#[test]
fn what_rocksdb_wrote_is_whole_after_every_write() {
    let (log, ends) = of_sizes(&SIZES);
    assert!(headers(&log).len() > SIZES.len() + 3, "no write is in fragments");
    for end in ends {
        assert_eq!(judged(&log[..end]), Verdict::Whole, "{end}");
    }
    assert_eq!(judged(&[]), Verdict::Whole);
}

/// Cut at any byte, with nothing behind it or the zeros of a file that is longer than what was written.
#[test]
fn a_write_torn_anywhere_is_a_torn_end() {
    // Within a block, over a border, very short; and long ones, at a stride.
    let every: [&[usize]; 3] = [&SIZES, &[30_000, 4_000], &SIZES[..2]];
    let some: [&[usize]; 3] = [&SIZES[..7], &SIZES[..5], &[90_000]];
    for (sizes, stride) in every.map(|sizes| (sizes, 1)).into_iter().chain(some.map(|sizes| (sizes, 61))) {
        let (log, ends) = of_sizes(sizes);
        let begins = ends.iter().rev().nth(1).copied().unwrap_or_default();
        for cut in (begins..log.len()).step_by(stride) {
            let mut torn = log[..cut].to_vec();
            is_torn_within(&torn, begins..log.len(), &format!("{sizes:?} cut at {cut}"));
            torn.resize(cut.next_multiple_of(PAGE_BYTES), 0);
            is_torn_within(
                &torn,
                begins..log.len(),
                &format!("{sizes:?} cut at {cut}, zeros to the page's end"),
            );
            torn.resize(log.len().max(torn.len()), 0);
            is_torn_within(&torn, begins..log.len(), &format!("{sizes:?} cut at {cut}, zeros to the end"));
            if cut % 97 == 0 {
                torn.resize(torn.len() + 3 * BLOCK_BYTES, 0);
                is_torn_within(&torn, begins..log.len(), &format!("{sizes:?} cut at {cut}, and many zeros"));
            }
        }
    }
}

/// A power failure may leave any pages of an unsynced write and not the others.
#[test]
fn a_write_of_which_only_later_pages_reached_the_disk_is_a_torn_end() {
    for sizes in [&SIZES[..7], &[300, 150_000], &[30_000, 2_800], &[90_000]] {
        let (log, ends) = of_sizes(sizes);
        let begins = ends.iter().rev().nth(1).copied().unwrap_or_default();
        let pages: Vec<_> = (begins / PAGE_BYTES..log.len().div_ceil(PAGE_BYTES)).collect();
        for seed in 0..2_000 {
            let mut torn = log.clone();
            let lost = noise(pages.len(), seed);
            for page in pages.iter().zip(lost).filter(|(_, lost)| lost % 3 == 0).map(|(page, _)| *page) {
                // Of the page in which the write begins, the synced part stays.
                let end = log.len().min((page + 1) * PAGE_BYTES);
                torn[begins.max(page * PAGE_BYTES)..end].fill(0);
            }
            is_torn_within(&torn, begins..log.len(), &format!("{sizes:?}, seed {seed}"));
        }
    }
}

/// Somebody submits the bytes of a log, and the power fails while they are written.
#[test]
fn records_in_the_payload_of_a_torn_write_are_no_records() {
    let (inner, _) = of_sizes(&[3; 40]);
    let values: Vec<Vec<u8>> = vec![vec![7; 500], inner.repeat(60)];
    let (log, ends) = written(&values);
    assert!(log.len() > 2 * BLOCK_BYTES);
    for cut in ends[0]..log.len() {
        is_torn_within(&log[..cut], ends[0]..log.len(), &format!("cut at {cut}"));
    }
}

#[test]
fn every_flipped_bit_of_every_header_is_damage() {
    let (log, _) = of_sizes(&SIZES);
    for at in headers(&log) {
        for bit in 0..8 * HEADER_BYTES {
            let mut flipped = log.clone();
            flipped[at + bit / 8] ^= 1 << (bit % 8);
            match judged(&flipped) {
                Verdict::Damaged { at: found, .. } => assert_eq!(found as usize, at, "bit {bit}"),
                other => panic!("record at {at}, bit {bit}: {other:?}"),
            }
        }
    }
}

#[test]
fn any_other_length_is_damage() {
    let (log, ends) = of_sizes(&[400, 600, 500]);
    for at in [0, ends[0], ends[1]] {
        let right = u16::from_le_bytes([log[at + 4], log[at + 5]]);
        for wrong in (0..=u16::MAX).filter(|wrong| *wrong != right) {
            let mut changed = log.clone();
            changed[at + 4..at + 6].copy_from_slice(&wrong.to_le_bytes());
            assert!(matches!(judged(&changed), Verdict::Damaged { at: found, .. } if found as usize == at));
        }
    }
}

/// Headers of zeros are what RocksDB passes over without a word.
#[test]
fn a_lost_header_with_a_later_write_behind_it_is_damage() {
    let (log, ends) = of_sizes(&SIZES);
    let last = ends[ends.len() - 2];
    for at in headers(&log) {
        let mut lost = log.clone();
        lost[at..at + HEADER_BYTES].fill(0);
        match judged(&lost) {
            Verdict::Damaged { at: found, why } if at < last => {
                assert_eq!(found as usize, at);
                assert!(why.contains("a later write"), "{why}");
            }
            Verdict::Torn { at: found } if at >= last => assert_eq!(found as usize, at),
            other => panic!("record at {at}: {other:?}"),
        }
        // Several writes may be synced at once in a manifest.
        let manifest = judge(&mut &lost[..], Log::Manifest).unwrap();
        assert_eq!(manifest, Verdict::Torn { at: at as u64 });
    }
}

/// Of a recycled log RocksDB would wait for ever, or drop it; some others it passes over. Whether the checksum holds
/// makes no difference, nor does a cut.
#[test]
fn a_record_of_a_type_that_is_never_written_here_is_damage() {
    let (log, ends) = of_sizes(&[400, 600, 500]);
    for (kind, at) in (5..=u8::MAX).flat_map(|kind| [0, ends[0], ends[1]].map(|at| (kind, at))) {
        let mut changed = log.clone();
        changed[at + TYPE_AT] = kind;
        changed[at + 100] ^= 1;
        let end = Header::read(&changed, at).unwrap().end(at);
        let mut right = changed.clone();
        right[at..at + 4].copy_from_slice(&checksum(&changed[at + TYPE_AT..end]).to_le_bytes());
        for (bytes, how) in
            [(&changed[..], "wrong"), (&right[..], "right"), (&right[..end - 9], "right, and the end lost")]
        {
            match judged(bytes) {
                Verdict::Damaged { at: found, why } => {
                    assert_eq!(found as usize, at, "type {kind}, checksum {how}");
                    assert!(why.contains("never written here"), "type {kind}, checksum {how}: {why}");
                }
                other => panic!("type {kind} at {at}, checksum {how}: {other:?}"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_are_judged(bytes in proptest::collection::vec(any::<u8>(), 0..3 * BLOCK_BYTES)) {
        within(&bytes)?;
    }

    /// Bytes of which many look like headers.
    #[test]
    fn any_small_bytes_are_judged(bytes in proptest::collection::vec(0u8..5, 0..2 * BLOCK_BYTES)) {
        within(&bytes)?;
    }

    #[test]
    fn a_log_is_judged_whatever_became_of_it(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        headers_too in any::<bool>(),
        cut in any::<prop::sample::Index>(),
    ) {
        static LOG: OnceLock<Vec<u8>> = OnceLock::new();
        let mut log = LOG.get_or_init(|| of_sizes(&[400, 30_000, 12, 40_000, 8]).0).clone();
        let places = headers(&log);
        for (at, byte) in changes {
            let at = if headers_too { places[at.index(places.len())] + at.index(7) } else { at.index(log.len()) };
            log[at] = byte;
        }
        within(&log)?;
        within(&log[..cut.index(log.len())])?;
    }
}

/// What is said is about these bytes.
fn within(bytes: &[u8]) -> Result<(), TestCaseError> {
    for kind in [Log::Ahead, Log::Manifest] {
        match judge(&mut &bytes[..], kind).unwrap() {
            Verdict::Whole => {}
            Verdict::Torn { at } | Verdict::Damaged { at, .. } => prop_assert!(at < bytes.len() as u64),
        }
    }
    Ok(())
}
