//! Keeping bytes no longer than the operator wants: old testimony is pruned while the node runs.
//!
//! Once a day, off the path of blocks. What goes and what stays is the store's rule
//! (`custos_store::prune`); here is only *when*: by block time, so many days back from the last block's, which the
//! validators agreed on. A clock that is years ahead takes nothing.

use std::sync::Arc;
use std::time::Duration;

use custos_proof::ids::{Height, TimeMs};
use custos_store::StoreError;
use custos_store::prune::Pruned;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info, warn};

use crate::chain::{Chain, clock};
use crate::config::RetentionConfig;

/// How often the node looks.
const EVERY: Duration = Duration::from_secs(86_400);
const DAY_MS: u64 = 86_400_000;

/// Prunes as configured until it is aborted; returns at once when everything is kept.
pub(crate) async fn keep(chain: Arc<Chain>, retention: Option<RetentionConfig>) {
    let Some(retention) = retention else { return };
    let mut look = interval(EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut done = Height(1);
    loop {
        look.tick().await;
        let chain = Arc::clone(&chain);
        let from = done;
        let pruned = tokio::task::spawn_blocking(move || prune(&chain, retention, from)).await;
        match pruned {
            Ok(Ok(Some((before, pruned)))) => {
                done = before;
                info!(
                    before = before.0,
                    items = pruned.items,
                    envelopes = pruned.envelopes,
                    held = pruned.held,
                    "old testimony was pruned"
                );
            }
            Ok(Ok(None)) => {}
            Ok(Err(error)) => warn!(%error, "old testimony could not be pruned"),
            Err(error) => error!(%error, "pruning ended early; it is tried again"),
        }
    }
}

fn prune(
    chain: &Chain,
    retention: RetentionConfig,
    done: Height,
) -> Result<Option<(Height, Pruned)>, StoreError> {
    let newest = chain.store().head().time.min(clock());
    let oldest = TimeMs(newest.0.saturating_sub(u64::from(retention.testimony_days) * DAY_MS));
    let before = chain.store().snapshot()?.height_at(oldest)?;
    if before <= done {
        return Ok(None);
    }
    let pruned = chain.store().prune(before, retention.envelopes, &mut |_| {})?;
    Ok(Some((before, pruned)))
}
