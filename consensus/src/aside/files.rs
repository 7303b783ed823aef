//! The files by which [`decide`] decides: read, written, moved away.
//!
//! Each is small and of one writer, the node that owns the directory; what it must not forget is replaced whole and
//! flushed. Deliberately absent: any judgement of what the files say.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use custos_proof::ids::{Height, TimeMs};

use super::{Aside, DAMAGED, Found, Item, Log, Note, Start, Step, decide, decided_now};

/// The note of when this node began to stand aside, and why. It outlives the block that ends it by a restart.
const NOTE: &str = "stands-aside";
/// An operator's word that this node votes at once; gone when it was heard.
const WORD: &str = "votes-at-once";
/// The file that says up to which height this node has seen heights decided. Written without waiting for the disk:
/// it outlives the process, and what outlives a power failure is the ledger's to keep.
const DECIDED: &str = "decided";
/// The longest note that is read.
const MAX_NOTE_BYTES: u64 = 4096;
/// The longest reason that is kept, in bytes.
const MAX_REASON_BYTES: usize = 1024;
/// The engine's log begins with its version and the height whose votes it holds, big-endian.
const LOG_HEADER_BYTES: usize = 12;
const LOG_VERSION: [u8; 4] = 1u32.to_be_bytes();

/// Sees to it that a node stands aside from its next start on, whatever its files remember: they are moved
/// away. The node MUST be stopped, or have stopped signing. Returns where the files went.
///
/// # Errors
/// When the directory cannot be written.
pub fn stand_aside(directory: &Path, now: TimeMs, reason: &str) -> io::Result<Option<PathBuf>> {
    let moved = directory.exists().then(|| {
        let mut name = directory.as_os_str().to_owned();
        name.push(format!(".{}", now.0));
        PathBuf::from(name)
    });
    // The note first, where a crash leaves it: in the directory that is moved it does no harm.
    if let Some(moved) = &moved {
        note(directory, now, reason)?;
        fs::rename(directory, moved)?;
    }
    fs::create_dir_all(directory)?;
    note(directory, now, reason)?;
    if let Some(parent) = directory.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(moved)
}

/// Why a node stands aside, by its note; nothing when it has none.
///
/// # Errors
/// When the note cannot be read.
pub fn noted(directory: &Path) -> io::Result<Option<String>> {
    Ok(match read_note(directory)? {
        Note::Absent => None,
        Note::Damaged => Some(DAMAGED.to_owned()),
        Note::Since(_, reason) => Some(reason),
    })
}

/// An operator's word: the node votes from its next start on. It MUST be stopped.
///
/// # Errors
/// When the directory cannot be written.
pub fn vote_again(directory: &Path) -> io::Result<()> {
    // All of it may be what was lost.
    fs::create_dir_all(directory)?;
    write(directory, WORD, "")
}

/// Where and how a node starts to vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Memory {
    /// What it waits for before it votes, if it stands aside.
    pub(crate) aside: Option<Aside>,
    /// The log that the engine is given.
    pub(crate) log: PathBuf,
}

/// What a validator with this head remembers of its votes. What it must not forget is durable when this returns.
pub(crate) fn recall(
    directory: &Path,
    head: Height,
    time: TimeMs,
    clock_bound_ms: u64,
    now: TimeMs,
) -> io::Result<Memory> {
    let votes = directory.join("engine").join("votes.wal");
    let found = find(directory, &votes)?;
    let decision = decide(&found, &Start { head, time, clock_bound_ms, now });
    for step in decision.steps {
        match step {
            Step::Write(since, reason) => note(directory, since, &reason)?,
            Step::Remove(Item::Log) => remove(&votes)?,
            Step::Remove(Item::Decided) => remove(&directory.join(DECIDED))?,
            Step::Remove(Item::Note) => remove(&directory.join(NOTE))?,
            Step::Remove(Item::Word) => remove(&directory.join(WORD))?,
        }
    }
    let log = match decision.log {
        Log::Votes => votes,
        Log::Following => votes.with_file_name("following.wal"),
    };
    Ok(Memory { aside: decision.aside, log })
}

/// What the files say.
fn find(directory: &Path, votes: &Path) -> io::Result<Found> {
    let log = height_of_log(votes)?;
    if directory.join(WORD).exists() {
        // Nothing else counts, and may be damaged.
        return Ok(Found { log, decided: None, note: Note::Absent, word: true });
    }
    Ok(Found { log, decided: decided_here(directory)?, note: read_note(directory)?, word: false })
}

