//! ISO 8601 durations, as far as they have one length: days, hours, minutes and seconds.

use std::fmt::Write as _;
use std::time::Duration;

/// Reads a duration such as `PT0.25S`, `PT1H30M` or `P1D`. Years and months have no fixed length and are refused.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let rest = text.strip_prefix('P')?;
    let (days, time) = match rest.split_once('T') {
        Some((_, "")) => return None,
        Some((days, time)) => (days, time),
        None => (rest, ""),
    };
    if days.is_empty() && time.is_empty() {
        return None;
    }
    let days = parts(days, &[('D', 86_400)])?;
    let time = parts(time, &[('H', 3_600), ('M', 60), ('S', 1)])?;
    days.checked_add(time)
}

/// Prints a duration the way [`parse_duration`] reads it.
pub fn duration_text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes, rest) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    let mut text = String::from("P");
    if days > 0 {
        let _ = write!(text, "{days}D");
    }
    if hours > 0 || minutes > 0 || rest > 0 || duration.subsec_nanos() > 0 || days == 0 {
        text.push('T');
    }
    for (value, unit) in [(hours, 'H'), (minutes, 'M')] {
        if value > 0 {
            let _ = write!(text, "{value}{unit}");
        }
    }
    if duration.subsec_nanos() > 0 {
        let fraction = format!("{:09}", duration.subsec_nanos());
        let _ = write!(text, "{rest}.{}S", fraction.trim_end_matches('0'));
    } else if rest > 0 || duration.is_zero() {
        let _ = write!(text, "{rest}S");
    }
    text
}

/// Reads numbers with units, each unit at most once and in this order; only seconds may have a fraction.
fn parts(mut text: &str, units: &[(char, u64)]) -> Option<Duration> {
    let mut sum = Duration::ZERO;
    for &(unit, seconds) in units {
        let Some((number, rest)) = text.split_once(unit) else { continue };
        let (whole, fraction) = match number.split_once('.') {
            Some((whole, fraction)) if unit == 'S' && (1..=9).contains(&fraction.len()) => (whole, fraction),
            Some(_) => return None,
            None => (number, "0"),
        };
        let nanos: u32 = digits(&format!("{fraction:0<9}"))?.try_into().ok()?;
        sum = sum.checked_add(Duration::new(digits(whole)?.checked_mul(seconds)?, nanos))?;
        text = rest;
    }
    text.is_empty().then_some(sum)
}

fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_printed_alike() {
        for (text, millis) in [
            ("PT0S", 0),
            ("PT0.25S", 250),
            ("PT1M", 60_000),
            ("PT1H30M", 5_400_000),
            ("P1D", 86_400_000),
            ("P1DT1S", 86_401_000),
        ] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
            assert_eq!(duration_text(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn what_is_no_duration_of_one_length_is_refused() {
        for text in ["", "P", "PT", "P1M", "P1Y", "PT1", "1H", "PT1.5H", "PT-1S", "PT1S1M", "PT1S ", "pt1s", "PTS"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
