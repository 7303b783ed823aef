//! The plain identifiers and counters of the ledger, each a type of its own.
//!
//! A height is not an index and an index is not a size: mixing them up is the classic mistake of
//! transparency logs, so the compiler is made to notice it.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use thiserror::Error;

use crate::cbor::{DecodeError, Reader, View, Wire, Writer};
use crate::given::{Form, Given, GivenError, TIME_WORDS};
use crate::hash::fixed_bytes;

macro_rules! counter {
    ($($(#[$meta:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl Wire for $name {
            fn write(&self, w: &mut Writer) {
                self.0.write(w);
            }
            fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Wire::read(r).map(Self)
            }
            fn view(&self) -> View {
                View::Number(i128::from(self.0))
            }
            fn from_given(given: &Given) -> Result<Self, GivenError> {
                Wire::from_given(given).map(Self)
            }
            fn form() -> Form {
                <$inner>::form()
            }
        }
    )*};
}

counter! {
    /// The number of a block; the genesis is height 0.
    Height(u64);
    /// A consensus round within a height.
    Round(u32);
    /// The position of a record in the log, from 0.
    LogIndex(u64);
    /// A number of records; the size of a log or trail.
    LogSize(u64);
}

impl Height {
    /// The height after this one. Saturates, so that hostile numbers cannot overflow.
    #[must_use]
    pub const fn next(self) -> Height {
        Height(self.0.saturating_add(1))
    }
}

/// An instant: milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TimeMs(pub u64);

/// 9999-12-31T23:59:59.999Z: the end of what has no end.
pub const FAR: TimeMs = TimeMs(253_402_300_799_999);

const MS_PER_DAY: u64 = 86_400_000;

impl TimeMs {
    /// This instant and `ms` milliseconds more.
    #[must_use]
    pub const fn plus(self, ms: u64) -> TimeMs {
        TimeMs(self.0.saturating_add(ms))
    }

    /// Year, month (1 to 12) and day (1 to 31) in UTC, by the proleptic Gregorian calendar.
    #[must_use]
    pub const fn date(self) -> (u64, u64, u64) {
        // Days from civil, the other way round: eras of 400 years that begin on 1 March.
        let days = self.0 / MS_PER_DAY + 719_468;
        let era = days / 146_097;
        let day_of_era = days % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
        (year, month, day)
    }

    /// The instant that ISO 8601 spells: `2030-01-01T00:00:00Z`, with or without milliseconds, UTC only.
    #[must_use]
    pub fn from_iso(text: &str) -> Option<TimeMs> {
        let digits = |from: usize, to: usize| {
            let part = text.get(from..to)?;
            if part.bytes().all(|b| b.is_ascii_digit()) { part.parse::<u64>().ok() } else { None }
        };
        let stand = |at: &[(usize, u8)]| at.iter().all(|(i, byte)| text.as_bytes().get(*i) == Some(byte));
        if !stand(&[(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')]) {
            return None;
        }
        let ms = match text.len() {
            20 if stand(&[(19, b'Z')]) => 0,
            24 if stand(&[(19, b'.'), (23, b'Z')]) => digits(20, 23)?,
            _ => return None,
        };
        let (year, month, day) = (digits(0, 4)?, digits(5, 7)?, digits(8, 10)?);
        let (hour, minute, second) = (digits(11, 13)?, digits(14, 16)?, digits(17, 19)?);
        if year < 1970 || hour > 23 || minute > 59 || second > 59 || !(1..=12).contains(&month) || day == 0 {
            return None;
        }
        // Days from civil: years begin on 1 March, so that the leap day is their last.
        let shifted_year = if month <= 2 { year - 1 } else { year };
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let days =
            365 * shifted_year + shifted_year / 4 - shifted_year / 100 + shifted_year / 400 + day_of_year
                - 719_468;
        let time = TimeMs(days * MS_PER_DAY + hour * 3_600_000 + minute * 60_000 + second * 1_000 + ms);
        // A day that the month does not have came out as one of the next month.
        (time.date() == (year, month, day)).then_some(time)
    }

    /// The calendar year in UTC: the epoch of subject trails.
    #[must_use]
    pub const fn year(self) -> u64 {
        self.date().0
    }

    /// Whether this is the first millisecond of a quarter, or [`FAR`]: the instants at which rules may expire.
    #[must_use]
    pub const fn is_coarse(self) -> bool {
        let (_, month, day) = self.date();
        self.0 == FAR.0 || (self.0.is_multiple_of(MS_PER_DAY) && day == 1 && month % 3 == 1)
    }

    /// The first instant at or after this one that [`TimeMs::is_coarse`].
    #[must_use]
    pub const fn coarse(self) -> TimeMs {
        if self.is_coarse() || self.0 >= FAR.0 {
            return if self.0 >= FAR.0 { FAR } else { self };
        }
        // Walk day by day to the next quarter: at most 92 steps.
        let mut next = TimeMs((self.0 / MS_PER_DAY + 1) * MS_PER_DAY);
        while !next.is_coarse() && next.0 < FAR.0 {
            next = TimeMs(next.0 + MS_PER_DAY);
        }
        next
    }
}

impl fmt::Display for TimeMs {
    /// ISO 8601 with milliseconds, in UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
        let ms = self.0 % MS_PER_DAY;
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1_000)
    }
}

