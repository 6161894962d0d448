//! The machine, driven by hand.

mod bounds;
mod caps;
mod clocks;
mod driver;
mod endpoints;
mod expand;
mod failing;
mod full_ring;
mod held;
mod margins;
mod neighbour;
mod one_tick;
mod pages;
mod passes;
mod resume;
mod single;
mod start;
mod take_over;
mod token;
mod updates;

use super::*;
use crate::contract::{GapCause, NextPoll};
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
        Self::of("siem", &format!(r#","region":"eu"{members}"#), position)
    }

    fn of(api: &str, members: &str, position: &Position) -> Self {
        let config = format!(
            r#"{{"tenant_id":"11111111-1111-4111-8111-111111111111","client_id":"22222222-2222-4222-8222-222222222222",
            "client_secret":"client-secret","api":"{api}"{members}}}"#
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
                        let token = r#"{"token_type":"Bearer","expires_in":"3599","access_token":"opaque-token"}"#;
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

#[test]
fn a_failure_after_events_is_told_after_them() {
    let mut rig = Rig::new(r#","start":"PT30M""#, &Position::Resume(None));
    let cut = format!("[{},", row("a", "2026-01-01T11:45:00Z"));
    let batch = rig.poll(BUDGET, |_| ok(cut.clone())).unwrap();
    assert_eq!((batch.events.len(), batch.next), (1, NextPoll::Now));
    let failure = rig.poll(BUDGET, |_| ok("[]")).unwrap_err();
    assert!(matches!(failure, Failure::Unavailable(_)), "{failure:?}");
    assert_eq!(rig.requests.len(), 1, "the failure is told without another request");
    let again = rig.poll(BUDGET, |_| ok(format!("[{}]", row("a", "2026-01-01T11:45:00Z")))).unwrap();
    assert!(again.events.is_empty());
    assert!(rig.requests[1].contains("untilTimeUtc=2026-01-01T11:44:30.0000001Z"), "half of it: {}", rig.requests[1]);
}

#[test]
fn the_delay_that_the_service_asks_for_is_kept_whatever_the_host_does() {
    let mut rig = Rig::new("", &Position::Resume(None));
    let throttled = |_: &str| (429, vec![("retry-after", "30".to_owned())], "slow".to_owned());
    let delay = |failure| match failure {
        Failure::Throttled(delay) => delay,
        other => panic!("{other:?}"),
    };
    let first = delay(rig.poll(BUDGET, throttled).unwrap_err());
    assert_eq!(first.after, Some(30_000_000_000));
    assert!(first.fault.checkpoint.is_some(), "the first poll fixes the start, failed or not");
    rig.advance(10);
    let second = delay(rig.poll(BUDGET, throttled).unwrap_err());
    assert_eq!((second.after, rig.requests.len()), (Some(20_000_000_000), 1));
    rig.advance(20);
    assert!(rig.poll(BUDGET, |_| ok("[]")).is_ok());
}

#[test]
fn one_401_renews_the_token_and_the_second_is_final() {
    let mut rig = Rig::new(r#","start":"PT30M""#, &Position::Resume(None));
    let mut refusals = 1;
    let once = |_: &str| {
        refusals -= 1;
        if refusals >= 0 { (401, Vec::new(), String::new()) } else { ok("[]") }
    };
    assert!(rig.poll(BUDGET, once).is_ok());
    assert_eq!(rig.requests.len(), 2);
    rig.advance(300);
    let failure = rig.poll(BUDGET, |_| (401, Vec::new(), String::new())).unwrap_err();
    assert!(matches!(failure, Failure::Unauthenticated(_)), "{failure:?}");
    assert_eq!(rig.requests.len(), 4);
}

#[test]
fn a_slice_that_fails_beside_a_neighbour_that_can_be_read_is_isolated_and_given_up() {
    let mut rig = Rig::new(r#","start":"PT30M""#, &Position::Resume(None));
    let poison = Tick::parse("2026-01-01T11:45:00.0000007Z").unwrap();
    let mut answer = |url: &str| {
        let bound = |name: &str| Tick::parse(url.split(name).nth(1).unwrap().split('&').next().unwrap()).unwrap();
        let hit = bound("sinceTimeUtc=") < poison && poison < bound("untilTimeUtc=");
        if hit { (500, Vec::new(), String::new()) } else { ok("[]") }
    };
    let mut gaps = Vec::new();
    for _ in 0..200 {
        match rig.poll(BUDGET, &mut answer) {
            Ok(batch) => {
                gaps.extend(batch.gaps);
                if matches!(batch.next, NextPoll::After(_)) {
                    break;
                }
            }
            Err(Failure::Unavailable(_)) => rig.advance(1),
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(gaps.iter().all(|gap| gap.cause == GapCause::Unreadable));
    assert!(gaps.iter().any(|gap| gap.since <= poison && poison < gap.until), "{gaps:?}");
    // A request covers a tick on each side of its slice, so the slices beside the poison fail as well.
    let ticks: i64 = gaps.iter().map(|gap| gap.until.0 - gap.since.0).sum();
    assert!((1..=4).contains(&ticks), "{gaps:?}");
}

#[test]
fn an_outage_is_never_a_gap() {
    let mut rig = Rig::new(r#","start":"PT30M""#, &Position::Resume(None));
    for _ in 0..300 {
        let failure = rig.poll(BUDGET, |_| (503, Vec::new(), String::new())).unwrap_err();
        assert!(matches!(failure, Failure::Unavailable(_)), "{failure:?}");
        rig.advance(300);
    }
    let batch = rig.poll(BUDGET, |_| ok("[]")).unwrap();
    assert!(batch.gaps.is_empty());
}

#[test]
fn a_range_is_read_to_its_end_and_stays_ended() {
    let tick = |text| Tick::parse(text).unwrap();
    let range = Position::Range(tick("2026-01-01T00:00:00Z"), tick("2026-01-01T06:00:00Z"));
    let mut rig = Rig::new("", &range);
    let edges = [
        row("before", "2025-12-31T23:59:59.9999999Z"),
        row("first", "2026-01-01T00:00:00Z"),
        row("last", "2026-01-01T05:59:59.9999999Z"),
        row("after", "2026-01-01T06:00:00Z"),
    ];
    let mut answer = |url: &str| {
        let bound = |name: &str| Tick::parse(url.split(name).nth(1).unwrap().split('&').next().unwrap()).unwrap();
        let (since, until) = (bound("sinceTimeUtc="), bound("untilTimeUtc="));
        let stamp = |row: &&String| Tick::parse(row.split('"').nth(11).unwrap()).unwrap();
        let inside: Vec<_> = edges.iter().filter(|row| (since..=until).contains(&stamp(row))).cloned().collect();
        ok(format!("[{}]", inside.join(",")))
    };
    let batch = rig.poll(BUDGET, &mut answer).unwrap();
    let keys: Vec<_> = batch.events.iter().map(|event| event.key.as_str()).collect();
    assert_eq!((keys, batch.next), (vec!["first:x", "last:x"], NextPoll::Ended));
    rig.machine = Machine::new(rig.machine.config.clone(), &Position::Resume(Some(batch.checkpoint))).unwrap();
    let again = rig.poll(BUDGET, &mut answer).unwrap();
    assert!(again.events.is_empty() && again.next == NextPoll::Ended);
}

#[test]
fn a_cap_that_nobody_asked_for_is_found_and_repaired() {
    let mut rig = Rig::new(r#","start":"PT30M""#, &Position::Resume(None));
    let start = Tick::parse("2026-01-01T11:30:00Z").unwrap();
    let rows: Vec<_> = (0..2500).map(|n| (start.plus(n * 6_000_000), n)).collect();
    let mut answer = |url: &str| {
        let bound = |name: &str| Tick::parse(url.split(name).nth(1).unwrap().split('&').next().unwrap()).unwrap();
        let (since, until) = (bound("sinceTimeUtc="), bound("untilTimeUtc="));
        let inside = rows.iter().rev().filter(|(at, _)| since <= *at && *at <= until).take(1200);
        let inside: Vec<_> = inside.map(|(at, n)| row(&n.to_string(), &at.to_string())).collect();
        ok(format!("[{}]", inside.join(",")))
    };
    let mut events = 0;
    let mut notices = Vec::new();
    loop {
        let batch = rig.poll(BUDGET, &mut answer).unwrap();
        events += batch.events.len();
        notices.extend(batch.notices.into_iter().map(|notice| notice.code));
        if batch.next != NextPoll::Now {
            break;
        }
    }
    assert_eq!((events, notices), (2500, vec!["answer.cap".to_owned()]));
}

#[test]
fn a_single_request_sends_all_seven_parameters_once_and_ends() {
    let request = r#","request":{"ago":"PT10M","limit":20,"machinegroups":["UKMachines","France Machines"],
        "DeviceCreatedMachineTags":"a&b","CloudCreatedMachineTags":"c"}"#;
    let mut rig = Rig::new(request, &Position::Resume(None));
    let batch = rig.poll(BUDGET, |_| ok(format!("[{}]", row("a", "2020-01-01T00:00:00Z")))).unwrap();
    assert_eq!((batch.events.len(), batch.next), (1, NextPoll::Ended));
    assert_eq!(
        rig.requests,
        ["https://wdatp-alertexporter-eu.windows.com/api/alerts?limit=20&ago=PT10M&machinegroups=UKMachines\
          &machinegroups=France%20Machines&DeviceCreatedMachineTags=a%26b&CloudCreatedMachineTags=c"]
    );
}

#[test]
fn a_single_request_that_cannot_be_sent_again_is_a_gap_on_a_fresh_instance() {
    let mut rig = Rig::new(r#","request":{"ago":"PT10M"}"#, &Position::Resume(None));
    let body = format!("[{},{}]", row("a", "2026-01-01T11:55:00Z"), row("b", "2026-01-01T11:56:00Z"));
    let first = rig.poll(Budget { max_events: 1, ..BUDGET }, |_| ok(body.clone())).unwrap();
    rig.machine = Machine::new(rig.machine.config.clone(), &Position::Resume(Some(first.checkpoint))).unwrap();
    let second = rig.poll(BUDGET, |_| panic!("nothing is asked")).unwrap();
    assert_eq!((second.gaps.len(), second.next), (1, NextPoll::Ended));
    assert_eq!(second.gaps[0].cause, GapCause::Partial);
}

#[test]
fn a_single_request_that_failed_before_it_was_sent_is_sent_by_a_fresh_instance() {
    let mut rig = Rig::new(r#","request":{"ago":"PT10M"}"#, &Position::Resume(None));
    let mut failure = rig.poll(BUDGET, |_| (503, Vec::new(), String::new())).unwrap_err();
    let learned = failure.fault_mut().and_then(|fault| fault.checkpoint.take());
    assert!(learned.is_some());
    rig.machine = Machine::new(rig.machine.config.clone(), &Position::Resume(learned)).unwrap();
    let batch = rig.poll(BUDGET, |_| ok(format!("[{}]", row("a", "2026-01-01T11:55:00Z")))).unwrap();
    assert_eq!((batch.events.len(), batch.next), (1, NextPoll::Ended));
}

#[test]
fn a_budget_that_no_poll_gets_on_with_is_refused_with_the_least_that_would_do() {
    let mut rig = Rig::new(r#","start":"PT30M""#, &Position::Resume(None));
    let refused = rig.poll(Budget { max_requests: 1, ..BUDGET }, |_| ok("[]")).unwrap_err();
    assert_eq!(refused, Failure::BudgetTooSmall(Budget { max_requests: 2, ..BUDGET }));
    let body = format!("[{}]", row("a", "2026-01-01T11:45:00Z"));
    let record = (body.len() - 2) as u64;
    let first = rig.poll(Budget { max_bytes: 10, ..BUDGET }, |_| ok(body.clone())).unwrap();
    assert_eq!((first.events.len(), first.next), (0, NextPoll::Now), "it fixes the start");
    let refused = rig.poll(Budget { max_bytes: 10, ..BUDGET }, |_| panic!("the record is kept")).unwrap_err();
    assert_eq!(refused, Failure::BudgetTooSmall(Budget { max_bytes: record, ..BUDGET }));
    let batch = rig.poll(Budget { max_bytes: record, ..BUDGET }, |_| ok("[]")).unwrap();
    assert_eq!((batch.events.len(), rig.requests.len()), (1, 1), "the record was kept");
}

#[test]
fn a_start_before_now_means_the_clock_of_the_service() {
    let mut rig = Rig::new(r#","start":"PT30M""#, &Position::Resume(None));
    let dated = |_: &str| (200, vec![("date", "Thu, 01 Jan 2026 07:00:00 GMT".to_owned())], "[]".to_owned());
    let batch = rig.poll(BUDGET, dated).unwrap();
    assert_eq!(batch.notices.len(), 1);
    assert!(rig.requests[0].contains("sinceTimeUtc=2026-01-01T11:29:59.9999999Z"));
    assert!(rig.requests[1].contains("sinceTimeUtc=2026-01-01T06:29:59.9999999Z"), "{:?}", rig.requests);
    rig.machine = Machine::new(rig.machine.config.clone(), &Position::Resume(Some(batch.checkpoint))).unwrap();
    rig.advance(300);
    rig.poll(BUDGET, dated).unwrap();
    assert!(
        rig.requests.iter().skip(1).all(|url| url.contains("06:29:59") || !url.contains("T01:")),
        "{:?}",
        rig.requests
    );
}
