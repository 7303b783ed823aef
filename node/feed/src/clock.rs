//! This machine's clock, as the formats count time.

use std::time::{SystemTime, UNIX_EPOCH};

use custos_proof::ids::TimeMs;

/// Now.
#[must_use]
pub fn now() -> TimeMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimeMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