impl Wire for TimeMs {
    fn write(&self, w: &mut Writer) {
        w.u64(self.0);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.u64_up_to(FAR.0, "time").map(Self)
    }
    fn view(&self) -> View {
        View::Time(self.0)
    }
    fn from_given(given: &Given) -> Result<Self, GivenError> {
        given.time()
    }
    fn form() -> Form {
        Form::of(TIME_WORDS, View::Time(1_893_456_000_000))
    }
}

fixed_bytes! {
    /// 16 random bytes that keep two items with equal fields apart.
    ItemId[16];
    /// 16 random bytes chosen by an author: nonces, event ids, rule ids.
    Random16[16];
}

/// The name of a participant: lower-case ASCII letters, digits, dots and dashes, at most 63.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParticipantId(String);

const PARTICIPANT_WORDS: &str = "a participant id, such as hospital.example";

/// A text that is not a participant id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a participant id is 1 to 63 of a-z, 0-9, '.' and '-', and begins with a letter or digit")]
pub struct NotAParticipantId;

impl ParticipantId {
    /// The longest id, in bytes.
    pub const MAX: usize = 63;

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ParticipantId {
    type Err = NotAParticipantId;
    fn from_str(text: &str) -> Result<Self, NotAParticipantId> {
        let first = text.bytes().next().ok_or(NotAParticipantId)?;
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-';
        if text.len() > Self::MAX || !text.bytes().all(allowed) || first == b'.' || first == b'-' {
            return Err(NotAParticipantId);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for ParticipantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Wire for ParticipantId {
    fn write(&self, w: &mut Writer) {
        w.text(&self.0);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = r.position();
        r.ascii(Self::MAX)?
            .parse()
            .map_err(|NotAParticipantId| DecodeError::OutOfBounds { at, what: "participant id" })
    }
    fn view(&self) -> View {
        View::Text(self.0.clone())
    }
    fn from_given(given: &Given) -> Result<Self, GivenError> {
        given.parse(PARTICIPANT_WORDS, |text| text.parse().ok())
    }
    fn form() -> Form {
        Form::of(PARTICIPANT_WORDS, View::Text("hospital.example".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn dates_follow_the_calendar() {
        // From `date -u -d @SECONDS`.
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (FAR.0, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(TimeMs(ms).to_string(), text);
        }
    }

    #[test]
    fn expiries_are_rounded_up_to_a_quarter() {
        let coarse = |text: &str, ms: u64| assert_eq!(TimeMs(ms).coarse().to_string(), text);
        coarse("2024-04-01T00:00:00.000Z", 1_709_251_199_999);
        coarse("2000-04-01T00:00:00.000Z", 951_782_400_000);
        coarse("1970-01-01T00:00:00.000Z", 0);
        assert_eq!(FAR.coarse(), FAR);
        assert_eq!(TimeMs(u64::MAX).coarse(), FAR);
    }

    #[test]
    fn participant_ids_are_narrow() {
        assert!("hospital-a.example".parse::<ParticipantId>().is_ok());
        for refused in ["", "-a", ".a", "A", "a_b", "ä", &"a".repeat(64)] {
            assert!(refused.parse::<ParticipantId>().is_err(), "{refused}");
        }
    }
}
