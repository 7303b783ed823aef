//! Logs: one line per event, fields rather than prose, to standard error.
//!
//! Nothing personal is logged anywhere in this crate: no item bytes, no local ids, no paths or queries
//! of requests. What is logged of a submission is at most its id, which blocks publish.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, ParseError};
use tracing_subscriber::fmt;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{LogConfig, LogFormat};

/// The engine and its actors tell of every vote, twenty lines for each block, and open a span for every message, which
/// is a good part of what a node does that has little to do. Unless the operator's filter names them, they are heard from warnings on.
const QUIET: &str = "arc_malachitebft=warn,ractor=warn";

/// Starts logging for this process.
///
/// # Errors
/// A filter that cannot be read, or a second start.
pub fn start(config: &LogConfig) -> Result<(), String> {
    let filter = filter(&config.level).map_err(|error| {
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

/// The operator's filter; of what it names, its word counts.
fn filter(level: &str) -> Result<EnvFilter, ParseError> {
    let filter = EnvFilter::try_new(level)?;
    if filter.max_level_hint().is_some_and(|most| most <= LevelFilter::WARN) {
        return Ok(filter);
    }
    EnvFilter::try_new(format!("{QUIET},{level}"))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The words that come through a filter: the engine's of a vote and of trouble, and ours.
    fn heard(level: &str) -> Vec<&'static str> {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber =
            fmt().with_env_filter(filter(level).unwrap()).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            let span =
                tracing::info_span!(target: "arc_malachitebft_engine::consensus", "span_of_the_engine");
            let _in = span.enter();
            tracing::info!(target: "arc_malachitebft_core_consensus::handle::vote", "a_vote");
            tracing::warn!(target: "arc_malachitebft_engine::wal", "trouble");
            tracing::info!(target: "custos_node::ledger", "committed");
            tracing::debug!(target: "custos_node::ledger", "details");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let words = ["span_of_the_engine", "a_vote", "trouble", "committed", "details"];
        words.into_iter().filter(|word| text.contains(word)).collect()
    }

    #[test]
    fn the_engine_is_quiet_until_it_is_asked() {
        assert_eq!(heard("info"), ["trouble", "committed"]);
        assert_eq!(heard("debug"), ["trouble", "committed", "details"]);
        assert_eq!(heard("info,custos_node=debug"), ["trouble", "committed", "details"]);
        let asked = heard("info,arc_malachitebft=info");
        assert_eq!(asked, ["span_of_the_engine", "a_vote", "trouble", "committed"]);
        assert_eq!(heard("warn"), ["trouble"]);
        assert_eq!(heard("error"), Vec::<&str>::new());
        assert_eq!(heard("info,arc_malachitebft=error"), ["committed"]);
    }
}
