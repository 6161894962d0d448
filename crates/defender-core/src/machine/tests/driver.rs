//! What the driver tells, and the limits of a poll that it gives.

use super::*;

fn head(status: u16) -> Input<'static> {
    Input::ResponseHead(ResponseHead { status, headers: Vec::new() })
}

const TOKEN: &[u8] = br#"{"token_type":"Bearer","expires_in":"3599","access_token":"opaque-token"}"#;

/// A machine that has asked for detections.
fn asking(members: &str, budget: Budget) -> Rig {
    let mut rig = Rig::new(members, &Position::Resume(None));
    rig.machine.begin(budget, rig.now).unwrap();
    assert!(matches!(rig.machine.step(rig.now), Output::Send(_)));
    rig.machine.handle(head(200), rig.now);
    rig.machine.handle(Input::BodyChunk(TOKEN), rig.now);
    rig.machine.handle(Input::BodyEnd, rig.now);
    assert!(matches!(rig.machine.step(rig.now), Output::Send(request) if request.url.contains("/api/alerts")));
    rig
}

#[test]
fn a_driver_that_tells_nothing_or_something_else_is_told_so() {
    let mut rig = asking("", BUDGET);
    for _ in 0..2 {
        rig.machine.handle(Input::BodyEnd, rig.now);
    }
    let Output::Done(Err(Failure::Internal(fault))) = rig.machine.step(rig.now) else { panic!("it told nothing") };
    assert_eq!(fault.code, "driver.unanswered");
    assert!(fault.message.contains("before it said what came of the request"), "{}", fault.message);
}