/// Notes that a height was decided here.
pub(crate) fn decided(directory: &Path, height: Height) -> io::Result<()> {
    let noted = decided_here(directory)?;
    match decided_now(noted, height) {
        same if noted == Some(same) => Ok(()),
        now => fs::write(directory.join(DECIDED), format!("{now}\n")),
    }
}

/// A torn note of what was decided is none.
fn decided_here(directory: &Path) -> io::Result<Option<Height>> {
    match fs::read_to_string(directory.join(DECIDED)) {
        Ok(text) => Ok(text.trim().parse().ok().map(Height)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The height whose votes the log holds; nothing when there is no log.
fn height_of_log(path: &Path) -> io::Result<Option<Height>> {
    let mut header = [0; LOG_HEADER_BYTES];
    match File::open(path).and_then(|mut file| file.read_exact(&mut header)) {
        Ok(()) => {}
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    }
    let [v0, v1, v2, v3, height @ ..] = header;
    // Another version is for the engine to refuse.
    Ok(([v0, v1, v2, v3] == LOG_VERSION).then(|| Height(u64::from_be_bytes(height))))
}

fn note(directory: &Path, since: TimeMs, reason: &str) -> io::Result<()> {
    let reason: String = reason.chars().filter(|c| !c.is_control()).collect();
    let reason = reason.get(..reason.floor_char_boundary(MAX_REASON_BYTES)).unwrap_or_default();
    write(directory, NOTE, &format!("{}\n{reason}\n", since.0))
}

/// Since when and why.
fn read_note(directory: &Path) -> io::Result<Note> {
    let mut text = Vec::new();
    match File::open(directory.join(NOTE)).and_then(|file| file.take(MAX_NOTE_BYTES).read_to_end(&mut text)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Note::Absent),
        Err(error) => return Err(error),
    }
    let text = String::from_utf8_lossy(&text);
    let understood = text
        .split_once('\n')
        .and_then(|(since, reason)| Some(Note::Since(TimeMs(since.parse().ok()?), reason.trim().to_owned())));
    Ok(understood.unwrap_or(Note::Damaged))
}

/// Durable when it returns, and never half there.
fn write(directory: &Path, name: &str, text: &str) -> io::Result<()> {
    let fresh = directory.join(format!("{name}.new"));
    let mut file = File::create(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, directory.join(name))?;
    File::open(directory)?.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND_MS: u64 = 5_000;
    const NOW: TimeMs = TimeMs(1_000_000);
    /// A block's time that ends what began at [`NOW`], and one that does not.
    const LATER: u64 = NOW.0 + 2 * BOUND_MS + 1;
    const EARLIER: u64 = LATER - 1;

    fn log_at(directory: &Path, height: u64) {
        let path = directory.join("engine/votes.wal");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let bytes = [&1u32.to_be_bytes()[..], &height.to_be_bytes(), b"entries"].concat();
        fs::write(path, bytes).unwrap();
    }

    fn memory(directory: &Path, head: u64, time: u64) -> Memory {
        recall(directory, Height(head), TimeMs(time), BOUND_MS, NOW).unwrap()
    }

    fn stands_aside(directory: &Path, head: u64, time: u64) -> bool {
        memory(directory, head, time).aside.is_some()
    }

    #[test]
    fn a_new_node_and_an_ordinary_restart_vote_at_once() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!stands_aside(folder.path(), 0, 0));
        // In the next height, and between the commit of a height and the start of the next one.
        for log in [8, 7] {
            log_at(folder.path(), log);
            assert!(!stands_aside(folder.path(), 7, 900_000));
        }
        assert!(!folder.path().join(NOTE).exists());
    }

    #[test]
    fn a_lost_log_costs_the_heights_begun_and_a_crash_does_not_forget_it() {
        let folder = tempfile::tempdir().unwrap();
        let aside = memory(folder.path(), 7, 900_000).aside.unwrap();
        assert_eq!((aside.since, aside.from), (Some(NOW), Height(8)));
        assert!(!aside.ends_with(Height(9), TimeMs(EARLIER), BOUND_MS));
        assert!(aside.ends_with(Height(8), TimeMs(LATER), BOUND_MS));
        // It followed, the engine made a new log, and it crashed.
        log_at(folder.path(), 8);
        assert!(stands_aside(folder.path(), 7, 900_000));
        log_at(folder.path(), 9);
        assert!(stands_aside(folder.path(), 8, EARLIER));
        assert!(!stands_aside(folder.path(), 8, LATER));
        assert!(!folder.path().join(NOTE).exists());
        // Lost once more, later.
        fs::remove_file(folder.path().join("engine/votes.wal")).unwrap();
        assert!(stands_aside(folder.path(), 30, EARLIER));
    }

    #[test]
    fn a_ledger_that_lost_blocks_gets_them_back_before_its_log_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        log_at(folder.path(), 20);
        for head in [11, 15, 18] {
            let Memory { aside, log } = memory(folder.path(), head, 900_000);
            let aside = aside.unwrap();
            assert_eq!((aside.from, aside.since), (Height(20), None));
            assert!(!aside.ends_with(Height(18), TimeMs(LATER), BOUND_MS));
            assert!(aside.ends_with(Height(19), TimeMs(900_000), BOUND_MS));
            assert!(log.ends_with("engine/following.wal"));
        }
        let Memory { aside, log } = memory(folder.path(), 19, 900_000);
        assert_eq!(aside, None);
        assert!(log.ends_with("engine/votes.wal"));
    }

    #[test]
    fn a_log_of_a_height_that_was_decided_is_not_played_back_without_its_block() {
        let folder = tempfile::tempdir().unwrap();
        log_at(folder.path(), 20);
        decided(folder.path(), Height(20)).unwrap();
        let Memory { aside, log } = memory(folder.path(), 19, 900_000);
        assert_eq!(aside.unwrap().from, Height(21));
        assert!(log.ends_with("engine/following.wal"));
        assert!(!stands_aside(folder.path(), 20, 900_000));
        // A torn note is none.
        fs::write(folder.path().join(DECIDED), "").unwrap();
        assert!(!stands_aside(folder.path(), 19, 900_000));
    }

    #[test]
    fn a_crash_while_lost_blocks_come_back_does_not_forget_what_was_decided_above() {
        let folder = tempfile::tempdir().unwrap();
        // Height 20 was decided, and its body forgotten, and the log not begun anew.
        log_at(folder.path(), 20);
        decided(folder.path(), Height(20)).unwrap();
        for head in 12..20 {
            assert_eq!(memory(folder.path(), head, 900_000).aside.unwrap().from, Height(21));
            decided(folder.path(), Height(head + 1)).unwrap();
        }
        assert!(!stands_aside(folder.path(), 20, 900_000));
        decided(folder.path(), Height(21)).unwrap();
        assert_eq!(memory(folder.path(), 20, 900_000).aside.unwrap().from, Height(22));
    }

    #[test]
    fn to_read_a_damaged_note_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        log_at(folder.path(), 8);
        fs::write(folder.path().join(NOTE), "nine").unwrap();
        assert!(noted(folder.path()).unwrap().is_some());
        assert!(stands_aside(folder.path(), 7, EARLIER));
    }

    #[test]
    fn a_torn_log_is_a_lost_one_and_a_damaged_note_counts_from_now() {
        let folder = tempfile::tempdir().unwrap();
        log_at(folder.path(), 8);
        fs::write(folder.path().join("engine/votes.wal"), [0, 0, 0, 1, 0]).unwrap();
        assert!(stands_aside(folder.path(), 7, EARLIER));
        log_at(folder.path(), 8);
        fs::write(folder.path().join(NOTE), "nine").unwrap();
        assert!(stands_aside(folder.path(), 7, EARLIER));
        assert!(!stands_aside(folder.path(), 7, LATER));
    }

    #[test]
    fn a_copy_stands_aside_whatever_lay_beside_it_and_an_operators_word_ends_it() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("consensus");
        log_at(&directory, 8);
        let moved = stand_aside(&directory, NOW, "it was restored\nfrom a snapshot").unwrap().unwrap();
        assert!(moved.join("engine/votes.wal").exists() && !directory.join("engine").exists());
        assert_eq!(noted(&directory).unwrap().unwrap(), "it was restoredfrom a snapshot");
        // Also a node that has not yet read a block.
        assert!(stands_aside(&directory, 0, 0));
        assert!(stands_aside(&directory, 7, EARLIER));
        log_at(&directory, 3);
        vote_again(&directory).unwrap();
        assert!(!stands_aside(&directory, 7, EARLIER));
        log_at(&directory, 8);
        assert!(!stands_aside(&directory, 7, EARLIER));
        // Also where the whole directory is gone and no start has noted it.
        fs::remove_dir_all(&directory).unwrap();
        vote_again(&directory).unwrap();
        assert!(!stands_aside(&directory, 7, EARLIER));
    }
}
