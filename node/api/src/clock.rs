//! This process's clock: the machine's, or on a test network the machine's set ahead.
//!
//! Deadlines and retention run for days and years. A network that is to show what happens then is
//! stopped, its clocks are set ahead, and it is started again (`custos testnet later`); whoever signs
//! for it has to read the same clock. One place, so that no part of a process lives in another year.
//!
//! Deliberately absent: a way to set it back. Blocks have times, and nothing is recorded before them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use custos_proof::ids::TimeMs;

static AHEAD_MS: AtomicU64 = AtomicU64::new(0);

/// Now.
#[must_use]
pub fn now() -> TimeMs {
    machine().plus(AHEAD_MS.load(Ordering::Relaxed))
}

/// The machine's own clock.
#[must_use]
pub fn machine() -> TimeMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimeMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Sets the clock of this process ahead of the machine's: for test networks, before anything else runs.
pub fn set_ahead(ms: u64) {
    AHEAD_MS.store(ms, Ordering::Relaxed);
}
