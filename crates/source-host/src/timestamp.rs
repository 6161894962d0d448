//! Instants of the contract as text, and back.

use std::fmt;
use std::time::SystemTime;

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveDateTime, Timelike as _};

use crate::bindings::Instant;

/// An instant as RFC 3339 in UTC, with the seven digits that the service's own stamps have, or nine where they matter.
pub(crate) struct Rfc3339(pub(crate) Instant);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = DateTime::from_timestamp(self.0.seconds, self.0.nanoseconds).unwrap_or_default();
        let year = u32::try_from(time.year()).unwrap_or(u32::MAX);
        if time.timestamp() != self.0.seconds || year > 9_999 {
            // RFC 3339 has four digits for a year.
            return write!(f, "@{}.{:09}", self.0.seconds, self.0.nanoseconds);
        }
        // By hand, since every event carries two of them and formatting takes as long as the rest of its line.
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        for (digits, number) in [
            (0..4, year),
            (5..7, time.month()),
            (8..10, time.day()),
            (11..13, time.hour()),
            (14..16, time.minute()),
            (17..19, time.second()),
            (20..29, self.0.nanoseconds),
        ] {
            let mut rest = number;
            for digit in text[digits].iter_mut().rev() {
                *digit = b"0123456789"[rest as usize % 10];
                rest /= 10;
            }
        }
        let text = str::from_utf8(&text).unwrap_or_default();
        match text.strip_suffix("00Z") {
            Some(ticks) => write!(f, "{ticks}Z"),
            None => f.write_str(text),
        }
    }
}

/// RFC 3339 in UTC, with a fraction only where there is one.
impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Rfc3339(*self).to_string();
        match text.strip_suffix(".0000000Z") {
            Some(whole) => write!(f, "{whole}Z"),
            None => f.write_str(&text),
        }
    }
}

impl From<SystemTime> for Instant {
    fn from(time: SystemTime) -> Self {
        // A clock before 1970 is set wrong.
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), nanoseconds: since.subsec_nanos() }
    }
}

impl Instant {
    /// Reads RFC 3339; without a zone it is UTC, without a time it is midnight.
    ///
    /// # Errors
    ///
    /// A sentence that says what a time looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let zoned = DateTime::parse_from_rfc3339(text).map(|time| time.naive_utc());
        let time = zoned
            .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f"))
            .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M"))
            .or_else(|_| NaiveDate::parse_from_str(text, "%Y-%m-%d").map(|date| date.into()))
            .map_err(|_| format!("`{text}` is no time: write it as 2026-11-23T08:00:00Z or 2026-11-23"))?;
        let time = time.and_utc();
        Ok(Self { seconds: time.timestamp(), nanoseconds: time.timestamp_subsec_nanos().min(999_999_999) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_with_and_without_zone_and_written_with_seven_digits() {
        for (text, written) in [
            ("2026-11-23T08:00:00.1234567Z", "2026-11-23T08:00:00.1234567Z"),
            ("2026-11-23T09:00:00+01:00", "2026-11-23T08:00:00.0000000Z"),
            ("2026-11-23T08:00:00", "2026-11-23T08:00:00.0000000Z"),
            ("2026-11-23T08:00", "2026-11-23T08:00:00.0000000Z"),
            ("2026-11-23", "2026-11-23T00:00:00.0000000Z"),
            ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.5000000Z"),
            ("2026-11-23T08:00:00.123456789Z", "2026-11-23T08:00:00.123456789Z"),
        ] {
            assert_eq!(Instant::parse(text).map(|instant| Rfc3339(instant).to_string()), Ok(written.to_owned()));
        }
        assert!(Instant::parse("yesterday").is_err());
        for text in ["2026-11-23T08:00:00Z", "2026-11-23T08:00:00.5000000Z"] {
            assert_eq!(Instant::parse(text).map(|instant| instant.to_string()), Ok(text.to_owned()));
        }
        assert_eq!(
            Rfc3339(Instant { seconds: i64::MAX, nanoseconds: 0 }).to_string(),
            "@9223372036854775807.000000000"
        );
    }
}