#[test]
fn an_error_or_a_token_is_read_up_to_64_kib() {
    let body = vec![b'x'; 64 * 1024];
    for (length, is_read_on) in [(body.len() - 1, true), (body.len(), false)] {
        let mut refused = asking("", BUDGET);
        refused.machine.handle(head(403), refused.now);
        refused.machine.handle(Input::BodyChunk(&body[..length]), refused.now);
        let mut token = Rig::new("", &Position::Resume(None));
        token.machine.begin(BUDGET, token.now).unwrap();
        assert!(matches!(token.machine.step(token.now), Output::Send(_)));
        token.machine.handle(head(200), token.now);
        token.machine.handle(Input::BodyChunk(&body[..length]), token.now);
        for (mut rig, kind) in [(refused, "forbidden"), (token, "rejected")] {
            match rig.machine.step(rig.now) {
                Output::ReadBody => assert!(is_read_on, "{kind}"),
                Output::Done(Err(failure)) => assert_eq!((is_read_on, failure.kind()), (false, kind)),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn an_answer_without_content_is_an_answer_without_rows() {
    let mut rig = asking(r#","start":"PT30M""#, BUDGET);
    rig.machine.handle(head(204), rig.now);
    let Output::Done(Ok(batch)) = rig.machine.step(rig.now) else { panic!("no body follows") };
    assert!(matches!(batch.next, NextPoll::After(_)) && batch.events.is_empty());
}

#[test]
fn a_poll_whose_time_is_over_asks_no_more_and_one_that_has_not_asked_does() {
    let budget = Budget { max_duration: 1_000_000_000, ..BUDGET };
    // The slices are an hour long, and two of them are to be read.
    let mut rig = asking(r#","start":"PT3H""#, budget);
    rig.machine.handle(head(200), rig.now);
    rig.machine.handle(Input::BodyChunk(b"[]"), rig.now);
    rig.machine.handle(Input::BodyEnd, rig.now);
    rig.advance(1);
    let Output::Done(Ok(batch)) = rig.machine.step(rig.now) else { panic!("its time is over") };
    assert_eq!((batch.next, rig.machine.wants_body()), (NextPoll::Now, false));
    rig.machine.begin(budget, rig.now).unwrap();
    rig.advance(1);
    assert!(matches!(rig.machine.step(rig.now), Output::Send(_)), "one request is made, however slow the start");
    // The token alone took all the time.
    let mut rig = Rig::new("", &Position::Resume(None));
    rig.machine.begin(budget, rig.now).unwrap();
    assert!(matches!(rig.machine.step(rig.now), Output::Send(_)));
    rig.machine.handle(head(200), rig.now);
    rig.machine.handle(Input::BodyChunk(TOKEN), rig.now);
    rig.machine.handle(Input::BodyEnd, rig.now);
    rig.advance(1);
    assert!(matches!(rig.machine.step(rig.now), Output::Done(Ok(Batch { next: NextPoll::Now, .. }))));
}

#[test]
fn a_full_batch_is_handed_out_before_the_next_request() {
    let mut rig = Rig::new(r#","start":"2026-01-01T09:00:00Z""#, &Position::Resume(None));
    let body = format!("[{}]", row("a", "2026-01-01T09:10:00Z"));
    let batch = rig.poll(Budget { max_events: 1, ..BUDGET }, |_| ok(body.clone())).unwrap();
    assert_eq!((batch.events.len(), batch.next, rig.requests.len()), (1, NextPoll::Now, 1));
    let batch = rig.poll(Budget { max_events: 1, ..BUDGET }, |_| ok("[]")).unwrap();
    assert_ne!(batch.next, NextPoll::Now, "{:?}", rig.requests);
}

#[test]
fn no_token_is_asked_for_where_no_request_could_follow() {
    let mut rig = Rig::new("", &Position::Resume(None));
    let batch = rig.poll(Budget { max_requests: 3, ..BUDGET }, |_| (401, Vec::new(), String::new())).unwrap();
    assert_eq!((batch.next, batch.counters), (NextPoll::Now, vec![("token-renewals", 1)]));
}

#[test]
fn a_budget_without_time_is_refused() {
    let mut rig = Rig::new("", &Position::Resume(None));
    let refused = rig.poll(Budget { max_duration: 0, ..BUDGET }, |_| panic!("nothing is asked")).unwrap_err();
    assert_eq!(refused, Failure::BudgetTooSmall(Budget { max_duration: 1, ..BUDGET }));
}

#[test]
fn a_poll_that_gets_nowhere_gives_its_answer_up_for_half_of_it() {
    let mut rig = Rig::new(r#","start":"2026-01-01T11:30:00Z""#, &Position::Resume(None));
    let budget = Budget { max_duration: 1_000_000_000, ..BUDGET };
    rig.poll(budget, |_| (503, Vec::new(), String::new())).unwrap_err();
    rig.machine.begin(budget, rig.now).unwrap();
    assert!(matches!(rig.machine.step(rig.now), Output::Send(_)));
    rig.machine.handle(head(200), rig.now);
    rig.machine.handle(Input::BodyChunk(b"[ "), rig.now);
    rig.advance(1);
    let Output::Done(Ok(batch)) = rig.machine.step(rig.now) else { panic!("its time is over") };
    assert_eq!((batch.next, rig.machine.wants_body()), (NextPoll::Now, false));
    rig.requests.clear();
    rig.poll(BUDGET, |_| ok("[]")).unwrap();
    assert!(rig.requests[0].contains("untilTimeUtc=2026-01-01T11:37:15.0000001Z"), "{:?}", rig.requests);
}

#[test]
fn a_machine_that_takes_over_needs_no_token() {
    let mut rig = Rig::new(r#","start":"PT30M""#, &Position::Resume(None));
    let first = rig.poll(BUDGET, |_| ok("[]")).unwrap();
    assert_eq!(first.counters, [("token-renewals", 1)]);
    let mut fresh = Machine::new(rig.machine.config.clone(), &Position::Resume(Some(first.checkpoint))).unwrap();
    fresh.take_tokens(&mut rig.machine);
    rig.machine = fresh;
    rig.advance(300);
    assert_eq!(rig.poll(BUDGET, |_| ok("[]")).unwrap().counters, []);
}

#[test]
fn a_probe_asks_for_the_last_minute_and_one_row_and_for_no_further_page() {
    let mut rig = Rig::new("", &Position::Resume(None));
    rig.machine = Machine::probe(rig.machine.config.clone());
    let body = format!(r#"{{"value":[{}],"@odata.nextLink":"/api/alerts?x=1"}}"#, row("a", "2026-01-01T11:59:30Z"));
    let batch = rig.poll(BUDGET, |_| ok(body.clone())).unwrap();
    assert_eq!((batch.events.len(), batch.next, batch.counters), (0, NextPoll::Ended, vec![("token-renewals", 1)]));
    assert_eq!(
        rig.requests,
        ["https://wdatp-alertexporter-eu.windows.com/api/alerts?limit=1&sinceTimeUtc=2026-01-01T11:59:00.0000000Z\
          &untilTimeUtc=2026-01-01T12:00:00.0000000Z"]
    );
}

#[test]
fn a_row_counts_once_by_what_became_of_it() {
    let mut rig = Rig::new(r#","start":"2026-01-01T11:30:00Z""#, &Position::Resume(None));
    rig.machine.limits.event_bytes = 100;
    let large = format!(r#"{{"x":"{}"}}"#, "x".repeat(100));
    let body = format!(r#"[{},{large},{{"FullId":7}},"odd"]"#, row("a", "2026-01-01T11:45:00Z"));
    let first = rig.poll(BUDGET, |_| ok(body.clone())).unwrap();
    assert_eq!(first.counters, [("rows", 4), ("odd-records", 2), ("token-renewals", 1)]);
    rig.advance(300);
    let second = rig.poll(BUDGET, |_| ok(body.clone())).unwrap();
    assert_eq!(second.counters, [("rows", 4), ("duplicates", 4)]);
}

#[test]
fn a_budget_of_nothing_is_too_small_in_each_of_its_members() {
    for budget in [
        Budget { max_events: 0, ..BUDGET },
        Budget { max_bytes: 0, ..BUDGET },
        Budget { max_requests: 1, ..BUDGET },
        Budget { max_duration: 0, ..BUDGET },
    ] {
        let mut rig = Rig::new("", &Position::Resume(None));
        let needed = match rig.machine.begin(budget, rig.now).unwrap_err() {
            Failure::BudgetTooSmall(needed) => needed,
            other => panic!("{other:?}"),
        };
        assert_ne!(needed, budget);
        rig.machine.begin(needed, rig.now).unwrap();
    }
}
