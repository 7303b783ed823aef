//! Time as people type and read it: UTC, ISO 8601.
//!
//! The ledger's own type is [`TimeMs`]; this is the edge towards people and the machine's clock.

use custos_proof::ids::{FAR, TimeMs};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use crate::exit::{Failed, Outcome};

/// How far this process's clock is set ahead: an age such as 10d. For test networks whose clocks were.
pub(crate) const AHEAD: &str = "CUSTOS_CLOCK_AHEAD";

/// Now.
pub(crate) fn now() -> TimeMs {
    custos_api::clock::now()
}

/// Sets this process's clock ahead, if the environment asks for it.
pub(crate) fn set_ahead() -> Outcome<()> {
    let Ok(text) = std::env::var(AHEAD) else { return Ok(()) };
    let ms = span(&text).map_err(|error| Failed::unable(format!("{AHEAD}: {error}")))?;
    custos_api::clock::set_ahead(ms);
    Ok(())
}

/// The machine's own clock, whatever this process's says.
pub(crate) fn machine() -> TimeMs {
    custos_api::clock::machine()
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
    Some(TimeMs(now().0.saturating_sub(span_ms(text)?)))
}

/// A length of time as people type it, in milliseconds.
pub(crate) fn span(text: &str) -> Result<u64, String> {
    span_ms(text.trim()).ok_or_else(|| format!("{text:?} is no length of time; write 30d, 12h, 15min or 90s"))
}

/// `30d`, `12h`, `15min`, `90s`.
fn span_ms(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(split);
    let seconds: u64 = match unit.trim() {
        "s" => 1,
        "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(seconds)?.checked_mul(1_000)
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
