//! Where the nodes' processor time goes: by part, sampled; by thread, counted.
//!
//! `perf` looks a few hundred times per second at what each processor runs for the nodes (software
//! clock, no hardware counters, innermost function only) and the names of functions say to which part
//! the sample belongs. What the kernel does is one part: sockets, disk and switching cannot be told
//! apart by function. Allocation and copying of bytes is another, because the innermost function does
//! not say for whom. Where `perf` is missing or not allowed, `/proc` still counts by thread.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::Outcome;

/// Samples per second and processor.
const PER_SECOND: &str = "399";

/// Parts by what their functions' names contain; the first that fits.
const PARTS: [(&str, &[&str]); 10] = [
    ("signatures", &["curve25519", "ed25519", "sha512", "edwards", "montgomery", "VartimeMultiscalar"]),
    ("hashes", &["sha256", "sha2::"]),
    (
        "allocation and copying",
        &[
            "malloc",
            "free",
            "realloc",
            "memcpy",
            "memmove",
            "memset",
            "memcmp",
            "calloc",
            "alloc::alloc",
            "RawVec",
            "raw_vec",
            "_int_",
        ],
    ),
    ("database", &["rocksdb", "LZ4", "lz4", "crc32", "SkipList"]),
    ("encryption between nodes", &["chacha", "poly1305", "snow::", "noise"]),
    ("gossip and connections", &["libp2p", "yamux", "multistream", "custos_network"]),
    ("consensus engine", &["malachite", "ractor", "custos_engine", "custos_consensus"]),
    ("rules, proofs, formats", &["custos_state", "custos_proof", "custos_store", "minicbor", "bincode"]),
    (
        "HTTP",
        &[
            "hyper",
            "axum",
            "http::",
            "httparse",
            "serde",
            "custos_api",
            "tower",
            "matchit",
            "custos_node::http",
        ],
    ),
    ("node", &["custos_node"]),
];

/// Samples the processes for some seconds while something else loads them: the share of each part.
pub(crate) fn sample(pids: &[u64], seconds: u64, work: &Path) -> Outcome<Value> {
    let file = work.join("perf.data");
    let pids: Vec<String> = pids.iter().map(u64::to_string).collect();
    let mut record = Command::new("perf");
    record
        .args(["record", "-q", "-e", "cpu-clock", "-F", PER_SECOND, "-p", &pids.join(","), "-o"])
        .arg(&file);
    let recorded = record.args(["--", "sleep", &seconds.to_string()]).output();
    let recorded = recorded.map_err(|_| "perf is not here; `apt-get install linux-perf` brings it")?;
    if !recorded.status.success() {
        return Err(format!("perf may not sample here: {}", String::from_utf8_lossy(&recorded.stderr)).into());
    }
    let script = Command::new("perf").args(["script", "-F", "ip,sym,dso", "-i"]).arg(&file).output()?;
    let text = String::from_utf8_lossy(&script.stdout);
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut other: BTreeMap<String, u64> = BTreeMap::new();
    let mut total = 0u64;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        total += 1;
        let part = part_of(line);
        *counts.entry(part).or_default() += 1;
        if part == OTHER {
            *other.entry(symbol(line).to_owned()).or_default() += 1;
        }
    }
    if total == 0 {
        return Err("perf took no samples".into());
    }
    let mut parts: Vec<(&str, f64)> =
        counts.into_iter().map(|(part, count)| (part, count as f64 / total as f64)).collect();
    parts.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut other: Vec<(String, u64)> = other.into_iter().collect();
    other.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    other.truncate(8);
    Ok(json!({
        "samples": total,
        "parts": parts.iter().map(|(part, share)| json!({ "part": part, "share": share })).collect::<Vec<_>>(),
        "largest_of_the_rest": other.iter().map(|(name, count)| json!({ "function": name, "share": *count as f64 / total as f64 })).collect::<Vec<_>>(),
    }))
}

const OTHER: &str = "async runtime and the rest";
const KERNEL: &str = "kernel: sockets, disk, switching";

/// The part that a line of `perf script` belongs to.
fn part_of(line: &str) -> &'static str {
    if line.contains("[kernel") || line.contains("[unknown] ([") || line.contains("[vdso]") {
        return KERNEL;
    }
    let name = symbol(line);
    let fits = PARTS.iter().find(|(_, words)| words.iter().any(|word| name.contains(word)));
    fits.map_or(OTHER, |(part, _)| part)
}

/// The function in a line: between its address and its file.
fn symbol(line: &str) -> &str {
    let line = line.trim_start();
    let rest = line.split_once(char::is_whitespace).map_or(line, |(_, rest)| rest);
    rest.rsplit_once(" (").map_or(rest, |(name, _)| name)
}

/// What each kind of thread spent between two counts, the most first.
pub(crate) fn threads(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>) -> Value {
    let spent = |name: &String, now: &f64| now - before.get(name).copied().unwrap_or(0.0);
    let mut rows: Vec<(&str, f64)> = after.iter().map(|(name, now)| (&name[..], spent(name, now))).collect();
    rows.retain(|(_, seconds)| *seconds > 0.0);
    rows.sort_by(|a, b| b.1.total_cmp(&a.1));
    let sum: f64 = rows.iter().map(|(_, seconds)| seconds).sum();
    json!(
        rows.iter()
            .map(|(name, seconds)| json!({ "thread": name, "share": seconds / sum }))
            .collect::<Vec<_>>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_belongs_to_the_part_that_its_function_names() {
        let parts = [
            ("7f00 curve25519_dalek::backend::vector::avx2::mul (/bin/custos)", "signatures"),
            ("55e0 sha2::sha256::x86::digest_blocks (/bin/custos)", "hashes"),
            ("55e0 rocksdb::MemTable::Add (/bin/custos)", "database"),
            ("55e0 _int_malloc (/usr/lib/libc.so.6)", "allocation and copying"),
            ("ffff8 tcp_sendmsg ([kernel.kallsyms])", KERNEL),
            ("55e0 tokio::runtime::park (/bin/custos)", OTHER),
        ];
        for (line, part) in parts {
            assert_eq!(part_of(line), part, "{line}");
        }
        assert_eq!(symbol("    7f00 a b::c (/bin/custos)"), "a b::c");
    }
}
