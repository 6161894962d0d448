//! ISO 8601 durations, such as `PT10M`, in ticks of 100 ns.

use std::fmt;

use crate::tick::{TICKS_PER_SECOND, Ticks};

/// Ticks in a minute.
pub const MINUTE: Ticks = 60 * TICKS_PER_SECOND;
/// Ticks in an hour.
pub const HOUR: Ticks = 60 * MINUTE;
/// Ticks in a day.
pub const DAY: Ticks = 24 * HOUR;

/// Reads weeks, days, hours, minutes and seconds, each at most once and in this order; seconds may have up to seven
/// digits after a point or a comma.
///
/// # Errors
///
/// What is wrong with the text, as the end of a sentence: years and months among others, whose length varies.
pub fn parse(text: &str) -> Result<Ticks, &'static str> {
    let Some(mut rest) = text.strip_prefix('P') else {
        return Err(match text.strip_prefix(['-', '+']) {
            Some(unsigned) if unsigned.starts_with('P') => "a duration has no sign here",
            _ => "a duration begins with a capital P",
        });
    };
    let mut total: Ticks = 0;
    let mut in_time = false;
    // The units that may still come: each is used once, in order.
    let mut units: &[(char, Ticks)] = &[('W', 7 * DAY), ('D', DAY)];
    let mut parts = 0;
    while !rest.is_empty() {
        if let Some(time) = rest.strip_prefix('T') {
            if in_time {
                return Err("it has two T");
            }
            (in_time, rest, units) = (true, time, &[('H', HOUR), ('M', MINUTE), ('S', TICKS_PER_SECOND)]);
            if rest.is_empty() {
                return Err("nothing follows the T");
            }
            continue;
        }
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (whole, tail) = rest.split_at(digits);
        let (fraction, tail) = match tail.strip_prefix(['.', ',']) {
            Some(tail) => tail.split_at(tail.bytes().take_while(u8::is_ascii_digit).count()),
            None => ("", tail),
        };
        let mut letters = tail.chars();
        let Some(letter) = letters.next() else { return Err("a number at its end lacks its unit") };
        let has_fraction = tail.len() < rest.len() - digits;
        if whole.is_empty() || (has_fraction && fraction.is_empty()) {
            return Err("a number is missing before one of its letters");
        }
        let Some(at) = units.iter().position(|(unit, _)| *unit == letter) else {
            return Err(match letter {
                'Y' => "years have no fixed length; write days",
                'M' if !in_time => "months have no fixed length; write days, or put a T before minutes",
                'H' | 'S' if !in_time => "hours, minutes and seconds stand behind a T",
                'W' | 'D' | 'H' | 'M' | 'S' => "each unit stands once, and the larger ones come first",
                _ => "its units are W, D, then T, H, M, S, in capitals",
            });
        };
        let (unit, ticks) = units[at];
        if has_fraction && unit != 'S' {
            return Err("only seconds may have a fraction");
        }
        total = whole
            .parse::<Ticks>()
            .ok()
            .and_then(|count| count.checked_mul(ticks))
            .and_then(|ticks| ticks.checked_add(total))
            .and_then(|ticks| ticks.checked_add(fraction_ticks(fraction)?))
            .ok_or("it is too long, or finer than 100 ns")?;
        units = &units[at + 1..];
        rest = letters.as_str();
        parts += 1;
    }
    if parts == 0 { Err("nothing follows the P") } else { Ok(total) }
}

/// The duration that was probably meant: `2h` as `PT2H`, `7d` as `P7D`.
pub fn suggestion(text: &str) -> Option<String> {
    let capitals: String = text.to_ascii_uppercase().split_ascii_whitespace().collect();
    ["", "PT", "P"].iter().find_map(|prefix| {
        let guess = format!("{prefix}{capitals}");
        parse(&guess).ok().map(|_| guess)
    })
}

/// Prints a length of time canonically: `P1DT2H`, `PT0.5S`, `PT0S`. A negative one prints as zero.
pub struct Iso(pub Ticks);

