//! Time as people type and read it: UTC, ISO 8601.
//!
//! The ledger's own type is [`TimeMs`]; this is the edge towards people and the machine's clock.

use std::time::{SystemTime, UNIX_EPOCH};

use custos_proof::ids::{FAR, TimeMs};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// The machine's clock.
pub(crate) fn now() -> TimeMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimeMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A point in time as people type it: `2026-03-12T10:14:00Z`, `2026-03-12` (its first instant in
/// UTC), or an age such as `30d`, `12h`, `15min`, `90s` before now.
pub(crate) fn parse(text: &str) -> Result<TimeMs, String> {
    let text = text.trim();
    instant(text).or_else(|| age(text)).ok_or_else(|| {
        format!("{text:?} is no time; write 2026-03-12T10:14:00Z, 2026-03-12, or an age such as 30d or 12h")
    })
}

fn instant(text: &str) -> Option<TimeMs> {
    let day = format_description!("[year]-[month]-[day]");
    let moment = match OffsetDateTime::parse(text, &Rfc3339) {
        Ok(moment) => moment,
        Err(_) => time::Date::parse(text, day).ok()?.midnight().assume_utc(),
    };
    let ms = u64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok()?;
    (ms <= FAR.0).then_some(TimeMs(ms))
}

fn age(text: &str) -> Option<TimeMs> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(split);
    let seconds: u64 = match unit.trim() {
        "s" => 1,
        "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let ms = number.parse::<u64>().ok()?.checked_mul(seconds)?.checked_mul(1_000)?;
    Some(TimeMs(now().0.saturating_sub(ms)))
}

/// `2026-03-12 10:14:05 UTC`.
pub(crate) fn words(time: TimeMs) -> String {
    if time == FAR {
        return "without end".into();
    }
    let text = time.to_string();
    format!("{} {} UTC", &text[..10], &text[11..19])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_type_times_in_three_ways() {
        assert_eq!(parse("1970-01-02"), Ok(TimeMs(86_400_000)));
        assert_eq!(parse("1970-01-01T01:00:00+01:00"), Ok(TimeMs(0)));
        assert_eq!(parse("1970-01-01T00:00:01.5Z"), Ok(TimeMs(1_500)));
        let hour_ago = parse("1h").unwrap().0;
        assert!(now().0 - hour_ago >= 3_600_000 && now().0 - hour_ago < 3_700_000);
        for refused in [
            "",
            "yesterday",
            "1w",
            "12",
            "2026-02-30",
            "99999999999999999999d",
            "1969-12-31",
            "-1h",
            "\u{661}h",
        ] {
            assert!(parse(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn times_read_as_utc() {
        assert_eq!(words(TimeMs(951_782_400_000)), "2000-02-29 00:00:00 UTC");
        assert_eq!(words(FAR), "without end");
    }
}
