//! Latencies, counted: an HDR histogram of microseconds.
//!
//! Every power of two is divided into 128 equal parts, so that a value is kept to within 1 % over the
//! whole range and a million of them take a few kilobytes. Percentiles are the upper ends of their
//! parts: what is reported was never exceeded by the share that it names, by more than that 1 %.

use std::time::Duration;

use serde_json::{Value, json};

/// Parts of a power of two, as a power of two.
const PARTS_BITS: u32 = 7;
const PARTS: u64 = 1 << PARTS_BITS;

/// How often each latency occurred.
#[derive(Debug, Clone, Default)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    count: u64,
    sum_us: u128,
    max_us: u64,
}

impl Histogram {
    /// Counts one.
    pub(super) fn record(&mut self, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).min(1 << 40);
        let slot = slot(us);
        if slot >= self.counts.len() {
            self.counts.resize(slot + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(slot) {
            *count += 1;
        }
        self.count += 1;
        self.sum_us += u128::from(us);
        self.max_us = self.max_us.max(us);
    }

    /// How many were counted.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// What `percent` of them do not exceed, in ms; not a number when there is none.
    pub(super) fn percentile_ms(&self, percent: f64) -> f64 {
        let rank = ((percent / 100.0 * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (slot, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper(slot).min(self.max_us) as f64 / 1e3;
            }
        }
        f64::NAN
    }

    /// The average, in ms.
    pub(super) fn mean_ms(&self) -> f64 {
        self.sum_us as f64 / self.count as f64 / 1e3
    }

    /// What a page needs of it.
    pub(super) fn json(&self) -> Value {
        json!({
            "count": self.count,
            "mean": self.mean_ms(),
            "p50": self.percentile_ms(50.0),
            "p90": self.percentile_ms(90.0),
            "p99": self.percentile_ms(99.0),
            "p99_9": self.percentile_ms(99.9),
            "max": self.percentile_ms(100.0),
        })
    }
}

/// Where a value is counted.
fn slot(us: u64) -> usize {
    let exponent = (64 - us.leading_zeros()).saturating_sub(PARTS_BITS + 1);
    (u64::from(exponent) * PARTS + (us >> exponent)) as usize
}

/// The greatest value that is counted in a slot.
fn upper(slot: usize) -> u64 {
    let slot = slot as u64;
    let exponent = (slot / PARTS).saturating_sub(1);
    ((slot - exponent * PARTS + 1) << exponent) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_its_slot_to_one_percent() {
        let mut last = 0;
        for us in (0..5_000).chain((1..30).flat_map(|n| [(1u64 << n) - 1, 1 << n, (1 << n) + 1, 3 << n])) {
            let end = upper(slot(us));
            assert!(end >= us && end - us <= us / 100 + 1, "{us} is counted as {end}");
            assert!(us == 0 || slot(us - 1) <= slot(us));
            last = last.max(slot(us));
        }
        // No slot is skipped: neighbours have neighbouring ends.
        for slot in 1..last {
            assert!(upper(slot - 1) < upper(slot));
        }
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_values() {
        let mut histogram = Histogram::default();
        for ms in 1..=1000u64 {
            histogram.record(Duration::from_millis(ms));
        }
        for (percent, ms) in [(50.0, 500.0), (90.0, 900.0), (99.0, 990.0), (99.9, 999.0), (100.0, 1000.0)] {
            let found = histogram.percentile_ms(percent);
            assert!((found - ms).abs() <= ms / 100.0, "p{percent}: {found}");
        }
        assert_eq!(histogram.count(), 1000);
        assert!((histogram.mean_ms() - 500.5).abs() < 0.01);
        assert!(Histogram::default().percentile_ms(50.0).is_nan());
    }
}
