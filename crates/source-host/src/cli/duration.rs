//! ISO 8601 durations, as the configuration of a source has them.

use std::time::Duration;

/// Reads `PT30S`, `PT5M`, `PT1H30M`, `P1D`; weeks, months and years have no fixed length here and are refused.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let problem = || format!("`{text}` is no duration: write it as PT30S, PT5M or PT1H");
    let rest = text.strip_prefix('P').ok_or_else(problem)?;
    let (days, time) = rest.split_once('T').map_or((rest, None), |(days, time)| (days, Some(time)));
    let mut seconds = 0.0;
    let mut any = false;
    for (part, units) in
        [(days, &[('D', 86_400.0)][..]), (time.unwrap_or(""), &[('H', 3_600.0), ('M', 60.0), ('S', 1.0)])]
    {
        let mut rest = part;
        for &(unit, length) in units {
            let Some((number, after)) = rest.split_once(unit) else { continue };
            if !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
                return Err(problem());
            }
            seconds += number.parse::<f64>().map_err(|_| problem())? * length;
            any = true;
            rest = after;
        }
        if !rest.is_empty() {
            return Err(problem());
        }
    }
    if !any || time == Some("") {
        return Err(problem());
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| problem())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_read_and_everything_else_is_refused() {
        for (text, seconds) in
            [("PT30S", 30.0), ("PT5M", 300.0), ("PT1H30M", 5_400.0), ("P1D", 86_400.0), ("P1DT0.5S", 86_400.5)]
        {
            assert_eq!(parse(text), Ok(Duration::from_secs_f64(seconds)), "{text}");
        }
        for text in
            ["", "P", "PT", "P1DT", "30", "30s", "PT-1S", "PTS", "PT1M1H", "P1M", "P1W", "PT1S ", "PT1e3S", "PTinfS"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
