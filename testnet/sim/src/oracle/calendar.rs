//! Years and quarters of block time (UTC), counted up year by year.

const DAY_MS: u64 = 86_400_000;

/// 9999-12-31T23:59:59.999Z: no end.
pub(super) const FAR: u64 = 253_402_300_799_999;

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// The year, and how many milliseconds of it have passed.
fn within(ms: u64) -> (u64, u64) {
    let (mut year, mut rest) = (1970, ms);
    loop {
        let length = DAY_MS * if is_leap(year) { 366 } else { 365 };
        if rest < length {
            return (year, rest);
        }
        rest -= length;
        year += 1;
    }
}

/// The calendar year.
pub(super) fn year(ms: u64) -> u64 {
    within(ms).0
}

/// Whether this is the first millisecond of a January, April, July or October.
pub(super) fn begins_quarter(ms: u64) -> bool {
    let (year, passed) = within(ms);
    let february = if is_leap(year) { 29 } else { 28 };
    let april = 31 + february + 31;
    let july = april + 30 + 31 + 30;
    let october = july + 31 + 31 + 30;
    [0, april, july, october].iter().any(|day| day * DAY_MS == passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `date -u -d ... +%s`.
    #[test]
    fn known_instants() {
        assert_eq!((year(0), year(FAR)), (1970, 9999));
        assert_eq!((year(1_956_527_999_999), year(1_956_528_000_000)), (2031, 2032));
        for quarter in [0, 1_932_768_000_000, 1_711_929_600_000, 1_719_792_000_000, 1_727_740_800_000] {
            assert!(begins_quarter(quarter), "{quarter}");
            assert!(!begins_quarter(quarter + 1) && !begins_quarter(quarter + DAY_MS), "{quarter}");
        }
        // 2024-03-01.
        assert!(!begins_quarter(1_709_251_200_000));
    }
}
