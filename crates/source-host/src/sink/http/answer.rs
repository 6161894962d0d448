//! What an endpoint's answer means for what was sent.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::DateTime;
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};

/// The longest that an endpoint may have us wait in one go.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// What an answer means for what was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// It is delivered.
    Taken,
    /// The same may be taken later.
    Later(Option<Duration>),
    /// Fewer events at a time may be taken.
    TooLarge,
    /// Something in it is refused for good.
    Refused,
    /// Nothing is taken here, whatever it is; with what to do.
    Never(&'static str),
}

pub(super) fn verdict(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Verdict {
    match status.as_u16() {
        200..=299 => Verdict::Taken,
        300..=399 => Verdict::Never("redirects are not followed: write the URL that it leads to into `url`"),
        401 | 403 | 407 => Verdict::Never("check what `headers` of the [[sink]] say about who is sending"),
        404 | 405 | 410 => Verdict::Never("check `url` of the [[sink]]: nothing takes events there"),
        411 | 415 | 426 | 431 => Verdict::Never("check `format`, `gzip` and `headers` of the [[sink]]"),
        413 => Verdict::TooLarge,
        408 | 429 | 500..=599 => Verdict::Later(retry_after(headers, now)),
        _ => Verdict::Refused,
    }
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = u64::try_from(DateTime::parse_from_rfc2822(text).ok()?.timestamp()).ok()?;
            Duration::from_secs(until).checked_sub(now.duration_since(UNIX_EPOCH).ok()?)?
        }
    };
    (!wait.is_zero()).then_some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_one_meaning() {
        let verdict = |status| verdict(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), UNIX_EPOCH);
        for (statuses, expected) in [
            (&[200, 201, 202, 204][..], Verdict::Taken),
            (&[408, 429, 500, 502, 503, 504], Verdict::Later(None)),
            (&[413], Verdict::TooLarge),
            (&[400, 409, 422], Verdict::Refused),
        ] {
            assert!(statuses.iter().all(|&status| verdict(status) == expected), "{expected:?}");
        }
        for status in [301, 304, 401, 403, 404, 415] {
            assert!(matches!(verdict(status), Verdict::Never(_)), "{status}");
        }
    }

    #[test]
    fn a_wait_is_read_as_seconds_or_a_date_and_is_bounded() {
        let wait = |text: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            retry_after(&headers, UNIX_EPOCH)
        };
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("Thu, 01 Jan 1970 00:01:00 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(wait("99999999"), Some(LONGEST_WAIT));
        for none in ["0", "soon", "-1", "Wed, 31 Dec 1969 00:00:00 GMT"] {
            assert_eq!(wait(none), None, "{none}");
        }
    }
}
