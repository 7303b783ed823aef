//! What the feed shows: a page for people, JSON for programs, numbers for Prometheus. Loopback only.
//!
//! Never anything that was in a document: counts, ages, reasons, file names and addresses of senders.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use custos_proof::ids::TimeMs;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::clock;
use crate::intake::{Counters, Head};
use crate::sealer::Progress;
use crate::spooler::Holdings;

/// The state is old when no node was heard of for this long.
const OLD_MS: u64 = 60_000;

/// Where the parts of the status come from.
#[derive(Clone)]
pub struct Sources {
    /// The spool.
    pub holdings: watch::Receiver<Holdings>,
    /// The head.
    pub head: watch::Receiver<Head>,
    /// The sealer.
    pub progress: watch::Receiver<Progress>,
    /// What the ledger's nodes said last, if that was no good.
    pub trouble: watch::Receiver<Option<String>>,
    /// Counts.
    pub counters: Arc<Counters>,
    /// The stream.
    pub stream: u32,
    /// When the feed started.
    pub started: TimeMs,
}

/// The routes.
pub fn router(sources: Sources) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/status.json", get(document))
        .route("/metrics", get(metrics))
        .route("/healthz", get(health))
        .with_state(sources)
}

/// One look at everything.
struct Status {
    now: TimeMs,
    holdings: Holdings,
    head: Head,
    progress: Progress,
    trouble: Option<String>,
    /// Numbers of the stream that the validators found missing.
    gaps: u64,
    /// Files that were gone before they were read, as far as known.
    lost_files: u64,
}

impl Sources {
    fn look(&self) -> Status {
        let counts = self.counters.counts();
        let found = |wanted: &str| {
            counts
                .iter()
                .filter(|((_, outcome, reason), _)| *outcome == "found" && *reason == wanted)
                .map(|(_, n)| n)
                .sum()
        };
        let lost =
            counts.iter().filter(|((_, _, reason), _)| *reason == "gone-before-read").map(|(_, n)| n).sum();
        let progress = self.progress.borrow().clone();
        let trouble = progress.trouble.clone().or_else(|| self.trouble.borrow().clone());
        Status {
            now: clock::now(),
            holdings: self.holdings.borrow().clone(),
            head: self.head.borrow().clone(),
            progress,
            trouble,
            gaps: found(custos_proof::record::Code::Gap.word()),
            lost_files: lost,
        }
    }
}

impl Status {
    fn state_age_ms(&self) -> Option<u64> {
        self.head.time.map(|time| self.now.0.saturating_sub(time.0))
    }

    fn oldest_ms(&self) -> u64 {
        self.holdings.oldest.map_or(0, |oldest| self.now.0.saturating_sub(oldest.0))
    }

    /// What is wrong, in the order of urgency; empty when nothing is.
    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        warnings.extend(self.holdings.poisoned.clone());
        warnings.extend(self.holdings.full.as_ref().map(|full| format!("new events are refused: {full}")));
        if self.head.age_ms(self.now) > OLD_MS {
            warnings.push("no node answers; events are accepted and kept".into());
        }
        if self.holdings.waiting > 0 {
            warnings.extend(self.trouble.clone());
        }
        if self.gaps > 0 {
            warnings.push(format!("validators found numbers missing {} times", self.gaps));
        }
        if self.lost_files > 0 {
            warnings.push(format!("{} files were gone before they were read whole", self.lost_files));
        }
        warnings
    }
}

async fn health(State(sources): State<Sources>) -> Response {
    match sources.look().holdings.full {
        None => (StatusCode::OK, "ok\n").into_response(),
        Some(full) => (StatusCode::SERVICE_UNAVAILABLE, format!("{full}\n")).into_response(),
    }
}

async fn document(State(sources): State<Sources>) -> Response {
    let status = sources.look();
    let counts: Vec<Value> = sources
        .counters
        .counts()
        .into_iter()
        .map(|((input, outcome, reason), count)| {
            json!({ "input": input, "outcome": outcome, "reason": reason, "count": count })
        })
        .collect();
    let recent: Vec<Value> = sources
        .counters
        .recent()
        .into_iter()
        .map(|refusal| {
            json!({
                "at": refusal.at.to_string(), "input": refusal.input, "place": refusal.place,
                "reason": refusal.reason, "element": refusal.element,
            })
        })
        .collect();
    let files: Vec<Value> = status
        .holdings
        .marks
        .iter()
        .map(|mark| json!({ "input": mark.file.input, "path": mark.path, "offset": mark.offset }))
        .collect();
    let body = json!({
        "started": sources.started.to_string(),
        "now": status.now.to_string(),
        "stream": sources.stream,
        "warnings": status.warnings(),
        "head": {
            "height": status.head.height.0,
            "time": status.head.time.map(|time| time.to_string()),
            "state_age_ms": status.state_age_ms(),
            "heard_ms_ago": status.head.seen.map(|seen| status.now.0.saturating_sub(seen.0)),
            "node": status.head.node,
        },
        "backlog": {
            "events": status.holdings.waiting,
            "documents": status.holdings.documents,
            "bytes": status.holdings.bytes,
            "oldest": status.holdings.oldest.map(|oldest| oldest.to_string()),
            "oldest_ms": status.oldest_ms(),
        },
        "accepted_documents": status.holdings.accepted,
        "recorded_events": status.holdings.recorded,
        "last_sequence": status.holdings.sequence,
        "gaps": status.gaps,
        "full": status.holdings.full,
        "last_submission": {
            "at": status.progress.recorded_at.map(|at| at.to_string()),
            "height": status.progress.height.map(|height| height.0),
            "events": status.progress.events,
        },
        "trouble": status.trouble,
        "counts": counts,
        "refusals": recent,
        "files": files,
    });
    let text = serde_json::to_string_pretty(&body).unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], text).into_response()
}

