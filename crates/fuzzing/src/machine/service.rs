//! What the service answers.

use defender_core::http::{Request, ResponseHead, TransportFailure, TransportFailureKind};
use defender_core::tick::{Now, TICKS_PER_SECOND, Tick};

use super::api::Api;
use super::asked::Range;
use super::objects;
use super::setup::Setup;
use crate::bytes::Bytes;
use crate::canary;

/// An answer that is being read.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) head: ResponseHead,
    pub(super) body: Vec<u8>,
    /// How much of the body has been read.
    pub(super) read: usize,
    /// The size of its chunks.
    pub(super) chunk: usize,
    /// What ends it, if not its end.
    pub(super) breaks: Option<TransportFailure>,
    pub(super) has_ended: bool,
}

impl Answer {
    pub(super) fn new(status: u16, body: Vec<u8>) -> Self {
        let head = ResponseHead { status, headers: Vec::new() };
        Self { head, body, read: 0, chunk: usize::MAX, breaks: None, has_ended: false }
    }

    fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.head.headers.push((name.to_owned(), value.into()));
        self
    }

    /// What of the body has been read.
    pub(super) fn fed(&self) -> &[u8] {
        self.body.get(..self.read).unwrap_or_default()
    }
}

/// A good answer: a token, or no records.
pub(super) fn well(request: &Request, api: &Api) -> Answer {
    let token = format!(r#"{{"access_token":"{}","expires_in":3599}}"#, canary::TOKEN);
    let none = if api.updates() { r#"{"value":[]}"# } else { "[]" };
    Answer::new(200, if is_for_token(request) { token } else { none.to_owned() }.into_bytes())
}

pub(super) fn is_for_token(request: &Request) -> bool {
    request.url.contains("/oauth2/")
}

/// What the bytes make of an answer.
///
/// `range` is what was asked for last other than by a link.
pub(super) fn answer(
    bytes: &mut Bytes<'_>,
    request: &Request,
    setup: &Setup,
    range: Option<Range>,
    now: Now,
) -> Result<Answer, TransportFailure> {
    let kind = bytes.below(16);
    let mut answer = match kind {
        8 => return Err(transport_failure(bytes)),
        9 => Answer::new(bytes.pick(&[401, 401, 403, 404, 400, 302, 200]), foreign(bytes, request)),
        10 | 11 => Answer::new(bytes.pick(&[429, 503, 500, 502, 408]), foreign(bytes, request))
            .with("Retry-After", wait(bytes)),
        12 => Answer::new(bytes.pick(&[200, 204, 206, 100, 0, 999]), foreign(bytes, request)),
        _ if is_for_token(request) => token(bytes),
        13 => Answer::new(200, foreign(bytes, request)),
        14 if setup.api.updates() => objects::page(request, setup, range, now),
        15 if setup.api.expand.is_some() && request.url.contains("$expand") => Answer::new(503, Vec::new()),
        _ if setup.api.updates() => objects::any(bytes, request, setup, range, now),
        _ => detections(bytes, request, now),
    };
    if kind >= 4 {
        dress(&mut answer, bytes, now);
    }
    Ok(answer)
}

/// Headers, the size of the chunks, and how the body ends.
fn dress(answer: &mut Answer, bytes: &mut Bytes<'_>, now: Now) {
    let date = match bytes.below(8) {
        0..=2 => Some(http_date(now.wall)),
        3 => Some(http_date(now.wall.minus(7200 * TICKS_PER_SECOND))),
        4 => Some(http_date(now.wall.plus(86_400 * TICKS_PER_SECOND))),
        5 => Some("Thu, 32 Jan 2026 99:00:00 GMT".to_owned()),
        _ => None,
    };
    answer.head.headers.extend(date.map(|date| ("date".to_owned(), date)));
    answer.chunk = match bytes.below(6) {
        1 if answer.body.len() < 2000 => 1,
        2 => 7,
        3 => 64,
        4 => 1000,
        _ => usize::MAX,
    };
    match bytes.below(12) {
        1 => answer.body.truncate(answer.body.len() * bytes.below(16) / 16),
        2 => {
            answer.body.truncate(answer.body.len() * bytes.below(16) / 16);
            answer.breaks = Some(transport_failure(bytes));
        }
        3 => answer.head.headers.push(("x-ms-request-id".to_owned(), canary::SECRET.to_owned())),
        4 => answer.head.headers.push(("Content-Type".to_owned(), "text/html".to_owned())),
        5 if answer.head.status == 200 => answer.head.status = 206,
        _ => {}
    }
}

fn token(bytes: &mut Bytes<'_>) -> Answer {
    let lifetime = match bytes.below(8) {
        5 => "1",
        6 => "\"301\"",
        7 => "null",
        _ => "\"3599\"",
    };
    let body = format!(r#"{{"token_type":"Bearer","access_token":"{}","expires_in":{lifetime}}}"#, canary::TOKEN);
    Answer::new(200, body.into_bytes())
}

/// Bytes of the input, or what is known to come from elsewhere.
fn foreign(bytes: &mut Bytes<'_>, request: &Request) -> Vec<u8> {
    let known: &[u8] = match bytes.below(8) {
        0 => b"",
        1 => b"<html><title>@S@ @T@</title>",
        2 => br#"{"error":{"code":"Forbidden","message":"@J@ @T@","target":"@F@"}}"#,
        3 => br#"{"error":"invalid_client","error_description":"AADSTS7000215: @J@","error_codes":[7000215]}"#,
        4 => br#"{"error":"temporarily_unavailable","error_codes":[50196],"trace_id":"@S@"}"#,
        5 => b"said @S@ and @T@ and @F@",
        _ => {
            let length = bytes.below(256);
            bytes.take(length)
        }
    };
    let mut said = canary::with_secrets(known);
    // Whom the token was never sent to cannot repeat it.
    if is_for_token(request) {
        canary::replace(&mut said, canary::TOKEN.as_bytes(), b"t");
    }
    said
}

fn wait(bytes: &mut Bytes<'_>) -> String {
    bytes.pick(&["0", "1", "30", "600", "soon", "-1", "99999999999999", "Thu, 01 Jan 2026 12:05:00 GMT", ""]).to_owned()
}

fn transport_failure(bytes: &mut Bytes<'_>) -> TransportFailure {
    let kind = bytes.pick(&[
        TransportFailureKind::Broken,
        TransportFailureKind::Timeout,
        TransportFailureKind::TooLarge,
        TransportFailureKind::Connect,
        TransportFailureKind::Dns,
        TransportFailureKind::Tls,
        TransportFailureKind::Denied,
    ]);
    TransportFailure { kind, detail: format!("the host says {}", canary::SECRET) }
}

/// Rows in or about the range that is asked for, in some form of an answer.
fn detections(bytes: &mut Bytes<'_>, request: &Request, now: Now) -> Answer {
    let two_hours = 7200 * TICKS_PER_SECOND;
    let since = parameter(request, "sinceTimeUtc=").unwrap_or(now.wall.minus(two_hours));
    let until = parameter(request, "untilTimeUtc=").unwrap_or(now.wall);
    let mut rows = Vec::new();
    let (form, count) = (bytes.byte(), bytes.pick(&[0, 1, 2, 3, 4, 6, 10, 40]));
    let spread = bytes.below(4);
    for index in 0..count {
        // A long answer is made by arithmetic, so that few bytes make it.
        let byte = if count <= 10 { usize::from(bytes.byte()) } else { index * 7 + usize::from(form) };
        rows.push(row(byte, spread, since, until, usize::from(form) / 64));
    }
    if let Some(limit) = limit(request).filter(|_| form & 32 == 0) {
        rows.drain(..rows.len().saturating_sub(limit));
    }
    Answer::new(200, body_of(bytes, request, form, &rows, now).into_bytes())
}

/// Rows in some form of an answer.
pub(super) fn body_of(bytes: &mut Bytes<'_>, request: &Request, form: u8, rows: &[String], now: Now) -> String {
    let count = rows.len();
    let separator = if form & 1 == 0 { "," } else { " ,\r\n\t" };
    let rows = rows.join(separator);
    match form / 2 % 8 {
        4 => {
            // Here, elsewhere, again and again, and none at all. It is a secret as the client's is.
            let here = request.url.split('?').next().unwrap_or_default();
            let links = [
                format!("\"{here}?$skiptoken={}\"", canary::LINK),
                format!("\"{here}?$skiptoken={}{}\"", canary::LINK, now.wall.0),
                format!("\"/p?$skiptoken={}{}\"", canary::LINK, bytes.byte()),
                format!("\"https://elsewhere.example/?{}\"", canary::LINK),
                "7".to_owned(),
                "null".to_owned(),
            ];
            let link = &links[bytes.below(links.len())];
            if count.is_multiple_of(4) {
                format!("{{\"@odata.nextLink\":{link},\"value\":[{rows}]}}")
            } else {
                format!("{{\"value\":[{rows}],\"n\":{{}},\"@odata.nextLink\" : {link} }}")
            }
        }
        6 => format!("{{\"@odata.context\":\"x\",\"value\":[{rows}],\"n\":1}}"),
        7 if count == 1 => rows,
        5 => format!("\u{feff} [ {rows} ] "),
        _ => format!("[{rows}]"),
    }
}

/// Which record a byte means, and when it was processed: the upper half says the one, the lower half the other.
pub(super) fn placed(byte: usize, spread: usize, since: Tick, until: Tick) -> (usize, usize, Tick) {
    let (id, place) = (byte / 16, byte % 16);
    let at = match (spread, place) {
        // All on one tick, or out of the range, or spread over it.
        (1, _) => since.plus(1 + (until.0 - since.0) / 2),
        (2, 14) => since.minus(TICKS_PER_SECOND),
        (2, 15) => until.plus(TICKS_PER_SECOND),
        (3, 0) => since,
        (3, 15) => until,
        _ => since.plus((until.0.saturating_sub(since.0)) / 16 * i64::try_from(place).unwrap_or(0)),
    };
    (id, place, at)
}

/// One record. The upper half of the byte says which, the lower half when it was processed.
fn row(byte: usize, spread: usize, since: Tick, until: Tick, padding: usize) -> String {
    let (id, place, at) = placed(byte, spread, since, until);
    let text = "\u{e9}".repeat([0, 10, 60, 300][padding % 4]);
    match (spread, byte) {
        (3, 0x10) => "null".to_owned(),
        (3, 0x11) => format!(r#"{{"AlertId":7,"LastProcessedTimeUtc":"soon","Description":"{text}"}}"#),
        (3, 0x12) => format!(r#"{{"LastProcessedTimeUtc":"{at}"}}"#),
        (3, 0x13) => format!("[\"{text}\"]"),
        (3, 0x14) => r#"{"FullId":"\ud800","AlertPart":1e999}"#.to_owned(),
        (3, 0x15) => r#"{"FullId":"x" "AlertId":"y"}"#.to_owned(),
        (3, 0x16) => format!(r#"{{"FullId":"no-stamp","Description":"{text}"}}"#),
        _ => format!(
            r#"{{"AlertId":"a{id}","FullId":"a{id}:{place}","LastProcessedTimeUtc":"{at}","Description":"{text}"}}"#
        ),
    }
}

fn parameter(request: &Request, name: &str) -> Option<Tick> {
    Tick::parse(request.url.split(name).nth(1)?.split('&').next()?)
}

fn limit(request: &Request) -> Option<usize> {
    request.url.split("limit=").nth(1)?.split('&').next()?.parse().ok()
}

fn http_date(at: Tick) -> String {
    // 1 January 2026 is a Thursday; of other days only those about it are needed.
    let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let text = at.to_string();
    let (seconds, _) = at.to_unix();
    let day = usize::try_from((seconds.div_euclid(86_400) + 3).rem_euclid(7)).unwrap_or(0);
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month: usize = text[5..7].parse().unwrap_or(1);
    format!("{}, {} {} {} {} GMT", days[day], &text[8..10], months[month - 1], &text[..4], &text[11..19])
}
