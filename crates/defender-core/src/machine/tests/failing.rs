//! What is asked after a failure, and what is told of it.

use super::updates::{START, answer, covers};
use super::*;
use crate::checkpoint::Round;
use crate::http::{TransportFailure, TransportFailureKind};
use crate::progress::PATIENCE;

fn refused(status: u16) -> Answer {
    (status, Vec::new(), String::new())
}

fn bound(url: &str, name: &str) -> Tick {
    Tick::parse(url.split(name).nth(1).unwrap().split('&').next().unwrap()).unwrap()
}

/// What a request asks for, without the ticks on each side.
fn range(url: &str) -> (Tick, Tick) {
    (bound(url, "sinceTimeUtc=").plus(1), bound(url, "untilTimeUtc=").minus(1))
}

/// A rig that is about to ask for a slice of so many ticks at 11:30, which has failed so often.
fn rig(ticks: i64, failures: u32, grain: i64) -> (Rig, Tick) {
    let mut rig = Rig::new(r#","start":"2026-01-01T11:30:00Z""#, &Position::Resume(None));
    let at = Tick::parse("2026-01-01T11:30:00Z").unwrap();
    let mut state = State::begin(&rig.machine.config, None, rig.now.wall);
    state.round = Some(Round { until: at.plus(1_000_000), at, end: at.plus(ticks) });
    (state.length, state.failures, state.grain) = (ticks, failures, grain);
    rig.machine.resume(&state.to_text()).unwrap();
    (rig, at)
}

fn state(rig: &Rig) -> &State {
    rig.machine.state.as_ref().unwrap()
}

#[test]
fn a_slice_that_fails_alone_is_halved_to_a_tick_which_is_struck_three_times() {
    let (mut rig, at) = rig(8, PATIENCE, 1);
    let poisoned = |url: &str| if range(url).0 == at { refused(500) } else { ok("[]") };
    let batch = rig.poll(Budget { max_requests: 13, ..BUDGET }, poisoned).unwrap();
    let asked: Vec<_> = rig.requests.iter().map(|url| range(url)).collect();
    let lengths: Vec<_> = asked.iter().filter(|(since, _)| *since == at).map(|(_, until)| until.0 - at.0).collect();
    assert_eq!(lengths, [8, 4, 2, 1, 1, 1]);
    let beside: Vec<_> = asked.iter().step_by(2).take(6).map(|(since, _)| *since).collect();
    assert_eq!(beside, [8, 4, 2, 1, 1, 1].map(|length| at.plus(length + 3)), "a neighbour each time");
    assert_eq!(batch.gaps.iter().map(|gap| (gap.since, gap.until)).collect::<Vec<_>>(), [(at, at.plus(1))]);
    assert_eq!((state(&rig).grain, state(&rig).failures), (2, PATIENCE - 1), "what follows has less patience");
}

#[test]
fn a_slice_of_its_grain_is_given_up_as_it_is() {
    for (ticks, grain, lengths) in [(4, 4, vec![4, 4, 4]), (5, 4, vec![5, 2, 2, 2]), (3, 4, vec![3, 3, 3])] {
        let (mut rig, at) = rig(ticks, PATIENCE + 1, grain);
        let poisoned = |url: &str| if range(url).0 == at { refused(500) } else { ok("[]") };
        let batch = rig.poll(BUDGET, poisoned).unwrap();
        let asked = rig.requests.iter().map(|url| range(url)).filter(|(since, _)| *since == at);
        assert_eq!(asked.map(|(_, until)| until.0 - at.0).collect::<Vec<_>>(), lengths, "{ticks} {grain}");
        let left = at.plus(*lengths.last().unwrap());
        assert_eq!(batch.gaps.iter().map(|gap| (gap.since, gap.until)).collect::<Vec<_>>(), [(at, left)]);
    }
}

#[test]
fn a_slice_that_does_not_fail_alone_is_halved_below_its_grain() {
    let (mut rig, at) = rig(4, 0, 4);
    rig.poll(BUDGET, |_| refused(500)).unwrap_err();
    assert_eq!(state(&rig).round.unwrap().end, at.plus(2));
}

#[test]
fn a_gap_is_told_before_the_failure_that_follows_it() {
    let (mut rig, at) = rig(1, PATIENCE + 1, 1);
    rig.machine.state.as_mut().unwrap().strikes = 2;
    let batch = rig.poll(BUDGET, |_| refused(500)).unwrap();
    assert_eq!(batch.gaps.iter().map(|gap| (gap.since, gap.until)).collect::<Vec<_>>(), [(at, at.plus(1))]);
    assert_eq!(rig.poll(BUDGET, |_| panic!("it is told")).unwrap_err().kind(), "unavailable");
}

#[test]
fn the_third_failure_in_a_row_does_not_halve_and_asks_beside() {
    let (mut rig, at) = rig(4000, 0, 1);
    for _ in 0..3 {
        assert_eq!(rig.poll(BUDGET, |_| refused(500)).unwrap_err().kind(), "unavailable");
    }
    assert_eq!(state(&rig).failures, PATIENCE);
    let mut answers = [ok(format!("[{}]", row("a", &at.plus(1010).to_string()))), refused(403)].into_iter();
    let failure = rig.poll(BUDGET, |_| answers.next().unwrap()).unwrap_err();
    let asked: Vec<_> = rig.requests.iter().map(|url| range(url)).collect();
    let slice = |length| (at, at.plus(length));
    assert_eq!(asked[..3], [slice(4000), slice(2000), slice(1000)]);
    assert_eq!((asked[3].0, asked[4]), (at.plus(1003), slice(1000)));
    assert_eq!(
        (failure.kind(), state(&rig).failures),
        ("forbidden", PATIENCE + 1),
        "nothing of the neighbour came out"
    );
    let batch = rig.poll(BUDGET, |_| ok("[]")).unwrap();
    assert!(!batch.counters.iter().any(|(name, _)| *name == "rows"), "{:?}", batch.counters);
}

#[test]
fn a_failure_with_a_delay_is_told_although_the_slice_fails_alone() {
    let (mut rig, _) = rig(8, PATIENCE + 1, 1);
    let delayed = |_: &str| (503, vec![("retry-after", "30".to_owned())], String::new());
    let Failure::Unavailable(delay) = rig.poll(BUDGET, delayed).unwrap_err() else { panic!("503") };
    assert_eq!((delay.after, rig.requests.len()), (Some(30_000_000_000), 1));
    rig.now.monotonic += 29_999_999_999;
    let Failure::Unavailable(delay) = rig.poll(BUDGET, |_| panic!("too early")).unwrap_err() else { panic!("503") };
    assert_eq!(delay.after, Some(1));
    rig.now.monotonic += 1;
    assert!(rig.poll(BUDGET, |_| ok("[]")).is_ok());
}

#[test]
fn a_neighbour_that_fails_as_well_gives_the_slice_its_turn_and_lies_elsewhere_the_next_time() {
    for status in [500, 403] {
        let (mut rig, at) = rig(8, PATIENCE, 1);
        rig.poll(BUDGET, |_| refused(status)).unwrap_err();
        assert_eq!((state(&rig).failures, state(&rig).turns), (PATIENCE - 1, 1), "{status}");
        rig.poll(BUDGET, |_| refused(500)).unwrap_err();
        rig.poll(BUDGET, |_| refused(500)).unwrap_err();
        let asked: Vec<_> = rig.requests.iter().map(|url| range(url)).collect();
        assert_eq!((asked[0].0, asked[1], asked[2].1), (at.plus(11), (at, at.plus(8)), at.minus(3)));
    }
}

#[test]
fn a_check_that_fails_is_forgotten_with_the_answer_that_it_checks() {
    let rows: Vec<_> = (0..3).map(|n| row(&format!("r{n}"), &format!("2026-01-01T11:4{n}:00Z"))).collect();
    for (status, ends) in [(500, "11:44:30.0000001Z"), (429, "11:59:00.0000001Z")] {
        let mut rig = Rig::new(r#","start":"2026-01-01T11:30:00Z""#, &Position::Resume(None));
        rig.machine.limits.suspicious_rows = 3;
        let mut answers = [ok(format!("[{}]", rows.join(","))), refused(status)].into_iter();
        assert_eq!(rig.poll(BUDGET, |_| answers.next().unwrap()).unwrap().events.len(), 3);
        assert!(rig.machine.suspect.is_none() && rig.machine.follow_ups.is_empty(), "{status}");
        let told = rig.poll(BUDGET, |_| panic!("the failure is told first"));
        assert!(told.is_err(), "{told:?}");
        rig.requests.clear();
        rig.poll(BUDGET, |_| ok("[]")).unwrap();
        assert!(rig.requests[0].contains("sinceTimeUtc=2026-01-01T11:29:59.9999999Z"), "{:?}", rig.requests);
        assert!(rig.requests[0].contains(&format!("untilTimeUtc=2026-01-01T{ends}")), "{status}: {:?}", rig.requests);
    }
}

#[test]
fn after_a_final_401_the_next_poll_begins_with_a_new_token_and_may_renew_it_once() {
    let mut rig = Rig::new(r#","start":"PT30M""#, &Position::Resume(None));
    for _ in 0..2 {
        assert_eq!(rig.poll(BUDGET, |_| refused(401)).unwrap_err().kind(), "unauthenticated");
    }
    assert_eq!(rig.requests.len(), 4);
    let batch = rig.poll(BUDGET, |_| ok("[]")).unwrap();
    assert_eq!(batch.counters, [("token-renewals", 5)]);
}

#[test]
fn nothing_of_a_link_is_told_where_its_page_breaks_off() {
    let mut rig = Rig::new(r#","start":"PT30M""#, &Position::Resume(None));
    let link = "https://wdatp-alertexporter-eu.windows.com/api/alerts?$skiptoken=secret-of-link";
    rig.machine.begin(BUDGET, rig.now).unwrap();
    let mut bodies = [
        r#"{"access_token":"opaque-token","expires_in":3599,"token_type":"Bearer"}"#.to_owned(),
        format!(r#"{{"value":[],"@odata.nextLink":"{link}"}}"#),
    ]
    .into_iter();
    let mut body = None;
    let failure = loop {
        match rig.machine.step(rig.now) {
            Output::Done(done) => break done.unwrap_err(),
            Output::Send(request) if request.url.contains("secret-of-link") => {
                let detail = format!("{link} was not reached with opaque-token");
                let failure = TransportFailure { kind: TransportFailureKind::Broken, detail };
                rig.machine.handle(Input::TransportFailed(failure), rig.now);
            }
            Output::Send(_) => {
                body = bodies.next();
                rig.machine.handle(Input::ResponseHead(ResponseHead { status: 200, headers: Vec::new() }), rig.now);
            }
            Output::ReadBody => match body.take() {
                Some(text) => rig.machine.handle(Input::BodyChunk(text.as_bytes()), rig.now),
                None => rig.machine.handle(Input::BodyEnd, rig.now),
            },
        }
    };
    let shown = format!("{failure:?}");
    assert!(!shown.contains("secret-of-link") && !shown.contains("opaque-token"), "{shown}");
    assert!(shown.contains("was not reached"), "{shown}");
}

#[test]
fn a_checkpoint_of_the_other_kind_says_which_is_which() {
    let single = Rig::new(r#","request":{"ago":"PT1H"}"#, &Position::Resume(None)).poll(BUDGET, |_| ok("[]")).unwrap();
    let running = Rig::new("", &Position::Resume(None)).poll(BUDGET, |_| ok("[]")).unwrap();
    for (members, text, told) in [
        ("", single.checkpoint, "is of a single `request`, and the configuration is of a running source"),
        (
            r#","request":{"ago":"PT1H"}"#,
            running.checkpoint,
            "is of a running source, and the configuration is of a single `request`",
        ),
    ] {
        let config = Rig::new(members, &Position::Resume(None)).machine.config;
        let failure = Machine::new(config, &Position::Resume(Some(text))).unwrap_err();
        let Failure::UnusableCheckpoint(fault) = failure else { panic!("{failure:?}") };
        assert!(fault.message.contains(told) && fault.code == "checkpoint.mode", "{}", fault.message);
        assert_eq!(fault.hint.as_deref(), Some("give each of the two a state of its own"));
    }
}

#[test]
fn a_gap_over_what_is_given_up_is_told_once_though_the_overlap_brings_it_again() {
    let at = "2026-01-01T11:30:00Z";
    let mut rig = Rig::of("alerts", START, &Position::Resume(None));
    let mut told = Vec::new();
    for _ in 0..8 {
        let mut is_done = false;
        rig.requests.clear();
        while !is_done {
            assert!(rig.requests.len() < 200, "{:?}", rig.requests);
            let polled = rig
                .poll(BUDGET, |url| if covers(url, at) { (500, Vec::new(), String::new()) } else { answer(&[], None) });
            if let Ok(batch) = polled {
                told.extend(batch.gaps.into_iter().map(|gap| gap.key));
                is_done = matches!(batch.next, NextPoll::After(_));
            }
            rig.advance(10);
        }
        rig.advance(300);
    }
    let all = told.len();
    told.sort_unstable();
    told.dedup();
    assert!(all > 0 && told.len() == all, "{all}: {told:?}");
    assert!(told.iter().all(|key| key.starts_with("gap:unreadable:2026-01-01T11:")), "{told:?}");
}

#[test]
fn after_a_neighbour_that_fails_the_slice_is_asked_for_in_full() {
    let mut rig = Rig::of("incidents", START, &Position::Resume(None));
    let state = State::begin(&rig.machine.config, None, rig.now.wall);
    let (at, end) = (state.start, state.start.plus(3600 * TICKS_PER_SECOND));
    let state = State { round: Some(Round { until: end, at, end }), failures: PATIENCE, plain: true, ..state };
    rig.machine.resume(&state.to_text()).unwrap();
    for _ in 0..2 {
        rig.poll(BUDGET, |_| refused(500)).unwrap_err();
    }
    let expands: Vec<_> = rig.requests.iter().map(|url| url.contains("$expand")).collect();
    assert_eq!(expands[..2], [false, true], "{:?}", rig.requests);
}

#[test]
fn a_neighbour_that_meets_a_limit_on_requests_is_asked_for_again() {
    let at = "2026-01-01T11:30:00Z";
    for api in ["siem", "alerts"] {
        let members = if api == "siem" { format!(r#","region":"eu"{START}"#) } else { START.to_owned() };
        let mut rig = Rig::of(api, &members, &Position::Resume(None));
        let (mut gaps, mut is_done) = (0, false);
        for _ in 0..200 {
            let mut asked = 0;
            let polled = rig.poll(BUDGET, |url| {
                asked += 1;
                let is_failing = if api == "siem" {
                    let (since, until) = range(url);
                    (since..=until).contains(&Tick::parse(at).unwrap())
                } else {
                    covers(url, at)
                };
                match (asked > 2, is_failing) {
                    (true, _) => (429, vec![("retry-after", "5".to_owned())], String::new()),
                    (false, true) => refused(500),
                    (false, false) => ok("[]"),
                }
            });
            if let Ok(batch) = polled {
                gaps += batch.gaps.len();
                is_done |= matches!(batch.next, NextPoll::After(_));
            }
            if is_done {
                break;
            }
            rig.advance(10);
        }
        assert_eq!((gaps, is_done), (1, true), "{api}: {:?}", rig.machine.state);
    }
}
