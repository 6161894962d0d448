//! HTTP as values: what the core asks the driver to send, and what it is told of the answer.

use crate::tick::{TICKS_PER_SECOND, Tick};

/// The method of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// Reads.
    Get,
    /// Sends a form.
    Post,
}

/// A request to send. Its `Debug` shows neither query, header values nor body, since each of them may hold secrets.
#[derive(Clone, Eq, PartialEq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The absolute URL.
    pub url: String,
    /// Lower-case names and their values. The driver adds `content-length` where there is a body.
    pub headers: Vec<(&'static str, String)>,
    /// Empty for none.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let url = self.url.split('?').next();
        f.debug_struct("Request").field("method", &self.method).field("url", &url).finish_non_exhaustive()
    }
}

/// The status and the headers of an answer.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ResponseHead {
    /// The HTTP status.
    pub status: u16,
    /// Names in any case, and values.
    pub headers: Vec<(String, String)>,
}

impl ResponseHead {
    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The service's own clock, from `Date`.
    pub fn date(&self) -> Option<Tick> {
        self.header("date").and_then(http_date)
    }

    /// The wait that `Retry-After` asks for, in nanoseconds: a number of seconds, or an HTTP date which is counted from
    /// the answer's own `Date`, or from `now` where there is none. Clamped to [`MAX_RETRY_AFTER`].
    ///
    /// Source: RFC 9110, section 10.2.3.
    pub fn retry_after(&self, now: Tick) -> Option<u64> {
        let value = self.header("retry-after")?.trim();
        let seconds = if let Ok(seconds) = value.parse::<u64>() {
            seconds
        } else {
            let from = self.date().unwrap_or(now);
            let ticks = http_date(value)?.0.saturating_sub(from.0).max(0);
            u64::try_from(ticks).unwrap_or(0).div_ceil(TICKS_PER_SECOND.unsigned_abs())
        };
        Some(seconds.saturating_mul(1_000_000_000).min(MAX_RETRY_AFTER))
    }

    /// The id that Microsoft's support asks for.
    pub fn request_id(&self) -> Option<String> {
        ["x-ms-request-id", "request-id", "x-ms-correlation-id"]
            .iter()
            .find_map(|name| self.header(name))
            .map(str::to_owned)
    }
}

/// The longest wait that a service is obeyed in, in nanoseconds: one day.
pub const MAX_RETRY_AFTER: u64 = 24 * 3600 * 1_000_000_000;

/// Reads `Thu, 01 Jan 2026 00:01:30 GMT`, the one form that is sent today; the two obsolete ones are none.
///
/// Source: RFC 9110, section 5.6.7.
fn http_date(text: &str) -> Option<Tick> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let parts: Vec<&str> = text.split_ascii_whitespace().collect();
    let [_weekday, day, month, year, time, "GMT" | "UTC" | "+0000"] = *parts else { return None };
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    Tick::parse(&format!("{year}-{month:02}-{day:0>2}T{time}Z"))
}

/// Why no answer came, or why an answer broke off.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TransportFailure {
    /// What kind of failure it is.
    pub kind: TransportFailureKind,
    /// What the host says about it: shown to a person.
    pub detail: String,
}

/// The kinds of failure that the core treats apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TransportFailureKind {
    /// The host's policy refused the request.
    Denied,
    /// The name did not resolve.
    Dns,
    /// No connection: refused, unreachable.
    Connect,
    /// TLS: an unknown authority, a wrong name, an expired certificate.
    Tls,
    /// No answer, or no further bytes, in time.
    Timeout,
    /// The answer is larger than the host lets through.
    TooLarge,
    /// Anything else: a reset, a body cut off, a broken protocol.
    Broken,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &[(&str, &str)]) -> ResponseHead {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        ResponseHead { status: 429, headers }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Tick::parse("2026-01-01T00:00:00Z").unwrap();
        assert_eq!(head(&[("Retry-After", "60")]).retry_after(now), Some(60_000_000_000));
        let date = "Thu, 01 Jan 2026 00:01:30 GMT";
        assert_eq!(head(&[("retry-after", date)]).retry_after(now), Some(90_000_000_000));
    }

    #[test]
    fn a_retry_after_date_is_counted_from_the_answers_own_clock() {
        let hours_off = Tick::parse("2026-01-01T05:00:00Z").unwrap();
        let answer =
            head(&[("date", "Thu, 01 Jan 2026 00:00:00 GMT"), ("retry-after", "Thu, 01 Jan 2026 00:01:30 GMT")]);
        assert_eq!(answer.retry_after(hours_off), Some(90_000_000_000));
    }

    #[test]
    fn a_date_is_read_in_the_form_that_servers_send_and_no_other() {
        for month in 1..=12 {
            let name = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][month - 1];
            let expected = Tick::parse(&format!("2026-{month:02}-09T23:59:58Z"));
            assert!(expected.is_some());
            for text in [format!("Fri, 09 {name} 2026 23:59:58 GMT"), format!(" Fri,  9 {name} 2026 23:59:58 +0000 ")] {
                assert_eq!(http_date(&text), expected, "{text}");
            }
        }
        for text in [
            "",
            "Friday, 09-Jan-26 23:59:58 GMT",
            "Fri Jan  9 23:59:58 2026",
            "Fri, 09 anF 2026 23:59:58 GMT",
            "Fri, 09 J 2026 23:59:58 GMT",
            "Fri, 31 Feb 2026 23:59:58 GMT",
            "Fri, 09 Jan 2026 23:59:58 CET",
            "Fri, 09 Jan 2026 23:59:58 GMT GMT",
            "Fri, 09 Jan 2026 23:59:58",
            "Fri, 09 Jan 26 23:59:58 GMT",
            "Fri, 09 Jan 2026 23:59 GMT",
        ] {
            assert_eq!(http_date(text), None, "{text}");
        }
    }

    #[test]
    fn a_retry_after_is_clamped_and_nonsense_is_none() {
        let now = Tick::default();
        assert_eq!(head(&[("retry-after", "99999999999999")]).retry_after(now), Some(MAX_RETRY_AFTER));
        assert_eq!(head(&[("retry-after", "soon")]).retry_after(now), None);
        assert_eq!(head(&[("retry-after", "-1")]).retry_after(now), None);
    }
}
