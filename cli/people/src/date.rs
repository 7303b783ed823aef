//! Dates and times as a language writes them: always UTC, always said to be UTC.
//!
//! The form is a message ("12 Mar 2026, 10:14 UTC"), and so are the months. JSON stays ISO 8601 and
//! does not come here.
//!
//! Deliberately absent: the reader's own time zone. A trail is read by several people and before
//! courts; one clock for all of them is worth more than a convenience.

use custos_proof::ids::{FAR, TimeMs};
use custos_proof::sealed_values::Moment;

use crate::catalogue::Speaker;
use crate::say;

/// The parts of an instant, as they are spelled in it.
struct Parts {
    year: String,
    month: usize,
    day: String,
    hour: String,
    minute: String,
    second: String,
}

impl Parts {
    fn of(time: TimeMs) -> Self {
        // The ledger's own spelling: 2026-03-12T10:14:05.000Z.
        let text = time.to_string();
        let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default().to_owned();
        Self {
            year: part(0, 4),
            month: part(5, 7).parse().unwrap_or(1),
            day: part(8, 10).trim_start_matches('0').to_owned(),
            hour: part(11, 13),
            minute: part(14, 16),
            second: part(17, 19),
        }
    }
}

impl Speaker {
    fn month(&self, month: usize) -> String {
        self.say(&format!("month-{month}"), &[])
    }

    /// `12 Mar 2026, 10:14 UTC`.
    #[must_use]
    pub fn minute(&self, time: TimeMs) -> String {
        if time == FAR {
            return say!(self, "date-never");
        }
        let Parts { year, month, day, hour, minute, .. } = Parts::of(time);
        say!(
            self,
            "date-minute",
            year = year,
            month = self.month(month),
            day = day,
            hour = hour,
            minute = minute
        )
    }

    /// `12 Mar 2026, 10:14:05 UTC`.
    #[must_use]
    pub fn second(&self, time: TimeMs) -> String {
        if time == FAR {
            return say!(self, "date-never");
        }
        let Parts { year, month, day, hour, minute, second } = Parts::of(time);
        let month = self.month(month);
        say!(
            self,
            "date-second",
            year = year,
            month = month,
            day = day,
            hour = hour,
            minute = minute,
            second = second
        )
    }

    /// `12 Mar 2026`.
    #[must_use]
    pub fn day(&self, time: TimeMs) -> String {
        if time == FAR {
            return say!(self, "date-never");
        }
        let Parts { year, month, day, .. } = Parts::of(time);
        say!(self, "date-day", year = year, month = self.month(month), day = day)
    }

    /// `12 Mar` when it is in the same year as `near`, else [`Speaker::day`].
    #[must_use]
    pub fn day_near(&self, time: TimeMs, near: TimeMs) -> String {
        if time == FAR || time.year() != near.year() {
            return self.day(time);
        }
        let Parts { month, day, .. } = Parts::of(time);
        say!(self, "date-day-short", month = self.month(month), day = day)
    }

    /// A moment as a source stated it, to the precision that it states.
    #[must_use]
    pub fn moment(&self, moment: &Moment) -> String {
        let Ok(first) = u64::try_from(moment.first_ms()) else { return moment.as_str().to_owned() };
        let first = TimeMs(first);
        if moment.has_time() {
            return self.minute(first);
        }
        let Parts { year, month, .. } = Parts::of(first);
        match moment.as_str().len() {
            4 => year,
            7 => say!(self, "date-month", year = year, month = self.month(month)),
            _ => self.day(first),
        }
    }

    /// A length of time: `90 days`, `3 hours`.
    #[must_use]
    pub fn span(&self, ms: u64) -> String {
        match ms {
            0..1_000 => say!(self, "span-ms", count = ms),
            1_000..120_000 => say!(self, "span-seconds", count = ms / 1_000),
            120_000..7_200_000 => say!(self, "span-minutes", count = ms / 60_000),
            7_200_000..172_800_000 => say!(self, "span-hours", count = ms / 3_600_000),
            _ => say!(self, "span-days", count = ms / 86_400_000),
        }
    }
}

/// The messages of months, which are put together from their numbers.
#[must_use]
pub fn months() -> Vec<String> {
    (1..=12).map(|month| format!("month-{month}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    /// 2026-03-12T10:14:05Z.
    const TIME: TimeMs = TimeMs(1_773_310_445_000);

    #[test]
    fn dates_have_the_form_of_the_language() {
        let catalogue = Catalogue::default();
        let (english, german) = (catalogue.speaker("en").unwrap(), catalogue.speaker("de").unwrap());
        assert_eq!(english.minute(TIME), "12 Mar 2026, 10:14 UTC");
        assert_eq!(german.minute(TIME), "12. März 2026, 10:14 UTC");
        assert_eq!(english.second(TIME), "12 Mar 2026, 10:14:05 UTC");
        assert_eq!(german.day(TimeMs(0)), "1. Januar 1970");
        assert_eq!(english.day_near(TIME, TIME), "12 Mar");
        assert_eq!(english.day_near(TIME, TimeMs(0)), "12 Mar 2026");
        assert_eq!(german.day(FAR), "ohne Ende");
    }

    #[test]
    fn a_stated_moment_keeps_its_precision() {
        let english = Catalogue::default().speaker("en").unwrap();
        for (stated, said) in [
            ("2022", "2022"),
            ("2022-06", "Jun 2022"),
            ("2022-06-13", "13 Jun 2022"),
            ("2022-06-13T23:30:00-05:00", "14 Jun 2022, 04:30 UTC"),
            ("1965-01-02", "1965-01-02"),
        ] {
            assert_eq!(english.moment(&Moment::new(stated).unwrap()), said);
        }
    }

    #[test]
    fn one_is_not_many() {
        let catalogue = Catalogue::default();
        let (english, german) = (catalogue.speaker("en").unwrap(), catalogue.speaker("de").unwrap());
        assert_eq!((english.span(1_000), german.span(1_000)), ("1 second".into(), "1 Sekunde".into()));
        assert_eq!(
            (english.span(90 * 86_400_000), german.span(90 * 86_400_000)),
            ("90 days".into(), "90 Tage".into())
        );
    }
}
