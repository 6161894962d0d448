//! Points in time at the resolution of the service: ticks of 100 ns.

use std::fmt;

use chrono::{DateTime, Datelike, Timelike, Utc};

/// Ticks in a second.
pub const TICKS_PER_SECOND: i64 = 10_000_000;

/// A point in time, UTC, in ticks of 100 ns since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Tick(pub i64);

/// A length of time in ticks of 100 ns.
pub type Ticks = i64;

/// The time of one call into the core: the wall clock, which may jump, and a monotonic one, which does not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Now {
    /// What the local wall clock says.
    pub wall: Tick,
    /// Nanoseconds on the monotonic clock, from an origin of its own.
    pub monotonic: u64,
}

impl Tick {
    /// The least point in time that a stamp of the service can print: 0001-01-01T00:00:00Z.
    pub const MIN: Self = Self(-62_135_596_800 * TICKS_PER_SECOND);
    /// The greatest point in time that a stamp of the service can print: the last tick of the year 9999.
    pub const MAX: Self = Self(253_402_300_800 * TICKS_PER_SECOND - 1);

    /// Reads a stamp with 0 to 9 fractional digits, with `T` or a blank between date and time, with a zone or without
    /// one (then UTC). Digits beyond the seventh are dropped. What its zone puts before [`Tick::MIN`] or behind [`Tick::MAX`]
    /// is that bound.
    ///
    /// Source: bodies of the service carry 5 and 7 digits, its neighbours 0 to 7, some without a zone.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let zoned = DateTime::parse_from_rfc3339(text);
        let zoned = zoned.or_else(|_| DateTime::parse_from_rfc3339(&(text.to_owned() + "Z"))).ok()?;
        Some(Self::from_datetime(zoned.to_utc()))
    }

    /// The tick that holds an instant given as seconds and nanoseconds since 1970, kept between [`Tick::MIN`] and
    /// [`Tick::MAX`].
    pub fn from_unix(seconds: i64, nanoseconds: u32) -> Self {
        let ticks = seconds.saturating_mul(TICKS_PER_SECOND).saturating_add(i64::from(nanoseconds / 100));
        Self(ticks.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Whole seconds since 1970 and the nanoseconds that are added to them.
    pub fn to_unix(self) -> (i64, u32) {
        let nanoseconds = self.0.rem_euclid(TICKS_PER_SECOND) * 100;
        (self.0.div_euclid(TICKS_PER_SECOND), u32::try_from(nanoseconds).unwrap_or(0))
    }

    /// The instant of a chrono value.
    pub fn from_datetime(utc: DateTime<Utc>) -> Self {
        // A leap second carries more than 999,999,999 ns and so falls into the next one.
        Self::from_unix(utc.timestamp(), utc.timestamp_subsec_nanos())
    }

    /// Later by so many ticks, kept between [`Tick::MIN`] and [`Tick::MAX`].
    #[must_use]
    pub fn plus(self, ticks: Ticks) -> Self {
        Self(self.0.saturating_add(ticks).clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Earlier by so many ticks, kept between [`Tick::MIN`] and [`Tick::MAX`].
    #[must_use]
    pub fn minus(self, ticks: Ticks) -> Self {
        Self(self.0.saturating_sub(ticks).clamp(Self::MIN.0, Self::MAX.0))
    }

    /// The last point in time up to it that is a multiple of so many ticks after 1970, kept at [`Tick::MIN`].
    #[must_use]
    pub fn floor(self, step: Ticks) -> Self {
        self.minus(self.0.rem_euclid(step))
    }
}

/// Prints as `2020-09-30T14:11:44.0779765Z`: seven digits and `Z`, always.
impl fmt::Display for Tick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanoseconds) = self.to_unix();
        let utc = DateTime::<Utc>::from_timestamp(seconds, nanoseconds).unwrap_or_default();
        let mut text = *b"0000-00-00T00:00:00.0000000Z";
        for (digits, number) in [
            (0..4, utc.year().unsigned_abs()),
            (5..7, utc.month()),
            (8..10, utc.day()),
            (11..13, utc.hour()),
            (14..16, utc.minute()),
            (17..19, utc.second()),
            (20..27, nanoseconds / 100),
        ] {
            let mut rest = number;
            for digit in text.get_mut(digits).into_iter().flatten().rev() {
                *digit = b"0123456789"[rest as usize % 10];
                rest /= 10;
            }
        }
        f.write_str(str::from_utf8(&text).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Tick::parse(text).unwrap_or_else(|| panic!("{text} is a stamp")).to_string()
    }

    #[test]
    fn a_stamp_has_zero_to_seven_digits_and_may_lack_a_zone() {
        for (text, expected) in [
            ("2020-09-30T14:09:20.35743Z", "2020-09-30T14:09:20.3574300Z"),
            ("2020-09-30T14:11:44.0779765Z", "2020-09-30T14:11:44.0779765Z"),
            ("2020-09-30T14:11:44Z", "2020-09-30T14:11:44.0000000Z"),
            ("2020-09-30T14:11:44", "2020-09-30T14:11:44.0000000Z"),
            ("2016-09-12T00:00:00.000", "2016-09-12T00:00:00.0000000Z"),
            ("2016-09-12 00:00:00.1", "2016-09-12T00:00:00.1000000Z"),
            ("2016-09-12T02:00:00.12+02:00", "2016-09-12T00:00:00.1200000Z"),
            ("2016-09-12T02:00:00.123456789Z", "2016-09-12T02:00:00.1234567Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.0000000Z"),
            ("9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.9999999Z"),
            ("0001-01-01T00:00:00+01:00", "0001-01-01T00:00:00.0000000Z"),
            ("9999-12-31T23:59:59-01:00", "9999-12-31T23:59:59.9999999Z"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_stamp_is_none() {
        for text in [
            "",
            "Z",
            "now",
            "2020-13-01T00:00:00Z",
            "2020-13-01T00:00:00",
            "2020-09-30",
            "2020-09-30T14:11",
            "2020-09-30T14:11:44ZZ",
            "2020-9-3T1:2:3",
            "12345",
        ] {
            assert_eq!(Tick::parse(text), None, "{text}");
        }
    }

    #[test]
    fn instants_before_1970_keep_their_fraction() {
        let tick = Tick::parse("1969-12-31T23:59:59.75Z").unwrap();
        assert_eq!(tick.to_unix(), (-1, 750_000_000));
        assert_eq!(Tick::from_unix(-1, 750_000_000), tick);
    }
}
