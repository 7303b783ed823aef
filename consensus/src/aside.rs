//! Votes that this node may have cast and no longer remembers: where it stands aside.
//!
//! The engine's log holds the votes of one height, the one after the ledger's head, and plays them back
//! after a crash. Two accidents take that memory away:
//!
//! ```text
//! the log is gone            the ledger is at h: votes may have been cast at h + 1, and nobody knows which
//! the ledger lost blocks     up to d were decided here, and the ledger is at h before that: the engine would
//!                            reset its log to h + 1 and vote a second time on everything up to d
//! ```
//!
//! A validator that votes there again may sign twice. So it follows without voting until the others have
//! decided what it does not remember: up to h + 1 in the first case, up to d in the second, where it leaves
//! its log alone and goes on with it at d + 1. In the first case the height is on disk before the engine
//! starts, so that a crash meanwhile does not forget it; in the second the log itself says so, or the note
//! of what was decided.
//!
//! Deliberately absent: a data directory that is gone altogether, which looks like a new node's; an operator
//! who begins again with nothing must use a new consensus key.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use custos_proof::ids::Height;

/// The file that says from which height on this node may vote.
pub(crate) const FILE: &str = "votes-from";
/// The file that says up to which height this node has seen heights decided. Written without waiting for the disk:
/// it outlives the process, and what outlives a power failure is the ledger's to keep.
const DECIDED: &str = "decided";
/// The engine's log begins with its version and the height whose votes it holds, big-endian.
const LOG_HEADER_BYTES: usize = 12;
const LOG_VERSION: [u8; 4] = 1u32.to_be_bytes();

/// Where and how a node starts to vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Memory {
    /// The first height at which it may vote, if that is not the next one.
    pub(crate) votes_from: Option<Height>,
    /// The log that the engine is given.
    pub(crate) log: PathBuf,
}

/// What a validator remembers of its votes. What it must not forget is durable when this returns.
pub(crate) fn recall(directory: &Path, head: Height) -> io::Result<Memory> {
    let next = head.next();
    let log = directory.join("engine").join("votes.wal");
    let note = directory.join(FILE);
    let noted = read(&note)?;
    let at = height_of_log(&log)?;
    // A log at s says that s - 1 was decided here.
    let before_log = at.map(|at| Height(at.0.saturating_sub(1)));
    let decided = before_log.max(read(&directory.join(DECIDED)).unwrap_or_default());
    if let Some(decided) = decided.filter(|decided| *decided > head) {
        let votes_from = noted.max(Some(decided.next()));
        return Ok(Memory { votes_from, log: log.with_file_name("following.wal") });
    }
    let lost = at.is_none() && head > Height(0);
    let votes_from = noted.max(lost.then(|| next.next()));
    if let Some(from) = votes_from.filter(|_| votes_from > noted) {
        write(directory, &note, from)?;
    }
    Ok(Memory { votes_from: votes_from.filter(|from| *from > next), log })
}

/// Notes that a height was decided here.
pub(crate) fn decided(directory: &Path, height: Height) -> io::Result<()> {
    fs::write(directory.join(DECIDED), format!("{height}\n"))
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

fn read(path: &Path) -> io::Result<Option<Height>> {
    match fs::read_to_string(path) {
        Ok(text) => text.trim().parse().map(|height| Some(Height(height))).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{} holds no height", path.display()))
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write(directory: &Path, path: &Path, from: Height) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = File::create(&fresh)?;
    writeln!(file, "{from}")?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_at(directory: &Path, height: u64) {
        let path = directory.join("engine/votes.wal");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let bytes = [&1u32.to_be_bytes()[..], &height.to_be_bytes(), b"entries"].concat();
        fs::write(path, bytes).unwrap();
    }

    fn votes_from(directory: &Path, head: u64) -> Option<u64> {
        recall(directory, Height(head)).unwrap().votes_from.map(|from| from.0)
    }

    #[test]
    fn a_new_node_and_an_ordinary_restart_vote_at_once() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(votes_from(folder.path(), 0), None);
        // In the next height, and between the commit of a height and the start of the next one.
        for log in [8, 7] {
            log_at(folder.path(), log);
            assert_eq!(votes_from(folder.path(), 7), None);
        }
        assert!(!folder.path().join(FILE).exists());
    }

    #[test]
    fn a_lost_log_costs_the_open_height_and_a_crash_does_not_forget_it() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(votes_from(folder.path(), 7), Some(9));
        // It followed, the engine made a new log, and it crashed.
        log_at(folder.path(), 8);
        assert_eq!(votes_from(folder.path(), 7), Some(9));
        log_at(folder.path(), 9);
        assert_eq!(votes_from(folder.path(), 8), None);
        // Lost once more, later.
        fs::remove_file(folder.path().join("engine/votes.wal")).unwrap();
        assert_eq!(votes_from(folder.path(), 30), Some(32));
    }

    #[test]
    fn a_ledger_that_lost_blocks_gets_them_back_before_its_log_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        log_at(folder.path(), 20);
        for head in [11, 15, 18] {
            let memory = recall(folder.path(), Height(head)).unwrap();
            assert_eq!(memory.votes_from, Some(Height(20)));
            assert!(memory.log.ends_with("engine/following.wal"));
        }
        let memory = recall(folder.path(), Height(19)).unwrap();
        assert_eq!(memory.votes_from, None);
        assert!(memory.log.ends_with("engine/votes.wal"));
    }

    #[test]
    fn a_log_of_a_height_that_was_decided_is_not_played_back_without_its_block() {
        let folder = tempfile::tempdir().unwrap();
        log_at(folder.path(), 20);
        decided(folder.path(), Height(20)).unwrap();
        let memory = recall(folder.path(), Height(19)).unwrap();
        assert_eq!(memory.votes_from, Some(Height(21)));
        assert!(memory.log.ends_with("engine/following.wal"));
        assert_eq!(votes_from(folder.path(), 20), None);
        // A torn note is none.
        fs::write(folder.path().join(DECIDED), "").unwrap();
        assert_eq!(votes_from(folder.path(), 19), None);
    }

    #[test]
    fn a_torn_log_is_a_lost_one_and_a_damaged_note_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        log_at(folder.path(), 8);
        fs::write(folder.path().join("engine/votes.wal"), [0, 0, 0, 1, 0]).unwrap();
        assert_eq!(votes_from(folder.path(), 7), Some(9));
        fs::write(folder.path().join(FILE), "nine").unwrap();
        assert!(recall(folder.path(), Height(7)).is_err());
    }
}
