//! Standing back: a validator that may have forgotten a vote signs nothing until it cannot contradict it.
//!
//! Whoever loses the log of its votes (a new disk, a restored copy, a damaged file) could vote again in
//! a round in which it has voted already, and be right in every rule it knows. So it follows the others
//! without its key, until it has committed a block that was *built* after it began to stand back: what
//! it signed before was for that height at the latest. From the next height on it votes.
//!
//! ```text
//! began ----- votes that are forgotten are for heights up to here
//!   ... blocks with times up to began + twice the clock bound: say nothing
//! height h    its time is later: it was built afterwards, so h was undecided then, and nothing higher begun
//! height h+1  votes
//! ```
//!
//! The mark is a file in the data directory, so that no restart forgets it. Nothing ends it but the
//! rule, or an operator who knows that the others hold no vote of this key ([`vote_again`]): when more
//! than a third of the validators lost their logs, none of them would ever see a block.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use custos_proof::ids::TimeMs;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::chain::clock;

/// The mark, in the data directory.
const MARK: &str = "standing-back.toml";
/// The longest mark that is read.
const MAX_MARK_BYTES: u64 = 64 * 1024;
/// Consensus' own files, in the data directory.
const CONSENSUS: &str = "consensus";

/// Why and since when a validator stands back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StandingBack {
    /// Since when, by this machine's clock.
    pub since_ms: u64,
    /// Why, for people.
    pub reason: String,
}

impl StandingBack {
    /// Whether a committed block of this time ends it.
    #[must_use]
    pub fn ends_with(&self, block: TimeMs, clock_bound_ms: u64) -> bool {
        block.0 > self.since_ms.saturating_add(clock_bound_ms.saturating_mul(2))
    }
}

/// Begins to stand back: what consensus kept of its votes is moved aside, and the mark is set. The node MUST be
/// stopped, or have stopped signing. Returns where the files went.
///
/// # Errors
/// When the directory cannot be written; the node then still finds its log missing.
pub fn stand_back(data_dir: &Path, reason: &str) -> io::Result<Option<PathBuf>> {
    let now = clock().0;
    let consensus = data_dir.join(CONSENSUS);
    let aside = data_dir.join(format!("{CONSENSUS}.{now}"));
    let moved = consensus.exists();
    if moved {
        fs::rename(&consensus, &aside)?;
    }
    let mark = StandingBack { since_ms: now, reason: reason.to_owned() };
    let text = toml::to_string(&mark).map_err(io::Error::other)?;
    let part = data_dir.join(format!("{MARK}.part"));
    let mut file = File::create(&part)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&part, data_dir.join(MARK))?;
    File::open(data_dir)?.sync_all()?;
    Ok(moved.then_some(aside))
}

/// Whether the node stands back.
///
/// # Errors
/// When the mark cannot be read. One that cannot be understood is a reason to stand back from now on.
pub fn standing_back(data_dir: &Path) -> io::Result<Option<StandingBack>> {
    let path = data_dir.join(MARK);
    match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
        Ok(metadata) if metadata.len() > MAX_MARK_BYTES => {}
        Ok(_) => {
            if let Some(mark) = fs::read_to_string(&path).ok().and_then(|text| toml::from_str(&text).ok()) {
                return Ok(Some(mark));
            }
        }
    }
    warn!(mark = %path.display(), "the mark for standing back cannot be understood: it counts from now");
    let reason = "the mark was damaged".to_owned();
    Ok(Some(StandingBack { since_ms: clock().0, reason }))
}

/// Ends standing back, by the rule or by an operator's word.
///
/// # Errors
/// When the mark cannot be removed.
pub fn vote_again(data_dir: &Path) -> io::Result<()> {
    match fs::remove_file(data_dir.join(MARK)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => File::open(data_dir)?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_survives_ends_by_the_rule_and_is_never_lost_to_damage() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(CONSENSUS)).unwrap();
        assert_eq!(standing_back(dir.path()).unwrap(), None);
        let aside = stand_back(dir.path(), "a test").unwrap().unwrap();
        assert!(aside.is_dir() && !dir.path().join(CONSENSUS).exists());
        let mark = standing_back(dir.path()).unwrap().unwrap();
        assert_eq!(mark.reason, "a test");
        let bound = 5_000;
        assert!(!mark.ends_with(TimeMs(mark.since_ms + 2 * bound), bound));
        assert!(mark.ends_with(TimeMs(mark.since_ms + 2 * bound + 1), bound));
        fs::write(dir.path().join(MARK), "since_ms = -1").unwrap();
        let damaged = standing_back(dir.path()).unwrap().unwrap();
        assert!(damaged.since_ms >= mark.since_ms);
        vote_again(dir.path()).unwrap();
        vote_again(dir.path()).unwrap();
        assert_eq!(standing_back(dir.path()).unwrap(), None);
    }
}
