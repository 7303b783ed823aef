//! The spool against crashes at every byte, damage, a full disk and a second process.

use proptest::prelude::*;
use tempfile::TempDir;

use super::frame::tests::{batch, mark, offer};
use super::*;

fn key() -> SpoolKey {
    SpoolKey::new([7; 32])
}

fn limits() -> Limits {
    Limits { reserve_bytes: 0, ..Limits::default() }
}

fn open(folder: &Path) -> Spool {
    Spool::open(folder, key(), limits()).unwrap()
}

fn accepted(position: u64) -> Frame {
    Frame::Accepted(Accepted { position, at: TimeMs(1_000 + position), offer: offer(position) })
}

/// What can be asked of a spool after a crash: positions that wait, the next position and number, how many
/// events are recorded, the open batch.
type Seen = (Vec<u64>, u64, u64, u64, Option<u64>);

fn seen(spool: &Spool) -> Seen {
    let state = spool.state();
    let positions = state.pending.iter().map(|pending| pending.position).collect();
    let open = state.open.as_ref().map(|(batch, _)| batch.number);
    (positions, state.next_position, state.next_sequence, state.recorded, open)
}

fn active_file(folder: &Path) -> PathBuf {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with(PREFIX));
    files.sort();
    files.pop().unwrap()
}

#[test]
fn what_was_appended_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path());
    spool.append(vec![accepted(1), accepted(2)]).unwrap();
    spool.append(vec![accepted(3), Frame::Read(mark(40))]).unwrap();
    spool.append(vec![Frame::Batch(batch(1, 2, 1..3))]).unwrap();
    let before = seen(&spool);
    assert_eq!(before, (vec![3], 4, 3, 0, Some(1)));
    drop(spool);
    let spool = open(folder.path());
    assert_eq!(seen(&spool), before);
    assert_eq!(spool.state().waiting, 3);
    assert_eq!(spool.state().marks.values().next().unwrap().offset, 40);
    let (_, documents) = spool.state().open.as_ref().unwrap();
    let read: Vec<u64> = documents.iter().map(|place| spool.reader().read(place).unwrap().position).collect();
    assert_eq!(read, [1, 2]);
    assert!(spool.state().accepted_before(&offer(3).key, TimeMs(1_003), &limits()).is_some());
    let late = TimeMs(1_003 + limits().window_ms + 1);
    assert!(spool.state().accepted_before(&offer(3).key, late, &limits()).is_none());
}

#[test]
fn only_one_process_has_a_spool() {
    let folder = tempfile::tempdir().unwrap();
    let _spool = open(folder.path());
    assert!(matches!(Spool::open(folder.path(), key(), limits()), Err(SpoolError::Locked { .. })));
}

#[test]
fn another_key_opens_nothing_and_removes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path());
    spool.append(vec![accepted(1)]).unwrap();
    drop(spool);
    let before = fs::read(active_file(folder.path())).unwrap();
    let other = Spool::open(folder.path(), SpoolKey::new([8; 32]), limits());
    assert!(matches!(other, Err(SpoolError::Damaged { .. })));
    assert_eq!(fs::read(active_file(folder.path())).unwrap(), before);
}

/// Writes some groups; gives back the file and where each group ended.
fn groups() -> (TempDir, PathBuf, Vec<(usize, Seen)>) {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path());
    let file = active_file(folder.path());
    let mut ends = vec![(fs::read(&file).unwrap().len(), seen(&spool))];
    for frames in [
        vec![accepted(1), accepted(2), accepted(3)],
        vec![accepted(4)],
        vec![Frame::Batch(batch(1, 3, 1..4))],
        vec![Frame::Recorded { number: 1, height: Height(9) }],
        vec![accepted(5), accepted(6)],
    ] {
        spool.append(frames).unwrap();
        ends.push((fs::read(&file).unwrap().len(), seen(&spool)));
    }
    (folder, file, ends)
}

#[test]
fn a_write_cut_at_any_byte_loses_nothing_that_was_synced() {
    let (folder, file, ends) = groups();
    let whole = fs::read(&file).unwrap();
    for cut in (ends[0].0..=whole.len()).rev().step_by(3) {
        fs::write(&file, &whole[..cut]).unwrap();
        let (_, expected) = ends.iter().rev().find(|(end, _)| *end <= cut).unwrap();
        let mut spool = open(folder.path());
        let found = seen(&spool);
        // Documents of a group that was not acknowledged may be there; nothing acknowledged may be missing.
        assert!(found.0.starts_with(&expected.0) || found.4 != expected.4 || found.3 != expected.3, "{cut}");
        assert!(found.1 >= expected.1 && found.2 >= expected.2 && found.3 >= expected.3, "{cut}");
        // And it goes on from there.
        let next = spool.state().next_position;
        spool.append(vec![accepted(next)]).unwrap();
        drop(spool);
        assert_eq!(open(folder.path()).state().next_position, next + 1);
    }
}

