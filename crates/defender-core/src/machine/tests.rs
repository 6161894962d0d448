//! The machine, driven by hand.

use super::*;
use crate::contract::NextPoll;
use crate::tick::TICKS_PER_SECOND;

const NOW: &str = "2026-01-01T12:00:00Z";

/// Drives a machine against an answering function.
struct Rig {
    machine: Machine,
    now: Now,
    requests: Vec<String>,
}

const BUDGET: Budget = Budget { max_events: 1000, max_bytes: 1 << 20, max_requests: 50, max_duration: 60_000_000_000 };

/// An answer: status, headers, body.
type Answer = (u16, Vec<(&'static str, String)>, String);

impl Rig {
    fn new(members: &str, position: &Position) -> Self {
        let config = format!(
            r#"{{"tenant_id":"11111111-1111-4111-8111-111111111111","client_id":"22222222-2222-4222-8222-222222222222",
            "client_secret":"s","api":"siem","region":"eu"{members}}}"#
        );
        let config = Config::parse(&config).unwrap();
        let now = Now { wall: Tick::parse(NOW).unwrap(), monotonic: 0 };
        Self { machine: Machine::new(config, position).unwrap(), now, requests: Vec::new() }
    }

    fn poll(&mut self, budget: Budget, mut answer: impl FnMut(&str) -> Answer) -> Result<Batch, Failure> {
        self.machine.begin(budget, self.now)?;
        let mut body: Option<String> = None;
        loop {
            match self.machine.step(self.now) {
                Output::Done(done) => return done,
                Output::Send(request) => {
                    let (status, headers, text) = if request.url.contains("/oauth2/") {
                        let token = r#"{"token_type":"Bearer","expires_in":"3599","access_token":"t"}"#;
                        (200, Vec::new(), token.to_owned())
                    } else {
                        self.requests.push(request.url.clone());
                        answer(&request.url)
                    };
                    body = Some(text);
                    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
                    self.machine.handle(Input::ResponseHead(ResponseHead { status, headers }), self.now);
                }
                Output::ReadBody => match body.take() {
                    Some(text) => self.machine.handle(Input::BodyChunk(text.as_bytes()), self.now),
                    None => self.machine.handle(Input::BodyEnd, self.now),
                },
            }
        }
    }

    fn advance(&mut self, seconds: i64) {
        self.now.wall = self.now.wall.plus(seconds * TICKS_PER_SECOND);
        self.now.monotonic += seconds.unsigned_abs() * 1_000_000_000;
    }
}

fn ok(body: impl Into<String>) -> Answer {
    (200, Vec::new(), body.into())
}

fn row(id: &str, at: &str) -> String {
    format!(r#"{{"AlertId":"{id}","FullId":"{id}:x","LastProcessedTimeUtc":"{at}"}}"#)
}

#[test]
fn a_quiet_poll_is_one_request_with_both_ends_a_tick_wider_than_the_slice() {
    let mut rig = Rig::new(r#","start":"PT30M""#, &Position::Resume(None));
    let batch = rig.poll(BUDGET, |_| ok("[]")).unwrap();
    assert_eq!(batch.next, NextPoll::After(300_000_000_000));
    rig.advance(300);
    let second = rig.poll(BUDGET, |_| ok("[]")).unwrap();
    assert_ne!(second.checkpoint, batch.checkpoint);
    assert_eq!(
        rig.requests,
        [
            "https://wdatp-alertexporter-eu.windows.com/api/alerts?sinceTimeUtc=2026-01-01T11:29:59.9999999Z\
             &untilTimeUtc=2026-01-01T11:59:00.0000001Z",
            "https://wdatp-alertexporter-eu.windows.com/api/alerts?sinceTimeUtc=2026-01-01T11:29:59.9999999Z\
             &untilTimeUtc=2026-01-01T12:04:00.0000001Z",
        ]
    );
}

#[test]
fn what_the_overlap_brings_again_is_delivered_once() {
    let mut rig = Rig::new("", &Position::Resume(None));
    let body = format!("[{},{}]", row("a", "2026-01-01T11:58:00Z"), row("b", "2026-01-01T11:58:00Z"));
    let keys = |batch: &Batch| batch.events.iter().map(|event| event.key.clone()).collect::<Vec<_>>();
    let mut answers = 0;
    let first = rig
        .poll(BUDGET, |_| {
            ok(if answers == 0 {
                answers = 1;
                "[]"
            } else {
                &body
            })
        })
        .unwrap();
    assert_eq!(keys(&first), ["a:x", "b:x"]);
    rig.advance(300);
    let late = row("c", "2026-01-01T11:58:00Z");
    let second = rig.poll(BUDGET, |_| ok(format!("[{late},{}", &body[1..]))).unwrap();
    assert_eq!(keys(&second), ["c:x"]);
    let resumed = Machine::new(rig.machine.config.clone(), &Position::Resume(Some(second.checkpoint))).unwrap();
    rig.machine = resumed;
    rig.advance(300);
    let third = rig.poll(BUDGET, |_| ok(format!("[{late},{}", &body[1..]))).unwrap();
    assert_eq!(keys(&third), Vec::<String>::new());
}

#[test]
fn a_batch_that_is_full_goes_on_at_the_next_poll_without_asking_again() {
    let mut rig = Rig::new(r#","start":"PT30M""#, &Position::Resume(None));
    let rows: Vec<_> = (0..5).map(|n| row(&n.to_string(), "2026-01-01T11:45:00Z")).collect();
    let body = format!("[{}]", rows.join(","));
    let mut seen = Vec::new();
    for events in [2, 2, 1] {
        let batch = rig.poll(Budget { max_events: 2, ..BUDGET }, |_| ok(body.clone())).unwrap();
        assert_eq!(batch.events.len(), events);
        seen.push(batch.checkpoint);
    }
    assert_eq!(rig.requests.len(), 1);
    let fresh = Machine::new(rig.machine.config.clone(), &Position::Resume(Some(seen[0].clone()))).unwrap();
    rig.machine = fresh;
    assert_eq!(rig.poll(BUDGET, |_| ok(body.clone())).unwrap().events.len(), 3);
}

#[test]
fn an_answer_that_limit_cut_is_asked_for_again_in_halves() {
    let mut rig = Rig::new(r#","start":"PT30M","limit":2"#, &Position::Resume(None));
    let rows: Vec<_> = (0..6).map(|n| (Tick::parse(&format!("2026-01-01T11:4{n}:00Z")).unwrap(), n)).collect();
    let mut answer = |url: &str| {
        let bound = |name: &str| {
            let text = url.split(name).nth(1).unwrap().split('&').next().unwrap();
            Tick::parse(text).unwrap()
        };
        let (since, until) = (bound("sinceTimeUtc="), bound("untilTimeUtc="));
        let inside = rows.iter().filter(|(at, _)| since <= *at && *at <= until);
        let mut newest: Vec<_> = inside.map(|(at, n)| row(&n.to_string(), &at.to_string())).rev().collect();
        if url.contains("limit=2") {
            newest.truncate(2);
        }
        ok(format!("[{}]", newest.join(",")))
    };
    let batch = rig.poll(BUDGET, &mut answer).unwrap();
    let mut keys: Vec<_> = batch.events.iter().map(|event| event.key.clone()).collect();
    keys.sort();
    assert_eq!(keys, ["0:x", "1:x", "2:x", "3:x", "4:x", "5:x"]);
    assert!(batch.gaps.is_empty());
    assert!(matches!(batch.next, NextPoll::After(_)));
}