impl fmt::Display for Iso {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ticks = self.0.max(0);
        if ticks == 0 {
            return f.write_str("PT0S");
        }
        f.write_str("P")?;
        if ticks >= DAY {
            write!(f, "{}D", ticks / DAY)?;
        }
        if ticks % DAY > 0 {
            f.write_str("T")?;
        }
        for (count, unit) in [(ticks % DAY / HOUR, 'H'), (ticks % HOUR / MINUTE, 'M')] {
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        let (seconds, fraction) = (ticks % MINUTE / TICKS_PER_SECOND, ticks % TICKS_PER_SECOND);
        match (seconds, fraction) {
            (0, 0) => Ok(()),
            (_, 0) => write!(f, "{seconds}S"),
            _ => write!(f, "{seconds}.{}S", format!("{fraction:07}").trim_end_matches('0')),
        }
    }
}

/// Digits after the point as ticks; none where there are more than seven that count.
fn fraction_ticks(digits: &str) -> Option<Ticks> {
    let digits = digits.trim_end_matches('0');
    if digits.is_empty() {
        return Some(0);
    }
    let scale = 7_u32.checked_sub(u32::try_from(digits.len()).ok()?)?;
    digits.parse::<Ticks>().ok().map(|value| value * 10_i64.pow(scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_read_and_printed_canonically() {
        for (text, ticks, canonical) in [
            ("PT10M", 10 * MINUTE, "PT10M"),
            ("PT2H", 2 * HOUR, "PT2H"),
            ("PT0S", 0, "PT0S"),
            ("P0D", 0, "PT0S"),
            ("P1W", 7 * DAY, "P7D"),
            ("P1W2DT3H4M5S", 9 * DAY + 3 * HOUR + 4 * MINUTE + 5 * TICKS_PER_SECOND, "P9DT3H4M5S"),
            ("PT24H", DAY, "P1D"),
            ("PT90M", 90 * MINUTE, "PT1H30M"),
            ("P1DT1S", DAY + TICKS_PER_SECOND, "P1DT1S"),
            ("PT0.5S", TICKS_PER_SECOND / 2, "PT0.5S"),
            ("PT1,25S", TICKS_PER_SECOND * 5 / 4, "PT1.25S"),
            ("PT0.0000001S", 1, "PT0.0000001S"),
            ("PT0.10000000000S", TICKS_PER_SECOND / 10, "PT0.1S"),
        ] {
            assert_eq!(parse(text), Ok(ticks), "{text}");
            assert_eq!(Iso(ticks).to_string(), canonical, "{text}");
            assert_eq!(parse(canonical), Ok(ticks), "{canonical}");
        }
    }

    #[test]
    fn what_is_no_duration_is_told_why() {
        for (text, why) in [
            ("", "begins with a capital P"),
            ("2h", "begins with a capital P"),
            ("pt2h", "begins with a capital P"),
            ("-PT2H", "no sign"),
            ("P", "nothing follows the P"),
            ("PT", "nothing follows the T"),
            ("P1DT", "nothing follows the T"),
            ("PTT1H", "two T"),
            ("P1Y", "years"),
            ("P1M", "months"),
            ("P2H", "behind a T"),
            ("PT1D", "larger ones come first"),
            ("PT1M1H", "larger ones come first"),
            ("PT1M1M", "stands once"),
            ("PT10", "lacks its unit"),
            ("PTM", "a number is missing"),
            ("PT.5S", "a number is missing"),
            ("PT0.5H", "only seconds"),
            ("PT1.S", "a number is missing"),
            ("PT1h", "in capitals"),
            ("PT1X", "its units"),
            ("PT1é", "its units"),
            ("PT99999999999999999999S", "too long"),
            ("P9999999999W", "too long"),
            ("PT0.00000001S", "finer than 100 ns"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn a_near_miss_gets_a_suggestion() {
        for (text, expected) in [
            ("2h", Some("PT2H")),
            ("1h 30m", Some("PT1H30M")),
            ("7d", Some("P7D")),
            ("pt5m", Some("PT5M")),
            ("soon", None),
        ] {
            assert_eq!(suggestion(text).as_deref(), expected, "{text}");
        }
    }
}
