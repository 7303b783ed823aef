//! Logs: one line per event, fields rather than prose, to standard error.
//!
//! Nothing personal is logged anywhere in this crate: no item bytes, no local ids, no paths or queries
//! of requests. What is logged of a submission is at most its id, which blocks publish.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{LogConfig, LogFormat};

/// Starts logging for this process.
///
/// # Errors
/// A filter that cannot be read, or a second start.
pub fn start(config: &LogConfig) -> Result<(), String> {
    let filter = EnvFilter::try_new(&config.level).map_err(|error| {
        format!("`log.level` is {:?}: {error}; write info, or info,custos_node=debug", config.level)
    })?;
    let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match config.format {
        LogFormat::Text => {
            lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).finish().try_init()
        }
        LogFormat::Json => lines.json().flatten_event(true).finish().try_init(),
    };
    started.map_err(|error| error.to_string())
}