#[test]
fn a_write_of_which_only_later_parts_reached_the_disk_is_torn() {
    let (folder, file, ends) = groups();
    let whole = fs::read(&file).unwrap();
    let (start, expected) = ends[ends.len() - 2].clone();
    // The first frame of the last group is lost, the second is there.
    let mut bytes = whole.clone();
    bytes[start..start + 40].fill(0);
    fs::write(&file, &bytes).unwrap();
    assert_eq!(seen(&open(folder.path())), expected);
    assert_eq!(fs::metadata(&file).unwrap().len(), start as u64);
}

#[test]
fn a_flipped_bit_in_what_was_synced_is_an_error_and_cuts_off_nothing() {
    let (folder, file, ends) = groups();
    let whole = fs::read(&file).unwrap();
    for at in (0..ends[ends.len() - 2].0).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&file, &bytes).unwrap();
        let opened = Spool::open(folder.path(), key(), limits());
        assert!(matches!(opened, Err(SpoolError::Damaged { .. })), "byte {at}: {opened:?}");
        assert_eq!(fs::read(&file).unwrap(), bytes, "byte {at}");
    }
}

#[test]
fn segments_are_removed_when_nothing_in_them_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let small = Limits { segment_bytes: 16 * 1024, ..limits() };
    let mut spool = Spool::open(folder.path(), key(), small).unwrap();
    let count = |spool: &Spool| spool.segments.len();
    for position in 1..=200 {
        spool.append(vec![accepted(position)]).unwrap();
    }
    assert!(count(&spool) > 3);
    spool.append(vec![Frame::Read(mark(77))]).unwrap();
    spool.append(vec![Frame::Batch(batch(1, 150, 1..151))]).unwrap();
    spool.trim().unwrap();
    drop(spool);
    let mut spool = Spool::open(folder.path(), key(), small).unwrap();
    assert_eq!(seen(&spool), ((151..=200).collect(), 201, 151, 0, Some(1)));
    let before = count(&spool);
    spool.append(vec![Frame::Recorded { number: 1, height: Height(3) }]).unwrap();
    spool.trim().unwrap();
    assert!(count(&spool) < before);
    spool.append(vec![Frame::Batch(batch(2, 200, 151..201))]).unwrap();
    spool.append(vec![Frame::Recorded { number: 2, height: Height(4) }]).unwrap();
    spool.trim().unwrap();
    assert_eq!(count(&spool), 1);
    let state = seen(&spool);
    assert_eq!(state, (vec![], 201, 201, 200, None));
    let key_of_last = offer(200).key;
    drop(spool);
    // Everything that later frames stand on came over into the last segment.
    let spool = Spool::open(folder.path(), key(), small).unwrap();
    assert_eq!(seen(&spool), state);
    assert_eq!(spool.state().waiting, 0);
    assert_eq!(spool.state().accepted_before(&key_of_last, TimeMs(2_000), &small), Some(200));
    assert_eq!(spool.state().marks.values().next().unwrap().offset, 77);
}

#[test]
fn a_missing_segment_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let small = Limits { segment_bytes: 8 * 1024, ..limits() };
    let mut spool = Spool::open(folder.path(), key(), small).unwrap();
    (1..=100).for_each(|position| spool.append(vec![accepted(position)]).unwrap());
    assert!(spool.segments.len() > 3);
    drop(spool);
    fs::remove_file(path_of(folder.path(), 2)).unwrap();
    let opened = Spool::open(folder.path(), key(), small);
    assert!(matches!(opened, Err(SpoolError::Damaged { what: "a segment is missing", .. })));
}

#[test]
fn bounds_are_told_and_an_end_is_still_written() {
    let folder = tempfile::tempdir().unwrap();
    let tight = Limits { max_events: 3, ..limits() };
    let mut spool = Spool::open(folder.path(), key(), tight).unwrap();
    spool.append(vec![accepted(1), accepted(2), accepted(3)]).unwrap();
    assert!(matches!(spool.has_room(), Err(SpoolError::Full(why)) if why.contains("max_events")));
    spool.append(vec![Frame::Batch(batch(1, 3, 1..4))]).unwrap();
    spool.append(vec![Frame::Recorded { number: 1, height: Height(1) }]).unwrap();
    spool.has_room().unwrap();
    drop(spool);
    let huge = Limits { reserve_bytes: u64::MAX, ..limits() };
    let spool = Spool::open(folder.path(), key(), huge).unwrap();
    assert!(matches!(spool.has_room(), Err(SpoolError::Full(why)) if why.contains("reserve_bytes")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever stands in the last file, opening ends with a spool or an error.
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, has_magic: bool) {
        let folder = tempfile::tempdir().unwrap();
        let all = if has_magic { [&MAGIC[..], &bytes].concat() } else { bytes };
        fs::write(folder.path().join(format!("{PREFIX}{:010}", 1)), all).unwrap();
        let _ = Spool::open(folder.path(), key(), limits());
    }
}
