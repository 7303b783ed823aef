//! Keeping bytes no longer than the operator wants: old testimony is pruned while the node runs.
//!
//! Once for each day of block time, off the path of blocks. What goes and what stays is the store's rule
//! (`custos_store::prune`); here is only *when*: by block time, so many days back from the last block's, which the
//! validators agreed on. A clock that is years ahead takes nothing, and a node that was away prunes as soon as it
//! has caught up with another day.

use std::sync::Arc;
use std::time::Duration;

use custos_proof::ids::{Height, TimeMs};
use custos_store::StoreError;
use custos_store::prune::Pruned;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info, warn};

use crate::chain::{Chain, clock};
use crate::config::RetentionConfig;

/// How often the node looks whether it has come to another day.
const LOOK: Duration = Duration::from_secs(10);
const DAY_MS: u64 = 86_400_000;

/// Prunes as configured until it is aborted; returns at once when everything is kept.
pub(crate) async fn keep(chain: Arc<Chain>, retention: Option<RetentionConfig>) {
    let Some(retention) = retention else { return };
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looked_at = None;
    loop {
        look.tick().await;
        let newest = newest(&chain);
        let day = newest.0 / DAY_MS;
        if looked_at.is_some_and(|looked_at| day <= looked_at) {
            continue;
        }
        // Also when it fails: what is wrong with the disk today may be mended tomorrow.
        looked_at = Some(day);
        let chain = Arc::clone(&chain);
        let pruned = tokio::task::spawn_blocking(move || prune(&chain, retention, newest)).await;
        match pruned {
            Ok(Ok(Some((before, pruned)))) => info!(
                before = before.0,
                items = pruned.items,
                envelopes = pruned.envelopes,
                held = pruned.held,
                "old testimony was pruned"
            ),
            Ok(Ok(None)) => {}
            Ok(Err(error)) => warn!(%error, "old testimony could not be pruned; it is tried again tomorrow"),
            Err(error) => error!(%error, "pruning ended early; it is tried again tomorrow"),
        }
    }
}

/// The last block's time; this machine's, if that is earlier.
fn newest(chain: &Chain) -> TimeMs {
    chain.store().head().time.min(clock())
}

/// Up to which height it was pruned, and what went; nothing when every block is younger. Blocks that were pruned
/// before are looked at again: a hold on them may have been lifted.
fn prune(
    chain: &Chain,
    retention: RetentionConfig,
    newest: TimeMs,
) -> Result<Option<(Height, Pruned)>, StoreError> {
    let oldest = TimeMs(newest.0.saturating_sub(u64::from(retention.testimony_days) * DAY_MS));
    let before = chain.store().snapshot()?.height_at(oldest)?;
    if before <= Height(1) {
        return Ok(None);
    }
    let pruned = chain.store().prune(before, retention.envelopes, &mut |_| {})?;
    Ok(Some((before, pruned)))
}
