//! What a run of `custos bench` found, as a table for people and as JSON for programs.

use serde_json::{Value, json};

use super::limits::MachineLimits;
use super::load::Tally;
use crate::render::paint::Paint;
use crate::render::table::table;

/// What was measured.
pub(super) struct Report {
    pub(super) tally: Tally,
    /// How many were to be sent per second; nothing in a closed loop.
    pub(super) offered_per_second: Option<f64>,
    /// Signed bytes of a submission, on average.
    pub(super) bytes_each: f64,
    pub(super) heights: u64,
    pub(super) records: u64,
    pub(super) receipts: usize,
    pub(super) receipt_bytes: usize,
    /// Sorted.
    pub(super) verify_ms: Vec<f64>,
    /// Signature checks per recorded submission, by node.
    pub(super) checks: Vec<(String, f64)>,
    /// Processor time of this process while it made the load.
    pub(super) own_cpu_seconds: f64,
    pub(super) limits: Option<MachineLimits>,
}

impl Report {
    fn per_second(&self, count: usize) -> f64 {
        count as f64 / self.tally.seconds
    }

    fn height_ms(&self) -> f64 {
        self.tally.seconds * 1_000.0 / self.heights.max(1) as f64
    }

    pub(super) fn words(&self, paint: Paint) -> String {
        let tally = &self.tally;
        let row = |name: &str, value: String| vec![name.to_owned(), value];
        let three = |histogram: &super::histogram::Histogram| {
            let at = |percent| histogram.percentile_ms(percent);
            format!("{:.1} / {:.1} / {:.1} ms", at(50.0), at(99.0), at(100.0))
        };
        let mut rows = vec![
            row(
                "submissions recorded",
                format!(
                    "{} in {:.2} s: {:.0} per second",
                    tally.submissions,
                    tally.seconds,
                    self.per_second(tally.submissions)
                ),
            ),
            row("items", format!("{}: {:.0} per second", tally.items, self.per_second(tally.items))),
        ];
        if let Some(offered) = self.offered_per_second {
            rows.push(row("submissions offered", format!("{offered:.0} per second, {} sent", tally.sent)));
        }
        rows.push(row("latency p50 / p99 / max, due to recorded", three(&tally.recorded)));
        if tally.answered.count() > 0 {
            rows.push(row("latency p50 / p99 / max, due to answered", three(&tally.answered)));
        }
        if tally.reads.count() > 0 {
            rows.push(row(
                "reads",
                format!("{}, p50 / p99 / max {}", tally.reads.count(), three(&tally.reads)),
            ));
        }
        if tally.spoiled_refused > 0 {
            rows.push(row("spoiled signatures refused", tally.spoiled_refused.to_string()));
        }
        for (code, count) in &tally.refused {
            rows.push(row(&format!("refused: {code}"), count.to_string()));
        }
        if tally.lost > 0 {
            rows.push(row("taken and not seen in a block", tally.lost.to_string()));
        }
        rows.extend([
            row("blocks", format!("{}, one every {:.1} ms", self.heights, self.height_ms())),
            row(
                "signed bytes per item",
                format!("{:.0}", self.bytes_each * tally.submissions as f64 / tally.items.max(1) as f64),
            ),
            row(
                "receipts verified",
                format!(
                    "{}, {:.0} bytes each",
                    self.receipts,
                    self.receipt_bytes as f64 / self.receipts.max(1) as f64
                ),
            ),
            row(
                "receipt verification p50 / p99",
                format!("{:.3} ms / {:.3} ms", at(&self.verify_ms, 50.0), at(&self.verify_ms, 99.0)),
            ),
            row("processor time of this load generator", format!("{:.2} s", self.own_cpu_seconds)),
        ]);
        rows.extend(
            self.checks
                .iter()
                .map(|(url, checks)| row("signature checks per submission", format!("{checks:.3} at {url}"))),
        );
        if let Some(limits) = &self.limits {
            let bound = 1e6 / limits.verify_single_us;
            rows.push(row(
                "machine: one verification",
                format!(
                    "{:.1} us alone, {:.1} us in a batch of 64",
                    limits.verify_single_us, limits.verify_batch_us
                ),
            ));
            rows.push(row("machine: one signature", format!("{:.1} us", limits.sign_us)));
            rows.push(row("machine: SHA-256", format!("{:.0} MB/s", limits.hash_mb_s)));
            rows.push(row("machine: one synced write", format!("{:.2} ms", limits.synced_write_ms)));
            rows.push(row(
                "submissions to single-verify bound",
                format!("{:.3} ({bound:.0} per second and core)", self.per_second(tally.submissions) / bound),
            ));
        }
        format!("{}\n", paint.head(table(&["measured", "value"], &rows)))
    }

    pub(super) fn json(&self) -> Value {
        let tally = &self.tally;
        json!({
            "submissions": tally.submissions,
            "items": tally.items,
            "seconds": tally.seconds,
            "submissions_per_second": self.per_second(tally.submissions),
            "items_per_second": self.per_second(tally.items),
            "offered_per_second": self.offered_per_second,
            "sent": tally.sent,
            "latency_ms": tally.recorded.json(),
            "answer_ms": tally.answered.json(),
            "read_ms": tally.reads.json(),
            "spoiled_refused": tally.spoiled_refused,
            "refused": tally.refused,
            "lost": tally.lost,
            "heights": self.heights,
            "records": self.records,
            "height_ms": self.height_ms(),
            "signed_bytes_per_submission": self.bytes_each,
            "receipts_verified": self.receipts,
            "receipt_bytes": self.receipt_bytes,
            "receipt_verification_ms": at(&self.verify_ms, 50.0),
            "receipt_verification_p99_ms": at(&self.verify_ms, 99.0),
            "signature_checks_per_submission":
                self.checks.iter().map(|(url, checks)| json!({ "node": url, "checks": checks })).collect::<Vec<_>>(),
            "own_cpu_seconds": self.own_cpu_seconds,
            "limits": self.limits.as_ref().map(MachineLimits::json),
        })
    }
}

/// The value that `percent` of the sorted values do not exceed.
fn at(sorted: &[f64], percent: f64) -> f64 {
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!((at(&values, 50.0), at(&values, 99.0), at(&values, 100.0)), (50.0, 99.0, 100.0));
        assert_eq!(at(&[7.0], 1.0), 7.0);
        assert!(at(&[], 50.0).is_nan());
    }
}