async fn metrics(State(sources): State<Sources>) -> Response {
    let status = sources.look();
    let mut text = String::new();
    let seconds = |ms: u64| ms as f64 / 1000.0;
    let is = |what: bool| if what { 1.0 } else { 0.0 };
    let gauges = [
        (
            "custos_feed_state_age_seconds",
            "Age of the last head's block.",
            status.state_age_ms().map_or(-1.0, seconds),
        ),
        (
            "custos_feed_heard_seconds",
            "Since a node last answered.",
            status.head.seen.map_or(-1.0, |seen| seconds(status.now.0.saturating_sub(seen.0))),
        ),
        ("custos_feed_height", "The last head's height.", status.head.height.0 as f64),
        ("custos_feed_backlog_events", "Events that wait.", status.holdings.waiting as f64),
        ("custos_feed_backlog_bytes", "Bytes of the spool.", status.holdings.bytes as f64),
        (
            "custos_feed_backlog_oldest_seconds",
            "Age of the oldest event that waits.",
            seconds(status.oldest_ms()),
        ),
        ("custos_feed_full", "Whether new events are refused.", is(status.holdings.full.is_some())),
        ("custos_feed_last_sequence", "The last number given.", status.holdings.sequence as f64),
        (
            "custos_feed_last_submission_timestamp_seconds",
            "When a submission was last recorded.",
            status.progress.recorded_at.map_or(0.0, |at| seconds(at.0)),
        ),
    ];
    for (name, help, value) in gauges {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
    }
    let counters = [
        (
            "custos_feed_accepted_documents_total",
            "Documents accepted since the spool began.",
            status.holdings.accepted,
        ),
        (
            "custos_feed_recorded_events_total",
            "Events recorded since the spool began.",
            status.holdings.recorded,
        ),
        ("custos_feed_gaps_total", "Gaps that validators found, since the feed started.", status.gaps),
    ];
    for (name, help, value) in counters {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}");
    }
    let name = "custos_feed_documents_total";
    let _ = writeln!(
        text,
        "# HELP {name} What became of documents and events, since the feed started.\n# TYPE {name} counter"
    );
    for ((input, outcome, reason), count) in sources.counters.counts() {
        let reason = reason.replace('\\', "\\\\").replace('"', "\\\"");
        let _ =
            writeln!(text, "{name}{{input=\"{input}\",outcome=\"{outcome}\",reason=\"{reason}\"}} {count}");
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn page(State(sources): State<Sources>) -> Response {
    let status = sources.look();
    let mut body = String::new();
    let warnings = status.warnings();
    if warnings.is_empty() {
        body.push_str("<p class=good>Everything that was accepted is recorded, or on its way.</p>");
    }
    for warning in warnings {
        let _ = write!(body, "<p class=bad>{}</p>", escape(&warning));
    }
    let time = |time: Option<TimeMs>| time.map_or_else(|| "never".to_owned(), |time| time.to_string());
    let age = |ms: u64| format!("{} s", ms / 1000);
    let rows = [
        (
            "State",
            match status.state_age_ms() {
                Some(ms) => {
                    format!("block {}, {} old, by {}", status.head.height.0, age(ms), status.head.node)
                }
                None => "no node has answered yet".into(),
            },
        ),
        ("A node last answered", time(status.head.seen)),
        ("Backlog", format!("{} events, {} bytes", status.holdings.waiting, status.holdings.bytes)),
        (
            "Oldest that waits",
            match status.holdings.oldest {
                Some(oldest) => format!("{oldest} ({})", age(status.oldest_ms())),
                None => "nothing waits".into(),
            },
        ),
        ("Accepted", format!("{} documents", status.holdings.accepted)),
        (
            "Recorded",
            format!(
                "{} events, the last number of stream {} is {}",
                status.holdings.recorded, sources.stream, status.holdings.sequence
            ),
        ),
        ("Gaps found by validators", status.gaps.to_string()),
        (
            "Last submission",
            match (status.progress.recorded_at, status.progress.height) {
                (Some(at), Some(height)) => {
                    format!("{at}, {} events, block {height}", status.progress.events)
                }
                _ => "none since the feed started".into(),
            },
        ),
    ];
    body.push_str("<table>");
    for (name, value) in rows {
        let _ = write!(body, "<tr><th>{name}</th><td>{}</td></tr>", escape(&value));
    }
    body.push_str("</table><h2>Since the feed started</h2><table><tr><th>Input</th><th>Outcome</th><th>Reason</th><th>Count</th></tr>");
    for ((input, outcome, reason), count) in sources.counters.counts() {
        let _ = write!(
            body,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{count}</td></tr>",
            escape(input),
            escape(outcome),
            escape(reason)
        );
    }
    body.push_str("</table>");
    let recent = sources.counters.recent();
    if !recent.is_empty() {
        body.push_str("<h2>Last refusals</h2><table><tr><th>When</th><th>Input</th><th>Where</th><th>Reason</th><th>Element</th></tr>");
        for refusal in recent {
            let _ = write!(
                body,
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                refusal.at,
                refusal.input,
                escape(&refusal.place),
                refusal.reason,
                escape(&refusal.element)
            );
        }
        body.push_str("</table>");
    }
    let text = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=10>\
         <title>Custos feed</title><style>{STYLE}</style><h1>Custos feed</h1>{body}\
         <p>{} &middot; <a href=/status.json>JSON</a> &middot; <a href=/metrics>metrics</a></p></html>",
        status.now
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
    ];
    (headers, text).into_response()
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}\
    table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ddd;vertical-align:top;overflow-wrap:anywhere}\
    .good{background:#e6f4ea;padding:.6rem}.bad{background:#fce8e6;padding:.6rem}";

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}
