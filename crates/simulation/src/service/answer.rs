//! What an answer of the model is made of: its rows as they are written, its headers, and how it ends.

use defender_core::http::ResponseHead;
use defender_core::tick::{TICKS_PER_SECOND, Tick};

use crate::api::Api;
use crate::body::{Body, Ending};
use crate::clock::Clock;
use crate::coverage::{Coverage, Met};
use crate::world::{Fault, HOUR};

use super::{Reply, Row, Service};

impl<'a> Service<'a> {
    /// An answer with these rows. One of several pages has a link but for the last.
    #[expect(clippy::too_many_arguments, reason = "all that an answer is made of")]
    pub(super) fn answer_of(
        &mut self,
        status: u16,
        rows: &[Row<'a>],
        is_paged: bool,
        link: Option<&str>,
        fault: Option<Fault>,
        clock: &mut Clock,
        met: &mut Coverage,
    ) -> Reply {
        if self.verbose {
            for row in rows {
                println!("    row {} {}", row.item.stamp, row.item.name());
            }
        }
        let mut bytes = self.written(rows, is_paged, link, met);
        let mut ending = Ending::End;
        if let Some(fault) = fault {
            self.fails();
            let at = self.random.index(bytes.len());
            match fault {
                Fault::Cut => {
                    met.add(Met::BodyCut);
                    bytes.truncate(at);
                }
                Fault::Broken => {
                    met.add(Met::BodyBroke);
                    bytes.truncate(at);
                    ending = Ending::Breaks;
                }
                Fault::Stalled => {
                    met.add(Met::BodyStalled);
                    bytes.truncate(at);
                    ending = Ending::Stalls;
                }
                Fault::Malformed => {
                    met.add(Met::Malformed);
                    // Neither in a string nor outside one may such a byte stand.
                    let at = bytes.iter().skip(at).position(|byte| b",[]{}".contains(byte)).map_or(0, |rest| at + rest);
                    bytes.insert(at, 1);
                }
                Fault::Timeout
                | Fault::Connect
                | Fault::Dns
                | Fault::Reset
                | Fault::TooLarge
                | Fault::Failed
                | Fault::Throttled
                | Fault::Revoked
                | Fault::Forbidden
                | Fault::Html
                | Fault::ErrorObject
                | Fault::OtherStatus => {}
            }
        }
        self.ending(status, bytes, ending, clock, met)
    }

    fn written(&mut self, rows: &[Row<'_>], is_paged: bool, link: Option<&str>, met: &mut Coverage) -> Vec<u8> {
        let habits = &self.world.service;
        let join = if habits.pretty { &b",\r\n  "[..] } else { b"," };
        let array = rows.iter().map(Row::bytes).collect::<Vec<_>>().join(join);
        if habits.pretty {
            met.add(Met::Pretty);
        }
        if let [row] = rows
            && self.world.api == Api::Siem
            && (row.item.subject.is_some() || row.item.key.is_some())
            && !row.item.looks.oversize
            && !is_paged
            && link.is_none()
            && self.random.chance(200)
        {
            met.add(Met::LoneObject);
            return array;
        }
        let (before, after) = if let Some(link) = link {
            let link = format!("\"@odata.nextLink\":\"{}\"", link.replace('$', "\\u0024"));
            if self.random.chance(500) {
                met.add(Met::LinkBefore);
                (
                    format!("{{\"@odata.context\":\"x\", {link} ,\"value\":["),
                    "],\"n\":{\"@odata.nextLink\":1}}".to_owned(),
                )
            } else {
                met.add(Met::LinkAfter);
                ("{\"n\":{\"@odata.nextLink\":1},\"value\":[".to_owned(), format!("],\"n\":[{{}}],{link}}}"))
            }
        } else if self.world.api != Api::Siem || self.random.chance(habits.enveloped) {
            met.add(Met::Envelope);
            let before =
                "{\"@odata.context\":\"https://x/$metadata#[{\",\"n\":[1],\"@odata.nextLink\":null,\"value\":[";
            (before.to_owned(), "],\"later\":{\"value\":[]}}".to_owned())
        } else {
            met.add(Met::BareArray);
            ("[".to_owned(), "]".to_owned())
        };
        let mark = if self.random.chance(50) { "\u{feff}" } else { "" };
        let tail = if habits.pretty { "\r\n" } else { "" };
        [mark.as_bytes(), before.as_bytes(), &array, after.as_bytes(), tail.as_bytes()].concat()
    }

    /// An answer with `Retry-After` in one of its forms, or without. `endpoint` is 0 for tokens, 1 for the API.
    pub(super) fn delayed(&mut self, status: u16, endpoint: usize, clock: &mut Clock, met: &mut Coverage) -> Reply {
        let mut reply = self.reply(status, b"wait".to_vec(), clock, met);
        let Reply::Answer(head, _) = &mut reply else { return reply };
        let seconds: i64 = self.random.pick(&[1, 1, 5, 30, 30, 300, 7200, 200_000]);
        let waits = seconds.min(86_400).unsigned_abs() * 1_000_000_000;
        let now = clock.now().monotonic;
        match self.random.below(3) {
            0 => {
                met.add(Met::RetryAfterSeconds);
                head.headers.push(("Retry-After".to_owned(), seconds.to_string()));
                self.not_before[endpoint] = now + waits;
            }
            1 => {
                met.add(Met::RetryAfterDate);
                let whole = Tick(clock.service.0 - clock.service.0.rem_euclid(TICKS_PER_SECOND));
                let at = whole.plus(seconds * TICKS_PER_SECOND);
                head.headers.push(("retry-after".to_owned(), http_date(at)));
                self.not_before[endpoint] = now + waits - (clock.service.0 - whole.0).unsigned_abs() * 100;
            }
            _ => {}
        }
        reply
    }

    /// A refusal that asks for a short pause.
    pub(super) fn paused(&mut self, clock: &Clock, met: &mut Coverage) -> Reply {
        const SECONDS: u64 = 5;
        let mut reply = self.reply(429, b"wait".to_vec(), clock, met);
        if let Reply::Answer(head, _) = &mut reply {
            head.headers.push(("Retry-After".to_owned(), SECONDS.to_string()));
            self.not_before[1] = clock.now().monotonic + SECONDS * 1_000_000_000;
        }
        reply
    }

    pub(super) fn reply(&mut self, status: u16, body: Vec<u8>, clock: &Clock, met: &mut Coverage) -> Reply {
        self.ending(status, body, Ending::End, clock, met)
    }

    pub(super) fn ending(
        &mut self,
        status: u16,
        body: Vec<u8>,
        ending: Ending,
        clock: &Clock,
        met: &mut Coverage,
    ) -> Reply {
        let mut headers = vec![("Content-Type".to_owned(), "application/json; charset=utf-8".to_owned())];
        if self.random.chance(self.world.service.no_date) {
            met.add(Met::NoDate);
        } else {
            headers.push(("Date".to_owned(), http_date(clock.service)));
        }
        let body = Body::new(body, ending, self.world.service.chunk, self.random.fork());
        if body.is_byte_by_byte() {
            met.add(Met::ByteByByte);
        }
        if status == 200 {
            for (is_so, what) in [
                (clock.skew > 0, Met::ClockAhead),
                (clock.skew < 0, Met::ClockBehind),
                (clock.skew > HOUR, Met::HoursAhead),
                (clock.skew < -HOUR, Met::HoursBehind),
            ] {
                if is_so {
                    met.add(what);
                }
            }
        }
        Reply::Answer(ResponseHead { status, headers }, body)
    }
}

fn http_date(at: Tick) -> String {
    let (seconds, _) = at.to_unix();
    let date = chrono::DateTime::from_timestamp(seconds, 0).unwrap_or_default();
    date.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
