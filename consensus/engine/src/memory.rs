//! What the engine's log remembers, seen from outside: for which height it holds votes.
//!
//! The engine begins a log anew that is missing or empty, and one of another height than the one it is
//! told to start: right for a node whose ledger it belongs to, and a loss of memory for any other. The
//! node asks here before it lets the engine have a key.
//!
//! Deliberately absent: the entries. Whether they are whole, the engine finds when it replays them.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use custos_proof::ids::Height;

/// A version (4 bytes, big-endian) and the height (8 bytes) stand before the entries.
const HEADER_BYTES: usize = 12;

/// The height that the log in `path` holds votes of; `None` when there is no log, or none with a head.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn remembered(path: &Path) -> io::Result<Option<Height>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut header = [0; HEADER_BYTES];
    match file.read_exact(&mut header) {
        Ok(()) => Ok(header.last_chunk().map(|height| Height(u64::from_be_bytes(*height)))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}
